//! Email/password accounts whose addresses mails confirm and whose passwords mails
//! and functions reset: every answer, and what is tried with tokens.

use std::sync::Arc;

use app::mail::{MailSettings, Outlet, ShownMail};
use app::users::TokenFor;
use kit::limit;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::accounts::join_all;
use crate::http::{Ask, Reply, raw};
use crate::world::{APP, World, of_app, session};

const AUTOMATIC: &str =
    r#"{ "autoConfirm": true, "resetPasswordUrl": "https://example.com/reset" }"#;

/// The fixture with other settings of email/password accounts.
pub(crate) fn with_config(config: &str) -> String {
    assert!(APP.contains(AUTOMATIC));
    APP.replace(AUTOMATIC, config)
}

/// A server that shows mails.
struct Mailing {
    world: World,
    mails: Receiver<Arc<ShownMail>>,
}

/// Both parts of a token.
#[derive(Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) token: String,
    pub(crate) id: String,
}

impl Token {
    pub(crate) fn of_link(link: &str) -> Self {
        let value = |name: &str| {
            let (_, rest) = link.split_once(name).expect(link);
            let end = rest.find(|c: char| !c.is_ascii_hexdigit());
            rest[..end.unwrap_or(rest.len())].to_owned()
        };
        Self {
            token: value("token="),
            id: value("tokenId="),
        }
    }

    pub(crate) fn body(&self, password: Option<&str>) -> Value {
        let mut body = json!({ "token": self.token, "tokenId": self.id });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        body
    }
}

pub(crate) fn userpass(verb: &str, body: &Value) -> Ask {
    let path = format!("auth/providers/local-userpass/{verb}");
    Ask::new("POST", of_app(&path)).body(body.to_string())
}

/// What a caller is told: `status code text`, or `200` for an empty answer.
pub(crate) fn told(reply: &Reply) -> String {
    if reply.status < 300 {
        assert!(reply.body.is_empty() && reply.header("content-type").is_none());
        return reply.status.to_string();
    }
    format!("{} {}", reply.refusal(), reply.error())
}

const INVALID: &str = "400 UserpassTokenInvalid userpass token is expired or invalid";
const NO_TOKEN: &str = "400 BadRequest invalid token data";
const NOBODY: &str = "404 UserNotFound user not found";

impl Mailing {
    async fn new(config: &str) -> Self {
        let mail = MailSettings {
            outlet: Outlet::Shown,
            ..MailSettings::default()
        };
        let world = World::mailing(&with_config(config), mail, |_| {}).await;
        let mails = world.core.shown_mails();
        Self { world, mails }
    }

    async fn ask(&self, verb: &str, body: Value) -> String {
        told(&self.world.send(userpass(verb, &body)).await)
    }

    fn mail(&mut self) -> Arc<ShownMail> {
        self.mails.try_recv().expect("a mail")
    }

    /// The token of the only mail that there is.
    fn token(&mut self, purpose: TokenFor, to: &str) -> Token {
        let mail = self.mail();
        assert_eq!((mail.purpose, &*mail.to), (purpose, to));
        assert!(self.mails.is_empty());
        Token::of_link(mail.link.expose())
    }

    /// Registers an account and its token.
    async fn waiting(&mut self, email: &str) -> Token {
        assert_eq!(
            self.world.register(email, "correct horse").await.status,
            201
        );
        self.token(TokenFor::Confirmation, email)
    }

    /// A confirmed account whose password is about to be reset.
    async fn resetting(&mut self, email: &str) -> Token {
        let token = self.waiting(email).await;
        assert_eq!(self.ask("confirm", token.body(None)).await, "200");
        assert_eq!(
            self.ask("reset/send", json!({ "email": email })).await,
            "200"
        );
        self.token(TokenFor::Reset, email)
    }

    async fn login(&self, email: &str, password: &str) -> String {
        let reply = self.world.by_password(email, password).await;
        match reply.status {
            200 => "200".to_owned(),
            _ => reply.refusal(),
        }
    }
}

const BY_MAIL: &str = r#"{
    "autoConfirm": false, "emailConfirmationUrl": "https://shop.example/confirm?lang=en#top",
    "confirmEmailSubject": "Welcome\r\nBcc: all@example.com", "resetPasswordUrl": ""
}"#;

