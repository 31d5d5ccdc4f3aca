//! Limits, to the byte: how large documents, commands and names may be, how
//! deep, and how many of what.

use bson::{Bson, Document, doc};
use kit::limit::{DOCUMENT_BYTES_MAX, WRITES_PER_COMMAND_MAX};

use super::{Case, World, whole};

pub(super) const CASES: &[Case] = &[
    ("inserts_of_the_largest_document", |w| {
        Box::pin(inserts_of_the_largest_document(w))
    }),
    ("updates_to_the_largest_document", |w| {
        Box::pin(updates_to_the_largest_document(w))
    }),
    ("upserts_of_the_largest_document", |w| {
        Box::pin(upserts_of_the_largest_document(w))
    }),
    ("pipelines_write_the_largest_document", |w| {
        Box::pin(pipelines_write_the_largest_document(w))
    }),
    ("large_commands", |w| Box::pin(large_commands(w))),
    ("statements_of_one_command", |w| {
        Box::pin(statements_of_one_command(w))
    }),
    ("indexes_of_one_collection", |w| {
        Box::pin(indexes_of_one_collection(w))
    }),
    ("names_of_indexes", |w| Box::pin(names_of_indexes(w))),
    ("lengths_of_namespaces", |w| {
        Box::pin(lengths_of_namespaces(w))
    }),
    ("depths_of_documents", |w| Box::pin(depths_of_documents(w))),
    ("lengths_of_paths", |w| Box::pin(lengths_of_paths(w))),
];

const TOO_LARGE_TO_INSERT: i32 = 2;
const TOO_DEEP: i32 = 15;
const TOO_LARGE_AFTER_UPDATE: i32 = 17419;
const TOO_LARGE_TO_UPSERT: i32 = 17420;

/// `{_id, a}` of so many bytes.
fn large(id: i32, bytes: usize) -> Document {
    let rest = bson::serialize_to_vec(&doc! { "_id": id, "a": "" }).map(|bytes| bytes.len());
    doc! { "_id": id, "a": "x".repeat(bytes - rest.expect("encodes")) }
}

/// A text that makes a document of half the most bytes, as another field `b`,
/// into one of the most bytes and some more.
fn other_half(more: usize) -> String {
    // Type, name, length and the zero at its end.
    "y".repeat(DOCUMENT_BYTES_MAX / 2 - 8 + more)
}

/// Large documents are not left for the cases that follow.
async fn clear(w: &World) {
    w.ok(doc! { "dropDatabase": 1 }).await;
}

async fn bytes(w: &World, name: &str) -> Vec<i64> {
    let pipeline = vec![
        doc! { "$sort": { "_id": 1 } },
        doc! { "$project": { "n": { "$bsonSize": "$$ROOT" } } },
    ];
    let reply = w
        .ok(doc! { "aggregate": name, "pipeline": pipeline, "cursor": {} })
        .await;
    let found = super::documents(&reply);
    found
        .iter()
        .filter_map(|d| d.get("n").and_then(whole))
        .collect()
}

/// Leaves one document of half the most bytes.
async fn half(w: &World) {
    w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
        .await;
    w.insert(vec![large(1, DOCUMENT_BYTES_MAX / 2)]).await;
}

const MOST: i64 = DOCUMENT_BYTES_MAX as i64;

async fn inserts_of_the_largest_document(w: World) {
    w.insert(vec![large(1, DOCUMENT_BYTES_MAX)]).await;
    let insert = doc! { "insert": "c", "documents": [large(2, DOCUMENT_BYTES_MAX + 1)] };
    w.fails(insert, TOO_LARGE_TO_INSERT).await;
    // It is one statement that fails.
    let three = [
        large(3, 100),
        large(4, DOCUMENT_BYTES_MAX + 1),
        large(5, 100),
    ];
    for (ordered, inserted) in [(true, 1), (false, 2)] {
        w.ok(doc! { "delete": "c", "deletes": [{ "q": { "_id": { "$gt": 1 } }, "limit": 0 }] })
            .await;
        let reply = w
            .ok(doc! { "insert": "c", "documents": &three[..], "ordered": ordered })
            .await;
        assert_eq!(reply.get("n").and_then(whole), Some(inserted), "{reply}");
        let errors = reply.get_array("writeErrors").expect("an error");
        assert_eq!(errors.len(), 1, "{reply}");
    }
    assert_eq!(bytes(&w, "c").await, [MOST, 100, 100]);
    clear(&w).await;
}

