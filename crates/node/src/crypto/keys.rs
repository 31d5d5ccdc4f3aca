//! Keys: what they are made of, and their two forms in DER that all others
//! lead to, PKCS#8 for private and SPKI for public ones.

use super::curves::Curve;
use super::der::{self, Malformed, Reader};
use super::rsa::{Primes, RsaKey};
use super::{error, random_into};
use crate::arguments::Arguments;
use crate::{NodeError, Value};

pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];

/// A key; private when it has its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Rsa(RsaKey),
    Ec {
        curve: Curve,
        point: Vec<u8>,
        secret: Option<Vec<u8>>,
    },
    /// Of Curve25519: for signatures, or else for agreements.
    Edwards {
        signs: bool,
        public: [u8; 32],
        secret: Option<[u8; 32]>,
    },
}

/// What OpenSSL says of a key that it cannot read.
pub(super) fn unsupported() -> NodeError {
    error(
        "ERR_OSSL_UNSUPPORTED",
        "error:1E08010C:DECODER routines::unsupported",
    )
}

impl From<Malformed> for NodeError {
    fn from(_: Malformed) -> Self {
        unsupported()
    }
}

impl Key {
    /// A key of Curve25519 from its secret.
    pub(super) fn edwards(signs: bool, secret: [u8; 32]) -> Self {
        let public = if signs {
            ed25519_dalek3::SigningKey::from_bytes(&secret)
                .verifying_key()
                .to_bytes()
        } else {
            x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret)).to_bytes()
        };
        Self::Edwards {
            signs,
            public,
            secret: Some(secret),
        }
    }

    /// A private key of a curve.
    pub(super) fn ec(curve: Curve, secret: &[u8]) -> Result<Self, Malformed> {
        let secret = curve.padded(secret).ok_or(Malformed)?;
        Ok(Self::Ec {
            point: curve.public(&secret).ok_or(Malformed)?,
            curve,
            secret: Some(secret),
        })
    }

    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Rsa(key) => key.primes.is_some(),
            Self::Ec { secret, .. } => secret.is_some(),
            Self::Edwards { secret, .. } => secret.is_some(),
        }
    }

    /// The key without its secret.
    pub(super) fn to_public(&self) -> Self {
        let mut key = self.clone();
        match &mut key {
            Self::Rsa(key) => key.primes = None,
            Self::Ec { secret, .. } => *secret = None,
            Self::Edwards { secret, .. } => *secret = None,
        }
        key
    }

    /// The key of either form.
    pub(super) fn from_der(bytes: &[u8]) -> Result<Self, Malformed> {
        let content = Reader::new(bytes).sequence()?;
        if content.peek() == der::INTEGER {
            Self::from_pkcs8(bytes)
        } else {
            Self::from_spki(bytes)
        }
    }

    pub(super) fn from_pkcs8(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?;
        if content.number()? > 1 {
            return Err(Malformed);
        }
        let mut algorithm = content.sequence()?;
        let secret = content.value(der::OCTETS)?;
        match algorithm.value(der::IDENTIFIER)? {
            RSA => Ok(Self::Rsa(RsaKey::from_private(secret)?)),
            RSA_PSS => Ok(Self::Rsa(RsaKey {
                pss: true,
                ..RsaKey::from_private(secret)?
            })),
            EC => {
                let curve = Curve::of_identifier(algorithm.value(der::IDENTIFIER)?);
                Self::from_sec1(secret, curve)
            }
            id @ (ED25519 | X25519) => {
                let secret = Reader::new(secret).value(der::OCTETS)?;
                let secret = secret.try_into().map_err(|_| Malformed)?;
                Ok(Self::edwards(id == ED25519, secret))
            }
            _ => Err(Malformed),
        }
    }

    /// An EC key as SEC 1 writes it; its curve may be known from outside.
    pub(super) fn from_sec1(bytes: &[u8], curve: Option<Curve>) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?;
        if content.number()? != 1 {
            return Err(Malformed);
        }
        let secret = content.value(der::OCTETS)?;
        let mut known = curve;
        if content.peek() == der::TAGGED_0 {
            let mut named = content.inside(der::TAGGED_0)?;
            known = known.or(Curve::of_identifier(named.value(der::IDENTIFIER)?));
        }
        Self::ec(known.ok_or(Malformed)?, secret)
    }

    pub(super) fn from_spki(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?;
        let mut algorithm = content.sequence()?;
        let public = content.bits()?;
        match algorithm.value(der::IDENTIFIER)? {
            RSA => Ok(Self::Rsa(RsaKey::from_public(public)?)),
            RSA_PSS => Ok(Self::Rsa(RsaKey {
                pss: true,
                ..RsaKey::from_public(public)?
            })),
            EC => {
                let curve = Curve::of_identifier(algorithm.value(der::IDENTIFIER)?);
                let curve = curve.ok_or(Malformed)?;
                Ok(Self::Ec {
                    curve,
                    point: curve.point(public).ok_or(Malformed)?,
                    secret: None,
                })
            }
            id @ (ED25519 | X25519) => Ok(Self::Edwards {
                signs: id == ED25519,
                public: public.try_into().map_err(|_| Malformed)?,
                secret: None,
            }),
            _ => Err(Malformed),
        }
    }

    /// The public key of a certificate.
    pub(super) fn from_certificate(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut content = Reader::new(bytes).sequence()?.sequence()?;
        if content.peek() == der::TAGGED_0 {
            content.skip()?;
        }
        // Serial number, algorithm, issuer, validity, subject.
        for _ in 0..5 {
            content.skip()?;
        }
        Self::from_spki(&der::value(der::SEQUENCE, content.value(der::SEQUENCE)?))
    }

    fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) if key.pss => der::algorithm(RSA_PSS, &[]),
            Self::Rsa(_) => der::algorithm(RSA, &[der::NULL, 0]),
            Self::Ec { curve, .. } => {
                der::algorithm(EC, &der::value(der::IDENTIFIER, curve.identifier()))
            }
            Self::Edwards { signs, .. } => {
                der::algorithm(if *signs { ED25519 } else { X25519 }, &[])
            }
        }
    }

    /// PKCS#8; `None` for a public key.
    pub(super) fn to_pkcs8(&self) -> Option<Vec<u8>> {
        let secret = match self {
            Self::Rsa(key) => key.to_private()?,
            Self::Ec { .. } => self.to_sec1(false)?,
            Self::Edwards { secret, .. } => der::value(der::OCTETS, secret.as_ref()?),
        };
        Some(der::sequence(&[
            der::integer(&[0]),
            self.algorithm(),
            der::value(der::OCTETS, &secret),
        ]))
    }

    /// An EC key as SEC 1 writes it; `None` for others.
    pub(super) fn to_sec1(&self, with_curve: bool) -> Option<Vec<u8>> {
        let Self::Ec {
            curve,
            point,
            secret: Some(secret),
        } = self
        else {
            return None;
        };
        let named = der::value(der::IDENTIFIER, curve.identifier());
        let named = if with_curve {
            der::value(der::TAGGED_0, &named)
        } else {
            Vec::new()
        };
        Some(der::sequence(&[
            der::integer(&[1]),
            der::value(der::OCTETS, secret),
            named,
            der::value(der::TAGGED_1, &der::bits(point)),
        ]))
    }

    pub(super) fn to_spki(&self) -> Vec<u8> {
        let public = match self {
            Self::Rsa(key) => key.to_public(),
            Self::Ec { point, .. } => point.clone(),
            Self::Edwards { public, .. } => public.to_vec(),
        };
        der::sequence(&[self.algorithm(), der::bits(&public)])
    }

    /// What JavaScript knows of a key: its type, its DER and its details.
    pub(super) fn described(&self) -> Value {
        let private = self.to_pkcs8();
        let kind = if private.is_some() {
            "private"
        } else {
            "public"
        };
        let mut details = Vec::new();
        let name = match self {
            Self::Rsa(key) => {
                details.push(("modulusLength", Value::Number(key.bits() as f64)));
                details.push(("publicExponent", Value::Bytes(key.e.clone())));
                if key.pss { "rsa-pss" } else { "rsa" }
            }
            Self::Ec { curve, .. } => {
                details.push(("namedCurve", Value::Text(curve.name().to_owned())));
                "ec"
            }
            Self::Edwards { signs: true, .. } => "ed25519",
            Self::Edwards { .. } => "x25519",
        };
        let named = |list: Vec<(&str, Value)>| {
            let list = list.into_iter();
            Value::Map(list.map(|(name, value)| (name.to_owned(), value)).collect())
        };
        named(vec![
            ("type", Value::Text(kind.to_owned())),
            ("name", Value::Text(name.to_owned())),
            (
                "der",
                Value::Bytes(private.unwrap_or_else(|| self.to_spki())),
            ),
            ("details", named(details)),
        ])
    }
}

