//! Another identity for a user.

use app::RequestInfo;
use app::users::{Device, Login, UserQuery};
use bson::{Document, doc};
use kit::limit;

use super::{World, account};

impl World {
    /// Links, and says whose user it is now or what was answered.
    async fn link(
        &self,
        login: &Login,
        provider: &str,
        credentials: &Document,
    ) -> Result<String, String> {
        let request = RequestInfo::default();
        let (token, device) = (&login.access_token, Device::default());
        let linked = self
            .app
            .link(token, provider, credentials, device, &request);
        match linked.await {
            Ok(linked) => {
                let user = self.app.authenticate(&linked.access_token).await.unwrap();
                assert_eq!(user.id, linked.user_id);
                Ok(linked.user_id)
            }
            Err(problem) => Err(format!("{}: {}", problem.code, problem.message)),
        }
    }

    async fn types(&self, user_id: &str) -> Vec<String> {
        let user = self.app.user(user_id).await.unwrap();
        let keys: Vec<String> = user.identities.iter().map(state::Identity::key).collect();
        assert_eq!(keys, user.keys);
        let types = user.identities.into_iter().map(|one| one.provider_type);
        types.collect()
    }

    async fn count(&self) -> usize {
        let all = UserQuery::default();
        self.app.list_users(&all).await.unwrap().len()
    }
}

const TAKEN: &str = "AuthError: unauthorized";
const SECOND: &str = "InternalServerError: unauthorized";

#[tokio::test]
async fn an_account_makes_an_anonymous_user_somebody() {
    let mut world = World::new().await;
    let nobody = world.anonymous().await;
    let request = RequestInfo::default();
    let made = world
        .app
        .create_api_key(&nobody.user_id, "k")
        .await
        .unwrap();
    // It is cached with its one identity.
    let user = world.app.authenticate(&nobody.access_token).await.unwrap();
    assert_eq!(user.identities.len(), 1);
    world.register("ann@x").await;
    assert_eq!(world.app.pending_users(None).await.unwrap().len(), 1);
    world.told();
    let linked = world
        .link(&nobody, "local-userpass", &account("ann@x"))
        .await;
    assert_eq!(linked.unwrap(), nobody.user_id);
    assert_eq!(world.told(), ["CREATE local-userpass 2"]);
    assert_eq!(
        world.types(&nobody.user_id).await,
        ["anon-user", "local-userpass"]
    );
    // The token of before sees it, the registration is used up, and there is no
    // second user.
    let user = world.app.authenticate(&nobody.access_token).await.unwrap();
    assert_eq!(user.identities.len(), 2);
    assert_eq!(user.data, doc! { "email": "ann@x" });
    assert!(world.app.pending_users(None).await.unwrap().is_empty());
    let ann = world.by_password("ann@x").await.unwrap();
    assert_eq!(ann.user_id, nobody.user_id);
    assert_eq!(world.count().await, 1);
    // Once more changes nothing.
    let again = world.link(&ann, "local-userpass", &account("ann@x")).await;
    assert_eq!(again.unwrap(), ann.user_id);
    assert_eq!(world.types(&ann.user_id).await.len(), 2);
    // Own keys may be linked as well.
    let key = doc! { "key": made.key };
    assert_eq!(
        world.link(&ann, "api-key", &key).await.unwrap(),
        ann.user_id
    );
    assert_eq!(world.types(&ann.user_id).await.len(), 3);
    assert_eq!(world.told(), ["LOGIN local-userpass 2", "CREATE api-key 3"]);
    // The next anonymous user is another one.
    assert_ne!(world.anonymous().await.user_id, ann.user_id);
    world.app.delete_user(&ann.user_id, &request).await.unwrap();
    assert!(world.by_password("ann@x").await.is_err());
    let logged = world.logged().await;
    assert_eq!(
        logged[2..],
        [
            "CREATE local-userpass",
            "LINK local-userpass",
            "LOGIN local-userpass",
            "LINK local-userpass",
            "CREATE api-key",
            "LINK api-key",
            "CREATE anon-user",
            "LOGIN anon-user",
            "DELETE anon-user,local-userpass,api-key",
            "LOGIN local-userpass InvalidPassword",
        ]
    );
}

