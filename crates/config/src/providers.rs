//! What is wrong with a login provider (admin-api.md §4.3): settings that are no
//! such settings, and settings without which one that is on lets nobody in.

use serde_json::{Map, Value};

use crate::Node;
use crate::kind::{PROVIDERS, Shape};
use crate::view::AuthProvider;

/// Signing keys of a provider, at most.
const SIGNING_KEYS_MAX: usize = 3;
/// Characters of a mail's subject.
const SUBJECT_CHARS_MAX: usize = 256;

/// Characters of the name of what a provider tells.
const METADATA_NAME_CHARS_MAX: usize = 63;

/// What the settings hold, by the type of provider; null is as good as nothing.
const SETTINGS: &[(&str, &str, Shape)] = &[
    ("local-userpass", "autoConfirm", Shape::Flag),
    ("local-userpass", "runConfirmationFunction", Shape::Flag),
    ("local-userpass", "runResetFunction", Shape::Flag),
    ("local-userpass", "emailConfirmationUrl", Shape::Text),
    ("local-userpass", "confirmEmailSubject", Shape::Text),
    ("local-userpass", "confirmationFunctionName", Shape::Text),
    ("local-userpass", "resetPasswordUrl", Shape::Text),
    ("local-userpass", "resetPasswordSubject", Shape::Text),
    ("local-userpass", "resetFunctionName", Shape::Text),
    ("custom-function", "authFunctionName", Shape::Text),
    (
        "custom-token",
        "signingAlgorithm",
        Shape::OneOf(&["", "HS256", "RS256"]),
    ),
    ("custom-token", "useJWKURI", Shape::Flag),
    ("custom-token", "jwkURI", Shape::Text),
    ("custom-token", "signingKey", Shape::Text),
    ("oauth2-google", "clientId", Shape::Text),
    ("oauth2-google", "openId", Shape::Flag),
    ("oauth2-facebook", "clientId", Shape::Text),
    ("oauth2-apple", "clientId", Shape::Text),
];

