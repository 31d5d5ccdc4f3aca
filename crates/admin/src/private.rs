//! What is under `/api/private/v1.0`, with the same tokens.
//!
//! What test helpers of the SDKs call (admin-api.md §3.1): the server's version,
//! feature flags and tuning of sync. Flags and tuning are kept; nothing on this
//! server goes by them yet. And what the service had no operation for: the keys
//! that sign users' tokens, users that come from elsewhere, and how long
//! anonymous users are kept.

use app::users::KnownSigningKeys;
use axum::http::Method;
use kit::Problem;
use serde_json::{Map, Value, json};
use web::Scope::{Open, Read, Write};
use web::{Answer, Request};

use crate::{Cx, Row, body, row};

/// Where it lives.
pub const PRIVATE_PREFIX: &str = "/api/private/v1.0/";

const VERSION: &str = "/version";
const FEATURES: &str = "/groups/{groupId}/apps/{appId}/features";
const SETTINGS: &str = "/groups/{groupId}/apps/{appId}/settings";
const SIGNING_KEYS: &str = "/groups/{groupId}/apps/{appId}/security/signing_keys";
const ROTATE: &str = "/groups/{groupId}/apps/{appId}/security/signing_keys/rotate";
const IMPORT: &str = "/groups/{groupId}/apps/{appId}/users/import";
const ANONYMOUS: &str = "/groups/{groupId}/apps/{appId}/security/anonymous_user_expiration";

pub(crate) const ROWS: &[Row] = &[
    row("privateGetVersion", Method::GET, VERSION, Open, |cx, r| {
        Box::pin(version(cx, r))
    }),
    row(
        "privateGetFeatures",
        Method::GET,
        FEATURES,
        Read,
        |cx, r| Box::pin(features(cx, r)),
    ),
    row(
        "privateSetFeatures",
        Method::POST,
        FEATURES,
        Write,
        |cx, r| Box::pin(set_features(cx, r)),
    ),
    row(
        "privateGetSettings",
        Method::GET,
        SETTINGS,
        Read,
        |cx, r| Box::pin(settings(cx, r)),
    ),
    row(
        "privateSetSettings",
        Method::PATCH,
        SETTINGS,
        Write,
        |cx, r| Box::pin(set_settings(cx, r)),
    ),
    row(
        "privateListSigningKeys",
        Method::GET,
        SIGNING_KEYS,
        Read,
        |cx, _| Box::pin(async move { Ok(keys(&cx.app()?.known_signing_keys())) }),
    ),
    row(
        "privateRotateSigningKey",
        Method::POST,
        ROTATE,
        Write,
        |cx, r| Box::pin(rotate(cx, r)),
    ),
    row(
        "privateImportUsers",
        Method::POST,
        IMPORT,
        Write,
        |cx, r| Box::pin(import_users(cx, r)),
    ),
    row(
        "privateGetAnonymousUserExpiration",
        Method::GET,
        ANONYMOUS,
        Read,
        |cx, r| Box::pin(anonymous_users(cx, r)),
    ),
    row(
        "privateSetAnonymousUserExpiration",
        Method::PUT,
        ANONYMOUS,
        Write,
        |cx, r| Box::pin(set_anonymous_users(cx, r)),
    ),
];

/// Feature flags of one app.
const FLAGS_MAX: usize = 100;
/// Longest name of a feature flag.
const FLAG_CHARS_MAX: usize = 64;

/// Tuning of sync, with what holds unless it is set.
const TUNING: [(&str, i64); 3] = [
    ("num_objects_before_bootstrap_flush", 100),
    (
        "qbs_download_changeset_soft_max_byte_size",
        16 * 1024 * 1024,
    ),
    ("download_loop_sleep_millis", 0),
];

/// Some clients take a body that is no empty object for an error.
fn nothing() -> Answer {
    Answer::ok(&json!({}))
}

async fn version(_cx: Cx, _request: Request) -> Result<Answer, Problem> {
    Ok(Answer::ok(&json!({ "version": env!("CARGO_PKG_VERSION") })))
}

async fn features(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    Ok(Answer::ok(&json!({ "enabled": record.settings.features })))
}

