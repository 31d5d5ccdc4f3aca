//! From a document to a schema.

use bson::{Bson, Document};

use super::format::Format;
use super::{
    Additional, Choices, Condition, Dependency, Expressions, Items, Schema, Type, identity_of,
    names,
};
use crate::error::{MqlError, Result, guard};
use crate::order::raw;
use crate::regex::Regex;

/// Schemas in one schema of the service.
const SCHEMAS_MAX: usize = 20_000;
/// Faults that are told of one schema.
const FAULTS_MAX: usize = 100;
/// Bytes of the listed values that a message shows.
const WRITTEN_BYTES_MAX: usize = 1000;

/// What is wrong with a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The schema inside of it that is wrong: `properties.a.allOf[0]`.
    pub path: String,
    /// What.
    pub error: MqlError,
}

/// A `validate` expression as it stands in a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Validate {
    /// Where: `properties.a.validate`.
    pub path: String,
    /// The expression.
    pub value: Bson,
}

/// A schema of the service as it was read.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The schema, without what is faulty.
    pub schema: Schema,
    /// Its `validate` expressions, by number.
    pub validates: Vec<Validate>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl Parsed {
    /// Reads a collection's schema.
    pub fn of(document: &Document) -> Self {
        Self::read(document, true)
    }

    /// Reads a `$jsonSchema` that was found to be one.
    pub(super) fn of_mongodb(document: &Document) -> Self {
        Self::read(document, false)
    }

    fn read(document: &Document, service: bool) -> Self {
        let mut parser = Parser {
            service,
            path: Vec::new(),
            depth: 0,
            schemas: 0,
            validates: Vec::new(),
            faults: Vec::new(),
        };
        let schema = parser.schema(document);
        Self {
            schema: *schema,
            validates: parser.validates,
            faults: parser.faults,
        }
    }

    /// The schema.
    ///
    /// # Errors
    /// The first fault.
    pub fn into_schema(self) -> Result<Schema> {
        match self.faults.into_iter().next() {
            Some(fault) => Err(fault.error),
            None => Ok(self.schema),
        }
    }
}

struct Parser {
    /// By the service's rules, not by MongoDB's.
    service: bool,
    /// Where the parser is: keywords, names, indexes.
    path: Vec<String>,
    depth: usize,
    schemas: usize,
    validates: Vec<Validate>,
    faults: Vec<Fault>,
}

impl Parser {
    fn at(&self) -> String {
        let mut at = String::new();
        for part in &self.path {
            if !at.is_empty() && !part.starts_with('[') {
                at.push('.');
            }
            at.push_str(part);
        }
        at
    }

    fn fault(&mut self, error: MqlError) {
        if self.faults.len() < FAULTS_MAX {
            let path = self.at();
            self.faults.push(Fault { path, error });
        }
    }

    /// A part of the schema that is named by a keyword, and by a name or index
    /// in it. Boxed: by value, each level would have several schemas on the
    /// stack.
    fn within(&mut self, keyword: &str, name: Option<String>, value: &Bson) -> Box<Schema> {
        let outside = self.path.len();
        self.path.push(keyword.to_owned());
        self.path.extend(name);
        self.depth += 1;
        let schema = match value {
            Bson::Document(document) => self.schema(document),
            Bson::Boolean(value) if self.service => {
                let mut schema = Box::<Schema>::default();
                schema.never = !value;
                schema
            }
            _ => {
                self.fault(wrong(keyword, "an object"));
                Box::default()
            }
        };
        self.depth -= 1;
        self.path.truncate(outside);
        schema
    }

    fn child(&mut self, keyword: &str, value: &Bson) -> Box<Schema> {
        self.within(keyword, None, value)
    }

    fn list(&mut self, keyword: &str, value: &Bson) -> Result<Vec<Schema>> {
        let Bson::Array(schemas) = value else {
            return Err(wrong(keyword, "an array of objects"));
        };
        let mut list = Vec::new();
        for (at, schema) in schemas.iter().enumerate() {
            let inner = self.within(keyword, Some(format!("[{at}]")), schema);
            list.push(inner);
        }
        Ok(list.into_iter().map(|inner| *inner).collect())
    }

