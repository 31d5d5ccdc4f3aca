//! With all indexes as with none: random documents, queries and sorts.

use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use engine::SharedEngine;
use engine::conformance::World;
use engine_embedded::Embedded;
use kit::SystemClock;

/// `BACKSTITCH_PLANNER_PROGRAMS` asks for more.
const PROGRAMS: u64 = 25;
const QUERIES: usize = 60;

/// Numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }

    fn scalar(&mut self) -> Bson {
        match self.below(28) {
            0..=3 | 16.. => Bson::Int32(self.below(5) as i32),
            4 => Bson::Double(self.below(5) as f64),
            5 => Bson::Int64(self.below(5) as i64),
            6 => Bson::Double(self.below(4) as f64 + 0.5),
            7 | 8 => Bson::String(self.of(&["", "a", "ab", "abc", "b"]).to_owned()),
            9 => Bson::Null,
            10 => Bson::Boolean(self.one_in(2)),
            11 => Bson::DateTime(bson::DateTime::from_millis(self.below(3) as i64)),
            12 => Bson::Double(f64::NAN),
            13 => self.of(&[Bson::MinKey, Bson::MaxKey]),
            14 => Bson::Document(doc! { "b": self.below(2) as i32 }),
            _ => Bson::Decimal128(
                self.of(&["1", "2.5", "NaN", "-Infinity"])
                    .parse()
                    .expect("a decimal"),
            ),
        }
    }

    fn value(&mut self, depth: u32) -> Bson {
        match self.below(10) {
            0..=2 if depth > 0 => {
                let n = self.below(4);
                Bson::Array((0..n).map(|_| self.value(depth - 1)).collect())
            }
            3 | 4 if depth > 0 => Bson::Document(self.fields(depth - 1)),
            _ => self.scalar(),
        }
    }

    fn fields(&mut self, depth: u32) -> Document {
        let mut document = Document::new();
        for name in ["a", "b", "c"] {
            if !self.one_in(4) {
                document.insert(name, self.value(depth));
            }
        }
        document
    }

    fn path(&mut self) -> String {
        self.of(&[
            "a", "b", "c", "a", "b", "a.b", "a.c", "b.a", "c.b", "a.0", "a.b.c",
        ])
        .to_owned()
    }

    fn test(&mut self) -> Bson {
        match self.below(17) {
            0..=2 => self.value(1),
            3 => bson::bson!({ "$gt": self.scalar() }),
            4 => bson::bson!({ "$gt": self.below(4) as i32, "$lt": self.below(5) as i32 }),
            5 => bson::bson!({ "$lte": self.value(1) }),
            6 | 7 => {
                let n = self.below(4);
                let values: Vec<Bson> = (0..n).map(|_| self.value(1)).collect();
                bson::bson!({ "$in": values })
            }
            8 => bson::bson!({ "$exists": self.one_in(2) }),
            9 => bson::bson!({ "$ne": self.scalar() }),
            10 => {
                bson::bson!({ "$type": self.of(&["int", "number", "string", "null", "object", "date"]) })
            }
            11 => bson::bson!({ "$regex": self.of(&["^a", "^ab?", "b", "^a+", "^"]) }),
            12 => bson::bson!({ "$elemMatch": { "$gte": self.scalar(), "$lte": self.scalar() } }),
            13 => bson::bson!({ "$elemMatch": { "b": self.scalar(), "c": self.scalar() } }),
            14 => bson::bson!({ "$elemMatch": { "b": { "$gt": self.scalar() } } }),
            15 => bson::bson!({ "$all": [self.scalar(), self.scalar()] }),
            _ => bson::bson!({ "$not": { "$gt": self.scalar() } }),
        }
    }

    fn query(&mut self, depth: u32) -> Document {
        let mut query = Document::new();
        for _ in 0..=self.below(3) {
            query.insert(self.path(), self.test());
        }
        if depth > 0 && self.one_in(3) {
            let branches: Vec<Bson> = (0..=self.below(2))
                .map(|_| self.query(depth - 1).into())
                .collect();
            query.insert(self.of(&["$or", "$and", "$or", "$nor"]), branches);
        }
        query
    }

    fn key(&mut self) -> Document {
        let mut key = Document::new();
        for _ in 0..=self.below(3) {
            key.insert(self.path(), if self.one_in(3) { -1 } else { 1 });
        }
        key
    }

    fn index(&mut self, at: usize) -> Document {
        let mut index = doc! { "key": self.key(), "name": format!("i{at}") };
        match self.below(6) {
            0 => drop(index.insert("sparse", true)),
            1 => {
                let filter = self.of(&[
                    doc! { "a": { "$exists": true } },
                    doc! { "b": { "$gt": 1 } },
                    doc! { "c": { "$in": [1, 2, "a"] } },
                    doc! { "a": { "$type": "number" } },
                    doc! { "$or": [{ "a": 1 }, { "b": { "$lte": 2 } }] },
                ]);
                index.insert("partialFilterExpression", filter);
            }
            _ => {}
        }
        index
    }
}

fn world(engine: &SharedEngine, database: String) -> World {
    World {
        engine: engine.clone(),
        database,
    }
}

fn found(reply: &Document) -> Vec<Document> {
    let cursor = reply.get_document("cursor").expect("a cursor");
    let batch = cursor.get_array("firstBatch").expect("a batch");
    batch
        .iter()
        .filter_map(|d| d.as_document().cloned())
        .collect()
}

/// The documents in any order.
fn shown(documents: &[Document]) -> Vec<String> {
    let mut shown: Vec<String> = documents.iter().map(ToString::to_string).collect();
    shown.sort();
    shown
}

