//! Sums, means, deviations and covariances that terms can be taken out of.
//! The steps are MongoDB's, as rounding depends on them.

use bson::Bson;

use crate::decimal::{Decimal, Rounding, to_double};
use crate::error::Result;
use crate::expression::{difference, product, quotient, total};
use crate::number::{Doubles, Sum, double, is_number};

/// A sum whose type is the widest among the terms that are still there.
#[derive(Debug, Clone, Default)]
pub(super) struct Removable {
    /// Of what is finite.
    sum: Sum,
    nans: i64,
    plus: i64,
    minus: i64,
    doubles: i64,
    decimals: i64,
}

impl Removable {
    pub(super) fn add(&mut self, value: &Bson) {
        if self.count(value, 1) {
            self.sum.add(value);
        }
    }

    pub(super) fn remove(&mut self, value: &Bson) {
        if self.count(value, -1) {
            self.sum.remove(value);
        }
    }

    /// Whether it is a number to add.
    fn count(&mut self, value: &Bson, by: i64) -> bool {
        match value {
            Bson::Double(_) => self.doubles += by,
            Bson::Decimal128(_) => self.decimals += by,
            _ => return is_number(value),
        }
        let n = double(value).unwrap_or(f64::NAN);
        if is_finite(value) {
            return true;
        }
        if n.is_nan() {
            self.nans += by;
        } else if n > 0.0 {
            self.plus += by;
        } else {
            self.minus += by;
        }
        false
    }

    pub(super) fn value(&self) -> Bson {
        let special = if self.nans > 0 || (self.plus > 0 && self.minus > 0) {
            Some(f64::NAN)
        } else if self.plus > 0 {
            Some(f64::INFINITY)
        } else if self.minus > 0 {
            Some(f64::NEG_INFINITY)
        } else {
            None
        };
        if let Some(special) = special {
            return if self.decimals > 0 {
                Bson::Decimal128(Decimal::of_f64(special).into())
            } else {
                Bson::Double(special)
            };
        }
        let whole = |n: i64| i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32);
        // What is left of those that were taken out is narrowed to what is there.
        match self.sum.total() {
            Bson::Decimal128(n) if self.decimals == 0 => {
                let rounded = Decimal::from(n).to_i64(Rounding::HalfEven);
                match rounded.filter(|_| self.doubles <= 0) {
                    Some(n) => whole(n),
                    None => Bson::Double(to_double(n)),
                }
            }
            Bson::Double(n) if self.doubles == 0 && n.abs() < i64::MAX as f64 => {
                whole(n.round() as i64)
            }
            Bson::Int64(n) => whole(n),
            other => other,
        }
    }
}

/// Whether a number is one that can be calculated with.
pub(super) fn is_finite(value: &Bson) -> bool {
    match value {
        Bson::Double(n) => n.is_finite(),
        Bson::Decimal128(n) => matches!(Decimal::from(*n), Decimal::Finite(_)),
        _ => true,
    }
}

/// A mean.
#[derive(Debug, Default)]
pub(super) struct Mean {
    sum: Removable,
    count: i64,
}

impl Mean {
    pub(super) fn add(&mut self, value: &Bson) {
        if is_number(value) {
            self.sum.add(value);
            self.count += 1;
        }
    }

    pub(super) fn remove(&mut self, value: &Bson) {
        if is_number(value) {
            self.sum.remove(value);
            self.count -= 1;
        }
    }

    pub(super) fn value(&self) -> Bson {
        if self.count == 0 {
            return Bson::Null;
        }
        match self.sum.value() {
            Bson::Decimal128(n) => Bson::Decimal128(
                Decimal::from(n)
                    .divide(Decimal::from(i128::from(self.count)))
                    .into(),
            ),
            other => Bson::Double(double(&other).unwrap_or(f64::NAN) / self.count as f64),
        }
    }
}

/// A standard deviation.
#[derive(Debug, Default)]
pub(super) struct Deviation {
    sample: bool,
    /// The first number is in it in its type, the others as doubles.
    sum: Sum,
    squares: Doubles,
    count: i64,
    special: i64,
}

