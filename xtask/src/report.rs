//! What ran, what failed and what was left out.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Collects the steps of a run.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<(String, bool, Duration)>,
    left_out: Vec<String>,
    passed: u64,
    failed: u64,
}

impl Report {
    /// Runs a command that either succeeds or fails.
    pub(crate) fn step(&mut self, name: &str, mut command: Command) -> bool {
        let start = Instant::now();
        title(name);
        let ok = command.status().is_ok_and(|status| status.success());
        self.steps.push((name.to_owned(), ok, start.elapsed()));
        ok
    }

    /// Records a check made in this process: the problems it found.
    pub(crate) fn check(&mut self, name: &str, problems: Vec<String>) {
        title(name);
        for problem in &problems {
            println!("  {problem}");
        }
        self.steps
            .push((name.to_owned(), problems.is_empty(), Duration::ZERO));
    }

    /// Says that something did not run, and why.
    pub(crate) fn left_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// Runs `cargo test` and adds up its `test result:` lines.
    pub(crate) fn rust_tests(&mut self, name: &str, command: Command) {
        self.counted(name, command, |line| {
            let rest = line.trim().strip_prefix("test result: ")?;
            let number = |word: &str| -> Option<u64> {
                let (before, _) = rest.split_once(word)?;
                before.split_whitespace().last()?.parse().ok()
            };
            Some((number(" passed")?, number(" failed")?))
        });
    }

    /// Runs `node --test` and reads its summary lines.
    pub(crate) fn node_tests(&mut self, name: &str, command: Command) {
        self.counted(name, command, |line| {
            let mut words = line.trim_start_matches(['#', 'ℹ', ' ']).split(' ');
            match (words.next()?, words.next()?.parse().ok()?, words.next()) {
                ("pass", n, None) => Some((n, 0)),
                ("fail", n, None) => Some((0, n)),
                _ => None,
            }
        });
    }

    fn counted(
        &mut self,
        name: &str,
        mut command: Command,
        read: impl Fn(&str) -> Option<(u64, u64)>,
    ) {
        let start = Instant::now();
        title(name);
        let (mut passed, mut failed) = (0, 0);
        let ok = match command.stdout(Stdio::piped()).spawn() {
            Ok(mut child) => {
                let lines = child.stdout.take().map(BufReader::new);
                for line in lines
                    .into_iter()
                    .flat_map(BufRead::lines)
                    .map_while(Result::ok)
                {
                    if let Some((good, bad)) = read(&line) {
                        passed += good;
                        failed += bad;
                    }
                    println!("{line}");
                }
                child.wait().is_ok_and(|status| status.success())
            }
            Err(error) => {
                println!("  cannot start: {error}");
                false
            }
        };
        self.passed += passed;
        // A run that failed without counting a failed test did fail.
        self.failed += if ok { failed } else { failed.max(1) };
        self.steps
            .push((name.to_owned(), ok && passed > 0, start.elapsed()));
    }

    /// Prints the summary; its last line counts the tests.
    pub(crate) fn print(&self) -> ExitCode {
        println!();
        for (name, ok, time) in &self.steps {
            let mark = if *ok { "ok    " } else { "FAILED" };
            println!("{mark} {name} ({:.1} s)", time.as_secs_f64());
        }
        for what in &self.left_out {
            println!("left out: {what}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        let ok = self.failed == 0 && self.steps.iter().all(|(_, ok, _)| *ok);
        if ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn title(name: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m== {name}\x1b[0m");
    } else {
        println!("\n== {name}");
    }
}
