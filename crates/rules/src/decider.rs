//! The decisions of one request: which role, what may be read, what may be
//! written (rules-schemas.md §3–§5).

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};
use kit::limit::NESTING_DEPTH_MAX;

use crate::filter::{Merged, merge};
use crate::metrics::{Counts, Metrics};
use crate::narrow::{Narrowed, may_show, narrow};
use crate::role::{FieldRule, Fields, Permission, Role, RuleSet};
use crate::scope::{Answers, Decided, Expansions, Needed, Scope};
use crate::trace::{Asked, Trace};
use crate::writable::{Change, Writable, writable};
use crate::write::denied;

/// Decides for one request under one rule set.
pub struct Decider<'a> {
    rules: &'a RuleSet,
    request: &'a dyn Expansions,
    answers: Answers,
    /// `apply_when` of roles that do not look at documents, once known.
    applies: Vec<Option<bool>>,
    trace: Option<Trace>,
    /// Whether `$search` reads, which has a permission of its own.
    searching: bool,
    metrics: Metrics,
    /// The `_id` of the document that was counted last: more decisions about it
    /// do not count it again.
    counted: Option<RawBson>,
}

/// What a caller may see of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Readable {
    /// Nothing: it does not exist for this caller.
    Hidden,
    /// All of it.
    Whole,
    /// These fields of it, at least one.
    Masked(RawDocumentBuf),
}

/// A write of one document.
#[derive(Debug, Clone, Copy)]
pub enum Write<'a> {
    /// A new document, with its `_id`.
    Insert(&'a RawDocument),
    /// The images before and after.
    Update(&'a RawDocument, &'a RawDocument),
    /// The stored document.
    Delete(&'a RawDocument),
}

/// Why a write is refused; for the log, not for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The role that decided; none matched when absent.
    pub role: Option<String>,
    /// What it said.
    pub reason: String,
}

impl<'a> Decider<'a> {
    /// Decides under `rules` for a request.
    pub fn new(rules: &'a RuleSet, request: &'a dyn Expansions) -> Self {
        Self {
            rules,
            request,
            answers: Answers::default(),
            applies: vec![None; rules.roles.len()],
            trace: None,
            searching: false,
            metrics: Metrics::default(),
            counted: None,
        }
    }

    /// From now on reads are those of a `$search`.
    pub fn search(&mut self) {
        self.searching = true;
    }

