//! Logging in by way of a provider's page: what the browser is sent, what it has
//! to bring back, and all that somebody else may bring instead.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use app::{Author, StateSettings};
use bson::doc;
use kit::limit;
use web::values;

use crate::accounts::join_all;
use crate::http::{Ask, Reply};
use crate::provider::Provider;
use crate::world::{APP, Session, Storage, World, auth, in_memory, of_app};

const REDIRECT: &str = "https://app.example/back?a=1";

/// The fixture with the three providers.
fn fixture() -> String {
    let provider = |name: &str, more: &str| {
        format!(
            r#""{name}": {{
                "name": "{name}", "type": "{name}", "disabled": false,
                "config": {{ "clientId": "client" }}, "secret_config": {{ "clientSecret": "s" }},
                "redirect_uris": ["{REDIRECT}", "http://localhost:3000"]{more}
            }},"#
        )
    };
    let all = [
        provider("oauth2-google", ""),
        provider(
            "oauth2-facebook",
            r#", "metadata_fields": [{ "required": false, "name": "name" }, { "required": false, "name": "email" }]"#,
        ),
        provider("oauth2-apple", ""),
    ];
    let first = r#""anon-user": {"#;
    APP.replacen(first, &format!("{}\n    {first}", all.concat()), 1)
}

async fn on(storage: Storage) -> World {
    let world = World::storing(&fixture(), storage, |_| {}).await;
    world
        .app
        .set_secret("s", "secret of the client")
        .await
        .unwrap();
    world
}

async fn world() -> World {
    on(Storage::in_memory().await).await
}

async fn with(provider: &Provider) -> World {
    on(Storage {
        outbound: provider.outbound(),
        ..Storage::in_memory().await
    })
    .await
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02X}");
        out
    })
}

/// A browser's request for a provider's page.
fn start(provider: &str, pairs: &[(&str, &str)]) -> Ask {
    let mut all = BTreeMap::from([("state", "abcdefghijkl"), ("redirect", REDIRECT)]);
    all.extend(pairs.iter().copied());
    let pairs: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let path = format!("auth/providers/{provider}/login?{}", pairs.join("&"));
    Ask::new("GET", of_app(&path))
}

/// A login that has begun: what the browser was given.
#[derive(Clone)]
struct Begun {
    state: String,
    cookie: String,
}

fn begun(reply: &Reply) -> Begun {
    let location = reply.header("location").or(reply.header("x-baas-location"));
    Begun {
        state: parameter(location.unwrap(), "state"),
        cookie: cookie(reply),
    }
}

/// The cookie that a reply sets, as the browser sends it back.
fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap();
    set.split(';').next().unwrap().to_owned()
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    values(query, name).next().unwrap_or_default()
}

async fn begin(world: &World, provider: &str) -> Begun {
    begun(&world.send(start(provider, &[])).await)
}

impl Begun {
    /// What the browser asks for when it comes back.
    fn back(&self, more: &str) -> Ask {
        auth("GET", &format!("callback?state={}{more}", self.state)).header("Cookie", &self.cookie)
    }

    fn with_code(&self, code: &str) -> Ask {
        self.back(&format!("&code={code}"))
    }
}

/// What a reply leads to: the page, and the pairs in its fragment.
fn end(reply: &Reply) -> (String, BTreeMap<String, String>) {
    assert_eq!(reply.status, 303, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    let (page, fragment) = reply.header("location").unwrap().split_once('#').unwrap();
    let pairs = fragment.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        assert!(!value.contains('+'), "{fragment}");
        (name.to_owned(), web::decode(value))
    });
    (page.to_owned(), pairs.collect())
}

