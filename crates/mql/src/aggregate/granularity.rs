//! Series of preferred numbers, to which `$bucketAuto` rounds its boundaries:
//! the Renard and E series (ISO 3, IEC 60063), 1-2-5 and powers of two.

use bson::Bson;

use super::parse::kind;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::number;
use crate::order::into_raw;

/// A series of preferred numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Granularity {
    /// One decade of a series that repeats in each.
    Series(&'static [f64]),
    PowersOfTwo,
}

const SERIES: &[(&str, &[f64])] = &[
    ("R5", &[10., 16., 25., 40., 63.]),
    (
        "R10",
        &[100., 125., 160., 200., 250., 315., 400., 500., 630., 800.],
    ),
    (
        "R20",
        &[
            100., 112., 125., 140., 160., 180., 200., 224., 250., 280., 315., 355., 400., 450.,
            500., 560., 630., 710., 800., 900.,
        ],
    ),
    (
        "R40",
        &[
            100., 106., 112., 118., 125., 132., 140., 150., 160., 170., 180., 190., 200., 212.,
            224., 236., 250., 265., 280., 300., 315., 355., 375., 400., 425., 450., 475., 500.,
            530., 560., 600., 630., 670., 710., 750., 800., 850., 900., 950.,
        ],
    ),
    (
        "R80",
        &[
            103., 109., 115., 122., 128., 136., 145., 155., 165., 175., 185., 195., 206., 218.,
            230., 243., 258., 272., 290., 307., 325., 345., 365., 387., 412., 437., 462., 487.,
            515., 545., 575., 615., 650., 690., 730., 775., 825., 875., 925., 975.,
        ],
    ),
    ("1-2-5", &[10., 20., 50.]),
    ("E6", &[10., 15., 22., 33., 47., 68.]),
    (
        "E12",
        &[10., 12., 15., 18., 22., 27., 33., 39., 47., 56., 68., 82.],
    ),
    (
        "E24",
        &[
            10., 11., 12., 13., 15., 16., 18., 20., 22., 24., 27., 30., 33., 36., 39., 43., 47.,
            51., 56., 62., 68., 75., 82., 91.,
        ],
    ),
];

impl Granularity {
    pub(super) fn named(name: &str) -> Result<Self> {
        if name == "POWERSOF2" {
            return Ok(Self::PowersOfTwo);
        }
        if matches!(name, "E48" | "E96" | "E192") {
            return Err(MqlError::new(
                115,
                format!("the granularity {name} is not supported by this engine"),
            ));
        }
        let found = SERIES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, series)| Self::Series(series))
            .ok_or_else(|| MqlError::new(40257, format!("Unknown rounding granularity '{name}'")))
    }

    /// Refuses a value that cannot be rounded.
    pub(super) fn check(value: &Bson) -> Result<()> {
        let refused = |code: i32, text: String| Err(MqlError::new(code, text));
        match number::double(value) {
            None => refused(
                40258,
                format!(
                    "$bucketAuto can specify a 'granularity' with numeric boundaries only, but found a value with type: {}",
                    kind(into_raw(value.clone()).as_raw_bson_ref())
                ),
            ),
            Some(n) if n.is_nan() => refused(
                40259,
                "$bucketAuto can specify a 'granularity' with numeric boundaries only, but found a NaN"
                    .to_owned(),
            ),
            Some(n) if n < 0.0 => refused(
                40260,
                format!(
                    "$bucketAuto can specify a 'granularity' with non-negative numbers only, but found a negative number: {n}"
                ),
            ),
            Some(_) => Ok(()),
        }
    }

    /// The next number of the series above the value.
    pub(super) fn up(self, value: &Bson) -> Result<Bson> {
        Self::check(value)?;
        if let Bson::Decimal128(n) = value {
            return Ok(Bson::Decimal128(self.decimal((*n).into(), true).into()));
        }
        let n = number::double(value).unwrap_or(0.0);
        if n == 0.0 || n.is_infinite() {
            return Ok(value.clone());
        }
        Ok(match self {
            Self::PowersOfTwo => power(n.log2().floor() as i32 + 1, value),
            Self::Series(series) => Bson::Double(series_up(series, n)),
        })
    }

    /// The next number of the series below the value.
    pub(super) fn down(self, value: &Bson) -> Result<Bson> {
        Self::check(value)?;
        if let Bson::Decimal128(n) = value {
            return Ok(Bson::Decimal128(self.decimal((*n).into(), false).into()));
        }
        let n = number::double(value).unwrap_or(0.0);
        if n == 0.0 || n.is_infinite() {
            return Ok(value.clone());
        }
        Ok(match self {
            Self::PowersOfTwo => power(n.log2().ceil() as i32 - 1, value),
            Self::Series(series) => Bson::Double(series_down(series, n)),
        })
    }
}

