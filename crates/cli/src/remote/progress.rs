//! What long work is at: a line on a terminal, on the error output, gone when
//! the work is done. Nothing anywhere else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::out::plain;
use crate::archives::Failed;

/// How many requests are under way at once.
const AT_ONCE: usize = 4;
const TICK: Duration = Duration::from_millis(120);

/// A line that is there while it is kept.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Work whose steps nobody can count.
    pub(super) fn new(shown: bool, message: &str) -> Self {
        Self::with(shown, message, None, "{spinner} {msg}")
    }

    /// Work of so many steps.
    pub(super) fn of(shown: bool, message: &str, steps: usize) -> Self {
        let steps = Some(steps as u64);
        Self::with(
            shown,
            message,
            steps,
            "{spinner} {msg} {pos}/{len} {bar:24}",
        )
    }

    fn with(shown: bool, message: &str, steps: Option<u64>, template: &str) -> Self {
        let target = if shown {
            // Nothing unless it is a terminal.
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(steps, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let progress = Self(bar);
        progress.at(message);
        if !progress.0.is_hidden() {
            progress.0.enable_steady_tick(TICK);
        }
        progress
    }

    /// Says what it is at.
    pub(super) fn at(&self, message: &str) {
        // In one line, whatever the server tells.
        self.0.set_message(plain(message).replace('\n', " "));
    }

    /// One step is done.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    /// Does the same with each of several things, some of them at once, a step
    /// each; what failed, in no order.
    pub(super) fn each<T: Sync>(
        &self,
        all: &[T],
        work: impl Fn(&T) -> Result<(), Failed> + Sync,
    ) -> Vec<Failed> {
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(all.len()) {
                scope.spawn(|| {
                    while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let (Err(error), Ok(mut failed)) = (work(one), failed.lock()) {
                            failed.push(error);
                        }
                        self.step();
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_default()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_and_what_failed_is_told() {
        let all: Vec<usize> = (0..100).collect();
        let sum = AtomicUsize::new(0);
        let failed = Progress::of(true, "adding", all.len()).each(&all, |one| {
            sum.fetch_add(*one, Ordering::Relaxed);
            if one % 25 == 0 {
                return Err(one.to_string().into());
            }
            Ok(())
        });
        assert_eq!(sum.into_inner(), 4950);
        let mut failed: Vec<String> = failed.iter().map(ToString::to_string).collect();
        failed.sort();
        assert_eq!(failed, ["0", "25", "50", "75"]);
    }
}
