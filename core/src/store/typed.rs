//! Records as serde types, and the two ways to change them: take once, or read, change, and write back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CommitError, Expect, Record, Store, Table, Write};
use crate::clock::UnixTime;
use crate::error::{Error, Result};

/// A record that was read as a `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// The version, for [`Expect::Version`].
    pub version: u64,
    /// The content.
    pub value: T,
    /// From this time on the record counts as absent.
    pub expires_at: Option<UnixTime>,
}

impl<T> Stored<T> {
    /// Whether the record still counts at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|_| Error::misuse("store_not_serializable", "the value cannot be written as JSON"))
}

fn from_record<T: DeserializeOwned>(table: Table, record: &Record) -> Result<Stored<T>> {
    // What serde says may quote the content, so it is not passed on.
    let value = serde_json::from_slice(&record.value).map_err(|_| {
        Error::unavailable("store_corrupt", format!("a record of table {} is unreadable", table.name()))
    })?;
    Ok(Stored { version: record.version, value, expires_at: record.expires_at })
}

/// The record under `key` as a `T`, expired or not. A record that is not a `T` is [`Error::Unavailable`]
/// `store_corrupt`.
pub async fn read_json<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    key: impl AsRef<[u8]> + Send,
) -> Result<Option<Stored<T>>> {
    store.read(table, key.as_ref()).await?.map(|record| from_record(table, &record)).transpose()
}

/// A page of [`Store::scan`] as `T`s.
pub async fn scan_json<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Stored<T>)>> {
    let page = store.scan(table, after, limit).await?;
    page.into_iter().map(|(key, record)| Ok((key, from_record(table, &record)?))).collect()
}

/// Writes one record as JSON.
pub async fn put_json<T: Serialize + Sync + ?Sized>(
    store: &dyn Store,
    table: Table,
    key: impl AsRef<[u8]> + Send,
    expect: Expect,
    value: &T,
    expires_at: Option<UnixTime>,
) -> Result<(), CommitError> {
    let write = Write::put_json(table, key.as_ref(), expect, value, expires_at)?;
    store.commit(vec![write]).await
}

/// Removes the record under `key` and returns it: of any number of callers at the same time exactly one gets it. The
/// caller checks [`Record::is_live`]: an expired record is taken too.
pub async fn take(store: &dyn Store, table: Table, key: impl AsRef<[u8]> + Send) -> Result<Option<Record>> {
    let key = key.as_ref();
    loop {
        let Some(record) = store.read(table, key).await? else { return Ok(None) };
        match store.commit(vec![Write::delete(table, key, Expect::Version(record.version))]).await {
            Ok(()) => return Ok(Some(record)),
            // Somebody took it, or wrote it anew: look again.
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
    }
}

/// [`take`], as a `T`, with the check of time: `None` when it is absent, was taken, or has expired at `now`.
pub async fn take_json<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    key: impl AsRef<[u8]> + Send,
    now: UnixTime,
) -> Result<Option<T>> {
    match take(store, table, key).await? {
        Some(record) if record.is_live(now) => Ok(Some(from_record(table, &record)?.value)),
        _ => Ok(None),
    }
}

/// Reads the record under `key`, lets `change` alter it, and writes it back if nobody else wrote in between; otherwise
/// starts again with the fresh record. `None` when there is no such live record at `now`. When `change` returns an
/// error, nothing is written. The expiry stays.
pub async fn update_json<T, R>(
    store: &dyn Store,
    table: Table,
    key: impl AsRef<[u8]> + Send,
    now: UnixTime,
    mut change: impl FnMut(&mut T) -> Result<R> + Send,
) -> Result<Option<R>>
where
    T: Serialize + DeserializeOwned + Send + Sync,
    R: Send,
{
    let key = key.as_ref();
    loop {
        let Some(Stored { version, mut value, expires_at }) = read_json::<T>(store, table, key).await? else {
            return Ok(None);
        };
        if expires_at.is_some_and(|end| now >= end) {
            return Ok(None);
        }
        let outcome = change(&mut value)?;
        match put_json(store, table, key, Expect::Version(version), &value, expires_at).await {
            Ok(()) => return Ok(Some(outcome)),
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Failed(error)) => return Err(error),
        }
    }
}
