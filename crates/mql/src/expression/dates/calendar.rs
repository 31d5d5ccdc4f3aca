//! The proleptic Gregorian calendar, on milliseconds since 1970.

pub(super) const DAY_MS: i64 = 86_400_000;

/// A date's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    /// From 1.
    pub(super) day_of_year: i64,
    /// From 1, which is Sunday.
    pub(super) day_of_week: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) millisecond: i64,
}

impl Parts {
    /// Of milliseconds that are local already.
    pub(super) fn of(local: i64) -> Self {
        Self::split(local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS))
    }

    /// Of a moment, by clocks that are `offset` ahead: what they show may be
    /// past the last moment that there is.
    pub(super) fn ahead(moment: i64, offset: i64) -> Self {
        let rest = moment.rem_euclid(DAY_MS) + offset;
        let days = moment.div_euclid(DAY_MS) + rest.div_euclid(DAY_MS);
        Self::split(days, rest.rem_euclid(DAY_MS))
    }

    fn split(days: i64, rest: i64) -> Self {
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            day_of_year: days - days_of(year, 1, 1) + 1,
            day_of_week: weekday(days) + 1,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            millisecond: rest % 1000,
        }
    }

    /// From 1, which is Monday.
    pub(super) fn iso_day_of_week(&self) -> i64 {
        (self.day_of_week + 5) % 7 + 1
    }

    /// Weeks that begin on Sundays; what is before the first is week zero.
    pub(super) fn week(&self) -> i64 {
        (self.day_of_year - self.day_of_week + 7) / 7
    }

    /// The ISO year and the week in it.
    pub(super) fn iso_week(&self) -> (i64, i64) {
        let days = days_of(self.year, self.month, self.day);
        // The week belongs to the year of its Thursday.
        let thursday = days - self.iso_day_of_week() + 4;
        let (year, ..) = civil(thursday);
        (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
    }
}

/// The weekday of a day since 1970, from 0, which is Sunday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// Year, month and day of a day since 1970.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March of year 0, so that leap days come last.
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
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970; months and days may be beyond their ranges.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + from_march + day
        - 1
        - 719_468
}

/// How many days a month has.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    days_of(year, month + 1, 1) - days_of(year, month, 1)
}

/// The day since 1970 of a day in an ISO week.
pub(super) fn days_of_iso(year: i64, week: i64, day: i64) -> i64 {
    let fourth = days_of(year, 1, 4);
    let monday = fourth - (weekday(fourth) + 6) % 7;
    monday + (week - 1) * 7 + day - 1
}
