//! What calls hold that gave up their workers, by owner: one that waits with
//! thousands leaves room for those of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Frozen calls, wherever they wait.
pub(crate) struct Frozen {
    bytes_max: usize,
    bytes_of_owner_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: usize,
    bytes: usize,
    owners: HashMap<Arc<str>, Owner>,
}

#[derive(Default)]
struct Owner {
    calls: usize,
    bytes: usize,
}

/// A frozen call, until it goes on.
pub(crate) struct Held<'a> {
    frozen: &'a Frozen,
    owner: &'a Arc<str>,
    bytes: usize,
}

impl Frozen {
    /// Of as many bytes; one owner gets three quarters of them.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes_of_owner_max: bytes_max / 4 * 3,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls there are.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// What they hold.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Whether one more call of an owner may be asked to freeze. Those that were
    /// asked already may go over the bounds, one in each worker at most.
    pub(crate) fn has_room(&self, owner: &Arc<str>) -> bool {
        let state = self.state();
        let of = state.owners.get(owner);
        state.bytes < self.bytes_max && of.is_none_or(|of| of.bytes < self.bytes_of_owner_max)
    }

    /// Counts a call, for as long as what this answers lives.
    pub(crate) fn hold<'a>(&'a self, owner: &'a Arc<str>, bytes: usize) -> Held<'a> {
        let mut state = self.state();
        state.calls += 1;
        state.bytes += bytes;
        let of = state.owners.entry(owner.clone()).or_default();
        of.calls += 1;
        of.bytes += bytes;
        Held {
            frozen: self,
            owner,
            bytes,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.frozen.state();
        state.calls -= 1;
        state.bytes -= self.bytes;
        if let Some(of) = state.owners.get_mut(self.owner) {
            of.calls -= 1;
            of.bytes -= self.bytes;
            if of.calls == 0 {
                state.owners.remove(self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Frozen;

    #[test]
    fn an_owner_leaves_room_for_others_and_nothing_is_left_of_it() {
        let frozen = Frozen::new(100);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut held = vec![frozen.hold(&a, 40), frozen.hold(&a, 34)];
        assert!(frozen.has_room(&a));
        held.push(frozen.hold(&a, 1));
        assert!(!frozen.has_room(&a) && frozen.has_room(&b));
        held.push(frozen.hold(&b, 25));
        assert!(!frozen.has_room(&b));
        assert_eq!(frozen.calls(), 4);
        // The first of them goes on.
        held.remove(0);
        assert!(frozen.has_room(&a) && frozen.has_room(&b));
        held.clear();
        assert_eq!(frozen.calls(), 0);
        assert_eq!(frozen.bytes(), 0);
        assert!(frozen.state().owners.is_empty());
    }
}
