//! An issuer under a DID on the web rotates its key: what was issued before verifies beside what is issued after, as
//! SD-JWT VC and with Data Integrity, over HTTP; until a key is forgotten, or the DID ended.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // helpers of tests

use carekey_core::Clock;
use carekey_core::clock::SystemClock;
use carekey_core::did::{self, Did};
use carekey_core::random::SystemRandom;
use carekey_issuer::config::KeyKind;
use carekey_issuer::did::OwnDid;
use carekey_issuer::rotation::SigningKeys;
use carekey_tests::world::{Records, Wallet, World, body, text};
use carekey_verifier::config::TrustRule;
use serde_json::{Value, json};

fn own_did(world: &World, kind: KeyKind) -> OwnDid {
    let keys = carekey_service::keys::load_or_create(
        world.issuer_data(),
        &world.hospital,
        &SystemRandom,
        &*world.clock,
    );
    let signer = keys.unwrap().signer();
    let own = OwnDid::open(world.issuer_data(), kind, &world.hospital, signer.public_key(), &*world.clock);
    own.unwrap().unwrap()
}

async fn start(kind: KeyKind) -> World {
    World::start_with(Records::Memory, |issuer, verifier| {
        issuer.issuer.key = kind;
        (issuer.vc_api.enabled, issuer.vc_api.own_did) = (true, true);
        verifier.vc_api.enabled = true;
        let vct = verifier.types.patient_identity[0].clone();
        let url = vct.strip_suffix("vct/patient-identity").unwrap().parse().unwrap();
        // Made as the issuer's start would make it, so that the portal can be told whom to trust.
        let keys = carekey_service::keys::load_or_create(&issuer.data_dir, &url, &SystemRandom, &SystemClock);
        let signer = keys.unwrap().signer();
        let own = OwnDid::open(&issuer.data_dir, kind, &url, signer.public_key(), &SystemClock).unwrap();
        let did = own.unwrap().did().to_string();
        let status_hosts = vec!["localhost".into()];
        verifier.trust =
            vec![TrustRule { vcts: vec![vct], dids: vec![did], status_hosts, ..Default::default() }];
    })
    .await
}

/// Issues a credential with Data Integrity under the issuer's own DID.
async fn signed(world: &World, did: &Did) -> Value {
    let credential = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
        "issuer": did.as_str(), "credentialSubject": {"id": "did:example:subject", "name": "A"},
    });
    let answer =
        world.manage(&world.hospital, "/credentials/issue", &json!({"credential": credential})).await;
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    body(&answer)["verifiableCredential"].clone()
}

async fn verifies(world: &World, credential: &Value) -> Result<(), String> {
    let request = json!({"verifiableCredential": credential});
    let answer = world.manage(&world.portal, "/credentials/verify", &request).await;
    match answer.status {
        200 => Ok(()),
        _ => Err(text(&body(&answer), "code").to_owned()),
    }
}

