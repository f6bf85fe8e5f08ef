//! What a wallet brings to a collection besides its keys: the word of its provider, and what it demands of issuers.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::attestation::key_attestation::KeyAttestationsRequired;
use crate::error::Result;
use crate::holder::HolderKeyInfo;
use crate::x509::TrustAnchor;

/// Wallet attestations of this instance of the wallet (OpenID4VCI 1.0 appendix E).
#[async_trait]
pub trait WalletAttester: Send + Sync {
    /// The client attestation to show to the authorization server `server`: one for that server only (HAIP 1.0 section
    /// 4.4.1), about an ES256 key that stays the same for as long as tokens of that server are used. `fresh`: the server
    /// refused the last one as too old.
    ///
    /// # Errors
    /// When the provider gives none.
    async fn attestation(&self, server: &str, fresh: bool) -> Result<String>;

    /// Signs with the key that the attestation for `server` is about; ES256 `r || s`, 64 bytes. No user is asked.
    ///
    /// # Errors
    /// When the key is missing.
    async fn sign(&self, server: &str, message: &[u8]) -> Result<Vec<u8>>;
}

/// Which keys are to be attested, and how.
#[derive(Clone, Copy)]
pub struct KeyAttestationRequest<'a> {
    /// The issuer that asks.
    pub credential_issuer: &'a str,
    /// Holder keys of the wallet's own store: all must be in the attestation.
    pub keys: &'a [HolderKeyInfo],
    /// The issuer's nonce: the `nonce` of the attestation.
    pub nonce: Option<&'a str>,
    /// One of the values of each member that is not empty must be stated.
    pub required: &'a KeyAttestationsRequired,
}

impl fmt::Debug for KeyAttestationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAttestationRequest").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Key attestations of holder keys (OpenID4VCI 1.0 appendix D).
#[async_trait]
pub trait KeyAttester: Send + Sync {
    /// An attestation with `exp`, for all the keys.
    ///
    /// # Errors
    /// When the provider gives none, or the keys do not reach what is required.
    async fn attest(&self, request: &KeyAttestationRequest<'_>) -> Result<String>;
}

/// What a wallet makes of signed issuer metadata (OpenID4VCI 1.0 section 12.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignedMetadata {
    /// It is not asked for.
    #[default]
    Ignore,
    /// It is asked for; where it is missing or its signer is not trusted, the plain document counts, which TLS vouches
    /// for.
    Prefer,
    /// Without metadata by a trusted signer, nothing is collected.
    Demand,
}

/// What is optional in a collection. The default brings nothing and demands nothing.
#[derive(Clone, Copy, Default)]
pub struct IssuancePolicy<'a> {
    /// Wallet attestations, for servers that take them.
    pub wallet_attester: Option<&'a dyn WalletAttester>,
    /// Key attestations, for issuers that require them.
    pub key_attester: Option<&'a dyn KeyAttester>,
    /// Whether requests and responses are encrypted wherever the issuer can; otherwise where it must.
    pub encrypt: bool,
    /// What signed metadata is worth.
    pub signed_metadata: SignedMetadata,
    /// What certificates of signed metadata must lead to.
    pub metadata_anchors: &'a [TrustAnchor],
}

impl fmt::Debug for IssuancePolicy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuancePolicy")
            .field("wallet_attester", &self.wallet_attester.is_some())
            .field("key_attester", &self.key_attester.is_some())
            .field("encrypt", &self.encrypt)
            .field("signed_metadata", &self.signed_metadata)
            .finish_non_exhaustive()
    }
}

/// An authorization server that takes wallet attestations.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AttestingServer {
    /// Its identifier.
    pub(super) server: String,
    pub(super) challenge_endpoint: Option<Url>,
}
