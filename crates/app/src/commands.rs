//! What administrators ask of a data source: what is in it, a schema of
//! documents, documents against a schema (admin-api.md §2.6 and §3.6,
//! rules-schemas.md §15).
//!
//! They see everything but the databases that are closed to apps.

use std::collections::HashMap;
use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use engine::{Collection, CommandError, SharedEngine};
use kit::{Kind, Problem, limit};
use mql::infer::Observed;
use mql::schema::{Options, Schema};

use crate::call::Started;
use crate::data::Namespace;
use crate::data::failure::mongodb;
use crate::{App, Cx, RequestInfo, Seen};

/// Kinds of errors that one validation tells.
const ERRORS_MAX: usize = 1000;
/// Documents that are named of each.
const IDS_MAX: usize = 1000;
/// Documents that are looked at between two waits.
const BATCH: i32 = 500;

/// Which documents to validate.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Where they are.
    pub namespace: Namespace,
    /// What they should be.
    pub schema: Document,
    /// Which of them.
    pub query: Document,
    /// Which of them first.
    pub sort: Document,
    /// How many.
    pub limit: u64,
}

/// What a validation found.
#[derive(Debug, Default)]
pub struct Validated {
    /// Documents that were looked at.
    pub processed: u64,
    /// Errors that they had.
    pub errors: u64,
    /// The kinds of errors, as they were met.
    pub kinds: Vec<KindOfError>,
}

/// An error that documents had in one field.
#[derive(Debug)]
pub struct KindOfError {
    /// The service's `error_code`.
    pub code: &'static str,
    /// Where: `(root).address.city`.
    pub field: String,
    /// How many documents had it.
    pub count: u64,
    /// The first of them, by `_id`.
    pub ids: Vec<Bson>,
}

/// A data source, for administrators.
pub struct Source<'a> {
    app: &'a Arc<App>,
    engine: SharedEngine,
    reads: Option<Arc<RawDocumentBuf>>,
}

impl App {
    /// A data source of a configuration.
    ///
    /// # Errors
    /// `ServiceNotFound`.
    pub fn source<'a>(self: &'a Arc<Self>, seen: &Seen, name: &str) -> Result<Source<'a>, Problem> {
        let source = seen.release.sources.get(name).ok_or_else(|| {
            let text = format!("service not found: '{name}'");
            Problem::new(Kind::NotFound, "ServiceNotFound", text)
        })?;
        Ok(Source {
            app: self,
            engine: self.core.cluster(&source.cluster).clone(),
            reads: source.reads.clone(),
        })
    }
}

