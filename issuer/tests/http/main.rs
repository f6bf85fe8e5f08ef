//! The issuer over a real socket: a foreign wallet's flow, and every endpoint with bad input.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // test code

mod attested;
mod batch;
mod code_flow;
mod dpop;
mod encrypted;
mod external;
mod later;
mod once;
mod vc_api;
mod world;

use std::collections::BTreeSet;

use carekey_core::clock::Clock;
use carekey_core::did;
use carekey_core::encoding::base64url;
use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::trust::issuers::{IssuerRule, IssuerTrust};
use carekey_core::x509::TrustAnchor;
use serde_json::{Value, json};
use world::{Proof, World, bundle, form_of};

#[tokio::test]
async fn a_foreign_wallet_collects_a_credential() {
    let world = World::start(|_| {}).await;
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    assert_eq!(metadata["credential_issuer"], world.url);
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], world.url);
    let configuration = &metadata["credential_configurations_supported"]["patient_identity"];
    assert_eq!(configuration["format"], "dc+sd-jwt");
    assert_eq!(configuration["credential_metadata"]["display"][0]["name"], "Patient identity");

    let offer = world.offer(json!({"tx_code": true})).await;
    let by_reference = world.get(&format!("/oid4vci/offers/{}", offer["id"].as_str().unwrap())).await;
    assert_eq!((by_reference.status, by_reference.json()), (200, offer["credential_offer"].clone()));
    let answer = world.post_form("/oid4vci/token", &form_of(&offer)).await;
    assert_eq!((answer.status, answer.header("cache-control").as_deref()), (200, Some("no-store")));
    let token = answer.json();
    assert_eq!(token["token_type"], "Bearer");
    let token = token["access_token"].as_str().unwrap().to_owned();

    // A key named by did:jwk in `kid`, as Credo sends it; and a DPoP proof that nobody asked for.
    let kid = format!("{}#0", did::jwk::encode(world.hk.public_key()).unwrap());
    let proof = world.proof(Proof { kid: Some(kid), ..Proof::default() }).await;
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}, "x": 1});
    let answer = world.post_json_with("/oid4vci/credential", &body, &[("dpop", "x.y.z")], Some(&token)).await;
    assert_eq!(
        (answer.status, answer.header("cache-control").as_deref()),
        (200, Some("no-store")),
        "{}",
        answer.text()
    );
    let response = answer.json();
    let credential = response["credentials"][0]["credential"].as_str().unwrap();
    check_x5c(&world, credential);

    let note = json!({"notification_id": response["notification_id"], "event": "credential_accepted"});
    assert_eq!(world.post_json("/oid4vci/notification", &note, Some(&token)).await.status, 204);
    let id = offer["id"].as_str().unwrap();
    let summary = world.get_api(&format!("/api/offers/{id}")).await.json();
    assert_eq!((summary["state"].as_str(), summary["reference"].as_str()), (Some("issued"), Some("case 7")));

    let list = world.get_api("/api/credentials?limit=1").await.json();
    let issued = list["credentials"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(list["credentials"][0]["event"], "credential_accepted");
    let before = world.get("/status/0").await;
    assert_eq!(before.header("content-type").as_deref(), Some("application/statuslist+jwt"));
    assert_eq!(before.header("cache-control").as_deref(), Some("public, max-age=300"));
    for (verb, status) in [("suspend", "suspended"), ("reinstate", "valid"), ("revoke", "revoked")] {
        let changed = world.post_api(&format!("/api/credentials/{issued}/{verb}"), &Value::Null).await;
        assert_eq!((changed.status, changed.json()["status"].as_str()), (200, Some(status)));
    }
    let final_state = world.post_api(&format!("/api/credentials/{issued}/reinstate"), &Value::Null).await;
    assert_eq!((final_state.status, final_state.json()["code"].as_str()), (403, Some("credential_revoked")));
    assert_ne!(world.get("/status/0").await.text(), before.text());
    let enrolment = world.get_api(&format!("/api/credentials/{issued}/enrolment")).await;
    assert_eq!(enrolment.status, 404, "no WebAuthn key, no audit record");
}

