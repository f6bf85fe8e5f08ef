//! Credential requests and responses that are encrypted beyond TLS, and signed metadata, over sockets.

use carekey_core::clock::Clock;
use carekey_core::issuer::Demand;
use carekey_core::jose::jwe::{self, ContentEncryption, JweDecryptionKey, KeyManagement, PartyInfo};
use carekey_core::jose::jwk::Jwk;
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::metadata::CredentialIssuerMetadata;
use carekey_core::protocol::openid4vci::signed_metadata;
use carekey_core::x509::TrustAnchor;
use reqwest::Method;
use serde_json::{Value, json};

use crate::dpop::Client;
use crate::world::{Answer, Proof, World, form_of};

const CREDENTIAL: &str = "/oid4vci/credential";
const DEFERRED: &str = "/oid4vci/deferred";

async fn world(requests: Demand, responses: Demand) -> World {
    World::start(|config| {
        config.issuer.request_encryption = requests;
        config.issuer.response_encryption = responses;
    })
    .await
}

/// The issuer's key.
async fn issuer_key(world: &World) -> Jwk {
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    let jwks = &metadata["credential_request_encryption"]["jwks"]["keys"];
    assert_eq!(jwks.as_array().unwrap().len(), 1);
    Jwk::from_value(&jwks[0]).unwrap()
}

fn seal(body: &Value, to: &Jwk) -> String {
    jwe::encrypt(body.to_string().as_bytes(), to, ContentEncryption::A256Gcm, &PartyInfo::default()).unwrap()
}

