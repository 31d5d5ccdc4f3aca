//! Email/password accounts before their first login: registering, confirming
//! the address, and what administrators do with those that wait
//! (client-api.md §2.6 and §3, admin-api.md §2.9).
//!
//! Not here: mail. A token for a link is made, and whoever may see it hands it
//! over.

use std::sync::Arc;

use bson::{bson, doc};
use kit::{Kind, Problem, limit};
use state::{Confirmation, Password};

use super::events::Happening;
use crate::{App, Calling, Cx, RequestInfo, new_id, stored};

/// Accounts on one page.
const PAGE: u64 = 50;
/// Bytes of a token, which is twice as many hex digits.
const TOKEN_BYTES: usize = 64;

/// What confirms an address: both parts belong in the link.
#[derive(Debug, Clone)]
pub struct ConfirmationToken {
    /// The secret part: 128 hex digits.
    pub token: String,
    /// Its id: 24 hex digits.
    pub token_id: String,
}

impl ConfirmationToken {
    fn new() -> Self {
        Self {
            token: state::random_hex::<TOKEN_BYTES>(),
            token_id: new_id(),
        }
    }

    fn record(&self, now: i64) -> Confirmation {
        Confirmation {
            token_id: self.token_id.clone(),
            digest: state::digest(&self.token),
            expires: now + limit::CONFIRMATION_TOKEN_S * 1000,
        }
    }
}

/// How addresses are confirmed.
enum Confirming {
    Automatically,
    /// By what a function says.
    Function(String),
    /// By a link in a mail.
    Mail,
}

/// What a function says of a registration.
enum Verdict {
    Confirmed,
    Pending,
    Failed,
}

fn already_confirmed() -> Problem {
    Problem::new(Kind::Invalid, "UserAlreadyConfirmed", "already confirmed")
}

fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "UserNotFound", "user not found")
}

fn taken() -> Problem {
    Problem::new(Kind::Conflict, "AccountNameInUse", "name already in use")
}

/// Mail comes with a later version; until then nobody is told that one went out.
const NO_MAIL: &str = "no confirmation mail was sent: the server does not send mail yet";

impl App {
    fn confirming(&self) -> Confirming {
        let release = self.release();
        let config = release
            .config
            .get(config::Kind::AuthProvider, "local-userpass");
        let on = |switch: &str| config.and_then(|node| node.at(switch)?.as_bool()) == Some(true);
        if on("/config/autoConfirm") {
            return Confirming::Automatically;
        }
        let function = config.and_then(|node| node.at("/config/confirmationFunctionName"));
        match function.and_then(serde_json::Value::as_str) {
            Some(name) if on("/config/runConfirmationFunction") => {
                Confirming::Function(name.to_owned())
            }
            _ => Confirming::Mail,
        }
    }

    /// Registers an email/password account. Unless addresses are confirmed
    /// automatically, it waits until its own is.
    ///
    /// # Errors
    /// `AccountNameInUse`, `BadRequest`, `AuthProviderNotFound`.
    pub async fn register(
        self: &Arc<Self>,
        email: &str,
        password: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        match self.confirming() {
            Confirming::Automatically => {
                self.add_account(email, password, true).await?;
            }
            Confirming::Mail => {
                self.add_account(email, password, false).await?;
                // The account waits; administrators can confirm it.
                let problem = Problem::new(Kind::Unavailable, "", NO_MAIL);
                self.log_registration("REGISTER", request, Some(&problem));
            }
            Confirming::Function(name) => {
                let account = self.add_account(email, password, false).await?;
                let ran = self.ask_function(&name, &account, request).await;
                if !matches!(ran, Ok(Verdict::Confirmed | Verdict::Pending)) {
                    // Nothing is left of it, so that it can be tried again.
                    let state = &self.core.state;
                    state.passwords.delete(&account.id).await.map_err(stored)?;
                }
                self.told(ran, "REGISTER", email, request)?;
            }
        }
        Ok(())
    }

