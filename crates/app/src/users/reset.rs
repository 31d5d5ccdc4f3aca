//! A new password for an email/password account, by who can read its mail or
//! persuades a function (client-api.md §3).

use std::sync::Arc;

use bson::{Bson, bson, doc};
use kit::Problem;
use state::Password;

use super::registration::{Verdict, check_password, not_found};
use super::userpass_tokens::{TokenFor, invalid};
use crate::mail::AskedBy;
use crate::{App, Calling, Cx, RequestInfo, stored};

impl App {
    /// The function that decides about new passwords; none where mails do.
    fn reset_function(&self) -> Option<String> {
        let release = self.release();
        let config = release
            .config
            .get(config::Kind::AuthProvider, "local-userpass")?;
        let on = config.at("/config/runResetFunction")?.as_bool() == Some(true);
        let name = config.at("/config/resetFunctionName")?.as_str()?;
        (on && !name.is_empty()).then(|| name.to_owned())
    }

    /// Mails a link that resets the password.
    ///
    /// # Errors
    /// `UserNotFound`, `AuthProviderNotFound`, `BadRequest` where a function
    /// decides, `TooManyRequests`; and `InternalServerError` when no mail could go
    /// out.
    pub async fn send_reset(
        self: &Arc<Self>,
        email: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        let account = self.account(email).await?.ok_or_else(not_found)?;
        if self.reset_function().is_some() {
            return Err(Problem::bad_request(
                "please use reset password via function",
            ));
        }
        let admitted = self.admit_mail(email, AskedBy::Client(request)).await?;
        let token = self.give_token(TokenFor::Reset, &account).await?;
        let sent = self
            .mail_link(TokenFor::Reset, &account.email, &token, admitted)
            .await;
        self.log_mail("SEND_RESET", request, &sent);
        sent
    }

    /// Sets the password of the account that a token was made for, and ends its
    /// user's sessions.
    ///
    /// # Errors
    /// `BadRequest` for what is no token or no password, `UserpassTokenInvalid` for
    /// a token that is not known, was used or is too old, `AuthProviderNotFound`.
    pub async fn reset_password(
        self: &Arc<Self>,
        token: &str,
        token_id: &str,
        password: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        let filter = self.with_token(TokenFor::Reset, token, token_id)?;
        check_password(password)?;
        let passwords = &self.core.state.passwords;
        // Nothing is hashed for who only guesses.
        let account = passwords.first(filter.clone()).await.map_err(stored)?;
        let account = account.ok_or_else(invalid)?;
        let hash = self.core.passwords.hash(password).await?;
        self.set_password(&account, filter, &hash).await?;
        self.log_registration("RESET", request, None);
        Ok(())
    }

    /// Asks the reset function, which may set the password at once, hand a token
    /// over or refuse.
    ///
    /// # Errors
    /// `UserNotFound`, `AuthProviderNotFound`, `BadRequest` when no function
    /// decides or when it says no, `TooManyRequests` after many a no.
    pub async fn call_reset(
        self: &Arc<Self>,
        email: &str,
        password: &str,
        arguments: Vec<Bson>,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        self.provider("local-userpass")?;
        let account = self.account(email).await?.ok_or_else(not_found)?;
        let Some(name) = self.reset_function() else {
            return Err(Problem::bad_request("please use reset password via email"));
        };
        check_password(password)?;
        // The function is told whether it is the password, so that whoever asks
        // guesses passwords; a no counts as a wrong one.
        let now = self.core.clock.now_ms();
        let counted = self.failures.begin(email, &request.remote_address, now)?;
        let ran = self
            .ask_reset_function(&name, &account, password, arguments, request)
            .await;
        let failed =
            || Problem::bad_request(format!("failed to reset password for user \"{email}\""));
        // Why a function failed is the developer's to know, in the log.
        let (logged, told) = match ran {
            Ok(Verdict::Success | Verdict::Pending) => {
                counted.passed();
                (None, Ok(()))
            }
            Ok(Verdict::Failed) => (Some(failed()), Err(failed())),
            Err(problem) => (Some(problem), Err(failed())),
        };
        self.log_registration("RESET", request, logged.as_ref());
        told
    }

    async fn ask_reset_function(
        self: &Arc<Self>,
        name: &str,
        account: &Password,
        password: &str,
        arguments: Vec<Bson>,
        request: &RequestInfo,
    ) -> Result<Verdict, Problem> {
        let hasher = &self.core.passwords;
        let current = hasher.verify(password, Some(&account.hash)).await?;
        let token = self.give_token(TokenFor::Reset, account).await?;
        let event = bson!({
            "token": token.token.expose(), "tokenId": &token.token_id,
            "username": &account.email, "password": password, "currentPasswordValid": current,
        });
        let arguments = std::iter::once(event).chain(arguments).collect();
        let cx = Cx::of_system(self, request.clone());
        let called = self.call(&cx, name, arguments, Calling::Server).await;
        let verdict = called.as_ref().map_or(Verdict::Failed, Verdict::of);
        let passwords = &self.core.state.passwords;
        match verdict {
            Verdict::Success => {
                let hash = hasher.hash(password).await?;
                let filter = doc! { "_id": &account.id };
                self.set_password(account, filter, &hash).await?;
            }
            Verdict::Pending => {}
            Verdict::Failed => {
                // What was refused cannot be done with the token after all.
                let given = doc! { "_id": &account.id, "reset.token_id": &token.token_id };
                let unset = doc! { "$unset": { "reset": "" } };
                passwords.change(given, unset).await.map_err(stored)?;
            }
        }
        called.map(|_| verdict)
    }

    /// Sets the password of an account that still matches, uses up its token and
    /// ends its user's sessions: whoever knew the password before is out.
    ///
    /// # Errors
    /// `UserpassTokenInvalid` when it does not match any more.
    async fn set_password(
        &self,
        account: &Password,
        filter: bson::Document,
        hash: &str,
    ) -> Result<(), Problem> {
        let state = &self.core.state;
        let set = doc! { "$set": { "hash": hash }, "$unset": { "reset": "" } };
        // Before it, so that a crash leaves none of them; and after it, for those
        // that began meanwhile.
        self.end_sessions(account).await?;
        if !state.passwords.change(filter, set).await.map_err(stored)? {
            return Err(invalid());
        }
        self.end_sessions(account).await
    }

    async fn end_sessions(&self, account: &Password) -> Result<(), Problem> {
        let key = format!("local-userpass:{}", account.id);
        let filter = doc! { "app_id": &self.id, "keys": key };
        let user = self.core.state.users.first(filter).await.map_err(stored)?;
        match user {
            Some(user) => self.logout_user(&user.id).await,
            None => Ok(()),
        }
    }
}
