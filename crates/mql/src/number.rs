//! Arithmetic that keeps MongoDB's numeric types: int32 promotes to int64 on
//! overflow, anything with a double is a double, anything with a decimal is a
//! decimal.

use bson::Bson;
use bson::raw::RawBsonRef;

use crate::decimal::Decimal;

/// What an int64 no longer holds: 2^63.
pub(crate) const TWO_63: f64 = 9_223_372_036_854_775_808.0;

/// A double without a fraction, as an int64 that holds it.
pub(crate) fn whole_double(n: f64) -> Option<i64> {
    (n.trunc() == n && (-TWO_63..TWO_63).contains(&n)).then_some(n as i64)
}

/// A binary operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

/// Computes on two numbers. `None` when an int64 overflows.
pub(crate) fn compute(operation: Arithmetic, a: &Bson, b: &Bson) -> Option<Bson> {
    if matches!(a, Bson::Decimal128(_)) || matches!(b, Bson::Decimal128(_)) {
        let (a, b) = (decimal(a), decimal(b));
        let result = match operation {
            Arithmetic::Add => a.add(b),
            Arithmetic::Subtract => a.subtract(b),
            Arithmetic::Multiply => a.multiply(b),
        };
        return Some(Bson::Decimal128(result.into()));
    }
    if let (Some(x), Some(y)) = (integer(a), integer(b)) {
        let result = match operation {
            Arithmetic::Add => x.checked_add(y),
            Arithmetic::Subtract => x.checked_sub(y),
            Arithmetic::Multiply => x.checked_mul(y),
        };
        let both_small = matches!((a, b), (Bson::Int32(_), Bson::Int32(_)));
        return result.map(|n| sized(n, both_small));
    }
    let (x, y) = (double(a).unwrap_or(f64::NAN), double(b).unwrap_or(f64::NAN));
    Some(Bson::Double(match operation {
        Arithmetic::Add => x + y,
        Arithmetic::Subtract => x - y,
        Arithmetic::Multiply => x * y,
    }))
}

/// An int32 where it fits and `small` asks for one, else an int64.
pub(crate) fn sized(n: i64, small: bool) -> Bson {
    match i32::try_from(n) {
        Ok(n) if small => Bson::Int32(n),
        _ => Bson::Int64(n),
    }
}

/// An int32 or int64.
pub(crate) fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        _ => None,
    }
}

/// Any number as a double.
pub(crate) fn double(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(n) => Some(f64::from(*n)),
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        Bson::Decimal128(n) => Some(crate::decimal::to_double(*n)),
        _ => None,
    }
}

/// Any number as a decimal, a double by its first 15 digits; NaN for others.
pub(crate) fn decimal(value: &Bson) -> Decimal {
    match value {
        Bson::Int32(n) => i64::from(*n).into(),
        Bson::Int64(n) => (*n).into(),
        Bson::Double(n) => Decimal::of_f64(*n),
        Bson::Decimal128(n) => (*n).into(),
        _ => Decimal::Nan,
    }
}

/// A number without a fraction, of any type.
pub(crate) fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Double(n) => whole_double(*n),
        Bson::Decimal128(n) => Decimal::from(*n).exact_i64(),
        other => integer(other),
    }
}

/// A whole number that an int32 holds, of any type: what MongoDB takes for an
/// index, a place or a count.
pub(crate) fn whole_i32(value: &Bson) -> Option<i32> {
    whole(value).and_then(|n| i32::try_from(n).ok())
}

/// Whether it is one of the four numeric types.
pub(crate) fn is_number(value: &Bson) -> bool {
    matches!(
        value,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_)
    )
}

/// A sum of doubles in two of them: what rounding drops is carried along. In
/// this order of steps, which MongoDB's last bits follow from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Doubles {
    high: f64,
    low: f64,
    /// What infinities and NaNs add up to.
    special: f64,
}

impl Doubles {
    /// Adds a double.
    pub(crate) fn add(&mut self, n: f64) {
        self.special += n;
        // MongoDB takes it that the term is no less than what was dropped.
        let term = n + self.low;
        let (n, low) = (term, self.low - (term - n));
        let (high, rest) = exact_sum(self.high, n);
        self.high = high;
        self.low = low + rest;
    }

    /// Adds an int64, in pieces that doubles hold exactly.
    pub(crate) fn add_long(&mut self, n: i64) {
        const PIECE: i64 = 1 << 32;
        let high = n / PIECE * PIECE;
        self.add((n - high) as f64);
        self.add(high as f64);
    }

    /// Adds what is more than an int64.
    fn add_whole(&mut self, mut n: i128) {
        if let Ok(n) = i64::try_from(n) {
            return self.add_long(n);
        }
        while n != 0 {
            let piece = n as f64;
            self.add(piece);
            n -= piece as i128;
        }
    }

    /// The sum.
    pub(crate) fn value(self) -> f64 {
        if self.high.is_nan() {
            self.special
        } else {
            self.high
        }
    }

    fn as_decimal(self) -> Decimal {
        let value = self.value();
        if value.is_finite() {
            Decimal::of_f64_exact(self.high).add(Decimal::of_f64_exact(self.low))
        } else {
            Decimal::of_f64(value)
        }
    }
}

/// Knuth's sum of two, whose rest is exact.
fn exact_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// A sum that loses nothing on the way: whole numbers are exact, doubles carry
/// what rounding drops, decimals are apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum {
    /// Whole numbers, until there is a double.
    whole: i128,
    doubles: Doubles,
    long: bool,
    double: bool,
    decimal: Option<Decimal>,
    count: u64,
}

