//! The keys that sign the tokens of an app's users, and how one follows another.
//!
//! A token names its key by number (`kid`; none is the first). Of the keys
//! before the present one each is good until a time of its own. What another
//! server rotated is found out by the first token that names a newer key, and
//! by following the app's record.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bson::{Bson, doc};
use jsonwebtoken::{EncodingKey, Header};
use kit::{Problem, Secret, limit};
use serde::de::DeserializeOwned;
use serde_json::Value;
use state::{FormerKey, MasterKey};

use super::tokens::verify;
use crate::live::{EDIT_TRIES_MAX, keeps_changing};
use crate::{App, stored};

/// The keys of one app.
pub(crate) struct SigningKeys(ArcSwap<Ring>);

/// The keys as of one rotation.
pub(crate) struct Ring {
    version: i64,
    current: Secret<Vec<u8>>,
    former: Vec<Former>,
}

struct Former {
    version: i64,
    key: Secret<Vec<u8>>,
    until: i64,
}

/// Which keys there are, for administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSigningKeys {
    /// The number of the key that signs.
    pub version: i64,
    /// The keys before that are still good: number, and until when in
    /// milliseconds.
    pub former: Vec<(i64, i64)>,
}

impl SigningKeys {
    pub(crate) fn open(master: &MasterKey, record: &state::App) -> Result<Self, Problem> {
        Ok(Self(ArcSwap::from_pointee(Ring::open(master, record)?)))
    }

    /// The keys as they are.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        self.0.load_full()
    }
}

impl Ring {
    fn open(master: &MasterKey, record: &state::App) -> Result<Self, Problem> {
        let open = |sealed: &[u8]| master.open(sealed).map(Secret::new);
        let former = record.former_signing_keys.iter().map(|former| {
            Ok(Former {
                version: former.version,
                key: open(&former.sealed).map_err(Problem::internal)?,
                until: former.until,
            })
        });
        Ok(Self {
            version: record.signing_version,
            current: open(&record.signing_key).map_err(Problem::internal)?,
            former: former.collect::<Result<_, Problem>>()?,
        })
    }

    /// The key that signs.
    pub(crate) fn current(&self) -> &[u8] {
        self.current.expose()
    }

    /// The key of a number, and until when it is good.
    fn key(&self, version: i64) -> Option<(&[u8], i64)> {
        if version == self.version {
            return Some((self.current(), i64::MAX));
        }
        let former = self.former.iter().find(|known| known.version == version)?;
        Some((former.key.expose(), former.until))
    }
}

impl App {
    /// Signs the claims of a token.
    pub(super) fn sign_token(&self, claims: &Value) -> Result<String, Problem> {
        let ring = self.signing_keys.ring();
        let header = Header {
            kid: Some(ring.version.to_string()),
            ..Header::default()
        };
        let key = EncodingKey::from_secret(ring.current());
        jsonwebtoken::encode(&header, claims, &key).map_err(Problem::internal)
    }

    /// The claims of a token that the app signed, and until when its key is
    /// good in milliseconds.
    pub(super) async fn signed<T: DeserializeOwned>(&self, token: &str) -> Option<(T, i64)> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let version = match header.kid {
            None => 0,
            Some(kid) => kid.parse().ok()?,
        };
        if version > self.signing_keys.ring().version {
            // Another server may have rotated them a moment ago.
            let record = self.core.state.apps.get(&self.id).await.ok()??;
            self.adopt_keys(&record).ok()?;
        }
        let ring = self.signing_keys.ring();
        let (key, until) = ring.key(version)?;
        let claims = verify(key, token)?;
        (self.core.clock.now_ms() < until).then_some((claims, until))
    }

    /// Takes over the keys of the app's record, unless they are older.
    pub(crate) fn adopt_keys(&self, record: &state::App) -> Result<(), Problem> {
        if record.signing_version <= self.signing_keys.ring().version {
            return Ok(());
        }
        let next = Arc::new(Ring::open(&self.core.master_key, record)?);
        self.signing_keys.0.rcu(|known| {
            let newer = known.version < next.version;
            if newer { next.clone() } else { known.clone() }
        });
        // What was verified was so with keys that may be gone.
        self.tokens.forget_all();
        Ok(())
    }

    /// The keys there are.
    pub fn known_signing_keys(&self) -> KnownSigningKeys {
        let (ring, now) = (self.signing_keys.ring(), self.core.clock.now_ms());
        let former = ring.former.iter().filter(|former| former.until > now);
        KnownSigningKeys {
            version: ring.version,
            former: former
                .map(|former| (former.version, former.until))
                .collect(),
        }
    }

    /// Makes another key that signs from now on. Tokens of those before are good
    /// for as long as they last, or for `grace_s` seconds at most: with 0, nobody
    /// is logged in any longer. Answers the keys that there are from then on.
    ///
    /// # Errors
    /// `BadRequest` for a time that is none, and when too many keys are still
    /// good.
    pub async fn rotate_signing_key(
        &self,
        grace_s: Option<i64>,
    ) -> Result<KnownSigningKeys, Problem> {
        let lasts = limit::ANONYMOUS_REFRESH_TOKEN_S;
        let grace_s = grace_s.unwrap_or(lasts);
        if !(0..=lasts).contains(&grace_s) {
            return Err(Problem::bad_request(format!(
                "the keys before stay good for 0 to {lasts} seconds"
            )));
        }
        for _ in 0..EDIT_TRIES_MAX {
            let (mut record, now) = (self.stored_record().await?, self.core.clock.now_ms());
            let (before, until) = (record.signing_version, now + grace_s * 1000);
            let mut former = std::mem::take(&mut record.former_signing_keys);
            former.push(FormerKey {
                version: before,
                sealed: std::mem::take(&mut record.signing_key),
                until,
            });
            for one in &mut former {
                one.until = one.until.min(until);
            }
            former.retain(|one| one.until > now);
            if former.len() > limit::FORMER_SIGNING_KEYS_MAX {
                return Err(Problem::bad_request(format!(
                    "{} keys before are still good; end them, or give them a time to end",
                    limit::FORMER_SIGNING_KEYS_MAX
                )));
            }
            record.former_signing_keys = former;
            record.signing_key = self.core.master_key.seal(&state::random_bytes::<32>());
            record.signing_version = before + 1;
            let all = bson::serialize_to_document(&record).map_err(Problem::internal)?;
            let field = |name: &str| all.get(name).cloned().unwrap_or(Bson::Null);
            let at = if before == 0 {
                // An app of before there were any numbers has none.
                doc! { "_id": &self.id, "signing_version": { "$in": [0, Bson::Null] } }
            } else {
                doc! { "_id": &self.id, "signing_version": before }
            };
            let to = doc! { "$set": {
                "signing_key": field("signing_key"),
                "signing_version": field("signing_version"),
                "former_signing_keys": field("former_signing_keys"),
            } };
            let apps = &self.core.state.apps;
            if apps.change(at, to).await.map_err(stored)? {
                self.adopt_keys(&record)?;
                // Of this change: another may have followed already.
                let former = record.former_signing_keys.iter();
                return Ok(KnownSigningKeys {
                    version: record.signing_version,
                    former: former.map(|one| (one.version, one.until)).collect(),
                });
            }
        }
        Err(keeps_changing())
    }
}
