//! Strings.

use bson::Bson;

use super::convert::{coerce, type_name};
use super::is_nullish;
use crate::error::{MqlError, Result};
use crate::number::whole;

pub(super) fn call(name: &str, values: &[Option<Bson>]) -> Result<Option<Option<Bson>>> {
    let text = |index: usize| values.get(index).and_then(Option::as_ref);
    Ok(Some(match name {
        "$concat" => {
            let mut all = String::new();
            for value in values {
                match value {
                    None | Some(Bson::Null | Bson::Undefined) => return Ok(Some(Some(Bson::Null))),
                    Some(Bson::String(text)) => all.push_str(text),
                    Some(other) => {
                        return Err(MqlError::new(
                            16702,
                            format!("$concat only supports strings, not {}", type_name(other)),
                        ));
                    }
                }
            }
            Some(Bson::String(all))
        }
        "$toLower" => Some(Bson::String(coerce(text(0), 16007)?.to_ascii_lowercase())),
        "$toUpper" => Some(Bson::String(coerce(text(0), 16007)?.to_ascii_uppercase())),
        "$strcasecmp" => {
            let (a, b) = (coerce(text(0), 16007)?, coerce(text(1), 16007)?);
            let order = a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase());
            Some(Bson::Int32(order as i32))
        }
        "$strLenCP" | "$strLenBytes" => match text(0) {
            Some(Bson::String(text)) => Some(Bson::Int32(if name == "$strLenCP" {
                text.chars().count()
            } else {
                text.len()
            } as i32)),
            other => {
                return Err(MqlError::new(
                    34471,
                    format!(
                        "{name} requires a string argument, found: {}",
                        other.map_or("missing", type_name)
                    ),
                ));
            }
        },
        "$substr" | "$substrBytes" | "$substrCP" => Some(substring(name, values)?),
        "$split" => match (text(0), text(1)) {
            (None | Some(Bson::Null), _) | (_, None | Some(Bson::Null)) => Some(Bson::Null),
            (Some(Bson::String(_)), Some(Bson::String(by))) if by.is_empty() => {
                return Err(MqlError::new(
                    40087,
                    "$split requires a non-empty separator",
                ));
            }
            (Some(Bson::String(text)), Some(Bson::String(by))) => Some(Bson::Array(
                text.split(by.as_str())
                    .map(|part| Bson::String(part.to_owned()))
                    .collect(),
            )),
            (a, _) => {
                return Err(MqlError::new(
                    40085,
                    format!(
                        "$split requires an expression that evaluates to a string as a first argument, found: {}",
                        a.map_or("missing", type_name)
                    ),
                ));
            }
        },
        "$indexOfCP" => Some(index_of(values)?),
        _ => return Ok(None),
    }))
}

fn substring(name: &str, values: &[Option<Bson>]) -> Result<Bson> {
    let text = coerce(values[0].as_ref(), 16034)?;
    let number = |index: usize| {
        values[index].as_ref().and_then(whole).ok_or_else(|| {
            MqlError::new(
                16034,
                format!("{name}: starting index and length must be numbers"),
            )
        })
    };
    let (start, length) = (number(1)?, number(2)?);
    if name == "$substrCP" {
        if start < 0 || length < 0 {
            return Err(MqlError::new(
                34455,
                "$substrCP: the starting index and length must be non-negative integers",
            ));
        }
        let part = text.chars().skip(start as usize).take(length as usize);
        return Ok(Bson::String(part.collect()));
    }
    if start < 0 {
        return Err(MqlError::new(
            50752,
            format!("{name}: starting index must be non-negative"),
        ));
    }
    let start = start as usize;
    if start >= text.len() {
        return Ok(Bson::String(String::new()));
    }
    let end = if length < 0 {
        text.len()
    } else {
        start.saturating_add(length as usize).min(text.len())
    };
    match text.get(start..end) {
        Some(part) => Ok(Bson::String(part.to_owned())),
        None => Err(MqlError::new(
            28656,
            format!(
                "{name}: Invalid range, starting or ending index is in the middle of a UTF-8 character."
            ),
        )),
    }
}

