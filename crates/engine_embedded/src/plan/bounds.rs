//! Intervals of index keys, and the intervals that a test allows.

use bson::raw::{RawBson, RawBsonRef};
use bson::{Bson, DateTime, RawDocumentBuf, Timestamp, oid::ObjectId};
use mql::matcher::{Compare, Test, TypeTest};
use mql::regex::Regex;
use mql::{Collation, key, order};

use crate::layout::past;
use crate::text::value_shown;

/// What is shown of one end of an interval.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) value: RawBson,
    pub(crate) included: bool,
}

/// An interval of the keys of one field in ascending order.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub(crate) low: End,
    pub(crate) high: End,
    /// The first key inside.
    start: Vec<u8>,
    /// The first key past it.
    end: Vec<u8>,
}

/// The intervals that documents which match have a key in.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// In ascending order, apart from each other.
    pub(crate) intervals: Vec<Interval>,
    /// Whether every document with a key inside matches.
    pub(crate) exact: bool,
}

/// The key of undefined; an empty array's key is the next.
const UNDEFINED: u8 = 3;
/// Past every key.
const LAST: u8 = 0xff;

fn encoded(value: &RawBson, collation: Option<&Collation>) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    key::encode_with(value.as_raw_bson_ref(), collation, &mut key);
    key
}

impl Interval {
    /// Every key.
    fn all() -> Self {
        Self::between(RawBson::MinKey, RawBson::MaxKey, (vec![0], vec![LAST]))
    }

    fn between(low: RawBson, high: RawBson, keys: (Vec<u8>, Vec<u8>)) -> Self {
        let end = |value| End {
            value,
            included: true,
        };
        Self {
            low: end(low),
            high: end(high),
            start: keys.0,
            end: keys.1,
        }
    }

    fn point(value: &RawBson, collation: Option<&Collation>) -> Self {
        if *value == RawBson::Undefined {
            let keys = (vec![UNDEFINED], vec![UNDEFINED + 2]);
            return Self::between(value.clone(), value.clone(), keys);
        }
        let own = encoded(value, collation);
        let end = past(&own);
        Self::between(value.clone(), value.clone(), (own, end))
    }

    /// Whether it is one value, and all that is in it begins with its key.
    pub(crate) fn is_point(&self) -> bool {
        let shown = self.low.value == self.high.value && self.low.included && self.high.included;
        shown && past(&self.start) == self.end
    }

    pub(crate) fn is_all(&self) -> bool {
        self.start == [0] && self.end == [LAST]
    }

    fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    fn both(&self, other: &Self) -> Option<Self> {
        let (low, start) = if self.start >= other.start {
            (&self.low, &self.start)
        } else {
            (&other.low, &other.start)
        };
        let (high, end) = if self.end <= other.end {
            (&self.high, &self.end)
        } else {
            (&other.high, &other.end)
        };
        let both = Self {
            low: low.clone(),
            high: high.clone(),
            start: start.clone(),
            end: end.clone(),
        };
        (!both.is_empty()).then_some(both)
    }

    /// The range of full keys that begin with `prefix` and have this field next.
    pub(crate) fn range(&self, prefix: &[u8], descending: bool) -> (Vec<u8>, Vec<u8>) {
        let join = |part: &[u8]| [prefix, part].concat();
        if !descending {
            return (join(&self.start), join(&self.end));
        }
        let inverted = |part: &[u8]| part.iter().map(|byte| !byte).collect::<Vec<u8>>();
        (
            past(&join(&inverted(&self.end))),
            past(&join(&inverted(&self.start))),
        )
    }

    /// As explain shows it, from its end where the index goes backwards.
    pub(crate) fn shown(&self, backwards: bool) -> String {
        let value = |end: &End| {
            Bson::try_from(end.value.clone()).map_or_else(|_| "?".to_owned(), |v| value_shown(&v))
        };
        let (first, last) = if backwards {
            (&self.high, &self.low)
        } else {
            (&self.low, &self.high)
        };
        format!(
            "{}{}, {}{}",
            if first.included { '[' } else { '(' },
            value(first),
            value(last),
            if last.included { ']' } else { ')' }
        )
    }

