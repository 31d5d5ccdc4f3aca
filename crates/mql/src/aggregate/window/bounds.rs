//! Which documents around one a window has.

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{Bson, DateTime};

use super::partition::Partition;
use crate::aggregate::parse::shown;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Unit, moved, total};
use crate::matcher::malformed;
use crate::number::{decimal, is_number, whole_i32};
use crate::order::compare_bson_with;
use crate::type_name;

/// One end of a window, of places or of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound<T> {
    Unbounded,
    Current,
    By(T),
}

/// A parsed window.
#[derive(Debug, Clone)]
pub(super) enum Bounds {
    /// Places in the partition.
    Documents(Bound<i64>, Bound<i64>),
    /// Distances of the field that is sorted by.
    Range(Bound<Bson>, Bound<Bson>, Option<Unit>),
}

impl Bounds {
    /// The whole partition.
    pub(super) const ALL: Self = Self::Documents(Bound::Unbounded, Bound::Unbounded);

    /// Parses the value of `window`, for a sort by so many fields (`None` is no
    /// sort).
    ///
    /// # Errors
    /// 9 for what is no window, 5339900 when it ends before it begins, 5339901
    /// and 5339902 for a sort that does not go with it.
    pub(super) fn parse(window: RawBsonRef<'_>, sorted: Option<usize>) -> Result<Self> {
        let refused = |text: &str| Err(MqlError::failed_to_parse(text));
        let RawBsonRef::Document(window) = window else {
            return refused("'window' field must be an object");
        };
        let get = |name: &str| window.get(name).map_err(malformed);
        let (documents, range, unit) = (get("documents")?, get("range")?, get("unit")?);
        let fields = window.iter().count();
        match (documents, range) {
            (None, None) if unit.is_some() => {
                refused("Window bounds can only specify 'unit' with range-based bounds.")
            }
            (None, None) if fields == 0 => Ok(Self::ALL),
            (None, None) => refused(
                "'window' field can only contain 'documents' as the only argument or 'range' with an optional 'unit' field",
            ),
            (Some(_), Some(_)) => {
                refused("Window bounds can specify either 'documents' or 'unit', not both.")
            }
            (Some(_), None) if unit.is_some() => {
                refused("Window bounds can only specify 'unit' with range-based bounds.")
            }
            (Some(_), None) if fields > 1 => {
                refused("'window' field that specifies documents cannot have other fields")
            }
            (Some(documents), None) => Self::documents(documents, sorted),
            (None, Some(_)) if fields > 1 + usize::from(unit.is_some()) => refused(
                "'window' field that specifies range cannot have other fields besides 'unit'",
            ),
            (None, Some(range)) => Self::range(range, unit, sorted),
        }
    }

    fn documents(value: RawBsonRef<'_>, sorted: Option<usize>) -> Result<Self> {
        let place = |value: &Bson| {
            whole_i32(value).map(i64::from).ok_or_else(|| {
                MqlError::failed_to_parse("Numeric document-based bounds must be an integer")
            })
        };
        let (lower, upper) = pair("documents", value)?;
        let (lower, upper) = (lower.read(place)?, upper.read(place)?);
        if let (Some(low), Some(high)) = (lower.or(0), upper.or(0))
            && low > high
        {
            return Err(reversed(&low.to_string(), &high.to_string()));
        }
        let all = lower == Bound::Unbounded && upper == Bound::Unbounded;
        if sorted.is_none() && !all {
            return Err(MqlError::new(
                5_339_901,
                "Document-based bounds require a sortBy",
            ));
        }
        Ok(Self::Documents(lower, upper))
    }

    fn range(
        value: RawBsonRef<'_>,
        unit: Option<RawBsonRef<'_>>,
        sorted: Option<usize>,
    ) -> Result<Self> {
        let (lower, upper) = pair("range", value)?;
        let distance = |value: &Bson| match unit {
            // As a decimal, which has fewer digits than a double: one that has
            // more of them is not within a distance of 0 of itself.
            None if is_number(value) => Ok(Bson::Decimal128(decimal(value).into())),
            None => Err(MqlError::failed_to_parse(
                "Range-based bounds expression must be a number",
            )),
            Some(_) => whole_i32(value).map(Bson::Int32).ok_or_else(|| {
                MqlError::failed_to_parse("With 'unit', range-based bounds must be an integer")
            }),
        };
        let (lower, upper) = (lower.read(distance)?, upper.read(distance)?);
        let unit = match unit {
            None => None,
            Some(RawBsonRef::String(name)) => Some(unit_of(name)?),
            Some(_) => return Err(MqlError::failed_to_parse("'unit' must be a string")),
        };
        let zero = Bson::Int32(0);
        if let (Some(low), Some(high)) = (lower.or(zero.clone()), upper.or(zero))
            && compare_bson_with(&low, &high, None).is_gt()
        {
            return Err(reversed(&low.to_string(), &high.to_string()));
        }
        if sorted != Some(1) {
            return Err(MqlError::new(
                5_339_902,
                "Range-based bounds require sortBy a single field",
            ));
        }
        Ok(Self::Range(lower, upper, unit))
    }

