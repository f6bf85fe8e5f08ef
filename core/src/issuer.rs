//! The issuer's rules: from a credential dataset to a signed, revocable, key-bound credential.
//!
//! ```text
//!  desk ── create_offer ──▶ offer + dataset          (offer.rs)
//!  wallet ─ exchange ─────▶ access token             (token.rs: code and transaction code, taken once)
//!  wallet ─ nonce ────────▶ c_nonce                  (nonce.rs: no state until it is used)
//!  wallet ─ issue ────────▶ credential               (issue.rs, enrolment.rs: key proof, WebAuthn registration, signature)
//!  wallet ─ notify ───────▶ what became of it        (notification.rs)
//!  desk ── change_status ─▶ status list              (status.rs: revoke, suspend, reinstate)
//! ```
//!
//! All state is in one [`Store`], changed by batches that apply as a whole: a refused request leaves everything as it
//! was. Records that hold claims, codes or attestations must lie in a sealed store (`store::Sealed`); keys are random
//! identifiers or hashes.

mod access;
pub mod authorization;
pub mod caller;
pub mod catalogue;
pub mod client_attestation;
mod code;
pub mod configuration;
mod deferred;
mod dpop;
pub mod encryption;
pub mod enrolment;
pub mod external;
mod holders;
pub mod issue;
pub mod nonce;
pub mod notification;
pub mod offer;
pub mod patients;
pub mod published_keys;
mod records;
pub mod settings;
pub mod status;
pub mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::attestation::AttestationTrust;
use crate::clock::{Clock, UnixTime};
use serde_json::{Map, Value};

use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::issue::IssuerKeyHeader;
use crate::jose::jwe::JweDecryptionKey;
use crate::key::{PublicKey, Signer};
use crate::limits::Limits;
use crate::random::Random;
use crate::secret::Secret;
use crate::store::Store;
use crate::trust::WalletProviderTrust;

pub use authorization::{Client, LoginView, ProviderState, SignedIn};
pub use caller::{Caller, Scheme};
pub use client_attestation::Demand;
pub use configuration::Configuration;
pub use encryption::{Answer, Message};
pub use enrolment::Wallet;
pub use external::{AuthorizationServer, ServerKeys};
pub use holders::AttestedKey;
pub use offer::{Approval, CreatedOffer, NewOffer, OfferFlow, OfferState, OfferSummary, Preview};
pub use patients::PatientSource;
pub use published_keys::PublishedKeys;
pub use records::{CredentialStatus, CredentialSummary};
pub use settings::Settings;
pub use status::StatusChange;

/// The key that signs credentials and status lists.
#[derive(Clone)]
pub struct IssuerKey {
    /// Signs.
    pub signer: Arc<dyn Signer>,
    /// How verifiers find its public half: certificate chain, DID URL, or the name of the key in
    /// `/.well-known/jwt-vc-issuer`.
    pub header: IssuerKeyHeader,
    /// The `iss` claim: the DID when the header names a DID URL, otherwise the issuer's URL, which the leaf's SAN covers.
    pub iss: String,
}

/// The same key reference for another kind of token: members of a JOSE header.
fn header_members(header: IssuerKeyHeader) -> Map<String, Value> {
    let mut members = Map::new();
    header.add_to(&mut members);
    members
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKey").field("iss", &self.iss).field("header", &self.header).finish()
    }
}

/// What the issuer stands on, supplied once at start-up.
pub struct Parts {
    /// Rules and names.
    pub settings: Settings,
    /// The signing key.
    pub key: IssuerKey,
    /// Records; sealed, since datasets and audit records go into it.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Key of nonces and transaction codes; the same for all instances that share the store.
    pub secret: Secret<[u8; 32]>,
    /// What attestations are graded by; what is empty grades as `uv`.
    pub attestation: AttestationTrust,
    /// Records of people who sign in without an offer of the desk; without it, only what the desk prepared is issued.
    pub patients: Option<Arc<dyn PatientSource>>,
}

