//! `backstitch check`: an app directory without a server.

use std::path::Path;
use std::process::ExitCode;

use kit::Severity;

/// Prints every problem; fails when one is an error.
pub(crate) fn run(folder: &Path) -> ExitCode {
    let files = match crate::directory::read(folder) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::from(2);
        }
    };
    let (release, findings) = app::check(&files);
    for finding in &findings {
        println!("{finding}");
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match release {
        Some(release) => {
            println!(
                "{}: {} functions, {warnings} warnings, no errors",
                release.config.name(),
                release.functions.len()
            );
            ExitCode::SUCCESS
        }
        None => {
            println!("{errors} errors, {warnings} warnings");
            ExitCode::FAILURE
        }
    }
}
