use std::time::Duration;

/// Whether the account's rate limit lets one more request through, and what the client is told about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Requests a minute of the account, at all gateways together.
    pub limit: u32,
    /// Requests that can be made at once now, at all gateways together, as far as this one can tell.
    pub remaining: u32,
    /// Until `remaining` is `limit` again.
    pub reset: Duration,
    /// Refused; one request is let through after this time.
    pub refused: Option<Duration>,
}