impl Source<'_> {
    /// The names of the databases.
    pub async fn databases(&self) -> Result<Vec<String>, Problem> {
        let list = bson::rawdoc! { "listDatabases": 1, "nameOnly": true };
        let reply = self.command("admin", &list).await?;
        let databases = reply.get_array("databases").map_err(Problem::internal)?;
        let names = databases.into_iter().flatten().filter_map(|database| {
            let name = database.as_document()?.get_str("name").ok()?;
            (!self.app.core.clusters.is_closed(name)).then(|| name.to_owned())
        });
        Ok(names.collect())
    }

    /// The names of a database's collections and views.
    ///
    /// # Errors
    /// `MongoDBError` for a database that is closed to apps.
    pub async fn collections(&self, database: &str) -> Result<Vec<String>, Problem> {
        let list = doc! { "listCollections": 1, "nameOnly": true };
        // The name is no collection's: the command has none.
        let database = Collection::new(&self.engine, database, "");
        let mut names = Vec::new();
        let listed = database.each(list, |one| match one.get_str("name") {
            Ok(name) if !name.starts_with("system.") => names.push(name.to_owned()),
            _ => {}
        });
        listed.await.map_err(mongodb)?;
        names.sort();
        Ok(names)
    }

    /// What the deployment says of itself.
    pub async fn build_info(&self) -> Result<Document, Problem> {
        // Answered the same by every database; `admin` is closed to apps.
        let reply = self
            .command("test", &bson::rawdoc! { "buildInfo": 1 })
            .await?;
        Document::try_from(reply).map_err(Problem::internal)
    }

    async fn command(
        &self,
        database: &str,
        command: &RawDocument,
    ) -> Result<RawDocumentBuf, Problem> {
        let reply = self.engine.command(database, command).await;
        reply.map_err(mongodb)
    }

    fn collection(&self, namespace: &Namespace) -> Collection {
        Collection::new(&self.engine, &namespace.database, &namespace.collection)
            .reading(self.reads.clone())
    }

    /// A schema of a random sample of a collection's documents.
    ///
    /// # Errors
    /// `InvalidParameter` for a sample that is too large, `MongoDBError`.
    pub async fn infer_schema(
        &self,
        service_id: &str,
        namespace: &Namespace,
        sample: u64,
        request: &RequestInfo,
    ) -> Result<Document, Problem> {
        within("limit", sample, limit::SAMPLED_DOCUMENTS_MAX)?;
        let started = Started::now(self.app);
        let mut seen = Observed::default();
        let command = doc! {
            "aggregate": &namespace.collection,
            "pipeline": [{ "$sample": { "size": sample as i64 } }],
            "cursor": { "batchSize": BATCH },
        };
        let collection = self.collection(namespace);
        let read = collection.each(command, |one| seen.add(one)).await;
        let result = read.map(|()| seen.schema(&singular(&namespace.collection)));
        self.logged("SCHEMA_GENERATION", &started, service_id, request, result)
    }

    /// Which documents of a collection are not what a schema says.
    ///
    /// # Errors
    /// `BadRequest` for a schema that is none, `InvalidParameter` for too many
    /// documents, `MongoDBError` for what the query asks.
    pub async fn validate(
        &self,
        service_id: &str,
        asked: &Validation,
        request: &RequestInfo,
    ) -> Result<Validated, Problem> {
        within("limit", asked.limit, limit::VALIDATED_DOCUMENTS_MAX)?;
        let schema = Schema::parse(&asked.schema)
            .map_err(|error| Problem::bad_request(format!("from_schema: {}", error.message)))?;
        let options = Options {
            null_for_optional: self.app.record().settings.null_type_validation,
        };
        let started = Started::now(self.app);
        let mut found = Found::default();
        let mut command = doc! {
            "find": &asked.namespace.collection, "filter": asked.query.clone(),
            "limit": asked.limit as i64, "batchSize": BATCH,
        };
        if !asked.sort.is_empty() {
            command.insert("sort", asked.sort.clone());
        }
        let collection = self.collection(&asked.namespace);
        let read = collection.each(command, |one| found.add(one, &schema, options));
        let result = read.await.map(|()| found.validated);
        self.logged("SCHEMA_VALIDATION", &started, service_id, request, result)
    }

    fn logged<T>(
        &self,
        kind: &str,
        started: &Started,
        service_id: &str,
        request: &RequestInfo,
        result: Result<T, CommandError>,
    ) -> Result<T, Problem> {
        let result = result.map_err(mongodb);
        let cx = Cx::of_system(self.app, request.clone());
        let details = doc! { "service_id": service_id };
        self.app
            .log(&cx, kind, started, details, result.as_ref().err());
        result
    }
}

fn within(name: &str, number: u64, most: u64) -> Result<(), Problem> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(Problem::invalid_parameter(format!(
        "'{name}' must be between 1 and {most}"
    )))
}

