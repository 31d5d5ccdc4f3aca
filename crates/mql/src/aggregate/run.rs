//! Running a pipeline: documents are pushed through its steps, and what comes
//! out is taken one at a time.
//!
//! Nothing recurses from step to step, and nothing borrows the pipeline or the
//! input: a run can be put aside between two documents.

use std::borrow::Cow;
use std::collections::VecDeque;

use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::bucket::Bucketing;
use super::densify::Densifying;
use super::environment::{Environment, Nowhere};
use super::graph_lookup::GraphLookup;
use super::group::Grouping;
use super::lookup::{Looking, Union};
use super::parse::{kind, shown};
use super::places::Chain;
use super::reshape::{AddFields, Unset, document};
use super::sort::Sorter;
use super::unwind::{Elements, Unwind, Unwound};
use super::window::Windowing;
use super::{Documents, Source, Stage};
use crate::depth::check;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::order::into_raw;
use crate::{Matcher, Projection};

/// A pipeline under way.
pub struct Runner {
    steps: Vec<Step>,
    /// What has come out.
    ready: VecDeque<RawDocumentBuf>,
    /// What is still to come into a step, the last one first.
    pending: Vec<(usize, Source)>,
    /// Steps before this one are not asked any more: a limit is reached.
    closed: usize,
    /// Whether the first step makes its documents.
    makes: bool,
    /// Whether the steps have begun.
    begun: bool,
    /// How many steps have been told that their input has ended; `None` while
    /// there may be more.
    ended: Option<usize>,
}

enum Step {
    /// What an engine does with the documents that come out.
    Output,
    Match(Matcher),
    Project(Projection),
    AddFields(AddFields),
    Unset(Unset),
    InPlace(Chain),
    Skip(u64),
    Limit(u64),
    ReplaceRoot(Expression, String),
    Redact(Expression),
    Lookup(Looking),
    GraphLookup(Box<GraphLookup>),
    Union(Union),
    Sample(Sampling),
    BucketAuto(Bucketing),
    Windows(Windowing),
    Densify(Densifying),
    Documents(Expression),
    Statistics(&'static str, RawDocumentBuf, String),
    Unwind(Unwind),
    Sort(Sorter),
    Group(Grouping),
    Count(String, i64),
    Facet(Vec<(String, Runner, RawArrayBuf)>),
}

/// What becomes of a document in a step.
enum Next<'d> {
    On(Cow<'d, RawDocument>),
    Nothing,
    Many(Source),
}

impl Runner {
    pub(super) fn new(stages: &[Stage], collection: &str) -> Self {
        let mut steps = Vec::with_capacity(stages.len());
        let mut rest = stages;
        while let Some((stage, after)) = rest.split_first() {
            if let Some((length, chain)) = Chain::of(rest) {
                steps.push(Step::InPlace(chain));
                rest = &rest[length..];
            } else {
                steps.push(Step::new(stage, after, collection));
                rest = after;
            }
        }
        let makes = matches!(
            stages.first(),
            Some(Stage::Documents(_) | Stage::Statistics(..))
        );
        Self {
            makes,
            begun: false,
            steps,
            ready: VecDeque::new(),
            pending: Vec::new(),
            closed: 0,
            ended: None,
        }
    }

    /// Takes a document of the input.
    ///
    /// # Errors
    /// What an expression fails with; 292 when a step holds too much.
    pub fn push(&mut self, env: &Environment<'_>, document: Cow<'_, RawDocument>) -> Result<()> {
        self.begin()?;
        self.feed(env, 0, document)
    }

    /// Refuses what no step can begin with; the last one is asked first.
    fn begin(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            for step in self.steps.iter().rev() {
                if let Step::Windows(windowing) = step {
                    windowing.begin()?;
                }
            }
        }
        Ok(())
    }

    /// Says that the input has ended.
    pub fn end(&mut self) {
        self.ended.get_or_insert(0);
    }

    /// Whether more input would change nothing.
    pub fn is_satisfied(&self) -> bool {
        self.makes || self.closed > 0 || self.ended.is_some()
    }

