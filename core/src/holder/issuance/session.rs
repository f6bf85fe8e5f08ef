//! The tokens of one collection, and requests with them: each with a DPoP proof (RFC 9449) where the server takes them.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{IssuanceContext, exchange};
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

/// Requests to one server, which may hand out nonces for DPoP proofs.
pub(super) struct Session<'a> {
    context: &'a IssuanceContext<'a>,
    dpop: Option<&'a DpopKey>,
    access_token: Option<&'a str>,
    nonce: Mutex<Option<String>>,
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
        Self { context, dpop, access_token: None, nonce: Mutex::new(None) }
    }

    /// Requests to the credential issuer with an access token.
    pub(super) fn with(tokens: &'a Tokens, context: &'a IssuanceContext<'a>) -> Self {
        let access_token = Some(tokens.access_token.as_str());
        Self { context, dpop: tokens.dpop.as_ref(), access_token, nonce: Mutex::new(tokens.nonce.clone()) }
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

    /// Sends a request with the token and a proof, and once more when the server asks for its nonce (section 8).
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let response = self.context.http.send(self.signed(&request).await?).await?;
        let asked = self.keep_nonce(&response) && wants_nonce(&response);
        if asked { self.context.http.send(self.signed(&request).await?).await } else { Ok(response) }
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

/// `use_dpop_nonce`, in the body (authorization server) or in the challenge (resource server).
fn wants_nonce(response: &HttpResponse) -> bool {
    let error = json::parse_as::<ErrorResponse>(&response.body, &Limits::DEFAULT);
    let challenge = response.header("www-authenticate").unwrap_or_default();
    matches!(response.status, 400 | 401)
        && (error.is_ok_and(|answer| answer.error == "use_dpop_nonce")
            || challenge.contains("use_dpop_nonce"))
}
