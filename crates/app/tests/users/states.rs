//! From the first login to the end.

use app::RequestInfo;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::doc;
use kit::limit;

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
    let more: Vec<_> = (1..limit::USER_SESSIONS_MAX)
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
    assert_eq!(kept, limit::USER_SESSIONS_MAX);
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
            // A server's last key stays its own.
            assert_eq!(user.keys.len(), user.identities.len().max(1));
            assert_eq!(world.told(), [""; 0]);
            let switch = world.app.set_api_key(owner, &made.record.id, false).await;
            assert_eq!(switch.is_err(), gone);
        }
    }
    // The session that began with the password goes on.
    world.app.authenticate(&ann.access_token).await.unwrap();
    world.app.refresh(&ann.refresh_token).await.unwrap();
}

/// What of a session still works: access, refresh.
async fn alive(world: &World, login: &app::users::Login) -> (bool, bool) {
    (
        world.app.authenticate(&login.access_token).await.is_ok(),
        world.app.refresh(&login.refresh_token).await.is_ok(),
    )
}

#[tokio::test]
async fn another_key_signs_and_the_one_before_is_good_for_its_time() {
    let world = World::new().await;
    let kid = |login: &app::users::Login| {
        let header = login.access_token.split('.').next().unwrap();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["alg"], "HS256");
        header["kid"].as_str().unwrap().to_owned()
    };
    let first = world.anonymous().await;
    assert_eq!(kid(&first), "0");
    let known = world.app.rotate_signing_key(None).await.unwrap();
    assert_eq!((known.version, known.former.len()), (1, 1));
    let second = world.anonymous().await;
    assert_eq!(kid(&second), "1");
    // An hour for all that was before, the first key too.
    let known = world.app.rotate_signing_key(Some(3600)).await.unwrap();
    let until = NOW_MS + 3_600_000;
    assert_eq!(known.former, [(0, until), (1, until)]);
    let third = world.anonymous().await;
    for login in [&first, &second, &third] {
        assert_eq!(alive(&world, login).await, (true, true));
    }
    // A refresh is signed with the new key.
    let renewed = world.app.refresh(&first.refresh_token).await.unwrap();
    world.clock.advance_ms(1_799_000);
    world.app.authenticate(&renewed).await.unwrap();
    world.clock.advance_ms(1_800_999);
    let renewed = world.app.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(alive(&world, &first).await, (false, true));
    world.clock.advance_ms(1);
    for login in [&first, &second] {
        assert_eq!(alive(&world, login).await, (false, false));
    }
    world.app.authenticate(&renewed).await.unwrap();
    assert!(world.app.known_signing_keys().former.is_empty());
    // What was verified already is no longer good either.
    let renewed = world.app.refresh(&third.refresh_token).await.unwrap();
    world.app.authenticate(&renewed).await.unwrap();
    let known = world.app.rotate_signing_key(Some(0)).await.unwrap();
    assert_eq!((known.version, known.former), (3, Vec::new()));
    assert!(world.app.authenticate(&renewed).await.is_err());
    assert_eq!(alive(&world, &third).await, (false, false));
    // Somebody who has the number of the new key has not the key.
    let forged = |kid: &str| {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
        let rest = second.access_token.split_once('.').unwrap().1;
        format!("{header}.{rest}")
    };
    for kid in ["3", "4", "0", "-1", "9223372036854775807", "x", ""] {
        let refused = world.app.authenticate(&forged(kid)).await.unwrap_err();
        assert_eq!(refused.code, "InvalidSession", "{kid}");
    }
    for seconds in [-1, limit::ANONYMOUS_REFRESH_TOKEN_S + 1] {
        let refused = world.app.rotate_signing_key(Some(seconds)).await;
        assert_eq!(refused.unwrap_err().code, "BadRequest");
    }
    for _ in 0..limit::FORMER_SIGNING_KEYS_MAX {
        world.app.rotate_signing_key(None).await.unwrap();
    }
    let refused = world.app.rotate_signing_key(None).await;
    assert_eq!(refused.unwrap_err().code, "BadRequest");
    world.app.rotate_signing_key(Some(60)).await.unwrap_err();
    world.app.rotate_signing_key(Some(0)).await.unwrap();
}

/// Whatever comes between a rotation and a refresh, who was logged in is.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_and_refreshes_at_the_same_time_lose_nobody() {
    let world = World::new().await;
    let login = world.anonymous().await;
    let rotate = async {
        for _ in 0..10 {
            world.app.rotate_signing_key(None).await.unwrap();
        }
    };
    let refresh = async {
        for _ in 0..50 {
            let access = world.app.refresh(&login.refresh_token).await.unwrap();
            world.app.authenticate(&access).await.unwrap();
        }
    };
    tokio::join!(rotate, refresh);
    assert_eq!(world.app.known_signing_keys().version, 10);
}

/// Who registers, logs in and is removed at the same time is there whole or not
/// at all.
#[tokio::test(flavor = "multi_thread")]
async fn registrations_logins_and_removals_leave_nothing_between() {
    for round in 0..30 {
        let world = World::new().await;
        world.register("ann@x").await;
        let first = world.by_password("ann@x").await.unwrap();
        let request = RequestInfo::default();
        let remove = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.app.delete_user(&first.user_id, &request).await
        };
        let (removed, registered, login) = tokio::join!(
            remove,
            world.app.register("ann@x", "secret123", &request),
            world.by_password("ann@x"),
        );
        removed.unwrap();
        // Nothing of the former user opens anything.
        assert_eq!(alive(&world, &first).await, (false, false));
        let of = doc! { "user_id": &first.user_id };
        assert_eq!(world.core.state.sessions.count(of).await.unwrap(), 0);
        assert_eq!(world.core.state.devices.count(doc! {}).await.unwrap(), 0);
        let accounts = world.core.state.passwords.count(doc! {}).await.unwrap();
        assert_eq!(accounts == 1, registered.is_ok());
        let again = world.by_password("ann@x").await;
        assert_eq!(again.is_ok(), registered.is_ok());
        if let (Ok(login), Ok(again)) = (login, again) {
            // As the former user, or as the one who registered.
            let ids = [&first.user_id, &again.user_id];
            assert!(ids.contains(&&login.user_id));
            assert_ne!(again.user_id, first.user_id);
        }
    }
}
