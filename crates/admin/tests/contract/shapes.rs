//! Whether a value is of a type of the contract, and values that are not.

use admin::contract::Contract;
use serde_json::{Value, json};

/// Says where a value is not of a type.
pub(super) fn misfits(
    contract: &Contract,
    of: &Value,
    value: &Value,
    place: &str,
    wrong: &mut Vec<String>,
) {
    let fits = match of {
        Value::String(name) => {
            let (name, nullable) = match name.strip_suffix('?') {
                Some(name) => (name, true),
                None => (name.as_str(), false),
            };
            if nullable && value.is_null() {
                return;
            }
            if let Some(of) = contract.types.get(name) {
                return misfits(contract, of, value, place, wrong);
            }
            plain(name, value)
        }
        Value::Array(of) => match (of.first(), value) {
            (Some(of), Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    misfits(contract, of, item, &format!("{place}[{at}]"), wrong);
                }
                true
            }
            _ => false,
        },
        Value::Object(fields) => match value {
            Value::Object(values) => {
                for (name, of) in fields.iter().filter(|(name, _)| *name != "*") {
                    let (name, optional) = match name.strip_suffix('?') {
                        Some(name) => (name, true),
                        None => (name.as_str(), false),
                    };
                    match values.get(name) {
                        Some(value) => {
                            misfits(contract, of, value, &format!("{place}.{name}"), wrong);
                        }
                        None if optional => {}
                        None => wrong.push(format!("{place}: no '{name}' in {value}")),
                    }
                }
                for (name, value) in values {
                    if fields.contains_key(name) || fields.contains_key(&format!("{name}?")) {
                        continue;
                    }
                    match fields.get("*") {
                        Some(of) => misfits(contract, of, value, &format!("{place}.{name}"), wrong),
                        None => wrong.push(format!("{place}: '{name}' is not in the contract")),
                    }
                }
                true
            }
            _ => false,
        },
        _ => false,
    };
    if !fits {
        wrong.push(format!("{place}: {value} is no {of}"));
    }
}

/// Whether a value is of a type that has no parts.
fn plain(name: &str, value: &Value) -> bool {
    let text = value.as_str();
    match name {
        "text" => text.is_some(),
        "oid" => {
            text.is_some_and(|text| text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        "int" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "flag" => value.is_boolean(),
        "date" => text.is_some_and(|text| bson::DateTime::parse_rfc3339_str(text).is_ok()),
        "object" => value.is_object(),
        "any" => true,
        choices => text.is_some_and(|text| choices.split('|').any(|choice| choice == text)),
    }
}

/// Tells the names of types that a type uses and nobody defines.
pub(super) fn unknown_types(contract: &Contract, of: &Value, tell: &mut dyn FnMut(&str)) {
    const PLAIN: &[&str] = &[
        "text", "oid", "int", "number", "flag", "date", "object", "any",
    ];
    match of {
        Value::String(name) => {
            let name = name.strip_suffix('?').unwrap_or(name);
            let known = name.contains('|') || PLAIN.contains(&name);
            if !known && !contract.types.contains_key(name) {
                tell(name);
            }
        }
        Value::Array(of) => of.iter().for_each(|of| unknown_types(contract, of, tell)),
        Value::Object(fields) => fields
            .values()
            .for_each(|of| unknown_types(contract, of, tell)),
        _ => tell(&of.to_string()),
    }
}

/// A good body with something of another type in each place, and the place.
pub(super) fn mistyped(contract: &Contract, of: &Value, good: &Value) -> Vec<(String, Value)> {
    let of = resolved(contract, of);
    let wrong = match &of {
        Value::String(name) if name == "any" || name.ends_with('?') => Vec::new(),
        Value::String(name)
            if matches!(name.as_str(), "text" | "oid" | "date") || name.contains('|') =>
        {
            vec![json!(7), json!({ "$gt": "" }), json!(["x"])]
        }
        Value::String(name) if name == "flag" => vec![json!("yes"), json!(1)],
        Value::String(name) if name == "object" => vec![json!("text"), json!([1])],
        Value::String(_) => vec![json!("seven"), json!([7])],
        Value::Array(_) => vec![json!({ "0": 1 }), json!("text")],
        _ => vec![json!([]), json!("text"), json!(7)],
    };
    let mut all: Vec<(String, Value)> = wrong
        .into_iter()
        .map(|value| (String::new(), value))
        .collect();
    if let (Value::Object(fields), Value::Object(values)) = (&of, good) {
        for (name, of) in fields {
            let name = name.strip_suffix('?').unwrap_or(name);
            // Clients send back what they read; what only answers have is ignored.
            if ["*", "_id", "last_modified"].contains(&name) {
                continue;
            }
            let inside = values.get(name).cloned().unwrap_or(Value::Null);
            for (place, value) in mistyped(contract, of, &inside) {
                let mut body = good.clone();
                body[name] = value;
                all.push((
                    format!("{name}{}{place}", if place.is_empty() { "" } else { "." }),
                    body,
                ));
            }
        }
    }
    all
}

fn resolved(contract: &Contract, of: &Value) -> Value {
    match of {
        Value::String(name) => match contract.types.get(name) {
            Some(of) => resolved(contract, of),
            None => of.clone(),
        },
        of => of.clone(),
    }
}

#[test]
fn types_tell_what_does_not_fit() {
    let mut contract = Contract::default();
    contract.types.insert(
        "Thing".to_owned(),
        json!({ "_id": "oid", "n?": "int", "list": ["flag"] }),
    );
    let wrong = |of: Value, value: Value| {
        let mut wrong = Vec::new();
        misfits(&contract, &of, &value, "it", &mut wrong);
        wrong.len()
    };
    let good = json!({ "_id": "0123456789abcdef01234567", "n": 1, "list": [true] });
    assert_eq!(wrong(json!(["Thing"]), json!([good])), 0);
    assert_eq!(wrong(json!("Thing?"), Value::Null), 0);
    for (field, value) in [
        ("_id", json!("short")),
        ("n", json!(1.5)),
        ("list", json!([true, 1])),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(wrong(json!("Thing"), bad), 1, "{field}");
    }
    assert_eq!(wrong(json!("Thing"), json!({ "list": [] })), 1);
    assert_eq!(wrong(json!("a|b"), json!("c")), 1);
    assert_eq!(wrong(json!({ "*": "int" }), json!({ "x": 1, "y": "2" })), 1);
    let bodies = mistyped(&contract, &json!("Thing"), &good);
    assert!(
        bodies
            .iter()
            .any(|(place, body)| place == "n" && body["n"] == "seven")
    );
    assert!(
        bodies
            .iter()
            .all(|(_, body)| wrong(json!("Thing"), body.clone()) > 0)
    );
}