/// The documents' keys of the sort.
fn order(documents: &[Document], find: &Document) -> Vec<Vec<u8>> {
    let raw = |document: &Document| RawDocumentBuf::try_from(document).expect("encodes");
    let Ok(sort) = find.get_document("sort") else {
        return Vec::new();
    };
    let sort = mql::Sort::parse(&raw(sort)).expect("a sort");
    let keys = documents.iter().map(|document| {
        let mut key = Vec::new();
        sort.key(&raw(document), &mut key).expect("a key");
        key
    });
    keys.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_never_change_an_answer() {
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    let mut by_index = 0;
    let programs = std::env::var("BACKSTITCH_PLANNER_PROGRAMS")
        .map_or(PROGRAMS, |text| text.parse().expect("a number"));
    for program in 1..=programs {
        let mut random = Random(program.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let with = world(&engine, format!("with{program}"));
        let without = world(&engine, format!("without{program}"));
        let mut indexes = 0;
        let mut keys = Vec::new();
        for at in 0..7 {
            let index = random.index(at);
            keys.push(index.get_document("key").expect("a key").clone());
            let made = with
                .run(doc! { "createIndexes": "c", "indexes": [index] })
                .await;
            indexes += usize::from(made.is_ok());
        }
        assert!(indexes > 0);
        without.ok(doc! { "create": "c" }).await;
        let documents: Vec<Document> = (0..60)
            .map(|id| {
                let mut document = doc! { "_id": id };
                document.extend(random.fields(2));
                document
            })
            .collect();
        let insert = |documents: &[Document]| {
            doc! { "insert": "c", "documents": documents.to_vec(), "ordered": false }
        };
        let reply = with.run(insert(&documents)).await.expect("answers");
        // Parallel arrays are not for a compound index.
        let refused: Vec<i32> = reply
            .get_array("writeErrors")
            .into_iter()
            .flatten()
            .filter_map(|error| error.as_document()?.get_i32("index").ok())
            .collect();
        let taken: Vec<Document> = documents
            .into_iter()
            .enumerate()
            .filter(|(at, _)| !refused.contains(&(*at as i32)))
            .map(|(_, document)| document)
            .collect();
        without.ok(insert(&taken)).await;
        for _ in 0..QUERIES {
            let query = random.query(2);
            let mut find = doc! { "filter": query.clone() };
            if random.one_in(2) {
                // The order of an index, or another.
                let mut sort = if random.one_in(3) {
                    random.key()
                } else {
                    random.of(&keys)
                };
                if random.one_in(3) {
                    sort.insert("_id", 1);
                }
                find.insert("sort", sort);
                if random.one_in(2) {
                    find.insert("limit", random.below(8) as i32 + 1);
                    find.insert("skip", random.below(3) as i32);
                }
            }
            let ask = async |w: &World, command: &str, with: &Document| {
                let mut command = doc! { command: "c" };
                command.extend(with.clone());
                w.run(command).await.map_err(|error| error.code)
            };
            let (a, b) = (
                ask(&with, "find", &find).await,
                ask(&without, "find", &find).await,
            );
            let (a, b) = match (a, b) {
                (Ok(a), Ok(b)) => (a, b),
                (a, b) => {
                    // An index leaves out what a sort of everything trips over.
                    assert!(a.is_ok() || a.err() == b.err(), "{program}: {find}");
                    continue;
                }
            };
            let (a, b) = (found(&a), found(&b));
            // What is equal in the sort may come in any order, and be cut off.
            assert_eq!(
                order(&a, &find),
                order(&b, &find),
                "program {program}: {find}"
            );
            if !find.contains_key("limit") {
                assert_eq!(shown(&a), shown(&b), "program {program}: {find}");
            }
            let count = doc! { "query": query.clone() };
            let (a, b) = (
                ask(&with, "count", &count).await,
                ask(&without, "count", &count).await,
            );
            assert_eq!(a, b, "program {program}: count {query}");
            let distinct = doc! { "query": query, "key": random.path() };
            let values = async |w: &World| {
                let reply = ask(w, "distinct", &distinct).await.expect("answers");
                // Equal values of several types stand for each other.
                reply.get_array("values").expect("values").len()
            };
            assert_eq!(
                values(&with).await,
                values(&without).await,
                "program {program}: {distinct}"
            );
            by_index += 1;
        }
        for w in [with, without] {
            w.ok(doc! { "dropDatabase": 1 }).await;
        }
    }
    assert!(by_index > 1000, "{by_index}");
}

/// A sort holds so much and no more; the best few of anything can be had.
#[tokio::test(flavor = "multi_thread")]
async fn a_sort_has_a_limit() {
    let engine = Embedded::in_memory(Arc::new(SystemClock)).expect("opens");
    let engine: SharedEngine = Arc::new(engine);
    let w = world(&engine, "d".to_owned());
    let large = "x".repeat(15 * 1024 * 1024);
    for id in 0..7 {
        w.insert(vec![doc! { "_id": id, "n": -id, "large": &large }])
            .await;
    }
    let sorted = doc! { "find": "c", "sort": { "n": 1 }, "batchSize": 1 };
    w.fails(sorted.clone(), 292).await;
    let best = w
        .find(doc! { "sort": { "n": 1 }, "limit": 1, "projection": { "n": 1 } })
        .await;
    assert_eq!(best, [doc! { "_id": 6, "n": -6 }]);
    w.ok(doc! { "createIndexes": "c", "indexes": [{ "key": { "n": 1 }, "name": "n" }] })
        .await;
    assert_eq!(found(&w.ok(sorted).await).len(), 1);
}
