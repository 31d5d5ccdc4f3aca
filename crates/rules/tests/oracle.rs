//! A naive reading of rules-schemas.md §3–§8, one document at a time: what the
//! real thing is held against. As simple as it can be, on owned values, and
//! without a line of the crate that it judges. Rules are taken as valid.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};

/// Who asks, and what the functions of the rules answer.
#[derive(Clone)]
pub(crate) struct Asker {
    /// `%%user`.
    pub(crate) user: Document,
    /// `%%values`.
    pub(crate) values: Document,
    /// `%%environment`.
    pub(crate) environment: Document,
    /// `%%request`.
    pub(crate) request: Document,
    /// A function's answer; `None` is one that returned nothing.
    pub(crate) function: fn(&str, &[Option<Bson>]) -> Option<Bson>,
}

/// The images that an expression looks at.
#[derive(Clone, Copy, Default)]
struct Images<'a> {
    root: Option<&'a Document>,
    before: Option<&'a Document>,
    this: Option<&'a Bson>,
    prev: Option<&'a Bson>,
    /// A delete: every field counts as changed.
    all: bool,
}

impl<'a> Images<'a> {
    fn of(root: Option<&'a Document>, before: Option<&'a Document>) -> Self {
        Self {
            root,
            before,
            ..Self::default()
        }
    }
}

/// What may be written.
pub(crate) enum Write<'a> {
    /// A new document.
    Insert(&'a Document),
    /// Before and after.
    Update(&'a Document, &'a Document),
    /// The stored document.
    Delete(&'a Document),
}

/// What is left of a stored document for a reader; `None` hides it.
pub(crate) fn read(roles: &[Document], asker: &Asker, document: &Document) -> Option<Document> {
    let images = Images::of(Some(document), Some(document));
    let role = role(roles, asker, images)?;
    if let Some(filters) = object(role, "document_filters") {
        let refused = ask(filters, "read", asker, images) == Some(false);
        if refused && ask(filters, "write", asker, images) != Some(true) {
            return None;
        }
    }
    let (read, write) = (
        ask(role, "read", asker, images),
        ask(role, "write", asker, images),
    );
    if read == Some(true) || write == Some(true) {
        return Some(document.clone());
    }
    if read == Some(false) {
        return None;
    }
    let mut shown = Document::new();
    for (name, value) in document {
        if let Some(value) = shown_field(role, name, value, true, asker, images) {
            shown.insert(name, value);
        }
    }
    (!shown.is_empty()).then_some(shown)
}

/// Whether a write is allowed.
pub(crate) fn may_write(roles: &[Document], asker: &Asker, write: &Write<'_>) -> bool {
    let (before, after) = match write {
        Write::Insert(document) => (None, *document),
        Write::Update(before, after) => (Some(*before), *after),
        Write::Delete(document) => (Some(*document), *document),
    };
    // Selected by the image before, judged by the image after.
    let Some(role) = role(roles, asker, Images::of(before.or(Some(after)), before)) else {
        return false;
    };
    let images = Images::of(Some(after), before);
    if let Some(filters) = object(role, "document_filters") {
        if ask(filters, "write", asker, images) == Some(false) {
            return false;
        }
        // What looks at both images is asked once, with both.
        let transition = filters
            .get("write")
            .is_some_and(|gate| gate.to_string().contains("%%prev"));
        let was = Images::of(before, before);
        if before.is_some() && !transition && ask(filters, "write", asker, was) == Some(false) {
            return false;
        }
    }
    let allowed = ask(role, "write", asker, images).unwrap_or_else(|| {
        let images = Images {
            all: matches!(write, Write::Delete(_)),
            ..images
        };
        let added = after.iter().all(|(name, value)| {
            let old = before.and_then(|before| before.get(name));
            may_change(role, name, (old, Some(value)), true, asker, images)
        });
        let removed = before.into_iter().flatten().all(|(name, value)| {
            after.contains_key(name)
                || may_change(role, name, (Some(value), None), true, asker, images)
        });
        added && removed
    });
    allowed
        && match write {
            Write::Insert(_) => ask(role, "insert", asker, images) != Some(false),
            Write::Delete(_) => ask(role, "delete", asker, images) != Some(false),
            Write::Update(..) => true,
        }
}

/// The first role that applies.
fn role<'r>(roles: &'r [Document], asker: &Asker, images: Images<'_>) -> Option<&'r Document> {
    roles
        .iter()
        .find(|role| ask(role, "apply_when", asker, images) != Some(false))
}

/// True, false, or not written; null is not written.
fn ask(of: &Document, name: &str, asker: &Asker, images: Images<'_>) -> Option<bool> {
    match of.get(name) {
        None | Some(Bson::Null) => None,
        Some(expression) => Some(holds(expression, asker, images)),
    }
}

fn object<'d>(of: &'d Document, name: &str) -> Option<&'d Document> {
    of.get_document(name).ok()
}

