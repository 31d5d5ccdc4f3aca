//! Answers that mongod 6.0.5 gives by mistake. We give the ones that are right.

use std::collections::BTreeSet;

use bson::{Bson, Document};
use serde_json::Value;

use super::{REAL, apart_from, changed, named, number, parsed};

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
    if let Some(why) = stored(command, ours, theirs) {
        return Some(why);
    }
    let fewer =
        || named(command, &["\"$unwind\""]) && theirs.iter().all(|line| ours.contains(line));
    if loses_connections(command, ours) && (apart_from(&found(command), ours, theirs) || fewer()) {
        return Some(
            "what a $graphLookup finds by an element that lacks the field, which mongod has forgotten when it is asked again",
        );
    }
    let grouped = named(command, &["\"$group\"", "\"$sortByCount\""]);
    let sets = ["$setDifference", "$setUnion", "$setIntersection"];
    let by_set = named(command, &sets) && named(command, &["$literal"]);
    let one_group = || ids(ours) == ids(theirs);
    if grouped && by_set && (apart_from(&["count".to_owned()], ours, theirs) || one_group()) {
        return Some(
            "groups by what a set that is known has beside others, which mongod does not count",
        );
    }
    if unwinds_projected(command) && ours.iter().all(|line| theirs.contains(line)) {
        return Some(LEFT);
    }
    let ends = |lines: &[String]| lines.iter().any(|line| line.contains("Infinity"));
    if named(command, &["$pow", "$exp"]) && ends(theirs) && sizeless(ours) == sizeless(theirs) {
        return Some(
            "the last digit of a power at the end of all decimals, beyond which is infinity",
        );
    }
    None
}

/// What the answers are grouped by.
fn ids(lines: &[String]) -> BTreeSet<String> {
    let ids = parsed(lines).into_iter();
    ids.map(|line| line["_id"].to_string()).collect()
}

/// Why we may refuse what they do not.
pub(super) fn we_refuse(command: &Document, code: i32) -> Option<&'static str> {
    let angles = named(command, &["$sin", "$cos", "$tan"]);
    if angles && code == 238 {
        return Some("an angle beyond 2^140, of which we do not know the turns");
    }
    let stages = command.get_array("pipeline").into_iter().flatten();
    let names = stages.filter_map(|stage| stage.as_document()?.keys().next().cloned());
    let names: Vec<String> = names.collect();
    (code == 17_053 && names.windows(2).any(|pair| pair == ["$redact", "$match"]))
        .then_some("a $match after a $redact, which mongod asks before it as well")
}

/// Why what a command left may differ.
pub(super) fn stored(
    command: &Document,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    if zips_missing(command) {
        return Some("a $zip by missing defaults, whose lists hold what is missing");
    }
    if rounds_functions(command) && sizeless(ours) == sizeless(theirs) {
        return Some(
            "the last digits of a function of real numbers, of which the others are left out",
        );
    }
    if sets_inside(command) && ours.len() == theirs.len() {
        return Some(LEFT);
    }
    set_again(command, ours, theirs)
}

/// Lines without what their numbers are.
fn sizeless(lines: &[String]) -> Vec<String> {
    changed(lines, &mut |value| {
        if number(value).is_some() {
            *value = Value::Null;
        }
    })
}

/// Whether a `$zip` fills its lists up with what may be missing.
fn zips_missing(command: &Document) -> bool {
    let computed = |value: &Bson| value.as_str().is_some_and(|text| text.starts_with('$'));
    any_inside(command, &mut |name, operand| {
        let defaults = (name == "$zip").then(|| operand.as_document()?.get_array("defaults").ok());
        defaults
            .flatten()
            .is_some_and(|defaults| defaults.iter().any(computed))
    })
}

/// Whether a function of real numbers is rounded.
fn rounds_functions(command: &Document) -> bool {
    const ROUNDING: &[&str] = &[
        "$trunc", "$round", "$floor", "$ceil", "$mod", "$toInt", "$toLong",
    ];
    any_inside(command, &mut |name, operand| {
        let text = operand.to_string();
        ROUNDING.contains(&name) && REAL.iter().any(|function| text.contains(function))
    })
}

