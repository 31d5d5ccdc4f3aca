//! The clusters that apps' data sources lead to. One of them may hold the
//! server's own records; no app reaches those, whatever its rules say and
//! whoever calls.

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};

/// An engine without the server's own database.
pub(crate) struct Cluster(pub(crate) SharedEngine);

impl Engine for Cluster {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        if is_own(database) || leads_to_own(command) {
            return Box::pin(async { Err(refused()) });
        }
        self.0.command(database, command)
    }

    fn watch(
        &self,
        mut request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        match &request.database {
            Some(database) if is_own(database) => return Box::pin(async { Err(refused()) }),
            Some(_) => {}
            None => request.pipeline.insert(0, not_own()),
        }
        self.0.watch(request)
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        self.0.health()
    }
}

fn is_own(database: &str) -> bool {
    database.eq_ignore_ascii_case(state::DATABASE)
}

/// `Unauthorized`, as MongoDB says it.
fn refused() -> CommandError {
    CommandError::new(
        13,
        format!("not authorized on {} to execute command", state::DATABASE),
    )
}

/// A stage that passes events of other databases.
fn not_own() -> RawDocumentBuf {
    rawdoc! { "$match": { "ns.db": { "$ne": state::DATABASE } } }
}

/// Whether a stage of an aggregation reads or writes the server's database:
/// `$lookup`, `$unionWith`, `$out` and `$merge` may name one.
fn leads_to_own(command: &RawDocument) -> bool {
    match command.get("pipeline") {
        Ok(Some(pipeline)) => names_own(pipeline),
        _ => false,
    }
}

fn names_own(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Array(items) => items.into_iter().flatten().any(names_own),
        RawBsonRef::Document(fields) => fields.iter().flatten().any(|(name, value)| {
            (name == "db" && value.as_str().is_some_and(is_own)) || names_own(value)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Collection, SharedEngine};
    use engine_embedded::Embedded;
    use kit::SystemClock;

    use super::{Cluster, rawdoc};

    #[tokio::test]
    async fn the_servers_records_are_out_of_reach() {
        let whole: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        let own = Collection::new(&whole, state::DATABASE, "admin_keys");
        own.insert_one(&rawdoc! { "_id": 1 }).await.unwrap();
        let apps: SharedEngine = Arc::new(Cluster(whole.clone()));
        for (database, command) in [
            ("backstitch", rawdoc! { "find": "admin_keys", "filter": {} }),
            ("Backstitch", rawdoc! { "find": "admin_keys", "filter": {} }),
            (
                "backstitch",
                rawdoc! { "insert": "admin_keys", "documents": [{}] },
            ),
            (
                "shop",
                rawdoc! {
                    "aggregate": "c", "cursor": {},
                    "pipeline": [{ "$merge": { "into": { "db": "backstitch", "coll": "apps" } } }],
                },
            ),
            (
                "shop",
                rawdoc! {
                    "aggregate": "c", "cursor": {},
                    "pipeline": [{ "$facet": { "a": [{ "$out": { "db": "backstitch", "coll": "apps" } }] } }],
                },
            ),
        ] {
            let refused = apps.command(database, &command).await.unwrap_err();
            assert_eq!(refused.code, 13, "{command:?}");
        }
        assert_eq!(own.count(bson::doc! {}).await.unwrap(), 1);
        let found = apps
            .command(
                "shop",
                &rawdoc! { "find": "c", "filter": { "db": "backstitch" } },
            )
            .await;
        assert!(
            found.is_ok(),
            "a field of that name is none of our business"
        );
    }

    #[tokio::test]
    async fn a_feed_of_everything_has_no_events_of_the_servers() {
        let whole: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        let apps: SharedEngine = Arc::new(Cluster(whole.clone()));
        let closed = engine::WatchRequest {
            database: Some("backstitch".to_owned()),
            ..engine::WatchRequest::default()
        };
        assert_eq!(
            apps.watch(closed).await.err().map(|error| error.code),
            Some(13)
        );
        let mut feed = apps.watch(engine::WatchRequest::default()).await.unwrap();
        let own = Collection::new(&whole, state::DATABASE, "logs");
        own.insert_one(&rawdoc! { "_id": 1 }).await.unwrap();
        let theirs = Collection::new(&whole, "shop", "orders");
        theirs.insert_one(&rawdoc! { "_id": 2 }).await.unwrap();
        let event = feed.next().await.unwrap();
        let namespace = event.get_document("ns").unwrap();
        assert_eq!(namespace.get_str("db").unwrap(), "shop");
    }
}
