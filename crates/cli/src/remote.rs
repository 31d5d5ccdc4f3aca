//! Commands of people who use a server: by its Admin API, which any App
//! Services-compatible server has.

mod apps;
mod content_types;
mod create;
mod deployments;
mod document;
mod explain;
mod folder;
mod hosted;
mod out;
mod packages;
mod profile;
mod progress;
mod pull;
mod push;
mod resources;
mod runtime;
mod session;
mod templates;
mod transfer;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use kit::{Clock, SystemClock};
use serde_json::{Value, json};

use self::out::{Form, Out};
use self::profile::Profile;
use self::session::Session;
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Log in at a server
    Login(Login),
    /// Log out
    Logout(With),
    /// Show who is logged in, and where
    Whoami(Whoami),
    /// Show who is logged in, by profile
    #[command(alias = "profile")]
    Profiles(Group<ProfilesVerb>),
    /// Manage apps
    #[command(alias = "app")]
    Apps(Group<apps::Verb>),
    /// Send an app directory to a server and deploy it
    Push(push::Push),
    /// Write an app of a server to a directory
    Pull(pull::Pull),
    /// Read an app's logs
    #[command(alias = "log")]
    Logs(Group<runtime::LogsVerb>),
    /// Manage an app's secrets
    #[command(alias = "secret")]
    Secrets(Group<resources::SecretsVerb>),
    /// Manage an app's users
    #[command(alias = "user")]
    Users(Group<users::Verb>),
    /// List and run an app's functions
    #[command(alias = "function")]
    Functions(Group<runtime::FunctionsVerb>),
    /// See how an app's rules decide
    Rules(Group<explain::RulesVerb>),
    /// Manage the addresses that may use an app
    #[command(name = "accessList", aliases = ["accesslist", "access-list"])]
    AccessList(Group<resources::AccessVerb>),
    /// Make code of an app's schemas
    #[command(alias = "schemas")]
    Schema(Group<runtime::SchemaVerb>),
    /// Show and set how an app is deployed
    Deploy(Group<deployments::DeployVerb>),
    /// List an app's deployments, or go back to one
    #[command(alias = "deployment")]
    Deployments(Group<deployments::Verb>),
}

/// Which server, as whom, and how to answer.
#[derive(Args)]
pub(crate) struct With {
    /// The server's URL (default: where the profile is logged in)
    #[arg(long, global = true, env = "BACKSTITCH_URL", alias = "realm-url")]
    url: Option<String>,
    /// The profile that keeps who is logged in
    #[arg(long, short = 'i', global = true, default_value = "default")]
    profile: String,
    /// The form of the answer
    #[arg(
        long = "output-format",
        short = 'f',
        global = true,
        default_value = "text"
    )]
    format: Form,
    /// Write the answer to a file, after what is in it
    #[arg(long = "output-target", short = 'o', global = true)]
    target: Option<PathBuf>,
    /// Answer every question with yes
    #[arg(long, short = 'y', global = true)]
    yes: bool,
    /// No colours on a terminal either
    #[arg(long, global = true)]
    disable_colors: bool,
    /// What the official CLI takes and nothing here needs: nothing is tracked,
    /// and projects and clusters are the server's own.
    #[arg(long = "telemetry", global = true, hide = true)]
    _telemetry: Option<String>,
    #[arg(long = "atlas-url", global = true, hide = true)]
    _atlas_url: Option<String>,
}

/// Verbs of one kind of thing.
#[derive(Args)]
pub(crate) struct Group<V: Subcommand> {
    #[command(subcommand)]
    verb: V,
    #[command(flatten)]
    with: With,
}

/// Which app.
#[derive(Args)]
pub(crate) struct Which {
    /// The app: id, client app id or name, or how that begins (default: that of this directory, or the only one)
    #[arg(long, short = 'a')]
    app: Option<String>,
    /// The project (default: all that the profile may see)
    #[arg(long)]
    project: Option<String>,
}

#[derive(Args)]
pub(crate) struct Login {
    /// How to log in
    #[arg(long, default_value = "cloud")]
    auth_type: AuthType,
    /// The public key
    #[arg(long = "api-key", env = "BACKSTITCH_ADMIN_PUBLIC_KEY")]
    public_key: Option<String>,
    /// The private key (default: a line of standard input)
    #[arg(
        long = "private-api-key",
        env = "BACKSTITCH_ADMIN_PRIVATE_KEY",
        hide_env_values = true
    )]
    private_key: Option<String>,
    /// The user name, with --auth-type local
    #[arg(long)]
    username: Option<String>,
    /// The password, with --auth-type local (default: a line of standard input)
    #[arg(long)]
    password: Option<String>,
    #[command(flatten)]
    with: With,
}

