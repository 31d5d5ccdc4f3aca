//! Pipelines.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("stages", |w| Box::pin(stages(w))),
    ("groups", |w| Box::pin(groups(w))),
    ("expressions", |w| Box::pin(expressions(w))),
    ("pipeline_errors", |w| Box::pin(pipeline_errors(w))),
];

async fn stages(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "k": "a", "v": 3, "t": ["x", "y"] },
        doc! { "_id": 2, "k": "b", "v": 1, "t": [] },
        doc! { "_id": 3, "k": "a", "v": 2 },
    ])
    .await;
    for (pipeline, wanted) in [
        (
            vec![
                doc! { "$match": { "k": "a" } },
                doc! { "$sort": { "v": 1 } },
                doc! { "$project": { "v": 1 } },
            ],
            vec![doc! { "_id": 3, "v": 2 }, doc! { "_id": 1, "v": 3 }],
        ),
        (
            vec![
                doc! { "$sort": { "_id": 1 } },
                doc! { "$skip": 1 },
                doc! { "$limit": 1 },
                doc! { "$unset": ["t", "k"] },
            ],
            vec![doc! { "_id": 2, "v": 1 }],
        ),
        (
            vec![
                doc! { "$match": { "v": { "$gt": 1 } } },
                doc! { "$count": "n" },
            ],
            vec![doc! { "n": 2 }],
        ),
        (
            vec![doc! { "$match": { "v": 99 } }, doc! { "$count": "n" }],
            vec![],
        ),
        (
            vec![doc! { "$unwind": "$t" }, doc! { "$project": { "t": 1 } }],
            vec![doc! { "_id": 1, "t": "x" }, doc! { "_id": 1, "t": "y" }],
        ),
        (
            vec![
                doc! { "$unwind": { "path": "$t", "preserveNullAndEmptyArrays": true, "includeArrayIndex": "i" } },
                doc! { "$sort": { "_id": 1, "i": 1 } },
                doc! { "$project": { "t": 1, "i": 1 } },
            ],
            vec![
                doc! { "_id": 1, "t": "x", "i": 0i64 },
                doc! { "_id": 1, "t": "y", "i": 1i64 },
                doc! { "_id": 2, "i": null },
                doc! { "_id": 3, "i": null },
            ],
        ),
        (
            vec![
                doc! { "$match": { "_id": 1 } },
                doc! { "$set": { "w": { "$multiply": ["$v", 2] }, "o.p": "$k" } },
                doc! { "$project": { "w": 1, "o": 1, "_id": 0 } },
            ],
            vec![doc! { "w": 6, "o": { "p": "a" } }],
        ),
        (
            vec![
                doc! { "$match": { "_id": 1 } },
                doc! { "$replaceWith": { "r": "$v" } },
            ],
            vec![doc! { "r": 3 }],
        ),
        (
            vec![doc! { "$sortByCount": "$k" }],
            vec![
                doc! { "_id": "a", "count": 2 },
                doc! { "_id": "b", "count": 1 },
            ],
        ),
        (
            vec![
                doc! { "$facet": { "n": [{ "$count": "c" }], "m": [{ "$match": { "_id": 2 } }, { "$project": { "_id": 1 } }] } },
            ],
            vec![doc! { "n": [{ "c": 3 }], "m": [{ "_id": 2 }] }],
        ),
    ] {
        assert_eq!(w.aggregate(pipeline.clone()).await, wanted, "{pipeline:?}");
    }
}

