//! One statement after another, evaluated onto changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bson::raw::RawBson;
use bson::{Bson, DateTime, RawDocumentBuf, cstr, doc};
use engine::CommandError;
use mql::update::UpdateContext;
use mql::{Matcher, Sort, upsert_document};

use super::{Change, Removal, Single, check_insert, with_id};
use crate::catalog::Collection;
use crate::command::tally::Done;
use crate::command::write::PIECE;
use crate::kv::Table;
use crate::layout::{Record, document_key, loaded};
use crate::plan::Hint;
use crate::query::{self, Wanted};
use crate::transaction::Transaction;
use crate::walk::Effort;
use crate::write::{Changes, Located};
use crate::{Core, View, mql as mql_error};

/// What evaluates statements.
pub(super) struct Writer<'a> {
    pub(super) core: &'a Core,
    pub(super) collection: &'a Arc<Collection>,
    pub(super) changes: &'a mut Changes,
    pub(super) transaction: Option<&'a Arc<Transaction>>,
    pub(super) effort: &'a Effort,
    pub(super) now: DateTime,
    pub(super) bypass: bool,
    /// Only these.
    pub(super) records: Option<&'a [Record]>,
    /// What was found beyond one piece.
    pub(super) rest: Vec<Record>,
}

/// What was found, and what then went wrong: what a query fails with on one
/// document does not keep those before it from being written.
type Found = (Vec<Located>, Result<(), CommandError>);

