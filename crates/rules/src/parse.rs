//! From a rule's Extended JSON to an expression tree, with every problem found
//! at once (rules-schemas.md §8.1–8.3).

use std::sync::Arc;

use bson::raw::CString;
use bson::{Bson, Document, RawArrayBuf, RawBson, RawDocumentBuf};
use kit::limit::NESTING_DEPTH_MAX;
use mql::path::{Part, Path};

use crate::expression::{Conversion, Expression, FunctionCall, Head, Node, Operand, Order, Test};
use crate::issue::Issue;

/// Most nodes of one expression.
const NODES_MAX: usize = 10_000;

/// Where an expression stands: what it may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Roles, document filters, permissions and `validate`: the request and the
    /// document.
    Document,
    /// `apply_when` of filters and values in filter queries, `can_evaluate` of
    /// functions: the request only.
    Request,
    /// `when` of other services' rules: the request and `%%args`.
    Arguments,
    /// Permissions of partition-based sync: the user and `%%partition`.
    Partition,
}

impl Expression {
    /// Parses an expression; adds what is wrong with it to `issues` under
    /// `path` and then stands for "never".
    pub fn parse(value: &Bson, place: Place, path: &str, issues: &mut Vec<Issue>) -> Self {
        let mut parser = Parser::new(place, issues);
        let node = parser.expression(value, path, 0);
        Self {
            node,
            path: path.into(),
            documents: parser.documents,
            previous: parser.previous,
            functions: parser.functions,
        }
    }
}

/// Parses one value in which expansions may stand, such as those of a filter's
/// query.
pub(crate) fn operand(value: &Bson, place: Place, path: &str, issues: &mut Vec<Issue>) -> Operand {
    Parser::new(place, issues).literal(value, path, 0)
}

struct Parser<'a> {
    place: Place,
    issues: &'a mut Vec<Issue>,
    nodes: usize,
    documents: bool,
    previous: bool,
    functions: Vec<Arc<str>>,
}

