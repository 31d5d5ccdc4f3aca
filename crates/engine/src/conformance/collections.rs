//! Collections as such: names, options, validators, renaming, statistics.

use bson::{Bson, Document, RawDocumentBuf, doc};

use super::{Case, World, documents, whole};
use crate::CommandError;

pub(super) const CASES: &[Case] = &[
    ("names_of_collections", |w| {
        Box::pin(names_of_collections(w))
    }),
    ("options_of_collections", |w| {
        Box::pin(options_of_collections(w))
    }),
    ("collections_are_listed", |w| {
        Box::pin(collections_are_listed(w))
    }),
    ("databases_are_listed", |w| {
        Box::pin(databases_are_listed(w))
    }),
    ("collections_are_renamed", |w| {
        Box::pin(collections_are_renamed(w))
    }),
    ("documents_are_validated", |w| {
        Box::pin(documents_are_validated(w))
    }),
    ("validators_have_levels", |w| {
        Box::pin(validators_have_levels(w))
    }),
    ("breaches_are_explained", |w| {
        Box::pin(breaches_are_explained(w))
    }),
    ("sizes_are_told", |w| Box::pin(sizes_are_told(w))),
    ("questions_to_the_server", |w| {
        Box::pin(questions_to_the_server(w))
    }),
];

async fn names_of_collections(w: World) {
    for (name, code) in [
        ("", 73),
        (".a", 73),
        ("a$b", 73),
        ("$a", 73),
        ("a\0b", 73),
        ("system.x", 73),
    ] {
        for command in [
            doc! { "create": name },
            doc! { "insert": name, "documents": [{}] },
            doc! { "update": name, "updates": [{ "q": {}, "u": { "$set": { "a": 1 } } }] },
            doc! { "delete": name, "deletes": [{ "q": {}, "limit": 1 }] },
            doc! { "findAndModify": name, "remove": true },
        ] {
            w.fails(command, code).await;
        }
        if name != "system.x" {
            w.fails(doc! { "find": name }, code).await;
            w.fails(doc! { "count": name }, code).await;
            w.fails(doc! { "distinct": name, "key": "a" }, code).await;
        }
    }
    // 255 bytes with the database's name and the dot.
    let longest = "x".repeat(255 - 1 - w.database.len());
    w.ok(doc! { "create": &longest }).await;
    w.fails(doc! { "create": longest + "x" }, 73).await;
    for name in ["a.", "a..b", "a b", "é"] {
        w.ok(doc! { "create": name }).await;
    }
    for command in [
        doc! { "create": 1 },
        doc! { "find": 1 },
        doc! { "insert": 1, "documents": [{}] },
        doc! { "drop": 1 },
    ] {
        w.fails(command, 2).await;
    }
    w.fails(doc! { "drop": "nope" }, 26).await;
    w.fails(doc! { "drop": "" }, 73).await;
}

async fn options_of_collections(w: World) {
    w.ok(doc! { "create": "c" }).await;
    w.fails(doc! { "create": "c" }, 48).await;
    for (option, value, code) in [
        ("validationLevel", Bson::from("x"), 2),
        ("validationLevel", 1.into(), 14),
        ("validationAction", "x".into(), 2),
        ("validator", 1.into(), 14),
        ("validator", doc! { "$bad": 1 }.into(), 2),
        ("validator", doc! { "$expr": { "$bad": 1 } }.into(), 168),
        ("size", 100.into(), 72),
        ("max", 100.into(), 72),
        ("capped", true.into(), 72),
        ("expireAfterSeconds", 5.into(), 72),
        ("temp", true.into(), 72),
        ("autoIndexId", false.into(), 50001),
        ("unknown", 1.into(), 40415),
        (
            "changeStreamPreAndPostImages",
            doc! { "enabled": 1 }.into(),
            14,
        ),
        ("changeStreamPreAndPostImages", doc! {}.into(), 40414),
    ] {
        w.fails(doc! { "create": "d", option: value }, code).await;
    }
    w.fails(doc! { "collMod": "nope" }, 26).await;
    for (option, value, code) in [
        ("validationLevel", Bson::from("x"), 2),
        ("validationAction", "x".into(), 2),
        ("validator", doc! { "$bad": 1 }.into(), 2),
        ("unknown", 1.into(), 40415),
    ] {
        w.fails(doc! { "collMod": "c", option: value }, code).await;
    }
    let options = async || {
        let listed = documents(&w.ok(doc! { "listCollections": 1 }).await);
        listed[0].get_document("options").cloned().expect("options")
    };
    w.ok(doc! { "collMod": "c", "validator": { "a": 1 }, "validationLevel": "moderate" })
        .await;
    w.ok(doc! { "collMod": "c", "validationAction": "warn", "changeStreamPreAndPostImages": { "enabled": true } })
        .await;
    let wanted = doc! {
        "changeStreamPreAndPostImages": { "enabled": true }, "validator": { "a": 1 },
        "validationLevel": "moderate", "validationAction": "warn",
    };
    assert_eq!(options().await, wanted);
    w.ok(doc! { "collMod": "c", "validator": {}, "changeStreamPreAndPostImages": { "enabled": false } })
        .await;
    let wanted = doc! { "validationLevel": "moderate", "validationAction": "warn" };
    assert_eq!(options().await, wanted);
}

