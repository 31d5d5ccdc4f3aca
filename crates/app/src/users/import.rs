//! Users that come from elsewhere, as they were there: with their ids, their
//! ways to log in and their passwords' hashes.
//!
//! A user is an object as the Admin API shows one, with `password_hash` beside
//! it, or a short one with `email`. What cannot be brought along is left out:
//! anonymous identities, API keys, and every field that is not known. Done
//! twice, it changes nothing; whatever it was cut short at, it can be done again.

use std::collections::{HashMap, HashSet};

use bson::{Bson, Document, doc};
use kit::{Problem, limit};
use serde_json::{Map, Value};
use state::{Identity, Password, User};

use super::foreign;
use crate::{App, new_id, stored};

/// Longest id of an identity.
const IDENTITY_CHARS_MAX: usize = 1024;
/// Bytes of what a provider told of an identity.
const DATA_BYTES_MAX: usize = 16 * 1024;
/// The providers whose users can come along.
const PROVIDERS: [&str; 6] = [
    ACCOUNT,
    "custom-token",
    "custom-function",
    "oauth2-google",
    "oauth2-facebook",
    "oauth2-apple",
];
const ACCOUNT: &str = "local-userpass";
/// Identities that are left out: nobody else could log in with them.
const LEFT_OUT: [&str; 2] = ["anon-user", "api-key"];
/// Times from here on are milliseconds; before, seconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// What became of users that were to come.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How many were made.
    pub created: usize,
    /// How many were there already.
    pub existing: usize,
    /// Those that cannot come: the place in the list, and why.
    pub refused: Vec<(usize, String)>,
}

/// A user that is to come.
struct Coming {
    place: usize,
    id: Option<String>,
    account: Option<Account>,
    others: Vec<Identity>,
    disabled: bool,
    created: Option<i64>,
    last_login: Option<i64>,
}

struct Account {
    email: String,
    id: Option<String>,
    hash: String,
    confirmed: bool,
}

/// What is there already.
#[derive(Default)]
struct There {
    accounts: HashMap<String, Password>,
    /// Users by what they have.
    keys: HashMap<String, User>,
    ids: HashMap<String, User>,
}

type Refused = String;

impl App {
    /// Makes users that come from elsewhere; tells of each that cannot be made.
    /// Nobody is told of them: no event, no function.
    ///
    /// # Errors
    /// `BadRequest` for too many at once.
    pub async fn import_users(&self, users: &[Value]) -> Result<Imported, Problem> {
        if users.len() > limit::IMPORTED_USERS_MAX {
            return Err(Problem::bad_request(format!(
                "at most {} users are imported at once",
                limit::IMPORTED_USERS_MAX
            )));
        }
        let mut done = Imported::default();
        let mut coming = Vec::new();
        let mut seen = HashSet::new();
        for (place, user) in users.iter().enumerate() {
            match self.coming(place, user) {
                Ok(one) if one.marks().all(|mark| !seen.contains(&mark)) => {
                    seen.extend(one.marks());
                    coming.push(one);
                }
                Ok(_) => done.refuse(place, "an earlier user has the same id or identity"),
                Err(why) => done.refuse(place, why),
            }
        }
        // One at a time; and a removal is waited for.
        let _turn = self.creating.turn("import").await;
        let _removing = self.removing.read().await;
        let there = self.there(&coming).await?;
        let now = self.core.clock.now_ms();
        let (mut accounts, mut records) = (Vec::new(), Vec::new());
        for one in coming {
            let place = one.place;
            match self.made_of(one, &there, now) {
                Ok(None) => done.existing += 1,
                Ok(Some((account, user))) => {
                    accounts.extend(account);
                    records.push((place, user));
                }
                Err(why) => done.refuse(place, why),
            }
        }
        self.keep_imported(&accounts, records, &mut done).await?;
        done.refused.sort_unstable();
        Ok(done)
    }

