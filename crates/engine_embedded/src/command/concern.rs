//! Write concerns: whether a write waits for the disk, and those that one
//! server cannot satisfy.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc};
use engine::CommandError;

use super::document;

/// The largest number of servers that MongoDB takes.
const SERVERS_MAX: f64 = 50.0;

/// A command's write concern.
#[derive(Debug, Default)]
pub(super) struct Concern {
    /// Whether the write must be on the disk when it is answered; `None` leaves
    /// that to the database's options.
    pub(super) journaled: Option<bool>,
    /// Why one server cannot satisfy it, as replies say it. The write is done
    /// all the same.
    unsatisfied: Option<Document>,
}

impl Concern {
    pub(super) fn of(command: &RawDocument) -> Result<Self, CommandError> {
        if let Some(RawBsonRef::Null) = command.get("writeConcern")? {
            return Err(CommandError::new(
                14,
                "\"writeConcern\" had the wrong type. Expected object, found null",
            ));
        }
        let Some(options) = document(command, "writeConcern")? else {
            return Ok(Self::default());
        };
        let invalid = |text: &str| CommandError::new(9, text);
        let (mut journaled, mut servers, mut fsync) = (None, None, false);
        for entry in options {
            let (name, value) = entry?;
            match name.as_str() {
                "j" => journaled = yes_or_no("j", value)?,
                "fsync" => fsync = yes_or_no("fsync", value)?.unwrap_or(false),
                "w" => servers = Some(value),
                "wtimeout" | "getLastError" | "wOpTime" | "wElectionId" | "provenance" => {}
                other => {
                    return Err(CommandError::new(
                        40415,
                        format!("BSON field 'WriteConcernOptions.{other}' is an unknown field."),
                    ));
                }
            }
        }
        if fsync && journaled == Some(true) {
            return Err(invalid("fsync and j options cannot be used together"));
        }
        let unsatisfied = servers.map(why_not).transpose()?.flatten();
        // Who waits for nobody does not wait for the disk.
        let waits = servers.and_then(number) != Some(0.0);
        Ok(Self {
            journaled: journaled.or_else(|| (!waits).then_some(false)),
            unsatisfied: unsatisfied.map(|mut error| {
                let mut concern = Document::try_from(options).unwrap_or_default();
                concern
                    .entry("wtimeout".to_owned())
                    .or_insert(Bson::Int32(0));
                concern.insert("provenance", "clientSupplied");
                error.insert("errInfo", doc! { "writeConcern": concern });
                error
            }),
        })
    }

    /// The reply of a write that was done.
    pub(super) fn tell(&self, mut reply: RawDocumentBuf) -> Result<RawDocumentBuf, CommandError> {
        if let Some(error) = &self.unsatisfied {
            reply.append(cstr!("writeConcernError"), RawDocumentBuf::try_from(error)?);
        }
        Ok(reply)
    }
}

fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n as f64),
        RawBsonRef::Double(n) => Some(n.trunc()),
        _ => None,
    }
}

fn yes_or_no(name: &str, value: RawBsonRef<'_>) -> Result<Option<bool>, CommandError> {
    match value {
        RawBsonRef::Boolean(value) => Ok(Some(value)),
        RawBsonRef::Null => Ok(None),
        other => match number(other) {
            Some(n) => Ok(Some(n != 0.0)),
            None => Err(CommandError::new(
                14,
                format!(
                    "BSON field 'WriteConcernOptions.{name}' is the wrong type '{}', expected types '[bool, long, int, decimal, double']",
                    kind(other)
                ),
            )),
        },
    }
}

fn kind(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::DateTime(_) => "date",
        _ => "another type",
    }
}

/// Why one server is not enough for a `w`.
fn why_not(servers: RawBsonRef<'_>) -> Result<Option<Document>, CommandError> {
    let error = |code: i32, name: &str, text: String| {
        Ok(Some(
            doc! { "code": code, "codeName": name, "errmsg": text },
        ))
    };
    let unknown = |mode: &str| {
        let text =
            format!("No write concern mode named '{mode}' found in replica set configuration");
        error(79, "UnknownReplWriteConcern", text)
    };
    if let Some(n) = number(servers) {
        if !(0.0..=SERVERS_MAX).contains(&n) {
            return Err(CommandError::new(
                9,
                format!("w has to be a non-negative number and not greater than 50; found: {n}"),
            ));
        }
        return if n > 1.0 {
            let text = "Not enough data-bearing nodes".to_owned();
            error(100, "UnsatisfiableWriteConcern", text)
        } else {
            Ok(None)
        };
    }
    match servers {
        RawBsonRef::String("majority") => Ok(None),
        RawBsonRef::String(mode) => unknown(mode),
        RawBsonRef::Null => unknown(""),
        RawBsonRef::Document(tags) => {
            let tag = tags.iter().next().transpose()?;
            let tag = tag.map_or("", |(name, _)| name.as_str());
            let text = format!("No replica set tag key {tag} in config");
            error(4, "NoSuchKey", text)
        }
        other => Err(CommandError::new(
            9,
            format!(
                "w has to be a number, string, or object; found: {}",
                kind(other)
            ),
        )),
    }
}