#[derive(Args)]
pub(crate) struct Whoami {
    /// Show the projects too, which the server is asked for
    #[arg(long)]
    show_projects: bool,
    #[command(flatten)]
    with: With,
}

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum ProfilesVerb {
    /// Show the profiles
    #[command(alias = "ls")]
    List,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum AuthType {
    /// With a key pair
    Cloud,
    /// With user name and password
    Local,
}

/// An app of a server.
#[derive(Clone)]
struct App {
    group: String,
    id: String,
    client_app_id: String,
    name: String,
}

impl App {
    /// The path of one of its operations.
    fn at(&self, rest: &str) -> String {
        format!("groups/{}/apps/{}{rest}", self.group, self.id)
    }

    fn of(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            group: text("group_id"),
            id: text("_id"),
            client_app_id: text("client_app_id"),
            name: text("name"),
        }
    }

    /// As lists show it: with its project.
    fn shown(&self) -> String {
        format!("{} ({})", self.client_app_id, self.group)
    }
}

/// A command at work: who asks, and who is answered.
struct Desk {
    session: Session,
    out: Out,
}

impl With {
    fn out(&self) -> Result<Out, Failed> {
        Out::new(
            self.format,
            self.disable_colors,
            self.yes,
            self.target.as_deref(),
        )
    }

    fn open(&self) -> Result<Desk, Failed> {
        let profile = Profile::load(&self.profile)?;
        Ok(Desk {
            session: Session::resume(profile, self.url.as_deref())?,
            out: self.out()?,
        })
    }
}

/// Products whose apps the service lists apart.
const PRODUCTS: [&str; 4] = [
    "",
    "?product=atlas",
    "?product=data-api",
    "?product=device-sync",
];

impl Desk {
    /// The projects that may be seen.
    fn projects(&mut self) -> Result<Vec<String>, Failed> {
        let profile = self.session.get("auth/profile")?;
        let roles = profile["roles"].as_array().into_iter().flatten();
        let mut ids: Vec<String> = roles
            .filter_map(|role| Some(role["group_id"].as_str()?.to_owned()))
            .filter(|id| !id.is_empty())
            .collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// The project that was named, or the only one.
    fn project(&mut self, named: Option<&str>) -> Result<String, Failed> {
        if let Some(id) = named {
            return Ok(archive::escaped(id));
        }
        match self.projects()?.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err("there is no project".into()),
            several => Err(format!(
                "there are several projects; name one with --project: {}",
                several.join(", ")
            )
            .into()),
        }
    }

    /// Every app, of all products.
    fn apps(&mut self, project: Option<&str>) -> Result<Vec<App>, Failed> {
        let groups = match project {
            Some(id) => vec![archive::escaped(id)],
            None => self.projects()?,
        };
        let mut all: Vec<App> = Vec::new();
        for group in groups {
            for product in PRODUCTS {
                let found = self.session.get(&format!("groups/{group}/apps{product}"))?;
                for app in found.as_array().into_iter().flatten().map(App::of) {
                    // A server that knows no products lists all for each.
                    if all.iter().all(|known| known.id != app.id) {
                        all.push(app);
                    }
                }
            }
        }
        Ok(all)
    }

    /// Apps that a word may mean.
    fn matching(&mut self, word: &str, project: Option<&str>) -> Result<Vec<App>, Failed> {
        let all = self.apps(project)?;
        let exact = |app: &&App| [&app.id, &app.client_app_id].contains(&&word.to_owned());
        if let Some(app) = all.iter().find(exact) {
            return Ok(vec![app.clone()]);
        }
        let named: Vec<App> = all.iter().filter(|app| app.name == word).cloned().collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let word = word.to_lowercase();
        let begins = |app: &App| app.client_app_id.starts_with(&word);
        Ok(all.into_iter().filter(begins).collect())
    }

    /// The one app that is meant.
    fn app(&mut self, which: &Which) -> Result<App, Failed> {
        let project = which.project.as_deref();
        let word = match &which.app {
            Some(word) => Some(word.clone()),
            None => document::app_around(&std::env::current_dir()?)?,
        };
        let found = match &word {
            Some(word) => self.matching(word, project)?,
            None => self.apps(project)?,
        };
        one(found, word.as_deref())
    }
}

/// The only one of apps.
fn one(found: Vec<App>, word: Option<&str>) -> Result<App, Failed> {
    match (found.as_slice(), word) {
        ([only], _) => Ok(only.clone()),
        ([], Some(word)) => Err(format!("there is no app {word}").into()),
        ([], None) => Err("there are no apps".into()),
        (several, _) => {
            let several: Vec<String> = several.iter().map(App::shown).collect();
            Err(format!("several apps may be meant: {}", several.join(", ")).into())
        }
    }
}

impl Command {
    fn with(&self) -> &With {
        match self {
            Self::Login(login) => &login.with,
            Self::Logout(with) => with,
            Self::Whoami(whoami) => &whoami.with,
            Self::Push(push) => &push.with,
            Self::Pull(pull) => &pull.with,
            Self::Profiles(group) => &group.with,
            Self::Apps(group) => &group.with,
            Self::Logs(group) => &group.with,
            Self::Secrets(group) => &group.with,
            Self::Users(group) => &group.with,
            Self::Functions(group) => &group.with,
            Self::Rules(group) => &group.with,
            Self::AccessList(group) => &group.with,
            Self::Schema(group) => &group.with,
            Self::Deploy(group) => &group.with,
            Self::Deployments(group) => &group.with,
        }
    }
}

