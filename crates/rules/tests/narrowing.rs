//! The law of push-down: the query shows every document that the roles show,
//! and when it claims to be exact, it shows those as a whole and no other.

use bson::{Bson, Document, RawDocumentBuf, doc};
use mql::Matcher;
use proptest::prelude::*;
use rules::{Change, Decider, Readable, RuleSet, Write};

use crate::{asking, decided, raw, relaxed, rule_set};

/// The query and whether it is exact.
fn narrowed(roles: &str) -> (Option<String>, bool) {
    let (rules, request) = (rule_set(&format!("{{\"roles\":[{roles}]}}")), asking());
    let narrowed = Decider::new(&rules, &request).narrowed();
    (narrowed.query.map(|query| relaxed(&query)), narrowed.exact)
}

#[test]
fn what_is_pushed() {
    let id = "0123456789abcdef01234567";
    let own = format!(r#"{{"o":{{"$eq":"{id}"}}}}"#);
    let members = own.replace("\"o\"", "\"members\"");
    let below = format!(
        r#"{{"$and":[{{"d.o":{{"$eq":"{id}"}}}},{{"$or":[{{"d":{{"$not":{{"$type":"array"}}}}}},{{"d":{{"$elemMatch":{{"o":{{"$eq":"{id}","$not":{{"$type":"array"}}}}}}}}}}]}}]}}"#
    );
    let table: &[(&str, Option<&str>, bool)] = &[
        (r#"{"name":"x","apply_when":{},"read":true}"#, None, true),
        (
            r#"{"name":"x","apply_when":{},"read":false}"#,
            Some(r#"{"_id":{"$in":[]}}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"o":"%%user.id"},"read":true,"write":true}"#,
            Some(&own),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"%%user.id":"%%root.o"},"read":true}"#,
            Some(&own),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"d.o":"%%user.id"},"read":true}"#,
            Some(&below),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{},"read":{"o":"%%user.id"}}"#,
            Some(&own),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"o":"%%user.id"},"fields":{"a":{"read":true}}}"#,
            Some(&own),
            false,
        ),
        (
            r#"{"name":"x","apply_when":{"%%user.type":"server"},"read":true},{"name":"y","apply_when":{"o":"%%user.id"},"read":true}"#,
            Some(&own),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"a":1},"read":false},{"name":"y","apply_when":{},"read":true}"#,
            Some(r#"{"$nor":[{"a":{"$eq":1}}]}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"%%true":{"%function":{"name":"f"}}},"read":true}"#,
            None,
            false,
        ),
        (
            r#"{"name":"x","apply_when":{"o":"%%user.custom_data.none"},"read":true}"#,
            Some(r#"{"_id":{"$in":[]}}"#),
            true,
        ),
        // A user's list: an index of the field serves.
        (
            r#"{"name":"x","apply_when":{"t":"%%user.custom_data.teams"},"read":true}"#,
            Some(
                r#"{"$and":[{"t":{"$in":["red","blue",["red","blue"]]}},{"$or":[{"$nor":[{"t":{"$type":"array"}}]},{"t":{"$eq":["red","blue"]}}]}]}"#,
            ),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"t":{"%in":["green","%%user.custom_data.level"]}},"read":true}"#,
            Some(r#"{"t":{"$in":["green",3]}}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"%%user.id":{"%in":"%%root.members"}},"read":true}"#,
            Some(&members),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"%%user.id":{"%oidToString":"%%root._id"}},"read":true}"#,
            Some(
                r#"{"$and":[{"_id":{"$in":[{"$oid":"0123456789abcdef01234567"}]}},{"$nor":[{"_id":{"$type":"array"}}]}]}"#,
            ),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"%%user.custom_data.level":{"%gte":"%%root.n"}},"read":true}"#,
            Some(r#"{"$and":[{"n":{"$lte":3}},{"$nor":[{"n":{"$type":"array"}}]}]}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"gone":null},"read":true}"#,
            Some(r#"{"$or":[{"gone":{"$eq":null}},{"gone":{"$type":6}}]}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{"a.gone":null},"read":true}"#,
            None,
            false,
        ),
        (
            r#"{"name":"x","apply_when":{"t":{"%all":["red","blue"]}},"read":true}"#,
            Some(r#"{"$and":[{"t":{"$eq":"red"}},{"t":{"$eq":"blue"}}]}"#),
            true,
        ),
        (
            r#"{"name":"x","apply_when":{},"document_filters":{"read":{"o":"%%user.id"},"write":false},"read":true}"#,
            Some(&own),
            true,
        ),
    ];
    for (roles, query, exact) in table {
        assert_eq!(
            narrowed(roles),
            (query.map(str::to_owned), *exact),
            "{roles}"
        );
    }
}

