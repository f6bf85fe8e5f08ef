//! How credentials come into the wallet, over HTTP: prompts that are closed, offers that are given up, sign-in in the
//! browser, credentials that come later, fresh copies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::Error;
use carekey_core::attestation::wallet_attestation::{self, WalletAttestation};
use carekey_core::clock::Clock;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::holder::issuance::WalletAttester;
use carekey_core::holder::wallet::platform::PlatformError;
use carekey_core::holder::wallet::{
    ActivityKind, Advice, CredentialState, Party, RequestWarning, Wallet, WalletError, WhenUsedUp,
};
use carekey_core::issuer::{Client, Demand};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_tests::handset::{BOTH, Phone, REDIRECT, collect, identity, prompt};
use carekey_tests::world::{Records, WALLET, World, body, text};
use serde_json::{Value, json};
use url::Url;

/// The way to the services, which a test can change.
struct Wire {
    inner: Arc<dyn HttpClient>,
    /// The issuer binds no second key.
    no_second_key: AtomicBool,
    /// Nothing arrives.
    cut: AtomicBool,
    paths: Mutex<Vec<String>>,
}

impl Wire {
    fn new(world: &World) -> Arc<Self> {
        let inner = world.http.clone();
        Arc::new(Self { inner, no_second_key: false.into(), cut: false.into(), paths: Mutex::default() })
    }

    fn asked(&self, path: &str) -> usize {
        self.paths.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn send(&self, request: HttpRequest) -> carekey_core::Result<HttpResponse> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(Error::unavailable("fetch_failed", "the line is cut"));
        }
        let path = request.url.path().to_owned();
        self.paths.lock().unwrap().push(path.clone());
        let mut response = self.inner.send(request).await?;
        if path.contains("openid-credential-issuer") && self.no_second_key.load(Ordering::SeqCst) {
            let mut document: Value = serde_json::from_slice(&response.body).unwrap();
            for (_, one) in document["credential_configurations_supported"].as_object_mut().unwrap() {
                one.as_object_mut().unwrap().remove("webauthn_binding");
            }
            response.body = document.to_string().into_bytes();
        }
        Ok(response)
    }
}

fn link(offer: &Value) -> &str {
    text(offer, "credential_offer_uri")
}

#[tokio::test]
async fn a_closed_prompt_without_second_key_costs_nothing() {
    let world = World::start(Records::Memory).await;
    let (phone, wire) = (Phone::new(), Wire::new(&world));
    wire.no_second_key.store(true, Ordering::SeqCst);
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    let offer = world.offer(&BOTH, true).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    assert!(!session.details().credentials.iter().any(|one| one.binds_second_key));
    let mut code = Some(text(&offer, "tx_code"));
    for (no, expected) in [
        (PlatformError::UserCancelled, WalletError::UserCancelled),
        (PlatformError::BiometryLockout, WalletError::BiometryLockout),
        (PlatformError::BiometryNotEnrolled, WalletError::BiometryNotEnrolled),
    ] {
        phone.device.fail_next(no);
        assert_eq!(session.accept(code.take(), &prompt()).await.unwrap_err(), expected);
        let keys = phone.keys();
        assert_eq!(keys.iter().filter(|alias| alias.starts_with("hk.")).count(), 2, "{keys:?}");
        assert_eq!(wire.asked("/oid4vci/credential"), 0, "nothing was asked for");
    }
    let before = phone.device.prompts();
    let received = session.accept(None, &prompt()).await.unwrap();
    assert_eq!((received.credentials.len(), phone.device.prompts() - before), (2, 1));
    assert_eq!(phone.keys().len(), 2, "a holder key each, and nothing else: {:?}", phone.keys());
}

