//! What a wallet's vault costs as it grows: opening it and listing its credentials, reading one, changing one.
//!
//! `cargo bench -p carekey-tests --bench vault`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use carekey_core::clock::UnixTime;
use carekey_core::random::{Random, SystemRandom};
use carekey_core::vault::records::{Batch, OlderState, Place, Records};
use carekey_core::vault::{MemoryStorage, Opener, RecordType, Vault, WalletStorage};
use carekey_storage::WalletFile;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

const CREDENTIAL: RecordType = RecordType::new("credential");
const SECRET: [u8; 32] = [7; 32];
const R: &dyn Random = &SystemRandom;

/// As long as what the wallet keeps of a credential of the demo's hospital.
fn summary(n: usize) -> Value {
    json!({ "id": format!("credential number {n}"), "name": "Patient identity",
        "description": "Who you are, as the hospital's records say", "issuer_name": "Nemocnice Testov",
        "issuer": "https://hospital.example/", "credential_issuer": "https://hospital.example/",
        "issuer_trusted": true, "kind": "https://hospital.example/vct/patient-identity",
        "configuration_id": "patient_identity", "format": "dc+sd-jwt", "background_color": "#12406a",
        "text_color": "#ffffff", "issued_at": 1_796_000_000, "expires_at": 1_803_776_000, "level": "uv",
        "single_use": false, "copies_left": 1, "keys_lost": false, "status": "unknown", "has_logo": false })
}

fn id(n: usize) -> String {
    format!("id-{n}")
}

fn place(storage: Arc<dyn WalletStorage>) -> Place {
    Place { storage, anchor: None, random: Arc::new(SystemRandom) }
}

async fn filled(place: Place, size: usize) -> (Records, Opener) {
    let vault = Vault::create(R);
    let entry = vault.add_prf_entry("a", &SECRET, R).expect("32 bytes");
    let opener = Opener::new(entry, "a", UnixTime::from_secs(0));
    let records = Records::create(vault, place, &opener).await.expect("an empty storage");
    let body = "x".repeat(3_000);
    for from in (0..size).step_by(500) {
        let mut batch = Batch::new();
        for n in from..size.min(from + 500) {
            batch.put(CREDENTIAL, &id(n), &summary(n), &body).expect("JSON");
        }
        records.commit(batch).await.expect("storage");
    }
    (records, opener)
}

async fn change(records: &Records, n: usize) {
    let mut batch = Batch::new();
    batch.put(CREDENTIAL, &id(n), &summary(n), &"y".repeat(3_000)).expect("JSON");
    records.commit(batch).await.expect("storage");
}

fn vault(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("vault");
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for size in [10, 100, 1_000, 10_000] {
        let storage: Arc<dyn WalletStorage> = Arc::new(MemoryStorage::new());
        let (records, opener) = runtime.block_on(filled(place(storage.clone()), size));
        group.bench_function(BenchmarkId::new("open and list", size), |bencher| {
            bencher.iter_batched(
                || opener.open(&SECRET).expect("the secret"),
                |vault| {
                    runtime.block_on(async {
                        let open =
                            Records::open(vault, place(storage.clone()), &opener, 0, OlderState::Refuse);
                        let listed = open.await.expect("a vault").list::<Value>(CREDENTIAL).await;
                        assert_eq!(listed.expect("a list").records.len(), size);
                    });
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("read one", size), |bencher| {
            bencher.iter(|| black_box(runtime.block_on(records.read::<String>(CREDENTIAL, &id(size / 2)))));
        });
        group.bench_function(BenchmarkId::new("change one", size), |bencher| {
            bencher.iter(|| runtime.block_on(change(&records, size / 2)));
        });
    }
    // The same in a file, with an fdatasync per name.
    let folder = tempfile::tempdir().expect("a folder");
    let storage = Arc::new(WalletFile::open(folder.path().join("wallet")).expect("a file"));
    let (records, _) = runtime.block_on(filled(place(storage), 1_000));
    group.bench_function(BenchmarkId::new("change one, in a file", 1_000), |bencher| {
        bencher.iter(|| runtime.block_on(change(&records, 500)));
    });
    group.finish();
}

criterion_group!(benches, vault);
criterion_main!(benches);
