//! `$lookup` and `$unionWith`: stages that read other collections.

use std::collections::HashMap;

use bson::raw::RawBsonRef;
use bson::{RawArray, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};

use super::environment::{Environment, Take};
use super::local::values;
use super::parse::{elsewhere, field_path, kind, pipeline, shown};
use super::position::Place;
use super::reshape::{put_last, replace};
use super::{Pipeline, Stage};
use crate::Matcher;
use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope, Variables, check_name};
use crate::matcher::malformed;
use crate::path::{self, Path};

/// A parsed `$lookup`.
#[derive(Debug, Clone)]
pub struct Lookup {
    from: String,
    /// The local and the foreign field that are to be equal.
    equal: Option<(Path, Path)>,
    lets: Vec<(String, Expression)>,
    pipeline: Pipeline,
    into: Vec<String>,
    /// Whether the new field comes last even where there was one of its name:
    /// so mongod has it when the planner does the lookup.
    pub(super) last: bool,
    collation: Option<Collation>,
}

impl Lookup {
    pub(super) fn parse(operand: RawBsonRef<'_>, depth: usize) -> Result<Self> {
        Self::glance(operand)?;
        let spec = spec_of("$lookup", operand)?;
        let wrong = |text: String| Err(MqlError::failed_to_parse(text));
        let (mut from, mut into, mut local, mut foreign) = (None, "", "", "");
        let (mut lets, mut stages) = (None, None);
        for entry in spec {
            let (name, value) = entry.map_err(malformed)?;
            match (name.as_str(), value) {
                ("pipeline", RawBsonRef::Array(array)) => stages = Some(array),
                ("from", RawBsonRef::String(text)) => from = Some(text),
                ("let", RawBsonRef::Document(document)) => lets = Some(document),
                ("let", other) => {
                    return wrong(format!(
                        "$lookup argument 'let: {}' must be an object, is type {}",
                        shown(other),
                        kind(other)
                    ));
                }
                ("as", RawBsonRef::String(text)) => into = text,
                ("localField", RawBsonRef::String(text)) => local = text,
                ("foreignField", RawBsonRef::String(text)) => foreign = text,
                (name, RawBsonRef::String(_)) => {
                    return wrong(format!("unknown argument to $lookup: {name}"));
                }
                (name, other) => {
                    return wrong(format!(
                        "$lookup argument '{name}' must be a string, found {name}: {}: {}",
                        shown(other),
                        kind(other)
                    ));
                }
            }
        }
        if into.is_empty() {
            return wrong("must specify 'as' field for a $lookup".to_owned());
        }
        if stages.is_none() && (local.is_empty() || foreign.is_empty()) {
            return wrong(
                "$lookup requires either 'pipeline' or both 'localField' and 'foreignField' to be specified"
                    .to_owned(),
            );
        }
        if local.is_empty() != foreign.is_empty() {
            return wrong(
                "$lookup requires both or neither of 'localField' and 'foreignField' to be specified"
                    .to_owned(),
            );
        }
        if lets.is_some() && stages.is_none() {
            return wrong("$lookup with a 'let' argument must also specify 'pipeline'".to_owned());
        }
        let mut bound = Vec::new();
        for entry in lets.into_iter().flatten() {
            let (name, value) = entry.map_err(malformed)?;
            check_name(name.as_str())?;
            bound.push((name.as_str().to_owned(), Expression::parse_open(value)?));
        }
        let equal = if local.is_empty() {
            None
        } else {
            field_path(local)?;
            field_path(foreign)?;
            Some((Path::new(local), Path::new(foreign)))
        };
        Ok(Self {
            from: from.unwrap_or_default().to_owned(),
            equal,
            lets: bound,
            pipeline: match stages {
                Some(stages) => pipeline(stages, Place::Lookup, depth + 1)?.into(),
                None => Pipeline::default(),
            },
            into: field_path(into)?,
            last: false,
            collation: None,
        })
    }

