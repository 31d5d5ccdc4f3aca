//! Differences of `$setWindowFields`, `$fill` and `$densify` that are mistakes
//! or chances of mongod 6.0.

use bson::{Bson, Document};
use serde_json::Value;

use super::{apart_from, changed, named};

/// Why an answer may differ.
pub(super) fn answers(
    command: &Document,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    let windows = spelled(command, &["$setWindowFields", "$fill"]);
    if windows && named_in_order(ours) == named_in_order(theirs) {
        return Some("the order of the fields that windows add, which is by chance");
    }
    if windows && named(command, &["\"$facet\""]) && turned(command) && bags(ours) == bags(theirs) {
        return Some(
            "in a $facet, mongod orders partitions upwards even where they are sorted by downwards",
        );
    }
    if windows
        && computed_in_lookup(command)
        && apart_from(&super::looked_up(command), ours, theirs)
    {
        return Some(
            "a computed partition with a variable in a $lookup, which mongod forgets after the first document",
        );
    }
    if windows && begins_at_least(command) {
        return Some("windows that begin 2^31 documents before, of which mongod removes documents");
    }
    if !spelled(command, &["$densify"]) {
        return None;
    }
    let open = |lines: &[String]| lines.last().is_some_and(|line| line == "open: true");
    if named(command, &["partitionByFields"])
        && open(ours)
        && open(theirs)
        && ours.len() == theirs.len()
    {
        return Some("which partition's end comes first when $densify has more than a batch");
    }
    if inexact(command) && (open(theirs) || once(ours) == once(theirs)) {
        return Some(REPEATED);
    }
    None
}

const REPEATED: &str =
    "a $densify by doubles that are not exact, whose last value mongod makes again";

/// Why they may refuse what we do not.
pub(super) fn they_refuse(command: &Document, code: i32) -> Option<&'static str> {
    let lines = named(command, &["\"$linearFill\"", "\"linear\""]);
    if lines && named(command, &["\"partitionBy"]) && [14, 6_050_106].contains(&code) {
        return Some("mongod compares what is sorted by with the end of another partition");
    }
    (code == 5_897_900 && inexact(command)).then_some(REPEATED)
}

/// Why we may refuse what they do not.
pub(super) fn we_refuse(code: i32, theirs: &[String]) -> Option<&'static str> {
    let open = theirs.last().is_some_and(|line| line == "open: true");
    ([5_897_900, 5_733_201].contains(&code) && open)
        .then_some("mongod makes the documents of a $densify when they are asked for")
}

/// Why the codes of two refusals may differ.
pub(super) fn codes(command: &Document, ours: i32, theirs: i32) -> Option<&'static str> {
    const COMPUTED: [i32; 12] = [
        5_429_412, 14, 5_423_900, 5_423_901, 5_423_902, 5_429_404, 5_429_413, 5_429_414, 5_429_513,
        5_624_900, 5_624_901, 5_624_902,
    ];
    let several = specifications(command, "$setWindowFields")
        .iter()
        .any(|spec| {
            spec.get_document("output")
                .is_ok_and(|output| output.len() > 1)
        });
    (several && COMPUTED.contains(&ours) && COMPUTED.contains(&theirs))
        .then_some("which of several window functions is computed first, which is by chance")
}

/// Whether a window begins as far before as an int32 tells.
fn begins_at_least(command: &Document) -> bool {
    let windows = specifications(command, "window").into_iter();
    let mut bounds = windows.filter_map(|window| window.get_array("documents").ok().cloned());
    bounds.any(|bounds| bounds.first() == Some(&Bson::Int32(i32::MIN)))
}

fn spelled(command: &Document, stages: &[&str]) -> bool {
    stages
        .iter()
        .any(|stage| named(command, &[&format!("\"{stage}\"")]))
}

/// The operands of a stage, wherever it is.
fn specifications(command: &Document, stage: &str) -> Vec<Document> {
    fn walk(value: &Bson, stage: &str, into: &mut Vec<Document>) {
        match value {
            Bson::Document(document) => {
                into.extend(document.get_document(stage).ok().cloned());
                document.values().for_each(|value| walk(value, stage, into));
            }
            Bson::Array(values) => values.iter().for_each(|value| walk(value, stage, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&Bson::Document(command.clone()), stage, &mut found);
    found
}

fn named_in_order(lines: &[String]) -> Vec<String> {
    changed(lines, &mut |value| {
        if let Value::Object(object) = value {
            object.sort_keys();
        }
    })
}

/// Lines whose lists are in order.
pub(super) fn bags(lines: &[String]) -> Vec<String> {
    changed(lines, &mut |value| {
        if let Value::Array(values) = value {
            values.sort_by_cached_key(Value::to_string);
        }
    })
}

/// Whether partitions are by a path that is sorted by downwards.
fn turned(command: &Document) -> bool {
    specifications(command, "$setWindowFields")
        .iter()
        .any(|spec| {
            let by = spec.get_str("partitionBy").ok();
            let path = by.and_then(|by| by.strip_prefix('$'));
            let direction = path.zip(spec.get_document("sortBy").ok());
            direction.is_some_and(|(path, sort)| {
                let direction = sort.get(path).map(ToString::to_string);
                direction.is_some_and(|direction| direction.starts_with('-'))
            })
        })
}

/// Whether a `$lookup` has windows by a computed partition, and variables.
fn computed_in_lookup(command: &Document) -> bool {
    specifications(command, "$lookup").iter().any(|lookup| {
        let windows = specifications(lookup, "$setWindowFields").into_iter();
        let all = windows.chain(specifications(lookup, "$fill"));
        let mut by = all.filter_map(|spec| {
            let fields = spec.get("partitionByFields");
            fields.or(spec.get("partitionBy")).cloned()
        });
        named(lookup, &["$$"]) && by.any(|by| !matches!(by, Bson::String(_)))
    })
}

/// Whether a `$densify` has explicit bounds and a step that no double is.
fn inexact(command: &Document) -> bool {
    specifications(command, "$densify").iter().any(|spec| {
        let range = spec.get_document("range").ok();
        let step = range.and_then(|range| range.get_f64("step").ok());
        let explicit = range.is_some_and(|range| range.get_array("bounds").is_ok());
        explicit && step.is_some_and(|step| (step * 1024.0).fract() != 0.0)
    })
}

/// Lines without those that are there already.
fn once(lines: &[String]) -> Vec<&String> {
    let mut seen = Vec::new();
    for line in lines {
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    seen
}
