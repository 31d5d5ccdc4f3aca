//! Requests that go by nothing but what their caller sees: all of them where the
//! data source protects hidden fields, and queries with an expression, whose
//! errors quote what it looks at (rules-schemas.md §6, side channels).
//!
//! With fields protected, two collections that differ only in fields which are
//! hidden from a caller, and which no rule looks at, are one and the same to that
//! caller: queries, sorts and counts are about the visible part of documents; a
//! document without one is not there for writes either; an update names nothing
//! hidden; and what touches a whole document, such as a replacement or a deletion,
//! needs a role that shows all there could be. Unique keys still say that a value
//! is taken, and schemas look at the whole document.

use bson::raw::RawBsonRef;
use bson::{Bson, Document, RawDocument, RawDocumentBuf};
use engine::Collection;
use kit::{Kind, Problem};
use mql::Sort;
use mql::sort::Top;
use rules::has_expression;

use super::Door;
use super::failure::{Failure, language, restricted};
use super::guard::Guard;
use super::read::{Cursor, documents};
use super::rule_settings::RuleSettings;
use super::write::Change;

impl Door<'_> {
    pub(super) fn settings(&self) -> Option<&RuleSettings> {
        self.rules.map(|(user, _)| &user.rules.settings)
    }

    pub(super) fn protects(&self) -> bool {
        self.settings()
            .is_some_and(|settings| settings.protect_hidden_fields)
    }

    /// Refuses what users may not send in a query or a sort, among it fields that
    /// no role shows the caller, where they are protected.
    pub(super) fn restrict(
        &self,
        query: &RawDocument,
        sort: Option<&RawDocument>,
    ) -> Result<(), Problem> {
        let Some(settings) = self.settings() else {
            return Ok(());
        };
        settings.allowed.check_query(query).map_err(restricted)?;
        if !settings.protect_hidden_fields {
            return Ok(());
        }
        let mut paths = Vec::new();
        named_in_query(query, &mut paths);
        let sorted = sort.into_iter().flat_map(RawDocument::iter).flatten();
        paths.extend(sorted.map(|(name, _)| name.as_str()));
        self.restrict_fields(&paths)
    }

    /// Refuses fields that no role shows the caller, where they are protected.
    pub(super) fn restrict_fields(&self, paths: &[&str]) -> Result<(), Problem> {
        if !self.protects() {
            return Ok(());
        }
        let Some(guard) = self.guard() else {
            return Ok(());
        };
        // To whom nothing is shown everything is answered with nothing.
        match paths.iter().find(|path| !guard.may_show(path)) {
            Some(path) if !guard.shows_nothing() => Err(Problem::new(
                Kind::Invalid,
                "MongoDBError",
                format!("no role shows the field '{path}': a request cannot go by it"),
            )
            .because("the data source has protect_hidden_fields set")),
            _ => Ok(()),
        }
    }

    /// The documents that a write is about, by what the caller sees of them;
    /// `None` where the engine can be asked for them.
    pub(super) async fn visible_targets(
        &self,
        query: &RawDocument,
        sort: Option<&RawDocument>,
        limit: u64,
        collection: &Collection,
    ) -> Result<Option<Vec<RawDocumentBuf>>, Failure> {
        if !self.protects() && !has_expression(query) {
            return Ok(None);
        }
        let mut reading = self.reading(query).await?;
        if reading.is_plain() && reading.is_everything() {
            return Ok(None);
        }
        let sort = sort.map(Sort::parse).transpose().map_err(language)?;
        let mut found = Top::new(match limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        });
        let mut cursor = Cursor::open(collection, self.scan(&reading));
        'all: while let Some(reply) = cursor.advance().await? {
            for document in documents(&reply)? {
                let document = document?;
                let Some(visible) = reading.visible(document).await? else {
                    continue;
                };
                let mut key = Vec::new();
                if let Some(sort) = &sort {
                    sort.key(&visible, &mut key).map_err(language)?;
                }
                if found.wants(&key) {
                    found.push(key, document.to_owned());
                } else if sort.is_none() {
                    break 'all;
                }
            }
        }
        cursor.close().await;
        Ok(Some(found.into_sorted().collect()))
    }
}

