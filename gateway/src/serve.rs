//! Listens, answers, and at the end lets running answers run.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client that has not sent the head of its request by then is none.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// After an error of `accept` that concerns the process, not one client: out of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When streams are told to end, they settle, say so to their clients, and end within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `stop` comes, then accepts nobody and waits for what runs, at most for `drain`; then `cut` ends the streams
/// that still run.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    drain: Duration,
    cut: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).pipeline_flush(true);
    let http = Arc::new(http);
    let connections = TaskTracker::new();
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connect(&http, stream, router.clone());
                    let watched = graceful.watch(connection);
                    // What goes wrong on a connection is that connection's end and nobody else's business.
                    connections.spawn(async move { watched.await.unwrap_or_else(|error| tracing::debug!(%error, "connection.ended")) });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept.failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    tracing::info!(connections = connections.len(), "draining");
    let mut ended = std::pin::pin!(graceful.shutdown());
    if tokio::time::timeout(drain, &mut ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "drain.over");
        cut.cancel();
        // Whole answers that are still being fetched may come while the till closes.
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
    }
}

fn connect(
    http: &http1::Builder,
    stream: TcpStream,
    router: Router,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Small pieces of a stream must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay.failed");
    }
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}