/// What is wrong: JSON pointers, and what to say of each.
pub(crate) fn faults(node: &Node) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let kind = node.text("type");
    if !PROVIDERS.contains(&kind) {
        // That is said elsewhere.
        return found;
    }
    let of = |pointer: &str| node.at(pointer).filter(|value| !value.is_null());
    for (_, field, shape) in SETTINGS.iter().filter(|(of, ..)| *of == kind) {
        let pointer = format!("/config/{field}");
        if let Some(fault) = of(&pointer).and_then(|value| shape.fault(value)) {
            let text = match shape {
                Shape::OneOf(_) => format!("{field}: {fault}"),
                _ => format!("\"{field}\" {fault}"),
            };
            found.push((pointer, text));
        }
    }
    for field in ["confirmEmailSubject", "resetPasswordSubject"] {
        let pointer = format!("/config/{field}");
        let subject = of(&pointer).and_then(Value::as_str).unwrap_or_default();
        if subject.chars().count() > SUBJECT_CHARS_MAX {
            let text = format!("\"{field}\" has more than {SUBJECT_CHARS_MAX} characters");
            found.push((pointer, text));
        }
    }
    if kind == "custom-token" {
        if of("/config/audience").is_some_and(|audience| !audience.is_string() && !texts(audience))
        {
            let text = "\"audience\" has to be a string or an array of strings";
            found.push(("/config/audience".to_owned(), text.to_owned()));
        }
        let any = of("/config/requireAnyAudience");
        if any.is_some_and(|any| !any.is_boolean() && !any.is_string()) {
            let text = "\"requireAnyAudience\" has to be true or false";
            found.push(("/config/requireAnyAudience".to_owned(), text.to_owned()));
        }
    }
    let secrets = of("/secret_config").and_then(Value::as_object);
    for (field, value) in secrets.into_iter().flatten() {
        let fits = value.is_null() || value.is_string() || texts(value);
        let text = if !fits {
            format!("\"{field}\" has to name a secret, or several in an array")
        } else if value
            .as_array()
            .is_some_and(|keys| keys.len() > SIGNING_KEYS_MAX)
        {
            format!("\"{field}\" has more than {SIGNING_KEYS_MAX} secrets")
        } else {
            continue;
        };
        let field = crate::places::escaped(field);
        found.push((format!("/secret_config/{field}"), text));
    }
    for field in ["redirect_uris", "domain_restrictions"] {
        let pointer = format!("/{field}");
        if of(&pointer).is_some_and(|list| list.is_array() && !texts(list)) {
            found.push((pointer, format!("\"{field}\" has to hold strings")));
        }
    }
    let fields = of("/metadata_fields").and_then(Value::as_array);
    for (at, field) in fields.into_iter().flatten().enumerate() {
        let pointer = format!("/metadata_fields/{at}");
        match field {
            Value::Null => {}
            Value::Object(field) => found.extend(
                metadata(field)
                    .into_iter()
                    .map(|(name, text)| (format!("{pointer}/{name}"), text)),
            ),
            _ => found.push((
                pointer,
                "\"metadata_fields\" has to hold objects".to_owned(),
            )),
        }
    }
    let uri = of("/config/jwkURI").and_then(Value::as_str);
    let is_web = |uri: &str| {
        let start = uri.split_once("://").map(|(scheme, _)| scheme);
        start.is_some_and(|scheme| ["http", "https"].contains(&&*scheme.to_lowercase()))
    };
    if uri.is_some_and(|uri| !uri.is_empty() && !is_web(uri)) {
        let text = "\"jwkURI\" has to be a URL of http or https";
        found.push(("/config/jwkURI".to_owned(), text.to_owned()));
    }
    let provider = AuthProvider(node);
    // One that is off may be set up bit by bit.
    if provider.enabled() {
        found.extend(provider.lacks().into_iter().map(|missing| {
            let missing = missing.join("\" or \"");
            let text = format!("the provider \"{kind}\" cannot be enabled without \"{missing}\"");
            ("/config".to_owned(), text)
        }));
    }
    found
}

/// What is wrong with a field of what a provider tells: of which of its own
/// fields, and what to say.
fn metadata(field: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for name in ["name", "field_name"] {
        let text = match field.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(_) => {
                found.push((name, format!("\"{name}\" has to be a string")));
                continue;
            }
        };
        if name == "field_name" && text.chars().count() > METADATA_NAME_CHARS_MAX {
            let text = format!("\"{name}\" has more than {METADATA_NAME_CHARS_MAX} characters");
            found.push((name, text));
        }
    }
    let required = field.get("required");
    if required.is_some_and(|value| !value.is_boolean() && !value.is_string() && !value.is_null()) {
        found.push((
            "required",
            "\"required\" has to be true or false".to_owned(),
        ));
    }
    found
}

