//! Messages between the server and a worker: BSON documents, which carry their
//! own length.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use bson::raw::{RawBinaryRef, RawBsonRef};
use bson::spec::BinarySubtype;
use bson::{RawDocument, RawDocumentBuf};

use crate::alarm;
use crate::realm::EXPIRED;

/// Longest message: arguments, results and documents with room to spare.
pub(crate) const MESSAGE_BYTES_MAX: usize = 96 << 20;

/// Reads one message, in a worker. While it waits, the time limit ends it with
/// `ErrorKind::TimedOut`.
pub(crate) fn read(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<RawDocumentBuf> {
    loop {
        if let Some(length) = length(buffer)?
            && buffer.len() >= length
        {
            let rest = buffer.split_off(length);
            let message = std::mem::replace(buffer, rest);
            return RawDocumentBuf::from_bytes(message).map_err(io::Error::other);
        }
        let mut chunk = [0; 8 * 1024];
        match alarm::wait(|| from.read(&mut chunk)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if EXPIRED.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The length of the message that `buffer` begins with, when it has begun.
pub(crate) fn length(buffer: &[u8]) -> io::Result<Option<usize>> {
    let Some(Ok(prefix)) = buffer.get(..4).map(<[u8; 4]>::try_from) else {
        return Ok(None);
    };
    let length = i32::from_le_bytes(prefix) as usize;
    if !(5..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(io::Error::other("a message of impossible length"));
    }
    Ok(Some(length))
}

/// Bytes as a part of a message.
pub(crate) fn binary(bytes: &[u8]) -> RawBinaryRef<'_> {
    RawBinaryRef {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

/// The bytes under a name.
pub(crate) fn bytes<'d>(message: &'d RawDocument, name: &str) -> Option<&'d [u8]> {
    match message.get(name) {
        Ok(Some(RawBsonRef::Binary(binary))) => Some(binary.bytes),
        _ => None,
    }
}

/// Whether a message is nested no deeper than values may be. Asked before
/// anything recursive reads what a worker sent.
pub(crate) fn is_shallow(document: &RawDocument) -> bool {
    // The message's own levels come on top.
    let levels = kit::limit::NESTING_DEPTH_MAX + 3;
    document
        .iter()
        .flatten()
        .all(|(_, value)| within(value, levels))
}

fn within(value: RawBsonRef<'_>, levels: usize) -> bool {
    let fields = |document: &RawDocument| {
        levels > 0
            && document
                .iter()
                .flatten()
                .all(|(_, value)| within(value, levels - 1))
    };
    match value {
        RawBsonRef::Document(document) => fields(document),
        RawBsonRef::JavaScriptCodeWithScope(code) => fields(code.scope),
        RawBsonRef::Array(array) => {
            levels > 0
                && array
                    .into_iter()
                    .flatten()
                    .all(|value| within(value, levels - 1))
        }
        _ => true,
    }
}

/// How many values there are in one that is shallow, itself included.
pub(crate) fn count(value: RawBsonRef<'_>) -> usize {
    let fields = |document: &RawDocument| -> usize {
        let values = document.iter().flatten();
        values.map(|(_, value)| count(value)).sum()
    };
    1 + match value {
        RawBsonRef::Document(document) => fields(document),
        RawBsonRef::JavaScriptCodeWithScope(code) => fields(code.scope),
        RawBsonRef::Array(array) => array.into_iter().flatten().map(count).sum(),
        _ => 0,
    }
}

/// Writes one message whole.
pub(crate) fn write(to: &mut impl Write, message: &RawDocument) -> io::Result<()> {
    let mut rest = message.as_bytes();
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::{RawArrayBuf, RawDocumentBuf, cstr, rawdoc};

    use super::{RawBsonRef, count, is_shallow};

    fn nested(levels: usize) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        for level in 0..levels {
            if level % 2 == 0 {
                document = rawdoc! { "a": document };
            } else {
                let mut array = RawArrayBuf::new();
                array.push(document);
                document = rawdoc! { "a": array };
            }
        }
        document
    }

    #[test]
    fn values_are_counted_at_all_levels() {
        let document = rawdoc! { "a": 1, "b": [1, "x", { "c": [] }], "d": {} };
        assert_eq!(count(RawBsonRef::Document(&document)), 8);
    }

    #[test]
    fn deep_messages_are_seen_without_recursing_into_them() {
        assert!(is_shallow(&nested(60)));
        assert!(!is_shallow(&nested(100)));
        assert!(!is_shallow(&nested(3000)));
        let mut code = RawDocumentBuf::new();
        let scope = nested(100);
        code.append(
            cstr!("c"),
            bson::raw::RawJavaScriptCodeWithScope {
                code: String::new(),
                scope,
            },
        );
        assert!(!is_shallow(&code));
    }
}
