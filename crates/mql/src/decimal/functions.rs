//! Exponentials, logarithms and powers of decimals.
//!
//! MongoDB computes these in binary numbers of 113 bits, and so do these on
//! the way in and out, so that the last digit is the same wherever its library
//! rounds well. Elsewhere it may be a step away.

use super::arithmetic::{Decimal, EXPONENT_MIN, Finite, Rounding, fit};
use super::float::Float;
use super::wide::Wide;

const QUAD_BITS: u32 = 113;

fn quad(n: Decimal) -> Option<Float> {
    match n {
        Decimal::Finite(n) => Some(Float::of(n).to_bits(QUAD_BITS)),
        _ => None,
    }
}

fn result(n: Float) -> Decimal {
    n.to_bits(QUAD_BITS).decimal()
}

/// Above this the exponential is infinite, below its negative it is zero.
const EXPONENT_BOUND: i32 = 14;

fn exponential(n: Float) -> Decimal {
    if n.is_zero() || n.scale() <= EXPONENT_BOUND {
        return result(n.exp());
    }
    if n.negative {
        fit(false, Wide::ZERO, i32::MIN, false)
    } else {
        Decimal::Infinite { negative: false }
    }
}

impl Decimal {
    pub(crate) fn exp(self) -> Self {
        match quad(self) {
            None if self.is_nan() => Self::Nan,
            None if self.is_negative() => 0i64.into(),
            None => self,
            Some(n) if n.is_zero() => 1i64.into(),
            Some(n) => exponential(n),
        }
    }

    /// Of what is above zero.
    pub(crate) fn ln(self) -> Self {
        match quad(self) {
            None => self,
            Some(n) => result(n.ln()),
        }
    }

    /// Of what is above zero.
    pub(crate) fn log10(self) -> Self {
        match quad(self) {
            None => self,
            Some(n) => result(n.ln().over(Float::ln_10())),
        }
    }

    fn log2(self) -> Self {
        match quad(self) {
            None => self,
            Some(n) => result(n.ln().over(Float::integer(2).ln())),
        }
    }

    /// MongoDB divides by the base itself where it is neither 2 nor 10.
    pub(crate) fn log(self, base: Self) -> Self {
        if base.subtract(2i64.into()).is_zero() {
            self.log2()
        } else if base.subtract(10i64.into()).is_zero() {
            self.log10()
        } else {
            self.ln().divide(base)
        }
    }

    /// A power; NaN of what is negative to what is not whole.
    pub(crate) fn pow(self, by: Self) -> Self {
        let whole = by.exact_i64();
        let (Some(base), Some(power)) = (quad(self), quad(by)) else {
            return self.pow_without_end(by).padded();
        };
        let negative = self.is_negative() && whole.is_some_and(|n| n % 2 != 0);
        let magnitude = if power.is_zero() {
            1i64.into()
        } else if base.is_zero() {
            0i64.into()
        } else if base.negative && !by.subtract(by.placed(0, Rounding::Down)).is_zero() {
            return Self::Nan;
        } else {
            exponential(base.abs().ln().times(power))
        };
        let magnitude = magnitude.padded();
        if negative {
            magnitude.negated()
        } else {
            magnitude
        }
    }

    /// Where one of the two is infinite or NaN, doubles that stand for them say
    /// what is right.
    fn pow_without_end(self, by: Self) -> Self {
        let sign = |n: Self| if n.is_negative() { -1.0 } else { 1.0 };
        let base = match self {
            Self::Finite(_) if !self.is_zero() => {
                let beyond = self.abs().subtract(1i64.into());
                let size = match (beyond.is_zero(), beyond.is_negative()) {
                    (true, _) => 1.0,
                    (_, true) => 0.5,
                    _ => 2.0,
                };
                size * sign(self)
            }
            _ => self.to_f64(),
        };
        let power = match by {
            Self::Finite(_) if !by.is_zero() => {
                let odd = by.exact_i64().is_some_and(|n| n % 2 != 0);
                sign(by) * if odd { 1.0 } else { 2.0 }
            }
            _ => by.to_f64(),
        };
        let result = base.powf(power);
        if result == 1.0 {
            1i64.into()
        } else {
            Self::of_f64(result)
        }
    }
}

