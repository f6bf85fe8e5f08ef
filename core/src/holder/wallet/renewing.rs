//! Fresh copies of what the wallet holds: before it expires, and when single-use copies are used up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::held::{CREDENTIAL, CredentialSummary, Summary};
use super::issuing::issuer;
use super::platform::Prompt;
use super::storing::Arrival;
use super::unfinished::Collection;
use super::waiting::{PENDING, Waiting};
use super::{Party, Wallet, WalletError, device};
use crate::error::{Error, Result};
use crate::holder::issuance::{self, Acceptance, Renewal};
use crate::protocol::openid4vci::notification::NotificationEvent;
use crate::vault::RecordType;
use crate::vault::records::{Batch, Records};

pub(super) const RENEWAL: RecordType = RecordType::new("renewal");

/// The right to fetch fresh copies of what came in one collection.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Right {
    pub(super) renewal: Renewal,
    /// Whether AK lives in the device's key store.
    pub(super) embedded: bool,
}

impl Right {
    /// The key of its tokens.
    pub(super) fn summary(&self) -> Option<String> {
        self.renewal.token_key().map(str::to_owned)
    }
}

/// What [`Wallet::refresh_due`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefreshReport {
    /// Credentials with fresh copies.
    pub refreshed: Vec<CredentialSummary>,
    /// Credentials that wanted some and got none.
    pub left: Vec<NotRefreshed>,
}

/// A credential without fresh copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRefreshed {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Why. `refresh_unavailable` and `refresh_ended`: a new offer of the issuer is needed; `refresh_prompt`: the person
    /// has to confirm, by [`Wallet::refresh`].
    pub reason: WalletError,
}

impl Wallet {
    /// Fetches fresh copies of a credential, and of what else came with it and wants some, by the right that the issuer
    /// gave with it. The person is asked once where the credential has no second key, and otherwise not at all.
    ///
    /// # Errors
    /// `refresh_unavailable`: the issuer gave no such right, so that a new offer is needed; `refresh_ended`: it has ended;
    /// [`WalletError::ReenrolmentNeeded`]: the keys are gone, so that the issuer must look at the person again;
    /// `credential_unknown`; [`WalletError::Locked`]; what the platform and the issuer have to say.
    pub async fn refresh(
        self: &Arc<Self>,
        id: &str,
        prompt: &Prompt,
    ) -> Result<Vec<CredentialSummary>, WalletError> {
        let records = self.records()?;
        let held = self.held(&records, id).await?;
        if held.keys_lost {
            let reason = "collect the credential again from its issuer".to_owned();
            return Err(WalletError::ReenrolmentNeeded { reason });
        }
        let right = held.renewal.ok_or_else(unavailable)?;
        let mut wanted: Vec<String> = self.due(&records, Some(&right)).await?;
        if !wanted.iter().any(|one| one == id) {
            wanted.push(id.to_owned());
        }
        let ids = Box::pin(self.renew(&records, &right, &wanted, Some(prompt))).await?;
        let mut all = self.credentials().await?;
        all.retain(|one| ids.contains(&one.id));
        Ok(all)
    }

    /// Fetches fresh copies of everything that expires soon, has expired or has no copy left. Without a `prompt` nobody is
    /// asked: what needs a confirmation is left. To be called when the wallet was unlocked, and after a presentation that
    /// used up the last copy.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage. What an issuer says stands in the report.
    pub async fn refresh_due(
        self: &Arc<Self>,
        prompt: Option<&Prompt>,
    ) -> Result<RefreshReport, WalletError> {
        let records = self.records()?;
        let due = self.due(&records, None).await?;
        let (mut ids, mut report) = (Vec::new(), RefreshReport::default());
        let mut by_right: Vec<(String, Vec<String>)> = Vec::new();
        for id in due {
            match self.held(&records, &id).await?.renewal {
                None => report.left.push(NotRefreshed { credential_id: id, reason: unavailable() }),
                Some(right) => match by_right.iter_mut().find(|(known, _)| *known == right) {
                    Some((_, wanted)) => wanted.push(id),
                    None => by_right.push((right, vec![id])),
                },
            }
        }
        for (right, wanted) in by_right {
            match Box::pin(self.renew(&records, &right, &wanted, prompt)).await {
                Ok(renewed) => ids.extend(renewed),
                Err(WalletError::Locked) => return Err(WalletError::Locked),
                Err(reason) => report.left.extend(
                    wanted
                        .into_iter()
                        .map(|credential_id| NotRefreshed { credential_id, reason: reason.clone() }),
                ),
            }
        }
        report.refreshed = self.credentials().await?;
        report.refreshed.retain(|one| ids.contains(&one.id));
        Ok(report)
    }

    /// What wants fresh copies: of one right, or all.
    async fn due(&self, records: &Records, right: Option<&str>) -> Result<Vec<String>, WalletError> {
        let now = self.now();
        let listed = records.list::<Summary>(CREDENTIAL).await.map_err(device)?.records;
        let wants = |summary: &Summary| {
            let of_right = right.is_none_or(|right| summary.renewal.as_deref() == Some(right));
            of_right && summary.is_due(now)
        };
        Ok(listed.into_iter().filter(|(_, summary)| wants(summary)).map(|(id, _)| id).collect())
    }

