//! Stages: parsing and running.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};

use super::{Documents, Pipeline, Stage, encode, evaluate, group};
use crate::depth::{check_owned, check_path};
use crate::error::{MqlError, Result, guard};
use crate::expression::Expression;
use crate::matcher::malformed;
use crate::{Matcher, Projection, Sort};

/// `$unwind`.
#[derive(Debug, Clone)]
pub struct Unwind {
    path: Vec<String>,
    index: Option<String>,
    keep_empty: bool,
}

pub(super) fn parse(stage: RawBsonRef<'_>, stages: &mut Vec<Stage>, depth: usize) -> Result<()> {
    guard(depth)?;
    let RawBsonRef::Document(document) = stage else {
        return Err(MqlError::type_mismatch(
            "Each element of the 'pipeline' array must be an object",
        ));
    };
    let mut entries = document.iter();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(MqlError::new(
            40323,
            "A pipeline stage specification object must contain exactly one field.",
        ));
    };
    let (name, operand) = entry.map_err(malformed)?;
    let object = |code: i32| match operand {
        RawBsonRef::Document(document) => Ok(document),
        _ => Err(MqlError::new(
            code,
            format!(
                "the {} stage specification must be an object",
                name.as_str()
            ),
        )),
    };
    let stage = match name.as_str() {
        "$match" => Stage::Match(Matcher::parse(object(15959)?)?),
        "$project" => Stage::Project(Projection::stage(object(15969)?)?),
        "$addFields" | "$set" => Stage::AddFields(fields(object(40272)?)?),
        "$unset" => Stage::Unset(unset(operand)?),
        "$sort" => {
            let sort = Sort::parse(object(15973)?)?;
            if sort.is_empty() {
                return Err(MqlError::new(
                    15976,
                    "$sort stage must have at least one sort key",
                ));
            }
            Stage::Sort(sort)
        }
        "$skip" => Stage::Skip(count(operand, "$skip", 15956, true)?),
        "$limit" => Stage::Limit(count(operand, "$limit", 15957, false)?),
        "$group" => Stage::Group(group::Group::parse(object(15947)?)?),
        "$count" => match operand {
            RawBsonRef::String(field)
                if !field.is_empty() && !field.starts_with('$') && !field.contains('.') =>
            {
                Stage::Count(field.to_owned())
            }
            _ => {
                return Err(MqlError::new(
                    40156,
                    "the count field must be a non-empty string without '$' or '.'",
                ));
            }
        },
        "$unwind" => Stage::Unwind(unwind(operand)?),
        "$replaceWith" => Stage::ReplaceRoot(Expression::parse(operand)?),
        "$replaceRoot" => {
            let spec = object(40229)?;
            match spec.get("newRoot").map_err(malformed)? {
                Some(root) => Stage::ReplaceRoot(Expression::parse(root)?),
                None => {
                    return Err(MqlError::new(
                        40231,
                        "no newRoot specified for the $replaceRoot stage",
                    ));
                }
            }
        }
        "$sortByCount" => {
            stages.push(Stage::Group(group::Group::counting(operand)?));
            let by = Document::from_iter([("count".to_owned(), Bson::Int32(-1))]);
            Stage::Sort(Sort::parse(&encode(&by)?)?)
        }
        "$facet" => {
            let mut facets = Vec::new();
            for entry in object(40169)? {
                let (name, pipeline) = entry.map_err(malformed)?;
                let RawBsonRef::Array(pipeline) = pipeline else {
                    return Err(MqlError::new(40170, "arguments to $facet must be arrays"));
                };
                let mut inner = Vec::new();
                for stage in pipeline {
                    parse(stage.map_err(malformed)?, &mut inner, depth + 1)?;
                }
                facets.push((name.as_str().to_owned(), Pipeline { stages: inner }));
            }
            Stage::Facet(facets)
        }
        known if UNSUPPORTED.contains(&known) => {
            return Err(MqlError::new(
                115,
                format!("the pipeline stage {known} is not supported by this engine"),
            ));
        }
        other => {
            return Err(MqlError::new(
                40324,
                format!("Unrecognized pipeline stage name: '{other}'"),
            ));
        }
    };
    stages.push(stage);
    Ok(())
}

/// MongoDB's stages that are not here.
const UNSUPPORTED: &[&str] = &[
    "$bucket",
    "$bucketAuto",
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$densify",
    "$documents",
    "$fill",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listSessions",
    "$lookup",
    "$merge",
    "$out",
    "$redact",
    "$sample",
    "$search",
    "$setWindowFields",
    "$unionWith",
];

