//! RSA: keys as numbers, signatures, encryption.

use getrandom::SysRng;
use rsa10::hazmat::{rsa_decrypt_and_check, rsa_encrypt};
use rsa10::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa10::{BoxedUint, Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, PrivateKey, Pss, PublicKey};

use super::der::{self, Malformed, Reader};
use super::error;
use super::hash::{Algorithm, with_digest};
use super::keys::Key;
use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// The largest modulus, in bytes: 8192 bits.
const MODULUS_BYTES_MAX: usize = 1024;
/// The padding of PKCS#1 v1.5, by OpenSSL's number.
pub(super) const PADDING_PKCS1: u64 = 1;
const PADDING_NONE: u64 = 3;
const PADDING_OAEP: u64 = 4;
pub(super) const PADDING_PSS: u64 = 6;

/// A key's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RsaKey {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
    pub(super) primes: Option<Primes>,
    /// For signatures with PSS only.
    pub(super) pss: bool,
}

/// The numbers of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primes {
    pub(super) d: Vec<u8>,
    pub(super) p: Vec<u8>,
    pub(super) q: Vec<u8>,
    pub(super) dp: Vec<u8>,
    pub(super) dq: Vec<u8>,
    pub(super) qi: Vec<u8>,
}

impl RsaKey {
    /// From PKCS#1.
    pub(super) fn from_private(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?;
        if content.number()? != 0 {
            return Err(Malformed);
        }
        let mut next = || content.integer().map(<[u8]>::to_vec);
        Self {
            n: next()?,
            e: next()?,
            primes: Some(Primes {
                d: next()?,
                p: next()?,
                q: next()?,
                dp: next()?,
                dq: next()?,
                qi: next()?,
            }),
            pss: false,
        }
        .bounded()
    }

    /// From PKCS#1.
    pub(super) fn from_public(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?;
        Self {
            n: content.integer()?.to_vec(),
            e: content.integer()?.to_vec(),
            primes: None,
            pss: false,
        }
        .bounded()
    }

    /// Numbers that are too large would only take time.
    pub(super) fn bounded(self) -> Result<Self, Malformed> {
        let numbers = self.primes.iter().flat_map(Primes::numbers);
        let sizes = numbers.chain([&self.n[..], &self.e]).map(<[u8]>::len);
        if sizes.max().is_none_or(|size| size > MODULUS_BYTES_MAX) || self.e.len() > 8 {
            return Err(Malformed);
        }
        Ok(self)
    }

    /// PKCS#1; `None` for a public key.
    pub(super) fn to_private(&self) -> Option<Vec<u8>> {
        let primes = self.primes.as_ref()?.numbers();
        let mut parts = vec![
            der::integer(&[0]),
            der::integer(&self.n),
            der::integer(&self.e),
        ];
        parts.extend(primes.map(der::integer));
        Some(der::sequence(&parts))
    }

    /// PKCS#1.
    pub(super) fn to_public(&self) -> Vec<u8> {
        der::sequence(&[der::integer(&self.n), der::integer(&self.e)])
    }

    /// Bits of the modulus.
    pub(super) fn bits(&self) -> usize {
        let zeros = self.n.first().map_or(0, |first| first.leading_zeros());
        self.n.len() * 8 - zeros as usize
    }

    fn public(&self) -> Result<PublicKey, NodeError> {
        let bits = self.n.len() as u32 * 8;
        let n = number(&self.n, bits)?;
        let e = number(&self.e, self.e.len() as u32 * 8)?;
        PublicKey::new_with_size_limits(n, e, 512..=8192).map_err(|_| invalid())
    }

    fn private(&self) -> Result<PrivateKey, NodeError> {
        let primes = self.primes.as_ref().ok_or_else(invalid)?;
        let bits = self.n.len() as u32 * 8;
        let e = number(&self.e, self.e.len() as u32 * 8)?;
        let both = vec![number(&primes.p, bits)?, number(&primes.q, bits)?];
        PrivateKey::from_components(number(&self.n, bits)?, e, number(&primes.d, bits)?, both)
            .map_err(|_| invalid())
    }

    /// A new key.
    pub(super) fn generate(bits: usize, exponent: u64) -> Result<Self, NodeError> {
        if bits < 1024 || exponent < 3 || exponent.is_multiple_of(2) {
            return Err(error(
                "ERR_OSSL_RSA_KEY_SIZE_TOO_SMALL",
                "error:02000078:rsa routines::key size too small",
            ));
        }
        let key = PrivateKey::new_with_exp(&mut SysRng, bits, BoxedUint::from(exponent))
            .map_err(|_| error("ERR_OPERATION_FAILED", "no key could be made"))?;
        let (p, q) = match key.primes() {
            [p, q] if p.as_ref() > q.as_ref() => (p, q),
            [p, q] => (q, p),
            _ => return Err(invalid()),
        };
        Self::of_primes(&key, &p.to_be_bytes(), &q.to_be_bytes())
    }