#[tokio::test]
async fn a_mail_confirms_an_address_once() {
    let mut it = Mailing::new(BY_MAIL).await;
    assert_eq!(
        it.world.register("ann@b", "correct horse").await.status,
        201
    );
    assert_eq!(it.login("ann@b", "correct horse").await, "401 AuthError");
    let mail = it.mail();
    assert_eq!((&*mail.app, &*mail.to), ("fixture-abcde", "ann@b"));
    assert_eq!(mail.subject, "Welcome  Bcc: all@example.com");
    let first = Token::of_link(mail.link.expose());
    let link = format!(
        "https://shop.example/confirm?lang=en&token={}&tokenId={}#top",
        first.token, first.id
    );
    assert_eq!(mail.link.expose(), &link);
    assert!(mail.text.expose().contains(&link));
    assert_eq!((first.token.len(), first.id.len()), (128, 24));

    // A second one takes the place of the first.
    let ann = json!({ "email": "ann@b" });
    assert_eq!(it.ask("confirm/send", ann.clone()).await, "200");
    let second = it.token(TokenFor::Confirmation, "ann@b");
    assert!(second.token != first.token && second.id != first.id);
    assert_eq!(it.ask("confirm", first.body(None)).await, INVALID);
    assert_eq!(it.ask("confirm", second.body(None)).await, "200");
    assert_eq!(it.ask("confirm", second.body(None)).await, INVALID);
    assert_eq!(it.login("ann@b", "correct horse").await, "200");
    let confirmed = "400 UserAlreadyConfirmed already confirmed";
    assert_eq!(it.ask("confirm/send", ann).await, confirmed);
    let nobody = json!({ "email": "nobody@b" });
    for verb in ["confirm/send", "reset/send", "reset/call"] {
        assert_eq!(it.ask(verb, nobody.clone()).await, NOBODY, "{verb}");
        assert_eq!(it.ask(verb, json!({})).await, NOBODY, "{verb}");
    }
    assert!(it.mails.is_empty());
}

#[tokio::test]
async fn who_cannot_get_mail_cannot_register() {
    let mut it = Mailing::new(BY_MAIL).await;
    for email in [
        "ann",
        "ann@",
        "a@b, c@d",
        "<a@b>",
        "a@b\r\nBcc: c@d",
        "a@b\nDATA",
        "\"a\"@b",
        "a@b\u{0}",
    ] {
        let body = json!({ "email": email, "password": "correct horse" });
        let refusal = "400 BadRequest email invalid";
        assert_eq!(it.ask("register", body).await, refusal, "{email}");
    }
    it.waiting("ann@b").await;
    let again = json!({ "email": "ann@b", "password": "another one" });
    let taken = "409 AccountNameInUse name already in use";
    assert_eq!(it.ask("register", again).await, taken);
    assert!(it.mails.is_empty());
}

#[tokio::test]
async fn a_mail_resets_a_password_and_ends_the_sessions() {
    let mut it = Mailing::new(BY_MAIL).await;
    let first = it.resetting("ann@b").await;
    it.resetting("bob@b").await;
    let before = session(&it.world.by_password("ann@b", "correct horse").await);
    let other = session(&it.world.by_password("bob@b", "correct horse").await);

    // The link is to the built-in page, and its tokens are in the fragment.
    let ann = json!({ "email": "ann@b" });
    assert_eq!(it.ask("reset/send", ann).await, "200");
    let mail = it.mail();
    let second = Token::of_link(mail.link.expose());
    assert_eq!(
        mail.link.expose(),
        &format!(
            "http://{}/app/fixture-abcde/auth/reset#token={}&tokenId={}",
            it.world.address, second.token, second.id
        )
    );
    assert_eq!(mail.subject, "Reset your password");
    assert_eq!(
        it.ask("reset", first.body(Some("second horse"))).await,
        INVALID
    );

    // A password that is none does not use it up.
    let rule = "400 BadRequest password must be between 6 and 128 characters";
    let long = "x".repeat(129);
    for password in [None, Some("12345"), Some(&*long)] {
        assert_eq!(it.ask("reset", second.body(password)).await, rule);
    }
    assert_eq!(it.login("ann@b", "correct horse").await, "200");
    assert_eq!(
        it.ask("reset", second.body(Some("second horse"))).await,
        "200"
    );
    assert_eq!(
        it.ask("reset", second.body(Some("third horse"))).await,
        INVALID
    );
    assert_eq!(it.login("ann@b", "second horse").await, "200");
    for old in ["correct horse", "third horse"] {
        assert_eq!(it.login("ann@b", old).await, "401 InvalidPassword");
    }
    let ended = it.world.with_refresh(&before.refresh).await;
    assert_eq!(ended, "401 InvalidSession");
    assert_eq!(it.world.with_refresh(&other.refresh).await, "201");
    let new = session(&it.world.by_password("ann@b", "second horse").await);
    assert_eq!(new.user_id, before.user_id);
    assert_eq!(it.world.with_refresh(&new.refresh).await, "201");
}