fn index_of(values: &[Option<Bson>]) -> Result<Bson> {
    let (text, wanted) = match (&values[0], &values[1]) {
        (None | Some(Bson::Null), _) => return Ok(Bson::Null),
        (Some(Bson::String(text)), Some(Bson::String(wanted))) => (text, wanted),
        _ => {
            return Err(MqlError::new(
                40093,
                "$indexOfCP requires strings as arguments",
            ));
        }
    };
    let bound = |index: usize| values.get(index).and_then(Option::as_ref).and_then(whole);
    let characters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = wanted.chars().collect();
    let start = bound(2).unwrap_or(0).max(0) as usize;
    let end = bound(3).map_or(characters.len(), |end| {
        (end.max(0) as usize).min(characters.len())
    });
    let found = (start..=end.saturating_sub(wanted.len()))
        .find(|&at| at + wanted.len() <= end && characters[at..].starts_with(&wanted));
    Ok(Bson::Int32(found.map_or(-1, |at| at as i32)))
}

/// `$trim` and its kin, `$replaceOne`, `$replaceAll`, `$regexMatch`.
pub(super) fn named(
    name: &str,
    value: &dyn Fn(&str) -> Result<Option<Bson>>,
) -> Result<Option<Bson>> {
    let input = value("input")?;
    if name == "$regexMatch" {
        return regex_match(input, value);
    }
    if is_nullish(input.as_ref()) {
        return Ok(Some(Bson::Null));
    }
    let Some(Bson::String(input)) = input else {
        return Err(MqlError::new(
            50699,
            format!("{name} requires its input to be a string"),
        ));
    };
    Ok(Some(match name {
        "$trim" | "$ltrim" | "$rtrim" => {
            let characters: Option<Vec<char>> = match value("chars")? {
                Some(Bson::String(text)) => Some(text.chars().collect()),
                Some(Bson::Null) => return Ok(Some(Bson::Null)),
                _ => None,
            };
            let strip = |c: char| match &characters {
                Some(characters) => characters.contains(&c),
                None => c.is_whitespace() || c == '\0',
            };
            let trimmed = match name {
                "$trim" => input.trim_matches(strip),
                "$ltrim" => input.trim_start_matches(strip),
                _ => input.trim_end_matches(strip),
            };
            Bson::String(trimmed.to_owned())
        }
        _ => match (value("find")?, value("replacement")?) {
            (Some(Bson::String(find)), Some(Bson::String(replacement))) => {
                Bson::String(if name == "$replaceOne" {
                    input.replacen(&find, &replacement, 1)
                } else {
                    input.replace(&find, &replacement)
                })
            }
            (a, b) if is_nullish(a.as_ref()) || is_nullish(b.as_ref()) => Bson::Null,
            _ => {
                return Err(MqlError::new(
                    51745,
                    format!("{name} requires that 'find' and 'replacement' be strings"),
                ));
            }
        },
    }))
}

fn regex_match(
    input: Option<Bson>,
    value: &dyn Fn(&str) -> Result<Option<Bson>>,
) -> Result<Option<Bson>> {
    let options = match value("options")? {
        Some(Bson::String(options)) => options,
        _ => String::new(),
    };
    let regex = match value("regex")? {
        Some(Bson::String(pattern)) => crate::regex::Regex::new(&pattern, &options)?,
        Some(Bson::RegularExpression(regex)) => {
            let own = regex.options.as_str();
            let options = if own.is_empty() {
                options.as_str()
            } else {
                own
            };
            crate::regex::Regex::new(regex.pattern.as_str(), options)?
        }
        other if is_nullish(other.as_ref()) => return Ok(Some(Bson::Boolean(false))),
        _ => {
            return Err(MqlError::new(
                51105,
                "$regexMatch needs 'regex' to be of type string or regex",
            ));
        }
    };
    Ok(Some(Bson::Boolean(match input {
        Some(Bson::String(text)) => regex.is_match(&text)?,
        other if is_nullish(other.as_ref()) => false,
        _ => {
            return Err(MqlError::new(
                51104,
                "$regexMatch needs 'input' to be of type string",
            ));
        }
    })))
}
