//! Pipelines over documents in memory: what they hold, when they stop, what
//! goes first.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mql::aggregate::{Collections, Environment, Runner, Stage, Take};
use mql::expression::Variables;
use mql::path::Path;
use mql::{Matcher, MqlError, Pipeline};

/// Collections in memory, which count what is read of them.
#[derive(Default)]
struct Memory {
    collections: HashMap<&'static str, Vec<Document>>,
    indexed: bool,
    read: Cell<usize>,
}

impl Collections for Memory {
    fn each(
        &self,
        collection: &str,
        matcher: &Matcher,
        take: &mut Take<'_>,
    ) -> Result<(), MqlError> {
        for document in self.collections.get(collection).into_iter().flatten() {
            let raw = raw(document);
            self.read.set(self.read.get() + 1);
            if matcher.matches(&raw)? && !take(Cow::Owned(raw))? {
                break;
            }
        }
        Ok(())
    }

    fn has_index(&self, _: &str, _: &Path) -> bool {
        self.indexed
    }

    fn statistics(
        &self,
        collection: &str,
        stage: &str,
        _: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>, MqlError> {
        Ok(vec![raw(&doc! { "of": collection, "by": stage })])
    }

    fn random(&self) -> u64 {
        7
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("a document encodes")
}

fn parse(stages: &[Document]) -> Pipeline {
    let stages: Vec<Bson> = stages.iter().cloned().map(Bson::Document).collect();
    Pipeline::parse_bson(&stages).expect("a pipeline")
}

/// Runs a pipeline over `c`; each stage may hold `most` bytes.
fn run_within(
    memory: &Memory,
    stages: &[Document],
    most: usize,
) -> Result<Vec<Document>, MqlError> {
    let env = Environment {
        collections: memory,
        stage_bytes_max: most,
        allow_disk_use: false,
    };
    let mut runner = parse(stages).start("c");
    let mut made = Vec::new();
    if !runner.is_satisfied() {
        memory.each("c", &Matcher::all(), &mut |document| {
            runner.push(&env, document)?;
            drain(&mut runner, &env, &mut made)?;
            Ok(!runner.is_satisfied())
        })?;
    }
    runner.end();
    drain(&mut runner, &env, &mut made)?;
    Ok(made)
}

fn drain(
    runner: &mut Runner,
    env: &Environment<'_>,
    made: &mut Vec<Document>,
) -> Result<(), MqlError> {
    while let Some(document) = runner.pull(env)? {
        made.push(Document::try_from(document).expect("a document decodes"));
    }
    Ok(())
}

fn run(memory: &Memory, stages: &[Document]) -> Vec<Document> {
    run_within(memory, stages, usize::MAX).expect("no error")
}

/// A hundred documents in `c` and ten in `f`.
fn memory() -> Memory {
    let mut memory = Memory::default();
    let c = (0..100).map(|n| doc! { "_id": n, "k": n % 10, "v": 99 - n });
    memory.collections.insert("c", c.collect());
    let f = (0..10).map(|n| doc! { "_id": n, "w": [n, n + 100] });
    memory.collections.insert("f", f.collect());
    memory
}

#[test]
fn a_limit_ends_the_reading() {
    let memory = memory();
    let found = run(
        &memory,
        &[doc! { "$match": { "k": 3 } }, doc! { "$limit": 2 }],
    );
    assert_eq!(found.len(), 2);
    assert_eq!(memory.read.get(), 14, "up to the second match");
    // Also through an unwind, whose other documents are not made.
    memory.read.set(0);
    let found = run(
        &memory,
        &[
            doc! { "$set": { "a": [1, 2, 3] } },
            doc! { "$unwind": "$a" },
            doc! { "$limit": 4 },
            doc! { "$group": { "_id": "$_id", "n": { "$sum": 1 } } },
        ],
    );
    assert_eq!(
        found,
        [doc! { "_id": 0, "n": 3 }, doc! { "_id": 1, "n": 1 }]
    );
    assert_eq!(memory.read.get(), 2);
    // And in what a union adds.
    memory.read.set(0);
    let found = run(
        &memory,
        &[doc! { "$unionWith": "f" }, doc! { "$limit": 103 }],
    );
    assert_eq!(found.len(), 103);
    assert_eq!(memory.read.get(), 103);
}

#[test]
fn a_sort_holds_no_more_than_a_limit_lets_out() {
    let memory = memory();
    let sort = doc! { "$sort": { "v": 1 } };
    let few = [sort.clone(), doc! { "$skip": 1 }, doc! { "$limit": 2 }];
    let found = run_within(&memory, &few, 500).expect("three documents fit");
    let ids: Vec<i32> = found.iter().flat_map(|d| d.get_i32("_id")).collect();
    assert_eq!(ids, [98, 97]);
    let error = run_within(&memory, &[sort], 500).expect_err("a hundred do not");
    assert_eq!(error.code, 292);
}

#[test]
fn equal_keys_stay_in_their_order() {
    let memory = memory();
    for most in [100, 5] {
        let found = run(
            &memory,
            &[doc! { "$sort": { "k": 1 } }, doc! { "$limit": most }],
        );
        let ids: Vec<i32> = found.iter().flat_map(|d| d.get_i32("_id")).collect();
        assert_eq!(ids[..5], [0, 10, 20, 30, 40], "{most}");
    }
}

#[test]
fn what_a_stage_holds_has_an_end() {
    let memory = memory();
    for (stage, code) in [
        (doc! { "$group": { "_id": "$_id" } }, 292),
        (
            doc! { "$group": { "_id": null, "all": { "$push": "$$ROOT" } } },
            292,
        ),
        (
            doc! { "$group": { "_id": null, "all": { "$addToSet": "$v" } } },
            292,
        ),
        (
            doc! { "$group": { "_id": null, "all": { "$lastN": { "input": "$v", "n": 90 } } } },
            292,
        ),
        (
            doc! { "$bucketAuto": { "groupBy": "$v", "buckets": 3 } },
            292,
        ),
        (doc! { "$facet": { "a": [] } }, 292),
        (doc! { "$sample": { "size": 100 } }, 292),
        (
            doc! { "$lookup": { "from": "c", "pipeline": [], "as": "j" } },
            4568,
        ),
        (
            doc! { "$graphLookup": {
                "from": "c", "startWith": 1, "connectFromField": "v", "connectToField": "k", "as": "g"
            } },
            40099,
        ),
    ] {
        let error = run_within(&memory, std::slice::from_ref(&stage), 500).map(|made| made.len());
        assert_eq!(error.expect_err("too much").code, code, "{stage}");
        run(&memory, std::slice::from_ref(&stage));
    }
    // Few groups are few bytes, whatever goes into them.
    let few = doc! { "$group": { "_id": "$k", "n": { "$sum": "$v" } } };
    let found = run_within(&memory, &[few], 3000).expect("ten groups fit");
    assert_eq!(found.len(), 10);
}

#[test]
fn windows_and_sequences_hold_so_much() {
    let memory = memory();
    let refusal = |stages: &[Document], most: usize| {
        let made = run_within(&memory, stages, most);
        made.err().map(|error| (error.code, error.message))
    };
    for stage in [
        doc! { "$setWindowFields": { "output": { "n": { "$sum": "$v" } } } },
        doc! { "$fill": { "output": { "v": { "method": "locf" } } } },
    ] {
        let stage = [stage];
        let (code, text) = refusal(&stage, 500).expect("a hundred documents are too much");
        assert_eq!(code, 292, "{text}");
        assert!(text.contains("for $setWindowFields"), "{text}");
        assert_eq!(refusal(&stage, 100_000), None);
    }
    // A sort comes first; where each document is a partition, the sequence's own
    // table is more.
    let densify = [
        doc! { "$set": { "name": { "$concat": ["x".repeat(100), { "$toString": "$_id" }] } } },
        doc! { "$densify": {
            "field": "v",
            "partitionByFields": ["name"],
            "range": { "step": 1, "bounds": "full" },
        } },
    ];
    let told = |most: usize| refusal(&densify, most).map_or(String::new(), |(_, text)| text);
    let texts: Vec<String> = (1..80).map(|n| told(n * 500)).collect();
    for part in ["$sort", "$densify"] {
        assert!(texts.iter().any(|text| text.contains(part)), "{texts:?}");
    }
    assert_eq!(texts.last().map(String::as_str), Some(""));
}

#[test]
fn a_lookup_reads_a_collection_once_or_by_its_index() {
    let mut memory = memory();
    let lookup =
        doc! { "$lookup": { "from": "f", "localField": "k", "foreignField": "w", "as": "j" } };
    let whole = run(&memory, std::slice::from_ref(&lookup));
    assert_eq!(memory.read.get(), 110);
    memory.indexed = true;
    memory.read.set(0);
    assert_eq!(run(&memory, &[lookup]), whole);
    assert_eq!(memory.read.get(), 100 + 100 * 10);
    // What depends on nothing is looked up once.
    memory.read.set(0);
    let found = run(
        &memory,
        &[doc! { "$lookup": { "from": "f", "pipeline": [{ "$count": "n" }], "as": "j" } }],
    );
    assert_eq!(memory.read.get(), 110);
    assert!(
        found
            .iter()
            .all(|d| d.get_array("j").is_ok_and(|j| j.len() == 1))
    );
}

#[test]
fn a_match_goes_before_what_it_does_not_depend_on() {
    let names = |stages: &[Document]| {
        let mut pipeline = parse(stages);
        pipeline.optimize();
        let name = |stage: &Stage| match stage {
            Stage::Match(matcher) => format!("match {}", matcher.conjuncts().len()),
            Stage::Sort(_) => "sort".to_owned(),
            Stage::Limit(_) => "limit".to_owned(),
            _ => "other".to_owned(),
        };
        pipeline
            .stages()
            .iter()
            .map(name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let by = doc! { "$match": { "a": 1, "b.c": 2 } };
    for (stage, wanted) in [
        (doc! { "$sort": { "z": 1 } }, "match 2, sort"),
        (doc! { "$limit": 1 }, "limit, match 2"),
        (doc! { "$set": { "a": "$z" } }, "match 1, other, match 1"),
        (doc! { "$set": { "b.d": "$z" } }, "match 2, other"),
        (
            doc! { "$set": { "b.c.d": "$z" } },
            "match 1, other, match 1",
        ),
        (doc! { "$unset": "z" }, "match 2, other"),
        (doc! { "$unwind": "$b" }, "match 1, other, match 1"),
        (
            doc! { "$unwind": { "path": "$z", "includeArrayIndex": "a" } },
            "match 1, other, match 1",
        ),
        (
            doc! { "$project": { "a": 1, "b": "$z" } },
            "match 1, other, match 1",
        ),
        (doc! { "$project": { "z": 0 } }, "match 2, other"),
        (doc! { "$project": { "z": 1 } }, "other, match 2"),
        (
            doc! { "$lookup": { "from": "f", "localField": "z", "foreignField": "z", "as": "a" } },
            "match 1, other, match 1",
        ),
        (doc! { "$group": { "_id": "$a" } }, "other, match 2"),
        (doc! { "$match": { "z": 1 } }, "match 3"),
    ] {
        assert_eq!(names(&[stage.clone(), by.clone()]), wanted, "{stage}");
    }
    let stages = [
        doc! { "$sort": { "v": -1 } },
        doc! { "$match": { "k": 4 } },
        doc! { "$limit": 3 },
    ];
    let mut moved = parse(&stages);
    moved.optimize();
    let input = || Box::new((0..50).map(|n| Ok(raw(&doc! { "v": n, "k": n % 5 }))));
    let all = |pipeline: &Pipeline| {
        let made = pipeline.run(input());
        made.map(|d| d.expect("no error")).collect::<Vec<_>>()
    };
    assert_eq!(all(&moved), all(&parse(&stages)));
    assert_eq!(all(&moved).len(), 3);
}

#[test]
fn variables_from_outside_are_bound_once() {
    let stages = bson::rawdoc! { "p": [
        { "$match": { "$expr": { "$eq": ["$k", "$$x"] } } },
        { "$set": { "y": { "$let": { "vars": { "x": 5 }, "in": "$$x" } }, "z": "$$gone" } },
        { "$limit": 1 },
    ] };
    let stages = stages.get_array("p").expect("stages");
    assert_eq!(Pipeline::parse(stages).expect_err("no x").code, 17276);
    let mut pipeline = Pipeline::parse_open(stages).expect("a pipeline");
    let mut variables = Variables::default();
    variables.set("x", Some(Bson::Int32(3)));
    assert_eq!(
        pipeline.clone().bind(&variables).expect_err("no y").code,
        17276
    );
    variables.set("gone", None);
    pipeline.bind(&variables).expect("all are there");
    let input = Box::new((0..5).map(|n| Ok(raw(&doc! { "k": n, "z": 1 }))));
    let made: Vec<_> = pipeline.run(input).map(|d| d.expect("no error")).collect();
    assert_eq!(made, [raw(&doc! { "k": 3, "y": 5 })]);
}

#[test]
fn without_collections_there_is_nothing_to_look_up() {
    let pipeline = parse(&[doc! { "$unionWith": "f" }]);
    let mut made = pipeline.run(Box::new(std::iter::empty()));
    assert_eq!(
        made.next().expect("an error").expect_err("refused").code,
        115
    );
    assert!(made.next().is_none(), "it ends there");
    let memory = memory();
    let found = run(&memory, &[doc! { "$collStats": {} }]);
    assert_eq!(found, [doc! { "of": "c", "by": "$collStats" }]);
    assert_eq!(memory.read.get(), 0);
}
