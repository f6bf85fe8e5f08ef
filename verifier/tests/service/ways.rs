//! The ways of request and answer beside `direct_post`: Digital Credentials API, `fragment`, back to the same browser; and
//! verifier attestations, registered transactions, authorities, credentials without holder's proof.

use carekey_core::did::key as did_key;
use carekey_core::encoding::{base64, base64url};
use carekey_core::holder::StoredCredential;
use carekey_core::holder::presentation::{self, Delivery, PresentationContext, PresentationRules};
use carekey_core::jose::jwk::{Jwk, JwkSet};
use carekey_core::jose::{jws, jwt};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::digital_credentials::{DigitalCredentialRequest, ExchangeProtocol};
use carekey_core::protocol::openid4vp::signed_request::{
    RequestEvidence, UnverifiedRequest, VerifierAuthentication,
};
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::trust::federation::FederationAnchor;
use carekey_core::trust::{Attester, KnownAuthorities, VerifierTrust};
use carekey_core::x509::{Certificate, TrustAnchor, UnverifiedChain};
use carekey_service::limit::LimitConfig;
use carekey_verifier::config::AuthorityConfig;
use serde_json::{Value, json};

use crate::portal::Verifier;
use crate::world::NOW;

impl Verifier {
    /// A request over the Digital Credentials API: its id and what the page hands to the platform.
    async fn create_digital(&self, extra: Value) -> (String, Vec<DigitalCredentialRequest>) {
        let mut body =
            json!({"template": "patient_identity", "purpose": "Prove who you are", "min_level": "uv"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let reply = self.post("/api/requests", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let created = reply.json();
        assert!(created.get("request_uri").is_none());
        let requests = serde_json::from_value(created["digital"]["requests"].clone()).unwrap();
        (created["id"].as_str().unwrap().to_owned(), requests)
    }

    /// The wallet answers what the platform brought from `origin`.
    pub async fn answer_digital(
        &self,
        requests: &[DigitalCredentialRequest],
        origin: &str,
        credentials: &[StoredCredential],
    ) -> carekey_core::Result<Value> {
        let trust = self.trust();
        let context = self.context(&trust);
        let review = presentation::review_digital(requests, origin, credentials, &context).await?;
        let delivery = self.finish(review, credentials).await;
        Ok(json!({"protocol": requests[0].protocol, "data": delivery.platform.unwrap()}))
    }

    async fn bring(&self, id: &str, body: &Value) -> crate::portal::Reply {
        self.post(&format!("/api/requests/{id}/response"), body).await
    }

    pub fn origin(&self) -> String {
        self.app.public_url().origin().ascii_serialization()
    }

    pub async fn present_with(
        &self,
        link: &str,
        credentials: &[StoredCredential],
        rules: &PresentationRules,
    ) -> carekey_core::Result<(presentation::PresentationReview, Delivery)> {
        let trust = self.trust();
        let context = PresentationContext { rules, ..self.context(&trust) };
        let review = presentation::review(link, credentials, &context).await?;
        let selection = review.default_selection().ok_or_else(|| {
            carekey_core::Error::refused("not_answerable", "the wallet holds nothing that fits")
        })?;
        let prepared = presentation::prepare(review.clone(), &selection, credentials, &context)?;
        let ceremony = self.world.authenticator.get(&prepared.request_options)?;
        Ok((review, presentation::finish(prepared, &ceremony, credentials, &context).await?))
    }
}

pub fn own_query(extra: Value) -> Value {
    let mut credential = json!({"id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": [crate::world::VCT]},
        "claims": [{"path": ["family_name"]}]});
    credential.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({"template": null, "min_level": "none", "dcql_query": {"credentials": [credential]}})
}

#[tokio::test]
async fn digital_credentials_api() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    for mode in ["dc_api", "dc_api.jwt"] {
        for (prefix, protocol) in [
            ("x509_hash", "openid4vp-v1-signed"),
            ("x509_san_dns", "openid4vp-v1-signed"),
            ("redirect_uri", "openid4vp-v1-unsigned"),
        ] {
            let wanted = json!({"response_mode": mode, "client_id_prefix": prefix});
            let (id, requests) = verifier.create_digital(wanted).await;
            assert_eq!(json!(requests[0].protocol), protocol);
            if protocol.ends_with("unsigned") {
                let data = requests[0].data.as_object().unwrap();
                for absent in ["client_id", "expected_origins", "state", "response_uri", "redirect_uri"] {
                    assert!(!data.contains_key(absent), "{absent}");
                }
            }
            let answer = verifier.answer_digital(&requests, &verifier.origin(), &credentials).await.unwrap();
            assert_eq!(answer["data"].get("response").is_some(), mode == "dc_api.jwt");
            assert!(answer["data"].get("state").is_none());
            let reply = verifier.bring(&id, &answer).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            let view = reply.json();
            assert_eq!((&view["state"], &view["flow"]), (&json!("verified"), &json!("digital_credentials")));
            assert_eq!(view["outcome"]["session_binding"], "origin");
            assert_eq!(view["outcome"]["presentation"]["level"], "uv");
            // Once.
            assert_eq!(verifier.bring(&id, &answer).await.code(), "response_replayed");
        }
    }
}

/// Appendix A.3.2.2: the wallet takes the first signature whose verifier it knows, whatever stands beside it.
#[tokio::test]
async fn multi_signed() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (_, made) = verifier.create_digital(json!({"response_mode": "dc_api"})).await;
    let compact = made[0].data["request"].as_str().unwrap();
    let payload = base64url::decode(compact.split('.').nth(1).unwrap()).unwrap();
    let mut claims: serde_json::Map<String, Value> = serde_json::from_slice(&payload).unwrap();
    claims.remove("client_id");
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let did = did_key::encode(key.public_key()).unwrap();
    let kid = did.with_fragment(did.method_specific_id()).unwrap().to_string();
    let signed = |client_id: &str, key: &SoftwareKey, claims: &serde_json::Map<String, Value>| {
        let header = json!({"kid": kid, "client_id": client_id}).as_object().unwrap().clone();
        let compact = jws::sign(header, Value::Object(claims.clone()).to_string().as_bytes(), key).unwrap();
        let parts: Vec<String> = compact.split('.').map(Into::into).collect();
        (json!({"protected": parts[0], "signature": parts[2]}), parts[1].clone())
    };
    let own = format!("decentralized_identifier:{did}");
    let (good, payload) = signed(&own, &key, &claims);
    let (foreign, _) = signed("x509_hash:AAAA", &key, &claims);
    let (unknown, _) = signed("x509_san_uri:https://x.example", &key, &claims);
    let stranger = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let (forged, _) = signed(&own, &stranger, &claims);
    let request = |signatures: Vec<&Value>, wrapped: bool| {
        let inner = json!({"payload": payload, "signatures": signatures});
        let data = if wrapped { json!({ "request": inner }) } else { inner };
        vec![DigitalCredentialRequest { protocol: ExchangeProtocol::Multisigned, data }]
    };
    let trust = verifier.trust();
    let context = verifier.context(&trust);
    let review = async |requests: Vec<DigitalCredentialRequest>, origin: &str| {
        presentation::review_digital(&requests, origin, &credentials, &context).await
    };
    let origin = verifier.origin();
    for wrapped in [true, false] {
        let review = review(request(vec![&unknown, &foreign, &good], wrapped), &origin).await.unwrap();
        assert_eq!(review.client_id(), own);
    }
    for (signatures, origin, code) in [
        (vec![&good], "https://evil.example", "request_origin"),
        (vec![&forged], origin.as_str(), "signature_invalid"),
        (vec![&unknown], origin.as_str(), "client_id_prefix"),
        (vec![], origin.as_str(), "request_object"),
        (vec![&good; 9], origin.as_str(), "request_object"),
    ] {
        let refused = review(request(signatures, true), origin).await;
        assert_eq!(refused.unwrap_err().code(), code);
    }
    // `client_id` belongs to the signature, not to the payload.
    claims.insert("client_id".into(), json!(own));
    let (twice, payload) = signed(&own, &key, &claims);
    let data = json!({"payload": payload, "signatures": [twice]});
    let both = vec![DigitalCredentialRequest { protocol: ExchangeProtocol::Multisigned, data }];
    assert_eq!(review(both, &origin).await.unwrap_err().code(), "client_id_prefix");
    assert_eq!(review(Vec::new(), &origin).await.unwrap_err().code(), "dc_api_protocol");
}

