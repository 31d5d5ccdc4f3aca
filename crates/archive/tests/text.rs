//! One collection as text and back.

use archive::{Export, Form, Grace, Import, Mode};
use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use engine::{Collection, Found, SharedEngine};

use crate::memory;

const CANONICAL: Form = Form::Json {
    canonical: true,
    array: false,
};

fn csv(fields: &[&str], header: bool) -> Form {
    Form::Table {
        delimiter: b',',
        header,
        fields: fields.iter().map(|f| (*f).to_owned()).collect(),
    }
}

async fn text_of(engine: &SharedEngine, form: &Form, options: &Export) -> String {
    let mut out = Vec::new();
    archive::export(engine, ("d", "c"), options, form, &mut out)
        .await
        .unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

async fn read(
    engine: &SharedEngine,
    text: &str,
    form: &Form,
    options: &Import,
) -> Result<archive::Imported, String> {
    archive::import(engine, ("d", "c"), text.as_bytes(), "f", form, options)
        .await
        .map_err(|error| error.to_string())
}

async fn all(engine: &SharedEngine) -> Vec<Document> {
    let sorted = Found {
        sort: Some(doc! { "_id": 1 }),
        ..Found::default()
    };
    let found = Collection::new(engine, "d", "c")
        .find(doc! {}, sorted)
        .await
        .unwrap();
    found
        .into_iter()
        .map(|raw| Document::try_from(raw).unwrap())
        .collect()
}

#[tokio::test]
async fn every_type_as_canonical_json_and_bson() {
    let documents: Vec<_> = crate::every_type()
        .iter()
        .map(|d| RawDocumentBuf::try_from(d).unwrap())
        .collect();
    for form in [
        CANONICAL,
        Form::Json {
            canonical: true,
            array: true,
        },
        Form::Bson,
    ] {
        let (engine, copy) = (memory(), memory());
        Collection::new(&engine, "d", "c")
            .insert_many(&documents)
            .await
            .unwrap();
        let mut out = Vec::new();
        let (n, _) = archive::export(&engine, ("d", "c"), &Export::default(), &form, &mut out)
            .await
            .unwrap();
        assert_eq!(n, documents.len() as u64);
        let imported = archive::import(
            &copy,
            ("d", "c"),
            out.as_slice(),
            "f",
            &form,
            &Import::default(),
        )
        .await
        .unwrap();
        assert_eq!((imported.documents, imported.failures.len()), (n, 0));
        let found = Collection::new(&copy, "d", "c")
            .find(doc! {}, Found::default())
            .await
            .unwrap();
        for (found, expected) in found.iter().zip(&documents) {
            // No text keeps the bits of a NaN.
            assert!(
                found == expected || format!("{found:?}").contains("NaN"),
                "{form:?} {found:?} {expected:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_exported() {
    let engine = memory();
    let documents = [
        rawdoc! { "_id": 1, "a": { "b": "x,\"y\"\nz" }, "list": [1, { "k": 5_i64 }] },
        rawdoc! { "_id": 2, "a": { "b": 1.5 }, "at": bson::DateTime::from_millis(0) },
        rawdoc! { "_id": bson::oid::ObjectId::from_bytes([1; 12]), "a": bson::RawBson::Null },
    ];
    Collection::new(&engine, "d", "c")
        .insert_many(&documents)
        .await
        .unwrap();
    let export = Export::default();
    assert_eq!(
        text_of(
            &engine,
            &Form::Json {
                canonical: false,
                array: true
            },
            &Export {
                limit: 2,
                ..export.clone()
            }
        )
        .await,
        "[{\"_id\":1,\"a\":{\"b\":\"x,\\\"y\\\"\\nz\"},\"list\":[1,{\"k\":5}]},\n{\"_id\":2,\"a\":{\"b\":1.5},\"at\":{\"$date\":\"1970-01-01T00:00:00Z\"}}]\n"
    );
    assert_eq!(
        text_of(
            &engine,
            &csv(&["_id", "a.b", "list.1.k", "list", "at"], true),
            &export
        )
        .await,
        "_id,a.b,list.1.k,list,at\n1,\"x,\"\"y\"\"\nz\",5,\"[1,{\"\"k\"\":5}]\",\n2,1.5,,,1970-01-01T00:00:00Z\nObjectId(010101010101010101010101),,,,\n"
    );
    let some = Export {
        query: doc! { "_id": { "$lt": 10 } },
        sort: doc! { "_id": -1 },
        fields: vec!["_id".to_owned(), "at".to_owned()],
        skip: 1,
        limit: 1,
    };
    assert_eq!(
        text_of(&engine, &CANONICAL, &some).await,
        "{\"_id\":{\"$numberInt\":\"1\"}}\n"
    );
    assert_eq!(
        text_of(
            &memory(),
            &Form::Json {
                canonical: false,
                array: true
            },
            &export
        )
        .await,
        "[]\n"
    );
}

#[tokio::test]
async fn tables_with_types_and_nested_columns() {
    let engine = memory();
    let text = "\u{feff}_id.int32(),a.b.string(),a.c.decimal(),on.boolean()\r\n1,\"x\ny\",2.50,true\r\n2,,,\r\n";
    let options = Import {
        typed: true,
        ignore_blanks: true,
        ..Import::default()
    };
    read(&engine, text, &csv(&[], true), &options)
        .await
        .unwrap();
    assert_eq!(
        all(&engine).await,
        [
            doc! { "_id": 1, "a": { "b": "x\ny", "c": Bson::Decimal128("2.50".parse().unwrap()) }, "on": true },
            doc! { "_id": 2 },
        ]
    );
    let wrong = "_id.int32()\n1\n\"2\"\nx\n";
    let error = read(&memory(), wrong, &csv(&[], true), &options)
        .await
        .unwrap_err();
    assert_eq!(error, "f: line 4: _id: 'x' is no int32");
    let lenient = Import {
        grace: Grace::SkipRow,
        drop: true,
        ..options
    };
    let imported = read(&engine, wrong, &csv(&[], true), &lenient)
        .await
        .unwrap();
    assert_eq!((imported.documents, imported.skipped), (2, 1));
    assert_eq!(all(&engine).await, [doc! { "_id": 1 }, doc! { "_id": 2 }]);
    let tabs = Form::Table {
        delimiter: b'\t',
        header: false,
        fields: vec!["_id".to_owned(), "v".to_owned()],
    };
    read(
        &engine,
        "7\ta,b\n",
        &tabs,
        &Import {
            drop: true,
            ..Import::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(all(&engine).await, [doc! { "_id": 7, "v": "a,b" }]);
    let error = read(
        &engine,
        "1\n",
        &csv(&["a.b", "a"], false),
        &Import::default(),
    )
    .await
    .unwrap_err();
    assert!(error.contains("exclude each other"), "{error}");
}

#[tokio::test]
async fn modes() {
    let engine = memory();
    let text = "{\"_id\":1,\"a\":1,\"k\":{\"v\":\"x\"}}\n{\"_id\":2,\"a\":2,\"k\":{\"v\":\"y\"}}\n";
    let lines = CANONICAL;
    read(&engine, text, &lines, &Import::default())
        .await
        .unwrap();
    // What is there already is told, with its line, and the rest goes in.
    let again = "{\"_id\":1}\n\n{\"_id\":3}\n{\"_id\":2}\n";
    let imported = read(&engine, again, &lines, &Import::default())
        .await
        .unwrap();
    assert_eq!((imported.documents, imported.failed), (1, 2));
    assert!(
        imported.failures[0].starts_with("f: line 1: E11000"),
        "{:?}",
        imported.failures
    );
    assert!(
        imported.failures[1].starts_with("f: line 4: E11000"),
        "{:?}",
        imported.failures
    );
    let stop = Import {
        stop_on_error: true,
        ..Import::default()
    };
    let imported = read(&engine, "{\"_id\":1}\n{\"_id\":4}\n", &lines, &stop)
        .await
        .unwrap();
    assert_eq!((imported.documents, imported.failed), (0, 1));
    let upsert = Import {
        mode: Mode::Upsert,
        ..Import::default()
    };
    read(
        &engine,
        "{\"_id\":1,\"b\":1}\n{\"_id\":9,\"b\":9}\n",
        &lines,
        &upsert,
    )
    .await
    .unwrap();
    let merge = Import {
        mode: Mode::Merge,
        ..Import::default()
    };
    read(
        &engine,
        "{\"_id\":2,\"b\":2}\n{\"_id\":10}\n{\"_id\":3}\n",
        &lines,
        &merge,
    )
    .await
    .unwrap();
    assert_eq!(
        all(&engine).await,
        [
            doc! { "_id": 1, "b": 1 },
            doc! { "_id": 2, "a": 2, "k": { "v": "y" }, "b": 2 },
            doc! { "_id": 3 },
            doc! { "_id": 9, "b": 9 },
            doc! { "_id": 10 },
        ]
    );
    let by_field = Import {
        upsert_fields: vec!["k.v".to_owned()],
        ..merge
    };
    read(
        &engine,
        "{\"k\":{\"v\":\"y\"},\"c\":3}\n",
        &lines,
        &by_field,
    )
    .await
    .unwrap();
    assert_eq!(
        all(&engine).await[1],
        doc! { "_id": 2, "a": 2, "k": { "v": "y" }, "b": 2, "c": 3 }
    );
    assert_eq!(all(&engine).await.len(), 5);
}

#[tokio::test]
async fn mistakes_in_the_text_have_lines_and_what_came_before_is_in() {
    let engine = memory();
    let error = read(
        &engine,
        "{\"_id\":1}\n{\"_id\":2,\n\"a\":}\n{\"_id\":3}\n",
        &CANONICAL,
        &Import::default(),
    )
    .await
    .unwrap_err();
    assert!(error.starts_with("f: line 3: "), "{error}");
    assert_eq!(all(&engine).await, [doc! { "_id": 1 }]);
    let invalid = archive::import(
        &engine,
        ("d", "c"),
        &b"a\n\xff\n"[..],
        "f",
        &csv(&[], true),
        &Import::default(),
    )
    .await
    .unwrap_err();
    assert!(invalid.to_string().starts_with("f: line 2: "), "{invalid}");
    let damaged = archive::import(
        &engine,
        ("d", "c"),
        &b"\x05\0\0\0\0\x05"[..],
        "f",
        &Form::Bson,
        &Import::default(),
    )
    .await
    .unwrap_err();
    assert!(
        damaged.to_string().starts_with("f: damaged at byte 5"),
        "{damaged}"
    );
}

/// A document that the engine refuses whole: the others of its batch go in.
#[tokio::test]
async fn one_that_is_too_large_is_told_by_its_line() {
    let engine = memory();
    let large = format!("{{\"_id\":2,\"t\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    let text = format!("{{\"_id\":1}}\n{large}\n{{\"_id\":3}}\n");
    let imported = read(&engine, &text, &CANONICAL, &Import::default())
        .await
        .unwrap();
    assert_eq!(
        (imported.documents, imported.failed),
        (2, 1),
        "{:?}",
        imported.failures
    );
    assert!(
        imported.failures[0].starts_with("f: line 2: "),
        "{:?}",
        imported.failures
    );
    assert_eq!(all(&engine).await, [doc! { "_id": 1 }, doc! { "_id": 3 }]);
}
