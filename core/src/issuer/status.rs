//! Status of issued credentials: a random entry of a Token Status List at issuance, changes by the desk, and the signed
//! list for everybody.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Issuer;
use super::offer::bounded_key;
use super::records::{
    CREDENTIALS, CURRENT, CredentialRecord, CredentialStatus, CredentialSummary, GRANTS, OFFERS, OfferRecord,
    STATUS_CURRENT, STATUS_ENTRIES, STATUS_LISTS,
};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::format::data_integrity::{Contexts, Cryptosuite, ProofOptions, ProofPurpose, add_proof};
use crate::format::w3c::issue::Security;
use crate::status::bitstring_status_list::{
    Bitstring, ListCredentialInput, MIN_ENTRIES, StatusPurpose, StatusSize, list_credential,
};
use crate::status::token_status_list::{self, EntryBits, Status, StatusList, StatusListTokenInput};
use crate::store::{CommitError, Expect, Record, Write, put_json, read_json, scan_json};

/// Random entries that are tried before the next list is opened: with a list half full, 12 in a row are taken once in
/// 4096 issuances, so lists fill to little more than half and an index says nothing about the order of issuance.
const TRIES: usize = 12;

/// What the desk wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusChange {
    /// For ever.
    Revoke,
    /// Until reinstated.
    Suspend,
    /// Ends a suspension.
    Reinstate,
}

/// The status lists as they were signed last.
#[derive(Default)]
pub(super) struct Published(Mutex<BTreeMap<(u64, &'static str), SignedList>>);

/// Names of what is signed about one list: the token, and the bitstrings by their purposes.
const TOKEN: &str = "token";
const REVOCATION: &str = "revocation";
const SUSPENSION: &str = "suspension";

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Published")
    }
}

#[derive(Clone)]
struct SignedList {
    version: u64,
    signed_at: UnixTime,
    token: Arc<str>,
}

/// A free entry of a status list, and the writes that take it.
pub(super) struct Allocation {
    pub(super) list: u64,
    pub(super) index: u64,
    pub(super) writes: Vec<Write>,
}

fn list_key(list: u64) -> [u8; 8] {
    list.to_be_bytes()
}

fn entry_key(list: u64, index: u64) -> Vec<u8> {
    [list.to_be_bytes(), index.to_be_bytes()].concat()
}

impl Issuer {
    /// The URL of status list number `list`.
    pub(super) fn status_list_uri(&self, list: u64) -> String {
        format!("{}/status/{list}", self.settings.identifier)
    }

    /// Looks for `count` random unused entries. They are taken by the writes of the same commit as the credentials.
    pub(super) async fn allocate_statuses(&self, count: usize) -> Result<Vec<Allocation>> {
        let (mut all, mut taken) = (Vec::new(), BTreeSet::new());
        while all.len() < count {
            let allocation = self.allocate_status(&taken).await?;
            taken.insert((allocation.list, allocation.index));
            all.push(allocation);
        }
        Ok(all)
    }

