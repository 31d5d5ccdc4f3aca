//! Numbers of all four types as exact decimal digits, for comparison, and
//! arithmetic on Decimal128.

mod arithmetic;
mod float;
mod functions;
mod wide;

pub(crate) use arithmetic::{Decimal, Rounding};

use std::cmp::Ordering;

use bson::Decimal128;
use bson::raw::RawBsonRef;

/// An exact finite decimal: `0.d1d2d3… × 10^exponent`, no leading or trailing
/// zero digits; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits {
    pub(crate) negative: bool,
    pub(crate) exponent: i32,
    pub(crate) digits: Vec<u8>,
}

/// A number as far as order is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    Nan,
    Infinite { negative: bool },
    Finite(Digits),
}

impl Digits {
    fn new(negative: bool, digits: &[u8], exponent_of_last: i32) -> Self {
        let lead = digits.iter().take_while(|&&d| d == 0).count();
        let tail = digits[lead..].iter().rev().take_while(|&&d| d == 0).count();
        let kept = digits[lead..digits.len() - tail].to_vec();
        if kept.is_empty() {
            return Self {
                negative: false,
                exponent: 0,
                digits: kept,
            };
        }
        Self {
            negative,
            exponent: exponent_of_last + (digits.len() - lead) as i32,
            digits: kept,
        }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        self.exponent
            .cmp(&other.exponent)
            .then_with(|| self.digits.cmp(&other.digits))
    }
}

impl Ord for Digits {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign()
            .cmp(&other.sign())
            .then_with(|| match self.sign() {
                0 => Ordering::Equal,
                1 => self.compare_magnitude(other),
                _ => other.compare_magnitude(self),
            })
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    /// NaN is below every number and equal to itself, as MongoDB sorts.
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |number: &Self| match number {
            Self::Nan => 0,
            Self::Infinite { negative: true } => 1,
            Self::Finite(_) => 2,
            Self::Infinite { negative: false } => 3,
        };
        match (self, other) {
            (Self::Finite(a), Self::Finite(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The exact value of a number; `None` for other types.
pub(crate) fn number(value: RawBsonRef<'_>) -> Option<Number> {
    Some(match value {
        RawBsonRef::Int32(n) => integer(i64::from(n)),
        RawBsonRef::Int64(n) => integer(n),
        RawBsonRef::Double(n) => double(n),
        RawBsonRef::Decimal128(n) => decimal(n),
        _ => return None,
    })
}

fn integer(n: i64) -> Number {
    let text = n.unsigned_abs().to_string();
    let digits: Vec<u8> = text.bytes().map(|b| b - b'0').collect();
    Number::Finite(Digits::new(n < 0, &digits, 0))
}

/// The double's exact binary value, which has at most 767 digits.
fn double(n: f64) -> Number {
    if n.is_nan() {
        return Number::Nan;
    }
    if n.is_infinite() {
        return Number::Infinite { negative: n < 0.0 };
    }
    scientific(&format!("{n:.766e}"))
}

fn decimal(n: Decimal128) -> Number {
    match Decimal::from(n) {
        Decimal::Nan => Number::Nan,
        Decimal::Infinite { negative } => Number::Infinite { negative },
        Decimal::Finite(n) => {
            let digits: Vec<u8> = n
                .coefficient
                .to_string()
                .bytes()
                .map(|b| b - b'0')
                .collect();
            Number::Finite(Digits::new(n.negative, &digits, n.exponent))
        }
    }
}

/// Reads `-12.34E+5` and the like; the texts come from number formatting.
fn scientific(text: &str) -> Number {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let fraction = mantissa.split_once('.').map_or(0, |(_, f)| f.len() as i32);
    let digits: Vec<u8> = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|b| b - b'0')
        .collect();
    Number::Finite(Digits::new(negative, &digits, exponent - fraction))
}

/// A Decimal128 as the nearest double, for conversions.
pub fn to_double(n: Decimal128) -> f64 {
    Decimal::from(n).to_f64()
}

/// A Decimal128 as a whole number, rounded half to even; what no int64 holds is
/// the end that it is beyond, and NaN is zero.
pub fn to_whole(n: Decimal128) -> i64 {
    let whole = Decimal::from(n).to_i64(Rounding::HalfEven);
    whole.unwrap_or_else(|| to_double(n) as i64)
}

/// Zero with the exponent of `value`, which is what zero times `value` is; NaN
/// for what is not finite.
pub(crate) fn zero_like(value: Decimal128) -> Decimal128 {
    let mut bytes = value.bytes();
    let finite = bytes[15] & 0x60 != 0x60;
    // The coefficient is the low 113 of 128 bits.
    bytes[..14].fill(0);
    bytes[14] = if finite { bytes[14] & 0xfe } else { 0 };
    if !finite {
        bytes[15] = 0x7c;
    }
    Decimal128::from_bytes(bytes)
}
