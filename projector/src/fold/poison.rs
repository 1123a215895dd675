use schemas::event::DecodeError;
use schemas::money::MoneyError;
use schemas::rate::RateError;

/// Why an event cannot be projected. It is passed over as a whole when live, and stops a rebuild.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// Its bytes are no event that this program knows.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// Its envelope lacks an id that its type needs.
    #[error("the envelope names no {0}")]
    Missing(&'static str),
    /// Its request's id carries no time, by which its row would be found.
    #[error("the request's id is no UUIDv7")]
    NoTimeInId,
    /// A count beyond what a column holds.
    #[error("a count is too large: {0}")]
    TooLarge(u64),
    /// Rated by prices that were never published.
    #[error("price book {0} was never published")]
    UnknownPrices(u32),
    /// Prices cannot be applied to it.
    #[error("the usage cannot be rated: {0}")]
    Unratable(#[from] RateError),
    /// Sums beyond what is counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database does not take its rows.
    #[error("the rows are refused: {0}")]
    Refused(String),
}
