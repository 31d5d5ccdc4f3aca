//! `logs`, `functions` and `schema`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::out::Out;
use super::{App, Desk, Group, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum LogsVerb {
    /// Show log entries, the newest last
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
        /// Only of these kinds, with commas
        #[arg(long = "type", value_delimiter = ',')]
        kinds: Vec<LogKind>,
        /// Only errors
        #[arg(long)]
        errors: bool,
        /// Only after this time, such as 2024-01-31 or 2024-01-31T12:30+0200 (default zone: UTC)
        #[arg(long, value_parser = moment)]
        start: Option<String>,
        /// Only up to this time
        #[arg(long, value_parser = moment)]
        end: Option<String>,
        /// Go on with what is logged from now on, whatever --start and --end say
        #[arg(long, visible_alias = "follow")]
        tail: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogKind {
    Auth,
    Function,
    Push,
    Service,
    Trigger,
    Graphql,
    Sync,
    Schema,
}

impl LogKind {
    /// The log types of the Admin API.
    fn types(self) -> &'static str {
        match self {
            Self::Auth => "AUTH,API_KEY",
            Self::Function => "FUNCTION",
            Self::Push => "PUSH",
            Self::Service => "SERVICE_FUNCTION,SERVICE_STREAM_FUNCTION,STREAM_FUNCTION,WEBHOOK",
            Self::Trigger => "AUTH_TRIGGER,DB_TRIGGER,SCHEDULED_TRIGGER",
            Self::Graphql => "GRAPHQL",
            Self::Sync => {
                "SYNC_CLIENT_WRITE,SYNC_CONNECTION_END,SYNC_CONNECTION_START,SYNC_ERROR,\
                 SYNC_OTHER,SYNC_SESSION_END,SYNC_SESSION_START"
            }
            Self::Schema => "SCHEMA_ADDITIVE_CHANGE,SCHEMA_GENERATION,SCHEMA_VALIDATION",
        }
    }
}

/// A time as RFC 3339 has it, of one that leaves out what is zero.
fn moment(text: &str) -> Result<String, String> {
    let wrong = || "a time is wanted, such as 2024-01-31T12:30:00Z".to_owned();
    let (date, rest) = text
        .split_at_checked("2024-01-31".len())
        .ok_or_else(wrong)?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at_checked(zone_at).ok_or_else(wrong)?;
    let time = match time.len() {
        0 => "T00:00:00".to_owned(),
        3 => format!("{time}:00:00"),
        6 => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let zone = match zone.split_at_checked(3) {
        None => "Z".to_owned(),
        Some((hours, "")) => format!("{hours}:00"),
        Some((hours, minutes)) => format!("{hours}:{}", minutes.trim_start_matches(':')),
    };
    let time = bson::DateTime::parse_rfc3339_str(format!("{date}{time}{zone}"));
    let time = time.map_err(|_| wrong())?;
    time.try_to_rfc3339_string().map_err(|_| wrong())
}

/// How often a tail looks for more.
const TAIL: Duration = Duration::from_secs(2);

impl LogsVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        let Self::List {
            which,
            kinds,
            errors,
            start,
            end,
            tail,
        } = self;
        let app = desk.app(&which)?;
        let mut query = String::from("/logs?");
        if !kinds.is_empty() {
            let types: Vec<&str> = kinds.iter().map(|kind| kind.types()).collect();
            let _ = write!(query, "type={}&", types.join(","));
        }
        if errors {
            query.push_str("errors_only=true&");
        }
        if let (false, Some(end)) = (tail, &end) {
            let _ = write!(query, "end_date={}&", archive::escaped(end));
        }
        if !tail {
            let found = entries(&mut desk, &app, &query, start.as_deref())?;
            if found.is_empty() {
                return desk.out.say("there are no log entries");
            }
            return found.iter().try_for_each(|entry| show(&mut desk, entry));
        }
        // Times are the server's: each look begins at the newest entry seen.
        let mut seen: Vec<Value> = Vec::new();
        let mut since = super::now()?;
        loop {
            let found = entries(&mut desk, &app, &query, Some(&since))?;
            for entry in &found {
                if !seen.contains(&entry["_id"]) {
                    show(&mut desk, entry)?;
                }
            }
            if let Some(newest) = found.last().and_then(|entry| entry["started"].as_str()) {
                newest.clone_into(&mut since);
                seen = found.iter().map(|entry| entry["_id"].clone()).collect();
            }
            super::pause(TAIL)?;
        }
    }
}

/// A page of entries, by time.
fn entries(
    desk: &mut Desk,
    app: &App,
    query: &str,
    start: Option<&str>,
) -> Result<Vec<Value>, Failed> {
    let start = start.map(|start| format!("start_date={}", archive::escaped(start)));
    let path = app.at(&format!("{query}{}", start.unwrap_or_default()));
    let found = desk.session.get(&path)?;
    let mut found = found["logs"].as_array().cloned().unwrap_or_default();
    let time = |entry: &Value| entry["started"].as_str().unwrap_or_default().to_owned();
    found.sort_by_key(time);
    Ok(found)
}

