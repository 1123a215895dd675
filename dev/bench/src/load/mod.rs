//! Requests, and how their answers fared.

mod closed;
mod open;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

/// What is asked, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// `127.0.0.1:8080`
    pub(crate) address: String,
    /// Connections ask with these in turn, each beginning with another one.
    pub(crate) keys: Arc<Vec<String>>,
    /// The same for all.
    pub(crate) ask: Ask,
}

/// One of the requests that the provider knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// An answer in one piece.
    Whole,
    /// A stream.
    Stream,
    /// A stream that stays open after its first chunk until the provider is told to go on.
    WaitingStream,
}

impl Ask {
    pub(crate) fn body(self) -> Bytes {
        let words = if self == Self::WaitingStream { "wait, and then all the same words" } else { "the same words" };
        let mut body = json!({ "model": "anthropic/claude-haiku-4.5", "max_tokens": 64, "messages": [{ "role": "user", "content": words }] });
        if self != Self::Whole {
            body["stream"] = true.into();
            body["stream_options"] = json!({ "include_usage": true });
        }
        body.to_string().into()
    }
}

/// What came of a load in a closed loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// All of them complete.
    pub(crate) answers: u64,
    /// Until the last of them.
    pub(crate) took: Duration,
}

impl Measured {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }
}

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200, to its end.
    Complete,
    /// 503 with `retry-after`.
    Shed,
}

/// A connection that is kept.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    body: Bytes,
    streamed: bool,
    address: String,
}

impl Load {
    /// A new connection to the address.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.address).await.with_context(|| self.address.clone())?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its connection; nothing is owed by it.
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(driver);
        let streamed = self.ask != Ask::Whole;
        Ok(Connection { sender, body: self.ask.body(), streamed, address: self.address.clone() })
    }
}

impl Connection {
    /// Asks, and reads the head of the answer.
    pub(crate) async fn begin(&mut self, key: &str) -> Result<hyper::Response<hyper::body::Incoming>> {
        let request = Request::post("/v1/chat/completions")
            .header("host", &self.address)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(self.body.clone()))?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Reads the rest of it.
    ///
    /// # Errors
    /// When it is neither an answer nor a refusal that can be tried again.
    pub(crate) async fn end(&self, response: hyper::Response<hyper::body::Incoming>) -> Result<Outcome> {
        let status = response.status();
        let says_when = response.headers().contains_key(RETRY_AFTER);
        let body = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::SERVICE_UNAVAILABLE && says_when {
            return Ok(Outcome::Shed);
        }
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
        let end: &[u8] = if self.streamed { b"data: [DONE]\n\n" } else { b"}" };
        ensure!(body.ends_with(end), "an answer ends with {:?}", body.last_chunk::<20>());
        Ok(Outcome::Complete)
    }

    async fn ask(&mut self, key: &str) -> Result<Outcome> {
        let response = self.begin(key).await?;
        self.end(response).await
    }

    async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}
