//! The decisions of one request: which role, what may be read, what may be
//! written (rules-schemas.md §3–§5).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};
use kit::limit::NESTING_DEPTH_MAX;

use crate::filter::{Merged, merge};
use crate::narrow::{Narrowed, narrow};
use crate::role::{FieldRule, Fields, Permission, Role, RuleSet};
use crate::scope::{Answers, Decided, Expansions, Needed, Scope};
use crate::value::identical;

/// Decides for one request under one rule set.
pub struct Decider<'a> {
    rules: &'a RuleSet,
    request: &'a dyn Expansions,
    answers: Answers,
    /// `apply_when` of roles that do not look at documents, once known.
    applies: Vec<Option<bool>>,
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
        }
    }

    /// Keeps the result of a call that a decision needed.
    pub fn answer(&mut self, call: Needed, result: Option<RawBson>) {
        self.answers.insert(call, result);
    }

    /// The filters in force; the inner error is the text for the caller.
    pub fn filters(&self) -> Decided<Result<Merged, String>> {
        merge(
            &self.rules.filters,
            &Scope::request(self.request, &self.answers),
        )
    }

    /// What of the read decision a query can say.
    pub fn narrowed(&self) -> Narrowed {
        narrow(self.rules, &Scope::request(self.request, &self.answers))
    }

    /// The scope of a pair of images, for schemas and other expressions of the
    /// same request.
    pub fn scope<'s>(
        &'s self,
        root: Option<&'s RawDocument>,
        prev: Option<&'s RawDocument>,
    ) -> Scope<'s> {
        Scope::request(self.request, &self.answers).images(root, prev)
    }

    /// What may be read of a stored document.
    pub fn read(&mut self, document: &RawDocument) -> Decided<Readable> {
        let Some(role) = self.role(Some(document), Some(document))? else {
            return Ok(Readable::Hidden);
        };
        read(role, document, &self.scope(Some(document), Some(document)))
    }

    /// Whether a write is allowed; the inner error says why not.
    pub fn write(&mut self, write: Write<'_>) -> Decided<Result<(), Refusal>> {
        let (before, after) = match write {
            Write::Insert(document) => (None, Some(document)),
            Write::Update(before, after) => (Some(before), Some(after)),
            Write::Delete(document) => (Some(document), Some(document)),
        };
        // The role is chosen by the image before the write.
        let role = match write {
            Write::Insert(document) => self.role(Some(document), None)?,
            _ => self.role(before, before)?,
        };
        let Some(role) = role else {
            return Ok(Err(Refusal {
                role: None,
                reason: "no role applies to the document".to_owned(),
            }));
        };
        let refused = denied(role, write, &self.scope(after, before))?;
        Ok(match refused {
            None => Ok(()),
            Some(reason) => Err(Refusal {
                role: Some(role.name.clone()),
                reason,
            }),
        })
    }

    /// The first role that applies.
    fn role(
        &mut self,
        root: Option<&RawDocument>,
        prev: Option<&RawDocument>,
    ) -> Decided<Option<&'a Role>> {
        let rules: &'a RuleSet = self.rules;
        let scope = Scope::request(self.request, &self.answers).images(root, prev);
        for (role, known) in rules.roles.iter().zip(&mut self.applies) {
            let applies = match known {
                Some(applies) => *applies,
                None => {
                    let applies = role.apply_when.holds(&scope)?;
                    if !role.apply_when.depends_on_documents() {
                        *known = Some(applies);
                    }
                    applies
                }
            };
            if applies {
                return Ok(Some(role));
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
fn ask(permission: &Permission, scope: &Scope<'_>) -> Decided<Option<bool>> {
    permission
        .as_ref()
        .map(|expression| expression.holds(scope))
        .transpose()
}

fn read(role: &Role, document: &RawDocument, scope: &Scope<'_>) -> Decided<Readable> {
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
        let inner = scope.at(Some(value), Some(value));
        match fields
            .named
            .iter()
            .find(|(named, _)| named == name.as_str())
        {
            Some((_, rule)) => {
                if let Some(kept) = kept(rule, value, &inner, 0)? {
                    kept.append_to(name, &mut out);
                }
            }
            None => {
                if ask(&fields.additional_read, &inner)? == Some(true)
                    || ask(&fields.additional_write, &inner)? == Some(true)
                {
                    out.append(name, value);
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
                let Some((_, rule)) = rules.iter().find(|(named, _)| named == name.as_str()) else {
                    continue;
                };
                let inner = scope.at(Some(value), Some(value));
                if let Some(kept) = kept(rule, value, &inner, depth + 1)? {
                    kept.append_to(name, &mut out);
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

/// Why the role refuses the write; `None` when it does not.
fn denied(role: &Role, write: Write<'_>, scope: &Scope<'_>) -> Decided<Option<String>> {
    if let Some(gate) = role
        .document_filters
        .as_ref()
        .and_then(|f| f.write.as_ref())
    {
        // A change must not take a document into or out of one's own scope; an
        // expression that itself looks at both images is asked once.
        let stays = match write {
            Write::Update(before, _) if !gate.looks_back() => {
                gate.holds(&scope.images(Some(before), Some(before)))?
            }
            _ => true,
        };
        if !stays || !gate.holds(scope)? {
            return Ok(Some("document_filters.write is false".to_owned()));
        }
    }
    match ask(&role.write, scope)? {
        Some(true) => {}
        Some(false) => return Ok(Some("write is false".to_owned())),
        None => {
            let change = match write {
                Write::Insert(document) => Change::of(None, Some(document)),
                Write::Update(before, after) => Change::of(Some(before), Some(after)),
                Write::Delete(document) => Change {
                    everything: true,
                    ..Change::of(Some(document), Some(document))
                },
            };
            let additional = Some(&role.fields.additional_write);
            if let Some(path) = change.denied(&role.fields.named, additional, scope, "", 0)? {
                return Ok(Some(format!("no write permission on field '{path}'")));
            }
        }
    }
    let besides = match write {
        Write::Insert(_) => ask(&role.insert, scope)?.map(|held| (held, "insert")),
        Write::Delete(_) => ask(&role.delete, scope)?.map(|held| (held, "delete")),
        Write::Update(..) => None,
    };
    Ok(match besides {
        Some((false, name)) => Some(format!("{name} is false")),
        _ => None,
    })
}

/// Two images of one document, or of one embedded document.
#[derive(Clone, Copy)]
struct Change<'a> {
    before: Option<&'a RawDocument>,
    after: Option<&'a RawDocument>,
    /// Every field counts as changed.
    everything: bool,
}

impl<'a> Change<'a> {
    fn of(before: Option<&'a RawDocument>, after: Option<&'a RawDocument>) -> Self {
        Self {
            before,
            after,
            everything: false,
        }
    }

    /// The first changed path that may not be written. `additional` is about
    /// unlisted names; nested scopes have none and deny.
    fn denied(
        &self,
        rules: &[(String, FieldRule)],
        additional: Option<&Permission>,
        scope: &Scope<'_>,
        prefix: &str,
        depth: usize,
    ) -> Decided<Option<String>> {
        let after = self.after.into_iter().flat_map(RawDocument::iter).flatten();
        for (name, value) in after {
            let old = self.before.and_then(|doc| get(doc, name.as_str()));
            let found = self.field(
                name.as_str(),
                old,
                Some(value),
                rules,
                additional,
                scope,
                prefix,
                depth,
            )?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let before = self
            .before
            .into_iter()
            .flat_map(RawDocument::iter)
            .flatten();
        for (name, value) in before {
            if self
                .after
                .is_some_and(|doc| get(doc, name.as_str()).is_some())
            {
                continue;
            }
            let found = self.field(
                name.as_str(),
                Some(value),
                None,
                rules,
                additional,
                scope,
                prefix,
                depth,
            )?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `denied`, called from its two loops"
    )]
    fn field(
        &self,
        name: &str,
        before: Option<RawBsonRef<'_>>,
        after: Option<RawBsonRef<'_>>,
        rules: &[(String, FieldRule)],
        additional: Option<&Permission>,
        scope: &Scope<'_>,
        prefix: &str,
        depth: usize,
    ) -> Decided<Option<String>> {
        if !self.everything && identical(before, after) {
            return Ok(None);
        }
        let path = || {
            if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            }
        };
        let scope = Scope {
            this: after,
            prev: before,
            ..*scope
        };
        let Some((_, rule)) = rules.iter().find(|(named, _)| named == name) else {
            let allowed = match additional {
                Some(permission) => ask(permission, &scope)? == Some(true),
                None => false,
            };
            return Ok((!allowed).then(path));
        };
        match ask(&rule.write, &scope)? {
            Some(true) => Ok(None),
            Some(false) => Ok(Some(path())),
            None if rule.fields.is_empty() || depth > NESTING_DEPTH_MAX => Ok(Some(path())),
            None => self.inside(before, after, &rule.fields, &scope, path(), depth),
        }
    }

    /// Goes into documents and arrays of documents. What is neither, or has no
    /// fields of its own, changed as a whole and is denied.
    fn inside(
        &self,
        before: Option<RawBsonRef<'_>>,
        after: Option<RawBsonRef<'_>>,
        rules: &[(String, FieldRule)],
        scope: &Scope<'_>,
        path: String,
        depth: usize,
    ) -> Decided<Option<String>> {
        if depth > NESTING_DEPTH_MAX {
            return Ok(Some(path));
        }
        if let (Some(before), Some(after)) = (documents(before), documents(after)) {
            let empty = |side: Option<&RawDocument>| side.is_none_or(RawDocument::is_empty);
            if empty(before) && empty(after) {
                return Ok(Some(path));
            }
            let inner = Change {
                before,
                after,
                everything: self.everything,
            };
            return inner.denied(rules, None, scope, &path, depth + 1);
        }
        if let (Some(before), Some(after)) = (arrays(before), arrays(after)) {
            let list = |side: Option<&'_ RawArray>| -> usize {
                side.map_or(0, |array| array.into_iter().count())
            };
            let most = list(before).max(list(after));
            if most == 0 {
                return Ok(Some(path));
            }
            let mut old = before.into_iter().flatten();
            let mut new = after.into_iter().flatten();
            for _ in 0..most {
                let old = old.next().and_then(Result::ok);
                let new = new.next().and_then(Result::ok);
                if !self.everything && identical(old, new) {
                    continue;
                }
                let found = self.inside(old, new, rules, scope, path.clone(), depth + 1)?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            return Ok(None);
        }
        Ok(Some(path))
    }
}

fn get<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    document.get(name).ok().flatten()
}

/// A side that is a document or absent.
fn documents(side: Option<RawBsonRef<'_>>) -> Option<Option<&RawDocument>> {
    match side {
        None => Some(None),
        Some(RawBsonRef::Document(document)) => Some(Some(document)),
        Some(_) => None,
    }
}

/// A side that is an array or absent.
fn arrays(side: Option<RawBsonRef<'_>>) -> Option<Option<&RawArray>> {
    match side {
        None => Some(None),
        Some(RawBsonRef::Array(array)) => Some(Some(array)),
        Some(_) => None,
    }
}
