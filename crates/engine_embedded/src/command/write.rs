//! Writes: evaluated on a snapshot and committed, piece by piece, or added to
//! a transaction. A piece that another write came before is evaluated again.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{DateTime, RawDocument};
use engine::{Answer, CommandError, Part};

use super::modify::Operation;
use super::tally::Tally;
use super::{check_writable, collection, default_collation, time_limit, waited_for, whole};
use crate::catalog::Collection;
use crate::committer::Refused;
use crate::layout::Record;
use crate::transaction::Transaction;
use crate::walk::Effort;
use crate::write::Changes;
use crate::{Core, View};

/// Statements, or documents of one statement, that are committed as one.
pub(super) const PIECE: usize = 1_000;
/// Times that a write loses to others before it takes its turn among those
/// that lost.
const TRIES_BEFORE_TURN: u32 = 3;
/// How long a write may lose, where it does not say itself.
const PATIENCE: Duration = Duration::from_secs(600);

/// One write command outside of transactions, under way.
struct Write<'a> {
    core: &'a Arc<Core>,
    database: &'a str,
    target: &'a str,
    parse: &'a (dyn Fn(&View) -> Result<Operation, CommandError> + Sync),
    operation: Operation,
    retry: Option<Arc<Statements>>,
    journaled: Option<bool>,
    deadline: Instant,
    has_limit: bool,
}

/// The statements of a numbered write.
pub(super) struct Statements {
    pub(super) part: Part,
    numbers: Vec<i32>,
    first: i32,
    pub(super) now: DateTime,
}

impl Statements {
    fn of(part: Part, command: &RawDocument, now: DateTime) -> Result<Self, CommandError> {
        let first = whole(command, "stmtId")?.unwrap_or(0);
        let mut numbers = Vec::new();
        for number in command.get_array("stmtIds").into_iter().flatten() {
            numbers.push(number?.as_i32().unwrap_or(0));
        }
        Ok(Self {
            part,
            numbers,
            first: i32::try_from(first).unwrap_or(0),
            now,
        })
    }

    /// The number of a statement.
    pub(super) fn number(&self, index: usize) -> i32 {
        let counted = || {
            self.first
                .saturating_add(i32::try_from(index).unwrap_or(i32::MAX))
        };
        self.numbers.get(index).copied().unwrap_or_else(counted)
    }
}

/// Runs a write.
pub(super) async fn run(
    core: &Arc<Core>,
    database: &str,
    (name, target): (&str, &str),
    command: &RawDocument,
    (part, transaction, journaled): (Option<Part>, Option<Arc<Transaction>>, Option<bool>),
) -> Answer {
    check_writable(database, target)?;
    let now = core.clock.now();
    let parse = |view: &View| {
        let default = default_collation(view, database, target);
        Operation::parse(core, (name, command), now, default.as_ref())
    };
    let limit = time_limit(command)?;
    if let Some(transaction) = transaction {
        let operation = parse(&core.view.load())?;
        return within(core, &transaction, (database, target), &operation, limit).await;
    }
    let retry = match part {
        Some(part) => {
            core.transactions.number(&part, &core.view.load())?;
            Some(Arc::new(Statements::of(part, command, now)?))
        }
        None => None,
    };
    let mut write = Write {
        core,
        database,
        target,
        operation: parse(&core.view.load())?,
        parse: &parse,
        retry,
        journaled,
        deadline: Instant::now() + limit.unwrap_or(PATIENCE),
        has_limit: limit.is_some(),
    };
    if core.view.load().catalog.get(database, target).is_none() {
        if !write.operation.may_insert() {
            return write.operation.nothing();
        }
        super::create(core, database, target).await?;
    }
    write.run().await
}

