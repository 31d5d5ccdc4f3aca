//! Apps in and out as a whole (admin-api.md §4.5, §4.6 and §5.4): exports, the
//! documents of pull, push and import, and what an import would change.

use std::collections::HashSet;

use config::{AppConfig, Exporting, Files, Import, Kind, Onto, Reading, RootLayout};
use kit::Problem;
use serde_json::Value;

use crate::compile::compile_read;
use crate::deploy::Deployed;
use crate::live::{Author, Next, Seen};
use crate::revisions::read_revision;
use crate::{App, Rejected, Renames};

/// How an import finds the nodes that it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By id; what it does not name stays.
    Merge,
    /// By id; what it does not name goes. An id that is none is a new node's.
    Replace,
    /// By name; what it does not name goes.
    ReplaceByName,
}

/// How an export is to be.
#[derive(Debug, Clone)]
pub struct Export {
    /// The layout of its files.
    pub layout: RootLayout,
    /// Without anything that belongs to this one app.
    pub template: bool,
    /// With the ids of nodes.
    pub ids: bool,
    /// The deployment whose configuration is wanted; else it is the one that
    /// the administrator sees.
    pub deployment: Option<String>,
}

impl App {
    /// The files of an export.
    ///
    /// # Errors
    /// `DeploymentNotFound`.
    pub async fn export(&self, user_id: &str, how: &Export) -> Result<Files, Problem> {
        let seen = self.seen_by(user_id).await?;
        let config = match &how.deployment {
            Some(id) => &read_revision(&self.core, &self.deployment(id).await?.revision).await?,
            None => seen.config(),
        };
        let id = |kind: Kind, key: &str| seen.node_id(kind, key).map(str::to_owned);
        let exported = config.exported(&Exporting {
            layout: how.layout,
            client_app_id: (!how.template).then_some(&self.client_app_id),
            id: if how.ids { Some(&id) } else { None },
        });
        Ok(config::print(&exported))
    }

    /// The document of pull: the configuration that the administrator sees.
    pub async fn pull_document(&self, user_id: &str) -> Result<Value, Problem> {
        let seen = self.seen_by(user_id).await?;
        let layout = seen.config().layout();
        Ok(config::to_document(&self.exported(seen.config(), layout)))
    }

    /// Replaces the whole configuration by what a document of pull says. Secrets
    /// that it names have to exist. What exports alike is no change.
    pub async fn push_document(
        &self,
        document: &Value,
        author: &Author,
    ) -> Result<Deployed, Rejected> {
        let seen = self.seen_by(&author.user_id).await;
        let seen = seen.map_err(Rejected::Problem)?;
        let reading = config::read_document(document, seen.config());
        self.secrets_exist(&reading, &[]).await?;
        let read = |base: &Seen| {
            let reading = config::read_document(document, base.config());
            Ok((reading, Renames::new()))
        };
        self.put(author, read, AppConfig::exports_like).await
    }

    /// Imports a document. Everything that is wrong with it is told before
    /// anything is changed; secrets that it brings along act at once, drafts or
    /// not.
    pub async fn import(
        &self,
        document: &Value,
        strategy: Strategy,
        author: &Author,
    ) -> Result<Deployed, Rejected> {
        let import = Import::read(document);
        let seen = self.seen_by(&author.user_id).await;
        let seen = seen.map_err(Rejected::Problem)?;
        if import.secrets.is_empty() {
            let (reading, _) = placed(&import, &seen, strategy)?;
            self.secrets_exist(&reading, &[]).await?;
        } else {
            self.vet(&import, &seen, strategy).await?;
            for (name, value) in &import.secrets {
                let set = self.set_secret(name, value).await;
                set.map_err(Rejected::Problem)?;
            }
        }
        let read = |base: &Seen| placed(&import, base, strategy);
        self.put(author, read, AppConfig::exports_like).await
    }

    /// What an import would change: a unified diff for each file, in the layout
    /// of the document's form.
    pub async fn import_diff(
        &self,
        document: &Value,
        strategy: Strategy,
        user_id: &str,
    ) -> Result<Vec<String>, Rejected> {
        let import = Import::read(document);
        let seen = self.seen_by(user_id).await;
        let seen = seen.map_err(Rejected::Problem)?;
        let after = self.vet(&import, &seen, strategy).await?;
        let exported = |config: &AppConfig| self.exported(config, import.layout);
        Ok(config::text_diff(
            &exported(seen.config()),
            &exported(&after),
        ))
    }

    fn exported(&self, config: &AppConfig, layout: RootLayout) -> AppConfig {
        config.exported(&Exporting {
            layout,
            client_app_id: Some(&self.client_app_id),
            id: None,
        })
    }