impl Sum {
    /// Adds a number; others do not count.
    pub(crate) fn add(&mut self, value: &Bson) {
        match value {
            Bson::Int32(n) => self.add_raw(RawBsonRef::Int32(*n)),
            Bson::Int64(n) => self.add_raw(RawBsonRef::Int64(*n)),
            Bson::Double(n) => self.add_raw(RawBsonRef::Double(*n)),
            Bson::Decimal128(n) => self.add_raw(RawBsonRef::Decimal128(*n)),
            _ => {}
        }
    }

    /// The same for a raw value.
    pub(crate) fn add_raw(&mut self, value: RawBsonRef<'_>) {
        match value {
            RawBsonRef::Int32(n) if self.double => self.doubles.add(f64::from(n)),
            RawBsonRef::Int32(n) => self.whole += i128::from(n),
            RawBsonRef::Int64(n) => {
                self.add_exact(i128::from(n));
                self.long = true;
            }
            RawBsonRef::Double(n) => self.add_double(n),
            RawBsonRef::Decimal128(n) => self.add_decimal(n.into()),
            _ => return,
        }
        self.count += 1;
    }

    /// Takes a number that was added off again, as MongoDB does: by adding its
    /// negative, in two parts where its type has none.
    pub(crate) fn remove(&mut self, value: &Bson) {
        match value {
            Bson::Int32(i32::MIN) => {
                self.remove(&Bson::Int32(-i32::MAX));
                self.count += 1;
                self.remove(&Bson::Int32(-1));
                return;
            }
            Bson::Int64(i64::MIN) => {
                self.remove(&Bson::Int64(-i64::MAX));
                self.count += 1;
                self.remove(&Bson::Int64(-1));
                return;
            }
            Bson::Int32(n) if self.double => self.doubles.add(-f64::from(*n)),
            Bson::Int32(n) => self.whole -= i128::from(*n),
            Bson::Int64(n) => self.add_exact(-i128::from(*n)),
            Bson::Double(n) => self.add_double(-*n),
            Bson::Decimal128(n) => self.add_decimal(Decimal::from(*n).negated()),
            _ => return,
        }
        self.count = self.count.saturating_sub(1);
    }

    fn add_exact(&mut self, n: i128) {
        if self.double {
            self.doubles.add_whole(n);
        } else {
            self.whole += n;
        }
    }

    fn add_double(&mut self, n: f64) {
        if !self.double {
            self.double = true;
            self.doubles.add_whole(std::mem::take(&mut self.whole));
        }
        self.doubles.add(n);
    }

    fn add_decimal(&mut self, n: Decimal) {
        let total = self.decimal.unwrap_or_else(|| 0i64.into());
        self.decimal = Some(total.add(n));
    }

    fn has_decimal(&self) -> bool {
        self.decimal.is_some()
    }

    /// Takes milliseconds along, for a date among the terms.
    pub(crate) fn add_whole(&mut self, n: i64) {
        self.add_exact(i128::from(n));
        self.long = true;
    }

    fn as_double(&self) -> f64 {
        if self.double {
            self.doubles.value()
        } else {
            self.whole as f64
        }
    }

    fn as_decimal(&self) -> Decimal {
        let others = if self.double {
            self.doubles.as_decimal()
        } else {
            Decimal::from(self.whole)
        };
        match self.decimal {
            Some(decimal) => decimal.add(others),
            None => others,
        }
    }

    /// The sum in the widest type among the terms.
    pub(crate) fn total(&self) -> Bson {
        if self.has_decimal() {
            return Bson::Decimal128(self.as_decimal().into());
        }
        if self.double {
            return Bson::Double(self.as_double());
        }
        match i64::try_from(self.whole) {
            Ok(n) => sized(n, !self.long),
            Err(_) => Bson::Double(self.as_double()),
        }
    }

    /// The mean; null of nothing.
    pub(crate) fn mean(&self) -> Bson {
        if self.count == 0 {
            return Bson::Null;
        }
        if self.has_decimal() {
            let count = Decimal::from(i128::from(self.count));
            return Bson::Decimal128(self.as_decimal().divide(count).into());
        }
        Bson::Double(self.as_double() / self.count as f64)
    }

    /// The sum as milliseconds, rounded; `None` when it is out of range.
    pub(crate) fn milliseconds(&self) -> Option<i64> {
        if self.has_decimal() {
            // MongoDB does not look whether it fits.
            let rounding = crate::decimal::Rounding::HalfEven;
            return Some(self.as_decimal().to_i64(rounding).unwrap_or(i64::MIN));
        }
        if self.double {
            let Doubles { high, low, .. } = self.doubles;
            if !self.doubles.value().is_finite() {
                return None;
            }
            let whole = high.round();
            let rest = (high - whole + low).round();
            return i64::try_from((whole as i128).checked_add(rest as i128)?).ok();
        }
        i64::try_from(self.whole).ok()
    }
}

/// The standard deviation of numbers, in one pass (Welford's).
#[derive(Debug, Clone, Default)]
pub(crate) struct Deviation {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Deviation {
    /// Takes a number in; others do not count.
    pub(crate) fn add(&mut self, value: &Bson) {
        let Some(n) = double(value) else {
            return;
        };
        self.count += 1;
        let apart = n - self.mean;
        if n.is_infinite() || n.is_nan() {
            self.mean = f64::NAN;
            self.squares = f64::NAN;
        } else {
            self.mean += apart / self.count as f64;
            self.squares += apart * (n - self.mean);
        }
    }

    /// Null of nothing.
    pub(crate) fn of_population(&self) -> Bson {
        self.over(self.count)
    }

    /// Null of less than two.
    pub(crate) fn of_sample(&self) -> Bson {
        self.over(self.count.saturating_sub(1))
    }

    fn over(&self, count: u64) -> Bson {
        if count == 0 {
            return Bson::Null;
        }
        Bson::Double((self.squares / count as f64).sqrt())
    }
}
