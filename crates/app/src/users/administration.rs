//! What administrators do with users.

use bson::doc;
use kit::{Kind, Problem};
use state::User;

use crate::{App, stored};

/// Users on one page.
const PAGE: u64 = 50;

fn missing(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "UserNotFound",
        format!("user not found: '{id}'"),
    )
}

impl App {
    /// A page of users, by id, after the one of an id.
    pub async fn list_users(&self, after: Option<&str>) -> Result<Vec<User>, Problem> {
        let mut filter = doc! { "app_id": &self.id };
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after });
        }
        self.core
            .state
            .users
            .list(filter, doc! { "_id": 1 }, 0, PAGE)
            .await
            .map_err(stored)
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
        Ok(())
    }

    /// Removes a user with sessions, keys and accounts; documents stay.
    pub async fn delete_user(&self, id: &str) -> Result<(), Problem> {
        let _removing = self.removing.write().await;
        let user = self.user(id).await?;
        let state = &self.core.state;
        let of = doc! { "user_id": id, "app_id": &self.id };
        // What logs in goes first and the user last: what breaks off in between
        // can be done again, and nobody can log in meanwhile.
        state
            .api_keys
            .delete_all(of.clone())
            .await
            .map_err(stored)?;
        for identity in &user.identities {
            if identity.provider_type == "local-userpass" {
                state.passwords.delete(&identity.id).await.map_err(stored)?;
            }
        }
        state.users.delete(id).await.map_err(stored)?;
        self.tokens.forget(id);
        self.streams.end(id, None);
        state.sessions.delete_all(of).await.map_err(stored)?;
        Ok(())
    }
}
