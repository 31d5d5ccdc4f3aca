//! The server beside workers that were taken over: whatever they send costs
//! their own call alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bson::{Bson, RawBson, RawDocumentBuf};
use js::{BoxFuture, Entered, Failure, Frame, Host, HostError, Outcome, Pool, PoolSettings};

use crate::ahead::settled;
use crate::{call, compiled, context};

/// A call that takes as long does not end.
pub(crate) const HANGS: Duration = Duration::from_secs(60);
/// Bytes of each reply.
const REPLY_BYTES: usize = 64 << 10;

/// Answers at once, and counts.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Host for Counting {
    fn call(
        &self,
        _: Frame,
        _: &str,
        _: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(RawBson::String("x".repeat(REPLY_BYTES))) })
    }

    fn enter(&self, frame: Frame, _: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let mut context = context(false);
            context.append(bson::cstr!("pad"), "x".repeat(REPLY_BYTES));
            Ok(Entered {
                frame,
                code: compiled("exports = 1"),
                context,
            })
        })
    }
}

fn rogues() -> Pool {
    Pool::new(PoolSettings::new(
        env!("CARGO_BIN_EXE_js-test-worker"),
        ["rogue"],
    ))
}

async fn sent(pool: &Pool, what: &str, host: &Arc<Counting>) -> Outcome {
    let mut call = call("exports = 1", vec![Bson::String(what.to_owned())]);
    call.limits.time_ms = 1000;
    pool.call(call, host.clone()).await
}

