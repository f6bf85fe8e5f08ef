use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use carekey_core::store::{Expect, take};

use super::*;

const T: Table = Table::new("t");

/// A disk that can be slow or broken, and counts.
#[derive(Default)]
struct Disk {
    syncs: AtomicUsize,
    broken: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Disk {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.released.notify_all();
    }

    fn syncs(&self) -> usize {
        self.syncs.load(Ordering::SeqCst)
    }
}

/// [`FileSync`], after the disk's leave.
struct TestSync(Arc<Disk>, FileSync);

impl Sync for TestSync {
    fn sync(&mut self) -> std::io::Result<()> {
        let mut held = self.0.held.lock().unwrap();
        while *held {
            held = self.0.released.wait(held).unwrap();
        }
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(std::io::Error::other("I/O error"));
        }
        self.1.sync()
    }
}

fn open(path: &Path, disk: &Arc<Disk>) -> Arc<SledStore> {
    let disk = Arc::clone(disk);
    Arc::new(SledStore::open_with(path, |path| Ok(Box::new(TestSync(disk, FileSync::open(path)?)))).unwrap())
}

fn put(key: &str) -> Vec<Write> {
    vec![Write::put(T, key, Expect::Any, key, None)]
}

#[tokio::test]
async fn no_answer_before_the_sync() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let store = open(folder.path(), &disk);
    let before = disk.syncs();
    store.commit(put("a")).await.unwrap();
    assert_eq!(disk.syncs(), before + 1);

    disk.hold(true);
    let waiting = Arc::clone(&store);
    let mut commit = tokio::spawn(async move { waiting.commit(put("b")).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut commit).await;
    assert!(early.is_err(), "acknowledged before the sync");
    assert_eq!(disk.syncs(), before + 1);
    disk.hold(false);
    commit.await.unwrap().unwrap();
    assert_eq!(disk.syncs(), before + 2);
}

#[tokio::test]
async fn one_sync_for_all_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let store = open(folder.path(), &disk);
    disk.hold(true);
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(put(&n.to_string())).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = disk.syncs();
    disk.hold(false);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let syncs = disk.syncs() - before;
    assert!((1..=3).contains(&syncs), "{syncs} syncs for 500 commits");
    assert_eq!(store.scan(T, None, 1000).await.unwrap().len(), 500);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let store = open(folder.path(), &disk);
    store.commit(put("a")).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    let code = |outcome: Result<(), CommitError>| Error::from(outcome.unwrap_err()).code();
    assert_eq!(code(store.commit(put("b")).await), "store_failed");
    disk.broken.store(false, Ordering::SeqCst);
    assert_eq!(
        code(store.commit(put("c")).await),
        "store_failed",
        "the kernel reports a failed sync only once"
    );
    assert_eq!(store.purge_expired(UnixTime::from_secs(0), 1).await.unwrap_err().code(), "store_failed");
    assert!(store.read(T, b"a").await.unwrap().is_some());
    drop(store);
    let store = open(folder.path(), &disk);
    assert!(store.read(T, b"a").await.unwrap().is_some());
    store.commit(put("c")).await.unwrap();
}

#[tokio::test]
async fn a_taken_record_is_synced_as_gone_before_the_winner_knows() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    let store = open(folder.path(), &disk);
    store.commit(put("code")).await.unwrap();
    disk.hold(true);
    let taker = Arc::clone(&store);
    let mut taken = tokio::spawn(async move { take(&taker, T, "code").await });
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut taken).await.is_err());
    disk.hold(false);
    assert!(taken.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn large_values_are_files_of_their_own_and_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let value = vec![7; 900_000];
    for key in ["a", "b"] {
        store.commit(vec![Write::put(T, key, Expect::Any, value.clone(), None)]).await.unwrap();
    }
    assert!(
        std::fs::read_dir(folder.path().join("blobs")).unwrap().count() > 0,
        "this sled keeps no such files"
    );
    drop(store);
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.read(T, b"a").await.unwrap().unwrap().value, value);

    let mut sync = FileSync::open(folder.path()).unwrap();
    let known = sync.synced.len();
    assert!(known > 0);
    std::fs::write(folder.path().join("blobs/99999999"), "x").unwrap();
    sync.sync().unwrap();
    assert_eq!(sync.synced.len(), known + 1);
    std::fs::remove_file(folder.path().join("blobs/99999999")).unwrap();
    sync.sync().unwrap();
    assert_eq!(sync.synced.len(), known);
}

#[tokio::test]
async fn a_foreign_or_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    let rewrite = |record: Option<&str>| {
        let db = sled::open(folder.path()).unwrap();
        match record {
            Some(text) => db.insert(FORMAT_KEY, text).unwrap(),
            None => {
                db.insert("x", "y").unwrap();
                db.remove(FORMAT_KEY).unwrap()
            }
        };
        db.flush().unwrap();
    };
    for (record, shown) in [(Some("carekey-store 2"), "\"carekey-store 2\""), (None, "\"\"")] {
        rewrite(record);
        let error = SledStore::open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Format { .. }), "{error}");
        assert!(error.to_string().contains(shown), "{error}");
    }
}

#[test]
fn a_second_opening_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledStore::open(folder.path()).unwrap();
    let error = SledStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(SledStore::open(&file).unwrap_err(), OpenError::Failed { .. }));
}
