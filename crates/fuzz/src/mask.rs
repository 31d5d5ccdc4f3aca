//! Differences that are not our affair: each rule with its reason, and as
//! narrow as it can be. A run counts what each of them was applied to.

mod places;
mod quirks;
mod windows;

use bson::{Bson, Document};
use serde_json::Value;

use crate::indexes::Indexes;

/// The codes of mongod's newer executor, each with those that its older one has
/// for the same mistake. Which of them runs a pipeline depends on everything in
/// it, and on the version.
const TWINS: &[(i32, &[i32])] = &[
    // Not the executor's: of a set that is known, unless the $match was copied.
    (17310, &[17046]),
    (327_391, &[28651]),
    (4_848_401, &[2]),
    (4_848_403, &[16610, 5_733_415]),
    (4_848_979, &[40515]),
    (4_903_700, &[28765]),
    (4_903_701, &[28680]),
    (4_903_702, &[28765]),
    (4_903_703, &[28765]),
    (4_903_704, &[28765]),
    (4_903_705, &[28765]),
    (4_903_706, &[28766]),
    (4_903_707, &[28765]),
    (4_903_708, &[28761]),
    (4_903_709, &[28765]),
    (4_903_710, &[28714]),
    (4_934_200, &[40066]),
    (4_974_201, &[16554]),
    (4_974_203, &[16554]),
    (4_995_501, &[28765]),
    (4_995_502, &[28765]),
    (4_995_503, &[50989]),
    (4_997_703, &[16006]),
    (4_997_704, &[40485]),
    (4_998_202, &[16006]),
    (5_043_001, &[31393]),
    (5_066_300, &[16007]),
    (5_073_001, &[16702]),
    (5_073_101, &[14, 2]),
    (5_073_102, &[14]),
    (5_073_201, &[28651]),
    (5_073_401, &[51104]),
    (5_075_300, &[40091, 40093]),
    (5_075_301, &[40092, 40094]),
    (5_075_302, &[40092, 40094]),
    (5_075_303, &[40096]),
    (5_075_304, &[40097]),
    (5_075_305, &[40096]),
    (5_075_306, &[40097]),
    (5_126_701, &[28689]),
    (5_126_702, &[28690]),
    (5_126_704, &[28689]),
    (5_126_900, &[17043, 17047, 17048, 17049]),
    (5_153_400, &[28664]),
    (5_154_000, &[16611]),
    (5_154_300, &[34443]),
    (5_154_301, &[34445]),
    (5_154_306, &[34449]),
    (5_154_400, &[51744, 51745, 51746]),
    (5_154_901, &[34435]),
    (5_159_200, &[17041]),
    (5_166_500, &[5_166_307]),
    (5_166_501, &[5_166_307]),
    (5_166_503, &[5_439_014]),
    (5_166_505, &[40485]),
    (5_166_602, &[40485]),
    (5_166_603, &[5_166_403]),
    (5_166_605, &[9]),
    (5_166_606, &[5_166_405]),
    (5_338_802, &[5_439_016]),
    (5_688_500, &[51044, 51045]),
    (5_911_200, &[40_400]),
    (6_096_700, &[2_942_504]),
];

/// Whether two codes are one mistake, by two executors.
fn twins(ours: i32, theirs: i32) -> bool {
    TWINS.iter().any(|(newer, older)| {
        (theirs == *newer && older.contains(&ours)) || (ours == *newer && older.contains(&theirs))
    })
}

/// What [`twins`] are counted under.
const TWIN: &str = "a code of the executor that mongod chose";

/// A refusal that is a mistake of mongod 6.0's.
fn mishap(command: &Document, code: i32) -> Option<&'static str> {
    match code {
        // A text that is cut is no text for a regular expression.
        22 | 51156 if named(command, &["$replaceAll", "$replaceOne"]) => {
            Some("mongod replaces within a character, and makes what is no text")
        }
        4_822_806 => Some("mongod's newer executor makes one name of two equal expressions"),
        5_868_001 => Some("mongod drops a null of $ifNull in $replaceRoot, and finds too few"),
        _ => None,
    }
}

