//! Extended JSON: every type both ways, wrappers that are none, and limits.

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocumentBuf, doc};
use kit::ejson;
use proptest::prelude::*;

fn canonical(value: &Bson) -> String {
    let raw = RawDocumentBuf::try_from(&doc! { "v": value.clone() }).unwrap();
    let mut out = Vec::new();
    ejson::canonical(raw.get("v").unwrap().unwrap(), &mut out);
    String::from_utf8(out).unwrap()
}

fn relaxed(value: &Bson) -> String {
    let raw = RawDocumentBuf::try_from(&doc! { "v": value.clone() }).unwrap();
    let mut out = Vec::new();
    ejson::relaxed(raw.get("v").unwrap().unwrap(), &mut out);
    String::from_utf8(out).unwrap()
}

const EVERY_TYPE: &[(&str, &str)] = &[
    (r#"{"$numberInt":"-7"}"#, "-7"),
    (r#"{"$numberLong":"9007199254740993"}"#, "9007199254740993"),
    (r#"{"$numberDouble":"3.0"}"#, "3.0"),
    (r#"{"$numberDouble":"NaN"}"#, r#"{"$numberDouble":"NaN"}"#),
    (
        r#"{"$numberDouble":"-Infinity"}"#,
        r#"{"$numberDouble":"-Infinity"}"#,
    ),
    (
        r#"{"$numberDecimal":"12.50"}"#,
        r#"{"$numberDecimal":"12.50"}"#,
    ),
    (
        r#"{"$oid":"5fd45718cface356de9d104d"}"#,
        r#"{"$oid":"5fd45718cface356de9d104d"}"#,
    ),
    (
        r#"{"$date":{"$numberLong":"1600000000123"}}"#,
        r#"{"$date":"2020-09-13T12:26:40.123Z"}"#,
    ),
    (
        r#"{"$date":{"$numberLong":"-1"}}"#,
        r#"{"$date":{"$numberLong":"-1"}}"#,
    ),
    (
        r#"{"$binary":{"base64":"//8=","subType":"00"}}"#,
        r#"{"$binary":{"base64":"//8=","subType":"00"}}"#,
    ),
    (
        r#"{"$timestamp":{"t":4294967295,"i":1}}"#,
        r#"{"$timestamp":{"t":4294967295,"i":1}}"#,
    ),
    (
        r#"{"$regularExpression":{"pattern":"^a\"b","options":"im"}}"#,
        r#"{"$regularExpression":{"pattern":"^a\"b","options":"im"}}"#,
    ),
    (r#"{"$code":"x()"}"#, r#"{"$code":"x()"}"#),
    (
        r#"{"$code":"x()","$scope":{"a":null}}"#,
        r#"{"$code":"x()","$scope":{"a":null}}"#,
    ),
    (r#"{"$symbol":"s"}"#, r#"{"$symbol":"s"}"#),
    (
        r#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"5fd45718cface356de9d104d"}}}"#,
        r#"{"$dbPointer":{"$ref":"d.c","$id":{"$oid":"5fd45718cface356de9d104d"}}}"#,
    ),
    (r#"{"$minKey":1}"#, r#"{"$minKey":1}"#),
    (r#"{"$maxKey":1}"#, r#"{"$maxKey":1}"#),
    (r#"{"$undefined":true}"#, r#"{"$undefined":true}"#),
    (
        r#"{"a":[true,null,"x\ny\u0001"]}"#,
        r#"{"a":[true,null,"x\ny\u0001"]}"#,
    ),
];

#[test]
fn every_type_round_trips_in_canonical_form() {
    for (text, relaxed_text) in EVERY_TYPE {
        let value = ejson::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(
            !matches!(&value, Bson::Document(d) if d.keys().any(|k| k.starts_with('$'))),
            "{text} stayed a document"
        );
        assert_eq!(canonical(&value), *text);
        assert_eq!(relaxed(&value), *relaxed_text);
    }
}

#[test]
fn relaxed_and_older_forms_are_read() {
    let read = |text: &str| ejson::parse(text.as_bytes()).unwrap();
    assert_eq!(read("1"), Bson::Int32(1));
    assert_eq!(read("3000000000"), Bson::Int64(3_000_000_000));
    assert_eq!(read("1.0"), Bson::Double(1.0));
    assert_eq!(
        read(r#"{"$binary":"/w==","$type":"05"}"#),
        read(r#"{"$binary":{"base64":"/w==","subType":"05"}}"#)
    );
    assert_eq!(
        read(r#"{"$date":"2020-09-13T12:26:40.123Z"}"#),
        read(r#"{"$date":1600000000123}"#)
    );
    assert_eq!(
        read(r#"{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}"#),
        read(r#"{"$binary":{"base64":"yO2rw/c4TKO2jauSqRR4ow==","subType":"04"}}"#)
    );
}

#[test]
fn query_operators_stay_documents() {
    for text in [
        r#"{"$gt":{"$numberInt":"5"}}"#,
        r#"{"$regex":"^a","$options":"i"}"#,
        r#"{"$type":"string"}"#,
        r#"{"$and":[{"a":{"$numberInt":"1"}}]}"#,
    ] {
        let value = ejson::parse(text.as_bytes()).unwrap();
        assert!(matches!(value, Bson::Document(_)), "{text}");
        assert_eq!(canonical(&value), text);
    }
}

#[test]
fn malformed_wrappers_are_errors() {
    for text in [
        r#"{"$oid":"xyz"}"#,
        r#"{"$oid":5}"#,
        r#"{"$numberInt":"3000000000"}"#,
        r#"{"$numberLong":1}"#,
        r#"{"$date":"yesterday"}"#,
        r#"{"$binary":{"base64":"***","subType":"00"}}"#,
        r#"{"$timestamp":{"t":-1,"i":0}}"#,
        r#"{"$uuid":"nope"}"#,
        r#"{"a\u0000b":1}"#,
        r#"{"x":1,"a\u0000b":1}"#,
        r#"{"a":1"#,
        r#"{"a":1} trailing"#,
        "",
    ] {
        assert!(ejson::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let limit = kit::limit::NESTING_DEPTH_MAX;
    assert!(ejson::parse(nested(limit).as_bytes()).is_ok());
    let error = ejson::parse(nested(limit + 1).as_bytes()).unwrap_err();
    assert!(error.message.contains("nested deeper"), "{error}");
    assert!(ejson::parse(nested(100_000).as_bytes()).is_err());
}

fn any_bson() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        Just(Bson::Null),
        any::<bool>().prop_map(Bson::Boolean),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
            .prop_map(Bson::Double),
        any::<i64>().prop_map(|ms| Bson::DateTime(bson::DateTime::from_millis(ms))),
        any::<[u8; 12]>().prop_map(|id| Bson::ObjectId(bson::oid::ObjectId::from_bytes(id))),
        ".*".prop_map(Bson::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Bson::Array),
            prop::collection::vec(("[a-z.]{0,6}", inner), 0..5)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn parse_undoes_canonical(value in any_bson()) {
        let text = canonical(&value);
        prop_assert_eq!(ejson::parse(text.as_bytes()).unwrap(), value);
    }
}

#[test]
fn a_value_is_written_where_it_stands() {
    let mut out = b"data: ".to_vec();
    ejson::canonical(RawBsonRef::Null, &mut out);
    assert_eq!(out, b"data: null");
}
