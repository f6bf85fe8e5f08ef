//! The VC-API and the DID resolver over a socket: every status code, and bad input.

use carekey_core::Clock;
use carekey_core::did::{self, DidUrl};
use carekey_core::format::data_integrity::{Contexts, Cryptosuite, ProofOptions, ProofPurpose, add_proof};
use carekey_core::format::sd_jwt_vc::issue::DisclosureFrame;
use carekey_core::format::vc_jose::envelope::Enveloped;
use carekey_core::format::vc_jose::issue::{self, IssueInput};
use carekey_core::format::vc_jose::{Content, EnvelopeType, Mechanism};
use carekey_core::format::vc_jwt;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::random::SystemRandom;
use carekey_core::status::bitstring_status_list::{
    Bitstring, ListCredentialInput, MIN_ENTRIES, StatusEntry, StatusPurpose, StatusSize, list_credential,
};
use carekey_verifier::config::IssuerBinding;
use serde_json::{Map, Value, json};

use crate::portal::{Reply, Verifier};

const LIST: &str = "https://status.example/1";

struct Party {
    key: SoftwareKey,
    did: String,
    method: DidUrl,
}

impl Party {
    fn new() -> Self {
        let key = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
        let did = did::key::encode(key.public_key()).unwrap();
        let method = did.with_fragment(did.method_specific_id()).unwrap();
        Self { key, did: did.to_string(), method }
    }

    fn sign(&self, mut document: Value, change: impl FnOnce(&mut ProofOptions)) -> Value {
        let purpose = ProofPurpose::AssertionMethod;
        let mut options = ProofOptions::new(Cryptosuite::EddsaRdfc2022, self.method.clone(), purpose);
        change(&mut options);
        add_proof(&mut document, &options, &self.key, &Contexts::bundled().unwrap()).unwrap();
        document
    }

    fn plain(&self) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
            "issuer": self.did, "credentialSubject": {"id": "did:example:subject", "name": "A"},
        })
    }

    fn credential(&self) -> Value {
        self.sign(self.plain(), |_| ())
    }

    fn presentation(&self, credentials: Value) -> Value {
        let document = json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"],
            "holder": self.did, "verifiableCredential": credentials,
        });
        self.sign(document, |options| {
            options.purpose = ProofPurpose::Authentication;
            options.domain = vec!["example.org".into()];
            options.challenge = Some("c-1".into());
        })
    }
}

async fn verifier() -> Verifier {
    Verifier::start_with(|config| config.vc_api.enabled = true).await
}

fn assert_refused(reply: &Reply, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (400, code), "{}", reply.text);
    assert_eq!(reply.content_type, "application/problem+json");
    let body = reply.json();
    assert_eq!((&body["verified"], &body["problemDetails"][0]["code"]), (&json!(false), &json!(code)));
}

#[tokio::test]
async fn off_unless_turned_on_and_guarded() {
    let off = Verifier::start().await;
    let on = verifier().await;
    let open = Verifier::start_with(|config| {
        (config.vc_api.enabled, config.vc_api.authenticate) = (true, false);
    });
    let open = open.await;
    let body = json!({"verifiableCredential": Party::new().credential()});
    for path in ["/credentials/verify", "/presentations/verify", "/credentials/derive"] {
        assert_eq!(off.post(path, &body).await.status, 404, "{path}");
        let send = |verifier: &Verifier| {
            verifier.client.post(format!("{}{path}", verifier.base)).body(body.to_string())
        };
        let reply = on.send(send(&on).header("content-type", "application/json")).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "unauthorized"), "{path}");
        let reply = open.send(send(&open).header("content-type", "application/json")).await;
        assert_eq!(reply.status, if path == "/credentials/verify" { 200 } else { 400 }, "{path}");
        assert!(off.get("/openapi.json").await.json()["paths"].get(path).is_none());
        assert!(on.get("/openapi.json").await.json()["paths"].get(path).is_some());
    }
}

#[tokio::test]
async fn without_token_on_loopback_only() {
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let mut config = carekey_verifier::Config { data_dir: folder.path().to_owned(), ..Default::default() };
    (config.vc_api.enabled, config.vc_api.authenticate) = (true, false);
    config.server.listen = ([0, 0, 0, 0], 0).into();
    let url = "https://portal.example".parse().unwrap();
    let store = Arc::new(carekey_core::store::MemoryStore::default());
    let (clock, random) = (carekey_core::clock::SystemClock, carekey_core::random::SystemRandom);
    let error =
        carekey_verifier::App::open(config, url, store, Arc::new(clock), Arc::new(random)).unwrap_err();
    assert!(error.to_string().contains("vc_api.authenticate"));
}

