//! Enrolment of a WebAuthn key (AK) beside the holder key (HK): `webauthn_registrations` in the credential request, AK's
//! thumbprint in the key proof, HK's in AK's challenge. Neither can be swapped alone.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Issuer;
use super::offer::bounded_key;
use super::records::{APP_KEYS, ENROLMENTS, EnrolledKey};
use crate::attestation::WalletApps;
use crate::attestation::android_key::AndroidApp;
use crate::attestation::app_attest::AppAttestKey;
use crate::attestation::level::{AssuranceLevel, KeyProtection};
use crate::binding::claim::{ClientKind, MAX_ORIGINS};
use crate::binding::enrolment::{EnrolmentInput, EnrolmentPolicy, WalletRegistration, verify_enrolment};
use crate::binding::report::Report;
use crate::clock::UnixTime;
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::jose::jwk::Jwk;
use crate::protocol::openid4vci::key_proof::VerifiedKeyProof;
use crate::store::{Expect, Write, read_json};
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
    /// The apps that may attest its keys.
    #[serde(default)]
    pub apps: WalletApps,
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
        let is_digest = |text: &String| base64url::decode(text).is_ok_and(|digest| digest.len() == 32);
        let whole = |app: &AndroidApp| {
            !app.package.is_empty()
                && !app.signing_digests.is_empty()
                && app.signing_digests.iter().all(is_digest)
        };
        if !self.apps.android.iter().all(whole) || self.apps.apple.iter().any(|id| !id.contains('.')) {
            let detail = "apps of a wallet: a package with SHA-256 digests in base64url; App IDs with a team";
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
            apps: self.apps.clone(),
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
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Enrolment {
    pub(super) key: EnrolledKey,
    /// Hash of the WebAuthn credential id: one enrolment each.
    pub(super) credential_id_hash: Vec<u8>,
    pub(super) audit: AuditRecord,
    /// The App Attest key that vouched for it, as it is to be kept.
    #[serde(skip)] // written down when a deferral begins
    pub(super) app_key: Option<AppKey>,
}

/// An App Attest key and the state of its record before this enrolment.
#[derive(Clone)]
pub(super) struct AppKey {
    pub(super) hash: Vec<u8>,
    key: AppAttestKey,
    before: Expect,
}

impl AppKey {
    /// Keeps the key with its new counter for `retention` seconds; a counter that another request moved on is a conflict.
    pub(super) fn write(self, now: UnixTime, retention: i64) -> Result<Write> {
        Write::put_json(APP_KEYS, self.hash, self.before, &self.key, Some(now.plus(retention)))
    }
}

impl Issuer {
    /// Verifies and grades one registration (`biometric-binding` 2.3, steps 3 to 6). The nonce in `proof` was
    /// recognised; that it and the credential id are new is for the commit, the level for the caller. `earlier` are the
    /// registrations before this one in the same request.
    ///
    /// # Errors
    /// `wallet_unknown`: the client is not on the list of wallets. `enrolment_response`: no
    /// `RegistrationResponseJSON`. The codes of [`verify_enrolment`].
    pub(super) async fn verify_enrolment(
        &self,
        response: &Value,
        proof: &VerifiedKeyProof,
        client_id: Option<&str>,
        earlier: &[Enrolment],
    ) -> Result<Enrolment> {
        let wallet = client_id.and_then(|id| self.settings.wallet(id)).ok_or_else(|| {
            Error::refused("wallet_unknown", "registrations are taken from wallets on the issuer's list only")
        })?;
        let registration: RegistrationResponse = serde_json::from_value(response.clone())
            .map_err(|_| Error::malformed("enrolment_response", "not a WebAuthn RegistrationResponseJSON"))?;
        let hash = registration.app_attest.as_ref().map(|evidence| sha256(&evidence.key_id.0).to_vec());
        let (known, before) = match &hash {
            Some(hash) => self.app_key(hash, earlier).await?,
            None => (None, Expect::Absent),
        };
        let input = EnrolmentInput {
            known_app: known.as_ref(),
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
        let (trust, now) = (self.attestation_trust(), self.now());
        let verified = verify_enrolment(
            &input,
            &self.settings.identifier,
            &wallet.registration(),
            &policy,
            &trust,
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
        let app_key = verified.grade.app_attest.zip(hash).map(|(key, hash)| AppKey { hash, key, before });
        Ok(Enrolment {
            app_key,
            key: EnrolledKey { jkt: audit.ak_jkt.clone(), binding: verified.binding },
            credential_id_hash: sha256(&verified.credential_id).to_vec(),
            audit,
        })
    }

    /// What is known of an App Attest key, and what its record must still be when it is written: from a registration
    /// before this one in the same request, or from the store.
    async fn app_key(&self, hash: &[u8], earlier: &[Enrolment]) -> Result<(Option<AppAttestKey>, Expect)> {
        let mut earlier = earlier.iter().rev().filter_map(|enrolment| enrolment.app_key.as_ref());
        if let Some(found) = earlier.find(|key| key.hash == hash) {
            return Ok((Some(found.key.clone()), found.before));
        }
        let Some(stored) = read_json::<AppAttestKey>(self.store(), APP_KEYS, hash).await? else {
            return Ok((None, Expect::Absent));
        };
        let (live, version) = (stored.is_live(self.now()), stored.version);
        Ok((live.then_some(stored.value), Expect::Version(version)))
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
