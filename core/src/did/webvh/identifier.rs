//! Names and addresses ("Method-Specific Identifier", "The DID to HTTPS Transformation").

use std::fmt;

use url::{Host, Url};

use super::resolution::VersionSelector;
use crate::did::{Did, resolver};
use crate::error::{Error, Result};

/// Stands for the SCID until it is known.
pub const SCID_PLACEHOLDER: &str = "{SCID}";
/// Characters of a SHA-256 multihash in base58btc.
const SCID_CHARS: usize = 46;
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Where a log is published: host, port and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// As it stands in the DID.
    text: String,
    host: String,
    port: Option<u16>,
    /// Percent-encoded anew, each without separators.
    path: Vec<String>,
}

impl Location {
    /// Reads what follows the SCID of a DID: `host[%3Aport][:segment…]`.
    ///
    /// [`Error::Malformed`] `webvh_path` for a segment that is empty, `.` or `..`, or has a separator, NUL or outer
    /// white space once decoded; `webvh_domain` for a host that is no public domain name (IP addresses in every notation
    /// included; `localhost` alone is let through, for [`WebvhDid::loopback_log_url`]) or a port out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let domain = parts.next().unwrap_or_default();
        let path = parts.map(segment).collect::<Result<_>>()?;
        let at = domain.char_indices().find(|(at, _)| colon(domain, *at)).map(|(at, _)| at);
        let (name, port) = match at.and_then(|at| Some((domain.get(..at)?, domain.get(at + 3..)?))) {
            Some((name, port)) => (name, Some(port_number(port).ok_or_else(bad_domain)?)),
            None => (domain, None),
        };
        Ok(Self { text: text.to_owned(), host: host(name).ok_or_else(bad_domain)?, port, path })
    }

    /// The location of logs under `base` (a service's public URL).
    ///
    /// [`Error::Misuse`] `webvh_base` when the URL has a query, a fragment, a user name, or a host or path that a
    /// `did:webvh` cannot hold.
    pub fn from_url(base: &Url) -> Result<Self> {
        let misuse = || Error::misuse("webvh_base", "no did:webvh can be made of this URL");
        let plain = base.query().is_none() && base.fragment().is_none() && base.username().is_empty();
        let host = base.host_str().filter(|_| plain && !base.path().contains(':')).ok_or_else(misuse)?;
        let port = base.port().map(|port| format!("%3A{port}")).unwrap_or_default();
        let path = base.path().trim_matches('/').replace('/', ":");
        let separator = if path.is_empty() { "" } else { ":" };
        Self::parse(&format!("{host}{port}{separator}{path}")).map_err(|_| misuse())
    }

    /// The DID of this location before its SCID is known; goes into the first document wherever the DID stands.
    pub fn placeholder(&self) -> String {
        format!("did:webvh:{SCID_PLACEHOLDER}:{}", self.text)
    }

    /// The DID of this location and `scid`; errors of [`WebvhDid::parse`].
    pub fn did(&self, scid: &str) -> Result<WebvhDid> {
        WebvhDid::parse(&format!("did:webvh:{scid}:{}", self.text))
    }

    fn url(&self, scheme: &str, file: &str, well_known: bool) -> Result<Url> {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = match (self.path.is_empty(), well_known) {
            (true, true) => "/.well-known/".to_owned(),
            (true, false) => "/".to_owned(),
            (false, _) => format!("/{}/", self.path.join("/")),
        };
        Url::parse(&format!("{scheme}://{}{port}{path}{file}", self.host)).map_err(|_| bad_domain())
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }
}

/// Whether an encoded colon begins at `at`.
fn colon(domain: &str, at: usize) -> bool {
    domain.get(at..at + 3).is_some_and(|text| text.eq_ignore_ascii_case("%3a"))
}

fn port_number(text: &str) -> Option<u16> {
    let fits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| fits && *port > 0)
}

