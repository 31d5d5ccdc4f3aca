//! Each kind of damage, done behind the engine's back, is found; and what can
//! be repaired is.

use bson::{RawDocumentBuf, doc, rawdoc};
use engine::{Collection as Documents, Engine, SharedEngine};
use kit::SystemClock;

use super::*;
use crate::Embedded;

/// A database of two collections with indexes of every kind.
async fn sound() -> Arc<kv::memory::Store> {
    let store = Arc::new(kv::memory::Store::default());
    let engine = Embedded::with(store.clone(), Arc::new(SystemClock), Options::default()).unwrap();
    let engine: SharedEngine = Arc::new(engine);
    let people = Documents::new(&engine, "d", "people");
    let index = doc! { "createIndexes": "people", "indexes": [
        { "name": "tags", "key": { "tags": 1, "at": -1 } },
        { "name": "mail", "key": { "mail": 1 }, "unique": true },
        { "name": "nick", "key": { "nick": 1 }, "sparse": true },
        { "name": "old", "key": { "age": 1 }, "partialFilterExpression": { "age": { "$gt": 60 } } },
    ] };
    people.run(index).await.unwrap();
    let documents: Vec<RawDocumentBuf> = (0..50)
        .map(|n| {
            let mut document = rawdoc! { "_id": n, "mail": format!("m{n}"), "age": n * 2 };
            document.append(bson::cstr!("tags"), bson::rawbson!([n % 3, n % 5, "x"]));
            // So that their events take several rows.
            document.append(bson::cstr!("text"), "x".repeat(1500));
            document
        })
        .collect();
    // A transaction's events share a time.
    let session = engine::Session::start();
    let inside = people.within(&session);
    inside.insert_many(&documents).await.unwrap();
    session.commit(&engine).await.unwrap();
    people
        .update(
            doc! { "_id": { "$lt": 9 } },
            doc! { "$set": { "nick": "n" } },
            true,
            false,
        )
        .await
        .unwrap();
    people.delete(doc! { "_id": 7 }, false).await.unwrap();
    let other = Documents::new(&engine, "d", "other");
    other.insert_one(&rawdoc! { "_id": "a" }).await.unwrap();
    store
}

fn problems(store: &kv::memory::Store) -> Vec<String> {
    examine(store).unwrap().report.problems
}

