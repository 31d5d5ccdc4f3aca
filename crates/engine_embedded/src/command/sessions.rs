//! What a command may do in a transaction, the commands that end one, and
//! those about sessions.

use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawDocument, doc};
use engine::part::session_id;
use engine::{Answer, CommandError, Part, Role};

use super::{document, reply};
use crate::Core;
use crate::transaction::{commit, done};

/// Writes that may be sent twice.
const RETRYABLE: &[&str] = &[
    "insert",
    "update",
    "delete",
    "findAndModify",
    "findandmodify",
];
/// Commands that a transaction may have.
const WITHIN: &[&str] = &[
    "find",
    "aggregate",
    "distinct",
    "getMore",
    "killCursors",
    "create",
    "createIndexes",
    "commitTransaction",
    "abortTransaction",
];
/// Commands about sessions, and others that cannot be in a transaction.
pub(super) const NAMES: &[&str] = &[
    "startSession",
    "refreshSessions",
    "endSessions",
    "killSessions",
    "killAllSessions",
    "explain",
    "renameCollection",
    "dbStats",
    "collStats",
    "validate",
];
/// Commands that have nothing to do with data.
const ABOUT: &[&str] = &[
    "ping",
    "hello",
    "buildInfo",
    "buildinfo",
    "isMaster",
    "ismaster",
];
/// Stages that look at more than a snapshot.
const STAGES_OUTSIDE: &[&str] = &[
    "$out",
    "$merge",
    "$changeStream",
    "$collStats",
    "$indexStats",
    "$currentOp",
    "$listSessions",
    "$listLocalSessions",
    "$planCacheStats",
];

pub(super) fn is_retryable(name: &str) -> bool {
    RETRYABLE.contains(&name)
}

/// Refuses what a numbered command may not be. Nothing is begun or aborted by
/// that.
pub(super) fn check(
    part: &Part,
    database: &str,
    (name, target): (&str, &str),
    command: &RawDocument,
) -> Result<(), CommandError> {
    let refused = |text: String| Err(CommandError::new(263, text));
    let wrong = |text: &str| Err(CommandError::new(72, text));
    if !part.is_transaction() {
        if is_retryable(name) {
            return Ok(());
        }
        return Err(CommandError::new(
            50768,
            format!(
                "txnNumber may only be provided for multi-document transactions and retryable write commands. autocommit:false was not provided, and {name} is not a retryable write command."
            ),
        ));
    }
    let ends = matches!(name, "commitTransaction" | "abortTransaction");
    if name == "count" {
        return refused(
            "Cannot run 'count' in a multi-document transaction. Please see http://dochub.mongodb.org/core/transaction-count for a recommended alternative.".to_owned(),
        );
    }
    if ABOUT.contains(&name) {
        return refused("This command is not supported in transactions".to_owned());
    }
    if !WITHIN.contains(&name) && !is_retryable(name) {
        if !super::is_known(name) {
            return Err(CommandError::new(59, format!("no such command: '{name}'")));
        }
        return refused(format!(
            "Cannot run '{name}' in a multi-document transaction."
        ));
    }
    if ends {
        if database != "admin" {
            return Err(CommandError::new(
                13,
                format!("{name} may only be run against the admin database."),
            ));
        }
        return Ok(());
    }
    match database {
        "config" => {
            return refused(
                "Cannot run command against the config database in a transaction.".to_owned(),
            );
        }
        "local" => {
            return refused(
                "Cannot run command against the 'local' database in a transaction.".to_owned(),
            );
        }
        _ => {}
    }
    if target.starts_with("system.") {
        return refused(format!(
            "Cannot run command against the '{database}.{target}' collection in a transaction."
        ));
    }
    if part.role == Role::Starts && matches!(name, "getMore" | "killCursors") {
        return refused(format!(
            "Cannot run {name} as the first operation in a multi-document transaction."
        ));
    }
    if command.get("writeConcern")?.is_some() {
        return wrong("writeConcern is not allowed within a multi-statement transaction");
    }
    if let Some(concern) = document(command, "readConcern")? {
        if part.role != Role::Starts {
            return wrong("Only the first command in a transaction may specify a readConcern");
        }
        if !matches!(
            concern.get_str("level").unwrap_or("local"),
            "local" | "majority" | "snapshot"
        ) {
            return wrong(
                "The readConcern level must be either 'local' (default), 'majority' or 'snapshot' in order to run in a transaction",
            );
        }
    }
    if name == "aggregate" {
        for stage in command
            .get_array("pipeline")
            .into_iter()
            .flatten()
            .flatten()
        {
            let first = stage.as_document().and_then(|stage| stage.iter().next());
            let Some(Ok((stage, _))) = first else {
                continue;
            };
            if STAGES_OUTSIDE.contains(&stage.as_str()) {
                let stage = stage.as_str();
                return refused(match stage {
                    "$out" | "$merge" => format!("{stage} cannot be used in a transaction"),
                    _ => format!(
                        "Stage not supported inside of a multi-document transaction: {stage}"
                    ),
                });
            }
        }
    }
    Ok(())
}

/// commitTransaction and abortTransaction.
pub(super) async fn end(
    core: &Arc<Core>,
    part: Option<Part>,
    name: &str,
    journaled: Option<bool>,
) -> Answer {
    let part = part.ok_or_else(|| {
        CommandError::new(125, format!("{name} must be run within a transaction"))
    })?;
    if name == "abortTransaction" {
        return core.transactions.abort(&part, &core.view.load());
    }
    commit(core, &part, journaled).await
}

/// Commands about sessions; `None` for others.
pub(super) fn run(core: &Core, name: &str, command: &RawDocument) -> Option<Answer> {
    Some(match name {
        "startSession" => reply(&doc! {
            "id": { "id": bson::Uuid::new() }, "timeoutMinutes": 30, "ok": 1.0,
        }),
        "refreshSessions" => each(command, name, |_| {}),
        // Nobody comes back for what they have open.
        "endSessions" | "killSessions" => {
            each(command, name, |id| core.transactions.kill(Some(id)))
        }
        "killAllSessions" => {
            core.transactions.kill(None);
            Ok(done())
        }
        _ => return None,
    })
}

fn each(command: &RawDocument, name: &str, mut take: impl FnMut(&[u8])) -> Answer {
    let mut ids = Vec::new();
    for session in command.get_array(name).into_iter().flatten() {
        match session? {
            RawBsonRef::Document(session) => ids.push(session_id(session)?),
            _ => return Err(CommandError::new(14, format!("'{name}' must hold objects"))),
        }
    }
    for id in &ids {
        take(id);
    }
    Ok(done())
}
