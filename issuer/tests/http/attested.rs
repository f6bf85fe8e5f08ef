//! Wallets that their providers vouch for (attestation-based client authentication), over sockets: what an attested wallet
//! gets, and what everybody else gets.

use carekey_core::attestation::wallet_attestation::{self, PossessionProof, WalletAttestation};
use carekey_core::clock::{Clock, UnixTime};
use carekey_core::issuer::Demand;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jwt;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::{Random, SystemRandom};
use carekey_issuer::Config;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::code_flow::{self, Browser};
use crate::dpop::{Client, parts};
use crate::world::{Answer, World, form_of};

const TOKEN: &str = "/oid4vci/token";
const PAR: &str = "/oid4vci/par";
const CLIENT: &str = "wallet.example";

fn key() -> SoftwareKey {
    SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap()
}

/// A provider with a pinned key, and a folder with its JWK set.
pub(crate) struct Provider {
    pub(crate) key: SoftwareKey,
    folder: tempfile::TempDir,
}

impl Provider {
    pub(crate) fn new() -> Self {
        Self { key: key(), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn header() -> Map<String, Value> {
        json!({"kid": "provider-1"}).as_object().unwrap().clone()
    }

    pub(crate) fn configure(&self, config: &mut Config) {
        let mut jwk = Jwk::from_key(self.key.public_key());
        jwk.kid = Some("provider-1".into());
        let path = self.folder.path().join("provider.jwks");
        std::fs::write(&path, json!({"keys": [jwk.to_value()]}).to_string()).unwrap();
        let provider = json!({"name": "Example provider", "jwks": path});
        config.wallet_providers = vec![serde_json::from_value(provider).unwrap()];
    }
}

/// An instance of the wallet.
struct Instance {
    key: SoftwareKey,
}

/// An attestation with its proof, right unless a member says otherwise.
struct Shown<'a> {
    provider: &'a SoftwareKey,
    client: &'a str,
    about: &'a SoftwareKey,
    expires: i64,
    audience: Option<&'a str>,
    jti: Option<&'a str>,
    challenge: Option<&'a str>,
    age: i64,
}

impl Instance {
    fn shown<'a>(&'a self, provider: &'a Provider, challenge: &'a str) -> Shown<'a> {
        Shown {
            provider: &provider.key,
            client: CLIENT,
            about: &self.key,
            expires: 3600,
            audience: None,
            jti: None,
            challenge: Some(challenge),
            age: 0,
        }
    }

    /// Both headers.
    fn headers(&self, world: &World, shown: &Shown<'_>) -> [(&'static str, String); 2] {
        let now = world.clock.now();
        let attestation = WalletAttestation {
            issuer: "https://provider.example",
            client_id: shown.client,
            key: shown.about.public_key(),
            wallet_name: Some("Example Wallet"),
            issued_at: now.plus(-10),
            expires_at: now.plus(shown.expires),
            status: None,
        };
        let attestation = wallet_attestation::sign(&attestation, Provider::header(), shown.provider).unwrap();
        let random: &dyn Random = &SystemRandom;
        let fresh = random.token(16);
        let proof = PossessionProof {
            client_id: shown.client,
            audience: shown.audience.unwrap_or(&world.url),
            jti: shown.jti.unwrap_or(&fresh),
            challenge: shown.challenge,
            now: now.plus(-shown.age),
        };
        let pop = wallet_attestation::sign_pop(&proof, &self.key).unwrap();
        [("oauth-client-attestation", attestation), ("oauth-client-attestation-pop", pop)]
    }
}

async fn challenge(world: &World) -> String {
    let answer = world.raw("/oid4vci/challenge", "", Vec::new(), None).await;
    assert_eq!((answer.status, answer.header("cache-control").as_deref()), (200, Some("no-store")));
    answer.json()["attestation_challenge"].as_str().unwrap().to_owned()
}

