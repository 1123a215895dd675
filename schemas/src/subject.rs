//! Names on NATS. A cell is one stream, one ledger, one database; a generation is one life of the stream.

use crate::ids::{AccountId, EmitterId};

/// Gates of one life of a gateway: so many authorizations can be in flight at a time.
pub const GATES: u16 = 64;

/// The names of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell(String);

/// Not a name for a cell.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no name for a cell: it takes letters, digits and '-', 32 at most")]
pub struct BadCellName(String);

impl Cell {
    /// A cell by its name: letters, digits and `-`, since it is a part of subjects and stream names.
    pub fn new(name: &str) -> Result<Self, BadCellName> {
        let fits = (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(Self(name.to_owned())) } else { Err(BadCellName(name.to_owned())) }
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// `LAYERS_<cell>_<generation>`.
    pub fn stream(&self, generation: u64) -> String {
        format!("LAYERS_{}_{generation}", self.0)
    }

    /// All subjects of the stream.
    pub fn stream_subjects(&self, generation: u64) -> String {
        format!("layers.{}.{generation}.>", self.0)
    }

    /// The first message of a stream, by which the ledger knows it again.
    pub fn birth(&self, generation: u64) -> String {
        format!("layers.{}.{generation}.birth", self.0)
    }

    /// Where a gateway's event of an account goes.
    pub fn event(&self, generation: u64, account: AccountId, event_type: &str) -> String {
        format!("layers.{}.{generation}.events.{account}.{event_type}", self.0)
    }

    /// All events of a stream.
    pub fn events(&self, generation: u64) -> String {
        format!("layers.{}.{generation}.events.>", self.0)
    }

    /// Gate `k` of one life.
    pub fn gate(&self, generation: u64, emitter: EmitterId, k: u16) -> String {
        format!("layers.{}.{generation}.gate.{emitter}.{k}", self.0)
    }

    /// All gates of one life.
    pub fn gates(&self, generation: u64, emitter: EmitterId) -> String {
        format!("layers.{}.{generation}.gate.{emitter}.*", self.0)
    }

    /// A command to the ledger, by name (request/reply).
    pub fn command(&self, name: &str) -> String {
        format!("layers.{}.command.{name}", self.0)
    }

    /// All commands.
    pub fn commands(&self) -> String {
        format!("layers.{}.command.*", self.0)
    }

    /// Lease requests (request/reply).
    pub fn lease(&self) -> String {
        format!("layers.{}.lease", self.0)
    }

    /// Registration of a life (request/reply).
    pub fn register(&self) -> String {
        format!("layers.{}.register", self.0)
    }

    /// Confirmation that the gates of a life are open, asked after a reconnect (request/reply).
    pub fn confirm(&self) -> String {
        format!("layers.{}.confirm", self.0)
    }

    /// Heartbeats of gateways.
    pub fn heartbeat(&self) -> String {
        format!("layers.{}.heartbeat", self.0)
    }

    /// How far the ledger is, each second and after each change of generation.
    pub fn beacon(&self) -> String {
        format!("layers.{}.beacon", self.0)
    }

    /// How far an emitter's events are appended, and what is missing.
    pub fn appended(&self, emitter: EmitterId) -> String {
        format!("layers.{}.appended.{emitter}", self.0)
    }

    /// Asks a gateway for credits that it holds unused.
    pub fn recall(&self, emitter: EmitterId) -> String {
        format!("layers.{}.recall.{emitter}", self.0)
    }

    /// Revoked keys, to every gateway; each answers.
    pub fn revoked(&self) -> String {
        format!("layers.{}.revoked", self.0)
    }

    /// Changed tiers, to every gateway.
    pub fn tier_changed(&self) -> String {
        format!("layers.{}.tier", self.0)
    }
}

/// Stands for whatever a subject can be about.
pub(crate) struct Anything {
    pub(crate) generation: u64,
    pub(crate) account: AccountId,
    pub(crate) emitter: EmitterId,
    pub(crate) gate: u16,
}

/// A subject with its variable parts in braces, as documents name it: `layers.{cell}.lease`.
pub(crate) fn address(subject: impl FnOnce(&Cell, &Anything) -> String) -> String {
    let (nil, max) = (uuid::Uuid::nil(), uuid::Uuid::max());
    let any = Anything { generation: u64::MAX, account: AccountId(nil), emitter: EmitterId(max), gate: u16::MAX };
    subject(&Cell("{cell}".to_owned()), &any)
        .replace(&any.generation.to_string(), "{generation}")
        .replace(&nil.to_string(), "{account}")
        .replace(&max.to_string(), "{emitter}")
        .replace(&any.gate.to_string(), "{gate}")
}

/// What a message of the stream is, by its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSubject {
    /// The first message.
    Birth,
    /// An event.
    Event,
    /// A gate of a life.
    Gate {
        /// Whose.
        emitter: EmitterId,
        /// Which, from 0.
        k: u16,
    },
    /// None of ours.
    Unknown,
}

impl StreamSubject {
    /// Reads a subject of the stream of any cell and generation.
    pub fn parse(subject: &str) -> Self {
        let mut parts = subject.split('.').skip(3);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("birth"), None, None) => Self::Birth,
            (Some("events"), Some(_), Some(_)) => Self::Event,
            (Some("gate"), Some(emitter), Some(k)) => match (emitter.parse(), k.parse()) {
                (Ok(emitter), Ok(k)) if k < GATES => Self::Gate { emitter, k },
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let cell = Cell::new("local").unwrap();
        let emitter: EmitterId = "0190b2a4-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(StreamSubject::parse(&cell.gate(3, emitter, 63)), StreamSubject::Gate { emitter, k: 63 });
        assert_eq!(StreamSubject::parse(&cell.event(3, AccountId(emitter.0), "UsageRecorded")), StreamSubject::Event);
        assert_eq!(StreamSubject::parse(&cell.birth(3)), StreamSubject::Birth);
        assert_eq!(StreamSubject::parse("layers.local.3.gate.x.0"), StreamSubject::Unknown);
        assert!(Cell::new("a.b").is_err() && Cell::new("").is_err());
    }
}
