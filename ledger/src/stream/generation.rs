//! Generations of the stream. Only the ledger makes streams, and never the same one twice: the generation is committed
//! first. A stream is known again by the message at the sequence that was applied last, which is never purged.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use schemas::message::{Refusal, RefusalCode};
use schemas::subject::Cell;

use crate::append::{Anchor, Batch, Command, Outcome, Submit, Touched, answer};

/// JetStream's codes for what is definitely not there. Anything else is "unknown" and asked again.
const STREAM_NOT_FOUND: u64 = 10_059;
/// Asked so often before "not there" is believed: a server that has just started may still be reading its disk.
const ASKED: usize = 3;
const BETWEEN: Duration = Duration::from_millis(300);
/// What changes a stream may take longer than a look: a cluster places replicas and elects their leader first.
const CHANGED_WITHIN: Duration = Duration::from_secs(10);

/// Where the reader is: generation, sequence, and what the message there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the stream.
    pub generation: u64,
    /// Read last; 0 before the first.
    pub stream_seq: u64,
    /// Of that message.
    pub anchor: Option<Anchor>,
}

/// A stream that is the one that it should be.
pub enum Opened {
    /// It goes on after the place.
    Known(Stream),
    /// It is not the one that was read. What there is of it under its name.
    Lost(Option<Stream>),
}

/// Looks after the streams of a cell.
#[derive(Clone)]
pub struct Generations {
    jetstream: Context,
    /// The same, for what takes longer.
    patient: Context,
    cell: Cell,
    replicas: usize,
    max_bytes: i64,
}

impl Generations {
    /// `replicas` is 1 on one machine, 3 in a cluster; a full stream refuses at `max_bytes`.
    pub fn new(jetstream: Context, cell: Cell, replicas: usize, max_bytes: i64) -> Self {
        let mut patient = jetstream.clone();
        patient.set_timeout(CHANGED_WITHIN);
        Self { jetstream, patient, cell, replicas, max_bytes }
    }

    /// Whether the stream still is the one that was read up to this place. Errors mean "unknown", never "no".
    pub async fn open(&self, place: &Place) -> Result<Opened> {
        let Some(anchor) = place.anchor else {
            // Its number was committed and nothing of it was read: whether it was ever made is not known.
            return Ok(Opened::Lost(self.stream(place.generation).await?));
        };
        for attempt in 1..=ASKED {
            let Some(stream) = self.stream(place.generation).await? else {
                tokio::time::sleep(BETWEEN).await;
                continue;
            };
            match self.is_there(&stream, place.stream_seq, anchor).await? {
                true => return Ok(Opened::Known(stream)),
                false if attempt == ASKED => return Ok(Opened::Lost(Some(stream))),
                false => tokio::time::sleep(BETWEEN).await,
            }
        }
        Ok(Opened::Lost(None))
    }

    /// Whether the message at a sequence is the one that is known.
    pub async fn is_there(&self, stream: &Stream, stream_seq: u64, anchor: Anchor) -> Result<bool> {
        match stream.get_raw_message(stream_seq).await {
            Ok(message) => Ok(Anchor::of(&message.subject, &message.payload) == anchor),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(false),
                LastRawMessageErrorKind::JetStream(code) if code.code() == 404 => Ok(false),
                _ => Err(error).context("cannot look at the message that was applied last"),
            },
        }
    }

    /// Ends a stream: nothing more can be published to it, so what is in it is all that there will be.
    pub async fn seal(&self, stream: &Stream) -> Result<()> {
        let mut config = stream.get_info().await.context("cannot look at the stream to be sealed")?.config;
        if !config.sealed {
            config.sealed = true;
            self.patient.update_stream(config).await.context("cannot seal the stream")?;
        }
        Ok(())
    }

    /// Makes the stream of a generation that was committed just now, and its first message.
    pub async fn create(&self, generation: u64) -> Result<Stream> {
        let config = Config {
            name: self.cell.stream(generation),
            subjects: vec![self.cell.stream_subjects(generation)],
            storage: StorageType::File,
            num_replicas: self.replicas,
            discard: DiscardPolicy::New,
            max_bytes: self.max_bytes,
            // The broker's own notion of a duplicate is not trusted; no message carries an id for it.
            duplicate_window: Duration::from_millis(100),
            allow_direct: false,
            deny_delete: true,
            ..Config::default()
        };
        let name = config.name.clone();
        self.patient.create_stream(config).await.context("cannot make the stream")?;
        let birth = uuid::Uuid::now_v7().to_string();
        let sent = self.patient.publish(self.cell.birth(generation), birth.into()).await?;
        let acknowledged = sent.await.context("the new stream's first message was not acknowledged")?;
        if acknowledged.sequence != 1 {
            bail!("the new stream {name} is not empty");
        }
        self.jetstream.get_stream(name).await.context("the new stream is gone")
    }

    async fn stream(&self, generation: u64) -> Result<Option<Stream>> {
        if generation == 0 {
            return Ok(None);
        }
        match self.jetstream.get_stream(self.cell.stream(generation)).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => match error.kind() {
                async_nats::jetstream::context::GetStreamErrorKind::JetStream(code)
                    if code.error_code().0 == STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(error).context("cannot look for the stream"),
            },
        }
    }
}

/// Commits the next generation, before its stream is made.
pub struct NextGeneration {
    /// The one that was given up; nothing happens if another came after it already.
    pub after: u64,
}

impl NextGeneration {
    /// Commits it and answers with its number.
    pub(super) async fn commit(self, submit: &Submit) -> Result<u64> {
        let bytes = submit.command(self).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}

impl Command for NextGeneration {
    fn touches(&self, _: &mut Touched) {}

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let head = &mut batch.state.head;
        if head.generation != self.after {
            let message = format!("generation {} was given up before", self.after);
            return Err(Refusal { code: RefusalCode::Unavailable, message });
        }
        head.generation += 1;
        head.stream_seq = 0;
        head.anchor = None;
        answer(&head.generation)
    }
}
