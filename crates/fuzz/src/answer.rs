//! Two answers to one command: equal, refused, or different.

use bson::{Bson, Document};
use engine::CommandError;

use crate::indexes::Indexes;
use crate::mask;
use crate::order::{self, Order};

/// An answer of the waist.
pub type Reply = Result<Document, Refusal>;

/// An error. Its text is kept to be read, not to be compared.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Refusal {
    pub code: i32,
    pub text: String,
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Self {
            code: error.code,
            text: error.message,
        }
    }
}

/// What became of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Equal answers.
    Equal,
    /// Both refused, with these codes (ours, theirs).
    Refused(i32, i32),
    /// Different, for this reason that is not our affair.
    Masked(&'static str),
    /// Different: how, and what is only in one of them.
    Different(Difference, String),
}

/// How two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// We answer "unsupported" where they have an answer.
    Unsupported,
    /// We refuse what they do not.
    WeRefuse,
    /// They refuse what we do not.
    TheyRefuse,
    /// Other answers.
    Answer,
    /// Other documents after the same answer.
    State,
    /// Other events.
    Events,
}

/// Codes of operators, stages and fields that are not there.
const UNSUPPORTED: &[i32] = &[115, 168, 15952, 31325, 40324, 40415];

/// Compares the answers to one command.
pub fn compare(command: &Document, indexes: &Indexes, ours: &Reply, theirs: &Reply) -> Verdict {
    let order = order::of(command, indexes.any());
    let (ours, theirs) = (
        Shown::of(command, order, ours),
        Shown::of(command, order, theirs),
    );
    match (&ours, &theirs) {
        (Shown::Refused(a, _), Shown::Refused(b, _)) => Verdict::Refused(*a, *b),
        (Shown::Refused(code, text), Shown::Lines(lines)) => {
            if command
                .get("batchSize")
                .is_some_and(|size| *size == Bson::Int32(0))
            {
                return Verdict::Masked("mongod fails with the next batch, not with an empty one");
            }
            if let Some(why) = mask::we_refuse(command, indexes, *code, lines) {
                return Verdict::Masked(why);
            }
            let how = if UNSUPPORTED.contains(code) {
                Difference::Unsupported
            } else {
                Difference::WeRefuse
            };
            Verdict::Different(how, format!("we refuse: {code} {text}"))
        }
        (Shown::Lines(_), Shown::Refused(code, text)) => {
            if let Some(why) = mask::they_refuse(command, indexes, *code) {
                return Verdict::Masked(why);
            }
            Verdict::Different(
                Difference::TheyRefuse,
                format!("they refuse: {code} {text}"),
            )
        }
        (Shown::Lines(a), Shown::Lines(b)) if a == b => Verdict::Equal,
        (Shown::Lines(a), Shown::Lines(b)) => {
            if order == Order::Undefined {
                return Verdict::Masked("what comes out depends on an order that is not defined");
            }
            if let Some(why) = mask::answers(command, indexes, a, b) {
                return Verdict::Masked(why);
            }
            Verdict::Different(Difference::Answer, apart(a, b))
        }
    }
}

/// Compares two states of a collection, in the order of insertion.
pub fn compare_documents(
    command: &Document,
    indexes: &Indexes,
    ours: &[Document],
    theirs: &[Document],
) -> Verdict {
    let lines = |documents: &[Document]| -> Vec<String> {
        let documents = documents.iter().cloned().map(Bson::Document);
        documents
            .map(|document| canonical(document, false))
            .collect()
    };
    let (a, b) = (lines(ours), lines(theirs));
    if a == b {
        Verdict::Equal
    } else if let Some(why) = mask::stored(command, indexes, &a, &b) {
        Verdict::Masked(why)
    } else {
        Verdict::Different(Difference::State, apart(&a, &b))
    }
}

enum Shown {
    Refused(i32, String),
    Lines(Vec<String>),
}

