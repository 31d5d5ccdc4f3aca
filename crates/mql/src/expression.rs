//! Aggregation expressions: parsed once, evaluated on documents.
//!
//! An operator that is not there is MongoDB's error for an unknown one
//! (`Unrecognized expression`, 168).

mod arrays;
mod bind;
mod bits;
mod coerce;
pub(crate) mod convert;
mod dates;
mod describe;
mod fold;
mod iterate;
mod logic;
mod numbers;
mod objects;
mod operators;
mod parse;
mod pattern;
mod random;
pub(crate) mod ranked;
mod sets;
mod strings;
mod trig;

use std::borrow::Cow;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};

use crate::collation::Collation;
use crate::decimal::Decimal;
use crate::error::{MqlError, Result};
use crate::field::field;
use crate::key;
use crate::matcher::malformed;
use crate::order::raw;
use crate::regex::Regex;

use fold::Folding;
use operators::{NamedOperator, Operator, Run};

pub use bind::Variables;
pub(crate) use dates::{Unit, moved};
pub(crate) use numbers::{difference, product, quotient, total};
pub(crate) use parse::writable as check_name;

/// Among the variables of a parser: any other name may come from outside.
const OPEN: &str = "";

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    node: Node,
    /// How strings compare; `None` is by their bytes.
    collation: Option<Collation>,
    /// Whether what depends on no document has been computed.
    computed: bool,
}

#[derive(Debug, Clone)]
enum Node {
    Constant(Bson),
    /// What is known to be missing.
    Missing,
    /// `$a.b`, or `$$name.a.b`: variable, path.
    Path(String, Vec<String>),
    /// A variable that comes from outside, and a path in it.
    Outside(String, Vec<String>),
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Call(&'static Operator, Vec<Node>),
    /// An operator with named arguments, each in the operator's own place.
    Named(&'static NamedOperator, Vec<Option<Node>>),
    /// One that looks for a regular expression that is known; `None` of null.
    Find(&'static NamedOperator, Vec<Option<Node>>, Option<Regex>),
    Let(Vec<(String, Node)>, Box<Node>),
    Switch(Vec<(Node, Node)>, Option<Box<Node>>),
    /// `$rand`.
    Random(random::Random),
}

/// The arguments of an operator, evaluated as it asks for them.
struct Args<'a, 's> {
    nodes: Nodes<'a>,
    scope: &'a Scope<'s>,
    compiled: Option<Option<&'a Regex>>,
}

enum Nodes<'a> {
    List(&'a [Node]),
    Named(&'a [Option<Node>]),
}

impl<'a> Args<'a, '_> {
    fn len(&self) -> usize {
        match self.nodes {
            Nodes::List(nodes) => nodes.len(),
            Nodes::Named(nodes) => nodes.len(),
        }
    }

    fn node(&self, at: usize) -> Option<&'a Node> {
        match self.nodes {
            Nodes::List(nodes) => nodes.get(at),
            Nodes::Named(nodes) => nodes.get(at).and_then(Option::as_ref),
        }
    }

    fn get(&self, at: usize) -> Result<Value<'a>> {
        self.node(at)
            .map_or(Ok(None), |node| node.evaluate(self.scope))
    }

    fn owned(&self, at: usize) -> Result<Option<Bson>> {
        Ok(self.get(at)?.map(Cow::into_owned))
    }

    fn all(&self) -> Result<Vec<Option<Bson>>> {
        (0..self.len()).map(|at| self.owned(at)).collect()
    }

    /// How strings compare.
    fn collation(&self) -> Option<&Collation> {
        self.scope.collation
    }

    /// The regular expression, where it was compiled beforehand.
    fn compiled(&self) -> Option<Option<&'a Regex>> {
        self.compiled
    }
}

/// What expressions see: a raw document and variables. A path decodes only
/// the value that it ends at.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    root: &'a RawDocument,
    bound: Vec<(Cow<'a, str>, Option<Bson>)>,
    outer: Option<&'a Self>,
    collation: Option<&'a Collation>,
}

impl<'a> Scope<'a> {
    /// The scope of a document.
    pub fn of(root: &'a RawDocument) -> Self {
        Self {
            root,
            bound: Vec::new(),
            outer: None,
            collation: None,
        }
    }

