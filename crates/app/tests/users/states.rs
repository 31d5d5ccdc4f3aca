//! From the first login to the end.

use app::RequestInfo;
use bson::doc;

use super::{NOW_MS, World};

#[tokio::test]
async fn a_user_comes_logs_in_and_goes() {
    let mut world = World::new().await;
    world.register("ann@x").await;
    assert_eq!(world.told(), [""; 0]);
    let ann = world.by_password("ann@x").await.unwrap();
    assert_eq!(
        world.told(),
        ["CREATE local-userpass 1", "LOGIN local-userpass 1"]
    );
    world.clock.advance_ms(60_000);
    world.by_password("ann@x").await.unwrap();
    assert_eq!(world.told(), ["LOGIN local-userpass 1"]);
    let record = world.app.user(&ann.user_id).await.unwrap();
    assert_eq!(
        (record.created, record.last_login),
        (NOW_MS, NOW_MS + 60_000)
    );

    let wrong = doc! { "username": "ann@x", "password": "secret124" };
    let refused = world.login("local-userpass", &wrong).await.unwrap_err();
    assert_eq!(refused, "InvalidPassword: unauthorized");
    world
        .app
        .set_user_disabled(&ann.user_id, true)
        .await
        .unwrap();
    world.clock.advance_ms(60_000);
    let refused = world.by_password("ann@x").await.unwrap_err();
    assert_eq!(refused, "UserDisabled: user disabled");
    // Who is not let in has not logged in.
    let record = world.app.user(&ann.user_id).await.unwrap();
    assert_eq!(record.last_login, NOW_MS + 60_000);
    assert_eq!(world.told(), [""; 0]);

    let key = world.app.create_api_key(&ann.user_id, "k").await.unwrap();
    world
        .app
        .set_user_disabled(&ann.user_id, false)
        .await
        .unwrap();
    world
        .login("api-key", &doc! { "key": key.key })
        .await
        .unwrap();
    assert_eq!(world.told(), ["CREATE api-key 2", "LOGIN api-key 2"]);
    let request = RequestInfo::default();
    world.app.delete_user(&ann.user_id, &request).await.unwrap();
    assert_eq!(world.told(), ["DELETE local-userpass,api-key 2"]);
    let refused = world.by_password("ann@x").await.unwrap_err();
    assert_eq!(refused, "InvalidPassword: unauthorized");
    let again = world.app.delete_user(&ann.user_id, &request).await;
    assert_eq!(again.unwrap_err().code, "UserNotFound");
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(
        world.logged().await,
        [
            "CREATE local-userpass",
            "LOGIN local-userpass",
            "LOGIN local-userpass",
            "LOGIN local-userpass InvalidPassword",
            "LOGIN local-userpass UserDisabled",
            "CREATE api-key",
            "LOGIN api-key",
            "DELETE local-userpass,api-key",
            "LOGIN local-userpass InvalidPassword",
        ]
    );
    assert_eq!(world.core.state.sessions.count(doc! {}).await.unwrap(), 0);
    assert_eq!(world.core.state.passwords.count(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn the_oldest_session_ends_for_one_too_many() {
    let world = World::new().await;
    let first = world.anonymous().await;
    let session = world.core.state.sessions.first(doc! {}).await.unwrap();
    let session = session.unwrap();
    let more: Vec<_> = (1..kit::limit::USER_SESSIONS_MAX)
        .map(|n| state::Session {
            id: format!("{n:024}"),
            created: session.created + 1,
            ..session.clone()
        })
        .collect();
    world.core.state.sessions.insert_many(&more).await.unwrap();
    world.app.authenticate(&first.access_token).await.unwrap();
    world.clock.advance_ms(1000);
    let key = world.app.create_api_key(&first.user_id, "k").await.unwrap();
    let second = world.login("api-key", &doc! { "key": key.key }).await;
    let second = second.unwrap();
    assert_eq!(second.user_id, first.user_id);
    world.app.authenticate(&second.access_token).await.unwrap();
    let ended = world.app.authenticate(&first.access_token).await;
    assert_eq!(ended.unwrap_err().code, "InvalidSession");
    assert!(world.app.refresh(&first.refresh_token).await.is_err());
    let kept = world.core.state.sessions.count(doc! {}).await.unwrap();
    assert_eq!(kept, kit::limit::USER_SESSIONS_MAX);
}

#[tokio::test]
async fn the_sessions_of_a_key_end_with_it() {
    let mut world = World::new().await;
    world.register("ann@x").await;
    let ann = world.by_password("ann@x").await.unwrap();
    let of_ann = world.app.create_api_key(&ann.user_id, "k").await.unwrap();
    let of_server = world.app.create_api_key("", "robot").await.unwrap();
    for (owner, made) in [(ann.user_id.as_str(), &of_ann), ("", &of_server)] {
        let key = doc! { "key": &made.key };
        for gone in [false, true] {
            let login = world.login("api-key", &key).await.unwrap();
            let user = world.app.authenticate(&login.access_token).await.unwrap();
            let before = user.identities.len();
            world.told();
            if gone {
                world
                    .app
                    .delete_api_key(owner, &made.record.id)
                    .await
                    .unwrap();
            } else {
                let switch = world.app.set_api_key(owner, &made.record.id, true);
                switch.await.unwrap();
            }
            let ended = world.app.authenticate(&login.access_token).await;
            assert_eq!(ended.unwrap_err().code, "InvalidSession");
            assert!(world.app.refresh(&login.refresh_token).await.is_err());
            let refused = world.login("api-key", &key).await.unwrap_err();
            assert_eq!(refused, "AuthError: unauthorized");
            let user = world.app.user(&user.id).await.unwrap();
            assert_eq!(user.identities.len(), before - usize::from(gone));
            assert_eq!(user.keys.len(), user.identities.len());
            assert_eq!(world.told(), [""; 0]);
            let switch = world.app.set_api_key(owner, &made.record.id, false).await;
            assert_eq!(switch.is_err(), gone);
        }
    }
    // The session that began with the password goes on.
    world.app.authenticate(&ann.access_token).await.unwrap();
    world.app.refresh(&ann.refresh_token).await.unwrap();
}
