//! The authorization code flow over sockets: a wallet, a browser, and a small OpenID Connect provider of its own.

use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use carekey_core::issuer::Client;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jwt;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::protocol::oauth::pkce;
use carekey_issuer::Config;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use url::Url;

use crate::dpop::Client as Wallet;
use crate::world::{Answer, Proof, World};

pub(crate) const REDIRECT: &str = "https://wallet.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What the provider says next.
#[derive(Clone)]
struct Says {
    subject: String,
    change: fn(&mut Map<String, Value>),
}

struct Provider {
    url: String,
    key: SoftwareKey,
    says: Mutex<Says>,
    asked: Mutex<HashMap<String, String>>,
}

async fn provider() -> Arc<Provider> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = Arc::new(Provider {
        url,
        key: SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap(),
        says: Mutex::new(Says { subject: "patient-7".into(), change: |_| {} }),
        asked: Mutex::default(),
    });
    type Shared = State<Arc<Provider>>;
    let metadata = |State(p): Shared| async move {
        let at = |path: &str| format!("{}{path}", p.url);
        Json(json!({
            "issuer": p.url, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"), "authorization_response_iss_parameter_supported": true,
        }))
    };
    let keys = |State(p): Shared| async move {
        let mut jwk = Jwk::from_key(p.key.public_key());
        jwk.kid = Some("k1".into());
        Json(json!({"keys": [jwk.to_value()]}))
    };
    let authorize = |State(p): Shared, Query(query): Query<HashMap<String, String>>| async move {
        let mut to = Url::parse(&query["redirect_uri"]).unwrap();
        to.query_pairs_mut()
            .append_pair("code", "from-provider")
            .append_pair("state", &query["state"])
            .append_pair("iss", &p.url);
        *p.asked.lock().unwrap() = query;
        Redirect::to(to.as_str())
    };
    let token = |State(p): Shared, headers: http::HeaderMap, Form(form): Form<HashMap<String, String>>| async move {
        let asked = p.asked.lock().unwrap().clone();
        assert_eq!(form["code"], "from-provider");
        assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
        assert_eq!(pkce::challenge(&form["code_verifier"]), asked["code_challenge"]);
        assert_eq!(headers["authorization"], "Basic ZGVzazpzZWNyZXQ=", "desk:secret");
        let says = p.says.lock().unwrap().clone();
        let now = 1_796_000_000;
        let claims = json!({
            "iss": p.url, "aud": "desk", "sub": says.subject, "nonce": asked["nonce"], "iat": now, "exp": now + 300,
        });
        let mut claims = claims.as_object().unwrap().clone();
        (says.change)(&mut claims);
        let header = json!({"kid": "k1"}).as_object().unwrap().clone();
        Json(
            json!({"id_token": jwt::sign("JWT", header, &claims, &p.key).unwrap(), "access_token": "x", "token_type": "Bearer"}),
        )
    };
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/keys", get(keys))
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .with_state(Arc::clone(&provider));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    provider
}

pub(crate) fn code_flow(config: &mut Config) {
    config.clients = vec![
        Client {
            client_id: "wallet.example".into(),
            name: "Example Wallet".into(),
            redirect_uris: vec![REDIRECT.into()],
        },
        Client {
            client_id: "other.example".into(),
            name: "Other".into(),
            redirect_uris: vec!["https://other.example/".into()],
        },
    ];
    config.fetch.loopback = true;
}

async fn world(provider: &Provider) -> World {
    world_with(provider, |_| {}).await
}

async fn world_with(provider: &Provider, change: impl FnOnce(&mut Config)) -> World {
    let secret = std::env::temp_dir().join(format!("provider-secret-{}", std::process::id()));
    std::fs::write(&secret, "secret\n").unwrap();
    let described = json!({
        "name": "Hospital login", "issuer": provider.url, "client_id": "desk", "client_secret": secret,
    });
    World::start(|config| {
        code_flow(config);
        config.provider = Some(serde_json::from_value(described).unwrap());
        change(config);
    })
    .await
}

