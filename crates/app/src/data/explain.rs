//! Why a request was allowed or refused: the request itself, run for a user
//! with every decision written down, and without effect.
//!
//! The service had nothing like it.

use std::sync::{Mutex, PoisonError};

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::{Collection, Session};
use kit::Problem;
use rules::{Asked, Breach, Readable, Refusal, RuleSet, Write};

use super::arguments::Arguments;
use super::failure::{NO_RULE, malformed};
use super::read::{Cursor, all_of, documents};
use super::transaction::without_transactions;
use super::{Access, Data, Door, Namespace, RuleSettings};

/// Most documents that an explanation looks at.
pub const DOCUMENTS_MAX: usize = 100;

/// Actions that leave everything as it is.
pub(crate) const READS: [&str; 5] = ["find", "findOne", "count", "distinct", "aggregate"];

/// What a request came to under the rules, and why.
#[derive(Debug)]
pub struct Explanation {
    /// Where.
    pub namespace: Namespace,
    /// What the data source sets of its rules.
    pub settings: RuleSettings,
    /// The filters of the rules, in order.
    pub filters: Vec<FilterAsked>,
    /// What the filters in force add to the query.
    pub filter_queries: Vec<RawDocumentBuf>,
    /// `_id` of documents that the caller's query matches and the filters do
    /// not, at most [`DOCUMENTS_MAX`].
    pub filtered_out: Vec<RawBson>,
    /// What of the rules the engine is asked in the query; of reads only.
    pub pushed_down: Option<PushedDown>,
    /// The decisions about documents, in order, at most [`DOCUMENTS_MAX`].
    pub decisions: Vec<Decision>,
    /// The answer that the caller gets; writes are taken back.
    pub result: Result<RawBson, Problem>,
}

impl Explanation {
    fn without_rules(namespace: Namespace, settings: RuleSettings, problem: Problem) -> Self {
        Self {
            namespace,
            settings,
            filters: Vec::new(),
            filter_queries: Vec::new(),
            filtered_out: Vec::new(),
            pushed_down: None,
            decisions: Vec::new(),
            result: Err(problem),
        }
    }
}

/// One filter of the rules.
#[derive(Debug)]
pub struct FilterAsked {
    /// Its name.
    pub name: String,
    /// Whether it is in force.
    pub applies: bool,
    /// Why.
    pub asked: Vec<Asked>,
}

/// The part of a read decision that a query says.
#[derive(Debug)]
pub struct PushedDown {
    /// The query; `None` matches everything.
    pub query: Option<RawDocumentBuf>,
    /// Whether the query says it all.
    pub exact: bool,
}

/// One decision about one document.
#[derive(Debug)]
pub struct Decision {
    /// `read`, `insert`, `update` or `delete`.
    pub operation: &'static str,
    /// The document's `_id`.
    pub id: Option<RawBson>,
    /// The first role that applies.
    pub role: Option<String>,
    /// Whether the document may be read or written.
    pub allowed: bool,
    /// Paths of fields that are kept back from a reader.
    pub hidden_fields: Vec<String>,
    /// Why a write is refused.
    pub reason: Option<String>,
    /// What the schema has against the document.
    pub breaches: Vec<Breach>,
    /// The expressions that were asked.
    pub asked: Vec<Asked>,
}

/// Where the guards of a request write down what they decide.
#[derive(Debug, Default)]
pub(super) struct Record {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    filters: Option<(Vec<Asked>, Vec<RawDocumentBuf>)>,
    pushed_down: Option<PushedDown>,
    decisions: Vec<Decision>,
}

impl Record {
    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn filters(&self, asked: Vec<Asked>, queries: &[RawDocumentBuf]) {
        self.with(|kept| kept.filters = Some((asked, queries.to_vec())));
    }

    pub(super) fn pushed_down(&self, pushed_down: PushedDown) {
        self.with(|kept| kept.pushed_down = Some(pushed_down));
    }

    pub(super) fn decision(&self, decision: Decision) {
        self.with(|kept| {
            if kept.decisions.len() < DOCUMENTS_MAX {
                kept.decisions.push(decision);
            }
        });
    }

    /// The schema's part of the decision that was just made.
    pub(super) fn breaches(&self, breaches: &[Breach], asked: Vec<Asked>) {
        self.with(|kept| {
            if let Some(last) = kept.decisions.last_mut() {
                last.allowed &= breaches.is_empty();
                last.breaches = breaches.to_vec();
                last.asked.extend(asked);
            }
        });
    }
}

impl Decision {
    pub(super) fn of_write(
        write: Write<'_>,
        decided: &Result<(), Refusal>,
        rules: &RuleSet,
        asked: Vec<Asked>,
    ) -> Self {
        let (operation, document) = match write {
            Write::Insert(document) => ("insert", document),
            Write::Update(before, _) => ("update", before),
            Write::Delete(document) => ("delete", document),
        };
        let mut decision = Self::of(operation, document, rules, asked);
        decision.allowed = decided.is_ok();
        decision.reason = decided.as_ref().err().map(|refusal| refusal.reason.clone());
        decision
    }

    fn of(
        operation: &'static str,
        document: &RawDocument,
        rules: &RuleSet,
        asked: Vec<Asked>,
    ) -> Self {
        Self {
            operation,
            id: document.get("_id").ok().flatten().map(RawBson::from),
            role: applied(&asked, rules),
            allowed: false,
            hidden_fields: Vec::new(),
            reason: None,
            breaches: Vec::new(),
            asked,
        }
    }

