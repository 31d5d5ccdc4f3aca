//! Sessions and their transactions by the fields of commands: numbers, what
//! is refused, who conflicts with whom.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, Uuid, doc};

use super::{Case, World, whole};
use crate::CommandError;

pub(super) const CASES: &[Case] = &[
    ("numbers_of_transactions", |w| {
        Box::pin(numbers_of_transactions(w))
    }),
    ("ends_without_a_beginning", |w| {
        Box::pin(ends_without_a_beginning(w))
    }),
    ("fields_that_do_not_go_together", |w| {
        Box::pin(fields_that_do_not_go_together(w))
    }),
    ("what_a_transaction_may_not_do", |w| {
        Box::pin(what_a_transaction_may_not_do(w))
    }),
    ("errors_end_a_transaction", |w| {
        Box::pin(errors_end_a_transaction(w))
    }),
    ("collections_made_in_a_transaction", |w| {
        Box::pin(collections_made_in_a_transaction(w))
    }),
    ("collections_of_other_times", |w| {
        Box::pin(collections_of_other_times(w))
    }),
    ("the_second_of_two_writers_fails_at_once", |w| {
        Box::pin(the_second_of_two_writers_fails_at_once(w))
    }),
    ("unique_keys_of_two_transactions", |w| {
        Box::pin(unique_keys_of_two_transactions(w))
    }),
    ("plain_writes_wait_for_transactions", |w| {
        Box::pin(plain_writes_wait_for_transactions(w))
    }),
    ("killed_sessions_have_no_transaction", |w| {
        Box::pin(killed_sessions_have_no_transaction(w))
    }),
    ("updates_of_many_are_whole", |w| {
        Box::pin(updates_of_many_are_whole(w))
    }),
];

/// A session of which this knows the number.
struct Session<'a> {
    w: &'a World,
    id: Uuid,
    number: i64,
}

impl<'a> Session<'a> {
    fn new(w: &'a World) -> Self {
        Self {
            w,
            id: Uuid::new(),
            number: 0,
        }
    }

    /// A command of the transaction.
    fn part(&self, mut command: Document) -> Document {
        command.insert("lsid", doc! { "id": self.id });
        command.insert("txnNumber", self.number);
        command.insert("autocommit", false);
        command
    }

    /// The first command of one.
    fn first(&self, command: Document) -> Document {
        let mut command = self.part(command);
        command.insert("startTransaction", true);
        command
    }

    /// Begins the next transaction with this command.
    async fn start(&mut self, command: Document) -> Result<Document, CommandError> {
        self.number += 1;
        self.w.run(self.first(command)).await
    }

    async fn run(&self, command: Document) -> Result<Document, CommandError> {
        self.w.run(self.part(command)).await
    }

    async fn end(&self, name: &str) -> Result<Document, CommandError> {
        let mut command = Document::new();
        command.insert(name, 1);
        admin(self.w, self.part(command)).await
    }

    async fn commit(&self) -> Result<Document, CommandError> {
        self.end("commitTransaction").await
    }

    async fn abort(&self) -> Result<Document, CommandError> {
        self.end("abortTransaction").await
    }
}

async fn admin(w: &World, command: Document) -> Result<Document, CommandError> {
    let raw = RawDocumentBuf::try_from(&command).expect("a command encodes");
    let reply = w.engine.command("admin", &raw).await?;
    Ok(Document::try_from(reply).expect("a reply decodes"))
}

/// An error's code, and whether the whole transaction may be tried again.
fn refused(result: Result<Document, CommandError>) -> (i32, bool) {
    let error = result.expect_err("it should be refused");
    (error.code, error.is_transient())
}

/// The code of a reply's first write error.
fn write_error(result: Result<Document, CommandError>) -> Option<i32> {
    let reply = result.expect("a reply");
    let errors = reply.get_array("writeErrors").ok()?;
    errors.first()?.as_document()?.get_i32("code").ok()
}

fn find() -> Document {
    doc! { "find": "c" }
}

fn insert(id: i32) -> Document {
    doc! { "insert": "c", "documents": [{ "_id": id }] }
}

fn set(id: i32, n: i32) -> Document {
    doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": { "$set": { "n": n } } }] }
}

