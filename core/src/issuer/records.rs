//! The tables of the issuer and what lies in them.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::authorization::ProviderState;
use super::enrolment::Enrolment;
use super::holders::AttestedKey;
use super::offer::{Approval, OfferState};
use crate::binding::claim::WebauthnBinding;
use crate::clock::UnixTime;
use crate::jose::jwk::Jwk;
use crate::protocol::oauth::authorization::AuthorizationRequest;
use crate::protocol::openid4vci::notification::NotificationEvent;
use crate::protocol::openid4vci::offer::CredentialOffer;
use crate::secret::Secret;
use crate::store::Table;

/// Offers by id: [`OfferRecord`].
pub(super) const OFFERS: Table = Table::new("offers");
/// Pre-authorized codes by hash: [`CodeRecord`].
pub(super) const CODES: Table = Table::new("offer_codes");
/// Credential datasets by offer id, `/` and configuration id: [`DatasetRecord`].
pub(super) const DATASETS: Table = Table::new("datasets");
/// The newest offer per person, by the hash of the person's identifier: its id.
pub(super) const SUBJECTS: Table = Table::new("subjects");
/// Pushed authorization requests by hash: [`PushedRecord`].
pub(super) const PUSHED: Table = Table::new("pushed_requests");
/// Sign-ins under way by hash: [`LoginRecord`].
pub(super) const LOGINS: Table = Table::new("logins");
/// Authorization codes by hash: [`AuthorizationCodeRecord`].
pub(super) const AUTHORIZATION_CODES: Table = Table::new("authorization_codes");
/// Issuances that wait for the desk, by hash of the transaction id: [`DeferredRecord`].
pub(super) const DEFERRED: Table = Table::new("deferred");
/// What wallets were granted, by random id: [`GrantRecord`].
pub(super) const GRANTS: Table = Table::new("grants");
/// Access tokens by hash: [`TokenRecord`].
pub(super) const TOKENS: Table = Table::new("access_tokens");
/// Nonces that were used, by their random part; empty values.
pub(super) const NONCES: Table = Table::new("used_nonces");
/// DPoP proofs that were used, by the hash of key and `jti`; empty values.
pub(super) const DPOP_PROOFS: Table = Table::new("dpop_proofs");
/// Proofs beside wallet attestations that were used, by the hash of key and `jti`; empty values.
pub(super) const ATTESTATION_PROOFS: Table = Table::new("attestation_proofs");
/// Issued credentials by id: [`CredentialRecord`].
pub(super) const CREDENTIALS: Table = Table::new("credentials");
/// Notification ids: [`NotificationRecord`].
pub(super) const NOTIFICATIONS: Table = Table::new("notifications");
/// WebAuthn credential ids that were enrolled, by hash; empty values.
pub(super) const AUTHENTICATORS: Table = Table::new("authenticators");
/// App Attest keys that were attested, by the hash of their key id: [`crate::attestation::app_attest::AppAttestKey`].
pub(super) const APP_KEYS: Table = Table::new("app_attest_keys");
/// Audit records of enrolments by credential id: [`super::enrolment::AuditRecord`].
pub(super) const ENROLMENTS: Table = Table::new("enrolments");
/// Status lists by number (big endian): the bits as they are.
pub(super) const STATUS_LISTS: Table = Table::new("status_lists");
/// Used entries of status lists, by number and index (big endian); empty values.
pub(super) const STATUS_ENTRIES: Table = Table::new("status_entries");
/// The number of the status list that new credentials get, under [`CURRENT`].
pub(super) const STATUS_CURRENT: Table = Table::new("status_current");
/// The only key of [`STATUS_CURRENT`].
pub(super) const CURRENT: &[u8] = b"current";

/// An offer. The code is in it as long as the offer can be fetched by reference.
#[derive(Serialize, Deserialize)]
pub(super) struct OfferRecord {
    pub(super) id: String,
    pub(super) state: OfferState,
    pub(super) configuration_ids: Vec<String>,
    /// The desk's own reference (a case number), never sent to the wallet.
    pub(super) reference: Option<String>,
    pub(super) created_at: UnixTime,
    pub(super) expires_at: UnixTime,
    /// The whole offer while it is open.
    pub(super) offer: Option<CredentialOffer>,
    /// Ids of the credentials that came of it.
    pub(super) credentials: Vec<String>,
    /// The earlier offer whose credentials are revoked as those of this one are issued.
    #[serde(default)]
    pub(super) replaces: Option<String>,
    /// Whether it can be taken by the authorization code flow.
    #[serde(default)]
    pub(super) code_flow: bool,
    /// Who it is for, as the hospital's provider calls them.
    #[serde(default)]
    pub(super) subject: Option<String>,
    /// The code that the desk gave the person for signing in.
    #[serde(default)]
    pub(super) sign_in: Option<SignInCode>,
    /// What the desk says about issuing, where it wants to be asked.
    #[serde(default)]
    pub(super) approval: Option<Approval>,
    /// Whether a wallet has asked and waits.
    #[serde(default)]
    pub(super) waiting: bool,
}

/// A code for signing in, as a keyed hash.
#[derive(Serialize, Deserialize)]
pub(super) struct SignInCode {
    pub(super) code: [u8; 32],
    pub(super) wrong_attempts: u32,
}

