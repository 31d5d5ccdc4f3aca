//! Users that come from elsewhere.

use app::RequestInfo;
use bson::doc;
use serde_json::{Value, json};

use super::World;

/// `secret123` by bcrypt, at its least cost.
fn hash() -> String {
    bcrypt::hash("secret123", 4).unwrap()
}

fn ann() -> Value {
    json!({
        "_id": "5f0000000000000000000001", "type": "normal", "disabled": false,
        "creation_date": 1_500_000_000, "last_authentication_date": 1_550_000_000,
        "password_hash": hash(), "favourite": "left out",
        "identities": [
            { "id": "x-abc", "provider_type": "anon-user" },
            {
                "id": "5f00000000000000000000aa", "provider_type": "local-userpass",
                "provider_id": "somewhere else", "provider_data": { "email": "ann@x" },
            },
            { "id": "k", "provider_type": "api-key", "key": "a hash" },
        ],
    })
}

impl World {
    async fn import(&self, users: &[Value]) -> (usize, usize, Vec<(usize, String)>) {
        let done = self.app.import_users(users).await.unwrap();
        (done.created, done.existing, done.refused)
    }

    async fn hash_of(&self, email: &str) -> String {
        let of = doc! { "email": email };
        let account = self.core.state.passwords.first(of).await.unwrap();
        account.unwrap().hash
    }
}

#[tokio::test]
async fn a_user_comes_along_with_id_and_password() {
    let mut world = World::new().await;
    let users = [ann(), json!({ "email": "bob@x", "disabled": true })];
    assert_eq!(world.import(&users).await, (2, 0, vec![]));
    let imported = world.app.user("5f0000000000000000000001").await.unwrap();
    assert_eq!(imported.created, 1_500_000_000_000);
    assert_eq!(imported.last_login, 1_550_000_000_000);
    assert_eq!(imported.keys, ["local-userpass:5f00000000000000000000aa"]);
    assert_eq!(imported.identities[0].data, doc! { "email": "ann@x" });
    assert_eq!(imported.identities[0].provider_id.len(), 24);
    assert!(world.app.pending_users(None).await.unwrap().is_empty());
    // Nobody is told.
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.logged().await, [""; 0]);

    // A wrong password leaves the hash, the right one renews it.
    let wrong = doc! { "username": "ann@x", "password": "secret124" };
    let refused = world.login("local-userpass", &wrong).await.unwrap_err();
    assert_eq!(refused, "InvalidPassword: unauthorized");
    assert!(world.hash_of("ann@x").await.starts_with("$2b$04$"));
    // Of two at a time, both come in.
    let (one, two) = tokio::join!(world.by_password("ann@x"), world.by_password("ann@x"));
    for login in [one, two] {
        let login = login.unwrap();
        assert_eq!(login.user_id, imported.id);
        assert!(world.hash_of("ann@x").await.starts_with("$argon2id$"));
    }
    assert_eq!(world.told(), ["LOGIN local-userpass 1"; 2]);
    let own = world.hash_of("ann@x").await;
    world.by_password("ann@x").await.unwrap();
    assert_eq!(world.hash_of("ann@x").await, own);
    // Who came without a password has none.
    for password in ["", "secret123"] {
        let credentials = doc! { "username": "bob@x", "password": password };
        let refused = world.login("local-userpass", &credentials).await;
        assert_eq!(refused.unwrap_err(), "InvalidPassword: unauthorized");
    }
    // Done again, nothing changes: not even the password of before.
    assert_eq!(world.import(&users).await, (0, 2, vec![]));
    assert_eq!(world.hash_of("ann@x").await, own);
    let request = RequestInfo::default();
    world.app.delete_user(&imported.id, &request).await.unwrap();
    assert_eq!(world.import(&users).await, (1, 1, vec![]));
}

