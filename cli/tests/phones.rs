//! The wallet library as an app calls it: `mobile-bindings/scenario.json`, step by step, against the running demo.
//!
//! Every call is made on a thread with a stack of 512 KiB, what a secondary thread has on iOS. The same file runs through
//! Kotlin on the JVM and Python: `cargo xtask phones`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "phones/demo.rs"]
mod demo;
#[path = "phones/platform.rs"]
mod platform;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use carekey_core::encoding::base64url;
use carekey_core::holder::wallet::{AuthenticatorSource, CredentialSummary, GroupBy, Prompt, SoftwareDevice};
use carekey_core::vault::{MemoryStorage, PlatformError};
use carekey_wallet_ffi::{
    IssuanceSession, PresentationSession, TrustedIssuers, TrustedVerifiers, Wallet, WalletConfig,
    WalletError, open_wallet,
};
use serde_json::{Value, json};

use demo::Demo;

const STACK: usize = 512 * 1024;
const SCENARIO: &str = include_str!("../../mobile-bindings/scenario.json");

/// Runs `work` on a thread with a small stack, polled there like by a foreign executor.
fn on_a_small_stack<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, || runtime.block_on(work)).unwrap().join().unwrap()
    })
}

fn prompt() -> Prompt {
    let text = |text: &str| text.to_owned();
    Prompt { title: text("CareKey"), reason: text("Confirm"), cancel_label: text("Cancel") }
}

/// A wallet on a phone in memory, and what was handed to it.
struct Phone {
    demo: Demo,
    device: Arc<SoftwareDevice>,
    storage: Arc<MemoryStorage>,
    wallet: Option<Arc<Wallet>>,
    recovery_code: String,
    backup: Vec<u8>,
    /// The wallet on the phone that was lost, and its recovery code.
    lost: Option<(Arc<Wallet>, String)>,
    /// Where the browser came back to.
    returned: String,
    offered: Value,
    requested: Value,
    issuance: Option<Arc<IssuanceSession>>,
    presentation: Option<Arc<PresentationSession>>,
}

type Seen = BTreeMap<&'static str, Value>;

impl Phone {
    fn new(demo: Demo) -> Self {
        Self {
            demo,
            device: Arc::default(),
            storage: Arc::default(),
            wallet: None,
            recovery_code: String::new(),
            backup: Vec::new(),
            lost: None,
            returned: String::new(),
            offered: Value::Null,
            requested: Value::Null,
            issuance: None,
            presentation: None,
        }
    }

    fn wallet(&self) -> &Arc<Wallet> {
        self.wallet.as_ref().unwrap()
    }

    fn config(&self) -> WalletConfig {
        let told = &self.demo.told;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let der = |name: &str| base64url::decode(told[name].as_str().unwrap()).unwrap();
        WalletConfig {
            client_id: text(&told["app"]["client_id"]),
            rp_id: text(&told["app"]["rp_id"]),
            origin: text(&told["app"]["origin"]),
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
            authenticator: AuthenticatorSource::Embedded,
            prefer_strongbox: true,
            copies: 1,
            reuse_last_copy: false,
            redirect_uri: Some(text(&told["app"]["redirect_uri"])),
            transaction_types: Vec::new(),
            lock_after_secs: 300,
        }
    }

