//! A client that sees what really comes over the wire, and knows when an answer is complete.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// $3 and $15 a million tokens.
pub(crate) const MODEL: &str = "anthropic/claude-sonnet-4.5";
/// Longer than any answer of a gateway that lives.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked, and what the simulator is to do.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) streamed: bool,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) max_tokens: u64,
    /// More wishes: `latency_ms=20 chunks=4`.
    pub(crate) wishes: String,
}

impl Ask {
    /// A whole answer to 100 tokens with as many, after so many milliseconds.
    pub(crate) fn whole(latency_ms: u64) -> Self {
        let wishes = format!("latency_ms={latency_ms}");
        Self { streamed: false, prompt_tokens: 100, completion_tokens: 100, max_tokens: 100, wishes }
    }

    /// The same in eight chunks over so many milliseconds.
    pub(crate) fn streamed(duration_ms: u64) -> Self {
        let wishes = format!("chunks=8 chunk_ms={}", duration_ms / 8);
        Self { streamed: true, wishes, ..Self::whole(0) }
    }

    /// So many, whole and streamed in turn, each over so many milliseconds.
    pub(crate) fn both(count: usize, milliseconds: u64) -> Vec<Self> {
        let one = |n| if n % 2 == 0 { Self::whole(milliseconds) } else { Self::streamed(milliseconds) };
        (0..count).map(one).collect()
    }

    /// With other figures, so that no two requests need cost the same.
    pub(crate) fn with_tokens(self, prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, ..self }
    }

    fn body(&self) -> Bytes {
        let Self { streamed, prompt_tokens, completion_tokens, max_tokens, wishes } = self;
        // No prompt has more tokens than bytes.
        let padding = "x".repeat(usize::try_from(*prompt_tokens).unwrap_or_default());
        let wishes =
            format!("{padding} simulate: prompt_tokens={prompt_tokens} completion_tokens={completion_tokens} {wishes}");
        let mut body = json!({ "model": MODEL, "max_tokens": max_tokens, "stream": streamed,
            "messages": [{ "role": "user", "content": wishes }] });
        if *streamed {
            body["stream_options"] = json!({ "include_usage": true });
        }
        Bytes::from(body.to_string())
    }
}

/// What a client heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// `x-request-id`, if an answer began.
    pub(crate) request_id: Option<String>,
    pub(crate) took: Duration,
    pub(crate) ended: Ended,
}

/// How it ended for the client.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// 200 and the whole body; a stream with its `[DONE]`. What the answer says that it used and cost, nanocredits.
    Complete { prompt_tokens: u64, completion_tokens: u64, charged: i64 },
    /// An error that says what it is.
    Refused { status: u16, code: String, retry_after: Option<u64> },
    /// The connection broke, or a stream ended with an error.
    Broken(String),
}

impl Heard {
    /// What a complete answer cost, nanocredits.
    pub(crate) fn complete(&self) -> Option<i64> {
        match self.ended {
            Ended::Complete { charged, .. } => Some(charged),
            _ => None,
        }
    }
}

/// Keeps connections; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // Each request is sent once: whether one is charged twice is what is tested.
        Self(legacy::Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build(tcp))
    }

    /// Asks, and listens to the end.
    pub(crate) async fn ask(&self, url: &str, key: &str, ask: &Ask) -> Heard {
        let begin = Instant::now();
        let mut request_id = None;
        let ended = match timeout(PATIENCE, self.listen(url, key, ask, &mut request_id)).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => Ended::Broken(format!("{error:#}")),
            Err(_) => Ended::Broken("no end in time".to_owned()),
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
        let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
        let text = std::str::from_utf8(&body)?;
        if status != 200 {
            let error: Value = serde_json::from_str(text).with_context(|| format!("{status}: {text}"))?;
            let code = error["error"]["code"].as_str().unwrap_or_default().to_owned();
            return Ok(Ended::Refused { status, code, retry_after });
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
        ensure!(chunk["error"].is_null(), "the stream says {}", chunk["error"]);
        if chunk["usage"].is_object() {
            usage = usage_of(&chunk);
        }
    }
    ensure!(done, "the stream ended without [DONE]");
    Ok(usage)
}

/// A decimal as an integer with so many decimal places.
pub(crate) fn scaled(decimal: &str, places: usize) -> Result<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    ensure!(fraction.len() <= places, "{decimal} has more than {places} decimal places");
    format!("{whole}{fraction:0<places$}").parse().with_context(|| format!("{decimal} is no decimal"))
}
