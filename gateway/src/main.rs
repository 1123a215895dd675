//! The gateway's process.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::OptionFuture;
use gateway::config::Config;
use gateway::edge::Edge;
use gateway::till::{Till, TillConfig};
use gateway::tls::Tls;
use gateway::{routes, serve, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Answers whose idempotency key counts no longer stay for so long at most.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A request is a few dozen small pieces of memory that are given back on another thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    runtime()?.block_on(run())
}

/// On one core, one thread that takes tasks in turn: what many requests have to say to NATS at a time then leaves in one write
/// (docs/decisions/0018-hot-path.md).
fn runtime() -> std::io::Result<Runtime> {
    let mut builder = match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

async fn run() -> anyhow::Result<()> {
    telemetry::init();
    let config = Config::from_env()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let tls = config.tls.clone().map(Tls::open).transpose()?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let test_mode = config.test_secret.is_some();
    let till = Till::open(TillConfig { test_mode, ..TillConfig::new(&config.nats_url, config.cell.clone()) }).await?;
    let edge = Edge::new(&config, till.clone())?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://{}", listener.local_addr()?);

    let admin = match config.admin_listen {
        Some(address) => {
            let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            println!("admin API on {scheme}://{}", listener.local_addr()?);
            Some(listener)
        }
        None => None,
    };

    let stop = edge.stopping().clone();
    let serving = |listener, router| {
        let (stop, cut) = (stop.clone(), edge.cut().clone());
        serve::serve(listener, tls.clone(), router, stop.cancelled_owned(), config.drain, cut)
    };
    let clients = serving(listener, routes::router(edge.clone(), admin.is_none()));
    let operators = OptionFuture::from(admin.map(|listener| serving(listener, routes::admin_router(edge.clone()))));
    let signalled = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    };
    let renewed = async {
        while hang_up.recv().await.is_some() {
            match tls.as_ref().map(Tls::reload) {
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => tracing::error!(error = %format!("{error:#}"), "the certificate stays the old one"),
                None => {}
            }
        }
    };
    // So that what is forgotten is soon gone as well.
    let swept = async {
        match edge.answers() {
            Some(answers) => answers.sweep(edge.once_limits().keep.min(SWEEP_EVERY)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = async { tokio::join!(clients, operators, signalled) } => {}
        () = renewed => {}
        () = swept => {}
    }
    till.close(config.drain).await;
    Ok(())
}
