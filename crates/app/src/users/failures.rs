//! Tries that failed: how often one address may try one account, and how often
//! it may try at all.
//!
//! An account that does not exist is counted like one that does, so that the
//! refusal tells nothing. Who tries an account from elsewhere is not kept out:
//! nobody can lock an account for its owner. The addresses of a network that
//! one party has (IPv6: 64 bits) are one.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::limit::{
    ADDRESS_FAILURES_PER_MINUTE_MAX, ADDRESS_LOGINS_AT_ONCE_MAX, LOGIN_FAILURES_PER_MINUTE_MAX,
    LOGINS_AT_ONCE_MAX,
};
use kit::{Kind, Problem};

use crate::App;

const MINUTE_MS: i64 = 60_000;
/// Accounts and addresses that are remembered.
const REMEMBERED_MAX: usize = 100_000;
/// When who tries too often at a time may try again, in seconds.
const AT_ONCE_S: u32 = 1;

/// Of one account from one address: failures of a minute, and tries at once.
const OF_ACCOUNT: (u32, u32) = (LOGIN_FAILURES_PER_MINUTE_MAX, LOGINS_AT_ONCE_MAX);
/// Of one address.
const OF_ADDRESS: (u32, u32) = (ADDRESS_FAILURES_PER_MINUTE_MAX, ADDRESS_LOGINS_AT_ONCE_MAX);

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
pub struct Try<'f> {
    failures: &'f Failures,
    keys: Vec<u64>,
    passed: bool,
}

impl Failures {
    /// Begins a try of an account.
    ///
    /// # Errors
    /// `TooManyRequests`, with the seconds to wait for.
    pub(crate) fn begin(&self, account: &str, address: &str, now: i64) -> Result<Try<'_>, Problem> {
        let address = network(address);
        let of_account = self.hasher.hash_one((account, &address));
        self.begin_all(&[(of_account, OF_ACCOUNT)], &address, now)
    }

    /// Begins a try of what is no account's: a key, a token, a name.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) fn begin_at(&self, address: &str, now: i64) -> Result<Try<'_>, Problem> {
        self.begin_all(&[], &network(address), now)
    }

    fn begin_all(
        &self,
        of: &[(u64, (u32, u32))],
        address: &str,
        now: i64,
    ) -> Result<Try<'_>, Problem> {
        let mut all = self.tries();
        let mut keys = of.to_vec();
        // The server itself has none.
        if !address.is_empty() {
            keys.push((self.hasher.hash_one(address), OF_ADDRESS));
        }
        for (key, (failures_max, at_once_max)) in &keys {
            let Some(tries) = all.get(key) else { continue };
            let young = (0..MINUTE_MS).contains(&(now - tries.since));
            let failed = if young { tries.failed } else { 0 };
            if failed >= *failures_max {
                let left = tries.since + MINUTE_MS - now;
                return Err(too_many((left + 999).div_euclid(1000) as u32));
            }
            if failed + tries.running >= *at_once_max {
                return Err(too_many(AT_ONCE_S));
            }
        }
        if all.len() + keys.len() > REMEMBERED_MAX {
            all.retain(|_, tries| tries.running > 0 || now - tries.since < MINUTE_MS);
            if all.len() + keys.len() > REMEMBERED_MAX {
                all.retain(|_, tries| tries.running > 0);
            }
        }
        for (key, _) in &keys {
            let tries = all.entry(*key).or_default();
            if !(0..MINUTE_MS).contains(&(now - tries.since)) {
                (tries.since, tries.failed) = (now, 0);
            }
            tries.running += 1;
        }
        Ok(Try {
            failures: self,
            keys: keys.into_iter().map(|(key, _)| key).collect(),
            passed: false,
        })
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<u64, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(wait_s: u32) -> Problem {
    Problem::new(
        Kind::Limited,
        "TooManyRequests",
        "too many failed logins, try again later",
    )
    .retry_after(wait_s)
}

/// What of an address one party has.
fn network(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V6(address)) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).to_string()
        }
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

impl Try<'_> {
    /// Nothing wrong was tried.
    pub(crate) fn passed(mut self) {
        self.passed = true;
    }

    /// Decides by what was answered: whether it tells somebody who guesses that
    /// they have to go on.
    pub fn answered(self, problem: Option<&Problem>) {
        const GUESSES: [&str; 4] = [
            "AuthError",
            "UserNotFound",
            "UserpassTokenInvalid",
            "AccountNameInUse",
        ];
        if problem.is_none_or(|problem| !GUESSES.contains(&problem.code.as_ref())) {
            self.passed();
        }
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut all = self.failures.tries();
        for key in &self.keys {
            if let Some(tries) = all.get_mut(key) {
                tries.running = tries.running.saturating_sub(1);
                if !self.passed {
                    tries.failed += 1;
                } else if tries.running == 0 && tries.failed == 0 {
                    all.remove(key);
                }
            }
        }
    }
}

impl App {
    /// Begins what may be a guess at names, tokens or keys, from an address.
    ///
    /// # Errors
    /// `TooManyRequests`, with the seconds to wait for.
    pub fn attempt(&self, address: &str) -> Result<Try<'_>, Problem> {
        self.failures.begin_at(address, self.core.clock.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ADDRESS_FAILURES_PER_MINUTE_MAX, Failures, LOGIN_FAILURES_PER_MINUTE_MAX,
        LOGINS_AT_ONCE_MAX,
    };

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

    #[test]
    fn one_address_fails_only_so_often_whatever_it_tries() {
        let failures = Failures::default();
        for n in 0..ADDRESS_FAILURES_PER_MINUTE_MAX {
            drop(
                failures
                    .begin(&n.to_string(), "::ffff:10.0.0.1", 0)
                    .unwrap(),
            );
        }
        let refused = |address: &str, now| {
            let begun = failures.begin_at(address, now);
            begun.err().map(|problem| problem.retry_after_s.unwrap())
        };
        assert_eq!(refused("10.0.0.1", 500), Some(60));
        assert_eq!(refused("10.0.0.1", 0), Some(60));
        assert_eq!(refused("10.0.0.1", 58_999), Some(2));
        assert_eq!(refused("10.0.0.1", 59_000), Some(1));
        assert_eq!(refused("10.0.0.1", 59_999), Some(1));
        assert!(failures.begin("new", "10.0.0.1", 0).is_err());
        assert_eq!(refused("10.0.0.2", 0), None);
        assert_eq!(refused("10.0.0.1", 60_000), None);
    }

    #[test]
    fn the_addresses_of_a_party_are_one() {
        let failures = Failures::default();
        for n in 0..LOGIN_FAILURES_PER_MINUTE_MAX {
            drop(
                failures
                    .begin("a", &format!("2001:db8:1:2:{n}::7"), 0)
                    .unwrap(),
            );
        }
        assert!(failures.begin("a", "2001:db8:1:2:ffff::1", 0).is_err());
        assert!(failures.begin("a", "2001:db8:1:3::1", 0).is_ok());
        assert!(failures.begin("b", "2001:db8:1:2::1", 0).is_ok());
    }
}
