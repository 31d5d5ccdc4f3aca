//! Finding a field of a raw document.
//!
//! [`RawDocument::get`] decodes the name of every field before the one that is
//! wanted, which most of the time of a scan goes into. Here names are compared
//! as bytes and values skipped by their sizes; whatever is not plain is left
//! to it.

use bson::raw::RawBsonRef;
use bson::{DateTime, RawDocument, oid::ObjectId};

/// The value of a field: what [`RawDocument::get`] finds.
///
/// # Errors
/// When the bytes are no BSON. They may be anything after the field.
pub fn field<'a>(
    document: &'a RawDocument,
    name: &str,
) -> Result<Option<RawBsonRef<'a>>, bson::error::Error> {
    match find(document.as_bytes(), name.as_bytes()) {
        Some(None) => Ok(None),
        Some(Some((kind, bytes))) if let Some(value) = value(kind, bytes) => Ok(Some(value)),
        _ => document.get(name),
    }
}

/// The type and the bytes of a field's value; `None` of what is not known.
fn find<'a>(document: &'a [u8], name: &[u8]) -> Option<Option<(u8, &'a [u8])>> {
    let mut rest = document.get(4..)?;
    loop {
        let (&kind, named) = rest.split_first()?;
        if kind == 0 {
            return named.is_empty().then_some(None);
        }
        let wanted = named.starts_with(name) && named.get(name.len()) == Some(&0);
        let end = if wanted {
            name.len()
        } else {
            named.iter().position(|byte| *byte == 0)?
        };
        let bytes = named.get(end + 1..)?;
        let (own, others) = bytes.split_at_checked(size(kind, bytes)?)?;
        if wanted {
            return Some(Some((kind, own)));
        }
        rest = others;
    }
}

/// The size of a value, of which `bytes` begins with.
fn size(kind: u8, bytes: &[u8]) -> Option<usize> {
    let length = || usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok();
    Some(match kind {
        DOUBLE | DATE | INT64 | TIMESTAMP => 8,
        STRING | SYMBOL | CODE => length()? + 4,
        DOCUMENT | ARRAY | CODE_WITH_SCOPE => length()?,
        BINARY => length()? + 5,
        OBJECT_ID => 12,
        BOOLEAN => 1,
        INT32 => 4,
        DECIMAL => 16,
        UNDEFINED | NULL | MIN_KEY | MAX_KEY => 0,
        _ => return None,
    })
}

fn value(kind: u8, bytes: &[u8]) -> Option<RawBsonRef<'_>> {
    Some(match kind {
        DOUBLE => RawBsonRef::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        INT32 => RawBsonRef::Int32(i32::from_le_bytes(bytes.try_into().ok()?)),
        INT64 => RawBsonRef::Int64(i64::from_le_bytes(bytes.try_into().ok()?)),
        DATE => {
            let millis = i64::from_le_bytes(bytes.try_into().ok()?);
            RawBsonRef::DateTime(DateTime::from_millis(millis))
        }
        STRING => {
            let (0, text) = bytes.get(4..)?.split_last()? else {
                return None;
            };
            RawBsonRef::String(std::str::from_utf8(text).ok()?)
        }
        DOCUMENT => RawBsonRef::Document(RawDocument::from_bytes(bytes).ok()?),
        OBJECT_ID => RawBsonRef::ObjectId(ObjectId::from_bytes(bytes.try_into().ok()?)),
        BOOLEAN => match bytes {
            [0] => RawBsonRef::Boolean(false),
            [1] => RawBsonRef::Boolean(true),
            _ => return None,
        },
        NULL => RawBsonRef::Null,
        _ => return None,
    })
}

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const OBJECT_ID: u8 = 0x07;
const BOOLEAN: u8 = 0x08;
const DATE: u8 = 0x09;
const NULL: u8 = 0x0a;
const CODE: u8 = 0x0d;
const SYMBOL: u8 = 0x0e;
const CODE_WITH_SCOPE: u8 = 0x0f;
const INT32: u8 = 0x10;
const TIMESTAMP: u8 = 0x11;
const INT64: u8 = 0x12;
const DECIMAL: u8 = 0x13;
const MAX_KEY: u8 = 0x7f;
const MIN_KEY: u8 = 0xff;

#[cfg(test)]
mod tests {
    use bson::{Binary, Bson, Regex, Timestamp, doc, spec::BinarySubtype};

    use super::*;

    fn document() -> Vec<u8> {
        let document = doc! {
            "double": 1.5, "text": "a\u{e9}b", "document": { "text": 1 }, "array": [1, "x", []],
            "binary": Binary { subtype: BinarySubtype::BinaryOld, bytes: vec![1, 2] },
            "undefined": Bson::Undefined, "id": ObjectId::from_bytes([7; 12]),
            "true": true, "false": false, "date": DateTime::from_millis(-5), "null": Bson::Null,
            "code": Bson::JavaScriptCode("1".into()), "symbol": Bson::Symbol("s".into()),
            "scope": bson::JavaScriptCodeWithScope { code: "2".into(), scope: doc! { "x": 1 } },
            "int32": 5, "stamp": Timestamp { time: 1, increment: 2 }, "int64": 6i64,
            "decimal": "1.5".parse::<bson::Decimal128>().unwrap(),
            "max": Bson::MaxKey, "min": Bson::MinKey, "": "no name", "tex": "a part of a name",
            "regex": Regex { pattern: bson::cstr!("a").into(), options: bson::cstr!("i").into() },
            "after": "what is past a regular expression",
        };
        document.to_vec().unwrap()
    }

    /// The names are those of the sound document, and one of none.
    fn compare(bytes: &[u8], sound: &[u8]) -> usize {
        let Ok(document) = RawDocument::from_bytes(bytes) else {
            return 0;
        };
        let sound = RawDocument::from_bytes(sound).unwrap();
        let names = sound.iter().map(|entry| entry.unwrap().0.as_str());
        let mut same = 0;
        for name in names.chain(["missing", "textual"]) {
            // What is broken before the field may be looked over.
            if let Ok(expected) = document.get(name) {
                let found = field(document, name).unwrap();
                // As text: one not-a-number is not another.
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{name}");
                same += 1;
            }
        }
        same
    }

    #[test]
    fn a_field_is_what_the_slow_way_finds() {
        let sound = document();
        assert_eq!(compare(&sound, &sound), 26);
    }

    #[test]
    fn damage_is_no_panic_and_no_other_value() {
        let sound = document();
        for at in 0..sound.len() {
            for damage in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = damage;
                compare(&bytes, &sound);
            }
        }
        for end in 0..sound.len() {
            let mut bytes = sound[..end].to_vec();
            bytes.push(0);
            if let Some(length) = bytes.first_chunk_mut::<4>() {
                *length = i32::try_from(end + 1).unwrap().to_le_bytes();
            }
            compare(&bytes, &sound);
        }
    }
}