fn show(desk: &mut Desk, entry: &Value) -> Result<(), Failed> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let names = [
        "function_name",
        "event_subscription_name",
        "incoming_webhook_name",
    ];
    let name = names
        .iter()
        .map(|name| text(name))
        .find(|name| !name.is_empty());
    let mark = if text("error").is_empty() {
        "ok"
    } else {
        "failed"
    };
    let head = format!(
        "{} {mark} {} {}",
        text("started"),
        text("type"),
        name.unwrap_or_default()
    );
    let messages = entry["messages"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = messages
        .map(|line| {
            line.as_str()
                .map_or_else(|| line.to_string(), str::to_owned)
        })
        .collect();
    if !text("error").is_empty() {
        lines.push(format!("{} {}", text("error_code"), text("error")));
        lines.extend(text("stack").lines().map(str::to_owned));
    }
    desk.out.list(head.trim_end(), &lines)
}

#[derive(Subcommand)]
pub(crate) enum FunctionsVerb {
    /// Show the functions
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Run a function
    Run(FunctionCall),
}

/// A function, and what it is called with.
#[derive(Args)]
pub(crate) struct FunctionCall {
    #[command(flatten)]
    which: Which,
    /// Its name (default: the only one, or the one that is chosen), and its
    /// arguments: JSON, or a text
    #[arg(value_names = ["NAME", "ARGS"], num_args = 0.., allow_negative_numbers = true)]
    words: Vec<String>,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// An argument (may be repeated)
    #[arg(long, allow_hyphen_values = true)]
    args: Vec<String>,
    /// The id of the user it runs as (default: as the system)
    #[arg(long)]
    user: Option<String>,
    /// Run it here, as this app directory has it, without a server
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["app", "project", "user"])]
    local: Option<PathBuf>,
    /// Where data is, with --local (default: in a folder that is gone afterwards)
    #[arg(long, requires = "local")]
    data_dir: Option<PathBuf>,
}

impl Group<FunctionsVerb> {
    pub(super) fn run(self) -> Result<(), Failed> {
        match self.verb {
            FunctionsVerb::List { which } => {
                let mut desk = self.with.open()?;
                let app = desk.app(&which)?;
                let all = desk.session.get(&app.at("/functions"))?;
                let all = all.as_array().cloned().unwrap_or_default();
                let row = |one: &Value| vec![one["name"].clone(), one["_id"].clone()];
                let rows: Vec<_> = all.iter().map(row).collect();
                desk.out.found("functions", &["Name", "ID"], &rows)
            }
            FunctionsVerb::Run(call) => match &call.local {
                Some(folder) => call.run_here(&mut self.with.out()?, folder),
                None => call.run_there(self.with.open()?),
            },
        }
    }
}

impl FunctionCall {
    /// Its name, if that was said, and its arguments.
    fn parts(&self) -> (Option<String>, Vec<Value>) {
        let mut words = self.words.iter();
        let name = self.name.as_ref().or_else(|| words.next());
        let value = |text: &String| {
            config::parse_json_exactly(text).unwrap_or_else(|_| text.clone().into())
        };
        let arguments = words.chain(&self.args).map(value);
        (name.cloned(), arguments.collect())
    }

    /// Calls it in an app directory.
    fn run_here(&self, out: &mut Out, folder: &Path) -> Result<(), Failed> {
        let (name, arguments) = self.parts();
        let name = name.ok_or("name the function")?;
        let answer = crate::local::run(folder, self.data_dir.as_deref(), &name, &arguments)?;
        show_call(out, &name, &answer)
    }

    /// Calls it on the server.
    fn run_there(&self, mut desk: Desk) -> Result<(), Failed> {
        let app = desk.app(&self.which)?;
        let (name, arguments) = self.parts();
        let name = match name {
            Some(name) => name,
            None => function(&desk, &app)?,
        };
        let query = self.user.as_ref().map_or_else(
            || "run_as_system=true".to_owned(),
            |id| format!("user_id={}", archive::escaped(id)),
        );
        let path = app.at(&format!("/debug/execute_function?{query}"));
        let body = json!({ "name": name, "arguments": arguments });
        let answer = desk.session.ask("POST", &path, &body)?;
        show_call(&mut desk.out, &name, &answer)
    }
}

/// What came of a call: its logs, and its result or why there is none.
fn show_call(out: &mut Out, name: &str, answer: &Value) -> Result<(), Failed> {
    for (title, field) in [("Logs", "logs"), ("Error Logs", "error_logs")] {
        let lines = answer[field].as_array().into_iter().flatten();
        let lines: Vec<String> = lines
            .filter_map(|line| Some(line.as_str()?.to_owned()))
            .collect();
        if !lines.is_empty() {
            out.list(title, &lines)?;
        }
    }
    let error = &answer["error"];
    if !error.is_null() && *error != "" {
        let text = error
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned);
        let stack = answer["stack"].as_str().unwrap_or_default();
        return Err(format!("{name}: {text}\n{stack}").trim_end().into());
    }
    out.document("Result", &answer["result"])
}

