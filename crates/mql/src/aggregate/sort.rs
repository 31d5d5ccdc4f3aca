//! `$sort`, which keeps no more than a `$limit` after it lets out.

use std::borrow::Cow;
use std::collections::BinaryHeap;

use bson::{RawDocument, RawDocumentBuf};

use super::environment::Environment;
use crate::Sort;
use crate::error::Result;

/// A sort under way.
#[derive(Debug)]
pub(super) struct Sorter {
    sort: Sort,
    /// Most documents that come out.
    most: usize,
    taken: u64,
    /// The last one to come out is on top.
    kept: BinaryHeap<Sorted>,
    key: Vec<u8>,
    bytes: usize,
}

/// Ordered by key, then by arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sorted {
    key: Vec<u8>,
    arrived: u64,
    document: Bytes,
}

/// A document that takes no part in the order.
#[derive(Debug)]
struct Bytes(RawDocumentBuf);

impl PartialEq for Bytes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Bytes {}
impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Bytes {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Sorted {
    fn weight(&self) -> usize {
        self.key.len() + self.document.0.as_bytes().len() + 64
    }
}

impl Sorter {
    pub(super) fn new(sort: Sort, most: usize) -> Self {
        Self {
            sort,
            most,
            taken: 0,
            kept: BinaryHeap::new(),
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
        let arrived = self.taken;
        self.taken += 1;
        if self.kept.len() >= self.most {
            // It came later, so it has to be before the last one by its key.
            if self.kept.peek().is_none_or(|last| last.key <= self.key) {
                return Ok(());
            }
            if let Some(last) = self.kept.pop() {
                self.bytes -= last.weight();
            }
        }
        let sorted = Sorted {
            key: self.key.clone(),
            arrived,
            document: Bytes(document.into_owned()),
        };
        self.bytes += sorted.weight();
        env.check("$sort", self.bytes)?;
        self.kept.push(sorted);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> impl Iterator<Item = RawDocumentBuf> + use<> {
        let mut kept = std::mem::take(&mut self.kept).into_vec();
        kept.sort_unstable();
        kept.into_iter().map(|sorted| sorted.document.0)
    }
}
