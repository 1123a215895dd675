//! Passwords and keys of one stack: random, and remembered where its data is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::process::write_whole;
use crate::{place, secret};

/// What checkpoints of a local stack call its log.
const LOG: &str = "layers/local";

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secrets {
    pub(super) postgres: String,
    pub(super) layers_gateway: String,
    pub(super) layers_projector: String,
    pub(super) layers_analyst: String,
    pub(super) admin_key: String,
    /// By which the ledger signs its log, and by which others check it.
    pub(super) checkpoint: CheckpointKey,
}

/// As `ledger checkpoint keygen` makes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CheckpointKey {
    pub(super) key: String,
    pub(super) verifier_key: String,
}

impl CheckpointKey {
    fn new() -> Result<Self> {
        let output = Command::new(place::program("ledger")?)
            .args(["checkpoint", "keygen", "--json", "--name", LOG])
            .output()
            .context("cannot execute ledger")?;
        ensure!(output.status.success(), "no key: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("`ledger checkpoint keygen --json` printed something else")
    }
}

impl Secrets {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            postgres: secret::random()?,
            layers_gateway: secret::random()?,
            layers_projector: secret::random()?,
            layers_analyst: secret::random()?,
            admin_key: secret::random()?,
            checkpoint: CheckpointKey::new()?,
        })
    }

    /// Those of an earlier run, or new ones that are remembered for the next.
    pub(super) fn kept(file: &Path) -> Result<Self> {
        if file.is_file() {
            // Data from before the log was signed has no key for it yet.
            let mut known: serde_json::Value = read_private(file)?;
            if known.get("checkpoint").is_none() {
                known["checkpoint"] = serde_json::to_value(CheckpointKey::new()?)?;
                write_private(file, &known)?;
            }
            return read_private(file);
        }
        let secrets = Self::new()?;
        write_private(file, &secrets)?;
        Ok(secrets)
    }

    /// Database roles with their passwords.
    pub(super) fn roles(&self) -> [(&'static str, &str); 3] {
        [
            ("layers_gateway", &self.layers_gateway),
            ("layers_projector", &self.layers_projector),
            ("layers_analyst", &self.layers_analyst),
        ]
    }
}

/// Reads what `write_private` wrote.
pub(crate) fn read_private<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged: `make clean-data` begins anew", file.display()))
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private<T: Serialize>(file: &Path, value: &T) -> Result<()> {
    let beside = file.with_extension("tmp");
    fs::write(&beside, "").and_then(|()| fs::set_permissions(&beside, Permissions::from_mode(0o600)))?;
    write_whole(file, &serde_json::to_string_pretty(value)?)
}
