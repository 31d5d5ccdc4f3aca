//! Who is logged in: `login`, `logout`, `whoami`, `profiles`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::profile::{self, Profile};
use super::session::{Session, refused_as};
use super::{Group, With};
use crate::archives::Failed;

#[derive(Args)]
pub(crate) struct Login {
    /// How to log in
    #[arg(long, default_value = "cloud")]
    auth_type: AuthType,
    /// The public key
    #[arg(long = "api-key", env = "BACKSTITCH_ADMIN_PUBLIC_KEY")]
    public_key: Option<String>,
    /// The private key (default: what is typed, or a line of standard input)
    #[arg(
        long = "private-api-key",
        env = "BACKSTITCH_ADMIN_PRIVATE_KEY",
        hide_env_values = true
    )]
    private_key: Option<String>,
    /// The user name, with --auth-type local
    #[arg(long)]
    username: Option<String>,
    /// The password, with --auth-type local (default: what is typed, or a line of standard input)
    #[arg(long)]
    password: Option<String>,
    /// Say where a key pair is made, and ask for it
    #[arg(long)]
    browser: bool,
    #[command(flatten)]
    pub(super) with: With,
}

#[derive(Args)]
pub(crate) struct Whoami {
    /// Show the projects too, which the server is asked for
    #[arg(long)]
    show_projects: bool,
    #[command(flatten)]
    pub(super) with: With,
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

/// Where a server is that somebody tries out.
const URL: &str = "http://127.0.0.1:9090";
/// The service had a page for it.
const KEYS: &str = "\
Key pairs are made by the command line, on no page:
  backstitch keys create                  where the server runs, in its data directory
  backstitch keys create --server URL     elsewhere, with the operator's keys
The operator's own are in the file admin-keys of the data directory.
More of it: docs/guide/administration.md, Projects, keys and administrators.";

pub(super) fn log_in(login: &Login) -> Result<(), Failed> {
    let profile = Profile::load(&login.with.profile)?;
    let mut out = login.with.out()?;
    let known = Some(profile.url.clone()).filter(|url| !url.is_empty());
    let url = login.with.url.clone().or(known);
    let url = out.text(
        url,
        "Which server?",
        Some(URL),
        "name the server with --url",
    )?;
    let by_key = login.auth_type == AuthType::Cloud;
    if login.browser {
        if !by_key || login.private_key.is_some() {
            return Err("--browser asks for a key pair: say it without one".into());
        }
        out.say(KEYS)?;
    }
    let (name, provider, who) = if by_key {
        let missing = "name the public key with --api-key; --browser says where one is made";
        let name = out.text(login.public_key.clone(), "Public key:", None, missing)?;
        let key = login.private_key.clone();
        let key = out.secret(key, "the private key", "--private-api-key")?;
        let who = json!({ "username": name, "apiKey": key });
        (name, "mongodb-cloud", who)
    } else {
        let missing = "name the user with --username";
        let name = out.text(login.username.clone(), "User name:", None, missing)?;
        let password = out.secret(login.password.clone(), "the password", "--password")?;
        let who = json!({ "username": name, "password": password });
        (name, "local-userpass", who)
    };
    if profile.is_logged_in() && profile.username != name && out.asks() {
        let question = format!(
            "{} is logged in; log in as {name} instead?",
            profile.username
        );
        if !out.whether(&question)? {
            return Ok(());
        }
    }
    let patience = login.with.patience();
    let session = Session::log_in(profile, &url, provider, (&name, &who), patience);
    let session = session.map_err(|error| match refused_as(&error, 401) {
        true if by_key => format!(
            "{url}: the server says 401: there is no such key pair, or it was turned off; \
             backstitch login --browser says where one is made"
        )
        .into(),
        true => format!("{url}: the server says 401: there is no such user and password").into(),
        false if refused_as(&error, 404) => {
            format!("{error}: is {url} the URL of an App Services server, with no path behind it?")
                .into()
        }
        false => error,
    })?;
    out.say(&format!("logged in at {} as {name}", session.url))
}

pub(super) fn log_out(with: &With) -> Result<(), Failed> {
    let mut out = with.out()?;
    let profile = Profile::load(&with.profile)?;
    if !profile.is_logged_in() {
        profile.remove()?;
        return out.say("nobody was logged in");
    }
    let session = Session::resume(profile, None, with.patience())?;
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

pub(super) fn who_am_i(whoami: &Whoami) -> Result<(), Failed> {
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

pub(super) fn profiles(group: &Group<ProfilesVerb>) -> Result<(), Failed> {
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
