//! `$redact`.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::parse::shown;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::order::into_raw;

/// Gives the three variables of the stage their values.
pub(super) fn bind(expression: &mut Expression) -> Result<()> {
    let mut variables = Variables::default().open().literal();
    for (name, value) in [("DESCEND", "descend"), ("PRUNE", "prune"), ("KEEP", "keep")] {
        variables.set(name, Some(Bson::from(value)));
    }
    expression.bind(&variables)
}

/// What is left of a document; `None` for nothing.
pub(super) fn apply(
    expression: &Expression,
    document: &RawDocument,
) -> Result<Option<RawDocumentBuf>> {
    let root = Scope::of(document);
    level(expression, &root, &root, document)
}

fn level(
    expression: &Expression,
    root: &Scope<'_>,
    scope: &Scope<'_>,
    document: &RawDocument,
) -> Result<Option<RawDocumentBuf>> {
    let verdict = expression.evaluate(scope)?;
    match verdict.as_ref().and_then(Bson::as_str) {
        Some("keep") => return Ok(Some(document.to_owned())),
        Some("prune") => return Ok(None),
        Some("descend") => {}
        _ => {
            let text = verdict.map(into_raw);
            let text = text
                .as_ref()
                .map_or_else(|| "MISSING".to_owned(), |v| shown(v.as_raw_bson_ref()));
            return Err(MqlError::new(
                17053,
                format!(
                    "$redact's expression should not return anything aside from the variables $$KEEP, $$DESCEND, and $$PRUNE, but returned {text}"
                ),
            ));
        }
    }
    let mut out = RawDocumentBuf::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        if let Some(kept) = within(expression, root, value)? {
            out.append(name, kept);
        }
    }
    Ok(Some(out))
}

fn within(
    expression: &Expression,
    root: &Scope<'_>,
    value: RawBsonRef<'_>,
) -> Result<Option<RawBson>> {
    Ok(match value {
        RawBsonRef::Document(document) => {
            let current = Bson::try_from(value).map_err(malformed)?;
            let scope = root.with([("CURRENT", Some(current))]);
            level(expression, root, &scope, document)?.map(RawBson::Document)
        }
        RawBsonRef::Array(array) => {
            let mut out = RawArrayBuf::new();
            for element in array {
                if let Some(kept) = within(expression, root, element.map_err(malformed)?)? {
                    out.push(kept);
                }
            }
            Some(RawBson::Array(out))
        }
        scalar => Some(scalar.into()),
    })
}
