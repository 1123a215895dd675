//! The stream, as NATS itself sees it.

use anyhow::{Context, Result, bail, ensure};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::{Client, HeaderMap, ServerAddr, jetstream};
use serde_json::{Value, json};
use sqlx::Row;

use crate::world::World;

impl World {
    /// A connection of the test's own.
    pub async fn nats(&self) -> Result<Client> {
        let servers: Vec<ServerAddr> =
            self.stack.nats_url().split(',').map(str::parse).collect::<Result<_, std::io::Error>>()?;
        Ok(async_nats::connect(servers).await?)
    }

    /// What NATS says of a generation's stream, and how many messages it has on these subjects.
    async fn stream_info(&self, generation: i64, subjects: &str) -> Result<Value> {
        let ask = json!({ "subjects_filter": subjects }).to_string();
        let subject = format!("$JS.API.STREAM.INFO.LAYERS_local_{generation}");
        let answer = self.nats().await?.request(subject, ask.into()).await?;
        let info: Value = serde_json::from_slice(&answer.payload)?;
        if info["error"].is_null() { Ok(info) } else { bail!("{info}") }
    }

    /// The generation of today's stream, and how far the ledger has read it.
    pub async fn read_up_to(&self) -> Result<(i64, i64)> {
        let head = "select generation, stream_seq from ledger.head";
        let row = sqlx::query(head).fetch_one(&mut self.db().await?).await?;
        Ok((row.get("generation"), row.get("stream_seq")))
    }

    /// The last sequence of a generation's stream.
    pub async fn last_in_stream(&self, generation: i64) -> Result<i64> {
        let info = self.stream_info(generation, "none").await?;
        info["state"]["last_seq"].as_i64().context("no last sequence")
    }

    /// The name of the server that leads the stream.
    pub async fn leader(&self, generation: i64) -> Result<String> {
        let info = self.stream_info(generation, "none").await?;
        Ok(info["cluster"]["leader"].as_str().context("nobody leads the stream")?.to_owned())
    }

    /// How many messages of a life's gates are in the stream.
    pub async fn messages_of_gates(&self, generation: i64, emitter: &str) -> Result<usize> {
        let info = self.stream_info(generation, &format!("layers.local.{generation}.gate.{emitter}.>")).await?;
        Ok(info["state"]["subjects"].as_object().map_or(0, serde_json::Map::len))
    }

    /// Tries to publish through each gate of a life, as its gateway would: each refuses it for good.
    pub async fn all_gates_refuse(&self, generation: i64, emitter: &str) -> Result<()> {
        let row = sqlx::query("select gates from ledger.lives where gateway = $1::uuid")
            .bind(emitter)
            .fetch_one(&mut self.db().await?)
            .await?;
        let sequences: Vec<i64> = row.get("gates");
        let jetstream = jetstream::new(self.nats().await?);
        let mut refusing = 0;
        for (k, sequence) in sequences.iter().enumerate() {
            let mut headers = HeaderMap::new();
            let gate = format!("layers.local.{generation}.gate.{emitter}.{k}");
            headers.insert("Nats-Expected-Last-Subject-Sequence", sequence.to_string());
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", gate.as_str());
            let account = &self.accounts[0].account_id;
            // Were it taken, it would end in the quarantine, and the proof would fail.
            let subject = format!("layers.local.{generation}.events.{account}.RequestAuthorized");
            let published = jetstream.publish_with_headers(subject, headers, "an attempt".into()).await?.await;
            refusing += usize::from(published.is_err_and(|error| error.kind() == PublishErrorKind::WrongLastSequence));
        }
        ensure!(refusing == 64, "{refusing} of 64 gates refuse");
        Ok(())
    }
}
