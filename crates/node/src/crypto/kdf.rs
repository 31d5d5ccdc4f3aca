//! Keys from passwords and from other keys.

use hkdf13::SimpleHkdf;
use hmac13::SimpleHmac;

use super::hash::{Algorithm, with_digest};
use super::{BYTES_MAX, error, zeroed};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

/// Memory that scrypt may take, in bytes: what a function may have, about.
const SCRYPT_BYTES_MAX: u64 = 256 << 20;

/// `(algorithm, password, salt, iterations, length)` to bytes.
pub(super) fn pbkdf2(a: &Arguments) -> Result<Value, NodeError> {
    let algorithm = Algorithm::of(a.text(0)?)?;
    let (password, salt) = (a.bytes(1)?, a.bytes(2)?);
    let iterations = a.count(3, u64::from(u32::MAX))? as u32;
    let mut key = zeroed(a.count(4, BYTES_MAX as u64)? as usize)?;
    pbkdf2_into(algorithm, password, salt, iterations, &mut key);
    Ok(Value::Bytes(key))
}

pub(super) fn pbkdf2_into(
    algorithm: Algorithm,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    key: &mut [u8],
) {
    // Those that are used have a faster way.
    match algorithm {
        Algorithm::Sha1 => pbkdf2::pbkdf2_hmac::<sha1_11::Sha1>(password, salt, iterations, key),
        Algorithm::Sha256 => {
            pbkdf2::pbkdf2_hmac::<sha2_11::Sha256>(password, salt, iterations, key);
        }
        Algorithm::Sha512 => {
            pbkdf2::pbkdf2_hmac::<sha2_11::Sha512>(password, salt, iterations, key);
        }
        other => with_digest!(other, D => {
            // Fails for keys of wrong lengths; none is.
            let _ = pbkdf2::pbkdf2::<SimpleHmac<D>>(password, salt, iterations, key);
        }),
    }
}

/// `(password, salt, N, r, p, length)` to bytes.
pub(super) fn scrypt(a: &Arguments) -> Result<Value, NodeError> {
    let (password, salt) = (a.bytes(0)?, a.bytes(1)?);
    let n = a.count(2, 1 << 32)?;
    let r = a.count(3, 1 << 30)?;
    let p = a.count(4, 1 << 30)?;
    let wrong = || NodeError {
        name: "RangeError",
        message: "Invalid scrypt params".to_owned(),
        code: "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
    };
    if n < 2 || !n.is_power_of_two() {
        return Err(wrong());
    }
    let memory = n.saturating_mul(r).saturating_add(r.saturating_mul(p));
    let memory = memory.saturating_mul(128);
    if memory > SCRYPT_BYTES_MAX {
        return Err(NodeError {
            message: "Invalid scrypt params: memory limit exceeded".to_owned(),
            ..wrong()
        });
    }
    // The algorithm itself cannot say that there is no memory.
    drop(zeroed(memory as usize)?);
    let params = scrypt::Params::new(n.ilog2() as u8, r as u32, p as u32).map_err(|_| wrong())?;
    let mut key = zeroed(a.count(5, BYTES_MAX as u64)? as usize)?;
    if !key.is_empty() {
        scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| wrong())?;
    }
    Ok(Value::Bytes(key))
}

/// `(algorithm, key, salt, info, length)` to bytes.
pub(super) fn hkdf(a: &Arguments) -> Result<Value, NodeError> {
    let algorithm = Algorithm::of(a.text(0)?)?;
    let (key, salt, info) = (a.bytes(1)?, a.bytes(2)?, a.bytes(3)?);
    let mut out = zeroed(a.count(4, BYTES_MAX as u64)? as usize)?;
    with_digest!(algorithm, D => {
        SimpleHkdf::<D>::new(Some(salt), key).expand(info, &mut out)
    })
    .map_err(|_| NodeError {
        name: "RangeError",
        message: "Invalid key length".to_owned(),
        code: "ERR_CRYPTO_INVALID_KEYLEN",
    })?;
    Ok(Value::Bytes(out))
}

/// `(password, keyLength, ivLength)` to a list of both: how OpenSSL once made
/// keys of passwords, with MD5, one round and no salt.
pub(super) fn bytes_to_key(a: &Arguments) -> Result<Value, NodeError> {
    let (key, iv) = legacy_key(
        a.bytes(0)?,
        &[],
        a.count(1, 64)? as usize,
        a.count(2, 64)? as usize,
    );
    Ok(Value::List(vec![Value::Bytes(key), Value::Bytes(iv)]))
}

/// The key and the initialization vector of a password, as OpenSSL made them.
pub(super) fn legacy_key(
    password: &[u8],
    salt: &[u8],
    key_length: usize,
    iv_length: usize,
) -> (Vec<u8>, Vec<u8>) {
    let (mut made, mut block) = (Vec::new(), Vec::new());
    while made.len() < key_length + iv_length {
        block.extend(password);
        block.extend(salt);
        block = Algorithm::Md5.digest(&block);
        made.extend(&block);
    }
    let iv = made[key_length..key_length + iv_length].to_vec();
    made.truncate(key_length);
    (made, iv)
}

/// `(password, salt, cost)` to the 24 bytes of bcrypt's hash. The password is
/// what the caller makes of it, its closing zero included.
pub(super) fn bcrypt(a: &Arguments) -> Result<Value, NodeError> {
    let password = a.bytes(0)?;
    let salt: [u8; 16] = a
        .bytes(1)?
        .try_into()
        .map_err(|_| NodeError::new("Illegal salt length"))?;
    let cost = a.count(2, 31)? as u32;
    if cost < 4 || password.is_empty() {
        return Err(error(
            "",
            format!("Illegal number of rounds (4-31): {cost}"),
        ));
    }
    let password = &password[..password.len().min(72)];
    Ok(Value::Bytes(bcrypt::bcrypt(cost, salt, password).to_vec()))
}
