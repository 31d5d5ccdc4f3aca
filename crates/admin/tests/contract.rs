//! Every operation, called as `contract.json` says and as it forbids.

mod shapes;
mod stage;

use admin::contract::{Operation, contract};
use admin::{Admin, contract::Contract};
use axum::http::Method;
use serde_json::{Value, json};
use web::Scope;

use crate::Reply;
use shapes::{misfits, mistyped};
use stage::{Stage, Target};

/// An id that nothing has.
const NOBODY: &str = "0123456789abcdef01234567";

/// Bodies that are no JSON.
const WRONG_TEXTS: [&str; 4] = ["{", "{\"name\":}", "\u{1}", "{} {}"];

fn known() -> &'static Contract {
    contract().unwrap_or_else(|error| panic!("crates/admin/contract.json: {error}"))
}

/// Every row with its entry.
fn rows() -> impl Iterator<Item = Target> {
    Admin::operations().filter_map(|(id, method, path, scope)| {
        let entry = known().operations.get(id)?;
        Some(Target {
            id,
            method,
            path,
            scope,
            entry,
        })
    })
}

/// Fails with everything that is wrong, not only the first.
fn nothing(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_row_has_an_entry_and_every_entry_a_row() {
    let mut wrong = Vec::new();
    let ids: Vec<&str> = Admin::operations().map(|(id, ..)| id).collect();
    for (id, method, path, _) in Admin::operations() {
        if !known().operations.contains_key(id) {
            wrong.push(format!(
                "{id} ({method} {path}) has no entry in crates/admin/contract.json; add one, as \
                 in: \"{id}\": {{ \"does\": \"…\", \"body\": \"Type\", \"send\": {{}}, \"ok\": 200, \
                 \"answer\": \"Type\" }} (crates/admin/src/contract.rs tells the rest)"
            ));
        }
        for part in path.split('/').filter(|part| part.starts_with('{')) {
            let name = part.trim_matches(['{', '}']);
            if !known().parameters.contains_key(name) {
                wrong.push(format!(
                    "{id}: nothing tells how to make a {name}; add it to \"parameters\" in \
                     crates/admin/contract.json, as in: \"{name}\": {{ \"make\": [\"POST /things\", \
                     {{ \"name\": \"one\" }}], \"code\": \"ThingNotFound\" }}"
                ));
            }
        }
    }
    for (id, entry) in &known().operations {
        if !ids.contains(&id.as_str()) {
            wrong.push(format!("{id} is in contract.json and no row"));
        }
        let bodies = [entry.send.is_some(), entry.text.is_some()];
        if entry.does.is_empty() || entry.ok == 0 {
            wrong.push(format!("{id} needs \"does\" and \"ok\""));
        }
        if entry.body.is_some() && !bodies.contains(&true) {
            wrong.push(format!("{id} has a body and nothing to send"));
        }
        for of in [&entry.body, &entry.answer].into_iter().flatten() {
            shapes::unknown_types(known(), of, &mut |name| {
                wrong.push(format!("{id}: there is no type '{name}'"));
            });
        }
    }
    nothing(&wrong);
}

#[tokio::test]
async fn good_requests_are_answered_in_their_shape() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    for target in rows().filter(|target| target.entry.apart.is_none()) {
        let id = target.id;
        let mut scene = stage.scene().await;
        let (path, body) = match scene.prepare(&target).await {
            Ok(prepared) => prepared,
            Err(error) => {
                wrong.push(format!("{id}: {error}"));
                continue;
            }
        };
        let reply = scene.send(&target, &path, body.as_deref()).await;
        let entry = target.entry;
        if reply.status != entry.ok {
            wrong.push(format!("{id}: {} expected, {reply:?}", entry.ok));
            continue;
        }
        wrong.extend(shape(id, entry, &reply));
        if let Some(again) = &entry.again {
            let (status, code) = again.split_once(' ').unwrap_or((again, ""));
            let reply = scene.send(&target, &path, body.as_deref()).await;
            if reply.refusal() != (status.parse().unwrap_or(0), code) {
                wrong.push(format!("{id} again: {again} expected, {reply:?}"));
            }
            wrong.extend(refusal(id, &reply));
        } else if target.is_creation() {
            wrong.push(format!(
                "{id}: say with \"again\" what a second one is answered"
            ));
        }
    }
    nothing(&wrong);
}

/// What is wrong with the shape of a good answer.
fn shape(id: &str, entry: &Operation, reply: &Reply) -> Vec<String> {
    let kind = entry
        .kind
        .as_deref()
        .or(entry.answer.as_ref().map(|_| "application/json"));
    let mut wrong = Vec::new();
    if reply.kind.as_deref() != kind {
        wrong.push(format!("{id}: content type {:?}, not {kind:?}", reply.kind));
    }
    match &entry.answer {
        Some(answer) => misfits(known(), answer, &reply.body, id, &mut wrong),
        None if entry.kind.is_none() && !reply.body.is_null() => {
            wrong.push(format!("{id}: no body expected, {}", reply.body));
        }
        None => {}
    }
    wrong
}