async fn collections_are_listed(w: World) {
    for name in ["a", "b", "c"] {
        w.ok(doc! { "create": name }).await;
    }
    let filter = doc! { "name": { "$in": ["a", "b"] } };
    let listed = w
        .ok(doc! { "listCollections": 1, "filter": filter, "nameOnly": true })
        .await;
    let mut listed = documents(&listed);
    listed.sort_by_key(|entry| entry.get_str("name").unwrap_or_default().to_owned());
    let entry = |name: &str| doc! { "name": name, "type": "collection" };
    assert_eq!(listed, [entry("a"), entry("b")]);
    let listed = w
        .ok(doc! { "listCollections": 1, "filter": { "name": "a" } })
        .await;
    let listed = documents(&listed);
    let keys: Vec<&String> = listed[0].keys().collect();
    assert_eq!(keys, ["name", "type", "options", "info", "idIndex"]);
    w.fails(doc! { "listCollections": 1, "filter": { "$bad": 1 } }, 2)
        .await;
    w.fails(doc! { "listCollections": 1, "unknown": 1 }, 40415)
        .await;
}

/// Runs a command on the database `admin`.
async fn admin(w: &World, command: Document) -> Result<Document, CommandError> {
    let raw = RawDocumentBuf::try_from(&command).expect("encodes");
    let reply = w.engine.command("admin", &raw).await?;
    Ok(Document::try_from(reply).expect("decodes"))
}

async fn databases_are_listed(w: World) {
    w.insert(vec![doc! { "a": 1 }]).await;
    let named = doc! { "name": &w.database };
    let listed = admin(&w, doc! { "listDatabases": 1, "filter": &named })
        .await
        .expect("lists");
    let databases = listed.get_array("databases").expect("databases");
    let entry = databases[0].as_document().expect("an entry");
    assert_eq!(entry.get_str("name").ok(), Some(w.database.as_str()));
    assert_eq!(entry.get_bool("empty").ok(), Some(false));
    let size = entry.get("sizeOnDisk").and_then(whole);
    assert!(size.is_some_and(|bytes| bytes > 0), "{entry}");
    assert_eq!(listed.get("totalSize").and_then(whole), size);
    let listed = admin(
        &w,
        doc! { "listDatabases": 1, "filter": &named, "nameOnly": true },
    )
    .await
    .expect("lists");
    let only = vec![Bson::from(named)];
    assert_eq!(listed.get_array("databases").ok(), Some(&only));
    w.fails(doc! { "listDatabases": 1 }, 13).await;
}

async fn collections_are_renamed(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": "x" }]).await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1 }, "name": "a", "unique": true }] })
        .await;
    w.ok(doc! { "create": "e" }).await;
    let full = |name: &str| format!("{}.{name}", w.database);
    let rename = async |from: &str, to: &str, drop: bool| {
        let command = doc! { "renameCollection": full(from), "to": full(to), "dropTarget": drop };
        admin(&w, command).await.map_err(|error| error.code)
    };
    w.fails(doc! { "renameCollection": full("c"), "to": full("d") }, 13)
        .await;
    assert_eq!(rename("nope", "d", false).await, Err(26));
    assert_eq!(rename("c", "e", false).await, Err(48));
    assert_eq!(rename("c", "c", false).await, Err(20));
    assert_eq!(rename("c", "a$b", false).await, Err(20));
    rename("c", "d", false).await.expect("renames");
    assert_eq!(w.find(doc! {}).await, Vec::<Document>::new());
    let found = documents(&w.ok(doc! { "find": "d", "filter": { "a": "x" } }).await);
    assert_eq!(found, [doc! { "_id": 1, "a": "x" }]);
    w.fails(doc! { "insert": "d", "documents": [{ "a": "x" }] }, 11000)
        .await;
    rename("d", "e", true).await.expect("renames");
    let found = documents(&w.ok(doc! { "find": "e" }).await);
    assert_eq!(found.len(), 1);
    w.fails(doc! { "listIndexes": "d" }, 26).await;
}

