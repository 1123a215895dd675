use std::time::Duration;

use clap::Args;
use schemas::subject::Cell;

use crate::checkpoint::CheckpointConfig;

/// Where PostgreSQL is.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// Connection string of PostgreSQL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// Where NATS is, and which cell is meant.
#[derive(Args, Clone, Debug)]
pub struct NatsConfig {
    /// NATS server.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: String,
    /// One stream, one ledger, one database.
    #[arg(long, env = "LAYERS_CELL", default_value = "local", value_parser = Cell::new)]
    pub cell: Cell,
}

/// How the ledger serves.
#[derive(Args, Clone, Debug)]
pub struct ServeConfig {
    /// Databases.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Streams.
    #[command(flatten)]
    pub nats: NatsConfig,
    /// Address for health and metrics.
    #[arg(long, env = "LAYERS_LEDGER_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// A gateway that is silent for longer is fenced, seconds.
    #[arg(long, env = "LAYERS_LEASE_SECONDS", default_value = "10", value_parser = seconds)]
    pub lease: Duration,
    /// The longest that a request may run, seconds; open holds of fenced gateways end after it.
    #[arg(long, env = "LAYERS_AUTHORIZATION_EXPIRES_SECONDS", default_value = "900", value_parser = seconds)]
    pub request: Duration,
    /// Copies of the stream: 1 on one machine, 3 in a cluster.
    #[arg(long, env = "LAYERS_STREAM_REPLICAS", default_value = "1")]
    pub replicas: usize,
    /// A full stream refuses; at four fifths gateways stop to authorize. Bytes.
    #[arg(long, env = "LAYERS_STREAM_MAX_BYTES", default_value = "4294967296")]
    pub stream_max_bytes: i64,
    /// Signatures.
    #[command(flatten)]
    pub checkpoint: CheckpointConfig,
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let millis = match text.split_once('.') {
        None => text.parse::<u64>().ok().and_then(|whole| whole.checked_mul(1_000)),
        Some((whole, fraction)) if (1..=3).contains(&fraction.len()) => {
            format!("{whole}{fraction:0<3}").parse::<u64>().ok()
        }
        Some(_) => None,
    };
    match millis {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err("a number of seconds, more than zero, with at most three decimal places".to_owned()),
    }
}
