use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::clock::UnixTime;
use crate::random::SystemRandom;
use crate::vault::{MemoryAnchor, MemoryStorage, RecoveryCode, StorageError};

const NOTE: RecordType = RecordType::new("note");
const OTHER: RecordType = RecordType::new("other");
const R: &dyn Random = &SystemRandom;
const SECRET: [u8; 32] = [1; 32];

fn opener(vault: &Vault, id: &str, secret: &[u8]) -> Opener {
    Opener::new(vault.add_prf_entry(id, secret, R).unwrap(), id, UnixTime::from_secs(0))
}

struct Fixture {
    storage: Arc<MemoryStorage>,
    anchor: Arc<MemoryAnchor>,
}

impl Fixture {
    fn new() -> Self {
        Self { storage: Arc::default(), anchor: Arc::default() }
    }

    fn place(&self, anchored: bool) -> Place {
        let anchor: Option<Arc<dyn GenerationAnchor>> =
            if anchored { Some(self.anchor.clone()) } else { None };
        Place { storage: self.storage.clone(), anchor, random: Arc::new(SystemRandom) }
    }

    async fn create(&self) -> Records {
        let vault = Vault::create(R);
        let first = opener(&vault, "a", &SECRET);
        Records::create(vault, self.place(true), &first).await.unwrap()
    }

    async fn open(&self, anchored: bool, seen: u64) -> Result<Records> {
        open_in(self.place(anchored), seen, OlderState::Refuse).await
    }
}

async fn open_in(place: Place, seen: u64, older: OlderState) -> Result<Records> {
    let first = openers(&place).await?.into_iter().find(|opener| opener.id() == "a").unwrap();
    let vault = first.open(&SECRET)?;
    Records::open(vault, place, &first, seen, older).await
}

async fn put(records: &Records, id: &str, value: &str) -> Result<()> {
    let mut batch = Batch::new();
    batch.put(NOTE, id, &format!("summary of {value}"), &value)?;
    records.commit(batch).await
}

async fn read(records: &Records, id: &str) -> Option<String> {
    records.read(NOTE, id).await.unwrap()
}

#[tokio::test]
async fn records_come_back_after_lock_and_unlock() {
    let fixture = Fixture::new();
    assert!(!exists(&fixture.place(true)).await.unwrap());
    let records = fixture.create().await;
    for n in 0..200 {
        put(&records, &format!("n{n}"), &format!("value {n}")).await.unwrap();
    }
    let mut batch = Batch::new();
    batch.put(OTHER, "n1", &(), &"another type").unwrap();
    batch.put(NOTE, "n1", &"new summary", &"new").unwrap();
    batch.delete(NOTE, "n2");
    batch.delete(NOTE, "never there");
    records.commit(batch).await.unwrap();
    drop(records);

    let records = fixture.open(true, 0).await.unwrap();
    assert_eq!(records.count(NOTE).await, 199);
    let listed = records.list::<String>(NOTE).await.unwrap();
    assert_eq!((listed.records.len(), listed.damaged), (199, 0));
    assert!(listed.records.contains(&("n1".into(), "new summary".into())));
    assert_eq!(read(&records, "n1").await.as_deref(), Some("new"));
    assert_eq!(read(&records, "n2").await, None);
    assert_eq!(read(&records, "n199").await.as_deref(), Some("value 199"));
    assert_eq!(records.read::<String>(OTHER, "n1").await.unwrap().as_deref(), Some("another type"));
    assert_eq!(records.sweep().await.unwrap(), 0, "a commit leaves nothing behind");
    assert_eq!(format!("{records:?}"), "Records(…)");
    let (vault, place) = (Vault::create(R), fixture.place(true));
    let first = opener(&vault, "x", &SECRET);
    let again = Records::create(vault, place, &first);
    assert_eq!(again.await.unwrap_err().code(), "vault_exists");
}

#[tokio::test]
async fn nothing_lies_in_the_clear() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    put(&records, "patient-identity", "Zoë Müller").await.unwrap();
    for (name, bytes) in fixture.storage.snapshot() {
        for text in ["patient", "note", "Müller", "summary"] {
            let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!holds(name.as_bytes()) && !holds(&bytes), "{text} in {name}");
        }
    }
}

