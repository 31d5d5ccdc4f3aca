//! `$addFields` and `$unset` on raw documents.

use std::borrow::Cow;

use bson::raw::{CStr, RawBsonRef};
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use crate::depth::{check, check_path};
use crate::error::{MqlError, Result, guard};
use crate::expression::{Expression, Scope};
use crate::matcher::malformed;
use crate::order::into_raw;

/// `$addFields`: what is computed, by name.
#[derive(Debug, Clone, Default)]
pub struct AddFields {
    fields: Vec<(String, Added)>,
    /// Whether a result can be deeper than what it is made of.
    deep: bool,
}

#[derive(Debug, Clone)]
enum Added {
    Value(Expression),
    /// Fields of the document that is there, or of a new one.
    Within(Vec<(String, Added)>),
}

impl AddFields {
    pub(super) fn parse(specification: &RawDocument) -> Result<Self> {
        let mut made = Self::default();
        for (path, expression) in fields(specification, 0)? {
            made.deep |= path.len() > 1 || expression.path().is_none();
            insert(&mut made.fields, &path, expression)?;
        }
        Ok(made)
    }

    pub(super) fn apply(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        let mut out = RawDocumentBuf::new();
        add(&self.fields, &Scope::of(document), Some(document), &mut out)?;
        if self.deep {
            check(&out)?;
        }
        Ok(out)
    }
}

fn fields(document: &RawDocument, depth: usize) -> Result<Vec<(Vec<String>, Expression)>> {
    guard(depth)?;
    let mut fields = Vec::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        check_path(name)?;
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return Err(MqlError::new(
                40352,
                "FieldPath cannot be constructed with empty string",
            ));
        }
        if name.starts_with('$') {
            return Err(MqlError::new(
                16410,
                format!("FieldPath field names may not start with '$'. ({name})"),
            ));
        }
        // A plain document adds its fields one by one.
        let nested = match value {
            RawBsonRef::Document(inner) => {
                let first = inner.iter().next().and_then(std::result::Result::ok);
                first
                    .is_some_and(|(name, _)| !name.as_str().starts_with('$'))
                    .then_some(inner)
            }
            _ => None,
        };
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        match nested {
            Some(inner) => {
                for (rest, expression) in self::fields(inner, depth + 1)? {
                    let path = [path.clone(), rest].concat();
                    check_path(&path.join("."))?;
                    fields.push((path, expression));
                }
            }
            None => fields.push((path, Expression::parse(value)?)),
        }
    }
    Ok(fields)
}

fn insert(
    fields: &mut Vec<(String, Added)>,
    path: &[String],
    expression: Expression,
) -> Result<()> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(());
    };
    let conflict = || {
        MqlError::new(
            40176,
            format!("specification contains two conflicting paths: '{first}'"),
        )
    };
    let at = fields.iter().position(|(name, _)| name == first);
    match (at, rest.is_empty()) {
        (None, true) => fields.push((first.clone(), Added::Value(expression))),
        (None, false) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, expression)?;
            fields.push((first.clone(), Added::Within(inner)));
        }
        (Some(_), true) => return Err(conflict()),
        (Some(at), false) => match &mut fields[at].1 {
            Added::Within(inner) => insert(inner, rest, expression)?,
            Added::Value(_) => return Err(conflict()),
        },
    }
    Ok(())
}

/// Copies a document with its computed fields in their places, new ones last.
fn add(
    fields: &[(String, Added)],
    scope: &Scope<'_>,
    document: Option<&RawDocument>,
    out: &mut RawDocumentBuf,
) -> Result<()> {
    let mut seen = vec![false; fields.len()];
    for entry in document.into_iter().flatten() {
        let (name, value) = entry.map_err(malformed)?;
        let Some(at) = fields.iter().position(|(field, _)| field == name.as_str()) else {
            out.append(name, value);
            continue;
        };
        seen[at] = true;
        match &fields[at].1 {
            Added::Value(expression) => {
                if let Some(value) = expression.evaluate(scope)? {
                    out.append(name, into_raw(value));
                }
            }
            Added::Within(inner) => out.append(name, within(inner, scope, Some(value))?),
        }
    }
    for ((name, added), _) in fields.iter().zip(seen).filter(|(_, seen)| !seen) {
        match added {
            Added::Value(expression) => {
                if let Some(value) = expression.evaluate(scope)? {
                    out.append(key(name)?, into_raw(value));
                }
            }
            Added::Within(inner) => out.append(key(name)?, within(inner, scope, None)?),
        }
    }
    Ok(())
}