async fn post(
    world: &World,
    path: &str,
    form: &str,
    headers: &[(&str, String)],
    dpop: Option<&Client>,
) -> Answer {
    let mut request = world.request(Method::POST, path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if let Some(client) = dpop {
        let nonce = world.raw("/oid4vci/nonce", "", Vec::new(), None).await.header("dpop-nonce").unwrap();
        request = request.header("dpop", client.proof(world, &parts(path, &nonce, None)));
    }
    let media = "application/x-www-form-urlencoded";
    world.send(request.header("content-type", media).body(form.to_owned())).await
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

async fn world(provider: &Provider, demand: Demand) -> World {
    World::start(|config| {
        code_flow::code_flow(config);
        provider.configure(config);
        config.issuer.wallet_attestation = demand;
        config.issuer.attestation_challenge = Demand::Required;
        config.lifetimes.refresh = Some(86_400);
    })
    .await
}

#[tokio::test]
async fn an_attested_wallet_is_served_and_every_other_is_not() {
    let provider = Provider::new();
    let world = world(&provider, Demand::Required).await;
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["attest_jwt_client_auth"]));
    assert_eq!(server["client_attestation_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(server["client_attestation_pop_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(server["challenge_endpoint"], format!("{}/oid4vci/challenge", world.url));
    assert_eq!(server["pre-authorized_grant_anonymous_access_supported"], false);

    let (instance, other, impostor) = (Instance { key: key() }, Instance { key: key() }, key());
    let offer = world.offer(json!({})).await;
    let form = form_of(&offer);
    let given = challenge(&world).await;
    let good = || instance.shown(&provider, &given);
    let before = world.snapshot().await;
    let old = given.clone();
    let cases = [
        ("invalid_client", Shown { provider: &impostor, ..good() }),
        ("invalid_client", Shown { about: &other.key, ..good() }),
        ("invalid_client", Shown { audience: Some("https://other.example"), ..good() }),
        ("invalid_client", Shown { age: 301, ..good() }),
        ("invalid_client", Shown { age: -61, ..good() }),
        ("invalid_client", Shown { jti: Some(""), ..good() }),
        ("use_fresh_attestation", Shown { expires: -61, ..good() }),
        ("use_attestation_challenge", Shown { challenge: None, ..good() }),
        ("use_attestation_challenge", Shown { challenge: Some("invented"), ..good() }),
    ];
    for (expected, shown) in cases {
        let answer = post(&world, TOKEN, &form, &instance.headers(&world, &shown), None).await;
        assert_eq!(error(&answer), (400, expected.into()), "{}", answer.text());
        assert!(answer.header("oauth-client-attestation-challenge").is_some());
    }
    // Another client than the one that is attested, one of the two headers, the same header twice, none.
    let pair = instance.headers(&world, &good());
    let named = format!("{form}&client_id=other.example");
    let twice = [pair[0].clone(), pair[0].clone(), pair[1].clone()];
    for (form, headers) in [
        (named.as_str(), pair.as_slice()),
        (&form, &pair[..1]),
        (&form, &pair[1..]),
        (&form, &twice),
        (&form, &[]),
    ] {
        assert_eq!(error(&post(&world, TOKEN, form, headers, None).await), (400, "invalid_client".into()));
    }
    // `alg` none.
    let none = "eyJ0eXAiOiJvYXV0aC1jbGllbnQtYXR0ZXN0YXRpb24rand0IiwiYWxnIjoibm9uZSJ9.e30.";
    let unsigned = [(pair[0].0, none.to_owned()), pair[1].clone()];
    assert_eq!(error(&post(&world, TOKEN, &form, &unsigned, None).await), (400, "invalid_client".into()));
    assert_eq!(world.snapshot().await, before, "no impostor spoils the offer");

    let headers = instance.headers(&world, &good());
    let answer = post(&world, TOKEN, &form, &headers, None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The proof counts once, whatever it is for.
    let second = form_of(&world.offer(json!({})).await);
    assert_eq!(error(&post(&world, TOKEN, &second, &headers, None).await), (400, "invalid_client".into()));
    // A challenge runs out.
    world.later(301);
    let stale = instance.headers(&world, &instance.shown(&provider, &old));
    let stale = post(&world, TOKEN, &second, &stale, None).await;
    assert_eq!(error(&stale), (400, "use_attestation_challenge".into()));
    let next = stale.header("oauth-client-attestation-challenge").unwrap();
    let headers = instance.headers(&world, &instance.shown(&provider, &next));
    assert_eq!(post(&world, TOKEN, &second, &headers, None).await.status, 200);
}

#[tokio::test]
async fn of_a_hundred_requests_with_one_proof_one_wins() {
    let provider = Provider::new();
    let world = world(&provider, Demand::Required).await;
    let instance = Instance { key: key() };
    let given = challenge(&world).await;
    let headers = instance.headers(&world, &instance.shown(&provider, &given));
    let mut sent = Vec::new();
    for _ in 0..100 {
        let mut request = world.request(Method::POST, TOKEN).body(form_of(&world.offer(json!({})).await));
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        sent.push(request.header("content-type", "application/x-www-form-urlencoded"));
    }
    let sent: Vec<_> = sent.into_iter().map(|request| tokio::spawn(request.send())).collect();
    let mut won = 0;
    for answer in sent {
        let answer = answer.await.unwrap().unwrap();
        match answer.status().as_u16() {
            200 => won += 1,
            status => {
                let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                assert_eq!((status, &body["error"]), (400, &json!("invalid_client")));
            }
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn codes_and_refresh_tokens_belong_to_the_instance() {
    let provider = Provider::new();
    let world = world(&provider, Demand::Required).await;
    let (instance, thief, wallet) = (Instance { key: key() }, Instance { key: key() }, Client::new());
    let offer = world.offer(json!({"flow": "authorization_code", "tx_code": true})).await;
    let state = offer["credential_offer"]["grants"]["authorization_code"]["issuer_state"].as_str().unwrap();
    let form = code_flow::encode(&code_flow::request("patient_identity", Some(state)));
    let headers = async |who: &Instance| {
        let given = challenge(&world).await;
        who.headers(&world, &who.shown(&provider, &given))
    };
    assert_eq!(error(&post(&world, PAR, &form, &[], None).await), (400, "invalid_client".into()));
    let pushed = post(&world, PAR, &form, &headers(&instance).await, Some(&wallet)).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let mut browser = Browser::new();
    browser.open(&world, &pushed).await;
    let link = browser.by_code(&world, offer["tx_code"].as_str().unwrap()).await.1.unwrap();
    let form = code_flow::encode(&code_flow::redeem(&code_flow::parameter(&link, "code").unwrap()));
    let before = world.snapshot().await;
    let stolen = post(&world, TOKEN, &form, &headers(&thief).await, Some(&wallet)).await;
    assert_eq!(error(&stolen), (400, "invalid_grant".into()));
    assert_eq!(world.snapshot().await, before, "the code is not spoilt");
    let token = post(&world, TOKEN, &form, &headers(&instance).await, Some(&wallet)).await;
    assert_eq!(token.status, 200, "{}", token.text());
    let refresh =
        format!("grant_type=refresh_token&refresh_token={}", token.json()["refresh_token"].as_str().unwrap());
    let before = world.snapshot().await;
    let stolen = post(&world, TOKEN, &refresh, &headers(&thief).await, Some(&wallet)).await;
    assert_eq!(error(&stolen), (400, "invalid_grant".into()));
    assert_eq!(world.snapshot().await, before);
    let fresh = post(&world, TOKEN, &refresh, &headers(&instance).await, Some(&wallet)).await;
    assert_eq!(fresh.status, 200, "{}", fresh.text());
}

#[tokio::test]
async fn without_a_challenge_a_proof_rests_on_its_time_and_counts_once() {
    let provider = Provider::new();
    for demand in [Demand::Accepted, Demand::Off] {
        let world = World::start(|config| {
            provider.configure(config);
            config.issuer.wallet_attestation = Demand::Required;
            config.issuer.attestation_challenge = demand;
        })
        .await;
        let server = world.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(server.get("challenge_endpoint").is_some(), demand == Demand::Accepted);
        let instance = Instance { key: key() };
        let shown = |age| Shown { challenge: None, age, ..instance.shown(&provider, "") };
        // The clock of a wallet may be ahead: its proof is remembered for as long as it would count.
        for age in [-60, 0, 300] {
            let headers = instance.headers(&world, &shown(age));
            let form = form_of(&world.offer(json!({})).await);
            let answer = post(&world, TOKEN, &form, &headers, None).await;
            assert_eq!(answer.status, 200, "{age}: {}", answer.text());
            world.later(if age == -60 { 350 } else { 0 });
            world.app.upkeep().await.unwrap();
            let form = form_of(&world.offer(json!({})).await);
            let again = post(&world, TOKEN, &form, &headers, None).await;
            assert_eq!(error(&again), (400, "invalid_client".into()), "{age}");
        }
        for age in [301, -61] {
            let form = form_of(&world.offer(json!({})).await);
            let refused = post(&world, TOKEN, &form, &instance.headers(&world, &shown(age)), None).await;
            assert_eq!(error(&refused), (400, "invalid_client".into()));
        }
        // What is no challenge of this server does not count as one.
        let form = form_of(&world.offer(json!({})).await);
        let invented = Shown { challenge: Some("invented"), ..shown(0) };
        let answer = post(&world, TOKEN, &form, &instance.headers(&world, &invented), None).await;
        let expected = if demand == Demand::Accepted { 400 } else { 200 };
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
}

#[tokio::test]
async fn attestations_are_optional_or_off_as_the_operator_says() {
    let provider = Provider::new();
    let accepted = world(&provider, Demand::Accepted).await;
    let server = accepted.get("/.well-known/oauth-authorization-server").await.json();
    let methods = json!(["none", "attest_jwt_client_auth"]);
    assert_eq!(server["token_endpoint_auth_methods_supported"], methods);
    let instance = Instance { key: key() };
    let plain = form_of(&accepted.offer(json!({})).await);
    assert_eq!(post(&accepted, TOKEN, &plain, &[], None).await.status, 200);
    // What comes is judged.
    let form = form_of(&accepted.offer(json!({})).await);
    let wrong = instance.headers(&accepted, &instance.shown(&provider, "invented"));
    let wrong = post(&accepted, TOKEN, &form, &wrong, None).await;
    assert_eq!(error(&wrong), (400, "use_attestation_challenge".into()));

    let off = World::start(|_| {}).await;
    let server = off.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["none"]));
    assert!(server.get("challenge_endpoint").is_none());
    assert_eq!(off.raw("/oid4vci/challenge", "", Vec::new(), None).await.status, 404);
    let form = form_of(&off.offer(json!({})).await);
    let ignored = [("oauth-client-attestation", "x".to_owned())];
    assert_eq!(post(&off, TOKEN, &form, &ignored, None).await.status, 200);
}

/// A key attestation as it is sent, after a change to its claims.
fn attested(
    provider: &SoftwareKey,
    now: UnixTime,
    keys: &[&SoftwareKey],
    nonce: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    attested_by((provider, "provider-1"), now, keys, nonce, change)
}

fn attested_by(
    (provider, kid): (&SoftwareKey, &str),
    now: UnixTime,
    keys: &[&SoftwareKey],
    nonce: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| World::jwk(key)).collect();
    let claims = json!({
        "iat": now.as_secs(), "exp": now.plus(600).as_secs(), "attested_keys": keys, "nonce": nonce,
        "key_storage": ["iso_18045_high"],
        "user_authentication": ["urn:carekey:user-authentication:biometric_capable"],
    });
    let mut claims = claims.as_object().unwrap().clone();
    change(&mut claims);
    let header = json!({"kid": kid}).as_object().unwrap().clone();
    jwt::sign("key-attestation+jwt", header, &claims, provider).unwrap()
}

/// A key proof with a key attestation in its header.
fn proof(world: &World, nonce: &str, attestation: Option<&str>) -> String {
    use carekey_core::protocol::openid4vci::key_proof::{KeyProofInput, signing_input};
    let input = KeyProofInput {
        key: world.hk.public_key(),
        audience: &world.url,
        nonce: Some(nonce),
        client_id: None,
        ak_jkt: None,
        key_attestation: attestation,
        now: world.clock.now(),
    };
    let input = signing_input(&input).unwrap();
    let signature = world.hk.sign(input.as_bytes()).unwrap();
    carekey_core::jose::jws::assemble(input, &signature)
}

async fn key_world(provider: &Provider, required: bool) -> World {
    World::start(|config| {
        provider.configure(config);
        config.issuer.batch_size = 3;
        if required {
            let demand = json!({"key_storage": ["iso_18045_high", "iso_18045_moderate"]});
            config.key_attestations =
                [("patient_identity".into(), serde_json::from_value(demand).unwrap())].into();
        }
    })
    .await
}

#[tokio::test]
async fn keys_need_the_attestation_that_the_metadata_demands() {
    let provider = Provider::new();
    let mut world = key_world(&provider, true).await;
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    let all = &metadata["credential_configurations_supported"];
    let required = json!({"key_storage": ["iso_18045_high", "iso_18045_moderate"]});
    for kind in ["jwt", "attestation"] {
        let types = &all["patient_identity_jwt"]["proof_types_supported"];
        assert_eq!(types[kind]["key_attestations_required"], required, "{kind}: all formats of the kind");
        let types = &all["insurance_coverage"]["proof_types_supported"];
        assert!(types[kind].get("key_attestations_required").is_none());
    }
    let (stranger, others) = (key(), [key(), key(), key()]);
    let offer = world.offer(json!({})).await;
    let token = world.token(&offer).await;
    let nonce = world.nonce().await;
    let now = world.clock.now();
    let before = world.snapshot().await;
    type Change = fn(&mut Map<String, Value>);
    let refused: [(&str, &SoftwareKey, bool, Change); 11] = [
        ("invalid_proof", &stranger, true, |_| {}),
        ("invalid_proof", &provider.key, false, |_| {}),
        ("invalid_proof", &provider.key, true, |c| drop(c.remove("exp"))),
        ("invalid_proof", &provider.key, true, |c| drop(c.insert("exp".into(), 1.into()))),
        ("invalid_proof", &provider.key, true, |c| drop(c.insert("iat".into(), 1_700_000_000.into()))),
        ("invalid_proof", &provider.key, true, |c| drop(c.insert("iat".into(), 1_796_000_100.into()))),
        ("invalid_proof", &provider.key, true, |c| drop(c.remove("nonce"))),
        ("invalid_nonce", &provider.key, true, |c| drop(c.insert("nonce".into(), "invented".into()))),
        ("invalid_proof", &provider.key, true, |c| {
            drop(c.insert("key_storage".into(), json!(["iso_18045_basic"])))
        }),
        ("invalid_proof", &provider.key, true, |c| drop(c.remove("key_storage"))),
        ("invalid_proof", &provider.key, true, |c| drop(c.insert("attested_keys".into(), json!([])))),
    ];
    for (expected, signer, own, change) in refused {
        let about: &[&SoftwareKey] = if own { &[&world.hk, &others[0]] } else { &[&others[0]] };
        let attestation = attested(signer, now, about, &nonce, change);
        let refused = world.ask(&token, "patient_identity", &proof(&world, &nonce, Some(&attestation))).await;
        assert_eq!(error(&refused), (400, expected.into()), "{}", refused.text());
    }
    let plain = world.ask(&token, "patient_identity", &proof(&world, &nonce, None)).await;
    assert_eq!(error(&plain), (400, "invalid_proof".into()));
    assert_eq!(world.snapshot().await, before, "nothing issued, no nonce used");

    // Every attested key gets a credential, as far as a batch goes.
    let about = [&world.hk, &others[0], &others[1], &others[2]];
    let attestation = attested(&provider.key, now, &about, &nonce, |_| {});
    let issued = world.ask(&token, "patient_identity", &proof(&world, &nonce, Some(&attestation))).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    assert_eq!(issued.json()["credentials"].as_array().unwrap().len(), 3);
    let record = &world.get_api("/api/credentials").await.json()["credentials"][0]["holder_key"];
    let expected =
        json!({"provider": "Example provider", "key_protection": "unknown", "level": "biometric_capable"});
    assert_eq!(*record, expected, "what the provider says, on the ladder");

    // The nonce is used up, also for an attestation alone.
    world.hk = key();
    let token = world.token(&world.offer(json!({})).await).await;
    let again = attested(&provider.key, now, &[&world.hk], &nonce, |_| {});
    let body = |attestation: &str| json!({"credential_configuration_id": "patient_identity", "proofs": {"attestation": [attestation]}});
    let used = world.post_json("/oid4vci/credential", &body(&again), Some(&token)).await;
    assert_eq!(error(&used), (400, "invalid_nonce".into()));
    let fresh = world.nonce().await;
    let alone = attested(&provider.key, now, &[&world.hk, &others[0]], &fresh, |c| drop(c.remove("exp")));
    let issued = world.post_json("/oid4vci/credential", &body(&alone), Some(&token)).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    assert_eq!(issued.json()["credentials"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn attestations_that_nobody_asked_for_do_no_harm() {
    let provider = Provider::new();
    let (world, stranger, other) = (key_world(&provider, false).await, key(), key());
    let now = world.clock.now();
    for (signer, count) in [((&stranger, "stranger"), 1), ((&provider.key, "provider-1"), 2)] {
        let (token, nonce) = (world.token(&world.offer(json!({})).await).await, world.nonce().await);
        let attestation = attested_by(signer, now, &[&world.hk, &other], &nonce, |_| {});
        let issued = world.ask(&token, "patient_identity", &proof(&world, &nonce, Some(&attestation))).await;
        // By a stranger they count as absent; by a known provider every key gets a credential.
        assert_eq!(issued.json()["credentials"].as_array().map(Vec::len), Some(count), "{}", issued.text());
    }
    // Without providers there is no such proof type.
    let plain = World::start(|_| {}).await;
    let (token, nonce) = (plain.token(&plain.offer(json!({})).await).await, plain.nonce().await);
    let alone = attested(&provider.key, now, &[&plain.hk], &nonce, |_| {});
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"attestation": [alone]}});
    let refused = plain.post_json("/oid4vci/credential", &body, Some(&token)).await;
    assert_eq!(error(&refused), (400, "invalid_proof".into()));
}
