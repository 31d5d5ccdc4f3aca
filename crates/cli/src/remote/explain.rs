//! `rules`: `explain`, why the rules allow or refuse a user's request, and
//! `settings`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::rule_settings::Settings;
use super::{Desk, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum RulesVerb {
    /// Show why a user's request is allowed or refused; nothing is changed
    Explain {
        #[command(flatten)]
        which: Which,
        /// The id of the user
        #[arg(long)]
        user: String,
        /// The action, such as find or updateOne; without --service, a function
        #[arg(long)]
        name: String,
        /// The data source
        #[arg(long)]
        service: Option<String>,
        /// The action's argument: JSON with database, collection, query…
        #[arg(long)]
        args: Option<String>,
    },
    /// Show, and set, what a data source lets users send and see of its rules
    Settings(Settings),
}

impl RulesVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        let (which, user, name, service, args) = match self {
            Self::Settings(settings) => return settings.run(desk),
            Self::Explain {
                which,
                user,
                name,
                service,
                args,
            } => (which, user, name, service, args),
        };
        let app = desk.app(&which)?;
        let argument = match &args {
            None => Vec::new(),
            Some(text) => vec![
                config::parse_json_exactly(text)
                    .map_err(|error| format!("--args is no JSON: {error}"))?,
            ],
        };
        let body = json!({
            "user_id": user, "service": service, "name": name, "arguments": argument,
        });
        let path = app.at("/debug/explain_request");
        let answer = desk.session.ask("POST", &path, &body)?;
        if desk.out.is_json() {
            return desk.out.document(said(&answer), &answer);
        }
        desk.out.list(said(&answer), &lines(&answer))
    }
}

fn said(answer: &Value) -> &'static str {
    if answer["allowed"] == true {
        "allowed"
    } else {
        "refused"
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The answer for people.
fn lines(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if answer["private"] == true {
        lines.push("the function is private".to_owned());
    }
    lines.extend(each(&answer["asked"]).flat_map(|asked| steps(asked, "")));
    lines.extend(set(&answer["settings"]));
    for filter in each(&answer["filters"]) {
        let applies = if filter["applies"] == true {
            "applies"
        } else {
            "does not apply"
        };
        lines.push(format!("filter {} {applies}", text(&filter["name"])));
        lines.extend(each(&filter["asked"]).flat_map(|asked| steps(asked, "  ")));
    }
    let outside: Vec<String> = each(&answer["filtered_out"])
        .map(Value::to_string)
        .collect();
    if !outside.is_empty() {
        lines.push(format!("kept back by filters: {}", outside.join(", ")));
    }
    for decision in each(&answer["decisions"]) {
        lines.extend(decided(decision));
    }
    if let Some(error) = answer["error"].as_str() {
        let code = text(&answer["error_code"]);
        lines.push(format!("the caller gets: {error} ({code})"));
        if let Some(reason) = answer["reason"].as_str() {
            lines.push(format!("the log says: {}", reason.replace('\n', " ")));
        }
    }
    lines
}

/// What of the data source's settings is not as it is everywhere.
fn set(settings: &Value) -> Option<String> {
    let mut set = Vec::new();
    let allowed: Vec<String> = each(&settings["allow_user_operators"]).map(text).collect();
    if !allowed.is_empty() {
        set.push(format!("allow_user_operators {}", allowed.join(", ")));
    }
    if settings["compat"]["field_write_under_false"] == true {
        set.push("compat.field_write_under_false".to_owned());
    }
    if settings["protect_hidden_fields"] == true {
        set.push("protect_hidden_fields".to_owned());
    }
    (!set.is_empty()).then(|| format!("set: {}", set.join("; ")))
}

fn decided(decision: &Value) -> Vec<String> {
    let role = match decision["role"].as_str() {
        Some(role) => format!("role {role}"),
        None => "no role".to_owned(),
    };
    let mut lines = vec![format!(
        "{} {}: {}, {role}",
        text(&decision["operation"]),
        decision["_id"],
        said(decision)
    )];
    let hidden: Vec<String> = each(&decision["hidden_fields"]).map(text).collect();
    if !hidden.is_empty() {
        lines.push(format!("  hidden: {}", hidden.join(", ")));
    }
    if let Some(reason) = decision["reason"].as_str() {
        lines.push(format!("  {reason}"));
    }
    for error in each(&decision["schema_errors"]) {
        let (field, message) = (text(&error["field"]), text(&error["message"]));
        lines.push(format!("  schema: {field}: {message}"));
    }
    lines.extend(each(&decision["asked"]).flat_map(|asked| steps(asked, "  ")));
    lines
}

/// An expression, and the tests that made its answer.
fn steps(asked: &Value, indent: &str) -> Vec<String> {
    let (place, holds) = (text(&asked["expression"]), &asked["holds"]);
    let mut lines = vec![format!("{indent}{place} is {holds}")];
    for tested in each(&asked["because"]) {
        let shown = |name: &str| {
            tested
                .get(name)
                .map_or_else(|| "nothing".to_owned(), Value::to_string)
        };
        lines.push(format!(
            "{indent}  {} is {}: {} against {}",
            tested["test"],
            tested["holds"],
            shown("subject"),
            shown("value")
        ));
    }
    lines
}
