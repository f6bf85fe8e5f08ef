//! Enrolment of a WebAuthn key (AK) beside the holder key (HK): `webauthn_registrations` in the credential request, AK's
//! thumbprint in the key proof, HK's in AK's challenge. Neither can be swapped alone.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Issuer;
use super::offer::bounded_key;
use super::records::{ENROLMENTS, EnrolledKey};
use crate::attestation::level::{AssuranceLevel, KeyProtection};
use crate::binding::claim::{ClientKind, MAX_ORIGINS};
use crate::binding::enrolment::{EnrolmentInput, EnrolmentPolicy, WalletRegistration, verify_enrolment};
use crate::binding::report::Report;
use crate::clock::UnixTime;
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::protocol::openid4vci::key_proof::VerifiedKeyProof;
use crate::store::read_json;
use crate::webauthn::registration::RegistrationResponse;

/// A wallet whose registrations this issuer takes: the allow-list that makes an RP ID mean something to verifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    /// OAuth client identifier.
    pub client_id: String,
    /// Name for people.
    pub name: String,
    /// WebAuthn RP ID of the wallet's keys.
    pub rp_id: String,
    /// Origins from which assertions may come: exact strings, the current and the next one of an app.
    pub origins: Vec<String>,
    /// What makes the client data.
    pub client: ClientKind,
}

impl Wallet {
    pub(super) fn check(&self) -> Result<()> {
        let unique: BTreeSet<_> = self.origins.iter().collect();
        let origins = &self.origins;
        let origins_fit = (1..=MAX_ORIGINS).contains(&origins.len()) && unique.len() == origins.len();
        if self.client_id.is_empty() || self.rp_id.is_empty() || !origins_fit {
            let detail = "a wallet needs client_id, rp_id and one to eight origins without repetition";
            return Err(Error::misuse("issuer_settings", detail));
        }
        Ok(())
    }

    fn registration(&self) -> WalletRegistration {
        WalletRegistration {
            client_id: self.client_id.clone(),
            rp_id: self.rp_id.clone(),
            origins: self.origins.clone(),
            client: self.client,
        }
    }
}

/// What is kept about an enrolment for audits, sealed, for the time of retention; it identifies the device, so nothing
/// of it goes into the credential.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it was graded.
    pub at: UnixTime,
    /// The wallet.
    pub client_id: String,
    /// RP ID of the key.
    pub rp_id: String,
    /// Thumbprint of AK.
    pub ak_jkt: String,
    /// What the evidence was worth.
    pub level: AssuranceLevel,
    /// Where AK lives.
    pub key_protection: KeyProtection,
    /// The BE flag.
    pub backup_eligible: bool,
    /// Policy and version.
    pub policy: String,
    /// Model of the authenticator, hexadecimal.
    pub aaguid: String,
    /// The attestation object as it came, base64url.
    pub attestation_object: String,
    /// The client data as it came, base64url.
    pub client_data_json: String,
}

impl fmt::Debug for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRecord").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A registration that was verified and graded, with what has to be written down about it.
pub(super) struct Enrolment {
    pub(super) key: EnrolledKey,
    /// Hash of the WebAuthn credential id: one enrolment each.
    pub(super) credential_id_hash: Vec<u8>,
    pub(super) audit: AuditRecord,
}

impl Issuer {
    /// Verifies and grades one registration (`biometric-binding` 2.3, steps 3 to 6). The nonce in `proof` was
    /// recognised; that it and the credential id are new is for the commit, the level for the caller.
    ///
    /// # Errors
    /// `wallet_unknown`: the client is not on the list of wallets. `enrolment_response`: no
    /// `RegistrationResponseJSON`. The codes of [`verify_enrolment`].
    pub(super) fn verify_enrolment(
        &self,
        response: &Value,
        proof: &VerifiedKeyProof,
        client_id: Option<&str>,
    ) -> Result<Enrolment> {
        let wallet = client_id.and_then(|id| self.settings.wallet(id)).ok_or_else(|| {
            Error::refused("wallet_unknown", "registrations are taken from wallets on the issuer's list only")
        })?;
        let registration: RegistrationResponse = serde_json::from_value(response.clone())
            .map_err(|_| Error::malformed("enrolment_response", "not a WebAuthn RegistrationResponseJSON"))?;
        let input = EnrolmentInput {
            registration: &registration,
            hk_jkt: &Jwk::from_key(proof.key()).thumbprint(),
            ak_jkt: proof.ak_jkt(),
            c_nonce: proof.nonce(),
            client_id: &wallet.client_id,
        };
        let policy = EnrolmentPolicy {
            min_level: AssuranceLevel::None,
            uri: self.settings.binding_policy.clone(),
            grading: self.settings.grading,
        };
        let (metadata, now) = (self.authenticators.as_ref(), self.now());
        let verified = verify_enrolment(
            &input,
            &self.settings.identifier,
            &wallet.registration(),
            &policy,
            metadata,
            now,
            &self.limits,
            &mut Report::default(),
        )?;
        let audit = AuditRecord {
            at: now,
            client_id: wallet.client_id.clone(),
            rp_id: wallet.rp_id.clone(),
            ak_jkt: verified.binding.jwk.thumbprint(),
            level: verified.binding.level,
            key_protection: verified.binding.key_protection,
            backup_eligible: verified.binding.backup_eligible,
            policy: self.settings.binding_policy.clone(),
            aaguid: verified.aaguid.iter().map(|byte| format!("{byte:02x}")).collect(),
            attestation_object: base64url::encode(&registration.response.attestation_object.0),
            client_data_json: base64url::encode(&registration.response.client_data_json.0),
        };
        Ok(Enrolment {
            key: EnrolledKey { jkt: audit.ak_jkt.clone(), binding: verified.binding },
            credential_id_hash: sha256(&verified.credential_id).to_vec(),
            audit,
        })
    }

    /// The audit record of the enrolment behind a credential, while it is retained.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit_record(&self, credential_id: &str) -> Result<Option<AuditRecord>> {
        let stored = read_json(self.store(), ENROLMENTS, bounded_key(credential_id)).await?;
        Ok(stored.filter(|stored| stored.is_live(self.now())).map(|stored| stored.value))
    }
}
