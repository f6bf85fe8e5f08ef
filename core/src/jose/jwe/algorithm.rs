//! The algorithms of a JWE by their JOSE names (RFC 7518 sections 4.1 and 5.1).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the content key comes to the recipient: key agreement with an ephemeral key (RFC 7518 section 4.6).
///
/// All others are refused, among them `RSA1_5` (padding oracles), `dir`, and `PBES2-…`, whose `p2c` would let a sender
/// choose how long the recipient computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum KeyManagement {
    /// The agreed key encrypts the content.
    #[default]
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    /// The agreed key wraps the content key with AES-128.
    #[serde(rename = "ECDH-ES+A128KW")]
    EcdhEsA128Kw,
    /// The agreed key wraps the content key with AES-256.
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
}

impl KeyManagement {
    /// All that are carried, the one of OpenID4VP and HAIP first.
    pub const ALL: [Self; 3] = [Self::EcdhEs, Self::EcdhEsA128Kw, Self::EcdhEsA256Kw];

    /// The JOSE name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    /// The algorithm of a JOSE name; [`Error::Unsupported`] `jwe_alg` for others.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|alg| alg.as_str() == name);
        known.ok_or_else(|| Error::unsupported("jwe_alg", "this key management algorithm is not supported"))
    }

    /// Bytes of the key that wraps; `None` where nothing is wrapped.
    pub(super) const fn wrapping_key_len(self) -> Option<usize> {
        match self {
            Self::EcdhEs => None,
            Self::EcdhEsA128Kw => Some(16),
            Self::EcdhEsA256Kw => Some(32),
        }
    }
}

/// How the content is encrypted (RFC 7518 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContentEncryption {
    /// AES-128 in Galois/Counter Mode.
    #[serde(rename = "A128GCM")]
    A128Gcm,
    /// AES-256 in Galois/Counter Mode.
    #[serde(rename = "A256GCM")]
    A256Gcm,
    /// AES-128 in CBC mode, then HMAC SHA-256.
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    /// AES-256 in CBC mode, then HMAC SHA-512.
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
}

impl ContentEncryption {
    /// All that are carried, the default of OpenID4VP first.
    pub const ALL: [Self; 4] = [Self::A128Gcm, Self::A256Gcm, Self::A128CbcHs256, Self::A256CbcHs512];
    /// The two that HAIP 1.0 section 5 demands, and that services announce.
    pub const GCM: [Self; 2] = [Self::A128Gcm, Self::A256Gcm];

    /// The JOSE name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    /// The encryption of a JOSE name; [`Error::Unsupported`] `jwe_enc` for others.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|enc| enc.as_str() == name);
        known.ok_or_else(|| Error::unsupported("jwe_enc", "this content encryption is not supported"))
    }

    /// Bytes of the content key; for CBC the keys of the MAC and of the cipher together.
    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }

    pub(super) const fn iv_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm => 12,
            Self::A128CbcHs256 | Self::A256CbcHs512 => 16,
        }
    }

    pub(super) const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm | Self::A128CbcHs256 => 16,
            Self::A256CbcHs512 => 32,
        }
    }
}
