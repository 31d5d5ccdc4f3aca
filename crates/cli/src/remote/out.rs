//! What the commands say: text for people, or JSON lines in the official CLI's
//! shape, `{time, level, message, …}`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::progress::Progress;
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
    colors_off: bool,
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
            // As the official CLI does; and no file that is there is lost.
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                Some(file.map_err(|error| wrong(path, error))?)
            }
            None => None,
        };
        let terminal = target.is_none() && io::stdout().is_terminal();
        Ok(Self {
            form,
            color: terminal && !plain && std::env::var_os("NO_COLOR").is_none(),
            colors_off: plain,
            yes,
            target,
        })
    }

    /// Whether a program reads the answer.
    pub(super) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Whether every question is answered with yes.
    pub(super) fn yes(&self) -> bool {
        self.yes
    }

    /// Whether colours are not wanted on a terminal either.
    pub(super) fn colors_off(&self) -> bool {
        self.colors_off
    }

    /// What long work is at, on a terminal, and only for people.
    pub(super) fn progress(&self, message: &str) -> Progress {
        Progress::new(self.form == Form::Text, message)
    }

    /// The same, for work of so many steps.
    pub(super) fn progress_of(&self, message: &str, steps: usize) -> Progress {
        Progress::of(self.form == Form::Text, message, steps)
    }

    /// Something that is not as it should be, and no reason to stop.
    pub(super) fn warn(&mut self, message: &str) -> Result<(), Failed> {
        if self.form == Form::Text {
            eprintln!("{}", plain(message));
            return Ok(());
        }
        self.put("warn", message, "", json!({}))
    }

    /// A sentence.
    pub(super) fn say(&mut self, message: &str) -> Result<(), Failed> {
        self.put("info", message, message, json!({}))
    }

    /// A sentence, and a list below it.
    pub(super) fn list(&mut self, message: &str, items: &[String]) -> Result<(), Failed> {
        let mut text = message.to_owned();
        for item in items {
            text.push_str("\n  ");
            text.push_str(item);
        }
        self.put("info", message, &text, json!({ "data": items }))
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
        // Texts in JSON too, as the official CLI has them.
        let cell = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(cell).collect())
            .collect();
        let named = |row: &Vec<String>| {
            let fields = headers.iter().zip(row);
            let fields = fields.map(|(name, text)| ((*name).to_owned(), text.clone().into()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        let data: Vec<Value> = rows.iter().map(named).collect();
        let mut lines = vec![
            headers.iter().map(|&name| name.to_owned()).collect(),
            headers.iter().map(|name| "-".repeat(name.len())).collect(),
        ];
        lines.extend(rows);
        let text = format!("{message}\n  {}", aligned(&lines).join("\n  "));
        let rest = json!({ "data": data, "headers": headers });
        self.put("info", message, &text, rest)
    }

    /// A sentence, and a document below it.
    pub(super) fn document(&mut self, message: &str, document: &Value) -> Result<(), Failed> {
        let text = format!("{message}\n{document:#}");
        self.put("info", message, &text, json!({ "doc": document }))
    }

    /// Diffs as the server wrote them, in colours on a terminal.
    pub(super) fn diffs(&mut self, message: &str, diffs: &[String]) -> Result<(), Failed> {
        let mut text = message.to_owned();
        for line in diffs.iter().flat_map(|diff| diff.lines()).map(plain) {
            let color = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                Some(b'*') => "33",
                _ => "",
            };
            text.push('\n');
            if self.color && !color.is_empty() {
                let _ = write!(text, "\x1b[{color}m{line}\x1b[0m");
            } else {
                text.push_str(&line);
            }
        }
        self.put_painted("info", message, text, json!({ "data": diffs }))
    }

    fn put(&mut self, level: &str, message: &str, text: &str, rest: Value) -> Result<(), Failed> {
        self.put_painted(level, message, plain(text), rest)
    }

    /// A text whose control characters are meant.
    fn put_painted(
        &mut self,
        level: &str,
        message: &str,
        text: String,
        rest: Value,
    ) -> Result<(), Failed> {
        let line = match self.form {
            Form::Text => text,
            Form::Json => line(level, "message", message, rest)?,
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

/// A line of JSON in the official CLI's shape.
fn line(level: &str, name: &str, text: &str, rest: Value) -> Result<String, Failed> {
    let mut line = json!({ "time": super::now()?, "level": level, name: text });
    if let (Some(line), Value::Object(rest)) = (line.as_object_mut(), rest) {
        line.extend(rest);
    }
    Ok(line.to_string())
}

/// Says on the error output why a command failed.
pub(super) fn complain(form: Form, error: &Failed) {
    let text = error.to_string();
    match line("error", "err", &text, json!({})) {
        Ok(line) if form == Form::Json => eprintln!("{line}"),
        _ => eprintln!("backstitch: {}", plain(&text)),
    }
}

/// A text that moves no cursor and paints nothing: names and logs come from
/// whoever uses the app.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn no_text_commands_the_terminal() {
        let told = "a\u{1b}[2J\r\u{9b}31m\u{7}\n\tb\u{7f}";
        assert_eq!(plain(told), "a\\u{1b}[2J\\r\\u{9b}31m\\u{7}\n\tb\\u{7f}");
        assert_eq!(plain("été 你"), "été 你");
    }
}