#[tokio::test]
async fn digital_credentials_of_another_page() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (_, signed) = verifier.create_digital(json!({"response_mode": "dc_api"})).await;
    let replayed = verifier.answer_digital(&signed, "https://evil.example", &credentials).await;
    assert_eq!(replayed.unwrap_err().code(), "request_origin");
    // Without a signature the wallet answers, but for the page that asked, and the verifier sees that.
    let unsigned = json!({"response_mode": "dc_api", "client_id_prefix": "redirect_uri"});
    let (id, unsigned) = verifier.create_digital(unsigned).await;
    let foreign = verifier.answer_digital(&unsigned, "https://evil.example", &credentials).await.unwrap();
    assert_eq!(verifier.bring(&id, &foreign).await.code(), "kb_jwt_audience");
    assert_eq!(verifier.state(&id).await["state"], "pending");
    // Several own origins.
    let origins =
        json!({"response_mode": "dc_api", "expected_origins": ["https://a.example", "https://b.example"]});
    let (id, requests) = verifier.create_digital(origins).await;
    let answer = verifier.answer_digital(&requests, "https://b.example", &credentials).await.unwrap();
    assert_eq!(verifier.bring(&id, &answer).await.status, 200);
}

#[tokio::test]
async fn answers_that_come_in_another_way() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, requests) = verifier.create_digital(json!({"response_mode": "dc_api"})).await;
    let answer = verifier.answer_digital(&requests, &verifier.origin(), &credentials).await.unwrap();
    let mut unsigned = answer.clone();
    unsigned["protocol"] = json!("openid4vp-v1-unsigned");
    assert_eq!(verifier.bring(&id, &unsigned).await.code(), "response_mode_mismatch");
    assert_eq!(
        verifier.bring(&id, &json!({"fragment": "vp_token=%7B%7D"})).await.code(),
        "response_mode_mismatch"
    );
    let form = verifier
        .post_form(&format!("/oid4vp/responses/{id}"), "vp_token=%7B%22a%22%3A%5B%22x%22%5D%7D")
        .await;
    assert_eq!((form.status, form.code()), (400, "response_mode_mismatch".to_owned()));
    for data in [
        json!({}),
        json!({"vp_token": "x"}),
        json!({"response": 1}),
        json!({"response": "a", "vp_token": {}}),
    ] {
        let body = json!({"protocol": "openid4vp-v1-signed", "data": data});
        assert_eq!(verifier.bring(&id, &body).await.code(), "response_form");
    }
    assert_eq!(verifier.get(&format!("/oid4vp/requests/{id}")).await.status, 404);
    let (other, _) = verifier.create(json!({})).await;
    assert_eq!(verifier.bring(&other, &answer).await.code(), "response_mode_mismatch");
    // An error of the wallet ends it.
    let refused = json!({"protocol": "openid4vp-v1-signed", "data": {"error": "access_denied"}});
    assert_eq!(verifier.bring(&id, &refused).await.json()["state"], "declined");
}

