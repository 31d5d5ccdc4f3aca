//! Aggregation expressions: parsed once, evaluated on documents.
//!
//! An operator that is not there is MongoDB's error for an unknown one
//! (`Unrecognized expression`, 168).

mod arrays;
mod bind;
mod coerce;
pub(crate) mod convert;
mod dates;
mod numbers;
mod strings;
mod trig;

use std::borrow::Cow;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};

use crate::error::{MqlError, Result, guard};
use crate::matcher::malformed;
use crate::{compare_bson, key};

pub use bind::Variables;
pub(crate) use bind::check_name;

/// Among the variables of a parser: any other name may come from outside.
const OPEN: &str = "";

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Constant(Bson),
    /// `$a.b`, or `$$name.a.b`: variable, path.
    Path(String, Vec<String>),
    /// A variable that comes from outside, and a path in it.
    Outside(String, Vec<String>),
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Call(&'static str, Vec<Node>),
    /// Operators with named arguments.
    Named(&'static str, Vec<(String, Node)>),
    Let(Vec<(String, Node)>, Box<Node>),
    Switch(Vec<(Node, Node)>, Option<Box<Node>>),
}

/// What expressions see: a raw document and variables. A path decodes only
/// the value that it ends at.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    root: &'a RawDocument,
    bound: Vec<(Cow<'a, str>, Option<Bson>)>,
    outer: Option<&'a Self>,
}

impl<'a> Scope<'a> {
    /// The scope of a document.
    pub fn of(root: &'a RawDocument) -> Self {
        Self {
            root,
            bound: Vec::new(),
            outer: None,
        }
    }

    /// This scope with more variables, which hide those of the same name.
    pub(crate) fn with<'s, N: Into<Cow<'s, str>>>(
        &'s self,
        variables: impl IntoIterator<Item = (N, Option<Bson>)>,
    ) -> Scope<'s> {
        let bound = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value));
        Scope {
            root: self.root,
            bound: bound.collect(),
            outer: Some(self),
        }
    }

    /// What is at a path in a variable.
    fn at<'s>(&'s self, variable: &str, parts: &[String]) -> Result<Value<'s>> {
        let mut scope = Some(self);
        while let Some(inner) = scope {
            if let Some((_, value)) = inner.bound.iter().rev().find(|(name, _)| name == variable) {
                return Ok(value.as_ref().and_then(|value| walk(value, parts)));
            }
            scope = inner.outer;
        }
        if matches!(variable, "ROOT" | "CURRENT") {
            let root = RawBsonRef::Document(self.root);
            return Ok(walk_raw(root, parts)?.map(Cow::Owned));
        }
        Ok(None)
    }
}

impl Expression {
    /// Parses any value as an expression.
    pub fn parse(value: RawBsonRef<'_>) -> Result<Self> {
        let value = Bson::try_from(value).map_err(malformed)?;
        Self::parse_bson(&value)
    }

    /// Parses an owned value as an expression.
    pub fn parse_bson(value: &Bson) -> Result<Self> {
        let mut node = parse(value, &mut Vec::new(), 0)?;
        node.fold()?;
        Ok(Self { node })
    }

    /// The value; `None` when it is missing.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Option<Bson>> {
        self.node
            .evaluate(scope)
            .map(|value| value.map(Cow::into_owned))
    }

    /// The names of a plain path into the document, such as `$a.b`.
    pub(crate) fn path(&self) -> Option<&[String]> {
        match &self.node {
            Node::Path(variable, parts) if variable == "CURRENT" && !parts.is_empty() => {
                Some(parts)
            }
            _ => None,
        }
    }
}

/// MongoDB's idea of true in expressions: everything but false, zero, null
/// and missing.
pub(crate) fn truthy(value: Option<&Bson>) -> bool {
    match value {
        None | Some(Bson::Null | Bson::Undefined) => false,
        Some(Bson::Boolean(value)) => *value,
        Some(value) => crate::number::double(value).is_none_or(|n| n != 0.0),
    }
}