/// Through arrays it goes into each element, and what is no document becomes
/// one.
fn within(
    fields: &[(String, Added)],
    scope: &Scope<'_>,
    value: Option<RawBsonRef<'_>>,
) -> Result<RawBson> {
    if let Some(RawBsonRef::Array(array)) = value {
        let mut out = RawArrayBuf::new();
        for element in array {
            out.push(within(fields, scope, Some(element.map_err(malformed)?))?);
        }
        return Ok(RawBson::Array(out));
    }
    let document = match value {
        Some(RawBsonRef::Document(document)) => Some(document),
        _ => None,
    };
    let mut out = RawDocumentBuf::new();
    add(fields, scope, document, &mut out)?;
    Ok(RawBson::Document(out))
}

/// `$unset`: what is removed, by name.
#[derive(Debug, Clone, Default)]
pub struct Unset {
    fields: Vec<(String, Removed)>,
}

#[derive(Debug, Clone)]
enum Removed {
    All,
    Within(Vec<(String, Removed)>),
}

impl Unset {
    pub(super) fn parse(operand: RawBsonRef<'_>) -> Result<Self> {
        let mut made = Self::default();
        let wrong = || {
            MqlError::new(
                31002,
                "$unset specification must be a string or an array of strings",
            )
        };
        match operand {
            RawBsonRef::String(name) => forget(&mut made.fields, name),
            RawBsonRef::Array(names) => {
                for name in names {
                    match name.map_err(malformed)? {
                        RawBsonRef::String(name) => forget(&mut made.fields, name),
                        _ => return Err(wrong()),
                    }
                }
            }
            _ => return Err(wrong()),
        }
        Ok(made)
    }

    pub(super) fn apply(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        remove(&self.fields, document)
    }
}

fn forget(fields: &mut Vec<(String, Removed)>, path: &str) {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let at = fields
        .iter()
        .position(|(name, _)| name == first)
        .unwrap_or_else(|| {
            fields.push((first.to_owned(), Removed::Within(Vec::new())));
            fields.len() - 1
        });
    match (&mut fields[at].1, rest) {
        (removed, None) => *removed = Removed::All,
        (Removed::Within(inner), Some(rest)) => forget(inner, rest),
        (Removed::All, Some(_)) => {}
    }
}

fn remove(fields: &[(String, Removed)], document: &RawDocument) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        match fields.iter().find(|(field, _)| field == name.as_str()) {
            None => out.append(name, value),
            Some((_, Removed::All)) => {}
            Some((_, Removed::Within(inner))) => out.append(name, remove_within(inner, value)?),
        }
    }
    Ok(out)
}

fn remove_within(fields: &[(String, Removed)], value: RawBsonRef<'_>) -> Result<RawBson> {
    Ok(match value {
        RawBsonRef::Document(document) => RawBson::Document(remove(fields, document)?),
        RawBsonRef::Array(array) => {
            let mut out = RawArrayBuf::new();
            for element in array {
                out.push(remove_within(fields, element.map_err(malformed)?)?);
            }
            RawBson::Array(out)
        }
        scalar => scalar.into(),
    })
}

/// A copy of `document` with the value at `path`, which goes through documents
/// only, replaced or removed; what is not there is made.
pub(super) fn replace(
    document: &RawDocument,
    path: &[String],
    value: Option<RawBsonRef<'_>>,
) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    let Some((first, rest)) = path.split_first() else {
        return Ok(document.to_owned());
    };
    let empty = RawDocument::from_bytes(&[5, 0, 0, 0, 0]).map_err(malformed)?;
    let mut seen = false;
    for entry in document {
        let (name, found) = entry.map_err(malformed)?;
        if seen || name.as_str() != first {
            out.append(name, found);
            continue;
        }
        seen = true;
        match (rest.is_empty(), found) {
            (true, _) => {
                if let Some(value) = value {
                    out.append(name, value);
                }
            }
            (false, RawBsonRef::Document(inner)) => {
                out.append(name, replace(inner, rest, value)?);
            }
            (false, other) if value.is_none() => out.append(name, other),
            (false, _) => out.append(name, replace(empty, rest, value)?),
        }
    }
    if let (false, Some(value)) = (seen, value) {
        let name = key(first)?;
        if rest.is_empty() {
            out.append(name, value);
        } else {
            out.append(name, replace(empty, rest, Some(value))?);
        }
    }
    Ok(out)
}

/// A field's name as BSON has it.
pub(super) fn key(name: &str) -> Result<&CStr> {
    name.try_into().map_err(malformed)
}

/// One document of `fields`.
pub(super) fn document<'a>(
    fields: impl IntoIterator<Item = (Cow<'a, str>, RawBson)>,
) -> Result<RawDocumentBuf> {
    let mut out = RawDocumentBuf::new();
    for (name, value) in fields {
        out.append(key(&name)?, value);
    }
    Ok(out)
}
