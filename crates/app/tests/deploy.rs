//! The funnel: what is compiled, what is live after a restart, a lost race, a
//! failure, and while requests are in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use app::{App, Backstitch, Calling, Cx, NewApp, Rejected, RequestInfo};
use bson::{Bson, RawDocument};
use config::{AppConfig, Files, Kind, Node};
use engine::{Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, WatchRequest};
use engine_embedded::Embedded;
use kit::{Problem, SystemClock};
use serde_json::json;

use crate::{author, settings};

/// An engine whose revisions can be made to fail, and whose collection `gate` is
/// read only once the gate is open.
struct Flaky {
    inner: Embedded,
    broken: AtomicBool,
    gate: tokio::sync::Notify,
}

impl Engine for Flaky {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        let first = command.iter().next().and_then(Result::ok);
        if first.is_some_and(|(verb, of)| verb == "find" && of.as_str() == Some("gate")) {
            return Box::pin(async move {
                self.gate.notified().await;
                self.inner.command(database, command).await
            });
        }
        let writes_a_revision = first.is_some_and(|(verb, collection)| {
            verb == "insert"
                && collection
                    .as_str()
                    .is_some_and(|name| name.contains("revision"))
        });
        if writes_a_revision && self.broken.load(Ordering::SeqCst) {
            return Box::pin(async { Err(CommandError::new(1, "the disk is full")) });
        }
        self.inner.command(database, command)
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        self.inner.watch(request)
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        if self.broken.load(Ordering::SeqCst) {
            return Box::pin(async { Err(CommandError::new(91, "the disk is full")) });
        }
        self.inner.health()
    }
}

fn engine() -> Arc<Flaky> {
    let inner = Embedded::in_memory(Arc::new(SystemClock)).unwrap();
    Arc::new(Flaky {
        inner,
        broken: AtomicBool::new(false),
        gate: tokio::sync::Notify::new(),
    })
}

/// A server's core on an engine: another one on the same engine is a restart,
/// or another process.
async fn core(engine: &Arc<Flaky>) -> Arc<Backstitch> {
    Backstitch::open(settings(engine.clone(), None))
        .await
        .unwrap()
}

async fn new_app(core: &Arc<Backstitch>) -> Arc<App> {
    let new = NewApp {
        name: "shop".to_owned(),
        client_app_id: Some("shop-abcde".to_owned()),
        ..NewApp::default()
    };
    core.create_app("p", new, &author()).await.unwrap()
}

