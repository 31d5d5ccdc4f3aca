//! What clients see through transactions on a replica set is snapshot
//! isolation.

use std::sync::Arc;

use testkit::history::hold;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_isolated() {
    let Some(server) = Server::replica_set().await else {
        return;
    };
    hold(Arc::new(server.connect("").await)).await;
}
