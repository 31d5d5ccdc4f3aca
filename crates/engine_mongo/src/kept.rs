//! Things kept for callers who come back: at most so many, and not for ever.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Values by key, each with the time from which its life is counted. What is
/// too old goes when something new comes; nothing runs in between.
pub(crate) struct Kept<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
    life: Duration,
    max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    pub(crate) fn new(max: usize, life: Duration) -> Self {
        Self {
            entries: Mutex::default(),
            life,
            max,
        }
    }

    /// Keeps a value, if need be in the place of the oldest.
    pub(crate) fn put(&self, key: K, value: V, now: Instant) {
        let mut entries = self.young(now);
        while entries.len() >= self.max && !entries.contains_key(&key) {
            let oldest = entries.iter().min_by_key(|(_, (since, _))| *since);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            entries.remove(&oldest);
        }
        entries.insert(key, (now, value));
    }

    /// A value that is young enough.
    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.lock();
        let (since, value) = entries.get(key)?;
        (now.saturating_duration_since(*since) < self.life).then(|| value.clone())
    }

    /// Counts a value's life from now.
    pub(crate) fn renew(&self, key: &K, now: Instant) {
        if let Some((since, _)) = self.lock().get_mut(key) {
            *since = now;
        }
    }

    /// Takes a value out if it is `wanted`.
    pub(crate) fn take(&self, key: &K, wanted: impl FnOnce(&V) -> bool) -> Option<V> {
        let mut entries = self.lock();
        if entries.get(key).is_some_and(|(_, value)| wanted(value)) {
            return entries.remove(key).map(|(_, value)| value);
        }
        None
    }

    /// Whether one more would cost another its place.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.young(now).len() >= self.max
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, after dropping those that are too old.
    fn young(&self, now: Instant) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        let mut entries = self.lock();
        entries.retain(|_, (since, _)| now.saturating_duration_since(*since) < self.life);
        entries
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Kept;

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let (kept, start) = (Kept::new(2, Duration::from_secs(60)), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        kept.put(1, "a", at(0));
        kept.put(2, "b", at(1));
        assert!(kept.is_full(at(1)));
        kept.renew(&1, at(2));
        kept.put(3, "c", at(3));
        assert_eq!(kept.get(&2, at(3)), None);
        assert_eq!(kept.get(&1, at(3)), Some("a"));
        kept.put(3, "d", at(4));
        assert_eq!(kept.get(&1, at(4)), Some("a"), "the key was there");
    }

    #[test]
    fn what_is_too_old_is_gone() {
        let (kept, start) = (Kept::new(2, Duration::from_secs(60)), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        kept.put(1, "a", at(0));
        kept.put(2, "b", at(30));
        assert_eq!(kept.get(&1, at(59)), Some("a"));
        assert_eq!(kept.get(&1, at(60)), None);
        assert!(!kept.is_full(at(60)));
        assert_eq!(kept.take(&2, |value| *value == "x"), None);
        assert_eq!(kept.take(&2, |_| true), Some("b"));
        assert_eq!(kept.get(&2, at(60)), None);
    }
}
