//! Registrations that a function confirms.

use app::users::Device;
use app::{LogQuery, RequestInfo};
use bson::doc;

use super::World;

const PROVIDER: &str = r#"{"local-userpass":{"name":"local-userpass","type":"local-userpass",
    "config":{"autoConfirm":false,"runConfirmationFunction":true,
    "confirmationFunctionName":"decide"},"disabled":false}}"#;

/// Says what the name says, and keeps what it was told.
const DECIDE: &str = r"exports = async ({ token, tokenId, username }) => {
    const told = context.services.get('mongodb-atlas').db('d').collection('told');
    await told.insertOne({ _id: token, tokenId, username, user: context.user.id ?? '' });
    if (username.startsWith('throws')) throw new Error('no luck');
    return { status: username.split('@')[0] };
}";

async fn world() -> World {
    let functions = [("decide", r#","private":true"#, DECIDE)];
    World::new(&functions, &[("auth/providers.json", PROVIDER)]).await
}

impl World {
    async fn register(&self, email: &str) -> String {
        let info = RequestInfo::default();
        match self.app.register(email, "secret123", &info).await {
            Ok(()) => "ok".to_owned(),
            Err(problem) => format!("{}: {}", problem.code, problem.message),
        }
    }

    async fn login(&self, email: &str) -> Result<String, String> {
        let credentials = doc! { "username": email, "password": "secret123" };
        let info = RequestInfo::default();
        let login = self
            .app
            .login("local-userpass", &credentials, Device::default(), &info);
        let login = login.await.map_err(|problem| problem.code.to_string())?;
        Ok(login.user_id)
    }

    /// What the function was told last: token and its id.
    async fn told(&self, email: &str) -> (String, String) {
        let cx = app::Cx::of_system(&self.app, RequestInfo::default());
        let asked = bson::rawdoc! { "database": "d", "collection": "told", "query": { "username": email }, "sort": { "tokenId": -1 } };
        let found = cx.data("mongodb-atlas", "findOne", &asked).await.unwrap();
        let found = found.as_document().unwrap();
        let text = |name: &str| found.get_str(name).unwrap().to_owned();
        assert_eq!(text("user"), "");
        (text("_id"), text("tokenId"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_decides_about_registrations() {
    let world = world().await;
    assert_eq!(world.register("success@x").await, "ok");
    assert!(world.login("success@x").await.is_ok());
    for (email, text) in [
        ("fail@x", "BadRequest: failed to confirm user \"fail@x\""),
        (
            "throws@x",
            "BadRequest: failed to confirm user \"throws@x\"",
        ),
        (
            "whatever@x",
            "BadRequest: failed to confirm user \"whatever@x\"",
        ),
    ] {
        assert_eq!(world.register(email).await, text);
        // Nothing is left: it can be tried again.
        assert_eq!(world.register(email).await, text);
        assert_eq!(world.login(email).await.unwrap_err(), "InvalidPassword");
        let (token, id) = world.told(email).await;
        assert!(world.app.confirm(&token, &id).await.is_err());
    }
    let query = LogQuery {
        kinds: vec!["AUTH".to_owned()],
        errors_only: true,
        ..LogQuery::default()
    };
    let (logs, _) = world
        .core
        .logbook
        .read(&world.app.id, &query)
        .await
        .unwrap();
    let thrown = logs.iter().find(|entry| entry.error.contains("no luck"));
    assert!(thrown.is_some(), "the developer finds out why: {logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_registration_is_confirmed_with_the_token_that_the_function_got() {
    let world = world().await;
    assert_eq!(world.register("pending@x").await, "ok");
    assert_eq!(
        world.register("pending@x").await,
        "AccountNameInUse: name already in use"
    );
    assert_eq!(world.login("pending@x").await.unwrap_err(), "AuthError");
    let (first, first_id) = world.told("pending@x").await;
    let info = RequestInfo::default();
    world
        .app
        .run_confirmation("pending@x", &info)
        .await
        .unwrap();
    let (token, id) = world.told("pending@x").await;
    assert_ne!(first, token);
    assert!(
        world.app.confirm(&first, &first_id).await.is_err(),
        "a newer one counts"
    );
    world.app.confirm(&token, &id).await.unwrap();
    assert!(world.login("pending@x").await.is_ok());
    let again = world
        .app
        .run_confirmation("pending@x", &info)
        .await
        .unwrap_err();
    assert_eq!(again.code, "UserAlreadyConfirmed");
    let nobody = world
        .app
        .run_confirmation("nobody@x", &info)
        .await
        .unwrap_err();
    assert_eq!(nobody.code, "UserNotFound");
}
