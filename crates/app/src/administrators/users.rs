//! Administrators who log in with a password. There are none until the operator
//! makes one: until then the provider is off.

use std::sync::Arc;

use bson::{Document, doc};
use kit::limit::{
    ADMINISTRATOR_ROLES_MAX, ADMINISTRATORS_MAX, EMAIL_CHARS_MAX, PASSWORD_CHARS_MAX,
    PASSWORD_CHARS_MIN,
};
use kit::{Kind, Problem};
use state::{AdminUser, ProjectRole};

use super::keys::check_role;
use super::{AdminLogin, Administrator, PASSWORDS, group_not_found};
use crate::{Backstitch, new_id, stored};

/// What changes of a user; nothing for what is not said.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A new password.
    pub password: Option<kit::Secret>,
    /// Other roles.
    pub roles: Option<Vec<ProjectRole>>,
    /// Whether the user is shut out.
    pub disabled: Option<bool>,
}

/// The administrator that a user is.
pub(super) fn administrator(user: AdminUser) -> Administrator {
    Administrator {
        id: user.id,
        name: user.username,
        provider: PASSWORDS,
        roles: user.roles,
        operator: false,
    }
}

impl Backstitch {
    pub(super) async fn has_admin_users(&self) -> Result<bool, Problem> {
        let first = self.state.admin_users.first(doc! {}).await;
        Ok(first.map_err(stored)?.is_some())
    }

    /// The administrators with passwords, oldest first.
    pub async fn admin_users(&self) -> Result<Vec<AdminUser>, Problem> {
        let order = doc! { "created": 1, "_id": 1 };
        let users = self.state.admin_users.list(doc! {}, order, 0, 0).await;
        users.map_err(stored)
    }

    /// A new administrator with a password.
    ///
    /// # Errors
    /// `BadRequest` for a bad name, password or role, and for more than
    /// [`ADMINISTRATORS_MAX`]; `GroupNotFound`; `AccountNameInUse`.
    pub async fn create_admin_user(
        &self,
        username: &str,
        password: &str,
        roles: Vec<ProjectRole>,
    ) -> Result<AdminUser, Problem> {
        let username = username.trim();
        if username.is_empty() || username.chars().count() > EMAIL_CHARS_MAX {
            return Err(Problem::bad_request(format!(
                "a user name has 1 to {EMAIL_CHARS_MAX} characters"
            )));
        }
        self.check_roles(&roles).await?;
        let users = &self.state.admin_users;
        if users.count(doc! {}).await.map_err(stored)? >= ADMINISTRATORS_MAX {
            return Err(Problem::bad_request(format!(
                "there are at most {ADMINISTRATORS_MAX} administrators with passwords"
            )));
        }
        let user = AdminUser {
            id: new_id(),
            username: username.to_owned(),
            hash: self.hash_of(password).await?,
            roles,
            created: self.clock.now_ms(),
            disabled: false,
        };
        match users.insert(&user).await {
            Err(error) if error.is_duplicate_key() => Err(Problem::new(
                Kind::Conflict,
                "AccountNameInUse",
                format!("the name '{username}' is in use"),
            )),
            done => done.map_err(stored).map(|()| user),
        }
    }

    /// Changes an administrator with a password. A new password, other roles and
    /// being shut out end the sessions.
    ///
    /// # Errors
    /// `UserNotFound`, and as for a new one.
    pub async fn change_admin_user(&self, id: &str, change: Change) -> Result<(), Problem> {
        let mut set = Document::new();
        if let Some(roles) = &change.roles {
            self.check_roles(roles).await?;
            let roles = bson::serialize_to_bson(roles).map_err(Problem::internal)?;
            set.insert("roles", roles);
        }
        if let Some(password) = &change.password {
            set.insert("hash", self.hash_of(password.expose()).await?);
        }
        if let Some(disabled) = change.disabled {
            set.insert("disabled", disabled);
        }
        let users = &self.state.admin_users;
        if set.is_empty() {
            let found = users.get(id).await.map_err(stored)?;
            return found.map(drop).ok_or_else(|| user_not_found(id));
        }
        let changed = users.change(doc! { "_id": id }, doc! { "$set": set }).await;
        if !changed.map_err(stored)? {
            return Err(user_not_found(id));
        }
        self.end_admin_sessions(id).await
    }

    /// Removes an administrator with a password, and their sessions.
    ///
    /// # Errors
    /// `UserNotFound`.
    pub async fn delete_admin_user(&self, id: &str) -> Result<(), Problem> {
        if !self.state.admin_users.delete(id).await.map_err(stored)? {
            return Err(user_not_found(id));
        }
        self.end_admin_sessions(id).await
    }

    async fn check_roles(&self, roles: &[ProjectRole]) -> Result<(), Problem> {
        if roles.is_empty() || roles.len() > ADMINISTRATOR_ROLES_MAX {
            return Err(Problem::bad_request(format!(
                "an administrator has 1 to {ADMINISTRATOR_ROLES_MAX} roles"
            )));
        }
        for (at, role) in roles.iter().enumerate() {
            check_role(&role.role)?;
            let id = &role.project_id;
            let others = roles.iter().take(at);
            if others.into_iter().any(|other| other.project_id == *id) {
                let text = format!("two roles in the project '{id}'");
                return Err(Problem::bad_request(text));
            }
            if !self.has_project(id).await? {
                return Err(group_not_found(id));
            }
        }
        Ok(())
    }

    async fn hash_of(&self, password: &str) -> Result<String, Problem> {
        let chars = password.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
            return Err(Problem::bad_request(format!(
                "a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
            )));
        }
        self.passwords.hash(password).await
    }

    /// Logs in with a password, from an address.
    ///
    /// # Errors
    /// 403 while nobody has a password, `InvalidPassword`, `UserDisabled`,
    /// `TooManyRequests`.
    pub async fn admin_password_login(
        self: &Arc<Self>,
        username: &str,
        password: &str,
        address: &str,
    ) -> Result<AdminLogin, Problem> {
        if !self.has_admin_users().await? {
            return Err(Problem::new(
                Kind::Forbidden,
                "AuthProviderDisabled",
                format!("the provider {PASSWORDS} is off: no administrator has a password"),
            ));
        }
        let account = format!("{PASSWORDS} {username}");
        let now = self.clock.now_ms();
        let counted = self.admin_failures.begin(&account, address, now)?;
        let refused = || {
            Problem::new(
                Kind::Unauthenticated,
                "InvalidPassword",
                "invalid username/password",
            )
        };
        let users = &self.state.admin_users;
        let found = users.first(doc! { "username": username }).await;
        let found = found.map_err(stored)?;
        let hash = found.as_ref().map(|user| user.hash.clone());
        // No password is longer: a hostile one is not hashed.
        let fits = password.chars().count() <= PASSWORD_CHARS_MAX
            && self.passwords.verify(password, hash.as_deref()).await?;
        let user = found.filter(|_| fits).ok_or_else(refused)?;
        counted.passed();
        if user.disabled {
            return Err(Problem::new(
                Kind::Unauthenticated,
                "UserDisabled",
                "user disabled",
            ));
        }
        let login = self.begin_admin_session(&administrator(user)).await?;
        // Who was shut out or got another password before the session was there
        // to be ended.
        let still = users.get(&login.user_id).await.map_err(stored)?;
        if still.is_none_or(|user| Some(user.hash) != hash || user.disabled) {
            self.end_admin_sessions(&login.user_id).await?;
            return Err(refused());
        }
        Ok(login)
    }
}

fn user_not_found(id: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "UserNotFound",
        format!("administrator not found: '{id}'"),
    )
}
