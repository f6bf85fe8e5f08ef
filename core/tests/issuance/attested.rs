//! The wallet's optional half: attestations, encrypted messages, signed metadata, other authorization servers.

use super::*;
use carekey_core::attestation::key_attestation::{self, KeyAttestation, KeyAttestationsRequired};
use carekey_core::attestation::wallet_attestation::{self, WalletAttestation};
use carekey_core::holder::issuance::{
    IssuancePolicy, KeyAttestationRequest, KeyAttester, SignedMetadata, WalletAttester,
};
use carekey_core::issuer::{AuthorizationServer, Demand, ServerKeys};
use carekey_core::jose::jwk::JwkSet;
use carekey_core::trust::{WalletProviderRule, WalletProviderTrust};
use serde_json::Map;

/// What the wallet's provider gives it.
pub(crate) struct Provider {
    provider: SoftwareKey,
    instance: SoftwareKey,
    clock: Arc<FixedClock>,
    /// Seconds for which the first attestation still holds.
    first: i64,
    fresh_asked: Mutex<usize>,
    storage: Vec<String>,
}

/// The wallet's policy, owned.
#[derive(Default)]
pub(crate) struct Extras {
    provider: Option<Provider>,
    encrypt: bool,
    signed: SignedMetadata,
    anchors: Vec<TrustAnchor>,
}

impl Extras {
    pub(crate) fn policy(&self) -> IssuancePolicy<'_> {
        IssuancePolicy {
            wallet_attester: self.provider.as_ref().map(|one| -> &dyn WalletAttester { one }),
            key_attester: self.provider.as_ref().map(|one| -> &dyn KeyAttester { one }),
            encrypt: self.encrypt,
            signed_metadata: self.signed,
            metadata_anchors: &self.anchors,
        }
    }
}

fn header() -> Map<String, Value> {
    json!({"kid": "provider-1"}).as_object().unwrap().clone()
}

impl Provider {
    fn new(clock: Arc<FixedClock>) -> Self {
        let key = || SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let (provider, instance) = (key(), key());
        Self {
            provider,
            instance,
            clock,
            first: 600,
            fresh_asked: Mutex::default(),
            storage: vec!["iso_18045_high".into()],
        }
    }

    fn trusted(&self) -> WalletProviderTrust {
        let mut jwk = Jwk::from_key(self.provider.public_key());
        jwk.kid = Some("provider-1".into());
        let rule = WalletProviderRule { name: "Provider".into(), keys: vec![jwk], ..Default::default() };
        WalletProviderTrust::new(vec![rule])
    }
}

#[async_trait]
impl WalletAttester for Provider {
    async fn attestation(&self, server: &str, fresh: bool) -> Result<String> {
        assert_eq!(server, ISSUER);
        *self.fresh_asked.lock().unwrap() += usize::from(fresh);
        let now = self.clock.now();
        let attestation = WalletAttestation {
            issuer: "https://provider.example",
            client_id: "wallet.example",
            key: self.instance.public_key(),
            wallet_name: None,
            issued_at: now,
            expires_at: now.plus(if fresh { 600 } else { self.first }),
            status: None,
        };
        wallet_attestation::sign(&attestation, header(), &self.provider)
    }

    async fn sign(&self, _: &str, message: &[u8]) -> Result<Vec<u8>> {
        Signer::sign(&self.instance, message)
    }
}

#[async_trait]
impl KeyAttester for Provider {
    async fn attest(&self, request: &KeyAttestationRequest<'_>) -> Result<String> {
        assert_eq!(request.credential_issuer, ISSUER);
        let keys: Vec<_> = request.keys.iter().map(|key| key.public_key.clone()).collect();
        let attestation = KeyAttestation {
            keys: &keys,
            key_storage: &self.storage,
            user_authentication: &[],
            certification: None,
            nonce: request.nonce,
            issued_at: self.clock.now(),
            expires_at: Some(self.clock.now().plus(600)),
            status: None,
        };
        key_attestation::sign(&attestation, header(), &self.provider)
    }
}

