//! A server that catches mail: enough of SMTP for a client, and what goes wrong
//! with one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A mail as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// Whom the envelope says it is from.
    pub from: String,
    /// Whom the envelope says it is for.
    pub to: Vec<String>,
    /// Headers and parts.
    pub data: String,
    /// User and password, if the client logged in.
    pub user: Option<(String, String)>,
}

/// How a server is with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// It takes every mail.
    #[default]
    Takes,
    /// It has no such mailbox.
    Refuses,
    /// It says nothing to a mail.
    IsSilent,
    /// It hangs up on a mail.
    HangsUp,
}

/// What a conversation came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client has gone.
    Gone,
    /// The client wants to go on in TLS.
    StartTls,
}

/// A server on a port of its own.
pub struct Catcher {
    /// Where it listens.
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    caught: mpsc::UnboundedReceiver<Caught>,
}

impl Catcher {
    /// Starts one without TLS.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let manner: Arc<Mutex<Manner>> = Arc::default();
        let (catch, caught) = mpsc::unbounded_channel();
        let how = manner.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (how, catch) = (how.clone(), catch.clone());
                tokio::spawn(async move {
                    let manner = *how.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut stream = BufStream::new(stream);
                    let _ =
                        converse(&mut stream, true, &["AUTH PLAIN LOGIN"], manner, &catch).await;
                });
            }
        });
        Self {
            address,
            manner,
            caught,
        }
    }

    /// How it is with the clients that come from now on.
    pub fn is(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// The next mail.
    ///
    /// # Panics
    /// When there never will be one.
    pub async fn next(&mut self) -> Caught {
        self.caught.recv().await.expect("a mail")
    }

    /// The next mail that is there already.
    pub fn there(&mut self) -> Option<Caught> {
        self.caught.try_recv().ok()
    }
}

/// Talks with one client, with a greeting first unless it had one.
///
/// # Errors
/// When the connection breaks off.
pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    greet: bool,
    extensions: &[&str],
    manner: Manner,
    caught: &mpsc::UnboundedSender<Caught>,
) -> std::io::Result<Ended> {
    if greet {
        say(stream, "220 catcher").await?;
    }
    let mut mail = Caught {
        from: String::new(),
        to: Vec::new(),
        data: String::new(),
        user: None,
    };
    while let Some(line) = line(stream).await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb.to_uppercase().as_str() {
            "EHLO" => {
                let mut lines = vec!["250-catcher".to_owned(), "250-SMTPUTF8".to_owned()];
                lines.extend(extensions.iter().map(|name| format!("250-{name}")));
                lines.push("250 8BITMIME".to_owned());
                lines.join("\r\n")
            }
            "STARTTLS" => {
                say(stream, "220 go on").await?;
                return Ok(Ended::StartTls);
            }
            "AUTH" => {
                let plain = rest.split_whitespace().nth(1).unwrap_or_default();
                let plain = STANDARD.decode(plain).unwrap_or_default();
                let plain = String::from_utf8_lossy(&plain).into_owned();
                let mut parts = plain.split('\0').skip(1).map(str::to_owned);
                mail.user = parts.next().zip(parts.next());
                "235 welcome".to_owned()
            }
            "MAIL" => {
                mail.from = address(rest);
                "250 ok".to_owned()
            }
            "RCPT" if manner == Manner::Refuses => "550 no such mailbox".to_owned(),
            "RCPT" => {
                mail.to.push(address(rest));
                "250 ok".to_owned()
            }
            "DATA" => {
                say(stream, "354 go on").await?;
                mail.data = data(stream).await?;
                match manner {
                    Manner::HangsUp => return Ok(Ended::Gone),
                    Manner::IsSilent => {
                        // Until the client has enough of it.
                        let _ = self::line(stream).await?;
                        return Ok(Ended::Gone);
                    }
                    Manner::Takes | Manner::Refuses => {}
                }
                let _ = caught.send(mail.clone());
                (mail.to, mail.data) = (Vec::new(), String::new());
                "250 taken".to_owned()
            }
            "QUIT" => {
                say(stream, "221 bye").await?;
                break;
            }
            _ => "250 ok".to_owned(),
        };
        say(stream, &answer).await?;
    }
    Ok(Ended::Gone)
}

/// The address of `FROM:<a@b> …` or `TO:<a@b>`.
fn address(text: &str) -> String {
    let address = text
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    address.map_or(text, |(address, _)| address).to_owned()
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    text: &str,
) -> std::io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn line<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// What comes up to the line with a dot.
async fn data<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