    /// What was decided so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on each decision can say how it came about.
    pub fn trace(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// What was asked since the last time; nothing unless [`Self::trace`].
    pub fn asked(&self) -> Vec<Asked> {
        self.trace.as_ref().map(Trace::take).unwrap_or_default()
    }

    /// Keeps the result of a call that a decision needed.
    pub fn answer(&mut self, call: Needed, result: Option<RawBson>) {
        self.answers.insert(call, result);
    }

    /// The filters in force; the inner error is the text for the caller.
    pub fn filters(&self) -> Decided<Result<Merged, String>> {
        merge(
            &self.rules.filters,
            &Scope::request(self.request, &self.answers).tracing(self.trace.as_ref()),
        )
    }

    /// What of the read decision a query can say.
    pub fn narrowed(&self) -> Narrowed {
        let scope = Scope::request(self.request, &self.answers);
        narrow(self.rules, self.searching, &scope)
    }

    /// A query that only documents match which may be changed in every way;
    /// `None` when none can be told.
    pub fn writable(&self, change: Change) -> Option<Writable> {
        let scope = Scope::request(self.request, &self.answers);
        writable(self.rules, change, &scope)
    }

    /// Whether there may be documents of which a field is shown.
    pub fn may_show(&self, field: &str) -> bool {
        let scope = Scope::request(self.request, &self.answers);
        may_show(self.rules, field, &scope)
    }

    /// The scope of a pair of images, for schemas and other expressions of the
    /// same request.
    pub fn scope<'s>(
        &'s self,
        root: Option<&'s RawDocument>,
        prev: Option<&'s RawDocument>,
    ) -> Scope<'s> {
        Scope::request(self.request, &self.answers)
            .tracing(self.trace.as_ref())
            .images(root, prev)
    }

    /// What may be read of a stored document.
    pub fn read(&mut self, document: &RawDocument) -> Decided<Readable> {
        let chosen = self.role(Some(document), Some(document))?;
        let counts = Counts::default();
        let readable = match chosen {
            None => Readable::Hidden,
            Some((_, role)) => {
                let scope = self.scope(Some(document), Some(document));
                read(role, self.searching, document, &scope.counting(&counts))?
            }
        };
        self.count(chosen.map(|(index, _)| index), document, &counts);
        Ok(readable)
    }

    /// Whether a write is allowed; the inner error says why not.
    pub fn write(&mut self, write: Write<'_>) -> Decided<Result<(), Refusal>> {
        let (before, after) = match write {
            Write::Insert(document) => (None, Some(document)),
            Write::Update(before, after) => (Some(before), Some(after)),
            Write::Delete(document) => (Some(document), Some(document)),
        };
        // The role is chosen by the image before the write.
        let (chosen, decisive) = match write {
            Write::Insert(document) => (self.role(Some(document), None)?, document),
            Write::Update(before, _) | Write::Delete(before) => {
                (self.role(Some(before), Some(before))?, before)
            }
        };
        let counts = Counts::default();
        let Some((index, role)) = chosen else {
            self.count(None, decisive, &counts);
            return Ok(Err(Refusal {
                role: None,
                reason: "no role applies to the document".to_owned(),
            }));
        };
        let refused = denied(role, write, &self.scope(after, before).counting(&counts))?;
        self.count(Some(index), decisive, &counts);
        Ok(match refused {
            None => Ok(()),
            Some(reason) => Err(Refusal {
                role: Some(role.name.clone()),
                reason,
            }),
        })
    }

    /// Counts a decision that was made.
    fn count(&mut self, role: Option<usize>, document: &RawDocument, counts: &Counts) {
        let id = document.get("_id").ok().flatten();
        let known = id.is_some() && id == self.counted.as_ref().map(RawBson::as_raw_bson_ref);
        if !known {
            self.counted = id.map(RawBson::from);
        }
        match role {
            None => self.metrics.no_matching_role += u64::from(!known),
            Some(role) => {
                let of = self.metrics.of(role);
                of.matching_documents += u64::from(!known);
                of.evaluated_fields += counts.evaluated();
                of.discarded_fields += counts.discarded();
            }
        }
    }

    /// The first role that applies, and its place.
    fn role(
        &mut self,
        root: Option<&RawDocument>,
        prev: Option<&RawDocument>,
    ) -> Decided<Option<(usize, &'a Role)>> {
        let rules: &'a RuleSet = self.rules;
        let scope = Scope::request(self.request, &self.answers)
            .tracing(self.trace.as_ref())
            .images(root, prev);
        for ((index, role), known) in rules.roles.iter().enumerate().zip(&mut self.applies) {
            let applies = if let Some(applies) = known {
                *applies
            } else {
                let applies = role.apply_when.holds(&scope)?;
                // An explanation tells of every role for every document.
                if !role.apply_when.depends_on_documents() && self.trace.is_none() {
                    *known = Some(applies);
                }
                applies
            };
            if applies {
                return Ok(Some((index, role)));
            }
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Decider<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decider")
            .field("rules", &self.rules)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

/// True, false or absent.
pub(crate) fn ask(permission: &Permission, scope: &Scope<'_>) -> Decided<Option<bool>> {
    permission
        .as_ref()
        .map(|expression| expression.holds(scope))
        .transpose()
}

fn read(
    role: &Role,
    searching: bool,
    document: &RawDocument,
    scope: &Scope<'_>,
) -> Decided<Readable> {
    if searching && ask(&role.search, scope)? == Some(false) {
        return Ok(Readable::Hidden);
    }
    if let Some(filters) = &role.document_filters
        && ask(&filters.read, scope)? == Some(false)
        // Only a `write` that is there and true rescues the read.
        && ask(&filters.write, scope)? != Some(true)
    {
        return Ok(Readable::Hidden);
    }
    let read = ask(&role.read, scope)?;
    if read == Some(true) || ask(&role.write, scope)? == Some(true) {
        return Ok(Readable::Whole);
    }
    if read == Some(false) {
        return Ok(Readable::Hidden);
    }
    Ok(match mask(&role.fields, document, scope)? {
        Some(masked) => Readable::Masked(masked),
        None => Readable::Hidden,
    })
}

/// The readable fields; `None` when there are none.
fn mask(
    fields: &Fields,
    document: &RawDocument,
    scope: &Scope<'_>,
) -> Decided<Option<RawDocumentBuf>> {
    if fields.named.is_empty()
        && fields.additional_read.is_none()
        && fields.additional_write.is_none()
    {
        return Ok(None);
    }
    let mut out = RawDocumentBuf::new();
    for (name, value) in document.iter().flatten() {
        scope.evaluate();
        let inner = scope.at(Some(value), Some(value));
        match fields
            .named
            .iter()
            .find(|(named, _)| named == name.as_str())
        {
            Some((_, rule)) => match kept(rule, value, &inner, 0)? {
                Some(kept) => kept.append_to(name, &mut out),
                None => scope.discard(),
            },
            None => {
                if ask(&fields.additional_read, &inner)? == Some(true)
                    || ask(&fields.additional_write, &inner)? == Some(true)
                {
                    out.append(name, value);
                } else {
                    scope.discard();
                }
            }
        }
    }
    Ok((!out.is_empty()).then_some(out))
}

/// What is left of a field's value.
enum Kept<'a> {
    All(RawBsonRef<'a>),
    Part(RawBson),
}

impl Kept<'_> {
    fn append_to(self, name: &bson::raw::CStr, out: &mut RawDocumentBuf) {
        match self {
            Self::All(value) => out.append(name, value),
            Self::Part(value) => out.append(name, value),
        }
    }
}

fn kept<'v>(
    rule: &FieldRule,
    value: RawBsonRef<'v>,
    scope: &Scope<'_>,
    depth: usize,
) -> Decided<Option<Kept<'v>>> {
    let read = ask(&rule.read, scope)?;
    if read == Some(true) || ask(&rule.write, scope)? == Some(true) {
        return Ok(Some(Kept::All(value)));
    }
    if read == Some(false) || rule.fields.is_empty() || depth > NESTING_DEPTH_MAX {
        return Ok(None);
    }
    children(&rule.fields, value, scope, depth).map(|kept| kept.map(Kept::Part))
}

