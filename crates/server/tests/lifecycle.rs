//! Every provider, through every state of its users: which token opens which
//! door, and what the log and the followers of events are told.

use std::sync::Arc;

use app::users::AuthEvent;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use state::LogEntry;
use tokio::sync::broadcast::Receiver;

use crate::http::{Ask, Reply};
use crate::issuer::{Answer, Issuer, Signer};
use crate::streams::Stream;
use crate::world::{APP, Session, World, auth, of_app, session, watch};

const SECRET: &str = "My_very_confidential_secretttttt";
/// The fixtures' clock, in seconds.
const NOW: i64 = 1_700_000_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Anonymous,
    Password,
    UserKey,
    ServerKey,
    Token,
    Function,
    Google,
    Facebook,
    Apple,
}

const WAYS: [Way; 9] = [
    Way::Anonymous,
    Way::Password,
    Way::UserKey,
    Way::ServerKey,
    Way::Token,
    Way::Function,
    Way::Google,
    Way::Facebook,
    Way::Apple,
];

impl Way {
    fn provider(self) -> &'static str {
        match self {
            Self::Anonymous => "anon-user",
            Self::Password => "local-userpass",
            Self::UserKey | Self::ServerKey => "api-key",
            Self::Token => "custom-token",
            Self::Function => "custom-function",
            Self::Google => "oauth2-google",
            Self::Facebook => "oauth2-facebook",
            Self::Apple => "oauth2-apple",
        }
    }

    fn by_key(self) -> bool {
        self.provider() == "api-key"
    }
}

/// What becomes of a user who is logged in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Nothing,
    LoggedOut,
    Revoked,
    Disabled,
    EnabledAgain,
    Deleted,
    ProviderOff,
    KeyOff,
    KeyGone,
}

const ALL: [Then; 9] = [
    Then::Nothing,
    Then::LoggedOut,
    Then::Revoked,
    Then::Disabled,
    Then::EnabledAgain,
    Then::Deleted,
    Then::ProviderOff,
    Then::KeyOff,
    Then::KeyGone,
];

const OUT: &str = "401 InvalidSession";
const NO: &str = "401 AuthError";

/// What the doors answer afterwards.
#[derive(Debug, PartialEq)]
struct Doors {
    /// Profile, call and watch, with the access token.
    access: [String; 3],
    /// A refresh and the list of API keys, with the refresh token.
    refresh: [String; 2],
    /// Linking the identity that the user has.
    link: String,
    /// The same credentials again.
    login: String,
    /// Deleting the account with the access token.
    delete: String,
}

impl Doors {
    fn expected(way: Way, then: Then) -> Self {
        let access = match then {
            Then::Nothing | Then::EnabledAgain | Then::ProviderOff | Then::Revoked => "200",
            Then::LoggedOut | Then::Disabled | Then::Deleted | Then::KeyOff | Then::KeyGone => OUT,
        };
        // An access token that was given lives on when the session is revoked.
        let refresh = if then == Then::Revoked { OUT } else { access };
        let link = match (access, way, then) {
            (OUT, ..) | (_, _, Then::ProviderOff) => OUT,
            (_, Way::Anonymous, _) => "400 BadRequest",
            _ => refresh,
        };
        let login = match (then, way) {
            (Then::ProviderOff, _) => "404 AuthProviderNotFound",
            // Whoever comes without credentials is somebody new each time.
            (_, Way::Anonymous) => "another",
            (Then::Disabled, _) => "401 UserDisabled",
            (Then::KeyOff | Then::KeyGone, _) | (Then::Deleted, Way::UserKey) => NO,
            (Then::Deleted, Way::Password) => "401 InvalidPassword",
            // What proves them is kept elsewhere, and is still true.
            (Then::Deleted, _) => "another",
            _ => "the same",
        };
        let refresh = if refresh == "200" {
            ["201", "200"]
        } else {
            [OUT, OUT]
        };
        Self {
            access: [access, access, access].map(str::to_owned),
            refresh: refresh.map(str::to_owned),
            link: link.to_owned(),
            login: login.to_owned(),
            delete: if access == "200" { "204" } else { OUT }.to_owned(),
        }
    }
}