#[tokio::test]
async fn an_offer_that_is_given_up_leaves_no_key_and_takes_nothing_with_it() {
    let world = hospital().await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let kept = phone.keys();

    let begin = async |wallet: &Arc<Wallet>| {
        let offer = world.offer(&BOTH, false).await;
        let session = wallet.begin_issuance(link(&offer)).await.unwrap();
        phone.device.fail_next(PlatformError::UserCancelled);
        assert_eq!(session.accept(None, &prompt()).await.unwrap_err(), WalletError::UserCancelled);
        assert!(phone.keys().len() > kept.len());
        (session, offer)
    };
    // By its word.
    let (session, _) = begin(&wallet).await;
    session.abandon().await.unwrap();
    assert_eq!(phone.keys(), kept);
    assert_eq!(session.accept(None, &prompt()).await.unwrap_err().code(), "session_over");
    // Dropped: at the next unlocking, or the next offer. One that runs keeps its keys.
    let (dropped, running) = (begin(&wallet).await.0, begin(&wallet).await.0);
    drop(dropped);
    wallet.lock();
    wallet.unlock(None, &prompt()).await.unwrap();
    assert_eq!(running.accept(None, &prompt()).await.unwrap().credentials.len(), 2);
    let kept = phone.keys();
    // The app is killed.
    let (killed, _) = begin(&wallet).await;
    std::mem::forget(killed);
    let wallet = phone.wallet(&world).await;
    wallet.unlock(None, &prompt()).await.unwrap();
    assert_eq!(phone.keys(), kept);

    assert_eq!(wallet.credentials().await.unwrap().len(), 4);
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
}

#[tokio::test]
async fn a_refused_collection_leaves_no_key() {
    let world = World::start(Records::Memory).await;
    let (phone, wire) = (Phone::new(), Wire::new(&world));
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    let offer = world.offer(&BOTH, false).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    phone.device.fail_next(PlatformError::UserCancelled);
    session.accept(None, &prompt()).await.unwrap_err();
    wire.cut.store(true, Ordering::SeqCst);
    let broken = session.accept(None, &prompt()).await.unwrap_err();
    assert_eq!(broken.advice(), Advice::CheckConnection);
    assert_eq!(phone.keys(), Vec::<String>::new());
    assert_eq!(session.accept(None, &prompt()).await.unwrap_err().code(), "session_over");
}

/// An issuer with sign-in, and fresh copies for a month.
async fn hospital() -> World {
    World::start_with(Records::Memory, |issuer, _| {
        issuer.lifetimes.refresh = Some(30 * 86_400);
        issuer.clients = vec![Client {
            client_id: WALLET.into(),
            name: "Test wallet".into(),
            redirect_uris: vec![REDIRECT.into()],
        }];
    })
    .await
}

/// What the person does in the system's browser: the hospital's page, the desk's code, and back to the app.
async fn browse(world: &World, url: &Url, code: &str) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let client = client.build().unwrap();
    let opened = client.get(url.as_str()).send().await.unwrap();
    assert_eq!(opened.status().as_u16(), 303);
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let entered = client
        .post(world.hospital.join("/oid4vci/login/code").unwrap().as_str())
        .header("cookie", cookie)
        .header("origin", world.hospital.origin().ascii_serialization())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("code={code}"))
        .send();
    let page = entered.await.unwrap().text().await.unwrap();
    let back =
        page.split("href=\"").find(|part| part.starts_with(REDIRECT)).unwrap_or_else(|| panic!("{page}"));
    back.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

/// The desk's offer to somebody who signs in with the desk's code.
async fn offer_to_sign_in(world: &World) -> Value {
    let offer = json!({ "credential_configuration_ids": BOTH, "fhir": carekey_tests::world::patient(),
        "flow": "authorization_code", "tx_code": true });
    let answer = world.manage(&world.hospital, "/api/offers", &offer).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    body(&answer)
}

#[tokio::test]
async fn the_person_signs_in_and_comes_back() {
    let world = hospital().await;
    let (phone, wire) = (Phone::new(), Wire::new(&world));
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    let offer = offer_to_sign_in(&world).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    assert!(session.details().signs_in && session.details().tx_code.is_none());
    assert_eq!(session.accept(None, &prompt()).await.unwrap_err().code(), "sign_in_needed");
    assert_eq!(
        session.resume("http://localhost:8802/signed-in?code=x").await.unwrap_err().code(),
        "session_over"
    );
    let url = session.sign_in().await.unwrap();
    assert!(url.query_pairs().any(|(name, _)| name == "request_uri"), "pushed: {url}");
    assert_eq!(session.accept(None, &prompt()).await.unwrap_err().code(), "sign_in_needed");
    let back = browse(&world, &url, text(&offer, "tx_code")).await;

    // Answers of somebody else are sent nowhere, and the right one still counts.
    let before = wire.asked("/oid4vci/token");
    for (returned, code) in [
        (back.replace("state=", "state=x"), "authorization_state"),
        (back.replace("/signed-in", "/other"), "authorization_redirect"),
        (back.replace("localhost%3A", "evil%3A"), "authorization_iss"),
    ] {
        assert_ne!(returned, back);
        assert_eq!(session.resume(&returned).await.unwrap_err().code(), code);
    }
    assert_eq!(wire.asked("/oid4vci/token"), before);
    session.resume(&back).await.unwrap();
    let prompts = phone.device.prompts();
    let outcome = session.accept(None, &prompt()).await.unwrap();
    assert_eq!((outcome.credentials.len(), phone.device.prompts() - prompts), (2, 1));
    assert!(outcome.credentials.iter().all(|one| one.state == CredentialState::Usable && one.renewable));
}

