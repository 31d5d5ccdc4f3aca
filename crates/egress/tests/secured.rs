//! Connections of TLS: whose certificates are trusted.

use std::sync::Arc;

use egress::{EgressError, Exchange, Http, Request, Roots, Settings, Tls};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::server::{LIMITS, give, ok, settings};

/// How a server proves that it is `localhost` by an authority of its own, and the
/// authority's certificate.
pub(crate) fn authority() -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (config, authority.pem())
}

/// A server with such a certificate; its port and the authority's certificate.
pub(crate) async fn server() -> (u16, String) {
    let (config, authority) = authority();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            give(&mut stream, ok("secured")).await;
        }
    });
    (port, authority)
}

#[tokio::test]
async fn certificates_are_of_the_system_or_of_the_operator() {
    let (port, authority) = server().await;
    let trusting = |roots: Roots| {
        Http::new(Settings {
            roots,
            ..settings(&["127.0.0.1"])
        })
    };
    let own = trusting(Roots::from_pem(authority.as_bytes()).unwrap());
    let url = format!("https://localhost:{port}/");
    let answer = own.send(Request::get(&url), LIMITS).await.unwrap();
    assert_eq!(answer.body, "secured");
    // The certificate is for another name.
    let error = own
        .send(Request::get(format!("https://127.0.0.1:{port}/")), LIMITS)
        .await;
    let Err(EgressError::Unreachable { why, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(why.contains("certificate"), "{why}");
    // Nobody said that this authority is trusted.
    let error = trusting(Roots::default())
        .send(Request::get(&url), LIMITS)
        .await;
    let Err(EgressError::Unreachable { why, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(why.contains("certificate"), "{why}");
}

/// One request whose connection is secured without a look at certificates.
fn unverified(alpn: &[&str]) -> Tls {
    Tls {
        unverified: true,
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..Tls::default()
    }
}

#[tokio::test]
async fn what_a_request_speaks_is_not_its_writer_s_to_say() {
    let (port, _) = server().await;
    let http = Http::new(settings(&["127.0.0.1"]));
    let exchange = Exchange {
        tls: Some(unverified(&["h2", "http/1.1"])),
        body_bytes: 100,
        ..Exchange::default()
    };
    let url = format!("https://localhost:{port}/");
    let answer = http.open(Request::get(url), exchange).await.unwrap();
    assert_eq!(answer.version, "1.1");
}

#[tokio::test]
async fn sessions_agree_on_http2_or_fail() {
    let (mut config, _) = authority();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let answer = async |_: hyper::Request<Incoming>| {
                Ok::<_, hyper::Error>(hyper::Response::new(Empty::<Bytes>::new()))
            };
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    let http = Http::new(settings(&["127.0.0.1"]));
    let session = http.session(Some(&unverified(&[])), None).await.unwrap();
    let asked = async |port: u16| {
        let exchange = Exchange {
            session: Some(session.clone()),
            body_bytes: 100,
            ..Exchange::default()
        };
        let url = format!("https://localhost:{port}/");
        http.open(Request::get(url), exchange).await
    };
    assert_eq!(asked(port).await.unwrap().version, "2.0");
    // One that speaks HTTP/1.1 only.
    let (old, _) = server().await;
    assert!(asked(old).await.is_err());
}

#[test]
fn roots_are_certificates() {
    for wrong in [
        "",
        "text",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Roots::from_pem(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
