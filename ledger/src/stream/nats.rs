use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

/// Older servers have known losses and lack what gates need.
const OLDEST: (u64, u64, u64) = (2, 12, 3);
/// Between attempts to connect again.
const RECONNECT: Duration = Duration::from_millis(200);

/// A connection, and how often it was made.
#[derive(Clone)]
pub struct Nats {
    /// The client; it reconnects for ever.
    pub client: Client,
    /// Counts connections. Whoever waits on it must look at the stream again before trusting anything.
    pub connections: watch::Receiver<u64>,
}

impl Nats {
    /// Connects to the first of the servers that answers (`url` may name several, with commas), waiting for one as long
    /// as it takes.
    pub async fn connect(url: &str, name: &str) -> Result<Self> {
        let (sender, connections) = watch::channel(0);
        let servers: Vec<&str> = url.split(',').map(str::trim).collect();
        let options = ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| RECONNECT)
            .connection_timeout(Duration::from_secs(2))
            .request_timeout(Some(Duration::from_secs(5)))
            .event_callback(move |event| {
                match &event {
                    Event::Connected => sender.send_modify(|count| *count += 1),
                    Event::Disconnected => tracing::warn!("NATS is away"),
                    other => tracing::debug!(event = %other, "NATS"),
                }
                async {}
            });
        let client = options.connect(servers.as_slice()).await.with_context(|| format!("cannot use NATS at {url}"))?;
        let mut nats = Self { client, connections };
        nats.connections.wait_for(|count| *count > 0).await.context("the connection to NATS was given up")?;
        nats.check_version()?;
        Ok(nats)
    }

    /// How often a connection was made so far.
    pub fn connection(&self) -> u64 {
        *self.connections.borrow()
    }

    fn check_version(&self) -> Result<()> {
        let version = self.client.server_info().version;
        let mut parts = version.split(['.', '-']).map_while(|part| part.parse::<u64>().ok());
        let parsed = (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if parsed < OLDEST {
            let (major, minor, patch) = OLDEST;
            bail!("nats-server {version} is too old: {major}.{minor}.{patch} or newer is needed");
        }
        Ok(())
    }
}