async fn numbers_of_transactions(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut session = Session::new(&w);
    session.number = 4;
    session.start(insert(1)).await.expect("begins");
    assert_eq!(refused(w.run(session.first(find())).await).0, 117);
    session.run(find()).await.expect("it goes on");
    let number = session.number;
    session.number = number - 1;
    assert_eq!(refused(session.run(find()).await).0, 225);
    assert_eq!(refused(w.run(session.first(find())).await).0, 225);
    session.number = number + 1;
    assert_eq!(refused(session.run(find()).await), (251, true));
    session.number = number;
    session.run(find()).await.expect("it goes on");
    // A newer one aborts it.
    session.start(insert(2)).await.expect("begins");
    session.number = number;
    assert_eq!(refused(session.run(find()).await).0, 225);
    session.number = number + 1;
    session.commit().await.expect("commits");
    session.commit().await.expect("says so again");
    assert_eq!(refused(session.abort().await), (256, false));
    assert_eq!(refused(session.run(find()).await), (256, false));
    assert_eq!(refused(w.run(session.first(find())).await).0, 117);
    assert_eq!(w.find(doc! {}).await, [doc! { "_id": 2 }]);
    // One that only reads is committed as well.
    session.start(find()).await.expect("begins");
    session.commit().await.expect("commits");
    session.commit().await.expect("says so again");
}

async fn ends_without_a_beginning(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let mut session = Session::new(&w);
    session.number = 1;
    assert_eq!(refused(session.commit().await), (251, true));
    assert_eq!(refused(session.abort().await), (251, true));
    assert_eq!(refused(session.run(find()).await), (251, true));
    session.start(insert(1)).await.expect("begins");
    session.abort().await.expect("aborts");
    assert_eq!(refused(session.abort().await), (251, true));
    assert_eq!(refused(session.commit().await), (251, true));
    assert_eq!(refused(session.run(find()).await), (251, true));
    assert_eq!(refused(w.run(session.first(find())).await).0, 117);
    assert_eq!(
        refused(admin(&w, doc! { "commitTransaction": 1 }).await).0,
        125
    );
    assert_eq!(
        refused(admin(&w, doc! { "abortTransaction": 1 }).await).0,
        125
    );
    session.start(insert(2)).await.expect("begins");
    let elsewhere = session.part(doc! { "commitTransaction": 1 });
    assert_eq!(refused(w.run(elsewhere).await).0, 13);
    session.commit().await.expect("commits");
    session.number += 1;
    let first = session.first(doc! { "commitTransaction": 1 });
    assert_eq!(refused(admin(&w, first).await).0, 263);
}

/// A good first command of a transaction with a mistake, and the code of that.
pub(crate) fn wrong_parts(good: &Document) -> Vec<(Document, i32)> {
    let changes = [
        (doc! { "autocommit": true }, 72),
        (doc! { "autocommit": 0 }, 14),
        (doc! { "startTransaction": false }, 72),
        (doc! { "startTransaction": 1 }, 14),
        (doc! { "txnNumber": 1 }, 14),
        (doc! { "txnNumber": 1.0 }, 14),
        (doc! { "txnNumber": -1_i64 }, 72),
        (doc! { "lsid": { "id": 5 } }, 14),
        (doc! { "lsid": { "id": "x" } }, 14),
        (doc! { "lsid": {} }, 40414),
    ];
    let changed = changes.into_iter().map(|(change, code)| {
        let mut wrong = good.clone();
        wrong.extend(change);
        (wrong, code)
    });
    let without = ["autocommit", "txnNumber", "lsid"].into_iter().map(|name| {
        let mut wrong = good.clone();
        wrong.remove(name);
        (wrong, 72)
    });
    changed.chain(without).collect()
}

async fn fields_that_do_not_go_together(w: World) {
    w.ok(doc! { "create": "c" }).await;
    let good = Session::new(&w).first(find());
    for (wrong, code) in wrong_parts(&good) {
        w.fails(wrong, code).await;
    }
    for read in [find(), doc! { "create": "d" }] {
        let mut numbered = Session::new(&w).part(read);
        numbered.remove("autocommit");
        w.fails(numbered, 50768).await;
    }
}

