//! Keys from PEM, DER and JSON web keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::curves::Curve;
use super::der::{self, Malformed, Reader};
use super::keys::{Key, unsupported};
use super::pbes;
use super::rsa::{Primes, RsaKey};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// A PEM block.
struct Block<'a> {
    label: &'a str,
    /// The value of `DEK-Info` where there is one.
    protected: Option<&'a str>,
    content: Vec<u8>,
}

/// `(kind, data, format, type, passphrase)` to a key, described. `kind` is
/// `private` or `public`; the public key of a private one is taken for the
/// latter.
pub(super) fn import(a: &Arguments) -> Result<Value, NodeError> {
    let private = a.text(0)? == "private";
    let passphrase = a.bytes_if(4);
    let key = match (a.get(1), a.text(2)?) {
        (Value::Map(fields), "jwk") => of_jwk(fields, private)?,
        (Value::Bytes(bytes), "der") => {
            of_der(bytes, private, a.text_if(3).unwrap_or_default(), passphrase)?
        }
        (Value::Bytes(bytes), "pem") => of_pem(bytes, private, passphrase)?,
        _ => return Err(unsupported()),
    };
    match (private, key.is_private()) {
        (true, false) => Err(unsupported()),
        (false, true) => Ok(key.to_public().described()),
        _ => Ok(key.described()),
    }
}

fn no_passphrase() -> NodeError {
    NodeError {
        name: "TypeError",
        message: "Passphrase required for encrypted key".to_owned(),
        code: "ERR_MISSING_PASSPHRASE",
    }
}

fn of_der(
    bytes: &[u8],
    private: bool,
    kind: &str,
    passphrase: Option<&[u8]>,
) -> Result<Key, NodeError> {
    let pkcs8 = || {
        // An encrypted key has an algorithm where others have their version.
        if Reader::new(bytes).sequence()?.peek() == der::SEQUENCE {
            let content = pbes::decrypt(bytes, passphrase.ok_or_else(no_passphrase)?)?;
            return Ok(Key::from_pkcs8(&content)?);
        }
        Ok(Key::from_pkcs8(bytes)?)
    };
    match kind {
        "pkcs1" if private => Ok(Key::Rsa(RsaKey::from_private(bytes)?)),
        "pkcs1" => Ok(RsaKey::from_public(bytes)
            .or_else(|_| RsaKey::from_private(bytes))
            .map(Key::Rsa)?),
        "sec1" => Ok(Key::from_sec1(bytes, None)?),
        "pkcs8" => pkcs8(),
        _ if private => pkcs8(),
        _ => Ok(Key::from_spki(bytes).or_else(|_| Key::from_certificate(bytes))?),
    }
}

fn of_pem(bytes: &[u8], private: bool, passphrase: Option<&[u8]>) -> Result<Key, NodeError> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    while let Some(block) = next_block(&mut rest)? {
        let content = match block.protected {
            Some(info) => {
                pbes::decrypt_legacy(info, &block.content, passphrase.ok_or_else(no_passphrase)?)?
            }
            None => block.content,
        };
        return Ok(match block.label {
            "PRIVATE KEY" => Key::from_pkcs8(&content)?,
            "ENCRYPTED PRIVATE KEY" => {
                let passphrase = passphrase.ok_or_else(no_passphrase)?;
                Key::from_pkcs8(&pbes::decrypt(&content, passphrase)?)?
            }
            "RSA PRIVATE KEY" => Key::Rsa(RsaKey::from_private(&content)?),
            "EC PRIVATE KEY" => Key::from_sec1(&content, None)?,
            "PUBLIC KEY" if !private => Key::from_spki(&content)?,
            "RSA PUBLIC KEY" if !private => Key::Rsa(RsaKey::from_public(&content)?),
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" if !private => {
                Key::from_certificate(&content)?
            }
            // Such as the parameters of a curve before its key.
            _ => continue,
        });
    }
    Err(unsupported())
}

