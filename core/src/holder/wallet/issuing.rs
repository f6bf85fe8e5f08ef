//! An offer, from the link to the stored credential.

use std::fmt;
use std::sync::Arc;

use futures_util::lock::Mutex;
use url::Url;

use super::ceremony::{self, AuthenticatorSource};
use super::held::CredentialSummary;
use super::keys::DeviceKeys;
use super::offer::OfferDetails;
use super::platform::{LogLevel, Prompt};
use super::renewing::Right;
use super::storing::Arrival;
use super::unfinished::Collection;
use super::waiting::PendingCredential;
use super::{Party, Wallet, WalletError, device, signing_in};
use crate::error::{Error, Result};
use crate::holder::issuance::{
    self, Acceptance, Authorization, FinishedIssuance, IssuanceContext, IssuancePolicy, OfferReview,
    PreparedIssuance,
};
use crate::holder::{WalletIdentity, is_persons_no};
use crate::protocol::openid4vci::notification::NotificationEvent;
use crate::vault::records::{Batch, Records};
use crate::webauthn::registration::RegistrationResponse;

pub(super) fn issuer(error: Error) -> WalletError {
    WalletError::of(Party::Issuer, error)
}

/// An offer that the person looks at. Dropping it refuses the offer; the issuer is not told. Keys that were made for it
/// are forgotten at the next unlocking, or by [`IssuanceSession::abandon`] at once.
pub struct IssuanceSession {
    wallet: Arc<Wallet>,
    details: OfferDetails,
    stage: Mutex<Stage>,
}

pub(super) enum Stage {
    Reviewed(Box<OfferReview>),
    /// The person is with the issuer's page.
    SigningIn(Box<Authorization>),
    /// The code was taken: a cancelled prompt can be tried again with it.
    Prepared(Box<Begun>),
    Over,
}

pub(super) struct Begun {
    prepared: PreparedIssuance,
    collection: Collection,
}

impl fmt::Debug for IssuanceSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuanceSession")
            .field("issuer", &self.details.credential_issuer)
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens an offer link and fetches what there is to know. Nothing is accepted by it.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; `vault_entries_too_few`; what the offer, the issuer's metadata and the connection have
    /// to say (codes of [`issuance::review`]).
    pub async fn begin_issuance(self: &Arc<Self>, offer_link: &str) -> Result<IssuanceSession, WalletError> {
        let records = self.records()?;
        self.check_entries(&records).await.map_err(device)?;
        self.sweep(&records).await?;
        let identity = self.identity(&records).await.map_err(device)?;
        let keys = self.device_keys(true, None);
        let review = Box::pin(issuance::review(offer_link, &self.issuance_context(&identity, &keys))).await;
        let review = review.map_err(issuer)?;
        Ok(IssuanceSession::new(self, &review.clone(), Stage::Reviewed(Box::new(review))))
    }

    pub(super) fn issuance_context<'a>(
        &'a self,
        identity: &'a WalletIdentity,
        keys: &'a DeviceKeys<'a>,
    ) -> IssuanceContext<'a> {
        IssuanceContext {
            http: &*self.platform.http,
            dids: &*self.platform.dids,
            keys,
            trust: &self.config.issuers,
            wallet: identity,
            locale: &self.config.locale,
            clock: &*self.platform.clock,
            random: self.random(),
            policy: IssuancePolicy {
                wallet_attester: self.platform.wallet_attester.as_deref(),
                key_attester: self.platform.key_attester.as_deref(),
                ..IssuancePolicy::default()
            },
        }
    }

    /// The one ceremony of an issuance, where the issuer binds a second key.
    pub(super) async fn register(
        &self,
        prepared: &PreparedIssuance,
        credential_id: &[u8; 16],
        keys: &DeviceKeys<'_>,
    ) -> Result<Option<RegistrationResponse>> {
        let Some(options) = &prepared.creation_options else { return Ok(None) };
        let registration = match self.config.authenticator {
            AuthenticatorSource::Embedded => {
                ceremony::register_embedded(options, &self.config.origin, credential_id, keys).await?
            }
            AuthenticatorSource::Passkey => {
                keys.confirmed();
                ceremony::register_passkey(options, self.passkeys()?).await?
            }
        };
        Ok(Some(registration))
    }
}

/// What came of accepting an offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IssuanceOutcome {
    /// What is in the wallet now.
    pub credentials: Vec<CredentialSummary>,
    /// What the issuer gives later: ask with [`Wallet::check_pending`], also after a restart of the app.
    pub waiting: Vec<PendingCredential>,
}

