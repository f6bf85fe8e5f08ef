//! The tokens of one collection, and requests with them: each with a DPoP proof (RFC 9449) where the server takes them, and
//! with the wallet's attestation where it authenticates itself.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::attest::{AttestingServer, WalletAttester};
use super::{IssuanceContext, exchange};
use crate::attestation::wallet_attestation::{self, ATTESTATION_HEADER, POP_HEADER, PossessionProof};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::holder::http::{HttpRequest, HttpResponse, Method};
use crate::holder::{KeyPurpose, SignItem};
use crate::jose::jwk::Jwk;
use crate::jose::jws;
use crate::limits::Limits;
use crate::protocol::oauth::dpop::{self, DpopInput};
use crate::protocol::openid4vci::credential::NonceResponse;
use crate::protocol::openid4vci::token::ErrorResponse;

/// A key that tokens are bound to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DpopKey {
    pub(super) alias: String,
    jwk: Jwk,
}

/// The access token, and the key it is bound to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) dpop: Option<DpopKey>,
    /// The nonce for DPoP proofs that the issuer gave last.
    pub(super) nonce: Option<String>,
}

impl Tokens {
    /// The key store's name of the key that they are bound to.
    pub(super) fn key(&self) -> Option<&str> {
        self.dpop.as_ref().map(|key| key.alias.as_str())
    }
}

/// Requests to one server, which may hand out nonces for DPoP proofs.
pub(super) struct Session<'a> {
    context: &'a IssuanceContext<'a>,
    dpop: Option<&'a DpopKey>,
    access_token: Option<&'a str>,
    nonce: Mutex<Option<String>>,
    /// Where the wallet authenticates itself, and by whom.
    attested: Option<(&'a AttestingServer, &'a dyn WalletAttester)>,
    challenge: Mutex<Option<String>>,
}

/// Why a server wants the same request once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// With its nonce in the DPoP proof (RFC 9449 section 8).
    Nonce,
    /// With its challenge in the proof beside the wallet attestation.
    Challenge,
    /// With a newer wallet attestation.
    Attestation,
}

#[derive(Deserialize)]
struct ChallengeResponse {
    attestation_challenge: String,
}

impl DpopKey {
    pub(super) async fn generate(context: &IssuanceContext<'_>) -> Result<Self> {
        let key = context.keys.generate(KeyPurpose::TokenBinding).await?;
        Ok(Self { alias: key.alias, jwk: Jwk::from_key(&key.public_key) })
    }
}

impl<'a> Session<'a> {
    /// Requests to the authorization server, without a token.
    pub(super) fn anonymous(dpop: Option<&'a DpopKey>, context: &'a IssuanceContext<'a>) -> Self {
        Self {
            context,
            dpop,
            access_token: None,
            nonce: Mutex::new(None),
            attested: None,
            challenge: Mutex::new(None),
        }
    }

    /// The same with the wallet's attestation, where the server takes them and the wallet has one.
    pub(super) fn attested(mut self, server: Option<&'a AttestingServer>) -> Self {
        self.attested = server.zip(self.context.policy.wallet_attester);
        self
    }

    /// Requests to the credential issuer with an access token.
    pub(super) fn with(tokens: &'a Tokens, context: &'a IssuanceContext<'a>) -> Self {
        let access_token = Some(tokens.access_token.as_str());
        let nonce = Mutex::new(tokens.nonce.clone());
        Self { access_token, nonce, ..Self::anonymous(tokens.dpop.as_ref(), context) }
    }

    /// The nonce for DPoP proofs that the server gave last.
    pub(super) fn into_nonce(self) -> Option<String> {
        self.nonce.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh `c_nonce`, if the issuer hands out nonces. A DPoP nonce that comes with it is kept.
    pub(super) async fn c_nonce(&self, endpoint: Option<&Url>) -> Result<Option<String>> {
        let Some(endpoint) = endpoint else { return Ok(None) };
        let request = HttpRequest::post(endpoint.clone(), "application/json", Vec::new());
        let response = self.context.http.send(request).await?;
        self.keep_nonce(&response);
        let response: NonceResponse = json::parse_as(&exchange::expect_success(response)?, &Limits::DEFAULT)?;
        Ok(Some(response.c_nonce))
    }

    /// Posts JSON with the access token.
    pub(super) async fn post_json(&self, url: &Url, body: &Value) -> Result<HttpResponse> {
        self.send(HttpRequest::post_json(url.clone(), body)).await
    }

    /// Sends a request with the token and all proofs, and once more for every reason that the server gives.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let mut reasons = Vec::new();
        loop {
            let request = self.signed(&request).await?;
            let request = self.attest(request, reasons.contains(&Again::Attestation)).await?;
            let response = self.context.http.send(request).await?;
            let (nonce, challenge) = (self.keep_nonce(&response), self.keep_challenge(&response));
            let possible = |reason: &Again| match reason {
                Again::Nonce => nonce,
                Again::Challenge => challenge,
                Again::Attestation => self.attested.is_some(),
            };
            match asks_again(&response).filter(possible).filter(|reason| !reasons.contains(reason)) {
                Some(reason) => reasons.push(reason),
                None => return Ok(response),
            }
        }
    }

