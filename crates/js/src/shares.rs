//! Who has computed much lately. Calls of an owner who has not come first: the
//! processor is theirs before it is that of calls which compute for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an owner may compute at once beside its share.
const BURST: Duration = Duration::from_millis(100);
/// The most that is remembered of an owner.
const REMEMBERED_MAX: Duration = Duration::from_secs(1);
/// An owner's share of the machine's processors.
const SHARE_OF_PROCESSORS: f64 = 0.1;
/// Accounts that are kept before those without anything on them go.
const ACCOUNTS_KEPT: usize = 256;

/// What owners have computed beyond their shares.
pub(crate) struct Shares {
    /// Processors for one owner.
    share: f64,
    accounts: Mutex<HashMap<Arc<str>, Account>>,
}

struct Account {
    computed: Duration,
    at: Instant,
}

impl Account {
    /// What is left of it: the share of the time since then has been used up.
    fn left(&self, share: f64, now: Instant) -> Duration {
        let made_up = now.duration_since(self.at).mul_f64(share);
        self.computed.saturating_sub(made_up)
    }
}

impl Shares {
    /// On a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            share: cores as f64 * SHARE_OF_PROCESSORS,
            accounts: Mutex::default(),
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a call of an owner has computed.
    pub(crate) fn add(&self, owner: &Arc<str>, computed: Duration, now: Instant) {
        let mut accounts = self.accounts();
        if accounts.len() >= ACCOUNTS_KEPT {
            accounts.retain(|_, account| !account.left(self.share, now).is_zero());
        }
        let before = accounts
            .get(owner)
            .map_or(Duration::ZERO, |account| account.left(self.share, now));
        let account = Account {
            computed: (before + computed).min(REMEMBERED_MAX),
            at: now,
        };
        accounts.insert(owner.clone(), account);
    }

    /// Whether an owner has computed more than its share lately.
    pub(crate) fn is_heavy(&self, owner: &Arc<str>, now: Instant) -> bool {
        let accounts = self.accounts();
        let account = accounts.get(owner);
        account.is_some_and(|account| account.left(self.share, now) > BURST)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{ACCOUNTS_KEPT, BURST, REMEMBERED_MAX, Shares};

    #[test]
    fn who_computes_long_is_heavy_until_its_share_has_made_up_for_it() {
        let shares = Shares::new(2);
        let (start, owner): (_, Arc<str>) = (Instant::now(), "a".into());
        assert!(!shares.is_heavy(&owner, start));
        shares.add(&owner, BURST, start);
        assert!(!shares.is_heavy(&owner, start));
        shares.add(&owner, BURST, start);
        assert!(shares.is_heavy(&owner, start));
        assert!(!shares.is_heavy(&"b".into(), start));
        let made_up = BURST.div_f64(shares.share);
        let almost = start + made_up.mul_f64(0.9);
        assert!(shares.is_heavy(&owner, almost));
        assert!(!shares.is_heavy(&owner, start + made_up.mul_f64(1.1)));
        // However long it went on, it is not held against it for long.
        shares.add(&owner, Duration::from_secs(3600), start);
        let all = REMEMBERED_MAX.div_f64(shares.share);
        assert!(!shares.is_heavy(&owner, start + all));
    }

    #[test]
    fn owners_of_whom_nothing_is_left_are_forgotten() {
        let shares = Shares::new(2);
        let start = Instant::now();
        for n in 0..ACCOUNTS_KEPT {
            shares.add(&format!("{n}").into(), BURST, start);
        }
        let later = start + REMEMBERED_MAX.div_f64(shares.share);
        shares.add(&"last".into(), BURST, later);
        assert_eq!(shares.accounts().len(), 1);
    }
}
