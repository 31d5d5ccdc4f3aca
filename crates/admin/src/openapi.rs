//! The API's own documents, written from the rows and the contract: an OpenAPI
//! document and a page to read, served to everybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::{Method, StatusCode};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::{Answer, Scope};

use crate::contract::{Contract, Operation, contract};
use crate::{Admin, Row, row};

pub(crate) const ROWS: &[Row] = &[
    row(
        "getOpenApi",
        Method::GET,
        "/openapi.json",
        Scope::Open,
        |_, _| Box::pin(async { document_answer() }),
    ),
    row(
        "getOpenApiPage",
        Method::GET,
        "/openapi.html",
        Scope::Open,
        |_, _| Box::pin(async { page_answer() }),
    ),
];

static DOCUMENT: LazyLock<Result<String, String>> =
    LazyLock::new(|| document().map(|document| document.to_string()));
static PAGE: LazyLock<Result<String, String>> = LazyLock::new(page);

fn document_answer() -> Result<Answer, Problem> {
    let text = DOCUMENT.as_ref().map_err(Problem::internal)?;
    Ok(Answer::bytes(
        StatusCode::OK,
        "application/json",
        text.clone().into_bytes(),
    ))
}

fn page_answer() -> Result<Answer, Problem> {
    let text = PAGE.as_ref().map_err(Problem::internal)?;
    Ok(Answer::bytes(
        StatusCode::OK,
        "text/html; charset=utf-8",
        text.clone().into_bytes(),
    ))
}

/// A row with its entry.
struct Documented {
    id: &'static str,
    method: &'static Method,
    path: &'static str,
    scope: Scope,
    entry: &'static Operation,
}

/// Every row that has an entry, by path and method.
fn documented(contract: &'static Contract) -> Vec<Documented> {
    let mut all: Vec<Documented> = Admin::operations()
        .filter_map(|(id, method, path, scope)| {
            let entry = contract.operations.get(id)?;
            Some(Documented {
                id,
                method,
                path,
                scope,
                entry,
            })
        })
        .collect();
    all.sort_by_key(|one| (one.path, one.method.as_str()));
    all
}

/// The OpenAPI document.
///
/// # Errors
/// When the contract cannot be read.
pub fn document() -> Result<Value, String> {
    let contract = contract()?;
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in documented(contract) {
        let methods = paths.entry(one.path).or_default();
        methods.insert(one.method.as_str().to_lowercase(), operation(&one));
    }
    let types: Map<String, Value> = contract
        .types
        .iter()
        .map(|(name, of)| (name.clone(), schema(of)))
        .collect();
    Ok(json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Backstitch Admin API", "version": "3.0",
            "description": "Configures apps. Errors have a text and mostly an error_code.",
        },
        "servers": [{ "url": "/api/admin/v3.0" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "The access token of a login; for sessions the refresh token.",
            } },
            "responses": REFUSALS.iter().map(refusal).collect::<Map<_, _>>(),
            "schemas": types,
        },
    }))
}

/// What comes behind the app or the project in a path.
fn area(path: &str) -> &str {
    let below = ["/groups/{groupId}/apps/{appId}/", "/groups/{groupId}/", "/"];
    let rest = below.iter().find_map(|part| path.strip_prefix(part));
    let first = rest.and_then(|rest| rest.split('/').next());
    first
        .filter(|part| !part.starts_with('{'))
        .unwrap_or("groups")
}

