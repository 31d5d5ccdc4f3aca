//! JSON Web Tokens that others signed: their parts, the keys that may have
//! signed them, and the claims that every one needs (RFC 7515, RFC 7519).
//!
//! Pure. What is wrong is said in words for the developer; who logs in is told
//! nothing of it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac as _};
use kit::limit;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey};
use serde_json::{Map, Value};
use sha2::Sha256;

/// Longest header part; keys' ids and certificates' digests fit.
const HEADER_CHARS_MAX: usize = 16 * 1024;
/// How far the issuer's clock may be ahead, in seconds.
const SKEW_S: i64 = 60;
/// Characters of a secret that signs, as the service bounds them.
const SECRET_CHARS_MIN: usize = 32;
const SECRET_CHARS_MAX: usize = 512;
/// Bits of an RSA key (RFC 7518 §3.3); what has more is work for nothing.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// What signs tokens.
pub(super) enum Key {
    /// The secret of HS256.
    Shared(Vec<u8>),
    /// The public key of RS256.
    Rsa(Box<RsaPublicKey>),
}

impl Key {
    /// A secret of HS256.
    ///
    /// # Errors
    /// When it is none: too short, or a key that is published.
    pub(super) fn shared(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if !(SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&length) {
            return Err(format!(
                "a key of HS256 has {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX} characters, \
                 not {length}"
            ));
        }
        // Whoever knows a public key could sign with it.
        if text.contains("-----BEGIN") {
            return Err("a key of HS256 is a secret text, not a PEM file".to_owned());
        }
        Ok(Self::Shared(text.as_bytes().to_vec()))
    }

    /// A public RSA key as PEM, whose lines may be written with `\n`.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn pem(text: &str) -> Result<Self, String> {
        let text = text.replace("\\n", "\n");
        let text = text.trim();
        RsaPublicKey::from_public_key_pem(text)
            .ok()
            .or_else(|| RsaPublicKey::from_pkcs1_pem(text).ok())
            .ok_or_else(|| "a key of RS256 is a public RSA key in a PEM file".to_owned())
            .and_then(Self::rsa)
    }

    /// The RSA key of a JSON Web Key (RFC 7517) that signs by RS256; nothing
    /// for any other.
    pub(super) fn jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let fits = |name: &str, value: &str| text(name).is_none_or(|said| said == value);
        if text("kty") != Some("RSA") || !fits("use", "sig") || !fits("alg", "RS256") {
            return None;
        }
        let number = |name: &str| {
            let text = text(name)?;
            // Longer ones are no keys that are taken.
            (text.len() <= 1024).then(|| decoded(text)).flatten()
        };
        let modulus = BigUint::from_bytes_be(&number("n")?);
        let exponent = BigUint::from_bytes_be(&number("e")?);
        Self::rsa(RsaPublicKey::new(modulus, exponent).ok()?).ok()
    }

    fn rsa(key: RsaPublicKey) -> Result<Self, String> {
        let bits = key.n().bits();
        if !RSA_BITS.contains(&bits) {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            return Err(format!("an RSA key has {least} to {most} bits, not {bits}"));
        }
        Ok(Self::Rsa(Box::new(key)))
    }
}

