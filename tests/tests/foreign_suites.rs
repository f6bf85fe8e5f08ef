//! The verifier's feature `foreign-suites`, over a socket: proofs from before Data Integrity 1.0 that `ssi` makes, each
//! thing that can be wrong with them, and what must never reach `ssi`.
#![cfg(feature = "oracles")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::disallowed_methods)] // how long a refusal takes is part of the test

use std::time::{Duration, Instant};

use carekey_core::clock::{Clock as _, SystemClock};
use carekey_core::encoding::{base64url, json};
use carekey_core::format::data_integrity::{Contexts, Expectation};
use carekey_core::limits::Limits;
use carekey_tests::ssi::securing::Securing;
use carekey_tests::world::{Records, World, body, text};
use carekey_verifier::config::IssuerBinding;
use carekey_verifier::foreign::UnverifiedForeign;
use serde_json::{Value, json};
use ssi::claims::data_integrity::AnySuite;
use ssi::dids::{DIDEthr, DIDKey, DIDPKH};
use ssi_jwk::JWK;

const V1: &str = "https://www.w3.org/2018/credentials/v1";
const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";
const ED25519_2020: &str = "https://w3id.org/security/suites/ed25519-2020/v1";

fn credential(suite: &str) -> Value {
    let context = match suite {
        "Ed25519Signature2020" => json!([V1, ED25519_2020, EXAMPLES]),
        _ => json!([V1, EXAMPLES]),
    };
    json!({
        "@context": context, "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "AlumniCredential"], "issuanceDate": "2023-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "Škola příkladů", "height": 1.75, "visits": 3}
    })
}

/// A suite with each kind of key and DID that goes with it: the name of the key.
fn kinds() -> Vec<(AnySuite, &'static str, JWK, String)> {
    let key = |key: &JWK| DIDKey::generate_url(key).unwrap().to_string();
    let ed25519 = JWK::generate_ed25519().unwrap();
    let (p256, p384, k256) = (JWK::generate_p256(), JWK::generate_p384(), JWK::generate_secp256k1());
    let pkh = format!("{}#blockchainAccountId", DIDPKH::generate(&k256, "eip155").unwrap());
    let ethr = format!("{}#controller", DIDEthr::generate(&k256).unwrap());
    let (two, jws) = (AnySuite::Ed25519Signature2020, AnySuite::JsonWebSignature2020);
    let recovery = AnySuite::EcdsaSecp256k1RecoverySignature2020;
    vec![
        (AnySuite::Ed25519Signature2018, "Ed25519Signature2018", ed25519.clone(), key(&ed25519)),
        (two, "Ed25519Signature2020", ed25519.clone(), key(&ed25519)),
        (jws.clone(), "JsonWebSignature2020", ed25519.clone(), key(&ed25519)),
        (jws.clone(), "JsonWebSignature2020", p256.clone(), key(&p256)),
        (jws, "JsonWebSignature2020", p384.clone(), key(&p384)),
        (AnySuite::EcdsaSecp256k1Signature2019, "EcdsaSecp256k1Signature2019", k256.clone(), key(&k256)),
        (recovery.clone(), "EcdsaSecp256k1RecoverySignature2020", k256.clone(), pkh),
        (recovery, "EcdsaSecp256k1RecoverySignature2020", k256, ethr),
    ]
}

async fn world(foreign: bool) -> World {
    World::start_with(Records::Memory, |_, verifier| {
        verifier.vc_api.enabled = true;
        verifier.vc_api.foreign_suites = foreign;
        verifier.vc_api.issuer_binding = IssuerBinding::DidsOnly;
    })
    .await
}

