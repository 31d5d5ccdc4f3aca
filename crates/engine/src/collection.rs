//! Typed helpers over the waist, for our own code.

use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};

use crate::{Answer, CommandError, Session, SharedEngine};

/// A collection of an engine, in a transaction or not.
#[derive(Clone)]
pub struct Collection {
    engine: SharedEngine,
    database: String,
    name: String,
    session: Option<Session>,
    reads: Option<Arc<RawDocumentBuf>>,
    options: Option<Arc<RawDocumentBuf>>,
    /// Whether writes are answered before they are on the disk.
    unsynced: bool,
}

/// How to find.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Sort specification.
    pub sort: Option<Document>,
    /// Projection.
    pub projection: Option<Document>,
    /// Documents to skip.
    pub skip: u64,
    /// Most documents to return; 0 is no limit.
    pub limit: u64,
}

/// What an update did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Updated {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that changed.
    pub modified: u64,
    /// The `_id` of an inserted document.
    pub upserted: Option<Bson>,
}

impl Collection {
    /// The collection `name` of `database`.
    pub fn new(engine: &SharedEngine, database: &str, name: &str) -> Self {
        Self {
            engine: engine.clone(),
            database: database.to_owned(),
            name: name.to_owned(),
            session: None,
            reads: None,
            options: None,
            unsynced: false,
        }
    }

    /// The same collection, read where a read preference says: `{mode, tags}`
    /// as on the wire. Transactions read from the primary.
    #[must_use]
    pub fn reading(&self, preference: Option<Arc<RawDocumentBuf>>) -> Self {
        Self {
            reads: preference,
            ..self.clone()
        }
    }

    /// The same collection, whose writes are answered before they are on the
    /// disk: they get there with the next write that is, at the latest. A crash
    /// loses the last of them, and never one that such a write came after.
    #[must_use]
    pub fn unsynced(&self) -> Self {
        Self {
            unsynced: true,
            ..self.clone()
        }
    }

    /// The same collection with options, such as `collation` or `hint`: each
    /// command carries those that it knows, where it has its place for them.
    #[must_use]
    pub fn with_options(&self, options: Arc<RawDocumentBuf>) -> Self {
        Self {
            options: Some(options),
            ..self.clone()
        }
    }

    /// The same collection in a transaction.
    #[must_use]
    pub fn within(&self, session: &Session) -> Self {
        Self {
            session: Some(session.clone()),
            ..self.clone()
        }
    }

    /// Its engine.
    pub fn engine(&self) -> &SharedEngine {
        &self.engine
    }

    /// Its database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command whose first field names this collection.
    pub async fn run(&self, command: Document) -> Answer {
        self.send(RawDocumentBuf::try_from(&command)?).await
    }

    /// Runs a raw command whose first field names this collection.
    pub async fn send(&self, mut command: RawDocumentBuf) -> Answer {
        if let Some(options) = &self.options {
            command = crate::options::carried(command, options, self.session.is_some())?;
        }
        if let Some(session) = &self.session {
            session.decorate_raw(&mut command);
        } else if let Some(reads) = &self.reads
            && is_read(&command)
        {
            command.append(cstr!("$readPreference"), reads.as_ref().as_ref());
        } else if self.unsynced && is_write(&command) {
            command.append(
                cstr!("writeConcern"),
                rawdoc! { "w": "majority", "j": false },
            );
        }
        let answer = self.engine.command(&self.database, &command).await;
        if let Some(session) = &self.session {
            session.note(&answer);
        }
        answer
    }

    /// The first document that matches.
    pub async fn find_one(&self, filter: Document) -> Result<Option<RawDocumentBuf>, CommandError> {
        let options = Found {
            limit: 1,
            ..Found::default()
        };
        Ok(self.find(filter, options).await?.into_iter().next())
    }

    /// Every document that matches.
    pub async fn find(
        &self,
        filter: Document,
        options: Found,
    ) -> Result<Vec<RawDocumentBuf>, CommandError> {
        let mut command = doc! { "find": &self.name, "filter": filter };
        if let Some(sort) = options.sort {
            command.insert("sort", sort);
        }
        if let Some(projection) = options.projection {
            command.insert("projection", projection);
        }
        if options.skip > 0 {
            command.insert("skip", options.skip as i64);
        }
        if options.limit > 0 {
            command.insert("limit", options.limit as i64);
            // An `int` as drivers send it: FerretDB takes no other type.
            command.insert("batchSize", options.limit.min(100_000) as i32);
        }
        self.drain(command).await
    }

    /// Runs a pipeline and reads everything it makes.
    pub async fn aggregate(
        &self,
        pipeline: Vec<Bson>,
    ) -> Result<Vec<RawDocumentBuf>, CommandError> {
        self.drain(doc! { "aggregate": &self.name, "pipeline": pipeline, "cursor": {} })
            .await
    }

    /// Runs a command that opens a cursor and shows everything that it makes,
    /// without keeping it.
    pub async fn each(
        &self,
        command: Document,
        mut visit: impl FnMut(&RawDocument) + Send,
    ) -> Result<(), CommandError> {
        let reply = self.run(command).await?;
        let mut id = batch(&reply, "firstBatch", &mut visit)?;
        while id != 0 {
            let reply = self
                .run(doc! { "getMore": id, "collection": &self.name })
                .await?;
            id = batch(&reply, "nextBatch", &mut visit)?;
        }
        Ok(())
    }

    async fn drain(&self, command: Document) -> Result<Vec<RawDocumentBuf>, CommandError> {
        let mut documents = Vec::new();
        self.each(command, |document| documents.push(document.to_owned()))
            .await?;
        Ok(documents)
    }

