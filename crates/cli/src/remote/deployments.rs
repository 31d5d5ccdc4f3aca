//! `deploy` and `deployments`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Desk, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum DeployVerb {
    /// Show how the app is deployed
    Describe {
        #[command(flatten)]
        which: Which,
    },
    /// Set how the app is deployed
    Configure {
        #[command(flatten)]
        which: Which,
        /// Whether the web interface collects changes in drafts
        #[arg(long)]
        ui_drafts: Switch,
    },
    /// Deploy what is pushed to a repository by itself
    Enable {
        #[command(flatten)]
        which: Which,
    },
    /// Stop that
    Disable {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl DeployVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        let (which, change) = match &self {
            Self::Describe { which } => (which, Value::Null),
            Self::Configure { which, ui_drafts } => {
                let disabled = *ui_drafts == Switch::Off;
                (which, json!({ "ui_drafts_disabled": disabled }))
            }
            Self::Enable { which } => (
                which,
                json!({ "automatic_deployment": { "enabled": true } }),
            ),
            Self::Disable { which } => (
                which,
                json!({ "automatic_deployment": { "enabled": false } }),
            ),
        };
        let path = desk.app(which)?.at("/deploy/config");
        if !change.is_null() {
            desk.session.ask("PATCH", &path, &change)?;
        }
        let shown = desk.session.get(&path)?;
        desk.out.document("deployment", &shown)
    }
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show the newest deployments
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Deploy again what a deployment deployed
    Redeploy {
        /// The deployment's id
        id: String,
        #[command(flatten)]
        which: Which,
    },
}

impl Verb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { which } => {
                let path = desk.app(&which)?.at("/deployments");
                let all = desk.session.get(&path)?;
                let all = all.as_array().cloned().unwrap_or_default();
                let time = |one: &Value| {
                    let seconds = one["deployed_at"].as_i64()?;
                    let time = bson::DateTime::from_millis(seconds.checked_mul(1000)?);
                    time.try_to_rfc3339_string().ok()
                };
                let rows: Vec<Vec<Value>> = all
                    .iter()
                    .map(|one| {
                        let field = |name: &str| one[name].clone();
                        vec![
                            field("_id"),
                            json!(time(one)),
                            field("status"),
                            field("origin"),
                            field("status_error_message"),
                        ]
                    })
                    .collect();
                desk.out.found(
                    "deployments",
                    &["ID", "Deployed", "Status", "Origin", "Details"],
                    &rows,
                )
            }
            Self::Redeploy { id, which } => {
                if !desk.out.confirm(&format!("Deploy {id} again"))? {
                    return Ok(());
                }
                let path = format!("/deployments/{}/redeploy", archive::escaped(&id));
                let path = desk.app(&which)?.at(&path);
                desk.session.ask("POST", &path, &Value::Null)?;
                desk.out.say(&format!("deployed {id} again"))
            }
        }
    }
}
