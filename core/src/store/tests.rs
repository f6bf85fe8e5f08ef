use std::sync::Arc;

use super::*;
use crate::random::SystemRandom;
use crate::secret::Secret;

const CODES: Table = Table::new("codes");
const OTHER: Table = Table::new("code");
const NOW: UnixTime = UnixTime::from_secs(1_000);

fn put(key: &str, expect: Expect, value: &str) -> Write {
    Write::put(CODES, key, expect, value, None)
}

#[tokio::test]
async fn batch_is_all_or_nothing_and_sees_itself() {
    let store = MemoryStore::new();
    store.commit(vec![put("a", Expect::Absent, "1")]).await.unwrap();
    let refused = store
        .commit(vec![
            put("b", Expect::Absent, "2"),
            put("b", Expect::Absent, "3"),
            put("a", Expect::Any, "9"),
        ])
        .await;
    assert_eq!(refused, Err(CommitError::Conflict { index: 1 }));
    assert!(store.read(CODES, b"b").await.unwrap().is_none());
    assert_eq!(store.read(CODES, b"a").await.unwrap().unwrap().value, b"1");

    let version = store.read(CODES, b"a").await.unwrap().unwrap().version;
    store
        .commit(vec![
            Write::delete(CODES, "a", Expect::Version(version)),
            put("a", Expect::Absent, "2"),
            put("c", Expect::Any, "3"),
        ])
        .await
        .unwrap();
    let again = store.read(CODES, b"a").await.unwrap().unwrap();
    assert!(again.version > version, "a version never returns");
    assert_eq!(
        store.commit(vec![put("a", Expect::Version(version), "x")]).await,
        Err(CommitError::Conflict { index: 0 })
    );
    assert_eq!(Error::from(CommitError::Conflict { index: 0 }).code(), "store_conflict");
}

#[tokio::test]
async fn scan_stays_in_its_table_and_pages() {
    let store = MemoryStore::new();
    for key in ["a", "b", "c", "d"] {
        store
            .commit(vec![put(key, Expect::Any, key), Write::put(OTHER, key, Expect::Any, "o", None)])
            .await
            .unwrap();
    }
    let first = store.scan(CODES, None, 3).await.unwrap();
    assert_eq!(first.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    let second = store.scan(CODES, Some(&first[2].0), 3).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].1.value, b"d");
}

