//! Functions of windows that documents come into and leave again, in order.

use std::collections::{BTreeMap, VecDeque};

use bson::{Bson, RawBson};

use super::bounds::Frame;
use super::partition::Partition;
use super::series::Area;
use super::sum::{Covariance, Deviation, Mean, Removable};
use crate::aggregate::flat::Flat;
use crate::collation::Collation;
use crate::error::Result;
use crate::expression::Expression;
use crate::order::{into_raw, raw};

/// What is computed of a window.
pub(super) enum Machine {
    Sum(Removable),
    Mean(Mean),
    Deviation(Deviation),
    Covariance(Box<Covariance>),
    Area(Area),
    /// `$min`, or `$max`.
    Extreme(Ordered, bool),
    /// `$minN`, or `$maxN`.
    Extremes(Ordered, bool, usize),
    Set(Ordered),
    List,
    /// `$firstN`.
    First(usize),
    /// `$lastN`.
    Last(usize),
    /// `$top` and `$topN`, or `$bottom` and `$bottomN`: whether from the end,
    /// and how many, if it is a list.
    Best(Ordered, Flat, bool, Option<usize>),
}

/// What is known of a document that is in a window.
struct Held {
    key: Vec<u8>,
    /// Where it is not kept by its key.
    value: Option<Bson>,
}

/// Values in order, equal ones as they came.
#[derive(Default)]
pub(super) struct Ordered(BTreeMap<Vec<u8>, VecDeque<Bson>>);

impl Ordered {
    fn add(&mut self, key: &[u8], value: Bson) {
        match self.0.get_mut(key) {
            Some(equal) => equal.push_back(value),
            None => drop(self.0.insert(key.to_vec(), VecDeque::from([value]))),
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(equal) = self.0.get_mut(key) {
            equal.pop_front();
            if equal.is_empty() {
                self.0.remove(key);
            }
        }
    }

    fn values(&self) -> impl DoubleEndedIterator<Item = &Bson> {
        self.0.values().flatten()
    }
}

/// A machine with the window that it is at.
pub(super) struct Sliding {
    frame: Frame,
    input: Expression,
    collation: Option<Collation>,
    machine: Machine,
    held: VecDeque<Held>,
    /// The first and the last document that are in it.
    range: Option<(usize, usize)>,
}

impl Sliding {
    pub(super) fn new(
        frame: Frame,
        input: Expression,
        machine: Machine,
        collation: Option<&Collation>,
    ) -> Self {
        Self {
            frame,
            input,
            collation: collation.cloned(),
            machine,
            held: VecDeque::new(),
            range: None,
        }
    }

    /// The value for the document at `at`, which is the next one.
    pub(super) fn next(&mut self, partition: &Partition, at: usize) -> Result<RawBson> {
        let range = self.frame.around(partition, at)?;
        let (first, last) = range.unwrap_or((usize::MAX, 0));
        let entering = match self.range {
            Some((_, before)) => first.max(before + 1),
            None => first,
        };
        if range.is_some() {
            for at in entering..=last {
                self.enter(partition, at)?;
            }
        }
        if let Some((before, until)) = self.range {
            for _ in before..first.min(until + 1) {
                self.leave()?;
            }
        }
        self.range = range;
        self.value()
    }