/// The chain leads to the issuer's own authority, and its SAN covers `iss`.
fn check_x5c(world: &World, credential: &str) {
    let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).unwrap();
    assert_eq!(parsed.iss(), Some(world.url.as_str()));
    let anchors = vec![TrustAnchor::from_der(&world.app.anchor().unwrap()).unwrap()];
    let trust = IssuerTrust::new(vec![IssuerRule { anchors, ..IssuerRule::default() }]);
    let chain = parsed.header().x5c.clone().unwrap();
    let trusted = trust.by_certificate(parsed.vct(), parsed.iss(), &chain, world.clock.now()).unwrap();
    let timing = carekey_core::format::sd_jwt_vc::verify::Timing { now: world.clock.now(), skew: 0 };
    let verified = parsed.verify_issued(trusted.issuer_key(), timing).unwrap();
    assert_eq!(verified.holder_key(), Some(world.hk.public_key()));
    assert_eq!(verified.claims()["given_name"], "Zoë Anaïs");
}

#[tokio::test]
async fn every_way_to_name_the_key() {
    for (kind, iss) in
        [("did_web", "did:web:"), ("did_jwk", "did:jwk:"), ("did_key", "did:key:"), ("well_known", "http")]
    {
        let world =
            World::start(|config| config.issuer.key = serde_json::from_value(json!(kind)).unwrap()).await;
        let (status, response) = world.collect("patient_identity").await;
        assert_eq!(status, 200, "{response}");
        let credential = response["credentials"][0]["credential"].as_str().unwrap();
        let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).unwrap();
        assert!(parsed.iss().unwrap().starts_with(iss));
        let kid = parsed.header().kid.clone().unwrap();
        if kind == "well_known" {
            let published = world.get("/.well-known/jwt-vc-issuer").await.json();
            assert_eq!(published["jwks"]["keys"][0]["kid"], kid);
        }
        if kind == "did_web" {
            let document = world.get("/.well-known/did.json").await.json();
            assert_eq!(document["verificationMethod"][0]["id"], kid);
            assert_eq!(document["id"], parsed.iss().unwrap());
        }
    }
}

#[tokio::test]
async fn published_documents() {
    let world = World::start(|_| {}).await;
    for (path, member) in [
        ("/.well-known/jwt-vc-issuer", "issuer"),
        ("/.well-known/did.json", "id"),
        ("/vct/patient-identity", "vct"),
        ("/vct/insurance-coverage", "vct"),
        ("/openapi.json", "openapi"),
        ("/policy/binding/1", "policy"),
        ("/healthz", "status"),
        ("/readyz", "status"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type").as_deref()),
            (200, Some("application/json")),
            "{path}"
        );
        assert!(answer.json()[member].is_string(), "{path}");
    }
    for name in ["patient-identity", "insurance-coverage"] {
        let document = world.get(&format!("/vct/{name}")).await;
        let parsed =
            carekey_core::format::sd_jwt_vc::metadata::TypeMetadata::parse(&document.body, &Limits::DEFAULT);
        assert!(parsed.unwrap().claims.len() > 8);
    }
    let document = world.get("/.well-known/jwt-vc-issuer").await;
    carekey_core::format::sd_jwt_vc::jwt_vc_issuer::JwtVcIssuerMetadata::parse(
        &document.body,
        &world.url,
        &Limits::DEFAULT,
    )
    .unwrap();
    assert_eq!(world.get("/").await.status, 200, "the desk asks to sign in");
}

