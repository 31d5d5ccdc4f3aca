//! Collection schemas: the structure that `mql` checks, and the `validate`
//! expressions inside it, which need a user (rules-schemas.md §13).

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument};
use kit::limit::NESTING_DEPTH_MAX;
use mql::schema::{Options, Schema};

use crate::expression::Expression;
use crate::issue::Issue;
use crate::parse::Place;
use crate::scope::{Decided, Scope};

/// A collection's schema.
#[derive(Debug, Clone)]
pub struct CollectionSchema {
    schema: Schema,
    checks: Vec<Check>,
}

/// A `validate` expression and the field it stands at.
#[derive(Debug, Clone)]
struct Check {
    path: Vec<Step>,
    validate: Expression,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Items,
}

/// One breach of a schema; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The service's `error_code`.
    pub code: &'static str,
    /// Where: `(root).address.city`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl CollectionSchema {
    /// Parses a schema file; `None` for `{}`, which is no schema.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(schema: &Document) -> Result<Option<Self>, Vec<Issue>> {
        if schema.is_empty() {
            return Ok(None);
        }
        let mut issues = Vec::new();
        let mut checks = Vec::new();
        collect(schema, &mut Vec::new(), &mut checks, &mut issues);
        match Schema::parse(schema) {
            Ok(schema) if issues.is_empty() => Ok(Some(Self { schema, checks })),
            Ok(_) => Err(issues),
            Err(error) => {
                issues.push(Issue::new("", error.message));
                Err(issues)
            }
        }
    }

    /// The functions that `validate` expressions call.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.checks
            .iter()
            .flat_map(|check| check.validate.functions())
            .map(AsRef::as_ref)
    }

    /// Every breach in the after-image `document`, which is `scope`'s root.
    pub fn breaches(
        &self,
        document: &RawDocument,
        scope: &Scope<'_>,
        options: Options,
    ) -> Decided<Vec<Breach>> {
        let mut found: Vec<Breach> = self
            .schema
            .violations(document, options)
            .into_iter()
            .map(|violation| Breach {
                code: violation.code,
                path: violation.path,
                message: violation.message,
            })
            .collect();
        for check in &self.checks {
            let (this, prev) = (
                scope.root.map(RawBsonRef::Document),
                scope.prev_root.map(RawBsonRef::Document),
            );
            check.run(&check.path, this, prev, scope, "(root)", &mut found)?;
        }
        Ok(found)
    }
}

impl Check {
    fn run(
        &self,
        path: &[Step],
        this: Option<RawBsonRef<'_>>,
        prev: Option<RawBsonRef<'_>>,
        scope: &Scope<'_>,
        at: &str,
        found: &mut Vec<Breach>,
    ) -> Decided<()> {
        match path.split_first() {
            // It runs for an absent field too: unsetting must be noticed.
            None => {
                let scope = Scope {
                    this,
                    prev,
                    ..*scope
                };
                if !self.validate.holds(&scope)? {
                    found.push(Breach {
                        code: "false",
                        path: at.to_owned(),
                        message: "the validate expression is false".to_owned(),
                    });
                }
            }
            Some((Step::Field(name), rest)) => {
                let at = format!("{at}.{name}");
                self.run(
                    rest,
                    field(this, name),
                    field(prev, name),
                    scope,
                    &at,
                    found,
                )?;
            }
            Some((Step::Items, rest)) => {
                let Some(RawBsonRef::Array(array)) = this else {
                    return Ok(());
                };
                for (index, element) in array.into_iter().flatten().enumerate() {
                    let old = match prev {
                        Some(RawBsonRef::Array(array)) => array.get(index).ok().flatten(),
                        _ => None,
                    };
                    let at = format!("{at}.{index}");
                    self.run(rest, Some(element), old, scope, &at, found)?;
                }
            }
        }
        Ok(())
    }
}

fn field<'a>(value: Option<RawBsonRef<'a>>, name: &str) -> Option<RawBsonRef<'a>> {
    match value {
        Some(RawBsonRef::Document(document)) => document.get(name).ok().flatten(),
        _ => None,
    }
}

fn collect(
    schema: &Document,
    path: &mut Vec<Step>,
    checks: &mut Vec<Check>,
    issues: &mut Vec<Issue>,
) {
    // The parser of the structure refuses what is nested deeper.
    if path.len() > NESTING_DEPTH_MAX {
        return;
    }
    if let Some(value) = schema.get("validate") {
        let at = format!("{}validate", written(path));
        let validate = Expression::parse(value, Place::Document, &at, issues);
        checks.push(Check {
            path: path.clone(),
            validate,
        });
    }
    if let Some(Bson::Document(properties)) = schema.get("properties") {
        for (name, property) in properties {
            if let Bson::Document(property) = property {
                path.push(Step::Field(name.clone()));
                collect(property, path, checks, issues);
                path.pop();
            }
        }
    }
    if let Some(Bson::Document(items)) = schema.get("items") {
        path.push(Step::Items);
        collect(items, path, checks, issues);
        path.pop();
    }
}

fn written(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Field(name) => format!("properties.{name}."),
            Step::Items => "items.".to_owned(),
        })
        .collect()
}
