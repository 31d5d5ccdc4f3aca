//! Window functions under way in a partition.

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson, RawDocumentBuf};

use super::bounds::Frame;
use super::function::Function;
use super::partition::Partition;
use super::series::{Area, Carried, Line, Moving, Slope};
use super::sliding::{Machine, Ordered, Sliding};
use super::sum::{Covariance, Deviation, Mean, Removable};
use crate::aggregate::accumulator::{Accumulator, State, What, how_many};
use crate::collation::Collation;
use crate::error::Result;
use crate::expression::{Expression, Scope};
use crate::order::{compare_bson_with, into_raw};

/// A function that gives its values one document after another.
pub(super) enum Running {
    DocumentNumber,
    /// Whether ranks are dense, the rank, and the place of the one before.
    Rank(bool, i64),
    Shift(Expression, i64, Option<Expression>),
    Edge(Expression, bool, Frame),
    Growing(Box<Growing>),
    Sliding(Box<Sliding>),
    Slope(Slope),
    Moving(Moving),
    Line(Line),
    Carried(Carried),
}

impl Running {
    /// Begins a partition; `decimal` is what [`Self::saw_decimal`] said in one
    /// before it.
    pub(super) fn start(
        function: &Function,
        collation: Option<&Collation>,
        decimal: bool,
    ) -> Result<Self> {
        let frame = |bounds| Frame::new(bounds, collation);
        let sliding = |frame, input: &Expression, machine| {
            let sliding = Sliding::new(frame, input.clone(), machine, collation);
            Self::Sliding(Box::new(sliding))
        };
        Ok(match function {
            Function::DocumentNumber => Self::DocumentNumber,
            Function::Rank => Self::Rank(false, 0),
            Function::DenseRank => Self::Rank(true, 0),
            Function::Shift(output, by, default) => {
                Self::Shift(output.clone(), *by, default.clone())
            }
            Function::Edge(input, last, bounds) => {
                Self::Edge(input.clone(), *last, frame(bounds.clone()))
            }
            Function::Accumulate(accumulator, bounds) if bounds.only_grows() => {
                Self::Growing(Box::new(Growing {
                    frame: frame(bounds.clone()),
                    accumulator: accumulator.clone(),
                    state: accumulator.start(&Bson::Null)?,
                    next: 0,
                    value: None,
                }))
            }
            Function::Accumulate(accumulator, bounds) => {
                let machine = machine(accumulator)?;
                let input = match &accumulator.operand {
                    Some(input) => input.clone(),
                    None => Expression::parse_open(RawBsonRef::Null)?,
                };
                sliding(frame(bounds.clone()), &input, machine)
            }
            Function::Covariance(input, sample, bounds) => sliding(
                frame(bounds.clone()),
                input,
                Machine::Covariance(Box::new(Covariance::new(*sample))),
            ),
            Function::Integral(input, unit, bounds) => sliding(
                frame(bounds.clone()),
                input,
                Machine::Area(Area::new(*unit)),
            ),
            Function::Derivative(input, unit, bounds) => Self::Slope(Slope {
                frame: frame(bounds.clone()),
                input: input.clone(),
                unit: *unit,
            }),
            Function::Moving(input, alpha) => {
                Self::Moving(Moving::new(input.clone(), *alpha, decimal))
            }
            Function::LinearFill(input) => Self::Line(Line::new(input.clone())),
            Function::Locf(input) => Self::Carried(Carried::new(input.clone())),
        })
    }

    /// Whether there was a decimal, where the type of what comes then depends
    /// on it.
    pub(super) fn saw_decimal(&self) -> bool {
        matches!(self, Self::Moving(moving) if moving.decimal)
    }

