//! Issuer and holder engine together, over an HTTP client that calls the issuer's functions: the whole pre-authorized
//! code flow, and what each side refuses.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // test code

#[path = "issuance/attested.rs"]
mod attested;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::attestation::metadata::{MetadataBlob, MetadataExpectation, VerifiedMetadata};
use carekey_core::attestation::{AttestationTrust, WalletApps};
use carekey_core::authenticator::{AttestationSource, Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::{ClientKind, WEBAUTHN_BINDING};
use carekey_core::clock::{Clock, FixedClock, UnixTime};
use carekey_core::did;
use carekey_core::did::resolver::Offline;
use carekey_core::encoding::base64;
use carekey_core::error::{Error, Result};
use carekey_core::format::sd_jwt_vc::issue::IssuerKeyHeader;
use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::holder::issuance::{self, IssuanceContext};
use carekey_core::holder::{
    HolderKeyInfo, HolderKeys, HttpClient, HttpRequest, HttpResponse, KeyPurpose, Method, SignItem,
    WalletIdentity,
};
use carekey_core::issuer::{
    Answer, Caller, Client, CreatedOffer, Issuer, IssuerKey, Message, NewOffer, OfferFlow, Parts, Scheme,
    Settings, SignedIn, Wallet,
};
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vci::credential::{ErrorCode, Refusal};
use carekey_core::protocol::openid4vci::notification::NotificationEvent;
use carekey_core::random::SystemRandom;
use carekey_core::secret::Secret;
use carekey_core::store::MemoryStore;
use carekey_core::trust::issuers::{IssuerRule, IssuerTrust};
use carekey_core::webauthn::registration::RegistrationResponse;
use carekey_core::x509::TrustAnchor;
use serde_json::{Value, json};

const ISSUER: &str = "https://hospital.example";
const ORIGIN: &str = "https://present.wallet.example";

/// Changes an answer on its way: path, body.
type Tamper = Box<dyn Fn(&str, &mut Value) + Send + Sync>;
/// Changes a request on its way: path, body.
type Rewrite = Box<dyn Fn(&str, &mut Value) + Send + Sync>;

struct Wire {
    issuer: Arc<Issuer>,
    tamper: Mutex<Option<Tamper>>,
    rewrite: Mutex<Option<Rewrite>>,
    requests: Mutex<Vec<String>>,
    /// Paths of encrypted requests.
    encrypted: Mutex<Vec<String>>,
    /// Whether encrypted answers arrive in the clear.
    strip: std::sync::atomic::AtomicBool,
    /// Another authorization server.
    server: Option<attested::OtherServer>,
}

fn answer(result: Result<Value, Refusal>) -> (u16, Value) {
    match result {
        Ok(value) => (200, value),
        Err(refusal) => {
            let status = if matches!(refusal.code, ErrorCode::InvalidToken) { 401 } else { 400 };
            let description = format!("{}: {}", refusal.error.code(), refusal.error.detail());
            (status, json!({"error": refusal.code.as_str(), "error_description": description}))
        }
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let path = request.url.path().to_owned();
        self.requests.lock().unwrap().push(path.clone());
        let header = |wanted: &str| {
            request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let (authorization, dpop) = (header("authorization"), header("dpop"));
        let (attestation, pop) = (header("oauth-client-attestation"), header("oauth-client-attestation-pop"));
        let encrypted = header("content-type").as_deref() == Some("application/jwt");
        let wants_signed = header("accept").is_some_and(|accept| accept.starts_with("application/jwt"));
        let mut jwt = None;
        let access_token = authorization
            .as_deref()
            .and_then(|value| value.split_once(' '))
            .map(|(scheme, token)| (if scheme == "DPoP" { Scheme::Dpop } else { Scheme::Bearer }, token));
        let caller = Caller {
            access_token,
            dpop: dpop.as_deref(),
            attestation: attestation.as_deref(),
            attestation_pop: pop.as_deref(),
        };
        let mut body = request.body.clone();
        if let Some(server) = self.server.as_ref().filter(|server| server.is_asked(&request)) {
            return server.send(&request);
        }
        if let (Some(rewrite), Ok(mut value)) =
            (&*self.rewrite.lock().unwrap(), serde_json::from_slice(&body))
        {
            rewrite(&path, &mut value);
            body = value.to_string().into_bytes();
        }
        let issuer = &self.issuer;
        let message = if encrypted { Message::Encrypted(&body) } else { Message::Plain(&body) };
        let mut sealed = |answer: Answer| {
            jwt = answer.encrypted;
            answer.issuance.to_value()
        };
        if encrypted {
            self.encrypted.lock().unwrap().push(path.clone());
        }
        let signed = issuer.signed_issuer_metadata()?.filter(|_| wants_signed);
        let (status, mut value) = match (request.method, path.as_str()) {
            (Method::Get, "/.well-known/openid-credential-issuer") if signed.is_some() => {
                jwt = signed;
                (200, Value::Null)
            }
            (Method::Post, "/oid4vci/challenge") => {
                (200, json!({"attestation_challenge": issuer.attestation_challenge()}))
            }
            (Method::Get, "/.well-known/openid-credential-issuer") => {
                (200, serde_json::to_value(issuer.credential_issuer_metadata()?).unwrap())
            }
            (Method::Get, "/.well-known/oauth-authorization-server") => {
                (200, serde_json::to_value(issuer.authorization_server_metadata()?).unwrap())
            }
            (Method::Get, "/.well-known/jwt-vc-issuer") => (200, issuer.jwt_vc_issuer_metadata()),
            (Method::Get, offer) if offer.starts_with("/oid4vci/offers/") => {
                match issuer.offer_by_reference(offer.rsplit('/').next().unwrap()).await? {
                    Some(offer) => (200, serde_json::to_value(offer).unwrap()),
                    None => (404, Value::Null),
                }
            }
            (Method::Post, "/oid4vci/token") => answer(
                issuer.exchange(&caller, &body).await.map(|token| serde_json::to_value(token).unwrap()),
            ),
            (Method::Post, "/oid4vci/nonce") => (200, json!({"c_nonce": issuer.nonce()})),
            (Method::Post, "/oid4vci/credential") => {
                answer(issuer.answer(&caller, message).await.map(&mut sealed))
            }
            (Method::Post, "/oid4vci/par") => {
                answer(issuer.push(&caller, &body).await.map(|pushed| serde_json::to_value(pushed).unwrap()))
            }
            (Method::Post, "/oid4vci/deferred") => {
                answer(issuer.answer_deferred(&caller, message).await.map(&mut sealed))
            }
            (Method::Post, "/oid4vci/notification") => {
                answer(issuer.notify(&caller, &body).await.map(|()| Value::Null))
            }
            _ => (404, Value::Null),
        };
        if let Some(tamper) = &*self.tamper.lock().unwrap() {
            tamper(&path, &mut value);
        }
        let strip = self.strip.load(std::sync::atomic::Ordering::Relaxed);
        let jwt = jwt.filter(|_| !strip);
        let media = if jwt.is_some() { "application/jwt" } else { "application/json" };
        let mut headers = vec![("dpop-nonce".to_owned(), issuer.dpop_nonce())];
        if attestation.is_some() {
            let challenge = issuer.attestation_challenge().unwrap_or_default();
            headers.push(("oauth-client-attestation-challenge".to_owned(), challenge));
        }
        let body = jwt.unwrap_or_else(|| value.to_string()).into_bytes();
        Ok(HttpResponse { status, content_type: Some(media.to_owned()), headers, body })
    }
}

#[derive(Default)]
struct Keys {
    held: Mutex<HashMap<String, SoftwareKey>>,
    prompts: Mutex<usize>,
    /// What the person does at the next prompts.
    no: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl HolderKeys for Keys {
    async fn generate(&self, purpose: KeyPurpose) -> Result<HolderKeyInfo> {
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256)?;
        let mut held = self.held.lock().unwrap();
        let name = if purpose == KeyPurpose::HolderKey { "hk" } else { "silent" };
        let alias = format!("{name}-{}", Jwk::from_key(key.public_key()).thumbprint());
        let info = HolderKeyInfo { alias, public_key: key.public_key().clone() };
        held.insert(info.alias.clone(), key);
        Ok(info)
    }

    async fn sign(&self, items: Vec<SignItem>) -> Result<Vec<Vec<u8>>> {
        // Only holder keys may ask the person.
        let asks = items.iter().any(|item| item.alias.starts_with("hk-"));
        *self.prompts.lock().unwrap() += usize::from(asks);
        if let Some(code) = self.no.lock().unwrap().pop().filter(|_| asks) {
            return Err(Error::refused(code, "the person says no"));
        }
        let held = self.held.lock().unwrap();
        let missing = || Error::unavailable("hk_missing", "no such key");
        items.iter().map(|item| held.get(&item.alias).ok_or_else(missing)?.sign(&item.message)).collect()
    }

    async fn delete(&self, alias: &str) -> Result<()> {
        self.held.lock().unwrap().remove(alias);
        Ok(())
    }
}

struct World {
    wire: Wire,
    keys: Keys,
    trust: IssuerTrust,
    wallet: WalletIdentity,
    clock: Arc<FixedClock>,
    authenticator: SoftwareAuthenticator,
    extras: attested::Extras,
    anchors: Vec<TrustAnchor>,
}

enum Naming {
    X5c,
    DidJwk,
    WellKnown,
}

impl World {
    fn new(naming: Naming, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(naming, None, change)
    }

    fn with(
        naming: Naming,
        authenticators: Option<VerifiedMetadata>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let clock = Arc::new(FixedClock::new(UnixTime::from_secs(1_796_000_000)));
        let (key, rule) = issuer_key(naming);
        let mut settings = Settings::new(ISSUER, "St. Example");
        settings.wallets = vec![Wallet {
            client_id: "wallet.example".into(),
            name: "Wallet".into(),
            rp_id: "present.wallet.example".into(),
            origins: vec![ORIGIN.into()],
            client: ClientKind::Browser,
            apps: WalletApps::default(),
        }];
        change(&mut settings);
        let issuer = Issuer::new(Parts {
            settings,
            key,
            store: Arc::new(MemoryStore::default()),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            secret: Secret::new([9; 32]),
            attestation: AttestationTrust { metadata: authenticators, ..AttestationTrust::default() },
            patients: None,
        });
        Self {
            wire: Wire {
                issuer: Arc::new(issuer.unwrap()),
                tamper: Mutex::default(),
                rewrite: Mutex::default(),
                requests: Mutex::default(),
                encrypted: Mutex::default(),
                strip: std::sync::atomic::AtomicBool::default(),
                server: None,
            },
            extras: attested::Extras::default(),
            anchors: rule.anchors.clone(),
            keys: Keys::default(),
            trust: IssuerTrust::new(vec![rule]),
            wallet: WalletIdentity {
                client_id: "wallet.example".into(),
                rp_id: "present.wallet.example".into(),
                rp_name: "Wallet".into(),
                user_name: "me".into(),
                user_display_name: "Me".into(),
                user_handle: "AAECAw".into(),
            },
            clock,
            authenticator: SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom)),
        }
    }

    fn context(&self) -> IssuanceContext<'_> {
        IssuanceContext {
            http: &self.wire,
            dids: &Offline,
            keys: &self.keys,
            trust: &self.trust,
            wallet: &self.wallet,
            locale: "en",
            clock: &*self.clock,
            random: &SystemRandom,
            policy: self.extras.policy(),
        }
    }

    async fn offer(&self, ids: &[&str], tx_code: bool) -> CreatedOffer {
        let new = NewOffer {
            configuration_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            fhir: bundle(),
            tx_code,
            by_reference: true,
            ..NewOffer::default()
        };
        self.wire.issuer.create_offer(&new).await.unwrap()
    }

    async fn prepare(&self, ids: &[&str]) -> Result<issuance::PreparedIssuance> {
        let offer = self.offer(ids, false).await;
        let review = issuance::review(&offer.link, &self.context()).await?;
        issuance::prepare(&review, None, &self.context()).await
    }

    /// The whole flow, with a registration if one is asked for.
    async fn collect(&self, ids: &[&str]) -> Result<issuance::FinishedIssuance> {
        let prepared = self.prepare(ids).await?;
        let registration =
            prepared.creation_options.as_ref().map(|o| self.authenticator.create(o)).transpose()?;
        issuance::finish(&prepared, registration.as_ref(), &self.context()).await
    }

    fn tamper(&self, tamper: impl Fn(&str, &mut Value) + Send + Sync + 'static) {
        *self.wire.tamper.lock().unwrap() = Some(Box::new(tamper));
    }

    fn rewrite(&self, rewrite: impl Fn(&str, &mut Value) + Send + Sync + 'static) {
        *self.wire.rewrite.lock().unwrap() = Some(Box::new(rewrite));
    }

    async fn issued(&self) -> usize {
        self.wire.issuer.credentials(None, 100).await.unwrap().len()
    }
}

