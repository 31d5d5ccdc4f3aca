//! The native halves of `buffer`, `url`, `zlib`, `TextDecoder` and `Intl`
//! under arguments that nobody checked.

use node::{Value, call};

const OPERATIONS: &[&str] = &[
    "buffer.encode",
    "buffer.decode",
    "buffer.length",
    "buffer.compare",
    "buffer.find",
    "buffer.isUtf8",
    "buffer.isAscii",
    "text.label",
    "text.decode",
    "text.waits",
    "url.parse",
    "url.set",
    "url.percentDecode",
    "url.toAscii",
    "url.toUnicode",
    "url.punycodeEncode",
    "url.punycodeDecode",
    "zlib.compress",
    "zlib.decompress",
    "zlib.crc32",
    "intl.data",
    "intl.zone",
    "intl.offset",
    "intl.compare",
    "intl.segments",
    "intl.nothing",
    "nothing",
    "",
];

const TEXTS: &[&str] = &[
    "",
    "utf8",
    "latin1",
    "hex",
    "base64",
    "utf-8",
    "utf-16le",
    "shift_jis",
    "replacement",
    "x-user-defined",
    "http://u:p@example.com:8080/a/../b?c#d",
    "file:///x",
    "mailto:a@b",
    "///x",
    "//",
    "\\\\",
    "http://[::1",
    "xn--",
    "xn--a-\u{e9}",
    "99999999999",
    "-",
    "\u{e9}\u{20ac}\u{1f600}",
    "%zz%e4%",
    "protocol",
    "host",
    "port",
    "href",
    "search",
    "gzip",
    "zlib",
    "raw",
    "brotli",
    "any",
    "en",
    "de-u-co-phonebk-kn",
    "dates",
    "word",
    "sentence",
    "base",
    "America/New_York",
    "UTC",
    "\0",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn value(&mut self, depth: usize) -> Value {
        const NUMBERS: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            2.0,
            4.0,
            15.0,
            1e3,
            1.5,
            1e15,
            -1e15,
            8.64e15,
            1e300,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        match self.below(if depth > 2 { 7 } else { 9 }) {
            0 => Value::Undefined,
            1 => Value::Null,
            2 => Value::Bool(self.below(2) == 1),
            3 => Value::Number(NUMBERS[self.below(NUMBERS.len())]),
            4 | 5 => Value::Text(TEXTS[self.below(TEXTS.len())].to_owned()),
            6 => {
                let length = self.below(40);
                Value::Bytes((0..length).map(|_| self.below(256) as u8).collect())
            }
            7 => {
                let length = self.below(5);
                Value::List((0..length).map(|_| self.value(depth + 1)).collect())
            }
            _ => Value::Map(vec![("level".to_owned(), self.value(depth + 1))]),
        }
    }
}

#[test]
fn whatever_is_passed_is_an_error_or_a_value() {
    let mut random = Random(42);
    let mut values = 0;
    for _ in 0..60_000 {
        let operation = OPERATIONS[random.below(OPERATIONS.len())];
        let count = random.below(8);
        let arguments: Vec<Value> = (0..count).map(|_| random.value(0)).collect();
        values += usize::from(call(operation, &arguments).is_ok());
    }
    // So that it is more than types that is tried.
    assert!(values > 2000, "{values}");
}

#[test]
fn searches_and_texts_of_any_shape() {
    let mut random = Random(7);
    for _ in 0..5000 {
        let mut bytes = |most: usize| -> Vec<u8> {
            let length = random.below(most);
            (0..length).map(|_| random.below(3) as u8).collect()
        };
        let (haystack, needle) = (bytes(30), bytes(4));
        let start = random.below(haystack.len() + 1);
        for (forward, step) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
            let found = call(
                "buffer.find",
                &[
                    Value::Bytes(haystack.clone()),
                    Value::Bytes(needle.clone()),
                    Value::Number(start as f64),
                    Value::Bool(forward),
                    Value::Number(f64::from(step)),
                ],
            );
            if needle.is_empty() {
                continue;
            }
            let step = step as usize;
            let matches = |place: &usize| haystack[*place..].starts_with(&needle);
            let places = (0..haystack.len()).filter(|place| place % step == 0);
            let wanted = if forward {
                // In units of the step, as in Node.
                places
                    .filter(|place| *place / step >= start / step)
                    .find(matches)
            } else {
                places.filter(|place| *place <= start).rfind(matches)
            };
            let wanted = wanted.map_or(-1.0, |place| place as f64);
            assert_eq!(
                found,
                Ok(Value::Number(wanted)),
                "{haystack:?} {needle:?} {start} {forward} {step}"
            );
        }
    }
}
