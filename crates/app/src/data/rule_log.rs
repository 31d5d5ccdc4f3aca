//! What the rules of a request decided, for its log entry: callers see a masked
//! text, the log has the reason and the numbers (rules-schemas.md §12).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bson::{Document, doc};
use kit::{Kind, Problem};
use rules::{Metrics, RoleMetrics, RuleSet};

use super::Namespace;

/// Collects over everything that one request does, also through functions.
#[derive(Debug, Default)]
pub struct RuleLog(Mutex<Decisions>);

#[derive(Debug, Default)]
struct Decisions {
    namespaces: BTreeMap<String, Numbers>,
    /// The latest refusal: the text for the caller, and the reason.
    refusal: Option<(String, String)>,
}

#[derive(Debug, Default)]
struct Numbers {
    roles: BTreeMap<String, RoleMetrics>,
    no_matching_role: u64,
}

impl RuleLog {
    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was decided in a collection under its rules.
    pub(super) fn add(&self, namespace: &Namespace, rules: &RuleSet, metrics: &Metrics) {
        let mut decisions = self.decisions();
        let numbers = decisions
            .namespaces
            .entry(namespace.to_string())
            .or_default();
        numbers.no_matching_role += metrics.no_matching_role;
        for (role, counted) in rules.roles.iter().zip(&metrics.roles) {
            if *counted != RoleMetrics::default() {
                let sum = numbers.roles.entry(role.name.clone()).or_default();
                sum.matching_documents += counted.matching_documents;
                sum.evaluated_fields += counted.evaluated_fields;
                sum.discarded_fields += counted.discarded_fields;
            }
        }
    }

    /// Keeps why a request was refused. Other problems' causes are the
    /// operator's affair and not the app's.
    pub(super) fn refused(&self, problem: &Problem) {
        if let (Kind::Invalid, Some(reason)) = (problem.kind, &problem.because) {
            self.decisions().refusal = Some((problem.message.clone(), reason.clone()));
        }
    }

    /// The text of a problem with the reason, when a rule is behind it: also
    /// when a function threw on what it was refused.
    pub(crate) fn explained(&self, message: &str) -> String {
        match &self.decisions().refusal {
            Some((text, reason)) if message.contains(text.as_str()) => {
                format!("{message}: {reason}")
            }
            _ => message.to_owned(),
        }
    }

    /// `rule_metrics` of the log entry; nothing when no rule was asked.
    pub fn document(&self) -> Option<Document> {
        let decisions = self.decisions();
        if decisions.namespaces.is_empty() {
            return None;
        }
        let mut namespaces = Document::new();
        for (namespace, numbers) in &decisions.namespaces {
            let mut roles = Document::new();
            for (name, counted) in &numbers.roles {
                roles.insert(
                    name.clone(),
                    doc! {
                        "matching_documents": counted.matching_documents.cast_signed(),
                        "evaluated_fields": counted.evaluated_fields.cast_signed(),
                        "discarded_fields": counted.discarded_fields.cast_signed(),
                    },
                );
            }
            let no_matching_role = numbers.no_matching_role.cast_signed();
            namespaces.insert(
                namespace.clone(),
                doc! { "roles": roles, "no_matching_role": no_matching_role },
            );
        }
        Some(doc! { "namespaces_metrics": namespaces })
    }
}
