//! An offer, from the link to the stored credential.

use std::fmt;
use std::sync::Arc;

use futures_util::lock::Mutex;

use super::activity::{self, Activity, ActivityKind};
use super::ceremony::{self, AuthenticatorSource};
use super::held::{CREDENTIAL, CredentialSummary, Held, LOGO, Summary};
use super::keys::DeviceKeys;
use super::platform::{LogLevel, Prompt};
use super::{Party, Wallet, WalletError, device, words};
use crate::binding::transaction::visible;
use crate::error::{Error, Result};
use crate::holder::issuance::{
    self, Acceptance, FinishedIssuance, IssuanceContext, IssuancePolicy, OfferReview, PreparedIssuance,
};
use crate::holder::{StoredCredential, WalletIdentity};
use crate::protocol::openid4vci::notification::NotificationEvent;
use crate::protocol::openid4vci::offer::InputMode;
use crate::vault::records::{Batch, Records};
use crate::webauthn::registration::RegistrationResponse;

fn issuer(error: Error) -> WalletError {
    WalletError::of(Party::Issuer, error)
}

/// What is offered, for a person. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferDetails {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Its host: what the person should compare with where they are.
    pub issuer_host: String,
    /// The name that the issuer gives itself; nobody has verified it.
    pub issuer_name: String,
    /// What can be collected.
    pub credentials: Vec<OfferedDetails>,
    /// Names of what the offer has besides, which this wallet cannot hold.
    pub unsupported: Vec<String>,
    /// Whether the person must enter a transaction code.
    pub tx_code: Option<TxCodeDetails>,
}

/// The transaction code that the issuer gave the person by another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxCodeDetails {
    /// Whether it is made of digits only.
    pub digits_only: bool,
    /// How long it is, if the issuer says.
    pub length: Option<u32>,
    /// Where it comes from, in the issuer's words.
    pub description: Option<String>,
}

/// One credential of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedDetails {
    /// Credential configuration.
    pub configuration_id: String,
    /// Credential type: `vct`, or the term of a W3C type.
    pub kind: String,
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// Names of the claims that it can hold.
    pub claims: Vec<String>,
    /// Whether a key is bound that needs the person's own confirmation for every use.
    pub binds_second_key: bool,
    /// The assurance level without which the issuer does not issue it.
    pub required_level: Option<String>,
}

impl OfferDetails {
    fn new(review: &OfferReview) -> Self {
        let offered = |one: &issuance::OfferedCredential| OfferedDetails {
            configuration_id: one.configuration_id.clone(),
            kind: one.types.last().cloned().unwrap_or_default(),
            name: visible(&one.display.name),
            description: one.display.description.as_deref().map(visible),
            claims: words::offered(&one.display),
            binds_second_key: one.binds_webauthn,
            required_level: one.required_level.clone(),
        };
        Self {
            credential_issuer: review.credential_issuer.clone(),
            issuer_host: visible(&review.issuer_host),
            issuer_name: visible(&review.issuer_name),
            credentials: review.credentials.iter().map(offered).collect(),
            unsupported: review.unsupported.iter().map(|name| visible(name)).collect(),
            tx_code: review.tx_code.as_ref().map(|code| TxCodeDetails {
                digits_only: code.input_mode != Some(InputMode::Text),
                length: code.length,
                description: code.description.as_deref().map(visible),
            }),
        }
    }
}

/// An offer that the person looks at. Dropping it refuses the offer; the issuer is not told.
pub struct IssuanceSession {
    wallet: Arc<Wallet>,
    details: OfferDetails,
    stage: Mutex<Stage>,
}

enum Stage {
    Reviewed(Box<OfferReview>),
    /// The code was taken: a cancelled prompt can be tried again with it.
    Prepared(Box<PreparedIssuance>),
    Over,
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
        let identity = self.identity(&records).await.map_err(device)?;
        let keys = self.device_keys(true, None);
        let review = issuance::review(offer_link, &self.issuance_context(&identity, &keys)).await;
        let review = review.map_err(issuer)?;
        Ok(IssuanceSession {
            wallet: Arc::clone(self),
            details: OfferDetails::new(&review),
            stage: Mutex::new(Stage::Reviewed(Box::new(review))),
        })
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
            policy: IssuancePolicy::default(),
        }
    }

    /// The one ceremony of an issuance, where the issuer binds a second key.
    async fn register(
        &self,
        prepared: &PreparedIssuance,
        keys: &DeviceKeys<'_>,
    ) -> Result<Option<RegistrationResponse>> {
        let Some(options) = &prepared.creation_options else { return Ok(None) };
        let registration = match self.config.authenticator {
            AuthenticatorSource::Embedded => {
                ceremony::register_embedded(options, &self.config.origin, keys, self.random()).await?
            }
            AuthenticatorSource::Passkey => {
                keys.confirmed();
                ceremony::register_passkey(options, self.passkeys()?).await?
            }
        };
        Ok(Some(registration))
    }

    /// Stores what was collected: copies of one batch together. Returns the ids.
    async fn store(
        &self,
        records: &Records,
        collected: &[StoredCredential],
    ) -> Result<Vec<String>, WalletError> {
        let embedded = self.config.authenticator == AuthenticatorSource::Embedded;
        let (mut batch, mut ids) = (Batch::new(), Vec::new());
        for copies in batches(collected) {
            let Some(first) = copies.first() else { continue };
            let id = first.id.clone();
            let logo = match &first.display.logo {
                Some(reference) => self.fetch_logo(reference).await,
                None => None,
            };
            let held = Held::new(copies, embedded);
            let summary = held.summary(&id, logo.is_some()).map_err(device)?;
            batch.put(CREDENTIAL, &id, &summary, &held).map_err(device)?;
            if let Some(logo) = logo {
                batch.put(LOGO, &id, &(), &logo).map_err(device)?;
            }
            ids.push(id);
        }
        let replaced = self.replaced(records, collected).await.map_err(device)?;
        for (id, _) in &replaced {
            batch.delete(CREDENTIAL, id);
            batch.delete(LOGO, id);
        }
        let kind = if replaced.is_empty() { ActivityKind::Received } else { ActivityKind::Renewed };
        let entry = received(kind, collected, self.now());
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.commit(records, batch).await?;
        for (_, held) in &replaced {
            self.forget_keys(records, held, false).await;
        }
        Ok(ids)
    }

    /// What was collected anew: credentials without keys, of the same issuer and kind. They served only to be looked at.
    async fn replaced(
        &self,
        records: &Records,
        collected: &[StoredCredential],
    ) -> Result<Vec<(String, Held)>> {
        let mut replaced = Vec::new();
        for (id, summary) in records.list::<Summary>(CREDENTIAL).await?.records {
            let same = |one: &StoredCredential| {
                one.credential_issuer == summary.credential_issuer
                    && one.configuration_id == summary.configuration_id
            };
            if summary.keys_lost && collected.iter().any(same) {
                replaced.extend(records.read(CREDENTIAL, &id).await?.map(|held| (id, held)));
            }
        }
        Ok(replaced)
    }
}

