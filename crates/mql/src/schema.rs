//! JSON schemas with BSON types: `$jsonSchema`, and the service's collection
//! schemas (rules-schemas.md §13).
//!
//! Collects every violation. The service's `validate` expressions are not
//! evaluated here: they need a user.

mod names;
mod strict;

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawBson, RawDocument};

use crate::compare;
use crate::error::{MqlError, Result, guard};
use crate::matcher::malformed;
use crate::order::{rank, raw};
use crate::regex::Regex;

/// A parsed schema.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    types: Vec<Type>,
    /// The same for messages.
    expected: String,
    pub(crate) required: Vec<String>,
    properties: Vec<(String, Schema)>,
    patterns: Vec<(Regex, Schema)>,
    additional: Option<Additional>,
    items: Option<Items>,
    additional_items: Option<Additional>,
    /// What the listed values are, up to the order of fields.
    choices: Option<Vec<Vec<u8>>>,
    counts: Counts,
    minimum: Option<(RawBson, bool)>,
    maximum: Option<(RawBson, bool)>,
    multiple_of: Option<Bson>,
    pattern: Option<Regex>,
    unique_items: bool,
    pub(crate) dependencies: Vec<(String, Dependency)>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    properties: (Option<i64>, Option<i64>),
    items: (Option<i64>, Option<i64>),
    length: (Option<i64>, Option<i64>),
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
const UNDECIDED: &str = "pattern_undecided";

/// How values are checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Null passes for optional fields (rules-schemas.md §13.4).
    pub null_for_optional: bool,
}

impl Schema {
    /// Parses a schema document; unknown keywords are kept out of the way.
    ///
    /// # Errors
    /// 9 for keywords of the wrong shape, 15 when nested too deeply.
    pub fn parse(document: &Document) -> Result<Self> {
        parse(document, 0).map(|schema| *schema)
    }

    /// Parses a schema as `$jsonSchema` takes it, which is more particular.
    ///
    /// # Errors
    /// MongoDB's: 9 for keywords, 14 for wrong types, 2 for names and patterns.
    pub fn parse_strict(document: &RawDocument) -> Result<Self> {
        strict::check(document, 0)?;
        Self::parse(&Document::try_from(document).map_err(malformed)?)
    }

    /// Whether `document` has no violation.
    ///
    /// # Errors
    /// 51156 when a pattern takes too many steps.
    pub fn is_valid(&self, document: &RawDocument) -> Result<bool> {
        let found = self.violations(document, Options::default());
        match found.iter().find(|violation| violation.code == UNDECIDED) {
            Some(undecided) => Err(MqlError::new(51156, undecided.message.clone())),
            None => Ok(found.is_empty()),
        }
    }

    /// Whether a value has no violation; a pattern that takes too many steps
    /// says no.
    pub(crate) fn accepts(&self, value: RawBsonRef<'_>) -> bool {
        let mut found = Vec::new();
        self.check(value, "", Options::default(), &mut found);
        found.is_empty()
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

    /// Every violation in `document`.
    pub fn violations(&self, document: &RawDocument, options: Options) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check(
            RawBsonRef::Document(document),
            "(root)",
            options,
            &mut found,
        );
        found
    }

