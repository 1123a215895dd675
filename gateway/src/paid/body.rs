use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// The largest body that is taken, bytes. Images come in it.
pub(crate) const LIMIT: usize = 10 * 1024 * 1024;
/// A body that is too large is read and forgotten up to here, so that a client that is still sending can read the answer
/// before the connection closes.
const READ_AND_FORGET: usize = 4 * LIMIT;

/// Reads the body of a request, which must have come whole in this time.
pub(crate) async fn read(request: Request, patience: Duration) -> Result<Bytes, Error> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Error::PackedBody);
    }
    let mut body = request.into_body();
    if body.size_hint().lower() > READ_AND_FORGET as u64 {
        return Err(Error::TooLarge);
    }
    let until = Instant::now() + patience;
    let Some(first) = next(&mut body, until).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() && first.len() <= LIMIT {
        return Ok(first);
    }
    let mut size = first.len();
    let mut all = Vec::with_capacity(first.len() + usize::try_from(body.size_hint().lower()).unwrap_or(0).min(LIMIT));
    all.extend_from_slice(&first);
    while let Some(more) = next(&mut body, until).await? {
        size += more.len();
        if size > READ_AND_FORGET {
            break;
        }
        if size <= LIMIT {
            all.extend_from_slice(&more);
        }
    }
    if size > LIMIT { Err(Error::TooLarge) } else { Ok(all.into()) }
}

async fn next(body: &mut Body, until: Instant) -> Result<Option<Bytes>, Error> {
    loop {
        match timeout_at(until, body.frame()).await {
            Err(_) => return Err(Error::BodyTimeout),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Error::BodyUnreadable),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn of(size: usize) -> Request {
        let piece = Bytes::from(vec![b'x'; size / 2]);
        let pieces = [piece.clone(), piece].map(Ok::<_, std::convert::Infallible>);
        Request::new(Body::from_stream(futures_util::stream::iter(pieces)))
    }

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_limit() {
        assert_eq!(read(of(LIMIT), PATIENCE).await.unwrap().len(), LIMIT);
        assert!(matches!(read(of(LIMIT + 2), PATIENCE).await, Err(Error::TooLarge)));
        assert!(matches!(read(of(READ_AND_FORGET + 2), PATIENCE).await, Err(Error::TooLarge)));
        assert!(read(Request::new(Body::empty()), PATIENCE).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_packed_is_not_taken() {
        let mut request = of(10);
        request.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(matches!(read(request, PATIENCE).await, Err(Error::PackedBody)));
    }
}
