//! `$group`.

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, cstr};

use super::accumulator::{Accumulator, State};
use super::environment::Environment;
use super::reshape::key;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::order::{into_raw, raw};

/// A parsed `$group`.
#[derive(Debug, Clone)]
pub struct Group {
    id: Id,
    fields: Vec<(String, Accumulator)>,
    collation: Option<Collation>,
}

/// How a group's `_id` is computed.
#[derive(Debug, Clone)]
enum Id {
    Value(Expression),
    /// A document, which lacks what is missing; but where it has only one field,
    /// that is null.
    Fields(Vec<(String, Expression)>),
}

impl Id {
    fn parse(value: RawBsonRef<'_>) -> Result<Self> {
        let RawBsonRef::Document(document) = value else {
            return Ok(Self::Value(Expression::parse_open(value)?));
        };
        let mut fields = Vec::new();
        for entry in document {
            let (name, value) = entry.map_err(malformed)?;
            // An operator, or what the parser says of names such as these.
            if name.as_str().contains(['$', '.']) {
                let value = RawBsonRef::Document(document);
                return Ok(Self::Value(Expression::parse_open(value)?));
            }
            if name.as_str().is_empty() {
                return Err(MqlError::new(
                    15998,
                    "FieldPath field names may not be empty strings.",
                ));
            }
            fields.push((name.as_str().to_owned(), Expression::parse_open(value)?));
        }
        Ok(Self::Fields(fields))
    }

    fn bind(&mut self, variables: &Variables) -> Result<()> {
        match self {
            Self::Value(expression) => expression.bind(variables),
            Self::Fields(fields) => fields
                .iter_mut()
                .try_for_each(|(_, expression)| expression.bind(variables)),
        }
    }
}

/// `{_id: {a: 1}}` is meant as a projection more often than as a constant.
fn not_inclusion(id: RawBsonRef<'_>) -> Result<()> {
    let RawBsonRef::Document(document) = id else {
        return Ok(());
    };
    let first = document.iter().flatten().next();
    if first.is_some_and(|(name, _)| name.as_str().starts_with('$')) {
        return Ok(());
    }
    for (_, value) in document.iter().flatten() {
        let flag = matches!(
            value,
            RawBsonRef::Boolean(_)
                | RawBsonRef::Int32(_)
                | RawBsonRef::Int64(_)
                | RawBsonRef::Double(_)
                | RawBsonRef::Decimal128(_)
        );
        if flag {
            return Err(MqlError::new(
                17390,
                "$group does not support inclusion-style expressions",
            ));
        }
    }
    Ok(())
}

impl Group {
    pub(super) fn parse(specification: &RawDocument) -> Result<Self> {
        let mut id = None;
        let mut fields = Vec::new();
        for entry in specification {
            let (name, value) = entry.map_err(malformed)?;
            if name == "_id" {
                if id.is_some() {
                    return Err(MqlError::new(
                        15948,
                        "a group's _id may only be specified once",
                    ));
                }
                not_inclusion(value)?;
                id = Some(Id::parse(value)?);
                continue;
            }
            fields.push(field(name.as_str(), value)?);
        }
        let id =
            id.ok_or_else(|| MqlError::new(15955, "a group specification must include an _id"))?;
        Ok(Self {
            id,
            fields,
            collation: None,
        })
    }

    pub(super) fn of(id: Expression, fields: Vec<(String, Accumulator)>) -> Self {
        Self {
            id: Id::Value(id),
            fields,
            collation: None,
        }
    }

    /// The group of `$sortByCount`.
    pub(super) fn counting(by: RawBsonRef<'_>) -> Result<Self> {
        let count = vec![("count".to_owned(), Accumulator::count())];
        Ok(Self::of(Expression::parse_open(by)?, count))
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
        for (_, accumulator) in &mut self.fields {
            accumulator.collate(collation);
        }
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        self.id.bind(variables)?;
        self.fields
            .iter_mut()
            .try_for_each(|(_, accumulator)| accumulator.bind(variables))
    }
}

/// The code of a field that is no accumulator, which comes before what is wrong
/// with its name.
const NO_ACCUMULATOR: i32 = 40234;