    fn check(
        &self,
        value: RawBsonRef<'_>,
        path: &str,
        options: Options,
        found: &mut Vec<Violation>,
    ) {
        let mut report = |code: &'static str, message: String| {
            found.push(Violation {
                code,
                path: path.to_owned(),
                message,
            });
        };
        if !self.types.is_empty() && !self.types.iter().any(|t| t.is(value)) {
            report(
                "invalid_type",
                format!(
                    "Invalid type. Expected: {}, given: [{}]",
                    self.expected,
                    names::of(value)
                ),
            );
            return;
        }
        if let Some(choices) = &self.choices
            && !choices.contains(&identity(value))
        {
            report("enum", "must be one of the listed values".to_owned());
        }
        if rank(value) == 10 {
            self.check_number(value, &mut report);
        }
        if let RawBsonRef::String(text) = value {
            let length = text.chars().count() as i64;
            let (least, most) = self.counts.length;
            if least.is_some_and(|n| length < n) {
                report(
                    "string_gte",
                    format!("must be at least {} characters", least.unwrap_or(0)),
                );
            }
            if most.is_some_and(|n| length > n) {
                report(
                    "string_lte",
                    format!("must be at most {} characters", most.unwrap_or(0)),
                );
            }
            if let Some(pattern) = &self.pattern {
                match pattern.is_match(text) {
                    Ok(true) => {}
                    Ok(false) => report("pattern", format!("does not match '{}'", pattern.pattern)),
                    Err(error) => report(UNDECIDED, error.message),
                }
            }
        }
        match value {
            RawBsonRef::Document(document) => self.check_document(document, path, options, found),
            RawBsonRef::Array(array) => self.check_array(array, path, options, found),
            _ => {}
        }
        self.check_combined(value, path, options, found);
    }

    fn check_number(&self, value: RawBsonRef<'_>, report: &mut dyn FnMut(&'static str, String)) {
        // NaN is neither more nor less than anything.
        let nan = |value: RawBsonRef<'_>| number(value).is_some_and(f64::is_nan);
        let order = |limit: &RawBson| {
            let limit = limit.as_raw_bson_ref();
            (nan(value) == nan(limit)).then(|| compare(value, limit))
        };
        let shown = |limit: &RawBson| Bson::try_from(limit.clone()).unwrap_or(Bson::Null);
        if let Some((least, strict)) = &self.minimum {
            let wanted: &[Ordering] = if *strict {
                &[Ordering::Greater]
            } else {
                &[Ordering::Greater, Ordering::Equal]
            };
            if !order(least).is_some_and(|order| wanted.contains(&order)) {
                let least = shown(least);
                if *strict {
                    report("number_gt", format!("must be greater than {least}"));
                } else {
                    let text = format!("must be greater than or equal to {least}");
                    report("number_gte", text);
                }
            }
        }
        if let Some((most, strict)) = &self.maximum {
            let wanted: &[Ordering] = if *strict {
                &[Ordering::Less]
            } else {
                &[Ordering::Less, Ordering::Equal]
            };
            if !order(most).is_some_and(|order| wanted.contains(&order)) {
                let most = shown(most);
                if *strict {
                    report("number_lt", format!("must be less than {most}"));
                } else {
                    report(
                        "number_lte",
                        format!("must be less than or equal to {most}"),
                    );
                }
            }
        }
        if let Some(step) = &self.multiple_of
            && !is_multiple(value, step)
        {
            report("multiple_of", format!("must be a multiple of {step}"));
        }
    }

    fn check_document(
        &self,
        document: &RawDocument,
        path: &str,
        options: Options,
        found: &mut Vec<Violation>,
    ) {
        let mut report = |code: &'static str, message: String| {
            found.push(Violation {
                code,
                path: path.to_owned(),
                message,
            });
        };
        for name in &self.required {
            if !matches!(document.get(name.as_str()), Ok(Some(_))) {
                report("required", format!("{name} is required"));
            }
        }
        self.check_dependencies(document, path, options, found);
        let mut report = |code: &'static str, message: String| {
            found.push(Violation {
                code,
                path: path.to_owned(),
                message,
            });
        };
        let count = document.iter().count() as i64;
        let (least, most) = self.counts.properties;
        if least.is_some_and(|n| count < n) {
            report(
                "array_min_properties",
                format!("must have at least {} properties", least.unwrap_or(0)),
            );
        }
        if most.is_some_and(|n| count > n) {
            report(
                "array_max_properties",
                format!("must have at most {} properties", most.unwrap_or(0)),
            );
        }
        for (name, value) in document.iter().flatten() {
            let name = name.as_str();
            let inner = format!("{path}.{name}");
            let own = self.properties.iter().find(|(known, _)| known == name);
            let mut known = own.is_some();
            if let Some((_, schema)) = own {
                let excused = options.null_for_optional
                    && matches!(value, RawBsonRef::Null)
                    && !self.required.iter().any(|required| required == name);
                if !excused {
                    schema.check(value, &inner, options, found);
                }
            }
            for (pattern, schema) in &self.patterns {
                match pattern.is_match(name) {
                    Ok(false) => {}
                    Ok(true) => {
                        known = true;
                        schema.check(value, &inner, options, found);
                    }
                    Err(error) => found.push(Violation {
                        code: UNDECIDED,
                        path: inner.clone(),
                        message: error.message,
                    }),
                }
            }
            match &self.additional {
                Some(Additional::Forbidden) if !known => found.push(Violation {
                    code: "additional_property_not_allowed",
                    path: path.to_owned(),
                    message: format!("Additional property {name} is not allowed"),
                }),
                Some(Additional::Schema(schema)) if !known => {
                    schema.check(value, &inner, options, found);
                }
                _ => {}
            }
        }
    }

    fn check_dependencies(
        &self,
        document: &RawDocument,
        path: &str,
        options: Options,
        found: &mut Vec<Violation>,
    ) {
        let is_there = |name: &str| matches!(document.get(name), Ok(Some(_)));
        for (name, dependency) in &self.dependencies {
            match dependency {
                _ if !is_there(name) => {}
                Dependency::Fields(names) => {
                    for other in names.iter().filter(|other| !is_there(other)) {
                        found.push(Violation {
                            code: "missing_dependency",
                            path: path.to_owned(),
                            message: format!("Has a dependency on {other}"),
                        });
                    }
                }
                Dependency::Schema(schema) => {
                    schema.check(RawBsonRef::Document(document), path, options, found);
                }
            }
        }
    }

    fn check_array(
        &self,
        array: &RawArray,
        path: &str,
        options: Options,
        found: &mut Vec<Violation>,
    ) {
        let values: Vec<RawBsonRef<'_>> = array.into_iter().flatten().collect();
        let mut report = |code: &'static str, message: String| {
            found.push(Violation {
                code,
                path: path.to_owned(),
                message,
            });
        };
        let (least, most) = self.counts.items;
        if least.is_some_and(|n| (values.len() as i64) < n) {
            report(
                "array_min_items",
                format!("must have at least {} items", least.unwrap_or(0)),
            );
        }
        if most.is_some_and(|n| values.len() as i64 > n) {
            report(
                "array_max_items",
                format!("must have at most {} items", most.unwrap_or(0)),
            );
        }
        if self.unique_items {
            let mut known: Vec<Vec<u8>> = values.iter().map(|value| identity(*value)).collect();
            known.sort_unstable();
            if known.windows(2).any(|pair| pair[0] == pair[1]) {
                report("unique", "items must be unique".to_owned());
            }
        }
        for (index, value) in values.iter().enumerate() {
            let inner = format!("{path}.{index}");
            match &self.items {
                Some(Items::Each(schema)) => schema.check(*value, &inner, options, found),
                Some(Items::Tuple(schemas)) => match (schemas.get(index), &self.additional_items) {
                    (Some(schema), _) => schema.check(*value, &inner, options, found),
                    (None, Some(Additional::Forbidden)) => found.push(Violation {
                        code: "array_no_additional_items",
                        path: path.to_owned(),
                        message: "no additional items are allowed".to_owned(),
                    }),
                    (None, Some(Additional::Schema(schema))) => {
                        schema.check(*value, &inner, options, found);
                    }
                    (None, None) => {}
                },
                None => {}
            }
        }
    }

    fn check_combined(
        &self,
        value: RawBsonRef<'_>,
        path: &str,
        options: Options,
        found: &mut Vec<Violation>,
    ) {
        let passes = |schema: &Self| {
            let mut inner = Vec::new();
            schema.check(value, path, options, &mut inner);
            inner.is_empty()
        };
        let mut report = |code: &'static str, message: &str| {
            found.push(Violation {
                code,
                path: path.to_owned(),
                message: message.to_owned(),
            });
        };
        if !self.all_of.iter().all(passes) {
            report("number_all_of", "must satisfy all of the schemas");
        }
        if !self.any_of.is_empty() && !self.any_of.iter().any(passes) {
            report("number_any_of", "must satisfy one of the schemas");
        }
        if !self.one_of.is_empty() && self.one_of.iter().filter(|s| passes(s)).count() != 1 {
            report("number_one_of", "must satisfy exactly one of the schemas");
        }
        if self.not.as_ref().is_some_and(|schema| passes(schema)) {
            report("number_not", "must not satisfy the schema");
        }
    }
}

