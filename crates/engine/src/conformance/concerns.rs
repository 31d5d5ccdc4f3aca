//! Write concerns: those that are wrong, and those that one server cannot
//! satisfy, where the write is done all the same.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("write_concerns_are_checked", |w| {
        Box::pin(write_concerns_are_checked(w))
    }),
    ("write_concerns_of_many_servers", |w| {
        Box::pin(write_concerns_of_many_servers(w))
    }),
];

fn insert(concern: impl Into<Bson>) -> Document {
    doc! { "insert": "c", "documents": [{}], "writeConcern": concern.into() }
}

async fn write_concerns_are_checked(w: World) {
    for concern in [
        doc! {},
        doc! { "w": 1 },
        doc! { "w": 1.5 },
        doc! { "w": "majority", "wtimeout": 1000 },
        doc! { "w": "majority", "j": false },
        doc! { "j": true },
        doc! { "j": false },
        doc! { "j": 1 },
        doc! { "j": null },
        doc! { "w": 0, "j": true },
        doc! { "w": 1, "wtimeout": -5 },
        doc! { "wtimeout": "x" },
        doc! { "fsync": true },
    ] {
        let reply = w.ok(insert(concern.clone())).await;
        assert!(!reply.contains_key("writeConcernError"), "{concern}");
        assert_eq!(reply.get_i32("n").ok(), Some(1), "{concern}");
    }
    for (concern, code) in [
        (doc! { "j": "x" }, 14),
        (doc! { "w": 51 }, 9),
        (doc! { "w": -1 }, 9),
        (doc! { "w": true }, 9),
        (doc! { "fsync": true, "j": true }, 9),
        (doc! { "bad": 1 }, 40415),
    ] {
        w.fails(insert(concern), code).await;
    }
    w.fails(insert(1), 14).await;
    for command in [
        doc! { "find": "c", "writeConcern": { "w": 1 } },
        doc! { "count": "c", "writeConcern": { "w": 1 } },
        doc! { "distinct": "c", "key": "a", "writeConcern": { "w": 1 } },
    ] {
        w.fails(command, 72).await;
    }
    let found = w.find(doc! {}).await;
    assert_eq!(found.len(), 13, "what was refused is not there");
}

async fn write_concerns_of_many_servers(w: World) {
    for (concern, code, name) in [
        (
            doc! { "w": 2, "wtimeout": 50 },
            100,
            "UnsatisfiableWriteConcern",
        ),
        (doc! { "w": "nope" }, 79, "UnknownReplWriteConcern"),
        (doc! { "w": null }, 79, "UnknownReplWriteConcern"),
        (doc! { "w": { "a": 1 } }, 4, "NoSuchKey"),
    ] {
        let reply = w.ok(insert(concern.clone())).await;
        assert_eq!(reply.get_i32("n").ok(), Some(1), "{concern}");
        let error = reply.get_document("writeConcernError").expect("told");
        assert_eq!(error.get_i32("code").ok(), Some(code), "{concern}");
        assert_eq!(error.get_str("codeName").ok(), Some(name), "{concern}");
    }
    // What a majority has comes after what it had before: readers with majority
    // concerns see those above now.
    w.ok(insert(doc! { "w": "majority" })).await;
    assert_eq!(w.find(doc! {}).await.len(), 5);
}
