//! Connections of TCP and TLS: bytes to a host and back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{EgressError, Http, Tls};

/// Longest handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Boxed = Box<dyn Stream>;

/// An open connection. Reading and writing go on beside each other; dropping it
/// closes it.
pub struct Connection {
    /// This side of it, if that is known.
    pub local: Option<SocketAddr>,
    /// The other side.
    pub peer: Option<SocketAddr>,
    /// How it is secured; `None` for plain TCP.
    pub secured: Option<Secured>,
    reading: Mutex<Option<ReadHalf<Boxed>>>,
    writing: Mutex<Option<WriteHalf<Boxed>>>,
    /// Set when whoever reads or writes is to let go.
    stop: watch::Sender<bool>,
    /// Its place among those that may be open.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

/// How a connection is secured.
#[derive(Debug, Clone, Default)]
pub struct Secured {
    /// Such as `TLSv1.3`.
    pub protocol: String,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// What was agreed on to be spoken, such as `h2`; empty for nothing.
    pub alpn: Vec<u8>,
    /// The other side's certificates as DER, its own first.
    pub certificates: Vec<Vec<u8>>,
}

fn closed() -> EgressError {
    EgressError::Broken {
        why: "the connection is closed".to_owned(),
        code: "EPIPE",
    }
}

impl Connection {
    pub(crate) fn new(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        ends: [Option<SocketAddr>; 2],
        secured: Option<Secured>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (reading, writing) = split(Box::new(stream) as Boxed);
        let [local, peer] = ends;
        Self {
            local,
            peer,
            secured,
            reading: Mutex::new(Some(reading)),
            writing: Mutex::new(Some(writing)),
            stop: watch::Sender::new(false),
            place: Mutex::new(place),
        }
    }

    /// Reads what is there, `most` bytes at most, and what comes within `pause`
    /// of what came before; waits for the first byte. `None` at the end.
    ///
    /// # Errors
    /// [`EgressError::Broken`] when the connection broke or was closed here.
    pub async fn read(&self, most: usize, pause: Duration) -> Result<Option<Bytes>, EgressError> {
        self.unless_closed(self.read_some(most, pause)).await
    }

    async fn read_some(&self, most: usize, pause: Duration) -> Result<Option<Bytes>, EgressError> {
        let mut reading = self.reading.lock().await;
        let half = reading.as_mut().ok_or_else(closed)?;
        let mut bytes = BytesMut::new();
        while bytes.len() < most {
            bytes.reserve(READ_BYTES.min(most - bytes.len()));
            let first = bytes.is_empty();
            let room = most - bytes.len();
            let mut room = (&mut bytes).limit(room);
            let more = half.read_buf(&mut room);
            let read = if first {
                more.await
            } else {
                match timeout(pause, more).await {
                    Ok(read) => read,
                    Err(_) => break,
                }
            };
            match read {
                // The end, or the error, comes again at the next read.
                Ok(0) | Err(_) if !bytes.is_empty() => break,
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // Many end TLS without saying so.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(EgressError::broken(&error)),
            }
        }
        Ok(Some(bytes.freeze()))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn write(&self, bytes: &[u8]) -> Result<(), EgressError> {
        let written = async {
            let mut writing = self.writing.lock().await;
            let half = writing.as_mut().ok_or_else(closed)?;
            let written = match half.write_all(bytes).await {
                Ok(()) => half.flush().await,
                Err(error) => Err(error),
            };
            written.map_err(|error| EgressError::broken(&error))
        };
        self.unless_closed(written).await
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn end(&self) -> Result<(), EgressError> {
        let ended = async {
            let mut writing = self.writing.lock().await;
            let half = writing.as_mut().ok_or_else(closed)?;
            let ended = half.shutdown().await;
            ended.map_err(|error| EgressError::broken(&error))
        };
        self.unless_closed(ended).await
    }

    async fn unless_closed<T>(
        &self,
        work: impl Future<Output = Result<T, EgressError>>,
    ) -> Result<T, EgressError> {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            // Whoever closes it waits for no byte.
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(closed()),
            done = work => done,
        }
    }

    /// Closes it, whoever still reads or writes.
    pub fn close(&self) {
        self.stop.send_replace(true);
    }

    /// The bare stream, which nobody reads or writes here any more.
    async fn take_stream(&self) -> Result<(Boxed, Option<OwnedSemaphorePermit>), EgressError> {
        self.close();
        let reading = self.reading.lock().await.take();
        let writing = self.writing.lock().await.take();
        match (reading, writing) {
            (Some(reading), Some(writing)) => {
                Ok((reading.unsplit(writing), self.place.lock().await.take()))
            }
            _ => Err(closed()),
        }
    }
}

impl Http {
    /// Connects to a host, by name or address.
    ///
    /// # Errors
    /// [`EgressError`]: why there is no connection.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection, EgressError> {
        let place = self.place()?;
        let stream = self.connector().tcp(host, port).await?;
        let ends = [stream.local_addr().ok(), stream.peer_addr().ok()];
        Ok(Connection::new(stream, ends, None, Some(place)))
    }

    /// Goes on with TLS over a connection, to what proves to be `name`. Whoever
    /// still reads the plain one gets an error.
    ///
    /// # Errors
    /// [`EgressError::Unreachable`] when the handshake fails.
    pub async fn secure(
        &self,
        plain: &Connection,
        name: &str,
        tls: &Tls,
    ) -> Result<Connection, EgressError> {
        let config = self.tls_config(tls).await?;
        let refused = |why: String, code| EgressError::Unreachable { why, code };
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| refused(format!("'{name}' is no name of a server"), "EPROTO"))?;
        let (stream, place) = plain.take_stream().await?;
        let shaking = TlsConnector::from(config).connect(server, stream);
        let stream = match timeout(HANDSHAKE, shaking).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(EgressError::unreachable(name, &error)),
            Err(_) => {
                let why = format!("'{name}' does not answer to TLS");
                return Err(refused(why, "ETIMEDOUT"));
            }
        };
        let secured = Secured::of(&stream);
        let ends = [plain.local, plain.peer];
        Ok(Connection::new(stream, ends, Some(secured), place))
    }
}

impl Secured {
    fn of<S>(stream: &TlsStream<S>) -> Self {
        let session = stream.get_ref().1;
        let debug = |value: Option<String>| value.unwrap_or_default();
        let protocol = debug(session.protocol_version().map(|it| format!("{it:?}")));
        let cipher = session.negotiated_cipher_suite();
        let cipher = debug(cipher.map(|it| format!("{:?}", it.suite())));
        Self {
            protocol: protocol.replace("TLSv1_", "TLSv1."),
            cipher: cipher.replace("TLS13_", "TLS_"),
            alpn: session.alpn_protocol().unwrap_or_default().to_vec(),
            certificates: session
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        }
    }
}
