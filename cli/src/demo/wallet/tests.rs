use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::clock::{FixedClock, UnixTime};
use carekey_core::error::Error;
use carekey_core::holder::{HttpRequest, HttpResponse};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use carekey_core::secret::Secret;
use carekey_core::store::MemoryStore;
use carekey_core::webauthn::options::RequestOptions;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::records::{IDLE_SECS, Passkey, Protection};
use super::*;

const ORIGIN: &str = "http://localhost:8802";

struct Nowhere;

#[async_trait::async_trait]
impl HttpClient for Nowhere {
    async fn send(&self, _request: HttpRequest) -> Result<HttpResponse> {
        Err(Error::unavailable("nowhere", "there is no network in this test"))
    }
}

struct Page {
    router: Router,
    wallet: Arc<Wallet>,
    cookie: String,
    csrf: String,
}

struct World {
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::default(),
            clock: Arc::new(FixedClock::new(UnixTime::from_secs(1_795_351_200))),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The wallet's process, started anew over the same records.
    async fn start(&self) -> Arc<Wallet> {
        let parts = Parts {
            public_url: Url::parse(ORIGIN).unwrap(),
            store: self.store.clone(),
            http: Arc::new(Nowhere),
            dids: Arc::new(carekey_core::did::resolver::Offline),
            issuers: carekey_core::trust::IssuerRule::default(),
            portal: ("Portal".into(), Vec::new()),
            clock: self.clock.clone(),
            random: Arc::new(SystemRandom),
        };
        Wallet::open(parts, self.folder.path()).await.unwrap()
    }

    async fn page(&self) -> Page {
        let wallet = self.start().await;
        Page::open(wallet).await
    }
}

impl Page {
    async fn open(wallet: Arc<Wallet>) -> Self {
        let router = router(Arc::clone(&wallet));
        let request = Request::get("/").header("host", "localhost:8802").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert!(
            response.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
        );
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let html = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        let csrf =
            html.split_once("carekey-csrf\" content=\"").unwrap().1.split('"').next().unwrap().to_owned();
        Self { router, wallet, cookie, csrf }
    }

    fn session(&self) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", self.cookie.parse().unwrap());
        self.wallet.sessions.find(&headers).unwrap().id().to_owned()
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).header("host", "localhost:8802").header("cookie", &self.cookie);
        self.send(request.header("x-carekey-csrf", &self.csrf).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(self.post_request(path, body)).await
    }

    fn post_request(&self, path: &str, body: &Value) -> Request<Body> {
        Request::post(path)
            .header("host", "localhost:8802")
            .header("origin", ORIGIN)
            .header("cookie", &self.cookie)
            .header("x-carekey-csrf", &self.csrf)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    }
}

fn passkey(id: &[u8], key: &SoftwareKey) -> Passkey {
    Passkey {
        id: carekey_core::encoding::base64url::encode(id),
        public_key: Jwk::from_key(key.public_key()),
        backup_eligible: false,
        prf_salt: carekey_core::encoding::base64url::encode(&[7; 32]),
        transports: vec!["internal".into()],
    }
}

