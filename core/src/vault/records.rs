//! The records of an open vault in a [`WalletStorage`]: copied on write, committed by one root, old states noticed.
//!
//! | name in the storage | what |
//! | --- | --- |
//! | `v1/entry/<hash of id>` | an unlock entry, JSON, not secret |
//! | `v1/body/<random>` | the body of a record, sealed |
//! | `v1/page/<random>` | a page of an index: for each record its id, body, generation and summary, sealed |
//! | `v1/root/a`, `v1/root/b` | the root: generation, pages, hashes of the entries, sealed; the two take turns |
//!
//! A commit writes new bodies, then new pages, then the root of the next generation, and then removes what no longer
//! counts. Whatever stops it in between, one of the two roots names a complete state. Every sealed thing is bound to
//! vault, name and generation, bodies to type and id as well, so nothing old or moved opens in its place.
//!
//! An index has about one page per 16 records, found by the hash of the id: a change rewrites one page and the root,
//! whatever the number of records, and a list reads the pages and no body.

mod page;
mod root;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::lock::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::page::{Name, Row, Rows};
use self::root::{PageRef, Root};
use super::opener::Opener;
use super::platform::{GenerationAnchor, WalletStorage};
use super::record::RecordType;
use super::{Vault, damaged, seal};
use crate::encoding::{base64url, sha256};
use crate::error::{Error, Result};
use crate::random::Random;
use crate::secret::Secret;

const ROWS_PER_PAGE: usize = 16;
const BODY: &str = "v1/body/";
const PAGE: &str = "v1/page/";
const ENTRY: &str = "v1/entry/";

/// Where a vault lies, and what it needs to write.
#[derive(Clone)]
pub struct Place {
    /// The storage.
    pub storage: Arc<dyn WalletStorage>,
    /// Where the generation is kept apart from it.
    pub anchor: Option<Arc<dyn GenerationAnchor>>,
    /// Nonces, names, keys.
    pub random: Arc<dyn Random>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("anchor", &self.anchor.is_some()).finish_non_exhaustive()
    }
}

/// What to do when the storage holds an older state than was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OlderState {
    /// Refuse (`vault_rolled_back`).
    #[default]
    Refuse,
    /// Take it: the person was told. From then on it counts as the newest.
    Accept,
}

/// Changes that become valid together.
#[derive(Default)]
pub struct Batch(Vec<Change>);

struct Put {
    summary: Secret<Vec<u8>>,
    value: Secret<Vec<u8>>,
}

struct Change {
    of: RecordType,
    id: String,
    put: Option<Put>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} changes)", self.0.len())
    }
}

impl Batch {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the record `id` over the one that may be there. A list shows `summary` without reading `value`.
    ///
    /// # Errors
    /// `vault_not_serializable` when serde cannot write them.
    pub fn put<S: Serialize, T: Serialize>(
        &mut self,
        of: RecordType,
        id: &str,
        summary: &S,
        value: &T,
    ) -> Result<()> {
        let put = Some(Put { summary: to_json(summary)?, value: to_json(value)? });
        self.0.push(Change { of, id: id.to_owned(), put });
        Ok(())
    }

    /// Deletes the record `id`; one that is not there is no error.
    pub fn delete(&mut self, of: RecordType, id: &str) {
        self.0.push(Change { of, id: id.to_owned(), put: None });
    }
}

/// The records of an open vault. Dropping it forgets the data key.
pub struct Records {
    vault: Vault,
    place: Place,
    state: Mutex<State>,
}

struct State {
    root: Root,
    /// Indexes that were read, page by page.
    loaded: BTreeMap<String, Vec<Arc<Rows>>>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records(…)")
    }
}

/// Whether a vault lies there: a root, whole or not, or an anchor that remembers one.
///
/// # Errors
/// What the storage says.
pub async fn exists(place: &Place) -> Result<bool> {
    for slot in Root::SLOTS {
        if place.storage.get(slot).await?.is_some() {
            return Ok(true);
        }
    }
    match &place.anchor {
        Some(anchor) => Ok(anchor.load().await?.is_some_and(|value| !value.is_empty())),
        None => Ok(false),
    }
}