/// Why two answers may differ.
pub fn answers(
    command: &Document,
    indexes: &Indexes,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    told(command, indexes, ours, theirs)
        .or_else(|| quirks::answers(command, ours, theirs))
        .or_else(|| spelled(command, ours, theirs))
        .or_else(|| executed(command, indexes, ours, theirs))
        .or_else(|| chosen(command, ours, theirs))
}

/// Why an answer may differ where an index is sparse.
pub fn sparse(command: &Document) -> Option<&'static str> {
    fn at_an_end(value: &Bson) -> bool {
        match value {
            Bson::Document(document) => document.iter().any(|(name, value)| {
                let name = name.as_str();
                match value {
                    Bson::MinKey | Bson::MaxKey => ["$lt", "$lte", "$gt", "$gte"].contains(&name),
                    Bson::Null => ["$lte", "$gte"].contains(&name),
                    other => at_an_end(other),
                }
            }),
            Bson::Array(values) => values.iter().any(at_an_end),
            _ => false,
        }
    }
    let less = ["$lt", "$lte", "$eq", "$gt", "$gte"];
    if queries(command).any(|query| query.contains_key("$expr")) && named(command, &less) {
        return Some(
            "an expression that what is missing may satisfy, by a sparse index, which has none of it",
        );
    }
    command.values().any(at_an_end).then_some(
        "a comparison with null or with an end of all keys, which is true of what is missing, by a sparse index, which has none of it",
    )
}

/// Why what a command left may differ.
pub fn stored(
    command: &Document,
    indexes: &Indexes,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    if let Some(why) = reached(command, indexes) {
        return Some(why);
    }
    // Its library tells a zero with the exponent of the number it went through.
    let zeros = |lines: &[String]| {
        changed(lines, &mut |value| {
            let zero = number(value).is_some_and(|number| number == 0.0);
            if let Some(Value::String(digits)) = value.get_mut("$numberDecimal")
                && zero
            {
                *digits = digits.split('E').next().unwrap_or_default().to_owned();
            }
        })
    };
    if named(command, &["$atan2", "$asinh", "$tan"]) && zeros(ours) == zeros(theirs) {
        return Some("the exponent of a zero that a function of angles gave");
    }
    inexact(command, ours, theirs).or_else(|| quirks::stored(command, ours, theirs))
}

/// Why we may refuse what they do not.
pub fn we_refuse(
    command: &Document,
    indexes: &Indexes,
    code: i32,
    theirs: &[String],
) -> Option<&'static str> {
    not_asked(command, indexes, (code, true))
        .or_else(|| windows::we_refuse(code, theirs))
        .or_else(|| quirks::we_refuse(command, code))
}

/// Why they may refuse what we do not.
pub fn they_refuse(command: &Document, indexes: &Indexes, code: i32) -> Option<&'static str> {
    not_asked(command, indexes, (code, false))
        .or_else(|| mishap(command, code))
        .or_else(|| windows::they_refuse(command, code))
        .or_else(|| quirks::they_refuse(command))
}

/// Why both may refuse with other codes.
pub fn codes(command: &Document, ours: i32, theirs: i32) -> Option<&'static str> {
    if twins(ours, theirs) {
        return Some(TWIN);
    }
    // With the second, a byte of it alone is told.
    if theirs == 17 || theirs == 22 && !command.to_string().is_ascii() {
        return Some(
            "a text that mongod cut within a character for its message, which the driver does not read",
        );
    }
    if [2, 16746].contains(&ours) || [2, 16746].contains(&theirs) {
        return places::sorted(command);
    }
    mishap(command, theirs).or_else(|| windows::codes(command, ours, theirs))
}

