//! Values and documents. Values are few and close to each other, so that they
//! meet; names are short, so that paths cross; each trap of MongoDB's types is
//! among them.

use bson::{Binary, Bson, DateTime, Document, Timestamp, doc};

use crate::random::Random;

/// Paths into [`document`].
pub(super) const PATHS: &[&str] = &[
    "a", "b", "c", "n", "l", "a.b", "a.c", "l.b", "l.0", "l.1", "a.0", "a.b.c", "l.0.b", "b.x",
    "z", "a.x.b", "a.0.b", "l.b.0", "l.b.c", "a.1",
];

pub(super) fn path(r: &mut Random) -> &'static str {
    r.text(PATHS)
}

pub(super) fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().expect("a decimal"))
}

pub(super) fn date(millis: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(millis))
}

/// Numbers that are equal across types, and the ends of each type.
pub(super) fn number(r: &mut Random) -> Bson {
    match r.below(24) {
        0..=6 => Bson::Int32(*r.pick(&[0, 1, 2, 3, -1, 10, 5])),
        7..=9 => Bson::Int64(*r.pick(&[0, 1, 2, -1, 5_000_000_000, (1 << 53) + 1])),
        10..=14 => Bson::Double(*r.pick(&[0.0, -0.0, 1.0, 1.5, 2.5, -2.0, 1e10, 0.1])),
        15 => Bson::Double(*r.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        16 => Bson::Int32(*r.pick(&[i32::MAX, i32::MIN])),
        17 => match r.below(3) {
            0 => Bson::Int64(*r.pick(&[i64::MAX, i64::MIN, i64::MAX - 1])),
            1 => Bson::Double(*r.pick(&[
                9_007_199_254_740_992.0,
                9.223_372_036_854_776e18,
                -9.223_372_036_854_776e18,
                1e300,
                5e-324,
            ])),
            _ => decimal(r.text(&[
                "NaN",
                "Infinity",
                "-Infinity",
                "9223372036854775807",
                "1E-6176",
                "9.999999999999999999999999999999999E+6144",
                "5000000000",
                "-0",
                "1E+20",
            ])),
        },
        _ => decimal(r.text(&["1", "1.0", "1.5", "2.50", "0", "-1", "1E+3", "0.1", "2"])),
    }
}

/// A number that arithmetic does not leave the middle with.
pub(super) fn tame(r: &mut Random) -> Bson {
    match r.below(8) {
        0..=3 => Bson::Int32(r.below(7) as i32 - 2),
        4 => Bson::Int64(r.below(5) as i64 - 1),
        5..=6 => Bson::Double(*r.pick(&[0.5, 1.0, -1.5, 2.25, 3.0])),
        _ => decimal(r.text(&["1", "2.5", "-0.1", "3.00"])),
    }
}

pub(super) const STRINGS: &[&str] = &[
    "a", "b", "ab", "A", "", "abc", "1", "12", "é", "É", "ß", "a b", " a ", "😀", "x.y", "$a",
    "aXbXc", "B", "e\u{301}", "a10", "a9", "\u{0}a", "-1.5",
];

pub(super) fn string(r: &mut Random) -> Bson {
    let common = !r.one_in(4);
    Bson::from(if common {
        r.text(&STRINGS[..7])
    } else {
        r.text(STRINGS)
    })
}

/// Before 1970, at leap days, at the ends of years and of what is printable.
pub(super) const DATES: &[i64] = &[
    0,
    1_000,
    86_400_000,
    -1,
    -86_400_001,
    951_782_400_000,
    1_609_459_199_999,
    1_582_934_400_123,
    -62_135_596_800_000,
    253_402_300_799_999,
    -2_208_988_800_000,
    1_616_893_200_000,
];

pub(super) fn object_id(r: &mut Random) -> Bson {
    Bson::ObjectId(bson::oid::ObjectId::from_bytes([*r.pick(&[1, 2]); 12]))
}

pub(super) fn scalar(r: &mut Random) -> Bson {
    match r.below(34) {
        0..=13 => number(r),
        14..=20 => string(r),
        21..=23 => Bson::Null,
        24..=26 => Bson::Boolean(r.one_in(2)),
        27..=28 => date(*r.pick(DATES)),
        29 => object_id(r),
        30 => Bson::Timestamp(Timestamp {
            time: *r.pick(&[1, 2]),
            increment: 1,
        }),
        31 => Bson::Binary(Binary {
            subtype: *r.pick(&[
                bson::spec::BinarySubtype::Generic,
                bson::spec::BinarySubtype::Uuid,
            ]),
            bytes: vec![*r.pick(&[1, 2]); 16],
        }),
        32 => r.pick(&[Bson::MinKey, Bson::MaxKey]).clone(),
        _ => match r.below(3) {
            0 => Bson::JavaScriptCode("x".to_owned()),
            1 => super::filter::regex(r),
            _ => Bson::Null,
        },
    }
}

/// A value, with arrays and objects down to `depth`.
pub(super) fn value(r: &mut Random, depth: usize) -> Bson {
    match r.below(8) {
        0..=1 if depth > 0 => Bson::Document(object(r, depth - 1)),
        2..=3 if depth > 0 => Bson::Array(values(r, depth - 1)),
        _ => scalar(r),
    }
}

/// None to four of them.
pub(super) fn values(r: &mut Random, depth: usize) -> Vec<Bson> {
    let n = *r.pick(&[0, 1, 2, 2, 3, 4]);
    (0..n).map(|_| value(r, depth)).collect()
}

pub(super) fn object(r: &mut Random, depth: usize) -> Document {
    let mut document = Document::new();
    for name in ["b", "c", "x", "0", "1"] {
        let rare = name.len() == 1 && name.as_bytes()[0].is_ascii_digit();
        if r.one_in(if rare { 12 } else { 3 }) {
            document.insert(name, value(r, depth));
        }
    }
    document
}

/// A document with this `_id`: anything anywhere.
pub(super) fn document(r: &mut Random, id: impl Into<Bson>) -> Document {
    let mut document = doc! { "_id": id.into() };
    for name in ["a", "b", "c", "n", "l"] {
        if r.one_in(5) {
            continue;
        }
        let value = match name {
            "n" if !r.one_in(5) => number(r),
            "l" if !r.one_in(5) => Bson::Array(values(r, 1)),
            _ => value(r, 2),
        };
        document.insert(name, value);
    }
    document
}

/// A document whose fields mostly have the types that expressions want: `n`
/// and `m` numbers, `s` and `t` strings, `l` and `k` arrays, `o` an object,
/// `d` and `e` dates, `b` a bool, `i` a small whole number, `a` anything.
pub(super) fn typed(r: &mut Random, id: i32) -> Document {
    let mut document = doc! { "_id": id };
    for name in ["n", "m", "s", "t", "l", "k", "o", "d", "e", "b", "i", "a"] {
        if r.one_in(12) {
            continue;
        }
        let value = if r.one_in(14) {
            value(r, 1)
        } else {
            match name {
                "n" => number(r),
                "m" => tame(r),
                "s" | "t" => string(r),
                "l" => Bson::Array(values(r, 1)),
                "k" => Bson::Array((0..r.below(5)).map(|_| tame(r)).collect()),
                "o" => Bson::Document(object(r, 1)),
                "d" | "e" => date(*r.pick(DATES)),
                "b" => Bson::Boolean(r.one_in(2)),
                "i" => Bson::Int32(r.below(5) as i32 - 1),
                _ => value(r, 2),
            }
        };
        document.insert(name, value);
    }
    document
}
