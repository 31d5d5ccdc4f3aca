//! Email/password accounts before their first login: registering, confirming
//! the address, and what administrators do with those that wait
//! (client-api.md §2.6 and §3, admin-api.md §2.9).
//!
//! Not here: the mail itself (`mail`), and new passwords (`reset`).

use std::sync::Arc;

use bson::{Bson, bson, doc};
use kit::{Kind, Problem, limit};
use state::Password;

use super::events::Happening;
use super::userpass_tokens::{NewUserpassToken, TokenFor};
use crate::mail::{Admitted, AskedBy, is_address};
use crate::{App, Calling, Cx, RequestInfo, new_id, stored};

/// Accounts on one page.
const PAGE: u64 = 50;
/// How addresses are confirmed.
enum Confirming {
    Automatically,
    /// By what a function says.
    Function(String),
    /// By a link in a mail.
    Mail,
}

/// What a function says of a registration or a new password.
pub(super) enum Verdict {
    Success,
    /// It counts with the token, which the function hands over.
    Pending,
    Failed,
}

impl Verdict {
    /// What is none of the words is a no.
    pub(super) fn of(said: &Bson) -> Self {
        match said.as_document().map(|said| said.get_str("status")) {
            Some(Ok("success")) => Self::Success,
            Some(Ok("pending")) => Self::Pending,
            _ => Self::Failed,
        }
    }
}

fn already_confirmed() -> Problem {
    Problem::new(Kind::Invalid, "UserAlreadyConfirmed", "already confirmed")
}

pub(super) fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "UserNotFound", "user not found")
}

fn invalid_email() -> Problem {
    Problem::bad_request("email invalid")
}

/// Refuses a password that is too short or too long.
pub(super) fn check_password(password: &str) -> Result<(), Problem> {
    let length = password.chars().count();
    if (limit::PASSWORD_CHARS_MIN..=limit::PASSWORD_CHARS_MAX).contains(&length) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "password must be between {} and {} characters",
        limit::PASSWORD_CHARS_MIN,
        limit::PASSWORD_CHARS_MAX
    )))
}

