//! The scenarios of data once more, on a real MongoDB behind the product's
//! engine for it. Without a mongod they run on the embedded engine again.

#[path = "data.rs"]
mod data;
#[path = "functions.rs"]
mod functions;

use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{
    Answer, BoxFuture, Capabilities, ChangeFeed, CommandError, Engine, SharedEngine, WatchRequest,
};
use engine_mongo::Mongo;
use tokio::sync::OnceCell;

/// The engine for a scenario of a module: the one that is given, or a part of a
/// MongoDB for the modules in here.
pub(crate) fn engine(module: &str, embedded: impl Fn() -> SharedEngine) -> SharedEngine {
    if !module.contains("on_mongodb") {
        return embedded();
    }
    match testkit::mongod::shared() {
        Some(address) => Arc::new(Apart {
            uri: format!("mongodb://{address}/?directConnection=true&maxPoolSize=20"),
            suffix: format!("-{}", bson::oid::ObjectId::new().to_hex()),
            mongo: OnceCell::new(),
        }),
        None => embedded(),
    }
}

/// A MongoDB that others use too: databases have names of their own behind the
/// ones that are used.
struct Apart {
    uri: String,
    suffix: String,
    mongo: OnceCell<Mongo>,
}

impl Apart {
    /// Connected on first use, in the test's own runtime.
    async fn mongo(&self) -> &Mongo {
        let connect = || Mongo::connect(engine_mongo::Settings::new(self.uri.clone()));
        let mongo = self.mongo.get_or_try_init(connect).await;
        mongo.expect("the shared mongod answers")
    }

    fn named(&self, database: &str) -> String {
        match database {
            "admin" => database.to_owned(),
            own => format!("{own}{}", self.suffix),
        }
    }

    fn plain(&self, mut error: CommandError) -> CommandError {
        error.message = error.message.replace(&self.suffix, "");
        error
    }

    /// The databases that are this one's.
    fn own(&self, reply: &RawDocument) -> Answer {
        let mut reply = Document::try_from(reply)?;
        if let Ok(list) = reply.get_array_mut("databases") {
            list.retain_mut(|entry| {
                let Some(entry) = entry.as_document_mut() else {
                    return false;
                };
                let name = entry.get_str("name").unwrap_or_default();
                let Some(own) = name.strip_suffix(&self.suffix).map(str::to_owned) else {
                    return false;
                };
                entry.insert("name", own);
                true
            });
        }
        Ok(RawDocumentBuf::try_from(&reply)?)
    }
}

impl Engine for Apart {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "mongodb",
            transactions: true,
            change_feeds: true,
        }
    }

    fn command<'a>(&'a self, database: &'a str, command: &'a RawDocument) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let database = self.named(database);
            let answer = self.mongo().await.command(&database, command);
            let reply = answer.await.map_err(|error| self.plain(error))?;
            if command
                .get("listDatabases")
                .is_ok_and(|list| list.is_some())
            {
                return self.own(&reply);
            }
            let text = String::from_utf8_lossy(reply.as_bytes());
            if text.contains("writeErrors") && text.contains(&self.suffix) {
                let reply = Document::try_from(reply)?;
                return Ok(RawDocumentBuf::try_from(&self.plain_errors(reply))?);
            }
            Ok(reply)
        })
    }

    fn watch(
        &self,
        mut request: WatchRequest,
    ) -> BoxFuture<'_, Result<Box<dyn ChangeFeed>, CommandError>> {
        request.database = request.database.map(|database| self.named(&database));
        Box::pin(async move {
            let feed = self.mongo().await.watch(request).await;
            let feed = feed.map_err(|error| self.plain(error))?;
            let suffix = self.suffix.clone();
            Ok(Box::new(ApartFeed { feed, suffix }) as Box<dyn ChangeFeed>)
        })
    }
}

impl Apart {
    fn plain_errors(&self, mut reply: Document) -> Document {
        for error in reply.get_array_mut("writeErrors").into_iter().flatten() {
            if let Some(error) = error.as_document_mut() {
                let text = error.get_str("errmsg").unwrap_or_default();
                let text = text.replace(&self.suffix, "");
                error.insert("errmsg", text);
            }
        }
        reply
    }
}

struct ApartFeed {
    feed: Box<dyn ChangeFeed>,
    suffix: String,
}

impl ChangeFeed for ApartFeed {
    fn next(&mut self) -> BoxFuture<'_, Answer> {
        Box::pin(async {
            let mut event = Document::try_from(self.feed.next().await?)?;
            if let Ok(namespace) = event.get_document_mut("ns") {
                let database = namespace.get_str("db").unwrap_or_default();
                let plain = database.replace(&self.suffix, "");
                namespace.insert("db", Bson::String(plain));
            }
            Ok(RawDocumentBuf::try_from(&event)?)
        })
    }

    fn resume_token(&self) -> Option<RawDocumentBuf> {
        self.feed.resume_token()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_apart() {
    let Some(_) = testkit::mongod::shared() else {
        return;
    };
    let nothing = || -> SharedEngine { unreachable!("there is a mongod") };
    let (one, two) = (
        engine(module_path!(), nothing),
        engine(module_path!(), nothing),
    );
    let own = engine::Collection::new(&one, "d", "c");
    own.insert_one(&bson::rawdoc! { "_id": 1 }).await.unwrap();
    let other = engine::Collection::new(&two, "d", "c");
    assert_eq!(other.count(doc! {}).await.unwrap(), 0);
    let error = own
        .insert_one(&bson::rawdoc! { "_id": 1 })
        .await
        .unwrap_err();
    assert!(error.message.contains("collection: d.c "), "{error}");
}
