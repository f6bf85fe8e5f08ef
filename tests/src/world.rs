//! A hospital, a portal and a wallet in one process: both services on loopback with their own stores, the wallet as the
//! holder engine over HTTP with a software authenticator, and one clock for all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::attestation::WalletApps;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::authenticator::SoftwareAuthenticator;
use carekey_core::binding::claim::ClientKind;
use carekey_core::clock::{Clock, FixedClock, SystemClock};
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::holder::issuance::{self, IssuanceContext, IssuancePolicy};
use carekey_core::holder::presentation::{
    self, Delivery, PresentationContext, PresentationReview, PresentationRules,
};
use carekey_core::holder::{
    HolderKeyInfo, HolderKeys, KeyPurpose, SignItem, StoredCredential, WalletIdentity,
};
use carekey_core::issuer::catalogue::did_web;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::protocol::openid4vci::notification::NotificationEvent;
use carekey_core::random::{Random, SystemRandom};
use carekey_core::store::{MemoryStore, Store};
use carekey_core::trust::{IssuerRule, IssuerTrust, VerifierTrust};
use carekey_core::webauthn::assertion::AuthenticationResponse;
use carekey_core::webauthn::options::{CreationOptions, RequestOptions};
use carekey_core::webauthn::registration::RegistrationResponse;
use carekey_core::x509::TrustAnchor;
use carekey_core::{Error, Result};
use carekey_service::dids::Dids;
use carekey_service::fetch::{FetchConfig, Fetcher};
use carekey_service::limit::LimitConfig;
use carekey_service::serve::{self, ServerConfig};
use carekey_storage::SledStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

/// Where the services keep their records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// In memory.
    Memory,
    /// In the embedded store on disk.
    Disk,
}

/// Both services and what a test needs of them.
pub struct World {
    /// The hospital.
    pub issuer: Arc<carekey_issuer::App>,
    /// Its address.
    pub hospital: Url,
    /// The portal.
    pub verifier: Arc<carekey_verifier::App>,
    /// Its address.
    pub portal: Url,
    /// The time of everybody.
    pub clock: Arc<FixedClock>,
    /// A client that may reach loopback.
    pub http: Arc<Fetcher>,
    issuer_config: carekey_issuer::Config,
    issuer_store: Arc<dyn Store>,
    issuer_server: Running,
    _folder: TempDir,
}

/// A server in a task; it stops when this is dropped.
struct Running {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// Serves an issuer on `socket` until it is told to stop.
fn serve_issuer(issuer: &Arc<carekey_issuer::App>, socket: serve::Bound, server: ServerConfig) -> Running {
    let (router, metrics) = (carekey_issuer::router(issuer), issuer.metrics());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let until = async { drop(stopped.await) };
        serve::run(socket, router, &server, &metrics, until).await.expect("the issuer serves");
    });
    Running { stop, task }
}

/// The wallet's name towards issuers, also its origin.
pub const WALLET: &str = "http://localhost:8802";

fn fetch_config() -> FetchConfig {
    FetchConfig { loopback: true, ..FetchConfig::default() }
}

fn open_store(records: Records, folder: &Path) -> Arc<dyn Store> {
    match records {
        Records::Memory => Arc::new(MemoryStore::default()),
        Records::Disk => Arc::new(SledStore::open(folder).expect("an empty folder")),
    }
}

impl World {
    /// Starts both services.
    pub async fn start(records: Records) -> Self {
        Self::start_with(records, |_, _| {}).await
    }