    fn of_primes(key: &PrivateKey, p: &[u8], q: &[u8]) -> Result<Self, NodeError> {
        // With the larger prime first, as others write it; the numbers that
        // follow from the primes are computed for this order.
        let bits = key.n_bits_precision();
        let both = vec![number(p, bits)?, number(q, bits)?];
        let key = PrivateKey::from_components(
            key.n().as_ref().clone(),
            key.e().clone(),
            key.d().clone(),
            both,
        )
        .map_err(|_| invalid())?;
        let document =
            rsa10::pkcs1::EncodeRsaPrivateKey::to_pkcs1_der(&key).map_err(|_| invalid())?;
        Ok(Self::from_private(document.as_bytes())?)
    }
}

fn number(bytes: &[u8], bits: u32) -> Result<BoxedUint, NodeError> {
    BoxedUint::from_be_slice(der::trimmed(bytes), bits).map_err(|_| invalid())
}

fn invalid() -> NodeError {
    error(
        "ERR_OSSL_RSA_INVALID_KEY",
        "error:02000000:rsa routines::invalid key",
    )
}

fn too_large() -> NodeError {
    error(
        "ERR_OSSL_RSA_DATA_TOO_LARGE_FOR_KEY_SIZE",
        "error:0200006E:rsa routines::data too large for key size",
    )
}

fn failed() -> NodeError {
    error(
        "ERR_OSSL_RSA_OPERATION_FAILED",
        "error:02000000:rsa routines::operation failed",
    )
}

/// The scheme of PKCS#1 v1.5 for hashes of an algorithm.
fn scheme(algorithm: Algorithm) -> Result<Pkcs1v15Sign, NodeError> {
    Ok(Pkcs1v15Sign {
        hash_len: Some(algorithm.length()),
        prefix: algorithm.signature_prefix().ok_or_else(failed)?.into(),
    })
}

/// A signature of a hash; `salt` for PSS, negative for as long as the hash
/// (-1) or as can be (-2).
pub(super) fn sign(
    key: &RsaKey,
    algorithm: Algorithm,
    hash: &[u8],
    padding: u64,
    salt: Option<i64>,
) -> Result<Vec<u8>, NodeError> {
    let room = (key.bits().saturating_sub(1)).div_ceil(8);
    let private = key.private()?;
    let signed = match padding {
        PADDING_PKCS1 => private.sign_with_rng(&mut SysRng, scheme(algorithm)?, hash),
        PADDING_PSS => {
            let most = room
                .checked_sub(algorithm.length() + 2)
                .ok_or_else(too_large)?;
            let salt = match salt.unwrap_or(-2) {
                -1 => algorithm.length(),
                ..0 => most,
                length => length as usize,
            };
            if salt > most {
                return Err(too_large());
            }
            with_digest!(algorithm, D => {
                private.sign_with_rng(&mut SysRng, Pss::<D>::new_with_salt(salt), hash)
            })
        }
        _ => return Err(illegal_padding()),
    };
    signed.map_err(|_| too_large())
}

fn illegal_padding() -> NodeError {
    error(
        "ERR_OSSL_RSA_ILLEGAL_OR_UNSUPPORTED_PADDING_MODE",
        "error:1C8000A5:Provider routines::illegal or unsupported padding mode",
    )
}

/// Whether a signature is one; `salt` as for [`sign`], -2 for any.
pub(super) fn verify(
    key: &RsaKey,
    algorithm: Algorithm,
    hash: &[u8],
    signature: &[u8],
    padding: u64,
    salt: Option<i64>,
) -> Result<bool, NodeError> {
    let public = key.public()?;
    let verified = match padding {
        PADDING_PKCS1 => public.verify(scheme(algorithm)?, hash, signature),
        PADDING_PSS => {
            let salt_len = match salt.unwrap_or(-2) {
                -1 => Some(algorithm.length()),
                ..0 => None,
                length => Some(length as usize),
            };
            with_digest!(algorithm, D => {
                let mut scheme = Pss::<D>::new();
                scheme.salt_len = salt_len;
                public.verify(scheme, hash, signature)
            })
        }
        _ => return Err(illegal_padding()),
    };
    Ok(verified.is_ok())
}

