//! An answer that is kept: what is written down of it, and how it is given again.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use schemas::ids::RequestId;

use crate::error::Outcome;
use crate::sse::{self, Data, Framer};

/// Marks an answer that was given before.
const REPLAY: HeaderName = HeaderName::from_static("x-layers-idempotent-replay");

/// On a response that was given before: the request that it answered, by whose id the charge is found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again(pub(crate) RequestId);

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The request that it answered.
    pub(super) request_id: RequestId,
    pub(super) status: u16,
    /// Names and values, as far as they belong to the answer and not to the exchange.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// Headers to be kept. Ours are all text.
pub(super) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH).filter_map(text).collect()
}

/// Whether a body is a stream of events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

impl Kept {
    /// The same answer once more: a stream comes event by event again.
    pub(super) fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.append(name, value);
            }
        }
        headers.insert(REPLAY, HeaderValue::from_static("true"));
        let body = if is_stream(&headers) {
            Body::from_stream(stream::iter(events(self.body).into_iter().map(Ok::<_, Infallible>)))
        } else {
            Body::from(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        *response.headers_mut() = headers;
        response.extensions_mut().insert(Again(self.request_id));
        response.extensions_mut().insert(Outcome("replayed"));
        response
    }
}

/// The events of a stream; together they are its bytes.
fn events(body: Bytes) -> Vec<Bytes> {
    let mut framer = Framer::default();
    framer.push(body);
    let mut events = Vec::new();
    while let Ok(Some(event)) = framer.cut() {
        events.push(event);
    }
    let rest = framer.rest();
    if !rest.is_empty() {
        events.push(Bytes::copy_from_slice(rest));
    }
    events
}

/// A stream's bytes while they pass by, up to a size.
#[derive(Debug)]
pub(super) struct Recording {
    bytes: Option<BytesMut>,
    largest: usize,
}

impl Recording {
    pub(super) fn new(largest: usize) -> Self {
        Self { bytes: Some(BytesMut::new()), largest }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let fits = self.bytes.as_ref().is_some_and(|all| all.len() + bytes.len() <= self.largest);
        match &mut self.bytes {
            Some(all) if fits => all.extend_from_slice(bytes),
            _ => self.bytes = None,
        }
    }

    /// Events with data so far.
    pub(super) fn events(&self) -> u64 {
        let events = self.bytes.iter().flat_map(|bytes| events(Bytes::copy_from_slice(bytes)));
        events.filter(|event| sse::data(event) != Data::None).count() as u64
    }

    /// All that was recorded; `None` if it is more than is kept.
    pub(super) fn end(self) -> Option<Bytes> {
        self.bytes.map(BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn kept(kind: &str, body: &'static str) -> Kept {
        let headers = vec![("content-type".to_owned(), kind.to_owned()), ("x-layers-model".to_owned(), "m".to_owned())];
        Kept {
            request_id: RequestId(uuid::Uuid::nil()),
            status: 200,
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[tokio::test]
    async fn a_stream_is_one_again() {
        const ALL: &str = "data: 1\n\n: c\n\ndata: 2\r\n\r\ndata: [DONE]\n\n";
        let mut response = kept("text/event-stream; charset=utf-8", ALL).into_response();
        assert_eq!(response.headers()[REPLAY], "true");
        assert_eq!(response.headers()["x-layers-model"], "m");
        let mut frames = Vec::new();
        while let Some(frame) = response.body_mut().frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!((frames.len(), frames.concat()), (4, ALL.as_bytes().to_vec()));
    }

    #[tokio::test]
    async fn what_is_whole_stays_whole() {
        let kept = kept("application/json", "{}");
        let response = kept.clone().into_response();
        let mut lengthy = response.headers().clone();
        lengthy.insert(header::CONTENT_LENGTH, HeaderValue::from(2));
        assert!(headers(&lengthy).iter().all(|(name, _)| name != "content-length"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), kept.body);
    }

    #[test]
    fn more_than_is_kept_is_not_kept_in_part() {
        let mut recording = Recording::new(20);
        recording.push(b"data: 1\n\n: c\n\n");
        assert_eq!(recording.events(), 1);
        recording.push(b"data: 2\n\n");
        recording.push(b"x");
        assert_eq!(recording.end(), None);
    }
}