    /// The key of a point, behind `prefix`.
    pub(crate) fn key(&self, prefix: &[u8], descending: bool) -> Vec<u8> {
        let mut key = [prefix, &self.start].concat();
        if descending {
            key::invert(&mut key, prefix.len());
        }
        key
    }
}

impl Bounds {
    /// Every key.
    pub(crate) fn all() -> Self {
        Self {
            intervals: vec![Interval::all()],
            exact: false,
        }
    }

    pub(crate) fn is_all(&self) -> bool {
        matches!(self.intervals.as_slice(), [one] if one.is_all())
    }

    /// Whether it is single values, each of which has one key.
    pub(crate) fn are_points(&self) -> bool {
        !self.intervals.is_empty()
            && self.intervals.iter().all(|interval| {
                // Undefined stands for the empty array too.
                interval.is_point() && interval.low.value != RawBson::Undefined
            })
    }

    /// How much it leaves out: points before ranges before everything.
    pub(crate) fn rank(&self) -> (bool, bool, usize) {
        (self.is_all(), !self.are_points(), self.intervals.len())
    }

    fn of(mut intervals: Vec<Interval>, exact: bool) -> Self {
        intervals.retain(|interval| !interval.is_empty());
        intervals.sort_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match merged.last_mut() {
                Some(last) if interval.start < last.end => {
                    if interval.end > last.end {
                        last.end = interval.end;
                        last.high = interval.high;
                    }
                }
                _ => merged.push(interval),
            }
        }
        Self {
            intervals: merged,
            exact,
        }
    }

    /// What both allow.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut intervals = Vec::new();
        let (mut mine, mut theirs) = (self.intervals.iter(), other.intervals.iter());
        let (mut a, mut b) = (mine.next(), theirs.next());
        while let (Some(x), Some(y)) = (a, b) {
            intervals.extend(x.both(y));
            if x.end <= y.end {
                a = mine.next();
            } else {
                b = theirs.next();
            }
        }
        Self {
            intervals,
            exact: self.exact && other.exact,
        }
    }
}

/// An index's collation, and whether a query has the same.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a> {
    pub(crate) collation: Option<&'a Collation>,
    pub(crate) same: bool,
}

impl Strings<'_> {
    /// Whether the value's order is the index's.
    fn has(&self, value: &RawBson) -> bool {
        self.same
            || !matches!(
                value.as_raw_bson_ref(),
                RawBsonRef::String(_)
                    | RawBsonRef::Symbol(_)
                    | RawBsonRef::Document(_)
                    | RawBsonRef::Array(_)
            )
    }
}

/// The intervals in which a document that passes the test has a key; `None`
/// where the test says nothing about that.
pub(crate) fn bounds(test: &Test, strings: Strings<'_>) -> Option<Bounds> {
    Some(match test {
        Test::Compare(Compare::Eq, value) => {
            let (intervals, exact) = equal(value, strings)?;
            Bounds::of(intervals, exact)
        }
        Test::Compare(compare, value) => range(*compare, value, strings)?,
        Test::In(values, regexes) => {
            let (mut all, mut exact) = (Vec::with_capacity(values.len()), regexes.is_empty());
            for value in values {
                let (intervals, alone) = equal(value, strings)?;
                all.extend(intervals);
                exact &= alone;
            }
            for regex in regexes {
                all.extend(pattern(regex, strings)?);
            }
            Bounds::of(all, exact)
        }
        Test::Exists => Bounds::all(),
        Test::Not(test) if matches!(**test, Test::Exists) => Bounds::of(null(strings), false),
        Test::Type(types) => {
            let found: Option<Vec<Vec<Interval>>> =
                types.iter().map(|kind| of_type(*kind)).collect();
            Bounds::of(found?.concat(), false)
        }
        Test::Mod(..) => Bounds::of(vec![bracket(&RawBson::Int32(0))?], false),
        Test::Regex(regex) => Bounds::of(pattern(regex, strings)?, false),
        Test::All(_)
        | Test::ElementMatches(_)
        | Test::ElementPasses(_)
        | Test::Size(_)
        | Test::Bits { .. }
        | Test::Not(_) => return None,
    })
}

