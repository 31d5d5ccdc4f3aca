//! Filters and what users may not send (rules-schemas.md §7, §11).

use bson::RawArrayBuf;
use rules::{Allowed, Decider};

use crate::{asking, decided, document, raw, relaxed, rule_set};

/// The queries and the projection in force.
fn merged(filters: &str) -> Result<(Vec<String>, Option<String>), String> {
    let (rules, request) = (rule_set(&format!("{{\"filters\": [{filters}]}}")), asking());
    let merged = decided(Decider::new(&rules, &request).filters())?;
    let queries = merged.queries.iter().map(|query| relaxed(query)).collect();
    let projection = merged.projection.map(|p| p.to_string());
    Ok((queries, projection))
}

#[test]
fn queries_take_the_request_s_values() {
    let table: &[(&str, &[&str])] = &[
        (
            r#"{"name":"f","query":{"o":"%%user.id"}}"#,
            &[r#"{"o":"0123456789abcdef01234567"}"#],
        ),
        (
            r#"{"name":"f","query":{"t":{"%in":"%%user.custom_data.teams"}}}"#,
            &[r#"{"t":{"$in":["red","blue"]}}"#],
        ),
        (
            r#"{"name":"f","query":{"o":{"%stringToOid":"%%user.id"}}}"#,
            &[r#"{"o":{"$oid":"0123456789abcdef01234567"}}"#],
        ),
        (
            r#"{"name":"f","apply_when":{"%%user.type":"server"},"query":{"o":1}}"#,
            &[],
        ),
        (r#"{"name":"f"}"#, &[]),
        (
            r#"{"name":"f","query":{"a":1}},{"name":"g","query":{"a":2}}"#,
            &[r#"{"a":1}"#, r#"{"a":2}"#],
        ),
        // 42: a value that is not there closes, wherever it stands.
        (
            r#"{"name":"f","query":{"o":"%%user.custom_data.none"}}"#,
            &[r#"{"_id":{"$in":[]}}"#],
        ),
        (
            r#"{"name":"f","query":{"$nor":[{"o":"%%user.custom_data.none"}]}}"#,
            &[r#"{"_id":{"$in":[]}}"#],
        ),
    ];
    for (filters, expected) in table {
        assert_eq!(merged(filters).unwrap().0, *expected, "{filters}");
    }
}

#[test]
fn projections_union_or_fail() {
    let (_, both) =
        merged(r#"{"name":"f","projection":{"a":0}},{"name":"g","project":{"b":0,"_id":1}}"#)
            .unwrap();
    assert_eq!(both.as_deref(), Some(r#"{ "a": 0, "b": 0, "_id": 1 }"#));
    // 35
    assert!(
        merged(r#"{"name":"f","projection":{"a":1}},{"name":"g","projection":{"b":0}}"#).is_err()
    );
}

#[test]
fn users_may_not_send_everything() {
    for (query, name) in [
        (r#"{"$where":"1"}"#, "$where"),
        (r#"{"a":{"$regex":"x"}}"#, "$regex"),
        (
            r#"{"$and":[{"a":{"$not":{"$bitsAllSet":1}}}]}"#,
            "$bitsAllSet",
        ),
        (r#"{"a":{"$elemMatch":{"$expr":1}}}"#, "$expr"),
        (
            r#"{"a":{"$regularExpression":{"pattern":"x","options":""}}}"#,
            "$regex",
        ),
    ] {
        assert_eq!(
            Allowed::NOTHING
                .check_query(&raw(query))
                .unwrap_err()
                .name(),
            name,
            "{query}"
        );
    }
    let allowed = r#"{"$nor":[{"a":{"$mod":[2,1],"$type":"int"}}],"b":{"$all":[1],"$size":2}}"#;
    assert_eq!(Allowed::NOTHING.check_query(&raw(allowed)), Ok(()));

    for (pipeline, name) in [
        (r#"[{"$lookup":{"from":"x"}}]"#, "$lookup"),
        (r#"[{"$match":{"$expr":true}}]"#, "$expr"),
        (r#"[{"$facet":{"a":[]}}]"#, "$facet"),
        (
            r#"[{"$project":{"a":{"$cond":[{"$function":{}},1,2]}}}]"#,
            "$function",
        ),
        (
            r#"[{"$group":{"_id":null,"a":{"$accumulator":{}}}}]"#,
            "$accumulator",
        ),
    ] {
        let list = document(&format!("{{\"p\":{pipeline}}}"));
        let list = RawArrayBuf::try_from(list.get_array("p").unwrap()).unwrap();
        assert_eq!(
            Allowed::NOTHING.check_pipeline(&list).unwrap_err().name(),
            name,
            "{pipeline}"
        );
    }
    let list = document(r#"{"p":[{"$match":{"a":1}},{"$group":{"_id":"$a"}},{"$sort":{"a":1}}]}"#);
    let list = RawArrayBuf::try_from(list.get_array("p").unwrap()).unwrap();
    assert_eq!(Allowed::NOTHING.check_pipeline(&list), Ok(()));
}
