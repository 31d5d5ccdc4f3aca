//! `TextDecoder`: the encodings of the WHATWG standard.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

use crate::{NodeError, Value, arguments::Arguments};

/// Runs `text.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let arguments = Arguments(arguments);
    Some(match name {
        "label" => arguments.text(0).map(|label| {
            Encoding::for_label_no_replacement(label.as_bytes()).map_or(Value::Null, |encoding| {
                Value::Text(encoding.name().to_ascii_lowercase())
            })
        }),
        "decode" => decode(&arguments),
        "waits" => waits(&arguments),
        _ => return None,
    })
}

fn encoding(label: &str) -> Result<&'static Encoding, NodeError> {
    Encoding::for_label(label.as_bytes())
        .ok_or_else(|| NodeError::new(format!("unknown encoding '{label}'")))
}

/// Bytes, encoding, whether what is malformed is fatal, whether a byte order
/// mark stays: the text, or null when it was fatal.
fn decode(arguments: &Arguments) -> Result<Value, NodeError> {
    let bytes = arguments.bytes(0)?;
    let encoding = encoding(arguments.text(1)?)?;
    let (text, malformed) = if arguments.flag(3) {
        encoding.decode_without_bom_handling(bytes)
    } else {
        encoding.decode_with_bom_removal(bytes)
    };
    if malformed && arguments.flag(2) {
        return Ok(Value::Null);
    }
    Ok(Value::Text(text.into_owned()))
}

/// Bytes and encoding: how many at the end wait for what follows.
fn waits(arguments: &Arguments) -> Result<Value, NodeError> {
    let bytes = arguments.bytes(0)?;
    let encoding = encoding(arguments.text(1)?)?;
    let count = if encoding == UTF_8 {
        match std::str::from_utf8(bytes.split_at(bytes.len().saturating_sub(3)).1) {
            Err(_) => tail_of_utf8(bytes),
            Ok(_) => 0,
        }
    } else if encoding == UTF_16LE || encoding == UTF_16BE {
        let odd = bytes.len() % 2;
        let even = &bytes[..bytes.len() - odd];
        let high = match even {
            [.., _, last] if encoding == UTF_16LE => last & 0xfc == 0xd8,
            [.., first, _] => first & 0xfc == 0xd8,
            _ => false,
        };
        odd + if high { 2 } else { 0 }
    } else if encoding.is_single_byte() || encoding == X_USER_DEFINED {
        0
    } else {
        // Where characters of several bytes begin is known from the start only.
        bytes.len()
    };
    Ok(Value::Number(count as f64))
}

/// How many bytes at the end begin a character that could still be completed.
fn tail_of_utf8(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|count| {
            let tail = &bytes[bytes.len() - count..];
            matches!(std::str::from_utf8(tail), Err(error)
                if error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_more() {
        for (bytes, label, wanted) in [
            (&b"a\xe2\x82"[..], "utf-8", 2.0),
            (b"\xe2\x82\xac", "utf-8", 0.0),
            (b"\xf0\x9f\x98", "utf-8", 3.0),
            (b"\xe0\x80", "utf-8", 0.0),
            (b"\x80\x80\x80", "utf-8", 0.0),
            (b"", "utf-8", 0.0),
            (b"a\0b", "utf-16le", 1.0),
            (b"\x3d\xd8", "utf-16le", 2.0),
            (b"\xd8\x3d\xde", "utf-16be", 3.0),
            (b"\x80", "windows-1252", 0.0),
            (b"ab\x82", "shift_jis", 3.0),
        ] {
            let arguments = [Value::Bytes(bytes.to_vec()), Value::Text(label.into())];
            let count = waits(&Arguments(&arguments)).unwrap();
            assert_eq!(count, Value::Number(wanted), "{bytes:?} {label}");
        }
    }
}
