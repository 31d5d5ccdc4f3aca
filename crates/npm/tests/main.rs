//! Packages from a registry on loopback: which come, where they go, and what a
//! registry that means ill gets.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::time::Duration;

use npm::{Failed, Fetched, Limits, Registry, Stop};
use serde_json::{Value, json};
use testkit::registry::{Answer, EntryType, Registry as Server, packed, packed_entries};

fn wanted(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    of.iter().map(owned).collect()
}

fn fetch_within(server: &Server, of: &[(&str, &str)], limits: Limits) -> Result<Fetched, Failed> {
    let registry = Registry::new(&server.url, None).unwrap();
    npm::fetch(&registry, &wanted(of), &limits, &Stop::default())
}

fn fetch(server: &Server, of: &[(&str, &str)]) -> Result<Fetched, Failed> {
    let time = Duration::from_secs(60);
    fetch_within(
        server,
        of,
        Limits {
            time,
            ..Limits::default()
        },
    )
}

/// Why nothing comes.
fn refused(server: &Server, of: &[(&str, &str)]) -> String {
    fetch(server, of).unwrap_err().to_string()
}

/// Folders without `node_modules`, with versions.
fn placed(fetched: &Fetched) -> Vec<String> {
    let show = |one: &npm::Placed| {
        let folder = one.folder.replace("node_modules/", "");
        format!("{folder} {}", one.version)
    };
    fetched.placed.iter().map(show).collect()
}

fn files(zip: &[u8]) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(entry.name().to_owned(), text);
    }
    files
}

fn needs(of: Value) -> Value {
    json!({ "dependencies": of })
}

#[test]
fn one_copy_serves_many_and_conflicts_go_below() {
    let server = Server::start();
    server.publish(
        "a",
        "1.0.0",
        needs(json!({ "c": "^1.0.0", "@scope/d": "*" })),
        &[],
    );
    server.publish("b", "1.0.0", needs(json!({ "c": "^2.0.0" })), &[]);
    server.publish("e", "1.0.0", needs(json!({ "c": "2", "b": "1" })), &[]);
    server.publish("c", "1.0.0", json!({}), &[]);
    server.publish("c", "1.5.0", json!({}), &[]);
    server.publish("c", "2.0.0", json!({}), &[]);
    server.publish("@scope/d", "0.1.0", json!({}), &[("lib/x.js", b"x")]);
    let fetched = fetch(&server, &[("a", "^1"), ("b", "latest"), ("e", "1.0.0")]).unwrap();
    assert_eq!(
        placed(&fetched),
        [
            "@scope/d 0.1.0",
            "a 1.0.0",
            "b 1.0.0",
            "b/c 2.0.0",
            "c 1.5.0",
            "e 1.0.0",
            "e/c 2.0.0"
        ]
    );
    let versions: Vec<_> = fetched.wanted.into_iter().collect();
    assert_eq!(
        versions,
        ["a", "b", "e"].map(|name| (name.to_owned(), "1.0.0".to_owned()))
    );
    let files = files(&fetched.zip);
    assert_eq!(files["node_modules/@scope/d/lib/x.js"], "x");
    for (folder, version) in [("c", "1.5.0"), ("b/node_modules/c", "2.0.0")] {
        let manifest = &files[&format!("node_modules/{folder}/package.json")];
        assert!(manifest.contains(version), "{manifest}");
    }
    // What is in two places is fetched once.
    let packed = |(path, _): &(String, _)| path == "/npm/c/-/2.0.0.tgz";
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| packed(request))
            .count(),
        1
    );
}

#[test]
fn a_copy_does_not_come_between_a_package_and_what_it_needs() {
    let server = Server::start();
    for name in ["n", "p", "x"] {
        server.publish(name, "1.0.0", json!({}), &[]);
    }
    server.publish("m", "1.0.0", needs(json!({ "n": "2", "p": "2" })), &[]);
    server.publish("n", "2.0.0", needs(json!({ "x": "1" })), &[]);
    server.publish("p", "2.0.0", needs(json!({ "x": "2" })), &[]);
    server.publish("x", "2.0.0", json!({}), &[]);
    let of = [("m", "1"), ("n", "1"), ("p", "1"), ("x", "1")];
    assert_eq!(
        placed(&fetch(&server, &of).unwrap()),
        [
            "m 1.0.0",
            "m/n 2.0.0",
            "m/p 2.0.0",
            "m/p/x 2.0.0",
            "n 1.0.0",
            "p 1.0.0",
            "x 1.0.0"
        ]
    );
}

