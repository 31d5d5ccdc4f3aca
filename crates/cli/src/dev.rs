//! `backstitch dev`: a server for one app directory, which it watches.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use app::{App, Author, Deployed, NewApp, Rejected};
use kit::{Finding, Problem};
use notify::{RecursiveMode, Watcher};
use serde_json::{Value, json};
use server::{Running, StartError};
use tokio::sync::mpsc;

use crate::Dev;
use crate::serve::{start, stopped};

/// Editors write a file in several steps; this is how long they get.
const SETTLE: Duration = Duration::from_millis(40);

/// The whole of `backstitch dev`.
pub(crate) async fn run(options: Dev) -> Result<(), StartError> {
    let screen = Screen {
        json: options.json,
        color: std::io::stdout().is_terminal(),
    };
    let folder = match &options.directory {
        Some(folder) => Some(
            folder
                .canonicalize()
                .map_err(|error| StartError(format!("{}: {error}", folder.display())))?,
        ),
        None => None,
    };
    let running = start(options.server).await?;
    let mut logs = running.core.logbook.follow();
    let app = match &folder {
        Some(folder) => Some(first_deployment(&running, folder, &screen).await?),
        None => None,
    };
    screen.ready(&running, app.as_deref(), folder.as_deref());
    let (changes, mut changed) = mpsc::channel(1);
    let _watcher = match &folder {
        Some(folder) => Some(watch(folder, changes)?),
        None => None,
    };
    let stop = stopped();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(()) = changed.recv() => {
                if let (Some(app), Some(folder)) = (&app, &folder) {
                    tokio::time::sleep(SETTLE).await;
                    while changed.try_recv().is_ok() {}
                    let start = Instant::now();
                    match deploy(app, folder).await {
                        Ok(deployed) => screen.deployed(&deployed, start.elapsed()),
                        Err(rejected) => screen.rejected(&rejected),
                    }
                }
            }
            entry = logs.recv() => {
                if let Ok(entry) = entry {
                    screen.log(&entry);
                }
            }
        }
    }
    running.shutdown().await;
    Ok(())
}

fn author() -> Author {
    Author {
        user_id: "dev".to_owned(),
        origin: "CLI".to_owned(),
    }
}

/// Finds or makes the directory's app and deploys to it. A directory that is
/// wrong keeps what an earlier start deployed.
async fn first_deployment(
    running: &Running,
    folder: &Path,
    screen: &Screen,
) -> Result<Arc<App>, StartError> {
    let files = crate::directory::read(folder)
        .map_err(|error| StartError(format!("{}: {error}", folder.display())))?;
    let (config, findings) = config::parse(&files);
    let known = known_app(running, config.as_ref()).await?;
    let app = match known {
        Some(app) => app,
        None => {
            let wrong = || {
                StartError("the app directory has errors; nothing was deployed before".to_owned())
            };
            let Some(config) = config else {
                screen.findings(&findings);
                return Err(wrong());
            };
            let (release, findings) = app::check(&files);
            if release.is_none() {
                screen.findings(&findings);
                return Err(wrong());
            }
            let client_app_id = config.client_app_id().to_owned();
            let new = NewApp {
                name: app_name(config.name()),
                client_app_id: (!client_app_id.is_empty()).then_some(client_app_id),
                product: String::new(),
                config: Some(config),
            };
            running
                .core
                .create_app(&running.project_id, new, &author())
                .await?
        }
    };
    match deploy(&app, folder).await {
        Ok(deployed) => screen.findings(&deployed.warnings),
        Err(rejected) => screen.rejected(&rejected),
    }
    Ok(app)
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
/// by name.
async fn known_app(
    running: &Running,
    config: Option<&config::AppConfig>,
) -> Result<Option<Arc<App>>, Problem> {
    let apps = running.core.apps(&running.project_id).await?;
    let found = match config {
        Some(config) if !config.client_app_id().is_empty() => apps
            .iter()
            .find(|app| app.client_app_id == config.client_app_id()),
        Some(config) => {
            let name = app_name(config.name());
            apps.iter()
                .find(|app| app.name == config.name() || app.name == name)
        }
        // The directory cannot be read: the only app there is, if so.
        None if apps.len() == 1 => apps.first(),
        None => None,
    };
    match found {
        Some(found) => running.core.app(&found.id).await.map(Some),
        None => Ok(None),
    }
}

async fn deploy(app: &Arc<App>, folder: &Path) -> Result<Deployed, Rejected> {
    let unreadable = |text: String| Rejected::Problem(Problem::bad_request(text));
    let files = crate::directory::read(folder).map_err(|error| unreadable(error.to_string()))?;
    for (name, value) in crate::directory::secrets(folder).map_err(unreadable)? {
        app.set_secret(&name, &value)
            .await
            .map_err(Rejected::Problem)?;
    }
    app.push(&files, &author()).await
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
        !inside.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            (name.starts_with('.') && name != ".secrets.json") || name == "node_modules"
        })
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