/// Removes everything that a vault keeps there: nothing opens it again.
///
/// # Errors
/// What the storage says.
pub async fn erase(place: &Place) -> Result<()> {
    // The ways to unlock first: without them the rest is noise, even if this is interrupted.
    for prefix in [ENTRY, "v1/"] {
        for name in place.storage.list(prefix).await? {
            place.storage.remove(&name).await?;
        }
    }
    if let Some(anchor) = &place.anchor {
        anchor.store(Vec::new()).await?;
    }
    Ok(())
}

/// The ways to unlock, as they lie there: not authenticated before one of them has opened the vault.
///
/// # Errors
/// What the storage says.
pub async fn openers(place: &Place) -> Result<Vec<Opener>> {
    let mut openers = Vec::new();
    for name in place.storage.list(ENTRY).await? {
        if let Some(bytes) = place.storage.get(&name).await? {
            // A damaged entry is one way less, no reason to close the others.
            openers.extend(serde_json::from_slice::<Opener>(&bytes).ok());
        }
    }
    openers.sort_by(|one, other| (one.created_at, one.id()).cmp(&(other.created_at, other.id())));
    Ok(openers)
}

impl Records {
    /// Makes an empty vault that `first` opens.
    ///
    /// # Errors
    /// `vault_exists`; what the storage says.
    pub async fn create(vault: Vault, place: Place, first: &Opener) -> Result<Self> {
        if exists(&place).await? {
            return Err(Error::misuse("vault_exists", "there is a vault in this storage already"));
        }
        let state = Mutex::new(State { root: Root::default(), loaded: BTreeMap::new() });
        let records = Self { vault, place, state };
        records.add_opener(first).await?;
        Ok(records)
    }

    /// Reads the newest complete state. `through` is the entry that opened `vault`: one that was removed opens nothing.
    /// `seen` is the generation that this process saw last, 0 for none.
    ///
    /// # Errors
    /// `vault_damaged`: no root opens; `vault_rolled_back`: the storage holds an older state than the anchor or this
    /// process has seen; `vault_entry_removed`; what the storage says.
    pub async fn open(
        vault: Vault,
        place: Place,
        through: &Opener,
        seen: u64,
        older: OlderState,
    ) -> Result<Self> {
        let mut root: Option<Root> = None;
        for slot in Root::SLOTS {
            let Some(sealed) = place.storage.get(slot).await? else { continue };
            let read = Root::open(&vault, slot, &sealed).filter(|read| Root::slot(read.generation) == slot);
            let newest = root.as_ref().map_or(0, |root| root.generation);
            root = read.filter(|read| read.generation > newest).or(root);
        }
        let anchored = match &place.anchor {
            Some(anchor) => generation(&vault, anchor.load().await?.as_deref()),
            None => 0,
        };
        let newest_seen = anchored.max(seen);
        let mut root = match root {
            Some(root) => root,
            None if newest_seen > 0 => return Err(rolled_back()),
            None => return Err(damaged("vault_damaged", "the vault's storage is damaged: restore a backup")),
        };
        if root.generation < newest_seen {
            if older == OlderState::Refuse {
                return Err(rolled_back());
            }
            // Later generations were used: none of their numbers may come again, and the next root must not be written
            // over the only one that is whole.
            let over = Root::slot(newest_seen.saturating_add(1)) == Root::slot(root.generation);
            root.generation = newest_seen.saturating_add(u64::from(over));
        }
        let records = Self { vault, place, state: Mutex::new(State { root, loaded: BTreeMap::new() }) };
        records.check_opener(through).await?;
        Ok(records)
    }

    async fn check_opener(&self, opener: &Opener) -> Result<()> {
        let state = self.state.lock().await;
        if state.root.entries.get(opener.id()) == Some(&hash(&to_json(opener)?)) {
            Ok(())
        } else {
            Err(Error::refused("vault_entry_removed", "this way to unlock was removed from the vault"))
        }
    }

    /// The generation: counts commits.
    pub async fn generation(&self) -> u64 {
        self.state.lock().await.root.generation
    }

    /// The open vault, for wrapping its key once more.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Makes all changes of `batch`, or none. When it returns `Ok`, they are durable.
    ///
    /// # Errors
    /// What the storage says; then it is unknown whether the changes will be there after the next unlock.
    pub async fn commit(&self, batch: Batch) -> Result<()> {
        let mut state = self.state.lock().await;
        let mut next = Next::after(&state, self);
        for Change { of, id, put } in batch.0 {
            self.load(&mut state, of).await?;
            let pages = next.pages(&state, of);
            let page = page_of(&id, pages.len());
            let row = match put {
                None => None,
                Some(Put { summary, value }) => Some(next.body(of, &id, summary, &value).await?),
            };
            next.change(&state, of, page, id, row);
        }
        next.finish(&mut state).await
    }