    /// Adds an account that nobody has logged in to.
    pub(super) async fn add_account(
        &self,
        email: &str,
        password: &str,
        confirmed: bool,
    ) -> Result<Password, Problem> {
        self.provider("local-userpass")?;
        if email.is_empty() || email.chars().count() > limit::EMAIL_CHARS_MAX {
            return Err(Problem::bad_request("email invalid"));
        }
        let length = password.chars().count();
        if !(limit::PASSWORD_CHARS_MIN..=limit::PASSWORD_CHARS_MAX).contains(&length) {
            return Err(Problem::bad_request(format!(
                "password must be between {} and {} characters",
                limit::PASSWORD_CHARS_MIN,
                limit::PASSWORD_CHARS_MAX
            )));
        }
        if self.account(email).await?.is_some() {
            return Err(taken());
        }
        let account = Password {
            id: new_id(),
            app_id: self.id.clone(),
            email: email.to_owned(),
            hash: self.core.passwords.hash(password).await?,
            confirmed,
            pending: true,
            confirmation: None,
            created: self.core.clock.now_ms(),
        };
        match self.core.state.passwords.insert(&account).await {
            Err(error) if error.is_duplicate_key() => Err(taken()),
            Err(error) => Err(stored(error)),
            Ok(()) => Ok(account),
        }
    }