/// A world whose issuer trusts the wallet's provider.
fn world(change: impl FnOnce(&mut Settings)) -> World {
    let clock = Arc::new(FixedClock::new(UnixTime::from_secs(1_796_000_000)));
    let provider = Provider::new(clock.clone());
    let trusted = provider.trusted();
    let mut world = World::new(Naming::X5c, change);
    world.wire.issuer.replace_wallet_providers(Arc::new(trusted));
    world.extras.provider = Some(Provider { clock: world.clock.clone(), ..provider });
    world
}

fn bound(settings: &mut Settings) {
    settings.wallet_attestation = Demand::Required;
    settings.refresh_lifetime = 86_400;
    settings.clients = vec![Client {
        client_id: "wallet.example".into(),
        name: "Wallet".into(),
        redirect_uris: vec!["https://wallet.example/cb".into()],
    }];
}

#[tokio::test]
async fn an_attested_wallet_signs_in_collects_and_renews() {
    let mut world = world(bound);
    let finished = world.collect(&["patient_identity"]).await.unwrap();
    assert_eq!(finished.credentials.len(), 1);
    let renewal = finished.renewal().unwrap().clone();
    let renewed = issuance::renew(&renewal, None, &world.context()).await.unwrap();
    assert_eq!(issuance::finish(&renewed, None, &world.context()).await.unwrap().credentials.len(), 1);

    let new = NewOffer {
        configuration_ids: vec!["patient_identity".into()],
        fhir: bundle(),
        flow: OfferFlow::AuthorizationCode,
        subject: Some("p1".into()),
        ..NewOffer::default()
    };
    let offer = world.wire.issuer.create_offer(&new).await.unwrap();
    let review = issuance::review(&offer.link, &world.context()).await.unwrap();
    let begun = issuance::authorize(&review, "https://wallet.example/cb", &world.context()).await.unwrap();
    let query: HashMap<_, _> = begun.url.query_pairs().into_owned().collect();
    let issuer = &world.wire.issuer;
    let login = issuer.begin_login("wallet.example", &query["request_uri"]).await.unwrap();
    let back = issuer.finish_login(&login, &SignedIn::Subject("p1".into())).await.unwrap();
    let prepared = issuance::prepare_authorized(&begun, back.as_str(), None, &world.context()).await.unwrap();
    drop(prepared);

    // An attestation that the server finds too old is replaced, once.
    world.extras.provider.as_mut().unwrap().first = -61;
    world.collect(&["patient_identity"]).await.unwrap();
    assert_eq!(*world.extras.provider.as_ref().unwrap().fresh_asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_wallet_without_attestation_learns_so_before_anything_happens() {
    let mut world = world(bound);
    world.extras.provider = None;
    let offer = world.offer(&["patient_identity"], false).await;
    let refused = issuance::review(&offer.link, &world.context()).await.unwrap_err();
    assert_eq!(refused.code(), "wallet_attestation_needed");
    // Where it is optional, it is simply not shown.
    let mut world = self::world(|settings| settings.wallet_attestation = Demand::Accepted);
    world.extras.provider = None;
    world.collect(&["patient_identity"]).await.unwrap();
    assert!(!world.wire.requests.lock().unwrap().contains(&"/oid4vci/challenge".to_owned()));
}

fn demands_keys(settings: &mut Settings) {
    let required =
        KeyAttestationsRequired { key_storage: vec!["iso_18045_high".into()], ..Default::default() };
    settings.key_attestations = [("patient_identity".to_owned(), required)].into();
}

#[tokio::test]
async fn keys_are_attested_where_the_issuer_demands_it() {
    let mut world = world(demands_keys);
    let offer = world.offer(&["patient_identity"], false).await;
    let review = issuance::review(&offer.link, &world.context()).await.unwrap();
    assert!(review.credentials[0].key_attestation.is_some());
    let acceptance = issuance::Acceptance { tx_code: None, copies: 3 };
    let prepared = issuance::prepare(&review, acceptance, &world.context()).await.unwrap();
    let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();
    assert_eq!(finished.credentials.len(), 3);
    assert!(finished.credentials.iter().all(|one| one.ak.is_some()), "beside the WebAuthn key");
    let records = world.wire.issuer.credentials(None, 10).await.unwrap();
    assert!(records.iter().all(|one| one.holder_key.as_ref().unwrap().provider == "Provider"));

    // Not the storage that is demanded: the issuer refuses.
    world.extras.provider.as_mut().unwrap().storage = vec!["iso_18045_basic".into()];
    assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), "issuance_refused");
    // No attestations at all: said at once; what needs none can still be collected.
    world.extras.provider = None;
    let refused = world.prepare(&["patient_identity"]).await.unwrap_err();
    assert_eq!(refused.code(), "key_attestation_needed");
    let prepared = world.prepare(&["patient_identity", "insurance_coverage"]).await.unwrap();
    assert_eq!(prepared.review.unsupported, ["patient_identity"]);
}

