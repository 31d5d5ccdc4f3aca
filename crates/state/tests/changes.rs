//! What is written on behalf of a change is in its record, or is not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Document, RawDocument, RawDocumentBuf, doc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use engine_embedded::Embedded;
use kit::SystemClock;
use state::{AuditEntry, Blob, Project, Secret, State, change};

/// An engine that ends, as it were, before anything is committed.
struct Ending {
    engine: SharedEngine,
    ends: AtomicBool,
}

impl Engine for Ending {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        let commits = command
            .get("commitTransaction")
            .is_ok_and(|it| it.is_some());
        if !commits || !self.ends.load(Ordering::SeqCst) {
            return self.engine.command(database, command);
        }
        Box::pin(async move {
            let mut abort = doc! { "abortTransaction": 1 };
            let rest = Document::try_from(command)?.into_iter().skip(1);
            abort.extend(rest);
            let abort = RawDocumentBuf::try_from(&abort)?;
            self.engine.command(database, &abort).await?;
            Err(CommandError::new(8, "the server ended"))
        })
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        self.engine.watch(request)
    }
}

fn entry(id: &str) -> AuditEntry {
    AuditEntry {
        id: id.to_owned(),
        request_id: String::new(),
        at: 1,
        administrator_id: String::new(),
        administrator: String::new(),
        provider: String::new(),
        operation: String::new(),
        project_id: String::new(),
        app_id: String::new(),
        resource: String::new(),
        origin: String::new(),
        address: String::new(),
        status: 0,
        changed: Some(Vec::new()),
        interrupted: false,
        error_code: String::new(),
        made: String::new(),
    }
}

fn project(id: &str) -> Project {
    Project {
        id: id.to_owned(),
        name: "p".to_owned(),
        created: 5,
    }
}

#[tokio::test]
async fn writes_are_noted_by_the_commit_that_makes_them() {
    let engine = Arc::new(Ending {
        engine: Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap()),
        ends: AtomicBool::new(false),
    });
    let shared: SharedEngine = engine.clone();
    let state = State::open(&shared, state::DATABASE).await.unwrap();
    let changed = async |id: &str| {
        let entry = state.audit.get(id).await.unwrap().unwrap();
        entry.changed.unwrap()
    };
    for id in ["nothing", "lost", "made", "secrets", "other"] {
        state.audit.insert(&entry(id)).await.unwrap();
    }
    state.projects.insert(&project("1")).await.unwrap();

    // What has no effect is none.
    change::within("nothing", async {
        let taken = state.projects.insert(&project("1")).await.unwrap_err();
        assert!(taken.is_duplicate_key());
        let nobody = doc! { "_id": "2" };
        let set = doc! { "$set": { "name": "x" } };
        assert!(!state.projects.change(nobody, set).await.unwrap());
        assert!(!state.projects.delete("2").await.unwrap());
        // Contents are no changes before something refers to them.
        let blob = Blob {
            id: "b".to_owned(),
            bytes: vec![1],
        };
        state.blobs.insert(&blob).await.unwrap();
        state.projects.unsynced().put(&project("3")).await.unwrap();
    })
    .await;
    assert_eq!(changed("nothing").await, Vec::<String>::new());

    engine.ends.store(true, Ordering::SeqCst);
    let lost = change::within("lost", async {
        let gone = state.projects.delete("1").await;
        gone.and(state.projects.insert(&project("4")).await.map(|()| true))
    });
    assert!(lost.await.is_err());
    engine.ends.store(false, Ordering::SeqCst);
    assert_eq!(changed("lost").await, Vec::<String>::new());
    assert!(state.projects.get("1").await.unwrap().is_some());
    assert!(state.projects.get("4").await.unwrap().is_none());

    // In a task of its own, too.
    change::within("made", async {
        state.projects.put(&project("5")).await.unwrap();
        let (of, set) = (doc! { "_id": "5" }, doc! { "$set": { "name": "x" } });
        assert!(state.projects.change(of, set).await.unwrap());
        let state = state.clone();
        let gone = change::carried(async move { state.projects.delete_all(doc! {}).await });
        assert_eq!(tokio::spawn(gone).await.unwrap().unwrap(), 3);
    })
    .await;
    assert_eq!(changed("made").await, ["projects"]);
    change::within("secrets", async {
        let state = state.clone();
        let secret = Secret {
            id: "s".to_owned(),
            app_id: "a".to_owned(),
            name: "n".to_owned(),
            sealed: Vec::new(),
        };
        let put = change::carried(async move { state.secrets.put(&secret).await });
        tokio::spawn(put).await.unwrap().unwrap();
    })
    .await;
    assert_eq!(changed("secrets").await, ["secrets"]);
    change::within("other", state.erase_app("a")).await.unwrap();
    assert_eq!(changed("other").await, ["apps"]);
    // Nobody's change is in no record.
    state.projects.insert(&project("6")).await.unwrap();
    assert_eq!(changed("made").await, ["projects"]);
}
