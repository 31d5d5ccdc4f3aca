//! Mail by SMTP: what is in it, what happens when it cannot go out, and that
//! nobody's mailbox is filled.

use app::StateSettings;
use app::mail::{MailSettings, Outlet, Templates};
use kit::limit;
use serde_json::json;
use testkit::smtp::{Catcher, Caught, Manner};

use crate::accounts::join_all;
use crate::http::Reply;
use crate::userpass::{Token, logged, told, userpass, with_config};
use crate::world::{Storage, World, in_memory, session};

const CONFIG: &str = r#"{
    "autoConfirm": false, "emailConfirmationUrl": "https://shop.example/confirm?a=1#top",
    "confirmEmailSubject": "Willkommen, schöne Welt\r\nBcc: evil@example.com",
    "resetPasswordUrl": "https://shop.example/reset"
}"#;

fn by_smtp(catcher: &Catcher) -> MailSettings {
    let url = format!("smtp://{}", catcher.address).into();
    let from = "Shop <no-reply@shop.example>";
    MailSettings {
        outlet: Outlet::smtp(&url, from, &app::Roots::default()).unwrap(),
        templates: Templates::default(),
    }
}

async fn mailing(catcher: &Catcher) -> World {
    World::mailing(&with_config(CONFIG), by_smtp(catcher), |_| {}).await
}

async fn ask(world: &World, verb: &str, email: &str) -> Reply {
    world.send(userpass(verb, &json!({ "email": email }))).await
}

/// The text of quoted-printable.
fn plain(data: &str) -> String {
    let mut bytes = Vec::new();
    let data = data.replace("=\r\n", "");
    let mut rest = data.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = more.get(..2).filter(|_| *first == b'=');
        let escaped = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The headers of a mail, one a line.
fn headers(mail: &Caught) -> Vec<String> {
    let (head, _) = mail.data.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    head.split("\r\n").map(str::to_owned).collect()
}

#[tokio::test]
async fn a_registration_and_a_reset_go_by_mail() {
    let mut catcher = Catcher::start().await;
    let world = mailing(&catcher).await;
    let registered = world.register("ann@example.com", "correct horse").await;
    assert_eq!(registered.status, 201);
    let mail = catcher.next().await;
    assert_eq!(mail.from, "no-reply@shop.example");
    assert_eq!(mail.to, ["ann@example.com"]);
    let headers_of = headers(&mail);
    let named = |name: &str| {
        let prefix = format!("{name}: ");
        let mut found = headers_of
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix));
        let first = found.next().unwrap_or_default();
        assert_eq!(found.next(), None, "{name}");
        first
    };
    assert_eq!(named("From"), "Shop <no-reply@shop.example>");
    assert_eq!(named("To"), "ann@example.com");
    assert_eq!(named("Auto-Submitted"), "auto-generated");
    assert!(named("Message-ID").ends_with("@shop.example>"));
    assert!(named("Content-Type").starts_with("multipart/alternative;"));
    // The line that the subject would add is part of it.
    assert!(
        named("Subject").starts_with("Willkommen, "),
        "{headers_of:?}"
    );
    assert_eq!((named("Bcc"), named("Cc")), ("", ""));
    assert!(mail.data.is_ascii());
    let text = plain(&mail.data);
    let token = Token::of_link(&text);
    let link = format!(
        "https://shop.example/confirm?a=1&token={}&tokenId={}#top",
        token.token, token.id
    );
    assert!(text.contains(&format!("\r\n{link}\r\n")), "{text}");
    let in_html = link.replace('&', "&#38;");
    assert!(text.contains(&format!("<a href=\"{in_html}\">")), "{text}");
    assert!(
        text.contains("registered ann@example.com with fixture"),
        "{text}"
    );
    let confirm = userpass("confirm", &token.body(None));
    assert_eq!(told(&world.send(confirm).await), "200");
    let before = session(&world.by_password("ann@example.com", "correct horse").await);

    assert_eq!(
        told(&ask(&world, "reset/send", "ann@example.com").await),
        "200"
    );
    let mail = catcher.next().await;
    assert_eq!(mail.to, ["ann@example.com"]);
    let subject = "Subject: Reset your password".to_owned();
    assert!(headers(&mail).contains(&subject));
    let token = Token::of_link(&plain(&mail.data));
    let reset = userpass("reset", &token.body(Some("second horse")));
    assert_eq!(told(&world.send(reset).await), "200");
    let new = world.by_password("ann@example.com", "second horse").await;
    assert_eq!(session(&new).user_id, before.user_id);
    assert_eq!(catcher.there(), None);
    // The log tells that there were mails, and nothing that is in them.
    let events = logged(&world, "AUTH").await;
    let told = |kind: &str| events.contains(&(kind.to_owned(), String::new()));
    assert!(
        told("REGISTER") && told("SEND_RESET") && told("RESET"),
        "{events:?}"
    );
    let entries = world.logged(&app::LogQuery::default()).await;
    assert!(!format!("{entries:?}").contains(&token.token));
}