#[tokio::test]
async fn tokens_are_good_for_what_they_were_made_for() {
    let mut it = Mailing::new(BY_MAIL).await;
    let (ann, bob) = (it.resetting("ann@b").await, it.resetting("bob@b").await);
    let waits = it.waiting("carl@b").await;
    let other = it.waiting("dan@b").await;
    let mixed = |token: &Token, id: &Token| Token {
        token: token.token.clone(),
        id: id.id.clone(),
    };
    let horse = Some("second horse");
    let digest = Token {
        token: "0".repeat(128),
        id: ann.id.clone(),
    };
    for (verb, token, what) in [
        ("reset", mixed(&ann, &bob), "one's token with another's id"),
        ("reset", waits.clone(), "a confirmation's for a reset"),
        ("confirm", ann.clone(), "a reset's for a confirmation"),
        ("confirm", mixed(&waits, &other), "ids swapped"),
        ("reset", mixed(&ann, &waits), "an id of the other kind"),
        ("reset", digest, "guessed"),
    ] {
        assert_eq!(it.ask(verb, token.body(horse)).await, INVALID, "{what}");
    }
    let upper = Token {
        token: ann.token.to_uppercase(),
        id: ann.id.clone(),
    };
    assert_eq!(it.ask("reset", upper.body(horse)).await, INVALID);
    for bad in [
        json!({}),
        json!({ "token": ann.token }),
        json!({ "tokenId": ann.id }),
        json!({ "token": &ann.token[1..], "tokenId": ann.id }),
        json!({ "token": ann.token, "tokenId": "zz" }),
        json!({ "token": format!("{}!", &ann.token[1..]), "tokenId": ann.id }),
        json!({ "token": { "$ne": "" }, "tokenId": { "$ne": "" } }),
        json!({ "token": ann.token, "tokenId": { "$oid": ann.id } }),
        json!({ "token": [ann.token], "tokenId": ann.id }),
    ] {
        for verb in ["confirm", "reset"] {
            assert_eq!(it.ask(verb, bad.clone()).await, NO_TOKEN, "{verb} {bad}");
        }
    }
    // Of another app.
    it.world.another(&with_config(BY_MAIL), "other-abcde").await;
    let path = "/api/client/v2.0/app/other-abcde/auth/providers/local-userpass";
    for (verb, token) in [("confirm", &waits), ("reset", &ann)] {
        let ask = Ask::new("POST", format!("{path}/{verb}"));
        let body = token.body(horse).to_string();
        assert_eq!(told(&it.world.send(ask.body(body)).await), INVALID);
    }
    // None of it used them up, and nobody's password or state changed.
    for email in ["ann@b", "bob@b"] {
        assert_eq!(it.login(email, "correct horse").await, "200");
    }
    assert_eq!(it.login("carl@b", "correct horse").await, "401 AuthError");
    assert_eq!(it.ask("reset", ann.body(horse)).await, "200");
    assert_eq!(it.ask("confirm", waits.body(None)).await, "200");
    assert_eq!(it.login("dan@b", "correct horse").await, "401 AuthError");
}