    /// The record `id`.
    ///
    /// # Errors
    /// `vault_record` ([`Error::Untrusted`]) when it is missing though the index names it, does not open, is an older
    /// one, or is not a `T`; what the storage says.
    pub async fn read<T: DeserializeOwned>(&self, of: RecordType, id: &str) -> Result<Option<T>> {
        let (name, generation) = {
            let mut state = self.state.lock().await;
            self.load(&mut state, of).await?;
            match state.row(of, id) {
                Some(row) => (row.name, row.generation),
                None => return Ok(None),
            }
        };
        let broken =
            || damaged("vault_record", "a record of the vault does not open: damaged, older, or moved");
        let sealed = self.place.storage.get(&path(BODY, name)).await?.ok_or_else(broken)?;
        let place = body_place(of, id, name, generation);
        let plain = seal::open(&self.vault, "body", &place, &sealed).ok_or_else(broken)?;
        serde_json::from_slice(plain.expose()).map(Some).map_err(|_| broken())
    }

    /// Ids and summaries of all records of one type, in no particular but a stable order. No body is read.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn list<S: DeserializeOwned>(&self, of: RecordType) -> Result<Listed<S>> {
        let mut state = self.state.lock().await;
        self.load(&mut state, of).await?;
        let held: usize = state.root.types.get(of.name()).into_iter().flatten().map(|page| page.2).sum();
        let mut listed = Listed { records: Vec::with_capacity(held), damaged: held };
        for (id, row) in state.loaded.get(of.name()).into_iter().flatten().flat_map(|page| page.iter()) {
            if let Ok(summary) = serde_json::from_slice(row.summary.expose()) {
                listed.records.push((id.clone(), summary));
                listed.damaged = listed.damaged.saturating_sub(1);
            }
        }
        Ok(listed)
    }

    /// The summary of the record `id`.
    ///
    /// # Errors
    /// `vault_record` when it is not an `S`; what the storage says.
    pub async fn summary<S: DeserializeOwned>(&self, of: RecordType, id: &str) -> Result<Option<S>> {
        let mut state = self.state.lock().await;
        self.load(&mut state, of).await?;
        let Some(row) = state.row(of, id) else { return Ok(None) };
        let summary = serde_json::from_slice(row.summary.expose());
        summary.map(Some).map_err(|_| damaged("vault_record", "the summary of a record is of another kind"))
    }

    /// How many records of one type there are.
    pub async fn count(&self, of: RecordType) -> usize {
        let state = self.state.lock().await;
        state.root.types.get(of.name()).into_iter().flatten().map(|page| page.2).sum()
    }

    /// Ids of the entries that count.
    pub async fn entry_ids(&self) -> BTreeSet<String> {
        self.state.lock().await.root.entries.keys().cloned().collect()
    }

    /// Adds a way to unlock, or writes over the one of the same id.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn add_opener(&self, opener: &Opener) -> Result<()> {
        let mut state = self.state.lock().await;
        let bytes = to_json(opener)?;
        // The file first: an entry that the root does not name opens nothing, a name without a file would.
        self.place.storage.put(&entry_path(opener.id()), bytes.expose().clone()).await?;
        let mut next = Next::after(&state, self);
        next.root.entries.insert(opener.id().to_owned(), hash(&bytes));
        next.finish(&mut state).await
    }

    /// Removes a way to unlock; no other entry is needed or changed. Whoever kept a copy of the entry *and* its secret
    /// can still open a copy of the records.
    ///
    /// # Errors
    /// `vault_entry_unknown`; what the storage says.
    pub async fn remove_opener(&self, id: &str) -> Result<()> {
        let mut state = self.state.lock().await;
        let mut next = Next::after(&state, self);
        if next.root.entries.remove(id).is_none() {
            return Err(Error::misuse("vault_entry_unknown", "there is no such way to unlock"));
        }
        next.doomed.push(entry_path(id));
        next.finish(&mut state).await
    }

    /// Removes what an interrupted commit has left behind. Returns how many names went.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn sweep(&self) -> Result<usize> {
        let (bodies, pages) = (self.place.storage.list(BODY).await?, self.place.storage.list(PAGE).await?);
        let mut state = self.state.lock().await;
        if bodies.len() <= state.root.records() && pages.len() <= state.root.pages() {
            return Ok(0);
        }
        let types: Vec<String> = state.root.types.keys().cloned().collect();
        let mut live = BTreeSet::new();
        for name in types {
            self.load_named(&mut state, &name).await?;
            let references = state.root.types.get(&name).into_iter().flatten();
            live.extend(references.filter(|page| page.2 > 0).map(|page| path(PAGE, page.name())));
            let pages = state.loaded.get(&name).into_iter().flatten();
            live.extend(pages.flat_map(|page| page.values()).map(|row| path(BODY, row.name)));
        }
        let mut gone = 0;
        for name in bodies.iter().chain(&pages).filter(|name| !live.contains(*name)) {
            self.place.storage.remove(name).await?;
            gone += 1;
        }
        Ok(gone)
    }

    async fn load(&self, state: &mut State, of: RecordType) -> Result<()> {
        self.load_named(state, of.name()).await
    }

    async fn load_named(&self, state: &mut State, of: &str) -> Result<()> {
        if state.loaded.contains_key(of) {
            return Ok(());
        }
        let mut pages = Vec::new();
        for reference in state.root.types.get(of).into_iter().flatten() {
            let name = reference.name();
            let sealed = match reference.2 {
                0 => None,
                _ => self.place.storage.get(&path(PAGE, name)).await?,
            };
            // A damaged page hides its records and no others: [`Listed::damaged`] counts them.
            let rows = sealed.and_then(|sealed| {
                let place = page_place(of, name, reference.1);
                page::from_bytes(seal::open(&self.vault, "page", &place, &sealed)?.expose())
            });
            pages.push(Arc::new(rows.unwrap_or_default()));
        }
        state.loaded.insert(of.to_owned(), pages);
        Ok(())
    }
}

