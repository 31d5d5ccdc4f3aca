//! What window functions give, as MongoDB 6.0 does.

use bson::{Bson, Document, RawDocumentBuf, bson, doc};

use crate::Pipeline;
use crate::error::Result;

/// The field `w` of each document; what is missing is a text.
fn windows(documents: &[Document], spec: Document) -> Result<Vec<Bson>> {
    let stage = Bson::from(doc! { "$setWindowFields": spec });
    let pipeline = Pipeline::parse_bson(&[stage])?;
    let input = documents.iter().map(|document| Ok(raw(document)));
    let made = pipeline.run(Box::new(input.collect::<Vec<_>>().into_iter()));
    made.map(|document| {
        let document = Document::try_from(document?).expect("decodes");
        Ok(document.get("w").cloned().unwrap_or("missing".into()))
    })
    .collect()
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("encodes")
}

/// Documents whose `n` is each of these; none where it is null.
fn numbers(values: Bson) -> Vec<Document> {
    let Bson::Array(values) = values else {
        return Vec::new();
    };
    let all = (0..).zip(values).map(|(id, n)| match n {
        Bson::Null => doc! { "_id": id },
        n => doc! { "_id": id, "n": n },
    });
    all.collect()
}

fn by_id(function: Document, window: Option<Document>) -> Document {
    let mut function = function;
    if let Some(window) = window {
        function.insert("window", window);
    }
    doc! { "sortBy": { "_id": 1 }, "output": { "w": function } }
}

fn refused(spec: Document) -> i32 {
    let made = windows(&numbers(bson!([1])), spec.clone());
    made.map_or_else(|error| error.code, |made| panic!("{spec}: {made:?}"))
}

#[test]
fn functions_follow_a_window_that_moves() {
    let documents = numbers(bson!([3, 1, 4, 1, 5]));
    let around = doc! { "documents": [-1, 1] };
    let ahead = doc! { "documents": [1, 2] };
    let so_far = doc! { "documents": ["unbounded", "current"] };
    for (function, expected) in [
        (
            doc! { "$sum": "$n" },
            bson!([[4, 8, 6, 10, 6], [5, 5, 6, 5, 0], [3, 4, 8, 9, 14]]),
        ),
        (
            doc! { "$min": "$n" },
            bson!([[1, 1, 1, 1, 1], [1, 1, 1, 5, null], [3, 1, 1, 1, 1]]),
        ),
        (
            doc! { "$max": "$n" },
            bson!([[3, 4, 4, 5, 5], [4, 4, 5, 5, null], [3, 3, 4, 4, 5]]),
        ),
        (
            doc! { "$avg": "$n" },
            bson!([
                [2.0, 8.0 / 3.0, 2.0, 10.0 / 3.0, 3.0],
                [2.5, 2.5, 3.0, 5.0, null],
                [3.0, 2.0, 8.0 / 3.0, 2.25, 2.8]
            ]),
        ),
        (
            doc! { "$push": "$n" },
            bson!([
                [[3, 1], [3, 1, 4], [1, 4, 1], [4, 1, 5], [1, 5]],
                [[1, 4], [4, 1], [1, 5], [5], []],
                [[3], [3, 1], [3, 1, 4], [3, 1, 4, 1], [3, 1, 4, 1, 5]]
            ]),
        ),
        (
            doc! { "$count": {} },
            bson!([[2, 3, 3, 3, 2], [2, 2, 2, 1, 0], [1, 2, 3, 4, 5]]),
        ),
        (
            doc! { "$first": "$n" },
            bson!([[3, 3, 1, 4, 1], [1, 4, 1, 5, null], [3, 3, 3, 3, 3]]),
        ),
        (
            doc! { "$last": "$n" },
            bson!([[1, 4, 1, 5, 5], [4, 1, 5, 5, null], [3, 1, 4, 1, 5]]),
        ),
        (
            doc! { "$maxN": { "n": 2, "input": "$n" } },
            bson!([
                [[3, 1], [4, 3], [4, 1], [5, 4], [5, 1]],
                [[4, 1], [4, 1], [5, 1], [5], []],
                [[3], [3, 1], [4, 3], [4, 3], [5, 4]]
            ]),
        ),
        (
            doc! { "$lastN": { "n": 2, "input": "$n" } },
            bson!([
                [[3, 1], [1, 4], [4, 1], [1, 5], [1, 5]],
                [[1, 4], [4, 1], [1, 5], [5], []],
                [[3], [3, 1], [1, 4], [4, 1], [1, 5]]
            ]),
        ),
        (
            doc! { "$bottom": { "sortBy": { "n": 1 }, "output": "$n" } },
            bson!([[3, 4, 4, 5, 5], [4, 4, 5, 5, null], [3, 3, 4, 4, 5]]),
        ),
    ] {
        let made: Vec<Bson> = [&around, &ahead, &so_far]
            .map(|window| {
                let spec = by_id(function.clone(), Some(window.clone()));
                Bson::Array(windows(&documents, spec).expect("values"))
            })
            .to_vec();
        assert_eq!(Bson::Array(made), expected, "{function}");
    }
}

