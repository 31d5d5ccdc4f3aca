//! Filters: what narrows a request before any document is read
//! (rules-schemas.md §7).

use bson::raw::CString;
use bson::{Bson, Document, RawBson, RawDocumentBuf};
use kit::limit::NESTING_DEPTH_MAX;

use crate::expression::{Expression, Operand};
use crate::issue::Issue;
use crate::parse::{Place, operand};
use crate::role::{name, object, present};
use crate::scope::{Decided, Scope};

/// One filter.
#[derive(Debug, Clone)]
pub struct Filter {
    /// For the log.
    pub name: String,
    /// When the filter is in force; never about a document.
    pub apply_when: Expression,
    query: Operand,
    projection: Option<Document>,
}

/// What the filters in force ask of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// All of these must match besides the client's own query.
    pub queries: Vec<RawDocumentBuf>,
    /// Applied to what the roles let through, before the client's projection.
    pub projection: Option<Document>,
}

/// The query that matches nothing.
pub(crate) fn nothing() -> RawDocumentBuf {
    bson::rawdoc! { "_id": { "$in": [] } }
}

impl Filter {
    pub(crate) fn parse(filter: &Document, path: &str, issues: &mut Vec<Issue>) -> Self {
        let apply_when = {
            let path = format!("{path}.apply_when");
            present(filter, "apply_when").map_or_else(
                || Expression::constant(true, &path),
                |value| Expression::parse(value, Place::Request, &path, issues),
            )
        };
        let query = {
            let path = format!("{path}.query");
            let written = match present(filter, "query") {
                None => Document::new(),
                Some(value) => object(value, &path, issues).cloned().unwrap_or_default(),
            };
            let spelled = Bson::Document(spell(&written, &path, issues, 0));
            operand(&spelled, Place::Request, &path, issues)
        };
        let projection = present(filter, "projection")
            .or_else(|| present(filter, "project"))
            .and_then(|value| object(value, &format!("{path}.projection"), issues))
            .filter(|projection| !projection.is_empty())
            .cloned();
        if projection.as_ref().is_some_and(|p| mode(p).is_err()) {
            issues.push(Issue::new(
                format!("{path}.projection"),
                "a projection either includes or excludes fields",
            ));
        }
        Self {
            name: name(filter, path, issues),
            apply_when,
            query,
            projection,
        }
    }

    /// The query with this request's values. A value that is not there makes
    /// it match nothing: dropping it would open what the filter closes. So does
    /// a user's value that a query takes for an operator.
    fn query(&self, scope: &Scope<'_>) -> Decided<Option<RawDocumentBuf>> {
        if self.query.brings_operators(scope) || !self.query.is_complete(scope)? {
            return Ok(Some(nothing()));
        }
        Ok(match self.query.value(scope)?.as_ref() {
            Some(bson::raw::RawBsonRef::Document(query)) if query.is_empty() => None,
            Some(bson::raw::RawBsonRef::Document(query)) => Some(query.to_owned()),
            _ => Some(nothing()),
        })
    }
}

/// Merges the filters that are in force. The inner error is for the caller:
/// the filters both include and exclude fields.
pub(crate) fn merge(filters: &[Filter], scope: &Scope<'_>) -> Decided<Result<Merged, String>> {
    let mut merged = Merged {
        queries: Vec::new(),
        projection: None,
    };
    for filter in filters {
        if !filter.apply_when.holds(scope)? {
            continue;
        }
        merged.queries.extend(filter.query(scope)?);
        if let Some(projection) = &filter.projection {
            let all = merged.projection.get_or_insert_default();
            for (field, value) in projection {
                all.insert(field.clone(), value.clone());
            }
            if mode(all).is_err() {
                return Ok(Err(
                    "filters both include and exclude fields in their projections".to_owned(),
                ));
            }
        }
    }
    Ok(Ok(merged))
}

/// Whether a projection includes; an error when it does both. `_id` is free.
fn mode(projection: &Document) -> Result<Option<bool>, ()> {
    let mut inclusive = None;
    for (field, value) in projection {
        let includes = match value {
            Bson::Boolean(include) => *include,
            Bson::Int32(n) => *n != 0,
            Bson::Int64(n) => *n != 0,
            Bson::Double(n) => *n != 0.0,
            _ => true,
        };
        if field == "_id" {
            continue;
        }
        if inclusive.is_some_and(|mode| mode != includes) {
            return Err(());
        }
        inclusive = Some(includes);
    }
    Ok(inclusive)
}

/// The query with MongoDB's sigil: `%in` is `$in`, except for the conversions,
/// which are the rules' own.
fn spell(query: &Document, path: &str, issues: &mut Vec<Issue>, depth: usize) -> Document {
    if depth > NESTING_DEPTH_MAX {
        issues.push(Issue::new(path, "query is nested too deeply"));
        return Document::new();
    }
    let mut spelled = Document::new();
    for (key, value) in query {
        let path = format!("{path}.{key}");
        if key.starts_with("%%") {
            issues.push(Issue::new(
                &path,
                format!("'{key}' cannot be a field of a query"),
            ));
        }
        let value = match value {
            Bson::Document(inner) => Bson::Document(spell(inner, &path, issues, depth + 1)),
            Bson::Array(list) => Bson::Array(
                list.iter()
                    .map(|entry| match entry {
                        Bson::Document(inner) => {
                            Bson::Document(spell(inner, &path, issues, depth + 1))
                        }
                        other => other.clone(),
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        let name = match key.strip_prefix('%') {
            Some("stringToOid" | "oidToString" | "stringToUuid" | "uuidToString" | "function")
            | None => key.clone(),
            Some(name) => format!("${name}"),
        };
        spelled.insert(name, value);
    }
    spelled
}

/// Puts a value under a name that is known to be free of null characters.
pub(crate) fn field(name: &str, value: impl Into<RawBson>) -> Option<RawDocumentBuf> {
    let mut document = RawDocumentBuf::new();
    document.append(CString::try_from(name).ok()?, value.into());
    Some(document)
}