    /// Reads a user.
    fn coming(&self, place: usize, user: &Value) -> Result<Coming, Refused> {
        let user = user.as_object().ok_or("a user is an object")?;
        if user.get("type").is_some_and(|kind| kind != "normal") {
            return Err("only users of type normal can come along".to_owned());
        }
        let mut coming = Coming {
            place,
            id: id(user, "_id")?,
            account: None,
            others: Vec::new(),
            disabled: flag(user, "disabled", false)?,
            created: time(user, "creation_date")?,
            last_login: time(user, "last_authentication_date")?,
        };
        let mut email = text(user, "email")?.map(str::to_owned);
        let mut account_id = None;
        let none = Vec::new();
        let identities = match user.get("identities") {
            None | Some(Value::Null) => &none,
            Some(Value::Array(identities)) => identities,
            Some(_) => return Err("'identities' is a list".to_owned()),
        };
        for identity in identities {
            let identity = identity.as_object().ok_or("an identity is an object")?;
            let kind = text(identity, "provider_type")?.unwrap_or_default();
            if LEFT_OUT.contains(&kind) {
                continue;
            }
            if !PROVIDERS.contains(&kind) {
                return Err(format!("there is no provider of the type '{kind}'"));
            }
            let data = data(identity)?;
            if kind == ACCOUNT {
                let of = data.get_str("email").ok().map(str::to_owned);
                let known = email.get_or_insert(of.clone().unwrap_or_default());
                if account_id.is_some() || of.is_some_and(|of| of != *known) {
                    return Err("a user has one e-mail address".to_owned());
                }
                account_id = id(identity, "id")?;
                continue;
            }
            let id = text(identity, "id")?.unwrap_or_default();
            if id.is_empty() || id.chars().count() > IDENTITY_CHARS_MAX {
                return Err(format!(
                    "the 'id' of an identity has 1 to {IDENTITY_CHARS_MAX} characters"
                ));
            }
            coming.others.push(self.configured(id, kind, data)?);
        }
        if coming.others.len() >= limit::USER_IDENTITIES_MAX {
            return Err(format!(
                "a user has at most {} identities",
                limit::USER_IDENTITIES_MAX
            ));
        }
        if let Some(email) = email {
            if email.is_empty() || email.chars().count() > limit::EMAIL_CHARS_MAX {
                return Err("email invalid".to_owned());
            }
            self.configured("", ACCOUNT, Document::new())?;
            coming.account = Some(Account {
                email,
                id: account_id,
                // Without one, the password has to be reset.
                hash: match text(user, "password_hash")? {
                    None => String::new(),
                    Some(hash) => foreign::taken(hash)?,
                },
                confirmed: flag(user, "confirmed", true)?,
            });
        }
        if coming.account.is_none() && coming.others.is_empty() {
            return Err("there is nothing that the user could log in with".to_owned());
        }
        Ok(coming)
    }

    /// An identity of a provider that the app has.
    fn configured(&self, id: &str, kind: &str, data: Document) -> Result<Identity, Refused> {
        let identity = self.identity(id.to_owned(), kind, data);
        if identity.provider_id.is_empty() {
            return Err(format!("the app has no provider {kind}"));
        }
        Ok(identity)
    }

    async fn there(&self, coming: &[Coming]) -> Result<There, Problem> {
        let state = &self.core.state;
        let mut there = There::default();
        let accounts = coming.iter().filter_map(|one| one.account.as_ref());
        let emails: Vec<&str> = accounts.clone().map(|one| one.email.as_str()).collect();
        let of = doc! { "app_id": &self.id, "email": { "$in": emails } };
        let known = state.passwords.list(of, doc! { "_id": 1 }, 0, 0).await;
        for account in known.map_err(stored)? {
            there.accounts.insert(account.email.clone(), account);
        }
        let mut keys: Vec<String> = coming
            .iter()
            .flat_map(|one| one.others.iter().map(Identity::key))
            .collect();
        keys.extend(there.accounts.values().map(|one| account_key(&one.id)));
        keys.extend(accounts.filter_map(|one| one.id.as_deref().map(account_key)));
        let of = doc! { "app_id": &self.id, "keys": { "$in": &keys } };
        let users = state.users.list(of, doc! { "_id": 1 }, 0, 0).await;
        for user in users.map_err(stored)? {
            for key in &user.keys {
                there.keys.insert(key.clone(), user.clone());
            }
        }
        let ids: Vec<&str> = coming.iter().filter_map(|one| one.id.as_deref()).collect();
        // Ids are one user's, whatever the app.
        let of = doc! { "_id": { "$in": ids } };
        let users = state.users.list(of, doc! { "_id": 1 }, 0, 0).await;
        for user in users.map_err(stored)? {
            there.ids.insert(user.id.clone(), user);
        }
        Ok(there)
    }

