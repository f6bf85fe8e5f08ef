//! Which addresses the guarded client may talk to, judged after resolution: the address that was checked is the address
//! that is connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::client::Network;

const URL_BYTES: usize = 2048;

/// Looks names up.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The addresses of `name`.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The rules for addresses.
pub(super) struct Guard {
    /// Names under `localhost` and loopback addresses, also by plain HTTP: for the demo.
    pub(super) loopback: bool,
    /// Networks that count as public although they are not.
    pub(super) networks: Vec<Network>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Guard {
    /// [`Error::Refused`] `fetch_url` unless this URL may be asked for, as far as it shows without resolution.
    pub(super) fn check_url(&self, url: &Url) -> Result<()> {
        let refuse = |reason: &'static str| Err(Error::refused("fetch_url", reason));
        let Some(host) = url.host() else { return refuse("the URL has no host") };
        if url.as_str().len() > URL_BYTES {
            return refuse("the URL is too long");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the URL has a user name or password");
        }
        let local = match &host {
            Host::Domain(name) => is_local_name(name),
            Host::Ipv4(v4) => v4.is_loopback(),
            Host::Ipv6(v6) => v6.is_loopback(),
        };
        if local && self.loopback && matches!(url.scheme(), "http" | "https") {
            return Ok(());
        }
        if url.scheme() != "https" {
            return refuse("the URL is not https");
        }
        let address = match host {
            Host::Domain(name) if is_local_name(name) => return refuse("the URL names this machine"),
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        if self.admits(address) { Ok(()) } else { refuse("the address is not a public one") }
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if is_local_name(name) {
            // RFC 6761 section 6.3: no resolver is asked. check_url has seen that it is allowed.
            return Ok(vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ]);
        }
        let unknown = |_| io::Error::new(io::ErrorKind::NotFound, UnknownHost);
        let mut addresses = self.lookup.lookup(name).await.map_err(unknown)?;
        addresses.retain(|address| self.admits(*address));
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, Forbidden));
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

/// The name resolves to addresses that are not public.
#[derive(Debug)]
pub(super) struct Forbidden;

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name has no public address")
    }
}

impl std::error::Error for Forbidden {}

/// No address is known of the name.
#[derive(Debug)]
pub(super) struct UnknownHost;

impl std::fmt::Display for UnknownHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no address is known of the name")
    }
}

impl std::error::Error for UnknownHost {}

/// [`Guard`] as reqwest wants it.
pub(super) struct Resolver(pub(super) Arc<Guard>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses: Addrs = Box::new(guard.resolve(name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Special-purpose IPv4 networks (IANA registry, RFC 6890): none is a place for an issuer.
const V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Azure's metadata and DNS address lies in public space.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// Special-purpose networks within the global unicast space 2000::/3; everything outside of it is refused as a whole.
const V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether the address is one on the public Internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !V4.iter().any(|(network, prefix)| {
            let shift = 32_u32.saturating_sub(*prefix);
            u32::from(v4) >> shift == u32::from(*network) >> shift
        }),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            // NAT64 (RFC 6052): what counts is the IPv4 address inside.
            if bits >> 32 == u128::from(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)) >> 32 {
                let [.., a, b, c, d] = v6.octets();
                return is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            bits >> 125 == 1
                && !V6.iter().any(|(network, prefix)| {
                    let shift = 128_u32.saturating_sub(*prefix);
                    bits >> shift == u128::from(*network) >> shift
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        for good in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }
}
