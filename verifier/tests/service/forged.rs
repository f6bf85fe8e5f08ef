//! Proofs of a holder key that are wrong in one way only, over a real socket.

use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::encoding::base64url;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, SoftwareKey};
use carekey_core::random::SystemRandom;
use carekey_core::webauthn::options::RequestOptions;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::portal::Verifier;
use crate::world::{AK_ID, NOW, ORIGIN, RP_ID};

/// A true answer, taken apart.
#[derive(Clone)]
struct Answer {
    id: String,
    state: String,
    sd_jwt: String,
    claims: Map<String, Value>,
}

impl Verifier {
    async fn answer(&self) -> Answer {
        let credentials = [self.credential().await];
        let (id, link) = self.create(json!({"response_mode": "direct_post"})).await;
        let form = self.form_for(&link, &credentials).await;
        let value = |name: &str| {
            let found = url::form_urlencoded::parse(&form).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap()
        };
        let token: Value = serde_json::from_str(&value("vp_token")).unwrap();
        let (sd_jwt, kb_jwt) = token["patient"][0].as_str().unwrap().rsplit_once('~').unwrap();
        let payload = base64url::decode(kb_jwt.split('.').nth(1).unwrap()).unwrap();
        let claims = serde_json::from_slice(&payload).unwrap();
        Answer { id, state: value("state"), sd_jwt: sd_jwt.to_owned(), claims }
    }

    /// Sends the answer with other claims in the holder's proof, signed by the holder's key or another.
    async fn send_forged(
        &self,
        answer: &Answer,
        claims: &Map<String, Value>,
        typ: &str,
        key: Option<&SoftwareKey>,
    ) -> (u16, String) {
        let header = json!({"typ": typ}).as_object().unwrap().clone();
        let payload = Value::Object(claims.clone()).to_string();
        let kb_jwt = match key {
            Some(key) => jws::sign(header, payload.as_bytes(), key).unwrap(),
            None => {
                let keys = self.world.keys.0.lock().unwrap();
                let alias = format!("hk-{}", keys.len() - 1);
                jws::sign(header, payload.as_bytes(), &keys[&alias]).unwrap()
            }
        };
        let token = json!({"patient": [format!("{}~{kb_jwt}", answer.sd_jwt)]}).to_string();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("vp_token", &token)
            .append_pair("state", &answer.state)
            .finish();
        let reply = self.post_form(&format!("/oid4vp/responses/{}", answer.id), form).await;
        (reply.status, if reply.status == 200 { String::new() } else { reply.code() })
    }
}

#[tokio::test]
async fn proofs_that_do_not_bind_leave_the_request_open() {
    let verifier = Verifier::start().await;
    let answer = verifier.answer().await;
    let before = verifier.state(&answer.id).await;
    let other = base64url::encode(&[0; 32]);
    for (name, value, code) in [
        ("aud", json!("x509_hash:another"), "kb_jwt_audience"),
        ("aud", json!(["x509_hash:another"]), "presentation_malformed"),
        ("nonce", json!("another"), "kb_jwt_nonce"),
        ("nonce", json!(null), "presentation_malformed"),
        ("iat", json!(NOW.as_secs() - 361), "kb_jwt_stale"),
        ("iat", json!(NOW.as_secs() + 61), "kb_jwt_in_future"),
        ("iat", json!("now"), "presentation_malformed"),
        ("exp", json!(NOW.as_secs() - 61), "kb_jwt_expired"),
        ("sd_hash", json!(other), "kb_jwt_sd_hash"),
        ("transaction_data_hashes", json!([other]), "kb_jwt_transaction_data"),
        ("transaction_data_hashes", json!([]), "kb_jwt_transaction_data"),
        ("transaction_data_hashes", json!("x"), "kb_jwt_claims"),
        ("transaction_data_hashes_alg", json!("sha-512"), "kb_jwt_transaction_data"),
    ] {
        let mut claims = answer.claims.clone();
        claims.insert(name.into(), value);
        let (status, found) = verifier.send_forged(&answer, &claims, "kb+jwt", None).await;
        assert_eq!((status, found.as_str()), (400, code), "{name}");
    }
    let stranger = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let signed = verifier.send_forged(&answer, &answer.claims, "kb+jwt", Some(&stranger)).await;
    assert_eq!(signed, (400, "kb_jwt_signature_invalid".into()));
    let edwards = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap();
    let signed = verifier.send_forged(&answer, &answer.claims, "kb+jwt", Some(&edwards)).await;
    assert_eq!(signed, (400, "alg_mismatch".into()));
    let typed = verifier.send_forged(&answer, &answer.claims, "JWT", None).await;
    assert_eq!(typed, (400, "presentation_malformed".into()));
    assert_eq!(verifier.state(&answer.id).await, before);
    // The true proof, signed anew by the same key, is still taken.
    assert_eq!(verifier.send_forged(&answer, &answer.claims, "kb+jwt", None).await.0, 200);
}