    /// This scope with more variables, which hide those of the same name.
    pub(crate) fn with<'s, N: Into<Cow<'s, str>>>(
        &'s self,
        variables: impl IntoIterator<Item = (N, Option<Bson>)>,
    ) -> Scope<'s> {
        let bound = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value));
        Scope {
            root: self.root,
            bound: bound.collect(),
            outer: Some(self),
            collation: self.collation,
        }
    }

    /// This scope with strings compared by a collation.
    fn collated<'s>(&'s self, collation: Option<&'s Collation>) -> Scope<'s> {
        Scope {
            root: self.root,
            bound: Vec::new(),
            outer: Some(self),
            collation,
        }
    }

    /// What is at a path in a variable.
    fn at<'s>(&'s self, variable: &str, parts: &[String]) -> Result<Value<'s>> {
        let mut scope = Some(self);
        while let Some(inner) = scope {
            if let Some((_, value)) = inner.bound.iter().rev().find(|(name, _)| name == variable) {
                return Ok(value.as_ref().and_then(|value| walk(value, parts)));
            }
            scope = inner.outer;
        }
        if matches!(variable, "ROOT" | "CURRENT") {
            let root = RawBsonRef::Document(self.root);
            return Ok(walk_raw(root, parts)?.map(Cow::Owned));
        }
        Ok(None)
    }
}

impl Expression {
    /// Parses any value as an expression.
    pub fn parse(value: RawBsonRef<'_>) -> Result<Self> {
        let value = Bson::try_from(value).map_err(malformed)?;
        Self::parse_bson(&value)
    }

    /// Parses an owned value as an expression.
    pub fn parse_bson(value: &Bson) -> Result<Self> {
        let mut node = parse::parse(value, &mut Vec::new(), 0)?;
        node.fold(&Folding::by(None))?;
        Ok(Self {
            node,
            collation: None,
            computed: true,
        })
    }

    /// The value; `None` when it is missing.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<Bson>> {
        match &self.collation {
            None => self.node.owned(scope),
            collation => self.node.owned(&scope.collated(collation.as_ref())),
        }
    }

    /// Gives `$rand` what its numbers follow from; without, it is refused. The
    /// same seed makes the same numbers.
    pub fn seed(&mut self, mut seed: u64) {
        self.node.seed(&mut seed);
    }

    /// What a plain path into a document ends at, if anything, without a copy;
    /// `None` when this is no such path, or when it goes through an array.
    pub(crate) fn peek<'d>(&self, document: &'d RawDocument) -> Result<Option<Peeked<'d>>> {
        let Some(parts) = self.path() else {
            return Ok(None);
        };
        let mut value = RawBsonRef::Document(document);
        for name in parts {
            let found = match value {
                RawBsonRef::Document(inner) => field(inner, name).map_err(malformed)?,
                RawBsonRef::Array(_) => return Ok(None),
                _ => None,
            };
            match found {
                Some(found) => value = found,
                None => return Ok(Some(None)),
            }
        }
        Ok(Some(Some(value)))
    }

    /// The names of a plain path into the document, such as `$a.b`.
    pub(crate) fn path(&self) -> Option<&[String]> {
        match &self.node {
            Node::Path(variable, parts) if variable == "CURRENT" && !parts.is_empty() => {
                Some(parts)
            }
            _ => None,
        }
    }
}

/// MongoDB's idea of true in expressions: everything but false, zero, null
/// and missing.
pub(crate) fn truthy(value: Option<&Bson>) -> bool {
    match value {
        None | Some(Bson::Null | Bson::Undefined) => false,
        Some(Bson::Boolean(value)) => *value,
        // The least are nothing as doubles.
        Some(Bson::Decimal128(n)) => !Decimal::from(*n).is_zero(),
        Some(value) => crate::number::double(value).is_none_or(|n| n != 0.0),
    }
}

/// A value in a raw document, if it is there.
pub(crate) type Peeked<'d> = Option<RawBsonRef<'d>>;
type Value<'a> = Option<Cow<'a, Bson>>;

