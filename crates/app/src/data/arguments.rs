//! Reading the one argument document of an action (client-api.md §5.2).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument, RawDocumentBuf};
use kit::Problem;
use kit::limit::BSON_DEPTH_MAX;

use super::{Namespace, ServiceRules};

/// The arguments of an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arguments<'a> {
    document: &'a RawDocument,
}

/// Options of commands that only the system has.
const OPTIONS: [&str; 9] = [
    "allowDiskUse",
    "bypassDocumentValidation",
    "collation",
    "comment",
    "hint",
    "let",
    "maxTimeMS",
    "readConcern",
    "writeConcern",
];

/// `{}`.
pub(super) fn empty() -> &'static RawDocument {
    const BYTES: &[u8] = &[5, 0, 0, 0, 0];
    RawDocument::from_bytes(BYTES).expect("five bytes are the empty document")
}

impl<'a> Arguments<'a> {
    pub(super) fn new(document: &'a RawDocument) -> Result<Self, Problem> {
        // Everything later may skip what cannot be read: what is refused by its
        // name must not hide behind it.
        sound(document, 1)?;
        Ok(Self { document })
    }

    /// The value under `name`; null is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<RawBsonRef<'a>> {
        match self.document.get(name) {
            Ok(Some(RawBsonRef::Null | RawBsonRef::Undefined)) | Err(_) => None,
            Ok(value) => value,
        }
    }

    /// Refuses options that nobody serves.
    pub(super) fn refuse(&self, names: &[&str]) -> Result<(), Problem> {
        match names.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(Problem::invalid_parameter(format!(
                "the option '{name}' is not supported"
            ))),
            None => Ok(()),
        }
    }

    /// Those that go to the engine as they are; `None` without any.
    pub(super) fn options(&self) -> Option<RawDocumentBuf> {
        let mut options = RawDocumentBuf::new();
        for (name, value) in self.document.iter().flatten() {
            let is_none = matches!(value, RawBsonRef::Null | RawBsonRef::Undefined);
            if OPTIONS.contains(&name.as_str()) && !is_none {
                options.append(name, value);
            }
        }
        (!options.is_empty()).then_some(options)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    pub(super) fn document(&self, name: &str) -> Result<Option<&'a RawDocument>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::Document(document)) => Ok(Some(document)),
            Some(_) => Err(wrong(name, "a document")),
        }
    }

    pub(super) fn array(&self, name: &str) -> Result<Option<&'a RawArray>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::Array(array)) => Ok(Some(array)),
            Some(_) => Err(wrong(name, "an array")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(false),
            Some(RawBsonRef::Boolean(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "a boolean")),
        }
    }

    /// A whole number that is not negative; 0 when absent.
    pub(super) fn number(&self, name: &str) -> Result<u64, Problem> {
        let number = match self.get(name) {
            None => Some(0),
            Some(RawBsonRef::Int32(n)) => u64::try_from(n).ok(),
            Some(RawBsonRef::Int64(n)) => u64::try_from(n).ok(),
            Some(RawBsonRef::Double(n)) if n >= 0.0 && n.fract() == 0.0 => Some(n as u64),
            Some(_) => None,
        };
        number.ok_or_else(|| wrong(name, "a whole number that is not negative"))
    }

    /// `query`, as plain actions call it, or `filter`, as findOneAnd* do;
    /// missing is `{}`.
    pub(super) fn query(&self) -> Result<&'a RawDocument, Problem> {
        Ok(match self.document("query")? {
            Some(query) => query,
            None => self.document("filter")?.unwrap_or(empty()),
        })
    }

    /// `project` or `projection`; `{}` is none.
    pub(super) fn projection(&self) -> Result<Option<&'a RawDocument>, Problem> {
        let projection = match self.document("project")? {
            Some(projection) => Some(projection),
            None => self.document("projection")?,
        };
        Ok(projection.filter(|projection| !projection.is_empty()))
    }

    /// `sort`; `{}` is none.
    pub(super) fn sort(&self) -> Result<Option<&'a RawDocument>, Problem> {
        Ok(self.document("sort")?.filter(|sort| !sort.is_empty()))
    }

    /// Where: `database` and `collection`, or the title of a schema.
    pub(super) fn namespace(&self, rules: Option<&ServiceRules>) -> Result<Namespace, Problem> {
        if let Some(title) = self.text("schema_name")?
            && let Some(rules) = rules
        {
            return rules.titled(title).cloned().ok_or_else(|| {
                Problem::invalid_parameter(format!(
                    "no matching collection found that maps to a table with title \"{title}\""
                ))
            });
        }
        let name = |name: &str| {
            self.text(name)?
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| Problem::missing_parameter(format!("missing argument '{name}'")))
        };
        Ok(Namespace {
            database: name("database")?,
            collection: name("collection")?,
        })
    }
}

/// Everything inside can be read, and is not deeper than a command may be.
fn sound(document: &RawDocument, depth: usize) -> Result<(), Problem> {
    let invalid = |error| Problem::bad_request(format!("invalid arguments: {error}"));
    if depth > BSON_DEPTH_MAX {
        return Err(Problem::bad_request("invalid arguments: nested too deeply"));
    }
    for entry in document {
        match entry.map_err(invalid)?.1 {
            RawBsonRef::Document(inner) => sound(inner, depth + 1)?,
            // An array is a document whose names nobody asks for.
            RawBsonRef::Array(inner) => {
                let inner = RawDocument::from_bytes(inner.as_bytes()).map_err(invalid)?;
                sound(inner, depth + 1)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn wrong(name: &str, wanted: &str) -> Problem {
    Problem::invalid_parameter(format!("argument '{name}' must be {wanted}"))
}
