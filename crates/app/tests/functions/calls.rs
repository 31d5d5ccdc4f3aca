//! Who may call what, as whom it runs, what errors say, what is logged.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, bson};

use super::{World, none};

const PRIVATE: &str = r#","private":true"#;
const SYSTEM: &str = r#","private":true,"run_as_system":true"#;

#[tokio::test(flavor = "multi_thread")]
async fn who_may_call() {
    let world = World::new(
        &[
            ("hidden", PRIVATE, "exports = (n) => n + 1"),
            ("open", "", "exports = (n) => context.functions.execute('hidden', n)"),
            ("nobody", "", "exports = () => context.functions.execute('missing')"),
            (
                "onlyAlice",
                r#","can_evaluate":{"%%user.data.email":"alice@example.com"}"#,
                "exports = () => 1",
            ),
            (
                "byFunction",
                r#","can_evaluate":{"%%true":{"%function":{"name":"isBob","arguments":["%%user.data.email"]}}}"#,
                "exports = () => 1",
            ),
            ("some/where", PRIVATE, "exports = () => 'there'"),
            ("far", "", "exports = () => context.functions.execute('some/where')"),
            ("isBob", PRIVATE, "exports = (email) => email.startsWith('bob')"),
        ],
        &[],
    )
    .await;
    assert_eq!(
        world.alice("hidden", bson!([1])).await,
        "NotCallable: function 'hidden' is private"
    );
    assert_eq!(
        world.alice("nothing", none()).await,
        "FunctionNotFound: function not found: 'nothing'"
    );
    assert_eq!(
        world.alice("__proto__", none()).await,
        "FunctionNotFound: function not found: '__proto__'"
    );
    assert_eq!(
        world.alice("open", bson!([1])).await,
        r#"{"$numberInt":"2"}"#
    );
    assert_eq!(world.alice("far", none()).await, r#""there""#);
    assert_eq!(
        world.alice("nobody", none()).await,
        "FunctionExecutionError: Error: function not found: 'missing'"
    );
    assert_eq!(
        world.alice("onlyAlice", none()).await,
        r#"{"$numberInt":"1"}"#
    );
    assert_eq!(
        world.bob("onlyAlice", none()).await,
        r#"FunctionExecutionError: rule not matched for function "onlyAlice""#
    );
    assert_eq!(
        world.bob("byFunction", none()).await,
        r#"{"$numberInt":"1"}"#
    );
    assert_eq!(
        world.alice("byFunction", none()).await,
        r#"FunctionExecutionError: rule not matched for function "byFunction""#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_call_functions_in_one_realm() {
    let world = World::new(
        &[
            ("retry", PRIVATE, "let tries = 0; exports = async (f, n) => { for (;;) { try { return await f(++tries) } catch (e) { if (tries >= n) throw e } } }"),
            ("useRetry", "", "exports = (n) => context.functions.execute('retry', (t) => { if (t < 3) throw new Error('try ' + t); return [t, context.runningAsSystem()] }, n)"),
            ("system", SYSTEM, "exports = async (f) => [context.runningAsSystem(), context.user.id, f()]"),
            ("frames", "", "exports = async () => { const inner = await context.functions.execute('system', () => context.runningAsSystem()); return [...inner, context.runningAsSystem()] }"),
            ("asSystem", r#","run_as_system":true"#, "exports = () => context.functions.execute('inherits')"),
            ("inherits", PRIVATE, "exports = () => context.runningAsSystem()"),
            ("many", "", "exports = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += context.functions.execute('one'); return sum }"),
            ("one", PRIVATE, "let calls = 0; exports = () => ++calls"),
            ("forever", "", "exports = (n) => context.functions.execute('forever', n + 1)"),
            ("catches", "", "exports = async () => { try { await context.functions.execute('throws') } catch (e) { return [e.name, e.message, e instanceof RangeError, e.extra] } }"),
            ("throws", PRIVATE, "exports = async () => { throw Object.assign(new RangeError('inner'), { extra: 5 }) }"),
            ("passes", "", "exports = () => context.functions.execute('throws')"),
        ],
        &[],
    )
    .await;
    assert_eq!(
        world.alice("useRetry", bson!([5])).await,
        r#"[{"$numberInt":"3"},false]"#
    );
    assert_eq!(
        world.alice("useRetry", bson!([2])).await,
        "FunctionExecutionError: Error: try 2"
    );
    let id = &world.alice.id;
    assert_eq!(
        world.alice("frames", none()).await,
        format!(r#"[true,"{id}",false,false]"#)
    );
    assert_eq!(world.alice("asSystem", none()).await, "true");
    // The file's own state is new each time, and the number is not limited.
    assert_eq!(
        world.alice("many", bson!([2500])).await,
        r#"{"$numberInt":"2500"}"#
    );
    let text = world.alice("forever", bson!([0])).await;
    assert!(
        text == "FunctionExecutionError: Error: too many nested function calls"
            || text == "FunctionExecutionError: RangeError: Maximum call stack size exceeded",
        "{text}"
    );
    assert_eq!(
        world.alice("catches", none()).await,
        r#"["RangeError","inner",true,{"$numberInt":"5"}]"#
    );
    assert_eq!(
        world.alice("passes", none()).await,
        "FunctionExecutionError: RangeError: inner"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_run_as_a_fixed_user() {
    let world = World::new(&[("who", "", "exports = () => context.user.id")], &[]).await;
    let id = world.bob.id.clone();
    let author = app::Author {
        user_id: "admin".to_owned(),
        origin: "API".to_owned(),
    };
    let set = async |id: String| {
        let mut files = world.app.pull();
        let settings = format!(r#"[{{"name":"who","run_as_user_id":"{id}"}}]"#);
        files.insert("functions/config.json", settings.into_bytes());
        world.app.push(&files, &author).await.unwrap();
    };
    set(id.clone()).await;
    assert_eq!(world.alice("who", none()).await, format!(r#""{id}""#));
    set("5fd45718cface356de9d104d".to_owned()).await;
    assert_eq!(
        world.alice("who", none()).await,
        "FunctionExecutionError: user not found: '5fd45718cface356de9d104d'"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_chooses_as_whom_a_function_runs() {
    let script = |source: &str| format!(r#","run_as_user_id_script_source":"{source}""#);
    let (own, system, wrong) = (
        script("exports = async () => context.user.id"),
        script("exports = () => ({ runAsSystem: true })"),
        script("exports = () => 5"),
    );
    let who = "exports = () => [context.user.id, context.runningAsSystem()]";
    let world = World::new(
        &[
            ("own", &own, who),
            ("system", &system, who),
            ("wrong", &wrong, who),
        ],
        &[],
    )
    .await;
    let id = &world.bob.id;
    assert_eq!(world.bob("own", none()).await, format!(r#"["{id}",false]"#));
    assert_eq!(
        world.bob("system", none()).await,
        format!(r#"["{id}",true]"#)
    );
    assert_eq!(
        world.bob("wrong", none()).await,
        r#"FunctionExecutionError: the script of function "wrong" must return a user's id"#
    );
    let mut files = world.app.pull();
    let broken = r#"[{"name":"own","run_as_user_id_script_source":"exports = ("}]"#;
    files.insert("functions/config.json", broken.as_bytes().to_vec());
    files.insert("functions/own.js", b"const nothing = 1;".to_vec());
    let (release, findings) = app::check(&files);
    assert!(release.is_none());
    assert!(
        findings.iter().any(|finding| finding
            .to_string()
            .contains("the file never assigns \"exports\"")),
        "{findings:?}"
    );
    assert!(
        findings.iter().any(|finding| finding
            .to_string()
            .contains("run_as_user_id_script_source: SyntaxError")),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_reach_the_caller_in_the_words_of_the_service() {
    let world = World::new(
        &[
            ("reference", "", "exports = () => missing"),
            ("member", "", "exports = () => context.services.get('no').db('d')"),
            ("lost", "", "exports = () => { Promise.reject(new TypeError('lost')); return 1 }"),
            ("text", "", "exports = () => { throw 'plain text' }"),
            ("memory", "", "exports = () => { const a = []; for (;;) a.push(new Array(1e5).fill(0)) }"),
            ("forged", "", "exports = () => { throw Object.assign(new Error('mine'), { code: 'InvalidSession' }) }"),
            ("http", "", "exports = () => context.http.get({ url: 'https://10.0.0.1' })"),
            ("service", "", "exports = async () => { const tw = await context.services.get('tw'); return tw.send({ to: '+1' }) }"),
            ("notAFunction", "", "exports = 5"),
        ],
        &[(
            "services/tw/config.json",
            r#"{"name":"tw","type":"twilio","config":{"sid":"x"},"version":1}"#,
        )],
    )
    .await;
    for (name, wanted) in [
        ("reference", "ReferenceError: 'missing' is not defined"),
        (
            "member",
            "TypeError: Cannot access member 'db' of undefined",
        ),
        (
            "lost",
            r#"uncaught promise rejection: {"message":"lost","name":"TypeError"}"#,
        ),
        ("text", "plain text"),
        ("memory", "execution memory limit exceeded"),
        // A code that the function made up stays inside.
        ("forged", "Error: mine"),
        (
            "http",
            "Error: '10.0.0.1' is at an address that this server does not connect to; the server's operator can allow it",
        ),
        (
            "service",
            "Error: no rule allows the action 'send' of the service 'tw'",
        ),
        ("notAFunction", "TypeError: exports is not a function"),
    ] {
        let text = world.alice(name, none()).await;
        assert_eq!(text, format!("FunctionExecutionError: {wanted}"), "{name}");
    }
    let entry = &world.log().await[0];
    assert_eq!(entry.error, "TypeError: exports is not a function");
    assert_eq!(entry.error_code, "FunctionExecutionError");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_too_long_is_told_so() {
    let world = World::within(
        &[
            ("endless", "", "exports = () => { console.log('begun'); for (;;) {} }"),
            ("waits", "", "exports = () => new Promise((r) => setTimeout(r, 60000))"),
            ("inner", PRIVATE, "exports = () => { for (;;) {} }"),
            ("outer", "", "exports = () => { try { context.functions.execute('inner') } catch {} return 'went on' }"),
            ("quick", "", "exports = () => 1"),
        ],
        &[],
        16,
        1000,
    )
    .await;
    for name in ["endless", "waits", "outer"] {
        assert_eq!(
            world.alice(name, none()).await,
            "ExecutionTimeLimitExceeded: execution time limit exceeded",
            "{name}"
        );
        assert_eq!(world.alice("quick", none()).await, r#"{"$numberInt":"1"}"#);
    }
    let log = world.log().await;
    let endless = log
        .iter()
        .find(|entry| entry.details.get_str("function_name").unwrap() == "endless");
    let endless = endless.unwrap();
    assert_eq!(endless.error_code, "ExecutionTimeLimitExceeded");
    assert_eq!(
        endless.details.get_array("messages").unwrap(),
        &[Bson::from("begun")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_clients_are_logged() {
    let world = World::new(
        &[
            (
                "speaks",
                "",
                "exports = (a) => { console.log('hello', { a }); console.warn('careful') }",
            ),
            (
                "quiet",
                r#","disable_arg_logs":true"#,
                "exports = (a) => context.functions.execute('inner')",
            ),
            (
                "inner",
                PRIVATE,
                "exports = () => console.log('from inside')",
            ),
            (
                "guarded",
                r#","can_evaluate":{"%%true":{"%function":{"name":"yes"}}}"#,
                "exports = () => 1",
            ),
            ("yes", PRIVATE, "exports = () => true"),
        ],
        &[],
    )
    .await;
    world.alice("speaks", bson!([1])).await;
    world.alice("quiet", bson!(["hush"])).await;
    world.alice("guarded", none()).await;
    let log = world.log().await;
    let told: Vec<_> = log
        .iter()
        .map(|entry| {
            let details = &entry.details;
            (
                details.get_str("function_name").unwrap(),
                details.get_array("messages").unwrap().clone(),
                details.get("arguments").cloned(),
            )
        })
        .collect();
    // Functions that rules call have no entries of their own.
    assert_eq!(
        told,
        [
            ("guarded", vec![], Some(none())),
            ("quiet", vec![Bson::from("from inside")], None),
            (
                "speaks",
                vec![Bson::from(r#"hello {"a":1}"#), Bson::from("careful")],
                Some(bson!([1]))
            ),
        ]
    );
    assert!(log.iter().all(|entry| entry.user_id == world.alice.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debug_run_shows_everything() {
    let world = World::new(
        &[(
            "sum",
            PRIVATE,
            "exports = (a, b) => { console.log('adding'); console.error('bad'); return a + b }",
        )],
        &[],
    )
    .await;
    let cx = world.cx(&world.alice);
    let run = world
        .app
        .debug_run(&cx, "sum", None, None, vec![Bson::Int32(1), Bson::Int32(2)])
        .await
        .unwrap();
    assert_eq!(run.result.unwrap(), Bson::Int32(3));
    assert_eq!(run.logs, ["adding", "bad"]);
    assert_eq!(run.error_logs, ["bad"]);
    let source = "exports = (name) => context.functions.execute('sum', name.length, 1)";
    let run = world
        .app
        .debug_run(
            &cx,
            "",
            Some(source),
            Some("exports('four')".to_owned()),
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(run.result.unwrap(), Bson::Int32(5));
    let wrong = world
        .app
        .debug_run(&cx, "", Some("exports = ("), None, Vec::new())
        .await
        .unwrap_err();
    assert_eq!(wrong.code, "FunctionSyntaxError");
}

/// Rules of `d.r` that ask a function.
const ASKS: (&str, &str) = (
    "data_sources/mongodb-atlas/d/r/rules.json",
    r#"{"database":"d","collection":"r","roles":[{"name":"asked","read":true,"write":true,"insert":true,"delete":true,
        "apply_when":{"%%true":{"%function":{"name":"mayUse","arguments":["%%user.id"]}}}}]}"#,
);

#[tokio::test(flavor = "multi_thread")]
async fn calls_never_wait_for_workers_that_wait_for_them() {
    let read =
        "exports = () => context.services.get('mongodb-atlas').db('d').collection('r').count()";
    let insert = "exports = () => context.services.get('mongodb-atlas').db('d').collection('r').insertOne({})";
    let world = World::within(
        &[
            ("read", "", read),
            ("insert", "", insert),
            (
                "mayUse",
                PRIVATE,
                "exports = (id) => id === context.user.id",
            ),
        ],
        &[ASKS],
        2,
        20_000,
    )
    .await;
    world.alice("insert", none()).await;
    let world = Arc::new(world);
    // Six calls hold both workers while the rule needs one more.
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.alice("read", none()).await })
        })
        .collect();
    for call in calls {
        let value = tokio::time::timeout(Duration::from_secs(15), call)
            .await
            .expect("no call waits for another")
            .unwrap();
        assert_eq!(value, r#"{"$numberInt":"1"}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_asks_itself_ends() {
    let read =
        "exports = () => context.services.get('mongodb-atlas').db('d').collection('r').findOne()";
    let world = World::new(
        &[("read", "", read), ("mayUse", PRIVATE, read), ("insert", r#","run_as_system":true"#,
            "exports = () => context.services.get('mongodb-atlas').db('d').collection('r').insertOne({})")],
        &[ASKS],
    )
    .await;
    world.alice("insert", none()).await;
    let text = world.alice("read", none()).await;
    assert!(
        text.ends_with("functions that rules call are nested too deeply"),
        "{text}"
    );
}
