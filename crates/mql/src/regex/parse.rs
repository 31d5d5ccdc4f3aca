//! Patterns to trees, by PCRE's rules and with its errors.

use super::class::Class;
use super::tree::{Flags, Kind, Node};

/// Deepest nesting of parentheses.
const DEPTH_MAX: usize = 250;
/// Largest number in a quantifier.
const REPEATS_MAX: u32 = 65_535;
pub(super) const NO_SUCH_GROUP: &str = "reference to non-existent subpattern";

pub(super) type Parsed<T> = Result<T, String>;

/// Parses a pattern; the error is PCRE's text.
pub(super) fn parse(pattern: &str, flags: Flags) -> Parsed<Node> {
    let mut parser = Parser {
        chars: pattern.chars().collect(),
        at: 0,
        groups: 0,
        names: Vec::new(),
        references: Vec::new(),
        named: Vec::new(),
        depth: 0,
        literal: false,
        duplicates: false,
    };
    parser.verbs()?;
    let node = parser.alternatives(&mut flags.clone())?;
    if parser.peek() == Some(')') {
        return Err("unmatched parentheses".to_owned());
    }
    if parser.literal {
        // The server puts its own parentheses around the pattern.
        return Err("missing )".to_owned());
    }
    if parser.references.iter().any(|group| *group > parser.groups) {
        return Err(NO_SUCH_GROUP.to_owned());
    }
    let mut names = parser.named.iter();
    if names.any(|name| !parser.names.iter().any(|(known, _)| known == name)) {
        return Err(NO_SUCH_GROUP.to_owned());
    }
    Ok(node)
}

