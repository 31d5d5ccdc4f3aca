//! `backstitch check`: an app directory without a server.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use kit::Severity;

/// Prints every problem; fails when one is an error.
pub(crate) fn run(folder: &Path) -> ExitCode {
    let (files, left_out) = match crate::directory::read(folder) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("backstitch: {}: {error}", folder.display());
            return ExitCode::from(2);
        }
    };
    let (release, mut findings) = app::check(&files);
    findings.extend(left_out);
    findings.sort_by_key(|finding| finding.severity);
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let errors = many(count(Severity::Error), "error");
    let warnings = many(count(Severity::Warning), "warning");
    let release = release.filter(|_| !config::has_errors(&findings));
    lines.push(match &release {
        Some(release) => {
            let functions = many(release.functions.len(), "function");
            let name = release.config.name();
            format!("{name}: {functions}, {errors}, {warnings}")
        }
        None => format!("{errors}, {warnings}"),
    });
    // A reader that has seen enough is no failure.
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
    match release {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

/// A number and its noun.
pub(crate) fn many(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
