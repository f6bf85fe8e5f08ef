//! A store in memory: for tests, and for what may be lost with the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{CommitError, Expect, Record, Store, Table, Write, check_keys};
use crate::clock::UnixTime;
use crate::error::Result;

type Records = BTreeMap<(Table, Vec<u8>), Record>;

/// A [`Store`] that forgets everything when dropped. Atomic like the durable ones, durable like nothing.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: Records,
    sequence: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A batch is computed on the side and swapped in whole, so a panic elsewhere leaves no half of it here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, table: Table, key: &[u8]) -> Result<Option<Record>> {
        Ok(self.state().records.get(&(table, key.to_vec())).cloned())
    }

    async fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Record)>> {
        let start = match after {
            Some(key) => Bound::Excluded((table, key.to_vec())),
            None => Bound::Included((table, Vec::new())),
        };
        Ok(self
            .state()
            .records
            .range((start, Bound::Unbounded))
            .take_while(|((of, _), _)| *of == table)
            .take(limit)
            .map(|((_, key), record)| (key.clone(), record.clone()))
            .collect())
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        check_keys(&writes)?;
        let mut state = self.state();
        let version = state.sequence.saturating_add(1);
        let mut changes: BTreeMap<(Table, Vec<u8>), Option<Record>> = BTreeMap::new();
        for (index, write) in writes.into_iter().enumerate() {
            let place = (write.table, write.key);
            let current = match changes.get(&place) {
                Some(changed) => changed.as_ref(),
                None => state.records.get(&place),
            };
            let holds = match write.expect {
                Expect::Any => true,
                Expect::Absent => current.is_none(),
                Expect::Version(version) => current.is_some_and(|record| record.version == version),
            };
            if !holds {
                return Err(CommitError::Conflict { index });
            }
            changes.insert(place, write.put.map(|(value, expires_at)| Record { version, value, expires_at }));
        }
        state.sequence = version;
        for (place, change) in changes {
            match change {
                Some(record) => state.records.insert(place, record),
                None => state.records.remove(&place),
            };
        }
        Ok(())
    }

    async fn purge_expired(&self, now: UnixTime, limit: usize) -> Result<usize> {
        let mut state = self.state();
        let dead: Vec<_> = state
            .records
            .iter()
            .filter(|(_, record)| !record.is_live(now))
            .take(limit)
            .map(|(place, _)| place.clone())
            .collect();
        for place in &dead {
            state.records.remove(place);
        }
        Ok(dead.len())
    }
}