    /// Its collection and its pipeline; the latter is given.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn glance(operand: RawBsonRef<'_>) -> Result<Option<&RawArray>> {
        let spec = spec_of("$lookup", operand)?;
        let stages = spec.get("pipeline").map_err(malformed)?;
        match spec.get("from").map_err(malformed)? {
            None => match stages {
                None => {
                    return Err(MqlError::failed_to_parse(
                        "must specify 'pipeline' when 'from' is empty",
                    ));
                }
                Some(RawBsonRef::Array(stages)) => check_source("$lookup", stages)?,
                Some(_) => {}
            },
            Some(RawBsonRef::String("")) => {
                return Err(MqlError::new(73, "invalid $lookup namespace: "));
            }
            Some(from) => check_from("$lookup", from)?,
        }
        match stages {
            None => Ok(None),
            Some(RawBsonRef::Array(stages)) => Ok(Some(stages)),
            Some(_) => Err(MqlError::type_mismatch(
                "'pipeline' option must be specified as an array",
            )),
        }
    }

    /// The path that it changes.
    pub(super) fn changed(&self) -> &[String] {
        &self.into
    }

    /// Whether mongod's planner would take it over, with this stage after it.
    pub(super) fn is_plain(&self, next: Option<&Stage>) -> bool {
        let named = |path: &Path| path.parts().iter().all(|part| part.index.is_none());
        let unwound = matches!(next, Some(Stage::Unwind(unwind))
            if unwind.paths().next() == Some(self.into.as_slice()));
        self.lets.is_empty()
            && self.pipeline.is_empty()
            && !unwound
            && matches!(&self.equal, Some((local, foreign)) if named(local) && named(foreign))
    }

    pub(super) fn optimize(&mut self) {
        self.pipeline.optimize();
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.collation = collation.cloned();
        self.pipeline.collate(collation);
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        let mut inner = variables.clone().lazy();
        for (_, expression) in &mut self.lets {
            expression.bind(&inner)?;
        }
        for (name, _) in &self.lets {
            inner.declare(name);
        }
        self.pipeline.bind(&inner)
    }
}

/// The object that a stage is specified by.
pub(super) fn spec_of<'a>(stage: &str, operand: RawBsonRef<'a>) -> Result<&'a RawDocument> {
    operand.as_document().ok_or_else(|| {
        MqlError::failed_to_parse(format!(
            "the {stage} stage specification must be an object, but found {}",
            kind(operand)
        ))
    })
}

/// Refuses a `from` that is no name of a collection.
pub(super) fn check_from(stage: &str, from: RawBsonRef<'_>) -> Result<()> {
    match from {
        RawBsonRef::String(name) => check_collection(name),
        RawBsonRef::Document(from) => Err(elsewhere(stage, from)),
        other => Err(MqlError::failed_to_parse(format!(
            "{stage} 'from' field must be a string, but found {}",
            kind(other)
        ))),
    }
}

/// Refuses a name that no collection can have.
pub(super) fn check_collection(name: &str) -> Result<()> {
    if name.contains('\0') {
        return Err(MqlError::new(
            73,
            "namespaces cannot have embedded null characters",
        ));
    }
    if name.starts_with('.') {
        return Err(MqlError::new(
            73,
            format!("Collection names cannot start with '.': {name}"),
        ));
    }
    Ok(())
}

/// Refuses a pipeline without a collection that does not make its documents.
fn check_source(stage: &str, stages: &RawArray) -> Result<()> {
    let first = stages.into_iter().flatten().next();
    match first {
        Some(RawBsonRef::Document(first)) if matches!(first.get("$documents"), Ok(Some(_))) => {
            Ok(())
        }
        _ => Err(MqlError::failed_to_parse(format!(
            "{stage} stage without explicit collection must have a pipeline with $documents as first stage"
        ))),
    }
}

/// A `$lookup` under way.
pub(super) struct Looking {
    lookup: Lookup,
    known: Known,
}

