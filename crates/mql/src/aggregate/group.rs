//! `$group` and its accumulators.

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr};

use super::reshape::key;
use crate::compare_bson;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::matcher::malformed;
use crate::number::Sum;
use crate::order::into_raw;

/// A parsed `$group`.
#[derive(Debug, Clone)]
pub struct Group {
    id: Expression,
    fields: Vec<(String, Accumulator, Expression)>,
}

#[derive(Debug, Clone, Copy)]
enum Accumulator {
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
}

/// `{_id: {a: 1}}` is meant as a projection more often than as a constant.
fn not_inclusion(id: RawBsonRef<'_>) -> Result<()> {
    let fields = match id {
        RawBsonRef::Document(document) => document.iter().flatten(),
        _ => return Ok(()),
    };
    for (name, value) in fields {
        let flag = matches!(
            value,
            RawBsonRef::Boolean(_)
                | RawBsonRef::Int32(_)
                | RawBsonRef::Int64(_)
                | RawBsonRef::Double(_)
                | RawBsonRef::Decimal128(_)
        );
        if flag && !name.as_str().starts_with('$') {
            return Err(MqlError::new(
                17390,
                "$group does not support inclusion-style expressions",
            ));
        }
    }
    Ok(())
}

impl Group {
    pub(super) fn parse(specification: &RawDocument) -> Result<Self> {
        let mut id = None;
        let mut fields = Vec::new();
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            if name == "_id" {
                not_inclusion(value)?;
                id = Some(Expression::parse(value)?);
                continue;
            }
            let name = name.as_str();
            if name.contains('.') {
                return Err(MqlError::new(
                    40235,
                    format!("The field name '{name}' cannot contain '.'"),
                ));
            }
            let accumulator = match value {
                RawBsonRef::Document(document) => {
                    let mut entries = document.iter();
                    match (entries.next(), entries.next()) {
                        (Some(entry), None) => Some(entry.map_err(malformed)?),
                        _ => None,
                    }
                }
                _ => None,
            };
            let Some((operator, operand)) = accumulator else {
                return Err(MqlError::new(
                    40234,
                    format!("The field '{name}' must be an accumulator object"),
                ));
            };
            let accumulator = known(operator.as_str())?;
            let operand = match accumulator {
                Accumulator::Count => Expression::parse_bson(&Bson::Int32(1))?,
                _ => Expression::parse(operand)?,
            };
            fields.push((name.to_owned(), accumulator, operand));
        }
        let id =
            id.ok_or_else(|| MqlError::new(15955, "a group specification must include an _id"))?;
        Ok(Self { id, fields })
    }

    /// The group of `$sortByCount`.
    pub(super) fn counting(by: RawBsonRef<'_>) -> Result<Self> {
        Ok(Self {
            id: Expression::parse(by)?,
            fields: vec![(
                "count".to_owned(),
                Accumulator::Count,
                Expression::parse_bson(&Bson::Int32(1))?,
            )],
        })
    }
}

/// A `$group` under way: groups in the order in which they first appear.
pub(super) struct Grouping {
    group: Group,
    groups: Vec<(Bson, Vec<State>)>,
    index: HashMap<Vec<u8>, usize>,
    key: Vec<u8>,
}