impl Node {
    fn evaluate<'a>(&'a self, scope: &'a Scope<'_>) -> Result<Value<'a>> {
        Ok(match self {
            Self::Constant(value) => Some(Cow::Borrowed(value)),
            // The latter was to be bound.
            Self::Missing | Self::Outside(..) => None,
            Self::Random(random) => Some(Cow::Owned(Bson::Double(random.next()?))),
            Self::Path(variable, parts) => scope.at(variable, parts)?,
            Self::Object(fields) => {
                let mut document = Document::new();
                for (name, node) in fields {
                    if let Some(value) = node.owned(scope)? {
                        document.insert(name.clone(), value);
                    }
                }
                Some(Cow::Owned(Bson::Document(document)))
            }
            Self::Array(nodes) => {
                let values = nodes
                    .iter()
                    .map(|node| Ok(node.owned(scope)?.unwrap_or(Bson::Null)))
                    .collect::<Result<_>>()?;
                Some(Cow::Owned(Bson::Array(values)))
            }
            Self::Let(bound, body) => {
                let mut values = Vec::new();
                for (name, node) in bound {
                    values.push((name.as_str(), node.owned(scope)?));
                }
                body.owned(&scope.with(values))?.map(Cow::Owned)
            }
            Self::Switch(branches, default) => {
                for (case, then) in branches {
                    if truthy(case.evaluate(scope)?.as_deref()) {
                        return then.evaluate(scope);
                    }
                }
                match default {
                    Some(default) => return default.evaluate(scope),
                    None => {
                        return Err(MqlError::new(
                            40066,
                            "$switch could not find a matching branch for an input, and no default was specified.",
                        ));
                    }
                }
            }
            Self::Call(operator, nodes) => match operator.run {
                Run::Lazy(run) => {
                    let args = Args {
                        nodes: Nodes::List(nodes),
                        scope,
                        compiled: None,
                    };
                    run(operator.name, &args)?.map(Cow::Owned)
                }
                Run::Values(run) => {
                    let values = nodes
                        .iter()
                        .map(|node| node.owned(scope))
                        .collect::<Result<Vec<_>>>()?;
                    run(operator.name, &values)?.map(Cow::Owned)
                }
                Run::Backwards(run) => {
                    let mut values = nodes
                        .iter()
                        .rev()
                        .map(|node| node.owned(scope))
                        .collect::<Result<Vec<_>>>()?;
                    values.reverse();
                    run(operator.name, &values)?.map(Cow::Owned)
                }
                Run::Collated(run) => {
                    let values = nodes
                        .iter()
                        .map(|node| node.owned(scope))
                        .collect::<Result<Vec<_>>>()?;
                    run(operator.name, &values, scope.collation)?.map(Cow::Owned)
                }
            },
            Self::Named(operator, nodes) => {
                let args = Args {
                    nodes: Nodes::Named(nodes),
                    scope,
                    compiled: None,
                };
                (operator.run)(operator.name, &args)?.map(Cow::Owned)
            }
            Self::Find(operator, nodes, regex) => {
                let args = Args {
                    nodes: Nodes::Named(nodes),
                    scope,
                    compiled: Some(regex.as_ref()),
                };
                (operator.run)(operator.name, &args)?.map(Cow::Owned)
            }
        })
    }

    fn owned(&self, scope: &Scope<'_>) -> Result<Option<Bson>> {
        Ok(self.evaluate(scope)?.map(Cow::into_owned))
    }
}

/// A path in a value: through arrays it collects.
fn walk<'a>(value: &'a Bson, parts: &[String]) -> Value<'a> {
    let Some((first, rest)) = parts.split_first() else {
        return Some(Cow::Borrowed(value));
    };
    match value {
        Bson::Document(document) => walk(document.get(first)?, rest),
        Bson::Array(array) => {
            let found: Vec<Bson> = array
                .iter()
                .filter(|element| matches!(element, Bson::Document(_)))
                .filter_map(|element| walk(element, parts).map(Cow::into_owned))
                .collect();
            Some(Cow::Owned(Bson::Array(found)))
        }
        _ => None,
    }
}

/// [`walk`] in raw BSON, which decodes only what it ends at.
fn walk_raw(value: RawBsonRef<'_>, parts: &[String]) -> Result<Option<Bson>> {
    let Some((first, rest)) = parts.split_first() else {
        return Bson::try_from(value).map(Some).map_err(malformed);
    };
    match value {
        RawBsonRef::Document(document) => match field(document, first).map_err(malformed)? {
            Some(value) => walk_raw(value, rest),
            None => Ok(None),
        },
        RawBsonRef::Array(array) => {
            let mut found = Vec::new();
            for element in array {
                let element = element.map_err(malformed)?;
                if matches!(element, RawBsonRef::Document(_)) {
                    found.extend(walk_raw(element, parts)?);
                }
            }
            Ok(Some(Bson::Array(found)))
        }
        _ => Ok(None),
    }
}

/// Null, undefined or missing.
fn is_nullish(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::Undefined))
}

/// The key by which values are the same.
fn identity(value: &Bson, collation: Option<&Collation>) -> Vec<u8> {
    let mut identity = Vec::new();
    key::encode_with(raw(value).as_raw_bson_ref(), collation, &mut identity);
    identity
}
