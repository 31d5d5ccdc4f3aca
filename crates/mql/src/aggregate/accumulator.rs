//! Accumulators of `$group`, `$bucket` and `$bucketAuto`.

use std::collections::{HashSet, VecDeque};

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument};

use super::flat::Flat;
use super::parse::{kind, shown};
use crate::Sort;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::number::{self, Sum, TWO_63};
use crate::order::{compare_bson_with, into_raw, raw};

/// Most bytes that one `$push` or `$addToSet` holds.
const BYTES_MAX: usize = 100 * 1024 * 1024;

/// A parsed accumulator.
#[derive(Debug, Clone)]
pub(super) struct Accumulator {
    pub(super) what: What,
    pub(super) operand: Option<Expression>,
    /// How many values are kept; computed on the group's `_id`.
    pub(super) n: Option<Expression>,
    pub(super) sort: Option<Flat>,
    pub(super) collation: Option<Collation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Sum,
    Avg,
    Min,
    Max,
    First,
    Last,
    Push,
    AddToSet,
    Count,
    MergeObjects,
    StdDevPop,
    StdDevSamp,
    FirstN,
    LastN,
    MinN,
    MaxN,
    Top,
    Bottom,
    TopN,
    BottomN,
}

impl What {
    /// The accumulator of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "$sum" => Self::Sum,
            "$avg" => Self::Avg,
            "$min" => Self::Min,
            "$max" => Self::Max,
            "$first" => Self::First,
            "$last" => Self::Last,
            "$push" => Self::Push,
            "$addToSet" => Self::AddToSet,
            "$count" => Self::Count,
            "$mergeObjects" => Self::MergeObjects,
            "$stdDevPop" => Self::StdDevPop,
            "$stdDevSamp" => Self::StdDevSamp,
            "$firstN" => Self::FirstN,
            "$lastN" => Self::LastN,
            "$minN" => Self::MinN,
            "$maxN" => Self::MaxN,
            "$top" => Self::Top,
            "$bottom" => Self::Bottom,
            "$topN" => Self::TopN,
            "$bottomN" => Self::BottomN,
            _ => return None,
        })
    }

    /// Whether its arguments have names.
    fn is_named(self) -> bool {
        matches!(
            self,
            Self::FirstN
                | Self::LastN
                | Self::MinN
                | Self::MaxN
                | Self::Top
                | Self::Bottom
                | Self::TopN
                | Self::BottomN
        )
    }
}

impl Accumulator {
    /// The one that counts documents.
    pub(super) fn count() -> Self {
        Self {
            what: What::Count,
            operand: None,
            n: None,
            sort: None,
            collation: None,
        }
    }

