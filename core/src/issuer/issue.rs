//! The credential endpoint (OpenID4VCI 1.0 section 8): the one place where a credential comes into being.

use serde_json::{Map, Value};

use super::enrolment::Enrolment;
use super::nonce::KnownNonce;
use super::offer::dataset_key;
use super::records::{
    AUTHENTICATORS, CREDENTIALS, CredentialRecord, CredentialStatus, CredentialSummary, DATASETS,
    DatasetRecord, ENROLMENTS, EnrolledKey, NONCES, NOTIFICATIONS, NotificationRecord, OFFERS, OfferRecord,
    TOKENS, TokenRecord,
};
use super::status::Allocation;
use super::{Issuer, OfferState, catalogue, fresh, hashed};
use crate::attestation::level::AssuranceLevel;
use crate::binding::claim::{BIOMETRIC_BINDING_LEVEL, WEBAUTHN_BINDING, WebauthnBinding};
use crate::clock::UnixTime;
use crate::credential::validity::Validity;
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use crate::format::sd_jwt_vc::issue::{IssueInput, issue};
use crate::health::DatasetKind;
use crate::protocol::openid4vci::credential::{CredentialRequest, CredentialResponse, ErrorCode, Refusal};
use crate::protocol::openid4vci::key_proof::{self, KeyProofExpectation, VerifiedKeyProof};
use crate::status::reference::StatusReference;
use crate::store::{CommitError, Expect, Stored, Write, read_json};

/// An access token that holds.
pub(super) struct ValidToken {
    pub(super) key: Vec<u8>,
    pub(super) version: u64,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) record: TokenRecord,
}

/// Everything that was found good about a request, before anything is written.
struct Approved {
    token: ValidToken,
    kind: DatasetKind,
    configuration_id: String,
    proof: VerifiedKeyProof,
    nonce: KnownNonce,
    enrolment: Option<Enrolment>,
    /// The enrolled key that goes into this credential.
    key: Option<EnrolledKey>,
    dataset: Stored<DatasetRecord>,
}