impl Writer<'_> {
    pub(super) fn insert(&mut self, document: RawDocumentBuf) -> Result<(), CommandError> {
        check_insert(&document)?;
        if !self.bypass {
            self.collection.validation.check(None, &document)?;
        }
        let record = self.core.records.fetch_add(1, Ordering::Relaxed);
        self.changes.insert(self.collection, record, document)?;
        self.claim_keys()
    }

    fn claim_keys(&mut self) -> Result<(), CommandError> {
        let transactions = &self.core.transactions;
        transactions.claim_keys(self.core, self.changes, self.transaction)
    }

    /// One document.
    fn one(
        &mut self,
        matcher: &Matcher,
        hint: Option<&Hint>,
        sort: Option<&Sort>,
    ) -> Result<Option<Located>, CommandError> {
        let view = self.changes.view.clone();
        let wanted = Wanted {
            sort,
            hint,
            limit: 1,
            ..Wanted::by(matcher)
        };
        let on = (&*view, Some(&*self.changes));
        let found = query::find(on, self.collection, &wanted, self.effort)?;
        Ok(found.into_iter().next())
    }

    /// Every document.
    fn all(&mut self, matcher: &Matcher, hint: Option<&Hint>) -> Result<Found, CommandError> {
        let view = self.changes.view.clone();
        if let Some(records) = self.records {
            return Ok((among(&view, self.collection, matcher, records)?, Ok(())));
        }
        let mut found = Vec::new();
        let wanted = Wanted {
            hint,
            ..Wanted::by(matcher)
        };
        let on = (&*view, Some(&*self.changes));
        let ended = query::each(on, self.collection, &wanted, self.effort, &mut |next| {
            found.push(next.located()?);
            Ok(true)
        });
        if self.transaction.is_none() && ended.is_ok() && found.len() > PIECE {
            self.rest = found.drain(PIECE..).map(|located| located.record).collect();
        }
        Ok((found, ended))
    }

    /// What a statement is about.
    fn matches(
        &mut self,
        matcher: &Matcher,
        hint: Option<&Hint>,
        many: bool,
    ) -> Result<Found, CommandError> {
        if many {
            return self.all(matcher, hint);
        }
        let found = self.one(matcher, hint, None)?;
        Ok((found.into_iter().collect(), Ok(())))
    }

    fn claim(&mut self, found: &Located) -> Result<(), CommandError> {
        let transactions = &self.core.transactions;
        transactions.claim_record(
            self.core,
            self.changes,
            self.transaction,
            self.collection.id,
            found,
        )
    }

    pub(super) fn update(&mut self, change: &Change) -> Result<Done, CommandError> {
        let (found, ended) = self.matches(&change.matcher, change.hint.as_ref(), change.multi)?;
        let mut done = Done::default();
        if found.is_empty() && ended.is_ok() && change.upsert && self.records.is_none() {
            let (id, _) = self.upsert(change)?;
            done.upserted = Some(id);
            return Ok(done);
        }
        for located in found {
            self.effort.step()?;
            done.matched += 1;
            if self.change(change, &located)?.is_some() {
                done.modified += 1;
            }
        }
        ended.map(|()| done)
    }

    /// Applies a change to one document; `None` when it stays as it is.
    fn change(
        &mut self,
        change: &Change,
        located: &Located,
    ) -> Result<Option<RawDocumentBuf>, CommandError> {
        let stamps = self.core.stamps.at(self.now);
        let cx = UpdateContext {
            now: self.now,
            stamps: Some(&stamps),
            query: Some(&change.matcher),
            inserting: false,
            collation: change.matcher.collation(),
        };
        let applied = change
            .update
            .apply(&located.document, cx)
            .map_err(mql_error)?;
        if !applied.modified {
            return Ok(None);
        }
        if !self.bypass {
            let validation = &self.collection.validation;
            validation.check(Some(&located.document), &applied.document)?;
        }
        self.claim(located)?;
        let description = (!change.update.is_replacement()).then_some(&applied.description);
        self.changes.update(
            self.collection,
            located,
            applied.document.clone(),
            description,
        )?;
        self.claim_keys()?;
        Ok(Some(applied.document))
    }

    fn upsert(&mut self, change: &Change) -> Result<(Bson, RawDocumentBuf), CommandError> {
        let base = upsert_document(&change.query, &change.update).map_err(mql_error)?;
        let base = RawDocumentBuf::try_from(&base)?;
        let stamps = self.core.stamps.at(self.now);
        let cx = UpdateContext {
            now: self.now,
            stamps: Some(&stamps),
            query: None,
            inserting: true,
            collation: change.matcher.collation(),
        };
        let applied = change.update.apply(&base, cx).map_err(mql_error)?;
        let document = with_id(&applied.document);
        let id = match document.get("_id")? {
            Some(id) => Bson::try_from(id)?,
            None => Bson::Null,
        };
        self.insert(document.clone())?;
        Ok((id, document))
    }

    pub(super) fn delete(&mut self, removal: &Removal) -> Result<Done, CommandError> {
        let (found, ended) = self.matches(&removal.matcher, removal.hint.as_ref(), removal.many)?;
        let matched = found.len() as i32;
        for located in found {
            self.effort.step()?;
            self.claim(&located)?;
            self.changes.delete(self.collection, &located)?;
        }
        ended.map(|()| Done {
            matched,
            ..Done::default()
        })
    }

    pub(super) fn find_and_modify(&mut self, single: &Single) -> Result<Done, CommandError> {
        let (matcher, new) = (&single.matcher, single.new);
        if let (Some(error), Some(hint)) = (&single.refused, &single.hint) {
            hint.check(self.collection)?;
            return Err(error.clone());
        }
        let found = self.one(matcher, single.hint.as_ref(), Some(&single.sort))?;
        let (value, last) = match (found, &single.change) {
            (Some(located), None) => {
                self.claim(&located)?;
                self.changes.delete(self.collection, &located)?;
                (Some(located.document), doc! { "n": 1 })
            }
            (Some(located), Some(change)) => {
                let after = self.change(change, &located)?;
                let value = match after {
                    Some(after) if new => after,
                    _ => located.document,
                };
                (Some(value), doc! { "n": 1, "updatedExisting": true })
            }
            (None, Some(change)) if change.upsert => {
                let (id, document) = self.upsert(change)?;
                let last = doc! { "n": 1, "updatedExisting": false, "upserted": id };
                (new.then_some(document), last)
            }
            (None, Some(_)) => (None, doc! { "n": 0, "updatedExisting": false }),
            (None, None) => (None, doc! { "n": 0 }),
        };
        let value = match (value, &single.projection) {
            (Some(value), Some(projection)) => {
                Some(projection.apply(&value, Some(matcher)).map_err(mql_error)?)
            }
            (value, _) => value,
        };
        let mut answer = RawDocumentBuf::new();
        answer.append(cstr!("lastErrorObject"), RawDocumentBuf::try_from(&last)?);
        match value {
            Some(value) => answer.append(cstr!("value"), value),
            None => answer.append(cstr!("value"), RawBson::Null),
        }
        Ok(Done {
            found: Some(answer),
            ..Done::default()
        })
    }
}

/// Those of some records that match, as they are now.
fn among(
    view: &View,
    collection: &Collection,
    matcher: &Matcher,
    records: &[Record],
) -> Result<Vec<Located>, CommandError> {
    let mut found = Vec::with_capacity(records.len());
    for &record in records {
        let key = document_key(collection.id, record);
        let Some(value) = view.snapshot.get(Table::Documents, &key)? else {
            continue;
        };
        let (commit, document) = loaded(&value)?;
        if matcher.matches(document).map_err(mql_error)? {
            found.push(Located {
                record,
                commit: Some(commit),
                document: document.to_owned(),
            });
        }
    }
    Ok(found)
}
