//! `$sort`, which keeps no more than a `$limit` after it lets out.

use std::borrow::Cow;

use bson::{RawDocument, RawDocumentBuf};

use super::environment::Environment;
use crate::Sort;
use crate::error::Result;
use crate::sort::Top;

/// A sort under way.
#[derive(Debug)]
pub(super) struct Sorter {
    sort: Sort,
    kept: Top<RawDocumentBuf>,
    key: Vec<u8>,
    bytes: usize,
}

impl Sorter {
    /// At most `most` documents come out.
    pub(super) fn new(sort: Sort, most: usize) -> Self {
        Self {
            sort,
            kept: Top::new(most),
            key: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn take(
        &mut self,
        env: &Environment<'_>,
        document: Cow<'_, RawDocument>,
    ) -> Result<()> {
        self.key.clear();
        self.sort.key(&document, &mut self.key)?;
        if !self.kept.wants(&self.key) {
            return Ok(());
        }
        self.bytes += weight(&self.key, &document);
        let gone = self.kept.push(self.key.clone(), document.into_owned());
        if let Some((key, document)) = gone {
            self.bytes -= weight(&key, &document);
        }
        env.check("$sort", self.bytes)
    }

    pub(super) fn finish(&mut self) -> impl Iterator<Item = RawDocumentBuf> + use<> {
        std::mem::replace(&mut self.kept, Top::new(0)).into_sorted()
    }
}

fn weight(key: &[u8], document: &RawDocument) -> usize {
    key.len() + document.as_bytes().len() + 64
}