fn issuer_key(naming: Naming) -> (IssuerKey, IssuerRule) {
    let mut rule = IssuerRule::default();
    let (signer, header, iss) = match naming {
        Naming::X5c => {
            let ca_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
            let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
            ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
            ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
            ca.distinguished_name.push(rcgen::DnType::CommonName, "Root");
            let root = ca.self_signed(&ca_key).unwrap();
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
            let mut leaf = rcgen::CertificateParams::new(vec![]).unwrap();
            leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
            leaf.distinguished_name.push(rcgen::DnType::CommonName, "Leaf");
            leaf.subject_alt_names = vec![rcgen::SanType::URI(ISSUER.try_into().unwrap())];
            let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
            rule.anchors = vec![TrustAnchor::from_der(root.der()).unwrap()];
            let signer = SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap();
            (signer, IssuerKeyHeader::X5c(vec![base64::encode(leaf.der())]), ISSUER.to_owned())
        }
        Naming::DidJwk => {
            let signer = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
            let did = did::jwk::encode(signer.public_key()).unwrap();
            rule.dids = vec![did.clone()];
            (signer, IssuerKeyHeader::Kid(format!("{did}#0")), did.to_string())
        }
        Naming::WellKnown => {
            let signer = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
            rule.https_issuers = vec![ISSUER.to_owned()];
            let kid = Jwk::from_key(signer.public_key()).thumbprint();
            (signer, IssuerKeyHeader::Kid(kid), ISSUER.to_owned())
        }
    };
    (IssuerKey { signer: Arc::new(signer), header, iss }, rule)
}

