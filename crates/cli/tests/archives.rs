//! Backup, restore, export, import and doctor, as people run them: beside a
//! server, and on a folder that none runs in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{Served, app, data, folder, path, program, run, write};

const NOTES: &str = "{\"_id\":1,\"text\":\"one\",\"n\":{\"$numberLong\":\"5\"}}\n\
                     {\"_id\":2,\"text\":\"two, and \\\"more\\\"\",\"n\":1.5}\n";

/// Runs with a folder as the data; what it printed.
fn on(data: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    run(program(arguments).args(["--data-dir", path(data)]))
}

fn well(result: (i32, String, String)) -> String {
    assert_eq!(result.0, 0, "{} {}", result.1, result.2);
    result.1
}

/// Every file of a dump.
fn content(dump: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for database in std::fs::read_dir(dump).unwrap() {
        for file in std::fs::read_dir(database.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let bytes = std::fs::read(&file).unwrap();
            all.insert(file.strip_prefix(dump).unwrap().to_owned(), bytes);
        }
    }
    all
}

const NOTES_OF_SHOP: [&str; 4] = ["--db", "shop", "--collection", "notes"];

#[test]
fn a_running_server_is_backed_up_and_another_is_made_of_it() {
    let (first, files) = (data(), folder("//- /notes.json\n"));
    let notes = files.path().join("notes.json");
    std::fs::write(&notes, NOTES).unwrap();
    let shop = shop();
    let served = Served::dev(&shop, &first);
    let (access, _) = served.login();
    assert_eq!(
        served.call(&access, "count").1,
        json!({ "$numberInt": "0" })
    );

    // In through the server that has the folder, found without being named.
    let mut import = vec!["import", notes.to_str().unwrap()];
    import.extend(NOTES_OF_SHOP);
    let said = well(on(&first, &import));
    assert_eq!(said, "2 documents imported, 0 refused, 0 rows left out\n");
    assert_eq!(
        served.call(&access, "count").1,
        json!({ "$numberInt": "2" })
    );
    let (code, said, errors) = on(&first, &import);
    assert_eq!(code, 1);
    assert_eq!(said, "0 documents imported, 2 refused, 0 rows left out\n");
    assert!(errors.contains("the file: line 1: E11000"), "{errors}");
    let mut export = vec!["export"];
    export.extend(NOTES_OF_SHOP);
    export.extend(["--sort", "{\"_id\":1}"]);
    let lines = well(on(&first, &export));
    assert_eq!(lines.lines().count(), 2);
    export.extend([
        "--type",
        "csv",
        "--fields",
        "_id,text",
        "--query",
        "{\"n\":1.5}",
    ]);
    let table = well(on(&first, &export));
    assert_eq!(table, "_id,text\n2,\"two, and \"\"more\"\"\"\n");

    // Out, users and apps included, and into a folder of its own.
    let dump = files.path().join("dump");
    well(on(&first, &["backup", dump.to_str().unwrap()]));
    assert!(dump.join("shop/notes.bson").is_file());
    assert!(dump.join("backstitch").is_dir());
    assert!(
        !content(&dump)
            .keys()
            .any(|name| name.ends_with("master.key"))
    );
    let second = data();
    // What a backup does not have: the key of its secrets, and the operator's.
    for name in ["master.key", "admin-keys"] {
        std::fs::copy(first.path().join(name), second.path().join(name)).unwrap();
    }
    well(on(&second, &["restore", dump.to_str().unwrap()]));
    assert!(well(on(&second, &["doctor"])).ends_with("all is well\n"));
    // A folder without a server is read itself, and is the same.
    let again = files.path().join("again");
    well(on(&second, &["backup", again.to_str().unwrap()]));
    let (all, same) = (content(&dump), content(&again));
    assert_eq!(
        all.keys().collect::<Vec<_>>(),
        same.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &all {
        // Metadata has each collection's own uuid.
        if name.extension().is_some_and(|ending| ending == "bson") {
            assert!(*bytes == same[name], "{}", name.display());
        }
    }
    served.kill();
    // Whoever was logged in still is.
    let mut served = Served::dev(&shop, &second);
    served.app = "shop-abcde".to_owned();
    assert_eq!(
        served.call(&access, "count").1,
        json!({ "$numberInt": "2" })
    );
}

const COUNT: &str = "exports = () => context.services.get('mongodb-atlas')\
                     .db('shop').collection('notes').count();";

/// An app whose one function counts the notes.
pub(crate) fn shop() -> TempDir {
    let folder = app(&[("count", COUNT)]);
    write(
        &folder,
        "data_sources/mongodb-atlas/config.json",
        r#"{ "name": "mongodb-atlas", "type": "mongodb-atlas", "config": { "clusterName": "Cluster0" } }"#,
    );
    write(
        &folder,
        "data_sources/mongodb-atlas/shop/notes/rules.json",
        r#"{ "database": "shop", "collection": "notes",
             "roles": [{ "name": "all", "apply_when": {}, "search": true, "read": true }] }"#,
    );
    folder
}

