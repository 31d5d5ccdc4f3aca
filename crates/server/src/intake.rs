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

/// What the bodies of all requests in flight may hold, read and parsed. One
/// that would need all of it is too large.
const HELD_KIB_MAX: usize = 512 * 1024;
/// What a body may hold without being counted: connections are.
const UNCOUNTED_BYTES: usize = 64 * 1024;
/// What a value of a parsed body takes, with the copy that is logged.
const VALUE_BYTES: usize = 512;
/// The slowest pace of a body, once its patience is used up.
const BYTES_PER_SECOND_MIN: usize = 1024;

/// Reads bodies.
pub(crate) struct Intake {
    room: Arc<Semaphore>,
    kib: usize,
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
            kib,
            patience,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `ReadSizeLimitExceeded`; `BadRequest` for one that breaks off or comes
    /// too slowly; 503 when there is no room for too long.
    pub(crate) async fn take<B>(&self, body: B) -> Result<Taken, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut taken = self.collect(body, limit::BODY_BYTES_MAX).await?;
        let parsed = VALUE_BYTES * values_max(&taken.bytes);
        let bytes = taken.bytes.len();
        self.hold(&mut taken, bytes + parsed).await?;
        Ok(taken)
    }

    /// Reads a body with a file in it, of at most so many bytes.
    ///
    /// # Errors
    /// As for [`Intake::take`].
    pub(crate) async fn take_upload<B>(&self, body: B, most: usize) -> Result<Taken, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let most = most + limit::UPLOAD_ENVELOPE_BYTES_MAX;
        let mut taken = self.collect(body, most).await?;
        // The body, and the file taken out of it.
        let bytes = 2 * taken.bytes.len();
        self.hold(&mut taken, bytes).await?;
        Ok(taken)
    }

    async fn collect<B>(&self, mut body: B, most: usize) -> Result<Taken, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        // Refused before a byte is read when the client says how much it is.
        let told = body.size_hint().lower();
        if told > most as u64 {
            return Err(too_large(most));
        }
        let mut taken = Taken {
            bytes: Vec::new(),
            room: None,
        };
        self.hold(&mut taken, told as usize).await?;
        let began = Instant::now();
        loop {
            let pace = Duration::from_secs((taken.bytes.len() / BYTES_PER_SECOND_MIN) as u64);
            let until = began + self.patience + pace;
            let frame = match tokio::time::timeout_at(until, body.frame()).await {
                Ok(None) => break,
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
            let bytes = taken.bytes.len() + data.len();
            if bytes > most {
                return Err(too_large(most));
            }
            // A growing vector may be twice as large as what is in it.
            self.hold(&mut taken, 2 * bytes).await?;
            taken.bytes.extend_from_slice(&data);
        }
        Ok(taken)
    }

    /// Waits for room for a body that holds so much.
    async fn hold(&self, taken: &mut Taken, bytes: usize) -> Result<(), Problem> {
        let kib = bytes.div_ceil(1024);
        if kib >= self.kib {
            return Err(Problem::new(
                Kind::TooLarge,
                "ReadSizeLimitExceeded",
                "the request body holds too many values",
            ));
        }
        let held = taken
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes <= UNCOUNTED_BYTES || kib <= held {
            return Ok(());
        }
        let room = self.room.clone().acquire_many_owned((kib - held) as u32);
        let Ok(Ok(room)) = tokio::time::timeout(self.patience, room).await else {
            let text = "too many large requests are in flight, try again later";
            return Err(Problem::new(Kind::Unavailable, "", text));
        };
        match &mut taken.room {
            Some(held) => held.merge(room),
            none => *none = Some(room),
        }
        Ok(())
    }
}

/// As many values as a text may have, if it is JSON: a few bytes of text become
/// a value of many.
fn values_max(text: &[u8]) -> usize {
    text.iter()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
        .count()
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        "ReadSizeLimitExceeded",
        format!("the request body is larger than {most} bytes"),
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
        let intake = Intake::with_room(Duration::from_millis(20), 1000);
        let first = intake.take(body(300 * 1024)).await.unwrap();
        let refused = intake.take(body(300 * 1024)).await.err().unwrap();
        assert_eq!(refused.kind, kit::Kind::Unavailable);
        // Small ones go on.
        assert!(intake.take(body(30 * 1024)).await.is_ok());
        drop(first);
        let again = intake.take(body(300 * 1024)).await.unwrap();
        assert_eq!(again.bytes.len(), 300 * 1024);
        drop(again);
        assert_eq!(intake.room.available_permits(), 1000);
    }

    #[tokio::test]
    async fn a_body_waits_for_room() {
        let intake = Intake::with_room(Duration::from_secs(20), 1000);
        let first = intake.take(body(300 * 1024)).await.unwrap();
        let later = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(intake.take(body(300 * 1024)), later);
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn values_count_for_what_they_become() {
        let intake = Intake::with_room(Duration::from_millis(20), 1000);
        let list = |values: usize| Full::new(Bytes::from("0,".repeat(values)));
        let taken = intake.take(list(1000)).await.unwrap();
        let room = taken.room.as_ref().unwrap().num_permits();
        assert_eq!(room, (1000 * super::VALUE_BYTES + 2000).div_ceil(1024));
        let refused = intake.take(list(2000)).await.err().unwrap();
        assert_eq!(refused.code, "ReadSizeLimitExceeded");
        for part in ["[[]", "{{}", "[{}"] {
            let nested = Full::new(Bytes::from(part.repeat(2000)));
            let refused = intake.take(nested).await.err().unwrap();
            assert_eq!(refused.code, "ReadSizeLimitExceeded", "{part}");
        }
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
