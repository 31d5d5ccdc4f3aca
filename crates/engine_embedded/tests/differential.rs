//! The same random commands on the embedded engine and on a real mongod: equal
//! answers, equal errors, equal documents, equal events.
//!
//! `BACKSTITCH_FUZZ_SEED` and `BACKSTITCH_FUZZ_PROGRAMS` ask for other and for
//! more programs than the test's own.

mod generate;

use std::sync::Arc;

use bson::{Bson, Document, doc};
use engine::conformance::World;
use engine::{CommandError, WatchRequest};
use engine_embedded::Embedded;
use generate::Random;
use kit::SystemClock;

/// Commands of one program, each on the documents that the last one left.
const COMMANDS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn random_commands_have_equal_answers() {
    let Some(mongod) = testkit::mongod::Mongod::start().await else {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
        return;
    };
    let embedded = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    let embedded: engine::SharedEngine = Arc::new(embedded);
    let from = |name: &str, or: u64| {
        std::env::var(name).map_or(or, |text| text.parse().expect("a number"))
    };
    let (seed, programs) = (
        from("BACKSTITCH_FUZZ_SEED", 1),
        from("BACKSTITCH_FUZZ_PROGRAMS", 120),
    );
    let mut all = End::default();
    for program in seed..seed + programs {
        let world = |engine: &engine::SharedEngine| World {
            engine: engine.clone(),
            database: format!("differential_{program}"),
        };
        let pair = Pair {
            ours: world(&embedded),
            theirs: world(&mongod.engine()),
        };
        let end = pair.program(program).await;
        all.ran += end.ran;
        all.refused += end.refused;
        all.other_code += end.other_code;
        all.not_asked += end.not_asked;
        all.different.extend(end.different);
        for world in [&pair.ours, &pair.theirs] {
            world.ok(doc! { "dropDatabase": 1 }).await;
        }
    }
    println!(
        "{} commands, {} of them refused by both, {} with another code, {} by one",
        all.ran, all.refused, all.other_code, all.not_asked
    );
    assert!(all.ran > 0 && all.refused > 0, "the programs do nothing");
    assert!(
        all.different.is_empty(),
        "{} differences:\n{}",
        all.different.len(),
        all.different.join("\n")
    );
    // Where two parts of a command are wrong, which is found first may differ.
    assert!(all.other_code * 25 <= all.refused, "too many other codes");
    assert!(all.not_asked * 200 <= all.ran, "too many refused by one");
}

struct Pair {
    ours: World,
    theirs: World,
}

#[derive(Default)]
struct End {
    ran: usize,
    refused: usize,
    /// Refused by both, with another code.
    other_code: usize,
    /// An expression failed for one and was not asked by the other.
    not_asked: usize,
    different: Vec<String>,
}

