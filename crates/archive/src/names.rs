//! Names of collections as file names, and which collections are meant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use sha1::{Digest, Sha1};

/// Longest file name without its ending, as mongodump has it.
const FILE_NAME_BYTES_MAX: usize = 238;
/// Bytes of a longer name that are kept in front of its digest.
const KEPT_BYTES: usize = 208;
/// Databases of MongoDB itself.
const SYSTEM: &[&str] = &["admin", "config", "local"];

/// Which collections are meant; the default is all but MongoDB's own.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only this database.
    pub database: Option<String>,
    /// Only collections of this name.
    pub collection: Option<String>,
    /// Only namespaces that match one of these; `*` stands for anything, and a
    /// backslash takes its meaning away. None includes all.
    pub include: Vec<String>,
    /// No namespaces that match one of these.
    pub exclude: Vec<String>,
}

impl Selection {
    /// Whether anything of a database may be meant.
    pub(crate) fn may_have(&self, database: &str) -> bool {
        match &self.database {
            Some(wanted) => wanted == database,
            None => !SYSTEM.contains(&database),
        }
    }

    /// Whether a collection is meant.
    pub(crate) fn has(&self, database: &str, collection: &str) -> bool {
        let namespace = format!("{database}.{collection}");
        let any = |patterns: &[String]| patterns.iter().any(|p| matches(p, &namespace));
        self.may_have(database)
            && !collection.starts_with("system.")
            && self
                .collection
                .as_deref()
                .is_none_or(|wanted| wanted == collection)
            && (self.include.is_empty() || any(&self.include))
            && !any(&self.exclude)
    }
}

/// Whether a pattern with `*` matches. One star is remembered at a time, so
/// that no pattern takes long.
fn matches(pattern: &str, text: &str) -> bool {
    let mut wanted: Vec<Option<char>> = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        wanted.push(match letter {
            '*' => None,
            '\\' => Some(letters.next().unwrap_or('\\')),
            other => Some(other),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match wanted.get(p) {
            Some(None) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Some(letter)) if *letter == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    wanted[p..].iter().all(Option::is_none)
}

/// A text in which what a path or a URL could stumble over is percent-encoded.
pub fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The folder of a database.
pub(crate) fn folder(database: &str) -> String {
    // A folder has no ending that would make these names harmless.
    if database.chars().all(|letter| letter == '.') {
        return database.replace('.', "%2E");
    }
    escaped(database)
}

/// A collection's file, without its ending. A long name is cut and gets a
/// digest; the metadata has the whole one.
pub(crate) fn file(collection: &str) -> String {
    let full = escaped(collection);
    if full.len() <= FILE_NAME_BYTES_MAX {
        return full;
    }
    let digest = URL_SAFE.encode(Sha1::digest(collection.as_bytes()));
    let mut kept = full;
    kept.truncate(KEPT_BYTES);
    format!("{kept}%24{}", digest.trim_end_matches('='))
}

/// The name that a file or folder stands for; `None` when it is no text.
pub(crate) fn unescaped(name: &str) -> Option<String> {
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless_and_come_back() {
        for name in ["c", "a/b", "..", "a b+c%", "naïve", "x\\y:z", "$.", "con*?"] {
            for file in [folder(name), file(name) + ".bson"] {
                assert!(!file.contains(['/', '\\', '*', ':', ' ', '\0']), "{file}");
                assert!(file != ".." && file != ".", "{file}");
            }
            assert_eq!(unescaped(&file(name)).as_deref(), Some(name));
            assert_eq!(unescaped(&folder(name)).as_deref(), Some(name));
        }
        let long = "é".repeat(120);
        assert!(file(&long).len() <= FILE_NAME_BYTES_MAX);
        assert_ne!(file(&long), file(&format!("{long}x")));
        assert_eq!(unescaped("%zz"), None);
        assert_eq!(unescaped("%C3"), None);
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "ab.c", false),
            ("*.b", "a.b", true),
            ("*.b", "a.bb", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            (r"a.\*", "a.*", true),
            (r"a.\*", "a.b", false),
            ("", "", true),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        // Many stars do not take long.
        assert!(!matches(&"*a".repeat(60), &"a".repeat(59)));
    }

    #[test]
    fn selections() {
        let all = Selection::default();
        assert!(all.has("shop", "orders"));
        assert!(!all.has("local", "oplog.rs"));
        assert!(!all.has("shop", "system.views"));
        let some = Selection {
            include: vec!["shop.*".into()],
            exclude: vec!["shop.tmp*".into()],
            ..Selection::default()
        };
        assert!(some.has("shop", "orders"));
        assert!(!some.has("shop", "tmp1"));
        assert!(!some.has("other", "orders"));
    }
}