/// What [`Records::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<S> {
    /// Ids and summaries.
    pub records: Vec<(String, S)>,
    /// Records that the index holds and that cannot be shown: their page was damaged, is an older one, or is missing.
    pub damaged: usize,
}

impl State {
    fn row(&self, of: RecordType, id: &str) -> Option<&Row> {
        let pages = self.loaded.get(of.name())?;
        pages.get(page_of(id, pages.len()))?.get(id)
    }
}

/// The state that a commit makes, and the names that it makes superfluous.
struct Next<'a> {
    records: &'a Records,
    root: Root,
    /// Shares with the state what it does not change.
    changed: BTreeMap<String, Vec<Arc<Rows>>>,
    dirty: BTreeSet<(String, usize)>,
    doomed: Vec<String>,
}

impl<'a> Next<'a> {
    fn after(state: &State, records: &'a Records) -> Self {
        let mut root = state.root.clone();
        root.generation = root.generation.saturating_add(1);
        Self { records, root, changed: BTreeMap::new(), dirty: BTreeSet::new(), doomed: Vec::new() }
    }

    /// The pages of a type as they will be.
    fn pages(&mut self, state: &State, of: RecordType) -> &mut Vec<Arc<Rows>> {
        let pages = self.changed.entry(of.name().to_owned());
        let pages = pages.or_insert_with(|| state.loaded.get(of.name()).cloned().unwrap_or_default());
        if pages.is_empty() {
            pages.push(Arc::default());
        }
        pages
    }

    async fn body(
        &self,
        of: RecordType,
        id: &str,
        summary: Secret<Vec<u8>>,
        value: &Secret<Vec<u8>>,
    ) -> Result<Row> {
        let name: Name = self.records.place.random.array();
        let place = body_place(of, id, name, self.root.generation);
        let sealed = seal::seal(&self.records.vault, "body", &place, value, &*self.records.place.random)?;
        self.records.place.storage.put(&path(BODY, name), sealed).await?;
        Ok(Row { name, generation: self.root.generation, summary })
    }

    fn change(&mut self, state: &State, of: RecordType, page: usize, id: String, row: Option<Row>) {
        let Some(rows) = self.pages(state, of).get_mut(page) else { return };
        let rows = Arc::make_mut(rows);
        let old = match row {
            Some(row) => rows.insert(id, row),
            None => rows.remove(&id),
        };
        self.doomed.extend(old.map(|old| path(BODY, old.name)));
        self.dirty.insert((of.name().to_owned(), page));
        self.grow(of);
    }