async fn serves(pool: &Pool, what: &str) {
    let call = call("exports = 1", Vec::new());
    let next = pool.call(call, Arc::new(Counting::default())).await;
    assert_eq!(next.result, Ok(Bson::Int32(1)), "after {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_ends_the_call() {
    let (pool, host) = (rogues(), Arc::new(Counting::default()));
    for what in [
        "nothing", "empty", "kind", "no-kind", "frozen", "image", "awake", "deep", "too-long",
        "long",
    ] {
        let ended = sent(&pool, what, &host).await.result;
        assert_eq!(ended, Err(Failure::Crashed), "{what}");
        serves(&pool, what).await;
    }
    for what in ["half", "silent"] {
        let start = Instant::now();
        let ended = sent(&pool, what, &host).await.result;
        assert_eq!(ended, Err(Failure::TimeLimit), "{what}");
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        serves(&pool, what).await;
    }
    assert_eq!(pool.running(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_messages_end_the_call() {
    let (pool, host) = (rogues(), Arc::new(Counting::default()));
    for seed in 1..=100 {
        for what in ["random", "random-document"] {
            let what = format!("{what} {seed}");
            let ended = sent(&pool, &what, &host).await.result;
            assert_eq!(ended, Err(Failure::Crashed), "{what}");
        }
        // These may still make sense, such as another value.
        let what = format!("changed {seed}");
        let ended = sent(&pool, &what, &host).await.result;
        let failed = matches!(ended, Err(Failure::Crashed | Failure::TimeLimit));
        assert!(failed || ended.is_ok(), "{what}: {ended:?}");
        serves(&pool, &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_requests_whose_replies_nobody_reads_are_bounded() {
    let pool = rogues();
    // Four times what a function may start, and what fits into the pipe.
    let most = 4 * kit::limit::CALL_HOST_OPERATIONS_MAX as usize + 200;
    for what in ["host", "enter"] {
        let host = Arc::new(Counting::default());
        let ended = sent(&pool, what, &host).await.result;
        assert_eq!(ended, Err(Failure::Crashed), "{what}");
        let asked = host.0.load(Ordering::Relaxed);
        assert!(asked <= most, "{what}: {asked} replies were held");
        serves(&pool, what).await;
    }
}

#[tokio::test]
async fn an_answer_too_many_is_not_the_next_calls() {
    let (pool, host) = (rogues(), Arc::new(Counting::default()));
    for _ in 0..10 {
        let ended = sent(&pool, "twice", &host).await.result;
        assert_eq!(ended, Ok(Bson::Int32(7)));
        serves(&pool, "two answers").await;
    }
}

/// Whether something is kept of what a worker says that a function loaded.
async fn learns(pool: &Pool, function: usize, what: &str) -> bool {
    let before = pool.prepared();
    let source = format!("exports = {function}");
    let call = call(&source, vec![Bson::String(what.to_owned())]);
    let ended = pool.call(call, Arc::new(Counting::default())).await;
    assert_eq!(ended.result, Ok(Bson::Int32(7)), "{what}");
    // One thread: what is to be loaded ahead has not begun.
    let asked = pool.preparing();
    settled(pool).await;
    serves(pool, what).await;
    assert!(asked || pool.prepared() == before, "{what}");
    asked
}

#[tokio::test]
async fn nothing_is_kept_of_modules_that_no_call_could_load() {
    let pool = rogues();
    let most = kit::limit::CALL_MODULES_MAX;
    for what in [
        &*format!("loaded {}", most + 1),
        "loaded-long 0",
        "loaded-long 10",
        "loaded-values 10",
        "loaded 0",
    ] {
        assert!(!learns(&pool, 0, what).await, "{what}");
        assert_eq!(pool.prepared(), 0, "{what}");
    }
    assert!(learns(&pool, 0, "loaded 10").await);
    assert!(learns(&pool, 1, &format!("loaded {most}")).await);
    assert_eq!(pool.prepared(), 2);
}

#[tokio::test]
async fn an_image_that_is_too_large_is_not_kept() {
    let pool = rogues();
    assert!(learns(&pool, 0, "loaded-one 25").await);
    assert_eq!(pool.prepared(), 0);
    // Many of the largest: the oldest are forgotten.
    for function in 1..=12 {
        assert!(learns(&pool, function, "loaded-one 24").await);
        assert_eq!(pool.prepared(), function.min(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_sender_reads_nothing_ends_with_the_time() {
    let (pool, host) = (rogues(), Arc::new(Counting::default()));
    let ended = tokio::time::timeout(HANGS, sent(&pool, "deaf", &host)).await;
    let ended = ended.expect("a call that does not end").result;
    assert_eq!(ended, Err(Failure::TimeLimit));
    assert_eq!(pool.running(), 0);
    serves(&pool, "an answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_freezes_again_and_again_ends_with_the_time() {
    let mut settings = PoolSettings::new(env!("CARGO_BIN_EXE_js-test-worker"), ["rogue"]);
    settings.workers_max = 1;
    let (pool, host) = (Pool::new(settings), Arc::new(Counting::default()));
    let freezes = async {
        let ended = tokio::time::timeout(HANGS, sent(&pool, "freezes", &host)).await;
        ended.expect("a call that does not end").result
    };
    tokio::pin!(freezes);
    let mut served = 0;
    // Others keep asking for the only worker.
    let ended = loop {
        tokio::select! {
            ended = &mut freezes => break ended,
            () = serves(&pool, "a frozen call") => served += 1,
        }
    };
    assert_eq!(ended, Err(Failure::TimeLimit));
    assert!(served > 1, "{served}");
    assert_eq!((pool.running(), pool.frozen(), pool.waiting()), (0, 0, 0));
    serves(&pool, "many frozen calls").await;
}

#[tokio::test]
async fn answers_of_very_many_parts_are_not_held() {
    let pool = rogues();
    let answered = async |what: String| {
        let call = call("exports = 1", vec![what.into()]);
        pool.call(call, Arc::new(Counting::default())).await
    };
    let most = kit::limit::CALL_RESULT_VALUES_MAX;
    // The array is one of them.
    let held = answered(format!("values {}", most - 1)).await;
    let held = held.result.unwrap();
    assert_eq!(held.as_array().unwrap().len(), most - 1);
    for count in [most, 40_000_000] {
        let ended = answered(format!("values {count}")).await.result;
        let Err(Failure::Threw { message, .. }) = ended else {
            panic!("{count}: {:?}", ended.map(|_| "a value"));
        };
        assert_eq!(
            message,
            format!("RangeError: the result has more than {most} values")
        );
        serves(&pool, "many values").await;
    }
    let many = answered("lines 10000".to_owned()).await;
    assert_eq!(many.result, Ok(Bson::Int32(7)));
    assert_eq!(many.logs.len(), kit::limit::CALL_LOG_LINES_MAX);
}
