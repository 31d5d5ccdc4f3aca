//! Administrators: who they are, logins, tokens, sessions (admin-api.md §1).
//! Key pairs are in [`keys`], users with passwords in [`users`], projects in
//! [`projects`].

pub(crate) mod digest;
mod keys;
mod projects;
mod users;

use std::sync::Arc;

use bson::doc;
use kit::{Kind, Problem, limit};
use serde_json::{Value, json};
use state::{AdminSession, ProjectRole};

use crate::users::{sign, verify};
use crate::{Backstitch, new_id, stored};

pub use digest::DigestRefusal;
pub use keys::KeyPair;
pub use projects::group_not_found;
pub use users::Change as UserChange;

/// The role that may change what is in a project.
pub const OWNER: &str = "GROUP_OWNER";
/// The role that may read what is in a project.
pub const READER: &str = "GROUP_READ_ONLY";
/// The provider of logins with a key pair.
pub const KEYS: &str = "mongodb-cloud";
/// The provider of logins with a password.
pub const PASSWORDS: &str = "local-userpass";

/// A logged-in administrator.
#[derive(Debug, Clone)]
pub struct Administrator {
    /// The id of the key or of the user.
    pub id: String,
    /// The public key or the user name.
    pub name: String,
    /// How the administrator logged in: [`KEYS`] or [`PASSWORDS`].
    pub provider: &'static str,
    /// What they may do, project by project.
    pub roles: Vec<ProjectRole>,
    /// Whether it is the server's operator, who makes and removes projects.
    pub operator: bool,
}

impl Administrator {
    /// The role in a project, if there is one.
    pub fn role_in(&self, project_id: &str) -> Option<&str> {
        let role = self.roles.iter().find(|role| role.project_id == project_id);
        role.map(|role| role.role.as_str())
    }

    /// Whether the administrator may change what is in a project.
    pub fn may_write(&self, project_id: &str) -> bool {
        self.role_in(project_id) == Some(OWNER)
    }
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
    /// The ways in which administrators log in; with a password once somebody
    /// has one.
    pub async fn admin_providers(&self) -> Result<Vec<&'static str>, Problem> {
        let mut providers = vec![KEYS];
        if self.has_admin_users().await? {
            providers.push(PASSWORDS);
        }
        Ok(providers)
    }

    /// Begins a session. Who is shut out meanwhile is looked at after it is
    /// there: whoever shuts out removes the sessions after that.
    async fn begin_admin_session(&self, holder: &Administrator) -> Result<AdminLogin, Problem> {
        let session = AdminSession {
            id: new_id(),
            key_id: holder.id.clone(),
            created: self.clock().now_ms(),
        };
        let sessions = &self.state.admin_sessions;
        sessions.insert(&session).await.map_err(stored)?;
        let now = self.clock().now_s();
        let refresh = json!({
            "typ": "admin-refresh", "sub": holder.id, "sid": session.id, "iat": now,
            "exp": now + limit::REFRESH_TOKEN_S,
        });
        Ok(AdminLogin {
            access_token: self.admin_access_token(&holder.id, &session.id)?,
            refresh_token: sign(self.admin_key.expose(), &refresh)?,
            user_id: holder.id.clone(),
        })
    }

    /// Ends every session of a key or a user.
    async fn end_admin_sessions(&self, holder_id: &str) -> Result<(), Problem> {
        let of_holder = doc! { "key_id": holder_id };
        let ended = self.state.admin_sessions.delete_all(of_holder).await;
        ended.map_err(stored).map(drop)
    }

    /// The administrator of an id, unless there is none or they are shut out.
    async fn admin_holder(&self, id: &str) -> Result<Option<Administrator>, Problem> {
        if let Some(key) = self.state.admin_keys.get(id).await.map_err(stored)? {
            return Ok((!key.disabled).then(|| keys::administrator(key)));
        }
        let user = self.state.admin_users.get(id).await.map_err(stored)?;
        Ok(user.filter(|user| !user.disabled).map(users::administrator))
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
        self.admin_holder(&claims.sub).await?.ok_or_else(invalid)
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
        let gone = || Problem::invalid_session("invalid session: failed to find refresh token");
        let found = self.state.admin_sessions.get(&claims.sid).await;
        let found = found.map_err(stored)?.ok_or_else(gone)?;
        // Who is shut out gets nothing from a session that began in the meantime.
        self.admin_holder(&found.key_id).await?.ok_or_else(gone)?;
        Ok(found)
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
        // Clients take the first role, and want an owner's there; a role without
        // a project comes last.
        let owned = |role: &&ProjectRole| role.role == OWNER;
        let all = &administrator.roles;
        let mut roles: Vec<Value> = all
            .iter()
            .filter(owned)
            .chain(all.iter().filter(|role| !owned(role)))
            .map(|role| json!({ "role_name": role.role, "group_id": role.project_id }))
            .collect();
        if administrator.operator {
            roles.push(json!({ "role_name": "GLOBAL_STITCH_ADMIN" }));
        }
        let mut data = json!({ "name": administrator.name });
        if administrator.provider == PASSWORDS {
            data["email"] = json!(administrator.name);
        }
        json!({
            "user_id": administrator.id, "domain_id": "000000000000000000000000", "type": "normal",
            "identities": [{
                "id": administrator.id, "provider_type": administrator.provider,
                "provider_id": "000000000000000000000000",
            }],
            "data": data,
            "roles": roles,
        })
    }
}
