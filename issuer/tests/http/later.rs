//! What happens after the first answer: refresh tokens and fresh copies, credentials that the desk approves first.

use serde_json::{Value, json};

use crate::dpop::Client;
use crate::world::{Answer, Proof, World, form_of};

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

async fn credential(world: &World, client: &Client, token: &str) -> Answer {
    let proof = world.proof(Proof::default()).await;
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}});
    client.post_json(world, "/oid4vci/credential", token, &body).await
}

fn refresh(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

#[tokio::test]
async fn refresh_tokens_rotate_and_fetch_fresh_copies() {
    let world = World::start(|config| config.lifetimes.refresh = Some(86_400)).await;
    let (client, thief) = (Client::new(), Client::new());
    let bearer = world.post_form("/oid4vci/token", &form_of(&world.offer(json!({})).await)).await;
    assert!(bearer.json().get("refresh_token").is_none(), "only bound tokens are refreshed");
    let offer = world.offer(json!({})).await;
    let first = client.post_form(&world, "/oid4vci/token", &form_of(&offer)).await;
    assert_eq!(credential(&world, &client, &text(&first, "access_token")).await.status, 200);
    let second = credential(&world, &client, &text(&first, "access_token")).await;
    assert_eq!(error(&second), (400, "credential_request_denied".into()), "once per token");

    let old = text(&first, "refresh_token");
    let before = world.snapshot().await;
    for (client, form) in [
        (&thief, refresh(&old)),
        (&client, format!("{}&client_id=other.example", refresh(&old))),
        (&client, refresh("invented")),
        (&client, refresh("a.b")),
    ] {
        assert_eq!(
            error(&client.post_form(&world, "/oid4vci/token", &form).await),
            (400, "invalid_grant".into())
        );
    }
    assert_eq!(
        error(&world.post_form("/oid4vci/token", &refresh(&old)).await),
        (400, "invalid_grant".into())
    );
    assert_eq!(world.snapshot().await, before, "no thief can spoil it");
    world.later(3600);
    let next = client.post_form(&world, "/oid4vci/token", &refresh(&old)).await;
    assert_eq!(next.status, 200, "{}", next.text());
    assert_ne!(text(&next, "refresh_token"), old);
    assert_eq!(credential(&world, &client, &text(&next, "access_token")).await.status, 200, "fresh copies");
    assert_eq!(
        error(&credential(&world, &client, &text(&first, "access_token")).await),
        (401, "invalid_token".into())
    );

    // The old one again: somebody has stolen it, and everything ends.
    let reused = client.post_form(&world, "/oid4vci/token", &refresh(&old)).await;
    assert_eq!(error(&reused), (400, "invalid_grant".into()));
    assert_eq!(
        error(&client.post_form(&world, "/oid4vci/token", &refresh(&text(&next, "refresh_token"))).await),
        (400, "invalid_grant".into())
    );
    assert_eq!(
        error(&credential(&world, &client, &text(&next, "access_token")).await),
        (401, "invalid_token".into())
    );
}

#[tokio::test]
async fn refreshing_ends_with_its_time_and_with_a_revocation() {
    let world = World::start(|config| config.lifetimes.refresh = Some(86_400)).await;
    let client = Client::new();
    let token = client.post_form(&world, "/oid4vci/token", &form_of(&world.offer(json!({})).await)).await;
    assert_eq!(credential(&world, &client, &text(&token, "access_token")).await.status, 200);
    let issued =
        world.get_api("/api/credentials").await.json()["credentials"][0]["id"].as_str().unwrap().to_owned();
    world.post_api(&format!("/api/credentials/{issued}/revoke"), &Value::Null).await;
    let form = refresh(&text(&token, "refresh_token"));
    assert_eq!(
        error(&client.post_form(&world, "/oid4vci/token", &form).await),
        (400, "invalid_grant".into())
    );

    let token = client.post_form(&world, "/oid4vci/token", &form_of(&world.offer(json!({})).await)).await;
    world.later(86_400);
    let form = refresh(&text(&token, "refresh_token"));
    assert_eq!(
        error(&client.post_form(&world, "/oid4vci/token", &form).await),
        (400, "invalid_grant".into())
    );
    world.app.upkeep().await.unwrap();
    assert!(!world.snapshot().await.iter().any(|(table, _, _)| table == "grants" || table == "datasets"));
}

#[tokio::test]
async fn the_desk_approves_or_denies() {
    let world = World::start(|_| {}).await;
    let (client, other) = (Client::new(), Client::new());
    for approve in [true, false] {
        let offer = world.offer(json!({"approval": true})).await;
        let token = client.post_form(&world, "/oid4vci/token", &form_of(&offer)).await;
        let token = text(&token, "access_token");
        let deferred = credential(&world, &client, &token).await;
        assert_eq!(
            (deferred.status, deferred.json()["interval"].as_i64()),
            (202, Some(5)),
            "{}",
            deferred.text()
        );
        let again = credential(&world, &client, &token).await;
        assert_eq!(error(&again), (400, "credential_request_denied".into()), "one request, one deferral");
        let transaction = json!({"transaction_id": deferred.json()["transaction_id"]});
        let ask = async |client: &Client, token: &str, body: &Value| {
            client.post_json(&world, "/oid4vci/deferred", token, body).await
        };
        // Days pass; the bound token waits with the person.
        world.later(3 * 86_400);
        let pending = ask(&client, &token, &transaction).await;
        assert_eq!(
            (pending.status, &pending.json()["transaction_id"]),
            (202, &transaction["transaction_id"])
        );
        let foreign =
            other.post_form(&world, "/oid4vci/token", &form_of(&world.offer(json!({})).await)).await;
        for (client, token, body, expected) in [
            (&client, token.clone(), json!({"transaction_id": "invented"}), (400, "invalid_transaction_id")),
            (&other, text(&foreign, "access_token"), transaction.clone(), (400, "invalid_transaction_id")),
            (&client, token.clone(), json!({}), (400, "invalid_credential_request")),
            (&client, "nope".into(), transaction.clone(), (401, "invalid_token")),
        ] {
            let refused = ask(client, &token, &body).await;
            assert_eq!(error(&refused), (expected.0, expected.1.into()));
        }
        let (yes, no) = if approve { ("approve", "deny") } else { ("deny", "approve") };
        let id = offer["id"].as_str().unwrap();
        assert_eq!(world.post_api(&format!("/api/offers/{id}/{yes}"), &Value::Null).await.status, 200);
        let changed = world.post_api(&format!("/api/offers/{id}/{no}"), &Value::Null).await;
        assert_eq!((changed.status, changed.json()["code"].as_str()), (403, Some("offer_approval")));
        let last = ask(&client, &token, &transaction).await;
        if approve {
            assert_eq!(last.status, 200, "{}", last.text());
            assert_eq!(last.json()["credentials"].as_array().unwrap().len(), 1);
            assert_eq!(last.json().get("notification_id"), None, "wallets refuse it here");
            assert_eq!(
                error(&ask(&client, &token, &transaction).await),
                (400, "invalid_transaction_id".into())
            );
        } else {
            assert_eq!(error(&last), (400, "credential_request_denied".into()));
        }
    }
    assert_eq!(world.get_api("/api/credentials").await.json()["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(world.post_api("/api/offers/nothing/approve", &Value::Null).await.status, 404);
}