    /// The next document that comes out; `None` when it takes more input, or
    /// after the end.
    ///
    /// # Errors
    /// Those of [`Runner::push`].
    pub fn pull(&mut self, env: &Environment<'_>) -> Result<Option<RawDocumentBuf>> {
        loop {
            if let Some(document) = self.ready.pop_front() {
                return Ok(Some(document));
            }
            if self.advance(env)? {
                continue;
            }
            let Some(at) = self.ended.or((self.closed > 0).then_some(0)) else {
                return Ok(None);
            };
            self.begin()?;
            let Some(step) = self.steps.get_mut(at) else {
                return Ok(None);
            };
            self.ended = Some(at + 1);
            if at < self.closed {
                continue;
            }
            if let Step::Union(union) = step {
                let union = union.clone();
                union.read(env, &mut |document| {
                    self.feed(env, at + 1, Cow::Owned(document))?;
                    while self.advance(env)? {}
                    Ok(self.closed <= at)
                })?;
            } else if let Some(source) = step.end(env)? {
                self.pending.push((at + 1, source));
            }
        }
    }

    /// Lets the next document that a step has made go on, if there is one.
    fn advance(&mut self, env: &Environment<'_>) -> Result<bool> {
        let Some((at, source)) = self.pending.last_mut() else {
            return Ok(false);
        };
        let at = *at;
        let next = (at >= self.closed).then(|| source.next()).flatten();
        match next.transpose()? {
            Some(document) => self.feed(env, at, Cow::Owned(document))?,
            None => drop(self.pending.pop()),
        }
        Ok(true)
    }

    fn feed(
        &mut self,
        env: &Environment<'_>,
        mut at: usize,
        mut document: Cow<'_, RawDocument>,
    ) -> Result<()> {
        while let Some(step) = self.steps.get_mut(at) {
            if let Step::Limit(left) = step {
                if *left == 0 {
                    return Ok(());
                }
                *left -= 1;
                if *left == 0 {
                    self.closed = self.closed.max(at + 1);
                }
            }
            match step.take(env, document)? {
                Next::On(same) => document = same,
                Next::Nothing => return Ok(()),
                Next::Many(source) => {
                    self.pending.push((at + 1, source));
                    return Ok(());
                }
            }
            at += 1;
        }
        self.ready.push_back(document.into_owned());
        Ok(())
    }
}

impl Step {
    fn new(stage: &Stage, after: &[Stage], collection: &str) -> Self {
        match stage {
            Stage::Out(_) | Stage::Merge(_) => Self::Output,
            Stage::Match(matcher) => Self::Match(matcher.clone()),
            Stage::Project(projection) => Self::Project(projection.clone()),
            Stage::AddFields(fields) => Self::AddFields(fields.clone()),
            Stage::Unset(unset) => Self::Unset(unset.clone()),
            Stage::Skip(n) => Self::Skip(*n),
            Stage::Limit(n) => Self::Limit(*n),
            Stage::ReplaceRoot(expression, name) => {
                Self::ReplaceRoot(expression.clone(), name.clone())
            }
            Stage::Redact(expression) => Self::Redact(expression.clone()),
            Stage::Lookup(lookup) => Self::Lookup(Looking::new((**lookup).clone())),
            Stage::GraphLookup(lookup) => Self::GraphLookup(lookup.clone()),
            Stage::Union(union) => Self::Union(union.clone()),
            Stage::Sample(size) => Self::Sample(Sampling::new(*size as usize)),
            Stage::BucketAuto(bucket) => Self::BucketAuto(Bucketing::new(bucket.clone())),
            Stage::Densify(densify) => Self::Densify(Densifying::new((**densify).clone())),
            Stage::Windows(windows) => Self::Windows(Windowing::new((**windows).clone())),
            Stage::Documents(expression) => Self::Documents(expression.clone()),
            Stage::Statistics(name, specification) => {
                Self::Statistics(name, specification.clone(), collection.to_owned())
            }
            Stage::Unwind(unwind) => Self::Unwind(unwind.clone()),
            Stage::Sort(sort) => Self::Sort(Sorter::new(sort.clone(), limit(after))),
            Stage::Group(group) => Self::Group(Grouping::new(group.clone())),
            Stage::Count(field) => Self::Count(field.clone(), 0),
            Stage::Facet(facets) => Self::Facet(
                facets
                    .iter()
                    .map(|(name, inner)| {
                        (name.clone(), inner.start(collection), RawArrayBuf::new())
                    })
                    .collect(),
            ),
        }
    }

