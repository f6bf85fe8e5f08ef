//! A device in memory: keys, a person who confirms, and a key that wraps. For demonstrations without hardware and for
//! tests, which can make it misbehave.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::platform::{
    AuthRequirement, DeviceCapabilities, HardwareKeyStore, KeyEvidence, KeyInfo, KeySpec, KeyWrapper,
    PlatformError, Prompt,
};
use crate::holder::SignItem;
use crate::key::{SignatureAlgorithm, Signer, SoftwareKey};
use crate::secret::Secret;

/// A [`HardwareKeyStore`] and [`KeyWrapper`] without hardware. It keeps to the rules of the real ones: a key that wants
/// a confirmation signs only behind a prompt, or in the call right after one.
#[derive(Default)]
pub struct SoftwareDevice {
    keys: Mutex<HashMap<String, (KeySpec, SoftwareKey)>>,
    wrapped: Mutex<HashMap<String, Secret<Vec<u8>>>>,
    answers: Mutex<VecDeque<PlatformError>>,
    confirmed: Mutex<bool>,
    prompts: AtomicUsize,
}

impl std::fmt::Debug for SoftwareDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftwareDevice({} keys)", lock(&self.keys).len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves its value whole, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SoftwareDevice {
    /// A new device.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often the person was asked.
    pub fn prompts(&self) -> usize {
        self.prompts.load(Ordering::SeqCst)
    }

    /// Answers the next prompt with that error; several queue up.
    pub fn fail_next(&self, error: PlatformError) {
        lock(&self.answers).push_back(error);
    }

    /// Destroys all keys that die with a change of fingers, as the system does when one is added.
    pub fn enrol_another_finger(&self) {
        let dies =
            |spec: &KeySpec| spec.auth == AuthRequirement::BiometricEveryUse { current_set_only: true };
        lock(&self.keys).retain(|_, (spec, _)| !dies(spec));
        lock(&self.wrapped).clear();
    }

    /// The names of all keys, in no order.
    pub fn aliases(&self) -> Vec<String> {
        lock(&self.keys).keys().cloned().collect()
    }

    fn ask(&self, prompt: Option<&Prompt>) -> Result<bool, PlatformError> {
        let before = std::mem::take(&mut *lock(&self.confirmed));
        if prompt.is_none() {
            return Ok(before);
        }
        self.prompts.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = lock(&self.answers).pop_front() {
            return Err(error);
        }
        *lock(&self.confirmed) = true;
        Ok(true)
    }
}

fn unexpected(reason: &str) -> PlatformError {
    PlatformError::Unexpected { reason: reason.to_owned() }
}

#[async_trait]
impl HardwareKeyStore for SoftwareDevice {
    async fn capabilities(&self) -> Result<DeviceCapabilities, PlatformError> {
        Ok(DeviceCapabilities { biometry_enrolled: true, ..DeviceCapabilities::default() })
    }

    async fn generate(&self, spec: KeySpec) -> Result<KeyInfo, PlatformError> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).map_err(|_| unexpected("no key"))?;
        let public_key = key.public_key().to_sec1_uncompressed();
        let alias = spec.alias.clone();
        lock(&self.keys).insert(alias.clone(), (spec, key));
        Ok(KeyInfo { alias, public_key, evidence: KeyEvidence::None, hardware_backed: false })
    }

    async fn sign(
        &self,
        items: Vec<SignItem>,
        prompt: Option<&Prompt>,
    ) -> Result<Vec<Vec<u8>>, PlatformError> {
        // A phone sees that a key is gone before it asks.
        if items.iter().any(|item| !lock(&self.keys).contains_key(&item.alias)) {
            return Err(PlatformError::KeyInvalidated);
        }
        let confirmed = self.ask(prompt)?;
        let keys = lock(&self.keys);
        let sign = |item: &SignItem| {
            let (spec, key) = keys.get(&item.alias).ok_or(PlatformError::KeyInvalidated)?;
            if !confirmed && spec.auth != AuthRequirement::DeviceUnlocked {
                return Err(unexpected("a key that wants a confirmation was used without one"));
            }
            key.sign_der(&item.message).map_err(|_| unexpected("no signature"))
        };
        items.iter().map(sign).collect()
    }

    async fn delete(&self, alias: &str) -> Result<(), PlatformError> {
        lock(&self.keys).remove(alias);
        Ok(())
    }
}

#[async_trait]
impl KeyWrapper for SoftwareDevice {
    async fn wrap(&self, slot: &str, secret: &Secret<Vec<u8>>) -> Result<Vec<u8>, PlatformError> {
        lock(&self.wrapped).insert(slot.to_owned(), secret.clone());
        Ok(slot.as_bytes().to_vec())
    }

    async fn unwrap_secret(
        &self,
        slot: &str,
        wrapped: &[u8],
        prompt: Option<&Prompt>,
    ) -> Result<Secret<Vec<u8>>, PlatformError> {
        if wrapped != slot.as_bytes() {
            return Err(unexpected("not wrapped here"));
        }
        let held = lock(&self.wrapped).get(slot).cloned().ok_or(PlatformError::KeyInvalidated)?;
        self.ask(prompt)?;
        Ok(held)
    }

    async fn forget(&self, slot: &str) -> Result<(), PlatformError> {
        lock(&self.wrapped).remove(slot);
        Ok(())
    }
}