    /// Whether nothing ever leaves the window.
    pub(super) fn only_grows(&self) -> bool {
        matches!(
            self,
            Self::Documents(Bound::Unbounded, _) | Self::Range(Bound::Unbounded, ..)
        )
    }

    /// Whether it always goes on to the end of the partition.
    pub(super) fn never_ends(&self) -> bool {
        matches!(
            self,
            Self::Documents(_, Bound::Unbounded) | Self::Range(_, Bound::Unbounded, _)
        )
    }

    /// Whether it depends on what the documents are sorted by.
    pub(super) fn reads_order(&self) -> bool {
        matches!(self, Self::Range(..))
    }
}

impl<T: Clone> Bound<T> {
    /// The number, where the current document counts as `zero`.
    fn or(&self, zero: T) -> Option<T> {
        match self {
            Self::Unbounded => None,
            Self::Current => Some(zero),
            Self::By(n) => Some(n.clone()),
        }
    }
}

impl Bound<Bson> {
    fn read<T>(&self, number: impl Fn(&Bson) -> Result<T>) -> Result<Bound<T>> {
        Ok(match self {
            Self::Unbounded => Bound::Unbounded,
            Self::Current => Bound::Current,
            Self::By(value) => Bound::By(number(value)?),
        })
    }
}

/// A unit by its name.
///
/// # Errors
/// 9 for none.
pub(in crate::aggregate) fn unit_of(name: &str) -> Result<Unit> {
    Unit::parse(name)
        .ok_or_else(|| MqlError::failed_to_parse(format!("unknown time unit value: {name}")))
}

fn reversed(low: &str, high: &str) -> MqlError {
    MqlError::new(
        5_339_900,
        format!("Lower bound must not exceed upper bound: [{low}, {high}]"),
    )
}

fn pair(name: &str, value: RawBsonRef<'_>) -> Result<(Bound<Bson>, Bound<Bson>)> {
    let wrong = || {
        MqlError::failed_to_parse(format!(
            "Window bounds must be a 2-element array: {name}: {}",
            shown(value)
        ))
    };
    let RawBsonRef::Array(array) = value else {
        return Err(wrong());
    };
    let mut bounds = array.into_iter();
    let (Some(lower), Some(upper), None) = (bounds.next(), bounds.next(), bounds.next()) else {
        return Err(wrong());
    };
    Ok((
        bound(lower.map_err(malformed)?)?,
        bound(upper.map_err(malformed)?)?,
    ))
}

fn bound(value: RawBsonRef<'_>) -> Result<Bound<Bson>> {
    match value {
        RawBsonRef::String("unbounded") => Ok(Bound::Unbounded),
        RawBsonRef::String("current") => Ok(Bound::Current),
        RawBsonRef::String(_) => Err(MqlError::failed_to_parse(
            "Window bounds must be 'unbounded', 'current', or a number.",
        )),
        value => match Expression::parse_open(value)?.constant() {
            Some(constant) => Ok(Bound::By(constant.clone())),
            None => Err(MqlError::failed_to_parse(
                "Window bounds expression must be a constant.",
            )),
        },
    }
}

/// A window that moves through a partition.
#[derive(Debug)]
pub(super) struct Frame {
    bounds: Bounds,
    collation: Option<Collation>,
    /// Where the last search for each end came to, as ends do not go back.
    lower: usize,
    upper: usize,
}

impl Frame {
    pub(super) fn new(bounds: Bounds, collation: Option<&Collation>) -> Self {
        Self {
            bounds,
            collation: collation.cloned(),
            lower: 0,
            upper: 0,
        }
    }