#[tokio::test]
async fn fragment_in_the_session_that_asked() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    for prefix in ["x509_hash", "redirect_uri"] {
        let wanted = json!({"response_mode": "fragment", "client_id_prefix": prefix, "session": "s1",
            "redirect_uri": "https://portal.example/back/{id}"});
        let (id, link) = verifier.create(wanted).await;
        let delivery = verifier.present(&link, &credentials).await;
        let url = delivery.redirect_uri.unwrap();
        assert_eq!(url.path(), format!("/back/{id}"));
        let fragment = url.fragment().unwrap();
        let bring = |session: Value| json!({"fragment": fragment, "session": session});
        for wrong in [json!("s2"), Value::Null] {
            assert_eq!(verifier.bring(&id, &bring(wrong)).await.code(), "session_mismatch");
        }
        let other_state = json!({"fragment": fragment.replace("state=", "state=x"), "session": "s1"});
        assert_eq!(verifier.bring(&id, &other_state).await.code(), "state_mismatch");
        let view = verifier.bring(&id, &bring(json!("s1"))).await.json();
        assert_eq!((&view["state"], &view["flow"]), (&json!("verified"), &json!("same_device")));
        assert_eq!(view["outcome"]["session_binding"], "fragment");
    }
}

#[tokio::test]
async fn same_device_and_cross_device() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({})).await;
    verifier.present(&link, &credentials).await;
    let view = verifier.state(&id).await;
    assert_eq!(
        (&view["flow"], &view["outcome"]["session_binding"]),
        (&json!("cross_device"), &json!("none"))
    );

    let same = json!({"flow": "same_device", "session": "s1", "redirect_uri": "https://portal.example/done"});
    let redeem = |code: String, session: &str| json!({"response_code": code, "session": session});
    let code_of = |delivery: Delivery| {
        let url = delivery.redirect_uri.unwrap();
        url.query_pairs().find(|(name, _)| name == "response_code").unwrap().1.into_owned()
    };
    let (id, link) = verifier.create(same.clone()).await;
    let code = code_of(verifier.present(&link, &credentials).await);
    assert_eq!(verifier.state(&id).await["outcome"]["result"], "withheld", "nobody came back yet");
    let reply = verifier.post("/api/response-codes", &redeem(code, "s1")).await;
    assert_eq!(reply.json()["outcome"]["session_binding"], "response_code");
    // A victim's browser brings the code to a session that did not ask: it is spent, and the outcome stays withheld.
    let (id, link) = verifier.create(same).await;
    let code = code_of(verifier.present(&link, &credentials).await);
    assert_eq!(
        verifier.post("/api/response-codes", &redeem(code.clone(), "s2")).await.code(),
        "session_mismatch"
    );
    assert_eq!(verifier.post("/api/response-codes", &redeem(code, "s1")).await.code(), "response_code");
    assert_eq!(verifier.state(&id).await["outcome"]["result"], "withheld");

    let strict = Verifier::start_with(|config| config.policy.require_session_binding = true).await;
    let body = json!({"template": "patient_identity", "purpose": "x"});
    let reply = strict.post("/api/requests", &body).await;
    assert_eq!(reply.code(), "request_flow");
    strict.create_digital(json!({"response_mode": "dc_api.jwt"})).await;
}

