//! The one door to users' data: every read and write of a user or of the
//! system goes through [`Data`], under the rules of the collection or
//! expressly without (rules-schemas.md §2, client-api.md §5.2).
//!
//! Not here: who the caller is, what functions do, how apps are deployed.

mod aggregate;
mod arguments;
mod at_once;
mod bulk;
mod collation;
mod explain;
pub(crate) mod failure;
mod find_and_modify;
mod guard;
mod marker;
mod read;
mod rule_log;
mod rule_settings;
pub(crate) mod service;
mod transaction;
mod visible;
mod watch;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};
use engine::{BoxFuture, Collection, Session, SharedEngine};
use kit::{Clock, Kind, Problem};
pub use rules::{Asked, Breach, Tested};
use rules::{Expansions, Metrics};

use arguments::Arguments;
pub(crate) use explain::READS;
use explain::Record;
pub use explain::{DOCUMENTS_MAX, Decision, Explanation, FilterAsked, PushedDown};
pub use rule_log::RuleLog;
pub use rule_settings::RuleSettings;
pub use service::{CollectionRules, ServiceRules};
pub use watch::Watch;

/// The door to the data of one app.
#[derive(Clone)]
pub struct Data {
    engine: SharedEngine,
    /// Where reads go outside of transactions; `None` is the primary.
    reads: Option<Arc<RawDocumentBuf>>,
    /// For `$currentDate` in documents that upserts make.
    clock: Arc<dyn Clock>,
}

/// On whose behalf data is used.
#[derive(Clone)]
pub enum Access {
    /// No filters, roles and schemas (rules-schemas.md §10).
    System,
    /// Under the rules of a service.
    User(UserAccess),
}

/// A user's access to one service.
#[derive(Clone)]
pub struct UserAccess {
    /// What `%%user`, `%%values`, `%%environment` and `%%request` are.
    pub expansions: Arc<dyn Expansions + Send + Sync>,
    /// The rules of the service.
    pub rules: Arc<ServiceRules>,
    /// Runs the functions that rules call.
    pub calls: Arc<dyn Calls>,
    /// Whether null passes for optional fields of schemas.
    pub null_for_optional: bool,
    /// Where the request's decisions are collected.
    pub log: Arc<RuleLog>,
}

/// Runs functions for rules.
pub trait Calls: Send + Sync {
    /// Calls a function, private or not, in the caller's context; `None` is a
    /// function that returned nothing. A problem ends the request.
    fn call(
        &self,
        function: Arc<str>,
        arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>>;
}

impl Data {
    /// The door to what `engine` keeps.
    pub fn new(engine: SharedEngine, clock: Arc<dyn Clock>) -> Self {
        Self {
            engine,
            reads: None,
            clock,
        }
    }

    /// The same door, with a read preference `{mode, tags}`.
    #[must_use]
    pub fn reading(mut self, preference: Option<Arc<RawDocumentBuf>>) -> Self {
        self.reads = preference;
        self
    }

    /// Runs one action of the MongoDB service: `find`, `findOne`, `count`,
    /// `distinct`, `aggregate`, `insertOne`, `insertMany`, `updateOne`,
    /// `updateMany`, `replaceOne`, `deleteOne`, `deleteMany`,
    /// `findOneAndUpdate`, `findOneAndReplace`, `findOneAndDelete`,
    /// `bulkWrite`. `arguments` has `database`, `collection` and the keys of
    /// client-api.md §5.2; plain actions also take `skip`, `distinct` takes
    /// `field`, `replaceOne` takes `update`, `bulkWrite` takes `operations` and
    /// `ordered`.
    ///
    /// # Errors
    /// `NoMatchingRuleFound`, `SchemaValidationFailedWrite`, `MongoDBError`,
    /// `InvalidParameter`, `MissingParameter`, `ServiceCommandNotFound`, and
    /// what a function of a rule ends with.
    pub async fn run(
        &self,
        access: &Access,
        action: &str,
        arguments: &RawDocument,
        session: Option<&Session>,
    ) -> Result<RawBson, Problem> {
        let arguments = Arguments::new(arguments)?;
        let door = self.door(access, &arguments, session)?;
        let result = door.run(action, &arguments).await;
        door.log(result.as_ref().err());
        result
    }

    /// Runs a pipeline that begins with documents of its own, on no collection:
    /// `arguments` has `database`, `pipeline` and options.
    ///
    /// # Errors
    /// For users: rules are about collections. And as [`Self::run`].
    pub async fn aggregate_documents(
        &self,
        access: &Access,
        arguments: &RawDocument,
        session: Option<&Session>,
    ) -> Result<RawBson, Problem> {
        let arguments = Arguments::new(arguments)?;
        if !matches!(access, Access::System) {
            return Err(Problem::new(
                Kind::Forbidden,
                "NoMatchingRuleFound",
                "an aggregation on a database needs a system function",
            ));
        }
        let database = arguments.text("database")?.unwrap_or_default();
        let mut collection = Collection::new(&self.engine, database, aggregate::OF_DATABASE)
            .reading(self.reads.clone());
        if let Some(options) = arguments.options() {
            collection = collection.with_options(Arc::new(options));
        }
        if let Some(session) = session {
            collection = collection.within(session);
        }
        aggregate::of_database(&collection, &arguments).await
    }

