//! Access tokens of another authorization server (RFC 9068), and records from a FHIR server, over sockets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use carekey_core::clock::Clock;
use carekey_core::encoding::base64url;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jwt;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::{Random, SystemRandom};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::dpop::Client;
use crate::world::{Answer, Proof, World, bundle};

/// An authorization server that publishes its keys.
struct Server {
    url: String,
    keys: Mutex<Vec<(String, SoftwareKey)>>,
    asked: AtomicUsize,
}

async fn server() -> Arc<Server> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let first = ("k1".to_owned(), SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
    let server = Arc::new(Server { url, keys: Mutex::new(vec![first]), asked: AtomicUsize::new(0) });
    type Shared = State<Arc<Server>>;
    let metadata = |State(s): Shared| async move {
        Json(
            json!({"issuer": s.url, "jwks_uri": format!("{}/keys", s.url), "token_endpoint": format!("{}/token", s.url)}),
        )
    };
    let keys = |State(s): Shared| async move {
        s.asked.fetch_add(1, Ordering::Relaxed);
        let keys = s.keys.lock().unwrap();
        let all: Vec<Value> = keys
            .iter()
            .map(|(kid, key)| {
                let mut jwk = Jwk::from_key(key.public_key());
                jwk.kid = Some(kid.clone());
                jwk.to_value()
            })
            .collect();
        Json(json!({"keys": all}))
    };
    let router = Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/keys", get(keys))
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    server
}

impl Server {
    fn token(&self, world: &World, client: &Client, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let now = world.clock.now().as_secs();
        let random: &dyn Random = &SystemRandom;
        let claims = json!({
            "iss": self.url, "aud": world.url, "sub": "patient-7", "client_id": "wallet.example",
            "jti": random.token(8),
            "iat": now, "exp": now + 600, "scope": "openid patient_identity",
            "cnf": {"jkt": Jwk::from_key(client.key.public_key()).thumbprint()},
        });
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        let keys = self.keys.lock().unwrap();
        let (kid, key) = keys.last().unwrap();
        jwt::sign("at+jwt", json!({"kid": kid}).as_object().unwrap().clone(), &claims, key).unwrap()
    }
}