/// Operators whose arguments are a list, with the least and most of them.
const CALLS: &[(&str, usize, usize)] = &[
    ("$abs", 1, 1),
    ("$add", 0, MANY),
    ("$allElementsTrue", 1, 1),
    ("$and", 0, MANY),
    ("$anyElementTrue", 1, 1),
    ("$arrayElemAt", 2, 2),
    ("$arrayToObject", 1, 1),
    ("$bsonSize", 1, 1),
    ("$ceil", 1, 1),
    ("$cmp", 2, 2),
    ("$concat", 0, MANY),
    ("$concatArrays", 0, MANY),
    ("$divide", 2, 2),
    ("$eq", 2, 2),
    ("$exp", 1, 1),
    ("$first", 1, 1),
    ("$floor", 1, 1),
    ("$gt", 2, 2),
    ("$gte", 2, 2),
    ("$ifNull", 2, MANY),
    ("$in", 2, 2),
    ("$indexOfArray", 2, 4),
    ("$indexOfCP", 2, 4),
    ("$isArray", 1, 1),
    ("$isNumber", 1, 1),
    ("$last", 1, 1),
    ("$ln", 1, 1),
    ("$log", 2, 2),
    ("$log10", 1, 1),
    ("$lt", 2, 2),
    ("$lte", 2, 2),
    ("$max", 0, MANY),
    ("$avg", 0, MANY),
    ("$sum", 0, MANY),
    ("$min", 0, MANY),
    ("$mergeObjects", 0, MANY),
    ("$mod", 2, 2),
    ("$multiply", 0, MANY),
    ("$ne", 2, 2),
    ("$not", 1, 1),
    ("$objectToArray", 1, 1),
    ("$or", 0, MANY),
    ("$pow", 2, 2),
    ("$range", 2, 3),
    ("$reverseArray", 1, 1),
    ("$round", 1, 2),
    ("$setDifference", 2, 2),
    ("$setEquals", 2, MANY),
    ("$setIntersection", 0, MANY),
    ("$setIsSubset", 2, 2),
    ("$setUnion", 0, MANY),
    ("$size", 1, 1),
    ("$slice", 2, 3),
    ("$split", 2, 2),
    ("$sqrt", 1, 1),
    ("$strcasecmp", 2, 2),
    ("$strLenBytes", 1, 1),
    ("$strLenCP", 1, 1),
    ("$substr", 3, 3),
    ("$substrBytes", 3, 3),
    ("$substrCP", 3, 3),
    ("$subtract", 2, 2),
    ("$toBool", 1, 1),
    ("$toDate", 1, 1),
    ("$toDouble", 1, 1),
    ("$toInt", 1, 1),
    ("$toLong", 1, 1),
    ("$toLower", 1, 1),
    ("$toObjectId", 1, 1),
    ("$toString", 1, 1),
    ("$toUpper", 1, 1),
    ("$trunc", 1, 2),
    ("$type", 1, 1),
    ("$sin", 1, 1),
    ("$cos", 1, 1),
    ("$tan", 1, 1),
    ("$asin", 1, 1),
    ("$acos", 1, 1),
    ("$atan", 1, 1),
    ("$sinh", 1, 1),
    ("$cosh", 1, 1),
    ("$tanh", 1, 1),
    ("$asinh", 1, 1),
    ("$acosh", 1, 1),
    ("$atanh", 1, 1),
    ("$degreesToRadians", 1, 1),
    ("$radiansToDegrees", 1, 1),
    ("$atan2", 2, 2),
    ("$year", 1, 1),
    ("$month", 1, 1),
    ("$dayOfMonth", 1, 1),
    ("$dayOfWeek", 1, 1),
    ("$dayOfYear", 1, 1),
    ("$hour", 1, 1),
    ("$minute", 1, 1),
    ("$second", 1, 1),
    ("$millisecond", 1, 1),
];
const MANY: usize = usize::MAX;

