//! Query documents: parsed once, matched on raw BSON.
//!
//! The tree is public so that a planner can read bounds from it.

mod parse;
mod position;
mod test;

use bson::{RawBson, RawDocument};

use crate::collation::Collation;
use crate::error::Result;
use crate::expression::{Expression, Scope, Variables};
use crate::order::compare_with;
use crate::path::Path;
use crate::schema::Schema;

use parse::Place;
pub use parse::type_name;
pub(crate) use parse::{is_operators, malformed, truthy, type_number};
pub use test::{Compare, Mask, Test, TypeTest};

/// A parsed query.
#[derive(Debug, Clone)]
pub struct Matcher {
    root: Node,
    collation: Option<Collation>,
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
        Self::parse_with(query, None)
    }

    /// Parses a query document whose strings compare by a collation.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`].
    pub fn parse_with(query: &RawDocument, collation: Option<&Collation>) -> Result<Self> {
        let mut matcher = Self::parse_open(query)?;
        let mut variables = Variables::default();
        variables.collate(collation);
        matcher.bind(&variables)?;
        Ok(matcher.collated(collation))
    }

    /// Parses a query whose variables are put in by [`Matcher::bind`].
    ///
    /// # Errors
    /// Those of [`Matcher::parse`], but for unknown variables.
    pub fn parse_open(query: &RawDocument) -> Result<Self> {
        Self::parse_in(query, Place::Top)
    }

    /// Parses a query that may have no `$expr`.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`]; 224 for an `$expr`.
    pub fn parse_plain(query: &RawDocument) -> Result<Self> {
        Self::parse_in(query, Place::Plain)
    }

    /// Refuses a query by which no positional projection can go.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`]; 224 for an `$expr` or `$jsonSchema`.
    pub fn check_positional(query: &RawDocument) -> Result<()> {
        Self::parse_in(query, Place::Positional).map(|_| ())
    }

    fn parse_in(query: &RawDocument, place: Place) -> Result<Self> {
        crate::depth::check(query)?;
        Ok(Self {
            root: parse::query(query, 0, place)?,
            collation: None,
        })
    }

    /// What matches both queries, which have the same collation.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if self.is_all() {
            return other;
        }
        if !other.is_all() {
            let parts = [self.root, other.root]
                .into_iter()
                .flat_map(|root| match root {
                    Node::And(nodes) => nodes,
                    root => vec![root],
                });
            self.root = Node::And(parse::expressions_last(parts.collect()));
        }
        self
    }

    /// What matches either query; both have the same collation.
    #[must_use]
    pub(crate) fn or(mut self, other: Self) -> Self {
        self.root = Node::Or(vec![self.root, other.root]);
        self
    }

    /// Leaves out what matches nothing where that is seen at once; whether there
    /// was any.
    pub(crate) fn simplify(&mut self) -> bool {
        self.root.simplify()
    }

    /// The parts that must all hold, in two: those that `wanted` is true of, and
    /// the others; `None` for no parts.
    pub(crate) fn split(self, wanted: &dyn Fn(&Node) -> bool) -> (Option<Self>, Option<Self>) {
        let nodes = self.root.parts().into_iter();
        let (wanted, others): (Vec<Node>, Vec<Node>) = nodes.partition(wanted);
        let some = |nodes: Vec<Node>| {
            (!nodes.is_empty()).then(|| Self {
                root: Node::And(nodes),
                collation: self.collation.clone(),
            })
        };
        (some(wanted), some(others))
    }

    /// Adds to each `$expr` that a field equals a constant the test that this
    /// implies, so that an index can answer it.
    pub fn imply_equalities(&mut self) {
        let implied: Vec<Node> = self
            .conjuncts()
            .into_iter()
            .filter_map(|node| match node {
                Node::Expr(expression) => Some(expression.equalities()),
                _ => None,
            })
            .flatten()
            .map(|(path, value)| Node::Field(Path::new(&path), Test::Compare(Compare::Eq, value)))
            .collect();
        if !implied.is_empty() {
            let root = std::mem::replace(&mut self.root, Node::Never);
            self.root = Node::And(implied.into_iter().chain([root]).collect());
        }
    }

    /// The same query with strings compared by a collation.
    #[must_use]
    pub fn collated(mut self, collation: Option<&Collation>) -> Self {
        if self.collation.as_ref() != collation {
            self.root.collate(collation);
            self.collation = collation.cloned();
        }
        self
    }

    /// Puts the variables from outside into its `$expr`s.
    ///
    /// # Errors
    /// 17276 for one that is not there.
    pub fn bind(&mut self, variables: &Variables) -> Result<()> {
        self.root.each_expression(&mut |e| e.bind(variables))
    }

    /// A query that matches everything.
    pub fn all() -> Self {
        Self {
            root: Node::And(Vec::new()),
            collation: None,
        }
    }

    /// How strings compare; `None` is by their bytes.
    pub fn collation(&self) -> Option<&Collation> {
        self.collation.as_ref()
    }

    /// Whether `document` matches.
    ///
    /// # Errors
    /// What an `$expr` or a regular expression fails with.
    pub fn matches(&self, document: &RawDocument) -> Result<bool> {
        node(&self.root, document, self.collation.as_ref())
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
    /// positional `$` of an update stands for.
    pub fn position(&self, document: &RawDocument) -> Option<usize> {
        position::noted(&self.root, true, document, self.collation.as_ref())
    }

    /// What the positional `$` of a projection stands for: for it, MongoDB asks
    /// the parts of the query as they are written.
    pub(crate) fn position_as_written(&self, document: &RawDocument) -> Option<usize> {
        position::noted(&self.root, false, document, self.collation.as_ref())
    }
}

