//! The document of an import, made of an app directory (admin-api.md §4.6).

use std::path::{Path, PathBuf};

use config::{AppConfig, Exporting, Files, Kind, RootLayout};
use kit::Finding;
use serde_json::{Map, Value, json};

use crate::archives::Failed;
use crate::directory;

const ROOTS: [&str; 4] = [
    "root_config.json",
    "realm_config.json",
    "config.json",
    "stitch.json",
];
/// The layouts, and the config versions that they have.
pub(super) const LAYOUTS: [RootLayout; 4] = [
    RootLayout::Root,
    RootLayout::Realm,
    RootLayout::Older,
    RootLayout::Stitch,
];
pub(super) const VERSIONS: [&str; 4] = ["20180301", "20200603", "20210101", "20230101"];
/// That of a directory that is new.
pub(super) const NEWEST: &str = "20210101";
/// How many folders above one are looked at.
const PARENTS_MAX: usize = 8;
/// Secrets that come with an import.
const SECRETS: &str = "secrets.json";
/// What is told of hosted files, and how archives of packages begin.
const METADATA: &str = "hosting/metadata.json";
const ARCHIVES: &str = "functions/node_modules.";

/// The app directory that a folder is in.
pub(super) fn root_of(folder: &Path) -> Option<PathBuf> {
    let whole = folder.canonicalize().ok()?;
    let mut all = whole.ancestors().take(PARENTS_MAX + 1);
    let root = all.find(|folder| ROOTS.iter().any(|name| is_root(&folder.join(name))));
    let itself = || ROOTS.iter().any(|name| whole.join(name).is_file());
    let root = root.or_else(|| itself().then_some(&*whole));
    Some(root?.to_owned())
}

/// Whether a file is surely an app's root file: functions and services have a
/// `config.json` too.
fn is_root(path: &Path) -> bool {
    if path.file_name().is_none_or(|name| name != "config.json") {
        return path.is_file();
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let parsed = config::parse_json(&text).value;
    parsed.is_some_and(|root| root.get("config_version").is_some())
}

/// The config version of the app directory that a folder is.
pub(super) fn version_of(folder: &Path) -> Option<String> {
    let mut all = ROOTS.iter();
    let name = all.find(|name| is_root(&folder.join(name)))?;
    let layout = LAYOUTS.iter().find(|layout| layout.root_file() == *name)?;
    Some(layout.version().to_string())
}

/// The app that the directory around a folder is of: said by its root file,
/// whatever may be wrong with the others.
pub(super) fn app_around(folder: &Path) -> Result<Option<String>, Failed> {
    let Some(root) = root_of(folder) else {
        return Ok(None);
    };
    if let Some(id) = directory::client_app_id(&root) {
        return Ok(Some(id));
    }
    for name in ROOTS {
        let path = root.join(name);
        if path.is_file() {
            let file = json_of(&path.display().to_string(), &std::fs::read(&path)?)?;
            let id = file["app_id"].as_str().filter(|id| !id.is_empty());
            return Ok(id.map(str::to_owned));
        }
    }
    Ok(None)
}

/// An app directory that can be sent.
pub(super) struct Local {
    pub(super) root: PathBuf,
    pub(super) config: AppConfig,
    /// What there is to say of it, none of it an error.
    pub(super) findings: Vec<Finding>,
    secrets: Value,
}

impl Local {
    /// Reads it; whatever is wrong is told at once, with file and line.
    pub(super) fn read(folder: &Path) -> Result<Self, Failed> {
        let root = root_of(folder).ok_or_else(|| {
            let shown = folder.display();
            if !folder.is_dir() {
                return format!("{shown}: there is no such directory");
            }
            format!(
                "{shown}: there is no app directory here: none of {} is there; \
                 name one with --local",
                ROOTS.join(", ")
            )
        })?;
        let (mut files, left_out) = directory::read_configuration(&root)?;
        // What goes along when that is asked for, by itself.
        files
            .0
            .retain(|path, _| path != METADATA && !path.starts_with(ARCHIVES));
        let secrets = match files.0.remove(SECRETS) {
            Some(bytes) => json_of(SECRETS, &bytes)?,
            None => json!({}),
        };
        let mut reading = config::read(&files);
        reading.findings.extend(left_out);
        if !reading.whole || config::has_errors(&reading.findings) {
            return Err(told(&reading.findings).into());
        }
        Ok(Self {
            root,
            config: reading.config,
            findings: reading.findings,
            secrets,
        })
    }

    /// The app that the directory is of.
    pub(super) fn client_app_id(&self) -> Option<String> {
        directory::client_app_id(&self.root).or_else(|| {
            let id = self.config.client_app_id();
            (!id.is_empty()).then(|| id.to_owned())
        })
    }

    /// Notes in the directory which app it is of from now on.
    pub(super) fn belongs_to(&self, client_app_id: &str) -> Result<(), Failed> {
        if self.config.layout() == RootLayout::Root {
            let meta = json!({ "client_app_id": client_app_id, "config_version": 20_230_101 });
            std::fs::create_dir_all(self.root.join(".mdb"))?;
            std::fs::write(self.root.join(".mdb/meta.json"), format!("{meta:#}\n"))?;
            return Ok(());
        }
        self.describe(&[("app_id", client_app_id)])
    }

    /// Writes fields of the root file.
    pub(super) fn describe(&self, fields: &[(&str, impl AsRef<str>)]) -> Result<(), Failed> {
        let path = self.root.join(self.config.layout().root_file());
        let mut root = json_of("the root file", &std::fs::read(&path)?)?;
        if let Some(root) = root.as_object_mut() {
            for (name, value) in fields {
                root.insert((*name).to_owned(), value.as_ref().into());
            }
        }
        let mut bytes = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut writer = serde_json::Serializer::with_formatter(&mut bytes, indent);
        serde::Serialize::serialize(&root, &mut writer)?;
        bytes.push(b'\n');
        Ok(std::fs::write(path, bytes)?)
    }

    /// The document for an app.
    pub(super) fn document(&self, client_app_id: &str) -> Result<Value, Failed> {
        // The older layouts have a form of their own: they know no endpoints,
        // and the newer form would say that there are none.
        let older = self.config.layout().is_older();
        let how = Exporting {
            layout: if older {
                self.config.layout()
            } else {
                RootLayout::Realm
            },
            client_app_id: Some(client_app_id),
            id: None,
        };
        let files = config::print(&self.config.exported(&how));
        let mut document = if older {
            folded_older(&files, how.layout.root_file())?
        } else {
            folded(&files)?
        };
        document["secrets"] = self.secrets.clone();
        Ok(document)
    }

    /// A field of the root file.
    pub(super) fn root_field(&self, name: &str) -> &str {
        let root = self.config.get(Kind::Root, "");
        root.map_or("", |root| root.text(name))
    }
}

/// Findings as lines.
pub(super) fn told(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    format!("the directory has errors\n{}", lines.join("\n"))
}

fn json_of(path: &str, bytes: &[u8]) -> Result<Value, Failed> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("{path}: {error}"))?;
    config::parse_json_exactly(text).map_err(|error| format!("{path}: {error}").into())
}

