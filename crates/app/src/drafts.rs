//! Drafts: a configuration in progress that one administrator of an app owns
//! (admin-api.md §5). Edits of its owner land in it and go live together.
//!
//! A draft is checked and compiled as what is live, so that a mistake is told
//! where it is made; nothing serves it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, doc};
use config::{AppConfig, Exporting, Kind};
use kit::Problem;
use serde_json::Value;
use state::{Deployment, Draft};

use crate::compile::compile;
use crate::dependencies::{by_name, package_changes};
use crate::ids::Ids;
use crate::live::{Author, EDIT_TRIES_MAX, Next, Occasion, Seen, keeps_changing, node_ids};
use crate::revisions::{read_revision, write_revision};
use crate::{App, Rejected, Release, Renames, new_id, stored};

/// Compiled drafts by owner. A revision never changes, so what is here is right
/// as long as the draft is at it.
#[derive(Default)]
pub(crate) struct Drafts(Mutex<HashMap<String, Arc<Release>>>);

impl Drafts {
    fn get(&self, user_id: &str, revision: &str) -> Option<Arc<Release>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let release = kept.get(user_id)?;
        (release.revision == revision).then(|| release.clone())
    }

    fn keep(&self, user_id: &str, release: &Arc<Release>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(user_id.to_owned(), release.clone());
    }

    fn forget(&self, user_id: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(user_id);
    }
}

/// What a draft changes (admin-api.md §5.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftDiff {
    /// A unified diff for each file.
    pub files: Vec<String>,
    /// Paths of hosted files: what happened to them since it was opened.
    pub hosting: Changes<String>,
    /// npm packages with their versions.
    pub dependencies: Changes<Package>,
    /// Fields of the GraphQL configuration.
    pub graphql: Vec<FieldDiff>,
    /// Fields of the validation settings.
    pub validation: Vec<FieldDiff>,
}

/// What was added, deleted and modified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<T> {
    /// Not there before.
    pub added: Vec<T>,
    /// Not there any more.
    pub deleted: Vec<T>,
    /// There, and another one.
    pub modified: Vec<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            deleted: Vec::new(),
            modified: Vec::new(),
        }
    }
}

/// An npm package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version or range.
    pub version: String,
    /// What it was; empty unless it is modified.
    pub previous: String,
}

/// A field with two values; null where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDiff {
    /// Its name.
    pub name: String,
    /// Before.
    pub previous: Value,
    /// After.
    pub updated: Value,
}

impl App {
    /// The configuration as an administrator sees it.
    pub async fn seen_by(&self, user_id: &str) -> Result<Seen, Problem> {
        Ok(match self.draft_seen(user_id).await? {
            Some(seen) => seen,
            None => self.live(),
        })
    }

    /// Opens a draft of what is live.
    ///
    /// # Errors
    /// `DraftAlreadyExists`: an administrator has one draft of an app.
    pub async fn open_draft(&self, author: &Author) -> Result<Draft, Problem> {
        let live = self.live();
        let id = new_id();
        let draft = Draft {
            packages: self.installed_packages().await?,
            hosted_bytes: self.remember_hosted(&id).await?,
            id,
            app_id: self.id.clone(),
            user_id: author.user_id.clone(),
            base: live.release.revision.clone(),
            revision: live.release.revision.clone(),
            ids: live.ids.list().to_vec(),
            created: self.core.clock.now_ms(),
        };
        let opened = self.core.state.drafts.insert(&draft).await;
        let bodies = &self.core.state.bodies;
        if draft.hosted_bytes > 0 {
            let settled = match &opened {
                Ok(()) => bodies.bind(&draft.id).await,
                Err(_) => bodies.remove(&draft.id).await,
            };
            settled.map_err(stored)?;
        }
        match opened {
            Ok(()) => Ok(draft),
            Err(error) if error.is_duplicate_key() => Err(Problem::new(
                kit::Kind::Conflict,
                "DraftAlreadyExists",
                "a draft already exists; deploy or discard it first",
            )),
            Err(error) => Err(stored(error)),
        }
    }

    /// The draft of an administrator.
    pub async fn draft_of(&self, user_id: &str) -> Result<Option<Draft>, Problem> {
        let owner = doc! { "app_id": &self.id, "user_id": user_id };
        self.core.state.drafts.first(owner).await.map_err(stored)
    }

