//! Bodies of requests: whole ones, and such that are written piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::EgressError;

/// Pieces that wait until they are sent.
const PIECES_MAX: usize = 2;

enum Piece {
    Data(Bytes),
    End,
}

/// Where a body is written. Dropped before its end, it breaks the request off.
pub struct Upload(mpsc::Sender<Piece>);

impl Upload {
    /// Writes some of it, once there is room.
    ///
    /// # Errors
    /// [`EgressError::Broken`] when nobody takes it any more.
    pub async fn write(&self, bytes: Bytes) -> Result<(), EgressError> {
        self.send(Piece::Data(bytes)).await
    }

    /// Ends it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn end(&self) -> Result<(), EgressError> {
        self.send(Piece::End).await
    }

    async fn send(&self, piece: Piece) -> Result<(), EgressError> {
        self.0.send(piece).await.map_err(|_| EgressError::Broken {
            why: "the request is over".to_owned(),
            code: "EPIPE",
        })
    }
}

/// The body that an [`Upload`] writes.
pub struct Uploaded {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes that were announced and have not come yet.
    left: Option<u64>,
    ended: bool,
}

/// A body to be written, of as many bytes if that is known.
pub fn upload(bytes: Option<u64>) -> (Upload, Uploaded) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let body = Uploaded {
        pieces,
        left: bytes,
        ended: false,
    };
    (Upload(sender), body)
}

/// A request's body.
pub(crate) enum Outgoing {
    Whole(Bytes),
    Pieces(Uploaded),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let pieces = match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
            }
            Self::Pieces(pieces) => pieces,
        };
        if pieces.ended {
            return Poll::Ready(None);
        }
        let wrong = |why: &str| Poll::Ready(Some(Err(io::Error::other(why.to_owned()))));
        match ready!(pieces.pieces.poll_recv(cx)) {
            Some(Piece::Data(bytes)) => {
                if let Some(left) = &mut pieces.left {
                    match left.checked_sub(bytes.len() as u64) {
                        Some(rest) => *left = rest,
                        None => return wrong("more was written than was announced"),
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Piece::End) if pieces.left.is_none_or(|left| left == 0) => {
                pieces.ended = true;
                Poll::Ready(None)
            }
            Some(Piece::End) => wrong("less was written than was announced"),
            None => wrong("the request was given up"),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Pieces(pieces) => pieces.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(pieces) => pieces.left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}