async fn set_features(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let enable = match body::text(&fields, "action")? {
        "enable" => true,
        "disable" => false,
        _ => {
            return Err(Problem::bad_request(
                "'action' must be 'enable' or 'disable'",
            ));
        }
    };
    let flags = match fields.get("feature_flags") {
        Some(Value::Array(flags)) => flags,
        None | Some(Value::Null) => {
            return Err(Problem::missing_parameter(
                "'feature_flags' is a required list",
            ));
        }
        Some(_) => {
            return Err(Problem::invalid_parameter("'feature_flags' must be a list"));
        }
    };
    let named = |flag: &Value| {
        let flag = flag.as_str().filter(|flag| {
            !flag.is_empty()
                && flag.len() <= FLAG_CHARS_MAX
                && flag.bytes().all(|byte| byte.is_ascii_graphic())
        });
        flag.map(str::to_owned)
            .ok_or_else(|| Problem::invalid_parameter("a feature flag must be a short name"))
    };
    let flags: Vec<String> = flags.iter().map(named).collect::<Result<_, _>>()?;
    cx.app()?
        .change_settings(|settings| {
            let known = &mut settings.features;
            known.retain(|flag| !flags.contains(flag));
            if enable {
                known.extend(flags.iter().cloned());
                known.sort();
                known.dedup();
            }
            if known.len() > FLAGS_MAX {
                return Err(Problem::bad_request(format!(
                    "an app has at most {FLAGS_MAX} feature flags"
                )));
            }
            Ok(())
        })
        .await?;
    Ok(nothing())
}

async fn settings(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let record = cx.app()?.record();
    let set = &record.settings.sync_tuning;
    let tuning: Map<String, Value> = TUNING
        .iter()
        .map(|(name, unset)| {
            let value = set.get(*name).copied().unwrap_or(*unset);
            ((*name).to_owned(), json!(value))
        })
        .collect();
    Ok(Answer::ok(&json!({ "sync": tuning })))
}

async fn set_settings(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let tuning = body::optional_object(&fields, "sync")?;
    let mut set = Vec::new();
    for (name, _) in TUNING {
        match tuning.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => {
                let value = value.as_i64().filter(|value| *value >= 0);
                let value = value.ok_or_else(|| {
                    Problem::invalid_parameter(format!("'{name}' must be a number from 0"))
                })?;
                set.push((name.to_owned(), value));
            }
        }
    }
    cx.app()?
        .change_settings(|settings| {
            settings.sync_tuning.extend(set.iter().cloned());
            Ok(())
        })
        .await?;
    Ok(nothing())
}

fn keys(known: &KnownSigningKeys) -> Answer {
    let former = known
        .former
        .iter()
        .map(|(version, until)| json!({ "version": version, "until": until / 1000 }));
    Answer::ok(&json!({ "version": known.version, "former": former.collect::<Vec<_>>() }))
}

/// Makes another key; the keys before are good for `grace_seconds` at most,
/// unless for as long as their tokens last.
async fn rotate(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let grace = match fields.get("grace_seconds") {
        None | Some(Value::Null) => None,
        Some(value) => Some(whole("grace_seconds", value)?),
    };
    Ok(keys(&cx.app()?.rotate_signing_key(grace).await?))
}

fn whole(name: &str, value: &Value) -> Result<i64, Problem> {
    let number = value.as_i64();
    number.ok_or_else(|| Problem::invalid_parameter(format!("'{name}' must be a whole number")))
}

/// Makes users that come from elsewhere; of a long list clients send portions.
async fn import_users(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let Some(Value::Array(users)) = fields.get("users") else {
        return Err(Problem::invalid_parameter("'users' must be a list"));
    };
    let done = cx.app()?.import_users(users).await?;
    let refused = done.refused.iter();
    let refused = refused.map(|(index, why)| json!({ "index": index, "error": why }));
    Ok(Answer::ok(&json!({
        "created": done.created, "existing": done.existing,
        "refused": refused.collect::<Vec<_>>(),
    })))
}

async fn anonymous_users(cx: Cx, _request: Request) -> Result<Answer, Problem> {
    let days = cx.app()?.anonymous_user_days();
    Ok(Answer::ok(&json!({ "days": days })))
}

async fn set_anonymous_users(cx: Cx, request: Request) -> Result<Answer, Problem> {
    let fields = body::object(&request)?;
    let days = fields.get("days").filter(|value| !value.is_null());
    let days = days.ok_or_else(|| Problem::missing_parameter("'days' is a required number"))?;
    cx.app()?
        .set_anonymous_user_days(whole("days", days)?)
        .await?;
    Ok(Answer::no_content())
}