async fn updates_to_the_largest_document(w: World) {
    let joined = |more: usize| {
        let rest = "y".repeat(other_half(more).len() - (DOCUMENT_BYTES_MAX / 2 - 22));
        doc! { "$set": { "b": { "$concat": ["$a", rest] } } }
    };
    for more in [0, 1] {
        let updates: [Bson; 4] = [
            doc! { "$set": { "b": other_half(more) } }.into(),
            // An element has a name of its own, and the array an end.
            doc! { "$push": { "b": "y".repeat(other_half(more).len() - 8) } }.into(),
            large(1, DOCUMENT_BYTES_MAX + more).into(),
            vec![joined(more)].into(),
        ];
        for update in updates {
            half(&w).await;
            let command =
                doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": update.clone() }] };
            let modify =
                doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": update.clone() };
            if more == 0 {
                w.ok(command).await;
                assert_eq!(bytes(&w, "c").await, [MOST]);
                half(&w).await;
                w.ok(modify).await;
                assert_eq!(bytes(&w, "c").await, [MOST]);
            } else {
                w.fails(command, TOO_LARGE_AFTER_UPDATE).await;
                w.fails(modify, TOO_LARGE_AFTER_UPDATE).await;
                assert_eq!(bytes(&w, "c").await, [MOST / 2]);
            }
        }
    }
    clear(&w).await;
}

async fn upserts_of_the_largest_document(w: World) {
    let query = large(1, DOCUMENT_BYTES_MAX / 2);
    for more in [0, 1] {
        for update in [
            doc! { "$set": { "b": other_half(more) } },
            large(1, DOCUMENT_BYTES_MAX + more),
        ] {
            let id = doc! { "_id": 1 };
            let query = if update.contains_key("_id") {
                &id
            } else {
                &query
            };
            let command = doc! {
                "update": "c", "updates": [{ "q": query, "u": update.clone(), "upsert": true }],
            };
            let modify =
                doc! { "findAndModify": "c", "query": query, "update": update, "upsert": true };
            for command in [command, modify] {
                if more == 0 {
                    w.ok(command).await;
                    assert_eq!(bytes(&w, "c").await, [MOST]);
                    w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
                        .await;
                } else {
                    w.fails(command, TOO_LARGE_TO_UPSERT).await;
                    assert_eq!(bytes(&w, "c").await, [0; 0]);
                }
            }
        }
    }
    clear(&w).await;
}

async fn pipelines_write_the_largest_document(w: World) {
    half(&w).await;
    let grown =
        |more: usize| doc! { "$set": { "b": { "$concat": ["$a", "y".repeat(14 + more)] } } };
    let into = |stages: Vec<Document>| {
        doc! { "aggregate": "c", "pipeline": stages, "cursor": {} }
    };
    let merge = |matched: Bson| doc! { "$merge": { "into": "m", "whenMatched": matched } };
    w.ok(into(vec![grown(0), doc! { "$out": "o" }])).await;
    assert_eq!(bytes(&w, "o").await, [MOST]);
    w.fails(
        into(vec![grown(1), doc! { "$out": "o" }]),
        TOO_LARGE_TO_INSERT,
    )
    .await;
    assert_eq!(bytes(&w, "o").await, [MOST], "as it was");
    for matched in [
        "merge".into(),
        "replace".into(),
        "keepExisting".into(),
        Bson::from(vec![doc! { "$set": { "z": 1 } }]),
    ] {
        w.fails(
            into(vec![grown(1), merge(matched.clone())]),
            TOO_LARGE_TO_UPSERT,
        )
        .await;
        w.ok(into(vec![grown(0), merge(matched)])).await;
        assert_eq!(bytes(&w, "m").await, [MOST]);
        w.ok(doc! { "delete": "m", "deletes": [{ "q": {}, "limit": 0 }] })
            .await;
    }
    w.fails(
        into(vec![grown(1), merge("fail".into())]),
        TOO_LARGE_TO_INSERT,
    )
    .await;
    // What is there grows.
    let by = |more: usize| into(vec![merge(vec![grown(more)].into())]);
    w.ok(into(vec![doc! { "$out": "m" }])).await;
    w.fails(by(1), TOO_LARGE_AFTER_UPDATE).await;
    w.ok(by(0)).await;
    assert_eq!(bytes(&w, "m").await, [MOST]);
    clear(&w).await;
}

