//! Reading the files of cases.

use std::fmt::Write as _;
use std::path::Path;

/// A file: an app, and calls of its functions.
pub(super) struct Case {
    files: Vec<(String, String)>,
    functions: Vec<String>,
    pub(super) secrets: Vec<(String, String)>,
    pub(super) calls: Vec<Call>,
}

pub(super) struct Call {
    pub(super) line: usize,
    /// `alice` or `bob`.
    pub(super) user: String,
    pub(super) name: String,
    /// An array of Extended JSON.
    pub(super) arguments: String,
    pub(super) wanted: Wanted,
    /// The lines of the console, unless there are none here.
    pub(super) logs: Vec<String>,
}

pub(super) enum Wanted {
    /// Canonical Extended JSON.
    Result(String),
    /// `code: text`.
    Error(String),
}

/// Every file's name and text, in order.
pub(super) fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions/cases");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

impl Case {
    pub(super) fn read(name: &str, text: &str) -> Self {
        let mut case = Self {
            files: Vec::new(),
            functions: Vec::new(),
            secrets: Vec::new(),
            calls: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let at = || format!("{name}:{}: {line}", number + 1);
            if let Some(head) = line.strip_prefix("//- ") {
                let (path, settings) = head.split_once(' ').unwrap_or((head, "{}"));
                if let Some(function) = path
                    .strip_prefix("functions/")
                    .and_then(|path| path.strip_suffix(".js"))
                {
                    let settings = settings.trim_start_matches('{');
                    let comma = if settings == "}" { "" } else { "," };
                    case.functions
                        .push(format!(r#"{{"name":"{function}"{comma}{settings}"#));
                }
                if path == "secret" {
                    let (secret, value) = settings
                        .split_once(' ')
                        .unwrap_or_else(|| panic!("{}", at()));
                    case.secrets.push((secret.to_owned(), value.to_owned()));
                } else {
                    case.files.push((path.to_owned(), String::new()));
                }
            } else if let Some(call) = line.strip_prefix("//= ") {
                let (user, call) = call
                    .split_once(": ")
                    .filter(|(user, _)| *user == "bob")
                    .unwrap_or(("alice", call));
                let (function, arguments) = call.split_once(' ').unwrap_or((call, "[]"));
                case.calls.push(Call {
                    line: number + 1,
                    user: user.to_owned(),
                    name: function.to_owned(),
                    arguments: arguments.to_owned(),
                    wanted: Wanted::Result(String::new()),
                    logs: Vec::new(),
                });
            } else if let Some(text) = line.strip_prefix("//> ") {
                let call = case.calls.last_mut().unwrap_or_else(|| panic!("{}", at()));
                call.wanted = Wanted::Result(text.to_owned());
            } else if let Some(text) = line.strip_prefix("//! ") {
                let call = case.calls.last_mut().unwrap_or_else(|| panic!("{}", at()));
                call.wanted = Wanted::Error(text.to_owned());
            } else if let Some(text) = line.strip_prefix("//~ ") {
                let call = case.calls.last_mut().unwrap_or_else(|| panic!("{}", at()));
                call.logs.push(text.replace("\\n", "\n"));
            } else if let Some((_, content)) = case.files.last_mut() {
                content.push_str(line);
                content.push('\n');
            }
        }
        case
    }

    /// The app as a fixture of the tests' world.
    pub(super) fn fixture(&self) -> String {
        let mut out = format!(
            r#"
//- realm_config.json
{{ "config_version": 20210101, "app_id": "a-abcde", "name": "fixture", "environment": "qa",
   "deployment_model": "LOCAL", "provider_region": "aws-us-east-1" }}
//- auth/providers.json
{{ "local-userpass": {{ "name": "local-userpass", "type": "local-userpass", "disabled": false,
   "config": {{ "autoConfirm": true, "resetPasswordUrl": "https://example.com/reset" }} }} }}
//- data_sources/mongodb-atlas/config.json
{{ "name": "mongodb-atlas", "type": "mongodb-atlas", "config": {{ "clusterName": "Cluster0" }} }}
//- functions/config.json
[{}]
"#,
            self.functions.join(",")
        );
        for (path, content) in &self.files {
            let _ = write!(out, "//- {path}\n{content}\n");
        }
        out
    }
}

/// Whether a text is the one that is wanted, in which `…` stands for anything.
pub(super) fn matches(got: &str, wanted: &str) -> bool {
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = got.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn what_stands_for_anything() {
    for (got, wanted, same) in [
        ("a", "a", true),
        ("ab", "a", false),
        ("axb", "a…b", true),
        ("ab", "a…b", true),
        ("axbc", "a…b", false),
        ("axbyc", "a…b…c", true),
        ("a", "a…a", false),
        ("", "…", true),
    ] {
        assert_eq!(matches(got, wanted), same, "{got} {wanted}");
    }
}
