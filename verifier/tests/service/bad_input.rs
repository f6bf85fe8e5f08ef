//! Bad input over a real socket: always a 4xx with a code that names the fault, and the state is as before.

use carekey_core::encoding::base64url;
use serde_json::{Value, json};

use crate::portal::Verifier;

fn one(extra: Value) -> Value {
    let mut body = json!({"template": "patient_identity", "purpose": "x"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let verifier = Verifier::start().await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let dcql = |credential: Value| json!({"template": null, "dcql_query": {"credentials": [credential]}});
    for (body, code) in [
        (json!([]), "invalid_member"),
        (json!({}), "invalid_member"),
        (one(json!({"purpose": 1})), "invalid_member"),
        (one(json!({"purpose": ""})), "request_purpose"),
        (one(json!({"purpose": "x".repeat(301)})), "request_purpose"),
        (one(json!({"unknown": 1})), "invalid_member"),
        (one(json!({"template": "nothing"})), "template_unknown"),
        (one(json!({"template": null})), "request_query"),
        (one(json!({"dcql_query": {"credentials": []}})), "request_query"),
        (one(json!({"template": null, "dcql_query": {"credentials": []}})), "dcql"),
        (one(json!({"template": null, "dcql_query": deep})), "json_too_deep"),
        (one(dcql(json!({"id": "a", "format": "mso_mdoc", "meta": {}}))), "dcql_format"),
        (
            one(dcql(json!({"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]},
            "trusted_authorities": [{"type": "own", "values": ["x"]}]}))),
            "dcql_trusted_authorities",
        ),
        (
            one(json!({"template": null, "min_level": "uv", "dcql_query": {"credentials": [
                {"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}}]}})),
            "step_up_claim",
        ),
        (one(json!({"min_level": "highest"})), "invalid_member"),
        (one(json!({"min_level": "uv", "max_age": 0})), "invalid_transaction_data"),
        (one(json!({"min_level": "uv", "locale": "e n"})), "invalid_transaction_data"),
        (one(json!({"response_mode": "query"})), "invalid_member"),
        (one(json!({"response_mode": "fragment"})), "redirect_uri"),
        (
            one(json!({"response_mode": "dc_api", "expected_origins": ["http://portal.example"]})),
            "expected_origins",
        ),
        (
            one(json!({"response_mode": "dc_api", "expected_origins": ["https://portal.example/"]})),
            "expected_origins",
        ),
        (one(json!({"response_mode": "dc_api", "expected_origins": ["javascript:x"]})), "expected_origins"),
        (one(json!({"expected_origins": ["https://portal.example"]})), "expected_origins"),
        (one(json!({"flow": "same_device"})), "redirect_uri"),
        (one(json!({"client_id_prefix": "verifier_attestation"})), "no_attestation"),
        (one(json!({"client_id_prefix": "x509_san_uri"})), "invalid_member"),
        (
            one(json!({"transaction_data": [{"type": "t", "credential_ids": ["nobody"]}]})),
            "invalid_transaction_data",
        ),
        (one(json!({"redirect_uri": "javascript:alert(1)"})), "redirect_uri"),
        (one(json!({"redirect_uri": "nonsense"})), "invalid_member"),
        (one(json!({"expires_in": 0})), "request_lifetime"),
        (one(json!({"expires_in": 100_000})), "request_lifetime"),
    ] {
        let reply = verifier.post("/api/requests", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{body}");
        assert_eq!(reply.content_type, "application/problem+json");
    }
    let token = verifier.app.token().expose().to_owned();
    let raw = |content_type: &'static str, body: Vec<u8>| {
        let request = verifier.client.post(format!("{}/api/requests", verifier.base)).bearer_auth(&token);
        verifier.send(request.header("content-type", content_type).body(body))
    };
    for (content_type, body, status, code) in [
        ("text/plain", b"{}".to_vec(), 415, "unsupported_media_type"),
        ("application/json", b"{".to_vec(), 400, "json_syntax"),
        ("application/json", b"{\"purpose\":\"\xff\"}".to_vec(), 400, "json_syntax"),
        ("application/json", b"{\"purpose\":\"a\",\"purpose\":\"b\"}".to_vec(), 400, "json_duplicate_member"),
        ("application/json", vec![b' '; 300_000], 413, "payload_too_large"),
    ] {
        let reply = raw(content_type, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
    for (body, status) in
        [(json!({}), 400), (json!({"response_code": 1}), 400), (json!({"response_code": ""}), 403)]
    {
        assert_eq!(verifier.post("/api/response-codes", &body).await.status, status);
    }
}

fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&").into_bytes()
}

#[tokio::test]
async fn answers_that_make_no_sense() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({"response_mode": "direct_post"})).await;
    let form = String::from_utf8(verifier.form_for(&link, &credentials).await).unwrap();
    let state = form.split("state=").nth(1).unwrap().to_owned();
    let good = url_decoded(form.strip_prefix("vp_token=").unwrap().split('&').next().unwrap());
    let presentation =
        serde_json::from_str::<Value>(&good).unwrap()["patient"][0].as_str().unwrap().to_owned();
    let token = |presentation: &str| json!({"patient": [presentation]}).to_string();
    let (sd_jwt, kb_jwt) = presentation.rsplit_once('~').unwrap();
    let none = format!(
        "{}.{}.",
        base64url::encode(br#"{"alg":"none","typ":"kb+jwt"}"#),
        kb_jwt.split('.').nth(1).unwrap()
    );
    let issuer_none = {
        let jwt = sd_jwt.split('~').next().unwrap();
        let head = base64url::encode(br#"{"alg":"none","typ":"dc+sd-jwt"}"#);
        presentation.replacen(jwt, &format!("{head}.{}.", jwt.split('.').nth(1).unwrap()), 1)
    };
    let deep = format!("{{\"patient\":{}{}}}", "[".repeat(100), "]".repeat(100));
    let endless = "~WyJh".repeat(40_000);
    let before = verifier.state(&id).await;
    let path = format!("/oid4vp/responses/{id}");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "response_form"),
        (b"\xff\xfe".to_vec(), "response_form"),
        (b"vp_token=%FF".to_vec(), "response_form"),
        (encoded(&[("state", &state)]), "response_form"),
        (encoded(&[("vp_token", &good)]), "state_mismatch"),
        (encoded(&[("vp_token", &good), ("state", "other")]), "state_mismatch"),
        (encoded(&[("error", "access_denied")]), "state_mismatch"),
        (encoded(&[("error", "access_denied"), ("state", "other")]), "state_mismatch"),
        (encoded(&[("vp_token", &good), ("vp_token", &good), ("state", &state)]), "response_form"),
        (encoded(&[("vp_token", &good), ("error", "access_denied"), ("state", &state)]), "response_form"),
        (encoded(&[("response", "a.b.c.d.e"), ("state", &state)]), "response_encryption"),
        (encoded(&[("vp_token", "rubbish"), ("state", &state)]), "presentation_malformed"),
        (encoded(&[("vp_token", "[]"), ("state", &state)]), "response_form"),
        (encoded(&[("vp_token", "{}"), ("state", &state)]), "response_form"),
        (encoded(&[("vp_token", &deep), ("state", &state)]), "presentation_malformed"),
        (encoded(&[("vp_token", r#"{"patient":"x"}"#), ("state", &state)]), "response_form"),
        (encoded(&[("vp_token", r#"{"patient":[1]}"#), ("state", &state)]), "response_form"),
        (encoded(&[("vp_token", r#"{"patient":["x"]}"#), ("state", &state)]), "presentation_malformed"),
        (encoded(&[("vp_token", r#"{"other":["x"]}"#), ("state", &state)]), "presentation_not_asked"),
        (encoded(&[("vp_token", r#"{"patient":["x","y"]}"#), ("state", &state)]), "presentation_count"),
        (encoded(&[("vp_token", &token(&format!("{sd_jwt}~"))), ("state", &state)]), "kb_jwt_missing"),
        (encoded(&[("vp_token", &token(&format!("{sd_jwt}~{none}"))), ("state", &state)]), "alg_none"),
        (encoded(&[("vp_token", &token(&issuer_none)), ("state", &state)]), "alg_none"),
        (
            encoded(&[("vp_token", &token(&format!("{sd_jwt}~{kb_jwt}x"))), ("state", &state)]),
            "presentation_malformed",
        ),
        (
            format!("vp_token={{\"patient\":[\"{endless}\"]}}&state={state}").into_bytes(),
            "presentation_malformed",
        ),
    ];
    for (body, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let reply = verifier.post_form(&path, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{shown}");
        assert!(
            carekey_core::verifier::RefusalCode::named(&reply.code()).is_some(),
            "the list of codes is closed"
        );
    }
    for (content_type, status) in [("application/json", 415), ("text/plain", 415), ("", 415)] {
        let request =
            verifier.client.post(format!("{}{path}", verifier.base)).header("content-type", content_type);
        assert_eq!(verifier.send(request.body(form.clone())).await.status, status);
    }
    let huge = verifier.post_form(&path, vec![b'a'; 300_000]).await;
    assert_eq!((huge.status, huge.code().as_str()), (413, "payload_too_large"));
    let unknown = verifier.post_form("/oid4vp/responses/unknown", form.clone()).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "request_unknown"));
    for (method, path) in [("PUT", path.as_str()), ("GET", path.as_str()), ("DELETE", "/api/requests")] {
        let request = verifier.client.request(method.parse().unwrap(), format!("{}{path}", verifier.base));
        let status = verifier.send(request.bearer_auth(verifier.app.token().expose())).await.status;
        assert_eq!(status, 405, "{method} {path}");
    }

    // After all that, everything is as before, and the true answer is still taken.
    assert_eq!(verifier.state(&id).await, before);
    assert_eq!(verifier.post_form(&path, form.clone()).await.status, 200);
    // An expired request takes nothing.
    let (late, link) = verifier.create(json!({"response_mode": "direct_post"})).await;
    let form = verifier.form_for(&link, &credentials).await;
    verifier.later(300);
    let reply = verifier.post_form(&format!("/oid4vp/responses/{late}"), form).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "request_expired"));
    assert_eq!(verifier.state(&late).await["state"], "expired");
}

fn url_decoded(text: &str) -> String {
    let body = format!("x={text}");
    url::form_urlencoded::parse(body.as_bytes()).next().unwrap().1.into_owned()
}

#[tokio::test]
async fn encrypted_answers_that_make_no_sense() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({})).await;
    let (_, other_link) = verifier.create(json!({})).await;
    let (form, other) =
        (verifier.form_for(&link, &credentials).await, verifier.form_for(&other_link, &credentials).await);
    let before = verifier.state(&id).await;
    let path = format!("/oid4vp/responses/{id}");
    let mut flipped = form.clone();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    for (body, code) in [
        (other, "response_encryption"),
        (flipped, "response_encryption"),
        (b"response=".to_vec(), "response_encryption"),
        (b"response=a.b.c.d.e".to_vec(), "response_encryption"),
        (b"response=x&vp_token=%7B%7D".to_vec(), "response_form"),
        (encoded(&[("vp_token", r#"{"patient":["x"]}"#)]), "response_not_encrypted"),
    ] {
        let reply = verifier.post_form(&path, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code));
    }
    assert_eq!(verifier.state(&id).await, before);
    assert_eq!(verifier.post_form(&path, form).await.status, 200);
}

/// JWEs that would cost the verifier more than the sender: each is refused before it is computed.
#[tokio::test]
async fn encrypted_answers_that_cost() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({})).await;
    let form = verifier.form_for(&link, &credentials).await;
    let before = verifier.state(&id).await;
    let path = format!("/oid4vp/responses/{id}");
    let jwe = url::form_urlencoded::parse(&form).find(|(name, _)| name == "response").unwrap().1.into_owned();
    let (header, rest) = jwe.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        format!("{}.{rest}", base64url::encode(header.to_string().as_bytes()))
    };
    let bomb = base64url::encode(&carekey_core::encoding::deflate::raw_compress(&vec![0; 64 << 20]));
    let zipped = with("zip", json!("DEF"));
    let bomb =
        format!("{}..AAAAAAAAAAAAAAAA.{bomb}.AAAAAAAAAAAAAAAAAAAAAA", zipped.split('.').next().unwrap());
    for token in [
        zipped.clone(),
        bomb,
        with("alg", json!("none")),
        with("alg", json!("dir")),
        with("alg", json!("ECDH-ES+A256KW")),
        with("alg", json!("PBES2-HS512+A256KW")),
        with("p2c", json!(u64::MAX)),
        with("enc", json!("A192GCM")),
        with("crit", json!(["x"])),
        with("kid", json!("x".repeat(20_000))),
    ] {
        let reply = verifier.post_form(&path, encoded(&[("response", &token)])).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "response_encryption"), "{}", token.len());
    }
    let oversized = format!("{jwe}{}", "A".repeat(300_000));
    assert_eq!(verifier.post_form(&path, encoded(&[("response", &oversized)])).await.status, 413);
    assert_eq!(verifier.state(&id).await, before);
    assert_eq!(verifier.post_form(&path, form).await.status, 200);
}
