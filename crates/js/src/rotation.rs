//! Calls that compute for long take turns, as many at once as there are cores;
//! while other owners call, one core is left to these. However far behind a
//! process stands, the system lets it have what it has not had for a while, and
//! others wait for that.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// How long a turn is.
pub(crate) const TURN: Duration = Duration::from_millis(50);
/// How long after the beginning of its turn a member goes on, so that the one
/// before has stopped: of two that share a core, the one that waits is owed its
/// time, and has it before all others when it goes on once more.
const AFTER: Duration = Duration::from_millis(2);

/// How long one takes to come to its end.
const END: Duration = Duration::from_millis(5);
/// How long all of them may take: less than until they are killed.
const ENDS_MAX: Duration = Duration::from_millis(100);
/// How long a core is left to others after they have called. Short, since an
/// owner is one of them until it has computed for long.
const LEFT_TO_OTHERS: Duration = Duration::from_millis(500);

/// Those who compute.
pub(crate) struct Rotation {
    cores: usize,
    since: Instant,
    /// When others are no longer thought of: milliseconds of `since`.
    alone: AtomicU64,
    state: Mutex<State>,
    /// Tells that one has come or left.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// The turn in which they have this order.
    turn: u32,
    /// Those in front have their turn.
    members: VecDeque<u64>,
}

/// One who takes turns, until it is dropped.
pub(crate) struct Member<'a> {
    rotation: &'a Rotation,
    id: u64,
    changed: watch::Receiver<()>,
}

