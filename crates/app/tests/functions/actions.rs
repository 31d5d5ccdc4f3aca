//! Rules of services that are no data sources.

use app::{Cx, Explained, RequestInfo};
use bson::{Bson, rawdoc};

use super::{World, none};

const FILES: &[(&str, &str)] = &[
    (
        "services/web/config.json",
        r#"{"name":"web","type":"http","config":{},"version":1}"#,
    ),
    (
        "services/web/rules/inside.json",
        r#"{"name":"inside","actions":["get","post"],
            "when":{"%%args.url.host":"10.0.0.1","%%args.url.scheme":"https"}}"#,
    ),
    (
        "services/web/rules/asked.json",
        r#"{"name":"asked","actions":["put"],
            "when":{"%%true":{"%function":{"name":"fits","arguments":["%%args.body","%%user.id"]}}}}"#,
    ),
    (
        "services/cloud/config.json",
        r#"{"name":"cloud","type":"aws","config":{"region":"us-east-1","accessKeyId":"x"},"version":1}"#,
    ),
    (
        "services/cloud/rules/files.json",
        r#"{"name":"files","actions":["s3:*"],"when":{"%%args.Bucket":"own"}}"#,
    ),
];

async fn world() -> World {
    World::new(
        &[
            ("fits", r#","private":true"#, "exports = (body) => body === 'small'"),
            ("ask", "", "exports = (service, action, sent) => context.services.get(service)[action](sent)"),
            ("asSystem", r#","run_as_system":true"#, "exports = () => context.services.get('web').delete({ url: 'http://10.0.0.2' })"),
            ("put", "", "exports = (bucket) => context.services.get('cloud').s3('eu-west-1').PutObject({ Bucket: bucket })"),
        ],
        FILES,
    )
    .await
}

/// What an allowed request comes to: nobody allowed the address.
const ALLOWED: &str = "is at an address that this server does not connect to";

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_allows_is_refused() {
    let world = world().await;
    let good = "https://10.0.0.1/a";
    for (action, sent, allowed) in [
        ("get", rawdoc! { "url": good }, true),
        (
            "post",
            rawdoc! { "scheme": "https", "host": "10.0.0.1" },
            true,
        ),
        ("get", rawdoc! { "host": "10.0.0.1" }, false),
        // However the address is written, it is the address that counts.
        (
            "get",
            rawdoc! { "url": "https://10.0.0.1@evil.example/" },
            false,
        ),
        (
            "get",
            rawdoc! { "url": "https://10.0.0.1\\@evil.example" },
            true,
        ),
        (
            "get",
            rawdoc! { "url": "https://evil.example/#@10.0.0.1" },
            false,
        ),
        (
            "get",
            rawdoc! { "url": "http://evil.example", "host": "10.0.0.1", "scheme": "https" },
            false,
        ),
        (
            "get",
            rawdoc! { "domain": "10.0.0.1", "scheme": "https" },
            true,
        ),
        (
            "get",
            rawdoc! { "host": "10.0.0.1@evil.example", "scheme": "https" },
            false,
        ),
        (
            "get",
            rawdoc! { "url": "https://0x0a000001/", "headers": { "Host": ["evil.example"] } },
            true,
        ),
        // So does the address that cookies are asked of.
        (
            "get",
            rawdoc! { "url": good, "authUrl": "https://10.0.0.1/login" },
            true,
        ),
        (
            "get",
            rawdoc! { "url": good, "authUrl": "https://evil.example/login" },
            false,
        ),
        ("delete", rawdoc! { "url": good }, false),
        ("put", rawdoc! { "url": good, "body": "small" }, true),
        ("put", rawdoc! { "url": good, "body": "large" }, false),
        ("get", rawdoc! {}, false),
    ] {
        let cx = Cx::of_user(&world.app, world.alice.clone(), RequestInfo::default());
        let problem = cx.data("web", action, &sent).await.unwrap_err();
        if allowed {
            assert!(
                problem.message.contains(ALLOWED),
                "{action} {sent:?}: {problem}"
            );
        } else {
            let text = format!("no rule allows the action '{action}' of the service 'web'");
            assert_eq!(
                (&*problem.code, problem.message),
                ("NoMatchingRuleFound", text)
            );
        }
        // A function's call is the caller's.
        let sent = Bson::Document(sent.try_into().unwrap());
        let said = world
            .alice("ask", bson::bson!(["web", action, sent.clone()]))
            .await;
        assert_eq!(said.contains(ALLOWED), allowed, "{action} {sent}: {said}");
    }
    let said = world.alice("asSystem", none()).await;
    assert!(said.contains(ALLOWED), "{said}");
    let said = world.alice("put", bson::bson!(["own"])).await;
    assert!(
        said.contains("the secret with the service's \"secretAccessKey\" has no value"),
        "{said}"
    );
    let said = world.alice("put", bson::bson!(["other"])).await;
    assert!(
        said.contains("no rule allows the action 's3:PutObject'"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained() {
    let world = world().await;
    let cx = Cx::of_user(&world.app, world.alice.clone(), RequestInfo::default());
    let sent = rawdoc! { "url": "https://evil.example" };
    let Explained::Call(explained) = cx.explain("web", "get", &sent).await.unwrap() else {
        panic!("a service that is no data source");
    };
    assert!(!explained.allowed());
    let tested = &explained.asked[0].because[0];
    assert_eq!(
        (&tested.subject, &tested.value),
        (&Some("evil.example".into()), &Some("10.0.0.1".into()))
    );
}
