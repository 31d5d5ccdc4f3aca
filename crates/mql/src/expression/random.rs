//! `$rand`, whose numbers follow from a seed: randomness comes from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{MqlError, Result};

/// The numbers of one `$rand`.
#[derive(Debug, Clone, Default)]
pub(super) struct Random(Option<Arc<AtomicU64>>);

impl Random {
    /// Sets what the numbers follow from. Seeds that are near each other make
    /// numbers that have nothing in common.
    pub(super) fn seed(&mut self, seed: u64) {
        self.0 = Some(Arc::new(AtomicU64::new(mixed(!seed))));
    }

    /// The next number, from zero to below one.
    pub(super) fn next(&self) -> Result<f64> {
        let Some(state) = &self.0 else {
            return Err(MqlError::new(238, "$rand is not supported here"));
        };
        let n = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        Ok((mixed(n) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// What SplitMix64 goes on by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output of SplitMix64.
fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, STEP};

    /// Every `$rand` of a command has a seed that is near the one before.
    #[test]
    fn near_seeds_have_nothing_in_common() {
        let numbers = |seed: u64| {
            let mut random = Random::default();
            random.seed(seed);
            (0..100).flat_map(|_| random.next()).collect::<Vec<f64>>()
        };
        let first = numbers(1);
        for other in [2, 1 + STEP, 1u64.wrapping_add(STEP.wrapping_mul(2))] {
            assert!(numbers(other).iter().all(|n| !first.contains(n)), "{other}");
        }
    }
}