/// Runs a command; an error is printed.
pub(crate) fn run(command: Command) -> ExitCode {
    let form = command.with().format;
    let done = match command {
        Command::Login(login) => log_in(&login),
        Command::Logout(with) => log_out(&with),
        Command::Whoami(whoami) => who_am_i(&whoami),
        Command::Profiles(group) => profiles(&group),
        Command::Push(push) => push.run(),
        Command::Pull(pull) => pull.run(),
        Command::Apps(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Logs(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Secrets(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Users(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Functions(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Rules(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::AccessList(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Schema(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Deploy(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Deployments(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::complain(form, &error);
            ExitCode::FAILURE
        }
    }
}

/// What differs of things that have names, in lines below a title; none when
/// nothing does.
fn listed_changes(
    what: &str,
    added: &[String],
    deleted: &[String],
    modified: &[String],
) -> Vec<String> {
    let signed = |sign: &'static str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| format!("{sign} {name}")).collect()
    };
    let mut lines = signed("+", added);
    lines.extend(signed("-", deleted));
    lines.extend(signed("*", modified));
    if !lines.is_empty() {
        lines.insert(0, format!("{what}:"));
    }
    lines
}

/// An error when some of many things failed: how many, and the first.
fn all_done(what: &str, failed: &[Failed]) -> Result<(), Failed> {
    match failed {
        [] => Ok(()),
        [first, ..] => Err(format!("{what}: {}; the first: {first}", failed.len()).into()),
    }
}

/// The time, as texts have it.
fn now() -> Result<String, Failed> {
    Ok(SystemClock.now().try_to_rfc3339_string()?)
}

/// Waits before a server is asked again.
fn pause(time: Duration) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(async { tokio::time::sleep(time).await });
    Ok(())
}

/// What was given, or a line of standard input: words of a command are
/// everybody's to see.
fn given_or_read(given: Option<&str>, what: &str) -> Result<String, Failed> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(format!("{what} is missing: an option, or a line of standard input").into());
    }
    Ok(line.to_owned())
}

fn log_in(login: &Login) -> Result<(), Failed> {
    let profile = Profile::load(&login.with.profile)?;
    let url = match &login.with.url {
        Some(url) => url.clone(),
        None if !profile.url.is_empty() => profile.url.clone(),
        None => return Err("name the server with --url".into()),
    };
    let (name, provider, who) = if login.auth_type == AuthType::Cloud {
        let name = login.public_key.as_deref();
        let name = name.ok_or("name the public key with --api-key")?;
        let key = given_or_read(login.private_key.as_deref(), "the private key")?;
        let who = json!({ "username": name, "apiKey": key });
        (name, "mongodb-cloud", who)
    } else {
        let name = login.username.as_deref();
        let name = name.ok_or("name the user with --username")?;
        let password = given_or_read(login.password.as_deref(), "the password")?;
        let who = json!({ "username": name, "password": password });
        (name, "local-userpass", who)
    };
    let mut out = login.with.out()?;
    let session = Session::log_in(profile, &url, provider, (name, &who))?;
    out.say(&format!("logged in at {} as {name}", session.url))
}

fn log_out(with: &With) -> Result<(), Failed> {
    let mut out = with.out()?;
    let profile = Profile::load(&with.profile)?;
    if !profile.is_logged_in() {
        profile.remove()?;
        return out.say("nobody was logged in");
    }
    let session = Session::resume(profile, None)?;
    let ended = session.end();
    session.profile().remove()?;
    match ended {
        Ok(()) => out.say("logged out"),
        // The tokens are gone from here, which is what was asked for.
        Err(error) => out.say(&format!(
            "logged out here; the session was not ended: {error}"
        )),
    }
}

fn who_am_i(whoami: &Whoami) -> Result<(), Failed> {
    let profile = Profile::load(&whoami.with.profile)?;
    if !profile.is_logged_in() {
        return whoami.with.out()?.say("nobody is logged in");
    }
    let mut shown = json!({ "url": profile.url, "username": profile.username });
    let mut desk = whoami.with.open()?;
    if whoami.show_projects {
        shown["projects"] = desk.projects()?.into_iter().map(Value::from).collect();
    }
    desk.out.document("logged in", &shown)
}

fn profiles(group: &Group<ProfilesVerb>) -> Result<(), Failed> {
    let ProfilesVerb::List = group.verb;
    let mut rows = Vec::new();
    for name in profile::names()? {
        let profile = Profile::load(&name)?;
        let who = if profile.is_logged_in() {
            profile.username
        } else {
            String::new()
        };
        rows.push(vec![name.into(), who.into(), profile.url.into()]);
    }
    let headers = ["Profile", "API Key", "URL"];
    group.with.out()?.found("profiles", &headers, &rows)
}