#[tokio::test]
async fn a_step_up_that_fails_closes_the_request() {
    let verifier = Verifier::start().await;
    let thief = |behaviour: Behaviour, key: Option<SoftwareKey>| {
        let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
        let own = SoftwareKey::from_pkcs8(verifier.world.ak.to_pkcs8().unwrap().expose()).unwrap();
        authenticator.insert_key(AK_ID, RP_ID, key.unwrap_or(own));
        authenticator.behave(behaviour);
        authenticator
    };
    let good = Behaviour::default;
    let other = || Some(SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap());
    let cases: Vec<(Option<SoftwareAuthenticator>, &str)> = vec![
        (None, "assertion_missing"),
        (Some(thief(good(), other())), "assertion_signature"),
        (Some(thief(Behaviour { user_verified: false, ..good() }, None)), "user_not_verified"),
        (Some(thief(Behaviour { user_present: false, ..good() }, None)), "user_not_present"),
        (Some(thief(Behaviour { backup_eligible: true, ..good() }, None)), "backup_eligibility_changed"),
        (Some(thief(Behaviour { rp_id: Some("evil.example".into()), ..good() }, None)), "rp_id_mismatch"),
        (
            Some(thief(Behaviour { origin: Some("https://evil.example".into()), ..good() }, None)),
            "origin_not_allowed",
        ),
        (Some(thief(Behaviour { kind: Some("webauthn.create".into()), ..good() }, None)), "client_data_type"),
        (Some(thief(Behaviour { cross_origin: true, ..good() }, None)), "cross_origin"),
        (Some(thief(Behaviour { challenge: Some(vec![0; 32]), ..good() }, None)), "challenge_mismatch"),
    ];
    for (authenticator, code) in cases {
        let answer = verifier.answer().await;
        let mut claims = answer.claims.clone();
        match authenticator {
            None => drop(claims.remove("webauthn_assertion")),
            Some(authenticator) => {
                let client_data = claims["webauthn_assertion"]["client_data_json"].as_str().unwrap();
                let client_data: Value =
                    serde_json::from_slice(&base64url::decode(client_data).unwrap()).unwrap();
                let challenge = base64url::decode(client_data["challenge"].as_str().unwrap()).unwrap();
                let options = RequestOptions::step_up(RP_ID, AK_ID, challenge.try_into().unwrap());
                let made = authenticator.get(&options).unwrap();
                claims.insert(
                    "webauthn_assertion".into(),
                    json!({
                        "id": made.id,
                        "authenticator_data": made.response.authenticator_data,
                        "client_data_json": made.response.client_data_json,
                        "signature": made.response.signature,
                    }),
                );
            }
        }
        let (status, found) = verifier.send_forged(&answer, &claims, "kb+jwt", None).await;
        assert_eq!((status, found.as_str()), (400, code));
        let view = verifier.state(&answer.id).await;
        assert_eq!((&view["state"], &view["outcome"]["code"]), (&json!("refused"), &json!(code)));
        // The request is over: not even the true answer is taken now.
        let (status, found) = verifier.send_forged(&answer, &answer.claims, "kb+jwt", None).await;
        assert_eq!((status, found.as_str()), (400, "response_replayed"));
    }
    // A copy of the assertion under other times: the challenge covers them.
    let answer = verifier.answer().await;
    let mut claims = answer.claims.clone();
    claims.insert("exp".into(), json!(claims["exp"].as_i64().unwrap() - 1));
    let moved = verifier.send_forged(&answer, &claims, "kb+jwt", None).await;
    assert_eq!(moved, (400, "challenge_mismatch".into()));
}

/// A disclosure twice, one that nobody signed, one too little: each with a proof of the right key over just that.
#[tokio::test]
async fn other_disclosures_than_the_issuer_signed() {
    let verifier = Verifier::start().await;
    let answer = verifier.answer().await;
    let before = verifier.state(&answer.id).await;
    let parts: Vec<&str> = answer.sd_jwt.split('~').collect();
    let twice = [&parts[..2], &parts[1..]].concat().join("~");
    let foreign = format!("{}~WyJzYWx0c2FsdHNhbHQiLCJyb2xlIiwiYWRtaW4iXQ", answer.sd_jwt);
    for sd_jwt in [twice, foreign] {
        let mut claims = answer.claims.clone();
        let hash = base64url::encode(&carekey_core::encoding::sha256(format!("{sd_jwt}~").as_bytes()));
        claims.insert("sd_hash".into(), json!(hash));
        let changed = Answer { sd_jwt, ..answer.clone() };
        let (status, code) = verifier.send_forged(&changed, &claims, "kb+jwt", None).await;
        assert_eq!((status, code.as_str()), (400, "presentation_malformed"));
    }
    assert_eq!(verifier.state(&answer.id).await, before);
    assert_eq!(verifier.send_forged(&answer, &answer.claims, "kb+jwt", None).await.0, 200);
}
