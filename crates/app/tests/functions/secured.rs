//! TLS as functions speak it: whom they trust, and how a plain connection
//! becomes a secured one.

use std::sync::Arc;

use bson::bson;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::World;

/// Who proves to be `localhost` by an authority of its own, and the authority.
fn authority() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"mail".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

/// A server that begins in clear when the first line is `STARTTLS`, and else
/// with TLS, and then answers one request or line.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut first = [0; 1];
    stream.peek(&mut first).await?;
    let mut stream = stream;
    if first[0] == b'S' {
        let mut line = [0; 10];
        stream.read_exact(&mut line).await?;
        stream.write_all(b"220 go ahead\r\n").await?;
    }
    answer(acceptor.accept(stream).await?).await
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if line.starts_with("GET") {
            while line.trim_end() != "" {
                line.clear();
                stream.read_line(&mut line).await?;
            }
            let text = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsecured";
            stream.write_all(text.as_bytes()).await?;
        } else {
            stream.write_all(line.to_uppercase().as_bytes()).await?;
        }
        stream.flush().await?;
    }
}

const FUNCTION: &str = r"
exports = async (port, ca) => {
  const https = require('https');
  const net = require('net');
  const tls = require('tls');
  const out = {};
  const ask = (options) => new Promise((done) => {
    https.get({ hostname: 'localhost', port, ...options }, (answer) => {
      let text = '';
      answer.on('data', (bytes) => { text += bytes; });
      answer.on('end', () => done([answer.statusCode, text]));
    }).on('error', (error) => done(error.code));
  });
  out.unknown = await ask({});
  out.trusted = await ask({ ca });
  out.agent = await ask({ agent: new https.Agent({ ca: [ca] }) });
  out.unchecked = await ask({ rejectUnauthorized: false });
  out.forgotten = await ask({});
  out.name = await ask({ hostname: '127.0.0.1', ca });
  out.named = await ask({ hostname: '127.0.0.1', ca, servername: 'localhost' });
  out.own = await ask({ agent: new (class extends https.Agent {
    createConnection(options) { return tls.connect({ host: options.host, port: options.port, ca }); }
  })() });
  out.fetch = await fetch(`https://localhost:${port}/`).catch((error) => [error.message, error.cause.code]);
  const talk = (socket, event) => new Promise((done) => {
    socket.on(event, () => socket.write('hello\n'));
    socket.on('data', (bytes) => {
      done([String(bytes), socket.authorized, socket.getProtocol(), socket.alpnProtocol, socket.encrypted, socket.getPeerCertificate().raw.length > 100]);
      socket.end();
    });
    socket.on('error', (error) => done(error.code));
  });
  out.tls = await talk(tls.connect({ host: 'localhost', port, ca, ALPNProtocols: ['mail'] }), 'secureConnect');
  out.refused = await talk(tls.connect(port, 'localhost'), 'secureConnect');
  out.callback = await new Promise((done) => {
    const socket = tls.connect(port, 'localhost', { ca }, () => { done(socket.authorized); socket.destroy(); });
  });
  out.upgraded = await new Promise((done) => {
    const plain = net.connect(port, 'localhost', () => plain.write('STARTTLS\r\n'));
    plain.once('data', (bytes) => {
      plain.removeAllListeners('data');
      const socket = tls.connect({ socket: plain, ca, servername: 'localhost' });
      talk(socket, 'secureConnect').then((said) => done([String(bytes), ...said]));
    });
  });
  return JSON.stringify(out);
};";

#[tokio::test(flavor = "multi_thread")]
async fn functions_speak_tls_to_whom_they_trust() {
    let (acceptor, authority) = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = i32::from(listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), stream));
        }
    });
    let outbound = super::network::reaching(&["127.0.0.1"]);
    let world = World::reaching(&[("secured", "", FUNCTION)], &[], 16, 20_000, outbound).await;
    let out = super::network::told(&world, "secured", bson!([port, authority])).await;
    let unknown = "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
    let answered = serde_json::json!([200, "secured"]);
    for (what, wanted) in [
        ("unknown", unknown.into()),
        ("trusted", answered.clone()),
        ("agent", answered.clone()),
        ("unchecked", answered.clone()),
        ("forgotten", unknown.into()),
        ("name", "ERR_TLS_CERT_ALTNAME_INVALID".into()),
        ("named", answered.clone()),
        ("own", answered.clone()),
        ("fetch", serde_json::json!(["fetch failed", unknown])),
        (
            "tls",
            serde_json::json!(["HELLO\n", true, "TLSv1.3", "mail", true, true]),
        ),
        ("refused", unknown.into()),
        ("callback", true.into()),
        (
            "upgraded",
            serde_json::json!([
                "220 go ahead\r\n",
                "HELLO\n",
                true,
                "TLSv1.3",
                false,
                true,
                true
            ]),
        ),
    ] {
        assert_eq!(out[what], wanted, "{what}");
    }
}
