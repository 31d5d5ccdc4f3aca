//! The decisions of one request with the function calls they need.

use std::sync::{Arc, Mutex, PoisonError};

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument, RawDocumentBuf};
use kit::Problem;
use mql::Projection;
use mql::schema::Options;
use rules::{Change, Decided, Decider, Merged, Metrics, Narrowed, Readable, Writable, Write};

use super::explain::{Decision, PushedDown, Record};
use super::failure::{language, malformed, mixed, not_permitted, not_valid};
use super::{Calls, CollectionRules, UserAccess, marker};

/// Decides for one user on one collection.
pub(super) struct Guard<'a> {
    decider: Decider<'a>,
    user: &'a UserAccess,
    rules: &'a CollectionRules,
    /// Where decisions are written down for an explanation.
    record: Option<&'a Record>,
    /// Where the decisions are counted in the end.
    metrics: Arc<Mutex<Metrics>>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let metrics = self.metrics.lock();
        let mut metrics = metrics.unwrap_or_else(PoisonError::into_inner);
        metrics.add(self.decider.metrics());
    }
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        user: &'a UserAccess,
        rules: &'a CollectionRules,
        metrics: Arc<Mutex<Metrics>>,
    ) -> Self {
        Self {
            decider: Decider::new(&rules.rules, user.expansions.as_ref()),
            user,
            rules,
            record: None,
            metrics,
        }
    }

    /// The same guard, which writes down what it decides.
    pub(super) fn recorded(mut self, record: Option<&'a Record>) -> Self {
        if record.is_some() {
            self.decider.trace();
        }
        self.record = record;
        self
    }

    /// Asks until no function call is missing.
    pub(super) async fn ask<T>(
        &mut self,
        decide: impl Fn(&mut Decider<'a>) -> Decided<T>,
    ) -> Result<T, Problem> {
        loop {
            let needed = match decide(&mut self.decider) {
                Ok(decision) => return Ok(decision),
                Err(needed) => needed,
            };
            // It is asked again from the start.
            self.decider.asked();
            let calls: &dyn Calls = self.user.calls.as_ref();
            let result = calls
                .call(needed.function.clone(), needed.arguments.clone())
                .await?;
            self.decider.answer(*needed, result);
        }
    }

    pub(super) async fn filters(&mut self) -> Result<Merged, Problem> {
        let merged = self
            .ask(|decider| decider.filters())
            .await?
            .map_err(mixed)?;
        if let Some(record) = self.record {
            record.filters(self.decider.asked(), &merged.queries);
        }
        Ok(merged)
    }

    pub(super) fn search(&mut self) {
        self.decider.search();
    }

    /// What a query can say of the decision; nothing of one that has to be
    /// explained for each document.
    pub(super) fn narrowed(&self) -> Narrowed {
        let narrowed = self.decider.narrowed();
        let Some(record) = self.record else {
            return narrowed;
        };
        record.pushed_down(PushedDown {
            query: narrowed.query,
            exact: narrowed.exact,
        });
        Narrowed {
            query: None,
            exact: false,
            role: None,
            nothing: false,
        }
    }

    /// A query for documents that may be changed in every way. A schema has a
    /// say in what they are changed to.
    pub(super) fn writable(&self, change: Change) -> Option<Writable> {
        if change == Change::Update && self.rules.schema.is_some() || self.record.is_some() {
            return None;
        }
        self.decider.writable(change)
    }

    /// Whether this caller sees every document, and all of it.
    pub(super) fn shows_everything(&self) -> bool {
        let narrowed = self.decider.narrowed();
        narrowed.exact && narrowed.query.is_none()
    }

    /// Whether there may be documents of which this caller sees something at a
    /// path.
    pub(super) fn may_show(&self, path: &str) -> bool {
        self.decider.may_show(path)
    }

    /// Whether no document is visible, whatever is in it.
    pub(super) fn shows_nothing(&self) -> bool {
        self.decider.narrowed().nothing
    }

    /// Whether requests go by nothing but what their caller sees.
    pub(super) fn protects(&self) -> bool {
        self.user.rules.settings.protect_hidden_fields
    }

    pub(super) async fn read(&mut self, document: &RawDocument) -> Result<Readable, Problem> {
        let readable = self.ask(|decider| decider.read(document)).await?;
        if let Some(record) = self.record {
            let asked = self.decider.asked();
            record.decision(Decision::of_read(
                document,
                &readable,
                &self.rules.rules,
                asked,
            ));
        }
        Ok(readable)
    }

    /// What is left of a document that may be read.
    pub(super) async fn visible(
        &mut self,
        document: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, Problem> {
        Ok(match self.read(document).await? {
            Readable::Hidden => None,
            Readable::Whole => Some(marker::without(document).into_owned()),
            Readable::Masked(masked) => Some(marker::owned(masked)),
        })
    }

    /// What is shown of it: the filters' projection hides, too.
    pub(super) async fn shown(
        &mut self,
        document: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, Problem> {
        let Some(visible) = self.visible(document).await? else {
            return Ok(None);
        };
        let Some(projection) = self.filters().await?.projection else {
            return Ok(Some(visible));
        };
        let projection = RawDocumentBuf::try_from(&projection).map_err(malformed)?;
        let projection = Projection::parse(&projection).map_err(language)?;
        projection.apply(&visible, None).map(Some).map_err(language)
    }

    /// Refuses a write that the role or the schema does not allow; `verb` is
    /// the word that the caller sees.
    pub(super) async fn check(&mut self, write: Write<'_>, verb: &str) -> Result<(), Problem> {
        // Of two fields with one name rules see the first, and who reads the
        // document in another language may see the last.
        if let Write::Insert(after) | Write::Update(_, after) = write
            && let Some(name) = repeated(after)?
        {
            return Err(not_permitted(
                verb,
                format!("the document has two fields '{name}'"),
            ));
        }
        if let Write::Delete(document) = write
            && self.protects()
            && !self.shows(document, &[]).await?
        {
            let reason = "a role that hides fields deletes nothing under protect_hidden_fields";
            return Err(not_permitted(verb, reason));
        }
        let decided = self.ask(|decider| decider.write(write)).await?;
        if let Some(record) = self.record {
            let asked = self.decider.asked();
            record.decision(Decision::of_write(
                write,
                &decided,
                &self.rules.rules,
                asked,
            ));
        }
        if let Err(refusal) = decided {
            let role = refusal
                .role
                .map_or_else(|| "no role".to_owned(), |role| format!("role '{role}'"));
            return Err(not_permitted(verb, format!("{role}: {}", refusal.reason)));
        }
        let (before, after) = match write {
            Write::Insert(after) => (None, after),
            Write::Update(before, after) => (Some(before), after),
            Write::Delete(_) => return Ok(()),
        };
        let Some(schema) = &self.rules.schema else {
            return Ok(());
        };
        let options = Options {
            null_for_optional: self.user.null_for_optional,
        };
        let breaches = self
            .ask(|decider| schema.breaches(after, &decider.scope(Some(after), before), options))
            .await?;
        if let Some(record) = self.record {
            record.breaches(&breaches, self.decider.asked());
        }
        if breaches.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = breaches
            .iter()
            .map(|breach| {
                let path = breach.path.strip_prefix("(root).");
                let path = path.unwrap_or(&breach.path);
                format!("\n\t{path}: {}", breach.message)
            })
            .collect();
        Err(not_valid(
            verb,
            format!("could not validate document: {}", reasons.concat()),
        ))
    }
}

/// A name that a document, or one inside of it, has twice.
pub(super) fn repeated(document: &RawDocument) -> Result<Option<&str>, Problem> {
    /// Up to here comparing all pairs is faster than sorting.
    const FEW: usize = 12;
    let mut names = Vec::new();
    let inside = |value| match value {
        RawBsonRef::Document(inner) => repeated(inner),
        RawBsonRef::Array(inner) => repeated_in(inner),
        _ => Ok(None),
    };
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        names.push(name.as_str());
        if let Some(found) = inside(value)? {
            return Ok(Some(found));
        }
    }
    if names.len() <= FEW {
        let twice = |at: &usize| names[..*at].contains(&names[*at]);
        return Ok((0..names.len()).find(twice).map(|at| names[at]));
    }
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    Ok(twice.map(|pair| pair[0]))
}

pub(super) fn repeated_in(array: &RawArray) -> Result<Option<&str>, Problem> {
    for value in array {
        let found = match value.map_err(malformed)? {
            RawBsonRef::Document(inner) => repeated(inner)?,
            RawBsonRef::Array(inner) => repeated_in(inner)?,
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