/// What is wrong with the shape of a refusal.
fn refusal(id: &str, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    if reply.kind.as_deref() != Some("application/json") {
        wrong.push(format!("{id}: a refusal of type {:?}", reply.kind));
    }
    misfits(known(), &json!("Error"), &reply.body, id, &mut wrong);
    wrong
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    let scene = stage.scene().await;
    let old = scene.tokens().await;
    stage.let_tokens_expire();
    for target in rows() {
        let takes = match (target.scope, target.entry.token.as_deref()) {
            (Scope::Open, None) => continue,
            (Scope::Open, Some(_)) => &old.refresh,
            _ => &old.access,
        };
        let path = target.with_nobody(&scene);
        let body = target.entry.send.as_ref().map(Value::to_string);
        for (token, text) in [
            (None, "invalid session"),
            (Some("x.y.z"), "invalid session"),
            (Some(takes.as_str()), "token expired"),
        ] {
            let reply = scene.send_as(&target, &path, token, body.as_deref()).await;
            let told = reply.body["error"].as_str().unwrap_or_default();
            if reply.refusal() != (401, "InvalidSession") || !told.contains(text) {
                wrong.push(format!("{}: {text} expected, {reply:?}", target.id));
            }
            wrong.extend(refusal(target.id, &reply));
        }
    }
    nothing(&wrong);
}

#[tokio::test]
async fn another_projects_things_are_not_there() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    let scene = stage.scene().await;
    let (project, token) = stage.stranger().await;
    for target in rows().filter(|target| target.path.contains("{groupId}")) {
        let body = target.entry.send.as_ref().map(Value::to_string);
        let path = target.with_nobody(&scene);
        let of_app = target.path.contains("{appId}");
        // Through the other project, through their own, through one that is none.
        let own = path.replace(&stage.project(), &project);
        let none = path.replace(&stage.project(), NOBODY);
        let known = if of_app {
            (404, "AppNotFound")
        } else {
            (403, "Unauthorized")
        };
        let mut tries = vec![(path, known), (none, (404, "GroupNotFound"))];
        if of_app {
            tries.push((own, (404, "AppNotFound")));
        }
        // The one of the server's operator alone.
        let operators = target.scope == Scope::Administrator;
        for (path, expected) in tries {
            let reply = scene
                .send_as(&target, &path, Some(&token), body.as_deref())
                .await;
            let fits =
                reply.refusal() == expected || (operators && [403, 404].contains(&reply.status));
            if !fits {
                wrong.push(format!("{}: {expected:?} expected, {reply:?}", target.id));
            }
            wrong.extend(refusal(target.id, &reply));
        }
    }
    nothing(&wrong);
}

#[tokio::test]
async fn a_key_for_reading_changes_nothing() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    let scene = stage.scene().await;
    let reader = stage.reader().await;
    let mut changes = 0;
    for target in rows().filter(Target::is_change) {
        changes += 1;
        let path = target.with_nobody(&scene);
        let body = target.entry.send.as_ref().map(Value::to_string);
        let reply = scene
            .send_as(&target, &path, Some(&reader), body.as_deref())
            .await;
        if reply.refusal() != (403, "Unauthorized") {
            wrong.push(format!("{}: {reply:?}", target.id));
        }
    }
    for target in rows().filter(|target| target.scope == Scope::Read) {
        if target.method != Method::GET && !target.entry.reads {
            wrong.push(format!(
                "{} changes something, and is for reading",
                target.id
            ));
        }
    }
    nothing(&wrong);
    assert!(changes > 80, "{changes} changes were tried");
}

#[tokio::test]
async fn bodies_that_are_wrong_are_refused() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    for target in rows().filter(|target| target.entry.apart.is_none()) {
        let Some(of) = &target.entry.body else {
            continue;
        };
        let mut scene = stage.scene().await;
        let Ok((mut path, Some(mut good))) = scene.prepare(&target).await else {
            wrong.push(format!("{} cannot be prepared", target.id));
            continue;
        };
        for what in WRONG_TEXTS {
            let reply = scene.send(&target, &path, Some(what)).await;
            if reply.refusal() != (400, "BadRequest") {
                wrong.push(format!("{} with {what}: {reply:?}", target.id));
            }
            wrong.extend(refusal(target.id, &reply));
        }
        for at in 0.. {
            let value = serde_json::from_str(&good).unwrap();
            let mut bodies = mistyped(known(), of, &value).into_iter();
            let Some((place, body)) = bodies.nth(at) else {
                break;
            };
            let reply = scene.send(&target, &path, Some(&body.to_string())).await;
            let (status, code) = reply.refusal();
            if status == 400 && !code.is_empty() {
                continue;
            }
            wrong.push(format!("{}, '{place}': {body}: {reply:?}", target.id));
            // It may have changed what the next try goes by.
            scene = stage.scene().await;
            if let Ok((again, Some(body))) = scene.prepare(&target).await {
                (path, good) = (again, body);
            }
        }
    }
    nothing(&wrong);
}

#[tokio::test]
async fn ids_that_nothing_has_are_told() {
    let stage = Stage::new().await;
    let mut wrong = Vec::new();
    for target in rows() {
        for name in target.names() {
            let Some(code) = known()
                .parameters
                .get(name)
                .and_then(|one| one.code.clone())
            else {
                wrong.push(format!("{}: {name} has no \"code\"", target.id));
                continue;
            };
            if target.scope == Scope::Administrator && name == "groupId" {
                continue;
            }
            for unknown in [NOBODY, "..%2fx"] {
                let mut scene = stage.scene().await;
                scene.set_unknown(name, unknown);
                let (path, body) = match scene.prepare(&target).await {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        wrong.push(format!("{}: {error}", target.id));
                        break;
                    }
                };
                let reply = scene.send(&target, &path, body.as_deref()).await;
                if reply.refusal() != (404, &code) {
                    wrong.push(format!(
                        "{} with {name} {unknown}: 404 {code} expected, {reply:?}",
                        target.id
                    ));
                    break;
                }
                wrong.extend(refusal(target.id, &reply));
            }
        }
    }
    nothing(&wrong);
}
