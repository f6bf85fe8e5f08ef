//! Ways to unlock: the data key, wrapped.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::{Vault, derive};
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

const VERSION: u8 = 1;
const KEK_INFO: &[u8] = b"carekey vault kek v1";

/// What unlocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlockKind {
    /// The output of a passkey's PRF extension.
    Prf,
    /// A key in a file of this device.
    Device,
    /// A secret that a key of the device's hardware wraps.
    Hardware,
    /// A recovery code.
    Recovery,
}

/// The data key, wrapped for one way to unlock: KEK = HKDF-SHA256(secret, random salt, `"carekey vault kek v1"` ‖ entry
/// id), then AES-256-GCM with version, kind, vault and entry id as additional data. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockEntry {
    version: u8,
    kind: UnlockKind,
    id: String,
    vault: String,
    salt: String,
    nonce: String,
    wrapped: String,
}

impl UnlockEntry {
    /// What unlocks it.
    pub fn kind(&self) -> UnlockKind {
        self.kind
    }

    /// The id that it was made with.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens the vault with the secret of this entry: the output of the PRF, or the key of the device.
    ///
    /// # Errors
    /// `vault_wrong_key` ([`Error::Refused`]) when the secret is another one; nothing is lost by trying.
    /// `vault_secret_short` for less than 32 bytes, `vault_entry` for an entry that is damaged, `vault_version` for one
    /// of another version.
    pub fn open(&self, secret: &[u8]) -> Result<Vault> {
        if self.version != VERSION {
            return Err(Error::unsupported("vault_version", "the unlock entry is of another version"));
        }
        let vault: [u8; 16] = self.field(&self.vault)?;
        let salt: [u8; 32] = self.field(&self.salt)?;
        let nonce: [u8; NONCE_LEN] = self.field(&self.nonce)?;
        let mut wrapped: [u8; 48] = self.field(&self.wrapped)?;
        let kek = kek(secret, &salt, &self.id)?;
        let opened = kek
            .open_in_place(Nonce::assume_unique_for_key(nonce), self.aad(&vault), &mut wrapped)
            .map_err(|_| Error::refused("vault_wrong_key", "this does not unlock the vault"))?;
        let mut data_key = Secret::new([0; 32]);
        data_key.expose_mut().copy_from_slice(opened);
        zeroize::Zeroize::zeroize(&mut wrapped);
        Ok(Vault::from_data_key(vault, data_key))
    }

    pub(super) fn wrap(
        vault: &Vault,
        kind: UnlockKind,
        id: &str,
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Self> {
        let (salt, nonce): ([u8; 32], [u8; NONCE_LEN]) = (random.array(), random.array());
        let mut entry = Self {
            version: VERSION,
            kind,
            id: id.to_owned(),
            vault: base64url::encode(&vault.id),
            salt: base64url::encode(&salt),
            nonce: base64url::encode(&nonce),
            wrapped: String::new(),
        };
        let kek = kek(secret, &salt, id)?;
        let mut sealed = Secret::new(vault.data_key.expose().to_vec());
        kek.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            entry.aad(&vault.id),
            sealed.expose_mut(),
        )
        .map_err(|_| Error::misuse("vault_wrap", "the data key cannot be wrapped"))?;
        entry.wrapped = base64url::encode(sealed.expose());
        Ok(entry)
    }

    fn aad(&self, vault: &[u8; 16]) -> Aad<Vec<u8>> {
        let kind = match self.kind {
            UnlockKind::Prf => 1,
            UnlockKind::Device => 2,
            UnlockKind::Hardware => 3,
            UnlockKind::Recovery => 4,
        };
        Aad::from([&[self.version, kind], vault.as_slice(), self.id.as_bytes()].concat())
    }

    fn field<const N: usize>(&self, text: &str) -> Result<[u8; N]> {
        let bytes = base64url::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| Error::malformed("vault_entry", "the unlock entry is damaged"))
    }
}

fn kek(secret: &[u8], salt: &[u8; 32], id: &str) -> Result<LessSafeKey> {
    if secret.len() < 32 {
        return Err(Error::malformed("vault_secret_short", "an unlock secret has at least 32 bytes"));
    }
    let kek = derive(secret, salt, &[KEK_INFO, id.as_bytes()]);
    let key = UnboundKey::new(&AES_256_GCM, kek.expose())
        .map_err(|_| Error::misuse("vault_wrap", "AES-256-GCM takes 32 bytes"))?;
    Ok(LessSafeKey::new(key))
}