#[tokio::test]
async fn a_server_that_takes_no_mail_is_told_of_in_the_log() {
    let mut catcher = Catcher::start().await;
    let world = mailing(&catcher).await;
    let failed = "500 InternalServerError error processing request";
    for (manner, why) in [
        (
            Manner::Refuses,
            "the SMTP server does not take it: permanent error (550): no such mailbox",
        ),
        (Manner::HangsUp, "the SMTP server cannot be used: "),
    ] {
        catcher.is(manner);
        let email = format!("{manner:?}@example.com");
        assert_eq!(world.register(&email, "correct horse").await.status, 201);
        // What is known not to have gone out does not count.
        let tries = if manner == Manner::Refuses { 10 } else { 1 };
        for _ in 0..tries {
            assert_eq!(told(&ask(&world, "confirm/send", &email).await), failed);
        }
        let events = logged(&world, "AUTH").await;
        let (kind, error) = events.last().unwrap();
        assert_eq!(kind, "SEND_CONFIRM");
        let why = format!("no mail was sent: {why}");
        assert!(error.starts_with(&why), "{error}");
        assert_eq!(catcher.there(), None);
        catcher.is(Manner::Takes);
        assert_eq!(told(&ask(&world, "confirm/send", &email).await), "200");
        assert_eq!(catcher.next().await.to, [email]);
    }
}