    /// How many documents match.
    pub async fn count(&self, filter: Document) -> Result<u64, CommandError> {
        let reply = self
            .run(doc! { "count": &self.name, "query": filter })
            .await?;
        Ok(number(&reply, "n"))
    }

    /// Inserts one document, which must have an `_id`.
    pub async fn insert_one(&self, document: &RawDocument) -> Result<(), CommandError> {
        self.insert_many(std::slice::from_ref(&document.to_owned()))
            .await
            .map(drop)
    }

    /// Inserts documents in order and stops at the first that fails; answers
    /// how many went in.
    pub async fn insert_many(&self, documents: &[RawDocumentBuf]) -> Result<u64, CommandError> {
        let reply = self.insert(documents, true).await?;
        checked(&reply)?;
        Ok(number(&reply, "n"))
    }

    /// Inserts those documents that are not there yet, by `_id` and unique
    /// indexes; answers how many went in.
    pub async fn insert_missing(&self, documents: &[RawDocumentBuf]) -> Result<u64, CommandError> {
        let reply = self.insert(documents, false).await?;
        let mut errors = CommandError::write_errors(&reply);
        match errors.find(|error| !error.is_duplicate_key()) {
            Some(error) => Err(error),
            None => Ok(number(&reply, "n")),
        }
    }

    async fn insert(
        &self,
        documents: &[RawDocumentBuf],
        ordered: bool,
    ) -> Result<RawDocumentBuf, CommandError> {
        let mut command = rawdoc! { "insert": self.name.as_str(), "ordered": ordered };
        let mut list = bson::RawArrayBuf::new();
        for document in documents {
            list.push(document.clone());
        }
        command.append(bson::cstr!("documents"), list);
        self.send(command).await
    }

    /// Updates the first match, or every match.
    pub async fn update(
        &self,
        filter: Document,
        update: impl Into<Bson>,
        multi: bool,
        upsert: bool,
    ) -> Result<Updated, CommandError> {
        let statement = doc! { "q": filter, "u": update.into(), "multi": multi, "upsert": upsert };
        let reply = self
            .run(doc! { "update": &self.name, "updates": [statement] })
            .await?;
        checked(&reply)?;
        let upserted = match reply.get_array("upserted") {
            Ok(list) => match list.into_iter().next() {
                Some(entry) => match entry?.as_document() {
                    Some(entry) => entry.get("_id")?.map(Bson::try_from).transpose()?,
                    None => None,
                },
                None => None,
            },
            Err(_) => None,
        };
        Ok(Updated {
            matched: number(&reply, "n") - u64::from(upserted.is_some()),
            modified: number(&reply, "nModified"),
            upserted,
        })
    }

    /// Updates the first match.
    pub async fn update_one(
        &self,
        filter: Document,
        update: Document,
    ) -> Result<Updated, CommandError> {
        self.update(filter, update, false, false).await
    }

    /// Replaces the first match.
    pub async fn replace_one(
        &self,
        filter: Document,
        replacement: Document,
        upsert: bool,
    ) -> Result<Updated, CommandError> {
        self.update(filter, replacement, false, upsert).await
    }

    /// Deletes the first match, or every match; answers how many.
    pub async fn delete(&self, filter: Document, many: bool) -> Result<u64, CommandError> {
        let statement = doc! { "q": filter, "limit": i32::from(!many) };
        let reply = self
            .run(doc! { "delete": &self.name, "deletes": [statement] })
            .await?;
        checked(&reply)?;
        Ok(number(&reply, "n"))
    }

    /// Makes an index unless it is there.
    pub async fn create_index(
        &self,
        name: &str,
        key: Document,
        unique: bool,
    ) -> Result<(), CommandError> {
        let index = doc! { "name": name, "key": key, "unique": unique };
        self.run(doc! { "createIndexes": &self.name, "indexes": [index] })
            .await
            .map(drop)
    }
}

fn is_write(command: &RawDocument) -> bool {
    let first = command.iter().next().and_then(Result::ok);
    first.is_some_and(|(name, _)| matches!(name.as_str(), "insert" | "update" | "delete"))
}

/// Whether a read preference means something to a command: a cursor's later
/// batches come from where the first came from.
fn is_read(command: &RawDocument) -> bool {
    let first = command.iter().next().and_then(Result::ok);
    first.is_some_and(|(name, _)| {
        matches!(
            name.as_str(),
            "find" | "aggregate" | "count" | "distinct" | "listCollections"
        )
    })
}

fn batch(
    reply: &RawDocument,
    name: &str,
    visit: &mut impl FnMut(&RawDocument),
) -> Result<i64, CommandError> {
    let cursor = reply
        .get_document("cursor")
        .map_err(|error| CommandError::new(1, format!("a reply without a cursor: {error}")))?;
    if let Ok(list) = cursor.get_array(name) {
        for entry in list {
            if let Some(document) = entry?.as_document() {
                visit(document);
            }
        }
    }
    Ok(cursor.get_i64("id").unwrap_or(0))
}

fn checked(reply: &RawDocument) -> Result<(), CommandError> {
    CommandError::first_write_error(reply).map_or(Ok(()), Err)
}

fn number(reply: &RawDocument, name: &str) -> u64 {
    match reply.get(name) {
        Ok(Some(bson::raw::RawBsonRef::Int32(n))) => n.try_into().unwrap_or(0),
        Ok(Some(bson::raw::RawBsonRef::Int64(n))) => n.try_into().unwrap_or(0),
        Ok(Some(bson::raw::RawBsonRef::Double(n))) => n as u64,
        _ => 0,
    }
}
