//! Generic verbs over nodes of the configuration: list, create, get, replace,
//! delete. A resource says what is particular about its kind.

use std::sync::Arc;

use app::{App, Author, Renames, Seen, refused};
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

    /// Makes of a body's fields what files have: names in place of ids, and what
    /// they say whether it was said or not.
    fn complete(_seen: &Seen, _fields: &mut Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }

    /// The node that a body describes; `before` is the one that it replaces.
    fn node(
        seen: &Seen,
        fields: &Map<String, Value>,
        before: Option<&Node>,
    ) -> Result<Node, Problem> {
        let mut fields = fields.clone();
        Self::complete(seen, &mut fields)?;
        Ok(Node::new(kept(Self::FIELDS, &fields, before)))
    }

    /// The node as lists show it.
    fn brief(entry: &Entry) -> Value {
        Self::full(entry)
    }

    /// The node as it is shown alone.
    fn full(entry: &Entry) -> Value;
}

/// A node with what stands beside it.
pub(crate) struct Entry<'a> {
    pub(crate) seen: &'a Seen,
    pub(crate) id: String,
    /// When it last changed, in seconds.
    pub(crate) modified: i64,
    pub(crate) node: &'a Node,
}

impl<'a> Entry<'a> {
    /// The entry of a node.
    pub(crate) fn of(seen: &'a Seen, kind: Kind, key: &str, node: &'a Node) -> Self {
        let record = seen.ids.record(kind, key);
        Self {
            seen,
            modified: record.map_or(0, |record| record.modified / 1000),
            id: record.map_or_else(String::new, |record| record.id.clone()),
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

/// Characters of a value's or service's name.
const NAME_CHARS_MAX: usize = 64;

/// Refuses what is no name of a value or service.
///
/// # Errors
/// `BadRequest`.
pub(crate) fn check_name(noun: &str, name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_CHARS_MAX && name.chars().all(fits) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "{noun} names begin with a letter or number and have at most {NAME_CHARS_MAX} ASCII \
         letters, numbers, underscores and hyphens"
    )))
}

/// A field with the id of another node, and the one with its name: bodies have
/// either, files the name, answers both (admin-api.md §4.2).
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
}

/// A reference to a function.
pub(crate) const FUNCTION: Reference = Reference {
    kind: Kind::Function,
    id: "function_id",
    name: "function_name",
};

impl Reference {
    /// Turns the id that a body has into the name. Of an id and a name, the id
    /// counts: it stays when a name changes.
    ///
    /// # Errors
    /// `BadRequest` for an id that nothing has, `InvalidParameter` for what is
    /// no text.
    pub(crate) fn read(&self, seen: &Seen, fields: &mut Map<String, Value>) -> Result<(), Problem> {
        body::optional_text(fields, self.name)?;
        let id = body::optional_text(fields, self.id)?
            .unwrap_or_default()
            .to_owned();
        fields.shift_remove(self.id);
        if id.is_empty() || id == NO_ID {
            return Ok(());
        }
        let key = seen.ids.key(self.kind, &id).ok_or_else(|| {
            Problem::bad_request(format!("{} not found: '{id}'", self.kind.noun()))
        })?;
        fields.insert(self.name.to_owned(), json!(key));
        Ok(())
    }

    /// Adds the id of what the name names.
    pub(crate) fn show(&self, seen: &Seen, shown: &mut Value) {
        let name = shown.get(self.name).and_then(Value::as_str);
        let id = name.and_then(|name| seen.node_id(self.kind, name));
        if let Some(id) = id {
            shown[self.id] = json!(id);
        }
    }
}

/// How the id of nothing is written.
pub(crate) const NO_ID: &str = "000000000000000000000000";

/// The key of the node that the path names.
///
/// # Errors
/// `<Thing>NotFound`.
pub(crate) fn key_of(seen: &Seen, kind: Kind, id: &str) -> Result<String, Problem> {
    let key = seen.ids.key(kind, id).map(str::to_owned);
    key.ok_or_else(|| refused(&EditError::NotFound(kind, id.to_owned())))
}

/// Changes the configuration by one edit; answers how it is seen after that.
pub(crate) async fn edit<F>(app: &App, author: &Author, change: F) -> Result<Seen, Problem>
where
    F: Fn(&mut AppConfig) -> Result<(), EditError>,
{
    app.edit(author, |config| {
        change(config).map_err(|error| refused(&error))?;
        Ok(Renames::new())
    })
    .await
}

/// Changes the fields of a node by one edit.
///
/// # Errors
/// `<Thing>NotFound`, and what is wrong with the node afterwards.
pub(crate) async fn edit_node(
    cx: &Cx,
    request: &Request,
    kind: Kind,
    key: &str,
    change: impl Fn(&mut Map<String, Value>),
) -> Result<Seen, Problem> {
    edit(cx.app()?, &cx.author(request)?, |config| {
        let before = config.get(kind, key);
        let before = before.ok_or_else(|| EditError::NotFound(kind, key.to_owned()))?;
        let mut node = Node::clone(before);
        if let Some(fields) = node.json.as_object_mut() {
            change(fields);
        }
        config.replace(kind, key, key, node)
    })
    .await
}

/// The fields of what there is once in an app; none while there is no such node.
pub(crate) fn single(config: &AppConfig, kind: Kind) -> Map<String, Value> {
    let node = config.get(kind, "");
    node.and_then(|node| node.fields().cloned())
        .unwrap_or_default()
}

