//! Private keys that a passphrase protects: PBES2 around PKCS#8, and the
//! older form in the headers of PEM.

use super::der::{self, Malformed, Reader};
use super::hash::Algorithm;
use super::kdf::{legacy_key, pbkdf2_into};
use super::{cipher, error, random_into};
use crate::NodeError;

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
/// Identifiers of ciphers, with their names.
const CIPHERS: [(&[u8], &str); 4] = [
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02],
        "aes-128-cbc",
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16],
        "aes-192-cbc",
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a],
        "aes-256-cbc",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07],
        "des-ede3-cbc",
    ),
];
/// What OpenSSL takes.
const ITERATIONS: u32 = 2048;

fn unknown_cipher() -> NodeError {
    error("ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher")
}

/// The content of an `EncryptedPrivateKeyInfo`.
pub(super) fn decrypt(bytes: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, NodeError> {
    let mut content = Reader::new(bytes).sequence()?;
    let mut algorithm = content.sequence()?;
    let sealed = content.value(der::OCTETS)?;
    if algorithm.value(der::IDENTIFIER)? != PBES2 {
        return Err(Malformed.into());
    }
    let mut parameters = algorithm.sequence()?;
    let mut derivation = parameters.sequence()?;
    if derivation.value(der::IDENTIFIER)? != PBKDF2 {
        return Err(Malformed.into());
    }
    let mut derivation = derivation.sequence()?;
    let salt = derivation.value(der::OCTETS)?;
    let iterations = derivation.number()?;
    if derivation.peek() == der::INTEGER {
        derivation.skip()?;
    }
    let hash = if derivation.is_empty() {
        Algorithm::Sha1
    } else {
        match derivation.sequence()?.value(der::IDENTIFIER)? {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, last] => match last {
                7 => Algorithm::Sha1,
                8 => Algorithm::Sha224,
                9 => Algorithm::Sha256,
                10 => Algorithm::Sha384,
                11 => Algorithm::Sha512,
                _ => return Err(Malformed.into()),
            },
            _ => return Err(Malformed.into()),
        }
    };
    let mut encryption = parameters.sequence()?;
    let identifier = encryption.value(der::IDENTIFIER)?;
    let iv = encryption.value(der::OCTETS)?;
    let known = CIPHERS.iter().find(|(known, _)| *known == identifier);
    let name = known.ok_or_else(unknown_cipher)?.1;
    let (key_length, _) = cipher::cbc_lengths(name).ok_or_else(unknown_cipher)?;
    let mut key = vec![0; key_length];
    pbkdf2_into(hash, passphrase, salt, iterations, &mut key);
    cipher::cbc(name, false, &key, iv, sealed)
}

/// PKCS#8 as an `EncryptedPrivateKeyInfo`.
pub(super) fn encrypt(
    pkcs8: &[u8],
    cipher_name: &str,
    passphrase: &[u8],
) -> Result<Vec<u8>, NodeError> {
    let name = cipher_name.to_ascii_lowercase();
    let known = CIPHERS.iter().find(|(_, known)| {
        *known == name || known.replacen('-', "", 1).strip_suffix("-cbc") == Some(&name)
    });
    let (identifier, name) = known.ok_or_else(unknown_cipher)?;
    let (key_length, iv_length) = cipher::cbc_lengths(name).ok_or_else(unknown_cipher)?;
    let (mut salt, mut iv) = ([0; 16], vec![0; iv_length]);
    random_into(&mut salt)?;
    random_into(&mut iv)?;
    let mut key = vec![0; key_length];
    pbkdf2_into(Algorithm::Sha256, passphrase, &salt, ITERATIONS, &mut key);
    let sealed = cipher::cbc(name, true, &key, &iv, pkcs8)?;
    let derivation = der::sequence(&[
        der::value(der::OCTETS, &salt),
        der::integer(&ITERATIONS.to_be_bytes()),
        der::algorithm(HMAC_SHA256, &[der::NULL, 0]),
    ]);
    let parameters = der::sequence(&[
        der::algorithm(PBKDF2, &derivation),
        der::algorithm(identifier, &der::value(der::OCTETS, &iv)),
    ]);
    Ok(der::sequence(&[
        der::algorithm(PBES2, &parameters),
        der::value(der::OCTETS, &sealed),
    ]))
}

/// The content of a PEM whose header names a cipher and its vector, as in
/// `AES-128-CBC,0011…`.
pub(super) fn decrypt_legacy(
    info: &str,
    sealed: &[u8],
    passphrase: &[u8],
) -> Result<Vec<u8>, NodeError> {
    let (name, iv) = info.trim().split_once(',').ok_or(Malformed)?;
    let iv = hex::decode(iv.trim()).map_err(|_| Malformed)?;
    let (key_length, iv_length) = cipher::cbc_lengths(name).ok_or_else(unknown_cipher)?;
    if iv.len() != iv_length {
        return Err(Malformed.into());
    }
    let (key, _) = legacy_key(passphrase, &iv[..8], key_length, 0);
    cipher::cbc(name, false, &key, &iv, sealed)
}

/// Content for such a PEM, and the header's value.
pub(super) fn encrypt_legacy(
    content: &[u8],
    cipher_name: &str,
    passphrase: &[u8],
) -> Result<(String, Vec<u8>), NodeError> {
    let (key_length, iv_length) = cipher::cbc_lengths(cipher_name).ok_or_else(unknown_cipher)?;
    let mut iv = vec![0; iv_length];
    random_into(&mut iv)?;
    let (key, _) = legacy_key(passphrase, &iv[..8], key_length, 0);
    let sealed = cipher::cbc(cipher_name, true, &key, &iv, content)?;
    let hex = hex::encode_upper(&iv);
    let name = match cipher_name.to_ascii_uppercase() {
        name if name.ends_with("-CBC") => name,
        // Short names have no mode, nor a line before the bits.
        name => format!("{}-CBC", name.replace("AES", "AES-").replace("--", "-")),
    };
    Ok((format!("{name},{hex}"), sealed))
}
