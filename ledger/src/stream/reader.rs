//! Reads the stream in its order and hands it to the writer.
//!
//! | phase | what can go wrong, and then |
//! |---|---|
//! | open | the stream is not the one that was read: it is sealed, read whole, and the next generation begins |
//! | follow | a sequence is left out, or the connection was made anew: open again |
//! | check | before a chunk is handed over, the message before it must still be there: else open again |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use schemas::subject::StreamSubject;
use tokio::sync::{Notify, watch};

use super::generation::{Generations, NextGeneration, Opened, Place};
use super::nats::Nats;
use crate::append::{Head, Item, StreamMessage, Submit, Unreadable};

/// As many messages as are looked at together.
const CHUNK: usize = 500;
const RETRY: Duration = Duration::from_millis(300);
/// With nothing to read, the stream is looked at so often.
const IDLE: Duration = Duration::from_secs(1);

/// What others may know of the reader.
#[derive(Clone, Default)]
pub struct Reading {
    /// It follows a stream that it has looked at since the last reconnect.
    following: Arc<AtomicBool>,
    /// Messages in the stream that it has not handed over yet, when it looked last.
    pending: Arc<AtomicU64>,
    /// How long the last message that it read had been in the stream, milliseconds.
    lag_ms: Arc<AtomicU64>,
    /// The stream that it follows, for those who look after gates.
    stream: Arc<parking_lot::Mutex<Option<(u64, Stream)>>>,
    /// Told at each opening, so that silence is counted anew.
    pub opened: Arc<Notify>,
}

impl Reading {
    /// It reads the right stream, and has read all that there was when it looked last.
    pub fn caught_up(&self) -> bool {
        self.following() && self.pending.load(Ordering::Relaxed) == 0
    }

    /// It reads the right stream.
    pub fn following(&self) -> bool {
        self.following.load(Ordering::Acquire)
    }

    /// Messages that are still to be read.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// How long the last message that was read had been in the stream, milliseconds.
    pub fn lag_ms(&self) -> u64 {
        self.lag_ms.load(Ordering::Relaxed)
    }

    /// The stream that is followed, and its generation.
    pub fn stream(&self) -> Option<(u64, Stream)> {
        if self.following() { self.stream.lock().clone() } else { None }
    }
}

/// The one task that reads.
pub struct Reader {
    nats: Nats,
    generations: Generations,
    submit: Submit,
    reading: Reading,
    place: Place,
    connections: watch::Receiver<u64>,
}

impl Reader {
    /// Goes on from the log's end.
    pub fn new(nats: Nats, generations: Generations, submit: Submit, head: &Head, reading: Reading) -> Self {
        let place = Place { generation: head.generation, stream_seq: head.stream_seq, anchor: head.anchor };
        let connections = nats.connections.clone();
        Self { nats, generations, submit, reading, place, connections }
    }

    /// Reads for ever; whatever goes wrong, it opens the stream again.
    pub async fn run(mut self) -> Result<()> {
        loop {
            if let Err(error) = self.follow().await {
                tracing::warn!(error = %format!("{error:#}"), "the stream is opened again");
            }
            self.reading.following.store(false, Ordering::Release);
            if self.submit.is_closed() {
                return Ok(());
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn follow(&mut self) -> Result<()> {
        self.connections.mark_unchanged();
        let stream = self.open().await?;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.place.stream_seq + 1 },
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.context("cannot read the stream")?;
        let messages = consumer.messages().await.context("cannot read the stream")?;
        let mut chunks = messages.ready_chunks(CHUNK);
        *self.reading.stream.lock() = Some((self.place.generation, stream.clone()));
        self.reading.following.store(true, Ordering::Release);
        self.reading.opened.notify_waiters();
        tracing::info!(generation = self.place.generation, stream.seq = self.place.stream_seq, "reading the stream");
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk.context("the consumer ended")?,
                changed = self.connections.changed() => {
                    changed?;
                    bail!("the connection was made anew");
                }
                () = tokio::time::sleep(IDLE) => Vec::new(),
            };
            let mut read = Vec::with_capacity(chunk.len());
            let mut last = self.place.stream_seq;
            for message in chunk {
                let message = message.context("the consumer failed")?;
                let info = message.info().map_err(|error| anyhow::anyhow!("a message without its place: {error}"))?;
                if info.stream_sequence != last + 1 {
                    bail!("sequence {} follows {last}", info.stream_sequence);
                }
                last = info.stream_sequence;
                self.reading.pending.store(info.pending, Ordering::Relaxed);
                let age_ms =
                    chrono::Utc::now().timestamp_millis() - (info.published.unix_timestamp_nanos() / 1_000_000) as i64;
                self.reading.lag_ms.store(age_ms.max(0) as u64, Ordering::Relaxed);
                read.push(StreamMessage {
                    generation: self.place.generation,
                    stream_seq: last,
                    subject: message.subject.to_string(),
                    payload: message.payload.clone(),
                    recovered: false,
                });
            }
            self.check(&stream).await?;
            for message in read {
                self.hand_over(message).await?;
            }
        }
    }