/// Merges fields into what there is once in an app.
pub(crate) async fn merge_single(
    cx: &Cx,
    request: &Request,
    kind: Kind,
    fields: &Map<String, Value>,
) -> Result<Answer, Problem> {
    edit(cx.app()?, &cx.author(request)?, |config| {
        let mut merged = single(config, kind);
        merged.extend(fields.clone());
        config.set(kind, "", Node::new(Value::Object(merged)))
    })
    .await?;
    Ok(Answer::no_content())
}

/// The path's node: its key and the node itself.
fn found<R: Resource>(seen: &Seen, request: &Request) -> Result<(String, Arc<Node>), Problem> {
    let id = request.parameter(R::ID);
    let key = key_of(seen, R::KIND, id)?;
    let node = seen.config().get(R::KIND, &key).cloned();
    node.map(|node| (key, node))
        .ok_or_else(|| refused(&EditError::NotFound(R::KIND, id.to_owned())))
}

/// `GET`: every node.
pub(crate) async fn list<R: Resource>(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&Value::Array(listed::<R>(&cx.seen().await?))))
}

/// Every node, as lists show it.
pub(crate) fn listed<R: Resource>(seen: &Seen) -> Vec<Value> {
    let nodes = seen.config().all(R::KIND);
    nodes
        .map(|(key, node)| R::brief(&Entry::of(seen, R::KIND, key, node)))
        .collect()
}

/// `POST`: a new node.
pub(crate) async fn create<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let shown = create_of::<R>(&cx, &request, &fields).await?;
    Ok(Answer::created(&shown))
}

/// Makes the node that these fields describe; answers it as it is shown alone.
pub(crate) async fn create_of<R: Resource>(
    cx: &Cx,
    request: &Request,
    fields: &Map<String, Value>,
) -> Result<Value, Problem> {
    let key = R::key(fields)?;
    let node = R::node(&cx.seen().await?, fields, None)?;
    let seen = edit(cx.app()?, &cx.author(request)?, |config| {
        config.insert(R::KIND, &key, node.clone())
    })
    .await?;
    Ok(R::full(&Entry::of(&seen, R::KIND, &key, &node)))
}

/// `GET`: one node.
pub(crate) async fn get<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&get_of::<R>(&cx.seen().await?, &request)?))
}

/// The path's node, as it is shown alone.
pub(crate) fn get_of<R: Resource>(seen: &Seen, request: &Request) -> Result<Value, Problem> {
    let (key, node) = found::<R>(seen, request)?;
    Ok(R::full(&Entry::of(seen, R::KIND, &key, &node)))
}

/// `PUT`: the whole node anew, under the same id. A name that is left out
/// stays.
pub(crate) async fn replace<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    replace_of::<R>(&cx, &request, fields).await?;
    Ok(Answer::no_content())
}

/// Replaces the path's node by what these fields describe; answers it as it is
/// shown alone.
pub(crate) async fn replace_of<R: Resource>(
    cx: &Cx,
    request: &Request,
    mut fields: Map<String, Value>,
) -> Result<Value, Problem> {
    let seen = cx.seen().await?;
    let (key, before) = found::<R>(&seen, request)?;
    if let (false, Some(name)) = (fields.contains_key("name"), before.json.get("name")) {
        fields.insert("name".to_owned(), name.clone());
    }
    let new = R::key(&fields)?;
    let node = R::node(&seen, &fields, Some(&before))?;
    let seen = rename(cx, request, R::KIND, &key, &new, &node).await?;
    Ok(R::full(&Entry::of(&seen, R::KIND, &new, &node)))
}

/// Merges the body into the path's node; answers it as it is shown alone.
pub(crate) async fn patch_of<R: Resource>(cx: &Cx, request: &Request) -> Result<Value, Problem> {
    let (_, before) = found::<R>(&cx.seen().await?, request)?;
    let mut fields = before.fields().cloned().unwrap_or_default();
    fields.extend(body::object(request)?);
    replace_of::<R>(cx, request, fields).await
}

/// Replaces a node, whose id follows it to a new key.
pub(crate) async fn rename(
    cx: &Cx,
    request: &Request,
    kind: Kind,
    key: &str,
    new: &str,
    node: &Node,
) -> Result<Seen, Problem> {
    cx.app()?
        .edit(&cx.author(request)?, |config| {
            config
                .replace(kind, key, new, node.clone())
                .map_err(|error| refused(&error))?;
            Ok(vec![(kind, key.to_owned(), new.to_owned())])
        })
        .await
}

/// `DELETE`: the node is gone, unless others name it.
pub(crate) async fn delete<R: Resource>(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let (key, _) = found::<R>(&cx.seen().await?, &request)?;
    let author = cx.author(&request)?;
    edit(cx.app()?, &author, |config| config.remove(R::KIND, &key)).await?;
    Ok(Answer::no_content())
}

/// `PUT …/enable` and `…/disable`.
pub(crate) async fn switch<R: Resource>(
    cx: Cx,
    request: Request,
    disabled: bool,
) -> Result<Answer, Problem> {
    let (key, _) = found::<R>(&cx.seen().await?, &request)?;
    edit_node(&cx, &request, R::KIND, &key, |fields| {
        fields.insert("disabled".to_owned(), json!(disabled));
    })
    .await?;
    Ok(Answer::no_content())
}