/// The ASCII form of a domain name that was decoded once.
fn host(encoded: &str) -> Option<String> {
    let name = decode(encoded)?;
    // The URL parser would decode a second time, and take these for delimiters.
    if name.contains(['%', ':', '/', '\\', '?', '#', '@', '[', ']', '_'])
        || name.contains(char::is_whitespace)
    {
        return None;
    }
    let Ok(Host::Domain(ascii)) = Host::parse(&name) else { return None };
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let qualified = ascii.contains('.') || ascii == "localhost";
    (qualified && ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

fn segment(encoded: &str) -> Result<String> {
    let bad = || Error::malformed("webvh_path", "a path segment of the did:webvh is not acceptable");
    let text = decode(encoded).ok_or_else(bad)?;
    let outer = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if text.is_empty() || text == "." || text == ".." || text.contains(['/', '\\', '\0']) || outer {
        return Err(bad());
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(out)
}

/// Percent-decoding, once; `None` when a percent sign stands alone or the result is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit =
                || bytes.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
            let (high, low) = (digit()?, digit()?);
            out.push(high << 4 | low);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn bad_domain() -> Error {
    Error::malformed("webvh_domain", "the did:webvh does not name a public domain")
}

/// A `did:webvh`, without path, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebvhDid {
    did: Did,
    scid: String,
    location: Location,
}

impl WebvhDid {
    /// Reads a DID.
    ///
    /// [`Error::Malformed`] `did`, `webvh_path`, `webvh_domain`, or `webvh_scid` for a SCID that is not 46 characters of
    /// base58btc; [`Error::Unsupported`] `did_method`.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_did(&Did::parse(text)?)
    }

    /// [`Self::parse`] of a DID that was read before.
    pub fn from_did(did: &Did) -> Result<Self> {
        resolver::require_method(did, "webvh")?;
        let (scid, location) = did.method_specific_id().split_once(':').ok_or_else(bad_domain)?;
        let location = Location::parse(location)?;
        if scid.len() != SCID_CHARS || !scid.bytes().all(|byte| BASE58.contains(&byte)) {
            return Err(Error::malformed("webvh_scid", "the did:webvh has no well-formed SCID"));
        }
        Ok(Self { did: did.clone(), scid: scid.to_owned(), location })
    }

    /// The DID.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The self-certifying identifier: the hash of the first version.
    pub fn scid(&self) -> &str {
        &self.scid
    }

    /// Where it is published.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The address of the log, `did.jsonl`; [`Error::Malformed`] `webvh_domain` for a loopback name.
    pub fn log_url(&self) -> Result<Url> {
        self.public("did.jsonl", true)
    }

    /// The address of the witnesses' proofs, `did-witness.json`, beside the log.
    pub fn witness_url(&self) -> Result<Url> {
        self.public("did-witness.json", true)
    }

    /// The address of the log of a DID on `localhost` or a name under it, over plain http: for the demo and tests only.
    /// Other hosts are [`Error::Malformed`] `webvh_domain`.
    pub fn loopback_log_url(&self) -> Result<Url> {
        if self.location.is_loopback() {
            self.location.url("http", "did.jsonl", true)
        } else {
            Err(bad_domain())
        }
    }

    /// As [`Self::loopback_log_url`], for the witnesses' proofs.
    pub fn loopback_witness_url(&self) -> Result<Url> {
        if self.location.is_loopback() {
            self.location.url("http", "did-witness.json", true)
        } else {
            Err(bad_domain())
        }
    }

    /// The address of `file` as the implicit services have it: without `.well-known`.
    pub(super) fn file_url(&self, file: &str) -> Result<Url> {
        self.location.url("https", file, false)
    }

    fn public(&self, file: &str, well_known: bool) -> Result<Url> {
        if self.location.is_loopback() {
            Err(bad_domain())
        } else {
            self.location.url("https", file, well_known)
        }
    }
}

impl fmt::Display for WebvhDid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.did.fmt(f)
    }
}

/// A DID URL of a `did:webvh`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebvhUrl {
    /// The DID.
    pub did: WebvhDid,
    /// With its leading slash; dereferencing it is the caller's.
    pub path: Option<String>,
    /// Which version of the document is meant.
    pub version: VersionSelector,
    /// Without `#`.
    pub fragment: Option<String>,
}

impl WebvhUrl {
    /// Reads a DID URL; path, query and fragment are split off before the DID is looked at.
    ///
    /// Errors of [`WebvhDid::parse`] and [`VersionSelector::from_query`].
    pub fn parse(text: &str) -> Result<Self> {
        let (text, fragment) = match text.split_once('#') {
            Some((text, fragment)) => (text, Some(fragment.to_owned())),
            None => (text, None),
        };
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (did, path) = match text.split_once('/') {
            Some((did, path)) => (did, Some(format!("/{path}"))),
            None => (text, None),
        };
        Ok(Self { did: WebvhDid::parse(did)?, path, version: VersionSelector::from_query(query)?, fragment })
    }
}
