//! `users`: the users of an app.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::resources::{failures, none_failed};
use super::{App, Desk, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show users
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        filter: Filter,
    },
    /// Make a user: with e-mail and password, or an API key
    Create {
        #[command(flatten)]
        which: Which,
        /// What identifies the user
        #[arg(long = "type")]
        kind: Option<Kind>,
        /// The API key's name
        #[arg(long, conflicts_with = "email")]
        name: Option<String>,
        /// The e-mail address
        #[arg(long, required_unless_present = "name")]
        email: Option<String>,
        /// The password (default: a line of standard input)
        #[arg(long)]
        password: Option<String>,
    },
    /// Remove users: those that are named, or all that a filter finds
    Delete(Filtered),
    /// Let users log in again
    Enable(Chosen),
    /// Keep users from logging in
    Disable(Chosen),
    /// End users' sessions: of those that are named, or of all that a filter finds
    Revoke(Filtered),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    ApiKey,
    Email,
}

/// Which users.
#[derive(Args, Default)]
pub(crate) struct Filter {
    /// A user's id (may be repeated)
    #[arg(long, short = 'u', value_delimiter = ',')]
    user: Vec<String>,
    /// Only users who have not confirmed their address
    #[arg(long)]
    pending: bool,
    /// Only users who may log in, or may not
    #[arg(long, value_parser = ["enabled", "disabled"])]
    state: Option<String>,
    /// Only users of these authentication providers, with commas
    #[arg(long, value_delimiter = ',')]
    provider: Vec<String>,
}

/// Users that something is done to.
#[derive(Args)]
pub(crate) struct Chosen {
    #[command(flatten)]
    which: Which,
    /// A user's id (may be repeated)
    #[arg(long, short = 'u', required = true, value_delimiter = ',')]
    user: Vec<String>,
}

/// Users that something is done to, by name or by what they have in common.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("some").required(true).multiple(true)
    .args(["user", "pending", "state", "provider"]))]
pub(crate) struct Filtered {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filter: Filter,
}

/// The most users that are listed; the server gives them by pages.
const USERS_MAX: usize = 10_000;
const NONE: &str = "there are no users";
/// The most users that a question names.
const NAMED_MAX: usize = 5;

impl Verb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { which, filter } => {
                let app = desk.app(&which)?;
                let all = filter.find(&mut desk, &app)?;
                let state = |user: &Value| [(user["disabled"] != true).into(), last(user)];
                let told: Vec<_> = all.iter().map(state).collect();
                show(&mut desk, &all, &told, ["Enabled", "Last Authenticated"])
            }
            Self::Create {
                which,
                kind,
                name,
                email,
                password,
            } => {
                let app = desk.app(&which)?;
                let is_key = kind.map_or(name.is_some(), |kind| kind == Kind::ApiKey);
                if is_key {
                    let name = name.ok_or("name the API key with --name")?;
                    let body = json!({ "name": name });
                    let made = desk.session.ask("POST", &app.at("/api_keys"), &body)?;
                    let shown = json!({
                        "id": made["_id"], "enabled": made["disabled"] == false,
                        "name": made["name"], "key": made["key"],
                    });
                    return desk.out.document("created an API key", &shown);
                }
                let email = email.ok_or("name the user with --email")?;
                let password = super::given_or_read(password.as_deref(), "the password")?;
                let body = json!({ "email": email, "password": password });
                let made = desk.session.ask("POST", &app.at("/users"), &body)?;
                let shown = json!({
                    "id": made["_id"], "enabled": made["disabled"] == false,
                    "email": made["data"]["email"], "type": made["type"],
                });
                desk.out.document("created a user", &shown)
            }
            Self::Delete(some) => {
                let app = desk.app(&some.which)?;
                let all = some.filter.find(&mut desk, &app)?;
                // Many are told by their number.
                let ids: Vec<&str> = all.iter().filter_map(|user| user["_id"].as_str()).collect();
                let whom = match ids.as_slice() {
                    [] => return desk.out.say(NONE),
                    few if few.len() <= NAMED_MAX => few.join(", "),
                    many => format!("{} users", many.len()),
                };
                if !desk.out.confirm(&format!("Delete {whom}"))? {
                    return Ok(());
                }
                each(&mut desk, &app, &all, ("DELETE", "", "Deleted"))
            }
            Self::Enable(some) => {
                let (app, all) = some.find(&mut desk)?;
                each(&mut desk, &app, &all, ("PUT", "/enable", "Enabled"))
            }
            Self::Disable(some) => {
                let (app, all) = some.find(&mut desk)?;
                each(&mut desk, &app, &all, ("PUT", "/disable", "Disabled"))
            }
            Self::Revoke(some) => {
                let app = desk.app(&some.which)?;
                let all = some.filter.find(&mut desk, &app)?;
                each(&mut desk, &app, &all, ("PUT", "/logout", "Session Revoked"))
            }
        }
    }
}