/// Errors by code and field.
#[derive(Default)]
struct Found {
    validated: Validated,
    places: HashMap<(&'static str, String), usize>,
}

impl Found {
    fn add(&mut self, document: &RawDocument, schema: &Schema, options: Options) {
        self.validated.processed += 1;
        let mut of_document = Vec::new();
        for violation in schema.violations(document, options) {
            self.validated.errors += 1;
            let key = (violation.code, violation.path);
            let at = match self.places.get(&key) {
                Some(at) => *at,
                None if self.validated.kinds.len() >= ERRORS_MAX => continue,
                None => {
                    let at = self.validated.kinds.len();
                    self.validated.kinds.push(KindOfError {
                        code: key.0,
                        field: key.1.clone(),
                        count: 0,
                        ids: Vec::new(),
                    });
                    self.places.insert(key, at);
                    at
                }
            };
            // A document counts once, whatever it does in one place.
            if !of_document.contains(&at) {
                of_document.push(at);
            }
        }
        if of_document.is_empty() {
            return;
        }
        let id = document.get("_id").ok().flatten();
        let id = id.and_then(|id| Bson::try_from(id).ok());
        for at in of_document {
            if let Some(kind) = self.validated.kinds.get_mut(at) {
                kind.count += 1;
                if kind.ids.len() < IDS_MAX {
                    kind.ids.extend(id.clone());
                }
            }
        }
    }
}

/// What one document of a collection is called: `accounts` has an `account`.
/// It goes by how English words end; a word that is not one stays itself.
fn singular(collection: &str) -> String {
    const SAME: [&str; 4] = ["series", "species", "news", "data"];
    const IRREGULAR: [(&str, &str); 5] = [
        ("people", "person"),
        ("children", "child"),
        ("women", "woman"),
        ("movies", "movie"),
        ("cookies", "cookie"),
    ];
    // The end of many, the end of one; the first that fits.
    const ENDS: [(&str, &str); 9] = [
        ("ies", "y"),
        ("sses", "ss"),
        ("shes", "sh"),
        ("ches", "ch"),
        ("xes", "x"),
        ("tuses", "tus"),
        ("ss", "ss"),
        ("us", "us"),
        ("is", "is"),
    ];
    if SAME.iter().any(|word| collection.ends_with(word)) {
        return collection.to_owned();
    }
    let mut ends = IRREGULAR.iter().chain(&ENDS);
    let replaced = ends.find_map(|(many, one)| {
        let stem = collection.strip_suffix(many)?;
        Some(format!("{stem}{one}"))
    });
    let plain = || {
        let one = collection.strip_suffix('s').filter(|one| !one.is_empty());
        one.unwrap_or(collection).to_owned()
    };
    replaced.unwrap_or_else(plain)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use mql::schema::{Options, Schema};

    use super::{ERRORS_MAX, Found, IDS_MAX, singular};

    #[test]
    fn collections_have_documents() {
        for (many, one) in [
            ("accounts", "account"),
            ("s", "s"),
            ("", ""),
            ("status", "status"),
            ("statuses", "status"),
            ("glass", "glass"),
            ("classes", "class"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("branches", "branch"),
            ("houses", "house"),
            ("categories", "category"),
            ("movies", "movie"),
            ("series", "series"),
            ("news", "news"),
            ("analysis", "analysis"),
            ("people", "person"),
            ("userData", "userData"),
            ("fish", "fish"),
        ] {
            assert_eq!(singular(many), one);
        }
    }

    #[test]
    fn errors_are_counted_by_document_and_told_within_bounds() {
        let schema = bson::doc! { "items": { "bsonType": "string" } };
        let schema = Schema::parse(&bson::doc! {
            "properties": { "a": schema, "b": { "bsonType": "int" } },
        })
        .unwrap();
        let mut found = Found::default();
        for id in 0..IDS_MAX as i32 + 5 {
            let wrong: Vec<i32> = vec![1; 3];
            let mut array = bson::RawArrayBuf::new();
            for number in &wrong {
                array.push(*number);
            }
            found.add(
                &rawdoc! { "_id": id, "a": array, "b": "x" },
                &schema,
                Options::default(),
            );
        }
        let validated = &found.validated;
        let documents = IDS_MAX as u64 + 5;
        assert_eq!(validated.processed, documents);
        assert_eq!(validated.errors, 4 * documents);
        let fields: Vec<&str> = validated.kinds.iter().map(|kind| &*kind.field).collect();
        assert_eq!(
            fields,
            ["(root).a.0", "(root).a.1", "(root).a.2", "(root).b"]
        );
        assert!(validated.kinds.iter().all(|kind| kind.count == documents));
        assert!(validated.kinds.iter().all(|kind| kind.ids.len() == IDS_MAX));

        let mut array = bson::RawArrayBuf::new();
        for number in 0..2 * ERRORS_MAX as i32 {
            array.push(number);
        }
        found.add(
            &rawdoc! { "_id": 1, "a": array },
            &schema,
            Options::default(),
        );
        assert_eq!(found.validated.kinds.len(), ERRORS_MAX);
    }
}
