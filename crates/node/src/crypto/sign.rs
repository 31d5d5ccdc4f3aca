//! Signatures of every kind of key, and agreements between two keys.

use ed25519_dalek3::Signer as _;

use super::der::{self, Malformed, Reader};
use super::error;
use super::hash::Algorithm;
use super::keys::Key;
use super::rsa::{self, PADDING_PKCS1, PADDING_PSS};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// What both operations take: `(algorithm, data, key, padding, saltLength, raw)`.
struct Request<'a> {
    algorithm: Option<Algorithm>,
    data: &'a [u8],
    key: Key,
    padding: Option<u64>,
    salt: Option<i64>,
    /// Whether the two numbers of an ECDSA signature are one after the other,
    /// not in DER.
    raw: bool,
}

impl<'a> Request<'a> {
    fn of(a: &Arguments<'a>) -> Result<Self, NodeError> {
        Ok(Self {
            algorithm: a.text_if(0).map(Algorithm::of).transpose()?,
            data: a.bytes(1)?,
            key: Key::from_der(a.bytes(2)?)?,
            padding: a.number(3).ok().map(|padding| padding as u64),
            salt: a.number(4).ok().map(|salt| salt as i64),
            raw: a.flag(5),
        })
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Sha256)
    }

    fn padding(&self, pss: bool) -> u64 {
        let usual = if pss { PADDING_PSS } else { PADDING_PKCS1 };
        self.padding.unwrap_or(usual)
    }
}

fn not_supported() -> NodeError {
    error(
        "ERR_CRYPTO_UNSUPPORTED_OPERATION",
        "Unsupported crypto operation",
    )
}

/// A request to a signature.
pub(super) fn sign(a: &Arguments) -> Result<Value, NodeError> {
    let request = Request::of(a)?;
    let algorithm = request.algorithm();
    let failed = || error("ERR_OPERATION_FAILED", "the key cannot sign");
    let signature = match &request.key {
        Key::Rsa(key) => rsa::sign(
            key,
            algorithm,
            &algorithm.digest(request.data),
            request.padding(key.pss),
            request.salt,
        )?,
        Key::Ec { curve, secret, .. } => {
            let secret = secret.as_ref().ok_or_else(failed)?;
            let hash = algorithm.digest(request.data);
            let numbers = curve.sign(secret, &hash).ok_or_else(failed)?;
            if request.raw {
                numbers
            } else {
                let (r, s) = numbers.split_at(curve.size());
                der::sequence(&[der::integer(r), der::integer(s)])
            }
        }
        Key::Edwards {
            signs: true,
            secret: Some(secret),
            ..
        } if request.algorithm.is_none() => ed25519_dalek3::SigningKey::from_bytes(secret)
            .sign(request.data)
            .to_bytes()
            .to_vec(),
        Key::Edwards { .. } => return Err(not_supported()),
    };
    Ok(Value::Bytes(signature))
}

/// A request and a signature to whether it is one.
pub(super) fn verify(a: &Arguments) -> Result<Value, NodeError> {
    let request = Request::of(a)?;
    let signature = a.bytes(6)?;
    let algorithm = request.algorithm();
    let sound = match &request.key {
        Key::Rsa(key) => rsa::verify(
            key,
            algorithm,
            &algorithm.digest(request.data),
            signature,
            request.padding(key.pss),
            request.salt,
        )?,
        Key::Ec { curve, point, .. } => {
            let hash = algorithm.digest(request.data);
            let numbers = if request.raw {
                Some(signature.to_vec())
            } else {
                split(signature, |number| curve.padded(number)).ok()
            };
            numbers.is_some_and(|numbers| curve.verify(point, &hash, &numbers))
        }
        Key::Edwards {
            signs: true,
            public,
            ..
        } if request.algorithm.is_none() => {
            let key = ed25519_dalek3::VerifyingKey::from_bytes(public);
            let signature = ed25519_dalek3::Signature::from_slice(signature);
            match (key, signature) {
                (Ok(key), Ok(signature)) => key.verify_strict(request.data, &signature).is_ok(),
                _ => false,
            }
        }
        Key::Edwards { .. } => return Err(not_supported()),
    };
    Ok(Value::Bool(sound))
}

/// The two numbers of an ECDSA signature in DER, each padded.
fn split(
    signature: &[u8],
    padded: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, Malformed> {
    let mut outer = Reader::new(signature);
    let mut content = outer.sequence()?;
    let mut numbers = padded(content.integer()?).ok_or(Malformed)?;
    numbers.extend(padded(content.integer()?).ok_or(Malformed)?);
    if content.is_empty() && outer.is_empty() {
        Ok(numbers)
    } else {
        Err(Malformed)
    }
}

/// `(private, public)` to what the two keys have in common.
pub(super) fn agree(a: &Arguments) -> Result<Value, NodeError> {
    let keys = (Key::from_der(a.bytes(0)?)?, Key::from_der(a.bytes(1)?)?);
    let shared = match keys {
        (
            Key::Ec {
                curve,
                secret: Some(secret),
                ..
            },
            Key::Ec {
                curve: other,
                point,
                ..
            },
        ) if curve == other => curve.agree(&secret, &point),
        (
            Key::Edwards {
                signs: false,
                secret: Some(secret),
                ..
            },
            Key::Edwards {
                signs: false,
                public,
                ..
            },
        ) => {
            let shared = x25519_dalek::StaticSecret::from(secret)
                .diffie_hellman(&x25519_dalek::PublicKey::from(public));
            shared
                .was_contributory()
                .then(|| shared.as_bytes().to_vec())
        }
        _ => {
            return Err(error(
                "ERR_CRYPTO_INCOMPATIBLE_KEY",
                "Incompatible key types for Diffie-Hellman",
            ));
        }
    };
    shared
        .map(Value::Bytes)
        .ok_or_else(|| error("ERR_OPERATION_FAILED", "diffieHellman failed"))
}
