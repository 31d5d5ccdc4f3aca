//! Dates in UTC. Time zones other than UTC are refused.

use bson::{Bson, DateTime};

use super::is_nullish;
use crate::error::{MqlError, Result};

const DAY_MS: i64 = 86_400_000;

/// A date's parts in the proleptic Gregorian calendar.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    day_of_week: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
}

fn parts(date: DateTime) -> Parts {
    let ms = date.timestamp_millis();
    let days = ms.div_euclid(DAY_MS);
    let rest = ms.rem_euclid(DAY_MS);
    // Civil date from days, counted from 1 March of year 0.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * from_march + 2) / 153;
    let day = from_march - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Parts {
        year,
        month,
        day,
        day_of_year: days - days_of(year, 1, 1) + 1,
        day_of_week: (days + 4).rem_euclid(7) + 1,
        hour: rest / 3_600_000,
        minute: rest / 60_000 % 60,
        second: rest / 1000 % 60,
        millisecond: rest % 1000,
    }
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + from_march - 719_468
}

pub(super) fn call(name: &str, values: &[Option<Bson>]) -> Result<Option<Option<Bson>>> {
    let part: fn(&Parts) -> i64 = match name {
        "$year" => |p| p.year,
        "$month" => |p| p.month,
        "$dayOfMonth" => |p| p.day,
        "$dayOfWeek" => |p| p.day_of_week,
        "$dayOfYear" => |p| p.day_of_year,
        "$hour" => |p| p.hour,
        "$minute" => |p| p.minute,
        "$second" => |p| p.second,
        "$millisecond" => |p| p.millisecond,
        _ => return Ok(None),
    };
    Ok(Some(match values[0].as_ref() {
        value if is_nullish(value) => Some(Bson::Null),
        Some(value) => Some(Bson::Int32(part(&parts(date(value)?)) as i32)),
        None => Some(Bson::Null),
    }))
}

fn date(value: &Bson) -> Result<DateTime> {
    match value {
        Bson::DateTime(date) => Ok(*date),
        Bson::Timestamp(stamp) => Ok(DateTime::from_millis(i64::from(stamp.time) * 1000)),
        Bson::ObjectId(id) => Ok(id.timestamp()),
        other => Err(MqlError::new(
            16006,
            format!(
                "can't convert from BSON type {} to Date",
                super::convert::type_name(other)
            ),
        )),
    }
}

/// `2020-01-02T03:04:05.678Z`.
pub(super) fn iso(date: DateTime) -> String {
    let p = parts(date);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        p.year, p.month, p.day, p.hour, p.minute, p.second, p.millisecond
    )
}

/// Reads an ISO-8601 date, with or without a time and a zone.
pub(super) fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ if text.ends_with('Z') || text.get(19..).is_some_and(|t| t.contains(['+', '-'])) => {
            text.to_owned()
        }
        _ => format!("{text}Z"),
    };
    DateTime::parse_rfc3339_str(full).ok()
}

/// `$dateToString`.
pub(super) fn to_string(value: &dyn Fn(&str) -> Result<Option<Bson>>) -> Result<Option<Bson>> {
    let input = value("date")?;
    let Some(input) = input.filter(|input| !is_nullish(Some(input))) else {
        return Ok(Some(value("onNull")?.unwrap_or(Bson::Null)));
    };
    match value("timezone")? {
        None => {}
        Some(Bson::String(zone)) if matches!(zone.as_str(), "UTC" | "GMT" | "Z" | "+00:00") => {}
        Some(Bson::Null) => return Ok(Some(Bson::Null)),
        Some(zone) => {
            return Err(MqlError::new(
                40485,
                format!("unrecognized time zone identifier: {zone} (only UTC is supported)"),
            ));
        }
    }
    let date = date(&input)?;
    let format = match value("format")? {
        None => return Ok(Some(Bson::String(iso(date)))),
        Some(Bson::String(format)) => format,
        Some(_) => {
            return Err(MqlError::new(
                18533,
                "$dateToString requires that 'format' be a string",
            ));
        }
    };
    let p = parts(date);
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let piece = match letters.next() {
            Some('Y') => format!("{:04}", p.year),
            Some('m') => format!("{:02}", p.month),
            Some('d') => format!("{:02}", p.day),
            Some('H') => format!("{:02}", p.hour),
            Some('M') => format!("{:02}", p.minute),
            Some('S') => format!("{:02}", p.second),
            Some('L') => format!("{:03}", p.millisecond),
            Some('j') => format!("{:03}", p.day_of_year),
            Some('w') => p.day_of_week.to_string(),
            Some('z') => "+0000".to_owned(),
            Some('Z') => "0".to_owned(),
            Some('%') => "%".to_owned(),
            other => {
                return Err(MqlError::new(
                    18536,
                    format!(
                        "Invalid format character '%{}' in format string",
                        other.unwrap_or(' ')
                    ),
                ));
            }
        };
        out.push_str(&piece);
    }
    Ok(Some(Bson::String(out)))
}
