//! Administration of Device Sync (admin-api.md §3.4): its configuration, its
//! state, and data models of the SDKs. Sync itself does not run here yet: no
//! client is accepted, and what needs one says so.

use app::Seen;
use axum::http::Method;
use config::models::{Alert, Language};
use config::{Kind, Node};
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Read, Write};
use web::{Answer, Request};

use crate::resource::{edit, single};
use crate::{Cx, Row, body, row};

const CONFIG: &str = "/groups/{groupId}/apps/{appId}/sync/config";
const STATE: &str = "/groups/{groupId}/apps/{appId}/sync/state";
const PROGRESS: &str = "/groups/{groupId}/apps/{appId}/sync/progress";
const RESET: &str = "/groups/{groupId}/apps/{appId}/sync/force_reset";
const VERSIONS: &str = "/groups/{groupId}/apps/{appId}/sync/schemas/versions";
const MIGRATION: &str = "/groups/{groupId}/apps/{appId}/sync/migration";
const MODELS: &str = "/groups/{groupId}/apps/{appId}/sync/client_schemas/{language}";

pub(crate) const ROWS: &[Row] = &[
    row("adminGetSyncConfig", Method::GET, CONFIG, Read, |cx, r| {
        Box::pin(get_config(cx, r))
    }),
    row("adminSetSyncConfig", Method::PUT, CONFIG, Write, |cx, r| {
        Box::pin(set_config(cx, r))
    }),
    row("adminGetSyncState", Method::GET, STATE, Read, |cx, r| {
        Box::pin(state(cx, r))
    }),
    row(
        "adminGetSyncProgress",
        Method::GET,
        PROGRESS,
        Read,
        |cx, r| Box::pin(progress(cx, r)),
    ),
    row(
        "adminForceClientReset",
        Method::PUT,
        RESET,
        Write,
        |cx, r| Box::pin(force_reset(cx, r)),
    ),
    row(
        "adminGetSyncSchemaVersions",
        Method::GET,
        VERSIONS,
        Read,
        |cx, r| Box::pin(versions(cx, r)),
    ),
    row(
        "adminGetSyncMigration",
        Method::GET,
        MIGRATION,
        Read,
        |cx, r| Box::pin(get_migration(cx, r)),
    ),
    row(
        "adminMigrateSync",
        Method::PUT,
        MIGRATION,
        Write,
        |cx, r| Box::pin(migrate(cx, r)),
    ),
    row(
        "adminGetClientSchemas",
        Method::GET,
        MODELS,
        Read,
        |cx, r| Box::pin(models(cx, r)),
    ),
];

const DEVELOPMENT: &str = "development_mode_enabled";
/// The text by which clients know that there is nothing to wait for.
const NO_SYNC: &str = "there are no mongodb/atlas services with provided sync state";
const NOT_HERE: &str = "Device Sync does not run on this server yet";

async fn get_config(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let mut shown = single(seen.config(), Kind::Sync);
    shown.entry(DEVELOPMENT).or_insert(json!(false));
    Ok(Answer::ok(&Value::Object(shown)))
}

/// Switches development mode. Some clients send all of sync's configuration; the
/// rest of it is the data source's.
async fn set_config(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let on = body::flag(&fields, DEVELOPMENT)?;
    let was = single(cx.seen().await?.config(), Kind::Sync)
        .get(DEVELOPMENT)
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let app = cx.app()?;
    edit(app, &cx.author(&request)?, |config| {
        let mut fields = single(config, Kind::Sync);
        fields.insert(DEVELOPMENT.to_owned(), json!(on));
        config.set(Kind::Sync, "", Node::new(Value::Object(fields)))?;
        if !on || was {
            return Ok(());
        }
        // Whoever develops logs in without an account.
        let known = config.get(Kind::AuthProvider, ANONYMOUS);
        let new = || Node::new(json!({ "name": ANONYMOUS, "type": ANONYMOUS }));
        let mut provider = known.map_or_else(new, |node| Node::clone(node));
        provider.json["disabled"] = json!(false);
        config.set(Kind::AuthProvider, ANONYMOUS, provider)
    })
    .await?;
    if on != was {
        // While it is on, what clients bring is live at once.
        app.configure_deployment(|deploy| {
            deploy.ui_drafts_disabled = on;
            Ok(())
        })
        .await?;
    }
    Ok(Answer::no_content())
}

const ANONYMOUS: &str = "anon-user";

