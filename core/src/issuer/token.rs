//! The token endpoint (OpenID4VCI 1.0 section 6): a pre-authorized code becomes an access token, once. Authorization
//! codes and refresh tokens are in `code.rs`.

use subtle::ConstantTimeEq;

use super::client_attestation::ClientProofs;
use super::code::SentCode;
use super::issue::identifier;
use super::offer::dataset_key;
use super::records::{CODES, CodeRecord, DATASETS, GrantRecord, OFFERS, OfferRecord};
use super::{Caller, Issuer, OfferState, TOKEN_PATH, hashed};
use crate::error::{Error, Result};
use crate::protocol::openid4vci::authorization_details::AuthorizationDetail;
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::protocol::openid4vci::token::{TokenGrant, TokenRequest, TokenResponse};
use crate::store::{CommitError, Expect, Stored, Write, read_json};

/// Longest `client_id`, in bytes.
const MAX_CLIENT_ID: usize = 512;

/// What a look at the code decided.
enum Decision {
    Admit,
    WrongTxCode,
}

impl Issuer {
    /// Answers a token request. Each guess of a transaction code is counted before it is answered, and the commit that
    /// counts it or takes the code is the only way out: of any number of parallel requests one gets the token, and no
    /// more than the allowed number learn that they guessed wrong.
    ///
    /// # Errors
    /// `invalid_request` (`token_form`, `tx_code_missing`, `tx_code_unexpected`), `unsupported_grant_type`,
    /// `invalid_grant` (`code_unknown`, `tx_code_wrong`), `invalid_client` (`client_unknown`),
    /// `invalid_authorization_details` (`authorization_details`), those of wallet attestations and of DPoP. For authorization codes and refresh
    /// tokens, always `invalid_grant`: `code_unknown`, `code_reused`, `code_client`, `code_redirect`, `pkce_verifier`,
    /// `code_key`, `code_instance`, `refresh_unknown`, `refresh_reused`, `refresh_binding`.
    pub async fn exchange(&self, caller: &Caller<'_>, form: &[u8]) -> Result<TokenResponse, Refusal> {
        let mut request =
            TokenRequest::parse_form(form, &self.limits).map_err(|error| match error.code() {
                "token_grant_type" => ErrorCode::UnsupportedGrantType.refuse()(error),
                "authorization_details" => ErrorCode::InvalidAuthorizationDetails.refuse()(error),
                _ => ErrorCode::InvalidRequest.refuse()(error),
            })?;
        loop {
            let attested = self.attested_client(caller, request.client_id.as_deref()).await?;
            let proof = ClientProofs { dpop: self.client_key(caller).await?, attested };
            let client_id = proof.client_id(request.client_id.as_deref()).map(str::to_owned);
            self.check_client(client_id.as_deref())?;
            request.client_id = client_id;
            let outcome = match &request.grant {
                TokenGrant::PreAuthorized { code, tx_code } => {
                    self.by_offer(&request, code, tx_code.as_deref(), proof).await
                }
                TokenGrant::AuthorizationCode { code, redirect_uri, code_verifier } => {
                    let sent = SentCode { code, redirect_uri, code_verifier };
                    self.by_authorization_code(&request, &sent, proof).await
                }
                TokenGrant::Refresh { refresh_token } => {
                    self.by_refresh(&request, refresh_token, proof).await
                }
            };
            match outcome {
                Ok(done) => return done,
                // Somebody else used or tried the same code in between: look again.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
        }
    }

    async fn by_offer(
        &self,
        request: &TokenRequest,
        code: &str,
        tx_code: Option<&str>,
        proof: ClientProofs,
    ) -> Result<Result<TokenResponse, Refusal>, CommitError> {
        let stored = match self.live_code(code).await {
            Ok(stored) => stored,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = check_details(&request.authorization_details, &stored.value.configuration_ids) {
            return Ok(Err(refusal));
        }
        match self.judge(tx_code, &stored.value) {
            Ok(Decision::Admit) => self.admit(request, code, stored, proof).await,
            Ok(Decision::WrongTxCode) => self.count_wrong(code, stored).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// The key that the client proves, which is the one that its tokens will be bound to.
    async fn client_key(&self, caller: &Caller<'_>) -> Result<Option<super::dpop::UsedProof>, Refusal> {
        let proof = self.dpop_proof(caller, TOKEN_PATH, None).await?;
        if proof.is_none() && self.settings.dpop_required {
            let error = Error::malformed("dpop_missing", "this issuer gives tokens to DPoP clients only");
            return Err(ErrorCode::InvalidDpopProof.refuse()(error));
        }
        Ok(proof)
    }

    fn check_client(&self, client_id: Option<&str>) -> Result<(), Refusal> {
        if client_id.is_some_and(|id| id.len() > MAX_CLIENT_ID) {
            return Err(ErrorCode::InvalidRequest.refuse()(Error::malformed(
                "token_form",
                "client_id is too long",
            )));
        }
        if self.settings.known_wallets_only && client_id.and_then(|id| self.settings.wallet(id)).is_none() {
            let error = Error::refused("client_unknown", "only wallets on this issuer's list may collect");
            return Err(ErrorCode::InvalidClient.refuse()(error));
        }
        Ok(())
    }

    async fn live_code(&self, code: &str) -> Result<Stored<CodeRecord>, Refusal> {
        let stored = read_json::<CodeRecord>(self.store(), CODES, hashed(code)).await;
        let stored = stored.map_err(ErrorCode::ServerError.refuse())?;
        stored.filter(|stored| stored.is_live(self.now())).ok_or_else(|| {
            let detail = "the code is unknown, used, locked or expired";
            ErrorCode::InvalidGrant.refuse()(Error::refused("code_unknown", detail))
        })
    }

    fn judge(&self, tx_code: Option<&str>, code: &CodeRecord) -> Result<Decision, Refusal> {
        let bad = ErrorCode::InvalidRequest.refuse();
        match (&code.tx_code, tx_code) {
            (None, None) => Ok(Decision::Admit),
            (None, Some(_)) => {
                Err(bad(Error::malformed("tx_code_unexpected", "this offer has no transaction code")))
            }
            (Some(_), None) => {
                Err(bad(Error::malformed("tx_code_missing", "the transaction code is missing")))
            }
            (Some(expected), Some(given)) => {
                let given = self.tx_code_mac(&code.offer_id, given);
                let equal = bool::from(given.as_slice().ct_eq(expected.as_slice()));
                Ok(if equal { Decision::Admit } else { Decision::WrongTxCode })
            }
        }
    }

    async fn admit(
        &self,
        request: &TokenRequest,
        used: &str,
        code: Stored<CodeRecord>,
        proof: ClientProofs,
    ) -> Result<Result<TokenResponse, Refusal>, CommitError> {
        let details = &request.authorization_details;
        let offer = code.value.offer_id.clone();
        let ids = wanted(&code.value.configuration_ids, details);
        let grant = self.grant(offer, request.client_id.clone(), ids, !details.is_empty(), &proof);
        let (_, response, mut writes) = self.new_grant(grant).await?;
        writes.push(Write::delete(CODES, hashed(used), Expect::Version(code.version)));
        writes.extend(proof.into_writes());
        writes.extend(self.offer_write(&code.value.offer_id, OfferState::Redeemed).await?);
        self.store.commit(writes).await?;
        Ok(Ok(response))
    }

    async fn count_wrong(
        &self,
        used: &str,
        code: Stored<CodeRecord>,
    ) -> Result<Result<TokenResponse, Refusal>, CommitError> {
        let key = hashed(used);
        let Stored { version, mut value, expires_at } = code;
        value.wrong_attempts = value.wrong_attempts.saturating_add(1);
        let mut writes = Vec::new();
        if value.wrong_attempts >= self.settings.tx_code_attempts {
            writes.push(Write::delete(CODES, key, Expect::Version(version)));
            writes.extend(self.offer_write(&value.offer_id, OfferState::Locked).await?);
            writes.extend(value.configuration_ids.iter().map(|configuration| {
                Write::delete(DATASETS, dataset_key(&value.offer_id, configuration), Expect::Any)
            }));
        } else {
            writes.push(Write::put_json(CODES, key, Expect::Version(version), &value, expires_at)?);
        }
        self.store.commit(writes).await?;
        let error = Error::refused("tx_code_wrong", "the transaction code is wrong");
        Ok(Err(ErrorCode::InvalidGrant.refuse()(error)))
    }

    /// The write that moves an offer on and forgets the code in it.
    pub(super) async fn offer_write(&self, id: &str, state: OfferState) -> Result<Option<Write>> {
        let Some(stored) = read_json::<OfferRecord>(self.store(), OFFERS, id.as_bytes()).await? else {
            return Ok(None);
        };
        let mut offer = stored.value;
        offer.state = state;
        offer.offer = None;
        let expect = Expect::Version(stored.version);
        Write::put_json(OFFERS, id.as_bytes(), expect, &offer, stored.expires_at).map(Some)
    }
}

/// What is asked for must have been offered (RFC 9396 section 5).
pub(super) fn check_details(details: &[AuthorizationDetail], offered: &[String]) -> Result<(), Refusal> {
    if details.iter().all(|detail| offered.contains(&detail.credential_configuration_id)) {
        return Ok(());
    }
    let error = Error::refused("authorization_details", "a credential is asked for that was not offered");
    Err(ErrorCode::InvalidAuthorizationDetails.refuse()(error))
}

/// Everything that was offered, or the part that the request names.
pub(super) fn wanted(offered: &[String], details: &[AuthorizationDetail]) -> Vec<String> {
    let named = |id: &&String| details.iter().any(|detail| detail.credential_configuration_id == **id);
    offered.iter().filter(|id| details.is_empty() || named(id)).cloned().collect()
}

/// The authorization details of a token response, when the request used them.
pub(super) fn granted(grant: &GrantRecord) -> Option<Vec<AuthorizationDetail>> {
    let detail = |id: &String| AuthorizationDetail {
        credential_identifiers: vec![identifier(grant, id)],
        ..AuthorizationDetail::of(id)
    };
    grant.identifiers.then(|| grant.configuration_ids.iter().map(detail).collect())
}