impl Shown {
    fn of(command: &Document, order: Order, reply: &Reply) -> Self {
        let mut reply = match reply {
            Ok(reply) => reply.clone(),
            Err(refusal) => return Self::Refused(refusal.code, refusal.text.clone()),
        };
        // The deployment's own clock and history, which no command asked for.
        for name in [
            "operationTime",
            "$clusterTime",
            "electionId",
            "opTime",
            "commitQuorum",
        ] {
            reply.remove(name);
        }
        let name = command
            .keys()
            .next()
            .map(String::as_str)
            .unwrap_or_default();
        if let Ok(errors) = reply.get_array_mut("writeErrors") {
            let mut codes = Vec::new();
            for error in errors.iter_mut().filter_map(Bson::as_document_mut) {
                // Texts differ, and what a duplicate is of is in them.
                let text = error.remove("errmsg");
                for detail in ["keyPattern", "keyValue", "errInfo", "collation"] {
                    error.remove(detail);
                }
                codes.push((error.get_i32("code").unwrap_or_default(), text));
            }
            // A statement of its own fails like a command.
            if let [(code, text)] = &codes[..]
                && name != "insert"
            {
                let text = text.as_ref().and_then(Bson::as_str).unwrap_or_default();
                return Self::Refused(*code, text.to_owned());
            }
        }
        let text = command.to_string();
        let sets = [
            "$addToSet",
            "$setUnion",
            "$setIntersection",
            "$setDifference",
        ];
        // MongoDB defines no order for the elements of a set.
        // Nor for partitions that are made dense together.
        let parts = text.contains("\"$densify\"") && text.contains("\"partitionByFields\"");
        let bags = name == "aggregate" && (parts || sets.iter().any(|set| text.contains(set)));
        if let Ok(values) = reply.get_array_mut("values") {
            // Distinct values come in the order of the plan.
            values.sort_by_cached_key(|value| canonical(value.clone(), false));
        }
        if let Ok(cursor) = reply.get_document_mut("cursor") {
            let open = cursor.get_i64("id").is_ok_and(|id| id != 0);
            let mut lines: Vec<String> = match cursor.remove("firstBatch") {
                Some(Bson::Array(batch)) => batch
                    .into_iter()
                    .map(|value| canonical(value, bags))
                    .collect(),
                _ => Vec::new(),
            };
            if order != Order::Total || name == "listIndexes" {
                lines.sort();
            }
            lines.push(format!("open: {open}"));
            return Self::Lines(lines);
        }
        // A reply's fields have no order that anybody may count on.
        let mut lines: Vec<String> = reply
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", canonical(value, bags)))
            .collect();
        lines.sort();
        Self::Lines(lines)
    }
}

/// The lines that each has alone, or all when only their order differs.
fn apart(ours: &[String], theirs: &[String]) -> String {
    let only = |a: &[String], b: &[String]| {
        let lines: Vec<&str> = a
            .iter()
            .filter(|line| !b.contains(line))
            .map(String::as_str)
            .collect();
        if lines.is_empty() {
            a.join("\n         ")
        } else {
            lines.join("\n         ")
        }
    };
    format!(
        "ours   {}\n  theirs {}",
        only(ours, theirs),
        only(theirs, ours)
    )
}

/// Canonical Extended JSON, without what a clock or chance made: ids and times
/// of today are all the same.
pub fn canonical(mut value: Bson, bags: bool) -> String {
    level(&mut value, bags);
    value.into_canonical_extjson().to_string()
}

/// The first second that no generated value has: 2025.
const TODAY: i64 = 1_735_689_600;
/// The last, in 2100.
const FUTURE: i64 = 4_102_444_800;

/// Whether a value is an id that was made when there was none.
pub(crate) fn is_made(value: &Bson) -> bool {
    matches!(value, Bson::ObjectId(id) if today(id.timestamp().timestamp_millis() / 1000))
}

fn today(seconds: i64) -> bool {
    (TODAY..FUTURE).contains(&seconds)
}

fn level(value: &mut Bson, bags: bool) {
    match value {
        id if is_made(id) => *id = Bson::from("made"),
        // Its sign is the processor's.
        Bson::Double(n) if n.is_nan() => *value = Bson::Double(f64::NAN),
        Bson::DateTime(date) if today(date.timestamp_millis() / 1000) => {
            *value = Bson::from("now");
        }
        Bson::Timestamp(time) if today(time.time.into()) => {
            *value = Bson::from("cluster time");
        }
        Bson::Array(values) => {
            for value in values.iter_mut() {
                level(value, bags);
            }
            if bags {
                values.sort_by_cached_key(|value| canonical(value.clone(), false));
            }
        }
        Bson::Document(document) => {
            // What windows partition by has a name by chance, and is sometimes
            // left where it was.
            let all = std::mem::take(document).into_iter();
            document.extend(all.filter(|(name, _)| !is_partition(name)));
            document
                .iter_mut()
                .for_each(|(_, value)| level(value, bags));
        }
        _ => {}
    }
}

/// Whether a field is what mongod, or we, keep the partition of windows in.
fn is_partition(name: &str) -> bool {
    let chance = name.len() == 24 && name.ends_with("==");
    chance || name == "__internal_setWindowFields_partition_key"
}