/// Off by default; a build that cannot do it says so at the start.
#[cfg(not(feature = "foreign-suites"))]
#[tokio::test]
async fn older_proofs_need_their_build() {
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let mut config = carekey_verifier::Config { data_dir: folder.path().to_owned(), ..Default::default() };
    assert!(!config.vc_api.foreign_suites);
    config.vc_api.foreign_suites = true;
    let url = "https://portal.example".parse().unwrap();
    let store = Arc::new(carekey_core::store::MemoryStore::default());
    let (clock, random) = (carekey_core::clock::SystemClock, carekey_core::random::SystemRandom);
    let error =
        carekey_verifier::App::open(config, url, store, Arc::new(clock), Arc::new(random)).unwrap_err();
    assert!(error.to_string().contains("vc_api.foreign_suites"), "{error}");
}

#[tokio::test]
async fn credentials() {
    let verifier = verifier().await;
    let (issuer, other) = (Party::new(), Party::new());
    let verify = async |credential: Value, options: Value| {
        let body = json!({"verifiableCredential": credential, "options": options});
        verifier.post("/credentials/verify", &body).await
    };
    for options in [Value::Null, json!({}), json!({"checks": ["proof"]})] {
        let reply = verify(issuer.credential(), options).await;
        assert_eq!((reply.status, &reply.json()["verified"]), (200, &json!(true)), "{}", reply.text);
        assert_eq!(reply.json()["errors"], json!([]));
    }
    let bound = issuer.sign(issuer.plain(), |options| {
        options.domain = vec!["example.org".into()];
        options.challenge = Some("c-1".into());
    });
    let options = |domain: &str, challenge: &str| json!({"domain": domain, "challenge": challenge});
    assert_eq!(verify(bound.clone(), options("example.org", "c-1")).await.status, 200);
    assert_refused(&verify(bound.clone(), options("example.com", "c-1")).await, "proof_domain");
    assert_refused(&verify(bound, options("example.org", "c-2")).await, "proof_challenge");

    let changed = |name: &str, value: Value| {
        let mut credential = issuer.credential();
        credential[name] = value;
        credential
    };
    let mut old = issuer.plain();
    old["validUntil"] = json!("2001-01-01T00:00:00Z");
    let mut status = issuer.plain();
    status["credentialStatus"] = json!({"id": "urn:x:1", "type": "BitstringStatusListEntry"});
    let mut foreign = issuer.plain();
    foreign["issuer"] = json!("https://issuer.example/1");
    let mut web = issuer.credential();
    web["proof"]["verificationMethod"] = json!("did:web:a.example#k");
    let enveloped = json!({"@context": "https://www.w3.org/ns/credentials/v2",
        "type": "EnvelopedVerifiableCredential", "id": "data:application/vc+jwt,a.b.c"});
    for (credential, code) in [
        (Value::Null, "vc_shape"),
        (json!("x"), "vc_shape"),
        (json!([]), "vc_shape"),
        (json!({}), "vc_context"),
        (issuer.plain(), "proof_missing"),
        (changed("issuer", Value::Null), "vc_issuer"),
        (changed("credentialSubject", json!({"id": "did:example:other"})), "proof_signature"),
        (changed("unknown", json!("x")), "jsonld_undefined_term"),
        (changed("proof", json!({"type": "Other"})), "proof_type"),
        (changed("issuer", json!(other.did)), "proof_controller"),
        (issuer.sign(foreign.clone(), |_| ()), "proof_controller"),
        (
            issuer.sign(issuer.plain(), |options| options.purpose = ProofPurpose::Authentication),
            "proof_purpose_mismatch",
        ),
        (issuer.sign(old, |_| ()), "credential_expired"),
        (issuer.sign(status.clone(), |_| ()), "bitstring_entry"),
        (web, "did_not_found"),
        (enveloped, "base64url"),
    ] {
        let reply = verify(credential, Value::Null).await;
        println!("{}", reply.text);
        assert_refused(&reply, code);
    }
    // Whoever asks for the proof alone gets no answer about the status.
    assert_eq!(verify(issuer.sign(status, |_| ()), json!({"checks": ["proof"]})).await.status, 200);

    let lenient = Verifier::start_with(|config| {
        config.vc_api.enabled = true;
        config.vc_api.issuer_binding = IssuerBinding::DidsOnly;
    });
    let lenient = lenient.await;
    let body = json!({"verifiableCredential": issuer.sign(foreign, |_| ())});
    assert_eq!(lenient.post("/credentials/verify", &body).await.status, 200);
    let body = json!({"verifiableCredential": changed("issuer", json!(other.did))});
    assert_refused(&lenient.post("/credentials/verify", &body).await, "proof_controller");

    for (body, code, status) in [
        ("[", "json_syntax", 400),
        ("[]", "invalid_member", 400),
        ("{\"a\":1,\"a\":1}", "json_duplicate_member", 400),
    ] {
        let request = verifier.client.post(format!("{}/credentials/verify", verifier.base));
        let request =
            request.bearer_auth(verifier.app.token().expose()).header("content-type", "application/json");
        let reply = verifier.send(request.body(body)).await;
        println!("{}", reply.text);
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
}

#[tokio::test]
async fn presentations() {
    let verifier = verifier().await;
    let lenient =
        Verifier::start_with(|config| (config.vc_api.enabled, config.vc_api.accept_unsecured) = (true, true));
    let lenient = lenient.await;
    let (issuer, holder) = (Party::new(), Party::new());
    let verify = async |verifier: &Verifier, presentation: &Value, domain: &str, challenge: &str| {
        let options = json!({"domain": domain, "challenge": challenge});
        let body = json!({"verifiablePresentation": presentation, "options": options});
        verifier.post("/presentations/verify", &body).await
    };
    let good = holder.presentation(json!([issuer.credential()]));
    let reply = verify(&verifier, &good, "example.org", "c-1").await;
    assert_eq!(
        (reply.status, &reply.json()["credentialResults"][0]["secured"]),
        (200, &json!(true)),
        "{}",
        reply.text
    );
    assert_refused(&verify(&verifier, &good, "example.com", "c-1").await, "proof_domain");
    assert_refused(&verify(&verifier, &good, "example.org", "c-2").await, "proof_challenge");
    let mut forged = good.clone();
    forged["holder"] = json!(issuer.did);
    assert_refused(&verify(&verifier, &forged, "example.org", "c-1").await, "proof_controller");
    let mut bad = issuer.credential();
    bad["credentialSubject"]["name"] = json!("B");
    let bad = holder.presentation(json!([issuer.credential(), bad]));
    for verifier in [&verifier, &lenient] {
        assert_refused(&verify(verifier, &bad, "example.org", "c-1").await, "proof_signature");
        let string = json!({"@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"],
            "verifiableCredential": ["x"]});
        assert_refused(&verify(verifier, &string, "example.org", "c-1").await, "vc_shape");
        assert_refused(&verify(verifier, &Value::Null, "example.org", "c-1").await, "vc_shape");
    }
    // Without proofs: a matter of policy.
    let inner = holder.presentation(json!([issuer.plain()]));
    let mut outer = good.clone();
    outer.as_object_mut().unwrap().remove("proof");
    for presentation in [&inner, &outer] {
        assert_refused(&verify(&verifier, presentation, "example.org", "c-1").await, "vc_unsecured");
        let reply = verify(&lenient, presentation, "example.org", "c-1").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let reply = verify(&lenient, &inner, "example.org", "c-1").await.json();
    assert_eq!(reply["credentialResults"][0]["secured"], json!(false));
}

#[tokio::test]
async fn envelopes() {
    let verifier = verifier().await;
    let (issuer, holder) = (Party::new(), Party::new());
    let post = async |kind: &str, value: &Value, options: Value| {
        let body = json!({format!("verifiable{kind}"): value, "options": options});
        verifier.post(&format!("/{}s/verify", kind.to_lowercase()), &body).await
    };
    let object = |value: Value| value.as_object().unwrap().clone();
    let credential = object(issuer.plain());
    let (kid, holder_kid) = (issuer.method.to_string(), holder.method.to_string());
    fn input<'a>(document: &'a Map<String, Value>, key_id: Option<&'a str>) -> IssueInput<'a> {
        IssueInput { document, key_id, claims: Map::new() }
    }
    let secured = input(&credential, Some(&kid));
    let kind = |content, mechanism| EnvelopeType { content, mechanism };
    let jwt = issue::jwt(Content::Credential, &secured, &issuer.key).unwrap();
    let jwt = Enveloped::text(kind(Content::Credential, Mechanism::Jwt), &jwt).unwrap().to_value();
    let frame = DisclosureFrame::new();
    let sd_jwt = issue::sd_jwt(Content::Credential, &secured, &frame, &issuer.key, &SystemRandom).unwrap();
    let sd_jwt = Enveloped::text(kind(Content::Credential, Mechanism::SdJwt), &sd_jwt).unwrap().to_value();
    let cose = issue::cose(Content::Credential, &secured, &issuer.key).unwrap();
    let cose = Enveloped::cose(Content::Credential, cose).to_value();
    for envelope in [&jwt, &sd_jwt, &cose] {
        let reply = post("Credential", envelope, Value::Null).await;
        assert_eq!((reply.status, &reply.json()["verified"]), (200, &json!(true)), "{}", reply.text);
        let mut flipped = envelope.clone();
        let url = flipped["id"].as_str().unwrap().trim_end_matches('~').to_owned();
        let (head, last) = url.split_at(url.len() - 9);
        let swapped = if last.starts_with('A') { "B" } else { "A" };
        flipped["id"] = json!(format!("{head}{swapped}{}", &last[1..]));
        assert_eq!(post("Credential", &flipped, Value::Null).await.status, 400);
        let mut other = envelope.clone();
        other["type"] = json!("VerifiableCredential");
        assert_eq!(post("Credential", &other, Value::Null).await.status, 400);
        let mut other = envelope.clone();
        other["@context"] = json!([]);
        assert_refused(&post("Credential", &other, Value::Null).await, "vc_context");
    }
    // Whose key it is: by its name, or the only one of the issuer; never somebody else's.
    let by = |key_id: Option<&str>, document: &Map<String, Value>| {
        let jwt = issue::jwt(Content::Credential, &input(document, key_id), &issuer.key).unwrap();
        Enveloped::text(kind(Content::Credential, Mechanism::Jwt), &jwt).unwrap().to_value()
    };
    assert_eq!(post("Credential", &by(None, &credential), Value::Null).await.status, 200);
    let fragment = format!("#{}", kid.split_once('#').unwrap().1);
    assert_eq!(post("Credential", &by(Some(&fragment), &credential), Value::Null).await.status, 200);
    let other = by(Some(&holder_kid), &credential);
    assert_refused(&post("Credential", &other, Value::Null).await, "proof_controller");
    let mut foreign = credential.clone();
    foreign.insert("issuer".into(), json!("https://university.example"));
    assert_refused(&post("Credential", &by(Some(&kid), &foreign), Value::Null).await, "proof_controller");
    let mut old = credential.clone();
    old.insert("validUntil".into(), json!("2001-01-01T00:00:00Z"));
    assert_refused(&post("Credential", &by(Some(&kid), &old), Value::Null).await, "credential_expired");

    // A presentation of all three, for one receiver.
    let present = |credentials: Value, claims: Value| {
        let document = object(json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"],
            "holder": holder.did, "verifiableCredential": credentials,
        }));
        let input = IssueInput { document: &document, key_id: Some(&holder_kid), claims: object(claims) };
        let jwt = issue::jwt(Content::Presentation, &input, &holder.key).unwrap();
        Enveloped::text(kind(Content::Presentation, Mechanism::Jwt), &jwt).unwrap().to_value()
    };
    let to = json!({"aud": "example.org", "nonce": "c-1"});
    let good = present(json!([jwt, sd_jwt, cose]), to.clone());
    let options = json!({"domain": "example.org", "challenge": "c-1"});
    let reply = post("Presentation", &good, options.clone()).await;
    assert_eq!((reply.status, reply.json()["credentialResults"].as_array().unwrap().len()), (200, 3));
    let wrong = json!({"domain": "example.com", "challenge": "c-1"});
    assert_refused(&post("Presentation", &good, wrong).await, "proof_domain");
    let wrong = json!({"domain": "example.org", "challenge": "c-2"});
    assert_refused(&post("Presentation", &good, wrong).await, "proof_challenge");
    let one_bad = present(json!([jwt, other]), to);
    assert_refused(&post("Presentation", &one_bad, options.clone()).await, "proof_controller");
    // Enveloped credentials also stand in a presentation with a proof.
    let mixed = holder.presentation(json!([jwt, issuer.credential()]));
    let reply = post("Presentation", &mixed, options).await;
    assert_eq!((reply.status, reply.json()["credentialResults"].as_array().unwrap().len()), (200, 2));
}

