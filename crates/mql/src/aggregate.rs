//! Aggregation pipelines: parsed once, run on raw documents that are pushed
//! through them one at a time.
//!
//! What a pipeline needs from outside it gets through an [`Environment`]; `$out`
//! and `$merge` only say what is to be written. A stage that is not known is
//! MongoDB's error (40324).

mod accumulator;
mod bucket;
mod densify;
mod environment;
mod fill;
mod flat;
mod glance;
mod granularity;
mod graph_lookup;
mod group;
mod local;
mod lookup;
mod optimize;
mod output;
mod parse;
mod places;
mod position;
mod redact;
mod reshape;
mod run;
mod sort;
mod undefined;
mod unwind;
mod window;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawDocumentBuf};

use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Variables};
use crate::matcher::malformed;
use crate::{Matcher, Projection, Sort};

pub use environment::{Collections, Environment, Take};
pub use output::{Merge, Target, WhenMatched, WhenNotMatched};
pub(crate) use parse::field_path;
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
    /// `$replaceRoot`, `$replaceWith`, and what an error calls the new root.
    ReplaceRoot(Expression, String),
    /// `$facet`
    Facet(Vec<(String, Pipeline)>),
    /// `$setWindowFields`, in the order of a `$sort` before it.
    Windows(Box<window::Windows>),
    /// `$densify`, in the order of a `$sort` before it.
    Densify(Box<densify::Densify>),
    /// `$bucketAuto`
    BucketAuto(bucket::BucketAuto),
    /// `$sample`
    Sample(u64),
    /// `$redact`
    Redact(Expression),
    /// `$lookup`
    Lookup(Box<lookup::Lookup>),
    /// `$graphLookup`
    GraphLookup(Box<graph_lookup::GraphLookup>),
    /// `$unionWith`
    Union(lookup::Union),
    /// `$documents`
    Documents(Expression),
    /// `$collStats`, `$indexStats`, with the specification.
    Statistics(&'static str, RawDocumentBuf),
    /// `$out`
    Out(Target),
    /// `$merge`
    Merge(Box<Merge>),
}

/// Documents that a step makes out of one, or at its end.
type Source = Box<dyn Iterator<Item = Result<RawDocumentBuf>> + Send>;

/// A stream of documents into or out of a pipeline.
pub type Documents<'a> = Box<dyn Iterator<Item = Result<RawDocumentBuf>> + 'a>;

impl From<Vec<Stage>> for Pipeline {
    fn from(stages: Vec<Stage>) -> Self {
        Self { stages }
    }
}

impl Pipeline {
    /// Parses a pipeline without variables from outside.
    ///
    /// # Errors
    /// MongoDB's: 40323 for a stage with more than one field, 40324 for an
    /// unknown one, and those of the stages.
    pub fn parse(stages: &RawArray) -> Result<Self> {
        Self::parse_with(stages, &Variables::default())
    }

    /// Parses a pipeline whose variables are put in by [`Pipeline::bind`].
    ///
    /// # Errors
    /// Those of [`Pipeline::parse`], but for unknown variables.
    pub fn parse_open(stages: &RawArray) -> Result<Self> {
        let stages = parse::pipeline(stages, position::Place::Top, 0)?;
        Ok(Self { stages })
    }

    /// Parses a pipeline that sees variables.
    ///
    /// # Errors
    /// Those of [`Pipeline::parse`]: a variable that is not there comes before
    /// what is wrong with a later stage, and after what is wrong with its own.
    pub fn parse_with(stages: &RawArray, variables: &Variables) -> Result<Self> {
        let parsed = Self::parse_open(stages);
        if parsed.is_err() {
            undefined::check(stages, &variables.clone().literal())?;
        }
        let mut pipeline = parsed?;
        pipeline.bind(variables)?;
        Ok(pipeline)
    }

    /// Looks at the names of the stages, and at what they read and write.
    ///
    /// # Errors
    /// 14 for what is no object, 40323 for a stage with more than one field, 40324
    /// for an unknown one; what is wrong with a stage's collections.
    pub fn glance(stages: &RawArray) -> Result<()> {
        glance::glance(stages, 0)
    }

    /// Parses a pipeline from owned stages.
    pub fn parse_bson(stages: &[Bson]) -> Result<Self> {
        let raw = crate::order::raw(&Bson::Array(stages.to_vec()));
        match raw.as_raw_bson_ref() {
            RawBsonRef::Array(stages) => Self::parse(stages),
            _ => Err(MqlError::type_mismatch("a pipeline must be an array")),
        }
    }

    /// Parses an update's pipeline, which may only reshape, and whose variables
    /// are put in by [`Pipeline::bind`].
    ///
    /// # Errors
    /// Those of [`Pipeline::parse`]; 72 for a stage that does more.
    pub fn parse_update(stages: &RawArray) -> Result<Self> {
        let stages = parse::pipeline(stages, position::Place::Update, 0)?;
        Ok(Self { stages })
    }

