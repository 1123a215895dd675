use schemas::subject::Cell;

/// What the till must be told.
#[derive(Clone, Debug)]
pub struct TillConfig {
    /// One or several, separated by commas: `nats://127.0.0.1:4222`.
    pub nats_url: String,
    /// The book that this gateway's accounts are kept in.
    pub cell: Cell,
    /// Whether requests without a key may be let through on the built-in sandbox account.
    pub test_mode: bool,
}

impl TillConfig {
    /// A gateway of this cell, without test mode.
    pub fn new(nats_url: impl Into<String>, cell: Cell) -> Self {
        Self { nats_url: nats_url.into(), cell, test_mode: false }
    }
}