/// What a write brings may be larger than a document, up to 48 MB.
async fn large_commands(w: World) {
    let most = DOCUMENT_BYTES_MAX - 100;
    let documents = [large(1, most), large(2, most), large(3, most / 2)];
    w.insert(documents.to_vec()).await;
    assert_eq!(bytes(&w, "c").await.len(), 3);
    let statement =
        |id: i32| doc! { "q": { "_id": id }, "u": large(id, most - 100), "upsert": true };
    let reply = w
        .ok(doc! { "update": "c", "updates": [statement(1), statement(7)] })
        .await;
    assert_eq!(reply.get("n").and_then(whole), Some(2), "{reply}");
    assert_eq!(reply.get("nModified").and_then(whole), Some(1), "{reply}");
    let upserted = reply.get_array("upserted").expect("an upsert");
    assert_eq!(
        upserted[..],
        [doc! { "index": 1, "_id": 7 }.into()],
        "{reply}"
    );
    // The place of an error is that in the whole.
    let reply = w
        .ok(doc! { "insert": "c", "ordered": false, "documents": [large(1, most), large(8, most), large(2, 100)] })
        .await;
    let errors = reply.get_array("writeErrors").expect("errors");
    let places: Vec<_> = errors
        .iter()
        .filter_map(|error| error.as_document()?.get("index").and_then(whole))
        .collect();
    assert_eq!(
        (reply.get("n").and_then(whole), places),
        (Some(1), vec![0, 2])
    );
    let delete = |id: i32| {
        let mut q = large(id, most - 200);
        q.insert("a", doc! { "$ne": q.get("a") });
        doc! { "q": q, "limit": 1 }
    };
    let reply = w
        .ok(doc! { "delete": "c", "deletes": [delete(1), delete(7)] })
        .await;
    assert_eq!(reply.get("n").and_then(whole), Some(2), "{reply}");
    clear(&w).await;
}

async fn statements_of_one_command(w: World) {
    let command = |name: &str, field: &str, statement: Document, n: usize| {
        let all = vec![Bson::from(statement); n];
        doc! { name: "c", field: all }
    };
    let delete = |n: usize| command("delete", "deletes", doc! { "q": {}, "limit": 1 }, n);
    // There is nothing to delete.
    let reply = w.ok(delete(WRITES_PER_COMMAND_MAX)).await;
    assert_eq!(reply.get("n").and_then(whole), Some(0));
    for n in [0, WRITES_PER_COMMAND_MAX + 1] {
        for command in [
            delete(n),
            command("insert", "documents", doc! {}, n),
            command("update", "updates", doc! { "q": {}, "u": {} }, n),
        ] {
            w.fails(command, 16).await;
        }
    }
}

fn index(name: &str, key: Document) -> Document {
    doc! { "createIndexes": "c", "indexes": [{ "key": key, "name": name }] }
}

async fn indexes_of_one_collection(w: World) {
    let one = |n: usize| doc! { "key": { format!("f{n}"): 1 }, "name": format!("f{n}") };
    let all: Vec<Document> = (1..64).map(one).collect();
    // With the one of _id it is 64.
    w.ok(doc! { "createIndexes": "c", "indexes": all }).await;
    w.fails(doc! { "createIndexes": "c", "indexes": [one(64)] }, 67)
        .await;
    w.ok(doc! { "createIndexes": "c", "indexes": [one(3)] })
        .await;
    w.ok(doc! { "dropIndexes": "c", "index": "f3" }).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [one(64)] })
        .await;
}

async fn names_of_indexes(w: World) {
    let key = |n: usize| (0..n).map(|i| (format!("k{i}"), Bson::from(1))).collect();
    w.ok(index("32", key(32))).await;
    w.fails(index("33", key(33)), 13103).await;
    for n in [127, 128, 1000, 70_000] {
        w.ok(index(&"n".repeat(n), doc! { format!("of{n}"): 1 }))
            .await;
    }
    for refused in ["", "*", "a\0b"] {
        let code = if refused == "*" { 2 } else { 67 };
        w.fails(index(refused, doc! { "z": 1 }), code).await;
    }
}