/// How a login ended: both SDKs are told the same.
fn told(reply: &Reply, name: &str) -> String {
    let (page, pairs) = end(reply);
    assert_eq!(page, REDIRECT);
    assert_eq!(pairs["_baas_client_app_id"], "fixture-abcde");
    assert_eq!(pairs["_baas_state"], "abcdefghijkl");
    for (name, value) in &pairs {
        let twin = match name.strip_prefix("_baas_") {
            Some(name) => format!("_stitch_{name}"),
            None => name.replacen("_stitch_", "_baas_", 1),
        };
        assert_eq!(pairs.get(&twin), Some(value), "{name}");
    }
    pairs
        .get(&format!("_baas_{name}"))
        .cloned()
        .unwrap_or_else(|| panic!("{pairs:?}"))
}

fn session(reply: &Reply) -> Session {
    let told = told(reply, "ua");
    let parts: Vec<&str> = told.split('$').collect();
    let [access, refresh, user_id, device_id] = parts.as_slice() else {
        panic!("{told}");
    };
    Session {
        access: (*access).to_owned(),
        refresh: (*refresh).to_owned(),
        user_id: (*user_id).to_owned(),
        device_id: (*device_id).to_owned(),
    }
}

/// Checks that a reply is a page which leads nowhere; answers with what it says.
fn nowhere(reply: &Reply) -> String {
    assert_eq!(reply.header("location"), None);
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = reply.text();
    assert!(!text.contains("_baas_"), "{text}");
    let said = text
        .split_once("<p>")
        .unwrap()
        .1
        .split_once("</p>")
        .unwrap()
        .0;
    format!("{} {said}", reply.status)
}

const NOT_ALLOWED: &str = "400 the redirect URI is not one that the authentication provider allows";
const ANOTHER: &str = "403 this login was not begun in this browser";
const FOREIGN: &str = "400 the state is not one of a login that was begun here";

async fn edit(
    world: &World,
    provider: &'static str,
    field: &'static str,
    value: serde_json::Value,
) {
    let author = Author {
        user_id: "test".to_owned(),
        origin: "API".to_owned(),
    };
    let edited = world.app.edit(&author, |config| {
        let kind = config::Kind::AuthProvider;
        let mut json = config.get(kind, provider).unwrap().json.clone();
        json[field] = value.clone();
        config.set(kind, provider, config::Node::new(json)).unwrap();
        Ok(app::Renames::new())
    });
    edited.await.unwrap();
}

#[tokio::test]
async fn the_browser_is_sent_to_the_providers_page() {
    let world = world().await;
    for (provider, page, scope) in [
        (
            "oauth2-google",
            "https://accounts.google.com/o/oauth2/v2/auth",
            "openid email profile",
        ),
        (
            "oauth2-facebook",
            "https://www.facebook.com/",
            "public_profile,email",
        ),
        (
            "oauth2-apple",
            "https://appleid.apple.com/auth/authorize",
            "name email",
        ),
    ] {
        let reply = world.send(start(provider, &[])).await;
        assert_eq!(reply.status, 302);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let to = reply.header("location").unwrap();
        assert!(to.starts_with(page), "{to}");
        for (name, value) in [
            ("client_id", "client"),
            ("response_type", "code"),
            (
                "redirect_uri",
                "http://backstitch.test/api/client/v2.0/auth/callback",
            ),
            ("scope", scope),
        ] {
            assert_eq!(parameter(to, name), value, "{provider}");
        }
        let is = |name: &str| parameter(to, name);
        let apple = provider == "oauth2-apple";
        assert_eq!(is("response_mode"), if apple { "form_post" } else { "" });
        let google = provider == "oauth2-google";
        assert_eq!(is("code_challenge").len(), if google { 43 } else { 0 });
        assert_eq!(
            is("code_challenge_method"),
            if google { "S256" } else { "" }
        );
        // What is sealed is nobody's to read, and what the browser keeps is not in it.
        let secret = cookie(&reply).split_once('=').unwrap().1.to_owned();
        for text in [
            "abcdefghijkl",
            "app.example",
            &secret,
            "secret of the client",
        ] {
            assert!(!to.contains(text), "{to}");
        }
        assert!(to.len() < 2000, "{} bytes", to.len());
    }
    // Each begins anew.
    let (one, two) = (
        begin(&world, "oauth2-google").await,
        begin(&world, "oauth2-google").await,
    );
    assert!(one.state != two.state && one.cookie != two.cookie);
}

