//! The root: what the vault holds, under one generation. Writing it is what commits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{Vault, seal};
use super::page::Name;
use crate::encoding::base64url;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

const KIND: &str = "root";

/// Everything that is valid at one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    /// Counts commits from 1.
    pub(super) generation: u64,
    /// SHA-256 of each unlock entry's file, by its id.
    pub(super) entries: BTreeMap<String, String>,
    /// The index of each type of record.
    pub(super) types: BTreeMap<String, Vec<PageRef>>,
}

/// One page of an index: `[name, generation, rows]`; no rows, no page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageRef(pub(super) String, pub(super) u64, pub(super) usize);

impl PageRef {
    pub(super) fn name(&self) -> Name {
        base64url::decode(&self.0).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    }
}

impl Root {
    /// How many records there are.
    pub(super) fn records(&self) -> usize {
        self.types.values().flatten().map(|page| page.2).sum()
    }

    /// How many pages there are.
    pub(super) fn pages(&self) -> usize {
        self.types.values().flatten().filter(|page| page.2 > 0).count()
    }

    /// The name of its slot: two take turns, so that the one before is whole while one is written.
    pub(super) fn slot(generation: u64) -> &'static str {
        if generation.is_multiple_of(2) { "v1/root/a" } else { "v1/root/b" }
    }

    pub(super) const SLOTS: [&'static str; 2] = ["v1/root/a", "v1/root/b"];

    pub(super) fn seal(&self, vault: &Vault, random: &dyn Random) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(self)
            .map_err(|_| Error::misuse("vault_not_serializable", "the root cannot be written as JSON"))?;
        let place = Self::slot(self.generation).as_bytes();
        seal::seal(vault, KIND, place, &Secret::new(plain), random)
    }

    /// `None` when it does not open, or is not of this slot.
    pub(super) fn open(vault: &Vault, slot: &str, sealed: &[u8]) -> Option<Self> {
        let plain = seal::open(vault, KIND, slot.as_bytes(), sealed)?;
        serde_json::from_slice(plain.expose()).ok()
    }
}
