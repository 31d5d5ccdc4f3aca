//! The hosted files of an app directory. They are no part of the configuration:
//! they act at once and are in no revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::Finding;
use serde_json::Value;

use crate::Files;

const FOLDER: &str = "hosting/files";
const METADATA: &str = "hosting/metadata.json";

/// A hosted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedFile {
    /// Where it is served; begins with a slash.
    pub path: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// What it is served with: names and values.
    pub attributes: Attributes,
}

/// What a hosted file is served with: names and values.
pub type Attributes = Vec<(String, String)>;

/// Takes the hosted files, with what `hosting/metadata.json` says of them, out
/// of a directory.
///
/// # Errors
/// What is wrong with the metadata.
pub fn split_hosted(files: &Files) -> Result<(Files, Vec<HostedFile>), Vec<Finding>> {
    let (mut rest, mut hosted) = (Files::default(), BTreeMap::new());
    for (path, bytes) in &files.0 {
        match path.strip_prefix(FOLDER).filter(|at| at.starts_with('/')) {
            Some(at) if at.ends_with("/.DS_Store") => {}
            Some(at) => {
                let file = HostedFile {
                    path: at.to_owned(),
                    bytes: bytes.clone(),
                    attributes: Vec::new(),
                };
                hosted.insert(at.to_owned(), file);
            }
            None => {
                rest.0.insert(path.clone(), bytes.clone());
            }
        }
    }
    if hosted.is_empty() {
        return Ok((rest, Vec::new()));
    }
    if let Some(metadata) = rest.0.remove(METADATA) {
        for (path, attributes) in hosted_attributes(&metadata)? {
            let missing = || {
                vec![Finding::error(
                    METADATA,
                    format!("there is no file {FOLDER}{path}"),
                )]
            };
            hosted.get_mut(&path).ok_or_else(missing)?.attributes = attributes;
        }
    }
    Ok((rest, hosted.into_values().collect()))
}

/// What a `hosting/metadata.json` says that files are served with: names and
/// values, by path.
///
/// # Errors
/// What is wrong with it.
pub fn hosted_attributes(metadata: &[u8]) -> Result<BTreeMap<String, Attributes>, Vec<Finding>> {
    let wrong = |text: &str| vec![Finding::error(METADATA, text)];
    let value: Value = serde_json::from_slice(metadata)
        .map_err(|error| wrong(&format!("this is not JSON: {error}")))?;
    let entries = value
        .as_array()
        .ok_or_else(|| wrong("this has to be a list"))?;
    let mut all = BTreeMap::new();
    for entry in entries {
        let path = entry.get("path").and_then(Value::as_str);
        let path = path.ok_or_else(|| wrong("an entry has no \"path\""))?;
        let pairs = entry.get("attrs").and_then(Value::as_array);
        let pair = |pair: &Value| {
            let text = |name: &str| Some(pair.get(name)?.as_str()?.to_owned());
            Some((text("name")?, text("value")?))
        };
        let attributes: Option<Vec<_>> = pairs.into_iter().flatten().map(pair).collect();
        let attributes = attributes.ok_or_else(|| {
            wrong(&format!(
                "the attributes of \"{path}\" have no \"name\" and \"value\""
            ))
        })?;
        all.insert(path.to_owned(), attributes);
    }
    Ok(all)
}