/// Operators with named arguments: required, then optional ones.
const NAMED: &[(&str, &[&str], &[&str])] = &[
    ("$cond", &["if", "then", "else"], &[]),
    ("$map", &["input", "in"], &["as"]),
    ("$filter", &["input", "cond"], &["as", "limit"]),
    ("$reduce", &["input", "initialValue", "in"], &[]),
    ("$sortArray", &["input", "sortBy"], &[]),
    ("$trim", &["input"], &["chars"]),
    ("$ltrim", &["input"], &["chars"]),
    ("$rtrim", &["input"], &["chars"]),
    ("$replaceOne", &["input", "find", "replacement"], &[]),
    ("$replaceAll", &["input", "find", "replacement"], &[]),
    ("$regexMatch", &["input", "regex"], &["options"]),
    ("$convert", &["input", "to"], &["onError", "onNull"]),
    ("$getField", &["field"], &["input"]),
    ("$setField", &["field", "input", "value"], &[]),
    ("$unsetField", &["field", "input"], &[]),
    (
        "$dateToString",
        &["date"],
        &["format", "timezone", "onNull"],
    ),
    ("$zip", &["inputs"], &["useLongestLength", "defaults"]),
];

fn parse(value: &Bson, variables: &mut Vec<String>, depth: usize) -> Result<Node> {
    guard(depth)?;
    Ok(match value {
        Bson::String(text) if text.starts_with('$') => path(text, variables)?,
        Bson::Array(values) => Node::Array(
            values
                .iter()
                .map(|value| parse(value, variables, depth + 1))
                .collect::<Result<_>>()?,
        ),
        Bson::Document(document) => {
            let mut entries = document.iter();
            match (entries.next(), entries.next()) {
                (Some((name, operand)), None) if name.starts_with('$') => {
                    operator(name, operand, variables, depth)?
                }
                (Some((name, _)), Some(_)) if name.starts_with('$') => {
                    return Err(MqlError::new(
                        15983,
                        "an expression specification must contain exactly one field, the name of the expression.",
                    ));
                }
                _ => Node::Object(
                    document
                        .iter()
                        .map(|(name, value)| {
                            if name.starts_with('$') {
                                return Err(unknown(name));
                            }
                            Ok((name.clone(), parse(value, variables, depth + 1)?))
                        })
                        .collect::<Result<_>>()?,
                ),
            }
        }
        constant => Node::Constant(constant.clone()),
    })
}

fn unknown(name: &str) -> MqlError {
    MqlError::new(168, format!("Unrecognized expression '{name}'"))
}

fn undefined(name: &str) -> MqlError {
    MqlError::new(17276, format!("Use of undefined variable: {name}"))
}

fn path(text: &str, variables: &[String]) -> Result<Node> {
    let mut outside = false;
    let (variable, rest) = match text.strip_prefix("$$") {
        Some(rest) => {
            let (name, path) = rest.split_once('.').unwrap_or((rest, ""));
            let known = matches!(name, "ROOT" | "CURRENT" | "REMOVE")
                || variables.iter().any(|known| known == name);
            outside = !known;
            if outside && !variables.iter().any(|known| known == OPEN) {
                return Err(undefined(name));
            }
            (name, path)
        }
        None => ("CURRENT", &text[1..]),
    };
    if variable == "CURRENT" && rest.is_empty() && !text.starts_with("$$") {
        return Err(MqlError::new(
            16872,
            "'$' by itself is not a valid FieldPath",
        ));
    }
    crate::depth::check_path(rest)?;
    let parts: Vec<String> = if rest.is_empty() {
        Vec::new()
    } else {
        rest.split('.').map(str::to_owned).collect()
    };
    if parts.iter().any(String::is_empty) {
        return Err(MqlError::new(40353, "FieldPath must not end with a '.'."));
    }
    let variable = variable.to_owned();
    Ok(if outside {
        Node::Outside(variable, parts)
    } else {
        Node::Path(variable, parts)
    })
}