/// The pairs of a table.
fn pairs(store: &kv::memory::Store, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let snapshot = store.snapshot().unwrap();
    snapshot
        .range(table, &[], &END, false)
        .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn set(store: &kv::memory::Store, table: Table, key: &[u8], value: Option<&[u8]>) {
    store
        .write(&mut |batch| match value {
            Some(value) => batch.put(table, key, value),
            None => batch.remove(table, key),
        })
        .unwrap();
}

/// Whether the only problems are those that an index could have, all gone
/// after a repair.
fn repaired(store: &kv::memory::Store) -> bool {
    let broken = examine(store).unwrap().broken;
    rebuild(store, &broken).unwrap();
    problems(store).is_empty()
}

#[tokio::test]
async fn a_sound_database_has_no_problems() {
    let store = sound().await;
    let examined = examine(store.as_ref()).unwrap().report;
    assert_eq!(examined.problems, [""; 0]);
    assert_eq!(
        examined.checked,
        [
            ("facts", 12),
            ("collections", 2),
            ("indexes", 6),
            ("documents", 50),
            // Of _id, mail, tags (three, or fewer where they are equal), nick, old.
            ("index entries", 50 + 49 + tags() + 8 + 19),
            // Two collections and the indexes were made, too.
            ("events", 50 + 9 + 1 + 1 + 3),
        ]
    );
}

/// Entries of the index `tags`: different ones of each document's three tags.
fn tags() -> u64 {
    (0..50)
        .filter(|n| *n != 7)
        .map(|n| if n % 3 == n % 5 { 2 } else { 3 })
        .sum()
}

#[tokio::test]
async fn every_index_entry_counts() {
    let whole = pairs(&*sound().await, Table::Indexes);
    // One of every sixth, so that each index has its turn.
    for at in (0..whole.len()).step_by(6) {
        let store = sound().await;
        let entries = pairs(&store, Table::Indexes);
        let (key, value) = &entries[at];
        set(&store, Table::Indexes, key, None);
        let found = problems(&store);
        assert!(
            found.len() == 1 && found[0].contains("is missing"),
            "{found:?}"
        );
        assert!(repaired(&store));
        assert_eq!(pairs(&store, Table::Indexes), entries);
        // Another record's.
        let mut other = key.clone();
        if value.is_empty() {
            *other.last_mut().unwrap() ^= 0x40;
            set(&store, Table::Indexes, &other, Some(&[]));
        } else {
            other.push(7);
            set(&store, Table::Indexes, &other, Some(value));
        }
        let found = problems(&store);
        assert!(
            found.len() == 1 && found[0].contains("too many"),
            "{found:?}"
        );
        assert!(repaired(&store));
        assert_eq!(pairs(&store, Table::Indexes), entries);
    }
}

#[tokio::test]
async fn entries_of_nothing() {
    let store = sound().await;
    set(&store, Table::Indexes, &[0, 0, 9, 9, 1], Some(&[0; 8]));
    assert_eq!(
        problems(&store),
        ["index entry 0000090901 belongs to no index"]
    );
    assert!(repaired(&store));
    set(&store, Table::Indexes, &[0], Some(&[]));
    assert_eq!(problems(&store).len(), 1);
    set(&store, Table::Indexes, &[0], None);
    let key = document_key(999, 1);
    set(&store, Table::Documents, &key, Some(&[0; 13]));
    assert_eq!(
        problems(&store),
        ["document 000003e70000000000000001 belongs to no collection"]
    );
    assert!(!repaired(&store));
}

#[tokio::test]
async fn documents_that_cannot_be() {
    let store = sound().await;
    let documents = pairs(&store, Table::Documents);
    let (key, value) = &documents[20];
    let damaged = |change: &dyn Fn(&mut Vec<u8>), what: &str| {
        let mut bad = value.clone();
        change(&mut bad);
        set(&store, Table::Documents, key, Some(&bad));
        let found = problems(&store);
        assert!(
            found.iter().any(|problem| problem.contains(what)),
            "{what}: {found:?}"
        );
        set(&store, Table::Documents, key, Some(value));
        assert!(problems(&store).is_empty());
    };
    damaged(&|bytes| bytes.truncate(5), "too short");
    damaged(&|bytes| bytes[0] = 0xff, "is damaged");
    damaged(&|bytes| bytes[20] ^= 1, "is damaged");
    // As they would be if they had been written so.
    let written = |change: &dyn Fn(&mut u64, &mut Vec<u8>), what: &str| {
        damaged(
            &|bytes| {
                let (mut commit, document) = loaded(bytes).unwrap();
                let mut document = document.as_bytes().to_vec();
                change(&mut commit, &mut document);
                *bytes = layout::stored(commit, &document);
            },
            what,
        );
    };
    written(&|_, bytes| bytes[0] ^= 1, "record");
    written(&|_, bytes| bytes[4] = 0x42, "damaged");
    written(
        &|commit, _| *commit = u64::MAX,
        "newer than the last commit",
    );
    written(&|commit, _| *commit ^= 0x40, "commit");
    written(&|_, bytes| bytes[5] = b'x', "no _id");
    let mut deep = rawdoc! { "_id": 20 };
    for _ in 0..kit::limit::STORED_DEPTH_MAX {
        deep = rawdoc! { "_id": 20, "a": deep };
    }
    written(&|_, bytes| *bytes = deep.as_bytes().to_vec(), "deeper");
    // Gone altogether: its entries lead nowhere.
    set(&store, Table::Documents, key, None);
    let found = problems(&store);
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("there is no record")),
        "{found:?}"
    );
    assert!(repaired(&store));
}

