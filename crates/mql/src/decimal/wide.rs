//! Unsigned integers of 512 bits: room for the exact product or the scaled
//! dividend of two coefficients of 34 digits, and for fixed-point series.

use std::cmp::Ordering;

const WORDS: usize = 8;

/// An unsigned integer of 512 bits, least significant word first. Operations
/// wrap; callers keep their values small enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wide([u64; WORDS]);

impl From<u128> for Wide {
    fn from(n: u128) -> Self {
        let mut words = [0; WORDS];
        words[0] = n as u64;
        words[1] = (n >> 64) as u64;
        Self(words)
    }
}

impl Ord for Wide {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Wide {
    pub(super) const ZERO: Self = Self([0; WORDS]);

    /// `10^power`, for powers up to 154.
    pub(super) fn ten(power: u32) -> Self {
        let mut result = Self::from(1);
        let mut left = power;
        while left > 0 {
            let step = left.min(19);
            result = result.times(10u64.pow(step));
            left -= step;
        }
        result
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(super) fn is_odd(&self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The low 128 bits.
    pub(super) fn low(&self) -> u128 {
        u128::from(self.0[0]) | u128::from(self.0[1]) << 64
    }

    /// Bits up to the highest that is set.
    pub(super) fn bits(&self) -> u32 {
        let unused: u32 = match self.0.iter().rposition(|&word| word != 0) {
            None => return 0,
            Some(top) => (WORDS - 1 - top) as u32 * 64 + self.0[top].leading_zeros(),
        };
        WORDS as u32 * 64 - unused
    }

    pub(super) fn trailing_zeros(&self) -> u32 {
        match self.0.iter().position(|&word| word != 0) {
            None => WORDS as u32 * 64,
            Some(at) => at as u32 * 64 + self.0[at].trailing_zeros(),
        }
    }

    pub(super) fn plus(mut self, other: &Self) -> Self {
        let mut carry = false;
        for (word, by) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = word.overflowing_add(by);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *word = sum;
            carry = first || second;
        }
        self
    }

    /// `self - other`, which is not above `self`.
    pub(super) fn minus(mut self, other: &Self) -> Self {
        let mut borrow = false;
        for (word, by) in self.0.iter_mut().zip(other.0) {
            let (rest, first) = word.overflowing_sub(by);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *word = rest;
            borrow = first || second;
        }
        self
    }

    pub(super) fn times(mut self, by: u64) -> Self {
        let mut carry = 0u128;
        for word in &mut self.0 {
            let product = u128::from(*word) * u128::from(by) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
        self
    }

    pub(super) fn multiply(&self, other: &Self) -> Self {
        let mut result = [0u64; WORDS];
        for (i, &a) in self.0.iter().enumerate() {
            if a == 0 {
                continue;
            }
            let mut carry = 0u128;
            for (word, &b) in result[i..].iter_mut().zip(&other.0) {
                let sum = u128::from(a) * u128::from(b) + u128::from(*word) + carry;
                *word = sum as u64;
                carry = sum >> 64;
            }
        }
        Self(result)
    }

    /// The quotient and the rest by a word that is not zero.
    pub(super) fn by_word(mut self, by: u64) -> (Self, u64) {
        let mut rest = 0u128;
        for word in self.0.iter_mut().rev() {
            let value = rest << 64 | u128::from(*word);
            *word = (value / u128::from(by)) as u64;
            rest = value % u128::from(by);
        }
        (self, rest as u64)
    }

    /// The quotient and the rest; of zero, zero and the dividend.
    pub(super) fn divide(&self, by: &Self) -> (Self, Self) {
        let (mut quotient, mut rest) = (Self::ZERO, *self);
        if by.is_zero() || self < by {
            return (quotient, rest);
        }
        let mut shift = self.bits() - by.bits();
        let mut shifted = by.shift_left(shift);
        loop {
            if shifted <= rest {
                rest = rest.minus(&shifted);
                quotient.0[shift as usize / 64] |= 1 << (shift % 64);
            }
            if shift == 0 {
                return (quotient, rest);
            }
            shift -= 1;
            shifted = shifted.shift_right(1);
        }
    }

    pub(super) fn shift_left(&self, by: u32) -> Self {
        let (words, bits) = (by as usize / 64, by % 64);
        let mut result = [0u64; WORDS];
        let mut below = 0;
        for (word, &from) in result.iter_mut().skip(words).zip(&self.0) {
            // In two steps, as a shift by 64 is none.
            *word = from << bits | below >> 1 >> (63 - bits);
            below = from;
        }
        Self(result)
    }

    pub(super) fn shift_right(&self, by: u32) -> Self {
        let (words, bits) = (by as usize / 64, by % 64);
        let mut result = [0u64; WORDS];
        let mut above = 0;
        for (word, &from) in result.iter_mut().rev().skip(words).zip(self.0.iter().rev()) {
            *word = from >> bits | above << 1 << (63 - bits);
            above = from;
        }
        Self(result)
    }

    /// The whole part of the square root, and what is over.
    pub(super) fn root(&self) -> (Self, Self) {
        if self.is_zero() {
            return (Self::ZERO, Self::ZERO);
        }
        // Newton's steps from above fall until they reach the root.
        let mut guess = Self::from(1).shift_left(self.bits().div_ceil(2));
        loop {
            let next = guess.plus(&self.divide(&guess).0).shift_right(1);
            if next >= guess {
                return (guess, self.minus(&guess.multiply(&guess)));
            }
            guess = next;
        }
    }

    /// The number of decimal digits; none for zero.
    pub(super) fn digits(&self) -> u32 {
        let bits = self.bits();
        if bits == 0 {
            return 0;
        }
        // log10(2) is a little below 30103/100000.
        let low = (bits - 1) * 30_103 / 100_000 + 1;
        low + u32::from(*self >= Self::ten(low))
    }
}

#[cfg(test)]
mod tests {
    use super::Wide;

    #[test]
    fn division_and_roots_multiply_back() {
        let (a, b) = (
            Wide::ten(100).plus(&Wide::from(12_345)),
            Wide::ten(37).times(7),
        );
        let (quotient, rest) = a.divide(&b);
        assert!(rest < b);
        assert_eq!(quotient.multiply(&b).plus(&rest), a);
        assert_eq!(a.digits(), 101);
        let (root, over) = a.root();
        assert_eq!(root.multiply(&root).plus(&over), a);
        let next = root.plus(&Wide::from(1));
        assert!(next.multiply(&next) > a);
        assert_eq!(a.by_word(10).0.times(10).plus(&Wide::from(5)), a);
        for digits in 1..150 {
            assert_eq!(Wide::ten(digits).digits(), digits + 1);
            assert_eq!(Wide::ten(digits).minus(&Wide::from(1)).digits(), digits);
        }
    }
}