    fn additional(&mut self, keyword: &str, value: &Bson) -> Option<Additional> {
        match value {
            Bson::Boolean(true) => None,
            Bson::Boolean(false) => Some(Additional::Forbidden),
            other => Some(Additional::Schema(self.child(keyword, other))),
        }
    }

    fn schema(&mut self, document: &Document) -> Box<Schema> {
        let mut schema = Box::<Schema>::default();
        self.schemas += 1;
        let room = if self.schemas > SCHEMAS_MAX && self.service {
            let text = format!("a schema has at most {SCHEMAS_MAX} schemas in it");
            Err(MqlError::failed_to_parse(text))
        } else {
            guard(self.depth)
        };
        if let Err(error) = room {
            // Said once: what follows is too many as well.
            if self.schemas <= SCHEMAS_MAX + 1 {
                self.fault(error);
            }
            return schema;
        }
        for (keyword, value) in document {
            let read = match self.structure(&mut schema, keyword, value) {
                Ok(false) => self.plain(&mut schema, document, keyword, value),
                read => read.map(|_| ()),
            };
            if let Err(error) = read {
                self.fault(error);
            }
        }
        if self.service {
            self.conditions(&mut schema, document);
            if let Some(value) = document.get("validate") {
                let path = match self.at() {
                    at if at.is_empty() => "validate".to_owned(),
                    at => format!("{at}.validate"),
                };
                schema.validate = Some(self.validates.len());
                self.validates.push(Validate {
                    path,
                    value: value.clone(),
                });
            }
        }
        schema.note_expressions();
        schema
    }

