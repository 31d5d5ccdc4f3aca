//! Validators of collections: a query that documents have to match, and for
//! one that does not, which parts of the query it breaks and how.

mod schema;

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use crate::collation::Collation;
use crate::error::{MqlError, Result};
use crate::expression::{Expression, Scope};
use crate::matcher::{Matcher, is_operators, malformed, type_name};
use crate::path::{self, Path};
use crate::schema::Schema;

/// A validator with its source.
#[derive(Debug, Clone)]
pub struct Validator {
    source: Document,
    matcher: Matcher,
}

impl Validator {
    /// Parses a validator; its strings compare by the collection's collation.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`].
    pub fn parse(source: &RawDocument, collation: Option<&Collation>) -> Result<Self> {
        Ok(Self {
            source: Document::try_from(source).map_err(malformed)?,
            matcher: Matcher::parse_with(source, collation).map_err(|error| match error.code {
                291 => MqlError::new(
                    5_626_500,
                    "$geoNear, $near, and $nearSphere are not allowed in this context",
                ),
                27 => MqlError::bad_value("$text is not allowed in this context"),
                115 if error.message.starts_with("$where") => {
                    MqlError::bad_value("$where is not allowed in this context")
                }
                _ => error,
            })?,
        })
    }

    /// The query as it was given.
    pub fn source(&self) -> &Document {
        &self.source
    }

    /// Whether a document is valid; an expression that fails says no.
    pub fn accepts(&self, document: &RawDocument) -> bool {
        self.matcher.matches(document).unwrap_or(false)
    }

    /// What is wrong with a document: the `errInfo` of MongoDB's error 121.
    pub fn explain(&self, document: &RawDocument) -> Document {
        let id = document.get("_id").ok().flatten();
        let mut info = doc! { "failingDocumentId": id.and_then(|id| Bson::try_from(id).ok()) };
        let explaining = Explaining {
            document,
            collation: self.matcher.collation(),
        };
        let clauses = clauses(&self.source);
        info.insert(
            "details",
            explaining.all("$and", &clauses, false).unwrap_or_default(),
        );
        info
    }
}

/// One condition of a query.
enum Clause<'a> {
    /// `$and`, `$or`, `$nor` with the clauses of each branch.
    Logical(&'a str, Vec<Vec<Self>>),
    /// `$not` of the clauses.
    Not(Vec<Self>),
    Expr(&'a Bson),
    Schema(&'a Document),
    /// Path, operator and what stands under the path.
    Field(&'a str, &'a str, Bson),
    /// An operator that needs no explanation.
    Other(&'a str, &'a Bson),
}

fn clauses(query: &Document) -> Vec<Clause<'_>> {
    let mut found = Vec::new();
    for (name, value) in query {
        match (name.as_str(), value) {
            ("$comment", _) => {}
            ("$and" | "$or" | "$nor", Bson::Array(branches)) => {
                let branches = branches.iter().filter_map(Bson::as_document);
                found.push(Clause::Logical(name, branches.map(clauses).collect()));
            }
            ("$expr", value) => found.push(Clause::Expr(value)),
            ("$jsonSchema", Bson::Document(schema)) => found.push(Clause::Schema(schema)),
            (name, value) if name.starts_with('$') => found.push(Clause::Other(name, value)),
            (path, Bson::Document(operators)) if has_operators(operators) => {
                fields(path, operators, &mut found);
            }
            (path, Bson::RegularExpression(_)) => {
                found.push(Clause::Field(path, "$regex", value.clone()));
            }
            (path, value) => found.push(Clause::Field(path, "$eq", value.clone())),
        }
    }
    found
}

fn has_operators(document: &Document) -> bool {
    RawDocumentBuf::try_from(document).is_ok_and(|raw| is_operators(&raw))
}

fn fields<'a>(path: &'a str, operators: &'a Document, found: &mut Vec<Clause<'a>>) {
    for (operator, operand) in operators {
        let mut own = doc! { operator: operand.clone() };
        match (operator.as_str(), operand) {
            ("$comment" | "$options", _) => continue,
            ("$not", Bson::Document(inner)) => {
                let mut negated = Vec::new();
                fields(path, inner, &mut negated);
                found.push(Clause::Not(negated));
                continue;
            }
            ("$not", regex) => {
                found.push(Clause::Not(vec![Clause::Field(
                    path,
                    "$regex",
                    regex.clone(),
                )]));
                continue;
            }
            ("$regex", _) => {
                if let Some(options) = operators.get("$options") {
                    own.insert("$options", options.clone());
                }
            }
            _ => {}
        }
        found.push(Clause::Field(path, operator, own.into()));
    }
}

