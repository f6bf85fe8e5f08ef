//! An issuer on a socket of its own, and a foreign wallet's hands.

use std::sync::Arc;

use carekey_core::clock::{Clock, FixedClock, UnixTime};
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use carekey_core::store::{MemoryStore, Store, Table};
use carekey_issuer::{App, Config, router};
use carekey_service::serve;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use url::Url;

const TABLES: &[Table] = &[
    Table::new("dpop_proofs"),
    Table::new("attestation_proofs"),
    Table::new("grants"),
    Table::new("subjects"),
    Table::new("pushed_requests"),
    Table::new("logins"),
    Table::new("authorization_codes"),
    Table::new("deferred"),
    Table::new("offers"),
    Table::new("offer_codes"),
    Table::new("datasets"),
    Table::new("access_tokens"),
    Table::new("used_nonces"),
    Table::new("credentials"),
    Table::new("notifications"),
    Table::new("authenticators"),
    Table::new("app_attest_keys"),
    Table::new("enrolments"),
    Table::new("status_lists"),
    Table::new("status_entries"),
    Table::new("status_current"),
];

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) hk: SoftwareKey,
    config: Config,
    store: Arc<MemoryStore>,
    folder: TempDir,
    client: Client,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().unwrap().to_owned())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }
}

/// A key proof, right unless a member says otherwise; `nonce` null leaves it out.
#[derive(Default)]
pub(crate) struct Proof {
    pub(crate) typ: Option<String>,
    pub(crate) alg: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) jwk: Option<Value>,
    pub(crate) crit: bool,
    pub(crate) aud: Option<Value>,
    pub(crate) iat: Option<Value>,
    pub(crate) nonce: Option<Value>,
    pub(crate) ak_jkt: Option<Value>,
}

