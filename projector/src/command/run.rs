use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use projector::follow::{Status, follow};
use projector::serve;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where health and metrics are served; port 0 takes a free one.
    #[arg(long, env = "LAYERS_PROJECTOR_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

impl Run {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        let status = Arc::new(Status::default());
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Nothing to drain: a batch that is cut off is rolled back and applied at the next start.
        tokio::select! {
            served = axum::serve(listener, serve::routes(status.clone())) => served.context("health and metrics")?,
            () = follow(options, &status) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}