/// An app with functions, each with its source.
fn files(functions: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    files.insert("realm_config.json", br#"{"name":"shop"}"#.to_vec());
    files.insert(
        "data_sources/db/config.json",
        br#"{"name":"db","type":"mongodb-atlas","config":{"clusterName":"c"}}"#.to_vec(),
    );
    let list: serde_json::Value = functions
        .iter()
        .map(|(name, _)| json!({ "name": name }))
        .collect();
    files.insert("functions/config.json", serde_json::to_vec(&list).unwrap());
    for (name, source) in functions {
        files.insert(format!("functions/{name}.js"), source.as_bytes());
    }
    files
}

/// One function whose answer tells which revision it is of.
fn version(n: i32) -> Files {
    files(&[("version", &format!("exports = () => {n};"))])
}

async fn answer(app: &Arc<App>) -> Result<Bson, Problem> {
    let cx = Cx::of_system(app, RequestInfo::default());
    app.call(&cx, "version", Vec::new(), Calling::Client).await
}

fn number(answer: Result<Bson, Problem>) -> i64 {
    let answer = answer.unwrap();
    answer
        .as_i64()
        .or_else(|| answer.as_i32().map(i64::from))
        .or_else(|| answer.as_f64().map(|n| n as i64))
        .unwrap_or_else(|| panic!("{answer}"))
}

/// A change that adds a value.
fn add_value(config: &mut AppConfig, name: &str) -> Result<(), Problem> {
    let node = Node::new(json!({ "name": name, "value": 1 }));
    config
        .insert(Kind::Value, name, node)
        .map_err(|error| Problem::bad_request(error.to_string()))
}

#[tokio::test]
async fn editing_one_function_of_a_hundred_compiles_one() {
    let core = core(&engine()).await;
    let app = new_app(&core).await;
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    let mut all: Vec<(&str, &str)> = names
        .iter()
        .map(|n| (n.as_str(), "exports = () => 1;"))
        .collect();
    app.push(&files(&all), &author()).await.unwrap();
    assert_eq!(app.release().compiled, 100);
    let before = app.release();

    all[42].1 = "exports = () => 2;";
    let pushed = app.push(&files(&all), &author()).await.unwrap();
    assert!(pushed.changed);
    assert_eq!(app.release().compiled, 1, "by a push");
    let shared = names.iter().filter(|name| {
        let function = |release: &app::Release| release.functions[*name].clone();
        Arc::ptr_eq(&function(&before), &function(&app.release()))
    });
    assert_eq!(shared.count(), 99);
    let rules = |release: &app::Release| release.sources["db"].clone();
    assert!(Arc::ptr_eq(&rules(&before), &rules(&app.release())));

    app.edit(&author(), |config| {
        let node = Node::function(json!({ "name": "f7" }), "exports = () => 3;");
        config
            .set(Kind::Function, "f7", node)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(Vec::new())
    })
    .await
    .unwrap();
    assert_eq!(app.release().compiled, 1, "by an edit");

    // A manifest alone is no new code.
    app.edit(&author(), |config| {
        let node = Node::function(
            json!({ "name": "f7", "private": true }),
            "exports = () => 3;",
        );
        config
            .set(Kind::Function, "f7", node)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(Vec::new())
    })
    .await
    .unwrap();
    assert_eq!(app.release().compiled, 0, "by a manifest");
    assert!(app.release().functions["f7"].private);
}

#[tokio::test]
async fn rules_are_compiled_again_when_a_function_that_they_name_goes() {
    const RULE: &str = r#"{"roles":[{"name":"r","apply_when":
        {"%%true":{"%function":{"name":"allowed","arguments":[]}}}}]}"#;
    let core = core(&engine()).await;
    let app = new_app(&core).await;
    let with_rule = |functions: &[(&str, &str)]| {
        let mut files = files(functions);
        files.insert("data_sources/db/d/c/rules.json", RULE.as_bytes());
        files
    };
    let both = [("allowed", "exports = () => true;"), ("a", "exports = 1;")];
    app.push(&with_rule(&both), &author()).await.unwrap();
    let Err(Rejected::Findings(findings)) = app.push(&with_rule(&both[1..]), &author()).await
    else {
        panic!("it should be refused");
    };
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["data_sources/db/d/c/rules.json:2:10: error: function 'allowed' does not exist"]
    );
}