    fn enter(&mut self, partition: &Partition, at: usize) -> Result<()> {
        let mut value = partition.evaluate(at, &self.input)?;
        let mut key = Vec::new();
        match &mut self.machine {
            Machine::Sum(sum) => value.iter().for_each(|value| sum.add(value)),
            Machine::Mean(mean) => value.iter().for_each(|value| mean.add(value)),
            Machine::Deviation(deviation) => value.iter().for_each(|value| deviation.add(value)),
            Machine::Covariance(covariance) => {
                value.iter().try_for_each(|value| covariance.add(value))?;
            }
            Machine::Area(area) => area.add(partition.sorted_by(at), value.as_ref())?,
            Machine::Extreme(ordered, _) | Machine::Extremes(ordered, ..) => {
                if let Some(value) = value.take().filter(|value| !is_null(value)) {
                    key = key_of(&value, self.collation.as_ref());
                    ordered.add(&key, value);
                }
            }
            Machine::Set(ordered) => {
                if let Some(value) = value.take() {
                    key = key_of(&value, self.collation.as_ref());
                    ordered.add(&key, value);
                }
            }
            Machine::Best(ordered, sort, ..) => {
                if let Some(document) = partition.get(at) {
                    sort.key(document, &mut key)?;
                }
                ordered.add(&key, value.take().unwrap_or(Bson::Null));
            }
            Machine::List | Machine::First(_) | Machine::Last(_) => {}
        }
        self.held.push_back(Held { key, value });
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        let Some(Held { key, value }) = self.held.pop_front() else {
            return Ok(());
        };
        match &mut self.machine {
            Machine::Sum(sum) => value.iter().for_each(|value| sum.remove(value)),
            Machine::Mean(mean) => value.iter().for_each(|value| mean.remove(value)),
            Machine::Deviation(deviation) => value.iter().for_each(|value| deviation.remove(value)),
            Machine::Covariance(covariance) => {
                value
                    .iter()
                    .try_for_each(|value| covariance.remove(value))?;
            }
            Machine::Area(area) => area.remove()?,
            Machine::Extreme(ordered, _)
            | Machine::Extremes(ordered, ..)
            | Machine::Set(ordered)
            | Machine::Best(ordered, ..) => ordered.remove(&key),
            Machine::List | Machine::First(_) | Machine::Last(_) => {}
        }
        Ok(())
    }

    fn value(&mut self) -> Result<RawBson> {
        let or_null = |held: &Held| held.value.clone().unwrap_or(Bson::Null);
        let value = match &mut self.machine {
            Machine::Sum(sum) => sum.value(),
            Machine::Mean(mean) => mean.value(),
            Machine::Deviation(deviation) => deviation.value(),
            Machine::Covariance(covariance) => covariance.value()?,
            Machine::Area(area) => area.value()?,
            Machine::Extreme(ordered, greatest) => {
                let mut values = ordered.values();
                let found = if *greatest {
                    values.next_back()
                } else {
                    values.next()
                };
                found.cloned().unwrap_or(Bson::Null)
            }
            Machine::Extremes(ordered, false, n) => {
                Bson::Array(ordered.values().take(*n).cloned().collect())
            }
            Machine::Extremes(ordered, true, n) => {
                Bson::Array(ordered.values().rev().take(*n).cloned().collect())
            }
            Machine::Set(ordered) => {
                let firsts = ordered.0.values().filter_map(VecDeque::front);
                Bson::Array(firsts.cloned().collect())
            }
            Machine::List => {
                let values = self.held.iter().filter_map(|held| held.value.clone());
                Bson::Array(values.collect())
            }
            Machine::First(n) => Bson::Array(self.held.iter().take(*n).map(or_null).collect()),
            Machine::Last(n) => {
                let over = self.held.len().saturating_sub(*n);
                Bson::Array(self.held.iter().skip(over).map(or_null).collect())
            }
            Machine::Best(ordered, _, from_end, None) => {
                let mut values = ordered.values();
                let found = if *from_end {
                    values.next_back()
                } else {
                    values.next()
                };
                found.cloned().unwrap_or(Bson::Null)
            }
            Machine::Best(ordered, _, false, Some(n)) => {
                Bson::Array(ordered.values().take(*n).cloned().collect())
            }
            Machine::Best(ordered, _, true, Some(n)) => {
                let mut values: Vec<Bson> = ordered.values().rev().take(*n).cloned().collect();
                values.reverse();
                Bson::Array(values)
            }
        };
        Ok(into_raw(value))
    }
}

fn is_null(value: &Bson) -> bool {
    matches!(value, Bson::Null | Bson::Undefined)
}

fn key_of(value: &Bson, collation: Option<&Collation>) -> Vec<u8> {
    let mut key = Vec::new();
    crate::key::encode_with(raw(value).as_raw_bson_ref(), collation, &mut key);
    key
}
