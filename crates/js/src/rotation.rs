//! Calls that compute for long take turns, as many at once as there are cores;
//! while other owners call, one core is left to these. However far behind a
//! process stands, the system lets it have what it has not had for a while, and
//! others wait for that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a turn is.
pub(crate) const TURN: Duration = Duration::from_millis(25);

/// How long one takes to come to its end.
const END: Duration = Duration::from_millis(5);
/// How long all of them may take: less than until they are killed.
const ENDS_MAX: Duration = Duration::from_millis(100);
/// Turns after which a member looks again, since others may have come and gone.
const LOOKED_FORWARD: usize = 4;
/// How long a core is left to others after they have called.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(2);

/// Those who compute, in their order.
pub(crate) struct Rotation {
    cores: usize,
    since: Instant,
    /// When others are no longer thought of: milliseconds of `since`.
    alone: AtomicU64,
    next: AtomicU64,
    members: Mutex<Vec<u64>>,
}

/// One who takes turns, until it is dropped.
pub(crate) struct Member<'a> {
    rotation: &'a Rotation,
    id: u64,
}

impl Rotation {
    /// On a machine with so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores,
            since: Instant::now(),
            alone: AtomicU64::new(0),
            next: AtomicU64::new(0),
            members: Mutex::default(),
        }
    }

    /// Takes turns with the others from now on.
    pub(crate) fn join(&self) -> Member<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.members().push(id);
        Member { rotation: self, id }
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

    fn members(&self) -> MutexGuard<'_, Vec<u64>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member<'_> {
    /// Whether it is its turn, and when that may change.
    pub(crate) fn turn(&self, now: Instant) -> (bool, Instant) {
        let rotation = self.rotation;
        let members = rotation.members();
        let (count, at_once) = (members.len(), rotation.at_once(now));
        let passed = now.duration_since(rotation.since).as_micros() / TURN.as_micros();
        let turns = usize::try_from(passed).unwrap_or(0);
        let after = |more: usize| rotation.since + TURN.mul_f64((turns + more) as f64);
        if count <= at_once {
            return (true, after(LOOKED_FORWARD));
        }
        let place = members.iter().position(|id| *id == self.id).unwrap_or(0);
        // A window that moves over the members by its own length.
        let is_in = |turn: usize| {
            let first = turn.wrapping_mul(at_once) % count;
            (place + count - first) % count < at_once
        };
        let now = is_in(turns);
        let same = (1..LOOKED_FORWARD).find(|more| is_in(turns + more) != now);
        (now, after(same.unwrap_or(LOOKED_FORWARD)))
    }
}

impl Member<'_> {
    /// When it is let go on to its end although it is not its turn, after its
    /// time was up at `limit`: those who began together do not all end at once.
    pub(crate) fn end(&self, limit: Instant) -> Instant {
        let members = self.rotation.members();
        let place = members.iter().position(|id| *id == self.id).unwrap_or(0);
        let before = place / self.rotation.cores.max(1);
        limit + (END * before as u32).min(ENDS_MAX)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.rotation.members().retain(|id| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOKED_FORWARD, Rotation, TURN};

    #[test]
    fn members_take_turns_of_the_same_length_and_no_core_is_without_one() {
        for (cores, count) in [(2, 1), (2, 2), (2, 3), (2, 12), (4, 7)] {
            let rotation = Rotation::new(cores);
            let members: Vec<_> = (0..count).map(|_| rotation.join()).collect();
            let mut had = vec![0; count];
            // What each was told when it looked last, and when it looks next.
            let mut told = vec![(false, rotation.since); count];
            let rounds = count * 10;
            for round in 0..rounds {
                let now = rotation.since + TURN * round as u32 + TURN / 2;
                for (member, told) in members.iter().zip(&mut told) {
                    if told.1 <= now {
                        *told = member.turn(now);
                        assert!(told.1 > now && told.1 <= now + LOOKED_FORWARD as u32 * TURN);
                    }
                    assert_eq!(told.0, member.turn(now).0);
                }
                let running = told.iter().filter(|told| told.0).count();
                assert_eq!(running, cores.min(count));
                for (had, told) in had.iter_mut().zip(&told) {
                    *had += usize::from(told.0);
                }
            }
            let fair = rounds * cores.min(count) / count;
            assert!(had.iter().all(|had| had.abs_diff(fair) <= 1), "{had:?}");
        }
    }

    #[test]
    fn who_leaves_gives_the_turn_to_others() {
        let rotation = Rotation::new(1);
        let (first, second) = (rotation.join(), rotation.join());
        let turn = |member: &super::Member<'_>| member.turn(rotation.since).0;
        assert!(turn(&first) && !turn(&second));
        drop(first);
        assert!(turn(&second));
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
        let running = |now| members.iter().filter(|member| member.turn(now).0).count();
        assert_eq!(running(rotation.since), 3);
        rotation.others_call(rotation.since);
        assert_eq!(running(rotation.since), 2);
        let later = rotation.since + 2 * super::LEFT_TO_OTHERS;
        assert_eq!(running(later), 3);
        // Where there is one core, it is never without anybody.
        let rotation = Rotation::new(1);
        let member = rotation.join();
        rotation.others_call(rotation.since);
        assert!(member.turn(rotation.since).0);
    }
}
