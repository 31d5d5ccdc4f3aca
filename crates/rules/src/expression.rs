//! The expression tree and its evaluation (rules-schemas.md §8).

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::RawBsonRef;
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBson, RawDocumentBuf};
use mql::order::rank;
use mql::path::Part;

use crate::scope::{Decided, Needed, Scope};
use crate::value::{Found, contains, equal, lookup};

/// A parsed expression. Evaluated with [`Expression::holds`].
#[derive(Debug, Clone)]
pub struct Expression {
    pub(crate) node: Node,
    /// Where it stands in what was parsed.
    pub(crate) path: Arc<str>,
    /// Whether the answer depends on a document.
    pub(crate) documents: bool,
    /// Whether it looks at `%%prev` or `%%prevRoot`.
    pub(crate) previous: bool,
    /// The functions it calls.
    pub(crate) functions: Vec<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(bool),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(Operand, Test),
}

/// What is asked of a subject.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equals(Operand),
    Compare(Order, Operand),
    In(Operand),
    NotIn(Operand),
    NotEquals(Operand),
    Contains(Operand),
    Exists(bool),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Something that has a value.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Literal(RawBson),
    Expansion(Head, Vec<Part>),
    Convert(Conversion, Box<Operand>),
    Call(FunctionCall),
    Array(Vec<Operand>),
    Document(Vec<(bson::raw::CString, Operand)>),
    /// A condition's own truth.
    Condition(Box<Node>),
}

/// `%function`.
#[derive(Debug, Clone)]
pub struct FunctionCall {
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Vec<Operand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    User,
    Values,
    Environment,
    Request,
    Root,
    PreviousRoot,
    This,
    Previous,
    Arguments,
    Partition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    StringToObjectId,
    ObjectIdToString,
    StringToUuid,
    UuidToString,
}

impl Expression {
    /// An expression that is always `value`, and stands at `path`.
    pub fn constant(value: bool, path: &str) -> Self {
        Self {
            node: Node::Constant(value),
            path: path.into(),
            documents: false,
            previous: false,
            functions: Vec::new(),
        }
    }

    /// Whether the expression holds.
    ///
    /// # Errors
    /// The function call that has to be made first.
    pub fn holds(&self, scope: &Scope<'_>) -> Decided<bool> {
        let holds = self.node.holds(scope)?;
        if let Some(trace) = scope.trace {
            trace.asked(self, holds, scope);
        }
        Ok(holds)
    }

    /// Whether the answer depends on a document, so that it has to be asked for
    /// each one.
    pub fn depends_on_documents(&self) -> bool {
        self.documents
    }

    /// Whether it looks at the image before a write.
    pub fn looks_back(&self) -> bool {
        self.previous
    }

    /// The names of the functions it calls.
    pub fn functions(&self) -> &[Arc<str>] {
        &self.functions
    }

    /// The value, when no request and no document can change it.
    pub fn as_constant(&self) -> Option<bool> {
        match self.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }
}

