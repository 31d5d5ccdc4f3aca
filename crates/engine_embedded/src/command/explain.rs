//! explain: which way a command goes to its documents, and what that costs.
//! Looks, and changes nothing.

use std::sync::Arc;
use std::time::Instant;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use engine::{Answer, CommandError};

use super::given::Moment;
use super::read::{Kind, Read};
use super::{blocking, document, flag, reply};
use crate::catalog::Index;
use crate::plan::{Access, Plan, Scan, only_id};
use crate::query;
use crate::text::value_shown;
use crate::walk::{Effort, Place, Walk};
use crate::{Core, View};

pub(super) async fn run(core: &Arc<Core>, database: &str, command: &RawDocument) -> Answer {
    let inner = match command.get("explain")? {
        Some(RawBsonRef::Document(inner)) => inner.to_owned(),
        Some(other) => {
            let found = mql::type_name(other);
            let text = format!(
                "BSON field 'explain.explain' is the wrong type '{found}', expected type 'object'"
            );
            return Err(CommandError::new(14, text));
        }
        None => return Err(CommandError::new(40414, "there is nothing to explain")),
    };
    let runs = match command.get("verbosity")? {
        None | Some(RawBsonRef::String("allPlansExecution" | "executionStats")) => true,
        Some(RawBsonRef::String("queryPlanner")) => false,
        Some(other) => {
            let other = Bson::try_from(other)?;
            return Err(CommandError::bad_value(format!(
                "Enumeration value {} for field 'explain.verbosity' is not a valid value.",
                value_shown(&other).replace('"', "'")
            )));
        }
    };
    let all = command.get("verbosity")?.is_none()
        || command.get_str("verbosity").ok() == Some("allPlansExecution");
    let view = core.view.load_full();
    let (core, database) = (core.clone(), database.to_owned());
    blocking(move || {
        let question = Question::of(&core, &view, &database, &inner)?;
        let answer = question.answer(&view, &database, runs, all)?;
        with_rest(answer, &inner, &database)
    })
    .await
}

/// What aggregate's own `explain: true` answers.
pub(super) async fn aggregate(core: &Arc<Core>, database: &str, command: &RawDocument) -> Answer {
    let mut inner = RawDocumentBuf::new();
    for entry in command {
        let (name, value) = entry?;
        if name != "explain" {
            inner.append(name, value);
        }
    }
    let explain = rawdoc! { "explain": inner, "verbosity": "queryPlanner" };
    run(core, database, &explain).await
}

fn with_rest(mut answer: Document, command: &RawDocument, database: &str) -> Answer {
    let mut command = Document::try_from(command)?;
    command.insert("$db", database);
    answer.insert("command", command);
    answer.insert(
        "serverInfo",
        doc! { "host": "localhost", "port": 0, "version": "6.0.5", "gitVersion": "backstitch" },
    );
    answer.insert("ok", 1.0);
    reply(&answer)
}

/// What is explained: a read, and what stands on top of it.
struct Question {
    read: Read,
    filter: Document,
    /// The stages that a write or a count puts on top.
    top: Option<&'static str>,
    /// A pipeline's further stages.
    stages: Vec<Document>,
}