    /// Discards a draft of its owner.
    ///
    /// # Errors
    /// `DraftNotFound`, for another's too.
    pub async fn discard_draft(&self, user_id: &str, id: &str) -> Result<(), Problem> {
        let drafts = &self.core.state.drafts;
        let own = doc! { "_id": id, "app_id": &self.id, "user_id": user_id };
        if drafts.delete_all(own).await.map_err(stored)? == 0 {
            return Err(draft_not_found(id));
        }
        self.drafts.forget(user_id);
        self.core.state.bodies.remove(id).await.map_err(stored)
    }

    /// What a draft of its owner changes.
    ///
    /// # Errors
    /// `DraftNotFound`, for another's too.
    pub async fn draft_diff(&self, user_id: &str, id: &str) -> Result<DraftDiff, Problem> {
        let (draft, seen) = self.own_draft(user_id, id).await?;
        let base = read_revision(&self.core, &draft.base).await?;
        let hosting = self.hosted_since(&draft).await?;
        // What was installed acts already; what package.json says will.
        let mut before = by_name(&draft.packages);
        let mut after = by_name(&self.installed_packages().await?);
        before.extend(packages(&base));
        after.extend(packages(seen.config()));
        Ok(DraftDiff {
            hosting,
            dependencies: package_changes(&before, &after),
            ..diff(&base, seen.config(), &self.client_app_id)
        })
    }

    /// Makes a draft of its owner live, and the draft is gone. What others
    /// deployed since it was opened stays.
    ///
    /// # Errors
    /// `DraftNotFound`, for another's too; a conflict when others changed the
    /// same, which leaves the draft.
    pub async fn deploy_draft(
        &self,
        author: &Author,
        id: &str,
        name: &str,
    ) -> Result<Deployment, Problem> {
        let (draft, seen) = self.own_draft(&author.user_id, id).await?;
        let base = read_revision(&self.core, &draft.base).await?;
        let occasion = Occasion {
            author: author.clone(),
            draft: Some((draft.clone(), name.to_owned())),
        };
        let made = self.deploy(&occasion, |live| {
            let config = if live.release.revision == draft.base {
                seen.config().clone()
            } else {
                config::merge(&base, seen.config(), live.config()).map_err(|error| {
                    let text = format!(
                        "the draft cannot be deployed any more, others deployed meanwhile: {error}"
                    );
                    Rejected::Problem(Problem::new(kit::Kind::Conflict, "DraftConflict", text))
                })?
            };
            let release = compile(config, Some(&seen.release)).map_err(Rejected::Findings)?;
            let renames = Renames::new();
            Ok(Some(Next { release, renames }))
        });
        let (_, deployment) = made.await?;
        self.drafts.forget(&author.user_id);
        deployment.ok_or_else(|| Problem::internal("a draft's deployment has no record"))
    }

    async fn own_draft(&self, user_id: &str, id: &str) -> Result<(Arc<Draft>, Seen), Problem> {
        let seen = self.draft_seen(user_id).await?;
        let draft = seen.as_ref().and_then(|seen| seen.draft.clone());
        match (draft, seen) {
            (Some(draft), Some(seen)) if draft.id == id => Ok((draft, seen)),
            _ => Err(draft_not_found(id)),
        }
    }

    async fn draft_seen(&self, user_id: &str) -> Result<Option<Seen>, Problem> {
        let Some(draft) = self.draft_of(user_id).await? else {
            return Ok(None);
        };
        let live = self.release();
        let release = if let Some(kept) = self.drafts.get(user_id, &draft.revision) {
            kept
        } else if draft.revision == live.revision {
            live
        } else {
            let mut config = read_revision(&self.core, &draft.revision).await?;
            config.share(&live.config);
            let mut release = compile(config, Some(&live))
                .map_err(|findings| crate::live::rejected(&findings))?;
            release.revision.clone_from(&draft.revision);
            let release = Arc::new(release);
            self.drafts.keep(user_id, &release);
            release
        };
        Ok(Some(Seen {
            release,
            ids: Arc::new(Ids::new(draft.ids.clone())),
            draft: Some(Arc::new(draft)),
        }))
    }

