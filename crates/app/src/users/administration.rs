//! What administrators do with users.

use std::sync::Arc;

use bson::{Document, doc};
use kit::{Kind, Problem, limit};
use state::User;

use super::AuthEventKind;
use super::events::Happening;
use crate::{App, RequestInfo, stored};

/// Users on one page.
const PAGE: u64 = 50;

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct UserQuery {
    /// After the user of this id.
    pub after: Option<String>,
    /// Newest first.
    pub descending: bool,
    /// Only those that are, or are not, disabled.
    pub disabled: Option<bool>,
    /// With an identity of one of these types; any when empty.
    pub provider_types: Vec<String>,
    /// Users on the page; 0 is as many as a page has.
    pub limit: u64,
}

fn missing(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "UserNotFound",
        format!("user not found: '{id}'"),
    )
}

impl App {
    /// A page of users, by id, which is by age.
    pub async fn list_users(&self, query: &UserQuery) -> Result<Vec<User>, Problem> {
        let mut filter = doc! { "app_id": &self.id };
        let (past, order) = if query.descending {
            ("$lt", -1)
        } else {
            ("$gt", 1)
        };
        if let Some(after) = &query.after {
            filter.insert("_id", doc! { past: after });
        }
        if let Some(disabled) = query.disabled {
            filter.insert("disabled", disabled);
        }
        if !query.provider_types.is_empty() {
            filter.insert(
                "identities.provider_type",
                doc! { "$in": query.provider_types.clone() },
            );
        }
        let limit = if query.limit == 0 {
            PAGE
        } else {
            query.limit.min(PAGE)
        };
        self.core
            .state
            .users
            .list(filter, doc! { "_id": order }, 0, limit)
            .await
            .map_err(stored)
    }

    /// Makes a confirmed email/password user.
    ///
    /// # Errors
    /// `AccountNameInUse`, `BadRequest`, `AuthProviderNotFound`; and
    /// `FunctionExecutionError` of the user creation function, which leaves
    /// nothing behind.
    pub async fn create_user(
        self: &Arc<Self>,
        email: &str,
        password: &str,
        request: &RequestInfo,
    ) -> Result<User, Problem> {
        let account = self.add_account(email, password, true).await?;
        let made = self.user_of_account(&account, request).await;
        if made
            .as_ref()
            .is_err_and(|problem| problem.code == "FunctionExecutionError")
        {
            let state = &self.core.state;
            state.passwords.delete(&account.id).await.map_err(stored)?;
        }
        made
    }