fn bundle() -> Value {
    json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {
            "resourceType": "Patient", "id": "p1", "birthDate": "1978-03-09",
            "name": [{"use": "official", "family": "Åkerström", "given": ["Zoë"]}],
        }},
        {"fullUrl": "urn:uuid:2", "resource": {
            "resourceType": "Coverage", "id": "c1", "status": "active", "subscriberId": "S-1",
            "beneficiary": {"reference": "urn:uuid:1"}, "payor": [{"reference": "#org"}],
            "contained": [{"resourceType": "Organization", "id": "org", "name": "Kasse"}],
        }},
    ]})
}

const BOTH: [&str; 2] = ["patient_identity", "insurance_coverage"];

#[tokio::test]
async fn two_credentials_one_prompt_with_every_way_to_name_the_issuer() {
    for naming in [Naming::X5c, Naming::DidJwk, Naming::WellKnown] {
        let world = World::new(naming, |_| {});
        let offer = world.offer(&BOTH, true).await;
        let review = issuance::review(&offer.link, &world.context()).await.unwrap();
        assert_eq!(
            (review.issuer_name.as_str(), review.issuer_host.as_str()),
            ("St. Example", "hospital.example")
        );
        assert_eq!(review.credentials.len(), 2);
        assert_eq!(review.credentials[0].display.label(&[json!("given_name")]), Some("Given names"));
        assert_eq!(review.tx_code.as_ref().unwrap().length, Some(6));
        let missing = issuance::prepare(&review, None, &world.context()).await.unwrap_err();
        assert_eq!(missing.code(), "tx_code_missing");
        let wrong = issuance::prepare(&review, Some("x"), &world.context()).await.unwrap_err();
        assert_eq!(wrong.code(), "issuance_invalid_grant");

        let review = serde_json::from_str(&serde_json::to_string(&review).unwrap()).unwrap();
        let code = offer.tx_code.as_ref().unwrap().expose();
        let prepared = issuance::prepare(&review, Some(code.as_str()), &world.context()).await.unwrap();
        let prepared: issuance::PreparedIssuance =
            serde_json::from_str(&serde_json::to_string(&prepared).unwrap()).unwrap();
        let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
        let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();

        assert_eq!(world.authenticator.prompts(), 1, "one ceremony, whatever the number of credentials");
        assert_eq!(*world.keys.prompts.lock().unwrap(), 1);
        assert_eq!(finished.credentials.len(), 2);
        let jwks: Vec<Value> = finished.credentials.iter().map(|stored| cnf(&stored.credential)).collect();
        assert_ne!(jwks[0], jwks[1], "a holder key per credential");
        for stored in &finished.credentials {
            assert!(stored.issuer_trusted && stored.ak.is_some(), "{stored:?}");
            let parsed = UnverifiedSdJwtVc::parse(&stored.credential, &Limits::DEFAULT).unwrap();
            assert_eq!(parsed.claims()[WEBAUTHN_BINDING]["level"], "uv");
            assert_eq!(parsed.claims()["biometric_binding_level"], "uv");
            assert_eq!(parsed.claims()[WEBAUTHN_BINDING]["client"], "browser");
        }
        issuance::notify(&finished, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();
        let issued = world.wire.issuer.credentials(None, 10).await.unwrap();
        assert!(issued.iter().all(|one| one.event == Some(NotificationEvent::CredentialAccepted)));
        assert!(issued.iter().all(|one| one.level.as_deref() == Some("uv")));
        let mut audits = 0;
        for one in &issued {
            audits += usize::from(world.wire.issuer.audit_record(&one.id).await.unwrap().is_some());
        }
        assert_eq!(audits, 1, "one enrolment, one audit record");
        let text = format!("{finished:?}{review:?}{prepared:?}");
        assert!(!text.contains("kerstr") && !text.contains(&offer.id));
    }
}

fn cnf(credential: &str) -> Value {
    let parsed = UnverifiedSdJwtVc::parse(credential, &Limits::DEFAULT).unwrap();
    parsed.claims()["cnf"]["jwk"].clone()
}

#[tokio::test]
async fn unknown_issuers_are_marked() {
    let mut world = World::new(Naming::X5c, |_| {});
    world.trust = IssuerTrust::default();
    let finished = world.collect(&["patient_identity"]).await.unwrap();
    assert!(!finished.credentials[0].issuer_trusted);
}

#[tokio::test]
async fn without_a_registration_the_credential_is_plain_unless_a_level_is_required() {
    let world = World::new(Naming::DidJwk, |_| {});
    let prepared = world.prepare(&BOTH).await.unwrap();
    let finished = issuance::finish(&prepared, None, &world.context()).await.unwrap();
    assert!(finished.credentials.iter().all(|stored| stored.ak.is_none()));

    let strict = World::new(Naming::DidJwk, |settings| {
        settings.required_levels.insert("patient_identity".into(), AssuranceLevel::Uv);
    });
    let prepared = strict.prepare(&["patient_identity"]).await.unwrap();
    assert_eq!(prepared.review.credentials[0].required_level.as_deref(), Some("uv"));
    let refused = issuance::finish(&prepared, None, &strict.context()).await.unwrap_err();
    assert!(refused.detail().contains("enrolment_missing"), "{refused}");
    strict.collect(&["patient_identity"]).await.unwrap();

    let higher = World::new(Naming::DidJwk, |settings| {
        settings.required_levels.insert("patient_identity".into(), AssuranceLevel::BiometricAttested);
    });
    let refused = higher.collect(&["patient_identity"]).await.unwrap_err();
    assert!(refused.detail().contains("enrolment_level"), "{refused}");
    assert_eq!(higher.issued().await, 0);
}

#[tokio::test]
async fn an_issuer_that_binds_nothing_gets_no_registration() {
    let world = World::new(Naming::DidJwk, |settings| settings.wallets.clear());
    let prepared = world.prepare(&["patient_identity"]).await.unwrap();
    assert!(prepared.creation_options.is_none());
    issuance::finish(&prepared, None, &world.context()).await.unwrap();
}

#[tokio::test]
async fn what_the_wallet_refuses_of_an_issuer() {
    type Case = (&'static str, fn(&str, &mut Value));
    let metadata: [Case; 5] = [
        ("metadata_issuer_mismatch", |path, body| {
            if path.ends_with("credential-issuer") {
                body["credential_issuer"] = json!("https://hospital.example/");
            }
        }),
        ("metadata_issuer_mismatch", |path, body| {
            if path.ends_with("authorization-server") {
                body["issuer"] = json!("https://evil.example");
            }
        }),
        ("metadata_endpoint_host", |path, body| {
            if path.ends_with("credential-issuer") {
                body["credential_endpoint"] = json!("https://evil.example/credential");
            }
        }),
        ("metadata_endpoint_host", |path, body| {
            if path.ends_with("authorization-server") {
                body["token_endpoint"] = json!("https://evil.example/token");
            }
        }),
        ("metadata_encryption", |path, body| {
            if path.ends_with("credential-issuer") {
                body["credential_response_encryption"] = json!({"encryption_required": true});
            }
        }),
    ];
    for (code, tamper) in metadata {
        let world = World::new(Naming::DidJwk, |_| {});
        world.tamper(tamper);
        assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), code);
        assert_eq!(world.issued().await, 0);
    }
    let credentials: [Case; 4] = [
        ("credential_signature_invalid", |path, body| {
            if path.ends_with("/credential") {
                let text = body["credentials"][0]["credential"].as_str().unwrap().to_owned();
                let (jwt, rest) = text.split_once('~').unwrap();
                let (signed, signature) = jwt.rsplit_once('.').unwrap();
                let flipped = if signature.starts_with('A') { "B" } else { "A" };
                body["credentials"][0]["credential"] =
                    json!(format!("{signed}.{flipped}{}~{rest}", &signature[1..]));
            }
        }),
        ("issued_vct", |path, body| {
            if path.ends_with("credential-issuer") {
                let all = &mut body["credential_configurations_supported"];
                all["patient_identity"]["vct"] = json!("https://other.example/vct");
            }
        }),
        ("credential_deferral", |path, body| {
            if path.ends_with("/credential") {
                *body = json!({"transaction_id": "x"});
            }
        }),
        ("credential_response", |path, body| {
            if path.ends_with("/credential") {
                body["credentials"] = json!([]);
            }
        }),
    ];
    for (code, tamper) in credentials {
        let world = World::new(Naming::DidJwk, |_| {});
        world.tamper(tamper);
        assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), code);
        assert!(world.keys.held.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_credential_bound_to_other_keys_is_not_stored() {
    let world = World::new(Naming::DidJwk, |_| {});
    let other = world.collect(&["patient_identity"]).await.unwrap().credentials.remove(0).credential;
    world.tamper(move |path, body| {
        if path.ends_with("/credential") {
            body["credentials"][0]["credential"] = json!(other);
        }
    });
    assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), "issued_cnf");
    let failed = world.wire.issuer.credentials(None, 10).await.unwrap();
    assert!(failed.iter().any(|one| one.event == Some(NotificationEvent::CredentialFailure)));
}

