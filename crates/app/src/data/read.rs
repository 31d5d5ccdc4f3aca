//! find, findOne, count, distinct: documents pass the role before anything
//! counts, skips or projects them (rules-schemas.md §6).

use std::collections::BTreeMap;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, cstr, rawdoc};
use engine::Collection;
use kit::Problem;
use kit::limit::QUERY_DOCUMENTS_MAX;
use mql::path::Path;
use mql::sort::Top;
use mql::{Matcher, Projection, Sort};
use rules::{Restriction, first_by_index, has_expression, hoisted};

use super::Door;
use super::arguments::{Arguments, empty};
use super::explain::DOCUMENTS_MAX;
use super::failure::{Failure, language, malformed, mongodb, restricted};
use super::guard::Guard;
use super::marker;

/// A query as it goes to the engine, and what is left to do with its answer.
pub(super) struct Reading<'a> {
    pub(super) query: RawDocumentBuf,
    /// Asked about every document; absent when the query says it all.
    pub(super) guard: Option<Guard<'a>>,
    /// The filters' projection.
    pub(super) projection: Option<Projection>,
    /// The role of everything that the query finds, when nothing is asked.
    role: Option<usize>,
    /// No role shows anything to this caller.
    nothing: bool,
    /// The caller's query, where it is asked about the visible part of documents.
    seen: Option<Matcher>,
    /// Whether something of what the query finds may be hidden.
    hides: bool,
    /// Whether neither filters nor roles add to the query.
    everything: bool,
}

impl Reading<'_> {
    /// Whether the engine's answer is the caller's.
    pub(super) fn is_plain(&self) -> bool {
        self.guard.is_none() && self.projection.is_none() && self.seen.is_none()
    }

    /// Whether the engine can count for the caller.
    fn is_countable(&self) -> bool {
        self.guard.is_none() && self.seen.is_none()
    }

    /// Whether something of what the query finds may be hidden.
    pub(super) fn hides(&self) -> bool {
        self.hides
    }

    /// Whether the caller sees every document.
    pub(super) fn is_everything(&self) -> bool {
        self.everything
    }

    /// Whether no document can be visible.
    pub(super) fn shows_nothing(&self) -> bool {
        self.nothing
    }

    /// What the caller may see of a document that is found, filters' projection
    /// included.
    pub(super) async fn visible(
        &mut self,
        document: &RawDocument,
    ) -> Result<Option<RawDocumentBuf>, Problem> {
        let visible = match &mut self.guard {
            Some(guard) => guard.visible(document).await?,
            None => Some(marker::without(document).into_owned()),
        };
        let visible = match (&self.projection, visible) {
            (Some(projection), Some(visible)) => {
                Some(projection.apply(&visible, None).map_err(language)?)
            }
            (_, visible) => visible,
        };
        match (&self.seen, visible) {
            (Some(seen), Some(visible)) => {
                let matches = seen.matches(&visible).map_err(language)?;
                Ok(matches.then_some(visible))
            }
            (_, visible) => Ok(visible),
        }
    }
}

/// All of `queries` at once; never by merging keys, so that a client's key
/// cannot take the place of a filter's.
pub(super) fn all_of<'q>(queries: impl IntoIterator<Item = &'q RawDocument>) -> RawDocumentBuf {
    let queries: Vec<&RawDocument> = queries.into_iter().filter(|q| !q.is_empty()).collect();
    match queries.as_slice() {
        [] => RawDocumentBuf::new(),
        [only] => (*only).to_owned(),
        several => {
            let mut list = RawArrayBuf::new();
            for query in several {
                list.push(*query);
            }
            let mut all = RawDocumentBuf::new();
            all.append(cstr!("$and"), list);
            all
        }
    }
}

