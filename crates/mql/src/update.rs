//! Updates: operators, replacements and pipelines, with the description that
//! a change event carries (embedded-engine.md C.5 and D).

mod apply;
mod parse;
mod paths;

use bson::raw::RawBsonRef;
use bson::{Bson, DateTime, Document, RawArray, RawDocument, RawDocumentBuf, Timestamp};

use crate::aggregate::Pipeline;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::Variables;
use crate::matcher::{Matcher, malformed};

/// A parsed update.
#[derive(Debug, Clone)]
pub struct Update {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Replacement(Document),
    Operators(Vec<Operator>, Vec<(String, Matcher)>),
    Pipeline(Pipeline),
}

/// One operator on one path.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    path: Vec<Step>,
    text: String,
    action: Action,
}

impl Operator {
    /// The path that it writes to.
    fn goal(&self) -> &str {
        match &self.action {
            Action::Rename(to) => to,
            _ => &self.text,
        }
    }
}

/// One step of an update's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Name(String),
    /// `$`
    Positional,
    /// `$[]`
    All,
    /// `$[identifier]`
    Filtered(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Set(Bson),
    SetOnInsert(Bson),
    Unset,
    Inc(Bson),
    Mul(Bson),
    Min(Bson),
    Max(Bson),
    Rename(String),
    CurrentDate { timestamp: bool },
    Push(Push),
    Pull(PullBy),
    PullAll(Vec<Bson>),
    AddToSet(Vec<Bson>),
    Pop { first: bool },
    Bit(Vec<(BitOperation, Bson)>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum BitOperation {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone)]
pub(crate) struct Push {
    each: Vec<Bson>,
    position: Option<i64>,
    slice: Option<i64>,
    sort: Option<PushSort>,
}

#[derive(Debug, Clone)]
pub(crate) enum PushSort {
    Whole { descending: bool },
    By(crate::Sort),
}

#[derive(Debug, Clone)]
pub(crate) enum PullBy {
    /// Elements that are documents and match.
    Query(Matcher),
    /// Elements that pass operators; the query wraps them under `e`.
    Element(Matcher),
    /// Elements equal to a value.
    Value(Bson),
}

/// What an update did.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The document afterwards.
    pub document: RawDocumentBuf,
    /// Whether its bytes changed.
    pub modified: bool,
    /// What a change event says; empty for a replacement.
    pub description: UpdateDescription,
}

/// The `updateDescription` of a change event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdateDescription {
    /// Dotted path to new value.
    pub updated_fields: Document,
    /// Dotted paths.
    pub removed_fields: Vec<String>,
    /// Dotted path and new length of arrays that became shorter.
    pub truncated_arrays: Vec<(String, i32)>,
}

/// Where the timestamps come from that `$currentDate` sets.
pub trait Stamps: std::fmt::Debug {
    /// One that is later than those before it.
    fn next(&self) -> Timestamp;
}

/// What an update needs to know beside the document.
#[derive(Debug, Clone, Copy)]
pub struct UpdateContext<'a> {
    /// The time that `$currentDate` sets.
    pub now: DateTime,
    /// Those that it sets as timestamps; `None` is the first of the second.
    pub stamps: Option<&'a dyn Stamps>,
    /// The query that found the document, for the positional operator.
    pub query: Option<&'a Matcher>,
    /// Whether an upsert inserts: `$setOnInsert` applies.
    pub inserting: bool,
    /// How strings compare; `None` is by their bytes.
    pub collation: Option<&'a Collation>,
}

impl Update {
    /// Parses an update: a document of operators, a replacement or a pipeline.
    ///
    /// # Errors
    /// MongoDB's: 9 for unknown modifiers and bad array filters, 40 for
    /// conflicting paths, 2 and 14 for operands.
    pub fn parse(update: RawBsonRef<'_>, array_filters: Option<&RawArray>) -> Result<Self> {
        Self::parse_with(update, array_filters, None, &Variables::default())
    }

