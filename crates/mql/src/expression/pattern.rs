//! `$regexMatch`, `$regexFind` and `$regexFindAll`.

use bson::{Bson, Document};

use super::{Args, is_nullish};
use crate::error::{MqlError, Result};
use crate::regex::{Groups, Regex};

pub(super) fn find(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let input = match args.owned(0)? {
        Some(Bson::String(text)) => Some(text),
        input if is_nullish(input.as_ref()) => None,
        _ => {
            return Err(MqlError::new(
                51104,
                format!("{name} needs 'input' to be of type string"),
            ));
        }
    };
    let regex = match args.compiled() {
        Some(regex) => regex.cloned(),
        None => compile(name, args.owned(1)?, args.owned(2)?)?,
    };
    let (Some(input), Some(regex)) = (input, regex) else {
        return Ok(Some(match name {
            "$regexMatch" => Bson::Boolean(false),
            "$regexFind" => Bson::Null,
            _ => Bson::Array(Vec::new()),
        }));
    };
    Ok(Some(match name {
        "$regexMatch" => Bson::Boolean(regex.is_match(&input)?),
        "$regexFind" => match regex.find_from(&input, 0)? {
            Some(groups) => described(&input, &groups, &mut Points::default()),
            None => Bson::Null,
        },
        _ => Bson::Array(all(&input, &regex)?),
    }))
}

/// `None` of null.
pub(super) fn compile(
    name: &str,
    regex: Option<Bson>,
    options: Option<Bson>,
) -> Result<Option<Regex>> {
    let (pattern, own) = match regex {
        Some(Bson::String(pattern)) => (Some(pattern), String::new()),
        Some(Bson::RegularExpression(regex)) => (
            Some(regex.pattern.as_str().to_owned()),
            regex.options.as_str().to_owned(),
        ),
        regex if is_nullish(regex.as_ref()) => (None, String::new()),
        _ => {
            return Err(MqlError::new(
                51105,
                format!("{name} needs 'regex' to be of type string or regex"),
            ));
        }
    };
    let options = match options {
        Some(Bson::String(options)) => {
            if !own.is_empty() {
                return Err(MqlError::new(
                    51107,
                    format!(
                        "{name}: found regex option(s) specified in both 'regex' and 'option' fields"
                    ),
                ));
            }
            options
        }
        options if is_nullish(options.as_ref()) => own,
        _ => {
            return Err(MqlError::new(
                51106,
                format!("{name} needs 'options' to be of type string"),
            ));
        }
    };
    if options.contains('\0') {
        return Err(MqlError::new(
            51110,
            format!("{name}: regular expression options cannot contain an embedded null byte"),
        ));
    }
    let Some(pattern) = pattern else {
        // The options are looked at all the same.
        return Regex::new("", &options)
            .map(|_| None)
            .map_err(|error| MqlError::new(error.code, format!("{name}{}", error.message)));
    };
    if pattern.contains('\0') {
        return Err(MqlError::new(
            51109,
            format!("{name}: regular expression cannot contain an embedded null byte"),
        ));
    }
    Regex::new(&pattern, &options).map(Some).map_err(|error| {
        if error.code == 51108 {
            MqlError::new(51108, format!("{name}{}", error.message))
        } else {
            MqlError::new(51111, format!("Invalid Regex in {name}: {}", error.message))
        }
    })
}

fn all(input: &str, regex: &Regex) -> Result<Vec<Bson>> {
    let mut found = Vec::new();
    let mut points = Points::default();
    let mut from = 0;
    while let Some(groups) = regex.find_from(input, from)? {
        let Some(whole) = groups.first().cloned().flatten() else {
            break;
        };
        found.push(described(input, &groups, &mut points));
        from = if whole.is_empty() {
            // Past the next character, so that nothing is found twice.
            match input.get(whole.end..).and_then(|rest| rest.chars().next()) {
                Some(c) => whole.end + c.len_utf8(),
                None => break,
            }
        } else {
            whole.end
        };
        // Nothing is looked for at the very end.
        if from >= input.len() {
            break;
        }
    }
    Ok(found)
}

/// Counts characters up to a byte, going on from where it was.
#[derive(Default)]
struct Points {
    byte: usize,
    point: usize,
}

impl Points {
    fn at(&mut self, text: &str, byte: usize) -> usize {
        let passed = text.get(self.byte..byte).unwrap_or_default();
        self.point += passed.chars().count();
        self.byte = byte;
        self.point
    }
}

fn described(input: &str, groups: &Groups, points: &mut Points) -> Bson {
    let text = |range: &std::ops::Range<usize>| {
        Bson::String(input.get(range.clone()).unwrap_or_default().to_owned())
    };
    let mut document = Document::new();
    let whole = groups.first().cloned().flatten().unwrap_or(0..0);
    document.insert("match", text(&whole));
    document.insert("idx", points.at(input, whole.start) as i32);
    let captures = groups.iter().skip(1);
    let captures = captures.map(|group| group.as_ref().map_or(Bson::Null, text));
    document.insert("captures", Bson::Array(captures.collect()));
    Bson::Document(document)
}
