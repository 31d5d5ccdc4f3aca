//! BSON to text, straight from raw bytes into the caller's buffer.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{DateTime, RawDocument};

/// Writes `value` as canonical Extended JSON v2.
pub fn canonical(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    write_value(value, false, out);
}

/// Writes `value` as relaxed Extended JSON v2.
pub fn relaxed(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    write_value(value, true, out);
}

/// Writes a document as canonical Extended JSON v2.
pub fn canonical_document(document: &RawDocument, out: &mut Vec<u8>) {
    write_fields(document, false, out);
}

/// Writes a document as relaxed Extended JSON v2.
pub fn relaxed_document(document: &RawDocument, out: &mut Vec<u8>) {
    write_fields(document, true, out);
}

macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        // Writing to a Vec cannot fail.
        let _ = write!($out, $($arg)*);
    };
}

fn write_value(value: RawBsonRef<'_>, relaxed: bool, out: &mut Vec<u8>) {
    match value {
        RawBsonRef::Null => out.extend_from_slice(b"null"),
        RawBsonRef::Boolean(true) => out.extend_from_slice(b"true"),
        RawBsonRef::Boolean(false) => out.extend_from_slice(b"false"),
        RawBsonRef::String(text) => write_string(text, out),
        RawBsonRef::Int32(n) if relaxed => {
            put!(out, "{n}");
        }
        RawBsonRef::Int32(n) => {
            put!(out, r#"{{"$numberInt":"{n}"}}"#);
        }
        RawBsonRef::Int64(n) if relaxed => {
            put!(out, "{n}");
        }
        RawBsonRef::Int64(n) => {
            put!(out, r#"{{"$numberLong":"{n}"}}"#);
        }
        RawBsonRef::Double(n) if relaxed && n.is_finite() => {
            put!(out, "{n:?}");
        }
        RawBsonRef::Double(n) => write_double(n, out),
        RawBsonRef::Decimal128(n) => {
            put!(out, r#"{{"$numberDecimal":"{n}"}}"#);
        }
        RawBsonRef::Document(document) => write_fields(document, relaxed, out),
        RawBsonRef::Array(array) => {
            out.push(b'[');
            for (index, value) in array.into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(value, relaxed, out);
            }
            out.push(b']');
        }
        RawBsonRef::ObjectId(id) => {
            out.extend_from_slice(br#"{"$oid":""#);
            for byte in id.bytes() {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            out.extend_from_slice(br#""}"#);
        }
        RawBsonRef::DateTime(date) => write_date(date, relaxed, out),
        RawBsonRef::Binary(binary) => {
            // RFC 4648 with padding, as Extended JSON asks.
            let text = BASE64.encode(binary.bytes);
            let subtype = u8::from(match binary.subtype {
                BinarySubtype::BinaryOld => BinarySubtype::Generic,
                other => other,
            });
            put!(
                out,
                r#"{{"$binary":{{"base64":"{text}","subType":"{subtype:02x}"}}}}"#
            );
        }
        RawBsonRef::Timestamp(stamp) => {
            put!(
                out,
                r#"{{"$timestamp":{{"t":{},"i":{}}}}}"#,
                stamp.time,
                stamp.increment
            );
        }
        RawBsonRef::RegularExpression(regex) => {
            out.extend_from_slice(br#"{"$regularExpression":{"pattern":"#);
            write_string(regex.pattern.as_str(), out);
            out.extend_from_slice(br#","options":"#);
            write_string(regex.options.as_str(), out);
            out.extend_from_slice(b"}}");
        }
        RawBsonRef::JavaScriptCode(code) => {
            out.extend_from_slice(br#"{"$code":"#);
            write_string(code, out);
            out.push(b'}');
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            out.extend_from_slice(br#"{"$code":"#);
            write_string(code.code, out);
            out.extend_from_slice(br#","$scope":"#);
            write_fields(code.scope, relaxed, out);
            out.push(b'}');
        }
        RawBsonRef::Symbol(text) => {
            out.extend_from_slice(br#"{"$symbol":"#);
            write_string(text, out);
            out.push(b'}');
        }
        RawBsonRef::Undefined => out.extend_from_slice(br#"{"$undefined":true}"#),
        RawBsonRef::MinKey => out.extend_from_slice(br#"{"$minKey":1}"#),
        RawBsonRef::MaxKey => out.extend_from_slice(br#"{"$maxKey":1}"#),
        RawBsonRef::DbPointer(_) => write_db_pointer(value, out),
    }
}

fn write_fields(document: &RawDocument, relaxed: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, value)) in document.into_iter().flatten().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(key.as_str(), out);
        out.push(b':');
        write_value(value, relaxed, out);
    }
    out.push(b'}');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..index]);
        if escape.is_empty() {
            put!(out, "\\u{byte:04x}");
        } else {
            out.extend_from_slice(escape);
        }
        start = index + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

fn write_double(n: f64, out: &mut Vec<u8>) {
    if n.is_nan() {
        out.extend_from_slice(br#"{"$numberDouble":"NaN"}"#);
    } else if n.is_infinite() {
        let sign = if n < 0.0 { "-" } else { "" };
        put!(out, r#"{{"$numberDouble":"{sign}Infinity"}}"#);
    } else {
        put!(out, r#"{{"$numberDouble":"{n:?}"}}"#);
    }
}

fn write_date(date: DateTime, relaxed: bool, out: &mut Vec<u8>) {
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    let ms = date.timestamp_millis();
    if relaxed
        && (0..YEAR_10000_MS).contains(&ms)
        && let Ok(text) = date.try_to_rfc3339_string()
    {
        put!(out, r#"{{"$date":"{text}"}}"#);
    } else {
        put!(out, r#"{{"$date":{{"$numberLong":"{ms}"}}}}"#);
    }
}

/// The library keeps this deprecated type's parts private; its own JSON form
/// has them.
fn write_db_pointer(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    let json = bson::Bson::try_from(value).map(bson::Bson::into_canonical_extjson);
    match json {
        Ok(json) => {
            put!(out, "{json}");
        }
        Err(_) => out.extend_from_slice(b"null"),
    }
}
