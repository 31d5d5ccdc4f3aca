//! The formats of texts that a schema of the service can ask for. They are as
//! wide as gojsonschema's, since stored documents passed those.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::regex::Regex;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Date,
    Time,
    DateTime,
    Hostname,
    Email,
    Ipv4,
    Ipv6,
    Uri,
    UriReference,
    UriTemplate,
    Uuid,
    Regex,
    JsonPointer,
    RelativeJsonPointer,
}

impl Format {
    /// A format by name; none for one that is not known.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "time" => Self::Time,
            "date-time" => Self::DateTime,
            "hostname" => Self::Hostname,
            "email" | "idn-email" => Self::Email,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uri" | "iri" => Self::Uri,
            "uri-reference" | "iri-reference" => Self::UriReference,
            "uri-template" => Self::UriTemplate,
            "uuid" => Self::Uuid,
            "regex" => Self::Regex,
            "json-pointer" => Self::JsonPointer,
            "relative-json-pointer" => Self::RelativeJsonPointer,
            _ => return None,
        })
    }

    /// Whether a text is of the format.
    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Self::Date => is_date(text),
            Self::Time => is_time(text),
            // A day or a time alone were taken, too.
            Self::DateTime => {
                let both = text.split_once('T').is_some_and(|(date, time)| {
                    let zoned = time.ends_with('Z') || time.contains(['+', '-']);
                    zoned && is_date(date) && is_time(time)
                });
                both || is_date(text) || is_time(text)
            }
            Self::Hostname => is_hostname(text),
            Self::Email => is_email(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Uri => scheme(text).is_some() && is_reference(text, ""),
            Self::UriReference => {
                // Before the first slash a colon would end a scheme.
                let first = text.split(['/', '?', '#']).next().unwrap_or_default();
                (scheme(text).is_some() || !first.contains(':')) && is_reference(text, "")
            }
            Self::UriTemplate => is_reference(text, "{}") && is_balanced(text),
            Self::Uuid => is_uuid(text),
            Self::Regex => Regex::new(text, "").is_ok(),
            Self::JsonPointer => is_json_pointer(text),
            Self::RelativeJsonPointer => {
                let digits = text.find(|c: char| !c.is_ascii_digit());
                let (number, rest) = text.split_at(digits.unwrap_or(text.len()));
                let leads = number.len() > 1 && number.starts_with('0');
                !number.is_empty() && !leads && (rest == "#" || is_json_pointer(rest))
            }
        }
    }
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let right = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}

/// `2006-01-02`.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut next = |count| digits(parts.next()?, count);
    let (Some(year), Some(month), Some(day)) = (next(4), next(2), next(2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `15:04:05`, with a fraction and an offset or none.
fn is_time(text: &str) -> bool {
    let clock = |text: &str, units: &[u32]| {
        let parts: Vec<&str> = text.split(':').collect();
        parts.len() == units.len()
            && parts
                .iter()
                .zip(units)
                .all(|(part, unit)| digits(part, 2).is_some_and(|number| number < *unit))
    };
    let end = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, offset) = text.split_at(end);
    let offset = match offset {
        "" | "Z" => true,
        offset => offset
            .get(1..)
            .is_some_and(|offset| !offset.contains(['+', '-']) && clock(offset, &[24, 60])),
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    offset && fraction && clock(time, &[24, 60, 60])
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() < 256 && text.split('.').all(label)
}

/// `name@host`, or `Somebody <name@host>`.
fn is_email(text: &str) -> bool {
    let address = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, _)) if name.contains(['<', '>', '@']) => return false,
        Some((_, address)) => address,
        None => text,
    };
    let atoms = |text: &str| {
        text.split('.').all(|atom| {
            let special = |c: char| c.is_whitespace() || "()<>[]:;@\\,\"".contains(c);
            !atom.is_empty() && !atom.chars().any(|c| c.is_control() || special(c))
        })
    };
    let quoted = |text: &str| {
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.contains(['"', '\\', '\r', '\n']))
    };
    address
        .rsplit_once('@')
        .is_some_and(|(name, host)| (atoms(name) || quoted(name)) && atoms(host))
}

fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let letters = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    letters.then_some(scheme)
}

/// Whether a text has only what may stand in an address, and what is `also`
/// allowed.
fn is_reference(text: &str, also: &str) -> bool {
    let allowed = |c: char| {
        let refused = c.is_control() || c.is_whitespace() || "\\\"<>^`{}|".contains(c);
        !refused || also.contains(c)
    };
    let escape = |(at, _): (usize, &str)| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    text.chars().all(allowed) && text.match_indices('%').all(escape)
}

