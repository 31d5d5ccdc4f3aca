//! What a schema asks of numbers.

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson};

use super::Limits;
use crate::compare;

impl Limits {
    /// Tells `report` the code and text of every limit that a number breaks.
    pub(super) fn check(
        &self,
        value: RawBsonRef<'_>,
        report: &mut dyn FnMut(&'static str, String),
    ) {
        if let Some(step) = &self.multiple_of
            && !is_multiple(value, step)
        {
            report("multiple_of", format!("Must be a multiple of {step}"));
        }
        // NaN is neither more nor less than anything.
        let nan = |value: RawBsonRef<'_>| number(value).is_some_and(f64::is_nan);
        let keeps = |limit: &RawBson, side: Ordering, or_equal: bool| {
            let limit = limit.as_raw_bson_ref();
            let order = (nan(value) == nan(limit)).then(|| compare(value, limit));
            order == Some(side) || or_equal && order == Some(Ordering::Equal)
        };
        let limits = [
            ("number_lte", &self.maximum, Ordering::Less, true, "less"),
            ("number_lt", &self.below, Ordering::Less, false, "less"),
            (
                "number_gte",
                &self.minimum,
                Ordering::Greater,
                true,
                "greater",
            ),
            (
                "number_gt",
                &self.above,
                Ordering::Greater,
                false,
                "greater",
            ),
        ];
        for (code, limit, side, or_equal, word) in limits {
            let Some(limit) = limit else { continue };
            if !keeps(limit, side, or_equal) {
                let shown = Bson::try_from(limit.clone()).unwrap_or(Bson::Null);
                let equal = if or_equal { " or equal to" } else { "" };
                report(code, format!("Must be {word} than{equal} {shown}"));
            }
        }
    }
}

fn is_multiple(value: RawBsonRef<'_>, step: &Bson) -> bool {
    let whole = |value: &Bson| match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        _ => None,
    };
    let owned = Bson::try_from(value).unwrap_or(Bson::Null);
    match (whole(&owned), whole(step)) {
        (Some(n), Some(step)) => n.checked_rem(step).is_none_or(|rest| rest == 0),
        _ if matches!(owned, Bson::Decimal128(_)) || matches!(step, Bson::Decimal128(_)) => {
            let step = crate::number::decimal(step);
            crate::number::decimal(&owned).modulo(step).is_zero()
        }
        _ => match (number(value), crate::number::double(step)) {
            (Some(n), Some(step)) => n % step == 0.0,
            _ => false,
        },
    }
}

/// A number as a double; none for what is none.
pub(super) fn number(value: RawBsonRef<'_>) -> Option<f64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n as f64),
        RawBsonRef::Double(n) => Some(n),
        RawBsonRef::Decimal128(n) => Some(crate::decimal::to_double(n)),
        _ => None,
    }
}
