//! Commands of people who use a server: by its Admin API, which any App
//! Services-compatible server has.

mod apps;
mod ask;
mod content_types;
mod create;
mod deployments;
mod document;
mod explain;
mod folder;
mod hosted;
mod login;
mod out;
pub(crate) mod packages;
mod profile;
mod progress;
mod pull;
mod push;
mod resources;
mod rule_settings;
mod runtime;
mod session;
mod templates;
mod transfer;
mod user_import;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use kit::{Clock, SystemClock};
use serde_json::Value;

use self::out::{Form, Out};
use self::profile::Profile;
use self::session::{Session, refused_as};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Log in at a server
    Login(login::Login),
    /// Log out
    Logout(With),
    /// Show who is logged in, and where
    Whoami(login::Whoami),
    /// Show who is logged in, by profile
    #[command(alias = "profile")]
    Profiles(Group<login::ProfilesVerb>),
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
    /// See how an app's rules decide, and what is set of them
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
    /// Seconds that a server may take for an answer
    #[arg(
        long,
        global = true,
        env = "BACKSTITCH_ANSWER_SECONDS_MAX",
        default_value_t = 600,
        hide = true
    )]
    answer_seconds_max: u64,
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

/// Where apps are looked for.
#[derive(Args, Default)]
pub(crate) struct Scope {
    /// The project (default: all that the profile may see)
    #[arg(long)]
    project: Option<String>,
    /// Only apps of these products, with commas (default: of every product)
    #[arg(long, value_delimiter = ',', hide = true)]
    product: Vec<String>,
}

/// Which app.
#[derive(Args)]
pub(crate) struct Which {
    /// The app: id, client app id or name, or how that begins (default: that of this directory, or the only one)
    #[arg(long, short = 'a')]
    app: Option<String>,
    #[command(flatten)]
    scope: Scope,
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

    /// The path of one of its operations that the service had none for.
    fn private_at(&self, rest: &str) -> String {
        let own = self.at(rest);
        format!("/api/private/v1.0/{own}")
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

    fn patience(&self) -> Duration {
        Duration::from_secs(self.answer_seconds_max)
    }

    fn open(&self) -> Result<Desk, Failed> {
        let profile = Profile::load(&self.profile)?;
        Ok(Desk {
            session: Session::resume(profile, self.url.as_deref(), self.patience())?,
            out: self.out()?,
        })
    }
}

/// Products whose apps the service lists apart; of the first it is silent.
const STANDARD: &str = "standard";
const PRODUCTS: [&str; 4] = [STANDARD, "atlas", "data-api", "device-sync"];

/// A project: its id, and its name where the server tells names.
struct Project {
    id: String,
    name: String,
}

impl Project {
    fn shown(&self) -> String {
        if self.name.is_empty() {
            return self.id.clone();
        }
        format!("{} ({})", self.name, self.id)
    }
}

impl Desk {
    /// The ids of the projects that may be seen.
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

    /// Their names, where the server tells them: the service had them in another
    /// API.
    fn named(&self, ids: Vec<String>) -> Vec<Project> {
        let path = "/api/public/v1.0/groups?itemsPerPage=500";
        let known = self.session.get(path).unwrap_or_default();
        let name = |id: &str| {
            let mut known = known["results"].as_array().into_iter().flatten();
            let one = known.find(|one| one["id"] == id);
            one.and_then(|one| Some(one["name"].as_str()?.to_owned()))
        };
        let project = |id: String| Project {
            name: name(&id).unwrap_or_default(),
            id,
        };
        ids.into_iter().map(project).collect()
    }

