//! Query documents to the tree, with MongoDB's errors.

use bson::raw::RawBsonRef;
use bson::{Bson, RawDocument};

use super::test::{Mask, TypeTest};
use super::{Compare, Node, Test};
use crate::decimal::{Decimal, Rounding};
use crate::error::{MqlError, Result, guard};
use crate::expression::Expression;
use crate::number::{TWO_63, whole_double};
use crate::path::Path;
use crate::regex::Regex;
use crate::schema::Schema;

/// Where a query is, which decides whether it may have an `$expr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    /// At the top of one that may have none.
    Plain,
    /// At the top of one that a positional projection goes by, which may not
    /// have a `$jsonSchema` either.
    Positional,
    /// Inside of `$elemMatch`, where there is no whole document.
    Element,
}

pub(super) fn query(query: &RawDocument, depth: usize, place: Place) -> Result<Node> {
    guard(depth)?;
    let mut nodes = Vec::new();
    for entry in query {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        if let Some(operator) = name.strip_prefix('$') {
            if let Some(node) = top_level(name, operator, value, depth, place)? {
                nodes.push(node);
            }
        } else {
            crate::depth::check_path(name)?;
            nodes.push(Node::Field(Path::new(name), field(value, depth + 1)?));
        }
    }
    Ok(if nodes.len() == 1 {
        nodes.remove(0)
    } else {
        Node::And(expressions_last(nodes))
    })
}

/// What may fail is asked when nothing else decides.
pub(super) fn expressions_last(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by_key(Node::has_expression);
    nodes
}

fn top_level(
    name: &str,
    operator: &str,
    value: RawBsonRef<'_>,
    depth: usize,
    place: Place,
) -> Result<Option<Node>> {
    Ok(Some(match operator {
        "and" => Node::And(branches(name, value, depth, place)?),
        "or" => Node::Or(branches(name, value, depth, place)?),
        "nor" => Node::Nor(branches(name, value, depth, place)?),
        "expr" if place == Place::Element => {
            return Err(MqlError::bad_value(
                "$expr can only be applied to the top-level document",
            ));
        }
        "expr" if matches!(place, Place::Plain | Place::Positional) => {
            return Err(MqlError::new(224, "$expr is not allowed in this context"));
        }
        "jsonSchema" if place == Place::Positional => {
            return Err(MqlError::new(
                224,
                "$jsonSchema is not allowed in this context",
            ));
        }
        "expr" => Node::Expr(Box::new(Expression::parse_open(value)?)),
        "jsonSchema" => match value {
            RawBsonRef::Document(schema) => {
                let parsed = Schema::parse_strict(schema)?;
                if refuses_documents(schema) {
                    Node::Never
                } else {
                    Node::Schema(Box::new(parsed))
                }
            }
            _ => return Err(MqlError::type_mismatch("$jsonSchema must be an object")),
        },
        "comment" => return Ok(None),
        "alwaysTrue" => {
            always(name, value)?;
            return Ok(None);
        }
        "alwaysFalse" => {
            always(name, value)?;
            Node::Never
        }
        "sampleRate" => return sample_rate(value),
        // There is no index that could answer it.
        "text" => return Err(MqlError::new(27, "text index required for $text query")),
        "where" => return Err(unsupported(name)),
        "not" => {
            return Err(MqlError::bad_value(
                "unknown top level operator: $not. If you are trying to negate an entire expression, \
                 use $nor.",
            ));
        }
        _ => {
            return Err(MqlError::bad_value(format!(
                "unknown top level operator: {name}. If you have a field name that starts with a '$' \
                 symbol, consider using $getField or $setField."
            )));
        }
    }))
}

