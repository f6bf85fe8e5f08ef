//! Authorization codes and refresh tokens at the token endpoint. Both count once; whoever uses one again takes the whole
//! grant with all its tokens away (RFC 6749 section 4.1.2, RFC 9700 section 4.14.2), for one of the two users is a thief.

use subtle::ConstantTimeEq;

use super::client_attestation::ClientProofs;
use super::records::{AUTHORIZATION_CODES, AuthorizationCodeRecord, GRANTS, GrantRecord};
use super::token::{check_details, wanted};
use super::{Issuer, OfferState, hashed};
use crate::error::Error;
use crate::protocol::oauth::pkce;
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::protocol::openid4vci::token::{TokenRequest, TokenResponse};
use crate::store::{CommitError, Expect, Stored, Write, read_json};

/// An authorization code as it was sent.
pub(super) struct SentCode<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) code_verifier: &'a str,
}

type Outcome = Result<Result<TokenResponse, Refusal>, CommitError>;

fn invalid_grant(code: &'static str, detail: &'static str) -> Refusal {
    ErrorCode::InvalidGrant.refuse()(Error::refused(code, detail))
}

impl Issuer {
    /// RFC 6749 section 4.1.3. A code with the wrong client, redirect URI, verifier or key is not used up: whoever stole
    /// it cannot spoil it.
    pub(super) async fn by_authorization_code(
        &self,
        request: &TokenRequest,
        sent: &SentCode<'_>,
        proof: ClientProofs,
    ) -> Outcome {
        let key = hashed(sent.code);
        let stored = read_json::<AuthorizationCodeRecord>(self.store(), AUTHORIZATION_CODES, &key).await?;
        let Some(stored) = stored.filter(|stored| stored.is_live(self.now())) else {
            return Ok(Err(invalid_grant("code_unknown", "the code is unknown or expired")));
        };
        let Stored { version, value: mut record, .. } = stored;
        if let Err(refusal) = check_code(request, sent, &record, &proof) {
            return Ok(Err(refusal));
        }
        if let Some(grant) = record.grant {
            self.store.commit(vec![Write::delete(GRANTS, grant, Expect::Any)]).await?;
            let detail = "the code was used already; the tokens that came of it end";
            return Ok(Err(invalid_grant("code_reused", detail)));
        }
        let details = &request.authorization_details;
        if let Err(refusal) = check_details(details, &record.pushed.configuration_ids) {
            return Ok(Err(refusal));
        }
        let ids = wanted(&record.pushed.configuration_ids, details);
        let identifiers = record.pushed.identifiers || !details.is_empty();
        let client = Some(record.pushed.request.client_id.clone());
        let grant = self.grant(record.offer_id.clone(), client, ids, identifiers, &proof);
        let (id, response, mut writes) = self.new_grant(grant).await?;
        // Kept for as long as the grant may live: a later use is then seen as the theft that it is.
        let end = self.now().plus(self.settings.token_lifetime);
        record.grant = Some(id);
        writes.push(Write::put_json(AUTHORIZATION_CODES, key, Expect::Version(version), &record, Some(end))?);
        writes.extend(proof.into_writes());
        writes.extend(self.offer_write(&record.offer_id, OfferState::Redeemed).await?);
        self.store.commit(writes).await?;
        Ok(Ok(response))
    }

    /// RFC 6749 section 6, with rotation. The refresh token names its grant, so that an old one is recognised.
    pub(super) async fn by_refresh(
        &self,
        request: &TokenRequest,
        refresh_token: &str,
        proof: ClientProofs,
    ) -> Outcome {
        let unknown = || Ok(Err(invalid_grant("refresh_unknown", "the refresh token is unknown or expired")));
        let Some((id, _)) = refresh_token.split_once('.').filter(|(id, _)| !id.is_empty() && id.len() < 100)
        else {
            return unknown();
        };
        let stored = read_json::<GrantRecord>(self.store(), GRANTS, id).await?;
        let Some(stored) = stored.filter(|stored| stored.is_live(self.now())) else { return unknown() };
        let Stored { version, value: mut grant, expires_at } = stored;
        let Some(current) = grant.refresh.clone() else { return unknown() };
        let client = request.client_id.is_some() && request.client_id != grant.client_id;
        // Whoever is not attested at all is refused here too, where the grant was an attested wallet's.
        let instance = grant.instance.is_some() && grant.instance.as_deref() != proof.instance();
        if client || instance || grant.jkt.as_deref() != proof.jkt() {
            let detail = "the refresh token is bound to another key or client";
            return Ok(Err(invalid_grant("refresh_binding", detail)));
        }
        if !bool::from(hashed(refresh_token).ct_eq(&current)) {
            self.store.commit(vec![Write::delete(GRANTS, id, Expect::Any)]).await?;
            let detail = "the refresh token was used already; the tokens of its grant end";
            return Ok(Err(invalid_grant("refresh_reused", detail)));
        }
        if let Err(refusal) = check_details(&request.authorization_details, &grant.configuration_ids) {
            return Ok(Err(refusal));
        }
        // A new round: everything may be issued once more, for fresh keys.
        grant.issued.clear();
        grant.identifiers |= !request.authorization_details.is_empty();
        let (response, mut writes) = self.tokens(id, &mut grant, expires_at)?;
        writes.push(Write::put_json(GRANTS, id, Expect::Version(version), &grant, expires_at)?);
        writes.extend(proof.into_writes());
        self.store.commit(writes).await?;
        Ok(Ok(response))
    }
}

fn check_code(
    request: &TokenRequest,
    sent: &SentCode<'_>,
    record: &AuthorizationCodeRecord,
    proof: &ClientProofs,
) -> Result<(), Refusal> {
    let authorized = &record.pushed.request;
    if request.client_id.as_deref() != Some(authorized.client_id.as_str()) {
        return Err(invalid_grant("code_client", "the code was given to another client"));
    }
    if sent.redirect_uri != authorized.redirect_uri {
        return Err(invalid_grant(
            "code_redirect",
            "redirect_uri is not the one of the authorization request",
        ));
    }
    pkce::check(sent.code_verifier, &authorized.code_challenge).map_err(ErrorCode::InvalidGrant.refuse())?;
    let bound = record.pushed.jkt.as_deref();
    if bound.is_some() && bound != proof.jkt() {
        return Err(invalid_grant("code_key", "the code is bound to another key"));
    }
    let instance = record.pushed.instance.as_deref();
    if instance.is_some() && instance != proof.instance() {
        return Err(invalid_grant("code_instance", "the code is bound to another instance of the wallet"));
    }
    Ok(())
}