async fn post(world: &World, path: &str, token: &str, jwt: &str) -> Answer {
    world.raw(path, "application/jwt", jwt.as_bytes().to_vec(), Some(token)).await
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn open(answer: &Answer, key: &JweDecryptionKey) -> (jwe::Header, Value) {
    assert_eq!(answer.header("content-type").as_deref(), Some("application/jwt"), "{}", answer.text());
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let (header, content) = jwe::decrypt(&answer.text(), key, &Limits::DEFAULT).unwrap();
    (header, serde_json::from_slice(&content).unwrap())
}

#[tokio::test]
async fn requests_and_responses_are_encrypted_as_the_metadata_says() {
    let world = world(Demand::Accepted, Demand::Accepted).await;
    let metadata = world.get("/.well-known/openid-credential-issuer").await.json();
    let requests = &metadata["credential_request_encryption"];
    assert_eq!(requests["enc_values_supported"], json!(["A128GCM", "A256GCM"]));
    assert_eq!(
        (&requests["encryption_required"], requests.get("zip_values_supported")),
        (&json!(false), None)
    );
    let responses = &metadata["credential_response_encryption"];
    let algorithms = json!(["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]);
    assert_eq!(
        (&responses["alg_values_supported"], &responses["encryption_required"]),
        (&algorithms, &json!(false))
    );
    let key = issuer_key(&world).await;
    assert_eq!((key.alg.as_deref(), key.use_.as_deref()), (Some("ECDH-ES"), Some("enc")));

    for alg in KeyManagement::ALL {
        let token = world.token(&world.offer(json!({})).await).await;
        let own = JweDecryptionKey::generate().unwrap().for_algorithm(alg);
        let body = json!({
            "credential_configuration_id": "patient_identity",
            "proofs": {"jwt": [world.proof(Proof::default()).await]},
            "credential_response_encryption": {"jwk": own.jwk("mine").to_value(), "enc": "A128GCM"},
        });
        let answer = post(&world, CREDENTIAL, &token, &seal(&body, &key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (header, content) = open(&answer, &own);
        assert_eq!((header.alg, header.kid.as_deref()), (alg, Some("mine")));
        assert!(content["credentials"][0]["credential"].is_string());
    }
    // An encrypted request may have a plain answer; a plain request still works.
    for encrypted in [true, false] {
        let token = world.token(&world.offer(json!({})).await).await;
        let body = json!({
            "credential_configuration_id": "patient_identity",
            "proofs": {"jwt": [world.proof(Proof::default()).await]},
        });
        let answer = match encrypted {
            true => post(&world, CREDENTIAL, &token, &seal(&body, &key)).await,
            false => world.post_json(CREDENTIAL, &body, Some(&token)).await,
        };
        assert_eq!(
            (answer.status, answer.header("content-type").as_deref()),
            (200, Some("application/json"))
        );
    }
}

#[tokio::test]
async fn wrong_encryption_is_refused_before_anything_is_issued() {
    let world = world(Demand::Required, Demand::Required).await;
    let key = issuer_key(&world).await;
    let token = world.token(&world.offer(json!({})).await).await;
    let own = JweDecryptionKey::generate().unwrap();
    let body = |encryption: Value, proof: &str| {
        let mut body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [proof]}});
        if !encryption.is_null() {
            body["credential_response_encryption"] = encryption;
        }
        body
    };
    let good = json!({"jwk": own.jwk("k").to_value(), "enc": "A256GCM"});
    let proof = world.proof(Proof::default()).await;
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let with_jwk = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed["jwk"][name] = value;
        changed
    };
    let mut nameless = good.clone();
    nameless["jwk"].as_object_mut().unwrap().remove("alg");
    let before = world.snapshot().await;
    for (name, encryption) in [
        ("missing", Value::Null),
        ("no object", json!("x")),
        ("no jwk", without("jwk")),
        ("no enc", without("enc")),
        ("enc unknown", json!({"jwk": good["jwk"], "enc": "A128CBC"})),
        ("enc not announced", json!({"jwk": good["jwk"], "enc": "A128CBC-HS256"})),
        ("compression", json!({"jwk": good["jwk"], "enc": "A256GCM", "zip": "DEF"})),
        ("no alg", nameless),
        ("alg of RSA", with_jwk("alg", json!("RSA-OAEP-256"))),
        ("a signing key", with_jwk("use", json!("sig"))),
        ("a private key", with_jwk("d", json!("AAAA"))),
        ("no point of the curve", with_jwk("x", good["jwk"]["y"].clone())),
    ] {
        let answer = post(&world, CREDENTIAL, &token, &seal(&body(encryption, &proof), &key)).await;
        assert_eq!(
            error(&answer),
            (400, "invalid_encryption_parameters".into()),
            "{name}: {}",
            answer.text()
        );
    }
    let request = body(good.clone(), &proof);
    let sealed = seal(&request, &key);
    let foreign = JweDecryptionKey::generate().unwrap();
    let mut borrowed = foreign.jwk("x");
    borrowed.kid.clone_from(&key.kid);
    let mut unnamed = key.clone();
    unnamed.kid = None;
    let cbc = jwe::encrypt(b"{}", &key, ContentEncryption::A128CbcHs256, &PartyInfo::default()).unwrap();
    let header = |members: Value| carekey_core::encoding::base64url::encode(members.to_string().as_bytes());
    let rest = sealed.split_once('.').unwrap().1;
    let epk = foreign.jwk("e").to_value();
    let kid = key.kid.clone().unwrap();
    let mut parts: Vec<String> = sealed.split('.').map(str::to_owned).collect();
    let flipped = if parts[3].starts_with('A') { "B" } else { "A" };
    parts[3].replace_range(..1, flipped);
    let changed = parts.join(".");
    for (name, jwt) in [
        ("to another key under its own name", seal(&request, &foreign.jwk("x"))),
        ("to another key under this name", seal(&request, &borrowed)),
        ("without a key's name", seal(&request, &unnamed)),
        ("enc not announced", cbc),
        ("changed", changed),
        (
            "zip",
            format!(
                "{}.{rest}",
                header(json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "zip": "DEF", "epk": epk}))
            ),
        ),
        (
            "crit",
            format!(
                "{}.{rest}",
                header(json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "crit": ["x"], "epk": epk}))
            ),
        ),
        (
            "a password",
            format!(
                "{}.{rest}",
                header(
                    json!({"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "kid": kid, "p2c": 2_000_000_000, "p2s": "AA"})
                )
            ),
        ),
        ("RSA", format!("{}.{rest}", header(json!({"alg": "RSA1_5", "enc": "A256GCM", "kid": kid})))),
        ("large", format!("{sealed}{}", "A".repeat(260 * 1024 - sealed.len()))),
        ("no JWE", "a.b.c".into()),
        ("empty", String::new()),
    ] {
        let answer = post(&world, CREDENTIAL, &token, &jwt).await;
        let expected = (400, "invalid_encryption_parameters".to_owned());
        // Larger than any body here: nobody reads it.
        let bounded = name == "large" && answer.status == 413;
        assert!(bounded || error(&answer) == expected, "{name}: {} {}", answer.status, answer.text());
    }
    let plain = world.post_json(CREDENTIAL, &request, Some(&token)).await;
    assert_eq!(error(&plain), (400, "invalid_encryption_parameters".into()), "in the clear");
    let garbage = post(&world, CREDENTIAL, &token, &seal(&json!([1]), &key)).await;
    assert_eq!(
        error(&garbage),
        (400, "invalid_credential_request".into()),
        "what is inside is judged as ever"
    );
    assert_eq!(world.snapshot().await, before, "nothing issued, no nonce used");
    let answer = post(&world, CREDENTIAL, &token, &sealed).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Refusals are never encrypted.
    let again = post(&world, CREDENTIAL, &token, &sealed).await;
    assert_eq!(error(&again), (400, "credential_request_denied".into()));

    let off = self::world(Demand::Off, Demand::Off).await;
    let token = off.token(&off.offer(json!({})).await).await;
    for jwt in [sealed.as_str(), "a.b.c.d.e"] {
        let answer = post(&off, CREDENTIAL, &token, jwt).await;
        assert_eq!(error(&answer), (400, "invalid_encryption_parameters".into()));
    }
}

