use axum::body::{Body, to_bytes};
use axum::http::Request;
use carekey_core::clock::SystemClock;
use carekey_core::random::SystemRandom;
use carekey_core::store::MemoryStore;
use tower::ServiceExt;
use url::Url;

use super::*;
use crate::Config;
use crate::config::TypesConfig;

const ORIGIN: &str = "http://localhost:8803";

struct Browser {
    router: Router,
    cookie: String,
    csrf: String,
    _folder: tempfile::TempDir,
}

fn get_request(path: &str, cookie: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost:8803").header("cookie", cookie);
    request.body(Body::empty()).unwrap()
}

fn post_request(path: &str, cookie: &str, form: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post(path).header("host", "localhost:8803").header("origin", ORIGIN);
    request.header("cookie", cookie).body(Body::from(body)).unwrap()
}

async fn send_to(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

impl Browser {
    async fn signed_in() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().to_owned(),
            name: "Example <portal>".into(),
            types: TypesConfig {
                patient_identity: vec!["http://localhost:8801/vct/patient-identity".into()],
                ..TypesConfig::default()
            },
            ..Config::default()
        };
        let store = Arc::new(MemoryStore::default());
        let url = Url::parse(ORIGIN).unwrap();
        let app = App::open(config, url, store, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap();
        let link = app.pages().sign_in_link();
        let router = crate::router(app);
        let path = format!("{}?{}", link.path(), link.query().unwrap());
        let (status, headers, _) = send_to(&router, get_request(&path, "")).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let (_, _, html) = send_to(&router, get_request("/", &cookie)).await;
        let csrf = html.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
        Self { router, cookie, csrf, _folder: folder }
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        send_to(&self.router, get_request(path, &self.cookie)).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let form: Vec<_> = [("csrf", self.csrf.as_str())].into_iter().chain(form.iter().copied()).collect();
        send_to(&self.router, post_request(path, &self.cookie, &form)).await
    }
}

#[tokio::test]
async fn a_request_is_shown_to_the_session_that_made_it() {
    let browser = Browser::signed_in().await;
    let (_, headers, html) = browser.get("/").await;
    assert!(
        html.contains("Example &#60;portal&#62;") && html.contains("data-test=\"level-biometric_attested\"")
    );
    assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));

    let form = [("purpose", "Release <b>this</b>"), ("min_level", "uv"), ("response_mode", "direct_post")];
    let (status, headers, _) = browser.post("/portal/requests", &form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let place = headers["location"].to_str().unwrap().to_owned();
    let (status, _, html) = browser.get(&place).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        html.contains("<svg") && html.contains("openid4vp://?") && html.contains("data-state=\"pending\"")
    );
    assert!(html.contains("Release &#60;b&#62;this&#60;/b&#62;"));
    let (status, _, html) = browser.get(&format!("{place}/outcome")).await;
    assert!(status == StatusCode::OK && html.contains("Waiting for your wallet"));

    // the same server, another session
    let (_, headers, _) = {
        let (status, headers, body) =
            send_to(&browser.router, post_request("/portal/sign-in", "", &[("token", "guess")])).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        (status, headers, body)
    };
    assert!(headers.get("set-cookie").is_none());
    for path in [format!("{place}/outcome"), format!("{place}/events")] {
        assert_eq!(send_to(&browser.router, get_request(&path, "")).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.get("/portal/requests/unknown").await.0, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/portal/requests/unknown/outcome").await.0, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/portal/requests/unknown/events").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_forms_make_no_request() {
    let browser = Browser::signed_in().await;
    for form in [
        vec![("purpose", "x")],
        vec![("purpose", "x"), ("min_level", "highest")],
        vec![("purpose", " "), ("min_level", "uv")],
        vec![("purpose", "x"), ("min_level", "uv"), ("response_mode", "query")],
    ] {
        let (status, _, html) = browser.post("/portal/requests", &form).await;
        assert!(status == StatusCode::BAD_REQUEST && html.contains("data-test=\"problem\""), "{form:?}");
    }
    let form = [("csrf", "guess"), ("purpose", "x"), ("min_level", "uv")];
    let (status, _, _) =
        send_to(&browser.router, post_request("/portal/requests", &browser.cookie, &form)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let mut foreign = post_request("/portal/requests", &browser.cookie, &[("csrf", &browser.csrf)]);
    foreign.headers_mut().insert("origin", "http://localhost:8802".parse().unwrap());
    assert_eq!(send_to(&browser.router, foreign).await.0, StatusCode::FORBIDDEN);
    assert_eq!(browser.post("/portal/sign-out", &[]).await.0, StatusCode::SEE_OTHER);
    assert!(browser.get("/").await.2.contains("data-test=\"token\""));
}