fn value() -> impl Strategy<Value = Bson> {
    let scalar = prop_oneof![
        Just(Bson::Null),
        (0..3i32).prop_map(Bson::Int32),
        (0..3i64).prop_map(Bson::Int64),
        prop_oneof![Just(0.0), Just(1.0), Just(f64::NAN)].prop_map(Bson::Double),
        prop_oneof![Just("red"), Just("blue"), Just("")].prop_map(|s| Bson::String(s.to_owned())),
        any::<bool>().prop_map(Bson::Boolean),
    ];
    scalar.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Bson::Array),
            (name(), inner).prop_map(|(name, value)| Bson::Document(doc! { name: value })),
        ]
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c")]
}

fn document() -> impl Strategy<Value = Document> {
    prop::collection::vec((name(), value()), 0..4).prop_map(|fields| {
        let mut document = doc! { "_id": 1 };
        for (name, value) in fields {
            document.insert(name, value);
        }
        document
    })
}

fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => name(),
        1 => Just("a.b"),
        1 => Just("%%root.a"),
        1 => Just("%%prevRoot.b"),
        1 => Just("%%user.custom_data.level"),
        1 => Just("%%user.custom_data.teams"),
        1 => Just("%%user.custom_data.none"),
        1 => Just("%%true"),
    ]
}

fn operand() -> impl Strategy<Value = Bson> {
    prop_oneof![
        3 => value(),
        1 => prop_oneof![
            Just("%%user.custom_data.level"),
            Just("%%user.custom_data.teams"),
            Just("%%user.custom_data.nothing"),
            Just("%%user.custom_data.none"),
            Just("%%root.a"),
            Just("%%true"),
        ]
        .prop_map(|s| Bson::String(s.to_owned())),
    ]
}

fn test() -> impl Strategy<Value = Bson> {
    let one = prop_oneof![
        operand(),
        (
            prop_oneof![
                Just("%eq"),
                Just("%ne"),
                Just("%gt"),
                Just("$gte"),
                Just("%lt"),
                Just("%lte"),
                Just("%in"),
                Just("%nin"),
                Just("%all")
            ],
            operand()
        )
            .prop_map(|(operator, value)| Bson::Document(doc! { operator: value })),
        (
            prop_oneof![Just("%in"), Just("%nin")],
            prop::collection::vec(operand(), 0..3)
        )
            .prop_map(|(operator, list)| Bson::Document(doc! { operator: list })),
        any::<bool>().prop_map(|wanted| Bson::Document(doc! { "%exists": wanted })),
    ];
    one.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|test| match test {
                Bson::Document(_) => Bson::Document(doc! { "%not": test }),
                other => other,
            }),
            (
                prop_oneof![Just("%or"), Just("%and")],
                prop::collection::vec(inner, 1..3)
            )
                .prop_map(|(operator, list)| Bson::Document(doc! { operator: list })),
        ]
    })
}

fn expression() -> impl Strategy<Value = Bson> {
    let one = prop_oneof![
        1 => any::<bool>().prop_map(Bson::Boolean),
        5 => prop::collection::vec((key(), test()), 1..3).prop_map(|tests| {
            let mut expression = Document::new();
            for (key, test) in tests {
                expression.insert(key, test);
            }
            Bson::Document(expression)
        }),
    ];
    one.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|e| Bson::Document(doc! { "%not": e })),
            (
                prop_oneof![Just("%or"), Just("%and"), Just("%nor")],
                prop::collection::vec(inner, 1..3)
            )
                .prop_map(|(operator, list)| Bson::Document(doc! { operator: list })),
        ]
    })
}