#[tokio::test]
async fn a_sign_in_survives_the_end_of_the_app_and_a_refused_one_leaves_nothing() {
    let world = hospital().await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    let offer = offer_to_sign_in(&world).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    // Begun anew: the first address counts no more, and its key is forgotten.
    let first = session.sign_in().await.unwrap();
    let keys = phone.keys().len();
    let url = session.sign_in().await.unwrap();
    assert_ne!(first, url);
    assert_eq!(phone.keys().len(), keys);
    drop((session, wallet));

    let wallet = phone.wallet(&world).await;
    let back = browse(&world, &url, text(&offer, "tx_code")).await;
    assert_eq!(wallet.resume_issuance(&back).await.unwrap_err(), WalletError::Locked);
    wallet.unlock(None, &prompt()).await.unwrap();
    let other = back.replace("state=", "state=x");
    assert_eq!(wallet.resume_issuance(&other).await.unwrap_err().code(), "sign_in_unknown");
    let session = wallet.resume_issuance(&back).await.unwrap();
    assert_eq!(session.accept(None, &prompt()).await.unwrap().credentials.len(), 2);
    assert_eq!(wallet.resume_issuance(&back).await.unwrap_err().code(), "sign_in_unknown");

    // The person says no in the browser; the same session can begin again.
    let offer = offer_to_sign_in(&world).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    let kept = phone.keys();
    let url = session.sign_in().await.unwrap();
    let back = browse(&world, &url, text(&offer, "tx_code")).await;
    let denied = session.resume(&back.replace("code=", "error=")).await.unwrap_err();
    assert_eq!(denied.code(), "authorization_denied");
    assert_eq!(phone.keys(), kept);
    session.sign_in().await.unwrap();
    session.abandon().await.unwrap();
    assert_eq!(phone.keys(), kept);
    // Nobody comes back: after a day its key is forgotten.
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    session.sign_in().await.unwrap();
    drop(session);
    assert!(phone.keys().len() > kept.len());
    world.clock.set(world.clock.now().plus(86_400));
    wallet.unlock(None, &prompt()).await.unwrap();
    assert_eq!(phone.keys(), kept);
}

async fn offer_for_approval(world: &World) -> Value {
    let offer = json!({ "credential_configuration_ids": BOTH, "fhir": carekey_tests::world::patient(),
        "approval": true });
    body(&world.manage(&world.hospital, "/api/offers", &offer).await)
}

#[tokio::test]
async fn what_the_desk_approves_later_arrives_after_a_restart() {
    let world = hospital().await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    let offer = offer_for_approval(&world).await;
    let session = wallet.begin_issuance(link(&offer)).await.unwrap();
    let prompts = phone.device.prompts();
    let outcome = session.accept(None, &prompt()).await.unwrap();
    assert_eq!((outcome.credentials.len(), outcome.waiting.len()), (0, 2));
    assert_eq!(outcome.waiting[0].issuer_name, "CareKey hospital");
    assert!(wallet.credentials().await.unwrap().is_empty());
    drop((session, wallet));

    let wallet = phone.wallet(&world).await;
    wallet.unlock(None, &prompt()).await.unwrap();
    let unlocked = phone.device.prompts();
    // Too early: the issuer is not even asked.
    let early = wallet.check_pending().await.unwrap();
    assert_eq!((early.arrived.len(), early.waiting.len(), early.refused.len()), (0, 2, 0));
    world.clock.set(world.clock.now().plus(10));
    let still = wallet.check_pending().await.unwrap();
    assert_eq!((still.arrived.len(), still.waiting.len()), (0, 2));
    assert!(still.waiting[0].ask_at > world.clock.now());

    let approve = format!("/api/offers/{}/approve", text(&offer, "id"));
    world.manage(&world.hospital, &approve, &Value::Null).await;
    world.clock.set(world.clock.now().plus(10));
    let done = wallet.check_pending().await.unwrap();
    assert_eq!((done.arrived.len(), done.waiting.len()), (2, 0));
    assert!(done.arrived.iter().all(|one| one.state == CredentialState::Usable && one.renewable));
    assert_eq!(
        (phone.device.prompts() - unlocked, unlocked - prompts),
        (0, 2),
        "accepted once, unlocked once"
    );
    assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::Received);
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
}

