//! The one thread that writes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use carekey_core::store::{CommitError, Expect, Write};
use carekey_core::{Error, Result, UnixTime};
use tokio::sync::{mpsc, oneshot};

use super::layout::{self, SEQUENCE_KEY};
use super::sync::Sync;

/// Jobs in one group: bounds the memory and the time that the first of them waits.
const GROUP: usize = 1024;

/// What the thread is asked for.
pub(super) enum Job {
    Commit { writes: Vec<Write>, answer: oneshot::Sender<Result<(), CommitError>> },
    Purge { now: UnixTime, limit: usize, answer: oneshot::Sender<Result<usize>> },
}

pub(super) struct Writer {
    db: sled::Db,
    tree: Arc<RwLock<sled::Tree>>,
    sync: Box<dyn Sync>,
    sequence: u64,
    failed: bool,
}

/// The changes of a group before they are applied, by sled key; `None` deletes.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Writer {
    pub(super) fn new(
        db: sled::Db,
        tree: Arc<RwLock<sled::Tree>>,
        sync: Box<dyn Sync>,
    ) -> Result<Self, sled::Error> {
        let stored = db.get(SEQUENCE_KEY)?;
        let sequence = stored.and_then(|bytes| Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?)));
        Ok(Self { db, tree, sync, sequence: sequence.unwrap_or(0), failed: false })
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            self.work(group);
        }
    }

    fn work(&mut self, group: Vec<Job>) {
        let mut changes = Changes::new();
        // Who asked, and what to tell them once the group is durable.
        let mut answers: Vec<Box<dyn FnOnce(Result<()>)>> = Vec::with_capacity(group.len());
        for job in group {
            match job {
                Job::Commit { writes, answer } => {
                    let outcome = self.commit(&mut changes, writes);
                    answers.push(Box::new(move |durable| {
                        let _ = answer.send(outcome.and_then(|()| Ok(durable?)));
                    }));
                }
                Job::Purge { now, limit, answer } => {
                    let outcome = self.purge(&mut changes, now, limit);
                    answers.push(Box::new(move |durable| {
                        let _ = answer.send(outcome.and_then(|count| durable.map(|()| count)));
                    }));
                }
            }
        }
        let durable = self.make_durable(changes);
        for answer in answers {
            answer(durable.clone());
        }
    }

    /// Adds the writes to `changes` if every expectation holds.
    fn commit(&mut self, changes: &mut Changes, writes: Vec<Write>) -> Result<(), CommitError> {
        let version = self.sequence.saturating_add(1);
        let mut batch = Changes::new();
        for (index, write) in writes.into_iter().enumerate() {
            let key = layout::data_key(write.table, &write.key);
            let current = match batch.get(&key).or_else(|| changes.get(&key)) {
                Some(changed) => changed.as_deref().map(layout::decode).transpose()?,
                None => self.stored(&key)?.map(|bytes| layout::decode(&bytes)).transpose()?,
            };
            let holds = match write.expect {
                Expect::Any => true,
                Expect::Absent => current.is_none(),
                Expect::Version(version) => current.as_ref().is_some_and(|record| record.version == version),
            };
            if !holds {
                return Err(CommitError::Conflict { index });
            }
            if let Some(end) = current.and_then(|record| record.expires_at) {
                batch.insert(layout::expiry_key(&key, end), None);
            }
            match write.put {
                Some((value, expires_at)) => {
                    if let Some(end) = expires_at {
                        batch.insert(layout::expiry_key(&key, end), Some(Vec::new()));
                    }
                    batch.insert(key, Some(layout::encode(version, expires_at, &value)));
                }
                None => {
                    batch.insert(key, None);
                }
            }
        }
        self.sequence = version;
        changes.append(&mut batch);
        Ok(())
    }

    /// Adds the deletion of expired records to `changes`. What expired within this very group waits for the next purge.
    fn purge(&self, changes: &mut Changes, now: UnixTime, limit: usize) -> Result<usize> {
        let mut count = 0;
        for entry in self.db.range(layout::expired(now)) {
            if count == limit {
                break;
            }
            let (expiry_key, _) = entry.map_err(|error| failed(&error))?;
            // An earlier job of this group may have renewed or deleted the record.
            if changes.contains_key(expiry_key.as_ref()) {
                continue;
            }
            if let Some(data_key) = layout::data_key_of(&expiry_key) {
                changes.insert(data_key, None);
                count += 1;
            }
            changes.insert(expiry_key.to_vec(), None);
        }
        Ok(count)
    }

    fn stored(&self, key: &[u8]) -> Result<Option<sled::IVec>> {
        self.db.get(key).map_err(|error| failed(&error))
    }

    fn make_durable(&mut self, changes: Changes) -> Result<()> {
        if self.failed {
            return Err(Error::unavailable(
                "store_failed",
                "the store failed before and must be opened anew",
            ));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let outcome = self.apply(changes);
        self.failed = outcome.is_err();
        outcome
    }

    fn apply(&mut self, changes: Changes) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (key, change) in changes {
            match change {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch.insert(SEQUENCE_KEY, &self.sequence.to_be_bytes());
        {
            let tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
            tree.apply_batch(batch).map_err(|error| failed(&error))?;
        }
        self.db.flush().map_err(|error| failed(&error))?;
        self.sync.sync().map_err(|error| {
            Error::unavailable("store_failed", format!("the store cannot be synced to disk: {error}"))
        })
    }
}

fn failed(error: &sled::Error) -> Error {
    Error::unavailable("store_failed", format!("the store cannot be written: {error}"))
}
