//! The credential endpoint (OpenID4VCI 1.0 section 8): the one place where a credential comes into being.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::access::ValidToken;
use super::configuration::Configuration;
use super::encryption::{Answer, Message};
use super::enrolment::Enrolment;
use super::holders::Holders;
use super::nonce::KnownNonce;
use super::offer::{Approval, dataset_key};
use super::records::{
    AUTHENTICATORS, CREDENTIALS, Copy, CredentialRecord, CredentialStatus, CredentialSummary, DATASETS,
    DatasetRecord, ENROLMENTS, EnrolledKey, GRANTS, GrantRecord, NONCES, NOTIFICATIONS, NotificationRecord,
    OFFERS, OfferRecord,
};
use super::status::Allocation;
use super::{CREDENTIAL_PATH, Caller, Issuer, OfferState, catalogue, fresh, hashed};
use crate::attestation::level::AssuranceLevel;
use crate::binding::claim::{BIOMETRIC_BINDING_LEVEL, WEBAUTHN_BINDING, WebauthnBinding};
use crate::credential::validity::Validity;
use crate::did::Did;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use crate::format::sd_jwt_vc::issue::{IssueInput, issue};
use crate::format::w3c::issue as w3c;
use crate::jose::jwk::Jwk;
use crate::protocol::openid4vci::credential::{
    CredentialName, CredentialRequest, CredentialResponse, ErrorCode, Issuance, Refusal,
};
use crate::protocol::openid4vci::key_proof::VerifiedKeyProof;
use crate::status::reference::StatusReference;
use crate::store::{CommitError, Expect, Stored, Write, read_json};

/// Everything that was found good about a request, before anything is written.
pub(super) struct Approved {
    pub(super) token: ValidToken,
    pub(super) configuration: Configuration,
    pub(super) configuration_id: String,
    /// In the order of the proofs.
    pub(super) copies: Vec<Copy>,
    pub(super) nonces: Vec<KnownNonce>,
    pub(super) dataset: Stored<DatasetRecord>,
    /// Ends a deferral; the registrations were written down when it began.
    pub(super) deferred: Option<Write>,
}

impl Issuer {
    /// [`Self::answer`] for requests and responses that are not encrypted.
    ///
    /// # Errors
    /// Those of [`Self::answer`].
    pub async fn issue(&self, caller: &Caller<'_>, body: &[u8]) -> Result<Issuance, Refusal> {
        self.answer(caller, Message::Plain(body)).await.map(|answer| answer.issuance)
    }

    /// Answers a credential request. Nothing is written unless the credential is issued; the nonce, the token's
    /// right to this kind of credential, the WebAuthn credential id and the status entry are taken in one commit with
    /// the record of the credential.
    ///
    /// # Errors
    /// With the codes of sections 8.3.1 and RFC 6750; the error inside names what exactly was wrong.
    pub async fn answer(&self, caller: &Caller<'_>, message: Message<'_>) -> Result<Answer, Refusal> {
        let token = self.valid_token(caller, CREDENTIAL_PATH).await?;
        let request = CredentialRequest::parse(&self.open(message)?, &self.limits)?;
        let encryption = request.response_encryption.as_ref();
        self.check_response_encryption(message, encryption)?;
        Answer::new(self.issue_for(caller, token, &request).await?, encryption)
    }

