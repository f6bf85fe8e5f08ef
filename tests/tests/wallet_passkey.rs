//! The wallet with passkeys of the platform (S2, S3) instead of keys of its own: they unlock it by PRF, they are bound into
//! credentials, and their secret never leaves.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::did::resolver::Offline;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::holder::presentation::PresentationRules;
use carekey_core::holder::wallet::platform::PlatformError;
use carekey_core::holder::wallet::{
    AuthenticatorSource, LockState, PasskeyClient, Prompt, SoftwareDevice, Wallet, WalletConfig, WalletError,
    WalletPlatform,
};
use carekey_core::random::SystemRandom;
use carekey_core::vault::{MemoryAnchor, MemoryStorage, UnlockKind};
use carekey_tests::world::{Records, WALLET, World, text};
use serde_json::{Value, json};

/// The platform's passkeys, with the PRF extension: what a browser or Credential Manager hands to the app.
struct Passkeys {
    authenticator: SoftwareAuthenticator,
    /// Whether the output comes with the registration already.
    prf_on_create: bool,
    outputs: Mutex<Vec<String>>,
}

impl Passkeys {
    fn new(prf_on_create: bool) -> Arc<Self> {
        let authenticator = SoftwareAuthenticator::new(WALLET, Arc::new(SystemRandom));
        Arc::new(Self { authenticator, prf_on_create, outputs: Mutex::default() })
    }

    /// A PRF of credential id and input, in the place where clients put it.
    fn with_prf(&self, mut answer: Value, id: &str, input: Option<&str>) -> String {
        if let Some(input) = input {
            let output = base64url::encode(&sha256(format!("secret of the key {id} {input}").as_bytes()));
            self.outputs.lock().unwrap().push(output.clone());
            answer["clientExtensionResults"] = json!({ "prf": { "results": { "first": output } } });
        }
        answer.to_string()
    }
}

#[async_trait]
impl PasskeyClient for Passkeys {
    async fn create(&self, options: &str) -> Result<String, PlatformError> {
        let parsed: Value = serde_json::from_str(options).unwrap();
        let made = self.authenticator.create(&serde_json::from_str(options).unwrap());
        let answer = serde_json::to_value(made.map_err(|_| PlatformError::UserCancelled)?).unwrap();
        let id = answer["id"].as_str().unwrap().to_owned();
        let input = parsed.pointer("/extensions/prf/eval/first").and_then(Value::as_str);
        Ok(self.with_prf(answer, &id, input.filter(|_| self.prf_on_create)))
    }

    async fn get(&self, options: &str) -> Result<String, PlatformError> {
        let parsed: Value = serde_json::from_str(options).unwrap();
        let answer = self.authenticator.get(&serde_json::from_str(options).unwrap());
        let answer = serde_json::to_value(answer.map_err(|_| PlatformError::UserCancelled)?).unwrap();
        let id = answer["id"].as_str().unwrap().to_owned();
        let input = parsed.pointer(&format!("/extensions/prf/evalByCredential/{id}/first"));
        Ok(self.with_prf(answer, &id, input.and_then(Value::as_str)))
    }
}

/// Everything that leaves the device.
struct Wire {
    inner: Arc<dyn HttpClient>,
    sent: Mutex<Vec<u8>>,
}

#[async_trait]
impl HttpClient for Wire {
    async fn send(&self, request: HttpRequest) -> carekey_core::Result<HttpResponse> {
        self.sent.lock().unwrap().extend_from_slice(&request.body);
        self.inner.send(request).await
    }
}

fn prompt() -> Prompt {
    Prompt { title: "CareKey".into(), reason: "Is it you?".into(), cancel_label: "Cancel".into() }
}

async fn wallet(
    world: &World,
    passkeys: &Arc<Passkeys>,
    wire: &Arc<Wire>,
    storage: &Arc<MemoryStorage>,
) -> Arc<Wallet> {
    let (issuers, verifiers) = world.trust();
    let config = WalletConfig {
        client_id: WALLET.to_owned(),
        rp_id: "localhost".to_owned(),
        name: "Test wallet".to_owned(),
        origin: WALLET.to_owned(),
        locale: "en".to_owned(),
        authenticator: AuthenticatorSource::Passkey,
        prefer_strongbox: false,
        copies: 1,
        reuse_last_copy: false,
        redirect_uri: None,
        lock_after_secs: 300,
        issuers,
        verifiers,
        rules: PresentationRules::default(),
    };
    let platform = WalletPlatform {
        keys: Arc::new(SoftwareDevice::new()),
        storage: storage.clone(),
        anchor: Some(Arc::new(MemoryAnchor::default())),
        wrapper: None,
        passkeys: Some(passkeys.clone()),
        wallet_attester: None,
        key_attester: None,
        http: wire.clone(),
        dids: Arc::new(Offline),
        log: None,
        clock: world.clock.clone(),
        random: Arc::new(SystemRandom),
    };
    Wallet::open(config, platform).await.unwrap()
}

#[tokio::test]
async fn passkeys_unlock_and_confirm_and_their_secret_stays() {
    let world = World::start(Records::Memory).await;
    let wire = Arc::new(Wire { inner: world.http.clone(), sent: Mutex::default() });
    for (prf_on_create, prompts) in [(true, 1), (false, 2)] {
        let (passkeys, storage) = (Passkeys::new(prf_on_create), Arc::new(MemoryStorage::new()));
        let wallet = wallet(&world, &passkeys, &wire, &storage).await;
        let added = wallet.add_passkey_entry("My passkey").await.unwrap();
        assert_eq!((added.kind, passkeys.authenticator.prompts()), (UnlockKind::Prf, prompts));
        wallet.create_recovery_code("Recovery code").await.unwrap();

        let before = passkeys.authenticator.prompts();
        let offer = world.offer(&["patient_identity", "insurance_coverage"], false).await;
        let session = wallet.begin_issuance(text(&offer, "credential_offer_uri")).await.unwrap();
        passkeys.authenticator.behave(Behaviour { declines: true, ..Behaviour::default() });
        assert_eq!(session.accept(None, &prompt()).await.unwrap_err(), WalletError::UserCancelled);
        passkeys.authenticator.behave(Behaviour::default());
        session.accept(None, &prompt()).await.unwrap();
        assert_eq!(passkeys.authenticator.prompts() - before, 2, "the one that was closed, and one");

        wallet.lock();
        assert_eq!(wallet.lock_state(), LockState::Locked);
        // An answer without user verification opens nothing, whatever secret comes with it.
        passkeys.authenticator.behave(Behaviour { user_verified: false, ..Behaviour::default() });
        assert!(wallet.unlock(None, &prompt()).await.is_err());
        passkeys.authenticator.behave(Behaviour::default());
        wallet.unlock(None, &prompt()).await.unwrap();

        let before = passkeys.authenticator.prompts();
        let request = world.ask_identity("direct_post").await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let selection = session.default_selection().unwrap();
        assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
        assert_eq!(passkeys.authenticator.prompts() - before, 1);

        let sent = wire.sent.lock().unwrap();
        let outputs = passkeys.outputs.lock().unwrap();
        assert!(outputs.len() >= 2);
        for output in &*outputs {
            let holds = |bytes: &[u8]| bytes.windows(output.len()).any(|part| part == output.as_bytes());
            assert!(!holds(&sent), "a PRF output left the device");
            assert!(!storage.snapshot().values().any(|value| holds(value)), "a PRF output is stored");
        }
        assert!(
            !sent.windows(15).any(|part| part == b"clientExtension")
                || !String::from_utf8_lossy(&sent).contains("\"prf\"")
        );
    }
}
