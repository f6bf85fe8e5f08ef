//! Access tokens at the protected endpoints (RFC 6750), and the grants behind them.

use std::collections::BTreeMap;

use super::client_attestation::ClientProofs;
use super::dpop::UsedProof;
use super::records::{GRANTS, GrantRecord, OFFERS, OfferRecord, TOKENS, TokenRecord};
use super::settings::MAX_BEARER_LIFETIME;
use super::token::granted;
use super::{Caller, Issuer, Scheme, fresh, hashed};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::protocol::oauth::dpop;
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::protocol::openid4vci::token::TokenResponse;
use crate::store::{Expect, Write, read_json};

/// An access token that holds, with its grant.
pub(super) struct ValidToken {
    /// Key of the grant.
    pub(super) grant: String,
    /// Version of the grant's record.
    pub(super) version: u64,
    /// End of the grant.
    pub(super) expires_at: Option<UnixTime>,
    pub(super) record: GrantRecord,
    /// Uses up the DPoP proof that came with the token.
    pub(super) proof: Option<Write>,
}

impl Issuer {
    /// Looks up the access token of a request for `path`, and its grant. A token that is bound to a key needs the proof
    /// of that key, and the scheme that says so.
    ///
    /// # Errors
    /// [`ErrorCode::MissingToken`] (`access_token_missing`), [`ErrorCode::InvalidToken`] (`access_token_invalid`,
    /// `access_token_binding`), and those of DPoP.
    pub(super) async fn valid_token(&self, caller: &Caller<'_>, path: &str) -> Result<ValidToken, Refusal> {
        let Some((scheme, access_token)) = caller.access_token else {
            let error = Error::refused("access_token_missing", "no access token was sent");
            return Err(ErrorCode::MissingToken.refuse()(error));
        };
        let token = read_json::<TokenRecord>(self.store(), TOKENS, hashed(access_token)).await;
        let token = token.map_err(ErrorCode::ServerError.refuse())?.filter(|token| token.is_live(self.now()));
        let grant = match token {
            Some(token) => token.value.grant,
            None if self.may_be_external(access_token) => self.external_grant(access_token).await?,
            None => return Err(invalid_token()),
        };
        let stored = read_json::<GrantRecord>(self.store(), GRANTS, &grant).await;
        let stored = stored.map_err(ErrorCode::ServerError.refuse())?;
        // A grant that was withdrawn takes its tokens with it.
        let stored = stored.filter(|stored| stored.is_live(self.now())).ok_or_else(invalid_token)?;
        let proof = match (&stored.value.jkt, scheme) {
            (None, Scheme::Bearer) => None,
            (Some(jkt), Scheme::Dpop) => Some(self.proof_of(jkt, caller, path, access_token).await?),
            (None, Scheme::Dpop) | (Some(_), Scheme::Bearer) => return Err(wrong_binding()),
        };
        Ok(ValidToken {
            grant,
            version: stored.version,
            expires_at: stored.expires_at,
            record: stored.value,
            proof: proof.map(|proof| proof.write),
        })
    }

    async fn proof_of(
        &self,
        jkt: &str,
        caller: &Caller<'_>,
        path: &str,
        access_token: &str,
    ) -> Result<UsedProof, Refusal> {
        let proof = self.dpop_proof(caller, path, Some(access_token)).await?;
        let proof = proof.ok_or_else(|| {
            let error = Error::malformed("dpop_missing", "the access token needs a DPoP proof");
            ErrorCode::InvalidDpopProof.refuse()(error)
        })?;
        // RFC 9449 section 7.1: another key than the one the token was given to.
        if proof.jkt == jkt { Ok(proof) } else { Err(wrong_binding()) }
    }

    /// What a wallet is granted.
    pub(super) fn grant(
        &self,
        offer_id: String,
        client_id: Option<String>,
        configuration_ids: Vec<String>,
        identifiers: bool,
        proof: &ClientProofs,
    ) -> GrantRecord {
        GrantRecord {
            offer_id,
            client_id,
            jkt: proof.jkt().map(str::to_owned),
            instance: proof.instance().map(str::to_owned),
            configuration_ids,
            issued: Vec::new(),
            enrolled: Vec::new(),
            identifiers,
            named: BTreeMap::new(),
            refresh: None,
            long: false,
        }
    }

    /// A fresh grant with its first tokens: its id, the token response, and the writes that make them.
    pub(super) async fn new_grant(
        &self,
        mut grant: GrantRecord,
    ) -> Result<(String, TokenResponse, Vec<Write>)> {
        let id = fresh(&*self.random);
        let offer = read_json::<OfferRecord>(self.store(), OFFERS, grant.offer_id.as_bytes()).await?;
        // What waits for a person must outlast the usual lifetime; only a bound token may.
        grant.long = grant.jkt.is_some() && offer.is_some_and(|offer| offer.value.approval.is_some());
        let refresh = if grant.jkt.is_some() { self.settings.refresh_lifetime } else { 0 };
        let end = Some(self.now().plus(self.token_lifetime(&grant).max(refresh)));
        let (response, mut writes) = self.tokens(&id, &mut grant, end)?;
        writes.push(Write::put_json(GRANTS, id.as_str(), Expect::Absent, &grant, end)?);
        Ok((id, response, writes))
    }

    /// Fresh tokens of a grant that ends at `end`: the response, and the writes of the access token. A grant that may be
    /// refreshed gets a new refresh token, which replaces the one before.
    pub(super) fn tokens(
        &self,
        id: &str,
        grant: &mut GrantRecord,
        end: Option<UnixTime>,
    ) -> Result<(TokenResponse, Vec<Write>)> {
        let access_token = fresh(&*self.random);
        let lifetime = self.token_lifetime(grant);
        let refreshable = grant.jkt.is_some() && self.settings.refresh_lifetime > 0;
        let refresh_token = refreshable.then(|| format!("{id}.{}", fresh(&*self.random)));
        grant.refresh = refresh_token.as_deref().map(hashed);
        let own_end = self.now().plus(lifetime);
        let end = end.map_or(own_end, |end| end.min(own_end));
        let token = TokenRecord { grant: id.to_owned() };
        let write = Write::put_json(TOKENS, hashed(&access_token), Expect::Absent, &token, Some(end))?;
        let response = TokenResponse {
            access_token,
            token_type: if grant.jkt.is_some() { dpop::TOKEN_TYPE } else { "Bearer" }.into(),
            expires_in: Some(end.since(self.now())),
            refresh_token,
            authorization_details: granted(grant),
        };
        Ok((response, vec![write]))
    }

    /// Lifetime of the access tokens of a grant, in seconds.
    pub(super) fn token_lifetime(&self, grant: &GrantRecord) -> i64 {
        match grant.jkt {
            Some(_) if grant.long => self.settings.deferred_lifetime.max(self.settings.token_lifetime),
            Some(_) => self.settings.token_lifetime,
            None => self.settings.token_lifetime.min(MAX_BEARER_LIFETIME),
        }
    }
}

fn wrong_binding() -> Refusal {
    let detail = "the access token is bound to another key, or to none";
    ErrorCode::InvalidToken.refuse()(Error::refused("access_token_binding", detail))
}

fn invalid_token() -> Refusal {
    let error = Error::refused("access_token_invalid", "the access token is unknown or has expired");
    ErrorCode::InvalidToken.refuse()(error)
}