/// Whether a schema asks for what no document is, as far as MongoDB looks: not
/// into `not`, and into `oneOf` only where there is no other.
fn refuses_documents(schema: &RawDocument) -> bool {
    let refuses = |schema: RawBsonRef<'_>| match schema {
        RawBsonRef::Document(schema) => refuses_documents(schema),
        _ => false,
    };
    schema.iter().flatten().any(|(keyword, value)| {
        let keyword = keyword.as_str();
        let RawBsonRef::Array(array) = value else {
            let is_type = matches!(keyword, "type" | "bsonType");
            return is_type && value.as_str().is_some_and(|name| name != "object");
        };
        let mut values = array.into_iter().flatten();
        match keyword {
            "type" | "bsonType" => !values.any(|name| name == RawBsonRef::String("object")),
            "enum" => !values.any(|value| matches!(value, RawBsonRef::Document(_))),
            "allOf" => values.any(refuses),
            "anyOf" => values.all(refuses),
            "oneOf" => values.next().is_some_and(refuses) && values.next().is_none(),
            _ => false,
        }
    })
}

fn branches(name: &str, value: RawBsonRef<'_>, depth: usize, place: Place) -> Result<Vec<Node>> {
    let RawBsonRef::Array(array) = value else {
        return Err(MqlError::bad_value(format!("{name} must be an array")));
    };
    let mut nodes = Vec::new();
    for entry in array {
        match entry.map_err(malformed)? {
            RawBsonRef::Document(branch) => nodes.push(query(branch, depth + 1, place)?),
            _ => {
                return Err(MqlError::bad_value(
                    "$or/$and/$nor entries need to be full objects",
                ));
            }
        }
    }
    if nodes.is_empty() {
        return Err(MqlError::bad_value(
            "$and/$or/$nor must be a nonempty array",
        ));
    }
    Ok(expressions_last(nodes))
}

/// The right side of `field: …`: operators, a regular expression or a value.
fn field(value: RawBsonRef<'_>, depth: usize) -> Result<Test> {
    guard(depth)?;
    match value {
        RawBsonRef::Document(document) if is_operators(document) => {
            let mut tests = operators(document, depth)?;
            Ok(if tests.len() == 1 {
                tests.remove(0)
            } else {
                Test::All(tests)
            })
        }
        RawBsonRef::RegularExpression(r) => Ok(Test::Regex(Regex::new(
            r.pattern.as_str(),
            r.options.as_str(),
        )?)),
        RawBsonRef::Undefined => Err(MqlError::bad_value("cannot compare to undefined")),
        value => Ok(Test::Compare(Compare::Eq, value.into())),
    }
}

pub(crate) fn is_operators(document: &RawDocument) -> bool {
    let first = document.iter().next();
    matches!(first, Some(Ok((name, _))) if {
        let name = name.as_str();
        let reference = matches!(name, "$ref" | "$id" | "$db")
            && matches!(document.get("$ref"), Ok(Some(_)));
        name.starts_with('$') && !reference
    })
}

fn operators(document: &RawDocument, depth: usize) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        let not = |test| Test::Not(Box::new(test));
        let test = match name.as_str() {
            "$eq" => comparable(Compare::Eq, value)?,
            "$ne" => {
                if matches!(value, RawBsonRef::RegularExpression(_)) {
                    return Err(MqlError::bad_value("Can't have regex as arg to $ne."));
                }
                not(comparable(Compare::Eq, value)?)
            }
            "$lt" => comparable(Compare::Lt, value)?,
            "$lte" => comparable(Compare::Lte, value)?,
            "$gt" => comparable(Compare::Gt, value)?,
            "$gte" => comparable(Compare::Gte, value)?,
            "$in" => in_list("$in", value)?,
            "$nin" => not(in_list("$nin", value)?),
            "$exists" => {
                if truthy(value) {
                    Test::Exists
                } else {
                    not(Test::Exists)
                }
            }
            "$type" => Test::Type(types(value)?),
            "$all" => all(value, depth)?,
            "$elemMatch" => element_match(value, depth)?,
            "$size" => size(value)?,
            "$mod" => modulo(value)?,
            "$regex" => pattern(value, document)?,
            "$options" => {
                if document.get("$regex").ok().flatten().is_none() {
                    return Err(MqlError::bad_value("$options needs a $regex"));
                }
                continue;
            }
            "$not" => not(negated(value, depth)?),
            name @ "$bitsAllSet" => bits(name, value, true, true)?,
            name @ "$bitsAnySet" => bits(name, value, false, true)?,
            name @ "$bitsAllClear" => bits(name, value, true, false)?,
            name @ "$bitsAnyClear" => bits(name, value, false, false)?,
            other => return Err(unknown(other)),
        };
        tests.push(test);
    }
    Ok(tests)
}