impl Question {
    fn of(
        core: &Core,
        view: &View,
        database: &str,
        command: &RawDocument,
    ) -> Result<Self, CommandError> {
        let Some(first) = command.iter().next() else {
            return Err(CommandError::new(
                59,
                "Explain failed due to unknown command: ",
            ));
        };
        let (name, target) = first?;
        let target = target.as_str().unwrap_or_default();
        let statement = |field: &str| -> Result<RawDocumentBuf, CommandError> {
            let mut list = command.get_array(field).into_iter().flatten();
            match (list.next(), list.next()) {
                (Some(Ok(RawBsonRef::Document(one))), None) => Ok(one.to_owned()),
                _ => Err(CommandError::new(
                    16,
                    "explained write batches must be of size 1",
                )),
            }
        };
        let find = |filter: Option<&RawDocument>, from: &RawDocument, limit: i64| {
            let mut find = rawdoc! { "find": target };
            match filter {
                Some(filter) => find.append(cstr!("filter"), filter),
                None => find.append(cstr!("filter"), RawDocumentBuf::new()),
            }
            for (field, as_field) in [
                ("sort", cstr!("sort")),
                ("hint", cstr!("hint")),
                ("collation", cstr!("collation")),
            ] {
                if let Some(value) = from.get(field)? {
                    find.append(as_field, value);
                }
            }
            if let Some(variables) = command.get("let")? {
                find.append(cstr!("let"), variables);
            }
            if limit > 0 {
                find.append(cstr!("limit"), limit);
            }
            Ok::<_, CommandError>(find)
        };
        let (read, query, top, mut stages) = match name.as_str() {
            "find" => (command.to_owned(), "filter", None, Vec::new()),
            "count" => (command.to_owned(), "query", Some("COUNT"), Vec::new()),
            "distinct" => (command.to_owned(), "query", None, Vec::new()),
            "aggregate" => {
                let mut stages = Vec::new();
                for stage in command.get_array("pipeline").into_iter().flatten() {
                    if let RawBsonRef::Document(stage) = stage? {
                        stages.push(Document::try_from(stage)?);
                    }
                }
                let filter = match stages.first().map(|stage| stage.get_document("$match")) {
                    Some(Ok(filter)) => RawDocumentBuf::try_from(filter)?,
                    _ => RawDocumentBuf::new(),
                };
                if stages
                    .first()
                    .is_some_and(|stage| stage.contains_key("$match"))
                {
                    stages.remove(0);
                }
                (find(Some(&filter), command, 0)?, "filter", None, stages)
            }
            "update" => {
                let one = statement("updates")?;
                let limit = i64::from(!flag(&one, "multi")?);
                let find = find(document(&one, "q")?, &one, limit)?;
                (find, "filter", Some("UPDATE"), Vec::new())
            }
            "delete" => {
                let one = statement("deletes")?;
                let limit = super::whole(&one, "limit")?.unwrap_or(0);
                let find = find(document(&one, "q")?, &one, limit)?;
                (find, "filter", Some("DELETE"), Vec::new())
            }
            "findAndModify" | "findandmodify" => {
                let top = if flag(command, "remove")? {
                    "DELETE"
                } else {
                    "UPDATE"
                };
                let find = find(document(command, "query")?, command, 1)?;
                (find, "filter", Some(top), Vec::new())
            }
            "insert" => return Err(CommandError::new(20, "Cannot explain cmd: insert")),
            other => {
                let text = format!("Explain failed due to unknown command: {other}");
                return Err(CommandError::new(59, text));
            }
        };
        let first = read.iter().next().transpose()?;
        let verb = first.map_or("find", |(name, _)| name.as_str()).to_owned();
        let parsed = Read::parse(Moment::of(core), view, database, &verb, &read)?;
        let filter = match document(&read, query)? {
            Some(filter) => Document::try_from(filter)?,
            None => Document::new(),
        };
        stages.retain(|stage| !stage.is_empty());
        Ok(Self {
            read: parsed,
            filter,
            top,
            stages,
        })
    }

    fn answer(
        &self,
        view: &View,
        database: &str,
        runs: bool,
        all: bool,
    ) -> Result<Document, CommandError> {
        let found = view.catalog.get(database, &self.read.target);
        let plan = match found {
            Some(collection) => Some(self.read.plan(view, None, collection)?),
            None => None,
        };
        let cost = match (&plan, runs) {
            (Some(plan), true) => Some(self.cost(view, plan)?),
            (None, true) => Some(Cost::default()),
            (_, false) => None,
        };
        let planner = doc! {
            "namespace": format!("{database}.{}", self.read.target),
            "indexFilterSet": false,
            "parsedQuery": self.filter.clone(),
            "maxIndexedOrSolutionsReached": false,
            "maxIndexedAndSolutionsReached": false,
            "maxScansToExplodeReached": false,
            "winningPlan": self.tree(plan.as_ref(), None),
            "rejectedPlans": [],
        };
        let mut answer = doc! { "explainVersion": "1" };
        let stats = cost.map(|cost| {
            let mut stats = doc! {
                "executionSuccess": true,
                "nReturned": number(if self.top == Some("COUNT") { 0 } else { cost.returned }),
                "executionTimeMillis": number(cost.millis),
                "totalKeysExamined": number(cost.keys),
                "totalDocsExamined": number(cost.documents),
                "executionStages": self.tree(plan.as_ref(), Some(&cost)),
            };
            if all {
                stats.insert("allPlansExecution", Bson::Array(Vec::new()));
            }
            stats
        });
        if self.stages.is_empty() {
            answer.insert("queryPlanner", planner);
            if let Some(stats) = stats {
                answer.insert("executionStats", stats);
            }
        } else {
            let mut cursor = doc! { "queryPlanner": planner };
            if let Some(stats) = stats {
                cursor.insert("executionStats", stats);
            }
            let mut stages = vec![doc! { "$cursor": cursor }];
            stages.extend(self.stages.iter().cloned());
            answer.insert("stages", stages);
        }
        Ok(answer)
    }

