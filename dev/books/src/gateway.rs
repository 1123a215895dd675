use std::collections::HashMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use ledger::append::{StreamMessage, Unreadable};
use schemas::event::{Event, EventData, Header, Source, encode};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::subject::Cell;

use crate::chance::new_id;

/// One life of a gateway, as far as what it says is concerned.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) emitter: EmitterId,
    /// Returned in all, by account, nanocredits.
    pub(crate) returned: HashMap<AccountId, i64>,
    seq: u64,
}

/// Something said that the stream has not carried yet.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    subject: String,
    bytes: Bytes,
}

/// A stream that nobody serves: it counts.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) cell: Cell,
    pub(crate) generation: u64,
    pub(crate) seq: u64,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self { emitter: EmitterId(new_id()), returned: HashMap::new(), seq: 0 }
    }

    pub(crate) fn say<T: EventData>(
        &mut self,
        stream: &Stream,
        time: DateTime<Utc>,
        account_id: AccountId,
        request_id: Option<RequestId>,
        data: &T,
    ) -> anyhow::Result<Said> {
        self.seq += 1;
        let header = Header {
            id: EventId(new_id()),
            account_id: Some(account_id),
            request_id,
            emitter: self.emitter,
            seq: self.seq,
            time,
            livemode: true,
        };
        let bytes = encode(Source::Gateway, &header, data)?.into();
        Ok(Said { subject: stream.cell.event(stream.generation, account_id, T::TYPE), bytes })
    }
}

impl Stream {
    /// Puts something into the stream, and gives it as the ledger reads it.
    pub(crate) fn carry(&mut self, said: Said) -> (StreamMessage, Option<Result<Event, Unreadable>>) {
        let event = Unreadable::or_event(&said.bytes);
        (self.message(said.subject, said.bytes), Some(event))
    }

    /// The closing of a gate, as the ledger reads it back.
    pub(crate) fn closed(&mut self, gateway: EmitterId, k: u16) -> StreamMessage {
        let subject = self.cell.gate(self.generation, gateway, k);
        self.message(subject, Bytes::from_static(ledger::life::CLOSED))
    }

    fn message(&mut self, subject: String, payload: Bytes) -> StreamMessage {
        self.seq += 1;
        StreamMessage { generation: self.generation, stream_seq: self.seq, subject, payload, recovered: false }
    }
}
