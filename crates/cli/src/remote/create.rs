//! `apps create` and `apps init`: new apps, and directories for them.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use config::{AppConfig, Exporting, RootLayout};
use serde_json::{Map, Value, json};

use super::document::{LAYOUTS, Local, NEWEST, VERSIONS, root_of};
use super::folder::{Existing, Folder};
use super::out::Out;
use super::{App, Desk, Scope, templates, transfer};
use crate::archives::Failed;

/// A new app.
#[derive(Args)]
pub(crate) struct New {
    /// Its name (default: that of the app to begin with)
    #[arg(long, short = 'n')]
    name: Option<String>,
    /// The app to begin with: id, client app id or name
    #[arg(long)]
    remote: Option<String>,
    /// Its location (default: that of the app to begin with, or US-VA)
    #[arg(long, short = 'l', ignore_case = true,
        value_parser = PossibleValuesParser::new(LOCATIONS).map(|place| place.to_uppercase()))]
    location: Option<String>,
    /// Its deployment model (default: that of the app to begin with, or GLOBAL)
    #[arg(long, short = 'd', ignore_case = true,
        value_parser = PossibleValuesParser::new(MODELS).map(|model| model.to_uppercase()))]
    deployment_model: Option<String>,
    /// Its environment
    #[arg(long, short = 'e', value_parser = ENVIRONMENTS)]
    environment: Option<String>,
    /// The project (default: the only one)
    #[arg(long)]
    project: Option<String>,
    /// The layout of the directory
    #[arg(long, default_value = NEWEST, value_parser = VERSIONS)]
    config_version: String,
}

/// What an app may be.
pub(super) const LOCATIONS: [&str; 7] = ["US-VA", "US-OR", "DE-FF", "IE", "AU", "IN-MB", "SG"];
pub(super) const MODELS: [&str; 2] = ["GLOBAL", "LOCAL"];
pub(super) const ENVIRONMENTS: [&str; 5] = ["", "development", "testing", "qa", "production"];

/// An app directory without an app at the server.
#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    new: New,
    /// The directory
    #[arg(long, default_value = ".")]
    local: PathBuf,
}

/// A new app of a server.
#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    new: New,
    #[command(flatten)]
    sources: Sources,
    /// The template to begin with, by its id; the app is in backend/ then, and its client in frontend/
    #[arg(long, conflicts_with = "remote")]
    template: Option<String>,
    /// The directory (default: the name)
    #[arg(long)]
    local: Option<PathBuf>,
    /// Say what would be made; make nothing
    #[arg(long, short = 'x')]
    dry_run: bool,
}

/// Data sources of a new app.
#[derive(Args)]
pub(crate) struct Sources {
    /// A cluster to link (may be repeated; a template takes one)
    #[arg(long, value_delimiter = ',')]
    cluster: Vec<String>,
    /// Its data source's name, in the same order (default: the cluster's; of a template mongodb-atlas)
    #[arg(long, value_delimiter = ',')]
    cluster_service_name: Vec<String>,
    /// A serverless instance to link (may be repeated)
    #[arg(long, value_delimiter = ',', conflicts_with = "template")]
    serverless_instance: Vec<String>,
    /// Its data source's name, in the same order (default: the instance's)
    #[arg(long, value_delimiter = ',')]
    serverless_instance_service_name: Vec<String>,
    /// A data lake to link (may be repeated)
    #[arg(long, value_delimiter = ',', conflicts_with = "template")]
    datalake: Vec<String>,
    /// Its data source's name, in the same order (default: the data lake's)
    #[arg(long, value_delimiter = ',')]
    datalake_service_name: Vec<String>,
}

/// The data source of a template's documents.
const TEMPLATE_SOURCE: &str = "mongodb-atlas";

fn linked(name: &str, cluster: &str) -> Value {
    json!({
        "name": name, "type": "mongodb-atlas", "version": 1,
        "config": { "clusterName": cluster, "readPreference": "primary",
            "wireProtocolEnabled": false },
    })
}

fn lake(name: &str, lake: &str) -> Value {
    json!({ "name": name, "type": "datalake", "version": 1, "config": { "dataLakeName": lake } })
}

