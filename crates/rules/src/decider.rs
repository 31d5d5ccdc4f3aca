//! The decisions of one request: which role, what may be read, what may be
//! written (rules-schemas.md §3–§5).

use bson::raw::RawBsonRef;
use bson::spec::ElementType;
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

    /// Whether there may be documents of which something at a dotted path is
    /// shown.
    pub fn may_show(&self, path: &str) -> bool {
        let scope = Scope::request(self.request, &self.answers);
        let path: Vec<&str> = path.split('.').collect();
        may_show(self.rules, &path, &scope)
    }

    /// Whether everything that is, or could be, at a path of a stored document is
    /// shown; the empty path is the document. It goes by the rules and by what is
    /// shown, never by what is there besides.
    pub fn shows(&mut self, document: &RawDocument, path: &[&str]) -> Decided<bool> {
        let Some((_, role)) = self.role(Some(document), Some(document))? else {
            return Ok(false);
        };
        let scope = self.scope(Some(document), Some(document));
        Ok(match level(role, self.searching, &scope)? {
            Level::Hidden => false,
            Level::Whole => true,
            Level::Fields => shows(&role.fields, document, path, &scope)?,
        })
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

/// What of a document is to be asked about.
enum Level {
    /// Nothing: it is hidden.
    Hidden,
    /// Nothing: it is shown.
    Whole,
    /// Its fields.
    Fields,
}

fn level(role: &Role, searching: bool, scope: &Scope<'_>) -> Decided<Level> {
    if searching && ask(&role.search, scope)? == Some(false) {
        return Ok(Level::Hidden);
    }
    if let Some(filters) = &role.document_filters
        && ask(&filters.read, scope)? == Some(false)
        // Only a `write` that is there and true rescues the read.
        && ask(&filters.write, scope)? != Some(true)
    {
        return Ok(Level::Hidden);
    }
    let read = ask(&role.read, scope)?;
    if read == Some(true) || ask(&role.write, scope)? == Some(true) {
        return Ok(Level::Whole);
    }
    Ok(match read {
        Some(_) => Level::Hidden,
        None => Level::Fields,
    })
}

fn read(
    role: &Role,
    searching: bool,
    document: &RawDocument,
    scope: &Scope<'_>,
) -> Decided<Readable> {
    Ok(match level(role, searching, scope)? {
        Level::Hidden => Readable::Hidden,
        Level::Whole => Readable::Whole,
        Level::Fields => match mask(&role.fields, document, scope)? {
            Some(masked) => Readable::Masked(masked),
            None => Readable::Hidden,
        },
    })
}

/// Of two permissions that show, whether one does.
fn granted(read: &Permission, write: &Permission, scope: &Scope<'_>) -> Decided<bool> {
    Ok(ask(read, scope)? == Some(true) || ask(write, scope)? == Some(true))
}

fn shows(
    fields: &Fields,
    document: &RawDocument,
    path: &[&str],
    scope: &Scope<'_>,
) -> Decided<bool> {
    let value = |name: &str| document.get(name).ok().flatten();
    let others = |scope: &Scope<'_>| {
        let (read, write) = (&fields.additional_read, &fields.additional_write);
        granted(read, write, scope)
    };
    let Some((name, rest)) = path.split_first() else {
        for (name, rule) in &fields.named {
            let scope = scope.at(value(name), value(name));
            if !granted(&rule.read, &rule.write, &scope)? {
                return Ok(false);
            }
        }
        return others(&scope.at(None, None));
    };
    let value = value(name);
    let scope = scope.at(value, value);
    match fields.named.iter().find(|(named, _)| named == name) {
        Some((_, rule)) => shows_inside(rule, value, rest, &scope),
        None => others(&scope),
    }
}

/// The same below a field. What is not shown as a document, or moves up because
/// others of its array are kept back, is not told from what is not there.
fn shows_inside(
    rule: &FieldRule,
    value: Option<RawBsonRef<'_>>,
    path: &[&str],
    scope: &Scope<'_>,
) -> Decided<bool> {
    if granted(&rule.read, &rule.write, scope)? {
        return Ok(true);
    }
    let (Some((name, rest)), Some(RawBsonRef::Document(document))) = (path.split_first(), value)
    else {
        return Ok(false);
    };
    let inner = rule.fields.iter().find(|(named, _)| named == name);
    let Some((_, inner)) = inner.filter(|_| rule.read.is_none()) else {
        return Ok(false);
    };
    if children(&rule.fields, RawBsonRef::Document(document), scope, 0)?.is_none() {
        return Ok(false);
    }
    let value = document.get(name).ok().flatten();
    shows_inside(inner, value, rest, &scope.at(value, value))
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
    selected(document, scope, |name, value, inner| {
        if let Some((_, rule)) = fields.named.iter().find(|(named, _)| named == name) {
            return kept(rule, value, inner, 0);
        }
        let shown = ask(&fields.additional_read, inner)? == Some(true)
            || ask(&fields.additional_write, inner)? == Some(true);
        Ok(shown.then_some(Kept::All))
    })
}

