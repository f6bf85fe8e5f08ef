//! Tokens that are bound to a key (RFC 9449), over sockets: what a thief of token, proof or nonce gets.

use carekey_core::clock::Clock;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::protocol::oauth::dpop::{self, DpopInput};
use carekey_core::random::{Random, SystemRandom};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::world::{Answer, Proof, World, form_of};

/// A client with a key of its own.
pub(crate) struct Client {
    pub(crate) key: SoftwareKey,
}

/// A proof, right unless a member says otherwise.
pub(crate) struct Parts<'a> {
    pub(crate) jti: &'a str,
    pub(crate) htm: &'a str,
    pub(crate) path: &'a str,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) age: i64,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { key: SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap() }
    }

    pub(crate) fn proof(&self, world: &World, parts: &Parts<'_>) -> String {
        let input = dpop::signing_input(&DpopInput {
            key: self.key.public_key(),
            jti: parts.jti,
            htm: parts.htm,
            htu: &Url::parse(&format!("{}{}", world.url, parts.path)).unwrap(),
            nonce: parts.nonce,
            access_token: parts.token,
            now: world.clock.now().plus(-parts.age),
        });
        let input = input.unwrap();
        let signature = self.key.sign(input.as_bytes()).unwrap();
        jws::assemble(input, &signature)
    }
}

impl Client {
    /// Posts a form as a client that knows the server's nonce.
    pub(crate) async fn post_form(&self, world: &World, path: &str, form: &str) -> Answer {
        let request = world.request(Method::POST, path).header("dpop", self.fresh(world, path, None).await);
        let media = "application/x-www-form-urlencoded";
        world.send(request.header("content-type", media).body(form.to_owned())).await
    }

    /// Posts JSON with a bound token.
    pub(crate) async fn post_json(&self, world: &World, path: &str, token: &str, body: &Value) -> Answer {
        let proof = self.fresh(world, path, Some(token)).await;
        let request = world.request(Method::POST, path).header("authorization", format!("DPoP {token}"));
        let request = request.header("dpop", proof).header("content-type", "application/json");
        world.send(request.body(body.to_string())).await
    }

    pub(crate) async fn fresh(&self, world: &World, path: &str, token: Option<&str>) -> String {
        let nonce = world.raw("/oid4vci/nonce", "", Vec::new(), None).await.header("dpop-nonce").unwrap();
        self.proof(world, &parts(path, &nonce, token))
    }
}

/// The usual proof for `path`.
pub(crate) fn parts<'a>(path: &'a str, nonce: &'a str, token: Option<&'a str>) -> Parts<'a> {
    let random: &dyn Random = &SystemRandom;
    let jti = Box::leak(random.token(16).into_boxed_str());
    Parts { jti, htm: "POST", path, nonce: Some(nonce), token, age: 0 }
}

const TOKEN: &str = "/oid4vci/token";
const CREDENTIAL: &str = "/oid4vci/credential";

async fn token(world: &World, offer: &Value, proof: &str) -> Answer {
    let request = world.request(Method::POST, TOKEN).header("dpop", proof);
    world.send(request.header("content-type", "application/x-www-form-urlencoded").body(form_of(offer))).await
}