#[tokio::test]
async fn by_verifier_attestation() {
    // The attestation names the service's key, which it makes at its first start.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attestation.jwt");
    let attester = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let data = folder.path().join("data");
    let key = {
        let first = Verifier::start_with(|config| config.data_dir.clone_from(&data)).await;
        let document = serde_json::to_value(first.app.did_document().unwrap().to_value()).unwrap();
        document["verificationMethod"][0]["publicKeyJwk"].clone()
    };
    let attest = |extra: Value| {
        let mut claims = json!({"iss": "https://attester.example", "sub": "portal.example",
            "exp": NOW.as_secs() + 3600, "cnf": {"jwk": key}});
        claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        jwt::sign("verifier-attestation+jwt", Default::default(), claims.as_object().unwrap(), &attester)
            .unwrap()
    };
    let start = |attestation: String| {
        std::fs::write(&path, attestation).unwrap();
        Verifier::start_with(|config| {
            config.data_dir.clone_from(&data);
            config.verifier_attestation = Some(path.clone());
        })
    };
    let attesters = |key: &SoftwareKey| {
        vec![Attester {
            issuer: "https://attester.example".into(),
            keys: JwkSet { keys: vec![Jwk::from_key(key.public_key())] },
        }]
    };
    let verifier = start(attest(json!({}))).await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(json!({"client_id_prefix": "verifier_attestation"})).await;
    assert!(link.contains("verifier_attestation%3Aportal.example"));
    let trust = verifier.trust().with_attesters(attesters(&attester));
    let review = presentation::review(&link, &credentials, &verifier.context(&trust)).await.unwrap();
    assert_eq!(review.verifier.authentication, VerifierAuthentication::Attestation);
    assert_eq!((review.verifier.name.as_str(), review.verifier.trusted), ("portal.example", true));
    assert!(verifier.finish(review, &credentials).await.accepted);
    assert_eq!(verifier.state(&id).await["state"], "verified");

    // Nobody the wallet knows; a forged one; an expired one; one that allows another address.
    let code = async |verifier: &Verifier, trust| {
        let (_, link) = verifier.create(json!({"client_id_prefix": "verifier_attestation"})).await;
        let review = presentation::review(&link, &[], &verifier.context(&trust)).await;
        review.unwrap_err().code()
    };
    assert_eq!(code(&verifier, verifier.trust()).await, "verifier_unknown");
    let other = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    assert_eq!(
        code(&verifier, verifier.trust().with_attesters(attesters(&other))).await,
        "signature_invalid"
    );
    for (extra, expected) in [
        (json!({"exp": NOW.as_secs() - 61}), "token_expired"),
        (json!({"nbf": NOW.as_secs() + 61}), "token_not_yet_valid"),
        (json!({"redirect_uris": ["https://portal.example/else"]}), "response_uri_foreign"),
    ] {
        let verifier = start(attest(extra)).await;
        let trust = verifier.trust().with_attesters(attesters(&attester));
        assert_eq!(code(&verifier, trust).await, expected);
    }
}