/// What is known of the foreign documents.
enum Known {
    /// Each document is looked up by itself.
    Nothing,
    /// Nothing has been looked up yet.
    Fresh,
    /// The answer, which is the same for every document.
    All(RawArrayBuf),
    /// The foreign documents by the values of the foreign field.
    Hashed(Hashed),
}

#[derive(Default)]
struct Hashed {
    documents: Vec<RawDocumentBuf>,
    places: HashMap<Vec<u8>, Vec<usize>>,
}

impl Looking {
    pub(super) fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            known: Known::Fresh,
        }
    }

    pub(super) fn apply(
        &mut self,
        env: &Environment<'_>,
        document: &RawDocument,
    ) -> Result<RawDocumentBuf> {
        let found = self.find(env, document)?;
        let value = Some(RawBsonRef::Array(&found));
        let made = if self.lookup.last {
            put_last(document, &self.lookup.into, value)?
        } else {
            replace(document, &self.lookup.into, value)?
        };
        crate::depth::check(&made)?;
        Ok(made)
    }

    fn find(&mut self, env: &Environment<'_>, document: &RawDocument) -> Result<RawArrayBuf> {
        if let Known::All(found) = &self.known {
            return Ok(found.clone());
        }
        let lookup = &self.lookup;
        if let Known::Fresh = self.known {
            self.known = match &lookup.equal {
                Some((_, foreign)) if !env.collections.has_index(&lookup.from, foreign) => {
                    hashed(env, &lookup.from, foreign, lookup.collation.as_ref())?
                        .map_or(Known::Nothing, Known::Hashed)
                }
                _ => Known::Nothing,
            };
        }
        let mut pipeline = lookup.pipeline.clone();
        let scope = Scope::of(document);
        let mut variables = Variables::default();
        for (name, expression) in &lookup.lets {
            variables.set(name, expression.evaluate(&scope)?);
        }
        pipeline.put(&variables)?;
        let mut found = RawArrayBuf::new();
        let mut bytes = 0;
        let mut take = |document: RawDocumentBuf| {
            bytes += document.as_bytes().len();
            if bytes > env.stage_bytes_max {
                return Err(MqlError::new(
                    4568,
                    format!(
                        "Total size of documents in {} matching pipeline's $lookup stage exceeds {} bytes",
                        lookup.from, env.stage_bytes_max
                    ),
                ));
            }
            found.push(document);
            Ok(true)
        };
        let Some((local, foreign)) = &lookup.equal else {
            read(env, &lookup.from, None, pipeline, &mut take)?;
            if lookup.lets.is_empty() {
                self.known = Known::All(found.clone());
            }
            return Ok(found);
        };
        let values = values(document, local)?;
        let collation = lookup.collation.as_ref();
        let matcher = equal_to_any(foreign, &values)?.collated(collation);
        match &self.known {
            Known::Hashed(hashed) => {
                let mut runner = pipeline.start(&lookup.from);
                for document in hashed.matching(&values, &matcher)? {
                    if runner.is_satisfied() {
                        break;
                    }
                    runner.push(env, document.into())?;
                    while let Some(document) = runner.pull(env)? {
                        take(document)?;
                    }
                }
                runner.end();
                while let Some(document) = runner.pull(env)? {
                    take(document)?;
                }
            }
            _ => read(env, &lookup.from, Some(matcher), pipeline, &mut take)?,
        }
        Ok(found)
    }
}

