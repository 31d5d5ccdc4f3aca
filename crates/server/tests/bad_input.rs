//! Bodies that are wrong in every way, and what they are answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::limit;
use serde_json::json;

use crate::http::{Ask, parse, raw};
use crate::world::{World, auth, call, login, of_app};

/// Bodies that are no Extended JSON object.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str, n: usize| {
        format!(
            r#"{{"name":"echo","arguments":[{}1{}]}}"#,
            open.repeat(n),
            close.repeat(n)
        )
    };
    vec![
        ("no JSON", b"hello".to_vec()),
        ("cut off", br#"{"name":"echo""#.to_vec()),
        ("more after it", br#"{"name":"echo"} x"#.to_vec()),
        ("two objects", br#"{"name":"echo"}{"name":"echo"}"#.to_vec()),
        ("a list", b"[]".to_vec()),
        ("a text", br#""echo""#.to_vec()),
        ("a number", b"7".to_vec()),
        ("single quotes", b"{'name':'echo'}".to_vec()),
        ("a comma too many", br#"{"name":"echo",}"#.to_vec()),
        ("a comment", br#"{"name":"echo"/**/}"#.to_vec()),
        ("NaN", br#"{"name":"echo","arguments":[NaN]}"#.to_vec()),
        (
            "a number that is none",
            br#"{"name":"echo","arguments":[01]}"#.to_vec(),
        ),
        ("invalid UTF-8", b"{\"name\":\"\xff\xfe\"}".to_vec()),
        ("half a surrogate", br#"{"name":"\ud800"}"#.to_vec()),
        (
            "UTF-16",
            "{\"name\":1}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"name\":\"echo\"}".to_vec(),
        ),
        ("null bytes", vec![0; 64]),
        ("a null byte in a name", br#"{"a\u0000b":1}"#.to_vec()),
        (
            "an id that is none",
            br#"{"name":"echo","arguments":[{"$oid":"zz"}]}"#.to_vec(),
        ),
        (
            "an id that is a number",
            br#"{"name":"echo","arguments":[{"$oid":7}]}"#.to_vec(),
        ),
        (
            "half an integer",
            br#"{"name":"echo","arguments":[{"$numberInt":1.5}]}"#.to_vec(),
        ),
        (
            "an integer too large",
            br#"{"name":"echo","arguments":[{"$numberInt":"2147483648"}]}"#.to_vec(),
        ),
        (
            "a long that is none",
            br#"{"name":"echo","arguments":[{"$numberLong":"x"}]}"#.to_vec(),
        ),
        (
            "a decimal that is none",
            br#"{"name":"echo","arguments":[{"$numberDecimal":"x"}]}"#.to_vec(),
        ),
        (
            "a date that is none",
            br#"{"name":"echo","arguments":[{"$date":"yesterday"}]}"#.to_vec(),
        ),
        (
            "a binary that is none",
            br#"{"name":"echo","arguments":[{"$binary":{"base64":"?","subType":"00"}}]}"#.to_vec(),
        ),
        (
            "a UUID that is none",
            br#"{"name":"echo","arguments":[{"$uuid":"x"}]}"#.to_vec(),
        ),
        (
            "a time stamp that is none",
            br#"{"name":"echo","arguments":[{"$timestamp":{"t":-1,"i":0}}]}"#.to_vec(),
        ),
        (
            "a regular expression that is none",
            br#"{"name":"echo","arguments":[{"$regularExpression":{"pattern":1}}]}"#.to_vec(),
        ),
        (
            "multipart",
            b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n".to_vec(),
        ),
        ("a form", b"name=echo&arguments=1".to_vec()),
        ("XML", b"<call name=\"echo\"/>".to_vec()),
        ("lists too deep", deep("[", "]", 200).into_bytes()),
        ("objects too deep", deep(r#"{"a":"#, "}", 200).into_bytes()),
        ("lists far too deep", deep("[", "]", 100_000).into_bytes()),
        ("opened only", "[".repeat(1_000_000).into_bytes()),
    ]
}

#[tokio::test]
async fn what_is_no_object_is_a_bad_request_at_every_door() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    for (what, body) in malformed() {
        let doors = [
            call(&user.access, body.clone()),
            login("anon-user", "").body(body.clone()),
            login("local-userpass", "").body(body.clone()),
            login("api-key", "").body(body.clone()),
            Ask::new("POST", of_app("auth/providers/local-userpass/register")).body(body.clone()),
            auth("POST", "api_keys")
                .bearer(&user.refresh)
                .body(body.clone()),
        ];
        for door in doors {
            let reply = world.send(door).await;
            assert_eq!(reply.refusal(), "400 BadRequest", "{what}");
        }
    }
    assert_eq!(world.with_access(&user.access).await, "200");
}

#[tokio::test]
async fn a_watch_request_that_is_none_is_a_bad_request() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let open = |request: String| {
        let ask = Ask::new(
            "GET",
            of_app(&format!("functions/call?baas_request={request}")),
        );
        world.send(ask.bearer(&user.access))
    };
    for (what, body) in malformed() {
        if body.len() > 10_000 {
            continue;
        }
        let request = STANDARD.encode(&body).replace('+', "%2B");
        assert_eq!(open(request).await.refusal(), "400 BadRequest", "{what}");
    }
    assert_eq!(open("%%%".to_owned()).await.refusal(), "400 BadRequest");
    assert_eq!(open("****".to_owned()).await.refusal(), "400 BadRequest");
    let none = Ask::new("GET", of_app("functions/call")).bearer(&user.access);
    assert_eq!(world.send(none).await.refusal(), "400 MissingParameter");
    for (request, refusal) in [
        (json!({ "name": "watch" }), "400 MissingParameter"),
        (
            json!({ "name": "watch", "service": 7 }),
            "400 InvalidParameter",
        ),
        (
            json!({ "service": "mongodb-atlas" }),
            "400 MissingParameter",
        ),
        (
            json!({ "name": "find", "service": "mongodb-atlas" }),
            "400 InvalidParameter",
        ),
        (
            json!({ "name": "watch", "service": "none" }),
            "400 FunctionExecutionError",
        ),
        (
            json!({ "name": "watch", "service": "mongodb-atlas", "arguments": [7] }),
            "400 InvalidParameter",
        ),
    ] {
        let reply = open(STANDARD.encode(request.to_string()).replace('+', "%2B")).await;
        assert_eq!(reply.refusal(), refusal, "{request}");
    }
}

#[tokio::test]
async fn fields_of_the_wrong_type_and_unknown_names_are_told() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let notes = |more: serde_json::Value| {
        let mut argument = json!({ "database": "shop", "collection": "notes" });
        argument
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "name": "find", "service": "mongodb-atlas", "arguments": [argument] })
    };
    for (body, refusal) in [
        (json!({}), "400 MissingParameter"),
        (json!({ "name": null }), "400 MissingParameter"),
        (json!({ "name": 7 }), "400 InvalidParameter"),
        (json!({ "name": { "$ne": "" } }), "400 InvalidParameter"),
        (
            json!({ "name": "echo", "arguments": {} }),
            "400 InvalidParameter",
        ),
        (
            json!({ "name": "echo", "arguments": "x" }),
            "400 InvalidParameter",
        ),
        (
            json!({ "name": "echo", "service": 7 }),
            "400 InvalidParameter",
        ),
        (
            json!({ "name": "echo", "service": {} }),
            "400 InvalidParameter",
        ),
        (json!({ "name": "nothing" }), "404 FunctionNotFound"),
        (json!({ "name": "" }), "404 FunctionNotFound"),
        (json!({ "name": "__proto__" }), "404 FunctionNotFound"),
        (json!({ "name": "constructor" }), "404 FunctionNotFound"),
        (json!({ "name": "../hidden" }), "404 FunctionNotFound"),
        (json!({ "name": "hidden" }), "403 NotCallable"),
        (
            json!({ "name": "find", "service": "none" }),
            "400 FunctionExecutionError",
        ),
        (
            json!({ "name": "find", "service": "mongodb-atlas", "arguments": [7] }),
            "400 InvalidParameter",
        ),
        (notes(json!({ "query": 7 })), "400 InvalidParameter"),
        (notes(json!({ "limit": "x" })), "400 InvalidParameter"),
        (notes(json!({ "database": 7 })), "400 InvalidParameter"),
        (
            notes(json!({ "collection": "nothing" })),
            "403 NoMatchingRuleFound",
        ),
        (
            notes(json!({ "database": "backstitch", "collection": "users" })),
            "403 NoMatchingRuleFound",
        ),
        (notes(json!({ "query": { "$who": 1 } })), "400 MongoDBError"),
    ] {
        let reply = world.call(&user.access, body.to_string()).await;
        assert_eq!(reply.refusal(), refusal, "{body}: {}", reply.text());
    }
}

#[tokio::test]
async fn of_two_fields_with_one_name_the_last_counts_everywhere() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let body = r#"{"name":"hidden","name":"echo","arguments":[{"a":1,"b":2,"a":3}]}"#;
    let reply = world.call(&user.access, body).await;
    assert_eq!(
        reply.json(),
        json!([{ "a": { "$numberInt": "3" }, "b": { "$numberInt": "2" } }])
    );
    let body = r#"{"name":"echo","name":"hidden"}"#;
    assert_eq!(
        world.call(&user.access, body).await.refusal(),
        "403 NotCallable"
    );
}

#[tokio::test]
async fn a_content_type_does_not_matter() {
    let world = World::new().await;
    let user = world.anonymous().await;
    for kind in [
        "application/json",
        "application/json;charset=utf-8",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let ask =
            call(&user.access, r#"{"name":"echo","arguments":[1]}"#).header("Content-Type", kind);
        assert_eq!(world.send(ask).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_are_404() {
    let world = World::new().await;
    let user = world.user("a@b").await;
    let unknown_app = Ask::new(
        "POST",
        "/api/client/v2.0/app/no-such/auth/providers/anon-user/login",
    );
    let reply = world.send(unknown_app).await;
    assert_eq!(reply.refusal(), "404 AppNotFound");
    assert_eq!(
        reply.error(),
        "cannot find app using Client App ID 'no-such'"
    );
    for (method, path) in [
        ("GET", "/api/client/v2.0/".to_owned()),
        ("GET", "/api/client/v2.0/nothing".to_owned()),
        ("GET", "/api/client/v2.0/app".to_owned()),
        ("GET", "/api/client/v2.0/app/fixture-abcde".to_owned()),
        ("GET", of_app("nothing")),
        ("GET", of_app("location/")),
        ("GET", of_app("LOCATION")),
        ("GET", of_app("/location")),
        ("POST", of_app("location")),
        ("PUT", of_app("functions/call")),
        ("DELETE", of_app("functions/call")),
        ("PATCH", of_app("functions/call")),
        ("GET", of_app("auth/providers/anon-user/login")),
        ("POST", of_app("auth/providers/local-userpass/nothing")),
        ("GET", "/api/client/v2.0/auth/nothing".to_owned()),
        ("GET", "/api/client/v2.0/auth/session".to_owned()),
        ("POST", "/api/client/v2.0/auth/profile".to_owned()),
        ("PUT", "/api/client/v2.0/auth/api_keys".to_owned()),
        ("PUT", "/api/client/v2.0/auth/api_keys/x/rename".to_owned()),
        ("GET", "/api/client/v2.0/../v2.0/auth/profile".to_owned()),
    ] {
        let ask = Ask::new(method, path.clone()).bearer(&user.refresh);
        assert_eq!(world.send(ask).await.refusal(), "404 -", "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/nothing"),
        ("POST", "/"),
        ("GET", "/api/admin"),
        ("GET", "//"),
    ] {
        assert_eq!(
            world.send(Ask::new(method, path)).await.status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_body_past_the_limit_is_413_with_the_services_code() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let most = limit::BODY_BYTES_MAX;
    let fitting = |bytes: usize| {
        let around = r#"{"name":"echo","arguments":[""]}"#.len();
        format!(
            r#"{{"name":"hidden","arguments":["{}"]}}"#,
            "x".repeat(bytes - around - 2)
        )
    };
    let largest = fitting(most);
    assert_eq!(largest.len(), most);
    let reply = world.call(&user.access, largest).await;
    assert_eq!(reply.refusal(), "403 NotCallable");

    // Told by its length: nothing is read.
    let head = |length: &str| {
        let path = of_app("functions/call");
        format!("POST {path} HTTP/1.1\r\nHost: backstitch.test\r\n{length}\r\n\r\n")
    };
    for length in [most + 1, usize::MAX / 4] {
        let bytes = head(&format!("Content-Length: {length}"));
        let (reply, _) = parse(&raw(world.address, bytes.as_bytes()).await);
        assert_eq!(reply.refusal(), "413 ReadSizeLimitExceeded");
    }
    // In chunks: as soon as it is too much.
    let mut bytes = head("Transfer-Encoding: chunked").into_bytes();
    bytes.extend_from_slice(format!("{:x}\r\n", most + 1).as_bytes());
    bytes.extend(std::iter::repeat_n(b'x', most + 1));
    let (reply, _) = parse(&raw(world.address, &bytes).await);
    assert_eq!(reply.refusal(), "413 ReadSizeLimitExceeded");

    // Where nobody is known yet, less is taken.
    let large = format!(
        r#"{{"username":"{}"}}"#,
        "x".repeat(limit::AUTH_BODY_BYTES_MAX)
    );
    let reply = world.send(login("local-userpass", &large)).await;
    assert_eq!(reply.refusal(), "413 ReadSizeLimitExceeded");
    assert_eq!(world.with_access(&user.access).await, "200");
}

#[tokio::test]
async fn a_length_that_lies_is_no_body() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let path = of_app("functions/call");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: backstitch.test\r\nAuthorization: Bearer {}\r\n",
        user.access
    );
    // More than there is: the connection ends in the middle of the body.
    let bytes = format!("{head}Content-Length: 100\r\n\r\n{{}}");
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, bytes.as_bytes())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut stream)
        .await
        .unwrap();
    let all = crate::http::read_all(&mut stream).await;
    assert!(all.is_empty() || parse(&all).0.status == 400);
    // Less than there is: the rest is another request, and none.
    let body = r#"{"name":"echo","arguments":[1]}"#;
    let bytes = format!(
        "{head}Content-Length: {}\r\n\r\n{body}xyz\r\n\r\n",
        body.len()
    );
    let (first, rest) = parse(&raw(world.address, bytes.as_bytes()).await);
    assert_eq!(first.status, 200);
    assert_eq!(parse(&rest).0.status, 400);
    // Two lengths, a length with chunks, and lengths that are no numbers: the
    // ways to smuggle a request past a proxy.
    for lengths in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: -1",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Content-Length: 2, 3",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
    ] {
        let bytes = format!("{head}{lengths}\r\n\r\n{{}}");
        let (reply, rest) = parse(&raw(world.address, bytes.as_bytes()).await);
        assert_eq!((reply.status, rest.len()), (400, 0), "{lengths}");
    }
    // Chunks that are none.
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n\r\n",
    ] {
        let bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        let (reply, _) = parse(&raw(world.address, bytes.as_bytes()).await);
        assert_eq!(reply.status, 400, "{chunks}");
    }
}

#[tokio::test]
async fn more_values_than_memory_should_hold_are_413() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let zeros = "0,".repeat(8_000_000);
    let body = format!(r#"{{"name":"hidden","arguments":[{zeros}0]}}"#);
    assert!(body.len() < limit::BODY_BYTES_MAX);
    let reply = world.call(&user.access, body).await;
    assert_eq!(reply.refusal(), "413 ReadSizeLimitExceeded");
}
