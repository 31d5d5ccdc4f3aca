//! Decimal128 arithmetic: 34 digits, half to even, exponents kept as IEEE
//! 754-2008 prefers them, which is what MongoDB answers with.

use std::str::FromStr;

use bson::Decimal128;

use super::wide::Wide;

pub(super) const DIGITS_MAX: u32 = 34;
pub(super) const EXPONENT_MIN: i32 = -6176;
const EXPONENT_MAX: i32 = 6111;
const BIAS: i32 = 6176;
const COEFFICIENT_MAX: u128 = 10u128.pow(DIGITS_MAX) - 1;

/// A Decimal128, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimal {
    Nan,
    Infinite { negative: bool },
    Finite(Finite),
}

/// `±coefficient × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finite {
    pub(crate) negative: bool,
    pub(crate) coefficient: u128,
    pub(crate) exponent: i32,
}

/// How digits that do not fit are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    HalfEven,
    Down,
    Ceiling,
    Floor,
}

impl From<Decimal128> for Decimal {
    fn from(packed: Decimal128) -> Self {
        let bits = u128::from_le_bytes(packed.bytes());
        let negative = bits >> 127 == 1;
        match (bits >> 122) as u32 & 0x1f {
            0x1f => return Self::Nan,
            0x1e => return Self::Infinite { negative },
            _ => {}
        }
        let large = (bits >> 125) & 3 == 3;
        let (exponent, coefficient) = if large {
            // Every coefficient of this form is above the largest: zero.
            ((bits >> 111) & 0x3fff, 0)
        } else {
            ((bits >> 113) & 0x3fff, bits & ((1 << 113) - 1))
        };
        Self::Finite(Finite {
            negative,
            coefficient: if coefficient > COEFFICIENT_MAX {
                0
            } else {
                coefficient
            },
            exponent: exponent as i32 - BIAS,
        })
    }
}

impl From<Decimal> for Decimal128 {
    fn from(value: Decimal) -> Self {
        let bits = match value {
            Decimal::Nan => 0x7c << 120,
            Decimal::Infinite { negative } => u128::from(negative) << 127 | 0x78 << 120,
            Decimal::Finite(n) => {
                u128::from(n.negative) << 127 | ((n.exponent + BIAS) as u128) << 113 | n.coefficient
            }
        };
        Self::from_bytes(bits.to_le_bytes())
    }
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self::from(i128::from(n))
    }
}

impl From<i128> for Decimal {
    fn from(n: i128) -> Self {
        fit(n < 0, Wide::from(n.unsigned_abs()), 0, false)
    }
}

/// What is not a number's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotANumber;

impl FromStr for Decimal {
    type Err = NotANumber;

    /// Reads a number, rounding what has too many digits.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest.eq_ignore_ascii_case("nan") {
            return Ok(Self::Nan);
        }
        if rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity") {
            return Ok(Self::Infinite { negative });
        }
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return Err(NotANumber);
        }
        let mut coefficient = Wide::ZERO;
        let (mut kept, mut dropped, mut sticky) = (0, 0i32, false);
        for byte in digits() {
            // Far beyond 34 digits only "not zero" matters.
            if kept < 100 {
                coefficient = coefficient
                    .times(10)
                    .plus(&Wide::from(u128::from(byte - b'0')));
                kept += u32::from(!coefficient.is_zero());
            } else {
                dropped = dropped.saturating_add(1);
                sticky |= byte != b'0';
            }
        }
        let exponent = exponent
            .saturating_sub(i32::try_from(fraction.len()).unwrap_or(i32::MAX))
            .saturating_add(dropped);
        Ok(fit(negative, coefficient, exponent, sticky))
    }
}

/// An exponent, held within what makes zero or infinity of every number.
fn power(text: &str) -> Result<i32, NotANumber> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotANumber);
    }
    const BEYOND: i32 = 1_000_000_000;
    let size = digits.parse().map_or(BEYOND, |n: i32| n.min(BEYOND));
    Ok(if text.starts_with('-') { -size } else { size })
}

