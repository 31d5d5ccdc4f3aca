//! `backstitch project`, `keys`, `administrators` and `audit`: who may do what
//! on a server, and what they did. On a server that runs by its Admin API, with
//! the operator's key; else at the records themselves.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use engine_embedded::Embedded;
use kit::SystemClock;
use serde_json::{Value, json};
use server::{ClusterSettings, Kept, Operator};

use crate::archives::Failed;
use crate::archives::remote::Server;

/// Which server, and how to answer.
#[derive(Args)]
pub(crate) struct Place {
    /// The server's folder; a server that runs in it is asked
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_DATA_DIR",
        default_value = ".backstitch"
    )]
    data_dir: PathBuf,
    /// MongoDB URI of the server's own records, if they are not in the folder
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_STATE_URI",
        hide_env_values = true
    )]
    state_uri: Option<String>,
    /// Text that secrets are sealed with (default: the key file in the folder)
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_MASTER_KEY",
        hide_env_values = true
    )]
    master_key: Option<String>,
    /// A running server, instead of a folder; needs the operator's keys
    #[arg(long, global = true, conflicts_with = "state_uri")]
    server: Option<String>,
    /// The operator's public key
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_ADMIN_PUBLIC_KEY",
        requires = "admin_private_key"
    )]
    admin_public_key: Option<String>,
    /// The operator's private key
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_ADMIN_PRIVATE_KEY",
        hide_env_values = true
    )]
    admin_private_key: Option<String>,
    /// The form of the answer
    #[arg(short = 'f', long, global = true, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Args)]
