//! Tests of the values at a path.

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{RawArray, RawBson, RawDocument};

use super::{Node, node};
use crate::collation::Collation;
use crate::decimal::{Decimal, Rounding};
use crate::error::Result;
use crate::number::TWO_63;
use crate::order::{compare_with, rank};
use crate::path::{self, Part};
use crate::regex::Regex;

/// What the values at a path have to satisfy.
#[derive(Debug, Clone)]
pub enum Test {
    /// A comparison with a constant, type-bracketed.
    Compare(Compare, RawBson),
    /// `$in`: equal to one of these, which are sorted, or matching one of the
    /// regular expressions.
    In(Vec<RawBson>, Vec<Regex>),
    /// `$exists: true`.
    Exists,
    /// `$type`: one of the types by their BSON number.
    Type(Vec<TypeTest>),
    /// `$all` and several operators on one path: each by some value.
    All(Vec<Test>),
    /// `$elemMatch` with a query.
    ElementMatches(Box<Node>),
    /// `$elemMatch` with operators.
    ElementPasses(Vec<Test>),
    /// `$size`.
    Size(i64),
    /// `$mod`: divisor and remainder.
    Mod(i64, i64),
    /// `$regex` or a regular expression.
    Regex(Regex),
    /// `$bitsAllSet` and its kin: mask, all or any, set or clear.
    Bits {
        /// The bits to look at.
        mask: Mask,
        /// All of them, or any.
        all: bool,
        /// Set, or clear.
        set: bool,
    },
    /// The complement: `$not`, `$ne`, `$nin`, `$exists: false`.
    Not(Box<Test>),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `$eq`
    Eq,
    /// `$lt`
    Lt,
    /// `$lte`
    Lte,
    /// `$gt`
    Gt,
    /// `$gte`
    Gte,
}

/// One type of a `$type` test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeTest {
    /// Any of the four numeric types.
    Number,
    /// A BSON type number.
    Is(i8),
}

impl Test {
    /// # Errors
    /// What a regular expression fails with.
    pub(crate) fn matches(
        &self,
        document: &RawDocument,
        parts: &[Part],
        collation: Option<&Collation>,
    ) -> Result<bool> {
        match self {
            Self::Not(test) => Ok(!test.matches(document, parts, collation)?),
            Self::All(tests) => every(tests, |test| test.matches(document, parts, collation)),
            _ => {
                let mut failed = None;
                let found = path::visit_ends(document, parts, &mut |value, end| {
                    let result = if end.indexed {
                        self.end(value, collation)
                    } else {
                        self.leaf(value, collation)
                    };
                    result.unwrap_or_else(|error| {
                        failed = Some(error);
                        true
                    })
                });
                failed.map_or(Ok(found), Err)
            }
        }
    }

    /// One value at the end of the path: itself, and if it is an array, each
    /// of its elements.
    fn leaf(&self, value: Option<RawBsonRef<'_>>, collation: Option<&Collation>) -> Result<bool> {
        if self.end(value, collation)? {
            return Ok(true);
        }
        match value {
            Some(RawBsonRef::Array(array)) if !self.is_of_arrays() => {
                any(array.into_iter().flatten(), |element| {
                    self.scalar(Some(element), collation)
                })
            }
            _ => Ok(false),
        }
    }

    /// One value at the end of the path, without looking into it.
    fn end(&self, value: Option<RawBsonRef<'_>>, collation: Option<&Collation>) -> Result<bool> {
        match value {
            Some(RawBsonRef::Array(array)) if self.is_of_arrays() => self.array(array, collation),
            _ => self.scalar(value, collation),
        }
    }

    fn is_of_arrays(&self) -> bool {
        matches!(
            self,
            Self::ElementMatches(_) | Self::ElementPasses(_) | Self::Size(_)
        )
    }

    fn array(&self, array: &RawArray, collation: Option<&Collation>) -> Result<bool> {
        match self {
            Self::Size(size) => Ok(array.into_iter().count() as i64 == *size),
            _ => any(array.into_iter().flatten(), |element| {
                self.element(element, collation)
            }),
        }
    }

    pub(crate) fn element(
        &self,
        element: RawBsonRef<'_>,
        collation: Option<&Collation>,
    ) -> Result<bool> {
        match self {
            Self::ElementMatches(query) => match element {
                RawBsonRef::Document(inner) => node(query, inner, collation),
                // An array's positions are its field names.
                RawBsonRef::Array(inner) => match RawDocument::from_bytes(inner.as_bytes()) {
                    Ok(inner) => node(query, inner, collation),
                    Err(_) => Ok(false),
                },
                _ => Ok(false),
            },
            Self::ElementPasses(tests) => every(tests, |test| test.passes(element, collation)),
            _ => Ok(false),
        }
    }

