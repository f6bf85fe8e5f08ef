//! Keys of the device: signing keys, wrapping keys, passkeys.

use std::sync::Arc;

use async_trait::async_trait;
use carekey_core::holder::wallet::platform as core;
use carekey_core::holder::wallet::platform::{
    AuthRequirement, DeviceCapabilities, KeyEvidence, KeyInfo, KeySpec, Prompt,
};
use carekey_core::holder::{KeyPurpose, SignItem};
use carekey_core::secret::Secret;

/// Why the device did not do it. `reason` is for developers: no secret, no claim.
///
/// Translate a cancelled coroutine or task into `UserCancelled`; any other exception arrives as `Unexpected`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum PlatformError {
    /// The person said no, or closed the prompt.
    #[error("the person cancelled")]
    UserCancelled,
    /// Too many failed attempts: the system wants the device's code, or time.
    #[error("the sensor is locked")]
    BiometryLockout,
    /// No finger or face is enrolled on this device.
    #[error("no biometry is enrolled")]
    BiometryNotEnrolled,
    /// The key is gone for ever: a finger or face was added or removed, or the screen lock was switched off.
    #[error("the key was invalidated")]
    KeyInvalidated,
    /// This device cannot do that.
    #[error("not available: {reason}")]
    NotAvailable {
        /// For developers.
        reason: String,
    },
    /// Anything else.
    #[error("unexpected: {reason}")]
    Unexpected {
        /// For developers.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for PlatformError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unexpected { reason: error.reason }
    }
}

impl From<PlatformError> for core::PlatformError {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::UserCancelled => Self::UserCancelled,
            PlatformError::BiometryLockout => Self::BiometryLockout,
            PlatformError::BiometryNotEnrolled => Self::BiometryNotEnrolled,
            PlatformError::KeyInvalidated => Self::KeyInvalidated,
            PlatformError::NotAvailable { reason } => Self::NotAvailable { reason },
            PlatformError::Unexpected { reason } => Self::Unexpected { reason },
        }
    }
}

/// What a key is for.
#[uniffi::remote(Enum)]
pub enum KeyPurpose {
    /// HK: key proofs at issuance and key-binding JWTs at presentation.
    HolderKey,
    /// The key that access tokens of one issuance are bound to (DPoP); needs no user.
    TokenBinding,
    /// AK: WebAuthn registrations and assertions of the authenticator embedded in the wallet.
    AuthenticatorKey,
}

/// What a key demands of the person before each use.
#[uniffi::remote(Enum)]
pub enum AuthRequirement {
    /// The device is unlocked.
    DeviceUnlocked,
    /// Biometry or the device's code, and then a time in which no further prompt comes.
    BiometricOrPasscode {
        /// Length of that time.
        valid_for_secs: u32,
    },
    /// Biometry for every use.
    BiometricEveryUse {
        /// The key dies when a finger or face is added or removed.
        current_set_only: bool,
    },
}

/// A key to be made: P-256.
#[uniffi::remote(Record)]
pub struct KeySpec {
    /// The name under which it is used from then on.
    pub alias: String,
    /// What for.
    pub purpose: KeyPurpose,
    /// What it demands.
    pub auth: AuthRequirement,
    /// Whether a separate security chip is preferred to the processor's own.
    pub prefer_strongbox: bool,
    /// What the evidence about the key commits to; empty when no evidence is wanted.
    pub attestation_challenge: Vec<u8>,
}

/// What the platform says about a key, for the issuer to judge.
#[uniffi::remote(Enum)]
pub enum KeyEvidence {
    /// Nothing.
    None,
    /// Android Key Attestation: certificates in DER, leaf first.
    AndroidKey {
        /// The chain.
        chain_der: Vec<Vec<u8>>,
    },
    /// App Attest: the app's own key, and its word over the new key.
    AppleAppAttest {
        /// CBOR of `attestKey`; only the first time.
        attestation: Option<Vec<u8>>,
        /// CBOR of `generateAssertion`.
        assertion: Vec<u8>,
        /// Identifier of the App Attest key.
        key_id: Vec<u8>,
    },
}

/// A key that was made.
#[uniffi::remote(Record)]
pub struct KeyInfo {
    /// Its name.
    pub alias: String,
    /// P-256, uncompressed SEC 1: 65 bytes.
    pub public_key: Vec<u8>,
    /// What the platform says about it.
    pub evidence: KeyEvidence,
    /// Whether it lives in hardware.
    pub hardware_backed: bool,
}

/// What this device can do.
#[uniffi::remote(Record)]
pub struct DeviceCapabilities {
    /// Keys live in hardware.
    pub hardware_backed: bool,
    /// There is a separate security chip.
    pub strongbox: bool,
    /// A finger or face is enrolled.
    pub biometry_enrolled: bool,
    /// Keys come with evidence.
    pub attestation: bool,
}

/// What the system shows when it asks for a finger or a face. All three are for the person, in their language.
#[uniffi::remote(Record)]
pub struct Prompt {
    /// Short heading.
    pub title: String,
    /// What the confirmation is for.
    pub reason: String,
    /// The label of the way out.
    pub cancel_label: String,
}

