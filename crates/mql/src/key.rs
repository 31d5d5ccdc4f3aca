//! Memory-comparable encoding: the byte order of two keys is the BSON order of
//! their values, and equal values have equal keys (embedded-engine.md G.2).
//! The key of an index, and the hash key of $group, distinct and the sets.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArray, RawDocument};

use crate::collation::Collation;
use crate::decimal::{self, Digits, Number};
use crate::order::{pointer, rank, raw, stored_len};

/// Appends the key of `value`.
pub fn encode(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    encode_with(value, None, out);
}

/// [`encode`] with strings, also nested ones, in the order of a collation.
pub fn encode_with(value: RawBsonRef<'_>, collation: Option<&Collation>, out: &mut Vec<u8>) {
    use RawBsonRef as R;
    out.push(rank(value) + 2);
    match value {
        R::MinKey | R::MaxKey | R::Null | R::Undefined => {}
        R::Int32(n) => exact(f64::from(n), out),
        R::Int64(n) => integer(n, out),
        R::Double(n) => double(n, out),
        R::Decimal128(_) => decimal_key(value, out),
        R::String(text) | R::Symbol(text) => string(text, collation, out),
        R::Document(document) => fields(document, collation, out),
        R::Array(array) => elements(array, collation, out),
        R::Binary(binary) => {
            out.extend_from_slice(&(stored_len(binary) as u32).to_be_bytes());
            out.push(binary.subtype.into());
            out.extend_from_slice(binary.bytes);
        }
        R::ObjectId(id) => out.extend_from_slice(&id.bytes()),
        R::Boolean(value) => out.push(value.into()),
        R::DateTime(date) => ordered(date.timestamp_millis(), out),
        R::Timestamp(stamp) => {
            out.extend_from_slice(&stamp.time.to_be_bytes());
            out.extend_from_slice(&stamp.increment.to_be_bytes());
        }
        R::RegularExpression(regex) => {
            bytes(regex.pattern.as_str().as_bytes(), out);
            bytes(regex.options.as_str().as_bytes(), out);
        }
        R::JavaScriptCode(code) => bytes(code.as_bytes(), out),
        R::JavaScriptCodeWithScope(code) => {
            bytes(code.code.as_bytes(), out);
            fields(code.scope, None, out);
        }
        R::DbPointer(_) => {
            let pointer = pointer(value);
            out.extend_from_slice(&(pointer.len() as u32).to_be_bytes());
            out.extend_from_slice(&pointer);
        }
    }
}

/// Appends the key of an owned value.
pub fn encode_bson(value: &Bson, out: &mut Vec<u8>) {
    encode(raw(value).as_raw_bson_ref(), out);
}

/// The key of an owned value.
pub fn of(value: &Bson) -> Vec<u8> {
    let mut out = Vec::new();
    encode_bson(value, &mut out);
    out
}

/// Appends the key of a field that is not there: the same as null's, so that
/// an equality with null finds both.
pub fn encode_missing(out: &mut Vec<u8>) {
    encode(RawBsonRef::Null, out);
}

/// Appends the key that an empty array has in an index: below null.
pub fn encode_empty_array(out: &mut Vec<u8>) {
    out.push(4);
}

/// Inverts the bytes from `start`: a descending part of a key.
pub fn invert(out: &mut [u8], start: usize) {
    for byte in &mut out[start..] {
        *byte = !*byte;
    }
}

/// The bytes that every value of `value`'s type begins with, for type-bracketed
/// ranges: `[start, end)`.
pub fn bracket(value: RawBsonRef<'_>) -> (Vec<u8>, Vec<u8>) {
    let tag = rank(value) + 2;
    (vec![tag], vec![tag + 1])
}

fn string(text: &str, collation: Option<&Collation>, out: &mut Vec<u8>) {
    match collation {
        None => bytes(text.as_bytes(), out),
        Some(collation) => {
            let mut key = Vec::with_capacity(text.len() * 2);
            collation.key(text, &mut key);
            bytes(&key, out);
        }
    }
}

fn bytes(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn fields(document: &RawDocument, collation: Option<&Collation>, out: &mut Vec<u8>) {
    for (name, value) in document.iter().flatten() {
        // Type before name, as documents are compared.
        out.push(rank(value) + 2);
        bytes(name.as_str().as_bytes(), out);
        encode_with(value, collation, out);
    }
    out.push(0);
}

fn elements(array: &RawArray, collation: Option<&Collation>, out: &mut Vec<u8>) {
    for value in array.into_iter().flatten() {
        encode_with(value, collation, out);
    }
    out.push(0);
}

fn ordered(n: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&((n as u64) ^ (1 << 63)).to_be_bytes());
}

const NAN: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;

/// A number is its sign, its magnitude truncated to a double, and where that
/// is not exact, its digits. An exact double sorts before what it truncates.
fn number(magnitude: f64, negative: bool, rest: Option<&Digits>, out: &mut Vec<u8>) {
    if magnitude == 0.0 && rest.is_none() {
        out.push(ZERO);
        return;
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let start = out.len();
    out.extend_from_slice(&magnitude.to_bits().to_be_bytes());
    match rest {
        None => out.push(0),
        Some(rest) => {
            out.push(1);
            let exponent = (rest.exponent as u32) ^ (1 << 31);
            out.extend_from_slice(&exponent.to_be_bytes());
            out.extend(rest.digits.iter().map(|digit| digit + 1));
            out.push(0);
        }
    }
    if negative {
        invert(out, start);
    }
}

fn exact(n: f64, out: &mut Vec<u8>) {
    number(n.abs(), n < 0.0, None, out);
}

fn double(n: f64, out: &mut Vec<u8>) {
    if n.is_nan() {
        out.push(NAN);
    } else {
        exact(n, out);
    }
}

fn integer(n: i64, out: &mut Vec<u8>) {
    const EXACT: u64 = 1 << 53;
    if n.unsigned_abs() <= EXACT {
        exact(n as f64, out);
    } else {
        decimal_key(RawBsonRef::Int64(n), out);
    }
}

fn decimal_key(value: RawBsonRef<'_>, out: &mut Vec<u8>) {
    match decimal::number(value) {
        None | Some(Number::Nan) => out.push(NAN),
        Some(Number::Infinite { negative }) => {
            number(f64::INFINITY, negative, None, out);
        }
        Some(Number::Finite(digits)) => {
            let magnitude = truncated(&digits);
            let rest = Some(&digits).filter(|_| !is_exactly(&digits, magnitude));
            number(magnitude, digits.negative, rest, out);
        }
    }
}

fn is_exactly(digits: &Digits, magnitude: f64) -> bool {
    matches!(
        decimal::number(RawBsonRef::Double(magnitude)),
        Some(Number::Finite(d)) if d.exponent == digits.exponent && d.digits == digits.digits
    )
}

/// The largest double that is not above the magnitude.
fn truncated(digits: &Digits) -> f64 {
    if digits.digits.is_empty() {
        return 0.0;
    }
    let text: String = digits.digits.iter().map(|d| char::from(d + b'0')).collect();
    let near: f64 = format!("0.{text}e{}", digits.exponent)
        .parse()
        .unwrap_or(0.0);
    let near = near.min(f64::MAX);
    let above = match decimal::number(RawBsonRef::Double(near)) {
        Some(Number::Finite(d)) => {
            (d.exponent, &d.digits) > (digits.exponent, &digits.digits) && !d.digits.is_empty()
        }
        _ => false,
    };
    if above { near.next_down() } else { near }
}
