//! What `dev` shows: to people, or as JSON lines.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use app::mail::ShownMail;
use app::users::TokenFor;
use app::{App, Deployed, Rejected};
use kit::{Finding, Severity};
use serde_json::{Value, json};
use server::Running;

use crate::check::many;

/// Where things are shown.
pub(crate) struct Screen {
    json: bool,
    color: bool,
    /// Warnings that were shown already.
    known: Vec<Finding>,
    /// Whether the directory was wrong when it was last read.
    wrong: bool,
}

const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const FAINT: &str = "2";

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            known: Vec::new(),
            wrong: false,
        }
    }

    /// The first deployment and the summary. A script reads the summary first.
    pub(crate) fn first(
        &mut self,
        running: &Running,
        app: &App,
        folder: &Path,
        outcome: &Result<Deployed, Rejected>,
        time: Duration,
    ) {
        self.wrong = outcome.is_err();
        if self.json {
            self.ready(running, Some(app), Some(folder));
            event(outcome, time);
            return;
        }
        match outcome {
            Ok(deployed) => self.warnings(deployed),
            Err(rejected) => self.rejected(rejected),
        }
        self.ready(running, Some(app), Some(folder));
    }

    /// What came of a change.
    pub(crate) fn outcome(&mut self, outcome: &Result<Deployed, Rejected>, time: Duration) {
        let was_wrong = std::mem::replace(&mut self.wrong, outcome.is_err());
        match outcome {
            Ok(deployed) if !deployed.changed && !was_wrong => self.warnings(deployed),
            _ if self.json => event(outcome, time),
            Ok(deployed) => {
                self.warnings(deployed);
                // What was wrong may have been undone.
                let text = if deployed.changed {
                    format!("deployed in {} ms", time.as_millis())
                } else {
                    "no errors any more; the version before is what is there".to_owned()
                };
                line(&self.paint(GREEN, &text));
            }
            Err(rejected) => self.rejected(rejected),
        }
    }

    /// The summary.
    pub(crate) fn ready(&self, running: &Running, app: Option<&App>, folder: Option<&Path>) {
        let keys = running.keys.as_ref();
        let public_key = keys.map(|keys| keys.public_key.as_str());
        let private_key = keys.map(|keys| keys.private_key.expose().as_str());
        if self.json {
            line(
                &json!({
                    "url": running.url, "project_id": running.project_id,
                    "app_id": app.map(|app| &app.id),
                    "client_app_id": app.map(|app| &app.client_app_id),
                    "public_key": public_key, "private_key": private_key,
                })
                .to_string(),
            );
            return;
        }
        let row = |name: &str, value: &str| {
            line(&format!(
                "  {} {value}",
                self.paint(FAINT, &format!("{name:<12}"))
            ));
        };
        line("");
        let release = app.map(App::release);
        let name = release.as_ref().map_or("Backstitch", |r| r.config.name());
        line(&self.paint(BOLD, &format!("{name} is ready at {}", running.url)));
        line("");
        if let Some(app) = app {
            row("App id", &app.client_app_id);
        }
        row("Project id", &running.project_id);
        match (public_key, private_key) {
            (Some(public), Some(private)) => {
                row("Public key", public);
                row("Private key", private);
            }
            _ => row("Keys", "those of the server that was there first"),
        }
        if let (Some(app), Some(release)) = (app, &release) {
            line("");
            line(&format!(
                "  const app = new Realm.App({{ id: \"{}\", baseUrl: \"{}\" }});",
                app.client_app_id, running.url
            ));
            let public = release.config.functions().find(|(_, f)| !f.private());
            if let Some((name, _)) = public {
                line(&format!("  await user.callFunction(\"{name}\");"));
            }
        }
        if let Some(folder) = folder {
            line("");
            let text = format!("Watching {}. Ctrl-C stops.", shown(folder));
            line(&text);
        }
        line("");
    }

    /// A log entry.
    pub(crate) fn log(&self, entry: &app::LogEntry) {
        let messages = entry.details.get_array("messages").into_iter().flatten();
        let messages: Vec<&str> = messages.filter_map(|line| line.as_str()).collect();
        let name = entry.details.get_str("function_name").unwrap_or_default();
        let ms = entry.completed - entry.started;
        let stack = entry.details.get_str("stack").unwrap_or_default();
        if self.json {
            let event = json!({
                "event": "log", "type": entry.kind, "function": name, "user_id": entry.user_id,
                "co_id": entry.co_id, "ms": ms, "messages": messages, "error": entry.error,
                "error_code": entry.error_code, "stack": stack,
            });
            line(&event.to_string());
            return;
        }
        let mark = if entry.error.is_empty() {
            self.paint(GREEN, "ok")
        } else {
            self.paint(RED, "failed")
        };
        let what = format!("{} {name}", entry.kind.to_lowercase());
        line(&format!("{} {mark} {ms} ms", what.trim_end()));
        for message in messages {
            line(&format!("  | {message}"));
        }
        if !entry.error.is_empty() {
            line(&format!("  {}", entry.error));
            for frame in stack.lines() {
                line(&self.paint(FAINT, &format!("  {frame}")));
            }
        }
    }

    /// A mail that went nowhere.
    pub(crate) fn mail(&self, mail: &ShownMail) {
        let (name, what) = match mail.purpose {
            TokenFor::Confirmation => ("confirmation", "confirms the address of"),
            TokenFor::Reset => ("reset", "resets the password of"),
        };
        let link = mail.link.expose();
        if self.json {
            let event = json!({
                "event": "mail", "app": mail.app, "purpose": name, "to": mail.to,
                "subject": mail.subject, "link": link, "text": mail.text.expose(),
            });
            line(&event.to_string());
            return;
        }
        line(&format!("mail not sent; this {what} {}", mail.to));
        line(&format!("  {}", self.paint(BOLD, link)));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Warnings that are new.
    fn warnings(&mut self, deployed: &Deployed) {
        for warning in &deployed.warnings {
            // A script gets them with the event.
            if !self.json && !self.known.contains(warning) {
                self.finding(warning);
            }
        }
        self.known.clone_from(&deployed.warnings);
    }

    fn rejected(&self, rejected: &Rejected) {
        let findings = findings(rejected);
        for finding in &findings {
            self.finding(finding);
        }
        let errors = findings.iter().filter(|f| f.severity == Severity::Error);
        let text = format!(
            "not deployed ({}); the version before goes on serving",
            many(errors.count(), "error")
        );
        line(&self.paint(RED, &text));
    }

    fn finding(&self, finding: &Finding) {
        let color = match finding.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
        };
        line(&self.paint(color, &finding.to_string()));
    }
}

fn event(outcome: &Result<Deployed, Rejected>, time: Duration) {
    let event = match outcome {
        Ok(deployed) => json!({
            "event": "deployed", "revision": deployed.revision,
            "findings": list(&deployed.warnings), "ms": time.as_millis() as u64,
        }),
        Err(rejected) => json!({ "event": "rejected", "findings": list(&findings(rejected)) }),
    };
    line(&event.to_string());
}

fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away is no reason to stop serving.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn findings(rejected: &Rejected) -> Vec<Finding> {
    match rejected {
        Rejected::Findings(findings) => findings.clone(),
        Rejected::Problem(problem) => vec![Finding::error("", problem.to_string())],
    }
}

/// A folder as people write it: from where they are, if it is below.
fn shown(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let inside = folder.strip_prefix(here).unwrap_or(folder);
    if inside.as_os_str().is_empty() {
        return "this directory".to_owned();
    }
    inside.display().to_string()
}

fn list(findings: &[Finding]) -> Vec<Value> {
    findings
        .iter()
        .map(|finding| {
            json!({
                "severity": match finding.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "path": finding.path, "line": finding.line, "column": finding.column,
                "message": finding.message, "hint": finding.hint,
                "frame": finding.frame,
            })
        })
        .collect()
}