/// A computed field of a group.
pub(super) fn field(name: &str, value: RawBsonRef<'_>) -> Result<(String, Accumulator)> {
    let accumulator = Accumulator::parse(name, value);
    if let Err(error) = &accumulator
        && error.code == NO_ACCUMULATOR
    {
        return accumulator.map(|accumulator| (name.to_owned(), accumulator));
    }
    if name.contains('.') {
        return Err(MqlError::new(
            40235,
            format!("The field name '{name}' cannot contain '.'"),
        ));
    }
    if name.starts_with('$') {
        return Err(MqlError::new(
            40236,
            format!("The field name '{name}' cannot be an operator name"),
        ));
    }
    Ok((name.to_owned(), accumulator?))
}

/// A `$group` under way: groups in the order in which they first appear.
pub(super) struct Grouping {
    group: Group,
    groups: Vec<(Bson, Vec<State>)>,
    index: HashMap<Vec<u8>, usize>,
    key: Vec<u8>,
    bytes: usize,
}

impl Grouping {
    pub(super) fn new(group: Group) -> Self {
        Self {
            group,
            groups: Vec::new(),
            index: HashMap::new(),
            key: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn take(&mut self, env: &Environment<'_>, document: &RawDocument) -> Result<()> {
        let scope = Scope::of(document);
        let id = Found::of(&self.group.id, document, &scope)?;
        self.key.clear();
        id.encode(self.group.collation.as_ref(), &mut self.key);
        let before = self.bytes;
        let at = if let Some(at) = self.index.get(&self.key) {
            *at
        } else {
            let id = id.value()?;
            let states = self.group.fields.iter().map(|(_, field)| field.start(&id));
            let states = states.collect::<Result<Vec<_>>>()?;
            self.bytes += 2 * self.key.len() + 64 * (1 + states.len());
            self.groups.push((id, states));
            let at = self.groups.len() - 1;
            self.index.insert(self.key.clone(), at);
            at
        };
        let Some((_, states)) = self.groups.get_mut(at) else {
            return Ok(());
        };
        for ((_, field), state) in self.group.fields.iter().zip(states) {
            self.bytes += field.take(state, document, &scope)?;
        }
        if self.bytes > before {
            env.check("$group", self.bytes)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> impl Iterator<Item = Result<RawDocumentBuf>> + use<> {
        let group = self.group.clone();
        self.index.clear();
        let groups = std::mem::take(&mut self.groups);
        groups.into_iter().map(move |(id, states)| {
            let mut made = RawDocumentBuf::new();
            made.append(cstr!("_id"), into_raw(id));
            for ((name, field), state) in group.fields.iter().zip(states) {
                made.append(key(name)?, field.finish(state)?);
            }
            crate::depth::check(&made)?;
            Ok(made)
        })
    }
}

/// A group's `_id`: raw where it is a field as it is.
enum Found<'a> {
    Raw(RawBsonRef<'a>),
    Made(Bson),
}

impl<'a> Found<'a> {
    fn of(id: &Id, document: &'a RawDocument, scope: &Scope<'_>) -> Result<Self> {
        let id = match id {
            Id::Value(id) => id,
            Id::Fields(fields) => {
                let mut made = Document::new();
                for (name, expression) in fields {
                    let value = expression.evaluate(scope)?;
                    let missing = (fields.len() == 1).then_some(Bson::Null);
                    if let Some(value) = value.or(missing) {
                        made.insert(name.clone(), value);
                    }
                }
                return Ok(Self::Made(Bson::Document(made)));
            }
        };
        if let Some(found) = id.peek(document)? {
            return Ok(Self::Raw(found.unwrap_or(RawBsonRef::Null)));
        }
        Ok(Self::Made(id.evaluate(scope)?.unwrap_or(Bson::Null)))
    }

    fn encode(&self, collation: Option<&Collation>, out: &mut Vec<u8>) {
        match self {
            Self::Raw(value) => crate::key::encode_with(*value, collation, out),
            Self::Made(value) => {
                crate::key::encode_with(raw(value).as_raw_bson_ref(), collation, out);
            }
        }
    }

    fn value(self) -> Result<Bson> {
        match self {
            Self::Raw(value) => value.try_into().map_err(malformed),
            Self::Made(value) => Ok(value),
        }
    }
}
