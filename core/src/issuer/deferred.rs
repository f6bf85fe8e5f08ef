//! Deferred issuance (OpenID4VCI 1.0 section 9): credentials that the desk approves first.
//!
//! The credential request is judged in full when it comes; its nonce, WebAuthn keys and right to the credential are used
//! then. What waits are the holder keys. A denial ends it, an approval lets the next request issue.

use std::collections::BTreeMap;

use super::access::ValidToken;
use super::encryption::{Answer, Message};
use super::issue::{Approved, denied};
use super::offer::{Approval, bounded_key, dataset_key};
use super::records::{
    AUTHENTICATORS, DATASETS, DEFERRED, DatasetRecord, DeferredRecord, GRANTS, NONCES, OFFERS, OfferRecord,
};
use super::{Caller, Configuration, DEFERRED_PATH, Issuer, fresh, hashed};
use crate::error::{Error, Result};
use crate::protocol::openid4vci::credential::{Deferral, DeferredRequest, ErrorCode, Issuance, Refusal};
use crate::store::{CommitError, Expect, Stored, Write, read_json, update_json};

impl Issuer {
    /// [`Self::answer_deferred`] for requests and responses that are not encrypted.
    ///
    /// # Errors
    /// Those of [`Self::answer_deferred`].
    pub async fn issue_deferred(&self, caller: &Caller<'_>, body: &[u8]) -> Result<Issuance, Refusal> {
        self.answer_deferred(caller, Message::Plain(body)).await.map(|answer| answer.issuance)
    }

    /// Answers a deferred credential request.
    ///
    /// # Errors
    /// Those of an access token; `invalid_credential_request`; `invalid_transaction_id` (`transaction_unknown`);
    /// `credential_request_denied` (`credential_denied`, `credential_gone`).
    pub async fn answer_deferred(
        &self,
        caller: &Caller<'_>,
        message: Message<'_>,
    ) -> Result<Answer, Refusal> {
        let mut token = self.valid_token(caller, DEFERRED_PATH).await?;
        let request = DeferredRequest::parse(&self.open(message)?, &self.limits)?;
        let encryption = request.response_encryption.as_ref();
        self.check_response_encryption(message, encryption)?;
        loop {
            match self.continue_deferred(token, &request.transaction_id).await? {
                Ok(issuance) => return Answer::new(issuance, encryption),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
            token = self.valid_token(caller, DEFERRED_PATH).await?;
        }
    }

    async fn continue_deferred(
        &self,
        token: ValidToken,
        transaction_id: &str,
    ) -> Result<Result<Issuance, CommitError>, Refusal> {
        let server = ErrorCode::ServerError.refuse();
        let key = hashed(transaction_id);
        let stored = read_json::<DeferredRecord>(self.store(), DEFERRED, &key).await.map_err(&server)?;
        let own =
            |stored: &Stored<DeferredRecord>| stored.is_live(self.now()) && stored.value.grant == token.grant;
        let stored = stored.filter(own).ok_or_else(|| {
            let error = Error::refused("transaction_unknown", "the transaction_id is unknown, used or over");
            ErrorCode::InvalidTransactionId.refuse()(error)
        })?;
        let approval = self.approval(&token.record.offer_id).await.map_err(&server)?;
        if approval == Some(Approval::Denied) {
            return Err(denied("credential_denied"));
        }
        if approval == Some(Approval::Pending) {
            self.use_proof(token.proof).await?;
            return Ok(Ok(Issuance::Deferred(self.deferral(transaction_id.to_owned()))));
        }
        let Stored { version, value: record, .. } = stored;
        let configuration = Configuration::parse(&record.configuration_id).map_err(&server)?;
        let dataset = dataset_key(&token.record.offer_id, &record.configuration_id);
        let dataset = read_json::<DatasetRecord>(self.store(), DATASETS, dataset).await.map_err(&server)?;
        let approved = Approved {
            token,
            configuration,
            configuration_id: record.configuration_id,
            copies: record.copies,
            nonces: Vec::new(),
            dataset: dataset.ok_or_else(|| denied("credential_gone"))?,
            deferred: Some(Write::delete(DEFERRED, key, Expect::Version(version))),
        };
        Ok(self.sign_and_commit(approved).await.map(Issuance::Issued))
    }

    fn deferral(&self, transaction_id: String) -> Deferral {
        Deferral { transaction_id, interval: self.settings.deferred_interval }
    }

    /// What the desk says about issuing an offer's credentials; `None` where it does not want to be asked.
    pub(super) async fn approval(&self, offer_id: &str) -> Result<Option<Approval>> {
        let offer = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(offer_id)).await?;
        Ok(offer.and_then(|offer| offer.value.approval))
    }

