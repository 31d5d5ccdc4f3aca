//! What each operation takes and answers, as data: `contract.json`, an entry
//! for each row. The tests call every operation by it, and the documents of the
//! API are written from it ([`crate::Admin::operations`] says who may call).
//!
//! ```text
//! "adminCreateValue": {
//!   "does": "A new value",               what the documents say
//!   "body": "ValueBody",                 the type of the body, if there is one
//!   "send": { "name": "new", … },        a body that is good
//!   "ok": 201, "answer": "Value",        what a good request is answered
//!   "again": "409 ValueDuplicateName"    what the same request is, sent again
//! }
//! ```
//!
//! Beside these: `query` (names and types), `with` (a query to send), `before`
//! (requests that prepare the app), `path` (other parameters for a name in the
//! path), `reads` (for a `POST` that changes nothing), `token` (`refresh` for
//! those that take no access token), `also` (other statuses: with the type of
//! what they answer, or null for an error), `media` and `text` (a body that is no JSON),
//! `kind` (an answer that is no JSON), `apart` (why no good request can be tried
//! without a running server).
//!
//! A type is a text (`text`, `oid`, `int`, `number`, `flag`, `date`, `object`,
//! `any`, choices with `|` between, the name of one in `types`; with `?` behind,
//! null as well), `[type]` for a list, or an object of types by field: `name?`
//! may be left out, `*` is every other field.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A request that prepares something: `METHOD /path` below the app, and a body;
/// `$media` and `$text` of one that is no JSON.
pub type Step = (String, Value);

/// The whole of `contract.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// What the names in paths stand for.
    pub parameters: BTreeMap<String, Parameter>,
    /// Types by name.
    pub types: Map<String, Value>,
    /// Operations by id.
    pub operations: BTreeMap<String, Operation>,
}

/// A name in a path, or in a body in braces.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameter {
    /// Requests that have to come first.
    pub before: Vec<Step>,
    /// The request that makes one.
    pub make: Option<Step>,
    /// The list whose first is one, if none is made.
    pub find: Option<String>,
    /// The field of the answer that is meant; `_id` unless set.
    pub take: Option<String>,
    /// The `error_code` of an unknown one.
    pub code: Option<String>,
}

/// An operation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operation {
    /// What it does, in a sentence's length.
    pub does: String,
    /// Query parameters and their types.
    pub query: Map<String, Value>,
    /// A query to send.
    pub with: String,
    /// The type of the body.
    pub body: Option<Value>,
    /// A good body.
    pub send: Option<Value>,
    /// The content type of a body that is no JSON.
    pub media: Option<String>,
    /// A good body that is no JSON.
    pub text: Option<String>,
    /// Requests that have to come first.
    pub before: Vec<Step>,
    /// Other parameters for names in the path.
    pub path: BTreeMap<String, String>,
    /// `refresh` if it takes a refresh token.
    pub token: Option<String>,
    /// The status of success.
    pub ok: u16,
    /// The type of the answer, if there is one.
    pub answer: Option<Value>,
    /// The content type of an answer that is no JSON.
    pub kind: Option<String>,
    /// Other statuses: the type of their answer, or nothing for an error.
    pub also: BTreeMap<u16, Option<Value>>,
    /// Status and `error_code` of the same request sent again.
    pub again: Option<String>,
    /// Whether it changes nothing though its method says so.
    pub reads: bool,
    /// Why no good request can be tried in process.
    pub apart: Option<String>,
}

static CONTRACT: LazyLock<Result<Contract, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../contract.json")).map_err(|error| error.to_string())
});

/// The contract.
///
/// # Errors
/// What is wrong with the file; a test reads it.
pub fn contract() -> Result<&'static Contract, &'static str> {
    CONTRACT.as_ref().map_err(String::as_str)
}
