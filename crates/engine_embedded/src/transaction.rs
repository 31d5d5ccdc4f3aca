//! Sessions and their transactions: a snapshot, the writes on top of it, and
//! claims that make the second writer of a record or unique key fail at once.
//!
//! A write outside of transactions waits for whoever claimed what it wants.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::RawDocumentBuf;
use engine::{Answer, CommandError, Part, Role};
use kit::Clock;
use tokio::sync::watch;

use crate::committer::Refused;
use crate::kv::{Snapshot, Table};
use crate::layout::{self, Record};
use crate::write::{Changes, Located};
use crate::{Core, View, retry};

/// A transaction ends by itself after this.
const LIFETIME: Duration = Duration::from_secs(60);
/// Open transactions at most.
const TRANSACTIONS_MAX: usize = 10_000;
/// Sessions that are remembered at least this long after they were used.
const SESSION_LIFE: Duration = Duration::from_secs(30 * 60);
/// Sessions above which idle ones are looked for.
const SESSIONS_KEPT: usize = 1_000;

/// The sessions and what their transactions claim.
pub(crate) struct Transactions {
    clock: Arc<dyn Clock>,
    sessions: Mutex<HashMap<Vec<u8>, Session>>,
    claims: Mutex<HashMap<Claim, Arc<Transaction>>>,
}

/// What only one transaction may write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Claim {
    Record(u32, Record),
    /// The whole key of a unique index.
    Key(Vec<u8>),
}

struct Session {
    number: i64,
    state: State,
    /// When it was last used, by the engine's clock.
    used: Duration,
}

#[derive(Clone)]
enum State {
    /// The number is of writes outside of transactions.
    Retryable,
    Open(Arc<Transaction>),
    /// The commit is under way.
    Ending(Arc<Transaction>),
    Committed,
    Aborted,
}

/// One transaction.
pub(crate) struct Transaction {
    clock: Arc<dyn Clock>,
    /// When, by this clock.
    started: Duration,
    /// `None` when it has ended.
    changes: Mutex<Option<Changes>>,
    claimed: Mutex<Vec<Claim>>,
    ended: watch::Sender<bool>,
    /// Why its commit failed.
    failed: Mutex<Option<CommandError>>,
}

impl Transactions {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sessions: Mutex::default(),
            claims: Mutex::default(),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<Claim, Arc<Transaction>>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transaction of a command, begun if the command says so.
    pub(crate) fn join(
        &self,
        part: &Part,
        view: &Arc<View>,
    ) -> Result<Arc<Transaction>, CommandError> {
        let mut sessions = self.sessions();
        self.recall(&mut sessions, part, view.snapshot.as_ref())?;
        let session = sessions.get_mut(&part.id);
        if part.role != Role::Starts {
            let session = session.ok_or_else(|| no_such(part.number, -1))?;
            return self.running(session, part);
        }
        if let Some(session) = session {
            match session.number.cmp(&part.number) {
                Ordering::Greater => return Err(too_old(part, session.number)),
                Ordering::Equal => {
                    return Err(CommandError::new(
                        117,
                        "Only servers in a sharded cluster can start a new transaction at the active transaction number",
                    ));
                }
                // A newer one aborts what the session left open.
                Ordering::Less => self.abandon(session),
            }
        }
        self.sweep(&mut sessions)?;
        let mut changes = Changes::new(view.clone());
        changes.session = Some((engine::part::told(&part.id), part.number));
        let transaction = Arc::new(Transaction {
            clock: self.clock.clone(),
            started: self.clock.elapsed(),
            changes: Mutex::new(Some(changes)),
            claimed: Mutex::default(),
            ended: watch::channel(false).0,
            failed: Mutex::default(),
        });
        sessions.insert(
            part.id.clone(),
            Session {
                number: part.number,
                state: State::Open(transaction.clone()),
                used: self.clock.elapsed(),
            },
        );
        Ok(transaction)
    }

    /// The session's transaction, if it is this one and has not ended.
    fn running(
        &self,
        session: &mut Session,
        part: &Part,
    ) -> Result<Arc<Transaction>, CommandError> {
        session.used = self.clock.elapsed();
        match part.number.cmp(&session.number) {
            Ordering::Less => return Err(too_old(part, session.number)),
            Ordering::Greater => return Err(no_such(part.number, session.number)),
            Ordering::Equal => {}
        }
        self.expire(session);
        match &session.state {
            State::Open(transaction) => Ok(transaction.clone()),
            State::Committed | State::Ending(_) => Err(committed(part.number)),
            State::Aborted => Err(aborted(part.number)),
            State::Retryable => Err(no_such(part.number, session.number)),
        }
    }

