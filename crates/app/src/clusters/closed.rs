//! What is closed to apps, whatever their rules say and whoever calls: the
//! server's own records, and the databases in which MongoDB keeps its own. The
//! log of a replica set is one of those, and has every write of every database.

use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};

/// Databases of MongoDB itself.
const INTERNAL: [&str; 3] = ["admin", "config", "local"];
/// What goes to `admin` and is no use of that database.
const OF_DEPLOYMENTS: [&str; 3] = ["commitTransaction", "abortTransaction", "listDatabases"];

/// The names of the closed databases.
#[derive(Clone)]
pub(crate) struct Closed(Arc<[String]>);

/// An engine without its closed databases.
pub(crate) struct Door {
    engine: SharedEngine,
    closed: Closed,
}

impl Closed {
    /// With the database of the server's own records. The one of its usual name
    /// is closed too: records that were moved away may still lie there.
    pub(crate) fn new(own: &str) -> Self {
        let own = [own, state::DATABASE].into_iter();
        Self(own.chain(INTERNAL).map(str::to_owned).collect())
    }

    /// The database of the server's own records.
    pub(crate) fn own(&self) -> &str {
        self.0.first().map_or(state::DATABASE, String::as_str)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn has(&self, database: &str) -> bool {
        self.0
            .iter()
            .any(|closed| closed.eq_ignore_ascii_case(database))
    }

    pub(crate) fn around(&self, engine: SharedEngine) -> Door {
        Door {
            engine,
            closed: self.clone(),
        }
    }

    /// Whether a stage of an aggregation reads or writes a closed database:
    /// `$lookup`, `$unionWith`, `$out` and `$merge` may name one.
    fn led_to(&self, command: &RawDocument) -> Option<String> {
        match command.get("pipeline") {
            Ok(Some(pipeline)) => self.named(pipeline),
            _ => None,
        }
    }

    fn named(&self, value: RawBsonRef<'_>) -> Option<String> {
        match value {
            RawBsonRef::Array(items) => items.into_iter().flatten().find_map(|v| self.named(v)),
            RawBsonRef::Document(fields) => {
                fields
                    .iter()
                    .flatten()
                    .find_map(|(name, value)| match value.as_str() {
                        Some(text) if name == "db" && self.has(text) => Some(text.to_owned()),
                        _ => self.named(value),
                    })
            }
            _ => None,
        }
    }

    /// A stage that passes events of other databases.
    fn others(&self) -> RawDocumentBuf {
        let mut closed = RawArrayBuf::new();
        for name in self.0.iter() {
            closed.push(name.as_str());
        }
        rawdoc! { "$match": { "ns.db": { "$nin": closed } } }
    }
}

/// `Unauthorized`, as MongoDB says it.
fn refused(database: &str) -> CommandError {
    CommandError::new(
        13,
        format!("not authorized on {database} to execute command"),
    )
}

impl Engine for Door {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        let of_deployment = || {
            let first = command.iter().next().and_then(Result::ok);
            first.is_some_and(|(name, _)| OF_DEPLOYMENTS.contains(&name.as_str()))
        };
        if self.closed.has(database) && !(database == "admin" && of_deployment()) {
            return Box::pin(async move { Err(refused(database)) });
        }
        if let Some(named) = self.closed.led_to(command) {
            return Box::pin(async move { Err(refused(&named)) });
        }
        self.engine.command(database, command)
    }

    fn watch(
        &self,
        mut request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        match &request.database {
            Some(database) if self.closed.has(database) => {
                let refused = refused(database);
                return Box::pin(async { Err(refused) });
            }
            Some(_) => {}
            None => request.pipeline.insert(0, self.closed.others()),
        }
        self.engine.watch(request)
    }

    fn health(&self) -> BoxFuture<'_, Result<(), CommandError>> {
        self.engine.health()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Collection, SharedEngine};
    use engine_embedded::Embedded;
    use kit::SystemClock;

    use super::{Closed, rawdoc};

    #[tokio::test]
    async fn the_servers_records_are_out_of_reach() {
        let whole: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        let own = Collection::new(&whole, state::DATABASE, "admin_keys");
        own.insert_one(&rawdoc! { "_id": 1 }).await.unwrap();
        let apps: SharedEngine = Arc::new(Closed::new("moved").around(whole.clone()));
        for (database, command) in [
            ("backstitch", rawdoc! { "find": "admin_keys", "filter": {} }),
            ("Backstitch", rawdoc! { "find": "admin_keys", "filter": {} }),
            ("moved", rawdoc! { "find": "admin_keys", "filter": {} }),
            ("local", rawdoc! { "find": "oplog.rs", "filter": {} }),
            ("admin", rawdoc! { "find": "system.users", "filter": {} }),
            (
                "shop",
                rawdoc! {
                    "aggregate": "c", "cursor": {},
                    "pipeline": [{ "$lookup": {
                        "from": { "db": "local", "coll": "oplog.rs" }, "pipeline": [], "as": "all",
                    } }],
                },
            ),
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
        let list = rawdoc! { "listDatabases": 1, "nameOnly": true };
        assert!(apps.command("admin", &list).await.is_ok());
    }

    #[tokio::test]
    async fn a_feed_of_everything_has_no_events_of_the_servers() {
        let whole: SharedEngine = Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap());
        let apps: SharedEngine = Arc::new(Closed::new("moved").around(whole.clone()));
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
