//! Query documents: parsed once, matched on raw BSON.
//!
//! The tree is public so that a planner can read bounds from it.

mod parse;
mod test;

use bson::RawDocument;

use crate::error::Result;
use crate::expression::{Expression, Scope};
use crate::path::{self, Path};
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
        Ok(Self {
            root: parse::query(query, 0)?,
        })
    }

    /// A query that matches everything.
    pub fn all() -> Self {
        Self {
            root: Node::And(Vec::new()),
        }
    }

    /// Whether `document` matches.
    pub fn matches(&self, document: &RawDocument) -> bool {
        node(&self.root, document)
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

fn flatten<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match node {
        Node::And(nodes) => nodes.iter().for_each(|node| flatten(node, found)),
        other => found.push(other),
    }
}

pub(crate) fn node(node: &Node, document: &RawDocument) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|n| self::node(n, document)),
        Node::Or(nodes) => nodes.iter().any(|n| self::node(n, document)),
        Node::Nor(nodes) => !nodes.iter().any(|n| self::node(n, document)),
        Node::Field(path, test) => test.matches(document, path.parts()),
        Node::Expr(expression) => Scope::of_raw(document)
            .and_then(|scope| expression.evaluate(&scope))
            .is_ok_and(|value| crate::expression::truthy(value.as_ref())),
        Node::Schema(schema) => schema.is_valid(document),
        Node::Never => false,
    }
}

/// Whether the values at `parts` satisfy `test`, shared with the tests.
pub(crate) fn any_value(
    document: &RawDocument,
    parts: &[path::Part],
    mut test: impl FnMut(Option<bson::raw::RawBsonRef<'_>>) -> bool,
) -> bool {
    path::visit(document, parts, &mut |value| test(value))
}