/// The operators of fields, but for `$not`.
const OPERATORS: &[&str] = &[
    "$eq",
    "$ne",
    "$lt",
    "$lte",
    "$gt",
    "$gte",
    "$in",
    "$nin",
    "$exists",
    "$type",
    "$all",
    "$elemMatch",
    "$size",
    "$mod",
    "$regex",
    "$options",
    "$bitsAllSet",
    "$bitsAnySet",
    "$bitsAllClear",
    "$bitsAnyClear",
    "$within",
    "$geoWithin",
    "$geoIntersects",
    "$near",
    "$nearSphere",
    "$geoNear",
];

fn comparable(compare: Compare, value: RawBsonRef<'_>) -> Result<Test> {
    match value {
        RawBsonRef::Undefined => Err(MqlError::bad_value("cannot compare to undefined")),
        RawBsonRef::RegularExpression(_) if compare != Compare::Eq => Err(MqlError::bad_value(
            "Can't have RegEx as arg to predicate over field",
        )),
        value => Ok(Test::Compare(compare, value.into())),
    }
}

fn in_list(name: &str, value: RawBsonRef<'_>) -> Result<Test> {
    let RawBsonRef::Array(array) = value else {
        return Err(MqlError::bad_value(format!("{name} needs an array")));
    };
    let (mut values, mut regexes) = (Vec::new(), Vec::new());
    for entry in array {
        match entry.map_err(malformed)? {
            RawBsonRef::RegularExpression(r) => {
                regexes.push(Regex::new(r.pattern.as_str(), r.options.as_str())?);
            }
            RawBsonRef::Document(document) if is_operators(document) => {
                return Err(MqlError::bad_value(format!("cannot nest $ under {name}")));
            }
            RawBsonRef::Undefined => {
                return Err(MqlError::bad_value(
                    "InMatchExpression equality cannot be undefined",
                ));
            }
            other => values.push(other.into()),
        }
    }
    super::sort_operands(&mut values, None);
    Ok(Test::In(values, regexes))
}

/// The first field of a document in a `$all`, if it is an operator of fields.
/// MongoDB takes a document that begins with another `$` for a value.
fn operator(document: &RawDocument) -> Option<(&str, RawBsonRef<'_>)> {
    let (name, operand) = document.iter().flatten().next()?;
    OPERATORS
        .contains(&name.as_str())
        .then_some((name.as_str(), operand))
}

/// `$all`: values, or else only `$elemMatch`es. MongoDB does not look at what
/// stands after an `$elemMatch`.
fn all(value: RawBsonRef<'_>, depth: usize) -> Result<Test> {
    let RawBsonRef::Array(array) = value else {
        return Err(MqlError::bad_value("$all needs an array"));
    };
    let mut tests = Vec::new();
    let mut of_elements = None;
    for entry in array {
        let entry = entry.map_err(malformed)?;
        let operator = match entry {
            RawBsonRef::Document(document) => operator(document),
            _ => None,
        };
        let element =
            operator.and_then(|(name, operand)| (name == "$elemMatch").then_some(operand));
        let of_elements = *of_elements.get_or_insert(element.is_some());
        tests.push(match (entry, element) {
            (_, Some(operand)) if of_elements => element_match(operand, depth + 1)?,
            _ if of_elements => {
                return Err(MqlError::bad_value("$all/$elemMatch has to be consistent"));
            }
            _ if operator.is_some() => {
                return Err(MqlError::bad_value("no $ expressions in $all"));
            }
            (RawBsonRef::RegularExpression(r), _) => {
                Test::Regex(Regex::new(r.pattern.as_str(), r.options.as_str())?)
            }
            (other, _) => comparable(Compare::Eq, other)?,
        });
    }
    if tests.is_empty() {
        // `$all: []` matches nothing.
        return Ok(Test::Not(Box::new(Test::All(Vec::new()))));
    }
    Ok(Test::All(tests))
}