    /// The value for the document at `at`, which is the next one; `None` when
    /// it is missing.
    pub(super) fn next(
        &mut self,
        partition: &Partition,
        at: usize,
        collation: Option<&Collation>,
    ) -> Result<Option<RawBson>> {
        let value = match self {
            Self::DocumentNumber => Some(number(at as i64 + 1)),
            Self::Rank(dense, rank) => {
                let same = at > 0 && {
                    let (before, this) = (partition.sorted_by(at - 1), partition.sorted_by(at));
                    match (before, this) {
                        (Some(a), Some(b)) => compare_bson_with(a, b, collation).is_eq(),
                        (None, None) => true,
                        _ => false,
                    }
                };
                if !same {
                    *rank = if *dense { *rank + 1 } else { at as i64 + 1 };
                }
                Some(number(*rank))
            }
            Self::Shift(output, by, default) => {
                let there = usize::try_from(at as i64 + *by).ok();
                match (there.filter(|at| *at < partition.len()), default) {
                    (Some(at), _) => partition.evaluate(at, output)?,
                    (None, Some(default)) => {
                        default.evaluate(&Scope::of(&RawDocumentBuf::new()))?
                    }
                    (None, None) => Some(Bson::Null),
                }
            }
            Self::Edge(input, at_end, frame) => match frame.around(partition, at)? {
                Some((first, last)) => {
                    partition.evaluate(if *at_end { last } else { first }, input)?
                }
                None => Some(Bson::Null),
            },
            Self::Growing(growing) => return growing.next(partition, at).map(Some),
            Self::Sliding(sliding) => return sliding.next(partition, at).map(Some),
            Self::Slope(slope) => slope.next(partition, at)?,
            Self::Moving(moving) => moving.next(partition, at)?,
            Self::Line(line) => line.next(partition, at)?,
            Self::Carried(carried) => carried.next(partition, at)?,
        };
        Ok(value.map(into_raw))
    }
}

fn number(n: i64) -> Bson {
    i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32)
}

fn machine(accumulator: &Accumulator) -> Result<Machine> {
    let n = match &accumulator.n {
        Some(n) => how_many(n, &Bson::Null)?,
        None => 1,
    };
    let sort = || accumulator.sort.clone().unwrap_or_default();
    Ok(match accumulator.what {
        What::Avg => Machine::Mean(Mean::default()),
        What::StdDevPop => Machine::Deviation(Deviation::new(false)),
        What::StdDevSamp => Machine::Deviation(Deviation::new(true)),
        What::Min => Machine::Extreme(Ordered::default(), false),
        What::Max => Machine::Extreme(Ordered::default(), true),
        What::MinN => Machine::Extremes(Ordered::default(), false, n),
        What::MaxN => Machine::Extremes(Ordered::default(), true, n),
        What::Push => Machine::List,
        What::AddToSet => Machine::Set(Ordered::default()),
        What::First | What::FirstN => Machine::First(n),
        What::Last | What::LastN => Machine::Last(n),
        What::Top => Machine::Best(Ordered::default(), sort(), false, None),
        What::TopN => Machine::Best(Ordered::default(), sort(), false, Some(n)),
        What::Bottom => Machine::Best(Ordered::default(), sort(), true, None),
        What::BottomN => Machine::Best(Ordered::default(), sort(), true, Some(n)),
        // No others are window functions.
        What::Sum | What::Count | What::MergeObjects => Machine::Sum(Removable::default()),
    })
}

/// An accumulator of a window that nothing leaves.
pub(super) struct Growing {
    frame: Frame,
    accumulator: Accumulator,
    state: State,
    /// The first document that was not in a window yet.
    next: usize,
    value: Option<RawBson>,
}

impl Growing {
    fn next(&mut self, partition: &Partition, at: usize) -> Result<RawBson> {
        if let Some((_, last)) = self.frame.around(partition, at)? {
            while self.next <= last
                && let Some(document) = partition.get(self.next)
            {
                let scope = Scope::of(document);
                self.accumulator.take(&mut self.state, document, &scope)?;
                self.next += 1;
                self.value = None;
            }
        }
        let value = match self.value.take() {
            Some(value) => value,
            None => self.accumulator.current(&self.state)?,
        };
        Ok(self.value.insert(value).clone())
    }
}