fn operator(name: &str, operand: &Bson, variables: &mut Vec<String>, depth: usize) -> Result<Node> {
    match name {
        "$literal" | "$const" => return Ok(Node::Constant(operand.clone())),
        "$let" => return let_in(operand, variables, depth),
        "$switch" => return switch(operand, variables, depth),
        "$cond" => {
            if let Bson::Array(parts) = operand {
                let [condition, then, otherwise] = parts.as_slice() else {
                    return Err(arity("$cond", 3, parts.len()));
                };
                let mut named = Vec::new();
                for (name, value) in [("if", condition), ("then", then), ("else", otherwise)] {
                    named.push((name.to_owned(), parse(value, variables, depth + 1)?));
                }
                return Ok(Node::Named("$cond", named));
            }
        }
        "$getField" if !matches!(operand, Bson::Document(d) if d.contains_key("field")) => {
            let field = parse(operand, variables, depth + 1)?;
            return Ok(Node::Named("$getField", vec![("field".to_owned(), field)]));
        }
        _ => {}
    }
    if let Some((name, required, optional)) = NAMED.iter().find(|(known, ..)| *known == name) {
        return named(name, required, optional, operand, variables, depth);
    }
    let Some(&(name, least, most)) = CALLS.iter().find(|(known, ..)| *known == name) else {
        return Err(unknown(name));
    };
    let arguments = match operand {
        Bson::Array(values) => values
            .iter()
            .map(|value| parse(value, variables, depth + 1))
            .collect::<Result<Vec<_>>>()?,
        single => vec![parse(single, variables, depth + 1)?],
    };
    if arguments.len() < least || arguments.len() > most {
        if least != most && most != MANY {
            return Err(MqlError::new(
                28667,
                format!(
                    "Expression {name} takes at least {least} arguments, and at most {most}, but {} were passed in.",
                    arguments.len()
                ),
            ));
        }
        return Err(arity(name, least, arguments.len()));
    }
    Ok(Node::Call(name, arguments))
}

fn arity(name: &str, wanted: usize, got: usize) -> MqlError {
    MqlError::new(
        16020,
        format!("Expression {name} takes exactly {wanted} arguments. {got} were passed in."),
    )
}

fn named(
    name: &'static str,
    required: &[&str],
    optional: &[&str],
    operand: &Bson,
    variables: &mut Vec<String>,
    depth: usize,
) -> Result<Node> {
    let Bson::Document(document) = operand else {
        return Err(MqlError::failed_to_parse(format!(
            "{name} only supports an object as its argument"
        )));
    };
    for wanted in required {
        if !document.contains_key(wanted) {
            return Err(MqlError::failed_to_parse(format!(
                "Missing '{wanted}' parameter to {name}"
            )));
        }
    }
    let bound: Vec<String> = match name {
        "$map" | "$filter" => {
            let name = document.get_str("as").unwrap_or("this");
            vec![name.to_owned()]
        }
        "$reduce" => vec!["this".to_owned(), "value".to_owned()],
        _ => Vec::new(),
    };
    let mut arguments = Vec::new();
    for (key, value) in document {
        if !required.contains(&key.as_str()) && !optional.contains(&key.as_str()) {
            return Err(MqlError::failed_to_parse(format!(
                "Unrecognized parameter to {name}: {key}"
            )));
        }
        let scoped = matches!(
            (name, key.as_str()),
            ("$map" | "$reduce", "in") | ("$filter", "cond")
        );
        let node = if key == "as" || (name == "$sortArray" && key == "sortBy") {
            Node::Constant(value.clone())
        } else if scoped {
            let before = variables.len();
            variables.extend(bound.iter().cloned());
            let node = parse(value, variables, depth + 1);
            variables.truncate(before);
            node?
        } else {
            parse(value, variables, depth + 1)?
        };
        arguments.push((key.clone(), node));
    }
    Ok(Node::Named(name, arguments))
}

fn let_in(operand: &Bson, variables: &mut Vec<String>, depth: usize) -> Result<Node> {
    let Bson::Document(document) = operand else {
        return Err(MqlError::new(
            16874,
            "$let only supports an object as its argument",
        ));
    };
    let (Ok(vars), Some(body)) = (document.get_document("vars"), document.get("in")) else {
        return Err(MqlError::new(
            16876,
            "Missing 'vars' or 'in' parameter to $let",
        ));
    };
    let mut bound = Vec::new();
    for (name, value) in vars {
        bound.push((name.clone(), parse(value, variables, depth + 1)?));
    }
    let before = variables.len();
    variables.extend(bound.iter().map(|(name, _)| name.clone()));
    let body = parse(body, variables, depth + 1);
    variables.truncate(before);
    Ok(Node::Let(bound, Box::new(body?)))
}