impl<'a> Door<'a> {
    pub(super) fn guard(&self) -> Option<Guard<'a>> {
        let (user, rules) = self.rules?;
        let guard = Guard::new(user, rules, self.metrics.clone());
        Some(guard.recorded(self.record))
    }

    /// What a caller's query becomes.
    pub(super) async fn reading(&self, query: &RawDocument) -> Result<Reading<'a>, Problem> {
        self.reading_by(self.guard(), query).await
    }

    /// The same for what a `$search` finds.
    pub(super) async fn searching(&self) -> Result<Reading<'a>, Problem> {
        let mut guard = self.guard();
        if let Some(guard) = &mut guard {
            guard.search();
        }
        self.reading_by(guard, empty()).await
    }

    async fn reading_by(
        &self,
        guard: Option<Guard<'a>>,
        query: &RawDocument,
    ) -> Result<Reading<'a>, Problem> {
        let Some(mut guard) = guard else {
            return Ok(Reading {
                query: query.to_owned(),
                guard: None,
                projection: None,
                role: None,
                nothing: false,
                seen: None,
                hides: false,
                everything: true,
            });
        };
        self.restrict(query, None)?;
        let filters = guard.filters().await?;
        let mut narrowed = guard.narrowed();
        if narrowed.query.is_some() && !narrowed.nothing && self.is_collated().await {
            narrowed.query = None;
            narrowed.exact = false;
        }
        let everything = narrowed.exact && narrowed.query.is_none() && filters.queries.is_empty();
        let hides = !narrowed.exact || filters.projection.is_some();
        // An expression fails on documents that are none of the caller's, too.
        let seen =
            !query.is_empty() && (self.protects() && hides || !everything && has_expression(query));
        if seen && let Some(name) = first_by_index(query) {
            return Err(restricted(Restriction::Forbidden(name.to_owned())));
        }
        let seen = seen.then(|| Matcher::parse(query).map_err(language));
        let seen = seen.transpose()?;
        let ahead = seen.is_some().then(|| hoisted(query));
        // The client's own comes last: the positional operator looks there.
        let queries = filters
            .queries
            .iter()
            .map(AsRef::as_ref)
            .chain(narrowed.query.as_deref())
            .chain(std::iter::once(ahead.as_deref().unwrap_or(query)));
        let projection = match filters.projection {
            None => None,
            Some(projection) => {
                let projection = RawDocumentBuf::try_from(&projection).map_err(malformed)?;
                Some(Projection::parse(&projection).map_err(language)?)
            }
        };
        Ok(Reading {
            query: all_of(queries),
            guard: (!narrowed.exact).then_some(guard),
            projection,
            role: narrowed.role.filter(|_| narrowed.exact),
            nothing: narrowed.nothing,
            seen,
            hides,
            everything,
        })
    }

    /// Counts what the engine found for a query that says all of the rules, where
    /// it can only have been by one role.
    fn count_found(&self, reading: &Reading<'_>, documents: u64) {
        if let Some(role) = reading.role {
            self.metrics().matched(role, documents);
        }
    }

    /// The most documents to answer with.
    fn limit(&self, asked: u64) -> u64 {
        let most = QUERY_DOCUMENTS_MAX as u64;
        match (asked, self.rules.is_some()) {
            (0, true) => most,
            (0, false) => 0,
            (asked, true) => asked.min(most),
            (asked, false) => asked,
        }
    }

    pub(super) async fn find(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let limit = self.limit(arguments.number("limit")?);
        let found = self.found(arguments, limit).await?;
        Ok(RawBson::Array(found))
    }

    pub(super) async fn find_one(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let found = self.found(arguments, 1).await?;
        let first = found.into_iter().next().transpose().map_err(malformed)?;
        Ok(first.map_or(RawBson::Null, RawBson::from))
    }

    async fn found(&self, arguments: &Arguments<'_>, limit: u64) -> Result<RawArrayBuf, Problem> {
        let query = arguments.query()?;
        let projection = arguments.projection()?;
        let sort = arguments.sort()?;
        if let Some(settings) = self.settings() {
            let allowed = &settings.allowed;
            let checked = projection.map_or(Ok(()), |p| allowed.check_expressions(p));
            checked.map_err(restricted)?;
            // What is wrong with the query is found below.
            self.restrict(empty(), sort)?;
        }
        let skip = arguments.number("skip")?;
        let mut reading = self.reading(query).await?;
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("find"), self.namespace.collection.as_str());
        command.append(cstr!("filter"), reading.query.as_ref());
        // What is hidden says nothing about the order either, where it is protected.
        let own_sort = match sort {
            Some(sort) if self.protects() && reading.hides => {
                Some(Sort::parse(sort).map_err(language)?)
            }
            Some(sort) => {
                command.append(cstr!("sort"), sort);
                None
            }
            None => None,
        };
        self.bound(&mut command);
        let mut found = RawArrayBuf::new();
        if reading.is_plain() {
            if let Some(projection) = projection {
                command.append(cstr!("projection"), projection);
            }
            if skip > 0 {
                command.append(cstr!("skip"), skip as i64);
            }
            if limit > 0 {
                command.append(cstr!("limit"), limit as i64);
                // An `int` as drivers send it: FerretDB takes no other type.
                let portion = i32::try_from(limit).unwrap_or(i32::MAX);
                command.append(cstr!("batchSize"), portion);
            }
            let mut cursor = Cursor::open(&self.collection, command);
            let mut count = 0;
            while let Some(reply) = cursor.next().await? {
                for document in documents(&reply)? {
                    found.push(marker::without(document?).as_ref());
                    count += 1;
                }
            }
            self.count_found(&reading, count);
            return Ok(found);
        }
        let projection = projection
            .map(Projection::parse)
            .transpose()
            .map_err(language)?;
        // The engine says what is wrong with a query; some only it can answer.
        let matcher = projection.as_ref().and_then(|_| Matcher::parse(query).ok());
        let show = |visible: RawDocumentBuf| match &projection {
            Some(projection) => projection.apply(&visible, matcher.as_ref()),
            None => Ok(visible),
        };
        let most = if limit == 0 { u64::MAX } else { limit };
        let mut page = Top::new(usize::try_from(skip.saturating_add(most)).unwrap_or(usize::MAX));
        let (mut skipped, mut left) = (0, most);
        let mut cursor = Cursor::open(&self.collection, command);
        let mut count = 0;
        'all: while let Some(reply) = cursor.next().await? {
            for document in documents(&reply)? {
                let document = document?;
                count += 1;
                let Some(visible) = reading.visible(document).await? else {
                    continue;
                };
                if let Some(sort) = &own_sort {
                    let mut key = Vec::new();
                    sort.key(&visible, &mut key).map_err(language)?;
                    if page.wants(&key) {
                        page.push(key, visible);
                    }
                    continue;
                }
                if skipped < skip {
                    skipped += 1;
                    continue;
                }
                found.push(show(visible).map_err(language)?);
                left -= 1;
                if left == 0 {
                    break 'all;
                }
            }
        }
        cursor.close().await;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        for visible in page.into_sorted().skip(skip) {
            found.push(show(visible).map_err(language)?);
        }
        self.count_found(&reading, count);
        Ok(found)
    }

    pub(super) async fn count(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let limit = arguments.number("limit")?;
        let mut reading = self.reading(arguments.query()?).await?;
        if reading.is_countable() && self.session.is_some() {
            let counted = self.counted(&reading.query, limit).await?;
            self.count_found(&reading, counted.cast_unsigned());
            return Ok(RawBson::Int64(counted));
        }
        if reading.is_countable() {
            let mut command = rawdoc! { "count": self.namespace.collection.as_str() };
            command.append(cstr!("query"), reading.query.as_ref());
            if limit > 0 {
                command.append(cstr!("limit"), limit as i64);
            }
            let reply = self.collection.send(command).await.map_err(mongodb)?;
            let counted = integer(&reply, "n");
            self.count_found(&reading, counted.cast_unsigned());
            return Ok(RawBson::Int64(counted));
        }
        let mut counted = 0;
        let mut cursor = Cursor::open(&self.collection, self.scan(&reading));
        'all: while let Some(reply) = cursor.next().await? {
            for document in documents(&reply)? {
                if reading.visible(document?).await?.is_some() {
                    counted += 1;
                    if counted == limit {
                        break 'all;
                    }
                }
            }
        }
        cursor.close().await;
        Ok(RawBson::Int64(counted as i64))
    }

    /// A count in a transaction, where MongoDB does not take the command.
    async fn counted(&self, query: &RawDocument, limit: u64) -> Result<i64, Problem> {
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$match": query.to_owned() });
        if limit > 0 {
            pipeline.push(rawdoc! { "$limit": limit as i64 });
        }
        pipeline.push(rawdoc! { "$group": { "_id": 1, "n": { "$sum": 1 } } });
        let mut command = rawdoc! { "aggregate": self.namespace.collection.as_str() };
        command.append(cstr!("pipeline"), pipeline);
        command.append(cstr!("cursor"), RawDocumentBuf::new());
        let reply = self.collection.send(command).await.map_err(mongodb)?;
        let first = documents(&reply)?.next().transpose()?;
        Ok(first.map_or(0, |found| integer(found, "n")))
    }

    pub(super) async fn distinct(&self, arguments: &Arguments<'_>) -> Result<RawBson, Problem> {
        let Some(field) = arguments.text("field")? else {
            return Err(Problem::missing_parameter("missing argument 'field'"));
        };
        self.restrict_fields(&[field])?;
        let mut reading = self.reading(arguments.query()?).await?;
        if reading.is_plain() {
            let mut command = rawdoc! { "distinct": self.namespace.collection.as_str() };
            command.append(cstr!("key"), field);
            command.append(cstr!("query"), reading.query);
            let reply = self.collection.send(command).await.map_err(mongodb)?;
            let values = reply.get_array("values").map_err(Problem::internal)?;
            return Ok(RawBson::Array(values.to_owned()));
        }
        let path = Path::new(field);
        let mut values: BTreeMap<Vec<u8>, RawBson> = BTreeMap::new();
        let mut cursor = Cursor::open(&self.collection, self.scan(&reading));
        while let Some(reply) = cursor.next().await? {
            for document in documents(&reply)? {
                let Some(visible) = reading.visible(document?).await? else {
                    continue;
                };
                mql::path::visit(&visible, path.parts(), &mut |value| {
                    match value {
                        None => {}
                        Some(RawBsonRef::Array(array)) => {
                            array
                                .into_iter()
                                .flatten()
                                .for_each(|v| keep(&mut values, v));
                        }
                        Some(value) => keep(&mut values, value),
                    }
                    false
                });
            }
        }
        let mut list = RawArrayBuf::new();
        for value in values.into_values() {
            list.push(value);
        }
        Ok(RawBson::Array(list))
    }

    /// The command that reads what a reading asks about.
    pub(super) fn scan(&self, reading: &Reading<'_>) -> RawDocumentBuf {
        let mut command = rawdoc! { "find": self.namespace.collection.as_str() };
        command.append(cstr!("filter"), reading.query.as_ref());
        self.bound(&mut command);
        command
    }

    /// An explanation looks at some documents only.
    fn bound(&self, command: &mut RawDocumentBuf) {
        if self.record.is_some() {
            command.append(cstr!("limit"), DOCUMENTS_MAX as i64);
        }
    }
}