/// The content of the first block with a label.
pub(super) fn pem_content(bytes: &[u8], label: &str) -> Result<Vec<u8>, Malformed> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    while let Some(block) = next_block(&mut rest)? {
        if block.label == label {
            return Ok(block.content);
        }
    }
    Err(Malformed)
}

/// The next block of a text; `None` when there is none.
fn next_block<'a>(rest: &mut &'a str) -> Result<Option<Block<'a>>, Malformed> {
    let Some((_, after)) = rest.split_once("-----BEGIN ") else {
        return Ok(None);
    };
    let (label, after) = after.split_once("-----").ok_or(Malformed)?;
    let (body, after) = after.split_once("-----END ").ok_or(Malformed)?;
    *rest = after;
    let mut protected = None;
    let mut encoded = String::new();
    for line in body.lines() {
        match line.split_once(':') {
            Some(("DEK-Info", value)) => protected = Some(value),
            Some(_) => {}
            None => encoded.extend(line.chars().filter(|c| !c.is_whitespace() && *c != '=')),
        }
    }
    let content = STANDARD_NO_PAD.decode(encoded).map_err(|_| Malformed)?;
    Ok(Some(Block {
        label,
        protected,
        content,
    }))
}

fn invalid_jwk() -> NodeError {
    NodeError {
        name: "TypeError",
        message: "Invalid JWK data".to_owned(),
        code: "ERR_CRYPTO_INVALID_JWK",
    }
}

fn of_jwk(fields: &[(String, Value)], private: bool) -> Result<Key, NodeError> {
    let text = |name: &str| {
        fields.iter().find_map(|(field, value)| match value {
            Value::Text(text) if field == name => Some(text.as_str()),
            _ => None,
        })
    };
    let bytes = |name: &str| {
        let text = text(name).ok_or_else(invalid_jwk)?;
        let text = text
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_");
        URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid_jwk())
    };
    let private = private || text("d").is_some();
    match text("kty") {
        Some("RSA") => {
            let number = |name| bytes(name).map(|number| der::trimmed(&number).to_vec());
            let primes = if private {
                Some(Primes {
                    d: number("d")?,
                    p: number("p")?,
                    q: number("q")?,
                    dp: number("dp")?,
                    dq: number("dq")?,
                    qi: number("qi")?,
                })
            } else {
                None
            };
            let key = RsaKey {
                n: number("n")?,
                e: number("e")?,
                primes,
                pss: false,
            };
            key.bounded().map(Key::Rsa).map_err(|_| invalid_jwk())
        }
        Some("EC") => {
            let curve = text("crv")
                .and_then(Curve::named)
                .ok_or_else(|| NodeError {
                    name: "TypeError",
                    message: "Invalid JWK EC key".to_owned(),
                    code: "ERR_CRYPTO_INVALID_JWK",
                })?;
            if private {
                return Key::ec(curve, &bytes("d")?).map_err(|_| invalid_jwk());
            }
            let mut point = vec![4];
            for coordinate in ["x", "y"] {
                let number = curve.padded(&bytes(coordinate)?);
                point.extend(number.ok_or_else(invalid_jwk)?);
            }
            let point = curve.point(&point).ok_or_else(|| NodeError {
                message: "Invalid JWK EC key".to_owned(),
                ..invalid_jwk()
            })?;
            Ok(Key::Ec {
                curve,
                point,
                secret: None,
            })
        }
        Some("OKP") => {
            let signs = match text("crv") {
                Some("Ed25519") => true,
                Some("X25519") => false,
                _ => return Err(invalid_jwk()),
            };
            let number = |name| {
                let number: Result<[u8; 32], _> = bytes(name)?.try_into();
                number.map_err(|_| invalid_jwk())
            };
            if private {
                return Ok(Key::edwards(signs, number("d")?));
            }
            Ok(Key::Edwards {
                signs,
                public: number("x")?,
                secret: None,
            })
        }
        _ => Err(invalid_jwk()),
    }
}