    fn take<'d>(
        &mut self,
        env: &Environment<'_>,
        document: Cow<'d, RawDocument>,
    ) -> Result<Next<'d>> {
        let made = match self {
            Self::Limit(_) | Self::Output | Self::Union(_) => return Ok(Next::On(document)),
            Self::Match(matcher) => {
                return Ok(if matcher.matches(&document)? {
                    Next::On(document)
                } else {
                    Next::Nothing
                });
            }
            Self::Skip(left) => {
                if *left == 0 {
                    return Ok(Next::On(document));
                }
                *left -= 1;
                return Ok(Next::Nothing);
            }
            Self::Sort(sorter) => {
                sorter.take(env, document)?;
                return Ok(Next::Nothing);
            }
            Self::Group(grouping) => {
                grouping.take(env, &document)?;
                return Ok(Next::Nothing);
            }
            Self::Count(_, n) => {
                *n += 1;
                return Ok(Next::Nothing);
            }
            Self::Sample(sampling) => {
                sampling.take(env, document)?;
                return Ok(Next::Nothing);
            }
            Self::BucketAuto(bucketing) => {
                bucketing.take(env, &document)?;
                return Ok(Next::Nothing);
            }
            Self::Densify(densifying) => {
                return Ok(Next::Many(densifying.take(env, document)?));
            }
            Self::Windows(windowing) => {
                return Ok(match windowing.take(env, document)? {
                    Some(source) => Next::Many(source),
                    None => Next::Nothing,
                });
            }
            Self::Documents(_) | Self::Statistics(..) => return Ok(Next::Nothing),
            Self::Redact(expression) => match super::redact::apply(expression, &document)? {
                Some(made) => made,
                None => return Ok(Next::Nothing),
            },
            Self::Lookup(looking) => looking.apply(env, &document)?,
            Self::GraphLookup(lookup) => lookup.apply(env, &document)?,
            Self::Facet(facets) => {
                for (_, inner, made) in facets {
                    if !inner.is_satisfied() {
                        inner.push(env, Cow::Borrowed(&document))?;
                        drain(env, inner, made)?;
                    }
                }
                return Ok(Next::Nothing);
            }
            Self::Unwind(unwind) => match unwind.begin(&document)? {
                Unwound::Nothing => return Ok(Next::Nothing),
                Unwound::One(made) => made,
                Unwound::Each => {
                    let elements = Elements::new(unwind, &document)?;
                    return Ok(Next::Many(Box::new(elements)));
                }
            },
            Self::Project(projection) => {
                let made = projection.apply(&document, None)?;
                check(&made)?;
                made
            }
            Self::AddFields(fields) => fields.apply(&document)?,
            Self::Unset(unset) => unset.apply(&document)?,
            Self::InPlace(chain) => chain.apply(&document)?,
            Self::ReplaceRoot(expression, name) => root(expression, name, &document)?,
        };
        Ok(Next::On(Cow::Owned(made)))
    }

    /// What a step has held back until its input ended.
    fn end(&mut self, env: &Environment<'_>) -> Result<Option<Source>> {
        Ok(match self {
            Self::Sort(sorter) => Some(Box::new(sorter.finish().map(Ok))),
            Self::Group(grouping) => Some(Box::new(grouping.finish())),
            // Nothing comes out of nothing.
            Self::Count(_, 0) => None,
            Self::Count(field, n) => {
                let count = i32::try_from(*n).map_or(RawBson::Int64(*n), RawBson::Int32);
                let made = document([(field.as_str().into(), count)]);
                Some(Box::new(std::iter::once(made)))
            }
            Self::Facet(facets) => {
                let mut all = RawDocumentBuf::new();
                for (name, inner, made) in facets {
                    inner.end();
                    drain(env, inner, made)?;
                    all.append(super::reshape::key(name)?, std::mem::take(made));
                }
                check(&all)?;
                Some(Box::new(std::iter::once(Ok(all))))
            }
            Self::Sample(sampling) => {
                let kept = std::mem::take(&mut sampling.kept);
                Some(Box::new(kept.into_iter().map(Ok)))
            }
            Self::Windows(windowing) => windowing.finish()?,
            Self::Densify(densifying) => Some(densifying.finish()?),
            Self::BucketAuto(bucketing) => Some(Box::new(bucketing.finish()?.into_iter().map(Ok))),
            Self::Documents(expression) => {
                Some(Box::new(documents(expression)?.into_iter().map(Ok)))
            }
            Self::Statistics(name, specification, collection) => {
                let made = env
                    .collections
                    .statistics(collection, name, specification)?;
                Some(Box::new(made.into_iter().map(Ok)))
            }
            _ => None,
        })
    }
}

