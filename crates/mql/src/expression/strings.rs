//! Strings.

use bson::Bson;

use super::arrays::bound;
use super::coerce::{long, text};
use super::describe::{kind, shown};
use super::{Args, is_nullish};
use crate::error::{MqlError, Result};
use crate::number::{is_number, whole_i32};

pub(super) fn concat(_: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let mut all = String::new();
    for at in 0..args.len() {
        match args.get(at)?.as_deref() {
            None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Bson::Null)),
            Some(Bson::String(text)) => all.push_str(text),
            other => {
                return Err(MqlError::new(
                    16702,
                    format!("$concat only supports strings, not {}", kind(other)),
                ));
            }
        }
    }
    Ok(Some(Bson::String(all)))
}

/// `$toLower`, `$toUpper`, of ASCII letters.
pub(super) fn cased(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let text = text(values[0].as_ref())?;
    Ok(Some(Bson::String(if name == "$toLower" {
        text.to_ascii_lowercase()
    } else {
        text.to_ascii_uppercase()
    })))
}

pub(super) fn strcasecmp(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let (a, b) = (text(values[0].as_ref())?, text(values[1].as_ref())?);
    let order = a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase());
    Ok(Some(Bson::Int32(order as i32)))
}

/// `$strLenBytes`, `$strLenCP`.
pub(super) fn length(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let bytes = name == "$strLenBytes";
    let Some(Bson::String(text)) = &values[0] else {
        return Err(MqlError::new(
            if bytes { 34473 } else { 34471 },
            format!(
                "{name} requires a string argument, found: {}",
                kind(values[0].as_ref())
            ),
        ));
    };
    let length = if bytes {
        text.len()
    } else {
        text.chars().count()
    };
    Ok(Some(Bson::Int32(length as i32)))
}

/// `$substr`, `$substrBytes`.
pub(super) fn substring_bytes(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let source = text(values[0].as_ref())?;
    for (value, code, what) in [
        (&values[1], 16034, "starting index"),
        (&values[2], 16035, "length"),
    ] {
        if !value.as_ref().is_some_and(is_number) {
            return Err(MqlError::new(
                code,
                format!(
                    "$substrBytes:  {what} must be a numeric type (is BSON type {})",
                    kind(value.as_ref())
                ),
            ));
        }
    }
    let number = |at: usize| values[at].as_ref().map_or(Ok(0), long);
    let (start, length) = (number(1)?, number(2)?);
    let Ok(start) = usize::try_from(start) else {
        return Err(MqlError::new(
            50752,
            format!("$substrBytes:  starting index must be non-negative (got: {start})"),
        ));
    };
    if start >= source.len() {
        return Ok(Some(Bson::String(String::new())));
    }
    let end = usize::try_from(length).map_or(source.len(), |length| {
        start.saturating_add(length).min(source.len())
    });
    for (at, code, what) in [
        (start, 28656, "starting index is a UTF-8 continuation byte."),
        (
            end,
            28657,
            "ending index is in the middle of a UTF-8 character.",
        ),
    ] {
        if !source.is_char_boundary(at) {
            return Err(MqlError::new(
                code,
                format!("$substrBytes:  Invalid range, {what}"),
            ));
        }
    }
    Ok(Some(Bson::String(
        source.get(start..end).unwrap_or_default().to_owned(),
    )))
}

/// `$substrCP`.
pub(super) fn substring_points(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let source = text(values[0].as_ref())?;
    let mut numbers = [0; 2];
    for ((value, number), (not_number, not_whole, what)) in values[1..]
        .iter()
        .zip(&mut numbers)
        .zip([(34450, 34451, "starting index"), (34452, 34453, "length")])
    {
        if !value.as_ref().is_some_and(is_number) {
            return Err(MqlError::new(
                not_number,
                format!(
                    "$substrCP: {what} must be a numeric type (is BSON type {})",
                    kind(value.as_ref())
                ),
            ));
        }
        *number = value.as_ref().and_then(whole_i32).ok_or_else(|| {
            MqlError::new(
                not_whole,
                format!(
                    "$substrCP: {what} cannot be represented as a 32-bit integral value: {}",
                    shown(value.as_ref())
                ),
            )
        })?;
    }
    let [start, length] = numbers;
    let Ok(length) = usize::try_from(length) else {
        return Err(MqlError::new(
            34454,
            "$substrCP: length must be a nonnegative integer.",
        ));
    };
    let Ok(start) = usize::try_from(start) else {
        return Err(MqlError::new(
            34455,
            "$substrCP: the starting index must be nonnegative integer.",
        ));
    };
    let part = source.chars().skip(start).take(length);
    Ok(Some(Bson::String(part.collect())))
}

