//! The documents of one partition, in their order.

use bson::{Bson, RawDocument, RawDocumentBuf};

use crate::error::Result;
use crate::expression::{Expression, Scope};

/// What the documents of a partition are sorted by, when it is one field.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) by: Expression,
    pub(super) descending: bool,
}

/// A partition that is complete.
#[derive(Debug, Default)]
pub(super) struct Partition {
    documents: Vec<RawDocumentBuf>,
    /// What each is sorted by, where a function wants to know.
    keys: Vec<Option<Bson>>,
    descending: bool,
}

impl Partition {
    pub(super) fn new(documents: Vec<RawDocumentBuf>, order: Option<&Order>) -> Result<Self> {
        let keys = match order {
            None => Vec::new(),
            Some(order) => documents
                .iter()
                .map(|document| order.by.evaluate(&Scope::of(document)))
                .collect::<Result<_>>()?,
        };
        Ok(Self {
            documents,
            keys,
            descending: order.is_some_and(|order| order.descending),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&RawDocument> {
        self.documents.get(at).map(|document| &**document)
    }

    /// What the document at `at` is sorted by.
    pub(super) fn sorted_by(&self, at: usize) -> Option<&Bson> {
        self.keys.get(at).and_then(Option::as_ref)
    }

    pub(super) fn is_descending(&self) -> bool {
        self.descending
    }

    /// The value of an expression on the document at `at`.
    pub(super) fn evaluate(&self, at: usize, expression: &Expression) -> Result<Option<Bson>> {
        match self.get(at) {
            Some(document) => expression.evaluate(&Scope::of(document)),
            None => Ok(None),
        }
    }
}
