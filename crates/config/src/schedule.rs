//! Cron expressions of scheduled triggers: five fields.

/// Says what is wrong with a schedule.
pub(crate) fn check(schedule: &str) -> Result<(), String> {
    const FIELDS: [(&str, u32, u32); 5] = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day of month", 1, 31),
        ("month", 1, 12),
        ("day of week", 0, 7),
    ];
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!(
            "a schedule has five fields (minute hour day month weekday), \"{schedule}\" has {}",
            parts.len()
        ));
    }
    for (part, (name, least, most)) in parts.iter().zip(FIELDS) {
        for item in part.split(',') {
            let (range, step) = item.split_once('/').unwrap_or((item, "1"));
            let step_fits = step.parse::<u32>().is_ok_and(|step| step > 0);
            let within = |text: &str| {
                let named = matches!(name, "month" | "day of week") && text.len() == 3;
                text.parse::<u32>()
                    .is_ok_and(|n| (least..=most).contains(&n))
                    || (named && text.chars().all(|c| c.is_ascii_alphabetic()))
            };
            let range_fits = range == "*"
                || match range.split_once('-') {
                    Some((from, to)) => within(from) && within(to),
                    None => within(range),
                };
            if !step_fits || !range_fits {
                return Err(format!(
                    "the {name} \"{item}\" of the schedule \"{schedule}\" is not between {least} and {most}"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn schedules() {
        for good in [
            "* * * * *",
            "*/5 0-6,12 1 JAN MON",
            "0 0 1 1 0",
            "59 23 31 12 7",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "a * * * *",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
