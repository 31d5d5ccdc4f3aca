//! Dates, in UTC and in time zones.

mod calendar;
mod format;
mod parts;
mod read;
mod units;
mod zone;

use bson::{Bson, DateTime, Timestamp};

use super::convert::type_name;
use super::describe::kind;
use super::{Args, is_nullish};
use crate::error::{MqlError, Result};
use calendar::Parts;
use zone::Zone;

pub(super) use format::to_string;
pub(super) use parts::{check_parts, from_parts, to_parts};
pub(super) use read::{from_string, read};
pub(crate) use units::{Unit, moved_in_utc as moved};
pub(super) use units::{add, check_add, diff, trunc};

/// A date's milliseconds.
fn date(value: &Bson) -> Result<i64> {
    match value {
        Bson::DateTime(date) => Ok(date.timestamp_millis()),
        Bson::Timestamp(at) => Ok(i64::from(at.time) * 1000),
        Bson::ObjectId(id) => Ok(id.timestamp().timestamp_millis()),
        other => Err(MqlError::new(
            16006,
            format!("can't convert from BSON type {} to Date", type_name(other)),
        )),
    }
}

fn made(moment: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(moment))
}

/// `2020-01-02T03:04:05.678Z`.
pub(super) fn iso(date: DateTime) -> String {
    let p = Parts::of(date.timestamp_millis());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        p.year, p.month, p.day, p.hour, p.minute, p.second, p.millisecond
    )
}

/// [`iso`] of a date that is to be a string.
pub(super) fn iso_text(date: DateTime) -> Result<String> {
    let year = Parts::of(date.timestamp_millis()).year;
    if (0..=9999).contains(&year) {
        return Ok(iso(date));
    }
    Err(MqlError::new(
        18537,
        format!(
            "Could not convert date to string: date component was outside the supported range of 0-9999: {year}"
        ),
    ))
}

/// A timestamp as a string: `Sep 13 12:26:40:3`.
pub(super) fn stamp(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let p = Parts::of(i64::from(at.time) * 1000);
    let month = MONTHS.get(p.month as usize - 1).copied().unwrap_or("Jan");
    format!(
        "{month} {:2} {:02}:{:02}:{:02}:{}",
        p.day, p.hour, p.minute, p.second, at.increment
    )
}

/// `$year` and its kin of a date alone.
pub(super) fn part_of(name: &'static str, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    match &values[0] {
        None | Some(Bson::Null | Bson::Undefined) => Ok(Some(Bson::Null)),
        Some(value) => Ok(Some(part(name, &Parts::of(date(value)?)))),
    }
}

/// `$year` and its kin of `{date, timezone}`.
pub(super) fn part_in(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let value = args.owned(0)?;
    let Some(value) = value.filter(|value| !is_nullish(Some(value))) else {
        return Ok(Some(Bson::Null));
    };
    let moment = date(&value)?;
    let zone = args.owned(1)?;
    let Some(zone) = Zone::of_part(name, args.node(1).is_some(), zone.as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    Ok(Some(part(name, &zone.parts(moment))))
}

fn part(name: &str, parts: &Parts) -> Bson {
    let n = match name {
        "$year" => parts.year,
        "$month" => parts.month,
        "$dayOfMonth" => parts.day,
        "$dayOfWeek" => parts.day_of_week,
        "$dayOfYear" => parts.day_of_year,
        "$hour" => parts.hour,
        "$minute" => parts.minute,
        "$second" => parts.second,
        "$millisecond" => parts.millisecond,
        "$week" => parts.week(),
        "$isoWeek" => parts.iso_week().1,
        "$isoWeekYear" => return Bson::Int64(parts.iso_week().0),
        _ => parts.iso_day_of_week(),
    };
    Bson::Int32(n as i32)
}

/// A string argument with a refusal that names it.
fn string_of(
    value: Option<Bson>,
    refuse: impl FnOnce(&'static str) -> MqlError,
) -> Result<Option<String>> {
    match value {
        Some(Bson::String(text)) => Ok(Some(text)),
        value if is_nullish(value.as_ref()) => Ok(None),
        other => Err(refuse(kind(other.as_ref()))),
    }
}
