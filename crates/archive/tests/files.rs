//! Files and folders that are not as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use archive::{ArchiveError, Directory, Restore, Selection};
use bson::{doc, rawdoc};
use engine::Collection;

use crate::{dump_to, memory};

#[tokio::test]
async fn damage_stops_with_file_and_offset_and_keeps_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("dump");
    let engine = memory();
    let all = Collection::new(&engine, "d", "c");
    let documents: Vec<_> = (0..1500)
        .map(|n| rawdoc! { "_id": n, "text": "0123456789" })
        .collect();
    all.insert_many(&documents).await.unwrap();
    dump_to(&engine, &target).await;
    let path = target.join("d/c.bson");
    let good = fs::read(&path).unwrap();
    let size = good.len() / 1500;
    let mut bad = good.clone();
    bad[size * 1200] = 0;
    for (bytes, offset) in [
        (bad, size * 1200),
        (good[..size * 1300 + 3].to_vec(), size * 1300),
    ] {
        fs::write(&path, bytes).unwrap();
        let engine = memory();
        match archive::restore(&engine, &target, &Restore::default()).await {
            Err(ArchiveError::Damaged {
                file,
                offset: found,
                ..
            }) => {
                assert_eq!(found, offset as u64);
                assert!(file.ends_with("d/c.bson"));
            }
            other => panic!("{other:?}"),
        }
        let there = Collection::new(&engine, "d", "c")
            .count(doc! {})
            .await
            .unwrap();
        assert_eq!(there, (offset / size) as u64);
    }
    fs::write(target.join("d/c.metadata.json"), "{\n\"indexes\": [").unwrap();
    let error = archive::restore(&memory(), &target, &Restore::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("c.metadata.json: line 2: "),
        "{error}"
    );
    fs::remove_file(target.join("d/c.metadata.json")).unwrap();
    fs::rename(&path, target.join("d/c.bson.gz")).unwrap();
    let error = archive::restore(&memory(), &target, &Restore::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("c.bson.gz: damaged at byte 0"),
        "{error}"
    );
}

#[tokio::test]
async fn folders_that_are_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    let restore =
        async |path: &std::path::Path| archive::restore(&memory(), path, &Restore::default()).await;
    assert!(matches!(
        restore(&folder.path().join("none")).await,
        Err(ArchiveError::File { .. })
    ));
    assert!(
        restore(folder.path())
            .await
            .unwrap_err()
            .to_string()
            .contains("there is no dump here")
    );
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(
        folder.path().join("d/c.bson"),
        rawdoc! { "_id": 1 }.as_bytes(),
    )
    .unwrap();
    fs::write(folder.path().join("d/readme.txt"), "x").unwrap();
    fs::write(folder.path().join("oplog.bson"), "x").unwrap();
    fs::write(folder.path().join("prelude.json"), "{}").unwrap();
    let restored = restore(folder.path()).await.unwrap();
    assert_eq!(restored.collections[0].documents, 1);
    assert_eq!(restored.left_out.len(), 2, "{:?}", restored.left_out);
    // Names that lead out of a folder are names like others: the engine takes
    // them or not, and no file is written.
    fs::write(
        folder.path().join("d/up%2F..%2F..%2Fx.bson"),
        rawdoc! { "_id": 1 }.as_bytes(),
    )
    .unwrap();
    let restored = restore(folder.path()).await.unwrap();
    assert_eq!(restored.collections[1].namespace, "d.up/../../x");
    fs::write(
        folder.path().join("d/..%2F..%2Fx.bson"),
        rawdoc! { "_id": 1 }.as_bytes(),
    )
    .unwrap();
    let refused = restore(folder.path()).await.unwrap_err();
    assert!(
        matches!(&refused, ArchiveError::Engine { error, .. } if error.code == 73),
        "{refused}"
    );
    fs::remove_file(folder.path().join("d/..%2F..%2Fx.bson")).unwrap();
    let mut both = folder.path().join("d/c.bson");
    both.as_mut_os_string().push(".gz");
    fs::write(&both, "").unwrap();
    let refused = restore(folder.path()).await.unwrap_err();
    assert!(
        refused.to_string().contains("are of the same collection"),
        "{refused}"
    );
}

#[tokio::test]
async fn places_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let engine = memory();
    Collection::new(&engine, "d", "c")
        .insert_one(&rawdoc! { "_id": 1 })
        .await
        .unwrap();
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "x").unwrap();
    let refused = Directory::create(&full, false).err().unwrap();
    assert!(refused.to_string().contains("the directory is not empty"));
    assert!(Directory::create(&full.join("file/dump"), false).is_err());
    // Two at once do not mix, and an empty directory may be there.
    let target = folder.path().join("dump");
    fs::create_dir(&target).unwrap();
    let mut first = Directory::create(&target, false).unwrap();
    assert!(Directory::create(&target, false).is_err());
    archive::dump(&engine, &Selection::default(), &mut first)
        .await
        .unwrap();
    drop(first);
    let mode = |path: &str| {
        fs::metadata(target.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode(""), mode("d"), mode("d/c.bson")),
        (0o700, 0o700, 0o600)
    );
    assert!(!folder.path().join("dump.partial").exists());
    // A dump that ends early is none.
    let target = folder.path().join("half");
    let directory = Directory::create(&target, false).unwrap();
    drop(directory);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// A device on which there is no room.
#[tokio::test]
async fn a_full_disk_is_told() {
    let engine = memory();
    let all = Collection::new(&engine, "d", "c");
    let documents: Vec<_> = (0..2000)
        .map(|n| rawdoc! { "_id": n, "text": "0123456789" })
        .collect();
    all.insert_many(&documents).await.unwrap();
    let mut out = fs::File::options().write(true).open("/dev/full").unwrap();
    let form = archive::Form::Bson;
    let error = archive::export(
        &engine,
        ("d", "c"),
        &archive::Export::default(),
        &form,
        &mut out,
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
}
