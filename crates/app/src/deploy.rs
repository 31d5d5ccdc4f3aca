//! Whole configurations: push, pull, deployments.

use bson::doc;
use config::Files;
use kit::{Finding, Problem, Severity};

use crate::live::{Author, Renames, read_revision};
use crate::{App, compile, stored};

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
    pub async fn push(&self, files: &Files, author: &Author) -> Result<Deployed, Rejected> {
        let (config, mut findings) = config::parse(files);
        let wrong = |findings: &[Finding]| findings.iter().any(|f| f.severity == Severity::Error);
        let Some(config) = config else {
            return Err(Rejected::Findings(findings));
        };
        let base = self.release();
        if !wrong(&findings) && base.config == config {
            findings.extend(base.warnings.iter().cloned());
            return Ok(Deployed {
                revision: base.revision.clone(),
                changed: false,
                warnings: findings,
            });
        }
        // Compiled here for its findings; the funnel reuses what it can again.
        let (release, more) = compile(config.clone(), Some(&base));
        findings.extend(more);
        if release.is_none() || wrong(&findings) {
            return Err(Rejected::Findings(findings));
        }
        let release = self
            .edit(author, |current| {
                *current = config.clone();
                Ok(Renames::new())
            })
            .await
            .map_err(Rejected::Problem)?;
        Ok(Deployed {
            revision: release.revision.clone(),
            changed: true,
            warnings: findings,
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
    pub async fn redeploy(&self, id: &str, author: &Author) -> Result<(), Problem> {
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
