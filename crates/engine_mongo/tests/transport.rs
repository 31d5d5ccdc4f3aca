//! What a URI says of the transport: TLS and compression.

use std::process::{Command, Stdio};

use bson::doc;
use engine_mongo::{Mongo, Settings};

use crate::server::{Server, ok};

/// A certificate for 127.0.0.1 that is its own authority, in a file with its
/// key, or `None` without the `openssl` program.
fn certificate(folder: &std::path::Path) -> Option<String> {
    let (key, cert) = (folder.join("key.pem"), folder.join("cert.pem"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=backstitch test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args([
            "-keyout".as_ref(),
            key.as_os_str(),
            "-out".as_ref(),
            cert.as_os_str(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("left out: no openssl to make a certificate");
        return None;
    }
    let read = |file| std::fs::read_to_string(file).expect("a file");
    let both = folder.join("both.pem");
    std::fs::write(&both, read(&key) + &read(&cert)).expect("writes");
    Some(both.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_certificates_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(file) = certificate(folder.path()) else {
        return;
    };
    let tls = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &file];
    let allow = [
        "--tlsAllowConnectionsWithoutCertificates",
        "--tlsCAFile",
        &file,
    ];
    let Some(server) = Server::launch(&[tls.as_slice(), &allow].concat()) else {
        return;
    };
    let authority = folder.path().join("cert.pem");
    let trusting = format!("&tls=true&tlsCAFile={}", authority.display());
    let mongo = server.connect(&trusting).await;
    ok(
        &mongo,
        "d",
        doc! { "insert": "c", "documents": [{ "_id": 1 }] },
    )
    .await;
    for (options, says) in [("&tls=true", "certificate"), ("", "")] {
        let uri = server.uri(&format!("{options}&serverSelectionTimeoutMS=500"));
        let error = Mongo::connect(Settings::new(uri)).await.err();
        let error = error.expect("no connection");
        assert_eq!(error.code, 133, "{error:?}");
        assert!(error.message.contains(says), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_say_the_same() {
    let Some(server) = Server::start(&["--networkMessageCompressors", "snappy,zlib"]).await else {
        return;
    };
    let text = "say it again ".repeat(10_000);
    for (id, compressor) in (0..).zip(["snappy", "zlib"]) {
        let mongo = server.connect(&format!("&compressors={compressor}")).await;
        let document = doc! { "_id": id, "text": &text };
        ok(
            &mongo,
            "d",
            doc! { "insert": "c", "documents": [&document] },
        )
        .await;
        let found = ok(&mongo, "d", doc! { "find": "c", "filter": { "_id": id } }).await;
        let batch = found
            .get_document("cursor")
            .and_then(|c| c.get_array("firstBatch"));
        assert_eq!(batch.expect("a batch")[0].as_document(), Some(&document));
        let status = ok(&mongo, "admin", doc! { "serverStatus": 1 }).await;
        let used = status
            .get_document("network")
            .and_then(|network| network.get_document("compression"))
            .and_then(|all| all.get_document(compressor))
            .and_then(|one| one.get_document("decompressor"))
            .and_then(|figures| figures.get_i64("bytesOut"));
        assert!(
            used.is_ok_and(|bytes| bytes > 100_000),
            "{compressor} is used"
        );
    }
}
