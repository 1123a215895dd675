use std::io::Read;

use anyhow::{Context, Result};
use schemas::merkle::note::SignerKey;

/// A new key of this name, from the system's random source.
///
/// # Errors
/// When there are no random bytes, or the name cannot stand in a note.
pub fn generate(name: &str) -> Result<SignerKey> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed)).context("no random bytes")?;
    Ok(SignerKey::from_seed(name, seed)?)
}