impl Rotation {
    /// On a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores,
            since: Instant::now(),
            alone: AtomicU64::new(0),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Takes turns with the others from now on, as the last of them.
    pub(crate) fn join(&self) -> Member<'_> {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.members.push_back(id);
        Member {
            rotation: self,
            id,
            changed: self.changed.subscribe(),
        }
    }

    /// Another, who does not compute for long, calls.
    pub(crate) fn others_call(&self, now: Instant) {
        let alone = (now + LEFT_TO_OTHERS).duration_since(self.since);
        let alone = u64::try_from(alone.as_millis()).unwrap_or(u64::MAX);
        // Written seldom: every call comes by.
        if self.alone.load(Ordering::Relaxed) < alone {
            self.alone.store(alone + 100, Ordering::Relaxed);
        }
    }

    /// How many have their turn at the same time.
    fn at_once(&self, now: Instant) -> usize {
        let passed = now.duration_since(self.since).as_millis();
        if passed < u128::from(self.alone.load(Ordering::Relaxed)) {
            self.cores.saturating_sub(1).max(1)
        } else {
            self.cores.max(1)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member<'_> {
    /// Whether it is its turn, and when that may change unless others leave.
    pub(crate) fn turn(&self, is_paused: bool, now: Instant) -> (bool, Instant) {
        let rotation = self.rotation;
        let at_once = rotation.at_once(now);
        let turn = now.duration_since(rotation.since).as_millis() / TURN.as_millis();
        let turn = u32::try_from(turn).unwrap_or(u32::MAX);
        let begins = rotation.since + TURN * turn;
        let mut state = rotation.state();
        if state.turn < turn {
            state.turn = turn;
            if state.members.len() > at_once {
                // Who had its turn is the last from now on.
                state.members.rotate_left(at_once);
            }
        }
        let is_in_front = state.place(self.id) < at_once;
        drop(state);
        if is_paused && is_in_front && now < begins + AFTER {
            return (false, begins + AFTER);
        }
        let next = begins + TURN;
        (is_in_front, if is_in_front { next } else { next + AFTER })
    }

    /// When it is let go on to its end although it is not its turn, after its
    /// time was up at `limit`: those who began together do not all end at once.
    pub(crate) fn end(&self, limit: Instant) -> Instant {
        let before = self.rotation.state().place(self.id) / self.rotation.cores.max(1);
        limit + (END * before as u32).min(ENDS_MAX)
    }

    /// Waits until its turn may have come because another left.
    pub(crate) async fn others_left(&mut self) {
        // The sender lives as long as the rotation.
        let _ = self.changed.changed().await;
    }
}

impl State {
    fn place(&self, id: u64) -> usize {
        let place = self.members.iter().position(|member| *member == id);
        place.unwrap_or(0)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.rotation.state().members.retain(|id| *id != self.id);
        self.rotation.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{AFTER, Member, Rotation, TURN};

    /// Looks at all members as their callers do; who has its turn.
    fn looked(members: &[Member<'_>], paused: &mut [bool], now: Instant) -> usize {
        for (member, paused) in members.iter().zip(&mut *paused) {
            let (is_its_turn, next) = member.turn(*paused, now);
            assert!(next > now && next <= now + TURN + AFTER);
            *paused = !is_its_turn;
        }
        paused.iter().filter(|paused| !**paused).count()
    }

    #[test]
    fn members_take_turns_of_the_same_length_and_no_core_is_without_one() {
        for (cores, count) in [(2, 1), (2, 2), (2, 3), (2, 12), (4, 7)] {
            let rotation = Rotation::new(cores);
            let members: Vec<_> = (0..count).map(|_| rotation.join()).collect();
            let (mut paused, mut had) = (vec![false; count], vec![0; count]);
            let rounds = count * 10;
            for round in 0..rounds {
                let now = rotation.since + TURN * round as u32 + TURN / 2;
                assert_eq!(looked(&members, &mut paused, now), cores.min(count));
                for (had, paused) in had.iter_mut().zip(&paused) {
                    *had += usize::from(!paused);
                }
            }
            let fair = rounds * cores.min(count) / count;
            assert!(had.iter().all(|had| had.abs_diff(fair) <= 1), "{had:?}");
        }
    }

    #[test]
    fn a_member_goes_on_when_the_one_before_has_stopped() {
        let rotation = Rotation::new(1);
        let (first, second) = (rotation.join(), rotation.join());
        let begins = rotation.since + TURN;
        assert_eq!(first.turn(false, rotation.since), (true, begins));
        let after = (false, begins + AFTER);
        assert_eq!(second.turn(false, rotation.since), after);
        assert_eq!(second.turn(true, begins), after);
        assert!(!first.turn(false, begins).0);
        let goes_on = second.turn(true, begins + AFTER);
        assert_eq!(goes_on, (true, begins + TURN));
    }

    #[test]
    fn those_whose_time_is_up_end_one_after_the_other() {
        let rotation = Rotation::new(2);
        let members: Vec<_> = (0..100).map(|_| rotation.join()).collect();
        let limit = rotation.since;
        assert_eq!(members[1].end(limit), limit);
        assert_eq!(members[2].end(limit), limit + super::END);
        assert_eq!(members[99].end(limit), limit + super::ENDS_MAX);
    }

    #[test]
    fn a_core_is_left_to_others_for_a_while_after_they_called() {
        let rotation = Rotation::new(3);
        let members: Vec<_> = (0..5).map(|_| rotation.join()).collect();
        let mut paused = [false; 5];
        let mut running = |now| looked(&members, &mut paused, now + TURN / 2);
        assert_eq!(running(rotation.since), 3);
        rotation.others_call(rotation.since);
        assert_eq!(running(rotation.since), 2);
        assert_eq!(running(rotation.since + 2 * super::LEFT_TO_OTHERS), 3);
        // Where there is one core, it is never without anybody.
        let rotation = Rotation::new(1);
        let member = rotation.join();
        rotation.others_call(rotation.since);
        assert!(member.turn(false, rotation.since).0);
    }

    #[tokio::test]
    async fn who_leaves_gives_the_turn_to_others_at_once() {
        let rotation = Rotation::new(1);
        let (first, mut second) = (rotation.join(), rotation.join());
        let now = rotation.since + TURN / 2;
        assert!(first.turn(false, now).0 && !second.turn(false, now).0);
        drop(first);
        second.others_left().await;
        assert!(second.turn(true, now).0);
    }
}