    /// Parses `{$name: operand}`, the value of the output field `field`.
    pub(super) fn parse(field: &str, value: RawBsonRef<'_>) -> Result<Self> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        let no_object = || {
            refused(
                40234,
                format!("The field '{field}' must be an accumulator object"),
            )
        };
        let RawBsonRef::Document(document) = value else {
            return no_object();
        };
        let mut entries = document.iter();
        let Some(first) = entries.next() else {
            return no_object();
        };
        let (name, operand) = first.map_err(malformed)?;
        let name = name.as_str();
        if !name.starts_with('$') {
            return no_object();
        }
        if entries.next().is_some() {
            return refused(
                40238,
                format!("The field '{field}' must specify one accumulator"),
            );
        }
        let Some(what) = What::named(name) else {
            return match name {
                "$accumulator" => refused(
                    115,
                    "the accumulator $accumulator is not supported by this engine".to_owned(),
                ),
                other => refused(15952, format!("unknown group operator '{other}'")),
            };
        };
        if matches!(operand, RawBsonRef::Array(_)) {
            return refused(40237, format!("The {name} accumulator is a unary operator"));
        }
        match what {
            What::Count => {
                if !matches!(operand, RawBsonRef::Document(d) if d.is_empty()) {
                    return refused(14, "$count takes no arguments, i.e. $count:{}".to_owned());
                }
                Ok(Self::count())
            }
            _ if what.is_named() => Self::of_named(what, name, operand),
            _ => Ok(Self::of(what, Expression::parse_open(operand)?)),
        }
    }

    /// The one that takes a single value.
    pub(super) fn of(what: What, operand: Expression) -> Self {
        Self {
            what,
            operand: Some(operand),
            n: None,
            sort: None,
            collation: None,
        }
    }

    /// Parses the operand of one whose arguments have names.
    pub(super) fn of_named(what: What, name: &str, operand: RawBsonRef<'_>) -> Result<Self> {
        match what {
            What::FirstN | What::LastN | What::MinN | What::MaxN => several(what, name, operand),
            _ => sorted(what, name, operand),
        }
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        for expression in self.operand.iter_mut().chain(&mut self.n) {
            expression.bind(variables)?;
        }
        Ok(())
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
        if let Some(sort) = &mut self.sort {
            sort.collate(collation);
        }
    }

    /// Begins a group with this `_id`.
    pub(super) fn start(&self, id: &Bson) -> Result<State> {
        let n = match &self.n {
            Some(n) => how_many(n, id)?,
            None => 1,
        };
        Ok(match self.what {
            What::Sum => State::Sum(Sum::default()),
            What::Count => State::Count(0),
            What::Avg => State::Avg(Sum::default()),
            What::Min => State::Extreme {
                greatest: false,
                value: None,
            },
            What::Max => State::Extreme {
                greatest: true,
                value: None,
            },
            What::First => State::First(None),
            What::Last => State::Last(None),
            What::Push => State::Push(RawArrayBuf::new(), 0),
            What::AddToSet => State::Set(RawArrayBuf::new(), HashSet::new(), 0),
            What::MergeObjects => State::Merge(Document::new()),
            What::StdDevPop | What::StdDevSamp => State::Deviation(Deviation {
                sample: self.what == What::StdDevSamp,
                ..Deviation::default()
            }),
            What::FirstN => State::FirstN(n, Vec::new()),
            What::LastN => State::LastN(n, VecDeque::new()),
            What::MinN | What::Top | What::TopN => State::Best(Best::new(n, true)),
            What::MaxN | What::Bottom | What::BottomN => State::Best(Best::new(n, false)),
        })
    }

    /// Takes a document into a group; how many bytes that holds more.
    pub(super) fn take(
        &self,
        state: &mut State,
        document: &RawDocument,
        scope: &Scope<'_>,
    ) -> Result<usize> {
        if let State::Count(n) = state {
            *n += 1;
            return Ok(0);
        }
        if let (State::Sum(sum) | State::Avg(sum), Some(operand)) = (&mut *state, &self.operand) {
            if let Some(found) = operand.peek(document)? {
                if let Some(value) = found {
                    sum.add_raw(value);
                }
                return Ok(0);
            }
            if let Some(constant) = operand.constant() {
                sum.add(constant);
                return Ok(0);
            }
        }
        let value = match &self.operand {
            Some(operand) => operand.evaluate(scope)?,
            None => None,
        };
        if let State::Best(best) = state {
            let mut key = Vec::new();
            match &self.sort {
                Some(sort) => sort.key(document, &mut key)?,
                None => match &value {
                    None | Some(Bson::Null | Bson::Undefined) => return Ok(0),
                    Some(value) => crate::key::encode_with(
                        raw(value).as_raw_bson_ref(),
                        self.collation.as_ref(),
                        &mut key,
                    ),
                },
            }
            return Ok(best.take(key, value.unwrap_or(Bson::Null)));
        }
        state.take(value, self.collation.as_ref())
    }

    /// What a group has come to so far.
    pub(super) fn current(&self, state: &State) -> Result<RawBson> {
        match state {
            State::Push(values, _) | State::Set(values, ..) => Ok(RawBson::Array(values.clone())),
            other => self.finish(other.clone()),
        }
    }

    /// What a group has come to.
    pub(super) fn finish(&self, state: State) -> Result<RawBson> {
        let single = matches!(self.what, What::Top | What::Bottom);
        Ok(match state {
            State::Sum(sum) => into_raw(sum.total()),
            State::Count(n) => i32::try_from(n).map_or(RawBson::Int64(n), RawBson::Int32),
            State::Avg(sum) => into_raw(sum.mean()),
            State::Extreme { value, .. } | State::First(value) | State::Last(value) => {
                into_raw(value.unwrap_or(Bson::Null))
            }
            State::Push(values, _) | State::Set(values, ..) => RawBson::Array(values),
            State::Merge(document) => into_raw(Bson::Document(document)),
            State::Deviation(deviation) => deviation.finish(),
            State::FirstN(_, values) => into_raw(Bson::Array(values)),
            State::LastN(_, values) => into_raw(Bson::Array(values.into())),
            State::Best(best) => {
                let mut values = best.finish();
                // The greatest come first, but by a sort they stay sorted.
                if self.what == What::MaxN {
                    values.reverse();
                }
                if single {
                    into_raw(values.pop().unwrap_or(Bson::Null))
                } else {
                    into_raw(Bson::Array(values))
                }
            }
        })
    }
}

