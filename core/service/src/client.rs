//! Who is asking: the address of the client, behind trusted proxies too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};
use serde::{Deserialize, Deserializer};

/// The address of the client; in the extensions of every request that [`crate::serve`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The address; unspecified when the request came from no socket.
    pub address: IpAddr,
    /// Whether a header says that this request was passed on by a proxy that is not trusted.
    pub forwarded: bool,
}

impl ClientAddress {
    /// Whether the request came from this machine itself and nobody passed it on.
    pub fn is_local(&self) -> bool {
        !self.forwarded && self.address.is_loopback()
    }
}

/// A network in CIDR notation (`10.0.0.0/8`, `::1`): the proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u32,
    v4: bool,
}

impl Network {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, v4) = numeric(address);
        let shift = 128_u32.saturating_sub(self.prefix);
        v4 == self.v4 && (self.prefix == 0 || bits >> shift == self.bits >> shift)
    }
}

/// Left-aligned bits, so that a prefix counts from the top in both families.
fn numeric(address: IpAddr) -> (u128, bool) {
    match canonical(address) {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| InvalidNetwork)?)),
            None => (text, None),
        };
        let (bits, v4) = numeric(address.parse().map_err(|_| InvalidNetwork)?);
        let longest = if v4 { 32 } else { 128 };
        let prefix: u32 = prefix.unwrap_or(longest);
        if prefix > longest { Err(InvalidNetwork) } else { Ok(Self { bits, prefix, v4 }) }
    }
}

/// Not a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNetwork;

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address or network like 10.0.0.0/8")
    }
}

impl std::error::Error for InvalidNetwork {}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An IPv4 address that came in IPv6 clothing is the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The client of a request: the peer of the connection or, behind `trusted` proxies, the last address in
/// `X-Forwarded-For` that is not one of them.
pub(crate) fn address(extensions: &Extensions, headers: &HeaderMap, trusted: &[Network]) -> ClientAddress {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| canonical(peer.ip()));
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        return ClientAddress { address: peer, forwarded };
    }
    let values: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut address = peer;
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        // Beyond the first entry that makes no sense, nothing can be believed.
        let Ok(hop) = hop.trim().parse() else { break };
        address = canonical(hop);
        if !is_trusted(address) {
            break;
        }
    }
    ClientAddress { address, forwarded: false }
}

/// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, since one subscriber has that many.
pub(crate) fn bucket(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        address(&extensions, &headers, &trusted).address.to_string()
    }

    #[test]
    fn forwarded_headers_count_only_from_trusted_proxies() {
        assert_eq!(of("9.9.9.9", &["1.1.1.1"], &[]), "9.9.9.9");
        assert_eq!(of("9.9.9.9", &["1.1.1.1"], &["10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(of("10.1.2.3", &["1.1.1.1"], &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(of("10.1.2.3", &["6.6.6.6, 1.1.1.1, 10.9.9.9"], &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(of("10.1.2.3", &["6.6.6.6", "1.1.1.1"], &["10.0.0.0/8"]), "1.1.1.1");
        assert_eq!(of("10.1.2.3", &["6.6.6.6, nonsense"], &["10.0.0.0/8"]), "10.1.2.3");
        assert_eq!(of("::ffff:10.1.2.3", &["2001:db8::1"], &["10.0.0.0/8"]), "2001:db8::1");
        assert_eq!(of("10.1.2.3", &[], &["10.0.0.0/8"]), "10.1.2.3");
    }

    #[test]
    fn networks() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("::1", "::1") && !holds("::1", "::2") && holds("fd00::/8", "fd12::1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        for bad in ["", "10.0.0.0/33", "10/8", "::/129", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_subscriber_is_one_client() {
        let bucket = |text: &str| super::bucket(text.parse().unwrap()).to_string();
        assert_eq!(bucket("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(bucket("::ffff:1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn local_means_nobody_passed_it_on() {
        let local = ClientAddress { address: "127.0.0.1".parse().unwrap(), forwarded: false };
        assert!(local.is_local());
        assert!(!ClientAddress { forwarded: true, ..local }.is_local());
    }
}