#[tokio::test]
async fn two_documents_with_one_id() {
    let store = sound().await;
    let (mut key, value) = pairs(&store, Table::Documents).swap_remove(3);
    *key.last_mut().unwrap() = 0xee;
    set(&store, Table::Documents, &key, Some(&value));
    let found = problems(&store);
    assert!(
        found
            .iter()
            .any(|p| p.contains("index _id_: has the same key as record")),
        "{found:?}"
    );
    // No repair can say which of them is meant.
    assert!(!repaired(&store));
}

#[tokio::test]
async fn the_log_is_looked_at() {
    let store = sound().await;
    let events = pairs(&store, Table::Log);
    // The middle of the transaction.
    let middle = events.iter().position(|(key, _)| key[8..] != [0; 4]);
    let middle = middle.unwrap();
    let (key, value) = &events[middle];
    set(&store, Table::Log, key, None);
    assert!(
        problems(&store)[0].contains("an event is missing"),
        "{:?}",
        problems(&store)
    );
    set(&store, Table::Log, key, Some(b"nonsense"));
    assert!(problems(&store)[0].contains("damaged"));
    set(&store, Table::Log, key, Some(rawdoc! { "a": 1 }.as_bytes()));
    assert!(problems(&store)[0].contains("no event"));
    for at in [0, 5, 9, value.len() / 2, value.len() - 1] {
        let mut flipped = value.clone();
        flipped[at] ^= 1;
        set(&store, Table::Log, key, Some(&flipped));
        assert!(problems(&store)[0].contains("damaged"));
    }
    set(&store, Table::Log, key, Some(value));
    set(&store, Table::Log, &[1, 2, 3], Some(value));
    assert!(problems(&store)[0].contains("is no position"));
    set(&store, Table::Log, &[1, 2, 3], None);
    // The whole commit that wrote a document.
    set(&store, Table::Log, &events.last().unwrap().0, None);
    assert!(
        problems(&store)[0].contains("its commit is not in the log"),
        "{:?}",
        problems(&store)
    );
    set(
        &store,
        Table::Log,
        &events.last().unwrap().0,
        Some(&events.last().unwrap().1),
    );
    // Another row's event.
    let alone = log::events(&events[0].0, &events[0].1).unwrap();
    let alone = alone[0].event().unwrap().as_bytes();
    let mut newer = events[0].0.clone();
    newer[0] = 0xff;
    set(&store, Table::Log, &newer, Some(alone));
    assert!(problems(&store)[0].contains("newer than the last commit"));
    set(&store, Table::Log, &newer, None);
    let mut inside = key.clone();
    inside[11] += 1;
    set(&store, Table::Log, &inside, Some(alone));
    assert!(problems(&store)[0].contains("is there twice"));
    set(&store, Table::Log, &inside, None);
    assert!(problems(&store).is_empty());
    // Trimmed up to the middle of a commit: what is left is as it should be.
    for (key, _) in &events[..middle] {
        set(&store, Table::Log, key, None);
    }
    let mut trimmed = Position::from_key(key).unwrap();
    trimmed.index -= 1;
    set(&store, Table::Meta, layout::TRIMMED, Some(&trimmed.key()));
    assert!(problems(&store)[0].ends_with("in the books"));
    set(
        &store,
        Table::Meta,
        layout::LOG_BYTES,
        Some(&log_bytes(&events[middle..])),
    );
    assert_eq!(problems(&store), [""; 0]);
    set(&store, Table::Log, &events[1].0, Some(&events[1].1));
    assert!(
        problems(&store)
            .iter()
            .any(|problem| problem.contains("was to be trimmed"))
    );
}

fn log_bytes(rows: &[(Vec<u8>, Vec<u8>)]) -> [u8; 8] {
    let sizes = rows.iter().map(|(key, value)| log::size(key, value.len()));
    sizes.sum::<u64>().to_be_bytes()
}