async fn collect(world: &World) -> Wallet {
    let mut wallet = Wallet::new(world);
    let offer = world.offer(&["patient_identity"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    wallet
}

async fn presents(world: &World, wallet: &Wallet) -> Result<(), String> {
    let request = world.ask_identity("direct_post.jwt").await;
    let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
    if delivery.accepted { Ok(()) } else { Err(delivery.code.unwrap_or_default()) }
}

/// Copies of the document in the portal are too old now.
fn wait(world: &World) {
    world.clock.set(world.clock.now().plus(carekey_service::dids::DOCUMENT_SECONDS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_credentials_verify_after_a_rotation() {
    for kind in [KeyKind::DidWeb, KeyKind::DidWebvh] {
        let mut world = start(kind).await;
        let did = world.issuer.own_did().unwrap().did().clone();
        let method = if kind == KeyKind::DidWeb { "web" } else { "webvh" };
        assert_eq!(did.method(), method);
        let (old, old_wallet) = (signed(&world, &did).await, collect(&world).await);
        assert_eq!(old["proof"]["verificationMethod"], json!(format!("{did}#key-1")));
        assert_eq!(verifies(&world, &old).await, Ok(()), "{kind:?}");
        assert_eq!(presents(&world, &old_wallet).await, Ok(()), "{kind:?}");

        wait(&world);
        own_did(&world, kind).rotate(&*world.clock, None).unwrap();
        // Published, while the running service still signs with the old key.
        assert_eq!(signed(&world, &did).await["proof"]["verificationMethod"], json!(format!("{did}#key-1")));
        wait(&world);
        assert_eq!(verifies(&world, &old).await, Ok(()), "{kind:?}");
        world.restart_issuer().await;
        let (new, new_wallet) = (signed(&world, &did).await, collect(&world).await);
        assert_eq!(new["proof"]["verificationMethod"], json!(format!("{did}#key-2")));
        for (credential, wallet) in [(&old, &old_wallet), (&new, &new_wallet)] {
            assert_eq!(verifies(&world, credential).await, Ok(()), "{kind:?}");
            assert_eq!(presents(&world, wallet).await, Ok(()), "{kind:?}");
        }

        // Forgotten: what the key signed no longer verifies, the rest does.
        wait(&world);
        own_did(&world, kind).rotate(&*world.clock, Some("key-1")).unwrap();
        wait(&world);
        assert_eq!(verifies(&world, &old).await, Err("proof_method_unknown".into()), "{kind:?}");
        assert!(presents(&world, &old_wallet).await.is_err(), "{kind:?}");
        assert_eq!(verifies(&world, &new).await, Ok(()), "{kind:?}");

        // Ended: nothing verifies, and the issuer does not start.
        own_did(&world, kind).deactivate(&*world.clock).unwrap();
        wait(&world);
        let code = if kind == KeyKind::DidWeb { "did_not_found" } else { "webvh_deactivated" };
        assert_eq!(verifies(&world, &new).await, Err(code.into()), "{kind:?}");
        assert!(own_did(&world, kind).rotate(&*world.clock, None).is_err());
        let config = carekey_issuer::Config {
            data_dir: world.issuer_data().to_owned(),
            issuer: carekey_issuer::config::IssuerConfig { key: kind, ..Default::default() },
            ..carekey_issuer::Config::default()
        };
        let store = std::sync::Arc::new(carekey_core::store::MemoryStore::default());
        let random = std::sync::Arc::new(SystemRandom);
        let opened =
            carekey_issuer::App::open(&config, &world.hospital, store, world.clock.clone(), random).await;
        assert!(opened.unwrap_err().to_string().contains("deactivated"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rotation_is_finished_by_the_next() {
    let mut world = start(KeyKind::DidWebvh).await;
    // The new key was made, and nothing more.
    let prepared = carekey_service::keys::prepare_signing_key(world.issuer_data()).unwrap();
    let expected = did::key::encode(carekey_core::key::Signer::public_key(&prepared)).unwrap();
    wait(&world);
    let mut own = own_did(&world, KeyKind::DidWebvh);
    // The operator keeps the key of the next version elsewhere.
    let key = world.issuer_data().join("did/update-2.key");
    let elsewhere = world.issuer_data().join("elsewhere.key");
    std::fs::rename(&key, &elsewhere).unwrap();
    assert!(own.rotate(&*world.clock, None).unwrap_err().to_string().contains("update-2.key"));
    std::fs::rename(&elsewhere, &key).unwrap();
    own.rotate(&*world.clock, None).unwrap();
    assert_eq!(own.key_names(), ["key-1", "key-2"]);
    world.restart_issuer().await;
    let signer = world.issuer.issuer().key().signer.public_key().clone();
    assert_eq!(did::key::encode(&signer).unwrap(), expected);
}

/// An issuer whose key is named by a certificate, or by its own metadata.
async fn start_without_did(kind: KeyKind) -> World {
    World::start_with(Records::Memory, |issuer, verifier| {
        issuer.issuer.key = kind;
        if kind == KeyKind::WellKnown {
            let vct = verifier.types.patient_identity[0].clone();
            let issuer = vct.strip_suffix("/vct/patient-identity").unwrap().to_owned();
            let status_hosts = vec!["localhost".into()];
            verifier.trust = vec![TrustRule {
                vcts: vec![vct],
                issuers: vec![issuer],
                status_hosts,
                ..Default::default()
            }];
        }
    })
    .await
}

fn signing_keys(world: &World, kind: KeyKind) -> SigningKeys {
    let keys = carekey_service::keys::load_or_create(
        world.issuer_data(),
        &world.hospital,
        &SystemRandom,
        &*world.clock,
    );
    let signer = keys.unwrap().signer();
    SigningKeys::open(world.issuer_data(), kind, signer.public_key()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_with_a_certificate_or_in_metadata_rotate_too() {
    for kind in [KeyKind::X5c, KeyKind::WellKnown] {
        let mut world = start_without_did(kind).await;
        let anchor = world.issuer.anchor();
        let old_wallet = collect(&world).await;
        assert_eq!(presents(&world, &old_wallet).await, Ok(()), "{kind:?}");
        let mut keys = signing_keys(&world, kind);
        let old = keys.current();
        assert!(keys.earlier().is_empty());
        keys.rotate().unwrap();
        assert_eq!(keys.earlier(), vec![old.clone()]);
        let new = keys.current();
        assert_ne!(new, old);
        // The running service goes on with the old key, and so do wallets and verifiers; upkeep changes nothing.
        world.issuer.upkeep().await.unwrap();
        assert_eq!(presents(&world, &collect(&world).await).await, Ok(()), "{kind:?}");
        wait(&world);
        world.restart_issuer().await;
        assert_eq!(world.issuer.anchor(), anchor, "the same authority");
        let published = world.issuer.issuer().jwt_vc_issuer_metadata();
        let names: Vec<_> =
            published["jwks"]["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect();
        assert_eq!(names, [new.as_str(), old.as_str()], "{kind:?}");
        let new_wallet = collect(&world).await;
        for wallet in [&old_wallet, &new_wallet] {
            assert_eq!(presents(&world, wallet).await, Ok(()), "{kind:?}");
        }
        // Forgotten: what has no certificate no longer verifies.
        let mut keys = signing_keys(&world, kind);
        assert!(keys.forget(&new).is_err(), "not the one that signs");
        keys.forget(&old).unwrap();
        // Longer than the portal keeps a copy.
        world.clock.set(world.clock.now().plus(3600));
        world.restart_issuer().await;
        assert_eq!(presents(&world, &new_wallet).await, Ok(()), "{kind:?}");
        assert_eq!(presents(&world, &old_wallet).await.is_ok(), kind == KeyKind::X5c);
    }
}

#[test]
fn a_key_that_is_a_did_is_not_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let key = carekey_core::key::SoftwareKey::generate(carekey_core::key::SignatureAlgorithm::Es256).unwrap();
    let public = carekey_core::key::Signer::public_key(&key);
    for kind in [KeyKind::DidJwk, KeyKind::DidKey, KeyKind::DidWeb, KeyKind::DidWebvh] {
        let refused = SigningKeys::open(folder.path(), kind, public).unwrap_err().to_string();
        assert!(refused.contains("issuer.key"), "{refused}");
    }
}
