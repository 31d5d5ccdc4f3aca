//! Push-down: what of the read decision a MongoDB query can say
//! (rules-schemas.md §16.2).
//!
//! The query always matches every document that the roles would show, so that
//! adding it never changes an answer; when it is exact, it matches nothing
//! else and what it matches is readable as a whole.

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocumentBuf};
use mql::path::Part;

use crate::expression::{Expression, Head, Node, Operand, Order, Test, is_nan};
use crate::filter::{field, nothing};
use crate::role::{Permission, Role, RuleSet};
use crate::scope::Scope;
use crate::value::Found;

/// Rule sets with more roles are decided per document only.
const ROLES_MAX: usize = 8;

/// The part of a read decision that a query can say.
#[derive(Debug, Clone, PartialEq)]
pub struct Narrowed {
    /// Matches all that may be visible; `None` matches everything.
    pub query: Option<RawDocumentBuf>,
    /// What the query matches is visible as a whole: no document has to be
    /// asked about.
    pub exact: bool,
}

/// What is known about a condition on the document.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Always,
    Never,
    /// A query that holds whenever the condition does; the flag says that the
    /// reverse is true as well.
    Query(RawDocumentBuf, bool),
    Unknown,
}

pub(crate) fn narrow(rules: &RuleSet, scope: &Scope<'_>) -> Narrowed {
    let mut visible = Vec::new();
    let mut earlier: Vec<Known> = Vec::new();
    if rules.roles.len() > ROLES_MAX {
        return Narrowed {
            query: None,
            exact: false,
        };
    }
    for role in &rules.roles {
        let applies = expression(&role.apply_when, scope);
        let mut all = earlier.clone();
        all.push(applies.clone());
        all.push(readable(role, scope));
        visible.push(and(all));
        if matches!(applies, Known::Always) {
            break;
        }
        earlier.push(not(applies));
    }
    match or(visible) {
        Known::Always => Narrowed {
            query: None,
            exact: true,
        },
        Known::Never => Narrowed {
            query: Some(nothing()),
            exact: true,
        },
        Known::Query(query, exact) => Narrowed {
            query: Some(query),
            exact,
        },
        Known::Unknown => Narrowed {
            query: None,
            exact: false,
        },
    }
}

fn readable(role: &Role, scope: &Scope<'_>) -> Known {
    let gate = match &role.document_filters {
        None => Known::Always,
        Some(filters) => match &filters.read {
            None => Known::Always,
            Some(read) => or(vec![
                expression(read, scope),
                permission(&filters.write, scope),
            ]),
        },
    };
    let by_fields = role.read.is_none()
        && !(role.fields.named.is_empty()
            && closed(&role.fields.additional_read)
            && closed(&role.fields.additional_write));
    let mut level = vec![
        permission(&role.read, scope),
        permission(&role.write, scope),
    ];
    if by_fields {
        level.push(Known::Unknown);
    }
    and(vec![gate, or(level)])
}

fn closed(permission: &Permission) -> bool {
    permission
        .as_ref()
        .is_none_or(|expression| expression.as_constant() == Some(false))
}

/// Absent grants nothing here.
fn permission(permission: &Permission, scope: &Scope<'_>) -> Known {
    permission
        .as_ref()
        .map_or(Known::Never, |held| expression(held, scope))
}

pub(crate) fn expression(expression: &Expression, scope: &Scope<'_>) -> Known {
    if !expression.documents {
        return match expression.holds(scope) {
            Ok(true) => Known::Always,
            Ok(false) => Known::Never,
            Err(_) => Known::Unknown,
        };
    }
    node(&expression.node, scope)
}

fn node(node: &Node, scope: &Scope<'_>) -> Known {
    match node {
        Node::Constant(true) => Known::Always,
        Node::Constant(false) => Known::Never,
        Node::And(nodes) => and(nodes.iter().map(|n| self::node(n, scope)).collect()),
        Node::Or(nodes) => or(nodes.iter().map(|n| self::node(n, scope)).collect()),
        Node::Not(inner) => not(self::node(inner, scope)),
        Node::Test(subject, test) => asked(subject, test, scope),
    }
}