#[tokio::test]
async fn browsers_of_every_origin_reach_the_wallet_endpoints_and_no_others() {
    let world = World::start(|_| {}).await;
    let preflight = |path: &'static str| {
        world
            .request(reqwest::Method::OPTIONS, path)
            .header("origin", "https://wallet.example")
            .header("access-control-request-method", "POST")
    };
    for path in
        ["/oid4vci/token", "/oid4vci/nonce", "/oid4vci/credential", "/oid4vci/notification", "/status/0"]
    {
        let answer = world.send(preflight(path)).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("*"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    }
    let answer = world.get("/.well-known/openid-credential-issuer").await;
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("cross-origin"));
    let api = world.send(preflight("/api/offers")).await;
    assert_eq!(api.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_management_api_needs_the_token() {
    let world = World::start(|_| {}).await;
    for (method, path) in [
        ("GET", "/api/offers"),
        ("POST", "/api/offers"),
        ("GET", "/api/offers/x"),
        ("GET", "/api/credentials"),
        ("GET", "/api/credentials/x"),
        ("GET", "/api/credentials/x/enrolment"),
        ("POST", "/api/credentials/x/revoke"),
        ("POST", "/api/credentials/x/suspend"),
        ("POST", "/api/credentials/x/reinstate"),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        for token in [None, Some("wrong-token-of-16-and-more")] {
            let mut request = world.request(method.clone(), path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = world.send(request).await;
            assert_eq!(
                (answer.status, answer.header("www-authenticate").as_deref()),
                (401, Some("Bearer")),
                "{path}"
            );
            assert_eq!(answer.json()["code"], "unauthorized");
        }
    }
}

/// Bodies that are wrong in ways that have nothing to do with the endpoint.
fn malformed_json() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("not JSON", b"{".to_vec()),
        ("array", b"[]".to_vec()),
        ("number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("nothing in it", b"{}".to_vec()),
        ("trailing bytes", b"{} {}".to_vec()),
        ("invalid UTF-8", b"{\"a\":\"\xff\"}".to_vec()),
        ("deep", format!("{}1{}", "[".repeat(5000), "]".repeat(5000)).into_bytes()),
        ("deep object", format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500)).into_bytes()),
        ("many", format!("[{}1]", "1,".repeat(60_000)).into_bytes()),
        ("large", format!("{{\"a\":\"{}\"}}", "x".repeat(300 * 1024)).into_bytes()),
        ("NUL", vec![0; 64]),
    ]
}

#[tokio::test]
async fn malformed_bodies_are_refused_by_name_and_change_nothing() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let before = world.snapshot().await;
    let json_endpoints = [
        ("/oid4vci/credential", "invalid_credential_request", Some(token.clone())),
        ("/oid4vci/notification", "invalid_notification_request", Some(token.clone())),
        ("/api/offers", "", Some(world.management())),
    ];
    for (path, error, bearer) in &json_endpoints {
        for (name, body) in malformed_json() {
            let answer = world.raw(path, "application/json", body, bearer.as_deref()).await;
            assert!((400..500).contains(&answer.status), "{path} {name}: {}", answer.status);
            let value = answer.json();
            if error.is_empty() {
                assert!(value["code"].is_string(), "{path} {name}: {value}");
            } else {
                assert_eq!(value["error"], *error, "{path} {name}: {value}");
                let words = value["error_description"].as_str().unwrap();
                assert!(words.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'"' && b != b'\\'));
            }
        }
        for media in ["text/plain", "application/x-www-form-urlencoded", "", "application/jose"] {
            let answer = world.raw(path, media, b"{}".to_vec(), bearer.as_deref()).await;
            assert!((400..500).contains(&answer.status), "{path} {media}: {}", answer.status);
            let value = answer.json();
            assert!(error.is_empty() || value["error"] == *error, "{path} {media}: {value}");
        }
    }
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("JSON", b"{\"grant_type\":\"x\"}".to_vec()),
        ("invalid UTF-8", vec![b'a', b'=', 0xff]),
        ("escaped invalid UTF-8", b"grant_type=%ff".to_vec()),
        ("large", format!("a={}", "x".repeat(300 * 1024)).into_bytes()),
        ("repeated", b"grant_type=a&grant_type=a".to_vec()),
    ];
    for (name, body) in bodies {
        let answer = world.raw("/oid4vci/token", "application/x-www-form-urlencoded", body, None).await;
        assert!(matches!(answer.status, 400 | 413), "{name}: {}", answer.status);
        let error = answer.json()["error"].clone();
        assert!(error == "invalid_request" || name == "repeated", "{name}: {error}");
    }
    let answer = world.raw("/oid4vci/token", "application/json", form_of(&offer).into_bytes(), None).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")));
    let far_too_large = vec![b'x'; 600 * 1024];
    for path in ["/oid4vci/token", "/oid4vci/credential", "/oid4vci/nonce", "/api/offers"] {
        let answer = world.raw(path, "application/json", far_too_large.clone(), Some(&token)).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_eq!(world.snapshot().await, before);
}

