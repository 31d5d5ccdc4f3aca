//! Which rules of a `$jsonSchema` a value breaks.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawArray, RawDocument, doc};

use super::{accepts, type_name};
use crate::order::compare;
use crate::regex::Regex;

/// The rules of a schema that a value does not satisfy, in MongoDB's order.
pub(super) fn rules(schema: &Document, value: RawBsonRef<'_>) -> Vec<Bson> {
    let mut broken: Vec<Document> = Vec::new();
    if let RawBsonRef::Document(document) = value {
        of_document(schema, document, &mut broken);
    }
    // What is said of numbers means nothing where no number is allowed.
    let allowed = ["type", "bsonType"]
        .iter()
        .all(|keyword| alone(schema, keyword).is_none_or(|part| accepts(&part, value)));
    if allowed {
        for keyword in [
            "multipleOf",
            "maximum",
            "minimum",
            "pattern",
            "maxLength",
            "minLength",
        ] {
            scalar(schema, keyword, value, &mut broken);
        }
        if let RawBsonRef::Array(array) = value {
            of_array(schema, value, array, &mut broken);
        }
    }
    combined(schema, value, &mut broken);
    for keyword in ["enum", "type", "bsonType"] {
        scalar(schema, keyword, value, &mut broken);
    }
    broken.into_iter().map(Bson::from).collect()
}

fn owned(value: RawBsonRef<'_>) -> Bson {
    Bson::try_from(value).unwrap_or(Bson::Null)
}

/// Title and description, where a schema has them.
fn annotated(schema: &Document, details: &mut Document) {
    for name in ["title", "description"] {
        if let Some(text) = schema.get(name) {
            details.insert(name, text.clone());
        }
    }
}

/// The part of a schema that one keyword is, with what belongs to it.
fn alone(schema: &Document, keyword: &str) -> Option<Document> {
    let mut part = doc! { keyword: schema.get(keyword)?.clone() };
    let companion = match keyword {
        "maximum" => "exclusiveMaximum",
        "minimum" => "exclusiveMinimum",
        _ => return Some(part),
    };
    if let Some(strict) = schema.get(companion) {
        part.insert(companion, strict.clone());
    }
    Some(part)
}

fn scalar(schema: &Document, keyword: &str, value: RawBsonRef<'_>, broken: &mut Vec<Document>) {
    let Some(part) = alone(schema, keyword) else {
        return;
    };
    if accepts(&part, value) {
        return;
    }
    let reason = match keyword {
        "multipleOf" => "considered value is not a multiple of the specified value",
        "maximum" | "minimum" => "comparison failed",
        "pattern" => "regular expression did not match",
        "maxLength" | "minLength" => "specified string length was not satisfied",
        "maxItems" | "minItems" => "array did not match specified length",
        "enum" => "value was not found in enum",
        _ => "type did not match",
    };
    let mut details = doc! {
        "operatorName": keyword, "specifiedAs": part, "reason": reason,
        "consideredValue": owned(value),
    };
    if matches!(keyword, "type" | "bsonType") {
        details.insert("consideredType", type_name(value));
    }
    broken.push(details);
}

fn of_document(schema: &Document, document: &RawDocument, broken: &mut Vec<Document>) {
    let value = RawBsonRef::Document(document);
    if let Ok(properties) = schema.get_document("properties") {
        let mut failing: Vec<Bson> = Vec::new();
        for (name, inner) in properties {
            if let (Some(inner), Ok(Some(value))) = (inner.as_document(), document.get(name))
                && !accepts(inner, value)
            {
                let mut details = doc! { "propertyName": name };
                annotated(inner, &mut details);
                details.insert("details", rules(inner, value));
                failing.push(details.into());
            }
        }
        if !failing.is_empty() {
            broken.push(doc! { "operatorName": "properties", "propertiesNotSatisfied": failing });
        }
    }
    other_properties(schema, document, broken);
    if let Ok(required) = schema.get_array("required") {
        let missing = absent(required, document);
        if !missing.is_empty() {
            broken.push(doc! {
                "operatorName": "required", "specifiedAs": { "required": required.clone() },
                "missingProperties": missing,
            });
        }
    }
    for keyword in ["minProperties", "maxProperties"] {
        if let Some(part) = alone(schema, keyword)
            && !accepts(&part, value)
        {
            broken.push(doc! {
                "operatorName": keyword, "specifiedAs": part,
                "reason": "specified number of properties was not satisfied",
                "numberOfProperties": document.iter().count() as i32,
            });
        }
    }
    dependencies(schema, document, broken);
}

