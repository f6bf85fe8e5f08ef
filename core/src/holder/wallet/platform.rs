//! What the app around the wallet provides: keys in hardware, passkeys, a log.
//!
//! Calls come on a background thread; whoever shows a prompt changes to the main thread by itself.

use async_trait::async_trait;

use crate::holder::{KeyPurpose, SignItem};
pub use crate::vault::{GenerationAnchor, KeyWrapper, PlatformError, Prompt, StorageError, WalletStorage};

/// What a key demands of the person before each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpec {
    /// The name under which it is used from then on.
    pub alias: String,
    /// What for.
    pub purpose: KeyPurpose,
    /// What it demands.
    pub auth: AuthRequirement,
    /// Whether a separate security chip is preferred to the processor's own.
    pub prefer_strongbox: bool,
    /// What the evidence about the key commits to: the hash of the client data for [`KeyPurpose::AuthenticatorKey`],
    /// the issuer's nonce for [`KeyPurpose::HolderKey`]; empty when no evidence is wanted.
    pub attestation_challenge: Vec<u8>,
}

/// What the platform says about a key, for the issuer to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// The key store of the device: P-256 keys that never leave it.
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
    async fn sign(
        &self,
        items: Vec<SignItem>,
        prompt: Option<&Prompt>,
    ) -> Result<Vec<Vec<u8>>, PlatformError>;

    /// Forgets a key for ever; an unknown name is no error.
    async fn delete(&self, alias: &str) -> Result<(), PlatformError>;
}

/// The platform's passkeys and security keys (Credential Manager, AuthenticationServices): JSON of WebAuthn Level 3
/// sections 5.1.8 to 5.1.10 in and out. Each call is one prompt.
#[async_trait]
pub trait PasskeyClient: Send + Sync {
    /// `PublicKeyCredentialCreationOptionsJSON` to `RegistrationResponseJSON`.
    async fn create(&self, options_json: &str) -> Result<String, PlatformError>;

    /// `PublicKeyCredentialRequestOptionsJSON` to `AuthenticationResponseJSON`.
    async fn get(&self, options_json: &str) -> Result<String, PlatformError>;
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Course of events.
    Debug,
    /// Worth knowing.
    Info,
    /// Something went wrong and was dealt with.
    Warn,
    /// Something went wrong.
    Error,
}

/// Takes the wallet's log: ids and codes, no claims, no secrets. Called on any thread; must not block.
pub trait LogSink: Send + Sync {
    /// One line.
    fn log(&self, level: LogLevel, target: &str, message: &str);
}