fn role() -> impl Strategy<Value = Document> {
    let permission = || prop::option::weighted(0.6, expression());
    (
        expression(),
        permission(),
        permission(),
        prop::option::weighted(0.3, (permission(), permission())),
        prop::option::weighted(0.2, name()),
    )
        .prop_map(|(apply_when, read, write, gate, field)| {
            let mut role = doc! { "name": "r", "apply_when": apply_when };
            let put = |role: &mut Document, key: &str, value: Option<Bson>| {
                if let Some(value) = value {
                    role.insert(key, value);
                }
            };
            put(&mut role, "read", read);
            put(&mut role, "write", write);
            if let Some((read, write)) = gate {
                let mut filters = Document::new();
                put(&mut filters, "read", read);
                put(&mut filters, "write", write);
                role.insert("document_filters", filters);
            }
            if let Some(field) = field {
                role.insert("fields", doc! { field: { "read": true } });
            }
            role
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// What the query of writes matches may be written, whatever becomes of it.
    #[test]
    fn what_is_told_to_be_writable_is(
        roles in prop::collection::vec(role(), 1..4),
        documents in prop::collection::vec(document(), 2..8),
    ) {
        let mut roles = roles;
        for (index, role) in roles.iter_mut().enumerate() {
            role.insert("name", format!("r{index}"));
        }
        let Ok(rules) = RuleSet::parse(&doc! { "roles": roles.clone() }) else {
            return Ok(());
        };
        let request = asking();
        let mut decider = Decider::new(&rules, &request);
        let documents: Vec<RawDocumentBuf> = documents
            .iter()
            .map(|document| RawDocumentBuf::try_from(document).unwrap())
            .collect();
        for change in [Change::Update, Change::Delete] {
            let Some(writable) = decider.writable(change) else {
                continue;
            };
            let matcher = Matcher::parse(&writable.query).unwrap();
            for pair in documents.windows(2) {
                if !matcher.matches(&pair[0]).unwrap() {
                    continue;
                }
                let say = || format!("{roles:?} on {} with {writable:?}", relaxed(&pair[0]));
                prop_assert_eq!(decided(decider.read(&pair[0])), Readable::Whole, "{}", say());
                let write = match change {
                    Change::Update => Write::Update(&pair[0], &pair[1]),
                    Change::Delete => Write::Delete(&pair[0]),
                };
                prop_assert_eq!(decided(decider.write(write)), Ok(()), "{}", say());
            }
        }
    }

    #[test]
    fn pushing_down_changes_no_answer(
        roles in prop::collection::vec(role(), 1..4),
        documents in prop::collection::vec(document(), 1..8),
    ) {
        let mut roles = roles;
        for (index, role) in roles.iter_mut().enumerate() {
            role.insert("name", format!("r{index}"));
        }
        // What happens to be no valid expression is not this test's matter.
        let Ok(rules) = RuleSet::parse(&doc! { "roles": roles.clone() }) else {
            return Ok(());
        };
        let request = asking();
        let mut decider = Decider::new(&rules, &request);
        let narrowed = decider.narrowed();
        let query = narrowed.query.as_ref().map(|query| Matcher::parse(query).unwrap());
        for document in documents {
            let document = RawDocumentBuf::try_from(&document).unwrap();
            let readable = decided(decider.read(&document));
            let matched = query.as_ref().is_none_or(|query| query.matches(&document).unwrap());
            let say = || format!("{roles:?} on {} with {:?}", relaxed(&document), narrowed);
            if readable != Readable::Hidden {
                prop_assert!(matched, "hidden by the query: {}", say());
            }
            if narrowed.exact {
                let expected = if matched { Readable::Whole } else { Readable::Hidden };
                prop_assert_eq!(&readable, &expected, "not exact: {}", say());
            }
        }
    }
}

#[test]
fn the_owner_rule_sees_nothing_of_others() {
    let rules = rule_set(r#"{"roles":[{"name":"x","apply_when":{"o":"%%user.id"},"read":true}]}"#);
    let request = asking();
    let narrowed = Decider::new(&rules, &request).narrowed();
    let query = Matcher::parse(&narrowed.query.unwrap()).unwrap();
    assert!(
        query
            .matches(&raw(r#"{"o":["x","0123456789abcdef01234567"]}"#))
            .unwrap()
    );
    assert!(!query.matches(&raw(r#"{"o":"x"}"#)).unwrap());
}

/// Which documents may be changed without asking about each.
#[test]
fn what_is_writable_in_every_way_is_told() {
    use Change::{Delete, Update};
    let owner = r#"{"name":"o","apply_when":{"owner":"%%user.id"},"write":true"#;
    for (roles, change, query) in [
        (format!("{owner}}}"), Update, Some(r#"{"owner":{"$eq":"0123456789abcdef01234567"}}"#)),
        (format!("{owner}}}"), Delete, Some(r#"{"owner":{"$eq":"0123456789abcdef01234567"}}"#)),
        (format!(r#"{owner},"delete":false}}"#), Delete, None),
        (format!(r#"{owner},"delete":false}}"#), Update, Some(r#"{"owner":{"$eq":"0123456789abcdef01234567"}}"#)),
        (format!(r#"{owner},"document_filters":{{"write":{{"open":true}}}}}}"#), Update, None),
        (format!(r#"{owner},"document_filters":{{"read":{{"open":true}}}}}}"#), Update, None),
        (format!(r#"{owner},"document_filters":{{"read":true,"write":true}}}}"#), Delete, Some(r#"{"owner":{"$eq":"0123456789abcdef01234567"}}"#)),
        // A change that the new document has a say in.
        (r#"{"name":"o","apply_when":{},"write":{"state":"open"}}"#.to_owned(), Update, None),
        (r#"{"name":"o","apply_when":{},"write":{"%%user.type":"normal"}}"#.to_owned(), Update, Some("{}")),
        (r#"{"name":"o","apply_when":{},"fields":{"a":{"write":true}}}"#.to_owned(), Update, None),
        (r#"{"name":"o","apply_when":false,"write":true}"#.to_owned(), Update, None),
        // Another role's documents are left out, or nothing is told.
        (
            r#"{"name":"x","apply_when":{"locked":true},"read":true},{"name":"o","apply_when":{},"write":true}"#.to_owned(),
            Update,
            Some(r#"{"$nor":[{"locked":{"$eq":true}}]}"#),
        ),
        (
            r#"{"name":"x","apply_when":{"%%true":{"%function":{"name":"f"}}},"read":true},{"name":"o","apply_when":{},"write":true}"#.to_owned(),
            Update,
            None,
        ),
    ] {
        let rules = rule_set(&format!("{{\"roles\":[{roles}]}}"));
        let told = Decider::new(&rules, &asking()).writable(change);
        assert_eq!(told.map(|told| told.query), query.map(raw), "{roles} {change:?}");
    }
}

/// Values with arrays and documents in each other, some levels deep.
fn shapes(levels: usize) -> Vec<Bson> {
    if levels == 0 {
        return vec![
            Bson::Int32(1),
            Bson::Int32(2),
            Bson::Null,
            bson::bson!([]),
            bson::bson!([1]),
            bson::bson!([[1], 2]),
        ];
    }
    let inner = shapes(levels - 1);
    let mut all = inner.clone();
    for name in ["a", "d"] {
        for value in &inner {
            let one = bson::bson!({ name: value.clone() });
            all.push(bson::bson!([one.clone()]));
            all.push(bson::bson!([2, [one.clone()], { "x": 1 }]));
            all.push(bson::bson!([[one.clone()], { "a": 2, "d": { "a": [2] } }, one.clone()]));
            all.push(one);
        }
    }
    all
}

#[test]
fn dotted_names_are_compared_exactly_wherever_arrays_are() {
    // Some of thousands, of every kind.
    let documents: Vec<RawDocumentBuf> = shapes(3)
        .into_iter()
        .step_by(7)
        .map(|value| RawDocumentBuf::try_from(&doc! { "d": value }).unwrap())
        .collect();
    let request = asking();
    let (mut found, mut hidden) = (0, 0);
    for path in ["d.a", "d.d.a", "d.d.d.a"] {
        for test in [
            "1",
            r#"{"%ne":1}"#,
            r#"{"%gt":1}"#,
            r#"{"%lte":1}"#,
            r#"{"%in":[1,3]}"#,
            r#"{"%nin":[1,3]}"#,
            r#"{"%not":{"%in":[2]}}"#,
            r#"{"%all":[1,2]}"#,
        ] {
            let role = format!(r#"{{"name":"x","apply_when":{{"{path}":{test}}},"read":true}}"#);
            let rules = rule_set(&format!(r#"{{"roles":[{role}]}}"#));
            let mut decider = Decider::new(&rules, &request);
            let narrowed = decider.narrowed();
            assert!(narrowed.exact, "{role}");
            let query = Matcher::parse(&narrowed.query.unwrap()).unwrap();
            for document in &documents {
                let shown = decided(decider.read(document)) == Readable::Whole;
                let matched = query.matches(document).unwrap();
                assert_eq!(matched, shown, "{role} of {}", relaxed(document));
                found += u64::from(shown);
                hidden += u64::from(!shown);
            }
        }
    }
    assert!(found > 1000 && hidden > 1000, "{found} {hidden}");
}
