//! Projects, which the service called groups.

use bson::doc;
use kit::{Kind, Problem, limit};
use state::Project;

use super::{Administrator, KeyPair, OWNER};
use crate::{Backstitch, stored};

impl Backstitch {
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
        let key = self.new_key(&project.id, &pair, OWNER, "the project's first");
        self.state.admin_keys.insert(&key).await.map_err(stored)?;
        Ok((project, pair))
    }

    /// The projects that an administrator may see: the operator all, others
    /// their own.
    pub async fn projects(&self, of: &Administrator) -> Result<Vec<Project>, Problem> {
        let filter = if of.operator {
            doc! {}
        } else {
            let ids: Vec<&str> = of.roles.iter().map(|role| &*role.project_id).collect();
            doc! { "_id": { "$in": ids } }
        };
        self.state
            .projects
            .list(filter, doc! { "created": 1, "_id": 1 }, 0, 0)
            .await
            .map_err(stored)
    }

    /// Removes a project with its keys and the roles in it.
    ///
    /// # Errors
    /// `GroupNotFound`; a conflict while it has apps, and for the caller's own.
    pub async fn delete_project(&self, of: &Administrator, id: &str) -> Result<(), Problem> {
        if of.role_in(id).is_some() {
            return Err(Problem::new(
                Kind::Conflict,
                "BadRequest",
                "an administrator cannot remove the project of their own key",
            ));
        }
        if !self.has_project(id).await? {
            return Err(group_not_found(id));
        }
        let state = &self.state;
        // The operator's key would be made again when the server starts.
        let operators = doc! { "project_id": id, "operator": true };
        let has_operator = state.admin_keys.count(operators).await.map_err(stored)? > 0;
        if has_operator || !self.apps(id).await?.is_empty() {
            let why = if has_operator {
                "the project has the operator's key"
            } else {
                "the project still has apps"
            };
            return Err(Problem::new(Kind::Conflict, "BadRequest", why));
        }
        for key in self.keys(id).await? {
            state.admin_keys.delete(&key.id).await.map_err(stored)?;
            self.end_admin_sessions(&key.id).await?;
        }
        let roles = doc! { "$pull": { "roles": { "project_id": id } } };
        let with_role = doc! { "roles.project_id": id };
        let changed = state.admin_users.change_all(with_role, roles).await;
        changed.map_err(stored)?;
        state.projects.delete(id).await.map_err(stored)?;
        Ok(())
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