    /// Parses an update whose conditions compare strings by a collation, and
    /// whose pipeline sees variables.
    ///
    /// # Errors
    /// Those of [`Update::parse`]; 17276 for a variable that is not there.
    pub fn parse_with(
        update: RawBsonRef<'_>,
        array_filters: Option<&RawArray>,
        collation: Option<&Collation>,
        variables: &Variables,
    ) -> Result<Self> {
        if let RawBsonRef::Document(document) = update {
            crate::depth::check(document)?;
        }
        let filters = parse::array_filters(array_filters)?;
        let kind = match update {
            RawBsonRef::Array(stages) => {
                if array_filters.is_some_and(|filters| !filters.is_empty()) {
                    return Err(MqlError::failed_to_parse(
                        "arrayFilters may not be specified for pipeline-style updates",
                    ));
                }
                let mut pipeline = Pipeline::parse_update(stages)?;
                // MongoDB computes nothing of it before there is a document.
                let mut variables = variables.clone().literal();
                variables.collate(collation);
                pipeline.bind(&variables)?;
                Kind::Pipeline(pipeline)
            }
            RawBsonRef::Document(document) if is_operators(document)? => {
                Kind::Operators(parse::operators(document, &filters)?, filters)
            }
            RawBsonRef::Document(document) => {
                Kind::Replacement(Document::try_from(document).map_err(malformed)?)
            }
            _ => {
                return Err(MqlError::failed_to_parse(
                    "Update argument must be either an object or an array",
                ));
            }
        };
        Ok(Self { kind }.collated(collation))
    }

    /// The update that a pipeline is, which may only reshape.
    pub fn of(pipeline: Pipeline) -> Self {
        Self {
            kind: Kind::Pipeline(pipeline),
        }
    }

    /// The same update with the conditions in it compared by a collation.
    fn collated(mut self, collation: Option<&Collation>) -> Self {
        if let (Kind::Operators(operators, filters), Some(_)) = (&mut self.kind, collation) {
            for (_, filter) in filters {
                *filter = std::mem::replace(filter, Matcher::all()).collated(collation);
            }
            for operator in operators {
                match &mut operator.action {
                    Action::Pull(PullBy::Query(query) | PullBy::Element(query)) => {
                        *query = std::mem::replace(query, Matcher::all()).collated(collation);
                    }
                    Action::Push(Push {
                        sort: Some(PushSort::By(sort)),
                        ..
                    }) => *sort = std::mem::take(sort).collated(collation),
                    _ => {}
                }
            }
        }
        self
    }

    /// Whether it replaces the whole document.
    pub fn is_replacement(&self) -> bool {
        matches!(self.kind, Kind::Replacement(_))
    }

    /// Whether an operator writes a whole `_id`.
    pub(crate) fn sets_id(&self) -> bool {
        match &self.kind {
            Kind::Operators(operators, _) => operators.iter().any(|one| one.goal() == "_id"),
            _ => false,
        }
    }

    /// Whether it is a pipeline.
    pub fn is_pipeline(&self) -> bool {
        matches!(self.kind, Kind::Pipeline(_))
    }

    /// Whether it has the positional operator `$`.
    pub fn is_positional(&self) -> bool {
        let positional = |operator: &Operator| operator.path.contains(&Step::Positional);
        matches!(&self.kind, Kind::Operators(operators, _) if operators.iter().any(positional))
    }

    /// Whether it consists of operators.
    pub fn is_operators(&self) -> bool {
        matches!(self.kind, Kind::Operators(..))
    }

