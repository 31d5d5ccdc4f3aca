//! What rules see of a request, and what its log entry tells of them.

use app::users::Device;
use app::{LogEntry, LogQuery, RequestInfo};
use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use config::{Kind, Node};
use serde_json::json;

use super::{World, none, shown};

const SERVICE: &str = "mongodb-atlas";
const OTHER_RULE: &str = "data_sources/mongodb-atlas/d/e/rules.json";

impl World {
    /// An action as alice, as her client sends it.
    async fn act(&self, action: &str, arguments: Document) -> String {
        let arguments = RawDocumentBuf::try_from(&arguments).unwrap();
        let cx = self.cx(&self.alice);
        let result = self.app.run_action(&cx, SERVICE, action, &arguments).await;
        shown(result.map(|value| Bson::try_from(value).unwrap()))
    }

    /// Alice's access token.
    async fn token(&self) -> String {
        let credentials = doc! { "username": "alice@example.com", "password": "secret123" };
        let (device, request) = (Device::default(), RequestInfo::default());
        let login = self
            .app
            .login("local-userpass", &credentials, device, &request);
        login.await.unwrap().access_token
    }

    /// Entries of one type, newest first.
    async fn entries(&self, kind: &str) -> Vec<LogEntry> {
        let query = LogQuery {
            kinds: vec![kind.to_owned()],
            ..LogQuery::default()
        };
        let read = self.core.logbook.read(&self.app.id, &query).await;
        read.unwrap().0
    }
}