fn switch(operand: &Bson, variables: &mut Vec<String>, depth: usize) -> Result<Node> {
    let Bson::Document(document) = operand else {
        return Err(MqlError::new(
            40060,
            "$switch requires an object as an argument",
        ));
    };
    let Ok(list) = document.get_array("branches") else {
        return Err(MqlError::new(
            40061,
            "$switch expected an array for 'branches'",
        ));
    };
    let mut branches = Vec::new();
    for branch in list {
        let Bson::Document(branch) = branch else {
            return Err(MqlError::new(
                40062,
                "$switch expected each branch to be an object",
            ));
        };
        let (Some(case), Some(then)) = (branch.get("case"), branch.get("then")) else {
            return Err(MqlError::new(
                40064,
                "$switch requires each branch have a 'case' and a 'then' expression",
            ));
        };
        branches.push((
            parse(case, variables, depth + 1)?,
            parse(then, variables, depth + 1)?,
        ));
    }
    if branches.is_empty() {
        return Err(MqlError::new(
            40068,
            "$switch requires at least one branch.",
        ));
    }
    let default = match document.get("default") {
        Some(value) => Some(Box::new(parse(value, variables, depth + 1)?)),
        None => None,
    };
    Ok(Node::Switch(branches, default))
}

type Value<'a> = Option<Cow<'a, Bson>>;

impl Node {
    /// Computes what depends on no document, innermost first. What fails then
    /// fails whatever the documents are, as MongoDB has it.
    fn fold(&mut self) -> Result<()> {
        let mut constant = true;
        let mut each = |node: &mut Self| -> Result<()> {
            node.fold()?;
            constant &= matches!(node, Self::Constant(_));
            Ok(())
        };
        match self {
            Self::Constant(_) | Self::Path(..) | Self::Outside(..) => return Ok(()),
            Self::Array(nodes) | Self::Call(_, nodes) => nodes.iter_mut().try_for_each(each)?,
            Self::Object(fields) | Self::Named(_, fields) => {
                fields.iter_mut().try_for_each(|(_, node)| each(node))?;
            }
            Self::Let(bound, body) => {
                bound.iter_mut().try_for_each(|(_, node)| each(node))?;
                each(body)?;
            }
            Self::Switch(branches, default) => {
                for (case, then) in branches {
                    each(case)?;
                    each(then)?;
                }
                if let Some(default) = default {
                    each(default)?;
                }
            }
        }
        if let Self::Call(name @ ("$and" | "$or"), nodes) = self {
            let deciding = *name == "$or";
            let decided = |node: &Self| matches!(node, Self::Constant(value) if truthy(Some(value)) == deciding);
            if nodes.iter().any(decided) {
                *self = Self::Constant(Bson::Boolean(deciding));
                return Ok(());
            }
        }
        // Constants come last, so that what is null is seen before what is wrong.
        if let Self::Call("$add" | "$multiply", nodes) = self {
            nodes.sort_by_key(|node| matches!(node, Self::Constant(_)));
        }
        if constant && let Some(value) = self.owned(&Scope::of(&RawDocumentBuf::new()))? {
            *self = Self::Constant(value);
        }
        Ok(())
    }

