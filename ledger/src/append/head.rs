use sha2::{Digest, Sha256};

/// Where the log ends, who may write it, and how far the stream was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Last position appended.
    pub position: u64,
    /// Of the writer; a write under an older one fails.
    pub epoch: u64,
    /// Of the stream that is read.
    pub generation: u64,
    /// Stream sequence that was applied last; 0 before a generation's first message.
    pub stream_seq: u64,
    /// Of the message at that sequence.
    pub anchor: Option<Anchor>,
}

/// SHA-256 of a message's subject and payload: by it a stream is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor(pub [u8; 32]);

impl Anchor {
    /// Of a message.
    pub fn of(subject: &str, payload: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(subject.as_bytes()).chain_update([0]).chain_update(payload);
        Self(hash.finalize().into())
    }
}