#[tokio::test]
async fn by_trust_chain() {
    // The chain names the service's key, which it makes at its first start.
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("chain.json"), folder.path().join("data"));
    let key = {
        let first = Verifier::start_with(|config| config.data_dir.clone_from(&data)).await;
        let document = serde_json::to_value(first.app.did_document().unwrap().to_value()).unwrap();
        document["verificationMethod"][0]["publicKeyJwk"].clone()
    };
    let (anchor, own) =
        (SoftwareKey::from_p256_scalar(&[1; 32]).unwrap(), SoftwareKey::from_p256_scalar(&[2; 32]).unwrap());
    let named = |mut jwk: Value| {
        jwk["kid"] = json!("1");
        json!({"keys": [jwk]})
    };
    let jwks = |key: &SoftwareKey| named(Jwk::from_key(key.public_key()).to_value());
    let states = |claims: Value, key: &SoftwareKey| {
        let mut claims = claims.as_object().unwrap().clone();
        claims.extend([
            ("iat".to_owned(), NOW.as_secs().into()),
            ("exp".into(), NOW.plus(3600).as_secs().into()),
        ]);
        let header = json!({"kid": "1"}).as_object().unwrap().clone();
        jwt::sign("entity-statement+jwt", header, &claims, key).unwrap()
    };
    let federation = "https://federation.example";
    let chain = |entity: &str| {
        let metadata = json!({"openid_credential_verifier": {"jwks": named(key.clone())}});
        let own_statement = json!({"iss": entity, "sub": entity, "jwks": jwks(&own), "authority_hints": [federation],
            "metadata": metadata});
        let superior = json!({"iss": federation, "sub": entity, "jwks": jwks(&own)});
        json!([states(own_statement, &own), states(superior, &anchor)])
    };
    let start = |entity: Option<&'static str>| {
        let (path, data, chain) = (path.clone(), data.clone(), &chain);
        Verifier::start_at(move |url, _, config| {
            // Entity Identifiers are https addresses.
            let own = url.as_str().trim_end_matches('/').replace("http:", "https:");
            std::fs::write(&path, chain(entity.unwrap_or(&own)).to_string()).unwrap();
            config.data_dir.clone_from(&data);
            config.trust_chain = Some(path);
        })
    };
    let known = |key: &SoftwareKey| {
        let keys = serde_json::from_value(jwks(key)).unwrap();
        vec![FederationAnchor { entity_id: federation.into(), keys }]
    };
    let asked = json!({"client_id_prefix": "openid_federation", "response_mode": "direct_post"});
    let verifier = start(None).await;
    let credentials = [verifier.credential().await];
    let (id, link) = verifier.create(asked.clone()).await;
    let trust = verifier.trust().with_federations(known(&anchor));
    let review = presentation::review(&link, &credentials, &verifier.context(&trust)).await.unwrap();
    assert_eq!(review.verifier.authentication, VerifierAuthentication::Federation);
    assert_eq!((review.verifier.anchor.as_deref(), review.verifier.trusted), (Some(federation), true));
    assert_eq!(review.client_id(), format!("openid_federation:{}", verifier.base.replace("http:", "https:")));
    assert!(verifier.finish(review, &credentials).await.accepted);
    assert_eq!(verifier.state(&id).await["state"], "verified");
    // No anchor of the wallet, or one of that name with other keys.
    let code = async |link: &str, trust| {
        presentation::review(link, &[], &verifier.context(&trust)).await.unwrap_err().code()
    };
    let (_, link) = verifier.create(asked.clone()).await;
    assert_eq!(code(&link, verifier.trust()).await, "federation_anchor");
    assert_eq!(code(&link, verifier.trust().with_federations(known(&own))).await, "federation_signature");
    // Answers cannot be encrypted to a key that the request brings.
    let body =
        json!({"template": "patient_identity", "purpose": "x", "client_id_prefix": "openid_federation"});
    assert_eq!(verifier.post("/api/requests", &body).await.code(), "federation_encryption");
    // Answers go to the entity's own server, unless its superiors allow another.
    let elsewhere = start(Some("https://portal.example")).await;
    let (_, link) = elsewhere.create(asked).await;
    assert_eq!(code(&link, verifier.trust().with_federations(known(&anchor))).await, "response_uri_foreign");
    // Without a chain nobody can ask under this prefix.
    let plain = Verifier::start().await;
    let body = json!({"template": "patient_identity", "purpose": "x", "client_id_prefix": "openid_federation",
        "response_mode": "direct_post"});
    assert_eq!(plain.post("/api/requests", &body).await.code(), "no_trust_chain");
}