/// Rounds an exact magnitude, of which `sticky` says that a little is missing,
/// into a Decimal128.
pub(super) fn fit(negative: bool, coefficient: Wide, exponent: i32, sticky: bool) -> Decimal {
    let digits = coefficient.digits() as i32;
    let drop = (digits - DIGITS_MAX as i32).max(EXPONENT_MIN.saturating_sub(exponent));
    let (mut coefficient, mut exponent) = if drop > 0 {
        (
            dropped(
                coefficient,
                drop as u32,
                sticky,
                negative,
                Rounding::HalfEven,
            ),
            exponent + drop,
        )
    } else {
        (coefficient.low(), exponent)
    };
    if coefficient > COEFFICIENT_MAX {
        coefficient /= 10;
        exponent += 1;
    }
    if coefficient == 0 {
        exponent = exponent.clamp(EXPONENT_MIN, EXPONENT_MAX);
    }
    while exponent > EXPONENT_MAX && coefficient <= COEFFICIENT_MAX / 10 {
        coefficient *= 10;
        exponent -= 1;
    }
    if exponent > EXPONENT_MAX {
        return Decimal::Infinite { negative };
    }
    Decimal::Finite(Finite {
        negative,
        coefficient,
        exponent,
    })
}

/// `coefficient / 10^drop`, rounded.
fn dropped(coefficient: Wide, drop: u32, sticky: bool, negative: bool, rounding: Rounding) -> u128 {
    if drop > coefficient.digits() {
        // Less than a tenth: only its direction is left.
        let some = sticky || !coefficient.is_zero();
        let up = some
            && match rounding {
                Rounding::Ceiling => !negative,
                Rounding::Floor => negative,
                Rounding::HalfEven | Rounding::Down => false,
            };
        return u128::from(up);
    }
    let unit = Wide::ten(drop);
    let (quotient, rest) = coefficient.divide(&unit);
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Ceiling => !negative && (sticky || !rest.is_zero()),
        Rounding::Floor => negative && (sticky || !rest.is_zero()),
        Rounding::HalfEven => match rest.times(2).cmp(&unit) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => sticky || quotient.is_odd(),
            std::cmp::Ordering::Less => false,
        },
    };
    quotient.low() + u128::from(up)
}

/// Removes zeros at the end, up to the exponent that is preferred.
fn stripped(mut coefficient: Wide, mut exponent: i32, preferred: i32) -> (Wide, i32) {
    while exponent < preferred && !coefficient.is_zero() {
        let (shorter, rest) = coefficient.by_word(10);
        if rest != 0 {
            break;
        }
        (coefficient, exponent) = (shorter, exponent + 1);
    }
    if coefficient.is_zero() {
        exponent = preferred;
    }
    (coefficient, exponent)
}