/// Whether a failed expression may be the plan's affair: with more than one
/// predicate, which one is asked first is not defined.
fn not_asked(
    command: &Document,
    indexes: &Indexes,
    (code, by_us): (i32, bool),
) -> Option<&'static str> {
    let stages = || command.get_array("pipeline").into_iter().flatten();
    let matches = stages().filter_map(|stage| stage.as_document()?.get_document("$match").ok());
    let filters = ["filter", "query"].into_iter();
    let filters = filters.filter_map(|name| command.get_document(name).ok());
    let asked: Vec<&Document> = filters.chain(matches).collect();
    let predicates: usize = asked.iter().map(|filter| filter.len()).sum();
    let computed = asked.iter().any(|filter| {
        let text = filter.to_string();
        text.contains("$expr") || text.contains("$regex")
    });
    // Other documents are left by a limit.
    if ([2, 16746].contains(&code) || named(command, &["\"$limit\""]))
        && let Some(why) = places::sorted(command)
    {
        return Some(why);
    }
    if [2, 16746].contains(&code) && stages().count() > 0 && named(command, &["$jsonSchema"]) {
        return Some("a sort after or before a $match by a schema, of which mongod moves some");
    }
    let older = TWINS.iter().flat_map(|(_, older)| older.iter());
    if by_us
        && older
            .chain(&[14, 16554, 16702, 51081])
            .any(|known| *known == code)
        && named(command, &["$group", "$sortByCount", "$bucket"])
    {
        return Some("mongod's newer executor sees a null before an operand that is wrong");
    }
    if !by_us
        && [327_391, 327_392].contains(&code)
        && named(command, &["$group", "$sortByCount", "$bucket"])
    {
        return Some("mongod's newer executor looks at the limit of a $filter before its input");
    }
    if !by_us && code == 4_848_979 && named(command, &["$group", "$sortByCount", "$bucket"]) {
        return Some(
            "mongod's newer executor looks at the day of a $dateFromParts before its week",
        );
    }
    if let Some(why) = reached(command, indexes) {
        return Some(why);
    }
    ((predicates > 1 || indexes.any()) && computed)
        .then_some("an expression failed for one and was not asked by the other")
}

/// Whether only something beside the documents differs.
fn told(
    command: &Document,
    indexes: &Indexes,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    let open = |line: &&String| line.starts_with("open: ");
    // What was read to choose a plan may be all there is.
    let planned = command.get_i32("batchSize").is_ok_and(|size| size == 0) && indexes.any();
    if planned || command.contains_key("limit") && command.contains_key("batchSize") {
        let all = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| !open(line)).cloned().collect()
        };
        if all(ours) == all(theirs) {
            return Some("whether a cursor at its limit is open for a batch of nothing");
        }
    }
    if lists_by_index(command, indexes) {
        return Some("a comparison with a list by an index, which has the list's elements");
    }
    if let Some(why) = places::looked_up(command) {
        return Some(why);
    }
    if let Some(why) = left_open(command, indexes, ours, theirs) {
        return Some(why);
    }
    if let Ok(key) = command.get_str("distinct").and(command.get_str("key"))
        && indexes.have(key)
        && by_key(ours) == by_key(theirs)
    {
        return Some(
            "a distinct by an index alone, which tells what is missing as null, an empty list as undefined, looks once more into lists, and tells one of equal numbers",
        );
    }
    null_by_place(command, indexes)
}

/// Whether a query asks for what is less or more than a list, by an index.
fn lists_by_index(command: &Document, indexes: &Indexes) -> bool {
    let mut fields = queries(command).flatten();
    fields.any(|(path, test)| {
        let mut tests = test.as_document().into_iter().flatten();
        let compares = |(name, value): (&String, &Bson)| {
            let order = ["$lt", "$lte", "$gt", "$gte"].contains(&name.as_str());
            order && matches!(value, Bson::Array(_))
        };
        indexes.have(path) && tests.any(compares)
    })
}

