//! The journey, readable from top to bottom: a hospital issues, the patient's own user verification holds, a portal
//! verifies, the hospital revokes.

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::holder::http::HttpClient as _;
use carekey_tests::world::{Records, Wallet, World, body, level, text};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issue_hold_present_verify() {
    let world = World::start(Records::Disk).await;
    let mut wallet = Wallet::new(&world);

    // The hospital offers identity and insurance from one FHIR Bundle; the code is told to the patient in person.
    let offer = world.offer(&["patient_identity", "insurance_coverage"], true).await;
    let code = text(&offer, "tx_code");

    // The patient accepts: one registration for both credentials.
    wallet.accept(text(&offer, "credential_offer_uri"), Some(code)).await.unwrap();
    assert_eq!(wallet.authenticator.prompts(), 1);
    assert_eq!(wallet.credentials.len(), 2);
    for credential in &wallet.credentials {
        assert!(credential.issuer_trusted && credential.ak.is_some(), "{credential:?}");
    }
    let offer = world.look(&world.hospital, &format!("/api/offers/{}", text(&offer, "id"))).await;
    assert_eq!(text(&offer, "state"), "issued", "{offer}");

    // The portal asks; the wallet shows who asks, what for, and exactly which claims would leave.
    let request = world.ask_identity("direct_post.jwt").await;
    assert_eq!(text(&world.state(&request).await, "state"), "pending");
    let review = wallet.open(text(&request, "request_uri")).await.unwrap();
    assert!(review.answerable && review.encrypted);
    assert_eq!(review.purpose.as_deref(), Some("Open your record"));
    assert_eq!(text(&world.state(&request).await, "state"), "opened");

    // One user verification, and the portal knows.
    let delivery = wallet.answer_reviewed(review).await.unwrap();
    assert!(delivery.accepted, "{delivery:?}");
    assert_eq!(wallet.authenticator.prompts(), 2);
    let state = world.state(&request).await;
    assert_eq!(text(&state, "state"), "verified", "{state}");
    assert_eq!(level(&state), AssuranceLevel::Uv);
    let claims = state.pointer("/outcome/presentation/credentials/0/claims").unwrap();
    assert_eq!(text(claims, "family_name"), "Testová-Müllerová");
    // What was not asked for did not leave.
    assert!(claims.get("address").is_none() && claims.get("email").is_none(), "{claims}");

    // The same without encryption beyond the transport.
    let request = world.ask_identity("direct_post").await;
    assert!(wallet.answer(text(&request, "request_uri")).await.unwrap().accepted);
    assert_eq!(text(&world.state(&request).await, "state"), "verified");

    // The patient may say no.
    let request = world.ask_identity("direct_post.jwt").await;
    let review = wallet.open(text(&request, "request_uri")).await.unwrap();
    wallet.decline(&review).await.unwrap();
    assert_eq!(text(&world.state(&request).await, "state"), "declined");

    // The hospital revokes; when the portal's copy of the list has run out, it refuses for that reason.
    let credentials = world.look(&world.hospital, "/api/credentials").await;
    for credential in credentials.get("credentials").and_then(Value::as_array).unwrap() {
        let path = format!("/api/credentials/{}/revoke", text(credential, "id"));
        let answer = world.manage(&world.hospital, &path, &json!({})).await;
        assert!(answer.is_success(), "{}", body(&answer));
    }
    world.clock.set(carekey_core::Clock::now(&*world.clock).plus(600));
    let request = world.ask_identity("direct_post.jwt").await;
    let delivery = wallet.answer(text(&request, "request_uri")).await.unwrap();
    assert!(!delivery.accepted);
    assert_eq!(delivery.code.as_deref(), Some("credential_revoked"));
    let state = world.state(&request).await;
    assert_eq!(text(&state, "state"), "refused", "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_is_collected_once() {
    let world = World::start(Records::Memory).await;
    let offer = world.offer(&["patient_identity"], true).await;
    let (link, code) = (text(&offer, "credential_offer_uri"), text(&offer, "tx_code"));

    // A wrong code does not spoil the offer, a missing one does not either.
    let mut wallet = Wallet::new(&world);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let error = wallet.accept(link, Some(wrong)).await.unwrap_err();
    assert_eq!(error.code(), "issuance_invalid_grant");
    assert_eq!(wallet.accept(link, None).await.unwrap_err().code(), "tx_code_missing");
    wallet.accept(link, Some(code)).await.unwrap();

    // Nobody else gets it, not even with the code.
    let mut other = Wallet::new(&world);
    assert!(other.accept(link, Some(code)).await.is_err());
    assert_eq!((wallet.credentials.len(), other.credentials.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_of_both_services_are_there() {
    let world = World::start(Records::Memory).await;
    for (base, path) in [
        (&world.hospital, "/.well-known/openid-credential-issuer"),
        (&world.hospital, "/.well-known/oauth-authorization-server"),
        (&world.hospital, "/.well-known/jwt-vc-issuer"),
        (&world.hospital, "/vct/patient-identity"),
        (&world.hospital, "/vct/insurance-coverage"),
        (&world.hospital, "/openapi.json"),
        (&world.portal, "/openapi.json"),
        (&world.portal, "/.well-known/did.json"),
    ] {
        let request = carekey_core::holder::HttpRequest::get(base.join(path).unwrap(), "application/json");
        let answer = world.http.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert!(body(&answer).is_object(), "{path}");
    }
    for base in [&world.hospital, &world.portal] {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let request = carekey_core::holder::HttpRequest::get(base.join(path).unwrap(), "*/*");
            assert_eq!(world.http.send(request).await.unwrap().status, 200, "{path}");
        }
    }
}
