//! Sealing of secrets at rest, digests of keys, and random bytes.

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use kit::Secret;
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 12;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The key file cannot be used.
    KeyFile(String),
    /// The sealed bytes are damaged, or of another key.
    Damaged,
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KeyFile(why) => write!(f, "the master key cannot be used: {why}"),
            Self::Damaged => f.write_str("a sealed value is damaged or of another master key"),
        }
    }
}

impl std::error::Error for SealError {}

/// The key that seals every secret.
#[derive(Debug, Clone)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    /// A key from any text that an operator supplies.
    pub fn from_text(text: &str) -> Self {
        Self(Secret::new(Sha256::digest(text.as_bytes()).into()))
    }

    /// Reads the key file, or makes it, readable by its owner only.
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        let failed =
            |error: std::io::Error| SealError::KeyFile(format!("{}: {error}", path.display()));
        match std::fs::read(path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes)
                .map(|key| Self(Secret::new(key)))
                .map_err(|_| {
                    SealError::KeyFile(format!("{} is not 32 bytes long", path.display()))
                }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key: [u8; 32] = random_bytes();
                write_private(path, &key).map_err(failed)?;
                Ok(Self(Secret::new(key)))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// A key of its own for one purpose: what is sealed with it opens as nothing
    /// else, and as much may be sealed with it as anybody asks for.
    #[must_use]
    pub fn for_purpose(&self, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0.expose());
        hash.update(purpose.as_bytes());
        Self(Secret::new(hash.finalize().into()))
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&Key::from(*self.0.expose()))
    }

    /// Seals bytes under a fresh nonce, which comes first.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let mut sealed = nonce.to_vec();
        // Sealing fails only for messages of many gigabytes.
        sealed.extend(
            self.cipher()
                .encrypt(&Nonce::from(nonce), plain)
                .unwrap_or_default(),
        );
        sealed
    }

    /// Opens sealed bytes.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed
            .split_at_checked(NONCE_BYTES)
            .ok_or(SealError::Damaged)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SealError::Damaged)?;
        self.cipher()
            .decrypt(&Nonce::from(nonce), rest)
            .map_err(|_| SealError::Damaged)
    }
}

#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The digest of a key with enough randomness of its own.
pub fn digest(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

/// The hash that identifies content.
pub fn content_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness, which leaves nothing safe to do.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// Random lower-case hex digits, twice as many as bytes.
pub fn random_hex<const N: usize>() -> String {
    hex(&random_bytes::<N>())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
