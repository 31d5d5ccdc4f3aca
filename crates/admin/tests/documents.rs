//! The documents that are written from the rows: they are what the rows say.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use admin::Admin;
use serde_json::Value;

/// The operations of the service's own document: method, path and id.
const DOCUMENTED: &str = include_str!("documented.txt");

/// What is kept and does not act yet, by what stands behind the app in a path.
const NOT_YET: &[(&str, &str)] = &[
    ("triggers", "kept and checked; triggers do not fire yet"),
    (
        "event_subscriptions",
        "kept and checked; triggers do not fire yet",
    ),
    (
        "log_forwarders",
        "kept and checked; nothing is forwarded yet",
    ),
    ("graphql", "kept and checked; GraphQL is not answered yet"),
    (
        "endpoints",
        "kept and checked; endpoints are not served yet",
    ),
    (
        "data_api",
        "kept and checked; the Data API is not served yet",
    ),
    ("webhooks", "kept and checked; webhooks are not served yet"),
    ("sync", "kept and checked; Device Sync is not served yet"),
];

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Compares a document with what is checked in; writes it when it is asked to.
fn current(path: &str, text: &str) {
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        std::fs::write(file(path), text).unwrap();
    }
    let known = std::fs::read_to_string(file(path)).unwrap_or_default();
    assert!(
        known == text,
        "{path} is not what the rows say; renew it with: cargo xtask documents"
    );
}

#[test]
fn the_openapi_document_is_current_and_whole() {
    let document = admin::openapi::document().unwrap();
    let mut references = Vec::new();
    find_references(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let paths = document["paths"].as_object().unwrap();
    let operations = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    assert_eq!(operations.count(), Admin::operations().count());
    current("docs/openapi.json", &format!("{document:#}\n"));
}

fn find_references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(reference) if name == "$ref" => found.push(reference),
                    value => find_references(value, found),
                }
            }
        }
        _ => {}
    }
}

/// A path without the names of its parameters.
fn bare(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn the_parity_page_is_current() {
    let rows: Vec<(String, String)> = Admin::operations()
        .map(|(_, method, path, _)| (method.to_string(), bare(path)))
        .collect();
    let (mut table, mut there, mut all) = (String::new(), 0, 0);
    for line in DOCUMENTED.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap();
        let (method, path, id) = (word(), word(), word());
        all += 1;
        let known = rows.contains(&(method.to_owned(), bare(path)));
        there += usize::from(known);
        let below = path
            .strip_prefix("/groups/{groupId}/apps/{appId}/")
            .unwrap_or_default();
        let area = below.split('/').next().unwrap_or_default();
        let area = if below.contains("incoming_webhooks") {
            "webhooks"
        } else {
            area
        };
        let note = NOT_YET.iter().find(|(name, _)| *name == area);
        let state = match (known, note) {
            (false, _) => "missing",
            (true, Some((_, note))) => note,
            (true, None) => "there",
        };
        let _ = writeln!(table, "| `{id}` | `{method} {path}` | {state} |");
    }
    assert_eq!(all, 181);
    let page = format!(
        "# Parity with the Admin API\n\n\
         The service's Admin API 3.0 documents {all} operations, and {there} of them are here. This page \
         is written from the server's own table: `cargo xtask documents` renews it. The server answers \
         what it serves at `/api/admin/v3.0/openapi.json`, and as a page at \
         `/api/admin/v3.0/openapi.html`.\n\n\
         | operation | method and path below `/api/admin/v3.0` | state |\n|---|---|---|\n{table}"
    );
    current("docs/guide/parity.md", &page);
}

#[tokio::test]
async fn everybody_may_read_the_documents() {
    let world = crate::World::new().await;
    let get = axum::http::Method::GET;
    let served = world.request(get.clone(), "openapi.json", None, b"").await;
    assert_eq!(
        (served.status, served.body),
        (200, admin::openapi::document().unwrap())
    );
    let page = world.request(get, "openapi.html", None, b"").await;
    assert_eq!(page.kind.as_deref(), Some("text/html; charset=utf-8"));
}
