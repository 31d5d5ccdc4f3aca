//! Hosted files: what there is, what changes it, and what a path of the site
//! leads to (admin-api.md §2.16 and §3.5, triggers-ops.md §11).
//!
//! They act at once, in no draft and no export. Nothing is kept in memory, so
//! that every server on these records serves what the last upload brought.

use std::collections::BTreeMap;
use std::time::Instant;

use bson::doc;
use config::{HostedFile, Kind as Node};
use hmac::{Hmac, Mac as _};
use kit::{Kind, Problem, limit};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use state::{Asset, Attribute, Draft, PIECE_BYTES, id_range};

use crate::live::{EDIT_TRIES_MAX, keeps_changing};
use crate::{App, Changes, new_id, stored};

/// What a hosted file may be served with (triggers-ops.md §11.3).
const ATTRIBUTES: [&str; 6] = [
    "Content-Type",
    "Content-Disposition",
    "Content-Language",
    "Content-Encoding",
    "Cache-Control",
    "Website-Redirect-Location",
];
/// How long what an app's files come to is taken as known; another server may
/// have changed it.
const USAGE_KEPT_S: u64 = 60;

/// A file that is uploaded.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// Where to.
    pub path: String,
    /// The MD5 hash that its bytes have to have, in hex.
    pub hash: Option<String>,
    /// The number that its bytes have to come to.
    pub size: Option<i64>,
    /// What it is served with.
    pub attributes: Vec<Attribute>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a path of a site leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosted {
    /// A file.
    File {
        /// The file.
        asset: Asset,
        /// The status to serve it with.
        status: u16,
    },
    /// Somewhere else: a URL, or a path of the site.
    Redirect(String),
}

/// What an app's files come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    files: u64,
    bytes: i64,
    read: Instant,
}

impl App {
    /// The hosted files whose paths begin with `prefix`, by path. Unless
    /// `recursive`, what is in a folder below is told by the folder alone: an
    /// entry without bytes whose path ends in a slash.
    pub async fn assets(&self, prefix: &str, recursive: bool) -> Result<Vec<Asset>, Problem> {
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        let mut assets = self.assets_below(prefix).await?;
        if recursive {
            return Ok(assets);
        }
        assets.dedup_by(|next, last| match folder_of(&next.path, prefix) {
            // The first of a folder stands for all of it.
            Some(folder) if folder_of(&last.path, prefix) == Some(folder) => {
                last.modified = last.modified.max(next.modified);
                true
            }
            _ => false,
        });
        for asset in &mut assets {
            if let Some(folder) = folder_of(&asset.path, prefix).map(str::to_owned) {
                asset.path = folder;
                asset.size = 0;
                asset.hash.clear();
                asset.attributes.clear();
            }
        }
        Ok(assets)
    }

    async fn assets_below(&self, prefix: &str) -> Result<Vec<Asset>, Problem> {
        let (assets, range) = (&self.core.state.assets, id_range(&self.id, prefix));
        let listed = assets.list(range, doc! { "_id": 1 }, 0, 0).await;
        listed.map_err(stored)
    }

    /// A hosted file.
    ///
    /// # Errors
    /// `AssetNotFound`.
    pub async fn asset(&self, path: &str) -> Result<Asset, Problem> {
        let found = self.asset_at(path).await?;
        found.ok_or_else(|| asset_not_found(path))
    }

    async fn asset_at(&self, path: &str) -> Result<Option<Asset>, Problem> {
        if path.len() > limit::HOSTED_PATH_BYTES_MAX {
            return Ok(None);
        }
        let id = self.asset_id(path);
        self.core.state.assets.get(&id).await.map_err(stored)
    }

    fn asset_id(&self, path: &str) -> String {
        format!("{}{path}", self.id)
    }

