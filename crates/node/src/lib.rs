//! What Node's built-in modules compute: the native half of `crypto`, `zlib`,
//! `buffer`, `url` and `Intl`.
//!
//! Pure: an operation gets values and answers a value, and keeps nothing in
//! between, so that a realm can be reset and moved without asking here. It runs
//! inside of worker processes, on what hostile functions pass.

mod arguments;
mod buffer;
mod crypto;
mod intl;
mod text;
mod url;
mod zlib;

/// A value as operations take and give it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `undefined`, and arguments that are not there.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// A `Uint8Array`, a `Buffer` included.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// A plain object.
    Map(Vec<(String, Value)>),
}

/// Why an operation has no value: what JavaScript throws.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// The error's `name`, such as `TypeError`.
    pub name: &'static str,
    /// The error's `message`, in Node's words where code may look at them.
    pub message: String,
    /// Node's code, such as `ERR_INVALID_ARG_VALUE`; empty for none.
    pub code: &'static str,
}

impl NodeError {
    /// An `Error` without a code.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            name: "Error",
            message: message.into(),
            code: "",
        }
    }
}

/// Runs an operation by name.
///
/// # Errors
/// What the operation throws; that there is none of this name.
pub fn call(operation: &str, arguments: &[Value]) -> Result<Value, NodeError> {
    let (area, name) = operation.split_once('.').unwrap_or((operation, ""));
    let answer = match area {
        "buffer" => buffer::call(name, arguments),
        "intl" => intl::call(name, arguments),
        "text" => text::call(name, arguments),
        "url" => url::call(name, arguments),
        "zlib" => zlib::call(name, arguments),
        "crypto" => crypto::call(name, arguments),
        _ => None,
    };
    answer.unwrap_or_else(|| Err(NodeError::new(format!("unknown operation '{operation}'"))))
}