/// The rows of the log's form before, each an event and nothing else.
#[tokio::test]
async fn rows_of_an_older_program() {
    let store = sound().await;
    let rows = pairs(&store, Table::Log);
    let told = || async {
        let engine = Embedded::with(store.clone(), Arc::new(SystemClock), Options::default());
        let mut feed = engine
            .unwrap()
            .watch(engine::WatchRequest {
                start_at_operation_time: Some(bson::Timestamp {
                    time: 1,
                    increment: 1,
                }),
                show_expanded_events: true,
                ..engine::WatchRequest::default()
            })
            .await
            .unwrap();
        let mut told = Vec::new();
        for _ in 0..64 {
            told.push(feed.next().await.unwrap());
        }
        told
    };
    let before = told().await;
    for (key, value) in &rows {
        set(&store, Table::Log, key, None);
        for logged in log::events(key, value).unwrap() {
            let event = logged.event().unwrap().as_bytes();
            set(&store, Table::Log, &logged.position.key(), Some(event));
        }
    }
    let older = pairs(&store, Table::Log);
    assert_eq!((older.len(), rows.len() < 20), (64, true));
    set(
        &store,
        Table::Meta,
        layout::LOG_BYTES,
        Some(&log_bytes(&older)),
    );
    set(
        &store,
        Table::Meta,
        layout::FORMAT,
        Some(&3_u32.to_be_bytes()),
    );
    assert_eq!(problems(&store), [""; 0]);
    assert_eq!(told().await, before);
    let format = store.snapshot().unwrap();
    let format = format.get(Table::Meta, layout::FORMAT).unwrap();
    assert_eq!(
        format.as_deref(),
        Some(&layout::FORMAT_NUMBER.to_be_bytes()[..])
    );
}

#[tokio::test]
async fn catalogue_and_facts() {
    let store = sound().await;
    let (key, value) = pairs(&store, Table::Catalog).swap_remove(0);
    set(&store, Table::Catalog, &key, Some(b"nonsense"));
    let found = problems(&store);
    assert!(found[0].contains("cannot be read"), "{found:?}");
    assert!(
        found
            .iter()
            .any(|problem| problem.contains("belongs to no collection"))
    );
    set(&store, Table::Catalog, &key, Some(&value));
    set(&store, Table::Catalog, &[0, 0, 0, 0x77], Some(&value));
    assert!(problems(&store)[0].contains("its number is not its own"));
    set(&store, Table::Catalog, &[0, 0, 0, 0x77], None);
    let mut twice = Document::try_from(RawDocumentBuf::from_bytes(value).unwrap()).unwrap();
    twice.insert("id", 0x78i64);
    twice.insert("indexes", bson::bson!([]));
    let twice = RawDocumentBuf::try_from(&twice).unwrap();
    set(
        &store,
        Table::Catalog,
        &[0, 0, 0, 0x78],
        Some(twice.as_bytes()),
    );
    let found = problems(&store);
    assert!(found[0].contains("is there twice"), "{found:?}");
    assert!(found[1].contains("has no index on _id"), "{found:?}");
    set(&store, Table::Catalog, &[0, 0, 0, 0x78], None);
    set(&store, Table::Meta, b"surprise", Some(b"x"));
    assert_eq!(problems(&store), ["meta: 'surprise' is unknown or damaged"]);
    set(&store, Table::Meta, b"surprise", None);
    for (format, said) in [
        (
            Some(9u32),
            "format 9, this program knows format 4; a newer program",
        ),
        (
            Some(1),
            "format 1, this program knows format 4; an older program",
        ),
        (
            None,
            "format 1, this program knows format 4; an older program",
        ),
    ] {
        let bytes = format.map(u32::to_be_bytes);
        let bytes = bytes.as_ref().map(<[u8; 4]>::as_slice);
        set(&store, Table::Meta, layout::FORMAT, bytes);
        assert!(problems(&store)[0].contains(said));
        match Embedded::with(store.clone(), Arc::new(SystemClock), Options::default()) {
            Ok(_) => panic!("another format was opened"),
            Err(error) => assert!(error.message.contains(said)),
        }
    }
}

