//! Cases: short lists of commands that once had different answers.
//!
//! They are kept in `cases/*.json`: a list of `{ "why": text, "commands": [..] }`
//! in canonical Extended JSON.

use std::path::Path;

use bson::{Bson, Document, doc};

use crate::generate::{Area, Program};
use crate::run::Recorded;

/// A kept case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What was different.
    pub why: String,
    /// The commands, the last one being the one that was.
    pub commands: Vec<Document>,
}

impl Case {
    /// The case as a program. Its events are compared too where it begins with
    /// the making of a collection.
    pub fn program(&self, number: u64) -> Program {
        Program {
            area: Area::Mixed,
            seed: number,
            commands: self.commands.clone(),
            watched: self
                .commands
                .first()
                .is_some_and(|c| c.contains_key("create")),
        }
    }
}

/// Reads the cases of every file of a folder, in order of name.
///
/// # Panics
/// When a file is not a list of cases.
pub fn load(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        cases.extend(parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    cases
}

/// Reads a list of cases.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let list: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut cases = Vec::new();
    for item in list {
        let why = item["why"].as_str().unwrap_or_default().to_owned();
        let commands = item["commands"].as_array().cloned().unwrap_or_default();
        let commands: Result<Vec<Document>, String> = commands
            .into_iter()
            .map(|command| match Bson::try_from(command) {
                Ok(Bson::Document(command)) => Ok(command),
                Ok(other) => Err(format!("not a command: {other}")),
                Err(error) => Err(error.to_string()),
            })
            .collect();
        cases.push(Case {
            why,
            commands: commands?,
        });
    }
    Ok(cases)
}

/// Writes cases as [`parse`] reads them.
pub fn print(cases: &[Case]) -> String {
    let list: Vec<serde_json::Value> = cases
        .iter()
        .map(|case| {
            let commands = case.commands.iter().cloned().map(Bson::Document);
            let commands: Vec<_> = commands.map(Bson::into_canonical_extjson).collect();
            serde_json::json!({ "why": case.why, "commands": commands })
        })
        .collect();
    let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// The commands that show what is different at a step: what shaped the
/// collections, the documents that were in them, and the command.
pub(crate) fn of(recorded: &Recorded, at: usize) -> Vec<Document> {
    let before = &recorded.steps[..at];
    let name = |command: &Document| command.keys().next().cloned().unwrap_or_default();
    let mut case: Vec<Document> = before
        .iter()
        .filter(|step| {
            let shapes = ["create", "createIndexes", "dropIndexes", "collMod"];
            step.reply.is_ok() && shapes.contains(&name(&step.command).as_str())
        })
        .map(|step| step.command.clone())
        .collect();
    let last = before.iter().rev().find(|step| {
        step.state.is_some() && name(&step.command) != "aggregate" && !inserts_d(&step.command)
    });
    if let Some(documents) = last.and_then(|step| step.state.clone())
        && !documents.is_empty()
    {
        case.push(doc! { "insert": "c", "documents": documents });
    }
    case.extend(
        before
            .iter()
            .filter(|step| {
                inserts_d(&step.command)
                    || name(&step.command) == "aggregate" && step.state.is_some()
            })
            .map(|step| step.command.clone()),
    );
    case.push(recorded.steps[at].command.clone());
    case
}

fn inserts_d(command: &Document) -> bool {
    command.get_str("insert").is_ok_and(|into| into == "d")
}
