//! DER, as far as keys need it: a reader of one value after the other, and
//! functions that write.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// The first and the second of a sequence's tagged parts, when they hold values.
pub(super) const TAGGED_0: u8 = 0xa0;
pub(super) const TAGGED_1: u8 = 0xa1;

/// The bytes are no DER, or not what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next value; zero at the end.
    pub(super) fn peek(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The content of the next value, which has this tag.
    pub(super) fn value(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        if self.take(1)?[0] != tag {
            return Err(Malformed);
        }
        let first = self.take(1)?[0];
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => self
                .take(usize::from(first & 0x7f))?
                .iter()
                .fold(0, |length, byte| (length << 8) | usize::from(*byte)),
            _ => return Err(Malformed),
        };
        self.take(length)
    }

    pub(super) fn inside(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.value(tag).map(Self)
    }

    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.inside(SEQUENCE)
    }

    /// An integer that is not negative, without leading zeros.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Malformed> {
        let value = self.value(INTEGER)?;
        if value.first().is_none_or(|first| *first & 0x80 != 0) {
            return Err(Malformed);
        }
        Ok(trimmed(value))
    }

    /// A small integer.
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        let value = self.integer()?;
        if value.len() > 4 {
            return Err(Malformed);
        }
        Ok(value.iter().fold(0, |n, byte| (n << 8) | u32::from(*byte)))
    }

    /// Bits in whole bytes.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.value(BITS)?.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(Malformed),
        }
    }

    /// Leaves out the next value, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        self.value(self.peek()).map(drop)
    }
}

/// A number's bytes without leading zeros.
pub(super) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let bytes = trimmed(&bytes);
        out.push(0x80 | bytes.len() as u8);
        out.extend(bytes);
    }
    out.extend(content);
    out
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// An integer of a number's bytes.
pub(super) fn integer(number: &[u8]) -> Vec<u8> {
    let number = trimmed(number);
    let mut content = Vec::with_capacity(number.len() + 1);
    if number.first().is_none_or(|first| *first & 0x80 != 0) {
        content.push(0);
    }
    content.extend(number);
    value(INTEGER, &content)
}

pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    value(BITS, &[&[0], content].concat())
}

/// An algorithm and its parameters.
pub(super) fn algorithm(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
    let mut content = value(IDENTIFIER, identifier);
    content.extend(parameters);
    value(SEQUENCE, &content)
}
