//! Sessions: begun, refreshed, ended (client-api.md §2.4).

use std::sync::Arc;

use bson::{Bson, Document, doc};
use kit::{Problem, limit};
use serde_json::{Value, json};
use state::{Identity, Session, User};

use super::{Device, Login, invalid_session};
use crate::{App, new_id, stored};

/// How long until a user is noted as seen once more.
const SEEN_AGAIN_MS: i64 = 24 * 3_600_000;

impl App {
    /// Begins a session of a user; answers with the user as of it too.
    pub(super) async fn begin_session(
        &self,
        mut user: User,
        identity: &Identity,
        device: &Device,
    ) -> Result<(Arc<crate::User>, Login), Problem> {
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
            identity_id: identity.id.clone(),
            created: started,
            expires: started + lifetime * 1000,
            revoked: false,
        };
        let (sessions, users) = (&self.core.state.sessions, &self.core.state.users);
        let over = doc! { "user_id": &user.id, "expires": { "$lte": now } };
        sessions.delete_all(over).await.map_err(stored)?;
        sessions.insert(&session).await.map_err(stored)?;
        // After the session: who is removed or disabled at the same time takes
        // it along, or is met here.
        let of = doc! { "_id": &user.id, "app_id": &self.id, "disabled": false };
        let seen = doc! { "$set": { "last_login": now, "last_seen": now } };
        if !users.change(of, seen).await.map_err(stored)? {
            sessions.delete(&session.id).await.map_err(stored)?;
            return Err(invalid_session());
        }
        user.last_login = now;
        self.bound_sessions(&user.id).await?;
        self.remember_device(&user.id, &device_id, device, now)
            .await?;
        let custom = self.custom_data(&user.id).await?;
        let login = Login {
            access_token: self.access_token(&session, &custom)?,
            refresh_token: self.refresh_token(&session, identity)?,
            user_id: user.id.clone(),
            device_id: device_id.clone(),
        };
        let provider = &session.provider_type;
        let user = crate::User::new(&user, custom, &session.id, provider, &device_id)?;
        Ok((Arc::new(user), login))
    }

    /// Ends the oldest sessions of a user who has too many.
    async fn bound_sessions(&self, user_id: &str) -> Result<(), Problem> {
        let sessions = &self.core.state.sessions;
        let of = doc! { "user_id": user_id, "app_id": &self.id };
        let count = sessions.count(of.clone()).await.map_err(stored)?;
        if count <= limit::USER_SESSIONS_MAX {
            return Ok(());
        }
        let order = doc! { "created": 1, "_id": 1 };
        let oldest = sessions.list(of, order, 0, count - limit::USER_SESSIONS_MAX);
        for session in oldest.await.map_err(stored)? {
            self.end_session(&session).await?;
        }
        Ok(())
    }

    /// Ends the sessions of a user that began with an identity: neither their
    /// refresh tokens nor their access tokens count any longer.
    pub(super) async fn end_sessions_of(
        &self,
        user_id: &str,
        identity_id: &str,
    ) -> Result<(), Problem> {
        let of = doc! { "user_id": user_id, "app_id": &self.id, "identity_id": identity_id };
        let sessions = self.core.state.sessions.list(of, doc! { "_id": 1 }, 0, 0);
        for session in sessions.await.map_err(stored)? {
            self.end_session(&session).await?;
        }
        Ok(())
    }

    async fn end_session(&self, session: &Session) -> Result<(), Problem> {
        let sessions = &self.core.state.sessions;
        sessions.delete(&session.id).await.map_err(stored)?;
        self.tokens.forget_session(&session.id);
        self.streams.end(&session.user_id, Some(&session.id));
        Ok(())
    }

    /// A new access token for a refresh token; reads custom user data afresh.
    ///
    /// # Errors
    /// `InvalidSession`.
    pub async fn refresh(&self, token: &str) -> Result<String, Problem> {
        let session = self.renewable(token).await?;
        let custom = self.custom_data(&session.user_id).await?;
        self.access_token(&session, &custom)
    }

    /// Notes that a user is here, who must not be disabled.
    pub(super) async fn seen(&self, user_id: &str) -> Result<(), Problem> {
        let users = &self.core.state.users;
        let user = users.get(user_id).await.map_err(stored)?;
        let user = user.filter(|user| !user.disabled);
        let user = user.ok_or_else(invalid_session)?;
        let now = self.core.clock.now_ms();
        // Who is removed when nobody sees them is seen here; a day is exact
        // enough, and not a write for each token.
        if state::is_anonymous(&user.identities) && now - user.last_seen > SEEN_AGAIN_MS {
            let seen = doc! { "$max": { "last_seen": now } };
            let of = doc! { "_id": &user.id, "app_id": &self.id };
            if !users.change(of, seen).await.map_err(stored)? {
                return Err(invalid_session());
            }
        }
        Ok(())
    }

    /// Ends the session of a refresh token.
    pub async fn logout(&self, token: &str) -> Result<(), Problem> {
        let session = self.session(token).await?;
        self.end_session(&session).await
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
    pub fn profile(&self, user: &crate::User) -> Value {
        let json = |document: Document| Bson::Document(document).into_relaxed_extjson();
        let identities: Vec<Value> = user
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
        json!({
            "user_id": user.id, "domain_id": self.domain_id, "identities": identities,
            "data": json(user.data.clone()), "type": user.kind,
        })
    }
}
