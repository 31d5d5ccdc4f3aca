//! The decisions of one request with the function calls they need.

use bson::{RawDocument, RawDocumentBuf};
use kit::Problem;
use mql::schema::Options;
use rules::{Decided, Decider, Merged, Narrowed, Readable, Write};

use super::failure::{mixed, not_permitted, not_valid};
use super::{Calls, CollectionRules, UserAccess};

/// Decides for one user on one collection.
pub(super) struct Guard<'a> {
    decider: Decider<'a>,
    rules: &'a CollectionRules,
    calls: &'a dyn Calls,
}

impl<'a> Guard<'a> {
    pub(super) fn new(user: &'a UserAccess, rules: &'a CollectionRules) -> Self {
        Self {
            decider: Decider::new(&rules.rules, user.expansions.as_ref()),
            rules,
            calls: user.calls.as_ref(),
        }
    }

    /// Asks until no function call is missing.
    async fn ask<T>(
        &mut self,
        decide: impl Fn(&mut Decider<'a>) -> Decided<T>,
    ) -> Result<T, Problem> {
        loop {
            let needed = match decide(&mut self.decider) {
                Ok(decision) => return Ok(decision),
                Err(needed) => needed,
            };
            let result = self
                .calls
                .call(needed.function.clone(), needed.arguments.clone())
                .await?;
            self.decider.answer(*needed, result);
        }
    }

    pub(super) async fn filters(&mut self) -> Result<Merged, Problem> {
        self.ask(|decider| decider.filters()).await?.map_err(mixed)
    }

    pub(super) fn narrowed(&self) -> Narrowed {
        self.decider.narrowed()
    }

    pub(super) async fn read(&mut self, document: &RawDocument) -> Result<Readable, Problem> {
        self.ask(|decider| decider.read(document)).await
    }

    /// What is left of a document that may be read.
    pub(super) async fn visible(
        &mut self,
        document: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, Problem> {
        Ok(match self.read(document).await? {
            Readable::Hidden => None,
            Readable::Whole => Some(document.to_owned()),
            Readable::Masked(masked) => Some(masked),
        })
    }

    /// Refuses a write that the role or the schema does not allow; `verb` is
    /// the word that the caller sees.
    pub(super) async fn check(&mut self, write: Write<'_>, verb: &str) -> Result<(), Problem> {
        if let Err(refusal) = self.ask(|decider| decider.write(write)).await? {
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
            null_for_optional: self.rules.null_for_optional,
        };
        let breaches = self
            .ask(|decider| schema.breaches(after, &decider.scope(Some(after), before), options))
            .await?;
        if breaches.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = breaches
            .iter()
            .map(|breach| format!("\n\t{}: {}", breach.path, breach.message))
            .collect();
        Err(not_valid(
            verb,
            format!("could not validate document: {}", reasons.concat()),
        ))
    }
}
