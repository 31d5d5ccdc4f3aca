//! What a query asks of single fields: its tests by path, those inside of
//! `$elemMatch` too, with which of them are about one and the same element.

use std::borrow::Cow;

use bson::raw::RawBson;
use mql::matcher::{Compare, Node, Test, TypeTest};
use mql::{Matcher, order};

use super::bounds::needs_field;
use crate::catalog::Index;

/// One test that a matching document passes.
pub(super) struct Need<'q> {
    pub(super) path: Cow<'q, str>,
    pub(super) test: &'q Test,
    /// The `$elemMatch`es around it, outermost first: how many names their path
    /// has, and which one it is.
    elements: Vec<(usize, usize)>,
}

/// A query's tests.
#[derive(Default)]
pub(super) struct Needs<'q> {
    pub(super) tests: Vec<Need<'q>>,
    /// The `$or`s that must hold besides.
    pub(super) either: Vec<&'q [Node]>,
    /// Whether the tests are the whole query.
    pub(super) all: bool,
    /// Whether nothing can match.
    pub(super) never: bool,
    matches: usize,
}

impl<'q> Needs<'q> {
    pub(super) fn of(node: &'q Node) -> Self {
        let mut needs = Self {
            all: true,
            ..Self::default()
        };
        needs.add(node, "", &[]);
        needs
    }

    /// What two queries ask that must both hold.
    pub(super) fn and(nodes: &[&'q Node]) -> Self {
        let mut needs = Self {
            all: true,
            ..Self::default()
        };
        for node in nodes {
            needs.add(node, "", &[]);
        }
        needs
    }

    fn add(&mut self, node: &'q Node, within: &str, elements: &[(usize, usize)]) {
        match node {
            Node::And(nodes) => nodes
                .iter()
                .for_each(|node| self.add(node, within, elements)),
            Node::Or(branches) if branches.len() == 1 => self.add(&branches[0], within, elements),
            Node::Or(branches) => {
                self.all = false;
                if within.is_empty() {
                    self.either.push(branches);
                }
            }
            Node::Never => self.never |= within.is_empty(),
            Node::Field(path, test) => {
                let path = if within.is_empty() {
                    Cow::Borrowed(path.as_str())
                } else {
                    Cow::Owned(format!("{within}.{}", path.as_str()))
                };
                self.test(path, test, elements);
            }
            Node::Nor(_) | Node::Expr(_) | Node::Schema(_) => self.all = false,
        }
    }

    fn test(&mut self, path: Cow<'q, str>, test: &'q Test, elements: &[(usize, usize)]) {
        let mut inside = || {
            self.matches += 1;
            let depth = path.split('.').count();
            [elements, &[(depth, self.matches)]].concat()
        };
        match test {
            Test::All(tests) => {
                for test in tests {
                    self.test(path.clone(), test, elements);
                }
            }
            Test::ElementMatches(node) => {
                let elements = inside();
                self.all = false;
                self.push(path.clone(), test, elements.clone());
                self.add(node, &path, &elements);
            }
            Test::ElementPasses(tests) => {
                let elements = inside();
                self.all = false;
                for test in tests {
                    self.test(path.clone(), test, &elements);
                }
            }
            _ => self.push(path, test, elements.to_vec()),
        }
    }

    fn push(&mut self, path: Cow<'q, str>, test: &'q Test, elements: Vec<(usize, usize)>) {
        self.tests.push(Need {
            path,
            test,
            elements,
        });
    }
}

impl Need<'_> {
    /// Whether one key of `index` shows both: the other's field is `at`, and
    /// ours `mine`. Not when they may be about two elements of one array.
    pub(super) fn is_with(&self, mine: usize, other: &Self, at: usize, index: &Index) -> bool {
        let (a, b) = (&index.fields[mine].0, &index.fields[at].0);
        let shared = a
            .parts()
            .iter()
            .zip(b.parts())
            .take_while(|(a, b)| a == b)
            .count();
        let mask = if shared >= 32 {
            u32::MAX
        } else {
            (1 << shared) - 1
        };
        let arrays = (index.multikey[mine] | index.multikey[at]) & mask;
        if arrays == 0 {
            return true;
        }
        // Names past the 32nd share a bit.
        let last = match 32 - arrays.leading_zeros() as usize {
            32 => shared,
            depth => depth,
        };
        self.elements
            .iter()
            .any(|(depth, id)| *depth >= last && other.elements.contains(&(*depth, *id)))
    }
}

/// Whether every document that passes the tests is in a partial index.
pub(super) fn implies(needs: &Needs<'_>, filter: &Matcher, same_strings: bool) -> bool {
    same_strings && implied(needs, filter.root())
}