#[tokio::test]
async fn registered_transactions() {
    let types = json!([{"type": "https://portal.example/consent", "title": "Consent",
        "fields": [{"name": "text", "label": "What for", "kind": "text"}]}]);
    let types: Vec<_> = serde_json::from_value(types).unwrap();
    let verifier = Verifier::start_with(|config| config.transaction_types.clone_from(&types)).await;
    let credentials = [verifier.credential().await];
    let entry = |text: Value| json!({"transaction_data": [{"type": "https://portal.example/consent", "credential_ids": ["patient"], "text": text}]});
    let rules = PresentationRules {
        transaction_types: TransactionTypes::new(types.clone()).unwrap(),
        authorities: KnownAuthorities::NONE,
    };
    // Beside a step-up, and without one.
    for min_level in ["uv", "none"] {
        let mut wanted = entry(json!("Send my record"));
        wanted["min_level"] = json!(min_level);
        let (id, link) = verifier.create(wanted).await;
        let (review, delivery) = verifier.present_with(&link, &credentials, &rules).await.unwrap();
        assert_eq!(review.transactions[0].lines, [("What for".to_owned(), "Send my record".to_owned())]);
        assert!(delivery.accepted, "{delivery:?}");
        let view = verifier.state(&id).await;
        let checks = view["outcome"]["presentation"]["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["id"] == "transaction_approved"), "{view}");
    }
    // A wallet that does not know the type refuses, and says so.
    let (id, link) = verifier.create(entry(json!("Send my record"))).await;
    let refused = verifier.present_with(&link, &credentials, PresentationRules::none()).await;
    assert_eq!(refused.unwrap_err().code(), "transaction_data_type");
    let view = verifier.state(&id).await;
    assert_eq!(view["outcome"], json!({"result": "declined", "error": "invalid_transaction_data"}));
    // The verifier does not send what it has not registered.
    let mut body = json!({"template": "patient_identity", "purpose": "x"});
    for (bad, code) in [
        (entry(json!(1)), "invalid_transaction_data"),
        (
            json!({"transaction_data": [{"type": "urn:unknown", "credential_ids": ["patient"]}]}),
            "transaction_data_type",
        ),
    ] {
        body.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(verifier.post("/api/requests", &body).await.code(), code);
    }
}

#[tokio::test]
async fn trusted_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.pem");
    let verifier = Verifier::start_with_world(|world, config| {
        std::fs::write(&list, world.authority.pem()).unwrap();
        let certificates = vec![list.clone()];
        let known = AuthorityConfig {
            etsi_tl: Some("https://lotl.example".into()),
            certificates,
            ..Default::default()
        };
        config.authorities = vec![known];
    })
    .await;
    let credentials = [verifier.credential().await];
    let anchors = TrustAnchor::from_pem(verifier.world.authority.pem().as_bytes()).unwrap();
    let rules = PresentationRules {
        transaction_types: TransactionTypes::NONE,
        authorities: KnownAuthorities::NONE.with_etsi_list("https://lotl.example", &anchors),
    };
    let named = |kind: &str, value: &str| {
        own_query(json!({"trusted_authorities": [{"type": kind, "values": [value]}]}))
    };
    let (id, link) = verifier.create(named("etsi_tl", "https://lotl.example")).await;
    let (_, delivery) = verifier.present_with(&link, &credentials, &rules).await.unwrap();
    assert!(delivery.accepted, "{delivery:?}");
    let view = verifier.state(&id).await;
    let checks = view["outcome"]["presentation"]["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["id"] == "trusted_authority" && check["passed"] == true));
    // A wallet whose credentials come from elsewhere has nothing to answer with.
    let (_, link) = verifier.create(named("aki", "AAAA")).await;
    let nothing = verifier.present_with(&link, &credentials, &rules).await;
    assert_eq!(nothing.unwrap_err().code(), "not_answerable");
    // A wallet that answers nevertheless is refused: the verifier looks itself.
    let stranger = PresentationRules {
        authorities: KnownAuthorities::NONE.with_etsi_list("https://other.example", &anchors),
        ..rules
    };
    let (id, link) = verifier.create(named("etsi_tl", "https://other.example")).await;
    let (_, delivery) = verifier.present_with(&link, &credentials, &stranger).await.unwrap();
    assert_eq!(delivery.code.as_deref(), Some("authority_mismatch"));
    assert_eq!(verifier.state(&id).await["state"], "opened");
}

#[tokio::test]
async fn without_holder_binding() {
    let verifier = Verifier::start().await;
    let credentials = [verifier.credential().await];
    let bare = |query: Value| {
        let (verifier, credentials) = (&verifier, &credentials);
        async move {
            let mut wanted = own_query(query);
            wanted["response_mode"] = json!("direct_post");
            let (id, link) = verifier.create(wanted).await;
            let form = verifier.form_for(&link, credentials).await;
            let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(&form).into_owned().collect();
            for (name, value) in &mut fields {
                if name == "vp_token" {
                    let mut token: Value = serde_json::from_str(value).unwrap();
                    let text = token["patient"][0].as_str().unwrap();
                    token["patient"][0] = json!(text[..=text.rfind('~').unwrap()]);
                    *value = token.to_string();
                }
            }
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let reply = verifier.post_form(&format!("/oid4vp/responses/{id}"), body).await;
            (reply, verifier.state(&id).await)
        }
    };
    let (reply, view) = bare(json!({"require_cryptographic_holder_binding": false})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(view["outcome"]["presentation"]["credentials"][0]["holder_bound"], false);
    let (reply, view) = bare(json!({})).await;
    assert_eq!((reply.code().as_str(), view["state"].as_str()), ("kb_jwt_missing", Some("opened")));
    // Our wallet proves its key anyway (HAIP 1.0 section 6.1.1.1).
    let (id, link) = verifier.create(own_query(json!({"require_cryptographic_holder_binding": false}))).await;
    assert!(verifier.present(&link, &credentials).await.accepted);
    let view = verifier.state(&id).await;
    assert_eq!(view["outcome"]["presentation"]["credentials"][0]["holder_bound"], true);
}

#[tokio::test]
async fn wallet_metadata_is_heeded() {
    let verifier = Verifier::start().await;
    let (id, _) = verifier.create(json!({"request_uri_method": "post"})).await;
    let post = async |metadata: Value| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("wallet_nonce", "n1")
            .append_pair("wallet_metadata", &metadata.to_string())
            .finish();
        verifier.post_form(&format!("/oid4vp/requests/{id}"), form).await
    };
    for (metadata, code) in [
        (json!({"client_id_prefixes_supported": ["x509_san_dns"]}), "wallet_unsuitable"),
        (json!({"response_modes_supported": ["direct_post"]}), "wallet_unsuitable"),
        (json!({"request_object_signing_alg_values_supported": ["EdDSA"]}), "wallet_unsuitable"),
        (json!({"vp_formats_supported": {"mso_mdoc": {}}}), "wallet_unsuitable"),
        (json!({"client_id_prefixes_supported": "x509_hash"}), "wallet_metadata"),
        (json!({"jwks": []}), "wallet_metadata"),
        (json!([]), "wallet_metadata"),
    ] {
        let reply = post(metadata.clone()).await;
        assert!((400..500).contains(&reply.status) && reply.code() == code, "{metadata}: {}", reply.text);
    }
    let plain = post(json!({"vp_formats_supported": {"dc+sd-jwt": {}}, "unknown": 1})).await;
    assert_eq!((plain.status, plain.text.matches('.').count()), (200, 2));
    // A wallet that gives a key gets an encrypted object, and only that key opens it.
    let key = carekey_core::jose::jwe::JweDecryptionKey::generate().unwrap();
    let object = post(json!({"jwks": {"keys": [key.jwk("k").to_value()]}})).await;
    assert_eq!((object.status, object.text.matches('.').count()), (200, 4));
    let limits = carekey_core::limits::Limits::DEFAULT;
    let (_, signed) = carekey_core::jose::jwe::decrypt(&object.text, &key, &limits).unwrap();
    assert_eq!(signed.iter().filter(|byte| **byte == b'.').count(), 2);
}

/// HAIP 1.0 section 5: certificates, encryption keys, algorithms.
#[tokio::test]
async fn the_request_object_is_as_haip_demands() {
    let verifier = Verifier::start().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (id, _) = verifier.create(json!({})).await;
        let object = verifier.get(&format!("/oid4vp/requests/{id}")).await.text;
        let part = |at: usize| -> Value {
            serde_json::from_slice(&base64url::decode(object.split('.').nth(at).unwrap()).unwrap()).unwrap()
        };
        let (header, claims) = (part(0), part(1));
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("oauth-authz-req+jwt")));
        let x5c: Vec<Vec<u8>> = header["x5c"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| base64::decode(one.as_str().unwrap()).unwrap())
            .collect();
        let anchor = TrustAnchor::from_der(&verifier.app.anchor().unwrap()).unwrap();
        assert!(!x5c.iter().any(|der| der == anchor.certificate().as_der()), "the anchor stays at home");
        let leaf = Certificate::from_der(&x5c[0]).unwrap();
        let own = TrustAnchor::from_der(&x5c[0]).unwrap();
        assert_ne!(leaf.subject(), anchor.subject());
        assert_eq!(own.subject(), leaf.subject());
        let chain = UnverifiedChain::from_der(&x5c, &Limits::DEFAULT).unwrap();
        chain.verify(&[anchor], NOW).unwrap();
        let hash = base64url::encode(&carekey_core::encoding::sha256(&x5c[0]));
        assert_eq!(claims["client_id"], format!("x509_hash:{hash}"));
        assert_eq!(
            (&claims["response_type"], &claims["response_mode"]),
            (&json!("vp_token"), &json!("direct_post.jwt"))
        );
        let metadata = &claims["client_metadata"];
        assert_eq!(metadata["encrypted_response_enc_values_supported"], json!(["A128GCM", "A256GCM"]));
        let key = &metadata["jwks"]["keys"][0];
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"]),
            (&json!("EC"), &json!("P-256"), &json!("ECDH-ES"))
        );
        assert!(claims["nonce"].as_str().unwrap().len() >= 43, "256 bits");
        seen.push((key["x"].clone(), claims["nonce"].clone(), claims["state"].clone()));
    }
    assert!(seen[0].0 != seen[1].0 && seen[0].1 != seen[1].1 && seen[0].2 != seen[1].2);
}

