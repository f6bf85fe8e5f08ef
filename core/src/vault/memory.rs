//! Storage in memory, for tests and for apps that keep nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::platform::{GenerationAnchor, StorageError, WalletStorage};

/// A [`WalletStorage`] that forgets everything when dropped. Cloned content can be put back with
/// [`restore`](Self::restore): an older state of the whole storage.
#[derive(Default)]
pub struct MemoryStorage(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryStorage {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of everything in it.
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        self.content().clone()
    }

    /// Replaces everything in it.
    pub fn restore(&self, content: BTreeMap<String, Vec<u8>>) {
        *self.content() = content;
    }

    fn content(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // Each change is one call on the map, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryStorage({} names)", self.content().len())
    }
}

#[async_trait]
impl WalletStorage for MemoryStorage {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.content().get(name).cloned())
    }

    async fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.content().insert(name.to_owned(), value);
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.content().remove(name);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        Ok(self.content().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }
}

/// A [`GenerationAnchor`] in memory: notices for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryAnchor(Mutex<Option<Vec<u8>>>);

#[async_trait]
impl GenerationAnchor for MemoryAnchor {
    async fn load(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn store(&self, value: Vec<u8>) -> Result<(), StorageError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }
}