async fn what_a_transaction_may_not_do(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let concern = |level: &str| doc! { "find": "c", "readConcern": { "level": level } };
    let aggregate = |stage: Document| {
        doc! { "aggregate": "c", "pipeline": [stage], "cursor": {} }
    };
    for (command, code) in [
        (doc! { "count": "c" }, 263),
        (doc! { "drop": "c" }, 263),
        (doc! { "dropDatabase": 1 }, 263),
        (doc! { "listCollections": 1 }, 263),
        (doc! { "listIndexes": "c" }, 263),
        (doc! { "dropIndexes": "c", "index": "*" }, 263),
        (
            doc! { "collMod": "c", "changeStreamPreAndPostImages": { "enabled": true } },
            263,
        ),
        (doc! { "ping": 1 }, 263),
        (aggregate(doc! { "$out": "o" }), 263),
        (aggregate(doc! { "$merge": "o" }), 263),
        (aggregate(doc! { "$collStats": { "count": {} } }), 263),
        (aggregate(doc! { "$indexStats": {} }), 263),
        (
            doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n_1" }] },
            263,
        ),
        (doc! { "create": "c" }, 48),
        (doc! { "nonsense": 1 }, 59),
        (doc! { "insert": "system.profile", "documents": [{}] }, 263),
        (concern("linearizable"), 72),
        (concern("available"), 72),
        (
            doc! { "insert": "c", "documents": [{ "_id": 9 }], "writeConcern": { "w": 1 } },
            72,
        ),
    ] {
        let shown = command.to_string();
        let mut session = Session::new(&w);
        assert_eq!(refused(session.start(command).await).0, code, "{shown}");
        // Nothing is open after that.
        assert_eq!(refused(session.abort().await), (251, true), "{shown}");
    }
    for level in ["local", "majority", "snapshot"] {
        let mut session = Session::new(&w);
        session.start(concern(level)).await.expect("begins");
        session.abort().await.expect("aborts");
    }
    let mut session = Session::new(&w);
    let distinct = doc! { "distinct": "c", "key": "n" };
    let reply = session.start(distinct).await.expect("begins");
    assert_eq!(reply.get_array("values").map(Vec::len).ok(), Some(1));
    session.abort().await.expect("aborts");
}

async fn errors_end_a_transaction(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    let mut session = Session::new(&w);
    // What may not be asked for ends nothing.
    session.start(insert(2)).await.expect("begins");
    assert_eq!(refused(session.run(doc! { "drop": "c" }).await).0, 263);
    let mut again = find();
    again.insert("readConcern", doc! { "level": "snapshot" });
    assert_eq!(refused(session.run(again).await).0, 72);
    session.run(find()).await.expect("it goes on");
    // What fails does.
    let wrong = doc! { "find": "c", "filter": { "$foo": 1 } };
    assert_eq!(refused(session.run(wrong).await).0, 2);
    assert_eq!(refused(session.run(find()).await), (251, true));
    session.start(insert(2)).await.expect("begins");
    assert_eq!(write_error(session.run(insert(1)).await), Some(11000));
    assert_eq!(refused(session.commit().await), (251, true));
    session.start(insert(2)).await.expect("begins");
    let unknown = doc! { "update": "c", "updates": [{ "q": {}, "u": { "$foo": 1 } }] };
    assert_eq!(write_error(session.run(unknown).await), Some(9));
    assert_eq!(refused(session.run(find()).await), (251, true));
    assert_eq!(w.find(doc! {}).await, [doc! { "_id": 1 }]);
}

async fn names(w: &World) -> Vec<String> {
    let list = doc! { "listCollections": 1, "nameOnly": true };
    let listed = super::documents(&w.ok(list).await);
    let mut names: Vec<String> = listed
        .iter()
        .filter_map(|entry| entry.get_str("name").ok().map(str::to_owned))
        .collect();
    names.sort();
    names
}