#[tokio::test]
async fn a_key_for_the_response_never_comes_in_the_clear() {
    let world = world(Demand::Accepted, Demand::Accepted).await;
    let token = world.token(&world.offer(json!({})).await).await;
    let own = JweDecryptionKey::generate().unwrap();
    let body = json!({
        "credential_configuration_id": "patient_identity",
        "proofs": {"jwt": [world.proof(Proof::default()).await]},
        "credential_response_encryption": {"jwk": own.jwk("k").to_value(), "enc": "A256GCM"},
    });
    let before = world.snapshot().await;
    let refused = world.post_json(CREDENTIAL, &body, Some(&token)).await;
    assert_eq!(error(&refused), (400, "invalid_encryption_parameters".into()), "{}", refused.text());
    assert_eq!(world.snapshot().await, before);
}

#[tokio::test]
async fn deferred_credentials_are_encrypted_to_the_key_of_the_later_request() {
    let world = world(Demand::Required, Demand::Required).await;
    let (key, client) = (issuer_key(&world).await, Client::new());
    let offer = world.offer(json!({"approval": true})).await;
    let token = client.post_form(&world, "/oid4vci/token", &form_of(&offer)).await.json();
    let token = token["access_token"].as_str().unwrap();
    let (first, second) = (JweDecryptionKey::generate().unwrap(), JweDecryptionKey::generate().unwrap());
    let encryption = |key: &JweDecryptionKey| json!({"jwk": key.jwk("k").to_value(), "enc": "A128GCM"});
    let body = json!({
        "credential_configuration_id": "patient_identity",
        "proofs": {"jwt": [world.proof(Proof::default()).await]},
        "credential_response_encryption": encryption(&first),
    });
    let send = async |path: &str, body: &Value| {
        let proof = client.fresh(&world, path, Some(token)).await;
        let request = world.request(Method::POST, path).header("authorization", format!("DPoP {token}"));
        let request = request.header("dpop", proof).header("content-type", "application/jwt");
        world.send(request.body(seal(body, &key))).await
    };
    let deferred = send(CREDENTIAL, &body).await;
    assert_eq!(deferred.status, 202);
    let transaction = open(&deferred, &first).1["transaction_id"].clone();
    let ask = json!({"transaction_id": transaction, "credential_response_encryption": encryption(&second)});
    let waiting = send(DEFERRED, &ask).await;
    assert_eq!((waiting.status, &open(&waiting, &second).1["transaction_id"]), (202, &transaction));
    let before = world.snapshot().await;
    let plain = json!({"transaction_id": transaction});
    assert_eq!(error(&send(DEFERRED, &plain).await), (400, "invalid_encryption_parameters".into()));
    let clear = client.post_json(&world, DEFERRED, token, &ask).await;
    assert_eq!(error(&clear), (400, "invalid_encryption_parameters".into()));
    assert_eq!(world.snapshot().await, before);
    let id = offer["id"].as_str().unwrap();
    world.post_api(&format!("/api/offers/{id}/approve"), &Value::Null).await;
    let issued = send(DEFERRED, &ask).await;
    assert_eq!(issued.status, 200);
    assert!(open(&issued, &second).1["credentials"][0]["credential"].is_string());
}

#[tokio::test]
async fn the_key_for_requests_outlasts_restarts() {
    let world = world(Demand::Accepted, Demand::Off).await;
    let before = issuer_key(&world).await;
    let world = world.restart().await;
    assert_eq!(issuer_key(&world).await, before);
}

#[tokio::test]
async fn metadata_is_signed_for_those_who_prefer_it() {
    let world = World::start(|_| {}).await;
    let path = "/.well-known/openid-credential-issuer";
    let ask =
        async |accept: &str| world.send(world.request(Method::GET, path).header("accept", accept)).await;
    for accept in
        ["application/jwt", "application/jwt, application/json;q=0.5", "APPLICATION/JWT;q=0.2, text/html"]
    {
        let answer = ask(accept).await;
        assert_eq!(answer.header("content-type").as_deref(), Some("application/jwt"), "{accept}");
        assert_eq!(answer.header("vary").as_deref(), Some("accept"));
        let anchor = TrustAnchor::from_der(&world.app.anchor().unwrap()).unwrap();
        let verified = signed_metadata::verify(
            &answer.body,
            &world.url,
            std::slice::from_ref(&anchor),
            world.clock.now(),
            &Limits::DEFAULT,
        )
        .unwrap();
        let plain = world.get(path).await;
        let plain = CredentialIssuerMetadata::parse(&plain.body, &world.url, &Limits::DEFAULT).unwrap();
        assert_eq!((verified.metadata, verified.anchor.as_str()), (plain, anchor.subject()));
    }
    for accept in [
        "*/*",
        "application/json",
        "application/jwt;q=0.5, application/json",
        "application/json, application/jwt",
        "x",
    ] {
        assert_eq!(ask(accept).await.header("content-type").as_deref(), Some("application/json"), "{accept}");
    }
    let by_did = World::start(|config| config.issuer.key = carekey_issuer::config::KeyKind::DidWeb).await;
    let answer = by_did.send(by_did.request(Method::GET, path).header("accept", "application/jwt")).await;
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "without a certificate");
}
