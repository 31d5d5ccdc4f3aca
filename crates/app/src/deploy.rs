//! Whole configurations: push, pull, deployments.

use std::sync::Arc;

use bson::doc;
use config::Files;
use kit::{Finding, Problem};

use crate::compile::compile_read;
use crate::live::{Author, Renames, read_revision};
use crate::{App, stored};

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

impl App {
    /// Replaces the whole configuration by what the files say. Ids are kept by
    /// name; the same files again are no deployment.
    pub async fn push(
        self: &Arc<Self>,
        files: &Files,
        author: &Author,
    ) -> Result<Deployed, Rejected> {
        let (mut changed, mut warnings) = (false, Vec::new());
        let live = self
            .deploy(author, |base| {
                let mut reading = config::read(files);
                reading.config.share(&base.config);
                let (release, findings) = compile_read(reading, Some(base));
                let Some(release) = release else {
                    return Err(Rejected::Findings(findings));
                };
                warnings = findings;
                changed = release.config != base.config;
                Ok(changed.then(|| (release, Renames::new())))
            })
            .await?;
        Ok(Deployed {
            revision: live.revision.clone(),
            changed,
            warnings,
        })
    }

    /// The live configuration's files.
    pub fn pull(&self) -> Files {
        config::print(&self.release().config)
    }

    /// The newest deployments, at most 25.
    pub async fn deployments(&self) -> Result<Vec<state::Deployment>, Problem> {
        self.core
            .state
            .deployments
            .list(
                doc! { "app_id": &self.id },
                doc! { "at": -1, "_id": -1 },
                0,
                25,
            )
            .await
            .map_err(stored)
    }

    /// Makes the revision of a deployment live again: a new deployment.
    pub async fn redeploy(self: &Arc<Self>, id: &str, author: &Author) -> Result<(), Problem> {
        let missing = || {
            Problem::new(
                kit::Kind::NotFound,
                "DeploymentNotFound",
                format!("deployment not found: '{id}'"),
            )
        };
        let found = self.deployments().await?.into_iter().find(|d| d.id == id);
        let config = read_revision(&self.core, &found.ok_or_else(missing)?.revision).await?;
        self.edit(author, |current| {
            *current = config.clone();
            Ok(Renames::new())
        })
        .await
        .map(drop)
    }
}