/// Whether a document without the field fails the test.
pub(crate) fn needs_field(test: &Test) -> bool {
    let is_value = |value: &RawBson| {
        !matches!(
            value,
            RawBson::Null | RawBson::Undefined | RawBson::MinKey | RawBson::MaxKey
        )
    };
    match test {
        Test::Compare(_, value) => is_value(value),
        Test::In(values, _) => values.iter().all(is_value),
        Test::All(tests) => tests.iter().any(needs_field),
        Test::ElementPasses(_)
        | Test::Exists
        | Test::Type(_)
        | Test::Size(_)
        | Test::Mod(..)
        | Test::Regex(_)
        | Test::Bits { .. } => true,
        Test::ElementMatches(_) | Test::Not(_) => false,
    }
}

fn null(strings: Strings<'_>) -> Vec<Interval> {
    // Missing is null; a stored undefined equals null as well.
    vec![
        Interval::point(&RawBson::Undefined, strings.collation),
        Interval::point(&RawBson::Null, strings.collation),
    ]
}

fn equal(value: &RawBson, strings: Strings<'_>) -> Option<(Vec<Interval>, bool)> {
    if !strings.has(value) {
        return None;
    }
    let point = |value: &RawBson| Interval::point(value, strings.collation);
    Some(match value.as_raw_bson_ref() {
        RawBsonRef::Null | RawBsonRef::Undefined => (null(strings), false),
        RawBsonRef::Array(array) => {
            // An array has the keys of its elements; inside of another it is one.
            let first = match array.into_iter().next() {
                Some(first) => RawBson::from(first.ok()?),
                None => RawBson::Undefined,
            };
            (vec![point(&first), point(value)], false)
        }
        RawBsonRef::RegularExpression(_) | RawBsonRef::MinKey | RawBsonRef::MaxKey => {
            (vec![point(value)], false)
        }
        _ => (vec![point(value)], true),
    })
}

fn range(compare: Compare, value: &RawBson, strings: Strings<'_>) -> Option<Bounds> {
    if !strings.has(value) {
        return None;
    }
    match value.as_raw_bson_ref() {
        // Compared as wholes, which keys are not made of.
        RawBsonRef::Array(_) | RawBsonRef::MinKey | RawBsonRef::MaxKey => {
            return Some(Bounds::all());
        }
        RawBsonRef::Null | RawBsonRef::Undefined => {
            return Some(Bounds::of(null(strings), false));
        }
        _ => {}
    }
    let mut interval = bracket(value)?;
    let own = encoded(value, strings.collation);
    if own == encoded(&RawBson::Double(f64::NAN), None) {
        // What is no number compares with itself alone.
        let exact = matches!(compare, Compare::Gte | Compare::Lte);
        let point = Interval::point(value, strings.collation);
        return Some(Bounds::of(vec![point], exact));
    }
    let end = End {
        value: value.clone(),
        included: matches!(compare, Compare::Gte | Compare::Lte),
    };
    match compare {
        Compare::Eq => return None,
        Compare::Gt => interval.start = past(&own),
        Compare::Gte => interval.start = own,
        Compare::Lt => interval.end = own,
        Compare::Lte => interval.end = past(&own),
    }
    if matches!(compare, Compare::Gt | Compare::Gte) {
        interval.low = end;
    } else {
        interval.high = end;
    }
    Some(Bounds::of(vec![interval], true))
}

