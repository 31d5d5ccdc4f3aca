//! Who starts next. Each owner has a line of its own, and owners take turns, so
//! that one with thousands of calls delays another by one call at most.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Calls that run at once.
    pub(crate) running: usize,
    /// Of one owner.
    pub(crate) running_of_owner: usize,
    /// Calls of one owner, those that wait included.
    pub(crate) calls_of_owner: usize,
}

/// The line of calls that want to run.
pub(crate) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    waiting: AtomicUsize,
    /// Told when a call has to wait: another that only waits for its host
    /// could make room.
    pub(crate) crowded: Notify,
}

#[derive(Default)]
struct State {
    running: usize,
    owners: HashMap<Arc<str>, Owner>,
    /// Owners with a line, the next one first.
    turns: VecDeque<Arc<str>>,
    /// Calls that had begun and go on.
    resumed: VecDeque<(Arc<str>, oneshot::Sender<Permit>)>,
    /// Whether the last turn was one of those.
    was_resumed: bool,
}

#[derive(Default)]
struct Owner {
    calls: usize,
    running: usize,
    line: VecDeque<oneshot::Sender<Permit>>,
}

/// A call that was admitted, until it ends.
pub(crate) struct Admission {
    queue: Arc<Queue>,
    owner: Arc<str>,
}

/// The right to run, until it is dropped.
pub(crate) struct Permit {
    queue: Arc<Queue>,
    owner: Arc<str>,
}

impl State {
    fn give_back(&mut self, owner: &Arc<str>) {
        self.running -= 1;
        if let Some(of) = self.owners.get_mut(owner) {
            of.running -= 1;
        }
        self.forget(owner);
    }

