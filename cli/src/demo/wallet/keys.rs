//! The holder keys of the demo: software keys, sealed with the other records. On phones they live in the secure hardware.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use carekey_core::encoding::base64url;
use carekey_core::error::{Error, Result};
use carekey_core::holder::{HolderKeyInfo, HolderKeys, KeyPurpose, SignItem};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::Random;
use carekey_core::secret::Secret;
use carekey_core::vault::RecordType;
use serde::{Deserialize, Serialize};

use super::records::Records;

const KIND: RecordType = RecordType::new("holder_key");

#[derive(Serialize, Deserialize)]
struct StoredKey {
    /// PKCS#8, base64url.
    pkcs8: String,
}

/// The keys as one session sees them. Fresh keys wait in memory until [`SoftwareKeys::keep`], because an empty wallet has
/// no vault before its first passkey is made.
pub(crate) struct SoftwareKeys {
    records: Arc<Records>,
    random: Arc<dyn Random>,
    session: String,
    fresh: Mutex<HashMap<String, Arc<SoftwareKey>>>,
}

impl SoftwareKeys {
    pub(super) fn new(records: Arc<Records>, random: Arc<dyn Random>, session: &str) -> Self {
        Self { records, random, session: session.to_owned(), fresh: Mutex::default() }
    }

    fn fresh(&self) -> Vec<(String, Arc<SoftwareKey>)> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.iter().map(|(alias, key)| (alias.clone(), Arc::clone(key))).collect()
    }

    /// Seals the fresh keys: before anything is signed with them that somebody else relies on.
    pub(super) async fn keep(&self) -> Result<()> {
        for (alias, key) in self.fresh() {
            let pkcs8 = base64url::encode(key.to_pkcs8()?.expose());
            self.records.put(&self.session, KIND, &alias, &StoredKey { pkcs8 }).await?;
        }
        Ok(())
    }

    async fn key(&self, alias: &str) -> Result<Arc<SoftwareKey>> {
        let fresh = self.fresh().into_iter().find(|(name, _)| name == alias);
        if let Some((_, key)) = fresh {
            return Ok(key);
        }
        let stored: Option<StoredKey> = self.records.get(&self.session, KIND, alias).await?;
        let stored = stored.ok_or_else(|| {
            Error::misuse("holder_key_missing", "the wallet does not hold the key of this credential")
        })?;
        let pkcs8 = Secret::new(base64url::decode(&stored.pkcs8)?);
        Ok(Arc::new(SoftwareKey::from_pkcs8(pkcs8.expose())?))
    }
}

#[async_trait]
impl HolderKeys for SoftwareKeys {
    async fn generate(&self, _purpose: KeyPurpose) -> Result<HolderKeyInfo> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let alias = self.random.token(16);
        let public_key = key.public_key().clone();
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.insert(alias.clone(), Arc::new(key));
        Ok(HolderKeyInfo { alias, public_key })
    }

    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        let mut signatures = Vec::with_capacity(items.len());
        for item in items {
            signatures.push(self.key(&item.alias).await?.sign(&item.message)?);
        }
        Ok(signatures)
    }

    async fn delete(&self, alias: &str) -> Result<()> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).remove(alias);
        match self.records.delete(&self.session, KIND, alias).await {
            // an empty wallet has nothing to delete
            Err(error) if error.code() == "wallet_locked" => Ok(()),
            other => other,
        }
    }
}
