//! The wallet as an app uses it: unlock, collect, show, over HTTP with both services, and what goes wrong on phones.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::holder::wallet::platform::PlatformError;
use carekey_core::holder::wallet::{
    ActivityKind, Advice, CredentialState, GroupBy, LockState, RequestWarning, WalletError,
};
use carekey_core::random::SystemRandom;
use carekey_core::vault::UnlockKind;
use carekey_tests::handset::{BOTH, Phone, collect, identity, prompt};
use carekey_tests::world::{Records, World, text};
use serde_json::json;

#[tokio::test]
async fn one_prompt_to_collect_two_credentials_and_one_to_show_them() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let wallet = phone.wallet(&world).await;
    assert_eq!(wallet.lock_state(), LockState::New);
    assert_eq!(wallet.credentials().await.unwrap_err(), WalletError::Locked);
    wallet.add_hardware_entry("This phone").await.unwrap();

    // One way to unlock is not enough for a credential.
    let offer = world.offer(&BOTH, true).await;
    let link = text(&offer, "credential_offer_uri");
    let error = wallet.begin_issuance(link).await.unwrap_err();
    assert_eq!((error.code(), error.advice()), ("vault_entries_too_few", Advice::AddUnlockEntry));
    let code = wallet.create_recovery_code("Recovery code").await.unwrap();

    let session = wallet.begin_issuance(link).await.unwrap();
    assert_eq!(session.details().credentials.len(), 2);
    assert!(session.details().credentials.iter().all(|one| one.format == "dc+sd-jwt"));
    assert!(!session.details().signs_in);
    assert!(session.details().tx_code.as_ref().unwrap().digits_only);
    let error = session.accept(None, &prompt()).await.unwrap_err();
    assert_eq!((error.code(), error.advice()), ("tx_code_missing", Advice::EnterAgain));
    // A closed prompt loses nothing: the same session goes on.
    phone.device.fail_next(PlatformError::UserCancelled);
    let cancelled = session.accept(Some(text(&offer, "tx_code")), &prompt()).await.unwrap_err();
    assert_eq!(cancelled, WalletError::UserCancelled);
    let before = phone.device.prompts();
    let received = session.accept(None, &prompt()).await.unwrap();
    assert!(received.waiting.is_empty());
    assert_eq!((received.credentials.len(), phone.device.prompts() - before), (2, 1));
    assert_eq!(session.accept(None, &prompt()).await.unwrap_err().code(), "session_over");

    // After a lock and an unlock by the code, everything is there.
    wallet.lock();
    assert_eq!(wallet.lock_state(), LockState::Locked);
    wallet.unlock_with_code(code.expose()).await.unwrap();
    let credentials = wallet.credentials().await.unwrap();
    assert_eq!(credentials.len(), 2);
    assert!(credentials.iter().all(|one| one.state == CredentialState::Usable && one.issuer_trusted));
    assert_eq!(wallet.search("insur").await.unwrap().len(), 1);
    assert_eq!(wallet.groups(GroupBy::Issuer).await.unwrap().len(), 1);
    assert_eq!(wallet.groups(GroupBy::Kind).await.unwrap().len(), 2);
    let identity = credentials.iter().find(|one| one.configuration_id == "patient_identity").unwrap();
    let details = wallet.credential(&identity.id).await.unwrap();
    assert!(details.claims.iter().any(|claim| claim.values == ["Testová-Müllerová"]), "{:?}", details.claims);
    assert!(!format!("{details:?}").contains("Testová-Müllerová"));

    // Both in one answer, one prompt.
    let vct = |name: &str| format!("{}vct/{name}", world.hospital);
    let query = |id: &str, name: &str, claim: &str| {
        json!({ "id": id, "format": "dc+sd-jwt", "meta": { "vct_values": [vct(name)] },
                "claims": [{ "path": [claim] }, { "path": ["webauthn_binding"] }] })
    };
    let dcql = json!({ "credentials": [query("who", "patient-identity", "family_name"),
                                       query("payer", "insurance-coverage", "member_id")] });
    let request = json!({ "dcql_query": dcql, "purpose": "Open your record", "min_level": "uv" });
    let request = world.ask(request).await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    assert_eq!(session.choices().len(), 2);
    assert!(session.details().trusted);
    assert_eq!(session.details().warnings, [RequestWarning::Recognisable]);
    phone.device.fail_next(PlatformError::UserCancelled);
    let selection = session.default_selection().unwrap();
    assert_eq!(session.approve(&selection, &prompt()).await.unwrap_err(), WalletError::UserCancelled);
    let before = phone.device.prompts();
    let outcome = session.approve(&selection, &prompt()).await.unwrap();
    assert!(outcome.accepted, "{outcome:?}");
    assert_eq!(phone.device.prompts() - before, 1);
    assert_eq!(text(&world.state(&request).await, "state"), "verified");

    // The log says what went to whom, by name only.
    let log = wallet.activity(10, 0).await.unwrap();
    assert_eq!((log[0].kind, log[0].credentials.len()), (ActivityKind::Sent, 2));
    assert_eq!(log[0].purpose.as_deref(), Some("Open your record"));
    assert!(log.iter().any(|entry| entry.kind == ActivityKind::Received));
    let exported = wallet.export_activity().await.unwrap();
    assert!(exported.contains("Family name") && !exported.contains("Testová-Müllerová"), "{exported}");
}