    /// A piece of a hosted file's bytes, of [`PIECE_BYTES`] each but the last.
    pub async fn asset_piece(&self, asset: &Asset, number: usize) -> Result<Vec<u8>, Problem> {
        let piece = self.core.state.bodies.piece(&asset.body, number).await;
        piece.map_err(stored)?.ok_or_else(|| {
            Problem::internal(format!("piece {number} of {} is missing", asset.path))
        })
    }

    /// Adds a hosted file, or replaces the one of its path.
    ///
    /// # Errors
    /// `BadRequest` for a path, attribute or size that is none, for bytes that
    /// are not what their hash and size say, and beyond the limits.
    pub async fn upload_asset(&self, upload: Upload) -> Result<(), Problem> {
        check_path(&upload.path)?;
        check_attributes(&upload.attributes)?;
        let (hash, size) = (md5_hex(&upload.bytes), upload.bytes.len());
        if size > limit::HOSTED_FILE_BYTES_MAX {
            return Err(too_large());
        }
        let size = size as i64;
        let told = upload.hash.as_deref().filter(|told| !told.is_empty());
        if told.is_some_and(|told| !told.eq_ignore_ascii_case(&hash)) {
            return Err(Problem::bad_request(
                "the file's hash does not match the one in its metadata",
            ));
        }
        if upload.size.is_some_and(|told| told != size) {
            return Err(Problem::bad_request(
                "the file's size does not match the one in its metadata",
            ));
        }
        let old = self.asset_at(&upload.path).await?;
        let same = old.filter(|old| old.hash == hash && old.size == size);
        let mut asset = self.new_asset(&upload.path, size, upload.attributes);
        asset.hash = hash;
        if let Some(same) = same {
            asset.body = same.body;
            return self.set_asset(asset).await;
        }
        let bodies = &self.core.state.bodies;
        // Refused before the bytes are written, and again when they are there.
        drop(self.room_for(&asset).await?);
        bodies
            .write(&self.id, &asset.body, &upload.bytes, asset.modified)
            .await
            .map_err(stored)?;
        let body = asset.body.clone();
        self.set_asset(asset).await?;
        bodies.bind(&body).await.map_err(stored)
    }

    fn new_asset(&self, path: &str, size: i64, attributes: Vec<Attribute>) -> Asset {
        Asset {
            id: self.asset_id(path),
            app_id: self.id.clone(),
            path: path.to_owned(),
            hash: String::new(),
            size,
            attributes,
            modified: self.core.clock.now_ms(),
            body: new_id(),
        }
    }

    /// Replaces what a hosted file is served with.
    ///
    /// # Errors
    /// `AssetNotFound`; `BadRequest` for an attribute that is none.
    pub async fn set_asset_attributes(
        &self,
        path: &str,
        attributes: Vec<Attribute>,
    ) -> Result<(), Problem> {
        check_attributes(&attributes)?;
        let mut asset = self.asset(path).await?;
        asset.attributes = attributes;
        asset.modified = self.core.clock.now_ms();
        self.set_asset(asset).await
    }

    /// Removes a hosted file, or everything below a path that ends in a slash.
    ///
    /// # Errors
    /// `AssetNotFound`.
    pub async fn delete_asset(&self, path: &str) -> Result<(), Problem> {
        for asset in self.assets_at(path).await? {
            self.remove(&asset).await?;
            let now = self.core.clock.now_ms();
            let bodies = &self.core.state.bodies;
            let loosened = bodies.loosen(&self.id, &asset.body, now).await;
            loosened.map_err(stored)?;
        }
        Ok(())
    }

