//! Decentralized identifiers (W3C DID 1.1) and the methods that CareKey carries: `did:key`, `did:jwk`, `did:web`,
//! `did:webvh`.

pub mod dereference;
pub mod document;
pub mod jwk;
pub mod key;
pub mod resolver;
pub mod web;
pub mod webvh;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::document::{DidDocument, VerificationMethod, VerificationPurpose};
pub use self::resolver::DidResolver;
use crate::error::{Error, Result};

/// Longer identifiers are refused: the longest that we make, `did:jwk` of P-521, takes about 300 bytes.
const MAX_BYTES: usize = 4096;

/// A DID without path, query or fragment, syntactically sound (section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Did(String);

impl Did {
    /// Reads a DID; [`Error::Malformed`] `did` when it is none or longer than 4096 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::malformed("did", "not a DID");
        let (method, id) =
            text.strip_prefix("did:").and_then(|rest| rest.split_once(':')).ok_or_else(malformed)?;
        let method_fits =
            !method.is_empty() && method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let last_fits = !id.is_empty() && !id.ends_with(':');
        if text.len() > MAX_BYTES || !method_fits || !last_fits || !id_chars(id) {
            return Err(malformed());
        }
        Ok(Self(text.to_owned()))
    }

    /// The method's name, such as `web`.
    pub fn method(&self) -> &str {
        self.split().0
    }

    /// What follows the method's name and its colon.
    pub fn method_specific_id(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        self.0.get(4..).and_then(|rest| rest.split_once(':')).unwrap_or_default()
    }

    /// The whole DID.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This DID with a fragment.
    ///
    /// [`Error::Malformed`] `did_url` for characters that a fragment cannot hold.
    pub fn with_fragment(&self, fragment: &str) -> Result<DidUrl> {
        DidUrl::new(self.clone(), fragment)
    }
}

/// `idchar` and `:`, with `%` only before two hexadecimal digits.
fn id_chars(id: &str) -> bool {
    let mut bytes = id.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|b| b.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b".-_:".contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Did {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Did {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Did> for String {
    fn from(did: Did) -> Self {
        did.0
    }
}

/// A DID with a fragment: the name of one verification method. Paths and queries are not supported.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DidUrl {
    did: Did,
    fragment: String,
}

impl DidUrl {
    /// Reads an absolute DID URL with fragment.
    ///
    /// [`Error::Malformed`] `did_url` when the fragment is missing, empty or has characters that do not belong there,
    /// `did` when what precedes it is no bare DID.
    pub fn parse(text: &str) -> Result<Self> {
        let (did, fragment) = text.split_once('#').ok_or_else(malformed_url)?;
        Self::new(Did::parse(did)?, fragment)
    }

    /// Reads a DID URL that may be relative to `base` (`#fragment`), as in documents and some `kid` headers.
    pub fn parse_relative(text: &str, base: &Did) -> Result<Self> {
        match text.strip_prefix('#') {
            Some(fragment) => Self::new(base.clone(), fragment),
            None => Self::parse(text),
        }
    }

    fn new(did: Did, fragment: &str) -> Result<Self> {
        // RFC 3986 section 3.5, less the percent sign: no method of ours needs encoded fragments.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&b);
        if fragment.is_empty() || fragment.len() > MAX_BYTES || !fragment.bytes().all(fits) {
            return Err(malformed_url());
        }
        Ok(Self { did, fragment: fragment.to_owned() })
    }

    /// The DID.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The fragment, without `#`.
    pub fn fragment(&self) -> &str {
        &self.fragment
    }
}

fn malformed_url() -> Error {
    Error::malformed("did_url", "not a DID with a fragment")
}

impl fmt::Display for DidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.did, self.fragment)
    }
}

impl FromStr for DidUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DidUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<DidUrl> for String {
    fn from(url: DidUrl) -> Self {
        url.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dids() {
        for good in ["did:a:b", "did:web:x.example%3A8443:a:b", "did:key:z6Mk", "did:ex4:a::b"] {
            let did = Did::parse(good).unwrap();
            assert_eq!(format!("did:{}:{}", did.method(), did.method_specific_id()), good);
        }
        let long = format!("did:a:{}", "b".repeat(5000));
        for bad in [
            "",
            "did",
            "did:",
            "did:a",
            "did:a:",
            "did::b",
            "DID:a:b",
            "did:A:b",
            "did:a-b:c",
            "did:a:b:",
            "did:a:b#c",
            "did:a:b/c",
            "did:a:b?c",
            "did:a:b c",
            "did:a:%3",
            "did:a:%zz",
            "did:a:é",
            "did:a:b\0",
            &long,
        ] {
            assert_eq!(Did::parse(bad).unwrap_err().code(), "did", "{bad}");
        }
    }

    #[test]
    fn urls() {
        let url = DidUrl::parse("did:a:b#key-1").unwrap();
        assert_eq!(
            (url.did().as_str(), url.fragment(), url.to_string().as_str()),
            ("did:a:b", "key-1", "did:a:b#key-1")
        );
        assert_eq!(DidUrl::parse_relative("#key-1", url.did()).unwrap(), url);
        assert_eq!(DidUrl::parse_relative("did:a:b#key-1", &Did::parse("did:c:d").unwrap()).unwrap(), url);
        for bad in ["did:a:b", "did:a:b#", "did:a:b#a b", "did:a:b#a#b", "did:a:b#%20"] {
            assert_eq!(DidUrl::parse(bad).unwrap_err().code(), "did_url", "{bad}");
        }
        for bad in ["did:a:b?x=1#k", "did:a:b/p#k", "#k"] {
            assert_eq!(DidUrl::parse(bad).unwrap_err().code(), "did", "{bad}");
        }
        assert_eq!(serde_json::from_str::<DidUrl>("\"did:a:b#key-1\"").unwrap(), url);
    }
}