#[tokio::test]
async fn what_an_import_left_that_was_cut_short_is_gone_on_from() {
    let world = World::new().await;
    assert_eq!(world.import(&[ann()]).await.0, 1);
    // The account was there, the user not yet.
    let id = "5f0000000000000000000001";
    assert!(world.core.state.users.delete(id).await.unwrap());
    assert_eq!(world.import(&[ann()]).await, (1, 0, vec![]));
    let login = world.by_password("ann@x").await.unwrap();
    assert_eq!(login.user_id, id);
    let accounts = world.core.state.passwords.count(doc! {}).await;
    assert_eq!(accounts.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_come_is_told_one_by_one() {
    let world = World::new().await;
    world.register("waits@x").await;
    world.register("here@x").await;
    let here = world.by_password("here@x").await.unwrap();
    let id = "5f0000000000000000000009";
    let costly = format!("$2b$31${}", "a".repeat(53));
    let google = json!({ "id": "g", "provider_type": "oauth2-google" });
    let of = |email: &str| json!([{ "provider_type": "local-userpass", "provider_data": { "email": email } }]);
    let cases = [
        (json!("ann"), "a user is an object"),
        (
            json!({}),
            "there is nothing that the user could log in with",
        ),
        (
            json!({ "identities": [{ "id": "a", "provider_type": "anon-user" }] }),
            "there is nothing that the user could log in with",
        ),
        (json!({ "email": "" }), "email invalid"),
        (json!({ "email": "x".repeat(321) }), "email invalid"),
        (json!({ "email": 1 }), "'email' is a text"),
        (
            json!({ "email": "a@x", "type": "server" }),
            "only users of type normal can come along",
        ),
        (
            json!({ "email": "a@x", "_id": "1" }),
            "'_id' has 24 hex digits",
        ),
        (
            json!({ "email": "a@x", "_id": { "$ne": 1 } }),
            "'_id' has 24 hex digits",
        ),
        (
            json!({ "email": "a@x", "creation_date": "today" }),
            "'creation_date' is a time",
        ),
        (
            json!({ "email": "a@x", "disabled": "no" }),
            "'disabled' is true or false",
        ),
        (
            json!({ "email": "a@x", "identities": {} }),
            "'identities' is a list",
        ),
        (
            json!({ "email": "a@x", "identities": of("b@x") }),
            "a user has one e-mail address",
        ),
        (
            json!({ "email": "a@x", "password_hash": costly }),
            "the password hash takes more work or memory to check than is allowed",
        ),
        (
            json!({ "email": "a@x", "password_hash": "secret123" }),
            "the password hash is not well formed",
        ),
        (
            json!({ "identities": [google] }),
            "the app has no provider oauth2-google",
        ),
        (
            json!({ "identities": [{ "id": "x", "provider_type": "oauth2-none" }] }),
            "there is no provider of the type 'oauth2-none'",
        ),
        (
            json!({ "email": "waits@x" }),
            "the e-mail address is registered and waits for a login",
        ),
        (json!({ "email": "twice@x" }), ""),
        (
            json!({ "email": "twice@x" }),
            "an earlier user has the same id or identity",
        ),
        (json!({ "email": "here@x" }), ""),
        (
            json!({ "email": "other@x", "_id": here.user_id }),
            "has other identities",
        ),
        (
            json!({ "email": "here@x", "_id": id }),
            "an earlier user has the same id or identity",
        ),
    ];
    let users: Vec<Value> = cases.iter().map(|(user, _)| user.clone()).collect();
    let (created, existing, refused) = world.import(&users).await;
    assert_eq!((created, existing), (1, 1));
    let mut refused = refused.into_iter();
    for (place, (user, why)) in cases
        .iter()
        .enumerate()
        .filter(|(_, (_, why))| !why.is_empty())
    {
        let (at, told) = refused.next().unwrap();
        assert_eq!(at, place, "{user}");
        assert!(told.contains(why), "{user}: {told}");
    }
    assert_eq!(refused.next(), None);
    let taken = world
        .import(&[json!({ "email": "here@x", "_id": id })])
        .await;
    assert!(
        taken.2[0].1.contains("has an identity of this one"),
        "{taken:?}"
    );
    let many = vec![json!({}); kit::limit::IMPORTED_USERS_MAX + 1];
    let refused = world.app.import_users(&many).await;
    assert_eq!(refused.unwrap_err().code, "BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_at_a_time_are_one() {
    let world = World::new().await;
    let users: Vec<Value> = (0..100)
        .map(|n| json!({ "email": format!("{n}@x"), "_id": format!("{n:024}") }))
        .collect();
    let (one, two) = tokio::join!(world.import(&users), world.import(&users));
    assert_eq!(one.0 + two.0, 100, "{one:?} {two:?}");
    assert_eq!(world.import(&users).await, (0, 100, vec![]));
    let accounts = world.core.state.passwords.count(doc! {}).await;
    assert_eq!(accounts.unwrap(), 100);
}
