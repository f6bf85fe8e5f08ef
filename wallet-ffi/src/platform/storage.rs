//! A place for the wallet's bytes.

use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::holder::wallet::platform as core;

/// Why storage failed; for developers, no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum StorageError {
    /// It did not work.
    #[error("storage: {reason}")]
    Failed {
        /// For developers.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for StorageError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

impl From<StorageError> for core::StorageError {
    fn from(StorageError::Failed { reason }: StorageError) -> Self {
        Self { reason }
    }
}

/// Named bytes on the device: files of the app, or a table. Everything in it is sealed or not secret. Names are at most
/// 128 characters of `A–Z a–z 0–9 . _ / -`.
///
/// `put` is durable when it returns, and what it writes becomes visible as a whole or not at all; after a crash in the
/// middle, the old bytes, the new bytes, or (for a new name) nothing may be there. Nobody else writes under these names.
#[uniffi::export(foreign)]
#[async_trait]
pub trait WalletStorage: Send + Sync {
    /// The bytes under `name`.
    async fn get(&self, name: String) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes over what may be there.
    async fn put(&self, name: String, value: Vec<u8>) -> Result<(), StorageError>;

    /// Removes; a name that is not there is no error.
    async fn remove(&self, name: String) -> Result<(), StorageError>;

    /// All names that begin with `prefix`, in any order.
    async fn list(&self, prefix: String) -> Result<Vec<String>, StorageError>;
}

/// A few bytes kept apart from `WalletStorage`, where backups and file managers do not reach: a Keychain item of this
/// device only, or a file that backup rules exclude. With it, an older state of the whole storage is noticed.
#[uniffi::export(foreign)]
#[async_trait]
pub trait GenerationAnchor: Send + Sync {
    /// What was kept last.
    async fn load(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Keeps `value`, durable when it returns.
    async fn store(&self, value: Vec<u8>) -> Result<(), StorageError>;
}

type Answer<T> = Result<T, core::StorageError>;

/// The app's storage as the engine sees it.
pub(crate) struct Storage(pub(crate) Arc<dyn WalletStorage>);

#[async_trait]
impl core::WalletStorage for Storage {
    async fn get(&self, name: &str) -> Answer<Option<Vec<u8>>> {
        Ok(self.0.get(name.to_owned()).await?)
    }

    async fn put(&self, name: &str, value: Vec<u8>) -> Answer<()> {
        Ok(self.0.put(name.to_owned(), value).await?)
    }

    async fn remove(&self, name: &str) -> Answer<()> {
        Ok(self.0.remove(name.to_owned()).await?)
    }

    async fn list(&self, prefix: &str) -> Answer<Vec<String>> {
        Ok(self.0.list(prefix.to_owned()).await?)
    }
}

/// The app's anchor as the engine sees it.
pub(crate) struct Anchor(pub(crate) Arc<dyn GenerationAnchor>);

#[async_trait]
impl core::GenerationAnchor for Anchor {
    async fn load(&self) -> Answer<Option<Vec<u8>>> {
        Ok(self.0.load().await?)
    }

    async fn store(&self, value: Vec<u8>) -> Answer<()> {
        Ok(self.0.store(value).await?)
    }
}
