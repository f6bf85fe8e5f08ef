//! What went to whom: the wallet's own log, sealed like everything else.
//!
//! It lies in pages of entries, so that a long log costs no more to open a wallet than a short one.

use serde::{Deserialize, Serialize};

use super::Wallet;
use super::error::WalletError;
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::vault::RecordType;
use crate::vault::records::{Batch, Records};

const KIND: RecordType = RecordType::new("activity");
const PER_PAGE: usize = 32;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// A credential came in.
    Received,
    /// A credential was collected anew: refreshed, refilled or enrolled again.
    Renewed,
    /// An issuer did not give what was asked for, or the person waits for it no more.
    NotIssued,
    /// Claims went to a verifier, who took them.
    Sent,
    /// Claims went to a verifier, who refused the presentation. They left the device all the same.
    Refused,
    /// The answer was sent and nobody knows whether it arrived.
    Unconfirmed,
    /// The person said no.
    Declined,
    /// The person deleted a credential.
    Deleted,
    /// A key of the device was destroyed, or is not on this device.
    KeysLost,
    /// A backup was read.
    Restored,
    /// A way to unlock was added or removed.
    UnlockChanged,
}

/// One line of the log: names of claims, never their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// When.
    pub at: UnixTime,
    /// What.
    pub kind: ActivityKind,
    /// The other side's name; empty for what concerns this device only.
    pub party: String,
    /// The other side's identifier: issuer URL or `client_id`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub party_id: String,
    /// Whether a trust rule of this wallet named the other side then.
    pub trusted: bool,
    /// What for, as the verifier said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Names of the credentials.
    pub credentials: Vec<String>,
    /// Names of the claims that left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Activity {
    /// A line about this device only.
    pub(super) fn own(at: UnixTime, kind: ActivityKind, credentials: Vec<String>) -> Self {
        Self {
            at,
            kind,
            party: String::new(),
            party_id: String::new(),
            trusted: true,
            purpose: None,
            credentials,
            claims: Vec::new(),
            code: None,
        }
    }
}

fn page_id(number: usize) -> String {
    format!("{number:08}")
}

async fn page(records: &Records, number: usize) -> Result<Vec<Activity>> {
    Ok(records.read(KIND, &page_id(number)).await?.unwrap_or_default())
}

/// Adds a line to `batch`. The last page may be damaged: then a new one begins.
pub(super) async fn note(records: &Records, batch: &mut Batch, entry: &Activity) -> Result<()> {
    let pages = records.count(KIND).await;
    let last = pages.saturating_sub(1);
    let (number, mut entries) = match page(records, last).await {
        Ok(entries) if entries.len() < PER_PAGE => (last, entries),
        _ => (pages, Vec::new()),
    };
    entries.push(entry.clone());
    batch.put(KIND, &page_id(number), &(), &entries)
}

/// Puts the lines of a backup between those that are here, each once, and `last` behind all. Returns how many are new.
pub(super) async fn merge(
    records: &Records,
    batch: &mut Batch,
    incoming: Vec<Activity>,
    last: Activity,
) -> Result<usize> {
    let mut all = Vec::new();
    let pages = records.count(KIND).await;
    for number in 0..pages {
        all.extend(page(records, number).await.unwrap_or_default());
    }
    let before = all.len();
    for entry in incoming {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    let added = all.len() - before;
    all.sort_by_key(|entry| entry.at);
    all.push(last);
    let chunks = all.chunks(PER_PAGE);
    for number in chunks.len()..pages {
        batch.delete(KIND, &page_id(number));
    }
    for (number, entries) in chunks.enumerate() {
        batch.put(KIND, &page_id(number), &(), &entries)?;
    }
    Ok(added)
}

impl Wallet {
    /// The newest lines, newest first: up to `limit`, after leaving out the `skip` newest. A damaged page is left out.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn activity(&self, limit: usize, skip: usize) -> Result<Vec<Activity>, WalletError> {
        let records = self.records()?;
        let mut found = Vec::new();
        for number in (0..records.count(KIND).await).rev() {
            if found.len() >= skip.saturating_add(limit) {
                break;
            }
            let entries = page(&records, number).await.unwrap_or_default();
            found.extend(entries.into_iter().rev());
        }
        Ok(found.into_iter().skip(skip).take(limit).collect())
    }

    /// The whole log as a JSON array, oldest first.
    ///
    /// # Errors
    /// [`WalletError::Locked`]; of the storage.
    pub async fn export_activity(&self) -> Result<String, WalletError> {
        let mut entries = self.activity(usize::MAX, 0).await?;
        entries.reverse();
        serde_json::to_string_pretty(&entries).map_err(|_| {
            let error = Error::misuse("activity_export", "the log cannot be written as JSON");
            WalletError::of(super::Party::App, error)
        })
    }
}