    /// Keywords that hold schemas; whether this is one.
    fn structure(&mut self, schema: &mut Schema, keyword: &str, value: &Bson) -> Result<bool> {
        match keyword {
            "properties" => {
                for (name, value) in object(keyword, value)? {
                    let inner = self.within(keyword, Some(name.clone()), value);
                    schema.places.insert(name.clone(), schema.properties.len());
                    push(&mut schema.properties, name.clone(), inner);
                }
            }
            "patternProperties" => {
                for (pattern, value) in object(keyword, value)? {
                    let inner = self.within(keyword, Some(pattern.clone()), value);
                    push(&mut schema.patterns, Regex::new(pattern, "")?, inner);
                }
            }
            "additionalProperties" => schema.additional = self.additional(keyword, value),
            "additionalItems" => schema.additional_items = self.additional(keyword, value),
            "items" => {
                schema.items = Some(match value {
                    Bson::Array(_) => Items::Tuple(self.list(keyword, value)?),
                    other => Items::Each(self.child(keyword, other)),
                });
            }
            "dependencies" => {
                for (name, value) in object(keyword, value)? {
                    let dependency = match value {
                        Bson::Array(_) => Dependency::Fields(strings(keyword, value)?),
                        other => {
                            Dependency::Schema(self.within(keyword, Some(name.clone()), other))
                        }
                    };
                    schema.dependencies.push((name.clone(), dependency));
                }
            }
            "allOf" => schema.all_of = self.list(keyword, value)?,
            "anyOf" => schema.any_of = self.list(keyword, value)?,
            "oneOf" => schema.one_of = self.list(keyword, value)?,
            "not" => schema.not = Some(self.child(keyword, value)),
            "contains" if self.service => schema.contains = Some(self.child(keyword, value)),
            "propertyNames" if self.service => schema.names = Some(self.child(keyword, value)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Keywords that hold values.
    fn plain(
        &mut self,
        schema: &mut Schema,
        document: &Document,
        keyword: &str,
        value: &Bson,
    ) -> Result<()> {
        match keyword {
            "bsonType" | "type" => {
                schema.types.push(self.types(keyword, value)?);
                schema.expected = names::expected(document);
            }
            "required" => schema.required = strings(keyword, value)?,
            "enum" => match value {
                Bson::Array(values) => schema.choices = Some(choices(values)),
                _ => return Err(wrong(keyword, "an array")),
            },
            "const" if self.service => {
                schema.constant = Some(choices(std::slice::from_ref(value)));
            }
            "minProperties" => schema.counts.properties.0 = whole(keyword, value)?,
            "maxProperties" => schema.counts.properties.1 = whole(keyword, value)?,
            "minItems" => schema.counts.items.0 = whole(keyword, value)?,
            "maxItems" => schema.counts.items.1 = whole(keyword, value)?,
            "minLength" => schema.counts.length.0 = whole(keyword, value)?,
            "maxLength" => schema.counts.length.1 = whole(keyword, value)?,
            "minimum" => {
                let limit = Some(raw(numeric(keyword, value)?));
                match document.get("exclusiveMinimum") {
                    Some(Bson::Boolean(true)) => schema.limits.above = limit,
                    _ => schema.limits.minimum = limit,
                }
            }
            "maximum" => {
                let limit = Some(raw(numeric(keyword, value)?));
                match document.get("exclusiveMaximum") {
                    Some(Bson::Boolean(true)) => schema.limits.below = limit,
                    _ => schema.limits.maximum = limit,
                }
            }
            "exclusiveMinimum" | "exclusiveMaximum" if self.service => {
                let (limit, other) = if keyword == "exclusiveMinimum" {
                    (&mut schema.limits.above, "minimum")
                } else {
                    (&mut schema.limits.below, "maximum")
                };
                match value {
                    Bson::Boolean(false) => {}
                    Bson::Boolean(true) if document.contains_key(other) => {}
                    Bson::Boolean(true) => {
                        let must = format!("a number where there is no '{other}'");
                        return Err(wrong(keyword, &must));
                    }
                    value if crate::number::is_number(value) => *limit = Some(raw(value)),
                    _ => return Err(wrong(keyword, "a number or a boolean")),
                }
            }
            "multipleOf" => {
                let step = numeric(keyword, value)?;
                if self.service && crate::number::double(step).is_none_or(|step| step <= 0.0) {
                    return Err(wrong(keyword, "more than 0"));
                }
                schema.limits.multiple_of = Some(step.clone());
            }
            "pattern" => schema.pattern = Some(Regex::new(text(keyword, value)?, "")?),
            "format" if self.service => {
                let name = text(keyword, value)?;
                // What nobody knows is no condition.
                schema.format = Format::named(name).map(|format| (format, name.to_owned()));
            }
            "uniqueItems" => match value {
                Bson::Boolean(unique) => schema.unique_items = *unique,
                _ => return Err(wrong(keyword, "a boolean")),
            },
            _ => {}
        }
        Ok(())
    }

    fn conditions(&mut self, schema: &mut Schema, document: &Document) {
        let mut part = |keyword: &str| {
            let value = document.get(keyword)?;
            Some(self.within(keyword, None, value))
        };
        // They are read, so that what is wrong with them is told, though they
        // mean nothing without the first.
        let (when, then, otherwise) = (part("if"), part("then"), part("else"));
        schema.condition = when.map(|when| {
            Box::new(Condition {
                when,
                then,
                otherwise,
            })
        });
    }

    fn types(&self, keyword: &str, value: &Bson) -> Result<Vec<Type>> {
        let names = match value {
            Bson::String(name) => vec![name.clone()],
            other => strings(keyword, other)?,
        };
        let named = |name: &String| {
            Ok(match (name.as_str(), self.service) {
                ("mixed", _) => Type::Mixed,
                ("number", _) => Type::Number,
                ("uuid", _) => Type::Uuid,
                ("float", _) => Type::Is(1),
                ("boolean", _) => Type::Is(8),
                ("binary", _) => Type::Is(5),
                ("javascript" | "function", true) => Type::Code,
                (other, _) => Type::Is(crate::matcher::type_number(other).ok_or_else(|| {
                    MqlError::bad_value(format!("Unknown type name alias: {other}"))
                })? as i8),
            })
        };
        names.iter().map(named).collect()
    }
}

impl Schema {
    /// The schemas that are about the same value.
    fn combined(&self) -> impl Iterator<Item = &Self> {
        let lists = [&self.all_of, &self.any_of, &self.one_of].into_iter();
        let condition = self.condition.iter().flat_map(|condition| {
            let branches = condition.then.iter().chain(&condition.otherwise);
            std::iter::once(&condition.when)
                .chain(branches)
                .map(|part| &**part)
        });
        lists.flatten().chain(self.not.as_deref()).chain(condition)
    }

    /// Notes whether there are expressions, those inside being noted.
    fn note_expressions(&mut self) {
        let here = self.validate.is_some() || self.combined().any(Self::asks);
        let additional = |additional: &Option<Additional>| match additional {
            Some(Additional::Schema(schema)) => schema.asks_inside(),
            _ => false,
        };
        let dependencies = self.dependencies.iter();
        let inside = self.combined().any(Self::asks_inside)
            || self.properties.iter().any(|(_, inner)| inner.asks_inside())
            || self.patterns.iter().any(|(_, inner)| inner.asks_inside())
            || additional(&self.additional)
            || additional(&self.additional_items)
            || match &self.items {
                Some(Items::Each(inner)) => inner.asks_inside(),
                Some(Items::Tuple(list)) => list.iter().any(Self::asks_inside),
                None => false,
            }
            || [&self.contains, &self.names]
                .into_iter()
                .flatten()
                .any(|inner| inner.asks_inside())
            || dependencies.into_iter().any(|(_, dependency)| {
                matches!(dependency, Dependency::Schema(inner) if inner.asks_inside())
            });
        self.expressions = match (here, inside) {
            (true, _) => Expressions::Here,
            (false, true) => Expressions::Inside,
            (false, false) => Expressions::None,
        };
    }
}

/// Takes a schema out of its box, outside of the frames that nest.
fn push<K>(list: &mut Vec<(K, Schema)>, key: K, inner: Box<Schema>) {
    list.push((key, *inner));
}

fn wrong(keyword: &str, wanted: &str) -> MqlError {
    MqlError::failed_to_parse(format!("$jsonSchema keyword '{keyword}' must be {wanted}"))
}

fn object<'a>(keyword: &str, value: &'a Bson) -> Result<&'a Document> {
    match value {
        Bson::Document(document) => Ok(document),
        _ => Err(wrong(keyword, "an object")),
    }
}

fn text<'a>(keyword: &str, value: &'a Bson) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(keyword, "a string"))
}

