use bytes::Bytes;
use schemas::event::{Event, Header};

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

/// Why a message is no event that this ledger can read. Its envelope is known where that much can be read: then its sender
/// need not keep it any longer, and it is asked for no second time.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Who says it under which number.
    pub header: Option<Header>,
    /// Why.
    pub reason: String,
}

impl Unreadable {
    /// The event in a message.
    ///
    /// # Errors
    /// When there is none that this ledger knows: a version from the future, or nonsense.
    pub fn or_event(payload: &[u8]) -> Result<Event, Self> {
        Event::decode(payload).map_err(|error| Self { header: Header::read(payload).ok(), reason: error.to_string() })
    }
}
