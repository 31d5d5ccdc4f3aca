//! Templates: apps to begin with, and the clients that come with them
//! (admin-api.md §3.2).

use serde_json::Value;

use super::session::{Sent, refused_as};
use super::{App, Desk};
use crate::archives::Failed;

/// Where the app is when clients come with it, and where they are.
pub(super) const BACKEND: &str = "backend";
pub(super) const FRONTEND: &str = "frontend";

fn has(all: &Value, id: &str) -> bool {
    let mut all = all.as_array().into_iter().flatten();
    all.any(|template| template["id"] == id)
}

/// Whether the server has a template.
pub(super) fn check(desk: &Desk, id: &str) -> Result<(), Failed> {
    let all = desk.session.get("templates")?;
    if has(&all, id) {
        return Ok(());
    }
    let all = all.as_array().into_iter().flatten();
    let ids: Vec<&str> = all.filter_map(|one| one["id"].as_str()).collect();
    Err(format!("there is no template {id}; there are: {}", ids.join(", ")).into())
}

/// The clients of templates, as zip archives, by the templates' ids.
///
/// # Errors
/// The app was not made from such a template, or that has no client.
pub(super) fn clients(
    desk: &Desk,
    app: &App,
    ids: &[String],
) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let fitting = match desk.session.get(&app.at("/templates")) {
        // What the service says of an app that was made from none.
        Err(error) if refused_as(&error, 400) => Value::Null,
        answer => answer?,
    };
    let mut all = Vec::new();
    for id in ids {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !has(&fitting, id) || !id.chars().all(plain) || id.starts_with('.') {
            let app = &app.client_app_id;
            return Err(format!("{app} was not made from the template {id}").into());
        }
        let client = client(desk, app, id)?;
        let client = client.ok_or_else(|| format!("the template {id} has no client"))?;
        all.push((id.clone(), client));
    }
    Ok(all)
}

/// The client of the template that an app was made from; none when it has none.
pub(super) fn client(desk: &Desk, app: &App, id: &str) -> Result<Option<Vec<u8>>, Failed> {
    let progress = desk.out.progress("fetching the client");
    let path = app.at(&format!("/templates/{}/client", archive::escaped(id)));
    let answer = desk.session.send("GET", &path, &Sent::Nothing)?;
    drop(progress);
    Ok((!answer.bytes.is_empty()).then_some(answer.bytes))
}
