//! `$out` and `$merge`: what they say. An engine does it.

use bson::raw::RawBsonRef;
use bson::{RawDocument, rawdoc};

use super::Pipeline;
use super::glance::glance;
use super::parse::{field_path, kind, pipeline, unknown_field};
use super::position::Place;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables, check_name};
use crate::matcher::malformed;

/// A collection that is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The database; `None` is the pipeline's own.
    pub database: Option<String>,
    /// The collection.
    pub collection: String,
}

/// A parsed `$merge`.
#[derive(Debug, Clone)]
pub struct Merge {
    /// Where to.
    pub target: Target,
    /// The fields that tell which documents are the same; a unique index has
    /// to be on them.
    pub on: Vec<String>,
    /// What is done with a document that is there.
    pub matched: WhenMatched,
    /// What is done with one that is not.
    pub unmatched: WhenNotMatched,
    lets: Vec<(String, Expression)>,
}

/// What `$merge` does with a document that is there.
#[derive(Debug, Clone)]
pub enum WhenMatched {
    /// The new one takes its place.
    Replace,
    /// It stays.
    Keep,
    /// It gets the new one's fields.
    Merge,
    /// That is an error.
    Fail,
    /// A pipeline changes it.
    Pipeline(Pipeline),
}

/// What `$merge` does with a document that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenNotMatched {
    /// It is inserted.
    Insert,
    /// It is left out.
    Discard,
    /// That is an error.
    Fail,
}

impl Target {
    pub(super) fn parse_out(operand: RawBsonRef<'_>) -> Result<Self> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        let target = match operand {
            RawBsonRef::String(name) => Self {
                database: None,
                collection: name.to_owned(),
            },
            RawBsonRef::Document(spec) => {
                let (Some(database), Some(collection), 2) = (
                    spec.get("db").map_err(malformed)?,
                    spec.get("coll").map_err(malformed)?,
                    spec.iter().count(),
                ) else {
                    return refused(
                        16994,
                        "If an object is passed to $out it must have exactly 2 fields: 'db' and 'coll'"
                            .to_owned(),
                    );
                };
                let text = |name: &str, value| match value {
                    RawBsonRef::String(text) => Ok(text.to_owned()),
                    other => Err(MqlError::new(
                        13111,
                        format!("wrong type for field ({name}) {} != string", kind(other)),
                    )),
                };
                Self {
                    database: Some(text("db", database)?),
                    collection: text("coll", collection)?,
                }
            }
            other => {
                return refused(
                    16990,
                    format!(
                        "$out only supports a string or object argument, but found {}",
                        kind(other)
                    ),
                );
            }
        };
        let database = target.database.as_deref();
        if target.collection.is_empty() || database == Some("") {
            return refused(
                73,
                format!(
                    "Invalid $out target namespace, {}.{}",
                    database.unwrap_or_default(),
                    target.collection
                ),
            );
        }
        if target.collection.starts_with("system.") {
            return refused(
                17385,
                format!("Can't $out to special collection: {}", target.collection),
            );
        }
        if let Some(database @ ("admin" | "config" | "local")) = database {
            return refused(
                31321,
                format!("Can't $out to internal database: {database}"),
            );
        }
        Ok(target)
    }

    fn parse_into(value: RawBsonRef<'_>) -> Result<Self> {
        match value {
            RawBsonRef::String("") => Err(MqlError::new(
                5_786_800,
                "$merge 'into' field cannot be an empty string",
            )),
            RawBsonRef::String(name) => Ok(Self {
                database: None,
                collection: name.to_owned(),
            }),
            RawBsonRef::Document(spec) if other_field(spec)?.is_some() => {
                let name = other_field(spec)?.unwrap_or_default();
                Err(unknown_field("NamespaceSpec", &name))
            }
            RawBsonRef::Document(spec) if mistyped(spec)?.is_some() => {
                let name = mistyped(spec)?.unwrap_or_default();
                Err(MqlError::type_mismatch(format!(
                    "BSON field 'into.{name}' is the wrong type, expected type 'string'"
                )))
            }
            RawBsonRef::Document(spec) => match spec.get("coll").map_err(malformed)? {
                Some(RawBsonRef::String(name)) if !name.is_empty() => Ok(Self {
                    database: spec.get_str("db").ok().map(str::to_owned),
                    collection: name.to_owned(),
                }),
                _ => Err(MqlError::new(
                    5_786_801,
                    "$merge 'into' field must specify a 'coll' that is not empty, null or undefined",
                )),
            },
            other => Err(MqlError::new(
                51178,
                format!(
                    "$merge 'into' field  must be either a string or an object, but found {}",
                    kind(other)
                ),
            )),
        }
    }
}