fn element_match(value: RawBsonRef<'_>, depth: usize) -> Result<Test> {
    let RawBsonRef::Document(document) = value else {
        return Err(MqlError::bad_value("$elemMatch needs an Object"));
    };
    let logical = |name: &str| {
        matches!(
            name,
            "$and" | "$or" | "$nor" | "$where" | "$expr" | "$jsonSchema" | "$text" | "$comment"
        )
    };
    let first = document.iter().next().and_then(std::result::Result::ok);
    let by_value = is_operators(document) && !first.is_some_and(|(name, _)| logical(name.as_str()));
    Ok(if by_value {
        Test::ElementPasses(operators(document, depth + 1)?)
    } else {
        Test::ElementMatches(Box::new(query(document, depth + 1, Place::Element)?))
    })
}

fn size(value: RawBsonRef<'_>) -> Result<Test> {
    let refused = |text: &str| MqlError::bad_value(format!("Failed to parse $size. {text}: $size"));
    let is_number = matches!(
        value,
        RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_)
    );
    if !is_number {
        return Err(refused("Expected a number in"));
    }
    let n = integral(value).ok_or_else(|| refused("Expected an integer"))?;
    let n = i32::try_from(n).map_err(|_| refused("Cannot be held by an int"))?;
    if n < 0 {
        return Err(refused("Expected a non-negative number in"));
    }
    Ok(Test::Size(n.into()))
}

fn modulo(value: RawBsonRef<'_>) -> Result<Test> {
    let malformed_mod = |why: &str| MqlError::bad_value(format!("malformed mod, {why}"));
    let RawBsonRef::Array(array) = value else {
        return Err(malformed_mod("needs to be an array"));
    };
    let mut numbers = Vec::new();
    for entry in array {
        let number = match entry.map_err(malformed)? {
            RawBsonRef::Int32(n) => Some(i64::from(n)),
            RawBsonRef::Int64(n) => Some(n),
            RawBsonRef::Double(n) => (-TWO_63..TWO_63).contains(&n).then_some(n as i64),
            RawBsonRef::Decimal128(n) => Decimal::from(n).to_i64(Rounding::Down),
            _ => None,
        };
        numbers.push(match number {
            Some(number) => number,
            None if numbers.is_empty() => return Err(malformed_mod("divisor not a number")),
            None => return Err(malformed_mod("remainder not a number")),
        });
    }
    match numbers.as_slice() {
        [] | [_] => Err(malformed_mod("not enough elements")),
        [0, _] => Err(MqlError::bad_value("divisor cannot be 0")),
        [divisor, remainder] => Ok(Test::Mod(*divisor, *remainder)),
        _ => Err(malformed_mod("too many elements")),
    }
}

fn negated(value: RawBsonRef<'_>, depth: usize) -> Result<Test> {
    match value {
        RawBsonRef::RegularExpression(_) => field(value, depth + 1),
        RawBsonRef::Document(document) => {
            if document.is_empty() {
                return Err(MqlError::bad_value("$not cannot be empty"));
            }
            if !is_operators(document) {
                let name = document
                    .iter()
                    .flatten()
                    .next()
                    .map(|(name, _)| name.as_str());
                return Err(MqlError::bad_value(format!(
                    "unknown operator: {}",
                    name.unwrap_or_default()
                )));
            }
            field(value, depth + 1)
        }
        _ => Err(MqlError::bad_value("$not needs a regex or a document")),
    }
}

