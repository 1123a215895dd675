use super::Error;

/// What a request cost that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// Nothing.
    No,
    /// What it used.
    Yes,
    /// The books say.
    Unknown,
}

impl Error {
    /// What a request cost that failed so.
    pub fn charged(&self) -> Charged {
        match self {
            Self::UpstreamCharged(_) | Self::StoppingCharged | Self::SettlementUnconfirmed => Charged::Yes,
            Self::Crashed => Charged::Unknown,
            // Everything else comes before the provider is asked, or with the release of the hold.
            _ => Charged::No,
        }
    }
}