/// Reads a small collection as a whole; `None` when it is too large for that.
fn hashed(
    env: &Environment<'_>,
    from: &str,
    foreign: &Path,
    collation: Option<&Collation>,
) -> Result<Option<Hashed>> {
    let mut hashed = Hashed::default();
    let mut bytes = 0;
    env.collections
        .each(from, &Matcher::all(), &mut |document| {
            bytes += document.as_bytes().len() + 64;
            let at = hashed.documents.len();
            let mut add = |value: RawBsonRef<'_>| {
                let mut key = Vec::new();
                crate::key::encode_with(value, collation, &mut key);
                let places = hashed.places.entry(key).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            };
            path::visit(&document, foreign.parts(), &mut |value| {
                add(value.unwrap_or(RawBsonRef::Null));
                if let Some(RawBsonRef::Array(array)) = value {
                    array.into_iter().flatten().for_each(&mut add);
                }
                false
            });
            hashed.documents.push(document.into_owned());
            Ok(bytes <= env.stage_bytes_max)
        })?;
    Ok((bytes <= env.stage_bytes_max).then_some(hashed))
}

impl Hashed {
    /// The documents that match, in their order.
    fn matching(&self, values: &[RawBson], matcher: &Matcher) -> Result<Vec<&RawDocument>> {
        let mut places = Vec::new();
        for value in values {
            let mut key = Vec::new();
            crate::key::encode_with(value.as_raw_bson_ref(), matcher.collation(), &mut key);
            places.extend(self.places.get(&key).into_iter().flatten().copied());
        }
        places.sort_unstable();
        places.dedup();
        let mut found = Vec::new();
        for document in places.into_iter().filter_map(|at| self.documents.get(at)) {
            if matcher.matches(document)? {
                found.push(document.as_ref());
            }
        }
        Ok(found)
    }
}

/// `{path: {$in: values}}`
pub(super) fn any_of(path: &Path, values: &[RawBson]) -> Result<Matcher> {
    let mut list = RawArrayBuf::new();
    for value in values {
        list.push(value.as_raw_bson_ref());
    }
    let mut test = RawDocumentBuf::new();
    test.append(cstr!("$in"), list);
    let mut field = RawDocumentBuf::new();
    field.append(super::reshape::key(path.as_str())?, test);
    Matcher::parse(&field)
}

/// [`any_of`] with regular expressions and undefined as values.
fn equal_to_any(path: &Path, values: &[RawBson]) -> Result<Matcher> {
    let is_other =
        |value: &RawBson| matches!(value, RawBson::RegularExpression(_) | RawBson::Undefined);
    let (others, plain): (Vec<RawBson>, Vec<RawBson>) = values.iter().cloned().partition(is_other);
    let mut matcher = any_of(path, &plain)?;
    for value in others {
        let mut test = RawDocumentBuf::new();
        match value {
            RawBson::Undefined => test.append(cstr!("$type"), "undefined"),
            value => test.append(cstr!("$eq"), value),
        }
        let mut field = RawDocumentBuf::new();
        field.append(super::reshape::key(path.as_str())?, test);
        matcher = matcher.or(Matcher::parse(&field)?);
    }
    Ok(matcher)
}

/// `{path: {$exists: true}}`
pub(super) fn exists(path: &Path) -> Result<Matcher> {
    let mut field = RawDocumentBuf::new();
    let test = rawdoc! { "$exists": true };
    field.append(super::reshape::key(path.as_str())?, test);
    Matcher::parse(&field)
}

/// Runs a pipeline over a collection. Leading `$match`es choose what is read.
fn read(
    env: &Environment<'_>,
    from: &str,
    filter: Option<Matcher>,
    mut pipeline: Pipeline,
    take: &mut dyn FnMut(RawDocumentBuf) -> Result<bool>,
) -> Result<()> {
    let mut matcher = filter.unwrap_or_else(Matcher::all);
    while let Some(Stage::Match(_)) = pipeline.stages().first() {
        if let Some(Stage::Match(next)) = pipeline.take_first() {
            matcher = matcher.and(next);
        }
    }
    matcher.imply_equalities();
    let mut runner = pipeline.start(from);
    if !runner.is_satisfied() {
        let mut push: Box<Take<'_>> = Box::new(|document| {
            runner.push(env, document)?;
            while let Some(document) = runner.pull(env)? {
                if !take(document)? {
                    return Ok(false);
                }
            }
            Ok(!runner.is_satisfied())
        });
        env.collections.each(from, &matcher, &mut push)?;
    }
    runner.end();
    while let Some(document) = runner.pull(env)? {
        if !take(document)? {
            break;
        }
    }
    Ok(())
}