pub(super) struct Parser {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
    /// Groups that are referred to, by number and by name.
    pub(super) references: Vec<usize>,
    named: Vec<String>,
    depth: usize,
    /// Between `\Q` and `\E`.
    pub(super) literal: bool,
    /// Whether names may be given twice.
    duplicates: bool,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let matches = text
            .chars()
            .enumerate()
            .all(|(offset, c)| self.chars.get(self.at + offset) == Some(&c));
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    pub(super) fn take_while(&mut self, test: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| test(*c)) {
            taken.push(c);
            self.at += 1;
        }
        taken
    }

    /// `(*UTF8)` and the like, which stand first.
    fn verbs(&mut self) -> Parsed<()> {
        while self.eat("(*UTF8)") || self.eat("(*UTF)") {}
        if self.eat("(*") {
            let name = self.take_while(|c| c.is_ascii_uppercase() || c == '_');
            self.at -= name.chars().count() + 2;
            if !matches!(name.as_str(), "F" | "FAIL") {
                return Err(unsupported(&format!("(*{name})")));
            }
        }
        Ok(())
    }

    fn alternatives(&mut self, flags: &mut Flags) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("parentheses are too deeply nested".to_owned());
        }
        let mut nodes = vec![self.concat(flags)?];
        while self.peek() == Some('|') {
            self.at += 1;
            nodes.push(self.concat(flags)?);
        }
        self.depth -= 1;
        Ok(if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::Alternatives(nodes)
        })
    }

    fn concat(&mut self, flags: &mut Flags) -> Parsed<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        // Whether a quantifier may follow.
        let mut repeatable = false;
        while let Some(c) = self.peek() {
            if self.literal {
                if self.eat("\\E") {
                    self.literal = false;
                    continue;
                }
                self.at += 1;
                nodes.push(letter(c, *flags));
                repeatable = true;
                continue;
            }
            match c {
                '|' | ')' => break,
                '*' | '+' | '?' => {
                    self.at += 1;
                    let (least, most) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.quantify(&mut nodes, repeatable, least, most, *flags)?;
                    repeatable = false;
                    continue;
                }
                '{' => {
                    if let Some((least, most)) = self.counts()? {
                        self.quantify(&mut nodes, repeatable, least, most, *flags)?;
                        repeatable = false;
                        continue;
                    }
                }
                ' ' | '\t'..='\r' if flags.extended => {
                    self.at += 1;
                    continue;
                }
                '#' if flags.extended => {
                    self.take_while(|c| c != '\n');
                    if self.peek().is_none() {
                        // The server puts a parenthesis of its own there.
                        return Err("missing )".to_owned());
                    }
                    continue;
                }
                _ => {}
            }
            if self.eat("\\E") {
                continue;
            }
            if self.eat("\\Q") {
                self.literal = true;
                continue;
            }
            if let Some(node) = self.atom(flags)? {
                repeatable = !matches!(
                    node,
                    Node::Start
                        | Node::LineStart { .. }
                        | Node::End { .. }
                        | Node::AbsoluteEnd
                        | Node::Boundary { .. }
                        | Node::SearchStart
                        | Node::Keep
                );
                nodes.push(node);
            }
        }
        // Where something has to follow, it cannot be at the text's end.
        let mut follows = false;
        for node in nodes.iter_mut().rev() {
            if let Node::LineStart { exact } = node {
                *exact = !follows;
            }
            follows |= node.consumes();
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        })
    }

    fn quantify(
        &mut self,
        nodes: &mut Vec<Node>,
        repeatable: bool,
        least: u32,
        most: Option<u32>,
        flags: Flags,
    ) -> Parsed<()> {
        let Some(inner) = nodes.pop().filter(|_| repeatable) else {
            return Err("nothing to repeat".to_owned());
        };
        let possessive = self.eat("+");
        let lazy = !possessive && (self.eat("?") != flags.ungreedy);
        let looks = matches!(
            inner,
            Node::Group(
                Kind::Ahead | Kind::NotAhead | Kind::Behind | Kind::NotBehind,
                _
            )
        );
        nodes.push(match inner {
            // Looking twice sees nothing else.
            inner if looks && least > 0 => inner,
            _ if looks => Node::Empty,
            inner => Node::Repeat {
                inner: Box::new(inner),
                least,
                most,
                lazy,
                possessive,
            },
        });
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else is a brace.
    fn counts(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let start = self.at;
        self.at += 1;
        let digits = |parser: &mut Self| parser.take_while(|c| c.is_ascii_digit());
        let least = digits(self);
        let comma = self.eat(",");
        let most = if comma { digits(self) } else { String::new() };
        if least.is_empty() || !self.eat("}") {
            self.at = start;
            return Ok(None);
        }
        let number = |text: &str| {
            let number = text.parse().ok().filter(|n: &u32| *n <= REPEATS_MAX);
            number.ok_or_else(|| "number too big in {} quantifier".to_owned())
        };
        let least = number(&least)?;
        let most = match (comma, most.as_str()) {
            (false, _) => Some(least),
            (true, "") => None,
            (true, most) => Some(number(most)?),
        };
        if most.is_some_and(|most| most < least) {
            return Err("numbers out of order in {} quantifier".to_owned());
        }
        Ok(Some((least, most)))
    }

    fn atom(&mut self, flags: &mut Flags) -> Parsed<Option<Node>> {
        Ok(Some(match self.next() {
            None => return Ok(None),
            Some('(') => return self.group(flags),
            Some('[') => Node::Class(self.class(*flags)?),
            Some('.') if flags.dot_all => Node::Class(Class::of(&[(0, 0x10_ffff)])),
            Some('.') => Node::Class(Class {
                negated: true,
                ..Class::of(&[(10, 10)])
            }),
            Some('^') if flags.multiline => Node::LineStart { exact: true },
            Some('^') => Node::Start,
            Some('$') => Node::End {
                multiline: flags.multiline,
            },
            Some('\\') => self.escaped(*flags)?,
            Some(c) => letter(c, *flags),
        }))
    }

    /// What begins with a parenthesis, after it.
    fn group(&mut self, flags: &mut Flags) -> Parsed<Option<Node>> {
        if self.eat("*") {
            return self.verb();
        }
        if !self.eat("?") {
            self.groups += 1;
            return self.inside(Kind::Capture, *flags).map(Some);
        }
        if self.eat("#") {
            self.take_while(|c| c != ')');
            return match self.next() {
                Some(_) => Ok(None),
                None => Err("missing ) after comment".to_owned()),
            };
        }
        for (text, kind) in [
            (":", Kind::Plain),
            ("=", Kind::Ahead),
            ("!", Kind::NotAhead),
            ("<=", Kind::Behind),
            ("<!", Kind::NotBehind),
            (">", Kind::Atomic),
        ] {
            if self.eat(text) {
                return self.inside(kind, *flags).map(Some);
            }
        }
        if self.eat("|") {
            let before = self.groups;
            let node = self.inside(Kind::Plain, *flags)?;
            return if self.groups == before {
                Ok(Some(node))
            } else {
                Err(unsupported("groups in (?|"))
            };
        }
        if self.eat("C") {
            let number = self.take_while(|c| c.is_ascii_digit());
            if number.parse::<u32>().unwrap_or(0) > 255 {
                return Err("number after (?C is > 255".to_owned());
            }
            return match self.next() {
                Some(')') => Ok(None),
                _ => Err("closing ) for (?C expected".to_owned()),
            };
        }
        if self.eat("(") {
            return self.conditional(*flags).map(Some);
        }
        if self.eat("P=") {
            let name = self.take_while(|c| c != ')');
            if !self.eat(")") {
                return Err("missing )".to_owned());
            }
            return self.back_named(name, *flags).map(Some);
        }
        let recursion = self.eat("P>")
            || matches!(self.peek(), Some('R' | '&' | '0'..='9' | '+'))
            || (self.peek() == Some('-')
                && self
                    .chars
                    .get(self.at + 1)
                    .is_some_and(char::is_ascii_digit));
        if recursion {
            return Err(unsupported("recursion"));
        }
        for (open, close) in [("P<", '>'), ("<", '>'), ("'", '\'')] {
            if self.eat(open) {
                return self.named(close, open, *flags).map(Some);
            }
        }
        self.options(flags)
    }

    fn verb(&mut self) -> Parsed<Option<Node>> {
        let name = self.take_while(|c| c != ')');
        if !self.eat(")") {
            return Err("missing )".to_owned());
        }
        match name.as_str() {
            "F" | "FAIL" => Ok(Some(Node::Never)),
            _ => Err(unsupported(&format!("(*{name})"))),
        }
    }

    fn named(&mut self, close: char, open: &str, flags: Flags) -> Parsed<Node> {
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() && open == "<" {
            return Err("unrecognized character after (?<".to_owned());
        }
        if self.next() != Some(close) {
            return Err("syntax error in subpattern name (missing terminator)".to_owned());
        }
        if name.is_empty() {
            return Err("subpattern name expected".to_owned());
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("subpattern name must start with a non-digit".to_owned());
        }
        if self.names.iter().any(|(known, _)| *known == name) && !self.duplicates {
            return Err("two named subpatterns have the same name".to_owned());
        }
        self.groups += 1;
        self.names.push((name, self.groups));
        self.inside(Kind::Capture, flags)
    }

    fn inside(&mut self, kind: Kind, mut flags: Flags) -> Parsed<Node> {
        let inner = self.alternatives(&mut flags)?;
        if !self.eat(")") {
            return Err("missing )".to_owned());
        }
        if matches!(kind, Kind::Behind | Kind::NotBehind) {
            // Each of its alternatives may have a width of its own.
            let fixed = match &inner {
                Node::Alternatives(nodes) => nodes.iter().all(|node| node.width().is_some()),
                node => node.width().is_some(),
            };
            if !fixed {
                return Err("lookbehind assertion is not fixed length".to_owned());
            }
        }
        Ok(Node::Group(kind, Box::new(inner)))
    }

    /// `(?(1)yes|no)`, after the second parenthesis.
    fn conditional(&mut self, mut flags: Flags) -> Parsed<Node> {
        let condition = self.take_while(|c| c != ')');
        if !self.eat(")") {
            return Err("malformed number or name after (?(".to_owned());
        }
        let bare = condition.trim_matches(['<', '>', '\'']);
        let named = self.names.iter().find(|(name, _)| name == bare);
        let group = match (bare.parse::<usize>(), named) {
            (Ok(0), _) => return Err("invalid condition (?(0)".to_owned()),
            (Ok(number), _) => number,
            (Err(_), Some((_, group))) => *group,
            (Err(_), None) if matches!(bare.chars().next(), Some('?' | 'R' | '+' | '-' | 'D')) => {
                return Err(unsupported("this condition"));
            }
            (Err(_), None) => return Err(NO_SUCH_GROUP.to_owned()),
        };
        self.references.push(group);
        let yes = self.concat(&mut flags)?;
        let no = if self.eat("|") {
            self.concat(&mut flags)?
        } else {
            Node::Empty
        };
        match self.next() {
            Some(')') => Ok(Node::Conditional {
                group,
                yes: Box::new(yes),
                no: Box::new(no),
            }),
            Some(_) => Err("conditional group contains more than two branches".to_owned()),
            None => Err("missing )".to_owned()),
        }
    }

    /// `(?i)` for the rest of the group, or `(?i:…)`.
    fn options(&mut self, flags: &mut Flags) -> Parsed<Option<Node>> {
        let mut changed = *flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some('i') => changed.caseless = on,
                Some('m') => changed.multiline = on,
                Some('s') => changed.dot_all = on,
                Some('x') => changed.extended = on,
                Some('U') => changed.ungreedy = on,
                Some('J') => self.duplicates = on,
                Some('X') => {}
                Some(')') => {
                    *flags = changed;
                    return Ok(None);
                }
                Some(':') => return self.inside(Kind::Plain, changed).map(Some),
                _ => return Err("unrecognized character after (? or (?-".to_owned()),
            }
        }
    }
}

pub(super) fn unsupported(what: &str) -> String {
    format!("{what} is not supported by the embedded engine")
}

pub(super) fn letter(c: char, flags: Flags) -> Node {
    if flags.caseless && c.is_alphabetic() {
        return Node::Class(Class::one(c, true));
    }
    Node::Literal(c)
}
