//! An unlock entry with what is needed to ask for its secret.

use serde::{Deserialize, Serialize};

use super::{RecoveryCode, UnlockEntry, UnlockKind, Vault};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

/// A way to unlock: the wrapped data key, and how to get at its secret. Not secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opener {
    entry: UnlockEntry,
    /// When it was added.
    pub created_at: UnixTime,
    /// Its name for the person.
    pub label: String,
    /// [`UnlockKind::Hardware`]: the secret of the entry, wrapped by the key of the slot that has the entry's id;
    /// base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<String>,
    /// [`UnlockKind::Prf`]: the passkey to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<UnlockPasskey>,
}

/// The passkey of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockPasskey {
    /// WebAuthn credential id, base64url.
    pub credential_id: String,
    /// Its public key: the answer that brings the secret is verified, user verification included.
    pub public_key: crate::jose::jwk::Jwk,
    /// The BE flag it was made with.
    pub backup_eligible: bool,
    /// PRF input, base64url; random per passkey.
    pub prf_salt: String,
    /// How the authenticator can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
}

impl Opener {
    /// A way to unlock by the entry alone: recovery code or device key.
    pub fn new(entry: UnlockEntry, label: &str, created_at: UnixTime) -> Self {
        Self { entry, created_at, label: label.to_owned(), wrapped: None, passkey: None }
    }

    /// The id of the entry.
    pub fn id(&self) -> &str {
        self.entry.id()
    }

    /// What unlocks.
    pub fn kind(&self) -> UnlockKind {
        self.entry.kind()
    }

    /// Opens the vault with the secret.
    ///
    /// # Errors
    /// Those of [`UnlockEntry::open`].
    pub fn open(&self, secret: &[u8]) -> Result<Vault> {
        self.entry.open(secret)
    }

    /// Opens the vault with a recovery code.
    ///
    /// # Errors
    /// `vault_wrong_key` when it is the code of another vault, or an old one; nothing is lost by trying.
    pub fn open_with_code(&self, code: &RecoveryCode) -> Result<Vault> {
        if self.kind() != UnlockKind::Recovery {
            return Err(Error::misuse("vault_entry_kind", "this entry is not a recovery code"));
        }
        self.entry.open(code.unlock_secret().expose())
    }
}

impl Vault {
    /// Wraps the data key by a recovery code, as the entry `id`.
    ///
    /// # Errors
    /// None in practice; those of [`Vault::add_prf_entry`].
    pub fn add_recovery_entry(
        &self,
        id: &str,
        code: &RecoveryCode,
        random: &dyn Random,
    ) -> Result<UnlockEntry> {
        UnlockEntry::wrap(self, UnlockKind::Recovery, id, code.unlock_secret().expose(), random)
    }

    /// Wraps the data key by a random secret that the device's hardware wraps in turn, as the entry `id`.
    ///
    /// # Errors
    /// Those of [`Vault::add_prf_entry`].
    pub fn add_hardware_entry(
        &self,
        id: &str,
        secret: &Secret<Vec<u8>>,
        random: &dyn Random,
    ) -> Result<UnlockEntry> {
        UnlockEntry::wrap(self, UnlockKind::Hardware, id, secret.expose(), random)
    }
}