/// Whether braces come in pairs, none within others.
fn is_balanced(text: &str) -> bool {
    let mut open = false;
    text.chars().all(|c| match c {
        '{' | '}' if open == (c == '{') => false,
        '{' | '}' => {
            open = !open;
            true
        }
        _ => true,
    }) && !open
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == lengths.len()
        && groups.iter().zip(lengths).all(|(group, length)| {
            group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

fn is_json_pointer(text: &str) -> bool {
    let escape = |(at, _): (usize, &str)| {
        let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
        matches!(next, Some('0' | '1'))
    };
    (text.is_empty() || text.starts_with('/')) && text.match_indices('~').all(escape)
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn formats() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "date",
                &["2024-02-29", "0001-01-01", "2000-02-29"],
                &[
                    "2023-02-29",
                    "1900-02-29",
                    "2024-2-1",
                    "2024-13-01",
                    "2024-00-10",
                    "2024-01-00",
                    "2024-01-01T",
                    "x",
                    "",
                    "+024-01-01",
                ],
            ),
            (
                "time",
                &[
                    "15:04:05",
                    "15:04:05Z",
                    "15:04:05.123",
                    "15:04:05.1+02:00",
                    "00:00:00-23:59",
                ],
                &[
                    "24:00:00",
                    "15:60:00",
                    "15:04:60",
                    "15:04",
                    "15:04:05.",
                    "15:04:05+2",
                    "15:04:05+02:00Z",
                    "15:04:05z",
                    "",
                    "1:2:3",
                ],
            ),
            (
                "date-time",
                &[
                    "2024-02-29T15:04:05Z",
                    "2024-02-29T15:04:05.5+02:00",
                    "2024-02-29",
                    "15:04:05",
                ],
                &[
                    "2024-02-29T15:04:05",
                    "2024-02-30T15:04:05Z",
                    "2024-02-29 15:04:05Z",
                    "2024-02-29T",
                    "T15:04:05Z",
                    "now",
                ],
            ),
            (
                "hostname",
                &["a", "example.com", "a-b.c1", "127.0.0.1"],
                &["", ".", "a.", "-a", "a-", "a_b", "ä.de", &"a".repeat(64)],
            ),
            (
                "email",
                &[
                    "a@b",
                    "a.b+c@example.com",
                    "\"a b\"@c.d",
                    "Ann <a@b.c>",
                    "jörg@müller.de",
                ],
                &[
                    "",
                    "a",
                    "@b",
                    "a@",
                    "a b@c",
                    "a..b@c",
                    "a@b@c",
                    "<a@b",
                    "a@b>",
                    "a@b.",
                    "x@y <a@b>",
                ],
            ),
            ("idn-email", &["ж@ж"], &["ж"]),
            (
                "ipv4",
                &["1.2.3.4"],
                &["1.2.3", "256.1.1.1", "::1", "01.2.3.4", ""],
            ),
            (
                "ipv6",
                &["::1", "fe80::1", "::ffff:1.2.3.4"],
                &["1.2.3.4", "::1%eth0", ":::", ""],
            ),
            (
                "uri",
                &["http://a/b?c#d", "urn:x", "mailto:a@b", "http://ä/%20"],
                &[
                    "",
                    "a",
                    "/a",
                    "//a/b",
                    "http://a b",
                    "http:\\\\a",
                    "a:%zz",
                    "a:%2",
                    "1a:b",
                    ":a",
                ],
            ),
            (
                "uri-reference",
                &["", "a", "/a/b", "//a", "?x", "#x", "http://a", "a/b:c"],
                &["1:2", "a b", "\\a", "%", "{a}"],
            ),
            ("iri", &["http://ж"], &["ж"]),
            ("iri-reference", &["ж"], &["ж ж"]),
            (
                "uri-template",
                &["/a/{b}/{+c,d*}", "{}", ""],
                &["{", "}", "{a{b}}", "{a}}", "a b"],
            ),
            (
                "uuid",
                &[
                    "01234567-89ab-cdef-0123-456789abcdef",
                    "01234567-89AB-cdef-0123-456789abcdef",
                ],
                &[
                    "",
                    "0123456789abcdef0123456789abcdef",
                    "01234567-89ab-cdef-0123-456789abcdeg",
                    "01234567-89ab-cdef-0123-456789abcdef-",
                ],
            ),
            ("regex", &["", "^a(b|c)*$"], &["(", "[", "a{2,1}"]),
            (
                "json-pointer",
                &["", "/", "/a/b~0~1", "/ä"],
                &["a", "/~", "/~2", "#/a"],
            ),
            (
                "relative-json-pointer",
                &["0", "1/a", "12#", "0#"],
                &["", "/a", "01", "0a", "0##", "-1"],
            ),
        ];
        for (name, right, wrong) in table {
            let format = Format::named(name).unwrap();
            for text in *right {
                assert!(format.accepts(text), "{name}: {text:?}");
            }
            for text in *wrong {
                assert!(!format.accepts(text), "{name}: {text:?}");
            }
        }
        assert_eq!(Format::named("colour"), None);
    }
}
