//! `$dateToString`.

use std::fmt::Write as _;

use bson::Bson;

use super::zone::Zone;
use super::{Args, date, is_nullish};
use crate::error::{MqlError, Result};
use crate::expression::describe::{kind, shown};

/// What a date is written in when no format is asked for.
const DEFAULT: &str = "%Y-%m-%dT%H:%M:%S.%LZ";

/// A format in pieces: text, or the letter after a `%`.
pub(super) enum Piece {
    Text(char),
    Letter(char),
}

/// Reads a format that may have the letters of `known`.
pub(super) fn pieces(format: &str, known: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            pieces.push(Piece::Text(letter));
            continue;
        }
        match letters.next() {
            None => {
                return Err(MqlError::new(
                    18535,
                    "Unmatched '%' at end of format string",
                ));
            }
            Some('%') => pieces.push(Piece::Text('%')),
            Some(letter) if known.contains(letter) => pieces.push(Piece::Letter(letter)),
            Some(letter) => {
                return Err(MqlError::new(
                    18536,
                    format!("Invalid format character '%{letter}' in format string"),
                ));
            }
        }
    }
    Ok(pieces)
}

pub(in crate::expression) fn to_string(
    _: &'static str,
    args: &Args<'_, '_>,
) -> Result<Option<Bson>> {
    let value = args.owned(0)?;
    let format = if args.node(1).is_some() {
        args.owned(1)?
    } else {
        Some(Bson::String(DEFAULT.to_owned()))
    };
    let format = match format {
        Some(Bson::String(format)) => Some(pieces(&format, "dGHjLmMSUuVwYzZ")?),
        format if is_nullish(format.as_ref()) => None,
        other => {
            return Err(MqlError::new(
                18533,
                format!(
                    "$dateToString requires that 'format' be a string, found: {} with value {}",
                    kind(other.as_ref()),
                    shown(other.as_ref())
                ),
            ));
        }
    };
    let zone = Zone::of(args.node(2).is_some(), args.owned(2)?.as_ref())?;
    let Some(value) = value.filter(|value| !is_nullish(Some(value))) else {
        return match args.node(3) {
            Some(_) => args.owned(3),
            None => Ok(Some(Bson::Null)),
        };
    };
    let (Some(format), Some(zone)) = (format, zone) else {
        return Ok(Some(Bson::Null));
    };
    let moment = date(&value)?;
    written(&format, moment, &zone).map(|text| Some(Bson::String(text)))
}

fn written(format: &[Piece], moment: i64, zone: &Zone) -> Result<String> {
    let parts = zone.parts(moment);
    let in_range = |year: i64| {
        if (0..=9999).contains(&year) {
            Ok(year)
        } else {
            Err(MqlError::new(
                18537,
                format!("$dateToString is only defined on year 0-9999, tried to use year {year}"),
            ))
        }
    };
    let mut out = String::new();
    for piece in format {
        let letter = match piece {
            Piece::Text(c) => {
                out.push(*c);
                continue;
            }
            Piece::Letter(letter) => letter,
        };
        let minutes = || zone.offset_at(moment) / 60_000;
        let (number, width) = match letter {
            'Y' => (in_range(parts.year)?, 4),
            'G' => (in_range(parts.iso_week().0)?, 4),
            'm' => (parts.month, 2),
            'd' => (parts.day, 2),
            'H' => (parts.hour, 2),
            'M' => (parts.minute, 2),
            'S' => (parts.second, 2),
            'L' => (parts.millisecond, 3),
            'j' => (parts.day_of_year, 3),
            'w' => (parts.day_of_week, 1),
            'u' => (parts.iso_day_of_week(), 1),
            'U' => (parts.week(), 2),
            'V' => (parts.iso_week().1, 2),
            'Z' => (minutes(), 1),
            // Hours and minutes.
            _ => {
                let minutes = minutes();
                out.push(if minutes < 0 { '-' } else { '+' });
                (minutes.abs() / 60 * 100 + minutes.abs() % 60, 4)
            }
        };
        // Writing to a string does not fail.
        let _ = write!(out, "{number:0width$}");
    }
    Ok(out)
}
