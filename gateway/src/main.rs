//! The gateway's process.

use anyhow::Context;
use gateway::config::Config;
use gateway::edge::Edge;
use gateway::till::{Till, TillConfig};
use gateway::{routes, serve, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

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

    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let cut = edge.cut().clone();
    serve::serve(listener, routes::router(edge), stop, config.drain, cut).await;
    till.close(config.drain).await;
    Ok(())
}
