//! The write decision: gates, changed paths, `insert` and `delete`
//! (rules-schemas.md §5).

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};
use kit::limit::NESTING_DEPTH_MAX;

use crate::decider::{Write, ask};
use crate::role::{FieldRule, Permission, Role};
use crate::scope::{Decided, Scope};
use crate::value::identical;

/// Why the role refuses the write; `None` when it does not.
pub(crate) fn denied(role: &Role, write: Write<'_>, scope: &Scope<'_>) -> Decided<Option<String>> {
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
        scope.evaluate();
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
        if let Some((before, after)) = documents(before, after) {
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
        if let Some((before, after)) = arrays(before, after) {
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

/// Both sides, when each is a document or absent.
fn documents<'a>(
    before: Option<RawBsonRef<'a>>,
    after: Option<RawBsonRef<'a>>,
) -> Option<(Option<&'a RawDocument>, Option<&'a RawDocument>)> {
    let side = |side: Option<RawBsonRef<'a>>| side.map(RawBsonRef::as_document);
    match (side(before), side(after)) {
        (Some(None), _) | (_, Some(None)) => None,
        (before, after) => Some((before.flatten(), after.flatten())),
    }
}

/// Both sides, when each is an array or absent.
fn arrays<'a>(
    before: Option<RawBsonRef<'a>>,
    after: Option<RawBsonRef<'a>>,
) -> Option<(Option<&'a RawArray>, Option<&'a RawArray>)> {
    let side = |side: Option<RawBsonRef<'a>>| side.map(RawBsonRef::as_array);
    match (side(before), side(after)) {
        (Some(None), _) | (_, Some(None)) => None,
        (before, after) => Some((before.flatten(), after.flatten())),
    }
}
