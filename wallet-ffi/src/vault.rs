//! The ways to unlock.

use std::sync::Arc;

use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::{CredentialSummary, EntrySummary};

use crate::error::WalletError;

type Answer<T> = Result<T, WalletError>;

/// What came out of a backup.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RestoredBackup {
    /// Credentials that came in: each has to be collected again before it can be shown.
    pub reenrol: Vec<CredentialSummary>,
    /// How many were in this wallet already.
    pub known: u64,
    /// How many lines of the log came in.
    pub activity: u64,
}

impl From<core::Restored> for RestoredBackup {
    fn from(restored: core::Restored) -> Self {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Self { reenrol: restored.reenrol, known: count(restored.known), activity: count(restored.activity) }
    }
}

/// The vault of a wallet: its ways to unlock. There must be two before the first credential comes in.
#[derive(uniffi::Object)]
pub struct Vault(pub(crate) Arc<core::Wallet>);

#[uniffi::export]
impl Vault {
    /// The ways to unlock, oldest first; also of a locked wallet.
    pub async fn entries(&self) -> Answer<Vec<EntrySummary>> {
        Ok(self.0.entries().await?)
    }

    /// Adds unlocking by a key of the device. On a new wallet this makes the vault and leaves it open.
    pub async fn add_hardware_entry(&self, label: String) -> Answer<EntrySummary> {
        Ok(self.0.add_hardware_entry(&label).await?)
    }

    /// Adds unlocking by a passkey that has the PRF extension. One prompt, or two where the authenticator gives its
    /// output only when it is asked again. On a new wallet this makes the vault and leaves it open.
    pub async fn add_passkey_entry(&self, label: String) -> Answer<EntrySummary> {
        Ok(self.0.add_passkey_entry(&label).await?)
    }

    /// Makes a recovery code, which replaces the one before, and returns it: the only time that it is seen.
    pub async fn create_recovery_code(&self, label: String) -> Answer<String> {
        Ok(self.0.create_recovery_code(&label).await?.expose().clone())
    }

    /// Everything that may move to another phone, sealed: the recovery code opens it. Keys of credentials never move.
    pub async fn export_backup(&self) -> Answer<Vec<u8>> {
        Ok(self.0.export_backup().await?)
    }

    /// Takes in a backup of another phone with that phone's recovery code. Its credentials have to be collected again
    /// before they can be shown.
    pub async fn import_backup(&self, backup: Vec<u8>, code: String) -> Answer<RestoredBackup> {
        Ok(self.0.import_backup(&backup, &code).await?.into())
    }

    /// Removes a way to unlock; no other is needed or changed.
    pub async fn remove_entry(&self, id: String) -> Answer<()> {
        Ok(self.0.remove_entry(&id).await?)
    }
}