#[tokio::test]
async fn tokens_last_half_an_hour() {
    let mut it = Mailing::new(BY_MAIL).await;
    let life = limit::USERPASS_TOKEN_S * 1000;
    let (reset, waits) = (it.resetting("ann@b").await, it.waiting("bob@b").await);
    it.world.clock.advance_ms(life);
    assert_eq!(
        it.ask("reset", reset.body(Some("second horse"))).await,
        INVALID
    );
    assert_eq!(it.ask("confirm", waits.body(None)).await, INVALID);
    let (ann, bob) = (json!({ "email": "ann@b" }), json!({ "email": "bob@b" }));
    assert_eq!(it.ask("reset/send", ann).await, "200");
    let reset = it.token(TokenFor::Reset, "ann@b");
    assert_eq!(it.ask("confirm/send", bob).await, "200");
    let waits = it.token(TokenFor::Confirmation, "bob@b");
    it.world.clock.advance_ms(life - 1);
    assert_eq!(
        it.ask("reset", reset.body(Some("second horse"))).await,
        "200"
    );
    assert_eq!(it.ask("confirm", waits.body(None)).await, "200");
}

#[tokio::test]
async fn of_many_at_once_one_uses_a_token() {
    let mut it = Mailing::new(BY_MAIL).await;
    let waits = it.waiting("ann@b").await;
    let once = |all: &[String]| {
        assert!(
            all.iter().all(|told| told == "200" || told == INVALID),
            "{all:?}"
        );
        let mut won = all.iter().enumerate().filter(|(_, told)| *told == "200");
        let winner = won.next().expect("one of them").0;
        assert!(won.next().is_none(), "{all:?}");
        winner
    };
    let all = (0..12).map(|_| it.ask("confirm", waits.body(None)));
    once(&join_all(all).await);
    let reset = it.resetting("bob@b").await;
    let passwords: Vec<String> = (0..12).map(|n| format!("horse number {n}")).collect();
    let all = passwords.iter().map(async |password| {
        let told = it.ask("reset", reset.body(Some(password))).await;
        (password, told)
    });
    let all = join_all(all).await;
    let told: Vec<String> = all.iter().map(|(_, told)| told.clone()).collect();
    let winner = once(&told);
    for (n, (password, _)) in all.iter().enumerate() {
        let found = it.login("bob@b", password).await;
        let right = if n == winner {
            "200"
        } else {
            "401 InvalidPassword"
        };
        assert_eq!(found, right, "{password}");
        it.world.clock.advance_ms(60_000);
    }
}

#[tokio::test]
async fn no_session_of_the_old_password_is_left_after_a_reset() {
    let mut it = Mailing::new(BY_MAIL).await;
    for round in 0..5 {
        let email = format!("ann{round}@b");
        let reset = it.resetting(&email).await;
        let logins = (0..30).map(|_| it.world.by_password(&email, "correct horse"));
        let new = it.ask("reset", reset.body(Some("second horse")));
        let (logins, told) = tokio::join!(join_all(logins), new);
        assert_eq!(told, "200");
        for login in logins.iter().filter(|login| login.status == 200) {
            let refresh = session(login).refresh;
            let found = it.world.with_refresh(&refresh).await;
            assert_eq!(found, "401 InvalidSession");
        }
    }
}

#[tokio::test]
async fn an_account_that_goes_or_moves_takes_its_tokens_along() {
    let mut it = Mailing::new(BY_MAIL).await;
    let horse = Some("second horse");
    let reset = it.resetting("ann@b").await;
    let user = session(&it.world.by_password("ann@b", "correct horse").await);
    it.world
        .app
        .reset_email(&user.user_id, "new@b")
        .await
        .unwrap();
    assert_eq!(it.ask("reset", reset.body(horse)).await, INVALID);
    assert_eq!(it.login("new@b", "correct horse").await, "200");

    let reset = it.resetting("bob@b").await;
    let user = session(&it.world.by_password("bob@b", "correct horse").await);
    let gone = crate::world::auth("DELETE", "delete").bearer(&user.access);
    assert_eq!(it.world.send(gone).await.status, 204);
    assert_eq!(it.ask("reset", reset.body(horse)).await, INVALID);

    let waits = it.waiting("carl@b").await;
    it.world.app.delete_pending("carl@b").await.unwrap();
    assert_eq!(it.ask("confirm", waits.body(None)).await, INVALID);
    // Who registers anew has nothing to do with it.
    let anew = it.waiting("carl@b").await;
    assert_eq!(it.ask("confirm", waits.body(None)).await, INVALID);
    assert_eq!(it.ask("confirm", anew.body(None)).await, "200");
}

