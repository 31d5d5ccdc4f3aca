//! Running a pipeline: documents are pushed through its steps, and what comes
//! out is taken one at a time.
//!
//! Nothing recurses from step to step, and nothing borrows the pipeline or the
//! input: a run can be put aside between two documents.

use std::borrow::Cow;
use std::collections::VecDeque;

use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::group::Grouping;
use super::reshape::{AddFields, Unset, document};
use super::sort::Sorter;
use super::unwind::{Elements, Unwind, Unwound};
use super::{Documents, Stage};
use crate::depth::check;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::order::into_raw;
use crate::{Matcher, Projection};

/// Documents that a step makes out of one, or at its end.
type Source = Box<dyn Iterator<Item = Result<RawDocumentBuf>> + Send>;

/// A pipeline under way.
pub struct Runner {
    steps: Vec<Step>,
    /// What has come out.
    ready: VecDeque<RawDocumentBuf>,
    /// What is still to come into a step, the last one first.
    pending: Vec<(usize, Source)>,
    /// Steps before this one are not asked any more: a limit is reached.
    closed: usize,
    /// How many steps have been told that their input has ended; `None` while
    /// there may be more.
    ended: Option<usize>,
}

enum Step {
    Match(Matcher),
    Project(Projection),
    AddFields(AddFields),
    Unset(Unset),
    Skip(u64),
    Limit(u64),
    ReplaceRoot(Expression),
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
    pub(super) fn new(stages: &[Stage]) -> Self {
        let step = |(at, stage)| Step::new(stage, &stages[at + 1..]);
        Self {
            steps: stages.iter().enumerate().map(step).collect(),
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
    pub fn push(&mut self, document: Cow<'_, RawDocument>) -> Result<()> {
        self.feed(0, document)
    }

    /// Says that the input has ended.
    pub fn end(&mut self) {
        self.ended.get_or_insert(0);
    }

    /// Whether more input would change nothing.
    pub fn is_satisfied(&self) -> bool {
        self.closed > 0 || self.ended.is_some()
    }

    /// The next document that comes out; `None` when it takes more input, or
    /// after the end.
    pub fn pull(&mut self) -> Result<Option<RawDocumentBuf>> {
        loop {
            if let Some(document) = self.ready.pop_front() {
                return Ok(Some(document));
            }
            if let Some((at, source)) = self.pending.last_mut() {
                let at = *at;
                let next = (at >= self.closed).then(|| source.next()).flatten();
                match next.transpose()? {
                    Some(document) => self.feed(at, Cow::Owned(document))?,
                    None => drop(self.pending.pop()),
                }
                continue;
            }
            let Some(at) = self.ended.or((self.closed > 0).then_some(0)) else {
                return Ok(None);
            };
            let Some(step) = self.steps.get_mut(at) else {
                return Ok(None);
            };
            self.ended = Some(at + 1);
            if at >= self.closed
                && let Some(source) = step.end()?
            {
                self.pending.push((at + 1, source));
            }
        }
    }

    fn feed(&mut self, mut at: usize, mut document: Cow<'_, RawDocument>) -> Result<()> {
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
            match step.take(document)? {
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
    fn new(stage: &Stage, after: &[Stage]) -> Self {
        match stage {
            Stage::Match(matcher) => Self::Match(matcher.clone()),
            Stage::Project(projection) => Self::Project(projection.clone()),
            Stage::AddFields(fields) => Self::AddFields(fields.clone()),
            Stage::Unset(unset) => Self::Unset(unset.clone()),
            Stage::Skip(n) => Self::Skip(*n),
            Stage::Limit(n) => Self::Limit(*n),
            Stage::ReplaceRoot(expression) => Self::ReplaceRoot(expression.clone()),
            Stage::Unwind(unwind) => Self::Unwind(unwind.clone()),
            Stage::Sort(sort) => Self::Sort(Sorter::new(sort.clone(), limit(after))),
            Stage::Group(group) => Self::Group(Grouping::new(group.clone())),
            Stage::Count(field) => Self::Count(field.clone(), 0),
            Stage::Facet(facets) => Self::Facet(
                facets
                    .iter()
                    .map(|(name, inner)| (name.clone(), inner.start(), RawArrayBuf::new()))
                    .collect(),
            ),
        }
    }

    fn take<'d>(&mut self, document: Cow<'d, RawDocument>) -> Result<Next<'d>> {
        let made = match self {
            Self::Limit(_) => return Ok(Next::On(document)),
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
                sorter.take(document)?;
                return Ok(Next::Nothing);
            }
            Self::Group(grouping) => {
                grouping.take(&document)?;
                return Ok(Next::Nothing);
            }
            Self::Count(_, n) => {
                *n += 1;
                return Ok(Next::Nothing);
            }
            Self::Facet(facets) => {
                for (_, inner, made) in facets {
                    if !inner.is_satisfied() {
                        inner.push(Cow::Borrowed(&document))?;
                        drain(inner, made)?;
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
            Self::ReplaceRoot(expression) => root(expression, &document)?,
        };
        Ok(Next::On(Cow::Owned(made)))
    }

    /// What a step has held back until its input ended.
    fn end(&mut self) -> Result<Option<Source>> {
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
                    drain(inner, made)?;
                    all.append(super::reshape::key(name)?, std::mem::take(made));
                }
                check(&all)?;
                Some(Box::new(std::iter::once(Ok(all))))
            }
            _ => None,
        })
    }
}

fn drain(inner: &mut Runner, made: &mut RawArrayBuf) -> Result<()> {
    while let Some(document) = inner.pull()? {
        made.push(document);
    }
    Ok(())
}

/// How many documents the stages after a sort want of it at most.
fn limit(after: &[Stage]) -> usize {
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

fn root(expression: &Expression, document: &RawDocument) -> Result<RawDocumentBuf> {
    match expression.evaluate(&Scope::of(document))? {
        Some(Bson::Document(root)) => {
            let RawBson::Document(root) = into_raw(Bson::Document(root)) else {
                return Err(MqlError::bad_value("the new root cannot be encoded"));
            };
            check(&root)?;
            Ok(root)
        }
        other => Err(MqlError::new(
            40228,
            format!(
                "'newRoot' expression must evaluate to an object, but resulting value was: {}",
                other.map_or_else(|| "MISSING".to_owned(), |value| value.to_string())
            ),
        )),
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
        loop {
            if let Some(document) = self.runner.pull()? {
                return Ok(Some(document));
            }
            if self.runner.is_satisfied() {
                return Ok(None);
            }
            match self.input.next().transpose()? {
                Some(document) => self.runner.push(Cow::Owned(document))?,
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