/// The rule of a field in a scope: a named one, else for top-level fields
/// `additional_fields`.
fn field_rule<'r>(scope: &'r Document, name: &str, top: bool) -> (Option<&'r Document>, bool) {
    match object(scope, "fields").and_then(|fields| object(fields, name)) {
        Some(rule) => (Some(rule), true),
        None if top => (object(scope, "additional_fields"), false),
        None => (None, false),
    }
}

fn shown_field(
    scope: &Document,
    name: &str,
    value: &Bson,
    top: bool,
    asker: &Asker,
    images: Images<'_>,
) -> Option<Bson> {
    let images = Images {
        this: Some(value),
        prev: Some(value),
        ..images
    };
    let (rule, named) = field_rule(scope, name, top);
    let rule = rule?;
    let (read, write) = (
        ask(rule, "read", asker, images),
        ask(rule, "write", asker, images),
    );
    if read == Some(true) || write == Some(true) {
        return Some(value.clone());
    }
    if read == Some(false) || !named {
        return None;
    }
    object(rule, "fields").filter(|fields| !fields.is_empty())?;
    children(rule, value, asker, images)
}

fn children(rule: &Document, value: &Bson, asker: &Asker, images: Images<'_>) -> Option<Bson> {
    match value {
        Bson::Document(document) => {
            let mut shown = Document::new();
            for (name, value) in document {
                if let Some(value) = shown_field(rule, name, value, false, asker, images) {
                    shown.insert(name, value);
                }
            }
            (!shown.is_empty()).then_some(Bson::Document(shown))
        }
        Bson::Array(array) => {
            let shown: Vec<Bson> = array
                .iter()
                .filter_map(|element| children(rule, element, asker, images))
                .collect();
            (!shown.is_empty()).then_some(Bson::Array(shown))
        }
        _ => None,
    }
}

/// Whether what lies between the two values of a field may be written.
fn may_change(
    scope: &Document,
    name: &str,
    (before, after): (Option<&Bson>, Option<&Bson>),
    top: bool,
    asker: &Asker,
    images: Images<'_>,
) -> bool {
    if !images.all && unchanged(before, after) {
        return true;
    }
    let images = Images {
        this: after,
        prev: before,
        ..images
    };
    let (rule, named) = field_rule(scope, name, top);
    let Some(rule) = rule else { return false };
    match ask(rule, "write", asker, images) {
        Some(allowed) => allowed,
        None if !named => false,
        None if object(rule, "fields").is_none_or(Document::is_empty) => false,
        None => may_change_inside(rule, before, after, asker, images),
    }
}

fn may_change_inside(
    rule: &Document,
    before: Option<&Bson>,
    after: Option<&Bson>,
    asker: &Asker,
    images: Images<'_>,
) -> bool {
    if !images.all && unchanged(before, after) {
        return true;
    }
    let size = |value: Option<&Bson>| match value {
        Some(Bson::Document(document)) => document.len(),
        Some(Bson::Array(array)) => array.len(),
        _ => 0,
    };
    let is = |kind: fn(&Bson) -> bool| before.is_none_or(kind) && after.is_none_or(kind);
    // Where nothing is inside, the field itself is what changed.
    if size(before) + size(after) == 0 {
        return false;
    }
    if is(|value| matches!(value, Bson::Document(_))) {
        let part = |value: Option<&'_ Bson>, name: &str| -> Option<Bson> {
            value?.as_document()?.get(name).cloned()
        };
        let names = |value: Option<&Bson>| -> Vec<String> {
            let document = value.and_then(Bson::as_document);
            document
                .into_iter()
                .flat_map(Document::keys)
                .cloned()
                .collect()
        };
        let mut all = names(after);
        all.extend(names(before));
        return all.iter().all(|name| {
            let (old, new) = (part(before, name), part(after, name));
            may_change(
                rule,
                name,
                (old.as_ref(), new.as_ref()),
                false,
                asker,
                images,
            )
        });
    }
    if is(|value| matches!(value, Bson::Array(_))) {
        let at = |value: Option<&Bson>, index: usize| -> Option<Bson> {
            value?.as_array()?.get(index).cloned()
        };
        return (0..size(before).max(size(after))).all(|index| {
            let (old, new) = (at(before, index), at(after, index));
            may_change_inside(rule, old.as_ref(), new.as_ref(), asker, images)
        });
    }
    false
}

