//! Regular expressions as MongoDB has them: Perl-compatible, on UTF-8.
//!
//! A pattern is parsed by PCRE's rules and written anew for an engine that
//! has other ones. What needs no backtracking runs in linear time; look-around
//! and back-references backtrack under a cap of steps, and going over it is an
//! error. Recursion and the few other things that neither engine has are
//! refused.

mod class;
mod escape;
mod parse;
mod tree;
mod write;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::error::{MqlError, Result};

/// Steps that one match may backtrack.
const STEPS_MAX: usize = 1_000_000;
/// Characters of a pattern; MongoDB's limit on what it compiles to is near.
const PATTERN_CHARS_MAX: usize = 32_760;

/// A compiled regular expression with its source. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Regex {
    /// The source.
    pub pattern: String,
    /// The option letters.
    pub options: String,
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    tree: tree::Node,
    test: Engine,
    find: OnceLock<Result<Finder>>,
}

/// Finds where a match is.
#[derive(Debug, Clone)]
struct Finder {
    engine: Engine,
    /// Whether the whole match is the first group, since the engine's own
    /// takes in a newline at the end.
    inside: bool,
}

#[derive(Debug, Clone)]
enum Engine {
    Linear(regex::Regex),
    Steps(fancy_regex::Regex),
}

/// Where a match and its groups are: byte ranges, the whole match first.
pub type Groups = Vec<Option<Range<usize>>>;

impl Regex {
    /// Compiles a pattern with the option letters `i`, `m`, `s`, `x`, `u`.
    ///
    /// # Errors
    /// 51108 for another letter, 51091 for an invalid pattern, 2 for a NUL.
    pub fn new(pattern: &str, options: &str) -> Result<Self> {
        let mut flags = tree::Flags::default();
        for letter in options.chars() {
            match letter {
                'i' => flags.caseless = true,
                'm' => flags.multiline = true,
                's' => flags.dot_all = true,
                'x' => flags.extended = true,
                // Matching is on UTF-8 throughout.
                'u' => {}
                other => {
                    return Err(MqlError::new(
                        51108,
                        format!(" invalid flag in regex options: {other}"),
                    ));
                }
            }
        }
        if pattern.contains('\0') {
            return Err(MqlError::bad_value(
                "Regular expression cannot contain an embedded null byte",
            ));
        }
        if pattern.chars().count() > PATTERN_CHARS_MAX {
            return Err(invalid("regular expression is too large"));
        }
        let tree = parse::parse(pattern, flags).map_err(|why| invalid(&why))?;
        let test = Engine::new(&write::test(&tree))?;
        Ok(Self {
            pattern: pattern.to_owned(),
            options: options.to_owned(),
            compiled: Arc::new(Compiled {
                tree,
                test,
                find: OnceLock::new(),
            }),
        })
    }

    /// Whether the pattern is found in `text`.
    ///
    /// # Errors
    /// 51156 when it takes more steps than the cap.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        match &self.compiled.test {
            Engine::Linear(regex) => Ok(regex.is_match(text)),
            Engine::Steps(regex) => regex.is_match(text).map_err(|_| too_many_steps()),
        }
    }

    /// The first match that begins at byte `from` or later.
    ///
    /// # Errors
    /// 51156 when it takes more steps than the cap.
    pub fn find_from(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let finder = self.compiled.find.get_or_init(|| {
            let (written, inside) = write::find(&self.compiled.tree);
            let engine = Engine::new(&written)?;
            Ok(Finder { engine, inside })
        });
        let finder = finder.as_ref().map_err(Clone::clone)?;
        let found: Option<Groups> = match &finder.engine {
            Engine::Linear(regex) => regex.captures_at(text, from).map(|groups| {
                let groups = groups.iter();
                groups
                    .map(|group| group.map(|group| group.range()))
                    .collect()
            }),
            Engine::Steps(regex) => regex
                .captures_from_pos(text, from)
                .map_err(|_| too_many_steps())?
                .map(|groups| {
                    let groups = groups.iter();
                    groups
                        .map(|group| group.map(|group| group.range()))
                        .collect()
                }),
        };
        Ok(found.map(|mut groups| {
            if finder.inside {
                groups.remove(0);
            }
            groups
        }))
    }
}