/// What is told of the transition and then at the doors: `what provider whose`,
/// and the error's code of what failed.
fn told(way: Way, then: Then, doors: &Doors) -> Vec<String> {
    let provider = way.provider();
    // Whoever has a key has the account that made it.
    let all = match way {
        Way::UserKey => "local-userpass,api-key",
        _ => provider,
    };
    let mut told = Vec::new();
    if then == Then::Deleted {
        told.push(format!("DELETE {all} mine"));
    }
    // Who is nobody tries nothing that could be told.
    if doors.access[0] == "200" {
        told.push(match doors.link.split_once(' ') {
            None => format!("LINK {provider} mine"),
            Some((_, code)) => format!("LINK {provider} mine {code}"),
        });
    }
    match doors.login.split_once(' ') {
        Some((_, "same")) => told.push(format!("LOGIN {provider} mine")),
        Some((_, code)) => told.push(format!("LOGIN {provider} nobody's {code}")),
        None => {
            told.push(format!("CREATE {provider} another's"));
            told.push(format!("LOGIN {provider} another's"));
        }
    }
    if doors.delete == "204" {
        told.push(format!("DELETE {all} mine"));
    }
    told
}

/// The fixture with all providers, and one of them off.
fn fixture(off: Option<&str>) -> String {
    let client = json!({ "clientId": "client", "openId": true });
    let shared = json!({ "clientSecret": "secret" });
    let mut all = Vec::new();
    for (kind, config, secret_config) in [
        (
            "custom-token",
            json!({ "signingAlgorithm": "HS256" }),
            json!({ "signingKeys": ["key"] }),
        ),
        (
            "custom-function",
            json!({ "authFunctionName": "who" }),
            json!({}),
        ),
        ("oauth2-google", client, shared.clone()),
        (
            "oauth2-facebook",
            json!({ "clientId": "client" }),
            shared.clone(),
        ),
        ("oauth2-apple", json!({ "clientId": "client" }), shared),
    ] {
        let provider = json!({
            "name": kind, "type": kind, "disabled": false,
            "config": config, "secret_config": secret_config,
        });
        all.push(format!("\"{kind}\": {provider}, "));
    }
    let mut text = APP.replacen(
        "\"anon-user\"",
        &format!("{}\"anon-user\"", all.concat()),
        1,
    );
    text = text.replacen(
        "[\n    {",
        "[\n    { \"name\": \"who\", \"private\": true }, {",
        1,
    );
    text.push_str("//- functions/who.js\nexports = (payload) => payload.me;\n");
    if let Some(off) = off {
        let (before, rest) = text.split_once(&format!("\"{off}\": {{")).unwrap();
        let rest = rest.replacen("\"disabled\":false", "\"disabled\": false", 1);
        let rest = rest.replacen("\"disabled\": false", "\"disabled\": true", 1);
        text = format!("{before}\"{off}\": {{{rest}");
    }
    text
}

struct Suite {
    world: World,
    issuer: Issuer,
    events: Receiver<Arc<AuthEvent>>,
    log: Receiver<Arc<LogEntry>>,
}

/// Somebody who is logged in.
struct Member {
    session: Session,
    credentials: Value,
    key_id: String,
    /// Whose the key is: nobody's when it is a server's.
    owner: Option<Session>,
}

