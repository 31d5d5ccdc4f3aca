//! Options of commands that read and write: which command takes which, and where.

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf};

use crate::CommandError;

/// What a command may carry itself.
fn of_command(name: &str) -> &'static [&'static str] {
    match name {
        "find" => &[
            "allowDiskUse",
            "collation",
            "comment",
            "hint",
            "let",
            "maxTimeMS",
            "readConcern",
        ],
        "aggregate" => &[
            "allowDiskUse",
            "bypassDocumentValidation",
            "collation",
            "comment",
            "hint",
            "let",
            "maxTimeMS",
            "readConcern",
            "writeConcern",
        ],
        "count" => &["collation", "comment", "hint", "maxTimeMS", "readConcern"],
        "distinct" => &["collation", "comment", "maxTimeMS", "readConcern"],
        "findAndModify" => &[
            "bypassDocumentValidation",
            "collation",
            "comment",
            "hint",
            "let",
            "maxTimeMS",
            "writeConcern",
        ],
        "insert" => &[
            "bypassDocumentValidation",
            "comment",
            "maxTimeMS",
            "writeConcern",
        ],
        "update" => &[
            "bypassDocumentValidation",
            "comment",
            "let",
            "maxTimeMS",
            "writeConcern",
        ],
        "delete" => &["comment", "let", "maxTimeMS", "writeConcern"],
        _ => &[],
    }
}

/// What each statement of a command carries.
const OF_STATEMENTS: [&str; 2] = ["collation", "hint"];
/// What a transaction says for all of its commands.
const OF_TRANSACTIONS: [&str; 2] = ["readConcern", "writeConcern"];

/// A command with those of the options that it knows. What it says itself stays.
pub(crate) fn carried(
    command: RawDocumentBuf,
    options: &RawDocument,
    in_transaction: bool,
) -> Result<RawDocumentBuf, CommandError> {
    let Some(Ok((name, _))) = command.iter().next() else {
        return Ok(command);
    };
    let own = of_command(name.as_str());
    let statements = match name.as_str() {
        "update" => "updates",
        "delete" => "deletes",
        _ => "",
    };
    let mut made = RawDocumentBuf::new();
    for entry in &command {
        let (name, value) = entry?;
        match value {
            RawBsonRef::Array(list) if name == statements => {
                let mut with = RawArrayBuf::new();
                for statement in list {
                    match statement? {
                        RawBsonRef::Document(statement) => {
                            let mut statement = statement.to_owned();
                            append(&mut statement, options, &OF_STATEMENTS, false)?;
                            with.push(statement);
                        }
                        other => with.push(other),
                    }
                }
                made.append(name, with);
            }
            value => made.append(name, value),
        }
    }
    append(&mut made, options, own, in_transaction)?;
    Ok(made)
}

fn append(
    to: &mut RawDocumentBuf,
    options: &RawDocument,
    known: &[&str],
    in_transaction: bool,
) -> Result<(), CommandError> {
    for entry in options {
        let (name, value) = entry?;
        let is_known = known.contains(&name.as_str())
            && !(in_transaction && OF_TRANSACTIONS.contains(&name.as_str()));
        if is_known && to.get(name.as_str())?.is_none() {
            to.append(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::carried;

    #[test]
    fn each_command_carries_what_it_knows() {
        let options = rawdoc! { "collation": { "locale": "en" }, "hint": "h", "writeConcern": { "w": 1 }, "x": 1 };
        assert_eq!(
            carried(rawdoc! { "find": "c", "filter": {} }, &options, false).unwrap(),
            rawdoc! { "find": "c", "filter": {}, "collation": { "locale": "en" }, "hint": "h" }
        );
        let delete = rawdoc! {
            "delete": "c",
            "deletes": [{ "q": {}, "limit": 1 }, { "q": {}, "limit": 0, "collation": { "locale": "simple" } }],
        };
        assert_eq!(
            carried(delete.clone(), &options, false).unwrap(),
            rawdoc! {
                "delete": "c",
                "deletes": [
                    { "q": {}, "limit": 1, "collation": { "locale": "en" }, "hint": "h" },
                    { "q": {}, "limit": 0, "collation": { "locale": "simple" }, "hint": "h" },
                ],
                "writeConcern": { "w": 1 },
            }
        );
        let within = carried(delete, &options, true).unwrap();
        assert!(within.get("writeConcern").unwrap().is_none());
        let other = rawdoc! { "getMore": 5_i64, "collection": "c" };
        assert_eq!(carried(other.clone(), &options, false).unwrap(), other);
    }
}
