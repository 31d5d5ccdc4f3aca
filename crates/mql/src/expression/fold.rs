//! Computing what depends on no document, before there is any.

use bson::{Bson, RawDocumentBuf};

use super::operators::{Algebra, Operator};
use super::{Node, Scope, pattern, sets, truthy};
use crate::collation::Collation;
use crate::error::{MqlError, Result};

/// By which collation constants compare.
pub(super) struct Folding<'a> {
    collation: Option<&'a Collation>,
}

impl<'a> Folding<'a> {
    pub(super) fn by(collation: Option<&'a Collation>) -> Self {
        Self { collation }
    }

    fn compute(&self, node: &Node) -> Result<Node> {
        let empty = RawDocumentBuf::new();
        let scope = Scope::of(&empty);
        Ok(match node.owned(&scope.collated(self.collation))? {
            Some(value) => Node::Constant(value),
            None => Node::Missing,
        })
    }
}

/// Operators that are computed for each document whatever they are made of. So
/// it is in MongoDB, where what they fail with depends on there being one.
const EACH_TIME: [&str; 12] = [
    "$filter",
    "$map",
    "$reduce",
    "$regexFind",
    "$regexFindAll",
    "$regexMatch",
    "$replaceAll",
    "$replaceOne",
    "$setEquals",
    "$sortArray",
    "$toHashedIndexKey",
    "$zip",
];

/// Those in which nothing is computed beforehand either.
const CLOSED: [&str; 7] = [
    "$firstN",
    "$getField",
    "$lastN",
    "$maxN",
    "$minN",
    "$setField",
    "$unsetField",
];

impl Node {
    /// Computes what depends on no document, innermost first. What fails then
    /// fails whatever the documents are, as MongoDB has it.
    pub(super) fn fold(&mut self, folding: &Folding<'_>) -> Result<()> {
        if let Self::Switch(branches, default) = self
            && let Some(decided) = decide(branches, default, folding)?
        {
            *self = decided;
            return self.fold(folding);
        }
        if self.is_leaf() {
            return Ok(());
        }
        let name = self.operator();
        if CLOSED.contains(&name) {
            self.compile();
            return Ok(());
        }
        let mut constant = !matches!(self, Self::Let(..)) && !EACH_TIME.contains(&name);
        self.each(&mut |node| {
            node.fold(folding)?;
            constant &= node.is_constant();
            Ok(())
        })?;
        // These are left to be computed for each document.
        if matches!(self, Self::Named(operator, _) if operator.name.ends_with("setField")) {
            return Ok(());
        }
        if let Self::Call(operator, nodes) = self {
            flatten(operator, nodes);
        }
        self.fold_call(constant, folding)?;
        if constant {
            *self = folding.compute(self)?;
        }
        Ok(())
    }

    /// Compiles the regular expressions that are known, and computes nothing.
    pub(super) fn compile(&mut self) {
        let walked = self.each(&mut |node| {
            node.compile();
            Ok(())
        });
        // One that is wrong is so for each document.
        let _ = walked.and_then(|()| self.find());
    }

