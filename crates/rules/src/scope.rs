//! What an expression sees while it is evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument};

use crate::metrics::Counts;
use crate::trace::Trace;

/// What is the same for every document of a request. Implementations may make
/// the documents when first asked.
pub trait Expansions: Sync {
    /// `%%user`.
    fn user(&self) -> &RawDocument;
    /// `%%values`: name to value.
    fn values(&self) -> &RawDocument;
    /// `%%environment`: `{tag, values}`.
    fn environment(&self) -> &RawDocument;
    /// `%%request`.
    fn request(&self) -> &RawDocument;
}

/// One evaluation: the request's expansions and the images of a document.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The request's expansions.
    pub request: &'a dyn Expansions,
    /// Answers of functions that have been called.
    pub answers: &'a Answers,
    /// `%%root`.
    pub root: Option<&'a RawDocument>,
    /// `%%prevRoot`.
    pub prev_root: Option<&'a RawDocument>,
    /// `%%this`.
    pub this: Option<RawBsonRef<'a>>,
    /// `%%prev`.
    pub prev: Option<RawBsonRef<'a>>,
    /// `%%args`.
    pub args: Option<&'a RawDocument>,
    /// `%%partition`.
    pub partition: Option<RawBsonRef<'a>>,
    /// Where to write what was asked, when somebody wants to know.
    pub trace: Option<&'a Trace>,
    /// Where fields are counted.
    pub(crate) counts: Option<&'a Counts>,
}

impl<'a> Scope<'a> {
    /// A scope without a document.
    pub fn request(request: &'a dyn Expansions, answers: &'a Answers) -> Self {
        Self {
            request,
            answers,
            root: None,
            prev_root: None,
            this: None,
            prev: None,
            args: None,
            partition: None,
            trace: None,
            counts: None,
        }
    }

    /// The same scope, which tells `trace` what was asked.
    #[must_use]
    pub fn tracing(self, trace: Option<&'a Trace>) -> Self {
        Self { trace, ..self }
    }

    /// The same request on a pair of images.
    #[must_use]
    pub fn images(self, root: Option<&'a RawDocument>, prev: Option<&'a RawDocument>) -> Self {
        Self {
            root,
            prev_root: prev,
            this: root.map(RawBsonRef::Document),
            prev: prev.map(RawBsonRef::Document),
            ..self
        }
    }

    /// The same, counting what is asked of fields.
    pub(crate) fn counting(self, counts: &'a Counts) -> Self {
        Self {
            counts: Some(counts),
            ..self
        }
    }

    pub(crate) fn evaluate(&self) {
        if let Some(counts) = self.counts {
            counts.evaluate();
        }
    }

    pub(crate) fn discard(&self) {
        if let Some(counts) = self.counts {
            counts.discard();
        }
    }

    /// The same images at one field.
    #[must_use]
    pub fn at(self, this: Option<RawBsonRef<'a>>, prev: Option<RawBsonRef<'a>>) -> Self {
        Self { this, prev, ..self }
    }
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("root", &self.root)
            .field("prev_root", &self.prev_root)
            .finish_non_exhaustive()
    }
}

/// A function call that a decision waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Needed {
    /// The function's name.
    pub function: Arc<str>,
    /// Its arguments, expanded.
    pub arguments: RawArrayBuf,
}

/// A decision, or the call to make before asking again. Functions that throw
/// never come here: they end the request (rules-schemas.md §8.5).
pub type Decided<T> = Result<T, Box<Needed>>;

/// The results of the functions called for one request, by name and arguments:
/// a call that does not depend on the document is made once.
#[derive(Debug, Default)]
pub struct Answers {
    known: HashMap<Arc<str>, HashMap<Vec<u8>, Option<RawBson>>>,
}

impl Answers {
    /// Keeps the result of a call; `None` is a function that returned nothing.
    pub fn insert(&mut self, call: Needed, result: Option<RawBson>) {
        self.known
            .entry(call.function)
            .or_default()
            .insert(call.arguments.as_bytes().to_vec(), result);
    }

    pub(crate) fn get(&self, function: &str, arguments: &RawArray) -> Option<&Option<RawBson>> {
        self.known.get(function)?.get(arguments.as_bytes())
    }
}