/// A directory's files by where they stand.
struct Tree<'a>(&'a Files);

impl Tree<'_> {
    fn json(&self, path: &str) -> Result<Option<Value>, Failed> {
        self.0
            .get(path)
            .map(|bytes| json_of(path, bytes))
            .transpose()
    }

    fn text(&self, path: &str) -> Result<Value, Failed> {
        let bytes = self.0.get(path).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|error| format!("{path}: {error}"))?;
        Ok(text.into())
    }

    /// What stands right inside of a folder: names with a slash at the end for
    /// folders.
    fn inside(&self, folder: &str) -> Vec<String> {
        let rests = self.0.0.keys().filter_map(|path| path.strip_prefix(folder));
        let mut names: Vec<String> = rests
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.dedup();
        names
    }

    /// The JSON files right inside of a folder: names and values.
    fn jsons(&self, folder: &str) -> Result<Vec<(String, Value)>, Failed> {
        let mut all = Vec::new();
        for name in self.inside(folder) {
            let path = format!("{folder}{name}");
            if let (true, Some(value)) = (path.strip_suffix(".json").is_some(), self.json(&path)?) {
                all.push((name, value));
            }
        }
        Ok(all)
    }

    fn list(&self, folder: &str) -> Result<Value, Failed> {
        let all = self.jsons(folder)?.into_iter();
        Ok(all.map(|(_, value)| value).collect())
    }

    fn folders(&self, folder: &str) -> Vec<String> {
        let names = self.inside(folder).into_iter();
        names.filter(|name| name.ends_with('/')).collect()
    }

    /// An object of the files that are there.
    fn object(&self, parts: &[(&str, &str)]) -> Result<Map<String, Value>, Failed> {
        let mut object = Map::new();
        for (name, path) in parts {
            if let Some(value) = self.json(path)? {
                object.insert((*name).to_owned(), value);
            }
        }
        Ok(object)
    }

    fn functions(&self) -> Result<Value, Failed> {
        let mut functions = self.object(&[("config", "functions/config.json")])?;
        let mut sources = Map::new();
        for path in self.0.0.keys() {
            let name = path.strip_prefix("functions/").unwrap_or_default();
            if name.strip_suffix(".js").is_some() && !name.starts_with("node_modules/") {
                sources.insert(name.to_owned(), self.text(path)?);
            }
        }
        functions.insert("sources".to_owned(), sources.into());
        Ok(functions.into())
    }

    /// Manifests and sources that have a folder each, at any depth.
    fn with_sources(&self, folder: &str) -> Result<Value, Failed> {
        let mut all = Vec::new();
        for path in self.0.0.keys().filter(|path| path.starts_with(folder)) {
            if let Some(at) = path.strip_suffix("/source.js") {
                let config = self.json(&format!("{at}/config.json"))?;
                all.push(json!({ "config": config, "source": self.text(path)? }));
            }
        }
        Ok(all.into())
    }

    fn services(&self, top: &str) -> Result<Value, Failed> {
        let mut all = Vec::new();
        for name in self.folders(top) {
            let at = format!("{top}{name}");
            let mut service = self.object(&[
                ("config", &format!("{at}config.json")),
                ("default_rule", &format!("{at}default_rule.json")),
            ])?;
            let webhooks = self.with_sources(&format!("{at}incoming_webhooks/"))?;
            service.insert("incoming_webhooks".to_owned(), webhooks);
            service.insert("rules".to_owned(), self.list(&format!("{at}rules/"))?);
            all.push(Value::Object(service));
        }
        Ok(all.into())
    }

    fn data_sources(&self) -> Result<Value, Failed> {
        let mut all = Vec::new();
        for name in self.folders("data_sources/") {
            let at = format!("data_sources/{name}");
            let mut source = self.object(&[
                ("config", &format!("{at}config.json")),
                ("default_rule", &format!("{at}default_rule.json")),
            ])?;
            let mut rules = Vec::new();
            for database in self.folders(&at) {
                for collection in self.folders(&format!("{at}{database}")) {
                    let at = format!("{at}{database}{collection}");
                    let (database, collection) =
                        (database.trim_matches('/'), collection.trim_matches('/'));
                    let plain = json!({ "database": database, "collection": collection });
                    let mut rule = self.json(&format!("{at}rules.json"))?.unwrap_or(plain);
                    let parts = self.object(&[
                        ("schema", &format!("{at}schema.json")),
                        ("relationships", &format!("{at}relationships.json")),
                    ])?;
                    if let Some(rule) = rule.as_object_mut() {
                        rule.extend(parts);
                    }
                    rules.push(rule);
                }
            }
            source.insert("rules".to_owned(), rules.into());
            all.push(Value::Object(source));
        }
        Ok(all.into())
    }
}