#[tokio::test]
async fn every_entry_opens_and_a_removed_one_does_not() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    put(&records, "n", "kept").await.unwrap();
    let code = RecoveryCode::generate(R);
    let entry = records.vault().add_recovery_entry("code", &code, R).unwrap();
    records.add_opener(&Opener::new(entry, "Recovery code", UnixTime::from_secs(1))).await.unwrap();
    let before = fixture.storage.snapshot();
    drop(records);

    // The code opens; another code says so, and nothing is lost.
    let place = fixture.place(true);
    let by_code = openers(&place).await.unwrap().pop().unwrap();
    let wrong = RecoveryCode::generate(R);
    assert_eq!(by_code.open_with_code(&wrong).unwrap_err().code(), "vault_wrong_key");
    let typed = RecoveryCode::parse(&code.to_text().expose().to_lowercase()).unwrap();
    let vault = by_code.open_with_code(&typed).unwrap();
    let records = Records::open(vault, place.clone(), &by_code, 0, OlderState::Refuse).await.unwrap();
    assert_eq!(read(&records, "n").await.as_deref(), Some("kept"));

    // Removing the first entry needs only the open vault; putting its file back opens nothing.
    records.remove_opener("a").await.unwrap();
    assert_eq!(records.remove_opener("a").await.unwrap_err().code(), "vault_entry_unknown");
    assert_eq!(openers(&place).await.unwrap().len(), 1);
    let (name, file) = before.iter().find(|(name, _)| **name == entry_path("a")).unwrap();
    fixture.storage.put(name, file.clone()).await.unwrap();
    assert_eq!(fixture.open(true, 0).await.unwrap_err().code(), "vault_entry_removed");
}

#[tokio::test]
async fn an_older_or_moved_record_is_noticed() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    put(&records, "n", "one").await.unwrap();
    put(&records, "m", "other").await.unwrap();
    let old = fixture.storage.snapshot();
    put(&records, "n", "two").await.unwrap();
    let new = fixture.storage.snapshot();
    let fresh = |prefix: &str| {
        let names = new.keys().filter(|name| name.starts_with(prefix) && !old.contains_key(*name));
        names.cloned().collect::<Vec<_>>()
    };
    let (body, page) = (fresh(BODY).pop().unwrap(), fresh(PAGE).pop().unwrap());
    for value in old.values() {
        fixture.storage.restore(new.clone());
        fixture.storage.put(&body, value.clone()).await.unwrap();
        let records = fixture.open(true, 0).await.unwrap();
        let error = records.read::<String>(NOTE, "n").await.unwrap_err();
        assert_eq!(error.code(), "vault_record");
        assert_eq!(read(&records, "m").await.as_deref(), Some("other"), "no other is hidden");
        fixture.storage.restore(new.clone());
        fixture.storage.put(&page, value.clone()).await.unwrap();
        let records = fixture.open(true, 0).await.unwrap();
        assert_eq!(records.list::<String>(NOTE).await.unwrap().damaged, 2);
    }
    // Every byte of every sealed thing counts.
    for name in [&body, &page] {
        for at in 0..new[name].len() {
            let mut changed = new.clone();
            changed.get_mut(name).unwrap()[at] ^= 1;
            fixture.storage.restore(changed);
            let records = fixture.open(true, 0).await.unwrap();
            let listed = records.list::<String>(NOTE).await.unwrap();
            let noticed = listed.damaged > 0 || records.read::<String>(NOTE, "n").await.is_err();
            assert!(noticed, "byte {at} of {name}");
        }
    }
    // A missing body is noticed too, and the record can be written anew.
    let mut missing = new.clone();
    missing.remove(&body);
    fixture.storage.restore(missing);
    let records = fixture.open(true, 0).await.unwrap();
    assert_eq!(records.read::<String>(NOTE, "n").await.unwrap_err().code(), "vault_record");
    put(&records, "n", "three").await.unwrap();
    assert_eq!(read(&records, "n").await.as_deref(), Some("three"));
}

#[tokio::test]
async fn an_older_state_of_everything_is_noticed() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    put(&records, "n", "one").await.unwrap();
    let old = fixture.storage.snapshot();
    for n in 0..3 {
        put(&records, "n", &format!("later {n}")).await.unwrap();
        let seen = records.generation().await;
        let current = fixture.storage.snapshot();
        fixture.storage.restore(old.clone());
        // By the anchor, or by what this process saw; with neither it cannot be known.
        assert_eq!(fixture.open(true, 0).await.unwrap_err().code(), "vault_rolled_back");
        assert_eq!(fixture.open(false, seen).await.unwrap_err().code(), "vault_rolled_back");
        assert_eq!(read(&fixture.open(false, 0).await.unwrap(), "n").await.as_deref(), Some("one"));
        fixture.storage.restore(BTreeMap::new());
        assert!(exists(&fixture.place(true)).await.unwrap(), "a vault that was wiped is not a new wallet");
        fixture.storage.restore(current);
    }
    // The person was told and goes on: from then on this state is the newest.
    fixture.storage.restore(old);
    let records = open_in(fixture.place(true), 0, OlderState::Accept).await.unwrap();
    assert_eq!(read(&records, "n").await.as_deref(), Some("one"));
    put(&records, "n", "goes on").await.unwrap();
    let records = fixture.open(true, 0).await.unwrap();
    assert_eq!(read(&records, "n").await.as_deref(), Some("goes on"));
}

