//! Keys to PEM, DER and JSON web keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::keys::Key;
use super::pbes;
use crate::arguments::Arguments;
use crate::{NodeError, Value};

fn wrong_type(kind: &str, why: &str) -> NodeError {
    NodeError {
        name: "Error",
        message: format!("The selected key encoding {kind} {why}."),
        code: "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS",
    }
}

/// `(key, format, type, cipher, passphrase)` to text for PEM, bytes for DER,
/// an object for `jwk`.
pub(super) fn export(a: &Arguments) -> Result<Value, NodeError> {
    let key = Key::from_der(a.bytes(0)?)?;
    let format = a.text(1)?;
    if format == "jwk" {
        return jwk(&key);
    }
    let kind = a.text(2)?;
    let protection = match (a.text_if(3), a.bytes_if(4)) {
        (Some(cipher), Some(passphrase)) => Some((cipher, passphrase)),
        _ => None,
    };
    let (mut label, mut content) = encoded(&key, kind)?;
    let mut headers = String::new();
    if let Some((cipher, passphrase)) = protection {
        if kind == "pkcs8" {
            label = "ENCRYPTED PRIVATE KEY";
            content = pbes::encrypt(&content, cipher, passphrase)?;
        } else if format == "pem" && key.is_private() {
            let (info, sealed) = pbes::encrypt_legacy(&content, cipher, passphrase)?;
            headers = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: {info}\n\n");
            content = sealed;
        } else {
            return Err(wrong_type(kind, "does not support encryption"));
        }
    }
    Ok(if format == "pem" {
        Value::Text(pem(label, &headers, &content))
    } else {
        Value::Bytes(content)
    })
}

/// A key's DER of a type, and its label in PEM.
fn encoded(key: &Key, kind: &str) -> Result<(&'static str, Vec<u8>), NodeError> {
    let only = |what: &str| wrong_type(kind, &format!("can only be used for {what} keys"));
    Ok(match (kind, key) {
        ("pkcs8", _) => (
            "PRIVATE KEY",
            key.to_pkcs8().ok_or_else(|| only("private"))?,
        ),
        ("sec1", _) => (
            "EC PRIVATE KEY",
            key.to_sec1(true).ok_or_else(|| only("EC"))?,
        ),
        ("spki", _) => ("PUBLIC KEY", key.to_spki()),
        ("pkcs1", Key::Rsa(rsa)) => match rsa.to_private() {
            Some(content) => ("RSA PRIVATE KEY", content),
            None => ("RSA PUBLIC KEY", rsa.to_public()),
        },
        ("pkcs1", _) => return Err(only("RSA")),
        _ => return Err(wrong_type(kind, "is not known")),
    })
}

fn pem(label: &str, headers: &str, content: &[u8]) -> String {
    let encoded = STANDARD.encode(content);
    let mut out = format!("-----BEGIN {label}-----\n{headers}");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, later) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = later;
    }
    out + "-----END " + label + "-----\n"
}

fn jwk(key: &Key) -> Result<Value, NodeError> {
    let mut fields = Vec::new();
    let mut put = |name: &str, text: String| fields.push((name.to_owned(), Value::Text(text)));
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match key {
        Key::Rsa(rsa) if rsa.pss => {
            return Err(NodeError {
                name: "Error",
                message: "Unsupported JWK Key Type.".to_owned(),
                code: "ERR_CRYPTO_JWK_UNSUPPORTED_KEY_TYPE",
            });
        }
        Key::Rsa(rsa) => {
            put("kty", "RSA".to_owned());
            put("n", base64(&rsa.n));
            put("e", base64(&rsa.e));
            let names = ["d", "p", "q", "dp", "dq", "qi"];
            if let Some(primes) = &rsa.primes {
                for (name, number) in names.into_iter().zip(primes.numbers()) {
                    put(name, base64(number));
                }
            }
        }
        Key::Ec {
            curve,
            point,
            secret,
        } => {
            let (x, y) = point[1..].split_at(curve.size());
            put("kty", "EC".to_owned());
            put("x", base64(x));
            put("y", base64(y));
            put("crv", curve.jwk().to_owned());
            if let Some(secret) = secret {
                put("d", base64(secret));
            }
        }
        Key::Edwards {
            signs,
            public,
            secret,
        } => {
            put("crv", if *signs { "Ed25519" } else { "X25519" }.to_owned());
            if let Some(secret) = secret {
                put("d", base64(secret));
            }
            put("x", base64(public));
            put("kty", "OKP".to_owned());
        }
    }
    Ok(Value::Map(fields))
}
