//! A file's documents into one collection.

use std::collections::VecDeque;
use std::io::Read;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocumentBuf, cstr, doc, oid::ObjectId};
use engine::SharedEngine;

use crate::bson_file::BsonFile;
use crate::insert::{Batches, Verb, drop_collection};
use crate::json::JsonFile;
use crate::table::{self, Column, Grace, Row};
use crate::{ArchiveError, BATCH_DOCUMENTS_MAX, Form};

/// What to do with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Insert it.
    #[default]
    Insert,
    /// Replace the one with the same fields, or insert it.
    Upsert,
    /// Set its fields in the one with the same fields, or insert it.
    Merge,
}

/// How to import.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Import {
    /// What to do with each document.
    pub mode: Mode,
    /// The fields that say which document is the same; `_id` when empty.
    pub upsert_fields: Vec<String>,
    /// Drop the collection before.
    pub drop: bool,
    /// Stop at the first document that is refused.
    pub stop_on_error: bool,
    /// Leave out fields of a table that are empty.
    pub ignore_blanks: bool,
    /// The names of a table's columns end in types.
    pub typed: bool,
    /// What happens with cells that do not fit.
    pub grace: Grace,
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Imported {
    /// Documents that went in.
    pub documents: u64,
    /// Documents that were refused.
    pub failed: u64,
    /// Rows that were left out because a cell did not fit.
    pub skipped: u64,
    /// The first refusals, each with the place in the file.
    pub failures: Vec<String>,
}

