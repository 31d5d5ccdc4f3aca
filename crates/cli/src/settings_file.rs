//! `serve --config FILE`: a JSON object of options by name. What it says are
//! the defaults; flags and variables go before. `clusters` reads the same file
//! and takes what is its own.

use std::path::Path;

use clap::error::ErrorKind;
use config::{Parsed, parse_json};
use kit::Finding;
use serde_json::Value;

/// Makes a file's settings the defaults of `serve`, or of another command that
/// has some of them.
pub(crate) fn apply(
    command: clap::Command,
    subcommand: &str,
    file: &Path,
) -> Result<clap::Command, Vec<String>> {
    let path = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| vec![format!("{path}: {error}")])?;
    let parsed = parse_json(&text);
    let mut findings: Vec<Finding> = parsed
        .mistakes
        .iter()
        .map(|(place, mistake)| {
            Finding::error(path.as_str(), mistake.as_str()).at(place.line, Some(place.column))
        })
        .collect();
    let mut settings = Vec::new();
    match &parsed.value {
        Some(Value::Object(fields)) => {
            for (name, value) in fields {
                match setting(&command, name, value) {
                    Ok(text) => settings.push((name.clone(), text)),
                    Err(wrong) => findings.push(placed(&path, &parsed, name, wrong)),
                }
            }
        }
        Some(_) => findings.push(Finding::error(path.as_str(), "has to be an object").at(1, None)),
        None => {}
    }
    if !findings.is_empty() {
        return Err(findings.iter().map(ToString::to_string).collect());
    }
    Ok(command.mut_subcommand(subcommand, |command| {
        settings.into_iter().fold(command, |command, (name, text)| {
            if !command
                .get_arguments()
                .any(|known| *known.get_id() == *name)
            {
                return command;
            }
            // Defaults live as long as the program.
            command.mut_arg(name, |argument| argument.default_value(&*text.leak()))
        })
    }))
}

/// What a flag of that name would be given, if it takes that.
fn setting(command: &clap::Command, name: &str, value: &Value) -> Result<String, String> {
    let options: Vec<&str> = command
        .find_subcommand("serve")
        .into_iter()
        .flat_map(clap::Command::get_arguments)
        .map(|argument| argument.get_id().as_str())
        .filter(|id| *id != "config")
        .collect();
    if !options.contains(&name) {
        let near = config::nearest(name, &options);
        let hint = near.map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
        return Err(format!("there is no setting \"{name}\"{hint}"));
    }
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let text = match value {
        Value::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(plain).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Object(fields) if name == "clusters" => fields
            .iter()
            .map(|(name, place)| Some(format!("{name}={}", place.as_str()?)))
            .collect::<Option<Vec<_>>>()
            .map(|pairs| pairs.join("\n")),
        value => plain(value),
    };
    let text = text.ok_or_else(|| format!("\"{name}\" has to be a text or a number"))?;
    let wrong = match name {
        "clusters" => server::ClusterSettings::parse(&text, None).err(),
        "state_uri" => server::ClusterSettings::parse("", Some(text.clone().into())).err(),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(format!("\"{name}\": {wrong}"));
    }
    let flag = format!("--{}={text}", name.replace('_', "-"));
    match command
        .clone()
        .try_get_matches_from(["backstitch", "serve", &flag])
    {
        Err(error) if error.kind() == ErrorKind::ValueValidation => {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            let why = why.unwrap_or_else(|| "its value is not valid".to_owned());
            Err(format!("\"{name}\": {why}"))
        }
        _ => Ok(text),
    }
}

fn placed(path: &str, parsed: &Parsed, name: &str, message: String) -> Finding {
    let finding = Finding::error(path, message);
    match parsed.place(&format!("/{name}")) {
        Some(place) => finding.at(place.line, Some(place.column)),
        None => finding,
    }
}
