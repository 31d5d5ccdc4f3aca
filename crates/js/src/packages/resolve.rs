//! Which file a name means, as Node decides it: relative paths, folders with
//! and without a description, `exports` and `imports` with their conditions and
//! patterns, packages in the folders above. Pure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{Entry, Files};

/// Largest `package.json` that is read.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Longest name that is looked for.
const NAME_BYTES_MAX: usize = 1024;

/// How a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// By `require`.
    Require,
    /// By `import`.
    Import,
}

/// How a file's text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    CommonJs,
    Module,
    Json,
    /// Machine code, which never runs here.
    Addon,
}

/// Why a name means nothing: Node's code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A description, or that there is none.
type Manifest = Option<Arc<Map<String, Value>>>;

/// The files of packages, with the descriptions that were read.
pub(crate) struct Resolver {
    files: Box<dyn Files>,
    manifests: Mutex<HashMap<String, Manifest>>,
}

impl Resolver {
    pub(crate) fn new(files: Box<dyn Files>) -> Self {
        Self {
            files,
            manifests: Mutex::default(),
        }
    }

    pub(crate) fn files(&self) -> &dyn Files {
        &*self.files
    }

    /// The path that `name` means in a file of `folder`.
    pub(crate) fn resolve(
        &self,
        folder: &str,
        name: &str,
        kind: Kind,
    ) -> Result<String, Unresolved> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(missing(name, kind));
        }
        let relative = matches!(name, "." | "..")
            || ["./", "../", "/"]
                .iter()
                .any(|start| name.starts_with(start));
        if relative {
            return self
                .at(&join(folder, name), name.ends_with('/'))
                .ok_or_else(|| missing(name, kind));
        }
        if let Some(path) = name.strip_prefix("file://") {
            return self
                .at(&join("/", path), false)
                .ok_or_else(|| missing(name, kind));
        }
        if name.starts_with('#') {
            return self.internal(folder, name, kind);
        }
        self.package(folder, name, kind)
    }

    /// How a file is to be read.
    pub(crate) fn format(&self, path: &str) -> Format {
        match path
            .rsplit('/')
            .next()
            .and_then(|name| name.rsplit_once('.'))
        {
            Some((_, "mjs")) => Format::Module,
            Some((_, "json")) => Format::Json,
            Some((_, "node")) => Format::Addon,
            Some((_, "js")) if self.is_module(path) => Format::Module,
            _ => Format::CommonJs,
        }
    }

    /// Whether the package that a file belongs to says that its files are ES
    /// modules.
    fn is_module(&self, path: &str) -> bool {
        let scope = self.scope(parent(path));
        scope.is_some_and(|(_, manifest)| text(&manifest, "type") == Some("module"))
    }

    /// The nearest description above: its folder and what it says.
    fn scope(&self, folder: &str) -> Option<(String, Arc<Map<String, Value>>)> {
        for folder in ancestors(folder) {
            if folder.ends_with("/node_modules") {
                return None;
            }
            if let Some(manifest) = self.manifest(folder) {
                return Some((folder.to_owned(), manifest));
            }
        }
        None
    }

    /// A folder's description.
    fn manifest(&self, folder: &str) -> Manifest {
        let mut known = self
            .manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(manifest) = known.get(folder) {
            return manifest.clone();
        }
        let path = format!("{}/package.json", folder.trim_end_matches('/'));
        if self.files.entry(&path) != Some(Entry::File) {
            // Folders without one are not kept: anything may be asked for.
            return None;
        }
        let read = self.files.read(&path);
        let read = read.filter(|bytes| bytes.len() <= MANIFEST_BYTES_MAX);
        let manifest = read.and_then(|bytes| {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            match serde_json::from_slice(text) {
                Ok(Value::Object(fields)) => Some(Arc::new(fields)),
                _ => None,
            }
        });
        known.insert(folder.to_owned(), manifest.clone());
        manifest
    }

    /// What lies at a path: a file, also without its ending, or a folder's main
    /// file.
    fn at(&self, path: &str, only_folder: bool) -> Option<String> {
        if !only_folder && let Some(found) = self.file(path) {
            return Some(found);
        }
        if self.files.entry(path) != Some(Entry::Folder) {
            return None;
        }
        let manifest = self.manifest(path);
        let main = manifest.as_deref().and_then(|fields| text(fields, "main"));
        main.filter(|main| !main.is_empty())
            .and_then(|main| {
                let main = join(path, main);
                self.file(&main).or_else(|| self.index(&main))
            })
            .or_else(|| self.index(path))
    }

    fn file(&self, path: &str) -> Option<String> {
        let is_file = |path: &str| self.files.entry(path) == Some(Entry::File);
        if is_file(path) {
            return Some(path.to_owned());
        }
        let ends = [".js", ".json", ".node", ".cjs", ".mjs"];
        ends.iter()
            .map(|end| format!("{path}{end}"))
            .find(|path| is_file(path))
    }

    fn index(&self, folder: &str) -> Option<String> {
        self.file(&format!("{}/index", folder.trim_end_matches('/')))
    }

    /// A file of a package by the package's name.
    fn package(&self, folder: &str, name: &str, kind: Kind) -> Result<String, Unresolved> {
        let (package, rest) = split(name).ok_or_else(|| missing(name, kind))?;
        if let Some((scope, manifest)) = self.scope(folder)
            && text(&manifest, "name") == Some(package)
            && let Some(exports) = manifest.get("exports").filter(|value| !value.is_null())
        {
            return self.exported(&scope, rest, exports, kind, name);
        }
        for folder in ancestors(folder) {
            if folder.ends_with("/node_modules") {
                continue;
            }
            let base = format!("{}/node_modules/{package}", folder.trim_end_matches('/'));
            if self.files.entry(&base) != Some(Entry::Folder) {
                continue;
            }
            if let Some(manifest) = self.manifest(&base)
                && let Some(exports) = manifest.get("exports").filter(|value| !value.is_null())
            {
                return self.exported(&base, rest, exports, kind, name);
            }
            let path = if rest.is_empty() {
                base
            } else {
                join(&base, rest)
            };
            let only_folder = rest.is_empty() || rest.ends_with('/');
            if let Some(found) = self.at(&path, only_folder) {
                return Ok(found);
            }
        }
        Err(missing(name, kind))
    }

    /// What a package's `exports` make of a path in it.
    fn exported(
        &self,
        base: &str,
        rest: &str,
        exports: &Value,
        kind: Kind,
        name: &str,
    ) -> Result<String, Unresolved> {
        let by_path = exports
            .as_object()
            .filter(|fields| fields.keys().next().is_none_or(|key| key.starts_with('.')));
        let rest = rest.trim_end_matches('/');
        let found = match by_path {
            None if rest.is_empty() => self.target(base, exports, None, false, kind)?,
            None => None,
            Some(fields) if rest.is_empty() => match fields.get(".") {
                Some(target) => self.target(base, target, None, false, kind)?,
                None => None,
            },
            Some(fields) => self.matched(base, &format!("./{rest}"), fields, false, kind)?,
        };
        let Some(path) = found else {
            let manifest = format!("{base}/package.json");
            let message = if rest.is_empty() {
                format!("No \"exports\" main defined in {manifest}")
            } else {
                format!("Package subpath './{rest}' is not defined by \"exports\" in {manifest}")
            };
            return Err(Unresolved {
                code: "ERR_PACKAGE_PATH_NOT_EXPORTED",
                message,
            });
        };
        match self.files.entry(&path) {
            Some(Entry::File) => Ok(path),
            _ => Err(missing(name, kind)),
        }
    }

    /// A name that begins with `#`: what the package itself calls so.
    fn internal(&self, folder: &str, name: &str, kind: Kind) -> Result<String, Unresolved> {
        let undefined = || Unresolved {
            code: "ERR_PACKAGE_IMPORT_NOT_DEFINED",
            message: format!("Package import specifier \"{name}\" is not defined"),
        };
        let (base, manifest) = self.scope(folder).ok_or_else(undefined)?;
        let imports = manifest.get("imports").and_then(Value::as_object);
        let imports = imports.ok_or_else(undefined)?;
        let found = self.matched(&base, name, imports, true, kind)?;
        found.ok_or_else(undefined)
    }

    /// The entry of `exports` or `imports` for a key, patterns included.
    fn matched(
        &self,
        base: &str,
        key: &str,
        fields: &Map<String, Value>,
        internal: bool,
        kind: Kind,
    ) -> Result<Option<String>, Unresolved> {
        if !key.contains('*')
            && !key.ends_with('/')
            && let Some(target) = fields.get(key)
        {
            return self.target(base, target, None, internal, kind);
        }
        let mut best: Option<(&str, &str, &Value)> = None;
        for (pattern, target) in fields {
            let (start, end) = match pattern.split_once('*') {
                Some((_, end)) if end.contains('*') => continue,
                Some(halves) => halves,
                // A folder, as packages of old say it.
                None if pattern.ends_with('/') => (pattern.as_str(), ""),
                None => continue,
            };
            let fits = key.len() >= start.len() + end.len()
                && key != start
                && key.starts_with(start)
                && key.ends_with(end);
            let better = best.is_none_or(|(other, other_end, _)| {
                (start.len(), end.len()) > (other.len(), other_end.len())
            });
            if fits && better {
                best = Some((start, end, target));
            }
        }
        let Some((start, end, target)) = best else {
            return Ok(None);
        };
        let matched = &key[start.len()..key.len() - end.len()];
        self.target(base, target, Some(matched), internal, kind)
    }

    /// What a target of `exports` or `imports` comes to under the conditions.
    fn target(
        &self,
        base: &str,
        target: &Value,
        matched: Option<&str>,
        internal: bool,
        kind: Kind,
    ) -> Result<Option<String>, Unresolved> {
        match target {
            Value::String(path) => self
                .target_path(base, path, matched, internal, kind)
                .map(Some),
            Value::Object(conditions) => {
                for (condition, target) in conditions {
                    let holds = match condition.as_str() {
                        "default" | "node" => true,
                        "require" => kind == Kind::Require,
                        "import" => kind == Kind::Import,
                        _ => false,
                    };
                    if holds
                        && let Some(found) = self.target(base, target, matched, internal, kind)?
                    {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
            Value::Array(targets) => {
                let mut last = Ok(None);
                for target in targets {
                    last = self.target(base, target, matched, internal, kind);
                    if matches!(last, Ok(Some(_))) {
                        break;
                    }
                }
                last
            }
            _ => Ok(None),
        }
    }

    fn target_path(
        &self,
        base: &str,
        path: &str,
        matched: Option<&str>,
        internal: bool,
        kind: Kind,
    ) -> Result<String, Unresolved> {
        let invalid = || Unresolved {
            code: "ERR_INVALID_PACKAGE_TARGET",
            message: format!(
                "Invalid target \"{path}\" defined in the package config {base}/package.json"
            ),
        };
        let whole = match matched {
            Some(matched) if path.contains('*') => path.replace('*', matched),
            Some(matched) if path.ends_with('/') => format!("{path}{matched}"),
            _ => path.to_owned(),
        };
        let Some(rest) = whole.strip_prefix("./") else {
            let elsewhere = whole.starts_with("../") || whole.starts_with('/');
            if internal && !elsewhere {
                // Another package, or one of Node's own.
                if crate::builtins::public(&whole).is_some() {
                    return Ok(whole);
                }
                return self.package(base, &whole, kind);
            }
            return Err(invalid());
        };
        let bad = |part: &str| matches!(part, ".." | "." | "node_modules");
        if rest.split(['/', '\\']).any(bad) {
            return Err(invalid());
        }
        Ok(format!("{}/{rest}", base.trim_end_matches('/')))
    }
}

fn missing(name: &str, kind: Kind) -> Unresolved {
    let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
    match kind {
        Kind::Require => Unresolved {
            code: "MODULE_NOT_FOUND",
            message: format!("Cannot find module '{shown}'"),
        },
        Kind::Import => Unresolved {
            code: "ERR_MODULE_NOT_FOUND",
            message: if name.starts_with(['.', '/']) {
                format!("Cannot find module '{shown}'")
            } else {
                format!("Cannot find package '{shown}'")
            },
        },
    }
}

fn text<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    fields.get(name).and_then(Value::as_str)
}

/// The package and the path in it.
fn split(name: &str) -> Option<(&str, &str)> {
    let from = if name.starts_with('@') {
        name.find('/')? + 1
    } else {
        0
    };
    let end = name[from..].find('/').map_or(name.len(), |at| from + at);
    let (package, rest) = name.split_at(end);
    let good = !package.starts_with('.') && !package.contains('\\') && !package.ends_with('/');
    good.then(|| (package, rest.strip_prefix('/').unwrap_or(rest)))
}

/// The folder of a file.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A folder and those above it.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    let start = if folder.is_empty() { "/" } else { folder };
    std::iter::successors(Some(start), |folder| {
        (*folder != "/").then(|| parent(folder))
    })
}

/// A path from a folder; never above the root.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if path.starts_with('/') { "" } else { folder };
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
