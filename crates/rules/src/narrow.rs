//! Push-down: what of the read decision a MongoDB query can say
//! (rules-schemas.md §16.2).
//!
//! The query always matches every document that the roles would show, so that
//! adding it never changes an answer; when it is exact, it matches nothing
//! else and what it matches is readable as a whole.

use bson::oid::ObjectId;
use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocumentBuf, cstr};
use mql::path::Part;

use crate::expression::{Conversion, Expression, Head, Node, Operand, Test, is_nan};
use crate::filter::{field, nothing};
use crate::role::{FieldRule, Fields, Permission, Role, RuleSet};
use crate::scope::Scope;
use crate::value::is_scalar;

/// Rule sets with more roles are decided per document only.
const ROLES_MAX: usize = 8;
/// Dotted names with more parts are compared per document only.
const PARTS_MAX: usize = 6;

/// The part of a read decision that a query can say.
#[derive(Debug, Clone, PartialEq)]
pub struct Narrowed {
    /// Matches all that may be visible; `None` matches everything.
    pub query: Option<RawDocumentBuf>,
    /// What the query matches is visible as a whole: no document has to be
    /// asked about.
    pub exact: bool,
    /// The place of the role that everything visible has, where there is one.
    pub role: Option<usize>,
    /// Nothing is visible, whatever the document.
    pub nothing: bool,
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

pub(crate) fn narrow(rules: &RuleSet, searching: bool, scope: &Scope<'_>) -> Narrowed {
    let mut visible = Vec::new();
    let mut earlier: Vec<Known> = Vec::new();
    if rules.roles.len() > ROLES_MAX {
        return Narrowed {
            query: None,
            exact: false,
            role: None,
            nothing: false,
        };
    }
    let mut possible = Vec::new();
    for (index, role) in rules.roles.iter().enumerate() {
        let applies = expression(&role.apply_when, scope);
        // Most rule sets have one role: nothing is to be said for a next one.
        let is_last = index + 1 == rules.roles.len() || matches!(applies, Known::Always);
        let mut all = if is_last {
            std::mem::take(&mut earlier)
        } else {
            let before = earlier.clone();
            earlier.push(not(applies.clone()));
            before
        };
        all.push(applies);
        all.push(readable(role, scope));
        if searching && let Some(search) = &role.search {
            all.push(expression(search, scope));
        }
        let shows = and(all);
        if !matches!(shows, Known::Never) {
            possible.push(index);
        }
        visible.push(shows);
        if is_last {
            break;
        }
    }
    let (query, exact) = match or(visible) {
        Known::Always => (None, true),
        Known::Never => (Some(nothing()), true),
        Known::Query(query, exact) => (Some(query), exact),
        Known::Unknown => (None, false),
    };
    Narrowed {
        query,
        exact,
        nothing: possible.is_empty(),
        role: match possible.as_slice() {
            [only] => Some(*only),
            _ => None,
        },
    }
}

/// Whether some role may show something at a path of some document. Places in
/// arrays count for nothing.
pub(crate) fn may_show(rules: &RuleSet, path: &[&str], scope: &Scope<'_>) -> bool {
    for role in &rules.roles {
        let applies = expression(&role.apply_when, scope);
        if matches!(applies, Known::Never) {
            continue;
        }
        let open = !matches!(gate(role, scope), Known::Never);
        let level = may(&role.read, scope) || may(&role.write, scope);
        if open && (level || (role.read.is_none() && may_show_field(&role.fields, path, scope))) {
            return true;
        }
        if matches!(applies, Known::Always) {
            break;
        }
    }
    false
}

fn may(held: &Permission, scope: &Scope<'_>) -> bool {
    !matches!(permission(held, scope), Known::Never)
}

fn may_show_field(fields: &Fields, path: &[&str], scope: &Scope<'_>) -> bool {
    let named = path.first().and_then(|first| rule_of(&fields.named, first));
    match named {
        Some(rule) => may_show_inside(rule, &path[1..], scope),
        None => may(&fields.additional_read, scope) || may(&fields.additional_write, scope),
    }
}

fn may_show_inside(rule: &FieldRule, path: &[&str], scope: &Scope<'_>) -> bool {
    if may(&rule.read, scope) || may(&rule.write, scope) {
        return true;
    }
    if rule.read.is_some() {
        return false;
    }
    let Some((name, rest)) = path.split_first() else {
        let mut inside = rule.fields.iter();
        return inside.any(|(_, rule)| may_show_inside(rule, &[], scope));
    };
    match rule_of(&rule.fields, name) {
        Some(inner) => may_show_inside(inner, rest, scope),
        None if is_a_place(name) => may_show_inside(rule, rest, scope),
        None => false,
    }
}

fn rule_of<'r>(rules: &'r [(String, FieldRule)], name: &str) -> Option<&'r FieldRule> {
    let found = rules.iter().find(|(named, _)| named == name);
    found.map(|(_, rule)| rule)
}

