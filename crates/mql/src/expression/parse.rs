//! Reading expressions.

use bson::{Bson, Document};

use super::describe::{kind, shown};
use super::operators::{CALLS, MANY, NAMED, NamedOperator, Operator};
use super::random::Random;
use super::{Node, OPEN};
use crate::error::{MqlError, Result, guard};

/// Names that an expression may use, apart from those that are always there.
type Variables = Vec<String>;

pub(super) fn parse(value: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    guard(depth)?;
    Ok(match value {
        Bson::String(text) if text.starts_with('$') => path(text, variables)?,
        Bson::Array(values) => Node::Array(list(values, variables, depth)?),
        Bson::Document(document) => object(document, variables, depth)?,
        constant => Node::Constant(constant.clone()),
    })
}

fn list(values: &[Bson], variables: &mut Variables, depth: usize) -> Result<Vec<Node>> {
    values
        .iter()
        .map(|value| parse(value, variables, depth + 1))
        .collect()
}

fn object(document: &Document, variables: &mut Variables, depth: usize) -> Result<Node> {
    let mut entries = document.iter();
    match (entries.next(), entries.next()) {
        (Some((name, operand)), None) if name.starts_with('$') => {
            return operator(name, operand, variables, depth);
        }
        (Some((name, _)), Some(_)) if name.starts_with('$') => {
            return Err(MqlError::new(
                15983,
                format!(
                    "An object representing an expression must have exactly one field: {document}"
                ),
            ));
        }
        _ => {}
    }
    let mut fields = Vec::with_capacity(document.len());
    for (name, value) in document {
        if name.contains('.') {
            return Err(MqlError::new(
                16412,
                "FieldPath field names may not contain '.'. Consider using $getField or $setField.",
            ));
        }
        field_name(name)?;
        fields.push((name.clone(), parse(value, variables, depth + 1)?));
    }
    Ok(Node::Object(fields))
}

/// What a part of a path may be.
fn field_name(name: &str) -> Result<()> {
    let (code, text) = if name.is_empty() {
        (15998, "FieldPath field names may not be empty strings.")
    } else if name.starts_with('$') {
        (
            16410,
            "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
        )
    } else if name.contains('\0') {
        (16411, "FieldPath field names may not contain '\0'.")
    } else {
        return Ok(());
    };
    Err(MqlError::new(code, text))
}

pub(super) fn unknown(name: &str) -> MqlError {
    MqlError::new(168, format!("Unrecognized expression '{name}'"))
}

fn path(text: &str, variables: &[String]) -> Result<Node> {
    let (variable, rest) = match text.strip_prefix("$$") {
        Some(rest) => {
            let (name, path) = match rest.split_once('.') {
                Some((name, path)) => (name, Some(path)),
                None => (rest, None),
            };
            readable(name)?;
            if !known(name, variables)? {
                return Ok(Node::Outside(name.to_owned(), parts(path)?));
            }
            (name, path)
        }
        None if text == "$" => {
            return Err(MqlError::new(
                16872,
                "'$' by itself is not a valid FieldPath",
            ));
        }
        None => ("CURRENT", Some(&text[1..])),
    };
    Ok(Node::Path(variable.to_owned(), parts(rest)?))
}

fn parts(path: Option<&str>) -> Result<Vec<String>> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    crate::depth::check_path(path)?;
    if path.ends_with('.') || path.is_empty() {
        return Err(MqlError::new(40353, "FieldPath must not end with a '.'."));
    }
    let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    parts.iter().try_for_each(|part| field_name(part))?;
    Ok(parts)
}

/// Whether a variable is there, and does not come from outside; refuses one
/// that is neither.
fn known(name: &str, variables: &[String]) -> Result<bool> {
    if matches!(name, "ROOT" | "CURRENT" | "REMOVE") || variables.iter().any(|known| known == name)
    {
        return Ok(true);
    }
    if variables.iter().any(|known| known == OPEN) {
        return Ok(false);
    }
    Err(undefined(name))
}

pub(super) fn undefined(name: &str) -> MqlError {
    match name {
        "JS_SCOPE" | "IS_MR" | "NOW" | "CLUSTER_TIME" => MqlError::new(
            51144,
            format!("Builtin variable '$${name}' is not available"),
        ),
        "SEARCH_META" => MqlError::new(
            6_347_903,
            "Can't access $$SEARCH_META without a $search stage earlier in the pipeline",
        ),
        _ => MqlError::new(17276, format!("Use of undefined variable: {name}")),
    }
}

fn bad_name(text: String) -> MqlError {
    MqlError::failed_to_parse(text)
}

