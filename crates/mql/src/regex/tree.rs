//! Patterns as trees.

use super::class::Class;

/// The options in force at a place.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub(super) struct Flags {
    pub(super) caseless: bool,
    pub(super) multiline: bool,
    pub(super) dot_all: bool,
    pub(super) extended: bool,
    pub(super) ungreedy: bool,
}

/// A part of a pattern.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Empty,
    Literal(char),
    Class(Class),
    Never,
    Start,
    /// `^` of lines; `exact` when it may match where nothing follows.
    LineStart {
        exact: bool,
    },
    /// `$`: also before a newline that ends the text.
    End {
        multiline: bool,
    },
    AbsoluteEnd,
    Boundary {
        inside: bool,
    },
    SearchStart,
    Keep,
    Concat(Vec<Self>),
    Alternatives(Vec<Self>),
    Group(Kind, Box<Self>),
    Repeat {
        inner: Box<Self>,
        least: u32,
        most: Option<u32>,
        lazy: bool,
        possessive: bool,
    },
    Back {
        group: usize,
        caseless: bool,
    },
    Conditional {
        group: usize,
        yes: Box<Self>,
        no: Box<Self>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Capture,
    Atomic,
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
}

impl Node {
    /// Whether a `$` that may stand before a newline is in it.
    pub(super) fn has_end(&self) -> bool {
        match self {
            Self::End { multiline } => !multiline,
            Self::Concat(nodes) | Self::Alternatives(nodes) => nodes.iter().any(Self::has_end),
            Self::Group(_, inner) | Self::Repeat { inner, .. } => inner.has_end(),
            Self::Conditional { yes, no, .. } => yes.has_end() || no.has_end(),
            _ => false,
        }
    }

    /// Whether it takes at least one character.
    pub(super) fn consumes(&self) -> bool {
        match self {
            Self::Literal(_) | Self::Class(_) | Self::Never => true,
            Self::Concat(nodes) => nodes.iter().any(Self::consumes),
            Self::Alternatives(nodes) => nodes.iter().all(Self::consumes),
            Self::Group(kind, inner) => {
                matches!(kind, Kind::Plain | Kind::Capture | Kind::Atomic) && inner.consumes()
            }
            Self::Repeat { inner, least, .. } => *least > 0 && inner.consumes(),
            Self::Conditional { yes, no, .. } => yes.consumes() && no.consumes(),
            _ => false,
        }
    }

    /// How many characters it takes, where that is one number.
    pub(super) fn width(&self) -> Option<usize> {
        match self {
            Self::Literal(_) | Self::Class(_) | Self::Never => Some(1),
            Self::Concat(nodes) => nodes.iter().map(Self::width).sum(),
            Self::Alternatives(nodes) => {
                let first = nodes.first()?.width()?;
                let same = nodes.iter().all(|node| node.width() == Some(first));
                same.then_some(first)
            }
            Self::Group(Kind::Plain | Kind::Capture | Kind::Atomic, inner) => inner.width(),
            Self::Repeat {
                inner, least, most, ..
            } => {
                let once = inner.width()?;
                (Some(*least) == *most).then_some(once * *least as usize)
            }
            Self::Back { .. } | Self::Conditional { .. } => None,
            _ => Some(0),
        }
    }
}