    /// A test inside `$elemMatch`, of one element without looking into it.
    fn passes(&self, element: RawBsonRef<'_>, collation: Option<&Collation>) -> Result<bool> {
        match self {
            Self::Not(test) => Ok(!test.passes(element, collation)?),
            Self::All(tests) => every(tests, |test| test.passes(element, collation)),
            _ => self.end(Some(element), collation),
        }
    }

    fn scalar(&self, value: Option<RawBsonRef<'_>>, collation: Option<&Collation>) -> Result<bool> {
        Ok(match self {
            Self::Compare(compare, operand) => comparison(*compare, value, operand, collation),
            Self::In(operands, regexes) => {
                // A missing field equals null.
                let value_or_null = match value {
                    None | Some(RawBsonRef::Undefined) => RawBsonRef::Null,
                    Some(value) => value,
                };
                operands
                    .binary_search_by(|operand| {
                        compare_with(operand.as_raw_bson_ref(), value_or_null, collation)
                    })
                    .is_ok_and(|at| comparison(Compare::Eq, value, &operands[at], collation))
                    || any(regexes.iter(), |regex| matches(regex, value))?
            }
            Self::Exists => value.is_some(),
            Self::Type(types) => value.is_some_and(|value| {
                types.iter().any(|test| match test {
                    TypeTest::Number => rank(value) == 10,
                    TypeTest::Is(number) => value.element_type() as u8 as i8 == *number,
                })
            }),
            Self::Mod(divisor, remainder) => value
                .and_then(whole)
                .is_some_and(|n| n.wrapping_rem(*divisor) == *remainder),
            Self::Regex(regex) => matches(regex, value)?,
            Self::Bits { mask, all, set } => value
                .and_then(Bits::of)
                .is_some_and(|bits| mask.holds(&bits, *all, *set)),
            Self::Not(test) => !test.scalar(value, collation)?,
            Self::All(tests) => every(tests, |test| test.scalar(value, collation))?,
            Self::ElementMatches(_) | Self::ElementPasses(_) | Self::Size(_) => false,
        })
    }

    /// Through which array's element, if any, the first value at the path's end
    /// that satisfies the test is reached; `None` where there is none.
    pub(super) fn position(
        &self,
        document: &RawDocument,
        parts: &[Part],
        collation: Option<&Collation>,
    ) -> Option<Option<usize>> {
        let mut found = None;
        path::visit_ends(document, parts, &mut |value, end| {
            let own = self.place(value, end.indexed, collation);
            found = own.map(|own| end.element.or(own));
            found.is_some()
        });
        found
    }

    /// Which element of a value at the path's end satisfies the test, or
    /// `Some(None)` when it is the value itself.
    fn place(
        &self,
        value: Option<RawBsonRef<'_>>,
        indexed: bool,
        collation: Option<&Collation>,
    ) -> Option<Option<usize>> {
        if matches!(self, Self::Not(_)) {
            return None;
        }
        // What fails has failed before, when the document was matched.
        let holds = |held: Result<bool>| held.unwrap_or(false);
        let elements = match value {
            Some(RawBsonRef::Array(array)) if !matches!(self, Self::Size(_)) => Some(array),
            _ => None,
        };
        let mut elements = elements.into_iter().flatten().flatten();
        match self {
            Self::ElementMatches(_) | Self::ElementPasses(_) => elements
                .position(|element| holds(self.element(element, collation)))
                .map(Some),
            _ if indexed => None,
            _ => elements
                .position(|element| holds(self.scalar(Some(element), collation)))
                .map(Some),
        }
        .or_else(|| holds(self.end(value, collation)).then_some(None))
    }
}