    /// The configuration that an import would make, if nothing is wrong with it.
    async fn vet(
        &self,
        import: &Import,
        seen: &Seen,
        strategy: Strategy,
    ) -> Result<AppConfig, Rejected> {
        let (reading, _) = placed(import, seen, strategy)?;
        self.secrets_exist(&reading, &import.secrets).await?;
        for (name, value) in &import.secrets {
            crate::secrets::check(name, value).map_err(Rejected::Problem)?;
        }
        let (release, findings) = compile_read(reading, Some(&seen.release));
        let release = release.ok_or(Rejected::Findings(findings))?;
        Ok(release.config)
    }

    /// Makes the configuration that is read, unless it is the `same` as the one
    /// before.
    pub(crate) async fn put(
        &self,
        author: &Author,
        read: impl Fn(&Seen) -> Result<(Reading, Renames), Rejected>,
        same: impl Fn(&AppConfig, &AppConfig) -> bool,
    ) -> Result<Deployed, Rejected> {
        let (mut changed, mut warnings) = (false, Vec::new());
        let seen = self
            .change(author, |base| {
                let (reading, renames) = read(base)?;
                let (release, findings) = compile_read(reading, Some(&base.release));
                let Some(release) = release else {
                    return Err(Rejected::Findings(findings));
                };
                warnings = findings;
                changed = !renames.is_empty() || !same(&release.config, base.config());
                Ok(changed.then_some(Next { release, renames }))
            })
            .await?;
        Ok(Deployed {
            revision: seen.release.revision.clone(),
            changed,
            warnings,
        })
    }

    /// Whether the secrets that a configuration names exist, or are `coming`. Of
    /// a document that has the wrong shape, that is said first.
    async fn secrets_exist(
        &self,
        reading: &Reading,
        coming: &[(String, String)],
    ) -> Result<(), Rejected> {
        if !reading.whole {
            return Ok(());
        }
        let named = reading.config.secret_names();
        let known = self.list_secrets().await.map_err(Rejected::Problem)?;
        let known: HashSet<&str> = known
            .iter()
            .map(|secret| secret.name.as_str())
            .chain(coming.iter().map(|(name, _)| name.as_str()))
            .collect();
        let missing: Vec<String> = named
            .into_iter()
            .filter(|name| !known.contains(name.as_str()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Rejected::Problem(Problem::bad_request(format!(
            "these secrets have to be created first: {}",
            missing.join(", ")
        ))))
    }
}

/// The configuration that an import makes of what is seen, and the nodes whose
/// ids move.
fn placed(
    import: &Import,
    seen: &Seen,
    strategy: Strategy,
) -> Result<(Reading, Renames), Rejected> {
    let onto = match strategy {
        Strategy::Merge => Onto::Merge,
        Strategy::Replace | Strategy::ReplaceByName => Onto::Replace,
    };
    let mut renames = Renames::new();
    let mut fresh = Renames::new();
    if strategy != Strategy::ReplaceByName {
        let mut wrong = Vec::new();
        let mut met = HashSet::new();
        for (kind, key, id) in &import.ids {
            let noun = kind.noun();
            match seen.ids.key(*kind, id) {
                Some(_) if !met.insert(id) => wrong.push(format!("the id {id} is there twice")),
                Some(old) if old == key => {}
                Some(old) => renames.push((*kind, old.to_owned(), key.clone())),
                None if is_object_id(id) => {
                    wrong.push(format!("{noun} not found: '{id}' (\"{key}\")"));
                }
                None if strategy == Strategy::Merge => {
                    wrong.push(format!(
                        "the id '{id}' of the {noun} \"{key}\" is no object id"
                    ));
                }
                None => fresh.push((*kind, String::new(), key.clone())),
            }
        }
        let moved = |kind: Kind, key: &str| {
            let mut all = renames.iter();
            all.any(|(of, old, _)| *of == kind && old == key)
        };
        for (kind, _, new) in &renames {
            let taken = seen.config().get(*kind, new).is_some() && !moved(*kind, new);
            if taken && strategy == Strategy::Merge {
                wrong.push(format!("{} '{new}' already exists", kind.noun()));
            }
        }
        // A node that takes the name of one that got another is a new one.
        for (kind, old, _) in &renames {
            let target = renames.iter().any(|(of, _, new)| of == kind && new == old);
            if import.names(*kind, old) && !target {
                fresh.push((*kind, String::new(), old.clone()));
            }
        }
        if !wrong.is_empty() {
            return Err(Rejected::Problem(Problem::bad_request(wrong.join("\n"))));
        }
    }
    let mut renames = seen.config().renames_within(&renames);
    let reading = import.onto(seen.config(), onto, &renames);
    renames.extend(fresh);
    Ok((reading, renames))
}

fn is_object_id(id: &str) -> bool {
    bson::oid::ObjectId::parse_str(id).is_ok()
}