/// That there were too many mails, and for how long.
fn wait(reply: &Reply) -> i64 {
    let refusal = "429 TooManyRequests too many mails were asked for, try again later";
    assert_eq!(told(reply), refusal);
    reply.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_mailbox_is_not_filled() {
    let mut catcher = Catcher::start().await;
    let world = mailing(&catcher).await;
    let most = limit::MAILS_TO_MAILBOX_PER_HOUR_MAX as usize;
    // One mailbox, whatever it is called.
    let names = ["ann@example.com", "Ann@example.com", "ann+1@Example.com"];
    for name in names {
        assert_eq!(world.register(name, "correct horse").await.status, 201);
    }
    for _ in names.len()..most {
        let sent = ask(&world, "reset/send", "ann@example.com").await;
        assert_eq!(told(&sent), "200");
    }
    world.clock.advance_ms(600_000);
    for (verb, name) in [
        ("confirm/send", "ann@example.com"),
        ("reset/send", "Ann@example.com"),
        ("confirm/send", "ann+1@Example.com"),
    ] {
        let seconds = wait(&ask(&world, verb, name).await);
        assert!((2990..=3001).contains(&seconds), "{seconds}");
    }
    let refused = world.register("ANN@example.com", "correct horse").await;
    wait(&refused);
    for _ in 0..most {
        catcher.next().await;
    }
    assert_eq!(catcher.there(), None);
    // Nothing is left of what was refused, and others are not kept waiting.
    let wrong = world.by_password("ANN@example.com", "correct horse").await;
    assert_eq!(wrong.refusal(), "401 InvalidPassword");
    assert_eq!(
        world
            .register("bob@example.com", "correct horse")
            .await
            .status,
        201
    );
    world.clock.advance_ms(3_000_000);
    let again = world.register("ANN@example.com", "correct horse").await;
    assert_eq!(again.status, 201);
    // An administrator may all the same.
    let request = app::RequestInfo::default();
    for _ in 0..=most {
        let made = world
            .app
            .confirmation_token("ANN@example.com", &request)
            .await;
        assert!(made.unwrap().1);
    }
}

#[tokio::test]
async fn of_many_mails_at_once_to_a_mailbox_a_few_go_out() {
    let mut catcher = Catcher::start().await;
    let world = mailing(&catcher).await;
    assert_eq!(
        world
            .register("ann@example.com", "correct horse")
            .await
            .status,
        201
    );
    catcher.next().await;
    let all = (0..30).map(|_| ask(&world, "confirm/send", "ann@example.com"));
    let all = join_all(all).await;
    let sent = all.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(sent, limit::MAILS_TO_MAILBOX_PER_HOUR_MAX as usize - 1);
    for refused in all.iter().filter(|reply| reply.status != 200) {
        wait(refused);
    }
    for _ in 0..sent {
        catcher.next().await;
    }
    assert_eq!(catcher.there(), None);
}

#[tokio::test]
async fn servers_count_together_and_know_each_others_tokens() {
    let mut catcher = Catcher::start().await;
    let engine = in_memory();
    let storage = async || Storage {
        engine: engine.clone(),
        state: Some(StateSettings {
            engine: engine.clone(),
            database: "records".to_owned(),
            shared: true,
        }),
        mail: by_smtp(&catcher),
        ..Storage::in_memory().await
    };
    let one = World::storing(&with_config(CONFIG), storage().await, |_| {}).await;
    let two = World::beside(storage().await).await;
    let ann = "ann@example.com";
    assert_eq!(one.register(ann, "correct horse").await.status, 201);
    catcher.next().await;
    for _ in 1..limit::MAILS_TO_MAILBOX_PER_HOUR_MAX {
        assert_eq!(told(&ask(&two, "confirm/send", ann).await), "200");
    }
    wait(&ask(&one, "confirm/send", ann).await);
    let mut last = catcher.next().await;
    while let Some(mail) = catcher.there() {
        last = mail;
    }
    let token = Token::of_link(&plain(&last.data));
    let confirm = userpass("confirm", &token.body(None));
    assert_eq!(told(&one.send(confirm).await), "200");
    assert_eq!(two.by_password(ann, "correct horse").await.status, 200);
}

#[tokio::test]
async fn one_address_asks_for_so_many_mails() {
    let catcher = Catcher::start().await;
    let world = mailing(&catcher).await;
    let most = limit::MAILS_BY_ADDRESS_PER_HOUR_MAX;
    let names: Vec<String> = (0..most).map(|n| format!("u{n}@example.com")).collect();
    for some in names.chunks(20) {
        let all = some
            .iter()
            .map(|name| world.register(name, "correct horse"));
        for reply in join_all(all).await {
            assert_eq!(reply.status, 201);
        }
    }
    let seconds = wait(&world.register("one@example.com", "correct horse").await);
    assert!((3590..=3601).contains(&seconds), "{seconds}");
    wait(&ask(&world, "confirm/send", "u1@example.com").await);
    // What needs no mail goes on.
    let wrong = world.by_password("u1@example.com", "correct horse").await;
    assert_eq!(wrong.refusal(), "401 AuthError");
    world.clock.advance_ms(3_600_000);
    let later = world.register("one@example.com", "correct horse").await;
    assert_eq!(later.status, 201);
}