#[tokio::test]
async fn jwts_of_vcdm_1() {
    let verifier = verifier().await;
    let (issuer, holder) = (Party::new(), Party::new());
    let verify = async |value: Value, options: Value| {
        let body = json!({"verifiablePresentation": value, "options": options});
        verifier.post("/presentations/verify", &body).await
    };
    let object = |value: Value| value.as_object().unwrap().clone();
    let sign = |content, document: Value, claims: Value, by: &Party| {
        let kid = by.method.to_string();
        vc_jwt::issue(content, &object(document), Some(&kid), object(claims), &by.key).unwrap()
    };
    let envelope = |name: &str, jwt: &str| {
        json!({"@context": "https://www.w3.org/ns/credentials/v2", "type": format!("EnvelopedVerifiable{name}"),
            "id": format!("data:application/jwt,{jwt}")})
    };
    let old = json!({
        "@context": ["https://www.w3.org/2018/credentials/v1"], "type": ["VerifiableCredential"],
        "issuer": issuer.did, "issuanceDate": "2020-01-01T00:00:00Z", "credentialSubject": {"id": "did:example:s"},
    });
    let first = sign(Content::Credential, old.clone(), json!({}), &issuer);
    let forged = sign(Content::Credential, old, json!({}), &holder);
    let second = sign(Content::Credential, issuer.plain(), json!({}), &issuer);
    let presentation = |version: u8, credentials: Value, nonce: &str| {
        let context = ["https://www.w3.org/2018/credentials/v1", "https://www.w3.org/ns/credentials/v2"];
        let document = json!({
            "@context": [context[usize::from(version - 1)]], "type": ["VerifiablePresentation"],
            "holder": holder.did, "verifiableCredential": credentials,
        });
        let claims = json!({"aud": ["example.org"], "nonce": nonce});
        envelope("Presentation", &sign(Content::Presentation, document, claims, &holder))
    };
    let options = json!({"domain": "example.org", "challenge": "c-1"});
    // Strings in 1.1, objects in 2.0.
    for good in [
        presentation(1, json!([first]), "c-1"),
        presentation(2, json!(envelope("Credential", &second)), "c-1"),
        presentation(2, json!([envelope("Credential", &first), issuer.credential()]), "c-1"),
    ] {
        let reply = verify(good, options.clone()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["credentialResults"][0]["secured"], json!(true));
    }
    for (bad, code) in [
        (presentation(1, json!([first]), "c-2"), "proof_challenge"),
        (presentation(1, json!([forged]), "c-1"), "proof_controller"),
        (presentation(2, json!([issuer.plain()]), "c-1"), "proof_missing"),
        (envelope("Presentation", &first), "vc_jwt_claim"),
    ] {
        assert_refused(&verify(bad, options.clone()).await, code);
    }
    let body = json!({"verifiableCredential": envelope("Credential", &second)});
    assert_eq!(verifier.post("/credentials/verify", &body).await.status, 200);
}

