//! A verifier on a free port of loopback, with a hospital in memory, and a wallet that talks to it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use carekey_core::Clock;
use carekey_core::holder::presentation::{
    self, Delivery, PresentationContext, PresentationReview, PresentationRules,
};
use carekey_core::holder::{HttpClient, HttpRequest, HttpResponse, StoredCredential};
use carekey_core::random::SystemRandom;
use carekey_core::status::token_status_list::MEDIA_TYPE;
use carekey_core::store::MemoryStore;
use carekey_core::trust::VerifierTrust;
use carekey_core::x509::TrustAnchor;
use carekey_service::dids::Dids;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_service::limit::LimitConfig;
use carekey_service::serve::{self, ServerConfig};
use carekey_verifier::config::{TrustRule, TypesConfig};
use carekey_verifier::{App, Config};
use serde_json::{Value, json};

use crate::world::{ORIGIN, RP_ID, STATUS_URI, VCT, Wanted, Web, World, answer};

/// What the hospital's web server says about its status list.
pub struct Hospital {
    pub token: Mutex<Option<String>>,
    /// Further documents by their address.
    pub documents: Mutex<HashMap<String, String>>,
    pub fetches: AtomicUsize,
}

pub struct Verifier {
    pub world: Arc<World>,
    pub hospital: Arc<Hospital>,
    pub app: Arc<App>,
    pub memory: Arc<MemoryStore>,
    pub base: String,
    pub client: reqwest::Client,
    pub fetcher: Fetcher,
    dids: Dids,
    _folder: tempfile::TempDir,
}

pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.text)).to_owned()
    }
}