#[tokio::test]
async fn nothing_is_there_while_the_provider_is_off() {
    let off = with_config(BY_MAIL).replace(
        r#""type": "local-userpass", "disabled": false"#,
        r#""type": "local-userpass", "disabled": true"#,
    );
    let world = World::of(&off, |_| {}).await;
    let token = Token {
        token: "0".repeat(128),
        id: "0".repeat(24),
    };
    let mut body = token.body(Some("correct horse"));
    body["email"] = json!("ann@b");
    for verb in [
        "register",
        "confirm",
        "confirm/send",
        "reset",
        "reset/send",
        "reset/call",
    ] {
        let told = told(&world.send(userpass(verb, &body)).await);
        assert!(
            told.starts_with("404 AuthProviderNotFound "),
            "{verb} {told}"
        );
    }
}

#[tokio::test]
async fn what_no_mail_could_be_sent_for_fails_as_on_the_service() {
    let world = World::of(&with_config(BY_MAIL), |_| {}).await;
    // The account waits: an administrator can confirm it.
    assert_eq!(world.register("ann@b", "correct horse").await.status, 201);
    let failed = "500 InternalServerError error processing request";
    for verb in ["confirm/send", "reset/send"] {
        let ask = userpass(verb, &json!({ "email": "ann@b" }));
        assert_eq!(told(&world.send(ask).await), failed, "{verb}");
    }
    let logs = logged(&world, "AUTH").await;
    let why = "no mail was sent: the server sends no mail: --smtp-url is not set";
    let kinds: Vec<(&str, &str)> = logs
        .iter()
        .map(|(kind, error)| (kind.as_str(), error.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("REGISTER", why),
            ("SEND_CONFIRM", why),
            ("SEND_RESET", why)
        ]
    );
}

/// What kind of event each entry is of, and its error; oldest first.
pub(crate) async fn logged(world: &World, kind: &str) -> Vec<(String, String)> {
    let query = app::LogQuery {
        kinds: vec![kind.to_owned()],
        limit: 100,
        ..app::LogQuery::default()
    };
    let mut entries = world.logged(&query).await;
    entries.reverse();
    let told = entries.into_iter().map(|entry| {
        let event = entry.details.get_document("auth_event").unwrap();
        (event.get_str("type").unwrap().to_owned(), entry.error)
    });
    told.collect()
}

const BY_FUNCTION: &str = r#"{
    "autoConfirm": true, "resetPasswordUrl": "https://example.com/reset",
    "runResetFunction": true, "resetFunctionName": "decide"
}"#;

/// The reset function keeps what it is given where a function shows it, and says
/// what it is told to.
const DECIDES: &str = r#"
//- functions/decide.js
exports = async (given, ...rest) => {
    const kept = context.services.get("mongodb-atlas").db("shop").collection("given");
    await kept.insertOne({ given, rest, user: context.user?.id ?? "" });
    if (rest[0] === "throw") { throw new Error("secret"); }
    return rest[0] === undefined ? undefined : { status: rest[0] };
};
//- functions/given.js
exports = async () => {
    const kept = context.services.get("mongodb-atlas").db("shop").collection("given");
    const all = await kept.find({}, { _id: 0 }).toArray();
    await kept.deleteMany({});
    return all;
};
"#;