#[tokio::test]
async fn wrong_values_in_credential_requests() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let before = world.snapshot().await;
    let good = world.proof(Proof::default()).await;
    let id = "patient_identity";
    let bodies = [
        (
            json!({"credential_configuration_id": 1, "proofs": {"jwt": [good]}}),
            400,
            "invalid_credential_request",
        ),
        (
            json!({"credential_configuration_id": "x", "proofs": {"jwt": [good]}}),
            400,
            "unknown_credential_configuration",
        ),
        (
            json!({"credential_identifier": "x", "proofs": {"jwt": [good]}}),
            400,
            "unknown_credential_identifier",
        ),
        (
            json!({"credential_configuration_id": "insurance_coverage", "proofs": {"jwt": [good]}}),
            403,
            "insufficient_scope",
        ),
        (json!({"credential_configuration_id": id}), 400, "invalid_proof"),
        (
            json!({"credential_configuration_id": id, "proof": {"proof_type": "jwt", "jwt": good}}),
            400,
            "invalid_proof",
        ),
        (json!({"credential_configuration_id": id, "proofs": {"jwt": [good, good]}}), 400, "invalid_proof"),
        (json!({"credential_configuration_id": id, "proofs": {"jwt": [""]}}), 400, "invalid_proof"),
        (json!({"credential_configuration_id": id, "proofs": {"attestation": [good]}}), 400, "invalid_proof"),
        (
            json!({"credential_configuration_id": id, "proofs": {"jwt": [good]}, "credential_response_encryption": {}}),
            400,
            "invalid_encryption_parameters",
        ),
        (
            json!({"credential_configuration_id": id, "proofs": {"jwt": [good]}, "webauthn_registrations": [{}]}),
            400,
            "invalid_proof",
        ),
        (
            json!({"credential_configuration_id": id, "proofs": {"jwt": [good]}, "webauthn_registrations": "x"}),
            400,
            "invalid_credential_request",
        ),
    ];
    for (body, status, error) in bodies {
        let answer = world.post_json("/oid4vci/credential", &body, Some(&token)).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{body}");
    }
    let body = json!({"credential_configuration_id": id, "proofs": {"jwt": [good]}});
    let none = world.post_json("/oid4vci/credential", &body, None).await;
    assert_eq!((none.status, none.header("www-authenticate").as_deref()), (401, Some("Bearer")));
    for bad in ["x", &"x".repeat(5000), "a b"] {
        let answer = world.post_json("/oid4vci/credential", &body, Some(bad)).await;
        let challenge = answer.header("www-authenticate");
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_token")));
        assert_eq!(challenge.as_deref(), Some("Bearer error=\"invalid_token\""));
    }
    assert_eq!(world.snapshot().await, before);
}