/// Reads documents of a file called `name` and writes them to a collection.
///
/// # Errors
/// With the line of a text that cannot be understood or the offset of BSON that
/// is damaged; what came before it is imported.
pub async fn import(
    engine: &SharedEngine,
    (database, collection): (&str, &str),
    input: impl Read + Send,
    name: &str,
    form: &Form,
    options: &Import,
) -> Result<Imported, ArchiveError> {
    let mut reader = Reader::new(input, name, form, options)?;
    if options.drop {
        drop_collection(engine, database, collection).await?;
    }
    let verb = match options.mode {
        Mode::Insert => Verb::Insert,
        Mode::Upsert | Mode::Merge => Verb::Update,
    };
    let mut batches = Batches::new(engine, database, collection, verb, options.stop_on_error);
    // Where the documents of the last batches are in the file.
    let mut places: VecDeque<u64> = VecDeque::new();
    let mut sent = 0;
    let mut imported = Imported::default();
    let ended = loop {
        let (place, document) = match reader.next() {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let Some(document) = document else {
            imported.skipped += 1;
            continue;
        };
        let document = statement(document, options).map_err(|what| reader.wrong(place, what))?;
        places.push_back(place);
        let goes_on = batches.add(document).await?;
        take_failures(&mut batches, &mut imported, &reader, &places, sent);
        while places.len() > 2 * BATCH_DOCUMENTS_MAX {
            places.pop_front();
            sent += 1;
        }
        if !goes_on {
            break Ok(());
        }
    };
    if !(options.stop_on_error && batches.failed > 0) {
        batches.flush().await?;
    }
    take_failures(&mut batches, &mut imported, &reader, &places, sent);
    imported.documents = batches.done;
    imported.failed = batches.failed;
    ended.map(|()| imported)
}

/// Says where in the file the documents are that were refused.
fn take_failures<R: Read>(
    batches: &mut Batches<'_>,
    imported: &mut Imported,
    reader: &Reader<R>,
    places: &VecDeque<u64>,
    sent: u64,
) {
    for (number, text) in batches.failures.drain(..) {
        if imported.failures.len() < crate::insert::FAILURES_TOLD_MAX {
            let place = number
                .checked_sub(sent)
                .and_then(|at| places.get(at as usize));
            let place = place.copied().unwrap_or(number + 1);
            let unit = reader.unit();
            imported
                .failures
                .push(format!("{}: {unit} {place}: {text}", reader.name));
        }
    }
}

/// What is sent for a document: itself, or a statement of `update`.
fn statement(mut document: Document, options: &Import) -> Result<RawDocumentBuf, String> {
    let raw =
        |document: &Document| RawDocumentBuf::try_from(document).map_err(|error| error.to_string());
    if options.mode == Mode::Insert {
        let fields = raw(&document)?;
        if document.contains_key("_id") {
            return Ok(fields);
        }
        let mut whole = RawDocumentBuf::new();
        whole.append(cstr!("_id"), ObjectId::new());
        for entry in &fields {
            let (name, value) = entry.map_err(|error| error.to_string())?;
            whole.append(name, value);
        }
        return Ok(whole);
    }
    let by_id = [String::from("_id")];
    let keys: &[String] = if options.upsert_fields.is_empty() {
        &by_id
    } else {
        &options.upsert_fields
    };
    let fields = raw(&document)?;
    let mut query = Document::new();
    for key in keys {
        if let Some(value) = value_at(&fields, key) {
            // Said so that an object is no set of operators.
            query.insert(key, doc! { "$eq": value });
        }
    }
    // Without any of them it is like no other.
    if query.len() < keys.len() {
        let id = document
            .get("_id")
            .cloned()
            .unwrap_or_else(|| ObjectId::new().into());
        query = doc! { "_id": { "$eq": id } };
    }
    let update = if options.mode == Mode::Merge {
        for key in query.keys() {
            document.remove(key);
        }
        // Replacing another's `_id` is no merging.
        document.remove("_id");
        if document.is_empty() {
            // Nothing to set, and still to be there.
            doc! { "$setOnInsert": {} }
        } else {
            doc! { "$set": document }
        }
    } else {
        document
    };
    raw(&doc! { "q": query, "u": update, "upsert": true })
}

fn value_at(document: &RawDocumentBuf, path: &str) -> Option<Bson> {
    let mut parts = path.split('.');
    let first = document.get(parts.next()?).ok().flatten()?;
    let found = parts.try_fold(first, |value, part| match value {
        RawBsonRef::Document(document) => document.get(part).ok().flatten(),
        _ => None,
    })?;
    Bson::try_from(found).ok()
}

/// Documents of a file of any form.
struct Reader<R> {
    input: Input<R>,
    name: String,
    ignore_blanks: bool,
    grace: Grace,
    number: u64,
}

enum Input<R> {
    Json(JsonFile<R>),
    Bson(BsonFile<R>),
    Table(Box<csv::Reader<R>>, Vec<Column>),
}

impl<R: Read> Reader<R> {
    fn new(input: R, name: &str, form: &Form, options: &Import) -> Result<Self, ArchiveError> {
        let input = match form {
            Form::Json { .. } => Input::Json(JsonFile::new(input, name.to_owned())),
            Form::Bson => Input::Bson(BsonFile::new(input, name.to_owned())),
            Form::Table {
                delimiter,
                header,
                fields,
            } => {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(*delimiter)
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(input);
                let wrong = |what| ArchiveError::Line {
                    file: name.to_owned(),
                    line: 1,
                    what,
                };
                let mut names = fields.clone();
                if *header {
                    let mut first = csv::StringRecord::new();
                    reader
                        .read_record(&mut first)
                        .map_err(|error| table_error(name, error))?;
                    names = first.iter().map(|cell| cell.trim().to_owned()).collect();
                    if let Some(name) = names.first_mut() {
                        *name = name.trim_start_matches('\u{feff}').to_owned();
                    }
                }
                let columns = table::columns(&names, options.typed).map_err(wrong)?;
                Input::Table(Box::new(reader), columns)
            }
        };
        Ok(Self {
            input,
            name: name.to_owned(),
            ignore_blanks: options.ignore_blanks,
            grace: options.grace,
            number: 0,
        })
    }

    /// What places are counted in.
    fn unit(&self) -> &'static str {
        match self.input {
            Input::Bson(_) => "document",
            _ => "line",
        }
    }

    fn wrong(&self, place: u64, what: String) -> ArchiveError {
        ArchiveError::Line {
            file: self.name.clone(),
            line: place,
            what,
        }
    }

    /// The next document with its place; `None` for a row that is left out.
    fn next(&mut self) -> Result<Option<(u64, Option<Document>)>, ArchiveError> {
        self.number += 1;
        match &mut self.input {
            Input::Json(file) => Ok(file.next()?.map(|(line, document)| (line, Some(document)))),
            Input::Bson(file) => {
                let number = self.number;
                let Some(raw) = file.next()? else {
                    return Ok(None);
                };
                let document = Document::try_from(raw)
                    .map_err(|error| ArchiveError::engine(&self.name)(error.into()))?;
                Ok(Some((number, Some(document))))
            }
            Input::Table(reader, columns) => {
                let mut record = csv::StringRecord::new();
                if !reader
                    .read_record(&mut record)
                    .map_err(|error| table_error(&self.name, error))?
                {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                let row = table::document(columns, record.iter(), self.ignore_blanks, self.grace);
                match row {
                    Ok(Row::Document(document)) => Ok(Some((line, Some(document)))),
                    Ok(Row::Skipped) => Ok(Some((line, None))),
                    Err(what) => Err(self.wrong(line, what)),
                }
            }
        }
    }
}

fn table_error(name: &str, error: csv::Error) -> ArchiveError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ArchiveError::named(name)(error),
        csv::ErrorKind::Utf8 { err, .. } => ArchiveError::Line {
            file: name.to_owned(),
            line,
            what: err.to_string(),
        },
        other => ArchiveError::Line {
            file: name.to_owned(),
            line,
            what: format!("{other:?}"),
        },
    }
}
