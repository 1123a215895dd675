//! Asks the ledger that is active, over NATS: what the command line does.

use std::time::Duration;

use anyhow::{Context, Result};
use schemas::message::{RefusalCode, Reply};
use schemas::subject::Cell;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::NatsConfig;

/// A revocation waits for every gateway, and a correction for credits that a gateway holds which may have to be fenced;
/// nothing else takes longer than a moment.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(300);

/// A connection over which commands are sent.
#[derive(Clone, Debug)]
pub struct Asker {
    client: async_nats::Client,
    cell: Cell,
}

impl Asker {
    /// Connects.
    ///
    /// # Errors
    /// When no server of NATS can be reached.
    pub async fn connect(config: &NatsConfig) -> Result<Self> {
        let options = async_nats::ConnectOptions::new().name("ledger command line").request_timeout(Some(PATIENCE));
        let servers: Vec<&str> = config.nats_url.split(',').map(str::trim).collect();
        let client = options
            .connect(servers.as_slice())
            .await
            .with_context(|| format!("cannot reach NATS at {}", config.nats_url))?;
        Ok(Self { client, cell: config.cell.clone() })
    }

    /// Asks the ledger that is active. While none is, or not now, it asks again, up to half a minute.
    ///
    /// # Errors
    /// [`schemas::message::Refusal`] in the chain where the ledger refused; something else where it did not answer.
    pub async fn ask<T: DeserializeOwned>(&self, command: &str, ask: &impl Serialize) -> Result<T> {
        let payload: bytes::Bytes = serde_json::to_vec(ask)?.into();
        let subject = self.cell.command(command);
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answered = self.client.request(subject.clone(), payload.clone()).await;
            let again = match answered {
                Ok(message) => match serde_json::from_slice::<Reply<T>>(&message.payload)? {
                    Ok(answer) => return Ok(answer),
                    Err(refusal) if matches!(refusal.code, RefusalCode::Unavailable | RefusalCode::CreditsLeased) => {
                        anyhow::Error::new(refusal)
                    }
                    Err(refusal) => return Err(refusal.into()),
                },
                Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => {
                    anyhow::anyhow!("no ledger is active in cell '{}'", self.cell.name())
                }
                // It may have been carried out: asking again under the same reference is safe, anything else is for the caller.
                Err(error) => return Err(error).context("the ledger did not answer"),
            };
            if tokio::time::Instant::now() > until {
                return Err(again);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}
