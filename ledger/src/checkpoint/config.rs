use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use schemas::merkle::note::SignerKey;

use crate::config::seconds;

/// By which key checkpoints are signed, and how often.
#[derive(Args, Clone, Debug)]
pub struct CheckpointConfig {
    /// The key that signs checkpoints, as `ledger checkpoint keygen` prints it.
    #[arg(long = "checkpoint-key", env = "LAYERS_CHECKPOINT_KEY", hide_env_values = true)]
    pub key: Option<KeyText>,
    /// A file with the key in it, instead.
    #[arg(long = "checkpoint-key-file", env = "LAYERS_CHECKPOINT_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// What checkpoints call this log [default: the key's name].
    #[arg(long = "checkpoint-origin", env = "LAYERS_CHECKPOINT_ORIGIN")]
    pub origin: Option<String>,
    /// While there is news, a checkpoint is signed at least so often, seconds.
    #[arg(long = "checkpoint-seconds", env = "LAYERS_CHECKPOINT_SECONDS", default_value = "60", value_parser = seconds)]
    pub every: Duration,
}

/// A secret, which no log and no message about a wrong value shows.
#[derive(Clone)]
pub struct KeyText(String);

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl CheckpointConfig {
    /// The key and the log's name.
    ///
    /// # Errors
    /// When there is no key, two of them, or one that is none.
    pub fn signer(&self) -> Result<(SignerKey, String)> {
        let given = self.key.as_ref().map(|key| key.0.trim()).filter(|key| !key.is_empty());
        let (text, from) = match (given, &self.key_file) {
            (Some(_), Some(_)) => bail!("LAYERS_CHECKPOINT_KEY and LAYERS_CHECKPOINT_KEY_FILE are both set"),
            (Some(key), None) => (key.to_owned(), "LAYERS_CHECKPOINT_KEY".to_owned()),
            (None, Some(file)) => {
                let shown = format!("LAYERS_CHECKPOINT_KEY_FILE: {}", file.display());
                (std::fs::read_to_string(file).with_context(|| shown.clone())?, shown)
            }
            (None, None) => bail!(
                "LAYERS_CHECKPOINT_KEY is not set: the ledger signs its log. `ledger checkpoint keygen` makes a key, once"
            ),
        };
        let key: SignerKey = text.trim().parse().context(from)?;
        let origin = self.origin.clone().unwrap_or_else(|| key.verifier().name().to_owned());
        if origin.is_empty() || origin.chars().any(char::is_control) {
            bail!("LAYERS_CHECKPOINT_ORIGIN: a log's name is one line of text");
        }
        Ok((key, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: Option<&str>, file: Option<PathBuf>, origin: Option<&str>) -> CheckpointConfig {
        let key = key.map(|key| KeyText(key.to_owned()));
        CheckpointConfig { key, key_file: file, origin: origin.map(str::to_owned), every: Duration::from_secs(60) }
    }

    #[test]
    fn a_key_comes_from_the_environment_or_a_file_and_is_never_shown() {
        let key = SignerKey::from_seed("layers/test", [5; 32]).unwrap();
        let secret = key.reveal();
        let (read, origin) = config(Some(&secret), None, None).signer().unwrap();
        assert_eq!((read.verifier(), origin.as_str()), (key.verifier(), "layers/test"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let (read, origin) = config(Some(""), Some(file.clone()), Some("example.com/books")).signer().unwrap();
        assert_eq!((read.verifier(), origin.as_str()), (key.verifier(), "example.com/books"));
        let damaged = secret.replace("layers/test", "layers/other");
        for (config, named) in [
            (config(None, None, None), "LAYERS_CHECKPOINT_KEY is not set"),
            (config(Some(&secret), Some(file), None), "both set"),
            (config(Some(&damaged), None, None), "LAYERS_CHECKPOINT_KEY"),
            (config(None, Some(dir.path().join("none")), None), "LAYERS_CHECKPOINT_KEY_FILE"),
            (config(Some(&secret), None, Some("a\nb")), "LAYERS_CHECKPOINT_ORIGIN"),
        ] {
            let error = format!("{:#}", config.signer().unwrap_err());
            assert!(error.contains(named) && !error.contains("PRIVATE+KEY"), "{error}");
            assert!(!format!("{config:?}").contains("PRIVATE+KEY"));
        }
    }
}