    /// Confirms the address that a token was made for.
    ///
    /// # Errors
    /// `BadRequest` for what is no token, `UserpassTokenInvalid` for one that is
    /// not known, was used or is too old, `AuthProviderNotFound`.
    pub async fn confirm(&self, token: &str, token_id: &str) -> Result<(), Problem> {
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        self.provider("local-userpass")?;
        if !is_hex(token, 2 * TOKEN_BYTES) || !is_hex(token_id, 24) {
            return Err(Problem::bad_request("invalid token data"));
        }
        let now = self.core.clock.now_ms();
        // Found by the digest too: the token is compared by nobody here.
        let filter = doc! {
            "app_id": &self.id, "confirmation.token_id": token_id,
            "confirmation.digest": state::digest(token), "confirmation.expires": { "$gt": now },
        };
        let confirmed = doc! { "$set": { "confirmed": true }, "$unset": { "confirmation": "" } };
        let passwords = &self.core.state.passwords;
        if passwords.change(filter, confirmed).await.map_err(stored)? {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Invalid,
            "UserpassTokenInvalid",
            "userpass token is expired or invalid",
        ))
    }

    /// What a client asks for to get another confirmation mail.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`, `AuthProviderNotFound`; and that
    /// no mail went out.
    pub async fn send_confirmation(&self, email: &str) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        self.unconfirmed(email).await?;
        Err(Problem::internal(NO_MAIL))
    }

    /// Makes what confirms the address of an account that waits, for an
    /// administrator who hands it over.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`.
    pub async fn confirmation_token(&self, email: &str) -> Result<ConfirmationToken, Problem> {
        let account = self.unconfirmed(email).await?;
        let token = ConfirmationToken::new();
        self.give(&account, &token).await?;
        Ok(token)
    }

    /// Runs the confirmation function once more, with a new token.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`, `BadRequest` when no function
    /// confirms or when it says no.
    pub async fn run_confirmation(
        self: &Arc<Self>,
        email: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        let cannot =
            |why: &str| Problem::bad_request(format!("cannot run confirmation for {email}: {why}"));
        if self.provider("local-userpass").is_err() {
            return Err(cannot("the provider local-userpass is off"));
        }
        let name = match self.confirming() {
            Confirming::Function(name) => name,
            Confirming::Automatically => {
                return Err(cannot("automatic confirmation is enabled"));
            }
            Confirming::Mail => return Err(cannot("no confirmation function is enabled")),
        };
        let account = self.unconfirmed(email).await?;
        let ran = self.ask_function(&name, &account, request).await;
        self.told(ran, "CONFIRM", email, request)
    }

    /// Confirms the address of an account that waits.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`.
    pub async fn confirm_pending(&self, email: &str) -> Result<(), Problem> {
        let account = self.unconfirmed(email).await?;
        self.set_confirmed(&account).await
    }

    /// Accounts that nobody has logged in to, oldest first, after the one of an
    /// id.
    pub async fn pending_users(&self, after: Option<&str>) -> Result<Vec<Password>, Problem> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let mut filter = doc! { "app_id": &self.id, "pending": true };
            if let Some(after) = &after {
                filter.insert("_id", doc! { "$gt": after });
            }
            let passwords = &self.core.state.passwords;
            let page = passwords.list(filter, doc! { "_id": 1 }, 0, PAGE).await;
            let page = page.map_err(stored)?;
            let last = (page.len() as u64) < PAGE;
            after = page.last().map(|account| account.id.clone());
            for account in page {
                if self.is_pending(&account).await? {
                    found.push(account);
                }
            }
            found.truncate(PAGE as usize);
            if last || found.len() as u64 == PAGE {
                return Ok(found);
            }
        }
    }

    /// Removes an account that nobody has logged in to.
    ///
    /// # Errors
    /// `UserNotFound`, for an account with a user too.
    pub async fn delete_pending(&self, email: &str) -> Result<(), Problem> {
        // A login at the same time makes no user of what goes.
        let _removing = self.removing.write().await;
        let account = self.account(email).await?.ok_or_else(not_found)?;
        if !self.is_pending(&account).await? {
            return Err(not_found());
        }
        let state = &self.core.state;
        state.passwords.delete(&account.id).await.map_err(stored)?;
        Ok(())
    }

    /// Whether no user came of an account. A server that stopped in between left
    /// the record behind the user, which is made up for here.
    async fn is_pending(&self, account: &Password) -> Result<bool, Problem> {
        if !account.pending {
            return Ok(false);
        }
        let key = format!("local-userpass:{}", account.id);
        let filter = doc! { "app_id": &self.id, "keys": key };
        let user = self.core.state.users.first(filter).await.map_err(stored)?;
        if user.is_some() {
            self.came_to_life(&account.id).await?;
        }
        Ok(user.is_none())
    }

    /// Notes that a user came of an account.
    pub(super) async fn came_to_life(&self, account_id: &str) -> Result<(), Problem> {
        let used = doc! { "$set": { "pending": false } };
        let passwords = &self.core.state.passwords;
        let changed = passwords.change(doc! { "_id": account_id }, used).await;
        changed.map(drop).map_err(stored)
    }

    /// The account of an address that waits to be confirmed.
    async fn unconfirmed(&self, email: &str) -> Result<Password, Problem> {
        let account = self.account(email).await?.ok_or_else(not_found)?;
        if account.confirmed {
            return Err(already_confirmed());
        }
        Ok(account)
    }

    async fn set_confirmed(&self, account: &Password) -> Result<(), Problem> {
        let confirmed = doc! { "$set": { "confirmed": true }, "$unset": { "confirmation": "" } };
        let passwords = &self.core.state.passwords;
        let filter = doc! { "_id": &account.id };
        // It may have been removed meanwhile.
        let found = passwords.change(filter, confirmed).await.map_err(stored)?;
        if found { Ok(()) } else { Err(not_found()) }
    }

    async fn give(&self, account: &Password, token: &ConfirmationToken) -> Result<(), Problem> {
        let record = bson::serialize_to_document(&token.record(self.core.clock.now_ms()))
            .map_err(Problem::internal)?;
        let passwords = &self.core.state.passwords;
        let set = doc! { "$set": { "confirmation": record } };
        let found = passwords.change(doc! { "_id": &account.id }, set).await;
        if found.map_err(stored)? {
            Ok(())
        } else {
            Err(not_found())
        }
    }

    /// Asks the confirmation function, which may hand the token over, and acts
    /// on a yes.
    async fn ask_function(
        self: &Arc<Self>,
        name: &str,
        account: &Password,
        request: &RequestInfo,
    ) -> Result<Verdict, Problem> {
        let token = ConfirmationToken::new();
        self.give(account, &token).await?;
        let event = bson!({
            "token": token.token, "tokenId": token.token_id, "username": &account.email,
        });
        let cx = Cx::of_system(self, request.clone());
        let said = self.call(&cx, name, vec![event], Calling::Server).await?;
        match said.as_document().map(|said| said.get_str("status")) {
            Some(Ok("success")) => {
                self.set_confirmed(account).await?;
                Ok(Verdict::Confirmed)
            }
            Some(Ok("pending")) => Ok(Verdict::Pending),
            _ => Ok(Verdict::Failed),
        }
    }

    /// What the caller is told of a function's verdict. Why a function failed is
    /// the developer's to know, in the log.
    fn told(
        self: &Arc<Self>,
        ran: Result<Verdict, Problem>,
        what: &str,
        email: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        let failed = || Problem::bad_request(format!("failed to confirm user \"{email}\""));
        let (logged, told) = match ran {
            Ok(Verdict::Confirmed | Verdict::Pending) => (None, Ok(())),
            Ok(Verdict::Failed) => (Some(failed()), Err(failed())),
            Err(problem) => (Some(problem), Err(failed())),
        };
        self.log_registration(what, request, logged.as_ref());
        told
    }

    fn log_registration(
        self: &Arc<Self>,
        what: &str,
        request: &RequestInfo,
        problem: Option<&Problem>,
    ) {
        let happening = Happening::now(self, request, None);
        self.log_auth(what, "local-userpass", None, &happening, problem);
    }
}