/// A document's fields as far as they are kept; `None` when none is.
fn selected(
    document: &RawDocument,
    scope: &Scope<'_>,
    mut keep: impl FnMut(&str, RawBsonRef<'_>, &Scope<'_>) -> Decided<Option<Kept>>,
) -> Decided<Option<RawDocumentBuf>> {
    let all = document.as_bytes();
    let mut selection = Selection::within(all.len());
    let mut end = LENGTH_BYTES;
    for element in document.iter_elements().flatten() {
        let start = end;
        // The type and the end of the name have a byte each.
        end += 2 + element.key().as_str().len() + element.size();
        let Ok(value) = element.value() else {
            continue;
        };
        scope.evaluate();
        let name = element.key().as_str();
        match keep(name, value, &scope.at(Some(value), Some(value)))? {
            Some(Kept::All) => selection.copy(all.get(start..end).unwrap_or_default()),
            Some(Kept::Document(part)) => {
                selection.append(ElementType::EmbeddedDocument, name, part.as_bytes());
            }
            Some(Kept::Array(part)) => selection.append(ElementType::Array, name, part.as_bytes()),
            None => scope.discard(),
        }
    }
    Ok(selection.finish())
}

/// A document in the making, of another's elements as they stand: they are not
/// read and written again one by one.
struct Selection {
    bytes: Vec<u8>,
}

/// The length that a document begins with.
const LENGTH_BYTES: usize = 4;

impl Selection {
    /// An empty one, which may become as long as `length`.
    fn within(length: usize) -> Self {
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        Self { bytes }
    }

    fn copy(&mut self, element: &[u8]) {
        self.bytes.extend_from_slice(element);
    }

    fn append(&mut self, kind: ElementType, name: &str, value: &[u8]) {
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.bytes.extend_from_slice(value);
    }

    /// The document; `None` when it is empty.
    fn finish(mut self) -> Option<RawDocumentBuf> {
        if self.bytes.len() == LENGTH_BYTES {
            return None;
        }
        self.bytes.push(0);
        let length = i32::try_from(self.bytes.len()).ok()?;
        self.bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        RawDocumentBuf::from_bytes(self.bytes).ok()
    }
}

/// What is left of a field's value.
enum Kept {
    /// The value as it stands.
    All,
    Document(RawDocumentBuf),
    Array(RawArrayBuf),
}

fn kept(
    rule: &FieldRule,
    value: RawBsonRef<'_>,
    scope: &Scope<'_>,
    depth: usize,
) -> Decided<Option<Kept>> {
    let read = ask(&rule.read, scope)?;
    if read == Some(true) || ask(&rule.write, scope)? == Some(true) {
        return Ok(Some(Kept::All));
    }
    if read == Some(false) || rule.fields.is_empty() || depth > NESTING_DEPTH_MAX {
        return Ok(None);
    }
    children(&rule.fields, value, scope, depth)
}

/// The readable part of a document or of an array of documents.
fn children(
    rules: &[(String, FieldRule)],
    value: RawBsonRef<'_>,
    scope: &Scope<'_>,
    depth: usize,
) -> Decided<Option<Kept>> {
    match value {
        RawBsonRef::Document(document) => {
            let part = selected(document, scope, |name, value, inner| {
                match rules.iter().find(|(named, _)| named == name) {
                    Some((_, rule)) => kept(rule, value, inner, depth + 1),
                    None => Ok(None),
                }
            })?;
            Ok(part.map(Kept::Document))
        }
        RawBsonRef::Array(array) if depth <= NESTING_DEPTH_MAX => {
            let mut out = RawArrayBuf::new();
            for element in array.into_iter().flatten() {
                match children(rules, element, scope, depth + 1)? {
                    Some(Kept::Document(part)) => out.push(part),
                    Some(Kept::Array(part)) => out.push(part),
                    Some(Kept::All) | None => {}
                }
            }
            Ok((!out.is_empty()).then_some(Kept::Array(out)))
        }
        _ => Ok(None),
    }
}