#[tokio::test]
async fn what_the_issuer_refuses_of_an_enrolment() {
    let behaviours: [(&str, Behaviour); 4] = [
        (
            "origin_not_allowed",
            Behaviour { origin: Some("https://evil.example".into()), ..Behaviour::default() },
        ),
        ("client_data_type", Behaviour { kind: Some("webauthn.get".into()), ..Behaviour::default() }),
        ("cross_origin", Behaviour { cross_origin: true, ..Behaviour::default() }),
        ("rp_id_mismatch", Behaviour { rp_id: Some("evil.example".into()), ..Behaviour::default() }),
    ];
    for (code, behaviour) in behaviours {
        let world = World::new(Naming::DidJwk, |_| {});
        world.authenticator.behave(behaviour);
        let refused = world.collect(&["patient_identity"]).await.unwrap_err();
        assert!(refused.detail().contains(code) || refused.code().contains(code), "{refused}");
        assert_eq!(world.issued().await, 0);
    }
    // No user verification: the wallet itself does not send it.
    let world = World::new(Naming::DidJwk, |_| {});
    world.authenticator.behave(Behaviour { user_verified: false, ..Behaviour::default() });
    assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), "user_not_verified");
}

#[tokio::test]
async fn registrations_cannot_be_swapped_or_repeated() {
    let world = World::new(Naming::DidJwk, |_| {});
    // A registration made for another nonce and holder key.
    let foreign = world.prepare(&["patient_identity"]).await.unwrap();
    let foreign = world.authenticator.create(foreign.creation_options.as_ref().unwrap()).unwrap();
    let foreign_value = serde_json::to_value(&foreign).unwrap();
    world.rewrite(move |path, body| {
        if path.ends_with("/credential") {
            body["webauthn_registrations"] = json!([foreign_value]);
        }
    });
    let refused = world.collect(&["patient_identity"]).await.unwrap_err();
    assert!(refused.detail().contains("invalid_proof"), "{refused}");
    *world.wire.rewrite.lock().unwrap() = None;

    // Two registrations for one proof.
    world.rewrite(|path, body| {
        if path.ends_with("/credential") {
            let one = body["webauthn_registrations"][0].clone();
            body["webauthn_registrations"] = json!([one, one]);
        }
    });
    let refused = world.collect(&["patient_identity"]).await.unwrap_err();
    assert!(refused.detail().contains("enrolment_count"), "{refused}");

    // ak_jkt without a registration.
    world.rewrite(|path, body| {
        if path.ends_with("/credential") {
            body.as_object_mut().unwrap().remove("webauthn_registrations");
        }
    });
    let refused = world.collect(&["patient_identity"]).await.unwrap_err();
    assert!(refused.detail().contains("enrolment_registration_missing"), "{refused}");
    assert_eq!(world.issued().await, 0);
    *world.wire.rewrite.lock().unwrap() = None;

    // The same WebAuthn credential again: same id and key, fresh challenge.
    let prepared = world.prepare(&["patient_identity"]).await.unwrap();
    let first = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    issuance::finish(&prepared, Some(&first), &world.context()).await.unwrap();
    let again = world.prepare(&["patient_identity"]).await.unwrap();
    let replayed =
        reassemble(&first, &world.authenticator.create(again.creation_options.as_ref().unwrap()).unwrap());
    let refused = issuance::finish(&again, Some(&replayed), &world.context()).await.unwrap_err();
    assert!(refused.detail().contains("enrolment_credential_id_seen"), "{refused}");
}

