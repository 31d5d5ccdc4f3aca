//! Two servers on one set of records: what one changes, the other knows; with
//! a change stream and without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use app::users::Device;
use app::{App, Backstitch, Calling, Cx, NewApp, RequestInfo, Settings, StateSettings};
use bson::{Bson, RawDocument, doc, rawdoc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use engine_embedded::Embedded;
use kit::{Problem, SystemClock};
use state::MasterKey;

use crate::{author, settings};

/// How long a change may take to be known: reached only when it is not.
const KNOWN: Duration = Duration::from_secs(20);

/// An engine that has no change streams, or freezes, if it is told so.
struct Records {
    inner: Embedded,
    feeds: bool,
    frozen: AtomicBool,
}

impl Records {
    fn new(feeds: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Embedded::in_memory(Arc::new(SystemClock)).unwrap(),
            feeds,
            frozen: AtomicBool::new(false),
        })
    }
}

impl Engine for Records {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            change_feeds: self.feeds,
            ..self.inner.capabilities()
        }
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        if self.frozen.load(Ordering::SeqCst) {
            return Box::pin(async { Err(CommandError::new(133, "it is frozen")) });
        }
        self.inner.command(database, command)
    }

    fn watch(
        &self,
        request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        self.inner.watch(request)
    }
}

/// A server with everything on one engine, which others share.
fn sharing(records: &SharedEngine) -> Settings {
    let state = StateSettings {
        engine: records.clone(),
        database: "records".to_owned(),
        shared: true,
    };
    settings(records.clone(), Some(state))
}

async fn server(records: &SharedEngine) -> Arc<Backstitch> {
    Box::pin(Backstitch::open(sharing(records))).await.unwrap()
}

fn files(source: &str) -> config::Files {
    config::Files::from_fixture(&format!(
        r#"
//- /realm_config.json
{{ "config_version": 20210101, "app_id": "shop-abcde", "name": "shop" }}
//- /auth/providers.json
{{ "anon-user": {{ "name": "anon-user", "type": "anon-user", "disabled": false }},
   "api-key": {{ "name": "api-key", "type": "api-key", "disabled": false }},
   "local-userpass": {{ "name": "local-userpass", "type": "local-userpass",
     "config": {{ "autoConfirm": true }}, "disabled": false }} }}
//- /values/key.json
{{ "name": "key", "value": "key", "from_secret": true }}
//- /data_sources/db/config.json
{{ "name": "db", "type": "mongodb-atlas", "config": {{ "clusterName": "c" }} }}
//- /data_sources/db/default_rule.json
{{ "roles": [{{ "name": "all", "apply_when": {{}}, "read": true, "write": true }}] }}
//- /functions/config.json
[{{ "name": "f" }}]
//- /functions/f.js
{source}
"#
    ))
}

/// Two servers, each with the app in memory.
struct World {
    records: Arc<Records>,
    a: Arc<Backstitch>,
    b: Arc<Backstitch>,
    on_a: Arc<App>,
    on_b: Arc<App>,
}

impl World {
    async fn new(feeds: bool) -> Self {
        let shared = Records::new(feeds);
        let records: SharedEngine = shared.clone();
        let (a, b) = tokio::join!(server(&records), server(&records));
        let new = NewApp {
            name: "shop".to_owned(),
            client_app_id: Some("shop-abcde".to_owned()),
            ..NewApp::default()
        };
        let on_a = a.create_app("p", new, &author()).await.unwrap();
        on_a.create_secret("key", "one").await.unwrap();
        push(&on_a, "exports = () => 1").await;
        let on_b = b.app_by_client_id("shop-abcde").await.unwrap();
        Self {
            records: shared,
            a,
            b,
            on_a,
            on_b,
        }
    }
}

async fn push(app: &App, source: &str) {
    if let Err(rejected) = app.push(&files(source), &author()).await {
        panic!("{rejected:?}");
    }
}

/// What the function says to the system.
async fn said(app: &Arc<App>) -> Result<Bson, Problem> {
    let cx = Cx::of_system(app, RequestInfo::default());
    app.call(&cx, "f", Vec::new(), Calling::Client).await
}

async fn until<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < KNOWN, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn login(app: &Arc<App>) -> app::users::Login {
    let request = RequestInfo::default();
    app.login("anon-user", &doc! {}, Device::default(), &request)
        .await
        .unwrap()
}

async fn refused(app: &App, token: &str) -> bool {
    app.authenticate(token).await.is_err()
}

