//! Numbers of four types: what arithmetic on them makes, in updates and in
//! expressions.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("updates_count_in_decimals", |w| {
        Box::pin(updates_count_in_decimals(w))
    }),
    ("expressions_count_in_decimals", |w| {
        Box::pin(expressions_count_in_decimals(w))
    }),
    ("dates_are_in_zones", |w| Box::pin(dates_are_in_zones(w))),
    ("decimals_are_rounded_to_whole_numbers", |w| {
        Box::pin(decimals_are_rounded_to_whole_numbers(w))
    }),
    ("decimals_have_granularities", |w| {
        Box::pin(decimals_have_granularities(w))
    }),
    ("bins_of_dates_have_an_end", |w| {
        Box::pin(bins_of_dates_have_an_end(w))
    }),
];

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().expect("a decimal"))
}

async fn updates_count_in_decimals(w: World) {
    for (old, operator, by, new) in [
        (decimal("0.10"), "$inc", decimal("0.2"), decimal("0.30")),
        // A double is its first 15 digits.
        (
            0.1.into(),
            "$inc",
            decimal("0.10"),
            decimal("0.200000000000000"),
        ),
        (3.into(), "$mul", decimal("1.50"), decimal("4.50")),
        (
            Bson::Int64(i64::MAX),
            "$inc",
            decimal("1"),
            decimal("9223372036854775808"),
        ),
        // What is equal is not written again.
        (decimal("1E+40"), "$inc", decimal("1"), decimal("1E+40")),
        (decimal("-0"), "$mul", decimal("0.10"), decimal("-0")),
        (
            Bson::Double(-0.0),
            "$inc",
            Bson::Double(-0.0),
            Bson::Double(-0.0),
        ),
        (
            i32::MAX.into(),
            "$inc",
            1.into(),
            Bson::Int64(2_147_483_648),
        ),
    ] {
        w.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] })
            .await;
        w.insert(vec![doc! { "_id": 1, "n": old.clone() }]).await;
        w.ok(
            doc! { "update": "c", "updates": [{ "q": {}, "u": { operator: { "n": by.clone() } } }] },
        )
        .await;
        let found = w.find(Document::new()).await;
        let found = found[0].get("n");
        assert_eq!(found, Some(&new), "{old} {operator} {by}");
    }
    let update = |operator: &str| {
        doc! { "update": "c", "updates": [{ "q": {}, "u": { operator: { "n": Bson::Int64(i64::MAX) } } }] }
    };
    w.fails(update("$inc"), 2).await;
    w.fails(update("$mul"), 2).await;
    let missing =
        doc! { "update": "c", "updates": [{ "q": {}, "u": { "$mul": { "m": decimal("0.10") } } }] };
    w.ok(missing).await;
    let found = w.find(Document::new()).await;
    assert_eq!(found[0].get("m"), Some(&decimal("0.00")));
}

async fn value(w: &World, expression: Document) -> Option<Bson> {
    let mut made = w
        .aggregate(vec![
            doc! { "$limit": 1 },
            doc! { "$replaceWith": { "r": expression } },
        ])
        .await;
    made.pop().and_then(|mut document| document.remove("r"))
}

async fn expressions_count_in_decimals(w: World) {
    w.insert(vec![doc! { "_id": 1, "d": decimal("1.50"), "f": 0.1 }])
        .await;
    for (expression, expected) in [
        (doc! { "$add": ["$d", "$d", 1] }, "4.00"),
        // Sums take doubles exactly, products by 15 digits.
        (
            doc! { "$add": ["$d", "$f"] },
            "1.600000000000000005551115123125783",
        ),
        (doc! { "$multiply": ["$d", "$f"] }, "0.15000000000000000"),
        (
            doc! { "$divide": ["$d", 7] },
            "0.2142857142857142857142857142857143",
        ),
        (doc! { "$sqrt": { "$multiply": ["$d", "$d"] } }, "1.50"),
        (doc! { "$round": ["$d", 0] }, "2"),
        (doc! { "$toDecimal": "$f" }, "0.100000000000000"),
        (doc! { "$avg": ["$d", 2] }, "1.75"),
    ] {
        let found = value(&w, expression.clone()).await;
        assert_eq!(found, Some(decimal(expected)), "{expression}");
    }
    let sums = w
        .aggregate(vec![
            doc! { "$group": { "_id": null, "s": { "$sum": "$d" }, "a": { "$avg": "$d" } } },
        ])
        .await;
    let expected = doc! { "_id": null, "s": decimal("1.50"), "a": decimal("1.50") };
    assert_eq!(sums, [expected]);
}

