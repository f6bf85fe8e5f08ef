//! Sign-in with an issuer in the system's browser, which may end the app before the person comes back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::issuing::{IssuanceSession, Stage, issuer};
use super::{Party, Wallet, WalletError, device};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::holder::issuance::{self, Authorization, OfferReview};
use crate::vault::RecordType;
use crate::vault::records::{Batch, Records};

const SIGN_IN: RecordType = RecordType::new("sign_in");
/// Seconds after which nobody comes back any more.
const LIFETIME: i64 = 86_400;

/// A sign-in that was begun, under its `state`.
#[derive(Serialize, Deserialize)]
struct SignIn {
    begun_at: UnixTime,
    authorization: Authorization,
}

/// Whether the answer was not the one that the sign-in waits for, or the connection broke on the way.
pub(super) fn still_waits(error: &Error) -> bool {
    matches!(error.code(), "authorization_redirect" | "authorization_state" | "authorization_iss")
        || matches!(error, Error::Unavailable { .. })
}

/// The sign-in has led to tokens.
pub(super) fn served(batch: &mut Batch, state: &str) {
    batch.delete(SIGN_IN, state);
}

/// Forgets sign-ins from which nobody came back in a day, or `all`.
pub(super) async fn sweep(wallet: &Wallet, records: &Records, all: bool) -> Result<(), WalletError> {
    let now = wallet.now();
    for (state, begun_at) in records.list::<UnixTime>(SIGN_IN).await.map_err(device)?.records {
        if all || now.since(begun_at) >= LIFETIME {
            let kept: Option<SignIn> = records.read(SIGN_IN, &state).await.unwrap_or_default();
            wallet
                .forget(records, &state, kept.as_ref().and_then(|kept| kept.authorization.token_key()))
                .await?;
        }
    }
    Ok(())
}

impl Wallet {
    /// Goes on with a sign-in after a restart of the app: takes the address with which the browser came back. The session
    /// that returns is to be accepted.
    ///
    /// # Errors
    /// `sign_in_unknown`: this wallet has begun no such sign-in, or it is over; otherwise those of
    /// [`IssuanceSession::resume`].
    pub async fn resume_issuance(self: &Arc<Self>, returned: &str) -> Result<IssuanceSession, WalletError> {
        let records = self.records()?;
        let state = state_of(returned).ok_or_else(unknown)?;
        let kept: Option<SignIn> = records.read(SIGN_IN, &state).await.map_err(device)?;
        let authorization = kept.ok_or_else(unknown)?.authorization;
        let review = authorization.review.clone();
        let session = IssuanceSession::new(self, &review, Stage::SigningIn(Box::new(authorization)));
        Box::pin(session.resume(returned)).await?;
        Ok(session)
    }

    pub(super) async fn begin_sign_in(
        &self,
        records: &Records,
        review: &OfferReview,
    ) -> Result<Authorization, WalletError> {
        let redirect = self.config.redirect_uri.as_deref().ok_or_else(|| {
            device(Error::misuse("sign_in_redirect", "this wallet was opened without a redirect_uri"))
        })?;
        let identity = self.identity(records).await.map_err(device)?;
        let keys = self.device_keys(true, None);
        let context = self.issuance_context(&identity, &keys);
        let authorization =
            Box::pin(issuance::authorize(review, redirect, &context)).await.map_err(issuer)?;
        let mut batch = Batch::new();
        let begun_at = self.now();
        let kept = SignIn { begun_at, authorization };
        batch.put(SIGN_IN, kept.authorization.state(), &begun_at, &kept).map_err(device)?;
        self.commit(records, batch).await?;
        Ok(kept.authorization)
    }

    pub(super) async fn forget_sign_in(
        &self,
        records: &Records,
        begun: &Authorization,
    ) -> Result<(), WalletError> {
        self.forget(records, begun.state(), begun.token_key()).await
    }

    async fn forget(&self, records: &Records, state: &str, key: Option<&str>) -> Result<(), WalletError> {
        let mut batch = Batch::new();
        served(&mut batch, state);
        self.commit(records, batch).await?;
        if let Some(key) = key {
            self.forget_key(key).await;
        }
        Ok(())
    }
}

fn state_of(returned: &str) -> Option<String> {
    let url = Url::parse(returned).ok()?;
    url.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned())
}

fn unknown() -> WalletError {
    let error = Error::refused("sign_in_unknown", "no sign-in waits for this answer");
    WalletError::of(Party::Issuer, error)
}
