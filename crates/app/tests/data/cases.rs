//! The data-driven suite: rules, documents, caller and request, and what comes
//! of them, one file of `cases/` per theme. `cases/README.md` says how a case is
//! written.
//!
//! Every case runs as it is written, where what a query can say of the rules is
//! asked of the engine, and once more with roles that no query can say, where
//! every document is asked about: the answers must be the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app::data::{Access, Calls, Data, RuleLog, ServiceRules, UserAccess, Watch};
use bson::raw::RawBsonRef;
use bson::{Bson, RawArrayBuf, RawBson, RawDocumentBuf, rawdoc};
use engine::{BoxFuture, Session, SharedEngine};
use kit::{Kind, Problem, SystemClock};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use testkit::given::Given;

use super::relaxed;

/// Longest wait for an event.
const EVENT: Duration = Duration::from_secs(30);
/// The function that closes a role's way into the query.
const CLOSED: &str = "neverInAQuery";
const PLACES: [&str; 3] = ["c", "e", "f"];

macro_rules! themes {
    ($($theme:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $theme() {
                run(stringify!($theme), include_str!(concat!("cases/", stringify!($theme), ".json"))).await;
            }
        )*

        #[test]
        fn every_theme_runs() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cases");
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
                .collect();
            files.sort();
            let mut themes = vec![$(stringify!($theme)),*];
            themes.sort_unstable();
            assert_eq!(files, themes);
            // Every row of the table has its case.
            let table: Theme = serde_json::from_str(include_str!("cases/edge_table.json")).unwrap();
            let has = |row: &str| table.cases.iter().any(|case| {
                case["name"].as_str().is_some_and(|name| name.split([' ', ',']).next() == Some(row))
            });
            let rows = (1..=46).map(|row| row.to_string());
            let missing: Vec<String> = rows.chain(["13a".to_owned(), "13b".to_owned()])
                .filter(|row| !has(row))
                .collect();
            assert!(missing.is_empty(), "no case for rows {missing:?}");
        }
    };
}

themes! {
    actions default_rules document_filters edge_table equality expressions filters hidden operators
    reads refused roles schema_validate schemas settings static_validation system transactions watch
    writes
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    /// What the theme is, and where it is written.
    about: String,
    /// What holds where a case does not say otherwise.
    #[serde(default)]
    given: Map<String, Value>,
    cases: Vec<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Case {
    name: String,
    roles: Option<Value>,
    filters: Option<Value>,
    default: Option<Value>,
    schema: Option<Value>,
    /// Other files of the data source, by path below it.
    files: BTreeMap<String, Value>,
    null_validation: bool,
    /// `config.rules` of the data source.
    settings: Option<Value>,
    functions: BTreeMap<String, Vec<Answer>>,
    documents: Vec<Value>,
    /// Documents of other collections of the same database.
    others: BTreeMap<String, Vec<Value>>,
    user: Option<Value>,
    /// Other callers, by name.
    users: BTreeMap<String, Value>,
    values: Option<Value>,
    environment: Option<Value>,
    request: Option<Value>,
    /// Only as written: the case is about what a query can say.
    as_written: bool,
    requests: Vec<Map<String, Value>>,
    /// An expression, and the `_id`s of the documents for which it holds.
    when: Option<Value>,
    sees: Option<Value>,
    /// What deploying the rules says.
    findings: Option<Vec<String>>,
}

/// What a function answers, to these arguments or to all that are left.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Answer {
    arguments: Option<Value>,
    returns: Option<Value>,
    throws: Option<String>,
}

/// How a case is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    AsWritten,
    PerDocument,
}