/// A place in an array, or what stands for some of them.
fn is_a_place(name: &str) -> bool {
    name.starts_with('$') || name.bytes().all(|byte| byte.is_ascii_digit())
}

/// `document_filters`, for reads.
fn gate(role: &Role, scope: &Scope<'_>) -> Known {
    match &role.document_filters {
        None => Known::Always,
        Some(filters) => match &filters.read {
            None => Known::Always,
            Some(read) => or(vec![
                expression(read, scope),
                permission(&filters.write, scope),
            ]),
        },
    }
}

fn readable(role: &Role, scope: &Scope<'_>) -> Known {
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
    and(vec![gate(role, scope), or(level)])
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
pub(crate) fn combined(operator: &str, mut queries: Vec<RawDocumentBuf>) -> RawDocumentBuf {
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
        if let Some(known) = reversed(subject, test, scope) {
            return known;
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

/// A value of the request that is tested with a field: `{"%%user.id":
/// "%%root.owner"}`; `None` when the test is another.
fn reversed(subject: &Operand, test: &Test, scope: &Scope<'_>) -> Option<Known> {
    let field = |operand: &Operand| match operand {
        Operand::Expansion(head, path) if head.is_document() => {
            Some((name(*head, path)?, path.len() == 1))
        }
        _ => None,
    };
    let subject = subject.value(scope).ok()?;
    let subject = subject.as_ref();
    // A field that is not there makes each of these false.
    let present = |name: &str, single, known| {
        let exists = query(name, "$exists", RawBson::Boolean(true), single);
        and(vec![exists, known])
    };
    Some(match test {
        Test::Equals(Operand::Convert(Conversion::ObjectIdToString, inner)) => {
            let (name, single) = field(inner)?;
            spelled_out(&name, single, subject)
        }
        Test::Equals(operand) => {
            let (name, single) = field(operand)?;
            subject.map_or(Known::Never, |value| same(&name, single, value, true))
        }
        Test::NotEquals(operand) => {
            let (name, single) = field(operand)?;
            let same = subject.map_or(Known::Never, |value| same(&name, single, value, true));
            present(&name, single, not(same))
        }
        Test::In(operand) => {
            let (name, single) = field(operand)?;
            subject.map_or(Known::Never, |value| listed_in(&name, single, value))
        }
        Test::NotIn(operand) => {
            let (name, single) = field(operand)?;
            let listed = subject.map_or(Known::Never, |value| listed_in(&name, single, value));
            present(&name, single, not(listed))
        }
        Test::Compare(order, operand) => {
            let (name, single) = field(operand)?;
            match subject {
                None => Known::Never,
                Some(value) if is_plain(value) => and(vec![
                    query(&name, order.reversed().operator(), value.into(), single),
                    no_array(&name, single),
                ]),
                Some(_) => Known::Unknown,
            }
        }
        _ => return None,
    })
}

/// `{"%%user.id": {"%oidToString": "%%root._id"}}`: the field is one of the ids
/// whose text the value is or has.
fn spelled_out(name: &str, single: bool, value: Option<RawBsonRef<'_>>) -> Known {
    let mut ids = RawArrayBuf::new();
    let mut add = |value: RawBsonRef<'_>| {
        if let RawBsonRef::String(text) = value
            && let Ok(id) = ObjectId::parse_str(text)
            && id.to_hex() == text
        {
            ids.push(id);
        }
    };
    match value {
        Some(RawBsonRef::Array(array)) => array.into_iter().flatten().for_each(add),
        Some(value) => add(value),
        None => {}
    }
    if ids.is_empty() {
        return Known::Never;
    }
    let one_of = query(name, "$in", RawBson::Array(ids), single);
    and(vec![one_of, no_array(name, single)])
}

/// `{"%%user.id": {"%in": "%%root.members"}}`: the field has the value or is it.
fn listed_in(name: &str, single: bool, value: RawBsonRef<'_>) -> Known {
    match value {
        value if is_plain(value) => compared(name, "$eq", value.into(), single),
        RawBsonRef::Array(array) if !array.is_empty() => match plain_elements(array) {
            Some(mut list) => {
                list.push(value);
                query(name, "$in", RawBson::Array(list), single)
            }
            None => Known::Unknown,
        },
        _ => Known::Unknown,
    }
}

fn no_array(name: &str, single: bool) -> Known {
    not(query(
        name,
        "$type",
        RawBson::String("array".to_owned()),
        single,
    ))
}

/// A test of the field `name`; `single` names have one part, for which rules
/// and queries go through arrays alike. Of dotted ones a query can say that they
/// compare with plain values ([`compared`]). Of the rest it only narrows: whether
/// something is missing below a list, and what a list of values is as a whole,
/// are questions that rules and queries ask of different values.
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
                compared(name, order.operator(), value, single)
            }
            None | Some(Some(_)) => Known::Unknown,
        },
        Test::In(Operand::Array(operands)) => any_of(name, single, operands, scope),
        Test::NotIn(Operand::Array(operands)) => not(any_of(name, single, operands, scope)),
        Test::In(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(list)) => listed_values(name, single, &list, operand.is_expanded()),
        },
        Test::NotIn(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(list)) => not(listed_values(name, single, &list, operand.is_expanded())),
        },
        Test::Exists(wanted) if single || *wanted => {
            query(name, "$exists", RawBson::Boolean(*wanted), single)
        }
        Test::Exists(_) => Known::Unknown,
        Test::Contains(operand) => match value(operand) {
            None => Known::Unknown,
            Some(None) => Known::Never,
            Some(Some(RawBson::Array(list))) if list.is_empty() => Known::Never,
            Some(Some(RawBson::Array(list))) => {
                let each = list
                    .into_iter()
                    .flatten()
                    .map(|value| plain(name, single, value));
                and(each.collect())
            }
            Some(Some(value)) => plain(name, single, value.as_raw_bson_ref()),
        },
        _ => within(
            test,
            &mut |test| tested(name, single, test, scope),
            &mut |_| Known::Unknown,
        ),
    }
}