#[tokio::test]
async fn the_cookie_is_the_browsers_and_goes_as_far_as_it_has_to() {
    let plain = world().await;
    let secure = World::storing(&fixture(), Storage::in_memory().await, |listening| {
        listening.public_url = Some("https://public.example/".to_owned());
    })
    .await;
    let strict = "Path=/; Max-Age=600; HttpOnly; SameSite=Lax";
    let crossing = "Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None";
    for (world, host, provider, name, attributes) in [
        (
            &plain,
            "backstitch.test",
            "oauth2-google",
            "backstitch-oauth",
            strict,
        ),
        (
            &plain,
            "backstitch.test",
            "oauth2-apple",
            "backstitch-oauth",
            strict,
        ),
        (
            &plain,
            "127.0.0.1:80",
            "oauth2-google",
            "backstitch-oauth",
            strict,
        ),
        (
            &plain,
            "localhost",
            "oauth2-apple",
            "backstitch-oauth-loopback",
            crossing,
        ),
        (
            &secure,
            "other.example",
            "oauth2-google",
            "__Host-backstitch-oauth",
            crossing,
        ),
    ] {
        let reply = world.send(start(provider, &[]).header("Host", host)).await;
        let set = reply.header("set-cookie").unwrap();
        let (pair, rest) = set.split_once("; ").unwrap();
        assert_eq!(rest, attributes, "{host} {provider}");
        let (known, secret) = pair.split_once('=').unwrap();
        assert_eq!((known, secret.len()), (name, 43), "{host} {provider}");
        // Where it comes back to is what the operator says, if he does.
        let uri = parameter(reply.header("location").unwrap(), "redirect_uri");
        let public = uri == "https://public.example/api/client/v2.0/auth/callback";
        assert_eq!(public, host == "other.example", "{uri}");
    }
    // Several windows of one browser are at it at once, but not without end.
    let mut jar = String::new();
    let mut all = Vec::new();
    for _ in 0..=limit::FLOWS_AT_ONCE_MAX {
        let reply = plain
            .send(start("oauth2-google", &[]).header("Cookie", &jar))
            .await;
        jar = cookie(&reply);
        all.push(begun(&reply));
    }
    for (n, begun) in all.iter().enumerate() {
        let ask = begun.back("&error=access_denied").header("Cookie", &jar);
        let reply = plain.send(ask).await;
        if n == 0 {
            assert_eq!(nowhere(&reply), ANOTHER);
            continue;
        }
        assert_eq!(told(&reply, "error"), "access_denied");
        // That one is used up, the others are not.
        let left = cookie(&reply);
        assert_eq!(left.split('.').count(), limit::FLOWS_AT_ONCE_MAX - 1);
        assert!(!left.contains(begun.cookie.rsplit(['.', '=']).next().unwrap()));
    }
}

