//! The gateway's process.

use anyhow::Context;
use futures_util::future::OptionFuture;
use gateway::config::Config;
use gateway::edge::Edge;
use gateway::till::{Till, TillConfig};
use gateway::{routes, serve, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    telemetry::init();
    let config = Config::from_env()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let test_mode = config.test_secret.is_some();
    let till = Till::open(TillConfig { test_mode, ..TillConfig::new(&config.nats_url, config.cell.clone()) }).await?;
    let edge = Edge::new(&config, till.clone())?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    println!("listening on http://{}", listener.local_addr()?);

    let admin = match config.admin_listen {
        Some(address) => {
            let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            println!("admin API on http://{}", listener.local_addr()?);
            Some(listener)
        }
        None => None,
    };

    let stop = CancellationToken::new();
    let serving = |listener, router| {
        let (stop, cut) = (stop.clone(), edge.cut().clone());
        serve::serve(listener, router, stop.cancelled_owned(), config.drain, cut)
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
    tokio::join!(clients, operators, signalled);
    till.close(config.drain).await;
    Ok(())
}