/// The files of a directory of config version 20210101, in one object.
fn folded(files: &Files) -> Result<Value, Failed> {
    let tree = Tree(files);
    let root = tree.json("realm_config.json")?.unwrap_or(json!({}));
    let mut document = root.as_object().cloned().unwrap_or_default();
    let environments: Map<String, Value> = tree.jsons("environments/")?.into_iter().collect();
    let auth = tree.object(&[
        ("custom_user_data", "auth/custom_user_data.json"),
        ("providers", "auth/providers.json"),
    ])?;
    let mut graphql = tree.object(&[
        ("config", "graphql/config.json"),
        ("validation_settings", "graphql/validation_settings.json"),
    ])?;
    let resolvers = tree.list("graphql/custom_resolvers/")?;
    graphql.insert("custom_resolvers".to_owned(), resolvers);
    for (name, value) in [
        ("environments", environments.into()),
        ("values", tree.list("values/")?),
        ("auth", auth.into()),
        ("functions", tree.functions()?),
        ("triggers", tree.list("triggers/")?),
        ("data_sources", tree.data_sources()?),
        ("http_endpoints", tree.services("http_endpoints/")?),
        ("services", tree.services("services/")?),
        (
            "endpoints",
            tree.object(&[("config", "http_endpoints/config.json")])?
                .into(),
        ),
        ("graphql", graphql.into()),
        (
            "sync",
            tree.object(&[("config", "sync/config.json")])?.into(),
        ),
        ("log_forwarders", tree.list("log_forwarders/")?),
    ] {
        document.insert(name.to_owned(), value);
    }
    document.extend(tree.object(&[
        ("data_api_config", "http_endpoints/data_api_config.json"),
        ("hosting", "hosting/config.json"),
    ])?);
    Ok(document.into())
}

/// The files of a directory of an older config version, in one object.
fn folded_older(files: &Files, root: &str) -> Result<Value, Failed> {
    let tree = Tree(files);
    let root = tree.json(root)?.unwrap_or(json!({}));
    let mut document = root.as_object().cloned().unwrap_or_default();
    let environments: Map<String, Value> = tree.jsons("environments/")?.into_iter().collect();
    let mut graphql = tree.object(&[("config", "graphql/config.json")])?;
    let resolvers = tree.list("graphql/custom_resolvers/")?;
    graphql.insert("custom_resolvers".to_owned(), resolvers);
    for (name, value) in [
        ("environments", environments.into()),
        ("values", tree.list("values/")?),
        ("auth_providers", tree.list("auth_providers/")?),
        ("functions", tree.with_sources("functions/")?),
        ("triggers", tree.list("triggers/")?),
        ("services", tree.services("services/")?),
        ("graphql", graphql.into()),
        ("log_forwarders", tree.list("log_forwarders/")?),
    ] {
        document.insert(name.to_owned(), value);
    }
    document.extend(tree.object(&[("data_api_config", "data_api_config.json")])?);
    Ok(document.into())
}
