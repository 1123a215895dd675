//! What a stack is made of, and what its programs find in their environment.

use std::path::PathBuf;

use super::{CELL, Stack, TEST_SECRET};
use crate::servers::NatsOptions;

/// How a stack is started; `StackOptions::default()` is a test's.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// How many gateways.
    pub gateways: usize,
    /// Port of the first gateway, the others on the next ones; free ports otherwise.
    pub first_port: Option<u16>,
    /// Whether a second ledger stands by.
    pub standby: bool,
    /// Whether a process that died is started again within a second.
    pub supervise: bool,
    /// Whether PostgreSQL's commits reach the disk.
    pub fsync: bool,
    /// Three NATS servers instead of one.
    pub nats_cluster: bool,
    /// Settings of NATS.
    pub nats: NatsOptions,
    /// Folder that is kept between runs; a temporary one otherwise.
    pub kept: Option<PathBuf>,
    /// Seconds of silence after which a gateway is fenced; the ledger's default otherwise.
    pub lease_seconds: Option<u64>,
    /// Seconds after which an open hold of a fenced gateway ends; the ledger's default otherwise.
    pub authorization_expires_seconds: Option<u64>,
    /// The provider of live traffic; the simulator otherwise.
    pub provider: Option<Provider>,
    /// More variables for all our programs.
    pub env: Vec<(String, String)>,
    /// Whether our programs also see the variables of the shell; not in tests.
    pub keep_env: bool,
    /// The folder of another release's gateway, ledger and projector, to begin with; our own otherwise.
    pub release: Option<PathBuf>,
}

/// A real provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// With `/v1`; the gateway's default otherwise.
    pub base_url: Option<String>,
    /// Secret.
    pub api_key: String,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            gateways: 1,
            first_port: None,
            standby: false,
            supervise: false,
            fsync: false,
            nats_cluster: false,
            nats: NatsOptions::default(),
            kept: None,
            lease_seconds: None,
            authorization_expires_seconds: None,
            provider: None,
            env: Vec::new(),
            keep_env: false,
            release: None,
        }
    }
}

impl Stack {
    pub(super) fn ledger_env(&self, port: u16) -> Vec<(String, String)> {
        let mut env = self.common_env(self.database_url());
        set(&mut env, "LAYERS_CHECKPOINT_KEY", self.secrets.checkpoint.key.clone());
        set(&mut env, "LAYERS_LEDGER_LISTEN", format!("127.0.0.1:{port}"));
        env
    }

    pub(super) fn projector_env(&self, port: u16) -> Vec<(String, String)> {
        let mut env = self.common_env(self.database_url_as("layers_projector"));
        set(&mut env, "LAYERS_PROJECTOR_LISTEN", format!("127.0.0.1:{port}"));
        env
    }

    pub(super) fn gateway_env(&self, port: u16) -> Vec<(String, String)> {
        let simulator = self.simulator.url();
        let mut env = self.common_env(self.database_url_as("layers_gateway"));
        set(&mut env, "LAYERS_LISTEN", format!("127.0.0.1:{port}"));
        set(&mut env, "LAYERS_TEST_SECRET", TEST_SECRET.to_owned());
        set(&mut env, "LAYERS_ADMIN_KEY", self.secrets.admin_key.clone());
        set(&mut env, "LAYERS_CHECKPOINT_VERIFIER_KEY", self.secrets.checkpoint.verifier_key.clone());
        match &self.options.provider {
            Some(provider) => {
                set(&mut env, "AI_GATEWAY_API_KEY", provider.api_key.clone());
                if let Some(url) = &provider.base_url {
                    set(&mut env, "AI_GATEWAY_BASE_URL", url.clone());
                }
            }
            None => {
                set(&mut env, "AI_GATEWAY_API_KEY", "vck_simulated".to_owned());
                set(&mut env, "AI_GATEWAY_BASE_URL", format!("{simulator}/v1"));
            }
        }
        set(&mut env, "LAYERS_SIMULATOR_URL", simulator);
        env
    }

    /// What all programs, and the ledger's commands, find.
    pub(super) fn common_env(&self, database_url: String) -> Vec<(String, String)> {
        let mut env = self.options.env.clone();
        set(&mut env, "DATABASE_URL", database_url);
        set(&mut env, "NATS_URL", self.nats_url());
        set(&mut env, "LAYERS_CELL", CELL.to_owned());
        set(&mut env, "LAYERS_ENV", "development".to_owned());
        let seconds = [
            ("LAYERS_LEASE_SECONDS", self.options.lease_seconds),
            ("LAYERS_AUTHORIZATION_EXPIRES_SECONDS", self.options.authorization_expires_seconds),
        ];
        for (name, value) in seconds {
            if let Some(value) = value {
                set(&mut env, name, value.to_string());
            }
        }
        env
    }
}

/// What the options name already, stays as they name it.
fn set(env: &mut Vec<(String, String)>, name: &str, value: String) {
    if !env.iter().any(|(known, _)| known == name) {
        env.push((name.to_owned(), value));
    }
}
