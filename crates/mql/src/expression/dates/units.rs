//! `$dateAdd`, `$dateSubtract`, `$dateDiff` and `$dateTrunc`.

use bson::{Bson, Document};

use super::calendar::{DAY_MS, Parts, days_in_month, days_of, weekday};
use super::zone::{UTC, Zone};
use super::{Args, date, is_nullish, made, string_of};
use crate::error::{MqlError, Result};
use crate::expression::describe::{kind, shown};
use crate::number::whole;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    /// Reads a unit's name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "second" => Self::Second,
            "millisecond" => Self::Millisecond,
            _ => return None,
        })
    }

    /// The months in one of those that have any.
    pub(crate) fn months(self) -> Option<i64> {
        match self {
            Self::Year => Some(12),
            Self::Quarter => Some(3),
            Self::Month => Some(1),
            _ => None,
        }
    }

    /// The milliseconds in one of the others.
    pub(crate) fn milliseconds(self) -> i64 {
        match self {
            Self::Week => 7 * DAY_MS,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1000,
            Self::Millisecond => 1,
            _ => DAY_MS,
        }
    }
}

/// What `$dateAdd` and `$dateSubtract` are written with.
pub(in crate::expression) fn check_add(name: &str, specification: &Document) -> Result<()> {
    let all = ["startDate", "unit", "amount"];
    if all.iter().all(|field| specification.contains_key(field)) {
        return Ok(());
    }
    Err(MqlError::new(
        5_166_402,
        format!("{name} requires startDate, unit, and amount to be present"),
    ))
}

/// `$dateAdd`, `$dateSubtract`.
pub(in crate::expression) fn add(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let (start, unit, amount) = (args.owned(0)?, args.owned(1)?, args.owned(2)?);
    if [&start, &unit, &amount]
        .iter()
        .any(|value| is_nullish(value.as_ref()))
    {
        return Ok(Some(Bson::Null));
    }
    let Some(zone) = Zone::of(args.node(3).is_some(), args.owned(3)?.as_ref())? else {
        return Ok(Some(Bson::Null));
    };
    let Some(moment) = start.as_ref().and_then(|start| date(start).ok()) else {
        return Err(MqlError::new(
            5_166_403,
            format!("{name} requires startDate to be convertible to a date"),
        ));
    };
    let unit = match &unit {
        Some(Bson::String(text)) => Unit::parse(text)
            .ok_or_else(|| MqlError::failed_to_parse(format!("unknown time unit value: {text}")))?,
        _ => {
            return Err(MqlError::new(
                5_166_404,
                format!("{name} expects string defining the time unit"),
            ));
        }
    };
    let Some(amount) = amount.as_ref().and_then(whole) else {
        return Err(MqlError::new(
            5_166_405,
            format!("{name} expects integer amount of time units"),
        ));
    };
    let amount = if name == "$dateSubtract" {
        amount.checked_neg().ok_or_else(overflow)?
    } else {
        amount
    };
    moved(moment, unit, amount, &zone).map(|moment| Some(made(moment)))
}

/// A moment so many units later, in UTC.
pub(crate) fn moved_in_utc(moment: i64, unit: Unit, amount: i64) -> Result<i64> {
    moved(moment, unit, amount, &UTC)
}

fn moved(moment: i64, unit: Unit, amount: i64, zone: &Zone) -> Result<i64> {
    let size = amount.unsigned_abs();
    // No date is further from another than this many units.
    let limit: u64 = match unit {
        Unit::Year => 584_942_417,
        Unit::Quarter => 584_942_417 * 4,
        Unit::Month => 584_942_417 * 12,
        Unit::Week => 30_500_568_905,
        Unit::Day => 213_503_982_335,
        Unit::Hour => 5_124_095_576_040,
        Unit::Minute => 307_445_734_562_400,
        Unit::Second => 18_446_744_073_744_000,
        Unit::Millisecond => u64::MAX,
    };
    if size >= limit {
        let name = format!("{unit:?}").to_lowercase();
        return Err(MqlError::new(
            5_976_500,
            format!("invalid dateAdd 'amount' parameter value: {amount} {name}"),
        ));
    }
    // MongoDB 6 loses a second of what is before 1970 and not a whole one.
    let lost = if unit != Unit::Millisecond && moment < 0 && moment % 1000 != 0 {
        1000
    } else {
        0
    };
    if let Some(months) = unit.months() {
        return moved_by_months(moment, amount * months, lost, zone);
    }
    match moment.checked_sub(lost) {
        Some(moment) => stepped(moment, unit, amount, zone),
        // There is no earlier date.
        None => stepped(moment, unit, amount, zone)?
            .checked_sub(lost)
            .ok_or_else(overflow),
    }
}

/// A moment so many months later, of which some milliseconds are lost. At the end
/// of a month, and where clocks are not at UTC, MongoDB loses them after it has
/// counted the days, else before, and a day that the month has not is one of the
/// next month.
fn moved_by_months(moment: i64, months: i64, lost: i64, zone: &Zone) -> Result<i64> {
    let local = zone.local(moment);
    let counted = Parts::of(local).day > 28 || zone.offset_at(moment) != 0;
    let local = match local.checked_sub(lost).filter(|_| !counted) {
        Some(local) => later(local, months, false),
        None => later(local, months, true).and_then(|local| local.checked_sub(lost)),
    };
    Ok(zone.moment(local.ok_or_else(overflow)?))
}

