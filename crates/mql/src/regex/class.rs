//! Sets of characters.

/// A set of characters: ranges, and properties that the engine knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) negated: bool,
    pub(super) ranges: Vec<(u32, u32)>,
    /// `\p{…}` and `\P{…}` as written.
    pub(super) properties: Vec<String>,
}

const LAST: u32 = 0x10_ffff;
/// The character of the last scripts that have upper and lower case.
const LAST_CASED: u32 = 0x1_e943;

impl Class {
    pub(super) fn of(ranges: &[(u32, u32)]) -> Self {
        Self {
            ranges: ranges.to_vec(),
            ..Self::default()
        }
    }

    pub(super) fn property(text: String) -> Self {
        Self {
            properties: vec![text],
            ..Self::default()
        }
    }

    /// One character, and where case does not count, its other forms.
    pub(super) fn one(c: char, caseless: bool) -> Self {
        let mut class = Self::default();
        class.add(c as u32, c as u32, caseless);
        class
    }

    pub(super) fn add(&mut self, from: u32, to: u32, caseless: bool) {
        self.ranges.push((from, to));
        if !caseless {
            return;
        }
        for c in (from..=to.min(LAST_CASED)).filter_map(char::from_u32) {
            for other in others(c) {
                let other = other as u32;
                if !(from..=to).contains(&other) {
                    self.ranges.push((other, other));
                }
            }
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        if other.negated {
            self.ranges.extend(other.complement());
        } else {
            self.ranges.extend(&other.ranges);
        }
        self.properties.extend(other.properties.iter().cloned());
    }

    /// The ranges of what is not in it; it has no properties.
    pub(super) fn complement(&self) -> Vec<(u32, u32)> {
        let mut next = 0;
        let mut gaps = Vec::new();
        for (from, to) in self.sorted() {
            if from > next {
                gaps.push((next, from - 1));
            }
            next = next.max(to + 1);
        }
        if next <= LAST {
            gaps.push((next, LAST));
        }
        gaps
    }

    fn sorted(&self) -> Vec<(u32, u32)> {
        let mut sorted = self.ranges.clone();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (from, to) in sorted {
            match merged.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = (*end).max(to),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// Appends it in the syntax of both engines.
    pub(super) fn write(&self, out: &mut String) {
        use std::fmt::Write;
        out.push_str(if self.negated { "[^" } else { "[" });
        for (from, to) in self.sorted() {
            // Surrogates are no characters.
            let parts = [(from, to.min(0xd7ff)), (from.max(0xe000), to)];
            for (from, to) in parts.into_iter().filter(|(from, to)| from <= to) {
                let _ = write!(out, "\\x{{{from:x}}}");
                if from < to {
                    let _ = write!(out, "-\\x{{{to:x}}}");
                }
            }
        }
        for property in &self.properties {
            out.push_str(property);
        }
        out.push(']');
    }
}

/// The characters that a character equals where case does not count.
fn others(c: char) -> Vec<char> {
    let single = |mut forms: &mut dyn Iterator<Item = char>| {
        let first = (&mut forms).next();
        first.filter(|_| forms.next().is_none())
    };
    let lower = single(&mut c.to_lowercase());
    let upper = single(&mut c.to_uppercase());
    let mut found: Vec<char> = lower.into_iter().chain(upper).collect();
    for other in found.clone() {
        found.extend(single(&mut other.to_uppercase()));
        found.extend(single(&mut other.to_lowercase()));
    }
    // Letters that two others are the capital or small form of.
    found.extend(match c {
        'k' | 'K' => Some('\u{212a}'),
        's' | 'S' => Some('\u{17f}'),
        'å' | 'Å' => Some('\u{212b}'),
        'µ' | 'Μ' | 'μ' => Some(if c == 'µ' { 'μ' } else { 'µ' }),
        'ω' | 'Ω' => Some('\u{2126}'),
        _ => None,
    });
    found.retain(|other| *other != c);
    found
}

const DIGIT: &[(u32, u32)] = &[(0x30, 0x39)];
const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)];
const SPACE: &[(u32, u32)] = &[(9, 13), (0x20, 0x20)];
const HORIZONTAL: &[(u32, u32)] = &[
    (9, 9),
    (0x20, 0x20),
    (0xa0, 0xa0),
    (0x1680, 0x1680),
    (0x180e, 0x180e),
    (0x2000, 0x200a),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x3000, 0x3000),
];
const VERTICAL: &[(u32, u32)] = &[(10, 13), (0x85, 0x85), (0x2028, 0x2029)];

/// What `\d` and its kin stand for: ASCII, as MongoDB compiles patterns.
pub(super) fn escape(letter: char) -> Option<Class> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => DIGIT,
        'w' => WORD,
        's' => SPACE,
        'h' => HORIZONTAL,
        'v' => VERTICAL,
        _ => return None,
    };
    Some(Class {
        negated: letter.is_ascii_uppercase(),
        ..Class::of(ranges)
    })
}

/// What `[:name:]` stands for.
pub(super) fn posix(name: &str, caseless: bool) -> Option<Class> {
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let ranges: &[(u32, u32)] = match name {
        "upper" | "lower" | "alpha" if caseless || name == "alpha" => &[(0x41, 0x5a), (0x61, 0x7a)],
        "upper" => &[(0x41, 0x5a)],
        "lower" => &[(0x61, 0x7a)],
        "alnum" => &[(0x30, 0x39), (0x41, 0x5a), (0x61, 0x7a)],
        "ascii" => &[(0, 0x7f)],
        "blank" => &[(9, 9), (0x20, 0x20)],
        "cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
        "digit" => DIGIT,
        "graph" => &[(0x21, 0x7e)],
        "print" => &[(0x20, 0x7e)],
        "punct" => &[(0x21, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e)],
        "space" => SPACE,
        "word" => WORD,
        "xdigit" => &[(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
        _ => return None,
    };
    Some(Class {
        negated,
        ..Class::of(ranges)
    })
}