#[tokio::test]
async fn certificates_that_do_not_count() {
    let verifier = Verifier::start().await;
    let (_, link) = verifier.create(json!({"client_id_prefix": "x509_san_dns", "expires_in": 86_400})).await;
    let review = async |trust: &VerifierTrust| {
        presentation::review(&link, &[], &verifier.context(trust))
            .await
            .map(drop)
            .map_err(|error| error.code())
    };
    let trust = verifier.trust();
    assert_eq!(review(&trust).await, Ok(()));
    let hospital = TrustAnchor::from_pem(verifier.world.authority.pem().as_bytes()).unwrap();
    assert_eq!(review(&VerifierTrust::new(hospital, Vec::new())).await, Err("x509_untrusted"));
    let elsewhere = link
        .replace("x509_san_dns%3A127.0.0.1", "x509_san_dns%3Aportal.example")
        .replace("x509_san_dns%3Alocalhost", "x509_san_dns%3Aportal.example");
    assert_ne!(elsewhere, link);
    let swapped = presentation::review(&elsewhere, &[], &verifier.context(&trust)).await;
    assert_eq!(swapped.unwrap_err().code(), "client_id_mismatch");
    // The object was fetched in time; the certificate has meanwhile expired.
    let (id, _) = verifier.create(json!({"client_id_prefix": "x509_hash"})).await;
    let object = verifier.get(&format!("/oid4vp/requests/{id}")).await.text;
    let request = UnverifiedRequest::parse(&object, &Limits::DEFAULT).unwrap();
    let client_id = request.client_id().clone();
    let evidence = |now| RequestEvidence {
        client_id: Some(&client_id),
        wallet_nonce: None,
        trust: &trust,
        did_document: None,
        now,
    };
    assert!(request.clone().authenticate(&evidence(NOW)).is_ok());
    let late = request.authenticate(&evidence(NOW.plus(10 * 365 * 86_400)));
    assert_eq!(late.unwrap_err().code(), "request_expired");
    let parts: Vec<&str> = object.split('.').collect();
    let header: Value = serde_json::from_slice(&base64url::decode(parts[0]).unwrap()).unwrap();
    let x5c: Vec<String> = serde_json::from_value(header["x5c"].clone()).unwrap();
    let chain = UnverifiedChain::parse(&x5c, &Limits::DEFAULT).unwrap();
    let anchor = TrustAnchor::from_der(&verifier.app.anchor().unwrap()).unwrap();
    let late = chain.verify(&[anchor], NOW.plus(10 * 365 * 86_400));
    assert_eq!(late.unwrap_err().code(), "x509_expired");
}

#[tokio::test]
async fn too_many_requests() {
    let limit = LimitConfig { per_minute: 60, burst: 3 };
    let verifier = Verifier::start_with(|config| config.limit = limit).await;
    let (id, _) = verifier.create(json!({})).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(verifier.post_form(&format!("/oid4vp/responses/{id}"), "vp_token=x").await.status);
    }
    assert_eq!(statuses, [400, 400, 400, 429, 429]);
    // The management interface is not limited, and nothing was consumed.
    assert_eq!(verifier.state(&id).await["state"], "pending");
}