    /// The records of a user; none when the user is there.
    fn made_of(
        &self,
        coming: Coming,
        there: &There,
        now: i64,
    ) -> Result<Option<(Option<Password>, User)>, Refused> {
        let created = coming.created.unwrap_or(now);
        let mut identities = coming.others;
        let mut account = None;
        if let Some(Account {
            email,
            id,
            hash,
            confirmed,
        }) = coming.account
        {
            let known = there.accounts.get(&email);
            if known.is_some_and(|known| known.pending) {
                return Err("the e-mail address is registered and waits for a login".to_owned());
            }
            let known_id = known.map(|known| known.id.clone());
            let id = known_id.or(id).unwrap_or_else(new_id);
            let data = doc! { "email": &email };
            identities.insert(0, self.configured(&id, ACCOUNT, data)?);
            if known.is_none() {
                account = Some(Password {
                    id,
                    app_id: self.id.clone(),
                    email,
                    hash,
                    confirmed,
                    pending: false,
                    confirmation: None,
                    reset: None,
                    created,
                });
            }
        }
        let keys: Vec<String> = identities.iter().map(Identity::key).collect();
        let owners: Vec<Option<&User>> = keys.iter().map(|key| there.keys.get(key)).collect();
        let by_id = coming.id.as_ref().and_then(|id| there.ids.get(id));
        if let Some(owner) = owners.iter().flatten().next() {
            let whole = owners
                .iter()
                .all(|one| one.is_some_and(|one| one.id == owner.id));
            let same = coming.id.is_none_or(|id| id == owner.id);
            return if whole && same && account.is_none() {
                Ok(None)
            } else {
                Err(format!("user {} has an identity of this one", owner.id))
            };
        }
        if let Some(user) = by_id {
            return Err(if user.app_id == self.id {
                format!("user {} has other identities", user.id)
            } else {
                "a user of another app has the id".to_owned()
            });
        }
        let last_login = coming.last_login.unwrap_or(0);
        let user = User {
            id: coming.id.unwrap_or_else(new_id),
            app_id: self.id.clone(),
            kind: "normal".to_owned(),
            identities,
            keys,
            disabled: coming.disabled,
            created,
            last_login,
            // Who never logged in is no older than the account.
            last_seen: last_login.max(created),
        };
        Ok(Some((account, user)))
    }

    /// Writes the accounts and then the users; what another one was faster with
    /// is refused.
    async fn keep_imported(
        &self,
        accounts: &[Password],
        records: Vec<(usize, User)>,
        done: &mut Imported,
    ) -> Result<(), Problem> {
        let state = &self.core.state;
        // An account without a user is what an import leaves that was cut short:
        // the next one goes on from it.
        let added = state.passwords.insert_missing(accounts).await;
        added.map_err(stored)?;
        let users: Vec<User> = records.iter().map(|(_, user)| user.clone()).collect();
        state.users.insert_missing(&users).await.map_err(stored)?;
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        let of = doc! { "_id": { "$in": ids }, "app_id": &self.id };
        let kept = state.users.list(of, doc! { "_id": 1 }, 0, 0).await;
        let kept = kept.map_err(stored)?.into_iter();
        let kept: HashMap<String, Vec<String>> = kept.map(|user| (user.id, user.keys)).collect();
        let ids: Vec<&str> = accounts.iter().map(|one| one.id.as_str()).collect();
        let of = doc! { "_id": { "$in": ids }, "app_id": &self.id };
        let own = state.passwords.list(of, doc! { "_id": 1 }, 0, 0).await;
        let own: HashSet<String> = own.map_err(stored)?.into_iter().map(|a| a.id).collect();
        let mut made = 0;
        for (place, user) in &records {
            let new = user
                .identities
                .iter()
                .find(|of| of.provider_type == ACCOUNT);
            let new = new.filter(|of| accounts.iter().any(|account| account.id == of.id));
            let has_account = new.is_none_or(|of| own.contains(&of.id));
            let is_kept = kept.get(&user.id) == Some(&user.keys);
            if is_kept && has_account {
                made += 1;
                continue;
            }
            if is_kept {
                state.users.delete(&user.id).await.map_err(stored)?;
            } else if let Some(of) = new {
                state.passwords.delete(&of.id).await.map_err(stored)?;
            }
            done.refuse(
                *place,
                "somebody else made a user of the same identity just now",
            );
        }
        done.created += made;
        self.count_users(made as i64);
        Ok(())
    }
}

