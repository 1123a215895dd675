//! Gates: a life authorizes only under the condition that its gate's last message is still the `open` one.

use anyhow::{Context as _, Result, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use futures_util::future::try_join_all;
use schemas::ids::EmitterId;
use schemas::subject::{Cell, GATES};

use super::{CLOSED, OPEN};

/// Opens all gates of a life that nobody has used before; gives their stream sequences.
pub async fn open_gates(jetstream: &Context, cell: &Cell, generation: u64, gateway: EmitterId) -> Result<Vec<u64>> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    let mut sent = Vec::with_capacity(usize::from(GATES));
    for k in 0..GATES {
        let gate = cell.gate(generation, gateway, k);
        sent.push(jetstream.publish_with_headers(gate, headers.clone(), OPEN.into()).await?.into_future());
    }
    let acknowledged = try_join_all(sent).await.context("a gate was not opened")?;
    let stream = cell.stream(generation);
    if acknowledged.iter().any(|ack| ack.stream != stream) {
        bail!("a gate was opened in another stream than {stream}");
    }
    Ok(acknowledged.into_iter().map(|ack| ack.sequence).collect())
}

/// Closes gates of a life. What its gateway publishes through them from then on is refused by the stream itself.
pub async fn close_gates(
    jetstream: &Context,
    cell: &Cell,
    generation: u64,
    gateway: EmitterId,
    gates: impl Iterator<Item = u16>,
) -> Result<()> {
    let mut sent = Vec::new();
    for k in gates {
        sent.push(jetstream.publish(cell.gate(generation, gateway, k), CLOSED.into()).await?.into_future());
    }
    try_join_all(sent).await.context("a gate was not closed")?;
    Ok(())
}