impl Node {
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Decided<bool> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::And(nodes) => {
                for node in nodes {
                    if !node.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(nodes) => {
                for node in nodes {
                    if node.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(node) => Ok(!node.holds(scope)?),
            Self::Test(subject, test) => {
                let subject = subject.value(scope)?;
                test.holds(subject.as_ref(), scope)
            }
        }
    }
}

impl Test {
    pub(crate) fn holds(
        &self,
        subject: Option<RawBsonRef<'_>>,
        scope: &Scope<'_>,
    ) -> Decided<bool> {
        Ok(match self {
            Self::Equals(operand) => operand.equals(subject, scope)?,
            // Undefined on the right is false, for every operator.
            Self::NotEquals(operand) => {
                let value = operand.value(scope)?;
                value.as_ref().is_some() && !equal(subject, value.as_ref(), operand.is_expanded())
            }
            Self::Compare(order, operand) => {
                let value = operand.value(scope)?;
                match (subject, value.as_ref()) {
                    (Some(subject), Some(value)) => order.any(subject, value),
                    _ => false,
                }
            }
            Self::In(operand) => operand.lists(subject, scope)?.unwrap_or(false),
            Self::NotIn(operand) => operand.lists(subject, scope)?.is_some_and(|listed| !listed),
            Self::Contains(operand) => operand.all_in(subject, scope)?,
            Self::Exists(wanted) => subject.is_some() == *wanted,
            Self::All(tests) => {
                for test in tests {
                    if !test.holds(subject, scope)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(subject, scope)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(test) => !test.holds(subject, scope)?,
        })
    }
}

impl Order {
    /// The query operator.
    pub(crate) fn operator(self) -> &'static str {
        match self {
            Self::Less => "$lt",
            Self::LessOrEqual => "$lte",
            Self::Greater => "$gt",
            Self::GreaterOrEqual => "$gte",
        }
    }

    /// What `b` is to `a` when this is what `a` is to `b`.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// Compares within one type bracket; an array does if one of its elements
    /// does, as in a query.
    fn any(self, subject: RawBsonRef<'_>, value: RawBsonRef<'_>) -> bool {
        self.one(subject, value)
            || matches!(subject, RawBsonRef::Array(array)
                if array.into_iter().flatten().any(|element| self.one(element, value)))
    }

    fn one(self, subject: RawBsonRef<'_>, value: RawBsonRef<'_>) -> bool {
        if rank(subject) != rank(value) || is_nan(subject) != is_nan(value) {
            return false;
        }
        let order = mql::compare(subject, value);
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

pub(crate) fn is_nan(value: RawBsonRef<'_>) -> bool {
    /// The bits of the last byte that say "not a number".
    const DECIMAL_NAN: u8 = 0x7c;
    match value {
        RawBsonRef::Double(n) => n.is_nan(),
        RawBsonRef::Decimal128(n) => n.bytes()[15] & DECIMAL_NAN == DECIMAL_NAN,
        _ => false,
    }
}

/// Whether a query would take a value for more than a value.
fn is_operator(value: RawBsonRef<'_>) -> bool {
    use bson::raw::RawBsonRef as R;
    match value {
        R::RegularExpression(_) => true,
        R::Document(document) => document
            .iter()
            .flatten()
            .any(|(name, value)| name.as_str().starts_with('$') || is_operator(value)),
        R::Array(array) => array.into_iter().flatten().any(is_operator),
        _ => false,
    }
}

impl Operand {
    /// Whether the value is data of a request or document, not of the rule.
    pub(crate) fn is_expanded(&self) -> bool {
        matches!(self, Self::Expansion(..) | Self::Call(_))
    }

    fn equals(&self, subject: Option<RawBsonRef<'_>>, scope: &Scope<'_>) -> Decided<bool> {
        let value = self.value(scope)?;
        Ok(equal(subject, value.as_ref(), self.is_expanded()))
    }

    /// Whether the list that this is has the subject, or one of its elements;
    /// `None` when there is no list.
    fn lists(&self, subject: Option<RawBsonRef<'_>>, scope: &Scope<'_>) -> Decided<Option<bool>> {
        if let Self::Array(operands) = self {
            for operand in operands {
                if operand.equals(subject, scope)? {
                    return Ok(Some(true));
                }
            }
            return Ok(Some(false));
        }
        let list = self.value(scope)?;
        Ok(match list.as_ref() {
            None => None,
            Some(RawBsonRef::Array(list)) => Some(match subject {
                // As with equality, only a null that was written is a missing field.
                None => !self.is_expanded() && contains(list, RawBsonRef::Null),
                Some(subject) => {
                    contains(list, subject)
                        || matches!(subject, RawBsonRef::Array(subject)
                            if subject.into_iter().flatten().any(|element| contains(list, element)))
                }
            }),
            scalar => Some(equal(subject, scalar, self.is_expanded())),
        })
    }

    fn all_in(&self, subject: Option<RawBsonRef<'_>>, scope: &Scope<'_>) -> Decided<bool> {
        let Some(subject) = subject else {
            return Ok(false);
        };
        let has = |value| match subject {
            RawBsonRef::Array(array) => contains(array, value),
            scalar => equal(Some(scalar), Some(value), false),
        };
        let list = self.value(scope)?;
        Ok(match list.as_ref() {
            None => false,
            Some(RawBsonRef::Array(list)) => {
                !list.is_empty() && list.into_iter().flatten().all(has)
            }
            Some(scalar) => has(scalar),
        })
    }

    /// Whether every expansion and call inside has a value.
    pub(crate) fn is_complete(&self, scope: &Scope<'_>) -> Decided<bool> {
        match self {
            Self::Array(operands) => {
                for operand in operands {
                    if !operand.is_complete(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Document(fields) => {
                for (_, operand) in fields {
                    if !operand.is_complete(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            other => Ok(other.value(scope)?.as_ref().is_some()),
        }
    }

    /// Whether a value that users have a say in would be an operator where it
    /// stands in a query. What the app's author wrote may be one.
    pub(crate) fn brings_operators(&self, scope: &Scope<'_>) -> bool {
        match self {
            Self::Array(operands) => operands.iter().any(|o| o.brings_operators(scope)),
            Self::Document(fields) => fields.iter().any(|(_, o)| o.brings_operators(scope)),
            Self::Expansion(head @ (Head::User | Head::Request), path) => {
                head.expand(path, scope).as_ref().is_some_and(is_operator)
            }
            _ => false,
        }
    }

    /// Whether the value is the same for every document.
    pub(crate) fn is_of_request(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Expansion(head, _) => !head.is_document(),
            Self::Convert(_, operand) => operand.is_of_request(),
            Self::Array(operands) => operands.iter().all(Self::is_of_request),
            Self::Document(fields) => fields.iter().all(|(_, operand)| operand.is_of_request()),
            // Calls are never made ahead of need.
            Self::Call(_) | Self::Condition(_) => false,
        }
    }

    pub(crate) fn value<'a>(&'a self, scope: &Scope<'a>) -> Decided<Found<'a>> {
        Ok(match self {
            Self::Literal(value) => Found::Borrowed(value.as_raw_bson_ref()),
            Self::Expansion(head, path) => head.expand(path, scope),
            Self::Convert(conversion, operand) => {
                let value = operand.value(scope)?;
                match value.as_ref().and_then(|value| conversion.apply(value)) {
                    Some(converted) => Found::Owned(converted),
                    None => Found::Missing,
                }
            }
            Self::Call(call) => call.answer(scope)?,
            Self::Array(operands) => {
                let mut array = RawArrayBuf::new();
                for operand in operands {
                    match operand.value(scope)?.as_ref() {
                        Some(value) => array.push(value),
                        // What has a hole equals nothing: without the hole it
                        // could be what a document has.
                        None => return Ok(Found::Missing),
                    }
                }
                Found::Owned(RawBson::Array(array))
            }
            Self::Document(fields) => {
                let mut document = RawDocumentBuf::new();
                for (name, operand) in fields {
                    match operand.value(scope)?.as_ref() {
                        Some(value) => document.append(name, value),
                        None => return Ok(Found::Missing),
                    }
                }
                Found::Owned(RawBson::Document(document))
            }
            Self::Condition(node) => Found::Owned(RawBson::Boolean(node.holds(scope)?)),
        })
    }
}

impl Head {
    fn expand<'a>(self, path: &[Part], scope: &Scope<'a>) -> Found<'a> {
        let document = |document| lookup(RawBsonRef::Document(document), path);
        let within = |value: Option<RawBsonRef<'a>>| match value {
            Some(value) => lookup(value, path),
            None => Found::Missing,
        };
        match self {
            Self::User => document(scope.request.user()),
            Self::Values => document(scope.request.values()),
            Self::Environment => document(scope.request.environment()),
            Self::Request => document(scope.request.request()),
            Self::Root => within(scope.root.map(RawBsonRef::Document)),
            Self::PreviousRoot => within(scope.prev_root.map(RawBsonRef::Document)),
            Self::This => within(scope.this),
            Self::Previous => within(scope.prev),
            Self::Arguments => within(scope.args.map(RawBsonRef::Document)),
            Self::Partition => within(scope.partition),
        }
    }

    pub(crate) fn is_document(self) -> bool {
        matches!(
            self,
            Self::Root | Self::PreviousRoot | Self::This | Self::Previous
        )
    }
}

impl FunctionCall {
    fn answer<'a>(&self, scope: &Scope<'a>) -> Decided<Found<'a>> {
        let mut arguments = RawArrayBuf::new();
        for operand in &self.arguments {
            match operand.value(scope)?.as_ref() {
                Some(value) => arguments.push(value),
                // A function sees a missing argument as `undefined`.
                None => arguments.push(RawBson::Undefined),
            }
        }
        match scope.answers.get(&self.name, &arguments) {
            Some(answer) => Ok(answer.as_ref().map(RawBson::as_raw_bson_ref).into()),
            None => Err(Box::new(Needed {
                function: self.name.clone(),
                arguments,
            })),
        }
    }
}

impl Conversion {
    /// The converted value; `None` for a value that cannot be converted, which
    /// makes the test around it false.
    fn apply(self, value: RawBsonRef<'_>) -> Option<RawBson> {
        match (self, value) {
            (Self::StringToObjectId, RawBsonRef::String(text)) => {
                let id = match text.len() {
                    24 => ObjectId::parse_str(text).ok()?,
                    12 => ObjectId::from_bytes(text.as_bytes().try_into().ok()?),
                    _ => return None,
                };
                Some(RawBson::ObjectId(id))
            }
            (Self::ObjectIdToString, RawBsonRef::ObjectId(id)) => {
                Some(RawBson::String(id.to_hex()))
            }
            (Self::StringToUuid, RawBsonRef::String(text)) if text.len() == 36 => {
                let uuid = bson::Uuid::parse_str(text).ok()?;
                Some(RawBson::Binary(Binary {
                    subtype: BinarySubtype::Uuid,
                    bytes: uuid.bytes().to_vec(),
                }))
            }
            (Self::UuidToString, RawBsonRef::Binary(binary))
                if binary.subtype == BinarySubtype::Uuid =>
            {
                let bytes: [u8; 16] = binary.bytes.try_into().ok()?;
                Some(RawBson::String(bson::Uuid::from_bytes(bytes).to_string()))
            }
            _ => None,
        }
    }
}