fn pattern(value: RawBsonRef<'_>, document: &RawDocument) -> Result<Test> {
    let options = match document.get("$options").map_err(malformed)? {
        None => None,
        Some(RawBsonRef::String(options)) => Some(options),
        Some(_) => return Err(MqlError::bad_value("$options has to be a string")),
    };
    let (pattern, own) = match value {
        RawBsonRef::String(pattern) => (pattern, ""),
        RawBsonRef::RegularExpression(r) => (r.pattern.as_str(), r.options.as_str()),
        _ => return Err(MqlError::bad_value("$regex has to be a string")),
    };
    if options.is_some() && !own.is_empty() {
        return Err(MqlError::new(
            51075,
            "options set in both $regex and $options",
        ));
    }
    Ok(Test::Regex(Regex::new(pattern, options.unwrap_or(own))?))
}

fn unsupported(name: &str) -> MqlError {
    MqlError::new(
        115,
        format!("{name} is not supported by the embedded engine"),
    )
}

/// The error for an operator that is not here.
fn unknown(name: &str) -> MqlError {
    match name {
        // There is no index that could answer them.
        "$near" | "$nearSphere" | "$geoNear" => MqlError::new(
            291,
            "error processing query: planner returned error :: caused by :: unable to find index for \
             $geoNear query",
        ),
        "$geoWithin" | "$geoIntersects" | "$within" => unsupported(name),
        _ => MqlError::bad_value(format!("unknown operator: {name}")),
    }
}

fn always(name: &str, value: RawBsonRef<'_>) -> Result<()> {
    match integral(value) {
        Some(1) => Ok(()),
        _ => Err(MqlError::failed_to_parse(format!(
            "{name} must be an integer value of 1"
        ))),
    }
}

/// A share of the documents, of which only none and all are no chance.
fn sample_rate(value: RawBsonRef<'_>) -> Result<Option<Node>> {
    let rate = match value {
        RawBsonRef::Int32(n) => f64::from(n),
        RawBsonRef::Int64(n) => n as f64,
        RawBsonRef::Double(n) => n,
        RawBsonRef::Decimal128(n) => crate::decimal::to_double(n),
        _ => {
            return Err(MqlError::bad_value(
                "argument to $sampleRate must be a numeric type",
            ));
        }
    };
    if rate == 0.0 {
        Ok(Some(Node::Never))
    } else if rate == 1.0 {
        Ok(None)
    } else if (0.0..1.0).contains(&rate) {
        Err(unsupported("$sampleRate between 0 and 1"))
    } else {
        Err(MqlError::bad_value(
            "numeric argument to $sampleRate must be in [0, 1]",
        ))
    }
}

/// A number of any type without a fraction.
fn integral(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(n) => Some(n.into()),
        RawBsonRef::Int64(n) => Some(n),
        RawBsonRef::Double(n) => whole_double(n),
        RawBsonRef::Decimal128(n) => Decimal::from(n).exact_i64(),
        _ => None,
    }
}

fn bits(name: &str, value: RawBsonRef<'_>, all: bool, set: bool) -> Result<Test> {
    let refused = |text: String| MqlError::failed_to_parse(format!("{text} {name}"));
    let mask = match value {
        RawBsonRef::Int32(_)
        | RawBsonRef::Int64(_)
        | RawBsonRef::Double(_)
        | RawBsonRef::Decimal128(_) => {
            let n = integral(value).ok_or_else(|| refused("Expected an integer:".to_owned()))?;
            if n < 0 {
                return Err(refused("Expected a non-negative number in:".to_owned()));
            }
            Mask::of_bytes(&n.to_le_bytes())
        }
        RawBsonRef::Array(positions) => {
            let mut mask = Mask::default();
            for entry in positions {
                let entry = entry.map_err(malformed)?;
                let position = integral(entry).ok_or_else(|| {
                    MqlError::bad_value(format!("bit positions must be an integer in {name}"))
                })?;
                let position = u32::try_from(position).map_err(|_| {
                    MqlError::bad_value(format!(
                        "bit positions must be >= 0 and fit in 32 bits in {name}"
                    ))
                })?;
                mask.add(position);
            }
            mask
        }
        RawBsonRef::Binary(binary) => Mask::of_bytes(binary.bytes),
        _ => {
            return Err(MqlError::bad_value(format!(
                "field name {name} must be a number, an array or binary data"
            )));
        }
    };
    Ok(Test::Bits { mask, all, set })
}

