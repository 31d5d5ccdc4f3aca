//! The `BACKSTITCH_*` variables: one that means nothing is refused, since it
//! was set to mean something.

use std::collections::BTreeSet;

/// Variables of tests, which may be set around a server.
const OF_TESTS: &[&str] = &["BACKSTITCH_MONGOD", "BACKSTITCH_TEST_STATE"];

/// Refuses variables that no option has.
pub(crate) fn check(command: &clap::Command) -> Result<(), Vec<String>> {
    let known: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut names: Vec<String> = std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("BACKSTITCH_"))
        .filter(|name| !known.contains(&name.as_str()) && !OF_TESTS.contains(&name.as_str()))
        .collect();
    names.sort();
    let complaints: Vec<String> = names.iter().map(|name| complaint(name, &known)).collect();
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints)
    }
}

fn complaint(name: &str, known: &[&str]) -> String {
    match config::nearest(name, known) {
        Some(near) => format!("{name} is no setting; did you mean {near}?"),
        None => format!("{name} is no setting; unset it"),
    }
}
