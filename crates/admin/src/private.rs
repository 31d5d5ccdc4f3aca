//! What test helpers of the SDKs call under `/api/private/v1.0`, with the same
//! tokens (admin-api.md §3.1): the server's version, feature flags and tuning of
//! sync. Flags and tuning are kept; nothing on this server goes by them yet.

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
