//! What an operation was given, by position and type.

use crate::{NodeError, Value};

/// Arguments of an operation. Modules check what functions pass before they
/// call; what is wrong here is a mistake of ours, and an error all the same.
pub(crate) struct Arguments<'a>(pub(crate) &'a [Value]);

impl<'a> Arguments<'a> {
    /// The argument there; `Undefined` past the end.
    pub(crate) fn get(&self, index: usize) -> &'a Value {
        self.0.get(index).unwrap_or(&Value::Undefined)
    }

    pub(crate) fn text(&self, index: usize) -> Result<&'a str, NodeError> {
        match self.get(index) {
            Value::Text(text) => Ok(text),
            _ => Err(wrong(index, "a string")),
        }
    }

    pub(crate) fn bytes(&self, index: usize) -> Result<&'a [u8], NodeError> {
        match self.get(index) {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong(index, "a Uint8Array")),
        }
    }

    pub(crate) fn number(&self, index: usize) -> Result<f64, NodeError> {
        match self.get(index) {
            Value::Number(number) => Ok(*number),
            _ => Err(wrong(index, "a number")),
        }
    }

    /// Whether it is `true`.
    pub(crate) fn flag(&self, index: usize) -> bool {
        *self.get(index) == Value::Bool(true)
    }
}

fn wrong(index: usize, expected: &str) -> NodeError {
    NodeError {
        name: "TypeError",
        message: format!("argument {} must be {expected}", index + 1),
        code: "ERR_INVALID_ARG_TYPE",
    }
}