    fn cost(&self, view: &View, plan: &Plan) -> Result<Cost, CommandError> {
        let (effort, began) = (Effort::default(), Instant::now());
        let read = &self.read;
        let mut cost = Cost::default();
        if matches!(read.kind, Kind::Count) {
            let enough = match query::enough(read.skip, read.limit) {
                0 => usize::MAX,
                enough => enough,
            };
            let matched = match read.known_count(view, &plan.collection)? {
                Some(n) => n.min(enough),
                None => Walk::new(view, None, plan, &read.matcher, &effort).count(enough)?,
            };
            cost.matched = matched as u64;
            cost.returned = cost.matched.saturating_sub(read.skip as u64);
        } else if plan.sorted {
            let mut walk = Walk::new(view, None, plan, &read.matcher, &effort);
            let mut place = Place::default();
            let enough = query::enough(read.skip, read.limit) as u64;
            while (enough == 0 || cost.matched < enough) && walk.next(&mut place)?.is_some() {
                cost.matched += 1;
            }
            cost.returned = cost.matched.saturating_sub(read.skip as u64);
        } else {
            let all = query::found(view, None, plan, &read.matcher, &read.sort, (0, 0), &effort)?;
            cost.matched = all.len() as u64;
            let rest = cost.matched.saturating_sub(read.skip as u64);
            cost.returned = if read.limit > 0 {
                rest.min(read.limit as u64)
            } else {
                rest
            };
        }
        cost.keys = effort.keys.get();
        cost.documents = effort.documents.get();
        cost.millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(cost)
    }

    /// The stages, outermost first.
    fn tree(&self, plan: Option<&Plan>, cost: Option<&Cost>) -> Document {
        let Some(plan) = plan else {
            return stage("EOF", doc! {}, cost, |_| 0, None);
        };
        let read = &self.read;
        let matched = |cost: &Cost| cost.matched;
        let mut tree = self.source(plan, cost);
        if !plan.sorted {
            let pattern: Document = read
                .sort
                .parts()
                .iter()
                .map(|(path, down)| (path.as_str().to_owned(), if *down { -1 } else { 1 }.into()))
                .collect();
            let mut own = doc! {
                "sortPattern": pattern, "memLimit": query::SORT_BYTES_MAX as i32, "type": "simple",
            };
            if read.limit > 0 {
                own.insert(
                    "limitAmount",
                    number(query::enough(read.skip, read.limit) as u64),
                );
            }
            tree = stage("SORT", own, cost, matched, Some(tree));
        }
        if self.top == Some("COUNT") {
            let own = match cost {
                Some(cost) => doc! {
                    "nCounted": number(cost.returned), "nSkipped": number(cost.matched - cost.returned),
                },
                None => doc! {},
            };
            return stage("COUNT", own, cost, |_| 0, Some(tree));
        }
        let after_skip = |cost: &Cost| cost.returned;
        if read.skip > 0 {
            let own = doc! { "skipAmount": number(read.skip as u64) };
            tree = stage("SKIP", own, cost, after_skip, Some(tree));
        }
        if let Kind::Find(find) = &read.kind
            && find.projection.is_some()
        {
            let own = doc! { "transformBy": find.specification.clone() };
            let simple = find
                .specification
                .iter()
                .all(|(name, value)| !name.contains('.') && is_plain(value));
            let name = if simple {
                "PROJECTION_SIMPLE"
            } else {
                "PROJECTION_DEFAULT"
            };
            tree = stage(name, own, cost, after_skip, Some(tree));
        }
        match self.top {
            Some("DELETE") => {
                let own = match cost {
                    Some(cost) => doc! { "nWouldDelete": number(cost.returned) },
                    None => doc! {},
                };
                stage("DELETE", own, cost, after_skip, Some(tree))
            }
            Some(top) => {
                let own = match cost {
                    Some(cost) => doc! { "nMatched": number(cost.returned) },
                    None => doc! {},
                };
                stage(top, own, cost, after_skip, Some(tree))
            }
            None if read.limit > 0 && plan.sorted => {
                let own = doc! { "limitAmount": number(read.limit as u64) };
                stage("LIMIT", own, cost, after_skip, Some(tree))
            }
            None => tree,
        }
    }

