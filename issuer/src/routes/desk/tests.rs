use axum::body::{Body, to_bytes};
use axum::http::Request;
use carekey_core::clock::{Clock, SystemClock};
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::protocol::openid4vci::key_proof::{self, KeyProofInput};
use carekey_core::random::SystemRandom;
use carekey_core::store::MemoryStore;
use tower::ServiceExt;
use url::Url;

use super::*;
use crate::Config;

const ORIGIN: &str = "http://localhost:8801";
const TOKEN: &str = "0123456789abcdef";

struct Browser {
    router: Router,
    cookie: String,
    csrf: String,
    _folder: tempfile::TempDir,
}

async fn desk() -> (Router, Arc<App>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    config.issuer.name = "Synthetic <General> Hospital".into();
    std::fs::write(folder.path().join("management.token"), TOKEN).unwrap();
    let (store, url) = (Arc::new(MemoryStore::default()), Url::parse(ORIGIN).unwrap());
    let app = App::open(&config, &url, store, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    (crate::router(&app), app, folder)
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

fn get_request(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost:8801").header("cookie", cookie);
    request.body(Body::empty()).unwrap()
}

fn post_request(path: &str, cookie: &str, form: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post(path).header("host", "localhost:8801").header("origin", ORIGIN);
    request.header("cookie", cookie).body(Body::from(body)).unwrap()
}

async fn signed_in() -> Browser {
    let (router, _, folder) = desk().await;
    let (status, headers, _) = send(&router, post_request("/desk/sign-in", "", &[("token", TOKEN)])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (_, _, html) = send(&router, get_request("/", &cookie)).await;
    let csrf = html.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    Browser { router, cookie, csrf, _folder: folder }
}

impl Browser {
    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        send(&self.router, get_request(path, &self.cookie)).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let form: Vec<_> = [("csrf", self.csrf.as_str())].into_iter().chain(form.iter().copied()).collect();
        send(&self.router, post_request(path, &self.cookie, &form)).await
    }
}

#[tokio::test]
async fn only_staff_see_the_desk() {
    let (router, app, _folder) = desk().await;
    let (status, headers, html) = send(&router, get_request("/", "")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("data-test=\"token\"") && !html.contains("Testová"));
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(html.contains("Synthetic &#60;General&#62; Hospital"), "names are escaped");

    let wrong = post_request("/desk/sign-in", "", &[("token", "0123456789abcdeX")]);
    assert_eq!(send(&router, wrong).await.0, StatusCode::FORBIDDEN);
    let guess = get_request("/desk/open?ticket=guess", "");
    assert_eq!(send(&router, guess).await.0, StatusCode::FORBIDDEN);
    let link = app.access().sign_in_link();
    let path = format!("{}?{}", link.path(), link.query().unwrap());
    let (status, headers, _) = send(&router, get_request(&path, "")).await;
    assert_eq!((status, &headers["location"]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));

    let signed_out = send(&router, post_request("/desk/preview", "", &[("patient", "zofie-testova")])).await;
    assert_eq!(signed_out.0, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&router, get_request("/desk/offers/x/state", "")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let desk = signed_in().await;
    let form = [("csrf", "guess"), ("patient", "zofie-testova")];
    let (status, _, body) = send(&desk.router, post_request("/desk/preview", &desk.cookie, &form)).await;
    assert!(status == StatusCode::FORBIDDEN && body.contains("\"csrf\""));
    let mut foreign = post_request("/desk/preview", &desk.cookie, &[("csrf", &desk.csrf), ("patient", "x")]);
    foreign.headers_mut().insert("origin", "http://localhost:8802".parse().unwrap());
    let (status, _, body) = send(&desk.router, foreign).await;
    assert!(status == StatusCode::FORBIDDEN && body.contains("foreign_origin"));
    let mut rebound = get_request("/", &desk.cookie);
    rebound.headers_mut().insert("host", "evil.example:8801".parse().unwrap());
    assert_eq!(send(&desk.router, rebound).await.0, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn from_a_record_to_an_offer() {
    let desk = signed_in().await;
    let (_, _, html) = desk.get("/").await;
    assert_eq!(html.matches("data-test=\"patient-").count(), 6);

    let (status, _, html) = desk.post("/desk/preview", &[("patient", "zofie-testova")]).await;
    assert_eq!(status, StatusCode::OK);
    for shown in ["Žofie Anežka", "1987-04-23", "TEST-875423-0019", "Ústí nad Labem", "EHF-TEST-55021"] {
        assert!(html.contains(shown), "{shown}");
    }
    let form = [
        ("patient", "zofie-testova"),
        ("configuration", "patient_identity"),
        ("tx_code", "yes"),
        ("by_reference", "yes"),
    ];
    let (status, headers, _) = desk.post("/desk/offers", &form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let place = headers["location"].to_str().unwrap().to_owned();
    let (status, _, html) = desk.get(&place).await;
    assert_eq!(status, StatusCode::OK);
    let code = html.split_once("data-test=\"tx-code\">").unwrap().1.split('<').next().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
    assert!(html.contains("<svg") && html.contains("openid-credential-offer://?credential_offer_uri="));
    let (_, _, state) = desk.get(&format!("{place}/state")).await;
    assert!(state.contains("\"final\":false"), "{state}");
    assert_eq!(desk.get("/desk/offers/unknown").await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.get("/desk/offers/unknown/state").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_records_are_refused_and_change_nothing() {
    let desk = signed_in().await;
    for (fhir, code) in [
        ("", "json"),
        ("{", "json"),
        ("[]", "fhir"),
        (r#"{"resourceType":"Observation"}"#, "fhir"),
        (r#"{"resourceType":"Patient"}"#, "fhir"),
        (r#"{"resourceType":"Patient","resourceType":"Patient"}"#, "json"),
    ] {
        let (status, _, html) = desk.post("/desk/preview", &[("fhir", fhir)]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{fhir}");
        assert!(html.contains(&format!("data-code=\"{code}")), "{fhir}");
    }
    let (_, _, html) = desk.post("/desk/preview", &[("fhir", "</textarea><script>x</script>")]).await;
    assert!(!html.contains("<script>x"));
    for form in [
        vec![("patient", "zofie-testova")],
        vec![("patient", "nobody"), ("configuration", "patient_identity")],
    ] {
        assert_eq!(desk.post("/desk/offers", &form).await.0, StatusCode::BAD_REQUEST);
    }
    let (status, _, _) = desk.post("/desk/credentials/unknown/status", &[("action", "revoke")]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _, _) = desk.post("/desk/credentials/unknown/status", &[("action", "delete")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(desk.get("/").await.2.contains("No credential has been issued yet"));
}

/// A wallet with a bearer token that asks for the offer behind a page of the desk.
async fn ask(router: &Router, html: &str) -> (StatusCode, String, String) {
    let link = html.split_once("openid-credential-offer://?credential_offer=").unwrap().1;
    let link = link.split(['"', '<']).next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let offer = percent(&link);
    let offer: Value = serde_json::from_str(&offer).unwrap();
    let grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
    let code = offer["grants"][grant]["pre-authorized_code"].as_str().unwrap();
    let post = |path: &str, media: &str, token: Option<&str>, body: String| {
        let mut request = Request::post(path).header("host", "localhost:8801").header("content-type", media);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Body::from(body)).unwrap()
    };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", grant), ("pre-authorized_code", code)])
        .finish();
    let media = "application/x-www-form-urlencoded";
    let (_, _, token) = send(router, post("/oid4vci/token", media, None, form)).await;
    let token: Value = serde_json::from_str(&token).unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let (_, _, nonce) = send(router, post("/oid4vci/nonce", "", None, String::new())).await;
    let nonce: Value = serde_json::from_str(&nonce).unwrap();
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let input = KeyProofInput {
        key: key.public_key(),
        audience: ORIGIN,
        nonce: nonce["c_nonce"].as_str(),
        client_id: None,
        ak_jkt: None,
        key_attestation: None,
        now: SystemClock.now(),
    };
    let input = key_proof::signing_input(&input).unwrap();
    let signature = key.sign(input.as_bytes()).unwrap();
    let proof = jws::assemble(input, &signature);
    let body =
        serde_json::json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}});
    let request = post("/oid4vci/credential", "application/json", Some(&token), body.to_string());
    let (status, _, body) = send(router, request).await;
    (status, body, token)
}

fn percent(text: &str) -> String {
    let pair = format!("x={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}

#[tokio::test]
async fn who_waits_is_seen_and_decided_once() {
    let desk = signed_in().await;
    for (action, credential) in [("approve", Some("credentials")), ("deny", None)] {
        let form = [("patient", "zofie-testova"), ("configuration", "patient_identity"), ("approval", "yes")];
        let (_, headers, _) = desk.post("/desk/offers", &form).await;
        let place = headers["location"].to_str().unwrap().to_owned();
        let id = place.rsplit('/').next().unwrap();
        let decision = format!("/desk/offers/{id}/decision");
        assert!(!desk.get("/").await.2.contains("data-test=\"waiting\""), "nobody has asked yet");
        let (_, _, html) = desk.get(&place).await;
        let (status, body, token) = ask(&desk.router, &html).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let transaction: Value = serde_json::from_str(&body).unwrap();
        let (_, _, html) = desk.get("/").await;
        assert!(html.contains("data-test=\"waiting\"") && html.contains(&decision));
        assert_eq!(desk.post(&decision, &[("action", "maybe")]).await.0, StatusCode::BAD_REQUEST);
        let forged = post_request(&decision, &desk.cookie, &[("csrf", "guess"), ("action", "approve")]);
        assert_eq!(send(&desk.router, forged).await.0, StatusCode::FORBIDDEN);
        let nobody = post_request(&decision, "", &[("action", action)]);
        assert_eq!(send(&desk.router, nobody).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(desk.post(&decision, &[("action", action)]).await.0, StatusCode::SEE_OTHER);
        assert!(!desk.get("/").await.2.contains("data-test=\"waiting\""));
        let other = if action == "deny" { "approve" } else { "deny" };
        assert_eq!(desk.post(&decision, &[("action", other)]).await.0, StatusCode::CONFLICT);
        let body = serde_json::json!({"transaction_id": transaction["transaction_id"]}).to_string();
        let request = Request::post("/oid4vci/deferred")
            .header("host", "localhost:8801")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let (status, _, answer) = send(&desk.router, request.body(Body::from(body)).unwrap()).await;
        match credential {
            Some(member) => assert!(status == StatusCode::OK && answer.contains(member), "{answer}"),
            None => {
                assert!(status == StatusCode::BAD_REQUEST && answer.contains("credential_request_denied"))
            }
        }
    }
    let unknown = desk.post("/desk/offers/unknown/decision", &[("action", "approve")]).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let desk = signed_in().await;
    assert_eq!(desk.post("/desk/sign-out", &[]).await.0, StatusCode::SEE_OTHER);
    assert!(desk.get("/").await.2.contains("data-test=\"token\""));
}
