//! What rules say that their author may not have meant: a warning for each
//! (rules-schemas.md §4.1, §5, §8.1).

use config::{AppConfig, Flaw, Kind, Node};
use serde_json::Value;

use crate::data::RuleSettings;

/// Adds a warning for each.
pub(crate) fn find(config: &AppConfig, flaws: &mut Vec<Flaw>) {
    for kind in [Kind::DefaultRule, Kind::Rule] {
        for (key, node) in config.all(kind) {
            let roles = node.at("/roles").and_then(Value::as_array);
            let source = key.split('/').next().unwrap_or(key);
            let settings = RuleSettings::of(config, source, &mut Vec::new());
            for (index, role) in roles.into_iter().flatten().enumerate() {
                let mut warn = |part: &str, text: String| {
                    let pointer = format!("/roles/{index}/{part}");
                    let text = format!("roles[{index}].{part}: {text}");
                    flaws.push(Flaw::warning(kind, key, &pointer, text));
                };
                halves(role, &mut warn);
                closed_fields(role, &settings, &mut warn);
            }
            strays(kind, key, node, flaws);
        }
    }
}

fn is_there(object: &Value, name: &str) -> bool {
    object.get(name).is_some_and(|value| !value.is_null())
}

/// One of the two document filters without the other.
fn halves(role: &Value, warn: &mut dyn FnMut(&str, String)) {
    let Some(filters) = role.get("document_filters").filter(|f| f.is_object()) else {
        return;
    };
    for (missing, other) in [("read", "write"), ("write", "read")] {
        if is_there(filters, other) && !is_there(filters, missing) {
            let text = format!(
                "\"{missing}\" is left out, which is true for requests; Device Sync refuses a \
                 role without both"
            );
            warn("document_filters", text);
        }
    }
}

/// An explicit `false` above fields that grant what it closes.
fn closed_fields(role: &Value, settings: &RuleSettings, warn: &mut dyn FnMut(&str, String)) {
    for permission in ["read", "write"] {
        if permission == "write" && settings.field_write_under_false {
            continue;
        }
        let closed = role.get(permission) == Some(&Value::Bool(false));
        // What may be written as a whole may be read.
        let rescued =
            permission == "read" && !matches!(role.get("write"), None | Some(Value::Bool(false)));
        let parts = ["fields", "additional_fields"];
        let grants = parts
            .iter()
            .any(|part| role.get(part).is_some_and(|part| grants(part, permission)));
        if closed && grants && !rescued {
            let text = format!(
                "false also closes the fields that grant it; leave \"{permission}\" out to have \
                 them asked"
            );
            warn(permission, text);
        }
    }
}

/// Whether a permission other than `false` stands anywhere inside.
fn grants(part: &Value, permission: &str) -> bool {
    part.as_object().is_some_and(|fields| {
        fields.iter().any(|(name, value)| match value {
            Value::Bool(granted) => name == permission && *granted,
            Value::Object(_) if name == permission => true,
            inner => grants(inner, permission),
        })
    })
}

/// `%%user.id%%`, as published samples have it.
fn strays(kind: Kind, key: &str, node: &Node, flaws: &mut Vec<Flaw>) {
    let stray = |value: &Value| {
        let text = value.as_str()?;
        let expansion = text.starts_with("%%") && text.len() > 2 && text.ends_with("%%");
        expansion.then(|| text.to_owned())
    };
    for (pointer, text) in config::find_all(&node.json, &stray) {
        let text = format!("'{text}' has a stray '%%' at its end, which is passed over");
        flaws.push(Flaw::warning(kind, key, &pointer, text));
    }
}