/// One message to sign with one key.
#[uniffi::remote(Record)]
pub struct SignItem {
    /// Which key.
    pub alias: String,
    /// The message itself; the platform hashes it.
    pub message: Vec<u8>,
}

/// The key store of the device: P-256 keys that never leave it.
///
/// Calls come on a background thread; whoever shows a prompt changes to the main thread by itself.
#[uniffi::export(foreign)]
#[async_trait]
pub trait HardwareKeyStore: Send + Sync {
    /// What this device can do.
    async fn capabilities(&self) -> Result<DeviceCapabilities, PlatformError>;

    /// Makes a key. No prompt.
    async fn generate(&self, spec: KeySpec) -> Result<KeyInfo, PlatformError>;

    /// Signs all `items` or none, in order: ECDSA P-256 with SHA-256 in DER over each message (the platform hashes).
    ///
    /// With a `prompt` the person is asked exactly once for all of them. Without one, the keys are used within the
    /// authentication that the call before has made, or need none.
    async fn sign(&self, items: Vec<SignItem>, prompt: Option<Prompt>)
    -> Result<Vec<Vec<u8>>, PlatformError>;

    /// Forgets a key for ever; an unknown name is no error.
    async fn delete(&self, alias: String) -> Result<(), PlatformError>;
}

/// Wraps a secret by a key of the device's hardware: Android Keystore AES-GCM behind `BiometricPrompt`, or a Keychain
/// item with `.biometryCurrentSet`.
#[uniffi::export(foreign)]
#[async_trait]
pub trait KeyWrapper: Send + Sync {
    /// Wraps `secret` for `slot`, making the slot's key if there is none. What returns is kept beside the records. Do not
    /// keep `secret`.
    async fn wrap(&self, slot: String, secret: Vec<u8>) -> Result<Vec<u8>, PlatformError>;

    /// The secret again, after the person's confirmation.
    async fn unwrap_secret(
        &self,
        slot: String,
        wrapped: Vec<u8>,
        prompt: Option<Prompt>,
    ) -> Result<Vec<u8>, PlatformError>;

    /// Forgets the slot's key; an unknown slot is no error.
    async fn forget(&self, slot: String) -> Result<(), PlatformError>;
}

/// The platform's passkeys and security keys (Credential Manager, AuthenticationServices): JSON of WebAuthn Level 3
/// sections 5.1.8 to 5.1.10 in and out. Each call is one prompt.
#[uniffi::export(foreign)]
#[async_trait]
pub trait PasskeyClient: Send + Sync {
    /// `PublicKeyCredentialCreationOptionsJSON` to `RegistrationResponseJSON`.
    async fn create(&self, options_json: String) -> Result<String, PlatformError>;

    /// `PublicKeyCredentialRequestOptionsJSON` to `AuthenticationResponseJSON`.
    async fn get(&self, options_json: String) -> Result<String, PlatformError>;
}

type Answer<T> = Result<T, core::PlatformError>;

/// The app's key store as the engine sees it.
pub(crate) struct Keys(pub(crate) Arc<dyn HardwareKeyStore>);

#[async_trait]
impl core::HardwareKeyStore for Keys {
    async fn capabilities(&self) -> Answer<DeviceCapabilities> {
        Ok(self.0.capabilities().await?)
    }

    async fn generate(&self, spec: KeySpec) -> Answer<KeyInfo> {
        Ok(self.0.generate(spec).await?)
    }

    async fn sign(&self, items: Vec<SignItem>, prompt: Option<&Prompt>) -> Answer<Vec<Vec<u8>>> {
        Ok(self.0.sign(items, prompt.cloned()).await?)
    }

    async fn delete(&self, alias: &str) -> Answer<()> {
        Ok(self.0.delete(alias.to_owned()).await?)
    }
}

/// The app's wrapping keys as the engine sees them.
pub(crate) struct Wrapper(pub(crate) Arc<dyn KeyWrapper>);

#[async_trait]
impl core::KeyWrapper for Wrapper {
    async fn wrap(&self, slot: &str, secret: &Secret<Vec<u8>>) -> Answer<Vec<u8>> {
        Ok(self.0.wrap(slot.to_owned(), secret.expose().clone()).await?)
    }

    async fn unwrap_secret(
        &self,
        slot: &str,
        wrapped: &[u8],
        prompt: Option<&Prompt>,
    ) -> Answer<Secret<Vec<u8>>> {
        let secret = self.0.unwrap_secret(slot.to_owned(), wrapped.to_vec(), prompt.cloned()).await?;
        Ok(Secret::new(secret))
    }

    async fn forget(&self, slot: &str) -> Answer<()> {
        Ok(self.0.forget(slot.to_owned()).await?)
    }
}

/// The app's passkeys as the engine sees them.
pub(crate) struct Passkeys(pub(crate) Arc<dyn PasskeyClient>);

#[async_trait]
impl core::PasskeyClient for Passkeys {
    async fn create(&self, options_json: &str) -> Answer<String> {
        Ok(self.0.create(options_json.to_owned()).await?)
    }

    async fn get(&self, options_json: &str) -> Answer<String> {
        Ok(self.0.get(options_json.to_owned()).await?)
    }
}
