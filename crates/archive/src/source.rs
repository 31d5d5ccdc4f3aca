//! Reading a server for an archive: what is there, and documents as of one
//! moment where the engine can do that.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{CommandError, SharedEngine};

use crate::metadata::Metadata;
use crate::{ArchiveError, BATCH_DOCUMENTS_MAX, Selection};

/// What the documents of an archive have in common.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// All are of one moment.
    One,
    /// Each is of the time that it was read, for this reason.
    Many(String),
}

/// An engine that is read, at one moment if it can be.
pub(crate) struct Source {
    engine: SharedEngine,
    /// What each read says besides.
    concern: Option<Document>,
    pub(crate) moment: Moment,
}

/// A collection or view that is there.
pub(crate) struct Entry {
    pub(crate) database: String,
    pub(crate) metadata: Metadata,
}

impl Entry {
    pub(crate) fn namespace(&self) -> String {
        format!("{}.{}", self.database, self.metadata.name)
    }

    /// Whether it is one that MongoDB does not read at a moment.
    fn is_capped(&self) -> bool {
        self.metadata.options.get_bool("capped").unwrap_or(false)
    }
}

impl Source {
    /// Takes the present moment.
    pub(crate) async fn open(engine: &SharedEngine) -> Result<Self, ArchiveError> {
        let taken = engine.snapshot().await;
        if let Some(snapshot) = taken.map_err(ArchiveError::engine("a snapshot"))? {
            return Ok(Self {
                engine: snapshot,
                concern: None,
                moment: Moment::One,
            });
        }
        let mut source = Self {
            engine: engine.clone(),
            concern: None,
            moment: Moment::One,
        };
        match source.snapshot_concern().await {
            Ok(concern) => source.concern = Some(concern),
            Err(why) => source.moment = Moment::Many(why),
        }
        Ok(source)
    }

    /// The read concern of a server that keeps history: its present time, and
    /// a try whether it lets itself be read at it.
    async fn snapshot_concern(&self) -> Result<Document, String> {
        let shown = |error: CommandError| error.message;
        let reply = self.run("admin", doc! { "ping": 1 }).await.map_err(shown)?;
        let Ok(Some(RawBsonRef::Timestamp(time))) = reply.get("operationTime") else {
            return Err("the server keeps no history".to_owned());
        };
        let concern = doc! { "level": "snapshot", "atClusterTime": time };
        let command = doc! {
            "find": "snapshot", "limit": 1, "singleBatch": true, "readConcern": concern.clone(),
        };
        self.run("test", command).await.map_err(shown)?;
        Ok(concern)
    }

    async fn run(&self, database: &str, command: Document) -> Result<RawDocumentBuf, CommandError> {
        let command = RawDocumentBuf::try_from(&command)?;
        self.engine.command(database, &command).await
    }

    /// Everything that is selected, by name; and a sentence about each thing
    /// that is left out though it was meant.
    pub(crate) async fn entries(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<Entry>, Vec<String>), ArchiveError> {
        let names = match &selection.database {
            Some(database) => vec![database.clone()],
            None => self.databases().await?,
        };
        let (mut entries, mut left_out) = (Vec::new(), Vec::new());
        for database in names.into_iter().filter(|name| selection.may_have(name)) {
            let listed = self
                .all(
                    &database,
                    doc! { "listCollections": 1, "cursor": {} },
                    "$cmd.listCollections",
                )
                .await?;
            let mut found = Vec::new();
            for collection in &listed {
                let name = collection.get_str("name").unwrap_or_default();
                if !selection.has(&database, name) {
                    continue;
                }
                let kind = collection.get_str("type").unwrap_or("collection");
                if kind != "collection" && kind != "view" {
                    left_out.push(format!(
                        "{database}.{name}: a {kind} collection is left out"
                    ));
                    continue;
                }
                found.push(
                    self.entry(&database, name, kind == "view", collection)
                        .await?,
                );
            }
            if self.concern.is_some() {
                let capped = found.iter().filter(|entry| entry.is_capped());
                left_out.extend(capped.map(|entry| {
                    let name = entry.namespace();
                    format!("{name}: a capped collection is not of the others' moment")
                }));
            }
            found.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
            entries.extend(found);
        }
        Ok((entries, left_out))
    }