/// Whether only that a cursor is open differs, which has nothing left: a plan that
/// sorts knows it, one that goes by the index of `_id` has to look.
fn left_open(
    command: &Document,
    indexes: &Indexes,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    let sort = command.get_document("sort").ok()?;
    let by_id = sort.keys().next().is_some_and(|path| path == "_id");
    let (mine, other) = (ours.split_last()?, theirs.split_last()?);
    let filtered = command.get_document("filter").is_ok_and(|f| !f.is_empty());
    (by_id && filtered && indexes.any() && mine.1 == other.1 && mine.0.starts_with("open: "))
        .then_some("whether a plan by one of two indexes knows that a cursor has nothing left")
}

/// Whether a query asks for null by an index on an element's place: what such an
/// index has for an element without the field is not what the query says of it.
fn null_by_place(command: &Document, indexes: &Indexes) -> Option<&'static str> {
    let mut fields = queries(command).flatten();
    let found = fields.any(|(path, test)| {
        let numbered = path
            .split('.')
            .skip(1)
            .any(|part| part.parse::<u32>().is_ok());
        numbered && indexes.have(path) && test.to_string().contains("null")
    });
    found.then_some("a null by an index on an element's place")
}

/// The queries of a command, but for those of pipelines.
fn queries(command: &Document) -> impl Iterator<Item = &Document> {
    let own = ["filter", "query"]
        .into_iter()
        .filter_map(|name| command.get_document(name).ok());
    let lists = ["updates", "deletes"]
        .into_iter()
        .filter_map(|name| command.get_array(name).ok());
    let statements = lists.flatten().filter_map(Bson::as_document);
    own.chain(statements.filter_map(|statement| statement.get_document("q").ok()))
}

/// Whether a statement may have reached other documents: the first of several that
/// an expression or a negation chooses, by an index that mongod takes for it, or
/// those without the field.
fn reached(command: &Document, indexes: &Indexes) -> Option<&'static str> {
    let writes = command.contains_key("update") || command.contains_key("delete");
    let computed = writes && queries(command).any(|query| query.contains_key("$expr"));
    let negated = writes && named(command, &["\"$ne\"", "\"$nin\"", "\"$not\""]);
    let sorted = command.contains_key("sort");
    let first = !sorted && !named(command, &["\"multi\": true", "\"limit\": 0"]);
    if computed && indexes.any() && first {
        return Some("which of several documents an expression finds first by an index");
    }
    if negated && (indexes.any() || negates_id(command)) && first {
        return Some("which of several documents a negation finds first by an index");
    }
    let by_schema = writes && queries(command).any(|query| query.contains_key("$jsonSchema"));
    if by_schema && indexes.any() && first {
        return Some("which of several documents a schema finds first by an index");
    }
    null_by_place(command, indexes)
}

/// Whether a query has a negation of `_id`, for which mongod goes by its index.
pub(crate) fn negates_id(command: &Document) -> bool {
    fn inside(query: &Document) -> bool {
        query.iter().any(|(name, value)| match value {
            Bson::Document(test) if name == "_id" => ["$ne", "$nin", "$not"]
                .iter()
                .any(|name| test.contains_key(*name)),
            Bson::Array(parts) if name.starts_with('$') => {
                parts.iter().filter_map(Bson::as_document).any(inside)
            }
            _ => false,
        })
    }
    queries(command).any(inside)
}

/// Distinct values as the keys of an index have them: without what stands for
/// nothing, without the lists around values, and numbers by their size.
fn by_key(lines: &[String]) -> Vec<String> {
    fn walk(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| walk(value, into)),
            Value::Null => {}
            Value::Object(object) if object.contains_key("$undefined") => {}
            value => into.push(value.to_string()),
        }
    }
    // A symbol is its text, within documents as well.
    let text = |value: &mut Value| {
        if let Some(text) = value.get("$symbol") {
            *value = text.clone();
        }
    };
    let values = lines.iter().filter_map(|line| {
        let list = line.strip_prefix("values: ")?.to_owned();
        let list = changed(&[list], &mut { text }).first()?.clone();
        serde_json::from_str(changed(&[list], &mut sized).first()?).ok()
    });
    let mut keys = Vec::new();
    values.for_each(|value: Value| walk(&value, &mut keys));
    keys.sort();
    keys.dedup();
    keys
}

