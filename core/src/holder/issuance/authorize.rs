//! The authorization code flow from the wallet's side (OpenID4VCI 1.0 section 5): out to the issuer's sign-in page in the
//! system browser, and back with a code.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::prepare::{Acceptance, PreparedIssuance, assemble};
use super::review::Flow;
use super::session::{DpopKey, Session};
use super::tokens::redeem;
use super::{IssuanceContext, OfferReview, exchange};
use crate::encoding::json;
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::limits::Limits;
use crate::protocol::oauth::authorization::{
    AuthorizationRequest, AuthorizationResponse, PushedResponse, ResponseExpectation, read_response,
};
use crate::protocol::oauth::pkce;
use crate::protocol::openid4vci::token::TokenGrant;

/// A sign-in that was begun. It holds the PKCE verifier: keep it where credentials are kept. `Debug` shows the issuer
/// only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Authorization {
    /// The address to open in the system browser.
    pub url: Url,
    /// What was reviewed.
    pub review: OfferReview,
    redirect_uri: String,
    state: String,
    code_verifier: String,
    dpop: Option<DpopKey>,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("review", &self.review).finish_non_exhaustive()
    }
}

impl Authorization {
    /// The `state` with which the browser will come back: random, names this sign-in.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The key that the tokens will be bound to.
    pub(in crate::holder) fn token_key(&self) -> Option<&str> {
        self.dpop.as_ref().map(|key| key.alias.as_str())
    }
}

/// Begins the sign-in for an offer of the authorization code flow. `redirect_uri` is the wallet's own, as registered with
/// the issuer. The request is pushed where the server takes pushed requests (RFC 9126).
///
/// # Errors
/// `offer_grant`: the offer has a code already; `issuance_refused`; `authorization_pushed`; of the key store.
pub async fn authorize(
    review: &OfferReview,
    redirect_uri: &str,
    context: &IssuanceContext<'_>,
) -> Result<Authorization> {
    let Flow::AuthorizationCode(flow) = &review.flow else {
        return Err(Error::misuse("offer_grant", "this offer needs no sign-in"));
    };
    let (state, code_verifier) = (context.random.token(32), context.random.token(32));
    let request = AuthorizationRequest {
        client_id: context.wallet.client_id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        code_challenge: pkce::challenge(&code_verifier),
        state: Some(state.clone()),
        scope: flow.scopes.clone(),
        // A configuration without a scope can only be asked for by details (section 12.2.4).
        authorization_details: if flow.scopes.is_empty() { review.details.clone() } else { Vec::new() },
        issuer_state: flow.issuer_state.clone(),
        dpop_jkt: None,
    };
    let form = request.to_form()?;
    let pairs: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut url = flow.authorization_endpoint.clone();
    let dpop = if review.dpop { Some(DpopKey::generate(context).await?) } else { None };
    match &flow.pushed_endpoint {
        None => drop(url.query_pairs_mut().extend_pairs(&pairs)),
        Some(endpoint) => {
            let request = HttpRequest::post_form(endpoint.clone(), &pairs);
            let session = Session::anonymous(dpop.as_ref(), context).attested(review.attesting.as_ref());
            let answer = session.send(request).await?;
            let body = exchange::expect_success(answer)?;
            let pushed: PushedResponse = json::parse_as(&body, &Limits::DEFAULT)
                .map_err(|_| Error::malformed("authorization_pushed", "the answer has no request_uri"))?;
            url.query_pairs_mut()
                .append_pair("client_id", &context.wallet.client_id)
                .append_pair("request_uri", &pushed.request_uri);
        }
    }
    let redirect_uri = redirect_uri.to_owned();
    Ok(Authorization { url, review: review.clone(), redirect_uri, state, code_verifier, dpop })
}

/// Takes the address that the browser came back with, and goes on like [`super::prepare`].
///
/// # Errors
/// `authorization_redirect`, `authorization_state`, `authorization_iss`: the answer is of somebody else, and nothing was
/// sent anywhere; `authorization_denied`: the person or the server said no; then those of [`super::prepare`].
pub async fn prepare_authorized<'a>(
    authorization: &Authorization,
    returned: &str,
    acceptance: impl Into<Acceptance<'a>>,
    context: &IssuanceContext<'_>,
) -> Result<PreparedIssuance> {
    let Authorization { review, redirect_uri, state, code_verifier, dpop, .. } = authorization;
    let Flow::AuthorizationCode(flow) = &review.flow else {
        return Err(Error::misuse("offer_grant", "this offer needs no sign-in"));
    };
    let expect =
        ResponseExpectation { redirect_uri, state, issuer: &flow.server, iss_required: flow.iss_required };
    let code = match read_response(returned, &expect, &Limits::DEFAULT)? {
        AuthorizationResponse::Code(code) => code,
        AuthorizationResponse::Error(_) => {
            return Err(Error::refused("authorization_denied", "the sign-in ended without a permission"));
        }
    };
    let grant = TokenGrant::AuthorizationCode {
        code,
        redirect_uri: redirect_uri.clone(),
        code_verifier: code_verifier.clone(),
    };
    let (token, tokens) = redeem(review, grant, dpop.clone(), context).await?;
    assemble(review, token, tokens, Vec::new(), acceptance.into().copies, context).await
}
