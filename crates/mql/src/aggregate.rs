//! Aggregation pipelines over documents in memory.
//!
//! Stages that need other collections are not here; a stage that is not known
//! is MongoDB's error (40324).

mod group;
mod stages;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawDocumentBuf};

use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::matcher::malformed;
use crate::{Matcher, Projection, Sort};

pub(crate) use stages::set;

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
    AddFields(Vec<(Vec<String>, Expression)>),
    /// `$unset`
    Unset(Vec<Vec<String>>),
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
    Unwind(stages::Unwind),
    /// `$replaceRoot`, `$replaceWith`
    ReplaceRoot(Expression),
    /// `$facet`
    Facet(Vec<(String, Pipeline)>),
}

/// A stream of documents between stages.
pub type Documents<'a> = Box<dyn Iterator<Item = Result<Document>> + 'a>;

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
            stages::parse(stage, &mut parsed, 0)?;
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

    /// Runs the pipeline over `input`. Blocking stages hold their input; the
    /// others stream.
    pub fn run<'a>(&'a self, input: Documents<'a>) -> Result<Documents<'a>> {
        self.stages
            .iter()
            .try_fold(input, |input, stage| stages::run(stage, input))
    }

    /// Runs the pipeline over one document and takes the one that comes out.
    pub fn run_one(&self, document: Document) -> Result<Document> {
        let input: Documents<'_> = Box::new(std::iter::once(Ok(document)));
        self.run(input)?
            .next()
            .transpose()?
            .ok_or_else(|| MqlError::bad_value("the pipeline made no document"))
    }
}

/// Encodes a document between stages.
fn encode(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document).map_err(malformed)
}

fn evaluate(expression: &Expression, document: &Document) -> Result<Option<Bson>> {
    expression.evaluate(&Scope::of(document.clone()))
}
