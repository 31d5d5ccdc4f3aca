//! Commands that are nested so deep that walking them takes the whole stack: in
//! every field of every command, and refused before anything looks at it. And
//! those that are too large.

use std::sync::Arc;

use bson::{RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};
use engine::{Engine as _, SharedEngine, WatchRequest};
use engine_embedded::Embedded;
use kit::SystemClock;

/// More than a thread's stack has room for.
const LEVELS: usize = 8000;

/// Written from the inside out: building it as a value would take the stack.
fn deep() -> RawDocumentBuf {
    let mut bytes = vec![5, 0, 0, 0, 0];
    for _ in 0..LEVELS {
        let size = i32::try_from(bytes.len() + 8).unwrap();
        let mut outer = Vec::with_capacity(bytes.len() + 8);
        outer.extend_from_slice(&size.to_le_bytes());
        outer.extend_from_slice(&[3, b'a', 0]);
        outer.extend_from_slice(&bytes);
        outer.push(0);
        bytes = outer;
    }
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test]
async fn no_command_is_deep_enough_to_take_the_stack() {
    let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
    let fields = [
        (
            "find",
            "filter sort projection let hint min max collation readConcern lsid comment",
        ),
        ("count", "query hint collation"),
        ("distinct", "query key collation"),
        ("aggregate", "pipeline cursor let hint collation explain"),
        ("insert", "documents writeConcern"),
        ("update", "updates let"),
        ("delete", "deletes"),
        ("findAndModify", "query sort update fields arrayFilters let"),
        (
            "create",
            "validator collation changeStreamPreAndPostImages viewOn",
        ),
        ("collMod", "validator index"),
        ("createIndexes", "indexes commitQuorum"),
        ("dropIndexes", "index"),
        ("listCollections", "filter"),
        ("listDatabases", "filter"),
        ("renameCollection", "to"),
        ("killCursors", "cursors"),
        ("getMore", "collection"),
        ("explain", "verbosity"),
        ("endSessions", "x"),
        ("commitTransaction", "lsid"),
        ("nothing", "x"),
    ];
    let deep = deep();
    for (name, fields) in fields {
        for field in fields.split(' ') {
            for list in [false, true] {
                let mut command = RawDocumentBuf::new();
                command.append(bson::raw::CString::try_from(name).unwrap(), "c");
                let field = bson::raw::CString::try_from(field).unwrap();
                if list {
                    let mut list = RawArrayBuf::new();
                    list.push(deep.clone());
                    list.push(
                        rawdoc! { "q": deep.clone(), "u": deep.clone(), "$match": deep.clone() },
                    );
                    command.append(field, list);
                } else {
                    command.append(field, deep.clone());
                }
                let error = engine.command("d", &command).await.unwrap_err();
                assert_eq!(error.code, 15, "{name}: {}", error.message);
            }
        }
    }
    let request = WatchRequest {
        pipeline: vec![rawdoc! { "$match": deep.clone() }],
        ..WatchRequest::default()
    };
    assert_eq!(engine.watch(request).await.err().unwrap().code, 15);
    // And the engine is well.
    let ping = RawDocumentBuf::try_from(&doc! { "ping": 1 }).unwrap();
    assert!(engine.command("d", &ping).await.is_ok());
}

/// A command may bring as much as a message of drivers does.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_is_larger_than_a_message() {
    use kit::limit::COMMAND_BYTES_MAX;
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    let of = |bytes: usize| {
        let mut find = rawdoc! { "find": "c", "filter": { "a": { "$ne": "" } } };
        let rest = find.as_bytes().len();
        // A field of its own: its type, name, length and end.
        find.append(cstr!("comment"), "x".repeat(bytes - rest - 14));
        assert_eq!(find.as_bytes().len(), bytes);
        find
    };
    let most = engine.command("d", &of(COMMAND_BYTES_MAX)).await;
    most.expect("is taken");
    let more = engine.command("d", &of(COMMAND_BYTES_MAX + 1)).await;
    assert_eq!(more.expect_err("is refused").code, 10334);
}
