//! The order of BSON values across types (embedded-engine.md C.3).

use std::cmp::Ordering;

use bson::raw::{RawBinaryRef, RawBsonRef};
use bson::spec::BinarySubtype;
use bson::{Bson, RawArray, RawDocument, RawDocumentBuf, cstr};

use crate::collation::Collation;
use crate::decimal;
use crate::number::TWO_63;

/// A type's place in the order; numbers share one, strings and symbols too.
pub fn rank(value: RawBsonRef<'_>) -> u8 {
    match value {
        RawBsonRef::MinKey => 0,
        RawBsonRef::Undefined => 1,
        RawBsonRef::Null => 5,
        RawBsonRef::Int32(_)
        | RawBsonRef::Int64(_)
        | RawBsonRef::Double(_)
        | RawBsonRef::Decimal128(_) => 10,
        RawBsonRef::String(_) | RawBsonRef::Symbol(_) => 15,
        RawBsonRef::Document(_) => 20,
        RawBsonRef::Array(_) => 25,
        RawBsonRef::Binary(_) => 30,
        RawBsonRef::ObjectId(_) => 35,
        RawBsonRef::Boolean(_) => 40,
        RawBsonRef::DateTime(_) => 45,
        RawBsonRef::Timestamp(_) => 47,
        RawBsonRef::RegularExpression(_) => 50,
        RawBsonRef::DbPointer(_) => 55,
        RawBsonRef::JavaScriptCode(_) => 60,
        RawBsonRef::JavaScriptCodeWithScope(_) => 65,
        RawBsonRef::MaxKey => 127,
    }
}

/// Compares two values of any types. Total: NaN equals NaN and sorts below
/// every number.
pub fn compare(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    compare_with(a, b, None)
}

/// [`compare`] with strings, also nested ones, in the order of a collation.
pub fn compare_with(
    a: RawBsonRef<'_>,
    b: RawBsonRef<'_>,
    collation: Option<&Collation>,
) -> Ordering {
    match (a, b) {
        (RawBsonRef::Int32(x), RawBsonRef::Int32(y)) => x.cmp(&y),
        (RawBsonRef::String(x), RawBsonRef::String(y)) => strings(x, y, collation),
        (RawBsonRef::ObjectId(x), RawBsonRef::ObjectId(y)) => x.bytes().cmp(&y.bytes()),
        _ => rank(a)
            .cmp(&rank(b))
            .then_with(|| same_rank(a, b, collation)),
    }
}

fn strings(a: &str, b: &str, collation: Option<&Collation>) -> Ordering {
    collation.map_or_else(|| a.cmp(b), |collation| collation.compare(a, b))
}

fn same_rank(a: RawBsonRef<'_>, b: RawBsonRef<'_>, collation: Option<&Collation>) -> Ordering {
    use RawBsonRef as R;
    match (a, b) {
        (R::Boolean(x), R::Boolean(y)) => x.cmp(&y),
        (R::ObjectId(x), R::ObjectId(y)) => x.bytes().cmp(&y.bytes()),
        (R::DateTime(x), R::DateTime(y)) => x.cmp(&y),
        (R::Timestamp(x), R::Timestamp(y)) => (x.time, x.increment).cmp(&(y.time, y.increment)),
        (R::String(x) | R::Symbol(x), R::String(y) | R::Symbol(y)) => strings(x, y, collation),
        (R::Document(x), R::Document(y)) => documents(x, y, collation),
        (R::Array(x), R::Array(y)) => arrays(x, y, collation),
        (R::Binary(x), R::Binary(y)) => stored_len(x)
            .cmp(&stored_len(y))
            .then_with(|| u8::from(x.subtype).cmp(&u8::from(y.subtype)))
            .then_with(|| x.bytes.cmp(y.bytes)),
        (R::RegularExpression(x), R::RegularExpression(y)) => x
            .pattern
            .as_str()
            .cmp(y.pattern.as_str())
            .then_with(|| x.options.as_str().cmp(y.options.as_str())),
        (R::JavaScriptCode(x), R::JavaScriptCode(y)) => x.cmp(y),
        (R::JavaScriptCodeWithScope(x), R::JavaScriptCodeWithScope(y)) => x
            .code
            .cmp(y.code)
            .then_with(|| documents(x.scope, y.scope, None)),
        (R::DbPointer(_), R::DbPointer(_)) => {
            let (x, y) = (pointer(a), pointer(b));
            x.len().cmp(&y.len()).then_with(|| x.cmp(&y))
        }
        _ => numbers(a, b),
    }
}

/// How many bytes a binary value has at rest: those of the old subtype begin with
/// their length.
pub(crate) fn stored_len(binary: RawBinaryRef<'_>) -> usize {
    let old = binary.subtype == BinarySubtype::BinaryOld;
    binary.bytes.len() + if old { 4 } else { 0 }
}

/// The bytes of a database pointer: the length of its namespace, that, its id.
pub(crate) fn pointer(value: RawBsonRef<'_>) -> Vec<u8> {
    // Around it are a document's length, a type, an empty name, and an end.
    const AROUND: (usize, usize) = (6, 1);
    let mut document = RawDocumentBuf::new();
    document.append(cstr!(""), value);
    let bytes = document.as_bytes();
    let inside = bytes.get(AROUND.0..bytes.len() - AROUND.1);
    inside.unwrap_or_default().to_vec()
}