fn keep(values: &mut BTreeMap<Vec<u8>, RawBson>, value: RawBsonRef<'_>) {
    let mut key = Vec::new();
    mql::key::encode(value, &mut key);
    values.entry(key).or_insert_with(|| value.into());
}

pub(super) fn integer(reply: &RawDocument, name: &str) -> i64 {
    match reply.get(name) {
        Ok(Some(RawBsonRef::Int32(n))) => n.into(),
        Ok(Some(RawBsonRef::Int64(n))) => n,
        Ok(Some(RawBsonRef::Double(n))) => n as i64,
        _ => 0,
    }
}

/// The batches of a command's cursor.
pub(super) struct Cursor<'c> {
    collection: &'c Collection,
    /// The command that has not been sent yet.
    command: Option<RawDocumentBuf>,
    id: i64,
}

impl<'c> Cursor<'c> {
    pub(super) fn open(collection: &'c Collection, command: RawDocumentBuf) -> Self {
        Self {
            collection,
            command: Some(command),
            id: 0,
        }
    }

    /// The next reply; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RawDocumentBuf>, Problem> {
        Ok(self.advance().await?)
    }

    /// The same with an error that can be worth another try.
    pub(super) async fn advance(&mut self) -> Result<Option<RawDocumentBuf>, Failure> {
        let command = match self.command.take() {
            Some(command) => command,
            None if self.id == 0 => return Ok(None),
            None => {
                let mut command = rawdoc! { "getMore": self.id };
                command.append(cstr!("collection"), self.collection.name());
                command
            }
        };
        let reply = self.collection.send(command).await?;
        let cursor = reply.get_document("cursor").map_err(Problem::internal)?;
        self.id = integer(cursor, "id");
        Ok(Some(reply))
    }

    /// Gives up what has not been read. Best effort: the engine forgets idle
    /// cursors by itself.
    pub(super) async fn close(self) {
        if self.id == 0 {
            return;
        }
        let mut ids = RawArrayBuf::new();
        ids.push(self.id);
        let mut command = rawdoc! { "killCursors": self.collection.name() };
        command.append(cstr!("cursors"), ids);
        if let Err(error) = self.collection.send(command).await {
            tracing::debug!(%error, "a cursor was not closed");
        }
    }
}

/// The documents of a cursor's reply.
pub(super) fn documents(reply: &RawDocument) -> Result<Documents<'_>, Problem> {
    let cursor = reply.get_document("cursor").map_err(Problem::internal)?;
    let batch = match cursor.get_array("firstBatch") {
        Ok(batch) => batch,
        Err(_) => cursor.get_array("nextBatch").map_err(Problem::internal)?,
    };
    Ok(Documents {
        entries: batch.into_iter(),
    })
}

/// The documents of one batch.
pub(super) struct Documents<'r> {
    entries: bson::raw::RawArrayIter<'r>,
}

impl<'r> Iterator for Documents<'r> {
    type Item = Result<&'r RawDocument, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(match entry {
            Ok(RawBsonRef::Document(document)) => Ok(document),
            Ok(other) => Err(Problem::internal(format!("a batch with {other:?}"))),
            Err(error) => Err(Problem::internal(error)),
        })
    }
}