impl Coming {
    /// What no other user of the list may have.
    fn marks(&self) -> impl Iterator<Item = String> {
        let account = self.account.iter();
        let id = self.id.iter().map(|id| format!("id:{id}"));
        let email = account
            .clone()
            .map(|account| format!("email:{}", account.email));
        let of = account.filter_map(|account| account.id.as_deref().map(account_key));
        id.chain(email)
            .chain(of)
            .chain(self.others.iter().map(Identity::key))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl Imported {
    fn refuse(&mut self, place: usize, why: impl Into<String>) {
        self.refused.push((place, why.into()));
    }
}

fn account_key(id: &str) -> String {
    format!("{ACCOUNT}:{id}")
}

fn text<'u>(user: &'u Map<String, Value>, name: &str) -> Result<Option<&'u str>, Refused> {
    match user.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("'{name}' is a text")),
    }
}

fn flag(user: &Map<String, Value>, name: &str, unset: bool) -> Result<bool, Refused> {
    match user.get(name) {
        None | Some(Value::Null) => Ok(unset),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("'{name}' is true or false")),
    }
}

/// An id of 24 hex digits, bare or as Extended JSON.
fn id(user: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    let value = match user.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object.get("$oid"),
        value => value,
    };
    let id = value.and_then(Value::as_str);
    let id = id.filter(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let id = id.ok_or_else(|| format!("'{name}' has 24 hex digits"))?;
    Ok(Some(id.to_lowercase()))
}

/// A time in milliseconds: seconds or milliseconds since 1970, RFC 3339, or
/// either as Extended JSON.
fn time(user: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refused> {
    let value = match user.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object.get("$date"),
        value => value,
    };
    let value = value.map(|value| match value {
        Value::Object(object) => object.get("$numberLong").unwrap_or(value),
        value => value,
    });
    let millis = match value {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => match text.parse() {
            Ok(number) => Some(number),
            Err(_) => bson::DateTime::parse_rfc3339_str(text)
                .ok()
                .map(bson::DateTime::timestamp_millis),
        },
        _ => None,
    };
    let millis = millis.map(|time| {
        if time.abs() < MILLISECONDS_FROM {
            time * 1000
        } else {
            time
        }
    });
    let millis = millis.ok_or_else(|| format!("'{name}' is a time"))?;
    Ok(Some(millis))
}

/// What a provider told of an identity.
fn data(identity: &Map<String, Value>) -> Result<Document, Refused> {
    let data = match identity.get("provider_data") {
        None | Some(Value::Null) => return Ok(Document::new()),
        Some(data @ Value::Object(_)) => data,
        Some(_) => return Err("'provider_data' is an object".to_owned()),
    };
    if data.to_string().len() > DATA_BYTES_MAX {
        return Err(format!(
            "'provider_data' has at most {DATA_BYTES_MAX} bytes"
        ));
    }
    match Bson::try_from(data.clone()) {
        Ok(Bson::Document(data)) => Ok(data),
        _ => Err("'provider_data' is no Extended JSON".to_owned()),
    }
}
