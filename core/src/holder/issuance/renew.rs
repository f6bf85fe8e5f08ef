//! Fresh copies of what a wallet holds, by refresh token (OpenID4VCI 1.0 section 14.5), and credentials that come later
//! (section 9).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::finish::{FinishedIssuance, Pending, take};
use super::prepare::{Acceptance, PreparedIssuance, assemble};
use super::session::{DpopKey, Session};
use super::tokens::redeem;
use super::{IssuanceContext, OfferReview};
use crate::error::{Error, Result};
use crate::holder::AuthenticatorKey;
use crate::limits::Limits;
use crate::protocol::openid4vci::credential::{DeferredRequest, Issuance};
use crate::protocol::openid4vci::token::TokenGrant;

/// The right to fetch fresh copies. It holds the refresh token, which counts once: keep it where credentials are kept, and
/// replace it by the one of [`PreparedIssuance::renewal`] as soon as there is one. `Debug` shows the issuer only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Renewal {
    /// Where from.
    pub review: OfferReview,
    pub(super) refresh_token: String,
    pub(super) dpop: Option<DpopKey>,
    /// WebAuthn keys that the issuer knows: fresh copies are bound to them without a new ceremony.
    pub(super) enrolled: Vec<AuthenticatorKey>,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("review", &self.review).finish_non_exhaustive()
    }
}

impl Renewal {
    /// Whether fresh copies are bound to a WebAuthn key that the issuer knows, so that nobody is asked.
    pub fn is_enrolled(&self) -> bool {
        !self.enrolled.is_empty()
    }

    /// The key that the tokens are bound to.
    pub(in crate::holder) fn token_key(&self) -> Option<&str> {
        self.dpop.as_ref().map(|key| key.alias.as_str())
    }
}

/// Takes a fresh access token with the refresh token, and makes holder keys. Without WebAuthn keys that the issuer knows,
/// [`PreparedIssuance::creation_options`] asks for one.
///
/// # Errors
/// `issuance_invalid_grant`: the right has ended or was used by somebody else; those of [`super::prepare`].
pub async fn renew<'a>(
    renewal: &Renewal,
    acceptance: impl Into<Acceptance<'a>>,
    context: &IssuanceContext<'_>,
) -> Result<PreparedIssuance> {
    let grant = TokenGrant::Refresh { refresh_token: renewal.refresh_token.clone() };
    let (token, mut tokens) = redeem(&renewal.review, grant, renewal.dpop.clone(), context).await?;
    // A server that does not rotate goes on with the old one (RFC 6749 section 6).
    tokens.refresh_token.get_or_insert_with(|| renewal.refresh_token.clone());
    let copies = acceptance.into().copies;
    assemble(&renewal.review, token, tokens, renewal.enrolled.clone(), copies, context).await
}

/// What became of a credential that was to come later.
#[derive(Debug, Clone)]
pub enum Resumed {
    /// Not yet: seconds to wait.
    Later(i64),
    /// It came.
    Finished(Box<FinishedIssuance>),
}

/// Asks for a credential that the issuer deferred; not before [`Pending::interval`] seconds have passed.
///
/// # Errors
/// `issuance_refused`: the issuer will not issue it; `metadata_deferred`: it has no endpoint for that; the codes of
/// verification.
pub async fn resume(pending: &Pending, context: &IssuanceContext<'_>) -> Result<Resumed> {
    let endpoint = pending.review.deferred_endpoint.as_ref().ok_or_else(|| {
        Error::malformed("metadata_deferred", "the issuer defers and has no endpoint to ask again")
    })?;
    let message = |response_encryption| {
        DeferredRequest { transaction_id: pending.transaction_id.clone(), response_encryption }.to_value()
    };
    let session = Session::with(&pending.tokens, context);
    let body = pending.review.encryption.post(endpoint, message, &session).await?;
    match Issuance::parse(&body, &Limits::DEFAULT)? {
        Issuance::Deferred(deferral) => Ok(Resumed::Later(deferral.interval)),
        Issuance::Issued(response) => {
            let mut finished = FinishedIssuance::empty(&pending.review, &pending.tokens);
            finished.note(response.notification_id);
            take(
                &pending.review,
                &pending.item,
                &response.credentials,
                &pending.keys,
                &mut finished,
                context,
            )
            .await?;
            Ok(Resumed::Finished(Box::new(finished)))
        }
    }
}
