//! The meaning of the waist: cases that every engine passes, a real mongod
//! among them.
//!
//! A case gets an engine and a database of its own and panics where the
//! engine is wrong.

mod aggregation;
mod changes;
mod collation;
mod collections;
mod concerns;
mod corners;
mod crud;
mod cursors;
mod explain;
mod feeds;
mod filters;
mod indexes;
mod limits;
mod numbers;
mod options;
mod outputs;
mod pipelines;
mod sessions;
mod transactions;

use bson::{Bson, Document, RawDocumentBuf};

use crate::{BoxFuture, CommandError, SharedEngine};

#[cfg(test)]
pub(crate) use sessions::wrong_parts;

/// One case: name and body.
pub type Case = (&'static str, fn(World) -> BoxFuture<'static, ()>);

/// What a case works with.
#[derive(Clone)]
pub struct World {
    /// The engine under test.
    pub engine: SharedEngine,
    /// A database that nobody else uses.
    pub database: String,
}

/// Every case.
pub fn cases() -> Vec<Case> {
    [
        crud::CASES,
        changes::CASES,
        collections::CASES,
        filters::CASES,
        corners::CASES,
        aggregation::CASES,
        pipelines::CASES,
        collation::CASES,
        concerns::CASES,
        indexes::CASES,
        limits::CASES,
        numbers::CASES,
        options::CASES,
        outputs::CASES,
        cursors::CASES,
        explain::CASES,
        transactions::CASES,
        sessions::CASES,
        feeds::CASES,
    ]
    .concat()
}

/// Runs every case, each in a task of its own and in the database
/// `{prefix}_{number}`, and names those that failed.
pub async fn failures(engine: &SharedEngine, prefix: &str) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (index, (case, body)) in cases().into_iter().enumerate() {
        let world = World {
            engine: engine.clone(),
            database: format!("{prefix}_{index}"),
        };
        if tokio::spawn(body(world)).await.is_err() {
            failed.push(case);
        }
    }
    failed
}

impl World {
    /// Runs a command and reads the reply.
    pub async fn run(&self, command: Document) -> Result<Document, CommandError> {
        let raw = RawDocumentBuf::try_from(&command).expect("a command encodes");
        let reply = self.engine.command(&self.database, &raw).await?;
        Ok(Document::try_from(reply).expect("a reply decodes"))
    }

    /// Runs a command that has to succeed.
    pub async fn ok(&self, command: Document) -> Document {
        let shown = command.to_string();
        self.run(command)
            .await
            .unwrap_or_else(|error| panic!("{shown} failed: {error:?}"))
    }

    /// Runs a command that has to fail, or have a write error, with `code`.
    pub async fn fails(&self, command: Document, code: i32) {
        let shown = command.to_string();
        let found = match self.run(command).await {
            Err(error) => error.code,
            Ok(reply) => match reply.get_array("writeErrors") {
                Ok(errors) => errors[0]
                    .as_document()
                    .and_then(|error| error.get_i32("code").ok())
                    .unwrap_or(0),
                Err(missing) => {
                    panic!("{shown} should fail with {code}, answered {reply}: {missing}")
                }
            },
        };
        assert_eq!(found, code, "code of {shown}");
    }

    /// Inserts documents into `c`.
    pub async fn insert(&self, documents: Vec<Document>) {
        let n = documents.len() as i32;
        let reply = self
            .ok(bson::doc! { "insert": "c", "documents": documents })
            .await;
        assert_eq!(
            reply.get("n").and_then(whole),
            Some(i64::from(n)),
            "{reply}"
        );
    }

    /// What a `find` in `c` with these fields returns.
    pub async fn find(&self, with: Document) -> Vec<Document> {
        let mut command = bson::doc! { "find": "c" };
        command.extend(with);
        documents(&self.ok(command).await)
    }

    /// What a pipeline over `c` returns.
    pub async fn aggregate(&self, pipeline: Vec<Document>) -> Vec<Document> {
        documents(
            &self
                .ok(bson::doc! { "aggregate": "c", "pipeline": pipeline, "cursor": {} })
                .await,
        )
    }
}

/// The documents of a reply's first batch.
fn documents(reply: &Document) -> Vec<Document> {
    let cursor = reply.get_document("cursor").expect("a cursor");
    cursor
        .get_array("firstBatch")
        .expect("a first batch")
        .iter()
        .filter_map(|value| value.as_document().cloned())
        .collect()
}

/// A whole number of any type.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        Bson::Double(n) => Some(*n as i64),
        _ => None,
    }
}
