//! Multi-document transactions: a snapshot, the writes on top of it, and
//! intents that make the second writer of a record fail at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf, cstr};
use engine::CommandError;

use crate::kv::Table;
use crate::layout::{self, Record};
use crate::write::{Changes, Located};
use crate::{Core, View};

/// A transaction ends by itself after this.
const LIFETIME: Duration = Duration::from_secs(60);
/// Open transactions at most.
const TRANSACTIONS_MAX: usize = 10_000;

/// The open transactions.
#[derive(Default)]
pub(crate) struct Transactions {
    open: Mutex<HashMap<Vec<u8>, Arc<Transaction>>>,
    intents: Mutex<HashMap<(u32, Record), Vec<u8>>>,
}

/// One open transaction.
pub(crate) struct Transaction {
    id: Vec<u8>,
    number: i64,
    started: Instant,
    pub(crate) changes: Mutex<Option<Changes>>,
}

/// What a command says of its transaction.
pub(crate) struct Part {
    id: Vec<u8>,
    number: i64,
    starts: bool,
}

impl Part {
    /// Reads `lsid`, `txnNumber`, `autocommit` and `startTransaction`; `None`
    /// for a command outside a transaction.
    pub(crate) fn of(command: &RawDocument) -> Result<Option<Self>, CommandError> {
        if !matches!(command.get("autocommit")?, Some(RawBsonRef::Boolean(false))) {
            return Ok(None);
        }
        let id = command
            .get_document("lsid")
            .map_err(|_| CommandError::new(72, "a transaction needs an 'lsid'"))?;
        let number = match command.get("txnNumber")? {
            Some(RawBsonRef::Int64(n)) => n,
            Some(RawBsonRef::Int32(n)) => n.into(),
            _ => return Err(CommandError::new(72, "a transaction needs a 'txnNumber'")),
        };
        Ok(Some(Self {
            id: id.as_bytes().to_vec(),
            number,
            starts: matches!(
                command.get("startTransaction")?,
                Some(RawBsonRef::Boolean(true))
            ),
        }))
    }
}

fn no_such(number: i64) -> CommandError {
    CommandError::new(
        251,
        format!("Given transaction number {number} does not match any in-progress transactions."),
    )
    .label("TransientTransactionError")
}

impl Transactions {
    /// The transaction of a command, begun if the command says so.
    pub(crate) fn join(
        &self,
        part: &Part,
        view: &Arc<View>,
    ) -> Result<Arc<Transaction>, CommandError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if part.starts {
            open.retain(|_, transaction| {
                let alive = transaction.started.elapsed() < LIFETIME;
                if !alive {
                    self.forget(&transaction.id);
                }
                alive
            });
            if open.len() >= TRANSACTIONS_MAX {
                return Err(CommandError::new(112, "too many open transactions")
                    .label("TransientTransactionError"));
            }
            self.forget(&part.id);
            let mut changes = Changes::new(view.clone());
            changes.session = Some((told(&part.id)?, part.number));
            let transaction = Arc::new(Transaction {
                id: part.id.clone(),
                number: part.number,
                started: Instant::now(),
                changes: Mutex::new(Some(changes)),
            });
            open.insert(part.id.clone(), transaction.clone());
            return Ok(transaction);
        }
        match open.get(&part.id) {
            Some(found) if found.number == part.number && found.started.elapsed() < LIFETIME => {
                Ok(found.clone())
            }
            _ => Err(no_such(part.number)),
        }
    }

    /// Ends a transaction and hands over its changes.
    pub(crate) fn end(&self, part: &Part) -> Result<Changes, CommandError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match open.get(&part.id) {
            Some(found) if found.number == part.number => open.remove(&part.id),
            _ => None,
        };
        let found = found.ok_or_else(|| no_such(part.number))?;
        self.forget(&part.id);
        if found.started.elapsed() >= LIFETIME {
            return Err(no_such(part.number));
        }
        let mut changes = found.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.take().ok_or_else(|| no_such(part.number))
    }

    fn forget(&self, id: &[u8]) {
        let mut intents = self.intents.lock().unwrap_or_else(PoisonError::into_inner);
        intents.retain(|_, owner| owner != id);
    }
}

impl Transaction {
    /// Claims a record before it is written.
    ///
    /// # Errors
    /// `WriteConflict` when another transaction has claimed it, or the record
    /// changed after the snapshot.
    pub(crate) fn claim(
        &self,
        core: &Core,
        collection: u32,
        found: &Located,
    ) -> Result<(), CommandError> {
        {
            let mut intents = core
                .transactions
                .intents
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let owner = intents
                .entry((collection, found.record))
                .or_insert_with(|| self.id.clone());
            if *owner != self.id {
                return Err(CommandError::write_conflict());
            }
        }
        let Some(seen) = found.commit else {
            return Ok(());
        };
        let key = layout::document_key(collection, found.record);
        let present = core.view.load().snapshot.get(Table::Documents, &key)?;
        let commit = present
            .map(layout::loaded)
            .transpose()?
            .map(|(commit, _)| commit);
        if commit == Some(seen) {
            Ok(())
        } else {
            Err(CommandError::write_conflict())
        }
    }
}

/// SHA-256 of the name of nobody, whom MongoDB takes a caller without a name
/// for.
const NOBODY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A session as events name it.
fn told(lsid: &[u8]) -> Result<RawDocumentBuf, CommandError> {
    let mut session = RawDocumentBuf::new();
    if let Some(id) = RawDocument::from_bytes(lsid)?.get("id")? {
        session.append(cstr!("id"), id);
    }
    let uid = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: NOBODY.to_vec(),
    };
    session.append(cstr!("uid"), uid);
    Ok(session)
}

/// The reply `{ok: 1}`.
pub(crate) fn done() -> RawDocumentBuf {
    bson::rawdoc! { "ok": 1.0 }
}
