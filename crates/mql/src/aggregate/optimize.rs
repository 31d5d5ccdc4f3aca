//! A `$match` goes before the stages that it does not depend on, so that they
//! see fewer documents and the planner sees the query. Of two sorts in a row
//! only the second is done.

use super::{Pipeline, Stage};
use crate::matcher::Node;
use crate::{Matcher, Sort};

impl Pipeline {
    /// Moves `$match`es, or those parts of them that can be moved, to the front,
    /// leaves out sorts that another one follows, and sorts before an `$unwind`.
    pub fn optimize(&mut self) {
        let mut stages: Vec<Stage> = Vec::new();
        let mut rest = std::mem::take(&mut self.stages).into_iter().peekable();
        while let Some(mut stage) = rest.next() {
            match &mut stage {
                Stage::Facet(facets) => facets.iter_mut().for_each(|(_, inner)| inner.optimize()),
                Stage::Lookup(lookup) => lookup.optimize(),
                Stage::Union(union) => union.optimize(),
                _ => {}
            }
            match stage {
                Stage::Match(matcher) => place(&mut stages, matcher),
                Stage::Skip(0) => {}
                // Nobody sees the order that a sort makes for another one, nor
                // what it would refuse.
                Stage::Sort(sort) => {
                    // There are fewer documents to sort before an $unwind, unless
                    // a limit makes them few.
                    let limited = matches!(rest.peek(), Some(Stage::Limit(_)));
                    let passed = stages.iter().rev();
                    let passed = passed.take_while(|last| !limited && is_apart(last, &sort));
                    let mut after = stages.split_off(stages.len() - passed.count());
                    stages.pop_if(|last| matches!(last, Stage::Sort(_)));
                    stages.push(Stage::Sort(sort));
                    stages.append(&mut after);
                }
                other => stages.push(other),
            }
        }
        self.stages = stages;
    }
}

/// Whether a stage is an `$unwind` that changes nothing that is sorted by.
fn is_apart(stage: &Stage, sort: &Sort) -> bool {
    let Stage::Unwind(_) = stage else {
        return false;
    };
    sort.parts().iter().all(|(path, _)| {
        let names = path.parts().iter().map(|part| part.name.as_str());
        keeps(stage, &names.collect::<Vec<_>>())
    })
}

/// Puts a `$match` behind `stages`, or as far before their end as it may be.
fn place(stages: &mut Vec<Stage>, matcher: Matcher) {
    let at = stages.len();
    match stages.last() {
        Some(Stage::Match(_)) => {
            if let Some(Stage::Match(before)) = stages.pop() {
                stages.push(Stage::Match(before.and(matcher)));
            }
        }
        Some(last) if swaps(last) => {
            let (free, bound) = matcher.split(&|node| independent(node, last));
            if let Some(free) = free {
                let mut before = stages.split_off(at - 1);
                place(stages, free);
                stages.append(&mut before);
            }
            if let Some(bound) = bound {
                stages.push(Stage::Match(bound));
            }
        }
        _ => stages.push(Stage::Match(matcher)),
    }
}

/// Whether a stage lets through the same documents whatever is left out before
/// it, and so may change places with a `$match`.
fn swaps(stage: &Stage) -> bool {
    matches!(
        stage,
        Stage::Sort(_)
            | Stage::AddFields(_)
            | Stage::Unset(_)
            | Stage::Project(_)
            | Stage::Unwind(_)
            | Stage::Lookup(_)
    )
}

/// Whether a test has the same answer before and after a stage.
fn independent(node: &Node, stage: &Stage) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) | Node::Nor(nodes) => {
            nodes.iter().all(|node| independent(node, stage))
        }
        Node::Field(path, _) => {
            // A number may be a place in an array, which any change to it moves.
            let parts = path.parts().iter().enumerate();
            let names = parts.take_while(|(at, part)| *at == 0 || part.index.is_none());
            let names: Vec<&str> = names.map(|(_, part)| part.name.as_str()).collect();
            keeps(stage, &names)
        }
        Node::Expr(_) => matches!(stage, Stage::Sort(_)),
        Node::Schema(schema) => {
            matches!(stage, Stage::Sort(_))
                || schema
                    .fields()
                    .is_some_and(|names| names.iter().all(|name| keeps(stage, &[name])))
        }
        Node::Never => true,
    }
}

/// Whether a stage leaves alone what is at a path.
fn keeps(stage: &Stage, path: &[&str]) -> bool {
    let apart = |other: &[String]| {
        let meet = path.iter().zip(other).all(|(a, b)| a == b);
        !meet
    };
    match stage {
        Stage::Sort(_) => true,
        Stage::AddFields(fields) => fields.paths().iter().all(|other| apart(other)),
        Stage::Unset(unset) => unset.paths().iter().all(|other| apart(other)),
        Stage::Project(projection) => projection.keeps(path),
        Stage::Unwind(unwind) => unwind.paths().all(apart),
        Stage::Lookup(lookup) => apart(lookup.changed()),
        _ => false,
    }
}