    /// Copies a hosted file, or everything below a path that ends in a slash to
    /// below another one; with `moving` it is gone where it was.
    ///
    /// # Errors
    /// `AssetNotFound`; `BadRequest` for paths that are none, or one within the
    /// other.
    pub async fn copy_asset(&self, from: &str, to: &str, moving: bool) -> Result<(), Problem> {
        let folder = from.ends_with('/');
        if folder != to.ends_with('/') {
            return Err(Problem::bad_request(
                "a folder goes to a folder, and a file to a file",
            ));
        }
        if folder && (to.starts_with(from) || from.starts_with(to)) {
            return Err(Problem::bad_request(
                "a folder cannot go to where it is, within itself, or to what it is in",
            ));
        }
        let assets = self.assets_at(from).await?;
        let mut paths = Vec::with_capacity(assets.len());
        for asset in &assets {
            let path = format!("{to}{}", asset.path.strip_prefix(from).unwrap_or_default());
            check_path(&path)?;
            paths.push(path);
        }
        if from == to {
            return Ok(());
        }
        for (asset, path) in assets.into_iter().zip(paths) {
            let copy = Asset {
                id: self.asset_id(&path),
                path,
                modified: self.core.clock.now_ms(),
                ..asset.clone()
            };
            self.set_asset(copy).await?;
            if moving {
                self.remove(&asset).await?;
            }
        }
        Ok(())
    }

    async fn assets_at(&self, path: &str) -> Result<Vec<Asset>, Problem> {
        let found = if path.ends_with('/') {
            self.assets_below(path).await?
        } else {
            self.asset_at(path).await?.into_iter().collect()
        };
        if found.is_empty() {
            return Err(asset_not_found(path));
        }
        Ok(found)
    }

    /// Takes note that answers kept for a path are not good any more. No answer
    /// of this server is kept without asking it again.
    ///
    /// # Errors
    /// `BadRequest` while hosting is off.
    pub fn invalidate_hosting_cache(&self, path: &str) -> Result<(), Problem> {
        if !self.hosting_is_on() {
            return Err(Problem::bad_request("hosting is disabled"));
        }
        if !path.starts_with('/') {
            return Err(Problem::bad_request("'path' must begin with '/'"));
        }
        Ok(())
    }

    fn hosting_is_on(&self) -> bool {
        let release = self.release();
        let settings = release.config.get(Node::Hosting, "");
        settings.is_some_and(|settings| settings.flag("enabled"))
    }

    /// Sets the record of a file. What it replaced is loose.
    async fn set_asset(&self, asset: Asset) -> Result<(), Problem> {
        let assets = &self.core.state.assets;
        for _ in 0..EDIT_TRIES_MAX {
            let mut usage = self.room_for(&asset).await?;
            let Some(old) = assets.get(&asset.id).await.map_err(stored)? else {
                match assets.insert(&asset).await {
                    Err(error) if error.is_duplicate_key() => continue,
                    Err(error) => return Err(stored(error)),
                    Ok(()) => {
                        count(&mut usage, 1, asset.size);
                        return Ok(());
                    }
                }
            };
            let mut to = bson::serialize_to_document(&asset)
                .map_err(|error| Problem::internal(error.to_string()))?;
            to.remove("_id");
            let at = doc! { "_id": &asset.id, "body": &old.body };
            let set = assets.change(at, doc! { "$set": to }).await;
            if !set.map_err(stored)? {
                continue;
            }
            count(&mut usage, 0, asset.size - old.size);
            if old.body != asset.body {
                let now = self.core.clock.now_ms();
                let bodies = &self.core.state.bodies;
                let loosened = bodies.loosen(&self.id, &old.body, now).await;
                loosened.map_err(stored)?;
            }
            return Ok(());
        }
        Err(keeps_changing())
    }

    async fn remove(&self, asset: &Asset) -> Result<(), Problem> {
        let mut usage = self.hosting.lock().await;
        let gone = self.core.state.assets.delete(&asset.id).await;
        if gone.map_err(stored)? {
            count(&mut usage, -1, -asset.size);
        }
        Ok(())
    }

