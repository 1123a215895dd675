use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::asker::Asker;
use crate::config::NatsConfig;

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
        self.connect().await?.ask(command, ask).await
    }

    /// A connection for several commands.
    pub(super) async fn connect(&self) -> Result<Asker> {
        Asker::connect(&self.nats).await
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
