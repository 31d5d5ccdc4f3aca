//! The whole door on random rules, documents and requests, held against a naive
//! reading of the rules one document at a time: answers are what the oracle
//! lets through, whether the rules were pushed down or asked per document; a
//! text that the oracle hides is in no answer, error or event; and a write that
//! it forbids changes nothing.
//!
//! `BACKSTITCH_TEST_RULES=100000` for that many requests instead of a few.

#[path = "differential/hidden.rs"]
mod hidden;
#[path = "../../../rules/tests/oracle.rs"]
mod oracle;
#[path = "../../../rules/tests/random.rs"]
pub(super) mod random;
#[path = "differential/requests.rs"]
mod requests;

use std::collections::BTreeSet;
use std::sync::Arc;

use app::data::{Access, Calls, Data, ServiceRules, UserAccess, Watch};
use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocumentBuf, doc, rawdoc};
use engine::{BoxFuture, SharedEngine};
use engine_embedded::Embedded;
use kit::{Problem, SystemClock};
use mql::update::UpdateContext;
use mql::{Matcher, Pipeline, Projection, Update};
use testkit::given::Given;

use oracle::{Asker, Write};
use random::{Dice, Tally};
use requests::{Filter, Request};

struct Functions;

impl Calls for Functions {
    fn call(
        &self,
        function: Arc<str>,
        arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>> {
        Box::pin(async move {
            let arguments: Vec<Option<Bson>> = arguments
                .into_iter()
                .map(|argument| Bson::try_from(argument.unwrap()).unwrap())
                .map(|argument| (argument != Bson::Undefined).then_some(argument))
                .collect();
            let answer = random::function(&function, &arguments);
            Ok(answer.map(|answer| RawBson::try_from(answer).unwrap()))
        })
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn text(value: &Bson) -> String {
    let value = RawBson::try_from(value.clone()).unwrap();
    let mut out = Vec::new();
    kit::ejson::canonical(value.as_raw_bson_ref(), &mut out);
    String::from_utf8(out).unwrap()
}

fn embedded() -> SharedEngine {
    Arc::new(Embedded::in_memory(Arc::new(SystemClock)).unwrap())
}

fn compile(roles: &[Document], filters: &[Filter], settings: Option<Document>) -> ServiceRules {
    let mut files = config::Files::default();
    let root = r#"{"config_version":20210101,"app_id":"a-abcde","name":"a"}"#;
    files.insert("realm_config.json", root.as_bytes().to_vec());
    let settings = settings.unwrap_or_default();
    let source = doc! {
        "name": "s", "type": "mongodb-atlas", "config": { "clusterName": "c", "rules": settings },
    };
    let source = text(&Bson::Document(source)).into_bytes();
    files.insert("data_sources/s/config.json", source);
    let functions: Vec<String> = random::FUNCTIONS
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","private":true}}"#))
        .collect();
    let list = format!("[{}]", functions.join(","));
    files.insert("functions/config.json", list.into_bytes());
    for name in random::FUNCTIONS {
        let path = format!("functions/{name}.js");
        files.insert(path, b"exports = () => true;".to_vec());
    }
    let filters: Vec<Document> = filters
        .iter()
        .map(|filter| filter.written.clone())
        .collect();
    let rules = doc! {
        "database": "d", "collection": "c", "roles": roles.to_vec(), "filters": filters,
    };
    let rules = text(&Bson::Document(rules));
    files.insert("data_sources/s/d/c/rules.json", rules.clone().into_bytes());
    let (config, findings) = config::parse(&files);
    let config = config.unwrap_or_else(|| panic!("{rules}: {findings:?}"));
    ServiceRules::compile(&config, "s").unwrap_or_else(|flaws| panic!("{rules}: {flaws:?}"))
}

/// One rule set with documents and someone who asks.
#[derive(Clone)]
struct Case {
    seed: u64,
    data: Data,
    access: Access,
    asker: Asker,
    roles: Vec<Document>,
    filters: Vec<Filter>,
    /// What is stored, in the order of the collection.
    stored: Vec<Document>,
}

impl Case {
    async fn new(seed: u64, data: &Data, dice: &mut Dice) -> Self {
        let roles = random::roles(dice);
        let mut secrets = 0;
        let count = 4 + dice.below(8) as i32;
        let stored: Vec<Document> = (0..count)
            .map(|id| random::document(dice, id, &mut secrets))
            .collect();
        let case = Self::of(seed, data, dice, roles, stored, None);
        case.restore().await;
        case
    }

    /// One with these roles, documents and settings.
    fn of(
        seed: u64,
        data: &Data,
        dice: &mut Dice,
        roles: Vec<Document>,
        stored: Vec<Document>,
        settings: Option<Document>,
    ) -> Self {
        let filters = requests::filters(dice);
        let asker = random::asker(dice);
        let access = Access::User(UserAccess {
            expansions: Arc::new(Given {
                user: raw(&asker.user),
                values: raw(&asker.values),
                environment: raw(&asker.environment),
                request: raw(&asker.request),
            }),
            rules: Arc::new(compile(&roles, &filters, settings)),
            calls: Arc::new(Functions),
            null_for_optional: false,
            log: Arc::default(),
        });
        Self {
            seed,
            data: data.clone(),
            access,
            asker,
            roles,
            filters,
            stored,
        }
    }

    /// Stores exactly what is to be stored.
    async fn restore(&self) {
        self.system("deleteMany", doc! { "query": {} }).await;
        self.system("insertMany", doc! { "documents": self.stored.clone() })
            .await;
    }

    async fn system(&self, action: &str, arguments: Document) -> Bson {
        let answer = self.run(&Access::System, action, &arguments).await;
        Bson::try_from(answer.unwrap()).unwrap()
    }

    async fn run(
        &self,
        access: &Access,
        action: &str,
        arguments: &Document,
    ) -> Result<RawBson, Problem> {
        let mut all = doc! { "database": "d", "collection": "c" };
        all.extend(arguments.clone());
        self.data.run(access, action, &raw(&all), None).await
    }

    fn say(&self, request: &Request) -> String {
        let filters: Vec<&Document> = self.filters.iter().map(|filter| &filter.written).collect();
        format!(
            "seed {}: {} sends {} {} under {:?} and filters {filters:?} on {:?}",
            self.seed, self.asker.user, request.action, request.arguments, self.roles, self.stored
        )
    }

    /// The filters in force: some are for normal users only.
    fn filters_in_force(&self) -> Vec<&Filter> {
        let normal = self
            .asker
            .user
            .get_str("type")
            .is_ok_and(|kind| kind == "normal");
        let in_force = |filter: &&Filter| normal || !filter.written.contains_key("apply_when");
        self.filters.iter().filter(in_force).collect()
    }

    fn passes_filters(&self, document: &Document) -> bool {
        let document = raw(document);
        self.filters_in_force().iter().all(|filter| {
            filter.query(&self.asker).is_some_and(|query| {
                let matcher = Matcher::parse(&raw(&query)).unwrap();
                matcher.matches(&document).unwrap()
            })
        })
    }

    /// What the asker may see of a document.
    fn shown(&self, document: &Document) -> Option<Document> {
        if !self.passes_filters(document) {
            return None;
        }
        let shown = oracle::read(&self.roles, &self.asker, document)?;
        let mut projection = Document::new();
        for filter in self.filters_in_force() {
            projection.extend(filter.projection());
        }
        if projection.is_empty() {
            return Some(shown);
        }
        let projection = Projection::parse(&raw(&projection)).unwrap();
        let shown = projection.apply(&raw(&shown), None).unwrap();
        Some(Document::try_from(&shown).unwrap())
    }

    /// The documents that a query matches, with what is shown of them, sorted.
    fn matching(&self, request: &Request) -> Result<Vec<(Document, Option<Document>)>, String> {
        let matcher = Matcher::parse(&raw(&request.query())).map_err(|error| error.message)?;
        let mut matching = Vec::new();
        for document in &self.stored {
            if matcher
                .matches(&raw(document))
                .map_err(|error| error.message)?
            {
                matching.push((document.clone(), self.shown(document)));
            }
        }
        if let Ok(sort) = request.arguments.get_document("sort") {
            let sort = mql::Sort::parse(&raw(sort)).map_err(|error| error.message)?;
            let mut keyed = Vec::new();
            for entry in matching {
                let mut key = Vec::new();
                sort.key(&raw(&entry.0), &mut key)
                    .map_err(|error| error.message)?;
                keyed.push((key, entry));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            matching = keyed.into_iter().map(|(_, entry)| entry).collect();
        }
        Ok(matching)
    }

    /// What a read has to answer with.
    fn expected(&self, request: &Request) -> Result<Bson, String> {
        let message = |error: mql::MqlError| error.message;
        let number = |name: &str| request.arguments.get_i32(name).unwrap_or_default() as usize;
        match request.action {
            "find" | "findOne" => {
                let shown = self
                    .matching(request)?
                    .into_iter()
                    .filter_map(|entry| entry.1);
                let limit = match (request.action, number("limit")) {
                    ("findOne", _) => 1,
                    (_, 0) => usize::MAX,
                    (_, limit) => limit,
                };
                let matcher = Matcher::parse(&raw(&request.query())).map_err(message)?;
                let mut found = Vec::new();
                for document in shown.skip(number("skip")).take(limit) {
                    let document = match request.projection() {
                        None => document,
                        Some(projection) => {
                            let projection =
                                Projection::parse(&raw(projection)).map_err(message)?;
                            let made = projection.apply(&raw(&document), Some(&matcher));
                            Document::try_from(&made.map_err(message)?).unwrap()
                        }
                    };
                    found.push(Bson::Document(document));
                }
                Ok(match request.action {
                    "find" => Bson::Array(found),
                    _ => found.into_iter().next().unwrap_or(Bson::Null),
                })
            }
            "count" => {
                let shown = self
                    .matching(request)?
                    .into_iter()
                    .filter_map(|entry| entry.1);
                let limit = match number("limit") {
                    0 => usize::MAX,
                    limit => limit,
                };
                Ok(Bson::Int64(shown.take(limit).count() as i64))
            }
            "distinct" => {
                let path = mql::path::Path::new(request.arguments.get_str("field").unwrap());
                let mut keys = BTreeSet::new();
                let mut values = Vec::new();
                for document in self
                    .matching(request)?
                    .into_iter()
                    .filter_map(|entry| entry.1)
                {
                    mql::path::visit(&raw(&document), path.parts(), &mut |value| {
                        let elements = match value {
                            Some(bson::raw::RawBsonRef::Array(array)) => {
                                array.into_iter().flatten().collect()
                            }
                            value => value.into_iter().collect::<Vec<_>>(),
                        };
                        for value in elements {
                            let mut key = Vec::new();
                            mql::key::encode(value, &mut key);
                            if keys.insert(key) {
                                values.push(Bson::try_from(value).unwrap());
                            }
                        }
                        false
                    });
                }
                Ok(Bson::Array(values))
            }
            "aggregate" => {
                let stages = request.arguments.get_array("pipeline").unwrap();
                let pipeline = Pipeline::parse_bson(stages).map_err(message)?;
                let input: Vec<RawDocumentBuf> = self
                    .stored
                    .iter()
                    .filter_map(|document| self.shown(document))
                    .map(|document| raw(&document))
                    .collect();
                let output = pipeline.run(Box::new(input.into_iter().map(Ok)));
                let made: Result<Vec<Bson>, mql::MqlError> = output
                    .map(|document| {
                        document.map(|made| Bson::Document(Document::try_from(&made).unwrap()))
                    })
                    .collect();
                Ok(Bson::Array(made.map_err(message)?))
            }
            other => panic!("no read: {other}"),
        }
    }

    /// The texts that are in a document and not in what is shown of it.
    fn hidden(&self) -> BTreeSet<String> {
        let mut hidden = BTreeSet::new();
        for document in &self.stored {
            hidden.extend(secrets(&Bson::Document(document.clone())));
        }
        for document in &self.stored {
            if let Some(shown) = self.shown(document) {
                for secret in secrets(&Bson::Document(shown)) {
                    hidden.remove(&secret);
                }
            }
        }
        hidden
    }

    /// Nothing hidden is in an answer, unless the caller sent it.
    fn keeps_secrets(&self, request: &Request, answer: &str) {
        let sent = request.arguments.to_string();
        for secret in self.hidden() {
            assert!(
                !answer.contains(&secret) || sent.contains(&secret),
                "{secret} is in {answer}: {}",
                self.say(request)
            );
        }
    }

    async fn read(&self, request: &Request, tally: &mut Tally) {
        let answer = self
            .run(&self.access, request.action, &request.arguments)
            .await;
        let said = match &answer {
            Ok(value) => text(&Bson::try_from(value.clone()).unwrap()),
            Err(problem) => problem.message.clone(),
        };
        self.keeps_secrets(request, &said);
        match (answer, self.expected(request)) {
            (Ok(found), Ok(expected)) => {
                let found = Bson::try_from(found).unwrap();
                let (found, expected) = if request.is_ordered() {
                    (text(&found), text(&expected))
                } else {
                    (as_set(&found), as_set(&expected))
                };
                assert_eq!(found, expected, "{}", self.say(request));
                tally.count(request.action);
            }
            (Err(_), Err(_)) => tally.count("refused read"),
            // What nobody computes cannot fail.
            (Ok(_), Err(_)) if request.may_skip() => {}
            (found, expected) => panic!("{found:?} not {expected:?}: {}", self.say(request)),
        }
    }

    /// The images that a write has to leave behind; `None` when it is refused.
    fn written(&self, request: &Request) -> Result<Option<Vec<Document>>, String> {
        let message = |error: mql::MqlError| error.message;
        let asked = |write: Write<'_>| oracle::may_write(&self.roles, &self.asker, &write);
        let mut after = self.stored.clone();
        if request.action.starts_with("insert") {
            for document in request.inserts() {
                if !asked(Write::Insert(document)) {
                    return Ok(None);
                }
                after.push(document.clone());
            }
            return Ok(Some(after));
        }
        let targets: Vec<Document> = self
            .matching(request)?
            .into_iter()
            .map(|entry| entry.0)
            .filter(|document| self.passes_filters(document))
            .take(if request.action.ends_with("Many") {
                usize::MAX
            } else {
                1
            })
            .collect();
        if request.arguments.contains_key("update") {
            update_of(request)?;
        }
        if targets.is_empty() && request.upserts() {
            let made = upserted(request)?;
            if !asked(Write::Insert(&made)) {
                return Ok(None);
            }
            if after.iter().any(|document| same_id(document, &made)) {
                return Err("it is there already".to_owned());
            }
            after.push(made);
            return Ok(Some(after));
        }
        for before in targets {
            let at = after
                .iter()
                .position(|document| *document == before || same_id(document, &before));
            let at = at.unwrap();
            let finds = request.action.starts_with("findOne");
            if finds && oracle::read(&self.roles, &self.asker, &before).is_none() {
                return Ok(None);
            }
            if request.action.contains("elete") {
                if !asked(Write::Delete(&before)) {
                    return Ok(None);
                }
                after.remove(at);
                continue;
            }
            if request.is_pipeline() {
                let whole = text(&Bson::Document(before.clone()));
                let shown = self.shown(&before).map(Bson::Document);
                if shown.is_none_or(|shown| text(&shown) != whole) {
                    return Ok(None);
                }
            }
            let update = update_of(request)?;
            let query = Matcher::parse(&raw(&request.query())).map_err(message)?;
            let context = UpdateContext {
                query: Some(&query),
                ..context(false)
            };
            let made = update.apply(&raw(&before), context).map_err(message)?;
            let image = Document::try_from(&made.document).unwrap();
            if !asked(Write::Update(&before, &image)) {
                return Ok(None);
            }
            after[at] = image;
        }
        Ok(Some(after))
    }

    /// A `bulkWrite`, each of whose writes stands for itself.
    async fn bulk(&mut self, dice: &mut Dice, tally: &mut Tally) {
        let requests = requests::bulk(dice, &self.stored);
        let request = requests::bulk_write(&requests, dice.one_in(2));
        let said = self.say(&request);
        let mut fails = false;
        for step in &requests {
            match self.written(step) {
                Ok(Some(after)) => self.stored = after,
                _ if request.arguments.get_bool("ordered").unwrap() => {
                    fails = true;
                    break;
                }
                _ => fails = true,
            }
        }
        let answer = self
            .run(&self.access, request.action, &request.arguments)
            .await;
        assert_eq!(answer.is_err(), fails, "{answer:?}: {said}");
        let stored = self.system("find", doc! { "sort": { "_id": 1 } }).await;
        assert_eq!(text(&stored), text(&by_id(&self.stored)), "{said}");
        tally.count(if fails { "failed bulk" } else { "bulk" });
    }

    async fn write(&mut self, request: &Request, tally: &mut Tally) {
        let expected = self.written(request);
        let answer = self
            .run(&self.access, request.action, &request.arguments)
            .await;
        let said = match &answer {
            Ok(value) => text(&Bson::try_from(value.clone()).unwrap()),
            Err(problem) => problem.message.clone(),
        };
        let stored = self.system("find", doc! { "sort": { "_id": 1 } }).await;
        match (&answer, &expected) {
            (Ok(_), Ok(Some(after))) => {
                assert_eq!(text(&stored), text(&by_id(after)), "{}", self.say(request));
                let findings = ["findOneAndUpdate", "findOneAndReplace", "findOneAndDelete"];
                if findings.contains(&request.action) {
                    self.returned(request, after, &said);
                } else {
                    self.keeps_secrets(request, &said);
                }
                if after.len() > self.stored.len() && request.upserts() {
                    tally.count("upserted");
                }
                if request.arguments.contains_key("arrayFilters") {
                    tally.count("by array filters");
                }
                if request.arguments.to_string().contains(".$\"") {
                    tally.count("by position");
                }
                tally.count(request.action);
                self.stored.clone_from(after);
            }
            (Err(_), Ok(None) | Err(_)) => {
                self.keeps_secrets(request, &said);
                let before = text(&by_id(&self.stored));
                assert_eq!(text(&stored), before, "changed: {}", self.say(request));
                tally.count(if expected.is_ok() {
                    "refused write"
                } else {
                    "wrong write"
                });
            }
            _ => panic!("{answer:?} not {expected:?}: {}", self.say(request)),
        }
    }

    /// The image that findOneAnd* answered with is what the caller may see of it.
    fn returned(&self, request: &Request, after: &[Document], said: &str) {
        let matching = self.matching(request).unwrap();
        let target = matching
            .into_iter()
            .map(|entry| entry.0)
            .find(|document| self.passes_filters(document));
        let image = match target {
            Some(target) if request.returns_new() => {
                let image = after.iter().find(|document| same_id(document, &target));
                image.cloned()
            }
            // What an upsert made comes last.
            None if request.returns_new() && after.len() > self.stored.len() => {
                after.last().cloned()
            }
            target => target,
        };
        // Filters narrow what is found, not what is answered with.
        let shown = image.and_then(|image| {
            let shown = oracle::read(&self.roles, &self.asker, &image)?;
            let mut projection = Document::new();
            for filter in self.filters_in_force() {
                projection.extend(filter.projection());
            }
            if projection.is_empty() {
                return Some(shown);
            }
            let projection = Projection::parse(&raw(&projection)).unwrap();
            Some(Document::try_from(&projection.apply(&raw(&shown), None).unwrap()).unwrap())
        });
        let expected = shown.map_or(Bson::Null, Bson::Document);
        assert_eq!(said, text(&expected), "{}", self.say(request));
    }

    /// The next event is the one that a system's write has to lead to.
    async fn told(&mut self, watch: &mut Watch, dice: &mut Dice, tally: &mut Tally) {
        let at = dice.below(self.stored.len());
        let after = random::changed(dice, &self.stored[at]);
        let id = after["_id"].clone();
        let (action, arguments) = if dice.one_in(2) {
            (
                "replaceOne",
                doc! { "query": { "_id": id.clone() }, "update": after.clone() },
            )
        } else {
            let mut set = after.clone();
            set.remove("_id");
            let mut gone = Document::new();
            for name in self.stored[at]
                .keys()
                .filter(|name| !after.contains_key(*name))
            {
                gone.insert(name, 1);
            }
            let mut update = Document::new();
            for (operator, of) in [("$set", set), ("$unset", gone)] {
                if !of.is_empty() {
                    update.insert(operator, of);
                }
            }
            if update.is_empty() {
                return;
            }
            (
                "updateOne",
                doc! { "query": { "_id": id.clone() }, "update": update },
            )
        };
        let request = Request { action, arguments };
        self.system(action, request.arguments.clone()).await;
        let changed =
            text(&Bson::Document(after.clone())) != text(&Bson::Document(self.stored[at].clone()));
        let found = self
            .system("findOne", doc! { "query": { "_id": id } })
            .await;
        self.stored[at] = found.as_document().unwrap().clone();
        let Some(shown) = self.shown(&self.stored[at]).filter(|_| changed) else {
            tally.count("untold");
            return;
        };
        let event = watch.next().await.unwrap();
        let full = Document::try_from(event.get_document("fullDocument").unwrap()).unwrap();
        assert_eq!(
            text(&Bson::Document(full)),
            text(&Bson::Document(shown)),
            "{}",
            self.say(&request)
        );
        let nothing = Request {
            action,
            arguments: Document::new(),
        };
        let event = Document::try_from(event.as_ref()).unwrap();
        self.keeps_secrets(&nothing, &event.to_string());
        tally.count("told");
    }
}

fn update_of(request: &Request) -> Result<Update, String> {
    let sent = RawBson::try_from(request.arguments["update"].clone()).unwrap();
    let filters = request.arguments.get_array("arrayFilters").ok();
    let filters = filters.map(|filters| RawArrayBuf::try_from(filters).unwrap());
    Update::parse(sent.as_raw_bson_ref(), filters.as_deref()).map_err(|error| error.message)
}

/// The document that an upsert makes: of the query and the update, without
/// anything of filters.
fn upserted(request: &Request) -> Result<Document, String> {
    let message = |error: mql::MqlError| error.message;
    let update = update_of(request)?;
    let base = mql::upsert_document(&raw(&request.query()), &update).map_err(message)?;
    let made = update.apply(&raw(&base), context(true)).map_err(message)?;
    Ok(Document::try_from(&made.document).unwrap())
}

fn context<'a>(inserting: bool) -> UpdateContext<'a> {
    UpdateContext {
        now: bson::DateTime::MIN,
        stamps: None,
        query: None,
        inserting,
        collation: None,
    }
}

fn by_id(documents: &[Document]) -> Bson {
    let mut documents = documents.to_vec();
    documents.sort_by_key(|document| document.get_i32("_id").unwrap_or_default());
    Bson::Array(documents.into_iter().map(Bson::Document).collect())
}

fn same_id(a: &Document, b: &Document) -> bool {
    a.get("_id") == b.get("_id")
}

/// The texts inside that are there once in the world.
fn secrets(value: &Bson) -> Vec<String> {
    match value {
        Bson::String(text) if text.starts_with("secret") => vec![text.clone()],
        Bson::Document(document) => document.values().flat_map(secrets).collect(),
        Bson::Array(array) => array.iter().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

fn as_set(list: &Bson) -> String {
    let Bson::Array(list) = list else {
        return text(list);
    };
    let mut lines: Vec<String> = list.iter().map(text).collect();
    lines.sort();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_decides_as_the_oracle() {
    let engine = crate::on_mongodb::engine(module_path!(), embedded);
    let fewest = if engine.capabilities().name == "embedded" {
        3000
    } else {
        600
    };
    let data = Data::new(engine, Arc::new(SystemClock));
    let mut tally = Tally::default();
    let (mut asked, mut seed) = (0, 0);
    while asked < random::cases(fewest) {
        let dice = &mut Dice::new(seed);
        let mut case = Case::new(seed, &data, dice).await;
        seed += 1;
        for _ in 0..12 {
            let request = requests::read(dice, &case.stored);
            case.read(&request, &mut tally).await;
        }
        for _ in 0..8 {
            let request = requests::write(dice, &case.stored);
            case.write(&request, &mut tally).await;
            if case.stored.len() < 3 {
                break;
            }
        }
        if seed % 3 == 0 && case.stored.len() > 2 {
            case.bulk(dice, &mut tally).await;
        }
        if seed % 4 == 0 && !case.stored.is_empty() {
            let target = rawdoc! { "database": "d", "collection": "c" };
            let mut watch = data.watch(&case.access, &target).await.unwrap();
            for _ in 0..3 {
                case.told(&mut watch, dice, &mut tally).await;
            }
        }
        asked += 20;
    }
    println!("{asked} requests under {seed} rule sets: {tally:?}");
    tally.met(&[
        "find",
        "findOne",
        "count",
        "distinct",
        "aggregate",
        "refused read",
        "insertOne",
        "insertMany",
        "updateOne",
        "updateMany",
        "replaceOne",
        "deleteOne",
        "deleteMany",
        "findOneAndUpdate",
        "findOneAndReplace",
        "findOneAndDelete",
        "refused write",
        "wrong write",
        "told",
        "untold",
        "upserted",
        "by array filters",
        "by position",
        "bulk",
        "failed bulk",
    ]);
}
