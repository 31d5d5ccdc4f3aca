//! What users may not send: query operators, stages, operators inside stages
//! (rules-schemas.md §11); and which of it a data source may allow them.

use bson::raw::RawBsonRef;
use bson::{RawArray, RawDocument};
use kit::limit::NESTING_DEPTH_MAX;

/// The query operator of expressions.
const EXPR: &str = "$expr";

/// Refused in queries.
const QUERY: &[&str] = &[
    "$expr",
    "$jsonSchema",
    "$regex",
    "$text",
    "$where",
    "$geoIntersects",
    "$geoNear",
    "$geoWithin",
    "$near",
    "$nearSphere",
    "$within",
    "$bitsAllClear",
    "$bitsAllSet",
    "$bitsAnyClear",
    "$bitsAnySet",
];

/// What a user's pipeline may be made of: every other stage of a server reads
/// elsewhere, writes, or tells of the server.
const STAGES: &[&str] = &[
    "$addFields",
    "$bucket",
    "$bucketAuto",
    "$count",
    "$densify",
    "$fill",
    "$group",
    "$limit",
    "$match",
    "$project",
    "$redact",
    "$replaceRoot",
    "$replaceWith",
    "$sample",
    "$search",
    "$set",
    "$setWindowFields",
    "$skip",
    "$sort",
    "$sortByCount",
    "$unset",
    "$unwind",
];

/// Refused as stages, by name; what is in neither list is as good as unknown.
const STAGES_REFUSED: &[&str] = &[
    "$changeStream",
    "$changeStreamSplitLargeEvent",
    "$collStats",
    "$currentOp",
    "$documents",
    "$facet",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listCatalog",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$listSessions",
    "$lookup",
    "$merge",
    "$mergeCursors",
    "$out",
    "$planCacheStats",
    "$queryStats",
    "$rankFusion",
    "$searchMeta",
    "$shardedDataDistribution",
    "$unionWith",
    "$vectorSearch",
];

/// Refused inside stages, projections and updates with pipelines.
const EXPRESSIONS: &[&str] = &["$accumulator", "$function", "$setIsSubset", "$where"];

/// Searches that need an index of the whole collection: nothing can answer them
/// for the part of a document that a caller sees.
const BY_INDEX: &[&str] = &[
    "$geoIntersects",
    "$geoNear",
    "$geoWithin",
    "$near",
    "$nearSphere",
    "$text",
    "$within",
];

/// What runs code.
const CODE: &[&str] = &["$accumulator", "$function", "$where"];
/// What reads other collections, past their rules.
const ELSEWHERE: &[&str] = &["$graphLookup", "$lookup", "$unionWith"];
/// What writes, past all rules.
const WRITES: &[&str] = &["$merge", "$out"];
/// The one stage that may be allowed: it looks at nothing but its input, which
/// is what the caller sees.
const FACET: &str = "$facet";

/// Variables of the server.
const VARIABLES: &[&str] = &["$$SEARCH_META", "$$USER_ROLES"];

/// What servers keep for themselves.
const INTERNAL: &str = "$_internal";

/// Something that only the system may send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Restriction {
    /// An operator or a stage by name.
    #[error("{0} is not allowed for users")]
    Forbidden(String),
    /// A stage that nobody knows, in MongoDB's words.
    #[error("Unrecognized pipeline stage name: '{0}'")]
    Unknown(String),
}

impl Restriction {
    /// The operator or stage.
    pub fn name(&self) -> &str {
        match self {
            Self::Forbidden(name) | Self::Unknown(name) => name,
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A regular expression as a value is `$regex`.
    Query,
    /// A text can be a variable.
    Expression,
    /// Both are values.
    Update,
}

/// What the users of a data source may send that others may not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Nothing.
    pub const NOTHING: Self = Self(Vec::new());

    /// Allows an operator or a stage by name.
    ///
    /// # Errors
    /// Why it cannot be allowed.
    pub fn add(&mut self, name: &str) -> Result<(), String> {
        let why = match name {
            name if CODE.contains(&name) => "runs code",
            name if ELSEWHERE.contains(&name) => "reads other collections past their rules",
            name if WRITES.contains(&name) => "writes past the rules",
            name if name == FACET || QUERY.contains(&name) || EXPRESSIONS.contains(&name) => {
                if !self.has(name) {
                    self.0.push(name.to_owned());
                }
                return Ok(());
            }
            name if STAGES_REFUSED.contains(&name)
                || VARIABLES.contains(&name)
                || name.starts_with(INTERNAL) =>
            {
                "reads past the rules or tells of the server"
            }
            _ => return Err(format!("'{name}' is nothing that is kept from users")),
        };
        Err(format!("'{name}' cannot be allowed: it {why}"))
    }

    /// The names, as they were given.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|allowed| allowed == name)
    }

    /// Looks for what a user may not have in a query. Names count at every depth:
    /// an operator hidden in a literal is refused too.
    pub fn check_query(&self, query: &RawDocument) -> Result<(), Restriction> {
        self.names_in(query, &[QUERY], Inside::Query, 0)
    }