#[tokio::test]
async fn what_the_desk_denies_or_nobody_waits_for_leaves_no_key() {
    let world = World::start(Records::Memory).await;
    let (phone, wire) = (Phone::new(), Wire::new(&world));
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    for deny in [true, false] {
        let offer = offer_for_approval(&world).await;
        let session = wallet.begin_issuance(link(&offer)).await.unwrap();
        let waiting = session.accept(None, &prompt()).await.unwrap().waiting;
        assert_eq!(phone.keys().len(), 4, "two holder keys, the second key, the key of the tokens");
        world.clock.set(world.clock.now().plus(10));
        if deny {
            // No answer is no denial.
            wire.cut.store(true, Ordering::SeqCst);
            assert_eq!(wallet.check_pending().await.unwrap().waiting.len(), 2);
            wire.cut.store(false, Ordering::SeqCst);
            let deny = format!("/api/offers/{}/deny", text(&offer, "id"));
            world.manage(&world.hospital, &deny, &Value::Null).await;
            let report = wallet.check_pending().await.unwrap();
            assert_eq!((report.arrived.len(), report.waiting.len(), report.refused.len()), (0, 0, 2));
            assert_eq!(report.refused[0].reason.advice(), Advice::AskIssuer);
        } else {
            for one in waiting {
                wallet.cancel_pending(&one.id).await.unwrap();
                assert_eq!(wallet.cancel_pending(&one.id).await.unwrap_err().code(), "credential_unknown");
            }
        }
        assert_eq!(phone.keys(), Vec::<String>::new());
        assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::NotIssued);
    }
}

