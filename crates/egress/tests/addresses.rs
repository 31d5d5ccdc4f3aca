//! Which addresses are connected to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use egress::{AppRules, EgressError, Http, Policy, Request};

use crate::server::{Answer, LIMITS, Scripted, Server, allowing, ok, redirect, settings};

/// An answer after which the connection waits for more.
const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";

#[test]
fn special_addresses_are_refused() {
    let policy = Policy::default();
    let permits = |text: &str| policy.permits(text.parse::<IpAddr>().unwrap());
    for refused in [
        // This machine and this network.
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "::1",
        "::",
        // Private and shared.
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "fc00::1",
        "fdff::1",
        "fec0::1",
        // Link-local, with the metadata services of clouds.
        "169.254.169.254",
        "169.254.170.2",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        // Multicast, broadcast, reserved.
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "ff02::1",
        // Documentation and measurements.
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "198.18.0.1",
        "198.19.255.255",
        "2001:db8::1",
        "3fff::1",
        "192.88.99.1",
        // The same ones in other forms: mapped, compatible, translated, tunnels.
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001::1",
        "2001:1::1",
        "100::1",
        "5f00::1",
    ] {
        assert!(!permits(refused), "{refused}");
    }
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "169.253.255.255",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "168.63.129.15",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2001:200::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ] {
        assert!(permits(public), "{public}");
    }
}

#[test]
fn the_operator_allows_networks() {
    let allowed = ["10.1.0.0/16", "::1"].map(|text| text.parse().unwrap());
    let policy = Policy::new(allowed.into());
    let permits = |text: &str| policy.permits(text.parse::<IpAddr>().unwrap());
    for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "::1"] {
        assert!(permits(allowed), "{allowed}");
    }
    for refused in ["10.2.0.1", "127.0.0.1", "::2", "64:ff9b::a02:1"] {
        assert!(!permits(refused), "{refused}");
    }
}

#[tokio::test]
async fn nothing_reaches_this_machine_unless_it_is_allowed() {
    let server = Server::start(|_| ok("here")).await;
    let port = server.address.port();
    let http = allowing(&[]);
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "127.1",
        "0",
        "127.0.0.1.",
        "a.localhost.",
    ] {
        let asked = Request::get(format!("http://{host}:{port}/"));
        let error = http.send(asked, LIMITS).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused(_)), "{host}: {error}");
    }
    assert_eq!(server.asked().len(), 0);
    let allowed = allowing(&["127.0.0.0/8"]);
    let answer = allowed.send(Request::get(server.url("/")), LIMITS).await;
    assert_eq!(answer.unwrap().body, "here");
}

#[tokio::test]
async fn what_was_resolved_is_what_is_connected_to() {
    let server = Server::start(|_| ok("inside")).await;
    let url = format!("http://rebinding.example:{}/", server.address.port());
    // The second answer is the one that a check before the connection would
    // not have seen. 127.1.1.1 stands for a public address that nobody is at.
    let resolver = Scripted::new(&[&["127.1.1.1"], &["127.0.0.1"]]);
    let http = Http::with_resolver(settings(&["127.1.1.1"]), resolver);
    let error = http.send(Request::get(&url), LIMITS).await.unwrap_err();
    assert!(matches!(error, EgressError::Unreachable { .. }), "{error}");
    let error = http.send(Request::get(&url), LIMITS).await.unwrap_err();
    assert!(matches!(error, EgressError::Refused(_)), "{error}");
    assert_eq!(server.asked().len(), 0);
    // Of several addresses only those are tried that are permitted.
    let resolver = Scripted::new(&[&["10.0.0.1", "169.254.169.254", "127.0.0.1"]]);
    let http = Http::with_resolver(settings(&["127.0.0.1"]), resolver);
    let answer = http.send(Request::get(&url), LIMITS).await.unwrap();
    assert_eq!(answer.body, "inside");
    let none = Http::with_resolver(settings(&[]), Scripted::new(&[&[]]));
    let error = none.send(Request::get(&url), LIMITS).await.unwrap_err();
    let unresolved = EgressError::Unresolved("rebinding.example".to_owned());
    assert_eq!(error, unresolved);
}

