//! `$bucket`, which is a `$group`, and `$bucketAuto`.

use bson::raw::RawBsonRef;
use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr};

use super::accumulator::{Accumulator, State};
use super::environment::Environment;
use super::granularity::Granularity;
use super::group::{Group, field};
use super::parse::{kind, shown};
use super::reshape::key;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::order::{compare, compare_bson_with, into_raw, rank};

/// Parses a `$bucket` into the `$group` that it is; a sort by `_id` is to
/// follow.
pub(super) fn bucket(operand: RawBsonRef<'_>) -> Result<Group> {
    let refused = |code: i32, text: String| Err(MqlError::new(code, text));
    let RawBsonRef::Document(spec) = operand else {
        return refused(
            40201,
            format!(
                "Argument to $bucket stage must be an object, but found type: {}.",
                kind(operand)
            ),
        );
    };
    let (mut by, mut bounds, mut default) = (None, None, None);
    let mut fields = None;
    for entry in spec {
        let (name, value) = entry.map_err(malformed)?;
        match (name.as_str(), value) {
            ("groupBy", value) if is_computed(value) => by = Some(value),
            ("groupBy", value) => {
                return refused(
                    40202,
                    format!(
                        "The $bucket 'groupBy' field must be defined as a $-prefixed path or an expression, but found: {}.",
                        shown(value)
                    ),
                );
            }
            ("boundaries", RawBsonRef::Array(array)) => {
                let mut values = Vec::new();
                for value in array {
                    let value = value.map_err(malformed)?;
                    let Some(constant) = Expression::constant_of(value)? else {
                        return refused(
                            40191,
                            format!(
                                "The $bucket 'boundaries' field must be an array of constant values, but found value: {}.",
                                shown(value)
                            ),
                        );
                    };
                    values.push(into_raw(constant));
                }
                bounds = Some(boundaries(values)?);
            }
            ("boundaries", value) => {
                return refused(
                    40200,
                    format!(
                        "The $bucket 'boundaries' field must be an array, but found type: {}.",
                        kind(value)
                    ),
                );
            }
            ("default", value) => match Expression::constant_of(value)? {
                Some(constant) => default = Some(into_raw(constant)),
                None => {
                    return refused(
                        40195,
                        format!(
                            "The $bucket 'default' field must be a constant expression, but found: {}.",
                            shown(value)
                        ),
                    );
                }
            },
            ("output", RawBsonRef::Document(output)) => fields = Some(outputs(output)?),
            ("output", value) => {
                return refused(
                    40196,
                    format!(
                        "The $bucket 'output' field must be an object, but found type: {}.",
                        kind(value)
                    ),
                );
            }
            (other, _) => {
                return refused(40197, format!("Unrecognized option to $bucket: {other}."));
            }
        }
    }
    let (Some(by), Some(bounds)) = (by, bounds) else {
        return refused(
            40198,
            "$bucket requires 'groupBy' and 'boundaries' to be specified.".to_owned(),
        );
    };
    if let (Some(default), Some(low), Some(high)) = (&default, bounds.first(), bounds.last()) {
        let (default, low, high) = (
            default.as_raw_bson_ref(),
            low.as_raw_bson_ref(),
            high.as_raw_bson_ref(),
        );
        let within = compare(default, low).is_ge() && compare(default, high).is_lt();
        if rank(default) == rank(low) && within {
            return refused(
                40199,
                "The $bucket 'default' field must be less than the lowest boundary or greater than or equal to the highest boundary."
                    .to_owned(),
            );
        }
    }
    let id = choice(by, &bounds, default.as_ref());
    let id = Expression::parse_open(RawBsonRef::Document(&id))?;
    Ok(Group::of(id, fields.unwrap_or_else(counting)))
}

fn is_computed(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::String(text) => text.starts_with('$'),
        RawBsonRef::Document(document) => {
            let first = document.iter().next().and_then(std::result::Result::ok);
            first.is_some_and(|(name, _)| name.as_str().starts_with('$'))
        }
        _ => false,
    }
}

fn counting() -> Vec<(String, Accumulator)> {
    vec![("count".to_owned(), Accumulator::count())]
}

fn outputs(output: &RawDocument) -> Result<Vec<(String, Accumulator)>> {
    output
        .iter()
        .map(|entry| {
            let (name, value) = entry.map_err(malformed)?;
            field(name.as_str(), value)
        })
        .collect()
}

