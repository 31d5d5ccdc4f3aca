//! Sorts by an element's place. mongod leaves out before such a sort what is not
//! asked for after it; a number in the path of what is asked for is a name there,
//! and so the element that is sorted by is gone.

use bson::{Bson, Document};

use super::{named, windows};

/// Why answers or refusals of a command may differ.
pub(super) fn sorted(command: &Document) -> Option<&'static str> {
    let stages = pipeline(command.get("pipeline"));
    if facets(&stages).any(|inner| inner.iter().any(|stage| !places(stage).is_empty())) {
        return Some(
            "a sort in a $facet by an element's place, after the fields that are not asked for were left out",
        );
    }
    if let Ok(fields) = command.get_document("projection")
        && places(command).iter().any(|path| meets(path, fields))
    {
        return Some(PROJECTED);
    }
    (0..stages.len()).find_map(|at| {
        let paths = places(stages[at]);
        let mut after = stages[at + 1..].iter();
        let next = after.find(|stage| FEW.iter().any(|name| stage.contains_key(*name)))?;
        if by_place(stages[at]) {
            return Some(LOOKED_UP);
        }
        (!paths.is_empty()).then_some(if next.contains_key("$project") {
            PROJECTED
        } else {
            "a sort by an element's place, where a $group or $facet asks for few fields"
        })
    })
}

/// Why answers may differ in what a $lookup found.
pub(super) fn looked_up(command: &Document) -> Option<&'static str> {
    let stages = pipeline(command.get("pipeline"));
    let asked = |at: usize| {
        let mut after = stages[at + 1..].iter();
        after.any(|stage| FEW.iter().any(|name| stage.contains_key(*name)))
    };
    (0..stages.len())
        .any(|at| by_place(stages[at]) && asked(at))
        .then_some(LOOKED_UP)
}

/// Why answers may differ: in their order alone, unless something after the sort
/// depends on it.
pub(super) fn placed(
    command: &Document,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    const ORDERED: [&str; 11] = [
        "$bottom",
        "$bucket",
        "$fill",
        "$first",
        "$group",
        "$last",
        "$limit",
        "$setWindowFields",
        "$skip",
        "$sortByCount",
        "$top",
    ];
    let cut = ["batchSize", "limit", "skip"];
    let depends = named(command, &ORDERED) || cut.iter().any(|name| command.contains_key(*name));
    sorted(command).filter(|_| depends || bag(ours) == bag(theirs))
}

/// Lines and what is in their lists in order: what a $facet found is in lists.
fn bag(lines: &[String]) -> Vec<String> {
    let mut lines = windows::bags(lines);
    lines.sort();
    lines
}

const LOOKED_UP: &str = "a $lookup by an element's place, where few fields are asked for after it";

/// Stages that ask for few fields.
const FEW: [&str; 6] = [
    "$bucket",
    "$bucketAuto",
    "$facet",
    "$group",
    "$project",
    "$sortByCount",
];

/// Whether a stage looks up what is at an element's place.
fn by_place(stage: &Document) -> bool {
    let lookup = stage.get_document("$lookup").ok();
    let local = lookup.and_then(|lookup| lookup.get_str("localField").ok());
    local.is_some_and(is_placed)
}

fn is_placed(path: &str) -> bool {
    path.split('.').any(|part| part.parse::<u32>().is_ok())
}

/// Why only the order of answers may differ: by a path into lists, whose elements
/// that are no documents are gone after a projection of it.
pub(super) fn ordered(
    command: &Document,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    let dotted = |command: &Document, fields: &Document| {
        let mut paths = sorts(command).filter(|path| path.contains('.'));
        paths.any(|path| meets(path, fields))
    };
    let stages = pipeline(command.get("pipeline"));
    let find = command.get_document("projection");
    let within = |stages: &[&Document]| {
        (0..stages.len()).any(|at| {
            let mut after = stages[at + 1..].iter();
            after.any(|stage| {
                let fields = stage.get_document("$project");
                fields.is_ok_and(|fields| dotted(stages[at], fields))
            })
        })
    };
    let met = find.is_ok_and(|fields| dotted(command, fields))
        || within(&stages)
        || facets(&stages).any(|inner| within(&inner));
    (met && bag(ours) == bag(theirs)).then_some(PROJECTED)
}

const PROJECTED: &str = "a sort by an element's place, which mongod does after a projection of it";

/// The paths with a number in them that a `find` or a stage sorts by.
fn places(command: &Document) -> Vec<&str> {
    sorts(command).filter(|path| is_placed(path)).collect()
}

/// The paths that a `find` or a stage sorts by.
fn sorts(command: &Document) -> impl Iterator<Item = &str> {
    let sort = command.get_document("sort");
    let sort = sort.or_else(|_| command.get_document("$sort")).ok();
    let paths = sort.into_iter().flat_map(Document::keys);
    paths.map(String::as_str)
}

/// Whether a projection changes something in the field that a path begins with.
fn meets(path: &str, fields: &Document) -> bool {
    let first = |path: &str| path.split('.').next().map(str::to_owned);
    fields
        .keys()
        .any(|name| name.contains('.') && first(name) == first(path))
}

fn facets<'a>(stages: &[&'a Document]) -> impl Iterator<Item = Vec<&'a Document>> {
    let facets = stages
        .iter()
        .filter_map(|stage| stage.get_document("$facet").ok());
    facets
        .flat_map(Document::values)
        .map(|inner| pipeline(Some(inner)))
}

fn pipeline(stages: Option<&Bson>) -> Vec<&Document> {
    let stages = stages.and_then(Bson::as_array).into_iter().flatten();
    stages.filter_map(Bson::as_document).collect()
}
