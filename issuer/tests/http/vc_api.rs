//! The VC-API over a socket: status codes, and bad input.

use carekey_core::clock::Clock;
use carekey_core::did::{self, DidUrl};
use carekey_core::format::data_integrity::{
    Contexts, Evidence, Expectation, Presentation, derive, verify_base_proofs, verify_proofs,
};
use carekey_core::format::vc_jose::Content;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jose::verify::VerifiedEnvelope;
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::status::bitstring_status_list::{StatusEntry, StatusList};
use serde_json::{Value, json};

use crate::world::World;

async fn world() -> World {
    World::start(|config| config.vc_api.enabled = true).await
}

fn credential(issuer: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "id": "urn:uuid:5c4b0e6a-5a8d-4e0e-9f6e-0f8f6f3f8f10",
        "issuer": issuer,
        "credentialSubject": {"id": "did:example:subject", "name": "A"},
    })
}

fn did(world: &World, key: &str) -> String {
    world.app.vc_api_dids().into_iter().find(|(name, _)| *name == key).unwrap().1
}

fn verify(world: &World, secured: &Value) {
    let mut evidence = Evidence::new();
    evidence.add_offline(secured).unwrap();
    let expected = Expectation::credential(world.clock.now());
    verify_proofs(secured, &evidence, &expected, &Contexts::bundled().unwrap()).unwrap();
}

#[tokio::test]
async fn off_unless_turned_on() {
    let world = World::start(|_| {}).await;
    for path in
        ["/credentials/issue", "/issuers/eddsa-rdfc-2022-ed25519/credentials/issue", "/credentials/status"]
    {
        assert_eq!(world.post_api(path, &json!({})).await.status, 404, "{path}");
    }
    let document = world.get("/openapi.json").await.json();
    assert!(document["paths"].get("/credentials/issue").is_none());
    assert!(world.app.vc_api_dids().is_empty());
}

#[tokio::test]
async fn needs_the_token() {
    let world = world().await;
    let document = world.get("/openapi.json").await.json();
    assert!(document["paths"].get("/credentials/issue").is_some());
    for path in
        ["/credentials/issue", "/issuers/eddsa-rdfc-2022-ed25519/credentials/issue", "/credentials/status"]
    {
        assert_eq!(world.post_json(path, &json!({}), None).await.status, 401, "{path}");
        assert_eq!(world.post_json(path, &json!({}), Some("wrong")).await.status, 401, "{path}");
    }
    let open =
        World::start(|config| (config.vc_api.enabled, config.vc_api.authenticate) = (true, false)).await;
    let body = json!({"credential": credential(&did(&open, "P-256"))});
    assert_eq!(open.post_json("/credentials/issue", &body, None).await.status, 201);
}

/// Opens an enveloped credential with the key that its `kid` names.
fn open(enveloped: &Value) -> VerifiedEnvelope {
    let envelope = Enveloped::from_value(enveloped, Content::Credential).unwrap().open(&Limits::DEFAULT);
    let envelope = envelope.unwrap();
    let method = DidUrl::parse(envelope.key_id().unwrap()).unwrap();
    let document = did::resolver::resolve_offline(method.did()).unwrap();
    let key = document.verification_key(&method, did::VerificationPurpose::AssertionMethod).unwrap();
    envelope.verify(&key).unwrap()
}

/// A base proof is for the holder; what it derives is for verifiers.
fn verify_base_and_derived(world: &World, base: &Value) {
    let contexts = Contexts::bundled().unwrap();
    let mut evidence = Evidence::new();
    evidence.add_offline(base).unwrap();
    let expected = Expectation::credential(world.clock.now());
    verify_base_proofs(base, &evidence, &expected, &contexts).unwrap();
    assert_eq!(verify_proofs(base, &evidence, &expected, &contexts).unwrap_err().code(), "proof_base");
    let derived = derive(base, &["/credentialSubject/name"], &Presentation::new(&SystemRandom), &contexts);
    let derived = derived.unwrap();
    verify(world, &derived);
    // The mandatory part is there although nobody selected it.
    assert_eq!(derived["issuer"], base["issuer"]);
    assert!(derived.get("id").is_none() || derived["id"] == base["id"]);
}

