//! File systems that are really full: a small one that a process of ours fills
//! up, and a limit on the size of files.
//!
//! The filling is done by this test binary run again, in a place of its own.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use engine::{Collection, CommandError, SharedEngine};
use engine_embedded::{Embedded, doctor};
use kit::SystemClock;

use super::full_disk::{OUT_OF_DISK_SPACE, fill, has_all};

const FOLDER: &str = "BACKSTITCH_TEST_FULL_FOLDER";
/// What the small file system has room for. The engine leaves 32 MiB of it.
const SYSTEM_MB: u64 = 72;
/// What is in the way at first, and is removed to make room.
const BALLAST_MB: u64 = 16;
/// The largest file of a process with a limit, in 512 bytes.
const FILE_BLOCKS: u64 = 24 << 11;

/// `exec` of a command on a file system of its own, on `$0`.
const ON_SMALL_SYSTEM: &str = r#"mount -t tmpfs -o "size=$1m" none "$0" && shift && exec "$@""#;
/// The same with a limit on the size of files, which is an error and no signal.
const WITH_LIMIT: &str = r#"trap "" XFSZ && ulimit -f "$1" && shift && exec "$@""#;

fn open(folder: &Path) -> Result<SharedEngine, CommandError> {
    Ok(Arc::new(Embedded::open(folder, Arc::new(SystemClock))?))
}

/// The arguments that run one test of this binary.
fn this_test(name: &str) -> [String; 5] {
    let program = std::env::current_exe().expect("this binary");
    [
        program.display().to_string(),
        format!("faults::full_file_system::{name}"),
        "--exact".to_owned(),
        "--nocapture".to_owned(),
        "--test-threads=1".to_owned(),
    ]
}

/// How many documents a run says that it had acknowledged; it has to end well.
fn acknowledged(command: &mut Command) -> i64 {
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = said.lines().find_map(|line| line.strip_prefix("filled "));
    line.and_then(|n| n.parse().ok()).expect("a number")
}

fn tell(filled: usize) {
    println!("\nfilled {filled}");
}

async fn prepared(folder: &Path) -> SharedEngine {
    let engine = open(folder).expect("opens");
    let c = Collection::new(&engine, "d", "c");
    c.create_index("k", bson::doc! { "k": 1 }, true)
        .await
        .expect("an index");
    engine
}

async fn is_ill(engine: &SharedEngine) {
    let ill = engine.health().await.expect_err("ill");
    assert_eq!(ill.code, OUT_OF_DISK_SPACE, "{ill}");
}

async fn takes_writes(engine: &SharedEngine, id: i64) {
    let c = Collection::new(engine, "d", "c");
    c.insert_one(&bson::rawdoc! { "_id": id, "k": 1 })
        .await
        .expect("insert");
}

/// Writes zeros until there is no room for another byte, or so many bytes.
fn take_room(path: &Path, most: u64) {
    let mut file = File::create(path).expect("creates");
    let zeros = [0; 4096];
    let mut written = 0;
    while written < most && file.write_all(&zeros).is_ok() {
        written += zeros.len() as u64;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_small_system() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let (ballast, rest) = (folder.join("ballast"), folder.join("rest"));
    take_room(&ballast, BALLAST_MB << 20);
    let data = folder.join("data");
    let engine = prepared(&data).await;
    let (ids, error) = fill(&engine, 0).await;
    assert_eq!(error.code, OUT_OF_DISK_SPACE, "{error}");
    assert!(has_all(&engine, &ids).await);
    // Others take the room that it left.
    take_room(&rest, u64::MAX);
    is_ill(&engine).await;
    assert!(has_all(&engine, &ids).await);
    let (none, error) = fill(&engine, 100_000).await;
    assert_eq!((none.len(), error.code), (0, OUT_OF_DISK_SPACE));
    drop(engine);
    // Opening takes no room.
    let engine = open(&data).expect("opens");
    assert!(has_all(&engine, &ids).await);
    is_ill(&engine).await;
    // With room again it goes on by itself.
    for file in [rest, ballast] {
        std::fs::remove_file(file).expect("removes");
    }
    engine.health().await.expect("well");
    assert!(has_all(&engine, &ids).await);
    takes_writes(&engine, -1).await;
    drop(engine);
    let examined = doctor(&data, false).expect("examines");
    assert_eq!(examined.problems, [""; 0]);
    tell(ids.len());
}

#[test]
fn a_file_system_that_is_really_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = |arguments: &[String]| {
        let mut command = Command::new("unshare");
        command
            .args(["-Urm", "sh", "-c", ON_SMALL_SYSTEM])
            .arg(folder.path())
            .arg(SYSTEM_MB.to_string())
            .args(arguments);
        command
    };
    // Not everybody may have a file system of their own.
    let may = own(&["true".to_owned()]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("left out: no file system of its own (unshare, mount)");
        return;
    }
    let mut command = own(&this_test("on_a_small_system"));
    assert!(acknowledged(command.env(FOLDER, folder.path())) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_limit() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let engine = prepared(folder).await;
    let (ids, error) = fill(&engine, 0).await;
    assert_eq!(error.code, OUT_OF_DISK_SPACE, "{error}");
    assert!(has_all(&engine, &ids).await, "what is there is read");
    is_ill(&engine).await;
    let (none, error) = fill(&engine, 100_000).await;
    assert_eq!((none.len(), error.code), (0, OUT_OF_DISK_SPACE));
    tell(ids.len());
}

/// The system refuses in the middle of a commit; what was acknowledged before
/// is there, and a process without the limit goes on.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("sh");
    command
        .args(["-c", WITH_LIMIT, "sh"])
        .arg(FILE_BLOCKS.to_string())
        .args(this_test("with_a_limit"))
        .env(FOLDER, folder.path());
    let n = acknowledged(&mut command);
    assert!(n > 0);
    let examined = doctor(folder.path(), false).expect("examines");
    assert_eq!(examined.problems, [""; 0]);
    let engine = open(folder.path()).expect("opens");
    engine.health().await.expect("well");
    assert!(has_all(&engine, &(0..n).collect::<Vec<_>>()).await);
    takes_writes(&engine, -1).await;
}