    /// The first and the last document in the window of the one at `at`.
    ///
    /// # Errors
    /// 5429404, 5429412, 5429413, 5429414 and 5429513 for what cannot be measured.
    pub(super) fn around(
        &mut self,
        partition: &Partition,
        at: usize,
    ) -> Result<Option<(usize, usize)>> {
        let last = partition.len().saturating_sub(1);
        let (lower, upper, unit) = match &self.bounds {
            Bounds::Documents(lower, upper) => {
                let at = at as i64;
                let lower = lower.or(0).map_or(0, |by| (at + by).max(0));
                let upper = upper.or(0).map_or(last as i64, |by| at + by);
                let upper = upper.min(last as i64);
                return Ok((lower <= upper).then_some((lower as usize, upper as usize)));
            }
            Bounds::Range(lower, upper, unit) => {
                let base = measured(partition, at, *unit)?;
                let end = |bound: &Bound<Bson>| match bound {
                    Bound::By(by) => plus(base, by, *unit).map(Bound::By),
                    Bound::Current => Ok(Bound::Current),
                    Bound::Unbounded => Ok(Bound::Unbounded),
                };
                (end(lower)?, end(upper)?, *unit)
            }
        };
        let order = |at: usize, value: &Bson| match partition.sorted_by(at) {
            Some(found) => compare_bson_with(found, value, self.collation.as_ref()),
            None => Ordering::Less,
        };
        let lower = match &lower {
            Bound::Unbounded => 0,
            Bound::Current => at,
            Bound::By(least) => {
                while self.lower <= last && order(self.lower, least).is_lt() {
                    self.lower += 1;
                }
                self.lower
            }
        };
        let upper = match &upper {
            Bound::Unbounded => {
                // What cannot be measured is beyond it.
                let start = at.max(lower).max(self.upper);
                let measured = (start..=last).take_while(|at| can_measure(partition, *at, unit));
                let end = start + measured.count();
                if lower <= last && end == at.max(lower) {
                    return Err(MqlError::new(
                        5_429_412,
                        "Failed to find the rightmost numeric document, while computing window bounds",
                    ));
                }
                self.upper = end;
                end
            }
            Bound::Current => at + 1,
            Bound::By(most) => {
                self.upper = self.upper.max(lower);
                while self.upper <= last && order(self.upper, most).is_le() {
                    self.upper += 1;
                }
                self.upper
            }
        };
        Ok((lower < upper).then(|| (lower, upper - 1)))
    }
}

/// Whether distances to the document at `at` can be measured.
fn can_measure(partition: &Partition, at: usize, unit: Option<Unit>) -> bool {
    partition
        .sorted_by(at)
        .is_some_and(|value| match (value, unit) {
            (Bson::DateTime(_), Some(_)) => true,
            (value, None) => is_number(value),
            _ => false,
        })
}

/// What the document at `at` is sorted by, if distances can be measured from it.
fn measured(partition: &Partition, at: usize, unit: Option<Unit>) -> Result<&Bson> {
    let refused = |code: i32, text: String| Err(MqlError::new(code, text));
    if partition.is_descending() {
        return refused(
            5_429_404,
            "Missing _sortExpr with range-based bounds".to_owned(),
        );
    }
    match (partition.sorted_by(at), unit) {
        (Some(date @ Bson::DateTime(_)), Some(_)) => Ok(date),
        (found, Some(_)) => refused(
            5_429_513,
            format!(
                "Invalid range: Expected the sortBy field to be a Date, but it was {}",
                kind_of(found)
            ),
        ),
        (Some(Bson::DateTime(_)), None) => refused(
            5_429_413,
            "Invalid range: For windows that involve date or time ranges, a unit must be provided."
                .to_owned(),
        ),
        (Some(number), None) if is_number(number) => Ok(number),
        (found, None) => refused(
            5_429_414,
            format!(
                "Invalid range: Expected the sortBy field to be a number, but it was {}",
                kind_of(found)
            ),
        ),
    }
}

/// The name of a value's type.
pub(super) fn kind_of(value: Option<&Bson>) -> &'static str {
    value.map_or("missing", |value| {
        type_name(crate::order::raw(value).as_raw_bson_ref())
    })
}

fn plus(base: &Bson, by: &Bson, unit: Option<Unit>) -> Result<Bson> {
    if let (Bson::DateTime(base), Bson::Int32(by), Some(unit)) = (base, by, unit) {
        let moment = moved(base.timestamp_millis(), unit, i64::from(*by))?;
        return Ok(Bson::DateTime(DateTime::from_millis(moment)));
    }
    Ok(total(base, by))
}
