//! Phase two: everything up to the WebAuthn ceremony.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::renew::Renewal;
use super::review::Flow;
use super::session::{Session, Tokens};
use super::tokens::redeem;
use super::{IssuanceContext, OfferReview, OfferedCredential};
use crate::binding::statement::EnrolmentStatement;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::holder::{AuthenticatorKey, KeyPurpose, WalletIdentity};
use crate::jose::jwk::Jwk;
use crate::protocol::openid4vci::authorization_details::AuthorizationDetail;
use crate::protocol::openid4vci::credential::MAX_PROOFS;
use crate::protocol::openid4vci::token::{TokenGrant, TokenResponse};
use crate::webauthn::Bytes;
use crate::webauthn::options::{CreationOptions, RelyingParty, User};

/// Most copies of one credential that are asked for.
const MAX_COPIES: u32 = 32;
const _: () = assert!(MAX_PROOFS == 32, "as many as a request carries");

/// What the person agreed to. A transaction code alone converts into it: one copy of everything.
#[derive(Clone, Copy, Default)]
pub struct Acceptance<'a> {
    /// The transaction code, if the offer wants one.
    pub tx_code: Option<&'a str>,
    /// Copies of each credential, each with a holder key of its own, so that each may be shown to one verifier only; at
    /// least 1 and at most [`OfferReview::batch_size`] are asked for.
    pub copies: u32,
}

impl<'a> From<Option<&'a str>> for Acceptance<'a> {
    fn from(tx_code: Option<&'a str>) -> Self {
        Self { tx_code, copies: 1 }
    }
}

impl fmt::Debug for Acceptance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptance").field("copies", &self.copies).finish_non_exhaustive()
    }
}

/// A collection that waits for the authenticator. It holds the access token: keep it where credentials are kept. `Debug`
/// shows the issuer only.
#[derive(Clone, Serialize, Deserialize)]
pub struct PreparedIssuance {
    /// Options for the one WebAuthn registration (`PublicKeyCredentialCreationOptionsJSON`); `None` when the issuer
    /// binds no WebAuthn key.
    pub creation_options: Option<CreationOptions>,
    /// The same for the second and further copies, for authenticators that make several keys in one ceremony (the
    /// embedded one): then each copy has a WebAuthn key of its own too. Others share the key of the first.
    pub copy_options: Vec<CreationOptions>,
    /// What was reviewed.
    pub review: OfferReview,
    pub(super) tokens: Tokens,
    /// WebAuthn keys that the issuer knows from an earlier collection.
    pub(super) enrolled: Vec<AuthenticatorKey>,
    /// One per credential dataset, in the order of the review.
    pub(super) items: Vec<PreparedItem>,
}

/// One credential to collect: its holder keys, and the nonce when it was already needed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PreparedItem {
    pub(super) offered: OfferedCredential,
    pub(super) name: Name,
    /// One per copy.
    pub(super) keys: Vec<PreparedKey>,
    /// The nonce that the challenges of the registrations commit to: the first credential that binds AK only.
    pub(super) enrolment_nonce: Option<String>,
}

/// How the credential request names what it wants.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Name {
    Configuration,
    Identifier(String),
}

/// A holder key that waits for its credential.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PreparedKey {
    pub(super) alias: String,
    pub(super) jwk: Jwk,
}

impl fmt::Debug for PreparedIssuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedIssuance").field("review", &self.review).finish_non_exhaustive()
    }
}

/// Accepts the offer: takes the access token with the code (and `tx_code`, if the offer wants one), makes a holder key
/// per copy of each credential, and says what the authenticator is to be asked.
///
/// # Errors
/// `tx_code_missing`; `issuance_invalid_grant`: the transaction code is wrong, or the offer is used or over;
/// `issuance_refused`; `issuance_nonce`: the issuer binds WebAuthn keys and hands out no nonce; of the key store.
pub async fn prepare<'a>(
    review: &OfferReview,
    acceptance: impl Into<Acceptance<'a>>,
    context: &IssuanceContext<'_>,
) -> Result<PreparedIssuance> {
    let acceptance = acceptance.into();
    let Flow::PreAuthorized(grant) = &review.flow else {
        return Err(Error::unsupported("offer_grant", "this offer needs a sign-in with the issuer first"));
    };
    let tx_code = match (&review.tx_code, acceptance.tx_code.map(str::trim)) {
        (Some(_), None | Some("")) => {
            return Err(Error::malformed("tx_code_missing", "the transaction code is missing"));
        }
        (Some(_), Some(code)) => Some(code.to_owned()),
        (None, _) => None,
    };
    let grant = TokenGrant::PreAuthorized { code: grant.pre_authorized_code.clone(), tx_code };
    let (token, tokens) = redeem(review, grant, None, context).await?;
    assemble(review, token, tokens, Vec::new(), acceptance.copies, context).await
}