pub(crate) fn and(all: Vec<Known>) -> Known {
    let mut queries = Vec::new();
    let mut exact = true;
    let mut unknown = false;
    for known in all {
        match known {
            Known::Always => {}
            Known::Never => return Known::Never,
            Known::Unknown => unknown = true,
            Known::Query(query, is_exact) => {
                exact &= is_exact;
                queries.push(query);
            }
        }
    }
    match (queries.len(), unknown) {
        (0, false) => Known::Always,
        (0, true) => Known::Unknown,
        _ => Known::Query(combined("$and", queries), exact && !unknown),
    }
}

fn or(any: Vec<Known>) -> Known {
    let mut queries = Vec::new();
    let mut exact = true;
    let mut unknown = false;
    for known in any {
        match known {
            Known::Always => return Known::Always,
            Known::Never => {}
            Known::Unknown => unknown = true,
            Known::Query(query, is_exact) => {
                exact &= is_exact;
                queries.push(query);
            }
        }
    }
    match (queries.len(), unknown) {
        (_, true) => Known::Unknown,
        (0, false) => Known::Never,
        _ => Known::Query(combined("$or", queries), exact),
    }
}

pub(crate) fn not(known: Known) -> Known {
    match known {
        Known::Always => Known::Never,
        Known::Never => Known::Always,
        Known::Query(query, true) => Known::Query(listed("$nor", vec![query]), true),
        Known::Query(..) | Known::Unknown => Known::Unknown,
    }
}

/// One query stands for itself.
fn combined(operator: &str, mut queries: Vec<RawDocumentBuf>) -> RawDocumentBuf {
    if queries.len() == 1 {
        queries.remove(0)
    } else {
        listed(operator, queries)
    }
}

fn listed(operator: &str, queries: Vec<RawDocumentBuf>) -> RawDocumentBuf {
    let mut list = RawArrayBuf::new();
    for query in queries {
        list.push(query);
    }
    field(operator, list).unwrap_or_default()
}

fn asked(subject: &Operand, test: &Test, scope: &Scope<'_>) -> Known {
    if subject.is_of_request() {
        if let Test::Equals(Operand::Expansion(head, path)) = test
            && head.is_document()
        {
            return reversed(subject, *head, path, scope);
        }
        let Ok(value) = subject.value(scope) else {
            return Known::Unknown;
        };
        return if of_request(test) {
            match test.holds(value.as_ref(), scope) {
                Ok(true) => Known::Always,
                Ok(false) => Known::Never,
                Err(_) => Known::Unknown,
            }
        } else {
            within(test, &mut |test| asked(subject, test, scope), &mut |node| {
                // `{"%%true": {"%or": [...]}}`: the condition is the test.
                match value.as_ref() {
                    Some(RawBsonRef::Boolean(true)) => self::node(node, scope),
                    Some(RawBsonRef::Boolean(false)) => not(self::node(node, scope)),
                    _ => Known::Unknown,
                }
            })
        };
    }
    let Operand::Expansion(head, path) = subject else {
        return Known::Unknown;
    };
    match name(*head, path) {
        Some(name) => tested(&name, path.len() == 1, test, scope),
        None => Known::Unknown,
    }
}

/// The dotted name of a field that a query can say. Where documents are read,
/// `%%prevRoot` is the same document; `%%this` is, too, outside of fields.
fn name(head: Head, path: &[Part]) -> Option<String> {
    let usable = matches!(head, Head::Root | Head::PreviousRoot)
        && !path.is_empty()
        && path.iter().all(|part| {
            part.index.is_none() && !part.name.is_empty() && !part.name.starts_with('$')
        });
    usable.then(|| {
        let names: Vec<&str> = path.iter().map(|part| part.name.as_str()).collect();
        names.join(".")
    })
}

fn of_request(test: &Test) -> bool {
    match test {
        Test::Equals(operand)
        | Test::NotEquals(operand)
        | Test::Compare(_, operand)
        | Test::In(operand)
        | Test::NotIn(operand)
        | Test::Contains(operand) => operand.is_of_request(),
        Test::Exists(_) => true,
        Test::All(tests) | Test::Any(tests) => tests.iter().all(of_request),
        Test::Not(test) => of_request(test),
    }
}

