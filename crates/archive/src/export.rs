//! One collection as text or BSON.

use std::io::{self, Write};

use bson::{Document, RawDocument, doc};
use engine::SharedEngine;

use crate::source::{Source, documents};
use crate::{ArchiveError, Moment, table};

/// The form of a file with one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Extended JSON.
    Json {
        /// Keep every type exactly.
        canonical: bool,
        /// One array instead of a line for each document.
        array: bool,
    },
    /// Rows with commas, or with tabs.
    Table {
        /// What stands between two cells.
        delimiter: u8,
        /// Whether the first row has the columns' names.
        header: bool,
        /// The columns.
        fields: Vec<String>,
    },
    /// BSON, as in a dump.
    Bson,
}

/// Which documents.
#[derive(Debug, Clone, Default)]
pub struct Export {
    /// Filter.
    pub query: Document,
    /// Order.
    pub sort: Document,
    /// Only these fields; with `_id`, unless it is a table. Empty is all.
    pub fields: Vec<String>,
    /// Documents to skip.
    pub skip: i64,
    /// Most documents; 0 is all.
    pub limit: i64,
}

/// Writes a collection's documents; says how many, and whether they are of one
/// moment.
pub async fn export(
    engine: &SharedEngine,
    (database, collection): (&str, &str),
    options: &Export,
    form: &Form,
    out: &mut (dyn Write + Send),
) -> Result<(u64, Moment), ArchiveError> {
    let source = Source::open(engine).await?;
    let mut fields = doc! { "filter": options.query.clone() };
    if !options.sort.is_empty() {
        fields.insert("sort", options.sort.clone());
    }
    if options.skip > 0 {
        fields.insert("skip", options.skip);
    }
    if options.limit > 0 {
        fields.insert("limit", options.limit);
    }
    if !options.fields.is_empty() {
        let chosen: Document = options
            .fields
            .iter()
            .map(|f| (f.clone(), 1.into()))
            .collect();
        fields.insert("projection", chosen);
    }
    let mut writer = Writer {
        form,
        out,
        count: 0,
    };
    let failed = |error| ArchiveError::named("the output")(error);
    writer.begin().map_err(failed)?;
    let mut cursor = source.find(database, collection, fields);
    while let Some(batch) = cursor.next(&source).await? {
        for document in documents(&batch) {
            writer.document(document).map_err(failed)?;
        }
    }
    writer.end().map_err(failed)?;
    Ok((writer.count, source.moment))
}

struct Writer<'w> {
    form: &'w Form,
    out: &'w mut (dyn Write + Send),
    count: u64,
}

impl Writer<'_> {
    fn begin(&mut self) -> io::Result<()> {
        match self.form {
            Form::Json { array: true, .. } => self.out.write_all(b"["),
            Form::Table {
                header: true,
                delimiter,
                fields,
            } => row(self.out, *delimiter, fields.iter().map(String::as_bytes)),
            _ => Ok(()),
        }
    }

    fn document(&mut self, document: &RawDocument) -> io::Result<()> {
        let first = self.count == 0;
        self.count += 1;
        match self.form {
            Form::Bson => self.out.write_all(document.as_bytes()),
            Form::Json { canonical, array } => {
                let mut text = Vec::new();
                if *array && !first {
                    text.extend_from_slice(b",\n");
                }
                if *canonical {
                    kit::ejson::canonical_document(document, &mut text);
                } else {
                    kit::ejson::relaxed_document(document, &mut text);
                }
                if !array {
                    text.push(b'\n');
                }
                self.out.write_all(&text)
            }
            Form::Table {
                delimiter, fields, ..
            } => {
                let cells = fields.iter().map(|field| {
                    let mut cell = Vec::new();
                    table::cell(document, field, &mut cell);
                    cell
                });
                row(self.out, *delimiter, cells)
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if matches!(self.form, Form::Json { array: true, .. }) {
            self.out.write_all(b"]\n")?;
        }
        self.out.flush()
    }
}

fn row<C: AsRef<[u8]>>(
    out: &mut (dyn Write + Send),
    delimiter: u8,
    cells: impl Iterator<Item = C>,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new());
    writer.write_record(cells)?;
    let text = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    out.write_all(&text)
}
