//! `backstitch dev`: a server for one app directory, which it watches.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use app::mail::Outlet;
use app::{App, Author, Deployed, NewApp, Rejected};
use kit::{Finding, Problem};
use notify::{RecursiveMode, Watcher};
use server::{Running, StartError};
use tokio::sync::mpsc;

use crate::Dev;
use crate::directory::{self, SECRETS};
use crate::remote::packages;
use crate::screen::Screen;
use crate::serve::{start, stopped};
use crate::types;

/// Editors write a file in several steps; this is how long they get.
const SETTLE: Duration = Duration::from_millis(40);

/// The whole of `backstitch dev`.
pub(crate) async fn run(options: Dev) -> Result<(), StartError> {
    let mut screen = Screen::new(options.json);
    let folder = match &options.directory {
        Some(folder) => Some(app_folder(folder, &options.server.places.data_dir)?),
        None => None,
    };
    let (changes, mut changed) = mpsc::channel(1);
    // Before the first reading, so that no change falls in between.
    let _watcher = match &folder {
        Some(folder) => Some(watch(folder, changes)?),
        None => None,
    };
    if let Some(folder) = &folder {
        types::keep(folder);
    }
    let running = start(options.server, Outlet::Shown).await?;
    let mut mails = running.core.shown_mails();
    let mut logs = running.core.logbook.follow();
    let mut app = None;
    let mut modules = Modules::default();
    if let Some(folder) = &folder {
        let begun = Instant::now();
        let (made, outcome) = first_deployment(&running, folder, &mut modules).await?;
        screen.first(&running, &made, folder, &outcome, begun.elapsed());
        app = Some(made);
    } else {
        screen.ready(&running, None, None);
    }
    let stop = stopped();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(()) = changed.recv() => {
                if let (Some(app), Some(folder)) = (&app, &folder) {
                    tokio::time::sleep(SETTLE).await;
                    while changed.try_recv().is_ok() {}
                    let begun = Instant::now();
                    let outcome = deploy(app, folder, &mut modules).await;
                    screen.outcome(&outcome, begun.elapsed());
                }
            }
            entry = logs.recv() => {
                if let Ok(entry) = entry {
                    screen.log(&entry);
                }
            }
            mail = mails.recv() => {
                if let Ok(mail) = mail {
                    screen.mail(&mail);
                }
            }
        }
    }
    running.shutdown().await;
    Ok(())
}

/// The app directory, if there is one to watch.
fn app_folder(folder: &Path, data_dir: &Path) -> Result<PathBuf, StartError> {
    let wrong = |text: String| StartError(format!("{}: {text}", folder.display()));
    let full = folder
        .canonicalize()
        .map_err(|error| wrong(error.to_string()))?;
    if !full.is_dir() {
        return Err(wrong("this is not a directory".to_owned()));
    }
    // Its data would be part of the app, and each write a change of it.
    let data = std::path::absolute(data_dir).map_err(|error| wrong(error.to_string()))?;
    if let Ok(inside) = data.strip_prefix(&full)
        && directory::counts(inside)
    {
        let text = "the data directory lies inside of the app directory; set another one";
        return Err(wrong(text.to_owned()));
    }
    Ok(full)
}

fn author() -> Author {
    Author {
        user_id: "dev".to_owned(),
        origin: "CLI".to_owned(),
    }
}

/// Finds or makes the directory's app and deploys to it. A directory that is
/// wrong keeps what an earlier start deployed.
pub(crate) async fn first_deployment(
    running: &Running,
    folder: &Path,
    modules: &mut Modules,
) -> Result<(Arc<App>, Result<Deployed, Rejected>), StartError> {
    let (files, left_out) = directory::read(folder)
        .map_err(|error| StartError(format!("{}: {error}", folder.display())))?;
    let config = config::read(&files).config;
    let id = match config.client_app_id() {
        "" => directory::client_app_id(folder),
        id => Some(id.to_owned()),
    };
    if let Some(app) = known_app(running, id.as_deref(), config.name()).await? {
        let outcome = deploy(&app, folder, modules).await;
        return Ok((app, outcome));
    }
    let (release, mut findings) = app::check(&files);
    findings.extend(left_out);
    let Some(release) = release.filter(|_| !config::has_errors(&findings)) else {
        for finding in &findings {
            eprintln!("{finding}");
        }
        let text = "the app directory has errors, and nothing was deployed before";
        return Err(StartError(text.to_owned()));
    };
    let new = NewApp {
        name: app_name(config.name()),
        client_app_id: id,
        product: String::new(),
        config: Some(release.config),
        ..NewApp::default()
    };
    let core = &running.core;
    let app = core.create_app(&running.project_id, new, &author()).await?;
    let outcome = deploy(&app, folder, modules).await;
    Ok((app, outcome))
}

/// A name as apps may have it.
fn app_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    if name.is_empty() {
        "app".to_owned()
    } else {
        name
    }
}