    /// The project that was named, the only one, or the one that is chosen.
    fn project(&mut self, named: Option<&str>) -> Result<String, Failed> {
        if let Some(id) = named {
            return Ok(archive::escaped(id));
        }
        let ids = self.projects()?;
        match ids.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err("there is no project that this login may see".into()),
            _ => {
                let all = self.named(ids);
                let several: Vec<String> = all.iter().map(Project::shown).collect();
                let several = several.join(", ");
                if !self.out.asks() {
                    let wanted = "there are several projects; name one with --project";
                    return Err(format!("{wanted}: {several}").into());
                }
                let chosen = self.out.choose("Which project?", all, Project::shown, "")?;
                Ok(chosen.id)
            }
        }
    }

    /// Every app there.
    fn apps(&mut self, scope: &Scope) -> Result<Vec<App>, Failed> {
        let groups = match &scope.project {
            Some(id) => vec![archive::escaped(id)],
            None => self.projects()?,
        };
        let asked: Vec<&str> = scope.product.iter().map(String::as_str).collect();
        let products = if asked.is_empty() {
            &PRODUCTS[..]
        } else {
            &asked
        };
        let mut all: Vec<App> = Vec::new();
        for group in groups {
            for product in products {
                let query = match *product {
                    "" | STANDARD => String::new(),
                    product => format!("?product={}", archive::escaped(product)),
                };
                let found = self.session.get(&format!("groups/{group}/apps{query}"));
                let found = found.map_err(|error| match &scope.project {
                    Some(project) if refused_as(&error, 404) => format!(
                        "there is no project {project}; \
                         backstitch whoami --show-projects shows those that this login may see"
                    )
                    .into(),
                    _ => error,
                })?;
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
    fn matching(&mut self, word: &str, scope: &Scope) -> Result<Vec<App>, Failed> {
        let all = self.apps(scope)?;
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

    /// The apps that a directory may be of: by its id, or by its very name when it
    /// has none, as one that is kept without ids has not.
    fn of(&mut self, local: &document::Local, scope: &Scope) -> Result<Vec<App>, Failed> {
        if let Some(id) = local.client_app_id() {
            return self.matching(&id, scope);
        }
        let mut all = self.apps(scope)?;
        all.retain(|app| app.name == local.config.name());
        Ok(all)
    }

    /// The one app that is meant.
    fn app(&mut self, which: &Which) -> Result<App, Failed> {
        let word = match &which.app {
            Some(word) => Some(word.clone()),
            None => document::app_around(&std::env::current_dir()?)?,
        };
        let found = match &word {
            Some(word) => self.matching(word, &which.scope)?,
            None => self.apps(&which.scope)?,
        };
        self.one(found, word.as_deref(), "--app")
    }

    /// The only one of apps, or the one that is chosen.
    fn one(&self, found: Vec<App>, word: Option<&str>, option: &str) -> Result<App, Failed> {
        match (found.as_slice(), word) {
            ([only], _) => Ok(only.clone()),
            ([], Some(word)) => Err(no_app(word).into()),
            ([], None) => Err("there is no such app; make one with backstitch apps create".into()),
            (several, _) => {
                let several: Vec<String> = several.iter().map(App::shown).collect();
                if !self.out.asks() {
                    let several = several.join(", ");
                    let wanted = format!("several apps may be meant; name one with {option}");
                    return Err(format!("{wanted}: {several}").into());
                }
                self.out.choose("Which app?", found, App::shown, "")
            }
        }
    }
}

/// Why a word means nothing.
fn no_app(word: &str) -> String {
    format!("there is no app {word}; backstitch apps list shows those that this login may see")
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
        Command::Login(login) => login::log_in(&login),
        Command::Logout(with) => login::log_out(&with),
        Command::Whoami(whoami) => login::who_am_i(&whoami),
        Command::Profiles(group) => login::profiles(&group),
        Command::Push(push) => push.run(),
        Command::Pull(pull) => pull.run(),
        Command::Apps(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Logs(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Secrets(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Users(group) => group.with.open().and_then(|desk| group.verb.run(desk)),
        Command::Functions(group) => group.run(),
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
            if error.is::<ask::Missing>() {
                return ExitCode::from(2);
            }
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