impl IssuanceSession {
    pub(super) fn new(wallet: &Arc<Wallet>, review: &OfferReview, stage: Stage) -> Self {
        let details = OfferDetails::new(review);
        Self { wallet: Arc::clone(wallet), details, stage: Mutex::new(stage) }
    }

    /// What is offered.
    pub fn details(&self) -> &OfferDetails {
        &self.details
    }

    /// Where an offer wants a sign-in ([`OfferDetails::signs_in`]): the address to open in the system's browser. Called
    /// again, it begins a new sign-in, and the one before counts no more.
    ///
    /// # Errors
    /// `offer_grant`: this offer needs no sign-in; `sign_in_redirect`: the wallet was opened without `redirect_uri`;
    /// `session_over`; [`WalletError::Locked`]; what the issuer has to say.
    pub async fn sign_in(&self) -> Result<Url, WalletError> {
        let wallet = &*self.wallet;
        let mut stage = self.stage.lock().await;
        let records = wallet.records()?;
        let review = match &*stage {
            Stage::Reviewed(review) => review.clone(),
            Stage::SigningIn(begun) => Box::new(begun.review.clone()),
            Stage::Prepared(_) | Stage::Over => return Err(session_over()),
        };
        if let Stage::SigningIn(begun) = &*stage {
            wallet.forget_sign_in(&records, begun).await?;
            *stage = Stage::Reviewed(review.clone());
        }
        let begun = Box::pin(wallet.begin_sign_in(&records, &review)).await?;
        let url = begun.url.clone();
        *stage = Stage::SigningIn(Box::new(begun));
        Ok(url)
    }

    /// Takes the address with which the browser came back; then [`Self::accept`] goes on. After an answer of somebody else
    /// the session still waits for the right one; after a refused sign-in it can begin another.
    ///
    /// # Errors
    /// `authorization_redirect`, `authorization_state`, `authorization_iss`: it is not the answer to this sign-in, and
    /// nothing was sent anywhere; `authorization_denied`: the person or the server said no; `session_over`;
    /// [`WalletError::Locked`]; what the issuer has to say.
    pub async fn resume(&self, returned: &str) -> Result<(), WalletError> {
        let wallet = &*self.wallet;
        let mut stage = self.stage.lock().await;
        let records = wallet.records()?;
        let Stage::SigningIn(begun) = &*stage else { return Err(session_over()) };
        let identity = wallet.identity(&records).await.map_err(device)?;
        let keys = wallet.device_keys(self.binds_second_key(), None);
        let context = wallet.issuance_context(&identity, &keys);
        let acceptance = Acceptance { tx_code: None, copies: wallet.config.copies.max(1) };
        match Box::pin(issuance::prepare_authorized(begun, returned, acceptance, &context)).await {
            Ok(prepared) => {
                let prepared = self.prepared(&records, prepared, Some(begun.state())).await?;
                *stage = prepared;
                Ok(())
            }
            Err(error) if signing_in::still_waits(&error) => Err(issuer(error)),
            Err(error) => {
                wallet.forget_sign_in(&records, begun).await?;
                let review = Box::new(begun.review.clone());
                *stage = Stage::Reviewed(review);
                Err(issuer(error))
            }
        }
    }

    /// Accepts the offer: exactly one prompt, whatever the number of credentials, and they are stored.
    ///
    /// After [`WalletError::UserCancelled`] and its kin it can be called again, without the transaction code; after a
    /// wrong transaction code too, with another one.
    ///
    /// # Errors
    /// `session_over`: it was accepted before; `sign_in_needed`; [`WalletError::Locked`]; `issuance_invalid_grant`: the
    /// transaction code is wrong, or the offer is used or over; what the platform and the issuer have to say.
    pub async fn accept(
        &self,
        tx_code: Option<&str>,
        prompt: &Prompt,
    ) -> Result<IssuanceOutcome, WalletError> {
        let wallet = &*self.wallet;
        let mut stage = self.stage.lock().await;
        let records = wallet.records()?;
        let identity = wallet.identity(&records).await.map_err(device)?;
        let keys = wallet.device_keys(self.binds_second_key(), Some(prompt.clone()));
        let context = wallet.issuance_context(&identity, &keys);
        if let Stage::Reviewed(review) = &*stage {
            if review.signs_in() {
                return Err(sign_in_needed());
            }
            let acceptance = Acceptance { tx_code, copies: wallet.config.copies.max(1) };
            let prepared = Box::pin(issuance::prepare(review, acceptance, &context)).await.map_err(issuer)?;
            *stage = self.prepared(&records, prepared, None).await?;
        }
        let (prepared, collection) = match &*stage {
            Stage::Prepared(begun) => (&begun.prepared, &begun.collection),
            Stage::SigningIn(_) => return Err(sign_in_needed()),
            Stage::Reviewed(_) | Stage::Over => return Err(session_over()),
        };
        let registration =
            Box::pin(wallet.register(prepared, &collection.credential_id, &keys)).await.map_err(issuer)?;
        let finished = match Box::pin(issuance::finish(prepared, registration.as_ref(), &context)).await {
            Ok(finished) => finished,
            Err(error) => {
                if !is_persons_no(&error) {
                    collection.give_up(&records).await;
                    *stage = Stage::Over;
                }
                return Err(issuer(error));
            }
        };
        let kept = Box::pin(wallet.keep(&records, &finished, collection, &context)).await;
        *stage = Stage::Over;
        kept
    }

