//! Answers that mongod 6.0.5 gives by mistake. We give the ones that are right.

use bson::{Bson, Document};
use serde_json::Value;

use super::{changed, named, number};

/// Why two answers may differ.
pub(super) fn answers(
    command: &Document,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    if sorts_by_index(command) {
        return Some(
            "a sort by the index that an $unwind includes, which mongod does before the $unwind",
        );
    }
    if loses_partition(command) {
        return Some(
            "windows in a $lookup that see a variable, whose partition mongod has lost by the second document",
        );
    }
    let by_name = |lines: &[String]| {
        changed(lines, &mut |value| {
            if let Value::Object(object) = value {
                object.sort_keys();
            }
        })
    };
    let set_again = &["$setField", "$unsetField", "includeArrayIndex"];
    if named(command, set_again) && by_name(ours) == by_name(theirs) {
        return Some(
            "the place of a field that was taken away by one expression or stage and set by another",
        );
    }
    let undated = |lines: &[String]| changed(lines, &mut early);
    if named(command, &["$dateAdd", "$dateSubtract"]) && undated(ours) == undated(theirs) {
        return Some(
            "steps of the calendar from a date before 1970 with a fraction of a second, which mongod takes from another day",
        );
    }
    let ends = |lines: &[String]| lines.iter().any(|line| line.contains("Infinity"));
    let sizeless = |lines: &[String]| {
        changed(lines, &mut |value| {
            if number(value).is_some() {
                *value = Value::Null;
            }
        })
    };
    if named(command, &["$pow", "$exp"]) && ends(theirs) && sizeless(ours) == sizeless(theirs) {
        return Some(
            "the last digit of a power at the end of all decimals, beyond which is infinity",
        );
    }
    None
}

/// A date before 1970 with a fraction of a second becomes one that is like all
/// others.
fn early(value: &mut Value) {
    let milliseconds = value.pointer("/$date/$numberLong").and_then(Value::as_str);
    let milliseconds: Option<i64> = milliseconds.and_then(|text| text.parse().ok());
    if milliseconds.is_some_and(|n| n < 0 && n % 1000 != 0) {
        *value = Value::from("early");
    }
}

/// Whether a `$sort` goes by a field that an `$unwind` before it made of the
/// elements' places: it is not among those that mongod knows to be changed.
fn sorts_by_index(command: &Document) -> bool {
    let mut made: Vec<&str> = Vec::new();
    for stage in stages(command.get("pipeline")) {
        if let Ok(unwind) = stage.get_document("$unwind") {
            made.extend(unwind.get_str("includeArrayIndex"));
        }
        let sort = stage.get_document("$sort").ok();
        let mut paths = sort.into_iter().flat_map(Document::keys);
        let meets = |path: &String| {
            let path = path.split('.').collect::<Vec<_>>();
            made.iter().any(|other| {
                let other = other.split('.');
                other.zip(&path).all(|(a, b)| a == *b)
            })
        };
        if paths.any(meets) {
            return true;
        }
    }
    false
}

/// Whether a `$lookup` has windows with a computed partition and a variable of the
/// command.
fn loses_partition(command: &Document) -> bool {
    let lookups =
        stages(command.get("pipeline")).filter_map(|stage| stage.get_document("$lookup").ok());
    let inner = lookups.flat_map(|lookup| stages(lookup.get("pipeline")));
    let mut windows = inner.filter_map(|stage| stage.get_document("$setWindowFields").ok());
    command.contains_key("let")
        && windows.any(|windows| {
            windows.get_document("partitionBy").is_ok() && windows.to_string().contains("$$")
        })
}

fn stages(pipeline: Option<&Bson>) -> impl Iterator<Item = &Document> {
    let stages = pipeline.and_then(Bson::as_array);
    stages.into_iter().flatten().filter_map(Bson::as_document)
}
