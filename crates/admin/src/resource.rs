//! Generic verbs over nodes of the configuration: list, create, get, replace,
//! delete. A resource says what is particular about its kind.

use std::sync::Arc;

use app::{App, Author, Renames, refused};
use config::{AppConfig, EditError, Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::{Answer, Request};

use crate::{Cx, body};

/// A kind of node as the Admin API shows it.
pub(crate) trait Resource: 'static {
    /// The kind.
    const KIND: Kind;
    /// What the path calls the node's id.
    const ID: &'static str;
    /// The fields of a body that are kept, in the order in which files have
    /// them. Others are ignored, as clients send back whole objects.
    const FIELDS: &'static [&'static str];

    /// The natural key.
    fn key(fields: &Map<String, Value>) -> Result<String, Problem> {
        body::text(fields, "name").map(str::to_owned)
    }

    /// The node that a body describes; `before` is the one that it replaces.
    fn node(
        _app: &App,
        fields: &Map<String, Value>,
        before: Option<&Node>,
    ) -> Result<Node, Problem> {
        Ok(Node::new(kept(Self::FIELDS, fields, before)))
    }

    /// The node as lists show it.
    fn brief(entry: &Entry) -> Value;

    /// The node as it is shown alone.
    fn full(entry: &Entry) -> Value;
}

/// A node with what stands beside it.
pub(crate) struct Entry<'a> {
    pub(crate) app: &'a App,
    pub(crate) id: String,
    /// When it last changed, in seconds.
    pub(crate) modified: i64,
    pub(crate) node: &'a Node,
}

impl<'a> Entry<'a> {
    /// The entry of a node.
    pub(crate) fn of(app: &'a App, kind: Kind, key: &str, node: &'a Node) -> Self {
        let record = app.node_record(kind, key);
        Self {
            app,
            modified: record.as_ref().map_or(0, |record| record.modified / 1000),
            id: record.map_or_else(String::new, |record| record.id),
            node,
        }
    }

    /// The id and these of the node's fields.
    pub(crate) fn show(&self, fields: &[&str]) -> Value {
        let mut shown = json!({ "_id": self.id });
        for name in fields {
            if let Some(value) = self.node.json.get(name) {
                shown[*name] = value.clone();
            }
        }
        shown
    }

    /// The id and everything that the node says.
    pub(crate) fn show_all(&self) -> Value {
        let mut shown = json!({ "_id": self.id });
        if let (Some(shown), Some(fields)) = (shown.as_object_mut(), self.node.fields()) {
            shown.extend(fields.clone());
        }
        shown
    }
}

/// The known fields of a body, and the fields of the node before that a body
/// cannot say.
pub(crate) fn kept(known: &[&str], body: &Map<String, Value>, before: Option<&Node>) -> Value {
    let mut fields: Map<String, Value> = known
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone())))
        .collect();
    for (name, value) in before.and_then(Node::fields).into_iter().flatten() {
        if !known.contains(&name.as_str()) {
            fields.insert(name.clone(), value.clone());
        }
    }
    Value::Object(fields)
}

/// The key of the node that the path names.
///
/// # Errors
/// `<Thing>NotFound`.
pub(crate) fn key_of(app: &App, kind: Kind, id: &str) -> Result<String, Problem> {
    app.node_key(kind, id)
        .ok_or_else(|| refused(&EditError::NotFound(kind, id.to_owned())))
}

/// Changes the configuration by one edit.
pub(crate) async fn edit<F>(app: &App, author: &Author, change: F) -> Result<(), Problem>
where
    F: Fn(&mut AppConfig) -> Result<(), EditError>,
{
    app.edit(author, |config| {
        change(config).map_err(|error| refused(&error))?;
        Ok(Renames::new())
    })
    .await
    .map(drop)
}

/// The path's node: its key and the node itself.
fn found<R: Resource>(app: &App, request: &Request) -> Result<(String, Arc<Node>), Problem> {
    let id = request.parameter(R::ID);
    let key = key_of(app, R::KIND, id)?;
    let node = app.release().config.get(R::KIND, &key).cloned();
    node.map(|node| (key, node))
        .ok_or_else(|| refused(&EditError::NotFound(R::KIND, id.to_owned())))
}

/// `GET`: every node.
pub(crate) async fn list<R: Resource>(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let release = app.release();
    let shown = release
        .config
        .all(R::KIND)
        .map(|(key, node)| R::brief(&Entry::of(app, R::KIND, key, node)))
        .collect();
    Ok(Answer::ok(&shown))
}

/// `POST`: a new node.
pub(crate) async fn create<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let fields = body::object(&request)?;
    let key = R::key(&fields)?;
    let node = R::node(app, &fields, None)?;
    let author = cx.author(&request)?;
    edit(app, &author, |config| {
        config.insert(R::KIND, &key, node.clone())
    })
    .await?;
    Ok(Answer::created(&R::full(&Entry::of(
        app,
        R::KIND,
        &key,
        &node,
    ))))
}

/// `GET`: one node.
pub(crate) async fn get<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let (key, node) = found::<R>(app, &request)?;
    Ok(Answer::ok(&R::full(&Entry::of(app, R::KIND, &key, &node))))
}

/// `PUT`: the whole node anew, under the same id. A name that is left out
/// stays.
pub(crate) async fn replace<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let (key, before) = found::<R>(app, &request)?;
    let mut fields = body::object(&request)?;
    if let (false, Some(name)) = (fields.contains_key("name"), before.json.get("name")) {
        fields.insert("name".to_owned(), name.clone());
    }
    let new = R::key(&fields)?;
    let node = R::node(app, &fields, Some(&before))?;
    app.edit(&cx.author(&request)?, |config| {
        config
            .replace(R::KIND, &key, &new, node.clone())
            .map_err(|error| refused(&error))?;
        Ok(vec![(R::KIND, key.clone(), new.clone())])
    })
    .await?;
    Ok(Answer::no_content())
}

/// `DELETE`: the node is gone, unless others name it.
pub(crate) async fn delete<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let app = cx.app()?;
    let (key, _) = found::<R>(app, &request)?;
    let author = cx.author(&request)?;
    edit(app, &author, |config| config.remove(R::KIND, &key)).await?;
    Ok(Answer::no_content())
}
