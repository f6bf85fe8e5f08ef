//! One-time things: of any number of attempts exactly one wins.

use std::sync::Arc;

use carekey_core::encoding::base64url;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::response::{FormResponse, UnverifiedResponse, vp_token_value};
use carekey_verifier::CreateRequest;
use serde_json::json;

use crate::portal::Verifier;

#[tokio::test]
async fn an_answer_is_taken_once() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    for mode in ["direct_post", "direct_post.jwt"] {
        let (id, link) = verifier.create(json!({"response_mode": mode})).await;
        let form = verifier.form_for(&link, &credentials).await;
        let path = format!("/oid4vp/responses/{id}");
        assert_eq!(verifier.post_form(&path, form.clone()).await.status, 200);
        let before = verifier.state(&id).await;
        let replay = verifier.post_form(&path, form.clone()).await;
        assert_eq!((replay.status, replay.code().as_str()), (400, "response_replayed"));
        assert_eq!(verifier.state(&id).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_answers_at_once_one_is_taken() {
    let verifier = Arc::new(Verifier::start().await);
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({"response_mode": "direct_post"})).await;
    let form = verifier.form_for(&link, &credentials).await;
    let attempts: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, form, path) =
                (Arc::clone(&verifier), form.clone(), format!("/oid4vp/responses/{id}"));
            tokio::spawn(async move {
                let reply = verifier.post_form(&path, form).await;
                (reply.status, if reply.status == 200 { String::new() } else { reply.code() })
            })
        })
        .collect();
    let mut taken = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            (200, _) => taken += 1,
            (status, code) => assert_eq!((status, code.as_str()), (400, "response_replayed")),
        }
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn an_answer_to_another_request_is_refused() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let plain = json!({"response_mode": "direct_post"});
    let (first, link) = verifier.create(plain.clone()).await;
    let (second, second_link) = verifier.create(plain).await;
    let form = verifier.form_for(&link, &credentials).await;
    let second_form = verifier.form_for(&second_link, &credentials).await;
    let before = verifier.state(&second).await;
    let reply = verifier.post_form(&format!("/oid4vp/responses/{second}"), form.clone()).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "state_mismatch"));
    // With the right state, the nonce gives it away.
    let parse = |form: &[u8]| match FormResponse::parse(form, &Limits::DEFAULT).unwrap() {
        FormResponse::Plain(UnverifiedResponse::VpToken { vp_token, state }) => (vp_token, state.unwrap()),
        _ => panic!(),
    };
    let (vp_token, _) = parse(&form);
    let (_, state) = parse(&second_form);
    let mixed = format!("vp_token={}&state={state}", url_encoded(&vp_token_value(&vp_token).to_string()));
    let reply = verifier.post_form(&format!("/oid4vp/responses/{second}"), mixed).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "kb_jwt_nonce"));
    assert_eq!(verifier.state(&second).await, before);
    // Both requests still take their own answers.
    assert_eq!(verifier.post_form(&format!("/oid4vp/responses/{first}"), form).await.status, 200);
    assert_eq!(verifier.post_form(&format!("/oid4vp/responses/{second}"), second_form).await.status, 200);
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_response_code_releases_the_outcome_once() {
    let verifier = Arc::new(Verifier::start().await);
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({"redirect_uri": "https://portal.example/done?lang=en"})).await;
    let delivery = verifier.present(&link, &credentials).await;
    let redirect_uri = delivery.redirect_uri.unwrap();
    assert!(redirect_uri.as_str().starts_with("https://portal.example/done?lang=en&response_code="));
    let code = redirect_uri.query_pairs().find(|(name, _)| name == "response_code").unwrap().1.into_owned();
    assert_eq!(base64url::decode(&code).unwrap().len(), 32);
    // Until the code comes back, the outcome is withheld.
    let view = verifier.state(&id).await;
    assert_eq!((&view["state"], &view["outcome"]), (&json!("verified"), &json!({"result": "withheld"})));
    let body = json!({"response_code": code});
    let attempts: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, body) = (Arc::clone(&verifier), body.clone());
            tokio::spawn(async move { verifier.post("/api/response-codes", &body).await })
        })
        .collect();
    let mut redeemed = 0;
    for attempt in attempts {
        let reply = attempt.await.unwrap();
        match reply.status {
            200 => {
                assert_eq!(reply.json()["outcome"]["result"], "verified");
                redeemed += 1;
            }
            status => assert_eq!((status, reply.code().as_str()), (403, "response_code")),
        }
    }
    assert_eq!(redeemed, 1);
    assert_eq!(verifier.state(&id).await["outcome"]["result"], "verified");
    // Expired codes are worth nothing.
    let (_, link) = verifier.create(json!({"redirect_uri": "https://portal.example/done"})).await;
    let redirect_uri = verifier.present(&link, &credentials).await.redirect_uri.unwrap();
    verifier.later(300);
    let body = json!({"response_code": redirect_uri.query_pairs().next().unwrap().1});
    assert_eq!(verifier.post("/api/response-codes", &body).await.status, 403);
}

#[tokio::test]
async fn outcomes_belong_to_their_session() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let new = |redirect: bool| CreateRequest {
        template: Some("patient_identity".into()),
        purpose: "Prove who you are".into(),
        redirect_uri: redirect.then(|| "https://portal.example/done".parse().unwrap()),
        ..CreateRequest::default()
    };
    let created = verifier.app.create_request(new(false), Some("browser one")).await.unwrap();
    assert!(verifier.present(created.request_uri.as_deref().unwrap(), &credentials).await.accepted);
    assert!(verifier.app.outcome(&created.id, Some("browser one")).await.unwrap().is_some());
    assert!(verifier.app.outcome(&created.id, Some("browser two")).await.unwrap().is_none());
    assert!(verifier.app.events(&created.id, Some("browser two")).await.unwrap().is_none());
    assert!(verifier.app.events(&created.id, Some("browser one")).await.unwrap().is_some());
    // A stolen code is of no use in another browser, and is spent.
    let created = verifier.app.create_request(new(true), Some("browser one")).await.unwrap();
    let redirect_uri =
        verifier.present(created.request_uri.as_deref().unwrap(), &credentials).await.redirect_uri.unwrap();
    let code = redirect_uri.query_pairs().next().unwrap().1.into_owned();
    let stolen = verifier.app.redeem_response_code(&code, Some("browser two")).await;
    assert_eq!(stolen.unwrap_err().code(), "session_mismatch");
    let spent = verifier.app.redeem_response_code(&code, Some("browser one")).await;
    assert_eq!(spent.unwrap_err().code(), "response_code");
}
