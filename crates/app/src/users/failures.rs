//! Wrong passwords, counted: how often one address may try one account.
//!
//! An account that does not exist is counted like one that does, so that the
//! refusal tells nothing.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::limit::{LOGIN_FAILURES_PER_MINUTE_MAX, LOGINS_AT_ONCE_MAX};
use kit::{Kind, Problem};

const MINUTE_MS: i64 = 60_000;
/// Accounts and addresses that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// The tries of one minute.
#[derive(Default)]
struct Tries {
    since: i64,
    failed: u32,
    running: u32,
}

/// The counts of one app.
#[derive(Default)]
pub(crate) struct Failures {
    tries: Mutex<HashMap<u64, Tries>>,
    hasher: RandomState,
}

/// A try that is being decided; one that is not [passed](Self::passed) has
/// failed.
pub(crate) struct Try<'f> {
    failures: &'f Failures,
    key: u64,
    passed: bool,
}

impl Failures {
    /// Begins a try.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) fn begin(&self, account: &str, address: &str, now: i64) -> Result<Try<'_>, Problem> {
        let key = self.hasher.hash_one((account, address));
        let mut all = self.tries();
        if all.len() >= REMEMBERED_MAX && !all.contains_key(&key) {
            all.retain(|_, tries| tries.running > 0 || now - tries.since < MINUTE_MS);
            if all.len() >= REMEMBERED_MAX {
                all.retain(|_, tries| tries.running > 0);
            }
        }
        let tries = all.entry(key).or_default();
        if !(0..MINUTE_MS).contains(&(now - tries.since)) {
            (tries.since, tries.failed) = (now, 0);
        }
        if tries.failed >= LOGIN_FAILURES_PER_MINUTE_MAX
            || tries.failed + tries.running >= LOGINS_AT_ONCE_MAX
        {
            return Err(Problem::new(
                Kind::Limited,
                "TooManyRequests",
                "too many failed logins, try again later",
            ));
        }
        tries.running += 1;
        Ok(Try {
            failures: self,
            key,
            passed: false,
        })
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<u64, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Try<'_> {
    /// It was no wrong password.
    pub(crate) fn passed(mut self) {
        self.passed = true;
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut all = self.failures.tries();
        if let Some(tries) = all.get_mut(&self.key) {
            tries.running = tries.running.saturating_sub(1);
            if !self.passed {
                tries.failed += 1;
            } else if tries.running == 0 && tries.failed == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failures, LOGIN_FAILURES_PER_MINUTE_MAX, LOGINS_AT_ONCE_MAX};

    #[test]
    fn failures_of_a_minute_refuse_the_next_try() {
        let failures = Failures::default();
        for _ in 0..LOGIN_FAILURES_PER_MINUTE_MAX {
            drop(failures.begin("a", "1", 0).unwrap());
        }
        assert!(failures.begin("a", "1", 59_999).is_err());
        assert!(failures.begin("b", "1", 59_999).is_ok());
        assert!(failures.begin("a", "2", 59_999).is_ok());
        assert!(failures.begin("a", "1", 60_000).is_ok());
    }

    #[test]
    fn good_logins_count_only_while_they_run() {
        let failures = Failures::default();
        let running: Vec<_> = (0..LOGINS_AT_ONCE_MAX)
            .map(|_| failures.begin("a", "1", 0).unwrap())
            .collect();
        assert!(failures.begin("a", "1", 0).is_err());
        running.into_iter().for_each(super::Try::passed);
        assert!(failures.begin("a", "1", 0).is_ok());
    }

    #[test]
    fn what_is_over_is_not_kept() {
        let failures = Failures::default();
        for account in 0..1000 {
            let account = account.to_string();
            failures.begin(&account, "1", 0).unwrap().passed();
        }
        assert!(failures.tries().is_empty());
    }
}