#[test]
fn a_running_server_takes_data_and_keeps_its_own_records() {
    let (first, second, files) = (data(), data(), folder("//- /x\n"));
    let shop = shop();
    let dump = files.path().join("dump");
    let mut served = Served::dev(&shop, &first);
    std::fs::write(files.path().join("notes.csv"), "_id,n\n1,2\n2,3\n").unwrap();
    let notes = files.path().join("notes.csv");
    let mut import = vec!["import", notes.to_str().unwrap()];
    import.extend(NOTES_OF_SHOP);
    well(on(&first, &import));
    well(on(&first, &["backup", dump.to_str().unwrap()]));
    served.kill();
    served = Served::dev(&shop, &second);
    let (access, _) = served.login();
    let said = well(on(&second, &["restore", dump.to_str().unwrap(), "--drop"]));
    assert_eq!(said, "shop.notes: 2 documents, 0 indexes\n");
    assert_eq!(
        served.call(&access, "count").1,
        json!({ "$numberInt": "2" })
    );
    // A dump that is none, and names that are not there.
    let (code, _, errors) = on(&second, &["restore", "nowhere"]);
    assert_eq!((code, errors.contains("nowhere: No such file")), (1, true));
    let (code, _, errors) = on(
        &second,
        &["export", "--db", "backstitch", "--collection", "admin_keys"],
    );
    assert_eq!(code, 1);
    assert!(errors.contains("403"), "{errors}");
    let none = files.path().join("none");
    let (code, _, errors) = on(
        &second,
        &[
            "backup",
            none.to_str().unwrap(),
            "--db",
            "shop",
            "--collection",
            "nothing",
        ],
    );
    assert_eq!(code, 1);
    assert!(!none.exists(), "{errors}");
    // Somebody else's keys.
    let (code, _, errors) = run(program(&["backup", none.to_str().unwrap()])
        .args(["--server", &served.url])
        .args(["--admin-public-key", "x", "--admin-private-key", "y"]));
    assert_eq!(code, 1);
    assert!(errors.contains("the server says 401"), "{errors}");
}

#[test]
fn a_folder_without_a_server_has_no_keys_to_ask_for() {
    let (first, files) = (data(), folder("//- /x\n"));
    let none = files.path().join("none");
    let (code, _, errors) = on(&first, &["doctor"]);
    assert_eq!(code, 1);
    assert!(errors.contains("there is no database here"), "{errors}");
    let (code, _, errors) = run(program(&["backup", none.to_str().unwrap()]).args([
        "--data-dir",
        path(&first),
        "--server",
        "http://127.0.0.1:1",
    ]));
    assert_eq!(code, 1);
    assert!(errors.contains("give the operator's keys"), "{errors}");
}