/// `rule_metrics` of an entry, as the Admin API shows them.
fn metrics(entry: &LogEntry) -> String {
    let metrics = entry.details.get("rule_metrics").cloned();
    metrics.map_or_else(String::new, |metrics| {
        metrics.into_relaxed_extjson().to_string()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_of_clients_are_logged_with_what_rules_decided() {
    let world = World::new(&[], &[]).await;
    let own = &world.alice.id;
    let insert =
        doc! { "database": "d", "collection": "c", "document": { "_id": 1, "owner": own } };
    world.act("insertOne", insert).await;
    let entry = world.entries("SERVICE_FUNCTION").await.remove(0);
    assert_eq!(
        entry.details,
        doc! {
            "function_name": "insertOne", "service": SERVICE,
            "arguments": [{ "database": "d", "collection": "c", "document": { "_id": 1, "owner": own } }],
            "request_url": "/functions/call", "request_method": "POST",
            "remote_ip_address": "10.0.0.7",
            "rule_metrics": { "namespaces_metrics": { "d.c": {
                "roles": { "owner": {
                    "matching_documents": 1_i64, "evaluated_fields": 0_i64, "discarded_fields": 0_i64,
                } },
                "no_matching_role": 0_i64,
            } } },
        }
    );
    assert_eq!((&entry.error[..], &entry.user_id), ("", own));
    // The caller sees the masked text, the log has the reason.
    let insert = doc! { "database": "d", "collection": "c", "document": { "_id": 2 } };
    assert_eq!(
        world.act("insertOne", insert).await,
        "NoMatchingRuleFound: insert not permitted"
    );
    let entry = world.entries("SERVICE_FUNCTION").await.remove(0);
    assert_eq!(
        (&entry.error[..], &entry.error_code[..], metrics(&entry)),
        (
            "insert not permitted: no role: no role applies to the document",
            "NoMatchingRuleFound",
            r#"{"namespaces_metrics":{"d.c":{"roles":{},"no_matching_role":1}}}"#.to_owned()
        )
    );
    // What is no data under rules has no metrics.
    assert_eq!(
        world
            .act("find", doc! { "database": "d", "collection": "x" })
            .await,
        "NoMatchingRuleFound: no rule exists for namespace 'd.x'"
    );
    let entry = world.entries("SERVICE_FUNCTION").await.remove(0);
    assert_eq!(metrics(&entry), "");
    assert_eq!(entry.error, "no rule exists for namespace 'd.x'");
    // Arguments of any size cost the log nothing.
    let long = "x".repeat(100_000);
    let find = doc! { "database": "d", "collection": "c", "query": { "long": long } };
    world.act("find", find).await;
    let entry = world.entries("SERVICE_FUNCTION").await.remove(0);
    assert_eq!(
        entry.details.get_str("arguments").unwrap(),
        "(too large for the log)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_s_entry_tells_of_all_that_it_touched() {
    let rule = r#"{"roles":[
        {"name":"masked","apply_when":{"%%true":{"%function":{"name":"may","arguments":["%%root._id"]}}},
         "fields":{"_id":{"read":true}}}]}"#;
    let world = World::new(
        &[
            (
                "touches",
                "",
                "exports = async () => { const db = context.services.get('mongodb-atlas').db('d');
                    await db.collection('c').insertOne({ _id: 1, owner: context.user.id });
                    try { await db.collection('c').insertOne({ _id: 2 }) } catch {}
                    return db.collection('e').find({}).toArray() }",
            ),
            (
                "refused",
                "",
                "exports = async () => { const db = context.services.get('mongodb-atlas').db('d');
                    await db.collection('c').insertOne({ _id: 2 }) }",
            ),
            (
                "throws",
                "",
                "exports = async () => { const db = context.services.get('mongodb-atlas').db('d');
                    try { await db.collection('c').insertOne({ _id: 2 }) } catch {}
                    throw new Error('another') }",
            ),
            (
                "seeds",
                r#","run_as_system":true"#,
                "exports = () => context.services.get('mongodb-atlas').db('d').collection('e')
                    .insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 1 }, { _id: 3, b: 1, c: 1 }])",
            ),
            ("may", r#","private":true"#, "exports = (id) => id !== 2"),
        ],
        &[(OTHER_RULE, rule)],
    )
    .await;
    world.alice("seeds", none()).await;
    assert_eq!(metrics(&world.log().await[0]), "");
    world.alice("touches", none()).await;
    let log = world.log().await;
    assert_eq!(
        metrics(&log[0]),
        r#"{"namespaces_metrics":{"d.c":{"roles":{"owner":{"matching_documents":1,"evaluated_fields":0,"discarded_fields":0}},"no_matching_role":1},"d.e":{"roles":{"masked":{"matching_documents":2,"evaluated_fields":5,"discarded_fields":3}},"no_matching_role":1}}}"#
    );
    assert_eq!(log[0].error, "");
    for (name, error) in [
        (
            "refused",
            "Error: insert not permitted: no role: no role applies to the document",
        ),
        ("throws", "Error: another"),
    ] {
        world.alice(name, none()).await;
        assert_eq!(world.log().await[0].error, error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_see_the_request_and_secrets() {
    let values = [
        (
            "values/key.json",
            r#"{"name":"key","value":"apiKey","from_secret":true}"#,
        ),
        (
            "values/plain.json",
            r#"{"name":"plain","value":[1,2],"from_secret":false}"#,
        ),
    ];
    for (apply_when, holds) in [
        (r#"{"%%values.key":"s3cret"}"#, true),
        (r#"{"%%values.key":"other"}"#, false),
        (r#"{"%%values.plain":2}"#, true),
        (r#"{"%%environment.tag":"qa"}"#, true),
        (
            r#"{"%%user.identities.provider_type":"local-userpass"}"#,
            true,
        ),
        (
            r#"{"%%user.identities.providerType":"local-userpass"}"#,
            true,
        ),
        (r#"{"%%request.rawQueryString":"b=2&a=1"}"#, true),
        (
            r#"{"%%request.service":"mongodb-atlas","%%request.action":"count"}"#,
            true,
        ),
        (
            r#"{"%%request.remoteIPAddress":"10.0.0.7","%%request.httpMethod":"POST"}"#,
            true,
        ),
        (
            r#"{"%%request.httpUserAgent":"test","%%request.requestHeaders.x-many":"2"}"#,
            true,
        ),
        (
            r#"{"%%request.requestHeaders.authorization":{"%exists":true}}"#,
            false,
        ),
    ] {
        let rule = format!(
            r#"{{"roles":[{{"name":"r","apply_when":{apply_when},"read":true,"write":true}}]}}"#
        );
        let mut files = values.to_vec();
        files.push((OTHER_RULE, &rule));
        let world = World::new(&[], &files).await;
        world.app.set_secret("apiKey", "s3cret").await.unwrap();
        let insert = rawdoc! { "database": "d", "collection": "e", "document": { "_id": 1 } };
        let cx = world.cx(&world.alice).acting_as(app::Caller::System);
        cx.data(SERVICE, "insertOne", &insert).await.unwrap();
        assert_eq!(
            world
                .act("count", doc! { "database": "d", "collection": "e" })
                .await,
            format!(r#"{{"$numberLong":"{}"}}"#, i32::from(holds)),
            "{apply_when}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_for_optional_fields_is_a_setting_of_the_app() {
    let schema = r#"{"title":"t","bsonType":"object","properties":{"s":{"bsonType":"string"}}}"#;
    let world = World::new(
        &[],
        &[("data_sources/mongodb-atlas/d/c/schema.json", schema)],
    )
    .await;
    let insert = |id: i32| doc! { "database": "d", "collection": "c", "document": { "_id": id, "owner": &world.alice.id, "s": null } };
    assert_eq!(
        world.act("insertOne", insert(1)).await,
        "SchemaValidationFailedWrite: insert not permitted"
    );
    world
        .app
        .change_settings(|settings| {
            settings.null_type_validation = true;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(
        world.act("insertOne", insert(1)).await,
        r#"{"insertedId":{"$numberInt":"1"}}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_rule_that_it_began_under() {
    let edit = async |world: &World, change: &dyn Fn(&mut config::AppConfig)| {
        let author = crate::author();
        let edited = world.app.edit(&author, |config| {
            change(config);
            Ok(app::Renames::new())
        });
        edited.await.unwrap();
    };
    let rule = |name: &str| {
        Node::new(
            json!({ "database": "d", "collection": "c", "roles": [{ "name": name, "apply_when": {}, "read": true }] }),
        )
    };
    let key = "mongodb-atlas/d/c";
    // A rule that is replaced, one that is deleted, a default rule that another
    // takes the place of.
    for case in ["replaced", "deleted", "default"] {
        let world = World::new(&[], &[]).await;
        if case == "default" {
            edit(&world, &|config| {
                config.remove(Kind::Rule, key).unwrap();
                let all = json!({ "roles": [{ "name": "all", "apply_when": {}, "read": true }] });
                config
                    .insert(Kind::DefaultRule, SERVICE, Node::new(all))
                    .unwrap();
            })
            .await;
        }
        let (kind, of) = if case == "default" {
            (Kind::DefaultRule, SERVICE)
        } else {
            (Kind::Rule, key)
        };
        let id = world.app.node_id(kind, of).unwrap();
        let token = world.token().await;
        let arguments = rawdoc! { "database": "d", "collection": "c" };
        let stream = world
            .app
            .open_stream(&token, SERVICE, &arguments, RequestInfo::default());
        let mut stream = stream.await.unwrap();
        // Other changes are none of its business, and cost it no event.
        edit(&world, &|config| {
            let value = json!({ "name": "v", "value": 1 });
            config.insert(Kind::Value, "v", Node::new(value)).unwrap();
        })
        .await;
        let insert = rawdoc! { "database": "d", "collection": "c", "document": { "_id": 1, "owner": &*world.alice.id } };
        let cx = world.cx(&world.alice).acting_as(app::Caller::System);
        cx.data(SERVICE, "insertOne", &insert).await.unwrap();
        let event = stream.next().await.unwrap().unwrap();
        assert_eq!(event.get_str("operationType").unwrap(), "insert");
        edit(&world, &|config| match case {
            "replaced" => config
                .replace(Kind::Rule, key, key, rule("another"))
                .unwrap(),
            "deleted" => config.remove(Kind::Rule, key).unwrap(),
            _ => config.insert(Kind::Rule, key, rule("own")).unwrap(),
        })
        .await;
        let problem = stream.next().await.unwrap_err();
        let text = format!(
            "rule with id=\"{id}\" no longer exists on mongodb service, closing watch stream"
        );
        assert_eq!(
            (&problem.message, &*problem.code),
            (&text, "NoMatchingRuleFound"),
            "{case}"
        );
        // Its entry is written at the end.
        assert!(world.entries("SERVICE_STREAM_FUNCTION").await.is_empty());
        drop(stream);
        let entry = world.entries("SERVICE_STREAM_FUNCTION").await.remove(0);
        assert_eq!(
            (
                &entry.error,
                entry.details.get_str("function_name").unwrap()
            ),
            (&text, "watch")
        );
        let role = if case == "default" { "all" } else { "owner" };
        assert!(
            metrics(&entry).contains(&format!(
                r#""{role}":{{"matching_documents":1,"evaluated_fields":0,"discarded_fields":0}}"#
            )),
            "{}",
            metrics(&entry)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_has_an_entry_too() {
    let world = World::new(&[], &[]).await;
    let token = world.token().await;
    let arguments = rawdoc! { "database": "d", "collection": "x" };
    let open = world
        .app
        .open_stream(&token, SERVICE, &arguments, RequestInfo::default());
    assert!(open.await.is_err());
    let entry = world.entries("SERVICE_STREAM_FUNCTION").await.remove(0);
    assert_eq!(entry.error, "no rule exists for namespace 'd.x'");
}
