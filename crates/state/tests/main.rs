//! Records at rest, and seals.

use std::sync::Arc;

use bson::doc;
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::SystemClock;
use state::{MasterKey, Project, SealError, Secret, State};

#[tokio::test]
async fn records_come_back() {
    let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
    let state = State::open(&engine, state::DATABASE).await.unwrap();
    let project = |id: &str| Project {
        id: id.to_owned(),
        name: format!("p{id}"),
        created: 5,
    };
    state.projects.insert(&project("1")).await.unwrap();
    assert!(
        state
            .projects
            .insert(&project("1"))
            .await
            .unwrap_err()
            .is_duplicate_key()
    );
    state.projects.put(&project("2")).await.unwrap();
    let changed = state.projects.change(
        doc! { "_id": "2", "name": "p2" },
        doc! { "$set": { "name": "x" } },
    );
    assert!(changed.await.unwrap());
    assert!(
        !state
            .projects
            .change(
                doc! { "_id": "2", "name": "p2" },
                doc! { "$set": { "name": "y" } }
            )
            .await
            .unwrap()
    );
    let all = state
        .projects
        .list(doc! {}, doc! { "_id": -1 }, 0, 0)
        .await
        .unwrap();
    assert_eq!(
        all.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["x", "p1"]
    );
    let secret = Secret {
        id: "s".to_owned(),
        app_id: "a".to_owned(),
        name: "n".to_owned(),
        sealed: vec![0, 255],
    };
    state.secrets.insert(&secret).await.unwrap();
    assert_eq!(
        state.secrets.get("s").await.unwrap().unwrap().sealed,
        [0, 255]
    );
    // Another app may use the name; the same one may not.
    let other = |id: &str, app: &str| Secret {
        id: id.to_owned(),
        app_id: app.to_owned(),
        ..secret.clone()
    };
    state.secrets.insert(&other("t", "b")).await.unwrap();
    assert!(
        state
            .secrets
            .insert(&other("u", "a"))
            .await
            .unwrap_err()
            .is_duplicate_key()
    );
    state.erase_app("a").await.unwrap();
    assert!(state.secrets.get("s").await.unwrap().is_none());
    assert!(state.secrets.get("t").await.unwrap().is_some());
}

#[test]
fn seals_open_with_their_key_only() {
    let key = MasterKey::from_text("one");
    let sealed = key.seal(b"hunter2");
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    assert_ne!(
        sealed,
        key.seal(b"hunter2"),
        "each seal has a nonce of its own"
    );
    assert_eq!(key.open(&sealed).unwrap(), b"hunter2");
    assert_eq!(
        MasterKey::from_text("two").open(&sealed),
        Err(SealError::Damaged)
    );
    let mut bent = sealed.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert_eq!(key.open(&bent), Err(SealError::Damaged));
    assert_eq!(key.open(&[]), Err(SealError::Damaged));
    assert_eq!(format!("{key:?}"), "MasterKey(Secret(…))");
}
