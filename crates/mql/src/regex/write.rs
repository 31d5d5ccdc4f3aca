//! A parsed pattern in the syntax of the engines.

use std::fmt::Write;

use super::class::escape;
use super::tree::{Kind, Node};

/// A pattern for an engine.
pub(super) struct Written {
    pub(super) source: String,
    /// Whether it needs no backtracking.
    pub(super) linear: bool,
}

/// Written to tell whether there is a match, which may take in a newline at
/// the end of the text.
pub(super) fn test(tree: &Node) -> Written {
    whole(tree, true)
}

fn whole(tree: &Node, last: bool) -> Written {
    let mut writer = Writer::default();
    writer.node(tree, last);
    if writer.hard {
        // Again, now that it is known which engine it is for.
        writer = Writer {
            hard: true,
            ..Writer::default()
        };
        writer.node(tree, last);
    }
    writer.finish()
}

/// Written to find the match, and whether that is the first group.
pub(super) fn find(tree: &Node) -> (Written, bool) {
    // A `$` at the very end may take the newline in, beside the match.
    if let Node::Concat(nodes) = tree
        && let Some((Node::End { multiline: false }, rest)) = nodes.split_last()
        && !rest.iter().any(Node::has_end)
    {
        let mut writer = Writer {
            shift: 1,
            ..Writer::default()
        };
        writer.out.push('(');
        for node in rest {
            writer.node(node, false);
        }
        writer.out.push_str(")\\n?\\z");
        if !writer.hard {
            return (writer.finish(), true);
        }
    }
    (whole(tree, false), false)
}

#[derive(Default)]
struct Writer {
    out: String,
    hard: bool,
    /// Groups before the pattern's own first one.
    shift: usize,
}

impl Writer {
    fn finish(self) -> Written {
        Written {
            source: self.out,
            linear: !self.hard,
        }
    }

    /// `last` is whether nothing comes after the node, and the end of the
    /// match is of no interest.
    fn node(&mut self, node: &Node, last: bool) {
        match node {
            Node::Empty => {}
            Node::Class(class) => class.write(&mut self.out),
            Node::Literal(c) => {
                let _ = write!(self.out, "\\x{{{:x}}}", *c as u32);
            }
            Node::Never => self.out.push_str("[^\\x{0}-\\x{10ffff}]"),
            Node::Start => self.out.push_str("\\A"),
            Node::LineStart { exact } => {
                self.out.push_str("(?m:^)");
                if *exact {
                    // Not after a newline that ends the text.
                    self.out.push_str("(?:(?!\\z)|\\A)");
                    self.hard = true;
                }
            }
            Node::End { multiline: true } => self.out.push_str("(?m:$)"),
            Node::End { multiline: false } if last => self.out.push_str("\\n?\\z"),
            Node::End { multiline: false } => {
                self.out.push_str("(?=\\n?\\z)");
                self.hard = true;
            }
            Node::AbsoluteEnd => self.out.push_str("\\z"),
            Node::Boundary { inside } => self.boundary(*inside),
            Node::SearchStart => {
                self.out.push_str("\\G");
                self.hard = true;
            }
            Node::Keep => {
                self.out.push_str("\\K");
                self.hard = true;
            }
            Node::Concat(nodes) => {
                for (at, node) in nodes.iter().enumerate() {
                    self.node(node, last && at + 1 == nodes.len());
                }
            }
            Node::Alternatives(nodes) => {
                for (at, node) in nodes.iter().enumerate() {
                    if at > 0 {
                        self.out.push('|');
                    }
                    self.node(node, last);
                }
            }
            Node::Group(kind, inner) => {
                let (open, plain) = match kind {
                    Kind::Plain => ("(?:", true),
                    Kind::Capture => ("(", true),
                    Kind::Atomic => ("(?>", false),
                    Kind::Ahead => ("(?=", false),
                    Kind::NotAhead => ("(?!", false),
                    Kind::Behind => ("(?<=", false),
                    Kind::NotBehind => ("(?<!", false),
                };
                self.hard |= !plain;
                self.out.push_str(open);
                self.node(inner, last && plain);
                self.out.push(')');
            }
            Node::Repeat {
                inner,
                least,
                most,
                lazy,
                possessive,
            } => {
                self.hard |= possessive;
                self.out
                    .push_str(if *possessive { "(?>(?:" } else { "(?:" });
                self.node(inner, false);
                let _ = match most {
                    Some(most) => write!(self.out, "){{{least},{most}}}"),
                    None => write!(self.out, "){{{least},}}"),
                };
                if *lazy {
                    self.out.push('?');
                }
                if *possessive {
                    self.out.push(')');
                }
            }
            Node::Back { group, caseless } => {
                self.hard = true;
                let flag = if *caseless { "i" } else { "" };
                let _ = write!(self.out, "(?{flag}:\\{})", group + self.shift);
            }
            Node::Conditional { group, yes, no } => {
                self.hard = true;
                let _ = write!(self.out, "(?({})", group + self.shift);
                self.out.push_str("(?:");
                self.node(yes, false);
                self.out.push_str(")|(?:");
                self.node(no, false);
                self.out.push_str("))");
            }
        }
    }

    fn boundary(&mut self, inside: bool) {
        if !inside && !self.hard {
            self.out.push_str("(?-u:\\b)");
            return;
        }
        self.hard = true;
        let mut word = String::new();
        escape('w').unwrap_or_default().write(&mut word);
        let (same, other) = if inside { ('=', '!') } else { ('!', '=') };
        let _ = write!(
            self.out,
            "(?:(?<={word})(?{same}{word})|(?<!{word})(?{other}{word}))"
        );
    }
}