#[tokio::test]
async fn nobody_is_led_to_where_the_app_does_not_want_him() {
    let world = world().await;
    for redirect in [
        "",
        "https://evil.example",
        "https://app.example/back",
        "https://app.example/back?a=1&b=2",
        "https://app.example/back?a=1#",
        "https://app.example/back?a=1 ",
        "HTTPS://app.example/back?a=1",
        "//app.example/back?a=1",
        "https://app.example@evil.example/back?a=1",
        "https://app.example/back?a=1\r\nSet-Cookie: a=b",
        "http://localhost:3000/",
        "http://localhost:3001",
        "javascript:alert(1)",
        "<script>alert(1)</script>",
    ] {
        let reply = world
            .send(start("oauth2-google", &[("redirect", redirect)]))
            .await;
        assert_eq!(nowhere(&reply), NOT_ALLOWED, "{redirect}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    // The first of two counts, and only that.
    let twice = format!(
        "auth/providers/oauth2-google/login?redirect=https://evil.example&redirect={}",
        encoded(REDIRECT)
    );
    let reply = world.send(Ask::new("GET", of_app(&twice))).await;
    assert_eq!(nowhere(&reply), NOT_ALLOWED);
    // A page that is fetched is told as SDKs are.
    let reply = world
        .send(start(
            "oauth2-google",
            &[
                ("redirect", "https://evil.example"),
                ("providerRedirectHeader", "true"),
            ],
        ))
        .await;
    assert_eq!(reply.refusal(), "400 BadRequest");
    // What was allowed when it began may not be when it comes back.
    let begun = begin(&world, "oauth2-facebook").await;
    edit(
        &world,
        "oauth2-facebook",
        "redirect_uris",
        serde_json::json!(["https://new.example"]),
    )
    .await;
    let reply = world.send(begun.back("&error=access_denied")).await;
    assert_eq!(nowhere(&reply), NOT_ALLOWED);
}

#[tokio::test]
async fn there_are_pages_of_providers_that_are_on_and_have_one() {
    let world = world().await;
    let reply = world.send(start("oauth2-twitter", &[])).await;
    let unknown = "404 authentication provider not found: 'oauth2-twitter'";
    assert_eq!(nowhere(&reply), unknown);
    let reply = world.send(start("oauth2-%3Cb%3E&lt;b&gt;", &[])).await;
    assert_eq!(
        nowhere(&reply),
        "404 authentication provider not found: 'oauth2-%3Cb%3E&amp;lt;b&amp;gt;'"
    );
    for provider in ["anon-user", "local-userpass", "none"] {
        let reply = world.send(start(provider, &[])).await;
        assert_eq!(reply.refusal(), "404 -", "{provider}");
    }
    let begun = begin(&world, "oauth2-google").await;
    edit(&world, "oauth2-google", "disabled", true.into()).await;
    let off = "authentication provider not found: 'oauth2-google'";
    let reply = world.send(start("oauth2-google", &[])).await;
    assert_eq!(nowhere(&reply), format!("404 {off}"));
    // Who is on his way learns it where he began.
    let reply = world.send(begun.with_code("any")).await;
    assert_eq!(told(&reply, "error"), off);
    let unknown = Ask::new(
        "GET",
        "/api/client/v2.0/app/none/auth/providers/oauth2-google/login",
    );
    assert_eq!(world.send(unknown).await.refusal(), "404 AppNotFound");
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let world = world().await;
    for (name, most) in [
        ("state", limit::FLOW_STATE_BYTES_MAX),
        ("device", limit::FLOW_DEVICE_BYTES_MAX),
        ("redirect", limit::FLOW_REDIRECT_BYTES_MAX),
    ] {
        let (fits, long) = ("a".repeat(most), "a".repeat(most + 1));
        let reply = world.send(start("oauth2-google", &[(name, &long)])).await;
        assert_eq!(
            nowhere(&reply),
            format!("400 '{name}' is longer than {most} bytes")
        );
        let reply = world.send(start("oauth2-google", &[(name, &fits)])).await;
        assert_eq!(
            reply.status,
            if name == "redirect" { 400 } else { 302 },
            "{name}"
        );
    }
    // The longest that is allowed comes back.
    let (state, device) = ("é".repeat(128), "a".repeat(limit::FLOW_DEVICE_BYTES_MAX));
    let reply = world
        .send(start(
            "oauth2-google",
            &[("state", &state), ("device", &device)],
        ))
        .await;
    let longest = begun(&reply);
    let (_, pairs) = end(&world.send(longest.back("&error=e")).await);
    assert_eq!(pairs["_stitch_state"], state);
    let begun = begin(&world, "oauth2-apple").await;
    let most = limit::FLOW_RETURNED_BYTES_MAX;
    let long = "a".repeat(most + 1);
    for name in ["code", "error", "error_description", "user"] {
        let reply = world.send(begun.back(&format!("&{name}={long}"))).await;
        assert_eq!(
            nowhere(&reply),
            format!("400 '{name}' is longer than {most} bytes")
        );
    }
    let form = format!("state={}&error=e&x={}", begun.state, "a".repeat(4 * most));
    let ask = auth("POST", "callback")
        .header("Cookie", &begun.cookie)
        .body(form);
    assert!(nowhere(&world.send(ask).await).starts_with("413 "));
    // A refusal is passed on in part.
    let words = format!("&error=no&error_description={}%0D%0A%00", "w".repeat(5000));
    let reply = world.send(begun.back(&words)).await;
    assert_eq!(told(&reply, "error"), format!("no: {}", "w".repeat(256)));
}

#[tokio::test]
async fn a_login_comes_back_in_its_own_browser_and_in_time() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    // A link that somebody else made: he began it, and he logged in at the
    // provider.
    let his = begin(&world, "oauth2-facebook").await;
    let hers = begin(&world, "oauth2-facebook").await;
    for jar in [
        "",
        "a=b",
        &hers.cookie,
        "backstitch-oauth=",
        &his.cookie.replace("oauth=", "oauth-x="),
    ] {
        let ask = his.with_code("code-of-mallory").header("Cookie", jar);
        assert_eq!(nowhere(&world.send(ask).await), ANOTHER, "{jar}");
    }
    let bare = auth(
        "GET",
        &format!("callback?state={}&code=code-of-mallory", his.state),
    );
    assert_eq!(nowhere(&world.send(bare).await), ANOTHER);
    assert_eq!(provider.redeemed().len(), 0);
    // States that nobody made.
    let mut flipped = his.state.clone().into_bytes();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for state in [
        "",
        "x",
        &his.state[1..],
        &flipped,
        &format!("{}AAAA", his.state),
        &"A".repeat(9000),
    ] {
        let ask = Begun {
            state: (*state).to_owned(),
            cookie: his.cookie.clone(),
        };
        let reply = world.send(ask.with_code("code-of-mallory")).await;
        assert!(nowhere(&reply).starts_with("400 "), "{state}");
    }
    assert_eq!(nowhere(&world.send(auth("GET", "callback")).await), FOREIGN);
    // In a frame, or for a script, it is nobody's login.
    for dest in ["iframe", "empty", "image", "embed"] {
        let ask = hers.with_code("code-of-ann").header("Sec-Fetch-Dest", dest);
        let said = nowhere(&world.send(ask).await);
        assert_eq!(said, "403 a login comes back in a window of its own");
    }
    assert_eq!(provider.redeemed().len(), 0);
    let ask = hers
        .with_code("code-of-ann")
        .header("Sec-Fetch-Dest", "document");
    let ann = session(&world.send(ask).await);
    assert_eq!(world.with_access(&ann.access).await, "200");
    world.clock.advance_ms(limit::FLOW_S * 1000 - 1);
    let reply = world.send(his.back("&error=e")).await;
    assert_eq!(told(&reply, "error"), "e");
    world.clock.advance_ms(1);
    let late = world.send(his.with_code("code-of-ann")).await;
    assert_eq!(nowhere(&late), "400 this login took too long: begin again");
}

#[tokio::test]
async fn a_login_gives_one_session_and_no_second() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let device =
        "eyJwbGF0Zm9ybSI6ImNocm9tZSIsInBsYXRmb3JtVmVyc2lvbiI6IjEiLCJzZGtWZXJzaW9uIjoiMi4wLjEifQ==";
    let begun = begun(
        &world
            .send(start("oauth2-facebook", &[("device", device)]))
            .await,
    );
    // A code that is none is no login, and spoils nothing.
    let reply = world.send(begun.with_code("none")).await;
    assert_eq!(told(&reply, "error"), "unauthorized");
    let ada = session(&world.send(begun.with_code("code-of-ada")).await);
    assert_eq!(world.with_access(&ada.access).await, "200");
    assert_eq!(world.with_refresh(&ada.refresh).await, "201");
    // The provider was asked as it was before.
    let asked = provider.redeemed();
    let asked = asked.last().unwrap();
    for (name, value) in [
        ("code", "code-of-ada"),
        ("client_id", "client"),
        ("client_secret", "secret of the client"),
        (
            "redirect_uri",
            "http://backstitch.test/api/client/v2.0/auth/callback",
        ),
    ] {
        assert_eq!(values(asked, name).next().as_deref(), Some(value));
    }
    let devices = world.app.devices(&ada.user_id).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].device_id, ada.device_id);
    assert_eq!(devices[0].about.get_str("platform").unwrap(), "chrome");
    // The provider would give another token; here the login is over.
    for more in ["&code=code-of-ada", "&code=code-of-eve", "&error=e", ""] {
        let reply = world.send(begun.back(more)).await;
        assert_eq!(
            nowhere(&reply),
            "400 this login was completed already",
            "{more}"
        );
    }
    // Not even at once.
    let begun = begin(&world, "oauth2-facebook").await;
    let all = join_all((0..20).map(|_| world.send(begun.with_code("code-of-bob")))).await;
    let good = all.iter().filter(|reply| {
        reply
            .header("location")
            .is_some_and(|to| to.contains("_baas_ua="))
    });
    assert_eq!(good.count(), 1);
    let sessions = &world.core.state.sessions;
    assert_eq!(
        sessions
            .count(doc! { "provider_type": "oauth2-facebook" })
            .await
            .unwrap(),
        2
    );
}