/// The name of the only function, or of the one that is chosen.
fn function(desk: &Desk, app: &App) -> Result<String, Failed> {
    let all = desk.session.get(&app.at("/functions"))?;
    let all = all.as_array().into_iter().flatten();
    let mut names: Vec<String> = all
        .filter_map(|one| Some(one["name"].as_str()?.to_owned()))
        .collect();
    match names.len() {
        0 => Err("the app has no functions".into()),
        1 => Ok(names.remove(0)),
        _ => {
            let wanted = format!("name the function with --name: {}", names.join(", "));
            desk.out
                .choose("Which function?", names, String::clone, &wanted)
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum SchemaVerb {
    /// Make classes of the schemas, for an SDK's language
    #[command(alias = "datamodel")]
    Datamodels {
        #[command(flatten)]
        which: Which,
        /// The language
        #[arg(long, short = 'l', ignore_case = true)]
        language: Option<Language>,
        /// Only these models (may be repeated)
        #[arg(long, value_delimiter = ',')]
        name: Vec<String>,
        /// Leave imports out
        #[arg(long)]
        no_imports: bool,
        /// All in one piece
        #[arg(long)]
        flat: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    #[value(name = "C_SHARP", aliases = ["c-sharp", "csharp", "c#"])]
    CSharp,
    #[value(name = "JAVA")]
    Java,
    #[value(name = "JAVA_SCRIPT", aliases = ["javascript", "js"])]
    JavaScript,
    #[value(name = "KOTLIN")]
    Kotlin,
    #[value(name = "OBJECTIVE_C", aliases = ["objective-c", "objectivec", "obj_c", "obj-c", "objc"])]
    ObjectiveC,
    #[value(name = "SWIFT")]
    Swift,
    #[value(name = "TYPE_SCRIPT", aliases = ["typescript", "ts"])]
    TypeScript,
}

impl Language {
    /// As the Admin API calls it.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl SchemaVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        let Self::Datamodels {
            which,
            language,
            name,
            mut no_imports,
            mut flat,
        } = self;
        let app = desk.app(&which)?;
        let language = if let Some(language) = language {
            language.name()
        } else {
            let all = Language::value_variants().to_vec();
            let wanted = "name the language with --language";
            let label = |one: &Language| one.name();
            let chosen = desk.out.choose("Which language?", all, label, wanted)?;
            no_imports = no_imports || desk.out.whether("Leave imports out?")?;
            flat = flat || desk.out.whether("All in one piece?")?;
            chosen.name()
        };
        let path = app.at(&format!("/sync/client_schemas/{language}"));
        let all = desk.session.get(&path)?;
        let all = all.as_array().cloned().unwrap_or_default();
        let text =
            |model: &Value, field: &str| model[field].as_str().unwrap_or_default().to_owned();
        let wanted = |model: &&Value| name.is_empty() || name.contains(&text(model, "model_name"));
        let models: Vec<&Value> = all.iter().filter(wanted).collect();
        if models.is_empty() {
            return desk.out.say("there are no models; define schemas first");
        }
        let mut parts: Vec<(Vec<String>, String)> = Vec::new();
        for model in &models {
            let imports = model["import_statements"].as_array().into_iter().flatten();
            let imports = imports.filter_map(|line| Some(line.as_str()?.trim_end().to_owned()));
            let imports = imports.filter(|_| !no_imports).collect();
            parts.push((imports, text(model, "schema")));
        }
        if flat {
            let mut imports: Vec<String> = parts.iter().flat_map(|(all, _)| all.clone()).collect();
            imports.sort();
            imports.dedup();
            let code: Vec<&str> = parts.iter().map(|(_, code)| code.as_str()).collect();
            parts = vec![(imports, code.join("\n"))];
        }
        for (imports, code) in parts {
            let code = imports
                .into_iter()
                .chain([code])
                .collect::<Vec<_>>()
                .join("\n");
            desk.out.say(&code)?;
        }
        for model in models {
            let warnings = model["warnings"].as_array().into_iter().flatten();
            let told = warnings.chain([&model["error"]]);
            for one in told
                .filter_map(|one| one["error"].as_str())
                .filter(|one| !one.is_empty())
            {
                eprintln!("{}: {one}", text(model, "model_name"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_time_may_leave_out_what_is_zero() {
        for (given, wanted) in [
            ("2024-01-31", "2024-01-31T00:00:00Z"),
            ("2024-01-31-0700", "2024-01-31T07:00:00Z"),
            ("2024-01-31T12", "2024-01-31T12:00:00Z"),
            ("2024-01-31T12:30", "2024-01-31T12:30:00Z"),
            ("2024-01-31T12:30+0200", "2024-01-31T10:30:00Z"),
            ("2024-01-31T12:30:15", "2024-01-31T12:30:15Z"),
            ("2024-01-31T12:30:15.25Z", "2024-01-31T12:30:15.25Z"),
            ("2024-01-31T12:30:15.125+02:00", "2024-01-31T10:30:15.125Z"),
        ] {
            assert_eq!(moment(given).as_deref(), Ok(wanted), "{given}");
        }
        for wrong in [
            "",
            "whenever",
            "2024-01",
            "2024-13-01",
            "2024-01-31T",
            "2024-01-31é",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