async fn collections_made_in_a_transaction(w: World) {
    w.ok(doc! { "create": "first" }).await;
    let mut session = Session::new(&w);
    session.start(insert(1)).await.expect("begins");
    assert_eq!(names(&w).await, ["first"], "not seen before the commit");
    let found = session.run(find()).await.expect("finds");
    assert_eq!(super::documents(&found), [doc! { "_id": 1 }]);
    session.commit().await.expect("commits");
    assert_eq!(names(&w).await, ["c", "first"]);
    assert_eq!(w.find(doc! {}).await, [doc! { "_id": 1 }]);
    // Aborted, it never was.
    let other = doc! { "insert": "gone", "documents": [{ "_id": 1 }] };
    session.start(other).await.expect("begins");
    session.abort().await.expect("aborts");
    assert_eq!(names(&w).await, ["c", "first"]);
    // Of two that make one, the second cannot commit.
    let mut second = Session::new(&w);
    session
        .start(doc! { "create": "both" })
        .await
        .expect("begins");
    second
        .start(doc! { "create": "both" })
        .await
        .expect("begins");
    session.commit().await.expect("commits");
    assert_eq!(refused(second.commit().await), (112, true));
    // With indexes, as long as it is empty.
    let index = doc! {
        "createIndexes": "d", "indexes": [{ "key": { "u": 1 }, "name": "u_1", "unique": true }],
    };
    let put = |id: i32| doc! { "insert": "d", "documents": [{ "_id": id, "u": 1 }] };
    session.start(index.clone()).await.expect("begins");
    session.run(put(1)).await.expect("inserts");
    assert_eq!(write_error(session.run(put(2)).await), Some(11000));
    let mut first = put(1);
    first.insert("readConcern", doc! { "level": "local" });
    session.start(first).await.expect("begins");
    assert_eq!(refused(session.run(index.clone()).await).0, 263);
    let reply = session.start(index).await.expect("begins");
    assert_eq!(reply.get("numIndexesAfter").and_then(whole), Some(2));
    session.run(put(1)).await.expect("inserts");
    session.commit().await.expect("commits");
    let found = super::documents(&w.ok(doc! { "find": "d", "filter": { "u": 1 } }).await);
    assert_eq!(found, [doc! { "_id": 1, "u": 1 }]);
    w.fails(put(2), 11000).await;
}

async fn collections_of_other_times(w: World) {
    w.insert(vec![doc! { "_id": 1 }]).await;
    let mut session = Session::new(&w);
    session.start(find()).await.expect("begins");
    w.ok(doc! { "create": "late" }).await;
    w.ok(doc! { "insert": "late", "documents": [{ "_id": 1 }] })
        .await;
    // Where a snapshot is of a time, it can be looked for there.
    match session.run(doc! { "find": "late" }).await {
        Ok(found) => assert!(super::documents(&found).is_empty(), "{found}"),
        Err(error) => {
            assert_eq!((error.code, error.is_transient()), (246, true));
            assert_eq!(refused(session.abort().await), (251, true));
        }
    }
    w.ok(doc! { "drop": "late" }).await;
}

async fn the_second_of_two_writers_fails_at_once(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "n": 1 },
        doc! { "_id": 2, "n": 1 },
        doc! { "_id": 3, "n": 1 },
    ])
    .await;
    let (mut first, mut second) = (Session::new(&w), Session::new(&w));
    first.start(set(1, 5)).await.expect("the first");
    for write in [
        set(1, 6),
        doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$set": { "n": 7 } } },
        doc! { "findAndModify": "c", "query": { "_id": 1 }, "remove": true },
        doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] },
        doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "n": 9 } }] },
    ] {
        let shown = write.to_string();
        assert_eq!(refused(second.start(write).await), (112, true), "{shown}");
        assert_eq!(refused(second.run(find()).await), (251, true), "{shown}");
    }
    // What changes nothing is in nobody's way.
    let same = second.start(set(1, 1)).await.expect("nothing to write");
    assert_eq!(same.get("nModified").and_then(whole), Some(0));
    second.abort().await.expect("aborts");
    first.commit().await.expect("commits");
    // What was written after the snapshot is too new.
    first.start(find()).await.expect("begins");
    w.ok(set(2, 9)).await;
    assert_eq!(refused(first.run(set(2, 10)).await), (112, true));
    first.start(find()).await.expect("begins");
    w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": 3 }, "limit": 1 }] })
        .await;
    let found = first.run(find()).await.expect("still sees it");
    assert_eq!(super::documents(&found).len(), 3);
    assert_eq!(refused(first.run(set(3, 10)).await), (112, true));
}

