//! What the meters keep: through restarts, among servers, hour by hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use engine::SharedEngine;
use engine_embedded::Embedded;
use kit::clock::FakeClock;
use state::MasterKey;

use super::{Area, DAY_MS, HOUR_MS, HOURS_KEPT_MS, MINUTE_MS, MINUTES_KEPT_MS, Span};
use crate::{App, Author, Backstitch, NewApp, Settings};

/// The beginning of an hour.
const NOW_MS: i64 = 1_699_999_200_000;

struct World {
    engine: SharedEngine,
    clock: Arc<FakeClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(FakeClock::at(NOW_MS));
        let engine: SharedEngine = Arc::new(Embedded::in_memory(clock.clone()).unwrap());
        Self { engine, clock }
    }

    async fn server(&self) -> Arc<Backstitch> {
        Backstitch::open(Settings {
            engine: self.engine.clone(),
            clusters: HashMap::new(),
            state: None,
            master_key: MasterKey::from_text("test"),
            workers: js::PoolSettings::new("/nonexistent", [""; 0]),
            limits: js::Limits::default(),
            clock: self.clock.clone(),
            cheap_passwords: true,
            npm_registry: None,
            outbound: crate::Outbound::default(),
            mail: crate::mail::MailSettings::default(),
        })
        .await
        .unwrap()
    }
}

async fn app(core: &Arc<Backstitch>, name: &str) -> Arc<App> {
    let new = NewApp {
        name: name.to_owned(),
        ..NewApp::default()
    };
    let author = Author {
        user_id: String::new(),
        origin: "API".to_owned(),
    };
    core.create_app("p", new, &author).await.unwrap()
}

fn request(app: &App, failed: bool) {
    app.count_request(Area::Sdk, failed, 100, Duration::from_millis(40));
}

async fn metric(app: &App, name: &str, span: Span) -> Vec<f64> {
    let series = app.metrics(span, &[name.to_owned()]).await.unwrap();
    assert_eq!((series.len(), series[0].name), (1, name));
    series[0].values.clone()
}

async fn requests(app: &App, span: Span) -> Vec<u64> {
    let used = app.usage(span).await.unwrap();
    used.iter().map(|used| used.requests).collect()
}

fn hours(from: i64, count: i64) -> Span {
    Span::new(
        NOW_MS + from * HOUR_MS,
        NOW_MS + (from + count) * HOUR_MS,
        HOUR_MS,
    )
    .unwrap()
}

#[tokio::test]
async fn what_was_counted_survives_the_server_and_adds_up_among_servers() {
    let world = World::new();
    let (one, two) = (world.server().await, world.server().await);
    let here = app(&one, "a").await;
    let there = two.app(&here.id).await.unwrap();
    for _ in 0..6 {
        request(&here, false);
        request(&there, true);
    }
    world.clock.advance_ms(2 * MINUTE_MS);
    request(&there, false);
    let (first, second) = tokio::join!(one.meters.write(), two.meters.write());
    first.unwrap();
    second.unwrap();
    drop((here, there, one, two));
    let again = world.server().await;
    let kept = again.state.apps.first(doc! {}).await.unwrap().unwrap();
    let app = again.app(&kept.id).await.unwrap();
    assert_eq!(requests(&app, hours(0, 1)).await, [13]);
    let minutes = Span::new(NOW_MS, NOW_MS + 4 * MINUTE_MS, MINUTE_MS).unwrap();
    let per_second = |count: f64| count / 60.0;
    assert_eq!(
        metric(&app, "SDK_SUCCESSFUL_REQUESTS", minutes).await,
        [per_second(6.0), 0.0, per_second(1.0), 0.0]
    );
    assert_eq!(
        metric(&app, "SDK_FAILED_REQUESTS", minutes).await,
        [per_second(6.0), 0.0, 0.0, 0.0]
    );
    assert_eq!(
        metric(&app, "OVERALL_EGRESS_BYTES", minutes).await,
        [per_second(1200.0), 0.0, per_second(100.0), 0.0]
    );
    let p95 = metric(&app, "SDK_FNS_RESPONSE_MS", minutes).await;
    assert!((30.0..=50.0).contains(&p95[0]), "{p95:?}");
    assert_eq!(metric(&app, "SDK_MQL_RESPONSE_MS", minutes).await, [0.0; 4]);
}

