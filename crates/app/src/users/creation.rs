//! The user of a proven identity: known, or made with the first login
//! (client-api.md §2.6, triggers-ops.md §13.1).

use std::sync::Arc;

use bson::{Document, doc};
use kit::{Kind, Problem};
use state::{ApiKey, Identity, User};

use super::events::Happening;
use super::login::{Proven, wrong_password};
use super::{AuthEventKind, invalid_session};
use crate::caller::{Cx, RequestInfo};
use crate::{App, Calling, new_id, stored};

impl App {
    /// The user that a server's key is, from when the key is made.
    pub(super) async fn user_of_key(self: &Arc<Self>, key: &ApiKey) -> Result<User, Problem> {
        let proven = self.proven_by_key(key.clone());
        self.user_of(&proven, &RequestInfo::default()).await
    }

    /// The user of a proven identity, made or extended if need be.
    pub(super) async fn user_of(
        self: &Arc<Self>,
        proven: &Proven,
        request: &RequestInfo,
    ) -> Result<User, Problem> {
        let users = &self.core.state.users;
        let key = proven.identity.key();
        if let Some(user) = self.known_user(&key).await? {
            return self.renewed(user, &proven.identity).await;
        }
        let happening = Happening::now(self, request, None);
        let providers = vec![proven.identity.provider_type.clone()];
        let now = self.core.clock.now_ms();
        if let Some(owner) = &proven.owner {
            // The first login with a key adds it to its owner's identities.
            let identity = bson::serialize_to_bson(&proven.identity).map_err(Problem::internal)?;
            let of = doc! {
                "_id": owner, "app_id": &self.id, "disabled": false, "keys": { "$ne": &key },
            };
            let add = doc! { "$push": { "identities": identity, "keys": &key } };
            let added = users.change(of, add).await.map_err(stored)?;
            self.tokens.forget(owner);
            let found = users.get(owner).await.map_err(stored)?;
            let user = found.ok_or_else(Problem::unauthorized)?;
            if added {
                self.tell_of(AuthEventKind::Create, &user, providers, &happening)
                    .await;
            }
            return Ok(user);
        }
        let user = User {
            id: new_id(),
            app_id: self.id.clone(),
            kind: proven.kind.to_owned(),
            identities: vec![proven.identity.clone()],
            keys: vec![key.clone()],
            disabled: false,
            created: now,
            // Whom an administrator or a key made has not logged in yet.
            last_login: 0,
            last_seen: now,
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
        let (user, new) = self.keep_new_user(proven, user, &key).await?;
        drop(turn);
        if new {
            self.count_users(1);
            self.tell_of(AuthEventKind::Create, &user, providers, &happening)
                .await;
        }
        Ok(user)
    }

    /// A user with what the provider tells of the identity now.
    pub(super) async fn renewed(&self, mut user: User, proven: &Identity) -> Result<User, Problem> {
        // What these tell, the server itself knows and keeps up to date.
        let own = ["anon-user", "local-userpass", "api-key"];
        let (id, kind) = (&proven.id, &proven.provider_type);
        let known = user.identities.iter_mut();
        let known = known
            .into_iter()
            .find(|known| known.id == *id && known.provider_type == *kind);
        let Some(known) = known.filter(|known| known.data != proven.data) else {
            return Ok(user);
        };
        if own.contains(&kind.as_str()) {
            return Ok(user);
        }
        known.data = proven.data.clone();
        let of = doc! {
            "_id": &user.id, "app_id": &self.id,
            "identities": { "$elemMatch": { "id": id, "provider_type": kind } },
        };
        let set = doc! { "$set": { "identities.$.data": proven.data.clone() } };
        let users = &self.core.state.users;
        users.change(of, set).await.map_err(stored)?;
        // Sessions that go on show it, too.
        self.tokens.forget(&user.id);
        Ok(user)
    }

    /// The user with an identity.
    pub(super) async fn known_user(&self, key: &str) -> Result<Option<User>, Problem> {
        let filter = doc! { "app_id": &self.id, "keys": key };
        self.core.state.users.first(filter).await.map_err(stored)
    }

    /// Tells what became of a user, with the custom user data there is now.
    pub(super) async fn tell_of(
        self: &Arc<Self>,
        kind: AuthEventKind,
        user: &User,
        providers: Vec<String>,
        happening: &Happening<'_>,
    ) {
        let told = match self.custom_data(&user.id).await {
            Ok(custom) => crate::User::new(user, custom, "", "", ""),
            Err(problem) => Err(problem),
        };
        match told {
            Ok(user) => self.auth_event(kind, Arc::new(user), providers, happening),
            Err(problem) => {
                let (app, kind) = (&self.client_app_id, kind.as_str());
                tracing::error!(app, user = user.id, kind, %problem, "an event is lost");
            }
        }
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

    /// Makes a user of what was proven, or finds the one that somebody made who
    /// logged in with it a moment earlier; and which of both.
    async fn keep_new_user(
        &self,
        proven: &Proven,
        user: User,
        key: &str,
    ) -> Result<(User, bool), Problem> {
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
                    return Ok((user, true));
                }
                users.delete(&user.id).await.map_err(stored)?;
                Err(wrong_password())
            }
            Ok(()) => Ok((user, true)),
            Err(error) if error.is_duplicate_key() => {
                let found = self.known_user(key).await?.ok_or_else(invalid_session)?;
                Ok((found, false))
            }
            Err(error) => Err(stored(error)),
        }
    }

    pub(super) async fn has_account(&self, id: &str) -> Result<bool, Problem> {
        let found = self.core.state.passwords.get(id).await.map_err(stored)?;
        Ok(found.is_some())
    }
}