async fn world(server: &Server) -> World {
    let described = json!([{"issuer": server.url}]);
    World::start(|config| {
        config.fetch.loopback = true;
        config.authorization_servers = serde_json::from_value(described).unwrap();
    })
    .await
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

async fn credential(world: &World, client: &Client, token: &str, name: (&str, &str)) -> Answer {
    let proof = world.proof(Proof::default()).await;
    let body = json!({name.0: name.1, "proofs": {"jwt": [proof]}});
    client.post_json(world, "/oid4vci/credential", token, &body).await
}

const IDENTITY: (&str, &str) = ("credential_configuration_id", "patient_identity");

#[tokio::test]
async fn a_token_of_another_server_gets_what_is_prepared_for_its_subject() {
    let server = server().await;
    let world = world(&server).await;
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    assert_eq!(metadata["authorization_servers"], json!([world.url, server.url]));
    let desk = world.offer(json!({})).await;
    let grant = &desk["credential_offer"]["grants"]["urn:ietf:params:oauth:grant-type:pre-authorized_code"];
    assert_eq!(grant["authorization_server"], world.url, "codes of the desk are redeemed here");
    let prepared = json!({"flow": "authorization_code", "subject": "patient-7"});
    let offer = world.offer(prepared.clone()).await;
    let grant = &offer["credential_offer"]["grants"]["authorization_code"];
    assert_eq!(grant["authorization_server"], server.url, "the issuer itself has no clients");

    let (client, thief) = (Client::new(), Client::new());
    let before = world.snapshot().await;
    type Change = fn(&mut Map<String, Value>);
    let refused: [((u16, &str), Change); 10] = [
        ((401, "invalid_token"), |c| drop(c.insert("iss".into(), "https://evil.example".into()))),
        ((401, "invalid_token"), |c| drop(c.insert("aud".into(), "https://other.example".into()))),
        ((401, "invalid_token"), |c| drop(c.insert("exp".into(), 1_795_999_999.into()))),
        ((401, "invalid_token"), |c| drop(c.insert("iat".into(), 1_796_000_100.into()))),
        ((401, "invalid_token"), |c| drop(c.remove("sub"))),
        ((401, "invalid_token"), |c| drop(c.remove("client_id"))),
        ((401, "invalid_token"), |c| drop(c.insert("cnf".into(), json!({"x5t#S256": "x"})))),
        ((401, "invalid_token"), |c| drop(c.remove("cnf"))),
        ((403, "insufficient_scope"), |c| drop(c.insert("scope".into(), "openid".into()))),
        ((400, "credential_request_denied"), |c| drop(c.insert("sub".into(), "patient-8".into()))),
    ];
    for (expected, change) in refused {
        let token = server.token(&world, &client, change);
        let answer = credential(&world, &client, &token, IDENTITY).await;
        assert_eq!(error(&answer), (expected.0, expected.1.into()), "{}", answer.text());
    }
    // Signed by somebody else under the server's name, of another type, or not at all.
    let good = server.token(&world, &client, |_| {});
    let impostor = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let claims: Value =
        serde_json::from_slice(&base64url::decode(good.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let header = || json!({"kid": "k1"}).as_object().unwrap().clone();
    let forged = jwt::sign("at+jwt", header(), claims.as_object().unwrap(), &impostor).unwrap();
    let id_token = {
        let keys = server.keys.lock().unwrap();
        jwt::sign("JWT", header(), claims.as_object().unwrap(), &keys[0].1).unwrap()
    };
    for token in [forged.as_str(), &id_token, "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(error(&credential(&world, &client, token, IDENTITY).await), (401, "invalid_token".into()));
    }
    assert_eq!(world.snapshot().await, before, "nothing was consumed");

    assert_eq!(credential(&world, &client, &good, IDENTITY).await.status, 200);
    // Bound to the key of its client, good once.
    assert_eq!(error(&credential(&world, &thief, &good, IDENTITY).await), (401, "invalid_token".into()));
    let again = credential(&world, &client, &good, IDENTITY).await;
    assert_eq!(error(&again), (400, "credential_request_denied".into()));
    // Another signature of the same token is the same token. (FIPS 186-5: with s, n - s verifies too.)
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let twin = other_signature(&base64url::decode(signature).unwrap());
    let twin = format!("{signed}.{}", base64url::encode(&twin));
    world.offer(prepared.clone()).await;
    let again = credential(&world, &client, &twin, IDENTITY).await;
    assert!([400, 401].contains(&again.status), "{}", again.text());
    let other = server.token(&world, &client, |_| {});
    assert_eq!(credential(&world, &client, &other, IDENTITY).await.status, 200);
    let other = server.token(&world, &client, |_| {});
    let used = credential(&world, &client, &other, IDENTITY).await;
    assert_eq!(error(&used), (400, "credential_request_denied".into()), "the offer is taken");

    // By authorization details with a name of the server's own, without a bound key, for a few minutes.
    world.offer(prepared).await;
    let named = server.token(&world, &client, |c| {
        c.insert("exp".into(), json!(c["iat"].as_i64().unwrap() + 300));
        c.remove("scope");
        c.remove("cnf");
        c.insert(
            "authorization_details".into(),
            json!([{
                "type": "openid_credential", "credential_configuration_id": "patient_identity",
                "credential_identifiers": ["theirs-1"],
            }]),
        );
    });
    let proof = world.proof(Proof::default()).await;
    for (name, status) in [("theirs-2", 400), ("theirs-1", 200)] {
        let body = json!({"credential_identifier": name, "proofs": {"jwt": [proof]}});
        let answer = world.post_json("/oid4vci/credential", &body, Some(&named)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

/// The other signature `(r, n - s)` of the same message on P-256.
fn other_signature(signature: &[u8]) -> Vec<u8> {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = signature.split_at(32);
    let (mut difference, mut borrow) = (vec![0; 32], 0);
    for at in (0..32).rev() {
        let value = i16::from(N[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(value < 0);
        difference[at] = u8::try_from(value.rem_euclid(256)).unwrap();
    }
    [r, &difference].concat()
}

#[tokio::test]
async fn keys_of_the_server_are_cached() {
    let server = server().await;
    let world = world(&server).await;
    let client = Client::new();
    for _ in 0..3 {
        let token = server.token(&world, &client, |c| drop(c.insert("sub".into(), "nobody".into())));
        let answer = credential(&world, &client, &token, IDENTITY).await;
        assert_eq!(error(&answer), (400, "credential_request_denied".into()));
    }
    assert_eq!(server.asked.load(Ordering::Relaxed), 1);
    // A server that cannot be reached is not the sender's fault.
    let gone = json!([{"issuer": "http://127.0.0.1:9"}]);
    let lonely = World::start(|config| {
        config.fetch.loopback = true;
        config.authorization_servers = serde_json::from_value(gone).unwrap();
    })
    .await;
    let token = server.token(&lonely, &client, |c| drop(c.insert("iss".into(), "http://127.0.0.1:9".into())));
    let proof = lonely.proof(Proof::default()).await;
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}});
    let request = lonely.request(reqwest::Method::POST, "/oid4vci/credential").bearer_auth(&token);
    let answer =
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
}

/// What a FHIR server was asked for.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// A FHIR server with one patient, and how an issuer is told about it; the folder has its token.
pub(crate) async fn fhir() -> (Value, Asked, tempfile::TempDir) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/r4", listener.local_addr().unwrap());
    let asked = Asked::default();
    type Shared = State<Asked>;
    let entries = bundle();
    let patient = entries["entry"][0].clone();
    let patients = move |State(asked): Shared,
                         headers: http::HeaderMap,
                         Query(query): Query<HashMap<String, String>>| async move {
        assert_eq!(headers["authorization"], "Bearer fhir-token");
        let wanted = query["identifier"].clone();
        asked.lock().unwrap().push(wanted.clone());
        let found = match wanted.as_str() {
            "urn:mrn|patient-7" => vec![patient.clone()],
            "urn:mrn|twin" => vec![patient.clone(), patient.clone()],
            _ => Vec::new(),
        };
        let all: Vec<Value> = found;
        (
            [("content-type", "application/fhir+json")],
            json!({"resourceType": "Bundle", "type": "searchset", "entry": all}).to_string(),
        )
    };
    let coverage = entries["entry"][1].clone();
    let coverages = move |Query(query): Query<HashMap<String, String>>| async move {
        assert_eq!(query["beneficiary"], "Patient/p1");
        (
            [("content-type", "application/fhir+json")],
            json!({"resourceType": "Bundle", "type": "searchset", "entry": [coverage]}).to_string(),
        )
    };
    let router = Router::new()
        .route("/r4/Patient", get(patients))
        .route("/r4/Coverage", get(coverages))
        .with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("fhir.token");
    std::fs::write(&token_file, "fhir-token\n").unwrap();
    let described = json!({"base": base, "identifier_system": "urn:mrn", "bearer_token": token_file});
    (described, asked, folder)
}

#[tokio::test]
async fn what_the_desk_did_not_prepare_comes_from_the_fhir_server() {
    let (server, (described, asked, _folder)) = (server().await, fhir().await);
    let servers = json!([{"issuer": server.url}]);
    let world = World::start(|config| {
        config.fetch.loopback = true;
        config.authorization_servers = serde_json::from_value(servers).unwrap();
        config.patients = Some(serde_json::from_value(described).unwrap());
    })
    .await;
    let client = Client::new();
    let scope = |c: &mut Map<String, Value>| {
        drop(c.insert("scope".into(), "patient_identity insurance_coverage".into()))
    };
    let token = server.token(&world, &client, scope);
    for id in ["patient_identity", "insurance_coverage"] {
        let answer = credential(&world, &client, &token, ("credential_configuration_id", id)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // A person without a record gets nothing, and a subject stays one value.
    for subject in ["patient-8", "patient-8,patient-7"] {
        let token = server.token(&world, &client, |c| drop(c.insert("sub".into(), subject.into())));
        let answer = credential(&world, &client, &token, IDENTITY).await;
        assert_eq!(error(&answer), (400, "credential_request_denied".into()), "{}", answer.text());
    }
    assert_eq!(asked.lock().unwrap().last().unwrap(), r"urn:mrn|patient-8\,patient-7");
}