/// The pushed request, as pairs.
pub(crate) fn request(scope: &str, issuer_state: Option<&str>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = [
        ("response_type", "code"),
        ("client_id", "wallet.example"),
        ("redirect_uri", REDIRECT),
        ("code_challenge", &pkce::challenge(VERIFIER)),
        ("code_challenge_method", "S256"),
        ("state", "wallet-state"),
        ("scope", scope),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    pairs.extend(issuer_state.map(|state| ("issuer_state".to_owned(), state.to_owned())));
    pairs
}

pub(crate) fn encode(pairs: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) async fn push(world: &World, pairs: &[(String, String)]) -> Answer {
    world.post_form("/oid4vci/par", &encode(pairs)).await
}

/// A browser that follows nothing by itself.
pub(crate) struct Browser {
    client: reqwest::Client,
    cookie: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, cookie: String::new() }
    }

    /// Status, `Location` and body.
    pub(crate) async fn go(
        &mut self,
        method: Method,
        url: &str,
        form: Option<&str>,
    ) -> (u16, String, String) {
        let mut request = self.client.request(method, url).header("cookie", &self.cookie);
        if let Some(form) = form {
            let origin = Url::parse(url).unwrap().origin().ascii_serialization();
            request = request.header("origin", origin).body(form.to_owned());
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let answer = request.send().await.unwrap();
        if let Some(cookie) = answer.headers().get("set-cookie") {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let location =
            answer.headers().get("location").map_or("", |value| value.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), location, answer.text().await.unwrap())
    }

    /// From the pushed request to the sign-in page.
    pub(crate) async fn open(&mut self, world: &World, pushed: &Answer) -> (u16, String) {
        let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
        let mut url = Url::parse(&format!("{}/oid4vci/authorize", world.url)).unwrap();
        url.query_pairs_mut().append_pair("client_id", "wallet.example").append_pair("request_uri", &uri);
        let (status, location, body) = self.go(Method::GET, url.as_str(), None).await;
        if status != 303 {
            return (status, body);
        }
        assert_eq!(location, "/oid4vci/login");
        let (status, _, page) = self.go(Method::GET, &format!("{}/oid4vci/login", world.url), None).await;
        (status, page)
    }

    /// To the provider and back: where the browser is sent in the end, or the page.
    async fn sign_in(&mut self, world: &World) -> (u16, String, String) {
        let (status, to, page) =
            self.go(Method::GET, &format!("{}/oid4vci/login/provider", world.url), None).await;
        if status != 303 {
            return (status, to, page);
        }
        let (_, back, _) = self.go(Method::GET, &to, None).await;
        self.go(Method::GET, &back, None).await
    }

    /// With the code of the desk: the address behind "continue in the wallet".
    pub(crate) async fn by_code(&mut self, world: &World, code: &str) -> (u16, Option<String>) {
        let url = format!("{}/oid4vci/login/code", world.url);
        let (status, _, page) = self.go(Method::POST, &url, Some(&format!("code={code}"))).await;
        let link = page.split("href=\"").find(|part| part.starts_with("https://wallet.example"));
        (status, link.map(|part| part.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")))
    }
}

pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

pub(crate) fn redeem(code: &str) -> Vec<(String, String)> {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", "wallet.example"),
        ("code_verifier", VERIFIER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn with(pairs: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut pairs = pairs.to_vec();
    match pairs.iter_mut().find(|(n, _)| n == name) {
        Some(pair) => pair.1 = value.to_owned(),
        None => pairs.push((name.to_owned(), value.to_owned())),
    }
    pairs
}

fn without(pairs: &[(String, String)], name: &str) -> Vec<(String, String)> {
    pairs.iter().filter(|(n, _)| n != name).cloned().collect()
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn issuer_state(offer: &Value) -> String {
    offer["credential_offer"]["grants"]["authorization_code"]["issuer_state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_person_who_signs_in_gets_their_own_credentials_once() {
    let provider = provider().await;
    let world = world(&provider).await;
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["require_pushed_authorization_requests"], true);
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    let offer = world.offer(json!({"flow": "authorization_code", "subject": "patient-7"})).await;
    // With the offer, and without it: the desk prepared it under the person's identifier.
    for state in [Some(issuer_state(&offer)), None] {
        let pushed = push(&world, &request("openid patient_identity", state.as_deref())).await;
        assert_eq!(pushed.status, 201, "{}", pushed.text());
        let mut browser = Browser::new();
        let (status, page) = browser.open(&world, &pushed).await;
        assert!(
            status == 200 && page.contains("Example Wallet") && page.contains("Patient identity"),
            "{page}"
        );
        assert!(page.contains("Sign in with Hospital login") && !page.contains("name=\"code\""));
        let (status, back, page) = browser.sign_in(&world).await;
        assert_eq!(status, 303, "{page}");
        assert!(back.starts_with(REDIRECT), "{back}");
        assert_eq!(parameter(&back, "state").as_deref(), Some("wallet-state"));
        assert_eq!(parameter(&back, "iss"), Some(world.url.clone()));
        if state.is_some() {
            // Not redeemed: the second round finds the same offer.
            continue;
        }
        let form = redeem(&parameter(&back, "code").unwrap());
        let before = world.snapshot().await;
        for (form, expected) in [
            (with(&form, "code_verifier", &"x".repeat(43)), "invalid_grant"),
            (with(&form, "redirect_uri", "https://wallet.example/cb2"), "invalid_grant"),
            (with(&form, "client_id", "other.example"), "invalid_grant"),
            (without(&form, "client_id"), "invalid_grant"),
            (with(&form, "code", "invented"), "invalid_grant"),
            (without(&form, "code_verifier"), "invalid_request"),
            (without(&form, "redirect_uri"), "invalid_request"),
        ] {
            let answer = world.post_form("/oid4vci/token", &encode(&form)).await;
            assert_eq!(error(&answer), (400, expected.into()), "{}", answer.text());
        }
        assert_eq!(world.snapshot().await, before, "the code is not spoilt");
        let answer = world.post_form("/oid4vci/token", &encode(&form)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let issued = world.ask(&token, "patient_identity", &world.proof(Proof::default()).await).await;
        assert_eq!(issued.status, 200, "{}", issued.text());
        // A second use takes the token away.
        let again = world.post_form("/oid4vci/token", &encode(&form)).await;
        assert_eq!(error(&again), (400, "invalid_grant".into()));
        let note =
            json!({"notification_id": issued.json()["notification_id"], "event": "credential_accepted"});
        let dead = world.post_json("/oid4vci/notification", &note, Some(&token)).await;
        assert_eq!(error(&dead), (401, "invalid_token".into()));
    }
}

#[tokio::test]
async fn the_record_of_a_person_who_signs_in_comes_from_the_fhir_server() {
    let (provider, (fhir, asked, _folder)) = (provider().await, crate::external::fhir().await);
    let world =
        world_with(&provider, |config| config.patients = Some(serde_json::from_value(fhir).unwrap())).await;
    for (subject, found) in [("patient-7", true), ("patient-8", false)] {
        provider.says.lock().unwrap().subject = subject.into();
        let pushed = push(&world, &request("patient_identity", None)).await;
        let mut browser = Browser::new();
        browser.open(&world, &pushed).await;
        let (_, back, page) = browser.sign_in(&world).await;
        assert_eq!(asked.lock().unwrap().pop(), Some(format!("urn:mrn|{subject}")), "{page}");
        if !found {
            assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
            continue;
        }
        let form = encode(&redeem(&parameter(&back, "code").unwrap()));
        let token = world.post_form("/oid4vci/token", &form).await.json();
        let token = token["access_token"].as_str().unwrap();
        let issued = world.ask(token, "patient_identity", &world.proof(Proof::default()).await).await;
        assert_eq!(issued.status, 200, "{}", issued.text());
    }
    // Several patients by one subject: nobody's record, and the fault is not the person's.
    provider.says.lock().unwrap().subject = "twin".into();
    let pushed = push(&world, &request("patient_identity", None)).await;
    let mut browser = Browser::new();
    browser.open(&world, &pushed).await;
    assert_eq!(browser.sign_in(&world).await.0, 502);
}

#[tokio::test]
async fn requests_that_are_not_pushed_registered_or_proven_go_nowhere() {
    let world = World::start(code_flow).await;
    let offer = world.offer(json!({"flow": "authorization_code", "tx_code": true})).await;
    let good = request("patient_identity", Some(&issuer_state(&offer)));
    let before = world.snapshot().await;
    for (pairs, expected) in [
        (with(&good, "redirect_uri", "https://wallet.example/cb/"), "invalid_request"),
        (with(&good, "redirect_uri", "https://evil.example/cb"), "invalid_request"),
        (with(&good, "redirect_uri", "https://other.example/"), "invalid_request"),
        (with(&good, "client_id", "nobody"), "invalid_client"),
        (with(&good, "response_type", "token"), "unsupported_response_type"),
        (with(&good, "code_challenge_method", "plain"), "invalid_request"),
        (without(&good, "code_challenge"), "invalid_request"),
        (without(&good, "code_challenge_method"), "invalid_request"),
        (without(&good, "redirect_uri"), "invalid_request"),
        (with(&good, "scope", "openid profile"), "invalid_scope"),
        (with(&good, "issuer_state", "invented"), "invalid_request"),
        (with(&good, "request_uri", "urn:x"), "invalid_request"),
        (with(&good, "authorization_details", "[]"), "invalid_authorization_details"),
        (with(&good, "state", &"x".repeat(20_000)), "invalid_request"),
    ] {
        let answer = push(&world, &pairs).await;
        assert_eq!(error(&answer), (400, expected.into()), "{}", answer.text());
    }
    assert_eq!(world.snapshot().await, before);
    // What was not pushed is shown to nobody but the person.
    let mut browser = Browser::new();
    for query in [
        "",
        "?client_id=wallet.example",
        "?client_id=wallet.example&request_uri=urn:x",
        &format!("?{}", encode(&good)),
    ] {
        let (status, location, _) =
            browser.go(Method::GET, &format!("{}/oid4vci/authorize{query}", world.url), None).await;
        assert_eq!((status, location.as_str()), (400, ""), "{query}");
    }
    // A pushed request counts once, and for its own client.
    let pushed = push(&world, &good).await;
    assert_eq!(browser.open(&world, &pushed).await.0, 200);
    assert_eq!(Browser::new().open(&world, &pushed).await.0, 400);
    let pushed = push(&world, &good).await;
    world.later(91);
    assert_eq!(Browser::new().open(&world, &pushed).await.0, 400, "for a minute and a half");
}

#[tokio::test]
async fn the_code_of_the_desk_signs_in_and_locks_after_a_few_guesses() {
    let world = World::start(code_flow).await;
    for guesses in [0, 4, 5] {
        let offer = world.offer(json!({"flow": "authorization_code", "tx_code": true})).await;
        let right = offer["tx_code"].as_str().unwrap();
        let wrong = if right.starts_with('0') { "100000" } else { "000000" };
        let pushed = push(&world, &request("patient_identity", Some(&issuer_state(&offer)))).await;
        let mut browser = Browser::new();
        assert!(browser.open(&world, &pushed).await.1.contains("name=\"code\""));
        for guess in 1..=guesses {
            let (status, link) = browser.by_code(&world, wrong).await;
            if guess < 5 {
                assert_eq!((status, link), (403, None));
            } else {
                assert_eq!(parameter(&link.unwrap(), "error").as_deref(), Some("access_denied"));
            }
        }
        let (status, link) = browser.by_code(&world, right).await;
        let summary = world.get_api(&format!("/api/offers/{}", offer["id"].as_str().unwrap())).await.json();
        if guesses == 5 {
            assert_eq!((status, link, summary["state"].as_str()), (400, None, Some("locked")));
        } else {
            let answer = world
                .post_form("/oid4vci/token", &encode(&redeem(&parameter(&link.unwrap(), "code").unwrap())))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    // A sign-in without the browser's cookie, and one from a foreign page.
    let (status, link) = Browser::new().by_code(&world, "123456").await;
    assert_eq!((status, link), (400, None));
    let foreign = world
        .request(Method::POST, "/oid4vci/login/code")
        .header("origin", "https://evil.example")
        .body("code=1");
    assert_eq!(world.send(foreign).await.status, 403);
}

#[tokio::test]
async fn who_the_provider_does_not_vouch_for_gets_nothing() {
    let provider = provider().await;
    let world = world(&provider).await;
    let offer = world.offer(json!({"flow": "authorization_code", "subject": "patient-7"})).await;
    let state = issuer_state(&offer);
    let start = async || {
        let mut browser = Browser::new();
        let pushed = push(&world, &request("patient_identity", Some(&state))).await;
        browser.open(&world, &pushed).await;
        browser
    };
    // Somebody else, with or without a record of their own.
    provider.says.lock().unwrap().subject = "patient-8".into();
    let (_, back, _) = start().await.sign_in(&world).await;
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "code"), None);
    provider.says.lock().unwrap().subject = "patient-7".into();
    let lies: [fn(&mut Map<String, Value>); 4] = [
        |claims| drop(claims.insert("nonce".into(), "another".into())),
        |claims| drop(claims.insert("aud".into(), "another".into())),
        |claims| drop(claims.insert("iss".into(), "https://evil.example".into())),
        |claims| drop(claims.insert("exp".into(), 1_795_000_000.into())),
    ];
    for lie in lies {
        provider.says.lock().unwrap().change = lie;
        let (status, back, _) = start().await.sign_in(&world).await;
        assert_eq!((status, back.as_str()), (400, ""));
    }
    provider.says.lock().unwrap().change = |_| {};
    // An answer of another sign-in: state, browser, or server mixed up.
    let (mut victim, mut other) = (start().await, start().await);
    let (_, to, _) = victim.go(Method::GET, &format!("{}/oid4vci/login/provider", world.url), None).await;
    let (_, back, _) = victim.go(Method::GET, &to, None).await;
    assert_eq!(other.go(Method::GET, &back, None).await.0, 400, "the browser of somebody else");
    let mixed = back.replace(
        &url::form_urlencoded::byte_serialize(provider.url.as_bytes()).collect::<String>(),
        "https%3A%2F%2Fevil.example",
    );
    assert_ne!(mixed, back);
    assert_eq!(victim.go(Method::GET, &back.replace("state=", "state=x"), None).await.0, 400);
    let (status, location, _) = victim.go(Method::GET, &mixed, None).await;
    assert_eq!((status, location.as_str()), (400, ""), "the answer of another provider");
    assert!(world.get_api("/api/credentials").await.json()["credentials"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn of_a_hundred_uses_of_a_code_none_survives() {
    let world = World::start(code_flow).await;
    let offer = world.offer(json!({"flow": "authorization_code", "tx_code": true})).await;
    let pushed = push(&world, &request("patient_identity", Some(&issuer_state(&offer)))).await;
    let mut browser = Browser::new();
    browser.open(&world, &pushed).await;
    let link = browser.by_code(&world, offer["tx_code"].as_str().unwrap()).await.1.unwrap();
    let form = encode(&redeem(&parameter(&link, "code").unwrap()));
    let sent: Vec<_> = (0..100)
        .map(|_| {
            let request = world.request(Method::POST, "/oid4vci/token").body(form.clone());
            tokio::spawn(request.header("content-type", "application/x-www-form-urlencoded").send())
        })
        .collect();
    let mut tokens = Vec::new();
    for answer in sent {
        let answer = answer.await.unwrap().unwrap();
        let (status, body) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        let body: Value = serde_json::from_slice(&body).unwrap();
        match status {
            200 => tokens.push(body["access_token"].as_str().unwrap().to_owned()),
            _ => assert_eq!((status, &body["error"]), (400, &json!("invalid_grant"))),
        }
    }
    assert_eq!(tokens.len(), 1, "one token at most, and it ended with the second use");
    let dead = world.ask(&tokens[0], "patient_identity", &world.proof(Proof::default()).await).await;
    assert_eq!(error(&dead), (401, "invalid_token".into()));
}

#[tokio::test]
async fn a_code_is_good_for_the_key_that_pushed_the_request() {
    let world = World::start(code_flow).await;
    let (wallet, thief) = (Wallet::new(), Wallet::new());
    let offer = world.offer(json!({"flow": "authorization_code", "tx_code": true})).await;
    let form = encode(&request("patient_identity", Some(&issuer_state(&offer))));
    let pushed = wallet.post_form(&world, "/oid4vci/par", &form).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let mut browser = Browser::new();
    browser.open(&world, &pushed).await;
    let link = browser.by_code(&world, offer["tx_code"].as_str().unwrap()).await.1.unwrap();
    let form = encode(&redeem(&parameter(&link, "code").unwrap()));
    let stolen = thief.post_form(&world, "/oid4vci/token", &form).await;
    assert_eq!(error(&stolen), (400, "invalid_grant".into()));
    assert_eq!(error(&world.post_form("/oid4vci/token", &form).await), (400, "invalid_grant".into()));
    let answer = wallet.post_form(&world, "/oid4vci/token", &form).await;
    assert_eq!(answer.json()["token_type"], "DPoP", "{}", answer.text());
}
