//! What a person sees: request, answer, outcome; in every mode.

use carekey_core::holder::presentation;
use carekey_core::protocol::openid4vp::signed_request::VerifierAuthentication;
use carekey_core::store::{Store, Table};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::portal::Verifier;

#[tokio::test]
async fn a_person_proves_who_they_are() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({})).await;
    assert!(link.starts_with("openid4vp://?client_id=x509_hash%3A"));
    let view = verifier.state(&id).await;
    assert_eq!((&view["state"], view.get("outcome")), (&json!("pending"), None));
    assert_eq!(view["request_uri"], json!(link));

    // The page listens.
    let url = format!("{}/api/requests/{id}/events", verifier.base);
    let events = verifier.client.get(url).bearer_auth(verifier.app.token().expose()).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let listener = tokio::spawn(async move {
        let mut stream = events.bytes_stream();
        let mut text = String::new();
        while let Some(chunk) = stream.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        text
    });
    // The current state comes first; only then may it change.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;

    let delivery = verifier.present(&link, &credentials).await;
    assert!(delivery.accepted && delivery.redirect_uri.is_none());
    assert_eq!(verifier.world.authenticator.prompts(), 1);

    let text = listener.await.unwrap();
    let states: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["pending", "opened", "verified"]);
    assert!(text.contains("event: state") && !text.contains("Testov"));

    let view = verifier.state(&id).await;
    assert_eq!((&view["state"], &view["outcome"]["result"]), (&json!("verified"), &json!("verified")));
    let presentation = &view["outcome"]["presentation"];
    assert_eq!(presentation["level"], "uv");
    let claims = &presentation["credentials"][0]["claims"];
    assert_eq!(claims["family_name"], "Testová");
    assert_eq!(claims["identifiers"][1]["value"], "B-2");
    assert!(claims.get("webauthn_binding").is_none() && claims.get("address").is_none());
    assert!(presentation["checks"].as_array().unwrap().len() > 10);
    assert!(presentation["checks"].as_array().unwrap().iter().all(|check| check["passed"] == json!(true)));

    // At rest nothing lies in the clear.
    for table in ["vp_requests", "vp_outcomes"] {
        let rows = verifier.memory.scan(Table::new(table), None, 10).await.unwrap();
        assert_eq!(rows.len(), 1);
        for (_, record) in rows {
            let text = String::from_utf8_lossy(&record.value).into_owned();
            assert!(!text.contains("Testov") && !text.contains("nonce"), "{table}");
        }
    }
}

#[tokio::test]
async fn presented_data_is_deleted_in_time() {
    let verifier = Verifier::start_with(|config| config.retention_seconds = 100).await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({})).await;
    assert!(verifier.present(&link, &credentials).await.accepted);
    verifier.later(99);
    assert_eq!(verifier.state(&id).await["outcome"]["result"], "verified");
    verifier.later(1);
    // From this moment on it is not shown, and the clean-up removes it.
    let view = verifier.state(&id).await;
    assert_eq!((&view["state"], &view["outcome"]), (&json!("verified"), &json!({"result": "deleted"})));
    let outcomes = Table::new("vp_outcomes");
    assert_eq!(verifier.memory.scan(outcomes, None, 10).await.unwrap().len(), 1);
    assert_eq!(verifier.app.purge().await.unwrap(), 1);
    assert!(verifier.memory.scan(outcomes, None, 10).await.unwrap().is_empty());
    // The state itself goes a day later.
    verifier.later(300 + 86_400);
    verifier.app.purge().await.unwrap();
    assert_eq!(verifier.get(&format!("/api/requests/{id}")).await.status, 404);
}

#[tokio::test]
async fn every_prefix_and_mode() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    for prefix in ["redirect_uri", "x509_san_dns", "x509_hash", "decentralized_identifier"] {
        for mode in ["direct_post", "direct_post.jwt"] {
            for method in ["get", "post"] {
                let extra =
                    json!({"client_id_prefix": prefix, "response_mode": mode, "request_uri_method": method});
                let (id, link) = verifier.create(extra).await;
                let trust = verifier.trust();
                let context = verifier.context(&trust);
                let review = presentation::review(&link, &credentials, &context).await.unwrap();
                let expected = match prefix {
                    "redirect_uri" => VerifierAuthentication::None,
                    "decentralized_identifier" => VerifierAuthentication::Did,
                    _ => VerifierAuthentication::Certificate,
                };
                assert_eq!(review.verifier.authentication, expected, "{prefix}");
                assert_eq!(review.purpose.as_deref(), Some("Prove who you are"));
                assert!(verifier.finish(review, &credentials).await.accepted, "{prefix} {mode} {method}");
                assert_eq!(verifier.state(&id).await["state"], "verified");
            }
        }
    }
}

