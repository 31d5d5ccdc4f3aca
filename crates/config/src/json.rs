//! JSON with places: a value, where each part of it stands, and every mistake
//! that reading can go on after.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

/// Where something begins, 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column in characters.
    pub column: u32,
}

/// What reading a text gave.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The value; `None` when the text is no JSON.
    pub value: Option<Value>,
    /// Mistakes with their places; those before the last can be read past.
    pub mistakes: Vec<(Place, String)>,
    places: HashMap<String, Place>,
}

impl Parsed {
    /// Where the part at a JSON pointer stands.
    pub fn place(&self, pointer: &str) -> Option<Place> {
        self.places.get(pointer).copied()
    }
}

/// Deepest nesting that is read.
const DEPTH_MAX: usize = kit::limit::NESTING_DEPTH_MAX;

/// Reads JSON. Duplicate keys and trailing commas are mistakes that reading
/// goes on after; a byte order mark is passed over.
pub fn parse_json(text: &str) -> Parsed {
    read(text, true)
}

/// Reads JSON as [`parse_json`] does, numbers to the last digit, without
/// keeping where each part of it stands.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse_json_exactly(text: &str) -> Result<Value, String> {
    let Parsed {
        value, mistakes, ..
    } = read(text, false);
    match (value, mistakes.into_iter().next()) {
        (Some(value), None) => Ok(value),
        (_, mistake) => {
            let (place, text) = mistake.unwrap_or_default();
            let Place { line, column } = place;
            Err(format!("{text} (line {line}, column {column})"))
        }
    }
}

fn read(text: &str, placing: bool) -> Parsed {
    let mut reader = Reader {
        characters: text.trim_start_matches('\u{feff}').chars().collect(),
        at: 0,
        place: Place { line: 1, column: 1 },
        placing,
        parsed: Parsed::default(),
    };
    let value = reader.value("", 0).and_then(|value| {
        reader.space();
        if reader.peek().is_some() {
            return Err(reader.mistake("expected the end of the file"));
        }
        Ok(value)
    });
    match value {
        Ok(value) => reader.parsed.value = Some(value),
        Err(mistake) => reader.parsed.mistakes.push(mistake),
    }
    reader.parsed
}

type Mistake = (Place, String);

struct Reader {
    characters: Vec<char>,
    at: usize,
    place: Place,
    /// Whether to keep where each part stands.
    placing: bool,
    parsed: Parsed,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.place = Place {
                line: self.place.line + 1,
                column: 1,
            };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    fn stands(&mut self, pointer: &str, place: Place) {
        if self.placing {
            self.parsed.places.insert(pointer.to_owned(), place);
        }
    }

    fn mistake(&self, wanted: &str) -> Mistake {
        let found = match self.peek() {
            None => "the end of the file".to_owned(),
            Some(c) => format!("'{c}'"),
        };
        (self.place, format!("invalid JSON: {wanted}, found {found}"))
    }

    fn value(&mut self, pointer: &str, depth: usize) -> Result<Value, Mistake> {
        self.space();
        self.stands(pointer, self.place);
        if depth > DEPTH_MAX {
            return Err((self.place, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        match self.peek() {
            Some('{') => self.object(pointer, depth),
            Some('[') => self.array(pointer, depth),
            Some('"') => self.string().map(Value::String),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.word("true", Value::Bool(true)),
            Some('f') => self.word("false", Value::Bool(false)),
            Some('n') => self.word("null", Value::Null),
            _ => Err(self.mistake("expected a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Mistake> {
        for wanted in word.chars() {
            if self.peek() != Some(wanted) {
                return Err(self.mistake("expected a value"));
            }
            self.next();
        }
        Ok(value)
    }

    fn object(&mut self, pointer: &str, depth: usize) -> Result<Value, Mistake> {
        let mut map = Map::new();
        self.next();
        loop {
            self.space();
            if self.peek() == Some('}') {
                self.next();
                return Ok(Value::Object(map));
            }
            let place = self.place;
            if self.peek() != Some('"') {
                return Err(self.mistake("expected a field name in quotes or '}'"));
            }
            let name = self.string()?;
            self.space();
            if self.peek() != Some(':') {
                return Err(self.mistake("expected ':'"));
            }
            self.next();
            let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let value = self.value(&inner, depth + 1)?;
            if map.insert(name.clone(), value).is_some() {
                let text = format!("the field \"{name}\" is there twice; the last one counts");
                self.parsed.mistakes.push((place, text));
            }
            // A field's place is its name's.
            self.stands(&inner, place);
            if !self.separator('}')? {
                return Ok(Value::Object(map));
            }
        }
    }

    fn array(&mut self, pointer: &str, depth: usize) -> Result<Value, Mistake> {
        let mut list = Vec::new();
        self.next();
        loop {
            self.space();
            if self.peek() == Some(']') {
                self.next();
                return Ok(Value::Array(list));
            }
            let value = self.value(&format!("{pointer}/{}", list.len()), depth + 1)?;
            list.push(value);
            if !self.separator(']')? {
                return Ok(Value::Array(list));
            }
        }
    }

    /// After an element: true when another one follows.
    fn separator(&mut self, end: char) -> Result<bool, Mistake> {
        self.space();
        match self.peek() {
            Some(',') => {
                let place = self.place;
                self.next();
                self.space();
                if self.peek() == Some(end) {
                    let text = format!("invalid JSON: a comma before '{end}'");
                    self.parsed.mistakes.push((place, text));
                }
                Ok(true)
            }
            Some(c) if c == end => {
                self.next();
                Ok(false)
            }
            _ => Err(self.mistake(&format!("expected ',' or '{end}'"))),
        }
    }

    fn string(&mut self) -> Result<String, Mistake> {
        let start = self.place;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => {
                    return Err((start, "invalid JSON: a string without its end".to_owned()));
                }
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c < ' ' => {
                    let text = "invalid JSON: a control character in a string".to_owned();
                    return Err((self.place, text));
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        let unknown = |reader: &Self| {
            (
                reader.place,
                "invalid JSON: an unknown escape in a string".to_owned(),
            )
        };
        Ok(match self.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('u') => {
                let high = self.hex()?;
                if (0xd800..0xdc00).contains(&high) {
                    if self.next() != Some('\\') || self.next() != Some('u') {
                        return Err(unknown(self));
                    }
                    let low = self.hex()?;
                    let code = 0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                    char::from_u32(code).ok_or_else(|| unknown(self))?
                } else {
                    char::from_u32(high).ok_or_else(|| unknown(self))?
                }
            }
            _ => return Err(unknown(self)),
        })
    }

    fn hex(&mut self) -> Result<u32, Mistake> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16));
            let digit = digit.ok_or_else(|| {
                (
                    self.place,
                    "invalid JSON: \\u needs four hex digits".to_owned(),
                )
            })?;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, Mistake> {
        let place = self.place;
        let mut text = String::new();
        while let Some(c @ ('0'..='9' | '-' | '+' | '.' | 'e' | 'E')) = self.peek() {
            text.push(c);
            self.next();
        }
        let wrong = || (place, format!("invalid JSON: '{text}' is not a number"));
        let number = serde_json::from_str::<Number>(&text).map_err(|_| wrong())?;
        if !number.is_f64() {
            return Ok(Value::Number(number));
        }
        // serde_json may be off by the last digit; the library is not.
        let exact = text.parse().ok().and_then(Number::from_f64);
        exact.map(Value::Number).ok_or_else(wrong)
    }
}
