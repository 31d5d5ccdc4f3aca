//! Logging in: who proves to be whom (client-api.md §2).

use std::sync::Arc;

use bson::{Document, doc};
use kit::{Kind, Problem, limit};
use state::{ApiKey, Identity, Password, User};

use super::events::Happening;
use super::social::{APPLE, FACEBOOK, GOOGLE};
use super::{AuthEventKind, Device};
use crate::caller::RequestInfo;
use crate::{App, new_id, stored};

/// The answer to a login.
#[derive(Debug, Clone)]
pub struct Login {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The user's id.
    pub user_id: String,
    /// The device's id.
    pub device_id: String,
}

/// A proven identity: whose it is, or how to make its user.
pub(super) struct Proven {
    pub(super) identity: Identity,
    /// `normal` or `server`.
    pub(super) kind: &'static str,
    /// The user that a user API key belongs to.
    pub(super) owner: Option<String>,
    /// The hash that a password was compared with.
    pub(super) hash: Option<String>,
}

pub(super) fn wrong_password() -> Problem {
    Problem::new(Kind::Unauthenticated, "InvalidPassword", "unauthorized")
}

/// The problem of credentials that prove nothing: why is the developer's to
/// know, in the log.
pub(super) fn refused(why: impl std::fmt::Display) -> Problem {
    Problem::unauthorized().because(why)
}

impl App {
    /// Logs a user in with a provider's credentials.
    ///
    /// # Errors
    /// `AuthProviderNotFound`, `InvalidPassword`, `AuthError`, `UserDisabled`.
    pub async fn login(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        device: Device,
        request: &RequestInfo,
    ) -> Result<Login, Problem> {
        let happening = Happening::now(self, request, Some(&device));
        let result = self
            .try_login(provider, credentials, &device, request)
            .await;
        self.tell_of_login(provider, result, &happening)
    }

    /// Tells how a login went.
    pub(super) fn tell_of_login(
        self: &Arc<Self>,
        provider: &str,
        result: Result<(Arc<crate::User>, Login), Problem>,
        happening: &Happening<'_>,
    ) -> Result<Login, Problem> {
        match result {
            Ok((user, login)) => {
                self.count_login();
                let providers = vec![provider.to_owned()];
                self.auth_event(AuthEventKind::Login, user, providers, happening);
                Ok(login)
            }
            Err(problem) => {
                self.log_auth("LOGIN", provider, None, happening, Some(&problem));
                Err(problem)
            }
        }
    }

    async fn try_login(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        device: &Device,
        request: &RequestInfo,
    ) -> Result<(Arc<crate::User>, Login), Problem> {
        let proven = self.prove_counted(provider, credentials, request).await?;
        self.enter(&proven, device, request).await
    }