fn boundaries(values: Vec<RawBson>) -> Result<Vec<RawBson>> {
    if values.len() < 2 {
        return Err(MqlError::new(
            40192,
            format!(
                "The $bucket 'boundaries' field must have at least 2 values, but found {} value(s).",
                values.len()
            ),
        ));
    }
    for (at, pair) in values.windows(2).enumerate() {
        let (low, high) = (pair[0].as_raw_bson_ref(), pair[1].as_raw_bson_ref());
        if rank(low) != rank(high) {
            return Err(MqlError::new(
                40193,
                format!(
                    "All values in the the 'boundaries' option to $bucket must have the same type. Found conflicting types {} and {}.",
                    kind(low),
                    kind(high)
                ),
            ));
        }
        if compare(low, high).is_ge() {
            return Err(MqlError::new(
                40194,
                format!(
                    "The 'boundaries' option to $bucket must be sorted, but elements {at} and {} are not in ascending order ({} is not less than {}).",
                    at + 1,
                    shown(low),
                    shown(high)
                ),
            ));
        }
    }
    Ok(values)
}

/// The `$switch` that finds a value's bucket.
fn choice(by: RawBsonRef<'_>, bounds: &[RawBson], default: Option<&RawBson>) -> RawDocumentBuf {
    let literal = |value: &RawBson| {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("$literal"), value.as_raw_bson_ref());
        document
    };
    let mut branches = RawArrayBuf::new();
    for pair in bounds.windows(2) {
        let (mut low, mut high) = (RawArrayBuf::new(), RawArrayBuf::new());
        low.push(by);
        low.push(literal(&pair[0]));
        high.push(by);
        high.push(literal(&pair[1]));
        let (mut above, mut below) = (RawDocumentBuf::new(), RawDocumentBuf::new());
        above.append(cstr!("$gte"), low);
        below.append(cstr!("$lt"), high);
        let mut both = RawArrayBuf::new();
        both.push(above);
        both.push(below);
        let mut case = RawDocumentBuf::new();
        case.append(cstr!("$and"), both);
        let mut branch = RawDocumentBuf::new();
        branch.append(cstr!("case"), case);
        branch.append(cstr!("then"), literal(&pair[0]));
        branches.push(branch);
    }
    let mut switch = RawDocumentBuf::new();
    switch.append(cstr!("branches"), branches);
    if let Some(default) = default {
        switch.append(cstr!("default"), literal(default));
    }
    let mut id = RawDocumentBuf::new();
    id.append(cstr!("$switch"), switch);
    id
}

/// A parsed `$bucketAuto`.
#[derive(Debug, Clone)]
pub struct BucketAuto {
    by: Expression,
    buckets: usize,
    granularity: Option<Granularity>,
    fields: Vec<(String, Accumulator)>,
    collation: Option<Collation>,
}

impl BucketAuto {
    pub(super) fn parse(operand: RawBsonRef<'_>) -> Result<Self> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        let RawBsonRef::Document(spec) = operand else {
            return refused(
                40240,
                format!(
                    "The argument to $bucketAuto must be an object, but found type: {}",
                    kind(operand)
                ),
            );
        };
        let (mut by, mut buckets, mut granularity) = (None, None, None);
        let mut fields = Vec::new();
        for entry in spec {
            let (name, value) = entry.map_err(malformed)?;
            match (name.as_str(), value) {
                ("groupBy", value) if is_computed(value) => {
                    by = Some(Expression::parse_open(value)?);
                }
                ("groupBy", value) => {
                    return refused(
                        40239,
                        format!(
                            "The $bucketAuto 'groupBy' field must be defined as a $-prefixed path or an expression object, but found: {}",
                            shown(value)
                        ),
                    );
                }
                ("buckets", value) => buckets = Some(how_many(value)?),
                ("output", RawBsonRef::Document(output)) => fields = outputs(output)?,
                ("output", value) => {
                    return refused(
                        40244,
                        format!(
                            "The $bucketAuto 'output' field must be an object, but found type: {}",
                            kind(value)
                        ),
                    );
                }
                ("granularity", RawBsonRef::String(name)) => {
                    granularity = Some(Granularity::named(name)?);
                }
                ("granularity", value) => {
                    return refused(
                        40261,
                        format!(
                            "The $bucketAuto 'granularity' field must be a string, but found type: {}",
                            kind(value)
                        ),
                    );
                }
                (other, _) => {
                    return refused(
                        40245,
                        format!("Unrecognized option to $bucketAuto: {other}"),
                    );
                }
            }
        }
        let (Some(by), Some(buckets)) = (by, buckets) else {
            return refused(
                40246,
                "$bucketAuto requires 'groupBy' and 'buckets' to be specified".to_owned(),
            );
        };
        Ok(Self {
            by,
            buckets,
            granularity,
            fields: if fields.is_empty() {
                counting()
            } else {
                fields
            },
            collation: None,
        })
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
        for (_, accumulator) in &mut self.fields {
            accumulator.collate(collation);
        }
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        self.by.bind(variables)?;
        self.fields
            .iter_mut()
            .try_for_each(|(_, accumulator)| accumulator.bind(variables))
    }
}