    /// One user.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn user(&self, id: &str) -> Result<User, Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id };
        let found = self.core.state.users.first(filter).await.map_err(stored)?;
        found.ok_or_else(|| missing(id))
    }

    /// A user as functions see them, without a session: for who acts as them.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn acting_user(&self, id: &str) -> Result<Arc<crate::User>, Problem> {
        let record = self.user(id).await?;
        let custom = self.custom_data(id).await?;
        Ok(Arc::new(crate::User::new(&record, custom, "", "", "")?))
    }

    /// Disables or enables a user. Disabled, every token stops working at
    /// once.
    pub async fn set_user_disabled(&self, id: &str, disabled: bool) -> Result<(), Problem> {
        let found = self
            .core
            .state
            .users
            .change(
                doc! { "_id": id, "app_id": &self.id },
                doc! { "$set": { "disabled": disabled } },
            )
            .await
            .map_err(stored)?;
        self.tokens.forget(id);
        if disabled {
            self.streams.end(id, None);
        }
        if found { Ok(()) } else { Err(missing(id)) }
    }

    /// Revokes every session of a user: no refresh token gives another access
    /// token. Those that were given live on, as on the service.
    pub async fn logout_user(&self, id: &str) -> Result<(), Problem> {
        self.user(id).await?;
        self.core
            .state
            .sessions
            .change_all(
                doc! { "user_id": id, "app_id": &self.id },
                doc! { "$set": { "revoked": true } },
            )
            .await
            .map_err(stored)?;
        self.tokens.forget_renewals(id);
        Ok(())
    }

    /// Removes a user with sessions, keys and accounts; documents stay.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn delete_user(
        self: &Arc<Self>,
        id: &str,
        request: &RequestInfo,
    ) -> Result<(), Problem> {
        if self.delete_user_if(id, doc! {}, request).await? {
            Ok(())
        } else {
            Err(missing(id))
        }
    }

    /// Removes a user who matches; says whether there was one.
    pub(crate) async fn delete_user_if(
        self: &Arc<Self>,
        id: &str,
        mut matches: Document,
        request: &RequestInfo,
    ) -> Result<bool, Problem> {
        let happening = Happening::now(self, request, None);
        let _removing = self.removing.write().await;
        let state = &self.core.state;
        matches.insert("_id", id);
        matches.insert("app_id", &self.id);
        let of = doc! { "user_id": id, "app_id": &self.id };
        // What logs in goes first and the user last: what breaks off in between
        // can be done again, and nobody can log in meanwhile.
        let user = loop {
            let user = state.users.first(matches.clone()).await;
            let Some(user) = user.map_err(stored)? else {
                return Ok(false);
            };
            let keys = state.api_keys.delete_all(of.clone()).await;
            keys.map_err(stored)?;
            for identity in &user.identities {
                if identity.provider_type == "local-userpass" {
                    state.passwords.delete(&identity.id).await.map_err(stored)?;
                }
            }
            let devices = state.devices.delete_all(of.clone()).await;
            devices.map_err(stored)?;
            // As it was read: an identity that came meanwhile goes too.
            let mut read = matches.clone();
            read.insert("keys", &user.keys);
            if state.users.delete_all(read).await.map_err(stored)? > 0 {
                break user;
            }
        };
        self.tokens.forget(id);
        self.streams.end(id, None);
        state.sessions.delete_all(of).await.map_err(stored)?;
        self.count_users(-1);
        let mut providers: Vec<String> = Vec::new();
        for identity in &user.identities {
            if !providers.contains(&identity.provider_type) {
                providers.push(identity.provider_type.clone());
            }
        }
        self.tell_of(AuthEventKind::Delete, &user, providers, &happening)
            .await;
        Ok(true)
    }

    /// Gives the email/password identity of a user another address; the password
    /// stays, and links that went to the one before are no good any more.
    ///
    /// # Errors
    /// `UserNotFound`, `BadRequest` for no address and for a user without such
    /// an identity, `AccountNameInUse`.
    pub async fn reset_email(&self, id: &str, email: &str) -> Result<(), Problem> {
        if email.is_empty() || email.chars().count() > limit::EMAIL_CHARS_MAX {
            return Err(Problem::bad_request("email invalid"));
        }
        let user = self.user(id).await?;
        let mut identities = user.identities.iter();
        let account = identities
            .find(|identity| identity.provider_type == "local-userpass")
            .map(|identity| identity.id.clone())
            .ok_or_else(|| Problem::bad_request("the user has no email/password identity"))?;
        let state = &self.core.state;
        // The account first: it is what the user logs in with.
        // What was mailed to the address before is no good for the account now.
        let set = doc! {
            "$set": { "email": email }, "$unset": { "confirmation": "", "reset": "" },
        };
        let found = state.passwords.change(doc! { "_id": &account }, set).await;
        let found = found.map_err(|error| {
            if error.is_duplicate_key() {
                Problem::new(Kind::Conflict, "AccountNameInUse", "name already in use")
            } else {
                stored(error)
            }
        })?;
        if !found {
            return Err(missing(id));
        }
        let of = doc! {
            "_id": id, "app_id": &self.id,
            "identities": { "$elemMatch": { "provider_type": "local-userpass", "id": account } },
        };
        let set = doc! { "$set": { "identities.$.data.email": email } };
        let found = state.users.change(of, set).await.map_err(stored)?;
        self.tokens.forget(id);
        if found { Ok(()) } else { Err(missing(id)) }
    }
}
