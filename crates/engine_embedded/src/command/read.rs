//! find, count, distinct and the cursors of all reads.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bson::raw::RawBsonRef;
use bson::{Bson, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use engine::{Answer, CommandError};
use mql::{Matcher, Projection, Sort};

use super::{blocking, check_fields, collection, document, flag, reply, whole};
use crate::query::{self, matcher};
use crate::transaction::{Part, Transaction};
use crate::write::Changes;
use crate::{Core, Cursor, View, mql as mql_error};

/// Documents in a first batch, unless the command says otherwise.
pub(super) const FIRST_BATCH: usize = 101;
/// Bytes of documents in one reply.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A cursor nobody reads ends after this.
const CURSOR_IDLE: Duration = Duration::from_secs(600);

pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    name: &str,
    command: &RawDocument,
    part: Option<Part>,
) -> Answer {
    let view = core.view.load_full();
    let transaction = match &part {
        Some(part) => Some(core.transactions.join(part, &view)?),
        None => None,
    };
    let read = Read::parse(&view, database, name, command)?;
    if read.is_quick() {
        return read.on(core, &view, database, transaction.as_deref());
    }
    let (core, database) = (core.clone(), database.to_owned());
    blocking(move || read.on(&core, &view, &database, transaction.as_deref())).await
}

/// A parsed read.
struct Read {
    target: String,
    kind: Kind,
}

enum Kind {
    Find {
        matcher: Matcher,
        sort: Sort,
        projection: Option<Projection>,
        skip: usize,
        limit: usize,
        batch: usize,
        single: bool,
    },
    Count {
        matcher: Matcher,
        skip: usize,
        limit: usize,
    },
    Distinct {
        key: mql::path::Path,
        matcher: Matcher,
    },
}

impl Read {
    fn parse(
        view: &View,
        database: &str,
        name: &str,
        command: &RawDocument,
    ) -> Result<Self, CommandError> {
        let target = match command.get(name)? {
            Some(RawBsonRef::String(target)) => target.to_owned(),
            _ => {
                return Err(CommandError::new(73, "collection name has invalid type"));
            }
        };
        super::check_namespace(&target)?;
        let default = super::default_collation(view, database, &target);
        let collation = super::collation(command, default.as_ref())?;
        let collation = collation.as_ref();
        let positive = |name: &str, code: i32| match whole(command, name)? {
            Some(n) if n < 0 => Err(CommandError::new(
                code,
                format!("BSON field '{name}' value must be >= 0, actual value '{n}'"),
            )),
            n => Ok(n.map(|n| n as usize)),
        };
        let kind = match name {
            "find" => {
                check_fields(
                    command,
                    &[
                        "filter",
                        "sort",
                        "projection",
                        "skip",
                        "limit",
                        "batchSize",
                        "singleBatch",
                        "hint",
                        "allowDiskUse",
                        "noCursorTimeout",
                        "allowPartialResults",
                        "let",
                        "collation",
                    ],
                )?;
                let limit = whole(command, "limit")?.unwrap_or(0);
                Kind::Find {
                    matcher: matcher(document(command, "filter")?)?.collated(collation),
                    sort: sort(command)?.collated(collation),
                    projection: document(command, "projection")?
                        .filter(|projection| !projection.is_empty())
                        .map(|projection| Projection::parse(projection).map_err(mql_error))
                        .transpose()?,
                    skip: positive("skip", 51024)?.unwrap_or(0),
                    limit: limit.unsigned_abs() as usize,
                    batch: positive("batchSize", 51024)?.unwrap_or(FIRST_BATCH),
                    single: flag(command, "singleBatch")? || limit < 0,
                }
            }
            "count" => {
                check_fields(
                    command,
                    &["query", "skip", "limit", "hint", "fields", "collation"],
                )?;
                Kind::Count {
                    matcher: matcher(document(command, "query")?)?.collated(collation),
                    skip: positive("skip", 51024)?.unwrap_or(0),
                    limit: whole(command, "limit")?.unwrap_or(0).unsigned_abs() as usize,
                }
            }
            _ => {
                check_fields(command, &["key", "query", "hint", "collation"])?;
                let key = command
                    .get_str("key")
                    .map_err(|_| CommandError::new(14, "'key' must be a string"))?;
                Kind::Distinct {
                    key: mql::path::Path::new(key),
                    matcher: matcher(document(command, "query")?)?.collated(collation),
                }
            }
        };
        Ok(Self { target, kind })
    }