impl Suite {
    async fn new() -> Self {
        let issuer = Issuer::start().await;
        let endpoints = ["google.keys", "facebook.graph", "apple.keys"];
        let endpoints = endpoints.map(|name| format!("{name}={}", issuer.url(&format!("/{name}"))));
        for keys in ["/google.keys", "/apple.keys"] {
            issuer.publishes(keys, &[Signer::one().jwk()]);
        }
        let world = World::reaching(&fixture(None), &endpoints).await;
        for name in ["key", "secret"] {
            world.app.create_secret(name, SECRET).await.unwrap();
        }
        let (events, log) = (world.app.auth_events(), world.core.logbook.follow());
        Self {
            world,
            issuer,
            events,
            log,
        }
    }

    /// Credentials of somebody new.
    fn credentials(&self, way: Way, who: &str) -> Value {
        let id_token = |issuer: &str| {
            let claims = json!({
                "iss": issuer, "aud": "client", "sub": who, "iat": NOW, "exp": NOW + 86_400,
            });
            json!({ "id_token": Signer::one().sign(&claims) })
        };
        match way {
            Way::Anonymous | Way::UserKey | Way::ServerKey => json!({}),
            Way::Password => json!({ "username": who, "password": "correct horse" }),
            Way::Token => {
                let claims = json!({ "aud": "fixture-abcde", "sub": who, "exp": NOW + 86_400 });
                let key = EncodingKey::from_secret(SECRET.as_bytes());
                let token = jsonwebtoken::encode(&Header::default(), &claims, &key);
                json!({ "token": token.unwrap() })
            }
            Way::Function => json!({ "me": who }),
            Way::Google => id_token("https://accounts.google.com"),
            Way::Apple => id_token("https://appleid.apple.com"),
            Way::Facebook => {
                let debug = json!({ "app_id": "client", "is_valid": true, "user_id": who });
                let answers = [
                    ("debug_token", json!({ "data": debug })),
                    ("me", json!({ "id": who })),
                ];
                for (path, answer) in answers {
                    let path = format!("/facebook.graph/{path}");
                    self.issuer.answers(&path, Answer::json(&answer));
                }
                json!({ "accessToken": "the-token" })
            }
        }
    }

    async fn login(&self, way: Way, credentials: &Value) -> Reply {
        self.world.login(way.provider(), credentials.clone()).await
    }

