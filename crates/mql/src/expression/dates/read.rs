//! `$dateFromString` and strings that are dates.

use bson::{Bson, DateTime};

use super::calendar::{DAY_MS, days_in_month, days_of, days_of_iso};
use super::format::{Piece, pieces};
use super::zone::{UTC, Zone};
use super::{Args, is_nullish, made};
use crate::error::{MqlError, Result};
use crate::expression::describe::{kind, shown};

/// `ConversionFailure`.
const FAILURE: i32 = 241;

fn unreadable(text: &str, why: &str) -> MqlError {
    MqlError::new(
        FAILURE,
        format!("Error parsing date string '{text}'; {why}"),
    )
}

fn incomplete(text: &str) -> MqlError {
    MqlError::new(
        FAILURE,
        format!("an incomplete date/time string has been found, with elements missing: \"{text}\""),
    )
}

/// A date and a time as they were read.
#[derive(Debug, Default, Clone, Copy)]
struct Fields {
    days: Option<i64>,
    time: i64,
    /// Milliseconds east of Greenwich.
    offset: Option<i64>,
}

impl Fields {
    fn moment(self, text: &str, zone: Option<&Zone>) -> Result<i64> {
        let days = self.days.ok_or_else(|| incomplete(text))?;
        let local = days * DAY_MS + self.time;
        match (self.offset, zone) {
            (Some(_), Some(_)) => Err(MqlError::new(
                FAILURE,
                "you cannot pass in a date/time string with GMT offset together with a timezone argument",
            )),
            (Some(offset), None) => Ok(local - offset),
            (None, zone) => Ok(zone.unwrap_or(&UTC).moment(local)),
        }
    }
}

/// The day of a date that must be there.
fn day(text: &str, year: i64, month: i64, day: i64) -> Result<i64> {
    if (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day) {
        Ok(days_of(year, month, day))
    } else {
        Err(unreadable(text, "The parsed date was invalid"))
    }
}

/// The milliseconds of a time that must be there.
fn time(text: &str, hour: i64, minute: i64, second: i64) -> Result<i64> {
    if hour < 24 && minute < 60 && second < 60 {
        Ok(hour * 3_600_000 + minute * 60_000 + second * 1000)
    } else {
        Err(unreadable(text, "The parsed time was invalid"))
    }
}

/// A string as a date, for conversions.
pub(in crate::expression) fn read(text: &str) -> Result<DateTime> {
    Ok(DateTime::from_millis(free(text)?.moment(text, None)?))
}

/// What is left to read of a text.
struct Rest<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Rest<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.peek().filter(|c| wanted(*c))?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        Some(c)
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let length = self
            .rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if length < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        digits.parse().ok()
    }

    fn letters(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.take(char::is_alphabetic) {
            word.push(c.to_ascii_lowercase());
        }
        word
    }

    fn blanks(&mut self) {
        while self.take(|c| matches!(c, ' ' | '\t')).is_some() {}
    }

    /// What is after a decimal point, as milliseconds.
    fn fraction(&mut self) -> i64 {
        let mut milliseconds = 0;
        let mut unit = 100;
        while let Some(digit) = self.take(|c| c.is_ascii_digit()) {
            milliseconds += unit * i64::from(digit.to_digit(10).unwrap_or(0));
            unit /= 10;
        }
        milliseconds
    }

    /// `+HH`, `+HHMM`, `+HH:MM`, in milliseconds.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.take(|c| matches!(c, '+' | '-'))? {
            '-' => -1,
            _ => 1,
        };
        let hours = self.digits(1, 2)?;
        self.take(|c| c == ':');
        let minutes = self.digits(2, 2).unwrap_or(0);
        Some(sign * (hours * 3_600_000 + minutes * 60_000))
    }

    fn wrong(&self) -> MqlError {
        let at = self.text.len() - self.rest.len();
        unreadable(
            self.text,
            &format!(
                "{at}: Unexpected character '{}'",
                self.peek().unwrap_or(' ')
            ),
        )
    }
}

/// Reads a date as people write them.
fn free(text: &str) -> Result<Fields> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(unreadable(text, "0: Empty string ' '"));
    }
    let mut rest = Rest {
        text,
        rest: trimmed,
    };
    if rest.take(|c| c == '@').is_some() {
        let negative = rest.take(|c| c == '-').is_some();
        let seconds = rest.digits(1, 15).ok_or_else(|| rest.wrong())?;
        if !rest.rest.is_empty() {
            return Err(rest.wrong());
        }
        let seconds = if negative { -seconds } else { seconds };
        return Ok(Fields {
            days: Some(seconds.div_euclid(86400)),
            time: seconds.rem_euclid(86400) * 1000,
            offset: Some(0),
        });
    }
    let mut fields = Fields {
        days: Some(free_date(&mut rest)?),
        ..Fields::default()
    };
    let separated = rest.take(|c| matches!(c, 'T' | 't' | ' ')).is_some();
    rest.blanks();
    if separated && rest.peek().is_some_and(|c| c.is_ascii_digit()) {
        let hour = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
        let colons = rest.take(|c| c == ':').is_some();
        let minute = rest.digits(2, 2).unwrap_or(0);
        let more = !colons || rest.take(|c| c == ':').is_some();
        let second = if more {
            rest.digits(2, 2).unwrap_or(0)
        } else {
            0
        };
        fields.time = time(text, hour, minute, second)?;
        if rest.take(|c| matches!(c, '.' | ',')).is_some() {
            fields.time += rest.fraction();
        }
        rest.blanks();
    }
    if !rest.rest.is_empty() {
        fields.offset = Some(free_zone(&mut rest)?);
    }
    if rest.rest.is_empty() {
        Ok(fields)
    } else {
        Err(rest.wrong())
    }
}