#[tokio::test]
async fn redirects_are_looked_at_like_the_first_url() {
    let server = Server::start(|path| match path {
        "/metadata" => redirect(302, "http://169.254.169.254/latest/meta-data/"),
        "/private" => redirect(307, "http://10.0.0.1/"),
        "/file" => redirect(302, "file:///etc/passwd"),
        "/user" => redirect(302, "http://a:b@127.0.0.1/"),
        "/near" => redirect(302, "/here"),
        _ => ok("here"),
    })
    .await;
    let http = allowing(&["127.0.0.1"]);
    for (path, refused) in [("/metadata", "169.254.169.254"), ("/private", "10.0.0.1")] {
        let error = http.send(Request::get(server.url(path)), LIMITS).await;
        assert_eq!(
            error.unwrap_err(),
            EgressError::Refused(refused.to_owned()),
            "{path}"
        );
    }
    for path in ["/file", "/user"] {
        let error = http.send(Request::get(server.url(path)), LIMITS).await;
        assert!(matches!(error, Err(EgressError::Url(_))), "{path}");
    }
    let answer = http.send(Request::get(server.url("/near")), LIMITS).await;
    assert_eq!(answer.unwrap().body, "here");
}

#[tokio::test]
async fn urls_that_are_none_of_http_are_refused() {
    let http = allowing(&["127.0.0.0/8"]);
    let long = format!("http://127.0.0.1/{}", "a".repeat(40_000));
    for url in [
        "",
        "here",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://:password@127.0.0.1/",
        "http://",
        "http://127.0.0.1:99999/",
        &long,
    ] {
        let error = http.send(Request::get(url), LIMITS).await.unwrap_err();
        assert!(matches!(error, EgressError::Url(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn rules_of_an_app_are_its_own() {
    let server = Server::start(|_| Answer::Whole(KEPT.to_owned())).await;
    let port = server.address.port();
    let mut settings = settings(&[]);
    settings.apps = BTreeMap::from([
        (
            "near".to_owned(),
            AppRules {
                allowed: vec!["127.0.0.1".parse().unwrap()],
                only: Vec::new(),
            },
        ),
        (
            "strict".to_owned(),
            AppRules {
                allowed: vec!["127.0.0.1".parse().unwrap()],
                only: vec!["*.example".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            },
        ),
    ]);
    let http = Http::with_resolver(settings, Scripted::new(&[&["127.0.0.1"]]));
    let asked = async |app: &str, host: &str| {
        let url = format!("http://{host}:{port}/");
        let answer = http.for_app(app).send(Request::get(url), LIMITS).await;
        let connected = http.for_app(app).connect(host, port).await;
        assert_eq!(answer.is_ok(), connected.is_ok(), "{app} {host}");
        answer.is_ok()
    };
    for (app, host, reached) in [
        ("near", "127.0.0.1", true),
        ("near", "a.example", true),
        // A connection that waits, of an app that may, is not another's.
        ("strict", "127.0.0.1", true),
        ("strict", "a.example", true),
        ("strict", "A.EXAMPLE.", true),
        ("strict", "b.test", false),
        ("strict", "example", false),
        ("strict", "a.example.test", false),
        ("strict", "localhost", false),
        ("other", "127.0.0.1", false),
        ("other", "a.example", false),
    ] {
        assert_eq!(asked(app, host).await, reached, "{app} {host}");
    }
    let error = http.send(Request::get(server.url("/")), LIMITS).await;
    assert!(matches!(error, Err(EgressError::Refused(_))));
}

#[tokio::test]
async fn what_is_no_name_is_not_asked_for() {
    // Whoever were asked would say that all is well.
    let http = Http::with_resolver(settings(&[]), Scripted::new(&[&["1.1.1.1"]]));
    for (host, found) in [
        ("name.example", Ok("1.1.1.1")),
        ("bücher.example", Ok("1.1.1.1")),
        ("8.8.8.8.", Ok("8.8.8.8")),
        ("0x08080808", Ok("8.8.8.8")),
        ("８.8.8.8", Ok("8.8.8.8")),
        ("127.0.0.1.", Err("EACCES")),
        ("①②⑦.1", Err("EACCES")),
        ("::ffff:7f00:1", Err("EACCES")),
        ("localhost.", Err("EACCES")),
        ("a.LOCALHOST", Err("EACCES")),
        ("nowhere.invalid", Err("ENOTFOUND")),
        ("1.2.3.4.5", Err("ENOTFOUND")),
        ("a b", Err("ENOTFOUND")),
        ("a/b", Err("ENOTFOUND")),
        ("", Err("ENOTFOUND")),
    ] {
        let answer = http.addresses(host).await;
        let answer = answer.map(|found| found[0].to_string());
        let answer = answer.map_err(|error| error.code());
        assert_eq!(answer, found.map(str::to_owned), "{host}");
    }
}