    /// The name of an operator; of what is none, nothing.
    fn operator(&self) -> &'static str {
        match self {
            Self::Call(operator, _) => operator.name,
            Self::Named(operator, _) | Self::Find(operator, ..) => operator.name,
            _ => "",
        }
    }

    fn is_leaf(&self) -> bool {
        matches!(
            self,
            Self::Constant(_)
                | Self::Missing
                | Self::Path(..)
                | Self::Outside(..)
                | Self::Random(_)
        )
    }

    /// Visits the nodes that it is made of.
    pub(super) fn each(&mut self, visit: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        match self {
            Self::Constant(_)
            | Self::Missing
            | Self::Path(..)
            | Self::Outside(..)
            | Self::Random(_) => Ok(()),
            Self::Array(nodes) | Self::Call(_, nodes) => nodes.iter_mut().try_for_each(visit),
            Self::Object(fields) => fields.iter_mut().try_for_each(|(_, node)| visit(node)),
            Self::Named(_, nodes) | Self::Find(_, nodes, _) => {
                nodes.iter_mut().flatten().try_for_each(visit)
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

    /// Gives every `$rand` a seed of its own.
    pub(super) fn seed(&mut self, next: &mut u64) {
        if let Self::Random(random) = self {
            random.seed(*next);
            *next = next.wrapping_add(1);
        }
        let seeded = self.each(&mut |node| {
            node.seed(next);
            Ok(())
        });
        debug_assert!(seeded.is_ok(), "nothing here fails");
    }

    fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_) | Self::Missing)
    }

    /// What single operators do with constants.
    fn fold_call(&mut self, constant: bool, folding: &Folding<'_>) -> Result<()> {
        match self {
            Self::Call(operator, nodes) if matches!(operator.name, "$and" | "$or") => {
                let deciding = operator.name == "$or";
                let decided = |node: &Self| match node {
                    Self::Constant(value) => truthy(Some(value)) == deciding,
                    Self::Missing => !deciding,
                    _ => false,
                };
                if nodes.iter().any(decided) {
                    *self = Self::Constant(Bson::Boolean(deciding));
                }
            }
            Self::Call(operator, nodes) if operator.name == "$setEquals" => {
                for (at, node) in nodes.iter().enumerate() {
                    if let Self::Constant(value) = node
                        && !matches!(value, Bson::Array(_))
                    {
                        return Err(sets::not_equatable(5_887_502, at, Some(value)));
                    }
                }
            }
            Self::Call(operator, nodes) if operator.name == "$setIsSubset" && !constant => {
                let known = nodes.get(1).filter(|node| node.is_constant());
                if known.is_some_and(|node| !matches!(node, Self::Constant(Bson::Array(_)))) {
                    return Err(MqlError::new(
                        17311,
                        "both operands of $setIsSubset must be arrays",
                    ));
                }
            }
            Self::Call(operator, nodes) if operator.name == "$ifNull" => {
                let absent = |node: &Self| {
                    matches!(
                        node,
                        Self::Missing | Self::Constant(Bson::Null | Bson::Undefined)
                    )
                };
                let last = nodes.pop();
                nodes.retain(|node| !absent(node));
                nodes.extend(last);
                match nodes.as_mut_slice() {
                    [first, _, ..] if !first.is_constant() => {}
                    [first, ..] => *self = std::mem::replace(first, Self::Missing),
                    [] => {}
                }
            }
            Self::Call(operator, nodes) if !constant => match operator.algebra {
                Algebra::None => {}
                Algebra::Associative => join(operator, nodes, folding)?,
                Algebra::Commutative => {
                    // Constants come last, so that what is null is seen before
                    // what is wrong.
                    nodes.sort_by_key(Self::is_constant);
                    join(operator, nodes, folding)?;
                }
            },
            Self::Named(..) => self.find()?,
            _ => {}
        }
        Ok(())
    }

    /// Compiles a regular expression that is known.
    fn find(&mut self) -> Result<()> {
        let Self::Named(operator, nodes) = self else {
            return Ok(());
        };
        let known = |at: usize| match nodes.get(at) {
            Some(Some(Self::Constant(value))) => Some(Some(value.clone())),
            Some(None | Some(Self::Missing)) => Some(None),
            _ => None,
        };
        if operator.name.starts_with("$regex")
            && let (Some(regex), Some(options)) = (known(1), known(2))
        {
            let regex = pattern::compile(operator.name, regex, options)?;
            *self = Self::Find(operator, std::mem::take(nodes), regex);
        }
        Ok(())
    }
}

/// An operator within the same operator is one with more arguments.
fn flatten(operator: &Operator, nodes: &mut Vec<Node>) {
    if operator.algebra == Algebra::None
        || !nodes
            .iter()
            .any(|node| matches!(node, Node::Call(inner, _) if inner.name == operator.name))
    {
        return;
    }
    // A lone array stands for its elements in these, and may not be lone after.
    if matches!(operator.name, "$min" | "$max" | "$sum" | "$mergeObjects") {
        return;
    }
    for node in std::mem::take(nodes) {
        match node {
            Node::Call(inner, mut inside) if inner.name == operator.name => {
                flatten(inner, &mut inside);
                nodes.append(&mut inside);
            }
            other => nodes.push(other),
        }
    }
}

/// Puts constants that are neighbours together; leaves all when that fails.
fn join(operator: &'static Operator, nodes: &mut Vec<Node>, folding: &Folding<'_>) -> Result<()> {
    let mut joined: Vec<Node> = Vec::with_capacity(nodes.len());
    for run in nodes.chunk_by(|a, b| a.is_constant() && b.is_constant()) {
        if run.len() < 2 {
            joined.extend_from_slice(run);
            continue;
        }
        let call = Node::Call(operator, run.to_vec());
        joined.push(folding.compute(&call)?);
    }
    *nodes = joined;
    Ok(())
}

/// Drops the branches that are never taken; the node that is always taken,
/// where there is one. What comes after a case that always holds is not computed.
fn decide(
    branches: &mut Vec<(Node, Node)>,
    default: &mut Option<Box<Node>>,
    folding: &Folding<'_>,
) -> Result<Option<Node>> {
    if let Some(default) = default {
        default.fold(folding)?;
    }
    for (mut case, then) in std::mem::take(branches) {
        case.fold(folding)?;
        match &case {
            Node::Constant(value) if truthy(Some(value)) => {
                *default = Some(Box::new(then));
                break;
            }
            Node::Constant(_) | Node::Missing => {}
            _ => branches.push((case, then)),
        }
    }
    if !branches.is_empty() {
        return Ok(None);
    }
    match default.take() {
        Some(default) => Ok(Some(*default)),
        None => Err(MqlError::new(
            40069,
            "Cannot execute a switch statement where all the cases evaluate to false without a default",
        )),
    }
}
