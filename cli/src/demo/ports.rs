//! Which ports the three servers take.
//!
//! Origins are signed into credentials (issuer URL, the wallet's WebAuthn origin), so the ports of the first start are
//! remembered in the data folder and taken again whenever they are free.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use serde::{Deserialize, Serialize};

const FILE: &str = "ports.json";
/// How many ports after the wanted one are tried.
const TRIES: u16 = 200;

/// The ports of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) hospital: u16,
    pub(super) wallet: u16,
    pub(super) portal: u16,
}

/// The ports people know from the documentation.
pub(super) const USUAL: Ports = Ports { hospital: 8801, wallet: 8802, portal: 8803 };

/// The chosen ports, and whether the remembered ones had to be left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) ports: Ports,
    /// The ports of earlier runs, when another program has one of them now.
    pub(super) left: Option<Ports>,
}

impl Choice {
    /// Any ports, and none remembered.
    pub(super) const FREE: Self = Self { ports: Ports { hospital: 0, wallet: 0, portal: 0 }, left: None };
}

/// Chooses free ports: the remembered ones, else the usual ones, else the next free ones; remembers a first choice.
pub(super) fn choose(folder: &Path) -> io::Result<Choice> {
    let path = folder.join(FILE);
    let remembered = match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice::<Ports>(&bytes).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is damaged: please delete it", path.display()),
            )
        })?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let ports = free_ports(remembered.unwrap_or(USUAL), is_free)?;
    match remembered {
        None => {
            let text = serde_json::to_vec_pretty(&ports).map_err(io::Error::other)?;
            std::fs::write(&path, text)?;
            Ok(Choice { ports, left: None })
        }
        Some(earlier) => Ok(Choice { ports, left: (earlier != ports).then_some(earlier) }),
    }
}

fn free_ports(wanted: Ports, is_free: impl Fn(u16) -> bool) -> io::Result<Ports> {
    let all_wanted = [wanted.hospital, wanted.wallet, wanted.portal];
    let mut taken: Vec<u16> = Vec::with_capacity(3);
    for port in all_wanted {
        let candidates = std::iter::once(port).chain(
            // a replacement must not take a port that one of the others wants
            (port..port.saturating_add(TRIES)).skip(1).filter(|other| !all_wanted.contains(other)),
        );
        let found = candidates.into_iter().find(|port| !taken.contains(port) && is_free(*port));
        taken.push(found.ok_or_else(|| {
            io::Error::new(io::ErrorKind::AddrInUse, format!("no free port from {port} on"))
        })?);
    }
    match taken.as_slice() {
        [hospital, wallet, portal] => Ok(Ports { hospital: *hospital, wallet: *wallet, portal: *portal }),
        _ => Err(io::Error::other("three servers need three ports")),
    }
}

fn is_free(port: u16) -> bool {
    // browsers ask for localhost at ::1 first: somebody else's server there would answer in our place
    let six = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    let taken_on_six = six.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    !taken_on_six && TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ports_or_the_next_free_ones() {
        assert_eq!(free_ports(USUAL, |_| true).unwrap(), USUAL);
        let ports = free_ports(USUAL, |port| port != 8801 && port != 8804).unwrap();
        assert_eq!(ports, Ports { hospital: 8805, ..USUAL });
        assert!(free_ports(USUAL, |_| false).is_err());
    }

    #[test]
    fn ports_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let first = choose(folder.path()).unwrap();
        assert_eq!(first.left, None);
        let earlier = Ports { hospital: port, wallet: first.ports.wallet, portal: first.ports.portal };
        std::fs::write(folder.path().join(FILE), serde_json::to_vec(&earlier).unwrap()).unwrap();
        let second = choose(folder.path()).unwrap();
        assert_eq!(second.left, Some(earlier));
        assert_ne!(second.ports.hospital, port);
        drop(held);
        // remembered stays what was remembered first
        let kept: Ports = serde_json::from_slice(&std::fs::read(folder.path().join(FILE)).unwrap()).unwrap();
        assert_eq!(kept, earlier);
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(choose(folder.path()).is_err());
    }
}
