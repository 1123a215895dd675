use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// So many pieces wait for a slow client before the provider is no longer read.
const WAITING: usize = 32;

/// The client's end of a stream: what the pump sends is the body of the response. Dropped with the connection, which is
/// how the pump learns that the client is gone.
pub(crate) struct Channel(mpsc::Receiver<Bytes>);

/// A stream's two ends.
pub(crate) fn channel() -> (mpsc::Sender<Bytes>, Channel) {
    let (pump, client) = mpsc::channel(WAITING);
    (pump, Channel(client))
}

impl Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