    async fn issue_for(
        &self,
        caller: &Caller<'_>,
        mut token: ValidToken,
        request: &CredentialRequest,
    ) -> Result<Issuance, Refusal> {
        loop {
            let approved = self.approve(token, request).await?;
            let approval = self.approval(&approved.token.record.offer_id).await;
            let done = match approval.map_err(ErrorCode::ServerError.refuse())? {
                Some(Approval::Denied) => return Err(denied("credential_denied")),
                Some(Approval::Pending) => self.defer(approved).await.map(Issuance::Deferred),
                Some(Approval::Approved) | None => self.sign_and_commit(approved).await.map(Issuance::Issued),
            };
            match done {
                Ok(answer) => return Ok(answer),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
            // Judge afresh: what another request took in between is then seen and named.
            token = self.valid_token(caller, CREDENTIAL_PATH).await?;
        }
    }

    async fn approve(&self, token: ValidToken, request: &CredentialRequest) -> Result<Approved, Refusal> {
        let (configuration, configuration_id) = self.entitled(&token.record, &request.credential)?;
        let holders = self.holders(&token.record, configuration, request);
        let holders = holders.map_err(ErrorCode::InvalidProof.refuse())?;
        let nonces = self.unused_nonces(&holders.nonces).await?;
        let enrolments = self.enrolments(&token.record, request, &holders.proofs).await?;
        let copies = copies(&token.record, &holders, enrolments)?;
        for copy in &copies {
            self.check_level(configuration, copy.key.as_ref())?;
        }
        let dataset_key = dataset_key(&token.record.offer_id, &configuration_id);
        let dataset = read_json::<DatasetRecord>(self.store(), DATASETS, dataset_key).await;
        let dataset =
            dataset.map_err(ErrorCode::ServerError.refuse())?.ok_or_else(|| denied("credential_gone"))?;
        Ok(Approved { token, configuration, configuration_id, copies, nonces, dataset, deferred: None })
    }

    /// What kind it is, if the token is good for it and it was not issued yet. Where the token response named
    /// identifiers, the name of the configuration is understood too: there is one dataset of each kind.
    fn entitled(
        &self,
        grant: &GrantRecord,
        name: &CredentialName,
    ) -> Result<(Configuration, String), Refusal> {
        let id = match name {
            CredentialName::Configuration(id) => id.clone(),
            CredentialName::Identifier(identifier) => configuration_of(grant, identifier)?,
        };
        let configuration = self.offered(&id).map_err(ErrorCode::UnknownCredentialConfiguration.refuse())?;
        if !grant.configuration_ids.contains(&id) {
            let error =
                Error::refused("access_token_scope", "the access token is not good for this configuration");
            return Err(ErrorCode::InsufficientScope.refuse()(error));
        }
        if grant.issued.contains(&id) {
            return Err(denied("credential_issued"));
        }
        Ok((configuration, id))
    }

    /// The nonces of proofs and attestations, each once: those of one request may share a nonce.
    async fn unused_nonces(&self, all: &[String]) -> Result<Vec<KnownNonce>, Refusal> {
        let invalid = ErrorCode::InvalidNonce.refuse();
        let mut nonces: Vec<KnownNonce> = Vec::new();
        for nonce in all {
            let nonce = self.known_nonce(nonce).map_err(&invalid)?;
            if nonces.contains(&nonce) {
                continue;
            }
            let used = self.store.read(NONCES, &nonce.key).await.map_err(ErrorCode::ServerError.refuse())?;
            if used.is_some() {
                return Err(invalid(Error::refused("nonce_used", "the nonce was used already")));
            }
            nonces.push(nonce);
        }
        Ok(nonces)
    }

    /// The registrations, which belong to the first proofs in their order.
    async fn enrolments(
        &self,
        grant: &GrantRecord,
        request: &CredentialRequest,
        proofs: &[VerifiedKeyProof],
    ) -> Result<Vec<Enrolment>, Refusal> {
        let invalid = ErrorCode::InvalidProof.refuse();
        if request.webauthn_registrations.len() > proofs.len() {
            return Err(invalid(Error::malformed(
                "enrolment_count",
                "at most one registration per key proof",
            )));
        }
        let mut enrolments: Vec<Enrolment> = Vec::new();
        for (response, proof) in request.webauthn_registrations.iter().zip(proofs) {
            let enrolment =
                self.verify_enrolment(response, proof, grant.client_id.as_deref(), &enrolments).await;
            let enrolment = enrolment.map_err(&invalid)?;
            let here = enrolments.iter().any(|e| e.credential_id_hash == enrolment.credential_id_hash);
            let seen = self.store.read(AUTHENTICATORS, &enrolment.credential_id_hash).await;
            if here || seen.map_err(ErrorCode::ServerError.refuse())?.is_some() {
                let detail = "this WebAuthn credential was enrolled before";
                return Err(invalid(Error::refused("enrolment_credential_id_seen", detail)));
            }
            enrolments.push(enrolment);
        }
        Ok(enrolments)
    }

    fn check_level(&self, configuration: Configuration, key: Option<&EnrolledKey>) -> Result<(), Refusal> {
        let required = self.required_level(configuration);
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

    pub(super) async fn sign_and_commit(
        &self,
        approved: Approved,
    ) -> Result<CredentialResponse, CommitError> {
        let mut writes = Vec::new();
        let (mut credentials, mut records) = (Vec::new(), Vec::new());
        let allocations = self.allocate_statuses(approved.copies.len()).await?;
        for (copy, allocation) in approved.copies.iter().zip(allocations) {
            let Allocation { list, index, writes: entry } = allocation;
            writes.extend(entry);
            credentials.push(self.sign(&approved, copy, list, index)?);
            let grant = approved.token.grant.clone();
            records.push(CredentialRecord { summary: self.summary(&approved, copy), grant, list, index });
        }
        // Optional, and the wallet library `@openid4vc/openid4vci` 0.4.6 refuses a deferred credential with it.
        let notification_id = approved.deferred.is_none().then(|| fresh(&*self.random));
        writes.extend(self.writes(approved, records, notification_id.as_deref()).await?);
        self.store.commit(writes).await?;
        Ok(CredentialResponse { credentials, notification_id })
    }

    fn sign(&self, approved: &Approved, copy: &Copy, list: u64, index: u64) -> Result<String> {
        let now = self.now();
        let expires_at = now.plus(self.settings.credential_lifetime);
        let binding = copy.key.as_ref().map(|key| &key.binding);
        let claims = approved.dataset.value.claims.clone();
        if let Some(security) = approved.configuration.w3c {
            let binding = binding.map(WebauthnBinding::to_claim).transpose()?;
            let input = w3c::IssueInput {
                kind: approved.configuration.type_term(),
                verification_method: &self.verification_method()?,
                holder: &Did::parse(&copy.did)?,
                claims,
                valid_from: now,
                valid_until: expires_at,
                status: &self.bitstring_entries(list, index),
                binding: binding.as_ref(),
            };
            return w3c::issue(&input, security, &*self.key.signer, &*self.random);
        }
        let status = StatusReference { idx: index, uri: self.status_list_uri(list) };
        let validity = Validity { issued_at: Some(now), not_before: Some(now), expires_at: Some(expires_at) };
        issue(
            IssueInput {
                vct: &self.settings.vct(approved.configuration.kind),
                iss: Some(&self.key.iss),
                validity,
                holder_key: Some(&copy.holder.public_key()?),
                status: Some(&status),
                vct_integrity: None,
                aka_vcts: &[],
                claims: claims_with_binding(claims, binding)?,
                frame: &catalogue::frame(approved.configuration.kind),
                key_header: self.key_header(),
                digest_algorithm: DigestAlgorithm::Sha256,
            },
            &*self.key.signer,
            &*self.random,
        )
    }

    fn summary(&self, approved: &Approved, copy: &Copy) -> CredentialSummary {
        let now = self.now();
        CredentialSummary {
            id: fresh(&*self.random),
            configuration_id: approved.configuration_id.clone(),
            offer_id: approved.token.record.offer_id.clone(),
            reference: None,
            issued_at: now,
            expires_at: now.plus(self.settings.credential_lifetime),
            status: CredentialStatus::Valid,
            status_changed_at: None,
            client_id: approved.token.record.client_id.clone(),
            level: copy.key.as_ref().map(|key| key.binding.level.as_str().to_owned()),
            holder_key: copy.attested.clone(),
            event: None,
        }
    }

    /// All that changes when credentials are issued, besides their status entries.
    async fn writes(
        &self,
        approved: Approved,
        mut records: Vec<CredentialRecord>,
        notification_id: Option<&str>,
    ) -> Result<Vec<Write>> {
        let Approved { token, configuration_id, copies, nonces, dataset, deferred, .. } = approved;
        let ValidToken { grant: grant_id, version, expires_at, record: mut grant, proof } = token;
        if deferred.is_none() {
            grant.issued.push(configuration_id.clone());
        }
        let complete = grant.issued.len() == grant.configuration_ids.len();
        let ids: Vec<String> = records.iter().map(|record| record.summary.id.clone()).collect();
        let mut writes: Vec<Write> = nonces
            .into_iter()
            .map(|nonce| Write::put(NONCES, nonce.key, Expect::Absent, Vec::new(), Some(nonce.expires_at)))
            .collect();
        writes.extend(proof);
        let known = deferred.is_some();
        writes.extend(deferred);
        // The claims have become the credential: they are not kept here, unless the wallet may ask again.
        let dataset_key = dataset_key(&grant.offer_id, &configuration_id);
        let expect = Expect::Version(dataset.version);
        writes.push(match grant.refresh {
            None => Write::delete(DATASETS, dataset_key, expect),
            Some(_) => Write::put_json(DATASETS, dataset_key, expect, &dataset.value, expires_at)?,
        });
        if let Some(stored) =
            read_json::<OfferRecord>(self.store(), OFFERS, grant.offer_id.as_bytes()).await?
        {
            let mut offer = stored.value;
            offer.credentials.extend(ids.iter().cloned());
            if let Some(earlier) = &offer.replaces {
                writes.extend(self.revoke_earlier(earlier, &configuration_id).await?);
            }
            offer.state = if complete { OfferState::Issued } else { offer.state };
            for record in &mut records {
                record.summary.reference.clone_from(&offer.reference);
            }
            let expect = Expect::Version(stored.version);
            let key = grant.offer_id.as_bytes();
            writes.push(Write::put_json(OFFERS, key, expect, &offer, stored.expires_at)?);
        }
        // Registrations of one request may be vouched for by one app key: its last counter is kept.
        let mut app_keys = BTreeMap::new();
        let enrolled = copies.into_iter().zip(&ids).filter_map(|(copy, id)| Some((copy.enrolment?, id)));
        for (enrolment, id) in enrolled {
            let audit_end = Some(self.now().plus(self.settings.audit_retention));
            let (key, audit) = (id.as_bytes(), &enrolment.audit);
            writes.push(Write::put_json(ENROLMENTS, key, Expect::Absent, audit, audit_end)?);
            if !known {
                let seen = enrolment.credential_id_hash;
                writes.push(Write::put(AUTHENTICATORS, seen, Expect::Absent, Vec::new(), None));
                grant.enrolled.push(enrolment.key);
                app_keys.extend(enrolment.app_key.map(|key| (key.hash.clone(), key)));
            }
        }
        for key in app_keys.into_values() {
            writes.push(key.write(self.now(), self.settings.audit_retention)?);
        }
        if let Some(id) = notification_id {
            let notification = NotificationRecord { grant: grant_id.clone(), credential_ids: ids };
            writes.push(Write::put_json(NOTIFICATIONS, id, Expect::Absent, &notification, expires_at)?);
        }
        for record in &records {
            let keep = record.summary.expires_at.plus(self.settings.record_retention);
            let key = record.summary.id.as_bytes();
            writes.push(Write::put_json(CREDENTIALS, key, Expect::Absent, record, Some(keep))?);
        }
        writes.push(Write::put_json(GRANTS, grant_id, Expect::Version(version), &grant, expires_at)?);
        Ok(writes)
    }
}

/// The name of a credential dataset under a grant: says nothing, and is the same each time.
pub(super) fn identifier(grant: &GrantRecord, configuration_id: &str) -> String {
    let digest = hashed(&format!("{}/{configuration_id}", grant.offer_id));
    format!("{configuration_id}.{}", base64url::encode(digest.get(..12).unwrap_or_default()))
}

fn configuration_of(grant: &GrantRecord, named: &str) -> Result<String, Refusal> {
    let own = grant.configuration_ids.iter().find(|id| grant.identifiers && identifier(grant, id) == named);
    own.or_else(|| grant.named.get(named)).cloned().ok_or_else(|| {
        let detail = "the token response named no such credential";
        ErrorCode::UnknownCredentialIdentifier.refuse()(Error::refused("credential_identifier", detail))
    })
}

/// Each proof with its registration and the key it names, then the keys that are attested only. A key that was enrolled by a proof before, in this request or
/// under the same grant, may be named again: one WebAuthn ceremony serves them all, each with a holder key of its own
/// that vouches for AK.
fn copies(grant: &GrantRecord, holders: &Holders, enrolments: Vec<Enrolment>) -> Result<Vec<Copy>, Refusal> {
    let mut known = grant.enrolled.clone();
    known.extend(enrolments.iter().map(|enrolment| enrolment.key.clone()));
    let mut enrolments = enrolments.into_iter();
    let server = ErrorCode::ServerError.refuse();
    let copy = |proof: &VerifiedKeyProof| {
        let enrolment = enrolments.next();
        // That a registration is for the key its own proof names was checked with it.
        let key = proof.ak_jkt().map(|jkt| enrolled(&known, jkt)).transpose()?;
        let did = proof.did().map_err(&server)?.to_string();
        let attested = holders.attestation(proof.key());
        Ok(Copy { holder: Jwk::from_key(proof.key()), did, key, enrolment, attested })
    };
    let mut copies = holders.proofs.iter().map(copy).collect::<Result<Vec<_>, Refusal>>()?;
    copies.extend(holders.attested_copies().map_err(&server)?);
    Ok(copies)
}

fn enrolled(known: &[EnrolledKey], jkt: &str) -> Result<EnrolledKey, Refusal> {
    known.iter().find(|key| key.jkt == jkt).cloned().ok_or_else(|| {
        let detail =
            "ak_jkt names a key without a registration, and none was enrolled with this access token";
        ErrorCode::InvalidProof.refuse()(Error::malformed("enrolment_registration_missing", detail))
    })
}

pub(super) fn denied(code: &'static str) -> Refusal {
    let detail = "this credential was issued already, refused by the desk, or its offer has ended";
    ErrorCode::CredentialRequestDenied.refuse()(Error::refused(code, detail))
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
