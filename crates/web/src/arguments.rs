//! What a call's body says of its arguments: the same for clients and for
//! administrators' debug runs.

use bson::{Bson, Document, RawDocumentBuf};
use kit::Problem;

/// Takes the list of a function's arguments out of a body; none is an empty
/// list.
///
/// # Errors
/// `InvalidParameter`.
pub fn arguments(body: &mut Document) -> Result<Vec<Bson>, Problem> {
    match body.remove("arguments") {
        Some(Bson::Array(arguments)) => Ok(arguments),
        None | Some(Bson::Null) => Ok(Vec::new()),
        Some(_) => Err(Problem::invalid_parameter("'arguments' must be an array")),
    }
}

/// The one argument of a service action; none is an empty document.
///
/// # Errors
/// `InvalidParameter`.
pub fn action_argument(arguments: Vec<Bson>) -> Result<RawDocumentBuf, Problem> {
    let argument = match arguments.into_iter().next() {
        Some(Bson::Document(argument)) => argument,
        None => Document::new(),
        Some(_) => {
            return Err(Problem::invalid_parameter(
                "the action's argument must be an object",
            ));
        }
    };
    RawDocumentBuf::try_from(&argument)
        .map_err(|error| Problem::invalid_parameter(error.to_string()))
}