    /// Opens a stream of changes; `arguments` has `database`, `collection` and
    /// `ids` or `filter`.
    pub async fn watch(&self, access: &Access, arguments: &RawDocument) -> Result<Watch, Problem> {
        let arguments = Arguments::new(arguments)?;
        let door = self.door(access, &arguments, None)?;
        Watch::open(&self.engine, access, door.namespace, &arguments).await
    }

    fn door<'a>(
        &'a self,
        access: &'a Access,
        arguments: &Arguments<'_>,
        session: Option<&Session>,
    ) -> Result<Door<'a>, Problem> {
        let rules = match access {
            Access::System => None,
            Access::User(user) => {
                arguments.refuse(&["collation", "readConcern", "writeConcern"])?;
                Some(user.rules.as_ref())
            }
        };
        let namespace = arguments.namespace(rules)?;
        let rules = match (access, rules) {
            (Access::User(user), Some(rules)) => Some((user, rules.of(&namespace)?)),
            _ => None,
        };
        let mut collection =
            Collection::new(&self.engine, &namespace.database, &namespace.collection)
                .reading(self.reads.clone());
        if matches!(access, Access::System)
            && let Some(options) = arguments.options()
        {
            collection = collection.with_options(Arc::new(options));
        }
        if let Some(session) = session {
            collection = collection.within(session);
        }
        Ok(Door {
            namespace,
            collection,
            rules,
            engine: &self.engine,
            clock: self.clock.as_ref(),
            session: session.cloned(),
            record: None,
            metrics: Arc::default(),
        })
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Data").finish_non_exhaustive()
    }
}

/// A database and a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// The database.
    pub database: String,
    /// The collection.
    pub collection: String,
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

/// The door at one collection for one caller.
struct Door<'a> {
    namespace: Namespace,
    collection: Collection,
    /// `None` is the system.
    rules: Option<(&'a UserAccess, &'a CollectionRules)>,
    engine: &'a SharedEngine,
    clock: &'a dyn Clock,
    /// The caller's own transaction.
    session: Option<Session>,
    /// Where an explanation is written down.
    record: Option<&'a Record>,
    /// What the rules decided.
    metrics: Arc<Mutex<Metrics>>,
}

impl Door<'_> {
    async fn run(&self, action: &str, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        match action {
            "find" => self.find(arguments).await,
            "findOne" => self.find_one(arguments).await,
            "count" => self.count(arguments).await,
            "distinct" => self.distinct(arguments).await,
            "aggregate" => self.aggregate(arguments).await,
            "insertOne" => self.insert_one(arguments).await,
            "insertMany" => self.insert_many(arguments).await,
            "updateOne" => self.update(arguments, write::Shape::Any, false).await,
            "updateMany" => self.update(arguments, write::Shape::Any, true).await,
            "replaceOne" => {
                self.update(arguments, write::Shape::Replacement, false)
                    .await
            }
            "deleteOne" => self.delete(arguments, false).await,
            "deleteMany" => self.delete(arguments, true).await,
            "findOneAndUpdate" => self.find_one_and_update(arguments, write::Shape::Any).await,
            "findOneAndReplace" => {
                self.find_one_and_update(arguments, write::Shape::Replacement)
                    .await
            }
            "findOneAndDelete" => self.find_one_and_delete(arguments).await,
            "bulkWrite" => self.bulk_write(arguments).await,
            "watch" => Err(Problem::bad_request("watch is a stream; open it as one")),
            _ => Err(Problem::new(
                Kind::NotFound,
                "ServiceCommandNotFound",
                format!("unknown MongoDB action '{action}'"),
            )),
        }
    }

    /// The same door, whose commands carry options.
    fn with_options(&self, options: RawDocumentBuf) -> Door<'_> {
        Door {
            namespace: self.namespace.clone(),
            collection: self.collection.with_options(Arc::new(options)),
            rules: self.rules,
            engine: self.engine,
            clock: self.clock,
            session: self.session.clone(),
            record: self.record,
            metrics: self.metrics.clone(),
        }
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the request's log what was decided.
    fn log(&self, problem: Option<&Problem>) {
        if let Some((user, rules)) = self.rules {
            user.log.add(&self.namespace, &rules.rules, &self.metrics());
            if let Some(problem) = problem {
                user.log.refused(problem);
            }
        }
    }
}
