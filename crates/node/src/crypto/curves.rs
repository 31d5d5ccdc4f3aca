//! Elliptic curves: what each computes, by name. Secrets are numbers of the
//! curve's length, public keys are points as SEC 1 writes them, uncompressed.

use super::random_into;
use crate::NodeError;

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    K256,
}

/// Runs `$body` with `$m` as the crate of a curve.
macro_rules! with_curve {
    ($curve:expr, $m:ident => $body:expr) => {
        match $curve {
            Curve::P256 => {
                use p256_14 as $m;
                $body
            }
            Curve::P384 => {
                use p384_14 as $m;
                $body
            }
            Curve::P521 => {
                use p521 as $m;
                $body
            }
            Curve::K256 => {
                use k256 as $m;
                $body
            }
        }
    };
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::K256];

    /// Finds a curve by OpenSSL's, SEC's or NIST's name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|curve| name == curve.name() || name == curve.jwk())
            .or_else(|| (name == "secp256r1").then_some(Self::P256))
    }

    pub(super) fn of_identifier(identifier: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|curve| curve.identifier() == identifier)
    }

    /// OpenSSL's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "prime256v1",
            Self::P384 => "secp384r1",
            Self::P521 => "secp521r1",
            Self::K256 => "secp256k1",
        }
    }

    /// The name in JSON web keys.
    pub(super) fn jwk(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::K256 => "secp256k1",
        }
    }

    /// The content of its object identifier.
    pub(super) fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
            Self::K256 => &[0x2b, 0x81, 0x04, 0x00, 0x0a],
        }
    }

    /// Bytes of a coordinate.
    pub(super) fn size(self) -> usize {
        match self {
            Self::P256 | Self::K256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// A number in the curve's length; `None` when it is longer.
    pub(super) fn padded(self, number: &[u8]) -> Option<Vec<u8>> {
        let number = super::der::trimmed(number);
        let mut padded = vec![0; self.size().checked_sub(number.len())?];
        padded.extend(number);
        Some(padded)
    }

    /// A new secret.
    pub(super) fn secret(self) -> Result<Vec<u8>, NodeError> {
        let mut secret = vec![0; self.size()];
        loop {
            random_into(&mut secret)?;
            if self == Self::P521 {
                secret[0] &= 1;
            }
            // One in four billion is none.
            if self.public(&secret).is_some() {
                return Ok(secret);
            }
        }
    }

    /// The point of a secret; `None` for a number that is none.
    pub(super) fn public(self, secret: &[u8]) -> Option<Vec<u8>> {
        with_curve!(self, m => {
            let key = m::ecdsa::SigningKey::from_slice(secret).ok()?;
            Some(key.verifying_key().to_sec1_point(false).as_bytes().to_vec())
        })
    }

    /// A point, uncompressed; `None` when it is not on the curve.
    pub(super) fn point(self, point: &[u8]) -> Option<Vec<u8>> {
        with_curve!(self, m => {
            let key = m::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            Some(key.to_sec1_point(false).as_bytes().to_vec())
        })
    }

    /// The two numbers of a signature, one after the other.
    pub(super) fn sign(self, secret: &[u8], hash: &[u8]) -> Option<Vec<u8>> {
        let hash = self.hash(hash);
        with_curve!(self, m => {
            use m::ecdsa::signature::hazmat::PrehashSigner as _;
            let key = m::ecdsa::SigningKey::from_slice(secret).ok()?;
            let signature: m::ecdsa::Signature = key.sign_prehash(&hash).ok()?;
            Some(signature.to_bytes().to_vec())
        })
    }

    pub(super) fn verify(self, point: &[u8], hash: &[u8], signature: &[u8]) -> bool {
        let hash = self.hash(hash);
        with_curve!(self, m => {
            use m::ecdsa::signature::hazmat::PrehashVerifier as _;
            let key = m::ecdsa::VerifyingKey::from_sec1_bytes(point);
            let signature = m::ecdsa::Signature::from_slice(signature);
            let (Ok(key), Ok(signature)) = (key, signature) else {
                return false;
            };
            // Both forms of a signature are taken, as OpenSSL does.
            key.verify_prehash(&hash, &signature.normalize_s()).is_ok()
        })
    }

    /// A hash in the curve's length: a number that is not changed by it.
    fn hash(self, hash: &[u8]) -> Vec<u8> {
        let mut padded = vec![0; self.size().saturating_sub(hash.len())];
        padded.extend(hash);
        padded
    }

    /// What two keys have in common.
    pub(super) fn agree(self, secret: &[u8], point: &[u8]) -> Option<Vec<u8>> {
        with_curve!(self, m => {
            let secret = m::SecretKey::from_slice(secret).ok()?;
            let public = m::PublicKey::from_sec1_bytes(point).ok()?;
            let shared = m::ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
            Some(shared.raw_secret_bytes().to_vec())
        })
    }
}