impl Type {
    fn is(self, value: RawBsonRef<'_>) -> bool {
        match self {
            Self::Mixed => true,
            Self::Number => rank(value) == 10,
            Self::Uuid => matches!(
                value,
                RawBsonRef::Binary(binary) if binary.subtype == bson::spec::BinarySubtype::Uuid
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

fn is_multiple(value: RawBsonRef<'_>, step: &Bson) -> bool {
    let whole = |value: &Bson| match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        _ => None,
    };
    let owned = Bson::try_from(value).unwrap_or(Bson::Null);
    match (whole(&owned), whole(step)) {
        (Some(n), Some(step)) => n.checked_rem(step).is_none_or(|rest| rest == 0),
        _ if matches!(owned, Bson::Decimal128(_)) || matches!(step, Bson::Decimal128(_)) => {
            let step = crate::number::decimal(step);
            crate::number::decimal(&owned).modulo(step).is_zero()
        }
        _ => match (number(value), crate::number::double(step)) {
            (Some(n), Some(step)) => n % step == 0.0,
            _ => false,
        },
    }
}

fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n as f64),
        RawBsonRef::Double(n) => Some(n),
        RawBsonRef::Decimal128(n) => Some(crate::decimal::to_double(n)),
        _ => None,
    }
}

fn wrong(keyword: &str, wanted: &str) -> MqlError {
    MqlError::failed_to_parse(format!("$jsonSchema keyword '{keyword}' must be {wanted}"))
}

