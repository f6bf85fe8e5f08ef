//! Things that count: one code, one nonce, a few guesses. A hundred at a time, over sockets.

use std::future::Future;

use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::world::{Proof, World, form_of};

/// Sends the same request a hundred times at once; the statuses and `error` members.
async fn hundred<F>(send: impl Fn() -> F) -> Vec<(u16, Value)>
where
    F: Future<Output = reqwest::Response> + Send + 'static,
{
    let sent: Vec<_> = (0..100).map(|_| tokio::spawn(send())).collect();
    let mut answers = Vec::new();
    for answer in sent {
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        assert!(status < 500);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answers.push((status, body["error"].clone()));
    }
    answers
}

/// The token request for an offer, with another transaction code.
fn guess(offer: &Value) -> String {
    let right = offer["tx_code"].as_str().unwrap();
    let first = if right.starts_with('0') { '1' } else { '0' };
    let mut offer = offer.clone();
    offer["tx_code"] = json!(format!("{first}{}", &right[1..]));
    form_of(&offer)
}

fn state(summary: &Value) -> &str {
    summary["state"].as_str().unwrap()
}

#[tokio::test]
async fn wrong_transaction_codes_lock_the_offer() {
    let world = World::start(|config| config.issuer.tx_code_attempts = 3).await;
    let offer = world.offer(json!({"tx_code": true})).await;
    let summary = format!("/api/offers/{}", offer["id"].as_str().unwrap());
    for attempt in 1..=3 {
        assert_eq!(state(&world.get_api(&summary).await.json()), "open", "before attempt {attempt}");
        let answer = world.post_form("/oid4vci/token", &guess(&offer)).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_grant")));
    }
    assert_eq!(state(&world.get_api(&summary).await.json()), "locked");
    let right = world.post_form("/oid4vci/token", &form_of(&offer)).await;
    assert_eq!((right.status, right.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(!world.snapshot().await.iter().any(|(table, _, _)| table == "datasets"), "the claims are gone");

    // Two mistakes do not lock, and a missing code is no guess.
    let offer = world.offer(json!({"tx_code": true})).await;
    let missing = form_of(&json!({"credential_offer": offer["credential_offer"]}));
    for form in [guess(&offer), guess(&offer), missing.clone(), missing] {
        assert_eq!(world.post_form("/oid4vci/token", &form).await.status, 400);
    }
    assert_eq!(world.post_form("/oid4vci/token", &form_of(&offer)).await.status, 200);
}

#[tokio::test]
async fn a_hundred_guesses_at_once_lock_the_offer() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({"tx_code": true})).await;
    let form = guess(&offer);
    let answers = hundred(|| {
        let request = world.request(Method::POST, "/oid4vci/token");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.clone());
        async { request.send().await.unwrap() }
    })
    .await;
    assert!(answers.iter().all(|answer| *answer == (400, json!("invalid_grant"))), "{answers:?}");
    let summary = world.get_api(&format!("/api/offers/{}", offer["id"].as_str().unwrap())).await.json();
    assert_eq!(state(&summary), "locked");
    assert_eq!(world.post_form("/oid4vci/token", &form_of(&offer)).await.status, 400);
}

#[tokio::test]
async fn of_a_hundred_credential_requests_with_one_nonce_one_wins() {
    let world = World::start(|_| {}).await;
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let proof = world.proof(Proof::default()).await;
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}});
    let body = body.to_string();
    let answers = hundred(|| {
        let request = world.request(Method::POST, "/oid4vci/credential").bearer_auth(&token);
        let request = request.header("content-type", "application/json").body(body.clone());
        async { request.send().await.unwrap() }
    })
    .await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 200 | 400)), "{answers:?}");
    let issued = world.get_api("/api/credentials").await.json();
    assert_eq!(issued["credentials"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn offers_travel_by_value_and_by_reference() {
    let world = World::start(|_| {}).await;
    for by_reference in [false, true] {
        let offer = world.offer(json!({"by_reference": by_reference})).await;
        let link = Url::parse(offer["credential_offer_uri"].as_str().unwrap()).unwrap();
        assert_eq!(link.scheme(), "openid-credential-offer");
        let parameters: Vec<(String, String)> = link.query_pairs().into_owned().collect();
        let [(name, value)] = parameters.as_slice() else { panic!("{link}") };
        let carried: Value = match by_reference {
            false => serde_json::from_str(value).unwrap(),
            true => world.get(value.strip_prefix(&world.url).unwrap()).await.json(),
        };
        assert_eq!(name, if by_reference { "credential_offer_uri" } else { "credential_offer" });
        assert_eq!(carried["credential_issuer"], world.url);
        let form = form_of(&json!({"credential_offer": carried}));
        assert_eq!(world.post_form("/oid4vci/token", &form).await.status, 200);
        // Once collected, the link leads nowhere and the code is of no use.
        if by_reference {
            assert_eq!(world.get(value.strip_prefix(&world.url).unwrap()).await.status, 404);
        }
        assert_eq!(world.post_form("/oid4vci/token", &form).await.json()["error"], "invalid_grant");
    }
}