/// The app that an earlier start made of this directory: by client app id, or
/// by name; the only one there is when the directory cannot tell.
async fn known_app(
    running: &Running,
    id: Option<&str>,
    name: &str,
) -> Result<Option<Arc<App>>, Problem> {
    let apps = running.core.apps(&running.project_id).await?;
    let found = if let Some(id) = id {
        apps.iter().find(|app| app.client_app_id == id)
    } else if !name.is_empty() {
        apps.iter()
            .find(|app| app.name == name || app.name == app_name(name))
    } else if apps.len() == 1 {
        apps.first()
    } else {
        None
    };
    match found {
        Some(found) => running.core.app(&found.id).await.map(Some),
        None => Ok(None),
    }
}

async fn deploy(
    app: &Arc<App>,
    folder: &Path,
    modules: &mut Modules,
) -> Result<Deployed, Rejected> {
    let (files, left_out) = directory::read(folder).map_err(|error| {
        let text = format!("the app directory cannot be read: {error}");
        let finding = Finding::error("", text).hint("start again when it is there again");
        Rejected::Findings(vec![finding])
    })?;
    if config::has_errors(&left_out) {
        return Err(Rejected::Findings(left_out));
    }
    for (name, value) in directory::secrets(folder).map_err(Rejected::Findings)? {
        app.set_secret(&name, &value).await.map_err(|problem| {
            let text = format!("\"{name}\": {}", problem.message);
            Rejected::Findings(vec![Finding::error(SECRETS, text)])
        })?;
    }
    // Before the functions that load them.
    let installed = modules.install(app, folder).await;
    let mut deployed = app.push(&files, &author()).await?;
    deployed.warnings.extend(left_out);
    match installed {
        Ok(installed) => deployed.changed |= installed,
        Err(why) => {
            let text = format!("the packages are not installed: {why}");
            deployed.warnings.push(Finding::warning(MODULES, text));
        }
    }
    let unset = unset_secrets(app).await.map_err(Rejected::Problem)?;
    deployed.warnings.extend(unset.into_iter().map(|name| {
        Finding::warning(SECRETS, format!("the secret \"{name}\" is not set"))
            .hint(format!("add \"{name}\" to {SECRETS}"))
    }));
    Ok(deployed)
}

/// The folder of packages, as npm leaves it in a directory.
const MODULES: &str = "functions/node_modules";
/// What npm writes last when it has changed that folder.
const MODULES_STAMP: &str = "functions/node_modules/.package-lock.json";

/// The packages of a directory that were installed.
#[derive(Default)]
pub(crate) struct Modules {
    /// When they were changed.
    installed: Option<SystemTime>,
}

impl Modules {
    /// Installs the directory's packages; whether they had changed.
    async fn install(&mut self, app: &Arc<App>, folder: &Path) -> Result<bool, String> {
        let modules = folder.join(MODULES);
        let changed = [folder.join(MODULES_STAMP), modules.clone()]
            .iter()
            .find_map(|path| std::fs::metadata(path).ok()?.modified().ok());
        if changed.is_none() || changed == self.installed {
            return Ok(false);
        }
        let packing = tokio::task::spawn_blocking(move || {
            packages::packed(&modules, &|_| ()).map_err(|error| error.to_string())
        });
        let archive = packing.await.map_err(|error| error.to_string())??;
        let [name, ..] = packages::ARCHIVES;
        app.install_dependencies(&author(), name, archive)
            .await
            .map_err(|problem| problem.message)?;
        self.installed = changed;
        // Whoever asks first is only told that there was an upload.
        for _ in 0..2 {
            let now = app.dependencies_status().await;
            let now = now.map_err(|problem| problem.message)?;
            if now.status == "failed" {
                return Err(now.message);
            }
        }
        Ok(true)
    }
}

/// Secrets that the app names and nobody has set.
async fn unset_secrets(app: &Arc<App>) -> Result<Vec<String>, Problem> {
    let known = app.list_secrets().await?;
    let mut named = app.release().config.secret_names();
    named.retain(|name| known.iter().all(|secret| secret.name != *name));
    Ok(named)
}

/// Watches a directory; what is hidden or installed does not count.
fn watch(
    folder: &Path,
    changes: mpsc::Sender<()>,
) -> Result<notify::RecommendedWatcher, StartError> {
    let failed =
        |error: notify::Error| StartError(format!("the app directory cannot be watched: {error}"));
    let root = folder.to_path_buf();
    let counts = move |path: &PathBuf| {
        let inside = path.strip_prefix(&root).unwrap_or(path);
        let special = [SECRETS, MODULES_STAMP];
        special.iter().any(|path| inside == Path::new(path)) || directory::counts(inside)
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !event.kind.is_access() && event.paths.iter().any(&counts) {
            // One that waits already stands for this one too.
            let _ = changes.try_send(());
        }
    })
    .map_err(failed)?;
    watcher
        .watch(folder, RecursiveMode::Recursive)
        .map_err(failed)?;
    Ok(watcher)
}
