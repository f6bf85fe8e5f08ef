//! Phase two: everything up to the WebAuthn ceremony.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{IssuanceContext, OfferReview, OfferedCredential, exchange};
use crate::binding::statement::EnrolmentStatement;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::holder::http::HttpRequest;
use crate::holder::{KeyPurpose, WalletIdentity};
use crate::jose::jwk::Jwk;
use crate::limits::Limits;
use crate::protocol::openid4vci::token::{TokenRequest, TokenResponse};
use crate::webauthn::Bytes;
use crate::webauthn::options::{CreationOptions, RelyingParty, User};

/// A collection that waits for the authenticator. It holds the access token: keep it where credentials are kept. `Debug`
/// shows the issuer only.
#[derive(Clone, Serialize, Deserialize)]
pub struct PreparedIssuance {
    /// Options for the one WebAuthn registration (`PublicKeyCredentialCreationOptionsJSON`); `None` when the issuer
    /// binds no WebAuthn key.
    pub creation_options: Option<CreationOptions>,
    /// What was reviewed.
    pub review: OfferReview,
    pub(super) access_token: String,
    /// One per credential, in the order of the review.
    pub(super) items: Vec<PreparedItem>,
}

/// One credential to collect: its holder key, and the nonce when it was already needed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PreparedItem {
    pub(super) offered: OfferedCredential,
    pub(super) hk_alias: String,
    pub(super) hk: Jwk,
    /// The nonce that AK's challenge commits to: the first credential that binds AK only.
    pub(super) enrolment_nonce: Option<String>,
}

impl fmt::Debug for PreparedIssuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedIssuance").field("review", &self.review).finish_non_exhaustive()
    }
}

/// Accepts the offer: takes the access token with the code (and `tx_code`, if the offer wants one), makes a holder key
/// per credential, and says what the authenticator is to be asked.
///
/// # Errors
/// `tx_code_missing`; `issuance_invalid_grant`: the transaction code is wrong, or the offer is used or over;
/// `issuance_refused`; `issuance_nonce`: the issuer binds WebAuthn keys and hands out no nonce; of the key store.
pub async fn prepare(
    review: &OfferReview,
    tx_code: Option<&str>,
    context: &IssuanceContext<'_>,
) -> Result<PreparedIssuance> {
    let access_token = access_token(review, tx_code, context).await?;
    let mut items = Vec::new();
    for offered in &review.credentials {
        match context.keys.generate(KeyPurpose::HolderKey).await {
            Ok(key) => items.push(PreparedItem {
                offered: offered.clone(),
                hk_alias: key.alias,
                hk: Jwk::from_key(&key.public_key),
                enrolment_nonce: None,
            }),
            Err(error) => return Err(give_up(&items, error, context).await),
        }
    }
    let mut prepared =
        PreparedIssuance { creation_options: None, review: review.clone(), access_token, items };
    match ceremony(&mut prepared, context).await {
        Ok(()) => Ok(prepared),
        Err(error) => Err(give_up(&prepared.items, error, context).await),
    }
}

async fn access_token(
    review: &OfferReview,
    tx_code: Option<&str>,
    context: &IssuanceContext<'_>,
) -> Result<String> {
    let tx_code = match (&review.tx_code, tx_code.map(str::trim)) {
        (Some(_), None | Some("")) => {
            return Err(Error::malformed("tx_code_missing", "the transaction code is missing"));
        }
        (Some(_), Some(code)) => Some(code.to_owned()),
        (None, _) => None,
    };
    let request = TokenRequest {
        pre_authorized_code: review.grant.pre_authorized_code.clone(),
        tx_code,
        client_id: Some(context.wallet.client_id.clone()),
    };
    let request = HttpRequest::post_form(review.token_endpoint.clone(), &request.to_form());
    let body = exchange::expect_success(context.http.send(request).await?)?;
    Ok(TokenResponse::parse(&body, &Limits::DEFAULT)?.access_token)
}

/// AK's challenge commits to the nonce and the holder key of the first credential that binds it.
async fn ceremony(prepared: &mut PreparedIssuance, context: &IssuanceContext<'_>) -> Result<()> {
    let Some(item) = prepared.items.iter_mut().find(|item| item.offered.binds_webauthn) else {
        return Ok(());
    };
    let nonce = exchange::nonce(prepared.review.nonce_endpoint.as_ref(), context).await?;
    let nonce = nonce.ok_or_else(|| Error::unsupported("issuance_nonce", "the issuer hands out no nonce"))?;
    let wallet = context.wallet;
    let challenge = EnrolmentStatement {
        c_nonce: &nonce,
        client_id: &wallet.client_id,
        hk_jkt: &item.hk.thumbprint(),
        iss: &prepared.review.credential_issuer,
        rp_id: &wallet.rp_id,
    }
    .challenge()?;
    item.enrolment_nonce = Some(nonce);
    prepared.creation_options = Some(creation_options(wallet, challenge)?);
    Ok(())
}

fn creation_options(wallet: &WalletIdentity, challenge: [u8; 32]) -> Result<CreationOptions> {
    let handle = base64url::decode(&wallet.user_handle)?;
    if !(1..=64).contains(&handle.len()) {
        return Err(Error::misuse("wallet_user_handle", "a user handle has 1 to 64 bytes"));
    }
    let rp = RelyingParty { id: wallet.rp_id.clone(), name: wallet.rp_name.clone() };
    let user = User {
        id: Bytes(handle),
        name: wallet.user_name.clone(),
        display_name: wallet.user_display_name.clone(),
    };
    Ok(CreationOptions::enrolment(rp, user, challenge))
}

/// Forgets the holder keys that were made for nothing, and hands the reason on.
pub(super) async fn give_up(items: &[PreparedItem], error: Error, context: &IssuanceContext<'_>) -> Error {
    for item in items {
        // A key that cannot be deleted is of no use to anybody; the reason is what matters.
        let _ = context.keys.delete(&item.hk_alias).await;
    }
    error
}
