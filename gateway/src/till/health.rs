use std::time::Duration;

/// Whether requests can be authorized, and if not, what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TillHealth {
    /// Connected to NATS.
    pub connected: bool,
    /// A life is registered with the ledger and authorizes.
    pub registered: bool,
    /// Generation of the stream; 0 before the first registration.
    pub generation: u64,
    /// How long ago the ledger was heard; none before the first time.
    pub ledger_heard: Option<Duration>,
    /// How full the stream is, as the ledger says.
    pub stream_used_percent: u8,
    /// Bytes of events that are not yet appended.
    pub backlog_bytes: u64,
    /// Gateway processes that were heard lately, this one among them.
    pub live_gateways: u32,
    /// Why a request would be refused now whatever its account; none if it would not.
    pub refusing: Option<&'static str>,
}

impl TillHealth {
    /// Requests can be authorized.
    pub fn ready(&self) -> bool {
        self.refusing.is_none()
    }
}