/// A token whose claims nobody has read yet.
pub(super) struct Jwt<'a> {
    header: Map<String, Value>,
    /// What was signed.
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is none that can be checked.
    pub(super) fn parse(token: &'a str) -> Result<Self, String> {
        if token.len() > limit::JWT_CHARS_MAX {
            let most = limit::JWT_CHARS_MAX;
            return Err(format!("the token has more than {most} characters"));
        }
        let parts = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            (!claims.contains('.')).then_some((header, claims, signed, signature))
        };
        let (header, claims, signed, signature) =
            parts().ok_or("the token is not three parts with dots between them")?;
        if header.len() > HEADER_CHARS_MAX {
            return Err("the token's header is too long".to_owned());
        }
        let header = object(header).ok_or("the token's header is no JSON object in base64")?;
        if header.contains_key("crit") {
            return Err("the token's header has extensions that have to be understood".to_owned());
        }
        Ok(Self {
            header,
            signed,
            claims,
            signature: decoded(signature).ok_or("the token's signature is no base64")?,
        })
    }

    /// The algorithm that the token says it is signed with.
    pub(super) fn algorithm(&self) -> &str {
        self.header_text("alg").unwrap_or_default()
    }

    /// The id of the key that it says it is signed with.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header_text("kid")
    }

    fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// The claims, if one of the keys signed them. The kind of each key is the
    /// caller's choice, never the token's.
    ///
    /// # Errors
    /// When none did, or when they are no claims.
    pub(super) fn claims<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Result<Claims, String> {
        if !keys.into_iter().any(|key| self.is_signed_by(key)) {
            return Err("the token's signature is of none of the keys".to_owned());
        }
        object(self.claims).ok_or_else(|| "the token's claims are no JSON object".to_owned())
    }

    fn is_signed_by(&self, key: &Key) -> bool {
        let signed = self.signed.as_bytes();
        match key {
            Key::Shared(secret) if self.algorithm() == "HS256" => {
                Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mac| {
                    mac.chain_update(signed)
                        .verify_slice(&self.signature)
                        .is_ok()
                })
            }
            Key::Rsa(key) if self.algorithm() == "RS256" => {
                Signature::try_from(self.signature.as_slice()).is_ok_and(|signature| {
                    VerifyingKey::<Sha256>::new((**key).clone())
                        .verify(signed, &signature)
                        .is_ok()
                })
            }
            _ => false,
        }
    }
}

/// Whom a token is about, when it holds now.
///
/// # Errors
/// When it has no subject, has run out, or is of a time to come.
pub(super) fn subject(claims: &Claims, now_s: i64) -> Result<&str, String> {
    // A fraction counts as the second that it is in.
    let time = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds as i64)),
            None => Err(format!("the token's \"{name}\" is no number")),
        },
    };
    let expires = time("exp")?.ok_or("the token has no \"exp\"")?;
    if expires <= now_s {
        return Err("the token has expired".to_owned());
    }
    for name in ["nbf", "iat"] {
        if time(name)?.is_some_and(|from| from > now_s + SKEW_S) {
            return Err(format!("the token's \"{name}\" is in the future"));
        }
    }
    match claims.get("sub") {
        Some(Value::String(sub)) if sub.chars().count() > limit::JWT_FIELD_CHARS_MAX => {
            Err("the token's \"sub\" is too long".to_owned())
        }
        Some(Value::String(sub)) if !sub.is_empty() => Ok(sub),
        _ => Err("the token has no \"sub\"".to_owned()),
    }
}

