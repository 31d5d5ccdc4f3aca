//! `$addFields` and `$unset` on raw documents.

use std::borrow::Cow;

use bson::raw::{CStr, RawBsonRef};
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::parse::{field_path, shown};
use crate::depth::{check, check_path};
use crate::error::{MqlError, Result, guard};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::order::into_raw;

/// `$addFields`: what is computed, by name.
#[derive(Debug, Clone, Default)]
pub struct AddFields {
    fields: Vec<(String, Added<Expression>)>,
    /// Whether a result can be deeper than what it is made of.
    deep: bool,
}

#[derive(Debug, Clone)]
enum Added<T> {
    Value(T),
    /// Fields of the document that is there, or of a new one.
    Within(Vec<(String, Added<T>)>),
}

/// Where values that are computed elsewhere go, by their places among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    fields: Vec<(String, Added<usize>)>,
    next: usize,
}

impl Places {
    /// Adds a path for the next value.
    ///
    /// # Errors
    /// 40176 when it is in the way of another.
    pub(super) fn add(&mut self, path: &[String]) -> Result<()> {
        insert(&mut self.fields, path, 0, self.next)?;
        self.next += 1;
        Ok(())
    }

    /// The document with the values in their places; what is missing takes off
    /// what was there.
    pub(super) fn put(
        &self,
        document: &RawDocument,
        values: &[Option<RawBson>],
    ) -> Result<RawDocumentBuf> {
        let mut out = RawDocumentBuf::new();
        let value = |at: &usize| Ok(values.get(*at).cloned().flatten());
        add(&self.fields, &value, Some(document), &mut out)?;
        check(&out)?;
        Ok(out)
    }
}

impl AddFields {
    pub(super) fn parse(specification: &RawDocument) -> Result<Self> {
        let mut made = Self::default();
        made.fields(specification, &[], 0)?;
        Ok(made)
    }

    /// The one that adds one top-level field.
    pub(super) fn of(name: &str, value: Expression) -> Self {
        Self {
            deep: true,
            fields: vec![(name.to_owned(), Added::Value(value))],
        }
    }

    fn fields(&mut self, document: &RawDocument, above: &[String], depth: usize) -> Result<()> {
        guard(depth)?;
        for entry in document {
            let (name, value) = entry.map_err(malformed)?;
            if !above.is_empty() && name.as_str().contains('.') {
                return Err(MqlError::new(
                    40183,
                    format!(
                        "cannot use dotted field name '{}' in a sub object",
                        name.as_str()
                    ),
                ));
            }
            if !above.is_empty() && name.as_str().is_empty() {
                return Err(MqlError::new(40353, "FieldPath must not end with a '.'."));
            }
            let path = [above, &field_path(name.as_str())?].concat();
            check_path(&path.join("."))?;
            // A plain document adds its fields one by one.
            if let RawBsonRef::Document(inner) = value
                && !is_expression(inner, &path)?
            {
                self.fields(inner, &path, depth + 1)?;
                continue;
            }
            let expression = Expression::parse_open(value)?;
            self.deep |= path.len() > 1 || expression.path().is_none();
            insert(&mut self.fields, &path, 0, expression)?;
        }
        Ok(())
    }

    /// The paths that are computed.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        fn walk<T>(fields: &[(String, Added<T>)], above: &[String], into: &mut Vec<Vec<String>>) {
            for (name, added) in fields {
                let path = [above, std::slice::from_ref(name)].concat();
                match added {
                    Added::Value(_) => into.push(path),
                    Added::Within(inner) => walk(inner, &path, into),
                }
            }
        }
        let mut paths = Vec::new();
        walk(&self.fields, &[], &mut paths);
        paths
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        bind(&mut self.fields, variables)
    }

    pub(super) fn apply(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        let mut out = RawDocumentBuf::new();
        let scope = Scope::of(document);
        let value = |value: &Expression| Ok(value.evaluate(&scope)?.map(into_raw));
        add(&self.fields, &value, Some(document), &mut out)?;
        if self.deep {
            check(&out)?;
        }
        Ok(out)
    }
}

