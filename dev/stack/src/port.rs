//! Free ports on the loopback interface.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below the range that the kernel takes for outgoing connections (32768 and up on Linux): a server that is killed must
/// find its port free again when it comes back.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// The ports that this process was given. Each is kept from other processes, which look for one at the same time, by a UDP
/// socket with its number: nothing here speaks UDP, and the kernel closes it when the process ends, however it ends.
static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A TCP port on 127.0.0.1 that nobody listens on, and that is given to nobody else while this process lives.
///
/// # Errors
/// When none is found in a few hundred tries.
pub fn free() -> Result<u16> {
    for _ in 0..500 {
        let random = RandomState::new().build_hasher().finish();
        let span = u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(random % span)?;
        // Claimed first: to look whether a port is free is to take it for a moment, maybe from one who was given it.
        let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if is_free(port) {
            GIVEN.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
            return Ok(port);
        }
    }
    bail!("no free TCP port on 127.0.0.1 between {} and {}", PORTS.start, PORTS.end)
}

/// Whether a listener could be opened on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() -> Result<()> {
        let ports = (0..500).map(|_| free()).collect::<Result<HashSet<_>>>()?;
        assert_eq!(ports.len(), 500);
        // What another process would find.
        let taken = |port: &u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_err();
        assert!(ports.iter().all(|port| is_free(*port) && taken(port)));
        Ok(())
    }
}
