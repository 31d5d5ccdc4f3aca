//! `users`: the users of an app.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::missing;
use super::resources::{failures, none_failed};
use super::session::refused_with;
use super::user_import::Import;
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
        #[arg(long)]
        email: Option<String>,
        /// The password (default: what is typed, or a line of standard input)
        #[arg(long)]
        password: Option<String>,
    },
    /// Bring users along from elsewhere, with their ids and passwords' hashes
    Import(Import),
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

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::ApiKey => "an API key",
            Self::Email => "e-mail and password",
        }
    }
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
    #[arg(long, value_delimiter = ',', value_parser = PROVIDERS.map(|(kind, ..)| kind))]
    provider: Vec<String>,
}

/// Users that something is done to.
#[derive(Args)]
pub(crate) struct Chosen {
    #[command(flatten)]
    which: Which,
    /// A user's id (may be repeated; default: those that are chosen)
    #[arg(long, short = 'u', value_delimiter = ',')]
    user: Vec<String>,
}

/// Users that something is done to, by name or by what they have in common;
/// whoever is there chooses among the latter.
#[derive(Args)]
pub(crate) struct Filtered {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filter: Filter,
}

/// What the service calls it when nobody can log in that way.
const NO_PROVIDER: &str = "AuthProviderNotFound";
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
                let mut all = filter.find(&mut desk, &app)?;
                // Who was there last comes first.
                let when = |user: &Value| user["last_authentication_date"].as_i64();
                all.sort_by_key(|user| std::cmp::Reverse(when(user)));
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
                let kind = match (kind, &name, &email) {
                    (Some(kind), ..) => kind,
                    (None, Some(_), _) => Kind::ApiKey,
                    (None, None, Some(_)) => Kind::Email,
                    (None, None, None) => {
                        let all = vec![Kind::Email, Kind::ApiKey];
                        let label = |kind: &Kind| kind.label().to_owned();
                        let wanted = "name the user with --email, or the API key with --name";
                        desk.out
                            .choose("What identifies the user?", all, label, wanted)?
                    }
                };
                if kind == Kind::ApiKey {
                    let wanted = "name the API key with --name";
                    let name = desk.out.text(name, "The API key's name:", None, wanted)?;
                    let body = json!({ "name": name });
                    let made = desk.session.ask("POST", &app.at("/api_keys"), &body)?;
                    let shown = json!({
                        "id": made["_id"], "enabled": made["disabled"] == false,
                        "name": made["name"], "key": made["key"],
                    });
                    return desk.out.document("created an API key", &shown);
                }
                let wanted = "name the user with --email";
                let email = desk.out.text(email, "The e-mail address:", None, wanted)?;
                let password = desk.out.secret(password, "the password", "--password")?;
                let body = json!({ "email": email, "password": password });
                let made = desk.session.ask("POST", &app.at("/users"), &body);
                let made = made.map_err(|error| {
                    if refused_with(&error, NO_PROVIDER) {
                        return format!("{error}: turn it on first, in auth/providers.json").into();
                    }
                    error
                })?;
                let shown = json!({
                    "id": made["_id"], "enabled": made["disabled"] == false,
                    "email": made["data"]["email"], "type": made["type"],
                });
                desk.out.document("created a user", &shown)
            }
            Self::Import(import) => import.run(&mut desk),
            Self::Delete(some) => {
                let (app, all) = some.find(&mut desk, "delete")?;
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
                let (app, all) = some.find(&mut desk, "enable")?;
                each(&mut desk, &app, &all, ("PUT", "/enable", "Enabled"))
            }
            Self::Disable(some) => {
                let (app, all) = some.find(&mut desk, "disable")?;
                each(&mut desk, &app, &all, ("PUT", "/disable", "Disabled"))
            }
            Self::Revoke(some) => {
                if some.filter.pending {
                    return Err("who is pending has no session".into());
                }
                let (app, all) = some.find(&mut desk, "log out")?;
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

/// The type of who is no user yet.
const PENDING: &str = "pending";

/// An account that nobody has logged in to, as the user that it may become.
fn waiting(account: &Value) -> Value {
    json!({
        "_id": account["_id"], "type": PENDING, "data": { "email": account["login_ids"][0]["id"] },
        "identities": [{ "provider_type": "local-userpass" }],
    })
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
            let mut page = page.as_array().cloned().unwrap_or_default();
            if self.pending {
                for account in &mut page {
                    *account = waiting(account);
                }
            }
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

impl Filter {
    /// Whether it says nothing.
    fn is_empty(&self) -> bool {
        self.user.is_empty() && self.provider.is_empty() && !self.pending && self.state.is_none()
    }
}

impl Chosen {
    fn find(self, desk: &mut Desk, verb: &str) -> Result<(App, Vec<Value>), Failed> {
        let filter = Filter {
            user: self.user,
            ..Filter::default()
        };
        let which = self.which;
        Filtered { which, filter }.find(desk, verb)
    }
}

impl Filtered {
    /// The users that are named; among others whoever is there chooses.
    fn find(self, desk: &mut Desk, verb: &str) -> Result<(App, Vec<Value>), Failed> {
        let app = desk.app(&self.which)?;
        let named = !self.filter.user.is_empty();
        if self.filter.is_empty() && !desk.out.asks() {
            let wanted = format!("name the users to {verb} with --user");
            return Err(missing(&wanted));
        }
        let all = self.filter.find(desk, &app)?;
        if named || all.is_empty() || !desk.out.asks() {
            return Ok((app, all));
        }
        let question = format!("Which users to {verb}?");
        let some = desk.out.choose_some(&question, all, label, "")?;
        Ok((app, some))
    }
}

/// What a menu shows of a user.
fn label(user: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let provider = PROVIDERS.iter().find(|(kind, ..)| is_of(user, kind));
    let (title, name) = provider.map_or(("Unknown", None), |(_, title, name)| (title, *name));
    let name = name.map(|[_, field]| text(&user["data"][field]));
    let id = text(&user["_id"]);
    let parts = [title.to_owned(), name.unwrap_or_default(), id];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" - ")
}

/// Does the same to each of several users.
fn each(
    desk: &mut Desk,
    app: &App,
    users: &[Value],
    (method, verb, header): (&str, &str, &str),
) -> Result<(), Failed> {
    let path = |user: &Value| {
        let text = |value: &Value| archive::escaped(value.as_str().unwrap_or_default());
        app.at(&if user["type"] == PENDING {
            let email = text(&user["data"]["email"]);
            format!("/user_registrations/by_email/{email}{verb}")
        } else {
            format!("/users/{}{verb}", text(&user["_id"]))
        })
    };
    let paths: Vec<String> = users.iter().map(path).collect();
    let tried = desk.tried(method, paths.iter());
    show(desk, users, &tried, [header, "Details"])?;
    none_failed(failures(&tried))
}
