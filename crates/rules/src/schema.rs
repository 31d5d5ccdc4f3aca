//! Collection schemas: the structure that `mql` checks, and the `validate`
//! expressions inside it, which need a user (rules-schemas.md §13).

use bson::raw::RawBsonRef;
use bson::{Document, RawDocument};
use mql::schema::{Judge, Options, Parsed, Schema, Violation};

use crate::expression::Expression;
use crate::issue::Issue;
use crate::parse::Place;
use crate::scope::{Decided, Needed, Scope};

/// A collection's schema.
#[derive(Debug, Clone)]
pub struct CollectionSchema {
    schema: Schema,
    /// The `validate` expressions, by their numbers in the schema.
    validates: Vec<Expression>,
}

/// One breach of a schema; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The service's `error_code`.
    pub code: &'static str,
    /// Where: `(root).address.city`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl CollectionSchema {
    /// Parses a schema file; `None` for `{}`, which is no schema.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(schema: &Document) -> Result<Option<Self>, Vec<Issue>> {
        if schema.is_empty() {
            return Ok(None);
        }
        let parsed = Parsed::of(schema);
        let mut issues = Vec::new();
        let validates = parsed.validates.iter();
        let validates = validates
            .map(|one| Expression::parse(&one.value, Place::Document, &one.path, &mut issues))
            .collect();
        let faults = parsed.faults.into_iter();
        issues.extend(faults.map(|fault| Issue::new(fault.path, fault.error.message)));
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Some(Self {
            schema: parsed.schema,
            validates,
        }))
    }

    /// The functions that `validate` expressions call.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.validates
            .iter()
            .flat_map(Expression::functions)
            .map(AsRef::as_ref)
    }

    /// Every breach in the after-image `document`, which is `scope`'s root.
    pub fn breaches(
        &self,
        document: &RawDocument,
        scope: &Scope<'_>,
        options: Options,
    ) -> Decided<Vec<Breach>> {
        let mut asking = Asking {
            validates: &self.validates,
            scope,
            needed: None,
        };
        let found = self
            .schema
            .judged(document, scope.prev_root, options, &mut asking);
        match asking.needed {
            Some(needed) => Err(needed),
            None => Ok(found.into_iter().map(Breach::from).collect()),
        }
    }
}

impl From<Violation> for Breach {
    fn from(violation: Violation) -> Self {
        Self {
            code: violation.code,
            path: violation.path,
            message: violation.message,
        }
    }
}

/// Asks the expressions, until one needs a function to be called.
struct Asking<'a> {
    validates: &'a [Expression],
    scope: &'a Scope<'a>,
    needed: Option<Box<Needed>>,
}

impl Judge for Asking<'_> {
    fn holds(
        &mut self,
        validate: usize,
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
    ) -> bool {
        // What is answered now is asked again.
        if self.needed.is_some() {
            return true;
        }
        let Some(expression) = self.validates.get(validate) else {
            return false;
        };
        let scope = Scope {
            this,
            prev,
            ..*self.scope
        };
        expression.holds(&scope).unwrap_or_else(|needed| {
            self.needed = Some(needed);
            true
        })
    }
}