#[tokio::test]
async fn purges_what_has_expired() {
    let store = MemoryStore::new();
    for (key, end) in [("a", Some(999)), ("b", Some(1_000)), ("c", Some(1_001)), ("d", None)] {
        let write = Write::put(CODES, key, Expect::Any, key, end.map(UnixTime::from_secs));
        store.commit(vec![write]).await.unwrap();
    }
    assert_eq!(store.purge_expired(NOW, 1).await.unwrap(), 1);
    assert_eq!(store.purge_expired(NOW, 10).await.unwrap(), 1);
    assert_eq!(store.purge_expired(NOW, 10).await.unwrap(), 0);
    let left = store.scan(CODES, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(), [b"c", b"d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_100_takes_one_wins() {
    let store = Arc::new(MemoryStore::new());
    for round in 0..20 {
        let key = format!("code{round}");
        put_json(&store, CODES, &key, Expect::Absent, &round, None).await.unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move { take(&store, CODES, &key).await.unwrap().is_some() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += u32::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_do_not_get_lost_and_errors_write_nothing() {
    let store = Arc::new(MemoryStore::new());
    put_json(&store, CODES, "n", Expect::Absent, &0_u32, Some(NOW.plus(1))).await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                update_json(&store, CODES, "n", NOW, |n: &mut u32| {
                    *n += 1;
                    Ok(*n)
                })
                .await
                .unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_some());
    }
    let refused = update_json(&store, CODES, "n", NOW, |n: &mut u32| {
        *n = 0;
        Err::<(), _>(Error::refused("no", "no"))
    });
    assert_eq!(refused.await.unwrap_err().code(), "no");
    assert_eq!(read_json::<u32>(&store, CODES, "n").await.unwrap().unwrap().value, 100);
    assert_eq!(update_json(&store, CODES, "n", NOW.plus(1), |_: &mut u32| Ok(())).await.unwrap(), None);
    assert_eq!(take_json::<u32>(&store, CODES, "n", NOW.plus(1)).await.unwrap(), None);
    assert_eq!(read_json::<String>(&store, CODES, "m").await.unwrap(), None);
}

#[tokio::test]
async fn a_record_of_another_type_is_not_quoted() {
    let store = MemoryStore::new();
    put_json(&store, CODES, "a", Expect::Any, "Müller", None).await.unwrap();
    let error = read_json::<u32>(&store, CODES, "a").await.unwrap_err();
    assert_eq!(error.code(), "store_corrupt");
    assert!(!error.to_string().contains("Müller"));
    let record = store.read(CODES, b"a").await.unwrap().unwrap();
    assert!(!format!("{record:?}").contains("Müller"));
}

#[tokio::test]
async fn keys_are_bounded() {
    let store = MemoryStore::new();
    for key in [Vec::new(), vec![1; MAX_KEY_BYTES + 1]] {
        let error = store.commit(vec![Write::put(CODES, key, Expect::Any, "v", None)]).await.unwrap_err();
        assert!(matches!(error, CommitError::Failed(error) if error.code() == "store_key"));
    }
}

#[tokio::test]
async fn sealed_values_hide_and_stay_in_their_place() {
    let inner = Arc::new(MemoryStore::new());
    let key = Secret::new([7; 32]);
    let sealed = Sealed::new(Arc::clone(&inner), &key, Arc::new(SystemRandom)).unwrap();
    let write = |key: &str| Write::put(CODES, key, Expect::Any, "Zoë Müller", Some(NOW));
    sealed.commit(vec![write("a"), write("b")]).await.unwrap();

    let raw = inner.read(CODES, b"a").await.unwrap().unwrap();
    assert!(!raw.value.windows(4).any(|bytes| bytes == "Müll".as_bytes()));
    assert_eq!(sealed.read(CODES, b"a").await.unwrap().unwrap().value, "Zoë Müller".as_bytes());
    assert_eq!(sealed.scan(CODES, None, 9).await.unwrap().len(), 2);

    // another key, table or expiry; each flipped byte; too short
    let mut forged = vec![
        Write::put(CODES, "b", Expect::Any, raw.value.clone(), Some(NOW)),
        Write::put(OTHER, "a", Expect::Any, raw.value.clone(), Some(NOW)),
        Write::put(CODES, "a", Expect::Any, raw.value.clone(), Some(NOW.plus(1))),
        Write::put(CODES, "a", Expect::Any, raw.value.clone(), None),
        Write::put(CODES, "a", Expect::Any, raw.value[..12].to_vec(), Some(NOW)),
        Write::put(CODES, "a", Expect::Any, Vec::new(), Some(NOW)),
    ];
    for index in 0..raw.value.len() {
        let mut value = raw.value.clone();
        value[index] ^= 1;
        forged.push(Write::put(CODES, "a", Expect::Any, value, Some(NOW)));
    }
    for write in forged {
        let (table, at) = (write.table, write.key.clone());
        inner.commit(vec![write]).await.unwrap();
        assert_eq!(sealed.read(table, &at).await.unwrap_err().code(), "store_unsealable");
    }

    inner.commit(vec![Write::put(CODES, "a", Expect::Any, raw.value, Some(NOW))]).await.unwrap();
    let other = Sealed::new(inner, &Secret::new([8; 32]), Arc::new(SystemRandom)).unwrap();
    assert_eq!(other.read(CODES, b"a").await.unwrap_err().code(), "store_unsealable");
}