struct Explaining<'a> {
    document: &'a RawDocument,
    collation: Option<&'a Collation>,
}

impl Explaining<'_> {
    /// Explains clauses that stand together under `operator`; `None` when
    /// there is nothing to say. `satisfied` asks why they do hold.
    fn all(&self, operator: &str, clauses: &[Clause<'_>], satisfied: bool) -> Option<Document> {
        if let [one] = clauses {
            return self.one(one, satisfied);
        }
        let parts = clauses
            .iter()
            .enumerate()
            .filter_map(|(index, clause)| self.part(index, std::slice::from_ref(clause), satisfied))
            .collect();
        Some(listed(operator, parts, satisfied))
    }

    fn part(&self, index: usize, clauses: &[Clause<'_>], satisfied: bool) -> Option<Bson> {
        if self.holds(clauses) != satisfied {
            return None;
        }
        let details = self.all("$and", clauses, satisfied)?;
        Some(doc! { "index": index as i32, "details": details }.into())
    }

    fn one(&self, clause: &Clause<'_>, satisfied: bool) -> Option<Document> {
        Some(match clause {
            Clause::Logical(name, branches) => {
                let inner = satisfied != (*name == "$nor");
                let parts = branches
                    .iter()
                    .enumerate()
                    .filter_map(|(index, branch)| self.part(index, branch, inner))
                    .collect();
                listed(name, parts, inner)
            }
            Clause::Not(clauses) => {
                doc! { "operatorName": "$not", "details": self.all("$and", clauses, !satisfied)? }
            }
            Clause::Expr(expression) => self.expression(expression, satisfied),
            Clause::Schema(_) if satisfied => {
                doc! { "operatorName": "$jsonSchema", "reason": "schema matched" }
            }
            Clause::Schema(schema) => {
                let mut details = doc! { "operatorName": "$jsonSchema" };
                for name in ["title", "description"] {
                    if let Some(text) = schema.get(name) {
                        details.insert(name, text.clone());
                    }
                }
                let rules = schema::rules(schema, RawBsonRef::Document(self.document));
                details.insert("schemaRulesNotSatisfied", rules);
                details
            }
            Clause::Field(path, operator, under) => self.field(path, operator, under, satisfied),
            Clause::Other(name, value) => {
                doc! { "operatorName": *name, "specifiedAs": { *name: (*value).clone() } }
            }
        })
    }

    fn holds(&self, clauses: &[Clause<'_>]) -> bool {
        clauses.iter().all(|clause| match clause {
            Clause::Logical("$and", branches) => branches.iter().all(|b| self.holds(b)),
            Clause::Logical("$or", branches) => branches.iter().any(|b| self.holds(b)),
            Clause::Logical(_, branches) => !branches.iter().any(|b| self.holds(b)),
            Clause::Not(clauses) => !self.holds(clauses),
            Clause::Expr(expression) => self.matches("$expr", expression),
            Clause::Schema(schema) => self.matches("$jsonSchema", &Bson::from((*schema).clone())),
            Clause::Field(path, _, under) => self.matches(path, under),
            Clause::Other(name, value) => self.matches(name, value),
        })
    }

    fn matches(&self, name: &str, value: &Bson) -> bool {
        RawDocumentBuf::try_from(&doc! { name: value.clone() })
            .ok()
            .and_then(|query| Matcher::parse_with(&query, self.collation).ok())
            .is_some_and(|matcher| matcher.matches(self.document).unwrap_or(false))
    }

    fn expression(&self, expression: &Bson, satisfied: bool) -> Document {
        let mut details = doc! {
            "operatorName": "$expr", "specifiedAs": { "$expr": expression.clone() },
        };
        let result = Expression::parse_bson(expression)
            .and_then(|parsed| parsed.evaluate(&Scope::of(self.document)));
        match result {
            Ok(value) => {
                details.insert("reason", either(satisfied, "expression did", "match"));
                details.insert("expressionResult", value);
            }
            Err(error) => {
                details.insert("reason", "failed to evaluate aggregation expression");
                let error = doc! { "code": error.code, "errmsg": error.message };
                details.insert("details", error);
            }
        }
        details
    }

    fn field(&self, path: &str, operator: &str, under: &Bson, satisfied: bool) -> Document {
        let mut details = doc! { "operatorName": operator, "specifiedAs": { path: under.clone() } };
        // What is negated in itself holds where its opposite fails.
        let positive = satisfied != matches!(operator, "$ne" | "$nin");
        if operator == "$exists" {
            let wanted = under
                .as_document()
                .and_then(|operators| operators.get("$exists"))
                .is_some_and(|flag| !matches!(flag, Bson::Boolean(false) | Bson::Int32(0)));
            let there = satisfied == wanted;
            details.insert(
                "reason",
                if there {
                    "path does exist"
                } else {
                    "path does not exist"
                },
            );
            return details;
        }
        let values = self.values(path, of_arrays(operator));
        if values.is_empty() {
            details.insert("reason", "field was missing");
            return details;
        }
        if let Some(expected) = expected_types(operator)
            && !satisfied
            && !values
                .iter()
                .any(|value| expected.contains(&name_of(value)))
        {
            details.insert("reason", "type did not match");
            types(&values, &mut details);
            match expected {
                [one] => details.insert("expectedType", *one),
                several => details.insert("expectedTypes", several.to_vec()),
            };
            considered(values, &mut details);
            return details;
        }
        let reason = match operator {
            "$in" | "$nin" if positive => "matching value found in array".to_owned(),
            "$in" | "$nin" => "no matching value found in array".to_owned(),
            "$type" => either(positive, "type did", "match"),
            "$size" if positive => "array length was equal to given size".to_owned(),
            "$size" => "array length was not equal to given size".to_owned(),
            "$mod" => either(positive, "$mod did", "evaluate to expected remainder"),
            "$regex" => either(positive, "regular expression did", "match"),
            "$all" => either(positive, "array did", "contain all specified values"),
            "$elemMatch" => either(positive, "array did", "satisfy the child predicate"),
            bits if bits.starts_with("$bits") => if positive {
                "bitwise operator matched successfully"
            } else {
                "bitwise operator failed to match"
            }
            .to_owned(),
            _ if positive => "comparison succeeded".to_owned(),
            _ => "comparison failed".to_owned(),
        };
        details.insert("reason", reason);
        let described = (operator == "$type").then(|| {
            let mut found = Document::new();
            types(&values, &mut found);
            found
        });
        considered(values, &mut details);
        details.extend(described.unwrap_or_default());
        details
    }

    /// What is at a path; an array stands for its elements unless it is asked
    /// for as a whole.
    fn values(&self, path: &str, whole: bool) -> Values {
        let path = Path::new(path);
        let mut found = Values::default();
        path::visit(self.document, path.parts(), &mut |value| {
            match value {
                Some(RawBsonRef::Array(array)) if !whole => {
                    found.list |= array.is_empty();
                    found.all.extend(
                        array
                            .into_iter()
                            .flatten()
                            .filter_map(|v| v.try_into().ok()),
                    );
                }
                Some(value) => found.all.extend(Bson::try_from(value)),
                None => {}
            }
            false
        });
        found
    }
}

#[derive(Default)]
struct Values {
    all: Vec<Bson>,
    /// Whether an empty array was among them.
    list: bool,
}

impl Values {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && !self.list
    }

    fn iter(&self) -> impl Iterator<Item = &Bson> {
        self.all.iter()
    }
}

fn listed(operator: &str, parts: Vec<Bson>, satisfied: bool) -> Document {
    let name = if satisfied {
        "clausesSatisfied"
    } else {
        "clausesNotSatisfied"
    };
    doc! { "operatorName": operator, name: parts }
}

fn either(positive: bool, subject: &str, predicate: &str) -> String {
    let not = if positive { "" } else { " not" };
    format!("{subject}{not} {predicate}")
}

fn of_arrays(operator: &str) -> bool {
    matches!(operator, "$size" | "$all" | "$elemMatch")
}

/// The types that an operator looks at, by name.
fn expected_types(operator: &str) -> Option<&'static [&'static str]> {
    Some(match operator {
        "$size" | "$elemMatch" => &["array"],
        "$regex" => &["regex", "string", "symbol"],
        "$mod" => &["decimal", "double", "int", "long"],
        "$bitsAllSet" | "$bitsAllClear" | "$bitsAnySet" | "$bitsAnyClear" => {
            &["binData", "decimal", "double", "int", "long"]
        }
        _ => return None,
    })
}

fn name_of(value: &Bson) -> &'static str {
    type_name(crate::order::raw(value).as_raw_bson_ref())
}

fn types(values: &Values, details: &mut Document) {
    let mut names: Vec<&str> = values.iter().map(name_of).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [one] => details.insert("consideredType", *one),
        several => details.insert("consideredTypes", several.to_vec()),
    };
}

fn considered(mut values: Values, details: &mut Document) {
    if values.all.len() == 1 {
        details.insert("consideredValue", values.all.remove(0));
    } else {
        details.insert("consideredValues", values.all);
    }
}

/// Whether a schema accepts a value.
fn accepts(schema: &Document, value: RawBsonRef<'_>) -> bool {
    Schema::parse_part(schema).is_ok_and(|schema| schema.accepts(value))
}