/// Nothing at all changed, types and the order of nested fields included.
fn unchanged(before: Option<&Bson>, after: Option<&Bson>) -> bool {
    let bytes = |value: &Bson| bson::serialize_to_vec(&bson::doc! { "v": value.clone() }).ok();
    match (before, after) {
        (None, None) => true,
        (Some(before), Some(after)) => bytes(before) == bytes(after),
        _ => false,
    }
}

fn holds(expression: &Bson, asker: &Asker, images: Images<'_>) -> bool {
    match expression {
        Bson::Boolean(value) => *value,
        Bson::Document(document) => document
            .iter()
            .all(|(key, operand)| entry(key, operand, asker, images)),
        other => panic!("no expression: {other}"),
    }
}

fn entry(key: &str, operand: &Bson, asker: &Asker, images: Images<'_>) -> bool {
    let Some(name) = operator(key) else {
        let subject = if key.starts_with("%%") {
            expansion(key, asker, images).unwrap_or_else(|| panic!("unknown: {key}"))
        } else {
            walk(images.root.map(|root| Bson::Document(root.clone())), key)
        };
        return test(subject.as_ref(), operand, asker, images);
    };
    let mut list = operand.as_array().into_iter().flatten();
    match name {
        "and" => list.all(|one| holds(one, asker, images)),
        "or" => list.any(|one| holds(one, asker, images)),
        "nor" => !list.any(|one| holds(one, asker, images)),
        "not" => !holds(operand, asker, images),
        "function" => call(operand, asker, images) == Some(Bson::Boolean(true)),
        other => panic!("no operator for expressions: {other}"),
    }
}

/// A value, and whether it came from an expansion.
struct Value {
    value: Option<Bson>,
    expanded: bool,
}

fn test(subject: Option<&Bson>, operand: &Bson, asker: &Asker, images: Images<'_>) -> bool {
    if let Bson::Document(tests) = operand
        && all_operators(tests)
        && !makes_value(tests)
    {
        return tests
            .iter()
            .all(|(key, operand)| one_test(subject, key, operand, asker, images));
    }
    equal(subject, &value(operand, asker, images))
}

fn one_test(
    subject: Option<&Bson>,
    key: &str,
    operand: &Bson,
    asker: &Asker,
    images: Images<'_>,
) -> bool {
    let name = operator(key).unwrap_or_default();
    if let ("and" | "or" | "nor", Some(list)) = (name, operand.as_array()) {
        let whole = |one: &Bson| match one {
            Bson::Document(document) => !all_operators(document),
            other => matches!(other, Bson::Boolean(_)),
        };
        // Whole expressions, whose truth the subject is compared with; else
        // more tests of the subject.
        let conditions = !list.is_empty() && list.iter().all(whole);
        let one = |one: &Bson| {
            if conditions {
                holds(one, asker, images)
            } else {
                test(subject, one, asker, images)
            }
        };
        let truth = match name {
            "and" => list.iter().all(one),
            "or" => list.iter().any(one),
            _ => !list.iter().any(one),
        };
        return if conditions {
            let truth = Value {
                value: Some(Bson::Boolean(truth)),
                expanded: false,
            };
            equal(subject, &truth)
        } else {
            truth
        };
    }
    if name == "not" {
        return !test(subject, operand, asker, images);
    }
    if name == "exists" {
        let wanted = match operand {
            Bson::Boolean(wanted) => *wanted,
            Bson::Int32(n) => *n == 1,
            other => other.as_str() == Some("%%true"),
        };
        return subject.is_some() == wanted;
    }
    if let "in" | "nin" = name {
        let Some(listed) = listed(subject, operand, asker, images) else {
            return false;
        };
        return listed == (name == "in");
    }
    let right = value(operand, asker, images);
    let Some(other) = &right.value else {
        // Undefined on the right is false whatever is asked.
        return false;
    };
    match name {
        "eq" => equal(subject, &right),
        "ne" => !equal(subject, &right),
        "all" => {
            let Some(subject) = subject else { return false };
            let whole = match (operand, other) {
                (Bson::Array(written), Bson::Array(made)) => written.len() == made.len(),
                _ => true,
            };
            let has = |wanted: &Bson| match subject {
                Bson::Array(array) => array.iter().any(|element| same(element, wanted)),
                scalar => same(scalar, wanted),
            };
            match other {
                Bson::Array(list) => whole && !list.is_empty() && list.iter().all(has),
                scalar => has(scalar),
            }
        }
        _ => {
            let one = |subject: &Bson| ordered(name, subject, other);
            subject.is_some_and(|subject| {
                one(subject)
                    || subject
                        .as_array()
                        .is_some_and(|array| array.iter().any(one))
            })
        }
    }
}

