//! `$dateFromParts` and `$dateToParts`.

use bson::{Bson, Document};

use super::calendar::{DAY_MS, days_of, days_of_iso};
use super::zone::Zone;
use super::{Args, date, is_nullish, made};
use crate::error::{MqlError, Result};
use crate::expression::describe::{kind, shown};
use crate::number::whole;

/// The places of the arguments of `$dateFromParts`.
const YEAR: usize = 0;
const ISO_YEAR: usize = 7;
const TIMEZONE: usize = 10;

const NAMES: [&str; 10] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "isoWeekYear",
    "isoWeek",
    "isoDayOfWeek",
];

/// What `$dateFromParts` is written with, looked at before any document.
pub(in crate::expression) fn check_parts(_: &str, specification: &Document) -> Result<()> {
    let has = |name: &str| specification.contains_key(name);
    let (code, text) = if !has("year") && !has("isoWeekYear") {
        (
            40516,
            "$dateFromParts requires either 'year' or 'isoWeekYear' to be present",
        )
    } else if has("year") && (has("isoWeekYear") || has("isoWeek") || has("isoDayOfWeek")) {
        (
            40489,
            "$dateFromParts does not allow mixing natural dates with ISO dates",
        )
    } else if has("isoWeekYear") && (has("month") || has("day")) {
        (
            40525,
            "$dateFromParts does not allow mixing ISO dates with natural dates",
        )
    } else {
        return Ok(());
    };
    Err(MqlError::new(code, text))
}

/// A part; `None` when it is null.
fn part(args: &Args<'_, '_>, at: usize, or: i64) -> Result<Option<i64>> {
    if args.node(at).is_none() {
        return Ok(Some(or));
    }
    let value = args.owned(at)?;
    if is_nullish(value.as_ref()) {
        return Ok(None);
    }
    let name = NAMES[at];
    let Some(n) = value.as_ref().and_then(whole) else {
        return Err(MqlError::new(
            40515,
            format!(
                "'{name}' must evaluate to an integer, found {} with value {}",
                kind(value.as_ref()),
                shown(value.as_ref())
            ),
        ));
    };
    Ok(Some(n))
}

/// A part that may be a little beyond its range.
fn near(args: &Args<'_, '_>, at: usize, or: i64) -> Result<Option<i64>> {
    let n = part(args, at, or)?;
    match n {
        Some(n) if i16::try_from(n).is_err() => Err(MqlError::new(
            31034,
            format!(
                "'{}' must evaluate to a value in the range [-32768, 32767]; value {n} is not in range",
                NAMES[at]
            ),
        )),
        n => Ok(n),
    }
}

fn year(args: &Args<'_, '_>, at: usize, code: i32) -> Result<Option<i64>> {
    let year = part(args, at, 1970)?;
    match year {
        Some(year) if !(1..=9999).contains(&year) => Err(MqlError::new(
            code,
            format!(
                "'{}' must evaluate to an integer in the range 1 to 9999, found {year}",
                NAMES[at]
            ),
        )),
        year => Ok(year),
    }
}

pub(in crate::expression) fn from_parts(
    _: &'static str,
    args: &Args<'_, '_>,
) -> Result<Option<Bson>> {
    const MONTH: usize = 1;
    const DAY: usize = 2;
    const HOUR: usize = 3;
    const MINUTE: usize = 4;
    const SECOND: usize = 5;
    const MILLISECOND: usize = 6;
    const ISO_WEEK: usize = 8;
    const ISO_DAY: usize = 9;
    let null = Ok(Some(Bson::Null));
    // The first that is null decides, and what comes after it is not asked.
    let Some(hour) = near(args, HOUR, 0)? else {
        return null;
    };
    let Some(minute) = near(args, MINUTE, 0)? else {
        return null;
    };
    let Some(second) = part(args, SECOND, 0)? else {
        return null;
    };
    let Some(millisecond) = part(args, MILLISECOND, 0)? else {
        return null;
    };
    let Some(zone) = Zone::of(
        args.node(TIMEZONE).is_some(),
        args.owned(TIMEZONE)?.as_ref(),
    )?
    else {
        return null;
    };
    let iso = args.node(YEAR).is_none();
    let (first, code, others) = if iso {
        (ISO_YEAR, 31095, [ISO_WEEK, ISO_DAY])
    } else {
        (YEAR, 40523, [MONTH, DAY])
    };
    let Some(year) = year(args, first, code)? else {
        return null;
    };
    let [middle, last] = others;
    let Some(middle) = near(args, middle, 1)? else {
        return null;
    };
    let Some(day) = near(args, last, 1)? else {
        return null;
    };
    let days = if iso {
        days_of_iso(year, middle, day)
    } else {
        days_of(year, middle, day)
    };
    let local = days * DAY_MS + hour * 3_600_000 + minute * 60_000;
    let local = second
        .checked_mul(1000)
        .and_then(|ms| ms.checked_add(millisecond))
        .and_then(|ms| ms.checked_add(local))
        .ok_or_else(|| MqlError::new(15, "date overflow in $dateFromParts"))?;
    Ok(Some(made(zone.moment(local))))
}

pub(in crate::expression) fn to_parts(
    _: &'static str,
    args: &Args<'_, '_>,
) -> Result<Option<Bson>> {
    let value = args.owned(0)?;
    let Some(zone) = Zone::of(args.node(1).is_some(), args.owned(1)?.as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    let iso = match args.node(2) {
        None => Some(false),
        Some(_) => match args.owned(2)? {
            Some(Bson::Boolean(iso)) => Some(iso),
            iso if is_nullish(iso.as_ref()) => None,
            other => {
                return Err(MqlError::new(
                    40521,
                    format!(
                        "iso8601 must evaluate to a bool, found {}",
                        kind(other.as_ref())
                    ),
                ));
            }
        },
    };
    let (Some(iso), Some(value)) = (iso, value.filter(|value| !is_nullish(Some(value)))) else {
        return Ok(Some(Bson::Null));
    };
    let parts = zone.parts(date(&value)?);
    let mut named = if iso {
        let (year, week) = parts.iso_week();
        vec![
            ("isoWeekYear", year),
            ("isoWeek", week),
            ("isoDayOfWeek", parts.iso_day_of_week()),
        ]
    } else {
        vec![
            ("year", parts.year),
            ("month", parts.month),
            ("day", parts.day),
        ]
    };
    named.extend([
        ("hour", parts.hour),
        ("minute", parts.minute),
        ("second", parts.second),
        ("millisecond", parts.millisecond),
    ]);
    let mut document = Document::new();
    for (name, n) in named {
        document.insert(name, Bson::Int32(n as i32));
    }
    Ok(Some(Bson::Document(document)))
}
