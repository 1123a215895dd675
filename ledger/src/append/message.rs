use bytes::Bytes;

use super::head::Anchor;

/// One message of the stream, as the reader hands it to the writer.
#[derive(Clone, Debug)]
pub struct StreamMessage {
    /// Of the stream that it was read from.
    pub generation: u64,
    /// Its place there.
    pub stream_seq: u64,
    /// Where it was published.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Read out of a stream that was given up: it moves the books, not the place in the stream.
    pub recovered: bool,
}

impl StreamMessage {
    /// By which the stream is known again at this message.
    pub fn anchor(&self) -> Anchor {
        Anchor::of(&self.subject, &self.payload)
    }
}
