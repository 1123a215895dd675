use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::{Failure, Patience, ToAsk};
use crate::till::Hold;

/// Idle connections are given up before the providers' front ends do it (60 s is the shortest that is common), so that
/// no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept to one provider.
const MAX_IDLE: usize = 512;
/// An error's body is a sentence or two; what is longer is a page, and not for the client.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// Calls one provider, over connections that it keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    pool: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Patience,
}

/// A provider that is answering.
pub struct Answering {
    body: Incoming,
    silence: Duration,
    until: Instant,
}

impl Client {
    /// A client with no connections yet.
    pub fn new(patience: Patience) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience.connect));
        tcp.set_keepalive(Some(IDLE));
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Self { pool, patience }
    }

    /// Asks for an answer, which must be over by `until`. Takes the hold to look at: nobody is asked for money that is not set aside.
    ///
    /// # Errors
    /// When the provider does not answer in time, or answers anything but success.
    pub async fn ask(
        &self,
        hold: &Hold,
        to_ask: &ToAsk,
        body: Bytes,
        until: std::time::Instant,
    ) -> Result<Answering, Failure> {
        let until = Instant::from_std(until);
        let request = self.request(hold, to_ask, body)?;
        let first_byte = until.min(Instant::now() + self.patience.first_byte);
        let sent = timeout_at(first_byte, self.pool.request(request));
        let response = sent.await.map_err(|_| Failure::Timeout)?.map_err(|error| Failure::sending(&error))?;
        let (parts, body) = response.into_parts();
        let answering = Answering { body, silence: self.patience.silence, until };
        if parts.status.is_success() {
            return Ok(answering);
        }
        let retry_after = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        // Whatever cannot be read of an error leaves its status, which is enough to go on.
        let body = answering.whole(ERROR_BODY_LIMIT).await.unwrap_or_default();
        Err(super::refused(&to_ask.connection, parts.status, retry_after, &body))
    }

    fn request(&self, hold: &Hold, to_ask: &ToAsk, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
        let id = hold.request_id().0;
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = HeaderValue::from_str(id.as_hyphenated().encode_lower(&mut text)).map_err(|_| Failure::Unsendable)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to_ask.connection.uri(to_ask.api).clone();
        let headers = request.headers_mut();
        headers.clone_from(&to_ask.headers);
        headers.insert(header::AUTHORIZATION, to_ask.connection.authorization());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("layers"));
        headers.insert(REQUEST_ID, id);
        Ok(request)
    }
}

impl Answering {
    /// The next bytes of the answer; `None` at its end.
    ///
    /// # Errors
    /// When the provider breaks off, or is silent for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let until = self.until.min(Instant::now() + self.silence);
            match timeout_at(until, self.body.frame()).await {
                Err(_) => return Err(Failure::Timeout),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Failure::reading(&error)),
                // Trailers say nothing to us.
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole answer, up to a size.
    ///
    /// # Errors
    /// As [`Self::next`], and when it is larger.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, Failure> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(Failure::TooLarge);
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.body.is_end_stream() {
            return if first.len() > limit { Err(Failure::TooLarge) } else { Ok(first) };
        }
        let mut all = Vec::from(first);
        while let Some(more) = self.next().await? {
            if all.len() + more.len() > limit {
                return Err(Failure::TooLarge);
            }
            all.extend_from_slice(&more);
        }
        Ok(all.into())
    }
}