impl<'a> Parser<'a> {
    fn new(place: Place, issues: &'a mut Vec<Issue>) -> Self {
        Self {
            place,
            issues,
            nodes: 0,
            documents: false,
            previous: false,
            functions: Vec::new(),
        }
    }

    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.issues.push(Issue::new(path, message));
    }

    /// Counts a node; false when the expression is over its limits.
    fn room(&mut self, path: &str, depth: usize) -> bool {
        self.nodes += 1;
        if depth > NESTING_DEPTH_MAX {
            self.refuse(path, "expression is nested too deeply");
            return false;
        }
        if self.nodes == NODES_MAX {
            self.refuse(path, "expression is too large");
        }
        self.nodes < NODES_MAX
    }

    fn expression(&mut self, value: &Bson, path: &str, depth: usize) -> Node {
        if !self.room(path, depth) {
            return Node::Constant(false);
        }
        match value {
            Bson::Boolean(value) => Node::Constant(*value),
            Bson::Document(document) => {
                let mut nodes: Vec<Node> = document
                    .iter()
                    .map(|(key, value)| self.entry(key, value, &join(path, key), depth + 1))
                    .collect();
                match nodes.len() {
                    0 => Node::Constant(true),
                    1 => nodes.remove(0),
                    _ => Node::And(nodes),
                }
            }
            _ => {
                self.refuse(path, "an expression must be a boolean or an object");
                Node::Constant(false)
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Bson, path: &str, depth: usize) -> Node {
        if let Some(name) = operator(key) {
            return match name {
                "and" => Node::And(self.expressions(value, path, depth)),
                "or" => Node::Or(self.expressions(value, path, depth)),
                "nor" => Node::Not(Box::new(Node::Or(self.expressions(value, path, depth)))),
                "not" => Node::Not(Box::new(self.expression(value, path, depth))),
                "function" => {
                    let call = self.call(value, path, depth);
                    Node::Test(Operand::Literal(RawBson::Boolean(true)), Test::Equals(call))
                }
                _ if is_test(name) => {
                    self.refuse(path, format!("operator '{key}' needs a field to test"));
                    Node::Constant(false)
                }
                _ => {
                    self.refuse(path, format!("unknown operator '{key}'"));
                    Node::Constant(false)
                }
            };
        }
        let subject = self.subject(key, path);
        let test = self.test(value, path, depth);
        Node::Test(subject, test)
    }

    fn expressions(&mut self, value: &Bson, path: &str, depth: usize) -> Vec<Node> {
        let Bson::Array(list) = value else {
            self.refuse(path, "a logical operator needs an array of expressions");
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .map(|(index, value)| self.expression(value, &format!("{path}[{index}]"), depth + 1))
            .collect()
    }

    /// A key: an expansion, or a field of the document (of the arguments).
    fn subject(&mut self, key: &str, path: &str) -> Operand {
        if key.starts_with("%%") {
            return self
                .expansion(key, path)
                .unwrap_or(Operand::Literal(RawBson::Null));
        }
        match self.place {
            Place::Document => {
                self.documents = true;
                Operand::Expansion(Head::Root, parts(key))
            }
            Place::Arguments => Operand::Expansion(Head::Arguments, parts(key)),
            Place::Request | Place::Partition => {
                self.refuse(
                    path,
                    format!("field '{key}' cannot be used here: no document is known yet"),
                );
                Operand::Literal(RawBson::Null)
            }
        }
    }

    /// A string that begins with `%%`; `None` when it is plain data.
    fn expansion(&mut self, text: &str, path: &str) -> Option<Operand> {
        // Published samples have a stray `%%` at the end.
        let name = text.strip_prefix("%%")?.trim_end_matches("%%");
        let (head, rest) = match name.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        let head = match head {
            "true" | "false" if rest.is_none() => {
                return Some(Operand::Literal(RawBson::Boolean(head == "true")));
            }
            "user" => Head::User,
            "values" => Head::Values,
            "environment" => Head::Environment,
            // A sync session is no request.
            "request" if self.place != Place::Partition => Head::Request,
            "partition" if self.place == Place::Partition => Head::Partition,
            "root" if self.place == Place::Document => Head::Root,
            "prevRoot" if self.place == Place::Document => Head::PreviousRoot,
            "this" if self.place == Place::Document => Head::This,
            "prev" if self.place == Place::Document => Head::Previous,
            "args" if self.place == Place::Arguments => Head::Arguments,
            other if other.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.refuse(path, format!("do not know how to expand '{text}'"));
                return Some(Operand::Literal(RawBson::Null));
            }
            _ => return None,
        };
        self.documents |= head.is_document();
        self.previous |= matches!(head, Head::PreviousRoot | Head::Previous);
        Some(Operand::Expansion(
            head,
            rest.map(parts).unwrap_or_default(),
        ))
    }

    /// What a subject is tested for.
    fn test(&mut self, value: &Bson, path: &str, depth: usize) -> Test {
        if !self.room(path, depth) {
            return Test::Exists(false);
        }
        match value {
            Bson::Document(document) if is_operators(document) => {
                if let Some(value) = self.value_operator(document, path, depth) {
                    return Test::Equals(value);
                }
                let mut tests: Vec<Test> = document
                    .iter()
                    .map(|(key, value)| self.operator_test(key, value, &join(path, key), depth + 1))
                    .collect();
                if tests.len() == 1 {
                    tests.remove(0)
                } else {
                    Test::All(tests)
                }
            }
            other => Test::Equals(self.literal(other, path, depth)),
        }
    }

    fn operator_test(&mut self, key: &str, value: &Bson, path: &str, depth: usize) -> Test {
        if let Some(condition) = self.condition(key, value, path, depth) {
            return Test::Equals(Operand::Condition(Box::new(condition)));
        }
        let order = match operator(key).unwrap_or_default() {
            "and" => return Test::All(self.tests(value, path, depth)),
            "or" => return Test::Any(self.tests(value, path, depth)),
            "nor" => return Test::Not(Box::new(Test::Any(self.tests(value, path, depth)))),
            "not" => return Test::Not(Box::new(self.test(value, path, depth))),
            "exists" => return self.exists(value, path),
            "eq" => return Test::Equals(self.literal(value, path, depth)),
            "ne" => return Test::NotEquals(self.literal(value, path, depth)),
            "in" => return Test::In(self.literal(value, path, depth)),
            "nin" => return Test::NotIn(self.literal(value, path, depth)),
            "all" => return Test::Contains(self.literal(value, path, depth)),
            "gt" => Order::Greater,
            "gte" => Order::GreaterOrEqual,
            "lt" => Order::Less,
            "lte" => Order::LessOrEqual,
            _ => {
                self.refuse(path, format!("unknown operator '{key}'"));
                return Test::Exists(false);
            }
        };
        Test::Compare(order, self.literal(value, path, depth))
    }

    /// `{"%%true": {"%or": [{…}, {…}]}}`: whole expressions below a subject,
    /// whose common truth is what the subject is compared with.
    fn condition(&mut self, key: &str, value: &Bson, path: &str, depth: usize) -> Option<Node> {
        let name = operator(key).filter(|name| matches!(*name, "and" | "or" | "nor"))?;
        let whole = |value: &Bson| match value {
            Bson::Document(document) => !is_operators(document),
            Bson::Boolean(_) => true,
            _ => false,
        };
        let list = value.as_array()?;
        if list.is_empty() || !list.iter().all(whole) {
            return None;
        }
        let nodes = self.expressions(value, path, depth);
        Some(match name {
            "and" => Node::And(nodes),
            "or" => Node::Or(nodes),
            _ => Node::Not(Box::new(Node::Or(nodes))),
        })
    }

    /// The list under a subject's `%and` or `%or`: more tests of the subject.
    fn tests(&mut self, value: &Bson, path: &str, depth: usize) -> Vec<Test> {
        let Bson::Array(list) = value else {
            self.refuse(path, "a logical operator needs an array");
            return vec![Test::Exists(false)];
        };
        list.iter()
            .enumerate()
            .map(|(index, value)| self.test(value, &format!("{path}[{index}]"), depth + 1))
            .collect()
    }

    fn exists(&mut self, value: &Bson, path: &str) -> Test {
        Test::Exists(match value {
            Bson::Boolean(wanted) => *wanted,
            Bson::Int32(0) | Bson::Int64(0) => false,
            Bson::Int32(1) | Bson::Int64(1) => true,
            Bson::Double(n) if *n == 0.0 || *n == 1.0 => *n == 1.0,
            Bson::String(text) if text == "%%true" => true,
            Bson::String(text) if text == "%%false" => false,
            _ => {
                self.refuse(path, "%exists needs true or false");
                false
            }
        })
    }

    /// `%function` and the conversions, which make a value.
    fn value_operator(&mut self, document: &Document, path: &str, depth: usize) -> Option<Operand> {
        let (key, value) = document.iter().next()?;
        let conversion = match operator(key)? {
            "function" if document.len() == 1 => return Some(self.call(value, path, depth)),
            "stringToOid" => Conversion::StringToObjectId,
            "oidToString" => Conversion::ObjectIdToString,
            "stringToUuid" => Conversion::StringToUuid,
            "uuidToString" => Conversion::UuidToString,
            _ => return None,
        };
        if document.len() > 1 || matches!(value, Bson::Document(_) | Bson::Array(_)) {
            self.refuse(
                path,
                format!("'{key}' takes one literal or expansion and stands alone"),
            );
        }
        let value = self.literal(value, path, depth + 1);
        Some(Operand::Convert(conversion, Box::new(value)))
    }

    fn call(&mut self, value: &Bson, path: &str, depth: usize) -> Operand {
        let name = match value {
            Bson::Document(call) => call.get_str("name").ok(),
            _ => None,
        };
        let (Some(name), Bson::Document(call)) = (name, value) else {
            self.refuse(path, "%function needs a name");
            return Operand::Literal(RawBson::Null);
        };
        let name: Arc<str> = name.into();
        if !self.functions.contains(&name) {
            self.functions.push(name.clone());
        }
        let arguments = match call.get("arguments") {
            None | Some(Bson::Null) => Vec::new(),
            Some(Bson::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    self.literal(value, &format!("{path}.arguments[{index}]"), depth + 1)
                })
                .collect(),
            Some(_) => {
                self.refuse(path, "%function needs its arguments in an array");
                Vec::new()
            }
        };
        Operand::Call(FunctionCall { name, arguments })
    }

    /// A value in which expansions and value operators may stand at any depth.
    fn literal(&mut self, value: &Bson, path: &str, depth: usize) -> Operand {
        if !self.room(path, depth) {
            return Operand::Literal(RawBson::Null);
        }
        match value {
            Bson::String(text) if text.starts_with("%%") => {
                if let Some(expansion) = self.expansion(text, path) {
                    return expansion;
                }
            }
            Bson::Array(list) => {
                let operands: Vec<Operand> = list
                    .iter()
                    .enumerate()
                    .map(|(index, value)| {
                        self.literal(value, &format!("{path}[{index}]"), depth + 1)
                    })
                    .collect();
                return array(operands);
            }
            Bson::Document(document) => {
                if let Some(operand) = self.value_operator(document, path, depth) {
                    return operand;
                }
                let mut fields = Vec::with_capacity(document.len());
                for (key, value) in document {
                    let path = join(path, key);
                    let operand = self.literal(value, &path, depth + 1);
                    match CString::try_from(key.as_str()) {
                        Ok(name) => fields.push((name, operand)),
                        Err(_) => self.refuse(&path, "a name must not contain a null character"),
                    }
                }
                return self::document(fields);
            }
            _ => {}
        }
        match RawBson::try_from(value.clone()) {
            Ok(value) => Operand::Literal(value),
            Err(error) => {
                self.refuse(path, error.to_string());
                Operand::Literal(RawBson::Null)
            }
        }
    }
}