impl Decimal {
    pub(crate) fn is_nan(self) -> bool {
        self == Self::Nan
    }

    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Self::Finite(n) if n.coefficient == 0)
    }

    pub(crate) fn is_negative(self) -> bool {
        match self {
            Self::Nan => false,
            Self::Infinite { negative } => negative,
            Self::Finite(n) => n.negative,
        }
    }

    fn with_sign(self, negative: bool) -> Self {
        match self {
            Self::Nan => self,
            Self::Infinite { .. } => Self::Infinite { negative },
            Self::Finite(n) => Self::Finite(Finite { negative, ..n }),
        }
    }

    pub(crate) fn abs(self) -> Self {
        self.with_sign(false)
    }

    pub(crate) fn negated(self) -> Self {
        self.with_sign(!self.is_negative())
    }

    pub(crate) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite { negative: a }, Self::Infinite { negative: b }) if a != b => Self::Nan,
            (Self::Infinite { .. }, _) => self,
            (_, Self::Infinite { .. }) => other,
            (Self::Finite(a), Self::Finite(b)) => sum(a, b),
        }
    }

    pub(crate) fn subtract(self, other: Self) -> Self {
        self.add(other.negated())
    }

    pub(crate) fn multiply(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Finite(a), Self::Finite(b)) => {
                let product = Wide::from(a.coefficient).multiply(&Wide::from(b.coefficient));
                fit(negative, product, a.exponent + b.exponent, false)
            }
            _ if self.is_zero() || other.is_zero() => Self::Nan,
            _ => Self::Infinite { negative },
        }
    }

    pub(crate) fn divide(self, other: Self) -> Self {
        let negative = self.is_negative() != other.is_negative();
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Infinite { .. }, Self::Infinite { .. }) => Self::Nan,
            (Self::Infinite { .. }, _) => Self::Infinite { negative },
            (_, Self::Infinite { .. }) => fit(negative, Wide::ZERO, EXPONENT_MIN, false),
            (Self::Finite(a), Self::Finite(b)) => {
                if b.coefficient == 0 {
                    return if a.coefficient == 0 {
                        Self::Nan
                    } else {
                        Self::Infinite { negative }
                    };
                }
                // Enough zeros for 35 digits or more of quotient.
                const ZEROS: u32 = 2 * DIGITS_MAX + 1;
                let divisor = Wide::from(b.coefficient);
                let dividend = Wide::from(a.coefficient).multiply(&Wide::ten(ZEROS));
                let (quotient, rest) = dividend.divide(&divisor);
                let preferred = a.exponent - b.exponent;
                let exponent = preferred - ZEROS as i32;
                if rest.is_zero() {
                    let (quotient, exponent) = stripped(quotient, exponent, preferred);
                    return fit(negative, quotient, exponent, false);
                }
                fit(negative, quotient, exponent, true)
            }
        }
    }

    /// The rest of the division toward zero; it has the dividend's sign.
    pub(crate) fn modulo(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nan | Self::Infinite { .. }, _) | (_, Self::Nan) => Self::Nan,
            (Self::Finite(_), Self::Infinite { .. }) => self,
            (Self::Finite(_), Self::Finite(b)) if b.coefficient == 0 => Self::Nan,
            (Self::Finite(a), Self::Finite(b)) => {
                let exponent = a.exponent.min(b.exponent);
                let (up_a, up_b) = (
                    (a.exponent - exponent) as u32,
                    (b.exponent - exponent) as u32,
                );
                let rest = if up_b > 2 * DIGITS_MAX {
                    Wide::from(a.coefficient)
                } else {
                    let divisor = Wide::from(b.coefficient).multiply(&Wide::ten(up_b));
                    let scale = ten_modulo(up_a, &divisor);
                    Wide::from(a.coefficient)
                        .multiply(&scale)
                        .divide(&divisor)
                        .1
                };
                fit(a.negative, rest, exponent, false)
            }
        }
    }

    /// The square root; NaN of what is below zero.
    pub(crate) fn sqrt(self) -> Self {
        match self {
            Self::Nan => self,
            _ if self.is_zero() => match self {
                Self::Finite(n) => fit(n.negative, Wide::ZERO, n.exponent.div_euclid(2), false),
                _ => self,
            },
            _ if self.is_negative() => Self::Nan,
            Self::Infinite { .. } => self,
            Self::Finite(n) => {
                let odd = n.exponent.rem_euclid(2);
                let zeros = 2 * DIGITS_MAX + 2;
                let scaled = Wide::from(n.coefficient).multiply(&Wide::ten(zeros + odd as u32));
                let (root, over) = scaled.root();
                let preferred = n.exponent.div_euclid(2);
                let exponent = preferred - (zeros / 2) as i32;
                if over.is_zero() {
                    let (root, exponent) = stripped(root, exponent, preferred);
                    return fit(false, root, exponent, false);
                }
                fit(false, root, exponent, true)
            }
        }
    }

    /// The value with exactly this exponent; NaN where its digits do not fit.
    pub(crate) fn quantize(self, exponent: i32, rounding: Rounding) -> Self {
        let Self::Finite(n) = self else {
            return Self::Nan;
        };
        let coefficient = if n.exponent >= exponent {
            let zeros = (n.exponent - exponent) as u32;
            if n.coefficient == 0 {
                0
            } else if zeros > DIGITS_MAX {
                return Self::Nan;
            } else {
                let padded = Wide::from(n.coefficient).multiply(&Wide::ten(zeros));
                if padded.digits() > DIGITS_MAX {
                    return Self::Nan;
                }
                padded.low()
            }
        } else {
            let drop = (exponent - n.exponent) as u32;
            dropped(Wide::from(n.coefficient), drop, false, n.negative, rounding)
        };
        if coefficient > COEFFICIENT_MAX || !(EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) {
            return Self::Nan;
        }
        Self::Finite(Finite {
            negative: n.negative,
            coefficient,
            exponent,
        })
    }

    /// Rounded to `place` digits after the point, or before it when negative.
    /// What is not finite stays, and so does what has no room for the digits.
    pub(crate) fn placed(self, place: i32, rounding: Rounding) -> Self {
        match self {
            Self::Finite(_) => match self.quantize(-place, rounding) {
                // As many zeros as there is room for.
                Self::Nan => self.padded(),
                placed => placed,
            },
            _ => self,
        }
    }

    /// With as many zeros at the end as there is room for.
    pub(super) fn padded(self) -> Self {
        self.add(fit(self.is_negative(), Wide::ZERO, EXPONENT_MIN, false))
    }

    /// Rounded to an integer; `None` when it is none or too large.
    pub(crate) fn to_i64(self, rounding: Rounding) -> Option<i64> {
        match self {
            Self::Finite(n) if n.coefficient == 0 => Some(0),
            Self::Finite(_) => match self.quantize(0, rounding) {
                Self::Finite(n) => signed(n),
                _ => None,
            },
            _ => None,
        }
    }

    /// The integer that it is; `None` when it is none, or too large.
    pub(crate) fn exact_i64(self) -> Option<i64> {
        let n = self.to_i64(Rounding::Down)?;
        self.subtract(n.into()).is_zero().then_some(n)
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Nan => f64::NAN,
            Self::Infinite { negative: true } => f64::NEG_INFINITY,
            Self::Infinite { negative: false } => f64::INFINITY,
            Self::Finite(n) => {
                let sign = if n.negative { "-" } else { "" };
                format!("{sign}{}e{}", n.coefficient, n.exponent)
                    .parse()
                    .unwrap_or(f64::NAN)
            }
        }
    }

    /// A double's first 15 digits, which is how MongoDB converts one.
    pub(crate) fn of_f64(n: f64) -> Self {
        Self::special(n).unwrap_or_else(|| format!("{n:.14e}").parse().unwrap_or(Self::Nan))
    }

    /// A double's exact value to 34 digits, which is how MongoDB sums doubles
    /// with decimals.
    pub(crate) fn of_f64_exact(n: f64) -> Self {
        if let Some(special) = Self::special(n) {
            return special;
        }
        // A double has at most 767 digits.
        let text = format!("{n:.766e}");
        let beyond = text
            .bytes()
            .filter(u8::is_ascii_digit)
            .skip(DIGITS_MAX as usize)
            .take(767 - DIGITS_MAX as usize);
        let exact = beyond.into_iter().all(|digit| digit == b'0');
        match text.parse().unwrap_or(Self::Nan) {
            Self::Finite(n) if exact => {
                let (coefficient, exponent) = stripped(Wide::from(n.coefficient), n.exponent, 0);
                fit(n.negative, coefficient, exponent, false)
            }
            rounded => rounded,
        }
    }

    fn special(n: f64) -> Option<Self> {
        if n.is_nan() {
            Some(Self::Nan)
        } else if n.is_infinite() {
            Some(Self::Infinite { negative: n < 0.0 })
        } else if n == 0.0 {
            Some(fit(n.is_sign_negative(), Wide::ZERO, 0, false))
        } else {
            None
        }
    }
}

