//! Secret values: sealed at rest, read at use, in no export.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use bson::doc;
use config::EditError;
use engine::CommandError;
use kit::{Kind, Problem, limit};

use crate::{App, new_id, refused, stored};

/// Secrets' values that were read, by name.
#[derive(Default)]
pub(crate) struct Known {
    values: HashMap<String, Arc<str>>,
    /// How often they were forgotten.
    forgotten: u64,
}

impl App {
    /// The names of the secrets with their ids.
    pub async fn list_secrets(&self) -> Result<Vec<state::Secret>, Problem> {
        self.core
            .state
            .secrets
            .list(doc! { "app_id": &self.id }, doc! { "name": 1 }, 0, 0)
            .await
            .map_err(stored)
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// A conflict when the name is taken.
    pub async fn create_secret(&self, name: &str, value: &str) -> Result<state::Secret, Problem> {
        check(name, value)?;
        let secret = state::Secret {
            id: new_id(),
            app_id: self.id.clone(),
            name: name.to_owned(),
            sealed: self.core.master_key.seal(value.as_bytes()),
        };
        self.core
            .state
            .secrets
            .insert(&secret)
            .await
            .map_err(|error| failed(error, name))?;
        self.forget_secrets();
        Ok(secret)
    }

    /// Changes a secret's name and, unless it is empty, its value.
    ///
    /// # Errors
    /// `SecretNotFound`, a conflict when the name is taken, and `BadRequest` for
    /// another name while the configuration has this one.
    pub async fn update_secret(&self, id: &str, name: &str, value: &str) -> Result<(), Problem> {
        check(name, value)?;
        let known = self.known_secret(id).await?;
        if known.name != name {
            self.check_unused(&known.name)?;
        }
        let mut set = doc! { "name": name };
        if !value.is_empty() {
            let sealed = self.core.master_key.seal(value.as_bytes());
            set.insert(
                "sealed",
                bson::Binary {
                    subtype: bson::spec::BinarySubtype::Generic,
                    bytes: sealed,
                },
            );
        }
        let found = self
            .core
            .state
            .secrets
            .change(doc! { "_id": id, "app_id": &self.id }, doc! { "$set": set })
            .await
            .map_err(|error| failed(error, name))?;
        self.forget_secrets();
        if found { Ok(()) } else { Err(missing(id)) }
    }

    /// Sets a secret by name.
    pub async fn set_secret(&self, name: &str, value: &str) -> Result<(), Problem> {
        match self
            .list_secrets()
            .await?
            .into_iter()
            .find(|secret| secret.name == name)
        {
            Some(known) => self.update_secret(&known.id, name, value).await,
            None => self.create_secret(name, value).await.map(drop),
        }
    }

    async fn known_secret(&self, id: &str) -> Result<state::Secret, Problem> {
        let filter = doc! { "_id": id, "app_id": &self.id };
        let found = self.core.state.secrets.first(filter).await;
        found.map_err(stored)?.ok_or_else(|| missing(id))
    }

    /// Refuses what would leave the live configuration without a secret that it
    /// names.
    fn check_unused(&self, name: &str) -> Result<(), Problem> {
        let users = self.release().config.secret_users(name);
        if users.is_empty() {
            Ok(())
        } else {
            Err(refused(&EditError::InUse(users)))
        }
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// `SecretNotFound`, and `BadRequest` while the configuration names it.
    pub async fn delete_secret(&self, id: &str) -> Result<(), Problem> {
        self.check_unused(&self.known_secret(id).await?.name)?;
        let filter = doc! { "_id": id, "app_id": &self.id };
        let gone = self
            .core
            .state
            .secrets
            .delete_all(filter)
            .await
            .map_err(stored)?;
        self.forget_secrets();
        if gone > 0 { Ok(()) } else { Err(missing(id)) }
    }

    /// A secret's value by name.
    pub(crate) async fn secret(&self, name: &str) -> Result<Option<Arc<str>>, Problem> {
        let forgotten = {
            let known = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = known.values.get(name) {
                return Ok(Some(value.clone()));
            }
            known.forgotten
        };
        let filter = doc! { "app_id": &self.id, "name": name };
        let Some(found) = self
            .core
            .state
            .secrets
            .first(filter)
            .await
            .map_err(stored)?
        else {
            return Ok(None);
        };
        let plain = self
            .core
            .master_key
            .open(&found.sealed)
            .map_err(Problem::internal)?;
        let value: Arc<str> = String::from_utf8_lossy(&plain).into();
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        // Unless it was changed since it was read.
        if known.forgotten == forgotten {
            known.values.insert(name.to_owned(), value.clone());
        }
        Ok(Some(value))
    }

    pub(crate) fn forget_secrets(&self) {
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        known.values.clear();
        known.forgotten += 1;
    }
}

/// Whether a secret may have this name and value.
///
/// # Errors
/// `BadRequest`.
pub fn check(name: &str, value: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > limit::SECRET_NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(Problem::bad_request(format!(
            "secret names have 1 to {} ASCII letters, numbers, underscores and hyphens",
            limit::SECRET_NAME_CHARS_MAX
        )));
    }
    if value.chars().count() > limit::SECRET_CHARS_MAX {
        return Err(Problem::bad_request(format!(
            "a secret's value has at most {} characters",
            limit::SECRET_CHARS_MAX
        )));
    }
    Ok(())
}

fn failed(error: CommandError, name: &str) -> Problem {
    if error.is_duplicate_key() {
        return Problem::new(
            Kind::Conflict,
            "SecretDuplicateName",
            format!("secret '{name}' already exists"),
        );
    }
    stored(error)
}

fn missing(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "SecretNotFound",
        format!("secret not found: \"{id}\""),
    )
}
