//! bulkWrite: operations one after the other, each under the rules by itself
//! (functions-runtime.md §2.1).

use bson::raw::RawBsonRef;
use bson::{RawBson, RawDocument, RawDocumentBuf, cstr};
use kit::Problem;

use super::Door;
use super::arguments::Arguments;
use super::failure::malformed;
use super::write::Shape;

impl Door<'_> {
    /// Ordered stops at the first problem; unordered goes on and answers with
    /// the first.
    pub(super) async fn bulk_write(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(operations) = arguments.array("operations")? else {
            return Err(Problem::missing_parameter("missing argument 'operations'"));
        };
        let ordered = arguments.get("ordered").is_none() || arguments.flag("ordered")?;
        let mut first = None;
        for entry in operations {
            let RawBsonRef::Document(operation) = entry.map_err(malformed)? else {
                return Err(unknown());
            };
            if let Err(problem) = self.bulk_step(operation).await {
                if ordered {
                    return Err(problem);
                }
                first.get_or_insert(problem);
            }
        }
        match first {
            Some(problem) => Err(problem),
            None => Ok(RawBson::Null),
        }
    }

    async fn bulk_step(&self, operation: &RawDocument) -> Result<(), Problem> {
        let mut entries = operation.iter();
        let (Some(Ok((name, RawBsonRef::Document(body)))), None) = (entries.next(), entries.next())
        else {
            return Err(unknown());
        };
        let arguments = Arguments::new(body)?;
        if name == "insertOne" {
            // Both `{insertOne: {document: d}}` and `{insertOne: d}`.
            let done = if matches!(body.get("document"), Ok(Some(RawBsonRef::Document(_)))) {
                self.insert_one(&arguments).await
            } else {
                let mut wrapped = RawDocumentBuf::new();
                wrapped.append(cstr!("document"), body);
                self.insert_one(&Arguments::new(&wrapped)?).await
            };
            return done.map(drop);
        }
        if self.rules.is_none()
            && let Some(options) = arguments.options()
        {
            return self
                .with_options(options)
                .bulk_change(name.as_str(), body)
                .await;
        }
        arguments.refuse(&["collation", "hint"])?;
        self.bulk_change(name.as_str(), body).await
    }

    /// What changes documents that are there.
    async fn bulk_change(&self, name: &str, body: &RawDocument) -> Result<(), Problem> {
        let arguments = Arguments::new(body)?;
        match name {
            "updateOne" => self.update(&arguments, Shape::Any, false).await,
            "updateMany" => self.update(&arguments, Shape::Any, true).await,
            "replaceOne" => {
                let mut renamed = RawDocumentBuf::new();
                for entry in body {
                    let (name, value) = entry.map_err(malformed)?;
                    match name.as_str() {
                        "replacement" => renamed.append(cstr!("update"), value),
                        _ => renamed.append(name, value),
                    }
                }
                let arguments = Arguments::new(&renamed)?;
                self.update(&arguments, Shape::Replacement, false).await
            }
            "deleteOne" => self.delete(&arguments, false).await,
            "deleteMany" => self.delete(&arguments, true).await,
            _ => return Err(unknown()),
        }
        .map(drop)
    }
}

fn unknown() -> Problem {
    Problem::invalid_parameter(
        "a bulk operation is one of insertOne, updateOne, updateMany, replaceOne, deleteOne, \
         deleteMany",
    )
}
