use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::Utc;
use clap::Args;
use projector::{database, lag};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use super::print_json;

#[derive(Debug, Args)]
pub(super) struct Lag {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Lag {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let mut connection = database::connect(options).await.context("cannot reach the database")?;
        let lag = lag::read(&mut connection).await?.context("no version of the read models is live")?;
        let (events, seconds) = (lag.events(), lag.seconds(Utc::now()));
        if self.json {
            print_json(&json!({
                "version": lag.version,
                "position": lag.position,
                "head": lag.head,
                "lag_events": events,
                "lag_seconds": seconds,
                "quarantined": lag.quarantined,
            }))?;
        } else {
            println!(
                "{events} events behind ({seconds:.1} s): at position {} of {}, version {}",
                lag.position, lag.head, lag.version
            );
            if lag.quarantined > 0 {
                println!("{} events could not be projected: see projector.projection_quarantine", lag.quarantined);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