/// Whether a document is an expression and no plain one.
fn is_expression(document: &RawDocument, path: &[String]) -> Result<bool> {
    let mut count = 0;
    let mut operators = false;
    for entry in document {
        let (name, _) = entry.map_err(malformed)?;
        count += 1;
        operators |= name.as_str().starts_with('$');
    }
    if count == 0 {
        return Err(MqlError::new(
            40180,
            format!(
                "an empty object is not a valid value. Found empty object at path {}",
                path.join(".")
            ),
        ));
    }
    if operators && count > 1 {
        return Err(MqlError::new(
            40181,
            format!(
                "an expression specification must contain exactly one field, the name of the expression. Found {count} fields in {}",
                shown(RawBsonRef::Document(document))
            ),
        ));
    }
    Ok(operators)
}

fn bind(fields: &mut [(String, Added<Expression>)], variables: &Variables) -> Result<()> {
    fields.iter_mut().try_for_each(|(_, added)| match added {
        Added::Value(expression) => expression.bind(variables),
        Added::Within(inner) => bind(inner, variables),
    })
}

fn insert<T>(
    fields: &mut Vec<(String, Added<T>)>,
    path: &[String],
    depth: usize,
    value: T,
) -> Result<()> {
    let Some(first) = path.get(depth) else {
        return Ok(());
    };
    let last = depth + 1 == path.len();
    let conflict = |other: &str| {
        MqlError::new(
            40176,
            format!(
                "specification contains two conflicting paths. Cannot specify both '{}' and '{other}'",
                path.join(".")
            ),
        )
    };
    let above = path[..=depth].join(".");
    match fields.iter().position(|(name, _)| name == first) {
        None if last => fields.push((first.clone(), Added::Value(value))),
        None => {
            let mut inner = Vec::new();
            insert(&mut inner, path, depth + 1, value)?;
            fields.push((first.clone(), Added::Within(inner)));
        }
        Some(at) => match &mut fields[at].1 {
            Added::Within(inner) if !last => insert(inner, path, depth + 1, value)?,
            Added::Within(inner) => {
                let mut other = above;
                let mut inner = &*inner;
                while let Some((name, added)) = inner.first() {
                    other = format!("{other}.{name}");
                    match added {
                        Added::Within(deeper) => inner = deeper,
                        Added::Value(_) => break,
                    }
                }
                return Err(conflict(&other));
            }
            Added::Value(_) => return Err(conflict(&above)),
        },
    }
    Ok(())
}

/// Copies a document with its computed fields in their places, new ones last.
fn add<T>(
    fields: &[(String, Added<T>)],
    compute: &dyn Fn(&T) -> Result<Option<RawBson>>,
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
            Added::Value(value) => {
                if let Some(value) = compute(value)? {
                    out.append(name, value);
                }
            }
            Added::Within(inner) => out.append(name, within(inner, compute, Some(value))?),
        }
    }
    for ((name, added), _) in fields.iter().zip(seen).filter(|(_, seen)| !seen) {
        match added {
            Added::Value(value) => {
                if let Some(value) = compute(value)? {
                    out.append(key(name)?, value);
                }
            }
            Added::Within(inner) => out.append(key(name)?, within(inner, compute, None)?),
        }
    }
    Ok(())
}