    /// Puts the variables from outside in their places, and computes what
    /// depends on no document.
    ///
    /// # Errors
    /// 17276 for a variable that is not there; what an expression fails with
    /// whatever the documents are.
    pub fn bind(&mut self, variables: &Variables) -> Result<()> {
        if variables.is_lazy() || variables.is_literal() {
            return self.put(variables);
        }
        // What is wrong with a variable comes before what is wrong with a constant.
        self.put(&variables.clone().literal())?;
        self.put(variables).map_err(|error| {
            let text = error.message;
            MqlError::new(
                error.code,
                format!("Failed to optimize pipeline :: caused by :: {text}"),
            )
        })
    }

    fn put(&mut self, variables: &Variables) -> Result<()> {
        let mut stages = self.stages.iter_mut();
        stages.try_for_each(|stage| stage.bind(variables))
    }

    /// The same pipeline with strings compared by a collation.
    #[must_use]
    pub fn collated(mut self, collation: Option<&Collation>) -> Self {
        self.collate(collation);
        self
    }

    fn collate(&mut self, collation: Option<&Collation>) {
        if collation.is_some() {
            for stage in &mut self.stages {
                stage.collate(collation);
            }
        }
    }

    /// The stages, so that an engine can push the first ones down.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// How many documents of the input are enough, when it comes in the order
    /// of a first `$sort`; 0 is all.
    pub fn enough(&self) -> usize {
        let rest = match self.stages.split_first() {
            Some((Stage::Sort(_), rest)) => rest,
            _ => &self.stages,
        };
        match run::limit(rest) {
            usize::MAX => 0,
            enough => enough,
        }
    }

    /// Takes the first stage off.
    pub fn take_first(&mut self) -> Option<Stage> {
        if self.stages.is_empty() {
            None
        } else {
            Some(self.stages.remove(0))
        }
    }

    /// Takes the last stage off if it writes.
    pub fn take_output(&mut self) -> Option<Stage> {
        match self.stages.last() {
            Some(Stage::Out(_) | Stage::Merge(_)) => self.stages.pop(),
            _ => None,
        }
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Begins a run over a collection.
    pub fn start(&self, collection: &str) -> Runner {
        Runner::new(&self.stages, collection)
    }

    /// Runs the pipeline over documents that are in no collection. Blocking
    /// stages hold what they need of them; the others stream.
    pub fn run<'a>(&self, input: Documents<'a>) -> Documents<'a> {
        Box::new(run::Running::new(self.start(""), input))
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

impl Stage {
    fn bind(&mut self, variables: &Variables) -> Result<()> {
        match self {
            Self::Match(matcher) => matcher.bind(variables),
            Self::Project(projection) => projection.bind(variables),
            Self::AddFields(fields) => fields.bind(variables).map_err(|error| match error.code {
                17276 | 51144 => parse::invalid("$set", error),
                _ => error,
            }),
            Self::Group(group) => group.bind(variables),
            Self::Windows(windows) => windows.bind(variables),
            Self::BucketAuto(bucket) => bucket.bind(variables),
            Self::ReplaceRoot(expression, _)
            | Self::Redact(expression)
            | Self::Documents(expression) => expression.bind(variables),
            Self::Facet(facets) => facets
                .iter_mut()
                .try_for_each(|(_, inner)| inner.bind(variables)),
            Self::Lookup(lookup) => lookup.bind(variables),
            Self::GraphLookup(lookup) => lookup.bind(variables),
            Self::Union(union) => union.bind(variables),
            Self::Merge(merge) => merge.bind(variables),
            Self::Unset(_)
            | Self::Sort(_)
            | Self::Skip(_)
            | Self::Limit(_)
            | Self::Count(_)
            | Self::Unwind(_)
            | Self::Sample(_)
            | Self::Statistics(..)
            | Self::Densify(_)
            | Self::Out(_) => Ok(()),
        }
    }

    fn collate(&mut self, collation: Option<&Collation>) {
        match self {
            Self::Match(matcher) => {
                let own = std::mem::replace(matcher, Matcher::all());
                *matcher = own.collated(collation);
            }
            Self::Sort(sort) => *sort = std::mem::take(sort).collated(collation),
            Self::Group(group) => group.collate(collation),
            Self::Windows(windows) => windows.collate(collation),
            Self::Densify(densify) => densify.collate(collation),
            Self::BucketAuto(bucket) => bucket.collate(collation),
            Self::Facet(facets) => facets
                .iter_mut()
                .for_each(|(_, inner)| inner.collate(collation)),
            Self::Lookup(lookup) => lookup.collate(collation),
            Self::GraphLookup(lookup) => lookup.collate(collation),
            Self::Union(union) => union.collate(collation),
            _ => {}
        }
    }
}