impl Node {
    pub(crate) fn each_expression(
        &mut self,
        visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::And(nodes) | Self::Or(nodes) | Self::Nor(nodes) => nodes
                .iter_mut()
                .try_for_each(|node| node.each_expression(visit)),
            Self::Expr(expression) => visit(expression),
            _ => Ok(()),
        }
    }

    /// The parts that must all hold: those of an `$and`, of a `$nor`, and each
    /// operator of a field.
    fn parts(self) -> Vec<Self> {
        match self {
            Self::And(nodes) => nodes.into_iter().flat_map(Self::parts).collect(),
            Self::Nor(nodes) => {
                let nodes = nodes.into_iter();
                nodes.map(|node| Self::Nor(vec![node])).collect()
            }
            Self::Field(path, Test::All(tests)) if !tests.is_empty() => {
                let tests = tests.into_iter();
                let each = tests.map(|test| Self::Field(path.clone(), test));
                each.flat_map(Self::parts).collect()
            }
            other => vec![other],
        }
    }

    fn simplify(&mut self) -> bool {
        if self.is_never() {
            let known = matches!(self, Self::Never);
            *self = Self::Never;
            return !known;
        }
        let (Self::And(nodes) | Self::Or(nodes)) = self else {
            return false;
        };
        let mut changed = false;
        for node in nodes.iter_mut() {
            changed |= node.simplify();
        }
        if let Self::Or(nodes) = self {
            let before = nodes.len();
            nodes.retain(|node| !matches!(node, Self::Never));
            changed |= nodes.len() < before;
            if let [only] = &nodes[..] {
                *self = only.clone();
                return true;
            }
        }
        changed
    }

    /// Whether it is seen at once that nothing matches.
    fn is_never(&self) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().any(Self::is_never),
            Self::Or(nodes) => nodes.iter().all(Self::is_never),
            Self::Field(_, test) => test.is_never(),
            Self::Never => true,
            _ => false,
        }
    }

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

impl Node {
    /// Puts the operands of `$in` into the order of a collation.
    fn collate(&mut self, collation: Option<&Collation>) {
        match self {
            Self::And(nodes) | Self::Or(nodes) | Self::Nor(nodes) => {
                for node in nodes {
                    node.collate(collation);
                }
            }
            Self::Field(_, test) => test.collate(collation),
            Self::Expr(_) | Self::Schema(_) | Self::Never => {}
        }
    }
}

impl Test {
    fn is_never(&self) -> bool {
        match self {
            Self::All(tests) => tests.iter().any(Self::is_never),
            Self::In(values, patterns) => values.is_empty() && patterns.is_empty(),
            Self::Not(test) => matches!(&**test, Self::All(tests) if tests.is_empty()),
            _ => false,
        }
    }

    fn collate(&mut self, collation: Option<&Collation>) {
        match self {
            Self::In(values, _) => sort_operands(values, collation),
            Self::All(tests) | Self::ElementPasses(tests) => {
                for test in tests {
                    test.collate(collation);
                }
            }
            Self::Not(test) => test.collate(collation),
            Self::ElementMatches(node) => node.collate(collation),
            _ => {}
        }
    }
}

/// Sorted, so that a long list is searched and not walked.
fn sort_operands(values: &mut Vec<RawBson>, collation: Option<&Collation>) {
    let order = |a: &RawBson, b: &RawBson| {
        compare_with(a.as_raw_bson_ref(), b.as_raw_bson_ref(), collation)
    };
    values.sort_by(order);
    values.dedup_by(|a, b| order(a, b).is_eq());
}

fn flatten<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match node {
        Node::And(nodes) => nodes.iter().for_each(|node| flatten(node, found)),
        other => found.push(other),
    }
}

/// Whether a document matches a node.
pub(crate) fn node(
    node: &Node,
    document: &RawDocument,
    collation: Option<&Collation>,
) -> Result<bool> {
    let any = |nodes: &[Node], wanted: bool| {
        test::any(nodes, |node| {
            Ok(self::node(node, document, collation)? == wanted)
        })
    };
    match node {
        Node::And(nodes) => Ok(!any(nodes, false)?),
        Node::Or(nodes) => any(nodes, true),
        Node::Nor(nodes) => Ok(!any(nodes, true)?),
        Node::Field(path, test) => test.matches(document, path.parts(), collation),
        Node::Expr(expression) => {
            let value = expression.evaluate(&Scope::of(document))?;
            Ok(crate::expression::truthy(value.as_ref()))
        }
        Node::Schema(schema) => schema.is_valid(document),
        Node::Never => Ok(false),
    }
}
