use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use projector::follow::{Status, follow_keeping};
use projector::retire::{HOURS_KEPT, Retention};
use projector::serve;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where health and metrics are served; port 0 takes a free one.
    #[arg(long, env = "LAYERS_PROJECTOR_LISTEN", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many months of requests (`usage_logs`) are kept beside the one that runs; older ones are dropped, sums stay. All
    /// without it.
    #[arg(long, env = "LAYERS_KEEP_REQUEST_MONTHS")]
    keep_request_months: Option<u32>,
    /// The same of hours (`usage_hourly`).
    #[arg(long, env = "LAYERS_KEEP_HOURLY_MONTHS", default_value_t = HOURS_KEPT)]
    keep_hourly_months: u32,
}

impl Run {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        let retention = Retention { requests: self.keep_request_months, hours: Some(self.keep_hourly_months) };
        let status = Arc::new(Status::default());
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Nothing to drain: a batch that is cut off is rolled back and applied at the next start.
        tokio::select! {
            served = axum::serve(listener, serve::routes(status.clone())) => served.context("health and metrics")?,
            () = follow_keeping(options, retention, &status) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}