#[tokio::test]
async fn every_suite_and_key() {
    let world = world().await;
    let keys = ["ed25519", "P-256", "P-384", "bls"];
    assert_eq!(world.app.vc_api_dids().iter().map(|(name, _)| *name).collect::<Vec<_>>(), keys);
    let mut seen = Vec::new();
    for name in world.app.vc_api_names() {
        let key = keys.into_iter().find(|key| name.ends_with(key)).unwrap();
        let suite = name.trim_end_matches(key).trim_end_matches('-');
        let path = format!("/issuers/{name}/credentials/issue");
        for options in [json!({"mandatoryPointers": ["/issuer"]}), json!({}), Value::Null] {
            // Pointers of another suite's test change nothing.
            let body = json!({"credential": credential(&did(&world, key)), "options": options});
            let answer = world.post_api(&path, &body).await;
            let content_type = answer.header("content-type").unwrap();
            assert_eq!((answer.status, content_type), (201, "application/json".into()), "{name}");
            let secured = answer.json()["verifiableCredential"].clone();
            assert!(secured.get("credentialStatus").is_none());
            if suite.starts_with("vc-") {
                let verified = open(&secured);
                assert_eq!(verified.kind().typ().replace('+', "-"), suite);
                assert_eq!(verified.document()["issuer"], json!(did(&world, key)));
                continue;
            }
            assert_eq!(secured["proof"]["cryptosuite"], json!(suite));
            match suite {
                "ecdsa-sd-2023" | "bbs-2023" => verify_base_and_derived(&world, &secured),
                _ => verify(&world, &secured),
            }
        }
        let other = did(&world, if key == "P-256" { "ed25519" } else { "P-256" });
        let answer = world.post_api(&path, &json!({"credential": credential(&other)})).await;
        assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!("vc_issuer_unknown")));
        seen.push(suite.to_owned());
    }
    seen.dedup();
    assert_eq!(
        seen,
        [
            "eddsa-rdfc-2022",
            "eddsa-jcs-2022",
            "ecdsa-rdfc-2019",
            "ecdsa-jcs-2019",
            "ecdsa-sd-2023",
            "bbs-2023",
            "vc-jwt",
            "vc-sd-jwt",
            "vc-cose"
        ]
    );
    for name in [
        "eddsa-rdfc-2022-P-256",
        "ecdsa-rdfc-2019-ed25519",
        "x",
        "ecdsa-sd-2023-P-384",
        "bbs-2023-P-256",
        "vc-jwt-bls",
    ] {
        let path = format!("/issuers/{name}/credentials/issue");
        let body = json!({"credential": credential(&did(&world, "P-256"))});
        assert_eq!(world.post_api(&path, &body).await.status, 404, "{name}");
    }
}

#[tokio::test]
async fn the_options_of_the_common_address() {
    let world = world().await;
    let issue = async |key: &str, options: Value| {
        let body = json!({"credential": credential(&did(&world, key)), "options": options});
        world.post_api("/credentials/issue", &body).await
    };
    // By the key alone; the lists of a BBS key would be signed by nobody, so there are none.
    let answer = issue("bls", json!({})).await.json();
    let secured = &answer["verifiableCredential"];
    assert_eq!(secured["proof"]["cryptosuite"], json!("bbs-2023"));
    assert!(secured.get("credentialStatus").is_none());
    let status = json!({"type": "BitstringStatusListEntry"});
    let answer = issue("bls", json!({"credentialStatus": status})).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!("vc_status_option")));
    // An envelope has a place in a status list like a proof.
    let answer = issue("P-256", json!({"cryptosuite": "vc-jwt"})).await.json();
    let verified = open(&answer["verifiableCredential"]);
    assert_eq!(verified.document()["credentialStatus"]["type"], status["type"]);
    for (key, suite, code) in [
        ("bls", "vc-jwt", "proof_key_type"),
        ("P-256", "bbs-2023", "proof_key_type"),
        ("P-256", "vc-jws", "proof_cryptosuite"),
    ] {
        let answer = issue(key, json!({"cryptosuite": suite})).await;
        assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!(code)), "{suite}");
    }
    let signed = issue("P-256", json!({})).await.json()["verifiableCredential"].clone();
    let body = json!({"credential": signed, "options": {"cryptosuite": "vc-cose"}});
    let answer = world.post_api("/credentials/issue", &body).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (400, json!("vc_proof_present")));
}