    /// What the app's files come to, held until it is told what they come to
    /// then.
    ///
    /// # Errors
    /// `BadRequest` when a file is one too many.
    async fn room_for(
        &self,
        asset: &Asset,
    ) -> Result<tokio::sync::MutexGuard<'_, Option<Usage>>, Problem> {
        let mut usage = self.hosting.lock().await;
        let known = usage.filter(|usage| usage.read.elapsed().as_secs() < USAGE_KEPT_S);
        let now = if let Some(known) = known {
            known
        } else {
            let sum = self.core.state.assets.sum(id_range(&self.id, ""), "size");
            let (files, bytes) = sum.await.map_err(stored)?;
            let read = Instant::now();
            Usage { files, bytes, read }
        };
        *usage = Some(now);
        let old = self.asset_at(&asset.path).await?;
        let files = now.files + u64::from(old.is_none());
        let bytes = now.bytes + asset.size - old.map_or(0, |old| old.size);
        if files > limit::HOSTED_FILES_MAX {
            return Err(Problem::bad_request(format!(
                "an app hosts at most {} files",
                limit::HOSTED_FILES_MAX
            )));
        }
        if bytes > limit::HOSTED_BYTES_MAX {
            return Err(Problem::bad_request(format!(
                "an app's hosted files come to at most {} bytes",
                limit::HOSTED_BYTES_MAX
            )));
        }
        Ok(usage)
    }

    /// What a path of the app's site leads to. While hosting is off, to
    /// nothing but for who has the key of a file ([`App::asset_key`]).
    ///
    /// # Errors
    /// 404.
    pub async fn hosted(&self, path: &str, key: Option<&str>) -> Result<Hosted, Problem> {
        if !self.hosting_is_on() {
            let asset = self.asset_at(path).await?;
            let opens = |asset: &Asset| {
                // Compared by their digests, so that the time tells nothing.
                let (given, right) = (key.unwrap_or_default(), self.asset_key(asset));
                state::digest(given) == state::digest(&right)
            };
            return match asset.filter(opens) {
                Some(asset) => Ok(Hosted::File { asset, status: 200 }),
                None => Err(page_not_found()),
            };
        }
        let exact = if path.ends_with('/') {
            self.asset_at(&format!("{path}index.html")).await?
        } else {
            self.asset_at(path).await?
        };
        if let Some(asset) = exact {
            return Ok(served(asset, 200));
        }
        if !path.ends_with('/') {
            let index = self.asset_at(&format!("{path}/index.html")).await?;
            if index.is_some() {
                return Ok(Hosted::Redirect(format!("{path}/")));
            }
        }
        let release = self.release();
        let settings = release.config.get(Node::Hosting, "");
        let page = settings.map_or("", |settings| settings.text("default_error_path"));
        match self.asset_at(page).await? {
            Some(asset) => {
                let status = settings.and_then(|settings| error_status(settings));
                Ok(served(asset, status.unwrap_or(404)))
            }
            None => Err(page_not_found()),
        }
    }

    /// Whether the links that administrators get need a key: hosting is off.
    pub fn hosted_by_key(&self) -> bool {
        !self.hosting_is_on()
    }

    /// What opens a hosted file of these bytes while hosting is off: its link is
    /// given to administrators, whose tools download it without a token.
    pub fn asset_key(&self, asset: &Asset) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.signing_keys.ring().current()) else {
            // A key of any length is one.
            return new_id();
        };
        mac.update(format!("hosting\n{}\n{}", asset.path, asset.hash).as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Makes the hosted files those of a directory; nothing when it has none.
    pub(crate) async fn host(&self, files: Vec<HostedFile>) -> Result<(), Problem> {
        if files.is_empty() {
            return Ok(());
        }
        let there = self.assets_below("/").await?;
        let mut there: BTreeMap<String, Asset> = there
            .into_iter()
            .map(|asset| (asset.path.clone(), asset))
            .collect();
        for file in files {
            let attributes: Vec<Attribute> = file
                .attributes
                .into_iter()
                .map(|(name, value)| Attribute { name, value })
                .collect();
            let same = there.remove(&file.path).is_some_and(|asset| {
                asset.attributes == attributes
                    && asset.size == file.bytes.len() as i64
                    && asset.hash == md5_hex(&file.bytes)
            });
            if !same {
                let upload = Upload {
                    path: file.path,
                    attributes,
                    bytes: file.bytes.to_vec(),
                    ..Upload::default()
                };
                self.upload_asset(upload).await?;
            }
        }
        for path in there.keys() {
            self.delete_asset(path).await?;
        }
        Ok(())
    }

    /// The hosted files as a draft remembers them: what tells one from another,
    /// by path.
    async fn hosted_now(&self) -> Result<BTreeMap<String, String>, Problem> {
        let assets = self.assets_below("/").await?;
        let mark = |asset: &Asset| {
            let pairs = asset.attributes.iter();
            pairs.fold(asset.hash.clone(), |mark, pair| {
                format!("{mark}\n{}: {}", pair.name, pair.value)
            })
        };
        let marked = assets.iter().map(|asset| (asset.path.clone(), mark(asset)));
        Ok(marked.collect())
    }

    /// Keeps the hosted files of now for a draft; answers in how many bytes.
    pub(crate) async fn remember_hosted(&self, draft_id: &str) -> Result<i64, Problem> {
        let files = self.hosted_now().await?;
        if files.is_empty() {
            return Ok(0);
        }
        let bytes =
            serde_json::to_vec(&files).map_err(|error| Problem::internal(error.to_string()))?;
        let now = self.core.clock.now_ms();
        let bodies = &self.core.state.bodies;
        let written = bodies.write(&self.id, draft_id, &bytes, now).await;
        written.map_err(stored)?;
        Ok(bytes.len() as i64)
    }

    /// What changed of the hosted files since a draft was opened.
    pub(crate) async fn hosted_since(&self, draft: &Draft) -> Result<Changes<String>, Problem> {
        let bytes = usize::try_from(draft.hosted_bytes).unwrap_or_default();
        let before: BTreeMap<String, String> = if bytes == 0 {
            BTreeMap::new()
        } else {
            let read = self.core.state.bodies.read(&draft.id, bytes).await;
            let read = read.map_err(stored)?.unwrap_or_default();
            serde_json::from_slice(&read).map_err(|error| {
                Problem::internal(format!("the hosted files of draft {}: {error}", draft.id))
            })?
        };
        let now = self.hosted_now().await?;
        Ok(crate::drafts::changes(&before, &now, |path, _, _| {
            path.to_owned()
        }))
    }
}