/// The attested key of `old` under the client data of `new` (format none: nothing signs the two together).
fn reassemble(old: &RegistrationResponse, new: &RegistrationResponse) -> RegistrationResponse {
    let mut mixed = old.clone();
    mixed.response.client_data_json = new.response.client_data_json.clone();
    mixed
}

#[tokio::test]
async fn a_closed_prompt_keeps_the_keys_and_giving_up_forgets_them() {
    let world = World::new(Naming::DidJwk, |settings| settings.wallets.clear());
    let before = world.keys.held.lock().unwrap().len();
    for code in ["user_cancelled", "biometry_lockout", "biometry_not_enrolled"] {
        let prepared = world.prepare(&["patient_identity"]).await.unwrap();
        world.keys.no.lock().unwrap().push(code);
        let (held, sent) = (world.keys.held.lock().unwrap().len(), world.wire.requests.lock().unwrap().len());
        assert_eq!(issuance::finish(&prepared, None, &world.context()).await.unwrap_err().code(), code);
        assert_eq!(world.keys.held.lock().unwrap().len(), held);
        let sent = world.wire.requests.lock().unwrap()[sent..].to_vec();
        assert!(!sent.iter().any(|path| path == "/oid4vci/credential"), "{sent:?}");
        if code == "user_cancelled" {
            issuance::abandon(&prepared, &world.context()).await;
            assert_eq!(world.keys.held.lock().unwrap().len(), before);
        } else {
            let finished = issuance::finish(&prepared, None, &world.context()).await.unwrap();
            assert_eq!(finished.credentials.len(), 1);
        }
    }
    // Any other failure of the key store ends the collection.
    let before = world.keys.held.lock().unwrap().len();
    let prepared = world.prepare(&["patient_identity"]).await.unwrap();
    world.keys.no.lock().unwrap().push("platform_unexpected");
    issuance::finish(&prepared, None, &world.context()).await.unwrap_err();
    assert_eq!(world.keys.held.lock().unwrap().len(), before);
}

