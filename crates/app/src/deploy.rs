//! Whole configurations as files, and deployments.

use bson::doc;
use config::{Files, Kind, Node};
use kit::{Finding, Problem};

use crate::live::{Author, Seen};
use crate::revisions::read_revision;
use crate::{App, Renames, stored};

/// A push that went live.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The revision.
    pub revision: String,
    /// Whether anything changed.
    pub changed: bool,
    /// What the app uses that is not there yet, and other warnings.
    pub warnings: Vec<Finding>,
}

/// A push that was refused: every problem.
#[derive(Debug, Clone)]
pub enum Rejected {
    /// The files are wrong.
    Findings(Vec<Finding>),
    /// Something else failed.
    Problem(Problem),
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Findings(findings) => crate::live::rejected(&findings),
            Rejected::Problem(problem) => problem,
        }
    }
}

impl App {
    /// Replaces the whole configuration by what the files say. Ids are kept by
    /// name; the same files again are no deployment. Hosted files of the
    /// directory, if it has any, become all there are.
    pub async fn push(&self, files: &Files, author: &Author) -> Result<Deployed, Rejected> {
        let (files, hosted) = config::split_hosted(files).map_err(Rejected::Findings)?;
        crate::hosting::check(&hosted).map_err(Rejected::Problem)?;
        let read = |base: &Seen| {
            let mut reading = config::read_to_deploy(&files);
            reading.config.share(base.config());
            Ok((reading, Renames::new()))
        };
        let deployed = self
            .put(author, read, |after, before| after == before)
            .await?;
        self.host(hosted).await.map_err(Rejected::Problem)?;
        Ok(deployed)
    }

    /// The live configuration's files.
    pub fn pull(&self) -> Files {
        config::print(&self.release().config)
    }

    /// The newest deployments, at most 25.
    pub async fn deployments(&self) -> Result<Vec<state::Deployment>, Problem> {
        self.newest_deployments(25).await
    }

    async fn newest_deployments(&self, most: u64) -> Result<Vec<state::Deployment>, Problem> {
        self.core
            .state
            .deployments
            .list(
                doc! { "app_id": &self.id },
                doc! { "at": -1, "_id": -1 },
                0,
                most,
            )
            .await
            .map_err(stored)
    }

    /// When the app last changed, in milliseconds.
    pub async fn last_modified(&self) -> Result<i64, Problem> {
        let newest = self.newest_deployments(1).await?.into_iter().next();
        Ok(newest.map_or(self.record().created, |deployment| deployment.at))
    }

    /// One of the newest deployments.
    ///
    /// # Errors
    /// `DeploymentNotFound`.
    pub async fn deployment(&self, id: &str) -> Result<state::Deployment, Problem> {
        let found = self.deployments().await?.into_iter().find(|d| d.id == id);
        found.ok_or_else(|| {
            Problem::new(
                kit::Kind::NotFound,
                "DeploymentNotFound",
                "deployment not found",
            )
        })
    }

    /// Makes the revision of a deployment live again: a new deployment.
    ///
    /// # Errors
    /// `DeploymentNotFound`.
    pub async fn redeploy(&self, id: &str, author: &Author) -> Result<(), Problem> {
        let config = read_revision(&self.core, &self.deployment(id).await?.revision).await?;
        self.edit_live(author, |current| {
            *current = config.clone();
            Ok(Renames::new())
        })
        .await
        .map(drop)
    }

    /// Moves the app to another deployment model or region: what it says of
    /// itself, at once. It is served where this server is.
    pub async fn migrate(
        &self,
        author: &Author,
        migration: state::Migration,
        location: &str,
    ) -> Result<(), Problem> {
        self.edit_live(author, |config| {
            let root = config.get(Kind::Root, "");
            let mut root = root.map_or_else(Node::default, |root| Node::clone(root));
            for (name, value) in [
                ("deployment_model", migration.to_model.as_str()),
                ("provider_region", &migration.to_region),
                ("location", location),
            ] {
                root.json[name] = value.into();
            }
            let set = config.set(Kind::Root, "", root);
            set.map_err(|error| crate::refused(&error))?;
            Ok(Renames::new())
        })
        .await?;
        let at = self.core.clock.now_ms();
        self.change_settings(|settings| {
            settings.migration = Some(state::Migration {
                at,
                ..migration.clone()
            });
            Ok(())
        })
        .await
    }
}