    fn evaluate<'a>(&'a self, scope: &'a Scope<'_>) -> Result<Value<'a>> {
        Ok(match self {
            Self::Constant(value) => Some(Cow::Borrowed(value)),
            Self::Path(variable, parts) => scope.at(variable, parts)?,
            // It was to be bound.
            Self::Outside(..) => None,
            Self::Object(fields) => {
                let mut document = Document::new();
                for (name, node) in fields {
                    if let Some(value) = node.owned(scope)? {
                        document.insert(name.clone(), value);
                    }
                }
                Some(Cow::Owned(Bson::Document(document)))
            }
            Self::Array(nodes) => {
                let values = nodes
                    .iter()
                    .map(|node| Ok(node.owned(scope)?.unwrap_or(Bson::Null)))
                    .collect::<Result<_>>()?;
                Some(Cow::Owned(Bson::Array(values)))
            }
            Self::Let(bound, body) => {
                let mut values = Vec::new();
                for (name, node) in bound {
                    values.push((name.as_str(), node.owned(scope)?));
                }
                body.owned(&scope.with(values))?.map(Cow::Owned)
            }
            Self::Switch(branches, default) => {
                for (case, then) in branches {
                    if truthy(case.evaluate(scope)?.as_deref()) {
                        return then.evaluate(scope);
                    }
                }
                match default {
                    Some(default) => return default.evaluate(scope),
                    None => {
                        return Err(MqlError::new(
                            40066,
                            "$switch could not find a matching branch for an input, and no default was specified.",
                        ));
                    }
                }
            }
            Self::Call(name, arguments) => call(name, arguments, scope)?.map(Cow::Owned),
            Self::Named(name, arguments) => call_named(name, arguments, scope)?.map(Cow::Owned),
        })
    }

    fn owned(&self, scope: &Scope<'_>) -> Result<Option<Bson>> {
        Ok(self.evaluate(scope)?.map(Cow::into_owned))
    }
}

/// A path in a value: through arrays it collects.
fn walk<'a>(value: &'a Bson, parts: &[String]) -> Value<'a> {
    let Some((first, rest)) = parts.split_first() else {
        return Some(Cow::Borrowed(value));
    };
    match value {
        Bson::Document(document) => walk(document.get(first)?, rest),
        Bson::Array(array) => {
            let found: Vec<Bson> = array
                .iter()
                .filter(|element| matches!(element, Bson::Document(_)))
                .filter_map(|element| walk(element, parts).map(Cow::into_owned))
                .collect();
            Some(Cow::Owned(Bson::Array(found)))
        }
        _ => None,
    }
}

/// [`walk`] in raw BSON, which decodes only what it ends at.
fn walk_raw(value: RawBsonRef<'_>, parts: &[String]) -> Result<Option<Bson>> {
    let Some((first, rest)) = parts.split_first() else {
        return Bson::try_from(value).map(Some).map_err(malformed);
    };
    match value {
        RawBsonRef::Document(document) => match document.get(first).map_err(malformed)? {
            Some(value) => walk_raw(value, rest),
            None => Ok(None),
        },
        RawBsonRef::Array(array) => {
            let mut found = Vec::new();
            for element in array {
                let element = element.map_err(malformed)?;
                if matches!(element, RawBsonRef::Document(_)) {
                    found.extend(walk_raw(element, parts)?);
                }
            }
            Ok(Some(Bson::Array(found)))
        }
        _ => Ok(None),
    }
}

fn call(name: &'static str, nodes: &[Node], scope: &Scope<'_>) -> Result<Option<Bson>> {
    // Those that do not look at every argument come first.
    match name {
        "$and" => {
            for node in nodes {
                if !truthy(node.evaluate(scope)?.as_deref()) {
                    return Ok(Some(Bson::Boolean(false)));
                }
            }
            return Ok(Some(Bson::Boolean(true)));
        }
        "$or" => {
            for node in nodes {
                if truthy(node.evaluate(scope)?.as_deref()) {
                    return Ok(Some(Bson::Boolean(true)));
                }
            }
            return Ok(Some(Bson::Boolean(false)));
        }
        "$ifNull" => {
            for node in &nodes[..nodes.len() - 1] {
                let value = node.owned(scope)?;
                if !is_nullish(value.as_ref()) {
                    return Ok(value);
                }
            }
            return nodes[nodes.len() - 1].owned(scope);
        }
        "$add" | "$multiply" => {
            let mut values = Vec::with_capacity(nodes.len());
            for node in nodes {
                let value = node.owned(scope)?;
                if is_nullish(value.as_ref()) {
                    return Ok(Some(Bson::Null));
                }
                let wrong = !value.as_ref().is_some_and(|value| {
                    crate::number::is_number(value)
                        || (name == "$add" && matches!(value, Bson::DateTime(_)))
                });
                values.push(value);
                if wrong {
                    break;
                }
            }
            return Ok(numbers::call(name, &values)?.flatten());
        }
        _ => {}
    }
    let values: Vec<Option<Bson>> = nodes
        .iter()
        .map(|node| node.owned(scope))
        .collect::<Result<_>>()?;
    if let Some(value) = comparison(name, &values) {
        return Ok(Some(value));
    }
    if let Some(result) = numbers::call(name, &values)? {
        return Ok(result);
    }
    if let Some(result) = trig::call(name, &values)? {
        return Ok(result);
    }
    if let Some(result) = strings::call(name, &values)? {
        return Ok(result);
    }
    if let Some(result) = dates::call(name, &values)? {
        return Ok(result);
    }
    if let Some(result) = convert::call(name, &values)? {
        return Ok(result);
    }
    arrays::call(name, &values)
}

