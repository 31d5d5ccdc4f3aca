//! What a request's log entry tells of its rules: which roles decided about how
//! many documents and fields (rules-schemas.md §12).

use std::sync::atomic::{AtomicU64, Ordering};

/// What the roles of one rule set decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// By the place of the role in its rule set; missing ends are zero.
    pub roles: Vec<RoleMetrics>,
    /// Documents for which no role applied.
    pub no_matching_role: u64,
}

/// What one role decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleMetrics {
    /// Documents for which it was the role, each counted once however many
    /// decisions it took.
    pub matching_documents: u64,
    /// Fields whose own permissions were asked: those of documents that are read
    /// or written by field. What is granted or refused as a whole has none.
    pub evaluated_fields: u64,
    /// Of these, the ones that were left out of what is shown.
    pub discarded_fields: u64,
}

impl Metrics {
    /// Counts documents under the role at a place.
    pub fn matched(&mut self, role: usize, documents: u64) {
        self.of(role).matching_documents += documents;
    }

    /// Adds what another decider of the same rule set counted.
    pub fn add(&mut self, other: &Self) {
        self.no_matching_role += other.no_matching_role;
        for (role, counted) in other.roles.iter().enumerate() {
            let sum = self.of(role);
            sum.matching_documents += counted.matching_documents;
            sum.evaluated_fields += counted.evaluated_fields;
            sum.discarded_fields += counted.discarded_fields;
        }
    }

    pub(crate) fn of(&mut self, role: usize) -> &mut RoleMetrics {
        if self.roles.len() <= role {
            self.roles.resize(role + 1, RoleMetrics::default());
        }
        &mut self.roles[role]
    }
}

/// The fields of one decision, which counts only when it is made. Atomic so that
/// a scope may wait for a function; never shared while it counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    evaluated: AtomicU64,
    discarded: AtomicU64,
}

fn one_more(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Counts {
    pub(crate) fn evaluate(&self) {
        one_more(&self.evaluated);
    }

    pub(crate) fn discard(&self) {
        one_more(&self.discarded);
    }

    pub(crate) fn evaluated(&self) -> u64 {
        self.evaluated.load(Ordering::Relaxed)
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }
}