/// `(how, key, padding, data, hash, label)`: encrypts or decrypts with either
/// half of a key. `how` is `publicEncrypt`, `privateDecrypt`,
/// `privateEncrypt` or `publicDecrypt`.
pub(super) fn transform(a: &Arguments) -> Result<Value, NodeError> {
    let how = a.text(0)?;
    let Key::Rsa(key) = Key::from_der(a.bytes(1)?)? else {
        return Err(error(
            "ERR_OSSL_EVP_OPERATION_NOT_SUPPORTED_FOR_THIS_KEYTYPE",
            "error:03000096:digital envelope routines::operation not supported for this keytype",
        ));
    };
    let padding = a.count(2, 16)?;
    let data = a.bytes(3)?;
    let hash = Algorithm::of(a.text_if(4).unwrap_or("sha1"))?;
    let label: Box<[u8]> = a.bytes_if(5).unwrap_or_default().into();
    let size = key.n.len();
    let out = match (how, padding) {
        ("publicEncrypt", PADDING_PKCS1) => {
            key.public()?.encrypt(&mut SysRng, Pkcs1v15Encrypt, data)
        }
        ("publicEncrypt", PADDING_OAEP) => with_digest!(hash, D => {
            key.public()?.encrypt(&mut SysRng, Oaep::<D>::new_with_label(label), data)
        }),
        // What is no message of this key decrypts to a random one.
        ("privateDecrypt", PADDING_PKCS1) => key.private()?.decrypt(Pkcs1v15Encrypt, data),
        ("privateDecrypt", PADDING_OAEP) => with_digest!(hash, D => {
            key.private()?.decrypt(Oaep::<D>::new_with_label(label), data)
        }),
        ("privateEncrypt", PADDING_PKCS1) => {
            key.private()?
                .sign_with_rng(&mut SysRng, Pkcs1v15Sign::new_unprefixed(), data)
        }
        ("publicDecrypt", PADDING_PKCS1) => {
            let block = raw_public(&key, data)?;
            return unpadded(&block).map(Value::Bytes).ok_or_else(failed);
        }
        ("publicEncrypt" | "publicDecrypt", PADDING_NONE) => Ok(raw_public(&key, data)?),
        ("privateDecrypt" | "privateEncrypt", PADDING_NONE) => {
            let private = key.private()?;
            let block = sized(data, size)?;
            let block = number(&block, private.n_bits_precision())?;
            rsa_decrypt_and_check(&private, Some(&mut SysRng), &block)
                .map(|number| in_size(&number.to_be_bytes(), size))
        }
        _ => return Err(illegal_padding()),
    };
    let encrypts = how.ends_with("Encrypt");
    out.map(Value::Bytes)
        .map_err(|_| match (encrypts, padding) {
            (true, _) => error(
                "ERR_OSSL_RSA_DATA_TOO_LARGE_FOR_KEY_SIZE",
                "error:0200006E:rsa routines::data too large for key size",
            ),
            (false, PADDING_OAEP) => error(
                "ERR_OSSL_RSA_OAEP_DECODING_ERROR",
                "error:02000079:rsa routines::oaep decoding error",
            ),
            _ => failed(),
        })
}

fn sized(data: &[u8], size: usize) -> Result<Vec<u8>, NodeError> {
    if data.len() == size {
        return Ok(data.to_vec());
    }
    Err(if data.len() > size {
        too_large()
    } else {
        error(
            "ERR_OSSL_RSA_DATA_TOO_SMALL_FOR_KEY_SIZE",
            "error:0200007A:rsa routines::data too small for key size",
        )
    })
}

fn in_size(number: &[u8], size: usize) -> Vec<u8> {
    let number = der::trimmed(number);
    let mut padded = vec![0; size.saturating_sub(number.len())];
    padded.extend(number);
    padded
}

/// The number of the data to the power of the public exponent.
fn raw_public(key: &RsaKey, data: &[u8]) -> Result<Vec<u8>, NodeError> {
    let public = key.public()?;
    let block = sized(data, key.n.len())?;
    let block = number(&block, public.n_bits_precision())?;
    if block >= *public.n().as_ref() {
        return Err(failed());
    }
    let number = rsa_encrypt(&public, &block).map_err(|_| failed())?;
    Ok(in_size(&number.to_be_bytes(), key.n.len()))
}

/// The content of a block that was padded for a signature.
fn unpadded(block: &[u8]) -> Option<Vec<u8>> {
    let padding = block.strip_prefix(&[0, 1])?;
    let filled = padding.iter().take_while(|byte| **byte == 0xff).count();
    let content = padding[filled..].strip_prefix(&[0])?;
    (filled >= 8).then(|| content.to_vec())
}
