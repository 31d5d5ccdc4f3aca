//! What the settings of the data directory promise, seen in what is left of it:
//! after a crash, in the change log, in the size of the file.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::serve::ready;
use super::{Served, data, folder, path, program, run};

const NOTES: [&str; 4] = ["--db", "shop", "--collection", "notes"];

fn serve(data: &TempDir, set: impl FnOnce(&mut Command)) -> Served {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(data.path());
    set(&mut command);
    let mut served = Served::of(&mut command);
    ready(&mut served);
    served
}

/// Runs on a folder, or on the server that has it.
fn on(data: &TempDir, arguments: &[&str]) -> String {
    let (code, output, errors) = run(program(arguments).args(["--data-dir", path(data)]));
    assert_eq!(code, 0, "{output} {errors}");
    output
}

/// A file of so many documents, each with a text of so many bytes.
fn notes(folder: &Path, n: usize, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    let lines: Vec<String> = (0..n)
        .map(|n| format!("{{\"_id\":{n},\"text\":\"{text}\"}}"))
        .collect();
    let file = folder.join(format!("notes-{n}-{bytes}.json"));
    std::fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn import(data: &TempDir, file: &str, mode: &str) {
    let mut arguments = vec!["import", file, "--mode", mode];
    arguments.extend(NOTES);
    on(data, &arguments);
}

/// How many documents a folder has.
fn kept(data: &TempDir) -> usize {
    let mut export = vec!["export"];
    export.extend(NOTES);
    on(data, &export).lines().count()
}

/// What is left of ten documents when the server is killed right after they
/// were acknowledged.
fn survivors(set: impl FnOnce(&mut Command)) -> usize {
    let (data, files) = (data(), folder("//- /x\n"));
    let served = serve(&data, set);
    import(&data, &notes(files.path(), 10, 10), "insert");
    served.kill();
    kept(&data)
}

const UNSYNCED: &str = "BACKSTITCH_UNSYNCED_MS_MAX";
const HOUR_MS: &str = "3600000";

#[test]
fn an_acknowledged_write_is_kept_unless_it_was_allowed_to_be_lost() {
    assert_eq!(survivors(|_| {}), 10);
    assert_eq!(survivors(|command| _ = command.env(UNSYNCED, HOUR_MS)), 0);
    // A flag goes before.
    let flag = |command: &mut Command| {
        command
            .env(UNSYNCED, HOUR_MS)
            .args(["--unsynced-ms-max", "0"]);
    };
    assert_eq!(survivors(flag), 10);
    // A file says the same.
    let files = folder("//- /s.json\n{ \"unsynced_ms_max\": 3600000 }\n");
    let file = files.path().join("s.json");
    assert_eq!(
        survivors(|command| _ = command.arg("--config").arg(&file)),
        0
    );
}

/// How many change events a folder has, as doctor counts them.
fn events(data: &TempDir) -> usize {
    let said = on(data, &["doctor"]);
    let n = said.lines().find_map(|line| line.strip_prefix("events: "));
    n.unwrap().parse().unwrap()
}

#[test]
fn change_events_take_the_room_that_they_may() {
    let count = |set: &dyn Fn(&mut Command)| {
        let (data, files) = (data(), folder("//- /x\n"));
        let served = serve(&data, set);
        import(&data, &notes(files.path(), 3000, 10), "insert");
        served.kill();
        events(&data)
    };
    assert!(count(&|_| {}) >= 3000);
    let few = count(&|command| _ = command.env("BACKSTITCH_CHANGES_BYTES_MAX", "10000"));
    assert!(few < 200, "{few}");
    let few = count(&|command| _ = command.args(["--changes-bytes-max", "10000"]));
    assert!(few < 200, "{few}");
}

#[test]
fn a_file_with_much_free_room_is_made_smaller_when_that_is_asked_for() {
    let (data, files) = (data(), folder("//- /x\n"));
    let size = || {
        let file = data.path().join("data.redb");
        std::fs::metadata(file).unwrap().len()
    };
    // The change log keeps nothing of what was there.
    let log = |command: &mut Command| _ = command.args(["--changes-bytes-max", "1"]);
    let served = serve(&data, log);
    import(&data, &notes(files.path(), 1000, 10_000), "insert");
    import(&data, &notes(files.path(), 1000, 1), "upsert");
    served.kill();
    serve(&data, log).kill();
    let large = size();
    assert!(large > 10_000_000, "{large}");
    let compact = |command: &mut Command| _ = command.env("BACKSTITCH_COMPACT_PERCENT", "50");
    serve(&data, compact).kill();
    let small = size();
    assert!(small * 2 < large, "{small} of {large}");
    assert_eq!(kept(&data), 1000);
}
