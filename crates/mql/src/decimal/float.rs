//! Binary numbers of 256 bits, in which the functions of decimals are
//! computed: more than twice what a decimal holds.

use super::arithmetic::{DIGITS_MAX, Decimal, Finite, fit};
use super::wide::Wide;

const BITS: u32 = 256;

/// `±mantissa × 2^exponent`, the mantissa of 256 bits; zero has none. Results
/// are cut off, not rounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float {
    pub(super) negative: bool,
    mantissa: Wide,
    exponent: i32,
}

impl Float {
    pub(super) const ZERO: Self = Self {
        negative: false,
        mantissa: Wide::ZERO,
        exponent: 0,
    };

    fn new(negative: bool, mantissa: Wide, exponent: i32) -> Self {
        let bits = mantissa.bits();
        if bits == 0 {
            return Self::ZERO;
        }
        let (mantissa, exponent) = if bits > BITS {
            (
                mantissa.shift_right(bits - BITS),
                exponent + (bits - BITS) as i32,
            )
        } else {
            (
                mantissa.shift_left(BITS - bits),
                exponent - (BITS - bits) as i32,
            )
        };
        Self {
            negative,
            mantissa,
            exponent,
        }
    }

    pub(super) fn integer(n: i64) -> Self {
        Self::new(n < 0, Wide::from(u128::from(n.unsigned_abs())), 0)
    }

    pub(super) fn of(n: Finite) -> Self {
        Self::new(n.negative, Wide::from(n.coefficient), 0).times(Self::ten(n.exponent))
    }

    /// `10^power`.
    fn ten(power: i32) -> Self {
        let mut result = Self::integer(1);
        let mut square = Self::integer(10);
        let mut left = power.unsigned_abs();
        while left > 0 {
            if left & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            left >>= 1;
        }
        if power < 0 {
            Self::integer(1).over(result)
        } else {
            result
        }
    }

    /// The nearest decimal of 34 digits.
    pub(super) fn decimal(self) -> Decimal {
        if self.is_zero() {
            return Decimal::from(0i64);
        }
        if let Some(exact) = self.exact() {
            return exact;
        }
        // Of the power of ten, what the power of two says, and one to spare.
        let digits = f64::from(self.exponent + BITS as i32) * std::f64::consts::LOG10_2;
        let shift = DIGITS_MAX as i32 + 4 - digits as i32;
        let scaled = self.times(Self::ten(shift));
        // Eight digits more than are kept, the last of them rounded, so that
        // what is a whole number but for the last bits becomes one.
        let scaled = scaled.times(Self::integer(100_000_000)).rounded();
        fit(self.negative, scaled, -shift - 8, false)
    }

    /// The value in digits, when they are no more than a decimal has.
    fn exact(self) -> Option<Decimal> {
        let zeros = self.mantissa.trailing_zeros();
        let odd = self.mantissa.shift_right(zeros);
        let exponent = self.exponent + zeros as i32;
        if exponent >= 0 {
            let fits = exponent + odd.bits() as i32 <= 128;
            let whole = fits.then(|| odd.shift_left(exponent as u32))?;
            return (whole.digits() <= DIGITS_MAX).then(|| fit(self.negative, whole, 0, false));
        }
        // Every halving is a digit more.
        let places = exponent.unsigned_abs();
        if places > 48 || odd.bits() > 113 {
            return None;
        }
        let coefficient = (0..places).fold(odd, |n, _| n.times(5));
        (coefficient.digits() <= DIGITS_MAX)
            .then(|| fit(self.negative, coefficient, exponent, false))
    }

    /// The magnitude rounded to an integer, which is below 2^256.
    fn rounded(self) -> Wide {
        if self.exponent >= 0 {
            return self.mantissa.shift_left(self.exponent as u32);
        }
        let drop = self.exponent.unsigned_abs();
        if drop > BITS {
            return Wide::ZERO;
        }
        let half = Wide::from(1).shift_left(drop - 1);
        self.mantissa.plus(&half).shift_right(drop)
    }

    /// The nearest integer.
    pub(super) fn nearest(self) -> i64 {
        let size = i64::try_from(self.rounded().low()).unwrap_or(i64::MAX);
        if self.negative { -size } else { size }
    }

    /// Rounded to `bits` bits, half to even.
    pub(super) fn to_bits(self, bits: u32) -> Self {
        let drop = BITS - bits;
        let half = Wide::from(1).shift_left(drop - 1);
        let kept = self.mantissa.plus(&half).shift_right(drop);
        Self::new(self.negative, kept, self.exponent + drop as i32)
    }

