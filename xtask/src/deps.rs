//! Licences, sources and banned crates, by `cargo deny`.

use std::process::{Command, Stdio};

use crate::cargo;
use crate::report::Report;

/// Runs `cargo deny`, which is installed once when it is missing.
pub(crate) fn check(report: &mut Report) {
    if !installed()
        && !report.step(
            "install cargo-deny",
            cargo(&["install", "--locked", "--quiet", "cargo-deny"]),
        )
    {
        report.left_out("licences: cargo-deny could not be installed");
        return;
    }
    report.step(
        "licences",
        cargo(&[
            "deny",
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ]),
    );
}

fn installed() -> bool {
    Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