#[tokio::test]
async fn a_flood_of_logins_leaves_nothing_behind() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let mut last = None;
    for _ in 0..50 {
        let begun = begin(&world, "oauth2-facebook").await;
        world.send(begun.back("&error=e")).await;
        last = Some(begun);
    }
    let spent = &world.core.state.spent_flows;
    assert_eq!(spent.count(doc! {}).await.unwrap(), 0);
    // Codes that somebody makes up are asked for so often, and no more.
    let begun = last.unwrap();
    for _ in 0..limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        let reply = world.send(begun.with_code("none")).await;
        assert_eq!(told(&reply, "error"), "unauthorized");
    }
    let reply = world.send(begun.with_code("code-of-ada")).await;
    assert_eq!(
        told(&reply, "error"),
        "too many failed logins, try again later"
    );
    assert_eq!(
        provider.redeemed().len(),
        limit::LOGIN_FAILURES_PER_MINUTE_MAX as usize
    );
    assert_eq!(spent.count(doc! {}).await.unwrap(), 0);
    world.clock.advance_ms(60_000);
    session(&world.send(begun.with_code("code-of-ada")).await);
    assert_eq!(spent.count(doc! {}).await.unwrap(), 1);
}

#[tokio::test]
async fn what_happens_meanwhile_counts() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let begun = begin(&world, "oauth2-facebook").await;
    let ada = session(&world.send(begun.with_code("code-of-ada")).await);
    let [denied, gone, erased] = [
        begin(&world, "oauth2-facebook").await,
        begin(&world, "oauth2-facebook").await,
        begin(&world, "oauth2-facebook").await,
    ];
    world
        .app
        .set_user_disabled(&ada.user_id, true)
        .await
        .unwrap();
    let reply = world.send(denied.with_code("code-of-ada")).await;
    assert_eq!(told(&reply, "error"), "user disabled");
    // An app that is gone leads nowhere; another app's login is not this one's.
    world.send(gone.back("&error=e")).await;
    world.core.delete_app(&world.app).await.unwrap();
    let reply = world.send(erased.with_code("code-of-ada")).await;
    assert!(nowhere(&reply).starts_with("404 "), "{}", reply.text());
}