#[test]
fn packages_that_need_each_other_and_other_names() {
    let server = Server::start();
    server.publish("a", "1.0.0", needs(json!({ "b": "1" })), &[]);
    server.publish(
        "b",
        "1.0.0",
        needs(json!({ "a": "1", "old-c": "npm:c@1" })),
        &[],
    );
    server.publish("c", "1.0.0", json!({}), &[]);
    server.publish("c", "2.0.0", json!({}), &[]);
    server.publish("c", "3.0.0-beta.1", json!({}), &[]);
    server.tag("c", "latest", "2.0.0");
    server.tag("c", "next", "3.0.0-beta.1");
    let fetched = fetch(&server, &[("a", "*"), ("c", "next"), ("d", "npm:c")]).unwrap();
    assert_eq!(
        placed(&fetched),
        [
            "a 1.0.0",
            "b 1.0.0",
            "c 3.0.0-beta.1",
            "d 2.0.0",
            "old-c 1.0.0"
        ]
    );
    let named = fetched
        .placed
        .iter()
        .find(|one| one.folder.ends_with("old-c"));
    assert_eq!(named.unwrap().name, "c");
}

#[test]
fn peers_go_beside_who_needs_them() {
    let server = Server::start();
    let peers = |of: Value| json!({ "peerDependencies": of });
    server.publish("plugin", "1.0.0", peers(json!({ "host": "^1" })), &[]);
    server.publish("host", "1.0.0", peers(json!({ "core": "*" })), &[]);
    server.publish("host", "2.0.0", json!({}), &[]);
    server.publish("core", "1.0.0", json!({}), &[]);
    // Missing ones are installed, with theirs.
    let fetched = fetch(&server, &[("plugin", "1")]).unwrap();
    assert_eq!(
        placed(&fetched),
        ["core 1.0.0", "host 1.0.0", "plugin 1.0.0"]
    );
    // A wide wish of the app gives way to a narrow one.
    let fetched = fetch(&server, &[("plugin", "1"), ("host", "*")]).unwrap();
    assert_eq!(
        placed(&fetched),
        ["core 1.0.0", "host 1.0.0", "plugin 1.0.0"]
    );
    // What cannot be is said.
    let why = refused(&server, &[("plugin", "1"), ("host", "2")]);
    assert!(
        why.contains("plugin@1.0.0 needs host ^1 beside it"),
        "{why}"
    );
    // Deeper down there is room for both.
    server.publish(
        "user",
        "1.0.0",
        needs(json!({ "plugin": "1", "host": "1" })),
        &[],
    );
    let fetched = fetch(&server, &[("user", "1"), ("host", "2")]).unwrap();
    assert_eq!(
        placed(&fetched),
        [
            "core 1.0.0",
            "host 2.0.0",
            "user 1.0.0",
            "user/host 1.0.0",
            "user/plugin 1.0.0"
        ]
    );
    // One that is optional is not brought, and has a say when it is there.
    let optional = json!({
        "peerDependencies": { "host": "*" }, "peerDependenciesMeta": { "host": { "optional": true } },
    });
    server.publish("shy", "1.0.0", optional, &[]);
    assert_eq!(
        placed(&fetch(&server, &[("shy", "1")]).unwrap()),
        ["shy 1.0.0"]
    );
    // What an optional one would need stops nothing.
    server.publish("native", "1.0.0", peers(json!({ "host": "9" })), &[]);
    let optional = json!({
        "peerDependencies": { "native": "*" },
        "peerDependenciesMeta": { "native": { "optional": true } },
    });
    server.publish("wide", "1.0.0", optional, &[]);
    let fetched = fetch(&server, &[("wide", "1"), ("host", "2")]).unwrap();
    assert_eq!(placed(&fetched), ["host 2.0.0", "wide 1.0.0"]);
    let optional = json!({
        "peerDependencies": { "host": "1" }, "peerDependenciesMeta": { "host": { "optional": true } },
    });
    server.publish("picky", "1.0.0", optional, &[]);
    let fetched = fetch(&server, &[("picky", "1"), ("host", "*")]).unwrap();
    assert_eq!(
        placed(&fetched),
        ["core 1.0.0", "host 1.0.0", "picky 1.0.0"]
    );
}