    async fn allocate_status(&self, taken: &BTreeSet<(u64, u64)>) -> Result<Allocation> {
        loop {
            let current = read_json::<u64>(self.store(), STATUS_CURRENT, CURRENT).await?;
            let list = current.as_ref().map_or(0, |stored| stored.value);
            for _ in 0..TRIES {
                let index = self.random_index();
                let key = entry_key(list, index);
                let free = !taken.contains(&(list, index));
                if free && self.store.read(STATUS_ENTRIES, &key).await?.is_none() {
                    let writes = vec![Write::put(STATUS_ENTRIES, key, Expect::Absent, Vec::new(), None)];
                    return Ok(Allocation { list, index, writes });
                }
            }
            let expect = current.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
            let next = list.saturating_add(1);
            match put_json(self.store(), STATUS_CURRENT, CURRENT, expect, &next, None).await {
                // On a conflict somebody else has opened it.
                Ok(()) | Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
    }

    /// Uniform to one part in 2^40: an index is no secret, only unrelated to the order of issuance.
    fn random_index(&self) -> u64 {
        let entries = u64::try_from(self.settings.status_list_entries).unwrap_or(u64::MAX).max(1);
        u64::from_be_bytes(self.random.array()) % entries
    }

    async fn status_list(&self, list: u64) -> Result<(StatusList, Option<Record>)> {
        let record = self.store.read(STATUS_LISTS, &list_key(list)).await?;
        let bits = match &record {
            Some(record) => StatusList::from_bytes(EntryBits::Two, record.value.clone()),
            None => StatusList::new(EntryBits::Two, self.settings.status_list_entries),
        };
        Ok((bits, record))
    }

    /// Changes the status of a credential; `None` when there is no such credential. Asking for the status that it has
    /// already is no error.
    ///
    /// # Errors
    /// `credential_revoked`: revoked is final. When the store fails.
    pub async fn change_status(&self, id: &str, change: StatusChange) -> Result<Option<CredentialSummary>> {
        loop {
            let Some(stored) =
                read_json::<CredentialRecord>(self.store(), CREDENTIALS, bounded_key(id)).await?
            else {
                return Ok(None);
            };
            let mut record = stored.value;
            let (to, bits) = match change {
                StatusChange::Revoke => (CredentialStatus::Revoked, Status::Revoked),
                StatusChange::Suspend => (CredentialStatus::Suspended, Status::Suspended),
                StatusChange::Reinstate => (CredentialStatus::Valid, Status::Valid),
            };
            if record.summary.status == to {
                return Ok(Some(record.summary));
            }
            if record.summary.status == CredentialStatus::Revoked {
                return Err(Error::refused(
                    "credential_revoked",
                    "the credential is revoked, and that is final",
                ));
            }
            record.summary.status = to;
            record.summary.status_changed_at = Some(self.now());
            let (mut list, before) = self.status_list(record.list).await?;
            list.set(record.index, bits)?;
            let expect = before.map_or(Expect::Absent, |before| Expect::Version(before.version));
            let mut writes = vec![
                Write::put_json(
                    CREDENTIALS,
                    id,
                    Expect::Version(stored.version),
                    &record,
                    stored.expires_at,
                )?,
                Write::put(STATUS_LISTS, list_key(record.list), expect, list.as_bytes(), None),
            ];
            // A revoked credential is not issued anew by refreshing.
            if change == StatusChange::Revoke && !record.grant.is_empty() {
                writes.push(Write::delete(GRANTS, record.grant.as_bytes(), Expect::Any));
            }
            match self.store.commit(writes).await {
                Ok(()) => return Ok(Some(record.summary)),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(error),
            }
        }
    }

    /// The writes that revoke what the offer `earlier` gave of one kind.
    pub(super) async fn revoke_earlier(&self, earlier: &str, configuration_id: &str) -> Result<Vec<Write>> {
        let Some(offer) = read_json::<OfferRecord>(self.store(), OFFERS, bounded_key(earlier)).await? else {
            return Ok(Vec::new());
        };
        let mut writes = Vec::new();
        let mut lists: BTreeMap<u64, (StatusList, Option<Record>)> = BTreeMap::new();
        for id in &offer.value.credentials {
            let stored = read_json::<CredentialRecord>(self.store(), CREDENTIALS, bounded_key(id)).await?;
            let Some(stored) = stored else { continue };
            let mut record = stored.value;
            let summary = &mut record.summary;
            if summary.configuration_id != configuration_id || summary.status == CredentialStatus::Revoked {
                continue;
            }
            summary.status = CredentialStatus::Revoked;
            summary.status_changed_at = Some(self.now());
            if !record.grant.is_empty() {
                writes.push(Write::delete(GRANTS, record.grant.as_bytes(), Expect::Any));
            }
            let (list, index) = (record.list, record.index);
            let list = match lists.entry(list) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.status_list(list).await?),
            };
            list.0.set(index, Status::Revoked)?;
            let expect = Expect::Version(stored.version);
            writes.push(Write::put_json(CREDENTIALS, id.as_str(), expect, &record, stored.expires_at)?);
        }
        for (number, (list, before)) in lists {
            let expect = before.map_or(Expect::Absent, |before| Expect::Version(before.version));
            writes.push(Write::put(STATUS_LISTS, list_key(number), expect, list.as_bytes(), None));
        }
        Ok(writes)
    }

    /// The signed status list number `list`, a `statuslist+jwt`; `None` when no credential points at it. It is signed
    /// anew when a status changed, and when the copy at hand is older than its `ttl`.
    ///
    /// # Errors
    /// When the store or the signer fails.
    pub async fn status_list_token(&self, list: u64) -> Result<Option<Arc<str>>> {
        let Some((bits, version)) = self.existing_list(list).await? else { return Ok(None) };
        if let Some(signed) = self.signed(list, TOKEN, version) {
            return Ok(Some(signed));
        }
        let now = self.now();
        let input = StatusListTokenInput {
            uri: &self.status_list_uri(list),
            issued_at: now,
            expires_at: Some(now.plus(self.settings.status_lifetime)),
            ttl: u64::try_from(self.settings.status_ttl).ok(),
            issuer: Some(&self.key.iss),
            aggregation_uri: None,
        };
        let token = token_status_list::sign(
            &bits,
            &input,
            super::header_members(self.key_header()),
            &*self.key.signer,
        )?;
        Ok(Some(self.keep(list, TOKEN, version, token.into())))
    }

