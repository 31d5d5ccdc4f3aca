//! Turns for writes that keep losing to others in the same collection.

use tokio::sync::{Mutex, MutexGuard};

/// Collections beyond this many share turns.
const TURNS: usize = 64;

pub(crate) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// Waits for a turn in a collection, in the order of asking.
    pub(crate) async fn of(&self, collection: u32) -> MutexGuard<'_, ()> {
        let [first, ..] = &self.0;
        let turn = self.0.get(collection as usize % TURNS);
        turn.unwrap_or(first).lock().await
    }
}