#[test]
fn what_is_optional_may_be_missing() {
    let server = Server::start();
    server.publish(
        "native",
        "1.0.0",
        json!({ "os": ["nowhere"], "dependencies": { "dep": "1" } }),
        &[],
    );
    server.publish("dep", "1.0.0", json!({}), &[]);
    server.publish("wrapper", "1.0.0", needs(json!({ "native": "1" })), &[]);
    let optional = json!({ "optionalDependencies": {
        "native": "1", "wrapper": "1", "gone": "1", "git": "github:a/b", "dep": "9",
    } });
    server.publish("a", "1.0.0", optional, &[]);
    assert_eq!(placed(&fetch(&server, &[("a", "1")]).unwrap()), ["a 1.0.0"]);
    let why = refused(&server, &[("wrapper", "1")]);
    assert!(why.contains("native@1.0.0 is not for this"), "{why}");
    let why = refused(&server, &[("gone", "1")]);
    assert!(
        why.contains("gone: the registry has no such package"),
        "{why}"
    );
    let why = refused(&server, &[("dep", "^9")]);
    assert!(why.contains("dep has no version ^9"), "{why}");
    let why = refused(&server, &[("dep", "git+https://example.com/dep.git")]);
    assert!(
        why.contains("packages come from the registry only"),
        "{why}"
    );
}

#[test]
fn bundled_packages_come_with_their_bundle() {
    let server = Server::start();
    let manifest = json!({ "dependencies": { "inner": "1" }, "bundleDependencies": ["inner"] });
    server.publish(
        "a",
        "1.0.0",
        manifest,
        &[("node_modules/inner/package.json", b"{}")],
    );
    let fetched = fetch(&server, &[("a", "1")]).unwrap();
    assert_eq!(placed(&fetched), ["a 1.0.0"]);
    assert!(files(&fetched.zip).contains_key("node_modules/a/node_modules/inner/package.json"));
}

#[test]
fn what_was_fetched_is_what_the_registry_describes() {
    let server = Server::start();
    let bytes = packed(&[("package.json", b"{}")]);
    let dist = |dist: Value| json!({ "dist": dist });
    for (name, manifest) in [
        ("wrong", dist(json!({ "integrity": "sha512-AAAA" }))),
        ("none", dist(json!({ "integrity": "" }))),
        ("odd", dist(json!({ "integrity": "md5-AAAA" }))),
        ("short", dist(json!({ "integrity": "", "shasum": "00" }))),
    ] {
        server.publish_packed(name, "1.0.0", manifest, bytes.clone());
        let why = refused(&server, &[(name, "1")]);
        assert!(
            why.contains(&format!("{name}@1.0.0: ")) && why.contains("checksum"),
            "{why}"
        );
    }
    // An old one has only this; it is of "not packed".
    let sum = "32a41cbdb8c1c92f01c5b5ac2b8f7d9db8ad2eb2";
    let old = dist(json!({ "integrity": "", "shasum": sum }));
    server.publish_packed("old", "1.0.0", old, b"not packed".to_vec());
    let why = refused(&server, &[("old", "1")]);
    assert!(
        why.contains("checksum") || why.contains("it is no package"),
        "{why}"
    );
}

#[test]
fn files_stay_in_their_folder_and_links_are_left_out() {
    let server = Server::start();
    let file = |name: &str| (name.to_owned(), EntryType::Regular, &b"x"[..]);
    let link = |name: &str, kind, to: &'static str| (name.to_owned(), kind, to.as_bytes());
    let entries = [
        file("package/package.json"),
        file("package/b.js"),
        link("package/passwd", EntryType::Symlink, "/etc/passwd"),
        link("package/hard", EntryType::Link, "../../a"),
        ("package/device".to_owned(), EntryType::Block, &b""[..]),
        ("package/lib/".to_owned(), EntryType::Directory, &b""[..]),
    ];
    server.publish_packed("a", "1.0.0", json!({}), packed_entries(&entries));
    let fetched = fetch(&server, &[("a", "1")]).unwrap();
    let names: Vec<_> = files(&fetched.zip).into_keys().collect();
    assert_eq!(
        names,
        ["node_modules/a/b.js", "node_modules/a/package.json"]
    );
    for name in ["package/../../b/x", "/etc/x", "../x", "package/c:\\x", "x"] {
        let bytes = packed_entries(&[file("package/package.json"), file(name)]);
        server.publish_packed("b", "1.0.0", json!({}), bytes);
        let why = refused(&server, &[("b", "1")]);
        assert!(
            why.contains("b@1.0.0: a file has a name that leads elsewhere"),
            "{why}"
        );
    }
    server.publish_packed("c", "1.0.0", json!({}), b"no archive".to_vec());
    let why = refused(&server, &[("c", "1")]);
    assert!(why.contains("c@1.0.0: it is no package"), "{why}");
    // Names that a registry makes up lead nowhere.
    for name in ["..", "../../b", "a/../b", "node_modules"] {
        server.publish("d", "1.0.0", needs(json!({ name: "1" })), &[]);
        let why = refused(&server, &[("d", "1")]);
        assert!(why.contains("is no package's name"), "{why}");
    }
}