fn absent(names: &[Bson], document: &RawDocument) -> Vec<Bson> {
    let is_there = |name: &str| matches!(document.get(name), Ok(Some(_)));
    let mut missing: Vec<Bson> = names
        .iter()
        .filter(|name| name.as_str().is_some_and(|name| !is_there(name)))
        .cloned()
        .collect();
    missing.sort_by(crate::compare_bson);
    missing
}

/// `additionalProperties` and `patternProperties`.
fn other_properties(schema: &Document, document: &RawDocument, broken: &mut Vec<Document>) {
    let named = schema.get_document("properties").ok();
    let patterns: Vec<(&String, Regex, &Document)> = schema
        .get_document("patternProperties")
        .into_iter()
        .flatten()
        .filter_map(|(pattern, inner)| {
            Some((pattern, Regex::new(pattern, "").ok()?, inner.as_document()?))
        })
        .collect();
    let additional = document.iter().flatten().filter(|(name, _)| {
        !named.is_some_and(|named| named.contains_key(name.as_str()))
            && !patterns
                .iter()
                .any(|(_, regex, _)| regex.is_match(name.as_str()).unwrap_or(true))
    });
    match schema.get("additionalProperties") {
        Some(Bson::Boolean(false)) => {
            let names: Vec<Bson> = additional.map(|(name, _)| name.as_str().into()).collect();
            if !names.is_empty() {
                broken.push(doc! {
                    "operatorName": "additionalProperties",
                    "specifiedAs": { "additionalProperties": false },
                    "additionalProperties": names,
                });
            }
        }
        Some(Bson::Document(inner)) => {
            let failing = additional
                .into_iter()
                .find(|(_, value)| !accepts(inner, *value));
            if let Some((name, value)) = failing {
                broken.push(doc! {
                    "operatorName": "additionalProperties",
                    "reason": "at least one additional property did not match the subschema",
                    "failingProperty": name.as_str(), "details": rules(inner, value),
                });
            }
        }
        _ => {}
    }
    let mut failing: Vec<Bson> = Vec::new();
    for (pattern, regex, inner) in &patterns {
        for (name, value) in document.iter().flatten() {
            if regex.is_match(name.as_str()).unwrap_or(false) && !accepts(inner, value) {
                let mut details = doc! { "propertyName": name.as_str(), "regexMatched": *pattern };
                annotated(inner, &mut details);
                details.insert("details", rules(inner, value));
                failing.push(details.into());
            }
        }
    }
    if !failing.is_empty() {
        broken.push(doc! { "operatorName": "patternProperties", "details": failing });
    }
}

fn dependencies(schema: &Document, document: &RawDocument, broken: &mut Vec<Document>) {
    let mut failing: Vec<Bson> = Vec::new();
    for (name, dependency) in schema.get_document("dependencies").into_iter().flatten() {
        if !matches!(document.get(name), Ok(Some(_))) {
            continue;
        }
        match dependency {
            Bson::Array(names) => {
                let missing = absent(names, document);
                if !missing.is_empty() {
                    failing.push(
                        doc! { "conditionalProperty": name, "missingProperties": missing }.into(),
                    );
                }
            }
            Bson::Document(inner) if !accepts(inner, RawBsonRef::Document(document)) => {
                let rules = rules(inner, RawBsonRef::Document(document));
                failing.push(doc! { "conditionalProperty": name, "details": rules }.into());
            }
            _ => {}
        }
    }
    if !failing.is_empty() {
        broken.push(doc! { "operatorName": "dependencies", "failingDependencies": failing });
    }
}

