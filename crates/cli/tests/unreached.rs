//! Servers that are away, say nothing, or are no servers of this kind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::remote::{World, shop};
use super::{path, program, run};

#[test]
fn a_server_that_went_away_is_named() {
    let (world, shop) = (World::new(), shop());
    world.push(&shop);
    let url = world.served.url.clone();
    let World {
        served,
        home,
        _data,
    } = world;
    served.kill();
    let mut push = program(&["push", "--local", path(&shop), "-y"]);
    let (code, _, errors) = run(push.env("XDG_CONFIG_HOME", home.path()));
    assert_eq!(code, 1);
    assert!(errors.contains(&url), "{errors}");
}

#[test]
fn a_server_that_is_none_or_says_nothing_is_told() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let login = [
        "login",
        "--api-key",
        "a",
        "--private-api-key",
        "b",
        "--url",
        &url,
    ];
    // One that is there and says nothing; one that hangs up; somebody else's page.
    let answers = [
        "",
        "end",
        "HTTP/1.1 404 .\r\ncontent-length: 21\r\n\r\n<html>not here</html>",
    ];
    let waits = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            match answer {
                "" => kept.push(stream),
                "end" => drop(stream),
                page => {
                    let mut some = [0; 1024];
                    let _ = stream.read(&mut some).unwrap();
                    stream.write_all(page.as_bytes()).unwrap();
                }
            }
        }
        kept
    });
    let mut silent = world.command(&login);
    let (code, _, errors) = run(silent.env("BACKSTITCH_ANSWER_SECONDS_MAX", "1"));
    assert_eq!(
        (code, errors.contains("did not answer in time")),
        (1, true),
        "{errors}"
    );
    let gone = world.fails(&login);
    assert!(gone.contains("went away before it answered"), "{gone}");
    let other = world.fails(&login);
    let page = "<html>not here</html> (is this the URL of an App Services server?)";
    assert!(other.contains(page), "{other}");
    waits.join().unwrap();
    let below = format!("{}/api/admin/v3.0", world.served.url);
    let login = [
        "login",
        "--api-key",
        "public",
        "--private-api-key",
        "a-private-key",
    ];
    let other = world.fails(&[&login[..], &["--url", &below]].concat());
    assert!(other.contains("with no path behind it?"), "{other}");
}