    /// Twice as many pages when they have become too long: on average each record is moved once or twice in its life.
    fn grow(&mut self, of: RecordType) {
        let Some(pages) = self.changed.get_mut(of.name()) else { return };
        let rows: usize = pages.iter().map(|page| page.len()).sum();
        if rows <= pages.len() * ROWS_PER_PAGE * 3 / 2 {
            return;
        }
        let length = pages.len() * 2;
        let mut grown = vec![Rows::new(); length];
        for (id, row) in std::mem::take(pages).into_iter().flat_map(Arc::unwrap_or_clone) {
            if let Some(page) = grown.get_mut(page_of(&id, length)) {
                page.insert(id, row);
            }
        }
        *pages = grown.into_iter().map(Arc::new).collect();
        self.dirty.extend((0..length).map(|page| (of.name().to_owned(), page)));
    }

    /// Writes pages, root and anchor, then forgets what no longer counts.
    async fn finish(mut self, state: &mut State) -> Result<()> {
        let Place { storage, anchor, random } = &self.records.place;
        for (of, page) in std::mem::take(&mut self.dirty) {
            let references = self.root.types.entry(of.clone()).or_default();
            let pages = self.changed.get(&of).map(Vec::as_slice).unwrap_or_default();
            references.resize(pages.len(), PageRef::default());
            let (Some(rows), Some(reference)) = (pages.get(page), references.get_mut(page)) else { continue };
            if reference.2 > 0 {
                self.doomed.push(path(PAGE, reference.name()));
            }
            let name: Name = random.array();
            *reference = PageRef(base64url::encode(&name), self.root.generation, rows.len());
            if !rows.is_empty() {
                let place = page_place(&of, name, self.root.generation);
                let plain = page::to_bytes(rows)?;
                let sealed = seal::seal(&self.records.vault, "page", &place, &plain, &**random)?;
                storage.put(&path(PAGE, name), sealed).await?;
            }
        }
        let sealed = self.root.seal(&self.records.vault, &**random)?;
        storage.put(Root::slot(self.root.generation), sealed).await?;
        state.root = self.root;
        state.loaded.extend(self.changed);
        if let Some(anchor) = anchor {
            anchor.store(anchor_value(&self.records.vault, state.root.generation)).await?;
        }
        for name in self.doomed {
            // What stays behind is swept later; the commit has succeeded.
            let _ = storage.remove(&name).await;
        }
        Ok(())
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Secret<Vec<u8>>> {
    serde_json::to_vec(value)
        .map(Secret::new)
        .map_err(|_| Error::misuse("vault_not_serializable", "the record cannot be written as JSON"))
}

fn hash(bytes: &Secret<Vec<u8>>) -> String {
    base64url::encode(&sha256(bytes.expose()))
}

fn page_of(id: &str, pages: usize) -> usize {
    let hash = sha256(id.as_bytes());
    let first = hash.first_chunk::<4>().copied().unwrap_or_default();
    usize::try_from(u32::from_be_bytes(first)).unwrap_or_default() & pages.saturating_sub(1)
}

fn path(prefix: &str, name: Name) -> String {
    format!("{prefix}{}", base64url::encode(&name))
}

fn entry_path(id: &str) -> String {
    format!("{ENTRY}{}", base64url::encode(&sha256(id.as_bytes())))
}

fn page_place(of: &str, name: Name, generation: u64) -> Vec<u8> {
    [name.as_slice(), &generation.to_be_bytes(), of.as_bytes()].concat()
}

fn body_place(of: RecordType, id: &str, name: Name, generation: u64) -> Vec<u8> {
    [name.as_slice(), &generation.to_be_bytes(), of.name().as_bytes(), &[0], id.as_bytes()].concat()
}

fn anchor_value(vault: &Vault, generation: u64) -> Vec<u8> {
    [vault.id().as_slice(), &generation.to_be_bytes()].concat()
}

/// The generation in an anchor of this vault; 0 for one of another vault.
fn generation(vault: &Vault, anchor: Option<&[u8]>) -> u64 {
    let number = anchor.and_then(|anchor| anchor.strip_prefix(vault.id().as_slice()));
    number.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).unwrap_or_default()
}

fn rolled_back() -> Error {
    Error::untrusted(
        "vault_rolled_back",
        "the storage holds an older state of the vault than was seen before",
    )
}
