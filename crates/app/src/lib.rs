//! Every verb of the product, without HTTP.
//!
//! [`Backstitch`] is the server's core: engines, state, workers, apps. An
//! [`App`] serves its live [`Release`]; a request takes one and keeps it. User
//! data has one door, [`data`].

mod actions;
pub mod administrators;
pub mod audit;
mod call;
mod caller;
mod chores;
mod clusters;
pub mod commands;
mod compile;
pub mod data;
pub mod dependencies;
mod deploy;
mod drafts;
mod following;
mod host;
mod hosting;
mod ids;
mod live;
mod logbook;
pub mod mail;
pub mod meters;
mod not_yet;
mod outbound;
mod packages;
pub mod push;
mod reach;
mod registry;
mod revisions;
mod rule_hints;
pub mod secrets;
mod service_calls;
pub mod settings;
mod templates;
mod transfer;
mod trigger_progress;
pub mod users;

pub use actions::Service;
pub use call::{CallExplanation, Calling, DebugRun};
pub use caller::{Caller, Cx, RequestInfo, User, merged_data};
pub use clusters::{ClusterHealth, DEFAULT_CLUSTER};
pub use commands::Validation;
pub use compile::{Function, Release, check};
pub use deploy::{Deployed, Rejected};
pub use drafts::{Changes, DraftDiff, FieldDiff, Package};
pub use egress::{AppRules, Roots, Settings as EgressSettings};
pub use host::Explained;
pub use hosting::{Hosted, Upload, asset_pieces};
pub use ids::{Ids, Renames};
pub use live::{App, Author, Seen, refused};
pub use logbook::{LogQuery, Logbook};
pub use npm::Registry as NpmRegistry;
pub use outbound::{Outbound, ProviderEndpoints};
pub use reach::Place;
pub use registry::{Backstitch, NewApp, Settings, StateSettings, app_not_found};
pub use state::{Asset, Attribute, LogEntry, NodeId, PIECE_BYTES};
pub use templates::{TEMPLATES, Template};
pub use transfer::{Export, Strategy};

use engine::CommandError;
use kit::Problem;

/// A failure of our own store: never the caller's fault.
pub(crate) fn stored(error: CommandError) -> Problem {
    if error.is_unreachable() {
        return Problem::new(
            kit::Kind::Unavailable,
            "InternalServerError",
            "the server cannot reach its own records; try again later",
        )
        .because(format!("state: {} ({})", error.message, error.code));
    }
    Problem::internal(format!("state: {} ({})", error.message, error.code))
}

/// A new request's id.
pub fn request_id() -> String {
    new_id()
}

/// A new object id in hex.
pub(crate) fn new_id() -> String {
    bson::oid::ObjectId::new().to_hex()
}