/// What a variable's name may be: a letter or what is not ASCII, then letters,
/// digits and underscores.
pub(super) fn readable(name: &str) -> Result<()> {
    let Some(first) = name.chars().next() else {
        return Err(bad_name("empty variable names are not allowed".to_owned()));
    };
    if first.is_ascii() && !first.is_ascii_alphabetic() {
        return Err(bad_name(format!(
            "'{name}' starts with an invalid character for a user variable name"
        )));
    }
    let wrong = |c: &char| !(c.is_ascii_alphanumeric() || *c == '_' || !c.is_ascii());
    match name.chars().find(wrong) {
        Some(wrong) => Err(bad_name(format!(
            "'{name}' contains an invalid character for a variable name: '{wrong}'"
        ))),
        None => Ok(()),
    }
}

/// What a name that an expression, or a command, gives may be.
pub(crate) fn writable(name: &str) -> Result<()> {
    if name == "CURRENT" {
        return Ok(());
    }
    if name.starts_with(|c: char| c.is_ascii() && !c.is_ascii_lowercase()) {
        return Err(bad_name(format!(
            "'{name}' starts with an invalid character for a user variable name"
        )));
    }
    readable(name)
}

fn operator(name: &str, operand: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    match name {
        "$literal" | "$const" => return Ok(Node::Constant(operand.clone())),
        "$let" => return let_in(operand, variables, depth),
        "$switch" => return switch(operand, variables, depth),
        "$rand" => return random(operand),
        "$meta" => return meta(operand),
        "$cond" => {
            let Bson::Document(_) = operand else {
                return cond(operand, variables, depth);
            };
        }
        "$getField" if !is_named_get_field(operand) => {
            return get_field(operand, variables, depth);
        }
        _ => {}
    }
    if let Some(operator) = NAMED.iter().find(|known| known.name == name)
        && (!operator.shorthand || is_named_date(operand))
    {
        return named(operator, operand, variables, depth);
    }
    let Some(operator) = CALLS.iter().find(|known| known.name == name) else {
        return Err(unknown(name));
    };
    let arguments = match operand {
        Bson::Array(values) => list(values, variables, depth)?,
        single => vec![parse(single, variables, depth + 1)?],
    };
    arity(operator, arguments.len())?;
    Ok(Node::Call(operator, arguments))
}

/// Whether a date part's operand names its arguments.
fn is_named_date(operand: &Bson) -> bool {
    match operand {
        Bson::Document(document) => document.keys().next().is_none_or(|k| !k.starts_with('$')),
        _ => false,
    }
}

fn arity(operator: &Operator, given: usize) -> Result<()> {
    let (name, least, most) = (operator.name, operator.least, operator.most);
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(match name {
        "$setEquals" => MqlError::new(
            17045,
            format!("$setEquals needs at least two arguments had: {given}"),
        ),
        _ if operator.is_date_part() => MqlError::new(
            40536,
            format!("{name} accepts exactly one argument if given an array, but was given {given}"),
        ),
        _ if operator.is_conversion() => MqlError::new(
            50723,
            format!("{name} requires a single argument, got {given}"),
        ),
        "$ifNull" => MqlError::new(
            1_257_300,
            format!("$ifNull needs at least two arguments, had: {given}"),
        ),
        _ if least == most || most == MANY => exactly(name, least, given),
        _ => MqlError::new(
            28667,
            format!(
                "Expression {name} takes at least {least} arguments, and at most {most}, but {given} were passed in."
            ),
        ),
    })
}

fn exactly(name: &str, wanted: usize, given: usize) -> MqlError {
    MqlError::new(
        16020,
        format!("Expression {name} takes exactly {wanted} arguments. {given} were passed in."),
    )
}

fn cond(operand: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    let single = [operand.clone()];
    let parts = match operand {
        Bson::Array(parts) => parts.as_slice(),
        _ => &single,
    };
    let nodes = list(parts, variables, depth)?;
    if nodes.len() != 3 {
        return Err(exactly("$cond", 3, nodes.len()));
    }
    let operator = NAMED.iter().find(|known| known.name == "$cond");
    let operator = operator.ok_or_else(|| unknown("$cond"))?;
    Ok(Node::Named(operator, nodes.into_iter().map(Some).collect()))
}

/// How an operator with named arguments refuses them: `@` stands for its
/// name, `#` for what is wrong.
fn refusal(refusal: (i32, &str), operator: &str, what: &str) -> MqlError {
    let text = refusal.1.replace('@', operator).replace('#', what);
    MqlError::new(refusal.0, text)
}

/// Operators whose arguments are all looked at before the first of them is read;
/// those of the others are read one after another as they are there.
const COLLECTED: [&str; 10] = [
    "$dateDiff",
    "$dateFromParts",
    "$dateFromString",
    "$dateToParts",
    "$dateToString",
    "$dateTrunc",
    "$filter",
    "$map",
    "$sortArray",
    "$zip",
];

