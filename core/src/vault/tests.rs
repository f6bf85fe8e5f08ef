use super::*;
use crate::encoding::base64url;
use crate::random::SystemRandom;
use crate::store::{Expect, MemoryStore, Store, Table, Write};

const TABLE: Table = Table::new("vault");
const CREDENTIAL: RecordType = RecordType::new("credential");
const ACTIVITY: RecordType = RecordType::new("activity");
const R: &dyn Random = &SystemRandom;

#[test]
fn every_entry_opens_and_only_with_its_own_secret() {
    let vault = Vault::create(R);
    let (prf, other_prf, device) = ([1; 32], [2; 64], [3; 32]);
    let entries = [
        (vault.add_prf_entry("passkey a", &prf, R).unwrap(), prf.to_vec(), UnlockKind::Prf),
        (vault.add_prf_entry("passkey b", &other_prf, R).unwrap(), other_prf.to_vec(), UnlockKind::Prf),
        (vault.add_device_entry("device", &device, R).unwrap(), device.to_vec(), UnlockKind::Device),
    ];
    for (entry, secret, kind) in &entries {
        let json = serde_json::to_string(entry).unwrap();
        let entry: UnlockEntry = serde_json::from_str(&json).unwrap();
        assert_eq!(entry.kind(), *kind);
        let opened = entry.open(secret).unwrap();
        assert_eq!(opened.data_key.expose(), vault.data_key.expose());
        for (_, wrong, _) in entries.iter().filter(|(_, other, _)| other != secret) {
            assert_eq!(entry.open(wrong).unwrap_err().code(), "vault_wrong_key");
        }
        assert_eq!(entry.open(&[1; 31]).unwrap_err().code(), "vault_secret_short");
        assert!(!json.contains(&base64url::encode(vault.data_key.expose())));
    }
    assert_eq!(vault.add_prf_entry("x", &[0; 16], R).unwrap_err().code(), "vault_secret_short");
}

#[test]
fn a_changed_entry_does_not_open() {
    let vault = Vault::create(R);
    let entry = serde_json::to_value(vault.add_prf_entry("a", &[1; 32], R).unwrap()).unwrap();
    let flipped = |name: &str| {
        let mut bytes = base64url::decode(entry[name].as_str().unwrap()).unwrap();
        bytes[0] ^= 1;
        base64url::encode(&bytes).into()
    };
    for (name, value, code) in [
        ("id", "b".into(), "vault_wrong_key"),
        ("kind", "device".into(), "vault_wrong_key"),
        ("vault", flipped("vault"), "vault_wrong_key"),
        ("salt", flipped("salt"), "vault_wrong_key"),
        ("nonce", flipped("nonce"), "vault_wrong_key"),
        ("wrapped", flipped("wrapped"), "vault_wrong_key"),
        ("wrapped", "AAAA".into(), "vault_entry"),
        ("salt", "not base64url!".into(), "vault_entry"),
        ("version", 2.into(), "vault_version"),
    ] {
        let mut changed = entry.clone();
        changed[name] = value;
        let changed: UnlockEntry = serde_json::from_value(changed).unwrap();
        assert_eq!(changed.open(&[1; 32]).unwrap_err().code(), code, "{name}");
    }
}

/// The derivation is a format: a vault of today opens tomorrow. Here step by step (RFC 5869).
#[test]
fn derivation_is_as_documented() {
    let kek = derive(&[1; 32], &[2; 32], &[b"carekey vault kek v1", b"entry"]);
    let pseudorandom = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]), &[1; 32]);
    let info = b"carekey vault kek v1entry\x01";
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pseudorandom.as_ref()), info);
    assert_eq!(kek.expose().as_slice(), expected.as_ref());
}

