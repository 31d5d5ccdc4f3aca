//! Whether owners call beside each other. One who is alone may have many calls
//! in the workers at once, which takes less of the processor for each; in
//! company, others would wait behind them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long an owner's call is company to others.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Who calls.
#[derive(Default)]
pub(crate) struct Company(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whose call came last.
    last: Option<Arc<str>>,
    /// When one of somebody else's came last.
    changed: Option<Instant>,
}

impl Company {
    /// Notes a call; whether its owner is the only one lately.
    pub(crate) fn is_alone(&self, owner: &Arc<str>, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.as_ref() != Some(owner) && state.last.replace(owner.clone()).is_some() {
            state.changed = Some(now);
        }
        let changed = state.changed;
        changed.is_none_or(|changed| now.duration_since(changed) > REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Company, REMEMBERED};

    #[test]
    fn an_owner_is_alone_until_another_calls_and_some_time_after_the_last_one() {
        let company = Company::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let start = Instant::now();
        assert!(company.is_alone(&a, start));
        assert!(company.is_alone(&a, start));
        assert!(!company.is_alone(&b, start));
        assert!(!company.is_alone(&b, start + Duration::from_secs(1)));
        assert!(!company.is_alone(&a, start + Duration::from_secs(2)));
        assert!(!company.is_alone(&a, start + Duration::from_secs(3)));
        assert!(!company.is_alone(&a, start + Duration::from_secs(2) + REMEMBERED));
        assert!(company.is_alone(&a, start + Duration::from_secs(3) + REMEMBERED));
    }
}