#[tokio::test]
async fn wrong_key_proofs() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let before = world.snapshot().await;
    let now = world.clock.now().as_secs();
    let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let p384 = SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap();
    let did_key = did::key::encode(other.public_key()).unwrap();
    let private = {
        let mut jwk = carekey_core::jose::jwk::Jwk::from_key(world.hk.public_key()).to_value();
        jwk["d"] = json!("AA");
        jwk
    };
    let nonce = world.nonce().await;
    let tampered = format!("{}{}", if nonce.starts_with('A') { "B" } else { "A" }, &nonce[1..]);
    let cases: Vec<(&str, Proof, &str)> = vec![
        ("typ", Proof { typ: Some("JWT".into()), ..Proof::default() }, "invalid_proof"),
        ("alg none", Proof { alg: Some("none".into()), ..Proof::default() }, "invalid_proof"),
        ("alg None", Proof { alg: Some("None".into()), ..Proof::default() }, "invalid_proof"),
        ("alg HS256", Proof { alg: Some("HS256".into()), ..Proof::default() }, "invalid_proof"),
        ("alg ES384", Proof { alg: Some("ES384".into()), ..Proof::default() }, "invalid_proof"),
        ("key of ES384", Proof { jwk: Some(World::jwk(&p384)), ..Proof::default() }, "invalid_proof"),
        ("wrong key", Proof { jwk: Some(World::jwk(&other)), ..Proof::default() }, "invalid_proof"),
        ("private key", Proof { jwk: Some(private), ..Proof::default() }, "invalid_proof"),
        ("wrong kid", Proof { kid: Some(format!("{did_key}#x")), ..Proof::default() }, "invalid_proof"),
        ("kid no DID", Proof { kid: Some("key-1".into()), ..Proof::default() }, "invalid_proof"),
        (
            "did:web kid",
            Proof { kid: Some("did:web:a.example#1".into()), ..Proof::default() },
            "invalid_proof",
        ),
        ("crit", Proof { crit: true, ..Proof::default() }, "invalid_proof"),
        ("aud", Proof { aud: Some(json!("https://other.example")), ..Proof::default() }, "invalid_proof"),
        ("aud list", Proof { aud: Some(json!([world.url])), ..Proof::default() }, "invalid_proof"),
        ("stale", Proof { iat: Some(json!(now - 301)), ..Proof::default() }, "invalid_proof"),
        ("future", Proof { iat: Some(json!(now + 61)), ..Proof::default() }, "invalid_proof"),
        ("iat text", Proof { iat: Some(json!("now")), ..Proof::default() }, "invalid_proof"),
        ("iat huge", Proof { iat: Some(json!(1e300)), ..Proof::default() }, "invalid_proof"),
        ("no nonce", Proof { nonce: Some(Value::Null), ..Proof::default() }, "invalid_proof"),
        ("nonce number", Proof { nonce: Some(json!(1)), ..Proof::default() }, "invalid_proof"),
        ("own nonce", Proof { nonce: Some(json!("0123456789abcdef")), ..Proof::default() }, "invalid_nonce"),
        ("tampered nonce", Proof { nonce: Some(json!(tampered)), ..Proof::default() }, "invalid_nonce"),
        ("long nonce", Proof { nonce: Some(json!("x".repeat(4000))), ..Proof::default() }, "invalid_proof"),
        ("ak_jkt", Proof { ak_jkt: Some(json!("x")), ..Proof::default() }, "invalid_proof"),
        ("ak_jkt number", Proof { ak_jkt: Some(json!(1)), ..Proof::default() }, "invalid_proof"),
    ];
    for (name, proof, error) in cases {
        let proof = world.proof(proof).await;
        let answer = world.ask(&token, "patient_identity", &proof).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (400, Some(error)),
            "{name}: {}",
            answer.text()
        );
    }
    let good = world.proof(Proof::default()).await;
    let mut parts: Vec<&str> = good.split('.').collect();
    let flipped = base64url::encode(&[0; 64]);
    parts[2] = &flipped;
    for proof in [parts.join("."), format!("{good}."), good.replace('.', ""), "..".into()] {
        let answer = world.ask(&token, "patient_identity", &proof).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_proof")));
    }
    assert_eq!(world.snapshot().await, before);

    // Expired nonce; then the token's own end.
    world.later(299);
    let late = Proof { nonce: Some(json!(nonce)), ..Proof::default() };
    let ok = world.ask(&token, "patient_identity", &world.proof(late).await).await;
    assert_eq!(ok.status, 200, "{}", ok.text());
    world.later(1);
    let expired = world.ask(&token, "patient_identity", &good).await;
    assert_eq!((expired.status, expired.json()["error"].as_str()), (401, Some("invalid_token")));
}

#[tokio::test]
async fn replays() {
    let world = World::start(|_| {}).await;
    let offer = world
        .offer(json!({"credential_configuration_ids": ["patient_identity", "insurance_coverage"]}))
        .await;
    let token = world.token(&offer).await;
    let again = world.post_form("/oid4vci/token", &form_of(&offer)).await;
    assert_eq!((again.status, again.json()["error"].as_str()), (400, Some("invalid_grant")));
    let proof = world.proof(Proof::default()).await;
    assert_eq!(world.ask(&token, "patient_identity", &proof).await.status, 200);
    let before = world.snapshot().await;
    let replayed = world.ask(&token, "insurance_coverage", &proof).await;
    assert_eq!((replayed.status, replayed.json()["error"].as_str()), (400, Some("invalid_nonce")));
    let fresh = world.proof(Proof::default()).await;
    let twice = world.ask(&token, "patient_identity", &fresh).await;
    assert_eq!((twice.status, twice.json()["error"].as_str()), (400, Some("credential_request_denied")));
    assert_eq!(world.snapshot().await, before);
    let note = json!({"notification_id": "x", "event": "credential_accepted"});
    let unknown = world.post_json("/oid4vci/notification", &note, Some(&token)).await;
    assert_eq!((unknown.status, unknown.json()["error"].as_str()), (400, Some("invalid_notification_id")));
}

