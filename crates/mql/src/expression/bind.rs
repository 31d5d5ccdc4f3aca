//! Variables from outside of an expression: a command's `let`, a `$lookup`'s,
//! and those that every command has, such as `$$NOW`.
//!
//! They are put in once, before documents are seen, so that what depends on
//! nothing else is computed once too.

use std::borrow::Cow;
use std::cell::Cell;

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson, RawDocument, RawDocumentBuf};

use super::fold::Folding;
use super::parse::{parse, readable, undefined, writable};
use super::{Expression, Node, OPEN, Scope, walk};
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::matcher::malformed;
use crate::order::raw;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    known: Vec<(String, Known)>,
    computing: Computing,
    /// What the numbers of `$rand` follow from.
    seed: Option<Cell<u64>>,
    /// How strings compare in what they are put into.
    collation: Option<Collation>,
}

/// When what depends on no document is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Computing {
    /// As the variables are put in.
    #[default]
    Now,
    /// The same, and what fails is left to fail for the first document.
    Lazily,
    /// For each document.
    Never,
    /// There may be other variables, which are put in before.
    Later,
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

    /// Sets a constant of an update.
    ///
    /// # Errors
    /// 9 for what is no name, 17275 for the name of a variable that all have.
    pub fn set_constant(&mut self, name: &str, value: Bson) -> Result<()> {
        const OF_ALL: &[&str] = &["NOW", "CLUSTER_TIME", "ROOT", "REMOVE", "SEARCH_META"];
        readable(name)?;
        if OF_ALL.contains(&name) {
            return Err(MqlError::new(
                17275,
                "Can't redefine a non-user-writable variable",
            ));
        }
        self.set(name, Some(value));
        Ok(())
    }

    /// Sets what the numbers of `$rand` follow from; without, it is refused.
    pub fn seed(&mut self, seed: u64) {
        self.seed = Some(Cell::new(seed));
    }

    /// Sets how strings compare in what the variables are put into.
    pub fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
    }

    /// The variables of a command's `let`, on top of these: each sees those
    /// before it, and none sees a document.
    ///
    /// # Errors
    /// 9 for a bad name, 4890500 for a field.
    pub fn with_let(mut self, specification: &RawDocument) -> Result<Self> {
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            writable(name.as_str()).map_err(|error| {
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

    /// These variables where what fails for every document fails for the first.
    pub(crate) fn lazy(mut self) -> Self {
        self.computing = Computing::Lazily;
        self
    }

    /// These variables among others.
    pub(crate) fn open(mut self) -> Self {
        self.computing = Computing::Later;
        self
    }

    /// These variables for expressions that are evaluated as they are written:
    /// nothing is computed before there is a document.
    #[must_use]
    pub fn literal(mut self) -> Self {
        self.computing = Computing::Never;
        self
    }

    /// Whether nothing is computed before there is a document.
    pub(crate) fn is_literal(&self) -> bool {
        self.computing == Computing::Never
    }

    /// Whether they are for one document of many.
    pub(crate) fn is_lazy(&self) -> bool {
        self.computing == Computing::Lazily
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

impl Expression {
    /// Parses an expression whose variables may come from outside. Nothing is
    /// computed before they are put in.
    pub(crate) fn parse_open(value: RawBsonRef<'_>) -> Result<Self> {
        let value = Bson::try_from(value).map_err(malformed)?;
        Ok(Self {
            node: parse(&value, &mut vec![OPEN.to_owned()], 0)?,
            collation: None,
            computed: false,
        })
    }

    /// The expression with what depends on nothing, not on a variable either,
    /// computed.
    ///
    /// # Errors
    /// What fails whatever the document is.
    pub(crate) fn folded(&self) -> Result<Self> {
        let mut folded = self.clone();
        folded.node.fold(&Folding::by(None))?;
        Ok(folded)
    }

    /// The value of an expression that depends on nothing; `None` of another.
    pub(crate) fn constant_of(value: RawBsonRef<'_>) -> Result<Option<Bson>> {
        Ok(Self::parse_open(value)?.folded()?.constant().cloned())
    }

    /// Puts the variables from outside in their places, and computes what depends
    /// on no document.
    ///
    /// # Errors
    /// 17276 for one that is not there; what fails whatever the document is.
    pub(crate) fn bind(&mut self, variables: &Variables) -> Result<()> {
        if let Some(seed) = &variables.seed {
            // Far enough from the next one for all in this expression.
            seed.set(seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
            self.seed(seed.get());
        }
        let mut changed = false;
        self.node.bind(variables, &mut changed)?;
        if variables.collation.is_some() {
            self.collation.clone_from(&variables.collation);
        }
        if !changed && self.computed {
            return Ok(());
        }
        match variables.computing {
            Computing::Later => {}
            Computing::Never => self.node.compile(),
            Computing::Now => {
                self.node.fold(&Folding::by(self.collation.as_ref()))?;
                self.computed = true;
            }
            Computing::Lazily => {
                let folded = self.node.fold(&Folding::by(self.collation.as_ref()));
                self.computed = folded.is_ok();
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

    /// Whether the value is the same for every document, also when it is missing.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self.node, Node::Constant(_) | Node::Missing)
    }

    /// Whether the value is the whole document.
    pub(crate) fn is_root(&self) -> bool {
        matches!(&self.node, Node::Path(name, parts)
            if parts.is_empty() && (name == "ROOT" || name == "CURRENT"))
    }

    /// Whether the value is the same for every document once variables from
    /// outside are put in.
    pub(crate) fn is_settled(&mut self) -> bool {
        self.is_constant() || !self.reads_document()
    }

    /// The paths in a document that the value depends on; `None` when it depends
    /// on the whole of it, or on chance.
    pub(crate) fn paths(&self) -> Option<Vec<Vec<String>>> {
        let mut paths = Vec::new();
        self.node.clone().paths(&mut paths).then_some(paths)
    }

    /// Whether the value depends on the document.
    fn reads_document(&mut self) -> bool {
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
                        None => Self::Missing,
                    };
                }
                None if variables.computing == Computing::Later => {}
                None => return Err(undefined(name)),
            }
            return Ok(());
        }
        self.each(&mut |node| node.bind(variables, changed))
    }

    fn equalities(&self, found: &mut Vec<(String, RawBson)>) {
        match self {
            Self::Call(operator, nodes) if operator.name == "$and" => {
                for node in nodes {
                    node.equalities(found);
                }
            }
            Self::Call(operator, sides) if operator.name == "$eq" => match sides.as_slice() {
                [Self::Path(name, parts), Self::Constant(value)]
                | [Self::Constant(value), Self::Path(name, parts)]
                    if (name == "CURRENT" || name == "ROOT")
                        && !parts.is_empty()
                        // What is an array by its path is none for a query.
                        && !matches!(
                            value,
                            Bson::RegularExpression(_) | Bson::Undefined | Bson::Array(_)
                        ) =>
                {
                    found.push((parts.join("."), raw(value)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn paths(&mut self, found: &mut Vec<Vec<String>>) -> bool {
        match self {
            Self::Random(_) => return false,
            Self::Path(name, parts) if name == "ROOT" || name == "CURRENT" => {
                if parts.is_empty() {
                    return false;
                }
                found.push(parts.clone());
            }
            _ => {}
        }
        let mut all = true;
        let walked = self.each(&mut |node| {
            all &= node.paths(found);
            Ok(())
        });
        all && walked.is_ok()
    }

    fn any(&mut self, wanted: &dyn Fn(&Self) -> bool) -> bool {
        let mut found = wanted(self);
        let walked = self.each(&mut |node| {
            found |= node.any(wanted);
            Ok(())
        });
        found && walked.is_ok()
    }
}
