//! A dump, restored, is the same.

use archive::{Directory, Moment, Restore, Selection, Tar};
use bson::{doc, rawdoc};
use engine::Collection;

use crate::{content, dump_to, fill, memory, restore_from, run};

#[tokio::test]
async fn what_is_restored_is_dumped_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let engine = memory();
    fill(&engine).await;
    let dumped = dump_to(&engine, &first).await;
    assert_eq!(dumped.moment, Moment::One);
    assert_eq!(dumped.left_out, [""; 0]);
    let names: Vec<_> = dumped
        .collections
        .iter()
        .map(|c| c.namespace.as_str())
        .collect();
    assert_eq!(
        names[5..],
        ["shop.empty", "shop.images", "shop.orders", "shop.types"]
    );
    let restored_to = memory();
    let restored = restore_from(&restored_to, &first).await;
    let orders = restored
        .collections
        .iter()
        .find(|c| c.namespace == "shop.orders")
        .unwrap();
    assert_eq!(
        (orders.documents, orders.failed, orders.indexes),
        (3000, 0, 3)
    );
    dump_to(&restored_to, &second).await;
    let (first, second) = (content(&first), content(&second));
    assert_eq!(first.len(), 18);
    assert!(first == second);
    // Not only equal, but what the engine was given, in its order.
    let bytes: Vec<u8> = crate::every_type()
        .iter()
        .flat_map(|document| document.to_vec().unwrap())
        .collect();
    assert_eq!(first[std::path::Path::new("shop/types.bson")], bytes);
    let metadata = &first[std::path::Path::new("shop/images.metadata.json")];
    assert!(String::from_utf8_lossy(metadata).contains("changeStreamPreAndPostImages"));
    // And the indexes are there: a second one of a unique key is refused.
    let orders = Collection::new(&restored_to, "shop", "orders");
    let again = orders
        .insert_one(&rawdoc! { "_id": -1, "n": 50, "mail": "m49" })
        .await;
    assert!(again.unwrap_err().is_duplicate_key());
}

#[tokio::test]
async fn a_stream_unpacks_to_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let engine = memory();
    fill(&engine).await;
    dump_to(&engine, &folder.path().join("plain")).await;
    let stream = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let into = stream.clone();
    let mut tar = Tar::new(move |bytes: Vec<u8>| {
        into.lock().unwrap().extend(bytes);
        Box::pin(async { Ok(()) }) as engine::BoxFuture<'static, _>
    });
    archive::dump(&engine, &Selection::default(), &mut tar)
        .await
        .unwrap();
    let stream = std::mem::take(&mut *stream.lock().unwrap());
    let target = folder.path().join("unpacked");
    archive::unpack(stream.as_slice(), &target).unwrap();
    assert!(content(&folder.path().join("plain")) == content(&target));
    // One that breaks off anywhere leaves nothing.
    let target = folder.path().join("cut");
    for cut in [
        0,
        100,
        512,
        5000,
        stream.len() / 2,
        stream.len() - 1024,
        stream.len() - 600,
    ] {
        archive::unpack(&stream[..cut], &target).unwrap_err();
        assert!(!target.exists(), "{cut}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn packed_files_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let (packed, again) = (folder.path().join("packed"), folder.path().join("again"));
    let engine = memory();
    fill(&engine).await;
    let mut directory = Directory::create(&packed, true).unwrap();
    archive::dump(&engine, &Selection::default(), &mut directory)
        .await
        .unwrap();
    assert!(
        packed.join("shop/orders.bson.gz").is_file() && !packed.join("shop/orders.bson").exists()
    );
    let restored_to = memory();
    restore_from(&restored_to, &packed).await;
    dump_to(&restored_to, &again).await;
    dump_to(&engine, &folder.path().join("plain")).await;
    assert!(content(&again) == content(&folder.path().join("plain")));
}

#[tokio::test]
async fn what_is_selected_is_dumped_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let engine = memory();
    fill(&engine).await;
    let some = Selection {
        database: Some("shop".to_owned()),
        exclude: vec!["shop.t*".to_owned(), "*.empty".to_owned()],
        ..Selection::default()
    };
    let target = folder.path().join("some");
    let mut directory = Directory::create(&target, false).unwrap();
    let dumped = archive::dump(&engine, &some, &mut directory).await.unwrap();
    let names: Vec<_> = dumped
        .collections
        .iter()
        .map(|c| c.namespace.as_str())
        .collect();
    assert_eq!(names, ["shop.images", "shop.orders"]);
    let missing = Selection {
        collection: Some("nothing".to_owned()),
        ..some
    };
    let mut directory = Directory::create(&folder.path().join("none"), false).unwrap();
    let refused = archive::dump(&engine, &missing, &mut directory)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "there is no collection shop.nothing");
    drop(directory);
    let restored_to = memory();
    let options = Restore {
        selection: Selection {
            include: vec!["*.orders".to_owned()],
            ..Selection::default()
        },
        no_indexes: true,
        ..Restore::default()
    };
    archive::restore(&restored_to, &target, &options)
        .await
        .unwrap();
    let listed = run(&restored_to, "shop", doc! { "listCollections": 1 }).await;
    let listed = listed
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    assert_eq!(listed.len(), 1);
    let indexes = run(&restored_to, "shop", doc! { "listIndexes": "orders" }).await;
    assert_eq!(
        indexes
            .get_document("cursor")
            .unwrap()
            .get_array("firstBatch")
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn restoring_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("dump");
    let engine = memory();
    let all = Collection::new(&engine, "d", "c");
    all.insert_many(&[rawdoc! { "_id": 1, "v": 1 }, rawdoc! { "_id": 2, "v": 1 }])
        .await
        .unwrap();
    all.create_index("v", doc! { "v": 1 }, false).await.unwrap();
    dump_to(&engine, &target).await;
    all.update_one(doc! { "_id": 1 }, doc! { "$set": { "v": 2 } })
        .await
        .unwrap();
    all.delete(doc! { "_id": 2 }, false).await.unwrap();
    let nothing = Restore {
        dry_run: true,
        drop: true,
        ..Restore::default()
    };
    let told = archive::restore(&engine, &target, &nothing).await.unwrap();
    assert_eq!(
        (told.collections[0].documents, told.collections[0].indexes),
        (2, 1)
    );
    assert_eq!(all.count(doc! {}).await.unwrap(), 1);
    // What is there stays, and the rest comes in.
    let restored = archive::restore(&engine, &target, &Restore::default())
        .await
        .unwrap();
    assert_eq!(
        (
            restored.collections[0].documents,
            restored.collections[0].failed
        ),
        (1, 1)
    );
    assert!(
        restored.failures[0].starts_with("d.c: document 1: E11000"),
        "{:?}",
        restored.failures
    );
    assert_eq!(all.count(doc! { "v": 2 }).await.unwrap(), 1);
    let stop = Restore {
        stop_on_error: true,
        ..Restore::default()
    };
    let restored = archive::restore(&engine, &target, &stop).await.unwrap();
    assert_eq!(
        (
            restored.collections[0].documents,
            restored.collections[0].failed
        ),
        (0, 1)
    );
    let drop = Restore {
        drop: true,
        ..Restore::default()
    };
    let restored = archive::restore(&engine, &target, &drop).await.unwrap();
    assert_eq!(
        (restored.collections[0].documents, restored.failures.len()),
        (2, 0)
    );
    assert_eq!(all.count(doc! { "v": 1 }).await.unwrap(), 2);
}
