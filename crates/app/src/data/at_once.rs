//! Writes that need no look at the document first: one command, whose query
//! says what the rules say (rules-schemas.md §16.3).

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use kit::Problem;
use rules::{Change, has_expression};

use super::Door;
use super::read::all_of;

/// How a write of documents that are there can be done.
pub(super) enum AtOnce {
    /// As it is: the system has no rules.
    System,
    /// With this query, which the caller may change everything of. Where
    /// nothing matches, the others have to be asked about, unless it was `all`
    /// of them.
    Allowed {
        /// The caller's query and what the rules add.
        query: RawDocumentBuf,
        /// Whether the rules add nothing about documents.
        all: bool,
        /// The role that allows it.
        role: usize,
    },
    /// Document by document, in a transaction.
    Asked,
}

impl Door<'_> {
    /// Several documents may match, of which one that is refused refuses all:
    /// so either every document may be changed, or it is about one `_id`.
    pub(super) async fn at_once(
        &self,
        query: &RawDocument,
        change: Change,
    ) -> Result<AtOnce, Problem> {
        let Some(mut guard) = self.guard() else {
            return Ok(AtOnce::System);
        };
        let Some(writable) = guard.writable(change) else {
            return Ok(AtOnce::Asked);
        };
        let all = writable.query.is_empty();
        if !all && !is_about_one(query) {
            return Ok(AtOnce::Asked);
        }
        if !all && self.is_collated().await {
            return Ok(AtOnce::Asked);
        }
        let filters = guard.filters().await?;
        // An expression fails on documents that are none of the caller's.
        let fails = has_expression(query) && !(all && filters.queries.is_empty());
        if filters.projection.is_some() || fails {
            return Ok(AtOnce::Asked);
        }
        // The client's own comes last: the positional operator looks there.
        let queries = filters.queries.iter().map(AsRef::as_ref);
        let queries = queries.chain([writable.query.as_ref(), query]);
        Ok(AtOnce::Allowed {
            query: all_of(queries),
            all,
            role: writable.role,
        })
    }
}

/// Whether at most one document can match: its `_id` is named.
fn is_about_one(query: &RawDocument) -> bool {
    match query.get("_id") {
        Ok(Some(RawBsonRef::Document(tests))) => {
            matches!(tests.get("$eq"), Ok(Some(value)) if is_an_id(value))
        }
        Ok(Some(value)) => is_an_id(value),
        _ => false,
    }
}

fn is_an_id(value: RawBsonRef<'_>) -> bool {
    matches!(
        value,
        RawBsonRef::ObjectId(_)
            | RawBsonRef::String(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Binary(_)
    )
}
