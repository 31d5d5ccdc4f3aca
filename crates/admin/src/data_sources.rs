//! Linking several data sources at once, and what Device Sync can partition by
//! (admin-api.md §2.6, #26 and #53).

use std::collections::HashSet;

use app::Seen;
use axum::http::{Method, StatusCode};
use config::{EditError, Kind, Node};
use kit::{Problem, limit};
use serde_json::{Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{edit, key_of};
use crate::{Cx, Row, body, row};

const LINK: &str = "/groups/{groupId}/apps/{appId}/multi_data_sources";
const SYNC_DATA: &str = "/groups/{groupId}/apps/{appId}/sync/data";

pub(crate) const ROWS: &[Row] = &[
    row(
        "adminLinkMultiDataSources",
        Method::POST,
        LINK,
        Write,
        |cx, r| Box::pin(link(cx, r)),
    ),
    row("adminGetSync", Method::GET, SYNC_DATA, Read, |cx, r| {
        Box::pin(sync_data(cx, r))
    }),
];

/// A data source to link: its name and node.
type Linked = (String, Node);

/// Links all or none. Everybody who uses the app may read and write what is in
/// them, until it has other rules.
async fn link(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let Value::Array(list) = body::value(&request)? else {
        return Err(Problem::bad_request("the request body has to be an array"));
    };
    if list.is_empty() || list.len() > limit::LINKED_SOURCES_MAX {
        return Err(Problem::bad_request(format!(
            "between 1 and {} data sources are linked at once",
            limit::LINKED_SOURCES_MAX
        )));
    }
    let new: Vec<Linked> = list.iter().map(linked).collect::<Result<_, _>>()?;
    let seen = cx.seen().await?;
    let known = seen.config().all(Kind::DataSource).count();
    if known + new.len() > limit::APP_SOURCES_MAX {
        return Err(Problem::bad_request(format!(
            "an app has at most {} data sources",
            limit::APP_SOURCES_MAX
        )));
    }
    let taken = taken(&seen, &new);
    if !taken.is_empty() {
        return Ok(Answer::json(
            StatusCode::BAD_REQUEST,
            &json!({
                "failedClusterNames": taken, "error_code": "ServiceDuplicateName",
                "error": format!("names are taken: {}", taken.join(", ")),
            }),
        ));
    }
    edit(cx.app()?, &cx.author(&request)?, |config| {
        for (name, node) in &new {
            // Names are unique among all services.
            if config.get(Kind::Service, name).is_some() {
                return Err(EditError::Duplicate(Kind::Service, name.clone()));
            }
            config.insert(Kind::DataSource, name, node.clone())?;
            config.insert(Kind::DefaultRule, name, read_and_write())?;
        }
        Ok(())
    })
    .await?;
    Ok(Answer::empty(StatusCode::CREATED))
}

/// Names that are there already, or twice in the list.
fn taken(seen: &Seen, new: &[Linked]) -> Vec<String> {
    let mut met = HashSet::new();
    let is_taken = |name: &&String| {
        let known = [Kind::DataSource, Kind::Service];
        let known = known
            .iter()
            .any(|kind| seen.config().get(*kind, name).is_some());
        !met.insert((*name).clone()) || known
    };
    new.iter()
        .map(|(name, _)| name)
        .filter(is_taken)
        .cloned()
        .collect()
}

fn linked(one: &Value) -> Result<Linked, Problem> {
    let Value::Object(fields) = one else {
        return Err(Problem::bad_request("a data source has to be an object"));
    };
    let (name, kind) = (body::text(fields, "name")?, body::text(fields, "type")?);
    if !["mongodb-atlas", "datalake"].contains(&kind) {
        return Err(Problem::invalid_parameter(format!(
            "a data source of the type '{kind}' cannot be linked here"
        )));
    }
    let config = body::optional_object(fields, "config")?;
    let cluster = ["clusterName", "dataLakeName"];
    if !cluster
        .iter()
        .any(|field| body::text(&config, field).is_ok())
    {
        return Err(Problem::missing_parameter(
            "'config.clusterName' is a required string",
        ));
    }
    let node = json!({ "name": name, "type": kind, "config": config, "version": 1 });
    Ok((name.to_owned(), Node::new(node)))
}

fn read_and_write() -> Node {
    Node::new(json!({
        "roles": [{
            "name": "readAndWriteAll", "apply_when": {},
            "document_filters": { "read": true, "write": true },
            "read": true, "write": true, "insert": true, "delete": true, "search": true,
        }],
        "filters": [],
    }))
}

/// Types that a partition key may have.
const PARTITION_TYPES: [&str; 4] = ["string", "objectId", "long", "uuid"];

/// The fields by which the documents of a data source can be partitioned, and
/// the data source that is synced.
async fn sync_data(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let id = request
        .query_value("service_id")
        .filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Problem::missing_parameter("'service_id' is required"))?;
    let name = key_of(&seen, Kind::DataSource, &id)?;
    let fields = partition_fields(&seen, &name);
    let fields = fields
        .iter()
        .map(|(key, kind)| json!({ "key": key, "type": kind }));
    let synced = synced(&seen).and_then(|name| seen.node_id(Kind::DataSource, name));
    Ok(Answer::ok(&json!({
        "service_id": synced.unwrap_or_default(), "partition_fields": fields.collect::<Value>(),
    })))
}

/// The data source that is synced, by either place that says so.
fn synced(seen: &Seen) -> Option<&str> {
    let config = seen.config();
    let on = |node: &Node, pointer: &str| {
        let state = node.at(pointer).and_then(Value::as_str);
        state.is_some_and(|state| !state.is_empty())
    };
    let file = config.get(Kind::Sync, "").filter(|node| on(node, "/state"));
    let named = file
        .map(|node| node.text("service_name"))
        .filter(|name| !name.is_empty());
    named.or_else(|| {
        let mut sources = config.all(Kind::DataSource);
        let synced = sources.find(|(_, node)| {
            on(node, "/config/sync/state") || on(node, "/config/flexible_sync/state")
        });
        synced.map(|(name, _)| name.as_str())
    })
}

/// Fields that every schema of a data source has, with one type: what a
/// partition is known by is the same in all collections.
fn partition_fields<'s>(seen: &'s Seen, source: &str) -> Vec<(&'s str, &'s str)> {
    let within = |key: &str| key.split('/').next() == Some(source);
    let schemas = seen.config().all(Kind::Schema);
    let mut schemas = schemas
        .filter(|(key, _)| within(key))
        .filter_map(|(_, node)| node.at("/properties")?.as_object())
        .map(|properties| {
            let fields = properties.iter().filter_map(|(name, schema)| {
                let kind = schema.get("bsonType")?.as_str()?;
                let fits = name != "_id" && PARTITION_TYPES.contains(&kind);
                fits.then_some((name.as_str(), kind))
            });
            fields.collect::<Vec<_>>()
        });
    let mut common = schemas.next().unwrap_or_default();
    for fields in schemas {
        common.retain(|field| fields.contains(field));
    }
    common
}