#[tokio::test]
async fn an_issuer_that_takes_attestations_alone_gets_them() {
    let world = world(demands_keys);
    world.tamper(|path, body| {
        if path == "/.well-known/openid-credential-issuer" {
            let one = &mut body["credential_configurations_supported"]["patient_identity"];
            one["proof_types_supported"].as_object_mut().unwrap().remove("jwt");
            one.as_object_mut().unwrap().remove("webauthn_binding");
        }
    });
    let prompts = *world.keys.prompts.lock().unwrap();
    let finished = world.collect(&["patient_identity"]).await.unwrap();
    assert_eq!(finished.credentials.len(), 1);
    assert_eq!(*world.keys.prompts.lock().unwrap(), prompts, "no holder key signed anything");
}

#[tokio::test]
async fn messages_are_encrypted_where_the_issuer_demands_it_or_the_wallet_wants_it() {
    for (demand, encrypt, expected) in [
        (Demand::Required, false, true),
        (Demand::Accepted, true, true),
        (Demand::Accepted, false, false),
        (Demand::Off, true, false),
    ] {
        let mut world = World::new(Naming::X5c, |settings| {
            (settings.request_encryption, settings.response_encryption) = (demand, demand);
        });
        world.extras.encrypt = encrypt;
        assert_eq!(world.collect(&["patient_identity"]).await.unwrap().credentials.len(), 1);
        let encrypted = world.wire.encrypted.lock().unwrap().clone();
        assert_eq!(encrypted.contains(&"/oid4vci/credential".to_owned()), expected, "{demand:?} {encrypt}");
    }
}

#[tokio::test]
async fn deferred_messages_are_encrypted_too() {
    let world = World::new(Naming::X5c, |settings| {
        (settings.request_encryption, settings.response_encryption) = (Demand::Required, Demand::Required);
    });
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
    assert!(world.wire.issuer.offer_summary(&offer.id).await.unwrap().unwrap().waiting);
    world.wire.issuer.decide(&offer.id, true).await.unwrap();
    assert!(!world.wire.issuer.offer_summary(&offer.id).await.unwrap().unwrap().waiting);
    let resumed = issuance::resume(&finished.pending[0], &world.context()).await.unwrap();
    let issuance::Resumed::Finished(finished) = resumed else { panic!("still waiting") };
    assert_eq!(finished.credentials.len(), 1);
    assert!(world.wire.encrypted.lock().unwrap().contains(&"/oid4vci/deferred".to_owned()));
}