    pub(super) fn is_zero(self) -> bool {
        self.mantissa.is_zero()
    }

    /// The power of two that the magnitude is at or above, and below the next.
    pub(super) fn scale(self) -> i32 {
        self.exponent + BITS as i32 - 1
    }

    pub(super) fn negated(self) -> Self {
        Self {
            negative: !self.negative && !self.is_zero(),
            ..self
        }
    }

    pub(super) fn abs(self) -> Self {
        Self {
            negative: false,
            ..self
        }
    }

    /// Times `2^by`.
    pub(super) fn shifted(self, by: i32) -> Self {
        if self.is_zero() {
            return self;
        }
        Self {
            exponent: self.exponent + by,
            ..self
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        if self.is_zero() {
            return other;
        }
        if other.is_zero() {
            return self;
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let apart = (high.exponent - low.exponent) as u32;
        if apart > BITS - 2 {
            return high;
        }
        let upper = high.mantissa.shift_left(apart);
        if high.negative == low.negative {
            return Self::new(high.negative, upper.plus(&low.mantissa), low.exponent);
        }
        if upper >= low.mantissa {
            Self::new(high.negative, upper.minus(&low.mantissa), low.exponent)
        } else {
            Self::new(low.negative, low.mantissa.minus(&upper), low.exponent)
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self::new(
            self.negative != other.negative,
            self.mantissa.multiply(&other.mantissa),
            self.exponent + other.exponent,
        )
    }

    pub(super) fn over(self, other: Self) -> Self {
        let (quotient, _) = self.mantissa.shift_left(BITS - 1).divide(&other.mantissa);
        Self::new(
            self.negative != other.negative,
            quotient,
            self.exponent - other.exponent - (BITS as i32 - 1),
        )
    }

    /// Divided by a small number.
    pub(super) fn over_small(self, by: u32) -> Self {
        let (quotient, _) = self.mantissa.shift_left(64).by_word(u64::from(by));
        Self::new(self.negative, quotient, self.exponent - 64)
    }

    pub(super) fn sqrt(self) -> Self {
        if self.is_zero() {
            return self;
        }
        let odd = self.exponent.rem_euclid(2);
        let (root, _) = self.mantissa.shift_left(BITS - 2 + odd as u32).root();
        Self::new(
            false,
            root,
            (self.exponent - (BITS as i32 - 2) - odd).div_euclid(2),
        )
    }

    /// `e^x`, for magnitudes below 2^30.
    pub(super) fn exp(self) -> Self {
        const HALVINGS: i32 = 12;
        let two = Self::ln_2();
        let whole = self.over(two).nearest();
        let rest = self
            .minus(two.times(Self::integer(whole)))
            .shifted(-HALVINGS);
        let mut term = Self::integer(1);
        let mut sum = term;
        for n in 1..40 {
            term = term.times(rest).over_small(n);
            sum = sum.plus(term);
        }
        for _ in 0..HALVINGS {
            sum = sum.times(sum);
        }
        sum.shifted(whole as i32)
    }

    /// The natural logarithm of what is above zero.
    pub(super) fn ln(self) -> Self {
        // A number between three quarters and one and a half, times 2^power.
        let mut power = self.scale();
        let mut near = self.shifted(-power);
        if near.minus(Self::integer(3).shifted(-1)).is_positive() {
            near = near.shifted(-1);
            power += 1;
        }
        let one = Self::integer(1);
        let ratio = near.minus(one).over(near.plus(one));
        let sum = ratio.atanh_series();
        sum.shifted(1)
            .plus(Self::ln_2().times(Self::integer(i64::from(power))))
    }

    fn is_positive(self) -> bool {
        !self.negative && !self.is_zero()
    }

    fn atanh_series(self) -> Self {
        self.odd_series(false)
    }

    /// `x ± x³/3 + x⁵/5 ± …`, for magnitudes up to a quarter.
    fn odd_series(self, alternating: bool) -> Self {
        let square = self.times(self);
        let mut power = self;
        let mut sum = self;
        for n in 1..70 {
            power = power.times(square);
            if alternating {
                power = power.negated();
            }
            sum = sum.plus(power.over_small(2 * n + 1));
            if power.is_zero() || power.scale() < sum.scale() - BITS as i32 {
                break;
            }
        }
        sum
    }

    fn ln_2() -> Self {
        static LN_2: std::sync::LazyLock<Float> =
            std::sync::LazyLock::new(|| Float::integer(1).over_small(3).atanh_series().shifted(1));
        *LN_2
    }

    pub(super) fn ln_10() -> Self {
        static LN_10: std::sync::LazyLock<Float> =
            std::sync::LazyLock::new(|| Float::integer(10).ln());
        *LN_10
    }

    /// The arc tangent.
    pub(super) fn atan(self) -> Self {
        // Halve the angle until the series is short.
        const HALVINGS: i32 = 3;
        let one = Self::integer(1);
        let mut x = self;
        for _ in 0..HALVINGS {
            let root = one.plus(x.times(x)).sqrt();
            x = x.over(one.plus(root));
        }
        x.odd_series(true).shifted(HALVINGS)
    }

    pub(super) fn pi() -> Self {
        // Machin's sum.
        static PI: std::sync::LazyLock<Float> = std::sync::LazyLock::new(|| {
            let fifth = Float::integer(1).over_small(5).odd_series(true);
            let other = Float::integer(1).over_small(239).odd_series(true);
            fifth.shifted(2).minus(other).shifted(2)
        });
        *PI
    }

    /// Sine and cosine; of what is above 2^140 neither is known here.
    pub(super) fn sin_cos(self) -> Option<(Self, Self)> {
        const SCALE_MAX: i32 = 140;
        if self.scale() > SCALE_MAX && !self.is_zero() {
            return None;
        }
        let quarter = Self::pi().shifted(-1);
        let turns = self.over(quarter).rounded();
        let angle = quarter.times(Self::new(self.negative, turns, 0));
        let rest = self.minus(angle);
        let square = rest.times(rest).negated();
        let (mut sine, mut cosine) = (rest, Self::integer(1));
        let (mut odd, mut even) = (rest, Self::integer(1));
        for n in 1..45 {
            even = even.times(square).over_small(2 * n * (2 * n - 1));
            odd = odd.times(square).over_small(2 * n * (2 * n + 1));
            cosine = cosine.plus(even);
            sine = sine.plus(odd);
        }
        let quadrant = (turns.low() & 3) as u8;
        Some(
            match if self.negative {
                (4 - quadrant) & 3
            } else {
                quadrant
            } {
                0 => (sine, cosine),
                1 => (cosine, sine.negated()),
                2 => (sine.negated(), cosine.negated()),
                _ => (cosine.negated(), sine),
            },
        )
    }

    /// The arc sine of what is at most one.
    pub(super) fn asin(self) -> Self {
        let one = Self::integer(1);
        let cosine = one.minus(self).times(one.plus(self));
        if cosine.is_zero() {
            let quarter = Self::pi().shifted(-1);
            return if self.negative {
                quarter.negated()
            } else {
                quarter
            };
        }
        self.over(cosine.sqrt()).atan()
    }

    /// Hyperbolic sine and cosine.
    pub(super) fn sinh_cosh(self) -> (Self, Self) {
        let up = self.exp();
        let down = Self::integer(1).over(up);
        let sine = if self.is_small() {
            let square = self.times(self);
            self.plus(self.times(square).over_small(6))
        } else {
            up.minus(down).shifted(-1)
        };
        (sine, up.plus(down).shifted(-1))
    }

    /// Whether two terms of a series are enough where `e^x` loses too much.
    fn is_small(self) -> bool {
        self.is_zero() || self.scale() < -60
    }

    /// The inverse of the hyperbolic sine.
    pub(super) fn asinh(self) -> Self {
        if self.is_small() {
            let cube = self.times(self).times(self);
            return self.minus(cube.over_small(6));
        }
        let size = self.abs();
        let one = Self::integer(1);
        let result = size.plus(size.times(size).plus(one).sqrt()).ln();
        if self.negative {
            result.negated()
        } else {
            result
        }
    }

    /// The inverse of the hyperbolic cosine, of what is at least one.
    pub(super) fn acosh(self) -> Self {
        let one = Self::integer(1);
        let under = self.minus(one).times(self.plus(one));
        self.plus(under.sqrt()).ln()
    }

    /// The inverse of the hyperbolic tangent, of what is below one.
    pub(super) fn atanh(self) -> Self {
        if self.is_small() {
            let cube = self.times(self).times(self);
            return self.plus(cube.over_small(3));
        }
        let one = Self::integer(1);
        one.plus(self).over(one.minus(self)).ln().shifted(-1)
    }
}
