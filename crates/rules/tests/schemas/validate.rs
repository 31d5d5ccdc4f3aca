//! `validate` at every node: what it sees, what its answer counts for.

use super::breaches;

const SET_ONCE: &str = r#"{"%or":[{"%%prev":{"%exists":false}},{"%%this":"%%prev"}]}"#;

/// A schema with an expression in it for each `@`.
fn schema(text: &str, expression: &str) -> String {
    text.replace('@', &format!(r#""validate":{expression}"#))
}

#[test]
fn an_expression_sees_its_value_and_the_one_before() {
    // Schema, before, after, where it is false.
    for (text, before, after, wrong) in [
        ("{@}", r#"{"a":1}"#, r#"{"a":1}"#, &[] as &[(&str, &str)]),
        ("{@}", r#"{"a":1}"#, r#"{"a":2}"#, &[("false", "(root)")]),
        (
            r#"{"properties":{"a":{@}}}"#,
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            &[("false", "(root).a")],
        ),
        (
            r#"{"properties":{"a":{@}}}"#,
            r#"{"a":1}"#,
            r#"{"b":1}"#,
            &[("false", "(root).a")],
        ),
        (
            r#"{"properties":{"a":{@}}}"#,
            r#"{"b":1}"#,
            r#"{"a":1}"#,
            &[],
        ),
        // Nested: the field, then what it is in.
        (
            r#"{"properties":{"d":{"properties":{"a":{@}}}}}"#,
            r#"{"d":{"a":1}}"#,
            r#"{"d":{"a":1,"b":2}}"#,
            &[],
        ),
        (
            r#"{"properties":{"d":{"properties":{"a":{@}}}}}"#,
            r#"{"d":{"a":1}}"#,
            r#"{"d":{}}"#,
            &[("false", "(root).d.a")],
        ),
        (
            r#"{"properties":{"d":{"properties":{"a":{@}}}}}"#,
            r#"{"d":{"a":1}}"#,
            "{}",
            &[("false", "(root).d.a")],
        ),
        (
            r#"{"properties":{"d":{"properties":{"a":{@}}}}}"#,
            r#"{"d":{"a":1}}"#,
            r#"{"d":5}"#,
            &[("false", "(root).d.a")],
        ),
        (
            r#"{"properties":{"d":{"bsonType":"object","properties":{"a":{@}}}}}"#,
            r#"{"d":{"a":1}}"#,
            r#"{"d":5}"#,
            &[("invalid_type", "(root).d"), ("false", "(root).d.a")],
        ),
        (
            r#"{"properties":{"d":{"properties":{"a":{@}}}}}"#,
            r#"{"d":{}}"#,
            "{}",
            &[],
        ),
        // Items.
        (
            r#"{"properties":{"l":{"items":{@}}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[1,3,4]}"#,
            &[("false", "(root).l.1")],
        ),
        (
            r#"{"properties":{"l":{"items":{"properties":{"a":{@}}}}}}"#,
            r#"{"l":[{"a":1}]}"#,
            r#"{"l":[{}]}"#,
            &[("false", "(root).l.0.a")],
        ),
        (
            r#"{"properties":{"l":{"items":[{},{@}]}}}"#,
            r#"{"l":[1,2,3]}"#,
            r#"{"l":[0,2,0]}"#,
            &[],
        ),
        (
            r#"{"properties":{"l":{"items":[{},{@}]}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[1,3]}"#,
            &[("false", "(root).l.1")],
        ),
        (
            r#"{"properties":{"l":{"items":[{},{@}]}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[1]}"#,
            &[("false", "(root).l.1")],
        ),
        (
            r#"{"properties":{"l":{"items":[{}],"additionalItems":{@}}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[5,1]}"#,
            &[("false", "(root).l.1")],
        ),
        (
            r#"{"properties":{"l":{"contains":{@}}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[0,2]}"#,
            &[],
        ),
        (
            r#"{"properties":{"l":{"contains":{@}}}}"#,
            r#"{"l":[1,2]}"#,
            r#"{"l":[0,0]}"#,
            &[("contains", "(root).l"), ("false", "(root).l.0")],
        ),
        // Names that are not listed.
        (
            r#"{"patternProperties":{"^x":{@}}}"#,
            r#"{"x1":1,"y":1}"#,
            r#"{"x1":2,"y":2}"#,
            &[("false", "(root).x1")],
        ),
        (
            r#"{"patternProperties":{"^x":{@}}}"#,
            r#"{"x1":1,"y":1}"#,
            "{}",
            &[("false", "(root).x1")],
        ),
        (
            r#"{"properties":{"y":{}},"additionalProperties":{@}}"#,
            r#"{"x":1,"y":1}"#,
            r#"{"x":2,"y":2}"#,
            &[("false", "(root).x")],
        ),
        (
            r#"{"properties":{"y":{}},"additionalProperties":{@}}"#,
            r#"{"x":1,"y":1}"#,
            "{}",
            &[("false", "(root).x")],
        ),
        (
            r#"{"properties":{"d":{"additionalProperties":{@}}}}"#,
            r#"{"d":{"x":1}}"#,
            "{}",
            &[("false", "(root).d.x")],
        ),
        (
            r#"{"dependencies":{"a":{"properties":{"b":{@}}}}}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"a":1,"b":2}"#,
            &[("false", "(root).b")],
        ),
    ] {
        let schema = schema(text, SET_ONCE);
        let found = breaches(&schema, Some(before), after);
        let found: Vec<_> = found
            .iter()
            .map(|(code, at)| (*code, at.as_str()))
            .collect();
        assert_eq!(found, wrong, "{before} to {after} under {text}");
    }
}

#[test]
fn its_answer_counts_as_that_of_the_schema_it_stands_in() {
    for (text, expression, before, after, wrong) in [
        (
            r#"{"allOf":[{@},{}]}"#,
            "false",
            "{}",
            "{}",
            &["number_all_of"] as &[&str],
        ),
        (
            r#"{"anyOf":[{@},{"required":["a"]}]}"#,
            "false",
            "{}",
            r#"{"a":1}"#,
            &[],
        ),
        (
            r#"{"anyOf":[{@},{"required":["a"]}]}"#,
            "true",
            "{}",
            "{}",
            &[],
        ),
        (
            r#"{"anyOf":[{@},{"required":["a"]}]}"#,
            "false",
            "{}",
            "{}",
            &["number_any_of", "false"],
        ),
        (
            r#"{"oneOf":[{@},{"required":["a"]}]}"#,
            "true",
            "{}",
            r#"{"a":1}"#,
            &["number_one_of"],
        ),
        (
            r#"{"oneOf":[{@},{"required":["a"]}]}"#,
            "false",
            "{}",
            r#"{"a":1}"#,
            &[],
        ),
        (r#"{"not":{@}}"#, "true", "{}", "{}", &["number_not"]),
        (r#"{"not":{@}}"#, "false", "{}", "{}", &[]),
        (
            r#"{"if":{"required":["a"]},"then":{@}}"#,
            "false",
            "{}",
            "{}",
            &[],
        ),
        (
            r#"{"if":{"required":["a"]},"then":{@}}"#,
            "false",
            "{}",
            r#"{"a":1}"#,
            &["condition_then", "false"],
        ),
        (
            r#"{"if":{"required":["a"]},"else":{@}}"#,
            "false",
            "{}",
            "{}",
            &["condition_else", "false"],
        ),
        (
            r#"{"if":{@},"then":{"required":["a"]}}"#,
            "true",
            "{}",
            "{}",
            &["condition_then", "required"],
        ),
        (
            r#"{"if":{@},"then":{"required":["a"]}}"#,
            "false",
            "{}",
            "{}",
            &[],
        ),
        (
            r#"{"propertyNames":{@}}"#,
            r#"{"%%this":{"%in":["a"]}}"#,
            "{}",
            r#"{"a":1}"#,
            &[],
        ),
        (
            r#"{"propertyNames":{@}}"#,
            r#"{"%%this":{"%in":["a"]}}"#,
            "{}",
            r#"{"b":1}"#,
            &["invalid_property_name", "false"],
        ),
        // Of a field that is gone, inside of what is about it.
        (
            r#"{"properties":{"a":{"allOf":[{@}]}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &["number_all_of"],
        ),
        (
            r#"{"properties":{"a":{"anyOf":[{@},{"bsonType":"int"}]}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &[],
        ),
        (
            r#"{"properties":{"a":{"anyOf":[{@},{@}]}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &["number_any_of"],
        ),
        (
            r#"{"properties":{"a":{"oneOf":[{@}]}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &["number_one_of"],
        ),
        (
            r#"{"properties":{"a":{"not":{@}}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &[],
        ),
        (
            r#"{"properties":{"a":{"not":{"bsonType":"string",@}}}}"#,
            "true",
            r#"{"a":1}"#,
            "{}",
            &[],
        ),
        (
            r#"{"properties":{"a":{"if":{@},"else":{@}}}}"#,
            SET_ONCE,
            r#"{"a":1}"#,
            "{}",
            &["condition_else", "false"],
        ),
        (
            r#"{"properties":{"a":{"bsonType":"int","required":["x"],@}}}"#,
            "true",
            "{}",
            "{}",
            &[],
        ),
    ] {
        let found = breaches(&schema(text, expression), Some(before), after);
        let codes: Vec<&str> = found.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, wrong, "{before} to {after} under {text}: {found:?}");
    }
}

#[test]
fn null_is_not_excused_from_expressions() {
    let schema = crate::document(&schema(
        r#"{"properties":{"a":{"bsonType":"int",@}}}"#,
        SET_ONCE,
    ));
    let schema = rules::CollectionSchema::parse(&schema).unwrap().unwrap();
    let (request, answers) = (crate::asking(), rules::Answers::default());
    let (before, after) = (crate::raw(r#"{"a":1}"#), crate::raw(r#"{"a":null}"#));
    let scope = rules::Scope::request(&request, &answers).images(Some(&after), Some(&before));
    let options = mql::schema::Options {
        null_for_optional: true,
    };
    let found = crate::decided(schema.breaches(&after, &scope, options));
    let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["false"]);
}

#[test]
fn functions_are_asked_for_one_after_another() {
    let text = r#"{"properties":{"a":{@},"b":{"allOf":[{@}]}}}"#;
    let call = r#"{"%%true":{"%function":{"name":"f","arguments":["%%this"]}}}"#;
    let schema = crate::document(&schema(text, call));
    let schema = rules::CollectionSchema::parse(&schema).unwrap().unwrap();
    assert_eq!(schema.functions().collect::<Vec<_>>(), ["f", "f"]);
    let (request, mut answers) = (crate::asking(), rules::Answers::default());
    let after = crate::raw(r#"{"a":1,"b":2}"#);
    let mut asked = Vec::new();
    let found = loop {
        let scope = rules::Scope::request(&request, &answers).images(Some(&after), None);
        match schema.breaches(&after, &scope, mql::schema::Options::default()) {
            Ok(found) => break found,
            Err(needed) => {
                let first = needed.arguments.get_i32(0).unwrap();
                asked.push(first);
                answers.insert(*needed, Some((first == 1).into()));
            }
        }
    };
    assert_eq!(asked, [1, 2]);
    let codes: Vec<&str> = found.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["number_all_of"]);
}