impl Issuer {
    /// Answers a credential request. Nothing is written unless the credential is issued; the nonce, the token's
    /// right to this kind of credential, the WebAuthn credential id and the status entry are taken in one commit with
    /// the record of the credential.
    ///
    /// # Errors
    /// With the codes of sections 8.3.1 and RFC 6750; the error inside names what exactly was wrong.
    pub async fn issue(
        &self,
        access_token: Option<&str>,
        body: &[u8],
    ) -> Result<CredentialResponse, Refusal> {
        let mut token = self.valid_token(access_token).await?;
        let request = CredentialRequest::parse(body, &self.limits)?;
        loop {
            let approved = self.approve(token, &request).await?;
            match self.sign_and_commit(approved).await {
                Ok(response) => return Ok(response),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
            // Judge afresh: what another request took in between is then seen and named.
            token = self.valid_token(access_token).await?;
        }
    }

    /// Looks an access token up.
    ///
    /// # Errors
    /// [`ErrorCode::MissingToken`] (`access_token_missing`), [`ErrorCode::InvalidToken`] (`access_token_invalid`).
    pub(super) async fn valid_token(&self, access_token: Option<&str>) -> Result<ValidToken, Refusal> {
        let Some(access_token) = access_token else {
            let error = Error::refused("access_token_missing", "no bearer token was sent");
            return Err(ErrorCode::MissingToken.refuse()(error));
        };
        let key = hashed(access_token);
        let stored = read_json::<TokenRecord>(self.store(), TOKENS, &key).await;
        let stored =
            stored.map_err(ErrorCode::ServerError.refuse())?.filter(|stored| stored.is_live(self.now()));
        let stored = stored.ok_or_else(|| {
            let error = Error::refused("access_token_invalid", "the access token is unknown or has expired");
            ErrorCode::InvalidToken.refuse()(error)
        })?;
        Ok(ValidToken { key, version: stored.version, expires_at: stored.expires_at, record: stored.value })
    }

    async fn approve(&self, token: ValidToken, request: &CredentialRequest) -> Result<Approved, Refusal> {
        let configuration_id = request.credential_configuration_id.clone();
        let kind = self.entitled(&token.record, &configuration_id)?;
        let proof = self.key_proof(&token.record, request).map_err(ErrorCode::InvalidProof.refuse())?;
        let nonce = self.unused_nonce(&proof).await?;
        let enrolment = self.enrolment(&token.record, request, &proof).await?;
        let key = match (&enrolment, proof.ak_jkt()) {
            (Some(enrolment), _) => Some(enrolment.key.clone()),
            (None, Some(jkt)) => Some(enrolled_before(&token.record, jkt)?),
            (None, None) => None,
        };
        self.check_level(&configuration_id, key.as_ref())?;
        let dataset_key = dataset_key(&token.record.offer_id, &configuration_id);
        let dataset = read_json::<DatasetRecord>(self.store(), DATASETS, dataset_key).await;
        let dataset =
            dataset.map_err(ErrorCode::ServerError.refuse())?.ok_or_else(|| denied("credential_gone"))?;
        Ok(Approved { token, kind, configuration_id, proof, nonce, enrolment, key, dataset })
    }

    /// What kind it is, if the token is good for it and it was not issued yet.
    fn entitled(&self, token: &TokenRecord, id: &str) -> Result<DatasetKind, Refusal> {
        let kind = DatasetKind::parse(id).map_err(ErrorCode::UnknownCredentialConfiguration.refuse())?;
        if !token.configuration_ids.iter().any(|allowed| allowed == id) {
            let error =
                Error::refused("access_token_scope", "the access token is not good for this configuration");
            return Err(ErrorCode::InsufficientScope.refuse()(error));
        }
        if token.issued.iter().any(|issued| issued == id) {
            return Err(denied("credential_issued"));
        }
        Ok(kind)
    }

    /// Exactly one proof: batch issuance is not announced.
    fn key_proof(&self, token: &TokenRecord, request: &CredentialRequest) -> Result<VerifiedKeyProof> {
        let [compact] = request.proofs.as_slice() else {
            return Err(Error::unsupported("proof_count", "this issuer takes one key proof per request"));
        };
        let expectation = KeyProofExpectation {
            audience: &self.settings.identifier,
            client_id: token.client_id.as_deref(),
            algorithms: &catalogue::PROOF_ALGORITHMS,
            max_age: self.settings.proof_max_age,
            skew: self.settings.skew,
            now: self.now(),
        };
        key_proof::verify(compact, &expectation, &self.limits)
    }

    async fn unused_nonce(&self, proof: &VerifiedKeyProof) -> Result<KnownNonce, Refusal> {
        let invalid = ErrorCode::InvalidNonce.refuse();
        let nonce = self.known_nonce(proof.nonce()).map_err(&invalid)?;
        let used = self.store.read(NONCES, &nonce.key).await.map_err(ErrorCode::ServerError.refuse())?;
        match used {
            None => Ok(nonce),
            Some(_) => Err(invalid(Error::refused("nonce_used", "the nonce was used already"))),
        }
    }

    async fn enrolment(
        &self,
        token: &TokenRecord,
        request: &CredentialRequest,
        proof: &VerifiedKeyProof,
    ) -> Result<Option<Enrolment>, Refusal> {
        let invalid = ErrorCode::InvalidProof.refuse();
        let response = match request.webauthn_registrations.as_slice() {
            [] => return Ok(None),
            [one] => one,
            _ => return Err(invalid(Error::malformed("enrolment_count", "one registration per key proof"))),
        };
        let enrolment =
            self.verify_enrolment(response, proof, token.client_id.as_deref()).map_err(&invalid)?;
        let seen = self.store.read(AUTHENTICATORS, &enrolment.credential_id_hash).await;
        match seen.map_err(ErrorCode::ServerError.refuse())? {
            None => Ok(Some(enrolment)),
            Some(_) => {
                let detail = "this WebAuthn credential was enrolled before";
                Err(invalid(Error::refused("enrolment_credential_id_seen", detail)))
            }
        }
    }

    fn check_level(&self, configuration_id: &str, key: Option<&EnrolledKey>) -> Result<(), Refusal> {
        let required = self.settings.required_levels.get(configuration_id).copied().unwrap_or_default();
        let reached = key.map_or(AssuranceLevel::None, |key| key.binding.level);
        if reached.satisfies(required) {
            return Ok(());
        }
        let (code, detail) = match key {
            None => (
                "enrolment_missing",
                format!("this credential needs a WebAuthn key of level {}", required.as_str()),
            ),
            Some(_) => {
                ("enrolment_level", format!("the WebAuthn key does not reach level {}", required.as_str()))
            }
        };
        Err(ErrorCode::CredentialRequestDenied.refuse()(Error::refused(code, detail)))
    }

    async fn sign_and_commit(&self, approved: Approved) -> Result<CredentialResponse, CommitError> {
        let now = self.now();
        let expires_at = now.plus(self.settings.credential_lifetime);
        let Allocation { list, index, mut writes } = self.allocate_status().await?;
        let status = StatusReference { idx: index, uri: self.status_list_uri(list) };
        let validity = Validity { issued_at: Some(now), not_before: Some(now), expires_at: Some(expires_at) };
        let binding = approved.key.as_ref().map(|key| &key.binding);
        let credential = issue(
            IssueInput {
                vct: &self.settings.vct(approved.kind),
                iss: Some(&self.key.iss),
                validity,
                holder_key: Some(approved.proof.key()),
                status: Some(&status),
                vct_integrity: None,
                aka_vcts: &[],
                claims: claims_with_binding(approved.dataset.value.claims.clone(), binding)?,
                frame: &catalogue::frame(approved.kind),
                key_header: self.key_header(),
                digest_algorithm: DigestAlgorithm::Sha256,
            },
            &*self.key.signer,
            &*self.random,
        )?;
        let summary = CredentialSummary {
            id: fresh(&*self.random),
            configuration_id: approved.configuration_id.clone(),
            offer_id: approved.token.record.offer_id.clone(),
            reference: None,
            issued_at: now,
            expires_at,
            status: CredentialStatus::Valid,
            status_changed_at: None,
            client_id: approved.token.record.client_id.clone(),
            level: binding.map(|binding| binding.level.as_str().to_owned()),
            event: None,
        };
        let notification_id = fresh(&*self.random);
        let record = CredentialRecord { summary, list, index };
        writes.extend(self.writes(approved, record, &notification_id).await?);
        self.store.commit(writes).await?;
        Ok(CredentialResponse { credentials: vec![credential], notification_id: Some(notification_id) })
    }

    /// All that changes when a credential is issued, besides its status entry.
    async fn writes(
        &self,
        approved: Approved,
        mut record: CredentialRecord,
        notification_id: &str,
    ) -> Result<Vec<Write>> {
        let Approved { token, configuration_id, nonce, enrolment, dataset, .. } = approved;
        let ValidToken { key, version, expires_at, record: mut grant } = token;
        grant.issued.push(configuration_id.clone());
        if let Some(enrolment) = &enrolment {
            grant.enrolled = Some(enrolment.key.clone());
        }
        let complete = grant.issued.len() == grant.configuration_ids.len();
        let id = record.summary.id.clone();
        let keep = record.summary.expires_at.plus(self.settings.record_retention);
        let dataset_key = dataset_key(&grant.offer_id, &configuration_id);
        let mut writes = vec![
            Write::put(NONCES, nonce.key, Expect::Absent, Vec::new(), Some(nonce.expires_at)),
            // The claims have become the credential: they are not kept here.
            Write::delete(DATASETS, dataset_key, Expect::Version(dataset.version)),
        ];
        if let Some(stored) =
            read_json::<OfferRecord>(self.store(), OFFERS, grant.offer_id.as_bytes()).await?
        {
            let mut offer = stored.value;
            offer.credentials.push(id.clone());
            offer.state = if complete { OfferState::Issued } else { offer.state };
            record.summary.reference = offer.reference.clone();
            let expect = Expect::Version(stored.version);
            writes.push(Write::put_json(
                OFFERS,
                grant.offer_id.as_bytes(),
                expect,
                &offer,
                stored.expires_at,
            )?);
        }
        if let Some(enrolment) = enrolment {
            let audit_end = Some(self.now().plus(self.settings.audit_retention));
            let seen = enrolment.credential_id_hash;
            writes.push(Write::put(AUTHENTICATORS, seen, Expect::Absent, Vec::new(), None));
            writes.push(Write::put_json(
                ENROLMENTS,
                id.as_bytes(),
                Expect::Absent,
                &enrolment.audit,
                audit_end,
            )?);
        }
        let notification = NotificationRecord { token: key.clone(), credential_id: id.clone() };
        let note = notification_id.as_bytes();
        writes.push(Write::put_json(NOTIFICATIONS, note, Expect::Absent, &notification, expires_at)?);
        writes.push(Write::put_json(CREDENTIALS, id.as_bytes(), Expect::Absent, &record, Some(keep))?);
        writes.push(Write::put_json(TOKENS, key, Expect::Version(version), &grant, expires_at)?);
        Ok(writes)
    }
}

fn denied(code: &'static str) -> Refusal {
    let detail = "this credential was issued already, or its offer has ended; ask for a new offer";
    ErrorCode::CredentialRequestDenied.refuse()(Error::refused(code, detail))
}

/// An AK that was enrolled under this access token may be named again for further credentials of the same offer: one
/// WebAuthn ceremony serves them all, each with a holder key of its own that vouches for AK.
fn enrolled_before(token: &TokenRecord, jkt: &str) -> Result<EnrolledKey, Refusal> {
    token.enrolled.clone().filter(|key| key.jkt == jkt).ok_or_else(|| {
        let detail =
            "ak_jkt names a key without a registration, and none was enrolled with this access token";
        ErrorCode::InvalidProof.refuse()(Error::malformed("enrolment_registration_missing", detail))
    })
}

fn claims_with_binding(
    mut claims: Map<String, Value>,
    binding: Option<&WebauthnBinding>,
) -> Result<Map<String, Value>> {
    if let Some(binding) = binding {
        claims.insert(WEBAUTHN_BINDING.into(), binding.to_claim()?);
        claims.insert(BIOMETRIC_BINDING_LEVEL.into(), binding.level.as_str().into());
    }
    Ok(claims)
}