    /// Starts both services after `change` has had its say about their configuration.
    pub async fn start_with(
        records: Records,
        change: impl FnOnce(&mut carekey_issuer::Config, &mut carekey_verifier::Config),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(FixedClock::new(SystemClock.now()));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let server = ServerConfig::default();
        let (issuer_socket, verifier_socket) =
            (serve::bind(&server).expect("a port"), serve::bind(&server).expect("a port"));
        let hospital = issuer_socket.public_url(&server).expect("a URL");
        let portal = verifier_socket.public_url(&server).expect("a URL");

        let no_limit = LimitConfig { per_minute: 0, burst: 0 };
        let mut issuer_config = carekey_issuer::Config {
            data_dir: folder.path().join("issuer"),
            limit: no_limit,
            wallets: vec![carekey_core::issuer::Wallet {
                client_id: WALLET.to_owned(),
                name: "Test wallet".to_owned(),
                rp_id: "localhost".to_owned(),
                origins: vec![WALLET.to_owned()],
                client: ClientKind::Browser,
                apps: WalletApps::default(),
            }],
            ..carekey_issuer::Config::default()
        };
        let mut verifier_config = carekey_verifier::Config {
            data_dir: folder.path().join("verifier"),
            fetch: fetch_config(),
            limit: no_limit,
            trust: vec![carekey_verifier::config::TrustRule {
                anchors: vec![folder.path().join("issuer/ca.pem")],
                // The hospital's name in W3C credentials.
                dids: vec![did_web(hospital.as_str()).expect("a host").to_string()],
                ..Default::default()
            }],
            ..carekey_verifier::Config::default()
        };
        verifier_config.types.patient_identity = vec![format!("{hospital}vct/patient-identity")];
        verifier_config.types.insurance_coverage = vec![format!("{hospital}vct/insurance-coverage")];
        change(&mut issuer_config, &mut verifier_config);

        let store = open_store(records, &folder.path().join("issuer-store"));
        let issuer_store = Arc::clone(&store);
        let issuer =
            carekey_issuer::App::open(&issuer_config, &hospital, store, clock.clone(), Arc::clone(&random))
                .await
                .expect("the issuer opens");
        let issuer_server = serve_issuer(&issuer, issuer_socket, server);

        let store = open_store(records, &folder.path().join("verifier-store"));
        let verifier =
            carekey_verifier::App::open(verifier_config, portal.clone(), store, clock.clone(), random)
                .expect("the verifier opens");
        let router = carekey_verifier::router(Arc::clone(&verifier));
        let metrics = Arc::clone(verifier.metrics());
        tokio::spawn(async move {
            serve::run(verifier_socket, router, &ServerConfig::default(), &metrics, std::future::pending())
                .await
        });
        let http = Arc::new(Fetcher::new(fetch_config()).expect("a client"));
        Self {
            issuer,
            hospital,
            verifier,
            portal,
            clock,
            http,
            issuer_config,
            issuer_store,
            issuer_server,
            _folder: folder,
        }
    }

    /// The folder of the issuer's keys.
    pub fn issuer_data(&self) -> &Path {
        &self.issuer_config.data_dir
    }

    /// Stops the issuer and starts it anew over the same records, keys and address.
    pub async fn restart_issuer(&mut self) {
        let port = self.hospital.port().expect("a port of its own");
        let server = ServerConfig { listen: ([127, 0, 0, 1], port).into(), ..ServerConfig::default() };
        let issuer = carekey_issuer::App::open(
            &self.issuer_config,
            &self.hospital,
            Arc::clone(&self.issuer_store),
            self.clock.clone(),
            Arc::new(SystemRandom),
        );
        self.issuer = issuer.await.expect("the issuer opens again");
        let (stop, never) = tokio::sync::oneshot::channel();
        let old = std::mem::replace(&mut self.issuer_server, Running { stop, task: tokio::spawn(async {}) });
        drop(never);
        drop(old.stop);
        old.task.await.expect("the issuer stops");
        // Kept connections have ended with it; a request over one of them would fail or not, as it happens.
        self.http = Arc::new(Fetcher::new(fetch_config()).expect("a client"));
        let socket = serve::bind(&server).expect("the same port");
        self.issuer_server = serve_issuer(&self.issuer, socket, server);
    }

    /// Rules that trust both services.
    pub fn trust(&self) -> (IssuerTrust, VerifierTrust) {
        let anchor =
            |der: Option<Vec<u8>>| TrustAnchor::from_der(&der.expect("its own CA")).expect("a certificate");
        let rule = IssuerRule {
            anchors: vec![anchor(self.issuer.anchor())],
            // The hospital's name in W3C credentials.
            dids: vec![self.issuer.issuer().verification_method().expect("a DID").did().clone()],
            ..IssuerRule::default()
        };
        let verifiers = VerifierTrust::new(vec![anchor(self.verifier.anchor())], Vec::new());
        (IssuerTrust::new(vec![rule]), verifiers)
    }

    /// `POST` to the management API of the service at `base`.
    pub async fn manage(&self, base: &Url, path: &str, body: &Value) -> HttpResponse {
        let token = if *base == self.hospital { self.issuer.token() } else { self.verifier.token() };
        let url = base.join(path).expect("a path");
        self.http.send(HttpRequest::post_json(url, body).bearer(token.expose())).await.expect("an answer")
    }

