//! Several credentials in one request, and datasets by name, over sockets.

use carekey_core::key::{SignatureAlgorithm, SoftwareKey};
use serde_json::json;

use crate::world::{Proof, World, form_of};

/// Key proofs of fresh keys with one nonce.
async fn proofs(world: &mut World, count: usize) -> Vec<String> {
    let nonce = world.nonce().await;
    let mut proofs = Vec::new();
    for _ in 0..count {
        world.hk = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        proofs.push(world.proof(Proof { nonce: Some(json!(nonce)), ..Proof::default() }).await);
    }
    proofs
}

#[tokio::test]
async fn a_batch_of_the_announced_size_and_no_more() {
    let mut world = World::start(|config| config.issuer.batch_size = 4).await;
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    assert_eq!(metadata["batch_credential_issuance"], json!({"batch_size": 4}));
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let before = world.snapshot().await;
    for (proofs, error) in [
        (proofs(&mut world, 5).await, "invalid_proof"),
        ([proofs(&mut world, 3).await, vec!["a.b.c".into()]].concat(), "invalid_proof"),
        (vec![proofs(&mut world, 1).await.remove(0); 2], "invalid_proof"),
    ] {
        let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": proofs}});
        let answer = world.post_json("/oid4vci/credential", &body, Some(&token)).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(error)));
        assert_eq!(world.snapshot().await, before);
    }
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": proofs(&mut world, 4).await}});
    let answer = world.post_json("/oid4vci/credential", &body, Some(&token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["credentials"].as_array().unwrap().len(), 4);
    let again = world.post_json("/oid4vci/credential", &body, Some(&token)).await;
    assert_eq!((again.status, again.json()["error"].as_str()), (400, Some("credential_request_denied")));
}

#[tokio::test]
async fn datasets_are_named_to_those_who_ask_with_authorization_details() {
    let mut world = World::start(|_| {}).await;
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["authorization_details_types_supported"], json!(["openid_credential"]));
    let both = json!({"credential_configuration_ids": ["patient_identity", "insurance_coverage"]});
    let offer = world.offer(both).await;
    let with = |details: &str| format!("{}&authorization_details={details}", form_of(&offer));
    for bad in [
        "x",
        "%5B%5D",
        "%5B%7B%22type%22%3A%22openid_credential%22%2C%22credential_configuration_id%22%3A%22x%22%7D%5D",
    ] {
        let answer = world.post_form("/oid4vci/token", &with(bad)).await;
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, error.as_str()), (400, "invalid_authorization_details"), "{bad}");
    }
    let details = "%5B%7B%22type%22%3A%22openid_credential%22%2C%22credential_configuration_id%22%3A%22insurance_coverage%22%7D%5D";
    let answer = world.post_form("/oid4vci/token", &with(details)).await.json();
    let granted = answer["authorization_details"].as_array().unwrap();
    assert_eq!(
        (granted.len(), granted[0]["credential_configuration_id"].as_str()),
        (1, Some("insurance_coverage"))
    );
    let identifier = granted[0]["credential_identifiers"][0].clone();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    for (member, id, status, error) in [
        ("credential_identifier", json!("nothing"), 400, "unknown_credential_identifier"),
        ("credential_configuration_id", json!("patient_identity"), 403, "insufficient_scope"),
        ("credential_identifier", identifier, 200, ""),
    ] {
        let body = json!({member: id, "proofs": {"jwt": proofs(&mut world, 1).await}});
        let answer = world.post_json("/oid4vci/credential", &body, Some(&token)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json()["error"].as_str().unwrap_or_default(), error);
    }
}
