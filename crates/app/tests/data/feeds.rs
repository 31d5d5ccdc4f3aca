//! Streams over time: slow readers, deployments that are away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bson::RawDocument;
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use tokio::sync::Notify;

use super::World;

/// What an event says, without its token and time, by name.
fn told(event: &RawDocument) -> String {
    let mut told = bson::RawDocumentBuf::new();
    let mut entries: Vec<_> = event.iter().map(Result::unwrap).collect();
    entries.sort_by_key(|(name, _)| name.as_str().to_owned());
    for (name, value) in entries {
        if !matches!(name.as_str(), "_id" | "clusterTime" | "wallTime" | "ns") {
            told.append(name, value);
        }
    }
    super::relaxed(bson::raw::RawBsonRef::Document(&told))
}

/// The next event's operation and key, or the problem that ended the stream.
async fn next(watch: &mut app::data::Watch) -> String {
    match watch.next().await {
        Ok(event) => {
            let key = event.get("documentKey").unwrap().unwrap();
            let operation = event.get_str("operationType").unwrap().to_owned();
            format!("{operation} {}", super::relaxed(key))
        }
        Err(problem) => format!("{}: {}", problem.code, problem.message),
    }
}

/// A reader that comes late reads everything, in order, from the log: what it
/// has not read costs no memory.
#[tokio::test]
async fn slow_readers_miss_nothing() {
    let w = World::with(
        r#"{"name":"o","apply_when":{"o":"%%user.id"},"read":true}"#,
        r#"{"_id":-1}"#,
    )
    .await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    for batch in 0..10 {
        let documents: Vec<String> = (0..200)
            .map(|n| batch * 200 + n)
            .map(|id| format!(r#"{{"_id":{id},"o":"{}"}}"#, ["ann", "bob"][id % 2]))
            .collect();
        w.seed(&documents.join(",")).await;
    }
    for id in (0..2000).step_by(2) {
        assert_eq!(next(&mut watch).await, format!(r#"insert {{"_id":{id}}}"#));
    }
}

/// An engine whose feeds break when they are told to, and which is away for the
/// next two times that one is opened.
struct Breaking {
    inner: SharedEngine,
    breaks: Arc<Notify>,
    away: AtomicU32,
    code: i32,
}

struct BreakingFeed {
    inner: Box<dyn ChangeFeed>,
    breaks: Arc<Notify>,
    code: i32,
}

impl Engine for Breaking {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        self.inner.command(database, command)
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        Box::pin(async move {
            let resumes = request.resume_after.is_some();
            if resumes && self.away.fetch_sub(1, Ordering::SeqCst) > 0 {
                return Err(CommandError::new(133, "nobody is there"));
            }
            Ok(Box::new(BreakingFeed {
                inner: self.inner.watch(request).await?,
                breaks: self.breaks.clone(),
                code: self.code,
            }) as Box<dyn ChangeFeed>)
        })
    }
}

impl ChangeFeed for BreakingFeed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(async {
            tokio::select! {
                biased;
                () = self.breaks.notified() => Err(CommandError::new(self.code, "it broke")),
                event = self.inner.next() => event,
            }
        })
    }

    fn resume_token(&self) -> Option<bson::RawDocumentBuf> {
        self.inner.resume_token()
    }
}

#[tokio::test]
async fn a_stream_goes_on_when_its_deployment_is_back() {
    let role = r#"{"name":"all","apply_when":{},"read":true}"#;
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    for (code, goes_on) in [(6, true), (280, false), (286, false)] {
        let mut w = World::with(role, r#"{"_id":0}"#).await;
        let breaks = Arc::new(Notify::new());
        w.data = app::data::Data::new(
            Arc::new(Breaking {
                inner: w.engine.clone(),
                breaks: breaks.clone(),
                away: AtomicU32::new(2),
                code,
            }),
            Arc::new(kit::SystemClock),
        );
        let user = w.user(r#"{"id":"ann"}"#);
        let mut watch = w.data.watch(&user, &target).await.unwrap();
        w.seed(r#"{"_id":1}"#).await;
        assert!(told(&watch.next().await.unwrap()).contains(r#"{"_id":1}"#));
        // What happens meanwhile is told, once.
        w.seed(r#"{"_id":2}"#).await;
        breaks.notify_one();
        match watch.next().await {
            Ok(event) => assert!(goes_on && told(&event).contains(r#"{"_id":2}"#), "{code}"),
            Err(problem) => assert!(!goes_on, "{code}: {problem}"),
        }
        if goes_on {
            w.seed(r#"{"_id":3}"#).await;
            assert!(told(&watch.next().await.unwrap()).contains(r#"{"_id":3}"#));
        }
    }
}