#[tokio::test]
async fn of_a_hundred_parallel_token_requests_one_wins() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({"tx_code": true})).await;
    let form = form_of(&offer);
    let requests = (0..100).map(|_| {
        let request = world.request(reqwest::Method::POST, "/oid4vci/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.clone());
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let mut statuses = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        statuses.push(request.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().collect::<BTreeSet<_>>().len(), 2, "{statuses:?}");
}

#[tokio::test]
async fn bad_offers_and_addresses() {
    let world = World::start(|_| {}).await;
    let before = world.snapshot().await;
    let good = json!({"credential_configuration_ids": ["patient_identity"], "fhir": bundle()});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let cases = [
        (with("credential_configuration_ids", json!([])), 400, "offer_configurations"),
        (with("credential_configuration_ids", json!(["x"])), 400, "dataset_unknown"),
        (
            with("credential_configuration_ids", json!(["patient_identity", "patient_identity"])),
            400,
            "offer_configurations",
        ),
        (with("fhir", json!({"resourceType": "Observation"})), 400, "fhir_"),
        (with("fhir", json!("text")), 400, "fhir_"),
        (
            with("fhir", json!({"resourceType": "Patient", "active": false, "birthDate": "2000-01-01"})),
            403,
            "fhir_patient_inactive",
        ),
        (with("tx_code", json!("yes")), 400, ""),
        (with("expires_in", json!(0)), 400, "offer_lifetime"),
        (with("expires_in", json!(1e12)), 400, ""),
        (with("expires_in", json!(99_999_999)), 400, "offer_lifetime"),
        (with("reference", json!("")), 400, "offer_reference"),
        (with("unknown", json!(1)), 400, ""),
    ];
    for (body, status, code) in cases {
        let answer = world.post_api("/api/offers", &body).await;
        let value = answer.json();
        assert_eq!(answer.status, status, "{value}");
        assert!(value["code"].as_str().unwrap().starts_with(code), "{value}");
        assert!(!answer.text().contains("kerstr"), "no claim in an error");
    }
    for path in [
        "/oid4vci/offers/x",
        "/oid4vci/offers/%00",
        "/oid4vci/offers/%ff",
        "/vct/nothing",
        "/status/1",
        "/status/-1",
        "/status/x",
        "/status/99999999999999999999999",
        "/.well-known/other",
        "/nothing",
    ] {
        let answer = world.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{path}");
    }
    for path in ["/api/offers/x", "/api/credentials/x", "/api/credentials/x/enrolment"] {
        assert_eq!(world.get_api(path).await.status, 404);
    }
    for path in ["/api/offers?limit=x", "/api/credentials?limit=-1", "/api/credentials?unknown=1"] {
        assert_eq!(world.get_api(path).await.status, 400, "{path}");
    }
    assert_eq!(world.post_api("/api/credentials/x/revoke", &Value::Null).await.status, 404);
    assert_eq!(world.get("/oid4vci/token").await.status, 405);
    assert_eq!(world.post_json("/status/0", &json!({}), None).await.status, 405);
    assert_eq!(world.snapshot().await, before);
}

#[tokio::test]
async fn claims_are_sealed_on_disk_and_gone_after_issuance() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    assert!(world.snapshot().await.iter().any(|(table, _, _)| table == "datasets"));
    for needle in ["kerstr", "Anaïs", "1978-03-09", "Ume", "given_name"] {
        assert!(!world.store_holds(needle.as_bytes()).await, "{needle} lies in clear");
    }
    let token = world.token(&offer).await;
    let proof = world.proof(Proof::default()).await;
    assert_eq!(world.ask(&token, "patient_identity", &proof).await.status, 200);
    assert!(!world.snapshot().await.iter().any(|(table, _, _)| table == "datasets"));
}

#[tokio::test]
async fn too_many_requests_are_slowed() {
    let world = World::start(|config| {
        config.limit.per_minute = 60;
        config.limit.burst = 5;
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(world.get("/.well-known/did.json").await.status);
    }
    assert!(statuses.contains(&429) && statuses.starts_with(&[200, 200, 200]), "{statuses:?}");
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn keys_and_records_survive_a_restart() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let did = world.get("/.well-known/did.json").await.json();
    let proof = world.proof(Proof::default()).await;
    let world = world.restart().await;
    assert_eq!(world.get("/.well-known/did.json").await.json()["assertionMethod"], did["assertionMethod"]);
    assert_eq!(world.ask(&token, "patient_identity", &proof).await.status, 200, "nonces hold too");
}
