//! The wallet's file survives being cut off anywhere, and so does the vault in it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use carekey_core::clock::UnixTime;
use carekey_core::random::{Random, SystemRandom};
use carekey_core::vault::records::{Batch, OlderState, Place, Records, openers};
use carekey_core::vault::{Opener, RecordType, Vault, WalletStorage};
use carekey_storage::WalletFile;

const NOTE: RecordType = RecordType::new("note");
const R: &dyn Random = &SystemRandom;

fn place(path: &Path) -> Place {
    let storage = Arc::new(WalletFile::open(path).unwrap());
    Place { storage, anchor: None, random: Arc::new(SystemRandom) }
}

async fn create(path: &Path) -> Records {
    let vault = Vault::create(R);
    let first = Opener::new(vault.add_prf_entry("a", &[1; 32], R).unwrap(), "a", UnixTime::from_secs(0));
    Records::create(vault, place(path), &first).await.unwrap()
}

async fn open(path: &Path) -> Records {
    let place = place(path);
    let first = openers(&place).await.unwrap().pop().unwrap();
    let vault = first.open(&[1; 32]).unwrap();
    Records::open(vault, place, &first, 0, OlderState::Refuse).await.unwrap()
}

async fn put(records: &Records, notes: &[(&str, &str)]) {
    let mut batch = Batch::new();
    for (id, note) in notes {
        batch.put(NOTE, id, note, note).unwrap();
    }
    records.commit(batch).await.unwrap();
}

async fn all(records: &Records) -> Vec<(String, String)> {
    let listed = records.list::<String>(NOTE).await.unwrap();
    assert_eq!(listed.damaged, 0);
    for (id, summary) in &listed.records {
        assert_eq!(records.read::<String>(NOTE, id).await.unwrap().as_ref(), Some(summary));
    }
    listed.records
}

#[tokio::test]
async fn what_is_put_is_there_and_only_the_last_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let file = WalletFile::open(&path).unwrap();
    assert!(WalletFile::open(&path).is_err(), "one process at a time");
    for n in 0..50_u32 {
        file.put(&format!("a/{}", n % 7), vec![0; 60_000]).await.unwrap();
        file.put("b", n.to_be_bytes().to_vec()).await.unwrap();
    }
    file.remove("a/3").await.unwrap();
    file.remove("never there").await.unwrap();
    // 3 MB were written; what counts is 360 kB and at most as much again, and 1 MiB.
    assert!(fs::metadata(&path).unwrap().len() < 2_000_000, "it does not only grow");
    drop(file);
    let file = WalletFile::open(&path).unwrap();
    assert_eq!(file.list("a/").await.unwrap(), ["a/0", "a/1", "a/2", "a/4", "a/5", "a/6"]);
    assert_eq!(file.get("b").await.unwrap().unwrap(), 49_u32.to_be_bytes());
    assert_eq!(file.get("a/3").await.unwrap(), None);
    assert_eq!(file.get("a/4").await.unwrap().unwrap().len(), 60_000);
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    fs::write(folder.path().join("other"), "something else").unwrap();
    assert!(WalletFile::open(folder.path().join("other")).is_err());
}

/// The last write of the vault is a batch: bodies, pages, the root, and the removal of what it replaces. Cut at every
/// byte of all that, the vault opens with the state before or after, and goes on.
#[tokio::test]
async fn cut_at_every_byte_of_the_last_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let records = create(&path).await;
    put(&records, &[("one", "old"), ("two", "old"), ("three", "old")]).await;
    let before = all(&records).await;
    let start = fs::metadata(&path).unwrap().len();
    put(&records, &[("one", "new"), ("four", "new")]).await;
    let after = all(&records).await;
    drop(records);
    let whole = fs::read(&path).unwrap();
    let start = usize::try_from(start).unwrap();
    assert!(whole.len() > start + 500, "{} bytes", whole.len() - start);
    let (mut old, mut new) = (0, 0);
    for end in start..=whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let records = open(&path).await;
        let found = all(&records).await;
        if found == before {
            assert_eq!(new, 0, "what is complete stays complete");
            old += 1;
        } else {
            assert_eq!(found, after, "cut at {end}");
            new += 1;
        }
        if end % 97 == 0 {
            put(&records, &[("five", "goes on")]).await;
            drop(records);
            assert_eq!(all(&open(&path).await).await.len(), found.len() + 1);
        }
    }
    assert!(old > 500 && new > 50, "{old} {new}");
}

/// A disk that lengthened the file and wrote nothing, or something else, into the last write.
#[tokio::test]
async fn noise_in_the_last_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let records = create(&path).await;
    put(&records, &[("one", "old")]).await;
    let start = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    drop(records);
    let whole = fs::read(&path).unwrap();
    for noise in [vec![0; 300], vec![0xff; 300], b"\0\0\0\x03\x01\0\0".to_vec()] {
        fs::write(&path, [&whole[..start], &noise].concat()).unwrap();
        assert_eq!(all(&open(&path).await).await, [("one".to_owned(), "old".to_owned())]);
    }
}

/// Damage in the middle hides what was damaged and nothing else.
#[tokio::test]
async fn damage_in_the_middle_hides_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet");
    let file = WalletFile::open(&path).unwrap();
    for name in ["a", "b", "c"] {
        file.put(name, name.repeat(100).into_bytes()).await.unwrap();
    }
    drop(file);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|part| part == b"bbbbbbbbb").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let file = WalletFile::open(&path).unwrap();
    assert_eq!(file.list("").await.unwrap(), ["a", "c"]);
    assert_eq!(file.get("c").await.unwrap().unwrap().len(), 100);
}