/// Whether `found` is true of a field of a document, or of one inside of it.
fn any_inside(document: &Document, found: &mut dyn FnMut(&str, &Bson) -> bool) -> bool {
    fn walk(value: &Bson, found: &mut dyn FnMut(&str, &Bson) -> bool) -> bool {
        match value {
            Bson::Document(inner) => any_inside(inner, found),
            Bson::Array(values) => values.iter().any(|value| walk(value, found)),
            _ => false,
        }
    }
    document
        .iter()
        .any(|(name, value)| found(name, value) || walk(value, found))
}

/// Why they may refuse what we do not.
pub(super) fn they_refuse(command: &Document) -> Option<&'static str> {
    sets_inside(command).then_some(LEFT)
}

const LEFT: &str =
    "an element that a projection took away is still there, without a value, for a later stage";

/// Whether something computed is set in a field after what is inside of it was
/// projected: it is computed for the elements that are gone too.
fn sets_inside(command: &Document) -> bool {
    let projected = set_projected(command);
    any_inside(command, &mut |path, value| {
        let inside = path
            .split_once('.')
            .is_some_and(|(first, _)| projected.iter().any(|p| p == first));
        inside && value.to_string().contains('$')
    })
}

/// Whether what is inside of a field was projected before it is unwound.
fn unwinds_projected(command: &Document) -> bool {
    let mut projected: Vec<&str> = Vec::new();
    stages(command.get("pipeline")).any(|stage| {
        if let Ok(project) = stage.get_document("$project") {
            let paths = project.keys().filter_map(|path| path.split_once('.'));
            projected.extend(paths.map(|(first, _)| first));
        }
        let unwind = stage.get("$unwind");
        let path = match unwind {
            Some(Bson::Document(unwind)) => unwind.get_str("path").ok(),
            other => other.and_then(Bson::as_str),
        };
        let path = path.and_then(|path| path.strip_prefix('$'));
        path.is_some_and(|path| projected.contains(&path))
    })
}

/// Whether only places of fields differ, where one of them may have been set again.
fn set_again(command: &Document, ours: &[String], theirs: &[String]) -> Option<&'static str> {
    let by_name = |lines: &[String]| {
        changed(lines, &mut |value| {
            if let Value::Object(object) = value {
                object.sort_keys();
            }
        })
    };
    let names = &["$setField", "$unsetField", "includeArrayIndex"];
    let projected = set_projected(command);
    let again = named(command, names) || !projected.is_empty();
    (again && by_name(ours) == by_name(theirs) || apart_from(&projected, ours, theirs)).then_some(
        "the place of a field that was taken away by one expression or stage and set by another",
    )
}

/// The fields of which a stage projects what is inside of them, before another sets
/// them.
fn set_projected(command: &Document) -> Vec<String> {
    let statements = command.get_array("updates").into_iter().flatten();
    let updates = statements.filter_map(|statement| statement.as_document()?.get("u"));
    let pipelines = [command.get("pipeline"), command.get("update")];
    let mut fields = Vec::new();
    for value in updates.chain(pipelines.into_iter().flatten()) {
        let mut projected = Vec::new();
        for stage in stages(Some(value)) {
            if let Ok(project) = stage.get_document("$project") {
                let paths = project.keys().filter_map(|path| path.split_once('.'));
                projected.extend(paths.map(|(first, _)| first.to_owned()));
            }
            let set = stage.get_document("$set");
            let set = set.or_else(|_| stage.get_document("$addFields")).ok();
            let first = |path: &String| path.split('.').next().map(str::to_owned);
            let set: Vec<String> = set
                .into_iter()
                .flat_map(Document::keys)
                .filter_map(first)
                .collect();
            fields.extend(projected.iter().filter(|name| set.contains(name)).cloned());
        }
    }
    fields
}

/// The `$graphLookup`s of a pipeline.
fn graph_lookups(command: &Document) -> impl Iterator<Item = &Document> {
    stages(command.get("pipeline")).filter_map(|stage| stage.get_document("$graphLookup").ok())
}

/// Whether a `$graphLookup` connects to a field of the elements of a list, or to one
/// of which some are empty lists.
fn loses_connections(command: &Document, lines: &[String]) -> bool {
    graph_lookups(command).any(|lookup| {
        let path = lookup.get_str("connectToField").unwrap_or_default();
        let empty = format!("\"{path}\":[]");
        path.contains('.') || lines.iter().any(|line| line.contains(&empty))
    })
}

/// The fields that `$graphLookup`s write to.
fn found(command: &Document) -> Vec<String> {
    let fields = graph_lookups(command).filter_map(|lookup| lookup.get_str("as").ok());
    fields.map(str::to_owned).collect()
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