async fn run(theme: &str, text: &str) {
    let file: Theme = serde_json::from_str(text).unwrap_or_else(|error| panic!("{theme}: {error}"));
    assert!(
        !file.about.is_empty() && !file.cases.is_empty(),
        "{theme} is empty"
    );
    let engine = super::embedded_or_mongodb();
    let (mut failures, mut names) = (Vec::new(), Vec::new());
    for own in file.cases {
        let mut all = file.given.clone();
        all.extend(own);
        let case: Case = serde_json::from_value(Value::Object(all.clone()))
            .unwrap_or_else(|error| panic!("{theme}: {error} in {}", Value::Object(all)));
        assert!(
            !names.contains(&case.name),
            "{theme}: two cases '{}'",
            case.name
        );
        names.push(case.name.clone());
        for failure in case.check(&engine).await {
            failures.push(format!("{theme}: {}\n{failure}", case.name));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n\n{}",
        failures.len(),
        names.len(),
        failures.join("\n\n")
    );
}

fn bson(value: &Value) -> Bson {
    kit::ejson::parse_value(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn raw(value: &Value) -> RawDocumentBuf {
    match bson(value) {
        Bson::Document(document) => RawDocumentBuf::try_from(&document).unwrap(),
        other => panic!("{other} is no document"),
    }
}

/// The text by which values are compared.
fn text(value: &Value) -> String {
    let value = RawBson::try_from(bson(value)).unwrap();
    relaxed(value.as_raw_bson_ref())
}

fn told(problem: &Problem) -> String {
    format!("{:?} {}: {}", problem.kind, problem.code, problem.message)
}

/// Whether `said` is what a case expects; `…` at the end stands for the rest.
fn is(expected: &str, said: &str) -> bool {
    match expected.strip_suffix('…') {
        Some(start) => said.starts_with(start),
        None => said == expected,
    }
}

fn differ(what: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> String {
    format!("    {what}\n      expected {expected}\n      got      {got}")
}

impl Case {
    async fn check(&self, engine: &SharedEngine) -> Vec<String> {
        if let Some(expected) = &self.findings {
            let found = self.findings();
            if *expected != found {
                return vec![differ("findings", json!(expected), json!(found))];
            }
            return Vec::new();
        }
        if let (Some(when), Some(sees)) = (&self.when, &self.sees) {
            return self.check_expression(engine, when, sees).await;
        }
        assert!(!self.requests.is_empty(), "{} asks nothing", self.name);
        let mut failures = Vec::new();
        for way in [Way::AsWritten, Way::PerDocument] {
            if way == Way::PerDocument && self.as_written {
                continue;
            }
            let stage = self.stage(engine, &Parts::of(self, way)).await;
            for (index, request) in self.requests.iter().enumerate() {
                for failure in stage.ask(request, way).await {
                    failures.push(format!("  {way:?}, request {}\n{failure}", index + 1));
                }
            }
        }
        failures
    }

    /// An expression everywhere where it may stand, over what it holds for.
    async fn check_expression(
        &self,
        engine: &SharedEngine,
        when: &Value,
        sees: &Value,
    ) -> Vec<String> {
        let mut places = vec![
            (
                "apply_when",
                json!([{ "name": "r", "apply_when": when, "read": true }]),
            ),
            (
                "apply_when of the second role",
                json!([
                    { "name": "n", "apply_when": { "_id": "nobody's" }, "read": true },
                    { "name": "r", "apply_when": when, "read": true },
                ]),
            ),
            (
                "read",
                json!([{ "name": "r", "apply_when": {}, "read": when }]),
            ),
            (
                "write",
                json!([{ "name": "r", "apply_when": {}, "write": when }]),
            ),
            (
                "document_filters",
                json!([{
                    "name": "r", "apply_when": {}, "document_filters": { "read": when }, "read": true,
                }]),
            ),
        ];
        if !when.to_string().contains("%%this") {
            places.push((
                "additional_fields",
                json!([{
                    "name": "r", "apply_when": {}, "additional_fields": { "read": when },
                }]),
            ));
        }
        let mut failures = Vec::new();
        for (place, roles) in places {
            for way in [Way::AsWritten, Way::PerDocument] {
                let mut parts = Parts::of(self, way);
                parts.put("d/c/rules.json", json!({ "roles": way.of(&roles) }));
                let stage = self.stage(engine, &parts).await;
                let found = stage.ids().await;
                if found != text(sees) {
                    failures.push(differ(&format!("{place} {way:?}"), text(sees), found));
                }
            }
        }
        failures
    }

    /// What a deployment of the case's rules says, without the lines.
    fn findings(&self) -> Vec<String> {
        let (_, findings) = app::check(&Parts::of(self, Way::AsWritten).files);
        findings
            .into_iter()
            .map(|finding| {
                let path = finding
                    .path
                    .trim_start_matches("data_sources/s/")
                    .to_owned();
                format!("{path}: {}", finding.message)
            })
            .collect()
    }

    async fn stage(&self, engine: &SharedEngine, parts: &Parts) -> Stage<'_> {
        let (config, findings) = config::parse(&parts.files);
        let config = config.unwrap_or_else(|| panic!("{}: {findings:?}", self.name));
        let rules = ServiceRules::compile(&config, "s");
        let stage = Stage {
            case: self,
            data: Data::new(engine.clone(), Arc::new(SystemClock)),
            engine: engine.clone(),
            rules: Arc::new(rules.unwrap_or_else(|flaws| panic!("{}: {flaws:?}", self.name))),
            sessions: Mutex::default(),
        };
        for place in PLACES {
            let all = json!({ "collection": place });
            stage.system("deleteMany", &all).await.unwrap();
        }
        let own = ("c".to_owned(), self.documents.clone());
        let others = self.others.clone().into_iter();
        for (place, documents) in others.chain([own]).filter(|(_, list)| !list.is_empty()) {
            assert!(PLACES.contains(&place.as_str()), "no collection '{place}'");
            let seed = json!({ "collection": place, "documents": documents });
            stage.system("insertMany", &seed).await.unwrap();
        }
        stage
    }
}

impl Way {
    /// Roles as this way takes them.
    fn of(self, roles: &Value) -> Value {
        let mut roles = roles.clone();
        if self == Self::PerDocument {
            for role in roles.as_array_mut().into_iter().flatten() {
                let when = role.get("apply_when").cloned().unwrap_or(json!({}));
                let call = json!({ "%function": { "name": CLOSED, "arguments": ["%%root._id"] } });
                role["apply_when"] = json!({ "%or": [when, { "%%true": call }] });
            }
        }
        roles
    }
}

/// The files of a case.
struct Parts {
    files: config::Files,
}

impl Parts {
    fn of(case: &Case, way: Way) -> Self {
        let mut parts = Self {
            files: config::Files::default(),
        };
        let root = json!({ "config_version": 20_210_101, "app_id": "a-abcde", "name": "a" });
        parts
            .files
            .insert("realm_config.json", root.to_string().into_bytes());
        let mut source =
            json!({ "name": "s", "type": "mongodb-atlas", "config": { "clusterName": "c" } });
        if let Some(settings) = &case.settings {
            source["config"]["rules"] = settings.clone();
        }
        parts.put("config.json", source);
        let mut entries = Vec::new();
        for name in case.functions.keys().map(String::as_str).chain([CLOSED]) {
            entries.push(json!({ "name": name, "private": true }));
            let path = format!("functions/{name}.js");
            parts.files.insert(path, b"exports = () => true;".to_vec());
        }
        let entries = Value::Array(entries).to_string().into_bytes();
        parts.files.insert("functions/config.json", entries);
        if case.roles.is_some() || case.filters.is_some() {
            let roles = case.roles.clone().unwrap_or(json!([]));
            let filters = case.filters.clone().unwrap_or(json!([]));
            parts.put(
                "d/c/rules.json",
                json!({ "roles": way.of(&roles), "filters": filters }),
            );
        }
        if let Some(default) = &case.default {
            parts.put("default_rule.json", way.in_file(default));
        }
        if let Some(schema) = &case.schema {
            parts.put("d/c/schema.json", schema.clone());
        }
        for (path, file) in &case.files {
            parts.put(path, way.in_file(file));
        }
        parts
    }

    fn put(&mut self, path: &str, file: Value) {
        let path = format!("data_sources/s/{path}");
        self.files.insert(path, file.to_string().into_bytes());
    }
}

impl Way {
    fn in_file(self, file: &Value) -> Value {
        let mut file = file.clone();
        if let Some(roles) = file.get("roles") {
            file["roles"] = self.of(roles);
        }
        file
    }
}

/// A case with its rules and documents in place.
struct Stage<'c> {
    case: &'c Case,
    data: Data,
    engine: SharedEngine,
    rules: Arc<ServiceRules>,
    sessions: Mutex<BTreeMap<u64, Session>>,
}

/// The functions of a case, and how often each was called.
#[derive(Default)]
struct Functions {
    answers: BTreeMap<String, Vec<Answer>>,
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Calls for Functions {
    fn call(
        &self,
        function: Arc<str>,
        arguments: RawArrayBuf,
    ) -> BoxFuture<'_, Result<Option<RawBson>, Problem>> {
        Box::pin(async move {
            if &*function == CLOSED {
                return Ok(Some(RawBson::Boolean(false)));
            }
            *self
                .calls
                .lock()
                .unwrap()
                .entry(function.to_string())
                .or_default() += 1;
            let arguments = relaxed(RawBsonRef::Array(&arguments));
            let fits = |answer: &&Answer| {
                answer
                    .arguments
                    .as_ref()
                    .is_none_or(|wanted| text(wanted) == arguments)
            };
            let answer = self.answers[&*function].iter().find(fits);
            let answer = answer.unwrap_or_else(|| panic!("{function}{arguments} is not foreseen"));
            match &answer.throws {
                Some(thrown) => Err(Problem::new(
                    Kind::Invalid,
                    "FunctionExecutionError",
                    thrown,
                )),
                None => Ok(answer
                    .returns
                    .as_ref()
                    .map(|value| RawBson::try_from(bson(value)).unwrap())),
            }
        })
    }
}

impl Stage<'_> {
    async fn system(&self, action: &str, arguments: &Value) -> Result<RawBson, Problem> {
        self.data
            .run(&Access::System, action, &Self::arguments(arguments), None)
            .await
    }

    fn arguments(arguments: &Value) -> RawDocumentBuf {
        let arguments = raw(arguments);
        let mut all = RawDocumentBuf::new();
        let named = |name| arguments.get(name).unwrap().is_some();
        if !named("schema_name") {
            for (name, own) in [("database", "d"), ("collection", "c")] {
                if !named(name) {
                    all.append(bson::raw::CString::try_from(name).unwrap(), own);
                }
            }
        }
        for entry in &arguments {
            let (name, value) = entry.unwrap();
            all.append(name, value);
        }
        all
    }

    fn access(&self, caller: Option<&Value>, functions: &Arc<Functions>) -> (Access, Arc<RuleLog>) {
        let log = Arc::<RuleLog>::default();
        let named = match caller {
            Some(Value::String(name)) if name == "system" => return (Access::System, log),
            Some(Value::String(name)) => &self.case.users[name],
            Some(user) => user,
            None => self.case.user.as_ref().unwrap_or(&Value::Null),
        };
        let ann = json!({ "id": "ann", "type": "normal", "data": {}, "custom_data": {}, "identities": [] });
        let part =
            |part: &Option<Value>, otherwise: Value| raw(part.as_ref().unwrap_or(&otherwise));
        let known = Given {
            user: raw(if named.is_null() { &ann } else { named }),
            values: part(&self.case.values, json!({})),
            environment: part(&self.case.environment, json!({ "tag": "", "values": {} })),
            request: part(&self.case.request, json!({})),
        };
        let user = UserAccess {
            expansions: Arc::new(known),
            rules: self.rules.clone(),
            calls: functions.clone(),
            null_for_optional: self.case.null_validation,
            log: log.clone(),
        };
        (Access::User(user), log)
    }

    /// The `_id`s that the user finds, which other ways to read must agree with.
    async fn ids(&self) -> String {
        let (access, _) = self.access(None, &self.functions());
        let read = async |action: &str, arguments: Value| match self
            .data
            .run(&access, action, &Self::arguments(&arguments), None)
            .await
        {
            Ok(value) => relaxed(value.as_raw_bson_ref()),
            Err(problem) => told(&problem),
        };
        let found = read("find", json!({ "sort": { "_id": 1 } })).await;
        let Ok(Value::Array(list)) = serde_json::from_str(&found) else {
            return found;
        };
        let ids = text(&Value::Array(
            list.iter().map(|d| d["_id"].clone()).collect(),
        ));
        let counted = read("count", json!({})).await;
        let distinct = read("distinct", json!({ "field": "_id" })).await;
        let pipeline = json!([{ "$sort": { "_id": 1 } }, { "$group": { "_id": null, "l": { "$push": "$_id" } } }]);
        let grouped = read("aggregate", json!({ "pipeline": pipeline })).await;
        let wanted = if list.is_empty() {
            "[]".to_owned()
        } else {
            format!(r#"[{{"_id":null,"l":{ids}}}]"#)
        };
        if counted == list.len().to_string() && distinct == ids && grouped == wanted {
            ids
        } else {
            format!("{ids}, but counted {counted}, distinct {distinct}, aggregated {grouped}")
        }
    }

    fn functions(&self) -> Arc<Functions> {
        Arc::new(Functions {
            answers: self.case.functions.clone(),
            calls: Mutex::default(),
        })
    }

    async fn stored(&self) -> String {
        let all = self
            .system("find", &json!({ "sort": { "_id": 1 } }))
            .await
            .unwrap();
        relaxed(all.as_raw_bson_ref())
    }

    /// Makes one request and compares everything that the case says of it.
    async fn ask(&self, request: &Map<String, Value>, way: Way) -> Vec<String> {
        let request = Request::of(request);
        let functions = self.functions();
        let (access, log) = self.access(request.caller, &functions);
        let before = self.stored().await;
        let (result, because) = self.perform(&request, &access).await;
        let what = format!("{} {}", request.action, request.arguments);
        let mut failures = Vec::new();
        let (good, expected) = match (request.answer, &request.error) {
            (Some(answer), None) => (text(answer) == result, text(answer)),
            (None, Some(error)) => (is(error, &result), error.clone()),
            _ => panic!("{what} needs one of answer, error, not_permitted, not_valid"),
        };
        if !good {
            failures.push(differ(&what, expected, &result));
        }
        let because = because.unwrap_or_default();
        if let Some(expected) = request.because
            && !is(expected, &because)
        {
            failures.push(differ(&format!("{what}: because"), expected, because));
        }
        let after = self.stored().await;
        match request.stored {
            Some(stored) if text(stored) != after => {
                failures.push(differ(&format!("{what}: stored"), text(stored), after));
            }
            None if request.error.is_some() && before != after => {
                failures.push(differ(&format!("{what} failed and changed"), before, after));
            }
            _ => {}
        }
        if let (Some(metrics), Way::AsWritten) = (request.metrics, way) {
            let counted = numbers(&log);
            if *metrics != counted {
                failures.push(differ(&format!("{what}: metrics"), metrics, counted));
            }
        }
        if let (Some(calls), Way::AsWritten) = (request.calls, way) {
            let made = json!(*functions.calls.lock().unwrap());
            if *calls != made {
                failures.push(differ(&format!("{what}: calls"), calls, made));
            }
        }
        failures
    }

    /// What a request came to: its answer or error, and the reason for the log.
    async fn perform(&self, request: &Request<'_>, access: &Access) -> (String, Option<String>) {
        let done = match request.action {
            "commit" | "abort" => {
                let number = request.arguments.as_u64().unwrap();
                let session = self.sessions.lock().unwrap().remove(&number).unwrap();
                let ended = match request.action {
                    "commit" => session.commit(&self.engine).await,
                    _ => session.abort(&self.engine).await,
                };
                return match ended {
                    Ok(()) => ("null".to_owned(), None),
                    Err(error) => (error.message, None),
                };
            }
            "watch" => self.watch(request, access).await,
            action => {
                let session = request.session.map(|number| {
                    let mut sessions = self.sessions.lock().unwrap();
                    sessions
                        .entry(number)
                        .or_insert_with(Session::start)
                        .clone()
                });
                let arguments = Self::arguments(request.arguments);
                let result = self
                    .data
                    .run(access, action, &arguments, session.as_ref())
                    .await;
                result.map(|value| relaxed(value.as_raw_bson_ref()))
            }
        };
        match done {
            Ok(answer) => (answer, None),
            Err(problem) => (told(&problem), problem.because),
        }
    }

    /// Opens a stream, makes changes as the system, and collects what is told of
    /// them, until everything expected came or the stream ended.
    async fn watch(&self, request: &Request<'_>, access: &Access) -> Result<String, Problem> {
        let arguments = Self::arguments(request.arguments);
        let mut watch = self.data.watch(access, &arguments).await?;
        for change in request.meanwhile {
            let (action, arguments) = change.as_object().unwrap().iter().next().unwrap();
            if action == "drop" {
                self.engine
                    .command("d", &rawdoc! { "drop": "c" })
                    .await
                    .unwrap();
            } else {
                self.system(action, arguments).await.unwrap();
            }
        }
        let count = request
            .answer
            .and_then(Value::as_array)
            .map_or(usize::MAX, Vec::len);
        let mut events = Vec::new();
        while events.len() < count {
            events.push(event(&mut watch).await?);
        }
        Ok(format!("[{}]", events.join(",")))
    }
}

/// An event without what differs from run to run.
async fn event(watch: &mut Watch) -> Result<String, Problem> {
    let Ok(event) = tokio::time::timeout(EVENT, watch.next()).await else {
        return Ok("nothing for a long time".to_owned());
    };
    let event = event?;
    if event.get("ot").unwrap().is_some() {
        return Ok(relaxed(RawBsonRef::Document(&event)));
    }
    let value = |name: &str| event.get(name).unwrap();
    let mut told = RawDocumentBuf::new();
    let operation = bson::raw::CString::try_from(event.get_str("operationType").unwrap()).unwrap();
    told.append(operation, value("documentKey").unwrap());
    if let Some(full) = value("fullDocument") {
        told.append(bson::cstr!("document"), full);
    }
    if let Some(RawBsonRef::Document(description)) = value("updateDescription") {
        for (from, to) in [
            ("updatedFields", bson::cstr!("updated")),
            ("removedFields", bson::cstr!("removed")),
        ] {
            told.append(to, description.get(from).unwrap().unwrap());
        }
    }
    Ok(relaxed(RawBsonRef::Document(&told)))
}

/// `rule_metrics` of `d.c`, short: per role its three numbers; under no name the
/// documents without a role.
fn numbers(log: &RuleLog) -> Value {
    let Some(metrics) = log.document() else {
        return json!({});
    };
    let metrics = Bson::Document(metrics).into_relaxed_extjson();
    let of = &metrics["namespaces_metrics"]["d.c"];
    let mut short = Map::new();
    for (role, counted) in of["roles"].as_object().unwrap() {
        let number = |name: &str| counted[name].clone();
        let numbers = json!([
            number("matching_documents"),
            number("evaluated_fields"),
            number("discarded_fields")
        ]);
        short.insert(role.clone(), numbers);
    }
    short.insert(String::new(), of["no_matching_role"].clone());
    Value::Object(short)
}

/// A request of a case.
struct Request<'r> {
    action: &'r str,
    arguments: &'r Value,
    caller: Option<&'r Value>,
    session: Option<u64>,
    answer: Option<&'r Value>,
    error: Option<String>,
    because: Option<&'r str>,
    stored: Option<&'r Value>,
    metrics: Option<&'r Value>,
    calls: Option<&'r Value>,
    meanwhile: &'r [Value],
}

impl<'r> Request<'r> {
    fn of(request: &'r Map<String, Value>) -> Self {
        const KEYS: [&str; 11] = [
            "as",
            "in",
            "answer",
            "error",
            "not_permitted",
            "not_valid",
            "because",
            "stored",
            "metrics",
            "calls",
            "meanwhile",
        ];
        let mut actions = request
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.as_str()));
        let (Some((action, arguments)), None) = (actions.next(), actions.next()) else {
            panic!("a request has one action: {request:?}");
        };
        let get = |key: &str| request.get(key);
        let words = |key: &str| get(key).map(|value| value.as_str().unwrap());
        let masked = |code: &str, verb: &str| format!("Invalid {code}: {verb} not permitted");
        let error = words("error").map(str::to_owned);
        let refused = words("not_permitted").map(|verb| masked("NoMatchingRuleFound", verb));
        let invalid = words("not_valid").map(|verb| masked("SchemaValidationFailedWrite", verb));
        let because = words("because");
        assert!(
            (refused.is_none() && invalid.is_none()) || because.is_some(),
            "a refusal has a reason: {request:?}"
        );
        Self {
            action,
            arguments,
            caller: get("as"),
            session: get("in").map(|number| number.as_u64().unwrap()),
            answer: get("answer"),
            error: error.or(refused).or(invalid),
            because,
            stored: get("stored"),
            metrics: get("metrics"),
            calls: get("calls"),
            meanwhile: get("meanwhile").map_or(&[], |list| list.as_array().unwrap()),
        }
    }
}