pub(super) fn split(_: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    if values.iter().any(|value| is_nullish(value.as_ref())) {
        return Ok(Some(Bson::Null));
    }
    let string = |at: usize, code: i32, which: &str| match &values[at] {
        Some(Bson::String(text)) => Ok(text),
        other => Err(MqlError::new(
            code,
            format!(
                "$split requires an expression that evaluates to a string as a {which} argument, found: {}",
                kind(other.as_ref())
            ),
        )),
    };
    let text = string(0, 40085, "first")?;
    let by = string(1, 40086, "second")?;
    if by.is_empty() {
        return Err(MqlError::new(
            40087,
            "$split requires a non-empty separator",
        ));
    }
    let parts = text
        .split(by.as_str())
        .map(|part| Bson::String(part.to_owned()));
    Ok(Some(Bson::Array(parts.collect())))
}

/// `$indexOfBytes`, `$indexOfCP`.
pub(super) fn index_of(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    if is_nullish(values[0].as_ref()) {
        return Ok(Some(Bson::Null));
    }
    let of_bytes = name == "$indexOfBytes";
    let string = |at: usize, code: i32, which: &str| match &values[at] {
        Some(Bson::String(text)) => Ok(text.as_str()),
        other => Err(MqlError::new(
            code,
            format!(
                "{name} requires a string as the {which} argument, found: {}",
                kind(other.as_ref())
            ),
        )),
    };
    let text = string(0, if of_bytes { 40091 } else { 40093 }, "first")?;
    let wanted = string(1, if of_bytes { 40092 } else { 40094 }, "second")?;
    // Where each character, or each byte, begins.
    let places: Vec<usize> = if of_bytes {
        (0..text.len()).collect()
    } else {
        text.char_indices().map(|(at, _)| at).collect()
    };
    let start = match values.get(2) {
        Some(start) => bound(name, start.as_ref(), "starting")?,
        None => 0,
    };
    let end = match values.get(3) {
        Some(end) => bound(name, end.as_ref(), "ending")?.min(places.len()),
        None => places.len(),
    };
    if start > places.len() || end < start {
        return Ok(Some(Bson::Int32(-1)));
    }
    let byte_of = |at: usize| places.get(at).copied().unwrap_or(text.len());
    let limit = byte_of(end);
    // An empty string is at the end of bytes, but not of characters.
    let last = if of_bytes || text.is_empty() {
        end + 1
    } else {
        end
    };
    let found = (start..last).find(|&at| {
        let from = byte_of(at);
        // What begins before the end of characters may go beyond it.
        (!of_bytes || from + wanted.len() <= limit)
            && text.as_bytes()[from..].starts_with(wanted.as_bytes())
    });
    Ok(Some(Bson::Int32(found.map_or(-1, |at| at as i32))))
}

/// `$trim`, `$ltrim`, `$rtrim`.
pub(super) fn trim(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let input = args.owned(0)?;
    if is_nullish(input.as_ref()) {
        return Ok(Some(Bson::Null));
    }
    let Some(Bson::String(input)) = &input else {
        return Err(MqlError::new(
            50699,
            format!(
                "{name} requires its input to be a string, got {} (of type {}) instead.",
                shown(input.as_ref()),
                kind(input.as_ref())
            ),
        ));
    };
    let characters: Option<Vec<char>> = match args.node(1) {
        None => None,
        Some(_) => match args.owned(1)? {
            Some(Bson::String(text)) => Some(text.chars().collect()),
            chars if is_nullish(chars.as_ref()) => return Ok(Some(Bson::Null)),
            chars => {
                return Err(MqlError::new(
                    50700,
                    format!(
                        "{name} requires 'chars' to be a string, got {} (of type {}) instead.",
                        shown(chars.as_ref()),
                        kind(chars.as_ref())
                    ),
                ));
            }
        },
    };
    let strip = |c: char| match &characters {
        Some(characters) => characters.contains(&c),
        None => is_blank(c),
    };
    let trimmed = match name {
        "$trim" => input.trim_matches(strip),
        "$ltrim" => input.trim_start_matches(strip),
        _ => input.trim_end_matches(strip),
    };
    Ok(Some(Bson::String(trimmed.to_owned())))
}

/// What is trimmed when nothing else is asked for.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\0' | '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
    )
}

/// `$replaceOne`, `$replaceAll`.
pub(super) fn replace(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let values = args.all()?;
    for (value, (code, what)) in
        values
            .iter()
            .zip([(51746, "input"), (51745, "find"), (51744, "replacement")])
    {
        if !is_nullish(value.as_ref()) && !matches!(value, Some(Bson::String(_))) {
            return Err(MqlError::new(
                code,
                format!(
                    "{name} requires that '{what}' be a string, found: {}",
                    shown(value.as_ref())
                ),
            ));
        }
    }
    let [
        Some(Bson::String(input)),
        Some(Bson::String(find)),
        Some(Bson::String(by)),
    ] = values.as_slice()
    else {
        return Ok(Some(Bson::Null));
    };
    Ok(Some(Bson::String(if name == "$replaceOne" {
        input.replacen(find.as_str(), by, 1)
    } else {
        input.replace(find.as_str(), by)
    })))
}