    /// What a step does, and what it returns.
    async fn act(&mut self, step: &Value) -> Result<Seen, WalletError> {
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        match text("do") {
            // The app is killed and started again, or started for the first time.
            "open" | "restart" => {
                let platform = platform::of(&self.device, &self.storage);
                self.wallet = Some(open_wallet(self.config(), platform).await?);
            }
            "add_hardware_entry" => {
                self.wallet().vault().add_hardware_entry(text("label").into()).await?;
            }
            "create_recovery_code" => {
                self.recovery_code = self.wallet().vault().create_recovery_code(text("label").into()).await?;
            }
            "offer" => self.offered = self.demo.offer(step, &self.offered).await,
            "approve_offer" => self.demo.approve(&self.offered).await,
            "review_offer" => {
                let link = self.offered["credential_offer_uri"].as_str().unwrap();
                let session = self.wallet().begin_issuance(link.into()).await?;
                let details = session.details();
                self.issuance = Some(session);
                return Ok(BTreeMap::from([
                    ("issuer", json!(details.issuer_name)),
                    ("offered", json!(details.credentials.len())),
                    ("needs_code", json!(details.tx_code.is_some())),
                    ("signs_in", json!(details.signs_in)),
                ]));
            }
            "accept" => {
                let right = self.offered["tx_code"].as_str();
                let code = match text("tx_code") {
                    "right" => right,
                    "wrong" => Some(if right == Some("000000") { "111111" } else { "000000" }),
                    _ => None,
                };
                let code = code.map(str::to_owned);
                let outcome = self.issuance.as_ref().unwrap().accept(code, prompt()).await?;
                return Ok(BTreeMap::from([
                    ("collected", json!(outcome.credentials.len())),
                    ("waiting", json!(outcome.waiting.len())),
                ]));
            }
            "sign_in" => {
                let url = self.issuance.as_ref().unwrap().sign_in().await?;
                self.returned = self.demo.browse(&url, self.offered["tx_code"].as_str().unwrap()).await;
            }
            "resume" => {
                let foreign = step["of_somebody_else"] == true;
                let returned =
                    if foreign { self.returned.replace("state=", "state=x") } else { self.returned.clone() };
                self.issuance.as_ref().unwrap().resume(returned).await?;
            }
            "check_pending" => {
                let report = self.wallet().check_pending().await?;
                return Ok(BTreeMap::from([
                    ("arrived", json!(report.arrived.len())),
                    ("waiting", json!(report.waiting.len())),
                ]));
            }
            "refresh" => {
                let mut refreshed = 0;
                for one in self.wallet().credentials().await? {
                    if one.configuration_id == text("kind") {
                        refreshed += self.wallet().credential(one.id).await?.refresh(prompt()).await?.len();
                    }
                }
                return Ok(BTreeMap::from([("refreshed", json!(refreshed))]));
            }
            "refresh_due" => {
                let report = self.wallet().refresh_due(None).await?;
                return Ok(BTreeMap::from([
                    ("refreshed", json!(report.refreshed.len())),
                    ("left", json!(report.left.len())),
                ]));
            }
            "refresh_status" => {
                self.wallet().refresh_status().await?;
            }
            "export_backup" => self.backup = self.wallet().vault().export_backup().await?,
            "lose_phone" => {
                self.lost = self.wallet.take().map(|wallet| (wallet, self.recovery_code.clone()));
                (self.device, self.storage) = (Arc::default(), Arc::default());
            }
            "import_backup" => {
                let own = text("code_of") == "new phone";
                let code = if own { &self.recovery_code } else { &self.lost.as_ref().unwrap().1 };
                let restored = self.wallet().vault().import_backup(self.backup.clone(), code.clone()).await?;
                return Ok(BTreeMap::from([
                    ("restored", json!(restored.reenrol.len())),
                    ("known", json!(restored.known)),
                ]));
            }
            "request" => {
                let hospital = self.demo.told["hospital"].as_str().unwrap().trim_end_matches('/');
                let body = step["body"].to_string().replace("HOSPITAL", hospital);
                self.requested = self.demo.request(&serde_json::from_str(&body).unwrap()).await;
            }
            "review_request" => {
                let link = self.requested["request_uri"].as_str().unwrap();
                let session = self.wallet().begin_presentation(link.into()).await?;
                let (details, queries) = (session.details(), session.choices().len());
                self.presentation = Some(session);
                return Ok(BTreeMap::from([
                    ("trusted", json!(details.trusted)),
                    ("answerable", json!(details.answerable)),
                    ("purpose", json!(details.purpose)),
                    ("queries", json!(queries)),
                ]));
            }
            "approve" => {
                let session = self.presentation.as_ref().unwrap();
                let selection = session.default_selection().unwrap_or_default();
                let outcome = session.approve(selection, prompt()).await?;
                return Ok(BTreeMap::from([
                    ("accepted", json!(outcome.accepted)),
                    ("refusal", json!(outcome.code)),
                ]));
            }
            "decline" => {
                self.presentation.as_ref().unwrap().decline().await?;
            }
            "lock" => self.wallet().lock(),
            "unlock" => self.wallet().unlock(None, prompt()).await?,
            "unlock_with_code" => {
                let whole = self.recovery_code.as_str();
                let code = if text("which") == "right" { whole } else { &whole[1..] };
                self.wallet().unlock_with_code(code.into()).await?;
            }
            "enrol_another_finger" => self.device.enrol_another_finger(),
            "revoke" => self.demo.revoke(text("kind")).await,
            "delete" => {
                for one in self.wallet().credentials().await? {
                    if one.configuration_id == text("kind") {
                        self.wallet().credential(one.id).await?.delete().await?;
                    }
                }
            }
            "list" => {
                let all = self.wallet().credentials().await?;
                let mut names: Vec<String> = all.into_iter().map(|one| one.name).collect();
                names.sort();
                return Ok(BTreeMap::from([("names", json!(names))]));
            }
            "activity" => {
                let text = self.wallet().export_activity().await?;
                return Ok(BTreeMap::from([
                    ("names_claims", json!(text.contains("Family name"))),
                    ("holds_values", json!(text.contains("Testov"))),
                ]));
            }
            other => panic!("nobody can {other}"),
        }
        Ok(Seen::new())
    }

