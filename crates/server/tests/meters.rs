//! Meters: what clients do is counted, each thing once and as what it is.

use app::meters::Span;
use serde_json::json;

use crate::http::Ask;
use crate::world::{World, call, of_app, watch};

const HOUR_MS: i64 = 3_600_000;

/// Counts of this hour: name and value times an hour, all that are not zero.
async fn counted(world: &World) -> Vec<(&'static str, u64)> {
    let now = world.core.clock().now_ms();
    let start = now - now.rem_euclid(HOUR_MS);
    let span = Span::new(start, start + HOUR_MS, HOUR_MS).unwrap();
    let series = world.app.metrics(span, &[]).await.unwrap();
    series
        .into_iter()
        .filter(|series| series.unit.ends_with("_PER_SECOND"))
        .map(|series| (series.name, (series.values[0] * 3600.0).round() as u64))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Those of them that count something other than time.
async fn counts(world: &World) -> Vec<(&'static str, u64)> {
    let mut counts = counted(world).await;
    counts.retain(|(name, _)| !name.ends_with("_COMPUTE_MS") && !name.ends_with("_BYTES"));
    counts
}

async fn one(world: &World, name: &str) -> u64 {
    let counted = counted(world).await;
    let found = counted.iter().find(|(known, _)| *known == name);
    found.map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn each_request_is_counted_as_what_it_is() {
    let world = World::new().await;
    assert_eq!(counted(&world).await, []);
    let user = world.anonymous().await;
    let profile = Ask::new("GET", "/api/client/v2.0/auth/profile");
    world.send(profile.bearer(&user.access)).await;
    world.with_refresh(&user.refresh).await;
    // Whoever is not known calls nothing.
    world.call("x.y.z", "{}").await;
    let auth = counts(&world).await;
    assert_eq!(
        auth.iter()
            .find(|(name, _)| *name == "AUTH_SUCCESSFUL_LOGIN"),
        Some(&("AUTH_SUCCESSFUL_LOGIN", 1))
    );
    assert!(
        auth.iter().all(|(name, _)| !name.starts_with("SDK")),
        "{auth:?}"
    );
    let (ok, failed) = (
        one(&world, "AUTH_SUCCESSFUL_REQUESTS").await,
        one(&world, "AUTH_FAILED_REQUESTS").await,
    );

    let echo = json!({ "name": "echo", "arguments": ["x".repeat(1000)] }).to_string();
    let reply = world.call(&user.access, echo).await;
    assert_eq!(reply.status, 200);
    let missing = world.call(&user.access, r#"{"name":"missing"}"#).await;
    assert_eq!(missing.status, 404);
    for n in 0..3 {
        world.note(&user, n).await;
    }
    // Neither an endpoint that is none nor where the server is.
    world.send(Ask::new("GET", of_app("location"))).await;
    world.send(Ask::new("GET", of_app("nothing"))).await;
    let mut wanted = vec![
        ("AUTH_FAILED_REQUESTS", failed),
        ("AUTH_SUCCESSFUL_LOGIN", 1),
        ("AUTH_SUCCESSFUL_REQUESTS", ok),
        ("OVERALL_FAILED_REQUESTS", failed + 1),
        ("OVERALL_SUCCESSFUL_REQUESTS", ok + 4),
        ("SDK_FAILED_REQUESTS", 1),
        ("SDK_MQL_SUCCESSFUL_REQUESTS", 3),
        ("SDK_SUCCESSFUL_REQUESTS", 1),
    ];
    wanted.sort_unstable();
    let mut found = counts(&world).await;
    found.sort_unstable();
    assert_eq!(found, wanted);
    let bytes = reply.body.len() + missing.body.len();
    assert_eq!(one(&world, "SDK_EGRESS_BYTES").await, bytes as u64);
    assert!(one(&world, "SDK_MQL_EGRESS_BYTES").await > 0);
    let now = world.core.clock().now_ms();
    let span = Span::new(now - HOUR_MS, now + HOUR_MS, 2 * HOUR_MS).unwrap();
    let used = world.app.usage(span).await.unwrap();
    assert_eq!(used[0].requests, 5);
    assert!(
        used[0].compute_h > 0.0 && used[0].memory_gb_s > 0.0,
        "{used:?}"
    );
}

#[tokio::test]
async fn what_the_access_list_keeps_out_costs_nothing() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let before = counted(&world).await;
    let open = world.app.record().settings.access_list[0].id.clone();
    world.app.allow_address("203.0.113.0/24", "").await.unwrap();
    world.app.forbid_address(&open).await.unwrap();
    let refused = world.send(call(&user.access, r#"{"name":"echo"}"#)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(counted(&world).await, before);
}

#[tokio::test]
async fn a_stream_is_counted_as_it_goes() {
    let world = World::new().await;
    let user = world.anonymous().await;
    let mut stream = crate::streams::Stream::open(&world, watch("").bearer(&user.access)).await;
    let sent = one(&world, "SDK_MQL_EGRESS_BYTES").await;
    assert_eq!(one(&world, "SDK_MQL_SUCCESSFUL_REQUESTS").await, 1);
    let note = world.note(&user, 1).await.body.len() as u64;
    let event = stream.event().await.unwrap();
    // The event, and the empty line behind it.
    let event = event.len() as u64 + 2;
    assert_eq!(
        one(&world, "SDK_MQL_EGRESS_BYTES").await,
        sent + note + event
    );
}