#[test]
fn everything_has_a_limit() {
    let server = Server::start();
    let zeros = vec![0; 3 * 1024 * 1024];
    server.publish("bomb", "1.0.0", json!({}), &[("zeros", &zeros)]);
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as u8
    })
    .take(60_000)
    .collect();
    server.publish("huge", "1.0.0", json!({}), &[("noise", &noise)]);
    server.publish("chain", "1.0.0", needs(json!({ "chain-2": "1" })), &[]);
    server.publish("chain-2", "1.0.0", needs(json!({ "chain-3": "1" })), &[]);
    server.publish("chain-3", "1.0.0", json!({}), &[]);
    server.answer(
        "/npm/endless",
        Answer::Endless(br#"{"name":"endless""#.to_vec()),
    );
    server.answer("/npm/endless-file/-/1.0.0.tgz", Answer::Endless(Vec::new()));
    let limits = Limits {
        time: Duration::from_secs(60),
        description_bytes: 1024 * 1024,
        ..Limits::default()
    };
    for (name, limits, says) in [
        (
            "endless",
            limits,
            "endless: the registry sends more than 1048576 bytes",
        ),
        (
            "endless",
            Limits {
                descriptions_bytes: 100_000,
                ..limits
            },
            "sends more than 100000 bytes in all",
        ),
        (
            "huge",
            Limits {
                tarball_bytes: 10_000,
                ..limits
            },
            "huge: the registry sends more than",
        ),
        (
            "huge",
            Limits {
                tarballs_bytes: 10_000,
                ..limits
            },
            "more than 10000 bytes in all",
        ),
        (
            "huge",
            Limits {
                archive_bytes: 10_000,
                ..limits
            },
            "an archive of more than 10000 bytes",
        ),
        (
            "bomb",
            Limits {
                unpacked_bytes: 2 * 1024 * 1024,
                ..limits
            },
            "bomb@1.0.0: the packages unpack to more than 2097152 bytes",
        ),
        ("bomb", Limits { files: 1, ..limits }, "more than 1 files"),
        (
            "chain",
            Limits {
                packages: 2,
                ..limits
            },
            "there are more than 2 packages",
        ),
    ] {
        let why = fetch_within(&server, &[(name, "*")], limits)
            .unwrap_err()
            .to_string();
        assert!(why.contains(says), "{name}: {why}");
    }
    // Packed small on the way, too.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&vec![b' '; 4 * 1024 * 1024]).unwrap();
    let encoding = ("Content-Encoding".to_owned(), "gzip".to_owned());
    let small = Answer::Once(200, Some(encoding), gz.finish().unwrap());
    server.answer("/npm/small", small);
    let why = fetch_within(&server, &[("small", "*")], limits).unwrap_err();
    assert!(why.to_string().contains("more than 1048576 bytes"), "{why}");
    let many: Vec<u8> = packed(&[("a", b"a"), ("b", b"b"), ("c", b"c")]);
    server.publish_packed("many", "1.0.0", json!({}), many);
    assert!(fetch_within(&server, &[("many", "1")], Limits { files: 2, ..limits }).is_err());
    assert!(
        fetch_within(
            &server,
            &[("chain", "*")],
            Limits {
                packages: 3,
                ..limits
            }
        )
        .is_ok()
    );
}

#[test]
fn packages_that_all_need_each_other_come_to_an_end() {
    let server = Server::start();
    let name = |n: usize| format!("peer-{n}");
    for n in 0..24 {
        let others: serde_json::Map<String, Value> = (0..24)
            .filter(|&other| other != n)
            .map(|other| (name(other), "1".into()))
            .collect();
        server.publish(
            &name(n),
            "1.0.0",
            json!({ "peerDependencies": others }),
            &[],
        );
    }
    assert_eq!(fetch(&server, &[("peer-3", "1")]).unwrap().placed.len(), 24);
    for n in 0..300 {
        let next = json!({ "peerDependencies": { format!("chain-{}", n + 1): "1" } });
        server.publish(&format!("chain-{n}"), "1.0.0", next, &[]);
    }
    let why = refused(&server, &[("chain-0", "1")]);
    assert!(why.contains("more than 200 packages beside it"), "{why}");
}

