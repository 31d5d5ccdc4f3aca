//! Why a decision came out as it did: the expressions that it asked, in order,
//! each with the tests that made its answer.

use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, Document, RawBson, doc};

use crate::expression::{Conversion, Expression, Head, Node, Operand, Order, Test};
use crate::scope::{Decided, Scope};
use crate::value::Found;

/// Most bytes of a value that is shown as it is.
const VALUE_BYTES_MAX: usize = 1024;

/// What a decision asked. A [`Scope`] that carries one writes into it.
#[derive(Debug, Default)]
pub struct Trace(Mutex<Vec<Asked>>);

/// One expression that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Where it stands: `roles[0].apply_when`.
    pub path: Arc<str>,
    /// What it said.
    pub holds: bool,
    /// The tests that made it so; none for a constant.
    pub because: Vec<Tested>,
}

/// One test of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// As a rule writes it: `{"%%root.owner": "%%user.id"}`.
    pub test: Document,
    /// What it said.
    pub holds: bool,
    /// What was tested; `None` when it is not there.
    pub subject: Option<RawBson>,
    /// What it was compared with; `None` when that is not there, or for tests
    /// of no value. App values stay names, since they may be secrets.
    pub value: Option<RawBson>,
}

impl Trace {
    /// Everything that was asked since the last time.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn asked(&self, expression: &Expression, holds: bool, scope: &Scope<'_>) {
        let mut because = Vec::new();
        // Every call that the answer needed has been made.
        if expression.node.reasons(scope, &mut because).is_err() {
            because.clear();
        }
        let asked = Asked {
            path: expression.path.clone(),
            holds,
            because,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(asked);
    }
}

impl Node {
    /// Collects the tests that decide; answers what the node says.
    fn reasons(&self, scope: &Scope<'_>, out: &mut Vec<Tested>) -> Decided<bool> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::And(nodes) => settled(nodes, false, scope, out),
            Self::Or(nodes) => settled(nodes, true, scope, out),
            Self::Not(node) => node.reasons(scope, out).map(|holds| !holds),
            Self::Test(
                Operand::Literal(RawBson::Boolean(wanted)),
                Test::Equals(Operand::Condition(node)),
            ) => Ok(node.reasons(scope, out)? == *wanted),
            Self::Test(subject, test) => {
                let found = subject.value(scope)?;
                let holds = test.holds(found.as_ref(), scope)?;
                out.push(Tested {
                    test: subject.under(test.written()),
                    holds,
                    subject: subject.shown(&found),
                    value: match test.operand() {
                        Some(operand) => operand.shown(&operand.value(scope)?),
                        None => None,
                    },
                });
                Ok(holds)
            }
        }
    }
}

/// The first node that says `decisive` settles it, else all of them do.
fn settled(
    nodes: &[Node],
    decisive: bool,
    scope: &Scope<'_>,
    out: &mut Vec<Tested>,
) -> Decided<bool> {
    let mut all = Vec::new();
    for node in nodes {
        let mut reasons = Vec::new();
        if node.reasons(scope, &mut reasons)? == decisive {
            out.append(&mut reasons);
            return Ok(decisive);
        }
        all.append(&mut reasons);
    }
    out.append(&mut all);
    Ok(!decisive)
}

/// `{name: value}`.
fn operator(name: &str, value: Bson) -> Bson {
    Bson::Document(doc! { name: value })
}

impl Test {
    fn operand(&self) -> Option<&Operand> {
        match self {
            Self::Equals(operand)
            | Self::NotEquals(operand)
            | Self::Compare(_, operand)
            | Self::In(operand)
            | Self::NotIn(operand)
            | Self::Contains(operand) => Some(operand),
            Self::Exists(_) | Self::All(_) | Self::Any(_) | Self::Not(_) => None,
        }
    }

