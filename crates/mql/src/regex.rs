//! Regular expressions as MongoDB has them: Perl-compatible, on UTF-8.
//!
//! What needs no backtracking runs in linear time; look-around and
//! back-references backtrack under a cap of steps, and going over it is an
//! error.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{MqlError, Result};

/// Steps that one match may backtrack.
const STEPS_MAX: usize = 1_000_000;

/// A compiled regular expression with its source. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Regex {
    /// The source.
    pub pattern: String,
    /// The option letters.
    pub options: String,
    compiled: Arc<fancy_regex::Regex>,
}

/// Where a match and its groups are: byte ranges, the whole match first.
pub type Groups = Vec<Option<Range<usize>>>;

impl Regex {
    /// Compiles a pattern with the option letters `i`, `m`, `s`, `x`, `u`.
    ///
    /// # Errors
    /// 51108 for another letter, 51091 for an invalid pattern, 2 for a NUL.
    pub fn new(pattern: &str, options: &str) -> Result<Self> {
        let mut flags = String::new();
        for letter in options.chars() {
            match letter {
                'i' | 'm' | 's' | 'x' => flags.push(letter),
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
        let source = if flags.is_empty() {
            pattern.to_owned()
        } else {
            format!("(?{flags}){pattern}")
        };
        let compiled = fancy_regex::RegexBuilder::new(&source)
            .backtrack_limit(STEPS_MAX)
            .build()
            .map_err(|error| {
                MqlError::new(51091, format!("Regular expression is invalid: {error}"))
            })?;
        Ok(Self {
            pattern: pattern.to_owned(),
            options: options.to_owned(),
            compiled: Arc::new(compiled),
        })
    }

    /// Whether the pattern is found in `text`.
    ///
    /// # Errors
    /// 51156 when it takes more steps than the cap.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        self.compiled.is_match(text).map_err(|_| too_many_steps())
    }

    /// The first match that begins at byte `from` or later.
    ///
    /// # Errors
    /// 51156 when it takes more steps than the cap.
    pub fn find_from(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let found = self
            .compiled
            .captures_from_pos(text, from)
            .map_err(|_| too_many_steps())?;
        Ok(found.map(|groups| {
            groups
                .iter()
                .map(|group| group.map(|group| group.range()))
                .collect()
        }))
    }
}

fn too_many_steps() -> MqlError {
    MqlError::new(
        51156,
        "Error occurred while executing the regular expression. Result code: -8",
    )
}
