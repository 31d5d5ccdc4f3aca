//! Sessions for writes that may be sent twice.
//!
//! A server recognises the second try of a write by session and number. The
//! driver numbers the writes of its typed methods only, and those do not take
//! every command; so we number ours. The driver uses a session's numbers from
//! 1 for transactions, and a server refuses a number below one it has seen:
//! our sessions therefore start far above, and never go back to the driver.

use std::sync::{Mutex, PoisonError};

use mongodb::{Client, ClientSession};
use tokio::sync::Semaphore;

/// Most writes that run at the same time; more wait, as they would for a
/// connection.
const SESSIONS_MAX: usize = 1024;
/// The first number of a session.
const FIRST: i64 = 1 << 40;

pub(crate) struct Numbered {
    free: Mutex<Vec<Lane>>,
    permits: Semaphore,
}

struct Lane {
    session: ClientSession,
    number: i64,
}

/// A session with a new number, given back when dropped.
pub(crate) struct Turn<'a> {
    numbered: &'a Numbered,
    lane: Option<Lane>,
    _permit: Option<tokio::sync::SemaphorePermit<'a>>,
}

impl Numbered {
    pub(crate) fn new() -> Self {
        Self {
            free: Mutex::default(),
            permits: Semaphore::new(SESSIONS_MAX),
        }
    }

    pub(crate) async fn turn(&self, client: &Client) -> Result<Turn<'_>, mongodb::error::Error> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.ok();
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut lane = match free {
            Some(lane) => lane,
            None => Lane {
                session: client.start_session().causal_consistency(false).await?,
                number: FIRST,
            },
        };
        lane.number += 1;
        Ok(Turn {
            numbered: self,
            lane: Some(lane),
            _permit: permit,
        })
    }
}

impl Turn<'_> {
    pub(crate) fn parts(&mut self) -> Option<(&mut ClientSession, i64)> {
        let lane = self.lane.as_mut()?;
        Some((&mut lane.session, lane.number))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.numbered
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(lane);
        }
    }
}