    /// Where the documents come from.
    fn source(&self, plan: &Plan, cost: Option<&Cost>) -> Document {
        let matched = |cost: &Cost| cost.matched;
        let keys = |cost: &Cost| cost.keys;
        let direction = if plan.reverse { "backward" } else { "forward" };
        let filter = || {
            if self.filter.is_empty() {
                doc! {}
            } else {
                doc! { "filter": self.filter.clone() }
            }
        };
        let fetched = |own: Document, below: Document| {
            let mut own = own;
            if let Some(cost) = cost {
                own.insert("docsExamined", number(cost.documents));
            }
            stage("FETCH", own, cost, matched, Some(below))
        };
        match &plan.access {
            Access::Nothing => stage("EOF", doc! {}, cost, |_| 0, None),
            Access::Collection => {
                let counted = matches!(self.read.kind, Kind::Count) && self.read.matcher.is_all();
                if counted && let Some(index) = plan.collection.indexes.iter().find(|i| i.is_id()) {
                    return stage("COUNT_SCAN", described(index), cost, matched, None);
                }
                let mut own = filter();
                own.insert("direction", direction);
                if let Some(cost) = cost {
                    own.insert("docsExamined", number(cost.documents));
                }
                stage("COLLSCAN", own, cost, matched, None)
            }
            Access::Index(scan) => {
                let Some(index) = scan.index(&plan.collection) else {
                    return stage("EOF", doc! {}, cost, |_| 0, None);
                };
                let counts = matches!(self.read.kind, Kind::Count);
                if index.is_id() && scan.whole_keys && only_id(&self.read.matcher) && !counts {
                    let own = match cost {
                        Some(cost) => doc! {
                            "keysExamined": number(cost.keys), "docsExamined": number(cost.documents),
                        },
                        None => doc! {},
                    };
                    return stage("IDHACK", own, cost, matched, None);
                }
                let own = scanned(scan, index, plan, cost);
                if counts && scan.exact {
                    return stage("COUNT_SCAN", own, cost, matched, None);
                }
                let below = stage("IXSCAN", own, cost, keys, None);
                let own = if scan.exact {
                    doc! {}
                } else {
                    filter()
                };
                fetched(own, below)
            }
            Access::Either(scans) => {
                let below: Vec<Bson> = scans
                    .iter()
                    .filter_map(|scan| {
                        let index = scan.index(&plan.collection)?;
                        let own = scanned(scan, index, plan, None);
                        let mut below = doc! { "stage": "IXSCAN" };
                        below.extend(own);
                        Some(below.into())
                    })
                    .collect();
                let or = stage("OR", doc! { "inputStages": below }, cost, keys, None);
                fetched(filter(), or)
            }
        }
    }
}

/// What a plan cost.
#[derive(Default)]
struct Cost {
    keys: u64,
    documents: u64,
    matched: u64,
    returned: u64,
    millis: u64,
}

fn number(n: u64) -> Bson {
    match i32::try_from(n) {
        Ok(n) => Bson::Int32(n),
        Err(_) => Bson::Int64(i64::try_from(n).unwrap_or(i64::MAX)),
    }
}

fn is_plain(value: &Bson) -> bool {
    matches!(
        value,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Boolean(_)
    )
}

/// One stage: its name, what it cost, what is its own, what is below.
fn stage(
    name: &str,
    own: Document,
    cost: Option<&Cost>,
    returned: impl Fn(&Cost) -> u64,
    below: Option<Document>,
) -> Document {
    let mut stage = doc! { "stage": name };
    if let Some(cost) = cost {
        let n = returned(cost);
        stage.insert("nReturned", number(n));
        stage.insert("executionTimeMillisEstimate", number(cost.millis));
        stage.insert("works", number(n + 1));
        stage.insert("advanced", number(n));
        stage.insert("isEOF", 1);
    }
    stage.extend(own);
    if let Some(below) = below {
        stage.insert("inputStage", below);
    }
    stage
}

fn described(index: &Index) -> Document {
    let paths: Document = index
        .fields
        .iter()
        .zip(&index.multikey)
        .map(|((path, _), bits)| {
            let names: Vec<&str> = path.as_str().split('.').collect();
            let arrays: Vec<Bson> = (0..names.len().min(32))
                .filter(|depth| bits >> depth & 1 == 1)
                .filter_map(|depth| Some(names.get(..=depth)?.join(".").into()))
                .collect();
            (path.as_str().to_owned(), arrays.into())
        })
        .collect();
    doc! {
        "keyPattern": index.key.clone(), "indexName": &index.name,
        "isMultiKey": index.multikey.iter().any(|bits| *bits != 0), "multiKeyPaths": paths,
        "isUnique": index.unique, "isSparse": index.sparse, "isPartial": index.partial.is_some(),
        "indexVersion": index.version,
    }
}

fn scanned(scan: &Scan, index: &Index, plan: &Plan, cost: Option<&Cost>) -> Document {
    let mut own = described(index);
    own.insert(
        "direction",
        if plan.reverse { "backward" } else { "forward" },
    );
    let mut all = Document::new();
    for (bounds, (path, descending)) in scan.bounds.iter().zip(&index.fields) {
        let backwards = *descending != plan.reverse;
        let mut shown: Vec<String> = bounds
            .intervals
            .iter()
            .map(|interval| interval.shown(backwards))
            .collect();
        if backwards {
            shown.reverse();
        }
        all.insert(path.as_str(), shown);
    }
    own.insert("indexBounds", all);
    if let Some(cost) = cost {
        own.insert("keysExamined", number(cost.keys));
    }
    own
}
