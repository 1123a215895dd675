use anyhow::{Context as _, Result, ensure};
use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::stream::Stream;
use schemas::ids::EmitterId;
use schemas::subject::Cell;

use crate::append::Head;
use crate::stream::Generations;

/// Takes out of the stream what was appended long ago, but never the message by which the stream is known again; and the
/// gates of lives that are over. A publish through a purged gate fails as it does through a closed one.
///
/// A stream that came back older takes new messages under the numbers of lost ones, which nobody has read: so it is looked at
/// first, and nothing is asked without a connection, since that would be heard by whatever stream is there at the next one.
pub async fn purge(
    client: &Client,
    generations: &Generations,
    stream: &Stream,
    cell: &Cell,
    head: &Head,
    over: &[EmitterId],
) -> Result<()> {
    let Some(anchor) = head.anchor else { return Ok(()) };
    let events = (cell.events(head.generation), "cannot purge appended events");
    let gates = over
        .iter()
        .map(|gateway| (cell.gates(head.generation, *gateway), "cannot purge the gates of a life that is over"));
    for (subjects, failed) in std::iter::once(events).chain(gates) {
        let there = generations.is_there(stream, head.stream_seq, anchor).await?;
        ensure!(there, "the stream is not the one that was read");
        ensure!(client.connection_state() == State::Connected, "NATS is away");
        stream.purge().filter(subjects).sequence(head.stream_seq).await.context(failed)?;
    }
    Ok(())
}
