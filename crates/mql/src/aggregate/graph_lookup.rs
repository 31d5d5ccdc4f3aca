//! `$graphLookup`: documents that lead to each other.

use std::collections::{HashSet, VecDeque};

use bson::raw::RawBsonRef;
use bson::{Bson, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf};

use super::environment::Environment;
use super::local::known_values;
use super::lookup::{any_of, check_from, exists, spec_of};
use super::parse::{field_path, kind, shown};
use super::reshape::replace;
use crate::Matcher;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables};
use crate::matcher::malformed;
use crate::number::whole_double;
use crate::order::into_raw;
use crate::path::Path;

/// A parsed `$graphLookup`.
#[derive(Debug, Clone)]
pub struct GraphLookup {
    from: String,
    start: Expression,
    connect_from: Path,
    connect_to: Path,
    into: Vec<String>,
    depth_field: Option<Vec<String>>,
    max_depth: Option<i64>,
    restrict: Matcher,
    collation: Option<Collation>,
}

impl GraphLookup {
    /// The path that it changes.
    pub(super) fn changed(&self) -> &[String] {
        &self.into
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        let restrict = std::mem::replace(&mut self.restrict, Matcher::all());
        self.restrict = restrict.collated(collation);
        self.collation = collation.cloned();
    }

    /// Its specification, in which there is a collection.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(super) fn glance(operand: RawBsonRef<'_>) -> Result<&RawDocument> {
        let spec = spec_of("$graphLookup", operand)?;
        match spec.get("from").map_err(malformed)? {
            Some(RawBsonRef::String("")) => {
                return Err(MqlError::new(73, "invalid $graphLookup namespace"));
            }
            Some(from) => check_from("$graphLookup", from)?,
            None => {
                return Err(MqlError::failed_to_parse(
                    "missing 'from' option to $graphLookup stage specification",
                ));
            }
        }
        Ok(spec)
    }

    pub(super) fn parse(operand: RawBsonRef<'_>) -> Result<Self> {
        let spec = Self::glance(operand)?;
        let (mut from, mut start, mut into) = (None, None, None);
        let (mut connect_from, mut connect_to) = (None, None);
        let (mut depth_field, mut max_depth) = (None, None);
        let mut restrict = Matcher::all();
        for entry in spec {
            let (name, value) = entry.map_err(malformed)?;
            match (name.as_str(), value) {
                ("startWith", value) => start = Some(Expression::parse_open(value)?),
                ("maxDepth", value) => max_depth = Some(depth(value)?),
                ("restrictSearchWithMatch", RawBsonRef::Document(query)) => {
                    restrict = Matcher::parse_open(query)?;
                }
                ("restrictSearchWithMatch", other) => {
                    return Err(MqlError::new(
                        40185,
                        format!(
                            "restrictSearchWithMatch must be an object, found {}",
                            kind(other)
                        ),
                    ));
                }
                ("from", RawBsonRef::String(name)) => from = Some(name),
                (
                    name @ ("as" | "connectFromField" | "connectToField" | "depthField"),
                    RawBsonRef::String(text),
                ) => {
                    let path = field_path(text)?;
                    match name {
                        "as" => into = Some(path),
                        "depthField" => depth_field = Some(path),
                        "connectFromField" => connect_from = Some(Path::new(text)),
                        _ => connect_to = Some(Path::new(text)),
                    }
                }
                (name @ ("as" | "connectFromField" | "connectToField" | "depthField"), other) => {
                    // An object might have been an expression.
                    let is_object = matches!(other, RawBsonRef::Document(_));
                    return Err(MqlError::new(
                        if is_object { 13111 } else { 40103 },
                        format!(
                            "expected string as argument for {name}, found: {}",
                            kind(other)
                        ),
                    ));
                }
                (other, _) => {
                    return Err(MqlError::new(
                        40104,
                        format!("Unknown argument to $graphLookup: {other}"),
                    ));
                }
            }
        }
        let (Some(from), Some(start), Some(connect_from), Some(connect_to), Some(into)) =
            (from, start, connect_from, connect_to, into)
        else {
            return Err(MqlError::new(
                40105,
                "$graphLookup requires 'from', 'as', 'startWith', 'connectFromField', and 'connectToField' to be specified.",
            ));
        };
        Ok(Self {
            from: from.to_owned(),
            start,
            connect_from,
            connect_to,
            into,
            depth_field,
            max_depth,
            restrict,
            collation: None,
        })
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        let lazy = variables.clone().lazy();
        self.start.bind(&lazy)?;
        self.restrict.bind(&lazy)
    }

    pub(super) fn apply(
        &self,
        env: &Environment<'_>,
        document: &RawDocument,
    ) -> Result<RawDocumentBuf> {
        let mut next: VecDeque<RawBson> = match self.start.evaluate(&Scope::of(document))? {
            Some(Bson::Array(values)) => values.into_iter().map(into_raw).collect(),
            value => value.into_iter().map(into_raw).collect(),
        };
        let mut asked = HashSet::new();
        let mut found: Vec<RawDocumentBuf> = Vec::new();
        let mut seen = HashSet::new();
        let (mut depth, mut bytes) = (0i64, 0usize);
        while !next.is_empty() && self.max_depth.is_none_or(|most| depth <= most) {
            let values: Vec<RawBson> = next
                .drain(..)
                .filter(|value| asked.insert(key_of(value.as_raw_bson_ref())))
                .collect();
            if values.is_empty() {
                break;
            }
            // Here a regular expression is one to match.
            let mut matcher = any_of(&self.connect_to, &values)?;
            if values.contains(&RawBson::Null) {
                // Nothing is connected by what it has not.
                matcher = matcher.and(exists(&self.connect_to)?);
            }
            let matcher = matcher
                .collated(self.collation.as_ref())
                .and(self.restrict.clone());
            env.collections
                .each(&self.from, &matcher, &mut |document| {
                    let id = document.get("_id").ok().flatten();
                    if !seen.insert(key_of(id.unwrap_or(RawBsonRef::Undefined))) {
                        return Ok(true);
                    }
                    bytes += document.as_bytes().len();
                    if bytes > env.stage_bytes_max {
                        return Err(MqlError::new(
                            40099,
                            "$graphLookup reached maximum memory consumption",
                        ));
                    }
                    let more = known_values(&document, &self.connect_from)?;
                    next.extend(more);
                    found.push(match &self.depth_field {
                        Some(path) => replace(&document, path, Some(RawBsonRef::Int64(depth)))?,
                        None => document.into_owned(),
                    });
                    Ok(true)
                })?;
            depth += 1;
        }
        let mut array = RawArrayBuf::new();
        for document in found {
            array.push(document);
        }
        let made = replace(document, &self.into, Some(RawBsonRef::Array(&array)))?;
        crate::depth::check(&made)?;
        Ok(made)
    }
}

fn key_of(value: RawBsonRef<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    crate::key::encode(value, &mut key);
    key
}

fn depth(value: RawBsonRef<'_>) -> Result<i64> {
    let n = match value {
        RawBsonRef::Int32(n) => i64::from(n),
        RawBsonRef::Int64(n) => n,
        RawBsonRef::Double(n) if whole_double(n).is_some() => n as i64,
        RawBsonRef::Double(_) | RawBsonRef::Decimal128(_) => {
            return Err(MqlError::new(
                40102,
                format!(
                    "maxDepth could not be represented as a long long: {}",
                    shown(value)
                ),
            ));
        }
        other => {
            return Err(MqlError::new(
                40100,
                format!("maxDepth must be numeric, found type: {}", kind(other)),
            ));
        }
    };
    if n < 0 {
        return Err(MqlError::new(
            40101,
            format!("maxDepth requires a nonnegative argument, found: {n}"),
        ));
    }
    Ok(n)
}
