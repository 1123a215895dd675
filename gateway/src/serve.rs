//! Listens, answers, and at the end lets running answers run.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::Peer;
use crate::tls::Tls;

/// A client that has not sent the head of its request by then is none.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// The same for a client that has not agreed on TLS.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// After an error of `accept` that concerns the process, not one client: out of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When streams are told to end, they settle, say so to their clients, and end within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until `stop` comes, then accepts nobody and waits for what runs, at most for `drain`; then `cut` ends the streams
/// that still run.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
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
                Ok((stream, from)) => {
                    let (http, tls, watcher) = (http.clone(), tls.as_ref().map(Tls::acceptor), graceful.watcher());
                    let router = router.clone();
                    connections.spawn(async move {
                        // What goes wrong on a connection is that connection's end and nobody else's business.
                        if let Err(error) = connect(&http, stream, tls, from.ip(), router, watcher).await {
                            tracing::debug!(%error, "connection.ended");
                        }
                    });
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

async fn connect(
    http: &http1::Builder,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    address: IpAddr,
    router: Router,
    watcher: Watcher,
) -> anyhow::Result<()> {
    // Small pieces of a stream must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay.failed");
    }
    let service = Service { router: TowerToHyperService::new(router), peer: Peer { address, tls: tls.is_some() } };
    match tls {
        Some(tls) => {
            let stream = tokio::time::timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await??;
            watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await?;
        }
        None => watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await?,
    }
    Ok(())
}

/// The router, which is told where each request of a connection comes from.
struct Service {
    router: TowerToHyperService<Router>,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = <TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Extension;
    use axum::routing::get;
    use rcgen::CertifiedKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;
    use crate::tls::TlsFiles;

    /// A new certificate for localhost in these files, and a client that trusts only it.
    fn certify(files: &TlsFiles) -> TlsConnector {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    #[tokio::test]
    async fn tls_is_spoken_and_a_renewed_certificate_is_shown_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        let first = certify(&files);
        let tls = Tls::open(files.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }));
        let stop = CancellationToken::new();
        let drain = Duration::from_secs(5);
        let serving =
            serve(listener, Some(tls.clone()), router, stop.clone().cancelled_owned(), drain, CancellationToken::new());
        let asking = async {
            let ask = async |client: &TlsConnector| -> anyhow::Result<String> {
                let stream = TcpStream::connect(address).await?;
                let mut stream = client.connect("localhost".try_into()?, stream).await?;
                stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await?;
                Ok(heard)
            };
            let heard = ask(&first).await.unwrap();
            assert!(
                heard.starts_with("HTTP/1.1 200 OK") && heard.ends_with("Peer { address: 127.0.0.1, tls: true }"),
                "{heard}"
            );
            let second = certify(&files);
            assert!(ask(&second).await.is_err(), "not read yet");
            tls.reload().unwrap();
            assert!(ask(&second).await.unwrap().starts_with("HTTP/1.1 200 OK"));
            assert!(ask(&first).await.is_err(), "the old one is gone");
            // Nonsense changes nothing.
            std::fs::write(&files.certificate, "nonsense").unwrap();
            assert!(tls.reload().is_err());
            assert!(ask(&second).await.is_ok());
            // Who speaks no TLS is not served.
            let mut plain = TcpStream::connect(address).await.unwrap();
            plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            let mut heard = Vec::new();
            let _ = plain.read_to_end(&mut heard).await;
            assert!(!heard.starts_with(b"HTTP"), "{heard:?}");
            stop.cancel();
        };
        tokio::join!(serving, asking);
    }
}
