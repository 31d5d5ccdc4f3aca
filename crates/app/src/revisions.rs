//! Revisions: configurations at rest, files by the hash of their content.

use std::collections::{HashMap, HashSet};

use bson::doc;
use config::{AppConfig, Files};
use kit::Problem;
use state::{Blob, Revision, RevisionFile};

use crate::live::Author;
use crate::{Backstitch, stored};

/// Stores a configuration's files by content and its manifest by hash.
pub(crate) async fn write_revision(
    core: &Backstitch,
    app_id: &str,
    config: &AppConfig,
    parent: &str,
    author: &Author,
) -> Result<String, Problem> {
    let printed = config::print(config);
    let mut manifest = format!("{app_id}\n");
    let (mut files, mut blobs) = (Vec::new(), Vec::new());
    for (path, bytes) in &printed.0 {
        let hash = state::content_hash(bytes);
        manifest.extend([hash.as_str(), " ", path, "\n"]);
        files.push(RevisionFile {
            path: path.clone(),
            hash: hash.clone(),
        });
        blobs.push(Blob {
            id: hash,
            bytes: bytes.to_vec(),
        });
    }
    // What the parent has is stored: of most revisions, nearly everything.
    let parents = core.state.revisions.get(parent).await.map_err(stored)?;
    let parents = parents.map(|revision| revision.files).unwrap_or_default();
    let mut known: HashSet<String> = parents.into_iter().map(|file| file.hash).collect();
    blobs.retain(|blob| known.insert(blob.id.clone()));
    let id = state::content_hash(manifest.as_bytes());
    let revision = [Revision {
        id: id.clone(),
        app_id: app_id.to_owned(),
        parent: parent.to_owned(),
        author: author.user_id.clone(),
        at: core.clock.now_ms(),
        files,
    }];
    // They get to the disk with the write that names the revision, which comes
    // after them and waits for it.
    let kept = core.state.blobs.unsynced();
    kept.insert_missing(&blobs).await.map_err(stored)?;
    let revisions = core.state.revisions.unsynced();
    revisions.insert_missing(&revision).await.map_err(stored)?;
    Ok(id)
}

/// Reads a revision back.
pub(crate) async fn read_revision(core: &Backstitch, id: &str) -> Result<AppConfig, Problem> {
    let damaged = |what: &str| Problem::internal(format!("revision {id}: {what}"));
    let revision = core.state.revisions.get(id).await.map_err(stored)?;
    let revision = revision.ok_or_else(|| damaged("is missing"))?;
    let hashes: Vec<&str> = revision
        .files
        .iter()
        .map(|file| file.hash.as_str())
        .collect();
    let blobs = core
        .state
        .blobs
        .list(doc! { "_id": { "$in": hashes } }, doc! { "_id": 1 }, 0, 0)
        .await
        .map_err(stored)?;
    let by_hash: HashMap<&str, &Blob> = blobs.iter().map(|blob| (blob.id.as_str(), blob)).collect();
    let mut files = Files::default();
    for file in &revision.files {
        let blob = by_hash
            .get(file.hash.as_str())
            .ok_or_else(|| damaged(&file.path))?;
        files.insert(file.path.clone(), blob.bytes.clone());
    }
    // What a newer version would complain about was good when it was stored.
    let reading = config::read(&files);
    if reading.whole {
        Ok(reading.config)
    } else {
        Err(damaged("does not parse"))
    }
}