fn free_zone(rest: &mut Rest<'_>) -> Result<i64> {
    if matches!(rest.peek(), Some('+' | '-')) {
        return rest.offset().ok_or_else(|| rest.wrong());
    }
    const HOUR_MS: i64 = 3_600_000;
    let hours = match rest.letters().as_str() {
        "z" | "utc" | "gmt" => 0,
        "edt" => -4,
        "est" | "cdt" => -5,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" => -8,
        "bst" | "cet" => 1,
        "cest" | "eet" => 2,
        _ => {
            return Err(unreadable(
                rest.text,
                "passing a time zone identifier as part of the string is not allowed",
            ));
        }
    };
    Ok(hours * HOUR_MS)
}

/// A month's number by its name, or the first three letters of it.
fn month_of(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = MONTHS
        .iter()
        .position(|month| *month == word || (word.len() == 3 && month.starts_with(word)))?;
    Some(at as i64 + 1)
}

fn free_date(rest: &mut Rest<'_>) -> Result<i64> {
    let text = rest.text;
    if rest.peek().is_some_and(char::is_alphabetic) {
        // July 4, 2020
        let month = month_of(&rest.letters()).ok_or_else(|| incomplete(text))?;
        rest.blanks();
        let number = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
        rest.take(|c| c == ',');
        rest.blanks();
        let year = rest.digits(4, 4).ok_or_else(|| incomplete(text))?;
        return day(text, year, month, number);
    }
    if let Some(sign) = rest.take(|c| matches!(c, '+' | '-')) {
        let year = rest.digits(4, 6).ok_or_else(|| incomplete(text))?;
        let year = if sign == '-' { -year } else { year };
        let numbers = dashed(rest).ok_or_else(|| rest.wrong())?;
        return day(text, year, numbers.0, numbers.1);
    }
    let before = rest.rest;
    let Some(first) = rest.digits(1, 4) else {
        return Err(rest.wrong());
    };
    let length = before.len() - rest.rest.len();
    match (length, rest.peek()) {
        // 20200102
        (4, Some(c)) if c.is_ascii_digit() => {
            let (month, number) = (rest.digits(2, 2), rest.digits(2, 2));
            match (month, number) {
                (Some(month), Some(number)) if !rest.peek().is_some_and(|c| c.is_ascii_digit()) => {
                    day(text, first, month, number)
                }
                _ => Err(rest.wrong()),
            }
        }
        (4, Some('/')) => {
            rest.take(|_| true);
            let month = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
            rest.take(|c| c == '/').ok_or_else(|| rest.wrong())?;
            let number = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
            day(text, first, month, number)
        }
        (4, Some('-')) => {
            rest.take(|_| true);
            if rest.take(|c| c == 'W').is_some() {
                let week = rest.digits(2, 2).ok_or_else(|| rest.wrong())?;
                let dashed = rest.take(|c| c == '-').is_some();
                let number = rest.digits(usize::from(dashed), 1).unwrap_or(1);
                return Ok(days_of_iso(first, week, number));
            }
            let started = rest.rest;
            // Three digits are a day of January.
            if let Some(number) = rest.digits(3, 3) {
                if !rest.peek().is_some_and(|c| c.is_ascii_digit()) {
                    return day(text, first, 1, number);
                }
                rest.rest = started;
            }
            let month = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
            if rest.take(|c| c == '-').is_none() {
                return day(text, first, month, 1);
            }
            let number = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
            day(text, first, month, number)
        }
        // Month first with slashes, day first with dashes.
        (1 | 2, Some(separator @ ('/' | '-'))) => {
            rest.take(|_| true);
            let second = rest.digits(1, 2).ok_or_else(|| rest.wrong())?;
            rest.take(|c| c == separator).ok_or_else(|| rest.wrong())?;
            let year = rest.digits(4, 4).ok_or_else(|| rest.wrong())?;
            let (month, number) = if separator == '/' {
                (first, second)
            } else {
                (second, first)
            };
            day(text, year, month, number)
        }
        // 4 July 2020
        (1 | 2, Some(' ')) => {
            rest.blanks();
            let month = month_of(&rest.letters()).ok_or_else(|| rest.wrong())?;
            rest.blanks();
            let year = rest.digits(4, 4).ok_or_else(|| incomplete(text))?;
            day(text, year, month, first)
        }
        _ if rest.rest.is_empty() => Err(incomplete(text)),
        _ => Err(rest.wrong()),
    }
}

