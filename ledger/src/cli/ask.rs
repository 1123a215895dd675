use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use schemas::message::{RefusalCode, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::NatsConfig;

/// A revocation waits for every gateway; nothing else takes longer than a moment.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(300);

/// How a command is sent and its answer shown.
#[derive(Args, Clone, Debug)]
pub(super) struct Asking {
    #[command(flatten)]
    pub(super) nats: NatsConfig,
    /// Who does it; written into the event.
    #[arg(long, env = "USER", default_value = "operator")]
    pub(super) by: String,
    /// Why; written into the event.
    #[arg(long, default_value = "by command line")]
    pub(super) why: String,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

impl Asking {
    /// Asks the ledger that is active. While none is, it waits, up to half a minute.
    pub(super) async fn ask<T: DeserializeOwned>(&self, command: &str, ask: &impl Serialize) -> Result<T> {
        self.ask_on(&self.connect().await?, command, ask).await
    }

    /// A connection for several commands.
    pub(super) async fn connect(&self) -> Result<async_nats::Client> {
        let options = async_nats::ConnectOptions::new().name("ledger command line").request_timeout(Some(PATIENCE));
        let servers: Vec<&str> = self.nats.nats_url.split(',').map(str::trim).collect();
        options
            .connect(servers.as_slice())
            .await
            .with_context(|| format!("cannot reach NATS at {}", self.nats.nats_url))
    }

    /// [`Self::ask`] on a connection that is there.
    pub(super) async fn ask_on<T: DeserializeOwned>(
        &self,
        client: &async_nats::Client,
        command: &str,
        ask: &impl Serialize,
    ) -> Result<T> {
        let payload: bytes::Bytes = serde_json::to_vec(ask)?.into();
        let subject = self.nats.cell.command(command);
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answered = client.request(subject.clone(), payload.clone()).await;
            let again = match answered {
                Ok(message) => match serde_json::from_slice::<Reply<T>>(&message.payload)? {
                    Ok(answer) => return Ok(answer),
                    Err(refusal) if refusal.code == RefusalCode::Unavailable => anyhow::Error::new(refusal),
                    Err(refusal) => return Err(refusal.into()),
                },
                Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => {
                    anyhow::anyhow!("no ledger is active in cell '{}'", self.nats.cell.name())
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

    /// Shows an answer: as JSON, or as lines of text.
    pub(super) fn show(&self, answer: &serde_json::Value, text: &str) -> Result<i32> {
        if self.json {
            println!("{answer}");
        } else {
            println!("{text}");
        }
        Ok(0)
    }
}
