//! The ways to unlock.

use std::sync::Arc;

use carekey_core::holder::wallet as core;
use carekey_core::holder::wallet::EntrySummary;

use crate::error::WalletError;

type Answer<T> = Result<T, WalletError>;

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

    /// Removes a way to unlock; no other is needed or changed.
    pub async fn remove_entry(&self, id: String) -> Answer<()> {
        Ok(self.0.remove_entry(&id).await?)
    }
}
