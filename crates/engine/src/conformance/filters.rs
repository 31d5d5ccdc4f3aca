//! Regular expressions and JSON schemas in queries.

use bson::{Bson, Document, doc};

use super::{Case, World};

pub(super) const CASES: &[Case] = &[
    ("patterns_match", |w| Box::pin(patterns_match(w))),
    ("patterns_stand_in_operators", |w| {
        Box::pin(patterns_stand_in_operators(w))
    }),
    ("patterns_are_refused", |w| {
        Box::pin(patterns_are_refused(w))
    }),
    ("hostile_patterns_end", |w| {
        Box::pin(hostile_patterns_end(w))
    }),
    ("schemas_match", |w| Box::pin(schemas_match(w))),
    ("schemas_are_refused", |w| Box::pin(schemas_are_refused(w))),
];

async fn ids(w: &World, filter: Document) -> Vec<i32> {
    let found = w
        .find(doc! { "filter": filter, "sort": { "_id": 1 } })
        .await;
    found.iter().filter_map(|d| d.get_i32("_id").ok()).collect()
}

async fn patterns_match(w: World) {
    let texts = [
        "abc", "abc\n", "é", "É", "x y", "٣", "a\nb", "a\nb\n", "K", "a-b", "a.b", "a_b", "naïve",
        "",
    ];
    w.insert(
        texts
            .into_iter()
            .enumerate()
            .map(|(id, text)| doc! { "_id": id as i32, "a": text })
            .collect(),
    )
    .await;
    for (pattern, options, wanted) in [
        // Classes are of ASCII, cases are not.
        ("\\d", "", vec![]),
        ("^\\w$", "", vec![8]),
        ("é", "i", vec![2, 3]),
        ("^[^\\W]+$", "", vec![0, 1, 8, 11]),
        ("k", "i", vec![8]),
        ("ï\\b", "", vec![12]),
        ("[[:alpha:]][[:punct:]]", "", vec![9, 10, 11]),
        ("^\\p{L}$", "", vec![2, 3, 8]),
        // A newline may come after the end.
        ("c$", "", vec![0, 1]),
        ("c\\z", "", vec![0]),
        ("b$", "", vec![6, 7, 9, 10, 11]),
        ("^b$", "m", vec![6, 7]),
        ("^$", "", vec![13]),
        ("^$", "m", vec![13]),
        ("a.b", "", vec![9, 10, 11]),
        ("a.b", "s", vec![6, 7, 9, 10, 11]),
        ("a b c # no more\n", "x", vec![0, 1]),
        ("\\Qa.b\\E", "", vec![10]),
        ("(?i)ABC", "", vec![0, 1]),
        ("a(?i:B)c", "", vec![0, 1]),
        ("\\x61\\x{62}\\143", "", vec![0, 1]),
        ("(?<=a)b(?!c)", "", vec![]),
        ("^(.).*\\1", "", vec![]),
        ("(?<l>[a-z]).\\k<l>|a(?=.b)", "", vec![9, 10, 11]),
        ("a++b|(?>x )y", "", vec![0, 1, 4]),
        ("a{1}b{,2}|a{,3}", "", vec![]),
        ("(?=a)*é", "", vec![2]),
        ("", "", (0..14).collect()),
    ] {
        let filter = doc! { "a": { "$regex": pattern, "$options": options } };
        let found = ids(&w, filter).await;
        assert_eq!(found, wanted, "{pattern} {options}");
    }
}

fn regex(pattern: &str, options: &str) -> Bson {
    Bson::RegularExpression(bson::Regex {
        pattern: pattern.try_into().expect("no NUL"),
        options: options.try_into().expect("no NUL"),
    })
}

async fn patterns_stand_in_operators(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": "Abc", "l": ["x", "yz"] },
        doc! { "_id": 2, "a": "b", "l": ["zz"] },
        doc! { "_id": 3, "a": regex("^a", "i") },
        doc! { "_id": 4, "a": 4 },
    ])
    .await;
    for (filter, wanted) in [
        (doc! { "a": regex("^a", "i") }, vec![1, 3]),
        (doc! { "a": { "$eq": regex("^a", "i") } }, vec![3]),
        (
            doc! { "a": { "$in": [regex("^a", "i"), 4] } },
            vec![1, 3, 4],
        ),
        (doc! { "a": { "$nin": [regex("^a", "i"), 4] } }, vec![2]),
        (doc! { "a": { "$not": regex("^a", "i") } }, vec![2, 4]),
        (doc! { "a": { "$not": { "$regex": "b" } } }, vec![3, 4]),
        (
            doc! { "l": { "$all": [regex("x", ""), regex("z", "")] } },
            vec![1],
        ),
        (doc! { "l": { "$elemMatch": { "$regex": "^z" } } }, vec![2]),
        (doc! { "a": { "$regex": regex("B", "i") } }, vec![1, 2]),
        (doc! { "a": { "$options": "i", "$regex": "B" } }, vec![1, 2]),
        (
            doc! { "$expr": { "$regexMatch": { "input": "$a", "regex": "^A" } }, "_id": { "$lt": 3 } },
            vec![1],
        ),
    ] {
        let found = ids(&w, filter.clone()).await;
        assert_eq!(found, wanted, "{filter}");
    }
}