/// The power of ten beyond which a tangent is that of no angle or of a quarter of
/// a turn, as far as decimals can say.
const FAR: i32 = 36;

/// Angles and hyperbolas. What is infinite is for the caller to look at where
/// a function has no limit there.
impl Decimal {
    /// `None` where the angle is beyond what can be reduced.
    pub(crate) fn sin(self) -> Option<Self> {
        Self::of_angle(self, |sine, _| sine)
    }

    /// As [`Decimal::sin`].
    pub(crate) fn cos(self) -> Option<Self> {
        Self::of_angle(self, |_, cosine| cosine)
    }

    /// As [`Decimal::sin`].
    pub(crate) fn tan(self) -> Option<Self> {
        Self::of_angle(self, Float::over)
    }

    fn of_angle(self, of: fn(Float, Float) -> Float) -> Option<Self> {
        // An angle loses too much when it is rounded.
        let Self::Finite(n) = self else {
            return Some(Self::Nan);
        };
        Float::of(n)
            .sin_cos()
            .map(|(sine, cosine)| result(of(sine, cosine)))
    }

    pub(crate) fn asin(self) -> Self {
        quad(self).map_or(Self::Nan, |n| result(n.asin()))
    }

    pub(crate) fn acos(self) -> Self {
        quad(self).map_or(Self::Nan, |n| result(quarter().minus(n.asin())))
    }

    pub(crate) fn atan(self) -> Self {
        match quad(self) {
            Some(n) => result(n.atan()),
            None if self.is_nan() => self,
            None => {
                let limit = result(quarter());
                if self.is_negative() {
                    limit.negated()
                } else {
                    limit
                }
            }
        }
    }

    /// The angle of the point (`x`, `self`). MongoDB's library divides the two as
    /// decimals, and takes what is beyond a quarter of a turn from half a turn as
    /// decimals too.
    pub(crate) fn atan2(self, x: Self) -> Self {
        if self.is_nan() || x.is_nan() {
            return Self::Nan;
        }
        let infinite = |n: Self| matches!(n, Self::Infinite { .. });
        let signed = |angle: Self| {
            if self.is_negative() {
                angle.negated()
            } else {
                angle
            }
        };
        let ten = |exponent: i32| {
            Self::Finite(Finite {
                negative: false,
                coefficient: 1,
                exponent,
            })
        };
        let acute = if infinite(self) && infinite(x) {
            // Its constant has a digit less.
            result(Float::pi().shifted(-2)).quantize(-33, Rounding::HalfEven)
        } else if self.is_zero() || infinite(x) {
            self.zero(EXPONENT_MIN).abs()
        } else if x.is_zero() {
            return signed(result(quarter()));
        } else {
            let ratio = self.abs().divide(x.abs());
            match quad(ratio) {
                Some(n) if !ten(FAR).subtract(ratio).is_negative() => {
                    if ratio.subtract(ten(-FAR)).is_negative() {
                        ratio
                    } else {
                        result(n.atan())
                    }
                }
                _ => return signed(result(quarter())),
            }
        };
        signed(if x.is_negative() {
            result(Float::pi()).subtract(acute)
        } else {
            acute
        })
    }

    /// Zero with the sign of this number and an exponent, which is no less than
    /// there is.
    fn zero(self, exponent: i32) -> Self {
        Self::Finite(Finite {
            negative: self.is_negative(),
            coefficient: 0,
            exponent: exponent.max(EXPONENT_MIN),
        })
    }