    async fn databases(&self) -> Result<Vec<String>, ArchiveError> {
        let command = doc! { "listDatabases": 1, "nameOnly": true };
        let reply = self.run("admin", command).await;
        let reply = reply.map_err(ArchiveError::engine("the list of databases"))?;
        let mut names: Vec<String> = reply
            .get_array("databases")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some(entry.as_document()?.get_str("name").ok()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    async fn entry(
        &self,
        database: &str,
        name: &str,
        view: bool,
        listed: &RawDocument,
    ) -> Result<Entry, ArchiveError> {
        let namespace = format!("{database}.{name}");
        let read = |document: &RawDocument| {
            Document::try_from(document)
                .map_err(|error| ArchiveError::engine(namespace.clone())(error.into()))
        };
        let options = match listed.get_document("options") {
            Ok(options) => read(options)?,
            Err(_) => Document::new(),
        };
        let uuid = listed
            .get_document("info")
            .ok()
            .and_then(|info| match info.get("uuid") {
                Ok(Some(RawBsonRef::Binary(binary))) => Some(hex::encode(binary.bytes)),
                _ => None,
            });
        let indexes = if view {
            Vec::new()
        } else {
            let command = doc! { "listIndexes": name, "cursor": {} };
            let listed = self.all(database, command, name).await?;
            listed
                .iter()
                .map(|index| read(index))
                .collect::<Result<_, _>>()?
        };
        Ok(Entry {
            database: database.to_owned(),
            metadata: Metadata {
                name: name.to_owned(),
                view,
                options,
                indexes,
                uuid,
            },
        })
    }

    /// Every document of a short list.
    async fn all(
        &self,
        database: &str,
        command: Document,
        collection: &str,
    ) -> Result<Vec<RawDocumentBuf>, ArchiveError> {
        let mut cursor = Cursor::new(database, collection, command);
        let mut all = Vec::new();
        while let Some(batch) = cursor.next(self).await? {
            all.extend(documents(&batch).map(RawDocument::to_owned));
        }
        Ok(all)
    }

    /// A cursor over a collection's documents, by `find`'s fields.
    pub(crate) fn find(&self, database: &str, collection: &str, fields: Document) -> Cursor {
        read(database, collection, fields, self.concern.as_ref())
    }

    /// Every document of a collection that was listed.
    pub(crate) fn whole(&self, entry: &Entry) -> Cursor {
        let concern = self.concern.as_ref().filter(|_| !entry.is_capped());
        read(
            &entry.database,
            &entry.metadata.name,
            Document::new(),
            concern,
        )
    }
}

fn read(database: &str, collection: &str, fields: Document, concern: Option<&Document>) -> Cursor {
    let mut command = doc! { "find": collection };
    command.extend(fields);
    command.insert("batchSize", BATCH_DOCUMENTS_MAX as i32);
    if let Some(concern) = concern {
        command.insert("readConcern", Bson::Document(concern.clone()));
    }
    Cursor::new(database, collection, command)
}

/// The batches of an answer.
pub(crate) struct Cursor {
    database: String,
    collection: String,
    /// The command that begins it, until it has begun.
    command: Option<Document>,
    id: i64,
}

impl Cursor {
    fn new(database: &str, collection: &str, command: Document) -> Self {
        Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
            command: Some(command),
            id: 0,
        }
    }

    /// The next reply, for [`documents`]; `None` at the end.
    pub(crate) async fn next(
        &mut self,
        source: &Source,
    ) -> Result<Option<RawDocumentBuf>, ArchiveError> {
        let command = match self.command.take() {
            Some(command) => command,
            None if self.id == 0 => return Ok(None),
            None => doc! {
                "getMore": self.id, "collection": &self.collection,
                "batchSize": BATCH_DOCUMENTS_MAX as i32,
            },
        };
        let namespace = format!("{}.{}", self.database, self.collection);
        let reply = source
            .run(&self.database, command)
            .await
            .map_err(ArchiveError::engine(&namespace))?;
        self.id = reply
            .get_document("cursor")
            .and_then(|cursor| cursor.get_i64("id"))
            .map_err(|error| {
                ArchiveError::engine(&namespace)(CommandError::new(1, error.to_string()))
            })?;
        Ok(Some(reply))
    }
}

/// The documents of a cursor's reply.
pub(crate) fn documents(reply: &RawDocument) -> impl Iterator<Item = &RawDocument> {
    let cursor = reply.get_document("cursor").ok();
    let batch = cursor.and_then(|cursor| {
        cursor
            .get_array("firstBatch")
            .or_else(|_| cursor.get_array("nextBatch"))
            .ok()
    });
    batch
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(RawBsonRef::as_document)
}