/// `{input, n}`.
fn several(what: What, name: &str, operand: RawBsonRef<'_>) -> Result<Accumulator> {
    let RawBsonRef::Document(spec) = operand else {
        let code = match what {
            What::FirstN | What::LastN => 5_787_801,
            _ => 5_787_900,
        };
        return Err(MqlError::new(
            code,
            format!(
                "specification must be an object; found {name}: {}",
                shown(operand)
            ),
        ));
    };
    let (mut n, mut input) = (None, None);
    for entry in spec {
        let (option, value) = entry.map_err(malformed)?;
        match option.as_str() {
            "n" => n = Some(Expression::parse_open(value)?),
            "input" => input = Some(Expression::parse_open(value)?),
            other => {
                return Err(MqlError::new(
                    5_787_901,
                    format!("Unknown argument for 'n' operator: {other}"),
                ));
            }
        }
    }
    let missing =
        |code: i32, what: &str| MqlError::new(code, format!("Missing value for '{what}'"));
    Ok(Accumulator {
        what,
        n: Some(n.ok_or_else(|| missing(5_787_906, "n"))?),
        operand: Some(input.ok_or_else(|| missing(5_787_907, "input"))?),
        sort: None,
        collation: None,
    })
}

/// `{output, sortBy}`, and `n` for some.
fn sorted(what: What, name: &str, operand: RawBsonRef<'_>) -> Result<Accumulator> {
    let RawBsonRef::Document(spec) = operand else {
        return Err(MqlError::new(
            5_788_001,
            format!(
                "specification must be an object; found {name}: {}",
                shown(operand)
            ),
        ));
    };
    let several = matches!(what, What::TopN | What::BottomN);
    let (mut n, mut output, mut sort) = (None, None, None);
    for entry in spec {
        let (option, value) = entry.map_err(malformed)?;
        match (option.as_str(), value) {
            ("n", value) if several => n = Some(Expression::parse_open(value)?),
            ("output", value) => output = Some(Expression::parse_open(value)?),
            ("sortBy", RawBsonRef::Document(by)) => sort = Some(Flat::of(&Sort::parse(by)?)?),
            // It is read as the object that it is made like.
            ("sortBy", RawBsonRef::Array(by)) => {
                let by = RawDocument::from_bytes(by.as_bytes()).map_err(malformed)?;
                sort = Some(Flat::of(&Sort::parse(by)?)?);
            }
            ("sortBy", _) => {
                return Err(MqlError::new(
                    10065,
                    "invalid parameter: expected an object (sortBy)",
                ));
            }
            (other, _) => {
                return Err(MqlError::new(
                    5_788_002,
                    format!("Unknown argument to {name} '{other}'"),
                ));
            }
        }
    }
    let missing =
        |code: i32, what: &str| MqlError::new(code, format!("Missing value for '{what}'"));
    if several && n.is_none() {
        return Err(missing(5_788_003, "n"));
    }
    Ok(Accumulator {
        what,
        n,
        operand: Some(output.ok_or_else(|| missing(5_788_004, "output"))?),
        sort: Some(sort.ok_or_else(|| missing(5_788_005, "sortBy"))?),
        collation: None,
    })
}

/// The `n` of a group, which sees the `_id` if that is a document.
pub(super) fn how_many(n: &Expression, id: &Bson) -> Result<usize> {
    let root = match into_raw(id.clone()) {
        RawBson::Document(document) => document,
        _ => bson::RawDocumentBuf::new(),
    };
    let value = n.evaluate(&Scope::of(&root))?;
    let raw = value.clone().map(into_raw);
    let text = raw
        .as_ref()
        .map_or_else(|| "MISSING".to_owned(), |v| shown(v.as_raw_bson_ref()));
    let wrong = |code: i32| {
        MqlError::new(
            code,
            format!("Value for 'n' must be of integral type, but found {text}"),
        )
    };
    let value = value
        .filter(number::is_number)
        .ok_or_else(|| wrong(5_787_902))?;
    let n = number::whole(&value).or_else(|| {
        let n = number::double(&value)?;
        number::whole_double(n).filter(|_| matches!(value, Bson::Decimal128(_)))
    });
    let n = n.ok_or_else(|| match value {
        Bson::Double(n) if !(-TWO_63..TWO_63).contains(&n) => MqlError::new(
            31109,
            format!("Can't coerce out of range value {text} to long"),
        ),
        _ => wrong(5_787_903),
    })?;
    if n <= 0 {
        return Err(MqlError::new(
            5_787_908,
            format!("'n' must be greater than 0, found {n}"),
        ));
    }
    Ok(n as usize)
}

/// A group's accumulator under way.
#[derive(Clone)]
pub(super) enum State {
    Sum(Sum),
    Count(i64),
    Avg(Sum),
    Extreme { greatest: bool, value: Option<Bson> },
    First(Option<Bson>),
    Last(Option<Bson>),
    Push(RawArrayBuf, usize),
    Set(RawArrayBuf, HashSet<Vec<u8>>, usize),
    Merge(Document),
    Deviation(Deviation),
    FirstN(usize, Vec<Bson>),
    LastN(usize, VecDeque<Bson>),
    Best(Best),
}

