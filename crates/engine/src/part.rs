//! What a command says of its session: `lsid`, `txnNumber`, `autocommit` and
//! `startTransaction`, read in one way for both engines.

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};

use crate::CommandError;

/// The part of a session that a command with a number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The session's id.
    pub id: Vec<u8>,
    /// `txnNumber`.
    pub number: i64,
    /// What the number is for.
    pub role: Role,
}

/// What a numbered command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The first command of a transaction.
    Starts,
    /// Another one, or its end.
    Continues,
    /// A write outside of transactions that may be sent twice.
    Retryable,
}

impl Part {
    /// `None` for a command without a number.
    ///
    /// # Errors
    /// MongoDB's: 14 for wrong types, 40414 for a session without an id, 72 for
    /// fields that do not go together.
    pub fn of(command: &RawDocument) -> Result<Option<Self>, CommandError> {
        let id = match command.get("lsid")? {
            None => None,
            Some(RawBsonRef::Document(lsid)) => Some(session_id(lsid)?),
            Some(other) => return Err(wrong_type("lsid", other, "object")),
        };
        let number = match command.get("txnNumber")? {
            None => None,
            Some(RawBsonRef::Int64(number)) => Some(number),
            Some(other) => return Err(wrong_type("txnNumber", other, "long")),
        };
        let flag = |name: &'static str| match command.get(name)? {
            None => Ok(None),
            Some(RawBsonRef::Boolean(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(name, other, "bool")),
        };
        let (autocommit, starts) = (flag("autocommit")?, flag("startTransaction")?);
        let wrong = |text: &str| Err(CommandError::new(72, text));
        let Some(number) = number else {
            return match (autocommit, starts) {
                (None, None) => Ok(None),
                (Some(_), _) => {
                    wrong("'autocommit' field requires a transaction number to also be specified")
                }
                (None, Some(_)) => wrong(
                    "'startTransaction' field requires 'autocommit' field to also be specified",
                ),
            };
        };
        let Some(id) = id else {
            return wrong("Transaction number requires a session ID to also be specified");
        };
        if number < 0 {
            return wrong("Transaction number cannot be negative");
        }
        let role = match (autocommit, starts) {
            (Some(true), _) => return wrong("Specifying autocommit=true is not allowed."),
            (_, Some(false)) => {
                return wrong("Specifying startTransaction=false is not allowed.");
            }
            (None, Some(true)) => {
                return wrong(
                    "'startTransaction' field requires 'autocommit' field to also be specified",
                );
            }
            (None, None) => Role::Retryable,
            (Some(false), None) => Role::Continues,
            (Some(false), Some(true)) => Role::Starts,
        };
        Ok(Some(Self { id, number, role }))
    }

    /// Whether it is of a transaction.
    pub fn is_transaction(&self) -> bool {
        self.role != Role::Retryable
    }
}

/// The id in an `lsid`, or in a session of `endSessions` and its like.
///
/// # Errors
/// 14 and 40414, as MongoDB has them.
pub fn session_id(lsid: &RawDocument) -> Result<Vec<u8>, CommandError> {
    match lsid.get("id")? {
        Some(RawBsonRef::Binary(binary)) => Ok(binary.bytes.to_vec()),
        Some(other) => Err(wrong_type("lsid.id", other, "binData")),
        None => Err(CommandError::new(
            40414,
            "BSON field 'OperationSessionInfo.lsid.id' is missing but a required field",
        )),
    }
}

/// MongoDB's names of types, as its errors use them.
fn type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::Binary(_) => "binData",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::DateTime(_) => "date",
        RawBsonRef::Null => "null",
        RawBsonRef::Int32(_) => "int",
        RawBsonRef::Timestamp(_) => "timestamp",
        RawBsonRef::Int64(_) => "long",
        RawBsonRef::Decimal128(_) => "decimal",
        _ => "other",
    }
}

fn wrong_type(field: &str, found: RawBsonRef<'_>, expected: &str) -> CommandError {
    CommandError::new(
        14,
        format!(
            "BSON field 'OperationSessionInfo.{field}' is the wrong type '{}', expected type '{expected}'",
            type_name(found)
        ),
    )
}

/// The session as MongoDB tells of it in events: with the digest of its user's
/// name, which here is nobody's.
pub fn told(id: &[u8]) -> RawDocumentBuf {
    /// SHA-256 of nothing.
    const NOBODY: [u8; 32] = [
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ];
    let binary = |subtype, bytes: &[u8]| bson::Binary {
        subtype,
        bytes: bytes.to_vec(),
    };
    bson::rawdoc! {
        "id": binary(bson::spec::BinarySubtype::Uuid, id),
        "uid": binary(bson::spec::BinarySubtype::Generic, &NOBODY),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Uuid, doc};

    use super::*;

    fn part(command: bson::Document) -> Result<Option<Part>, i32> {
        let raw = RawDocumentBuf::try_from(&command).unwrap();
        Part::of(&raw).map_err(|error| error.code)
    }

    #[test]
    fn fields_that_go_together_are_a_part() {
        let lsid = doc! { "id": Uuid::new() };
        let role = |command| part(command).unwrap().map(|part| part.role);
        assert_eq!(role(doc! { "find": "c" }), None);
        assert_eq!(role(doc! { "find": "c", "lsid": lsid.clone() }), None);
        let numbered = doc! { "insert": "c", "lsid": lsid, "txnNumber": 1_i64 };
        assert_eq!(role(numbered.clone()), Some(Role::Retryable));
        let mut inside = numbered.clone();
        inside.insert("autocommit", false);
        assert_eq!(role(inside.clone()), Some(Role::Continues));
        inside.insert("startTransaction", true);
        assert_eq!(role(inside), Some(Role::Starts));
    }

    #[test]
    fn others_are_refused_as_mongodb_does() {
        let lsid = doc! { "id": Uuid::new() };
        let good = doc! {
            "find": "c", "lsid": lsid, "txnNumber": 1_i64, "autocommit": false,
            "startTransaction": true,
        };
        assert!(part(good.clone()).is_ok());
        let mut all = crate::conformance::wrong_parts(&good);
        let mut mistyped = good;
        mistyped.insert("lsid", 5);
        all.push((mistyped, 14));
        for (wrong, code) in all {
            let shown = wrong.to_string();
            assert_eq!(part(wrong), Err(code), "{shown}");
        }
    }
}
