//! Pooled connections, bodies passed on as they come; nothing is parsed, checked, counted or written down. What is built on the
//! same HTTP library cannot be faster.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};

type Pool = Client<HttpConnector, Incoming>;

/// Whom it passes requests on to.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    provider: Authority,
}

/// Proxies until it is killed.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool: Pool = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(usize::MAX).build(connector);
    let listener = super::listen().await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (pool, provider) = (pool.clone(), options.provider.clone());
        let service = service_fn(move |request| {
            let (pool, provider) = (pool.clone(), provider.clone());
            async move { Ok::<_, Infallible>(forward(request, &pool, provider).await) }
        });
        // A client that breaks off is none of its business.
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

async fn forward(
    mut request: Request<Incoming>,
    pool: &Pool,
    provider: Authority,
) -> Response<Either<Incoming, Empty<Bytes>>> {
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(provider).path_and_query(path).build();
    let answer = async {
        *request.uri_mut() = uri.ok()?;
        request.headers_mut().remove(HOST);
        request.headers_mut().remove(CONNECTION);
        pool.request(request).await.ok()
    };
    match answer.await {
        Some(mut response) => {
            response.headers_mut().remove(CONNECTION);
            response.headers_mut().remove(TRANSFER_ENCODING);
            response.map(Either::Left)
        }
        None => {
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
