//! Expressions of an aggregation. Most are made for the types of
//! `value::typed`, since what fails at once tells little; some are not.

use bson::{Bson, Document, doc};

use super::value::{DATES, STRINGS, date, number, path, scalar, string, tame, value, values};
use crate::random::Random;

/// An expression over documents of `value::document`, of any type.
pub(super) fn loose(r: &mut Random, depth: usize) -> Bson {
    Maker { r, typed: false }.any(depth)
}

/// An expression over documents of `value::typed`.
pub(super) fn typed(r: &mut Random, depth: usize) -> Bson {
    Maker { r, typed: true }.any(depth)
}

/// One of a part of the language: 0 numbers, 1 texts, 2 lists, 3 dates,
/// 4 conditions, 5 objects.
pub(super) fn of(r: &mut Random, part: usize, depth: usize) -> Bson {
    let mut maker = Maker { r, typed: true };
    match part {
        0 => maker.number(depth),
        1 => maker.about_text(depth),
        2 => maker.about_list(depth),
        3 => maker.about_dates(depth),
        4 => maker.flag(depth),
        _ => maker.object(depth),
    }
}

const TIMEZONES: &[&str] = &[
    "UTC",
    "+02:00",
    "-0530",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "+03",
    "Mars/X",
];
const FORMATS: &[&str] = &[
    "%Y-%m-%d",
    "%H:%M:%S.%L",
    "%G-W%V-%u",
    "%j %w %U",
    "%z %Z",
    "%%",
    "%d/%m/%Y %H",
    "%Q",
    "%",
    "%Y-%m-%dT%H:%M:%S.%LZ",
];
const UNITS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "era",
];
const DATE_TEXTS: &[&str] = &[
    "2020-02-29",
    "2020-01-02T03:04:05Z",
    "2020-01-02T03:04:05.678+02:00",
    "1969-12-31",
    "today?",
    "2021-13-01",
    "2020-01-02 03:04",
    "Jan 2 2020",
    "20200102",
    "2020-060",
    "12:30",
    "2020-01-02T03:04:05 Europe/Berlin",
];

struct Maker<'r> {
    r: &'r mut Random,
    typed: bool,
}

