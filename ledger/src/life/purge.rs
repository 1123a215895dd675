use anyhow::{Context as _, Result};
use async_nats::jetstream::stream::Stream;
use schemas::ids::EmitterId;
use schemas::subject::Cell;

/// Takes out of the stream what was appended long ago, but never the message at `applied`, by which the stream is known
/// again; and the gates of lives that are over. A publish through a purged gate fails as it does through a closed one.
pub async fn purge(stream: &Stream, cell: &Cell, generation: u64, applied: u64, over: &[EmitterId]) -> Result<()> {
    stream.purge().filter(cell.events(generation)).sequence(applied).await.context("cannot purge appended events")?;
    for gateway in over {
        let gates = cell.gates(generation, *gateway);
        stream
            .purge()
            .filter(gates)
            .sequence(applied)
            .await
            .context("cannot purge the gates of a life that is over")?;
    }
    Ok(())
}