fn named(
    operator: &'static NamedOperator,
    operand: &Bson,
    variables: &mut Variables,
    depth: usize,
) -> Result<Node> {
    let name = operator.name;
    let Bson::Document(document) = operand else {
        let found = if operator.not_object.1.contains("specification") {
            shown(Some(operand))
        } else {
            kind(Some(operand)).to_owned()
        };
        return Err(refusal(operator.not_object, name, &found));
    };
    let unknown = |field: &str| refusal(operator.unknown, name, field);
    let required = || {
        for (field, required) in operator.fields {
            if let Some(required) = required
                && !document.contains_key(field)
            {
                return Err(refusal(*required, name, field));
            }
        }
        operator.check.map_or(Ok(()), |check| check(name, document))
    };
    let place = |key: &str| operator.fields.iter().position(|field| field.0 == key);
    let collected = COLLECTED.contains(&name);
    if collected {
        if let Some(field) = document.keys().find(|key| place(key).is_none()) {
            return Err(unknown(field));
        }
        required()?;
    }
    let bound: Vec<String> = match name {
        "$map" | "$filter" => {
            let variable = match document.get("as") {
                None => "this",
                Some(Bson::String(variable)) => variable,
                // A name that is not a string is as an empty one.
                Some(_) => "",
            };
            writable(variable)?;
            vec![variable.to_owned()]
        }
        "$reduce" => vec!["this".to_owned(), "value".to_owned()],
        _ => Vec::new(),
    };
    let mut arguments = vec![None; operator.fields.len()];
    let mut read = |at: usize, field: &str, value: &Bson| {
        let scoped = matches!(
            (name, field),
            ("$map" | "$reduce", "in") | ("$filter", "cond")
        );
        let literal = matches!(
            (name, field),
            (_, "as") | ("$sortArray", "sortBy") | ("$zip", "useLongestLength")
        );
        arguments[at] = Some(if literal {
            Node::Constant(value.clone())
        } else if scoped {
            let before = variables.len();
            variables.extend(bound.iter().cloned());
            let node = parse(value, variables, depth + 1);
            variables.truncate(before);
            node?
        } else {
            parse(value, variables, depth + 1)?
        });
        Ok(())
    };
    if collected {
        // Those of these two are read from the last one on.
        let backwards = matches!(name, "$dateDiff" | "$dateTrunc");
        let count = operator.fields.len();
        for at in (0..count).map(|at| if backwards { count - 1 - at } else { at }) {
            let field = operator.fields[at].0;
            if let Some(value) = document.get(field) {
                read(at, field, value)?;
            }
        }
    } else {
        for (field, value) in document {
            read(place(field).ok_or_else(|| unknown(field))?, field, value)?;
        }
        required()?;
    }
    if matches!(name, "$getField" | "$setField" | "$unsetField") {
        constant_field(name, &mut arguments)?;
    }
    Ok(Node::Named(operator, arguments))
}

/// `{$getField: {field: …, input: …}}`, as against an expression for the field.
fn is_named_get_field(operand: &Bson) -> bool {
    matches!(operand, Bson::Document(d) if !d.keys().next().is_some_and(|k| k.starts_with('$')))
}

fn get_field(operand: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    let operator = NAMED.iter().find(|known| known.name == "$getField");
    let operator = operator.ok_or_else(|| unknown("$getField"))?;
    let field = parse(operand, variables, depth + 1)?;
    let mut arguments = vec![
        Some(field),
        Some(Node::Path("CURRENT".to_owned(), Vec::new())),
    ];
    constant_field("$getField", &mut arguments)?;
    Ok(Node::Named(operator, arguments))
}

/// The name of a field to get or set must be known beforehand.
fn constant_field(name: &str, arguments: &mut [Option<Node>]) -> Result<()> {
    let get = name == "$getField";
    let Some(Some(field)) = arguments.first_mut() else {
        return Ok(());
    };
    if let Node::Path(variable, parts) = field {
        let mut path = vec![variable.clone()];
        path.append(parts);
        let path = path.join(".");
        return Err(MqlError::new(
            if get { 5_654_600 } else { 4_161_108 },
            format!(
                "'${path}' is a field path reference which is not allowed in this context. Did you mean {{$literal: '${path}'}}?"
            ),
        ));
    }
    match field {
        Node::Constant(Bson::String(_)) => Ok(()),
        Node::Constant(other) => Err(MqlError::new(
            if get { 5_654_602 } else { 4_161_107 },
            format!(
                "{name} requires 'field' to evaluate to type String, but got {}",
                kind(Some(other))
            ),
        )),
        _ => Err(MqlError::new(
            if get { 5_654_601 } else { 4_161_106 },
            format!(
                "{name} requires 'field' to evaluate to a constant, but got a non-constant argument"
            ),
        )),
    }
}

