//! Asks a provider for its record over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

/// A connection that is not there by then is given up.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer that is not whole by then is given up and asked for again; a month's record takes its time.
const ANSWER: Duration = Duration::from_secs(120);
/// So often it is asked in all.
const ATTEMPTS: u32 = 5;
/// Before the second attempt, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A provider that asks for a longer pause is asked again after this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// No record is as long, bytes.
const LONGEST_RECORD: usize = 1 << 30;

/// A client of one provider.
#[derive(Clone)]
pub struct Fetch {
    pool: legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    authorization: Option<HeaderValue>,
}

impl Fetch {
    /// With a key, where one is needed.
    ///
    /// # Errors
    /// When the key cannot stand in a header.
    pub fn new(api_key: Option<&str>) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
        let pool = legacy::Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let authorization = match api_key {
            None => None,
            Some(key) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                    .context("the key has characters that no header can carry")?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { pool, authorization })
    }

    /// The body at an address; `None` where the provider knows nothing of it.
    ///
    /// # Errors
    /// When it does not answer, or refuses, after all attempts.
    pub async fn get(&self, uri: &Uri) -> Result<Option<Bytes>> {
        ensure!(
            self.authorization.is_none() || may_carry_a_key(uri),
            "a key is sent over https only, or to this machine: {uri}"
        );
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let (wait, error) = match timeout(ANSWER, self.attempt(uri)).await {
                Ok(Ok(Answer::Body(body))) => return Ok(Some(body)),
                Ok(Ok(Answer::Unknown)) => return Ok(None),
                Ok(Ok(Answer::Refused(why))) => bail!("the provider refuses {uri}: {why}"),
                Ok(Ok(Answer::NotNow(wait, why))) => (wait, anyhow::anyhow!("the provider answers {why}")),
                Ok(Err(error)) => (None, error),
                Err(_) => (None, anyhow::anyhow!("the provider is silent")),
            };
            if attempt == ATTEMPTS {
                return Err(error).with_context(|| format!("asked {uri} {ATTEMPTS} times"));
            }
            sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn attempt(&self, uri: &Uri) -> Result<Answer> {
        let mut request = Request::get(uri).header(header::USER_AGENT, "layers");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = self.pool.request(request.body(Empty::new())?).await.context("no connection")?;
        let (parts, body) = response.into_parts();
        let read = Limited::new(body, LONGEST_RECORD).collect().await;
        let body = read.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
        let retry_after = parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(match parts.status {
            status if status.is_success() => Answer::Body(body),
            // 400 is how it answers an id that is not of its own form.
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Answer::Unknown,
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Answer::NotNow(retry_after.map(Duration::from_secs), status.to_string())
            }
            status => Answer::Refused(status.to_string()),
        })
    }
}

enum Answer {
    Body(Bytes),
    Unknown,
    Refused(String),
    NotNow(Option<Duration>, String),
}

fn may_carry_a_key(uri: &Uri) -> bool {
    let here = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    uri.scheme_str() == Some("https") || here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_https_or_stays_on_this_machine() {
        for (uri, may) in [
            ("https://ai-gateway.vercel.sh/v1/generation", true),
            ("http://127.0.0.1:9000/stats", true),
            ("http://ai-gateway.vercel.sh/v1/generation", false),
        ] {
            assert_eq!(may_carry_a_key(&uri.parse().unwrap()), may, "{uri}");
        }
    }
}