fn numbers(a: RawBsonRef<'_>, b: RawBsonRef<'_>) -> Ordering {
    use RawBsonRef as R;
    match (a, b) {
        (R::Int32(x), R::Int32(y)) => x.cmp(&y),
        (R::Int32(x), R::Int64(y)) => i64::from(x).cmp(&y),
        (R::Int64(x), R::Int32(y)) => x.cmp(&i64::from(y)),
        (R::Int64(x), R::Int64(y)) => x.cmp(&y),
        (R::Int32(x), R::Double(y)) => doubles(f64::from(x), y),
        (R::Double(x), R::Int32(y)) => doubles(x, f64::from(y)),
        (R::Double(x), R::Double(y)) => doubles(x, y),
        (R::Int64(x), R::Double(y)) => integer_and_double(x, y),
        (R::Double(x), R::Int64(y)) => integer_and_double(y, x).reverse(),
        _ => decimal::number(a).cmp(&decimal::number(b)),
    }
}

fn doubles(x: f64, y: f64) -> Ordering {
    x.partial_cmp(&y)
        .unwrap_or_else(|| y.is_nan().cmp(&x.is_nan()))
}

fn integer_and_double(x: i64, y: f64) -> Ordering {
    if y.is_nan() || y < -TWO_63 {
        return Ordering::Greater;
    }
    if y >= TWO_63 {
        return Ordering::Less;
    }
    let whole = y.trunc();
    x.cmp(&(whole as i64)).then_with(|| doubles(whole, y))
}

fn documents(a: &RawDocument, b: &RawDocument, collation: Option<&Collation>) -> Ordering {
    let (mut a, mut b) = (a.iter(), b.iter());
    loop {
        match (a.next(), b.next()) {
            (Some(Ok((ka, va))), Some(Ok((kb, vb)))) => {
                let order = rank(va)
                    .cmp(&rank(vb))
                    .then_with(|| ka.as_str().cmp(kb.as_str()))
                    .then_with(|| same_rank(va, vb, collation));
                if order.is_ne() {
                    return order;
                }
            }
            (Some(Ok(_)), _) => return Ordering::Greater,
            (_, Some(Ok(_))) => return Ordering::Less,
            _ => return Ordering::Equal,
        }
    }
}

fn arrays(a: &RawArray, b: &RawArray, collation: Option<&Collation>) -> Ordering {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (Some(Ok(va)), Some(Ok(vb))) => {
                let order = compare_with(va, vb, collation);
                if order.is_ne() {
                    return order;
                }
            }
            (Some(Ok(_)), _) => return Ordering::Greater,
            (_, Some(Ok(_))) => return Ordering::Less,
            _ => return Ordering::Equal,
        }
    }
}

/// Compares two owned values by the same order.
pub fn compare_bson(a: &Bson, b: &Bson) -> Ordering {
    compare_bson_with(a, b, None)
}

/// [`compare_bson`] with a collation.
pub fn compare_bson_with(a: &Bson, b: &Bson, collation: Option<&Collation>) -> Ordering {
    match (a, b) {
        (Bson::String(x), Bson::String(y)) => strings(x, y, collation),
        (Bson::Int32(x), Bson::Int32(y)) => x.cmp(y),
        (Bson::Double(x), Bson::Double(y)) => doubles(*x, *y),
        (Bson::Boolean(x), Bson::Boolean(y)) => x.cmp(y),
        _ => {
            let (a, b) = (raw(a), raw(b));
            compare_with(a.as_raw_bson_ref(), b.as_raw_bson_ref(), collation)
        }
    }
}

/// The raw form of an owned value; a value that cannot be encoded is null.
pub(crate) fn raw(value: &Bson) -> bson::RawBson {
    into_raw(value.clone())
}

/// [`raw`] of a value that is not needed any more.
pub(crate) fn into_raw(value: Bson) -> bson::RawBson {
    bson::RawBson::try_from(value).unwrap_or(bson::RawBson::Null)
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::{Binary, DateTime, Timestamp, doc, spec::BinarySubtype};

    use super::*;

    /// Values compare alike alone, within documents and within arrays.
    #[test]
    fn values_compare_within_others_as_they_do_alone() {
        let binary = |byte| Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![byte],
        };
        let pairs: [(Bson, Bson); 9] = [
            (1.into(), 2.into()),
            (1_i64.into(), 2_i64.into()),
            (1.5.into(), 2.into()),
            ("a".into(), "b".into()),
            (false.into(), true.into()),
            (
                ObjectId::from_bytes([1; 12]).into(),
                ObjectId::from_bytes([2; 12]).into(),
            ),
            (
                DateTime::from_millis(1).into(),
                DateTime::from_millis(2).into(),
            ),
            (
                Timestamp {
                    time: 1,
                    increment: 1,
                }
                .into(),
                Timestamp {
                    time: 1,
                    increment: 2,
                }
                .into(),
            ),
            (binary(1).into(), binary(2).into()),
        ];
        for (less, more) in pairs {
            let within = |value: &Bson| Bson::from(doc! { "a": value.clone() });
            let listed = |value: &Bson| Bson::from(vec![value.clone()]);
            for wrap in
                [&|value: &Bson| value.clone(), &within, &listed] as [&dyn Fn(&Bson) -> Bson; 3]
            {
                let (a, b) = (wrap(&less), wrap(&more));
                assert_eq!(compare_bson(&a, &b), Ordering::Less, "{a} and {b}");
                assert_eq!(compare_bson(&b, &a), Ordering::Greater, "{b} and {a}");
                assert_eq!(compare_bson(&a, &a), Ordering::Equal, "{a}");
            }
        }
    }
}
