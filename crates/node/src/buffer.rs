//! `buffer`: encodings, comparing and searching of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use memchr::memmem;

use crate::{NodeError, Value, arguments::Arguments};

/// Runs `buffer.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let arguments = Arguments(arguments);
    Some(match name {
        "encode" => encode(&arguments),
        "decode" => decode(&arguments),
        "length" => arguments
            .text(0)
            .map(|text| Value::Number(text.len() as f64)),
        "compare" => compare(&arguments),
        "find" => find(&arguments),
        "isUtf8" => arguments
            .bytes(0)
            .map(|bytes| Value::Bool(std::str::from_utf8(bytes).is_ok())),
        "isAscii" => arguments
            .bytes(0)
            .map(|bytes| Value::Bool(bytes.is_ascii())),
        _ => return None,
    })
}

/// Text and encoding to bytes. What an encoding cannot read, it leaves out.
fn encode(arguments: &Arguments) -> Result<Value, NodeError> {
    let text = arguments.text(0)?;
    Ok(Value::Bytes(match arguments.text(1)? {
        "utf8" => text.as_bytes().to_vec(),
        "latin1" | "ascii" if text.is_ascii() => text.as_bytes().to_vec(),
        "latin1" | "ascii" => text.encode_utf16().map(|unit| unit as u8).collect(),
        "hex" => from_hex(text),
        "base64" | "base64url" => from_base64(text),
        other => return Err(unknown(other)),
    }))
}

/// Bytes and encoding to text.
fn decode(arguments: &Arguments) -> Result<Value, NodeError> {
    let bytes = arguments.bytes(0)?;
    Ok(Value::Text(match arguments.text(1)? {
        "utf8" => String::from_utf8_lossy(bytes).into_owned(),
        "latin1" => bytes.iter().copied().map(char::from).collect(),
        "ascii" => bytes.iter().map(|byte| char::from(byte & 0x7f)).collect(),
        "hex" => hex::encode(bytes),
        "base64" => STANDARD.encode(bytes),
        "base64url" => URL_SAFE_NO_PAD.encode(bytes),
        other => return Err(unknown(other)),
    }))
}

fn unknown(encoding: &str) -> NodeError {
    NodeError {
        name: "TypeError",
        message: format!("Unknown encoding: {encoding}"),
        code: "ERR_UNKNOWN_ENCODING",
    }
}

/// Pairs of digits up to the first that is none.
fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map_while(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
        .collect()
}

/// Both alphabets, up to the first `=`; other characters are skipped.
fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn compare(arguments: &Arguments) -> Result<Value, NodeError> {
    let order = arguments.bytes(0)?.cmp(arguments.bytes(1)?);
    Ok(Value::Number(f64::from(order as i8)))
}

/// Haystack, needle, start, whether forward, step: the place or -1.
fn find(arguments: &Arguments) -> Result<Value, NodeError> {
    let (haystack, needle) = (arguments.bytes(0)?, arguments.bytes(1)?);
    let start = (arguments.number(2)?.max(0.0) as usize).min(haystack.len());
    let forward = arguments.flag(3);
    let step = if arguments.number(4)? == 2.0 { 2 } else { 1 };
    let found = if needle.is_empty() {
        Some(start)
    } else if step == 2 {
        // A place that is not aligned may overlap one that is: each is tried.
        let is_there = |place: &usize| haystack[*place..].starts_with(needle);
        let mut places = (0..haystack.len()).step_by(2);
        if forward {
            places.find(|place| *place >= start & !1 && is_there(place))
        } else {
            places.rfind(|place| *place <= start && is_there(place))
        }
    } else if forward {
        memmem::find(&haystack[start..], needle).map(|place| place + start)
    } else {
        let end = start.saturating_add(needle.len()).min(haystack.len());
        memmem::rfind(&haystack[..end], needle)
    };
    Ok(Value::Number(found.map_or(-1.0, |place| place as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_node_reads_it() {
        for (text, bytes) in [
            ("YQ==YQ==", &b"a"[..]),
            ("YQ", b"a"),
            ("Y", b""),
            ("YW-_+/", b"ao\xbf\xfb"),
            ("Y W\nI=", b"ab"),
            ("=YQ", b""),
            ("", b""),
        ] {
            assert_eq!(from_base64(text), bytes, "{text}");
        }
    }

    #[test]
    fn hexadecimal_ends_at_what_is_none() {
        assert_eq!(from_hex("abzz"), b"\xab");
        assert_eq!(from_hex("abc"), b"\xab");
        assert_eq!(from_hex("\u{e9}0"), b"");
    }

    #[test]
    fn searches_are_aligned() {
        let place = |haystack: &[u8], needle: &[u8], start: f64, forward, step| {
            let arguments = [
                Value::Bytes(haystack.to_vec()),
                Value::Bytes(needle.to_vec()),
                Value::Number(start),
                Value::Bool(forward),
                Value::Number(step),
            ];
            find(&Arguments(&arguments)).unwrap()
        };
        assert_eq!(place(b"abab", b"ab", 1.0, true, 1.0), Value::Number(2.0));
        assert_eq!(place(b"abab", b"ab", 1.0, false, 1.0), Value::Number(0.0));
        assert_eq!(place(b"\0aaaa", b"aa", 0.0, true, 2.0), Value::Number(2.0));
        assert_eq!(place(b"\0aaaa", b"aa", 4.0, false, 2.0), Value::Number(2.0));
        assert_eq!(place(b"xaax", b"aa", 0.0, true, 2.0), Value::Number(-1.0));
        assert_eq!(place(b"", b"a", 9.0, true, 1.0), Value::Number(-1.0));
    }
}
