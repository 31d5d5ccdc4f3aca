//! Text to BSON in one pass: a `serde` visitor builds values bottom-up, and a
//! closing object whose keys form a type wrapper (`{"$oid": …}`) becomes that
//! type.

use std::fmt;

use bson::oid::ObjectId;
use bson::raw::CString;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, Regex, Timestamp};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::limit::NESTING_DEPTH_MAX;

/// Why a text is not Extended JSON.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// 1-based line; 0 when unknown.
    pub line: usize,
    /// 1-based column; 0 when unknown.
    pub column: usize,
}

/// Reads one Extended JSON value: canonical, relaxed or bare JSON.
pub fn parse(text: &[u8]) -> Result<Bson, ParseError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Value { depth: 0 }.deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value))
        .map_err(|error| ParseError {
            message: error.to_string(),
            line: error.line(),
            column: error.column(),
        })
}

/// Reads an Extended JSON object as a document.
pub fn parse_document(text: &[u8]) -> Result<Document, ParseError> {
    match parse(text)? {
        Bson::Document(document) => Ok(document),
        other => Err(ParseError {
            message: format!("expected an object, found {:?}", other.element_type()),
            line: 1,
            column: 1,
        }),
    }
}

/// Turns an already parsed JSON value into BSON by the same rules.
pub fn parse_value(json: &serde_json::Value) -> Result<Bson, ParseError> {
    Value { depth: 0 }
        .deserialize(json)
        .map_err(|error| ParseError {
            message: error.to_string(),
            line: 0,
            column: 0,
        })
}

#[derive(Clone, Copy)]
struct Value {
    depth: usize,
}

