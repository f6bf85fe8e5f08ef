//! Holder keys in the device's key store, as the engine sees them.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::platform::{AuthRequirement, HardwareKeyStore, KeySpec, Prompt};
use crate::error::Result;
use crate::holder::{HolderKeyInfo, HolderKeys, KeyPurpose, SignItem};
use crate::key::{PublicKey, SignatureAlgorithm, der_to_fixed};
use crate::random::Random;

/// What the names of holder keys begin with.
const HOLDER: &str = "hk.";

/// Seconds in which several holder keys can be used after one confirmation, where there is no second key.
const WINDOW: u32 = 10;

/// The device's keys within one confirmation: the first signature takes the prompt, all others go with it.
pub(super) struct DeviceKeys<'a> {
    store: &'a dyn HardwareKeyStore,
    random: &'a dyn Random,
    prefer_strongbox: bool,
    auth: AuthRequirement,
    prompt: Mutex<Option<Prompt>>,
}

impl<'a> DeviceKeys<'a> {
    /// Keys behind `prompt`. Where a second key asks the person (`with_second_key`), holder keys need no more than an
    /// unlocked device: a key that is confirmed for every use has one operation per confirmation on Android.
    pub(super) fn new(
        store: &'a dyn HardwareKeyStore,
        random: &'a dyn Random,
        prefer_strongbox: bool,
        with_second_key: bool,
        prompt: Option<Prompt>,
    ) -> Self {
        let auth = if with_second_key {
            AuthRequirement::DeviceUnlocked
        } else {
            AuthRequirement::BiometricOrPasscode { valid_for_secs: WINDOW }
        };
        Self { store, random, prefer_strongbox, auth, prompt: Mutex::new(prompt) }
    }

    /// The prompt, once.
    fn take_prompt(&self) -> Option<Prompt> {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says that the person was asked by other means: no prompt comes any more.
    pub(super) fn confirmed(&self) {
        let _ = self.take_prompt();
    }

    /// Signs in DER, as the platform does.
    pub(super) async fn sign_der(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        let prompt = self.take_prompt();
        Ok(self.store.sign(items, prompt.as_ref()).await?)
    }

    /// A key for `purpose`, and what the platform says about it.
    pub(super) async fn make(
        &self,
        alias: String,
        purpose: KeyPurpose,
        auth: AuthRequirement,
        attestation_challenge: Vec<u8>,
    ) -> Result<(PublicKey, super::platform::KeyInfo)> {
        let prefer_strongbox = self.prefer_strongbox;
        let spec = KeySpec { alias, purpose, auth, prefer_strongbox, attestation_challenge };
        let info = self.store.generate(spec).await?;
        Ok((PublicKey::from_sec1(SignatureAlgorithm::Es256, &info.public_key)?, info))
    }
}

#[async_trait]
impl HolderKeys for DeviceKeys<'_> {
    async fn generate(&self, purpose: KeyPurpose) -> Result<HolderKeyInfo> {
        // Keys of other purposes sign messages between programs: nothing that a person would be asked about.
        let (prefix, auth) = match purpose {
            KeyPurpose::HolderKey => (HOLDER, self.auth),
            _ => ("tk.", AuthRequirement::DeviceUnlocked),
        };
        let alias = format!("{prefix}{}", self.random.token(16));
        let (public_key, info) = self.make(alias, purpose, auth, Vec::new()).await?;
        Ok(HolderKeyInfo { alias: info.alias, public_key })
    }

    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        let signatures = if items.iter().any(|item| item.alias.starts_with(HOLDER)) {
            self.sign_der(items).await?
        } else {
            self.store.sign(items, None).await?
        };
        signatures.iter().map(|der| der_to_fixed(SignatureAlgorithm::Es256, der)).collect()
    }

    async fn delete(&self, alias: &str) -> Result<()> {
        Ok(self.store.delete(alias).await?)
    }
}