/// What clocks show so many months later, on the last day of the month if it `ends`
/// before.
fn later(local: i64, months: i64, ends: bool) -> Option<i64> {
    let parts = Parts::of(local);
    let index = parts.year * 12 + parts.month - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    let most = if ends { days_in_month(year, month) } else { 31 };
    let days = days_of(year, month, 1) + parts.day.min(most) - 1;
    days.checked_mul(DAY_MS)?
        .checked_add(local.rem_euclid(DAY_MS))
}

fn overflow() -> MqlError {
    MqlError::new(5_166_406, "dateAdd overflowed")
}

/// A moment so many units later, which are not of months.
fn stepped(moment: i64, unit: Unit, amount: i64, zone: &Zone) -> Result<i64> {
    let by = i128::from(amount) * i128::from(unit.milliseconds());
    if matches!(unit, Unit::Day | Unit::Week) {
        let local = i64::try_from(i128::from(zone.local(moment)) + by).map_err(|_| overflow())?;
        return Ok(zone.moment(local));
    }
    i64::try_from(i128::from(moment) + by).map_err(|_| match unit {
        Unit::Millisecond => {
            MqlError::new(159, format!("Overflow while adding {by}ms to {moment}ms"))
        }
        _ => overflow(),
    })
}

/// Whether an argument that is there is null.
fn null_at(args: &Args<'_, '_>, at: usize) -> Result<bool> {
    Ok(args.node(at).is_some() && is_nullish(args.get(at)?.as_deref()))
}