#[tokio::test]
async fn a_status_is_given_published_and_changed() {
    let world = world().await;
    let issuer = did(&world, "P-256");
    let answer = world.post_api("/credentials/issue", &json!({"credential": credential(&issuer)})).await;
    let secured = answer.json()["verifiableCredential"].clone();
    verify(&world, &secured);
    let entry = StatusEntry::of_credential(&secured).unwrap().remove(0);
    let path = entry.list.strip_prefix(&world.url).unwrap().to_owned();
    let status = async |expected: u64| {
        let answer = world.get(&path).await;
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        let list = answer.json();
        verify(&world, &list);
        let list = StatusList::from_verified_credential(&list, &Limits::DEFAULT).unwrap();
        assert_eq!(list.issuer(), Some(issuer.as_str()));
        assert_eq!(list.status(&entry).unwrap().value, expected);
    };
    status(0).await;
    let change = |status: bool| json!({"credentialStatus": secured["credentialStatus"], "status": status});
    assert_eq!(world.post_api("/credentials/status", &change(true)).await.status, 200);
    status(1).await;
    assert_eq!(world.post_api("/credentials/status", &change(false)).await.status, 409);
    let mut other = change(true);
    let index = (entry.index + 1) % 1000;
    other["credentialStatus"]["statusListIndex"] = index.to_string().into();
    assert_eq!(world.post_api("/credentials/status", &other).await.status, 404);
    other["credentialStatus"] = json!({"type": "X"});
    assert_eq!(world.post_api("/credentials/status", &other).await.status, 400);

    for (accept, media_type) in [
        ("application/ld+json, application/json", "application/ld+json"),
        ("application/vc", "application/vc"),
        ("*/*", "application/json"),
    ] {
        let answer = world.send(world.request(reqwest::Method::GET, &path).header("accept", accept)).await;
        assert_eq!(answer.header("content-type").as_deref(), Some(media_type));
    }
    for path in ["p-256/revocation/7", "p-999/revocation/0", "p-256/refresh/0", "p-256/revocation/x"] {
        assert_eq!(world.get(&format!("/credentials/status/{path}")).await.status, 404, "{path}");
    }
    let options =
        json!({"credentialStatus": {"type": "BitstringStatusListEntry", "statusPurpose": "suspension"}});
    let body = json!({"credential": credential(&issuer), "options": options});
    let secured = world.post_api("/issuers/ecdsa-jcs-2019-P-256/credentials/issue", &body).await.json();
    let entry = secured["verifiableCredential"]["credentialStatus"].clone();
    assert_eq!(entry["statusPurpose"], "suspension");
    for status in [true, false] {
        let change = json!({"credentialStatus": entry, "status": status});
        assert_eq!(world.post_api("/credentials/status", &change).await.status, 200);
    }
}

#[tokio::test]
async fn bad_input() {
    let world = world().await;
    let issuer = did(&world, "ed25519");
    let with = |name: &str, value: Value| {
        let mut changed = credential(&issuer);
        changed[name] = value;
        json!({"credential": changed})
    };
    let option = |options: Value| json!({"credential": credential(&issuer), "options": options});
    let mut no_issuer = credential(&issuer);
    no_issuer.as_object_mut().unwrap().remove("issuer");
    for (body, code) in [
        (json!([]), "invalid_member"),
        (json!({}), "invalid_member"),
        (json!({"credential": null}), "vc_shape"),
        (json!({"credential": "x"}), "vc_shape"),
        (json!({"credential": no_issuer}), "vc_issuer"),
        (with("issuer", Value::Null), "vc_issuer"),
        (with("issuer", json!({"id": null})), "vc_issuer"),
        (
            with("issuer", json!("did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2")),
            "vc_issuer_unknown",
        ),
        (with("@context", json!([])), "vc_context"),
        (with("type", json!(["X"])), "vc_type"),
        (with("id", json!("not a url")), "vc_id"),
        (with("credentialSubject", json!({})), "vc_subject"),
        (with("validFrom", json!("yesterday")), "vc_time"),
        (with("statusEntry", json!({"type": "BitstringStatusListEntry"})), "jsonld_undefined_term"),
        (with("credentialStatus", json!({"id": "urn:x:1"})), "vc_type"),
        (with("proof", json!({"type": "X"})), "proof_type"),
        (with("proof", Value::Array(vec![json!({"type": "DataIntegrityProof"}); 16])), "proof_too_many"),
        (option(json!({"cryptosuite": "none"})), "proof_cryptosuite"),
        (option(json!({"cryptosuite": "ecdsa-rdfc-2019"})), "proof_key_type"),
        (option(json!({"credentialStatus": {"type": "X"}})), "vc_status_option"),
        (option(json!({"mandatoryPointers": "x"})), "invalid_member"),
    ] {
        let answer = world.post_api("/credentials/issue", &body).await;
        println!("{} {}", answer.status, answer.text());
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some(code)), "{body}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
    }
    let token = world.management();
    let answer = world.raw("/credentials/issue", "text/plain", b"{}".to_vec(), Some(&token)).await;
    assert_eq!(answer.status, 415);
    let answer = world.raw("/credentials/issue", "application/json", vec![b' '; 1 << 20], Some(&token)).await;
    assert_eq!(answer.status, 413);
    // A credential that cannot be signed takes no place in a list.
    assert_eq!(world.get("/credentials/status/ed25519/revocation/0").await.status, 404);
}

#[tokio::test]
async fn without_token_on_loopback_only() {
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let mut config = carekey_issuer::Config { data_dir: folder.path().to_owned(), ..Default::default() };
    (config.vc_api.enabled, config.vc_api.authenticate) = (true, false);
    config.server.listen = ([0, 0, 0, 0], 0).into();
    let url = url::Url::parse("https://issuer.example").unwrap();
    let store = Arc::new(carekey_core::store::MemoryStore::default());
    let clock = Arc::new(carekey_core::clock::SystemClock);
    let random = Arc::new(carekey_core::random::SystemRandom);
    let error = carekey_issuer::App::open(&config, &url, store, clock, random).await.unwrap_err();
    assert!(error.to_string().contains("vc_api.authenticate"));
}
