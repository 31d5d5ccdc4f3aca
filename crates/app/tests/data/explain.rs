//! Explanations: what decided, and that nothing happened.

use app::data::{Access, Decision, Explanation};
use bson::{Bson, RawBson};
use kit::Problem;

use super::{World, raw, roles};

const ANN: &str = r#"{"id":"ann","type":"normal","custom_data":{}}"#;

async fn explain(world: &World, action: &str, arguments: &str) -> Explanation {
    asked(world, &world.user(ANN), action, arguments)
        .await
        .unwrap()
}

async fn asked(
    world: &World,
    access: &Access,
    action: &str,
    arguments: &str,
) -> Result<Explanation, Problem> {
    let mut all = raw(r#"{"database":"d","collection":"c"}"#);
    for entry in &raw(arguments) {
        let (name, value) = entry.unwrap();
        all.append(name, value);
    }
    world.data.explain(access, action, &all).await
}

/// `ID OPERATION ROLE allowed`, the hidden fields and the refusal.
fn line(decision: &Decision) -> String {
    let id = Bson::try_from(decision.id.clone().unwrap()).unwrap();
    let said = if decision.allowed {
        "allowed"
    } else {
        "refused"
    };
    format!(
        "{} {} {} {said} [{}] {}",
        id.into_relaxed_extjson(),
        decision.operation,
        decision.role.as_deref().unwrap_or("-"),
        decision.hidden_fields.join(","),
        decision.reason.as_deref().unwrap_or("-")
    )
}

/// `PATH=HOLDS TEST SUBJECT VALUE;…` for each expression.
fn steps(decision: &Decision) -> Vec<String> {
    let shown = |value: &Option<RawBson>| {
        value.clone().map_or("nothing".to_owned(), |value| {
            Bson::try_from(value)
                .unwrap()
                .into_relaxed_extjson()
                .to_string()
        })
    };
    let because = |tested: &app::data::Tested| {
        format!(
            " {} {} {} {}",
            Bson::Document(tested.test.clone()).into_relaxed_extjson(),
            tested.holds,
            shown(&tested.subject),
            shown(&tested.value)
        )
    };
    let steps = decision.asked.iter().map(|asked| {
        let because: String = asked.because.iter().map(because).collect();
        format!("{}={}{because}", asked.path, asked.holds)
    });
    steps.collect()
}

fn lines(explained: &Explanation) -> Vec<String> {
    explained.decisions.iter().map(line).collect()
}

const TEAM: &str = r#"
    {"name":"owner","apply_when":{"owner":"%%user.id"},"read":true,"write":true},
    {"name":"member","apply_when":{"%or":[{"team":"red"},{"team":{"%in":["blue"]}}]},
     "fields":{"title":{"read":true},"deep":{"fields":{"in":{"read":true}}}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_tells_role_expression_and_field() {
    let world = World::with(
        TEAM,
        r#"{"_id":1,"owner":"ann"},{"_id":2,"team":"blue","title":"t","deep":{"in":1,"out":2}},
           {"_id":3,"owner":"bob","team":"green"}"#,
    )
    .await;
    let explained = explain(&world, "find", r#"{"sort":{"_id":1}}"#).await;
    assert_eq!(
        lines(&explained),
        [
            "1 read owner allowed [] -",
            "2 read member allowed [_id,team,deep.out] -",
            "3 read - refused [] -",
        ]
    );
    assert_eq!(
        steps(&explained.decisions[0]),
        [
            r#"roles[0].apply_when=true {"%%root.owner":"%%user.id"} true "ann" "ann""#,
            "roles[0].read=true",
        ]
    );
    assert_eq!(
        steps(&explained.decisions[2]),
        [
            r#"roles[0].apply_when=false {"%%root.owner":"%%user.id"} false "bob" "ann""#,
            r#"roles[1].apply_when=false {"%%root.team":"red"} false "green" "red" {"%%root.team":{"%in":["blue"]}} false "green" ["blue"]"#,
        ]
    );
    // What the same request would have asked of the engine, had nobody asked why.
    let pushed = explained.pushed_down.as_ref().unwrap();
    assert!(!pushed.exact);
    assert!(pushed.query.is_some());
    let found = explained.result.unwrap();
    assert_eq!(found.as_array().unwrap().into_iter().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_taken_back() {
    let world = World::with(
        r#"{"name":"owner","apply_when":{"owner":"%%user.id"},"read":true,
            "write":{"%%root.state":{"%ne":"closed"}},"delete":false},
           {"name":"stranger","apply_when":{},"fields":{"title":{"write":true}}}"#,
        r#"{"_id":1,"owner":"ann","state":"open"},{"_id":2,"owner":"bob","state":"open"}"#,
    )
    .await;
    let everything = r#"{"sort":{"_id":1}}"#;
    let before = world.system("find", everything).await;
    let tries: &[(&str, &str, &[&str], Option<&str>)] = &[
        (
            "updateOne",
            r#"{"query":{"_id":1},"update":{"$set":{"title":"t"}}}"#,
            &["1 update owner allowed [] -"],
            None,
        ),
        (
            "updateMany",
            r#"{"query":{},"update":{"$set":{"state":"closed"}}}"#,
            &["1 update owner refused [] write is false"],
            Some("update not permitted"),
        ),
        (
            "updateOne",
            r#"{"query":{"_id":2},"update":{"$set":{"state":"x"}}}"#,
            &["2 update stranger refused [] no write permission on field 'state'"],
            Some("update not permitted"),
        ),
        (
            "insertOne",
            r#"{"document":{"_id":3,"owner":"ann","state":"open"}}"#,
            &["3 insert owner allowed [] -"],
            None,
        ),
        (
            "deleteMany",
            r#"{"query":{}}"#,
            &["1 delete owner refused [] delete is false"],
            Some("delete not permitted"),
        ),
        (
            "findOneAndUpdate",
            r#"{"filter":{"_id":1},"update":{"$set":{"state":"done"}},"returnNewDocument":true}"#,
            &[
                "1 read owner allowed [] -",
                "1 update owner allowed [] -",
                "1 read owner allowed [] -",
            ],
            None,
        ),
        (
            "bulkWrite",
            r#"{"operations":[{"insertOne":{"document":{"_id":4,"owner":"ann"}}},
                {"deleteOne":{"filter":{"_id":4}}}]}"#,
            &[
                "4 insert owner allowed [] -",
                "4 delete owner refused [] delete is false",
            ],
            Some("delete not permitted"),
        ),
    ];
    for (action, arguments, decisions, refusal) in tries {
        let explained = explain(&world, action, arguments).await;
        assert_eq!(lines(&explained), *decisions, "{action} {arguments}");
        let error = explained.result.err().map(|problem| problem.message);
        assert_eq!(error.as_deref(), *refusal, "{action} {arguments}");
        let after = world.system("find", everything).await;
        assert_eq!(
            after.unwrap(),
            *before.as_ref().unwrap(),
            "{action} {arguments}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_schemas_and_functions_are_told() {
    let rules = r#"{"roles":[{"name":"any","apply_when":{"%%true":{"%function":{"name":"isEven","arguments":["%%root.n"]}}},"read":true,"write":true}],
        "filters":[{"name":"mine","apply_when":{"%%user.type":"normal"},"query":{"owner":"%%user.id"}},
                   {"name":"never","apply_when":false,"query":{"owner":"nobody"}}]}"#;
    let schema = r#"{"bsonType":"object","title":"c","properties":{"n":{"bsonType":"int","validate":{"%%this":{"$lt":10}}}}}"#;
    let world = World::new(&[("d/c/rules.json", rules), ("d/c/schema.json", schema)]);
    world
        .seed(r#"{"_id":1,"owner":"ann","n":2},{"_id":2,"owner":"bob","n":2},{"_id":3,"owner":"ann","n":3}"#)
        .await;
    let explained = explain(&world, "count", r#"{"query":{}}"#).await;
    assert_eq!(
        lines(&explained),
        ["1 read any allowed [] -", "3 read - refused [] -"]
    );
    let filters = explained.filters.iter();
    let filters: Vec<_> = filters.map(|f| (f.name.as_str(), f.applies)).collect();
    assert_eq!(filters, [("mine", true), ("never", false)]);
    assert_eq!(explained.filter_queries, [raw(r#"{"owner":"ann"}"#)]);
    assert_eq!(explained.filtered_out, [RawBson::Int32(2)]);
    assert_eq!(
        steps(&explained.decisions[1]),
        [
            r#"roles[0].apply_when=false {"%%true":{"%function":{"name":"isEven","arguments":["%%root.n"]}}} false true false"#
        ]
    );

    let update = r#"{"query":{"_id":1},"update":{"$set":{"n":12}}}"#;
    let explained = explain(&world, "updateOne", update).await;
    let decision = &explained.decisions[0];
    assert_eq!(
        (decision.role.as_deref(), decision.allowed),
        (Some("any"), false)
    );
    assert_eq!(decision.breaches[0].path, "(root).n");
    assert_eq!(
        steps(decision).last().unwrap(),
        r#"properties.n.validate=false {"%%this":{"%lt":10}} false 12 10"#
    );
    assert_eq!(
        explained.result.unwrap_err().code,
        "SchemaValidationFailedWrite"
    );
}

/// An explanation is bounded, needs a user, and keeps app values to itself.
#[tokio::test(flavor = "multi_thread")]
async fn its_limits() {
    let world = World::with(
        r#"{"name":"a","apply_when":{"%%values.key":"%%root.key"},"read":true,"write":true}"#,
        r#"{"_id":1000,"key":"k"}"#,
    )
    .await;
    let explained = explain(&world, "find", "{}").await;
    assert_eq!(
        steps(&explained.decisions[0]),
        [r#"roles[0].apply_when=false {"%%values.key":"%%root.key"} false "%%values.key" "k""#]
    );
    let many: Vec<String> = (0..200).map(|n| format!(r#"{{"_id":{n}}}"#)).collect();
    world.seed(&many.join(",")).await;
    for action in ["find", "count", "distinct", "aggregate"] {
        let arguments = r#"{"field":"_id","pipeline":[]}"#;
        let explained = explain(&world, action, arguments).await;
        assert_eq!(
            explained.decisions.len(),
            app::data::DOCUMENTS_MAX,
            "{action}"
        );
    }
    let system = asked(&world, &Access::System, "find", "{}").await;
    assert_eq!(system.unwrap_err().code, "BadRequest");
    let unknown = explain(&world, "format", "{}").await;
    assert_eq!(unknown.result.unwrap_err().code, "ServiceCommandNotFound");

    // No rules are a reason, too.
    let world = World::new(&[("e/e/rules.json", &roles(""))]);
    let explained = explain(&world, "find", "{}").await;
    assert_eq!(explained.result.unwrap_err().code, "NoMatchingRuleFound");
    assert!(explained.decisions.is_empty());
}
