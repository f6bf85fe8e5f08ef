//! What was collected goes into the vault: new credentials, fresh copies of what is there, and what is still to come.

use super::activity::{self, Activity, ActivityKind};
use super::held::{CREDENTIAL, Held, LOGO, Summary};
use super::renewing::{RENEWAL, Right};
use super::unfinished::Collection;
use super::waiting::{Deferred, PENDING, Waiting};
use super::{Wallet, WalletError, ceremony, device, words};
use crate::binding::transaction::visible;
use crate::error::Result;
use crate::holder::StoredCredential;
use crate::holder::issuance::FinishedIssuance;
use crate::vault::records::{Batch, Records};

/// What an issuer gave, and what belongs to it.
pub(super) struct Arrival<'a> {
    pub(super) finished: &'a FinishedIssuance,
    /// The collection that ends with it.
    pub(super) collection: Option<&'a Collection>,
    /// Whether AK lives in the device's key store.
    pub(super) embedded: bool,
    /// Under which right fresh copies can be fetched, and what it is from now on.
    pub(super) right: Option<(String, Option<Right>)>,
    /// Whether these are fresh copies of what came under that right.
    pub(super) renews: bool,
    /// What had been waiting for it.
    pub(super) waited: Option<&'a str>,
}

/// What was stored.
#[derive(Default)]
pub(super) struct Stored {
    /// Ids of credentials.
    pub(super) ids: Vec<String>,
    /// Ids of what is still to come.
    pub(super) waiting: Vec<String>,
}

impl Wallet {
    /// Stores what was collected, in one commit: copies of one batch together, fresh copies in place of the old ones.
    pub(super) async fn store(&self, records: &Records, arrival: Arrival<'_>) -> Result<Stored, WalletError> {
        let Arrival { finished, collection, embedded, right, renews, waited } = arrival;
        let collected = &finished.credentials;
        let right_id = right.as_ref().map(|(id, _)| id.clone());
        let (mut batch, mut stored, mut unneeded) = (Batch::new(), Stored::default(), Vec::new());
        let old = right_id.as_deref().filter(|_| renews);
        let mut renewable = self.under_right(records, old).await.map_err(device)?;
        for copies in batches(collected) {
            let Some(first) = copies.first() else { continue };
            let (id, held, logo) = match take_renewed(&mut renewable, &copies) {
                Some((id, old)) => {
                    unneeded.extend(old.copies.iter().map(|copy| copy.hk_alias.clone()));
                    let had: Option<Summary> = records.summary(CREDENTIAL, &id).await.map_err(device)?;
                    let held = Held::new(copies, old.embedded, old.renewal);
                    let summary = held.summary(&id, had.is_some_and(|had| had.has_logo));
                    batch.put(CREDENTIAL, &id, &summary.map_err(device)?, &held).map_err(device)?;
                    stored.ids.push(id);
                    continue;
                }
                None => {
                    let logo = match &first.display.logo {
                        Some(reference) => self.fetch_logo(reference).await,
                        None => None,
                    };
                    (first.id.clone(), Held::new(copies, embedded, right_id.clone()), logo)
                }
            };
            let summary = held.summary(&id, logo.is_some()).map_err(device)?;
            batch.put(CREDENTIAL, &id, &summary, &held).map_err(device)?;
            if let Some(logo) = logo {
                batch.put(LOGO, &id, &(), &logo).map_err(device)?;
            }
            stored.ids.push(id);
        }
        for pending in &finished.pending {
            let id = self.random().token(16);
            let deferred = Deferred::new(pending, right_id.clone(), renews, embedded, self.now());
            batch.put(PENDING, &id, &Waiting::of(&deferred), &deferred).map_err(device)?;
            stored.waiting.push(id);
        }
        if let Some((id, Some(right))) = &right {
            batch.put(RENEWAL, id, &right.summary(), right).map_err(device)?;
        }
        if let Some(waited) = waited {
            batch.delete(PENDING, waited);
        }
        if let Some(collection) = collection {
            collection.end(&mut batch);
        }
        let replaced = self.replaced(records, collected).await.map_err(device)?;
        for (id, _) in &replaced {
            batch.delete(CREDENTIAL, id);
            batch.delete(LOGO, id);
        }
        if !collected.is_empty() {
            let kind =
                if renews || !replaced.is_empty() { ActivityKind::Renewed } else { ActivityKind::Received };
            let entry = received(kind, collected, self.now());
            activity::note(records, &mut batch, &entry).await.map_err(device)?;
        }
        self.commit(records, batch).await?;
        for alias in unneeded {
            self.forget_key(&alias).await;
        }
        if let Some(collection) = collection {
            self.forget_unbound(finished, collection).await;
        }
        for (_, held) in &replaced {
            self.forget_keys(records, held, false).await;
            self.release_right(records, held.renewal.as_deref()).await?;
        }
        Ok(stored)
    }

    /// The key of the ceremony is of no use where the issuer bound it into nothing.
    async fn forget_unbound(&self, finished: &FinishedIssuance, collection: &Collection) {
        let alias = ceremony::alias_of(&collection.credential_id);
        let bound = finished.credentials.iter().filter_map(super::ak_id);
        let mut used = bound.chain(finished.pending.iter().flat_map(|pending| pending.authenticators()));
        if !used.any(|id| ceremony::alias(id) == alias) {
            self.forget_key(&alias).await;
        }
    }

    /// The credentials of which fresh copies come under that right.
    async fn under_right(&self, records: &Records, right: Option<&str>) -> Result<Vec<(String, Held)>> {
        let Some(right) = right else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (id, summary) in records.list::<Summary>(CREDENTIAL).await?.records {
            if summary.renewal.as_deref() == Some(right) {
                found.extend(records.read(CREDENTIAL, &id).await?.map(|held| (id, held)));
            }
        }
        Ok(found)
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

/// The credential that these are fresh copies of. Of several of one configuration, the one that says the same.
fn take_renewed(held: &mut Vec<(String, Held)>, copies: &[StoredCredential]) -> Option<(String, Held)> {
    let first = copies.first()?;
    let of_kind = |one: &(String, Held)| {
        !one.1.keys_lost
            && one.1.front().is_some_and(|front| front.configuration_id == first.configuration_id)
    };
    let same = |one: &(String, Held)| {
        let claims = |copy| words::claims_of(copy).ok();
        one.1.front().and_then(claims).is_some_and(|own| Some(own) == claims(first))
    };
    let at =
        held.iter().position(|one| of_kind(one) && same(one)).or_else(|| held.iter().position(of_kind))?;
    Some(held.swap_remove(at))
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