impl Maker<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.r.below(n)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.r.one_in(n)
    }

    fn say(&mut self, of: &[&'static str]) -> &'static str {
        self.r.text(of)
    }

    /// A field of this kind, or one that is not.
    fn field(&mut self, of: &[&'static str]) -> Bson {
        if !self.typed {
            return Bson::from(format!("${}", path(self.r)));
        }
        let name = if self.one_in(12) {
            self.say(&["$a", "$z", "$o.b", "$l.b", "$$ROOT", "$l", "$s"])
        } else {
            self.say(of)
        };
        Bson::from(name)
    }

    fn literal(value: Bson) -> Bson {
        Bson::Document(doc! { "$literal": value })
    }

    fn small(&mut self) -> Bson {
        match self.below(10) {
            0 => Bson::Int64(self.below(3) as i64),
            1 => Bson::Double(*self.r.pick(&[1.0, 2.0, 1.5, -1.0])),
            2 => self.field(&["$i"]),
            3 => Bson::Null,
            _ => Bson::Int32(self.below(5) as i32 - 1),
        }
    }

    /// How many, of `$firstN` and its like: a constant below one is the end of
    /// a mongod 6.0.
    fn many(&mut self) -> Bson {
        match self.below(8) {
            0 => self.field(&["$i"]),
            1 => Bson::Int64(2),
            2 => Bson::Double(2.0),
            _ => Bson::Int32(1 + self.below(3) as i32),
        }
    }

    fn any(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(5) {
                0 => Self::literal(value(self.r, 1)),
                1 => number(self.r),
                _ => self.field(&["$n", "$s", "$l", "$d", "$b", "$o", "$a", "$i", "$k"]),
            };
        }
        match self.below(9) {
            0..=1 => self.number(depth),
            2 => self.about_text(depth),
            3..=4 => self.about_list(depth),
            5 => self.about_dates(depth),
            6 => self.flag(depth),
            7 => self.object(depth),
            _ => self.choice(depth),
        }
    }

    fn choice(&mut self, depth: usize) -> Bson {
        let d = depth.saturating_sub(1);
        Bson::Document(match self.below(9) {
            0 => doc! { "$cond": [self.flag(d), self.any(d), self.any(d)] },
            1 => doc! { "$cond": { "if": self.any(d), "then": self.any(d), "else": self.any(d) } },
            2 => doc! { "$ifNull": [self.any(d), self.any(d)] },
            3 => doc! { "$ifNull": ["$z", self.any(d), self.any(d)] },
            4 => {
                let mut switch = doc! { "branches": [{ "case": self.flag(d), "then": self.any(d) }, { "case": self.any(d), "then": self.any(d) }] };
                if !self.one_in(4) {
                    switch.insert("default", self.any(d));
                }
                doc! { "$switch": switch }
            }
            5 => {
                doc! { "$let": { "vars": { "v": self.any(d), "w": self.any(0) }, "in": { "$eq": ["$$v", self.any(d)] } } }
            }
            6 => {
                let to = self.say(&[
                    "int", "string", "bool", "double", "long", "decimal", "date", "objectId", "who",
                ]);
                let mut convert = doc! { "input": self.any(d), "to": to };
                if self.one_in(2) {
                    convert.insert("onError", self.any(0));
                }
                if self.one_in(2) {
                    convert.insert("onNull", self.any(0));
                }
                doc! { "$convert": convert }
            }
            7 => {
                doc! { self.say(&["$toString", "$toInt", "$toDouble", "$toBool", "$toLong", "$toDate", "$toDecimal", "$toObjectId", "$type", "$isNumber"]): self.any(d) }
            }
            _ => doc! { self.say(&["$min", "$max"]): [self.any(d), self.any(d)] },
        })
    }

    fn number(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(5) {
                0 => number(self.r),
                1 => tame(self.r),
                _ => self.field(&["$n", "$m", "$i", "$n", "$m"]),
            };
        }
        let d = depth - 1;
        Bson::Document(match self.below(26) {
            0..=2 => doc! { self.say(&["$add", "$multiply"]): [self.number(d), self.number(d)] },
            3 => doc! { "$add": [self.number(d), self.number(d), self.number(0)] },
            4..=5 => doc! { self.say(&["$subtract", "$divide"]): [self.number(d), self.number(d)] },
            6 => doc! { "$mod": [self.number(d), self.number(d)] },
            7..=8 => doc! { self.say(&["$abs", "$floor", "$ceil", "$trunc"]): self.number(d) },
            9 => {
                doc! { self.say(&["$sqrt", "$exp", "$ln", "$log10"]): self.number(d) }
            }
            10 => doc! { "$pow": [self.number(d), self.small()] },
            11 => doc! { "$log": [self.number(d), self.number(0)] },
            12..=13 => {
                let place = self.r.pick(&[0, 1, -1, 2, -3, 5]);
                doc! { self.say(&["$round", "$trunc"]): [self.number(d), *place] }
            }
            14 => doc! { self.say(&["$round", "$trunc"]): [self.number(d), self.small()] },
            15 => {
                doc! { self.say(&["$sum", "$avg", "$min", "$max", "$stdDevPop", "$stdDevSamp"]): [self.number(d), self.number(d)] }
            }
            16..=17 => {
                doc! { self.say(&["$sum", "$avg", "$min", "$max", "$stdDevPop", "$stdDevSamp"]): self.list(d) }
            }
            18 => doc! { "$size": self.list(d) },
            19 => doc! { "$cmp": [self.any(d), self.any(d)] },
            20 => {
                doc! { self.say(&["$toInt", "$toDouble", "$toLong", "$toDecimal"]): self.any(d) }
            }
            21 => doc! { self.say(&["$strLenCP", "$strLenBytes", "$binarySize"]): self.text(d) },
            22 => {
                doc! { self.say(&["$sin", "$cos", "$tan", "$asin", "$acos", "$atan", "$sinh", "$cosh", "$tanh", "$asinh", "$acosh", "$atanh", "$degreesToRadians", "$radiansToDegrees"]): self.number(0) }
            }
            23 => doc! { "$atan2": [self.number(0), self.number(0)] },
            24 => doc! { "$subtract": [self.dates(0), self.dates(0)] },
            _ => doc! { "$bsonSize": self.object(d) },
        })
    }

    fn text(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(4) {
                0 => Self::literal(string(self.r)),
                _ => self.field(&["$s", "$t"]),
            };
        }
        let d = depth - 1;
        Bson::Document(match self.below(13) {
            0..=1 => doc! { "$concat": [self.text(d), self.text(d)] },
            2..=3 => doc! { self.say(&["$toUpper", "$toLower"]): self.text(d) },
            4 => doc! { "$toString": self.any(d) },
            5 => {
                doc! { self.say(&["$substrCP", "$substrBytes", "$substr"]): [self.text(d), self.small(), self.small()] }
            }
            6..=7 => {
                let mut trim = doc! { "input": self.text(d) };
                if self.one_in(2) {
                    trim.insert("chars", self.text(0));
                }
                doc! { self.say(&["$trim", "$ltrim", "$rtrim"]): trim }
            }
            8 => {
                doc! { self.say(&["$replaceOne", "$replaceAll"]): { "input": self.text(d), "find": self.text(0), "replacement": self.text(0) } }
            }
            9..=10 => {
                let mut format = doc! { "date": self.dates(d) };
                if !self.one_in(3) {
                    format.insert("format", self.say(FORMATS));
                }
                if self.one_in(3) {
                    format.insert("timezone", self.say(TIMEZONES));
                }
                if self.one_in(3) {
                    format.insert("onNull", self.any(0));
                }
                doc! { "$dateToString": format }
            }
            11 => doc! { "$type": self.any(d) },
            _ => doc! { "$convert": { "input": self.any(d), "to": "string", "onError": "bad" } },
        })
    }

    /// Also what is made of one.
    fn about_text(&mut self, depth: usize) -> Bson {
        if depth == 0 || self.one_in(2) {
            return self.text(depth);
        }
        let d = depth - 1;
        let pattern = |maker: &mut Self| match super::filter::regex(maker.r) {
            regex if maker.one_in(2) => regex,
            Bson::RegularExpression(regex) => Self::literal(Bson::from(regex.pattern.as_str())),
            other => other,
        };
        Bson::Document(match self.below(7) {
            0 => doc! { "$split": [self.text(d), self.text(0)] },
            1..=3 => {
                let regex = pattern(self);
                let mut find = doc! { "input": self.text(d), "regex": regex };
                if self.one_in(4) {
                    find.insert("options", self.say(&["i", "m", "x", "s", "", "w"]));
                }
                doc! { self.say(&["$regexMatch", "$regexFind", "$regexFindAll"]): find }
            }
            4 => {
                let mut index = vec![self.text(d), self.text(0)];
                for _ in 0..self.below(3) {
                    index.push(self.small());
                }
                doc! { self.say(&["$indexOfCP", "$indexOfBytes"]): index }
            }
            5 => doc! { "$strcasecmp": [self.text(d), self.text(d)] },
            _ => doc! { self.say(&["$strLenCP", "$strLenBytes"]): self.text(d) },
        })
    }

    fn list(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(5) {
                0 => Self::literal(Bson::Array(values(self.r, 1))),
                1 => Bson::Array(vec![self.any(0), scalar_literal(self.r)]),
                _ => self.field(&["$l", "$k", "$l", "$k", "$l.b"]),
            };
        }
        let d = depth - 1;
        Bson::Document(match self.below(17) {
            0..=1 => {
                let mut slice = vec![self.list(d), self.small()];
                if self.one_in(2) {
                    slice.push(self.small());
                }
                doc! { "$slice": slice }
            }
            2 => doc! { "$concatArrays": [self.list(d), self.list(d)] },
            3..=4 => {
                doc! { "$map": { "input": self.list(d), "as": "e", "in": self.with("$$e", d) } }
            }
            5..=6 => {
                let mut filter = doc! { "input": self.list(d), "as": "e", "cond": { self.say(&["$gt", "$lte", "$ne"]): ["$$e", self.any(0)] } };
                if self.one_in(4) {
                    filter.insert("limit", self.small());
                }
                doc! { "$filter": filter }
            }
            7 => doc! { "$reverseArray": self.list(d) },
            8 => {
                let mut range = vec![self.small(), self.small()];
                if self.one_in(2) {
                    range.push(self.small());
                }
                doc! { "$range": range }
            }
            9..=10 => {
                let mut zip = doc! { "inputs": [self.list(d), self.list(d)] };
                if self.one_in(2) {
                    zip.insert("useLongestLength", true);
                    if self.one_in(2) {
                        zip.insert("defaults", vec![self.any(0), self.any(0)]);
                    }
                }
                doc! { "$zip": zip }
            }
            11..=12 => {
                let by = [
                    Bson::Int32(1),
                    Bson::Int32(-1),
                    Bson::Document(doc! { "b": 1 }),
                    Bson::Document(doc! { "b": -1, "c": 1 }),
                ];
                doc! { "$sortArray": { "input": self.list(d), "sortBy": self.r.pick(&by).clone() } }
            }
            13..=14 => {
                doc! { self.say(&["$firstN", "$lastN", "$minN", "$maxN"]): { "n": self.many(), "input": self.list(d) } }
            }
            15 => doc! { "$objectToArray": self.object(d) },
            _ => doc! { "$split": [self.text(d), { "$literal": self.say(STRINGS) }] },
        })
    }

    /// Also what is made of one.
    fn about_list(&mut self, depth: usize) -> Bson {
        if depth == 0 || self.one_in(2) {
            return self.list(depth);
        }
        let d = depth - 1;
        Bson::Document(match self.below(13) {
            0 => doc! { "$arrayElemAt": [self.list(d), self.small()] },
            1..=2 => {
                doc! { "$reduce": { "input": self.list(d), "initialValue": self.any(0), "in": self.reduction() } }
            }
            3 => doc! { "$in": [self.any(d), self.list(d)] },
            4 => {
                let mut index = vec![self.list(d), self.any(0)];
                for _ in 0..self.below(3) {
                    index.push(self.small());
                }
                doc! { "$indexOfArray": index }
            }
            5..=7 => {
                doc! { self.say(&["$setUnion", "$setIntersection", "$setDifference", "$setEquals", "$setIsSubset"]): [self.list(d), self.list(d)] }
            }
            8 => {
                doc! { self.say(&["$allElementsTrue", "$anyElementTrue"]): [self.list(d)] }
            }
            9..=10 => doc! { self.say(&["$first", "$last"]): self.list(d) },
            11 => doc! { "$isArray": [self.any(d)] },
            _ => doc! { "$arrayToObject": [[["x", self.any(d)], ["y", self.any(0)]]] },
        })
    }

    /// Something of a variable.
    fn with(&mut self, variable: &str, depth: usize) -> Bson {
        Bson::Document(match self.below(7) {
            0 => doc! { "$ifNull": [format!("{variable}.b"), self.any(0)] },
            1 => doc! { "$add": [variable, self.number(0)] },
            2 => doc! { "$eq": [variable, self.any(depth)] },
            3 => doc! { "v": variable, "o": self.any(0) },
            4 => doc! { "$type": variable },
            5 => {
                doc! { "$cond": [{ "$isNumber": variable }, { "$multiply": [variable, 2] }, variable] }
            }
            _ => doc! { "$concatArrays": [[variable], self.list(0)] },
        })
    }

    fn reduction(&mut self) -> Bson {
        Bson::Document(match self.below(5) {
            0 => doc! { "$ifNull": ["$$this", "$$value"] },
            1 => doc! { "$add": ["$$value", "$$this"] },
            2 => doc! { "$concatArrays": [["$$this"], ["$$value"]] },
            3 => doc! { "$cond": [{ "$gt": ["$$this", "$$value"] }, "$$this", "$$value"] },
            _ => doc! { "p": "$$value", "q": "$$this" },
        })
    }

    fn dates(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(6) {
                0 => date(*self.r.pick(DATES)),
                1 => Bson::ObjectId(bson::oid::ObjectId::from_bytes([1; 12])),
                _ => self.field(&["$d", "$e"]),
            };
        }
        let d = depth - 1;
        let zone = |maker: &mut Self, to: &mut Document| {
            if maker.one_in(3) {
                to.insert("timezone", maker.say(TIMEZONES));
            }
        };
        Bson::Document(match self.below(10) {
            0..=2 => {
                let mut add = doc! { "startDate": self.dates(d), "unit": self.say(UNITS), "amount": self.amount() };
                zone(self, &mut add);
                doc! { self.say(&["$dateAdd", "$dateSubtract"]): add }
            }
            3..=4 => {
                let mut trunc = doc! { "date": self.dates(d), "unit": self.say(UNITS) };
                zone(self, &mut trunc);
                if self.one_in(3) {
                    trunc.insert("binSize", self.small());
                }
                if self.one_in(4) {
                    trunc.insert("startOfWeek", self.say(&["monday", "Sun", "fri", "x"]));
                }
                doc! { "$dateTrunc": trunc }
            }
            5..=6 => {
                let mut parts = if self.one_in(4) {
                    doc! { "isoWeekYear": *self.r.pick(&[2020, 1969, 1]), "isoWeek": self.small(), "isoDayOfWeek": self.small() }
                } else {
                    doc! { "year": *self.r.pick(&[2020, 1969, 1, 9999, 0, 2019]) }
                };
                for name in ["month", "day", "hour", "minute", "second", "millisecond"] {
                    if self.one_in(3) {
                        let part = *self.r.pick(&[1, 2, 13, 0, -1, 31, 59, 60]);
                        parts.insert(name, part);
                    }
                }
                zone(self, &mut parts);
                doc! { "$dateFromParts": parts }
            }
            7..=8 => {
                let mut from = doc! { "dateString": self.say(DATE_TEXTS) };
                if self.one_in(3) {
                    from.insert("format", self.say(FORMATS));
                }
                zone(self, &mut from);
                if self.one_in(3) {
                    from.insert("onError", self.any(0));
                }
                if self.one_in(4) {
                    from.insert("dateString", self.any(0));
                    from.insert("onNull", self.any(0));
                }
                doc! { "$dateFromString": from }
            }
            _ => doc! { "$add": [self.dates(d), self.number(0)] },
        })
    }

    /// Also what is made of one.
    fn about_dates(&mut self, depth: usize) -> Bson {
        if depth == 0 || self.one_in(2) {
            return self.dates(depth);
        }
        let d = depth - 1;
        let zone = |maker: &mut Self, to: &mut Document| {
            if maker.one_in(3) {
                to.insert("timezone", maker.say(TIMEZONES));
            }
        };
        Bson::Document(match self.below(6) {
            0..=1 => {
                let part = self.say(&[
                    "$year",
                    "$month",
                    "$dayOfMonth",
                    "$hour",
                    "$minute",
                    "$second",
                    "$millisecond",
                    "$dayOfWeek",
                    "$dayOfYear",
                    "$week",
                    "$isoWeek",
                    "$isoWeekYear",
                    "$isoDayOfWeek",
                ]);
                if self.one_in(3) {
                    let mut of = doc! { "date": self.dates(d) };
                    zone(self, &mut of);
                    doc! { part: of }
                } else {
                    doc! { part: self.dates(d) }
                }
            }
            2..=3 => {
                let mut diff = doc! { "startDate": self.dates(d), "endDate": self.dates(d), "unit": self.say(UNITS) };
                zone(self, &mut diff);
                if self.one_in(4) {
                    diff.insert("startOfWeek", self.say(&["monday", "Sun", "fri", "x"]));
                }
                doc! { "$dateDiff": diff }
            }
            4 => {
                let mut parts = doc! { "date": self.dates(d) };
                zone(self, &mut parts);
                if self.one_in(3) {
                    parts.insert("iso8601", self.one_in(2));
                }
                doc! { "$dateToParts": parts }
            }
            _ => doc! { "$toDate": self.any(d) },
        })
    }

    fn amount(&mut self) -> Bson {
        match self.below(6) {
            0 => Bson::Int64(*self.r.pick(&[0, 1, -400, 100_000_000_000])),
            1 => self.field(&["$i"]),
            2 => Bson::Double(*self.r.pick(&[1.0, 1.5])),
            _ => Bson::Int32(*self.r.pick(&[1, -1, 13, 30, -25, 0])),
        }
    }

    fn flag(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(4) {
                0 => Bson::Boolean(self.one_in(2)),
                _ => self.field(&["$b", "$a", "$n"]),
            };
        }
        let d = depth - 1;
        Bson::Document(match self.below(8) {
            0..=3 => {
                doc! { self.say(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]): [self.any(d), self.any(d)] }
            }
            4 => doc! { self.say(&["$and", "$or"]): [self.flag(d), self.any(d)] },
            5 => doc! { "$not": [self.any(d)] },
            6 => doc! { "$toBool": self.any(d) },
            _ => doc! { self.say(&["$isNumber", "$isArray"]): self.any(d) },
        })
    }

    fn object(&mut self, depth: usize) -> Bson {
        if depth == 0 {
            return match self.below(4) {
                0 => Self::literal(Bson::Document(super::value::object(self.r, 1))),
                1 => Bson::Document(doc! { "x": self.any(0), "y": self.any(0) }),
                _ => self.field(&["$o", "$$ROOT", "$o"]),
            };
        }
        let d = depth - 1;
        Bson::Document(match self.below(9) {
            0..=1 => doc! { "$mergeObjects": [self.object(d), self.object(d)] },
            2 => doc! { "$getField": self.say(&["a", "s", "x.y", "o"]) },
            3 => {
                doc! { "$getField": { "field": self.say(&["b", "c", "$a"]), "input": self.object(d) } }
            }
            4..=5 => {
                doc! { "$setField": { "field": self.say(&["b", "x.y", "$a", "new"]), "input": self.object(d), "value": if self.one_in(4) { Bson::from("$$REMOVE") } else { self.any(d) } } }
            }
            6 => {
                doc! { "$unsetField": { "field": self.say(&["b", "c"]), "input": self.object(d) } }
            }
            7 => doc! { "$arrayToObject": { "$objectToArray": self.object(d) } },
            _ => doc! { "p": self.any(d), "q": { "r": self.any(0) } },
        })
    }
}

fn scalar_literal(r: &mut Random) -> Bson {
    Bson::Document(doc! { "$literal": scalar(r) })
}