    fn written(&self) -> Bson {
        let list = |tests: &[Self]| Bson::Array(tests.iter().map(Self::written).collect());
        match self {
            Self::Equals(operand) => operand.written(),
            Self::NotEquals(operand) => operator("%ne", operand.written()),
            Self::Compare(order, operand) => {
                let name = match order {
                    Order::Less => "%lt",
                    Order::LessOrEqual => "%lte",
                    Order::Greater => "%gt",
                    Order::GreaterOrEqual => "%gte",
                };
                operator(name, operand.written())
            }
            Self::In(operand) => operator("%in", operand.written()),
            Self::NotIn(operand) => operator("%nin", operand.written()),
            Self::Contains(operand) => operator("%all", operand.written()),
            Self::Exists(wanted) => operator("%exists", Bson::Boolean(*wanted)),
            Self::All(tests) => operator("%and", list(tests)),
            Self::Any(tests) => operator("%or", list(tests)),
            Self::Not(test) => operator("%not", test.written()),
        }
    }
}

impl Node {
    fn written(&self) -> Bson {
        let list = |name, nodes: &[Self]| {
            operator(name, Bson::Array(nodes.iter().map(Self::written).collect()))
        };
        match self {
            Self::Constant(value) => Bson::Boolean(*value),
            Self::And(nodes) => list("%and", nodes),
            Self::Or(nodes) => list("%or", nodes),
            Self::Not(node) => operator("%not", node.written()),
            Self::Test(subject, test) => Bson::Document(subject.under(test.written())),
        }
    }
}

impl Operand {
    /// `{SUBJECT: test}`.
    fn under(&self, test: Bson) -> Document {
        let subject = match self.written() {
            Bson::String(name) => name,
            Bson::Boolean(value) => format!("%%{value}"),
            other => other.to_string(),
        };
        doc! { subject: test }
    }

    fn written(&self) -> Bson {
        match self {
            Self::Literal(value) => Bson::try_from(value.clone()).unwrap_or(Bson::Null),
            Self::Expansion(head, path) => {
                let mut name = format!("%%{}", head.name());
                for part in path {
                    name.push('.');
                    name.push_str(&part.name);
                }
                Bson::String(name)
            }
            Self::Convert(conversion, operand) => {
                let name = match conversion {
                    Conversion::StringToObjectId => "%stringToOid",
                    Conversion::ObjectIdToString => "%oidToString",
                    Conversion::StringToUuid => "%stringToUuid",
                    Conversion::UuidToString => "%uuidToString",
                };
                operator(name, operand.written())
            }
            Self::Call(call) => {
                let arguments: Vec<Bson> = call.arguments.iter().map(Self::written).collect();
                let call = doc! { "name": call.name.as_ref(), "arguments": arguments };
                operator("%function", Bson::Document(call))
            }
            Self::Array(operands) => Bson::Array(operands.iter().map(Self::written).collect()),
            Self::Document(fields) => Bson::Document(
                fields
                    .iter()
                    .map(|(name, operand)| (name.to_string(), operand.written()))
                    .collect(),
            ),
            Self::Condition(node) => node.written(),
        }
    }

    /// The value for people's eyes.
    fn shown(&self, found: &Found<'_>) -> Option<RawBson> {
        if self.has_app_values() {
            return RawBson::try_from(self.written()).ok();
        }
        let value = found.as_ref()?;
        let bytes = match value {
            bson::raw::RawBsonRef::Document(document) => document.as_bytes().len(),
            bson::raw::RawBsonRef::Array(array) => array.as_bytes().len(),
            bson::raw::RawBsonRef::String(text) => text.len(),
            bson::raw::RawBsonRef::Binary(binary) => binary.bytes.len(),
            _ => 0,
        };
        Some(if bytes > VALUE_BYTES_MAX {
            RawBson::String(format!("({bytes} bytes)"))
        } else {
            value.into()
        })
    }

    /// Whether it shows what `%%values` or `%%environment` hold.
    fn has_app_values(&self) -> bool {
        match self {
            Self::Expansion(head, _) => matches!(head, Head::Values | Head::Environment),
            Self::Convert(_, operand) => operand.has_app_values(),
            Self::Array(operands) => operands.iter().any(Self::has_app_values),
            Self::Document(fields) => fields.iter().any(|(_, o)| o.has_app_values()),
            Self::Literal(_) | Self::Call(_) | Self::Condition(_) => false,
        }
    }
}

impl Head {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Values => "values",
            Self::Environment => "environment",
            Self::Request => "request",
            Self::Root => "root",
            Self::PreviousRoot => "prevRoot",
            Self::This => "this",
            Self::Previous => "prev",
            Self::Arguments => "args",
            Self::Partition => "partition",
        }
    }
}