impl State {
    fn take(&mut self, value: Option<Bson>, collation: Option<&Collation>) -> Result<usize> {
        match self {
            Self::Sum(sum) | Self::Avg(sum) => {
                if let Some(value) = value {
                    sum.add(&value);
                }
            }
            Self::Extreme {
                greatest,
                value: kept,
            } => {
                if let Some(value) = value.filter(|v| !matches!(v, Bson::Null | Bson::Undefined)) {
                    let better = kept.as_ref().is_none_or(|kept| {
                        let order = compare_bson_with(&value, kept, collation);
                        if *greatest {
                            order.is_gt()
                        } else {
                            order.is_lt()
                        }
                    });
                    if better {
                        *kept = Some(value);
                    }
                }
            }
            Self::First(kept) => {
                kept.get_or_insert(value.unwrap_or(Bson::Null));
            }
            Self::Last(kept) => *kept = Some(value.unwrap_or(Bson::Null)),
            Self::Push(values, held) => {
                if let Some(value) = value {
                    return push("$push", values, held, value);
                }
            }
            Self::Set(values, seen, held) => {
                if let Some(value) = value {
                    let mut key = Vec::new();
                    crate::key::encode_with(raw(&value).as_raw_bson_ref(), collation, &mut key);
                    let length = key.len();
                    if seen.insert(key) {
                        return Ok(length + push("$addToSet", values, held, value)?);
                    }
                }
            }
            Self::Merge(merged) => match value {
                None | Some(Bson::Null | Bson::Undefined) => {}
                Some(Bson::Document(document)) => merged.extend(document),
                Some(other) => {
                    return Err(MqlError::new(
                        5_911_200,
                        format!(
                            "$mergeObjects only supports objects, not {}",
                            kind(into_raw(other).as_raw_bson_ref())
                        ),
                    ));
                }
            },
            Self::Deviation(deviation) => {
                if let Some(n) = value.as_ref().and_then(number::double) {
                    deviation.take(n);
                }
            }
            Self::FirstN(n, values) => {
                if values.len() < *n {
                    values.push(value.unwrap_or(Bson::Null));
                    return Ok(WEIGHT);
                }
            }
            Self::LastN(n, values) => {
                values.push_back(value.unwrap_or(Bson::Null));
                if values.len() > *n {
                    values.pop_front();
                } else {
                    return Ok(WEIGHT);
                }
            }
            Self::Count(_) | Self::Best(_) => {}
        }
        Ok(0)
    }
}

/// What a kept value weighs, about.
const WEIGHT: usize = 64;

fn push(name: &str, values: &mut RawArrayBuf, held: &mut usize, value: Bson) -> Result<usize> {
    let before = values.as_bytes().len();
    values.push(into_raw(value));
    let grown = values.as_bytes().len() - before;
    *held += grown;
    if *held > BYTES_MAX {
        return Err(MqlError::new(
            146,
            format!(
                "{name} used too much memory and cannot spill to disk. Memory limit: {BYTES_MAX} bytes"
            ),
        ));
    }
    Ok(grown)
}

/// Mean and squared distance from it, one value at a time.
#[derive(Clone, Default)]
pub(super) struct Deviation {
    sample: bool,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Deviation {
    fn take(&mut self, n: f64) {
        self.count += 1.0;
        let delta = n - self.mean;
        if delta != 0.0 {
            self.mean += delta / self.count;
            self.squares += delta * (n - self.mean);
        }
    }

    fn finish(&self) -> RawBson {
        let count = self.count - if self.sample { 1.0 } else { 0.0 };
        if count <= 0.0 {
            RawBson::Null
        } else {
            RawBson::Double((self.squares / count).sqrt())
        }
    }
}

/// The first or the last few by a key, in its order.
#[derive(Clone)]
pub(super) struct Best {
    most: usize,
    first: bool,
    kept: VecDeque<(Vec<u8>, Bson)>,
}

impl Best {
    fn new(most: usize, first: bool) -> Self {
        Self {
            most,
            first,
            kept: VecDeque::new(),
        }
    }

    fn take(&mut self, key: Vec<u8>, value: Bson) -> usize {
        let at = self.kept.partition_point(|(kept, _)| *kept <= key);
        if self.kept.len() < self.most {
            self.kept.insert(at, (key, value));
            return WEIGHT;
        }
        if self.first {
            if at < self.kept.len() {
                self.kept.insert(at, (key, value));
                self.kept.pop_back();
            }
        } else if self.kept.front().is_some_and(|(least, _)| *least < key) {
            self.kept.insert(at, (key, value));
            self.kept.pop_front();
        }
        0
    }

    fn finish(self) -> Vec<Bson> {
        self.kept.into_iter().map(|(_, value)| value).collect()
    }
}