#[tokio::test]
async fn finishing_twice_harms_nothing() {
    let world = World::new(Naming::DidJwk, |_| {});
    let prepared = world.prepare(&["patient_identity"]).await.unwrap();
    let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();
    let again = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap_err();
    assert_eq!(again.code(), "issuance_refused");
    let alias = &finished.credentials[0].hk_alias;
    assert!(world.keys.held.lock().unwrap().contains_key(alias), "the stored credential keeps its key");
}

#[tokio::test]
async fn wallets_that_are_not_on_the_list_enrol_nothing() {
    let mut world = World::new(Naming::DidJwk, |_| {});
    world.wallet.client_id = "other.example".into();
    let refused = world.collect(&["patient_identity"]).await.unwrap_err();
    assert!(refused.detail().contains("wallet_unknown"), "{refused}");
    let prepared = world.prepare(&["patient_identity"]).await.unwrap();
    issuance::finish(&prepared, None, &world.context()).await.unwrap();
}

/// A root, as certificate parameters, key and DER.
fn authority(name: &str) -> (rcgen::Issuer<'static, rcgen::KeyPair>, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    (rcgen::Issuer::new(params, key), der)
}

fn certify(
    issuer: &rcgen::Issuer<'static, rcgen::KeyPair>,
    params: &rcgen::CertificateParams,
) -> (Vec<u8>, SoftwareKey) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let der = params.signed_by(&key, issuer).unwrap().der().to_vec();
    (der, SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap())
}

#[tokio::test]
async fn an_attested_authenticator_reaches_the_level_of_its_metadata() {
    let aaguid = [0xca; 16];
    let hex = "cacacaca-caca-caca-caca-cacacacacaca";
    let (vendor, vendor_der) = authority("Vendor root");
    let (blob_root, blob_root_der) = authority("Metadata root");
    let mut leaf = rcgen::CertificateParams::new(vec![]).unwrap();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "Metadata signer");
    let (blob_der, blob_key) = certify(&blob_root, &leaf);
    let entry = json!({
        "aaguid": hex, "timeOfLastStatusChange": "2026-01-01",
        "statusReports": [{"status": "FIDO_CERTIFIED_L2", "effectiveDate": "2024-01-01"}],
        "metadataStatement": {
            "description": "made up", "aaguid": hex,
            "userVerificationDetails": [[{"userVerificationMethod": "fingerprint_internal"}]],
            "keyProtection": ["hardware", "secure_element"],
            "attestationRootCertificates": [base64::encode(&vendor_der)],
        },
    });
    let payload = json!({"no": 1, "nextUpdate": "2027-01-01", "entries": [entry]}).to_string();
    let header = json!({"x5c": [base64::encode(&blob_der)]}).as_object().unwrap().clone();
    let anchors = [TrustAnchor::from_der(&blob_root_der).unwrap()];
    let expectation = MetadataExpectation {
        anchors: &anchors,
        signer_dns_name: None,
        now: UnixTime::from_secs(1_796_000_000),
        grace: 0,
        previous_number: None,
    };
    let blob = jws::sign(header, payload.as_bytes(), &blob_key).unwrap();
    let metadata = MetadataBlob::verify(&blob, &expectation).unwrap();

    let mut world = World::with(Naming::DidJwk, Some(metadata), |settings| {
        settings.required_levels.insert("patient_identity".into(), AssuranceLevel::BiometricAttested);
    });
    let mut batch = rcgen::CertificateParams::new(vec![]).unwrap();
    batch.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (rcgen::DnType::CountryName, "AA"),
        (rcgen::DnType::OrganizationName, "Example Keys"),
        (rcgen::DnType::OrganizationalUnitName, "Authenticator Attestation"),
        (rcgen::DnType::CommonName, "Example key"),
    ] {
        batch.distinguished_name.push(kind, value);
    }
    batch.is_ca = rcgen::IsCa::ExplicitNoCa;
    let oid = [1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];
    let content = [&[0x04, 0x10][..], &aaguid].concat();
    batch.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&oid, content)];
    let (der, key) = certify(&vendor, &batch);
    let attested = AttestationSource::Packed { key: Arc::new(key), chain: vec![der] };
    world.authenticator =
        SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom)).with_attestation(aaguid, attested);
    let finished = world.collect(&["patient_identity"]).await.unwrap();
    let parsed = UnverifiedSdJwtVc::parse(&finished.credentials[0].credential, &Limits::DEFAULT).unwrap();
    let binding = &parsed.claims()[WEBAUTHN_BINDING];
    assert_eq!(
        (&binding["level"], &binding["key_protection"]),
        (&json!("biometric_attested"), &json!("fido_hardware"))
    );
    assert_eq!(binding["modality"], "fingerprint");
    let text = parsed.claims()[WEBAUTHN_BINDING].to_string();
    assert!(!text.contains("cacaca") && !text.contains("yspK"), "the model stays with the issuer");
    let id = world.wire.issuer.credentials(None, 1).await.unwrap().remove(0).id;
    let audit = world.wire.issuer.audit_record(&id).await.unwrap().unwrap();
    assert_eq!((audit.level, audit.aaguid), (AssuranceLevel::BiometricAttested, "ca".repeat(16)));
    assert!(!audit.attestation_object.is_empty());
    world.clock.set(world.clock.now().plus(400 * 86_400));
    assert!(world.wire.issuer.audit_record(&id).await.unwrap().is_none(), "retention is over");
}

