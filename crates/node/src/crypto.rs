//! The native half of Node's `crypto`: hashes, ciphers, keys, signatures.
//!
//! Keys cross as DER: PKCS#8 for private ones, SPKI for public ones.

mod certificates;
mod cipher;
mod curves;
mod der;
mod export;
mod hash;
mod import;
mod kdf;
mod keys;
mod pbes;
mod rsa;
mod sign;

use getrandom::SysRng;
use getrandom::rand_core::TryRng as _;

use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// Bytes that one operation makes at most.
const BYTES_MAX: usize = 64 << 20;

/// Runs `crypto.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let a = Arguments(arguments);
    Some(match name {
        "random" => random(&a),
        "equal" => equal(&a),
        "hash" => hash::hash(&a),
        "hash.info" => hash::info(&a),
        "hmac" => hash::hmac(&a),
        "pbkdf2" => kdf::pbkdf2(&a),
        "scrypt" => kdf::scrypt(&a),
        "hkdf" => kdf::hkdf(&a),
        "bytesToKey" => kdf::bytes_to_key(&a),
        "bcrypt" => kdf::bcrypt(&a),
        "cipher.info" => cipher::info(&a),
        "cipher.run" => cipher::run(&a),
        "cipher.tag" => cipher::tag(&a),
        "cipher.wrap" => cipher::wrap(&a),
        "certificate" => certificates::read(&a),
        "key.import" => import::import(&a),
        "key.export" => export::export(&a),
        "key.point" => keys::point(&a),
        "key.public" => keys::public(&a),
        "key.generate" => keys::generate(&a),
        "dh" => sign::agree(&a),
        "sign" => sign::sign(&a),
        "verify" => sign::verify(&a),
        "rsa" => rsa::transform(&a),
        _ => return None,
    })
}

impl<'a> Arguments<'a> {
    /// `None` for a value that is not there.
    fn bytes_if(&self, index: usize) -> Option<&'a [u8]> {
        self.bytes(index).ok()
    }

    /// `None` for a value that is not there.
    fn text_if(&self, index: usize) -> Option<&'a str> {
        self.text(index).ok()
    }

    /// A count of at most `max`.
    fn count(&self, index: usize, max: u64) -> Result<u64, NodeError> {
        let n = self.number(index)?;
        if n >= 0.0 && n.fract() == 0.0 && n <= max as f64 {
            return Ok(n as u64);
        }
        Err(NodeError {
            name: "RangeError",
            message: format!("a number must be a count of at most {max}"),
            code: "ERR_OUT_OF_RANGE",
        })
    }
}

fn error(code: &'static str, message: impl Into<String>) -> NodeError {
    NodeError {
        name: "Error",
        message: message.into(),
        code,
    }
}

/// Memory for a result, refused where there is none.
fn zeroed(length: usize) -> Result<Vec<u8>, NodeError> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| error("ERR_MEMORY_ALLOCATION_FAILED", "Failed to allocate memory"))?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A copy that an operation changes in place.
fn copied(bytes: &[u8]) -> Result<Vec<u8>, NodeError> {
    let mut copy = zeroed(bytes.len())?;
    copy.copy_from_slice(bytes);
    Ok(copy)
}

fn random_into(bytes: &mut [u8]) -> Result<(), NodeError> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|_| error("ERR_OPERATION_FAILED", "no random bytes can be had"))
}

/// `(length)` to bytes.
fn random(a: &Arguments) -> Result<Value, NodeError> {
    let mut bytes = zeroed(a.count(0, BYTES_MAX as u64)? as usize)?;
    random_into(&mut bytes)?;
    Ok(Value::Bytes(bytes))
}

/// `(bytes, bytes)` to whether they are the same, in a time that does not tell where they differ.
fn equal(a: &Arguments) -> Result<Value, NodeError> {
    let same = subtle::ConstantTimeEq::ct_eq(a.bytes(0)?, a.bytes(1)?);
    Ok(Value::Bool(same.into()))
}
