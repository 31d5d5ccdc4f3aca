//! HTTP Digest authentication with administrators' key pairs (RFC 7616, MD5 and
//! `qop=auth`, which is all that the official CLI knows; admin-api.md §3.7).
//!
//! It needs the hash of both halves, which a key pair keeps sealed.

use std::collections::HashMap;

use bson::doc;
use hmac::{Hmac, Mac as _};
use kit::Problem;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{Administrator, KEYS, KeyPair, keys};
use crate::{Backstitch, stored};

/// What clients show when they ask for a key pair.
const REALM: &str = "Backstitch";
/// How long a nonce is good for.
const NONCE_S: i64 = 300;

/// Why nobody is let in.
#[derive(Debug)]
pub enum DigestRefusal {
    /// The client has to answer this challenge: the header `WWW-Authenticate`.
    Challenge(String),
    /// A fault of ours.
    Problem(Problem),
}

impl From<Problem> for DigestRefusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Backstitch {
    /// What digests of a key pair are made with, sealed.
    pub(super) fn digest_key(&self, pair: &KeyPair) -> Vec<u8> {
        let secret = pair.private_key.expose();
        let hash = md5_hex(&format!("{}:{REALM}:{secret}", pair.public_key));
        self.master_key.seal(hash.as_bytes())
    }

    /// The administrator of a request for a target, its path and query, from an
    /// address.
    ///
    /// # Errors
    /// A challenge for who shows no good answer to one; `TooManyRequests`.
    pub async fn digest_administrator(
        &self,
        authorization: Option<&str>,
        method: &str,
        target: &str,
        address: &str,
    ) -> Result<Administrator, DigestRefusal> {
        let again = |stale: bool| DigestRefusal::Challenge(self.challenge(stale));
        let fields = authorization.and_then(fields).ok_or_else(|| again(false))?;
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let age = self.nonce_age(field("nonce")).ok_or_else(|| again(false))?;
        let said = field("uri") == target
            && field("realm") == REALM
            && matches!(field("algorithm"), "" | "MD5")
            && matches!(field("qop"), "" | "auth");
        if !said {
            return Err(again(false));
        }
        let public_key = field("username");
        // The operator may have set a private key that can be guessed.
        let account = format!("{KEYS} {public_key}");
        let now = self.clock.now_ms();
        let counted = self.admin_failures.begin(&account, address, now)?;
        let of = doc! { "public_key": public_key };
        let key = self.state.admin_keys.first(of).await.map_err(stored)?;
        let key = key
            .filter(|key| !key.disabled && !key.digest_key.is_empty())
            .ok_or_else(|| again(false))?;
        let secret = self.master_key.open(&key.digest_key);
        let secret = secret.map_err(Problem::internal)?;
        let secret = String::from_utf8_lossy(&secret);
        let request = md5_hex(&format!("{method}:{target}"));
        let nonce = field("nonce");
        let right = if field("qop").is_empty() {
            md5_hex(&format!("{secret}:{nonce}:{request}"))
        } else {
            let (nc, cnonce) = (field("nc"), field("cnonce"));
            md5_hex(&format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{request}"))
        };
        // Compared by their digests, so that the time tells nothing.
        if state::digest(&right) != state::digest(&field("response").to_ascii_lowercase()) {
            return Err(again(false));
        }
        counted.passed();
        if !(0..NONCE_S).contains(&age) {
            return Err(again(true));
        }
        Ok(keys::administrator(key))
    }

    /// A challenge. The official CLI's reader takes exactly these names, with
    /// exactly a comma and a space between.
    fn challenge(&self, stale: bool) -> String {
        let nonce = self.nonce(self.clock().now_s());
        format!(
            "Digest realm=\"{REALM}\", domain=\"\", nonce=\"{nonce}\", algorithm=MD5, \
             qop=\"auth\", stale={stale}"
        )
    }

    /// A time, and that it is ours.
    fn nonce(&self, at_s: i64) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.admin_key.expose()) else {
            // A key of any length is one.
            return String::new();
        };
        mac.update(format!("digest nonce {at_s}").as_bytes());
        format!("{at_s:016x}{}", hex::encode(mac.finalize().into_bytes()))
    }

    /// Seconds since a nonce of ours was made.
    fn nonce_age(&self, nonce: &str) -> Option<i64> {
        let at_s = i64::from_str_radix(nonce.get(..16)?, 16).ok()?;
        let ours = state::digest(nonce) == state::digest(&self.nonce(at_s));
        ours.then(|| self.clock().now_s().saturating_sub(at_s))
    }
}

fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

/// The fields of an `Authorization: Digest …`, or of a challenge, their names in
/// small letters.
pub(crate) fn fields(authorization: &str) -> Option<HashMap<String, String>> {
    let (scheme, mut rest) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut fields = HashMap::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Some(fields);
        }
        let (name, after) = rest.split_once('=')?;
        let value;
        (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        let name = name.trim().to_ascii_lowercase();
        fields.insert(name, value.trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::{fields, md5_hex};

    #[test]
    fn fields_are_read_as_clients_write_them() {
        let read = fields(
            "Digest username=\"a,b\", realm=\"x\",nonce=\"n\" , uri=\"/p?q=1\", qop=auth, \
             nc=00000001, cnonce=\"c\", response=\"r\", Algorithm=MD5",
        )
        .unwrap();
        assert_eq!(read["username"], "a,b");
        assert_eq!(
            (read["uri"].as_str(), read["qop"].as_str()),
            ("/p?q=1", "auth")
        );
        assert_eq!(
            (read["nc"].as_str(), read["algorithm"].as_str()),
            ("00000001", "MD5")
        );
        for bad in ["Digest", "Bearer x", "Digest a", "Digest a=\"b", ""] {
            assert!(fields(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_hash_of_the_standards_example() {
        // RFC 2617, 3.5.
        let secret = md5_hex("Mufasa:testrealm@host.com:Circle Of Life");
        let request = md5_hex("GET:/dir/index.html");
        let response = md5_hex(&format!(
            "{secret}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:{request}"
        ));
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }
}