/// A provider's type, what people call it, and what names one of its users: the
/// title of the column, and the field of the user's data.
type Provider = (&'static str, &'static str, Option<[&'static str; 2]>);

const PROVIDERS: [Provider; 8] = [
    ("local-userpass", "User/Password", Some(["Email", "email"])),
    ("api-key", "ApiKey", Some(["Name", "name"])),
    ("oauth2-facebook", "Facebook", None),
    ("oauth2-google", "Google", None),
    ("anon-user", "Anonymous", None),
    ("custom-token", "Custom JWT", None),
    ("oauth2-apple", "Apple", None),
    ("custom-function", "Custom Function", None),
];

fn is_of(user: &Value, provider: &str) -> bool {
    let mut identities = user["identities"].as_array().into_iter().flatten();
    identities.any(|one| one["provider_type"] == provider)
}

/// Shows users, a table for each provider, and two cells that tell more of each.
fn show(
    desk: &mut Desk,
    users: &[Value],
    told: &[[Value; 2]],
    headers: [&str; 2],
) -> Result<(), Failed> {
    if users.is_empty() {
        return desk.out.say(NONE);
    }
    let known = |user: &Value| PROVIDERS.iter().any(|(kind, ..)| is_of(user, kind));
    let others: Provider = ("", "Unknown", Some(["Email", "email"]));
    for (kind, title, name) in PROVIDERS.iter().chain([&others]) {
        let of = |user: &Value| match *kind {
            "" => !known(user),
            kind => is_of(user, kind),
        };
        let here = users.iter().zip(told).filter(|(user, _)| of(user));
        let rows: Vec<Vec<Value>> = here
            .map(|(user, told)| {
                let mut row: Vec<Value> = Vec::new();
                row.extend(name.map(|[_, field]| user["data"][field].clone()));
                row.extend([user["_id"].clone(), user["type"].clone()]);
                row.extend(told.iter().cloned());
                row
            })
            .collect();
        if !rows.is_empty() {
            let mut all: Vec<&str> = name.iter().map(|[title, _]| *title).collect();
            all.extend(["ID", "Type"].iter().chain(&headers));
            desk.out
                .table(&format!("Provider type: {title}"), &all, &rows)?;
        }
    }
    Ok(())
}

/// When a user last logged in.
fn last(user: &Value) -> Value {
    let seconds = user["last_authentication_date"].as_i64().unwrap_or(0);
    let time = bson::DateTime::from_millis(seconds.saturating_mul(1000));
    match time.try_to_rfc3339_string() {
        Ok(time) if seconds != 0 => time.replace('T', " ").replace('Z', " +0000 UTC").into(),
        _ => "n/a".into(),
    }
}

impl Filter {
    fn find(&self, desk: &mut Desk, app: &App) -> Result<Vec<Value>, Failed> {
        let mut all = Vec::new();
        if !self.pending && !self.user.is_empty() {
            for id in &self.user {
                let path = format!("/users/{}", archive::escaped(id));
                all.push(desk.session.get(&app.at(&path))?);
            }
        } else {
            all = self.pages(desk, app)?;
        }
        all.retain(|user| self.takes(user));
        Ok(all)
    }

    /// Page after page: each begins behind the last user of the one before.
    fn pages(&self, desk: &mut Desk, app: &App) -> Result<Vec<Value>, Failed> {
        let mut path = if self.pending {
            "/user_registrations/pending_users?".to_owned()
        } else {
            "/users?".to_owned()
        };
        if let (false, Some(state)) = (self.pending, &self.state) {
            let _ = write!(path, "status={state}&");
        }
        if !self.pending && !self.provider.is_empty() {
            let types = archive::escaped(&self.provider.join(","));
            let _ = write!(path, "provider_types={types}&");
        }
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().and_then(|user| user["_id"].as_str());
            let after = after.map(|id| format!("after={}", archive::escaped(id)));
            let page = desk
                .session
                .get(&app.at(&format!("{path}{}", after.unwrap_or_default())))?;
            let page = page.as_array().cloned().unwrap_or_default();
            // A server that knows no pages gives the same again.
            let known = |user: &Value| all.iter().any(|known| known["_id"] == user["_id"]);
            if page.is_empty() || page.first().is_some_and(known) || all.len() >= USERS_MAX {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    fn takes(&self, user: &Value) -> bool {
        let identities = user["identities"].as_array().into_iter().flatten();
        let mut kinds = identities.filter_map(|one| one["provider_type"].as_str());
        let state = if user["disabled"] == true {
            "disabled"
        } else {
            "enabled"
        };
        (self.user.is_empty() || self.user.iter().any(|id| user["_id"] == id.as_str()))
            && (self.provider.is_empty()
                || kinds.any(|kind| self.provider.iter().any(|p| p == kind)))
            && self.state.as_deref().is_none_or(|wanted| wanted == state)
    }
}

impl Chosen {
    fn find(self, desk: &mut Desk) -> Result<(App, Vec<Value>), Failed> {
        let app = desk.app(&self.which)?;
        let filter = Filter {
            user: self.user,
            ..Filter::default()
        };
        let all = filter.find(desk, &app)?;
        Ok((app, all))
    }
}

/// Does the same to each of several users.
fn each(
    desk: &mut Desk,
    app: &App,
    users: &[Value],
    (method, verb, header): (&str, &str, &str),
) -> Result<(), Failed> {
    let path = |user: &Value| {
        let id = user["_id"].as_str().unwrap_or_default();
        app.at(&format!("/users/{}{verb}", archive::escaped(id)))
    };
    let paths: Vec<String> = users.iter().map(path).collect();
    let tried = desk.tried(method, paths.iter());
    show(desk, users, &tried, [header, "Details"])?;
    none_failed(failures(&tried))
}
