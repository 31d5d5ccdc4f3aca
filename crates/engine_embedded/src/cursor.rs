//! Cursors: what is left of an answer, as a place in a plan or as documents,
//! never as a snapshot.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawArrayBuf, RawDocument, RawDocumentBuf};
use engine::CommandError;
use kit::Clock;
use mql::{Matcher, Projection};

use crate::View;
use crate::plan::{Access, Plan};
use crate::walk::{Effort, Place, Walk};
use crate::write::Changes;

/// Bytes of documents in one reply.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A cursor nobody reads ends after this.
const IDLE: Duration = Duration::from_secs(600);
/// Open cursors at most; the one that was not read for longest makes room.
const CURSORS_MAX: usize = 10_000;

/// The open cursors.
pub(crate) struct Cursors {
    clock: Arc<dyn Clock>,
    /// A cursor that nobody reads ends after this.
    idle: Duration,
    /// `None` is one that is being read.
    open: Mutex<HashMap<i64, Option<Cursor>>>,
}

/// What is left of an answer.
pub(crate) struct Cursor {
    pub(crate) namespace: String,
    pub(crate) owner: Owner,
    /// What it may still take, of the time that its command was given.
    pub(crate) time: Option<Duration>,
    /// Does not end when nobody reads it.
    pub(crate) patient: bool,
    rows: Rows,
    projection: Option<Projection>,
    matcher: Matcher,
    /// A document that the last reply had no room for.
    kept: Option<RawDocumentBuf>,
    /// When it was last read, by the engine's clock.
    used: Duration,
}

/// Whose cursor it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    session: Option<Vec<u8>>,
    transaction: Option<i64>,
}

/// Where the documents come from.
pub(crate) enum Rows {
    /// They are there.
    Held(std::vec::IntoIter<RawDocumentBuf>),
    /// They are walked to.
    Walk {
        plan: Box<Plan>,
        place: Place,
        skip: usize,
        /// Documents still wanted.
        left: usize,
    },
}

impl Owner {
    /// Reads `lsid` and the transaction of a command.
    pub(crate) fn of(command: &RawDocument) -> Result<Self, CommandError> {
        let session = match command.get("lsid")? {
            Some(RawBsonRef::Document(session)) => Some(session.as_bytes().to_vec()),
            _ => None,
        };
        let within = matches!(command.get("autocommit")?, Some(RawBsonRef::Boolean(false)));
        let transaction = match command.get("txnNumber")? {
            Some(RawBsonRef::Int64(n)) if within => Some(n),
            Some(RawBsonRef::Int32(n)) if within => Some(n.into()),
            _ => None,
        };
        Ok(Self {
            session,
            transaction,
        })
    }

    /// Refuses whoever is not the owner of a cursor.
    fn check(&self, asking: &Self, id: i64) -> Result<(), CommandError> {
        let refused = |code: i32, how: &str| {
            let text = format!("Cannot run getMore on cursor {id}, which was {how}");
            Err(CommandError::new(code, text))
        };
        match (&self.session, &asking.session) {
            (None, Some(_)) => refused(50736, "not created in a session, in a session"),
            (Some(_), None) => refused(50737, "created in a session, without an lsid"),
            (a, b) if a != b => refused(50738, "created in another session"),
            _ => match (self.transaction, asking.transaction) {
                (None, Some(_)) => refused(50739, "not created in a transaction, in a transaction"),
                (Some(_), None) => refused(50740, "created in a transaction, without a txnNumber"),
                (a, b) if a != b => refused(50741, "created in another transaction"),
                _ => Ok(()),
            },
        }
    }
}

impl Cursor {
    /// A cursor of documents that are there.
    pub(crate) fn held(namespace: String, documents: Vec<RawDocumentBuf>) -> Self {
        Self::new(
            namespace,
            Rows::Held(documents.into_iter()),
            None,
            Matcher::all(),
        )
    }

    pub(crate) fn new(
        namespace: String,
        rows: Rows,
        projection: Option<Projection>,
        matcher: Matcher,
    ) -> Self {
        Self {
            namespace,
            owner: Owner::default(),
            time: None,
            patient: false,
            rows,
            projection,
            matcher,
            kept: None,
            used: Duration::ZERO,
        }
    }