fn of_array(
    schema: &Document,
    value: RawBsonRef<'_>,
    array: &RawArray,
    broken: &mut Vec<Document>,
) {
    let items: Vec<RawBsonRef<'_>> = array.into_iter().flatten().collect();
    for keyword in ["minItems", "maxItems"] {
        let before = broken.len();
        scalar(schema, keyword, value, broken);
        if let Some(details) = broken.get_mut(before) {
            details.insert("numberOfItems", items.len() as i32);
        }
    }
    if schema.get_bool("uniqueItems").unwrap_or(false) {
        let twice = items.iter().enumerate().find(|(at, item)| {
            items[..*at]
                .iter()
                .any(|other| compare(*other, **item).is_eq())
        });
        if let Some((_, item)) = twice {
            broken.push(doc! {
                "operatorName": "uniqueItems", "specifiedAs": { "uniqueItems": true },
                "reason": "found a duplicate item", "consideredValue": owned(value),
                "duplicatedValue": owned(*item),
            });
        }
    }
    let failing = |inner: &Document, from: usize| {
        let at = items
            .iter()
            .skip(from)
            .position(|item| !accepts(inner, *item))?;
        Some((from + at, rules(inner, items[from + at])))
    };
    match schema.get("items") {
        Some(Bson::Document(inner)) => {
            if let Some((index, rules)) = failing(inner, 0) {
                broken.push(doc! {
                    "operatorName": "items",
                    "reason": "At least one item did not match the sub-schema",
                    "itemIndex": index as i32, "details": rules,
                });
            }
        }
        Some(Bson::Array(schemas)) => {
            let wrong: Vec<Bson> = schemas
                .iter()
                .filter_map(Bson::as_document)
                .zip(&items)
                .enumerate()
                .filter(|(_, (inner, item))| !accepts(inner, **item))
                .map(|(index, (inner, item))| {
                    doc! { "itemIndex": index as i64, "details": rules(inner, *item) }.into()
                })
                .collect();
            if !wrong.is_empty() {
                broken.push(doc! { "operatorName": "items", "details": wrong });
            }
            match schema.get("additionalItems") {
                Some(Bson::Boolean(false)) if items.len() > schemas.len() => {
                    let rest: Vec<Bson> =
                        items[schemas.len()..].iter().map(|i| owned(*i)).collect();
                    broken.push(doc! {
                        "operatorName": "additionalItems",
                        "specifiedAs": { "additionalItems": false },
                        "reason": "found additional items", "additionalItems": rest,
                    });
                }
                Some(Bson::Document(inner)) => {
                    if let Some((index, rules)) = failing(inner, schemas.len()) {
                        broken.push(doc! {
                            "operatorName": "additionalItems",
                            "reason": "At least one additional item did not match the sub-schema",
                            "itemIndex": index as i32, "details": rules,
                        });
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`.
fn combined(schema: &Document, value: RawBsonRef<'_>, broken: &mut Vec<Document>) {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let Ok(schemas) = schema.get_array(keyword) else {
            continue;
        };
        let schemas: Vec<&Document> = schemas.iter().filter_map(Bson::as_document).collect();
        let matching: Vec<usize> = (0..schemas.len())
            .filter(|at| accepts(schemas[*at], value))
            .collect();
        let fine = match keyword {
            "allOf" => matching.len() == schemas.len(),
            "anyOf" => !matching.is_empty(),
            _ => matching.len() == 1,
        };
        if fine {
            continue;
        }
        if keyword == "oneOf" && !matching.is_empty() {
            let indexes: Vec<Bson> = matching.iter().map(|at| (*at as i32).into()).collect();
            broken.push(doc! {
                "operatorName": keyword, "reason": "more than one subschema matched",
                "matchingSchemaIndexes": indexes,
            });
            continue;
        }
        let failing: Vec<Bson> = schemas
            .iter()
            .enumerate()
            .filter(|(at, _)| !matching.contains(at))
            .map(|(at, inner)| {
                let mut details = doc! { "index": at as i32 };
                annotated(inner, &mut details);
                details.insert("details", rules(inner, value));
                details.into()
            })
            .collect();
        broken.push(doc! { "operatorName": keyword, "schemasNotSatisfied": failing });
    }
    if let Ok(inner) = schema.get_document("not")
        && accepts(inner, value)
    {
        broken.push(doc! { "operatorName": "not", "reason": "child expression matched" });
    }
}