fn operation(one: &Documented) -> Value {
    let entry = one.entry;
    let mut operation = json!({
        "operationId": one.id, "summary": entry.does, "tags": [area(one.path)],
        "responses": responses(one),
    });
    let mut parameters: Vec<Value> = names(one.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(
        entry
            .query
            .iter()
            .map(|(name, of)| json!({ "name": name, "in": "query", "schema": schema(of) })),
    );
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if one.scope == Scope::Open && entry.token.is_none() {
        operation["security"] = json!([]);
    }
    if let Some(body) = body(entry) {
        operation["requestBody"] = body;
    }
    operation
}

/// The names in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn body(entry: &Operation) -> Option<Value> {
    if let Some(media) = &entry.media {
        let media = media.split(';').next().unwrap_or_default().trim();
        let bytes = json!({ "type": "string", "format": "binary" });
        return Some(json!({ "required": true, "content": { media: { "schema": bytes } } }));
    }
    let of = entry.body.as_ref()?;
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema(of) } } }))
}

/// Statuses of refusals, and what they mean.
const REFUSALS: [(u16, &str); 8] = [
    (400, "The request is malformed or wrong"),
    (401, "No session, or one that is over, or wrong credentials"),
    (
        403,
        "The administrator may not do this, or the provider is off",
    ),
    (404, "There is nothing of that id"),
    (409, "It is there already, in use, or was changed meanwhile"),
    (413, "The body is too large"),
    (429, "Too many at once; try again later"),
    (503, "The server's records cannot be reached"),
];

/// A refusal, for all operations.
fn refusal((status, text): &(u16, &str)) -> (String, Value) {
    let of = reference("Error");
    let content = json!({ "application/json": { "schema": of } });
    let refusal = json!({ "description": text, "content": content });
    (status.to_string(), refusal)
}

fn responses(one: &Documented) -> Value {
    let entry = one.entry;
    let mut answers: BTreeMap<u16, Value> = BTreeMap::new();
    let mut good = json!({ "description": "Done" });
    if let Some(kind) = &entry.kind {
        let bytes = json!({ "type": "string", "format": "binary" });
        let kind = kind.split(';').next().unwrap_or_default();
        good["content"] = json!({ kind: { "schema": bytes } });
    } else if let Some(of) = &entry.answer {
        good["content"] = json!({ "application/json": { "schema": schema(of) } });
    }
    let changes = one.scope == Scope::Write || (*one.method != Method::GET && !entry.reads);
    let open = one.scope == Scope::Open;
    let refused = REFUSALS.iter().filter(|(status, _)| match status {
        401 => !open || entry.token.is_some() || changes,
        403 => !open || changes,
        404 => names(one.path).next().is_some(),
        409 | 413 | 429 => changes,
        _ => true,
    });
    let failed = |status: u16| json!({ "$ref": format!("#/components/responses/{status}") });
    for (status, _) in refused {
        answers.insert(*status, failed(*status));
    }
    for (status, of) in &entry.also {
        let other = of.as_ref().map_or_else(
            || failed(*status),
            |of| {
                let content = json!({ "application/json": { "schema": schema(of) } });
                json!({ "description": "Done", "content": content })
            },
        );
        answers.insert(*status, other);
    }
    answers.insert(entry.ok, good);
    json!(
        answers
            .into_iter()
            .map(|(status, answer)| (status.to_string(), answer))
            .collect::<Map<_, _>>()
    )
}

/// A type of the contract as a schema.
fn schema(of: &Value) -> Value {
    match of {
        Value::String(name) => match name.strip_suffix('?') {
            Some(name) => match plain(name) {
                Some(mut schema) => {
                    schema["nullable"] = json!(true);
                    schema
                }
                None => json!({ "nullable": true, "allOf": [reference(name)] }),
            },
            None => plain(name).unwrap_or_else(|| reference(name)),
        },
        Value::Array(items) => {
            let items = items.first().map_or_else(|| json!({}), schema);
            json!({ "type": "array", "items": items })
        }
        Value::Object(fields) => object(fields),
        _ => json!({}),
    }
}