impl Sources {
    /// The data sources, by the names that the answer has for their kinds. Whoever
    /// is there names those that have no name yet.
    fn all(&self, out: &Out) -> Result<[(&'static str, Vec<Value>); 3], Failed> {
        let of = |places: &[String], names: &[String], made: fn(&str, &str) -> Value| {
            let named = |(at, place): (usize, &String)| {
                let name = match names.get(at) {
                    Some(name) => name.clone(),
                    None if out.asks() => {
                        let question = format!("The name of {place}'s data source:");
                        out.text(None, &question, Some(place), "")?
                    }
                    None => place.clone(),
                };
                Ok(made(&name, place))
            };
            let all = places.iter().enumerate().map(named);
            all.collect::<Result<Vec<Value>, Failed>>()
        };
        Ok([
            (
                "clusters",
                of(&self.cluster, &self.cluster_service_name, linked)?,
            ),
            (
                "serverless_instances",
                of(
                    &self.serverless_instance,
                    &self.serverless_instance_service_name,
                    linked,
                )?,
            ),
            (
                "datalakes",
                of(&self.datalake, &self.datalake_service_name, lake)?,
            ),
        ])
    }

    /// The cluster of a template's documents: the one that is named, the only one
    /// of the server, or the one that is chosen.
    fn only_cluster(&self, desk: &Desk, project: &str) -> Result<String, Failed> {
        match self.cluster.as_slice() {
            [only] => return Ok(only.clone()),
            [] => {}
            _ => return Err("an app of a template takes one --cluster".into()),
        }
        // The service's clusters were in another API; elsewhere nobody tells them.
        let path = format!("/api/atlas/v1.0/groups/{project}/clusters");
        let known = desk.session.get(&path).unwrap_or_default();
        let known = known["results"].as_array().into_iter().flatten();
        let mut names: Vec<String> = known
            .filter_map(|one| Some(one["name"].as_str()?.to_owned()))
            .collect();
        let missing = "an app of a template takes one --cluster";
        match names.len() {
            0 => desk.out.text(None, "Which cluster?", None, missing),
            1 => Ok(names.remove(0)),
            _ => {
                let missing = format!("{missing}: {}", names.join(", "));
                desk.out
                    .choose("Which cluster?", names, String::clone, &missing)
            }
        }
    }
}

impl New {
    /// The app to begin with.
    fn origin(&self, desk: &mut Desk) -> Result<Option<App>, Failed> {
        let Some(word) = &self.remote else {
            return Ok(None);
        };
        // It may be in another project than the new one.
        let found = desk.matching(word, &Scope::default())?;
        desk.one(found, Some(word), "--remote").map(Some)
    }

    fn name(&self, desk: &Desk, origin: Option<&App>) -> Result<String, Failed> {
        let given = self.name.clone();
        let given = given.or_else(|| origin.map(|app| app.name.clone()));
        let missing = "name the app with --name, or the app to begin with with --remote";
        desk.out.text(given, "The app's name:", None, missing)
    }

    /// What an export is asked for.
    fn query(&self, kind: &str) -> String {
        format!("{kind}=true&version={}", self.config_version)
    }

