//! Free ports on the loopback interface.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the range that the kernel takes for outgoing connections (32768 and up on Linux): a server that is killed must
/// find its port free again when it comes back.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A TCP port on 127.0.0.1 that nobody listens on now.
///
/// # Errors
/// When none is found in a few hundred tries.
pub fn free() -> Result<u16> {
    for _ in 0..500 {
        let random = RandomState::new().build_hasher().finish();
        let span = u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(random % span)?;
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free TCP port on 127.0.0.1 between {} and {}", PORTS.start, PORTS.end)
}

/// Whether a listener could be opened on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
