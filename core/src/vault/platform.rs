//! What the vault needs from the device around it: a place for bytes, and keys that wrap.

use async_trait::async_trait;

use crate::error::Error;
use crate::secret::Secret;

/// What the system shows when it asks for a finger or a face. All three are for the person, in their language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Short heading.
    pub title: String,
    /// What the confirmation is for.
    pub reason: String,
    /// The label of the way out.
    pub cancel_label: String,
}

/// Why the platform did not do it. `reason` is for developers: no secret, no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// The person said no, or closed the prompt; also a cancelled coroutine or task.
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

impl From<PlatformError> for Error {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::UserCancelled => Error::refused("user_cancelled", "the person cancelled"),
            PlatformError::BiometryLockout => Error::refused("biometry_lockout", "the sensor is locked"),
            PlatformError::BiometryNotEnrolled => {
                Error::refused("biometry_not_enrolled", "no finger or face is enrolled on this device")
            }
            PlatformError::KeyInvalidated => {
                Error::refused("key_invalidated", "the device has destroyed the key")
            }
            PlatformError::NotAvailable { reason } => Error::unavailable("platform_not_available", reason),
            PlatformError::Unexpected { reason } => Error::unavailable("platform_unexpected", reason),
        }
    }
}

/// Why storage failed; for developers, no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage: {reason}")]
pub struct StorageError {
    /// For developers.
    pub reason: String,
}

impl StorageError {
    /// That reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Error::unavailable("vault_storage", error.to_string())
    }
}

/// Named bytes on the device. Everything in it is sealed or not secret. Names are at most 128 characters of
/// `A–Z a–z 0–9 . _ / -`.
///
/// [`put`](Self::put) is durable when it returns, and what it writes becomes visible as a whole or not at all; after a
/// crash in the middle, the old bytes, the new bytes, or (for a name that holds a new value) nothing may be there. Puts
/// and removals take effect in the order in which they were awaited. Nobody else writes under these names.
#[async_trait]
pub trait WalletStorage: Send + Sync {
    /// The bytes under `name`.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes over what may be there.
    async fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StorageError>;

    /// Removes; a name that is not there is no error.
    async fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// All names that begin with `prefix`, in any order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError>;
}

/// Wraps a secret by a key of the device's hardware: Android Keystore AES-GCM behind `BiometricPrompt`, or a Keychain
/// item with `.biometryCurrentSet`.
#[async_trait]
pub trait KeyWrapper: Send + Sync {
    /// Wraps `secret` for `slot`, making the slot's key if there is none. What returns is kept beside the records.
    async fn wrap(&self, slot: &str, secret: &Secret<Vec<u8>>) -> Result<Vec<u8>, PlatformError>;

    /// The secret again, after the person's confirmation.
    async fn unwrap_secret(
        &self,
        slot: &str,
        wrapped: &[u8],
        prompt: Option<&Prompt>,
    ) -> Result<Secret<Vec<u8>>, PlatformError>;

    /// Forgets the slot's key; an unknown slot is no error.
    async fn forget(&self, slot: &str) -> Result<(), PlatformError>;
}

/// A few bytes kept apart from [`WalletStorage`], where backups and file managers do not reach: a Keychain item of this
/// device only, or a file that backup rules exclude. The vault keeps its generation there, so that an older state of
/// the whole storage is noticed.
#[async_trait]
pub trait GenerationAnchor: Send + Sync {
    /// What was kept last.
    async fn load(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// Keeps `value`, durable when it returns.
    async fn store(&self, value: Vec<u8>) -> Result<(), StorageError>;
}