impl Value {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= NESTING_DEPTH_MAX {
            return Err(E::custom(format_args!(
                "nested deeper than {NESTING_DEPTH_MAX} levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Bson;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Bson, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Extended JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Bson, E> {
        Ok(integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Bson, E> {
        Ok(i64::try_from(value).map_or(Bson::Double(value as f64), integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Bson, E> {
        Ok(Bson::String(value))
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bson, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0));
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Bson::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bson, A::Error> {
        let inner = self.inner()?;
        let Some(first) = map.next_key::<String>()? else {
            return Ok(Bson::Document(Document::new()));
        };
        let value = map.next_value_seed(inner)?;
        let wrapper = first.starts_with('$');
        // The usual wrapper has one key: decide before a map is built.
        let second = map.next_key::<String>()?;
        if wrapper && second.is_none() {
            return match unwrap_one(&first, value).map_err(A::Error::custom)? {
                Ok(value) => Ok(value),
                Err(value) => Ok(Bson::Document(Document::from_iter([(first, value)]))),
            };
        }
        let mut document = Document::new();
        document.insert(field_name(first)?, value);
        let mut next = second;
        while let Some(key) = next {
            let key = field_name(key)?;
            let value = map.next_value_seed(inner)?;
            document.insert(key, value);
            next = map.next_key()?;
        }
        if wrapper {
            return unwrap_two(document).map_err(A::Error::custom);
        }
        Ok(Bson::Document(document))
    }
}

fn field_name<E: serde::de::Error>(name: String) -> Result<String, E> {
    if name.contains('\0') {
        return Err(E::custom("field names must not contain null bytes"));
    }
    Ok(name)
}

fn integer(value: i64) -> Bson {
    i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32)
}

/// `{key: value}` as the type it wraps; `Ok(Err(value))` when it is none.
fn unwrap_one(key: &str, value: Bson) -> Result<Result<Bson, Bson>, String> {
    let invalid = |what: &str| Err(format!("invalid {key}: expected {what}"));
    let text = |value: Bson, what: &str| match value {
        Bson::String(text) => Ok(text),
        _ => Err(format!("invalid {key}: expected {what}")),
    };
    let whole = |value: &Bson| match *value {
        Bson::Int32(n) => Some(i64::from(n)),
        Bson::Int64(n) => Some(n),
        _ => None,
    };
    let value = match key {
        "$oid" => {
            let hex = text(value, "24 hex digits")?;
            match ObjectId::parse_str(&hex) {
                Ok(id) => Bson::ObjectId(id),
                Err(_) => return invalid("24 hex digits"),
            }
        }
        "$numberInt" => match text(value, "an integer as a string")?.parse() {
            Ok(n) => Bson::Int32(n),
            Err(_) => return invalid("a 32-bit integer as a string"),
        },
        "$numberLong" => match text(value, "an integer as a string")?.parse() {
            Ok(n) => Bson::Int64(n),
            Err(_) => return invalid("a 64-bit integer as a string"),
        },
        "$numberDouble" => match text(value, "a number as a string")?.as_str() {
            "Infinity" => Bson::Double(f64::INFINITY),
            "-Infinity" => Bson::Double(f64::NEG_INFINITY),
            "NaN" => Bson::Double(f64::NAN),
            number => match number.parse() {
                Ok(n) => Bson::Double(n),
                Err(_) => return invalid("a number as a string"),
            },
        },
        "$numberDecimal" => match text(value, "a decimal as a string")?.parse() {
            Ok(n) => Bson::Decimal128(n),
            Err(_) => return invalid("a decimal as a string"),
        },
        "$date" => match &value {
            Bson::String(text) => match DateTime::parse_rfc3339_str(text) {
                Ok(date) => Bson::DateTime(date),
                Err(_) => return invalid("an ISO-8601 date"),
            },
            other => match whole(other) {
                Some(ms) => Bson::DateTime(DateTime::from_millis(ms)),
                None => return invalid("an ISO-8601 date or milliseconds"),
            },
        },
        "$binary" => match value {
            Bson::Document(fields) => binary(&fields)?,
            _ => return invalid("{base64, subType}"),
        },
        "$uuid" => match bson::Uuid::parse_str(text(value, "a UUID")?) {
            Ok(id) => Bson::Binary(id.into()),
            Err(_) => return invalid("a UUID"),
        },
        "$timestamp" => match &value {
            Bson::Document(fields) => {
                let part = |name| {
                    let n = fields.get(name).and_then(whole)?;
                    u32::try_from(n).ok()
                };
                match (part("t"), part("i")) {
                    (Some(time), Some(increment)) => Bson::Timestamp(Timestamp { time, increment }),
                    _ => return invalid("{t, i} with unsigned 32-bit integers"),
                }
            }
            _ => return invalid("{t, i}"),
        },
        "$regularExpression" => match &value {
            Bson::Document(fields) => {
                match (fields.get_str("pattern"), fields.get_str("options")) {
                    (Ok(pattern), Ok(options)) => {
                        match (
                            CString::try_from(pattern),
                            CString::try_from(sorted(options)),
                        ) {
                            (Ok(pattern), Ok(options)) => {
                                Bson::RegularExpression(Regex { pattern, options })
                            }
                            _ => return invalid("{pattern, options} without null bytes"),
                        }
                    }
                    _ => return invalid("{pattern, options}"),
                }
            }
            _ => return invalid("{pattern, options}"),
        },
        "$code" => Bson::JavaScriptCode(text(value, "a string")?),
        "$symbol" => Bson::Symbol(text(value, "a string")?),
        "$dbPointer" => match &value {
            Bson::Document(fields) => match (fields.get_str("$ref"), fields.get_object_id("$id")) {
                (Ok(namespace), Ok(id)) => db_pointer(namespace, id)?,
                _ => return invalid("{$ref, $id}"),
            },
            _ => return invalid("{$ref, $id}"),
        },
        "$minKey" if is_one(&value) => Bson::MinKey,
        "$maxKey" if is_one(&value) => Bson::MaxKey,
        "$undefined" if value == Bson::Boolean(true) => Bson::Undefined,
        _ => return Ok(Err(value)),
    };
    Ok(Ok(value))
}

/// Wrappers of two keys: `$code` with `$scope`, and the older `$binary` with
/// `$type`. Any other object stays a document.
fn unwrap_two(document: Document) -> Result<Bson, String> {
    if document.len() != 2 {
        return Ok(Bson::Document(document));
    }
    if let (Ok(code), Ok(scope)) = (document.get_str("$code"), document.get_document("$scope")) {
        return Ok(Bson::JavaScriptCodeWithScope(
            bson::JavaScriptCodeWithScope {
                code: code.to_owned(),
                scope: scope.clone(),
            },
        ));
    }
    if let (Ok(base64), Ok(subtype)) = (document.get_str("$binary"), document.get_str("$type")) {
        let mut fields = Document::new();
        fields.insert("base64", base64);
        fields.insert("subType", subtype);
        return binary(&fields);
    }
    Ok(Bson::Document(document))
}

fn is_one(value: &Bson) -> bool {
    matches!(value, Bson::Int32(1) | Bson::Int64(1)) || *value == Bson::Double(1.0)
}

fn sorted(options: &str) -> String {
    let mut letters: Vec<char> = options.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

fn binary(fields: &Document) -> Result<Bson, String> {
    let (Ok(base64), Ok(subtype)) = (fields.get_str("base64"), fields.get_str("subType")) else {
        return Err("invalid $binary: expected {base64, subType}".to_owned());
    };
    let subtype = u8::from_str_radix(subtype, 16)
        .map_err(|_| "invalid $binary: subType is one or two hex digits".to_owned())?;
    Binary::from_base64(base64, BinarySubtype::from(subtype))
        .map(Bson::Binary)
        .map_err(|_| "invalid $binary: base64 cannot be decoded".to_owned())
}

/// The driver library has no public constructor for this deprecated type, so
/// its bytes are written and read back.
fn db_pointer(namespace: &str, id: ObjectId) -> Result<Bson, String> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&[0x0c, b'p', 0]);
    bytes.extend_from_slice(&(namespace.len() as i32 + 1).to_le_bytes());
    bytes.extend_from_slice(namespace.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&id.bytes());
    bytes.push(0);
    let length = (bytes.len() as i32).to_le_bytes();
    bytes[..4].copy_from_slice(&length);
    RawDocumentBuf::from_bytes(bytes)
        .ok()
        .and_then(|raw| raw.get("p").ok().flatten().map(Bson::try_from))
        .and_then(Result::ok)
        .ok_or_else(|| "invalid $dbPointer".to_owned())
}