    pub(super) fn of_read(
        document: &RawDocument,
        readable: &Readable,
        rules: &RuleSet,
        asked: Vec<Asked>,
    ) -> Self {
        let mut decision = Self::of("read", document, rules, asked);
        decision.allowed = *readable != Readable::Hidden;
        if let Readable::Masked(shown) = readable {
            missing(document, shown, "", &mut decision.hidden_fields);
        }
        decision
    }
}

/// The role whose `apply_when` held.
fn applied(asked: &[Asked], rules: &RuleSet) -> Option<String> {
    let role = asked.iter().filter(|asked| asked.holds).find_map(|asked| {
        let rest = asked.path.strip_prefix("roles[")?;
        let (index, rest) = rest.split_once(']')?;
        (rest == ".apply_when").then(|| rules.roles.get(index.parse::<usize>().ok()?))?
    })?;
    Some(role.name.clone())
}

/// The paths of `document` that `shown` has not.
fn missing(document: &RawDocument, shown: &RawDocument, prefix: &str, out: &mut Vec<String>) {
    for (name, value) in document.iter().flatten() {
        let path = format!("{prefix}{name}");
        match (value, shown.get(name.as_str()).ok().flatten()) {
            (_, None) => out.push(path),
            (RawBsonRef::Document(value), Some(RawBsonRef::Document(shown))) => {
                missing(value, shown, &format!("{path}."), out);
            }
            (value, Some(shown)) if value != shown => out.push(format!("{path}.…")),
            _ => {}
        }
    }
}

impl Data {
    /// Runs an action as [`Data::run`] does, without effect on data, and tells
    /// how its decisions came about. Functions that rules call are called, and
    /// what they do is done. Reads look at most at [`DOCUMENTS_MAX`] documents,
    /// updates and deletes change no more.
    ///
    /// # Errors
    /// What is no decision: malformed arguments, deployments without
    /// transactions for writes. What the request itself ends with is part of
    /// the explanation.
    pub async fn explain(
        &self,
        access: &Access,
        action: &str,
        arguments: &RawDocument,
    ) -> Result<Explanation, Problem> {
        let Access::User(user) = access else {
            return Err(Problem::bad_request(
                "the system is under no rules: name a user",
            ));
        };
        let settings = user.rules.settings.clone();
        let arguments = Arguments::new(arguments)?;
        let record = Record::default();
        let session = (!READS.contains(&action)).then(Session::start);
        if session.is_some() && !self.engine.capabilities().transactions {
            return Err(without_transactions());
        }
        let mut door = match self.door(access, &arguments, session.as_ref()) {
            Ok(door) => door,
            Err(problem) if problem.code == NO_RULE => {
                return Ok(Explanation::without_rules(
                    arguments.namespace(None)?,
                    settings,
                    problem,
                ));
            }
            Err(problem) => return Err(problem),
        };
        door.record = Some(&record);
        let result = door.run(action, &arguments).await;
        if let Some(session) = session {
            door.abort(session).await;
        }
        let kept = record.with(std::mem::take);
        let (asked, filter_queries) = kept.filters.unwrap_or_default();
        let filtered_out = match action {
            // Its operations have queries of their own.
            "bulkWrite" => Vec::new(),
            _ => door.filtered_out(&filter_queries, &arguments).await?,
        };
        Ok(Explanation {
            settings,
            filters: door.filters_asked(&asked),
            namespace: door.namespace,
            filter_queries,
            filtered_out,
            pushed_down: kept.pushed_down,
            decisions: kept.decisions,
            result,
        })
    }
}

impl Door<'_> {
    fn filters_asked(&self, asked: &[Asked]) -> Vec<FilterAsked> {
        let filters = self
            .rules
            .iter()
            .flat_map(|(_, rules)| &rules.rules.filters);
        let of = |index: usize| {
            let prefix = format!("filters[{index}].");
            let of_filter = asked.iter().filter(move |a| a.path.starts_with(&prefix));
            of_filter.cloned().collect::<Vec<_>>()
        };
        let filters = filters.enumerate().map(|(index, filter)| {
            let asked = of(index);
            FilterAsked {
                name: filter.name.clone(),
                applies: asked.first().is_some_and(|asked| asked.holds),
                asked,
            }
        });
        filters.collect()
    }

    async fn filtered_out(
        &self,
        filters: &[RawDocumentBuf],
        arguments: &Arguments<'_>,
    ) -> Result<Vec<RawBson>, Problem> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let mut neither = RawArrayBuf::new();
        neither.push(all_of(filters.iter().map(AsRef::as_ref)));
        let outside = rawdoc! { "$nor": neither };
        let mut command = rawdoc! { "find": self.namespace.collection.as_str() };
        let query = all_of([outside.as_ref(), arguments.query()?]);
        command.append(cstr!("filter"), query);
        command.append(cstr!("projection"), rawdoc! { "_id": 1 });
        command.append(cstr!("limit"), DOCUMENTS_MAX as i64);
        let mut ids = Vec::new();
        // The session is over.
        let collection = Collection::new(
            self.engine,
            &self.namespace.database,
            &self.namespace.collection,
        );
        let mut cursor = Cursor::open(&collection, command);
        while let Some(reply) = cursor.next().await? {
            for document in documents(&reply)? {
                ids.extend(document?.get("_id").map_err(malformed)?.map(RawBson::from));
            }
        }
        Ok(ids)
    }
}
