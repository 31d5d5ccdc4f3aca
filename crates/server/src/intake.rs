//! Bodies, read within limits: of size, of time, and of what all of them
//! together may hold.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use kit::{Kind, Problem, limit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What the bodies of all requests in flight may hold.
const HELD_KIB_MAX: usize = 512 * 1024;
/// A body up to this size is not counted: connections are.
const UNCOUNTED_BYTES: usize = 64 * 1024;
/// The slowest pace of a body, once its patience is used up.
const BYTES_PER_SECOND_MIN: usize = 1024;

/// Reads bodies.
pub(crate) struct Intake {
    room: Arc<Semaphore>,
    patience: Duration,
}

/// A body, and its part of the room, given back when the request is done.
pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// `patience` is how long a body may take before its pace counts.
    pub(crate) fn new(patience: Duration) -> Self {
        Self::with_room(patience, HELD_KIB_MAX)
    }

    fn with_room(patience: Duration, kib: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(kib)),
            patience,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `ReadSizeLimitExceeded`; `BadRequest` for one that breaks off or comes
    /// too slowly; 503 when there is no room.
    pub(crate) async fn take<B>(&self, mut body: B) -> Result<Taken, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        // Refused before a byte is read when the client says how much it is.
        if body.size_hint().lower() > limit::BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let began = Instant::now();
        let mut taken = Taken {
            bytes: Vec::new(),
            room: None,
        };
        loop {
            let pace = Duration::from_secs((taken.bytes.len() / BYTES_PER_SECOND_MIN) as u64);
            let until = began + self.patience + pace;
            let frame = match tokio::time::timeout_at(until, body.frame()).await {
                Ok(None) => return Ok(taken),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    let problem = Problem::bad_request("the request body cannot be read");
                    return Err(problem.because(error));
                }
                Err(_) => {
                    return Err(Problem::bad_request("the request body came too slowly"));
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if taken.bytes.len() + data.len() > limit::BODY_BYTES_MAX {
                return Err(too_large());
            }
            self.count(&mut taken, data.len())?;
            taken.bytes.extend_from_slice(&data);
        }
    }

    /// Takes the room that `more` bytes need.
    fn count(&self, taken: &mut Taken, more: usize) -> Result<(), Problem> {
        let bytes = taken.bytes.len() + more;
        if bytes <= UNCOUNTED_BYTES {
            return Ok(());
        }
        let held = taken
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        // A growing vector may be twice as large as what is in it.
        let wanted = (2 * bytes.div_ceil(1024)).saturating_sub(held);
        let room = self.room.clone().try_acquire_many_owned(wanted as u32);
        let room = room.map_err(|_| {
            let text = "too many large requests are in flight, try again later";
            Problem::new(Kind::Unavailable, "", text)
        })?;
        match &mut taken.room {
            Some(held) => held.merge(room),
            none => *none = Some(room),
        }
        Ok(())
    }
}

fn too_large() -> Problem {
    Problem::new(
        Kind::TooLarge,
        "ReadSizeLimitExceeded",
        format!(
            "the request body is larger than {} bytes",
            limit::BODY_BYTES_MAX
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Bytes;
    use http_body_util::Full;

    use super::Intake;

    fn body(bytes: usize) -> Full<Bytes> {
        Full::new(Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test]
    async fn bodies_share_the_room() {
        let intake = Intake::with_room(Duration::from_secs(1), 1000);
        let first = intake.take(body(300 * 1024)).await.unwrap();
        let refused = intake.take(body(300 * 1024)).await.err().unwrap();
        assert_eq!(refused.kind, kit::Kind::Unavailable);
        // Small ones go on.
        assert!(intake.take(body(60 * 1024)).await.is_ok());
        drop(first);
        let again = intake.take(body(300 * 1024)).await.unwrap();
        assert_eq!(again.bytes.len(), 300 * 1024);
        drop(again);
        assert_eq!(intake.room.available_permits(), 1000);
    }

    #[tokio::test]
    async fn the_largest_body_fits_and_one_more_byte_does_not() {
        let intake = Intake::new(Duration::from_secs(1));
        let most = kit::limit::BODY_BYTES_MAX;
        assert_eq!(intake.take(body(most)).await.unwrap().bytes.len(), most);
        let refused = intake.take(body(most + 1)).await.err().unwrap();
        assert_eq!(refused.code, "ReadSizeLimitExceeded");
    }
}
