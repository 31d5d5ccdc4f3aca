//! Mail, handed over to the operator's SMTP server.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::{Secret, limit};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use url::Url;

use crate::Roots;
use crate::tls::system_has_roots;

/// Ports where the URL names none: submission, and submission over TLS.
const PORT: u16 = 587;
const TLS_PORT: u16 = 465;

/// An SMTP server, and who mails come from.
#[derive(Clone)]
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    places: Arc<Semaphore>,
    patience: Duration,
}

/// A mail.
#[derive(Debug)]
pub struct Letter {
    /// What no other mail has: the part of its `Message-ID` before the `@`.
    pub id: String,
    /// The address that it goes to.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// What is in it, as text.
    pub text: String,
    /// What is in it, as HTML.
    pub html: String,
}

/// Why a mail did not go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailError {
    /// In words for the operator.
    pub why: String,
    /// Whether it is known that it did not: a server that is slow may have it all
    /// the same.
    pub certain: bool,
}

impl MailError {
    fn certain(why: impl std::fmt::Display) -> Self {
        Self {
            why: why.to_string(),
            certain: true,
        }
    }
}

impl std::fmt::Display for MailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for MailError {}

/// Says to other machines that nobody waits for their answer (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    /// The server of a URL, `smtp://` or `smtps://`, with `USER:PASSWORD@` before
    /// the host if it asks for them. `smtps` is TLS from the start; `smtp` begins
    /// without and has to go on with it (STARTTLS), unless the server is on this
    /// machine or the URL says `?tls=none` or `?tls=opportunistic`.
    ///
    /// # Errors
    /// What is wrong with the URL or the sender; the URL is not in it.
    pub fn new(url: &Secret, from: &str, roots: &Roots) -> Result<Self, String> {
        let from: Mailbox = from
            .parse()
            .map_err(|error| format!("the sender is no address: {error}"))?;
        let url = Url::parse(url.expose()).map_err(|error| format!("the URL is none: {error}"))?;
        let wrapped = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err("the URL has to begin with smtp:// or smtps://".to_owned()),
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("the URL has no host".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("the URL has more than a host and a port".to_owned());
        }
        let here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let mut wanted = None;
        for (name, value) in url.query_pairs() {
            if name != "tls" || wrapped {
                return Err("the URL's query can only be tls=, and that of smtp://".to_owned());
            }
            wanted = Some(value.into_owned());
        }
        let tls = || {
            parameters(host, roots).map_err(|error| format!("certificates cannot be used: {error}"))
        };
        let tls = match wanted.as_deref() {
            _ if wrapped => Tls::Wrapper(tls()?),
            Some("none") => Tls::None,
            None if here => Tls::None,
            None | Some("required") => Tls::Required(tls()?),
            Some("opportunistic") => Tls::Opportunistic(tls()?),
            Some(_) => return Err("tls= is none, opportunistic or required".to_owned()),
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from)
                .map_err(|_| "user and password have to be UTF-8".to_owned())
        };
        let user = decoded(url.username())?;
        let password = url.password().map(decoded).transpose()?;
        let credentials = match (user.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some(Credentials::new(user, password)),
            _ => return Err("a user and a password go together".to_owned()),
        };
        if credentials.is_some() && !here && matches!(tls, Tls::None | Tls::Opportunistic(_)) {
            return Err("the password would be sent in clear: leave tls= out".to_owned());
        }
        let port = url.port().unwrap_or(if wrapped { TLS_PORT } else { PORT });
        let patience = Duration::from_secs(limit::MAIL_S_MAX);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(patience))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        Ok(Self {
            transport: builder.build(),
            from,
            places: Arc::new(Semaphore::new(limit::MAILS_AT_ONCE_MAX)),
            patience,
        })
    }

    /// The same server for who waits for as long only.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Hands a mail over, as one of a few at a time.
    ///
    /// # Errors
    /// That the server did not take it, or not in time.
    pub async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let message = self.message(letter).map_err(MailError::certain)?;
        let handed = async {
            let _place = self.places.acquire().await.map_err(MailError::certain)?;
            self.transport.send(message).await.map_err(|error| {
                let answered = error.status().is_some();
                let what = if answered {
                    "does not take it"
                } else {
                    "cannot be used"
                };
                MailError {
                    why: format!("the SMTP server {what}: {error}"),
                    // One that broke off may have had it all.
                    certain: answered || !(error.is_timeout() || error.is_response()),
                }
            })
        };
        match tokio::time::timeout(self.patience, handed).await {
            Ok(handed) => handed.map(drop),
            Err(_) => Err(MailError {
                why: format!(
                    "the SMTP server did not take it within {} ms",
                    self.patience.as_millis()
                ),
                certain: false,
            }),
        }
    }

    fn message(&self, letter: Letter) -> Result<Message, String> {
        let to: Address = letter
            .to
            .parse()
            .map_err(|_| "no mail can go to that address".to_owned())?;
        let id = format!("<{}@{}>", letter.id, self.from.email.domain());
        Message::builder()
            .message_id(Some(id))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))
            .map_err(|error| error.to_string())
    }
}

/// How the server of a name proves that it is the one.
fn parameters(host: &str, roots: &Roots) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if !system_has_roots() {
        builder = builder.certificate_store(CertificateStore::WebpkiRoots);
    }
    for root in roots.der() {
        builder = builder.add_root_certificate(Certificate::from_der(root)?);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::{Mail, Roots};

    fn made(url: &str, from: &str) -> Result<(), String> {
        let url = url.to_owned().into();
        Mail::new(&url, from, &Roots::default()).map(drop)
    }

    #[tokio::test]
    async fn what_is_no_server_is_told_without_the_password() {
        for url in [
            "smtp://localhost",
            "smtp://127.0.0.1:2525/",
            "smtp://u:p@[::1]:2525",
            "smtp://mail.example.com?tls=none",
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://u%40x:p%3A@mail.example.com:25?tls=required",
            "smtps://u:p@mail.example.com",
        ] {
            assert_eq!(made(url, "Shop <shop@example.com>"), Ok(()), "{url}");
        }
        for (url, complaint) in [
            ("mail.example.com", "the URL is none"),
            (
                "https://u:hunter2@mail.example.com",
                "has to begin with smtp://",
            ),
            ("smtp://", "no host"),
            ("smtp:mail.example.com", "no host"),
            (
                "smtp://u:hunter2@mail.example.com/inbox",
                "more than a host",
            ),
            ("smtp://mail.example.com?tls=maybe", "tls= is none"),
            ("smtp://mail.example.com?password=hunter2", "query"),
            ("smtps://mail.example.com?tls=none", "query"),
            ("smtp://hunter2@mail.example.com", "go together"),
            ("smtp://:hunter2@mail.example.com", "go together"),
            ("smtp://u:hunter2%FF@mail.example.com", "UTF-8"),
            ("smtp://u:hunter2@mail.example.com?tls=none", "in clear"),
            (
                "smtp://u:hunter2@mail.example.com?tls=opportunistic",
                "in clear",
            ),
            (
                "smtp://u:hunter2@mail.example.com:999999",
                "the URL is none",
            ),
        ] {
            let wrong = made(url, "shop@example.com").unwrap_err();
            assert!(wrong.contains(complaint), "{url}: {wrong}");
            assert!(!wrong.contains("hunter2"), "{wrong}");
        }
        for from in [
            "",
            "shop",
            "a@b, c@d",
            "Shop <shop@example.com>\r\nBcc: x@y",
        ] {
            let wrong = made("smtp://localhost", from).unwrap_err();
            assert!(wrong.contains("the sender is no address"), "{wrong}");
        }
    }
}