/// `(private)` to the public key of it, described.
pub(super) fn public(a: &Arguments) -> Result<Value, NodeError> {
    Ok(Key::from_der(a.bytes(0)?)?.to_public().described())
}

/// `(curve, point)` to a public key, described.
pub(super) fn point(a: &Arguments) -> Result<Value, NodeError> {
    let curve = Curve::named(a.text(0)?).ok_or(Malformed)?;
    let mut point = a.bytes(1)?.to_vec();
    // A hybrid point is one that tells its sign twice.
    if let Some(first @ (6 | 7)) = point.first_mut() {
        *first = 4;
    }
    let point = curve.point(&point).ok_or(Malformed)?;
    let key = Key::Ec {
        curve,
        point,
        secret: None,
    };
    Ok(key.described())
}

/// `(type, options)` to a new private key, described. Options: the bits and
/// the exponent of an RSA key, or a curve's name.
pub(super) fn generate(a: &Arguments) -> Result<Value, NodeError> {
    let key = match a.text(0)? {
        kind @ ("rsa" | "rsa-pss") => {
            let bits = a.count(1, 8192)? as usize;
            let exponent = a.count(2, u64::from(u32::MAX))?;
            let mut key = RsaKey::generate(bits, exponent)?;
            key.pss = kind == "rsa-pss";
            Key::Rsa(key)
        }
        "ec" => {
            let curve = Curve::named(a.text(1)?).ok_or_else(|| NodeError {
                name: "TypeError",
                message: "Invalid EC curve name".to_owned(),
                code: "ERR_CRYPTO_INVALID_CURVE",
            })?;
            Key::ec(curve, &curve.secret()?)?
        }
        kind @ ("ed25519" | "x25519") => {
            let mut secret = [0; 32];
            random_into(&mut secret)?;
            Key::edwards(kind == "ed25519", secret)
        }
        other => {
            return Err(NodeError {
                name: "TypeError",
                message: format!(
                    "The argument 'type' must be a supported key type. Received '{other}'"
                ),
                code: "ERR_INVALID_ARG_VALUE",
            });
        }
    };
    Ok(key.described())
}

impl Primes {
    /// The numbers in the order of PKCS#1.
    pub(super) fn numbers(&self) -> [&[u8]; 6] {
        [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi]
    }
}