impl Engine {
    fn new(written: &write::Written) -> Result<Self> {
        let too_large = || invalid("regular expression is too large");
        Ok(if written.linear {
            Self::Linear(regex::Regex::new(&written.source).map_err(|_| too_large())?)
        } else {
            let engine = fancy_regex::RegexBuilder::new(&written.source)
                .backtrack_limit(STEPS_MAX)
                .build();
            Self::Steps(engine.map_err(|_| too_large())?)
        })
    }
}

fn invalid(why: &str) -> MqlError {
    MqlError::new(51091, format!("Regular expression is invalid: {why}"))
}

fn too_many_steps() -> MqlError {
    MqlError::new(
        51156,
        "Error occurred while executing the regular expression. Result code: -8",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, options: &str, text: &str) -> Option<Vec<Option<String>>> {
        let regex = Regex::new(pattern, options).expect(pattern);
        let groups = regex.find_from(text, 0).expect("few steps")?;
        assert!(regex.is_match(text).expect("few steps"), "{pattern}");
        let groups = groups.into_iter();
        Some(groups.map(|g| g.map(|g| text[g].to_owned())).collect())
    }

    #[test]
    fn groups_are_found() {
        for (pattern, options, text, wanted) in [
            ("(a)(b)?", "", "xa", vec![Some("a"), Some("a"), None]),
            ("b$", "", "ab\n", vec![Some("b")]),
            ("(b)$", "", "ab\n", vec![Some("b"), Some("b")]),
            ("a$|b$", "", "ab\n", vec![Some("b")]),
            ("^b$", "m", "a\nb\nc", vec![Some("b")]),
            ("(.)\\1", "i", "xaAb", vec![Some("aA"), Some("a")]),
            ("(?<=a)b(?!c)", "", "abcab", vec![Some("b")]),
            ("é", "i", "caFÉ", vec![Some("É")]),
            ("a b # c\n", "x", "xab", vec![Some("ab")]),
            ("a\\Kb", "", "ab", vec![Some("b")]),
        ] {
            let wanted: Vec<Option<String>> =
                wanted.into_iter().map(|g| g.map(str::to_owned)).collect();
            assert_eq!(found(pattern, options, text), Some(wanted), "{pattern}");
        }
        let regex = Regex::new("a", "").expect("compiles");
        let second = regex.find_from("aba", 1).expect("few steps");
        assert_eq!(second, Some(vec![Some(2..3)]));
    }

    /// What would take a backtracking engine forever is linear, or refused.
    #[test]
    fn hostile_patterns_end() {
        let text = format!("{}b", "a".repeat(50_000));
        for pattern in ["(a+)+$", "^(a|aa)+$", "(a*)*c", "(.*)(.*)(.*)(.*)c"] {
            let regex = Regex::new(pattern, "").expect("compiles");
            assert_eq!(regex.is_match(&text), Ok(false), "{pattern}");
        }
        let text = format!("{}b", "a".repeat(100));
        for pattern in ["^(?:a|(?=a)a)+c", "^(?:(a|a)\\1?)*c", "^(?:(?=a)a+)+c"] {
            let regex = Regex::new(pattern, "").expect("compiles");
            let error = regex.is_match(&text).expect_err(pattern);
            assert_eq!(error.code, 51156, "{pattern}");
        }
        for pattern in [
            "a".repeat(40_000),
            "(".repeat(300) + &")".repeat(300),
            "((((a{1,100}){1,100}){1,100}){1,100}){1,100}".to_owned(),
            "(?i)[\\x{0}-\\x{10ffff}]".repeat(2_000),
        ] {
            let error = Regex::new(&pattern, "").expect_err("refused");
            assert_eq!(error.code, 51091);
        }
    }
}
