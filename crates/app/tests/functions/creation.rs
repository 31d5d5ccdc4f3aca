//! The user creation function.

use app::users::Device;
use app::{LogQuery, RequestInfo};
use bson::doc;

use super::World;

const PROVIDERS: &str = r#"{"anon-user":{"name":"anon-user","type":"anon-user","disabled":false},
    "api-key":{"name":"api-key","type":"api-key","disabled":false},
    "local-userpass":{"name":"local-userpass","type":"local-userpass",
    "config":{"autoConfirm":true},"disabled":false}}"#;
const DATA: &str = r#"{"enabled":true,"mongo_service_name":"mongodb-atlas","database_name":"d",
    "collection_name":"people","user_id_field":"user_id",
    "on_user_creation_function_name":"welcome"}"#;

/// Writes down the new user, but not those called `no`.
const WELCOME: &str = r"exports = async (user) => {
    const people = context.services.get('mongodb-atlas').db('d').collection('people');
    if ((user.data.email ?? '').startsWith('no')) throw new Error('not you');
    await people.insertOne({ user_id: user.id, type: user.type, email: user.data.email ?? null,
        provider: user.identities[0].provider_type, self: context.user.id === user.id,
        system: context.runningAsSystem(), colour: 'blue' });
}";

async fn world() -> World {
    let functions = [("welcome", r#","private":true"#, WELCOME)];
    let files = [
        ("auth/providers.json", PROVIDERS),
        ("auth/custom_user_data.json", DATA),
    ];
    let world = World::new(&functions, &files).await;
    // Those that every world has.
    world.on_people("deleteMany").await;
    world
}

impl World {
    async fn log_in(&self, provider: &str, email: &str) -> Result<app::users::Login, String> {
        let credentials = doc! { "username": email, "password": "secret123" };
        let info = RequestInfo::default();
        let login = self
            .app
            .login(provider, &credentials, Device::default(), &info);
        login
            .await
            .map_err(|problem| format!("{}: {}", problem.code, problem.message))
    }

    async fn on_people(&self, action: &str) -> bson::Bson {
        let cx = app::Cx::of_system(&self.app, RequestInfo::default());
        let asked =
            bson::rawdoc! { "database": "d", "collection": "people", "project": { "_id": 0 } };
        let found = cx.data("mongodb-atlas", action, &asked).await.unwrap();
        bson::Bson::try_from(found).unwrap()
    }

    async fn people(&self) -> Vec<bson::Document> {
        let found = self.on_people("find").await;
        let found = found.as_array().unwrap().iter();
        found
            .map(|one| one.as_document().unwrap().clone())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_once_before_the_first_token() {
    let world = world().await;
    let info = RequestInfo::default();
    let register = world.app.register("ann@x", "secret123", &info);
    register.await.unwrap();
    // A registration is no user yet.
    assert!(world.people().await.is_empty());
    let login = world.log_in("local-userpass", "ann@x").await.unwrap();
    assert_eq!(
        world.people().await,
        [doc! {
            "user_id": &login.user_id, "type": "normal", "email": "ann@x",
            "provider": "local-userpass", "self": true, "system": true, "colour": "blue",
        }]
    );
    // What it wrote is in the first token.
    let user = world.app.authenticate(&login.access_token).await.unwrap();
    assert_eq!(user.custom_data.get_str("colour").unwrap(), "blue");
    let again = world.log_in("local-userpass", "ann@x").await.unwrap();
    assert_eq!(again.user_id, login.user_id);
    assert_eq!(world.people().await.len(), 1);

    let nobody = world.log_in("anon-user", "").await.unwrap();
    assert_eq!(
        world.people().await[1].get_str("user_id").unwrap(),
        nobody.user_id
    );
    let made = world.app.create_user("bob@x", "secret123", &info).await;
    let made = made.unwrap();
    assert_eq!(
        world.people().await[2].get_str("user_id").unwrap(),
        &*made.id
    );
    // A server's key registers nobody.
    world.app.create_api_key("", "robot").await.unwrap();
    assert_eq!(world.people().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_it_refuses_is_no_user() {
    let world = world().await;
    let info = RequestInfo::default();
    let register = world.app.register("no@x", "secret123", &info);
    register.await.unwrap();
    let refused = "FunctionExecutionError: the user creation function failed";
    for _ in 0..2 {
        let login = world.log_in("local-userpass", "no@x").await;
        assert_eq!(login.unwrap_err(), refused);
    }
    let made = world.app.create_user("nope@x", "secret123", &info).await;
    assert_eq!(made.unwrap_err().code, "FunctionExecutionError");
    // Nothing is in the way of another try.
    let made = world.app.create_user("nope@x", "secret123", &info).await;
    assert_eq!(made.unwrap_err().code, "FunctionExecutionError");
    let all = app::users::UserQuery::default();
    let others = world.app.list_users(&all).await.unwrap();
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(world.people().await.is_empty());
    let query = LogQuery {
        kinds: vec!["AUTH".to_owned()],
        errors_only: true,
        ..LogQuery::default()
    };
    let logs = world.core.logbook.read(&world.app.id, &query);
    let (logs, _) = logs.await.unwrap();
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[0].error_code, "FunctionExecutionError");
}

/// Many first logins with one account at a time are one user.
#[tokio::test(flavor = "multi_thread")]
async fn logins_at_the_same_time_make_one_user() {
    let world = world().await;
    let info = RequestInfo::default();
    let register = world.app.register("ann@x", "secret123", &info);
    register.await.unwrap();
    let login = || world.log_in("local-userpass", "ann@x");
    let (a, b, c) = tokio::join!(login(), login(), login());
    let ids = [a, b, c].map(|login| login.unwrap().user_id);
    assert_eq!([&ids[0], &ids[0]], [&ids[1], &ids[2]]);
    assert_eq!(world.people().await.len(), 1);
}
