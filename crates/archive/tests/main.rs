//! Dumps, restores, exports and imports, on the embedded engine and on a real
//! mongod.

mod dumps;
mod files;
mod memory;
mod moment;
mod mongod;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::{Directory, Dumped, Restore, Restored, Selection};
use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::{Collection, SharedEngine};
use engine_embedded::Embedded;
use kit::SystemClock;

pub(crate) fn memory() -> SharedEngine {
    Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap())
}

pub(crate) async fn run(engine: &SharedEngine, database: &str, command: Document) -> Document {
    let command = RawDocumentBuf::try_from(&command).unwrap();
    let reply = engine.command(database, &command).await.unwrap();
    Document::try_from(reply).unwrap()
}

pub(crate) async fn dump_to(engine: &SharedEngine, folder: &Path) -> Dumped {
    let mut directory = Directory::create(folder, false).unwrap();
    archive::dump(engine, &Selection::default(), &mut directory)
        .await
        .unwrap()
}

pub(crate) async fn restore_from(engine: &SharedEngine, folder: &Path) -> Restored {
    let restored = archive::restore(engine, folder, &Restore::default())
        .await
        .unwrap();
    assert_eq!(restored.failures, [""; 0]);
    restored
}

/// Every file of a folder with its content; of metadata without the uuid,
/// which is each collection's own.
pub(crate) fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for database in std::fs::read_dir(folder).unwrap() {
        let database = database.unwrap().path();
        for file in std::fs::read_dir(&database).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|e| e == "json") {
                let mut document = kit::ejson::parse_document(&bytes).unwrap();
                let uuid = document.remove("uuid");
                let view = document.get_str("type").is_ok_and(|kind| kind == "view");
                assert_eq!(uuid.is_none(), view, "{document}");
                assert!(uuid.is_none_or(|uuid| uuid.as_str().unwrap().len() == 32));
                if let Ok(indexes) = document.get_array_mut("indexes") {
                    indexes.sort_by_key(|index| {
                        index
                            .as_document()
                            .unwrap()
                            .get_str("name")
                            .unwrap()
                            .to_owned()
                    });
                }
                bytes = document.to_string().into_bytes();
            }
            all.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
        }
    }
    all
}

/// One document of each type there is.
pub(crate) fn every_type() -> Vec<Document> {
    use bson::spec::BinarySubtype;
    let binary = |subtype, bytes: &[u8]| {
        Bson::Binary(bson::Binary {
            subtype,
            bytes: bytes.to_vec(),
        })
    };
    let regex = bson::Regex {
        pattern: bson::raw::CString::try_from("^a\"\\/b").unwrap(),
        options: bson::raw::CString::try_from("im").unwrap(),
    };
    let values: Vec<Bson> = vec![
        1.5.into(),
        (-0.0).into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
        1e300.into(),
        "text \"\\\n\u{0} 😀".into(),
        "".into(),
        Bson::Document(doc! { "a": { "b": [] }, "": 1, "x.y": 2 }),
        bson::bson!([1, [2, [3]], {}, null]),
        binary(BinarySubtype::Generic, &[0, 255]),
        binary(BinarySubtype::Uuid, &[7; 16]),
        binary(BinarySubtype::UserDefined(0x80), &[]),
        binary(BinarySubtype::Md5, &[1; 16]),
        bson::oid::ObjectId::from_bytes([9; 12]).into(),
        true.into(),
        false.into(),
        bson::DateTime::from_millis(0).into(),
        bson::DateTime::from_millis(-62_135_596_800_001).into(),
        bson::DateTime::MAX.into(),
        Bson::Null,
        Bson::RegularExpression(regex),
        Bson::JavaScriptCode("() => 1".to_owned()),
        Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
            code: "x".to_owned(),
            scope: doc! { "x": 1i64 },
        }),
        Bson::Symbol("symbol".to_owned()),
        i32::MIN.into(),
        i64::MAX.into(),
        5i64.into(),
        Bson::Timestamp(bson::Timestamp {
            time: u32::MAX,
            increment: 7,
        }),
        Bson::Decimal128("1.10E-100".parse().unwrap()),
        Bson::Decimal128("NaN".parse().unwrap()),
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Undefined,
        Bson::DbPointer(bson_pointer()),
    ];
    values
        .into_iter()
        .enumerate()
        .map(|(n, value)| doc! { "_id": n as i32, "value": value })
        .collect()
}

fn bson_pointer() -> bson::DbPointer {
    let raw = kit::ejson::parse(
        br#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"0102030405060708090a0b0c"}}}"#,
    )
    .unwrap();
    match raw {
        Bson::DbPointer(pointer) => pointer,
        other => panic!("{other:?}"),
    }
}

/// Collections with everything a dump may meet.
pub(crate) async fn fill(engine: &SharedEngine) {
    let types: Vec<_> = every_type()
        .iter()
        .map(|d| RawDocumentBuf::try_from(d).unwrap())
        .collect();
    Collection::new(engine, "shop", "types")
        .insert_many(&types)
        .await
        .unwrap();
    run(
        engine,
        "shop",
        doc! { "create": "images", "changeStreamPreAndPostImages": { "enabled": true } },
    )
    .await;
    run(engine, "shop", doc! { "create": "empty" }).await;
    let orders = Collection::new(engine, "shop", "orders");
    let many: Vec<_> = (0..3000)
        .map(|n| bson::rawdoc! { "_id": n * 7 % 3001, "n": n, "tags": ["a", n], "mail": format!("m{n}") })
        .collect();
    orders.insert_many(&many).await.unwrap();
    orders
        .run(doc! { "createIndexes": "orders", "indexes": [
            { "name": "n_1", "key": { "n": 1 } },
            { "name": "two", "key": { "tags": -1, "n": 1 }, "sparse": true },
            { "name": "mail_1", "key": { "mail": 1 }, "unique": true,
              "partialFilterExpression": { "n": { "$gt": 10 } } },
        ] })
        .await
        .unwrap();
    for name in ["with/slash", "dots..in", "with space+%", "naïve"] {
        Collection::new(engine, "other-db", name)
            .insert_one(&bson::rawdoc! { "_id": name })
            .await
            .unwrap();
    }
    let long = "l".repeat(200) + "ö";
    Collection::new(engine, "other-db", &long)
        .insert_one(&bson::rawdoc! { "_id": 1 })
        .await
        .unwrap();
}
