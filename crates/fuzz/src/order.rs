//! Whether the order of a reply's documents is defined.

use bson::{Bson, Document};

/// How far an answer is determined by its command and the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The documents come in one order.
    Total,
    /// They are the same documents in any order.
    Any,
    /// Which they are depends on an order that nobody asked for.
    Undefined,
}

/// The order of the answer of a read. Without an index, documents come in the
/// order they were inserted in; with one, or by `_id`, it is the plan's.
pub fn of(command: &Document, indexed: bool) -> Order {
    let natural = |filter: &str| {
        !indexed
            && !command
                .get(filter)
                .is_some_and(|filter| mentions(filter, "_id"))
    };
    match command.keys().next().map(String::as_str) {
        Some("find") => {
            let sorted = match command.get("sort") {
                Some(Bson::Document(sort)) if !sort.is_empty() => sort.contains_key("_id"),
                _ => natural("filter"),
            };
            let cut = ["skip", "limit", "batchSize"]
                .iter()
                .any(|name| command.contains_key(*name));
            match (sorted, cut) {
                (true, _) => Order::Total,
                (false, false) => Order::Any,
                (false, true) => Order::Undefined,
            }
        }
        Some("aggregate") => match command.get("pipeline") {
            Some(Bson::Array(stages)) => pipeline(stages, natural("pipeline")),
            _ => Order::Any,
        },
        _ => Order::Total,
    }
}

fn pipeline(stages: &[Bson], natural: bool) -> Order {
    let mut ordered = natural;
    // Whether no two documents have the same `_id`.
    let mut distinct = true;
    // Whether they are those of a collection, of which no two have the same `u` or
    // `v`.
    let mut own = true;
    for stage in stages.iter().filter_map(Bson::as_document) {
        let Some((name, operand)) = stage.iter().next() else {
            continue;
        };
        match name.as_str() {
            "$sort" => {
                ordered = distinct
                    && operand
                        .as_document()
                        .is_some_and(|sort| sort.contains_key("_id"));
            }
            "$group" | "$sortByCount" | "$bucket" => {
                // Sums of doubles and the value that stands for a group depend
                // on it, besides the first, last and all.
                if !ordered {
                    return Order::Undefined;
                }
                ordered = name == "$bucket";
                distinct = true;
            }
            "$limit" | "$skip" | "$bucketAuto" if !ordered => {
                return Order::Undefined;
            }
            // Its pipelines sort by `_id`, and cut.
            "$facet" if !ordered || !distinct => return Order::Undefined,
            "$setWindowFields" | "$fill" => match windows(operand, distinct, own) {
                Some(sorted) => ordered = sorted || ordered,
                None => return Order::Undefined,
            },
            "$densify" => {
                ordered = distinct && densified(operand);
                distinct = false;
            }
            "$unionWith" if mentions(operand, "$densify") => {
                distinct = false;
                ordered = false;
            }
            "$unwind" | "$replaceRoot" | "$replaceWith" | "$unionWith" | "$facet" | "$project"
            | "$count" => distinct = false,
            "$set" | "$addFields" | "$unset" | "$lookup" if mentions(operand, "_id") => {
                distinct = false;
            }
            "$sample" => return Order::Undefined,
            _ => {}
        }
        let groups = ["$group", "$sortByCount", "$bucket", "$bucketAuto"];
        own &= !groups.contains(&name.as_str());
    }
    if ordered { Order::Total } else { Order::Any }
}

/// Whether the documents that come out of windows are sorted by something that
/// no two share; `None` when what is computed depends on more than that.
fn windows(operand: &Bson, distinct: bool, of_collection: bool) -> Option<bool> {
    let spec = operand.as_document()?;
    let sort = spec.get("sortBy").and_then(Bson::as_document);
    let own = |sort: &Document| {
        let values = ["u", "v"].iter().any(|name| sort.contains_key(*name));
        sort.contains_key("_id") || values && of_collection
    };
    match sort {
        Some(sort) if own(sort) && distinct => Some(true),
        _ if methods(spec) == 0 && !spec.contains_key("partitionBy") => Some(false),
        _ => None,
    }
}

/// How many fields a `$fill` fills by a method; one of a `$setWindowFields`.
fn methods(spec: &Document) -> usize {
    match spec.get_document("output") {
        Ok(output) if !output.is_empty() => output
            .iter()
            .filter(|(_, how)| {
                how.as_document()
                    .is_none_or(|how| !how.contains_key("value"))
            })
            .count(),
        _ => 1,
    }
}

/// Whether densified documents come in one order: by a value that no two share,
/// and not partition by partition as a table has them.
fn densified(operand: &Bson) -> bool {
    let Some(spec) = operand.as_document() else {
        return false;
    };
    let own = ["_id", "u", "v"];
    let field = spec.get_str("field");
    let bounds = spec
        .get_document("range")
        .and_then(|range| range.get_str("bounds"));
    field.is_ok_and(|field| own.contains(&field))
        && (!spec.contains_key("partitionByFields") || bounds.is_ok_and(|b| b == "partition"))
}

/// Whether a name or a path that begins with it occurs in a value.
fn mentions(value: &Bson, name: &str) -> bool {
    match value {
        Bson::Document(document) => document
            .iter()
            .any(|(key, value)| key.starts_with(name) || mentions(value, name)),
        Bson::Array(values) => values.iter().any(|value| mentions(value, name)),
        Bson::String(text) => text.contains(name),
        _ => false,
    }
}