#[tokio::test]
async fn only_the_page_may_call() {
    let page = World::new().page().await;
    assert_eq!(page.get("/api/state").await.0, StatusCode::OK);
    for (name, value, status, code) in [
        ("cookie", "carekey-wallet=guess", 401, "no_session"),
        ("x-carekey-csrf", "guess", 401, "no_session"),
        ("origin", "http://localhost:8803", 403, "foreign_origin"),
        ("origin", "null", 403, "foreign_origin"),
        ("host", "evil.example:8802", 421, "foreign_host"),
    ] {
        let mut request = page.post_request("/api/lock", &json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        let (got, body) = page.send(request).await;
        assert_eq!((got.as_u16(), &body["code"]), (status, &json!(code)), "{name}");
    }
    let mut request = page.post_request("/api/lock", &json!({}));
    request.headers_mut().remove("origin");
    assert_eq!(page.send(request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn bad_calls_are_refused_with_a_code() {
    let page = World::new().page().await;
    for (path, body, status) in [
        ("/api/open", json!({}), 400),
        ("/api/open", json!({ "link": 7 }), 400),
        ("/api/open", json!({ "link": "openid4vp://?request_uri=x" }), 400),
        ("/api/open", json!({ "link": "openid-credential-offer://?credential_offer=%7B" }), 400),
        (
            "/api/open",
            json!({ "link": "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fh.example%2Fo" }),
            502,
        ),
        ("/api/unlock/options", json!({}), 403),
        ("/api/offers/unknown/prepare", json!({}), 403),
        ("/api/offers/unknown/finish", json!({}), 403),
        ("/api/offers/unknown/decline", json!({}), 403),
        ("/api/requests/unknown/prepare", json!({ "selection": {} }), 403),
        ("/api/requests/unknown/decline", json!({}), 403),
        ("/api/offers/unknown/finish", json!({ "prf": "AAAA" }), 400),
        ("/api/offers/unknown/finish", json!({ "surprise": 1 }), 400),
    ] {
        let (got, answer) = page.post(path, &body).await;
        assert_eq!(got.as_u16(), status, "{path} {body} {answer}");
        assert!(answer["code"].as_str().is_some_and(|code| !code.is_empty()), "{path} {answer}");
    }
}

#[tokio::test]
async fn a_passkey_with_prf_locks_the_records() {
    let world = World::new();
    let page = world.page().await;
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let prf = Secret::new(vec![3; 32]);
    page.wallet.records.enrol(&page.session(), passkey(b"one", &key), Some(&prf), true).await.unwrap();
    page.wallet.records.put(&page.session(), CREDENTIAL, "x", &json!("secret")).await.unwrap();
    assert_eq!(page.get("/api/state").await.1["locked"], false);

    // another browser has not unlocked it, and after a restart nobody has
    let other = Page::open(Arc::clone(&page.wallet)).await;
    assert_eq!(other.get("/api/state").await.1["locked"], true);
    assert_eq!(other.get("/api/credentials").await.0, StatusCode::LOCKED);
    drop((page, other));
    let page = world.page().await;
    assert_eq!(
        page.get("/api/state").await.1,
        json!({
            "locked": true, "can_lock": true, "protection": "passkey_prf",
            "protection_text": words::protection(Protection::PasskeyPrf),
        })
    );
    let (status, body) = page.post("/api/open", &json!({ "link": "openid4vp://?x" })).await;
    assert_eq!((status, &body["code"]), (StatusCode::LOCKED, &json!("wallet_locked")));

    // unlocking takes one assertion by that passkey, with its PRF result beside it
    let thief = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
    thief.insert_key(b"one", RP_ID, SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
    let owner = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
    owner.insert_key(b"one", RP_ID, key);
    let prf_text = carekey_core::encoding::base64url::encode(&[3; 32]);
    let wrong_prf = carekey_core::encoding::base64url::encode(&[4; 32]);
    for (who, prf, code) in [
        (&thief, Some(&prf_text), "assertion_signature"),
        (&owner, Some(&wrong_prf), "vault_wrong_key"),
        (&owner, None, "prf_missing"),
    ] {
        let (_, options) = page.post("/api/unlock/options", &json!({})).await;
        assert_eq!(options["options"]["userVerification"], "required");
        assert!(options["options"]["extensions"]["prf"]["evalByCredential"].is_object());
        let options: RequestOptions = serde_json::from_value(options["options"].clone()).unwrap();
        let assertion = serde_json::to_value(who.get(&options).unwrap()).unwrap();
        let (_, body) = page.post("/api/unlock", &json!({ "assertion": assertion, "prf": prf })).await;
        assert_eq!(body["code"], code);
        assert_eq!(page.get("/api/state").await.1["locked"], true);
    }
    let (_, options) = page.post("/api/unlock/options", &json!({})).await;
    let options: RequestOptions = serde_json::from_value(options["options"].clone()).unwrap();
    let assertion = serde_json::to_value(owner.get(&options).unwrap()).unwrap();
    let answer = json!({ "assertion": assertion, "prf": prf_text });
    assert_eq!(page.post("/api/unlock", &answer).await.0, StatusCode::OK);
    assert_eq!(page.get("/api/state").await.1["locked"], false);
    let (status, body) = page.post("/api/unlock", &answer).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::FORBIDDEN, &json!("transaction_gone")),
        "each challenge once"
    );

    // ten idle minutes lock it again, and so does the button
    world.clock.set(world.clock.now().plus(IDLE_SECS));
    assert_eq!(page.get("/api/state").await.1["locked"], true);
}

#[tokio::test]
async fn without_prf_a_device_file_opens_until_a_passkey_can() {
    let world = World::new();
    let page = world.page().await;
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let file = world.folder.path().join("device.key");
    page.wallet.records.enrol(&page.session(), passkey(b"one", &key), None, true).await.unwrap();
    page.wallet.records.put(&page.session(), CREDENTIAL, "x", &json!("secret")).await.unwrap();
    assert!(file.exists());
    drop(page);
    let page = world.page().await;
    assert_eq!(page.get("/api/state").await.1["protection"], "device_file");
    let kept: Option<Value> = page.wallet.records.get(&page.session(), CREDENTIAL, "x").await.unwrap();
    assert_eq!(kept, Some(json!("secret")));

    // its PRF result comes with a presentation: the file goes
    let mut options = RequestOptions::step_up(RP_ID, b"one", [0; 32]);
    page.wallet.ask_for_prf(&mut options).await.unwrap();
    assert!(options.extensions.contains_key("prf"));
    let id = carekey_core::encoding::base64url::encode(b"one");
    page.wallet.take_prf(&page.session(), &id, Some(&Secret::new(vec![3; 32]))).await.unwrap();
    assert!(!file.exists());
    assert_eq!(page.get("/api/state").await.1["protection"], "passkey_prf");
    let mut again = RequestOptions::step_up(RP_ID, b"one", [0; 32]);
    page.wallet.ask_for_prf(&mut again).await.unwrap();
    assert!(again.extensions.is_empty(), "asked for once");
}

#[tokio::test]
async fn nothing_lies_in_the_clear_and_erasing_is_final() {
    let world = World::new();
    let page = world.page().await;
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let prf = Secret::new(vec![3; 32]);
    page.wallet.records.enrol(&page.session(), passkey(b"one", &key), Some(&prf), true).await.unwrap();
    let keys = page.wallet.keys(&page.session());
    let made = carekey_core::holder::HolderKeys::generate(&keys, carekey_core::holder::KeyPurpose::HolderKey);
    let alias = made.await.unwrap().alias;
    keys.keep().await.unwrap();
    page.wallet
        .records
        .put(&page.session(), CREDENTIAL, "patient-17", &json!("Žofie Testová"))
        .await
        .unwrap();

    let mut tables = BTreeSet::new();
    for table in ["wallet_unlock", "vault"] {
        for (name, record) in
            world.store.scan(carekey_core::store::Table::new(table), None, 100).await.unwrap()
        {
            tables.insert(table);
            let all = [name, record.value].concat();
            let text = String::from_utf8_lossy(&all);
            for secret in ["Žofie", "patient-17", alias.as_str(), "pkcs8"] {
                assert!(!text.contains(secret), "{secret} in {table}");
            }
        }
    }
    assert!(tables.contains("wallet_unlock") && tables.len() == 2, "{tables:?}");

    assert_eq!(page.post("/api/erase", &json!({})).await.0, StatusCode::OK);
    assert_eq!(page.get("/api/state").await.1["protection"], "empty");
    assert_eq!(page.get("/api/credentials").await.1, json!({ "credentials": [] }));
    let gone = page.wallet.records.unlock(&page.session(), &passkey(b"one", &key).id, &prf).await;
    assert_eq!(gone.unwrap_err().code(), "passkey_unknown");
}