#[tokio::test]
async fn declining_tells_the_verifier_and_nothing_else() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    assert!(!session.details().answerable && session.default_selection().is_none());
    let nothing = carekey_core::holder::presentation::Selection::default();
    let error = session.approve(&nothing, &prompt()).await.unwrap_err();
    assert_eq!(error, WalletError::NoMatchingCredential);
    session.decline().await.unwrap();
    assert_eq!(session.decline().await.unwrap_err().code(), "session_over");
    assert_eq!(text(&world.state(&request).await, "state"), "declined");
    assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::Declined);
    assert_eq!(phone.device.prompts(), 0);
}

#[tokio::test]
async fn a_new_finger_ends_the_keys_and_another_way_still_unlocks() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, code) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let before = phone.device.prompts();
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    phone.device.fail_next(PlatformError::BiometryLockout);
    let locked = session.approve(&selection, &prompt()).await.unwrap_err();
    assert_eq!((locked.clone(), locked.advice()), (WalletError::BiometryLockout, Advice::UnlockDevice));

    phone.device.enrol_another_finger();
    let gone = session.approve(&selection, &prompt()).await.unwrap_err();
    assert_eq!((gone.code(), gone.advice()), ("reenrolment_needed", Advice::Reenrol));
    assert_eq!(
        phone.device.prompts() - before,
        1,
        "the locked sensor; a phone sees that a key is gone before it asks"
    );
    let credentials = wallet.credentials().await.unwrap();
    assert!(credentials.iter().any(|one| one.state == CredentialState::ReenrolmentNeeded));
    assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::KeysLost);

    wallet.lock();
    let lost = wallet.unlock(None, &prompt()).await.unwrap_err();
    assert_eq!((lost.code(), lost.advice()), ("vault_entry_lost", Advice::UseOtherEntry));
    let other = phone_code(&code);
    assert_eq!(wallet.unlock_with_code("abc").await.unwrap_err().code(), "recovery_code_mistyped");
    assert_eq!(wallet.unlock_with_code(&other).await.unwrap_err().code(), "vault_wrong_key");
    wallet.unlock_with_code(&code).await.unwrap();
    // The lost entry is replaced; with credentials there are never fewer than two.
    let entries = wallet.entries().await.unwrap();
    let lost = entries.iter().find(|entry| entry.kind == UnlockKind::Hardware).unwrap().id.clone();
    assert_eq!(wallet.remove_entry(&lost).await.unwrap_err().code(), "vault_last_entries");
    wallet.add_hardware_entry("This phone again").await.unwrap();
    wallet.remove_entry(&lost).await.unwrap();
    wallet.lock();
    wallet.unlock(None, &prompt()).await.unwrap();

    // Collected again, under new keys; what could only be looked at makes way.
    let before = wallet.credentials().await.unwrap();
    collect(&world, &wallet).await;
    let after = wallet.credentials().await.unwrap();
    let lost = |state: CredentialState| state == CredentialState::ReenrolmentNeeded;
    assert!(!after.iter().any(|one| lost(one.state)));
    assert_eq!(after.len(), before.iter().filter(|one| !lost(one.state)).count() + 2);
    assert_eq!(wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::Renewed);
}

