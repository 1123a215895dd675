//! A fixed number of connections, each of which asks again as soon as it has its answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What is asked, by whom and how hard.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// `127.0.0.1:8080`
    pub(crate) address: String,
    /// Each connection asks with these in turn, beginning with another one.
    pub(crate) keys: Arc<Vec<String>>,
    /// The same for all.
    pub(crate) body: Bytes,
    /// So many requests are under way at any time.
    pub(crate) connections: usize,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// All of them complete.
    pub(crate) answers: u64,
    /// Seconds until the last of them.
    pub(crate) seconds: f64,
}

impl Measured {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }
}

impl Load {
    /// Asks for so long; whatever is begun is ended.
    pub(crate) async fn run(&self, length: Duration) -> Result<Measured> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(self.connect().await?);
        }
        let begin = Instant::now();
        let mut all = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let first = number * self.keys.len() / self.connections;
            all.spawn(self.clone().ask_until(connection, first, begin + length));
        }
        let mut answers = 0;
        while let Some(one) = all.join_next().await {
            answers += one??;
        }
        Ok(Measured { answers, seconds: begin.elapsed().as_secs_f64() })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await.with_context(|| self.address.clone())?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its connection; nothing is owed by it.
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn ask_until(self, mut connection: SendRequest<Full<Bytes>>, first: usize, end: Instant) -> Result<u64> {
        let mut answers = 0;
        let keys = self.keys.iter().cycle().skip(first);
        for key in keys {
            if Instant::now() >= end {
                break;
            }
            let request = Request::post("/v1/chat/completions")
                .header("host", &self.address)
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/json")
                .body(Full::new(self.body.clone()))?;
            let response = connection.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
            answers += 1;
        }
        Ok(answers)
    }
}
