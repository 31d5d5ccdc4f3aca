//! Every keyword: a schema, a document, what is wrong with it in order.

use mql::schema::{Options, Schema};

use crate::{document, raw};

fn told(schema: &str, value: &str, options: Options) -> Vec<String> {
    let schema = Schema::parse(&document(schema)).unwrap_or_else(|e| panic!("{schema}: {e}"));
    let found = schema.violations(&raw(value), options).into_iter();
    found
        .map(|one| format!("{} {} {}", one.code, one.path, one.message))
        .collect()
}

#[track_caller]
fn table(rows: &[(&str, &str, &[&str])]) {
    for (schema, value, wanted) in rows {
        let found = told(schema, value, Options::default());
        assert_eq!(&found, wanted, "{value} against {schema}");
    }
}

#[test]
fn types() {
    let values = [
        (r#"{"$numberInt":"1"}"#, "int number mixed"),
        (r#"{"$numberLong":"1"}"#, "long number mixed"),
        (r#"{"$numberDouble":"1"}"#, "double number float mixed"),
        (r#"{"$numberDecimal":"1"}"#, "decimal number mixed"),
        (r#""x""#, "string mixed"),
        ("{}", "object mixed"),
        ("[]", "array mixed"),
        (
            r#"{"$uuid":"01234567-89ab-cdef-0123-456789abcdef"}"#,
            "uuid binData mixed",
        ),
        (
            r#"{"$binary":{"base64":"AA==","subType":"00"}}"#,
            "binData mixed",
        ),
        (
            r#"{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"03"}}"#,
            "binData mixed",
        ),
        (r#"{"$oid":"0123456789abcdef01234567"}"#, "objectId mixed"),
        ("true", "bool boolean mixed"),
        (r#"{"$date":{"$numberLong":"0"}}"#, "date mixed"),
        ("null", "null mixed"),
        (
            r#"{"$regularExpression":{"pattern":"a","options":""}}"#,
            "regex mixed",
        ),
        (r#"{"$timestamp":{"t":1,"i":1}}"#, "timestamp mixed"),
        (r#"{"$code":"x"}"#, "javascript mixed"),
        (r#"{"$code":"x","$scope":{}}"#, "javascript mixed"),
        (r#"{"$symbol":"x"}"#, "symbol mixed"),
        (r#"{"$minKey":1}"#, "minKey mixed"),
        (r#"{"$maxKey":1}"#, "maxKey mixed"),
    ];
    // Each name, and the other spellings that imports have of it.
    let names = [
        ("int", "int"),
        ("long", "long"),
        ("double", "double"),
        ("float", "float"),
        ("decimal", "decimal"),
        ("number", "number"),
        ("string", "string"),
        ("object", "object"),
        ("array", "array"),
        ("uuid", "uuid"),
        ("binData", "binData"),
        ("binary", "binData"),
        ("objectId", "objectId"),
        ("bool", "bool"),
        ("boolean", "boolean"),
        ("date", "date"),
        ("null", "null"),
        ("regex", "regex"),
        ("timestamp", "timestamp"),
        ("javascript", "javascript"),
        ("function", "javascript"),
        ("symbol", "symbol"),
        ("minKey", "minKey"),
        ("maxKey", "maxKey"),
        ("mixed", "mixed"),
    ];
    for (value, answers) in values {
        for (name, answered) in names {
            for keyword in ["bsonType", "type"] {
                let schema = format!(r#"{{"properties":{{"a":{{"{keyword}":"{name}"}}}}}}"#);
                let found = told(&schema, &format!(r#"{{"a":{value}}}"#), Options::default());
                let fits = answers.split(' ').any(|answer| answer == answered);
                let expected = if keyword == "type" {
                    format!("type: {name}, bsonType: undefined")
                } else {
                    format!("type: undefined, bsonType: {name}")
                };
                let wanted = format!(
                    "invalid_type (root).a Invalid type. Expected: {expected}, given: [{answers}]"
                );
                let wanted: Vec<String> = (!fits).then_some(wanted).into_iter().collect();
                assert_eq!(found, wanted, "{value} as {name}");
            }
        }
    }
    table(&[
        (
            r#"{"properties":{"a":{"bsonType":["int","null"]}}}"#,
            r#"{"a":null}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"type":["string","null"]}}}"#,
            r#"{"a":{"$numberDouble":"1.5"}}"#,
            &[
                "invalid_type (root).a Invalid type. Expected: type: [string null], bsonType: undefined, given: [double number float mixed]",
            ],
        ),
        // With both of them, a value has to be both.
        (
            r#"{"properties":{"a":{"type":"number","bsonType":"int"}}}"#,
            r#"{"a":1}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"type":"number","bsonType":"int"}}}"#,
            r#"{"a":{"$numberLong":"1"}}"#,
            &[
                "invalid_type (root).a Invalid type. Expected: type: number, bsonType: int, given: [long number mixed]",
            ],
        ),
    ]);
}

#[test]
fn numbers() {
    table(&[
        (
            r#"{"properties":{"a":{"minimum":1,"maximum":5}}}"#,
            r#"{"a":1}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"multipleOf":2,"maximum":4,"minimum":9}}}"#,
            r#"{"a":7}"#,
            &[
                "multiple_of (root).a Must be a multiple of 2",
                "number_lte (root).a Must be less than or equal to 4",
                "number_gte (root).a Must be greater than or equal to 9",
            ],
        ),
        (
            r#"{"properties":{"a":{"minimum":1,"exclusiveMinimum":true}}}"#,
            r#"{"a":1}"#,
            &["number_gt (root).a Must be greater than 1"],
        ),
        (
            r#"{"properties":{"a":{"maximum":1,"exclusiveMaximum":true}}}"#,
            r#"{"a":{"$numberDecimal":"1"}}"#,
            &["number_lt (root).a Must be less than 1"],
        ),
        (
            r#"{"properties":{"a":{"minimum":1,"exclusiveMinimum":false}}}"#,
            r#"{"a":1}"#,
            &[],
        ),
        // Numbers are limits of their own, in either order.
        (
            r#"{"properties":{"a":{"minimum":5,"exclusiveMinimum":1}}}"#,
            r#"{"a":2}"#,
            &["number_gte (root).a Must be greater than or equal to 5"],
        ),
        (
            r#"{"properties":{"a":{"exclusiveMinimum":5,"minimum":1}}}"#,
            r#"{"a":5}"#,
            &["number_gt (root).a Must be greater than 5"],
        ),
        (
            r#"{"properties":{"a":{"exclusiveMaximum":5,"maximum":9}}}"#,
            r#"{"a":{"$numberLong":"5"}}"#,
            &["number_lt (root).a Must be less than 5"],
        ),
        (
            r#"{"properties":{"a":{"maximum":1}}}"#,
            r#"{"a":{"$numberDouble":"NaN"}}"#,
            &["number_lte (root).a Must be less than or equal to 1"],
        ),
        (r#"{"properties":{"a":{"minimum":1}}}"#, r#"{"a":"x"}"#, &[]),
    ]);
}

#[test]
fn texts_constants_and_formats() {
    table(&[
        (
            r#"{"properties":{"a":{"minLength":3,"maxLength":1,"pattern":"^x","const":"y","enum":["z",1,{"b":2}],"format":"date"}}}"#,
            r#"{"a":"ää"}"#,
            &[
                "const (root).a a does not match: \"y\"",
                "enum (root).a a must be one of the following: \"z\", 1, {\"b\":2}",
                "format (root).a Does not match format 'date'",
                "string_gte (root).a String length must be greater than or equal to 3",
                "string_lte (root).a String length must be less than or equal to 1",
                "pattern (root).a Does not match pattern '^x'",
            ],
        ),
        (
            r#"{"properties":{"a":{"const":{"x":1,"y":[2]}}}}"#,
            r#"{"a":{"y":[{"$numberLong":"2"}],"x":1}}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"const":null}}}"#,
            r#"{"a":0}"#,
            &["const (root).a a does not match: null"],
        ),
        (
            r#"{"properties":{"a":{"enum":["a",null]}}}"#,
            r#"{"a":null}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"const":1,"enum":[1,2]}}}"#,
            r#"{"a":1}"#,
            &[],
        ),
        // Formats are of texts; what nobody knows passes.
        (
            r#"{"properties":{"a":{"format":"date"}}}"#,
            r#"{"a":5}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"format":"colour"}}}"#,
            r#"{"a":"x"}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"format":"email"}}}"#,
            r#"{"a":"a@b.c"}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"format":"ipv4"},"b":{"format":"uri"}}}"#,
            r#"{"b":"x","a":"::1"}"#,
            &[
                "format (root).a Does not match format 'ipv4'",
                "format (root).b Does not match format 'uri'",
            ],
        ),
    ]);
}

#[test]
fn objects() {
    table(&[
        (
            r#"{"required":["b","a"],"minProperties":3,"maxProperties":0,"additionalProperties":false,"properties":{"z":{"bsonType":"int"}},"patternProperties":{"^p":{"bsonType":"int"}}}"#,
            r#"{"z":"x","q":1,"p1":"x"}"#,
            &[
                "array_max_properties (root) Must have at most 0 properties",
                "required (root) b is required",
                "required (root) a is required",
                "additional_property_not_allowed (root) Additional property q is not allowed",
                "invalid_type (root).p1 Invalid type. Expected: type: undefined, bsonType: int, given: [string mixed]",
                "invalid_type (root).z Invalid type. Expected: type: undefined, bsonType: int, given: [string mixed]",
            ],
        ),
        (
            r#"{"minProperties":2}"#,
            r#"{"a":1}"#,
            &["array_min_properties (root) Must have at least 2 properties"],
        ),
        // `_id` is a property like every other.
        (
            r#"{"additionalProperties":false,"properties":{"a":{}}}"#,
            r#"{"_id":1,"a":1}"#,
            &["additional_property_not_allowed (root) Additional property _id is not allowed"],
        ),
        // A dictionary.
        (
            r#"{"properties":{"d":{"bsonType":"object","additionalProperties":{"bsonType":"string"}}}}"#,
            r#"{"d":{"a":"x","b":1}}"#,
            &[
                "invalid_type (root).d.b Invalid type. Expected: type: undefined, bsonType: string, given: [int number mixed]",
            ],
        ),
        (
            r#"{"propertyNames":{"maxLength":2,"pattern":"^[a-z]*$"}}"#,
            r#"{"ab":1,"AB":1,"abc":1}"#,
            &[
                "invalid_property_name (root) Property name of \"AB\" does not match",
                "pattern (root) Does not match pattern '^[a-z]*$'",
                "invalid_property_name (root) Property name of \"abc\" does not match",
                "string_lte (root) String length must be less than or equal to 2",
            ],
        ),
        (
            r#"{"dependencies":{"a":["b","c"],"x":{"required":["y"]}}}"#,
            r#"{"a":1,"c":1,"x":1}"#,
            &[
                "missing_dependency (root) Has a dependency on b",
                "required (root) y is required",
            ],
        ),
        // Schemas that are true or false.
        (
            r#"{"properties":{"a":true,"b":false}}"#,
            r#"{"a":1,"b":null}"#,
            &["false (root).b False always fails validation"],
        ),
        (r#"{"properties":{"a":true,"b":false}}"#, r#"{"a":1}"#, &[]),
    ]);
}

#[test]
fn arrays() {
    table(&[
        (
            r#"{"properties":{"a":{"items":{"bsonType":"int"},"minItems":4,"maxItems":2,"uniqueItems":true,"contains":{"const":9}}}}"#,
            r#"{"a":[1,"x",1]}"#,
            &[
                "invalid_type (root).a.1 Invalid type. Expected: type: undefined, bsonType: int, given: [string mixed]",
                "array_min_items (root).a Array must have at least 4 items",
                "array_max_items (root).a Array must have at most 2 items",
                "unique (root).a array items[0,2] must be unique",
                "contains (root).a At least one of the items must match",
                "const (root).a.0 a.0 does not match: 9",
            ],
        ),
        (
            r#"{"properties":{"a":{"contains":{"bsonType":"string"}}}}"#,
            r#"{"a":[1,"x"]}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"contains":{}}}}"#,
            r#"{"a":[]}"#,
            &["contains (root).a At least one of the items must match"],
        ),
        // The error of a list that is too long is told once.
        (
            r#"{"properties":{"a":{"items":[{"bsonType":"int"}],"additionalItems":false}}}"#,
            r#"{"a":["x",2,3]}"#,
            &[
                "invalid_type (root).a.0 Invalid type. Expected: type: undefined, bsonType: int, given: [string mixed]",
                "array_no_additional_items (root).a No additional items allowed on array",
            ],
        ),
        (
            r#"{"properties":{"a":{"items":[{}],"additionalItems":{"bsonType":"int"}}}}"#,
            r#"{"a":["x","y"]}"#,
            &[
                "invalid_type (root).a.1 Invalid type. Expected: type: undefined, bsonType: int, given: [string mixed]",
            ],
        ),
        // It is nothing without a tuple.
        (
            r#"{"properties":{"a":{"items":{},"additionalItems":false}}}"#,
            r#"{"a":[1,2]}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"uniqueItems":true}}}"#,
            r#"{"a":[{"x":1,"y":2},{"y":2}]}"#,
            &[],
        ),
        (
            r#"{"properties":{"a":{"uniqueItems":true}}}"#,
            r#"{"a":[{"x":1,"y":2},{"y":2,"x":1}]}"#,
            &["unique (root).a array items[0,1] must be unique"],
        ),
    ]);
}

#[test]
fn combinations_and_conditions() {
    let if_schema = r#"{"if":{"properties":{"k":{"const":"p"}},"required":["k"]},"then":{"required":["n"]},"else":{"maxProperties":1}}"#;
    table(&[
        (
            r#"{"properties":{"a":{"anyOf":[{"bsonType":"string"},{"bsonType":"int","minimum":5}]}}}"#,
            r#"{"a":3}"#,
            // The nearer of the two is told.
            &[
                "number_any_of (root).a Must validate at least one schema (anyOf)",
                "number_gte (root).a Must be greater than or equal to 5",
            ],
        ),
        (
            r#"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#,
            r#"{"a":1,"b":1}"#,
            &["number_one_of (root) Must validate one and only one schema (oneOf)"],
        ),
        (
            r#"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#,
            r#"{"c":1}"#,
            &[
                "number_one_of (root) Must validate one and only one schema (oneOf)",
                "required (root) a is required",
            ],
        ),
        (
            r#"{"allOf":[{"required":["a"]},{"required":["b"]}],"not":{"required":["c"]}}"#,
            r#"{"a":1,"c":1}"#,
            &[
                "number_all_of (root) Must validate all the schemas (allOf)",
                "number_not (root) Must not validate the schema (not)",
            ],
        ),
        (
            if_schema,
            r#"{"k":"p","x":1}"#,
            &[
                "condition_then (root) Must validate \"then\" as \"if\" was valid",
                "required (root) n is required",
            ],
        ),
        (if_schema, r#"{"k":"p","n":1}"#, &[]),
        (
            if_schema,
            r#"{"k":"q","x":1}"#,
            &[
                "condition_else (root) Must validate \"else\" as \"if\" was not valid",
                "array_max_properties (root) Must have at most 1 properties",
            ],
        ),
        (if_schema, r#"{"k":"q"}"#, &[]),
        (r#"{"if":{"required":["a"]}}"#, r#"{"a":1}"#, &[]),
        (r#"{"then":{"required":["a"]},"else":false}"#, "{}", &[]),
        (
            r#"{"if":true,"then":false}"#,
            "{}",
            &[
                "condition_then (root) Must validate \"then\" as \"if\" was valid",
                "false (root) False always fails validation",
            ],
        ),
    ]);
}

#[test]
fn null() {
    let excused = Options {
        null_for_optional: true,
    };
    for (schema, value, strict, lax) in [
        (
            r#"{"properties":{"a":{"bsonType":"string"}}}"#,
            r#"{"a":null}"#,
            1,
            0,
        ),
        (
            r#"{"required":["a"],"properties":{"a":{"bsonType":"string"}}}"#,
            r#"{"a":null}"#,
            1,
            1,
        ),
        (
            r#"{"required":["a"],"properties":{"a":{"bsonType":"mixed"}}}"#,
            r#"{"a":null}"#,
            0,
            0,
        ),
        (
            r#"{"required":["a"],"properties":{"a":{"bsonType":["string","null"]}}}"#,
            r#"{"a":null}"#,
            0,
            0,
        ),
        (
            r#"{"required":["a"],"properties":{"a":{"enum":["x"]}}}"#,
            r#"{"a":null}"#,
            1,
            1,
        ),
        (
            r#"{"properties":{"a":{"enum":["x"]}}}"#,
            r#"{"a":null}"#,
            1,
            0,
        ),
        // Fields inside, of dictionaries and by pattern.
        (
            r#"{"properties":{"d":{"properties":{"a":{"bsonType":"int"}}}}}"#,
            r#"{"d":{"a":null}}"#,
            1,
            0,
        ),
        (
            r#"{"properties":{"d":{"required":["a"],"properties":{"a":{"bsonType":"int"}}}}}"#,
            r#"{"d":{"a":null}}"#,
            1,
            1,
        ),
        (
            r#"{"properties":{"d":{"bsonType":"object","required":["a"]}}}"#,
            r#"{"d":null}"#,
            1,
            0,
        ),
        (
            r#"{"additionalProperties":{"bsonType":"int"}}"#,
            r#"{"a":null}"#,
            1,
            0,
        ),
        (
            r#"{"required":["a"],"additionalProperties":{"bsonType":"int"}}"#,
            r#"{"a":null}"#,
            1,
            1,
        ),
        (
            r#"{"patternProperties":{"a":{"bsonType":"int"}}}"#,
            r#"{"a":null}"#,
            1,
            0,
        ),
        (
            r#"{"properties":{"l":{"items":{"properties":{"a":{"bsonType":"int"}}}}}}"#,
            r#"{"l":[{"a":null}]}"#,
            1,
            0,
        ),
        // An element is no field.
        (
            r#"{"properties":{"l":{"items":{"bsonType":"int"}}}}"#,
            r#"{"l":[null]}"#,
            1,
            1,
        ),
        (
            r#"{"properties":{"l":{"items":{"bsonType":["int","null"]}}}}"#,
            r#"{"l":[null]}"#,
            0,
            0,
        ),
        // What is required beside it is required.
        (
            r#"{"required":["a"],"allOf":[{"properties":{"a":{"bsonType":"int"}}}]}"#,
            r#"{"a":null}"#,
            1,
            1,
        ),
        (
            r#"{"allOf":[{"required":["a"]}],"properties":{"a":{"bsonType":"int"}}}"#,
            r#"{"a":null}"#,
            1,
            1,
        ),
        (r#"{"properties":{"a":false}}"#, r#"{"a":null}"#, 1, 1),
    ] {
        let found = told(schema, value, Options::default());
        assert_eq!(found.len(), strict, "{value} against {schema}: {found:?}");
        let found = told(schema, value, excused);
        assert_eq!(
            found.len(),
            lax,
            "{value} against {schema}, excused: {found:?}"
        );
    }
}

#[test]
fn hostile_documents_are_told_of_within_bounds() {
    let many: bson::RawArrayBuf = (0..100_000).collect();
    let wrong = bson::rawdoc! { "a": many };
    let schema = bson::doc! { "properties": { "a": { "items": { "bsonType": "string" } } } };
    let schema = Schema::parse(&schema).unwrap();
    let found = schema.violations(&wrong, Options::default());
    assert_eq!(found.len(), mql::schema::VIOLATIONS_MAX);

    let name = "x".repeat(1_000_000);
    let long = raw(&format!(r#"{{"{name}":{{"{name}":1}}}}"#));
    let schema = document(
        r#"{"additionalProperties":{"additionalProperties":{"bsonType":"string"},"properties":{}},"propertyNames":{"maxLength":1}}"#,
    );
    for one in Schema::parse(&schema)
        .unwrap()
        .violations(&long, Options::default())
    {
        assert!(one.path.len() + one.message.len() < 1000, "{one:?}");
    }

    // A pattern that cannot be decided is neither right nor wrong, wherever it is.
    let text = "a".repeat(40);
    for schema in [
        r#"{"properties":{"a":{"pattern":"^(?:a|(?=a)a)+c"}}}"#,
        r#"{"properties":{"a":{"not":{"pattern":"^(?:a|(?=a)a)+c"}}}}"#,
        r#"{"properties":{"a":{"anyOf":[{"pattern":"^(?:a|(?=a)a)+c"},{}]}}}"#,
        r#"{"properties":{"a":{"if":{"pattern":"^(?:a|(?=a)a)+c"}}}}"#,
    ] {
        let found = told(schema, &format!(r#"{{"a":"{text}"}}"#), Options::default());
        assert_eq!(found.len(), 1, "{schema}: {found:?}");
        assert!(found[0].starts_with("internal (root).a "), "{found:?}");
    }
}

#[test]
fn the_deepest_schema_and_document_need_little_stack() {
    let check = || {
        // As deep as schemas may be, each level with what takes most.
        let part = |inner: bson::Document| bson::doc! { "a": inner };
        let schema = (0..50).fold(bson::doc! { "bsonType": "int" }, |inner, level| {
            let inner = bson::doc! { "properties": part(inner) };
            match level % 4 {
                0 => bson::doc! { "anyOf": [inner] },
                1 => bson::doc! { "if": {}, "then": inner },
                2 => bson::doc! { "dependencies": part(inner) },
                _ => bson::doc! { "allOf": [inner] },
            }
        });
        let value = (0..50).fold(bson::Bson::from("x"), |inner, _| {
            bson::Bson::Document(bson::doc! { "a": inner })
        });
        let bson::Bson::Document(value) = value else {
            panic!("{value}");
        };
        let value = bson::RawDocumentBuf::try_from(&value).unwrap();
        let schema = Schema::parse(&schema).unwrap();
        assert!(!schema.violations(&value, Options::default()).is_empty());
    };
    // Less than half of what a thread of the server has.
    let thread = std::thread::Builder::new().stack_size(768 * 1024);
    let thread = thread.spawn(check);
    thread.unwrap().join().unwrap();
}
