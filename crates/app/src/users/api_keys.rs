//! API keys of users (client-api.md §4).

use std::sync::Arc;

use bson::doc;
use kit::{Kind, Problem, limit};
use state::ApiKey;

use crate::{App, new_id, stored};

/// A key that was just made: the only time its text is shown.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// The record.
    pub record: ApiKey,
    /// The key: 64 letters and digits.
    pub key: String,
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "APIKeyNotFound", "API key not found")
}

impl App {
    /// Makes a key; without a user it is a server's, which is a user of its own
    /// (admin-api.md §2.9).
    ///
    /// # Errors
    /// `InvalidParameter`, `APIKeyAlreadyExists`.
    pub async fn create_api_key(
        self: &Arc<Self>,
        user_id: &str,
        name: &str,
    ) -> Result<NewApiKey, Problem> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() {
            return Err(Problem::new(
                Kind::Invalid,
                "",
                "'name' is a required string",
            ));
        }
        if name.len() > limit::API_KEY_NAME_CHARS_MAX {
            return Err(Problem::invalid_parameter(format!(
                "'name' must have at most {} characters",
                limit::API_KEY_NAME_CHARS_MAX
            )));
        }
        if !name.chars().all(fits) {
            return Err(Problem::invalid_parameter(
                "can only contain ASCII letters, numbers, underscores, and hyphens",
            ));
        }
        let most = if user_id.is_empty() {
            limit::SERVER_API_KEYS_MAX
        } else {
            limit::USER_API_KEYS_MAX
        };
        // Counted and added by one at a time, or several would be the last.
        let _adding = self.adding_keys.lock().await;
        if self.api_keys(user_id).await?.len() >= most {
            return Err(Problem::bad_request(format!(
                "maximum of {most} API keys reached"
            )));
        }
        let key = random_key();
        let record = ApiKey {
            id: new_id(),
            app_id: self.id.clone(),
            user_id: user_id.to_owned(),
            name: name.to_owned(),
            hash: state::digest(&key),
            disabled: false,
        };
        match self.core.state.api_keys.insert(&record).await {
            Ok(()) => {
                if user_id.is_empty() {
                    self.user_of_key(&record).await?;
                }
                Ok(NewApiKey { record, key })
            }
            Err(error) if error.is_duplicate_key() => Err(Problem::new(
                Kind::Conflict,
                "APIKeyAlreadyExists",
                "API key with name already exists",
            )),
            Err(error) => Err(stored(error)),
        }
    }

    /// The keys of a user, or of servers.
    pub async fn api_keys(&self, user_id: &str) -> Result<Vec<ApiKey>, Problem> {
        self.core
            .state
            .api_keys
            .list(
                doc! { "app_id": &self.id, "user_id": user_id },
                doc! { "_id": 1 },
                0,
                0,
            )
            .await
            .map_err(stored)
    }

    /// One key of a user.
    ///
    /// # Errors
    /// `APIKeyNotFound`, for another user's key too.
    pub async fn api_key(&self, user_id: &str, id: &str) -> Result<ApiKey, Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id, "user_id": user_id };
        self.core
            .state
            .api_keys
            .first(filter)
            .await
            .map_err(stored)?
            .ok_or_else(missing)
    }

    /// Whether a key is there and may log in.
    pub(super) async fn is_on(&self, id: &str) -> Result<bool, Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id, "disabled": false };
        let found = self.core.state.api_keys.first(filter).await;
        Ok(found.map_err(stored)?.is_some())
    }

    /// Turns a key on or off. Off, the sessions that began with it end.
    ///
    /// # Errors
    /// `APIKeyNotFound`.
    pub async fn set_api_key(
        &self,
        user_id: &str,
        id: &str,
        disabled: bool,
    ) -> Result<(), Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id, "user_id": user_id };
        let update = doc! { "$set": { "disabled": disabled } };
        if !self
            .core
            .state
            .api_keys
            .change(filter, update)
            .await
            .map_err(stored)?
        {
            return Err(missing());
        }
        if disabled {
            self.end_sessions_of_key(user_id, id).await?;
        }
        Ok(())
    }

    /// Ends the sessions that began with a key; answers with its user's id.
    async fn end_sessions_of_key(
        &self,
        user_id: &str,
        id: &str,
    ) -> Result<Option<String>, Problem> {
        let key = format!("api-key:{id}");
        let user_id = match self.known_user(&key).await? {
            Some(user) => user.id,
            // Nobody has logged in with it yet.
            None if user_id.is_empty() => return Ok(None),
            None => user_id.to_owned(),
        };
        self.end_sessions_of(&user_id, id).await?;
        Ok(Some(user_id))
    }

    /// Removes a key: the sessions that began with it end, and its user loses
    /// the identity.
    ///
    /// # Errors
    /// `APIKeyNotFound`.
    pub async fn delete_api_key(&self, user_id: &str, id: &str) -> Result<(), Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id, "user_id": user_id };
        let deleted = self.core.state.api_keys.delete_all(filter).await;
        if deleted.map_err(stored)? == 0 {
            return Err(missing());
        }
        if let Some(user_id) = self.end_sessions_of_key(user_id, id).await? {
            self.remove_identity(&user_id, "api-key", id).await?;
        }
        Ok(())
    }
}

/// 64 letters and digits, evenly drawn.
fn random_key() -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut key = String::with_capacity(64);
    while key.len() < 64 {
        for byte in state::random_bytes::<64>() {
            // Bytes past the last whole multiple would favour the first letters.
            if byte < 248 && key.len() < 64 {
                key.push(char::from(LETTERS[usize::from(byte % 62)]));
            }
        }
    }
    key
}
