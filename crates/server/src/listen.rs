//! Connections: taken, held within limits, and let go in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::metrics::Counted;
use crate::route::{Surfaces, answer};
use crate::stall::Stalling;
use crate::{Door, Patience};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 20_000;
/// Largest head of a request: tokens hold custom user data, and the query of a
/// change stream holds its filter.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Accepts connections until it is told to stop, then waits for the open ones.
pub(crate) async fn serve(
    listener: TcpListener,
    door: Door,
    surfaces: Arc<Surfaces>,
    patience: Patience,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stopped.changed() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: let some close first.
                tracing::warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (surfaces, stopped) = (surfaces.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, peer, door, surfaces, patience, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    surfaces.stop();
    let all = places.acquire_many(CONNECTIONS_MAX as u32);
    if tokio::time::timeout(patience.stop, all).await.is_err() {
        tracing::warn!("requests were still in flight when the server stopped");
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let place = places.clone().acquire_owned().await;
    let place = place.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    surfaces: Arc<Surfaces>,
    patience: Patience,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let _counted = Counted::new(&surfaces.metrics.connections);
    let stream = Stalling::new(stream, patience.write);
    let service = service_fn(|request| answer(request, peer, door, surfaces.clone()));
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        // A client that breaks off is no error of ours.
        _ = serving.as_mut() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}
