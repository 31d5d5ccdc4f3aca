//! One at a time, for each of many things.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Turns by key; what nobody waits for is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits until it is the caller's turn, which ends with what is returned.
    pub(crate) async fn turn(&self, key: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, lock| Arc::strong_count(lock) > 1);
            held.entry(key.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::Turns;

    #[tokio::test]
    async fn a_turn_is_waited_for_and_forgotten() {
        let turns = Turns::default();
        let first = turns.turn("a").await;
        let other = turns.turn("b").await;
        let mut second = Box::pin(turns.turn("a"));
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut nobody).is_pending());
        drop(first);
        drop(second.await);
        drop(other);
        drop(turns.turn("c").await);
        assert_eq!(turns.held.lock().unwrap().len(), 1);
    }
}
