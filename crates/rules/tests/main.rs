//! Rules, seen from outside: expressions, decisions, filters, schemas, and the
//! law that pushing down changes no answer.

mod decisions;
mod expressions;
mod filters;
mod fuzz;
mod laws;
mod narrowing;
mod oracle;
mod random;
mod schemas;

use bson::raw::RawBsonRef;
use bson::{Document, RawDocument, RawDocumentBuf};
use rules::{Decided, RuleSet};
use testkit::given::Given;

/// Extended JSON as a document.
fn document(text: &str) -> Document {
    kit::ejson::parse_document(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Extended JSON as raw BSON.
fn raw(text: &str) -> RawDocumentBuf {
    RawDocumentBuf::try_from(&document(text)).unwrap()
}

fn rule_set(text: &str) -> RuleSet {
    RuleSet::parse(&document(text)).unwrap_or_else(|issues| panic!("{text}: {issues:?}"))
}

/// What no test leaves open.
fn decided<T>(decision: Decided<T>) -> T {
    decision.unwrap_or_else(|needed| panic!("needs a call of {}", needed.function))
}

fn relaxed(document: &RawDocument) -> String {
    let mut out = Vec::new();
    kit::ejson::relaxed(RawBsonRef::Document(document), &mut out);
    String::from_utf8(out).unwrap()
}

/// A request of the user `u1`.
fn asking() -> Given {
    Given {
        user: raw(r#"{"id": "0123456789abcdef01234567", "type": "normal",
                "data": {"email": "ann@example.com"},
                "custom_data": {"teams": ["red", "blue"], "level": 3, "nothing": null,
                                "ref": "0123456789abcdef01234567"},
                "identities": [{"id": "i1", "provider_type": "local-userpass"}]}"#),
        values: raw(r#"{"admins": ["0123456789abcdef01234567"], "open": true}"#),
        environment: raw(r#"{"tag": "testing", "values": {"limit": 5}}"#),
        request: raw(r#"{"remoteIPAddress": "127.0.0.1", "requestHeaders": {"X-A": ["1"]}}"#),
    }
}
