//! Credentials that an issuer gives later: they wait in the vault, also when the app is not running.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::activity::{self, Activity, ActivityKind};
use super::held::CredentialSummary;
use super::issuing::issuer;
use super::platform::LogLevel;
use super::storing::Arrival;
use super::{Wallet, WalletError, ceremony, device};
use crate::binding::transaction::visible;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::holder::issuance::{self, Pending, Resumed};
use crate::protocol::openid4vci::notification::NotificationEvent;
use crate::vault::RecordType;
use crate::vault::records::{Batch, Records};

pub(super) const PENDING: RecordType = RecordType::new("pending");

/// What is to come, and what it takes to ask for it.
#[derive(Serialize, Deserialize)]
pub(super) struct Deferred {
    pending: Pending,
    /// Under which fresh copies can be fetched later.
    right: Option<String>,
    /// Whether it will be a fresh copy of what came under that right.
    renews: bool,
    embedded: bool,
    since: UnixTime,
    ask_at: UnixTime,
}

/// What lists show of it, and which keys it needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) right: Option<String>,
    pub(super) token_key: Option<String>,
    name: String,
    issuer_name: String,
    credential_issuer: String,
    since: UnixTime,
    ask_at: UnixTime,
}

impl Deferred {
    pub(super) fn new(
        pending: &Pending,
        right: Option<String>,
        renews: bool,
        embedded: bool,
        now: UnixTime,
    ) -> Self {
        let ask_at = now.plus(pending.interval);
        Self { pending: pending.clone(), right, renews, embedded, since: now, ask_at }
    }
}

impl Waiting {
    pub(super) fn of(deferred: &Deferred) -> Self {
        let review = &deferred.pending.review;
        Self {
            right: deferred.right.clone(),
            token_key: deferred.pending.token_key().map(str::to_owned),
            name: visible(&deferred.pending.offered().display.name),
            issuer_name: visible(&review.issuer_name),
            credential_issuer: review.credential_issuer.clone(),
            since: deferred.since,
            ask_at: deferred.ask_at,
        }
    }
}

/// A credential that comes later. All texts are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCredential {
    /// The wallet's identifier of it.
    pub id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// The issuer's name, as it says itself.
    pub issuer_name: String,
    /// Where it was asked for.
    pub credential_issuer: String,
    /// Since when it waits.
    pub since: UnixTime,
    /// Before this time the issuer does not want to be asked again.
    pub ask_at: UnixTime,
}

impl PendingCredential {
    fn new(id: String, waiting: Waiting) -> Self {
        let Waiting { name, issuer_name, credential_issuer, since, ask_at, .. } = waiting;
        Self { id, name, issuer_name, credential_issuer, since, ask_at }
    }
}

/// What [`Wallet::check_pending`] learned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingReport {
    /// What came, and is in the wallet now.
    pub arrived: Vec<CredentialSummary>,
    /// What still waits.
    pub waiting: Vec<PendingCredential>,
    /// What will not come; it waits no more.
    pub refused: Vec<RefusedCredential>,
}

/// A credential that the issuer does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCredential {
    /// What it was.
    pub credential: PendingCredential,
    /// What the issuer says.
    pub reason: WalletError,
}