/// Everything that one server keeps in memory and another one changes.
async fn changes_are_known(feeds: bool) {
    let World {
        records,
        a,
        b,
        on_a,
        on_b,
    } = World::new(feeds).await;
    assert_eq!(said(&on_b).await.unwrap(), Bson::Int32(1));
    the_other_has_the_packages(&on_a, &on_b).await;
    push(&on_a, "exports = () => context.values.get('key')").await;
    let one = Bson::String("one".to_owned());
    until("an edit", async || said(&on_b).await.unwrap() == one).await;
    on_a.set_secret("key", "two").await.unwrap();
    let two = Bson::String("two".to_owned());
    until("a secret", async || said(&on_b).await.unwrap() == two).await;
    // The other way round, on what came from there.
    push(&on_b, "exports = () => 3").await;
    until("an edit", async || {
        said(&on_a).await.unwrap() == Bson::Int32(3)
    })
    .await;

    let (ann, bob, cid) = (login(&on_a).await, login(&on_a).await, login(&on_a).await);
    for user in [&ann, &bob, &cid] {
        assert!(!refused(&on_b, &user.access_token).await);
    }
    let watch = rawdoc! { "database": "d", "collection": "c" };
    let mut streams = Vec::new();
    for user in [&ann, &bob, &cid] {
        let open = on_b.open_stream(&user.access_token, "db", &watch, RequestInfo::default());
        let mut stream = open.await.unwrap();
        streams.push(tokio::spawn(async move { stream.next().await.is_err() }));
    }
    on_a.set_user_disabled(&ann.user_id, true).await.unwrap();
    until("disabling", async || {
        refused(&on_b, &ann.access_token).await
    })
    .await;
    on_a.logout(&bob.refresh_token).await.unwrap();
    until("a logout", async || refused(&on_b, &bob.access_token).await).await;
    assert!(on_b.refresh(&bob.refresh_token).await.is_err());
    let request = RequestInfo::default();
    on_a.delete_user(&cid.user_id, &request).await.unwrap();
    until("a removal", async || {
        refused(&on_b, &cid.access_token).await
    })
    .await;
    for stream in streams {
        let ended = tokio::time::timeout(KNOWN, stream).await;
        assert!(ended.expect("the stream ends").unwrap());
    }
    the_other_knows_what_a_user_has(&on_a, &on_b).await;
    // Back again.
    on_a.set_user_disabled(&ann.user_id, false).await.unwrap();
    until("enabling", async || {
        !refused(&on_b, &ann.access_token).await
    })
    .await;

    the_other_knows_the_keys(&on_a, &on_b).await;
    let here = login(&on_a).await;
    let c = server(&(records.clone() as SharedEngine)).await;
    let on_c = c.app_by_client_id("shop-abcde").await.unwrap();
    on_c.authenticate(&here.access_token).await.unwrap();

    a.delete_app(&on_a).await.unwrap();
    until("the end", async || {
        b.app_by_client_id("shop-abcde").await.is_err()
    })
    .await;
}

/// Packages that were installed on one server are loaded on the other.
async fn the_other_has_the_packages(on_a: &Arc<App>, on_b: &Arc<App>) {
    push(on_a, "exports = () => require('p')").await;
    for version in ["one", "two"] {
        let text = format!("module.exports = '{version}'");
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let path = "node_modules/p/index.js";
        builder
            .append_data(&mut header, path, text.as_bytes())
            .unwrap();
        let archive = builder.into_inner().unwrap();
        let author = author();
        let installed = on_a.install_dependencies(&author, "node_modules.tar", archive);
        installed.await.unwrap();
        until("packages", || async {
            matches!(said(on_b).await, Ok(Bson::String(text)) if text == version)
        })
        .await;
    }
}

/// A key that signs on one server is known to the other with the first token,
/// and what it ends is ended.
async fn the_other_knows_the_keys(on_a: &Arc<App>, on_b: &Arc<App>) {
    let before = login(on_b).await;
    on_a.authenticate(&before.access_token).await.unwrap();
    on_a.rotate_signing_key(None).await.unwrap();
    let after = login(on_a).await;
    on_b.authenticate(&after.access_token).await.unwrap();
    on_b.refresh(&after.refresh_token).await.unwrap();
    on_b.authenticate(&before.access_token).await.unwrap();
    on_a.rotate_signing_key(Some(0)).await.unwrap();
    assert!(refused(on_a, &after.access_token).await);
    until("an end of keys", async || {
        refused(on_b, &after.access_token).await
    })
    .await;
    assert!(on_b.refresh(&after.refresh_token).await.is_err());
    // Both rotate: neither is lost.
    let (one, two) = tokio::join!(on_a.rotate_signing_key(None), on_b.rotate_signing_key(None));
    let (one, two) = (one.unwrap().version, two.unwrap().version);
    assert_eq!(one.max(two), 4);
    assert_eq!(one.min(two), 3);
    let here = login(on_a).await;
    on_b.authenticate(&here.access_token).await.unwrap();
    let there = login(on_b).await;
    on_a.authenticate(&there.access_token).await.unwrap();
}

