//! Aggregation pipelines: parsed once, run on raw documents that are pushed
//! through them one at a time.
//!
//! Stages that need other collections are not here; a stage that is not known
//! is MongoDB's error (40324).

mod group;
mod parse;
mod reshape;
mod run;
mod sort;
mod unwind;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawDocumentBuf};

use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::Expression;
use crate::matcher::malformed;
use crate::{Matcher, Projection, Sort};

pub use run::Runner;

/// A parsed pipeline.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    stages: Vec<Stage>,
}

/// A parsed stage.
#[derive(Debug, Clone)]
pub enum Stage {
    /// `$match`
    Match(Matcher),
    /// `$project`
    Project(Projection),
    /// `$addFields`, `$set`
    AddFields(reshape::AddFields),
    /// `$unset`
    Unset(reshape::Unset),
    /// `$sort`
    Sort(Sort),
    /// `$skip`
    Skip(u64),
    /// `$limit`
    Limit(u64),
    /// `$group`
    Group(group::Group),
    /// `$count`
    Count(String),
    /// `$unwind`
    Unwind(unwind::Unwind),
    /// `$replaceRoot`, `$replaceWith`
    ReplaceRoot(Expression),
    /// `$facet`
    Facet(Vec<(String, Pipeline)>),
}

/// A stream of documents into or out of a pipeline.
pub type Documents<'a> = Box<dyn Iterator<Item = Result<RawDocumentBuf>> + 'a>;

impl Pipeline {
    /// Parses a pipeline.
    ///
    /// # Errors
    /// MongoDB's: 40323 for a stage with more than one field, 40324 for an
    /// unknown one.
    pub fn parse(stages: &RawArray) -> Result<Self> {
        let mut parsed = Vec::new();
        if stages.into_iter().count() > kit::limit::PIPELINE_STAGES_MAX {
            return Err(MqlError::new(
                7_749_501,
                format!(
                    "Pipeline length must be no longer than {} stages",
                    kit::limit::PIPELINE_STAGES_MAX
                ),
            ));
        }
        for entry in stages {
            let stage = entry.map_err(malformed)?;
            if let RawBsonRef::Document(stage) = stage {
                crate::depth::check(stage)?;
            }
            parse::stage(stage, &mut parsed, 0)?;
        }
        Ok(Self { stages: parsed })
    }

    /// Parses a pipeline from owned stages.
    pub fn parse_bson(stages: &[Bson]) -> Result<Self> {
        let raw = crate::order::raw(&Bson::Array(stages.to_vec()));
        match raw.as_raw_bson_ref() {
            RawBsonRef::Array(stages) => Self::parse(stages),
            _ => Err(MqlError::type_mismatch("a pipeline must be an array")),
        }
    }

    /// Parses an update's pipeline, which may only reshape.
    pub fn parse_update(stages: &RawArray) -> Result<Self> {
        let pipeline = Self::parse(stages)?;
        for stage in &pipeline.stages {
            if !matches!(
                stage,
                Stage::Project(_) | Stage::AddFields(_) | Stage::Unset(_) | Stage::ReplaceRoot(_)
            ) {
                return Err(MqlError::new(
                    72,
                    "this stage is not allowed to be used within an update",
                ));
            }
        }
        Ok(pipeline)
    }

    /// The same pipeline with strings compared by a collation.
    #[must_use]
    pub fn collated(mut self, collation: Option<&Collation>) -> Self {
        if collation.is_some() {
            self.stages = self
                .stages
                .into_iter()
                .map(|stage| match stage {
                    Stage::Match(matcher) => Stage::Match(matcher.collated(collation)),
                    Stage::Sort(sort) => Stage::Sort(sort.collated(collation)),
                    Stage::Facet(facets) => Stage::Facet(
                        facets
                            .into_iter()
                            .map(|(name, pipeline)| (name, pipeline.collated(collation)))
                            .collect(),
                    ),
                    other => other,
                })
                .collect();
        }
        self
    }

    /// The stages, so that an engine can push the first ones down.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Takes the first stage off.
    pub fn take_first(&mut self) -> Option<Stage> {
        if self.stages.is_empty() {
            None
        } else {
            Some(self.stages.remove(0))
        }
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Begins a run.
    pub fn start(&self) -> Runner {
        Runner::new(&self.stages)
    }

    /// Runs the pipeline over `input`. Blocking stages hold what they need of
    /// it; the others stream.
    pub fn run<'a>(&self, input: Documents<'a>) -> Documents<'a> {
        Box::new(run::Running::new(self.start(), input))
    }

    /// Runs the pipeline over one document and takes the one that comes out.
    pub fn run_one(&self, document: &Document) -> Result<Document> {
        let raw = RawDocumentBuf::try_from(document).map_err(malformed)?;
        let made = self
            .run(Box::new(std::iter::once(Ok(raw))))
            .next()
            .transpose()?
            .ok_or_else(|| MqlError::bad_value("the pipeline made no document"))?;
        Document::try_from(&made).map_err(malformed)
    }
}
