//! Schedules of triggers: cron expressions of five fields, in the service's
//! dialect (triggers-ops.md §4.1).

/// Name, least, most, names of the values, and whether steps are allowed.
const FIELDS: [(&str, u32, u32, &[&str], bool); 5] = [
    ("minute", 0, 59, &[], true),
    ("hour", 0, 23, &[], true),
    ("day of month", 1, 31, &[], false),
    ("month", 1, 12, MONTHS, false),
    ("weekday", 0, 6, WEEKDAYS, false),
];
const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Says what is wrong with a schedule.
pub(crate) fn check(schedule: &str) -> Result<(), String> {
    let parts: Vec<&str> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!(
            "a schedule has five fields (minute hour day month weekday), \"{schedule}\" has {}",
            parts.len()
        ));
    }
    for (part, (name, least, most, names, steps)) in parts.iter().zip(FIELDS) {
        let number = |text: &str| {
            let named = names.iter().position(|n| n.eq_ignore_ascii_case(text));
            let value = match named {
                Some(index) => u32::try_from(index).ok()? + least,
                None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
                None => return None,
            };
            (least..=most).contains(&value).then_some(value)
        };
        for item in part.split(',') {
            let refuse = |why: &str| {
                let text = format!("the {name} \"{item}\" of the schedule \"{schedule}\" {why}");
                Err(text)
            };
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (item, None),
            };
            if let Some(step) = step {
                if !steps {
                    return refuse("has a step, which only minutes and hours may have");
                }
                if !step.parse::<u32>().is_ok_and(|step| step > 0) {
                    return refuse("has a step that is no number above 0");
                }
            }
            let fits = range == "*"
                || match range.split_once('-') {
                    Some((from, to)) => {
                        matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to)
                    }
                    None => number(range).is_some(),
                };
            if !fits {
                return refuse(&format!("is not between {least} and {most}"));
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
            "0 0 13 * fri",
            "10-40/15 */2 1-7 2-4 0-6",
            "59 23 31 12 6",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "*/x * * * *",
            "a * * * *",
            "* * */2 * *",
            "* * * ABC *",
            "* * * * 7",
            "* * * * FRI-MON",
            "30-10 * * * *",
            "+5 * * * *",
            "* * ? * L",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