/// Whether a list has the subject or one of its elements; `None` without a list.
fn listed(
    subject: Option<&Bson>,
    operand: &Bson,
    asker: &Asker,
    images: Images<'_>,
) -> Option<bool> {
    if let Bson::Array(list) = operand {
        return Some(
            list.iter()
                .any(|one| equal(subject, &value(one, asker, images))),
        );
    }
    let list = value(operand, asker, images);
    match &list.value {
        None => None,
        Some(Bson::Array(array)) => {
            let has = |wanted: &Bson| array.iter().any(|element| same(element, wanted));
            Some(subject.is_some_and(|subject| {
                has(subject)
                    || subject
                        .as_array()
                        .is_some_and(|array| array.iter().any(has))
            }))
        }
        Some(_) => Some(equal(subject, &list)),
    }
}

/// §8.4.
fn equal(subject: Option<&Bson>, right: &Value) -> bool {
    let Some(value) = &right.value else {
        return false;
    };
    let Some(subject) = subject else {
        return *value == Bson::Null && !right.expanded;
    };
    let has = |array: &Bson, wanted: &Bson| {
        array
            .as_array()
            .is_some_and(|array| array.iter().any(|element| same(element, wanted)))
    };
    same(subject, value) || has(subject, value) || (right.expanded && has(value, subject))
}

/// Deep equality: numbers by value, whatever the order of keys.
fn same(a: &Bson, b: &Bson) -> bool {
    match (a, b) {
        (Bson::Document(a), Bson::Document(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, left)| b.get(name).is_some_and(|right| same(left, right)))
        }
        (Bson::Array(a), Bson::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
            (None, None) => a == b,
            _ => false,
        },
    }
}

/// Only for numbers that a double holds exactly.
fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(n) => Some(f64::from(*n)),
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        Bson::Decimal128(n) => n.to_string().parse().ok(),
        _ => None,
    }
}

/// Within one type only.
fn ordered(name: &str, a: &Bson, b: &Bson) -> bool {
    let order = match (number(a), number(b)) {
        (Some(a), Some(b)) if a.is_nan() && b.is_nan() => return name.ends_with("te"),
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a, b) {
            (Bson::String(a), Bson::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Bson::Boolean(a), Bson::Boolean(b)) => Some(a.cmp(b)),
            (Bson::DateTime(a), Bson::DateTime(b)) => Some(a.cmp(b)),
            (Bson::ObjectId(a), Bson::ObjectId(b)) => Some(a.bytes().cmp(&b.bytes())),
            (Bson::Null, Bson::Null) => Some(std::cmp::Ordering::Equal),
            (Bson::Array(_), Bson::Array(_))
            | (Bson::Document(_), Bson::Document(_))
            | (Bson::Binary(_), Bson::Binary(_)) => Some(mql::compare_bson(a, b)),
            _ => None,
        },
    };
    order.is_some_and(|order| match name {
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        "lt" => order.is_lt(),
        "lte" => order.is_le(),
        other => panic!("no test: {other}"),
    })
}

/// Operands are expanded before they are used.
fn value(operand: &Bson, asker: &Asker, images: Images<'_>) -> Value {
    let made = |value: Option<Bson>| Value {
        value,
        expanded: false,
    };
    match operand {
        Bson::String(text) if text.starts_with("%%") => match expansion(text, asker, images) {
            Some(value) => Value {
                value,
                expanded: !matches!(text.as_str(), "%%true" | "%%false"),
            },
            None => made(Some(operand.clone())),
        },
        // What has a hole is not there as a whole.
        Bson::Array(list) => made(
            list.iter()
                .map(|one| value(one, asker, images).value)
                .collect::<Option<Vec<Bson>>>()
                .map(Bson::Array),
        ),
        Bson::Document(document) if makes_value(document) => {
            let (key, operand) = document.iter().next().expect("it has an operator");
            if operator(key) == Some("function") {
                return Value {
                    value: call(operand, asker, images),
                    expanded: true,
                };
            }
            let from = value(operand, asker, images).value;
            made(from.and_then(|from| converted(operator(key).unwrap_or_default(), &from)))
        }
        Bson::Document(document) => {
            let mut whole = Document::new();
            for (name, operand) in document {
                match value(operand, asker, images).value {
                    Some(value) => whole.insert(name, value),
                    None => return made(None),
                };
            }
            made(Some(Bson::Document(whole)))
        }
        literal => made(Some(literal.clone())),
    }
}

