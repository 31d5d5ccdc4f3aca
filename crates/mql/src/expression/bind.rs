//! Variables from outside of an expression: a command's `let`, a `$lookup`'s,
//! and those that every command has, such as `$$NOW`.
//!
//! They are put in once, before documents are seen, so that what depends on
//! nothing else is computed once too.

use std::borrow::Cow;

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson, RawDocument, RawDocumentBuf};

use super::{Expression, Node, Scope, walk};
use crate::error::{MqlError, Result};
use crate::matcher::malformed;
use crate::order::raw;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    known: Vec<(String, Known)>,
    /// Whether what fails for every document is left to fail for the first one.
    lazy: bool,
    /// Whether there may be others, which are put in later.
    open: bool,
}

#[derive(Debug, Clone)]
enum Known {
    /// A value, or that it is missing.
    Value(Option<Bson>),
    /// There will be one.
    Later,
}

impl Variables {
    /// Sets a variable; `None` is a missing value.
    pub fn set(&mut self, name: &str, value: Option<Bson>) {
        self.known.push((name.to_owned(), Known::Value(value)));
    }

    /// The variables of a command's `let`, on top of these: each sees those
    /// before it, and none sees a document.
    ///
    /// # Errors
    /// 9 for a bad name, 4890500 for a field.
    pub fn with_let(mut self, specification: &RawDocument) -> Result<Self> {
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            check_name(name.as_str()).map_err(|error| {
                let text = format!("Invalid 'let' parameter :: caused by :: {}", error.message);
                MqlError::new(error.code, text)
            })?;
            let mut expression = Expression::parse_open(value)?;
            expression.bind(&self)?;
            if expression.reads_document() {
                return Err(MqlError::new(
                    4_890_500,
                    "Command let Expression tried to access a field, but this is not allowed because Command let Expressions run before the query examines any documents.",
                ));
            }
            let value = expression.evaluate(&Scope::of(&RawDocumentBuf::new()))?;
            self.set(name.as_str(), value);
        }
        Ok(self)
    }

    /// These variables for one document of a `$lookup`.
    pub(crate) fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// These variables among others.
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Says that a variable gets its value later.
    pub(crate) fn declare(&mut self, name: &str) {
        self.known.push((name.to_owned(), Known::Later));
    }

    fn get(&self, name: &str) -> Option<&Known> {
        let found = self.known.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, known)| known)
    }
}

/// Whether a name may be a user's variable.
///
/// # Errors
/// 9.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bad = |text: String| Err(MqlError::failed_to_parse(text));
    let Some(first) = name.chars().next() else {
        return bad("empty variable names are not allowed".to_owned());
    };
    if name == "CURRENT" {
        return Ok(());
    }
    if !first.is_ascii_lowercase() && first.is_ascii() {
        return bad(format!(
            "'{name}' starts with an invalid character for a user variable name"
        ));
    }
    let odd = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_';
    if let Some(odd) = name.chars().find(|c| odd(*c)) {
        return bad(format!(
            "'{name}' contains an invalid character for a variable name: '{odd}'"
        ));
    }
    Ok(())
}

impl Expression {
    /// Parses an expression whose variables may come from outside.
    pub(crate) fn parse_open(value: RawBsonRef<'_>) -> Result<Self> {
        let value = Bson::try_from(value).map_err(malformed)?;
        let mut node = super::parse(&value, &mut vec![super::OPEN.to_owned()], 0)?;
        node.fold()?;
        Ok(Self { node })
    }

    /// Puts the variables from outside in their places.
    ///
    /// # Errors
    /// 17276 for one that is not there.
    pub(crate) fn bind(&mut self, variables: &Variables) -> Result<()> {
        let mut changed = false;
        self.node.bind(variables, &mut changed)?;
        if changed {
            match self.node.fold() {
                Err(error) if !variables.lazy => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The fields that have to equal a constant for the value to be true.
    pub(crate) fn equalities(&self) -> Vec<(String, RawBson)> {
        let mut found = Vec::new();
        self.node.equalities(&mut found);
        found
    }

    /// The value, if it is the same for every document.
    pub(crate) fn constant(&self) -> Option<&Bson> {
        match &self.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the value depends on the document.
    fn reads_document(&self) -> bool {
        self.node
            .any(&|node| matches!(node, Node::Path(name, _) if name == "ROOT" || name == "CURRENT"))
    }
}

impl Node {
    fn bind(&mut self, variables: &Variables, changed: &mut bool) -> Result<()> {
        if let Self::Outside(name, parts) = self {
            match variables.get(name) {
                Some(Known::Later) => {}
                Some(Known::Value(value)) => {
                    *changed = true;
                    let value = value.as_ref().and_then(|value| walk(value, parts));
                    *self = match value.map(Cow::into_owned) {
                        Some(value) => Self::Constant(value),
                        None => Self::Path("REMOVE".to_owned(), Vec::new()),
                    };
                }
                None if variables.open => {}
                None => return Err(super::undefined(name)),
            }
            return Ok(());
        }
        self.each(&mut |node| node.bind(variables, changed))
    }

    fn equalities(&self, found: &mut Vec<(String, RawBson)>) {
        match self {
            Self::Call("$and", nodes) => nodes.iter().for_each(|node| node.equalities(found)),
            Self::Call("$eq", sides) => match sides.as_slice() {
                [Self::Path(name, parts), Self::Constant(value)]
                | [Self::Constant(value), Self::Path(name, parts)]
                    if (name == "CURRENT" || name == "ROOT")
                        && !parts.is_empty()
                        && !matches!(value, Bson::RegularExpression(_) | Bson::Undefined) =>
                {
                    found.push((parts.join("."), raw(value)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn any(&self, wanted: &dyn Fn(&Self) -> bool) -> bool {
        let mut found = wanted(self);
        self.each_ref(&mut |node| found |= node.any(wanted));
        found
    }

    /// Visits what it is made of.
    fn each(&mut self, visit: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        match self {
            Self::Constant(_) | Self::Path(..) | Self::Outside(..) => Ok(()),
            Self::Array(nodes) | Self::Call(_, nodes) => nodes.iter_mut().try_for_each(visit),
            Self::Object(fields) | Self::Named(_, fields) => {
                fields.iter_mut().try_for_each(|(_, node)| visit(node))
            }
            Self::Let(bound, body) => {
                bound.iter_mut().try_for_each(|(_, node)| visit(node))?;
                visit(body)
            }
            Self::Switch(branches, default) => {
                for (case, then) in branches {
                    visit(case)?;
                    visit(then)?;
                }
                default.as_mut().map_or(Ok(()), |default| visit(default))
            }
        }
    }

    fn each_ref(&self, visit: &mut dyn FnMut(&Self)) {
        match self {
            Self::Constant(_) | Self::Path(..) | Self::Outside(..) => {}
            Self::Array(nodes) | Self::Call(_, nodes) => nodes.iter().for_each(visit),
            Self::Object(fields) | Self::Named(_, fields) => {
                for (_, node) in fields {
                    visit(node);
                }
            }
            Self::Let(bound, body) => {
                for (_, node) in bound {
                    visit(node);
                }
                visit(body);
            }
            Self::Switch(branches, default) => {
                for (case, then) in branches {
                    visit(case);
                    visit(then);
                }
                if let Some(default) = default {
                    visit(default);
                }
            }
        }
    }
}