/// Every key of a value's type, other than NaN.
fn bracket(value: &RawBson) -> Option<Interval> {
    let (start, end) = key::bracket(value.as_raw_bson_ref());
    let empty = || RawBson::Document(RawDocumentBuf::new());
    let array = || RawBson::Array(bson::RawArrayBuf::new());
    let text = || RawBson::String(String::new());
    let (low, high, last) = match value.as_raw_bson_ref() {
        RawBsonRef::Int32(_)
        | RawBsonRef::Int64(_)
        | RawBsonRef::Double(_)
        | RawBsonRef::Decimal128(_) => {
            let low = RawBson::Double(f64::NEG_INFINITY);
            let start = encoded(&low, None);
            let keys = (start, end);
            return Some(Interval::between(low, RawBson::Double(f64::INFINITY), keys));
        }
        RawBsonRef::String(_) | RawBsonRef::Symbol(_) => (text(), empty(), false),
        RawBsonRef::Document(_) => (empty(), array(), false),
        RawBsonRef::ObjectId(_) => (
            RawBson::ObjectId(ObjectId::from_bytes([0; 12])),
            RawBson::ObjectId(ObjectId::from_bytes([0xff; 12])),
            true,
        ),
        RawBsonRef::Boolean(_) => (RawBson::Boolean(false), RawBson::Boolean(true), true),
        RawBsonRef::DateTime(_) => (
            RawBson::DateTime(DateTime::MIN),
            RawBson::DateTime(DateTime::MAX),
            true,
        ),
        RawBsonRef::Timestamp(_) => {
            let at = |part| Timestamp {
                time: part,
                increment: part,
            };
            let ends = (at(0), at(u32::MAX));
            (RawBson::Timestamp(ends.0), RawBson::Timestamp(ends.1), true)
        }
        // What is shown is the least value of all; the keys are the type's.
        _ => (RawBson::MinKey, RawBson::MaxKey, false),
    };
    let mut interval = Interval::between(low, high, (start, end));
    interval.high.included = last;
    Some(interval)
}

fn of_type(kind: TypeTest) -> Option<Vec<Interval>> {
    let number = match kind {
        TypeTest::Number => return nan_and(&RawBson::Int32(0)),
        TypeTest::Is(number) => number,
    };
    let of = |value: RawBson| bracket(&value).map(|interval| vec![interval]);
    match number {
        1 | 16 | 18 | 19 => nan_and(&RawBson::Int32(0)),
        2 | 14 => of(RawBson::String(String::new())),
        3 => of(RawBson::Document(RawDocumentBuf::new())),
        6 => Some(vec![Interval::point(&RawBson::Undefined, None)]),
        7 => of(RawBson::ObjectId(ObjectId::from_bytes([0; 12]))),
        8 => of(RawBson::Boolean(true)),
        9 => of(RawBson::DateTime(DateTime::MIN)),
        10 => Some(vec![Interval::point(&RawBson::Null, None)]),
        // An array has no key of its own, and the rest is rare.
        _ => None,
    }
}

fn nan_and(value: &RawBson) -> Option<Vec<Interval>> {
    let mut interval = bracket(value)?;
    interval.start = vec![order::rank(value.as_raw_bson_ref()) + 2];
    interval.low.value = RawBson::Double(f64::NAN);
    Some(vec![interval])
}

fn pattern(regex: &Regex, strings: Strings<'_>) -> Option<Vec<Interval>> {
    // Keys of a collation say nothing of what a pattern matches.
    if strings.collation.is_some() {
        return None;
    }
    let own = RawBson::RegularExpression(bson::Regex {
        pattern: regex.pattern.as_str().try_into().ok()?,
        options: regex.options.as_str().try_into().ok()?,
    });
    let mut interval = bracket(&RawBson::String(String::new()))?;
    let prefix = prefix(regex);
    if !prefix.is_empty() {
        let mut start = encoded(&RawBson::String(prefix.clone()), None);
        // Without the end of the string.
        start.truncate(start.len().saturating_sub(2));
        interval.end = past(&start);
        interval.start = start;
        let mut next = prefix.clone();
        let last = next.pop().and_then(|last| char::from_u32(last as u32 + 1));
        next.extend(last);
        interval.low.value = RawBson::String(prefix);
        interval.high.value = RawBson::String(next);
    }
    Some(vec![interval, Interval::point(&own, None)])
}

/// The text that every match of an anchored pattern begins with.
fn prefix(regex: &Regex) -> String {
    let mut prefix = String::new();
    if !matches!(regex.options.as_str(), "" | "s") || regex.pattern.contains('|') {
        return prefix;
    }
    let Some(rest) = regex.pattern.strip_prefix('^') else {
        return prefix;
    };
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '\\' => match letters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => escaped,
                _ => break,
            },
            '.' | '[' | '(' | ')' | '*' | '+' | '?' | '{' | '}' | '^' | '$' => break,
            other => other,
        };
        match letters.peek() {
            // The last letter need not be there.
            Some('*' | '?' | '{') => break,
            Some('+') => {
                prefix.push(literal);
                break;
            }
            _ => prefix.push(literal),
        }
    }
    prefix
}
