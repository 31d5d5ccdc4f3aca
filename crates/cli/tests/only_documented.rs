//! The commands at a server that has nothing but what the service's clients
//! know of it, and at one that means harm.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::remote::{World, shop};
use super::{data, path, write};

/// The operations of the service's document: method, path and name.
const DOCUMENTED: &str = include_str!("../../admin/tests/documented.txt");
/// What the official CLI asks beside it (admin-api.md §3).
const BESIDE: &[&str] = &[
    "POST /groups/{g}/apps/{a}/import",
    "GET /groups/{g}/apps/{a}/description",
    "GET /templates",
    "GET /groups/{g}/apps/{a}/templates",
    "GET /groups/{g}/apps/{a}/templates/{t}/client",
    "PUT /groups/{g}/apps/{a}/dependencies",
    "GET /groups/{g}/apps/{a}/dependencies/status",
    "GET /groups/{g}/apps/{a}/dependencies/archive",
    "GET /groups/{g}/apps/{a}/dependencies/export",
    "POST /groups/{g}/apps/{a}/dependencies/diff",
    "DELETE /groups/{g}/apps/{a}/hosting/assets/asset",
    "PUT /groups/{g}/apps/{a}/hosting/cache",
    "GET /groups/{g}/apps/{a}/sync/client_schemas/{language}",
];
const PREFIX: &str = "/api/admin/v3.0";

/// What is answered in place of the server.
type Answer = (u16, &'static str, Vec<u8>);

/// A server before another one.
struct Before {
    url: String,
    /// What was not passed on.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Before {
    /// Passes on what `answers` has no answer to, given method, path with query
    /// and this server's own URL.
    fn new(
        world: &World,
        answers: impl Fn(&str, &str, &str) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behind = world.served.url.trim_start_matches("http://").to_owned();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let (own, told, answers) = (url.clone(), refused.clone(), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (own, told) = (own.clone(), told.clone());
                let (behind, answers) = (behind.clone(), answers.clone());
                std::thread::spawn(move || {
                    let (head, body) = request(&stream);
                    let mut words = head.split(' ');
                    let (method, path) = (words.next().unwrap(), words.next().unwrap());
                    let mut stream = stream;
                    if let Some((status, headers, content)) = answers(method, path, &own) {
                        told.lock().unwrap().push(format!("{method} {path}"));
                        let length = content.len();
                        write!(
                            stream,
                            "HTTP/1.1 {status} .\r\n{headers}content-length: {length}\r\n\
                             connection: close\r\n\r\n"
                        )
                        .unwrap();
                        stream.write_all(&content).unwrap();
                        return;
                    }
                    let mut to = TcpStream::connect(behind).unwrap();
                    let (first, rest) = head.split_once("\r\n").unwrap();
                    write!(to, "{first}\r\nconnection: close\r\n{rest}\r\n").unwrap();
                    to.write_all(&body).unwrap();
                    std::io::copy(&mut to, &mut stream).unwrap();
                });
            }
        });
        Self { url, refused }
    }

    /// Logs in here, as the profile `before`.
    fn log_in(&self, world: &World) {
        let keys = ["--api-key", "public", "--private-api-key", "a-private-key"];
        world.well(&[&["login", "--url", &self.url, "-i", "before"][..], &keys].concat());
    }
}

/// Reads a request: its head without what is said of the connection, and body.
fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

fn is_known(method: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    // A hosted file, where a list of them says that it is.
    let Some(path) = path.strip_prefix(PREFIX) else {
        return method == "GET" && path.starts_with("/app/");
    };
    let fits = |row: &str| {
        let mut words = row.split(' ');
        let (other, pattern) = (words.next(), words.next().unwrap_or_default());
        let parts: Vec<&str> = path.split('/').collect();
        let wanted: Vec<&str> = pattern.split('/').collect();
        other == Some(method)
            && parts.len() == wanted.len()
            && wanted
                .iter()
                .zip(parts)
                .all(|(wanted, part)| wanted.starts_with('{') || *wanted == part)
    };
    DOCUMENTED.lines().any(fits) || BESIDE.iter().any(|row| fits(row))
}