    /// The zero that a function has of this number, as it comes out of the
    /// arithmetic of mongod's library: `made` where nothing else is known of it.
    pub(crate) fn zero_of(self, function: &str, made: Self) -> Self {
        let Self::Finite(of) = self else {
            return made;
        };
        match function {
            "$asinh" | "$atanh" | "$acos" => self.zero(EXPONENT_MIN),
            "$sin" | "$atan" | "$tanh" => self.zero(of.exponent),
            // It multiplies with a number of 40 places.
            "$tan" | "$asin" | "$sinh" => self.zero(of.exponent - 40),
            _ if self.is_negative() => made.abs().negated(),
            _ => made,
        }
    }

    pub(crate) fn sinh(self) -> Self {
        match self.hyperbolic() {
            Some((sine, _)) => result(sine),
            None if self.is_nan() => self,
            None => Self::Infinite {
                negative: self.is_negative(),
            },
        }
    }

    pub(crate) fn cosh(self) -> Self {
        match self.hyperbolic() {
            Some((_, cosine)) => result(cosine),
            None if self.is_nan() => self,
            None => Self::Infinite { negative: false },
        }
    }

    pub(crate) fn tanh(self) -> Self {
        match self.hyperbolic() {
            Some((sine, cosine)) => result(sine.over(cosine)),
            None if self.is_nan() => self,
            None if self.is_negative() => (-1i64).into(),
            None => 1i64.into(),
        }
    }

    /// `None` beyond what has a finite exponential.
    fn hyperbolic(self) -> Option<(Float, Float)> {
        let n = quad(self)?;
        (n.is_zero() || n.scale() <= EXPONENT_BOUND).then(|| n.sinh_cosh())
    }

    pub(crate) fn asinh(self) -> Self {
        quad(self).map_or(self, |n| result(n.asinh()))
    }

    pub(crate) fn acosh(self) -> Self {
        quad(self).map_or(self, |n| result(n.acosh()))
    }

    pub(crate) fn atanh(self) -> Self {
        match quad(self) {
            None => Self::Nan,
            Some(_) if self.abs().subtract(1i64.into()).is_zero() => Self::Infinite {
                negative: self.is_negative(),
            },
            Some(n) => result(n.atanh()),
        }
    }

    pub(crate) fn radians(self) -> Self {
        self.multiply(result(Float::pi().over_small(180)))
    }

    pub(crate) fn degrees(self) -> Self {
        self.multiply(result(Float::integer(180).over(Float::pi())))
    }
}

/// A quarter of a turn.
fn quarter() -> Float {
    Float::pi().shifted(-1)
}

#[cfg(test)]
mod tests {
    use bson::Decimal128;

    use super::Decimal;

    /// What mongod 6.0.5 answers.
    #[test]
    fn angles_of_points() {
        for (y, x, angle) in [
            ("0.1", "2.25", "0.04441521524691083528137692199401546"),
            ("1", "-2.25", "2.723368324010564137271471554252503"),
            ("-0", "-1", "-3.141592653589793238462643383279503"),
            ("1", "-0", "1.570796326794896619231321691639751"),
            ("-1E+37", "1", "-1.570796326794896619231321691639751"),
            ("3E-40", "1", "3E-40"),
            ("3E-40", "-1", "3.141592653589793238462643383279503"),
            ("0E+3", "1", "0E-6176"),
            ("1E-6176", "9E+6111", "0E-6176"),
            (
                "Infinity",
                "Infinity",
                "0.785398163397448309615660845819876",
            ),
            (
                "-Infinity",
                "-Infinity",
                "-2.356194490192344928846982537459627",
            ),
            ("1", "Infinity", "0E-6176"),
            ("1", "-Infinity", "3.141592653589793238462643383279503"),
        ] {
            let read = |text: &str| Decimal::from(text.parse::<Decimal128>().expect("a decimal"));
            let found = Decimal128::from(read(y).atan2(read(x)));
            assert_eq!(found.to_string(), angle, "{y} {x}");
        }
    }
}