fn count(usage: &mut Option<Usage>, files: i64, bytes: i64) {
    if let Some(usage) = usage {
        usage.files = usage.files.saturating_add_signed(files);
        usage.bytes += bytes;
    }
}

fn served(asset: Asset, status: u16) -> Hosted {
    let redirect = asset.attributes.iter().find(|attribute| {
        attribute
            .name
            .eq_ignore_ascii_case("Website-Redirect-Location")
    });
    match redirect {
        Some(to) if !to.value.is_empty() => Hosted::Redirect(to.value.clone()),
        _ => Hosted::File { asset, status },
    }
}

/// The status of the page for what is not there. Exports have it as a number or
/// as a text.
fn error_status(settings: &config::Node) -> Option<u16> {
    let names = ["/default_response_code", "/default_error_code"];
    let set = names.iter().find_map(|name| {
        let value = settings.at(name)?;
        let number = value.as_u64().and_then(|code| u16::try_from(code).ok());
        number.or_else(|| value.as_str()?.parse().ok())
    });
    set.filter(|code| (200..600).contains(code))
}

/// The folder below `prefix` that a path is in, with its slash.
fn folder_of<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    let slash = rest.find('/')?;
    path.get(..=prefix.len() + slash)
}

fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// A path is what a URL can name and a directory can hold.
fn check_path(path: &str) -> Result<(), Problem> {
    let refused = |why: String| Err(Problem::bad_request(why));
    if path.is_empty() {
        return Err(Problem::missing_parameter("'path' is a required string"));
    }
    if path.len() > limit::HOSTED_PATH_BYTES_MAX {
        return refused(format!(
            "a hosted file's path has at most {} bytes",
            limit::HOSTED_PATH_BYTES_MAX
        ));
    }
    let mut parts = path.split('/');
    let begins = parts.next() == Some("");
    let bad = |part: &str| matches!(part, "" | "." | "..");
    if !begins || parts.any(bad) || path.contains(|c: char| c.is_control() || c == '\\') {
        return refused(format!(
            "'{}' cannot be the path of a hosted file: it begins with '/', and its parts are \
             names",
            path.escape_debug()
        ));
    }
    Ok(())
}