async fn groups(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "k": "a", "v": 3 },
        doc! { "_id": 2, "k": "b", "v": 1.5 },
        doc! { "_id": 3, "k": "a", "v": 4i64 },
        doc! { "_id": 4, "k": "a", "v": "x" },
        doc! { "_id": 5 },
    ])
    .await;
    let found = w
        .aggregate(vec![
            doc! { "$sort": { "_id": 1 } },
            doc! { "$group": {
                "_id": "$k", "sum": { "$sum": "$v" }, "avg": { "$avg": "$v" }, "min": { "$min": "$v" },
                "max": { "$max": "$v" }, "first": { "$first": "$_id" }, "last": { "$last": "$_id" },
                "all": { "$push": "$v" }, "set": { "$addToSet": "$k" }, "n": { "$sum": 1 },
            } },
            doc! { "$sort": { "_id": 1 } },
        ])
        .await;
    assert_eq!(
        found,
        vec![
            doc! { "_id": null, "sum": 0, "avg": null, "min": null, "max": null, "first": 5, "last": 5, "all": [], "set": [], "n": 1 },
            doc! { "_id": "a", "sum": 7i64, "avg": 3.5, "min": 3, "max": "x", "first": 1, "last": 4, "all": [3, 4i64, "x"], "set": ["a"], "n": 3 },
            doc! { "_id": "b", "sum": 1.5, "avg": 1.5, "min": 1.5, "max": 1.5, "first": 2, "last": 2, "all": [1.5], "set": ["b"], "n": 1 },
        ]
    );
    // Numbers of different types that are equal are one group.
    let found = w
        .aggregate(vec![
            doc! { "$match": { "_id": { "$lte": 2 } } },
            doc! { "$project": { "x": { "$cond": [{ "$eq": ["$_id", 1] }, 1, 1.0] } } },
            doc! { "$group": { "_id": "$x", "n": { "$sum": 1 } } },
        ])
        .await;
    assert_eq!(found.len(), 1, "{found:?}");
}