fn dashed(rest: &mut Rest<'_>) -> Option<(i64, i64)> {
    rest.take(|c| c == '-')?;
    let month = rest.digits(1, 2)?;
    rest.take(|c| c == '-')?;
    Some((month, rest.digits(1, 2)?))
}

/// Reads a date in a format.
fn formatted(text: &str, format: &[Piece]) -> Result<Fields> {
    let mut rest = Rest { text, rest: text };
    let (mut year, mut month, mut number) = (None, None, None);
    let (mut iso_year, mut week, mut weekday) = (None, None, None);
    let (mut hour, mut minute, mut second, mut fraction) = (0, 0, 0, 0);
    let mut offset = None;
    for piece in format {
        let wrong = |rest: &Rest<'_>, what: &str| {
            let at = text.len() - rest.rest.len();
            unreadable(text, &format!("{at}: {what}"))
        };
        let letter = match piece {
            Piece::Text(c) => {
                if rest.take(|found| found == *c).is_none() {
                    return Err(wrong(&rest, "Format literal not found"));
                }
                continue;
            }
            Piece::Letter(letter) => letter,
        };
        let found = match letter {
            'Y' => {
                year = rest.digits(1, 4);
                year
            }
            'G' => {
                iso_year = rest.digits(1, 4);
                iso_year
            }
            'm' => {
                month = rest.digits(1, 2);
                month
            }
            'd' => {
                number = rest.digits(1, 2);
                number
            }
            'V' => {
                week = rest.digits(1, 2);
                week
            }
            'u' => {
                weekday = rest.digits(1, 1);
                weekday
            }
            'H' => set(&mut hour, rest.digits(1, 2)),
            'M' => set(&mut minute, rest.digits(2, 2)),
            'S' => set(&mut second, rest.digits(2, 2)),
            'L' => {
                let given = rest.peek().filter(char::is_ascii_digit).map(|_| 0);
                fraction = rest.fraction();
                given
            }
            'Z' => {
                let sign = rest.take(|c| matches!(c, '+' | '-'));
                let minutes = sign.and_then(|_| rest.digits(1, 4));
                offset = minutes
                    .map(|minutes| if sign == Some('-') { -minutes } else { minutes } * 60_000);
                offset
            }
            _ => {
                offset = if rest.take(|c| matches!(c, 'Z' | 'z')).is_some() {
                    Some(0)
                } else {
                    rest.offset()
                };
                offset
            }
        };
        if found.is_none() {
            return Err(wrong(&rest, "Unexpected data found."));
        }
    }
    if !rest.rest.is_empty() {
        let at = text.len() - rest.rest.len();
        return Err(unreadable(
            text,
            &format!("{at}: Trailing data '{}'", rest.peek().unwrap_or(' ')),
        ));
    }
    let days = match (year, month, number, iso_year, week) {
        (Some(year), Some(month), Some(number), ..) => Some(day(text, year, month, number)?),
        (_, _, _, Some(year), Some(week)) => Some(days_of_iso(year, week, weekday.unwrap_or(1))),
        _ => None,
    };
    Ok(Fields {
        days,
        time: time(text, hour, minute, second)? + fraction,
        offset,
    })
}

fn set(place: &mut i64, value: Option<i64>) -> Option<i64> {
    if let Some(value) = value {
        *place = value;
    }
    value
}

/// `$dateFromString`: `dateString`, `format`, `timezone`, `onError`, `onNull`.
pub(in crate::expression) fn from_string(
    _: &'static str,
    args: &Args<'_, '_>,
) -> Result<Option<Bson>> {
    let value = args.owned(0)?;
    let format = match args.node(1) {
        None => Some(None),
        Some(_) => match args.owned(1)? {
            Some(Bson::String(format)) => Some(Some(pieces(&format, "dGHLmMSuVYzZ")?)),
            format if is_nullish(format.as_ref()) => None,
            other => {
                return Err(MqlError::new(
                    40684,
                    format!(
                        "$dateFromString requires that 'format' be a string, found: {} with value {}",
                        kind(other.as_ref()),
                        shown(other.as_ref())
                    ),
                ));
            }
        },
    };
    let given = args.node(2).is_some();
    let zone = Zone::of(given, args.owned(2)?.as_ref())?;
    if is_nullish(value.as_ref()) {
        return match args.node(4) {
            Some(_) => args.owned(4),
            None => Ok(Some(Bson::Null)),
        };
    }
    let read = match &value {
        Some(Bson::String(text)) => {
            let (Some(format), Some(zone)) = (format, zone) else {
                return Ok(Some(Bson::Null));
            };
            match &format {
                Some(format) => formatted(text, format),
                None => free(text),
            }
            .and_then(|fields| fields.moment(text, Some(&zone).filter(|_| given)))
        }
        other => Err(MqlError::new(
            FAILURE,
            format!(
                "$dateFromString requires that 'dateString' be a string, found: {} with value {}",
                kind(other.as_ref()),
                shown(other.as_ref())
            ),
        )),
    };
    match read {
        Ok(moment) => Ok(Some(made(moment))),
        Err(error) if error.code == FAILURE && args.node(3).is_some() => args.owned(3),
        Err(error) => Err(error),
    }
}