fn check_attributes(attributes: &[Attribute]) -> Result<(), Problem> {
    for (at, attribute) in attributes.iter().enumerate() {
        let known = ATTRIBUTES
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&attribute.name));
        if !known {
            return Err(Problem::bad_request(format!(
                "'{}' cannot be an attribute of a hosted file; these can: {}",
                attribute.name.escape_debug(),
                ATTRIBUTES.join(", ")
            )));
        }
        let again = |other: &Attribute| other.name.eq_ignore_ascii_case(&attribute.name);
        if attributes.iter().take(at).any(again) {
            return Err(Problem::bad_request(format!(
                "the attribute '{}' is there twice",
                attribute.name
            )));
        }
        let text = &attribute.value;
        let fits = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !fits || text.len() > limit::HOSTED_ATTRIBUTE_BYTES_MAX {
            return Err(Problem::bad_request(format!(
                "the value of '{}' must have at most {} printable ASCII characters",
                attribute.name,
                limit::HOSTED_ATTRIBUTE_BYTES_MAX
            )));
        }
    }
    Ok(())
}

/// Whether the hosted files of a directory could be uploaded.
///
/// # Errors
/// As for [`App::upload_asset`].
pub(crate) fn check(files: &[HostedFile]) -> Result<(), Problem> {
    for file in files {
        check_path(&file.path)?;
        let pairs = file.attributes.iter();
        let attributes: Vec<Attribute> = pairs
            .map(|(name, value)| Attribute {
                name: name.clone(),
                value: value.clone(),
            })
            .collect();
        check_attributes(&attributes)?;
        if file.bytes.len() > limit::HOSTED_FILE_BYTES_MAX {
            return Err(too_large());
        }
    }
    Ok(())
}

fn too_large() -> Problem {
    Problem::bad_request(format!(
        "a hosted file has at most {} bytes",
        limit::HOSTED_FILE_BYTES_MAX
    ))
}

fn asset_not_found(path: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        "AssetNotFound",
        format!("hosted asset not found: '{path}'"),
    )
}

fn page_not_found() -> Problem {
    Problem::new(Kind::NotFound, "", "404 page not found")
}

/// Pieces of a hosted file.
pub fn asset_pieces(asset: &Asset) -> usize {
    usize::try_from(asset.size)
        .unwrap_or_default()
        .div_ceil(PIECE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{check_path, folder_of};

    #[test]
    fn paths_are_names_below_the_root() {
        for good in ["/a", "/a/b.c", "/.well-known/x", "/a b/ü", "/..."] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "x".repeat(1024));
        for bad in [
            "", "/", "a", "a/b", "//a", "/a//b", "/a/", "/./a", "/../a", "/a/..", "/a\\b", "/a\0",
            "/a\n", "/a\u{7f}", &long,
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn folders_below_a_prefix() {
        assert_eq!(folder_of("/a/b/c", "/"), Some("/a/"));
        assert_eq!(folder_of("/a/b/c", "/a"), Some("/a/"));
        assert_eq!(folder_of("/a/b/c", "/a/"), Some("/a/b/"));
        assert_eq!(folder_of("/a/b", "/a/"), None);
        assert_eq!(folder_of("/b", "/a/"), None);
    }
}