impl Pair {
    /// Runs one program, to its end or to the first difference that lasts.
    async fn program(&self, seed: u64) -> End {
        let mut r = Random(seed.wrapping_mul(1_000_003));
        let mut end = End::default();
        let documents: Vec<Document> = (0..12).map(|id| generate::document(&mut r, id)).collect();
        // With indexes, mongod's natural order is that of the index it chose.
        let indexed = r.one_in(3);
        let mut commands = vec![doc! { "create": "c" }];
        if indexed {
            let (first, second) = (
                *r.pick(&["a", "n", "l", "a.b"]),
                *r.pick(&["b", "n", "l.b"]),
            );
            let mut key = doc! { first: *r.pick(&[1, -1]) };
            if r.one_in(2) {
                key.insert(second, 1);
            }
            let unique = r.one_in(4);
            commands.push(doc! { "createIndexes": "c", "indexes": [{ "key": key, "name": "i", "unique": unique }] });
        }
        commands.push(doc! { "insert": "c", "documents": documents, "ordered": false });
        for command in commands {
            end.ran += 1;
            if let Some(difference) = self.compare(&command, &mut end).await {
                end.different.push(format!("program {seed}: {difference}"));
                return end;
            }
        }
        let request = |world: &World| WatchRequest {
            database: Some(world.database.clone()),
            collection: Some("c".to_owned()),
            ..WatchRequest::default()
        };
        let mut our_feed = self
            .ours
            .engine
            .watch(request(&self.ours))
            .await
            .expect("a feed");
        let mut their_feed = self
            .theirs
            .engine
            .watch(request(&self.theirs))
            .await
            .expect("a feed");
        let mut by_pipeline = false;
        for step in 0..COMMANDS {
            let command = command(&mut r, 100 + step as i32, indexed);
            by_pipeline |= is_pipeline_update(&command);
            end.ran += 1;
            let refused = end.refused + end.not_asked;
            let writes = !matches!(
                command.keys().next().map(String::as_str),
                Some("find" | "count" | "distinct" | "aggregate")
            );
            let mut difference = self.compare(&command, &mut end).await;
            // Arithmetic on Decimal128 is refused, which is said and not wrong.
            if difference
                .as_ref()
                .is_some_and(|text| text.contains("ours   error 40415"))
            {
                return end;
            }
            if writes {
                let all = doc! { "find": "c", "sort": { "_id": 1 } };
                let state = self.compare(&all, &mut End::default()).await;
                // How far a refused update got before it was refused may differ.
                let refused = end.refused + end.not_asked > refused;
                if difference.is_none() && refused && state.is_some() {
                    return end;
                }
                let lasts = state.is_some();
                if let Some(state) = state {
                    let difference = difference.get_or_insert_with(|| format!("{command}"));
                    difference.push_str("\n  then ");
                    difference.push_str(&state);
                }
                if lasts {
                    end.different.push(format!(
                        "program {seed}, step {step}: {}",
                        difference.unwrap_or_default()
                    ));
                    return end;
                }
            }
            if let Some(difference) = difference {
                end.different
                    .push(format!("program {seed}, step {step}: {difference}"));
            }
        }
        let last = doc! { "insert": "c", "documents": [
            { "_id": "last", "a": { "b": "last" }, "b": "last", "n": "last", "l": { "b": "last" } }
        ] };
        if self.compare(&last, &mut end).await.is_some() {
            return end;
        }
        let (ours, theirs) = (
            events(our_feed.as_mut()).await,
            events(their_feed.as_mut()).await,
        );
        // How a pipeline's changes are described depends on mongod's oplog.
        if !by_pipeline && ours != theirs {
            let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b);
            let at = same.count();
            end.different.push(format!(
                "program {seed}: event {at}\n  ours   {:?}\n  theirs {:?}",
                ours.get(at),
                theirs.get(at)
            ));
        }
        end
    }

    /// Runs a command on both; what differs, if anything.
    async fn compare(&self, command: &Document, end: &mut End) -> Option<String> {
        let ours = answer(command, self.ours.run(command.clone()).await);
        let theirs = answer(command, self.theirs.run(command.clone()).await);
        // Some commands are the end of a mongod 6.0.
        assert_ne!(theirs, "error 6", "mongod is gone at {command}");
        if theirs.starts_with("error") && ours.starts_with("error") {
            end.refused += 1;
            if ours != theirs {
                end.other_code += 1;
                return None;
            }
        }
        if failed(&ours) != failed(&theirs) {
            end.not_asked += 1;
            return None;
        }
        (ours != theirs).then(|| {
            let command = Bson::from(command.clone()).into_canonical_extjson();
            let (ours, theirs) = (only(&ours, &theirs), only(&theirs, &ours));
            format!("{command}\n  ours   {ours}\n  theirs {theirs}")
        })
    }
}

/// Whether an expression could not be computed. For which documents it is asked
/// depends on the plan.
fn failed(answer: &str) -> bool {
    const CODES: [i32; 21] = [
        14, 241, 16554, 16611, 16702, 16883, 17124, 28651, 28664, 28689, 28724, 28725, 28765,
        34435, 40080, 40081, 40090, 40228, 40390, 40400, 51081,
    ];
    let code = answer
        .strip_prefix("error ")
        .and_then(|code| code.parse().ok());
    code.is_some_and(|code: i32| CODES.contains(&code))
}

/// The lines of an answer that the other one lacks.
fn only(answer: &str, other: &str) -> String {
    let lines = answer
        .lines()
        .filter(|line| !other.lines().any(|l| l == *line));
    let lines: Vec<&str> = lines.collect();
    if lines.is_empty() {
        answer.to_owned()
    } else {
        lines.join("\n         ")
    }
}

fn command(r: &mut Random, id: i32, indexed: bool) -> Document {
    use generate::{document, filter, pipeline, projection, sort, update};
    let query = filter(r, 2);
    match r.below(20) {
        0..=5 => {
            let mut find = doc! { "find": "c", "filter": query };
            if r.one_in(2) {
                find.insert("sort", sort(r));
                if r.one_in(2) {
                    find.insert("skip", r.below(3) as i32);
                    find.insert("limit", r.below(6) as i32);
                }
            }
            if r.one_in(2) {
                find.insert("projection", projection(r, true));
            }
            find
        }
        6 => doc! { "count": "c", "query": query },
        7 if !indexed => {
            doc! { "distinct": "c", "key": *r.pick(&["a", "n", "l", "l.b", "a.b"]), "query": query }
        }
        8..=10 => doc! { "aggregate": "c", "pipeline": pipeline(r), "cursor": {} },
        11..=15 => {
            let mut statement = doc! { "q": query, "u": update(r) };
            // Which document is the first depends on the plan.
            statement.insert("multi", indexed || r.one_in(2));
            if r.one_in(5) {
                statement.insert("upsert", true);
            }
            if r.one_in(3) || statement.to_string().contains("$[e]") {
                statement.insert("arrayFilters", [doc! { "e": { "$gte": 1 } }]);
            }
            if matches!(statement.get("u"), Some(Bson::Document(u)) if u.keys().all(|k| !k.starts_with('$')))
            {
                statement.insert("multi", false);
                statement.insert("q", doc! { "_id": r.below(12) as i32 });
                statement.remove("arrayFilters");
            }
            doc! { "update": "c", "updates": [statement] }
        }
        16..=17 => {
            let mut modify = doc! { "findAndModify": "c", "query": query, "sort": sort(r) };
            if r.one_in(4) {
                modify.insert("remove", true);
            } else {
                modify.insert("update", update(r));
                modify.insert("new", r.one_in(2));
                modify.insert("upsert", r.one_in(4));
                if modify.to_string().contains("$[e]") {
                    modify.insert("arrayFilters", [doc! { "e": { "$gte": 1 } }]);
                }
            }
            if r.one_in(3) {
                modify.insert("fields", projection(r, true));
            }
            modify
        }
        18 => {
            doc! { "delete": "c", "deletes": [{ "q": { "$and": [filter(r, 1), { "_id": { "$mod": [3, r.below(3) as i32] } }] }, "limit": 0 }] }
        }
        _ => {
            let documents: Vec<Document> = vec![document(r, id), document(r, r_id(id))];
            doc! { "insert": "c", "documents": documents }
        }
    }
}