/// A list; a literal one when nothing in it has to be found first. `%%true` is
/// a literal too, but not as it is written.
fn array(operands: Vec<Operand>) -> Operand {
    let mut list = RawArrayBuf::new();
    for operand in &operands {
        match operand {
            Operand::Literal(value) => list.push(value.as_raw_bson_ref()),
            _ => return Operand::Array(operands),
        }
    }
    Operand::Literal(RawBson::Array(list))
}

fn document(fields: Vec<(CString, Operand)>) -> Operand {
    let mut document = RawDocumentBuf::new();
    for (name, operand) in &fields {
        match operand {
            Operand::Literal(value) => document.append(name, value.as_raw_bson_ref()),
            _ => return Operand::Document(fields),
        }
    }
    Operand::Literal(RawBson::Document(document))
}

fn parts(path: &str) -> Vec<Part> {
    Path::new(path).parts().to_vec()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The name behind one `%` or `$`.
fn operator(key: &str) -> Option<&str> {
    if key.starts_with("%%") {
        return None;
    }
    key.strip_prefix(['%', '$'])
}

fn is_operators(document: &Document) -> bool {
    !document.is_empty() && document.keys().all(|key| operator(key).is_some())
}

fn is_test(name: &str) -> bool {
    matches!(
        name,
        "exists" | "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "nin" | "all"
    )
}