#[test]
fn nothing_is_asked_that_the_service_did_not_have() {
    let (world, shop) = (World::new(), shop());
    assert!(!is_known("GET", "/api/admin/v3.0/groups"));
    assert!(!is_known("GET", "/api/admin/v3.0/audit?limit=1"));
    let before = Before::new(&world, |method, path, _| {
        let html = (
            "content-type: text/html\r\n",
            b"404 page not found".to_vec(),
        );
        (!is_known(method, path)).then_some((404, html.0, html.1))
    });
    before.log_in(&world);
    let does = |words: &[&str]| world.lines(&[words, &["-y", "-i", "before"]].concat());
    let local = path(&shop).to_owned();
    write(&shop, "hosting/config.json", r#"{ "enabled": true }"#);
    write(&shop, "hosting/files/index.html", "1");
    let manifest = r#"{ "name": "left", "version": "1.0.0" }"#;
    write(&shop, "functions/node_modules/left/package.json", manifest);
    let all = ["-s", "-c", "--include-node-modules"];
    does(&["whoami", "--show-projects"]);
    does(&[
        "apps",
        "create",
        "-n",
        "todo",
        "--template",
        "web.mql.todo",
        "--cluster",
        "C",
    ]);
    does(&["apps", "delete", "-a", "todo"]);
    does(&[&["push", "--local", &local][..], &all].concat());
    does(&["apps", "diff", "--local", &local, "-s", "-d"]);
    write(&shop, "hosting/files/index.html", "2");
    write(&shop, "hosting/files/b.html", "2");
    does(&[&["push", "--local", &local][..], &all].concat());
    std::fs::remove_file(shop.path().join("hosting/files/b.html")).unwrap();
    let attrs = r#"[{ "path": "/index.html", "attrs": [] }]"#;
    write(&shop, "hosting/metadata.json", attrs);
    does(&[&["push", "--local", &local][..], &all].concat());
    let to = data();
    does(&["pull", "--local", path(&to), "-s", "--include-node-modules"]);
    does(&["pull", "--local", path(&to), "--include-package-json"]);
    does(&[
        "apps",
        "create",
        "-n",
        "copy",
        "--remote",
        "shop",
        "--cluster",
        "C",
    ]);
    does(&["apps", "init", "--remote", "shop", "--local", "copied"]);
    let shop = ["-a", "shop"];
    for words in [
        &["apps", "list"][..],
        &["apps", "describe"],
        &["functions", "list"],
        &["functions", "run", "--name", "sum", "--args", "1"],
        &["logs", "list"],
        &["secrets", "create", "-n", "key", "-v", "one"],
        &["secrets", "update", "-s", "key", "-v", "two"],
        &["secrets", "list"],
        &["secrets", "delete", "-s", "key"],
        &[
            "users",
            "create",
            "--email",
            "a@shop.example",
            "--password",
            "secret-1",
        ],
        &["users", "create", "--name", "robot"],
        &["users", "list"],
        &["users", "list", "--pending"],
        &["users", "revoke", "--provider", "local-userpass"],
        &["users", "delete", "--provider", "local-userpass"],
        &["accessList", "create", "--ip", "10.0.0.0/8"],
        &[
            "accessList",
            "update",
            "--ip",
            "10.0.0.0/8",
            "--comment",
            "x",
        ],
        &["accessList", "list"],
        &["accessList", "delete", "--ip", "10.0.0.0/8"],
        &["schema", "datamodels", "-l", "swift"],
        &["deploy", "describe"],
        &["deploy", "configure", "--ui-drafts", "on"],
        &["deployments", "list"],
    ] {
        does(&[words, &shop].concat());
    }
    let listed = does(&["deployments", "list", "-a", "shop"]);
    let id = listed[0]["data"][0]["ID"].as_str().unwrap();
    does(&["deployments", "redeploy", id, "-a", "shop"]);
    does(&["logout"]);
    assert_eq!(*before.refused.lock().unwrap(), [""; 0]);
}

/// A zip archive with one file.
fn archive(name: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file(name, options).unwrap();
    writer.write_all(b"theirs").unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_server_writes_nowhere_but_into_the_directory() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let hostile = Before::new(&world, |_, path, own| {
        let zip = "content-type: application/zip\r\n";
        if path.contains("/export?") && path.contains("version=20180301") {
            return Some((200, zip, archive("../../evil")));
        }
        if path.ends_with("/dependencies/archive") {
            let named = "content-type: application/zip\r\n\
                         content-disposition: attachment; filename=../../evil\r\n";
            return Some((200, named, b"theirs".to_vec()));
        }
        if path.contains("/hosting/assets?") {
            let json = "content-type: application/json\r\n";
            let list = ["/../../../evil", "/a/../../../../evil", "evil", "//evil"].map(|path| {
                json!({ "path": path, "hash": "", "size": 6, "attrs": [], "url": format!("{own}/evil") })
            });
            return Some((200, json, json!(list).to_string().into_bytes()));
        }
        path.ends_with("/evil")
            .then(|| (200, "", b"theirs".to_vec()))
    });
    hostile.log_in(&world);
    let app = world.ask("GET", "/apps", &json!(null))[0]["client_app_id"].clone();
    let app = app.as_str().unwrap();
    let pull = |rest: &[&str]| {
        let words = [
            "pull", "--remote", app, "--local", "in/to", "-y", "-i", "before",
        ];
        world.fails(&[&words[..], rest].concat())
    };
    let refused = pull(&["--config-version", "20180301"]);
    assert!(
        refused.contains("a file that cannot be: ../../evil"),
        "{refused}"
    );
    let refused = pull(&["--include-hosting"]);
    assert!(refused.contains("not fetched: 4"), "{refused}");
    let words = [
        "pull", "--remote", app, "--local", "in/to", "-y", "-i", "before", "-d",
    ];
    world.well(&words);
    let kept = std::fs::read(world.home.path().join("in/to/functions/node_modules.zip"));
    assert_eq!(kept.unwrap(), b"theirs");
    let found = super::remote::files(world.home.path());
    assert!(
        found.iter().all(|(name, _)| !name.contains("evil")),
        "{found:?}"
    );
    // A link in the directory leads out of it as well.
    let outside = data();
    write(&outside, "sum.js", "mine");
    let functions = world.home.path().join("in/to/functions");
    std::fs::remove_dir_all(&functions).unwrap();
    std::os::unix::fs::symlink(outside.path(), &functions).unwrap();
    let refused = pull(&[]);
    assert!(refused.contains("is a link"), "{refused}");
    assert_eq!(
        std::fs::read_to_string(outside.path().join("sum.js")).unwrap(),
        "mine"
    );
}