/// A parsed `$unionWith`.
#[derive(Debug, Clone)]
pub struct Union {
    from: String,
    /// Whether a collection is named that there cannot be, which is told when it is
    /// read.
    nameless: bool,
    pipeline: Pipeline,
}

impl Union {
    pub(super) fn optimize(&mut self) {
        self.pipeline.optimize();
    }

    /// Adds only what passes.
    pub(super) fn filter(&mut self, matcher: Matcher) {
        self.pipeline.stages.push(Stage::Match(matcher));
        self.pipeline.optimize();
    }

    pub(super) fn collate(&mut self, collation: Option<&Collation>) {
        self.pipeline.collate(collation);
    }

    pub(super) fn parse(operand: RawBsonRef<'_>, depth: usize) -> Result<Self> {
        let (from, stages) = Self::glance(operand)?;
        Ok(Self {
            from: from.unwrap_or_default().to_owned(),
            nameless: from == Some(""),
            pipeline: match stages {
                Some(stages) => pipeline(&stages, Place::Union, depth + 1)?.into(),
                None => Pipeline::default(),
            },
        })
    }

    /// Its collection and its pipeline.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn glance(operand: RawBsonRef<'_>) -> Result<(Option<&str>, Option<RawArrayBuf>)> {
        let mut from = None;
        let mut stages = None;
        match operand {
            RawBsonRef::String(name) => from = Some(name),
            RawBsonRef::Document(spec) => {
                for entry in spec {
                    let (name, value) = entry.map_err(malformed)?;
                    let wrong = |expected: &str| {
                        MqlError::type_mismatch(format!(
                            "BSON field '$unionWith.{}' is the wrong type '{}', expected type '{expected}'",
                            name.as_str(),
                            kind(value)
                        ))
                    };
                    match (name.as_str(), value) {
                        ("coll", RawBsonRef::Null) => {}
                        ("pipeline", RawBsonRef::Null) => {
                            return Err(MqlError::new(
                                10065,
                                "invalid parameter: expected an object (pipeline)",
                            ));
                        }
                        ("coll", RawBsonRef::String(name)) => from = Some(name),
                        ("coll", _) => return Err(wrong("string")),
                        ("pipeline", RawBsonRef::Array(array)) => stages = Some(array),
                        ("pipeline", _) => return Err(wrong("array")),
                        (other, _) => return Err(super::parse::unknown_field("$unionWith", other)),
                    }
                }
            }
            other => {
                return Err(MqlError::failed_to_parse(format!(
                    "the $unionWith stage specification must be an object or string, but found {}",
                    kind(other)
                )));
            }
        }
        // Nulls are left out.
        let stages = stages.map(|stages: &RawArray| {
            let mut all = RawArrayBuf::new();
            let given = stages.into_iter().flatten();
            given
                .filter(|stage| *stage != RawBsonRef::Null)
                .for_each(|stage| all.push(stage));
            all
        });
        if from.is_none() {
            let none = RawArrayBuf::new();
            check_source("$unionWith", stages.as_deref().unwrap_or(&none))?;
        }
        if let Some(from) = from {
            check_collection(from)?;
        }
        Ok((from, stages))
    }

    pub(super) fn bind(&mut self, variables: &Variables) -> Result<()> {
        self.pipeline.bind(variables)
    }

    /// Calls `take` with the documents that are added.
    pub(super) fn read(
        &self,
        env: &Environment<'_>,
        take: &mut dyn FnMut(RawDocumentBuf) -> Result<bool>,
    ) -> Result<()> {
        if self.nameless {
            return Err(MqlError::new(
                73,
                "Namespace is not a valid collection name",
            ));
        }
        read(env, &self.from, None, self.pipeline.clone(), take)
    }
}
