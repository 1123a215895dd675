use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::Subscriber;
use schemas::ids::EmitterId;
use schemas::message::{Register, Registered};
use schemas::subject::GATES;

use super::life::Life;
use super::shared::Shared;

/// A registration that is not answered by then is abandoned with its emitter: nobody knows whether it was written.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A life that the ledger knows, and what it hears.
pub(super) struct Born {
    pub(super) life: Arc<Life>,
    /// How far the ledger has appended what it says.
    pub(super) appended: Subscriber,
    /// Asks for credits that it does not use.
    pub(super) recalls: Subscriber,
}

/// Registers a life under a fresh name, once.
pub(super) async fn register(shared: &Arc<Shared>, emitter: EmitterId) -> anyhow::Result<Born> {
    // Before it is known to anyone, so that no word is missed.
    let appended = shared.bus.hear(shared.cell.appended(emitter)).await?;
    let recalls = shared.bus.hear(shared.cell.recall(emitter)).await?;
    let connection = shared.bus.connection();
    let question = Register { gateway: emitter, process: shared.process };
    let answer = shared.bus.ask::<Registered>(shared.cell.register(), &question, ANSWERED_WITHIN);
    let registered = answer.await.context("the ledger does not answer")?.context("the ledger refuses")?;
    if registered.gates.len() != usize::from(GATES) {
        bail!("the ledger wrote {} gates, not {GATES}", registered.gates.len());
    }
    shared.set_generation(registered.generation);
    shared.set_times(registered.lease_ms, registered.request_ms);
    shared.learn_prices(&registered.price_book);
    shared.metrics.lives_begun.add_one();
    tracing::info!(%emitter, generation = registered.generation, "a life begins");
    let life = Life::new(shared.clone(), emitter, registered.generation, &registered.gates, connection);
    Ok(Born { life: Arc::new(life), appended, recalls })
}
