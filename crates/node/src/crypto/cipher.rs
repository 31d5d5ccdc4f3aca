//! Ciphers. What is between two calls is in the arguments: the state of the
//! mode, and how many bytes went before.

use aes::{Aes128, Aes192, Aes256};
use chacha20::ChaCha20;
use cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use des::{Des, TdesEde2, TdesEde3};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use poly1305::Poly1305;

use super::{copied, error};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc,
    Cfb,
    Cfb8,
    Ofb,
    Ctr,
    Gcm,
    Wrap,
    ChaCha,
    ChaChaPoly,
}

/// A cipher of a name.
struct Named {
    /// As Node prints it.
    name: String,
    mode: Mode,
    /// Bytes of its key.
    key: usize,
    /// Bytes of its blocks; one for streams.
    block: usize,
    family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Aes,
    Des,
    TripleDes,
    ChaCha,
}

impl Named {
    /// Finds a cipher by any of its names, in any case.
    fn find(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("id-").unwrap_or(&name);
        let make = |family, printed: &str, key, block, mode| {
            Some(Self {
                name: printed.to_owned(),
                mode,
                key,
                block,
                family,
            })
        };
        match name {
            "chacha20" => return make(Family::ChaCha, name, 32, 1, Mode::ChaCha),
            "chacha20-poly1305" => return make(Family::ChaCha, name, 32, 1, Mode::ChaChaPoly),
            "des-ede3" => return make(Family::TripleDes, name, 24, 8, Mode::Ecb),
            "des-ede" => return make(Family::TripleDes, name, 16, 8, Mode::Ecb),
            "des3" => return make(Family::TripleDes, "des-ede3-cbc", 24, 8, Mode::Cbc),
            "des" => return make(Family::Des, "des-cbc", 8, 8, Mode::Cbc),
            _ => {}
        }
        if let Some(mode) = name.strip_prefix("des-ede3-") {
            return make(Family::TripleDes, name, 24, 8, block_mode(mode)?);
        }
        if let Some(mode) = name.strip_prefix("des-ede-") {
            return make(Family::TripleDes, name, 16, 8, block_mode(mode)?);
        }
        if let Some(mode) = name.strip_prefix("des-") {
            return make(Family::Des, name, 8, 8, block_mode(mode)?);
        }
        let rest = name.strip_prefix("aes")?;
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let (bits, mode) = rest.split_at_checked(3)?;
        let key = match bits {
            "128" => 16,
            "192" => 24,
            "256" => 32,
            _ => return None,
        };
        let mode = match mode.strip_prefix('-').unwrap_or(mode) {
            "" => Mode::Cbc,
            "ctr" => Mode::Ctr,
            "gcm" => Mode::Gcm,
            "wrap" => Mode::Wrap,
            other => block_mode(other)?,
        };
        let printed = match mode {
            Mode::Gcm => format!("id-aes{bits}-gcm"),
            Mode::Wrap => format!("id-aes{bits}-wrap"),
            Mode::Cbc => format!("aes-{bits}-cbc"),
            _ => name.to_owned(),
        };
        make(Family::Aes, &printed, key, 16, mode)
    }

    fn of(name: &str) -> Result<Self, NodeError> {
        Self::find(name).ok_or_else(|| error("ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher"))
    }

    fn blocks(&self, key: &[u8]) -> Result<Box<dyn Blocks>, NodeError> {
        fn made<C: Blocks + KeyInit + 'static>(key: &[u8]) -> Result<Box<dyn Blocks>, NodeError> {
            match C::new_from_slice(key) {
                Ok(cipher) => Ok(Box::new(cipher)),
                Err(_) => Err(bad_key()),
            }
        }
        match (self.family, self.key) {
            (Family::Aes, 16) => made::<Aes128>(key),
            (Family::Aes, 24) => made::<Aes192>(key),
            (Family::Aes, _) => made::<Aes256>(key),
            (Family::Des, _) => made::<Des>(key),
            (Family::TripleDes, 16) => made::<TdesEde2>(key),
            (Family::TripleDes, _) => made::<TdesEde3>(key),
            (Family::ChaCha, _) => Err(bad_key()),
        }
    }

    /// Bytes of its initialization vector; zero for none.
    fn iv(&self) -> usize {
        match self.mode {
            Mode::Ecb => 0,
            Mode::Gcm | Mode::ChaChaPoly => 12,
            Mode::Wrap => 8,
            Mode::ChaCha => 16,
            _ => self.block,
        }
    }
}

fn block_mode(name: &str) -> Option<Mode> {
    Some(match name {
        "ecb" => Mode::Ecb,
        "cbc" => Mode::Cbc,
        "cfb" | "cfb128" | "cfb64" => Mode::Cfb,
        "cfb8" => Mode::Cfb8,
        "ofb" => Mode::Ofb,
        _ => return None,
    })
}

