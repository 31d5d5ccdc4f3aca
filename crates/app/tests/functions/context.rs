//! What `context` holds.

use bson::bson;

use super::{World, none};

const VALUES: &[(&str, &str)] = &[
    (
        "values/plain.json",
        r#"{"name":"plain","value":{"a":[1,2.5,"x"]},"from_secret":false}"#,
    ),
    (
        "values/text.json",
        r#"{"name":"text","value":"just text","from_secret":false}"#,
    ),
    (
        "values/key.json",
        r#"{"name":"key","value":"apiKey","from_secret":true}"#,
    ),
    (
        "values/lost.json",
        r#"{"name":"lost","value":"noSuchSecret","from_secret":true}"#,
    ),
    (
        "environments/qa.json",
        r#"{"values":{"url":"https://qa.example.com","n":3}}"#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn values_are_plain_or_of_a_secret() {
    let get = "exports = (name) => context.values.get(name)";
    let world = World::new(
        &[
            ("get", "", get),
            (
                "often",
                "",
                "exports = () => { for (let i = 0; i < 3000; i++) context.values.get('plain').a.push(i); return context.values.get('plain') }",
            ),
        ],
        VALUES,
    )
    .await;
    let value = async |name: &str| world.alice("get", bson!([name])).await;
    assert_eq!(
        value("plain").await,
        r#"{"a":[{"$numberInt":"1"},{"$numberDouble":"2.5"},"x"]}"#
    );
    assert_eq!(value("text").await, r#""just text""#);
    assert_eq!(value("nothing").await, r#"{"$undefined":true}"#);
    assert_eq!(
        value("key").await,
        "FunctionExecutionError: Error: the secret 'apiKey' of the value 'key' has no value on this server"
    );
    world.app.set_secret("apiKey", "s3cret").await.unwrap();
    assert_eq!(value("key").await, r#""s3cret""#);
    // A secret acts at once, without a deployment.
    world.app.set_secret("apiKey", "n3w").await.unwrap();
    assert_eq!(value("key").await, r#""n3w""#);
    // Looking often is no operation, and what is got belongs to the function.
    assert_eq!(
        world.alice("often", none()).await,
        r#"{"a":[{"$numberInt":"1"},{"$numberDouble":"2.5"},"x"]}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn user_app_environment_and_request() {
    let system = r#","run_as_system":true"#;
    let world = World::new(
        &[
            ("user", "", "exports = () => context.user"),
            ("userOfSystem", system, "exports = () => [context.user.id, context.user.type, context.runningAsSystem()]"),
            ("app", "", "exports = () => context.app"),
            ("environment", "", "exports = () => context.environment"),
            ("request", "", "exports = () => context.request"),
            ("shapes", "", "exports = () => [typeof module, typeof exports, Object.keys(context).sort(), context.services.get('nothing'), typeof context.http.get]"),
        ],
        VALUES,
    )
    .await;
    let id = &world.alice.id;
    let user = world.alice("user", none()).await;
    assert!(
        user.starts_with(&format!(
            r#"{{"id":"{id}","type":"normal","data":{{"email":"alice@example.com"}},"custom_data":{{}},"identities":[{{"id":""#
        )) && user.contains(r#""provider_type":"local-userpass","providerType":"local-userpass""#),
        "{user}"
    );
    assert_eq!(
        world.alice("userOfSystem", none()).await,
        format!(r#"["{id}","normal",true]"#)
    );
    let app = &world.app;
    assert_eq!(
        world.alice("app", none()).await,
        format!(
            r#"{{"id":"{}","clientAppId":"a-abcde","name":"a","projectId":"p1","deployment":{{"model":"LOCAL","providerRegion":"aws-us-east-1"}},"lastDeployed":"2020-09-13T12:26:40.000Z"}}"#,
            app.id
        )
    );
    assert_eq!(
        world.alice("environment", none()).await,
        r#"{"tag":"qa","values":{"url":"https://qa.example.com","n":{"$numberInt":"3"}}}"#
    );
    assert_eq!(
        world.alice("request", none()).await,
        r#"{"remoteIPAddress":"10.0.0.7","requestHeaders":{"user-agent":["test"],"x-many":["1","2"]},"httpMethod":"POST","rawQueryString":"b=2&a=1","httpUserAgent":"test","service":"","action":"request"}"#
    );
    assert_eq!(
        world.alice("shapes", none()).await,
        r#"["undefined","function",["app","environment","functions","http","request","runningAsSystem","services","user","values"],{"$undefined":true},"function"]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_without_a_user() {
    let world = World::new(
        &[(
            "who",
            "",
            "exports = () => [context.user, context.runningAsSystem()]",
        )],
        &[],
    )
    .await;
    let cx = app::Cx::of_system(&world.app, app::RequestInfo::default());
    let result = world
        .app
        .call(&cx, "who", Vec::new(), app::Calling::Server)
        .await;
    assert_eq!(
        super::shown(result),
        r#"[{"id":"","type":"system","data":{},"custom_data":{},"identities":[]},true]"#
    );
}