    async fn member(&self, way: Way, who: &str) -> Member {
        let world = &self.world;
        let mut credentials = self.credentials(way, who);
        let (mut owner, mut key_id) = (None, json!(""));
        match way {
            Way::Password => assert_eq!(world.register(who, "correct horse").await.status, 201),
            Way::UserKey => {
                let of = world.user(who).await;
                let make = auth("POST", "api_keys").body(r#"{"name":"k"}"#);
                let made = world.send(make.bearer(&of.refresh)).await.json();
                credentials = json!({ "key": made["key"] });
                key_id = made["_id"].clone();
                owner = Some(of);
            }
            Way::ServerKey => {
                let made = world.app.create_api_key("", who).await.unwrap();
                credentials = json!({ "key": made.key });
                key_id = json!(made.record.id);
            }
            _ => {}
        }
        let session = session(&self.login(way, &credentials).await);
        Member {
            session,
            credentials,
            key_id: key_id.as_str().unwrap().to_owned(),
            owner,
        }
    }

    async fn happens(&self, then: Then, way: Way, member: &Member) {
        let (world, app) = (&self.world, &self.world.app);
        let id = &member.session.user_id;
        let owner = member.owner.as_ref().map_or("", |owner| &owner.user_id);
        match then {
            Then::Nothing => {}
            Then::LoggedOut => {
                let out = auth("DELETE", "session").bearer(&member.session.refresh);
                assert_eq!(world.send(out).await.status, 204);
            }
            Then::Revoked => app.logout_user(id).await.unwrap(),
            Then::Disabled => app.set_user_disabled(id, true).await.unwrap(),
            Then::EnabledAgain => {
                for disabled in [true, false] {
                    app.set_user_disabled(id, disabled).await.unwrap();
                    let expected = if disabled { OUT } else { "200" };
                    assert_eq!(world.with_access(&member.session.access).await, expected);
                }
            }
            Then::Deleted => {
                let request = app::RequestInfo::default();
                app.delete_user(id, &request).await.unwrap();
            }
            Then::ProviderOff => world.deploy(&fixture(Some(way.provider()))).await,
            Then::KeyOff => app.set_api_key(owner, &member.key_id, true).await.unwrap(),
            Then::KeyGone => app.delete_api_key(owner, &member.key_id).await.unwrap(),
        }
    }

    /// Opens every door once, the last one for good.
    async fn doors(&self, way: Way, member: &Member) -> Doors {
        let (world, session) = (&self.world, &member.session);
        let said = |reply: &Reply| match reply.status {
            200..300 => reply.status.to_string(),
            _ => reply.refusal(),
        };
        let profile = world.send(auth("GET", "profile").bearer(&session.access));
        let profile = profile.await;
        if profile.status == 200 {
            assert_eq!(profile.json()["user_id"], json!(session.user_id));
        }
        let call = world.with_access(&session.access).await;
        let stream = watch("").bearer(&session.access);
        let watched = if call == "200" {
            Stream::open(world, stream).await;
            "200".to_owned()
        } else {
            said(&world.send(stream).await)
        };
        let refresh = world.with_refresh(&session.refresh).await;
        let keys = auth("GET", "api_keys").bearer(&session.refresh);
        let keys = said(&world.send(keys).await);
        let link = format!("auth/providers/{}/login?link=true", way.provider());
        let link = Ask::new("POST", of_app(&link)).body(member.credentials.to_string());
        let link = world.send(link.bearer(&session.access)).await;
        if link.status == 200 {
            assert_eq!(link.json()["user_id"], json!(session.user_id));
        }
        let again = self.login(way, &member.credentials).await;
        let login = match again.status {
            200 if again.json()["user_id"] == json!(session.user_id) => "the same".to_owned(),
            200 => "another".to_owned(),
            _ => again.refusal(),
        };
        let delete = auth("DELETE", "delete").bearer(&session.access);
        let delete = said(&world.send(delete).await);
        Doors {
            access: [said(&profile), call, watched],
            refresh: [refresh, keys],
            link: said(&link),
            login,
            delete,
        }
    }

    /// What the log was told since it was asked last; what the followers of events
    /// were told must be the same, of what succeeded and is an event.
    fn told(&mut self, me: &str) -> Vec<String> {
        let whose = |id: &str| match id {
            "" => "nobody's",
            id if id == me => "mine",
            _ => "another's",
        };
        let mut told = Vec::new();
        while let Ok(entry) = self.log.try_recv() {
            if entry.kind != "AUTH" {
                continue;
            }
            let event = entry.details.get_document("auth_event").unwrap();
            let text = |name: &str| event.get_str(name).unwrap();
            let code = &entry.error_code;
            assert_eq!(event.get_bool("failed").unwrap(), !code.is_empty());
            let whose = whose(&entry.user_id);
            let line = format!("{} {} {whose} {code}", text("type"), text("provider"));
            told.push(line.trim_end().to_owned());
        }
        let mut events = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let document = event.document();
            let kind = document.get_str("operationType").unwrap();
            let user = document.get_document("user").unwrap();
            let providers = event.providers.join(",");
            events.push(format!(
                "{kind} {providers} {}",
                whose(user.get_str("id").unwrap())
            ));
        }
        let mut of_log = told.clone();
        of_log.retain(|line| !line.starts_with("LINK ") && line.split(' ').count() == 3);
        assert_eq!(events, of_log);
        told
    }
}

