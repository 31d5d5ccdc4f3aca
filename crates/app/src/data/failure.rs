//! From errors of the engine and refusals of rules to what callers see
//! (client-api.md §5.2, rules-schemas.md §12).

use engine::CommandError;
use kit::{Kind, Problem};
use mql::MqlError;

use super::Namespace;

/// No rules for a collection, and no permission by those that there are.
pub(super) const NO_RULE: &str = "NoMatchingRuleFound";

/// Why a write did not happen: only an error of the engine can be worth
/// another try.
#[derive(Debug)]
pub(super) enum Failure {
    Command(CommandError),
    Problem(Problem),
}

impl Failure {
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Command(error) if error.is_transient())
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Command(error) => mongodb(error),
            Failure::Problem(problem) => problem,
        }
    }
}

/// The engine refused. The prefix of duplicate keys is what SDK users match.
pub(crate) fn mongodb(error: CommandError) -> Problem {
    if error.is_unreachable() {
        // Host names are the operator's affair.
        return Problem::new(
            Kind::Unavailable,
            "MongoDBError",
            "the data source's cluster cannot be reached; try again later",
        )
        .because(format!("{} ({})", error.message, error.code));
    }
    // Users' updates are findAndModify to the engine, which is none of theirs.
    let prefix = "Plan executor error during findAndModify :: caused by :: ";
    let cause = error.message.strip_prefix(prefix);
    let cause = cause.unwrap_or(&error.message);
    let message = if error.is_duplicate_key() {
        format!("Duplicate key error: {cause}")
    } else {
        cause.to_owned()
    };
    Problem::new(Kind::Invalid, "MongoDBError", message)
}

/// The query language refused.
pub(super) fn language(error: MqlError) -> Problem {
    Problem::new(Kind::Invalid, "MongoDBError", error.message)
}

/// Bytes that are no BSON.
pub(super) fn malformed(error: bson::error::Error) -> Problem {
    Problem::bad_request(format!("invalid BSON: {error}"))
}

pub(super) fn no_rule(namespace: &Namespace) -> Problem {
    Problem::new(
        Kind::Forbidden,
        NO_RULE,
        format!("no rule exists for namespace '{namespace}'"),
    )
}

/// What users may not send; the log says where a data source may allow it.
pub(super) fn restricted(restriction: rules::Restriction) -> Problem {
    let problem = Problem::new(Kind::Invalid, "MongoDBError", restriction.to_string());
    match rules::Allowed::default().add(restriction.name()) {
        Ok(()) => problem.because("the data source's allow_user_operators does not name it"),
        Err(_) => problem,
    }
}

/// A role refused; the reason is for the log.
pub(super) fn not_permitted(verb: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::Invalid, NO_RULE, format!("{verb} not permitted")).because(reason)
}

/// The schema refused: the same text, another code.
pub(super) fn not_valid(verb: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(
        Kind::Invalid,
        "SchemaValidationFailedWrite",
        format!("{verb} not permitted"),
    )
    .because(reason)
}

/// Filters that both include and exclude.
pub(super) fn mixed(message: String) -> Problem {
    Problem::new(Kind::Invalid, "MongoDBError", message)
}
