//! Key pairs: a public half that is a name, a private half that is shown once
//! and kept as a digest.

use std::sync::Arc;

use bson::doc;
use kit::{Kind, Problem, limit};
use state::{AdminKey, ProjectRole};

use super::{AdminLogin, Administrator, KEYS, OWNER, READER, group_not_found};
use crate::{Backstitch, new_id, stored};

/// A key pair, as it is shown once.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The public half.
    pub public_key: String,
    /// The private half.
    pub private_key: kit::Secret,
}

/// The administrator that a key is.
pub(super) fn administrator(key: AdminKey) -> Administrator {
    Administrator {
        id: key.id,
        name: key.public_key,
        provider: KEYS,
        roles: vec![ProjectRole {
            project_id: key.project_id,
            role: key.role,
        }],
        operator: key.operator,
    }
}

/// Refuses what is no role.
pub(super) fn check_role(role: &str) -> Result<(), Problem> {
    if [OWNER, READER].contains(&role) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "'{role}' is no role; there are {OWNER} and {READER}"
    )))
}

impl Backstitch {
    /// Makes the operator's key pair of a project. A public key that is known
    /// gets the private half that is given now; sessions of another end.
    pub async fn ensure_key(&self, project_id: &str, pair: &KeyPair) -> Result<(), Problem> {
        let keys = &self.state.admin_keys;
        let known = keys
            .first(doc! { "public_key": &pair.public_key })
            .await
            .map_err(stored)?;
        let mut new = self.new_key(project_id, pair, OWNER, "");
        new.operator = true;
        let Some(known) = known else {
            return keys.insert_missing(&[new]).await.map_err(stored);
        };
        let same = known.private_digest == new.private_digest && known.project_id == project_id;
        if same && !known.digest_key.is_empty() {
            return Ok(());
        }
        let id = known.id;
        let new = AdminKey {
            id: id.clone(),
            ..new
        };
        keys.put(&new).await.map_err(stored)?;
        if same {
            return Ok(());
        }
        self.end_admin_sessions(&id).await
    }

    /// The key pairs of a project, oldest first.
    pub async fn keys(&self, project_id: &str) -> Result<Vec<AdminKey>, Problem> {
        let of_project = doc! { "project_id": project_id };
        let order = doc! { "created": 1, "_id": 1 };
        let keys = self.state.admin_keys.list(of_project, order, 0, 0).await;
        keys.map_err(stored)
    }

    /// A new key pair of a project, whose private half is shown this once.
    ///
    /// # Errors
    /// `GroupNotFound`; `BadRequest` for what is no role, for a description that
    /// is too long, and for more than [`limit::PROJECT_KEYS_MAX`] keys.
    pub async fn create_key(
        &self,
        project_id: &str,
        role: &str,
        description: &str,
    ) -> Result<(AdminKey, KeyPair), Problem> {
        check_role(role)?;
        if description.chars().count() > limit::COMMENT_CHARS_MAX {
            return Err(Problem::bad_request(format!(
                "a description has at most {} characters",
                limit::COMMENT_CHARS_MAX
            )));
        }
        if !self.has_project(project_id).await? {
            return Err(group_not_found(project_id));
        }
        let keys = &self.state.admin_keys;
        let known = keys.count(doc! { "project_id": project_id }).await;
        if known.map_err(stored)? >= limit::PROJECT_KEYS_MAX {
            return Err(Problem::bad_request(format!(
                "a project has at most {} key pairs",
                limit::PROJECT_KEYS_MAX
            )));
        }
        let pair = Self::new_key_pair();
        let key = self.new_key(project_id, &pair, role, description);
        keys.insert(&key).await.map_err(stored)?;
        Ok((key, pair))
    }