    /// Changes the author's draft; nothing when they have none.
    pub(crate) async fn change_draft<F>(
        &self,
        author: &Author,
        make: &mut F,
    ) -> Result<Option<Seen>, Rejected>
    where
        F: FnMut(&Seen) -> Result<Option<Next>, Rejected>,
    {
        for _ in 0..EDIT_TRIES_MAX {
            let seen = self.draft_seen(&author.user_id).await;
            let Some(seen) = seen.map_err(Rejected::Problem)? else {
                return Ok(None);
            };
            let Some(draft) = seen.draft.clone() else {
                return Ok(None);
            };
            let Some(Next {
                mut release,
                renames,
            }) = make(&seen)?
            else {
                return Ok(Some(seen));
            };
            let revision = write_revision(
                &self.core,
                &self.id,
                &release.config,
                &draft.revision,
                author,
            )
            .await
            .map_err(Rejected::Problem)?;
            release.revision.clone_from(&revision);
            let now = self.core.clock.now_ms();
            let ids = seen
                .ids
                .next(&release.config, Some(seen.config()), &renames, now);
            let at = doc! { "_id": &draft.id, "revision": &draft.revision };
            let to = doc! { "$set": {
                "revision": &revision, "ids": Bson::Array(node_ids(ids.list())),
            } };
            let moved = self.core.state.drafts.change(at, to).await;
            if moved.map_err(stored).map_err(Rejected::Problem)? {
                let release = Arc::new(release);
                self.drafts.keep(&author.user_id, &release);
                return Ok(Some(Seen {
                    release,
                    draft: Some(Arc::new(Draft {
                        revision,
                        ids: ids.list().to_vec(),
                        ..Draft::clone(&draft)
                    })),
                    ids: Arc::new(ids),
                }));
            }
        }
        Err(Rejected::Problem(keeps_changing()))
    }
}

fn draft_not_found(id: &str) -> Problem {
    Problem::new(
        kit::Kind::NotFound,
        "DraftNotFound",
        format!("draft not found: '{id}'"),
    )
}

/// What changed between two values.
fn diff(before: &AppConfig, after: &AppConfig, client_app_id: &str) -> DraftDiff {
    let exported = |config: &AppConfig| {
        config.exported(&Exporting {
            layout: after.layout(),
            client_app_id: Some(client_app_id),
            id: None,
        })
    };
    DraftDiff {
        files: config::text_diff(&exported(before), &exported(after)),
        hosting: Changes::default(),
        dependencies: Changes::default(),
        graphql: fields(before, after, Kind::GraphqlConfig),
        validation: fields(before, after, Kind::GraphqlValidation),
    }
}

pub(crate) fn changes<V: PartialEq, T>(
    before: &BTreeMap<String, V>,
    after: &BTreeMap<String, V>,
    show: impl Fn(&str, Option<&V>, Option<&V>) -> T,
) -> Changes<T> {
    let mut changes = Changes::default();
    for (name, new) in after {
        match before.get(name) {
            None => changes.added.push(show(name, None, Some(new))),
            Some(old) if old != new => changes.modified.push(show(name, Some(old), Some(new))),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changes.deleted = gone
        .map(|(name, old)| show(name, Some(old), None))
        .collect();
    changes
}

/// The packages that `package.json` names.
fn packages(config: &AppConfig) -> BTreeMap<String, String> {
    let named = config
        .get(Kind::Dependencies, "")
        .and_then(|node| node.at("/dependencies")?.as_object());
    named
        .into_iter()
        .flatten()
        .map(|(name, version)| {
            (
                name.clone(),
                version.as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

/// The fields of a singleton that differ.
fn fields(before: &AppConfig, after: &AppConfig, kind: Kind) -> Vec<FieldDiff> {
    let of = |config: &AppConfig| -> BTreeMap<String, Value> {
        let node = config.get(kind, "");
        let fields = node.and_then(|node| node.fields()).into_iter().flatten();
        fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let (before, after) = (of(before), of(after));
    let all = changes(&before, &after, |name, old, new| FieldDiff {
        name: name.to_owned(),
        previous: old.cloned().unwrap_or_default(),
        updated: new.cloned().unwrap_or_default(),
    });
    let mut found: Vec<FieldDiff> = [all.added, all.deleted, all.modified].concat();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}
