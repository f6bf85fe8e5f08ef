//! What leaves through the wallet library: the secret of a passkey (PRF) is in nothing that is handed to the app, to the
//! network, to the storage or to the log.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "phones/demo.rs"]
#[allow(dead_code)] // this program uses a part of it
mod demo;
#[path = "phones/platform.rs"]
mod platform;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::holder::wallet::platform::LogLevel;
use carekey_core::holder::wallet::{AuthenticatorSource, Prompt};
use carekey_core::random::SystemRandom;
use carekey_core::vault::UnlockKind;
use carekey_wallet_ffi::platform::{
    HttpError, LogSink, PasskeyClient, PlatformError, StorageError, WalletHttpClient, WalletHttpRequest,
    WalletHttpResponse, WalletStorage,
};
use carekey_wallet_ffi::{TrustedIssuers, TrustedVerifiers, WalletConfig, WalletPlatform, open_wallet};
use serde_json::{Value, json};

use demo::Demo;

/// Everything that left the library, by the way it took.
#[derive(Default)]
struct Left(Mutex<Vec<(&'static str, Vec<u8>)>>);

impl Left {
    fn note(&self, way: &'static str, what: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().push((way, what.into()));
    }
}

/// The platform's passkeys with PRF; keeps what they gave out, and what they were asked.
struct Passkeys {
    authenticator: SoftwareAuthenticator,
    outputs: Mutex<Vec<Vec<u8>>>,
    left: Arc<Left>,
}

impl Passkeys {
    fn with_prf(&self, mut answer: Value, input: Option<&Value>) -> String {
        if let Some(input) = input.and_then(Value::as_str) {
            let output = sha256(format!("secret of {} for {input}", answer["id"]).as_bytes());
            answer["clientExtensionResults"] =
                json!({ "prf": { "results": { "first": base64url::encode(&output) } } });
            self.outputs.lock().unwrap().push(output.to_vec());
        }
        answer.to_string()
    }
}

#[async_trait]
impl PasskeyClient for Passkeys {
    async fn create(&self, options: String) -> Result<String, PlatformError> {
        self.left.note("passkeys", options.clone());
        let parsed: Value = serde_json::from_str(&options).unwrap();
        let made = self.authenticator.create(&serde_json::from_str(&options).unwrap());
        let answer = serde_json::to_value(made.map_err(|_| PlatformError::UserCancelled)?).unwrap();
        Ok(self.with_prf(answer, parsed.pointer("/extensions/prf/eval/first")))
    }

    async fn get(&self, options: String) -> Result<String, PlatformError> {
        self.left.note("passkeys", options.clone());
        let parsed: Value = serde_json::from_str(&options).unwrap();
        let made = self.authenticator.get(&serde_json::from_str(&options).unwrap());
        let answer = serde_json::to_value(made.map_err(|_| PlatformError::UserCancelled)?).unwrap();
        let input = format!("/extensions/prf/evalByCredential/{}/first", answer["id"].as_str().unwrap());
        Ok(self.with_prf(answer, parsed.pointer(&input)))
    }
}

struct Wire(Arc<dyn WalletHttpClient>, Arc<Left>);

#[async_trait]
impl WalletHttpClient for Wire {
    async fn send(&self, request: WalletHttpRequest) -> Result<WalletHttpResponse, HttpError> {
        self.1.note(
            "network",
            format!("{} {:?}", request.url, request.headers.iter().map(|one| &one.value).collect::<Vec<_>>()),
        );
        self.1.note("network", request.body.clone());
        self.0.send(request).await
    }
}

struct Disk(Arc<dyn WalletStorage>, Arc<Left>);

#[async_trait]
impl WalletStorage for Disk {
    async fn get(&self, name: String) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.get(name).await
    }

    async fn put(&self, name: String, value: Vec<u8>) -> Result<(), StorageError> {
        self.1.note("storage", value.clone());
        self.0.put(name, value).await
    }

    async fn remove(&self, name: String) -> Result<(), StorageError> {
        self.0.remove(name).await
    }

    async fn list(&self, prefix: String) -> Result<Vec<String>, StorageError> {
        self.0.list(prefix).await
    }
}

struct Log(Arc<Left>);

impl LogSink for Log {
    fn log(&self, _: LogLevel, target: String, message: String) {
        self.0.note("log", format!("{target} {message}"));
    }
}

fn prompt() -> Prompt {
    Prompt { title: "CareKey".into(), reason: "Confirm".into(), cancel_label: "Cancel".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_passkey_is_in_nothing_that_leaves() {
    let demo = Demo::start();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let der = |name: &str| base64url::decode(demo.told[name].as_str().unwrap()).unwrap();
    let (left, origin) = (Arc::new(Left::default()), text(&demo.told["app"]["origin"]));
    let passkeys = Arc::new(Passkeys {
        authenticator: SoftwareAuthenticator::new(&origin, Arc::new(SystemRandom)),
        outputs: Mutex::default(),
        left: left.clone(),
    });
    let config = WalletConfig {
        client_id: text(&demo.told["app"]["client_id"]),
        rp_id: text(&demo.told["app"]["rp_id"]),
        origin,
        name: "CareKey in Rust".into(),
        locale: "en".into(),
        issuers: vec![TrustedIssuers {
            kinds: Vec::new(),
            anchors: vec![der("hospital_anchor")],
            dids: Vec::new(),
            https_issuers: Vec::new(),
            status_hosts: Vec::new(),
        }],
        verifiers: TrustedVerifiers {
            anchors: vec![der("portal_anchor")],
            dids: Vec::new(),
            unknown_dids: false,
            unsigned: false,
            registrars: Vec::new(),
        },
        authenticator: AuthenticatorSource::Passkey,
        prefer_strongbox: true,
        copies: 1,
        reuse_last_copy: false,
        redirect_uri: None,
        transaction_types: Vec::new(),
        lock_after_secs: 300,
    };
    let plain = platform::of(&Arc::default(), &Arc::default());
    let platform = WalletPlatform {
        passkeys: Some(passkeys.clone()),
        http: Arc::new(Wire(plain.http.clone(), left.clone())),
        storage: Arc::new(Disk(plain.storage.clone(), left.clone())),
        log: Some(Arc::new(Log(left.clone()))),
        wrapper: None,
        ..plain
    };
    let wallet = open_wallet(config, platform).await.unwrap();
    let added = wallet.vault().add_passkey_entry("My passkey".into()).await.unwrap();
    assert_eq!(added.kind, UnlockKind::Prf);
    wallet.vault().create_recovery_code("Paper".into()).await.unwrap();

    let offer = demo.offer(&json!({ "kinds": ["patient_identity"] }), &Value::Null).await;
    let session = wallet.begin_issuance(text(&offer["credential_offer_uri"])).await.unwrap();
    left.note("app", format!("{:?}", session.details()));
    left.note("app", format!("{:?}", session.accept(None, prompt()).await.unwrap()));
    wallet.lock();
    wallet.unlock(None, prompt()).await.unwrap();
    let asked = json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv" });
    let request = demo.request(&asked).await;
    let session = wallet.begin_presentation(text(&request["request_uri"])).await.unwrap();
    left.note("app", format!("{:?} {:?}", session.details(), session.choices()));
    let selection = session.default_selection().unwrap();
    let outcome = session.approve(selection.clone(), prompt()).await.unwrap();
    assert!(outcome.accepted);
    left.note("app", format!("{outcome:?}"));
    left.note("app", format!("{:?}", session.approve(selection, prompt()).await.unwrap_err().explain()));
    left.note("app", wallet.export_activity().await.unwrap());
    left.note("app", wallet.vault().export_backup().await.unwrap());
    left.note("app", format!("{:?}", wallet.vault().entries().await.unwrap()));
    left.note("app", format!("{:?}", wallet.check_pending().await.unwrap()));
    left.note("app", format!("{:?}", wallet.refresh_due(None).await.unwrap()));

    let (left, outputs) = (left.0.lock().unwrap(), passkeys.outputs.lock().unwrap());
    assert!(outputs.len() >= 2, "it was given out when the entry was made and when the wallet was unlocked");
    for way in ["passkeys", "network", "storage", "app"] {
        assert!(left.iter().any(|(taken, what)| *taken == way && what.len() > 20), "nothing left by {way}");
    }
    for output in outputs.iter() {
        let encoded = base64url::encode(output);
        for (way, what) in left.iter() {
            let holds = |secret: &[u8]| what.windows(secret.len()).any(|part| part == secret);
            assert!(!holds(output) && !holds(encoded.as_bytes()), "the secret left by {way}");
        }
    }
    let sent: Vec<u8> =
        left.iter().filter(|(way, _)| *way == "network").flat_map(|(_, what)| what.clone()).collect();
    assert!(!String::from_utf8_lossy(&sent).contains("\"prf\""), "not even an empty result");
}