#[tokio::test]
async fn hours_are_summed_up_once_and_minutes_forgotten() {
    let world = World::new();
    let core = world.server().await;
    let app = app(&core, "a").await;
    let state = &core.state;
    request(&app, false);
    world.clock.advance_ms(HOUR_MS);
    request(&app, false);
    request(&app, false);
    core.meters.write().await.unwrap();
    // A server may still be counting for these.
    core.meters.sum_up(NOW_MS + 2 * HOUR_MS).await.unwrap();
    assert_eq!(state.usage_hours.count(doc! {}).await.unwrap(), 0);
    assert_eq!(requests(&app, hours(0, 3)).await, [1, 2, 0]);
    core.meters.sum_up(NOW_MS + 2 * HOUR_MS + 1).await.unwrap();
    assert_eq!(state.usage_hours.count(doc! {}).await.unwrap(), 1);
    // One hour is summed up, the other not yet: each is told once.
    assert_eq!(requests(&app, hours(0, 3)).await, [1, 2, 0]);
    let now = NOW_MS + 4 * HOUR_MS;
    core.meters.sum_up(now).await.unwrap();
    assert_eq!(state.usage_hours.count(doc! {}).await.unwrap(), 2);
    assert_eq!(requests(&app, hours(0, 3)).await, [1, 2, 0]);
    // Counts that come late are in the sum when it is made again.
    request(&app, false);
    core.meters.write().await.unwrap();
    core.meters.sum_up(now).await.unwrap();
    assert_eq!(requests(&app, hours(0, 3)).await, [1, 3, 0]);

    core.meters
        .sum_up(NOW_MS + MINUTES_KEPT_MS + DAY_MS)
        .await
        .unwrap();
    assert_eq!(state.usage_minutes.count(doc! {}).await.unwrap(), 0);
    assert_eq!(requests(&app, hours(0, 3)).await, [1, 3, 0]);
    // What is left of minutes is their hour.
    let fine = Span::new(
        NOW_MS + 30 * MINUTE_MS,
        NOW_MS + 3 * HOUR_MS,
        30 * MINUTE_MS,
    )
    .unwrap();
    assert_eq!(requests(&app, fine).await, [1, 3, 0, 0, 0]);
    core.meters
        .sum_up(NOW_MS + HOURS_KEPT_MS + DAY_MS)
        .await
        .unwrap();
    assert_eq!(requests(&app, hours(0, 3)).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_project_has_the_use_of_its_apps_and_of_those_that_are_gone() {
    let world = World::new();
    let core = world.server().await;
    let (one, two) = (app(&core, "a").await, app(&core, "b").await);
    request(&one, false);
    request(&two, false);
    two.count_work(Area::Sdk, 3_600_000, 1_000_000_000);
    two.count_request(Area::Auth, false, 1_000_000_000, Duration::ZERO);
    let span = hours(0, 1);
    let used = core.project_usage("p", span).await.unwrap();
    // Logins are no requests that are billed; their bytes are.
    assert_eq!(used[0].requests, 2);
    assert!((used[0].compute_h - 0.001).abs() < 1e-9, "{used:?}");
    assert!((used[0].memory_gb_s - 3.6).abs() < 1e-9, "{used:?}");
    assert!((used[0].out_gb - 1.0).abs() < 1e-3, "{used:?}");
    assert_eq!(requests(&one, span).await, [1]);
    assert_eq!(core.project_usage("q", span).await.unwrap()[0].requests, 0);
    core.meters.sum_up(NOW_MS + 3 * HOUR_MS).await.unwrap();
    core.delete_app(&two).await.unwrap();
    assert_eq!(core.project_usage("p", span).await.unwrap()[0].requests, 2);
}

#[tokio::test]
async fn users_are_told_as_they_were() {
    let world = World::new();
    let core = world.server().await;
    let app = app(&core, "a").await;
    let came = async |count: i64| {
        for _ in 0..count {
            let user = state::User {
                id: crate::new_id(),
                app_id: app.id.clone(),
                kind: "normal".to_owned(),
                identities: Vec::new(),
                keys: vec![crate::new_id()],
                disabled: false,
                created: 0,
                last_login: 0,
                last_seen: 0,
            };
            core.state.users.insert(&user).await.unwrap();
        }
        app.count_users(count);
        world.clock.advance_ms(HOUR_MS);
    };
    came(2).await;
    came(3).await;
    let first = core.state.users.first(doc! {}).await.unwrap().unwrap();
    let request = crate::RequestInfo::default();
    app.delete_user(&first.id, &request).await.unwrap();
    world.clock.advance_ms(HOUR_MS);
    came(1).await;
    let total = "AUTH_TOTAL_USERS";
    assert_eq!(
        metric(&app, total, hours(0, 5)).await,
        [2.0, 5.0, 4.0, 5.0, 5.0]
    );
    assert_eq!(metric(&app, total, hours(-1, 3)).await, [0.0, 2.0, 5.0]);
}

#[test]
fn spans_have_bounds() {
    let code = |start, end, step| Span::new(start, end, step).map(|_| ()).unwrap_err().code;
    for (start, end, step) in [
        (1, 1, MINUTE_MS),
        (2, 1, MINUTE_MS),
        (0, HOUR_MS, MINUTE_MS - 1),
        (0, 10_000 * MINUTE_MS, MINUTE_MS),
        (i64::MIN, i64::MAX, DAY_MS),
    ] {
        assert_eq!(code(start, end, step), "InvalidParameter");
    }
    let all = Span::new(0, 10_000 * MINUTE_MS - 1, MINUTE_MS).unwrap();
    assert_eq!(all.points().count(), 10_000);
    assert_eq!((all.index(-1), all.index(0)), (None, Some(0)));
    assert_eq!(all.index(10_000 * MINUTE_MS - 2), Some(9999));
    assert_eq!(all.index(10_000 * MINUTE_MS - 1), None);
}
