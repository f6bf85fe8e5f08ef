//! Every way in which an issuer may name its key, through both services: the hospital issues under it, the portal finds
//! the key and the status list by it, and refuses where its rules do not list that issuer.

use carekey_core::clock::SystemClock;
use carekey_core::did;
use carekey_core::random::SystemRandom;
use carekey_issuer::config::KeyKind;
use carekey_tests::world::{Records, Wallet, World, text};
use carekey_verifier::config::TrustRule;
use serde_json::json;

async fn verified(kind: KeyKind, trusted: bool) -> (Option<String>, serde_json::Value) {
    let world = World::start_with(Records::Memory, |issuer, verifier| {
        issuer.issuer.key = kind;
        // The issuer's address and key as they will be when it opens.
        let vct = &verifier.types.patient_identity[0];
        let url = vct.strip_suffix("vct/patient-identity").unwrap().parse().unwrap();
        let keys = carekey_service::keys::load_or_create(&issuer.data_dir, &url, &SystemRandom, &SystemClock)
            .unwrap();
        let signer = keys.signer();
        let mut rule = TrustRule { vcts: vec![vct.clone()], ..TrustRule::default() };
        match kind {
            KeyKind::X5c => rule.anchors = verifier.trust[0].anchors.clone(),
            KeyKind::WellKnown => rule.issuers = vec![url.as_str().trim_end_matches('/').to_owned()],
            KeyKind::DidWeb => rule.dids = vec![did::web::from_url(&url).unwrap().to_string()],
            // `issuer_rotation` has it, whose DID is not known before its first start.
            KeyKind::DidWebvh => unreachable!("not in the list"),
            // A DID without a host of its own: the rule says where its status lists may lie.
            KeyKind::DidJwk => {
                rule.dids = vec![did::jwk::encode(signer.public_key()).unwrap().to_string()];
                rule.status_hosts = vec!["localhost".into()];
            }
            KeyKind::DidKey => {
                rule.dids = vec![did::key::encode(signer.public_key()).unwrap().to_string()];
                rule.status_hosts = vec!["localhost".into()];
            }
        }
        if !trusted {
            rule.vcts = vec!["https://elsewhere.example/vct".into()];
        }
        verifier.trust = vec![rule];
    })
    .await;
    let mut wallet = Wallet::new(&world);
    let offer = world.offer(&["patient_identity"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    let request = world.ask_identity("direct_post.jwt").await;
    let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
    let state = world.state(&request).await;
    if !trusted {
        return (delivery.code, state);
    }
    assert!(delivery.accepted, "{kind:?}: {delivery:?}");

    // Revocation is seen whoever signs the list.
    let list = world.look(&world.hospital, "/api/credentials").await;
    let path = format!("/api/credentials/{}/revoke", text(&list["credentials"][0], "id"));
    assert!(world.manage(&world.hospital, &path, &json!({})).await.is_success());
    world.clock.set(carekey_core::Clock::now(&*world.clock).plus(600));
    let request = world.ask_identity("direct_post").await;
    let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
    assert_eq!(delivery.code.as_deref(), Some("credential_revoked"), "{kind:?}");
    (None, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_issuer_key_through_both_services() {
    for (kind, by, issuer) in [
        (KeyKind::X5c, "certificate", "http://localhost:"),
        (KeyKind::DidWeb, "did", "did:web:localhost%3A"),
        (KeyKind::DidJwk, "did", "did:jwk:"),
        (KeyKind::DidKey, "did", "did:key:zDn"),
        (KeyKind::WellKnown, "issuer_metadata", "http://localhost:"),
    ] {
        let (_, state) = verified(kind, true).await;
        assert_eq!(text(&state, "state"), "verified", "{kind:?}: {state}");
        let credential = &state["outcome"]["presentation"]["credentials"][0];
        assert_eq!(credential["trusted_by"], by, "{kind:?}");
        assert!(text(credential, "issuer").starts_with(issuer), "{credential}");
        assert_eq!(credential["claims"]["family_name"], "Testová-Müllerová");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_issuer_key_is_trusted_without_a_rule() {
    for kind in [KeyKind::X5c, KeyKind::DidWeb, KeyKind::DidJwk, KeyKind::DidKey, KeyKind::WellKnown] {
        let (code, state) = verified(kind, false).await;
        assert_eq!(code.as_deref(), Some("issuer_untrusted"), "{kind:?}: {state}");
        assert_ne!(text(&state, "state"), "verified");
    }
}
