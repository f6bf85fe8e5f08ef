//! WebAuthn Level 3: the relying party's side of both ceremonies, offline and over values only.
//!
//! [`registration::verify`] follows §7.1, [`assertion::verify`] §7.2. The caller supplies what it expects (challenge,
//! origins, RP ID) and keeps what must be remembered (used challenges, known credential ids, counters). Attestation
//! statements are parsed here and judged in [`crate::attestation`].
//!
//! Carried algorithms: ES256, ES384, ES512, EdDSA (Ed25519) and RS256. Always refused: `crossOrigin` and `topOrigin`.

pub mod assertion;
pub mod authenticator_data;
pub(crate) mod cbor;
pub mod client_data;
pub mod cose_key;
pub mod options;
pub mod registration;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::base64url;
use crate::error::Result;

/// Whether the authenticator must have verified its user (§5.8.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserVerification {
    /// The UV flag must be set. Everything of the biometric binding asks for this.
    #[default]
    Required,
    /// The UV flag may be clear.
    Preferred,
}

/// Bytes that the WebAuthn JSON forms write as base64url without padding (§5.1, `Base64URLString`).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64url::decode(&text).map(Self).map_err(|_| de::Error::custom("not base64url without padding"))
    }
}

/// The only credential type there is (§5.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CredentialType {
    /// `public-key`.
    #[default]
    #[serde(rename = "public-key")]
    PublicKey,
}

/// An empty object, whatever was read: client extension results may hold PRF secrets, which nobody may keep or pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StrippedExtensionResults {}

impl<'de> Deserialize<'de> for StrippedExtensionResults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}