#[tokio::test]
async fn a_torn_root_falls_back_to_the_state_before() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    put(&records, "n", "one").await.unwrap();
    let generation = records.generation().await;
    let before = fixture.storage.snapshot();
    let mut torn = before.clone();
    torn.insert(Root::slot(generation + 1).to_owned(), vec![1, 2, 3]);
    fixture.storage.restore(torn);
    let records = fixture.open(true, generation).await.unwrap();
    assert_eq!(read(&records, "n").await.as_deref(), Some("one"));
    let mut gone = before;
    for slot in Root::SLOTS {
        gone.insert(slot.to_owned(), vec![0]);
    }
    fixture.storage.restore(gone);
    assert_eq!(fixture.open(false, 0).await.unwrap_err().code(), "vault_damaged");
}

/// Works until its budget of writes is used up, then fails as a device that was switched off.
struct Dying {
    inner: Arc<MemoryStorage>,
    budget: AtomicI64,
}

impl Dying {
    fn spend(&self) -> Result<(), StorageError> {
        match self.budget.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(StorageError::new("switched off")),
        }
    }
}

#[async_trait]
impl WalletStorage for Dying {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(name).await
    }

    async fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.spend()?;
        self.inner.put(name, value).await
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.spend()?;
        self.inner.remove(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.inner.list(prefix).await
    }
}

/// A batch of three records that also doubles the pages, stopped after each of its writes.
#[tokio::test]
async fn a_commit_that_stops_anywhere_leaves_the_old_or_the_new_state() {
    let fixture = Fixture::new();
    let records = fixture.create().await;
    for n in 0..23 {
        put(&records, &format!("n{n}"), "old").await.unwrap();
    }
    drop(records);
    let before = fixture.storage.snapshot();
    let (mut old, mut new) = (0, 0);
    for budget in 0..30 {
        fixture.storage.restore(before.clone());
        let dying = Arc::new(Dying { inner: fixture.storage.clone(), budget: AtomicI64::new(budget) });
        let place = Place { storage: dying, ..fixture.place(false) };
        let records = open_in(place, 0, OlderState::Refuse).await.unwrap();
        let mut batch = Batch::new();
        for id in ["n0", "x", "y"] {
            batch.put(NOTE, id, &"s", &"new").unwrap();
        }
        batch.delete(NOTE, "n1");
        let done = records.commit(batch).await.is_ok();
        drop(records);

        let records = fixture.open(false, 0).await.unwrap();
        let state: Vec<_> =
            [read(&records, "n0").await, read(&records, "n1").await, read(&records, "y").await].into();
        if state == [Some("old".to_owned()), Some("old".to_owned()), None] {
            assert!(!done, "an acknowledged commit is there");
            old += 1;
        } else {
            assert_eq!(state, [Some("new".to_owned()), None, Some("new".to_owned())]);
            new += 1;
        }
        assert_eq!(records.list::<String>(NOTE).await.unwrap().damaged, 0);
        records.sweep().await.unwrap();
        let live = records.count(NOTE).await;
        assert_eq!(fixture.storage.list(BODY).await.unwrap().len(), live, "nothing is left behind");
        put(&records, "z", "goes on").await.unwrap();
    }
    assert!(old >= 5 && new >= 5, "{old} {new}");
}

/// Counts the bytes that are written.
#[derive(Default)]
struct Counting {
    inner: MemoryStorage,
    written: AtomicUsize,
    calls: AtomicUsize,
}

#[async_trait]
impl WalletStorage for Counting {
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inner.get(name).await
    }

    async fn put(&self, name: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.written.fetch_add(value.len(), Ordering::SeqCst);
        self.inner.put(name, value).await
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.inner.list(prefix).await
    }
}

#[tokio::test]
async fn the_cost_of_a_record_hardly_grows_with_their_number() {
    let storage = Arc::new(Counting::default());
    let place = Place { storage: storage.clone(), anchor: None, random: Arc::new(SystemRandom) };
    let vault = Vault::create(R);
    let first = opener(&vault, "a", &SECRET);
    let records = Records::create(vault, place.clone(), &first).await.unwrap();
    let (summary, body) = ("s".repeat(300), "b".repeat(3000));
    let mut held = 0;
    let mut costs = Vec::new();
    for size in [10, 2000] {
        let mut batch = Batch::new();
        for n in held..size {
            batch.put(NOTE, &format!("n{n}"), &summary, &body).unwrap();
        }
        records.commit(batch).await.unwrap();
        held = size;
        storage.written.store(0, Ordering::SeqCst);
        for n in 0..20 {
            let mut batch = Batch::new();
            batch.put(NOTE, &format!("n{n}"), &summary, &body).unwrap();
            records.commit(batch).await.unwrap();
        }
        costs.push(storage.written.load(Ordering::SeqCst) / 20);
    }
    assert!(costs[1] < 3 * costs[0], "bytes written for a change at 10 and at 2000 records: {costs:?}");
    drop(records);
    let records = open_in(place, 0, OlderState::Refuse).await.unwrap();
    storage.calls.store(0, Ordering::SeqCst);
    assert_eq!(records.list::<String>(NOTE).await.unwrap().records.len(), 2000);
    let calls = storage.calls.load(Ordering::SeqCst);
    assert!(calls <= 2000 / 8, "{calls} reads for a list of 2000 records");
}