#[tokio::test]
async fn an_own_query_without_step_up() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let dcql = json!({"credentials": [{"id": "p", "format": "dc+sd-jwt",
        "meta": {"vct_values": [crate::world::VCT]}, "claims": [{"path": ["address", "locality"]}]}]});
    let extra = json!({"template": null, "dcql_query": dcql, "min_level": "none"});
    let (id, link) = verifier.create(extra).await;
    assert!(verifier.present(&link, &credentials).await.accepted);
    assert_eq!(verifier.world.authenticator.prompts(), 1);
    let presentation = verifier.state(&id).await["outcome"]["presentation"].clone();
    assert_eq!(presentation["level"], "none");
    let claims = presentation["credentials"][0]["claims"].as_object().unwrap();
    assert_eq!((claims.len(), &claims["address"]["locality"]), (1, &json!("Praha")));
}

#[tokio::test]
async fn the_wallet_may_decline() {
    let verifier = Verifier::start().await;
    for (extra, error) in
        [(json!({}), "access_denied"), (json!({"response_mode": "direct_post"}), "access_denied")]
    {
        let (id, link) = verifier.create(extra).await;
        let trust = verifier.trust();
        let context = verifier.context(&trust);
        let review = presentation::review(&link, &[], &context).await.unwrap();
        assert!(presentation::decline(&review, &context).await.unwrap().accepted, "taken with 2xx");
        let view = verifier.state(&id).await;
        assert_eq!((&view["state"], &view["outcome"]["error"]), (&json!("declined"), &json!(error)));
        // Nothing more is taken.
        assert!(!presentation::decline(&review, &context).await.unwrap().accepted);
    }
}

#[tokio::test]
async fn request_objects_are_for_open_requests_only() {
    let verifier = Verifier::start().await;
    let (id, _) = verifier.create(json!({})).await;
    let path = format!("/oid4vp/requests/{id}");
    let object = verifier.get(&path).await;
    assert_eq!((object.status, object.content_type.as_str()), (200, "application/oauth-authz-req+jwt"));
    assert_eq!(verifier.state(&id).await["state"], "opened");
    // A wallet's nonce comes back in the object.
    let posted =
        verifier.post_form(&path, "wallet_nonce=qPmxiNFCR3QTm19POc8u&wallet_metadata=%7B%7D&new=1").await;
    let payload = posted.text.split('.').nth(1).unwrap();
    let payload: Value =
        serde_json::from_slice(&carekey_core::encoding::base64url::decode(payload).unwrap()).unwrap();
    assert_eq!(payload["wallet_nonce"], "qPmxiNFCR3QTm19POc8u");
    assert_eq!(payload["aud"], "https://self-issued.me/v2");
    assert_eq!(payload["response_type"], "vp_token");
    assert!(payload["nonce"].as_str().unwrap().len() >= 16);
    let key = &payload["client_metadata"]["jwks"]["keys"][0];
    for name in ["kid", "alg", "use"] {
        assert!(key[name].is_string(), "{name}");
    }
    for (form, code) in [
        ("wallet_nonce=", "wallet_nonce"),
        ("wallet_metadata=%5B%5D", "wallet_metadata"),
        ("wallet_metadata=rubbish", "json_syntax"),
        ("wallet_nonce=a&wallet_nonce=b", "invalid_form"),
    ] {
        let reply = verifier.post_form(&path, form).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code));
    }
    assert_eq!(verifier.get("/oid4vp/requests/unknown").await.status, 404);
    verifier.later(300);
    let gone = verifier.get(&path).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "request_expired"));
    assert_eq!(verifier.state(&id).await["state"], "expired");
    // Requests that travel in their link have no object.
    let (unsigned, _) = verifier.create(json!({"client_id_prefix": "redirect_uri"})).await;
    assert_eq!(verifier.get(&format!("/oid4vp/requests/{unsigned}")).await.status, 404);
}

#[tokio::test]
async fn operations() {
    let verifier = Verifier::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/did.json"] {
        assert_eq!(verifier.get(path).await.status, 200, "{path}");
    }
    for path in ["/api/requests/x", "/api/requests/x/events"] {
        let reply = verifier.send(verifier.client.get(format!("{}{path}", verifier.base))).await;
        assert_eq!(reply.status, 401, "{path}");
        let wrong = verifier.client.get(format!("{}{path}", verifier.base)).bearer_auth("0123456789abcdef");
        assert_eq!(verifier.send(wrong).await.status, 401);
        assert_eq!(verifier.get(path).await.status, 404);
    }
    for path in ["/api/requests", "/api/response-codes"] {
        let reply = verifier.send(verifier.client.post(format!("{}{path}", verifier.base))).await;
        assert_eq!(reply.status, 401, "{path}");
    }
}

/// Every operation of the document is answered by the server, by that method and no other.
#[tokio::test]
async fn the_openapi_document_is_true() {
    let verifier = Verifier::start().await;
    let document = verifier.get("/openapi.json").await.json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "delete"] {
            let url = format!("{}{}", verifier.base, path.replace("{id}", "unknown"));
            let request = verifier.client.request(method.to_uppercase().parse().unwrap(), url);
            let reply = verifier.send(request.bearer_auth(verifier.app.token().expose())).await;
            let documented = operations.get(method).is_some();
            assert_eq!(reply.status != 405, documented, "{method} {path}: {}", reply.status);
            if documented {
                let status = reply.status.to_string();
                assert!(operations[method]["responses"].get(&status).is_some(), "{method} {path}: {status}");
            }
        }
    }
}