/// Zero has no sign here, and a number no more than 14 digits.
fn sized(value: &mut Value) {
    if let Some(number) = number(value) {
        *value = Value::String(format!("{:.13e}", number + 0.0));
    }
}

/// Whether only the spelling of numbers differs, in a way that is mongod's.
fn spelled(command: &Document, ours: &[String], theirs: &[String]) -> Option<&'static str> {
    let grouped = named(command, &["\"$group\"", "\"$sortByCount\"", "\"$bucket"]);
    let sizes = |lines: &[String]| {
        let mut lines = changed(lines, &mut sized);
        if grouped {
            lines.sort();
        }
        lines
    };
    if sizes(ours) != sizes(theirs) {
        return inexact(command, ours, theirs);
    }
    // One of mongod's two executors keeps the first of equal values for $min and
    // $max, the other the last; one turns doubles to decimals of 15 digits. Which
    // one runs depends on what stands before the $group.
    if grouped {
        return Some("a $group, whose numbers are spelled by the executor that ran it");
    }
    inexact(command, ours, theirs)
}

/// Functions of real numbers.
const REAL: &[&str] = &[
    "$sin",
    "$cos",
    "$tan",
    "$asin",
    "$acos",
    "$atan",
    "Radians",
    "ToDegrees",
    "$pow",
    "$exp",
    "$ln",
    "$log",
];

/// Whether only the last digits of what its library computes differ, of those made
/// texts too; ours are computed with more and rounded.
fn inexact(command: &Document, ours: &[String], theirs: &[String]) -> Option<&'static str> {
    let told = |value: &mut Value| {
        sized(value);
        let digits = |text: &&str| text.len() > 14;
        let number = value.as_str().filter(digits).map(str::parse::<f64>);
        if let Some(Ok(number)) = number {
            *value = Value::String(format!("{number:.13e}"));
        }
    };
    (named(command, REAL) && changed(ours, &mut { told }) == changed(theirs, &mut { told }))
        .then_some("the last digits of a function of real numbers")
}

fn number(value: &Value) -> Option<f64> {
    let names = [
        "$numberInt",
        "$numberLong",
        "$numberDouble",
        "$numberDecimal",
    ];
    names
        .iter()
        .find_map(|name| value.get(name)?.as_str()?.parse().ok())
}

/// Whether only what mongod's newer executor mistakes differs: it shows the
/// least and the greatest key in a document of their own, and code as text.
fn executed(
    command: &Document,
    indexes: &Indexes,
    ours: &[String],
    theirs: &[String],
) -> Option<&'static str> {
    let executed = named(command, &["$group", "$lookup", "$sortByCount", "$bucket"]);
    let sets = named(command, &["$addToSet"]);
    // Of such a document, the field that a stage sets in it may be left out again.
    let emptied = |value: &mut Value| {
        let key = |value: &Value| value.get("$minKey").or(value.get("$maxKey")).is_some();
        if let Some(object) = value.as_object_mut()
            && object.get("").is_some_and(key)
            && named(command, &["\"$unset\"", "\"$project\""])
        {
            object.retain(|name, _| !name.is_empty());
        }
    };
    let without = |lines: &[String]| changed(lines, &mut { emptied });
    if executed && without(ours) == without(theirs) {
        return Some(EXECUTED);
    }
    // Such a document is no end of a bucket.
    let ends = |lines: &[String]| lines.iter().any(|line| line.contains("Key\":1}"));
    if executed
        && named(command, &["\"$bucketAuto\""])
        && (ends(ours) || ends(theirs))
        && apart_from(&["min".to_owned(), "max".to_owned()], ours, theirs)
    {
        return Some(EXECUTED);
    }
    // What is grouped by it is sorted as such a document.
    let shown = |lines: &[String]| {
        let mut lines = changed(lines, &mut |value| {
            mistaken(value);
            if let (Value::Array(values), true) = (value, sets) {
                values.sort_by_cached_key(Value::to_string);
            }
        });
        let ordered = [
            "\"$group\"",
            "\"$sortByCount\"",
            "\"$bucket",
            "\"$setWindowFields\"",
        ];
        if named(command, &ordered) {
            lines.sort();
        }
        lines
    };
    // What comes of it is true or false.
    let other = |lines: &[String]| -> Vec<String> {
        let told = |line: &&String| line.contains("true") || line.contains("false");
        let other = lines.iter().filter(|line| !told(line));
        other.cloned().collect()
    };
    if compares_ends(command, indexes) && other(ours) == other(theirs) {
        return Some(
            "a comparison with a least or greatest key in a $group, of which mongod's newer executor has no value",
        );
    }
    (executed && shown(ours) == shown(theirs)).then_some(EXECUTED)
}