/// Goes through the logic of a test.
fn within(
    test: &Test,
    one: &mut dyn FnMut(&Test) -> Known,
    condition: &mut dyn FnMut(&Node) -> Known,
) -> Known {
    match test {
        Test::All(tests) => and(tests.iter().map(one).collect()),
        Test::Any(tests) => or(tests.iter().map(one).collect()),
        Test::Not(test) => not(one(test)),
        Test::Equals(Operand::Condition(node)) => condition(node),
        _ => Known::Unknown,
    }
}

/// `{"%%user.id": "%%root.owner"}`.
fn reversed(subject: &Operand, head: Head, path: &[Part], scope: &Scope<'_>) -> Known {
    let Some(name) = name(head, path) else {
        return Known::Unknown;
    };
    match subject.value(scope).as_ref().map(Found::as_ref) {
        Ok(None) => Known::Never,
        Ok(Some(value)) => same(&name, path.len() == 1, value, true),
        Err(_) => Known::Unknown,
    }
}

/// A test of the field `name`; `single` names have one part, for which rules
/// and queries go through arrays alike.
fn tested(name: &str, single: bool, test: &Test, scope: &Scope<'_>) -> Known {
    let value = |operand: &Operand| -> Option<Option<RawBson>> {
        if !operand.is_of_request() {
            return None;
        }
        let value = operand.value(scope).ok()?;
        Some(value.as_ref().map(RawBson::from))
    };
    match test {
        Test::Equals(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(value)) => same(name, single, value.as_raw_bson_ref(), operand.is_expanded()),
        },
        Test::NotEquals(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(value)) => not(same(
                name,
                single,
                value.as_raw_bson_ref(),
                operand.is_expanded(),
            )),
        },
        Test::Compare(order, operand) => match value(operand) {
            Some(None) => Known::Never,
            Some(Some(value)) if is_plain(value.as_raw_bson_ref()) => {
                let operator = match order {
                    Order::Less => "$lt",
                    Order::LessOrEqual => "$lte",
                    Order::Greater => "$gt",
                    Order::GreaterOrEqual => "$gte",
                };
                query(name, operator, value, single)
            }
            None | Some(Some(_)) => Known::Unknown,
        },
        Test::In(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(list)) => listed_values(name, single, &list),
        },
        Test::NotIn(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(list)) => not(listed_values(name, single, &list)),
        },
        Test::Exists(wanted) if single || *wanted => {
            query(name, "$exists", RawBson::Boolean(*wanted), single)
        }
        Test::Exists(_) | Test::Contains(_) => Known::Unknown,
        _ => within(
            test,
            &mut |test| tested(name, single, test, scope),
            &mut |_| Known::Unknown,
        ),
    }
}

fn listed_values(name: &str, single: bool, list: &RawBson) -> Known {
    match list.as_raw_bson_ref() {
        RawBsonRef::Array(array) => {
            let plain = array.into_iter().all(|v| v.is_ok_and(is_plain));
            if plain {
                query(name, "$in", list.clone(), single)
            } else {
                Known::Unknown
            }
        }
        value if is_plain(value) => query(name, "$eq", value.into(), single),
        _ => Known::Unknown,
    }
}

/// The rules' equality of a field and a value of the request.
fn same(name: &str, single: bool, value: RawBsonRef<'_>, expanded: bool) -> Known {
    if is_plain(value) {
        return query(name, "$eq", value.into(), single);
    }
    // The field may be the list or be in it; a query also looks into fields
    // that are lists themselves, so this one only narrows.
    if let RawBsonRef::Array(array) = value
        && expanded
        && array.into_iter().all(|v| v.is_ok_and(is_plain))
    {
        let mut list = RawArrayBuf::new();
        for element in array.into_iter().flatten() {
            list.push(element);
        }
        list.push(value);
        return query(name, "$in", RawBson::Array(list), false);
    }
    Known::Unknown
}

fn query(name: &str, operator: &str, value: RawBson, exact: bool) -> Known {
    let test = field(operator, value);
    match test.and_then(|test| field(name, test)) {
        Some(query) => Known::Query(query, exact),
        None => Known::Unknown,
    }
}

/// Values that rules and queries compare alike.
fn is_plain(value: RawBsonRef<'_>) -> bool {
    matches!(
        value,
        RawBsonRef::String(_)
            | RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_)
            | RawBsonRef::ObjectId(_)
            | RawBsonRef::Boolean(_)
            | RawBsonRef::DateTime(_)
            | RawBsonRef::Binary(_)
    ) && !is_nan(value)
}
