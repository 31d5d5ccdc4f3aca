//! Which array element the positional `$` stands for.
//!
//! MongoDB simplifies a query before it asks its parts, and for an update sorts
//! them. Each part that an array's element satisfies notes that element, and
//! the last note counts. Parts of which not every one must hold note nothing.

use std::borrow::Cow;

use bson::RawDocument;

use super::{Compare, Node, Test, sort_operands};
use crate::collation::Collation;
use crate::path::Path;
use crate::schema::{Dependency, Schema};

/// A part of a query that was simplified.
enum Part<'a> {
    /// All of them.
    All(Vec<Part<'a>>),
    /// Any of them, which are at least two.
    Any(Vec<Part<'a>>),
    /// A test of the values at a path.
    Test(Cow<'a, Path>, Cow<'a, Test>),
    /// A field that is there, and what is then asked.
    Present(Path, Box<Part<'a>>),
    /// What notes nothing.
    Silent(u8),
    /// What matches nothing.
    Never,
}

/// By what parts are sorted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    kind: u8,
    path: String,
    parts: Vec<Shape>,
}

// The order of the kinds of parts.
const ALL: u8 = 0;
const ANY: u8 = 1;
const NOT: u8 = 18;
const NOR: u8 = 19;
const EXPRESSION: u8 = 21;
const NEVER: u8 = 22;
const PRESENT: u8 = 23;

/// The element that a query notes of a document that matches it, its parts
/// being asked in order, or as they are written.
pub(super) fn noted(
    root: &Node,
    sort: bool,
    document: &RawDocument,
    collation: Option<&Collation>,
) -> Option<usize> {
    let mut part = simplified(root, collation);
    if sort && let Part::All(parts) = &mut part {
        parts.sort_by_cached_key(shape);
    }
    note(&part, document, collation)
}

fn note(part: &Part<'_>, document: &RawDocument, collation: Option<&Collation>) -> Option<usize> {
    match part {
        Part::All(parts) => {
            let mut last_first = parts.iter().rev();
            last_first.find_map(|part| note(part, document, collation))
        }
        Part::Test(path, test) => test.position(document, path.parts(), collation).flatten(),
        Part::Present(path, then) => {
            let there = Test::Exists.position(document, path.parts(), collation)?;
            note(then, document, collation).or(there)
        }
        Part::Any(_) | Part::Silent(_) | Part::Never => None,
    }
}

fn simplified<'a>(node: &'a Node, collation: Option<&Collation>) -> Part<'a> {
    let each = nodes_of(node).iter();
    match node {
        Node::And(_) => {
            let each = each.flat_map(|node| match node {
                // Several operators of one field are parts of the query itself.
                Node::Field(path, Test::All(tests)) if !is_list(tests) => {
                    tests.iter().map(|test| field(path, test)).collect()
                }
                node => vec![simplified(node, collation)],
            });
            all(each.collect())
        }
        Node::Or(_) => any(
            each.map(|node| simplified(node, collation)).collect(),
            collation,
        ),
        Node::Nor(_) => Part::Silent(NOR),
        Node::Field(path, test) => field(path, test),
        Node::Expr(_) => Part::Silent(EXPRESSION),
        Node::Schema(schema) => self::schema(schema),
        Node::Never => Part::Never,
    }
}

fn nodes_of(node: &Node) -> &[Node] {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes,
        _ => &[],
    }
}

/// Whether tests are those of one `$all`.
fn is_list(tests: &[Test]) -> bool {
    tests.iter().all(|test| {
        matches!(
            test,
            Test::Compare(Compare::Eq, _)
                | Test::Regex(_)
                | Test::ElementMatches(_)
                | Test::ElementPasses(_)
        )
    })
}

/// Those that all must hold: those of an inner list come after the others.
fn all(parts: Vec<Part<'_>>) -> Part<'_> {
    let (mut own, mut inner) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::All(parts) => inner.extend(parts),
            Part::Never => return Part::Never,
            part => own.push(part),
        }
    }
    own.append(&mut inner);
    only(own).unwrap_or_else(Part::All)
}

/// Those of which any must hold: equalities of one path are one list.
fn any<'a>(parts: Vec<Part<'a>>, collation: Option<&Collation>) -> Part<'a> {
    let mut own = Vec::new();
    for part in parts {
        match part {
            Part::Any(mut parts) => own.append(&mut parts),
            Part::Never => {}
            part => own.push(part),
        }
    }
    match only(own) {
        Ok(part) => part,
        Err(parts) if parts.is_empty() => Part::Never,
        Err(parts) => one_of(&parts, collation).unwrap_or(Part::Any(parts)),
    }
}

fn only(mut parts: Vec<Part<'_>>) -> Result<Part<'_>, Vec<Part<'_>>> {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => Ok(part),
        (_, last) => {
            parts.extend(last);
            Err(parts)
        }
    }
}