    /// Takes a number for writes outside of transactions.
    pub(crate) fn number(&self, part: &Part, view: &View) -> Result<(), CommandError> {
        let mut sessions = self.sessions();
        self.recall(&mut sessions, part, view.snapshot.as_ref())?;
        self.sweep(&mut sessions)?;
        let session = sessions.entry(part.id.clone()).or_insert_with(|| Session {
            number: part.number,
            state: State::Retryable,
            used: self.clock.elapsed(),
        });
        session.used = self.clock.elapsed();
        match part.number.cmp(&session.number) {
            Ordering::Less => Err(CommandError::new(
                225,
                format!(
                    "Retryable write with txnNumber {} is prohibited on session because a newer retryable write with txnNumber {} has already started on this session.",
                    part.number, session.number
                ),
            )),
            Ordering::Equal if !matches!(session.state, State::Retryable) => {
                Err(CommandError::new(
                    217,
                    "Cannot retry a retryable write that has been converted into a transaction",
                ))
            }
            Ordering::Equal => Ok(()),
            Ordering::Greater => {
                self.abandon(session);
                session.number = part.number;
                session.state = State::Retryable;
                Ok(())
            }
        }
    }

    /// Ends what is too old, and forgets sessions that nobody used for long.
    fn sweep(&self, sessions: &mut HashMap<Vec<u8>, Session>) -> Result<(), CommandError> {
        if sessions.len() < SESSIONS_KEPT {
            return Ok(());
        }
        let (mut open, now) = (0, self.clock.elapsed());
        sessions.retain(|_, session| {
            self.expire(session);
            match session.state {
                State::Open(_) | State::Ending(_) => open += 1,
                _ => return now.saturating_sub(session.used) < SESSION_LIFE,
            }
            true
        });
        if open < TRANSACTIONS_MAX {
            return Ok(());
        }
        Err(CommandError::new(112, "too many transactions are open")
            .label("TransientTransactionError"))
    }

    /// Aborts a transaction that has been open for too long.
    fn expire(&self, session: &mut Session) {
        if let State::Open(transaction) = &session.state
            && transaction.is_old()
        {
            self.abandon(session);
        }
    }

    fn abandon(&self, session: &mut Session) {
        if let State::Open(transaction) = &session.state {
            self.finish(transaction);
            session.state = State::Aborted;
        }
    }

    /// Frees what a transaction claimed, and tells those who wait.
    fn finish(&self, transaction: &Transaction) {
        drop(transaction.take());
        let claimed = transaction
            .claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut claims = self.claims();
        for claim in claimed.iter() {
            let own = |owner: &Arc<Transaction>| std::ptr::eq(owner.as_ref(), transaction);
            if claims.get(claim).is_some_and(own) {
                claims.remove(claim);
            }
        }
        transaction.ended.send_replace(true);
    }

    /// Aborts the transaction of a failed command, as MongoDB does.
    pub(crate) fn fail(&self, part: &Part) {
        if let Some(session) = self.sessions().get_mut(&part.id)
            && session.number == part.number
        {
            self.abandon(session);
        }
    }

    /// Aborts whatever a session has open; all of them without one.
    pub(crate) fn kill(&self, id: Option<&[u8]>) {
        for (session_id, session) in self.sessions().iter_mut() {
            if id.is_none_or(|id| id == session_id) {
                self.abandon(session);
            }
        }
    }

    pub(crate) fn abort(&self, part: &Part, view: &View) -> Answer {
        let mut sessions = self.sessions();
        self.recall(&mut sessions, part, view.snapshot.as_ref())?;
        let session = sessions.get_mut(&part.id);
        let session = session.ok_or_else(|| no_such(part.number, -1))?;
        self.running(session, part)?;
        self.abandon(session);
        Ok(done())
    }

