//! A client that sees what really comes over the wire, and knows when an answer is complete.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::ask::{Ask, Leaves};

/// Longer than any answer of a gateway that lives.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a client heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `x-request-id`, if an answer began.
    pub request_id: Option<String>,
    /// From the first to the last byte.
    pub took: Duration,
    /// How it ended.
    pub ended: Ended,
}

/// How it ended for the client.
#[derive(Debug, Clone)]
pub enum Ended {
    /// 200 and the whole body; a stream with its `[DONE]`.
    Complete {
        /// As the answer says.
        prompt_tokens: u64,
        /// As the answer says.
        completion_tokens: u64,
        /// What it cost as the answer says, nanocredits.
        charged: i64,
    },
    /// An error that says what it is.
    Refused {
        /// Of the answer.
        status: u16,
        /// `error.code`
        code: String,
        /// Seconds.
        retry_after: Option<u64>,
        /// What would have been set aside, nanocredits, where there was too little.
        needed: Option<i64>,
    },
    /// The connection broke, or a stream ended with an error.
    Broken(String),
    /// The client went before the end.
    Left,
    /// Nothing came for so long that nothing will.
    Hung,
}

impl Ended {
    /// In short: `complete`, `503 authorization_unavailable`, `the answer broke off` …
    pub fn name(&self) -> String {
        match self {
            Self::Complete { .. } => "complete".to_owned(),
            Self::Refused { status, code, .. } => format!("{status} {code}"),
            Self::Broken(why) => why.split(':').next().unwrap_or_default().to_owned(),
            Self::Left => "left".to_owned(),
            Self::Hung => "hung".to_owned(),
        }
    }
}

impl Heard {
    /// What a complete answer cost, nanocredits.
    pub fn complete(&self) -> Option<i64> {
        match self.ended {
            Ended::Complete { charged, .. } => Some(charged),
            _ => None,
        }
    }
}

/// Keeps connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Default for Client {
    fn default() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // Each request is sent once: whether one is charged twice is what is tested.
        Self(legacy::Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(tcp))
    }
}

impl Client {
    /// Asks, and listens to the end, or until this client goes.
    pub async fn ask(&self, url: &str, key: &str, ask: &Ask) -> Heard {
        let begin = Instant::now();
        let mut request_id = None;
        let patience = match ask.leaves {
            Some(Leaves::After(time)) => time,
            _ => PATIENCE,
        };
        let ended = match timeout(patience, self.listen(url, key, ask, &mut request_id)).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => Ended::Broken(format!("{error:#}")),
            Err(_) if patience < PATIENCE => Ended::Left,
            Err(_) => Ended::Hung,
        };
        Heard { request_id, took: begin.elapsed(), ended }
    }

    async fn listen(&self, url: &str, key: &str, ask: &Ask, request_id: &mut Option<String>) -> Result<Ended> {
        let request = Request::post(format!("{url}/v1/chat/completions"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(ask.body()))?;
        let response = self.0.request(request).await.context("no answer")?;
        let header = |response: &Response<Incoming>, name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        *request_id = header(&response, "x-request-id");
        let status = response.status().as_u16();
        let retry_after = header(&response, "retry-after").and_then(|seconds| seconds.parse().ok());
        let events = match ask.leaves {
            Some(Leaves::AfterEvents(events)) if status == 200 => Some(events),
            _ => None,
        };
        let Some(body) = read(response.into_body(), events).await? else { return Ok(Ended::Left) };
        let text = std::str::from_utf8(&body)?;
        if status != 200 {
            let error: Value = serde_json::from_str(text).with_context(|| format!("{status}: {text}"))?;
            let code = error["error"]["code"].as_str().unwrap_or_default().to_owned();
            let needed = error["error"]["credits_needed"].as_str().map(|needed| scaled(needed, 9)).transpose()?;
            return Ok(Ended::Refused { status, code, retry_after, needed });
        }
        let usage = if ask.streamed { usage_of_stream(text)? } else { usage_of(&serde_json::from_str(text)?) };
        let tokens = |name: &str| usage[name].as_u64().with_context(|| format!("no {name} in {usage}"));
        Ok(Ended::Complete {
            prompt_tokens: tokens("prompt_tokens")?,
            completion_tokens: tokens("completion_tokens")?,
            charged: scaled(usage["cost_credits"].as_str().context("no cost_credits")?, 9)?,
        })
    }
}

/// The whole body; none if so many events of it came, and it was left.
async fn read(mut body: Incoming, events: Option<usize>) -> Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the answer broke off")?.into_data() {
            read.extend_from_slice(&data);
        }
        let come = || read.windows(2).filter(|two| two == b"\n\n").count();
        if events.is_some_and(|events| come() >= events) {
            return Ok(None);
        }
    }
    Ok(Some(read))
}

fn usage_of(answer: &Value) -> Value {
    answer["usage"].clone()
}

/// The usage that a stream tells; an error if the stream is not complete.
fn usage_of_stream(text: &str) -> Result<Value> {
    let mut usage = Value::Null;
    let mut done = false;
    for event in text.split("\n\n") {
        let Some(data) = event.strip_prefix("data: ") else { continue };
        ensure!(!done, "something follows [DONE]: {data}");
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data)?;
        if !chunk["error"].is_null() {
            bail!("the stream says {}", chunk["error"]["code"]);
        }
        if chunk["usage"].is_object() {
            usage = usage_of(&chunk);
        }
    }
    ensure!(done, "the stream ended without [DONE]");
    Ok(usage)
}

/// A decimal as an integer with so many decimal places.
///
/// # Errors
/// When it is none, or has more.
pub fn scaled(decimal: &str, places: usize) -> Result<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    ensure!(fraction.len() <= places, "{decimal} has more than {places} decimal places");
    format!("{whole}{fraction:0<places$}").parse().with_context(|| format!("{decimal} is no decimal"))
}