fn implied(needs: &Needs<'_>, node: &Node) -> bool {
    match node {
        Node::And(nodes) => nodes.iter().all(|node| implied(needs, node)),
        Node::Or(nodes) => nodes.iter().any(|node| implied(needs, node)),
        Node::Field(path, test) => implied_test(needs, path.as_str(), test),
        Node::Nor(_) | Node::Expr(_) | Node::Schema(_) | Node::Never => false,
    }
}

fn implied_test(needs: &Needs<'_>, path: &str, wanted: &Test) -> bool {
    if let Test::All(tests) = wanted {
        return tests.iter().all(|test| implied_test(needs, path, test));
    }
    needs
        .tests
        .iter()
        .filter(|need| need.path == path)
        .any(|need| is_stronger(need.test, wanted))
}

/// Whether what passes `test` passes `wanted`.
fn is_stronger(test: &Test, wanted: &Test) -> bool {
    match (test, wanted) {
        (_, Test::Exists) => needs_field(test),
        (Test::In(values, regexes), _) if regexes.is_empty() => {
            !values.is_empty() && values.iter().all(|value| value_passes(value, wanted))
        }
        (Test::Compare(Compare::Eq, value), _) => value_passes(value, wanted),
        (Test::Compare(compare, value), Test::Compare(limit, bound)) => {
            is_scalar(value) && is_scalar(bound) && is_within(*compare, value, *limit, bound)
        }
        (Test::Compare(_, value), Test::Type(types)) => {
            is_scalar(value)
                && is_number(value)
                && types.iter().any(|kind| matches!(kind, TypeTest::Number))
        }
        (Test::Type(types), Test::Type(wanted)) => types.iter().all(|kind| wanted.contains(kind)),
        _ => false,
    }
}

fn is_number(value: &RawBson) -> bool {
    order::rank(value.as_raw_bson_ref()) == order::rank(RawBson::Int32(0).as_raw_bson_ref())
}

/// Whether the value is compared within its type, as itself.
fn is_scalar(value: &RawBson) -> bool {
    !matches!(
        value,
        RawBson::Null
            | RawBson::Undefined
            | RawBson::Array(_)
            | RawBson::MinKey
            | RawBson::MaxKey
            | RawBson::RegularExpression(_)
    ) && !matches!(value, RawBson::Double(n) if n.is_nan())
        // A decimal may be no number.
        && !matches!(value, RawBson::Decimal128(_))
}

fn value_passes(value: &RawBson, wanted: &Test) -> bool {
    match wanted {
        Test::Exists => !matches!(value, RawBson::Null | RawBson::Undefined),
        Test::In(values, _) => values.iter().any(|other| is_equal(value, other)),
        Test::Compare(Compare::Eq, other) => is_equal(value, other),
        Test::Compare(compare, bound) => {
            is_scalar(value) && is_scalar(bound) && is_within(Compare::Eq, value, *compare, bound)
        }
        Test::Type(types) => {
            is_scalar(value)
                && types.iter().any(|kind| match kind {
                    TypeTest::Number => is_number(value),
                    // Equal numbers and texts may be of other types.
                    TypeTest::Is(kind) => {
                        !is_number(value)
                            && !matches!(value, RawBson::String(_) | RawBson::Symbol(_))
                            && value.as_raw_bson_ref().element_type() as u8 as i8 == *kind
                    }
                })
        }
        _ => false,
    }
}

fn is_equal(a: &RawBson, b: &RawBson) -> bool {
    // The same words: an array or null is told from what else it equals.
    order::compare(a.as_raw_bson_ref(), b.as_raw_bson_ref()).is_eq()
}

/// Whether what compares with `value` so compares with `bound` in that way.
fn is_within(compare: Compare, value: &RawBson, limit: Compare, bound: &RawBson) -> bool {
    let (value, bound) = (value.as_raw_bson_ref(), bound.as_raw_bson_ref());
    if order::rank(value) != order::rank(bound) {
        return false;
    }
    let order = order::compare(value, bound);
    match (compare, limit) {
        (Compare::Eq, Compare::Gt) => order.is_gt(),
        (Compare::Eq | Compare::Gt | Compare::Gte, Compare::Gte) | (Compare::Gt, Compare::Gt) => {
            order.is_ge()
        }
        (Compare::Gte, Compare::Gt) => order.is_gt(),
        (Compare::Eq, Compare::Lt) => order.is_lt(),
        (Compare::Eq | Compare::Lt | Compare::Lte, Compare::Lte) | (Compare::Lt, Compare::Lt) => {
            order.is_le()
        }
        (Compare::Lte, Compare::Lt) => order.is_lt(),
        _ => false,
    }
}
