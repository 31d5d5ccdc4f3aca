//! What the commands say: text for people, or JSON lines in the official CLI's
//! shape, `{time, level, message, …}`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::administration::aligned;
use crate::archives::Failed;

/// The form of what is said.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Text,
    Json,
}

/// Where it is said.
pub(super) struct Out {
    form: Form,
    color: bool,
    yes: bool,
    target: Option<File>,
}

impl Out {
    pub(super) fn new(
        form: Form,
        plain: bool,
        yes: bool,
        target: Option<&Path>,
    ) -> Result<Self, Failed> {
        let wrong = |path: &Path, error| format!("{}: {error}", path.display());
        let target = match target {
            Some(path) => Some(File::create(path).map_err(|error| wrong(path, error))?),
            None => None,
        };
        let terminal = target.is_none() && io::stdout().is_terminal();
        Ok(Self {
            form,
            color: terminal && !plain && std::env::var_os("NO_COLOR").is_none(),
            yes,
            target,
        })
    }

    /// Whether every question is answered with yes.
    pub(super) fn yes(&self) -> bool {
        self.yes
    }

    /// A sentence.
    pub(super) fn say(&mut self, message: &str) -> Result<(), Failed> {
        self.put(message, message.to_owned(), json!({}))
    }

    /// A sentence, and a list below it.
    pub(super) fn list(&mut self, message: &str, items: &[String]) -> Result<(), Failed> {
        let mut text = message.to_owned();
        for item in items {
            text.push_str("\n  ");
            text.push_str(item);
        }
        self.put(message, text, json!({ "data": items }))
    }

    /// How many of something there are and a table of them, or that there are none.
    pub(super) fn found(
        &mut self,
        what: &str,
        headers: &[&str],
        rows: &[Vec<Value>],
    ) -> Result<(), Failed> {
        if rows.is_empty() {
            return self.say(&format!("there are no {what}"));
        }
        self.table(&format!("{what}: {}", rows.len()), headers, rows)
    }

    /// A sentence, and a table below it.
    pub(super) fn table(
        &mut self,
        message: &str,
        headers: &[&str],
        rows: &[Vec<Value>],
    ) -> Result<(), Failed> {
        let cell = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut lines = vec![
            headers.iter().map(|&name| name.to_owned()).collect(),
            headers.iter().map(|name| "-".repeat(name.len())).collect(),
        ];
        lines.extend(
            rows.iter()
                .map(|row| row.iter().map(cell).collect::<Vec<_>>()),
        );
        let text = format!("{message}\n  {}", aligned(&lines).join("\n  "));
        let data: Vec<Value> = rows
            .iter()
            .map(|row| {
                let fields = headers.iter().zip(row);
                let fields: Map<_, _> = fields
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect();
                Value::Object(fields)
            })
            .collect();
        self.put(message, text, json!({ "data": data, "headers": headers }))
    }

    /// A sentence, and a document below it.
    pub(super) fn document(&mut self, message: &str, document: &Value) -> Result<(), Failed> {
        let text = format!("{message}\n{document:#}");
        self.put(message, text, json!({ "doc": document }))
    }

    /// Diffs as the server wrote them, in colours on a terminal.
    pub(super) fn diffs(&mut self, message: &str, diffs: &[String]) -> Result<(), Failed> {
        let mut text = message.to_owned();
        for line in diffs.iter().flat_map(|diff| diff.lines()) {
            let color = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => "",
            };
            text.push('\n');
            if self.color && !color.is_empty() {
                let _ = write!(text, "\x1b[{color}m{line}\x1b[0m");
            } else {
                text.push_str(line);
            }
        }
        self.put(message, text, json!({ "data": diffs }))
    }

    /// Asks whether to go on; with nobody there to ask, that takes `--yes`.
    pub(super) fn confirm(&mut self, question: &str) -> Result<bool, Failed> {
        if self.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(format!("{question}? Nobody is here to answer; say --yes").into());
        }
        eprint!("{question}? [y/N] ");
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
    }

    fn put(&mut self, message: &str, text: String, rest: Value) -> Result<(), Failed> {
        let line = match self.form {
            Form::Text => text,
            Form::Json => {
                let time = super::now()?;
                let mut line = json!({ "time": time, "level": "info", "message": message });
                if let (Some(line), Value::Object(rest)) = (line.as_object_mut(), rest) {
                    line.extend(rest);
                }
                line.to_string()
            }
        };
        let done = match &mut self.target {
            Some(file) => writeln!(file, "{line}"),
            None => writeln!(io::stdout(), "{line}"),
        };
        match done {
            // A reader that has seen enough is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }
}
