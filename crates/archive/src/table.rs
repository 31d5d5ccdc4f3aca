//! Documents as rows of text: columns with paths and types, as CSV and TSV
//! have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawDocument};

/// What happens with a cell that does not fit its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grace {
    /// The import stops.
    #[default]
    Stop,
    /// The field is left out.
    SkipField,
    /// The row is left out.
    SkipRow,
    /// The type is found from the cell.
    AutoCast,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    path: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Auto,
    Text,
    Int32,
    Int64,
    Double,
    Decimal,
    Boolean,
    Date,
    Base64,
    Hex,
}

/// The names in a list such as `--fields` or a file of fields has them: with
/// commas or on lines. A comma inside of parentheses belongs to a type.
pub fn read_fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' | '\n' if depth <= 0 => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(field) = fields.last_mut() {
            field.push(letter);
        }
    }
    let trimmed = fields.iter().map(|field| field.trim().to_owned());
    trimmed.filter(|field| !field.is_empty()).collect()
}

/// Reads the columns; with types, a name ends in one: `price.decimal()`.
pub(crate) fn columns(names: &[String], typed: bool) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for name in names {
        let (path, kind) = if typed {
            kind(name)?
        } else {
            (name.as_str(), Kind::Auto)
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) || path[0].starts_with('$') {
            return Err(format!("'{name}' is no name of a field"));
        }
        if path.len() > kit::limit::NESTING_DEPTH_MAX {
            return Err(format!("'{name}' is nested too deep"));
        }
        // One would be in the other's place.
        if let Some(other) = columns
            .iter()
            .find(|other| other.path.starts_with(&path) || path.starts_with(&other.path))
        {
            let other = other.path.join(".");
            return Err(format!(
                "the fields '{other}' and '{}' exclude each other",
                path.join(".")
            ));
        }
        columns.push(Column { path, kind });
    }
    if columns.is_empty() {
        return Err("there are no fields".to_owned());
    }
    Ok(columns)
}

fn kind(name: &str) -> Result<(&str, Kind), String> {
    let missing = || format!("'{name}' has no type, such as {name}.string()");
    let inner = name.strip_suffix(')').ok_or_else(missing)?;
    let (front, argument) = inner.split_once('(').ok_or_else(missing)?;
    let (path, word) = front.rsplit_once('.').ok_or_else(missing)?;
    let kind = match (word, argument) {
        ("auto", "") => Kind::Auto,
        ("string", "") => Kind::Text,
        ("int32", "") => Kind::Int32,
        ("int64", "") => Kind::Int64,
        ("double", "") => Kind::Double,
        ("decimal", "") => Kind::Decimal,
        ("boolean", "") => Kind::Boolean,
        ("date" | "date_go", "" | "2006-01-02T15:04:05Z07:00") => Kind::Date,
        ("binary", "base64") => Kind::Base64,
        ("binary", "hex") => Kind::Hex,
        ("date" | "date_go" | "date_ms" | "date_oracle", _) => {
            return Err(format!("'{name}': only dates in ISO 8601 are read: date()"));
        }
        _ => {
            return Err(format!(
                "'{name}': '{word}({argument})' is no type that is read"
            ));
        }
    };
    Ok((path, kind))
}

/// What a row makes.
pub(crate) enum Row {
    Document(Document),
    /// Left out, by [`Grace::SkipRow`].
    Skipped,
}

/// Makes a document of a row's cells.
pub(crate) fn document<'c>(
    columns: &[Column],
    cells: impl Iterator<Item = &'c str>,
    ignore_blanks: bool,
    grace: Grace,
) -> Result<Row, String> {
    let mut document = Document::new();
    for (index, cell) in cells.enumerate() {
        if ignore_blanks && cell.is_empty() {
            continue;
        }
        let extra;
        let column = if let Some(column) = columns.get(index) {
            column
        } else {
            // As mongoimport names what has no name.
            extra = Column {
                path: vec![format!("field{index}")],
                kind: Kind::Auto,
            };
            &extra
        };
        let value = match (value(column.kind, cell), grace) {
            (Ok(value), _) => value,
            (Err(_), Grace::SkipField) => continue,
            (Err(_), Grace::SkipRow) => return Ok(Row::Skipped),
            (Err(_), Grace::AutoCast) => auto(cell),
            (Err(what), Grace::Stop) => {
                return Err(format!("{}: {what}", column.path.join(".")));
            }
        };
        put(&mut document, &column.path, value);
    }
    Ok(Row::Document(document))
}