fn bad_key() -> NodeError {
    NodeError {
        name: "RangeError",
        message: "Invalid key length".to_owned(),
        code: "ERR_CRYPTO_INVALID_KEYLEN",
    }
}

fn bad_iv() -> NodeError {
    NodeError {
        name: "TypeError",
        message: "Invalid initialization vector".to_owned(),
        code: "ERR_CRYPTO_INVALID_IV",
    }
}

/// A block cipher with its key; data is whole blocks.
trait Blocks {
    fn encrypt(&self, data: &mut [u8]);
    fn decrypt(&self, data: &mut [u8]);
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt> Blocks for C {
    fn encrypt(&self, data: &mut [u8]) {
        self.encrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
    }

    fn decrypt(&self, data: &mut [u8]) {
        self.decrypt_blocks(Block::<C>::slice_as_chunks_mut(data).0);
    }
}

/// `(name)` to what is known of a cipher; undefined for one that is not known.
pub(super) fn info(a: &Arguments) -> Result<Value, NodeError> {
    let Some(named) = Named::find(a.text(0)?) else {
        return Ok(Value::Undefined);
    };
    let mode = match named.mode {
        Mode::Ecb => "ecb",
        Mode::Cbc => "cbc",
        Mode::Cfb | Mode::Cfb8 => "cfb",
        Mode::Ofb => "ofb",
        Mode::Ctr => "ctr",
        Mode::Gcm => "gcm",
        Mode::Wrap => "wrap",
        Mode::ChaCha | Mode::ChaChaPoly => "stream",
    };
    let authenticated = matches!(named.mode, Mode::Gcm | Mode::ChaChaPoly);
    Ok(Value::Map(vec![
        ("name".to_owned(), Value::Text(named.name.clone())),
        ("mode".to_owned(), Value::Text(mode.to_owned())),
        ("keyLength".to_owned(), Value::Number(named.key as f64)),
        ("ivLength".to_owned(), Value::Number(named.iv() as f64)),
        ("blockSize".to_owned(), Value::Number(named.block as f64)),
        ("authenticated".to_owned(), Value::Bool(authenticated)),
    ]))
}

/// `(name, encrypt, key, state, position, data)` to `[data, state]`. The first
/// state is the initialization vector; `position` is how many bytes went
/// before. For ECB and CBC data is whole blocks.
pub(super) fn run(a: &Arguments) -> Result<Value, NodeError> {
    let named = Named::of(a.text(0)?)?;
    let encrypt = a.flag(1);
    let (key, mut state) = (a.bytes(2)?, a.bytes(3)?.to_vec());
    let position = a.count(4, 1 << 40)?;
    let mut data = copied(a.bytes(5)?)?;
    if key.len() != named.key {
        return Err(bad_key());
    }
    let fixed = !matches!(named.mode, Mode::Gcm | Mode::Ecb);
    if (fixed && state.len() != named.iv()) || (named.mode == Mode::Gcm && state.is_empty()) {
        return Err(bad_iv());
    }
    match named.mode {
        Mode::ChaCha | Mode::ChaChaPoly => {
            let (start, nonce) = if named.mode == Mode::ChaCha {
                let counter = [state[0], state[1], state[2], state[3]];
                (u64::from(u32::from_le_bytes(counter)), &state[4..])
            } else {
                (1, &state[..])
            };
            let mut cipher = ChaCha20::new_from_slices(key, nonce).map_err(|_| bad_iv())?;
            let too_long = |_| error("", "too much data for one key");
            cipher
                .try_seek(start * 64 + position)
                .map_err(|_| error("", "too much data for one key"))?;
            cipher.try_apply_keystream(&mut data).map_err(too_long)?;
        }
        Mode::Ctr => {
            let counter: [u8; 16] = state[..].try_into().map_err(|_| bad_iv())?;
            counters(&*named.blocks(key)?, counter, false, position, &mut data);
        }
        Mode::Gcm => {
            let blocks = named.blocks(key)?;
            let start = gcm_start(&*blocks, &state);
            counters(&*blocks, start, true, position + 16, &mut data);
        }
        Mode::Wrap => return Err(error("", "keys are wrapped at once")),
        _ => chained(&named, encrypt, key, &mut state, position, &mut data)?,
    }
    Ok(Value::List(vec![Value::Bytes(data), Value::Bytes(state)]))
}

/// The modes in which a block depends on those before, and ECB.
fn chained(
    named: &Named,
    encrypt: bool,
    key: &[u8],
    state: &mut Vec<u8>,
    position: u64,
    data: &mut [u8],
) -> Result<(), NodeError> {
    let blocks = named.blocks(key)?;
    let size = named.block;
    let whole = matches!(named.mode, Mode::Ecb | Mode::Cbc);
    if whole && !data.len().is_multiple_of(size) {
        return Err(error(
            "ERR_OSSL_WRONG_FINAL_BLOCK_LENGTH",
            "error:1C80006B:Provider routines::wrong final block length",
        ));
    }
    match (named.mode, encrypt) {
        (Mode::Ecb, true) => blocks.encrypt(data),
        (Mode::Ecb, false) => blocks.decrypt(data),
        (Mode::Cbc, true) => {
            for block in data.chunks_exact_mut(size) {
                xor(block, state);
                blocks.encrypt(block);
                state.copy_from_slice(block);
            }
        }
        (Mode::Cbc, false) => {
            let sealed = copied(data)?;
            blocks.decrypt(data);
            for (block, sealed) in data.chunks_exact_mut(size).zip(sealed.chunks_exact(size)) {
                xor(block, state);
                state.copy_from_slice(sealed);
            }
        }
        (Mode::Cfb8, _) => {
            for byte in data {
                let mut pad = state.clone();
                blocks.encrypt(&mut pad);
                let sealed = if encrypt { *byte ^ pad[0] } else { *byte };
                *byte ^= pad[0];
                state.remove(0);
                state.push(sealed);
            }
        }
        // Cipher feedback, and output feedback.
        _ => {
            let mut at = (position % size as u64) as usize;
            for byte in data {
                if at == 0 {
                    blocks.encrypt(state);
                }
                let out = *byte ^ state[at];
                if named.mode == Mode::Cfb {
                    state[at] = if encrypt { out } else { *byte };
                }
                *byte = out;
                at = (at + 1) % size;
            }
        }
    }
    Ok(())
}

fn xor(data: &mut [u8], with: &[u8]) {
    for (byte, with) in data.iter_mut().zip(with) {
        *byte ^= with;
    }
}

/// Counter mode from a position on; `short` for a counter of 32 bits.
fn counters(blocks: &dyn Blocks, first: [u8; 16], short: bool, position: u64, data: &mut [u8]) {
    const CHUNK: usize = 128;
    let first = u128::from_be_bytes(first);
    let counter = |n: u64| {
        let low = u128::from((first as u32).wrapping_add(n as u32));
        let next = if short {
            (first & !u128::from(u32::MAX)) | low
        } else {
            first.wrapping_add(u128::from(n))
        };
        next.to_be_bytes()
    };
    let mut n = position / 16;
    let mut skip = (position % 16) as usize;
    let mut rest = data;
    let mut pad = [0; CHUNK];
    while !rest.is_empty() {
        for block in pad.chunks_exact_mut(16) {
            block.copy_from_slice(&counter(n));
            n += 1;
        }
        blocks.encrypt(&mut pad);
        let taken = rest.len().min(CHUNK - skip);
        let (now, later) = rest.split_at_mut(taken);
        xor(now, &pad[skip..]);
        rest = later;
        skip = 0;
    }
}

fn gcm_hash(blocks: &dyn Blocks) -> GHash {
    let mut h = [0; 16];
    blocks.encrypt(&mut h);
    GHash::new(&h.into())
}

/// The counter that a nonce begins at.
fn gcm_start(blocks: &dyn Blocks, iv: &[u8]) -> [u8; 16] {
    let mut start = [0; 16];
    if iv.len() == 12 {
        start[..12].copy_from_slice(iv);
        start[15] = 1;
        return start;
    }
    let mut hash = gcm_hash(blocks);
    hash.update_padded(iv);
    start[8..].copy_from_slice(&(iv.len() as u64 * 8).to_be_bytes());
    hash.update(&[start.into()]);
    hash.finalize().into()
}

/// `(name, key, iv, authenticated, sealed)` to the tag of sixteen bytes.
pub(super) fn tag(a: &Arguments) -> Result<Value, NodeError> {
    let named = Named::of(a.text(0)?)?;
    let (key, iv) = (a.bytes(1)?, a.bytes(2)?);
    let (extra, sealed) = (a.bytes(3)?, a.bytes(4)?);
    Ok(Value::Bytes(match named.mode {
        Mode::Gcm => {
            let blocks = named.blocks(key)?;
            let mut hash = gcm_hash(&*blocks);
            hash.update_padded(extra);
            hash.update_padded(sealed);
            let bits = |bytes: &[u8]| (bytes.len() as u64 * 8).to_be_bytes();
            let mut lengths = [0; 16];
            lengths[..8].copy_from_slice(&bits(extra));
            lengths[8..].copy_from_slice(&bits(sealed));
            hash.update(&[lengths.into()]);
            let mut tag: [u8; 16] = hash.finalize().into();
            counters(&*blocks, gcm_start(&*blocks, iv), true, 0, &mut tag);
            tag.to_vec()
        }
        Mode::ChaChaPoly => {
            let mut first = [0; 32];
            let mut stream = ChaCha20::new_from_slices(key, iv).map_err(|_| bad_iv())?;
            stream.apply_keystream(&mut first);
            let mut hash = Poly1305::new(&first.into());
            hash.update_padded(extra);
            hash.update_padded(sealed);
            let mut lengths = [0; 16];
            lengths[..8].copy_from_slice(&(extra.len() as u64).to_le_bytes());
            lengths[8..].copy_from_slice(&(sealed.len() as u64).to_le_bytes());
            hash.update(&[lengths.into()]);
            hash.finalize().to_vec()
        }
        _ => return Err(error("ERR_CRYPTO_INVALID_STATE", "this cipher has no tag")),
    }))
}

/// `(name, encrypt, key, iv, data)` to a key wrapped by a key (RFC 3394), or back.
pub(super) fn wrap(a: &Arguments) -> Result<Value, NodeError> {
    let named = Named::of(a.text(0)?)?;
    let (encrypt, key) = (a.flag(1), a.bytes(2)?);
    let first: [u8; 8] = a.bytes(3)?.try_into().map_err(|_| bad_iv())?;
    let data = a.bytes(4)?;
    if named.mode != Mode::Wrap {
        return Err(error("ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher"));
    }
    let blocks = named.blocks(key)?;
    let least = if encrypt { 16 } else { 24 };
    let failed = || {
        error(
            "ERR_OSSL_EVP_CIPHER_OPERATION_FAILED",
            "Cipher operation failed",
        )
    };
    if data.len() < least || !data.len().is_multiple_of(8) {
        return Err(failed());
    }
    let mut block = [0; 16];
    let (mut check, mut parts) = if encrypt {
        (first, data.to_vec())
    } else {
        let mut check = [0; 8];
        check.copy_from_slice(&data[..8]);
        (check, data[8..].to_vec())
    };
    let count = parts.len() / 8;
    for round in 0..6 * count {
        let step = if encrypt {
            round
        } else {
            6 * count - 1 - round
        };
        let at = step % count * 8;
        let number = (step as u64 + 1).to_be_bytes();
        if !encrypt {
            xor(&mut check, &number);
        }
        block[..8].copy_from_slice(&check);
        block[8..].copy_from_slice(&parts[at..at + 8]);
        if encrypt {
            blocks.encrypt(&mut block);
        } else {
            blocks.decrypt(&mut block);
        }
        check.copy_from_slice(&block[..8]);
        if encrypt {
            xor(&mut check, &number);
        }
        parts[at..at + 8].copy_from_slice(&block[8..]);
    }
    if encrypt {
        let mut wrapped = check.to_vec();
        wrapped.extend(parts);
        return Ok(Value::Bytes(wrapped));
    }
    let same: bool = subtle::ConstantTimeEq::ct_eq(&check[..], &first[..]).into();
    if same {
        Ok(Value::Bytes(parts))
    } else {
        Err(failed())
    }
}

/// CBC with the padding of PKCS#7, for keys that are encrypted themselves.
pub(super) fn cbc(
    name: &str,
    encrypt: bool,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<Vec<u8>, NodeError> {
    let named = Named::of(name)?;
    if key.len() != named.key || iv.len() != named.block || named.mode != Mode::Cbc {
        return Err(bad_key());
    }
    let mut data = data.to_vec();
    let size = named.block;
    if encrypt {
        let pad = size - data.len() % size;
        data.resize(data.len() + pad, pad as u8);
    }
    chained(&named, encrypt, key, &mut iv.to_vec(), 0, &mut data)?;
    if !encrypt {
        let pad = usize::from(data.last().copied().unwrap_or(0));
        let sound = (1..=size).contains(&pad)
            && data.len() >= pad
            && data[data.len() - pad..]
                .iter()
                .all(|byte| usize::from(*byte) == pad);
        if !sound {
            return Err(error(
                "ERR_OSSL_BAD_DECRYPT",
                "error:1C800064:Provider routines::bad decrypt",
            ));
        }
        data.truncate(data.len() - pad);
    }
    Ok(data)
}

/// Bytes of the key and of the initialization vector of a cipher in CBC mode.
pub(super) fn cbc_lengths(name: &str) -> Option<(usize, usize)> {
    let named = Named::find(name)?;
    (named.mode == Mode::Cbc).then_some((named.key, named.block))
}