    /// Whether nothing is left of what is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_none() && matches!(&self.rows, Rows::Held(rest) if rest.len() == 0)
    }

    /// The next documents, and whether there may be more.
    pub(crate) fn fill(
        &mut self,
        view: &View,
        changes: Option<&Changes>,
        size: usize,
        effort: &Effort,
    ) -> Result<(RawArrayBuf, bool), CommandError> {
        let (projection, matcher) = (self.projection.as_ref(), &self.matcher);
        let mut batch = Batch::default();
        if size == 0 {
            return Ok((batch.list, true));
        }
        if let Some(document) = self.kept.take() {
            batch.add(&document);
        }
        match &mut self.rows {
            Rows::Held(rest) => {
                while batch.count < size {
                    let Some(document) = rest.next() else {
                        return Ok((batch.list, false));
                    };
                    effort.check()?;
                    let document = projected(projection, &document, Some(matcher))?;
                    if !batch.has_room(&document) {
                        self.kept = Some(document.into_owned());
                        break;
                    }
                    batch.add(&document);
                }
                Ok((batch.list, true))
            }
            Rows::Walk {
                plan,
                place,
                skip,
                left,
            } => {
                let mut walk = Walk::new(view, changes, plan, matcher, effort);
                while batch.count < size && *left > 0 {
                    let Some(found) = walk.next(place)? else {
                        return Ok((batch.list, false));
                    };
                    if *skip > 0 {
                        *skip -= 1;
                        continue;
                    }
                    *left -= 1;
                    let document = projected(projection, found.document()?, Some(matcher))?;
                    if !batch.has_room(&document) {
                        self.kept = Some(document.into_owned());
                        break;
                    }
                    batch.add(&document);
                }
                Ok((batch.list, *left > 0 || self.kept.is_some()))
            }
        }
    }

    /// Goes on with the catalogue as it is now.
    ///
    /// # Errors
    /// 175 when the collection or an index of the plan is gone.
    pub(crate) fn renew(&mut self, view: &View) -> Result<(), CommandError> {
        let Rows::Walk { plan, .. } = &mut self.rows else {
            return Ok(());
        };
        let killed = |what: String| CommandError::new(175, what);
        let found = view
            .catalog
            .by_id(plan.collection.id)
            .ok_or_else(|| killed(format!("collection dropped. UUID {}", plan.collection.uuid)))?;
        let scans = match &mut plan.access {
            Access::Nothing | Access::Collection => &mut [],
            Access::Index(scan) => std::slice::from_mut(scan),
            Access::Either(scans) => scans.as_mut_slice(),
        };
        for scan in scans {
            let Some(index) = scan.index(&plan.collection) else {
                continue;
            };
            let now = found
                .indexes
                .iter()
                .find(|other| other.id == index.id)
                .ok_or_else(|| {
                    killed(format!(
                        "query plan killed :: index '{}' dropped",
                        index.name
                    ))
                })?;
            scan.multikey = now.multikey.iter().any(|bits| *bits != 0);
        }
        Ok(())
    }
}

/// What a projection, if there is one, leaves of a document.
pub(crate) fn projected<'d>(
    projection: Option<&Projection>,
    document: &'d RawDocument,
    matcher: Option<&Matcher>,
) -> Result<Cow<'d, RawDocument>, CommandError> {
    Ok(match projection {
        Some(projection) => Cow::Owned(projection.apply(document, matcher).map_err(crate::mql)?),
        None => Cow::Borrowed(document),
    })
}

/// Documents of one reply.
#[derive(Default)]
struct Batch {
    list: RawArrayBuf,
    count: usize,
    bytes: usize,
}

impl Batch {
    fn has_room(&self, document: &RawDocument) -> bool {
        self.count == 0 || self.bytes + document.as_bytes().len() <= BATCH_BYTES_MAX
    }

    fn add(&mut self, document: &RawDocument) {
        self.count += 1;
        self.bytes += document.as_bytes().len();
        self.list.push(document);
    }
}

impl Cursors {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            idle: IDLE,
            open: Mutex::default(),
        }
    }

    /// Those of a reader who ends with them.
    pub(crate) fn lasting(clock: Arc<dyn Clock>) -> Self {
        Self {
            idle: Duration::MAX,
            ..Self::new(clock)
        }
    }

    /// Whether nobody has read a cursor for so long that it has ended.
    fn is_idle(&self, cursor: &Cursor) -> bool {
        !cursor.patient && self.clock.elapsed().saturating_sub(cursor.used) >= self.idle
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Option<Cursor>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a cursor; its id.
    pub(crate) fn open(&self, mut cursor: Cursor) -> i64 {
        cursor.used = self.clock.elapsed();
        let mut open = self.lock();
        open.retain(|_, cursor| cursor.as_ref().is_none_or(|cursor| !self.is_idle(cursor)));
        if open.len() >= CURSORS_MAX {
            let oldest = open
                .iter()
                .filter_map(|(id, cursor)| Some((cursor.as_ref()?.used, *id)))
                .min();
            if let Some((_, id)) = oldest {
                open.remove(&id);
            }
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&bson::Uuid::new().bytes()[..8]);
        // Unguessable and positive.
        let id = (i64::from_le_bytes(bytes) & i64::MAX).max(1);
        open.insert(id, Some(cursor));
        id
    }

    /// Takes a cursor to read on.
    ///
    /// # Errors
    /// 43 when there is none, 12051 when it is being read, 13 for another
    /// namespace, 50736 to 50741 for whom it does not belong to.
    pub(crate) fn take(
        &self,
        id: i64,
        namespace: &str,
        asking: &Owner,
    ) -> Result<Cursor, CommandError> {
        let mut open = self.lock();
        let missing = || CommandError::new(43, format!("cursor id {id} not found"));
        let slot = open.get_mut(&id).ok_or_else(missing)?;
        let Some(cursor) = slot else {
            let text = format!("cursor id {id} is already in use");
            return Err(CommandError::new(12051, text));
        };
        if self.is_idle(cursor) {
            open.remove(&id);
            return Err(missing());
        }
        if cursor.namespace != namespace {
            return Err(CommandError::new(
                13,
                format!(
                    "Requested getMore on namespace '{namespace}', but cursor belongs to a different namespace {}",
                    cursor.namespace
                ),
            ));
        }
        cursor.owner.check(asking, id)?;
        slot.take().ok_or_else(missing)
    }

    /// Puts a cursor back that may have more, unless it was killed meanwhile.
    pub(crate) fn put_back(&self, id: i64, mut cursor: Cursor) {
        cursor.used = self.clock.elapsed();
        if let Some(slot) = self.lock().get_mut(&id) {
            *slot = Some(cursor);
        }
    }

    /// Ends a cursor; says whether there was one.
    pub(crate) fn close(&self, id: i64) -> bool {
        self.lock().remove(&id).is_some()
    }
}
