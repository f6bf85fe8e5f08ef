//! What every store promises, on the one in memory and on sled.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use carekey_core::UnixTime;
use carekey_core::random::{Random, SystemRandom};
use carekey_core::secret::Secret;
use carekey_core::store::{
    CommitError, Expect, MemoryStore, Sealed, Store, Table, Write, put_json, take, update_json,
};
use carekey_storage::SledStore;

const A: Table = Table::new("a");
const AB: Table = Table::new("ab");

/// Runs `check` with each kind of store.
async fn with_each<F: Future<Output = ()>>(check: impl Fn(Arc<dyn Store>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let sealed_folder = tempfile::tempdir().unwrap();
    let sealed = SledStore::open(sealed_folder.path()).unwrap();
    check(Arc::new(MemoryStore::new())).await;
    check(Arc::new(SledStore::open(folder.path()).unwrap())).await;
    check(Arc::new(Sealed::new(sealed, &Secret::new([1; 32]), Arc::new(SystemRandom)).unwrap())).await;
}

fn put(table: Table, key: &str, expect: Expect, value: &str, end: Option<i64>) -> Write {
    Write::put(table, key, expect, value, end.map(UnixTime::from_secs))
}

#[tokio::test]
async fn batches_are_all_or_nothing() {
    with_each(|store| async move {
        store.commit(vec![put(A, "x", Expect::Absent, "1", None)]).await.unwrap();
        let refused = store
            .commit(vec![
                put(A, "x", Expect::Any, "2", None),
                put(A, "y", Expect::Absent, "2", Some(1)),
                put(AB, "x", Expect::Version(1), "2", None),
            ])
            .await;
        assert_eq!(refused, Err(CommitError::Conflict { index: 2 }));
        assert_eq!(store.read(A, b"x").await.unwrap().unwrap().value, b"1");
        assert!(store.read(A, b"y").await.unwrap().is_none());
        assert_eq!(store.purge_expired(UnixTime::from_secs(9), 9).await.unwrap(), 0);

        let version = store.read(A, b"x").await.unwrap().unwrap().version;
        let swap = vec![
            Write::delete(A, "x", Expect::Version(version)),
            put(A, "x", Expect::Absent, "3", None),
            put(A, "x", Expect::Any, "4", None),
        ];
        store.commit(swap).await.unwrap();
        let again = store.read(A, b"x").await.unwrap().unwrap();
        assert_eq!(again.value, b"4");
        assert!(again.version > version);
        store.commit(vec![]).await.unwrap();
        store.commit(vec![Write::delete(A, "nothing", Expect::Any)]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn scan_pages_in_order_and_stays_in_its_table() {
    with_each(|store| async move {
        let keys: Vec<Vec<u8>> =
            vec![vec![0], vec![0, 0], vec![1], vec![1, 0], vec![1, 255], vec![255], vec![255, 255]];
        for key in &keys {
            let writes = [A, AB].map(|table| Write::put(table, key.clone(), Expect::Any, table.name(), None));
            store.commit(writes.to_vec()).await.unwrap();
        }
        for size in [1, 2, 3, 100] {
            let mut seen: Vec<Vec<u8>> = Vec::new();
            loop {
                let page = store.scan(A, seen.last().map(Vec::as_slice), size).await.unwrap();
                assert!(page.len() <= size);
                if page.is_empty() {
                    break;
                }
                seen.extend(page.into_iter().map(|(key, record)| {
                    assert_eq!(record.value, b"a");
                    key
                }));
            }
            assert_eq!(seen, keys, "pages of {size}");
        }
    })
    .await;
}

#[tokio::test]
async fn purge_follows_the_last_expiry() {
    with_each(|store| async move {
        for (key, end) in [("past", Some(5)), ("now", Some(10)), ("later", Some(11)), ("never", None)] {
            store.commit(vec![put(A, key, Expect::Any, key, end)]).await.unwrap();
        }
        store.commit(vec![put(A, "renewed", Expect::Any, "1", Some(1))]).await.unwrap();
        store.commit(vec![put(A, "renewed", Expect::Any, "2", Some(99))]).await.unwrap();
        store.commit(vec![put(A, "kept", Expect::Any, "1", Some(1))]).await.unwrap();
        store.commit(vec![put(A, "kept", Expect::Any, "2", None)]).await.unwrap();
        store.commit(vec![put(A, "gone", Expect::Any, "1", Some(1))]).await.unwrap();
        store.commit(vec![Write::delete(A, "gone", Expect::Any)]).await.unwrap();
        let now = UnixTime::from_secs(10);
        assert_eq!(store.purge_expired(now, 1).await.unwrap(), 1);
        assert_eq!(store.purge_expired(now, 100).await.unwrap(), 1);
        assert_eq!(store.purge_expired(now, 100).await.unwrap(), 0);
        let left: Vec<_> = store.scan(A, None, 100).await.unwrap();
        let left: Vec<_> = left.iter().map(|(key, _)| std::str::from_utf8(key).unwrap()).collect();
        assert_eq!(left, ["kept", "later", "never", "renewed"]);
        assert_eq!(store.purge_expired(UnixTime::from_secs(i64::MAX), 100).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_100_parallel_takes_exactly_one_wins() {
    with_each(|store| async move {
        for round in 0..5 {
            let key = format!("code {round}");
            put_json(&store, A, &key, Expect::Absent, "offer", None).await.unwrap();
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let (store, key) = (Arc::clone(&store), key.clone());
                    tokio::spawn(async move { take(&store, A, &key).await.unwrap().is_some() })
                })
                .collect();
            let mut winners = 0;
            for task in tasks {
                winners += u32::from(task.await.unwrap());
            }
            assert_eq!(winners, 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_100_parallel_attempts_each_counts() {
    with_each(|store| async move {
        let now = UnixTime::from_secs(0);
        put_json(&store, A, "attempts", Expect::Absent, &0_u32, None).await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let add = |n: &mut u32| {
                        *n += 1;
                        Ok(*n)
                    };
                    update_json(&store, A, "attempts", now, add).await.unwrap().unwrap()
                })
            })
            .collect();
        let mut seen = Vec::new();
        for task in tasks {
            seen.push(task.await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    })
    .await;
}

/// The same random history on memory and sled, with reopening in between, leaves the same content.
#[tokio::test]
async fn sled_is_the_memory_store_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let mut sled = SledStore::open(folder.path()).unwrap();
    let random: &dyn Random = &SystemRandom;
    for step in 0..600 {
        if step % 100 == 99 {
            drop(sled);
            sled = SledStore::open(folder.path()).unwrap();
        }
        let mut batch = Vec::new();
        for _ in 0..=random.array::<1>()[0] % 3 {
            let [key, kind, end, expect] = random.array();
            let (table, key) = (if kind & 1 == 0 { A } else { AB }, vec![key % 8]);
            let seen = memory.read(table, &key).await.unwrap();
            // Versions differ between the stores: only "is it there" is compared.
            let expect = match (expect % 3, &seen) {
                (0, _) => Expect::Any,
                (1, _) => Expect::Absent,
                (_, _) => Expect::Version(u64::MAX),
            };
            let put = (kind & 6 != 0)
                .then(|| (vec![kind, end], (end & 1 == 0).then(|| UnixTime::from_secs(end.into()))));
            batch.push(Write { table, key, expect, put });
        }
        assert_eq!(memory.commit(batch.clone()).await, sled.commit(batch).await);
        if step % 37 == 0 {
            let now = UnixTime::from_secs(step % 256);
            let counts = (memory.purge_expired(now, 1000).await, sled.purge_expired(now, 1000).await);
            assert_eq!(counts.0, counts.1);
        }
    }
    let content = async |store: &dyn Store| {
        let mut all = BTreeMap::new();
        for table in [A, AB] {
            for (key, record) in store.scan(table, None, 1000).await.unwrap() {
                all.insert((table, key), (record.value, record.expires_at));
            }
        }
        all
    };
    assert_eq!(content(&memory).await, content(&sled).await);
}

#[tokio::test]
async fn no_version_returns_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    store.commit(vec![put(A, "x", Expect::Any, "1", None)]).await.unwrap();
    let version = store.read(A, b"x").await.unwrap().unwrap().version;
    store.commit(vec![Write::delete(A, "x", Expect::Any)]).await.unwrap();
    drop(store);
    let store = SledStore::open(folder.path()).unwrap();
    store.commit(vec![put(A, "x", Expect::Any, "1", None)]).await.unwrap();
    assert!(store.read(A, b"x").await.unwrap().unwrap().version > version + 1);
}