fn signed(n: Finite) -> Option<i64> {
    let size = i128::try_from(n.coefficient).ok()?;
    i64::try_from(if n.negative { -size } else { size }).ok()
}

/// `10^power` modulo `by`, which has less than 256 bits.
fn ten_modulo(power: u32, by: &Wide) -> Wide {
    let mut result = Wide::from(1).divide(by).1;
    let mut square = Wide::from(10).divide(by).1;
    let mut left = power;
    while left > 0 {
        if left & 1 == 1 {
            result = result.multiply(&square).divide(by).1;
        }
        square = square.multiply(&square).divide(by).1;
        left >>= 1;
    }
    result
}

fn sum(a: Finite, b: Finite) -> Decimal {
    let (high, low) = if a.exponent >= b.exponent {
        (a, b)
    } else {
        (b, a)
    };
    // Beyond this many digits the lower one only says on which side of the
    // higher one the sum is.
    const APART: i32 = 2 * DIGITS_MAX as i32 + 2;
    let apart = high.exponent - low.exponent;
    if high.coefficient == 0 || apart <= APART {
        let zeros = apart.min(APART) as u32;
        let upper = Wide::from(high.coefficient).multiply(&Wide::ten(zeros));
        return signed_sum(
            (high.negative, upper),
            (low.negative, Wide::from(low.coefficient)),
            low.exponent,
        );
    }
    let upper = Wide::from(high.coefficient).multiply(&Wide::ten(APART as u32));
    let lower = Wide::from(u128::from(low.coefficient != 0));
    signed_sum(
        (high.negative, upper),
        (low.negative, lower),
        high.exponent - APART,
    )
}

fn signed_sum(a: (bool, Wide), b: (bool, Wide), exponent: i32) -> Decimal {
    let (negative, total) = if a.0 == b.0 {
        (a.0, a.1.plus(&b.1))
    } else {
        match a.1.cmp(&b.1) {
            std::cmp::Ordering::Greater => (a.0, a.1.minus(&b.1)),
            std::cmp::Ordering::Less => (b.0, b.1.minus(&a.1)),
            std::cmp::Ordering::Equal => (false, Wide::ZERO),
        }
    };
    fit(negative, total, exponent, false)
}
