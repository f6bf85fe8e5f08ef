//! Where the services keep their records: one small trait, an in-memory store, and sealing for health data.
//!
//! A store is a set of tables; a table maps keys to [`Record`]s. All changes go through [`Store::commit`], which applies
//! a batch as a whole or not at all and returns only when the batch would survive a power cut. Each write carries an
//! [`Expect`]ation about the record it replaces, and that is all the concurrency control there is: one-time things are
//! [`take`]n, everything else is changed with [`update_json`].
//!
//! Keys lie on disk as they are. A key must be a random identifier, a counter or a hash, never a claim value. Values
//! that hold health data go through [`Sealed`].
//!
//! A store has no clock: [`Store::read`] returns a record that has expired as long as nobody purged it, so the reader
//! compares [`Record::expires_at`] with its own `now` ([`Record::is_live`]).

mod memory;
mod sealed;
mod typed;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use crate::clock::UnixTime;
use crate::error::{Error, Result};

pub use memory::MemoryStore;
pub use sealed::Sealed;
pub use typed::{Stored, put_json, read_json, scan_json, take, take_json, update_json};

/// The name of a table: lower-case ASCII letters, digits and `_`, 1 to 32 of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Table(&'static str);

impl Table {
    /// The table `name`; a name outside the alphabet does not compile in a `const`.
    pub const fn new(name: &'static str) -> Self {
        let mut rest = name.as_bytes();
        assert!(!rest.is_empty() && rest.len() <= 32, "a table name has 1 to 32 characters");
        while let [first, tail @ ..] = rest {
            assert!(
                first.is_ascii_lowercase() || first.is_ascii_digit() || *first == b'_',
                "a table name is lower-case ASCII"
            );
            rest = tail;
        }
        Self(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// One record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The number of the write that made it. Later writes have greater numbers, and no number returns, not even after a
    /// deletion: two reads with the same version saw the same record.
    pub version: u64,
    /// The content; the store does not look into it.
    pub value: Vec<u8>,
    /// From this time on the record counts as absent and may be purged.
    pub expires_at: Option<UnixTime>,
}

impl Record {
    /// Whether the record still counts at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl std::fmt::Debug for Record {
    /// Without the value: it may be health data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("version", &self.version)
            .field("bytes", &self.value.len())
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What must be true of a record at the moment of the write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing: last writer wins.
    Any,
    /// There is no such record (an expired one that was not purged counts as present).
    Absent,
    /// The record exists and has this version.
    Version(u64),
}

/// One change within a [`Store::commit`].
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: Table,
    /// The key within the table, at most [`MAX_KEY_BYTES`].
    pub key: Vec<u8>,
    /// The precondition.
    pub expect: Expect,
    /// The new value and its expiry; `None` deletes the record.
    pub put: Option<(Vec<u8>, Option<UnixTime>)>,
}

impl Write {
    /// Writes `value`, unless `expect` fails.
    pub fn put(
        table: Table,
        key: impl Into<Vec<u8>>,
        expect: Expect,
        value: impl Into<Vec<u8>>,
        expires_at: Option<UnixTime>,
    ) -> Self {
        Self { table, key: key.into(), expect, put: Some((value.into(), expires_at)) }
    }

    /// Writes `value` as JSON, unless `expect` fails. A value that serde cannot write is [`Error::Misuse`]
    /// `store_not_serializable`.
    pub fn put_json<T: serde::Serialize + ?Sized>(
        table: Table,
        key: impl Into<Vec<u8>>,
        expect: Expect,
        value: &T,
        expires_at: Option<UnixTime>,
    ) -> Result<Self> {
        Ok(Self::put(table, key, expect, typed::to_json(value)?, expires_at))
    }

    /// Deletes the record, unless `expect` fails.
    pub fn delete(table: Table, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        Self { table, key: key.into(), expect, put: None }
    }
}

impl std::fmt::Debug for Write {
    /// Without the value: it may be health data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write")
            .field("table", &self.table)
            .field("expect", &self.expect)
            .field("bytes", &self.put.as_ref().map(|(value, _)| value.len()))
            .finish_non_exhaustive()
    }
}

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// Why a commit did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The expectation of the write at `index` of the batch did not hold.
    #[error("the record has changed (write {index} of the batch)")]
    Conflict {
        /// Position in the batch, from 0.
        index: usize,
    },
    /// The store could not do its work, or refuses the batch as such. After [`Error::Unavailable`] it is unknown
    /// whether the batch will be there after a restart.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => {
                Error::refused("store_conflict", "another request changed the same record")
            }
            CommitError::Failed(error) => error,
        }
    }
}

/// A store of records. Readers see committed batches only.
#[async_trait]
pub trait Store: Send + Sync {
    /// The record under `key`, expired or not.
    async fn read(&self, table: Table, key: &[u8]) -> Result<Option<Record>>;

    /// Up to `limit` records in the order of their keys, beginning after `after` (exclusive). The page is not a
    /// snapshot together with the next one.
    async fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Record)>>;

    /// Applies all of `writes`, in order, or none; each expectation sees the writes before it in the same batch. When it
    /// returns `Ok`, the batch is durable.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError>;

    /// Deletes up to `limit` records whose time has come at `now`, in all tables; returns how many.
    async fn purge_expired(&self, now: UnixTime, limit: usize) -> Result<usize>;
}

#[async_trait]
impl<S: Store + ?Sized> Store for std::sync::Arc<S> {
    async fn read(&self, table: Table, key: &[u8]) -> Result<Option<Record>> {
        (**self).read(table, key).await
    }

    async fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Record)>> {
        (**self).scan(table, after, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        (**self).commit(writes).await
    }

    async fn purge_expired(&self, now: UnixTime, limit: usize) -> Result<usize> {
        (**self).purge_expired(now, limit).await
    }
}

/// [`Error::Misuse`] `store_key` unless every key of the batch fits.
pub fn check_keys(writes: &[Write]) -> Result<()> {
    if writes.iter().all(|write| !write.key.is_empty() && write.key.len() <= MAX_KEY_BYTES) {
        Ok(())
    } else {
        Err(Error::misuse("store_key", "a key has 1 to 512 bytes"))
    }
}