/// The fields that a query names, at its top and in its lists.
fn named_in_query<'q>(query: &'q RawDocument, paths: &mut Vec<&'q str>) {
    for (name, value) in query.iter().flatten() {
        match (name.as_str(), value) {
            ("$and" | "$or" | "$nor", RawBsonRef::Array(list)) => {
                for inner in list.into_iter().flatten() {
                    if let RawBsonRef::Document(inner) = inner {
                        named_in_query(inner, paths);
                    }
                }
            }
            (name, _) if name.starts_with('$') => {}
            (name, _) => paths.push(name),
        }
    }
}

impl Guard<'_> {
    /// Whether all there is or could be at a path of a document is shown, by roles
    /// and filters; the empty path is the document.
    pub(super) async fn shows(
        &mut self,
        document: &RawDocument,
        path: &[&str],
    ) -> Result<bool, Problem> {
        if let Some(projection) = self.filters().await?.projection
            && !leaves(&projection, path)
        {
            return Ok(false);
        }
        self.ask(|decider| decider.shows(document, path)).await
    }

    /// The first place that an update goes by, or writes to, of which the caller
    /// does not see all.
    pub(super) async fn hides_from(
        &mut self,
        document: &RawDocument,
        change: &Change<'_>,
    ) -> Result<Option<String>, Problem> {
        for path in change.places() {
            if !self.shows(document, &path).await? {
                return Ok(Some(match path.as_slice() {
                    [] => "the document".to_owned(),
                    path => format!("'{}'", path.join(".")),
                }));
            }
        }
        Ok(None)
    }
}

impl<'a> Change<'a> {
    /// The places that an update goes by: before an element that is looked for, the
    /// whole array is; a replacement and a pipeline go by the whole document.
    fn places(&self) -> Vec<Vec<&'a str>> {
        let RawBsonRef::Document(update) = self.update else {
            return vec![Vec::new()];
        };
        if self.is_replacement() {
            return vec![Vec::new()];
        }
        let mut places = Vec::new();
        for (operator, operand) in update.iter().flatten() {
            let RawBsonRef::Document(operand) = operand else {
                continue;
            };
            // It does nothing to a document that is there.
            if operator.as_str() == "$setOnInsert" {
                continue;
            }
            for (path, value) in operand.iter().flatten() {
                places.push(place(path.as_str()));
                if let ("$rename", RawBsonRef::String(to)) = (operator.as_str(), value) {
                    places.push(place(to));
                }
            }
        }
        places
    }
}

fn place(path: &str) -> Vec<&str> {
    path.split('.')
        .take_while(|name| !name.starts_with('$'))
        .collect()
}

/// Whether a filters' projection leaves what is at a path as it is.
fn leaves(projection: &Document, path: &[&str]) -> bool {
    let Some(first) = path.first() else {
        return false;
    };
    let is_on = |value: &Bson| match value {
        Bson::Boolean(on) => *on,
        Bson::Int32(n) => *n != 0,
        Bson::Int64(n) => *n != 0,
        Bson::Double(n) => *n != 0.0,
        _ => false,
    };
    let is_off = |value: &Bson| !is_on(value) && !matches!(value, Bson::Document(_));
    if *first == "_id" {
        return projection.get("_id").is_none_or(is_on);
    }
    let mut others = projection.iter().filter(|(name, _)| *name != "_id");
    if projection
        .iter()
        .all(|(name, value)| name == "_id" || is_off(value))
    {
        return others.all(|(name, _)| name.split('.').next() != Some(first));
    }
    projection.get(first).is_some_and(is_on)
}