async fn unique_keys_of_two_transactions(w: World) {
    w.insert(vec![doc! { "_id": 1, "u": 1 }]).await;
    w.ok(doc! {
        "createIndexes": "c",
        "indexes": [{ "key": { "u": 1 }, "name": "u_1", "unique": true, "sparse": true }],
    })
    .await;
    let put = |id: i32, u: i32| doc! { "insert": "c", "documents": [{ "_id": id, "u": u }] };
    let upsert = |id: i32| {
        let u = doc! { "$inc": { "n": 1 } };
        doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": u, "upsert": true }] }
    };
    let (mut first, mut second) = (Session::new(&w), Session::new(&w));
    first.start(put(20, 7)).await.expect("the first");
    for write in [put(21, 7), insert(20), upsert(20)] {
        let shown = write.to_string();
        assert_eq!(refused(second.start(write).await), (112, true), "{shown}");
    }
    second.start(put(22, 8)).await.expect("another key");
    first.commit().await.expect("commits");
    second.commit().await.expect("commits");
    first.start(upsert(40)).await.expect("the first");
    assert_eq!(refused(second.start(upsert(40)).await), (112, true));
    first.commit().await.expect("commits");
    // A key of after the snapshot conflicts, one of before is a duplicate.
    first.start(find()).await.expect("begins");
    w.ok(insert(30)).await;
    assert_eq!(refused(first.run(insert(30)).await), (112, true));
    first.start(find()).await.expect("begins");
    assert_eq!(write_error(first.run(insert(30)).await), Some(11000));
    // A key that the transaction frees is free in it.
    let delete = doc! { "delete": "c", "deletes": [{ "q": { "_id": 20 }, "limit": 1 }] };
    first.start(delete).await.expect("deletes");
    first.run(put(23, 7)).await.expect("the key is free");
    first.commit().await.expect("commits");
}

async fn plain_writes_wait_for_transactions(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let mut session = Session::new(&w);
    session.start(set(1, 5)).await.expect("begins");
    session.run(insert(2)).await.expect("inserts");
    let mut limited = set(1, 6);
    limited.insert("maxTimeMS", 100);
    w.fails(limited, 50).await;
    let plain = |command: Document| {
        let w = w.clone();
        tokio::spawn(async move { w.run(command).await })
    };
    let inc = doc! { "$inc": { "n": 1 } };
    let mut update = plain(doc! {
        "update": "c", "updates": [{ "q": { "_id": 1 }, "u": inc }],
    });
    let double = plain(insert(2));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut update).await;
    assert!(early.is_err(), "it waits for the transaction");
    session.commit().await.expect("commits");
    update.await.expect("a task").expect("updates");
    let double = double.await.expect("a task");
    assert_eq!(write_error(double), Some(11000));
    let found = w.find(doc! { "filter": { "_id": 1 } }).await;
    assert_eq!(found, [doc! { "_id": 1, "n": 6 }]);
    // After an abort it is as if there had been nothing.
    session.start(insert(3)).await.expect("begins");
    let again = plain(insert(3));
    session.abort().await.expect("aborts");
    let again = again.await.expect("a task").expect("inserts");
    assert_eq!(again.get("n").and_then(whole), Some(1));
}

async fn killed_sessions_have_no_transaction(w: World) {
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let mut session = Session::new(&w);
    session.start(set(1, 5)).await.expect("begins");
    let kill = doc! { "killSessions": [{ "id": session.id }] };
    admin(&w, kill).await.expect("killed");
    assert_eq!(refused(session.run(find()).await), (251, true));
    w.ok(set(1, 2)).await;
    admin(&w, doc! { "endSessions": [{ "id": session.id }] })
        .await
        .expect("ended");
    let wrong = admin(&w, doc! { "endSessions": [{ "id": 1 }] }).await;
    assert_eq!(refused(wrong).0, 14);
    let started = admin(&w, doc! { "startSession": 1 })
        .await
        .expect("a session");
    let id = started.get_document("id").map(|session| session.get("id"));
    assert!(matches!(id, Ok(Some(Bson::Binary(_)))), "{started}");
}

/// More than is committed as one.
async fn updates_of_many_are_whole(w: World) {
    let n = 2_500;
    w.insert((0..n).map(|id| doc! { "_id": id, "n": 0 }).collect())
        .await;
    let inc = doc! { "$inc": { "n": 1 } };
    let update = doc! { "q": {}, "u": inc, "multi": true };
    let reply = w.ok(doc! { "update": "c", "updates": [update] }).await;
    assert_eq!(reply.get("n").and_then(whole), Some(n.into()));
    assert_eq!(reply.get("nModified").and_then(whole), Some(n.into()));
    let sum = doc! { "$group": { "_id": null, "n": { "$sum": "$n" } } };
    let found = w.aggregate(vec![sum]).await;
    assert_eq!(found[0].get("n").and_then(whole), Some(n.into()));
    let delete = doc! { "q": { "_id": { "$gte": 100 } }, "limit": 0 };
    let reply = w.ok(doc! { "delete": "c", "deletes": [delete] }).await;
    assert_eq!(reply.get("n").and_then(whole), Some(i64::from(n) - 100));
    assert_eq!(w.find(doc! { "batchSize": 200 }).await.len(), 100);
}
