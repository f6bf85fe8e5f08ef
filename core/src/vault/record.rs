//! Sealed records in a store.
//!
//! | part | what |
//! | --- | --- |
//! | key in the store | 16 bytes of HMAC-SHA256(name key, type), then HMAC-SHA256(name key, type ‖ 00 ‖ id) |
//! | value | `01` ‖ revision (8 bytes) ‖ nonce (24 bytes) ‖ XChaCha20-Poly1305 of `{"id":…,"value":…}` |
//! | additional data | `"carekey vault record"` ‖ format version ‖ vault id ‖ key in the store ‖ revision |
//!
//! The key in the store stands for type and id in the additional data: it is a keyed hash of both.

use aws_lc_rs::hmac;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Vault, damaged};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;
use crate::store::{CommitError, Expect, Store, Table, Write};

const TABLE: Table = Table::new("vault");
const VERSION: u8 = 1;
const TYPE_BYTES: usize = 16;
const PAGE: usize = 256;

/// A type of records, as in `RecordType::new("credential")`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordType(&'static str);

impl RecordType {
    /// The type `name`, which holds no NUL.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    pub(super) const fn name(self) -> &'static str {
        self.0
    }
}

/// What [`Vault::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// Ids and values, in no particular but a stable order.
    pub records: Vec<(String, T)>,
    /// Records that do not open: they were damaged or belong to another vault. They stay where they are.
    pub damaged: usize,
}

#[derive(Serialize)]
struct Sealing<'a, T: ?Sized> {
    id: &'a str,
    value: &'a T,
}

#[derive(Deserialize)]
struct Opened<T> {
    id: String,
    value: T,
}

impl Vault {
    /// Seals `value` as the record `id`, over the one that may be there.
    ///
    /// # Errors
    /// `store_conflict` when somebody else wrote it at the same moment; what the store says.
    pub async fn put<T: Serialize + Sync + ?Sized>(
        &self,
        store: &dyn Store,
        of: RecordType,
        id: &str,
        value: &T,
        random: &dyn Random,
    ) -> Result<()> {
        let key = self.key(of, id);
        let (expect, revision) = match store.read(TABLE, &key).await? {
            // A damaged record is replaced: it can never be read again.
            Some(record) => (Expect::Version(record.version), revision(&record.value).unwrap_or(0)),
            None => (Expect::Absent, 0),
        };
        let plain = serde_json::to_vec(&Sealing { id, value })
            .map(Secret::new)
            .map_err(|_| Error::misuse("vault_not_serializable", "the record cannot be written as JSON"))?;
        let sealed = self.seal(&key, revision.saturating_add(1), &plain, random.array())?;
        store.commit(vec![Write::put(TABLE, key, expect, sealed, None)]).await.map_err(CommitError::into)
    }

    /// The record `id`.
    ///
    /// # Errors
    /// `vault_record` ([`Error::Untrusted`]) when it does not open or is not a `T`; what the store says.
    pub async fn read<T: DeserializeOwned>(
        &self,
        store: &dyn Store,
        of: RecordType,
        id: &str,
    ) -> Result<Option<T>> {
        let key = self.key(of, id);
        let Some(record) = store.read(TABLE, &key).await? else { return Ok(None) };
        Ok(Some(self.open(of, &key, &record.value)?.1))
    }

    /// All records of one type.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list<T: DeserializeOwned>(&self, store: &dyn Store, of: RecordType) -> Result<Listed<T>> {
        let prefix = self.type_tag(of);
        let mut listed = Listed { records: Vec::new(), damaged: 0 };
        let mut after = prefix.to_vec();
        loop {
            let page = store.scan(TABLE, Some(&after), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(listed) };
            after.clone_from(last);
            for (key, record) in page {
                if !key.starts_with(&prefix) {
                    return Ok(listed);
                }
                match self.open(of, &key, &record.value) {
                    Ok(record) => listed.records.push(record),
                    Err(_) => listed.damaged = listed.damaged.saturating_add(1),
                }
            }
        }
    }

    /// Deletes the record `id`; returns whether it was there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn delete(&self, store: &dyn Store, of: RecordType, id: &str) -> Result<bool> {
        let taken = crate::store::take(store, TABLE, self.key(of, id)).await?;
        Ok(taken.is_some())
    }

    fn type_tag(&self, of: RecordType) -> [u8; TYPE_BYTES] {
        let mut tag = [0; TYPE_BYTES];
        let hash = hmac::sign(&self.name_key, of.0.as_bytes());
        for (byte, hashed) in tag.iter_mut().zip(hash.as_ref()) {
            *byte = *hashed;
        }
        tag
    }

    pub(super) fn key(&self, of: RecordType, id: &str) -> Vec<u8> {
        let name = [of.0.as_bytes(), &[0], id.as_bytes()].concat();
        [&self.type_tag(of), hmac::sign(&self.name_key, &name).as_ref()].concat()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.record_key.expose()))
    }

    fn aad(&self, key: &[u8], revision: u64) -> Vec<u8> {
        [b"carekey vault record", [VERSION].as_slice(), &self.id, key, &revision.to_be_bytes()].concat()
    }

    fn seal(&self, key: &[u8], revision: u64, plain: &Secret<Vec<u8>>, nonce: [u8; 24]) -> Result<Vec<u8>> {
        let payload = Payload { msg: plain.expose(), aad: &self.aad(key, revision) };
        let body = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| Error::misuse("vault_seal", "the record is too long to seal"))?;
        Ok([[VERSION].as_slice(), &revision.to_be_bytes(), &nonce, &body].concat())
    }

    fn open<T: DeserializeOwned>(&self, of: RecordType, key: &[u8], sealed: &[u8]) -> Result<(String, T)> {
        let broken = || {
            damaged("vault_record", "a record of the vault does not open: damaged, or not from this vault")
        };
        let revision = revision(sealed).ok_or_else(broken)?;
        let (nonce, body) = sealed.get(9..).and_then(<[u8]>::split_first_chunk::<24>).ok_or_else(broken)?;
        let payload = Payload { msg: body, aad: &self.aad(key, revision) };
        let plain = self.cipher().decrypt(XNonce::from_slice(nonce), payload).map_err(|_| broken())?;
        let plain = Secret::new(plain);
        let opened: Opened<T> = serde_json::from_slice(plain.expose()).map_err(|_| broken())?;
        if self.key(of, &opened.id) == key { Ok((opened.id, opened.value)) } else { Err(broken()) }
    }
}

/// The revision in a sealed value of this format; `None` for anything else.
pub(super) fn revision(sealed: &[u8]) -> Option<u64> {
    match sealed.split_first() {
        Some((&VERSION, rest)) => Some(u64::from_be_bytes(*rest.first_chunk()?)),
        _ => None,
    }
}