fn how_many(value: RawBsonRef<'_>) -> Result<usize> {
    let refused = |code: i32, text: String| Err(MqlError::new(code, text));
    let n = match value {
        RawBsonRef::Int32(n) => f64::from(n),
        RawBsonRef::Int64(n) => n as f64,
        RawBsonRef::Double(n) => n,
        RawBsonRef::Decimal128(n) => crate::decimal::to_double(n),
        other => {
            return refused(
                40241,
                format!(
                    "The $bucketAuto 'buckets' field must be a numeric value, but found type: {}",
                    kind(other)
                ),
            );
        }
    };
    if n.trunc() != n || n.abs() > f64::from(i32::MAX) {
        return refused(
            40242,
            format!(
                "The $bucketAuto 'buckets' field must be representable as a 32-bit integer, but found {}",
                shown(value)
            ),
        );
    }
    if n <= 0.0 {
        return refused(
            40243,
            format!("The $bucketAuto 'buckets' field must be greater than 0, but found: {n}"),
        );
    }
    Ok(n as usize)
}

/// A `$bucketAuto` under way.
pub(super) struct Bucketing {
    stage: BucketAuto,
    documents: Vec<(Bson, RawDocumentBuf)>,
    bytes: usize,
}

impl Bucketing {
    pub(super) fn new(stage: BucketAuto) -> Self {
        Self {
            stage,
            documents: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn take(&mut self, env: &Environment<'_>, document: &RawDocument) -> Result<()> {
        let value = self.stage.by.evaluate(&Scope::of(document))?;
        let value = value.unwrap_or(Bson::Null);
        if self.stage.granularity.is_some() {
            Granularity::check(&value)?;
        }
        self.bytes += document.as_bytes().len() + 64;
        env.check("$bucketAuto", self.bytes)?;
        self.documents.push((value, document.to_owned()));
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<Vec<RawDocumentBuf>> {
        let mut documents = std::mem::take(&mut self.documents);
        let stage = &self.stage;
        let order = |a: &Bson, b: &Bson| compare_bson_with(a, b, stage.collation.as_ref());
        documents.sort_by(|a, b| order(&a.0, &b.0));
        let size = (documents.len() as f64 / stage.buckets as f64).round() as usize;
        let size = size.max(1);
        let mut made = Vec::new();
        let mut rest = documents.into_iter().peekable();
        let mut low = match (rest.peek(), &stage.granularity) {
            (Some((first, _)), Some(granularity)) => granularity.down(first)?,
            (Some((first, _)), None) => first.clone(),
            (None, _) => return Ok(made),
        };
        while rest.peek().is_some() && made.len() < stage.buckets {
            let mut states: Vec<State> = stage
                .fields
                .iter()
                .map(|(_, accumulator)| accumulator.start(&Bson::Null))
                .collect::<Result<_>>()?;
            let last = made.len() + 1 == stage.buckets;
            let mut count = 0;
            let mut high = Bson::Null;
            let mut boundary = None;
            while let Some((value, _)) = rest.peek() {
                if count >= size && !last {
                    // What is equal to the boundary is on this side of it.
                    let limit = match (&stage.granularity, &boundary) {
                        (None, _) => None,
                        (Some(_), Some(limit)) => Some(limit),
                        (Some(granularity), None) => {
                            boundary = Some(granularity.up(&high)?);
                            boundary.as_ref()
                        }
                    };
                    let within = match limit {
                        Some(limit) => order(value, limit).is_lt(),
                        None => order(value, &high).is_eq(),
                    };
                    if !within {
                        break;
                    }
                }
                let Some((value, document)) = rest.next() else {
                    break;
                };
                let scope = Scope::of(&document);
                for ((_, accumulator), state) in stage.fields.iter().zip(&mut states) {
                    accumulator.take(state, &document, &scope)?;
                }
                high = value;
                count += 1;
            }
            let zero = crate::number::double(&high) == Some(0.0);
            let max = match (&stage.granularity, rest.peek()) {
                (None, Some((next, _))) => next.clone(),
                (None, None) => high,
                (Some(granularity), Some((next, _))) if zero => granularity.down(next)?,
                (Some(granularity), _) => granularity.up(&high)?,
            };
            let mut id = RawDocumentBuf::new();
            id.append(cstr!("min"), into_raw(low));
            id.append(cstr!("max"), into_raw(max.clone()));
            low = max;
            let mut document = RawDocumentBuf::new();
            document.append(cstr!("_id"), id);
            for ((name, accumulator), state) in stage.fields.iter().zip(states) {
                document.append(key(name)?, accumulator.finish(state)?);
            }
            made.push(document);
        }
        Ok(made)
    }
}