/// A list with values that have to be found first; one that is not there is
/// equal to nothing.
fn any_of(name: &str, single: bool, operands: &[Operand], scope: &Scope<'_>) -> Known {
    let mut list = RawArrayBuf::new();
    let mut any = Vec::new();
    for operand in operands {
        let value = operand.is_of_request().then(|| operand.value(scope));
        let Some(Ok(value)) = value else {
            return Known::Unknown;
        };
        match value.as_ref() {
            Some(value) if is_plain(value) => list.push(value),
            Some(value) => any.push(same(name, single, value, operand.is_expanded())),
            None => {}
        }
    }
    if !list.is_empty() {
        any.push(compared(name, "$in", RawBson::Array(list), single));
    }
    or(any)
}

fn listed_values(name: &str, single: bool, list: &RawBson, expanded: bool) -> Known {
    match list.as_raw_bson_ref() {
        RawBsonRef::Array(array) => match plain_elements(array) {
            Some(list) => compared(name, "$in", RawBson::Array(list), single),
            None => Known::Unknown,
        },
        value => same(name, single, value, expanded),
    }
}

/// The elements of a list that has plain ones only.
fn plain_elements(array: &RawArray) -> Option<RawArrayBuf> {
    let mut list = RawArrayBuf::new();
    for element in array {
        let element = element.ok()?;
        if !is_plain(element) {
            return None;
        }
        list.push(element);
    }
    Some(list)
}