async fn dates_are_in_zones(w: World) {
    let at = bson::DateTime::from_millis(1_710_055_800_000);
    w.insert(vec![doc! { "_id": 1, "at": at }]).await;
    // Half past two in the morning, an hour that is left out.
    let text = doc! { "$dateToString": { "date": "$at", "timezone": "America/New_York", "format": "%Y-%m-%d %H:%M %z" } };
    assert_eq!(value(&w, text).await, Some("2024-03-10 03:30 -0400".into()));
    let next = doc! { "$dateAdd": { "startDate": "$at", "unit": "day", "amount": -1, "timezone": "America/New_York" } };
    assert_eq!(
        value(&w, next).await,
        Some(Bson::DateTime(bson::DateTime::from_millis(
            1_709_973_000_000
        )))
    );
    let zone = |zone: &str| {
        doc! { "aggregate": "c", "cursor": {}, "pipeline": [
            { "$replaceWith": { "r": { "$hour": { "date": "$at", "timezone": zone } } } }
        ] }
    };
    w.ok(zone("+05:30")).await;
    w.fails(zone("Nowhere/Land"), 40485).await;
}

async fn decimals_are_rounded_to_whole_numbers(w: World) {
    w.insert(
        (0..4)
            .map(|n| doc! { "_id": n, "l": [0, 1, 2, 3] })
            .collect(),
    )
    .await;
    for (text, whole) in [("1.5", 2), ("2.5", 2), ("0.6", 1), ("1.4", 1)] {
        let sorted = doc! { "sort": { "_id": 1 }, "limit": decimal(text) };
        assert_eq!(w.find(sorted).await.len(), whole, "{text}");
        let sliced = doc! { "projection": { "l": { "$slice": decimal(text) } }, "limit": 1 };
        let found = w.find(sliced).await;
        let list = found[0].get_array("l").expect("a list");
        assert_eq!(list.len(), whole, "{text}");
    }
    for (direction, code) in [("1.5", 15975), ("-1.9", 15975)] {
        let find = doc! { "find": "c", "sort": { "_id": decimal(direction) } };
        w.fails(find, code).await;
    }
    let down = w.find(doc! { "sort": { "_id": decimal("-0.9") } }).await;
    assert_eq!(down[0].get_i32("_id").ok(), Some(3));
}

async fn decimals_have_granularities(w: World) {
    let numbers = ["1", "2.5", "7", "30"].into_iter();
    w.insert(numbers.map(|n| doc! { "n": decimal(n) }).collect())
        .await;
    for (granularity, bounds) in [
        (
            "R5",
            ["0.630000000000000", "4.00000000000000", "40.0000000000000"],
        ),
        (
            "POWERSOF2",
            [
                "0.5000000000000000000000000000000000",
                "4.000000000000000000000000000000000",
                "32.00000000000000000000000000000000",
            ],
        ),
    ] {
        let stage = doc! { "$bucketAuto": {
            "groupBy": "$n", "buckets": 2, "granularity": granularity,
        } };
        let found = w.aggregate(vec![stage]).await;
        let [low, middle, high] = bounds.map(decimal);
        let wanted = vec![
            doc! { "_id": { "min": low, "max": middle.clone() }, "count": 2 },
            doc! { "_id": { "min": middle, "max": high }, "count": 2 },
        ];
        assert_eq!(found, wanted, "{granularity}");
    }
}

async fn bins_of_dates_have_an_end(w: World) {
    // In 1933, before the moment that bins are counted from.
    w.insert(vec![
        doc! { "d": bson::DateTime::from_millis(-1_163_000_000_000) },
    ])
    .await;
    let bin = |unit: &str, size: i64| {
        let truncated = doc! { "date": "$d", "unit": unit, "binSize": size };
        vec![doc! { "$project": { "_id": 0, "v": { "$dateTrunc": truncated } } }]
    };
    for (unit, size, code) in [
        ("year", 10_000_000_000, 5_976_500),
        ("year", 300_000_000, 5_166_406),
        ("week", 99_999_999_999, 5_976_500),
        ("day", 1_000_000_000_000, 5_439_006),
        ("hour", i64::MAX / 2, 5_439_002),
    ] {
        let command = doc! { "aggregate": "c", "pipeline": bin(unit, size), "cursor": {} };
        w.fails(command, code).await;
    }
    let hours = w.aggregate(bin("hour", 1_000_000)).await;
    let start = 946_684_800_000 - 3_600_000 * 1_000_000;
    let wanted = doc! { "v": bson::DateTime::from_millis(start) };
    assert_eq!(hours, vec![wanted]);
}