fn object(fields: &Map<String, Value>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut schema_of = json!({ "type": "object" });
    for (name, of) in fields {
        if name == "*" {
            schema_of["additionalProperties"] = schema(of);
            continue;
        }
        if let Some(name) = name.strip_suffix('?') {
            properties.insert(name.to_owned(), schema(of));
        } else {
            properties.insert(name.clone(), schema(of));
            required.push(name.as_str());
        }
    }
    if !required.is_empty() {
        schema_of["required"] = json!(required);
    }
    if !properties.is_empty() {
        schema_of["properties"] = Value::Object(properties);
    }
    schema_of
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schema of a type that has no name.
fn plain(name: &str) -> Option<Value> {
    Some(match name {
        "text" => json!({ "type": "string" }),
        "oid" => json!({ "type": "string", "pattern": "^[0-9a-f]{24}$" }),
        "int" => json!({ "type": "integer", "format": "int64" }),
        "number" => json!({ "type": "number" }),
        "flag" => json!({ "type": "boolean" }),
        "date" => json!({ "type": "string", "format": "date-time" }),
        "object" => json!({ "type": "object" }),
        "any" => json!({}),
        choices if choices.contains('|') => {
            json!({ "type": "string", "enum": choices.split('|').collect::<Vec<_>>() })
        }
        _ => return None,
    })
}

/// The page: every operation, by area. It loads nothing.
fn page() -> Result<String, String> {
    let contract = contract()?;
    let mut areas: BTreeMap<&str, Vec<Documented>> = BTreeMap::new();
    for one in documented(contract) {
        areas.entry(area(one.path)).or_default().push(one);
    }
    let mut page = String::from(HEAD);
    page.push_str("<nav>");
    for area in areas.keys() {
        let _ = write!(page, "<a href=\"#{area}\">{area}</a> ");
    }
    page.push_str("<a href=\"#types\">types</a></nav>\n");
    for (area, operations) in &areas {
        let _ = writeln!(page, "<h2 id=\"{area}\">{area}</h2>");
        for one in operations {
            section(one, &mut page);
        }
    }
    page.push_str("<h2 id=\"types\">types</h2>\n");
    for (name, of) in &contract.types {
        let _ = writeln!(
            page,
            "<h3 id=\"type-{name}\">{name}</h3><pre>{}</pre>",
            escaped(&format!("{of:#}"))
        );
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Backstitch Admin API</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
nav a{margin-right:.6rem} h2{border-bottom:1px solid} code,pre{font-size:.9em}
pre{background:#8881;padding:.5rem;overflow:auto;margin:.3rem 0} h3{margin:1.2rem 0 .2rem}
:root{color-scheme:light dark}
</style></head><body>
<h1>Backstitch Admin API 3.0</h1>
<p>Paths are below <code>/api/admin/v3.0</code>; <a href=\"openapi.json\">openapi.json</a> is for machines.
Types: <code>name?</code> may be left out, <code>*</code> is every other field, <code>type?</code> may be null,
<code>a|b</code> are choices, <code>oid</code> is 24 hex digits.</p>
";

fn section(one: &Documented, page: &mut String) {
    let entry = one.entry;
    let who = match one.scope {
        Scope::Open => "anybody",
        Scope::Read => "who may read the project",
        Scope::Write => "who may write the project",
        Scope::Administrator => "every administrator, or as said",
    };
    let _ = writeln!(
        page,
        "<h3 id=\"{}\"><code>{} {}</code></h3><p>{}. For {who}. <code>{}</code></p>",
        one.id,
        one.method,
        escaped(one.path),
        escaped(&entry.does),
        one.id,
    );
    let mut part = |title: &str, of: &Value| {
        let _ = writeln!(page, "{title}<pre>{}</pre>", escaped(&of.to_string()));
    };
    if !entry.query.is_empty() {
        part("Query", &Value::Object(entry.query.clone()));
    }
    if let Some(of) = &entry.body {
        part("Body", of);
    }
    match &entry.answer {
        Some(of) => part(&format!("Answer {}", entry.ok), of),
        None => {
            let _ = writeln!(page, "<p>Answer {}</p>", entry.ok);
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
