//! What a backslash begins, and classes in brackets.

use super::class::{Class, escape, posix};
use super::parse::{NO_SUCH_GROUP, Parsed, Parser, letter, unsupported};
use super::tree::{Flags, Kind, Node};

const UNSUPPORTED_ESCAPE: &str = "PCRE does not support \\L, \\l, \\N{name}, \\U, or \\u";

impl Parser {
    pub(super) fn escaped(&mut self, flags: Flags) -> Parsed<Node> {
        let Some(c) = self.next() else {
            return Err("\\ at end of pattern".to_owned());
        };
        if let Some(class) = escape(c) {
            return Ok(Node::Class(class));
        }
        Ok(match c {
            'A' => Node::Start,
            'Z' => Node::End { multiline: false },
            'z' => Node::AbsoluteEnd,
            'b' => Node::Boundary { inside: false },
            'B' => Node::Boundary { inside: true },
            'G' => Node::SearchStart,
            'K' => Node::Keep,
            'N' if self.peek() == Some('{') => return Err(UNSUPPORTED_ESCAPE.to_owned()),
            'N' => Node::Class(Class {
                negated: true,
                ..Class::of(&[(10, 10)])
            }),
            'R' => newline(),
            'X' | 'C' => return Err(unsupported(&format!("\\{c}"))),
            'p' | 'P' => Node::Class(self.property(c == 'P')?),
            'k' => {
                let name = self.name_between(&[('<', '>'), ('\'', '\''), ('{', '}')]);
                let Some(name) = name else {
                    return Err(
                        "\\k is not followed by a braced, angle-bracketed, or quoted name"
                            .to_owned(),
                    );
                };
                self.back_named(name, flags)?
            }
            'g' => self.numbered(flags)?,
            '1'..='9' => {
                self.at -= 1;
                return self.digits(flags);
            }
            c => letter(self.character(c)?, flags),
        })
    }

