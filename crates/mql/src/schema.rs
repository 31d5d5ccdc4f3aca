//! JSON schemas with BSON types: `$jsonSchema`, and the service's collection
//! schemas (rules-schemas.md §13), which know more keywords.
//!
//! Every violation is told, in the order and by the names of the validator that
//! the service had. Its `validate` expressions need a user: whoever has one
//! brings a [`Judge`].

mod check;
mod format;
mod names;
mod number;
mod parse;
mod strict;

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Bson, Document, RawBson, RawDocument};

use crate::error::{MqlError, Result};
use crate::matcher::malformed;
use crate::order::rank;
use crate::regex::Regex;
use check::Run;
use format::Format;
use number::number;
pub use parse::{Fault, Parsed, Validate};

/// A parsed schema.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The schema `false`.
    never: bool,
    /// What `bsonType` and `type` ask for, each if it is there.
    types: Vec<Vec<Type>>,
    /// The same for messages.
    expected: String,
    pub(crate) required: Vec<String>,
    properties: Vec<(String, Schema)>,
    /// Where each of the properties is.
    places: HashMap<String, usize>,
    patterns: Vec<(Regex, Schema)>,
    additional: Option<Additional>,
    names: Option<Box<Schema>>,
    items: Option<Items>,
    additional_items: Option<Additional>,
    contains: Option<Box<Schema>>,
    constant: Option<Choices>,
    choices: Option<Choices>,
    counts: Counts,
    limits: Limits,
    pattern: Option<Regex>,
    format: Option<(Format, String)>,
    unique_items: bool,
    pub(crate) dependencies: Vec<(String, Dependency)>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
    condition: Option<Box<Condition>>,
    /// The number of its `validate` expression.
    validate: Option<usize>,
    expressions: Expressions,
}

/// Where a schema has `validate` expressions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expressions {
    #[default]
    None,
    /// Only in schemas of parts of the value.
    Inside,
    /// In it, or in one that it is combined of: those are asked of a field that
    /// is not there, too.
    Here,
}

/// Values to be one of.
#[derive(Debug, Clone)]
struct Choices {
    /// What they are up to the order of fields, sorted.
    identities: Vec<Vec<u8>>,
    /// The same for messages.
    written: String,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    properties: (Option<i64>, Option<i64>),
    items: (Option<i64>, Option<i64>),
    length: (Option<i64>, Option<i64>),
}

/// What a number has to be; both forms of a limit may stand together.
#[derive(Debug, Clone, Default)]
struct Limits {
    multiple_of: Option<Bson>,
    maximum: Option<RawBson>,
    below: Option<RawBson>,
    minimum: Option<RawBson>,
    above: Option<RawBson>,
}

#[derive(Debug, Clone)]
struct Condition {
    when: Box<Schema>,
    then: Option<Box<Schema>>,
    otherwise: Option<Box<Schema>>,
}

/// What the presence of a field asks for.
#[derive(Debug, Clone)]
pub(crate) enum Dependency {
    Fields(Vec<String>),
    Schema(Box<Schema>),
}

#[derive(Debug, Clone)]
enum Additional {
    Forbidden,
    Schema(Box<Schema>),
}

#[derive(Debug, Clone)]
enum Items {
    Each(Box<Schema>),
    Tuple(Vec<Schema>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Mixed,
    Number,
    Uuid,
    /// Code with or without a scope.
    Code,
    Is(i8),
}

/// One breach of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The service's `error_code`, such as `required` or `invalid_type`
    /// (rules-schemas.md §15).
    pub code: &'static str,
    /// Where: `(root).address.city`.
    pub path: String,
    /// What is wrong, for the log.
    pub message: String,
}

/// The code of a pattern that takes too many steps: not valid, not invalid.
const UNDECIDED: &str = "internal";

/// Violations that are told of one document.
pub const VIOLATIONS_MAX: usize = 1000;

/// How values are checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Null passes for optional fields (rules-schemas.md §13.4).
    pub null_for_optional: bool,
}

/// Answers the `validate` expressions of a schema.
pub trait Judge {
    /// Whether the expression holds that is the `validate`th of
    /// [`Parsed::validates`]. `this` is the value in its place, `prev` the one
    /// before the change; none where there is none.
    fn holds(
        &mut self,
        validate: usize,
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
    ) -> bool;
}

impl Schema {
    /// Parses a collection's schema as the service takes it; keywords that it
    /// does not know mean nothing.
    ///
    /// # Errors
    /// The first fault: 9 for keywords of the wrong shape, 15 when nested too
    /// deeply.
    pub fn parse(document: &Document) -> Result<Self> {
        Parsed::of(document).into_schema()
    }

