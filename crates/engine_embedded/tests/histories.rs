//! What clients see through transactions is snapshot isolation.

use std::sync::Arc;

use engine_embedded::Embedded;
use kit::SystemClock;
use testkit::history::hold;

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated_in_memory() {
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    hold(Arc::new(engine)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Embedded::open(folder.path(), Arc::new(SystemClock)).expect("opens");
    hold(Arc::new(engine)).await;
}
