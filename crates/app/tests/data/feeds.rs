//! watch: events by role, masked.

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

#[tokio::test]
async fn events_pass_the_role_of_their_document() {
    let role = r#"{"name":"o","apply_when":{"o":"%%user.id"},"fields":{"_id":{"read":true},"o":{"read":true},"a":{"write":true}}}"#;
    let w = World::with(role, r#"{"_id":0,"o":"ann"}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":1,"o":"bob","a":1},{"_id":2,"o":"ann","a":1,"s":2}"#)
        .await;
    w.system(
        "updateOne",
        r#"{"query":{"_id":2},"update":{"$set":{"a":2,"s":3}}}"#,
    )
    .await
    .unwrap();
    // 43: it leaves the user's scope, so the event is dropped.
    w.system(
        "updateOne",
        r#"{"query":{"_id":0},"update":{"$set":{"o":"bob"}}}"#,
    )
    .await
    .unwrap();
    w.system("deleteOne", r#"{"query":{"_id":2}}"#)
        .await
        .unwrap();
    assert_eq!(
        told(&watch.next().await.unwrap()),
        r#"{"documentKey":{"_id":2},"fullDocument":{"_id":2,"o":"ann","a":1},"operationType":"insert"}"#
    );
    let deleted = told(&watch.next().await.unwrap());
    assert_eq!(
        deleted,
        r#"{"documentKey":{"_id":2},"operationType":"delete"}"#
    );
}

#[tokio::test]
async fn updates_tell_only_what_is_shown() {
    let role = r#"{"name":"o","apply_when":{},"fields":{"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":1,"a":1,"s":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c", "ids": [1] };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":2,"a":1}"#).await;
    w.system(
        "updateOne",
        r#"{"query":{"_id":1},"update":{"$set":{"a":2,"s":2}}}"#,
    )
    .await
    .unwrap();
    let event = watch.next().await.unwrap();
    let description = event.get_document("updateDescription").unwrap();
    assert_eq!(
        super::relaxed(description.get("updatedFields").unwrap().unwrap()),
        r#"{"a":2}"#
    );
    assert_eq!(
        super::relaxed(event.get("fullDocument").unwrap().unwrap()),
        r#"{"a":2}"#
    );
}

#[tokio::test]
async fn a_filter_sees_what_the_caller_sees() {
    let role = r#"{"name":"o","apply_when":{},"fields":{"_id":{"read":true},"a":{"read":true}}}"#;
    let w = World::with(role, r#"{"_id":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let hidden = bson::rawdoc! { "database": "d", "collection": "c", "filter": { "$or": [
        { "fullDocument.s": 1 }, { "fullDocument.a": 7 },
    ] } };
    let mut watch = w.data.watch(&user, &hidden).await.unwrap();
    w.seed(r#"{"_id":2,"s":1},{"_id":3,"a":7}"#).await;
    let event = watch.next().await.unwrap();
    assert_eq!(
        super::relaxed(event.get("fullDocument").unwrap().unwrap()),
        r#"{"_id":3,"a":7}"#
    );
    let both = bson::rawdoc! { "database": "d", "collection": "c", "filter": {}, "ids": [1] };
    assert!(w.data.watch(&user, &both).await.is_err());
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

#[tokio::test]
async fn filters_narrow_and_project_events() {
    let rules = r#"{"database":"d","collection":"c",
        "roles":[{"name":"o","apply_when":{"o":"%%user.id"},"read":true,"write":true}],
        "filters":[{"name":"f","apply_when":{"%%user.type":"normal"},"query":{"h":{"$ne":true}},"projection":{"o":0}}]}"#;
    let w = World::new(&[("d/c/rules.json", rules)]);
    let user = w.user(r#"{"id":"ann","type":"normal"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":1,"o":"ann","h":true},{"_id":2,"o":"bob"},{"_id":3,"o":"ann","n":1}"#)
        .await;
    w.system(
        "updateOne",
        r#"{"query":{"_id":3},"update":{"$set":{"o":"ann","n":2},"$unset":{"x":1}}}"#,
    )
    .await
    .unwrap();
    let inserted = watch.next().await.unwrap();
    assert_eq!(
        super::relaxed(inserted.get("fullDocument").unwrap().unwrap()),
        r#"{"_id":3,"n":1}"#
    );
    let updated = watch.next().await.unwrap();
    assert_eq!(
        super::relaxed(updated.get("fullDocument").unwrap().unwrap()),
        r#"{"_id":3,"n":2}"#
    );
    let description = updated.get_document("updateDescription").unwrap();
    assert_eq!(
        super::relaxed(description.get("updatedFields").unwrap().unwrap()),
        r#"{"n":2}"#
    );
}

#[tokio::test]
async fn who_may_see_nothing_is_told_nothing() {
    // No role matches this user, whatever the document.
    let role = r#"{"name":"admin","apply_when":{"%%user.custom_data.admin":true},"read":true}"#;
    let w = World::with(role, r#"{"_id":1}"#).await;
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let stranger = w.user(r#"{"id":"bob","custom_data":{}}"#);
    let admin = w.user(r#"{"id":"ann","custom_data":{"admin":true}}"#);
    let mut told = w.data.watch(&admin, &target).await.unwrap();
    let mut untold = w.data.watch(&stranger, &target).await.unwrap();
    w.seed(r#"{"_id":2}"#).await;
    for id in 1..=2 {
        let query = format!(r#"{{"query":{{"_id":{id}}}}}"#);
        w.system("deleteOne", &query).await.unwrap();
    }
    assert_eq!(next(&mut told).await, r#"insert {"_id":2}"#);
    assert_eq!(next(&mut told).await, r#"delete {"_id":1}"#);
    assert_eq!(next(&mut told).await, r#"delete {"_id":2}"#);
    // The end of the collection comes first for who was told of nothing else.
    let drop = bson::rawdoc! { "drop": "c" };
    w.engine.command("d", &drop).await.unwrap();
    let ended = next(&mut untold).await;
    assert!(
        ended.starts_with("MongoDBError: the collection 'd.c' was dropped"),
        "{ended}"
    );
    assert!(next(&mut told).await.starts_with("MongoDBError"));
}

#[tokio::test]
async fn a_function_that_throws_ends_the_stream() {
    let role = r#"{"name":"t","apply_when":{"%%true":{"%function":{"name":"fails","arguments":["%%root.n"]}}},"read":true}"#;
    let w = World::with(role, r#"{"_id":1}"#).await;
    let user = w.user(r#"{"id":"ann"}"#);
    let target = bson::rawdoc! { "database": "d", "collection": "c" };
    let mut watch = w.data.watch(&user, &target).await.unwrap();
    w.seed(r#"{"_id":2}"#).await;
    assert_eq!(next(&mut watch).await, "FunctionExecutionError: it threw");
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
