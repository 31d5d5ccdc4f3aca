//! Laws: a document that is made to a schema passes it, one that is broken does
//! not, and what is inferred from documents takes them.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, bson, doc, oid::ObjectId};
use mql::infer::Observed;
use mql::schema::{Options, Schema, Violation};
use proptest::prelude::*;

/// A schema and a value that it takes.
type Pair = (Document, Bson);

fn leaf() -> impl Strategy<Value = Pair> {
    let text = "[a-zäж]{0,6}";
    prop_oneof![
        (-100..100i32, 0..50i32, 0..50i32).prop_map(|(n, below, above)| (
            doc! { "bsonType": "int", "minimum": n - below, "maximum": n + above },
            n.into()
        )),
        (-100..100i32, 1..50i32).prop_map(|(n, above)| (
            doc! { "type": "number", "exclusiveMinimum": n - above, "maximum": n,
            "exclusiveMaximum": false, "multipleOf": 1 },
            i64::from(n).into()
        )),
        any::<f64>().prop_map(|n| (doc! { "bsonType": "float" }, n.into())),
        text.prop_map(|text| {
            let length = text.chars().count() as i32;
            let schema = doc! { "bsonType": ["string", "null"], "minLength": length,
            "maxLength": length, "pattern": "^\\D*$", "enum": ["1", &text] };
            (schema, text.into())
        }),
        text.prop_map(|text| (
            doc! { "const": &text, "not": { "type": "number" } },
            text.into()
        )),
        any::<bool>().prop_map(|flag| (doc! { "type": "boolean" }, flag.into())),
        (0..9_999i32, 1..13u8, 1..29u8).prop_map(|(year, month, day)| (
            doc! { "type": "string", "format": "date" },
            format!("{year:04}-{month:02}-{day:02}").into()
        )),
        any::<[u8; 16]>().prop_map(|bytes| {
            let value = Binary {
                subtype: BinarySubtype::Uuid,
                bytes: bytes.to_vec(),
            };
            (doc! { "bsonType": "uuid" }, Bson::Binary(value))
        }),
        any::<[u8; 12]>().prop_map(|bytes| (
            doc! { "bsonType": "objectId" },
            ObjectId::from_bytes(bytes).into()
        )),
        any::<i64>().prop_map(|ms| (
            doc! { "bsonType": "date" },
            DateTime::from_millis(ms).into()
        )),
        Just((doc! { "bsonType": "mixed" }, Bson::Null)),
    ]
}

fn object(fields: Vec<(String, (Pair, bool))>) -> Pair {
    let (mut properties, mut value, mut required) = (doc! {}, doc! {}, Vec::new());
    for (name, ((schema, inner), is_required)) in fields {
        if is_required {
            required.push(name.clone());
        }
        properties.insert(name.clone(), schema);
        value.insert(name, inner);
    }
    let count = value.len() as i32;
    let schema = doc! {
        "bsonType": "object", "properties": properties, "required": required,
        "additionalProperties": false, "minProperties": count, "maxProperties": count,
        "propertyNames": { "minLength": 1 },
    };
    (schema, value.into())
}

fn fields(inner: impl Strategy<Value = Pair>) -> impl Strategy<Value = Pair> {
    let field = ("[a-e]{1,2}", (inner, any::<bool>()));
    proptest::collection::vec(field, 0..4).prop_map(object)
}

fn pair() -> impl Strategy<Value = Pair> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            fields(inner.clone()),
            (inner.clone(), 1..4usize).prop_map(|((schema, value), count)| (
                doc! { "bsonType": "array", "items": schema.clone(), "minItems": count as i32,
                "maxItems": count as i32, "contains": schema },
                vec![value; count].into()
            )),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| (
                doc! { "bsonType": "array", "items": [a.0, b.0], "additionalItems": false },
                vec![a.1, b.1].into()
            )),
            inner.clone().prop_map(|(schema, value)| (
                doc! { "anyOf": [{ "bsonType": "maxKey" }, schema.clone()], "allOf": [{}, schema] },
                value
            )),
            inner.clone().prop_map(|(schema, value)| (
                doc! { "if": schema.clone(), "then": schema, "else": false },
                value
            )),
            inner.prop_map(|(schema, value)| (
                doc! { "oneOf": [schema, { "bsonType": "minKey" }] },
                value
            )),
        ]
    })
}

/// Any value.
fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        leaf().prop_map(|(_, value)| value),
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::JavaScriptCode("x".to_owned())),
        Just(Bson::Symbol("x".to_owned())),
        Just(Bson::JavaScriptCodeWithScope(
            bson::JavaScriptCodeWithScope {
                code: "x".to_owned(),
                scope: doc! {},
            }
        )),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
            document(inner).prop_map(Bson::Document),
        ]
    })
}

fn document(inner: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    let fields = proptest::collection::vec(("[a-d]", inner), 0..4);
    fields.prop_map(|fields| fields.into_iter().collect())
}

fn violations(schema: &Document, document: &Document) -> Vec<Violation> {
    let schema = Schema::parse(schema).unwrap_or_else(|e| panic!("{schema}: {e}"));
    let document = RawDocumentBuf::try_from(document).unwrap();
    schema.violations(&document, Options::default())
}

proptest! {
    #[test]
    fn what_is_made_to_a_schema_passes_it((schema, value) in fields(pair())) {
        let Bson::Document(mut document) = value else { unreachable!() };
        prop_assert_eq!(violations(&schema, &document), []);
        document.insert("zz", 1);
        let codes: Vec<&str> = violations(&schema, &document).iter().map(|one| one.code).collect();
        prop_assert_eq!(codes, ["array_max_properties", "additional_property_not_allowed"]);
        document.remove("zz");
        let wrong = document.keys().next().cloned();
        if let Some(name) = wrong {
            document.insert(name.clone(), bson::Timestamp { time: 1, increment: 1 });
            let found = violations(&schema, &document);
            let of_it = schema.get_document("properties").unwrap().get_document(&name).unwrap();
            // Of every other type there is something that it is not.
            if !of_it.to_string().contains("mixed") {
                prop_assert!(!found.is_empty(), "{schema} takes {document}");
                let place = format!("(root).{name}");
                prop_assert!(found.iter().all(|one| one.path.starts_with(&place)), "{found:?}");
            }
        }
    }

    #[test]
    fn what_is_inferred_takes_what_it_was_inferred_from(
        documents in proptest::collection::vec(document(value()), 1..5)
    ) {
        let mut seen = Observed::default();
        let documents = documents.into_iter().enumerate().map(|(id, mut document)| {
            document.insert("_id", id as i32);
            document
        });
        let documents: Vec<Document> = documents.collect();
        for document in &documents {
            seen.add(&RawDocumentBuf::try_from(document).unwrap());
        }
        // As an administrator gets it and sends it back.
        let schema = Bson::Document(seen.schema("thing")).into_relaxed_extjson();
        let schema = kit::ejson::parse_document(schema.to_string().as_bytes()).unwrap();
        prop_assert_eq!(schema.get("required"), Some(&bson!(["_id"])));
        for document in &documents {
            // Null alone is no type: such a field may be anything.
            prop_assert_eq!(violations(&schema, document), []);
        }
    }
}
