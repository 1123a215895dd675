use std::time::Duration;

/// How long an upstream is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer. Reasoning models think for minutes before it.
    pub first_byte: Duration,
    /// Between two bytes of an answer.
    pub silence: Duration,
}