impl Granularity {
    /// The next number above or below a decimal. What is too near an end of all
    /// decimals stays as it is.
    fn decimal(self, n: Decimal, up: bool) -> Decimal {
        let Decimal::Finite(digits) = n else {
            return n;
        };
        if n.is_zero() {
            return n;
        }
        match self {
            Self::PowersOfTwo => {
                let size = (digits.coefficient as f64).log2()
                    + f64::from(digits.exponent) * std::f64::consts::LOG2_10;
                let two = |power: i64| Decimal::from(2i64).pow(power.into());
                // The estimate may be one off where a power is near.
                let near = size.floor() as i64;
                let powers = (near - 1..=near + 2).map(two);
                let found = if up {
                    powers.clone().find(|power| less(n, *power))
                } else {
                    powers.clone().rev().find(|power| less(*power, n))
                };
                found.filter(|found| !found.is_zero()).unwrap_or(n)
            }
            Self::Series(series) => {
                let found = decimal_series(series, n, up);
                match found {
                    Decimal::Finite(_) if !found.is_zero() => found,
                    _ => n,
                }
            }
        }
    }
}

fn less(a: Decimal, b: Decimal) -> bool {
    a.subtract(b).is_negative()
}

/// [`series_up`] and [`series_down`] of a decimal.
fn decimal_series(series: &[f64], n: Decimal, up: bool) -> Decimal {
    let ten = Decimal::from(10i64);
    let (first, last) = ends(series);
    let (first, last) = (Decimal::of_f64(first), Decimal::of_f64(last));
    let beyond = |end: Decimal| if up { !less(n, end) } else { less(end, n) };
    let before = |end: Decimal| if up { less(n, end) } else { !less(end, n) };
    let mut scale = Decimal::from(1i64);
    if up {
        while beyond(last.multiply(scale)) {
            scale = scale.multiply(ten);
        }
        while before(first.multiply(scale)) {
            let least = first.multiply(scale);
            scale = scale.divide(ten);
            if beyond(last.multiply(scale)) {
                return least;
            }
        }
    } else {
        while before(first.multiply(scale)) {
            scale = scale.divide(ten);
            if scale.is_zero() {
                return scale;
            }
        }
        while beyond(last.multiply(scale)) {
            let most = last.multiply(scale);
            scale = scale.multiply(ten);
            if before(first.multiply(scale)) {
                return most;
            }
        }
    }
    let mut numbers = series
        .iter()
        .map(|number| Decimal::of_f64(*number).multiply(scale));
    let found = if up {
        numbers.find(|number| less(n, *number))
    } else {
        numbers.rfind(|number| less(*number, n))
    };
    found.unwrap_or(n)
}

/// A power of two, whole for whole values.
fn power(exponent: i32, like: &Bson) -> Bson {
    match u32::try_from(exponent) {
        Ok(whole) if whole < 63 && number::integer(like).is_some() => {
            let n = 1i64 << whole;
            match (i32::try_from(n), like) {
                (Ok(n), Bson::Int32(_)) => Bson::Int32(n),
                _ => Bson::Int64(n),
            }
        }
        _ => Bson::Double(2f64.powi(exponent)),
    }
}

fn ends(series: &[f64]) -> (f64, f64) {
    let first = series.first().copied().unwrap_or(1.0);
    (first, series.last().copied().unwrap_or(1.0))
}

fn series_up(series: &[f64], n: f64) -> f64 {
    let (first, last) = ends(series);
    let mut scale = 1.0;
    while n >= last * scale {
        scale *= 10.0;
    }
    while n < first * scale {
        let least = first * scale;
        scale /= 10.0;
        if n >= last * scale {
            return least;
        }
    }
    let above = series.iter().find(|number| n < **number * scale);
    above.copied().unwrap_or(last) * scale
}

fn series_down(series: &[f64], n: f64) -> f64 {
    let (first, last) = ends(series);
    let mut scale = 1.0;
    while n <= first * scale {
        scale /= 10.0;
    }
    while n > last * scale {
        let most = last * scale;
        scale *= 10.0;
        if n <= first * scale {
            return most;
        }
    }
    let below = series.iter().rev().find(|number| **number * scale < n);
    below.copied().unwrap_or(first) * scale
}
