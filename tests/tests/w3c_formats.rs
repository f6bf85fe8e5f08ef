//! The journey with W3C credentials: the same steps, one user verification, the same report.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::credential::CredentialFormat;
use carekey_core::holder::http::HttpClient as _;
use carekey_core::holder::presentation::PresentationReview;
use carekey_tests::world::{Records, Wallet, World, body, level, text};
use serde_json::{Value, json};

/// Ending of the configuration, format, whether claims can be kept back.
const FORMATS: [(&str, &str, bool); 3] =
    [("_ldp", "ldp_vc", false), ("_ldp_sd", "ldp_vc", true), ("_jwt", "jwt_vc_json", false)];

async fn ask(world: &World, format: &str) -> Value {
    world
        .ask(json!({ "template": "patient_identity", "format": format, "purpose": "Open your record",
            "min_level": "uv" }))
        .await
}

fn shown(review: &PresentationReview) -> Vec<String> {
    let claims = &review.queries[0].candidates[0].claims;
    claims.iter().map(|claim| claim.path.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_format_goes_the_whole_way() {
    let world = World::start(Records::Memory).await;
    for (ending, format, selective) in FORMATS {
        let mut wallet = Wallet::new(&world);
        let (identity, insurance) =
            (format!("patient_identity{ending}"), format!("insurance_coverage{ending}"));
        let offer = world.offer(&[&identity, &insurance], true).await;
        wallet
            .accept(text(&offer, "credential_offer_uri"), Some(text(&offer, "tx_code")))
            .await
            .unwrap_or_else(|error| panic!("{ending}: {error}"));
        assert_eq!(wallet.authenticator.prompts(), 1, "one registration for both");
        for held in &wallet.credentials {
            assert_eq!(held.format, CredentialFormat::parse(format).unwrap());
            assert!(held.issuer_trusted && held.ak.is_some() && held.expires_at.is_some(), "{held:?}");
            assert!(held.vct.starts_with("urn:carekey:health:1#"), "{}", held.vct);
        }

        // Exactly what leaves is shown: the whole of it, where nothing can be kept back.
        let request = ask(&world, format).await;
        let review = wallet.open(text(&request, "request_uri")).await.unwrap();
        let paths = shown(&review);
        for asked in ["credentialSubject.given_name", "confidenceMethod", "evidence"] {
            assert!(paths.contains(&asked.to_owned()), "{paths:?}");
        }
        assert_eq!(paths.contains(&"credentialSubject.email".to_owned()), !selective, "{paths:?}");
        let claims = &review.queries[0].candidates[0].claims;
        assert_eq!(claims.iter().any(|claim| claim.optional), selective);
        assert!(claims.iter().any(|claim| claim.label == "Given names"), "{claims:?}");

        // One user verification, and the portal's report is the same.
        assert!(wallet.answer_reviewed(review).await.unwrap().accepted, "{ending}");
        assert_eq!(wallet.authenticator.prompts(), 2);
        let state = world.state(&request).await;
        assert_eq!(text(&state, "state"), "verified", "{state}");
        assert_eq!(level(&state), AssuranceLevel::Uv);
        let credential = state.pointer("/outcome/presentation/credentials/0").unwrap();
        assert_eq!(text(credential, "format"), format);
        assert_eq!(credential["status_checked"], true, "{credential}");
        assert_eq!(text(&credential["claims"], "family_name"), "Testová-Müllerová");
        assert_eq!(credential["claims"].get("email").is_some(), !selective);
        assert!(credential["claims"].get("id").is_none());
        let checks = state.pointer("/outcome/presentation/checks").and_then(Value::as_array).unwrap();
        let ids: Vec<&str> = checks.iter().map(|check| text(check, "id")).collect();
        for id in [
            "issuer_signature",
            "holder_signature",
            "answer_for_this_request",
            "transaction_data",
            "status",
            "step_up_assertion",
        ] {
            assert!(ids.contains(&id), "{ids:?}");
        }
        assert!(checks.iter().all(|check| check["passed"] == true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_of_w3c_credentials() {
    let world = World::start(Records::Memory).await;
    let mut wallet = Wallet::new(&world);
    let offer = world.offer(&["patient_identity_ldp"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    let list = world.look(&world.hospital, "/api/credentials").await;
    let id = text(&list["credentials"][0], "id").to_owned();
    for (action, code) in [
        ("suspend", Some("credential_suspended")),
        ("reinstate", None),
        ("revoke", Some("credential_revoked")),
    ] {
        let path = format!("/api/credentials/{id}/{action}");
        assert!(world.manage(&world.hospital, &path, &json!({})).await.is_success());
        world.clock.set(carekey_core::Clock::now(&*world.clock).plus(600));
        let request = ask(&world, "ldp_vc").await;
        let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
        assert_eq!(delivery.code.as_deref(), code, "{action}");
        assert_eq!(delivery.accepted, code.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_may_mix_formats() {
    let world = World::start(Records::Memory).await;
    let mut wallet = Wallet::new(&world);
    let offer =
        world.offer(&["patient_identity", "insurance_coverage_ldp", "insurance_coverage_jwt"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    let insurance = "urn:carekey:health:1#InsuranceCoverage";
    let w3c = |id: &str, format: &str| {
        json!({ "id": id, "format": format, "meta": { "type_values": [[insurance]] },
            "claims": [{ "path": ["credentialSubject", "member_id"] }] })
    };
    let vct = format!("{}vct/patient-identity", world.hospital);
    let query = json!({ "credentials": [
        { "id": "identity", "format": "dc+sd-jwt", "meta": { "vct_values": [vct] },
          "claims": [{ "path": ["family_name"] }, { "path": ["webauthn_binding"] }] },
        w3c("ldp", "ldp_vc"),
        w3c("jwt", "jwt_vc_json"),
    ] });
    let request = world.ask(json!({ "dcql_query": query, "purpose": "Admission", "min_level": "uv" })).await;
    let before = wallet.authenticator.prompts();
    assert!(wallet.answer(text(&request, "request_uri")).await.unwrap().accepted);
    assert_eq!(wallet.authenticator.prompts(), before + 1, "one ceremony for all");
    let state = world.state(&request).await;
    let credentials = state.pointer("/outcome/presentation/credentials").and_then(Value::as_array).unwrap();
    let formats: Vec<&str> = credentials.iter().map(|one| text(one, "format")).collect();
    assert_eq!(formats, ["dc+sd-jwt", "jwt_vc_json", "ldp_vc"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_downgrade_is_refused() {
    let world = World::start(Records::Memory).await;
    // Without a passkey: the issuer of this world asks for none.
    let mut wallet = Wallet::new(&world);
    let offer = world.offer(&["patient_identity_jwt"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    wallet.credentials[0].ak = None;
    let request = ask(&world, "jwt_vc_json").await;
    let review = wallet.open(text(&request, "request_uri")).await.unwrap();
    assert!(!review.answerable, "a step-up needs a second key");
    // The same credential answers where no step-up is asked for.
    let plain = json!({ "template": "patient_identity", "format": "jwt_vc_json", "purpose": "Look around" });
    let request = world.ask(plain).await;
    assert!(wallet.answer(text(&request, "request_uri")).await.unwrap().accepted);
    assert_eq!(level(&world.state(&request).await), AssuranceLevel::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_is_served_as_it_is_bundled() {
    let world = World::start(Records::Memory).await;
    let url = world.hospital.join("/contexts/health/v1").unwrap();
    let request = carekey_core::holder::HttpRequest::get(url, "application/ld+json");
    let answer = world.http.send(request).await.unwrap();
    let bundled =
        carekey_core::format::data_integrity::contexts::published("urn:carekey:context:health:1")[0];
    assert_eq!(answer.body, bundled);
    assert!(body(&answer)["@context"].is_object());
    let url = world.hospital.join("/.well-known/openid-credential-issuer").unwrap();
    let metadata = body(
        &world.http.send(carekey_core::holder::HttpRequest::get(url, "application/json")).await.unwrap(),
    );
    let all = &metadata["credential_configurations_supported"];
    assert_eq!(all.as_object().unwrap().len(), 8);
    let ldp = &all["patient_identity_ldp"];
    assert_eq!(ldp["credential_definition"]["@context"][1], "urn:carekey:context:health:1");
    assert_eq!(ldp["credential_signing_alg_values_supported"], json!(["ecdsa-rdfc-2019"]));
    assert_eq!(
        all["patient_identity_jwt"]["credential_definition"]["type"],
        json!(["VerifiableCredential", "PatientIdentity"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_encryption_beyond_the_transport() {
    let world = World::start(Records::Memory).await;
    let mut wallet = Wallet::new(&world);
    let offer = world.offer(&["patient_identity_ldp"], false).await;
    wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
    let request = world
        .ask(json!({ "template": "patient_identity", "format": "ldp_vc", "purpose": "Open your record",
            "min_level": "uv", "response_mode": "direct_post" }))
        .await;
    let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
    assert!(delivery.accepted, "{delivery:?}");
}
