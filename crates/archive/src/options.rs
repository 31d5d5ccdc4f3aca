//! What to do, as names and texts: the form in which a command line and a
//! request's query say it, read in one place.

use bson::Document;

use crate::{ArchiveError, Export, Form, Grace, Import, Mode, Restore, Selection, read_fields};

/// Options by name, in order; a name may be there several times.
#[derive(Debug, Clone, Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Adds an option.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Adds a switch that is on.
    pub fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.add(name, "true");
        }
    }

    /// Every name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// `db`, `collection`, `include` and `exclude`.
    ///
    /// # Errors
    /// For an option that a dump does not have, as with all of these.
    pub fn into_selection(mut self) -> Result<Selection, ArchiveError> {
        let selection = self.selection()?;
        self.end()?;
        Ok(selection)
    }

    /// A selection, `drop`, `no-indexes`, `no-options`, `stop-on-error` and
    /// `dry-run`.
    ///
    /// # Errors
    /// See [`Options::into_selection`].
    pub fn into_restore(mut self) -> Result<Restore, ArchiveError> {
        let restore = Restore {
            selection: self.selection()?,
            drop: self.is_on("drop")?,
            no_indexes: self.is_on("no-indexes")?,
            no_options: self.is_on("no-options")?,
            stop_on_error: self.is_on("stop-on-error")?,
            dry_run: self.is_on("dry-run")?,
        };
        self.end()?;
        Ok(restore)
    }

    /// The collection, which documents (`query`, `sort`, `fields`, `skip`,
    /// `limit`), and the form.
    ///
    /// # Errors
    /// See [`Options::into_selection`].
    pub fn into_export(mut self) -> Result<((String, String), Export, Form), ArchiveError> {
        let place = self.place()?;
        let fields = self.fields()?;
        let export = Export {
            query: self.document("query")?,
            sort: self.document("sort")?,
            skip: self.number("skip")?,
            limit: self.number("limit")?,
            fields: fields.clone(),
        };
        let form = self.form(fields)?;
        if matches!(&form, Form::Table { fields, .. } if fields.is_empty()) {
            return Err(refused("a table needs 'fields': its columns"));
        }
        self.end()?;
        Ok((place, export, form))
    }

    /// The collection, how to import (`mode`, `upsert-fields`, `drop`,
    /// `stop-on-error`, `ignore-blanks`, `columns-have-types`, `parse-grace`),
    /// and the form.
    ///
    /// # Errors
    /// See [`Options::into_selection`].
    pub fn into_import(mut self) -> Result<((String, String), Import, Form), ArchiveError> {
        let place = self.place()?;
        let fields = self.fields()?;
        let mode = match self.one("mode")?.as_deref() {
            None | Some("insert") => Mode::Insert,
            Some("upsert") => Mode::Upsert,
            Some("merge") => Mode::Merge,
            Some(other) => return Err(wrong("mode", other, "insert, upsert or merge")),
        };
        let grace = match self.one("parse-grace")?.as_deref() {
            None | Some("stop") => Grace::Stop,
            Some("skip-field") => Grace::SkipField,
            Some("skip-row") => Grace::SkipRow,
            Some("auto-cast") => Grace::AutoCast,
            Some(other) => {
                let may = "stop, skip-field, skip-row or auto-cast";
                return Err(wrong("parse-grace", other, may));
            }
        };
        let import = Import {
            mode,
            upsert_fields: read_fields(&self.one("upsert-fields")?.unwrap_or_default()),
            drop: self.is_on("drop")?,
            stop_on_error: self.is_on("stop-on-error")?,
            ignore_blanks: self.is_on("ignore-blanks")?,
            typed: self.is_on("columns-have-types")?,
            grace,
        };
        let form = self.form(fields)?;
        self.end()?;
        Ok((place, import, form))
    }

    fn selection(&mut self) -> Result<Selection, ArchiveError> {
        Ok(Selection {
            database: self.one("db")?,
            collection: self.one("collection")?,
            include: self.all("include"),
            exclude: self.all("exclude"),
        })
    }

    fn place(&mut self) -> Result<(String, String), ArchiveError> {
        match (self.one("db")?, self.one("collection")?) {
            (Some(database), Some(collection)) => Ok((database, collection)),
            _ => Err(refused("'db' and 'collection' are needed")),
        }
    }

    fn fields(&mut self) -> Result<Vec<String>, ArchiveError> {
        Ok(read_fields(&self.one("fields")?.unwrap_or_default()))
    }

    /// `type`, with what each has: `canonical` and `array`, `no-header`.
    fn form(&mut self, fields: Vec<String>) -> Result<Form, ArchiveError> {
        let delimiter = match self.one("type")?.as_deref() {
            None | Some("json") => {
                return Ok(Form::Json {
                    canonical: self.is_on("canonical")?,
                    array: self.is_on("array")?,
                });
            }
            Some("bson") => return Ok(Form::Bson),
            Some("csv") => b',',
            Some("tsv") => b'\t',
            Some(other) => return Err(wrong("type", other, "json, csv, tsv or bson")),
        };
        Ok(Form::Table {
            delimiter,
            header: !self.is_on("no-header")?,
            fields,
        })
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        let (found, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(known, _)| known == name);
        self.0 = rest;
        let found: Vec<(String, String)> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    fn one(&mut self, name: &str) -> Result<Option<String>, ArchiveError> {
        let mut found = self.all(name);
        match found.len() {
            0 | 1 => Ok(found.pop().filter(|value| !value.is_empty())),
            _ => Err(refused(&format!("'{name}' is there more than once"))),
        }
    }

    fn is_on(&mut self, name: &str) -> Result<bool, ArchiveError> {
        match self.one(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(wrong(name, other, "true or false")),
        }
    }

    fn number(&mut self, name: &str) -> Result<i64, ArchiveError> {
        match self.one(name)? {
            None => Ok(0),
            Some(text) => match text.parse() {
                Ok(number) if number >= 0 => Ok(number),
                _ => Err(wrong(name, &text, "a number from 0")),
            },
        }
    }

    fn document(&mut self, name: &str) -> Result<Document, ArchiveError> {
        match self.one(name)? {
            None => Ok(Document::new()),
            Some(text) => kit::ejson::parse_document(text.as_bytes())
                .map_err(|error| refused(&format!("'{name}' is no Extended JSON object: {error}"))),
        }
    }

    /// Refuses what nobody asked for: it was meant to change something.
    fn end(self) -> Result<(), ArchiveError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(refused(&format!("'{name}' is no option of this"))),
        }
    }
}

