//! One command, made ready for the driver: what kind it is, and its body
//! without what the driver adds itself.
//!
//! Not here: sending it. Nothing below the first level of a command is read,
//! except what decides whether a write may be sent twice.

use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;
use mongodb::options::SelectionCriteria;

use crate::settings::{Concerns, read_preference};

/// Fields that belong to the connection or the session, not to the command.
const TRANSPORT: &[&str] = &[
    "$db",
    "$clusterTime",
    "$readPreference",
    "lsid",
    "txnNumber",
    "autocommit",
    "startTransaction",
];

/// How a command is to be sent.
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) body: RawDocumentBuf,
    /// Where to read, when the command or the URI says so.
    pub(crate) reads: Option<SelectionCriteria>,
    pub(crate) retry: Retry,
    /// Answers with a cursor.
    pub(crate) cursor: bool,
    /// Documents in the batches after the first, when the command says so.
    pub(crate) batch: Option<u32>,
    /// The caller's session, which a cursor belongs to.
    pub(crate) session: Option<Vec<u8>>,
    /// `maxTimeMS`.
    pub(crate) max_time: Option<Duration>,
}

/// Whether a command may be sent again after a failure that does not tell
/// whether the server ran it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Reading twice does no harm.
    Read,
    /// A number lets the server recognise the second try.
    Numbered,
    /// Never.
    No,
}

impl Command {
    /// Outside a transaction: with concerns and read preference.
    pub(crate) fn plain(
        command: &RawDocument,
        concerns: &Concerns,
        reads: Option<&SelectionCriteria>,
    ) -> Result<Self, CommandError> {
        let mut plan = Self::of(command)?;
        let outs = plan.name == "aggregate" && writes_out(command)?;
        let read = is_read(&plan.name) && !outs;
        if read {
            plan.reads = match command.get("$readPreference")? {
                Some(RawBsonRef::Document(wanted)) => Some(read_preference(wanted)?),
                _ => reads.cloned(),
            };
        }
        plan.retry = match plan.name.as_str() {
            "find" | "aggregate" | "count" | "distinct" | "listCollections" | "listDatabases"
            | "listIndexes"
                if read =>
            {
                Retry::Read
            }
            "insert" | "findAndModify" | "findandmodify" if acknowledged(command) => {
                Retry::Numbered
            }
            "update" if acknowledged(command) && single(command, "updates") => Retry::Numbered,
            "delete" if acknowledged(command) && single(command, "deletes") => Retry::Numbered,
            _ => Retry::No,
        };
        let has = |field: &str| plan.body.get(field).ok().flatten().is_some();
        let (has_read, has_write) = (has("readConcern"), has("writeConcern"));
        // What explains, or is of no collection, takes none but the weakest.
        let weakest = matches!(command.get("explain")?, Some(RawBsonRef::Boolean(true)))
            || command.get("aggregate")?.and_then(whole).is_some();
        if let Some(concern) = &concerns.read
            && !has_read
            && !weakest
            && matches!(
                plan.name.as_str(),
                "find" | "aggregate" | "count" | "distinct"
            )
        {
            plan.body.append(cstr!("readConcern"), concern.clone());
        }
        if let Some(concern) = &concerns.write
            && !has_write
            && (outs || is_write(&plan.name))
        {
            plan.body.append(cstr!("writeConcern"), concern.clone());
        }
        Ok(plan)
    }

    /// In a transaction: concerns, target and retries are the transaction's.
    /// Also says which read concern the first command asks for.
    pub(crate) fn within(command: &RawDocument) -> Result<(Self, Option<String>), CommandError> {
        let mut plan = Self::of(command)?;
        let mut body = RawDocumentBuf::new();
        let mut level = None;
        for field in &plan.body {
            let (name, value) = field?;
            if name.as_str() == "readConcern" {
                let concern = value.as_document();
                level = concern.and_then(|c| c.get_str("level").ok().map(str::to_owned));
            } else {
                body.append(name, value);
            }
        }
        plan.body = body;
        Ok((plan, level))
    }

    fn of(command: &RawDocument) -> Result<Self, CommandError> {
        let Some(first) = command.iter().next() else {
            return Err(CommandError::new(59, "no such command: ''"));
        };
        let name = first?.0.as_str().to_owned();
        let mut body = RawDocumentBuf::new();
        for field in command {
            let (name, value) = field?;
            if !TRANSPORT.contains(&name.as_str()) {
                body.append(name, value);
            }
        }
        let explains = matches!(command.get("explain")?, Some(RawBsonRef::Boolean(true)));
        let cursor = !explains
            && matches!(
                name.as_str(),
                "find" | "aggregate" | "listCollections" | "listIndexes"
            );
        let batch = match command.get("cursor")?.and_then(RawBsonRef::as_document) {
            Some(options) => options.get("batchSize")?,
            None => command.get("batchSize")?,
        };
        Ok(Self {
            name,
            body,
            reads: None,
            retry: Retry::No,
            cursor,
            batch: batch
                .and_then(whole)
                .and_then(|size| size.try_into().ok())
                .filter(|size| *size > 0),
            session: session(command)?,
            max_time: command
                .get("maxTimeMS")?
                .and_then(whole)
                .and_then(|ms| ms.try_into().ok())
                .map(Duration::from_millis),
        })
    }
}

/// The session that a command is of.
pub(crate) fn session(command: &RawDocument) -> Result<Option<Vec<u8>>, CommandError> {
    match command.get("lsid")? {
        Some(RawBsonRef::Document(lsid)) => engine::part::session_id(lsid).map(Some),
        _ => Ok(None),
    }
}

