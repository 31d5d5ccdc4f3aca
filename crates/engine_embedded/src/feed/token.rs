//! Resume tokens: a place in the log and what it is, in hex digits whose order
//! is the order of events.

use std::fmt::Write as _;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, rawdoc};
use engine::CommandError;

use crate::layout::Position;

/// A version first, so that the form can change.
const VERSION: u8 = 1;
/// Version, position, kind.
const BYTES: usize = 14;

/// What a token stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event.
    Event = 1,
    /// The invalidation that followed an event.
    Invalidate = 2,
    /// Everything up to a place, none of which was for the reader.
    Mark = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) position: Position,
    pub(super) kind: Kind,
}

impl Token {
    pub(super) fn write(self) -> RawDocumentBuf {
        let mut hex = String::with_capacity(BYTES * 2);
        let bytes = [&[VERSION], &self.position.key()[..], &[self.kind as u8]];
        for byte in bytes.into_iter().flatten() {
            let _ = write!(hex, "{byte:02X}");
        }
        rawdoc! { "_data": hex }
    }

    /// # Errors
    /// MongoDB's: 40647 without `_data`, 9 for what is no hex, 260 for what is
    /// not from here.
    pub(super) fn read(token: &RawDocument) -> Result<Self, CommandError> {
        let Ok(Some(RawBsonRef::String(hex))) = token.get("_data") else {
            return Err(CommandError::new(
                40647,
                format!(
                    "Bad resume token: _data of missing or of wrong type. Expected string, got {token:?}"
                ),
            ));
        };
        let bytes = unhex(hex).ok_or_else(|| {
            CommandError::new(9, "resume token string was not a valid hex string")
        })?;
        let foreign = || CommandError::new(260, "Invalid resume token");
        let [VERSION, position @ .., kind] = bytes.as_slice() else {
            return Err(foreign());
        };
        let kind = match kind {
            1 => Kind::Event,
            2 => Kind::Invalidate,
            3 => Kind::Mark,
            _ => return Err(foreign()),
        };
        if bytes.len() != BYTES {
            return Err(foreign());
        }
        let position = Position::from_key(position).ok_or_else(foreign)?;
        Ok(Self { position, kind })
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::{Kind, Position, Token};

    #[test]
    fn hex_order_is_event_order() {
        let at = |time, increment, index, kind| Token {
            position: Position {
                time,
                increment,
                index,
            },
            kind,
        };
        let tokens = [
            at(9, 300, 0, Kind::Event),
            at(9, 300, 0, Kind::Invalidate),
            at(9, 300, 0, Kind::Mark),
            at(9, 300, 1, Kind::Event),
            at(9, 300, u32::MAX, Kind::Mark),
            at(9, 301, 0, Kind::Event),
            at(4_000_000_000, 1, 0, Kind::Event),
        ];
        let mut before = String::new();
        for token in tokens {
            let written = token.write();
            assert_eq!(Token::read(&written), Ok(token));
            let hex = written.get_str("_data").unwrap().to_owned();
            assert!(before < hex, "{before} {hex}");
            before = hex;
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        for (token, code) in [
            (rawdoc! {}, 40647),
            (rawdoc! { "_data": 5 }, 40647),
            (rawdoc! { "_data": "zz" }, 9),
            (rawdoc! { "_data": "01é" }, 9),
            (rawdoc! { "_data": "012" }, 9),
            (rawdoc! { "_data": "" }, 260),
            (rawdoc! { "_data": "826B06E4A0000000042B0229296E04" }, 260),
            (rawdoc! { "_data": "0100000001000000010000000009" }, 260),
        ] {
            assert_eq!(Token::read(&token).unwrap_err().code, code, "{token:?}");
        }
    }
}
