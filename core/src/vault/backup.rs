//! A backup: bytes that only the recovery code opens.
//!
//! `CKBK` ‖ 01 ‖ salt (32 bytes) ‖ check (8 bytes) ‖ sealed content. The backup key comes from the recovery code; each
//! backup has a key of its own, HKDF-SHA256 of the backup key and the salt. The check is the beginning of a second
//! derivation from the same: it tells another code from damage, and tells nothing else. All of the head is additional
//! data of the seal.

use super::{derive, seal};
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

const MAGIC: &[u8; 5] = b"CKBK\x01";
const CHECK: usize = 8;

/// What seals backups; it lies in the open vault, so that a backup can be made without the code at hand. Backups that
/// were sealed before the code was replaced open with the code of then.
pub struct BackupKey(Secret<[u8; 32]>);

impl std::fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BackupKey(…)")
    }
}

impl BackupKey {
    pub(super) const fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    /// The key as text, for a record of the vault.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(base64url::encode(self.0.expose()))
    }

    /// The key of such a record.
    ///
    /// # Errors
    /// `backup_key` for anything else.
    pub fn from_text(text: &Secret<String>) -> Result<Self> {
        let bytes = base64url::decode(text.expose()).map(Secret::new);
        let key = bytes.ok().and_then(|bytes| bytes.expose().as_slice().try_into().ok());
        let damaged = || Error::malformed("backup_key", "the key of backups in the vault is damaged");
        key.map(|key| Self(Secret::new(key))).ok_or_else(damaged)
    }

    /// Seals `content`.
    ///
    /// # Errors
    /// `vault_seal` for content that is too long.
    pub fn seal(&self, content: &Secret<Vec<u8>>, random: &dyn Random) -> Result<Vec<u8>> {
        let salt: [u8; 32] = random.array();
        let head = [MAGIC.as_slice(), &salt, &self.check(&salt)].concat();
        let sealed = seal::seal_with(&self.key(&salt), &head, content, random)?;
        Ok([head, sealed].concat())
    }

    /// Opens a backup.
    ///
    /// # Errors
    /// `backup_format`: it is no backup; `backup_wrong_code`: it was sealed for another code; `backup_damaged`.
    pub fn open(&self, backup: &[u8]) -> Result<Secret<Vec<u8>>> {
        let format = || Error::malformed("backup_format", "this is no backup of a wallet");
        let rest = backup.strip_prefix(MAGIC).ok_or_else(format)?;
        let (salt, rest) = rest.split_first_chunk::<32>().ok_or_else(format)?;
        let (check, sealed) = rest.split_first_chunk::<CHECK>().ok_or_else(format)?;
        if *check != self.check(salt) {
            return Err(Error::refused("backup_wrong_code", "the backup was made for another recovery code"));
        }
        let head = [MAGIC.as_slice(), salt, check].concat();
        let damaged = || Error::untrusted("backup_damaged", "the backup is damaged or was changed");
        seal::open_with(&self.key(salt), &head, sealed).ok_or_else(damaged)
    }

    fn key(&self, salt: &[u8; 32]) -> Secret<[u8; 32]> {
        derive(self.0.expose(), salt, &[b"carekey backup seal v1"])
    }

    fn check(&self, salt: &[u8; 32]) -> [u8; CHECK] {
        let derived = derive(self.0.expose(), salt, &[b"carekey backup check v1"]);
        derived.expose().first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;
    use crate::vault::RecoveryCode;

    #[test]
    fn only_its_code_opens_it_and_every_byte_counts() {
        let random: &dyn Random = &SystemRandom;
        let code = RecoveryCode::generate(random);
        let content = Secret::new(b"Zo\xc3\xab".to_vec());
        let backup = code.backup_key().seal(&content, random).unwrap();
        let kept = BackupKey::from_text(&code.backup_key().to_text()).unwrap();
        assert_eq!(kept.open(&backup).unwrap().expose(), content.expose());
        let other = RecoveryCode::generate(random).backup_key();
        assert_eq!(other.open(&backup).unwrap_err().code(), "backup_wrong_code");
        for at in 0..backup.len() {
            let mut changed = backup.clone();
            changed[at] ^= 1;
            assert!(kept.open(&changed).is_err(), "byte {at}");
            assert!(kept.open(&backup[..at]).is_err(), "length {at}");
        }
        assert_eq!(kept.open(b"PK").unwrap_err().code(), "backup_format");
        assert_eq!(BackupKey::from_text(&Secret::new("x".into())).unwrap_err().code(), "backup_key");
        assert!(!backup.windows(3).any(|part| part == &content.expose()[..3]));
    }
}