fn refused(text: &str) -> ArchiveError {
    ArchiveError::Refused(text.to_owned())
}

fn wrong(name: &str, value: &str, may: &str) -> ArchiveError {
    refused(&format!("'{name}' is {may}, not '{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (name, value) in pairs {
            options.add(name, *value);
        }
        options
    }

    #[test]
    fn everything_is_read_and_nothing_else_is_taken() {
        let (place, export, form) = options(&[
            ("db", "d"),
            ("collection", "c"),
            ("query", r#"{"n":{"$gt":1}}"#),
            ("limit", "3"),
            ("type", "csv"),
            ("fields", "a,b.c"),
        ])
        .into_export()
        .unwrap();
        assert_eq!(place, ("d".to_owned(), "c".to_owned()));
        assert_eq!(export.limit, 3);
        assert_eq!(export.query, bson::doc! { "n": { "$gt": 1 } });
        let fields = vec!["a".to_owned(), "b.c".to_owned()];
        let header = true;
        assert_eq!(
            form,
            Form::Table {
                delimiter: b',',
                header,
                fields
            }
        );
        let restore = options(&[("drop", "true"), ("exclude", "a.*"), ("exclude", "b.*")]);
        let restore = restore.into_restore().unwrap();
        assert!(restore.drop && !restore.dry_run);
        assert_eq!(restore.selection.exclude, ["a.*", "b.*"]);
    }

    #[test]
    fn mistakes_are_named() {
        let text = |pairs: &[(&str, &str)]| {
            let mut all = vec![("db", "d"), ("collection", "c")];
            all.extend(pairs);
            let error = options(&all).into_import().unwrap_err();
            error.to_string()
        };
        assert_eq!(
            text(&[("mode", "x")]),
            "'mode' is insert, upsert or merge, not 'x'"
        );
        assert_eq!(text(&[("db", "e")]), "'db' is there more than once");
        assert_eq!(
            text(&[("type", "xml")]),
            "'type' is json, csv, tsv or bson, not 'xml'"
        );
        assert_eq!(text(&[("drop", "1")]), "'drop' is true or false, not '1'");
        assert_eq!(text(&[("limit", "1")]), "'limit' is no option of this");
        let error = options(&[("db", "d")]).into_export().unwrap_err();
        assert_eq!(error.to_string(), "'db' and 'collection' are needed");
        let table = [("db", "d"), ("collection", "c"), ("type", "csv")];
        let error = options(&table).into_export().unwrap_err();
        assert_eq!(error.to_string(), "a table needs 'fields': its columns");
    }
}