fn types(value: RawBsonRef<'_>) -> Result<Vec<TypeTest>> {
    match value {
        RawBsonRef::Array(array) => {
            let mut found = Vec::new();
            for entry in array {
                found.push(type_test(entry.map_err(malformed)?)?);
            }
            if found.is_empty() {
                return Err(MqlError::failed_to_parse("a must match at least one type"));
            }
            Ok(found)
        }
        single => Ok(vec![type_test(single)?]),
    }
}

fn type_test(value: RawBsonRef<'_>) -> Result<TypeTest> {
    let number = match value {
        RawBsonRef::String("number") => return Ok(TypeTest::Number),
        RawBsonRef::String(name) => type_number(name)
            .ok_or_else(|| MqlError::bad_value(format!("Unknown type name alias: {name}")))?,
        RawBsonRef::Int32(_)
        | RawBsonRef::Int64(_)
        | RawBsonRef::Double(_)
        | RawBsonRef::Decimal128(_) => integral(value)
            .and_then(|n| i32::try_from(n).ok())
            .ok_or_else(|| {
                let shown = Bson::try_from(value).unwrap_or(Bson::Null);
                MqlError::bad_value(format!("Invalid numerical type code: {shown}"))
            })?,
        _ => {
            return Err(MqlError::type_mismatch(
                "type must be represented as a number or a string",
            ));
        }
    };
    match number {
        -1 | 1..=19 | 127 => Ok(TypeTest::Is(number as i8)),
        _ => Err(MqlError::bad_value(format!(
            "Invalid numerical type code: {number}"
        ))),
    }
}

/// The alias of a value's type.
pub fn type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::Binary(_) => "binData",
        RawBsonRef::Undefined => "undefined",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::DateTime(_) => "date",
        RawBsonRef::Null => "null",
        RawBsonRef::RegularExpression(_) => "regex",
        RawBsonRef::DbPointer(_) => "dbPointer",
        RawBsonRef::JavaScriptCode(_) => "javascript",
        RawBsonRef::Symbol(_) => "symbol",
        RawBsonRef::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        RawBsonRef::Int32(_) => "int",
        RawBsonRef::Timestamp(_) => "timestamp",
        RawBsonRef::Int64(_) => "long",
        RawBsonRef::Decimal128(_) => "decimal",
        RawBsonRef::MinKey => "minKey",
        RawBsonRef::MaxKey => "maxKey",
    }
}

/// The BSON number of a type's alias.
pub(crate) fn type_number(name: &str) -> Option<i32> {
    Some(match name {
        "double" => 1,
        "string" => 2,
        "object" => 3,
        "array" => 4,
        "binData" => 5,
        "undefined" => 6,
        "objectId" => 7,
        "bool" => 8,
        "date" => 9,
        "null" => 10,
        "regex" => 11,
        "dbPointer" => 12,
        "javascript" => 13,
        "symbol" => 14,
        "javascriptWithScope" => 15,
        "int" => 16,
        "timestamp" => 17,
        "long" => 18,
        "decimal" => 19,
        "minKey" => -1,
        "maxKey" => 127,
        _ => return None,
    })
}

pub(crate) fn truthy(value: RawBsonRef<'_>) -> bool {
    !matches!(
        value,
        RawBsonRef::Boolean(false)
            | RawBsonRef::Int32(0)
            | RawBsonRef::Int64(0)
            | RawBsonRef::Null
            | RawBsonRef::Undefined
    ) && !matches!(value, RawBsonRef::Double(n) if n == 0.0)
        && !matches!(value, RawBsonRef::Decimal128(n) if Decimal::from(n).is_zero())
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> MqlError {
    MqlError::new(22, format!("invalid BSON: {error}"))
}