#[tokio::test]
async fn a_login_may_come_back_at_another_server() {
    let provider = Provider::start().await;
    let (engine, other) = (in_memory(), in_memory());
    let storage = |engine: &engine::SharedEngine| Storage {
        engine: engine.clone(),
        clusters: std::collections::HashMap::new(),
        state: Some(StateSettings {
            engine: engine.clone(),
            database: "records".to_owned(),
            shared: true,
        }),
        mail: app::mail::MailSettings::default(),
        outbound: provider.outbound(),
    };
    let one = on(storage(&engine)).await;
    let two = World::beside(storage(&engine)).await;
    let begun = begin(&one, "oauth2-facebook").await;
    let ada = session(&two.send(begun.with_code("code-of-ada")).await);
    assert_eq!(one.with_access(&ada.access).await, "200");
    for world in [&one, &two] {
        let reply = world.send(begun.with_code("code-of-ada")).await;
        assert_eq!(nowhere(&reply), "400 this login was completed already");
    }
    // One that shares nothing but the key has no such app.
    let stranger = on(storage(&other)).await;
    let reply = stranger.send(begun.with_code("code-of-ada")).await;
    assert!(nowhere(&reply).starts_with("404 "), "{}", reply.text());
}

#[tokio::test]
async fn who_denies_is_told_apart_and_logged() {
    let world = world().await;
    let begun = begin(&world, "oauth2-google").await;
    let words = "&error=access_denied&error_description=%3Cb%3Ethe+user+said+no%3C%2Fb%3E";
    let reply = world.send(begun.back(words)).await;
    assert_eq!(
        told(&reply, "error"),
        "access_denied: <b>the user said no</b>"
    );
    // A form says the same.
    let again = begin(&world, "oauth2-apple").await;
    let form = format!("state={}&error=user_cancelled_authorize", again.state);
    let ask = auth("POST", "callback")
        .header("Cookie", &again.cookie)
        .header("Origin", "https://appleid.apple.com")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(
        told(&world.send(ask).await, "error"),
        "user_cancelled_authorize"
    );
    // Neither code nor error is an error.
    let neither = begin(&world, "oauth2-google").await;
    let reply = world.send(neither.back("")).await;
    assert_eq!(told(&reply, "error"), "the provider sent no code");
    for (method, path) in [
        ("PUT", "callback"),
        ("DELETE", "callback"),
        ("GET", "callback/x"),
    ] {
        assert_eq!(
            world.send(auth(method, path)).await.status,
            404,
            "{method} {path}"
        );
    }
    let query = app::LogQuery {
        limit: 100,
        ..app::LogQuery::default()
    };
    let entries = world.logged(&query).await;
    let failed = entries.iter().filter(|entry| entry.kind == "AUTH").count();
    assert_eq!(failed, 3);
    let all = format!("{entries:?}");
    assert!(
        !all.contains(&begun.state) && !all.contains(&begun.cookie),
        "{all}"
    );
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_begin() {
    let listed = fixture().replacen(
        r#""name": "fixture" }"#,
        r#""name": "fixture", "allowed_request_origins": ["https://app.example"] }"#,
        1,
    );
    let world = World::of(&listed, |_| {}).await;
    let user = world.anonymous().await;
    let link = || {
        start(
            "oauth2-google",
            &[("link", "true"), ("providerRedirectHeader", "true")],
        )
        .bearer(&user.access)
    };
    let reply = world
        .send(link().header("Origin", "https://evil.example"))
        .await;
    assert_eq!(reply.refusal(), "403 DomainNotAllowed");
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("x-baas-location"), None);
    let reply = world
        .send(link().header("Origin", "https://app.example"))
        .await;
    assert_eq!(reply.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in ["X-Baas-Location", "X-Stitch-Location"] {
        assert!(exposed.contains(name));
        assert!(
            reply
                .header(name)
                .unwrap()
                .starts_with("https://accounts.google.com/")
        );
    }
    assert_eq!(reply.header("content-type"), None);
    assert!(reply.body.is_empty());
    // Who links says who he is.
    let nobody = start(
        "oauth2-google",
        &[("link", "true"), ("providerRedirectHeader", "true")],
    );
    assert_eq!(world.send(nobody).await.refusal(), "401 MissingAuthReq");
    let forged = start("oauth2-google", &[("link", "true")]).bearer(&user.refresh);
    assert_eq!(world.send(forged).await.status, 401);
}

/// A page's request to add an identity to its user.
fn link(user: &Session) -> Ask {
    let pairs = [("link", "true"), ("providerRedirectHeader", "true")];
    start("oauth2-facebook", &pairs).bearer(&user.access)
}

async fn identities(world: &World, user: &Session) -> Vec<String> {
    let profile = world
        .send(auth("GET", "profile").bearer(&user.access))
        .await;
    let profile = profile.json();
    let all = profile["identities"].as_array().unwrap().iter();
    all.map(|one| one["provider_type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_user_links_and_stays_who_he_is() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let user = world.anonymous().await;
    let begun = begun(&world.send(link(&user)).await);
    let reply = world.send(begun.with_code("code-of-ada")).await;
    assert_eq!(told(&reply, "link"), "ok");
    let linked = session(&reply);
    assert_eq!(linked.user_id, user.user_id);
    assert_eq!(linked.device_id, user.device_id);
    assert_eq!(world.with_access(&linked.access).await, "200");
    assert_eq!(world.with_refresh(&linked.refresh).await, "201");
    let both = ["anon-user", "oauth2-facebook"];
    assert_eq!(identities(&world, &user).await, both);
    // It is the session that there was, which ends as a whole.
    let sessions = &world.core.state.sessions;
    assert_eq!(sessions.count(doc! {}).await.unwrap(), 1);
    let reply = world.send(begun.with_code("code-of-ada")).await;
    assert_eq!(nowhere(&reply), "400 this login was completed already");
    // Later it is one way to log in.
    let later = begin(&world, "oauth2-facebook").await;
    let later = session(&world.send(later.with_code("code-of-ada")).await);
    assert_eq!(later.user_id, user.user_id);
    // What is somebody else's stays there.
    let other = world.anonymous().await;
    let taken = self::begun(&world.send(link(&other)).await);
    let reply = world.send(taken.with_code("code-of-ada")).await;
    assert_eq!(told(&reply, "error"), "unauthorized");
    assert_eq!(identities(&world, &other).await, ["anon-user"]);
}

/// Mallory begins to link, and has Ann go on: what she proves to the provider
/// would be his to log in with.
#[tokio::test]
async fn nobody_links_what_another_browser_proves() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let mallory = world.anonymous().await;
    let his = begun(&world.send(link(&mallory)).await);
    let hers = begin(&world, "oauth2-facebook").await;
    for jar in ["", hers.cookie.as_str()] {
        let ask = his.with_code("code-of-ann").header("Cookie", jar);
        assert_eq!(nowhere(&world.send(ask).await), ANOTHER);
    }
    assert!(provider.redeemed().is_empty());
    assert_eq!(identities(&world, &mallory).await, ["anon-user"]);
}

#[tokio::test]
async fn who_is_out_meanwhile_links_nothing() {
    let provider = Provider::start().await;
    let world = with(&provider).await;
    let [out, revoked, disabled, gone] = [
        world.anonymous().await,
        world.anonymous().await,
        world.anonymous().await,
        world.anonymous().await,
    ];
    let mut begun = Vec::new();
    for user in [&out, &revoked, &disabled, &gone] {
        begun.push(self::begun(&world.send(link(user)).await));
    }
    let logout = auth("DELETE", "session").bearer(&out.refresh);
    assert_eq!(world.send(logout).await.status, 204);
    world.app.logout_user(&revoked.user_id).await.unwrap();
    let app = &world.app;
    app.set_user_disabled(&disabled.user_id, true)
        .await
        .unwrap();
    let delete = auth("DELETE", "delete").bearer(&gone.access);
    assert_eq!(world.send(delete).await.status, 204);
    for begun in begun {
        let reply = world.send(begun.with_code("code-of-ada")).await;
        assert_eq!(told(&reply, "error"), "invalid session");
    }
    assert!(provider.redeemed().is_empty());
    // Another app's user is nobody here.
    let second = world.second_app().await;
    let path = "/api/client/v2.0/app/second-abcde/auth/providers/anon-user/login";
    let stranger = world.send(Ask::new("POST", path)).await;
    let stranger = crate::world::session(&stranger);
    assert_eq!(second.client_app_id, "second-abcde");
    let reply = world.send(link(&stranger)).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(reply.header("set-cookie"), None);
}