    /// Fetches fresh copies of `wanted` under one right. Returns the ids of what came.
    async fn renew(
        self: &Arc<Self>,
        records: &Records,
        id: &str,
        wanted: &[String],
        prompt: Option<&Prompt>,
    ) -> Result<Vec<String>, WalletError> {
        // A refresh token counts once.
        let _one = self.renewing.lock().await;
        let right: Option<Right> = records.read(RENEWAL, id).await.map_err(device)?;
        let right = right.ok_or_else(unavailable)?;
        let mut renewal = right.renewal.clone();
        let mut kinds = Vec::new();
        for id in wanted {
            let held = self.held(records, id).await?;
            kinds.extend(held.front().map(|front| front.configuration_id.clone()));
        }
        renewal.review.credentials.retain(|one| kinds.contains(&one.configuration_id));
        if renewal.review.credentials.is_empty() {
            return Err(unavailable());
        }
        if !renewal.is_enrolled() && prompt.is_none() {
            let error = Error::refused("refresh_prompt", "the person has to confirm");
            return Err(WalletError::of(Party::Person, error));
        }
        let identity = self.identity(records).await.map_err(device)?;
        // Where fresh copies are bound to the second key that is there, nobody is asked.
        let asks = prompt.filter(|_| !renewal.is_enrolled());
        let keys = self.device_keys(renewal.is_enrolled(), asks.cloned());
        let context = self.issuance_context(&identity, &keys);
        let acceptance = Acceptance { tx_code: None, copies: self.config.copies.max(1) };
        let prepared = match Box::pin(issuance::renew(&renewal, acceptance, &context)).await {
            Ok(prepared) => prepared,
            Err(error) if error.code() == "issuance_invalid_grant" => {
                self.end_right(records, id).await?;
                return Err(ended());
            }
            Err(error) => return Err(issuer(error)),
        };
        // The old refresh token is worth nothing now: the new one is kept before anything else.
        let next = |mut renewal: Renewal| {
            renewal.review = right.renewal.review.clone();
            Right { renewal, embedded: right.embedded }
        };
        let collection = Collection::begin(self);
        let mut batch = Batch::new();
        if let Some(right) = prepared.renewal().map(next) {
            batch.put(RENEWAL, id, &right.summary(), &right).map_err(device)?;
        }
        collection.note(&mut batch, &prepared, false).map_err(device)?;
        self.commit(records, batch).await?;
        let collected = async {
            let registration = Box::pin(self.register(&prepared, &collection.credential_id, &keys)).await?;
            Box::pin(issuance::finish(&prepared, registration.as_ref(), &context)).await
        };
        let finished = match collected.await {
            Ok(finished) => finished,
            Err(error) => {
                collection.give_up(records).await;
                return Err(issuer(error));
            }
        };
        let arrival = Arrival {
            finished: &finished,
            collection: Some(&collection),
            embedded: right.embedded,
            right: Some((id.to_owned(), finished.renewal().cloned().map(next))),
            renews: true,
            waited: None,
        };
        let stored = Box::pin(self.store(records, arrival)).await;
        let event = match &stored {
            Ok(_) => NotificationEvent::CredentialAccepted,
            Err(_) => NotificationEvent::CredentialFailure,
        };
        self.tell(&finished, event, &context).await;
        if stored.is_err() {
            collection.give_up(records).await;
        }
        Ok(stored?.ids)
    }

    /// The issuer has ended the right: its credentials say so from now on.
    async fn end_right(&self, records: &Records, id: &str) -> Result<(), WalletError> {
        for (credential, summary) in records.list::<Summary>(CREDENTIAL).await.map_err(device)?.records {
            if summary.renewal.as_deref() == Some(id) {
                let mut held = self.held(records, &credential).await?;
                held.renewal = None;
                let mut batch = Batch::new();
                self.put_held(records, &mut batch, &credential, &held).await.map_err(device)?;
                self.commit(records, batch).await?;
            }
        }
        self.release_right(records, Some(id)).await
    }

    /// Forgets a right that nothing needs any more.
    pub(super) async fn release_right(&self, records: &Records, id: Option<&str>) -> Result<(), WalletError> {
        let Some(id) = id else { return Ok(()) };
        let held = records.list::<Summary>(CREDENTIAL).await.map_err(device)?.records;
        let pending = records.list::<Waiting>(PENDING).await.map_err(device)?.records;
        let used = held.iter().any(|(_, one)| one.renewal.as_deref() == Some(id))
            || pending.iter().any(|(_, one)| one.right.as_deref() == Some(id));
        if used {
            return Ok(());
        }
        let key: Option<Option<String>> = records.summary(RENEWAL, id).await.map_err(device)?;
        let mut batch = Batch::new();
        batch.delete(RENEWAL, id);
        self.commit(records, batch).await?;
        self.release_token_key(records, key.flatten().as_deref()).await
    }

    /// Forgets the key of tokens that nothing needs any more.
    pub(super) async fn release_token_key(
        &self,
        records: &Records,
        alias: Option<&str>,
    ) -> Result<(), WalletError> {
        let Some(alias) = alias else { return Ok(()) };
        let rights = records.list::<Option<String>>(RENEWAL).await.map_err(device)?.records;
        let pending = records.list::<Waiting>(PENDING).await.map_err(device)?.records;
        let used = rights.iter().any(|(_, key)| key.as_deref() == Some(alias))
            || pending.iter().any(|(_, one)| one.token_key.as_deref() == Some(alias));
        if !used {
            self.forget_key(alias).await;
        }
        Ok(())
    }
}

fn unavailable() -> WalletError {
    let detail = "the issuer gave no right to fetch fresh copies: a new offer is needed";
    WalletError::of(Party::Issuer, Error::refused("refresh_unavailable", detail))
}

fn ended() -> WalletError {
    let detail = "the right to fetch fresh copies has ended: a new offer is needed";
    WalletError::of(Party::Issuer, Error::refused("refresh_ended", detail))
}