#[tokio::test]
async fn status_lists() {
    let verifier = verifier().await;
    let (issuer, other) = (Party::new(), Party::new());
    let publish = |by: &Party, set: bool, sign: bool| {
        let mut bits = Bitstring::new(MIN_ENTRIES, StatusSize::ONE).unwrap();
        bits.set(7, StatusSize::ONE, u64::from(set)).unwrap();
        let input = ListCredentialInput {
            id: LIST,
            issuer: &by.did,
            purposes: &[StatusPurpose::Revocation],
            valid_from: verifier.world.clock.now(),
            valid_until: None,
            ttl_secs: None,
        };
        let list = list_credential(&input, &bits).unwrap();
        let list = if sign { by.sign(list, |_| ()) } else { list };
        verifier.hospital.documents.lock().unwrap().insert(LIST.into(), list.to_string());
    };
    let mut plain = issuer.plain();
    plain["credentialStatus"] = StatusEntry::new(StatusPurpose::Revocation, 7, LIST).to_value().unwrap();
    let body = json!({"verifiableCredential": issuer.sign(plain, |_| ())});
    let verify = async || verifier.post("/credentials/verify", &body).await;
    publish(&issuer, false, true);
    let reply = verify().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.json()["checks"].as_array().unwrap().contains(&json!("status")));
    publish(&issuer, true, true);
    assert_refused(&verify().await, "vc_revoked");
    publish(&issuer, false, false);
    assert_refused(&verify().await, "proof_missing");
    publish(&other, false, true);
    assert_refused(&verify().await, "vc_status_issuer");
    verifier.hospital.documents.lock().unwrap().insert(LIST.into(), "{".into());
    assert_refused(&verify().await, "json_syntax");
}
