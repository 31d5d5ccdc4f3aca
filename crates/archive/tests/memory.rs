//! A collection many times larger than what a dump, a restore or an export may
//! hold of it.

use std::io::{Read, Write};
use std::sync::Arc;

use archive::{Export, Form, Import, Restore};
use bson::rawdoc;
use engine::{Collection, SharedEngine};
use engine_embedded::{Embedded, Options};
use kit::SystemClock;

use crate::dump_to;

const DOCUMENTS: usize = 200;
const EACH_BYTES: usize = 1024 * 1024;
/// What a store caches.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// What may come on top while one of them runs: two batches of the reader's,
/// which are copied as replies are made of them, and what the committer has in
/// hand.
const GROWTH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes that the process has had at most.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

/// In a process of its own, so that no other test's memory is measured.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_collection() {
    const INSIDE: &str = "BACKSTITCH_TEST_ARCHIVE_MEMORY";
    if std::env::var_os(INSIDE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "memory::memory_does_not_grow_with_the_collection",
                "--nocapture",
            ])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| -> SharedEngine {
        let clock = Arc::new(SystemClock);
        let options = Options {
            cache_bytes: CACHE_BYTES,
            ..Options::default()
        };
        Arc::new(Embedded::open_with(&folder.path().join(name), clock, options).unwrap())
    };
    let engine = open("first");
    let all = Collection::new(&engine, "d", "c");
    let text = "x".repeat(EACH_BYTES);
    for n in 0..DOCUMENTS as i32 {
        all.insert_one(&rawdoc! { "_id": n, "text": text.as_str() })
            .await
            .unwrap();
    }
    let dump = folder.path().join("dump");
    let mut last = peak();
    let mut grew = |what: &str| {
        let now = peak();
        println!("{what}: {} MiB more", (now - last) >> 20);
        assert!(
            now - last < GROWTH_BYTES_MAX,
            "{what}: {} MiB",
            (now - last) >> 20
        );
        last = now;
    };
    let dumped = dump_to(&engine, &dump).await;
    assert!(dumped.collections[0].bytes as usize > DOCUMENTS * EACH_BYTES);
    grew("dump");
    let other = open("second");
    let restored = archive::restore(&other, &dump, &Restore::default())
        .await
        .unwrap();
    assert_eq!(restored.collections[0].documents, DOCUMENTS as u64);
    grew("restore");
    let path = folder.path().join("c.json");
    let form = Form::Json {
        canonical: false,
        array: false,
    };
    let mut out = std::fs::File::create(&path).unwrap();
    archive::export(&engine, ("d", "c"), &Export::default(), &form, &mut out)
        .await
        .unwrap();
    out.flush().unwrap();
    grew("export");
    let file = std::fs::File::open(&path).unwrap().take(u64::MAX);
    let imported = archive::import(
        &other,
        ("d", "again"),
        file,
        "c.json",
        &form,
        &Import::default(),
    )
    .await
    .unwrap();
    assert_eq!(imported.documents, DOCUMENTS as u64);
    grew("import");
}