async fn expressions(w: World) {
    w.insert(vec![doc! {
        "_id": 1, "i": 7, "l": 5i64, "d": 2.5, "s": "Hello", "n": null, "a": [3, 1, 2],
        "o": { "x": 1 }, "at": bson::DateTime::from_millis(1_600_000_000_123),
        "oid": bson::oid::ObjectId::from_bytes([7; 12]),
    }])
    .await;
    let cases: Vec<(Bson, Bson)> = vec![
        (doc! { "$add": ["$i", "$l"] }.into(), Bson::Int64(12)),
        (doc! { "$add": ["$i", 1] }.into(), Bson::Int32(8)),
        (doc! { "$subtract": ["$i", "$d"] }.into(), Bson::Double(4.5)),
        (doc! { "$divide": ["$i", 2] }.into(), Bson::Double(3.5)),
        (doc! { "$mod": ["$i", 4] }.into(), Bson::Int32(3)),
        (doc! { "$add": ["$i", "$n"] }.into(), Bson::Null),
        (doc! { "$abs": -5 }.into(), Bson::Int32(5)),
        (doc! { "$floor": "$d" }.into(), Bson::Double(2.0)),
        (doc! { "$round": ["$d", 0] }.into(), Bson::Double(2.0)),
        (doc! { "$pow": ["$i", 2] }.into(), Bson::Int32(49)),
        (doc! { "$cmp": ["$i", "$l"] }.into(), Bson::Int32(1)),
        (doc! { "$eq": ["$nothing", null] }.into(), Bson::Boolean(false)),
        (doc! { "$lt": ["$nothing", null] }.into(), Bson::Boolean(true)),
        (doc! { "$and": [1, "$s", { "$gt": ["$i", 1] }] }.into(), Bson::Boolean(true)),
        (doc! { "$ifNull": ["$n", "$nothing", "z"] }.into(), "z".into()),
        (doc! { "$cond": { "if": { "$gte": ["$i", 7] }, "then": "y", "else": "n" } }.into(), "y".into()),
        (doc! { "$switch": { "branches": [{ "case": false, "then": 1 }, { "case": true, "then": 2 }] } }.into(), Bson::Int32(2)),
        (doc! { "$concat": ["$s", "!"] }.into(), "Hello!".into()),
        (doc! { "$toUpper": "$s" }.into(), "HELLO".into()),
        (doc! { "$substrCP": ["$s", 1, 3] }.into(), "ell".into()),
        (doc! { "$strLenCP": "$s" }.into(), Bson::Int32(5)),
        (doc! { "$split": ["a-b", "-"] }.into(), vec![Bson::from("a"), Bson::from("b")].into()),
        (doc! { "$trim": { "input": "  x " } }.into(), "x".into()),
        (doc! { "$replaceAll": { "input": "aXbX", "find": "X", "replacement": "-" } }.into(), "a-b-".into()),
        (doc! { "$regexMatch": { "input": "$s", "regex": "^hel", "options": "i" } }.into(), Bson::Boolean(true)),
        (doc! { "$arrayElemAt": ["$a", -1] }.into(), Bson::Int32(2)),
        (doc! { "$size": "$a" }.into(), Bson::Int32(3)),
        (doc! { "$in": [1, "$a"] }.into(), Bson::Boolean(true)),
        (doc! { "$slice": ["$a", 1, 2] }.into(), vec![Bson::Int32(1), Bson::Int32(2)].into()),
        (doc! { "$concatArrays": ["$a", [9]] }.into(), vec![3, 1, 2, 9].into_iter().map(Bson::Int32).collect::<Vec<_>>().into()),
        (doc! { "$map": { "input": "$a", "as": "e", "in": { "$add": ["$$e", 1] } } }.into(), vec![4, 2, 3].into_iter().map(Bson::Int32).collect::<Vec<_>>().into()),
        (doc! { "$filter": { "input": "$a", "cond": { "$gt": ["$$this", 1] } } }.into(), vec![3, 2].into_iter().map(Bson::Int32).collect::<Vec<_>>().into()),
        (doc! { "$reduce": { "input": "$a", "initialValue": 0, "in": { "$add": ["$$value", "$$this"] } } }.into(), Bson::Int32(6)),
        (doc! { "$max": "$a" }.into(), Bson::Int32(3)),
        (doc! { "$sum": "$a" }.into(), Bson::Int32(6)),
        (doc! { "$setUnion": [[1, 2], [2, 3]] }.into(), vec![1, 2, 3].into_iter().map(Bson::Int32).collect::<Vec<_>>().into()),
        (doc! { "$mergeObjects": ["$o", { "y": 2 }] }.into(), doc! { "x": 1, "y": 2 }.into()),
        (doc! { "$objectToArray": "$o" }.into(), vec![Bson::from(doc! { "k": "x", "v": 1 })].into()),
        (doc! { "$arrayToObject": [[["k", 1]]] }.into(), doc! { "k": 1 }.into()),
        (doc! { "$type": "$nothing" }.into(), "missing".into()),
        (doc! { "$toString": "$i" }.into(), "7".into()),
        (doc! { "$toInt": "12" }.into(), Bson::Int32(12)),
        (doc! { "$convert": { "input": "x", "to": "int", "onError": -1 } }.into(), Bson::Int32(-1)),
        (doc! { "$year": "$at" }.into(), Bson::Int32(2020)),
        (doc! { "$dayOfWeek": "$at" }.into(), Bson::Int32(1)),
        (doc! { "$dayOfYear": "$at" }.into(), Bson::Int32(257)),
        (doc! { "$dateToString": { "date": "$at", "format": "%Y-%m-%dT%H:%M:%S.%LZ" } }.into(), "2020-09-13T12:26:40.123Z".into()),
        (doc! { "$let": { "vars": { "v": 2 }, "in": { "$multiply": ["$$v", "$i"] } } }.into(), Bson::Int32(14)),
        (doc! { "$literal": "$i" }.into(), "$i".into()),
        (Bson::from("$$ROOT.o.x"), Bson::Int32(1)),
    ];
    for (expression, wanted) in cases {
        let found: Vec<Document> = w
            .aggregate(vec![
                doc! { "$project": { "_id": 0, "r": expression.clone() } },
            ])
            .await;
        assert_eq!(found[0].get("r"), Some(&wanted), "{expression}");
    }
}

async fn pipeline_errors(w: World) {
    w.insert(vec![doc! { "_id": 1, "s": "x" }]).await;
    for (stage, code) in [
        (doc! { "$who": 1 }, 40324),
        (doc! { "$match": {}, "$sort": { "a": 1 } }, 40323),
        (doc! { "$limit": 0 }, 15958),
        (doc! { "$group": { "n": { "$sum": 1 } } }, 15955),
        (doc! { "$group": { "_id": 1, "n": { "$who": 1 } } }, 15952),
        (doc! { "$project": { "a": { "$who": 1 } } }, 31325),
        (doc! { "$set": { "a": { "$who": 1 } } }, 168),
        (doc! { "$set": { "a": { "$add": ["$s", 1] } } }, 16554),
        (doc! { "$set": { "a": "$$nothing" } }, 17276),
        (doc! { "$unwind": "t" }, 28818),
        (doc! { "$project": {} }, 51272),
    ] {
        w.fails(
            doc! { "aggregate": "c", "pipeline": [stage], "cursor": {} },
            code,
        )
        .await;
    }
}