    /// Looks for what a user may not have in an update with operators.
    pub fn check_update(&self, update: &RawDocument) -> Result<(), Restriction> {
        self.names_in(update, &[EXPRESSIONS, QUERY], Inside::Update, 0)
    }

    /// Looks for what a user may not have in a projection or a stage of an update.
    pub fn check_expressions(&self, document: &RawDocument) -> Result<(), Restriction> {
        self.names_in(document, &[EXPRESSIONS, QUERY], Inside::Expression, 0)
    }

    /// Looks for what a user may not have in a pipeline.
    pub fn check_pipeline(&self, pipeline: &RawArray) -> Result<(), Restriction> {
        for stage in pipeline.into_iter().flatten() {
            let RawBsonRef::Document(stage) = stage else {
                continue;
            };
            for (name, operand) in stage.iter().flatten() {
                self.check_stage(name.as_str(), operand)?;
            }
        }
        Ok(())
    }

    fn check_stage(&self, name: &str, operand: RawBsonRef<'_>) -> Result<(), Restriction> {
        match (name, operand) {
            (FACET, RawBsonRef::Document(facets)) if self.has(FACET) => {
                for (_, facet) in facets.iter().flatten() {
                    let RawBsonRef::Array(stages) = facet else {
                        continue;
                    };
                    // A search is first, and a facet has no facets.
                    for inner in ["$search", FACET] {
                        if names_stage(stages, inner) {
                            return Err(Restriction::Forbidden(inner.to_owned()));
                        }
                    }
                    self.check_pipeline(stages)?;
                }
                Ok(())
            }
            (name, _) if STAGES_REFUSED.contains(&name) || name.starts_with(INTERNAL) => {
                Err(Restriction::Forbidden(name.to_owned()))
            }
            (name, _) if !STAGES.contains(&name) => Err(Restriction::Unknown(name.to_owned())),
            ("$match", RawBsonRef::Document(query)) => self.check_query(query),
            (_, operand) => self.value(operand, &[EXPRESSIONS], Inside::Expression, 0),
        }
    }

    fn names_in(
        &self,
        document: &RawDocument,
        refused: &[&[&str]],
        inside: Inside,
        depth: usize,
    ) -> Result<(), Restriction> {
        for (name, value) in document.iter().flatten() {
            let name = name.as_str();
            if name.starts_with('$')
                && (name.starts_with(INTERNAL)
                    || refused.iter().any(|list| list.contains(&name)) && !self.has(name))
            {
                return Err(Restriction::Forbidden(name.to_owned()));
            }
            if name == EXPR {
                self.value(value, &[EXPRESSIONS], Inside::Expression, depth)?;
            } else {
                self.value(value, refused, inside, depth)?;
            }
        }
        Ok(())
    }

    fn value(
        &self,
        value: RawBsonRef<'_>,
        refused: &[&[&str]],
        inside: Inside,
        depth: usize,
    ) -> Result<(), Restriction> {
        if depth > NESTING_DEPTH_MAX {
            return Err(Restriction::Forbidden("nesting this deep".to_owned()));
        }
        match value {
            RawBsonRef::Document(inner) => self.names_in(inner, refused, inside, depth + 1),
            RawBsonRef::Array(inner) => inner
                .into_iter()
                .flatten()
                .try_for_each(|element| self.value(element, refused, inside, depth + 1)),
            RawBsonRef::RegularExpression(_) if inside == Inside::Query && !self.has("$regex") => {
                Err(Restriction::Forbidden("$regex".to_owned()))
            }
            RawBsonRef::String(text) if inside == Inside::Expression => {
                let variable = text.split('.').next().unwrap_or(text);
                if VARIABLES.contains(&variable) {
                    return Err(Restriction::Forbidden(variable.to_owned()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn names_stage(stages: &RawArray, wanted: &str) -> bool {
    let mut stages = stages.into_iter().flatten();
    stages.any(|stage| match stage {
        RawBsonRef::Document(stage) => stage.get(wanted).is_ok_and(|found| found.is_some()),
        _ => false,
    })
}

/// Whether a query has an expression in it, whose errors quote what it looks at.
pub fn has_expression(query: &RawDocument) -> bool {
    first_of(query, &[EXPR]).is_some()
}

/// The first operator of a query that only an index answers.
pub fn first_by_index(query: &RawDocument) -> Option<&'static str> {
    first_of(query, BY_INDEX)
}

fn first_of(document: &RawDocument, wanted: &[&'static str]) -> Option<&'static str> {
    document.iter().flatten().find_map(|(name, value)| {
        let found = wanted.iter().find(|wanted| **wanted == name.as_str());
        found.copied().or_else(|| first_inside(value, wanted))
    })
}

fn first_inside(value: RawBsonRef<'_>, wanted: &[&'static str]) -> Option<&'static str> {
    match value {
        RawBsonRef::Document(inner) => first_of(inner, wanted),
        RawBsonRef::Array(inner) => inner
            .into_iter()
            .flatten()
            .find_map(|value| first_inside(value, wanted)),
        _ => None,
    }
}
