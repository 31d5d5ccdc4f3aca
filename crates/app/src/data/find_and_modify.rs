//! findOneAndUpdate, findOneAndReplace, findOneAndDelete: they need read and
//! write (rules-schemas.md §6).

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::Collection;
use kit::Problem;
use mql::{Matcher, Projection};
use rules::{Change as Kind, Readable, Write};

use super::arguments::{Arguments, empty};
use super::at_once::AtOnce;
use super::failure::{Failure, language, malformed, mongodb, not_permitted, restricted};
use super::guard::Guard;
use super::transaction::Job;
use super::write::{Change, Shape, delete_these, insert};
use super::{Door, marker};

/// One of the three.
pub(super) struct FindOneAnd<'a> {
    query: &'a RawDocument,
    sort: Option<&'a RawDocument>,
    projection: Option<&'a RawDocument>,
    /// `None` deletes.
    change: Option<Change<'a>>,
    upsert: bool,
    /// Answer with the new document.
    new: bool,
}

impl Door<'_> {
    /// A missing replacement is `{}`: realm-web sends its findOneAndDelete so.
    pub(super) async fn find_one_and_update(
        &self,
        arguments: &Arguments<'_>,
        shape: Shape,
    ) -> Result<RawBson, Problem> {
        let missing = (shape == Shape::Replacement).then(empty);
        let change = Change::parse(arguments, shape, missing)?;
        self.find_one_and_do(arguments, Some(change)).await
    }

    pub(super) async fn find_one_and_delete(
        &self,
        arguments: &Arguments<'_>,
    ) -> Result<RawBson, Problem> {
        self.find_one_and_do(arguments, None).await
    }

    async fn find_one_and_do(
        &self,
        arguments: &Arguments<'_>,
        change: Option<Change<'_>>,
    ) -> Result<RawBson, Problem> {
        let job = FindOneAnd {
            query: arguments.query()?,
            sort: arguments.sort()?,
            projection: arguments.projection()?,
            change,
            upsert: change.is_some() && arguments.flag("upsert")?,
            new: change.is_some() && arguments.flag("returnNewDocument")?,
        };
        if let Some(settings) = self.settings() {
            let allowed = &settings.allowed;
            self.restrict(job.query, job.sort)?;
            if let Some(change) = &job.change {
                change.restrict(allowed)?;
            }
            if let Some(projection) = job.projection {
                allowed.check_expressions(projection).map_err(restricted)?;
            }
        }
        let kind = match &job.change {
            Some(_) => Kind::Update,
            None => Kind::Delete,
        };
        match self.at_once(job.query, kind).await? {
            AtOnce::System => {
                let query = job.query.to_owned();
                let found = self.directly(&job, query, job.upsert).await?;
                return Ok(found.unwrap_or(RawBson::Null));
            }
            // Where the role goes by the document, it is another one's who is
            // shown what became of it.
            AtOnce::Allowed { all: false, .. } if job.new => {}
            AtOnce::Allowed { query, all, role } => {
                let found = self.directly(&job, query, false).await?;
                if let Some(found) = found {
                    self.metrics().matched(role, 1);
                    return Ok(found);
                }
                if all && !job.upsert {
                    return Ok(RawBson::Null);
                }
            }
            AtOnce::Asked => {}
        }
        self.transact(&Job::FindOneAnd(job)).await
    }

    /// The document in one command; `None` when none matched.
    async fn directly(
        &self,
        job: &FindOneAnd<'_>,
        query: RawDocumentBuf,
        upsert: bool,
    ) -> Result<Option<RawBson>, Problem> {
        let mut command = rawdoc! { "findAndModify": self.namespace.collection.as_str() };
        command.append(cstr!("query"), query);
        if let Some(sort) = job.sort {
            command.append(cstr!("sort"), sort);
        }
        if let Some(projection) = job.projection {
            command.append(cstr!("fields"), projection);
        }
        match &job.change {
            Some(change) => {
                command.append(cstr!("new"), job.new);
                command.append(cstr!("upsert"), upsert);
                change.append_to(&mut command, cstr!("update"));
            }
            None => command.append(cstr!("remove"), true),
        }
        let reply = self.collection.send(command).await.map_err(mongodb)?;
        Ok(match reply.get("value").map_err(malformed)? {
            Some(RawBsonRef::Document(document)) => {
                Some(marker::without(document).into_owned().into())
            }
            _ => None,
        })
    }

    pub(super) async fn find_one_and(
        &self,
        job: &FindOneAnd<'_>,
        collection: &Collection,
    ) -> Result<RawBson, Failure> {
        let mut guard = self.guard();
        let before = self
            .targets(&mut guard, job.query, job.sort, 1, collection)
            .await?
            .pop();
        let Some(guard) = &mut guard else {
            return Err(Problem::internal("the system needs no decisions").into());
        };
        let Some(before) = before else {
            return match &job.change {
                Some(change) if job.upsert => {
                    let made = change.inserted(job.query, self.clock.now())?;
                    guard.check(Write::Insert(&made), "insert").await?;
                    insert(collection, std::slice::from_ref(&made), true).await?;
                    if job.new {
                        job.shown(guard, &made).await
                    } else {
                        Ok(RawBson::Null)
                    }
                }
                Some(change) => {
                    // What is wrong with it is told, whatever it is for.
                    change.parsed(self.clock.now())?;
                    Ok(RawBson::Null)
                }
                None => Ok(RawBson::Null),
            };
        };
        let verb = job.change.as_ref().map_or("delete", |change| change.verb);
        if guard.read(&before).await? == Readable::Hidden {
            return Err(not_permitted(verb, "the document is not readable").into());
        }
        let Some(change) = &job.change else {
            guard.check(Write::Delete(&before), verb).await?;
            let id = before.get("_id").map_err(malformed)?;
            let mut ids = RawArrayBuf::new();
            if let Some(id) = id {
                ids.push(id);
                delete_these(collection, ids).await?;
            }
            return job.shown(guard, &before).await;
        };
        let after = change
            .apply(collection, Some(&mut *guard), job.query, &before)
            .await?;
        let image = if job.new { &after } else { &before };
        job.shown(guard, image).await
    }
}

impl FindOneAnd<'_> {
    /// What the caller sees of an image.
    async fn shown(&self, guard: &mut Guard<'_>, image: &RawDocument) -> Result<RawBson, Failure> {
        let Some(mut visible) = guard.shown(image).await? else {
            return Ok(RawBson::Null);
        };
        if let Some(projection) = self.projection {
            let matcher = Matcher::parse(self.query).map_err(language)?;
            let projection = Projection::parse(projection).map_err(language)?;
            visible = projection
                .apply(&visible, Some(&matcher))
                .map_err(language)?;
        }
        Ok(visible.into())
    }
}