    /// What can be seen after a step.
    async fn see(&self, what: &str) -> Result<Value, WalletError> {
        Ok(match what {
            "lock_state" => snake(&self.wallet().lock_state()),
            "entries" => json!(self.wallet().vault().entries().await?.len()),
            "states" => states(&self.wallet().credentials().await?),
            "states_on_the_lost_phone" => states(&self.lost.as_ref().unwrap().0.refresh_status().await?),
            "portal" => self.demo.state(&self.requested).await,
            _ => panic!("nobody can see {what}"),
        })
    }

    async fn live_through(&mut self, step: &Value) {
        match step["person"].as_str() {
            None => {}
            Some("cancels") => self.device.fail_next(PlatformError::UserCancelled),
            Some("locked_out") => self.device.fail_next(PlatformError::BiometryLockout),
            Some("not_enrolled") => self.device.fail_next(PlatformError::BiometryNotEnrolled),
            Some(other) => panic!("nobody answers {other}"),
        }
        let (device, before) = (self.device.clone(), self.device.prompts());
        let mut seen = match self.act(step).await {
            Ok(mut seen) => {
                seen.insert("error", Value::Null);
                seen
            }
            Err(error) => {
                let facts = error.explain();
                BTreeMap::from([
                    ("error", json!(format!("{error:?}").split(' ').next())),
                    ("code", json!(facts.code)),
                    ("party", snake(&facts.party)),
                    ("advice", snake(&facts.advice)),
                ])
            }
        };
        seen.insert("prompts", json!(device.prompts() - before));
        let mut expected = json!({ "error": null, "prompts": 0 });
        for (what, value) in step["expect"].as_object().into_iter().flatten() {
            expected[what] = value.clone();
        }
        for (what, wanted) in expected.as_object().unwrap() {
            let found = match seen.get(what.as_str()) {
                Some(found) => found.clone(),
                None => self.see(what).await.unwrap(),
            };
            assert_eq!(found, *wanted, "{what} after {step}");
        }
    }
}

fn states(all: &[CredentialSummary]) -> Value {
    let mut states: Vec<Value> = all.iter().map(|one| snake(&one.state)).collect();
    states.sort_by_key(Value::to_string);
    Value::Array(states)
}