#[tokio::test]
async fn copies_have_keys_of_their_own() {
    let world = World::new(Naming::DidJwk, |settings| settings.batch_size = 3);
    // An authenticator that makes a key per copy, and one whose single key all copies share.
    for own in [true, false] {
        let offer = world.offer(&BOTH, false).await;
        let review = issuance::review(&offer.link, &world.context()).await.unwrap();
        assert_eq!(review.batch_size, 3);
        let acceptance = issuance::Acceptance { tx_code: None, copies: 100 };
        let prepared = issuance::prepare(&review, acceptance, &world.context()).await.unwrap();
        let options: Vec<_> = prepared.creation_options.iter().chain(&prepared.copy_options).collect();
        assert_eq!(options.len(), 3, "no more than the issuer gives");
        let registrations: Vec<_> = options
            .iter()
            .take(if own { 3 } else { 1 })
            .map(|options| world.authenticator.create(options).unwrap())
            .collect();
        let two = [registrations[0].clone(), registrations[0].clone()];
        let refused = issuance::finish_copies(&prepared, &two, &world.context()).await.unwrap_err();
        assert_eq!(refused.code(), "registration_count");
        let asked = world.wire.requests.lock().unwrap().len();
        let finished = issuance::finish_copies(&prepared, &registrations, &world.context()).await.unwrap();
        let requests = world.wire.requests.lock().unwrap()[asked..].to_vec();
        assert_eq!(requests.iter().filter(|path| *path == "/oid4vci/credential").count(), 2, "one per kind");
        issuance::notify(&finished, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();

        let credentials = &finished.credentials;
        let different = |values: Vec<String>| values.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(credentials.len(), 6);
        assert_eq!(different(credentials.iter().map(|one| cnf(&one.credential).to_string()).collect()), 6);
        assert_eq!(different(credentials.iter().map(|one| one.hk_alias.clone()).collect()), 6);
        assert_eq!(different(credentials.iter().map(|one| one.batch.clone().unwrap()).collect()), 2);
        let keys = different(credentials.iter().map(|one| one.ak.clone().unwrap().jkt).collect());
        assert_eq!(keys, if own { 3 } else { 1 });
    }
}

#[tokio::test]
async fn an_issuer_cannot_bind_two_copies_to_one_key_nor_slip_one_in() {
    for (code, double) in [("issued_cnf", true), ("issued_count", false)] {
        let world = World::new(Naming::DidJwk, |settings| settings.wallets.clear());
        let offer = world.offer(&["patient_identity"], false).await;
        let review = issuance::review(&offer.link, &world.context()).await.unwrap();
        let acceptance = issuance::Acceptance { tx_code: None, copies: 2 };
        let prepared = issuance::prepare(&review, acceptance, &world.context()).await.unwrap();
        world.tamper(move |path, body| {
            if path == "/oid4vci/credential" {
                let first = body["credentials"][0].clone();
                match double {
                    true => body["credentials"][1] = first,
                    false => body["credentials"].as_array_mut().unwrap().push(first),
                }
            }
        });
        let refused = issuance::finish(&prepared, None, &world.context()).await.unwrap_err();
        assert_eq!(refused.code(), code);
    }
}

const REDIRECT: &str = "https://present.wallet.example/cb";

/// An issuer with sign-in and refreshing.
fn signing_in() -> World {
    World::new(Naming::DidJwk, |settings| {
        settings.refresh_lifetime = 86_400;
        settings.clients = vec![Client {
            client_id: "wallet.example".into(),
            name: "Wallet".into(),
            redirect_uris: vec![REDIRECT.into()],
        }];
    })
}

impl World {
    async fn offer_for(&self, subject: &str, approval: bool) -> CreatedOffer {
        let new = NewOffer {
            configuration_ids: vec!["patient_identity".into()],
            fhir: bundle(),
            flow: OfferFlow::AuthorizationCode,
            subject: Some(subject.into()),
            approval,
            ..NewOffer::default()
        };
        self.wire.issuer.create_offer(&new).await.unwrap()
    }

    /// What the browser does: the sign-in page, and back.
    async fn browse(&self, url: &url::Url, subject: &str) -> String {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let issuer = &self.wire.issuer;
        let login = issuer.begin_login(&query["client_id"], &query["request_uri"]).await.unwrap();
        issuer.finish_login(&login, &SignedIn::Subject(subject.into())).await.unwrap().to_string()
    }
}

#[tokio::test]
async fn the_wallet_signs_in_and_renews_without_a_prompt() {
    let world = signing_in();
    let offer = world.offer_for("p1", false).await;
    let review = issuance::review(&offer.link, &world.context()).await.unwrap();
    assert!(review.signs_in());
    let begun = issuance::authorize(&review, REDIRECT, &world.context()).await.unwrap();
    let back = world.browse(&begun.url, "p1").await;
    for (returned, code) in [
        (back.replace("state=", "state=x"), "authorization_state"),
        (back.replace("hospital.example", "evil.example"), "authorization_iss"),
        (back.replace("/cb?", "/other?"), "authorization_redirect"),
        (back.replace("code=", "error="), "authorization_denied"),
    ] {
        let sent = world.wire.requests.lock().unwrap().len();
        let refused =
            issuance::prepare_authorized(&begun, &returned, None, &world.context()).await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert_eq!(world.wire.requests.lock().unwrap().len(), sent, "nothing is sent to anybody");
    }
    let prepared = issuance::prepare_authorized(&begun, &back, None, &world.context()).await.unwrap();
    let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();
    issuance::notify(&finished, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();
    let first = &finished.credentials[0];

    // Fresh copies: other holder keys, the same WebAuthn key, nobody is asked.
    let renewal = finished.renewal().unwrap().clone();
    let copies = issuance::Acceptance { tx_code: None, copies: 2 };
    let prepared = issuance::renew(&renewal, copies, &world.context()).await.unwrap();
    assert!(prepared.creation_options.is_none());
    let renewed = issuance::finish(&prepared, None, &world.context()).await.unwrap();
    assert_eq!((renewed.credentials.len(), world.authenticator.prompts()), (2, 1));
    for copy in &renewed.credentials {
        assert_eq!(copy.ak, first.ak);
        assert_ne!(cnf(&copy.credential), cnf(&first.credential));
    }
    // The used refresh token is worth nothing, and trying it ends the new one too.
    let stale = issuance::renew(&renewal, None, &world.context()).await.unwrap_err();
    assert_eq!(stale.code(), "issuance_invalid_grant");
    let ended = issuance::renew(renewed.renewal().unwrap(), None, &world.context()).await.unwrap_err();
    assert_eq!(ended.code(), "issuance_invalid_grant");
    assert!(!format!("{begun:?}{renewal:?}{renewed:?}").contains("kerstr"));
}

#[tokio::test]
async fn without_an_offer_the_wallet_goes_to_the_issuer_by_itself() {
    let world = signing_in();
    world.offer_for("p1", false).await;
    let ids = ["patient_identity".to_owned()];
    let review = issuance::review_issuer(ISSUER, &ids, &world.context()).await.unwrap();
    let begun = issuance::authorize(&review, REDIRECT, &world.context()).await.unwrap();
    let back = world.browse(&begun.url, "p1").await;
    let prepared = issuance::prepare_authorized(&begun, &back, None, &world.context()).await.unwrap();
    assert_eq!(issuance::finish(&prepared, None, &world.context()).await.unwrap().credentials.len(), 1);
    // Somebody else has nothing here.
    let begun = issuance::authorize(&review, REDIRECT, &world.context()).await.unwrap();
    let back = world.browse(&begun.url, "p2").await;
    let denied = issuance::prepare_authorized(&begun, &back, None, &world.context()).await.unwrap_err();
    assert_eq!(denied.code(), "authorization_denied");
    // An issuer without sign-in, and an offer that needs none.
    let closed = World::new(Naming::DidJwk, |_| {});
    let none = issuance::review_issuer(ISSUER, &ids, &closed.context()).await.unwrap_err();
    assert_eq!(none.code(), "metadata_authorization_server");
    let offer = closed.offer(&["patient_identity"], false).await;
    let review = issuance::review(&offer.link, &closed.context()).await.unwrap();
    let unneeded = issuance::authorize(&review, REDIRECT, &closed.context()).await.unwrap_err();
    assert_eq!(unneeded.code(), "offer_grant");
}

#[tokio::test]
async fn what_the_desk_approves_later_comes_later() {
    let world = World::new(Naming::DidJwk, |_| {});
    let new = NewOffer {
        configuration_ids: vec!["patient_identity".into()],
        fhir: bundle(),
        approval: true,
        ..NewOffer::default()
    };
    let offer = world.wire.issuer.create_offer(&new).await.unwrap();
    let review = issuance::review(&offer.link, &world.context()).await.unwrap();
    let prepared = issuance::prepare(&review, None, &world.context()).await.unwrap();
    let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();
    assert!(finished.credentials.is_empty());
    let [pending] = finished.pending.as_slice() else { panic!("one credential waits") };
    issuance::notify(&finished, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();
    let kept: issuance::Pending = serde_json::from_value(serde_json::to_value(pending).unwrap()).unwrap();
    world.clock.set(world.clock.now().plus(86_400));
    let later = issuance::resume(&kept, &world.context()).await.unwrap();
    assert!(matches!(later, issuance::Resumed::Later(5)));
    world.wire.issuer.decide(&offer.id, true).await.unwrap();
    let issuance::Resumed::Finished(done) = issuance::resume(&kept, &world.context()).await.unwrap() else {
        panic!("approved")
    };
    assert!(done.credentials[0].ak.is_some(), "with the WebAuthn key of the first request");
    issuance::notify(&done, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();
    assert_eq!(
        world
            .wire
            .issuer
            .audit_record(&world.wire.issuer.credentials(None, 1).await.unwrap()[0].id)
            .await
            .unwrap()
            .map(|a| a.level),
        Some(AssuranceLevel::Uv)
    );
}