    /// Whether the read is a lookup that is not worth leaving the reactor for.
    fn is_quick(&self) -> bool {
        match &self.kind {
            Kind::Find { matcher, .. } => super::modify::is_lookup(matcher),
            _ => false,
        }
    }

    fn on(
        &self,
        core: &Core,
        view: &View,
        database: &str,
        transaction: Option<&Transaction>,
    ) -> Answer {
        let Some(transaction) = transaction else {
            let found = view.catalog.get(database, &self.target);
            return self.evaluate(core, view, None, found, database);
        };
        let changes = transaction
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changes = changes
            .as_ref()
            .ok_or_else(|| CommandError::new(251, "the transaction has ended"))?;
        let found = collection(core, changes, database, &self.target);
        self.evaluate(core, &changes.view, Some(changes), found.as_ref(), database)
    }

    fn evaluate(
        &self,
        core: &Core,
        view: &View,
        changes: Option<&Changes>,
        found: Option<&Arc<crate::catalog::Collection>>,
        database: &str,
    ) -> Answer {
        let namespace = || format!("{database}.{}", self.target);
        match &self.kind {
            Kind::Find {
                matcher,
                sort,
                projection,
                skip,
                limit,
                batch,
                single,
            } => {
                let mut documents = match found {
                    Some(collection) => query::documents(query::find(
                        view, changes, collection, matcher, sort, *skip, *limit,
                    )?),
                    None => Vec::new(),
                };
                if let Some(projection) = projection {
                    for document in &mut documents {
                        *document = projection
                            .apply(document, Some(matcher))
                            .map_err(mql_error)?;
                    }
                }
                if *single {
                    documents.truncate((*batch).max(1));
                }
                Ok(first_batch(core, namespace(), documents, *batch))
            }
            Kind::Count {
                matcher,
                skip,
                limit,
            } => {
                let mut n = 0usize;
                if let Some(collection) = found {
                    query::each(view, changes, collection, matcher, &mut |_| {
                        n += 1;
                        Ok(*limit == 0 || n < skip + limit)
                    })?;
                }
                let n = n.saturating_sub(*skip);
                Ok(rawdoc! { "n": i32::try_from(n).unwrap_or(i32::MAX), "ok": 1.0 })
            }
            Kind::Distinct { key, matcher } => {
                let mut seen = HashSet::new();
                let mut values: Vec<Bson> = Vec::new();
                if let Some(collection) = found {
                    query::each(view, changes, collection, matcher, &mut |located| {
                        mql::path::visit(&located.document, key.parts(), &mut |value| {
                            let elements: Vec<RawBsonRef<'_>> = match value {
                                Some(RawBsonRef::Array(array)) => {
                                    array.into_iter().flatten().collect()
                                }
                                Some(value) => vec![value],
                                None => Vec::new(),
                            };
                            for element in elements {
                                let mut identity = Vec::new();
                                mql::key::encode_with(element, matcher.collation(), &mut identity);
                                if seen.insert(identity)
                                    && let Ok(value) = Bson::try_from(element)
                                {
                                    values.push(value);
                                }
                            }
                            false
                        });
                        Ok(true)
                    })?;
                }
                values.sort_by(|a, b| mql::order::compare_bson_with(a, b, matcher.collation()));
                reply(&doc! { "values": values, "ok": 1.0 })
            }
        }
    }
}