/// A well-formed code of another wallet.
fn phone_code(own: &str) -> String {
    let random: &dyn carekey_core::random::Random = &SystemRandom;
    let other = carekey_core::vault::RecoveryCode::generate(random).to_text().expose().clone();
    assert_ne!(own, other);
    other
}

/// Lost phone: the desk checks who asks, offers anew in place of the earlier offer, and what was on the lost phone is
/// revoked in the moment in which the new phone has its own.
#[tokio::test]
async fn a_lost_phone_is_replaced_by_a_new_one() {
    let world = World::start(Records::Memory).await;
    let (lost, found) = (Phone::new(), Phone::new());
    let (old_wallet, _) = lost.set_up(&world).await;
    let offer = world.offer(&BOTH, false).await;
    let link = text(&offer, "credential_offer_uri");
    old_wallet.begin_issuance(link).await.unwrap().accept(None, &prompt()).await.unwrap();

    let again = json!({ "credential_configuration_ids": BOTH, "fhir": carekey_tests::world::patient(),
                        "replaces": text(&offer, "id") });
    let unknown = json!({ "credential_configuration_ids": BOTH, "fhir": carekey_tests::world::patient(),
                          "replaces": "no such offer" });
    assert_eq!(world.manage(&world.hospital, "/api/offers", &unknown).await.status, 400);
    let again = carekey_tests::world::body(&world.manage(&world.hospital, "/api/offers", &again).await);
    let states = async || {
        let page = world.look(&world.hospital, "/api/credentials").await;
        let all: Vec<_> =
            page["credentials"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
        (all.iter().filter(|one| *one == "valid").count(), all.iter().filter(|one| *one == "revoked").count())
    };
    assert_eq!(states().await, (2, 0), "an offer alone revokes nothing");
    let (new_wallet, _) = found.set_up(&world).await;
    let session = new_wallet.begin_issuance(text(&again, "credential_offer_uri")).await.unwrap();
    session.accept(None, &prompt()).await.unwrap();
    assert_eq!(states().await, (2, 2));
    let known = old_wallet.refresh_status().await.unwrap();
    assert!(known.iter().all(|one| one.state == CredentialState::Revoked), "{known:?}");
    let known = new_wallet.refresh_status().await.unwrap();
    assert!(known.iter().all(|one| one.state == CredentialState::Usable));

    // The portal asks the hospital's status list: the new phone is let in, whoever holds the lost one is not.
    world.clock.set(carekey_core::clock::Clock::now(&*world.clock).plus(200));
    for (wallet, accepted) in [(&new_wallet, true), (&old_wallet, false)] {
        let request = world.ask_identity("direct_post.jwt").await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let selection = session.default_selection().unwrap();
        let outcome = session.approve(&selection, &prompt()).await.unwrap();
        assert_eq!(outcome.accepted, accepted, "{outcome:?}");
    }
    assert_eq!(old_wallet.activity(1, 0).await.unwrap()[0].kind, ActivityKind::Refused);
}

/// What can move moves; keys do not, and the new phone says what to collect again.
#[tokio::test]
async fn a_backup_moves_everything_but_keys() {
    let world = World::start(Records::Memory).await;
    let (old_phone, new_phone) = (Phone::new(), Phone::new());
    let wallet = old_phone.wallet(&world).await;
    wallet.add_hardware_entry("This phone").await.unwrap();
    assert_eq!(wallet.export_backup().await.unwrap_err().code(), "backup_no_code");
    let code = wallet.create_recovery_code("Recovery code").await.unwrap();
    collect(&world, &wallet).await;
    let backup = wallet.export_backup().await.unwrap();
    assert!(!backup.windows(8).any(|part| part == b"patient_"));

    let (fresh, own_code) = new_phone.set_up(&world).await;
    let wrong = fresh.import_backup(&backup, &own_code).await.unwrap_err();
    assert_eq!((wrong.code(), wrong.advice()), ("backup_wrong_code", Advice::EnterAgain));
    assert_eq!(fresh.import_backup(&backup, "typo").await.unwrap_err().code(), "recovery_code_mistyped");
    let mut damaged = backup.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(fresh.import_backup(&damaged, code.expose()).await.unwrap_err().code(), "backup_damaged");
    assert!(fresh.credentials().await.unwrap().is_empty());

    let restored = fresh.import_backup(&backup, code.expose()).await.unwrap();
    assert_eq!((restored.reenrol.len(), restored.known), (2, 0));
    let again = fresh.import_backup(&backup, code.expose()).await.unwrap();
    assert_eq!((again.reenrol.len(), again.known, again.activity), (0, 2, 0));
    let credentials = fresh.credentials().await.unwrap();
    assert!(credentials.iter().all(|one| one.state == CredentialState::ReenrolmentNeeded));
    assert!(!fresh.credential(&credentials[0].id).await.unwrap().claims.is_empty());
    let log = fresh.activity(usize::MAX, 0).await.unwrap();
    assert_eq!(log.iter().filter(|entry| entry.kind == ActivityKind::Received).count(), 1);
    assert_eq!(log[0].kind, ActivityKind::Restored);
    let request = world.ask_identity("direct_post.jwt").await;
    let session = fresh.begin_presentation(text(&request, "request_uri")).await.unwrap();
    assert!(!session.details().answerable, "without keys nothing can be shown");
    collect(&world, &fresh).await;
    let states = fresh.credentials().await.unwrap();
    assert!(states.len() == 2 && states.iter().all(|one| one.state == CredentialState::Usable));
}

/// Gives the hospital's metadata a picture, and counts who asks for it.
struct WithLogo {
    inner: Arc<dyn HttpClient>,
    fetched: AtomicUsize,
}

#[async_trait]
impl HttpClient for WithLogo {
    async fn send(&self, request: HttpRequest) -> carekey_core::Result<HttpResponse> {
        if request.url.path() == "/sign.png" {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            let body = b"\x89PNG\r\n\x1a\n and so on".to_vec();
            return Ok(HttpResponse {
                status: 200,
                content_type: Some("text/html".into()),
                headers: Vec::new(),
                body,
            });
        }
        let metadata = request.url.path().contains("openid-credential-issuer");
        let mut response = self.inner.send(request).await?;
        if metadata {
            let mut document: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            let configurations = document["credential_configurations_supported"].as_object_mut().unwrap();
            for (id, configuration) in configurations {
                let file = if id == "patient_identity" { "sign.png" } else { "gone.png" };
                let uri = format!("http://localhost:1/{file}");
                configuration["credential_metadata"]["display"][0]["logo"] =
                    json!({ "uri": uri, "alt_text": "A sign" });
            }
            response.body = document.to_string().into_bytes();
        }
        Ok(response)
    }
}

#[tokio::test]
async fn pictures_are_fetched_once_and_a_missing_one_harms_nothing() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let http = Arc::new(WithLogo { inner: world.http.clone(), fetched: AtomicUsize::new(0) });
    let wallet = phone.wallet_over(&world, http.clone()).await;
    wallet.add_hardware_entry("This phone").await.unwrap();
    wallet.create_recovery_code("Recovery code").await.unwrap();
    collect(&world, &wallet).await;
    let (with, without): (Vec<_>, Vec<_>) =
        wallet.credentials().await.unwrap().into_iter().partition(|one| one.has_logo);
    assert_eq!((with.len(), without.len()), (1, 1));
    let logo = wallet.logo(&with[0].id).await.unwrap().unwrap();
    assert_eq!((logo.media_type.as_str(), logo.alt_text.as_deref()), ("image/png", Some("A sign")));
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
    assert!(wallet.credential(&with[0].id).await.unwrap().summary.has_logo);
    assert_eq!(http.fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_wallet_locks_itself_and_notices_an_older_storage() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, code) = phone.set_up(&world).await;
    let older = phone.storage.snapshot();
    collect(&world, &wallet).await;
    world.clock.set(carekey_core::clock::Clock::now(&*world.clock).plus(299));
    assert_eq!(wallet.credentials().await.unwrap().len(), 2);
    world.clock.set(carekey_core::clock::Clock::now(&*world.clock).plus(300));
    assert_eq!(wallet.lock_state(), LockState::Locked);
    assert_eq!(wallet.credentials().await.unwrap_err(), WalletError::Locked);

    phone.storage.restore(older);
    assert_eq!(wallet.unlock(None, &prompt()).await.unwrap_err().code(), "vault_rolled_back");
    let fresh = phone.wallet(&world).await;
    assert_eq!(fresh.unlock_with_code(&code).await.unwrap_err().code(), "vault_rolled_back");
    fresh.unlock_older_state(None, &prompt()).await.unwrap();
    assert!(fresh.credentials().await.unwrap().is_empty());

    // Gone for good, and a new beginning.
    fresh.erase().await.unwrap();
    assert_eq!(fresh.lock_state(), LockState::New);
    assert!(phone.storage.snapshot().is_empty());
    fresh.add_hardware_entry("Anew").await.unwrap();
}