/// An issuer. All methods take `&self`; any number may run at the same time.
pub struct Issuer {
    settings: Settings,
    key: IssuerKey,
    header: RwLock<IssuerKeyHeader>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    secret: Secret<[u8; 32]>,
    attestation: RwLock<Arc<AttestationTrust>>,
    patients: Option<Arc<dyn PatientSource>>,
    published: status::Published,
    request_key: JweDecryptionKey,
    wallet_providers: RwLock<Arc<WalletProviderTrust>>,
    earlier_keys: Vec<PublicKey>,
    server_keys: Option<Arc<dyn ServerKeys>>,
    limits: Limits,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("identifier", &self.settings.identifier).finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer over `parts`.
    ///
    /// # Errors
    /// `issuer_settings` and the codes of [`Settings::check`].
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts { settings, key, store, clock, random, secret, attestation, patients } = parts;
        settings.check()?;
        if key.iss.is_empty() {
            return Err(Error::misuse("issuer_settings", "iss is empty"));
        }
        Ok(Self {
            settings,
            header: RwLock::new(key.header.clone()),
            key,
            store,
            clock,
            random,
            secret,
            attestation: RwLock::new(Arc::new(attestation)),
            patients,
            published: status::Published::default(),
            request_key: JweDecryptionKey::generate()?,
            wallet_providers: RwLock::default(),
            earlier_keys: Vec::new(),
            server_keys: None,
            limits: Limits::DEFAULT,
        })
    }

    /// The issuer with the way to the keys of [`Settings::authorization_servers`].
    #[must_use]
    pub fn with_server_keys(mut self, keys: Arc<dyn ServerKeys>) -> Self {
        self.server_keys = Some(keys);
        self
    }

    /// The issuer with the public halves of keys that signed before: they stay in `/.well-known/jwt-vc-issuer`.
    #[must_use]
    pub fn with_earlier_keys(mut self, keys: Vec<PublicKey>) -> Self {
        self.earlier_keys = keys;
        self
    }

    /// The rules and names.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The signing key.
    pub fn key(&self) -> &IssuerKey {
        &self.key
    }

    /// Signs under a renewed certificate of the same key from now on; only where the key is named by a chain.
    pub fn replace_certificates(&self, chain: Vec<String>) {
        let mut header = self.header.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*header, IssuerKeyHeader::X5c(_)) {
            *header = IssuerKeyHeader::X5c(chain);
        }
    }

    /// Grades by renewed metadata, roots and lists from now on.
    pub fn replace_attestation_trust(&self, trust: AttestationTrust) {
        *self.attestation.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
    }

    /// Believes these wallet providers from now on; without any, no attestation of wallets or their keys counts.
    pub fn replace_wallet_providers(&self, providers: Arc<WalletProviderTrust>) {
        *self.wallet_providers.write().unwrap_or_else(PoisonError::into_inner) = providers;
    }

    fn wallet_providers(&self) -> Arc<WalletProviderTrust> {
        Arc::clone(&self.wallet_providers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What attestations are graded by.
    pub fn attestation_trust(&self) -> Arc<AttestationTrust> {
        Arc::clone(&self.attestation.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn key_header(&self) -> IssuerKeyHeader {
        self.header.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current time of this issuer's clock.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Deletes what has expired: offers, codes, datasets, tokens, used nonces, audit records past their retention.
    /// Returns how many records went.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn purge(&self) -> Result<usize> {
        let mut gone = 0;
        loop {
            let n = self.store.purge_expired(self.now(), 500).await?;
            gone += n;
            if n == 0 {
                return Ok(gone);
            }
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn mac(&self, label: &str, message: &[u8]) -> [u8; 32] {
        records::mac(&self.secret, label, message)
    }
}

/// Path of the authorization endpoint.
const AUTHORIZATION_PATH: &str = "/oid4vci/authorize";
/// Path of the pushed authorization request endpoint.
const PAR_PATH: &str = "/oid4vci/par";
/// Path of the challenge endpoint.
const CHALLENGE_PATH: &str = "/oid4vci/challenge";
/// Path of the deferred credential endpoint.
const DEFERRED_PATH: &str = "/oid4vci/deferred";
/// Path of the token endpoint.
const TOKEN_PATH: &str = "/oid4vci/token";
/// Path of the credential endpoint.
const CREDENTIAL_PATH: &str = "/oid4vci/credential";
/// Path of the notification endpoint.
const NOTIFICATION_PATH: &str = "/oid4vci/notification";

/// The key under which a secret string (code, token) is stored: its hash, so that a copy of the store opens nothing.
fn hashed(secret: &str) -> Vec<u8> {
    sha256(secret.as_bytes()).to_vec()
}

/// A fresh unguessable string of 256 bits.
fn fresh(random: &dyn Random) -> String {
    let bytes: [u8; 32] = random.array();
    base64url::encode(&bytes)
}
