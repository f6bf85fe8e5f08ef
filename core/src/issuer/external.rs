//! Access tokens of authorization servers beside the issuer itself (OpenID4VCI 1.0 section 12.2.4,
//! `authorization_servers`).
//!
//! A token that holds becomes a grant for what is prepared for its subject, once: the same that a code becomes at the
//! issuer's own token endpoint. Every further request with the token finds that grant.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::records::{GRANTS, GrantRecord};
use super::settings::MAX_BEARER_LIFETIME;
use super::{Issuer, OfferState, hashed};
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::jose::jwk::JwkSet;
use crate::key::SignatureAlgorithm;
use crate::protocol::oauth::access_token::{self, AccessTokenExpectation, VerifiedAccessToken};
use crate::protocol::openid4vci::credential::{ErrorCode, Refusal};
use crate::store::{CommitError, Expect, Write, read_json};

/// Algorithms of access tokens.
const ALGORITHMS: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::Es384,
    SignatureAlgorithm::EdDsa,
    SignatureAlgorithm::Rs256,
];

/// An authorization server beside the issuer itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationServer {
    /// Its identifier.
    pub issuer: String,
    /// The claim of its access tokens that says who it is, in the words of the desk's offers: usually `sub`.
    pub subject_claim: String,
}

/// The keys of authorization servers that the operator trusts.
#[async_trait]
pub trait ServerKeys: Send + Sync {
    /// The keys of the server with this identifier. `fresh`: those that are known lack the one that a token names.
    ///
    /// # Errors
    /// When they cannot be had.
    async fn keys(&self, server: &str, fresh: bool) -> Result<JwkSet>;
}

impl Issuer {
    /// Whether a token may be one of another server.
    pub(super) fn may_be_external(&self, access_token: &str) -> bool {
        self.server_keys.is_some() && access_token.contains('.')
    }

    /// The grant behind a token of another server, made when it is seen first.
    ///
    /// # Errors
    /// `invalid_token` (the codes of [`access_token::verify`], `access_token_unbound`); `credential_request_denied`
    /// (`subject_unknown`): nothing is prepared for its subject; `insufficient_scope` (`access_token_scope`).
    pub(super) async fn external_grant(&self, access_token: &str) -> Result<String, Refusal> {
        let invalid = ErrorCode::InvalidToken.refuse();
        let token = self.external_token(access_token).await.map_err(&invalid)?;
        // Without the signature, of which one token may have several.
        let signed = access_token.rsplit_once('.').map_or(access_token, |(signed, _)| signed);
        let id = format!("x.{}", base64url::encode(&hashed(signed)));
        loop {
            let known = read_json::<GrantRecord>(self.store(), GRANTS, &id).await;
            if known.map_err(ErrorCode::ServerError.refuse())?.is_some() {
                return Ok(id);
            }
            let record = self.granted_to(&token).await?;
            let server = ErrorCode::ServerError.refuse();
            let offer = self.offer_write(&record.offer_id, OfferState::Redeemed).await.map_err(&server)?;
            let write = Write::put_json(GRANTS, id.as_str(), Expect::Absent, &record, Some(token.expires_at));
            let mut writes = vec![write.map_err(&server)?];
            writes.extend(offer);
            match self.store.commit(writes).await {
                Ok(()) => return Ok(id),
                // Another request with the same token, or for the same offer, was faster.
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(server(error)),
            }
        }
    }

    async fn external_token(&self, compact: &str) -> Result<VerifiedAccessToken> {
        let unknown =
            || Error::untrusted("access_token_claims", "the token is of a server that nobody trusts");
        let issuer = access_token::issuer(compact, &self.limits)?;
        let servers = &self.settings.authorization_servers;
        let server = servers.iter().find(|server| server.issuer == issuer).ok_or_else(unknown)?;
        let keys = self.server_keys.as_ref().ok_or_else(unknown)?;
        let expect = AccessTokenExpectation {
            issuer: &issuer,
            audience: &self.settings.identifier,
            subject_claim: &server.subject_claim,
            algorithms: &ALGORITHMS,
            now: self.now(),
        };
        let judge = |set: JwkSet| access_token::verify(compact, &set, &expect, &self.limits);
        let token = match judge(keys.keys(&issuer, false).await?) {
            Err(error) if error.code() == "access_token_key" => judge(keys.keys(&issuer, true).await?)?,
            judged => judged?,
        };
        let long = token.expires_at.since(token.issued_at) > MAX_BEARER_LIFETIME;
        if token.jkt.is_none() && (long || self.settings.dpop_required) {
            let detail = "a token that lives longer than 5 minutes must be bound to a key";
            return Err(Error::refused("access_token_unbound", detail));
        }
        Ok(token)
    }

    /// What the token allows of what is prepared for its subject.
    async fn granted_to(&self, token: &VerifiedAccessToken) -> Result<GrantRecord, Refusal> {
        let mut named = BTreeMap::new();
        let mut ids: Vec<String> = Vec::new();
        for detail in &token.authorization_details {
            let id = &detail.credential_configuration_id;
            ids.push(id.clone());
            named.extend(detail.credential_identifiers.iter().map(|name| (name.clone(), id.clone())));
        }
        ids.extend(token.scope.iter().cloned());
        ids.retain(|id| self.offered(id).is_ok());
        ids.sort();
        ids.dedup();
        if ids.is_empty() {
            let error = Error::refused("access_token_scope", "the access token is good for no credential");
            return Err(ErrorCode::InsufficientScope.refuse()(error));
        }
        let offer = self.prepared_for(&token.subject, &ids).await.map_err(ErrorCode::ServerError.refuse())?;
        let offer_id = offer.ok_or_else(|| {
            let error = Error::refused("subject_unknown", "nothing is prepared for the subject of the token");
            ErrorCode::CredentialRequestDenied.refuse()(error)
        })?;
        Ok(GrantRecord {
            offer_id,
            client_id: Some(token.client_id.clone()),
            jkt: token.jkt.clone(),
            instance: None,
            configuration_ids: ids,
            issued: Vec::new(),
            enrolled: Vec::new(),
            identifiers: false,
            named,
            refresh: None,
            long: false,
        })
    }
}