fn is_read(name: &str) -> bool {
    matches!(
        name,
        "find"
            | "aggregate"
            | "count"
            | "distinct"
            | "listCollections"
            | "listDatabases"
            | "listIndexes"
            | "explain"
            | "collStats"
            | "dbStats"
    )
}

fn is_write(name: &str) -> bool {
    matches!(
        name,
        "insert"
            | "update"
            | "delete"
            | "findAndModify"
            | "findandmodify"
            | "create"
            | "createIndexes"
            | "collMod"
            | "drop"
            | "dropDatabase"
            | "dropIndexes"
            | "renameCollection"
    )
}

/// Whether a pipeline ends in a stage that writes.
fn writes_out(command: &RawDocument) -> Result<bool, CommandError> {
    let Some(RawBsonRef::Array(stages)) = command.get("pipeline")? else {
        return Ok(false);
    };
    let mut last = false;
    for stage in stages {
        let stage = stage?.as_document().and_then(|stage| stage.iter().next());
        last = match stage {
            Some(stage) => matches!(stage?.0.as_str(), "$out" | "$merge"),
            None => false,
        };
    }
    Ok(last)
}

/// A write concern of 0 asks for no answer, and has no number.
fn acknowledged(command: &RawDocument) -> bool {
    let concern = command.get_document("writeConcern").ok();
    let w = concern.and_then(|concern| concern.get("w").ok().flatten());
    w.and_then(whole) != Some(0)
}

/// Whether each statement changes one document at most: only those can have a
/// number.
fn single(command: &RawDocument, statements: &str) -> bool {
    let Ok(list) = command.get_array(statements) else {
        return false;
    };
    list.into_iter().all(|statement| {
        let Ok(RawBsonRef::Document(statement)) = statement else {
            return false;
        };
        let field = |name: &str| statement.get(name).ok().flatten();
        match statements {
            "updates" => !matches!(field("multi"), Some(RawBsonRef::Boolean(true))),
            _ => field("limit").and_then(whole) == Some(1),
        }
    })
}

/// A whole number of any type.
pub(crate) fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n),
        RawBsonRef::Double(n) if n.fract() == 0.0 => Some(n as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::{Command, Retry};
    use crate::settings::Concerns;

    fn plan(command: &RawDocumentBuf) -> Command {
        let concerns = Concerns {
            read: Some(rawdoc! { "level": "majority" }),
            write: Some(rawdoc! { "w": "majority" }),
        };
        Command::plain(command, &concerns, None).unwrap()
    }

    #[test]
    fn only_writes_of_single_documents_have_a_number() {
        let one = rawdoc! { "q": {}, "u": { "a": 1 } };
        let many = rawdoc! { "q": {}, "u": { "$set": { "a": 1 } }, "multi": true };
        for (command, retry) in [
            (
                rawdoc! { "insert": "c", "documents": [{}, {}] },
                Retry::Numbered,
            ),
            (
                rawdoc! { "update": "c", "updates": [one.clone()] },
                Retry::Numbered,
            ),
            (rawdoc! { "update": "c", "updates": [one, many] }, Retry::No),
            (
                rawdoc! { "delete": "c", "deletes": [{ "q": {}, "limit": 1 }] },
                Retry::Numbered,
            ),
            (
                rawdoc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] },
                Retry::No,
            ),
            (
                rawdoc! { "findAndModify": "c", "remove": true },
                Retry::Numbered,
            ),
            (
                rawdoc! { "insert": "c", "documents": [], "writeConcern": { "w": 0 } },
                Retry::No,
            ),
            (rawdoc! { "find": "c" }, Retry::Read),
            (
                rawdoc! { "aggregate": "c", "pipeline": [{ "$match": {} }], "cursor": {} },
                Retry::Read,
            ),
            (
                rawdoc! { "aggregate": "c", "pipeline": [{ "$out": "d" }], "cursor": {} },
                Retry::No,
            ),
            (rawdoc! { "createIndexes": "c", "indexes": [] }, Retry::No),
        ] {
            assert_eq!(plan(&command).retry, retry, "{command:?}");
        }
    }

    #[test]
    fn concerns_go_where_they_belong_and_the_callers_own_stays() {
        let find = plan(&rawdoc! { "find": "c" });
        assert!(find.body.get("readConcern").unwrap().is_some());
        assert!(find.body.get("writeConcern").unwrap().is_none());
        let out = rawdoc! { "aggregate": "c", "pipeline": [{ "$merge": "d" }], "cursor": {} };
        assert!(plan(&out).body.get("writeConcern").unwrap().is_some());
        let own = rawdoc! { "insert": "c", "documents": [], "writeConcern": { "w": 1 } };
        assert_eq!(plan(&own).body, own);
        let list = rawdoc! { "listIndexes": "c" };
        assert_eq!(plan(&list).body, list);
    }

    #[test]
    fn transport_fields_are_taken_out() {
        let command = rawdoc! {
            "insert": "c", "documents": [{}], "$db": "d", "lsid": { "id": bson::Binary::from(bson::Uuid::new()) },
            "txnNumber": 5_i64,
            "$readPreference": { "mode": "primary" }, "writeConcern": { "w": 1 },
        };
        let body = plan(&command).body;
        let names: Vec<_> = body.iter().map(|field| field.unwrap().0.as_str()).collect();
        assert_eq!(names, ["insert", "documents", "writeConcern"]);
    }
}