fn makes_value(document: &Document) -> bool {
    document.len() == 1
        && document.keys().all(|key| {
            matches!(
                operator(key),
                Some("function" | "stringToOid" | "oidToString" | "stringToUuid" | "uuidToString")
            )
        })
}

fn converted(conversion: &str, from: &Bson) -> Option<Bson> {
    match (conversion, from) {
        ("stringToOid", Bson::String(text)) if text.len() == 24 => {
            ObjectId::parse_str(text).ok().map(Bson::ObjectId)
        }
        ("stringToOid", Bson::String(text)) if text.len() == 12 => {
            let bytes: [u8; 12] = text.as_bytes().try_into().ok()?;
            Some(Bson::ObjectId(ObjectId::from_bytes(bytes)))
        }
        ("oidToString", Bson::ObjectId(id)) => Some(Bson::String(id.to_hex())),
        ("stringToUuid", Bson::String(text)) if text.len() == 36 => {
            let uuid = bson::Uuid::parse_str(text).ok()?;
            Some(Bson::Binary(Binary::from(uuid)))
        }
        ("uuidToString", Bson::Binary(binary)) if binary.subtype == BinarySubtype::Uuid => binary
            .to_uuid()
            .ok()
            .map(|uuid| Bson::String(uuid.to_string())),
        _ => None,
    }
}

fn call(call: &Bson, asker: &Asker, images: Images<'_>) -> Option<Bson> {
    let call = call.as_document().expect("a call is an object");
    let arguments: Vec<Option<Bson>> = call
        .get_array("arguments")
        .into_iter()
        .flatten()
        .map(|argument| value(argument, asker, images).value)
        .collect();
    (asker.function)(call.get_str("name").expect("a call has a name"), &arguments)
}

/// The outer `None` is text that is no expansion.
fn expansion(text: &str, asker: &Asker, images: Images<'_>) -> Option<Option<Bson>> {
    let name = text.strip_prefix("%%")?.trim_end_matches("%%");
    let (head, path) = name.split_once('.').unwrap_or((name, ""));
    let root = match head {
        "true" | "false" => return Some(Some(Bson::Boolean(head == "true"))),
        "user" => Some(Bson::Document(asker.user.clone())),
        "values" => Some(Bson::Document(asker.values.clone())),
        "environment" => Some(Bson::Document(asker.environment.clone())),
        "request" => Some(Bson::Document(asker.request.clone())),
        "root" => images.root.map(|root| Bson::Document(root.clone())),
        "prevRoot" => images.before.map(|root| Bson::Document(root.clone())),
        "this" => images.this.cloned(),
        "prev" => images.prev.cloned(),
        _ => return None,
    };
    Some(if path.is_empty() {
        root
    } else {
        walk(root, path)
    })
}

/// The value at a dotted path.
fn walk(value: Option<Bson>, path: &str) -> Option<Bson> {
    let value = value?;
    if path.is_empty() {
        return Some(value);
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match value {
        Bson::Document(document) => walk(document.get(name).cloned(), rest),
        Bson::Array(array) => {
            if let Ok(index) = name.parse::<usize>()
                && let Some(element) = array.get(index)
            {
                return walk(Some(element.clone()), rest);
            }
            let found: Vec<Bson> = array
                .into_iter()
                .filter(|element| matches!(element, Bson::Document(_)))
                .filter_map(|element| walk(Some(element), path))
                .collect();
            (!found.is_empty()).then_some(Bson::Array(found))
        }
        _ => None,
    }
}

/// The name behind one sigil.
fn operator(key: &str) -> Option<&str> {
    if key.starts_with("%%") {
        None
    } else {
        key.strip_prefix(['%', '$'])
    }
}

fn all_operators(document: &Document) -> bool {
    !document.is_empty() && document.keys().all(|key| operator(key).is_some())
}