#[tokio::test]
async fn an_issuer_that_cannot_or_does_not_encrypt_is_not_believed() {
    // It insists on what is not carried.
    for member in ["credential_request_encryption", "credential_response_encryption"] {
        let world = World::new(Naming::X5c, |settings| {
            (settings.request_encryption, settings.response_encryption) =
                (Demand::Required, Demand::Required);
        });
        world.tamper(move |path, body| {
            if path == "/.well-known/openid-credential-issuer" {
                body[member]["enc_values_supported"] = json!(["A192GCM"]);
            }
        });
        assert_eq!(world.prepare(&["patient_identity"]).await.unwrap_err().code(), "metadata_encryption");
    }
    // It was asked for an encrypted answer and gives a plain one.
    let mut world = World::new(Naming::X5c, |settings| {
        (settings.request_encryption, settings.response_encryption) = (Demand::Accepted, Demand::Accepted);
    });
    world.extras.encrypt = true;
    world.wire.strip.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(world.collect(&["patient_identity"]).await.unwrap_err().code(), "issuance_unencrypted");
}

#[tokio::test]
async fn signed_metadata_is_preferred_demanded_or_ignored() {
    let mut world = World::new(Naming::X5c, |_| {});
    let anchors = issuer_anchors(&world);
    let stranger = issuer_key(Naming::X5c).1.anchors;
    for (signed, anchors, expected) in [
        (SignedMetadata::Ignore, &anchors, Ok(None)),
        (SignedMetadata::Prefer, &anchors, Ok(Some("CN=Root"))),
        (SignedMetadata::Demand, &anchors, Ok(Some("CN=Root"))),
        (SignedMetadata::Prefer, &stranger, Ok(None)),
        (SignedMetadata::Demand, &stranger, Err("x509_untrusted")),
    ] {
        (world.extras.signed, world.extras.anchors) = (signed, anchors.clone());
        let prepared = world.prepare(&["patient_identity"]).await;
        let anchor = prepared.map(|prepared| prepared.review.metadata_anchor);
        let expected = expected.map(|anchor| anchor.map(str::to_owned)).map_err(str::to_owned);
        assert_eq!(anchor.map_err(|error| error.code().to_owned()), expected, "{signed:?}");
    }
    let mut plain = World::new(Naming::DidJwk, |_| {});
    plain.extras.signed = SignedMetadata::Demand;
    assert_eq!(plain.prepare(&["patient_identity"]).await.unwrap_err().code(), "metadata_unsigned");
}

fn issuer_anchors(world: &World) -> Vec<TrustAnchor> {
    world.anchors.clone()
}

#[tokio::test]
async fn the_server_that_takes_the_grant_is_found_among_several() {
    let world = World::new(Naming::X5c, |settings| {
        settings.authorization_servers = vec![login()];
    });
    // The issuer's own server is named in offers of the desk.
    world.collect(&["patient_identity"]).await.unwrap();
    // Without a name, one after the other is asked.
    world.tamper(|path, body| {
        if path == "/.well-known/openid-credential-issuer" {
            body["authorization_servers"] = json!(["https://gone.example/x", ISSUER]);
        }
        if path.starts_with("/oid4vci/offers/") {
            let grant = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
            body["grants"][grant].as_object_mut().unwrap().remove("authorization_server");
        }
    });
    world.collect(&["patient_identity"]).await.unwrap();
    world.tamper(|path, body| {
        if path == "/.well-known/openid-credential-issuer" {
            body["authorization_servers"] = json!(["https://login.example"]);
        }
    });
    let refused = world.prepare(&["patient_identity"]).await.unwrap_err();
    assert_eq!(refused.code(), "metadata_authorization_server", "the offer names another than those listed");
}

const LOGIN: &str = "https://login.example";

/// An authorization server of somebody else: signs everybody in as `p1`, and binds its tokens by DPoP.
pub(crate) struct OtherServer {
    key: SoftwareKey,
    now: UnixTime,
}

impl OtherServer {
    fn jwks(&self) -> JwkSet {
        let mut jwk = Jwk::from_key(self.key.public_key());
        jwk.kid = Some("login-1".into());
        JwkSet { keys: vec![jwk] }
    }