impl Deviation {
    pub(super) fn new(sample: bool) -> Self {
        Self {
            sample,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, value: &Bson) {
        self.change(value, 1);
    }

    pub(super) fn remove(&mut self, value: &Bson) {
        self.change(value, -1);
    }

    fn change(&mut self, value: &Bson, by: i64) {
        let Some(n) = double(value) else {
            return;
        };
        if !is_finite(value) {
            self.special += by;
            self.count += by;
            return;
        }
        if self.count == 0 {
            self.count += 1;
            self.sum.add(value);
        } else if self.count + by == 0 {
            self.count = 0;
            self.sum = Sum::default();
            self.squares = Doubles::default();
        } else {
            let sum = double(&self.sum.total()).unwrap_or(f64::NAN);
            let apart = self.count as f64 * n - sum;
            self.count += by;
            self.sum.add(&Bson::Double(n * by as f64));
            let pairs = (self.count * (self.count - by)) as f64;
            self.squares.add(apart * apart * by as f64 / pairs);
        }
    }

    pub(super) fn value(&mut self) -> Bson {
        let count = self.count - i64::from(self.sample);
        if self.special > 0 || count == 0 {
            return Bson::Null;
        }
        let squares = self.squares.value();
        if squares < 0.0 || (!self.sample && count == 1) {
            // What rounding left.
            self.squares = Doubles::default();
            return Bson::Int32(0);
        }
        Bson::Double((squares / count as f64).sqrt())
    }
}

/// A covariance of pairs of numbers.
#[derive(Debug, Default)]
pub(super) struct Covariance {
    sample: bool,
    x: Removable,
    y: Removable,
    products: Removable,
    count: i64,
}

impl Covariance {
    pub(super) fn new(sample: bool) -> Self {
        Self {
            sample,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, value: &Bson) -> Result<()> {
        let Some((x, y)) = pair(value) else {
            return Ok(());
        };
        if let Some(special) = special(x, y) {
            self.products.add(&special);
            return Ok(());
        }
        if self.count == 0 {
            self.count = 1;
            self.x.add(x);
            self.y.add(y);
            return Ok(());
        }
        let apart_x = difference(x, &mean(&self.x, self.count)?)?;
        self.count += 1;
        self.x.add(x);
        self.y.add(y);
        let apart_y = difference(y, &mean(&self.y, self.count)?)?;
        self.products.add(&product(&apart_x, &apart_y));
        Ok(())
    }

    pub(super) fn remove(&mut self, value: &Bson) -> Result<()> {
        let Some((x, y)) = pair(value) else {
            return Ok(());
        };
        if let Some(special) = special(x, y) {
            self.products.remove(&special);
            return Ok(());
        }
        if self.count == 1 {
            *self = Self::new(self.sample);
            return Ok(());
        }
        let apart_y = difference(y, &mean(&self.y, self.count)?)?;
        self.count -= 1;
        self.x.remove(x);
        self.y.remove(y);
        let apart_x = difference(x, &mean(&self.x, self.count)?)?;
        self.products.remove(&product(&apart_x, &apart_y));
        Ok(())
    }

    pub(super) fn value(&self) -> Result<Bson> {
        let count = self.count - i64::from(self.sample);
        if count <= 0 {
            return Ok(Bson::Null);
        }
        if self.count == 1 {
            return Ok(Bson::Double(0.0));
        }
        quotient(&self.products.value(), &Bson::Double(count as f64))
    }
}

fn mean(sum: &Removable, count: i64) -> Result<Bson> {
    if count == 0 {
        return Ok(Bson::Int32(0));
    }
    quotient(&sum.value(), &Bson::Int64(count))
}

fn pair(value: &Bson) -> Option<(&Bson, &Bson)> {
    match value {
        Bson::Array(pair) => match pair.as_slice() {
            [x, y] if is_number(x) && is_number(y) => Some((x, y)),
            _ => None,
        },
        _ => None,
    }
}

/// What stands for a pair that is not finite.
fn special(x: &Bson, y: &Bson) -> Option<Bson> {
    if is_finite(x) && is_finite(y) {
        return None;
    }
    // A decimal that is no number counts as a double that is none.
    let double = |value: &Bson| match value {
        Bson::Decimal128(n) if Decimal::from(*n).is_nan() => Bson::Double(f64::NAN),
        other => other.clone(),
    };
    Some(total(&double(x), &double(y)))
}