#[tokio::test]
async fn what_is_another_users_is_refused_and_nothing_changes() {
    let mut world = World::new().await;
    for email in ["ann@x", "bob@x", "new@x"] {
        world.register(email).await;
    }
    let ann = world.by_password("ann@x").await.unwrap();
    let bob = world.by_password("bob@x").await.unwrap();
    let nobody = world.anonymous().await;
    let of_ann = world.app.create_api_key(&ann.user_id, "k").await.unwrap();
    let of_server = world.app.create_api_key("", "robot").await.unwrap();
    world.told();
    let by_key = |key: &str| doc! { "key": key };
    for (who, provider, credentials, answer) in [
        (&nobody, "local-userpass", account("ann@x"), TAKEN),
        (&bob, "local-userpass", account("ann@x"), TAKEN),
        (&bob, "local-userpass", account("new@x"), SECOND),
        (&bob, "api-key", by_key(&of_ann.key), TAKEN),
        (&nobody, "api-key", by_key(&of_server.key), TAKEN),
        (&nobody, "api-key", by_key("nothing"), TAKEN),
        (
            &nobody,
            "local-userpass",
            doc! { "username": "new@x", "password": "secret124" },
            "InvalidPassword: unauthorized",
        ),
        (
            &nobody,
            "local-userpass",
            account("nobody@x"),
            "InvalidPassword: unauthorized",
        ),
        (
            &bob,
            "anon-user",
            doc! {},
            "BadRequest: an anonymous identity cannot be linked to a user",
        ),
        (
            &bob,
            "oauth2-google",
            doc! {},
            "InvalidSession: invalid session",
        ),
    ] {
        let refused = world.link(who, provider, &credentials).await;
        assert_eq!(refused.unwrap_err(), answer, "{provider} {credentials}");
    }
    assert_eq!(world.told(), [""; 0]);
    for user in [&ann, &bob, &nobody] {
        assert_eq!(world.types(&user.user_id).await.len(), 1);
    }
    // Nobody's account is still there for its owner.
    let new = world.by_password("new@x").await.unwrap();
    assert!(![&ann.user_id, &bob.user_id, &nobody.user_id].contains(&&new.user_id));
    // Wrong passwords count as at a login.
    let wrong = doc! { "username": "bob@x", "password": "secret124" };
    for _ in 0..limit::LOGIN_FAILURES_PER_MINUTE_MAX {
        world
            .link(&nobody, "local-userpass", &wrong)
            .await
            .unwrap_err();
    }
    let refused = world.by_password("bob@x").await.unwrap_err();
    assert!(refused.starts_with("TooManyRequests"), "{refused}");
}

#[tokio::test]
async fn who_may_not_come_in_cannot_link() {
    let world = World::new().await;
    world.register("ann@x").await;
    let nobody = world.anonymous().await;
    let request = RequestInfo::default();
    world
        .app
        .set_user_disabled(&nobody.user_id, true)
        .await
        .unwrap();
    let refused = world
        .link(&nobody, "local-userpass", &account("ann@x"))
        .await;
    assert_eq!(refused.unwrap_err(), "InvalidSession: invalid session");
    world
        .app
        .delete_user(&nobody.user_id, &request)
        .await
        .unwrap();
    let refused = world
        .link(&nobody, "local-userpass", &account("ann@x"))
        .await;
    assert_eq!(refused.unwrap_err(), "InvalidSession: invalid session");
    assert_eq!(world.app.pending_users(None).await.unwrap().len(), 1);
}

/// Of two accounts that are linked at a time one is the second; of two users
/// who link one account one has it.
#[tokio::test(flavor = "multi_thread")]
async fn links_at_the_same_time_come_one_after_the_other() {
    for _ in 0..20 {
        let world = World::new().await;
        for email in ["a@x", "b@x", "c@x"] {
            world.register(email).await;
        }
        let (one, two) = (world.anonymous().await, world.anonymous().await);
        let (a, b, c) = (account("a@x"), account("b@x"), account("c@x"));
        let both = tokio::join!(
            world.link(&one, "local-userpass", &a),
            world.link(&one, "local-userpass", &b),
        );
        match both {
            (Ok(_), Err(problem)) | (Err(problem), Ok(_)) => assert_eq!(problem, SECOND),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.types(&one.user_id).await.len(), 2);
        let three = world.anonymous().await;
        let both = tokio::join!(
            world.link(&two, "local-userpass", &c),
            world.link(&three, "local-userpass", &c),
        );
        match both {
            (Ok(_), Err(problem)) | (Err(problem), Ok(_)) => assert_eq!(problem, TAKEN),
            other => panic!("{other:?}"),
        }
        let of_c = world.by_password("c@x").await.unwrap().user_id;
        assert_eq!(world.types(&of_c).await.len(), 2);
    }
}

/// Whoever is removed while linking takes the account along, or never had it.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_removal_leave_nothing_between() {
    for round in 0..40 {
        let world = World::new().await;
        world.register("a@x").await;
        let nobody = world.anonymous().await;
        let (request, a) = (RequestInfo::default(), account("a@x"));
        let remove = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.app.delete_user(&nobody.user_id, &request).await
        };
        let (linked, removed) = tokio::join!(
            world.app.link(
                &nobody.access_token,
                "local-userpass",
                &a,
                Device::default(),
                &request
            ),
            remove
        );
        removed.unwrap();
        match world.by_password("a@x").await {
            // It was not linked, or not yet: it is nobody's.
            Ok(login) => {
                assert!(linked.is_err());
                assert_ne!(login.user_id, nobody.user_id);
                assert_eq!(world.count().await, 1);
            }
            Err(_) => assert_eq!(world.count().await, 0),
        }
        assert!(world.app.user(&nobody.user_id).await.is_err());
    }
}