    /// Adds the wallet's attestation with a proof for this request.
    async fn attest(&self, mut request: HttpRequest, fresh: bool) -> Result<HttpRequest> {
        let Some((to, attester)) = self.attested else { return Ok(request) };
        let challenge = self.challenge(to).await?;
        let attestation = attester.attestation(&to.server, fresh).await?;
        let input = wallet_attestation::pop_signing_input(&PossessionProof {
            client_id: &self.context.wallet.client_id,
            audience: &to.server,
            jti: &self.context.random.token(16),
            challenge: challenge.as_deref(),
            now: self.context.clock.now(),
        })?;
        let signature = attester.sign(&to.server, input.as_bytes()).await?;
        request.headers.push((ATTESTATION_HEADER.to_ascii_lowercase(), attestation));
        request.headers.push((POP_HEADER.to_ascii_lowercase(), jws::assemble(input, &signature)));
        Ok(request)
    }

    /// The server's last challenge; the first comes from its endpoint, if it has one.
    async fn challenge(&self, to: &AttestingServer) -> Result<Option<String>> {
        let known = || self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (None, Some(endpoint)) = (known(), &to.challenge_endpoint) {
            let request = HttpRequest::post(endpoint.clone(), "application/json", Vec::new());
            let body = exchange::expect_success(self.context.http.send(request).await?)?;
            let fetched: ChallengeResponse = json::parse_as(&body, &Limits::DEFAULT)?;
            let mut kept = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(fetched.attestation_challenge);
        }
        Ok(known())
    }

    /// Whether the answer had a challenge that is new.
    fn keep_challenge(&self, response: &HttpResponse) -> bool {
        let Some(fresh) = response.header("oauth-client-attestation-challenge") else { return false };
        let mut kept = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self.attested.is_some() && kept.as_deref() != Some(fresh);
        *kept = Some(fresh.to_owned());
        new
    }

    /// Whether the answer had a nonce that is new.
    fn keep_nonce(&self, response: &HttpResponse) -> bool {
        let Some(fresh) = response.header("dpop-nonce") else { return false };
        let mut nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        let new = nonce.as_deref() != Some(fresh);
        *nonce = Some(fresh.to_owned());
        new
    }

    async fn signed(&self, request: &HttpRequest) -> Result<HttpRequest> {
        let mut request = request.clone();
        if let Some(token) = self.access_token {
            let scheme = if self.dpop.is_some() { dpop::TOKEN_TYPE } else { "Bearer" };
            request.headers.push(("authorization".into(), format!("{scheme} {token}")));
        }
        let Some(key) = self.dpop else { return Ok(request) };
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let input = dpop::signing_input(&DpopInput {
            key: &key.jwk.public_key()?,
            jti: &self.context.random.token(16),
            htm: match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
            },
            htu: &request.url,
            nonce: nonce.as_deref(),
            access_token: self.access_token,
            now: self.context.clock.now(),
        })?;
        let item = SignItem { alias: key.alias.clone(), message: input.as_bytes().to_vec() };
        let signatures = self.context.keys.sign(vec![item]).await?;
        let [signature] = signatures.as_slice() else {
            return Err(Error::misuse("holder_keys_signatures", "the key store returned no signature"));
        };
        request.headers.push(("dpop".into(), jws::assemble(input, signature)));
        Ok(request)
    }
}

/// The reason in the body (authorization server) or in the challenge (resource server).
fn asks_again(response: &HttpResponse) -> Option<Again> {
    if !matches!(response.status, 400 | 401) {
        return None;
    }
    let error = json::parse_as::<ErrorResponse>(&response.body, &Limits::DEFAULT).map(|answer| answer.error);
    let challenge = response.header("www-authenticate").unwrap_or_default();
    match error.as_deref().unwrap_or_default() {
        "use_dpop_nonce" => Some(Again::Nonce),
        "use_attestation_challenge" => Some(Again::Challenge),
        "use_fresh_attestation" => Some(Again::Attestation),
        _ => challenge.contains("use_dpop_nonce").then_some(Again::Nonce),
    }
}