    /// The character that an escape stands for, in and out of classes.
    fn character(&mut self, c: char) -> Parsed<char> {
        let value = match c {
            'a' => 7,
            'e' => 27,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            '0' => {
                let mut value = 0;
                for _ in 0..2 {
                    if let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                        self.at += 1;
                        value = value * 8 + digit;
                    }
                }
                value
            }
            'x' if self.peek() == Some('{') => self.braced(16, "\\x{}")?,
            'x' => {
                let mut value = 0;
                for _ in 0..2 {
                    if let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
                        self.at += 1;
                        value = value * 16 + digit;
                    }
                }
                value
            }
            'o' if self.peek() == Some('{') => self.braced(8, "\\o{}")?,
            'o' => return Err("missing opening brace after \\o".to_owned()),
            'c' => match self.next() {
                None => return Err("\\c at end of pattern".to_owned()),
                Some(c) if c.is_ascii() => u32::from(c.to_ascii_uppercase()) ^ 0x40,
                Some(_) => {
                    return Err("\\c must be followed by an ASCII character".to_owned());
                }
            },
            'L' | 'l' | 'U' | 'u' => return Err(UNSUPPORTED_ESCAPE.to_owned()),
            other => return Ok(other),
        };
        char::from_u32(value).ok_or_else(|| {
            if (0xd800..0xe000).contains(&value) {
                "disallowed Unicode code point (>= 0xd800 && <= 0xdfff)".to_owned()
            } else {
                "character value in \\x{} or \\o{} is too large".to_owned()
            }
        })
    }

    fn braced(&mut self, radix: u32, form: &str) -> Parsed<u32> {
        let start = self.at;
        self.at += 1;
        let digits = self.take_while(|c| c.is_digit(radix));
        if !self.eat("}") {
            if radix == 8 {
                return Err(format!(
                    "non-octal character in {form} (closing brace missing?)"
                ));
            }
            return Err(format!(
                "non-hex character in {form} (closing brace missing?)"
            ));
        }
        if digits.is_empty() {
            self.at = start;
            return Err(format!("digits missing in {form}").replace("{}", "{} or \\o{}"));
        }
        Ok(u32::from_str_radix(&digits, radix).unwrap_or(u32::MAX))
    }

    /// `\1` and so on: a group, or a character in octal.
    fn digits(&mut self, flags: Flags) -> Parsed<Node> {
        let start = self.at;
        let text = self.take_while(|c| c.is_ascii_digit());
        let number: usize = text.parse().unwrap_or(usize::MAX);
        if number < 8 || number <= self.groups {
            self.references.push(number);
            return Ok(back(number, flags));
        }
        self.at = start;
        let first = self.peek().unwrap_or('0');
        if first >= '8' {
            self.at += 1;
            return Ok(letter(first, flags));
        }
        let mut value = 0;
        for _ in 0..3 {
            if let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                self.at += 1;
                value = value * 8 + digit;
            }
        }
        Ok(letter(char::from_u32(value).unwrap_or('\0'), flags))
    }

    /// `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`; with `<` it is recursion.
    fn numbered(&mut self, flags: Flags) -> Parsed<Node> {
        if matches!(self.peek(), Some('<' | '\'')) {
            return Err(unsupported("recursion"));
        }
        let text = self.name_between(&[('{', '}')]);
        let text = text.unwrap_or_else(|| {
            let sign = if self.eat("-") { "-" } else { "" };
            format!("{sign}{}", self.take_while(|c| c.is_ascii_digit()))
        });
        let wrong = || {
            "a numbered reference must not be zero"
                .to_owned()
                .replace("numbered", if text == "0" { "numbered" } else { "\\g" })
        };
        if let Ok(number) = text.parse::<i64>() {
            let group = if number < 0 {
                self.groups as i64 + 1 + number
            } else {
                number
            };
            return match usize::try_from(group) {
                Ok(0) | Err(_) if number < 0 => Err(NO_SUCH_GROUP.to_owned()),
                Ok(group) if group > 0 => {
                    self.references.push(group);
                    Ok(back(group, flags))
                }
                _ => Err(wrong()),
            };
        }
        if text.is_empty() || !is_name(&text) {
            return Err(
                "\\g is not followed by a braced, angle-bracketed, or quoted name/number or by a plain number"
                    .to_owned(),
            );
        }
        self.back_named(text, flags)
    }

    fn name_between(&mut self, pairs: &[(char, char)]) -> Option<String> {
        let open = self.peek()?;
        let (_, close) = pairs.iter().find(|(o, _)| *o == open)?;
        let start = self.at;
        self.at += 1;
        let text = self.take_while(|c| c != *close);
        if self.next() == Some(*close) {
            return Some(text);
        }
        self.at = start;
        None
    }

    pub(super) fn back_named(&mut self, name: String, flags: Flags) -> Parsed<Node> {
        if name.is_empty() || !is_name(&name) {
            return Err("subpattern name expected".to_owned());
        }
        let Some((_, group)) = self.names.iter().find(|(known, _)| *known == name) else {
            // It may come later, which the engine has no way to say.
            return Err(
                if self
                    .chars
                    .iter()
                    .collect::<String>()
                    .contains(&format!("<{name}>"))
                {
                    unsupported("a reference to a later name")
                } else {
                    NO_SUCH_GROUP.to_owned()
                },
            );
        };
        Ok(back(*group, flags))
    }

    fn property(&mut self, complement: bool) -> Parsed<Class> {
        let name = if self.eat("{") {
            let name = self.take_while(|c| c != '}');
            if !self.eat("}") {
                return Err("malformed \\P or \\p sequence".to_owned());
            }
            name
        } else {
            match self.next() {
                Some(c) => c.to_string(),
                None => return Err("malformed \\P or \\p sequence".to_owned()),
            }
        };
        let (name, complement) = match name.strip_prefix('^') {
            Some(name) => (name.to_owned(), !complement),
            None => (name, complement),
        };
        let written = match name.as_str() {
            "Any" => "[\\x{0}-\\x{10ffff}]".to_owned(),
            "L&" => "[\\p{Lu}\\p{Ll}\\p{Lt}]".to_owned(),
            "Xan" => "[\\p{L}\\p{N}]".to_owned(),
            "Xwd" => "[\\p{L}\\p{N}_]".to_owned(),
            "Xsp" | "Xps" => "[\\p{Z}\\x{9}-\\x{d}]".to_owned(),
            name => format!("\\p{{{name}}}"),
        };
        let known = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '&'))
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && regex::Regex::new(&written).is_ok();
        if !known {
            return Err("unknown property name after \\P or \\p".to_owned());
        }
        let written = match (complement, written.strip_prefix('[')) {
            (false, _) => written,
            (true, Some(inner)) => format!("[^{inner}"),
            (true, None) => written.replacen("\\p", "\\P", 1),
        };
        Ok(Class::property(written))
    }

    pub(super) fn class(&mut self, flags: Flags) -> Parsed<Class> {
        let missing = || "missing terminating ] for character class".to_owned();
        let mut class = Class {
            negated: self.eat("^"),
            ..Class::default()
        };
        let mut first = true;
        // The character that a hyphen may make a range from.
        let mut low: Option<char> = None;
        loop {
            let c = self.next().ok_or_else(missing)?;
            if !self.literal && c == '\\' && matches!(self.peek(), Some('Q' | 'E')) {
                self.literal = self.next() == Some('Q');
                continue;
            }
            if self.literal {
                if c == '\\' && self.eat("E") {
                    self.literal = false;
                    continue;
                }
                class.add(c as u32, c as u32, flags.caseless);
                (low, first) = (Some(c), false);
                continue;
            }
            match c {
                ']' if !first => return Ok(class),
                '[' if matches!(self.peek(), Some(':' | '.' | '=')) => {
                    if let Some(inner) = self.posix(flags)? {
                        class.extend(&inner);
                        (low, first) = (None, false);
                        continue;
                    }
                    class.add('[' as u32, '[' as u32, false);
                    low = Some('[');
                }
                '-' if low.is_some() && !matches!(self.peek(), Some(']') | None) => {
                    let from = low.take().unwrap_or('-');
                    let to = self.range_end(flags)?;
                    if to < from {
                        return Err("range out of order in character class".to_owned());
                    }
                    class.add(from as u32, to as u32, flags.caseless);
                }
                '\\' => {
                    let c = self
                        .next()
                        .ok_or_else(|| "\\ at end of pattern".to_owned())?;
                    if let Some(inner) = escape(c) {
                        class.extend(&inner);
                        low = None;
                    } else if matches!(c, 'p' | 'P') {
                        class.extend(&self.property(c == 'P')?);
                        low = None;
                    } else {
                        let c = self.class_character(c)?;
                        class.add(c as u32, c as u32, flags.caseless);
                        low = Some(c);
                    }
                }
                c => {
                    class.add(c as u32, c as u32, flags.caseless);
                    low = Some(c);
                }
            }
            first = false;
        }
    }

    fn range_end(&mut self, flags: Flags) -> Parsed<char> {
        let invalid = || "invalid range in character class".to_owned();
        match self.next() {
            Some('\\') => match self.next() {
                Some(c) if escape(c).is_some() || matches!(c, 'p' | 'P') => Err(invalid()),
                Some(c) => self.class_character(c),
                None => Err("\\ at end of pattern".to_owned()),
            },
            Some('[') if matches!(self.peek(), Some(':' | '.' | '=')) => {
                match self.posix(flags)? {
                    Some(_) => Err(invalid()),
                    None => Ok('['),
                }
            }
            Some(c) => Ok(c),
            None => Err("missing terminating ] for character class".to_owned()),
        }
    }

    fn class_character(&mut self, c: char) -> Parsed<char> {
        match c {
            'b' => Ok('\u{8}'),
            'N' => Err("\\N is not supported in a class".to_owned()),
            'R' | 'X' | 'B' => Ok(c),
            '1'..='7' => {
                self.at -= 1;
                let mut value = 0;
                for _ in 0..3 {
                    if let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                        self.at += 1;
                        value = value * 8 + digit;
                    }
                }
                Ok(char::from_u32(value).unwrap_or('\0'))
            }
            c => self.character(c),
        }
    }

    /// `[:name:]`, after its first bracket; `None` when it is none.
    fn posix(&mut self, flags: Flags) -> Parsed<Option<Class>> {
        let start = self.at;
        let kind = self.next().unwrap_or(':');
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '^');
        if !(self.next() == Some(kind) && self.next() == Some(']')) {
            self.at = start;
            return Ok(None);
        }
        if kind != ':' {
            return Err("POSIX collating elements are not supported".to_owned());
        }
        match posix(&name, flags.caseless) {
            Some(class) => Ok(Some(class)),
            None => Err("unknown POSIX class name".to_owned()),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn back(group: usize, flags: Flags) -> Node {
    Node::Back {
        group,
        caseless: flags.caseless,
    }
}

/// `\R`
fn newline() -> Node {
    let single = escape('v').unwrap_or_default();
    let pair = Node::Concat(vec![Node::Literal('\r'), Node::Literal('\n')]);
    let either = Node::Alternatives(vec![pair, Node::Class(single)]);
    Node::Group(Kind::Atomic, Box::new(either))
}