    /// Gives the offer up: forgets the keys that were made for it. The issuer is not told. Dropping the session has the
    /// same effect, at the next unlocking of the wallet.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn abandon(&self) -> Result<(), WalletError> {
        let mut stage = self.stage.lock().await;
        let records = self.wallet.records()?;
        match &*stage {
            Stage::Prepared(begun) => begun.collection.give_up(&records).await,
            Stage::SigningIn(begun) => self.wallet.forget_sign_in(&records, begun).await?,
            Stage::Reviewed(_) | Stage::Over => {}
        }
        *stage = Stage::Over;
        Ok(())
    }

    fn binds_second_key(&self) -> bool {
        self.details.credentials.iter().any(|one| one.binds_second_key)
    }

    /// Notes the keys before anything is done with them; a sign-in that led here has served.
    async fn prepared(
        &self,
        records: &Records,
        prepared: PreparedIssuance,
        sign_in: Option<&str>,
    ) -> Result<Stage, WalletError> {
        let collection = Collection::begin(&self.wallet);
        let mut batch = Batch::new();
        collection.note(&mut batch, &prepared, true).map_err(device)?;
        if let Some(state) = sign_in {
            signing_in::served(&mut batch, state);
        }
        self.wallet.commit(records, batch).await?;
        Ok(Stage::Prepared(Box::new(Begun { prepared, collection })))
    }
}

impl Wallet {
    /// Stores what a collection gave and tells the issuer.
    async fn keep(
        &self,
        records: &Records,
        finished: &FinishedIssuance,
        collection: &Collection,
        context: &IssuanceContext<'_>,
    ) -> Result<IssuanceOutcome, WalletError> {
        let embedded = self.config.authenticator == AuthenticatorSource::Embedded;
        let right = finished
            .renewal()
            .map(|renewal| (self.random().token(16), Some(Right { renewal: renewal.clone(), embedded })));
        let arrival =
            Arrival { finished, collection: Some(collection), embedded, right, renews: false, waited: None };
        let stored = match Box::pin(self.store(records, arrival)).await {
            Ok(stored) => stored,
            Err(error) => {
                self.tell(finished, NotificationEvent::CredentialFailure, context).await;
                collection.give_up(records).await;
                return Err(error);
            }
        };
        self.tell(finished, NotificationEvent::CredentialAccepted, context).await;
        self.release_token_key(records, finished.token_key()).await?;
        let mut credentials = self.credentials().await?;
        credentials.retain(|one| stored.ids.contains(&one.id));
        let mut waiting = self.pending().await?;
        waiting.retain(|one| stored.waiting.contains(&one.id));
        Ok(IssuanceOutcome { credentials, waiting })
    }

    /// The issuer's answer to a notification changes nothing.
    pub(super) async fn tell(
        &self,
        finished: &FinishedIssuance,
        event: NotificationEvent,
        context: &IssuanceContext<'_>,
    ) {
        if let Err(error) = issuance::notify_keeping(finished, event, context).await {
            self.log(LogLevel::Info, &format!("the issuer takes no notification: {}", error.code()));
        }
    }
}

fn session_over() -> WalletError {
    device(Error::misuse("session_over", "this offer was dealt with"))
}

fn sign_in_needed() -> WalletError {
    device(Error::misuse("sign_in_needed", "this offer needs a sign-in with the issuer first"))
}