/// Holder keys for what the token allows, and the options of the ceremony.
pub(super) async fn assemble(
    review: &OfferReview,
    token: TokenResponse,
    tokens: Tokens,
    enrolled: Vec<AuthenticatorKey>,
    copies: u32,
    context: &IssuanceContext<'_>,
) -> Result<PreparedIssuance> {
    let copies = copies.clamp(1, review.batch_size.clamp(1, MAX_COPIES));
    let mut prepared = PreparedIssuance {
        creation_options: None,
        copy_options: Vec::new(),
        review: review.clone(),
        tokens,
        enrolled,
        items: items(review, token.authorization_details.as_deref()),
    };
    let filled = match fill(&mut prepared.items, copies, context).await {
        Ok(()) if prepared.enrolled.is_empty() => ceremony(&mut prepared, context).await,
        other => other,
    };
    match filled {
        Ok(()) => Ok(prepared),
        Err(error) => {
            super::abandon(&prepared, context).await;
            Err(error)
        }
    }
}

impl PreparedIssuance {
    /// The keys that were made for this collection alone.
    pub(super) fn keys(&self) -> Vec<&str> {
        // The key of a refresh token is still good for the next attempt.
        let token_key = self.tokens.key().filter(|_| self.tokens.refresh_token.is_none());
        self.holder_keys().chain(token_key).collect()
    }

    /// The holder keys that wait for their credentials.
    pub(in crate::holder) fn holder_keys(&self) -> impl Iterator<Item = &str> {
        self.items.iter().flat_map(|item| &item.keys).map(|key| key.alias.as_str())
    }

    /// The key that the tokens are bound to.
    pub(in crate::holder) fn token_key(&self) -> Option<&str> {
        self.tokens.key()
    }

    /// The right to fetch fresh copies later, where the issuer gives it; it replaces the one that was used for this.
    pub fn renewal(&self) -> Option<Renewal> {
        Some(Renewal {
            review: self.review.clone(),
            refresh_token: self.tokens.refresh_token.clone()?,
            dpop: self.tokens.dpop.clone(),
            enrolled: self.enrolled.clone(),
        })
    }
}

/// What to ask for: where the token response named datasets, each of them (section 8.2); otherwise one per configuration.
fn items(review: &OfferReview, details: Option<&[AuthorizationDetail]>) -> Vec<PreparedItem> {
    let mut items = Vec::new();
    for offered in &review.credentials {
        let named =
            |detail: &&AuthorizationDetail| detail.credential_configuration_id == offered.configuration_id;
        let identifiers =
            details.unwrap_or_default().iter().filter(named).flat_map(|d| &d.credential_identifiers);
        let names: Vec<Name> = match details {
            None => vec![Name::Configuration],
            Some(_) => identifiers.cloned().map(Name::Identifier).collect(),
        };
        items.extend(names.into_iter().map(|name| PreparedItem {
            offered: offered.clone(),
            name,
            keys: Vec::new(),
            enrolment_nonce: None,
        }));
    }
    items
}

async fn fill(items: &mut [PreparedItem], copies: u32, context: &IssuanceContext<'_>) -> Result<()> {
    for item in items {
        for _ in 0..copies {
            let key = context.keys.generate(KeyPurpose::HolderKey).await?;
            item.keys.push(PreparedKey { alias: key.alias, jwk: Jwk::from_key(&key.public_key) });
        }
    }
    Ok(())
}

/// AK's challenge commits to the nonce and a holder key of the first credential that binds it: one challenge per copy.
async fn ceremony(prepared: &mut PreparedIssuance, context: &IssuanceContext<'_>) -> Result<()> {
    let Some(item) = prepared.items.iter_mut().find(|item| item.offered.binds_webauthn) else {
        return Ok(());
    };
    let session = Session::anonymous(None, context);
    let nonce = session.c_nonce(prepared.review.nonce_endpoint.as_ref()).await?;
    prepared.tokens.nonce = session.into_nonce();
    let nonce = nonce.ok_or_else(|| Error::unsupported("issuance_nonce", "the issuer hands out no nonce"))?;
    let wallet = context.wallet;
    let mut options = Vec::new();
    for key in &item.keys {
        let statement = EnrolmentStatement {
            c_nonce: &nonce,
            client_id: &wallet.client_id,
            hk_jkt: &key.jwk.thumbprint(),
            iss: &prepared.review.credential_issuer,
            rp_id: &wallet.rp_id,
        };
        options.push(creation_options(wallet, statement.challenge()?)?);
    }
    item.enrolment_nonce = Some(nonce);
    let mut options = options.into_iter();
    prepared.creation_options = options.next();
    prepared.copy_options = options.collect();
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