    pub(crate) fn is_asked(&self, request: &HttpRequest) -> bool {
        request.url.host_str() == Some("login.example")
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        let at = |path: &str| format!("{LOGIN}{path}");
        let body = match request.url.path() {
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": LOGIN, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
                "pushed_authorization_request_endpoint": at("/par"), "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true, "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"], "dpop_signing_alg_values_supported": ["ES256"],
            }),
            "/par" => json!({"request_uri": "urn:x", "expires_in": 60}),
            "/token" => {
                let dpop = request.headers.iter().find(|(name, _)| name == "dpop").unwrap();
                let header = dpop.1.split('.').next().unwrap();
                let header: Value =
                    serde_json::from_slice(&carekey_core::encoding::base64url::decode(header)?).unwrap();
                let jkt = Jwk::from_value(&header["jwk"])?.thumbprint();
                let claims = json!({
                    "iss": LOGIN, "aud": ISSUER, "sub": "p1", "client_id": "wallet.example", "jti": "1",
                    "iat": self.now.as_secs(), "exp": self.now.plus(600).as_secs(),
                    "scope": "patient_identity", "cnf": {"jkt": jkt},
                });
                let header = json!({"kid": "login-1"}).as_object().unwrap().clone();
                let token =
                    carekey_core::jose::jwt::sign("at+jwt", header, claims.as_object().unwrap(), &self.key)?;
                json!({"access_token": token, "token_type": "DPoP", "expires_in": 600})
            }
            other => panic!("{other}"),
        };
        let content_type = Some("application/json".to_owned());
        Ok(HttpResponse {
            status: 200,
            content_type,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        })
    }
}

struct Keys(JwkSet);

#[async_trait]
impl ServerKeys for Keys {
    async fn keys(&self, _: &str, _: bool) -> Result<JwkSet> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_wallet_signs_in_with_the_server_that_the_offer_names() {
    let mut world = World::new(Naming::X5c, |settings| settings.authorization_servers = vec![login()]);
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let server = OtherServer { key, now: world.clock.now() };
    let issuer = Arc::into_inner(world.wire.issuer).unwrap();
    world.wire.issuer = Arc::new(issuer.with_server_keys(Arc::new(Keys(server.jwks()))));
    world.wire.server = Some(server);
    let new = NewOffer {
        configuration_ids: vec!["patient_identity".into()],
        fhir: bundle(),
        flow: OfferFlow::AuthorizationCode,
        subject: Some("p1".into()),
        ..NewOffer::default()
    };
    let offer = world.wire.issuer.create_offer(&new).await.unwrap();
    let review = issuance::review(&offer.link, &world.context()).await.unwrap();
    assert!(review.signs_in());
    let begun = issuance::authorize(&review, "https://wallet.example/cb", &world.context()).await.unwrap();
    assert_eq!(begun.url.host_str(), Some("login.example"));
    let kept: Value = serde_json::to_value(&begun).unwrap();
    let answer = |iss: &str| {
        let mut back = url::Url::parse("https://wallet.example/cb").unwrap();
        let state = kept["state"].as_str().unwrap();
        back.query_pairs_mut().append_pair("code", "c").append_pair("state", state).append_pair("iss", iss);
        back.to_string()
    };
    // Mixed up: the answer of the issuer's own server is not that of the other one.
    let mixed = issuance::prepare_authorized(&begun, &answer(ISSUER), None, &world.context()).await;
    assert_eq!(mixed.unwrap_err().code(), "authorization_iss");
    let prepared =
        issuance::prepare_authorized(&begun, &answer(LOGIN), None, &world.context()).await.unwrap();
    let registration = world.authenticator.create(prepared.creation_options.as_ref().unwrap()).unwrap();
    let finished = issuance::finish(&prepared, Some(&registration), &world.context()).await.unwrap();
    assert_eq!(finished.credentials.len(), 1);
    assert!(finished.credentials[0].ak.is_some());
    issuance::notify(&finished, NotificationEvent::CredentialAccepted, &world.context()).await.unwrap();
}

fn login() -> AuthorizationServer {
    AuthorizationServer { issuer: "https://login.example".into(), subject_claim: "sub".into() }
}