fn texts(list: &Value) -> bool {
    list.as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::faults;
    use crate::Node;

    fn pointers(provider: Value) -> Vec<String> {
        let found = faults(&Node::new(provider)).into_iter();
        found.map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn providers_that_are_on_have_what_they_need() {
        for (kind, config, secrets, missing) in [
            ("anon-user", json!({}), json!({}), 0),
            ("api-key", Value::Null, Value::Null, 0),
            ("local-userpass", json!({}), json!({}), 1),
            (
                "local-userpass",
                json!({ "autoConfirm": false }),
                json!({}),
                1,
            ),
            (
                "local-userpass",
                json!({ "autoConfirm": true }),
                json!({}),
                0,
            ),
            (
                "local-userpass",
                json!({ "emailConfirmationUrl": "http://a" }),
                json!({}),
                0,
            ),
            (
                "local-userpass",
                json!({ "emailConfirmationUrl": "" }),
                json!({}),
                0,
            ),
            (
                "local-userpass",
                json!({ "runConfirmationFunction": true, "runResetFunction": true }),
                json!({}),
                2,
            ),
            (
                "local-userpass",
                json!({
                    "runConfirmationFunction": true, "confirmationFunctionName": "c",
                    "runResetFunction": true, "resetFunctionName": "r",
                }),
                json!({}),
                0,
            ),
            (
                "custom-function",
                json!({ "authFunctionName": "" }),
                json!({}),
                1,
            ),
            (
                "custom-function",
                json!({ "authFunctionName": "f" }),
                json!({}),
                0,
            ),
            ("custom-token", json!({ "audience": "" }), json!({}), 1),
            (
                "custom-token",
                json!({ "audience": ["a"] }),
                json!({ "signingKeys": ["k"] }),
                0,
            ),
            (
                "custom-token",
                json!({ "signingKey": "-----BEGIN" }),
                json!({}),
                0,
            ),
            (
                "custom-token",
                json!({ "useJWKURI": true }),
                json!({ "signingKeys": ["k"] }),
                1,
            ),
            (
                "custom-token",
                json!({ "useJWKURI": true, "jwkURI": "https://a" }),
                json!({}),
                0,
            ),
            ("oauth2-google", json!({}), json!({}), 2),
            ("oauth2-apple", json!({ "clientId": "c" }), json!({}), 1),
            (
                "oauth2-facebook",
                json!({ "clientId": "c" }),
                json!({ "clientSecret": "s" }),
                0,
            ),
        ] {
            let mut provider = json!({ "type": kind, "config": config, "secret_config": secrets });
            assert_eq!(
                pointers(provider.clone()),
                vec!["/config".to_owned(); missing],
                "{provider}"
            );
            provider["disabled"] = json!(true);
            assert_eq!(pointers(provider), Vec::<String>::new());
        }
    }

    #[test]
    fn settings_that_are_none_are_told_whether_it_is_on_or_off() {
        let of = |kind: &str, part: &str, value: Value| {
            let mut provider = json!({ "type": kind, "disabled": true });
            provider[part] = value;
            pointers(provider)
        };
        let userpass = json!({
            "autoConfirm": "yes", "emailConfirmationUrl": 5, "confirmEmailSubject": "x".repeat(257),
        });
        assert_eq!(
            of("local-userpass", "config", userpass),
            [
                "/config/autoConfirm",
                "/config/emailConfirmationUrl",
                "/config/confirmEmailSubject"
            ]
        );
        let token = json!({ "signingAlgorithm": "none", "audience": [1], "requireAnyAudience": 1 });
        assert_eq!(
            of("custom-token", "config", token),
            [
                "/config/signingAlgorithm",
                "/config/audience",
                "/config/requireAnyAudience"
            ]
        );
        let keys = json!({ "signingKeys": ["a", "b", "c", "d"], "x/y": { "a": 1 } });
        assert_eq!(
            of("custom-token", "secret_config", keys),
            ["/secret_config/signingKeys", "/secret_config/x~1y"]
        );
        assert_eq!(
            of("oauth2-google", "redirect_uris", json!(["a", 1])),
            ["/redirect_uris"]
        );
        assert_eq!(
            of("anon-user", "metadata_fields", json!([1])),
            ["/metadata_fields/0"]
        );
        let fields = json!([
            { "name": "a.b", "field_name": "x".repeat(63), "required": true },
            { "name": 5, "field_name": "x".repeat(64), "required": 1 }, null,
        ]);
        assert_eq!(
            of("custom-token", "metadata_fields", fields),
            [
                "/metadata_fields/1/name",
                "/metadata_fields/1/field_name",
                "/metadata_fields/1/required",
            ]
        );
        let uri = json!({ "useJWKURI": true, "jwkURI": "file:///keys" });
        assert_eq!(of("custom-token", "config", uri), ["/config/jwkURI"]);
        // As SDK suites send it.
        assert_eq!(
            of("anon-user", "metadata_fields", json!([{}])),
            Vec::<String>::new()
        );
    }
}
