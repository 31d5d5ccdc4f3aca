//! Key sets of issuers (RFC 7517), fetched from their URLs and kept for a while.
//!
//! Who logs in decides when a set is fetched, by a token with a key id that is
//! not known; so how often is bounded, whatever tokens come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use egress::{Http, Limits, Request, Response, header};
use serde_json::Value;

use super::jwt::Key;

/// What fetching a set may take.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(5),
    body_bytes: 512 * 1024,
    redirects: 3,
};
/// Keys of a set that are looked at.
const KEYS_MAX: usize = 100;
/// Keys that are tried for a token that does not say which.
const TRIED_MAX: usize = 3;
/// Sets that are kept.
const SETS_MAX: usize = 1000;
/// How long a set is fresh, whatever its server says, and when it says nothing.
const FRESH_MS_MIN: i64 = 60_000;
const FRESH_MS_MAX: i64 = 24 * 3_600_000;
const FRESH_MS: i64 = 3_600_000;
/// How long a set that is no longer fresh counts while its server fails.
const STALE_MS_MAX: i64 = 6 * 3_600_000;
/// How long after a failure a server is left alone.
const FAILED_MS: i64 = 10_000;
/// How often a set is fetched within a minute for keys that it does not have,
/// and at all.
const UNKNOWN_PER_MINUTE_MAX: usize = 4;
const FETCHES_PER_MINUTE_MAX: usize = 8;

const NO_KEY: &str = "the set of keys has no key of that id";

/// The key sets that are known, by URL.
#[derive(Default)]
pub(crate) struct KeySets(Mutex<HashMap<String, Arc<KeySet>>>);

#[derive(Default)]
struct KeySet {
    known: Mutex<Known>,
    /// Held by the one who fetches. Who finds a key does not wait for it.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Identified>,
    fresh_until: i64,
    /// When it was fetched lately.
    fetched: Vec<i64>,
    /// How often it was fetched.
    fetches: u64,
    failed: Option<(i64, String)>,
}

/// A set that was fetched.
struct Fetched {
    keys: Vec<Identified>,
    fresh_ms: i64,
}

/// A key, and its id if it has one.
type Identified = (Option<String>, Arc<Key>);

/// What is done for a token.
enum Found {
    Keys(Vec<Arc<Key>>),
    Nothing(String),
    /// The set has to be fetched first; how often it was before.
    Fetch(u64),
}

impl KeySets {
    /// The keys that may have signed a token: those of its key id, or, if it
    /// says none, the first few.
    ///
    /// # Errors
    /// Why there are none, for the developer.
    pub(super) async fn keys(
        &self,
        http: &Http,
        url: &str,
        key_id: Option<&str>,
        now: i64,
    ) -> Result<Vec<Arc<Key>>, String> {
        let set = self.set(url, now);
        let before = match set.known().find(key_id, now, true) {
            Found::Keys(keys) => return Ok(keys),
            Found::Nothing(why) => return Err(why),
            Found::Fetch(before) => before,
        };
        let fetching = set.fetching.lock().await;
        // What another one fetched meanwhile is new enough.
        if set.known().fetches == before {
            let answer = http.send(Request::get(url), LIMITS).await;
            let fetched = answer
                .map_err(|error| error.to_string())
                .and_then(|answer| keys_of(&answer));
            set.known().keep(fetched, now);
        }
        drop(fetching);
        match set.known().find(key_id, now, false) {
            Found::Keys(keys) => Ok(keys),
            Found::Nothing(why) => Err(why),
            Found::Fetch(_) => Err(NO_KEY.to_owned()),
        }
    }

    fn set(&self, url: &str, now: i64) -> Arc<KeySet> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= SETS_MAX && !sets.contains_key(url) {
            sets.retain(|_, set| now < set.known().fresh_until);
            if sets.len() >= SETS_MAX {
                sets.clear();
            }
        }
        sets.entry(url.to_owned()).or_default().clone()
    }
}

