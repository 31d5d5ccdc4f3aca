//! Sorts by an element's place. mongod leaves out before such a sort what is not
//! asked for after it; a number in the path of what is asked for is a name there,
//! and so the element that is sorted by is gone.

use bson::{Bson, Document};

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
        let next = after.find(|stage| !stage.contains_key("$skip"))?;
        if let Ok(fields) = next.get_document("$project")
            && paths.iter().any(|path| meets(path, fields))
        {
            return Some(PROJECTED);
        }
        let few = ["$group", "$sortByCount", "$bucket", "$facet"];
        (!paths.is_empty() && few.iter().any(|name| next.contains_key(name)))
            .then_some("a sort by an element's place, where a $group or $facet asks for few fields")
    })
}

const PROJECTED: &str = "a sort by an element's place, which mongod does after a projection of it";

/// The paths with a number in them that a `find` or a stage sorts by.
fn places(command: &Document) -> Vec<&str> {
    let sort = command.get_document("sort");
    let sort = sort.or_else(|_| command.get_document("$sort")).ok();
    let paths = sort.into_iter().flat_map(Document::keys);
    let is_number = |part: &str| part.parse::<u32>().is_ok();
    paths
        .map(String::as_str)
        .filter(|path| path.split('.').any(is_number))
        .collect()
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
