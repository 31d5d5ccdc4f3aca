//! Records at rest, and seals.

mod changes;
mod logs;

use std::sync::{Arc, Mutex};

use bson::{Document, RawDocument, doc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
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
    // A key of one purpose opens nothing of another's.
    let (one, two) = (key.for_purpose("a"), key.for_purpose("b"));
    let sealed = one.seal(b"hunter2");
    assert_eq!(key.for_purpose("a").open(&sealed).unwrap(), b"hunter2");
    for other in [&key, &two, &MasterKey::from_text("two").for_purpose("a")] {
        assert_eq!(other.open(&sealed), Err(SealError::Damaged));
    }
    assert_eq!(one.open(&key.seal(b"hunter2")), Err(SealError::Damaged));
}

#[tokio::test]
async fn records_that_are_there_do_not_keep_others_out() {
    let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
    let state = State::open(&engine, state::DATABASE).await.unwrap();
    let blob = |id: &str, bytes: usize| state::Blob {
        id: id.to_owned(),
        bytes: vec![0; bytes],
    };
    let large = 5 * 1024 * 1024;
    state.blobs.insert(&blob("b", 1)).await.unwrap();
    // More than one command takes, and one that is there in the middle.
    let all = [
        blob("a", 1),
        blob("b", 2),
        blob("c", large),
        blob("d", large),
    ];
    state.blobs.insert_missing(&all).await.unwrap();
    state.blobs.insert_missing(&all).await.unwrap();
    state.blobs.insert_missing(&[]).await.unwrap();
    let kept = state.blobs.list(doc! {}, doc! { "_id": 1 }, 0, 0).await;
    let kept: Vec<usize> = kept.unwrap().iter().map(|b| b.bytes.len()).collect();
    assert_eq!(kept, [1, 1, large, large]);
}

#[tokio::test]
async fn what_was_said_first_holds() {
    let engine: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
    let one = State::open(&engine, "records").await.unwrap();
    let two = State::open(&engine, "records").await.unwrap();
    assert_eq!(one.agree("project", "a").await.unwrap(), "a");
    assert_eq!(two.agree("project", "b").await.unwrap(), "a");
    let other = State::open(&engine, "others").await.unwrap();
    assert_eq!(other.agree("project", "b").await.unwrap(), "b");
}

mod leases {
    use std::time::{Duration, Instant};

    use bson::{Document, doc};
    use state::leases::Candidate;

    use super::{Arc, Embedded, SharedEngine, State, SystemClock};

    const PATIENCE: Duration = Duration::from_secs(10);

    struct Servers {
        state: State,
        one: Candidate,
        two: Candidate,
        start: Instant,
    }

    impl Servers {
        async fn new() -> Self {
            let engine: SharedEngine =
                Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
            let state = State::open(&engine, state::DATABASE).await.unwrap();
            let candidate = |name| Candidate::new(&state.leases, "job", name, PATIENCE);
            Self {
                one: candidate("one"),
                two: candidate("two"),
                state,
                start: Instant::now(),
            }
        }

        fn after(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
    }

    #[tokio::test]
    async fn a_paused_holder_is_replaced_and_writes_nothing_any_more() {
        let mut servers = Servers::new().await;
        let first = servers.one.take(servers.start).await.unwrap().unwrap();
        assert!(first.keep(doc! { "n": 1 }).await.unwrap());
        let now = servers.after(1);
        assert!(servers.two.take(now).await.unwrap().is_none());
        // It lives: patience begins again.
        assert!(first.renew().await.unwrap());
        for seconds in [9, 12, 18] {
            let now = servers.after(seconds);
            assert!(servers.two.take(now).await.unwrap().is_none(), "{seconds}");
        }
        // The first is paused from here on.
        let now = servers.after(19);
        let second = servers.two.take(now).await.unwrap().unwrap();
        assert_eq!(second.kept, doc! { "n": 1 });
        assert!(second.keep(doc! { "n": 2 }).await.unwrap());
        // And goes on.
        assert!(!first.keep(doc! { "n": 3 }).await.unwrap());
        assert!(!first.renew().await.unwrap());
        first.release().await.unwrap();
        assert_eq!(servers.one.kept().await.unwrap(), doc! { "n": 2 });
        assert!(second.renew().await.unwrap());
        let now = servers.after(19);
        assert!(servers.one.take(now).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_given_back_is_taken_at_once_by_one() {
        let mut servers = Servers::new().await;
        let now = servers.start;
        let (one, two) = tokio::join!(servers.one.take(now), servers.two.take(now));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.is_some() != two.is_some());
        let held = one.or(two).unwrap();
        held.clone().release().await.unwrap();
        assert!(!held.keep(doc! { "late": true }).await.unwrap());
        let (one, two) = tokio::join!(servers.one.take(now), servers.two.take(now));
        assert!(one.unwrap().is_some() != two.unwrap().is_some());
        assert_eq!(servers.one.kept().await.unwrap(), Document::new());
        assert_eq!(servers.state.leases.count(doc! {}).await.unwrap(), 1);
    }
}

/// An engine that notes what it is asked.
struct Noting {
    engine: SharedEngine,
    asked: Mutex<Vec<Document>>,
}

impl Engine for Noting {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        let noted = Document::try_from(command).unwrap();
        self.asked.lock().unwrap().push(noted);
        self.engine.command(database, command)
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        self.engine.watch(request)
    }
}

#[tokio::test]
async fn many_records_are_one_command_and_some_do_not_wait_for_the_disk() {
    let engine = Arc::new(Noting {
        engine: Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap()),
        asked: Mutex::default(),
    });
    let shared: SharedEngine = engine.clone();
    let state = State::open(&shared, state::DATABASE).await.unwrap();
    let blobs: Vec<state::Blob> = (0..500)
        .map(|n| state::Blob {
            id: n.to_string(),
            bytes: Vec::new(),
        })
        .collect();
    state.blobs.insert_missing(&blobs[..1]).await.unwrap();
    engine.asked.lock().unwrap().clear();
    // One that is there costs nothing: each command is a sync of its own.
    state.blobs.insert_missing(&blobs).await.unwrap();
    let project = Project {
        id: "p".to_owned(),
        name: "p".to_owned(),
        created: 5,
    };
    let lazy = state.projects.unsynced();
    lazy.insert(&project).await.unwrap();
    let set = doc! { "$set": { "name": "q" } };
    assert!(lazy.change(doc! { "_id": "p" }, set).await.unwrap());
    assert_eq!(lazy.get("p").await.unwrap().unwrap().name, "q");
    assert!(state.projects.delete("p").await.unwrap());
    let asked = engine.asked.lock().unwrap();
    let concern = doc! { "w": "majority", "j": false };
    let told: Vec<(&str, Option<&Document>)> = asked
        .iter()
        .map(|command| {
            let name = command.keys().next().unwrap().as_str();
            (name, command.get_document("writeConcern").ok())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("insert", None),
            ("insert", Some(&concern)),
            ("update", Some(&concern)),
            ("find", None),
            ("delete", None),
        ]
    );
}