    /// Forgets an owner of whom nothing is left.
    fn forget(&mut self, owner: &Arc<str>) {
        let of = self.owners.get(owner);
        if of.is_some_and(|of| of.calls == 0 && of.running == 0) {
            self.owners.remove(owner);
            self.turns.retain(|other| other != owner);
        }
    }
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
            waiting: AtomicUsize::new(0),
            crowded: Notify::new(),
        }
    }

    /// Calls that wait to run now.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Admits a call; `None` when its owner has too many.
    pub(crate) fn admit(self: &Arc<Self>, owner: &Arc<str>) -> Option<Admission> {
        let mut state = self.state();
        let of = state.owners.entry(owner.clone()).or_default();
        if of.calls >= self.bounds.calls_of_owner {
            return None;
        }
        of.calls += 1;
        Some(Admission {
            queue: self.clone(),
            owner: owner.clone(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, state: &mut State, owner: &Arc<str>) -> Permit {
        state.running += 1;
        if let Some(of) = state.owners.get_mut(owner) {
            of.running += 1;
        }
        Permit {
            queue: self.clone(),
            owner: owner.clone(),
        }
    }

    /// Gives what is free to those whose turn it is.
    fn serve(self: &Arc<Self>) {
        let mut state = self.state();
        while state.running < self.bounds.running {
            let Some((owner, sender)) = self.next(&mut state) else {
                return;
            };
            let permit = self.permit(&mut state, &owner);
            if let Err(permit) = sender.send(permit) {
                // Its caller left; the lock is held, so not by dropping it.
                state.give_back(&permit.owner);
                std::mem::forget(permit);
            }
        }
    }

    fn next(&self, state: &mut State) -> Option<(Arc<str>, oneshot::Sender<Permit>)> {
        // One of each kind in turn: calls that wake often do not keep new ones
        // from beginning.
        if state.was_resumed
            && let Some(new) = self.next_new(state)
        {
            state.was_resumed = false;
            return Some(new);
        }
        if let Some(resumed) = self.next_resumed(state) {
            state.was_resumed = true;
            return Some(resumed);
        }
        self.next_new(state)
    }

    fn next_resumed(&self, state: &mut State) -> Option<(Arc<str>, oneshot::Sender<Permit>)> {
        let State {
            resumed, owners, ..
        } = state;
        let has_room = |(owner, _): &(Arc<str>, _)| {
            let of = owners.get(owner);
            of.is_none_or(|of| of.running < self.bounds.running_of_owner)
        };
        let first = resumed.iter().position(has_room)?;
        resumed.remove(first)
    }

    fn next_new(&self, state: &mut State) -> Option<(Arc<str>, oneshot::Sender<Permit>)> {
        for _ in 0..state.turns.len() {
            let owner = state.turns.pop_front()?;
            let Some(of) = state.owners.get_mut(&owner) else {
                continue;
            };
            if of.running >= self.bounds.running_of_owner {
                state.turns.push_back(owner);
                continue;
            }
            let next = of.line.pop_front();
            if !of.line.is_empty() {
                state.turns.push_back(owner.clone());
            }
            if let Some(next) = next {
                return Some((owner, next));
            }
        }
        None
    }
}

impl Admission {
    /// Waits for a worker; `resumed` for a call that had one before.
    pub(crate) async fn permit(&self, resumed: bool) -> Option<Permit> {
        let queue = &self.queue;
        let granted = {
            let mut state = queue.state();
            let of = state.owners.get(&self.owner)?;
            if state.resumed.is_empty()
                && state.turns.is_empty()
                && state.running < queue.bounds.running
                && of.running < queue.bounds.running_of_owner
            {
                return Some(queue.permit(&mut state, &self.owner));
            }
            let (sender, granted) = oneshot::channel();
            if resumed {
                state.resumed.push_back((self.owner.clone(), sender));
            } else {
                let of = state.owners.get_mut(&self.owner)?;
                // Callers that left.
                if of.line.len() > 2 * of.calls {
                    of.line.retain(|waiting| !waiting.is_closed());
                }
                let is_first = of.line.is_empty();
                of.line.push_back(sender);
                if is_first {
                    state.turns.push_back(self.owner.clone());
                }
            }
            granted
        };
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&queue.waiting);
        // Something may have become free for others than those who are first.
        queue.serve();
        queue.crowded.notify_one();
        granted.await.ok()
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if let Some(of) = state.owners.get_mut(&self.owner) {
            of.calls -= 1;
        }
        state.forget(&self.owner);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.give_back(&self.owner);
        drop(state);
        self.queue.serve();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Admission, Bounds, Permit, Queue};

    fn queue(running: usize, running_of_owner: usize) -> Arc<Queue> {
        Arc::new(Queue::new(Bounds {
            running,
            running_of_owner,
            calls_of_owner: 100,
        }))
    }

    fn admit(queue: &Arc<Queue>, owner: &str) -> Admission {
        queue.admit(&owner.into()).unwrap()
    }

    /// A call that waits, and what it says when its turn has come.
    fn wait(
        queue: &Arc<Queue>,
        owner: &'static str,
        resumed: bool,
        order: &tokio::sync::mpsc::UnboundedSender<(&'static str, Permit, Admission)>,
    ) -> tokio::task::JoinHandle<()> {
        let (admission, order) = (admit(queue, owner), order.clone());
        tokio::spawn(async move {
            let permit = admission.permit(resumed).await.unwrap();
            let _ = order.send((owner, permit, admission));
        })
    }

    #[tokio::test]
    async fn owners_take_turns_with_each_other_and_with_calls_that_had_begun() {
        let queue = queue(1, 1);
        let first = admit(&queue, "a");
        let permit = first.permit(false).await.unwrap();
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for owner in ["a", "a", "a", "b", "c", "b"] {
            wait(&queue, owner, false, &sender);
        }
        wait(&queue, "d", true, &sender);
        wait(&queue, "e", true, &sender);
        tokio::task::yield_now().await;
        assert_eq!(queue.waiting(), 8);
        drop(permit);
        let mut seen = String::new();
        for _ in 0..8 {
            let (owner, _permit, _admission) = order.recv().await.unwrap();
            seen.push_str(owner);
        }
        assert_eq!(seen, "daebcaba");
        assert_eq!(queue.waiting(), 0);
        drop(first);
        assert!(queue.state().owners.is_empty());
    }

    #[tokio::test]
    async fn an_owner_leaves_room_for_others() {
        let queue = queue(4, 3);
        let a: Vec<_> = (0..4).map(|_| admit(&queue, "a")).collect();
        let mut held = Vec::new();
        for admission in &a[..3] {
            held.push(admission.permit(false).await.unwrap());
        }
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        wait(&queue, "a", false, &sender);
        tokio::task::yield_now().await;
        assert_eq!(queue.waiting(), 1);
        wait(&queue, "b", false, &sender);
        assert_eq!(order.recv().await.unwrap().0, "b");
        drop(held.pop());
        assert_eq!(order.recv().await.unwrap().0, "a");
    }

    #[tokio::test]
    async fn a_caller_that_left_is_passed_over_and_too_many_are_refused() {
        let queue = queue(1, 1);
        let first = admit(&queue, "a");
        let permit = first.permit(false).await.unwrap();
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        let left = wait(&queue, "b", false, &sender);
        tokio::task::yield_now().await;
        wait(&queue, "c", false, &sender);
        tokio::task::yield_now().await;
        left.abort();
        tokio::task::yield_now().await;
        drop(permit);
        assert_eq!(order.recv().await.unwrap().0, "c");
        let _all: Vec<_> = (0..99).map(|_| admit(&queue, "a")).collect();
        assert!(queue.admit(&"a".into()).is_none());
        assert!(queue.admit(&"b".into()).is_some());
    }
}