async fn verify(world: &World, credential: &Value) -> Result<Value, String> {
    let asked = json!({"verifiableCredential": credential});
    let answer = world.manage(&world.portal, "/credentials/verify", &asked).await;
    let answered = body(&answer);
    match answer.status {
        200 => Ok(answered["checks"].clone()),
        400 => Err(text(&answered, "code").to_owned()),
        status => panic!("{status} {answered}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ssi_issues_with_older_suites() {
    let (world, off, ssi) = (world(true).await, world(false).await, Securing::default());
    for (suite, name, key, method) in kinds() {
        let signed = ssi.issue_older(suite, &key, &method, &credential(name)).await;
        assert_eq!(signed["proof"]["type"], name);
        let checks = verify(&world, &signed).await;
        assert_eq!(checks, Ok(json!(["data_model", "foreign_proof", "time"])), "{name} {method} {signed}");
        assert_eq!(verify(&off, &signed).await, Err("proof_type".to_owned()), "{name}");
        // Each change ends in a refusal, for its own reason.
        let other = DIDKey::generate_url(&JWK::generate_ed25519().unwrap()).unwrap().to_string();
        for (pointer, value, code) in [
            ("/credentialSubject/alumniOf", json!("Jiná škola"), "proof_signature"),
            ("/credentialSubject/height", json!(1.76), "proof_signature"),
            ("/issuer", json!("did:example:other"), "proof_controller"),
            ("/proof/created", json!("2023-02-24T23:36:38Z"), "proof_signature"),
            ("/proof/created", json!("2123-02-24T23:36:38Z"), "proof_created_in_future"),
            ("/proof/proofPurpose", json!("authentication"), "proof_purpose_mismatch"),
            ("/proof/verificationMethod", json!(other), "proof_controller"),
            ("/proof/type", json!("RsaSignature2018"), "proof_type"),
            ("/@context", json!([V1, "https://example.org/context"]), "jsonld_context_unknown"),
            ("/@context", json!([V1, {"@vocab": "urn:x#"}]), "foreign_context"),
        ] {
            let mut changed = signed.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert_eq!(verify(&world, &changed).await, Err(code.to_owned()), "{name} {pointer}");
        }
        // Safe mode: without its context a term or type has no meaning.
        let mut changed = signed.clone();
        changed["@context"] = json!([V1]);
        let code = verify(&world, &changed).await.unwrap_err();
        assert!(["jsonld_undefined_term", "jsonld_relative_iri"].contains(&code.as_str()), "{name} {code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_proof() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/vectors/vc-di-eddsa/Ed25519Signature2020/signedEdSig.json"
    );
    let Ok(text) = std::fs::read(file) else {
        println!("skipped: {file} absent");
        return;
    };
    let signed = json::parse(&text, &Limits::DEFAULT).unwrap();
    verify(&world(true).await, &signed).await.unwrap();
    println!("1 file read");
}

/// `ssi` sees none of these: each ends before, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds() {
    let world = world(true).await;
    let ssi = Securing::default();
    let key = JWK::generate_ed25519().unwrap();
    let method = DIDKey::generate_url(&key).unwrap().to_string();
    let name = "Ed25519Signature2020";
    let signed = ssi.issue_older(AnySuite::Ed25519Signature2020, &key, &method, &credential(name)).await;
    let nodes = (0..12).map(|node| {
        let others: Vec<Value> = (0..12)
            .filter(|other| *other != node)
            .map(|other| json!({"id": format!("_:n{other}")}))
            .collect();
        json!({"id": format!("_:n{node}"), "knows": others})
    });
    let poison: Value = nodes.collect();
    let mut deep = json!("x");
    for _ in 0..11 {
        deep = json!({"inner": deep});
    }
    let with = |pointer: &str, member: &str, value: Value| {
        let mut changed = signed.clone();
        changed.pointer_mut(pointer).unwrap()[member] = value;
        changed
    };
    let subject = |value: Value| with("/credentialSubject", "knows", value);
    let proof = |member: &str, value: Value| with("/proof", member, value);
    let jws = |header: Value| {
        let mut changed = signed.clone();
        let members = changed["proof"].as_object_mut().unwrap();
        members.remove("proofValue");
        members.insert("type".into(), "JsonWebSignature2020".into());
        let header = base64url::encode(header.to_string().as_bytes());
        members.insert("jws".into(), format!("{header}..{}", base64url::encode(&[1; 64])).into());
        changed
    };
    let mut with_ours = signed.clone();
    let mut ours = signed["proof"].clone();
    (ours["type"], ours["cryptosuite"]) = (json!("DataIntegrityProof"), json!("eddsa-rdfc-2022"));
    with_ours["proof"] = json!([signed["proof"], ours]);
    let table = [
        ("a poison graph", subject(poison), "rdf_too_complex"),
        ("11 objects deep", subject(deep), "proof_signature"),
        ("3,000 nodes", subject(json!(vec!["x"; 3_000])), "json_too_many"),
        ("70,000 bytes", subject(json!("x".repeat(70_000))), "json_too_large"),
        ("5 proofs", with("", "proof", json!(vec![signed["proof"].clone(); 5])), "foreign_too_many"),
        ("beside a proof of ours", with_ours, "foreign_proof"),
        ("a member that is none", proof("extra", json!("x")), "foreign_proof"),
        ("an object in the proof", proof("nonce", json!({"id": "_:a"})), "foreign_proof"),
        ("a key in the proof", proof("verificationMethod", json!({"id": method})), "foreign_proof"),
        ("a context in the proof", proof("@context", json!([{"@vocab": "urn:x#"}])), "foreign_context"),
        ("a signature too many", proof("jws", json!("e30..AA")), "foreign_proof"),
        ("alg none", jws(json!({"alg": "none", "b64": false, "crit": ["b64"]})), "foreign_proof"),
        ("alg HS256", jws(json!({"alg": "HS256", "b64": false, "crit": ["b64"]})), "foreign_proof"),
        ("crit", jws(json!({"alg": "EdDSA", "b64": false, "crit": ["b64", "exp"]})), "foreign_proof"),
        ("no signature", jws(json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]})), "proof_signature"),
    ];
    for (name, document, code) in table {
        let start = Instant::now();
        assert_eq!(verify(&world, &document).await, Err(code.to_owned()), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
    }
    // DID methods whose resolvers of `ssi` would ask the network.
    for did in ["did:ion:abc", "did:tz:tz1abc", "did:pkh:eip155:1:0xabc", "did:ethr:%ff"] {
        let mut changed = signed.clone();
        (changed["issuer"], changed["proof"]["verificationMethod"]) = (did.into(), format!("{did}#k").into());
        assert_eq!(verify(&world, &changed).await, Err("did_method".to_owned()), "{did}");
        changed["proof"]["type"] = "EcdsaSecp256k1Signature2019".into();
        let value = changed["proof"].as_object_mut().unwrap().remove("proofValue").unwrap();
        assert!(value.is_string());
        let header = base64url::encode(br#"{"alg":"ES256K","b64":false,"crit":["b64"]}"#);
        changed["proof"]["jws"] = format!("{header}..{}", base64url::encode(&[1; 64])).into();
        assert_eq!(verify(&world, &changed).await, Err("foreign_did_method".to_owned()), "{did}");
    }
    // Identifiers that nothing can be derived from, `ssi`'s panics among them, are refusals.
    for did in ["did:ethr:0xzz", "did:ethr:x", "did:key:zzz", "did:ethr:mainnet:0x"] {
        let mut changed = jws(json!({"alg": "ES256K", "b64": false, "crit": ["b64"]}));
        (changed["issuer"], changed["proof"]["verificationMethod"]) =
            (did.into(), format!("{did}#controller").into());
        changed["proof"]["type"] = "EcdsaSecp256k1Signature2019".into();
        assert_eq!(verify(&world, &changed).await, Err("proof_signature".to_owned()), "{did}");
    }
    // And the verifier is none the worse for it.
    verify(&world, &signed).await.unwrap();
}

/// One bit of every byte, in turn: of what the text says nothing can change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits() {
    let (contexts, ssi, now) = (Contexts::bundled().unwrap(), Securing::default(), SystemClock.now());
    let accepts = async |text: &[u8]| {
        let document = json::parse(text, &Limits::DEFAULT).ok()?;
        let read = UnverifiedForeign::parse(&document, &contexts).ok()?;
        Expectation::credential(now).check(&document, read.statements()).ok()?;
        let mut keys = Vec::new();
        for (place, proof) in read.wanted() {
            let did = proof.verification_method.did();
            let controller = carekey_core::did::resolver::resolve_offline(did).ok()?;
            let purpose = proof.purpose.relationship();
            keys.push((place, controller.verification_key(&proof.verification_method, purpose).ok()?));
        }
        read.verify(&keys).await.ok()
    };
    for (suite, name, key, method) in kinds().into_iter().skip(1).step_by(5) {
        let signed = ssi.issue_older(suite, &key, &method, &credential(name)).await;
        let mut text = signed.to_string().into_bytes();
        assert_eq!(accepts(&text).await.unwrap().suites().len(), 1);
        for at in 0..text.len() {
            let bit = 1 << (at % 8);
            text[at] ^= bit;
            assert!(accepts(&text).await.is_none(), "{name}: {}", String::from_utf8_lossy(&text));
            text[at] ^= bit;
        }
        println!("{name}: {} flips refused", text.len());
    }
}
