//! Taking everything that may move to another phone. Keys of the device do not move: what comes out of a backup can be
//! looked at, and is collected again from its issuer before it can be shown.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::activity::{self, Activity, ActivityKind};
use super::held::{CREDENTIAL, CredentialSummary, Held, LOGO};
use super::{Logo, Party, Wallet, WalletError, device};
use crate::binding::transaction::visible;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::vault::records::{Batch, Records};
use crate::vault::{BackupKey, RecordType, RecoveryCode};

const BACKUP_KEY: RecordType = RecordType::new("backup_key");
const ONLY: &str = "key";
const VERSION: u32 = 1;

/// What is in a backup.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    credentials: Vec<Kept>,
    activity: Vec<Activity>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    held: Held,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logo: Option<Logo>,
}

/// What a backup brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Credentials that came in: each has to be collected again before it can be shown.
    pub reenrol: Vec<CredentialSummary>,
    /// How many were in this wallet already.
    pub known: usize,
    /// How many lines of the log came in.
    pub activity: usize,
}

impl Wallet {
    /// Everything that may move, sealed for the recovery code: credentials as they are, pictures, the log.
    ///
    /// # Errors
    /// `backup_no_code`: there is no recovery code yet; [`WalletError::Locked`]; of the storage.
    pub async fn export_backup(&self) -> Result<Vec<u8>, WalletError> {
        let records = self.records()?;
        let key: Option<String> = records.read(BACKUP_KEY, ONLY).await.map_err(device)?;
        let key = key.map(Secret::new).ok_or_else(|| {
            let error = Error::refused("backup_no_code", "create a recovery code first: it opens the backup");
            WalletError::of(Party::Person, error)
        })?;
        let key = BackupKey::from_text(&key).map_err(device)?;
        let mut credentials = Vec::new();
        for (id, held) in self.all_held(&records).await.map_err(device)? {
            let logo = records.read(LOGO, &id).await.unwrap_or_default();
            credentials.push(Kept { id, held, logo });
        }
        let mut activity = self.activity(usize::MAX, 0).await?;
        activity.reverse();
        let content = serde_json::to_vec(&Content { version: VERSION, credentials, activity });
        let unwritable = |_| device(Error::misuse("vault_not_serializable", "the backup cannot be written"));
        key.seal(&content.map(Secret::new).map_err(unwritable)?, self.random()).map_err(device)
    }

    /// Reads a backup into this wallet, beside what is in it.
    ///
    /// # Errors
    /// `recovery_code_mistyped`; `backup_wrong_code`: the backup was made for another code; `backup_format`,
    /// `backup_damaged`, `backup_version`; `vault_entries_too_few`; [`WalletError::Locked`]; of the storage.
    pub async fn import_backup(&self, backup: &[u8], code: &str) -> Result<Restored, WalletError> {
        let person = |error| WalletError::of(Party::Person, error);
        let records = self.records()?;
        self.check_entries(&records).await.map_err(device)?;
        let code = RecoveryCode::parse(code).map_err(person)?;
        let content = code.backup_key().open(backup).map_err(person)?;
        let damaged = |_| person(Error::untrusted("backup_damaged", "the backup is damaged or was changed"));
        let content: Content = serde_json::from_slice(content.expose()).map_err(damaged)?;
        if content.version != VERSION {
            let detail = "the backup is of another version of this wallet";
            return Err(person(Error::unsupported("backup_version", detail)));
        }
        let (mut batch, mut ids, mut names) = (Batch::new(), BTreeSet::new(), Vec::new());
        let total = content.credentials.len();
        for Kept { id, mut held, logo } in content.credentials {
            if records.summary::<serde_json::Value>(CREDENTIAL, &id).await.map_err(device)?.is_some() {
                continue;
            }
            held.keys_lost = true;
            // The right to refresh is bound to a key that did not move.
            held.renewal = None;
            let summary = held.summary(&id, logo.is_some()).map_err(device)?;
            batch.put(CREDENTIAL, &id, &summary, &held).map_err(device)?;
            if let Some(logo) = logo {
                batch.put(LOGO, &id, &(), &logo).map_err(device)?;
            }
            names.extend(held.front().map(|front| visible(&front.display.name)));
            ids.insert(id);
        }
        let restored = Activity::own(self.now(), ActivityKind::Restored, names);
        let added =
            activity::merge(&records, &mut batch, content.activity, restored).await.map_err(device)?;
        self.commit(&records, batch).await?;
        let mut reenrol = self.credentials().await?;
        reenrol.retain(|one| ids.contains(&one.id));
        Ok(Restored { known: total - reenrol.len(), reenrol, activity: added })
    }

    /// Keeps what seals backups, so that they can be made without the code at hand.
    pub(super) async fn keep_backup_key(
        &self,
        records: &Records,
        code: &RecoveryCode,
    ) -> Result<(), WalletError> {
        let mut batch = Batch::new();
        let key = code.backup_key().to_text();
        batch.put(BACKUP_KEY, ONLY, &(), key.expose()).map_err(device)?;
        self.commit(records, batch).await
    }
}