impl Grouping {
    pub(super) fn new(group: Group) -> Self {
        Self {
            group,
            groups: Vec::new(),
            index: HashMap::new(),
            key: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, document: &RawDocument) -> Result<()> {
        let scope = Scope::of(document);
        let id = Found::of(&self.group.id, document, &scope)?;
        self.key.clear();
        id.encode(&mut self.key);
        let at = if let Some(at) = self.index.get(&self.key) {
            *at
        } else {
            let states = self.group.fields.iter().map(|(_, by, _)| State::new(*by));
            self.groups.push((id.value()?, states.collect()));
            let at = self.groups.len() - 1;
            self.index.insert(self.key.clone(), at);
            at
        };
        let Some((_, states)) = self.groups.get_mut(at) else {
            return Ok(());
        };
        for ((_, _, operand), state) in self.group.fields.iter().zip(states) {
            state.take(operand.evaluate(&scope)?)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> impl Iterator<Item = Result<RawDocumentBuf>> + use<> {
        let group = self.group.clone();
        self.index.clear();
        let groups = std::mem::take(&mut self.groups);
        groups.into_iter().map(move |(id, states)| {
            let mut made = RawDocumentBuf::new();
            made.append(cstr!("_id"), into_raw(id));
            for ((name, ..), state) in group.fields.iter().zip(states) {
                made.append(key(name)?, into_raw(state.finish()?));
            }
            crate::depth::check(&made)?;
            Ok(made)
        })
    }
}

/// A group's `_id`: raw where it is a field as it is.
enum Found<'a> {
    Raw(RawBsonRef<'a>),
    Made(Bson),
}

impl<'a> Found<'a> {
    fn of(id: &Expression, document: &'a RawDocument, scope: &Scope<'_>) -> Result<Self> {
        if let Some([name]) = id.path() {
            let found = document.get(name).map_err(malformed)?;
            return Ok(Self::Raw(found.unwrap_or(RawBsonRef::Null)));
        }
        Ok(Self::Made(id.evaluate(scope)?.unwrap_or(Bson::Null)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(value) => crate::key::encode(*value, out),
            Self::Made(value) => crate::key::encode_bson(value, out),
        }
    }

    fn value(self) -> Result<Bson> {
        match self {
            Self::Raw(value) => value.try_into().map_err(malformed),
            Self::Made(value) => Ok(value),
        }
    }
}

fn known(name: &str) -> Result<Accumulator> {
    Ok(match name {
        "$sum" => Accumulator::Sum,
        "$avg" => Accumulator::Avg,
        "$min" => Accumulator::Min,
        "$max" => Accumulator::Max,
        "$first" => Accumulator::First,
        "$last" => Accumulator::Last,
        "$push" => Accumulator::Push,
        "$addToSet" => Accumulator::AddToSet,
        "$count" => Accumulator::Count,
        "$mergeObjects" => Accumulator::MergeObjects,
        other => {
            return Err(MqlError::new(
                15952,
                format!("unknown group operator '{other}'"),
            ));
        }
    })
}

enum State {
    Sum(Sum),
    Avg(Sum),
    Extreme { greatest: bool, value: Option<Bson> },
    First(Option<Bson>),
    Last(Option<Bson>),
    Push(Vec<Bson>),
    Set(Vec<Bson>, std::collections::HashSet<Vec<u8>>),
    Merge(Document),
}

impl State {
    fn new(by: Accumulator) -> Self {
        match by {
            Accumulator::Sum | Accumulator::Count => Self::Sum(Sum::default()),
            Accumulator::Avg => Self::Avg(Sum::default()),
            Accumulator::Min => Self::Extreme {
                greatest: false,
                value: None,
            },
            Accumulator::Max => Self::Extreme {
                greatest: true,
                value: None,
            },
            Accumulator::First => Self::First(None),
            Accumulator::Last => Self::Last(None),
            Accumulator::Push => Self::Push(Vec::new()),
            Accumulator::AddToSet => Self::Set(Vec::new(), std::collections::HashSet::new()),
            Accumulator::MergeObjects => Self::Merge(Document::new()),
        }
    }

    fn take(&mut self, value: Option<Bson>) -> Result<()> {
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
                        let order = compare_bson(&value, kept);
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
            Self::Push(values) => values.extend(value),
            Self::Set(values, seen) => {
                if let Some(value) = value
                    && seen.insert(crate::key::of(&value))
                {
                    values.push(value);
                }
            }
            Self::Merge(merged) => match value {
                None | Some(Bson::Null | Bson::Undefined) => {}
                Some(Bson::Document(document)) => merged.extend(document),
                Some(_) => {
                    return Err(MqlError::new(40400, "$mergeObjects requires object inputs"));
                }
            },
        }
        Ok(())
    }

    fn finish(self) -> Result<Bson> {
        Ok(match self {
            Self::Sum(sum) => sum.total(),
            Self::Avg(sum) => sum.mean(),
            Self::Extreme { value, .. } | Self::First(value) | Self::Last(value) => {
                value.unwrap_or(Bson::Null)
            }
            Self::Push(values) | Self::Set(values, _) => Bson::Array(values),
            Self::Merge(document) => Bson::Document(document),
        })
    }
}
