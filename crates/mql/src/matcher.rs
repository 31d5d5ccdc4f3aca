//! Query documents: parsed once, matched on raw BSON.
//!
//! The tree is public so that a planner can read bounds from it.

mod parse;
mod test;

use bson::RawDocument;

use crate::error::Result;
use crate::expression::{Expression, Scope};
use crate::path::Path;
use crate::schema::Schema;

pub(crate) use parse::{is_operators, malformed, regex, truthy, type_number};
pub use test::{Compare, Regex, Test, TypeTest};

/// A parsed query.
#[derive(Debug, Clone)]
pub struct Matcher {
    root: Node,
}

/// A node of a query.
#[derive(Debug, Clone)]
pub enum Node {
    /// All of them; an empty list matches everything.
    And(Vec<Node>),
    /// Any of them.
    Or(Vec<Node>),
    /// None of them.
    Nor(Vec<Node>),
    /// A test of the values at a path.
    Field(Path, Test),
    /// `$expr`.
    Expr(Box<Expression>),
    /// `$jsonSchema`.
    Schema(Box<Schema>),
    /// Matches nothing (`$alwaysFalse`).
    Never,
}

impl Matcher {
    /// Parses a query document.
    ///
    /// # Errors
    /// MongoDB's: 2 for unknown operators and bad operands, 15 when nested too
    /// deeply.
    pub fn parse(query: &RawDocument) -> Result<Self> {
        crate::depth::check(query)?;
        Ok(Self {
            root: parse::query(query, 0, true)?,
        })
    }

    /// A query that matches everything.
    pub fn all() -> Self {
        Self {
            root: Node::And(Vec::new()),
        }
    }

    /// Whether `document` matches.
    ///
    /// # Errors
    /// What an `$expr` fails with.
    pub fn matches(&self, document: &RawDocument) -> Result<bool> {
        node(&self.root, document)
    }

    /// Whether there is an `$expr` in it.
    pub fn has_expression(&self) -> bool {
        self.root.has_expression()
    }

    /// The parsed query.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether every document matches.
    pub fn is_all(&self) -> bool {
        matches!(&self.root, Node::And(nodes) if nodes.is_empty())
    }

    /// The tests that must all hold, flattened out of nested `$and`s.
    pub fn conjuncts(&self) -> Vec<&Node> {
        let mut found = Vec::new();
        flatten(&self.root, &mut found);
        found
    }

    /// The index of the array element that made `document` match: what the
    /// positional `$` of an update or projection stands for.
    pub fn position(&self, document: &RawDocument) -> Option<usize> {
        self.conjuncts().into_iter().rev().find_map(|n| match n {
            Node::Field(path, test) => test.position(document, path.parts()),
            _ => None,
        })
    }
}

impl Node {
    fn has_expression(&self) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) | Self::Nor(nodes) => {
                nodes.iter().any(Self::has_expression)
            }
            Self::Expr(_) => true,
            _ => false,
        }
    }
}

fn flatten<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match node {
        Node::And(nodes) => nodes.iter().for_each(|node| flatten(node, found)),
        other => found.push(other),
    }
}

/// Only an `$expr` can fail, and it is nowhere but between logical operators.
pub(crate) fn node(node: &Node, document: &RawDocument) -> Result<bool> {
    let any = |nodes: &[Node], wanted: bool| {
        for node in nodes {
            if self::node(node, document)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match node {
        Node::And(nodes) => Ok(!any(nodes, false)?),
        Node::Or(nodes) => any(nodes, true),
        Node::Nor(nodes) => Ok(!any(nodes, true)?),
        Node::Field(path, test) => Ok(test.matches(document, path.parts())),
        Node::Expr(expression) => {
            let value = expression.evaluate(&Scope::of(document))?;
            Ok(crate::expression::truthy(value.as_ref()))
        }
        Node::Schema(schema) => Ok(schema.is_valid(document)),
        Node::Never => Ok(false),
    }
}