#[test]
fn functions_of_places_and_neighbours() {
    for (values, function, expected) in [
        (
            bson!([3, 1, 4]),
            doc! { "$shift": { "output": "$n", "by": -1 } },
            bson!([null, 3, 1]),
        ),
        (
            bson!([3, 1, 4]),
            doc! { "$shift": { "output": "$n", "by": 2, "default": "none" } },
            bson!([4, "none", "none"]),
        ),
        (
            bson!([3, 1, 4]),
            doc! { "$documentNumber": {} },
            bson!([1, 2, 3]),
        ),
        (
            bson!([1, 2, 4]),
            doc! { "$expMovingAvg": { "input": "$n", "N": 3 } },
            bson!([1.0, 1.5, 2.75]),
        ),
        (
            bson!([1, 2, 4]),
            doc! { "$expMovingAvg": { "input": "$n", "alpha": 0.25 } },
            bson!([1.0, 1.25, 1.9375]),
        ),
        (
            bson!([1, 3, 9]),
            doc! { "$derivative": { "input": "$n" }, "window": { "documents": [-1, 0] } },
            bson!([null, 2.0, 6.0]),
        ),
        (
            bson!([1, 3, 9]),
            doc! { "$integral": { "input": "$n" }, "window": { "documents": ["unbounded", 0] } },
            bson!([0, 2.0, 8.0]),
        ),
        (
            bson!([1, null, null, 4, null]),
            doc! { "$linearFill": "$n" },
            bson!([1, 2.0, 3.0, 4, null]),
        ),
        (
            bson!([null, 1, null, 4, null]),
            doc! { "$locf": "$n" },
            bson!([null, 1, 1, 4, 4]),
        ),
        (
            bson!([1, 3, 9]),
            doc! { "$covarianceSamp": ["$_id", "$n"], "window": { "documents": [-1, 0] } },
            bson!([null, 1.0, 3.0]),
        ),
    ] {
        let made = windows(&numbers(values), by_id(function.clone(), None));
        assert_eq!(Bson::Array(made.expect("values")), expected, "{function}");
    }
}

#[test]
fn equal_documents_share_a_rank() {
    let documents = numbers(bson!([1, 1, 2]));
    for (name, expected) in [
        ("$rank", bson!([1, 1, 3])),
        ("$denseRank", bson!([1, 1, 2])),
    ] {
        let spec = doc! { "sortBy": { "n": 1 }, "output": { "w": { name: {} } } };
        let made = windows(&documents, spec).expect("ranks");
        assert_eq!(Bson::Array(made), expected, "{name}");
    }
}

#[test]
fn what_leaves_a_window_leaves_no_trace_but_rounding() {
    const LARGE: i64 = 1 << 62;
    let sum = doc! { "$sum": "$n" };
    for (values, expected) in [
        // Whole numbers are exact, unless a double was there.
        (bson!([1, LARGE, 1]), bson!([LARGE + 1, LARGE + 1, 1])),
        (
            bson!([0.5, LARGE, 1, 3]),
            bson!([LARGE as f64, LARGE, 0, 3]),
        ),
        (bson!([f64::INFINITY, 1, 2]), bson!([f64::INFINITY, 3, 2])),
    ] {
        let spec = by_id(sum.clone(), Some(doc! { "documents": [0, 1] }));
        let made = windows(&numbers(values.clone()), spec).expect("sums");
        assert_eq!(Bson::Array(made), expected, "{values}");
    }
    // Nothing is left of numbers when there was a window without any.
    let values = bson!([0.1, 0.7, 0.33, null, null, 1.0, 1.0]);
    let covariance = doc! { "$covariancePop": ["$n", "$n"] };
    let spec = by_id(covariance, Some(doc! { "documents": [0, 1] }));
    let made = windows(&numbers(values), spec).expect("covariances");
    assert_eq!(made[3..], [Bson::Null, 0.0.into(), 0.0.into(), 0.0.into()]);
}

#[test]
fn ranges_are_distances_of_what_is_sorted_by() {
    let documents = [0, 1, 3, 4, 10].map(|u| doc! { "_id": u, "u": u });
    let count = |range: Bson| {
        let output = doc! { "w": { "$count": {}, "window": { "range": range } } };
        let spec = doc! { "sortBy": { "u": 1 }, "output": output };
        Bson::Array(windows(&documents, spec).expect("counts"))
    };
    assert_eq!(count(bson!([-1, 1])), bson!([2, 2, 2, 2, 1]));
    assert_eq!(count(bson!([1, 3])), bson!([2, 2, 1, 0, 0]));
    assert_eq!(count(bson!(["unbounded", 0])), bson!([1, 2, 3, 4, 5]));
    assert_eq!(
        count(bson!(["current", "unbounded"])),
        bson!([5, 4, 3, 2, 1])
    );
}

#[test]
fn a_window_that_is_none_is_refused() {
    let sum = |window: Document| by_id(doc! { "$sum": "$n" }, Some(window));
    for (spec, code) in [
        (sum(doc! { "documents": [1, 0] }), 5_339_900),
        (sum(doc! { "documents": [0.5, 1] }), 9),
        (sum(doc! { "documents": [0, 1], "range": [0, 1] }), 9),
        (sum(doc! { "documents": [0, 1], "unit": "day" }), 9),
        (sum(doc! { "range": [0, 1], "unit": "age" }), 9),
        (
            doc! { "output": { "w": { "$sum": "$n", "window": { "documents": [0, 1] } } } },
            5_339_901,
        ),
        (
            doc! { "output": { "w": { "$sum": "$n", "window": { "range": [0, 1] } } } },
            5_339_902,
        ),
        (doc! { "output": { "w": { "$rank": {} } } }, 5_371_602),
        (doc! { "output": { "w": { "$linearFill": "$n" } } }, 605_001),
        (
            doc! { "output": { "w": { "$sum": 1 }, "w.x": { "$sum": 1 } } },
            6_307_900,
        ),
        (doc! { "output": { "$w": { "$sum": 1 } } }, 16410),
        (doc! { "output": { "w": { "$nothing": 1 } } }, 9),
        (doc! { "sortBy": { "n": 1 } }, 40414),
    ] {
        assert_eq!(refused(spec.clone()), code, "{spec}");
    }
}