    /// Keeps a request that was found good until the desk has decided.
    pub(super) async fn defer(&self, approved: Approved) -> Result<Deferral, CommitError> {
        let Approved { token, configuration_id, copies, nonces, dataset, .. } = approved;
        let ValidToken { grant: grant_id, version, expires_at, record: mut grant, proof } = token;
        let transaction_id = fresh(&*self.random);
        let mut writes: Vec<Write> = nonces
            .into_iter()
            .map(|nonce| Write::put(NONCES, nonce.key, Expect::Absent, Vec::new(), Some(nonce.expires_at)))
            .collect();
        writes.extend(proof);
        let mut app_keys = BTreeMap::new();
        for enrolment in copies.iter().filter_map(|copy| copy.enrolment.as_ref()) {
            let seen = enrolment.credential_id_hash.clone();
            writes.push(Write::put(AUTHENTICATORS, seen, Expect::Absent, Vec::new(), None));
            grant.enrolled.push(enrolment.key.clone());
            app_keys.extend(enrolment.app_key.clone().map(|key| (key.hash.clone(), key)));
        }
        for key in app_keys.into_values() {
            writes.push(key.write(self.now(), self.settings.audit_retention)?);
        }
        // The claims must wait as long as the wallet may.
        let key = dataset_key(&grant.offer_id, &configuration_id);
        let end = dataset.expires_at.max(expires_at);
        writes.push(Write::put_json(DATASETS, key, Expect::Version(dataset.version), &dataset.value, end)?);
        grant.issued.push(configuration_id.clone());
        let record = DeferredRecord { grant: grant_id.clone(), configuration_id, copies };
        let key = hashed(&transaction_id);
        writes.push(Write::put_json(DEFERRED, key, Expect::Absent, &record, expires_at)?);
        writes.push(Write::put_json(GRANTS, grant_id, Expect::Version(version), &grant, expires_at)?);
        writes.extend(self.waiting_write(&grant.offer_id).await?);
        self.store.commit(writes).await?;
        Ok(self.deferral(transaction_id))
    }

    /// The write by which the desk learns that a wallet waits.
    async fn waiting_write(&self, offer_id: &str) -> Result<Option<Write>> {
        let Some(stored) = read_json::<OfferRecord>(self.store(), OFFERS, offer_id.as_bytes()).await? else {
            return Ok(None);
        };
        let offer = OfferRecord { waiting: true, ..stored.value };
        let expect = Expect::Version(stored.version);
        Write::put_json(OFFERS, offer_id.as_bytes(), expect, &offer, stored.expires_at).map(Some)
    }

    /// The desk's decision about an offer whose credentials wait; `None` when there is no such offer.
    ///
    /// # Errors
    /// `offer_approval`: nothing waits for a decision; when the store fails.
    pub async fn decide(&self, offer_id: &str, approve: bool) -> Result<Option<Approval>> {
        let decision = if approve { Approval::Approved } else { Approval::Denied };
        let key = bounded_key(offer_id);
        update_json(self.store(), OFFERS, key, self.now(), |offer: &mut OfferRecord| match offer.approval {
            Some(Approval::Pending) => {
                offer.approval = Some(decision);
                Ok(decision)
            }
            Some(decided) if decided == decision => Ok(decision),
            _ => Err(Error::refused("offer_approval", "nothing waits for a decision here")),
        })
        .await
    }
}