/// The readable part of a document or of an array of documents.
fn children(
    rules: &[(String, FieldRule)],
    value: RawBsonRef<'_>,
    scope: &Scope<'_>,
    depth: usize,
) -> Decided<Option<RawBson>> {
    match value {
        RawBsonRef::Document(document) => {
            let mut out = RawDocumentBuf::new();
            for (name, value) in document.iter().flatten() {
                scope.evaluate();
                let inner = scope.at(Some(value), Some(value));
                let rule = rules.iter().find(|(named, _)| named == name.as_str());
                let kept = match rule {
                    Some((_, rule)) => kept(rule, value, &inner, depth + 1)?,
                    None => None,
                };
                match kept {
                    Some(kept) => kept.append_to(name, &mut out),
                    None => scope.discard(),
                }
            }
            Ok((!out.is_empty()).then_some(RawBson::Document(out)))
        }
        RawBsonRef::Array(array) if depth <= NESTING_DEPTH_MAX => {
            let mut out = RawArrayBuf::new();
            for element in array.into_iter().flatten() {
                if let Some(kept) = children(rules, element, scope, depth + 1)? {
                    out.push(kept);
                }
            }
            Ok((!out.is_empty()).then_some(RawBson::Array(out)))
        }
        _ => Ok(None),
    }
}