    /// `GET` from the management API of the service at `base`.
    pub async fn look(&self, base: &Url, path: &str) -> Value {
        let token = if *base == self.hospital { self.issuer.token() } else { self.verifier.token() };
        let url = base.join(path).expect("a path");
        let request = HttpRequest::get(url, "application/json").bearer(token.expose());
        body(&self.http.send(request).await.expect("an answer"))
    }

    /// The desk offers these kinds of credentials to a synthetic patient.
    pub async fn offer(&self, kinds: &[&str], tx_code: bool) -> Value {
        let offer = json!({ "credential_configuration_ids": kinds, "fhir": patient(), "tx_code": tx_code });
        let answer = self.manage(&self.hospital, "/api/offers", &offer).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        body(&answer)
    }

    /// The portal asks; the answer holds `id` and `request_uri`.
    pub async fn ask(&self, request: Value) -> Value {
        let answer = self.manage(&self.portal, "/api/requests", &request).await;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        body(&answer)
    }

    /// The portal asks for identity with user verification.
    pub async fn ask_identity(&self, response_mode: &str) -> Value {
        self.ask(json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
            "response_mode": response_mode }))
            .await
    }

    /// What the portal knows about a request.
    pub async fn state(&self, request: &Value) -> Value {
        self.look(&self.portal, &format!("/api/requests/{}", text(request, "id"))).await
    }
}

/// A member that is text.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The body as JSON.
pub fn body(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| panic!("{}: {}", response.status, String::from_utf8_lossy(&response.body)))
}

/// A synthetic patient of the desk: a Bundle with Patient and Coverage.
pub fn patient() -> Value {
    serde_json::from_str(include_str!("../../issuer/patients/zofie-testova.json")).expect("a FHIR Bundle")
}

/// Holder keys in memory.
#[derive(Default)]
pub struct SoftwareKeys(Mutex<HashMap<String, SoftwareKey>>);

#[async_trait]
impl HolderKeys for SoftwareKeys {
    async fn generate(&self, _: KeyPurpose) -> Result<HolderKeyInfo> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let random: &dyn Random = &SystemRandom;
        let info = HolderKeyInfo { alias: random.token(8), public_key: key.public_key().clone() };
        self.0.lock().expect("no panic inside").insert(info.alias.clone(), key);
        Ok(info)
    }

    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        let keys = self.0.lock().expect("no panic inside");
        let sign = |item: &SignItem| match keys.get(&item.alias) {
            Some(key) => key.sign(&item.message),
            None => Err(Error::misuse("holder_key_missing", "no such key")),
        };
        items.iter().map(sign).collect()
    }

    async fn delete(&self, alias: &str) -> Result<()> {
        self.0.lock().expect("no panic inside").remove(alias);
        Ok(())
    }
}

/// A wallet: the holder engine, its keys, its authenticator, what it trusts and what it holds.
pub struct Wallet {
    /// HK.
    pub keys: SoftwareKeys,
    /// AK, with the finger of its user.
    pub authenticator: SoftwareAuthenticator,
    /// What it holds.
    pub credentials: Vec<StoredCredential>,
    /// Transaction types and authorities that it knows.
    pub rules: PresentationRules,
    identity: WalletIdentity,
    origin: String,
    issuers: IssuerTrust,
    verifiers: VerifierTrust,
    clock: Arc<dyn Clock>,
    http: Arc<dyn HttpClient>,
    dids: Dids,
}

impl Wallet {
    /// A wallet that trusts the services of `world`.
    pub fn new(world: &World) -> Self {
        let (issuers, verifiers) = world.trust();
        Self::trusting(issuers, verifiers, world.clock.clone(), Arc::clone(&world.http))
    }

    /// A wallet with these rules.
    pub fn trusting(
        issuers: IssuerTrust,
        verifiers: VerifierTrust,
        clock: Arc<dyn Clock>,
        http: Arc<Fetcher>,
    ) -> Self {
        Self {
            keys: SoftwareKeys::default(),
            authenticator: SoftwareAuthenticator::new(WALLET, Arc::new(SystemRandom)),
            credentials: Vec::new(),
            rules: PresentationRules::default(),
            origin: WALLET.to_owned(),
            identity: WalletIdentity {
                client_id: WALLET.to_owned(),
                rp_id: "localhost".to_owned(),
                rp_name: "Test wallet".to_owned(),
                user_name: "patient".to_owned(),
                user_display_name: "Patient".to_owned(),
                user_handle: "AAECAwQFBgc".to_owned(),
            },
            issuers,
            verifiers,
            dids: Dids::new(http.clone(), clock.clone(), true),
            clock,
            http,
        }
    }