/// Whether `test` holds for one of the items; the first failure ends it.
pub(super) fn any<T>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool>,
) -> Result<bool> {
    for item in items {
        if test(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `holds` is true of every test; the first failure ends it.
fn every(tests: &[Test], mut holds: impl FnMut(&Test) -> Result<bool>) -> Result<bool> {
    Ok(!any(tests, |test| Ok(!holds(test)?))?)
}

fn comparison(
    compare_by: Compare,
    value: Option<RawBsonRef<'_>>,
    operand: &RawBson,
    collation: Option<&Collation>,
) -> bool {
    let operand = operand.as_raw_bson_ref();
    // A missing field equals null.
    let value = match value {
        Some(RawBsonRef::Undefined) | None => match operand {
            RawBsonRef::Null => RawBsonRef::Null,
            RawBsonRef::MinKey | RawBsonRef::MaxKey if compare_by != Compare::Eq => {
                RawBsonRef::Null
            }
            RawBsonRef::Undefined if value.is_some() => RawBsonRef::Undefined,
            _ => return false,
        },
        Some(value) => value,
    };
    let bracketed =
        rank(value) == rank(operand) || matches!(operand, RawBsonRef::MinKey | RawBsonRef::MaxKey);
    if !bracketed {
        return false;
    }
    let order = compare_with(value, operand, collation);
    if rank(value) == rank(operand) && is_nan(value) != is_nan(operand) {
        return false;
    }
    match compare_by {
        Compare::Eq => order.is_eq(),
        Compare::Lt => order == Ordering::Less,
        Compare::Lte => order.is_le(),
        Compare::Gt => order == Ordering::Greater,
        Compare::Gte => order.is_ge(),
    }
}

fn is_nan(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Double(n) => n.is_nan(),
        RawBsonRef::Decimal128(n) => crate::decimal::to_double(n).is_nan(),
        _ => false,
    }
}

/// A number truncated to a whole one of 64 bits.
fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n),
        RawBsonRef::Double(n) => (-TWO_63..TWO_63).contains(&n).then_some(n as i64),
        RawBsonRef::Decimal128(n) => Decimal::from(n).to_i64(Rounding::Down),
        _ => None,
    }
}

/// Bits to look at: those of the first bytes, and the places of others.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    bytes: Vec<u8>,
    beyond: Vec<u32>,
}

impl Mask {
    /// Places up to this are kept in bytes.
    const BITS_IN_BYTES: u32 = 64;

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            beyond: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, position: u32) {
        if position >= Self::BITS_IN_BYTES {
            self.beyond.push(position);
            return;
        }
        let at = (position / 8) as usize;
        self.bytes.resize(self.bytes.len().max(at + 1), 0);
        self.bytes[at] |= 1 << (position % 8);
    }

    fn holds(&self, bits: &Bits<'_>, all: bool, set: bool) -> bool {
        let in_bytes = self.bytes.iter().enumerate().map(|(at, mask)| {
            let byte = bits.byte(at);
            let byte = if set { byte } else { !byte };
            if all {
                byte & mask == *mask
            } else {
                byte & mask != 0
            }
        });
        let beyond = self.beyond.iter().map(|position| {
            let byte = bits.byte((position / 8) as usize);
            (byte >> (position % 8)) & 1 == u8::from(set)
        });
        let mut each = in_bytes.chain(beyond);
        if all {
            each.all(|holds| holds)
        } else {
            each.any(|holds| holds)
        }
    }
}

/// A value's bits, from the lowest.
enum Bits<'a> {
    /// With the sign on and on.
    Number(i64),
    /// With zeros after it.
    Binary(&'a [u8]),
}

impl<'a> Bits<'a> {
    fn of(value: RawBsonRef<'a>) -> Option<Self> {
        Some(Self::Number(match value {
            RawBsonRef::Int32(n) => n.into(),
            RawBsonRef::Int64(n) => n,
            RawBsonRef::Double(n) => crate::number::whole_double(n)?,
            RawBsonRef::Decimal128(n) => {
                // Rounded, other than a double; what no int64 holds has the sign bit.
                Decimal::from(n)
                    .to_i64(Rounding::HalfEven)
                    .unwrap_or(i64::MIN)
            }
            RawBsonRef::Binary(binary) => return Some(Self::Binary(binary.bytes)),
            _ => return None,
        }))
    }

    fn byte(&self, at: usize) -> u8 {
        match self {
            Self::Number(n) => {
                let sign = if *n < 0 { 0xff } else { 0 };
                n.to_le_bytes().get(at).copied().unwrap_or(sign)
            }
            Self::Binary(bytes) => bytes.get(at).copied().unwrap_or(0),
        }
    }
}

fn matches(regex: &Regex, value: Option<RawBsonRef<'_>>) -> Result<bool> {
    match value {
        Some(RawBsonRef::String(text) | RawBsonRef::Symbol(text)) => regex.is_match(text),
        Some(RawBsonRef::RegularExpression(other)) => {
            Ok(other.pattern.as_str() == regex.pattern && other.options.as_str() == regex.options)
        }
        _ => Ok(false),
    }
}