fn let_in(operand: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    let Bson::Document(document) = operand else {
        return Err(MqlError::new(
            16874,
            "$let only supports an object as its argument",
        ));
    };
    if let Some(other) = document.keys().find(|key| *key != "vars" && *key != "in") {
        return Err(MqlError::new(
            16875,
            format!("Unrecognized parameter to $let: {other}"),
        ));
    }
    let vars = document
        .get("vars")
        .ok_or_else(|| MqlError::new(16876, "Missing 'vars' parameter to $let"))?;
    let body = document
        .get("in")
        .ok_or_else(|| MqlError::new(16877, "Missing 'in' parameter to $let"))?;
    let Bson::Document(vars) = vars else {
        return Err(MqlError::new(
            10065,
            "invalid parameter: expected an object (vars)",
        ));
    };
    let mut bound = Vec::new();
    for (name, value) in vars {
        writable(name)?;
        bound.push((name.clone(), parse(value, variables, depth + 1)?));
    }
    let before = variables.len();
    variables.extend(bound.iter().map(|(name, _)| name.clone()));
    let body = parse(body, variables, depth + 1);
    variables.truncate(before);
    Ok(Node::Let(bound, Box::new(body?)))
}

fn switch(operand: &Bson, variables: &mut Variables, depth: usize) -> Result<Node> {
    let Bson::Document(document) = operand else {
        return Err(MqlError::new(
            40060,
            format!(
                "$switch requires an object as an argument, found: {}",
                kind(Some(operand))
            ),
        ));
    };
    let mut branches = Vec::new();
    let mut default = None;
    for (name, value) in document {
        match (name.as_str(), value) {
            ("branches", Bson::Array(list)) => {
                for item in list {
                    branches.push(branch(item, variables, depth + 1)?);
                }
            }
            ("branches", other) => {
                return Err(MqlError::new(
                    40061,
                    format!(
                        "$switch expected an array for 'branches', found: {}",
                        kind(Some(other))
                    ),
                ));
            }
            ("default", value) => {
                default = Some(Box::new(parse(value, variables, depth + 1)?));
            }
            (other, _) => {
                return Err(MqlError::new(
                    40067,
                    format!("$switch found an unknown argument: {other}"),
                ));
            }
        }
    }
    if branches.is_empty() {
        return Err(MqlError::new(40068, "$switch requires at least one branch"));
    }
    Ok(Node::Switch(branches, default))
}

fn branch(item: &Bson, variables: &mut Variables, depth: usize) -> Result<(Node, Node)> {
    let Bson::Document(document) = item else {
        return Err(MqlError::new(
            40062,
            format!(
                "$switch expected each branch to be an object, found: {}",
                kind(Some(item))
            ),
        ));
    };
    let (mut case, mut then) = (None, None);
    for (name, value) in document {
        let place = match name.as_str() {
            "case" => &mut case,
            "then" => &mut then,
            other => {
                return Err(MqlError::new(
                    40063,
                    format!("$switch found an unknown argument to a branch: {other}"),
                ));
            }
        };
        *place = Some(parse(value, variables, depth)?);
    }
    let missing = |code, what| {
        MqlError::new(
            code,
            format!("$switch requires each branch have a '{what}' expression"),
        )
    };
    let case = case.ok_or_else(|| missing(40064, "case"))?;
    let then = then.ok_or_else(|| {
        MqlError::new(
            40065,
            "$switch requires each branch have a 'then' expression.",
        )
    })?;
    Ok((case, then))
}

fn random(operand: &Bson) -> Result<Node> {
    match operand {
        Bson::Document(document) if document.is_empty() => Ok(Node::Random(Random::default())),
        Bson::Array(array) if array.is_empty() => Ok(Node::Random(Random::default())),
        Bson::Document(_) | Bson::Array(_) => Err(MqlError::new(
            3_040_501,
            "$rand does not currently accept arguments",
        )),
        _ => Err(MqlError::new(
            10065,
            "invalid parameter: expected an object ($rand)",
        )),
    }
}

/// No stage makes metadata: what needs some is refused, the rest is missing.
fn meta(operand: &Bson) -> Result<Node> {
    let Bson::String(name) = operand else {
        return Err(MqlError::new(17307, "$meta only supports string arguments"));
    };
    match name.as_str() {
        "textScore" => Err(MqlError::new(
            40218,
            "query requires text score metadata, but it is not available",
        )),
        "searchScore" | "searchHighlights" | "geoNearDistance" | "geoNearPoint" | "randVal"
        | "sortKey" | "indexKey" | "recordId" | "searchScoreDetails" => Ok(Node::Missing),
        other => Err(MqlError::new(
            17308,
            format!("Unsupported argument to $meta: {other}"),
        )),
    }
}
