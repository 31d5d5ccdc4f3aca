//! Mail: to servers with and without TLS, and to those that are none.

use std::sync::Arc;
use std::time::Duration;

use egress::{Letter, Mail, MailError, Roots};
use testkit::smtp::{Catcher, Caught, Ended, Manner, converse};
use tokio::io::BufStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::secured::authority;

fn letter() -> Letter {
    Letter {
        id: "one".to_owned(),
        to: "ann@example.com".to_owned(),
        subject: "Hello".to_owned(),
        text: "in text".to_owned(),
        html: "<p>in HTML</p>".to_owned(),
    }
}

async fn sent(url: &str, roots: &Roots, letter: Letter) -> Result<(), MailError> {
    let mail = Mail::new(&url.to_owned().into(), "shop@example.com", roots).unwrap();
    mail.with_patience(Duration::from_secs(5))
        .send(letter)
        .await
}

/// How a server does TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    Wrapped,
    StartTls,
    /// As one that somebody in between has kept from offering it.
    Stripped,
}

/// A server of the name localhost, its mails, and the authority that it is
/// certified by.
async fn server(security: Security) -> (u16, mpsc::UnboundedReceiver<Caught>, Roots) {
    let (config, pem) = authority();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (catch, caught) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let secured = ["AUTH PLAIN"];
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufStream::new(stream);
            let manner = Manner::Takes;
            let greet = match security {
                Security::Wrapped => true,
                Security::Stripped => {
                    let _ = converse(&mut stream, true, &secured, manner, &catch).await;
                    continue;
                }
                Security::StartTls => {
                    let offers = ["STARTTLS"];
                    let ended = converse(&mut stream, true, &offers, manner, &catch).await;
                    if !matches!(ended, Ok(Ended::StartTls)) {
                        continue;
                    }
                    false
                }
            };
            let Ok(stream) = acceptor.accept(stream.into_inner()).await else {
                continue;
            };
            let mut stream = BufStream::new(stream);
            let _ = converse(&mut stream, greet, &secured, manner, &catch).await;
        }
    });
    (port, caught, Roots::from_pem(pem.as_bytes()).unwrap())
}

#[tokio::test]
async fn a_mail_has_two_parts_and_one_recipient() {
    let mut catcher = Catcher::start().await;
    let url = format!("smtp://ann:p%40ss@{}", catcher.address);
    sent(&url, &Roots::default(), letter()).await.unwrap();
    let mail = catcher.next().await;
    assert_eq!(
        (&*mail.from, &*mail.to),
        ("shop@example.com", &["ann@example.com".to_owned()][..])
    );
    assert_eq!(mail.user, Some(("ann".to_owned(), "p@ss".to_owned())));
    for part in [
        "Subject: Hello\r\n",
        "Message-ID: <one@example.com>\r\n",
        "in text",
        "<p>in HTML</p>",
    ] {
        assert!(mail.data.contains(part), "{part}: {}", mail.data);
    }
}

#[tokio::test]
async fn addresses_and_subjects_add_no_headers() {
    let mut catcher = Catcher::start().await;
    let url = format!("smtp://{}", catcher.address);
    for to in [
        "a@b\r\nBcc: evil@b",
        "a@b>\r\nRCPT TO:<evil@b",
        "a@b, evil@b",
        "",
        "a",
    ] {
        let letter = Letter {
            to: to.to_owned(),
            ..letter()
        };
        let error = sent(&url, &Roots::default(), letter).await.unwrap_err();
        assert_eq!(error.why, "no mail can go to that address");
        assert!(error.certain);
    }
    let letter = Letter {
        subject: "Hello\r\nBcc: evil@b\r\n\r\n<script>".to_owned(),
        text: "first\r\n.\r\nRCPT TO:<evil@b>\r\n".to_owned(),
        ..letter()
    };
    sent(&url, &Roots::default(), letter).await.unwrap();
    let mail = catcher.next().await;
    let (head, _) = mail.data.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert_eq!(mail.to, ["ann@example.com"]);
    assert!(mail.data.contains("RCPT TO:<evil@b>"));
    assert_eq!(catcher.there(), None);
}

#[tokio::test]
async fn secured_servers_prove_who_they_are() {
    for (security, scheme) in [
        (Security::Wrapped, "smtps://u:p@localhost"),
        (Security::StartTls, "smtp://u:p@localhost"),
    ] {
        let (port, mut caught, roots) = server(security).await;
        let query = if security == Security::StartTls {
            "?tls=required"
        } else {
            ""
        };
        let url = format!("{scheme}:{port}{query}");
        sent(&url, &roots, letter()).await.unwrap();
        let mail = caught.recv().await.unwrap();
        assert_eq!(mail.user, Some(("u".to_owned(), "p".to_owned())));
        // Certified by nobody who is known.
        let error = sent(&url, &Roots::default(), letter()).await.unwrap_err();
        assert!(
            error.certain && error.why.contains("certificate"),
            "{error}"
        );
        assert!(caught.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_server_that_has_to_go_on_with_tls_gets_nothing_without() {
    let (port, mut caught, roots) = server(Security::Stripped).await;
    let url = format!("smtp://u:p@localhost:{port}?tls=required");
    let error = sent(&url, &roots, letter()).await.unwrap_err();
    assert!(error.certain, "{error}");
    assert!(caught.try_recv().is_err());
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let mut catcher = Catcher::start().await;
    let url = format!("smtp://{}", catcher.address).into();
    let mail = Mail::new(&url, "shop@example.com", &Roots::default()).unwrap();
    catcher.is(Manner::Refuses);
    let refused = mail.send(letter()).await.unwrap_err();
    assert!(refused.certain && refused.why.contains("550"), "{refused}");
    catcher.is(Manner::HangsUp);
    let broken = mail.send(letter()).await.unwrap_err();
    assert!(
        broken.why.starts_with("the SMTP server cannot be used"),
        "{broken}"
    );
    assert!(!broken.certain);
    catcher.is(Manner::IsSilent);
    let hasty = mail.clone().with_patience(Duration::from_millis(200));
    let late = hasty.send(letter()).await.unwrap_err();
    assert_eq!(late.why, "the SMTP server did not take it within 200 ms");
    assert!(!late.certain);
    assert_eq!(catcher.there(), None);
    catcher.is(Manner::Takes);
    mail.send(letter()).await.unwrap();
    catcher.next().await;
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = sent(&format!("smtp://{nobody}"), &Roots::default(), letter())
        .await
        .unwrap_err();
    assert!(
        error.certain && error.why.contains("cannot be used"),
        "{error}"
    );
}
