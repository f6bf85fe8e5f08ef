//! Client identifier and its prefix (OpenID4VP 1.0 section 5.9): how the verifier is authenticated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The client identifier prefixes of this build (section 5.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientIdPrefix {
    /// The rest is the response URI; the request is not signed and the verifier is not authenticated.
    RedirectUri,
    /// The rest is a DNS name in the certificate that signs the request.
    X509SanDns,
    /// The rest is the base64url SHA-256 of the certificate that signs the request.
    X509Hash,
    /// The rest is a DID, one of whose keys signs the request.
    DecentralizedIdentifier,
    /// The rest is the subject of an attestation (section 12) whose key signs the request.
    VerifierAttestation,
    /// The rest is the Entity Identifier of a verifier in an OpenID Federation, whose trust chain names the key that signs
    /// the request.
    OpenidFederation,
    /// The rest is the origin from which an unsigned request came over the Digital Credentials API (appendix A.2). Only the
    /// platform makes it: no request may name it.
    Origin,
}

impl ClientIdPrefix {
    /// The prefix as it is written, without the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RedirectUri => "redirect_uri",
            Self::X509SanDns => "x509_san_dns",
            Self::X509Hash => "x509_hash",
            Self::DecentralizedIdentifier => "decentralized_identifier",
            Self::VerifierAttestation => "verifier_attestation",
            Self::OpenidFederation => "openid_federation",
            Self::Origin => "origin",
        }
    }

    /// Those that a request may name.
    pub const REQUESTED: [Self; 6] = [
        Self::RedirectUri,
        Self::X509SanDns,
        Self::X509Hash,
        Self::DecentralizedIdentifier,
        Self::VerifierAttestation,
        Self::OpenidFederation,
    ];

    /// Whether requests under this prefix are signed.
    pub fn is_signed(self) -> bool {
        !matches!(self, Self::RedirectUri | Self::Origin)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::REQUESTED.into_iter().find(|prefix| prefix.as_str() == text)
    }
}

/// A full client identifier, `<prefix>:<identifier>`; compared as a whole, always (section 14.9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId {
    prefix: ClientIdPrefix,
    full: String,
}

impl ClientId {
    /// The identifier of a verifier under `prefix`.
    pub fn new(prefix: ClientIdPrefix, original: &str) -> Self {
        Self { prefix, full: format!("{}:{original}", prefix.as_str()) }
    }

    /// The prefix.
    pub fn prefix(&self) -> ClientIdPrefix {
        self.prefix
    }

    /// The identifier without the prefix.
    pub fn original(&self) -> &str {
        self.full.split_once(':').map_or("", |(_, original)| original)
    }

    /// The full identifier: the audience of every presentation.
    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl FromStr for ClientId {
    type Err = Error;

    /// Pre-registered clients (no prefix) and other prefixes are [`Error::Unsupported`] `client_id_prefix`.
    fn from_str(text: &str) -> Result<Self> {
        let (prefix, original) = text.split_once(':').unwrap_or_default();
        match ClientIdPrefix::parse(prefix) {
            Some(prefix) if !original.is_empty() && text.len() <= 2048 => {
                Ok(Self { prefix, full: text.to_owned() })
            }
            Some(_) => Err(Error::malformed("client_id", "the client identifier is empty or too long")),
            None => {
                Err(Error::unsupported("client_id_prefix", "the client identifier has no supported prefix"))
            }
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: Error| serde::de::Error::custom(error.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let id: ClientId = "x509_san_dns:client.example.org".parse().unwrap();
        assert_eq!((id.prefix(), id.original()), (ClientIdPrefix::X509SanDns, "client.example.org"));
        // Only the first colon separates.
        let id: ClientId = "decentralized_identifier:did:example:123".parse().unwrap();
        assert_eq!(id.original(), "did:example:123");
        assert_eq!(ClientId::new(id.prefix(), id.original()), id);
        let id: ClientId = "verifier_attestation:verifier.example".parse().unwrap();
        assert_eq!((id.prefix(), id.original()), (ClientIdPrefix::VerifierAttestation, "verifier.example"));
        let id: ClientId = "openid_federation:https://verifier.example".parse().unwrap();
        assert_eq!(
            (id.prefix(), id.original()),
            (ClientIdPrefix::OpenidFederation, "https://verifier.example")
        );
        for unsupported in ["example-client", "x509_san_uri:https://x", "origin:x", "https://x"] {
            assert_eq!(
                unsupported.parse::<ClientId>().unwrap_err().code(),
                "client_id_prefix",
                "{unsupported}"
            );
        }
        assert_eq!("x509_hash:".parse::<ClientId>().unwrap_err().code(), "client_id");
    }
}