async fn patterns_are_refused(w: World) {
    for pattern in [
        "[",
        "(",
        "a)",
        "*a",
        "a**",
        "^*",
        "(?",
        "(?<",
        "(?<n>a)(?<n>b)",
        "\\",
        "\\1",
        "\\u0061",
        "[b-a]",
        "[a-\\d]",
        "[[:foo:]]",
        "[[.a.]]",
        "a{3,2}",
        "a{65536}",
        "(?<=a+)b",
        "(?P=n)",
        "\\Qa",
        "\\p{Foo}",
        "\\x{110000}",
        "(?z)",
    ] {
        w.fails(
            doc! { "find": "c", "filter": { "a": { "$regex": pattern } } },
            51091,
        )
        .await;
    }
    for (operators, code) in [
        (doc! { "$regex": "a\0b" }, 2),
        (doc! { "$regex": 1 }, 2),
        (doc! { "$options": "i" }, 2),
        (doc! { "$regex": "a", "$options": 1 }, 2),
        (doc! { "$regex": "a", "$options": "g" }, 51108),
        (doc! { "$regex": regex("a", "i"), "$options": "" }, 51075),
        (doc! { "$ne": regex("a", "") }, 2),
        (doc! { "$gt": regex("a", "") }, 2),
        (doc! { "$in": [regex("[", "")] }, 51091),
        (doc! { "$regex": "a".repeat(40_000) }, 51091),
        (
            doc! { "$regex": "((((a{1,100}){1,100}){1,100}){1,100}){1,100}" },
            51091,
        ),
        (
            doc! { "$regex": "(".repeat(300) + "a" + &")".repeat(300) },
            51091,
        ),
    ] {
        w.fails(doc! { "find": "c", "filter": { "a": operators } }, code)
            .await;
    }
}

/// Patterns that could take for ever, on a text that does not match.
async fn hostile_patterns_end(w: World) {
    w.insert(vec![doc! { "_id": 1, "a": "a".repeat(1000) + "b" }])
        .await;
    for pattern in ["(a+)+$", "^(a|aa)+$", "(a*)*c", "^(.*)*c"] {
        let filter = doc! { "a": { "$regex": pattern } };
        assert_eq!(ids(&w, filter).await, Vec::<i32>::new(), "{pattern}");
    }
}

