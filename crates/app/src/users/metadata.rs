//! What a provider tells of a user, as far as the app asks for it: the fields of
//! `metadata_fields` (client-api.md §2.7).

use bson::Document;
use config::Node;
use kit::limit;
use serde_json::{Map, Value};

use crate::compile::bson_of;

/// One field that the app asks for.
struct Field<'a> {
    path: Vec<String>,
    name: &'a str,
    required: bool,
}

/// The names of the fields that a provider's settings ask for, as the provider
/// calls them.
pub(super) fn asked(provider: &Node) -> impl Iterator<Item = &str> {
    fields(provider).filter_map(|field| text(field, "name"))
}

/// What a user's data calls a field that the settings ask for.
pub(super) fn called<'a>(provider: &'a Node, name: &'a str) -> Option<&'a str> {
    let field = fields(provider).find(|field| text(field, "name") == Some(name))?;
    Some(text(field, "field_name").unwrap_or(name))
}

fn fields(provider: &Node) -> impl Iterator<Item = &Value> {
    let fields = provider.at("/metadata_fields").and_then(Value::as_array);
    fields
        .into_iter()
        .flatten()
        // SDKs' suites send empty ones.
        .filter(|field| text(field, "name").is_some())
}

fn text<'a>(field: &'a Value, name: &str) -> Option<&'a str> {
    let text = field.get(name)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// What the app asks for of what is known.
///
/// # Errors
/// When a field that has to be there is not, or is too long.
pub(super) fn mapped(provider: &Node, known: &Map<String, Value>) -> Result<Document, String> {
    let mut data = Document::new();
    for field in fields(provider).filter_map(Field::read) {
        match find(known, &field.path) {
            Some(value) => {
                data.insert(field.name, bson_of(checked(field.name, value)?));
            }
            None if field.required => {
                let path = field.path.join(".");
                return Err(format!("the required field \"{path}\" is missing"));
            }
            None => {}
        }
    }
    Ok(data)
}

/// What older apps, which ask for no fields, get of a token: what its claim
/// `stitch_meta` holds.
///
/// # Errors
/// When a field is too long.
pub(super) fn of_stitch(provider: &Node, claims: &Map<String, Value>) -> Result<Document, String> {
    let Some(Value::Object(meta)) = claims.get("stitch_meta") else {
        return Ok(Document::new());
    };
    if fields(provider).next().is_some() {
        return Ok(Document::new());
    }
    meta.iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| Ok((name.clone(), bson_of(checked(name, value)?))))
        .collect()
}

impl<'a> Field<'a> {
    fn read(field: &'a Value) -> Option<Self> {
        let written = text(field, "name")?;
        let path = path(written);
        Some(Self {
            name: text(field, "field_name").unwrap_or_else(|| last_of(written)),
            path,
            required: match field.get("required") {
                Some(Value::Bool(required)) => *required,
                Some(Value::String(text)) => text == "true",
                _ => false,
            },
        })
    }
}

/// The last part of a path as it is written; one with a dot in it stays whole.
fn last_of(written: &str) -> &str {
    let bytes = written.as_bytes();
    let dot = (0..bytes.len())
        .rev()
        .find(|&at| bytes[at] == b'.' && (at == 0 || bytes[at - 1] != b'\\'));
    dot.map_or(written, |dot| &written[dot + 1..])
}

/// A path with dots between its parts; `\.` is a dot in a part.
fn path(written: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = written.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => {
                chars.next();
                if let Some(part) = parts.last_mut() {
                    part.push('.');
                }
            }
            '.' => parts.push(String::new()),
            c => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    parts
}

fn find<'a>(known: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let found = rest
        .iter()
        .try_fold(known.get(first)?, |value, part| value.get(part.as_str()))?;
    (!found.is_null()).then_some(found)
}

fn checked<'a>(name: &str, value: &'a Value) -> Result<&'a Value, String> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(_) | Value::Object(_) => value.to_string().chars().count(),
        _ => 0,
    };
    if length > limit::JWT_FIELD_CHARS_MAX {
        let most = limit::JWT_FIELD_CHARS_MAX;
        return Err(format!(
            "the field \"{name}\" has more than {most} characters"
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use config::Node;
    use serde_json::{Map, Value, json};

    use super::{mapped, of_stitch};

    fn map(fields: Value, known: &Value) -> Result<Document, String> {
        let node = Node::new(json!({ "metadata_fields": fields }));
        mapped(&node, known.as_object().unwrap())
    }

    #[test]
    fn fields_are_found_by_paths() {
        let known = json!({
            "name": "Ann", "user_data": { "name": "Foo Bar", "n": 5, "tags": ["a"] },
            "a.b": { "c.d": true }, "nothing": null, "https://a.example/role": "cook",
            "text": "x".repeat(4097),
        });
        for (fields, data) in [
            (json!(null), doc! {}),
            (json!([{}, null]), doc! {}),
            (json!([{ "name": "name" }]), doc! { "name": "Ann" }),
            (
                json!([{ "name": "user_data.name", "required": true }]),
                doc! { "name": "Foo Bar" },
            ),
            (
                json!([{ "name": "user_data.name", "field_name": "anotherName" }]),
                doc! { "anotherName": "Foo Bar" },
            ),
            (
                json!([{ "name": "user_data.n" }, { "name": "user_data.tags" }]),
                doc! { "n": 5, "tags": ["a"] },
            ),
            (
                json!([{ "name": "a\\.b.c\\.d", "field_name": "deep" }]),
                doc! { "deep": true },
            ),
            (
                json!([{ "name": "https://a\\.example/role", "field_name": "role" }]),
                doc! { "role": "cook" },
            ),
            (
                json!([
                    { "name": "nothing" }, { "name": "name.more" }, { "name": "a.b" },
                    { "name": "user_data.tags.0" }, { "name": "" }, { "name": 5 },
                ]),
                doc! {},
            ),
        ] {
            assert_eq!(map(fields.clone(), &known), Ok(data), "{fields}");
        }
        for fields in [
            json!([{ "name": "other", "required": true }]),
            json!([{ "name": "nothing", "required": "true" }]),
            json!([{ "name": "text" }]),
        ] {
            assert!(map(fields.clone(), &known).is_err(), "{fields}");
        }
    }

    #[test]
    fn older_apps_get_what_the_token_says() {
        let claims = json!({ "stitch_meta": { "email": "a@b", "none": null }, "email": "c" });
        let claims: &Map<String, Value> = claims.as_object().unwrap();
        let of = |provider: Value| of_stitch(&Node::new(provider), claims);
        assert_eq!(of(json!({})), Ok(doc! { "email": "a@b" }));
        let asks = json!({ "metadata_fields": [{ "name": "email" }] });
        assert_eq!(of(asks), Ok(doc! {}));
    }
}