impl Wallet {
    /// What is still to come, longest waiting first.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn pending(&self) -> Result<Vec<PendingCredential>, WalletError> {
        let listed = self.records()?.list::<Waiting>(PENDING).await.map_err(device)?.records;
        let mut all: Vec<_> =
            listed.into_iter().map(|(id, waiting)| PendingCredential::new(id, waiting)).collect();
        all.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
        Ok(all)
    }

    /// Asks the issuers for what is still to come, each when its time has come. Nobody is prompted: the person agreed when
    /// the offer was accepted. An issuer that does not answer is asked again next time.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage. What an issuer says stands in the report.
    pub async fn check_pending(self: &Arc<Self>) -> Result<PendingReport, WalletError> {
        let _one = self.renewing.lock().await;
        let records = self.records()?;
        let (mut ids, mut report) = (Vec::new(), PendingReport::default());
        for waiting in self.pending().await? {
            if self.now() < waiting.ask_at {
                continue;
            }
            match Box::pin(self.ask(&records, &waiting.id)).await {
                Ok(arrived) => ids.extend(arrived),
                Err(WalletError::Locked) => return Err(WalletError::Locked),
                Err(error @ WalletError::Storage { .. }) => return Err(error),
                Err(WalletError::Network { code, .. }) => {
                    self.log(LogLevel::Info, &format!("an issuer does not answer: {code}"));
                }
                Err(reason) => {
                    self.give_up_pending(&records, &waiting.id).await?;
                    report.refused.push(RefusedCredential { credential: waiting, reason });
                }
            }
        }
        report.arrived = self.credentials().await?;
        report.arrived.retain(|one| ids.contains(&one.id));
        report.waiting = self.pending().await?;
        Ok(report)
    }

    /// Waits no more for a credential. The issuer is not told.
    ///
    /// # Errors
    /// `credential_unknown`: nothing waits under that id; [`WalletError::Locked`]; of the storage.
    pub async fn cancel_pending(&self, id: &str) -> Result<(), WalletError> {
        let _one = self.renewing.lock().await;
        let records = self.records()?;
        self.give_up_pending(&records, id).await
    }

    async fn ask(&self, records: &Records, id: &str) -> Result<Vec<String>, WalletError> {
        let mut deferred = self.deferred(records, id).await?;
        let identity = self.identity(records).await.map_err(device)?;
        let keys = self.device_keys(true, None);
        let context = self.issuance_context(&identity, &keys);
        let finished = match Box::pin(issuance::resume(&deferred.pending, &context)).await.map_err(issuer)? {
            Resumed::Finished(finished) => finished,
            Resumed::Later(interval) => {
                deferred.ask_at = self.now().plus(interval);
                let mut batch = Batch::new();
                batch.put(PENDING, id, &Waiting::of(&deferred), &deferred).map_err(device)?;
                self.commit(records, batch).await?;
                return Ok(Vec::new());
            }
        };
        let arrival = Arrival {
            finished: &finished,
            collection: None,
            embedded: deferred.embedded,
            right: deferred.right.map(|right| (right, None)),
            renews: deferred.renews,
            waited: Some(id),
        };
        let stored = Box::pin(self.store(records, arrival)).await?;
        self.tell(&finished, NotificationEvent::CredentialAccepted, &context).await;
        self.release_token_key(records, finished.token_key()).await?;
        Ok(stored.ids)
    }

    async fn deferred(&self, records: &Records, id: &str) -> Result<Deferred, WalletError> {
        let deferred = records.read(PENDING, id).await.map_err(device)?;
        deferred.ok_or_else(|| {
            device(Error::misuse("credential_unknown", "no credential of that id is expected"))
        })
    }

    async fn give_up_pending(&self, records: &Records, id: &str) -> Result<(), WalletError> {
        let deferred = self.deferred(records, id).await?;
        let mut batch = Batch::new();
        batch.delete(PENDING, id);
        let names = vec![visible(&deferred.pending.offered().display.name)];
        let entry = Activity {
            party: visible(&deferred.pending.review.issuer_name),
            party_id: deferred.pending.review.credential_issuer.clone(),
            ..Activity::own(self.now(), ActivityKind::NotIssued, names)
        };
        activity::note(records, &mut batch, &entry).await.map_err(device)?;
        self.commit(records, batch).await?;
        self.forget_deferred(records, &deferred).await;
        self.release_right(records, deferred.right.as_deref()).await?;
        self.release_token_key(records, deferred.pending.token_key()).await
    }

    /// Forgets its keys, as far as no credential has the same.
    async fn forget_deferred(&self, records: &Records, deferred: &Deferred) {
        for alias in deferred.pending.holder_keys() {
            self.forget_key(alias).await;
        }
        if !deferred.embedded {
            return;
        }
        let others = self.all_held(records).await.unwrap_or_default();
        let used: Vec<&str> =
            others.iter().flat_map(|(_, held)| &held.copies).filter_map(super::ak_id).collect();
        let still = self.all_deferred(records).await;
        let awaited: Vec<&str> = still.iter().flat_map(|one| one.pending.authenticators()).collect();
        for id in deferred.pending.authenticators() {
            if !used.contains(&id) && !awaited.contains(&id) {
                self.forget_key(&ceremony::alias(id)).await;
            }
        }
    }

    async fn all_deferred(&self, records: &Records) -> Vec<Deferred> {
        let mut all = Vec::new();
        let Ok(listed) = records.list::<Waiting>(PENDING).await else { return all };
        for (id, _) in listed.records {
            if let Ok(Some(deferred)) = records.read(PENDING, &id).await {
                all.push(deferred);
            }
        }
        all
    }

    /// WebAuthn credential ids of keys that something to come will be bound to.
    pub(super) async fn awaited_authenticators(&self, records: &Records) -> Vec<String> {
        let all = self.all_deferred(records).await;
        all.iter().flat_map(|one| one.pending.authenticators()).map(str::to_owned).collect()
    }

    /// Forgets everything that is still to come: the wallet is erased.
    pub(super) async fn forget_all_pending(&self, records: &Records) {
        for deferred in self.all_deferred(records).await {
            for alias in deferred.pending.holder_keys().chain(deferred.pending.token_key()) {
                self.forget_key(alias).await;
            }
            for id in deferred.pending.authenticators().filter(|_| deferred.embedded) {
                self.forget_key(&ceremony::alias(id)).await;
            }
        }
    }
}
