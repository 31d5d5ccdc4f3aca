//! A call of the disk fails, the first, the second and so on until none is left
//! to fail, once and for good. The command says so or has done its work; after
//! it said so no write is taken; and whatever was on the disk then opens, with
//! everything acknowledged, and the command's effect whole or not there.

use std::io::ErrorKind;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, CommandError, Session, SharedEngine};
use engine_embedded::{Options, Retention, doctor_on};

use super::disk::{Failure, TestDisk};
use super::model::{DATABASE, Effect, Model, apply, is_allowed, run, stored};
use super::{open, open_with, options};

/// What is done while a call fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Open,
    Insert,
    Update,
    Transaction,
    CreateIndexes,
    DropDatabase,
    Output,
    Trim,
    Close,
}

const ACTS: [Act; 9] = [
    Act::Open,
    Act::Insert,
    Act::Update,
    Act::Transaction,
    Act::CreateIndexes,
    Act::DropDatabase,
    Act::Output,
    Act::Trim,
    Act::Close,
];

/// Long: with `BACKSTITCH_TEST_IO_ERRORS` and a small cache, so that reads are
/// among the calls that fail, and more documents.
fn is_long() -> bool {
    std::env::var_os("BACKSTITCH_TEST_IO_ERRORS").is_some()
}

/// Documents below this one are kept when the collection is made anew.
const KEPT: i64 = 3;

fn new_document(id: i64) -> Document {
    doc! { "_id": id, "k": id, "n": 0, "l": [id], "s": "x".repeat(3000) }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("encodes")
}

impl Act {
    /// What it does, when it does it.
    fn effects(self, model: &Model) -> Vec<Effect> {
        let set = |document: Document| Effect::Set("c".to_owned(), document);
        match self {
            Self::Open | Self::Close => Vec::new(),
            Self::Insert | Self::Trim => vec![set(new_document(1000))],
            Self::Update => {
                let mut document = model["c"].documents[&3].clone();
                document.insert("n", 1);
                vec![set(document)]
            }
            Self::Transaction => vec![
                set(new_document(1000)),
                set(new_document(1001)),
                Effect::Remove("c".to_owned(), 5),
            ],
            Self::CreateIndexes => vec![Effect::Index("c".to_owned(), "k".to_owned(), true)],
            Self::DropDatabase => vec![Effect::Drop("c".to_owned())],
            Self::Output => {
                let gone = model["c"].documents.range(KEPT..);
                gone.map(|(id, _)| Effect::Remove("c".to_owned(), *id))
                    .collect()
            }
        }
    }

    async fn run(self, engine: &SharedEngine) -> Result<(), CommandError> {
        let c = Collection::new(engine, DATABASE, "c");
        match self {
            Self::Open | Self::Close => Ok(()),
            Self::Insert | Self::Trim => c.insert_one(&raw(&new_document(1000))).await,
            Self::Update => {
                let change = doc! { "$inc": { "n": 1 } };
                c.update_one(doc! { "_id": 3_i64 }, change).await.map(drop)
            }
            Self::Transaction => {
                let session = Session::start();
                let c = c.within(&session);
                c.insert_one(&raw(&new_document(1000))).await?;
                c.insert_one(&raw(&new_document(1001))).await?;
                c.delete(doc! { "_id": 5_i64 }, false).await?;
                session.commit(engine).await
            }
            Self::CreateIndexes => {
                let index = doc! { "key": { "k": 1 }, "name": "k", "unique": true };
                let command = doc! { "createIndexes": "c", "indexes": [index] };
                run(engine, command).await.map(drop)
            }
            Self::DropDatabase => run(engine, doc! { "dropDatabase": 1 }).await.map(drop),
            Self::Output => {
                let stages = vec![
                    doc! { "$match": { "_id": { "$lt": KEPT } } },
                    doc! { "$out": "c" },
                ];
                let command = doc! { "aggregate": "c", "pipeline": stages, "cursor": {} };
                run(engine, command).await.map(drop)
            }
        }
    }

