//! | phase | waits for |
//! |---|---|
//! | listen | – : health says "standby" from the first moment |
//! | migrate | PostgreSQL |
//! | stand by | no other ledger being active |
//! | take over | the epoch: from then on an older writer fails |
//! | connect | NATS |
//! | serve | reading, answering, keeping, until one of them fails or a signal comes |

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::jetstream;
use parking_lot::Mutex;
use schemas::merkle::note::SignerKey;
use tokio_util::task::TaskTracker;

use crate::append::{self, Writer};
use crate::checkpoint::Signing;
use crate::command::FirstPriceBook;
use crate::config::ServeConfig;
use crate::database::{self, Active};
use crate::health::{self, Shown};
use crate::life::{Heard, Keeper};
use crate::listen::Listener;
use crate::recall::Leases;
use crate::stream::{Announcer, Generations, Nats, Reader, Reading};
use crate::tree;

/// Items that wait for the writer in each lane at most; beyond it the reader and commands wait.
const INBOX: usize = 4_096;

/// While a cluster elects a leader, questions to the stream stay unanswered. They are asked again soon.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// Runs the ledger until it is told to stop, or cannot go on.
pub async fn serve(config: ServeConfig) -> Result<()> {
    let signer = config.checkpoint.signer()?;
    let shown = Shown::default();
    tokio::select! {
        ended = health::serve(&config.listen, shown.clone()) => ended,
        ended = run(&config, signer, shown) => ended,
        signal = stop_signal() => signal,
    }
}

async fn run(config: &ServeConfig, signer: (SignerKey, String), shown: Shown) -> Result<()> {
    let options = database::options(&config.database.database_url)?;
    database::migrate(&options).await?;
    let active = Active::wait(&options).await?;
    let tasks = TaskTracker::new();
    let nats = Nats::connect(&config.nats.nats_url, "ledger").await?;
    let mut jetstream = jetstream::new(nats.client.clone());
    jetstream.set_timeout(ANSWERED_WITHIN);
    let cell = config.nats.cell.clone();
    let announcer = Announcer::new(nats.client.clone(), cell.clone(), &tasks);
    let (submit, items) = append::inbox(INBOX);
    let (writer, view) = Writer::take_over(options.clone(), items, announcer.clone()).await?;
    let head = view.borrow().head;
    tracing::info!(epoch = head.epoch, position = head.position, "this ledger is active");
    let pool = database::reading_pool(&options);
    let newest = tree::last_checkpoint(&mut *pool.acquire().await?, head.position).await?;
    let (signing, checkpoints) = Signing::new(signer, config.checkpoint.every, pool.clone(), view.clone(), newest);
    let reading = Reading::default();
    let heard = Arc::new(Mutex::new(Heard::new(Instant::now())));
    let generations = Generations::new(jetstream.clone(), cell.clone(), config.replicas, config.stream_max_bytes);
    let keeper = Keeper {
        submit: submit.clone(),
        view: view.clone(),
        reading: reading.clone(),
        heard: heard.clone(),
        jetstream: jetstream.clone(),
        client: nats.client.clone(),
        generations: generations.clone(),
        cell: cell.clone(),
        pool: pool.clone(),
        lease: config.lease,
        request: config.request,
    };
    let leases = Leases::new(nats.client.clone(), cell.clone(), submit.clone(), view.clone(), pool.clone());
    *shown.0.lock() = Some(health::Active {
        view: view.clone(),
        reading: reading.clone(),
        pool: pool.clone(),
        recalls: leases.recalls.clone(),
    });
    let listener = Listener {
        leases,
        checkpoints,
        client: nats.client.clone(),
        jetstream,
        cell,
        submit: submit.clone(),
        view,
        reading: reading.clone(),
        generations: generations.clone(),
        announcer,
        heard,
        pool,
        lease: config.lease,
        request: config.request,
        tasks: tasks.clone(),
    };
    let reader = Reader::new(nats, generations, submit.clone(), &head, reading);
    let first_prices = async {
        submit.command(FirstPriceBook).await.context("the first prices could not be published")?;
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        ended = writer.run() => ended.context("the writer ended"),
        ended = active.keep(options) => ended,
        ended = reader.run() => ended,
        ended = listener.run() => ended,
        ended = keeper.run() => ended,
        ended = signing.run() => ended.context("checkpoints ended"),
        ended = first_prices => ended,
    }
}

async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    tracing::info!("stopping");
    Ok(())
}