fn one_of<'a>(parts: &[Part<'a>], collation: Option<&Collation>) -> Option<Part<'a>> {
    let (mut values, mut patterns) = (Vec::new(), Vec::new());
    let mut common = None;
    for part in parts {
        let Part::Test(path, test) = part else {
            return None;
        };
        if common.get_or_insert(path) != &path {
            return None;
        }
        match single(test)? {
            Single::Equal(value) => values.push(value.clone()),
            Single::Pattern(pattern) => patterns.push(pattern.clone()),
        }
    }
    sort_operands(&mut values, collation);
    Some(Part::Test(
        common?.clone(),
        Cow::Owned(Test::In(values, patterns)),
    ))
}

/// A test for one value.
enum Single<'a> {
    Equal(&'a bson::RawBson),
    Pattern(&'a crate::regex::Regex),
}

/// What a test asks for that one value or pattern satisfies.
fn single(test: &Test) -> Option<Single<'_>> {
    match test {
        Test::Compare(Compare::Eq, value) => Some(Single::Equal(value)),
        Test::Regex(pattern) => Some(Single::Pattern(pattern)),
        Test::In(values, patterns) => match (&values[..], &patterns[..]) {
            ([value], []) => Some(Single::Equal(value)),
            ([], [pattern]) => Some(Single::Pattern(pattern)),
            _ => None,
        },
        _ => None,
    }
}

fn field<'a>(path: &'a Path, test: &'a Test) -> Part<'a> {
    match test {
        Test::All(tests) => all(tests.iter().map(|test| field(path, test)).collect()),
        test => {
            // A list of one is no list.
            let test = match (test, single(test)) {
                (Test::In(..), Some(Single::Equal(value))) => {
                    Cow::Owned(Test::Compare(Compare::Eq, value.clone()))
                }
                (Test::In(..), Some(Single::Pattern(pattern))) => {
                    Cow::Owned(Test::Regex(pattern.clone()))
                }
                _ => Cow::Borrowed(test),
            };
            Part::Test(Cow::Borrowed(path), test)
        }
    }
}

fn schema(schema: &Schema) -> Part<'_> {
    let present = |name: &String| {
        let path = Cow::Owned(Path::new(name));
        Part::Test(path, Cow::Owned(Test::Exists))
    };
    let mut parts: Vec<Part<'_>> = schema.required.iter().map(present).collect();
    parts.extend(schema.all_of.iter().map(self::schema));
    for choices in [&schema.any_of, &schema.one_of] {
        if let [only] = &choices[..] {
            parts.push(self::schema(only));
        }
    }
    for (name, then) in &schema.dependencies {
        let then = match then {
            Dependency::Fields(names) => all(names.iter().map(present).collect()),
            Dependency::Schema(schema) => self::schema(schema),
        };
        parts.push(Part::Present(Path::new(name), Box::new(then)));
    }
    all(parts)
}

fn shape(part: &Part<'_>) -> Shape {
    match part {
        Part::All(parts) => of(ALL, "", parts.iter().map(shape)),
        Part::Any(parts) => of(ANY, "", parts.iter().map(shape)),
        Part::Test(path, test) => test_shape(path.as_str(), test),
        Part::Present(path, _) => of(PRESENT, "", [test_shape(path.as_str(), &Test::Exists)]),
        Part::Silent(kind) => of(*kind, "", []),
        Part::Never => of(NEVER, "", []),
    }
}

fn of(kind: u8, path: &str, parts: impl IntoIterator<Item = Shape>) -> Shape {
    let mut parts: Vec<Shape> = parts.into_iter().collect();
    parts.sort();
    Shape {
        kind,
        path: path.to_owned(),
        parts,
    }
}

fn test_shape(path: &str, test: &Test) -> Shape {
    let leaf = |kind| of(kind, path, []);
    match test {
        Test::All(tests) => of(ALL, "", tests.iter().map(|test| test_shape(path, test))),
        Test::ElementMatches(query) => of(2, path, [shape(&simplified(query, None))]),
        Test::ElementPasses(tests) => of(3, path, tests.iter().map(|test| test_shape("", test))),
        Test::Size(_) => leaf(4),
        Test::Compare(Compare::Eq, _) => leaf(5),
        Test::Compare(Compare::Lte, _) => leaf(6),
        Test::Compare(Compare::Lt, _) => leaf(7),
        Test::Compare(Compare::Gt, _) => leaf(8),
        Test::Compare(Compare::Gte, _) => leaf(9),
        Test::Regex(_) => leaf(10),
        Test::Mod(..) => leaf(11),
        Test::Exists => leaf(12),
        Test::In(..) => leaf(13),
        Test::Bits { all, set, .. } => leaf(match (all, set) {
            (true, true) => 14,
            (true, false) => 15,
            (false, true) => 16,
            (false, false) => 17,
        }),
        Test::Not(test) => of(NOT, "", [test_shape(path, test)]),
        Test::Type(_) => leaf(20),
    }
}