    fn options(self) -> Options {
        let mut options = if is_long() {
            options()
        } else {
            Options::default()
        };
        if self == Self::Trim {
            // Everything but the newest events has to go.
            options.log_retention = Retention {
                seconds: 3600,
                bytes: 5000,
            };
        }
        options
    }
}

/// A database that every act begins with.
async fn base() -> (Vec<u8>, Model) {
    let disk = TestDisk::default();
    let engine = open(&disk).expect("opens");
    let c = Collection::new(&engine, DATABASE, "c");
    let count = if is_long() { 100 } else { 8 };
    let documents: Vec<RawDocumentBuf> = (0..count).map(|n| raw(&new_document(n))).collect();
    c.insert_many(&documents).await.expect("insert");
    c.create_index("n", doc! { "n": 1, "l": -1 }, false)
        .await
        .expect("an index");
    let model = stored(&engine).await;
    drop(engine);
    (disk.now(), model)
}

/// Does an act while a call fails; false when there was no such call.
async fn fails(act: Act, base: &(Vec<u8>, Model), failure: Failure) -> bool {
    let (bytes, model) = base;
    let disk = TestDisk::of(bytes.clone());
    let begin = |act: Act| {
        if act == Act::Open {
            disk.fail(Some(failure));
        }
        open_with(&disk, act.options())
    };
    let mut acknowledged = true;
    let opened = begin(act);
    match opened {
        Err(error) => {
            assert!(act == Act::Open && disk.has_failed(), "{error}");
            let text = &error.message;
            assert!(!text.contains("damaged"), "it panicked, or so: {text}");
        }
        Ok(engine) => {
            if act != Act::Open {
                disk.fail(Some(failure));
            }
            let result = act.run(&engine).await;
            acknowledged = result.is_ok();
            if let Err(error) = result {
                assert!(disk.has_failed(), "{act:?}: {error}");
                is_stopped(&engine, &error).await;
            }
            drop(engine);
        }
    }
    let came = disk.has_failed();
    disk.fail(None);
    // A process that starts anew, and a power loss.
    for bytes in [disk.now(), disk.durable()] {
        let disk = TestDisk::of(bytes);
        let examined = doctor_on(disk.clone()).expect("opens");
        assert_eq!(examined.problems, [""; 0], "{act:?} {failure:?}");
        let engine = open(&disk).expect("opens again");
        let found = stored(&engine).await;
        let mut after = model.clone();
        apply(&mut after, &act.effects(model));
        if acknowledged {
            assert!(found == after, "{act:?} {failure:?}: lost");
        } else {
            let effects = [act.effects(model)];
            assert!(is_allowed(&found, model, &effects), "{act:?} {failure:?}");
        }
        let c = Collection::new(&engine, "other", "c");
        c.insert_one(&rawdoc! { "_id": 1 }).await.expect("goes on");
    }
    came
}

/// After a failure nothing is acknowledged any more, and the engine says so.
async fn is_stopped(engine: &SharedEngine, error: &CommandError) {
    assert_ne!(error.message, "the database is closed", "a thread panicked");
    let c = Collection::new(engine, "other", "c");
    for n in 0..3 {
        let refused = c.insert_one(&rawdoc! { "_id": n }).await;
        let refused = refused.expect_err("a write is acknowledged after a failure");
        assert_ne!(refused.message, "the database is closed", "{error}");
    }
    assert!(engine.health().await.is_err());
}

/// Every call of every act; how many there were.
async fn count_up(kind: ErrorKind) -> usize {
    let base = base().await;
    let mut points = 0;
    for act in ACTS {
        for lasts in [false, true] {
            for at in 0.. {
                if !fails(act, &base, Failure { at, lasts, kind }).await {
                    assert!(at > 2, "{act:?} has hardly a call");
                    break;
                }
                points += 1;
            }
        }
    }
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_is_told() {
    let points = count_up(ErrorKind::Other).await;
    println!("{points} calls failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_any_call_is_told() {
    let base = base().await;
    for act in [Act::Insert, Act::CreateIndexes] {
        for at in 0.. {
            let kind = ErrorKind::StorageFull;
            let failure = Failure {
                at,
                lasts: true,
                kind,
            };
            if !fails(act, &base, failure).await {
                break;
            }
        }
    }
}