/// Credentials that were issued as copies of one, together.
fn batches(collected: &[StoredCredential]) -> Vec<Vec<StoredCredential>> {
    let mut batches: Vec<Vec<StoredCredential>> = Vec::new();
    for one in collected {
        let same = |batch: &&mut Vec<StoredCredential>| {
            one.batch.is_some() && batch.first().is_some_and(|first| first.batch == one.batch)
        };
        match batches.iter_mut().find(same) {
            Some(batch) => batch.push(one.clone()),
            None => batches.push(vec![one.clone()]),
        }
    }
    batches
}

fn received(kind: ActivityKind, collected: &[StoredCredential], now: crate::clock::UnixTime) -> Activity {
    let first = collected.first();
    let mut names: Vec<String> = collected.iter().map(|one| visible(&one.display.name)).collect();
    names.dedup();
    Activity {
        party: first.map(|one| visible(&one.issuer_name)).unwrap_or_default(),
        party_id: first.map(|one| one.credential_issuer.clone()).unwrap_or_default(),
        trusted: collected.iter().all(|one| one.issuer_trusted),
        ..Activity::own(now, kind, names)
    }
}

impl IssuanceSession {
    /// What is offered.
    pub fn details(&self) -> &OfferDetails {
        &self.details
    }

    /// Accepts the offer: exactly one prompt, whatever the number of credentials, and they are stored.
    ///
    /// After [`WalletError::UserCancelled`] and its kin it can be called again, without the transaction code; after a
    /// wrong transaction code too, with another one.
    ///
    /// # Errors
    /// `session_over`: it was accepted before; [`WalletError::Locked`]; `issuance_invalid_grant`: the transaction code
    /// is wrong, or the offer is used or over; what the platform and the issuer have to say.
    pub async fn accept(
        &self,
        tx_code: Option<&str>,
        prompt: &Prompt,
    ) -> Result<Vec<CredentialSummary>, WalletError> {
        let wallet = &*self.wallet;
        let mut stage = self.stage.lock().await;
        let records = wallet.records()?;
        let identity = wallet.identity(&records).await.map_err(device)?;
        let with_second_key = self.details.credentials.iter().any(|one| one.binds_second_key);
        let keys = wallet.device_keys(with_second_key, Some(prompt.clone()));
        let context = wallet.issuance_context(&identity, &keys);
        if let Stage::Reviewed(review) = &*stage {
            let acceptance = Acceptance { tx_code, copies: wallet.config.copies.max(1) };
            let prepared = issuance::prepare(review, acceptance, &context).await.map_err(issuer)?;
            *stage = Stage::Prepared(Box::new(prepared));
        }
        let Stage::Prepared(prepared) = &*stage else {
            return Err(device(Error::misuse("session_over", "this offer was dealt with")));
        };
        let registration = wallet.register(prepared, &keys).await.map_err(issuer)?;
        let finished = issuance::finish(prepared, registration.as_ref(), &context).await;
        let finished = match finished {
            Ok(finished) => finished,
            Err(error) => {
                if !is_persons(&error) {
                    *stage = Stage::Over;
                }
                return Err(issuer(error));
            }
        };
        *stage = Stage::Over;
        let ids = match wallet.store(&records, &finished.credentials).await {
            Ok(ids) => ids,
            Err(error) => {
                self.tell(&finished, NotificationEvent::CredentialFailure, &context).await;
                return Err(error);
            }
        };
        self.tell(&finished, NotificationEvent::CredentialAccepted, &context).await;
        let mut all = wallet.credentials().await?;
        all.retain(|one| ids.contains(&one.id));
        Ok(all)
    }

    /// The issuer's answer to a notification changes nothing.
    async fn tell(
        &self,
        finished: &FinishedIssuance,
        event: NotificationEvent,
        context: &IssuanceContext<'_>,
    ) {
        if let Err(error) = issuance::notify(finished, event, context).await {
            self.wallet.log(LogLevel::Info, &format!("the issuer takes no notification: {}", error.code()));
        }
    }
}

/// Whether it was the person's or the device's no, so that the same collection can be tried again.
fn is_persons(error: &Error) -> bool {
    matches!(error.code(), "user_cancelled" | "biometry_lockout" | "biometry_not_enrolled")
}
