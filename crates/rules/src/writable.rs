//! Push-down of writes: documents that a caller may change, whatever the change
//! (rules-schemas.md §16.3).

use bson::RawDocumentBuf;

use crate::narrow::{Known, and, expression, not};
use crate::role::{Permission, Role, RuleSet};
use crate::scope::Scope;

/// What is to be done to a document that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An update or a replacement.
    Update,
    /// A deletion.
    Delete,
}

/// Documents that may be changed in every way.
#[derive(Debug, Clone, PartialEq)]
pub struct Writable {
    /// Matches nothing else; empty when it is all of them.
    pub query: RawDocumentBuf,
    /// The place of their role.
    pub role: usize,
}

/// A query that only documents match of which every change is allowed: their
/// role may write them whole, read them whole, and looks at neither image to
/// say so. Others may be writable, too: those have to be asked about one by
/// one. `None` when no such query can be told.
pub(crate) fn writable(rules: &RuleSet, change: Change, scope: &Scope<'_>) -> Option<Writable> {
    let mut earlier = Vec::new();
    for (index, role) in rules.roles.iter().enumerate() {
        let applies = expression(&role.apply_when, scope);
        let mut all: Vec<Known> = earlier.clone();
        all.push(applies.clone());
        let chosen = and(all);
        match chosen {
            // Which documents the later roles are for cannot be told either.
            Known::Unknown | Known::Query(_, false) => return None,
            Known::Always if is_open(role, change, scope) => {
                let query = RawDocumentBuf::new();
                return Some(Writable { query, role: index });
            }
            Known::Query(query, true) if is_open(role, change, scope) => {
                return Some(Writable { query, role: index });
            }
            Known::Always => return None,
            Known::Never | Known::Query(_, true) => earlier.push(not(applies)),
        }
    }
    None
}

fn is_open(role: &Role, change: Change, scope: &Scope<'_>) -> bool {
    let holds = |permission: &Permission, absent: bool| {
        permission.as_ref().map_or(absent, |held| {
            matches!(expression(held, scope), Known::Always)
        })
    };
    let gate = role
        .document_filters
        .as_ref()
        .is_none_or(|filters| holds(&filters.read, true) && holds(&filters.write, true));
    gate && holds(&role.write, false) && (change == Change::Update || holds(&role.delete, true))
}