impl Write<'_> {
    async fn run(&mut self) -> Answer {
        let mut whole = Tally::default();
        let mut next = 0;
        while next < self.operation.len() && !whole.stopped {
            let piece = next..self.operation.piece(next, PIECE);
            let mut tally = self.piece(piece.clone(), None).await?;
            let rest = std::mem::take(&mut tally.rest);
            whole.add(tally);
            for records in rest.chunks(PIECE) {
                if whole.stopped {
                    break;
                }
                let records = Arc::new(records.to_vec());
                whole.add(self.piece(piece.clone(), Some(records)).await?);
            }
            next = piece.end;
        }
        whole.reply(&self.operation)
    }

    /// Evaluates and commits some statements, or one on some of its records.
    async fn piece(
        &mut self,
        piece: Range<usize>,
        records: Option<Arc<Vec<Record>>>,
    ) -> Result<Tally, CommandError> {
        let (mut tries, mut turn) = (0, None);
        loop {
            let view = self.core.view.load_full();
            let Some(collection) = view.catalog.get(self.database, self.target).cloned() else {
                // Dropped in between.
                super::create(self.core, self.database, self.target).await?;
                continue;
            };
            if self.operation.default_collation() != collection.collation.as_ref() {
                // Another collection of that name, made in between.
                self.operation = (self.parse)(&view)?;
            }
            let id = collection.id;
            let (result, mut changes) = self
                .evaluate(view, collection, piece.clone(), records.clone())
                .await?;
            let blocked = changes.blocked.take();
            let conflict = match result {
                Err(_) if blocked.is_some() => None,
                Err(error) => return Err(error),
                Ok(tally) => match self.core.committer.commit(changes, self.journaled).await {
                    Ok(()) => return Ok(tally),
                    Err(Refused::Failed(error)) => return Err(error),
                    Err(Refused::Conflict) => Some(()),
                },
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(if self.has_limit {
                    CommandError::new(50, "operation exceeded time limit")
                } else {
                    CommandError::write_conflict()
                });
            }
            if let Some(owner) = blocked {
                owner.ended(left).await;
            }
            tries += 1;
            // Those who keep losing go one after another, so that each of them
            // loses only to newcomers.
            if conflict.is_some() && tries >= TRIES_BEFORE_TURN && turn.is_none() {
                turn = Some(self.core.turns.of(id).await);
            }
        }
    }

    async fn evaluate(
        &self,
        view: Arc<View>,
        collection: Arc<Collection>,
        piece: Range<usize>,
        records: Option<Arc<Vec<Record>>>,
    ) -> Result<(Result<Tally, CommandError>, Changes), CommandError> {
        let (core, operation, retry) = (
            self.core.clone(),
            self.operation.clone(),
            self.retry.clone(),
        );
        let quick = operation.is_quick();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = self.has_limit.then_some(left);
        let work = move |gone| {
            let effort = Effort::limited(limit, gone);
            let mut changes = Changes::new(view);
            let records = records.as_ref().map(|records| records.as_slice());
            let statements = (piece, records, retry.as_deref());
            let result = effort.limit(|| {
                operation.evaluate(&core, &collection, &mut changes, None, statements, &effort)
            });
            Ok((result, changes))
        };
        if quick {
            work(None)
        } else {
            waited_for(move |gone| work(Some(gone))).await
        }
    }
}

/// Adds a write to a transaction.
async fn within(
    core: &Arc<Core>,
    transaction: &Arc<Transaction>,
    (database, target): (&str, &str),
    operation: &Operation,
    limit: Option<Duration>,
) -> Answer {
    let there = transaction.with(|changes| collection(core, changes, database, target))?;
    if there.is_none() {
        if !operation.may_insert() {
            return operation.nothing();
        }
        let new = reserve(core, database, target).await?;
        transaction.with(|changes| changes.create(new))?;
    }
    transaction.with(|changes| {
        let collection = collection(core, changes, database, target)?;
        let collection = collection.ok_or_else(|| CommandError::new(26, "ns does not exist"))?;
        let statements = (0..operation.len(), None, None);
        let effort = Effort::limited(limit, None);
        let within = Some(transaction);
        let tally = effort.limit(|| {
            operation.evaluate(core, &collection, changes, within, statements, &effort)
        })?;
        tally.reply(operation)
    })
}

/// A collection that nobody else sees yet, with numbers of its own.
pub(super) async fn reserve(
    core: &Core,
    database: &str,
    target: &str,
) -> Result<Collection, CommandError> {
    let (send, wait) = tokio::sync::oneshot::channel();
    let (database, target) = (database.to_owned(), target.to_owned());
    core.committer
        .define(move |_, catalog| {
            // Nobody waits any more when this fails.
            let _ = send.send(catalog.reserve(&database, &target));
            Ok(Vec::new())
        })
        .await?;
    wait.await
        .map_err(|_| CommandError::new(1, "the collection was not made"))
}
