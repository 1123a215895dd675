//! Whose request it is, by network address: the other end of the connection, or, behind proxies that are listed, whom these say.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;

/// A network in CIDR notation: `10.0.0.0/8`, `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Not a network.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no address and no network in CIDR notation")]
pub struct NotANetwork(String);

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// It speaks TLS with us.
    pub tls: bool,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// As far as listed proxies tell, else the connection's.
    pub address: IpAddr,
    /// The client's side of the way is encrypted.
    pub tls: bool,
}

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (network, address) = (bits(self.address), bits(address.to_canonical()));
        network.1 == address.1 && (self.prefix == 0 || (network.0 ^ address.0) >> (network.1 - self.prefix) == 0)
    }
}

/// As a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

impl FromStr for Network {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let not = || NotANetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| not())?;
        let longest = bits(address).1;
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| not()))?;
        if prefix > longest { Err(not()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl ClientAddress {
    /// `X-Forwarded-For` is believed from its end as far as each hop is a listed proxy: what stands before that, anybody can
    /// have written.
    pub fn of(peer: Peer, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut found = Self { address: peer.address.to_canonical(), tls: peer.tls };
        if !is_trusted(found.address) {
            return found;
        }
        let values: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            found.address = address.to_canonical();
            if !is_trusted(found.address) {
                break;
            }
        }
        let https =
            headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
        found.tls |= https;
        found
    }

    /// Under which failures are counted: whoever has an IPv6 address has 2⁶⁴ of them.
    pub fn neighbourhood(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (network, address, contained) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().contains(ip(address)), contained, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/x", "example.com", "10.0.0/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        ClientAddress::of(Peer { address: ip(peer), tls: false }, &headers, &trusted).address
    }

    #[test]
    fn only_listed_proxies_are_believed_and_only_as_far_as_they_reach() {
        assert_eq!(of("10.0.0.1", &["1.2.3.4"], &[]), ip("10.0.0.1"), "nobody is listed");
        assert_eq!(of("9.9.9.9", &["1.2.3.4"], &["10.0.0.0/8"]), ip("9.9.9.9"), "not from a listed one");
        assert_eq!(of("10.0.0.1", &["1.2.3.4"], &["10.0.0.0/8"]), ip("1.2.3.4"));
        assert_eq!(
            of("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"], &["10.0.0.0/8"]),
            ip("1.2.3.4"),
            "6.6.6.6 is made up"
        );
        assert_eq!(of("10.0.0.1", &["6.6.6.6", "1.2.3.4"], &["10.0.0.0/8"]), ip("1.2.3.4"), "lines are one list");
        assert_eq!(of("10.0.0.1", &["nonsense"], &["10.0.0.0/8"]), ip("10.0.0.1"));
        assert_eq!(of("::ffff:10.0.0.1", &["1.2.3.4"], &["10.0.0.0/8"]), ip("1.2.3.4"));
    }

    #[test]
    fn https_is_believed_of_listed_proxies_only() {
        let headers = HeaderMap::from_iter([("x-forwarded-proto".parse().unwrap(), "https".parse().unwrap())]);
        let peer = Peer { address: ip("10.0.0.1"), tls: false };
        assert!(!ClientAddress::of(peer, &headers, &[]).tls);
        assert!(ClientAddress::of(peer, &headers, &["10.0.0.1".parse().unwrap()]).tls);
    }
}