#[test]
fn an_install_ends_in_time_and_when_it_is_stopped() {
    let server = Server::start();
    server.publish("a", "1.0.0", json!({}), &[]);
    server.hold(true);
    let time = Duration::from_millis(300);
    let limits = Limits {
        time,
        ..Limits::default()
    };
    let begun = std::time::Instant::now();
    assert!(fetch_within(&server, &[("a", "1")], limits).is_err());
    assert!(begun.elapsed() < Duration::from_secs(20));
    server.hold(false);
    let registry = Registry::new(&server.url, None).unwrap();
    let stop = Stop::default();
    stop.stop();
    let limits = Limits::default();
    let stopped = npm::fetch(&registry, &wanted(&[("a", "1")]), &limits, &stop).unwrap_err();
    assert!(stopped.to_string().contains("stopped"), "{stopped}");
}

#[test]
fn only_the_registry_describes_and_only_it_gets_the_token() {
    let (server, other) = (Server::start(), Server::start());
    other.publish("moved", "1.0.0", json!({}), &[]);
    other.publish("elsewhere", "1.0.0", json!({}), &[]);
    let redirect = |to: String| Answer::Once(302, Some(("Location".to_owned(), to)), Vec::new());
    // Descriptions of another server are not believed.
    server.answer("/npm/moved", redirect(format!("{}/moved", other.url)));
    let why = refused(&server, &[("moved", "1")]);
    assert!(why.contains("from where nothing is fetched"), "{why}");
    // Nor are files fetched from there without TLS, whoever names them.
    let tarball = |to: String| json!({ "dist": { "tarball": to } });
    let at = format!("{}/elsewhere/-/1.0.0.tgz", other.url);
    server.publish("elsewhere", "1.0.0", tarball(at.clone()), &[]);
    server.publish("sent", "1.0.0", json!({}), &[]);
    server.answer("/npm/sent/-/1.0.0.tgz", redirect(at));
    server.publish(
        "file",
        "1.0.0",
        tarball("file:///etc/passwd".to_owned()),
        &[],
    );
    server.publish("none", "1.0.0", tarball(String::new()), &[]);
    let place = server.url.replace("http://", "http://user:secret@");
    server.publish(
        "user",
        "1.0.0",
        tarball(format!("{place}/user/-/1.0.0.tgz")),
        &[],
    );
    for name in ["elsewhere", "sent", "file", "none", "user"] {
        let why = refused(&server, &[(name, "1")]);
        let says = why.contains("nothing is fetched") || why.contains("names no archive");
        assert!(says && !why.contains("secret"), "{name}: {why}");
    }
    assert_eq!(other.requests(), []);
    // A redirect to itself has an end, one to another place of it is followed.
    server.answer("/npm/loop", redirect("/npm/loop".to_owned()));
    let why = refused(&server, &[("loop", "1")]);
    assert!(why.contains("more than 5 redirects"), "{why}");
    server.publish("a", "1.0.0", json!({}), &[]);
    server.answer("/npm/b", redirect("a".to_owned()));
    assert_eq!(placed(&fetch(&server, &[("b", "1")]).unwrap()), ["b 1.0.0"]);
    // The token goes with every request to the registry.
    let before = server.requests().len();
    let registry = Registry::new(&server.url, Some("t0ken".to_owned().into())).unwrap();
    let limits = Limits::default();
    npm::fetch(&registry, &wanted(&[("a", "1")]), &limits, &Stop::default()).unwrap();
    let sent: Vec<_> = server
        .requests()
        .drain(before..)
        .map(|(_, sent)| sent)
        .collect();
    assert_eq!(sent, vec![Some("Bearer t0ken".to_owned()); 2]);
    let bare = Server::start();
    bare.answer("/npm/a", Answer::Once(401, None, Vec::new()));
    let why = refused(&bare, &[("a", "1")]);
    assert!(
        why.contains("the registry refuses it (status 401)"),
        "{why}"
    );
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let server = Server::start();
    server.answer("/npm/a", Answer::Once(503, None, Vec::new()));
    let why = refused(&server, &[("a", "1")]);
    assert!(why.contains("status 503"), "{why}");
    assert_eq!(server.requests().len(), 3);
    for body in [&b"[]"[..], b"{", b"", b"{\"versions\":{\"1.0.0\":7}}"] {
        server.answer("/npm/b", Answer::Once(200, None, body.to_vec()));
        assert!(fetch(&server, &[("b", "1")]).is_err());
    }
}