fn put(document: &mut Document, path: &[String], value: Bson) {
    match path {
        [] => {}
        [name] => {
            document.insert(name, value);
        }
        [name, rest @ ..] => {
            let inner = document
                .entry(name.clone())
                .or_insert_with(|| Document::new().into());
            if let Bson::Document(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn value(kind: Kind, cell: &str) -> Result<Bson, String> {
    let wrong = |what: &str| format!("'{}' is no {what}", shortened(cell));
    Ok(match kind {
        Kind::Auto => auto(cell),
        Kind::Text => cell.into(),
        Kind::Int32 => Bson::Int32(cell.parse().map_err(|_| wrong("int32"))?),
        Kind::Int64 => Bson::Int64(cell.parse().map_err(|_| wrong("int64"))?),
        Kind::Double => Bson::Double(cell.parse().map_err(|_| wrong("double"))?),
        Kind::Decimal => Bson::Decimal128(cell.parse().map_err(|_| wrong("decimal"))?),
        Kind::Boolean => match cell.to_ascii_lowercase().as_str() {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            _ => return Err(wrong("boolean")),
        },
        Kind::Date => DateTime::parse_rfc3339_str(cell)
            .map_err(|_| wrong("date in ISO 8601"))?
            .into(),
        Kind::Base64 => binary(BASE64.decode(cell).map_err(|_| wrong("base64"))?),
        Kind::Hex => {
            let digits = cell.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair)
                    .ok()
                    .filter(|pair| pair.len() == 2)?;
                u8::from_str_radix(pair, 16).ok()
            });
            binary(
                digits
                    .collect::<Option<Vec<u8>>>()
                    .ok_or_else(|| wrong("hex"))?,
            )
        }
    })
}

fn binary(bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

fn shortened(cell: &str) -> String {
    cell.chars().take(40).collect()
}

/// A number if the cell is one, else the text.
fn auto(cell: &str) -> Bson {
    // Not the words that Rust also takes for numbers.
    if !cell.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        || cell.contains(['n', 'N', 'i', 'I'])
    {
        return cell.into();
    }
    if let Ok(number) = cell.parse::<i32>() {
        return number.into();
    }
    if let Ok(number) = cell.parse::<i64>() {
        return number.into();
    }
    cell.parse::<f64>()
        .map_or_else(|_| cell.into(), Bson::Double)
}

/// The cell of a document at a path, as mongoexport writes it. A number in the
/// path is a place in an array.
pub(crate) fn cell(document: &RawDocument, path: &str, out: &mut Vec<u8>) {
    let mut parts = path.split('.');
    let first = parts
        .next()
        .and_then(|name| document.get(name).ok().flatten());
    let found = parts.try_fold(first, |value, part| match value {
        Some(RawBsonRef::Document(document)) => Some(document.get(part).ok().flatten()),
        Some(RawBsonRef::Array(array)) => {
            let index: Option<usize> = part.parse().ok();
            Some(index.and_then(|index| array.get(index).ok().flatten()))
        }
        _ => None,
    });
    let text = match found.flatten() {
        None | Some(RawBsonRef::Null | RawBsonRef::Undefined) => return,
        Some(RawBsonRef::String(text)) => text.to_owned(),
        Some(RawBsonRef::ObjectId(id)) => format!("ObjectId({id})"),
        Some(RawBsonRef::Int32(number)) => number.to_string(),
        Some(RawBsonRef::Int64(number)) => number.to_string(),
        Some(RawBsonRef::Double(number)) => number.to_string(),
        Some(RawBsonRef::Decimal128(number)) => number.to_string(),
        Some(RawBsonRef::Boolean(value)) => value.to_string(),
        Some(RawBsonRef::DateTime(date)) => date
            .try_to_rfc3339_string()
            .unwrap_or_else(|_| date.timestamp_millis().to_string()),
        Some(other) => {
            kit::ejson::relaxed(other, out);
            return;
        }
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn row(fields: &str, typed: bool, cells: &[&str], grace: Grace) -> Result<Document, String> {
        let columns = columns(&read_fields(fields), typed)?;
        match document(&columns, cells.iter().copied(), true, grace)? {
            Row::Document(document) => Ok(document),
            Row::Skipped => Err("skipped".to_owned()),
        }
    }

    #[test]
    fn types() {
        let found = row(
            "a.string(),b.int32(),c.int64(),d.double(),e.decimal(),f.boolean(),g.date(),h.binary(hex),i.binary(base64),j.k.auto()",
            true,
            &["1", "2", "3", "4", "5.50", "TRUE", "2020-01-02T03:04:05Z", "0aff", "Cv8=", "x"],
            Grace::Stop,
        )
        .unwrap();
        assert_eq!(
            found,
            doc! {
                "a": "1", "b": 2, "c": 3i64, "d": 4.0,
                "e": Bson::Decimal128("5.50".parse().unwrap()), "f": true,
                "g": DateTime::parse_rfc3339_str("2020-01-02T03:04:05Z").unwrap(),
                "h": binary(vec![10, 255]), "i": binary(vec![10, 255]), "j": { "k": "x" },
            }
        );
        for cell in [
            "b.int32()",
            "e.decimal()",
            "f.boolean()",
            "g.date()",
            "h.binary(hex)",
        ] {
            assert!(row(cell, true, &["?"], Grace::Stop).is_err(), "{cell}");
            assert_eq!(
                row(cell, true, &["?"], Grace::SkipField),
                Ok(doc! {}),
                "{cell}"
            );
            assert_eq!(
                row(cell, true, &["?"], Grace::SkipRow),
                Err("skipped".to_owned())
            );
        }
        assert_eq!(
            row("b.int32()", true, &["1.5"], Grace::AutoCast),
            Ok(doc! { "b": 1.5 })
        );
    }

    #[test]
    fn numbers_are_found_and_words_are_not() {
        for (cell, value) in [
            ("1", Bson::Int32(1)),
            ("-3000000000", Bson::Int64(-3_000_000_000)),
            ("1e3", Bson::Double(1000.0)),
            (".5", Bson::Double(0.5)),
            ("nan", "nan".into()),
            ("-inf", "-inf".into()),
            ("infinity", "infinity".into()),
            ("1 ", "1 ".into()),
            ("-", "-".into()),
            ("", "".into()),
        ] {
            assert_eq!(auto(cell), value, "{cell}");
        }
    }

    #[test]
    fn columns_that_cannot_be() {
        for fields in ["a,a", "a,a.b", "a.b,a", "a..b", ".a", "", "$a"] {
            assert!(columns(&read_fields(fields), false).is_err(), "{fields}");
        }
        for fields in ["a", "a.int()", "a.date(YYYY)", ".int32()", "a.int32"] {
            assert!(columns(&read_fields(fields), true).is_err(), "{fields}");
        }
        assert_eq!(
            row("a.b,a.c", false, &["1", "2", "3"], Grace::Stop),
            Ok(doc! { "a": { "b": 1, "c": 2 }, "field2": 3 })
        );
    }
}