    /// Turns a key pair of a project on or off. One that is off has no sessions.
    ///
    /// # Errors
    /// `APIKeyNotFound`; a conflict for the operator's.
    pub async fn set_key_disabled(
        &self,
        project_id: &str,
        id: &str,
        disabled: bool,
    ) -> Result<(), Problem> {
        self.key_of(project_id, id).await?;
        let set = doc! { "$set": { "disabled": disabled } };
        let done = self.state.admin_keys.change(doc! { "_id": id }, set).await;
        if !done.map_err(stored)? {
            return Err(key_not_found(id));
        }
        if disabled {
            self.end_admin_sessions(id).await?;
        }
        Ok(())
    }

    /// Removes a key pair of a project with its sessions.
    ///
    /// # Errors
    /// `APIKeyNotFound`; a conflict for the operator's.
    pub async fn revoke_key(&self, project_id: &str, id: &str) -> Result<(), Problem> {
        self.key_of(project_id, id).await?;
        self.state.admin_keys.delete(id).await.map_err(stored)?;
        self.end_admin_sessions(id).await
    }

    /// A key of a project that may be changed.
    async fn key_of(&self, project_id: &str, id: &str) -> Result<AdminKey, Problem> {
        let found = self.state.admin_keys.get(id).await.map_err(stored)?;
        let key = found.filter(|key| key.project_id == project_id);
        let key = key.ok_or_else(|| key_not_found(id))?;
        if key.operator {
            return Err(Problem::new(
                Kind::Conflict,
                "BadRequest",
                "the operator's key is the one that the server is started with",
            ));
        }
        Ok(key)
    }

    pub(super) fn new_key(
        &self,
        project_id: &str,
        pair: &KeyPair,
        role: &str,
        description: &str,
    ) -> AdminKey {
        AdminKey {
            id: new_id(),
            project_id: project_id.to_owned(),
            public_key: pair.public_key.clone(),
            private_digest: state::digest(pair.private_key.expose()),
            digest_key: self.digest_key(pair),
            role: role.to_owned(),
            operator: false,
            description: description.to_owned(),
            created: self.clock.now_ms(),
            disabled: false,
        }
    }

    /// A random key pair.
    pub fn new_key_pair() -> KeyPair {
        let letters: String = state::random_bytes::<8>()
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        let hex = state::random_hex::<16>();
        let part = |from: usize, to: usize| &hex[from..to];
        let private = format!(
            "{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        );
        KeyPair {
            public_key: letters,
            private_key: private.into(),
        }
    }

    /// Logs in with a key pair, from an address.
    ///
    /// # Errors
    /// 401 in the words that the official CLI compares; `TooManyRequests`.
    pub async fn admin_login(
        self: &Arc<Self>,
        public_key: &str,
        private_key: &str,
        address: &str,
    ) -> Result<AdminLogin, Problem> {
        let refused = || {
            Problem::new(
                Kind::Unauthenticated,
                "",
                "failed to authenticate with MongoDB Cloud API: You are not authorized for this resource.",
            )
        };
        // The operator may have set a private key that can be guessed.
        let account = format!("{KEYS} {public_key}");
        let now = self.clock.now_ms();
        let counted = self.admin_failures.begin(&account, address, now)?;
        let keys = &self.state.admin_keys;
        let found = keys.first(doc! { "public_key": public_key }).await;
        // Digests are compared, so that the time tells nothing of the key.
        let digest = state::digest(private_key);
        let key = found
            .map_err(stored)?
            .filter(|key| key.private_digest == digest && !key.disabled)
            .ok_or_else(refused)?;
        counted.passed();
        let login = self.begin_admin_session(&administrator(key)).await?;
        // A key that was replaced or turned off meanwhile, before the session
        // was there to be ended.
        let still = keys.get(&login.user_id).await.map_err(stored)?;
        if still.is_none_or(|key| key.private_digest != digest || key.disabled) {
            self.end_admin_sessions(&login.user_id).await?;
            return Err(refused());
        }
        Ok(login)
    }
}

fn key_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "APIKeyNotFound",
        format!("key not found: '{id}'"),
    )
}