    /// Parses a schema as `$jsonSchema` takes it, which is more particular.
    ///
    /// # Errors
    /// MongoDB's: 9 for keywords, 14 for wrong types, 2 for names and patterns.
    pub fn parse_strict(document: &RawDocument) -> Result<Self> {
        strict::check(document, 0)?;
        Self::parse_part(&Document::try_from(document).map_err(malformed)?)
    }

    /// Parses a part of a schema that [`Schema::parse_strict`] took.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn parse_part(document: &Document) -> Result<Self> {
        Parsed::of_mongodb(document).into_schema()
    }

    /// Whether `document` has no violation.
    ///
    /// # Errors
    /// 51156 when a pattern takes too many steps.
    pub fn is_valid(&self, document: &RawDocument) -> Result<bool> {
        let mut run = Run::first();
        run.check(self, RawBsonRef::Document(document));
        match run.found.first() {
            Some(undecided) if undecided.code == UNDECIDED => {
                Err(MqlError::new(51156, undecided.message.clone()))
            }
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// Whether a value has no violation; a pattern that takes too many steps
    /// says no.
    pub(crate) fn accepts(&self, value: RawBsonRef<'_>) -> bool {
        let mut run = Run::first();
        run.check(self, value);
        run.found.is_empty()
    }

    /// The top-level fields by which a document has violations or none; `None`
    /// when it may be any, or goes by the type of one: such a schema MongoDB
    /// leaves where it is.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        let typed = |(_, schema): &(String, Self)| !schema.types.is_empty();
        let any = self.choices.is_some()
            || self.properties.iter().any(typed)
            || self.additional.is_some()
            || !self.patterns.is_empty()
            || !self.dependencies.is_empty()
            || self.counts.properties != (None, None);
        if any {
            return None;
        }
        let properties = self.properties.iter().map(|(name, _)| name);
        let names = self.required.iter().chain(properties);
        let mut fields: Vec<&str> = names.map(String::as_str).collect();
        let parts = [&self.all_of, &self.any_of, &self.one_of].into_iter();
        for part in parts.flatten().chain(self.not.as_deref()) {
            fields.extend(part.fields()?);
        }
        Some(fields)
    }

    /// The violations in `document`, [`VIOLATIONS_MAX`] at most. `validate`
    /// expressions are passed over.
    pub fn violations(&self, document: &RawDocument, options: Options) -> Vec<Violation> {
        let mut run = Run::all(options, None);
        run.check(self, RawBsonRef::Document(document));
        run.found
    }

    /// The violations in `document`, with what `judge` says of the `validate`
    /// expressions; `before` is the document that it was.
    pub fn judged(
        &self,
        document: &RawDocument,
        before: Option<&RawDocument>,
        options: Options,
        judge: &mut dyn Judge,
    ) -> Vec<Violation> {
        let mut run = Run::all(options, Some(judge));
        let before = before.map(RawBsonRef::Document);
        run.check_change(self, RawBsonRef::Document(document), before);
        run.found
    }

    /// Whether a field has to be there, by this schema or by one that has to
    /// hold with it.
    fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
            || self.all_of.iter().any(|part| part.requires(name))
    }

    fn asks(&self) -> bool {
        self.expressions == Expressions::Here
    }

    fn asks_inside(&self) -> bool {
        self.expressions != Expressions::None
    }

    fn property(&self, name: &str) -> Option<(usize, &Self)> {
        let at = *self.places.get(name)?;
        self.properties.get(at).map(|(_, schema)| (at, schema))
    }
}

impl Type {
    fn is(self, value: RawBsonRef<'_>) -> bool {
        match self {
            Self::Mixed => true,
            Self::Number => rank(value) == 10,
            Self::Uuid => matches!(
                value,
                RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid
            ),
            Self::Code => matches!(
                value,
                RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_)
            ),
            Self::Is(number) => value.element_type() as u8 as i8 == number,
        }
    }
}

/// A value up to the order of the fields in its documents: equal values have
/// equal identities.
fn identity_of(value: &Bson) -> Vec<u8> {
    fn sorted(value: &Bson) -> Bson {
        match value {
            Bson::Document(document) => {
                let mut fields: Vec<_> = document.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                let fields = fields.into_iter();
                Bson::Document(
                    fields
                        .map(|(name, value)| (name.clone(), sorted(value)))
                        .collect(),
                )
            }
            Bson::Array(values) => Bson::Array(values.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    crate::key::of(&sorted(value))
}

fn identity(value: RawBsonRef<'_>) -> Vec<u8> {
    if matches!(value, RawBsonRef::Document(_) | RawBsonRef::Array(_)) {
        return identity_of(&Bson::try_from(value).unwrap_or(Bson::Null));
    }
    let mut key = Vec::new();
    crate::key::encode(value, &mut key);
    key
}
