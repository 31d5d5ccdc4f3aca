//! A `$match` goes before the stages that it does not depend on, so that they
//! see fewer documents and the planner sees the query. Of two sorts in a row
//! only the second is done.

use bson::RawBson;

use super::{Pipeline, Stage};
use crate::matcher::{Node, Test};
use crate::{Matcher, Sort};

impl Pipeline {
    /// Moves `$match`es, or those parts of them that can be moved, to the front,
    /// leaves out sorts that another one follows, and sorts before an `$unwind`.
    pub fn optimize(&mut self) {
        self.reorder();
        // A skip of nothing is in the way until all stages have been looked at; what
        // is known to match nothing by then stays where it is.
        let before = self.stages.len();
        self.stages.retain(|stage| !matches!(stage, Stage::Skip(0)));
        let mut changed = self.stages.len() < before;
        for stage in &mut self.stages {
            if let Stage::Match(matcher) = stage {
                changed |= matcher.simplify();
            }
        }
        if changed {
            self.reorder();
        }
    }

    fn reorder(&mut self) {
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
                // Nobody sees the order that a sort makes for another one, nor
                // what it would refuse.
                Stage::Sort(sort) => {
                    // There are fewer documents to sort before an $unwind, unless
                    // a limit makes them few; a limit goes before a $lookup too.
                    let limited = matches!(rest.peek(), Some(Stage::Limit(_)));
                    stages.pop_if(|last| matches!(last, Stage::Sort(_)));
                    let mut at = stages.len();
                    while let Some((last, before)) = stages[..at].split_last()
                        && (!limited || matches!(last, Stage::Lookup(_)))
                        && is_apart(last, &sort)
                        && !is_of_lookup(last, before)
                    {
                        at -= 1;
                    }
                    let mut after = stages.split_off(at);
                    stages.pop_if(|last| matches!(last, Stage::Sort(_)));
                    stages.push(Stage::Sort(sort));
                    if !after.is_empty() {
                        stages.extend(rest.next_if(|stage| matches!(stage, Stage::Limit(_))));
                    }
                    stages.append(&mut after);
                }
                other => stages.push(other),
            }
        }
        self.stages = stages;
    }
}

/// Whether a stage is an `$unwind` or a `$lookup` that changes nothing that is
/// sorted by.
fn is_apart(stage: &Stage, sort: &Sort) -> bool {
    if !matches!(stage, Stage::Unwind(_) | Stage::Lookup(_)) {
        return false;
    }
    sort.parts().iter().all(|(path, _)| {
        let names = path.parts().iter().map(|part| part.name.as_str());
        keeps(stage, &names.collect::<Vec<_>>())
    })
}

/// Whether a stage is an `$unwind` of what the `$lookup` before it found, which
/// are one stage then.
fn is_of_lookup(stage: &Stage, before: &[Stage]) -> bool {
    matches!((before.last(), stage), (Some(Stage::Lookup(lookup)), Stage::Unwind(unwind))
        if unwind.paths().next() == Some(lookup.changed()))
}

/// Puts a `$match` behind `stages`, or as far before their end as it may be.
fn place(stages: &mut Vec<Stage>, matcher: Matcher) {
    let at = stages.len();
    match stages.last() {
        Some(Stage::Match(_)) => {
            if let Some(Stage::Match(before)) = stages.pop() {
                place(stages, matcher);
                let after = stages.pop_if(|last| matches!(last, Stage::Match(_)));
                stages.push(Stage::Match(match after {
                    Some(Stage::Match(after)) => before.and(after),
                    _ => before,
                }));
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
        Some(Stage::Union(_)) => {
            let mut union = stages.split_off(at - 1);
            if let Some(Stage::Union(union)) = union.first_mut() {
                union.filter(matcher.clone());
            }
            place(stages, matcher);
            stages.append(&mut union);
        }
        Some(Stage::Redact(_)) => {
            // What it leaves out here, it leaves out before too.
            if let (Some(safe), _) = matcher.clone().split(&is_safe) {
                let redact = stages.split_off(at - 1);
                place(stages, safe);
                stages.extend(redact);
            }
            stages.push(Stage::Match(matcher));
        }
        _ => stages.push(Stage::Match(matcher)),
    }
}

/// Whether what passes a test after a `$redact` passes it before: there is a
/// value for it that is left whole or out, in a field that no place names.
fn is_safe(node: &Node) -> bool {
    fn scalar(value: &RawBson) -> bool {
        !matches!(
            value,
            RawBson::Array(_) | RawBson::Document(_) | RawBson::Null | RawBson::Undefined
        )
    }
    fn passes(test: &Test) -> bool {
        match test {
            Test::Compare(_, value) => scalar(value),
            Test::In(values, _) => values.iter().all(scalar),
            Test::All(tests) | Test::ElementPasses(tests) => tests.iter().all(passes),
            Test::ElementMatches(node) => is_safe(node),
            Test::Mod(..) | Test::Regex(_) | Test::Type(_) => true,
            _ => false,
        }
    }
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(is_safe),
        Node::Field(path, test) => {
            path.parts().iter().all(|part| part.index.is_none()) && passes(test)
        }
        _ => false,
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
            | Stage::GraphLookup(_)
    )
}

/// Whether a test has the same answer before and after a stage.
fn independent(node: &Node, stage: &Stage) -> bool {
    match node {
        Node::And(nodes) | Node::Or(nodes) | Node::Nor(nodes) => {
            nodes.iter().all(|node| independent(node, stage))
        }
        Node::Field(path, test) => {
            // A number may be a place in an array, which any change to it moves.
            let parts = path.parts().iter().enumerate();
            let names = parts.take_while(|(at, part)| *at == 0 || part.index.is_none());
            let names: Vec<&str> = names.map(|(_, part)| part.name.as_str()).collect();
            is_plain(test) && keeps(stage, &names)
        }
        Node::Expr(expression) => expression.paths().is_some_and(|paths| {
            paths.iter().all(|path| {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                keeps(stage, &names)
            })
        }),
        Node::Schema(schema) => {
            let fields = schema.fields();
            fields.is_some_and(|names| names.iter().all(|name| keeps(stage, &[name])))
        }
        // What would be refused before it is refused all the same.
        Node::Never => false,
    }
}

/// Whether MongoDB moves such a test: none of an array's elements or length, and
/// none that it knows to be false.
fn is_plain(test: &Test) -> bool {
    match test {
        Test::ElementMatches(_) | Test::ElementPasses(_) | Test::Size(_) => false,
        Test::All(tests) => !tests.is_empty() && tests.iter().all(is_plain),
        Test::Not(test) => is_plain(test),
        _ => true,
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
        Stage::GraphLookup(lookup) => apart(lookup.changed()),
        _ => false,
    }
}
