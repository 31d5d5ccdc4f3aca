//! Time zones by name or offset, from a database that comes with the program.

use std::sync::LazyLock;

use bson::Bson;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::calendar::Parts;
use crate::error::{MqlError, Result};
use crate::expression::describe::{kind, shown};
use crate::expression::is_nullish;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    /// So many seconds east of Greenwich.
    Fixed(i64),
    Named(TimeZone),
}

pub(super) const UTC: Zone = Zone::Fixed(0);

impl Zone {
    /// Reads a name of the time zone database, or an offset such as `+03`,
    /// `-0530` or `+05:30`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        // The last three are links to places in newer databases.
        match text {
            "UTC" | "GMT" => return Ok(UTC),
            "EST" => return Ok(Self::Fixed(-5 * 3600)),
            "MST" => return Ok(Self::Fixed(-7 * 3600)),
            "HST" => return Ok(Self::Fixed(-10 * 3600)),
            _ => {}
        }
        if let Some(seconds) = offset(text) {
            return Ok(Self::Fixed(seconds));
        }
        DATABASE
            .get(text)
            .ok()
            // The database does not mind cases, MongoDB does.
            .filter(|zone| zone.iana_name() == Some(text))
            .map(Self::Named)
            .ok_or_else(|| {
                MqlError::new(
                    40485,
                    format!("unrecognized time zone identifier: \"{text}\""),
                )
            })
    }

    /// The zone of an argument that may not be there: `None` when it is null.
    pub(super) fn of(given: bool, value: Option<&Bson>) -> Result<Option<Self>> {
        if !given {
            return Ok(Some(UTC));
        }
        match value {
            value if is_nullish(value) => Ok(None),
            Some(Bson::String(name)) => Self::parse(name).map(Some),
            other => Err(MqlError::new(
                40517,
                format!("timezone must evaluate to a string, found {}", kind(other)),
            )),
        }
    }

    /// The zone of a date part's argument.
    pub(super) fn of_part(name: &str, given: bool, value: Option<&Bson>) -> Result<Option<Self>> {
        if given && !is_nullish(value) && !matches!(value, Some(Bson::String(_))) {
            return Err(MqlError::new(
                40533,
                format!(
                    "{name} requires a string for the timezone argument, but was given a {} ({})",
                    kind(value),
                    shown(value)
                ),
            ));
        }
        Self::of(given, value)
    }

    /// Milliseconds to add to a moment for what clocks show.
    pub(super) fn offset_at(&self, moment: i64) -> i64 {
        match self {
            Self::Fixed(seconds) => seconds * 1000,
            Self::Named(zone) => Timestamp::from_millisecond(within(moment))
                .map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000),
        }
    }

    /// What clocks show.
    pub(super) fn local(&self, moment: i64) -> i64 {
        moment.saturating_add(self.offset_at(moment))
    }

    /// What clocks show, in its parts.
    pub(super) fn parts(&self, moment: i64) -> Parts {
        Parts::ahead(moment, self.offset_at(moment))
    }

    /// The moment at which clocks show `local`: the second of two, and where
    /// clocks skip it, as if they had not been put forward.
    pub(super) fn moment(&self, local: i64) -> i64 {
        const DAY_MS: i64 = super::calendar::DAY_MS;
        let before = self.offset_at(local.saturating_sub(DAY_MS));
        let after = self.offset_at(local.saturating_add(DAY_MS));
        let second = local.saturating_sub(after);
        if self.offset_at(second) == after {
            return second;
        }
        local.saturating_sub(before)
    }
}

/// The moment, or one that the database knows and at which rules say the same.
fn within(moment: i64) -> i64 {
    // From the year 1 to the year 9900; calendars repeat after 400 years.
    const LEAST: i64 = -62_135_596_800_000;
    const MOST: i64 = 250_246_000_000_000;
    const CYCLE: i64 = 146_097 * super::calendar::DAY_MS;
    if moment > MOST {
        moment - ((moment - MOST) / CYCLE + 1) * CYCLE
    } else {
        moment.max(LEAST)
    }
}

/// `+HH`, `+HHMM` or `+HH:MM`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b] => ([*a, *b], [b'0', b'0']),
        [a, b, c, d] | [a, b, b':', c, d] => ([*a, *b], [*c, *d]),
        _ => return None,
    };
    let number = |pair: [u8; 2]| -> Option<i64> {
        std::str::from_utf8(&pair)
            .ok()
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_digit()))?
            .parse()
            .ok()
    };
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
}