#[tokio::test]
async fn each_copy_is_shown_once_and_an_empty_credential_says_so() {
    let world = World::start(Records::Memory).await;
    let phone = Phone { copies: 3, ..Phone::new() };
    let (wallet, _) = phone.set_up(&world).await;
    let before = phone.device.prompts();
    collect(&world, &wallet).await;
    assert_eq!(phone.device.prompts() - before, 1, "six copies, one prompt");
    let mut seen = std::collections::BTreeSet::new();
    for left in [3, 2, 1] {
        let identity = identity(&wallet).await;
        assert_eq!((identity.single_use, identity.copies_left), (true, left));
        let keys = phone.device.aliases();
        let request = world.ask_identity("direct_post.jwt").await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let selection = session.default_selection().unwrap();
        assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
        let kept = phone.device.aliases();
        let gone: Vec<_> = keys.into_iter().filter(|alias| !kept.contains(alias)).collect();
        assert_eq!(gone.len(), 1, "the key of the copy that was shown");
        seen.extend(gone);
    }
    assert_eq!(seen.len(), 3, "no key was used twice");
    let empty = identity(&wallet).await;
    assert_eq!((empty.state, empty.copies_left), (CredentialState::NoCopyLeft, 0));
    assert!(!wallet.credential(&empty.id).await.unwrap().claims.is_empty(), "it can still be looked at");
    let request = world.ask_identity("direct_post.jwt").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    assert!(!session.details().answerable);
}

#[tokio::test]
async fn a_deleted_credential_leaves_no_key_behind() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    assert_eq!(phone.device.aliases().len(), 3, "two holder keys and the key that they share");
    for credential in wallet.credentials().await.unwrap() {
        wallet.delete_credential(&credential.id).await.unwrap();
        assert_eq!(wallet.credential(&credential.id).await.unwrap_err().code(), "credential_unknown");
    }
    assert!(phone.device.aliases().is_empty(), "{:?}", phone.device.aliases());
    assert_eq!(wallet.activity(2, 0).await.unwrap()[1].kind, ActivityKind::Deleted);
}