    /// The claim's owner other than `own`, if it still runs.
    fn owner(&self, claim: &Claim, own: Option<&Transaction>) -> Option<Arc<Transaction>> {
        let owner = self.claims().get(claim).cloned()?;
        let is_own = own.is_some_and(|own| std::ptr::eq(owner.as_ref(), own));
        if is_own {
            return None;
        }
        if owner.is_old() {
            self.finish(&owner);
            return None;
        }
        Some(owner)
    }

    /// Claims for a transaction, or only looks for another's claim: the one
    /// that is in the way.
    fn claim(&self, claim: Claim, own: Option<&Arc<Transaction>>) -> Result<(), Arc<Transaction>> {
        if let Some(owner) = self.owner(&claim, own.map(AsRef::as_ref)) {
            return Err(owner);
        }
        let Some(own) = own else { return Ok(()) };
        match self.claims().entry(claim.clone()) {
            std::collections::hash_map::Entry::Occupied(found) => {
                if !Arc::ptr_eq(found.get(), own) {
                    return Err(found.get().clone());
                }
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(own.clone());
                let mut claimed = own.claimed.lock().unwrap_or_else(PoisonError::into_inner);
                claimed.push(claim);
            }
        }
        Ok(())
    }

    /// Claims a record before it is written, or without a transaction makes
    /// sure that none has.
    ///
    /// # Errors
    /// `WriteConflict` when another transaction has claimed it, or for a
    /// transaction whose snapshot is older than the record.
    pub(crate) fn claim_record(
        &self,
        core: &Core,
        changes: &mut Changes,
        own: Option<&Arc<Transaction>>,
        collection: u32,
        found: &Located,
    ) -> Result<(), CommandError> {
        if let Err(owner) = self.claim(Claim::Record(collection, found.record), own) {
            changes.blocked = Some(owner);
            return Err(CommandError::write_conflict());
        }
        let (Some(_), Some(seen)) = (own, found.commit) else {
            return Ok(());
        };
        let key = layout::document_key(collection, found.record);
        let view = core.view.load();
        let present = view.snapshot.get(Table::Documents, &key)?;
        let present = present.map(|value| Ok::<_, CommandError>(layout::loaded(&value)?.0));
        if present.transpose()? == Some(seen) {
            Ok(())
        } else {
            Err(CommandError::write_conflict())
        }
    }

    /// The same for unique keys that did not exist in the snapshot.
    pub(crate) fn claim_keys(
        &self,
        core: &Core,
        changes: &mut Changes,
        own: Option<&Arc<Transaction>>,
    ) -> Result<(), CommandError> {
        for key in std::mem::take(&mut changes.fresh_keys) {
            let taken = own.is_some()
                && core
                    .view
                    .load()
                    .snapshot
                    .get(Table::Indexes, &key)?
                    .is_some()
                && changes.view.snapshot.get(Table::Indexes, &key)?.is_none();
            if let Err(owner) = self.claim(Claim::Key(key), own) {
                changes.blocked = Some(owner);
                return Err(CommandError::write_conflict());
            }
            if taken {
                return Err(CommandError::write_conflict());
            }
        }
        Ok(())
    }

    /// Makes known a session of which only the store knows.
    fn recall(
        &self,
        sessions: &mut HashMap<Vec<u8>, Session>,
        part: &Part,
        snapshot: &dyn Snapshot,
    ) -> Result<(), CommandError> {
        if sessions.contains_key(&part.id) {
            return Ok(());
        }
        if let Some(last) = retry::last(snapshot, &part.id)? {
            let state = if last.transaction {
                State::Committed
            } else {
                State::Retryable
            };
            sessions.insert(
                part.id.clone(),
                Session {
                    number: last.number,
                    state,
                    used: self.clock.elapsed(),
                },
            );
        }
        Ok(())
    }
}