async fn show(world: &World, wallet: &Arc<Wallet>) -> carekey_core::holder::wallet::PresentationOutcome {
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    let outcome = session.approve(&selection, &prompt()).await.unwrap();
    assert!(outcome.accepted, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn copies_are_refilled_and_nobody_is_asked() {
    let world = hospital().await;
    let (phone, wire) = (Phone { copies: 2, ..Phone::new() }, Wire::new(&world));
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    collect(&world, &wallet).await;
    let fresh = identity(&wallet).await;
    assert_eq!((fresh.copies_left, fresh.when_used_up), (2, WhenUsedUp::Refill));
    let nothing = wallet.refresh_due(None).await.unwrap();
    assert!(nothing.refreshed.is_empty() && nothing.left.is_empty(), "{nothing:?}");
    assert!(show(&world, &wallet).await.used_up.is_empty());
    let last = show(&world, &wallet).await.used_up;
    assert_eq!((last[0].credential_id.as_str(), last[0].then), (fresh.id.as_str(), WhenUsedUp::Refill));
    assert_eq!(identity(&wallet).await.state, CredentialState::NoCopyLeft);

    // Without a connection nothing is lost, and it says so.
    wire.cut.store(true, Ordering::SeqCst);
    let report = wallet.refresh_due(None).await.unwrap();
    assert_eq!((report.refreshed.len(), report.left[0].reason.advice()), (0, Advice::CheckConnection));
    wire.cut.store(false, Ordering::SeqCst);
    let (prompts, keys) = (phone.device.prompts(), phone.keys().len());
    let report = wallet.refresh_due(None).await.unwrap();
    assert!(report.left.is_empty(), "{report:?}");
    assert_eq!((report.refreshed.len(), phone.device.prompts() - prompts), (1, 0), "the other is full");
    let refilled = identity(&wallet).await;
    assert_eq!((refilled.id, refilled.copies_left, refilled.state), (fresh.id, 2, CredentialState::Usable));
    assert_eq!(phone.keys().len(), keys + 2, "a key for each fresh copy, no other");
    assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::Renewed);
    // Again and again: the refresh token of the last time counts.
    for _ in 0..2 {
        show(&world, &wallet).await;
        show(&world, &wallet).await;
        assert_eq!(wallet.refresh_due(None).await.unwrap().refreshed.len(), 1);
    }
    assert_eq!(wallet.credentials().await.unwrap().len(), 2);
    // With the credentials their right and its key go.
    for credential in wallet.credentials().await.unwrap() {
        wallet.delete_credential(&credential.id).await.unwrap();
    }
    assert_eq!(phone.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn credentials_are_refreshed_before_they_expire() {
    let world = World::start_with(Records::Memory, |issuer, _| {
        issuer.lifetimes.credential = Some(20 * 86_400);
        issuer.lifetimes.refresh = Some(60 * 86_400);
    })
    .await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let before = identity(&wallet).await;
    let later = async |days: i64| {
        world.clock.set(world.clock.now().plus(days * 86_400));
        wallet.unlock(None, &prompt()).await.unwrap();
    };
    later(14).await;
    assert!(wallet.refresh_due(None).await.unwrap().refreshed.is_empty(), "not yet");
    later(2).await;
    assert_eq!(identity(&wallet).await.state, CredentialState::ExpiresSoon);
    let prompts = phone.device.prompts();
    let report = wallet.refresh_due(None).await.unwrap();
    assert_eq!((report.refreshed.len(), phone.device.prompts() - prompts), (2, 0));
    let after = identity(&wallet).await;
    assert_eq!((after.id.as_str(), after.state), (before.id.as_str(), CredentialState::Usable));
    assert!(after.expires_at > before.expires_at);
    assert!(show(&world, &wallet).await.accepted, "with the second key that the issuer knows");
    // By name, before anything is due.
    let prompts = phone.device.prompts();
    let refreshed = wallet.refresh(&after.id, &prompt()).await.unwrap();
    assert_eq!(phone.device.prompts(), prompts, "nobody is asked");
    assert_eq!((refreshed.len(), &refreshed[0].id), (1, &after.id));

    // The issuer has revoked it: the right has ended, and the wallet says what is needed now.
    for issued in world.look(&world.hospital, "/api/credentials").await["credentials"].as_array().unwrap() {
        let path = format!("/api/credentials/{}/revoke", text(issued, "id"));
        world.manage(&world.hospital, &path, &Value::Null).await;
    }
    let ended = wallet.refresh(&after.id, &prompt()).await.unwrap_err();
    assert_eq!((ended.code(), ended.advice()), ("refresh_ended", Advice::AskIssuer));
    assert!(!identity(&wallet).await.renewable);
    let unavailable = wallet.refresh(&after.id, &prompt()).await.unwrap_err();
    assert_eq!(unavailable.code(), "refresh_unavailable");

    // Keys that died with a change of fingers come back by no refreshing.
    collect(&world, &wallet).await;
    phone.device.enrol_another_finger();
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    assert_eq!(session.approve(&selection, &prompt()).await.unwrap_err().code(), "reenrolment_needed");
    let all = wallet.credentials().await.unwrap();
    let lost = all.iter().find(|one| one.state == CredentialState::ReenrolmentNeeded).unwrap();
    assert_eq!(wallet.refresh(&lost.id, &prompt()).await.unwrap_err().advice(), Advice::Reenrol);
}

#[tokio::test]
async fn without_second_key_the_person_confirms_a_refresh() {
    let world = hospital().await;
    let (phone, wire) = (Phone { copies: 2, ..Phone::new() }, Wire::new(&world));
    wire.no_second_key.store(true, Ordering::SeqCst);
    let (wallet, _) = phone.set_up_over(&world, wire.clone()).await;
    collect(&world, &wallet).await;
    let ask = json!({ "dcql_query": { "credentials": [{ "id": "who", "format": "dc+sd-jwt",
        "meta": { "vct_values": [format!("{}vct/patient-identity", world.hospital)] },
        "claims": [{ "path": ["family_name"] }] }] }, "purpose": "Greet you" });
    for _ in 0..2 {
        let request = world.ask(ask.clone()).await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let selection = session.default_selection().unwrap();
        assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
    }
    let report = wallet.refresh_due(None).await.unwrap();
    assert_eq!((report.refreshed.len(), report.left[0].reason.code()), (0, "refresh_prompt"));
    // A closed prompt costs no right: the token that came before it was kept.
    phone.device.fail_next(PlatformError::UserCancelled);
    let id = identity(&wallet).await.id;
    assert_eq!(wallet.refresh(&id, &prompt()).await.unwrap_err(), WalletError::UserCancelled);
    let prompts = phone.device.prompts();
    assert_eq!(wallet.refresh_due(Some(&prompt())).await.unwrap().refreshed.len(), 1);
    assert_eq!(phone.device.prompts() - prompts, 1);
    assert_eq!(identity(&wallet).await.copies_left, 2);
}

#[tokio::test]
async fn without_a_right_the_last_copy_is_the_end_or_is_shown_again() {
    let world = World::start(Records::Memory).await;
    for reuse in [false, true] {
        let phone = Phone { copies: 2, reuse_last_copy: reuse, ..Phone::new() };
        let (wallet, _) = phone.set_up(&world).await;
        collect(&world, &wallet).await;
        let then = if reuse { WhenUsedUp::Reuse } else { WhenUsedUp::NewOffer };
        assert_eq!(identity(&wallet).await.when_used_up, then);
        show(&world, &wallet).await;
        assert_eq!(show(&world, &wallet).await.used_up[0].then, then);
        let after = identity(&wallet).await;
        assert_eq!((after.copies_left, after.when_used_up), (0, then));
        let report = wallet.refresh_due(None).await.unwrap();
        assert_eq!(report.left[0].reason.code(), "refresh_unavailable");
        let request = world.ask_identity("direct_post.jwt").await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let warned = session.details().warnings.contains(&RequestWarning::CopyShownBefore);
        assert_eq!((session.details().answerable, warned), (reuse, reuse));
        if reuse {
            assert_eq!(after.state, CredentialState::Usable);
            assert!(session.choices()[0].candidates[0].shown_before);
            assert!(show(&world, &wallet).await.used_up.is_empty(), "said once");
            assert_eq!(show(&world, &wallet).await.code, None);
        } else {
            assert_eq!(after.state, CredentialState::NoCopyLeft);
        }
    }
}

/// Who vouches for the wallet: a provider whose key the hospital knows.
struct Provider {
    key: SoftwareKey,
    instance: SoftwareKey,
    clock: Arc<dyn Clock>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl WalletAttester for Provider {
    async fn attestation(&self, server: &str, _: bool) -> carekey_core::Result<String> {
        self.asked.lock().unwrap().push(server.to_owned());
        let now = self.clock.now();
        let attestation = WalletAttestation {
            issuer: "https://provider.example",
            client_id: WALLET,
            key: self.instance.public_key(),
            wallet_name: None,
            issued_at: now.plus(-10),
            expires_at: now.plus(3600),
            status: None,
        };
        let header = json!({ "kid": "provider-1" }).as_object().unwrap().clone();
        wallet_attestation::sign(&attestation, header, &self.key)
    }

    async fn sign(&self, _: &str, message: &[u8]) -> carekey_core::Result<Vec<u8>> {
        self.instance.sign(message)
    }
}

#[tokio::test]
async fn an_issuer_that_demands_an_attested_wallet_serves_the_one_whose_provider_vouches_for_it() {
    let key = || SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let (provider, folder) = (key(), tempfile::tempdir().unwrap());
    let mut jwk = Jwk::from_key(provider.public_key());
    jwk.kid = Some("provider-1".into());
    let keys = folder.path().join("provider.jwks");
    std::fs::write(&keys, json!({ "keys": [jwk.to_value()] }).to_string()).unwrap();
    let world = World::start_with(Records::Memory, |issuer, _| {
        let known = json!({ "name": "Example provider", "jwks": keys });
        issuer.wallet_providers = vec![serde_json::from_value(known).unwrap()];
        issuer.issuer.wallet_attestation = Demand::Required;
    })
    .await;
    let clock: Arc<dyn Clock> = world.clock.clone();
    let provider = Arc::new(Provider { key: provider, instance: key(), clock, asked: Mutex::default() });
    for vouched in [false, true] {
        let attester = vouched.then(|| -> Arc<dyn WalletAttester> { provider.clone() });
        let phone = Phone { attester, ..Phone::new() };
        let (wallet, _) = phone.set_up(&world).await;
        let offer = world.offer(&BOTH, false).await;
        let session = wallet.begin_issuance(link(&offer)).await;
        let accepted = match session {
            Ok(session) => session.accept(None, &prompt()).await.map(|outcome| outcome.credentials.len()),
            Err(refused) => Err(refused),
        };
        assert_eq!(accepted.is_ok(), vouched, "{accepted:?}");
        if let Err(refused) = accepted {
            assert_eq!((refused.party(), phone.keys().len()), (Party::Issuer, 0), "{refused:?}");
        }
    }
    let asked = provider.asked.lock().unwrap();
    assert!(
        !asked.is_empty()
            && asked.iter().all(|server| world.hospital.as_str().starts_with(server.trim_end_matches('/')))
    );
}