#[tokio::test]
async fn a_function_decides_about_new_passwords() {
    let functions = r#"{ "name": "echo", "private": false },
    { "name": "decide", "private": true },
    { "name": "given", "private": false, "run_as_system": true },"#;
    let fixture = with_config(BY_FUNCTION)
        .replace(r#"{ "name": "echo", "private": false },"#, functions)
        + DECIDES;
    let mail = MailSettings {
        outlet: Outlet::Shown,
        ..MailSettings::default()
    };
    let world = World::mailing(&fixture, mail, |_| {}).await;
    let mut mails = world.core.shown_mails();
    let ann = world.user("ann@b").await;
    let ask = async |verb: &str, body: Value| told(&world.send(userpass(verb, &body)).await);
    let given = async || {
        let asker = world.anonymous().await;
        let reply = world
            .call(&asker.access, r#"{"name":"given","arguments":[]}"#)
            .await;
        reply.json()
    };
    let call = |password: &str, arguments: Value| json!({ "email": "ann@b", "password": password, "arguments": arguments });

    let by_function = "400 BadRequest please use reset password via function";
    assert_eq!(
        ask("reset/send", json!({ "email": "ann@b" })).await,
        by_function
    );

    // No, nonsense and a failure are a no, and the token of each is no good.
    let no = "400 BadRequest failed to reset password for user \"ann@b\"";
    for arguments in [
        json!(["fail"]),
        json!([]),
        json!(["SUCCESS"]),
        json!([7]),
        json!(["throw"]),
    ] {
        assert_eq!(ask("reset/call", call("second horse", arguments)).await, no);
        let kept = given().await;
        let token = &kept[0]["given"];
        let body = json!({ "token": token["token"], "tokenId": token["tokenId"], "password": "second horse" });
        assert_eq!(ask("reset", body).await, INVALID);
    }
    assert_eq!(
        world.by_password("ann@b", "correct horse").await.status,
        200
    );

    // Later, with the token.
    let more = json!(["pending", { "a": { "$numberLong": "7" } }, null]);
    assert_eq!(
        ask("reset/call", call("correct horse", more.clone())).await,
        "200"
    );
    let kept = given().await;
    let event = &kept[0]["given"];
    assert_eq!(event["username"], "ann@b");
    assert_eq!(event["password"], "correct horse");
    assert_eq!(event["currentPasswordValid"], true);
    assert_eq!(kept[0]["rest"], more);
    assert_eq!(kept[0]["user"], "");
    assert_eq!(event.as_object().unwrap().len(), 5);
    assert_eq!(
        world.by_password("ann@b", "correct horse").await.status,
        200
    );
    let reset =
        json!({ "token": event["token"], "tokenId": event["tokenId"], "password": "second horse" });
    assert_eq!(ask("reset", reset).await, "200");
    assert_eq!(world.with_refresh(&ann.refresh).await, "401 InvalidSession");
    let again = session(&world.by_password("ann@b", "second horse").await);

    // At once.
    assert_eq!(
        ask("reset/call", call("third horse", json!(["success"]))).await,
        "200"
    );
    let kept = given().await;
    assert_eq!(kept[0]["given"]["currentPasswordValid"], false);
    assert_eq!(
        world.with_refresh(&again.refresh).await,
        "401 InvalidSession"
    );
    assert_eq!(world.by_password("ann@b", "third horse").await.status, 200);
    let used = &kept[0]["given"];
    let reset =
        json!({ "token": used["token"], "tokenId": used["tokenId"], "password": "fourth horse" });
    assert_eq!(ask("reset", reset).await, INVALID);

    for (body, refusal) in [
        (
            json!({ "email": "nobody@b", "password": "third horse" }),
            NOBODY,
        ),
        (
            json!({ "email": "ann@b" }),
            "400 BadRequest password must be between 6 and 128 characters",
        ),
        (
            call("12345", json!([])),
            "400 BadRequest password must be between 6 and 128 characters",
        ),
        (
            call("third horse", json!({})),
            "400 BadRequest arguments has to be an array",
        ),
    ] {
        assert_eq!(ask("reset/call", body).await, refusal);
    }
    assert_eq!(given().await, json!([]));

    // Whoever guesses passwords with it is slowed down like whoever logs in.
    world.clock.advance_ms(60_000);
    for _ in 0..limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        assert_eq!(
            ask("reset/call", call("a guess", json!(["fail"]))).await,
            no
        );
    }
    let slow = ask("reset/call", call("a guess", json!(["success"]))).await;
    assert!(slow.starts_with("429 TooManyRequests "), "{slow}");
    assert!(mails.try_recv().is_err());
    // Neither tokens nor passwords are in the log.
    let query = app::LogQuery {
        limit: 1000,
        ..app::LogQuery::default()
    };
    let entries = world.logged(&query).await;
    for entry in entries {
        let text = format!("{entry:?}");
        assert!(
            !text.contains("horse") && !text.contains("a guess"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn without_a_reset_function_none_is_called() {
    let it = Mailing::new(BY_MAIL).await;
    let body = json!({ "email": "ann@b", "password": "correct horse" });
    assert_eq!(
        it.world.register("ann@b", "correct horse").await.status,
        201
    );
    let by_mail = "400 BadRequest please use reset password via email";
    assert_eq!(it.ask("reset/call", body).await, by_mail);
}

#[tokio::test]
async fn links_lead_where_the_server_is_whatever_a_request_claims() {
    let mail = || MailSettings {
        outlet: Outlet::Shown,
        ..MailSettings::default()
    };
    let config = r#"{ "autoConfirm": true }"#;
    for (public, begins) in [
        (None, None),
        (
            Some("https://apps.example/x/"),
            Some("https://apps.example/x/app/fixture-abcde/auth/reset#token="),
        ),
    ] {
        let world = World::mailing(&with_config(config), mail(), |listening| {
            listening.public_url = public.map(str::to_owned);
            // Even a proxy that is believed in other things.
            listening.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        let mut mails = world.core.shown_mails();
        world.register("ann@b", "correct horse").await;
        let ask = userpass("reset/send", &json!({ "email": "ann@b" }))
            .header("Host", "evil.example")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "https")
            .header("Forwarded", "host=evil.example")
            .header("Origin", "https://evil.example")
            .header("Referer", "https://evil.example/");
        assert_eq!(world.send(ask).await.status, 200);
        let mail = mails.try_recv().unwrap();
        let here = format!(
            "http://{}/app/fixture-abcde/auth/reset#token=",
            world.address
        );
        let begins = begins.unwrap_or(&here);
        assert!(
            mail.link.expose().starts_with(begins),
            "{:?}",
            mail.link.expose()
        );
        assert!(!mail.text.expose().contains("evil"));
    }
}

#[tokio::test]
async fn the_built_in_pages_give_nothing_away() {
    let listed = with_config(r#"{ "autoConfirm": true }"#).replace(
        r#""name": "fixture" }"#,
        r#""name": "fixture", "allowed_request_origins": ["https://shop.example"] }"#,
    );
    let mail = MailSettings {
        outlet: Outlet::Shown,
        ..MailSettings::default()
    };
    let world = World::mailing(&listed, mail, |_| {}).await;
    let page = async |method, path: &str| {
        world
            .send(Ask::new(method, format!("/app/fixture-abcde/auth/{path}")))
            .await
    };
    for (name, kind) in [
        ("confirm", "text/html; charset=utf-8"),
        ("reset", "text/html; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
    ] {
        let found = page("GET", name).await;
        assert_eq!(
            (found.status, found.header("content-type")),
            (200, Some(kind))
        );
        assert_eq!(found.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(found.header("cache-control"), Some("no-store"));
        assert_eq!(found.header("x-content-type-options"), Some("nosniff"));
        let policy = found.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let text = found.text();
        assert!(
            !text.contains("<style") && !text.contains("onclick"),
            "{text}"
        );
        // What a request says is in no answer.
        let asked = page("GET", &format!("{name}?token=%3Cscript%3E")).await;
        assert_eq!(asked.text(), text);
        let head = Ask::new("HEAD", format!("/app/fixture-abcde/auth/{name}"));
        let head = raw(world.address, &head.header("Connection", "close").bytes()).await;
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200 ") && head.ends_with("\r\n\r\n"));
        assert_eq!(page("POST", name).await.status, 405);
    }
    for path in ["", "confirm/", "confirm/x", "..%2fconfirm", "page.html"] {
        assert_eq!(page("GET", path).await.status, 404, "{path}");
    }
    let no_app = Ask::new("GET", "/app/no-such-app/auth/confirm");
    assert_eq!(world.send(no_app).await.status, 404);

    // They may ask, as they are the server's own; other pages may not.
    let token = Token {
        token: "0".repeat(128),
        id: "0".repeat(24),
    };
    for (origin, refusal) in [
        (format!("http://{}", world.address), INVALID),
        ("https://shop.example".to_owned(), INVALID),
        (
            "https://evil.example".to_owned(),
            "403 DomainNotAllowed requests from this origin are not allowed",
        ),
    ] {
        let ask = userpass("confirm", &token.body(None)).header("Origin", &*origin);
        assert_eq!(told(&world.send(ask).await), refusal, "{origin}");
    }
}