/// Commits; asked again, says how it ended.
pub(crate) async fn commit(core: &Arc<Core>, part: &Part, journaled: Option<bool>) -> Answer {
    if part.role == Role::Starts {
        return Err(CommandError::new(
            263,
            "Cannot start a transaction with a commit",
        ));
    }
    let (ending, task) = {
        let transactions = &core.transactions;
        let view = core.view.load();
        let mut sessions = transactions.sessions();
        transactions.recall(&mut sessions, part, view.snapshot.as_ref())?;
        let session = sessions.get_mut(&part.id);
        let session = session.ok_or_else(|| no_such(part.number, -1))?;
        let state = session.state.clone();
        match (session.number == part.number, state) {
            (true, State::Committed) => return Ok(done()),
            (true, State::Ending(transaction)) => (transaction, None),
            _ => {
                let transaction = transactions.running(session, part)?;
                let changes = transaction.take().ok_or_else(|| aborted(part.number))?;
                session.state = State::Ending(transaction.clone());
                // It ends whether or not the caller waits for it.
                let ending = (transaction.clone(), changes);
                let end = tokio::spawn(end(core.clone(), part.clone(), ending, journaled));
                (transaction, Some(end))
            }
        }
    };
    // Errors mean that it ended and is gone. A task that is over holds nothing.
    if let Some(task) = task {
        let _ = task.await;
    } else {
        let mut ended = ending.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }
    let mut sessions = core.transactions.sessions();
    let result = sessions.get_mut(&part.id).map(|session| &session.state);
    match (ending.failure(), result) {
        (Some(error), _) => Err(error),
        (None, Some(State::Aborted)) => Err(aborted(part.number)),
        (None, _) => Ok(done()),
    }
}

async fn end(
    core: Arc<Core>,
    part: Part,
    (transaction, mut changes): (Arc<Transaction>, Changes),
    journaled: Option<bool>,
) {
    let writes = !changes.is_empty();
    if writes {
        changes
            .notes
            .push(retry::committed(&part, core.clock.now()));
    }
    let result = core.committer.commit(changes, journaled).await;
    let (state, failure) = match result {
        Ok(()) => (State::Committed, None),
        Err(Refused::Conflict) => (State::Aborted, Some(CommandError::write_conflict())),
        Err(Refused::Failed(error)) => (State::Aborted, Some(error)),
    };
    if let Some(session) = core.transactions.sessions().get_mut(&part.id)
        && session.number == part.number
    {
        session.state = state;
    }
    *transaction
        .failed
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = failure;
    core.transactions.finish(&transaction);
}

impl Transaction {
    /// How long it still has.
    fn left(&self) -> Duration {
        let age = self.clock.elapsed().saturating_sub(self.started);
        LIFETIME.saturating_sub(age)
    }

    fn is_old(&self) -> bool {
        self.left().is_zero()
    }

    /// Works on its changes; one command at a time.
    ///
    /// # Errors
    /// `NoSuchTransaction` when it has ended meanwhile.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Changes) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.ended.borrow() {
            drop(changes.take());
        }
        work(changes.as_mut().ok_or_else(gone)?)
    }

    /// Its changes, unless a command is still at work on them.
    fn take(&self) -> Option<Changes> {
        self.changes.try_lock().ok()?.take()
    }

    fn failure(&self) -> Option<CommandError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.clone()
    }

    /// Waits until it has ended, which it does at the latest when its time is
    /// up; not longer than `most`.
    pub(crate) async fn ended(&self, most: Duration) {
        let mut ended = self.ended.subscribe();
        let wait = ended.wait_for(|ended| *ended);
        // Whoever waited looks again in any case.
        let _ = tokio::time::timeout(self.left().min(most), wait).await;
    }
}

/// What a command gets of a transaction that was taken away from it.
fn gone() -> CommandError {
    CommandError::new(251, "Transaction has been aborted.").label("TransientTransactionError")
}

fn no_such(number: i64, active: i64) -> CommandError {
    CommandError::new(
        251,
        format!(
            "Given transaction number {number} does not match any in-progress transactions. The active transaction number is {active}"
        ),
    )
    .label("TransientTransactionError")
}

fn aborted(number: i64) -> CommandError {
    CommandError::new(
        251,
        format!("Transaction with {{ txnNumber: {number} }} has been aborted."),
    )
    .label("TransientTransactionError")
}

fn committed(number: i64) -> CommandError {
    CommandError::new(
        256,
        format!("Transaction with {{ txnNumber: {number} }} has been committed."),
    )
}

fn too_old(part: &Part, newer: i64) -> CommandError {
    CommandError::new(
        225,
        format!(
            "Cannot start transaction with {{ txnNumber: {} }} on session because a newer transaction with txnNumberAndRetryCounter {{ txnNumber: {newer}, txnRetryCounter: 0 }} has already started on this session.",
            part.number
        ),
    )
}

/// The reply `{ok: 1}`.
pub(crate) fn done() -> RawDocumentBuf {
    bson::rawdoc! { "ok": 1.0 }
}
