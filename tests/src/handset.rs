//! A phone with the wallet of core on it, in memory, for tests over HTTP with the services of [`crate::world`].

use std::sync::Arc;

use carekey_core::holder::HttpClient;
use carekey_core::holder::issuance::WalletAttester;
use carekey_core::holder::presentation::PresentationRules;
use carekey_core::holder::wallet::{
    AuthenticatorSource, CredentialSummary, Prompt, SoftwareDevice, Wallet, WalletConfig, WalletPlatform,
};
use carekey_core::random::SystemRandom;
use carekey_core::trust::VerifierTrust;
use carekey_core::vault::{MemoryAnchor, MemoryStorage};
use carekey_service::dids::Dids;

use crate::world::{WALLET, World, text};

/// Both kinds of credentials of the hospital.
pub const BOTH: [&str; 2] = ["patient_identity", "insurance_coverage"];

/// Where issuers send the browser back to.
pub const REDIRECT: &str = "http://localhost:8802/signed-in";

/// A phone; what is on it survives a restart of the app ([`Self::wallet`]).
pub struct Phone {
    /// Its key store.
    pub device: Arc<SoftwareDevice>,
    /// Its storage.
    pub storage: Arc<MemoryStorage>,
    /// Where the generation of the storage is kept.
    pub anchor: Arc<MemoryAnchor>,
    /// Copies of each credential.
    pub copies: u32,
    /// Whether the last copy is shown again.
    pub reuse_last_copy: bool,
    /// What the app can show.
    pub rules: PresentationRules,
    /// Whom the wallet knows besides the portal of the world.
    pub verifiers: Option<VerifierTrust>,
    /// Who vouches for the wallet.
    pub attester: Option<Arc<dyn WalletAttester>>,
}

impl Default for Phone {
    fn default() -> Self {
        Self::new()
    }
}

impl Phone {
    /// A new phone.
    pub fn new() -> Self {
        Self {
            device: Arc::default(),
            storage: Arc::default(),
            anchor: Arc::default(),
            copies: 1,
            reuse_last_copy: false,
            rules: PresentationRules::default(),
            verifiers: None,
            attester: None,
        }
    }

    /// The app is started: what ran before is forgotten.
    pub async fn wallet(&self, world: &World) -> Arc<Wallet> {
        self.wallet_over(world, world.http.clone()).await
    }

    /// The same behind another HTTP client.
    pub async fn wallet_over(&self, world: &World, http: Arc<dyn HttpClient>) -> Arc<Wallet> {
        let (issuers, verifiers) = world.trust();
        let config = WalletConfig {
            client_id: WALLET.to_owned(),
            rp_id: "localhost".to_owned(),
            name: "Test wallet".to_owned(),
            origin: WALLET.to_owned(),
            locale: "en".to_owned(),
            authenticator: AuthenticatorSource::Embedded,
            prefer_strongbox: false,
            copies: self.copies,
            reuse_last_copy: self.reuse_last_copy,
            redirect_uri: Some(REDIRECT.to_owned()),
            lock_after_secs: 300,
            issuers,
            verifiers: self.verifiers.clone().unwrap_or(verifiers),
            rules: self.rules.clone(),
        };
        let platform = WalletPlatform {
            keys: self.device.clone(),
            storage: self.storage.clone(),
            anchor: Some(self.anchor.clone()),
            wrapper: Some(self.device.clone()),
            passkeys: None,
            wallet_attester: self.attester.clone(),
            key_attester: None,
            http,
            dids: Arc::new(Dids::new(world.http.clone(), world.clock.clone(), true)),
            log: None,
            clock: world.clock.clone(),
            random: Arc::new(SystemRandom),
        };
        Wallet::open(config, platform).await.expect("a storage in memory")
    }

    /// A wallet with two ways to unlock; returns the recovery code.
    pub async fn set_up(&self, world: &World) -> (Arc<Wallet>, String) {
        self.set_up_over(world, world.http.clone()).await
    }

    /// The same behind another HTTP client.
    pub async fn set_up_over(&self, world: &World, http: Arc<dyn HttpClient>) -> (Arc<Wallet>, String) {
        let wallet = self.wallet_over(world, http).await;
        wallet.add_hardware_entry("This phone").await.expect("a new wallet");
        let code = wallet.create_recovery_code("Recovery code").await.expect("an open wallet");
        (wallet, code.expose().clone())
    }

    /// The names of all keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = self.device.aliases();
        keys.sort();
        keys
    }
}

/// What the person is asked.
pub fn prompt() -> Prompt {
    Prompt { title: "CareKey".into(), reason: "Is it you?".into(), cancel_label: "Cancel".into() }
}

/// Collects both kinds of credentials.
pub async fn collect(world: &World, wallet: &Arc<Wallet>) {
    let offer = world.offer(&BOTH, true).await;
    let session = wallet.begin_issuance(text(&offer, "credential_offer_uri")).await.expect("an offer");
    let outcome = session.accept(Some(text(&offer, "tx_code")), &prompt()).await.expect("the right code");
    assert_eq!(outcome.credentials.len(), 2);
}

/// The newest identity in the wallet.
pub async fn identity(wallet: &Wallet) -> CredentialSummary {
    let all = wallet.credentials().await.expect("an open wallet");
    let found = all.into_iter().find(|one| one.configuration_id == "patient_identity");
    found.expect("an identity")
}