/// Where things are shown: for people, or as JSON lines.
struct Screen {
    json: bool,
    color: bool,
}

impl Screen {
    fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away is no reason to stop serving.
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn ready(&self, running: &Running, app: Option<&App>, folder: Option<&Path>) {
        let private_key = running.keys.private_key.expose();
        if self.json {
            self.line(
                &json!({
                    "url": running.url, "project_id": running.project_id,
                    "app_id": app.map(|app| &app.id),
                    "client_app_id": app.map(|app| &app.client_app_id),
                    "public_key": running.keys.public_key, "private_key": private_key,
                })
                .to_string(),
            );
            return;
        }
        let row = |name: &str, value: &str| self.line(&format!("  {:<14}{value}", name));
        self.line("");
        self.line(&self.paint("1", "Backstitch is ready"));
        row("URL", &running.url);
        if let Some(app) = app {
            row("App id", &app.client_app_id);
        }
        row("Project", &running.project_id);
        row("Public key", &running.keys.public_key);
        row("Private key", private_key);
        if let Some(app) = app {
            let release = app.release();
            let callable = release
                .functions
                .values()
                .find(|f| !f.private)
                .map(|f| f.name.clone());
            self.line("");
            self.line("  Connect with an SDK:");
            self.line(&format!(
                "    new Realm.App({{ id: \"{}\", baseUrl: \"{}\" }})",
                app.client_app_id, running.url
            ));
            if let Some(name) = callable {
                self.line(&format!("    await user.functions.{name}(…)"));
            }
        }
        if let Some(folder) = folder {
            self.line("");
            self.line(&format!("Watching {} (stop with Ctrl-C)", folder.display()));
        }
    }

    fn findings(&self, findings: &[Finding]) {
        if self.json {
            if !findings.is_empty() {
                eprintln!("{}", text(findings));
            }
            return;
        }
        for finding in findings {
            self.line(&self.paint("33", &finding.to_string()));
        }
    }

    fn deployed(&self, deployed: &Deployed, time: Duration) {
        if !deployed.changed {
            return;
        }
        if self.json {
            let line = json!({
                "event": "deployed", "revision": deployed.revision,
                "findings": list(&deployed.warnings), "ms": time.as_millis() as u64,
            });
            self.line(&line.to_string());
            return;
        }
        let text = format!("deployed in {} ms", time.as_millis());
        self.line(&self.paint("32", &text));
    }

    fn rejected(&self, rejected: &Rejected) {
        let findings = match rejected {
            Rejected::Findings(findings) => findings.clone(),
            Rejected::Problem(problem) => vec![Finding::error("", problem.to_string())],
        };
        if self.json {
            self.line(&json!({ "event": "rejected", "findings": list(&findings) }).to_string());
            return;
        }
        for finding in &findings {
            self.line(&self.paint("31", &finding.to_string()));
        }
        self.line(&self.paint("31", "not deployed; the version before goes on serving"));
    }

    fn log(&self, entry: &app::LogEntry) {
        let messages = entry.details.get_array("messages").into_iter().flatten();
        let messages: Vec<&str> = messages.filter_map(|line| line.as_str()).collect();
        let name = entry.details.get_str("function_name").unwrap_or_default();
        let ms = entry.completed - entry.started;
        if self.json {
            let line = json!({
                "event": "log", "type": entry.kind, "function": name, "user_id": entry.user_id,
                "co_id": entry.co_id, "ms": ms, "messages": messages, "error": entry.error,
                "error_code": entry.error_code,
            });
            self.line(&line.to_string());
            return;
        }
        let mark = if entry.error.is_empty() {
            self.paint("32", "ok")
        } else {
            self.paint("31", "failed")
        };
        self.line(&format!(
            "{:<9}{name} {mark} {ms} ms",
            entry.kind.to_lowercase()
        ));
        for message in messages {
            self.line(&format!("         | {message}"));
        }
        if !entry.error.is_empty() {
            self.line(&format!("         {}", entry.error));
        }
    }
}

fn text(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn list(findings: &[Finding]) -> Vec<Value> {
    findings
        .iter()
        .map(|finding| {
            json!({
                "severity": if finding.severity == kit::Severity::Error { "error" } else { "warning" },
                "path": finding.path, "line": finding.line, "column": finding.column,
                "message": finding.message, "hint": finding.hint,
            })
        })
        .collect()
}
