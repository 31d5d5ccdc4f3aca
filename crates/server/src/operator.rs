//! The operator at the records themselves: asks the Admin API without a server
//! that listens, and without a key. Whoever can read the records and the master
//! key needs none.

use std::sync::Arc;

use admin::{Admin, PREFIX};
use app::Backstitch;
use app::administrators::Administrator;
use axum::body::to_bytes;
use axum::http::{HeaderMap, Method};
use engine_embedded::Embedded;
use serde_json::Value;
use web::Request;

use crate::{Settings, StartError, settings};

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The operator, and records that are open.
pub struct Operator {
    admin: Admin,
    /// Keeps the records open.
    _core: Arc<Backstitch>,
}

impl Operator {
    /// Opens the records that a server would be started with.
    ///
    /// # Errors
    /// When there are none, or they cannot be opened.
    pub async fn open(settings: &Settings) -> Result<Self, StartError> {
        let own = settings.clusters.is_shared() || Embedded::is_in(&settings.data_dir);
        if !own {
            return Err(StartError(format!(
                "{}: no server keeps its records here",
                settings.data_dir.display()
            )));
        }
        let core = settings::open_core(settings).await?;
        Ok(Self {
            admin: Admin::new(core.clone()),
            _core: core,
        })
    }

    /// Asks for an operation; answers its JSON, null when there is none.
    ///
    /// # Errors
    /// What the operation refuses, in its words.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, StartError> {
        let text = |error: &dyn std::fmt::Display| StartError(error.to_string());
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| text(&error))?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            id: app::request_id(),
            method,
            path: format!("{PREFIX}{path}"),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            peer: None,
            parameters: Vec::new(),
            body: if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            },
        };
        let operator = Administrator {
            id: "000000000000000000000000".to_owned(),
            name: "the operator, at the records".to_owned(),
            provider: "none",
            roles: Vec::new(),
            operator: true,
        };
        let answer = self.admin.handle_as(operator, request).await?;
        let bytes = to_bytes(answer.0.into_body(), ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| text(&error))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| text(&error))
    }
}