fn plain(name: &str, single: bool, value: RawBsonRef<'_>) -> Known {
    if is_plain(value) {
        compared(name, "$eq", value.into(), single)
    } else {
        Known::Unknown
    }
}

/// The rules' equality of a field and a value of the request.
fn same(name: &str, single: bool, value: RawBsonRef<'_>, expanded: bool) -> Known {
    match value {
        value if is_plain(value) => compared(name, "$eq", value.into(), single),
        // Newer servers tell null from what was once called undefined. Below a
        // list nothing is missing to a query.
        RawBsonRef::Null if single => {
            let null = query(name, "$eq", RawBson::Null, single);
            let null = or(vec![null, query(name, "$type", RawBson::Int32(6), single)]);
            if expanded {
                and(vec![
                    null,
                    query(name, "$exists", RawBson::Boolean(true), single),
                ])
            } else {
                null
            }
        }
        // The field may be the list or be in it, or have it in itself.
        RawBsonRef::Array(array) if expanded => {
            let Some(mut list) = plain_elements(array) else {
                return Known::Unknown;
            };
            list.push(value);
            // A query also looks into fields that are lists themselves.
            let whole = query(name, "$eq", value.into(), single);
            and(vec![
                query(name, "$in", RawBson::Array(list), single),
                or(vec![no_array(name, single), whole]),
            ])
        }
        _ => Known::Unknown,
    }
}

/// A comparison of a field with plain values. Below a dotted name a query looks
/// into every array on its way; rules into one: the one at the end, or one on the
/// way, of whose elements no value is looked into again. The plain comparison
/// stays beside the ways, for indexes.
fn compared(name: &str, operator: &str, value: RawBson, single: bool) -> Known {
    let plain = query(name, operator, value.clone(), single);
    match (single, ways(name, operator, &value)) {
        (false, Some(ways)) => match plain {
            Known::Query(plain, _) => {
                let both = vec![plain, listed("$or", ways)];
                Known::Query(listed("$and", both), true)
            }
            other => other,
        },
        _ => plain,
    }
}

/// Where the arrays on a dotted name may be: nowhere, or at one of its prefixes.
fn ways(name: &str, operator: &str, value: &RawBson) -> Option<Vec<RawDocumentBuf>> {
    let parts: Vec<&str> = name.split('.').collect();
    if parts.len() > PARTS_MAX {
        return None;
    }
    let mut ways = vec![combined("$and", without_arrays(&parts)?)];
    for at in 1..parts.len() {
        let (before, after) = parts.split_at(at);
        let mut element = without_arrays(after)?;
        let mut test = field(operator, value.clone())?;
        test.append(cstr!("$not"), is_array()?);
        element.push(field(&after.join("."), test)?);
        let element = field("$elemMatch", combined("$and", element))?;
        let mut way = without_arrays(before)?;
        way.push(field(&before.join("."), element)?);
        ways.push(combined("$and", way));
    }
    Some(ways)
}

/// For each prefix of a name that it is no array.
fn without_arrays(parts: &[&str]) -> Option<Vec<RawDocumentBuf>> {
    let none = |at: usize| field(&parts[..at].join("."), field("$not", is_array()?)?);
    (1..parts.len()).map(none).collect()
}

fn is_array() -> Option<RawDocumentBuf> {
    field("$type", "array")
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
    is_scalar(value) && !is_nan(value)
}