fn fields(document: &RawDocument) -> Result<Vec<(Vec<String>, Expression)>> {
    let mut fields = Vec::new();
    for entry in document {
        let (name, value) = entry.map_err(malformed)?;
        let name = name.as_str();
        check_path(name)?;
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return Err(MqlError::new(
                40352,
                "FieldPath cannot be constructed with empty string",
            ));
        }
        if name.starts_with('$') {
            return Err(MqlError::new(
                16410,
                format!("FieldPath field names may not start with '$'. ({name})"),
            ));
        }
        // A plain document adds its fields one by one.
        let nested = match value {
            RawBsonRef::Document(inner) => {
                let first = inner.iter().next().and_then(std::result::Result::ok);
                first
                    .is_some_and(|(name, _)| !name.as_str().starts_with('$'))
                    .then_some(inner)
            }
            _ => None,
        };
        check_path(name)?;
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        match nested {
            Some(inner) => {
                for (rest, expression) in self::fields(inner)? {
                    let path = [path.clone(), rest].concat();
                    check_path(&path.join("."))?;
                    fields.push((path, expression));
                }
            }
            None => fields.push((path, Expression::parse(value)?)),
        }
    }
    Ok(fields)
}

fn unset(operand: RawBsonRef<'_>) -> Result<Vec<Vec<String>>> {
    let split = |name: &str| name.split('.').map(str::to_owned).collect();
    let wrong = || {
        MqlError::new(
            31002,
            "$unset specification must be a string or an array of strings",
        )
    };
    match operand {
        RawBsonRef::String(name) => Ok(vec![split(name)]),
        RawBsonRef::Array(names) => names
            .into_iter()
            .map(|name| match name.map_err(malformed)? {
                RawBsonRef::String(name) => Ok(split(name)),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

fn count(operand: RawBsonRef<'_>, name: &str, code: i32, zero: bool) -> Result<u64> {
    let n = match operand {
        RawBsonRef::Int32(n) => i64::from(n),
        RawBsonRef::Int64(n) => n,
        RawBsonRef::Double(n) if n.trunc() == n && n.abs() < 9.2e18 => n as i64,
        _ => {
            return Err(MqlError::new(
                code,
                format!("the argument to {name} must be a number"),
            ));
        }
    };
    if n == 0 && !zero {
        return Err(MqlError::new(15958, "the limit must be positive"));
    }
    u64::try_from(n)
        .map_err(|_| MqlError::new(15958, format!("Argument to {name} cannot be negative")))
}

fn unwind(operand: RawBsonRef<'_>) -> Result<Unwind> {
    let (path, index, keep_empty) = match operand {
        RawBsonRef::String(path) => (path, None, false),
        RawBsonRef::Document(spec) => {
            let path = spec
                .get_str("path")
                .map_err(|_| MqlError::new(28812, "no path specified to $unwind stage"))?;
            let index = spec.get_str("includeArrayIndex").ok();
            let keep = spec.get_bool("preserveNullAndEmptyArrays").unwrap_or(false);
            (path, index, keep)
        }
        _ => {
            return Err(MqlError::new(
                15981,
                "expected either a string or an object as specification for $unwind stage",
            ));
        }
    };
    let Some(path) = path.strip_prefix('$') else {
        return Err(MqlError::new(
            28818,
            format!("path option to $unwind stage should be prefixed with a '$': {path}"),
        ));
    };
    check_path(path)?;
    check_path(index.unwrap_or_default())?;
    Ok(Unwind {
        path: path.split('.').map(str::to_owned).collect(),
        index: index.map(str::to_owned),
        keep_empty,
    })
}

pub(super) fn run<'a>(stage: &'a Stage, input: Documents<'a>) -> Result<Documents<'a>> {
    Ok(match stage {
        Stage::Match(matcher) => Box::new(input.filter_map(move |document| match document {
            Ok(document) => match encode(&document).and_then(|raw| matcher.matches(&raw)) {
                Ok(matches) => matches.then_some(Ok(document)),
                Err(error) => Some(Err(error)),
            },
            Err(error) => Some(Err(error)),
        })),
        Stage::Project(projection) => Box::new(input.map(move |document| {
            let projected = projection.apply(&encode(&document?)?, None)?;
            crate::depth::check(&projected)?;
            Document::try_from(projected).map_err(malformed)
        })),
        Stage::AddFields(fields) => Box::new(input.map(move |document| {
            let mut document = document?;
            let before = document.clone();
            for (path, expression) in fields {
                if reaches(&before, path) {
                    set(&mut document, path, evaluate(expression, &before)?.as_ref());
                }
            }
            check_owned(&document)?;
            Ok(document)
        })),
        Stage::Unset(paths) => Box::new(input.map(move |document| {
            let mut document = document?;
            for path in paths {
                remove(&mut document, path);
            }
            Ok(document)
        })),
        Stage::Skip(n) => Box::new(input.skip(*n as usize)),
        Stage::Limit(n) => Box::new(input.take(*n as usize)),
        Stage::Sort(sort) => {
            let mut keyed = Vec::new();
            for document in input {
                let document = document?;
                let mut key = Vec::new();
                sort.key(&encode(&document)?, &mut key)?;
                keyed.push((key, document));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            Box::new(keyed.into_iter().map(|(_, document)| Ok(document)))
        }
        Stage::Group(group) => Box::new(
            group
                .run(input)?
                .into_iter()
                .map(|document| check_owned(&document).map(|()| document)),
        ),
        Stage::Count(field) => {
            let mut n = 0i64;
            for document in input {
                document?;
                n += 1;
            }
            let count = i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32);
            // Nothing comes out of nothing.
            let made = (n > 0).then(|| Document::from_iter([(field.clone(), count)]));
            Box::new(made.into_iter().map(Ok))
        }
        Stage::Unwind(unwind) => Box::new(input.flat_map(move |document| match document {
            Ok(document) => unwound(unwind, document),
            Err(error) => vec![Err(error)],
        })),
        Stage::ReplaceRoot(expression) => Box::new(input.map(move |document| {
            match evaluate(expression, &document?)? {
                Some(Bson::Document(root)) => check_owned(&root).map(|()| root),
                other => Err(MqlError::new(
                    40228,
                    format!(
                        "'newRoot' expression must evaluate to an object, but resulting value was: {}",
                        other.map_or_else(|| "MISSING".to_owned(), |value| value.to_string())
                    ),
                )),
            }
        })),
        Stage::Facet(facets) => {
            let documents: Vec<Document> = input.collect::<Result<_>>()?;
            let mut made = Document::new();
            for (name, pipeline) in facets {
                let input: Documents<'_> = Box::new(documents.iter().cloned().map(Ok));
                let output: Vec<Bson> = pipeline
                    .run(input)?
                    .map(|document| document.map(Bson::Document))
                    .collect::<Result<_>>()?;
                made.insert(name.clone(), output);
            }
            check_owned(&made)?;
            Box::new(std::iter::once(Ok(made)))
        }
    })
}

/// Whether there is a place for a computed field: none is in an empty array.
fn reaches(document: &Document, path: &[String]) -> bool {
    fn within(value: &Bson, path: &[String]) -> bool {
        match value {
            Bson::Document(document) => reaches(document, path),
            Bson::Array(array) => array.iter().any(|element| within(element, path)),
            _ => true,
        }
    }
    path.len() == 1
        || document
            .get(&path[0])
            .is_none_or(|inner| within(inner, &path[1..]))
}

/// Sets a computed field, or removes it when there is no value; through arrays
/// it goes into each element, and what is no document becomes one.
pub(crate) fn set(document: &mut Document, path: &[String], value: Option<&Bson>) {
    let (first, rest) = (&path[0], &path[1..]);
    if rest.is_empty() {
        match value {
            Some(value) => document.insert(first.clone(), value.clone()),
            None => document.remove(first),
        };
        return;
    }
    if let Some(inner) = document.get_mut(first) {
        set_within(inner, rest, value);
    } else {
        let mut inner = Document::new();
        set(&mut inner, rest, value);
        document.insert(first.clone(), inner);
    }
}

fn set_within(target: &mut Bson, path: &[String], value: Option<&Bson>) {
    match target {
        Bson::Document(document) => set(document, path, value),
        Bson::Array(array) => array
            .iter_mut()
            .for_each(|element| set_within(element, path, value)),
        other => {
            let mut document = Document::new();
            set(&mut document, path, value);
            *other = Bson::Document(document);
        }
    }
}

fn remove(document: &mut Document, path: &[String]) {
    let (first, rest) = (&path[0], &path[1..]);
    if rest.is_empty() {
        document.remove(first);
        return;
    }
    match document.get_mut(first) {
        Some(Bson::Document(inner)) => remove(inner, rest),
        Some(Bson::Array(array)) => {
            for element in array {
                if let Bson::Document(inner) = element {
                    remove(inner, rest);
                }
            }
        }
        _ => {}
    }
}

fn unwound(unwind: &Unwind, document: Document) -> Vec<Result<Document>> {
    let found = lookup(&document, &unwind.path).cloned();
    let with = |value: Option<Bson>, index: Bson| {
        let mut made = document.clone();
        match value {
            Some(value) => set(&mut made, &unwind.path, Some(&value)),
            None => remove(&mut made, &unwind.path),
        }
        if let Some(name) = &unwind.index {
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            set(&mut made, &path, Some(&index));
        }
        Ok(made)
    };
    match found {
        Some(Bson::Array(array)) if !array.is_empty() => array
            .into_iter()
            .enumerate()
            .map(|(index, value)| with(Some(value), Bson::Int64(index as i64)))
            .collect(),
        Some(Bson::Array(_)) if unwind.keep_empty => vec![with(None, Bson::Null)],
        None if unwind.keep_empty => vec![with(None, Bson::Null)],
        Some(Bson::Null) if unwind.keep_empty => vec![with(Some(Bson::Null), Bson::Null)],
        None | Some(Bson::Array(_) | Bson::Null | Bson::Undefined) => Vec::new(),
        Some(scalar) => vec![with(Some(scalar), Bson::Null)],
    }
}

fn lookup<'a>(document: &'a Document, path: &[String]) -> Option<&'a Bson> {
    let (first, rest) = path.split_first()?;
    let value = document.get(first)?;
    match value {
        _ if rest.is_empty() => Some(value),
        Bson::Document(inner) => lookup(inner, rest),
        _ => None,
    }
}
