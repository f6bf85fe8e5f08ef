//! The token endpoint (OpenID4VCI 1.0 section 6): a pre-authorized code becomes an access token, once.

use subtle::ConstantTimeEq;

use super::issue::identifier;
use super::offer::dataset_key;
use super::records::{CODES, CodeRecord, DATASETS, GrantRecord, OFFERS, OfferRecord};
use super::{Issuer, OfferState, hashed};
use crate::error::{Error, Result};
use crate::protocol::openid4vci::authorization_details::AuthorizationDetail;
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::protocol::openid4vci::token::{TokenRequest, TokenResponse};
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
    /// `invalid_authorization_details` (`authorization_details`).
    pub async fn exchange(&self, form: &[u8]) -> Result<TokenResponse, Refusal> {
        let request = TokenRequest::parse_form(form, &self.limits).map_err(|error| match error.code() {
            "token_grant_type" => ErrorCode::UnsupportedGrantType.refuse()(error),
            "authorization_details" => ErrorCode::InvalidAuthorizationDetails.refuse()(error),
            _ => ErrorCode::InvalidRequest.refuse()(error),
        })?;
        self.check_client(request.client_id.as_deref())?;
        loop {
            let code = self.live_code(&request.pre_authorized_code).await?;
            let outcome = match self.judge(&request, &code.value)? {
                Decision::Admit => self.admit(&request, code).await,
                Decision::WrongTxCode => self.count_wrong(&request, code).await,
            };
            match outcome {
                Ok(done) => return done,
                // Somebody else used or tried the same code in between: look again.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(ErrorCode::ServerError.refuse()(error)),
            }
        }
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

    fn judge(&self, request: &TokenRequest, code: &CodeRecord) -> Result<Decision, Refusal> {
        let bad = ErrorCode::InvalidRequest.refuse();
        check_details(&request.authorization_details, &code.configuration_ids)?;
        match (&code.tx_code, &request.tx_code) {
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
        code: Stored<CodeRecord>,
    ) -> Result<Result<TokenResponse, Refusal>, CommitError> {
        let details = &request.authorization_details;
        let grant = GrantRecord {
            offer_id: code.value.offer_id.clone(),
            client_id: request.client_id.clone(),
            configuration_ids: wanted(&code.value.configuration_ids, details),
            issued: Vec::new(),
            enrolled: Vec::new(),
            identifiers: !details.is_empty(),
        };
        let (access_token, mut writes) = self.new_grant(&grant)?;
        let used = hashed(&request.pre_authorized_code);
        writes.push(Write::delete(CODES, used, Expect::Version(code.version)));
        writes.extend(self.offer_write(&code.value.offer_id, OfferState::Redeemed).await?);
        self.store.commit(writes).await?;
        Ok(Ok(TokenResponse {
            access_token,
            token_type: "Bearer".into(),
            expires_in: Some(self.settings.token_lifetime),
            authorization_details: granted(&grant),
        }))
    }

    async fn count_wrong(
        &self,
        request: &TokenRequest,
        code: Stored<CodeRecord>,
    ) -> Result<Result<TokenResponse, Refusal>, CommitError> {
        let key = hashed(&request.pre_authorized_code);
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
    async fn offer_write(&self, id: &str, state: OfferState) -> Result<Option<Write>> {
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
fn check_details(details: &[AuthorizationDetail], offered: &[String]) -> Result<(), Refusal> {
    if details.iter().all(|detail| offered.contains(&detail.credential_configuration_id)) {
        return Ok(());
    }
    let error = Error::refused("authorization_details", "a credential is asked for that was not offered");
    Err(ErrorCode::InvalidAuthorizationDetails.refuse()(error))
}

/// Everything that was offered, or the part that the request names.
fn wanted(offered: &[String], details: &[AuthorizationDetail]) -> Vec<String> {
    let named = |id: &&String| details.iter().any(|detail| detail.credential_configuration_id == **id);
    offered.iter().filter(|id| details.is_empty() || named(id)).cloned().collect()
}

/// The authorization details of a token response, when the request used them.
fn granted(grant: &GrantRecord) -> Option<Vec<AuthorizationDetail>> {
    let detail = |id: &String| AuthorizationDetail {
        credential_identifiers: vec![identifier(grant, id)],
        ..AuthorizationDetail::of(id)
    };
    grant.identifiers.then(|| grant.configuration_ids.iter().map(detail).collect())
}
