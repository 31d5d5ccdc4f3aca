//! Request bodies of the Admin API: plain JSON, in which some clients write
//! numbers as Extended JSON (admin-api.md §1.6).

use kit::Problem;
use serde_json::{Map, Value};
use web::Request;

/// The body as an object; an empty one, `null` and `""` are an empty object.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn object(request: &Request) -> Result<Map<String, Value>, Problem> {
    match value(request)? {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        Value::String(text) if text.is_empty() => Ok(Map::new()),
        _ => Err(Problem::bad_request("the request body has to be an object")),
    }
}

/// The body as a value; null when it is empty.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn value(request: &Request) -> Result<Value, Problem> {
    parsed(&request.body)
}

/// The value that bytes say; null when there are none.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn parsed(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    let mut value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the request body is not JSON: {error}")))?;
    relax(&mut value);
    Ok(value)
}

/// The body as a document of a whole configuration, in which Extended JSON is
/// what the app means, unless the client writes every number so.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn document(request: &Request) -> Result<Value, Problem> {
    let bad = |error: &dyn std::fmt::Display| {
        Problem::bad_request(format!("the request body is not JSON: {error}"))
    };
    let text = std::str::from_utf8(&request.body).map_err(|error| bad(&error))?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let mut document = config::parse_json_exactly(text).map_err(|error| bad(&error))?;
    if is_canonical(&document) {
        relax(&mut document);
    }
    Ok(document)
}

/// Whether a version, which is a plain number to everybody else, is written in
/// Extended JSON.
fn is_canonical(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_canonical),
        Value::Object(fields) => fields.iter().any(|(name, field)| {
            let version = matches!(name.as_str(), "version" | "config_version");
            let wrapped = field.as_object().and_then(number).is_some();
            version && wrapped || is_canonical(field)
        }),
        _ => false,
    }
}

/// Fields whose content is the app's: in a value the wrapper of a number is its
/// type, and a query that is read back is what was sent.
const KEPT: [&str; 8] = [
    "value",
    "values",
    "match",
    "project",
    "apply_when",
    "query",
    "projection",
    "when",
];

/// Turns numbers in Extended JSON into plain ones, but for those in fields that
/// are kept.
fn relax(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(relax),
        Value::Object(fields) => {
            if let Some(number) = number(fields) {
                *value = number;
            } else {
                fields
                    .iter_mut()
                    .filter(|(name, _)| !KEPT.contains(&name.as_str()))
                    .for_each(|(_, field)| relax(field));
            }
        }
        _ => {}
    }
}

fn number(fields: &Map<String, Value>) -> Option<Value> {
    let (name, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let text = value.as_str()?;
    match name.as_str() {
        "$numberInt" | "$numberLong" => text.parse::<i64>().ok().map(Value::from),
        "$numberDouble" => text.parse::<f64>().ok().map(Value::from),
        _ => None,
    }
}

/// A required text field.
///
/// # Errors
/// `MissingParameter`, `InvalidParameter`.
pub(crate) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Problem> {
    match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null) => Err(Problem::missing_parameter(format!(
            "'{name}' is a required string"
        ))),
        Some(Value::String(_)) => Err(Problem::invalid_parameter(format!(
            "'{name}' must not be empty"
        ))),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be a string"
        ))),
    }
}

/// A text field that may be left out or null.
///
/// # Errors
/// `InvalidParameter`.
pub(crate) fn optional_text<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be a string"
        ))),
    }
}

/// An object that may be left out or null: an empty one then.
///
/// # Errors
/// `InvalidParameter`.
pub(crate) fn optional_object(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Map<String, Value>, Problem> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be an object"
        ))),
    }
}

/// A flag that may be left out or null.
///
/// # Errors
/// `InvalidParameter`.
pub(crate) fn optional_flag(
    fields: &Map<String, Value>,
    name: &str,
) -> Result<Option<bool>, Problem> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => flag(fields, name).map(Some),
    }
}

/// The objects of a list that may be left out or null.
///
/// # Errors
/// `InvalidParameter`.
pub(crate) fn optional_objects<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Vec<&'a Map<String, Value>>, Problem> {
    let wrong = || Problem::invalid_parameter(format!("'{name}' must be an array of objects"));
    match fields.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_object().ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// A required flag.
///
/// # Errors
/// `MissingParameter`, `InvalidParameter`.
pub(crate) fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, Problem> {
    match fields.get(name) {
        Some(Value::Bool(flag)) => Ok(*flag),
        None | Some(Value::Null) => Err(Problem::missing_parameter(format!(
            "'{name}' is a required boolean"
        ))),
        Some(_) => Err(Problem::invalid_parameter(format!(
            "'{name}' must be true or false"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::relax;

    #[test]
    fn numbers_are_relaxed_but_in_values() {
        let mut body = json!({
            "version": {"$numberInt": "1"}, "list": [{"$numberLong": "2"}, {"$numberDouble": "1.5"}],
            "value": {"$numberLong": "5"}, "when": {"$gt": {"$numberInt": "7"}},
            "other": {"$gt": {"$numberInt": "x"}},
        });
        relax(&mut body);
        assert_eq!(
            body,
            json!({
                "version": 1, "list": [2, 1.5], "value": {"$numberLong": "5"},
                "when": {"$gt": {"$numberInt": "7"}}, "other": {"$gt": {"$numberInt": "x"}},
            })
        );
    }
}
