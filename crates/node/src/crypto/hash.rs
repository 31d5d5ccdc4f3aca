//! Hash functions by the names that Node knows, and HMAC.

use hmac13::{KeyInit as _, Mac, SimpleHmac};
use shake::digest::{ExtendableOutput, Update};

use super::{BYTES_MAX, zeroed};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Ripemd160,
    Blake2b512,
    Blake2s256,
}

/// Runs `$body` with `$D` as the type of a hash function.
macro_rules! with_digest {
    ($algorithm:expr, $D:ident => $body:expr) => {{
        use $crate::crypto::hash::Algorithm;
        match $algorithm {
            Algorithm::Md5 => {
                type $D = md_5_11::Md5;
                $body
            }
            Algorithm::Sha1 => {
                type $D = sha1_11::Sha1;
                $body
            }
            Algorithm::Sha224 => {
                type $D = sha2_11::Sha224;
                $body
            }
            Algorithm::Sha256 => {
                type $D = sha2_11::Sha256;
                $body
            }
            Algorithm::Sha384 => {
                type $D = sha2_11::Sha384;
                $body
            }
            Algorithm::Sha512 => {
                type $D = sha2_11::Sha512;
                $body
            }
            Algorithm::Sha512_224 => {
                type $D = sha2_11::Sha512_224;
                $body
            }
            Algorithm::Sha512_256 => {
                type $D = sha2_11::Sha512_256;
                $body
            }
            Algorithm::Sha3_224 => {
                type $D = sha3::Sha3_224;
                $body
            }
            Algorithm::Sha3_256 => {
                type $D = sha3::Sha3_256;
                $body
            }
            Algorithm::Sha3_384 => {
                type $D = sha3::Sha3_384;
                $body
            }
            Algorithm::Sha3_512 => {
                type $D = sha3::Sha3_512;
                $body
            }
            Algorithm::Ripemd160 => {
                type $D = ripemd::Ripemd160;
                $body
            }
            Algorithm::Blake2b512 => {
                type $D = blake2::Blake2b512;
                $body
            }
            Algorithm::Blake2s256 => {
                type $D = blake2::Blake2s256;
                $body
            }
        }
    }};
}
pub(super) use with_digest;