#[tokio::test]
async fn records_come_back_after_lock_and_unlock() {
    let store = MemoryStore::new();
    let vault = Vault::create(R);
    let entry = vault.add_prf_entry("a", &[1; 32], R).unwrap();
    for n in 0..300 {
        vault.put(&store, CREDENTIAL, &format!("c{n}"), &n, R).await.unwrap();
    }
    vault.put(&store, ACTIVITY, "c1", "Zoë Müller", R).await.unwrap();
    vault.put(&store, CREDENTIAL, "c1", &-1, R).await.unwrap();
    assert!(vault.delete(&store, CREDENTIAL, "c2").await.unwrap());
    assert!(!vault.delete(&store, CREDENTIAL, "c2").await.unwrap());
    drop(vault);

    assert_eq!(entry.open(&[9; 32]).unwrap_err().code(), "vault_wrong_key");
    let vault = entry.open(&[1; 32]).unwrap();
    let all = vault.list::<i32>(&store, CREDENTIAL).await.unwrap();
    assert_eq!((all.records.len(), all.damaged), (299, 0));
    assert_eq!(vault.read(&store, CREDENTIAL, "c1").await.unwrap(), Some(-1));
    assert_eq!(vault.read::<i32>(&store, CREDENTIAL, "c2").await.unwrap(), None);
    assert_eq!(vault.read(&store, ACTIVITY, "c1").await.unwrap(), Some("Zoë Müller".to_owned()));
    assert_eq!(vault.list::<String>(&store, ACTIVITY).await.unwrap().records.len(), 1);
    assert!(vault.list::<String>(&store, RecordType::new("none")).await.unwrap().records.is_empty());
    assert_eq!(format!("{vault:?}"), "Vault(…)");
}

#[tokio::test]
async fn nothing_lies_in_the_clear_and_names_tell_nothing() {
    let store = MemoryStore::new();
    let (one, two) = (Vault::create(R), Vault::create(R));
    for vault in [&one, &two] {
        vault.put(&store, CREDENTIAL, "patient-identity", "Zoë Müller", R).await.unwrap();
    }
    let all = store.scan(TABLE, None, 10).await.unwrap();
    assert_eq!(all.len(), 2, "the same name in another vault is another key");
    for (key, record) in all {
        for text in ["patient", "credential", "Müller"] {
            let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!holds(&key) && !holds(&record.value));
        }
    }
    // Each vault sees its own record only.
    assert_eq!(one.list::<String>(&store, CREDENTIAL).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_record_opens_only_in_its_place() {
    let store = MemoryStore::new();
    let vault = Vault::create(R);
    for id in ["a", "b"] {
        vault.put(&store, CREDENTIAL, id, id, R).await.unwrap();
        vault.put(&store, ACTIVITY, id, id, R).await.unwrap();
    }
    let place = vault.key(CREDENTIAL, "a");
    let good = store.read(TABLE, &place).await.unwrap().unwrap().value;
    let elsewhere = [vault.key(CREDENTIAL, "b"), vault.key(ACTIVITY, "a")];
    for key in elsewhere {
        let moved = store.read(TABLE, &key).await.unwrap().unwrap().value;
        store.commit(vec![Write::put(TABLE, place.clone(), Expect::Any, moved, None)]).await.unwrap();
        assert_eq!(vault.read::<String>(&store, CREDENTIAL, "a").await.unwrap_err().code(), "vault_record");
    }
    // Every byte counts: version, revision, nonce, ciphertext, tag.
    for index in 0..good.len() {
        let mut value = good.clone();
        value[index] ^= 1;
        store.commit(vec![Write::put(TABLE, place.clone(), Expect::Any, value, None)]).await.unwrap();
        let error = vault.read::<String>(&store, CREDENTIAL, "a").await.unwrap_err();
        assert_eq!(error.code(), "vault_record", "byte {index}");
    }
    for length in 0..good.len() {
        let value = good[..length].to_vec();
        store.commit(vec![Write::put(TABLE, place.clone(), Expect::Any, value, None)]).await.unwrap();
        assert!(vault.read::<String>(&store, CREDENTIAL, "a").await.is_err());
    }
    // A damaged record hides no other, and can be written anew.
    let listed = vault.list::<String>(&store, CREDENTIAL).await.unwrap();
    assert_eq!((listed.records.len(), listed.damaged), (1, 1));
    vault.put(&store, CREDENTIAL, "a", "new", R).await.unwrap();
    assert_eq!(vault.read(&store, CREDENTIAL, "a").await.unwrap(), Some("new".to_owned()));
}

#[tokio::test]
async fn each_writing_has_its_own_nonce_and_revision() {
    let store = MemoryStore::new();
    let vault = Vault::create(R);
    let mut seen = std::collections::BTreeSet::new();
    for n in 1..=20_u64 {
        vault.put(&store, CREDENTIAL, "a", "same", R).await.unwrap();
        let value = store.read(TABLE, &vault.key(CREDENTIAL, "a")).await.unwrap().unwrap().value;
        assert_eq!(record::revision(&value), Some(n));
        assert!(seen.insert(value[9..33].to_vec()));
    }
}