/// Through arrays it goes into each element, and what is no document becomes
/// one.
fn within<T>(
    fields: &[(String, Added<T>)],
    compute: &dyn Fn(&T) -> Result<Option<RawBson>>,
    value: Option<RawBsonRef<'_>>,
) -> Result<RawBson> {
    if let Some(RawBsonRef::Array(array)) = value {
        let mut out = RawArrayBuf::new();
        for element in array {
            out.push(within(fields, compute, Some(element.map_err(malformed)?))?);
        }
        return Ok(RawBson::Array(out));
    }
    let document = match value {
        Some(RawBsonRef::Document(document)) => Some(document),
        _ => None,
    };
    let mut out = RawDocumentBuf::new();
    add(fields, compute, document, &mut out)?;
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
        let refused = |code: i32, text: &str| Err(MqlError::new(code, text));
        let mut made = Self::default();
        let mut forget = |name: &str| {
            field_path(name)
                .and_then(|path| forget(&mut made.fields, &path, 0))
                .map_err(|error| {
                    let text = format!("Invalid $unset :: caused by :: {}", error.message);
                    MqlError::new(error.code, text)
                })
        };
        match operand {
            RawBsonRef::String(name) => forget(name)?,
            RawBsonRef::Array(names) if names.is_empty() => {
                return refused(
                    31119,
                    "$unset specification must be a string or an array with at least one field",
                );
            }
            RawBsonRef::Array(names) => {
                for name in names {
                    let RawBsonRef::String(name) = name.map_err(malformed)? else {
                        return refused(
                            31120,
                            "$unset specification must be a string or an array containing only string values",
                        );
                    };
                    forget(name)?;
                }
            }
            _ => return refused(31002, "$unset specification must be a string or an array"),
        }
        Ok(made)
    }

    /// The paths that are removed.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        fn walk(fields: &[(String, Removed)], above: &[String], into: &mut Vec<Vec<String>>) {
            for (name, removed) in fields {
                let path = [above, std::slice::from_ref(name)].concat();
                match removed {
                    Removed::All => into.push(path),
                    Removed::Within(inner) => walk(inner, &path, into),
                }
            }
        }
        let mut paths = Vec::new();
        walk(&self.fields, &[], &mut paths);
        paths
    }

    pub(super) fn apply(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        remove(&self.fields, document)
    }
}

fn forget(fields: &mut Vec<(String, Removed)>, path: &[String], depth: usize) -> Result<()> {
    let Some(first) = path.get(depth) else {
        return Ok(());
    };
    let collision = |code: i32| {
        let mut text = format!("Path collision at {}", path.join("."));
        if code == 31249 {
            text = format!("{text} remaining portion {}", path[depth + 1..].join("."));
        }
        Err(MqlError::new(code, text))
    };
    let last = depth + 1 == path.len();
    match fields.iter().position(|(name, _)| name == first) {
        None if last => fields.push((first.clone(), Removed::All)),
        None => {
            let mut inner = Vec::new();
            forget(&mut inner, path, depth + 1)?;
            fields.push((first.clone(), Removed::Within(inner)));
        }
        Some(at) => match &mut fields[at].1 {
            Removed::Within(inner) if !last => forget(inner, path, depth + 1)?,
            Removed::All if !last => return collision(31249),
            _ => return collision(31250),
        },
    }
    Ok(())
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

/// [`replace`] with the new field at the end of its document, also where there
/// was one.
pub(super) fn put_last(
    document: &RawDocument,
    path: &[String],
    value: Option<RawBsonRef<'_>>,
) -> Result<RawDocumentBuf> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(document.to_owned());
    };
    let mut out = RawDocumentBuf::new();
    let mut inner = None;
    for entry in document {
        let (name, found) = entry.map_err(malformed)?;
        if name.as_str() == first {
            inner = Some(found);
        } else {
            out.append(name, found);
        }
    }
    let Some(value) = value else {
        return Ok(out);
    };
    let name = key(first)?;
    match (rest.is_empty(), inner) {
        (true, _) => out.append(name, value),
        (false, Some(RawBsonRef::Document(inner))) => {
            out.append(name, put_last(inner, rest, Some(value))?);
        }
        (false, _) => out.append(name, put_last(&RawDocumentBuf::new(), rest, Some(value))?),
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