    /// What is said of the app, or holds when nothing is.
    fn settings(&self, name: &str) -> Vec<(&'static str, String)> {
        let new = self.remote.is_none();
        let or = |given: &Option<String>, default: &str| {
            given.clone().or_else(|| new.then(|| default.to_owned()))
        };
        let all = [
            ("name", Some(name.to_owned())),
            ("location", or(&self.location, "US-VA")),
            ("deployment_model", or(&self.deployment_model, "GLOBAL")),
            ("environment", or(&self.environment, "")),
        ];
        let told = all.into_iter();
        told.filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Init {
    pub(super) fn run(&self, desk: &mut Desk) -> Result<(), Failed> {
        let Self { new, local } = self;
        free(local)?;
        let origin = new.origin(desk)?;
        let name = new.name(desk, origin.as_ref())?;
        let folder = Folder::new(local, Existing::Stays);
        if let Some(origin) = origin {
            let (_, bytes) = transfer::exported(desk, &origin, &new.query("template"))?;
            folder.unpack(&bytes)?;
        } else {
            let how = Exporting {
                layout: layout_of(&new.config_version),
                client_app_id: None,
                id: None,
            };
            let files = config::print(&AppConfig::new(&name).exported(&how));
            folder.write_all(&files)?;
        }
        Local::read(local)?.describe(&new.settings(&name))?;
        crate::types::write(local)?;
        desk.out.say(&format!("made {}", local.display()))
    }
}

impl Create {
    pub(super) fn run(&self, desk: &mut Desk) -> Result<(), Failed> {
        let origin = self.new.origin(desk)?;
        let name = self.new.name(desk, origin.as_ref())?;
        let folder = self.folder(desk, &name)?;
        let group = origin.as_ref().map(|app| app.group.clone());
        let project = desk.project(self.new.project.as_deref().or(group.as_deref()))?;
        let mut body = Map::new();
        for (name, value) in self.new.settings(&name) {
            body.insert(name.to_owned(), value.into());
        }
        let linking = if let Some(id) = &self.template {
            templates::check(desk, id)?;
            let cluster = self.sources.only_cluster(desk, &project)?;
            let source = linked(TEMPLATE_SOURCE, &cluster);
            body.insert("template_id".to_owned(), id.clone().into());
            body.insert("data_source".to_owned(), source.clone());
            [("clusters", vec![source]), ("", vec![]), ("", vec![])]
        } else {
            self.sources.all(&desk.out)?
        };
        let shown = folder.display();
        if self.dry_run {
            let text = format!("{name} would be created in project {project}, and {shown}");
            desk.out.say(&text)?;
            for source in linking.iter().flat_map(|(_, all)| all) {
                let source = source["name"].as_str().unwrap_or_default();
                desk.out
                    .say(&format!("the data source {source} would be linked"))?;
            }
            return Ok(());
        }
        let progress = desk.out.progress("creating the app");
        let made = desk
            .session
            .ask("POST", &format!("groups/{project}/apps"), &body.into())?;
        let app = App::of(&made);
        drop(progress);
        self.fill(desk, &app, &name, origin.as_ref(), &linking)
            .and_then(|()| self.write(desk, &app, &folder))
            .map_err(|error| format!("created {}, but: {error}", app.client_app_id))?;
        let mut doc = Map::new();
        let mut tell = |name: &str, value: Value| doc.insert(name.to_owned(), value);
        tell("client_app_id", app.client_app_id.clone().into());
        tell("filepath", json!(folder));
        let url = format!(
            "{}/groups/{}/apps/{}/dashboard",
            desk.session.url, app.group, app.id
        );
        tell("url", url.into());
        if self.template.is_some() {
            tell("backend", json!(folder.join(templates::BACKEND)));
            let frontend = folder.join(templates::FRONTEND);
            if frontend.is_dir() {
                tell("frontends", json!(frontend));
            }
        }
        for (kind, all) in linking.iter().filter(|(_, all)| !all.is_empty()) {
            let names = all.iter().map(|one| json!({ "name": one["name"] }));
            tell(kind, names.collect());
        }
        desk.out.document("created", &Value::Object(doc))
    }

    /// Gives an app what it begins with.
    fn fill(
        &self,
        desk: &mut Desk,
        app: &App,
        name: &str,
        origin: Option<&App>,
        linking: &[(&str, Vec<Value>)],
    ) -> Result<(), Failed> {
        if let Some(origin) = origin {
            let query = format!("template=true&version={NEWEST}");
            let (_, bytes) = transfer::exported(desk, origin, &query)?;
            let between = tempfile::tempdir()?;
            Folder::new(between.path(), Existing::Stays).unpack(&bytes)?;
            let local = Local::read(between.path())?;
            local.describe(&self.new.settings(name))?;
            let document = Local::read(between.path())?.document(&app.client_app_id)?;
            transfer::import(desk, app, &document)?;
        }
        if self.template.is_none() {
            for source in linking.iter().flat_map(|(_, all)| all) {
                desk.session.ask("POST", &app.at("/services"), source)?;
            }
        }
        Ok(())
    }

    /// Where the app is written. In a dry run nobody is asked.
    fn folder(&self, desk: &Desk, name: &str) -> Result<PathBuf, Failed> {
        let mut folder = self.local.clone().unwrap_or_else(|| PathBuf::from(name));
        free(&folder)?;
        while !self.dry_run && folder.read_dir().is_ok_and(|mut all| all.next().is_some()) {
            let question = format!("{} is not empty; add to what is in it", folder.display());
            if desk.out.confirm(&question)? {
                break;
            }
            let other = unused(&folder);
            let other = desk.out.text(None, "Where else?", other.as_deref(), "")?;
            folder = PathBuf::from(other);
            free(&folder)?;
        }
        Ok(folder)
    }

    /// Writes an app into a directory; an app of a template beside its client.
    fn write(&self, desk: &Desk, app: &App, folder: &Path) -> Result<(), Failed> {
        let query = self.new.query("source_control");
        let (_, bytes) = transfer::exported(desk, app, &query)?;
        let Some(id) = &self.template else {
            return Folder::new(folder, Existing::Stays).unpack(&bytes);
        };
        Folder::new(folder.join(templates::BACKEND), Existing::Stays).unpack(&bytes)?;
        if let Some(client) = templates::client(desk, app, id)? {
            let to = folder.join(templates::FRONTEND).join(id);
            Folder::new(to, Existing::Stays).unpack(&client)?;
        }
        Ok(())
    }
}

/// A name of a directory like that one which is not taken.
fn unused(folder: &Path) -> Option<String> {
    let names = (1..10).map(|n| format!("{}-{n}", folder.display()));
    names.into_iter().find(|name| !Path::new(name).exists())
}

/// The layout of a config version.
fn layout_of(version: &str) -> RootLayout {
    let mut all = LAYOUTS.into_iter();
    let layout = all.find(|layout| layout.version().to_string() == version);
    layout.unwrap_or(RootLayout::Realm)
}

/// Whether a directory, there or not, is in none of an app.
fn free(folder: &Path) -> Result<(), Failed> {
    let here = std::env::current_dir()?.join(folder);
    let there = here.ancestors().find(|folder| folder.is_dir());
    if there.and_then(root_of).is_some() {
        let folder = folder.display();
        return Err(format!("{folder}: there is an app directory here already").into());
    }
    Ok(())
}