fn sort(command: &RawDocument) -> Result<Sort, CommandError> {
    match document(command, "sort")? {
        Some(specification) => Sort::parse(specification).map_err(mql_error),
        None => Ok(Sort::default()),
    }
}

pub(super) fn first_batch(
    core: &Core,
    namespace: String,
    documents: Vec<RawDocumentBuf>,
    size: usize,
) -> RawDocumentBuf {
    let mut rest = documents.into_iter();
    let batch = take(&mut rest, size);
    let id = if rest.len() == 0 {
        0
    } else {
        let mut cursors = core.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.retain(|_, cursor| cursor.used.elapsed() < CURSOR_IDLE);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&bson::Uuid::new().bytes()[..8]);
        // Unguessable and positive.
        let id = (i64::from_le_bytes(bytes) & i64::MAX).max(1);
        let cursor = Cursor {
            namespace: namespace.clone(),
            rest,
            used: Instant::now(),
        };
        cursors.insert(id, cursor);
        id
    };
    answer("firstBatch", batch, id, &namespace)
}

fn answer(name: &str, batch: RawArrayBuf, id: i64, namespace: &str) -> RawDocumentBuf {
    let mut cursor = RawDocumentBuf::new();
    if name == "firstBatch" {
        cursor.append(cstr!("firstBatch"), batch);
    } else {
        cursor.append(cstr!("nextBatch"), batch);
    }
    cursor.append(cstr!("id"), id);
    cursor.append(cstr!("ns"), namespace);
    let mut reply = RawDocumentBuf::new();
    reply.append(cstr!("cursor"), cursor);
    reply.append(cstr!("ok"), 1.0);
    reply
}

fn take(rest: &mut std::vec::IntoIter<RawDocumentBuf>, size: usize) -> RawArrayBuf {
    let mut batch = RawArrayBuf::new();
    let (mut count, mut bytes) = (0, 0);
    while count < size {
        let Some(next) = rest.as_slice().first() else {
            break;
        };
        bytes += next.as_bytes().len();
        if count > 0 && bytes > BATCH_BYTES_MAX {
            break;
        }
        if let Some(document) = rest.next() {
            batch.push(document);
        }
        count += 1;
    }
    batch
}

pub(super) fn get_more(core: &Core, database: &str, command: &RawDocument) -> Answer {
    let id = whole(command, "getMore")?.unwrap_or(0);
    let target = command.get_str("collection").unwrap_or_default();
    let size = whole(command, "batchSize")?.map_or(usize::MAX, |n| n.max(1) as usize);
    let mut cursors = core.cursors.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = || CommandError::new(43, format!("cursor id {id} not found"));
    let cursor = cursors.get_mut(&id).ok_or_else(missing)?;
    if cursor.namespace != format!("{database}.{target}") {
        return Err(CommandError::new(
            13,
            format!(
                "Requested getMore on namespace '{database}.{target}', but cursor belongs to a different namespace"
            ),
        ));
    }
    cursor.used = Instant::now();
    let batch = take(&mut cursor.rest, size);
    let namespace = cursor.namespace.clone();
    let left = cursor.rest.len();
    if left == 0 {
        cursors.remove(&id);
    }
    Ok(answer(
        "nextBatch",
        batch,
        if left == 0 { 0 } else { id },
        &namespace,
    ))
}

pub(super) fn kill(core: &Core, command: &RawDocument) -> Answer {
    let mut cursors = core.cursors.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut killed, mut missing) = (Vec::new(), Vec::new());
    for id in command.get_array("cursors").into_iter().flatten().flatten() {
        let RawBsonRef::Int64(id) = id else {
            return Err(CommandError::new(14, "cursor ids must be of type long"));
        };
        if cursors.remove(&id).is_some() {
            killed.push(id);
        } else {
            missing.push(id);
        }
    }
    reply(&doc! {
        "cursorsKilled": killed, "cursorsNotFound": missing, "cursorsAlive": [], "cursorsUnknown": [],
        "ok": 1.0,
    })
}