fn numeric<'a>(keyword: &str, value: &'a Bson) -> Result<&'a Bson> {
    if crate::number::is_number(value) {
        Ok(value)
    } else {
        Err(wrong(keyword, "a number"))
    }
}

fn whole(keyword: &str, value: &Bson) -> Result<Option<i64>> {
    crate::number::whole(value)
        .filter(|n| *n >= 0)
        .map(Some)
        .ok_or_else(|| wrong(keyword, "a non-negative integer"))
}

fn strings(keyword: &str, value: &Bson) -> Result<Vec<String>> {
    let Bson::Array(values) = value else {
        return Err(wrong(keyword, "an array of strings"));
    };
    let name = |value: &Bson| match value {
        Bson::String(name) => Ok(name.clone()),
        _ => Err(wrong(keyword, "an array of strings")),
    };
    values.iter().map(name).collect()
}

fn choices(values: &[Bson]) -> Choices {
    let mut identities: Vec<Vec<u8>> = values.iter().map(identity_of).collect();
    identities.sort_unstable();
    let mut written = String::new();
    for value in values {
        if written.len() > WRITTEN_BYTES_MAX {
            break;
        }
        if !written.is_empty() {
            written.push_str(", ");
        }
        written.push_str(&value.clone().into_relaxed_extjson().to_string());
    }
    if written.len() > WRITTEN_BYTES_MAX {
        let end = (0..=WRITTEN_BYTES_MAX).rfind(|end| written.is_char_boundary(*end));
        written.truncate(end.unwrap_or(0));
        written.push('…');
    }
    Choices {
        identities,
        written,
    }
}