    /// The same wallet under another name towards issuers, with the RP ID and origin of its authenticator.
    #[must_use]
    pub fn named(mut self, client_id: &str, rp_id: &str, origin: &str) -> Self {
        self.authenticator = SoftwareAuthenticator::new(origin, Arc::new(SystemRandom));
        origin.clone_into(&mut self.origin);
        client_id.clone_into(&mut self.identity.client_id);
        rp_id.clone_into(&mut self.identity.rp_id);
        self
    }

    /// The same wallet behind another HTTP client.
    #[must_use]
    pub fn with_http(mut self, http: Arc<dyn HttpClient>) -> Self {
        self.http = http;
        self
    }

    /// What the engine needs to collect.
    pub fn issuance(&self) -> IssuanceContext<'_> {
        IssuanceContext {
            http: &*self.http,
            dids: &self.dids,
            keys: &self.keys,
            trust: &self.issuers,
            wallet: &self.identity,
            locale: "en",
            clock: &*self.clock,
            random: &SystemRandom,
            policy: IssuancePolicy::default(),
        }
    }

    /// What the engine needs to present.
    pub fn presentation(&self) -> PresentationContext<'_> {
        PresentationContext {
            http: &*self.http,
            dids: &self.dids,
            keys: &self.keys,
            trust: &self.verifiers,
            rules: &self.rules,
            rp_id: &self.identity.rp_id,
            origin: &self.origin,
            clock: &*self.clock,
            random: &SystemRandom,
        }
    }

    /// Accepts an offer: review, one registration, collect, tell the issuer.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn accept(&mut self, link: &str, tx_code: Option<&str>) -> Result<()> {
        self.accept_with(link, tx_code, |wallet, options| wallet.authenticator.create(options)).await
    }

    /// Accepts an offer with a registration of the test's making.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn accept_with(
        &mut self,
        link: &str,
        tx_code: Option<&str>,
        create: impl FnOnce(&Self, &CreationOptions) -> Result<RegistrationResponse>,
    ) -> Result<()> {
        let context = self.issuance();
        let review = issuance::review(link, &context).await?;
        let prepared = issuance::prepare(&review, tx_code, &context).await?;
        let registration = match &prepared.creation_options {
            Some(options) => Some(create(self, options)?),
            None => None,
        };
        let finished = issuance::finish(&prepared, registration.as_ref(), &context).await?;
        issuance::notify(&finished, NotificationEvent::CredentialAccepted, &context).await?;
        self.credentials.extend(finished.credentials);
        Ok(())
    }

    /// Opens a request and shows who asks for what.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn open(&self, link: &str) -> Result<PresentationReview> {
        presentation::review(link, &self.credentials, &self.presentation()).await
    }

    /// Answers a request with the usual choice: one assertion, then the answer.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn answer(&self, link: &str) -> Result<Delivery> {
        let review = self.open(link).await?;
        self.answer_reviewed(review).await
    }

    /// Answers a reviewed request.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn answer_reviewed(&self, review: PresentationReview) -> Result<Delivery> {
        self.answer_with(review, |wallet, options| wallet.authenticator.get(options)).await
    }

    /// Answers a reviewed request with an assertion of the test's making.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn answer_with(
        &self,
        review: PresentationReview,
        get: impl FnOnce(&Self, &RequestOptions) -> Result<AuthenticationResponse>,
    ) -> Result<Delivery> {
        let context = self.presentation();
        let selection =
            review.default_selection().ok_or_else(|| Error::refused("no_answer", "nothing fits"))?;
        let prepared = presentation::prepare(review, &selection, &self.credentials, &context)?;
        let response = get(self, &prepared.request_options)?;
        presentation::finish(prepared, &response, &self.credentials, &context).await
    }

    /// Says no to a reviewed request.
    ///
    /// # Errors
    /// Of the engine.
    pub async fn decline(&self, review: &PresentationReview) -> Result<Delivery> {
        presentation::decline(review, &self.presentation()).await
    }
}

/// The level of a verified request, as the management API says it.
pub fn level(state: &Value) -> AssuranceLevel {
    let level = state.pointer("/outcome/presentation/level").cloned().unwrap_or_default();
    serde_json::from_value(level).unwrap_or_else(|_| panic!("no level in {state}"))
}