async fn documents_are_validated(w: World) {
    w.ok(doc! { "create": "c", "validator": { "n": { "$gt": 0 } } })
        .await;
    w.insert(vec![doc! { "_id": 1, "n": 1 }]).await;
    let insert = |bypass: bool| {
        doc! { "insert": "c", "documents": [{ "_id": 2 }], "bypassDocumentValidation": bypass }
    };
    w.fails(insert(false), 121).await;
    w.ok(insert(true)).await;
    let update = |id: i32, update: Document, bypass: bool| {
        doc! {
            "update": "c", "updates": [{ "q": { "_id": id }, "u": update, "upsert": true }],
            "bypassDocumentValidation": bypass,
        }
    };
    w.fails(update(1, doc! { "$set": { "n": 0 } }, false), 121)
        .await;
    w.fails(update(1, doc! { "m": 0 }, false), 121).await;
    w.fails(update(3, doc! { "$set": { "m": 0 } }, false), 121)
        .await;
    w.fails(update(2, doc! { "$set": { "m": 0 } }, false), 121)
        .await;
    w.ok(update(2, doc! { "$set": { "m": 0 } }, true)).await;
    w.ok(update(2, doc! { "$set": { "n": 5 } }, false)).await;
    let modify = |bypass: bool| {
        doc! {
            "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": -9 } },
            "bypassDocumentValidation": bypass,
        }
    };
    w.fails(modify(false), 121).await;
    w.ok(modify(true)).await;
    let found = w.find(doc! { "sort": { "_id": 1 } }).await;
    let wanted = [
        doc! { "_id": 1, "n": -8 },
        doc! { "_id": 2, "m": 0, "n": 5 },
    ];
    assert_eq!(found, wanted);
    // Nothing that is there already is in the way of deleting it.
    w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
        .await;
}

async fn validators_have_levels(w: World) {
    w.insert(vec![doc! { "_id": 1 }, doc! { "_id": 2, "n": 2 }])
        .await;
    let validator = doc! { "n": { "$gt": 0 } };
    let set = |id: i32, n: i32| doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": { "$set": { "n": n } } }] };
    w.ok(doc! { "collMod": "c", "validator": validator, "validationLevel": "moderate" })
        .await;
    w.ok(set(1, -1)).await;
    w.fails(set(2, -1), 121).await;
    w.fails(doc! { "insert": "c", "documents": [{}] }, 121)
        .await;
    w.ok(doc! { "collMod": "c", "validationLevel": "strict" })
        .await;
    w.fails(set(1, -2), 121).await;
    // What changes nothing is not looked at.
    w.ok(set(1, -1)).await;
    w.ok(doc! { "collMod": "c", "validationAction": "warn" })
        .await;
    w.ok(set(2, -1)).await;
    w.ok(doc! { "collMod": "c", "validationLevel": "off", "validationAction": "error" })
        .await;
    w.ok(doc! { "insert": "c", "documents": [{}] }).await;
}

async fn breaches_are_explained(w: World) {
    let rules =
        |rules: Bson| doc! { "operatorName": "$jsonSchema", "schemaRulesNotSatisfied": rules };
    for (validator, document, details) in [
        (
            doc! { "a": 1 },
            doc! { "_id": 1 },
            doc! { "operatorName": "$eq", "specifiedAs": { "a": 1 }, "reason": "field was missing" },
        ),
        (
            doc! { "a": { "$gt": 1, "$lt": 5 } },
            doc! { "_id": 1, "a": 0 },
            doc! { "operatorName": "$and", "clausesNotSatisfied": [{ "index": 0, "details": {
                "operatorName": "$gt", "specifiedAs": { "a": { "$gt": 1 } },
                "reason": "comparison failed", "consideredValue": 0,
            } }] },
        ),
        (
            doc! { "$nor": [{ "a": 1 }, { "b": { "$in": [2] } }] },
            doc! { "_id": 1, "b": [2, 3] },
            doc! { "operatorName": "$nor", "clausesSatisfied": [{ "index": 1, "details": {
                "operatorName": "$in", "specifiedAs": { "b": { "$in": [2] } },
                "reason": "matching value found in array", "consideredValues": [2, 3],
            } }] },
        ),
        (
            doc! { "a": { "$type": "string" } },
            doc! { "_id": 1, "a": 1 },
            doc! {
                "operatorName": "$type", "specifiedAs": { "a": { "$type": "string" } },
                "reason": "type did not match", "consideredValue": 1, "consideredType": "int",
            },
        ),
        (
            doc! { "$expr": { "$gt": ["$a", "$b"] } },
            doc! { "_id": 1, "a": 1, "b": 2 },
            doc! {
                "operatorName": "$expr", "specifiedAs": { "$expr": { "$gt": ["$a", "$b"] } },
                "reason": "expression did not match", "expressionResult": false,
            },
        ),
        (
            doc! { "$jsonSchema": {
                "required": ["z"], "properties": { "a": { "bsonType": "int", "minimum": 5, "description": "big" } },
            } },
            doc! { "_id": 1, "a": 1 },
            rules(bson::bson!([
                { "operatorName": "properties", "propertiesNotSatisfied": [{
                    "propertyName": "a", "description": "big", "details": [{
                        "operatorName": "minimum", "specifiedAs": { "minimum": 5 },
                        "reason": "comparison failed", "consideredValue": 1,
                    }],
                }] },
                { "operatorName": "required", "specifiedAs": { "required": ["z"] }, "missingProperties": ["z"] },
            ])),
        ),
        (
            doc! { "$jsonSchema": { "properties": { "a": { "items": { "bsonType": "int" }, "maxItems": 1 } } } },
            doc! { "_id": 1, "a": [1, "x"] },
            rules(
                bson::bson!([{ "operatorName": "properties", "propertiesNotSatisfied": [{
                "propertyName": "a", "details": [
                    {
                        "operatorName": "maxItems", "specifiedAs": { "maxItems": 1 },
                        "reason": "array did not match specified length",
                        "consideredValue": [1, "x"], "numberOfItems": 2,
                    },
                    {
                        "operatorName": "items", "reason": "At least one item did not match the sub-schema",
                        "itemIndex": 1, "details": [{
                            "operatorName": "bsonType", "specifiedAs": { "bsonType": "int" },
                            "reason": "type did not match", "consideredValue": "x", "consideredType": "string",
                        }],
                    },
                ],
            }] }]),
            ),
        ),
    ] {
        w.run(doc! { "drop": "c" }).await.ok();
        w.ok(doc! { "create": "c", "validator": validator.clone() })
            .await;
        let reply = w.ok(doc! { "insert": "c", "documents": [document] }).await;
        let errors = reply.get_array("writeErrors").expect("errors");
        let info = errors[0]
            .as_document()
            .and_then(|error| error.get_document("errInfo").ok());
        let wanted = doc! { "failingDocumentId": 1, "details": details };
        assert_eq!(info, Some(&wanted), "{validator}");
    }
}