fn drain(env: &Environment<'_>, inner: &mut Runner, made: &mut RawArrayBuf) -> Result<()> {
    while let Some(document) = inner.pull(env)? {
        made.push(document);
        env.check("$facet", made.as_bytes().len())?;
    }
    Ok(())
}

/// A `$sample` under way: each document so far has the same chance to be kept.
struct Sampling {
    size: usize,
    taken: u64,
    bytes: usize,
    kept: Vec<RawDocumentBuf>,
}

impl Sampling {
    fn new(size: usize) -> Self {
        Self {
            size,
            taken: 0,
            bytes: 0,
            kept: Vec::new(),
        }
    }

    fn take(&mut self, env: &Environment<'_>, document: Cow<'_, RawDocument>) -> Result<()> {
        self.taken += 1;
        let place = (env.collections.random() % self.taken) as usize;
        if self.kept.len() < self.size {
            self.bytes += document.as_bytes().len();
            env.check("$sample", self.bytes)?;
            // In any place, so that they come in no order.
            self.kept.push(document.into_owned());
            let last = self.kept.len() - 1;
            self.kept.swap(place.min(last), last);
        } else if let Some(kept) = self.kept.get_mut(place) {
            self.bytes -= kept.as_bytes().len();
            self.bytes += document.as_bytes().len();
            *kept = document.into_owned();
        }
        Ok(())
    }
}

/// What `$documents` makes.
fn documents(expression: &Expression) -> Result<Vec<RawDocumentBuf>> {
    let made = expression.evaluate(&Scope::of(&RawDocumentBuf::new()))?;
    let Some(Bson::Array(values)) = made else {
        return Err(MqlError::new(5_858_203, "an array is expected"));
    };
    values
        .into_iter()
        .map(|value| match into_raw(value) {
            RawBson::Document(document) => Ok(document),
            other => {
                let other = other.as_raw_bson_ref();
                Err(MqlError::new(
                    40228,
                    format!(
                        "elements within the array passed to $documents must evaluate to an object, but resulting value was: {}. Type of resulting value: '{}'",
                        shown(other),
                        kind(other)
                    ),
                ))
            }
        })
        .collect()
}

/// How many documents the stages after a sort want of it at most.
pub(super) fn limit(after: &[Stage]) -> usize {
    let mut skipped = 0usize;
    for stage in after {
        match stage {
            Stage::Skip(n) => skipped = skipped.saturating_add(*n as usize),
            Stage::Limit(n) => return skipped.saturating_add(*n as usize),
            _ => break,
        }
    }
    usize::MAX
}

fn root(expression: &Expression, name: &str, document: &RawDocument) -> Result<RawDocumentBuf> {
    let value = expression.evaluate(&Scope::of(document))?.map(into_raw);
    match value {
        Some(RawBson::Document(root)) => {
            check(&root)?;
            Ok(root)
        }
        other => {
            let (text, kind) = match &other {
                Some(value) => {
                    let value = value.as_raw_bson_ref();
                    (shown(value), kind(value))
                }
                None => ("MISSING".to_owned(), "missing"),
            };
            Err(MqlError::new(
                40228,
                format!(
                    "{name} must evaluate to an object, but resulting value was: {text}. Type of resulting value: '{kind}'"
                ),
            ))
        }
    }
}

/// A run with its input.
pub(super) struct Running<'a> {
    runner: Runner,
    input: Documents<'a>,
    failed: bool,
}

impl<'a> Running<'a> {
    pub(super) fn new(runner: Runner, input: Documents<'a>) -> Self {
        Self {
            runner,
            input,
            failed: false,
        }
    }

    fn step(&mut self) -> Result<Option<RawDocumentBuf>> {
        let env = Environment {
            collections: &Nowhere,
            stage_bytes_max: kit::limit::PIPELINE_STAGE_BYTES_MAX,
            allow_disk_use: true,
        };
        loop {
            if let Some(document) = self.runner.pull(&env)? {
                return Ok(Some(document));
            }
            if self.runner.is_satisfied() {
                if self.runner.ended.is_some() {
                    return Ok(None);
                }
                self.runner.end();
                continue;
            }
            match self.input.next().transpose()? {
                Some(document) => self.runner.push(&env, Cow::Owned(document))?,
                None => self.runner.end(),
            }
        }
    }
}

impl Iterator for Running<'_> {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.step();
        self.failed = next.is_err();
        next.transpose()
    }
}
