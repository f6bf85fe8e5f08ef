//! Values sealed before they reach the disk: AES-256-GCM, bound to their place.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{CommitError, Record, Store, Table, Write};
use crate::clock::UnixTime;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

/// A [`Store`] whose values are sealed: form `0x01 ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)`, with table, key and
/// expiry as additional data. A value that was moved to another place or whose expiry was changed does not open.
///
/// What it does not do: keys, sizes, expiry times and the number of records stay visible, and somebody who can write the
/// disk can put an *older* value back in its own place. Nonces are random, so one key is good for 2³² writes.
pub struct Sealed<S> {
    store: S,
    key: LessSafeKey,
    random: Arc<dyn Random>,
}

const FORM: u8 = 1;

impl<S: Store> Sealed<S> {
    /// Seals what goes into `store` under `key`.
    pub fn new(store: S, key: &Secret<[u8; 32]>, random: Arc<dyn Random>) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose())
            .map_err(|_| Error::misuse("store_key_length", "the sealing key has 32 bytes"))?;
        Ok(Self { store, key: LessSafeKey::new(key), random })
    }

    fn seal(
        &self,
        table: Table,
        key: &[u8],
        expires_at: Option<UnixTime>,
        value: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = self.random.array();
        let mut body = value;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place(table, key, expires_at)),
                &mut body,
            )
            .map_err(|_| Error::misuse("store_seal", "the value is too long to seal"))?;
        let mut out = Vec::with_capacity(body.len().saturating_add(1 + NONCE_LEN));
        out.push(FORM);
        out.extend_from_slice(&nonce);
        out.append(&mut body);
        Ok(out)
    }

    fn open(&self, table: Table, key: &[u8], record: Record) -> Result<Record> {
        let fail = || {
            Error::unavailable(
                "store_unsealable",
                format!("a record of table {} does not open with this key", table.name()),
            )
        };
        let (nonce, body) = match record.value.split_first() {
            Some((&FORM, rest)) => rest.split_first_chunk::<NONCE_LEN>().ok_or_else(fail)?,
            _ => return Err(fail()),
        };
        let mut body = body.to_vec();
        let value = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place(table, key, record.expires_at)),
                &mut body,
            )
            .map_err(|_| fail())?;
        Ok(Record { value: value.to_vec(), ..record })
    }
}

/// Table and key cannot be mistaken for one another: no table name holds a NUL.
fn place(table: Table, key: &[u8], expires_at: Option<UnixTime>) -> Vec<u8> {
    let mut out = b"carekey store v1\0".to_vec();
    out.extend_from_slice(&expires_at.map_or(i64::MAX, UnixTime::as_secs).to_be_bytes());
    out.extend_from_slice(table.name().as_bytes());
    out.push(0);
    out.extend_from_slice(key);
    out
}

#[async_trait]
impl<S: Store> Store for Sealed<S> {
    async fn read(&self, table: Table, key: &[u8]) -> Result<Option<Record>> {
        self.store.read(table, key).await?.map(|record| self.open(table, key, record)).transpose()
    }

    async fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Record)>> {
        let page = self.store.scan(table, after, limit).await?;
        page.into_iter()
            .map(|(key, record)| {
                let record = self.open(table, &key, record)?;
                Ok((key, record))
            })
            .collect()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let mut sealed = Vec::with_capacity(writes.len());
        for mut write in writes {
            if let Some((value, expires_at)) = write.put.take() {
                write.put = Some((self.seal(write.table, &write.key, expires_at, value)?, expires_at));
            }
            sealed.push(write);
        }
        self.store.commit(sealed).await
    }

    async fn purge_expired(&self, now: UnixTime, limit: usize) -> Result<usize> {
        self.store.purge_expired(now, limit).await
    }
}

impl<S> std::fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}