#[tokio::test]
async fn a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let missing = doctor(folder.path(), false).unwrap_err();
    assert!(missing.message.contains("no database here"));
    // And none was made.
    assert!(!Embedded::is_in(folder.path()));
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap();
    let shared: SharedEngine = Arc::new(engine);
    Documents::new(&shared, "d", "c")
        .insert_one(&rawdoc! { "_id": 1 })
        .await
        .unwrap();
    let used = doctor(folder.path(), false).unwrap_err();
    assert!(
        used.message.contains("another process has it in use"),
        "{}",
        used.message
    );
    drop(shared);
    let examined = closed(folder.path());
    assert_eq!(
        (examined.problem_count, examined.checked[0]),
        (0, ("store", 1))
    );
    {
        let store =
            kv::redb::Store::open(&folder.path().join(crate::FILE), &Options::default()).unwrap();
        store
            .write(&mut |batch| {
                let keys = batch.keys(Table::Indexes, &[], &END)?;
                batch.remove(Table::Indexes, &keys[0])
            })
            .unwrap();
    }
    assert_eq!(doctor(folder.path(), false).unwrap().problem_count, 1);
    let examined = doctor(folder.path(), true).unwrap();
    assert_eq!((examined.problem_count, examined.rebuilt), (0, 1));
}

/// Examines as soon as the committer's thread has let go of the file.
fn closed(folder: &Path) -> Examined {
    let start = std::time::Instant::now();
    loop {
        match doctor(folder, false) {
            Ok(examined) => return examined,
            Err(error) => assert!(start.elapsed().as_secs() < 30, "{}", error.message),
        }
        std::thread::yield_now();
    }
}

/// Bytes of the file itself that changed.
#[tokio::test]
async fn a_damaged_file_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    {
        let engine: SharedEngine =
            Arc::new(Embedded::open(folder.path(), Arc::new(SystemClock)).unwrap());
        let all = Documents::new(&engine, "d", "c");
        let documents: Vec<_> = (0..2000)
            .map(|n| rawdoc! { "_id": n, "text": "x".repeat(200) })
            .collect();
        all.insert_many(&documents).await.unwrap();
    }
    assert_eq!(closed(folder.path()).problem_count, 0);
    let path = folder.path().join(crate::FILE);
    let good = std::fs::read(&path).unwrap();
    let mut found = 0;
    for part in 1..24 {
        let mut bad = good.clone();
        let at = good.len() / 24 * part;
        for byte in &mut bad[at..at + 600] {
            *byte ^= 0x5a;
        }
        std::fs::write(&path, &bad).unwrap();
        match doctor(folder.path(), false) {
            Err(_) => found += 1,
            Ok(examined) if examined.problem_count > 0 => found += 1,
            // A page that nothing uses.
            Ok(_) => {}
        }
    }
    assert!(found > 5, "{found}");
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(doctor(folder.path(), false).is_err());
    std::fs::write(&path, b"no database").unwrap();
    assert!(doctor(folder.path(), false).is_err());
}

#[tokio::test]
async fn sizes_that_are_not_what_is_there() {
    let store = sound().await;
    let rows = || {
        let mut rows = pairs(&store, Table::Meta);
        rows.retain(|(key, _)| key.starts_with(sizes::PREFIX));
        rows
    };
    let all = rows();
    // Two collections, and their indexes with entries.
    assert_eq!(all.len(), 8);
    let (key, value) = &all[0];
    let mut other = value.clone();
    other[7] ^= 1;
    set(&store, Table::Meta, key, Some(&other));
    assert!(problems(&store)[0].starts_with("sizes: "));
    set(&store, Table::Meta, key, None);
    let found = problems(&store);
    assert!(found[0].ends_with("and 0 of 0 in the books"), "{found:?}");
    sizes::recount(store.as_ref()).unwrap();
    assert_eq!((problems(&store).len(), rows()), (0, all.clone()));
    // A store of the form before has none, which is well; opening counts.
    for (key, _) in &all {
        set(&store, Table::Meta, key, None);
    }
    let before = layout::UNCOUNTED.to_be_bytes();
    set(&store, Table::Meta, layout::FORMAT, Some(&before));
    assert!(problems(&store).is_empty());
    drop(Embedded::with(store.clone(), Arc::new(SystemClock), Options::default()).unwrap());
    assert_eq!((problems(&store).len(), rows()), (0, all));
}
