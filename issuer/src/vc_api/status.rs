//! Bitstring status lists: one series per key and purpose, places given out at random.

use carekey_core::Error;
use carekey_core::error::Result as CoreResult;
use carekey_core::limits::Limits;
use carekey_core::status::bitstring_status_list::{
    Bitstring, ListCredentialInput, MIN_ENTRIES, StatusEntry, StatusPurpose, StatusSize, list_credential,
};
use carekey_core::store::{CommitError, Expect, Table, put_json, read_json, update_json};
use carekey_service::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keys::{Key, Securing};
use super::{VcApi, refused};

const LISTS: Table = Table::new("vc_status_lists");
/// A list is full when half of its places are taken: a free one is found quickly, and its neighbours say little.
const FULL: u64 = MIN_ENTRIES / 2;
/// Seconds by which clocks may differ.
const BACKDATE: i64 = 300;
/// Seconds that a signed list is good for.
const LIFETIME: i64 = 86_400;

/// One list as it is stored.
#[derive(Serialize, Deserialize)]
struct List {
    count: u64,
    used: String,
    set: String,
}

/// The body of `POST /credentials/status`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusChange {
    credential_status: Value,
    status: bool,
}

impl List {
    fn new() -> CoreResult<Self> {
        let empty = Bitstring::new(MIN_ENTRIES, StatusSize::ONE)?.encode();
        Ok(Self { count: 0, used: empty.clone(), set: empty })
    }

    fn bits(text: &str) -> CoreResult<Bitstring> {
        Bitstring::decode(text, &Limits::DEFAULT)
    }
}

/// Whether lists of this purpose are kept.
pub(super) fn is_ours(purpose: &StatusPurpose) -> bool {
    matches!(purpose, StatusPurpose::Revocation | StatusPurpose::Suspension)
}

fn name(key: &Key, purpose: &StatusPurpose, number: u64) -> String {
    format!("{}/{purpose}/{number}", key.name.to_ascii_lowercase())
}

impl VcApi {
    fn list_url(&self, name: &str) -> String {
        format!("{}/credentials/status/{name}", self.base)
    }

    /// A fresh entry.
    pub(super) async fn allocate(&self, key: &Key, purpose: StatusPurpose) -> Result<StatusEntry, Problem> {
        let mut number = 0;
        loop {
            let name = name(key, &purpose, number);
            let stored = read_json::<List>(&*self.store, LISTS, &name).await?;
            let (mut list, expect) = match stored {
                None => (List::new()?, Expect::Absent),
                Some(stored) => (stored.value, Expect::Version(stored.version)),
            };
            if list.count >= FULL {
                number += 1;
                continue;
            }
            let mut used = List::bits(&list.used)?;
            let index = self.free(&used)?;
            used.set(index, StatusSize::ONE, 1)?;
            list.used = used.encode();
            list.count += 1;
            match put_json(&*self.store, LISTS, &name, expect, &list, None).await {
                Ok(()) => return Ok(StatusEntry::new(purpose, index, &self.list_url(&name))),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Failed(error)) => return Err(error.into()),
            }
        }
    }

    fn free(&self, used: &Bitstring) -> CoreResult<u64> {
        loop {
            let index = u64::from(u32::from_be_bytes(self.random.array())) % MIN_ENTRIES;
            if used.get(index, StatusSize::ONE)? == 0 {
                return Ok(index);
            }
        }
    }

    fn key_of(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.signs_lists() && key.name.to_ascii_lowercase() == name)
    }

    /// The signed list at an address; `None` when there is none.
    pub(crate) async fn list(&self, key: &str, purpose: &str, number: u64) -> Result<Option<Value>, Problem> {
        let (Some(key), purpose) = (self.key_of(key), StatusPurpose::from(purpose)) else { return Ok(None) };
        if !is_ours(&purpose) {
            return Ok(None);
        }
        let name = name(key, &purpose, number);
        let Some(stored) = read_json::<List>(&*self.store, LISTS, &name).await? else { return Ok(None) };
        let now = self.clock.now();
        let (id, issuer) = (self.list_url(&name), key.did.to_string());
        let input = ListCredentialInput {
            id: &id,
            issuer: &issuer,
            purposes: &[purpose],
            valid_from: now.plus(-BACKDATE),
            valid_until: Some(now.plus(LIFETIME)),
            ttl_secs: u32::try_from(self.ttl).ok(),
        };
        let credential = list_credential(&input, &List::bits(&stored.value.set)?)?;
        Ok(Some(self.signed(key, Securing::Proof(key.suite), &[], credential)?))
    }

    /// Sets or takes back a status; a revocation stays.
    pub(crate) async fn change_status(&self, change: &StatusChange) -> Result<(), Problem> {
        let entry = StatusEntry::parse(&change.credential_status).map_err(refused)?;
        let unknown = || Problem::not_found("there is no such entry in a list of this issuer");
        let prefix = self.list_url("");
        let name = entry.list.strip_prefix(&prefix).ok_or_else(unknown)?;
        let mut parts = name.split('/');
        let known = is_ours(&entry.purpose)
            && name.len() < 64
            && parts.next().is_some_and(|key| self.key_of(key).is_some())
            && parts.next() == Some(entry.purpose.as_str())
            && entry.size == StatusSize::ONE;
        if !known || entry.index >= MIN_ENTRIES {
            return Err(unknown());
        }
        if !change.status && entry.purpose == StatusPurpose::Revocation {
            let detail = "a revocation cannot be taken back";
            return Err(Problem::conflict("status_final", detail));
        }
        let value = u64::from(change.status);
        let set = |list: &mut List| -> CoreResult<bool> {
            if List::bits(&list.used)?.get(entry.index, StatusSize::ONE)? == 0 {
                return Ok(false);
            }
            let mut bits = List::bits(&list.set)?;
            bits.set(entry.index, StatusSize::ONE, value)?;
            list.set = bits.encode();
            Ok(true)
        };
        let changed: Result<Option<bool>, Error> =
            update_json(&*self.store, LISTS, name, self.clock.now(), set).await;
        match changed? {
            Some(true) => {
                self.metrics.count("vc_api_status", if change.status { "set" } else { "unset" });
                Ok(())
            }
            _ => Err(unknown()),
        }
    }
}
