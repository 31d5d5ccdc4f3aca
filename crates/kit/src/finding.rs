//! What checking an app directory finds: every problem with its file and line.

use std::fmt;

/// Whether a finding stops a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The app cannot be deployed.
    Error,
    /// The app can be deployed; something will not work as written.
    Warning,
}

/// One problem in an app's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it stops a deployment.
    pub severity: Severity,
    /// Path inside the app directory, `/`-separated, no leading slash.
    pub path: String,
    /// 1-based line, when known.
    pub line: Option<u32>,
    /// 1-based column in characters, when known.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The lines round the place, as [`code_frame`](crate::code_frame) shows
    /// them, where that helps.
    pub frame: Option<String>,
}

impl Finding {
    /// A problem that stops a deployment.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            line: None,
            column: None,
            message: message.into(),
            hint: None,
            frame: None,
        }
    }

    /// A problem that does not stop a deployment.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, message)
        }
    }

    /// Says where: 1-based line, and column if known.
    #[must_use]
    pub fn at(mut self, line: u32, column: Option<u32>) -> Self {
        self.line = Some(line);
        self.column = column;
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `path:line:column: error: message`, then the lines round it and the hint; no
/// place when there is none.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        write!(f, "{severity}: {}", self.message)?;
        for line in self.frame.iter().flat_map(|frame| frame.lines()) {
            write!(f, "\n    {line}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}
