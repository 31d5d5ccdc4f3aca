//! Another identity for a user (client-api.md §2.8). It cannot be undone.

use std::sync::Arc;

use bson::{Document, doc};
use kit::{Kind, Problem, limit};
use state::{Identity, User};

use super::events::Happening;
use super::login::{Proven, wrong_password};
use super::{AuthEventKind, Device, invalid_session};
use crate::caller::RequestInfo;
use crate::{App, stored};

/// The answer to a link: the session that the user has goes on.
#[derive(Debug, Clone)]
pub struct Linked {
    /// An access token with the custom user data of now.
    pub access_token: String,
    /// The user's id, which is the one before.
    pub user_id: String,
    /// The session's device.
    pub device_id: String,
}

impl App {
    /// Adds the identity that credentials prove to the user of an access token.
    /// One that the user has already changes nothing.
    ///
    /// # Errors
    /// `InvalidSession`, also for a session that was revoked or is over, and, as on
    /// the service, for a provider that is off;
    /// `AuthError` for what is another user's; `InternalServerError` for a second
    /// email/password account; `BadRequest` for an anonymous identity and for one
    /// too many; and what a login answers to wrong credentials.
    pub async fn link(
        self: &Arc<Self>,
        token: &str,
        provider: &str,
        credentials: &Document,
        device: Device,
        request: &RequestInfo,
    ) -> Result<Linked, Problem> {
        let user = self.authenticate(token).await?;
        let happening = Happening::now(self, request, Some(&device));
        let linked = async {
            self.provider(provider).map_err(|_| invalid_session())?;
            if provider == "anon-user" {
                return Err(Problem::bad_request(
                    "an anonymous identity cannot be linked to a user",
                ));
            }
            let proven = self.prove_counted(provider, credentials, request).await?;
            let added = self.add_identity(&user, proven, &happening).await;
            if let Err(problem) = &added
                && problem.kind == Kind::Unauthenticated
            {
                // realm-web tries again for as long as it is told this.
                let now = self.core.clock.now_ms();
                let what = format!("links of {}", user.id);
                drop(self.failures.begin(&what, &request.remote_address, now)?);
            }
            added
        };
        self.linked(&user, provider, linked.await, &happening).await
    }

    /// Notes a try to link, and answers it.
    pub(super) async fn linked(
        self: &Arc<Self>,
        user: &Arc<crate::User>,
        provider: &str,
        result: Result<(), Problem>,
        happening: &Happening<'_>,
    ) -> Result<Linked, Problem> {
        self.log_auth(
            "LINK",
            provider,
            Some(user),
            happening,
            result.as_ref().err(),
        );
        result?;
        let session = self.goes_on(user).await?;
        let custom = self.custom_data(&user.id).await?;
        Ok(Linked {
            access_token: self.access_token(&session, &custom)?,
            user_id: user.id.clone(),
            device_id: session.device_id,
        })
    }

    /// Adds a proven identity to a user, unless it is there.
    pub(super) async fn add_identity(
        self: &Arc<Self>,
        user: &crate::User,
        proven: Proven,
        happening: &Happening<'_>,
    ) -> Result<(), Problem> {
        // An access token outlives its session when that is revoked. It must not
        // plant an identity then, nor get another access token.
        self.goes_on(user).await?;
        let identity = proven.identity;
        let is_account = identity.provider_type == "local-userpass";
        let key = identity.key();
        if proven.owner.is_some_and(|owner| owner != user.id) {
            return Err(Problem::unauthorized());
        }
        if let Some(owner) = self.known_user(&key).await? {
            if owner.id != user.id {
                return Err(Problem::unauthorized());
            }
            return self.renewed(owner, &identity).await.map(drop);
        }
        // Who removes an account at the same time is waited for, or waits.
        let _removing = self.removing.read().await;
        if is_account && !self.has_account(&identity.id).await? {
            return Err(wrong_password());
        }
        let mut of = doc! {
            "_id": &user.id, "app_id": &self.id, "disabled": false, "keys": { "$ne": &key },
        };
        // Asked by the update itself: of two at a time, one is the second.
        let last = format!("identities.{}", limit::USER_IDENTITIES_MAX - 1);
        of.insert(last, doc! { "$exists": false });
        if is_account {
            of.insert("identities.provider_type", doc! { "$ne": "local-userpass" });
        }
        let identity_added = bson::serialize_to_bson(&identity).map_err(Problem::internal)?;
        let add = doc! { "$push": { "identities": identity_added, "keys": &key } };
        let added = match self.core.state.users.change(of, add).await {
            // Somebody logged in with it a moment earlier.
            Err(error) if error.is_duplicate_key() => return Err(Problem::unauthorized()),
            added => added.map_err(stored)?,
        };
        let now = self.core.state.users.get(&user.id).await.map_err(stored)?;
        let Some(now) = now.filter(|now| !now.disabled) else {
            return Err(invalid_session());
        };
        if !added {
            return not_added(&now, &identity);
        }
        self.tokens.forget(&user.id);
        if is_account {
            // Another server may have removed the account meanwhile.
            if !self.has_account(&identity.id).await? {
                self.remove_identity(&user.id, "local-userpass", &identity.id)
                    .await?;
                return Err(wrong_password());
            }
            self.came_to_life(&identity.id).await?;
        }
        let providers = vec![identity.provider_type];
        self.tell_of(AuthEventKind::Create, &now, providers, happening)
            .await;
        Ok(())
    }

    /// Takes an identity from a user.
    pub(super) async fn remove_identity(
        &self,
        user_id: &str,
        provider: &str,
        id: &str,
    ) -> Result<(), Problem> {
        let users = &self.core.state.users;
        let which = doc! { "id": id, "provider_type": provider };
        let gone = doc! { "$pull": { "identities": &which, "keys": format!("{provider}:{id}") } };
        let several = doc! { "_id": user_id, "app_id": &self.id, "keys.1": { "$exists": true } };
        if !users.change(several, gone).await.map_err(stored)? {
            // The last key stays, and nobody else can have it: to the unique index
            // users without any would all have the same.
            let of = doc! { "_id": user_id, "app_id": &self.id };
            let gone = doc! { "$pull": { "identities": which } };
            users.change(of, gone).await.map_err(stored)?;
        }
        self.tokens.forget(user_id);
        Ok(())
    }
}

/// Why a user who is there did not get an identity.
fn not_added(user: &User, identity: &Identity) -> Result<(), Problem> {
    let same_kind = |known: &Identity| known.provider_type == identity.provider_type;
    if user.keys.contains(&identity.key()) {
        return Ok(());
    }
    if user.identities.len() >= limit::USER_IDENTITIES_MAX {
        return Err(Problem::bad_request(format!(
            "a user has at most {} identities",
            limit::USER_IDENTITIES_MAX
        )));
    }
    if user.identities.iter().any(same_kind) {
        // The status and the text of the service, which SDKs know.
        return Err(Problem::new(
            Kind::Internal,
            "InternalServerError",
            "unauthorized",
        ));
    }
    Err(invalid_session())
}
