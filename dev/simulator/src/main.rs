//! The stand-in provider as a program.

use std::io::Write;

use anyhow::{Context, Result};
use axum::serve::ListenerExt;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in provider for development: answers as the real one does and keeps a bill.
#[derive(Parser)]
struct Config {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "LAYERS_SIMULATOR_LISTEN", default_value = "127.0.0.1:0")]
    listen: String,
    /// The only key that is taken; any, if there is none.
    #[arg(long, env = "LAYERS_SIMULATOR_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::parse();
    let app = simulator::server::app(config.key.as_deref())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener =
        TcpListener::bind(&config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    // Chunks are small and their time counts: none waits for the next one to fill a packet.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    tokio::select! {
        served = axum::serve(listener, app) => served.context("the server ended"),
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
