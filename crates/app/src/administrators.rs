//! Administrators: key pairs, tokens, sessions (admin-api.md §1).

use std::sync::Arc;

use bson::doc;
use kit::{Kind, Problem, limit};
use serde_json::{Value, json};
use state::{AdminKey, AdminSession, Project};

use crate::users::{sign, verify};
use crate::{Backstitch, new_id, stored};

/// A key pair, as it is shown once.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The public half.
    pub public_key: String,
    /// The private half.
    pub private_key: kit::Secret,
}

/// A logged-in administrator.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// The key's id, which is the administrator's user id.
    pub id: String,
    /// The project that the key opens.
    pub project_id: String,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it is the server's operator, who makes and removes projects.
    pub operator: bool,
}

/// The answer to a login.
#[derive(Debug, Clone)]
pub struct AdminLogin {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The administrator's id.
    pub user_id: String,
}

#[derive(serde::Deserialize)]
struct Claims {
    #[serde(default)]
    typ: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    sid: String,
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
        let new = key(project_id, pair, true);
        let Some(known) = known else {
            return keys.insert_missing(&[new]).await.map_err(stored);
        };
        if known.private_digest == new.private_digest && known.project_id == project_id {
            return Ok(());
        }
        let of_key = doc! { "key_id": &known.id };
        let sessions = self.state.admin_sessions.delete_all(of_key).await;
        sessions.map_err(stored)?;
        let id = known.id;
        keys.put(&AdminKey { id, ..new }).await.map_err(stored)
    }

    /// Makes a project with a key pair of its owner, whose private half is
    /// shown this once.
    ///
    /// # Errors
    /// `BadRequest` for a bad name.
    pub async fn create_project(&self, name: &str) -> Result<(Project, KeyPair), Problem> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > limit::PROJECT_NAME_CHARS_MAX {
            return Err(Problem::bad_request(format!(
                "a project's name has 1 to {} characters",
                limit::PROJECT_NAME_CHARS_MAX
            )));
        }
        let project = self.ensure_project(None, name).await?;
        let pair = Self::new_key_pair();
        let key = key(&project.id, &pair, false);
        self.state.admin_keys.insert(&key).await.map_err(stored)?;
        Ok((project, pair))
    }

    /// The projects that an administrator may see: the operator all, others
    /// their own.
    pub async fn projects(&self, of: &Administrator) -> Result<Vec<Project>, Problem> {
        let filter = if of.operator {
            doc! {}
        } else {
            doc! { "_id": &of.project_id }
        };
        self.state
            .projects
            .list(filter, doc! { "created": 1, "_id": 1 }, 0, 0)
            .await
            .map_err(stored)
    }

    /// Removes a project with its keys.
    ///
    /// # Errors
    /// `GroupNotFound`; a conflict while it has apps, and for the caller's own.
    pub async fn delete_project(&self, of: &Administrator, id: &str) -> Result<(), Problem> {
        if id == of.project_id {
            return Err(Problem::new(
                Kind::Conflict,
                "BadRequest",
                "an administrator cannot remove the project of their own key",
            ));
        }
        if self.state.projects.get(id).await.map_err(stored)?.is_none() {
            return Err(group_not_found(id));
        }
        if !self.apps(id).await?.is_empty() {
            return Err(Problem::new(
                Kind::Conflict,
                "BadRequest",
                "the project still has apps",
            ));
        }
        let of_project = doc! { "project_id": id };
        self.state
            .admin_keys
            .delete_all(of_project)
            .await
            .map_err(stored)?;
        self.state.projects.delete(id).await.map_err(stored)?;
        Ok(())
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

    /// Logs in with a key pair.
    ///
    /// # Errors
    /// 401 in the words that the official CLI compares.
    pub async fn admin_login(
        &self,
        public_key: &str,
        private_key: &str,
    ) -> Result<AdminLogin, Problem> {
        let refused = || {
            Problem::new(
                Kind::Unauthenticated,
                "",
                "failed to authenticate with MongoDB Cloud API: You are not authorized for this resource.",
            )
        };
        let found = self
            .state
            .admin_keys
            .first(doc! { "public_key": public_key })
            .await
            .map_err(stored)?
            .ok_or_else(refused)?;
        // Digests are compared, so that the time tells nothing of the key.
        if found.private_digest != state::digest(private_key) {
            return Err(refused());
        }
        let session = AdminSession {
            id: new_id(),
            key_id: found.id.clone(),
            created: self.clock().now_ms(),
        };
        self.state
            .admin_sessions
            .insert(&session)
            .await
            .map_err(stored)?;
        let now = self.clock().now_s();
        let refresh = json!({
            "typ": "admin-refresh", "sub": found.id, "sid": session.id, "iat": now,
            "exp": now + limit::REFRESH_TOKEN_S,
        });
        Ok(AdminLogin {
            access_token: self.admin_access_token(&found.id, &session.id)?,
            refresh_token: sign(self.admin_key.expose(), &refresh)?,
            user_id: found.id,
        })
    }

    fn admin_access_token(&self, key_id: &str, session_id: &str) -> Result<String, Problem> {
        let now = self.clock().now_s();
        let claims = json!({
            "typ": "admin-access", "sub": key_id, "sid": session_id, "iss": session_id, "iat": now,
            "exp": now + limit::ACCESS_TOKEN_S,
        });
        sign(self.admin_key.expose(), &claims)
    }

    /// The administrator of an access token.
    ///
    /// # Errors
    /// `InvalidSession`; a refresh token has a text and no code of its own, so
    /// that clients do not refresh on it.
    pub async fn administrator(self: &Arc<Self>, token: &str) -> Result<Administrator, Problem> {
        let invalid = || Problem::invalid_session("invalid session");
        let claims: Claims = verify(self.admin_key.expose(), token).ok_or_else(invalid)?;
        if claims.typ == "admin-refresh" {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "",
                "invalid session: valid Issuer required",
            ));
        }
        if claims.typ != "admin-access" {
            return Err(invalid());
        }
        if claims.exp <= self.clock().now_s() {
            return Err(Problem::invalid_session(
                "invalid session: access token expired",
            ));
        }
        let session = self.state.admin_sessions.get(&claims.sid).await;
        if session.map_err(stored)?.is_none() {
            return Err(invalid());
        }
        let key = self.state.admin_keys.get(&claims.sub).await;
        let key = key.map_err(stored)?.ok_or_else(invalid)?;
        Ok(Administrator {
            id: key.id,
            project_id: key.project_id,
            read_only: key.role != "GROUP_OWNER",
            operator: key.operator,
        })
    }

    async fn admin_session(&self, token: &str) -> Result<AdminSession, Problem> {
        let claims: Option<Claims> = verify(self.admin_key.expose(), token);
        let claims = claims.ok_or_else(|| Problem::invalid_session("invalid session"))?;
        if claims.typ != "admin-refresh" {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "",
                "invalid refresh token: incorrect token type",
            ));
        }
        if claims.exp <= self.clock().now_s() {
            return Err(Problem::invalid_session(
                "invalid session: refresh token expired",
            ));
        }
        let found = self
            .state
            .admin_sessions
            .get(&claims.sid)
            .await
            .map_err(stored)?;
        found.ok_or_else(|| {
            Problem::invalid_session("invalid session: failed to find refresh token")
        })
    }

    /// A new access token for a refresh token.
    pub async fn admin_refresh(&self, token: &str) -> Result<String, Problem> {
        let session = self.admin_session(token).await?;
        self.admin_access_token(&session.key_id, &session.id)
    }

    /// Ends the session of a refresh token, with its access tokens.
    pub async fn admin_logout(&self, token: &str) -> Result<(), Problem> {
        let session = self.admin_session(token).await?;
        self.state
            .admin_sessions
            .delete(&session.id)
            .await
            .map_err(stored)?;
        Ok(())
    }

    /// `GET auth/profile` of an administrator.
    pub fn admin_profile(&self, administrator: &Administrator) -> Value {
        let role = if administrator.read_only {
            "GROUP_READ_ONLY"
        } else {
            "GROUP_OWNER"
        };
        // Clients take the first role's group; a role without one comes after it.
        let mut roles = vec![json!({ "role_name": role, "group_id": administrator.project_id })];
        if administrator.operator {
            roles.push(json!({ "role_name": "GLOBAL_STITCH_ADMIN" }));
        }
        json!({
            "user_id": administrator.id, "domain_id": "000000000000000000000000", "type": "normal",
            "identities": [{
                "id": administrator.id, "provider_type": "mongodb-cloud",
                "provider_id": "000000000000000000000000",
            }],
            "data": { "name": administrator.id },
            "roles": roles,
        })
    }
}

fn key(project_id: &str, pair: &KeyPair, operator: bool) -> AdminKey {
    AdminKey {
        id: new_id(),
        project_id: project_id.to_owned(),
        public_key: pair.public_key.clone(),
        private_digest: state::digest(pair.private_key.expose()),
        role: "GROUP_OWNER".to_owned(),
        operator,
    }
}

/// The project is not there, or not the caller's.
pub fn group_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "GroupNotFound",
        format!("group not found: '{id}'"),
    )
}