async fn lengths_of_namespaces(w: World) {
    const MOST: usize = 255;
    for (bytes, fits) in [(MOST, true), (MOST + 1, false)] {
        let name = "c".repeat(bytes - w.database.len() - 1);
        let create = doc! { "create": &name };
        let insert = doc! { "insert": &name, "documents": [{ "_id": 1 }] };
        let mut indexes = index("a", doc! { "a": 1 });
        indexes.insert("createIndexes", &name);
        let out = doc! { "aggregate": "c", "pipeline": [{ "$out": &name }], "cursor": {} };
        w.insert(vec![doc! { "_id": bytes as i32 }]).await;
        if fits {
            for command in [create, insert, indexes, out] {
                w.ok(command).await;
            }
            w.ok(doc! { "drop": &name }).await;
        } else {
            for command in [create, insert, indexes] {
                w.fails(command, 73).await;
            }
            w.fails(out, 20).await;
            // Nothing can be there.
            let found = w.ok(doc! { "find": &name }).await;
            assert_eq!(super::documents(&found), []);
            w.fails(doc! { "drop": &name }, 26).await;
        }
    }
    for (bytes, fits) in [(63, true), (64, false)] {
        let mut name = w.database.clone();
        name.extend(std::iter::repeat_n('d', bytes - name.len()));
        let other = World {
            engine: w.engine.clone(),
            database: name,
        };
        let insert = doc! { "insert": "c", "documents": [{ "_id": 1 }] };
        if fits {
            other.ok(insert).await;
            other.ok(doc! { "dropDatabase": 1 }).await;
        } else {
            other.fails(insert, 73).await;
        }
    }
}

/// Documents in one another, so many with the outermost.
fn deep(levels: usize) -> Document {
    (1..levels).fold(doc! {}, |inner, _| doc! { "a": inner })
}

async fn depths_of_documents(w: World) {
    use kit::limit::STORED_DEPTH_MAX;
    w.insert(vec![deep(STORED_DEPTH_MAX)]).await;
    let insert = |levels: usize| doc! { "insert": "c", "documents": [deep(levels)] };
    // The last of them is too deep for a command as well.
    for levels in [STORED_DEPTH_MAX + 1, 199, 250] {
        w.fails(insert(levels), TOO_DEEP).await;
    }
    let update = |levels: usize| {
        let set = doc! { "$set": { "a": deep(levels - 1) } };
        doc! { "update": "c", "updates": [{ "q": { "_id": levels as i32 }, "u": set, "upsert": true }] }
    };
    w.ok(update(STORED_DEPTH_MAX)).await;
    for levels in [STORED_DEPTH_MAX + 1, 250] {
        w.fails(update(levels), TOO_DEEP).await;
    }
    // Made one level at a time.
    let rename = doc! { "$rename": { "a": "b.a" } };
    w.fails(
        doc! { "update": "c", "updates": [{ "q": { "_id": STORED_DEPTH_MAX as i32 }, "u": rename }] },
        TOO_DEEP,
    )
    .await;
    w.ok(doc! { "find": "c", "filter": deep(200) }).await;
    w.fails(doc! { "find": "c", "filter": deep(201) }, TOO_DEEP)
        .await;
}

async fn lengths_of_paths(w: World) {
    let path = |parts: usize| vec!["a"; parts].join(".");
    w.ok(doc! { "update": "c", "updates": [{ "q": {}, "u": { "$set": { path(180): 1 } }, "upsert": true }] })
        .await;
    w.fails(
        doc! { "update": "c", "updates": [{ "q": { "_id": 2 }, "u": { "$set": { path(190): 1 } }, "upsert": true }] },
        TOO_DEEP,
    )
    .await;
    assert_eq!(w.find(doc! { "filter": { path(180): 1 } }).await.len(), 1);
    w.ok(index("deep", doc! { path(180): 1 })).await;
    assert_eq!(w.find(doc! { "filter": { path(180): 1 } }).await.len(), 1);
    w.ok(doc! { "find": "c", "sort": { path(200): 1 } }).await;
    w.fails(doc! { "find": "c", "sort": { path(201): 1 } }, TOO_DEEP)
        .await;
    w.ok(doc! { "find": "c", "projection": { path(200): 1 } })
        .await;
    w.fails(
        doc! { "find": "c", "projection": { path(201): 1 } },
        TOO_DEEP,
    )
    .await;
}
