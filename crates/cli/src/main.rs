//! The binary `backstitch`.

mod administration;
mod archives;
mod check;
mod clusters;
mod dev;
mod directory;
mod environment;
mod local;
mod reached;
mod remote;
mod screen;
mod serve;
mod settings_file;
mod types;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// A commit of the embedded engine takes and gives back thousands of pages,
/// which the system's allocator spends a quarter of the commit on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An open, self-hosted replacement for MongoDB Atlas App Services.
#[derive(Parser)]
#[command(
    name = "backstitch",
    version,
    disable_version_flag = true,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 not understood."
)]
struct Cli {
    /// Show the version
    #[arg(short = 'V', short_alias = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an app directory here: deploy it, serve it, deploy it again on each change
    Dev(Dev),
    /// Run a server
    Serve(Serve),
    /// Check an exported app directory: every problem, with file and line
    Check {
        /// The app directory
        directory: PathBuf,
    },
    /// Write what editors need to know of functions: backstitch.d.ts and jsconfig.json
    Types {
        /// The app directory
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// List the clusters that a server knows, or try to reach them
    Clusters(Clusters),
    /// List, make and remove a server's projects
    Project(administration::Project),
    /// List, make, turn off and revoke a project's key pairs
    Keys(administration::Keys),
    /// List, make and remove administrators who log in with a password
    Administrators(administration::Administrators),
    /// Show what administrators changed
    Audit(administration::Audit),
    /// Write a server's data to a directory, in the layout of mongodump
    Backup(archives::Backup),
    /// Put the data of such a directory into a server
    Restore(archives::Restore),
    /// Write a collection to a file: Extended JSON, CSV, TSV or BSON
    Export(archives::Export),
    /// Put the documents of a file into a collection
    Import(archives::Import),
    /// Examine a server's folder: whether store, documents, indexes and change log agree
    Doctor(archives::Doctor),
    #[command(flatten)]
    Remote(remote::Command),
    /// Write completions of commands and options for a shell
    #[command(alias = "completion")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Run functions for a server (started by it)
    #[command(hide = true)]
    Worker,
}

/// Where data is.
#[derive(Args)]
struct Places {
    /// Folder that everything is kept in which is in no other cluster
    #[arg(long, env = "BACKSTITCH_DATA_DIR", default_value = ".backstitch")]
    data_dir: PathBuf,
    /// Clusters by name, with white space between: NAME=embedded or NAME=mongodb://…; the name * is every other one
    #[arg(
        long,
        env = "BACKSTITCH_CLUSTERS",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    clusters: String,
    /// MongoDB URI of the server's own records, which other servers may share (default: the data directory)
    #[arg(long, env = "BACKSTITCH_STATE_URI", hide_env_values = true)]
    state_uri: Option<String>,
    #[command(flatten)]
    embedded: EmbeddedOptions,
}

/// How the embedded engine keeps documents.
#[derive(Args)]
struct EmbeddedOptions {
    /// Milliseconds for which an acknowledged write to the data directory may be lost to a power failure
    #[arg(long, env = "BACKSTITCH_UNSYNCED_MS_MAX", default_value_t = 0)]
    unsynced_ms_max: u64,
    /// Bytes of memory for the data directory's documents and indexes
    #[arg(long, env = "BACKSTITCH_CACHE_BYTES", default_value_t = server::EmbeddedOptions::default().cache_bytes)]
    cache_bytes: usize,
    /// Seconds for which change events are kept in the data directory
    #[arg(long, env = "BACKSTITCH_CHANGES_SECONDS_MAX", default_value_t = server::EmbeddedOptions::default().log_retention.seconds)]
    changes_seconds_max: u32,
    /// Bytes of change events that are kept in the data directory
    #[arg(long, env = "BACKSTITCH_CHANGES_BYTES_MAX", default_value_t = server::EmbeddedOptions::default().log_retention.bytes)]
    changes_bytes_max: u64,
    /// Make the data directory's file smaller on starting when so much of it, in percent, is free (default: never; this takes long)
    #[arg(long, env = "BACKSTITCH_COMPACT_PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    compact_percent: Option<u8>,
}

impl EmbeddedOptions {
    fn options(&self) -> server::EmbeddedOptions {
        server::EmbeddedOptions {
            durability: match self.unsynced_ms_max {
                0 => server::Durability::Always,
                ms => server::Durability::Interval(std::time::Duration::from_millis(ms)),
            },
            cache_bytes: self.cache_bytes,
            log_retention: server::Retention {
                seconds: self.changes_seconds_max,
                bytes: self.changes_bytes_max,
            },
            compact_at_free_percent: self.compact_percent,
        }
    }
}

impl Places {
    fn settings(&self) -> Result<server::ClusterSettings, server::StartError> {
        let uri = self.state_uri.clone().filter(|uri| !uri.is_empty());
        let mut settings = server::ClusterSettings::parse(&self.clusters, uri.map(Into::into))?;
        settings.embedded = self.embedded.options();
        Ok(settings)
    }
}

/// What every server takes.
#[derive(Args)]
struct ServerOptions {
    /// Address to listen on
    #[arg(long, env = "BACKSTITCH_LISTEN", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    #[command(flatten)]
    places: Places,
    /// URL by which clients reach the server (default: the address they used)
    #[arg(long, env = "BACKSTITCH_PUBLIC_URL")]
    public_url: Option<String>,
    /// Address of a door of its own for /metrics, which asks nobody who they are
    #[arg(long, env = "BACKSTITCH_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Proxies whose X-Forwarded-For, -Proto and -Host are believed: addresses or networks, with commas (default: none)
    #[arg(long, env = "BACKSTITCH_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<server::Network>,
    /// Id of the first project: 24 hex digits
    #[arg(long, env = "BACKSTITCH_PROJECT_ID", value_parser = object_id)]
    project_id: Option<String>,
    /// Public key of the first administrator
    #[arg(long, env = "BACKSTITCH_ADMIN_PUBLIC_KEY")]
    admin_public_key: Option<String>,
    /// Private key of the first administrator
    #[arg(long, env = "BACKSTITCH_ADMIN_PRIVATE_KEY", hide_env_values = true)]
    admin_private_key: Option<String>,
    /// Text that secrets are sealed with (default: a key file in the data directory)
    #[arg(long, env = "BACKSTITCH_MASTER_KEY", hide_env_values = true)]
    master_key: Option<String>,
    /// Milliseconds that one function call may take
    #[arg(long, env = "BACKSTITCH_CALL_MS_MAX", default_value_t = kit::limit::CALL_MS_MAX)]
    call_ms_max: u64,
    /// Bytes of memory that one function call may take
    #[arg(long, env = "BACKSTITCH_CALL_MEMORY_BYTES_MAX", default_value_t = kit::limit::CALL_MEMORY_BYTES_MAX)]
    call_memory_bytes_max: usize,
    /// Function calls that run at once
    #[arg(long, env = "BACKSTITCH_WORKERS_MAX")]
    workers_max: Option<usize>,
    /// URL of the npm registry that functions' packages are fetched from by name (default: none)
    #[arg(long, env = "BACKSTITCH_NPM_REGISTRY")]
    npm_registry: Option<String>,
    /// Token that the npm registry asks for
    #[arg(long, env = "BACKSTITCH_NPM_TOKEN", hide_env_values = true)]
    npm_token: Option<String>,
    /// Private networks that apps may connect to: addresses or networks, with commas (default: none)
    #[arg(long, env = "BACKSTITCH_EGRESS_ALLOW", value_delimiter = ',')]
    egress_allow: Vec<server::Network>,
    /// Private networks that functions of one app may connect to: APP=NETWORK by client app id, with commas
    #[arg(long, env = "BACKSTITCH_EGRESS_APP_ALLOW", value_delimiter = ',')]
    egress_app_allow: Vec<String>,
    /// Hosts that functions of one app may connect to, and no others: APP=HOST or APP=*.HOST, with commas
    #[arg(long, env = "BACKSTITCH_EGRESS_APP_ONLY", value_delimiter = ',')]
    egress_app_only: Vec<String>,
    /// PEM file of certificates that are trusted when connecting, beside those of the system
    #[arg(long, env = "BACKSTITCH_EGRESS_ROOTS")]
    egress_roots: Option<PathBuf>,
    /// Where login providers are if not at themselves: NAME=URL such as google.token=https://…, with commas
    #[arg(long, env = "BACKSTITCH_PROVIDER_ENDPOINTS", value_delimiter = ',')]
    provider_endpoints: Vec<String>,
    /// SMTP server that mails go out by: smtp://USER:PASSWORD@HOST:PORT or smtps://… (default: none)
    #[arg(long, env = "BACKSTITCH_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Whom mails come from: an address, or "NAME <ADDRESS>"
    #[arg(long, env = "BACKSTITCH_MAIL_FROM")]
    mail_from: Option<String>,
    /// Folder with templates of mails: confirm.txt, confirm.html, reset.txt, reset.html (default: built-in ones)
    #[arg(long, env = "BACKSTITCH_MAIL_TEMPLATES")]
    mail_templates: Option<PathBuf>,
}

#[derive(Args)]
struct Dev {
    /// The app directory, as the CLI exports it
    directory: Option<PathBuf>,
    /// Write JSON lines: one when ready, then events and logs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Args)]
struct Serve {
    /// JSON file with settings: an object by option name, such as "listen"
    #[arg(long, env = "BACKSTITCH_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Args)]
struct Clusters {
    /// What to do
    action: Action,
    /// The cluster to try (default: all)
    name: Option<String>,
    /// Write a JSON array
    #[arg(long)]
    json: bool,
    /// The settings file of the server
    #[arg(long, env = "BACKSTITCH_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// Show names and places
    List,
    /// Connect and show what is there
    Test,
}

fn object_id(text: &str) -> Result<String, String> {
    let fits = text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits {
        Ok(text.to_lowercase())
    } else {
        Err("24 hex digits are needed".to_owned())
    }
}

fn main() -> ExitCode {
    let cli = match command_line() {
        Ok(cli) => cli,
        Err(complaints) => {
            for complaint in complaints {
                eprintln!("backstitch: {complaint}");
            }
            return ExitCode::from(2);
        }
    };
    match cli.command {
        // Before anything else starts threads: a worker has one.
        Command::Worker => js::worker::main(),
        Command::Check { directory } => check::run(&directory),
        Command::Types { directory } => types::run(&directory),
        Command::Clusters(options) => clusters::run(&options),
        Command::Project(options) => administration::run(administration::project(options)),
        Command::Keys(options) => administration::run(administration::keys(options)),
        Command::Administrators(options) => {
            administration::run(administration::administrators(options))
        }
        Command::Audit(options) => administration::run(administration::audit(options)),
        Command::Backup(options) => archives::run(archives::backup(options)),
        Command::Restore(options) => archives::run(archives::restore(options)),
        Command::Export(options) => archives::run(archives::export(options)),
        Command::Import(options) => archives::run(archives::import(options)),
        Command::Doctor(options) => archives::doctor(&options),
        Command::Remote(command) => remote::run(command),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "backstitch",
                &mut std::io::stdout(),
            );
            ExitCode::SUCCESS
        }
        Command::Dev(options) => serve::with_runtime(dev::run(options)),
        Command::Serve(options) => serve::with_runtime(serve::run(options)),
    }
}

/// Flags, before variables, before the settings file, before defaults.
fn command_line() -> Result<Cli, Vec<String>> {
    let command = Cli::command();
    let given = |command: clap::Command| {
        Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    };
    let cli = given(command.clone());
    match &cli.command {
        Command::Dev(_) | Command::Serve(_) | Command::Clusters(_) => {
            environment::check(&command)?;
        }
        _ => return Ok(cli),
    }
    let (name, file) = match &cli.command {
        Command::Serve(Serve { config, .. }) => ("serve", config),
        Command::Clusters(Clusters { config, .. }) => ("clusters", config),
        _ => return Ok(cli),
    };
    let Some(file) = file else {
        return Ok(cli);
    };
    Ok(given(settings_file::apply(command, name, file)?))
}