async fn state(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let wanted = request.query_value("sync_type").unwrap_or_default();
    if !["", "flexible", "partition"].contains(&wanted.as_str()) {
        return Err(Problem::invalid_parameter(
            "'sync_type' must be 'flexible' or 'partition'",
        ));
    }
    let seen = cx.seen().await?;
    let state = match seen.config().sync_state() {
        Some((kind, state)) if wanted.is_empty() || wanted == kind => state,
        _ => "",
    };
    Ok(Answer::ok(&json!({ "state": state })))
}

fn no_sync() -> Problem {
    Problem::bad_request(NO_SYNC)
}

/// No client is accepted, however long it waits.
async fn progress(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let seen = cx.seen().await?;
    let Some((_, "enabled")) = seen.config().sync_state() else {
        return Err(no_sync());
    };
    let collections = seen.config().all(Kind::Schema).filter_map(|(key, _)| {
        let (_, place) = key.split_once('/')?;
        let place = place.replacen('/', ".", 1);
        Some((place, json!({ "complete": false, "error": NOT_HERE })))
    });
    let collections: Map<String, Value> = collections.collect();
    Ok(Answer::ok(&json!({
        "accepting_clients": false, "progress": collections,
    })))
}

async fn force_reset(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let file = match fields.get("file_ident") {
        None | Some(Value::Null) => {
            return Err(Problem::missing_parameter(
                "'file_ident' is a required number",
            ));
        }
        Some(file) => file
            .as_i64()
            .ok_or_else(|| Problem::invalid_parameter("'file_ident' must be a number"))?,
    };
    if cx.seen().await?.config().sync_state().is_none() {
        return Err(no_sync());
    }
    Err(Problem::bad_request(format!(
        "{NOT_HERE}: there is no client with the file {file}"
    )))
}

/// Schemas have one version until sync tells clients of another.
async fn versions(_cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!({ "versions": [{ "version_major": 0 }] })))
}

/// Nothing is being migrated.
async fn get_migration(_cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!({
        "errorMessage": "", "statusMessage": "", "isMigrated": false,
        "isCancelable": false, "isRevertible": false,
    })))
}

async fn migrate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let id = body::text(&fields, "serviceId")?;
    let action = body::text(&fields, "action")?;
    if !["start", "rollback"].contains(&action) {
        return Err(Problem::bad_request(
            "'action' must be 'start' or 'rollback'",
        ));
    }
    let seen = cx.seen().await?;
    let source = crate::resource::key_of(&seen, Kind::DataSource, id)?;
    let partition = seen.config().sync_of(&source).is_some_and(|sync| {
        sync.field == "sync" && sync.settings.get("state") == Some(&json!("enabled"))
    });
    Err(Problem::bad_request(if partition {
        NOT_HERE.to_owned() + ": its data cannot be migrated"
    } else {
        "only partition-based sync that is enabled can be migrated".to_owned()
    }))
}

/// The classes of every schema in a language.
async fn models(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let name = request.parameter("language");
    let found = Language::ALL.iter().find(|(known, _)| *known == name);
    let Some((_, language)) = found else {
        let known: Vec<&str> = Language::ALL.iter().map(|(known, _)| *known).collect();
        return Err(Problem::new(
            kit::Kind::NotFound,
            "LanguageNotFound",
            format!("no models in '{name}'; there are {}", known.join(", ")),
        ));
    };
    let seen = cx.seen().await?;
    let models = config::models::models(seen.config(), *language);
    let shown = models.iter().map(|model| {
        json!({
            "service_id": service_id(&seen, &model.key),
            "rule_id": rule_id(&seen, &model.key),
            "model_name": model.name,
            "collection_display_name": collection(&model.key),
            "import_statements": model.imports,
            "schema": model.code,
            "warnings": model.warnings.iter().map(alert).collect::<Value>(),
            "error": model.error.as_ref().map_or_else(
                || json!({ "error": "", "error_code": "" }),
                alert,
            ),
        })
    });
    Ok(Answer::ok(&shown.collect()))
}

fn alert(of: &Alert) -> Value {
    json!({ "error": of.message, "error_code": of.code })
}

fn service_id<'s>(seen: &'s Seen, key: &str) -> &'s str {
    let source = key.split('/').next().unwrap_or_default();
    seen.node_id(Kind::DataSource, source).unwrap_or_default()
}

/// The id of the collection's rule, or of its schema where it has none.
fn rule_id<'s>(seen: &'s Seen, key: &str) -> &'s str {
    let rule = seen.node_id(Kind::Rule, key);
    rule.or_else(|| seen.node_id(Kind::Schema, key))
        .unwrap_or_default()
}

/// `database.collection`
fn collection(key: &str) -> String {
    let (_, place) = key.split_once('/').unwrap_or_default();
    place.replacen('/', ".", 1)
}