pub(crate) struct Project {
    #[command(subcommand)]
    verb: ProjectVerb,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum ProjectVerb {
    /// Show the projects
    List,
    /// Make a project; shows the key pair of its owner, this once
    Create {
        /// Its name
        name: String,
    },
    /// Remove a project without apps, with its keys
    Delete {
        /// Its id
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: KeysVerb,
    /// The project's id (default: the only project)
    #[arg(long, global = true)]
    project: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum KeysVerb {
    /// Show a project's key pairs
    List,
    /// Make a key pair; shows its private half, this once
    Create {
        /// What the key may do
        #[arg(long, default_value = "owner")]
        role: Role,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Remove a key pair and end its sessions
    Revoke {
        /// The key's id or its public half
        key: String,
    },
    /// Turn a key pair off and end its sessions
    Disable {
        /// The key's id or its public half
        key: String,
    },
    /// Turn a key pair on
    Enable {
        /// The key's id or its public half
        key: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Owner,
    ReadOnly,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "GROUP_OWNER",
            Self::ReadOnly => "GROUP_READ_ONLY",
        }
    }
}

#[derive(Args)]
pub(crate) struct Administrators {
    #[command(subcommand)]
    verb: AdministratorsVerb,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum AdministratorsVerb {
    /// Show the administrators who log in with a password
    List,
    /// Make one; the password is the first line of standard input
    Create {
        /// The name at login
        username: String,
        /// A project's id that the administrator owns (may be repeated)
        #[arg(long)]
        owner: Vec<String>,
        /// A project's id that the administrator may read (may be repeated)
        #[arg(long)]
        read_only: Vec<String>,
    },
    /// Set another password, the first line of standard input; ends the sessions
    Password {
        /// The name at login or the id
        username: String,
    },
    /// Shut one out and end the sessions
    Disable {
        /// The name at login or the id
        username: String,
    },
    /// Let one in again
    Enable {
        /// The name at login or the id
        username: String,
    },
    /// Remove one
    Delete {
        /// The name at login or the id
        username: String,
    },
}

#[derive(Args)]
pub(crate) struct Audit {
    /// Only changes in this project
    #[arg(long)]
    project: Option<String>,
    /// Only changes of this app
    #[arg(long)]
    app: Option<String>,
    /// Only changes by this administrator: id, public key or user name
    #[arg(long)]
    by: Option<String>,
    /// Only of this operation, such as adminCreateFunction
    #[arg(long)]
    operation: Option<String>,
    /// Only since this time, such as 2024-01-31T00:00:00Z
    #[arg(long)]
    since: Option<String>,
    /// The most that are shown
    #[arg(long, default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    place: Place,
}

/// Who answers.
enum Desk {
    Running(Server),
    Records(Box<Operator>),
}

impl Desk {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failed> {
        match self {
            Self::Running(server) => server.ask(method, path, body),
            Self::Records(operator) => Ok(operator.ask(method, path, body).await?),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Failed> {
        self.ask("GET", path, &Value::Null).await
    }

    /// The id of what is in a list by its id or by another name.
    async fn id(&self, list: &str, field: &str, name: &str) -> Result<String, Failed> {
        let all = self.get(list).await?;
        let mut all = all.as_array().into_iter().flatten();
        let known = all.find(|one| one["_id"] == name || one[field] == name);
        let id = known.and_then(|one| one["_id"].as_str());
        Ok(id.ok_or_else(|| format!("there is no {name}"))?.to_owned())
    }
}

impl Place {
    async fn reach(&self) -> Result<Desk, Failed> {
        let kept = server::kept(&self.data_dir);
        if let Some(url) = &self.server {
            return self.log_in(url, kept);
        }
        let uri = self.state_uri.clone().filter(|uri| !uri.is_empty());
        if uri.is_none() && Embedded::is_in(&self.data_dir) {
            // A look: whoever runs in the folder has it to themselves.
            match Embedded::open(&self.data_dir, std::sync::Arc::new(SystemClock)) {
                Err(error) if error.code == engine_embedded::IN_USE => {
                    return match &kept.url {
                        Some(url) => self.log_in(&url.clone(), kept),
                        None => Err(format!("{error}; name the server with --server").into()),
                    };
                }
                _ => {}
            }
        }
        let settings = server::Settings {
            data_dir: self.data_dir.clone(),
            clusters: ClusterSettings::parse("", uri.map(Into::into))?,
            listening: server::Listening {
                listen: ([127, 0, 0, 1], 0).into(),
                metrics_listen: None,
                public_url: None,
                trusted_proxies: Vec::new(),
                patience: server::Patience::default(),
            },
            keys: server::KeySettings::default(),
            master_key: self.master_key.clone().map(Into::into),
            workers: js::PoolSettings::this_program()?,
            limits: js::Limits::default(),
            npm_registry: None,
            outbound: app::Outbound::default(),
            mail: app::mail::MailSettings::default(),
        };
        Ok(Desk::Records(Box::new(Operator::open(&settings).await?)))
    }

    fn log_in(&self, url: &str, kept: Kept) -> Result<Desk, Failed> {
        let keys = match (&self.admin_public_key, &self.admin_private_key) {
            (Some(public), Some(private)) => Some((public.clone(), private.clone())),
            _ => kept
                .keys
                .map(|pair| (pair.public_key, pair.private_key.expose().clone())),
        };
        let (public, private) = keys.ok_or_else(|| {
            format!("{url}: give the operator's keys, --admin-public-key and --admin-private-key")
        })?;
        Ok(Desk::Running(Server::log_in(
            url,
            (&public, &private),
            None,
        )?))
    }

    /// Shows a list or one thing.
    fn show(&self, shown: &Value, columns: &[&str]) {
        if shown.is_null() {
            return;
        }
        if self.format == Format::Json {
            println!("{shown:#}");
            return;
        }
        let rows = match shown {
            Value::Array(rows) => rows.clone(),
            one => vec![one.clone()],
        };
        table(&rows, columns);
    }
}

/// Prints fields of rows below their names.
fn table(rows: &[Value], columns: &[&str]) {
    let cell = |row: &Value, column: &str| match &row[column] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(roles) => {
            let text = |role: &Value| {
                let part = |name: &str| role[name].as_str().unwrap_or_default().to_owned();
                format!("{} in {}", part("role_name"), part("group_id"))
            };
            roles.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let title = |column: &str| column.trim_start_matches('_').replace('_', " ");
    let mut lines = vec![
        columns
            .iter()
            .map(|column| title(column))
            .collect::<Vec<_>>(),
    ];
    lines.extend(
        rows.iter()
            .map(|row| columns.iter().map(|column| cell(row, column)).collect()),
    );
    for line in aligned(&lines) {
        println!("{line}");
    }
}

/// Rows of cells as lines, each column as wide as its widest cell.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Runs a command; an error is printed.
pub(crate) fn run(work: impl Future<Output = Result<(), Failed>>) -> ExitCode {
    crate::archives::run(async { work.await.map(|()| ExitCode::SUCCESS) })
}

const PROJECT: &[&str] = &["id", "name"];
const KEY: &[&str] = &["_id", "public_key", "role", "disabled", "description"];
const USER: &[&str] = &["_id", "username", "disabled", "roles"];
const CHANGE: &[&str] = &[
    "at",
    "administrator",
    "operation",
    "status",
    "error_code",
    "interrupted",
    "changed",
    "made",
    "resource",
    "request_id",
];

pub(crate) async fn project(options: Project) -> Result<(), Failed> {
    let desk = options.place.reach().await?;
    let (shown, columns): (_, &[&str]) = match &options.verb {
        ProjectVerb::List => (desk.get("groups").await?, PROJECT),
        ProjectVerb::Create { name } => (
            desk.ask("POST", "groups", &json!({ "name": name })).await?,
            &["id", "name", "public_key", "private_key"],
        ),
        ProjectVerb::Delete { id } => {
            let path = format!("groups/{}", archive::escaped(id));
            (desk.ask("DELETE", &path, &Value::Null).await?, PROJECT)
        }
    };
    options.place.show(&shown, columns);
    Ok(())
}

pub(crate) async fn keys(options: Keys) -> Result<(), Failed> {
    let desk = options.place.reach().await?;
    let project = match &options.project {
        Some(id) => id.clone(),
        None => match desk.get("groups").await?.as_array().map(Vec::as_slice) {
            Some([only]) => only["id"].as_str().unwrap_or_default().to_owned(),
            _ => return Err("there are several projects; name one with --project".into()),
        },
    };
    let all = format!("groups/{}/keys", archive::escaped(&project));
    let (key, method, verb) = match &options.verb {
        KeysVerb::List => {
            options.place.show(&desk.get(&all).await?, KEY);
            return Ok(());
        }
        KeysVerb::Create { role, description } => {
            let body = json!({ "role": role.name(), "description": description });
            let made = desk.ask("POST", &all, &body).await?;
            let columns = ["_id", "public_key", "private_key", "role", "description"];
            options.place.show(&made, &columns);
            return Ok(());
        }
        KeysVerb::Revoke { key } => (key, "DELETE", ""),
        KeysVerb::Disable { key } => (key, "PUT", "/disable"),
        KeysVerb::Enable { key } => (key, "PUT", "/enable"),
    };
    let id = desk.id(&all, "public_key", key).await?;
    desk.ask(method, &format!("{all}/{id}{verb}"), &Value::Null)
        .await
        .map(drop)
}

pub(crate) async fn administrators(options: Administrators) -> Result<(), Failed> {
    let desk = options.place.reach().await?;
    let all = "administrators";
    let (username, method, body) = match &options.verb {
        AdministratorsVerb::List => {
            options.place.show(&desk.get(all).await?, USER);
            return Ok(());
        }
        AdministratorsVerb::Create {
            username,
            owner,
            read_only,
        } => {
            let role =
                |role: Role| move |id: &String| json!({ "role_name": role.name(), "group_id": id });
            let roles: Vec<Value> = owner
                .iter()
                .map(role(Role::Owner))
                .chain(read_only.iter().map(role(Role::ReadOnly)))
                .collect();
            let body = json!({ "username": username, "password": password()?, "roles": roles });
            options
                .place
                .show(&desk.ask("POST", all, &body).await?, USER);
            return Ok(());
        }
        AdministratorsVerb::Password { username } => {
            (username, "PATCH", json!({ "password": password()? }))
        }
        AdministratorsVerb::Disable { username } => {
            (username, "PATCH", json!({ "disabled": true }))
        }
        AdministratorsVerb::Enable { username } => {
            (username, "PATCH", json!({ "disabled": false }))
        }
        AdministratorsVerb::Delete { username } => (username, "DELETE", Value::Null),
    };
    let id = desk.id(all, "username", username).await?;
    desk.ask(method, &format!("{all}/{id}"), &body)
        .await
        .map(drop)
}

/// The first line of standard input: a password in the command's words would be
/// everybody's to see.
fn password() -> Result<String, Failed> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) async fn audit(options: Audit) -> Result<(), Failed> {
    let desk = options.place.reach().await?;
    let mut path = format!("audit?limit={}", options.limit);
    for (name, value) in [
        ("group_id", &options.project),
        ("app_id", &options.app),
        ("administrator", &options.by),
        ("operation", &options.operation),
        ("start_date", &options.since),
    ] {
        if let Some(value) = value {
            path = format!("{path}&{name}={}", archive::escaped(value));
        }
    }
    options.place.show(&desk.get(&path).await?, CHANGE);
    Ok(())
}