/// For whom a token is.
pub(super) fn audience(claims: &Claims) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decoded(part)?) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// Decodes base64 without padding, of either alphabet: some clients write
/// tokens in the one that is not for URLs.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const STRICT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone);
    const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, STRICT);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, STRICT);
    FOR_URLS
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
    use hmac::{Hmac, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::{Claims, Jwt, Key, SKEW_S, audience, subject};

    const SECRET: &str = "My_very_confidential_secretttttt";
    const NOW: i64 = 1_700_000_000;

    fn signed(parts: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(parts.as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{parts}.{signature}")
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        signed(&format!("{}.{}", part(header), part(claims)))
    }

    fn read(token: &str) -> Result<Claims, String> {
        Jwt::parse(token)?.claims([&Key::shared(SECRET).unwrap()])
    }

    #[test]
    fn only_what_is_signed_with_the_key_is_read() {
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let good = token(&header, &json!({ "sub": "u" }));
        assert_eq!(read(&good).unwrap()["sub"], "u");
        // In the alphabet of either base64.
        let claims = json!({ "sub": "??>>~~" }).to_string();
        let standard = BASE64_STANDARD_NO_PAD.encode(&claims);
        assert!(standard.contains(['+', '/']), "{standard}");
        let header_part = BASE64_STANDARD_NO_PAD.encode(header.to_string());
        let found = read(&signed(&format!("{header_part}.{standard}"))).unwrap();
        assert_eq!(found["sub"], "??>>~~");
        let (parts, signature) = good.rsplit_once('.').unwrap();
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let other = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"v"}"#);
        let (head, claims) = parts.split_once('.').unwrap();
        let cut = &signature[..signature.len() - 4];
        for forged in [
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            format!("{parts}."),
            parts.to_owned(),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{head}.{other}.{signature}"),
            format!("{parts}.{cut}"),
            format!("{parts}.{signature}="),
            format!("{good}.{signature}"),
            format!("{good}.a.b"),
            format!(" {good}"),
            token(&json!({ "alg": "none" }), &json!({ "sub": "u" })),
            token(&json!({ "alg": "hs256" }), &json!({ "sub": "u" })),
            token(&json!({ "alg": "HS512" }), &json!({ "sub": "u" })),
            token(&json!({ "alg": "RS256" }), &json!({ "sub": "u" })),
            token(&json!({ "alg": ["HS256"] }), &json!({ "sub": "u" })),
            token(&json!({}), &json!({ "sub": "u" })),
            token(&json!("HS256"), &json!({ "sub": "u" })),
            token(
                &json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
                &json!({ "sub": "u" }),
            ),
            token(&header, &json!(["sub"])),
            token(&header, &json!({ "a": "a".repeat(1_000_000) })),
            token(
                &json!({ "alg": "HS256", "a": "a".repeat(20_000) }),
                &json!({ "sub": "u" }),
            ),
        ] {
            let start: String = forged.chars().take(80).collect();
            assert!(read(&forged).is_err(), "{start}");
        }
        // As long as one may be.
        let long = "a".repeat(700_000);
        assert!(read(&token(&header, &json!({ "a": long }))).is_ok());
    }

    #[test]
    fn keys_are_what_they_are_used_as() {
        for wrong in ["", "short", &"a".repeat(31), &"a".repeat(513)] {
            assert!(Key::shared(wrong).is_err(), "{wrong}");
        }
        let pem = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n";
        assert!(Key::shared(pem).is_err());
        assert!(Key::pem(pem).is_err());
        assert!(Key::pem(SECRET).is_err());
        let n = BASE64_URL_SAFE_NO_PAD.encode([0xff; 256]);
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB" });
        assert!(Key::jwk(&jwk).is_some());
        for (field, value) in [
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("use", json!("enc")),
            ("alg", json!("RS512")),
            ("alg", json!("HS256")),
            ("n", json!(1)),
            ("n", json!("")),
            ("n", json!("!!")),
            ("n", json!(BASE64_URL_SAFE_NO_PAD.encode([0xff; 128]))),
            ("n", json!(BASE64_URL_SAFE_NO_PAD.encode([0xff; 600]))),
            ("n", json!("A".repeat(100_000))),
            ("e", json!("AQ")),
            ("e", json!("")),
            ("e", json!("_".repeat(900))),
        ] {
            let mut wrong = jwk.clone();
            wrong[field] = value;
            assert!(Key::jwk(&wrong).is_none(), "{field}");
        }
    }

    #[test]
    fn tokens_hold_for_a_time() {
        let of = |claims: Value| claims.as_object().cloned().unwrap();
        let good = json!({ "sub": "u", "exp": NOW + 1 });
        assert_eq!(subject(&of(good.clone()), NOW), Ok("u"));
        for (field, value) in [
            ("exp", json!(NOW as f64 + 1.5)),
            ("nbf", json!(NOW + SKEW_S)),
            ("iat", json!(NOW + SKEW_S)),
            ("iat", json!(0)),
            ("nbf", json!(null)),
            ("exp", json!(1e300)),
        ] {
            let mut claims = of(good.clone());
            claims.insert(field.to_owned(), value);
            assert!(subject(&claims, NOW).is_ok(), "{claims:?}");
        }
        for (field, value) in [
            ("exp", json!(NOW)),
            ("exp", json!(0)),
            ("exp", json!(-1e300)),
            ("exp", json!("1800000000")),
            ("exp", json!(null)),
            ("nbf", json!(NOW + SKEW_S + 1)),
            ("iat", json!(NOW + SKEW_S + 1)),
            ("nbf", json!("now")),
            ("sub", json!("")),
            ("sub", json!(5)),
            ("sub", json!(["u"])),
            ("sub", json!(null)),
            ("sub", json!("u".repeat(4097))),
        ] {
            let mut claims = of(good.clone());
            claims.insert(field.to_owned(), value);
            assert!(subject(&claims, NOW).is_err(), "{field}");
        }
        let aud = |value: Value| of(json!({ "aud": value }));
        assert_eq!(audience(&aud(json!("a"))), ["a"]);
        assert_eq!(audience(&aud(json!(["a", 1, "b"]))), ["a", "b"]);
        assert_eq!(audience(&aud(json!({ "a": 1 }))), [""; 0]);
    }
}