    /// Applies the update to `before`.
    ///
    /// # Errors
    /// MongoDB's: 28 through a scalar, 52 for a new field with a `$`, 54 for an array
    /// as `_id`, 66 for a changed `_id`, 2, 14, 16837.
    pub fn apply(&self, before: &RawDocument, cx: UpdateContext<'_>) -> Result<Applied> {
        let mut document = Document::try_from(before).map_err(malformed)?;
        let mut description = UpdateDescription::default();
        // Which counts as a change, though it comes back.
        let mut dropped_id = false;
        match &self.kind {
            Kind::Replacement(new) => {
                let mut replaced = Document::new();
                if let Some(id) = document.get("_id") {
                    let own = new.get("_id");
                    if let Some(new) = own.filter(|new| !same_value(new, id)) {
                        return Err(altered_id(new));
                    }
                    // An equal one of another type takes its place.
                    replaced.insert("_id", own.unwrap_or(id).clone());
                }
                for (name, value) in new {
                    if name != "_id" || !replaced.contains_key("_id") {
                        replaced.insert(name.clone(), value.clone());
                    }
                }
                let dollar = replaced.keys().find(|name| name.starts_with('$'));
                if let Some(name) = dollar.filter(|_| !cx.inserting) {
                    return Err(dollar_prefixed(name));
                }
                document = replaced;
            }
            Kind::Operators(operators, filters) => {
                apply::operators(
                    operators,
                    filters,
                    before,
                    &mut document,
                    cx,
                    &mut description,
                )?;
            }
            Kind::Pipeline(pipeline) => {
                let mut after = pipeline.run_one(&document)?;
                match (document.get("_id"), after.get("_id")) {
                    (Some(old), Some(new)) if !same_value(new, old) => {
                        return Err(altered_id(new));
                    }
                    // A pipeline that drops it does not mean to.
                    (Some(old), None) => {
                        let mut with_id = Document::new();
                        with_id.insert("_id", old.clone());
                        with_id.extend(after);
                        after = with_id;
                        dropped_id = true;
                    }
                    _ => {}
                }
                description = apply::difference(&document, &after);
                document = after;
            }
        }
        crate::depth::check_updated(&document)?;
        let after = RawDocumentBuf::try_from(&document).map_err(malformed)?;
        if after.as_bytes().len() > kit::limit::DOCUMENT_BYTES_MAX {
            let (code, what) = if cx.inserting {
                (17420, "Document to upsert")
            } else {
                (17419, "Resulting document after update")
            };
            let most = kit::limit::DOCUMENT_BYTES_MAX;
            return Err(MqlError::new(code, format!("{what} is larger than {most}")));
        }
        // An array's null that is unset counts, though it stays null; so does a
        // replacement that leaves out the `_id`, though it stays.
        let modified = after.as_bytes() != before.as_bytes()
            || dropped_id
            || matches!(&self.kind, Kind::Replacement(new) if new.keys().next().is_none_or(|name| name != "_id"))
            || (self.is_operators() && description != UpdateDescription::default());
        // Only what changes is looked at here.
        let whole = modified && !self.is_operators();
        if whole && matches!(document.get("_id"), Some(Bson::Array(_))) {
            return Err(MqlError::new(
                54,
                "After applying the update to the document, the (immutable) field '_id' was found to be an array or array descendant.",
            ));
        }
        Ok(Applied {
            document: after,
            modified,
            description,
        })
    }
}

fn is_operators(document: &RawDocument) -> Result<bool> {
    let first = document.iter().next().transpose().map_err(malformed)?;
    Ok(first.is_some_and(|(name, _)| name.as_str().starts_with('$')))
}

/// The error of a whole document with another `_id`.
fn altered_id(new: &Bson) -> MqlError {
    MqlError::new(
        66,
        format!(
            "After applying the update, the (immutable) field '_id' was found to have been altered to \
             _id: {new}"
        ),
    )
}

/// The error of a top-level field that an update may not make, though an insert
/// may.
fn dollar_prefixed(name: &str) -> MqlError {
    MqlError::new(
        52,
        format!(
            "The dollar ($) prefixed field '{name}' in '{name}' is not allowed in the context of an \
             update's replacement document. Consider using an aggregation pipeline with $replaceWith."
        ),
    )
}

pub(crate) fn immutable_id() -> MqlError {
    MqlError::new(
        66,
        "Performing an update on the path '_id' would modify the immutable field '_id'",
    )
}

fn same_value(a: &Bson, b: &Bson) -> bool {
    crate::compare_bson(a, b).is_eq()
}
