//! Logging in and out (client-api.md §2).

use std::sync::Arc;

use bson::{Bson, Document, doc};
use kit::{Kind, Problem, limit};
use serde_json::{Value, json};
use state::{ApiKey, Identity, Password, Session, User};

use super::{Device, invalid_session};
use crate::call::Started;
use crate::caller::{Cx, RequestInfo, merged_data};
use crate::{App, Calling, new_id, stored};

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
struct Proven {
    identity: Identity,
    kind: &'static str,
    /// The user that a user API key belongs to.
    owner: Option<String>,
}

fn wrong_password() -> Problem {
    Problem::new(Kind::Unauthenticated, "InvalidPassword", "unauthorized")
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
        let started = Started::now(self);
        let result = self
            .counted_login(provider, credentials, &device, request)
            .await;
        let mut cx = Cx::of_system(self, request.clone());
        if let Ok((user, _)) = &result {
            self.count_login();
            cx.user = Some(Arc::new(crate::User::new(
                user,
                Document::new(),
                "",
                provider,
                "",
            )?));
        }
        let mut details = doc! {
            "auth_event": { "type": "LOGIN", "provider": provider, "failed": result.is_err() },
        };
        device.logged(&mut details);
        self.log(&cx, "AUTH", &started, details, result.as_ref().err());
        result.map(|(_, login)| login)
    }

    /// A login whose wrong passwords count.
    async fn counted_login(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        device: &Device,
        request: &RequestInfo,
    ) -> Result<(User, Login), Problem> {
        if provider != "local-userpass" {
            return self.try_login(provider, credentials, device, request).await;
        }
        let account = credentials.get_str("username").unwrap_or_default();
        let now = self.core.clock.now_ms();
        let counted = self.failures.begin(account, &request.remote_address, now)?;
        let result = self.try_login(provider, credentials, device, request).await;
        if result
            .as_ref()
            .err()
            .is_none_or(|problem| problem.code != "InvalidPassword")
        {
            counted.passed();
        }
        result
    }

    async fn try_login(
        self: &Arc<Self>,
        provider: &str,
        credentials: &Document,
        device: &Device,
        request: &RequestInfo,
    ) -> Result<(User, Login), Problem> {
        self.provider(provider)?;
        let proven = match provider {
            "anon-user" => self.anonymous(),
            "local-userpass" => self.by_password(credentials).await?,
            "api-key" => self.by_api_key(credentials).await?,
            other => {
                return Err(Problem::new(
                    Kind::NotFound,
                    "AuthProviderNotFound",
                    format!("login with '{other}' is not supported yet"),
                ));
            }
        };
        let user = self.user_of(&proven, request).await?;
        if user.disabled {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "UserDisabled",
                "user disabled",
            ));
        }
        let login = self.begin_session(&user, &proven.identity, device).await?;
        Ok((user, login))
    }

    fn identity(&self, id: String, provider: &str, data: Document) -> Identity {
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
        Ok(self.proven_by(&account))
    }

    fn proven_by(&self, account: &Password) -> Proven {
        let data = doc! { "email": &account.email };
        Proven {
            identity: self.identity(account.id.clone(), "local-userpass", data),
            kind: "normal",
            owner: None,
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

    fn proven_by_key(&self, key: ApiKey) -> Proven {
        let owner = (!key.user_id.is_empty()).then_some(key.user_id);
        let data = match owner {
            None => doc! { "name": key.name },
            Some(_) => Document::new(),
        };
        Proven {
            identity: self.identity(key.id, "api-key", data),
            kind: if owner.is_none() { "server" } else { "normal" },
            owner,
        }
    }

    /// The user that a server's key is, from when the key is made.
    pub(super) async fn user_of_key(self: &Arc<Self>, key: &ApiKey) -> Result<User, Problem> {
        let proven = self.proven_by_key(key.clone());
        self.user_of(&proven, &RequestInfo::default()).await
    }

    /// The user of a proven identity, made or extended if need be.
    async fn user_of(
        self: &Arc<Self>,
        proven: &Proven,
        request: &RequestInfo,
    ) -> Result<User, Problem> {
        let users = &self.core.state.users;
        let key = format!("{}:{}", proven.identity.provider_type, proven.identity.id);
        if let Some(user) = self.known_user(&key).await? {
            return Ok(user);
        }
        let now = self.core.clock.now_ms();
        if let Some(owner) = &proven.owner {
            // The first login with a key adds it to its owner's identities.
            let identity = bson::serialize_to_bson(&proven.identity).map_err(Problem::internal)?;
            users
                .change(
                    doc! { "_id": owner, "app_id": &self.id, "keys": { "$ne": &key } },
                    doc! { "$push": { "identities": identity, "keys": &key }, "$set": { "last_login": now } },
                )
                .await
                .map_err(stored)?;
            self.tokens.forget(owner);
            let found = users.get(owner).await.map_err(stored)?;
            return found.ok_or_else(Problem::unauthorized);
        }
        let user = User {
            id: new_id(),
            app_id: self.id.clone(),
            kind: proven.kind.to_owned(),
            identities: vec![proven.identity.clone()],
            keys: vec![key.clone()],
            disabled: false,
            created: now,
            last_login: now,
        };
        let mut turn = None;
        if let Some(function) = self.creation_function(&user) {
            // Who logs in twice at a time is one new user.
            turn = Some(self.creating.turn(&key).await);
            if let Some(user) = self.known_user(&key).await? {
                return Ok(user);
            }
            self.tell_of_new_user(&function, &user, request).await?;
        }
        let made = self.keep_new_user(proven, user, &key).await;
        drop(turn);
        made
    }

    /// The user with an identity, who has just logged in.
    async fn known_user(&self, key: &str) -> Result<Option<User>, Problem> {
        let users = &self.core.state.users;
        let filter = doc! { "app_id": &self.id, "keys": key };
        let Some(mut user) = users.first(filter).await.map_err(stored)? else {
            return Ok(None);
        };
        let now = self.core.clock.now_ms();
        let seen = doc! { "$set": { "last_login": now } };
        let changed = users.change(doc! { "_id": &user.id }, seen).await;
        changed.map_err(stored)?;
        user.last_login = now;
        Ok(Some(user))
    }

    /// The function that is told of a new user; keys of servers are nobody who
    /// registers.
    fn creation_function(&self, user: &User) -> Option<String> {
        let release = self.release();
        let data = release.config.get(config::Kind::CustomUserData, "")?;
        let name = data.text("on_user_creation_function_name");
        (!name.is_empty() && user.kind == "normal").then(|| name.to_owned())
    }

    /// Runs the user creation function, as the system: there is no such user
    /// yet. If it fails, there will be none (triggers-ops.md §13.1).
    async fn tell_of_new_user(
        self: &Arc<Self>,
        function: &str,
        record: &User,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        let user = crate::User::new(record, Document::new(), "", "", "")?;
        let told = Document::try_from(&*user.document).map_err(Problem::internal)?;
        let mut cx = Cx::of_system(self, request.clone());
        cx.user = Some(Arc::new(user));
        let called = self
            .call(&cx, function, vec![told.into()], Calling::Server)
            .await;
        // What it says is the developer's to know, in the log.
        called.map(drop).map_err(|problem| {
            Problem::new(
                Kind::Invalid,
                "FunctionExecutionError",
                "the user creation function failed",
            )
            .because(problem.message)
        })
    }

    /// Makes a user of what was proven.
    async fn keep_new_user(&self, proven: &Proven, user: User, key: &str) -> Result<User, Problem> {
        let users = &self.core.state.users;
        let _removing = self.removing.read().await;
        if proven.identity.provider_type == "local-userpass"
            && !self.has_account(&proven.identity.id).await?
        {
            // It was removed since the password was checked.
            return Err(wrong_password());
        }
        match users.insert(&user).await {
            Ok(()) if proven.identity.provider_type == "local-userpass" => {
                // Another server may have removed the account meanwhile.
                if self.has_account(&proven.identity.id).await? {
                    self.came_to_life(&proven.identity.id).await?;
                    self.count_users(1);
                    return Ok(user);
                }
                users.delete(&user.id).await.map_err(stored)?;
                Err(wrong_password())
            }
            Ok(()) => {
                self.count_users(1);
                Ok(user)
            }
            // Somebody logged in with the same identity a moment earlier.
            Err(error) if error.is_duplicate_key() => users
                .first(doc! { "app_id": &self.id, "keys": key })
                .await
                .map_err(stored)?
                .ok_or_else(invalid_session),
            Err(error) => Err(stored(error)),
        }
    }

    async fn has_account(&self, id: &str) -> Result<bool, Problem> {
        let found = self.core.state.passwords.get(id).await.map_err(stored)?;
        Ok(found.is_some())
    }

    async fn begin_session(
        &self,
        user: &User,
        identity: &Identity,
        device: &Device,
    ) -> Result<Login, Problem> {
        let now = self.core.clock.now_ms();
        let lifetime = if identity.provider_type == "anon-user" {
            limit::ANONYMOUS_REFRESH_TOKEN_S
        } else {
            self.refresh_token_expiration()
        };
        let device_id = device.id();
        let started = now - now.rem_euclid(1000);
        let session = Session {
            id: new_id(),
            app_id: self.id.clone(),
            user_id: user.id.clone(),
            device_id: device_id.clone(),
            provider_type: identity.provider_type.clone(),
            created: started,
            expires: started + lifetime * 1000,
            revoked: false,
        };
        let sessions = &self.core.state.sessions;
        // Nothing else removes what has run out.
        let over = doc! { "user_id": &user.id, "expires": { "$lte": now } };
        sessions.delete_all(over).await.map_err(stored)?;
        sessions.insert(&session).await.map_err(stored)?;
        self.remember_device(&user.id, &device_id, device, now)
            .await?;
        let custom = self.custom_data(&user.id).await?;
        Ok(Login {
            access_token: self.access_token(&session, &custom)?,
            refresh_token: self.refresh_token(&session, identity)?,
            user_id: user.id.clone(),
            device_id,
        })
    }

    /// A new access token for a refresh token; reads custom user data afresh.
    ///
    /// # Errors
    /// `InvalidSession`.
    pub async fn refresh(&self, token: &str) -> Result<String, Problem> {
        let session = self.session(token).await?;
        let user = self
            .core
            .state
            .users
            .get(&session.user_id)
            .await
            .map_err(stored)?;
        if user.is_none_or(|user| user.disabled) {
            return Err(invalid_session());
        }
        let custom = self.custom_data(&session.user_id).await?;
        self.access_token(&session, &custom)
    }

    /// Ends the session of a refresh token.
    pub async fn logout(&self, token: &str) -> Result<(), Problem> {
        let session = self.session(token).await?;
        self.core
            .state
            .sessions
            .delete(&session.id)
            .await
            .map_err(stored)?;
        self.tokens.forget(&session.user_id);
        self.streams.end(&session.user_id, Some(&session.id));
        Ok(())
    }

    /// The user of a refresh token, for the routes that take one, and the id of
    /// the identity that its session began with.
    pub async fn user_of_refresh(
        &self,
        token: &str,
    ) -> Result<(Arc<crate::User>, String), Problem> {
        let (session, identity) = self.session_and_identity(token).await?;
        let record = self
            .core
            .state
            .users
            .get(&session.user_id)
            .await
            .map_err(stored)?;
        let record = record
            .filter(|user| !user.disabled)
            .ok_or_else(invalid_session)?;
        let user = crate::User::new(
            &record,
            Document::new(),
            &session.id,
            &session.provider_type,
            &session.device_id,
        )?;
        Ok((Arc::new(user), identity))
    }

    /// `GET auth/profile`.
    pub async fn profile(&self, user_id: &str) -> Result<Value, Problem> {
        let record = self.core.state.users.get(user_id).await.map_err(stored)?;
        let record = record.ok_or_else(invalid_session)?;
        let json = |document: Document| Bson::Document(document).into_relaxed_extjson();
        let identities: Vec<Value> = record
            .identities
            .iter()
            .map(|identity| {
                json!({
                    "id": identity.id, "provider_id": identity.provider_id,
                    "provider_type": identity.provider_type,
                    "provider_data": json(identity.data.clone()),
                })
            })
            .collect();
        Ok(json!({
            "user_id": record.id, "domain_id": self.domain_id, "identities": identities,
            "data": json(merged_data(&record.identities)), "type": record.kind,
        }))
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