async fn schemas_match(w: World) {
    w.insert(vec![
        doc! { "_id": 1, "a": 1, "s": "abc", "l": [1, 2, 2], "o": { "x": 1, "y": 2 } },
        doc! { "_id": 2, "a": 1.5, "s": "é", "l": [], "o": {} },
        doc! { "_id": 3, "a": 4i64, "s": "", "l": [1, "x"], "o": { "x": "1" } },
        doc! { "_id": 4, "a": f64::NAN },
        doc! { "_id": 5, "a": null, "s": null },
        doc! { "_id": 6, "a": true, "l": [{ "a": 1, "b": 2 }, { "b": 2, "a": 1 }] },
    ])
    .await;
    for (schema, wanted) in [
        (
            doc! { "properties": { "a": { "type": "number" } } },
            vec![1, 2, 3, 4],
        ),
        (
            doc! { "properties": { "a": { "bsonType": ["int", "null"] } } },
            vec![1, 5],
        ),
        (
            doc! { "properties": { "a": { "minimum": 1.5 } } },
            vec![2, 3, 5, 6],
        ),
        (
            doc! { "properties": { "a": { "maximum": 4, "exclusiveMaximum": true } } },
            vec![1, 2, 5, 6],
        ),
        (
            doc! { "properties": { "a": { "multipleOf": 0.5 } } },
            vec![1, 2, 3, 5, 6],
        ),
        (
            doc! { "properties": { "s": { "minLength": 1, "maxLength": 1 } } },
            vec![2, 4, 5, 6],
        ),
        (
            doc! { "properties": { "s": { "pattern": "b" } } },
            vec![1, 4, 5, 6],
        ),
        (
            doc! { "properties": { "l": { "uniqueItems": true } } },
            vec![2, 3, 4, 5],
        ),
        (
            doc! { "properties": { "l": { "minItems": 1, "maxItems": 2 } } },
            vec![3, 4, 5, 6],
        ),
        (
            doc! { "properties": { "l": { "items": { "bsonType": "int" } } } },
            vec![1, 2, 4, 5],
        ),
        (
            doc! { "properties": { "l": { "items": [{}], "additionalItems": { "bsonType": "string" } } } },
            vec![2, 3, 4, 5],
        ),
        (
            doc! { "properties": { "o": { "additionalProperties": false, "properties": { "x": {} } } } },
            vec![2, 3, 4, 5, 6],
        ),
        (
            doc! { "properties": { "o": { "additionalProperties": { "bsonType": "int" }, "patternProperties": { "^x": {} } } } },
            vec![1, 2, 3, 4, 5, 6],
        ),
        (doc! { "dependencies": { "s": ["l"] } }, vec![1, 2, 3, 4, 6]),
        (
            doc! { "dependencies": { "s": { "required": ["l"] } } },
            vec![1, 2, 3, 4, 6],
        ),
        (
            doc! { "properties": { "o": { "enum": [{ "y": 2, "x": 1 }, {}] } } },
            vec![1, 2, 4, 5, 6],
        ),
        (doc! { "not": { "required": ["l"] } }, vec![4, 5]),
        (
            doc! { "oneOf": [{ "required": ["l"] }, { "required": ["s"] }] },
            vec![5, 6],
        ),
        (doc! { "bsonType": "array" }, vec![]),
        (doc! { "minProperties": 3 }, vec![1, 2, 3, 5, 6]),
        (
            doc! { "title": "t", "description": "d" },
            vec![1, 2, 3, 4, 5, 6],
        ),
    ] {
        let found = ids(&w, doc! { "$jsonSchema": schema.clone() }).await;
        assert_eq!(found, wanted, "{schema}");
    }
    let nested = doc! { "l": { "$elemMatch": { "$jsonSchema": { "required": ["a"] } } } };
    assert_eq!(ids(&w, nested).await, [6]);
}

async fn schemas_are_refused(w: World) {
    for (schema, code) in [
        (doc! { "bad": 1 }, 9),
        (doc! { "$ref": "x" }, 9),
        (doc! { "default": 1 }, 9),
        (doc! { "const": 1 }, 9),
        (doc! { "title": 1 }, 14),
        (doc! { "bsonType": 1 }, 14),
        (doc! { "bsonType": "bad" }, 2),
        (doc! { "bsonType": [] }, 9),
        (doc! { "bsonType": ["int", "int"] }, 9),
        (doc! { "type": "integer" }, 9),
        (doc! { "type": "int" }, 2),
        (doc! { "type": "object", "bsonType": "object" }, 9),
        (doc! { "properties": 1 }, 14),
        (doc! { "properties": { "a": 1 } }, 14),
        (doc! { "properties": { "a": { "bad": 1 } } }, 9),
        (doc! { "patternProperties": { "[": {} } }, 2),
        (doc! { "additionalProperties": 1 }, 14),
        (doc! { "items": 1 }, 14),
        (doc! { "items": [1] }, 14),
        (doc! { "required": 1 }, 14),
        (doc! { "required": [] }, 9),
        (doc! { "required": [1] }, 14),
        (doc! { "required": ["a", "a"] }, 9),
        (doc! { "enum": [] }, 9),
        (doc! { "enum": [1, 1.0] }, 9),
        (doc! { "minimum": "x" }, 14),
        (doc! { "exclusiveMinimum": true }, 9),
        (doc! { "minimum": 1, "exclusiveMinimum": 1 }, 14),
        (doc! { "multipleOf": 0 }, 9),
        (doc! { "minLength": -1 }, 9),
        (doc! { "minLength": 1.5 }, 9),
        (doc! { "pattern": 1 }, 14),
        (doc! { "uniqueItems": 1 }, 14),
        (doc! { "allOf": 1 }, 14),
        (doc! { "allOf": [] }, 2),
        (doc! { "oneOf": [1] }, 14),
        (doc! { "not": 1 }, 14),
        (doc! { "dependencies": { "a": 1 } }, 14),
        (doc! { "dependencies": { "a": [] } }, 9),
    ] {
        w.fails(
            doc! { "find": "c", "filter": { "$jsonSchema": schema } },
            code,
        )
        .await;
    }
    w.fails(doc! { "find": "c", "filter": { "$jsonSchema": 1 } }, 14)
        .await;
}