async fn sizes_are_told(w: World) {
    w.insert((0..10).map(|n| doc! { "_id": n, "a": "x" }).collect())
        .await;
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "a": 1 }, "name": "a" }] })
        .await;
    let stats = w.ok(doc! { "collStats": "c" }).await;
    assert_eq!(stats.get("count").and_then(whole), Some(10), "{stats}");
    assert_eq!(stats.get("size").and_then(whole), Some(230), "{stats}");
    assert_eq!(stats.get("avgObjSize").and_then(whole), Some(23), "{stats}");
    assert_eq!(stats.get("nindexes").and_then(whole), Some(2), "{stats}");
    let sizes = stats.get_document("indexSizes").expect("sizes");
    assert!(sizes.contains_key("_id_") && sizes.contains_key("a"));
    let none = w.ok(doc! { "collStats": "nope" }).await;
    assert_eq!(none.get("count").and_then(whole), Some(0), "{none}");
    w.fails(doc! { "collStats": "c", "scale": 0 }, 51024).await;
    let stats = w.ok(doc! { "dbStats": 1 }).await;
    assert_eq!(stats.get("objects").and_then(whole), Some(10), "{stats}");
    assert_eq!(stats.get("dataSize").and_then(whole), Some(230), "{stats}");
    assert_eq!(stats.get("indexes").and_then(whole), Some(2), "{stats}");
    let checked = w.ok(doc! { "validate": "c" }).await;
    assert_eq!(checked.get_bool("valid").ok(), Some(true), "{checked}");
    assert_eq!(checked.get("nrecords").and_then(whole), Some(10));
    let keys = checked.get_document("keysPerIndex").expect("keys");
    assert_eq!(keys.get("a").and_then(whole), Some(10), "{checked}");
    w.fails(doc! { "validate": "nope" }, 26).await;
}

async fn questions_to_the_server(w: World) {
    w.ok(doc! { "ping": 1 }).await;
    let info = w.ok(doc! { "buildInfo": 1 }).await;
    let limit = info.get("maxBsonObjectSize").and_then(whole);
    assert_eq!(limit, Some(16 * 1024 * 1024), "{info}");
    for name in ["hello", "isMaster", "ismaster"] {
        let hello = w.ok(doc! { name: 1 }).await;
        for (field, wanted) in [
            ("maxBsonObjectSize", 16 * 1024 * 1024),
            ("maxMessageSizeBytes", 48_000_000),
            ("maxWriteBatchSize", 100_000),
        ] {
            assert_eq!(hello.get(field).and_then(whole), Some(wanted), "{hello}");
        }
    }
    let status = w.ok(doc! { "connectionStatus": 1 }).await;
    assert!(status.contains_key("authInfo"), "{status}");
    let status = w.ok(doc! { "serverStatus": 1 }).await;
    assert!(status.contains_key("localTime"), "{status}");
    w.fails(doc! { "nosuch": 1 }, 59).await;
}