impl KeySet {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&mut self, key_id: Option<&str>, now: i64, may_fetch: bool) -> Found {
        self.fetched.retain(|at| now - at < 60_000);
        let found = self.of(key_id);
        let fresh = now < self.fresh_until;
        if fresh && !found.is_empty() {
            return Found::Keys(found);
        }
        let most = if fresh {
            UNKNOWN_PER_MINUTE_MAX
        } else {
            FETCHES_PER_MINUTE_MAX
        };
        let rests = |(at, _): &(i64, String)| now < at + FAILED_MS;
        let failed = self.failed.as_ref().filter(|failed| rests(failed));
        if may_fetch && failed.is_none() && self.fetched.len() < most {
            return Found::Fetch(self.fetches);
        }
        if !found.is_empty() && now < self.fresh_until + STALE_MS_MAX {
            return Found::Keys(found);
        }
        Found::Nothing(match failed {
            Some((_, why)) => format!("the set of keys cannot be fetched: {why}"),
            None => NO_KEY.to_owned(),
        })
    }

    fn of(&self, key_id: Option<&str>) -> Vec<Arc<Key>> {
        let of = |wanted: Option<&str>| {
            let keys = self.keys.iter();
            keys.filter(|(id, _)| wanted.is_none() || id.as_deref() == wanted)
                .map(|(_, key)| key.clone())
                .take(TRIED_MAX)
                .collect::<Vec<_>>()
        };
        let found = of(key_id);
        if found.is_empty() && self.keys.iter().all(|(id, _)| id.is_none()) {
            // The issuer gives its keys no ids.
            return of(None);
        }
        found
    }

    fn keep(&mut self, fetched: Result<Fetched, String>, now: i64) {
        self.fetched.push(now);
        self.fetches += 1;
        match fetched {
            Ok(fetched) => {
                self.keys = fetched.keys;
                self.fresh_until = now + fetched.fresh_ms;
                self.failed = None;
            }
            Err(why) => self.failed = Some((now, why)),
        }
    }
}

fn keys_of(answer: &Response) -> Result<Fetched, String> {
    if answer.status != 200 {
        return Err(format!("the answer is {}", answer.status));
    }
    let document: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("the answer is no JSON: {error}"))?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or("the answer has no array \"keys\"")?;
    let keys: Vec<_> = listed
        .iter()
        .take(KEYS_MAX)
        .filter_map(|jwk| {
            let id = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            Some((id, Arc::new(Key::jwk(jwk)?)))
        })
        .collect();
    if keys.is_empty() {
        return Err("the answer has no RSA key that signs by RS256".to_owned());
    }
    let said = answer.headers.get(header::CACHE_CONTROL);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default();
    Ok(Fetched {
        keys,
        fresh_ms: fresh_ms(said),
    })
}

fn fresh_ms(cache_control: &str) -> i64 {
    let mut fresh = FRESH_MS;
    for directive in cache_control.split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        if directive == "no-store" || directive == "no-cache" {
            return FRESH_MS_MIN;
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            let seconds: i64 = seconds.trim_matches('"').parse().unwrap_or(0);
            fresh = seconds.saturating_mul(1000);
        }
    }
    fresh.clamp(FRESH_MS_MIN, FRESH_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::{FRESH_MS, FRESH_MS_MAX, FRESH_MS_MIN, fresh_ms};

    #[test]
    fn sets_are_fresh_as_their_servers_say_within_bounds() {
        for (said, fresh) in [
            ("", FRESH_MS),
            ("public", FRESH_MS),
            ("public, max-age=19841, must-revalidate", 19_841_000),
            ("Max-Age=120", 120_000),
            ("max-age=0", FRESH_MS_MIN),
            ("max-age=5", FRESH_MS_MIN),
            ("max-age=-5", FRESH_MS_MIN),
            ("max-age=x", FRESH_MS_MIN),
            ("max-age=99999999999999", FRESH_MS_MAX),
            ("no-store, max-age=3600", FRESH_MS_MIN),
            ("no-cache", FRESH_MS_MIN),
        ] {
            assert_eq!(fresh_ms(said), fresh, "{said}");
        }
    }
}
