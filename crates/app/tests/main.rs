//! Scenarios of the app core.

#![allow(
    clippy::duplicate_mod,
    reason = "the scenarios of data run on both engines"
)]

mod data;
mod deploy;
mod functions;
mod hosting;
mod on_mongodb;
mod servers;
mod users;

use std::collections::HashMap;
use std::sync::Arc;

use app::{Author, Settings, StateSettings};
use engine::SharedEngine;
use kit::SystemClock;
use state::MasterKey;

/// A server with its documents on an engine, and its records there or elsewhere.
fn settings(engine: SharedEngine, state: Option<StateSettings>) -> Settings {
    Settings {
        engine,
        clusters: HashMap::new(),
        state,
        master_key: MasterKey::from_text("test"),
        workers: js::PoolSettings::new(env!("CARGO_BIN_EXE_app-test-worker"), [""; 0]),
        limits: js::Limits::default(),
        clock: Arc::new(SystemClock),
        cheap_passwords: true,
        npm_registry: None,
        outbound: app::Outbound::default(),
        mail: app::mail::MailSettings::default(),
    }
}

fn author() -> Author {
    Author {
        user_id: "u".to_owned(),
        origin: "API".to_owned(),
    }
}