#[tokio::test]
async fn every_provider_through_every_state_of_its_users() {
    let mut suite = Suite::new().await;
    for way in WAYS {
        for then in ALL {
            if matches!(then, Then::KeyOff | Then::KeyGone) && !way.by_key() {
                continue;
            }
            let case = format!("{way:?} {then:?}");
            suite.world.clock.advance_ms(60_000);
            let member = suite.member(way, &format!("{way:?}{then:?}")).await;
            let me = member.session.user_id.clone();
            let provider = way.provider();
            let mut begun = Vec::new();
            if way == Way::UserKey {
                begun.push("CREATE local-userpass mine".to_owned());
                begun.push("LOGIN local-userpass mine".to_owned());
            }
            begun.push(format!("CREATE {provider} mine"));
            begun.push(format!("LOGIN {provider} mine"));
            assert_eq!(suite.told(&me), begun, "{case}");
            suite.happens(then, way, &member).await;
            let doors = suite.doors(way, &member).await;
            let expected = Doors::expected(way, then);
            assert_eq!(doors, expected, "{case}");
            assert_eq!(suite.told(&me), told(way, then, &expected), "{case}");
            if let Some(owner) = &member.owner {
                // What a key's session ends with is not what its owner's does;
                // the others were deleted by now.
                let only_it = matches!(then, Then::LoggedOut | Then::KeyOff | Then::KeyGone);
                let expected = if only_it { "201" } else { OUT };
                let refresh = suite.world.with_refresh(&owner.refresh).await;
                assert_eq!(refresh, expected, "{case}");
            }
            if then == Then::ProviderOff {
                suite.world.deploy(&fixture(None)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_was_revoked_links_nothing_and_gets_no_new_token() {
    let suite = Suite::new().await;
    let world = &suite.world;
    let ann = suite.member(Way::Token, "ann").await;
    world.app.logout_user(&ann.session.user_id).await.unwrap();
    assert_eq!(world.with_access(&ann.session.access).await, "200");
    // A thief of the token would come back by an identity of his own.
    for (way, who) in [(Way::Function, "thief"), (Way::Token, "ann")] {
        let link = format!("auth/providers/{}/login?link=true", way.provider());
        let body = suite.credentials(way, who).to_string();
        let ask = Ask::new("POST", of_app(&link)).body(body);
        let refused = world.send(ask.bearer(&ann.session.access)).await;
        assert_eq!(refused.refusal(), OUT, "{who}");
    }
    let user = world.app.user(&ann.session.user_id).await.unwrap();
    assert_eq!(user.identities.len(), 1);
    // And in a session of hers that goes on, she may.
    let again = session(&suite.login(Way::Token, &ann.credentials).await);
    let link = of_app("auth/providers/custom-function/login?link=true");
    let ask = Ask::new("POST", link).body(r#"{"me":"ann"}"#);
    assert_eq!(world.send(ask.bearer(&again.access)).await.status, 200);
}

#[tokio::test]
async fn a_key_that_a_disabled_user_never_used_changes_nothing() {
    let mut suite = Suite::new().await;
    let ann = suite.world.user("ann").await;
    let made = suite
        .world
        .app
        .create_api_key(&ann.user_id, "k")
        .await
        .unwrap();
    let app = suite.world.app.clone();
    app.set_user_disabled(&ann.user_id, true).await.unwrap();
    suite.told(&ann.user_id);
    let credentials = json!({ "key": made.key });
    let refused = suite.login(Way::UserKey, &credentials).await;
    assert_eq!(refused.refusal(), "401 UserDisabled");
    let told = suite.told(&ann.user_id);
    assert_eq!(told, ["LOGIN api-key nobody's UserDisabled"]);
    assert_eq!(app.user(&ann.user_id).await.unwrap().identities.len(), 1);
    app.set_user_disabled(&ann.user_id, false).await.unwrap();
    let by_key = session(&suite.login(Way::UserKey, &credentials).await);
    assert_eq!(by_key.user_id, ann.user_id);
    let told = suite.told(&ann.user_id);
    assert_eq!(told, ["CREATE api-key mine", "LOGIN api-key mine"]);
}