const EXECUTED: &str = "keys at the ends and code, as mongod's newer executor shows them";

/// Whether a `$group` may compare with the least or the greatest key.
fn compares_ends(command: &Document, indexes: &Indexes) -> bool {
    let stages = command.get_array("pipeline").into_iter().flatten();
    let mut groups = stages.filter_map(|stage| {
        let stage = stage.as_document()?;
        let grouped = ["$group", "$sortByCount", "$bucket"]
            .iter()
            .find_map(|name| stage.get(*name));
        grouped.map(ToString::to_string)
    });
    let compares = ["\"$gt\"", "\"$gte\"", "\"$lt\"", "\"$lte\"", "\"$cmp\""];
    groups.any(|group| {
        let ends = indexes.ends() || group.contains("MinKey") || group.contains("MaxKey");
        ends && compares.iter().any(|name| group.contains(name))
    })
}

fn mistaken(value: &mut Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    let key = |value: &Value| value.get("$minKey").or(value.get("$maxKey")).is_some();
    if object.len() > 1 {
        // It was a document that a field could be set in.
        object.retain(|name, value| !(name.is_empty() && key(value)));
    } else if let Some(inner) = object
        .get("")
        .filter(|value| key(value))
        .or(object.get("$code"))
    {
        *value = inner.clone();
    }
}

/// Whether only what may be chosen freely differs.
fn chosen(command: &Document, ours: &[String], theirs: &[String]) -> Option<&'static str> {
    if let Some(why) = windows::answers(command, ours, theirs) {
        return Some(why);
    }
    let sorted = places::placed(command, ours, theirs);
    let sorted = sorted.or_else(|| places::ordered(command, ours, theirs));
    if sorted.is_some() {
        return sorted;
    }
    let last = |lines: &[String]| {
        let mut placed = lines.to_vec();
        for name in looked_up(command) {
            placed = changed(&placed, &mut |value| {
                if let Value::Object(object) = value
                    && let Some(found) = object.shift_remove(&name)
                {
                    object.insert(name.clone(), found);
                }
            });
        }
        placed
    };
    let projected = |lines: &[String]| {
        changed(&last(lines), &mut |value| {
            if let Value::Object(object) = value {
                object.sort_keys();
            }
        })
    };
    let placed = last(ours) == last(theirs)
        || named(command, &["\"$project\""]) && projected(ours) == projected(theirs);
    if named(command, &["\"$lookup\""]) && placed {
        return Some("the place of what a $lookup found, by the executor that ran it");
    }
    if named(command, &["$graphLookup"]) {
        let sorted = |lines: &[String]| {
            let mut lines = changed(lines, &mut |value| {
                if let Value::Array(values) = value {
                    values.sort_by_cached_key(Value::to_string);
                }
            });
            lines.sort();
            lines
        };
        if sorted(ours) == sorted(theirs) {
            return Some("the order of what a $graphLookup found");
        }
    }
    if named(command, &["$group"]) && named(command, &["$min", "$max"]) {
        let (ours, theirs) = (parsed(ours), parsed(theirs));
        let extremes = extremes(command);
        let same = ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(a, b)| same_but(a, b, &extremes));
        if same {
            return Some("which of the texts that are equal by collation a $min or $max keeps");
        }
    }
    None
}