impl Merge {
    pub(super) fn parse(operand: RawBsonRef<'_>) -> Result<Self> {
        Self::read(operand, true)
    }

    /// Looks at it without its pipeline and variables.
    ///
    /// # Errors
    /// Those of [`Merge::parse`] but for theirs.
    pub(super) fn glance(operand: RawBsonRef<'_>) -> Result<()> {
        Self::read(operand, false).map(drop)
    }

    fn read(operand: RawBsonRef<'_>, whole: bool) -> Result<Self> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        let short;
        let spec: &RawDocument = match operand {
            RawBsonRef::String("") => {
                return refused(73, "Invalid $merge target namespace: ''".to_owned());
            }
            RawBsonRef::String(name) => {
                short = rawdoc! { "into": name };
                &short
            }
            RawBsonRef::Document(spec) => spec,
            other => {
                return refused(
                    14,
                    format!(
                        "$merge requires a string or object argument, but found {}",
                        kind(other)
                    ),
                );
            }
        };
        let mut target = None;
        let mut on = vec!["_id".to_owned()];
        let mut matched = WhenMatched::Merge;
        let mut name = "merge";
        let mut unmatched = WhenNotMatched::Insert;
        let mut lets = None;
        for entry in spec {
            let (field, value) = entry.map_err(malformed)?;
            match field.as_str() {
                "into" => target = Some(Target::parse_into(value)?),
                "on" => on = fields(value)?,
                "whenMatched" => match value {
                    RawBsonRef::String(mode) => {
                        name = mode;
                        matched = when_matched(mode)?;
                    }
                    RawBsonRef::Array(stages) => {
                        name = "pipeline";
                        let stages = if whole {
                            pipeline(stages, Place::Update, 0)?
                        } else {
                            glance(stages, 0)?;
                            Vec::new()
                        };
                        matched = WhenMatched::Pipeline(Pipeline { stages });
                    }
                    other => {
                        return refused(
                            51191,
                            format!(
                                "$merge 'whenMatched' field  must be either a string or an array, but found {}",
                                kind(other)
                            ),
                        );
                    }
                },
                "whenNotMatched" => match value {
                    RawBsonRef::Null | RawBsonRef::Undefined => {}
                    RawBsonRef::String("insert") => unmatched = WhenNotMatched::Insert,
                    RawBsonRef::String("discard") => unmatched = WhenNotMatched::Discard,
                    RawBsonRef::String("fail") => unmatched = WhenNotMatched::Fail,
                    RawBsonRef::String(other) => {
                        return refused(
                            2,
                            format!(
                                "Enumeration value '{other}' for field '$merge.whenNotMatched' is not a valid value."
                            ),
                        );
                    }
                    other => {
                        return refused(
                            14,
                            format!(
                                "BSON field '$merge.whenNotMatched' is the wrong type '{}', expected type 'string'",
                                kind(other)
                            ),
                        );
                    }
                },
                "let" => match value {
                    RawBsonRef::Null | RawBsonRef::Undefined => {}
                    RawBsonRef::Document(document) => lets = Some(document),
                    other => {
                        return refused(
                            14,
                            format!(
                                "BSON field '$merge.let' is the wrong type '{}', expected type 'object'",
                                kind(other)
                            ),
                        );
                    }
                },
                other => return Err(unknown_field("$merge", other)),
            }
        }
        let Some(target) = target else {
            return refused(
                40414,
                "BSON field '$merge.into' is missing but a required field".to_owned(),
            );
        };
        let mode = match unmatched {
            WhenNotMatched::Insert => "insert",
            WhenNotMatched::Discard => "discard",
            WhenNotMatched::Fail => "fail",
        };
        let keeps = matches!(matched, WhenMatched::Keep | WhenMatched::Fail);
        if keeps && unmatched != WhenNotMatched::Insert {
            return refused(
                51181,
                format!(
                    "Combination of $merge modes 'whenMatched: {name}' and 'whenNotMatched: {mode}' is not supported"
                ),
            );
        }
        if !whole {
            lets = None;
        }
        if lets.is_some() && name != "pipeline" {
            return refused(
                51199,
                format!("Cannot use 'let' variables with 'whenMatched: {name}' mode"),
            );
        }
        Ok(Self {
            target,
            on,
            matched,
            unmatched,
            lets: bound(lets)?,
        })
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        let lazy = variables.clone().lazy();
        for (_, expression) in &mut self.lets {
            expression.bind(&lazy)?;
        }
        if let WhenMatched::Pipeline(pipeline) = &mut self.matched {
            let mut inner = variables.clone().literal();
            inner.declare("new");
            for (name, _) in &self.lets {
                inner.declare(name);
            }
            pipeline.bind(&inner)?;
        }
        Ok(())
    }

