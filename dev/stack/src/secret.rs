//! Random secrets for a local stack.

use std::io::Read;

use anyhow::{Context, Result};

/// 128 random bits from the operating system, as hexadecimal digits.
///
/// # Errors
/// When the system's random source cannot be read.
pub fn random() -> Result<String> {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