#[tokio::test]
async fn the_same_files_are_no_deployment() {
    let core = core(&engine()).await;
    let app = new_app(&core).await;
    let first = app.push(&version(1), &author()).await.unwrap();
    let again = app.push(&version(1), &author()).await.unwrap();
    assert!(first.changed && !again.changed);
    assert_eq!(first.revision, again.revision);
    assert_eq!(app.deployments().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_restart_finds_the_live_revision() {
    let engine = engine();
    let revision = {
        let core = core(&engine).await;
        let app = new_app(&core).await;
        app.push(&version(1), &author()).await.unwrap();
        app.push(&version(2), &author()).await.unwrap().revision
    };
    let core = core(&engine).await;
    let app = core.app_by_client_id("shop-abcde").await.unwrap();
    assert_eq!(app.release().revision, revision);
    assert_eq!(number(answer(&app).await), 2);
    assert_eq!(
        app.pull().get("functions/version.js"),
        Some(&b"exports = () => 2;"[..])
    );
    let again = app.push(&version(2), &author()).await.unwrap();
    assert!(!again.changed, "what was stored is what was pushed");
    // An older deployment goes live again.
    let first = app.deployments().await.unwrap().pop().unwrap();
    app.redeploy(&first.id, &author()).await.unwrap();
    assert_eq!(number(answer(&app).await), 1);
}

#[tokio::test]
async fn a_deployment_that_was_cut_short_is_finished() {
    let engine = engine();
    let (draft, made) = {
        let core = core(&engine).await;
        let app = new_app(&core).await;
        let draft = app.open_draft(&author()).await.unwrap();
        app.push(&version(1), &author()).await.unwrap();
        let made = app.deploy_draft(&author(), &draft.id, "one").await;
        // As if it had stopped when the revision was live.
        let of_app = bson::doc! { "app_id": &app.id };
        core.state.deployments.delete_all(of_app).await.unwrap();
        core.state.drafts.insert(&draft).await.unwrap();
        (draft, made.unwrap())
    };
    let core = core(&engine).await;
    let app = core.app(&draft.app_id).await.unwrap();
    assert_eq!(number(answer(&app).await), 1);
    let recorded = app.deployments().await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        (&recorded[0].id, recorded[0].name.as_str()),
        (&made.id, "one")
    );
    assert!(app.draft_of(&author().user_id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_race_is_run_again_on_what_won() {
    let engine = engine();
    let (here, there) = (core(&engine).await, core(&engine).await);
    let mine = new_app(&here).await;
    let theirs = there.app(&mine.id).await.unwrap();
    let runs = AtomicUsize::new(0);
    theirs
        .edit(&author(), |config| {
            add_value(config, "theirs").map(|()| Vec::new())
        })
        .await
        .unwrap();
    mine.edit(&author(), |config| {
        runs.fetch_add(1, Ordering::SeqCst);
        add_value(config, "mine").map(|()| Vec::new())
    })
    .await
    .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2, "the first run lost");
    for name in ["mine", "theirs"] {
        assert!(
            mine.release().config.get(Kind::Value, name).is_some(),
            "{name}"
        );
        assert!(
            mine.node_id(Kind::Value, name).is_some(),
            "{name} has an id"
        );
    }
    assert_eq!(mine.deployments().await.unwrap().len(), 2);
}

#[tokio::test]
async fn many_edits_at_once_all_count() {
    let engine = engine();
    let cores = [core(&engine).await, core(&engine).await];
    let id = new_app(&cores[0]).await.id.clone();
    let mut editing = tokio::task::JoinSet::new();
    for n in 0..8 {
        let app = cores[n % 2].app(&id).await.unwrap();
        editing.spawn(async move {
            app.edit(&author(), |config| {
                add_value(config, &format!("v{n}")).map(|()| Vec::new())
            })
            .await
            .map(drop)
        });
    }
    while let Some(done) = editing.join_next().await {
        done.unwrap().unwrap();
    }
    let last = core(&engine).await.app(&id).await.unwrap();
    assert_eq!(last.release().config.all(Kind::Value).count(), 8);
}

#[tokio::test]
async fn a_failure_before_the_swap_leaves_the_release_before() {
    let engine = engine();
    let core = core(&engine).await;
    let app = new_app(&core).await;
    app.push(&version(1), &author()).await.unwrap();
    let before = app.release();

    // What does not compile: every problem at once.
    let broken = files(&[("version", "exports = () => {;"), ("other", "exports = )")]);
    let Err(Rejected::Findings(findings)) = app.push(&broken, &author()).await else {
        panic!("it should be refused");
    };
    let places: Vec<(&str, Option<u32>)> =
        findings.iter().map(|f| (f.path.as_str(), f.line)).collect();
    assert_eq!(
        places,
        [
            ("functions/other.js", Some(1)),
            ("functions/version.js", Some(1))
        ]
    );

    // A change that is refused.
    let refused = app
        .edit(&author(), |_| Err(Problem::bad_request("no")))
        .await;
    assert_eq!(refused.map(drop).unwrap_err().message, "no");

    // A store that fails.
    engine.broken.store(true, Ordering::SeqCst);
    let Err(Rejected::Problem(problem)) = app.push(&version(2), &author()).await else {
        panic!("it should fail");
    };
    assert!(
        problem
            .because
            .is_some_and(|because| because.contains("the disk is full"))
    );
    assert!(core.health().await[0].answers.is_err());
    engine.broken.store(false, Ordering::SeqCst);
    assert!(core.health().await[0].answers.is_ok());

    assert!(Arc::ptr_eq(&before, &app.release()));
    assert_eq!(number(answer(&app).await), 1);
    assert_eq!(app.deployments().await.unwrap().len(), 1);
    app.push(&version(2), &author()).await.unwrap();
    assert_eq!(number(answer(&app).await), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_half_deployment() {
    let engine = engine();
    let core = core(&engine).await;
    let app = new_app(&core).await;
    let author = author();
    let mut live = 0;
    for steps in 1..400 {
        let name = format!("v{steps}");
        let mut editing = Box::pin(app.edit(&author, |config| {
            add_value(config, &name).map(|()| Vec::new())
        }));
        for _ in 0..steps {
            if begun(&mut editing).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(editing);
        // One that is refused waits for what still goes live, and changes nothing.
        let refused = app.edit(&author, |_| Err(Problem::bad_request("no")));
        refused.await.map(drop).unwrap_err();
        let stored = core.state.apps.get(&app.id).await.unwrap().unwrap();
        assert_eq!(stored.live, app.release().revision, "after {steps} steps");
        live += usize::from(app.release().config.get(Kind::Value, &name).is_some());
    }
    assert!(live > 0, "some went live all the same");
}

/// Polls once: whether it is done.
async fn begun<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        let ready = std::pin::Pin::new(&mut *future).poll(cx).is_ready();
        std::task::Poll::Ready(ready)
    })
    .await
}

#[tokio::test]
async fn a_call_in_flight_ends_on_the_release_it_began_with() {
    const WAITS: &str = r#"
        exports = async () => {
            const db = context.services.get("db").db("d");
            await db.collection("signals").insertOne({ _id: "begun" });
            await db.collection("gate").findOne({});
            return context.functions.execute("version");
        };"#;
    let engine = engine();
    let core = core(&engine).await;
    let app = new_app(&core).await;
    let with = |n: i32| {
        files(&[
            ("waits", WAITS),
            ("version", &format!("exports = () => {n};")),
        ])
    };
    app.push(&with(1), &author()).await.unwrap();
    let request = WatchRequest {
        database: Some("d".to_owned()),
        collection: Some("signals".to_owned()),
        ..WatchRequest::default()
    };
    let mut signals = engine.watch(request).await.unwrap();
    let calling = {
        let app = app.clone();
        tokio::spawn(async move {
            let cx = Cx::of_system(&app, RequestInfo::default());
            app.call(&cx, "waits", Vec::new(), Calling::Client).await
        })
    };
    signals.next().await.unwrap();
    app.push(&with(2), &author()).await.unwrap();
    assert_eq!(number(answer(&app).await), 2, "new calls see the new code");
    engine.gate.notify_one();
    assert_eq!(
        number(calling.await.unwrap()),
        1,
        "the call in flight does not"
    );
}

/// Permissions of partition-based sync are expressions about the partition.
#[test]
fn permissions_of_partitions_are_checked() {
    let check = |read: &str| {
        let sync = format!(
            r#"{{"type":"partition","state":"enabled","service_name":"s","database_name":"d",
                "partition":{{"key":"k","type":"string","permissions":{{"read":{read},"write":false}}}}}}"#
        );
        let mut files = Files::default();
        let root = r#"{"config_version":20210101,"app_id":"a-abcde","name":"a"}"#;
        files.insert("realm_config.json", root.as_bytes().to_vec());
        let source = r#"{"name":"s","type":"mongodb-atlas","config":{"clusterName":"c"}}"#;
        files.insert("data_sources/s/config.json", source.as_bytes().to_vec());
        files.insert("sync/config.json", sync.into_bytes());
        let (_, findings) = app::check(&files);
        let texts = findings.into_iter().map(|finding| finding.message);
        texts
            .filter(|text| text.contains("permission"))
            .collect::<Vec<_>>()
    };
    assert_eq!(check(r#"{"%%partition":"%%user.id"}"#), [""; 0]);
    assert_eq!(
        check(r#"{"%%root.owner":"%%user.id"}"#),
        ["error validating permission: do not know how to expand '%%root.owner'"]
    );
}
