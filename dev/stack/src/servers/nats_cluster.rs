//! Three nats-servers that replicate streams among them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{NatsOptions, NatsServer};
use crate::{http, port};

/// Elections and joining take a few seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A cluster of three; ended when dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts three and waits until streams with three replicas can be made.
    ///
    /// # Errors
    /// When one does not start or they do not find each other.
    pub fn start() -> Result<Self> {
        Self::start_with(&NatsOptions::default())
    }

    /// As `start`, each with these options; `dir`, `log` and `pid_file` are ignored.
    ///
    /// # Errors
    /// When one does not start or they do not find each other.
    pub fn start_with(options: &NatsOptions) -> Result<Self> {
        let ports = [port::free()?, port::free()?, port::free()?];
        let routes = ports.map(|port| format!("nats-route://127.0.0.1:{port}")).join(", ");
        let mut servers = Vec::new();
        for (index, route_port) in ports.iter().enumerate() {
            let cluster = format!(
                "cluster {{\n  name: layers\n  listen: 127.0.0.1:{route_port}\n  routes: [{routes}]\n}}\n{}",
                options.extra
            );
            servers.push(NatsServer::spawn(NatsOptions {
                name: Some(format!("nats-{}", index + 1)),
                extra: cluster,
                sync_interval: options.sync_interval.clone(),
                ..NatsOptions::default()
            })?);
        }
        let cluster = Self { servers };
        for server in &cluster.servers {
            server.process().wait_ready()?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Waits until a leader sees all three current.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let lacks = match self.leader() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => "no leader sees all three".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline {
                bail!("the NATS cluster is not ready after {READY_WITHIN:?}: {lacks}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The index of the server that leads JetStream and sees the other two current.
    fn leader(&self) -> Result<Option<usize>> {
        for (index, server) in self.servers.iter().enumerate() {
            let url = format!("{}/jsz", server.monitoring_url());
            let (_, body) = http::get(&url, Duration::from_secs(2))?;
            let answer: Value = serde_json::from_str(&body).with_context(|| format!("{url} gave no JSON"))?;
            let meta = &answer["meta_cluster"];
            let current = |peer: &Value| peer["current"] == true && peer["offline"] != true;
            let peers =
                meta["replicas"].as_array().map_or(0, |peers| peers.iter().filter(|peer| current(peer)).count());
            if meta["leader"] == format!("nats-{}", index + 1) && peers == 2 {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Where clients connect: all three, with commas.
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// The three servers.
    pub fn servers(&self) -> &[NatsServer] {
        &self.servers
    }
}
