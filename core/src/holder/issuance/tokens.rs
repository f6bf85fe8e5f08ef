//! The token endpoint from the wallet's side: any grant becomes an access token, bound to a fresh key where the server
//! takes DPoP.

use super::session::{DpopKey, Session, Tokens};
use super::{IssuanceContext, OfferReview, exchange};
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::limits::Limits;
use crate::protocol::openid4vci::token::{TokenGrant, TokenRequest, TokenResponse};

/// Takes an access token. `dpop` is the key to bind it to, if one was made before; otherwise one is made where the server
/// takes DPoP. A key that the token was not bound to is forgotten.
pub(super) async fn redeem(
    review: &OfferReview,
    grant: TokenGrant,
    dpop: Option<DpopKey>,
    context: &IssuanceContext<'_>,
) -> Result<(TokenResponse, Tokens)> {
    // The details were part of the authorization request already, and a refresh is for the same.
    let details = match grant {
        TokenGrant::PreAuthorized { .. } => review.details.clone(),
        TokenGrant::AuthorizationCode { .. } | TokenGrant::Refresh { .. } => Vec::new(),
    };
    let request = TokenRequest {
        grant,
        client_id: Some(context.wallet.client_id.clone()),
        authorization_details: details,
    };
    let form = request.to_form()?;
    let pairs: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = HttpRequest::post_form(review.token_endpoint.clone(), &pairs);
    let made = dpop.is_none();
    let dpop = match dpop {
        None if review.dpop => Some(DpopKey::generate(context).await?),
        other => other,
    };
    let session = Session::anonymous(dpop.as_ref(), context).attested(review.attesting.as_ref());
    let response = match session.send(request).await {
        Ok(response) => exchange::expect_success(response),
        Err(error) => Err(error),
    };
    let response = response.and_then(|body| TokenResponse::parse(&body, &Limits::DEFAULT));
    let bound = response.as_ref().is_ok_and(TokenResponse::is_bound);
    let dpop = match dpop {
        Some(key) if !bound => {
            // One that was there before may be needed for the next attempt.
            if made {
                let _ = context.keys.delete(&key.alias).await;
            }
            None
        }
        key => key,
    };
    let response = response?;
    if bound && dpop.is_none() {
        return Err(Error::unsupported("token_type", "the token is bound to a key that nobody proved"));
    }
    let tokens = Tokens {
        access_token: response.access_token.clone(),
        refresh_token: response.refresh_token.clone(),
        dpop,
        nonce: None,
    };
    Ok((response, tokens))
}