    /// The message before these must still be there: else they are another stream's. An answer over a connection that broke
    /// is not waited for.
    async fn check(&mut self, stream: &Stream) -> Result<()> {
        let Some(anchor) = self.place.anchor else { return Ok(()) };
        let there = tokio::select! {
            there = self.generations.is_there(stream, self.place.stream_seq, anchor) => there?,
            changed = self.connections.changed() => {
                changed?;
                bail!("the connection was made anew");
            }
        };
        if !there {
            bail!("the message at sequence {} is not the one that was read", self.place.stream_seq);
        }
        Ok(())
    }

    async fn hand_over(&mut self, message: StreamMessage) -> Result<()> {
        self.place.stream_seq = message.stream_seq;
        self.place.anchor = Some(message.anchor());
        self.send(message).await
    }

    async fn send(&self, message: StreamMessage) -> Result<()> {
        let event = (StreamSubject::parse(&message.subject) == StreamSubject::Event)
            .then(|| Unreadable::or_event(&message.payload));
        ensure!(self.submit.item(Item::Message(message, event)).await, "the writer is gone");
        Ok(())
    }

    /// The stream to read, made if it must be.
    async fn open(&mut self) -> Result<Stream> {
        match self.generations.open(&self.place).await? {
            Opened::Known(stream) => Ok(stream),
            Opened::Lost(remains) => {
                if self.place.generation > 0 {
                    tracing::error!(
                        generation = self.place.generation,
                        stream.seq = self.place.stream_seq,
                        "NATS lost the stream or came back with an older one: the next generation begins"
                    );
                }
                if let Some(remains) = remains {
                    self.recover(&remains).await?;
                }
                let generation = NextGeneration { after: self.place.generation }.commit(&self.submit).await?;
                self.place = Place { generation, stream_seq: 0, anchor: None };
                let stream = self.generations.create(generation).await?;
                let birth = stream.get_raw_message(1).await.context("the new stream's first message is gone")?;
                let message = StreamMessage {
                    generation,
                    stream_seq: 1,
                    subject: birth.subject.to_string(),
                    payload: birth.payload,
                    recovered: false,
                };
                self.hand_over(message).await?;
                Ok(stream)
            }
        }
    }

    /// Ends what is left of a lost stream, and reads all of it: repeats are dropped, and what was not read yet is not lost.
    async fn recover(&self, remains: &Stream) -> Result<()> {
        self.generations.seal(remains).await?;
        let state = remains.get_info().await.context("cannot look at what is left of the stream")?.state;
        let mut next = state.first_sequence.max(1);
        while next <= state.last_sequence {
            let message = match remains.get_raw_message(next).await {
                Ok(message) => message,
                Err(error) if no_message(&error) => {
                    next += 1;
                    continue;
                }
                Err(error) => return Err(error).context("cannot read what is left of the stream"),
            };
            next = message.sequence + 1;
            let subject = message.subject.to_string();
            let generation = self.place.generation;
            let stream_seq = message.sequence;
            self.send(StreamMessage { generation, stream_seq, subject, payload: message.payload, recovered: true })
                .await?;
        }
        Ok(())
    }

    /// The connection that it reads over.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }
}

fn no_message(error: &async_nats::jetstream::stream::RawMessageError) -> bool {
    use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
    match error.kind() {
        Kind::NoMessageFound => true,
        Kind::JetStream(code) => code.code() == 404,
        _ => false,
    }
}
