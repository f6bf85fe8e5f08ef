//! Enrolment of a WebAuthn key (AK) beside the holder key (HK): `webauthn_registrations` in the credential request, AK's
//! thumbprint in the key proof, HK's in AK's challenge. Neither can be swapped alone.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Issuer;
use super::records::EnrolledKey;
use crate::attestation::level::{AssuranceLevel, KeyProtection};
use crate::binding::claim::{ClientKind, UvDemand, WebauthnBinding};
use crate::binding::statement::EnrolmentStatement;
use crate::clock::UnixTime;
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::key::SignatureAlgorithm;
use crate::protocol::openid4vci::key_proof::VerifiedKeyProof;
use crate::webauthn::UserVerification;
use crate::webauthn::registration::{
    self, RegistrationExpectation, RegistrationResponse, VerifiedRegistration,
};

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
        if self.client_id.is_empty()
            || self.rp_id.is_empty()
            || origins.is_empty()
            || unique.len() != origins.len()
        {
            let detail = "a wallet needs client_id, rp_id and origins without repetition";
            return Err(Error::misuse("issuer_settings", detail));
        }
        Ok(())
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
    /// Origin in the client data.
    pub origin: String,
    /// Thumbprint of AK.
    pub ak_jkt: String,
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
    /// recognised; that it and the credential id are new is for the commit.
    ///
    /// # Errors
    /// `enrolment_client_unknown`: the client is not on the list of wallets. `enrolment_jkt_missing`,
    /// `enrolment_jkt_mismatch`: HK does not vouch for this AK. `enrolment_response`: no `RegistrationResponseJSON`.
    /// The codes of [`registration::verify`] .
    pub(super) fn verify_enrolment(
        &self,
        response: &Value,
        proof: &VerifiedKeyProof,
        client_id: Option<&str>,
    ) -> Result<Enrolment> {
        let wallet = client_id.and_then(|id| self.settings.wallet(id)).ok_or_else(|| {
            Error::refused(
                "enrolment_client_unknown",
                "registrations are taken from wallets on the issuer's list only",
            )
        })?;
        let response: RegistrationResponse = serde_json::from_value(response.clone())
            .map_err(|_| Error::malformed("enrolment_response", "not a WebAuthn RegistrationResponseJSON"))?;
        let hk_jkt = Jwk::from_key(proof.key()).thumbprint();
        let challenge = EnrolmentStatement {
            c_nonce: proof.nonce(),
            client_id: &wallet.client_id,
            hk_jkt: &hk_jkt,
            iss: &self.settings.identifier,
            rp_id: &wallet.rp_id,
        }
        .challenge()?;
        let expectation = RegistrationExpectation {
            challenge: &challenge,
            origins: &wallet.origins,
            rp_id: &wallet.rp_id,
            user_verification: UserVerification::Required,
            algorithms: &[SignatureAlgorithm::Es256],
        };
        let registration = registration::verify(&response, &expectation, &self.limits)?;
        let ak = Jwk::from_key(&registration.public_key);
        let jkt = ak.thumbprint();
        match proof.ak_jkt() {
            Some(named) if named == jkt => {}
            Some(_) => return Err(Error::untrusted("enrolment_jkt_mismatch", "ak_jkt names another key")),
            None => return Err(Error::malformed("enrolment_jkt_missing", "the key proof has no ak_jkt")),
        }
        let now = self.now();
        let audit = self.audit(&response, &registration, wallet, &jkt);
        let binding = WebauthnBinding {
            jwk: ak,
            rp_id: wallet.rp_id.clone(),
            origins: wallet.origins.clone(),
            client: wallet.client,
            uv: UvDemand::Required,
            backup_eligible: registration.backup_eligible,
            level: AssuranceLevel::Uv,
            key_protection: KeyProtection::Unknown,
            modality: None,
            cert_level: None,
            evaluated_at: now,
            policy: self.settings.binding_policy.clone(),
        };
        Ok(Enrolment {
            key: EnrolledKey { jkt, binding },
            credential_id_hash: sha256(&registration.credential_id).to_vec(),
            audit,
        })
    }

    fn audit(
        &self,
        response: &RegistrationResponse,
        registration: &VerifiedRegistration,
        wallet: &Wallet,
        jkt: &str,
    ) -> AuditRecord {
        AuditRecord {
            at: self.now(),
            client_id: wallet.client_id.clone(),
            rp_id: wallet.rp_id.clone(),
            origin: registration.origin.clone(),
            ak_jkt: jkt.to_owned(),
            policy: self.settings.binding_policy.clone(),
            aaguid: registration.aaguid.iter().map(|byte| format!("{byte:02x}")).collect(),
            attestation_object: base64url::encode(&response.response.attestation_object.0),
            client_data_json: base64url::encode(&response.response.client_data_json.0),
        }
    }
}