    /// Begins a session of the user who was proven.
    pub(super) async fn enter(
        self: &Arc<Self>,
        proven: &Proven,
        device: &Device,
        request: &RequestInfo,
    ) -> Result<(Arc<crate::User>, Login), Problem> {
        let user = self.user_of(proven, request).await?;
        if user.disabled {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "UserDisabled",
                "user disabled",
            ));
        }
        let begun = self.begin_session(user, &proven.identity, device).await?;
        // A new password ended the sessions that it met; this one may be later.
        if let Some(hash) = &proven.hash
            && !self.has_hash(&proven.identity.id, hash).await?
        {
            self.logout(&begun.1.refresh_token).await?;
            return Err(wrong_password());
        }
        // And so did a key that was turned off or deleted.
        if proven.identity.provider_type == "api-key" && !self.is_on(&proven.identity.id).await? {
            self.logout(&begun.1.refresh_token).await?;
            return Err(Problem::unauthorized());
        }
        Ok(begun)
    }

    /// Whether an account's password is still the one of a hash.
    async fn has_hash(&self, account: &str, hash: &str) -> Result<bool, Problem> {
        let filter = doc! { "_id": account, "hash": hash };
        let passwords = &self.core.state.passwords;
        Ok(passwords.first(filter).await.map_err(stored)?.is_some())
    }

    /// Whose credentials a provider's are; wrong ones count.
    pub(super) async fn prove_counted(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        request: &RequestInfo,
    ) -> Result<Proven, Problem> {
        let (address, now) = (&request.remote_address, self.core.clock.now_ms());
        if provider != "local-userpass" {
            let counted = self.attempt(address)?;
            let proven = self.prove(provider, credentials, request).await;
            counted.answered(proven.as_ref().err());
            return proven;
        }
        let account = credentials.get_str("username").unwrap_or_default();
        let counted = self.failures.begin(account, address, now)?;
        let proven = self.prove(provider, credentials, request).await;
        let problem = proven.as_ref().err();
        if problem.is_none_or(|problem| problem.code != "InvalidPassword") {
            counted.passed();
        }
        proven
    }

    async fn prove(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        request: &RequestInfo,
    ) -> Result<Proven, Problem> {
        self.provider(provider)?;
        Ok(match provider {
            "anon-user" => self.anonymous(),
            "local-userpass" => self.by_password(credentials).await?,
            "api-key" => self.by_api_key(credentials).await?,
            "custom-token" => self.by_token(credentials).await?,
            "custom-function" => Box::pin(self.by_function(credentials, request)).await?,
            GOOGLE => Box::pin(self.by_google(credentials)).await?,
            FACEBOOK => Box::pin(self.by_facebook(credentials)).await?,
            APPLE => Box::pin(self.by_apple(credentials)).await?,
            _ => return Err(Problem::unauthorized()),
        })
    }

    pub(super) fn identity(&self, id: String, provider: &str, data: Document) -> Identity {
        Identity {
            id,
            provider_type: provider.to_owned(),
            provider_id: self.provider_id(provider),
            data,
        }
    }

    fn anonymous(&self) -> Proven {
        let letters: String = state::random_bytes::<24>()
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        Proven {
            identity: self.identity(
                format!("{}-{letters}", new_id()),
                "anon-user",
                Document::new(),
            ),
            kind: "normal",
            owner: None,
            hash: None,
        }
    }

    async fn by_password(&self, credentials: &Document) -> Result<Proven, Problem> {
        let wrong = wrong_password;
        let (Ok(email), Ok(password)) = (
            credentials.get_str("username"),
            credentials.get_str("password"),
        ) else {
            return Err(wrong());
        };
        let account = self.account(email).await?;
        let hash = account.as_ref().map(|account| account.hash.as_str());
        // Longer ones were never accepted, and hashing them would be work for nothing.
        let password = if password.chars().count() > limit::PASSWORD_CHARS_MAX {
            ""
        } else {
            password
        };
        if !self.core.passwords.verify(password, hash).await? {
            return Err(wrong());
        }
        let account = account.ok_or_else(wrong)?;
        if !account.confirmed {
            return Err(Problem::unauthorized());
        }
        let hash = self.own_hash(&account, password).await;
        Ok(Proven {
            hash: Some(hash),
            ..self.proven_by(&account)
        })
    }

    /// The hash of an account whose password fits. One that is not as ours are
    /// now is renewed; the next login does it if it cannot be done now.
    async fn own_hash(&self, account: &Password, password: &str) -> String {
        let own = account.hash.clone();
        if self.core.passwords.is_own(&own) {
            return own;
        }
        let renewed = async {
            let hash = self.core.passwords.hash(password).await?;
            // Whoever set another password meanwhile is not undone.
            let of = doc! { "_id": &account.id, "hash": &own };
            let set = doc! { "$set": { "hash": &hash } };
            let passwords = &self.core.state.passwords;
            if passwords.change(of, set).await.map_err(stored)? {
                return Ok::<_, Problem>(hash);
            }
            // A login at the same time may have done it.
            let now = self.account(&account.email).await?;
            let now = now.map_or_else(String::new, |account| account.hash);
            let fits = self.core.passwords.verify(password, Some(&now)).await?;
            Ok(if fits { now } else { own.clone() })
        };
        match renewed.await {
            Ok(hash) => hash,
            Err(problem) => {
                let app = &self.client_app_id;
                tracing::warn!(app, %problem, "a password's hash stays as it is");
                own
            }
        }
    }

    fn proven_by(&self, account: &Password) -> Proven {
        let data = doc! { "email": &account.email };
        Proven {
            identity: self.identity(account.id.clone(), "local-userpass", data),
            kind: "normal",
            owner: None,
            hash: None,
        }
    }

    /// The user of an email/password account, made if need be.
    pub(super) async fn user_of_account(
        self: &Arc<Self>,
        account: &Password,
        request: &RequestInfo,
    ) -> Result<User, Problem> {
        self.user_of(&self.proven_by(account), request).await
    }

    async fn by_api_key(&self, credentials: &Document) -> Result<Proven, Problem> {
        let key = credentials
            .get_str("key")
            .map_err(|_| Problem::unauthorized())?;
        let filter = doc! { "app_id": &self.id, "hash": state::digest(key) };
        let found = self
            .core
            .state
            .api_keys
            .first(filter)
            .await
            .map_err(stored)?;
        let found = found
            .filter(|key| !key.disabled)
            .ok_or_else(Problem::unauthorized)?;
        Ok(self.proven_by_key(found))
    }

    pub(super) fn proven_by_key(&self, key: ApiKey) -> Proven {
        let owner = (!key.user_id.is_empty()).then_some(key.user_id);
        let data = match owner {
            None => doc! { "name": key.name },
            Some(_) => Document::new(),
        };
        Proven {
            identity: self.identity(key.id, "api-key", data),
            kind: if owner.is_none() { "server" } else { "normal" },
            owner,
            hash: None,
        }
    }

    pub(super) async fn account(&self, email: &str) -> Result<Option<Password>, Problem> {
        let filter = doc! { "app_id": &self.id, "email": email };
        self.core
            .state
            .passwords
            .first(filter)
            .await
            .map_err(stored)
    }
}
