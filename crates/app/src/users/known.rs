//! Tokens that were verified, with what was looked up for them. What changes a
//! user or a session forgets them, here and in other servers
//! (`crate::following`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::Session;

use crate::caller::User;

/// Tokens of one kind that are remembered.
const KNOWN_MAX: usize = 20_000;
/// What they and what was looked up for them may weigh: custom user data is as
/// large as an app makes it.
const KNOWN_BYTES_MAX: usize = 64 << 20;

/// The verified tokens of an app.
#[derive(Default)]
pub(crate) struct KnownTokens {
    /// Access tokens, with their users.
    pub(super) access: Known<User>,
    /// Refresh tokens that would give an access token, with their sessions.
    pub(super) refresh: Known<Session>,
}

impl KnownTokens {
    /// Forgets every token of a user.
    pub(crate) fn forget(&self, user_id: &str) {
        self.access.forget_if(|user| user.id == user_id);
        self.forget_renewals(user_id);
    }

    /// Forgets the refresh tokens of a user.
    pub(crate) fn forget_renewals(&self, user_id: &str) {
        let of_user = |known: &Session| known.user_id == user_id;
        self.refresh.forget_if(of_user);
    }

    /// Forgets every token of a session.
    pub(crate) fn forget_session(&self, session_id: &str) {
        self.access.forget_if(|user| user.session_id == session_id);
        self.forget_renewal(session_id);
    }

    /// Forgets the refresh token of a session.
    pub(crate) fn forget_renewal(&self, session_id: &str) {
        let of_session = |known: &Session| known.id == session_id;
        self.refresh.forget_if(of_session);
    }

    /// Forgets every token.
    pub(crate) fn forget_all(&self) {
        self.access.forget_if(|_| true);
        self.refresh.forget_if(|_| true);
    }
}

/// What is remembered for a token.
pub(super) trait Weigh {
    /// Bytes that it takes beside the token, about.
    fn bytes(&self) -> usize;
}

impl Weigh for User {
    /// Custom user data is in the token, in the user and in the user's document.
    fn bytes(&self) -> usize {
        2 * self.document.as_bytes().len()
    }
}

impl Weigh for Session {
    fn bytes(&self) -> usize {
        size_of::<Session>() + 200
    }
}

/// Tokens of one kind, with what was looked up for each.
pub(super) struct Known<T>(Mutex<Tokens<T>>);

struct Tokens<T> {
    by_token: HashMap<String, (i64, Arc<T>)>,
    bytes: usize,
    /// How often something was forgotten.
    forgotten: u64,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::new(Tokens {
            by_token: HashMap::new(),
            bytes: 0,
            forgotten: 0,
        }))
    }
}

impl<T: Weigh> Known<T> {
    fn tokens(&self) -> MutexGuard<'_, Tokens<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a token, at a time in seconds; else what [`Self::put`]
    /// wants to be told.
    pub(super) fn get(&self, token: &str, now: i64) -> Result<Arc<T>, u64> {
        let tokens = self.tokens();
        match tokens.by_token.get(token) {
            Some((expires, known)) if *expires > now => Ok(known.clone()),
            _ => Err(tokens.forgotten),
        }
    }

    /// Remembers a token until a time in seconds, unless something was forgotten
    /// since it was looked up: it may have been this one.
    pub(super) fn put(&self, token: &str, expires: i64, known: Arc<T>, forgotten: u64) {
        let mut tokens = self.tokens();
        if tokens.forgotten != forgotten {
            return;
        }
        let bytes = token.len() + known.bytes();
        if tokens.by_token.len() >= KNOWN_MAX || tokens.bytes + bytes > KNOWN_BYTES_MAX {
            tokens.by_token.clear();
            tokens.bytes = 0;
        }
        let before = tokens.by_token.insert(token.to_owned(), (expires, known));
        if before.is_none() {
            tokens.bytes += bytes;
        }
    }