/// Whether one of the arguments before the start of the week is null.
fn any_null(args: &Args<'_, '_>) -> Result<bool> {
    for at in 0..4 {
        if null_at(args, at)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_week(unit: Option<&Bson>) -> bool {
    matches!(unit, Some(Bson::String(unit)) if unit == "week")
}

/// The arguments that `$dateDiff` and `$dateTrunc` share, by the place of
/// `unit`, `timezone` and `startOfWeek`.
fn unit_of(name: &str, value: Option<Bson>) -> Result<Option<Unit>> {
    let text = string_of(value, |found| {
        MqlError::new(
            5_439_013,
            format!("{name} requires 'unit' to be a string, but got {found}"),
        )
    })?;
    text.map(|text| {
        Unit::parse(&text).ok_or_else(|| {
            MqlError::new(
                5_439_014,
                format!(
                    "{name} parameter 'unit' value cannot be recognized as a time unit: {text}"
                ),
            )
        })
    })
    .transpose()
}

/// The weekday that weeks begin on, from 0, which is Sunday.
fn week_start(name: &str, args: &Args<'_, '_>, at: usize) -> Result<Option<i64>> {
    if args.node(at).is_none() {
        return Ok(Some(0));
    }
    let text = string_of(args.owned(at)?, |found| {
        MqlError::new(
            5_439_015,
            format!("{name} requires 'startOfWeek' to be a string, but got {found}"),
        )
    })?;
    text.map(|text| {
        const DAYS: [&str; 7] = [
            "sunday",
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
        ];
        let lower = text.to_ascii_lowercase();
        DAYS.iter()
            .position(|day| *day == lower || day[..3] == lower)
            .map(|day| day as i64)
            .ok_or_else(|| {
                MqlError::new(
                    5_439_016,
                    format!(
                        "{name} parameter 'startOfWeek' value cannot be recognized as a day of a week: {text}"
                    ),
                )
            })
    })
    .transpose()
}

fn zone_of(name: &str, args: &Args<'_, '_>, at: usize) -> Result<Option<Zone>> {
    Zone::of(args.node(at).is_some(), args.owned(at)?.as_ref()).map_err(|error| {
        MqlError::new(
            error.code,
            format!(
                "{name} parameter 'timezone' value parsing failed :: caused by :: {}",
                error.message
            ),
        )
    })
}

fn date_of(name: &str, what: &str, code: i32, value: &Bson) -> Result<i64> {
    date(value).map_err(|_| {
        MqlError::new(
            code,
            format!(
                "{name} requires '{what}' to be a date, but got {}",
                kind(Some(value))
            ),
        )
    })
}

/// `$dateDiff`: `startDate`, `endDate`, `unit`, `timezone`, `startOfWeek`.
pub(in crate::expression) fn diff(name: &'static str, args: &Args<'_, '_>) -> Result<Option<Bson>> {
    let unit = args.owned(2)?;
    if any_null(args)? || (is_week(unit.as_ref()) && null_at(args, 4)?) {
        return Ok(Some(Bson::Null));
    }
    let (Some(start), Some(end), Some(zone)) =
        (args.owned(0)?, args.owned(1)?, zone_of(name, args, 3)?)
    else {
        return Ok(Some(Bson::Null));
    };
    let start = date_of(name, "startDate", 5_166_307, &start)?;
    let end = date_of(name, "endDate", 5_166_307, &end)?;
    let Some(unit) = unit_of(name, unit)? else {
        return Ok(Some(Bson::Null));
    };
    let first = if unit == Unit::Week {
        match week_start(name, args, 4)? {
            Some(first) => first,
            None => return Ok(Some(Bson::Null)),
        }
    } else {
        0
    };
    let at = |moment: i64| {
        let local = zone.local(moment);
        let days = local.div_euclid(DAY_MS);
        match (unit, unit.months()) {
            (_, Some(months)) => {
                let parts = Parts::of(local);
                (parts.year * 12 + parts.month - 1).div_euclid(months)
            }
            (Unit::Week, _) => (days - (weekday(days) - first).rem_euclid(7)).div_euclid(7),
            (Unit::Day, _) => days,
            _ => local.div_euclid(unit.milliseconds()),
        }
    };
    let apart = if unit == Unit::Millisecond {
        end.checked_sub(start)
    } else if matches!(unit, Unit::Second | Unit::Minute | Unit::Hour) {
        // What the local clocks tell, less what they were put on by, in whole units.
        let moved = zone.offset_at(start) - zone.offset_at(end);
        at(end)
            .checked_sub(at(start))
            .and_then(|told| told.checked_add(moved / unit.milliseconds()))
    } else {
        at(end).checked_sub(at(start))
    };
    apart
        .map(|n| Some(Bson::Int64(n)))
        .ok_or_else(|| MqlError::new(5_166_308, "dateDiff overflowed"))
}

/// `$dateTrunc`: `date`, `unit`, `binSize`, `timezone`, `startOfWeek`.
pub(in crate::expression) fn trunc(
    name: &'static str,
    args: &Args<'_, '_>,
) -> Result<Option<Bson>> {
    let bin = if args.node(2).is_some() {
        args.owned(2)?
    } else {
        Some(Bson::Int64(1))
    };
    let unit = args.owned(1)?;
    let null = Ok(Some(Bson::Null));
    if any_null(args)? || (is_week(unit.as_ref()) && null_at(args, 4)?) {
        return null;
    }
    let (Some(value), Some(zone)) = (args.owned(0)?, zone_of(name, args, 3)?) else {
        return null;
    };
    let moment = date_of(name, "date", 5_439_012, &value)?;
    let Some(unit) = unit_of(name, unit)? else {
        return null;
    };
    let Some(bin) = bin.filter(|bin| !is_nullish(Some(bin))) else {
        return null;
    };
    let Some(size) = whole(&bin) else {
        return Err(MqlError::new(
            5_439_017,
            format!(
                "{name} requires 'binSize' to be a 64-bit integer, but got value '{}' of type {}",
                shown(Some(&bin)),
                kind(Some(&bin))
            ),
        ));
    };
    if size <= 0 {
        return Err(MqlError::new(
            5_439_018,
            format!("{name} requires 'binSize' to be greater than 0, but got value {size}"),
        ));
    }
    let first = if unit == Unit::Week {
        match week_start(name, args, 4)? {
            Some(first) => first,
            None => return null,
        }
    } else {
        0
    };
    truncated(moment, unit, size, &zone, first).map(|moment| Some(made(moment)))
}

/// The start of the bin that `moment` is in; bins are counted from 2000.
fn truncated(moment: i64, unit: Unit, size: i64, zone: &Zone, first: i64) -> Result<i64> {
    const LIMIT: i64 = 100_000_000_000;
    let reference = days_of(2000, 1, 1);
    let by_calendar = unit.months().is_some() || matches!(unit, Unit::Day | Unit::Week);
    if by_calendar && size >= LIMIT {
        return Err(MqlError::new(
            5_439_006,
            "dateTrunc unsupported binSize value",
        ));
    }
    let local = zone.local(moment);
    if let Some(months) = unit.months() {
        let parts = Parts::of(local);
        let passed = (parts.year - 2000) * 12 + parts.month - 1;
        let bins = passed.div_euclid(months * size);
        return moved(zone.moment(reference * DAY_MS), unit, bins * size, zone);
    }
    if by_calendar {
        let (start, step) = if unit == Unit::Week {
            // The first such weekday from the reference on.
            let ahead = (first - weekday(reference)).rem_euclid(7);
            (reference + ahead, size * 7)
        } else {
            (reference, size)
        };
        let bins = (local.div_euclid(DAY_MS) - start).div_euclid(step);
        return moved(zone.moment(start * DAY_MS), unit, bins * size, zone);
    }
    let start = match zone {
        Zone::Fixed(0) => UTC.moment(reference * DAY_MS),
        zone => zone.moment(reference * DAY_MS),
    };
    let overflow = |code: i32| move || MqlError::new(code, "dateTrunc overflowed");
    let step = size.checked_mul(unit.milliseconds());
    let step = step.ok_or_else(overflow(5_439_002))?;
    let passed = moment.checked_sub(start).ok_or_else(overflow(5_439_000))?;
    let over = passed.rem_euclid(step);
    moment.checked_sub(over).ok_or_else(overflow(5_439_001))
}
