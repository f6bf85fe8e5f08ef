//! `did:web`: the document lies at a web address (W3C-CCG did:web method). Fetching is the caller's; this module maps
//! names to addresses and reads what was fetched.

use url::{Host, Url};

use super::document::DidDocument;
use super::{Did, resolver};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The address of the document of a `did:web`: always https, always a public name.
///
/// `did:web:a.example` lies at `/.well-known/did.json`, `did:web:a.example%3A8443:x:y` at port 8443, `/x/y/did.json`.
/// Refused as [`Error::Malformed`] `did_web`: IP addresses and names without a dot, any percent-encoding other than the
/// port's colon, user names, empty path segments, `.` and `..`. [`Error::Unsupported`] `did_method` for other methods.
///
/// Whether the name leads to a public address is checked by whoever connects.
pub fn document_url(did: &Did) -> Result<Url> {
    let url = map(did, "https")?;
    match url.host() {
        Some(Host::Domain(name)) if name.contains('.') && !is_loopback_name(name) => Ok(url),
        _ => Err(malformed()),
    }
}

/// The address of the document of a `did:web` whose host is `localhost` or a loopback address, over plain http: for
/// the demo and tests only. Errors as [`document_url`]; other hosts are [`Error::Malformed`] `did_web`.
pub fn loopback_document_url(did: &Did) -> Result<Url> {
    let url = map(did, "http")?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => is_loopback_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        _ => false,
    };
    if loopback { Ok(url) } else { Err(malformed()) }
}

/// The `did:web` whose document lies under `base` (scheme, host, port and path of a service's public URL).
///
/// [`Error::Misuse`] `did_web_base` when the URL has no domain or IPv4 host, or a query, fragment, user name, or path
/// that a DID cannot hold.
pub fn from_url(base: &Url) -> Result<Did> {
    let misuse = || Error::misuse("did_web_base", "no did:web can be made of this URL");
    let host = match base.host() {
        Some(Host::Domain(_) | Host::Ipv4(_)) => base.host_str().ok_or_else(misuse)?,
        _ => return Err(misuse()),
    };
    let plain = base.query().is_none() && base.fragment().is_none() && base.username().is_empty();
    if !plain || base.path().contains(':') {
        return Err(misuse());
    }
    let port = base.port().map(|port| format!("%3A{port}")).unwrap_or_default();
    let path = base.path().trim_matches('/').replace('/', ":");
    let separator = if path.is_empty() { "" } else { ":" };
    let did = Did::parse(&format!("did:web:{host}{port}{separator}{path}")).map_err(|_| misuse())?;
    map(&did, base.scheme()).map_err(|_| misuse())?;
    Ok(did)
}

/// Reads the document of `did` that was fetched from its address; errors of [`DidDocument::parse`].
pub fn document(did: &Did, bytes: &[u8], limits: &Limits) -> Result<DidDocument> {
    resolver::require_method(did, "web")?;
    DidDocument::parse(did, bytes, limits)
}

fn map(did: &Did, scheme: &str) -> Result<Url> {
    resolver::require_method(did, "web")?;
    let (authority, path) = match did.method_specific_id().split_once(':') {
        Some((authority, path)) => (authority, Some(path)),
        None => (did.method_specific_id(), None),
    };
    let upper = authority.replace("%3a", "%3A");
    let (host, port) = match upper.split_once("%3A") {
        Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| malformed())?)),
        None => (upper.as_str(), None),
    };
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    if host.contains(['%', '_']) || !host.split('.').all(label) {
        return Err(malformed());
    }
    let file = match path {
        None => "/.well-known/did.json".to_owned(),
        Some(path) => {
            let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && !s.contains('%');
            if !path.split(':').all(segment) {
                return Err(malformed());
            }
            format!("/{}/did.json", path.replace(':', "/"))
        }
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Url::parse(&format!("{scheme}://{host}{port}{file}")).map_err(|_| malformed())
}

fn is_loopback_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn malformed() -> Error {
    Error::malformed("did_web", "not a did:web of an acceptable host and path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(id: &str) -> Did {
        Did::parse(&format!("did:web:{id}")).unwrap()
    }

    #[test]
    fn addresses() {
        let cases = [
            ("a.example", "https://a.example/.well-known/did.json"),
            ("a.example:user:alice", "https://a.example/user/alice/did.json"),
            ("a.example%3A3000:user:alice", "https://a.example:3000/user/alice/did.json"),
            ("a.example%3a3000", "https://a.example:3000/.well-known/did.json"),
            ("A.Example%3A443", "https://a.example/.well-known/did.json"),
            ("a.example:...", "https://a.example/.../did.json"),
        ];
        for (id, url) in cases {
            assert_eq!(document_url(&did(id)).unwrap().as_str(), url);
        }
    }

    #[test]
    fn refuses_hosts_and_paths() {
        for bad in [
            "localhost",
            "a.localhost",
            "intranet",
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "10.0.0.1",
            "a.example%3A0x50",
            "a.example%3A99999",
            "a.example%3A",
            "a.example%3A80%3A81",
            "a.example%2Fpath",
            "a.example%40b.example",
            "a..example",
            ".example",
            "-a.example",
            "a_b.example",
            "a.example:..:x",
            "a.example:.",
            "a.example:%2e%2e:x",
            "a.example::x",
            "a.example:a%2Fb",
            "a.example:a%00",
            "%3A80",
        ] {
            assert_eq!(document_url(&did(bad)).unwrap_err().code(), "did_web", "{bad}");
        }
        assert_eq!(document_url(&Did::parse("did:key:z6Mk").unwrap()).unwrap_err().code(), "did_method");
    }

    #[test]
    fn loopback_only_on_demand() {
        for (id, url) in [
            ("localhost%3A8801", "http://localhost:8801/.well-known/did.json"),
            ("127.0.0.1%3A8801:a", "http://127.0.0.1:8801/a/did.json"),
        ] {
            assert_eq!(loopback_document_url(&did(id)).unwrap().as_str(), url);
        }
        for bad in ["a.example", "10.0.0.1", "localhost.example"] {
            assert_eq!(loopback_document_url(&did(bad)).unwrap_err().code(), "did_web", "{bad}");
        }
    }

    #[test]
    fn from_urls() {
        for (url, id) in [
            ("https://a.example", "a.example"),
            ("https://a.example:8443/x/y/", "a.example%3A8443:x:y"),
            ("http://localhost:8801/", "localhost%3A8801"),
        ] {
            assert_eq!(from_url(&Url::parse(url).unwrap()).unwrap(), did(id));
        }
        for bad in [
            "https://[::1]/",
            "https://a.example/?q",
            "https://a.example/a%20b",
            "https://u@a.example/",
            "data:x",
        ] {
            assert_eq!(from_url(&Url::parse(bad).unwrap()).unwrap_err().code(), "did_web_base", "{bad}");
        }
    }

    #[test]
    fn documents() {
        let bytes = br#"{"id": "did:web:a.example"}"#;
        assert!(document(&did("a.example"), bytes, &Limits::DEFAULT).is_ok());
        let other = document(&did("b.example"), bytes, &Limits::DEFAULT).unwrap_err();
        assert_eq!(other.code(), "did_document_id");
    }
}