/// Linking, revoking, and keys that go.
async fn the_other_knows_what_a_user_has(on_a: &Arc<App>, on_b: &Arc<App>) {
    let request = RequestInfo::default();
    let dee = login(on_a).await;
    let seen = async || on_b.authenticate(&dee.access_token).await.unwrap();
    assert_eq!(seen().await.identities.len(), 1);
    on_a.register("d@x", "secret123", &request).await.unwrap();
    let account = doc! { "username": "d@x", "password": "secret123" };
    let (token, device) = (&dee.access_token, Device::default());
    let linked = on_a.link(token, "local-userpass", &account, device, &request);
    linked.await.unwrap();
    until("a link", async || seen().await.identities.len() == 2).await;
    on_b.refresh(&dee.refresh_token).await.unwrap();
    on_a.logout_user(&dee.user_id).await.unwrap();
    until("revoking", async || {
        on_b.refresh(&dee.refresh_token).await.is_err()
    })
    .await;
    seen().await;

    let made = on_a.create_api_key(&dee.user_id, "k").await.unwrap();
    let key = doc! { "key": made.key };
    let login = on_b.login("api-key", &key, Device::default(), &request);
    let login = login.await.unwrap();
    assert!(!refused(on_b, &login.access_token).await);
    let id = &made.record.id;
    on_a.set_api_key(&dee.user_id, id, true).await.unwrap();
    until("a key that is off", async || {
        refused(on_b, &login.access_token).await
    })
    .await;
    assert!(on_b.refresh(&login.refresh_token).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_server_is_known_to_the_other() {
    Box::pin(changes_are_known(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_known_without_change_streams_too() {
    Box::pin(changes_are_known(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_on_what_cannot_be_asked() {
    let World { records, on_b, .. } = World::new(true).await;
    let ann = login(&on_b).await;
    assert!(!refused(&on_b, &ann.access_token).await);
    // The stream of changes is only silent.
    records.frozen.store(true, Ordering::SeqCst);
    until("the freeze", async || {
        refused(&on_b, &ann.access_token).await
    })
    .await;
    let problem = on_b.authenticate(&ann.access_token).await.unwrap_err();
    assert_eq!(problem.kind, kit::Kind::Unavailable, "{problem}");
    records.frozen.store(false, Ordering::SeqCst);
    assert!(!refused(&on_b, &ann.access_token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_of_both_come_one_after_the_other() {
    let World { on_a, on_b, .. } = World::new(true).await;
    let edit = async |app: Arc<App>, server: u32| {
        for n in 0..10 {
            let name = format!("v{server}x{n}");
            app.edit(&author(), |config| {
                let value = serde_json::json!({ "name": name, "value": n });
                config
                    .insert(config::Kind::Value, &name, config::Node::new(value))
                    .map_err(|error| app::refused(&error))?;
                Ok(app::Renames::new())
            })
            .await
            .unwrap();
        }
    };
    let one = tokio::spawn(edit(on_a.clone(), 1));
    let two = tokio::spawn(edit(on_b.clone(), 2));
    one.await.unwrap();
    two.await.unwrap();
    let values = |app: &App| app.release().config.values().count();
    until("all edits on both", async || {
        values(&on_a) == 21 && values(&on_b) == 21
    })
    .await;
    assert_eq!(on_a.release().revision, on_b.release().revision);
    assert_eq!(on_a.release().config, on_b.release().config);
    // Every deployment began from the one before.
    let deployed = on_a.deployments().await.unwrap();
    let mut revisions: Vec<&str> = deployed.iter().map(|d| d.revision.as_str()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_is_refused() {
    let records: SharedEngine = Records::new(true);
    server(&records).await;
    let refused = Backstitch::open(Settings {
        master_key: MasterKey::from_text("another"),
        ..sharing(&records)
    })
    .await;
    let problem = refused.err().unwrap();
    assert!(problem.message.contains("another master key"), "{problem}");
}
