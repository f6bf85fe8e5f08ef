//! `cargo bench -p carekey-tests --bench wallet`: what a large wallet costs to open and to list, on one thread.
//!
//! One credential is collected from a running hospital; the wallet then holds it N times under other ids. "Beyond unlock" is
//! what opening and listing N takes more than opening and listing one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carekey_core::did::resolver::Offline;
use carekey_core::holder::wallet::{
    AuthenticatorSource, Prompt, SoftwareDevice, Wallet, WalletConfig, WalletPlatform,
};
use carekey_core::random::SystemRandom;
use carekey_core::vault::records::{self, Batch, OlderState, Place, Records};
use carekey_core::vault::{MemoryStorage, RecordType, RecoveryCode};
use carekey_tests::world::{self, WALLET, World, text};
use serde_json::Value;

const CREDENTIAL: RecordType = RecordType::new("credential");
const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// The most that 1,000 credentials may cost beyond the unlock.
const AIM: Duration = Duration::from_millis(100);

struct Phone {
    device: Arc<SoftwareDevice>,
    storage: Arc<MemoryStorage>,
}

impl Phone {
    async fn wallet(&self, world: &World) -> Arc<Wallet> {
        let (issuers, verifiers) = world.trust();
        let config = WalletConfig {
            client_id: WALLET.to_owned(),
            rp_id: "localhost".to_owned(),
            name: "Wallet".to_owned(),
            origin: WALLET.to_owned(),
            locale: "en".to_owned(),
            authenticator: AuthenticatorSource::Embedded,
            prefer_strongbox: false,
            copies: 1,
            lock_after_secs: 3_600,
            issuers,
            verifiers,
        };
        let platform = WalletPlatform {
            keys: self.device.clone(),
            storage: self.storage.clone(),
            anchor: None,
            wrapper: Some(self.device.clone()),
            passkeys: None,
            http: world.http.clone(),
            dids: Arc::new(Offline),
            log: None,
            clock: world.clock.clone(),
            random: Arc::new(SystemRandom),
        };
        Wallet::open(config, platform).await.expect("a wallet")
    }

    /// Puts copies of the one credential beside it until there are `size`.
    async fn fill(&self, code: &RecoveryCode, size: usize) {
        let place = Place { storage: self.storage.clone(), anchor: None, random: Arc::new(SystemRandom) };
        let openers = records::openers(&place).await.expect("ways to unlock");
        let (opener, vault) = openers
            .iter()
            .find_map(|one| Some((one, one.open_with_code(code).ok()?)))
            .expect("a recovery code");
        let records = Records::open(vault, place, opener, 0, OlderState::Refuse).await.expect("the vault");
        let listed = records.list::<Value>(CREDENTIAL).await.expect("a list").records;
        let (id, summary) = listed.first().expect("a credential");
        let held: Value = records.read(CREDENTIAL, id).await.expect("a record").expect("the credential");
        let mut batch = Batch::new();
        for number in listed.len()..size {
            let id = format!("copy-{number}");
            let mut summary = summary.clone();
            *summary.get_mut("id").expect("an id") = id.clone().into();
            batch.put(CREDENTIAL, &id, &summary, &held).expect("a record");
        }
        records.commit(batch).await.expect("a commit");
    }
}

fn prompt() -> Prompt {
    Prompt { title: "CareKey".into(), reason: "Open".into(), cancel_label: "Cancel".into() }
}

/// The middle of seven tries: unlock, and list.
async fn measure(phone: &Phone, world: &World, size: usize) -> (Duration, Duration) {
    let mut tries = Vec::new();
    for _ in 0..7 {
        let wallet = phone.wallet(world).await;
        let start = now();
        wallet.unlock(None, &prompt()).await.expect("open");
        let unlocked = start.elapsed();
        let credentials = black_box(wallet.credentials().await.expect("a list"));
        assert_eq!(credentials.len(), size);
        tries.push((unlocked, start.elapsed() - unlocked));
    }
    tries.sort_by_key(|(unlock, list)| *unlock + *list);
    tries[tries.len() / 2]
}

#[allow(clippy::disallowed_methods)] // a measurement
fn now() -> Instant {
    Instant::now()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let world = World::start(world::Records::Memory).await;
    let phone = Phone { device: Arc::default(), storage: Arc::default() };
    let wallet = phone.wallet(&world).await;
    wallet.add_hardware_entry("This phone").await.expect("a way to unlock");
    let code = wallet.create_recovery_code("Recovery code").await.expect("a recovery code");
    let code = RecoveryCode::parse(code.expose()).expect("its own code");
    let offer = world.offer(&["patient_identity"], false).await;
    let session = wallet.begin_issuance(text(&offer, "credential_offer_uri")).await.expect("an offer");
    session.accept(None, &prompt()).await.expect("a credential");

    println!(
        "{:>11} {:>12} {:>12} {:>14} {:>16}",
        "credentials", "unlock", "list", "beyond unlock", "per credential"
    );
    let mut one = None;
    for size in SIZES {
        phone.fill(&code, size).await;
        let (unlock, list) = measure(&phone, &world, size).await;
        let all = unlock + list;
        let beyond = all.saturating_sub(*one.get_or_insert(all));
        let each = beyond / u32::try_from(size).expect("a small number");
        println!("{size:>11} {unlock:>12.1?} {list:>12.1?} {beyond:>14.1?} {each:>16.2?}");
        if size == 1_000 {
            println!("{:>11} aim {AIM:?}: {}", "", if beyond <= AIM { "met" } else { "NOT met" });
        }
    }
}