/// A pushed authorization request that was found good.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PushedRecord {
    pub(super) request: AuthorizationRequest,
    pub(super) configuration_ids: Vec<String>,
    /// Whether authorization details asked.
    pub(super) identifiers: bool,
    /// The key that the code is bound to.
    pub(super) jkt: Option<String>,
    /// The key of the attested instance of the wallet that the code is bound to.
    #[serde(default)]
    pub(super) instance: Option<String>,
}

/// A sign-in under way.
#[derive(Serialize, Deserialize)]
pub(super) struct LoginRecord {
    pub(super) pushed: PushedRecord,
    pub(super) provider: Option<ProviderState>,
}

/// An authorization code; kept for its whole lifetime, so that using it twice is noticed.
#[derive(Serialize, Deserialize)]
pub(super) struct AuthorizationCodeRecord {
    pub(super) offer_id: String,
    pub(super) pushed: PushedRecord,
    /// The grant that came of it.
    pub(super) grant: Option<String>,
}

/// Credentials that wait for the desk.
#[derive(Serialize, Deserialize)]
pub(super) struct DeferredRecord {
    pub(super) grant: String,
    pub(super) configuration_id: String,
    pub(super) copies: Vec<Copy>,
}

/// One credential of a request: bound to the key of its proof, and to the WebAuthn key that the proof names.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Copy {
    /// The holder key.
    pub(super) holder: Jwk,
    /// The DID that the proof named it by, or its did:jwk.
    pub(super) did: String,
    /// The enrolled key that goes into this credential.
    pub(super) key: Option<EnrolledKey>,
    /// The registration that came with this proof.
    pub(super) enrolment: Option<Enrolment>,
    /// What the wallet's provider says about the holder key.
    #[serde(default)]
    pub(super) attested: Option<AttestedKey>,
}

/// A pre-authorized code that was not used yet.
#[derive(Serialize, Deserialize)]
pub(super) struct CodeRecord {
    pub(super) offer_id: String,
    pub(super) configuration_ids: Vec<String>,
    /// Keyed hash of the transaction code.
    pub(super) tx_code: Option<[u8; 32]>,
    pub(super) wrong_attempts: u32,
}

/// Claims that wait to become a credential.
#[derive(Serialize, Deserialize)]
pub(super) struct DatasetRecord {
    pub(super) claims: Map<String, Value>,
}

/// An access token: good for as long as its grant is there.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenRecord {
    /// Key of the [`GrantRecord`].
    pub(super) grant: String,
}

/// What a wallet was granted with a code: the state of one issuance.
#[derive(Serialize, Deserialize)]
pub(super) struct GrantRecord {
    pub(super) offer_id: String,
    pub(super) client_id: Option<String>,
    /// Thumbprint of the key that its tokens are bound to (RFC 9449); `None` for bearer tokens.
    pub(super) jkt: Option<String>,
    /// Thumbprint of the key of the attested instance of the wallet, which alone may refresh.
    #[serde(default)]
    pub(super) instance: Option<String>,
    /// What it allows.
    pub(super) configuration_ids: Vec<String>,
    /// What was issued with it.
    pub(super) issued: Vec<String>,
    /// The WebAuthn keys that were enrolled with it: further credentials may name them by `ak_jkt` alone.
    pub(super) enrolled: Vec<EnrolledKey>,
    /// Whether the token response named credential identifiers.
    pub(super) identifiers: bool,
    /// Names of credentials that another authorization server gave out, with their configurations.
    #[serde(default)]
    pub(super) named: BTreeMap<String, String>,
    /// Hash of the refresh token that counts; `None` when nothing can be refreshed.
    pub(super) refresh: Option<Vec<u8>>,
    /// Whether its access tokens live long enough for an approval.
    #[serde(default)]
    pub(super) long: bool,
}

/// A WebAuthn key whose registration was verified under an access token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct EnrolledKey {
    pub(super) jkt: String,
    pub(super) binding: WebauthnBinding,
}

/// Status of an issued credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// Good.
    Valid,
    /// Not good for now.
    Suspended,
    /// Not good any more, for ever.
    Revoked,
}

/// An issued credential, without any claim of it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct CredentialRecord {
    #[serde(flatten)]
    pub(super) summary: CredentialSummary,
    /// The grant it was issued under.
    #[serde(default)]
    pub(super) grant: String,
    pub(super) list: u64,
    pub(super) index: u64,
}

/// What the issuer keeps about an issued credential: no claims, no keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSummary {
    /// Identifier at this issuer, random.
    pub id: String,
    /// Kind of credential.
    pub configuration_id: String,
    /// The offer it came of.
    pub offer_id: String,
    /// The desk's own reference, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// Its `exp`.
    pub expires_at: UnixTime,
    /// Its status.
    pub status: CredentialStatus,
    /// When the status changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_changed_at: Option<UnixTime>,
    /// The client that collected it, if it said who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Assurance level of the WebAuthn key bound into it; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What the wallet's provider attested about the holder key; absent when it attested nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder_key: Option<AttestedKey>,
    /// What the wallet said became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<NotificationEvent>,
}

/// A notification id.
#[derive(Serialize, Deserialize)]
pub(super) struct NotificationRecord {
    /// The grant it belongs to.
    pub(super) grant: String,
    /// The credentials of one response.
    pub(super) credential_ids: Vec<String>,
}

/// HMAC-SHA-256 with domain separation.
pub(super) fn mac(secret: &Secret<[u8; 32]>, label: &str, message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let mut context = hmac::Context::with_key(&key);
    context.update(label.as_bytes());
    context.update(&[0]);
    context.update(message);
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    out
}