fn taken() -> Problem {
    Problem::new(Kind::Conflict, "AccountNameInUse", "name already in use")
}

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
    /// automatically, it waits until its own is. Where a mail confirms and none
    /// could go out, it waits too: the log says why, and another one can be asked
    /// for.
    ///
    /// # Errors
    /// `AccountNameInUse`, `BadRequest`, `AuthProviderNotFound`, and
    /// `TooManyRequests` when too many mails were asked for.
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
                self.provider("local-userpass")?;
                self.check_name(email).await?;
                check_password(password)?;
                if !is_address(email) {
                    return Err(invalid_email());
                }
                let admitted = self.admit_mail(email, AskedBy::Client(request)).await?;
                let account = self.add_account(email, password, false).await?;
                // The account waits; another mail can be asked for, and
                // administrators can confirm it.
                let sent = self.mail_confirmation(&account, admitted).await;
                self.log_mail("REGISTER", request, &sent);
            }
            Confirming::Function(name) => {
                let account = self.add_account(email, password, false).await?;
                let ran = self.ask_function(&name, &account, request).await;
                if !matches!(ran, Ok(Verdict::Success | Verdict::Pending)) {
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
        self.check_name(email).await?;
        check_password(password)?;
        let account = Password {
            id: new_id(),
            app_id: self.id.clone(),
            email: email.to_owned(),
            hash: self.core.passwords.hash(password).await?,
            confirmed,
            pending: true,
            confirmation: None,
            reset: None,
            created: self.core.clock.now_ms(),
        };
        match self.core.state.passwords.insert(&account).await {
            Err(error) if error.is_duplicate_key() => Err(taken()),
            Err(error) => Err(stored(error)),
            Ok(()) => Ok(account),
        }
    }

    /// Refuses a name that no account can have, and one that an account has.
    async fn check_name(&self, email: &str) -> Result<(), Problem> {
        if email.is_empty() || email.chars().count() > limit::EMAIL_CHARS_MAX {
            return Err(invalid_email());
        }
        match self.account(email).await? {
            Some(_) => Err(taken()),
            None => Ok(()),
        }
    }

    /// Confirms the address that a token was made for.
    ///
    /// # Errors
    /// `BadRequest` for what is no token, `UserpassTokenInvalid` for one that is
    /// not known, was used or is too old, `AuthProviderNotFound`.
    pub async fn confirm(&self, token: &str, token_id: &str) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        let filter = self.with_token(TokenFor::Confirmation, token, token_id)?;
        let confirmed = doc! { "$set": { "confirmed": true }, "$unset": { "confirmation": "" } };
        let passwords = &self.core.state.passwords;
        if passwords.change(filter, confirmed).await.map_err(stored)? {
            return Ok(());
        }
        Err(super::userpass_tokens::invalid())
    }

    /// Sends another confirmation mail to who asks for it.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`, `AuthProviderNotFound`,
    /// `BadRequest` when a function confirms, `TooManyRequests`; and
    /// `InternalServerError` when no mail could go out.
    pub async fn send_confirmation(
        self: &Arc<Self>,
        email: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        let account = self.unconfirmed(email).await?;
        if matches!(self.confirming(), Confirming::Function(_)) {
            return Err(Problem::bad_request("please use confirmation via function"));
        }
        let admitted = self.admit_mail(email, AskedBy::Client(request)).await?;
        let sent = self.mail_confirmation(&account, admitted).await;
        self.log_mail("SEND_CONFIRM", request, &sent);
        sent
    }

    /// Makes what confirms the address of an account that waits, for an
    /// administrator, who may hand it over; and unless a function confirms, mails
    /// it. The second part says whether a mail went out.
    ///
    /// # Errors
    /// `UserNotFound`, `UserAlreadyConfirmed`.
    pub async fn confirmation_token(
        self: &Arc<Self>,
        email: &str,
        request: &RequestInfo,
    ) -> Result<(NewUserpassToken, bool), Problem> {
        let account = self.unconfirmed(email).await?;
        let token = self.give_token(TokenFor::Confirmation, &account).await?;
        if matches!(self.confirming(), Confirming::Function(_)) {
            return Ok((token, false));
        }
        let admitted = self.admit_mail(email, AskedBy::Administrator).await?;
        let sent = self
            .mail_link(TokenFor::Confirmation, email, &token, admitted)
            .await;
        self.log_mail("SEND_CONFIRM", request, &sent);
        Ok((token, sent.is_ok()))
    }

    async fn mail_confirmation(
        &self,
        account: &Password,
        admitted: Admitted,
    ) -> Result<(), Problem> {
        let token = self.give_token(TokenFor::Confirmation, account).await?;
        self.mail_link(TokenFor::Confirmation, &account.email, &token, admitted)
            .await
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

    /// Asks the confirmation function, which may hand the token over, and acts
    /// on a yes.
    async fn ask_function(
        self: &Arc<Self>,
        name: &str,
        account: &Password,
        request: &RequestInfo,
    ) -> Result<Verdict, Problem> {
        let token = self.give_token(TokenFor::Confirmation, account).await?;
        let event = bson!({
            "token": token.token.expose(), "tokenId": &token.token_id, "username": &account.email,
        });
        let cx = Cx::of_system(self, request.clone());
        let said = self.call(&cx, name, vec![event], Calling::Server).await?;
        let verdict = Verdict::of(&said);
        if matches!(verdict, Verdict::Success) {
            self.set_confirmed(account).await?;
        }
        Ok(verdict)
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
            Ok(Verdict::Success | Verdict::Pending) => (None, Ok(())),
            Ok(Verdict::Failed) => (Some(failed()), Err(failed())),
            Err(problem) => (Some(problem), Err(failed())),
        };
        self.log_registration(what, request, logged.as_ref());
        told
    }

    /// Tells of a mail. Why none went out is the developer's to know, in the log.
    pub(super) fn log_mail(
        self: &Arc<Self>,
        what: &str,
        request: &RequestInfo,
        sent: &Result<(), Problem>,
    ) {
        let problem = sent.as_ref().err().map(|problem| {
            let why = problem.because.as_ref().unwrap_or(&problem.message);
            Problem::new(
                Kind::Unavailable,
                problem.code.clone(),
                format!("no mail was sent: {why}"),
            )
        });
        if let Some(problem) = &problem {
            tracing::warn!(app = self.client_app_id, "{}", problem.message);
        }
        self.log_registration(what, request, problem.as_ref());
    }

    pub(super) fn log_registration(
        self: &Arc<Self>,
        what: &str,
        request: &RequestInfo,
        problem: Option<&Problem>,
    ) {
        let happening = Happening::now(self, request, None);
        self.log_auth(what, "local-userpass", None, &happening, problem);
    }
}
