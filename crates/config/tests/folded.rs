//! Files folded into the document that the official CLI sends: what its
//! import has, in the order in which maps of its language are written.

use config::Files;
use serde_json::{Map, Value, json};

/// The document of config version 20210101.
pub(crate) fn folded(files: &Files) -> Value {
    let mut document = object(file(files, "realm_config.json"));
    document.remove("provider_region");
    let mut put = |name: &str, value: Value| {
        // What is empty is left out, unless it is a structure.
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if !empty {
            document.insert(name.to_owned(), value);
        }
    };
    put("environments", environments(files));
    put("values", list(files, "values/"));
    let mut auth = Map::new();
    for (name, path) in [
        ("custom_user_data", "auth/custom_user_data.json"),
        ("providers", "auth/providers.json"),
    ] {
        if let Some(value) = some(file(files, path)) {
            auth.insert(name.to_owned(), value);
        }
    }
    put("auth", auth.into());
    let mut functions = Map::new();
    if let Some(manifests) = some(file(files, "functions/config.json")) {
        functions.insert("config".to_owned(), manifests);
    }
    let sources = files.0.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix("functions/")?;
        let source = name.strip_suffix(".js").is_some() && !name.starts_with("node_modules/");
        source.then(|| (name.to_owned(), text(bytes)))
    });
    functions.insert("sources".to_owned(), Value::Object(sources.collect()));
    put("functions", functions.into());
    put("triggers", list(files, "triggers/"));
    put("data_sources", data_sources(files));
    put("http_endpoints", services(files, "http_endpoints/"));
    put("services", services(files, "services/"));
    let endpoints = some(file(files, "http_endpoints/config.json"));
    put(
        "endpoints",
        endpoints.map_or_else(|| json!({}), |list| json!({ "config": list })),
    );
    put("graphql", graphql(files));
    put("sync", json!({ "config": file(files, "sync/config.json") }));
    put("secrets", json!({}));
    put("log_forwarders", list(files, "log_forwarders/"));
    put(
        "data_api_config",
        file(files, "http_endpoints/data_api_config.json"),
    );
    sorted(&document.into())
}

/// The document of the versions before it.
pub(crate) fn folded_older(files: &Files) -> Value {
    let root = ["config.json", "stitch.json"];
    let root = root.into_iter().find(|path| files.get(path).is_some());
    let mut document = object(file(files, root.expect("a root file")));
    for name in ["security", "custom_user_data_config", "sync"] {
        document.entry(name).or_insert(Value::Null);
    }
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put("environments", environments(files));
    put("values", list(files, "values/"));
    put("triggers", list(files, "triggers/"));
    put("log_forwarders", list(files, "log_forwarders/"));
    put("auth_providers", list(files, "auth_providers/"));
    put("functions", sources(files, "functions/"));
    put("services", services(files, "services/"));
    put("graphql", graphql(files));
    put("secrets", json!({}));
    put("data_api_config", file(files, "data_api_config.json"));
    sorted(&document.into())
}

fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes).into_owned())
}

fn file(files: &Files, path: &str) -> Value {
    let bytes = files.get(path).unwrap_or(b"null");
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    config::parse_json(text).value.expect("JSON")
}

fn some(value: Value) -> Option<Value> {
    (!value.is_null()).then_some(value)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The JSON files right inside of a folder.
fn list(files: &Files, folder: &str) -> Value {
    let inside = files.0.keys().filter(|path| {
        let name = path.strip_prefix(folder);
        name.is_some_and(|name| !name.contains('/') && name.strip_suffix(".json").is_some())
    });
    inside.map(|path| file(files, path)).collect()
}

/// The folders right inside of one.
fn folders(files: &Files, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = files
        .0
        .keys()
        .filter_map(|path| Some(path.strip_prefix(folder)?.split_once('/')?.0.to_owned()))
        .collect();
    names.dedup();
    names
}

fn environments(files: &Files) -> Value {
    let paths = files.0.keys();
    let inside = paths.filter_map(|path| Some((path.strip_prefix("environments/")?, path)));
    let values: Map<String, Value> = inside
        .map(|(name, path)| (name.to_owned(), file(files, path)))
        .collect();
    if values.is_empty() {
        Value::Null
    } else {
        values.into()
    }
}

/// Manifests and sources that have a folder each.
fn sources(files: &Files, folder: &str) -> Value {
    let ends = files
        .0
        .keys()
        .filter_map(|path| path.strip_suffix("/source.js"));
    let inside = ends.filter(|path| path.starts_with(folder));
    inside
        .map(|path| {
            let source = files.get(&format!("{path}/source.js")).unwrap_or_default();
            json!({ "config": file(files, &format!("{path}/config.json")), "source": text(source) })
        })
        .collect()
}

fn services(files: &Files, top: &str) -> Value {
    let names = folders(files, top).into_iter();
    names
        .map(|name| {
            let path = |rest: &str| format!("{top}{name}/{rest}");
            let mut service = json!({
                "config": file(files, &path("config.json")),
                "incoming_webhooks": sources(files, &path("incoming_webhooks/")),
                "rules": list(files, &path("rules/")),
            });
            if let Some(rule) = some(file(files, &path("default_rule.json"))) {
                service["default_rule"] = rule;
            }
            service
        })
        .collect()
}

fn data_sources(files: &Files) -> Value {
    let names = folders(files, "data_sources/").into_iter();
    names
        .map(|name| {
            let top = format!("data_sources/{name}/");
            let mut rules = Vec::new();
            for database in folders(files, &top) {
                for collection in folders(files, &format!("{top}{database}/")) {
                    let part = |part: &str| {
                        some(file(
                            files,
                            &format!("{top}{database}/{collection}/{part}.json"),
                        ))
                    };
                    let (schema, links) = (part("schema"), part("relationships"));
                    let mut rule = part("rules").unwrap_or_else(|| {
                        assert!(
                            schema.is_some() && links.is_some(),
                            "{database}.{collection}"
                        );
                        json!({ "database": database, "collection": collection })
                    });
                    for (field, value) in [("schema", schema), ("relationships", links)] {
                        if let Some(value) = value {
                            rule[field] = value;
                        }
                    }
                    rules.push(rule);
                }
            }
            let mut source =
                json!({ "config": file(files, &format!("{top}config.json")), "rules": rules });
            if let Some(rule) = some(file(files, &format!("{top}default_rule.json"))) {
                source["default_rule"] = rule;
            }
            source
        })
        .collect()
}

fn graphql(files: &Files) -> Value {
    json!({
        "config": file(files, "graphql/config.json"),
        "custom_resolvers": list(files, "graphql/custom_resolvers/"),
    })
}

/// Fields by name, and whole numbers without a point.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let entries = names.into_iter();
            entries
                .map(|name| (name.clone(), sorted(&fields[name])))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                json!(float as i64)
            }
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}
