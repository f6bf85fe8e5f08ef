//! The wallet's records at rest: one random data key, wrapped once per way to unlock, and every record sealed under it.
//!
//! * [`Vault::create`] draws a data key of 256 bits. Whoever holds a [`Vault`] holds the key: to lock is to drop it, and
//!   dropping wipes it.
//! * An [`UnlockEntry`] is the data key wrapped for one passkey (by the output of its PRF extension, WebAuthn Level 3
//!   section 10.1.4) or for a key in a file of this device. Entries are not secret; they are kept beside the records.
//!   Each opens the whole vault, and one can be added or thrown away without touching a record or another entry.
//! * Records lie in a [`Store`](crate::store::Store) under keyed hashes of their names, sealed with XChaCha20-Poly1305 and
//!   bound to their place.
//!
//! * [`records`] keeps records in an app's [`WalletStorage`], notices older states and survives an interrupted write; the
//!   [manual](crate::manual::vault) has the format, and what is noticed and what not.
//!
//! What [`Vault::put`] and its kin over a [`Store`](crate::store::Store) do **not** do: notice a record that was deleted, or
//! an *older* one put back in its own place. An entry by device file protects against somebody who has the records without
//! that file, and against nobody else. Values that were opened are plain memory of the caller.

mod backup;
mod entry;
mod memory;
mod opener;
mod platform;
mod record;
pub mod records;
mod recovery;
mod seal;
#[cfg(test)]
mod tests;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;

use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

pub use backup::BackupKey;
pub use entry::{UnlockEntry, UnlockKind};
pub use memory::{MemoryAnchor, MemoryStorage};
pub use opener::{Opener, UnlockPasskey};
pub use platform::{GenerationAnchor, KeyWrapper, PlatformError, Prompt, StorageError, WalletStorage};
pub use record::{Listed, RecordType};
pub use recovery::RecoveryCode;

/// An open vault. See the [module](self).
pub struct Vault {
    id: [u8; 16],
    data_key: Secret<[u8; 32]>,
    record_key: Secret<[u8; 32]>,
    records_key: Secret<[u8; 32]>,
    name_key: hmac::Key,
}

impl Vault {
    /// A new vault with a fresh data key. It cannot be opened again before an [`UnlockEntry`] has been kept.
    pub fn create(random: &dyn Random) -> Self {
        Self::from_data_key(random.array(), Secret::new(random.array()))
    }

    /// Wraps the data key by the output of a passkey's PRF (32 bytes or more), as the entry `id`.
    ///
    /// # Errors
    /// `vault_secret_short` when the output is shorter.
    pub fn add_prf_entry(&self, id: &str, prf: &[u8], random: &dyn Random) -> Result<UnlockEntry> {
        UnlockEntry::wrap(self, UnlockKind::Prf, id, prf, random)
    }

    /// Wraps the data key by a random key that the caller keeps in a file of this device, as the entry `id`: for
    /// authenticators without PRF.
    ///
    /// # Errors
    /// None in practice; those of [`Vault::add_prf_entry`].
    pub fn add_device_entry(&self, id: &str, key: &[u8; 32], random: &dyn Random) -> Result<UnlockEntry> {
        UnlockEntry::wrap(self, UnlockKind::Device, id, key, random)
    }

    fn id(&self) -> &[u8; 16] {
        &self.id
    }

    fn records_key(&self) -> &Secret<[u8; 32]> {
        &self.records_key
    }

    fn from_data_key(id: [u8; 16], data_key: Secret<[u8; 32]>) -> Self {
        let record_key = derive(data_key.expose(), &id, &[b"carekey vault records v1"]);
        let records_key = derive(data_key.expose(), &id, &[b"carekey vault storage v1"]);
        let name_key = derive(data_key.expose(), &id, &[b"carekey vault names v1"]);
        let name_key = hmac::Key::new(hmac::HMAC_SHA256, name_key.expose());
        Self { id, data_key, record_key, records_key, name_key }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

/// The length of a key, as HKDF wants to be told.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256 (RFC 5869) to 32 bytes. HKDF fails only for lengths that are not asked for here.
fn derive(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Secret<[u8; 32]> {
    let mut out = Secret::new([0; 32]);
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(secret);
    let filled = pseudorandom.expand(info, Bytes32).and_then(|key| key.fill(out.expose_mut()));
    debug_assert!(filled.is_ok());
    out
}

fn damaged(code: &'static str, detail: &'static str) -> Error {
    Error::untrusted(code, detail)
}