impl Algorithm {
    /// Finds a hash function by any of its names, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("rsa-").unwrap_or(&name);
        let name = name.strip_suffix("withrsaencryption").unwrap_or(name);
        let name = name.strip_suffix("withrsa").unwrap_or(name);
        Some(match name {
            "md5" | "ssl3-md5" => Self::Md5,
            "sha1" | "sha-1" | "ssl3-sha1" | "ecdsa-with-sha1" => Self::Sha1,
            "sha224" | "sha-224" | "sha2-224" => Self::Sha224,
            "sha256" | "sha-256" | "sha2-256" => Self::Sha256,
            "sha384" | "sha-384" | "sha2-384" => Self::Sha384,
            "sha512" | "sha-512" | "sha2-512" => Self::Sha512,
            "sha512-224" | "sha512/224" | "sha-512/224" | "sha512-224t" => Self::Sha512_224,
            "sha512-256" | "sha512/256" | "sha-512/256" => Self::Sha512_256,
            "sha3-224" => Self::Sha3_224,
            "sha3-256" => Self::Sha3_256,
            "sha3-384" => Self::Sha3_384,
            "sha3-512" => Self::Sha3_512,
            "ripemd160" | "ripemd" | "rmd160" | "ripemd-160" => Self::Ripemd160,
            "blake2b512" | "blake2b-512" => Self::Blake2b512,
            "blake2s256" | "blake2s-256" => Self::Blake2s256,
            _ => return None,
        })
    }

    /// The hash function that an argument names.
    pub(super) fn of(name: &str) -> Result<Self, NodeError> {
        Self::named(name).ok_or_else(|| NodeError {
            name: "TypeError",
            message: format!("Invalid digest: {name}"),
            code: "ERR_CRYPTO_INVALID_DIGEST",
        })
    }

    /// What stands before a hash in a signature of PKCS#1 v1.5: the DER of
    /// `DigestInfo` up to the hash itself.
    pub(super) fn signature_prefix(self) -> Option<Vec<u8>> {
        // The last parts of the identifiers below 2.16.840.1.101.3.4.2.
        let nist = |last: u8| vec![0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last];
        let identifier = match self {
            Self::Md5 => vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05],
            Self::Sha1 => vec![0x2b, 0x0e, 0x03, 0x02, 0x1a],
            Self::Ripemd160 => vec![0x2b, 0x24, 0x03, 0x02, 0x01],
            Self::Sha256 => nist(1),
            Self::Sha384 => nist(2),
            Self::Sha512 => nist(3),
            Self::Sha224 => nist(4),
            Self::Sha512_224 => nist(5),
            Self::Sha512_256 => nist(6),
            Self::Sha3_224 => nist(7),
            Self::Sha3_256 => nist(8),
            Self::Sha3_384 => nist(9),
            Self::Sha3_512 => nist(10),
            Self::Blake2b512 | Self::Blake2s256 => return None,
        };
        let hash = self.length() as u8;
        let id = identifier.len() as u8;
        let mut prefix = vec![0x30, id + hash + 8, 0x30, id + 4, 0x06, id];
        prefix.extend(identifier);
        prefix.extend([0x05, 0x00, 0x04, hash]);
        Some(prefix)
    }

    /// Bytes of a hash.
    pub(super) fn length(self) -> usize {
        with_digest!(self, D => <D as sha2_11::Digest>::output_size())
    }

    pub(super) fn digest(self, data: &[u8]) -> Vec<u8> {
        with_digest!(self, D => <D as sha2_11::Digest>::digest(data).to_vec())
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        with_digest!(self, D => match SimpleHmac::<D>::new_from_slice(key) {
            Ok(mut mac) => {
                Mac::update(&mut mac, data);
                mac.finalize().into_bytes().to_vec()
            }
            // A key of any length will do.
            Err(_) => Vec::new(),
        })
    }
}

/// Bytes that a hash function of any length has when nobody says how many.
fn extendable(name: &str) -> Option<usize> {
    match name.to_ascii_lowercase().as_str() {
        "shake128" => Some(16),
        "shake256" => Some(32),
        _ => None,
    }
}

fn extended<D: Default + Update + ExtendableOutput>(data: &[u8], out: &mut [u8]) {
    let mut hash = D::default();
    hash.update(data);
    hash.finalize_xof_into(out);
}

/// `(algorithm, data, length)` to a hash; the length is for those of any length.
pub(super) fn hash(a: &Arguments) -> Result<Value, NodeError> {
    if let Some(usual) = extendable(a.text(0)?) {
        let length = match a.get(2) {
            Value::Undefined => usual,
            _ => a.count(2, BYTES_MAX as u64)? as usize,
        };
        let mut out = zeroed(length)?;
        if usual == 16 {
            extended::<shake::Shake128>(a.bytes(1)?, &mut out);
        } else {
            extended::<shake::Shake256>(a.bytes(1)?, &mut out);
        }
        return Ok(Value::Bytes(out));
    }
    Ok(Value::Bytes(Algorithm::of(a.text(0)?)?.digest(a.bytes(1)?)))
}

/// `(algorithm, any)` to the bytes of its hashes; undefined for one that is not
/// known. `any`: also those of any length.
pub(super) fn info(a: &Arguments) -> Result<Value, NodeError> {
    let name = a.text(0)?;
    let any = a.flag(1).then(|| extendable(name)).flatten();
    let length = any.or_else(|| Algorithm::named(name).map(Algorithm::length));
    Ok(length.map_or(Value::Undefined, |length| Value::Number(length as f64)))
}

/// `(algorithm, key, data)` to a message authentication code.
pub(super) fn hmac(a: &Arguments) -> Result<Value, NodeError> {
    Ok(Value::Bytes(
        Algorithm::of(a.text(0)?)?.hmac(a.bytes(1)?, a.bytes(2)?),
    ))
}
