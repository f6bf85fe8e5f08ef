//! Collections that were begun and have not ended: their keys are noted in the vault, so that none stays behind when a
//! session is dropped or the app is killed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::platform::LogLevel;
use super::renewing::RENEWAL;
use super::{Wallet, WalletError, ceremony, device, signing_in};
use crate::error::Result;
use crate::holder::issuance::PreparedIssuance;
use crate::vault::RecordType;
use crate::vault::records::{Batch, Records};

const UNFINISHED: RecordType = RecordType::new("unfinished");

/// The keys that were made for one collection.
#[derive(Serialize, Deserialize)]
struct Unfinished {
    keys: Vec<String>,
}

/// A collection that runs in this process. When it is dropped, its keys are left to the next [`Wallet::sweep`].
pub(super) struct Collection {
    wallet: Arc<Wallet>,
    id: String,
    /// The WebAuthn credential id of the key that the ceremony will make, if there is one.
    pub(super) credential_id: [u8; 16],
}

impl Collection {
    pub(super) fn begin(wallet: &Arc<Wallet>) -> Self {
        let id = wallet.random().token(16);
        wallet.state().live.insert(id.clone());
        Self { wallet: Arc::clone(wallet), credential_id: wallet.random().array(), id }
    }

    /// Notes the keys of `prepared` and of the ceremony to come, before anything is done with them. `tokens`: also the key
    /// of the tokens; where fresh copies are fetched, it belongs to the right to do so.
    pub(super) fn note(&self, batch: &mut Batch, prepared: &PreparedIssuance, tokens: bool) -> Result<()> {
        let mut keys: Vec<String> = prepared.holder_keys().map(str::to_owned).collect();
        if prepared.creation_options.is_some() {
            keys.push(ceremony::alias_of(&self.credential_id));
        }
        keys.extend(prepared.token_key().filter(|_| tokens).map(str::to_owned));
        batch.put(UNFINISHED, &self.id, &(), &Unfinished { keys })
    }

    /// It has ended: its keys are in use.
    pub(super) fn end(&self, batch: &mut Batch) {
        batch.delete(UNFINISHED, &self.id);
    }

    /// It has ended, and its keys are of no use to anybody.
    pub(super) async fn give_up(&self, records: &Records) {
        if self.wallet.forget_unfinished(records, &self.id).await.is_err() {
            self.wallet.log(LogLevel::Warn, "keys of a collection stay until the next unlocking");
        }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.wallet.state().live.remove(&self.id);
    }
}

impl Wallet {
    /// Forgets the keys of collections that nobody goes on with.
    pub(super) async fn sweep(&self, records: &Records) -> Result<(), WalletError> {
        let noted = records.list::<()>(UNFINISHED).await.map_err(device)?.records;
        for (id, ()) in noted {
            if !self.state().live.contains(&id) {
                self.forget_unfinished(records, &id).await?;
            }
        }
        signing_in::sweep(self, records, false).await
    }

    /// Forgets the keys of all collections, also of those that run, of sign-ins, of rights to refresh and of what is still
    /// to come: the wallet is erased.
    pub(super) async fn sweep_all(&self, records: &Records) -> Result<(), WalletError> {
        self.state().live.clear();
        self.sweep(records).await?;
        signing_in::sweep(self, records, true).await?;
        self.forget_all_pending(records).await;
        for (_, key) in records.list::<Option<String>>(RENEWAL).await.map_err(device)?.records {
            if let Some(key) = key {
                self.forget_key(&key).await;
            }
        }
        Ok(())
    }

    async fn forget_unfinished(&self, records: &Records, id: &str) -> Result<(), WalletError> {
        let noted: Option<Unfinished> = records.read(UNFINISHED, id).await.map_err(device)?;
        for alias in noted.iter().flat_map(|noted| &noted.keys) {
            self.forget_key(alias).await;
        }
        let mut batch = Batch::new();
        batch.delete(UNFINISHED, id);
        self.commit(records, batch).await
    }

    /// Deletes a key of the device that nothing needs any more.
    pub(super) async fn forget_key(&self, alias: &str) {
        if self.platform.keys.delete(alias).await.is_err() {
            self.log(LogLevel::Warn, "a key that is not needed any more stays in the key store");
        }
    }
}
