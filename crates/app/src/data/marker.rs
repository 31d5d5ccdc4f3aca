//! The field that the service kept in documents while it changed them. We never
//! write it; documents that came from there may have it, and nobody is shown it.

use std::borrow::Cow;
use std::sync::LazyLock;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use memchr::memmem::Finder;

const MARKER: &str = "_id__baas_transaction";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARKER));

/// A document without the marker.
pub(super) fn without(document: &RawDocument) -> Cow<'_, RawDocument> {
    if FINDER.find(document.as_bytes()).is_none() {
        return Cow::Borrowed(document);
    }
    let mut plain = RawDocumentBuf::new();
    for (name, value) in document.iter().flatten() {
        if name.as_str() != MARKER {
            plain.append(name, value);
        }
    }
    Cow::Owned(plain)
}

/// The same of one that is the caller's own.
pub(super) fn owned(document: RawDocumentBuf) -> RawDocumentBuf {
    match without(&document) {
        Cow::Borrowed(_) => document,
        Cow::Owned(plain) => plain,
    }
}

/// A change event without it, in the documents that it holds.
pub(super) fn event(event: RawDocumentBuf) -> RawDocumentBuf {
    if FINDER.find(event.as_bytes()).is_none() {
        return event;
    }
    let mut plain = RawDocumentBuf::new();
    for (name, value) in event.iter().flatten() {
        match value {
            RawBsonRef::Document(full) if name.as_str() == "fullDocument" => {
                plain.append(name, without(full).as_ref());
            }
            RawBsonRef::Document(description) if name.as_str() == "updateDescription" => {
                let mut told = RawDocumentBuf::new();
                for (name, value) in description.iter().flatten() {
                    match value {
                        RawBsonRef::Document(fields) => told.append(name, without(fields).as_ref()),
                        RawBsonRef::Array(names) => {
                            let mut kept = bson::RawArrayBuf::new();
                            let marker = RawBsonRef::String(MARKER);
                            let own = names.into_iter().flatten().filter(|name| *name != marker);
                            own.for_each(|name| kept.push(name));
                            told.append(name, kept);
                        }
                        other => told.append(name, other),
                    }
                }
                plain.append(name, told);
            }
            other => plain.append(name, other),
        }
    }
    plain
}