impl World {
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.data_dir = folder.path().join("issuer");
        config.limit.per_minute = 0;
        change(&mut config);
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(1_796_000_000)));
        Self::open(
            config,
            folder,
            Arc::new(MemoryStore::default()),
            clock,
            SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap(),
        )
        .await
    }

    async fn open(
        mut config: Config,
        folder: TempDir,
        store: Arc<MemoryStore>,
        clock: Arc<FixedClock>,
        hk: SoftwareKey,
    ) -> Self {
        let bound = serve::bind(&config.server).unwrap();
        let url = bound.public_url(&config.server).unwrap();
        config.server.listen = bound.address();
        config.server.public_url = Some(url.clone());
        let app =
            App::open(&config, &url, store.clone(), clock.clone(), Arc::new(SystemRandom)).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (routes, server_config, metrics) = (router(&app), config.server.clone(), app.metrics());
        let server = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            serve::run(bound, routes, &server_config, &metrics, shutdown).await.unwrap();
        });
        let url = url.as_str().trim_end_matches('/').to_owned();
        Self { url, app, clock, hk, config, store, folder, client: Client::new(), stop, server }
    }

    /// Stops the server and starts another one over the same folder, store and address.
    pub(crate) async fn restart(self) -> Self {
        let Self { config, folder, store, clock, hk, stop, server, client, app, .. } = self;
        drop((client, app));
        stop.send(()).unwrap();
        server.await.unwrap();
        Self::open(config, folder, store, clock, hk).await
    }

    pub(crate) fn later(&self, secs: i64) {
        self.clock.set(self.clock.now().plus(secs));
    }

    pub(crate) fn management(&self) -> String {
        self.app.token().expose().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert!(status < 500, "no fault of the server");
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_api(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(self.management())).await
    }

    pub(crate) async fn raw(&self, path: &str, media: &str, body: Vec<u8>, bearer: Option<&str>) -> Answer {
        let mut request = self.request(Method::POST, path).body(body);
        if !media.is_empty() {
            request = request.header("content-type", media);
        }
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        self.send(request).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value, bearer: Option<&str>) -> Answer {
        self.raw(path, "application/json; charset=utf-8", body.to_string().into_bytes(), bearer).await
    }

    pub(crate) async fn post_json_with(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
        bearer: Option<&str>,
    ) -> Answer {
        let mut request = self.request(Method::POST, path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.bearer_auth(bearer.unwrap()).body(body.to_string())).await
    }

    pub(crate) async fn post_form(&self, path: &str, form: &str) -> Answer {
        self.raw(path, "application/x-www-form-urlencoded", form.as_bytes().to_vec(), None).await
    }

    pub(crate) async fn post_api(&self, path: &str, body: &Value) -> Answer {
        self.post_json(path, body, Some(&self.management())).await
    }

    /// An offer of the patient's identity, with `changes` to the request.
    pub(crate) async fn offer(&self, changes: Value) -> Value {
        let mut body = json!({
            "credential_configuration_ids": ["patient_identity"],
            "fhir": bundle(),
            "reference": "case 7",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.post_api("/api/offers", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn token(&self, offer: &Value) -> String {
        let answer = self.post_form("/oid4vci/token", &form_of(offer)).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn nonce(&self) -> String {
        let answer = self.raw("/oid4vci/nonce", "", Vec::new(), None).await;
        assert_eq!((answer.status, answer.header("cache-control").as_deref()), (200, Some("no-store")));
        answer.json()["c_nonce"].as_str().unwrap().to_owned()
    }

    pub(crate) fn jwk(key: &SoftwareKey) -> Value {
        Jwk::from_key(key.public_key()).to_value()
    }

    pub(crate) async fn proof(&self, proof: Proof) -> String {
        let mut header = Map::new();
        header.insert("alg".into(), proof.alg.unwrap_or_else(|| "ES256".into()).into());
        header.insert("typ".into(), proof.typ.unwrap_or_else(|| "openid4vci-proof+jwt".into()).into());
        match (proof.kid, proof.jwk) {
            (Some(kid), _) => header.insert("kid".into(), kid.into()),
            (None, Some(jwk)) => header.insert("jwk".into(), jwk),
            (None, None) => header.insert("jwk".into(), Self::jwk(&self.hk)),
        };
        if proof.crit {
            header.insert("crit".into(), json!(["x"]));
        }
        let mut claims = Map::new();
        claims.insert("aud".into(), proof.aud.unwrap_or_else(|| self.url.clone().into()));
        claims.insert("iat".into(), proof.iat.unwrap_or_else(|| self.clock.now().as_secs().into()));
        match proof.nonce {
            None => claims.insert("nonce".into(), self.nonce().await.into()),
            Some(Value::Null) => None,
            Some(value) => claims.insert("nonce".into(), value),
        };
        if let Some(jkt) = proof.ak_jkt {
            claims.insert("ak_jkt".into(), jkt);
        }
        let input = jws::signing_input(&header, Value::Object(claims).to_string().as_bytes()).unwrap();
        let signature = self.hk.sign(input.as_bytes()).unwrap();
        jws::assemble(input, &signature)
    }

    pub(crate) async fn ask(&self, token: &str, id: &str, proof: &str) -> Answer {
        let body = json!({"credential_configuration_id": id, "proofs": {"jwt": [proof]}});
        self.post_json("/oid4vci/credential", &body, Some(token)).await
    }

    /// Offer, token, nonce and credential, without anything special.
    pub(crate) async fn collect(&self, id: &str) -> (u16, Value) {
        let offer = self.offer(json!({"credential_configuration_ids": [id]})).await;
        let token = self.token(&offer).await;
        let proof = self.proof(Proof::default()).await;
        let answer = self.ask(&token, id, &proof).await;
        (answer.status, answer.json())
    }

    /// Table, key and version of every record.
    pub(crate) async fn snapshot(&self) -> Vec<(String, Vec<u8>, u64)> {
        let mut all = Vec::new();
        for &table in TABLES {
            let rows = self.store.scan(table, None, 1000).await.unwrap();
            all.extend(rows.into_iter().map(|(key, record)| (table.name().to_owned(), key, record.version)));
        }
        all
    }

    /// Whether any value under the seal holds `needle` in clear.
    pub(crate) async fn store_holds(&self, needle: &[u8]) -> bool {
        for &table in TABLES {
            let rows = self.store.scan(table, None, 1000).await.unwrap();
            if rows.iter().any(|(_, record)| record.value.windows(needle.len()).any(|part| part == needle)) {
                return true;
            }
        }
        false
    }
}

/// The token request for an offer as the management API returned it.
pub(crate) fn form_of(offer: &Value) -> String {
    let grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
    let code = offer["credential_offer"]["grants"][grant]["pre-authorized_code"].as_str().unwrap();
    let mut url = Url::parse("http://x/").unwrap();
    url.query_pairs_mut().append_pair("grant_type", grant).append_pair("pre-authorized_code", code);
    if let Some(tx_code) = offer["tx_code"].as_str() {
        url.query_pairs_mut().append_pair("tx_code", tx_code);
    }
    url.query().unwrap().to_owned()
}

pub(crate) fn bundle() -> Value {
    json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {
            "resourceType": "Patient", "id": "p1", "birthDate": "1978-03-09",
            "name": [{"use": "official", "family": "Åkerström", "given": ["Zoë", "Anaïs"]}],
            "identifier": [{"system": "urn:x", "value": "42"}],
            "address": [{"use": "home", "line": ["Storgatan 1"], "city": "Umeå", "country": "SE"}],
        }},
        {"fullUrl": "urn:uuid:2", "resource": {
            "resourceType": "Coverage", "id": "c1", "status": "active", "subscriberId": "S-1",
            "beneficiary": {"reference": "urn:uuid:1"}, "payor": [{"reference": "#org"}],
            "contained": [{"resourceType": "Organization", "id": "org", "name": "Kasse"}],
        }},
    ]})
}
