//! Messages between the server and a worker: BSON documents, which carry their
//! own length.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use bson::{RawDocument, RawDocumentBuf};

use crate::realm::EXPIRED;

/// Longest message: arguments, results and documents with room to spare.
pub(crate) const MESSAGE_BYTES_MAX: usize = 96 << 20;

/// Reads one message. While it waits, the time limit ends it with
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
        match from.read(&mut chunk) {
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