impl Verifier {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(|_, _, config| change(config)).await
    }

    pub async fn start_with_rules(change: impl FnOnce(&World, &mut Vec<TrustRule>)) -> Self {
        Self::start_at(|_, world, config| change(world, &mut config.trust)).await
    }

    pub async fn start_with_world(change: impl FnOnce(&World, &mut Config)) -> Self {
        Self::start_at(|_, world, config| change(world, config)).await
    }

    /// With a configuration that depends on the service's address.
    pub async fn start_at(change: impl FnOnce(&url::Url, &World, &mut Config)) -> Self {
        let world = Arc::new(World::new());
        let folder = tempfile::tempdir().unwrap();
        let anchor: PathBuf = folder.path().join("hospital.pem");
        std::fs::write(&anchor, world.authority.pem()).unwrap();
        let mut config = Config {
            data_dir: folder.path().join("data"),
            limit: LimitConfig { per_minute: 0, burst: 1 },
            types: TypesConfig { patient_identity: vec![VCT.into()], insurance_coverage: vec![] },
            trust: vec![TrustRule { anchors: vec![anchor], ..TrustRule::default() }],
            ..Config::default()
        };
        let server = ServerConfig { body_bytes: 256 * 1024, ..ServerConfig::default() };
        let bound = serve::bind(&server).unwrap();
        let public_url = bound.public_url(&server).unwrap();
        change(&public_url, &world, &mut config);
        let hospital = Arc::new(Hospital {
            token: Mutex::default(),
            documents: Mutex::default(),
            fetches: AtomicUsize::new(0),
        });
        *hospital.token.lock().unwrap() = Some(world.status_token(None, 3600));
        let web = Arc::clone(&hospital);
        let web = Web(move |request: &HttpRequest| -> Option<HttpResponse> {
            if let Some(document) = web.documents.lock().unwrap().get(request.url.as_str()) {
                return Some(answer(200, "application/json", document.clone()));
            }
            if request.url.path().ends_with("/did.json") || request.url.path().ends_with("/did.jsonl") {
                return Some(answer(404, "text/plain", ""));
            }
            assert_eq!(request.url.as_str(), STATUS_URI, "nothing else may be fetched");
            web.fetches.fetch_add(1, Ordering::SeqCst);
            web.token.lock().unwrap().clone().map(|token| answer(200, MEDIA_TYPE, token))
        });
        let memory = Arc::new(MemoryStore::default());
        let web: Arc<dyn HttpClient> = Arc::new(web);
        let dids = Dids::new(Arc::clone(&web), world.clock.clone(), false);
        let app = App::open_with(
            config,
            public_url.clone(),
            memory.clone(),
            world.clock.clone(),
            Arc::new(SystemRandom),
            web,
            Arc::new(dids),
        );
        let app = app.unwrap();
        let (router, metrics) = (carekey_verifier::router(Arc::clone(&app)), Arc::clone(app.metrics()));
        tokio::spawn(async move {
            serve::run(bound, router, &server, &metrics, std::future::pending()).await.unwrap();
        });
        let fetcher = Fetcher::new(FetchConfig { loopback: true, ..FetchConfig::default() }).unwrap();
        let base = public_url.as_str().trim_end_matches('/').to_owned();
        let dids = Dids::new(Arc::new(fetcher.clone()), world.clock.clone(), true);
        let client = reqwest::Client::new();
        Self { world, hospital, app, memory, base, client, fetcher, dids, _folder: folder }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let content_type =
            response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        assert!(response.headers().contains_key("x-content-type-options"));
        let text = response.text().await.unwrap();
        assert!(status < 500, "a fault of the server: {text}");
        Reply { status, content_type: content_type.unwrap_or_default(), text }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.client.get(format!("{}{path}", self.base)).bearer_auth(self.app.token().expose()))
            .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(self.app.token().expose());
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    pub async fn post_form(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Makes a request; its id and link.
    pub async fn create(&self, extra: Value) -> (String, String) {
        let mut body =
            json!({"template": "patient_identity", "purpose": "Prove who you are", "min_level": "uv"});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = self.post("/api/requests", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let created = reply.json();
        (created["id"].as_str().unwrap().to_owned(), created["request_uri"].as_str().unwrap().to_owned())
    }

    pub async fn state(&self, id: &str) -> Value {
        self.get(&format!("/api/requests/{id}")).await.json()
    }

    pub fn trust(&self) -> VerifierTrust {
        let anchor = TrustAnchor::from_der(&self.app.anchor().unwrap()).unwrap();
        VerifierTrust::new(vec![anchor], Vec::new()).with_unsigned().with_unknown_dids()
    }

    pub async fn credential(&self) -> StoredCredential {
        self.world.credential(Wanted::default()).await
    }

    /// The wallet opens `link` and answers with what is asked by default.
    pub async fn present(&self, link: &str, credentials: &[StoredCredential]) -> Delivery {
        let trust = self.trust();
        let context = self.context(&trust);
        let review = presentation::review(link, credentials, &context).await.unwrap();
        self.finish(review, credentials).await
    }

    pub async fn finish(&self, review: PresentationReview, credentials: &[StoredCredential]) -> Delivery {
        let trust = self.trust();
        let context = self.context(&trust);
        let selection = review.default_selection().unwrap();
        let prepared = presentation::prepare(review, &selection, credentials, &context).unwrap();
        let ceremony = self.world.authenticator.get(&prepared.request_options).unwrap();
        presentation::finish(prepared, &ceremony, credentials, &context).await.unwrap()
    }

    /// The form that the wallet would post, instead of posting it.
    pub async fn form_for(&self, link: &str, credentials: &[StoredCredential]) -> Vec<u8> {
        let (trust, posted) = (self.trust(), Mutex::new(Vec::new()));
        let review = presentation::review(link, credentials, &self.context(&trust)).await.unwrap();
        let http = Web(|request: &HttpRequest| {
            *posted.lock().unwrap() = request.body.clone();
            Some(answer(200, "application/json", "{}"))
        });
        let context = PresentationContext { http: &http, ..self.context(&trust) };
        let selection = review.default_selection().unwrap();
        let prepared = presentation::prepare(review, &selection, credentials, &context).unwrap();
        let ceremony = self.world.authenticator.get(&prepared.request_options).unwrap();
        presentation::finish(prepared, &ceremony, credentials, &context).await.unwrap();
        posted.lock().unwrap().clone()
    }

    pub fn context<'a>(&'a self, trust: &'a VerifierTrust) -> PresentationContext<'a> {
        PresentationContext {
            http: &self.fetcher,
            dids: &self.dids,
            keys: &self.world.keys,
            trust,
            rules: PresentationRules::none(),
            rp_id: RP_ID,
            origin: ORIGIN,
            clock: &*self.world.clock,
            random: &SystemRandom,
        }
    }

    pub fn later(&self, seconds: i64) {
        self.world.clock.set(self.world.clock.now().plus(seconds));
    }
}