    fn forget_if(&self, goes: impl Fn(&T) -> bool) {
        let mut tokens = self.tokens();
        tokens.forgotten += 1;
        tokens.by_token.retain(|_, (_, known)| !goes(known));
        tokens.bytes = tokens
            .by_token
            .iter()
            .map(|(token, (_, known))| token.len() + known.bytes())
            .sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bson::{Document, doc};
    use state::Session;

    use super::{KNOWN_BYTES_MAX, KNOWN_MAX, KnownTokens};
    use crate::User;

    const NOW: i64 = 1_700_000_000;

    fn user(id: &str, custom_data: Document) -> Arc<User> {
        let record = state::User {
            id: id.to_owned(),
            app_id: String::new(),
            kind: "normal".to_owned(),
            identities: Vec::new(),
            keys: Vec::new(),
            disabled: false,
            created: 0,
            last_login: 0,
            last_seen: 0,
        };
        Arc::new(User::new(&record, custom_data, "s", "", "").unwrap())
    }

    fn session(user_id: &str, id: &str) -> Arc<Session> {
        let text = String::new;
        Arc::new(Session {
            id: id.to_owned(),
            app_id: text(),
            user_id: user_id.to_owned(),
            device_id: text(),
            provider_type: text(),
            identity_id: text(),
            created: 0,
            expires: 0,
            revoked: false,
        })
    }

    #[test]
    fn what_was_looked_up_before_something_was_forgotten_is_not_remembered() {
        let tokens = KnownTokens::default();
        let cache = &tokens.access;
        let seen = cache.get("t", NOW).unwrap_err();
        tokens.forget("ann");
        cache.put("t", NOW + 1, user("ann", Document::new()), seen);
        let seen = cache.get("t", NOW).unwrap_err();
        cache.put("t", NOW + 1, user("ann", Document::new()), seen);
        assert_eq!(cache.get("t", NOW).unwrap().id, "ann");
        assert!(cache.get("t", NOW + 1).is_err());
        tokens.forget("bob");
        assert!(cache.get("t", NOW).is_ok());
        tokens.forget("ann");
        assert!(cache.get("t", NOW).is_err());
        assert_eq!(cache.tokens().bytes, 0);
    }

    #[test]
    fn a_revoked_session_loses_its_refresh_token_only() {
        let tokens = KnownTokens::default();
        let known = || {
            let of = |there: bool| if there { "known" } else { "forgotten" };
            let access = tokens.access.get("a", NOW).is_ok();
            let refresh = tokens.refresh.get("r", NOW).is_ok();
            (of(access), of(refresh))
        };
        let meet = || {
            let seen = tokens.access.get("", NOW).unwrap_err();
            let user = user("ann", Document::new());
            tokens.access.put("a", NOW + 1, user, seen);
            let seen = tokens.refresh.get("", NOW).unwrap_err();
            let session = session("ann", "s");
            tokens.refresh.put("r", NOW + 1, session, seen);
            assert_eq!(known(), ("known", "known"));
        };
        meet();
        tokens.forget_renewals("ann");
        assert_eq!(known(), ("known", "forgotten"));
        meet();
        tokens.forget_renewal("s");
        assert_eq!(known(), ("known", "forgotten"));
        meet();
        tokens.forget_session("s");
        assert_eq!(known(), ("forgotten", "forgotten"));
        meet();
        tokens.forget("ann");
        assert_eq!(known(), ("forgotten", "forgotten"));
        meet();
        tokens.forget_session("another");
        assert_eq!(known(), ("known", "known"));
        tokens.forget_all();
        assert_eq!(known(), ("forgotten", "forgotten"));
    }

    #[test]
    fn what_is_known_is_bounded_by_number_and_by_bytes() {
        let tokens = KnownTokens::default();
        let cache = &tokens.access;
        let one = user("u", Document::new());
        for n in 0..=KNOWN_MAX {
            cache.put(&n.to_string(), NOW, one.clone(), 0);
        }
        assert_eq!(cache.tokens().by_token.len(), 1);
        let large = user("u", doc! { "text": "x".repeat(1 << 20) });
        let mut most = 0;
        for n in 0..100 {
            cache.put(&n.to_string(), NOW, large.clone(), 0);
            assert!(cache.tokens().bytes <= KNOWN_BYTES_MAX);
            most = most.max(cache.tokens().by_token.len());
        }
        assert!((10..64).contains(&most), "{most}");
    }
}