fn is_pipeline_update(command: &Document) -> bool {
    let statement = command
        .get_array("updates")
        .ok()
        .and_then(|list| list[0].as_document());
    let update = statement.map_or(command.get("update"), |statement| statement.get("u"));
    matches!(update, Some(Bson::Array(_)))
}

/// Sometimes an `_id` that is taken.
fn r_id(id: i32) -> i32 {
    if id % 2 == 0 { id % 12 } else { id + 1000 }
}

/// An answer as text: what depends on nothing but the command and the data.
fn answer(command: &Document, answer: Result<Document, CommandError>) -> String {
    let mut reply = match answer {
        Ok(reply) => reply,
        Err(error) => return format!("error {}", error.code),
    };
    for name in [
        "operationTime",
        "$clusterTime",
        "electionId",
        "opTime",
        "commitQuorum",
    ] {
        reply.remove(name);
    }
    if let Ok(errors) = reply.get_array_mut("writeErrors") {
        for error in errors.iter_mut().filter_map(Bson::as_document_mut) {
            error.remove("errmsg");
        }
        if errors.len() == 1
            && let Some(code) = errors[0].as_document().and_then(|e| e.get_i32("code").ok())
            && !command.contains_key("insert")
        {
            return format!("error {code}");
        }
    }
    if let Ok(values) = reply.get_array_mut("values") {
        values.sort_by_key(canonical);
    }
    if let Ok(cursor) = reply.get_document_mut("cursor") {
        let mut shown: Vec<String> = cursor
            .get_array("firstBatch")
            .into_iter()
            .flatten()
            .map(canonical)
            .collect();
        // Without a sort any order is right.
        if !command.contains_key("sort") {
            shown.sort();
        }
        return format!("found\n{}", shown.join("\n"));
    }
    canonical(&by_name(reply))
}

/// A reply's fields have no order that anybody may count on.
fn by_name(document: Document) -> Bson {
    let mut fields: Vec<(String, Bson)> = document.into_iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Bson::Document(fields.into_iter().collect())
}

/// Canonical Extended JSON, in which every `_id` that an engine made is the
/// same.
fn canonical(value: &Bson) -> String {
    fn unmade(value: &mut Bson) {
        match value {
            Bson::ObjectId(id) if id.bytes()[0] != id.bytes()[11] || id.bytes()[0] > 2 => {
                *value = Bson::from("made");
            }
            Bson::Array(values) => values.iter_mut().for_each(unmade),
            Bson::Document(document) => document.iter_mut().for_each(|(_, value)| unmade(value)),
            _ => {}
        }
    }
    let mut value = value.clone();
    unmade(&mut value);
    value.into_canonical_extjson().to_string()
}

/// Every event up to the last, of each document in order.
async fn events(feed: &mut dyn engine::ChangeFeed) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let event = feed.next().await.expect("an event");
        let mut event = Document::try_from(event).expect("an event decodes");
        let key = event
            .get_document("documentKey")
            .cloned()
            .unwrap_or_default();
        if key.get_str("_id").is_ok_and(|id| id == "last") {
            break;
        }
        for name in ["_id", "clusterTime", "wallTime", "ns"] {
            event.remove(name);
        }
        if let Ok(description) = event.get_document_mut("updateDescription")
            && let Ok(fields) = description.get_document_mut("updatedFields")
        {
            *fields = by_name(std::mem::take(fields))
                .as_document()
                .cloned()
                .unwrap_or_default();
        }
        if let Ok(description) = event.get_document_mut("updateDescription")
            && let Ok(removed) = description.get_array_mut("removedFields")
        {
            removed.sort_by_key(ToString::to_string);
        }
        events.push((canonical(&key.into()), canonical(&by_name(event))));
    }
    events.sort_by(|a, b| a.0.cmp(&b.0));
    events.into_iter().map(|(_, event)| event).collect()
}