    /// Status list number `list` for W3C credentials: a BitstringStatusListCredential for one purpose, secured by the
    /// Data Integrity proof of this issuer's key. The entries are those of the token status list, so that one change of
    /// status shows in both. `None` when no credential points at it, or for another purpose than `revocation` and
    /// `suspension`.
    ///
    /// # Errors
    /// When the store or the signer fails.
    pub async fn bitstring_status_list(&self, list: u64, purpose: &str) -> Result<Option<Arc<str>>> {
        let (name, wanted) = match purpose {
            REVOCATION => (REVOCATION, Status::Revoked),
            SUSPENSION => (SUSPENSION, Status::Suspended),
            _ => return Ok(None),
        };
        let Some((statuses, version)) = self.existing_list(list).await? else { return Ok(None) };
        if let Some(signed) = self.signed(list, name, version) {
            return Ok(Some(signed));
        }
        let purpose = StatusPurpose::from(name);
        let entries = u64::try_from(self.settings.status_list_entries).unwrap_or(u64::MAX);
        let mut bits = Bitstring::new(entries.max(MIN_ENTRIES), StatusSize::ONE)?;
        for index in 0..entries {
            if statuses.get(index)? == wanted {
                bits.set(index, StatusSize::ONE, 1)?;
            }
        }
        let (now, method) = (self.now(), self.verification_method()?);
        let (uri, issuer) = (self.bitstring_uri(list, &purpose), method.did().to_string());
        let mut credential = list_credential(
            &ListCredentialInput {
                id: &uri,
                issuer: &issuer,
                purposes: &[purpose],
                valid_from: now.plus(-self.settings.skew),
                valid_until: Some(now.plus(self.settings.status_lifetime)),
                ttl_secs: u32::try_from(self.settings.status_ttl).ok(),
            },
            &bits,
        )?;
        let signer = &*self.key.signer;
        let suite = Security::DataIntegrity.algorithm_name(signer.public_key().algorithm());
        let mut options =
            ProofOptions::new(Cryptosuite::parse(suite)?, method, ProofPurpose::AssertionMethod);
        options.created = Some(now);
        add_proof(&mut credential, &options, signer, Contexts::shared()?)?;
        Ok(Some(self.keep(list, name, version, credential.to_string().into())))
    }

    /// A list that credentials may point at, and its version.
    async fn existing_list(&self, list: u64) -> Result<Option<(StatusList, u64)>> {
        let current =
            read_json::<u64>(self.store(), STATUS_CURRENT, CURRENT).await?.map_or(0, |stored| stored.value);
        if list > current {
            return Ok(None);
        }
        let (bits, record) = self.status_list(list).await?;
        Ok(Some((bits, record.map_or(0, |record| record.version))))
    }

    /// What was signed last, while it is good: nothing changed, and it is younger than its `ttl`.
    fn signed(&self, list: u64, name: &'static str, version: u64) -> Option<Arc<str>> {
        let published = self.published.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |signed: &&SignedList| {
            (0..self.settings.status_ttl).contains(&self.now().since(signed.signed_at))
        };
        let signed = published.get(&(list, name)).filter(|signed| signed.version == version).filter(young)?;
        Some(Arc::clone(&signed.token))
    }

    fn keep(&self, list: u64, name: &'static str, version: u64, token: Arc<str>) -> Arc<str> {
        let signed = SignedList { version, signed_at: self.now(), token: Arc::clone(&token) };
        self.published.0.lock().unwrap_or_else(PoisonError::into_inner).insert((list, name), signed);
        token
    }

    /// What is kept about a credential.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn credential(&self, id: &str) -> Result<Option<CredentialSummary>> {
        let stored = read_json::<CredentialRecord>(self.store(), CREDENTIALS, bounded_key(id)).await?;
        Ok(stored.map(|stored| stored.value.summary))
    }

    /// Up to `limit` credentials after the one named `after`, in the order of their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn credentials(&self, after: Option<&str>, limit: usize) -> Result<Vec<CredentialSummary>> {
        let page =
            scan_json::<CredentialRecord>(self.store(), CREDENTIALS, after.map(bounded_key), limit).await?;
        Ok(page.into_iter().map(|(_, stored)| stored.value.summary).collect())
    }
}