    /// The pipeline that changes a document when `new` comes.
    ///
    /// # Errors
    /// What a variable's expression fails with; 17276 for one that is missing.
    pub fn pipeline(&self, new: &RawDocument) -> Result<Option<Pipeline>> {
        let WhenMatched::Pipeline(pipeline) = &self.matched else {
            return Ok(None);
        };
        let scope = Scope::of(new);
        let mut variables = Variables::default().literal();
        let root = RawBsonRef::Document(new).try_into().map_err(malformed)?;
        variables.set("new", Some(root));
        for (name, expression) in &self.lets {
            if let Some(value) = expression.evaluate(&scope)? {
                variables.set(name, Some(value));
            }
        }
        let mut pipeline = pipeline.clone();
        pipeline.bind(&variables)?;
        Ok(Some(pipeline))
    }
}

/// A field of a namespace that is no text.
fn mistyped(namespace: &RawDocument) -> Result<Option<String>> {
    for entry in namespace {
        let (name, value) = entry.map_err(malformed)?;
        if !matches!(
            value,
            RawBsonRef::String(_) | RawBsonRef::Null | RawBsonRef::Undefined
        ) {
            return Ok(Some(name.as_str().to_owned()));
        }
    }
    Ok(None)
}

/// A field that a namespace does not have.
fn other_field(namespace: &RawDocument) -> Result<Option<String>> {
    for entry in namespace {
        let (name, _) = entry.map_err(malformed)?;
        if !["db", "coll"].contains(&name.as_str()) {
            return Ok(Some(name.as_str().to_owned()));
        }
    }
    Ok(None)
}

fn when_matched(mode: &str) -> Result<WhenMatched> {
    Ok(match mode {
        "replace" => WhenMatched::Replace,
        "keepExisting" => WhenMatched::Keep,
        "merge" => WhenMatched::Merge,
        "fail" => WhenMatched::Fail,
        other => {
            return Err(MqlError::bad_value(format!(
                "Enumeration value '{other}' for field 'whenMatched' is not a valid value."
            )));
        }
    })
}

fn fields(value: RawBsonRef<'_>) -> Result<Vec<String>> {
    let wrong = |value: RawBsonRef<'_>| {
        MqlError::new(
            51186,
            format!(
                "$merge 'on' field  must be either a string or an array of strings, but found {}",
                kind(value)
            ),
        )
    };
    let mut fields: Vec<String> = Vec::new();
    match value {
        RawBsonRef::String(name) => fields.push(name.to_owned()),
        RawBsonRef::Array(names) if names.is_empty() => {
            return Err(MqlError::new(
                51187,
                "If explicitly specifying $merge 'on', must include at least one field",
            ));
        }
        RawBsonRef::Array(names) => {
            for name in names {
                match name.map_err(malformed)? {
                    RawBsonRef::String(name) if fields.iter().any(|known| known == name) => {
                        return Err(MqlError::new(
                            31465,
                            format!("Found a duplicate field '{name}'"),
                        ));
                    }
                    RawBsonRef::String(name) => fields.push(name.to_owned()),
                    other => {
                        return Err(MqlError::new(
                            51134,
                            format!(
                                "$merge 'on' array elements must be strings, but found {}",
                                kind(other)
                            ),
                        ));
                    }
                }
            }
        }
        other => return Err(wrong(other)),
    }
    for field in &fields {
        field_path(field)?;
    }
    Ok(fields)
}

fn bound(lets: Option<&RawDocument>) -> Result<Vec<(String, Expression)>> {
    let mut bound = Vec::new();
    for entry in lets.into_iter().flatten() {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        check_name(name)?;
        if name == "new" {
            if value != RawBsonRef::String("$$ROOT") {
                return Err(MqlError::new(
                    51273,
                    "'let' may not define a value for the reserved 'new' variable other than '$$ROOT'",
                ));
            }
            continue;
        }
        bound.push((name.to_owned(), Expression::parse_open(value)?));
    }
    Ok(bound)
}