/// Boxed: by value, each level would have several schemas on the stack.
fn parse(document: &Document, depth: usize) -> Result<Box<Schema>> {
    guard(depth)?;
    let mut schema = Box::<Schema>::default();
    let child = |keyword: &str, value: &Bson| match value {
        Bson::Document(document) => parse(document, depth + 1),
        _ => Err(wrong(keyword, "an object")),
    };
    let list = |keyword: &str, value: &Bson| match value {
        Bson::Array(schemas) => schemas
            .iter()
            .map(|schema| child(keyword, schema).map(|schema| *schema))
            .collect::<Result<Vec<_>>>(),
        _ => Err(wrong(keyword, "an array of objects")),
    };
    let whole = |keyword: &str, value: &Bson| {
        crate::number::whole(value)
            .filter(|n| *n >= 0)
            .map(Some)
            .ok_or_else(|| wrong(keyword, "a non-negative integer"))
    };
    let limit = |keyword: &str, value: &Bson| {
        if crate::number::is_number(value) {
            Ok(raw(value))
        } else {
            Err(wrong(keyword, "a number"))
        }
    };
    let additional = |keyword: &str, value: &Bson| match value {
        Bson::Boolean(true) => Ok(None),
        Bson::Boolean(false) => Ok(Some(Additional::Forbidden)),
        other => Ok::<_, MqlError>(Some(Additional::Schema(child(keyword, other)?))),
    };
    for (keyword, value) in document {
        match keyword.as_str() {
            "bsonType" | "type" => {
                schema.types = types(keyword, value)?;
                schema.expected = names::expected(document);
            }
            "required" => schema.required = strings(keyword, value)?,
            "properties" => {
                let Bson::Document(properties) = value else {
                    return Err(wrong(keyword, "an object"));
                };
                for (name, value) in properties {
                    schema
                        .properties
                        .push((name.clone(), *child(keyword, value)?));
                }
            }
            "patternProperties" => {
                let Bson::Document(properties) = value else {
                    return Err(wrong(keyword, "an object"));
                };
                for (pattern, value) in properties {
                    schema
                        .patterns
                        .push((Regex::new(pattern, "")?, *child(keyword, value)?));
                }
            }
            "additionalProperties" => schema.additional = additional(keyword, value)?,
            "additionalItems" => schema.additional_items = additional(keyword, value)?,
            "items" => {
                schema.items = Some(match value {
                    Bson::Array(_) => Items::Tuple(list(keyword, value)?),
                    other => Items::Each(child(keyword, other)?),
                });
            }
            "enum" => match value {
                Bson::Array(values) => {
                    schema.choices = Some(values.iter().map(identity_of).collect());
                }
                _ => return Err(wrong(keyword, "an array")),
            },
            "const" => schema.choices = Some(vec![identity_of(value)]),
            "minProperties" => schema.counts.properties.0 = whole(keyword, value)?,
            "maxProperties" => schema.counts.properties.1 = whole(keyword, value)?,
            "minItems" => schema.counts.items.0 = whole(keyword, value)?,
            "maxItems" => schema.counts.items.1 = whole(keyword, value)?,
            "minLength" => schema.counts.length.0 = whole(keyword, value)?,
            "maxLength" => schema.counts.length.1 = whole(keyword, value)?,
            "minimum" => {
                let strict = document.get_bool("exclusiveMinimum").unwrap_or(false);
                schema.minimum = Some((limit(keyword, value)?, strict));
            }
            "maximum" => {
                let strict = document.get_bool("exclusiveMaximum").unwrap_or(false);
                schema.maximum = Some((limit(keyword, value)?, strict));
            }
            "exclusiveMinimum" if crate::number::is_number(value) => {
                schema.minimum = Some((limit(keyword, value)?, true));
            }
            "exclusiveMaximum" if crate::number::is_number(value) => {
                schema.maximum = Some((limit(keyword, value)?, true));
            }
            "multipleOf" => {
                limit(keyword, value)?;
                schema.multiple_of = Some(value.clone());
            }
            "dependencies" => {
                let Bson::Document(dependencies) = value else {
                    return Err(wrong(keyword, "an object"));
                };
                for (name, value) in dependencies {
                    let dependency = match value {
                        Bson::Array(_) => Dependency::Fields(strings(keyword, value)?),
                        other => Dependency::Schema(child(keyword, other)?),
                    };
                    schema.dependencies.push((name.clone(), dependency));
                }
            }
            "pattern" => match value {
                Bson::String(pattern) => schema.pattern = Some(Regex::new(pattern, "")?),
                _ => return Err(wrong(keyword, "a string")),
            },
            "uniqueItems" => schema.unique_items = matches!(value, Bson::Boolean(true)),
            "allOf" => schema.all_of = list(keyword, value)?,
            "anyOf" => schema.any_of = list(keyword, value)?,
            "oneOf" => schema.one_of = list(keyword, value)?,
            "not" => schema.not = Some(child(keyword, value)?),
            _ => {}
        }
    }
    Ok(schema)
}

fn strings(keyword: &str, value: &Bson) -> Result<Vec<String>> {
    match value {
        Bson::Array(values) => values
            .iter()
            .map(|value| match value {
                Bson::String(name) => Ok(name.clone()),
                _ => Err(wrong(keyword, "an array of strings")),
            })
            .collect(),
        _ => Err(wrong(keyword, "an array of strings")),
    }
}

fn types(keyword: &str, value: &Bson) -> Result<Vec<Type>> {
    let names = match value {
        Bson::String(name) => vec![name.clone()],
        other => strings(keyword, other)?,
    };
    names
        .iter()
        .map(|name| {
            Ok(match name.as_str() {
                "mixed" => Type::Mixed,
                "number" | "float" => Type::Number,
                "uuid" => Type::Uuid,
                "boolean" => Type::Is(8),
                "binary" => Type::Is(5),
                "function" => Type::Is(13),
                other => Type::Is(crate::matcher::type_number(other).ok_or_else(|| {
                    MqlError::bad_value(format!("Unknown type name alias: {other}"))
                })? as i8),
            })
        })
        .collect()
}