fn comparison(name: &str, values: &[Option<Bson>]) -> Option<Bson> {
    if name == "$not" {
        return Some(Bson::Boolean(!truthy(values[0].as_ref())));
    }
    if !matches!(
        name,
        "$cmp" | "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte"
    ) {
        return None;
    }
    // Missing sorts below everything but MinKey, unlike in queries.
    let order = match (&values[0], &values[1]) {
        (Some(a), Some(b)) => compare_bson(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    Some(match name {
        "$cmp" => Bson::Int32(order as i32),
        "$eq" => Bson::Boolean(order.is_eq()),
        "$ne" => Bson::Boolean(order.is_ne()),
        "$gt" => Bson::Boolean(order.is_gt()),
        "$gte" => Bson::Boolean(order.is_ge()),
        "$lt" => Bson::Boolean(order.is_lt()),
        _ => Bson::Boolean(order.is_le()),
    })
}

fn call_named(
    name: &'static str,
    arguments: &[(String, Node)],
    scope: &Scope<'_>,
) -> Result<Option<Bson>> {
    let node = |wanted: &str| {
        arguments
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, node)| node)
    };
    let value = |wanted: &str| node(wanted).map_or(Ok(None), |node| node.owned(scope));
    match name {
        "$cond" => {
            let branch = if truthy(value("if")?.as_ref()) {
                "then"
            } else {
                "else"
            };
            value(branch)
        }
        "$map" | "$filter" | "$reduce" => {
            let input = value("input")?;
            arrays::iterate(name, input, &node, scope)
        }
        "$getField" | "$setField" | "$unsetField" => {
            let Some(Bson::String(field)) = value("field")? else {
                return Err(MqlError::new(
                    5_654_602,
                    format!("{name} requires 'field' to evaluate to type String"),
                ));
            };
            let input = match node("input") {
                Some(node) => node.owned(scope)?,
                None => scope.at("CURRENT", &[])?.map(Cow::into_owned),
            };
            let mut document = match input {
                Some(Bson::Document(document)) => document,
                Some(Bson::Null) | None => return Ok(None),
                Some(_) if name == "$getField" => return Ok(None),
                Some(_) => {
                    return Err(MqlError::new(
                        4_161_105,
                        format!("{name} requires 'input' to evaluate to type Object"),
                    ));
                }
            };
            if name == "$getField" {
                return Ok(document.remove(field));
            }
            match value("value")? {
                Some(value) if name == "$setField" => {
                    document.insert(field, value);
                }
                _ => {
                    document.remove(field);
                }
            }
            Ok(Some(Bson::Document(document)))
        }
        "$convert" => convert::convert(&value, &|name| node(name).is_some()),
        "$dateToString" => dates::to_string(&value),
        "$sortArray" | "$zip" => arrays::named(name, &value),
        _ => strings::named(name, &value),
    }
}

/// Null, undefined or missing.
fn is_nullish(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::Undefined))
}

/// The key by which values are the same.
fn identity(value: &Bson) -> Vec<u8> {
    key::of(value)
}