/// The names on the paths that `$lookup`s write to.
fn looked_up(command: &Document) -> Vec<String> {
    let stages = command.get_array("pipeline").into_iter().flatten();
    let lookups = stages.filter_map(|stage| stage.as_document()?.get_document("$lookup").ok());
    let into = lookups.filter_map(|lookup| lookup.get_str("as").ok());
    into.flat_map(|path| path.split('.'))
        .map(str::to_owned)
        .collect()
}

/// Whether two answers are equal without these fields, wherever they are.
fn apart_from(names: &[String], ours: &[String], theirs: &[String]) -> bool {
    let without = |lines: &[String]| {
        changed(lines, &mut |value| {
            if let Value::Object(object) = value {
                object.retain(|name, _| !names.contains(name));
            }
        })
    };
    without(ours) == without(theirs)
}

/// The fields of `$group`s that are the least or the greatest.
fn extremes(command: &Document) -> Vec<String> {
    let stages = command.get_array("pipeline").into_iter().flatten();
    let groups = stages.filter_map(|stage| stage.as_document()?.get_document("$group").ok());
    let fields = groups.flatten().filter(|(_, field)| {
        field
            .as_document()
            .is_some_and(|field| field.contains_key("$min") || field.contains_key("$max"))
    });
    fields.map(|(name, _)| name.clone()).collect()
}

/// Lines by what they are without the fields that are the least or the greatest.
fn parsed(lines: &[String]) -> Vec<Value> {
    let parsed = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    parsed.collect()
}

/// Whether two lines are equal but for texts in some fields, which are so by
/// the coarsest collation.
fn same_but(ours: &Value, theirs: &Value, fields: &[String]) -> bool {
    let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else {
        return ours == theirs;
    };
    ours.len() == theirs.len()
        && ours.iter().all(|(name, a)| match theirs.get(name) {
            Some(b) if fields.contains(name) => same_texts(a, b),
            b => Some(a) == b,
        })
}

fn same_texts(ours: &Value, theirs: &Value) -> bool {
    if number(ours).is_some() && number(ours) == number(theirs) {
        return true;
    }
    let text = |value: &Value| value.get("$symbol").unwrap_or(value).clone();
    match (&text(ours), &text(theirs)) {
        (Value::String(a), Value::String(b)) => coarse(a) == coarse(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_texts(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|((n, a), (m, b))| n == m && same_texts(a, b))
        }
        (a, b) => a == b,
    }
}

/// A text as the coarsest collation sees it, of those that programs have:
/// without case, accents, and what is no letter at all.
fn coarse(text: &str) -> String {
    let seen = text.chars().filter(|c| !c.is_control() && *c != '\u{301}');
    let lower = seen.flat_map(char::to_lowercase).collect::<String>();
    lower.replace('é', "e").replace('ß', "ss")
}

/// Whether one of these is in the command.
fn named(command: &Document, names: &[&str]) -> bool {
    let text = command.to_string();
    names.iter().any(|name| text.contains(name))
}

/// Lines with each value changed, those inside first.
fn changed(lines: &[String], change: &mut dyn FnMut(&mut Value)) -> Vec<String> {
    fn walk(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        match value {
            Value::Object(object) => object.values_mut().for_each(|value| walk(value, change)),
            Value::Array(list) => list.iter_mut().for_each(|value| walk(value, change)),
            _ => {}
        }
        change(value);
    }
    lines
        .iter()
        .map(|line| match serde_json::from_str(line) {
            Ok(mut value) => {
                walk(&mut value, change);
                value.to_string()
            }
            Err(_) => line.clone(),
        })
        .collect()
}