/// `ReenrolmentNeeded` as `reenrolment_needed`.
fn snake(variant: &impl std::fmt::Debug) -> Value {
    let mut out = String::new();
    for c in format!("{variant:?}").chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scenario_on_small_stacks() {
    let scenario: Value = serde_json::from_str(SCENARIO).unwrap();
    let steps = scenario["steps"].as_array().unwrap();
    assert!(steps.len() > 100, "{} steps", steps.len());
    let mut phone = Phone::new(Demo::start());
    for step in steps {
        on_a_small_stack(Box::pin(phone.live_through(step)));
    }
    on_a_small_stack(Box::pin(everything_else(&phone)));
}

/// The exported calls that the scenario has no step for.
async fn everything_else(phone: &Phone) {
    let wallet = phone.wallet();
    assert_eq!(wallet.search("insurance".into()).await.unwrap().len(), 1);
    assert_eq!(wallet.groups(GroupBy::Issuer).await.unwrap().len(), 1);
    let all = wallet.credentials().await.unwrap();
    let credential = wallet.credential(all[0].id.clone()).await.unwrap();
    assert!(credential.details().claims.len() > 2);
    assert!(credential.logo().await.unwrap().is_none());
    assert!(wallet.activity(5, 1).await.unwrap().len() == 5);
    assert_eq!(carekey_wallet_ffi::library_version(), env!("CARGO_PKG_VERSION"));
    let refused = wallet.vault().add_passkey_entry("Passkey".into()).await.unwrap_err();
    assert_eq!(refused.explain().code, "platform_not_available");
    wallet.lock();
    wallet.unlock_older_state(None, prompt()).await.unwrap();
    let newest = wallet.vault().add_hardware_entry("Once more".into()).await.unwrap();
    wallet.vault().remove_entry(newest.id).await.unwrap();
    assert_eq!(wallet.vault().entries().await.unwrap().len(), 2);
    assert_eq!(wallet.refresh_status().await.unwrap().len(), 2);
    digital(phone).await;
    given_up(phone).await;
    let backup = wallet.vault().export_backup().await.unwrap();
    wallet.erase().await.unwrap();
    assert_eq!(phone.device.aliases(), Vec::<String>::new());
    assert_eq!(phone.see("lock_state").await.unwrap(), "new");
    // Another phone: what the backup holds has to be collected again.
    wallet.vault().add_hardware_entry("New phone".into()).await.unwrap();
    wallet.vault().create_recovery_code("New paper".into()).await.unwrap();
    let restored = wallet.vault().import_backup(backup, phone.recovery_code.clone()).await.unwrap();
    assert_eq!((restored.reenrol.len(), restored.known), (2, 0));
    assert_eq!(phone.see("states").await.unwrap(), json!(["reenrolment_needed", "reenrolment_needed"]));
}

/// A page asks through the platform.
async fn digital(phone: &Phone) {
    let portal = phone.demo.told["portal"].as_str().unwrap().trim_end_matches('/');
    let body = json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
        "response_mode": "dc_api.jwt", "expected_origins": [portal] });
    let request = phone.demo.request(&body).await;
    let (json, origin) = (request["digital"].to_string(), portal.to_owned());
    let session = phone.wallet().begin_digital_presentation(json, origin).await.unwrap();
    let selection = session.default_selection().unwrap();
    let outcome = session.approve(selection, prompt()).await.unwrap();
    let answer: Value = serde_json::from_str(&outcome.platform_response.unwrap()).unwrap();
    assert!(answer["data"]["response"].is_string());
}

/// Offers that the person does not want after all, and answers that nobody waits for.
async fn given_up(phone: &Phone) {
    let kept = phone.device.aliases().len();
    let step = json!({ "kinds": ["patient_identity"], "tx_code": false, "approval": true });
    for accepted in [false, true] {
        let offer = phone.demo.offer(&step, &Value::Null).await;
        let link = offer["credential_offer_uri"].as_str().unwrap().to_owned();
        let session = phone.wallet().begin_issuance(link).await.unwrap();
        if accepted {
            session.accept(None, prompt()).await.unwrap();
        } else {
            phone.device.fail_next(PlatformError::UserCancelled);
            session.accept(None, prompt()).await.unwrap_err();
            session.abandon().await.unwrap();
        }
    }
    for pending in phone.wallet().pending().await.unwrap() {
        phone.wallet().cancel_pending(pending.id).await.unwrap();
    }
    assert_eq!(phone.device.aliases().len(), kept);
    let unknown = phone.wallet().resume_issuance("https://app.example/?state=x&code=y".into()).await;
    assert_eq!(unknown.err().unwrap().explain().code, "sign_in_unknown");
}
