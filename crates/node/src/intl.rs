//! `Intl`: what locales say (out of CLDR), time zones, collation. Formats
//! themselves are made in JavaScript.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, Strength};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{NodeError, Value, arguments::Arguments};

/// Lines of locale, section and JSON: written by `intl/generate.mjs`.
const LOCALES: &str = include_str!("intl/locales.tsv");

/// Runs `intl.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let arguments = Arguments(arguments);
    Some(match name {
        "data" => data(&arguments),
        "locales" => Ok(Value::List(locales())),
        "zone" => arguments
            .text(0)
            .map(|name| zone(name).map_or(Value::Null, |(name, _)| Value::Text(name))),
        "offset" => offset(&arguments),
        "zones" => Ok(Value::List(zones())),
        "compare" => compare(&arguments),
        "segments" => segments(&arguments),
        _ => return None,
    })
}

/// The lines by locale and section.
static SECTIONS: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    let lines = lines().map(|(locale, section, json)| ((locale, section), json));
    lines.collect()
});

fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    LOCALES.lines().filter_map(|line| {
        let (locale, rest) = line.split_once('\t')?;
        let (section, json) = rest.split_once('\t')?;
        Some((locale, section, json))
    })
}

/// Locale and section: their JSON, or null.
fn data(arguments: &Arguments) -> Result<Value, NodeError> {
    let (locale, section) = (arguments.text(0)?, arguments.text(1)?);
    let found = SECTIONS.get(&(locale, section));
    Ok(found.map_or(Value::Null, |json| Value::Text((*json).to_owned())))
}

/// Each locale that has a section of its own.
fn locales() -> Vec<Value> {
    let mut names: Vec<&str> = SECTIONS.keys().map(|(locale, _)| *locale).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| Value::Text(name.to_owned()))
        .collect()
}

/// The zones that came with the program: files are out of reach here.
fn database() -> &'static TimeZoneDatabase {
    static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    &DATABASE
}

fn zone(name: &str) -> Option<(String, TimeZone)> {
    if ["UTC", "GMT", "Etc/UTC", "Etc/GMT"]
        .iter()
        .any(|utc| utc.eq_ignore_ascii_case(name))
    {
        return Some(("UTC".to_owned(), TimeZone::UTC));
    }
    let zone = database().get(name).ok()?;
    let name = zone.iana_name()?.to_owned();
    Some((name, zone))
}

/// The 1st of January 9000, in milliseconds.
const YEAR_9000: i64 = 221_845_392_000_000;
/// Milliseconds of 400 years.
const CYCLE: i64 = 146_097 * 86_400_000;

/// Zone and milliseconds of an instant: the offset in seconds and whether it
/// is daylight saving time; null when there is no such zone.
fn offset(arguments: &Arguments) -> Result<Value, NodeError> {
    let Some((_, zone)) = zone(arguments.text(0)?) else {
        return Ok(Value::Null);
    };
    let mut milliseconds = arguments.number(1)?.floor() as i64;
    // The library's calendar ends with the year 9999; every 400 years have the
    // same days.
    if milliseconds > YEAR_9000 {
        milliseconds = YEAR_9000 - CYCLE + (milliseconds - YEAR_9000) % CYCLE;
    }
    let instant = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MIN);
    let info = zone.to_offset_info(instant);
    Ok(Value::List(vec![
        Value::Number(f64::from(info.offset().seconds())),
        Value::Bool(info.dst().is_dst()),
    ]))
}

/// Names of zones, as `Intl.supportedValuesOf` lists them.
fn zones() -> Vec<Value> {
    const OLD: &[&str] = &["Etc/", "SystemV/", "US/", "posix", "right"];
    let names = database().available();
    names
        .map(|name| name.as_str().to_owned())
        .filter(|name| name.contains('/') && !OLD.iter().any(|old| name.starts_with(old)))
        .map(Value::Text)
        .collect()
}

thread_local! {
    /// The collator that was used last, by locale, sensitivity and punctuation:
    /// a sort asks for one many times.
    static COLLATOR: RefCell<Option<(String, String, bool, CollatorBorrowed<'static>)>> =
        const { RefCell::new(None) };
}

/// Two texts, a locale with `-u-` keywords, sensitivity, whether punctuation
/// is ignored: negative, zero or positive.
fn compare(arguments: &Arguments) -> Result<Value, NodeError> {
    let (one, other) = (arguments.text(0)?, arguments.text(1)?);
    let (locale, sensitivity) = (arguments.text(2)?, arguments.text(3)?);
    let ignores = arguments.flag(4);
    COLLATOR.with_borrow_mut(|kept| {
        let is_same = |kept: &(String, String, bool, _)| {
            kept.0 == locale && kept.1 == sensitivity && kept.2 == ignores
        };
        let order = match kept {
            Some(kept) if is_same(kept) => kept.3.compare(one, other),
            _ => {
                let made = collator(locale, sensitivity, ignores)?;
                let order = made.compare(one, other);
                *kept = Some((locale.to_owned(), sensitivity.to_owned(), ignores, made));
                order
            }
        };
        Ok(Value::Number(f64::from(order as i8)))
    })
}

fn collator(
    locale: &str,
    sensitivity: &str,
    ignores_punctuation: bool,
) -> Result<CollatorBorrowed<'static>, NodeError> {
    let locale = Locale::try_from_str(locale)
        .map_err(|_| NodeError::new("Incorrect locale information provided"))?;
    let mut options = CollatorOptions::default();
    options.strength = Some(match sensitivity {
        "base" | "case" => Strength::Primary,
        "accent" => Strength::Secondary,
        _ => Strength::Tertiary,
    });
    if sensitivity == "case" {
        options.case_level = Some(CaseLevel::On);
    }
    if ignores_punctuation {
        options.alternate_handling = Some(AlternateHandling::Shifted);
    }
    CollatorBorrowed::try_new(CollatorPreferences::from(&locale), options)
        .map_err(|error| NodeError::new(error.to_string()))
}

/// Text and granularity: its parts in turn.
fn segments(arguments: &Arguments) -> Result<Value, NodeError> {
    let text = arguments.text(0)?;
    let parts: Vec<&str> = match arguments.text(1)? {
        "word" => text.split_word_bounds().collect(),
        "sentence" => text.split_sentence_bounds().collect(),
        _ => text.graphemes(true).collect(),
    };
    let parts = parts.into_iter().map(|part| Value::Text(part.to_owned()));
    Ok(Value::List(parts.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn zones_and_their_offsets() {
        for (name, milliseconds, seconds, summer) in [
            ("America/New_York", 1_720_000_000_000.0, -14400.0, true),
            ("america/new_york", 1_704_240_245_000.0, -18000.0, false),
            ("Asia/Kolkata", 0.0, 19800.0, false),
            ("UTC", 0.0, 0.0, false),
            ("America/New_York", 8.64e15, -14400.0, true),
            ("America/New_York", -8.64e15, -17762.0, false),
        ] {
            let arguments = [text(name), Value::Number(milliseconds)];
            let found = offset(&Arguments(&arguments)).unwrap();
            let wanted = Value::List(vec![Value::Number(seconds), Value::Bool(summer)]);
            assert_eq!(found, wanted, "{name}");
        }
        assert_eq!(zone("Nope/Nowhere"), None);
        assert_eq!(zone("../../etc/passwd"), None);
        assert!(zones().len() > 400);
    }

    #[test]
    fn every_locale_has_its_sections_in_json() {
        assert!(locales().len() > 40);
        for (locale, section, json) in lines() {
            assert!(
                json.starts_with('{') && json.ends_with('}'),
                "{locale} {section}"
            );
        }
    }
}
