//! A durable [`Store`] on sled 0.34, with group commit.
//!
//! One thread writes. It takes all batches that wait, checks their expectations in order, applies those that hold as one
//! sled batch, flushes, **syncs**, and only then answers them all. The sync is ours, because sled's `flush` calls
//! `sync_file_range`, which neither reaches the disk's own cache nor covers the file's metadata: after a power cut an
//! acknowledged write could be gone. So the group ends with an fdatasync of sled's log file, and of the files beside it
//! that hold large values. While it runs, the next group gathers.
//!
//! Readers see whole groups only, and may see one a moment before it is durable; what they then commit can only become
//! durable after it. When a sync fails, nothing is known about the disk any more: the store answers this and every later
//! commit with `store_failed` until it is opened anew (the kernel reports a failed sync only once).
//!
//! A deleted value stays in free parts of the log until sled writes over them: what must be gone when it is deleted goes
//! through `carekey_core::store::Sealed`, and its key with it.

mod layout;
mod sync;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use carekey_core::store::{CommitError, Record, Store, Table, Write, check_keys};
use carekey_core::{Error, Result, UnixTime};
use tokio::sync::{mpsc, oneshot};

use layout::{FORMAT, FORMAT_KEY};
use sync::{FileSync, Sync};
use writer::{Job, Writer};

/// Batches that may wait before a commit waits for its place in the queue.
const QUEUE: usize = 4096;
/// Memory for pages.
const CACHE_BYTES: u64 = 128 * 1024 * 1024;
/// How long a store that is just being closed is waited for.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use by another process; stop that one first", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// It was written by another version, or is not a store of CareKey.
    #[error("the store {} has the format {found:?}, this program reads {FORMAT:?}", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// What the format record says; empty when there is none.
        found: String,
    },
    /// The disk or sled failed.
    #[error("the store {} does not open: {reason}", path.display())]
    Failed {
        /// The folder.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

/// The embedded store. One process at a time; share it within the process by `Arc`.
pub struct SledStore {
    /// The lock makes a group visible at once: readers share it, the writer takes it alone while it applies.
    tree: Arc<RwLock<sled::Tree>>,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl SledStore {
    /// Opens the store in the folder `path`, or makes one there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, |path| Ok(Box::new(FileSync::open(path)?)))
    }

    fn open_with(
        path: &Path,
        make_sync: impl FnOnce(&Path) -> std::io::Result<Box<dyn Sync>>,
    ) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError::Failed { path: path.to_owned(), reason };
        let db = open_sled(path)?;
        let mut sync = make_sync(path).map_err(|error| failed(error.to_string()))?;
        let tree: sled::Tree = (*db).clone();
        match tree.get(FORMAT_KEY).map_err(|error| failed(error.to_string()))? {
            Some(found) if *found == *FORMAT.as_bytes() => {}
            None if tree.is_empty() => {
                tree.insert(FORMAT_KEY, FORMAT.as_bytes()).map_err(|error| failed(error.to_string()))?;
                tree.flush().map_err(|error| failed(error.to_string()))?;
                sync.sync().map_err(|error| failed(error.to_string()))?;
            }
            found => {
                let found = String::from_utf8_lossy(&found.unwrap_or_default()).chars().take(64).collect();
                return Err(OpenError::Format { path: path.to_owned(), found });
            }
        }
        let tree = Arc::new(RwLock::new(tree));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(db, Arc::clone(&tree), sync).map_err(|error| failed(error.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("carekey-store".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { tree, jobs: Some(jobs), thread: Some(thread) })
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job + Send) -> Result<T> {
        let gone = || Error::unavailable("store_failed", "the store has stopped");
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

fn open_sled(path: &Path) -> Result<sled::Db, OpenError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(error) if is_lock(&error) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => {
                return Err(OpenError::Failed { path: path.to_owned(), reason: error.to_string() });
            }
        }
    }
    Err(OpenError::Locked { path: path.to_owned() })
}

fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

#[async_trait]
impl Store for SledStore {
    async fn read(&self, table: Table, key: &[u8]) -> Result<Option<Record>> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let found = tree.get(layout::data_key(table, key)).map_err(|error| read_failed(&error))?;
        found.map(|bytes| layout::decode(&bytes)).transpose()
    }

    async fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Record)>> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let prefix = layout::data_key(table, &[]);
        // The smallest key behind `after` is `after` with a zero byte.
        let start = after.map_or_else(|| prefix.clone(), |key| [&prefix, key, &[0]].concat());
        let mut page = Vec::new();
        for entry in tree.range(start..).take(limit) {
            let (key, bytes) = entry.map_err(|error| read_failed(&error))?;
            let Some(key) = key.strip_prefix(prefix.as_slice()) else { break };
            page.push((key.to_vec(), layout::decode(&bytes)?));
        }
        Ok(page)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        check_keys(&writes)?;
        self.ask(|answer| Job::Commit { writes, answer }).await?
    }

    async fn purge_expired(&self, now: UnixTime, limit: usize) -> Result<usize> {
        self.ask(|answer| Job::Purge { now, limit, answer }).await?
    }
}

/// What sled says may name a path, not a value.
fn read_failed(error: &sled::Error) -> Error {
    Error::unavailable("store_failed", format!("the store cannot be read: {error}"))
}

impl Drop for SledStore {
    /// Waits until what was asked for is done and the files are closed.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SledStore")
    }
}