async fn credential(world: &World, scheme: &str, token: &str, proof: Option<&str>, nonce: &str) -> Answer {
    let key_proof = world.proof(Proof { nonce: Some(json!(nonce)), ..Proof::default() }).await;
    let body = json!({"credential_configuration_id": "patient_identity", "proofs": {"jwt": [key_proof]}});
    let mut request =
        world.request(Method::POST, CREDENTIAL).header("authorization", format!("{scheme} {token}"));
    if let Some(proof) = proof {
        request = request.header("dpop", proof);
    }
    world.send(request.header("content-type", "application/json").body(body.to_string())).await
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_bound_token_works_with_its_key_and_in_no_other_way() {
    let world = World::start(|_| {}).await;
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["dpop_signing_alg_values_supported"], json!(["ES256"]));
    let (client, thief) = (Client::new(), Client::new());
    let offer = world.offer(json!({})).await;
    let before = world.snapshot().await;

    // The server asks for its nonce, and nothing was consumed.
    let asked =
        token(&world, &offer, &client.proof(&world, &Parts { nonce: None, ..parts(TOKEN, "", None) })).await;
    assert_eq!(error(&asked), (400, "use_dpop_nonce".into()));
    let nonce = asked.header("dpop-nonce").unwrap();
    let old = asked.header("dpop-nonce").unwrap();
    let bad: [(&str, Parts<'_>); 6] = [
        ("use_dpop_nonce", parts(TOKEN, "invented", None)),
        ("invalid_dpop_proof", Parts { htm: "GET", ..parts(TOKEN, &nonce, None) }),
        ("invalid_dpop_proof", parts(CREDENTIAL, &nonce, None)),
        ("invalid_dpop_proof", Parts { age: 301, ..parts(TOKEN, &nonce, None) }),
        ("invalid_dpop_proof", Parts { age: -61, ..parts(TOKEN, &nonce, None) }),
        ("invalid_dpop_proof", Parts { jti: "", ..parts(TOKEN, &nonce, None) }),
    ];
    for (expected, parts) in bad {
        let answer = token(&world, &offer, &client.proof(&world, &parts)).await;
        assert_eq!(error(&answer), (400, expected.into()), "{}", answer.text());
    }
    for bad in ["x", "a.b.c", "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.e30."] {
        assert_eq!(error(&token(&world, &offer, bad).await), (400, "invalid_dpop_proof".into()));
    }
    assert_eq!(world.snapshot().await, before, "nothing consumed");

    let good = client.proof(&world, &parts(TOKEN, &nonce, None));
    let answer = token(&world, &offer, &good).await;
    assert_eq!(
        (answer.status, answer.json()["token_type"].as_str()),
        (200, Some("DPoP")),
        "{}",
        answer.text()
    );
    let nonce = answer.header("dpop-nonce").expect("a fresh nonce with every answer");
    let bound = answer.json()["access_token"].as_str().unwrap().to_owned();
    let second = world.offer(json!({})).await;
    let replayed = token(&world, &second, &good).await;
    assert_eq!(error(&replayed), (400, "invalid_dpop_proof".into()), "a jti counts once");

    let c_nonce = world.nonce().await;
    let before = world.snapshot().await;
    let proof = |client: &Client, parts: Parts<'_>| Some(client.proof(&world, &parts));
    let table: [(&str, Option<String>, &str); 9] = [
        ("Bearer", None, "invalid_token"),
        ("Bearer", proof(&client, parts(CREDENTIAL, &nonce, Some(&bound))), "invalid_token"),
        ("DPoP", None, "invalid_dpop_proof"),
        ("DPoP", Some(good), "invalid_dpop_proof"),
        ("DPoP", proof(&thief, parts(CREDENTIAL, &nonce, Some(&bound))), "invalid_token"),
        ("DPoP", proof(&client, parts(CREDENTIAL, &nonce, None)), "invalid_dpop_proof"),
        ("DPoP", proof(&client, parts(CREDENTIAL, &nonce, Some("another token"))), "invalid_dpop_proof"),
        ("DPoP", proof(&client, parts(TOKEN, &nonce, Some(&bound))), "invalid_dpop_proof"),
        ("DPoP", proof(&client, parts(CREDENTIAL, "invented", Some(&bound))), "use_dpop_nonce"),
    ];
    for (scheme, proof, expected) in table {
        let answer = credential(&world, scheme, &bound, proof.as_deref(), &c_nonce).await;
        assert_eq!(error(&answer), (401, expected.into()), "{scheme} {}", answer.text());
        assert!(answer.header("www-authenticate").unwrap().contains(expected));
        assert_eq!(answer.header("dpop-nonce").is_some(), proof.is_some());
    }
    assert_eq!(world.snapshot().await, before, "nothing consumed");
    let good = client.proof(&world, &parts(CREDENTIAL, &nonce, Some(&bound)));
    let answer = credential(&world, "DPoP", &bound, Some(&good), &c_nonce).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let again = credential(&world, "DPoP", &bound, Some(&good), &world.nonce().await).await;
    assert_eq!(error(&again), (401, "invalid_dpop_proof".into()));

    // Nonces end, and with them the list of proofs that were seen.
    world.later(301);
    let late = token(&world, &second, &client.proof(&world, &parts(TOKEN, &old, None))).await;
    assert_eq!(error(&late), (400, "use_dpop_nonce".into()));
    world.app.upkeep().await.unwrap();
    assert!(!world.snapshot().await.iter().any(|(table, _, _)| table == "dpop_proofs"));
}

#[tokio::test]
async fn of_a_hundred_requests_with_one_proof_one_wins() {
    let world = World::start(|_| {}).await;
    let client = Client::new();
    let offers = [world.offer(json!({})).await, world.offer(json!({})).await];
    let nonce = world.raw("/oid4vci/nonce", "", Vec::new(), None).await.header("dpop-nonce").unwrap();
    let proof = client.proof(&world, &parts(TOKEN, &nonce, None));
    let sent: Vec<_> = (0..100)
        .map(|n| {
            let request =
                world.request(Method::POST, TOKEN).header("dpop", &proof).body(form_of(&offers[n % 2]));
            tokio::spawn(request.header("content-type", "application/x-www-form-urlencoded").send())
        })
        .collect();
    let mut won = 0;
    for answer in sent {
        let answer = answer.await.unwrap().unwrap();
        assert!(matches!(answer.status().as_u16(), 200 | 400));
        won += usize::from(answer.status() == 200);
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_issuer_can_insist() {
    let world = World::start(|config| config.issuer.dpop_required = true).await;
    let offer = world.offer(json!({})).await;
    let plain = world.post_form(TOKEN, &form_of(&offer)).await;
    assert_eq!(error(&plain), (400, "invalid_dpop_proof".into()));
    // A bearer token does not become a bound one by the scheme.
    let open = World::start(|_| {}).await;
    let bearer = open.token(&open.offer(json!({})).await).await;
    let nonce = open.raw("/oid4vci/nonce", "", Vec::new(), None).await.header("dpop-nonce").unwrap();
    let proof = Client::new().proof(&open, &parts(CREDENTIAL, &nonce, Some(&bearer)));
    let answer = credential(&open, "DPoP", &bearer, Some(&proof), &open.nonce().await).await;
    assert_eq!(error(&answer), (401, "invalid_token".into()));
}
