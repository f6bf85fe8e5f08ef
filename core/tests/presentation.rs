//! OpenID4VP from end to end in memory: the verifier's requests, the holder's engine, the judge; and a refusal per check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::authenticator::Behaviour;
use carekey_core::credential::claims::ClaimPath;
use carekey_core::did::resolver::Offline;
use carekey_core::did::{Did, key as did_key};
use carekey_core::encoding::{base64, base64url, sha256};
use carekey_core::format::any::UnverifiedPresented;
use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::holder::presentation::{
    self, Choice, Delivery, PresentationContext, PresentationReview, PresentationRules, Selection,
};
use carekey_core::holder::{HttpRequest, HttpResponse, Method, StoredCredential};
use carekey_core::jose::jwk::{Jwk, JwkSet};
use carekey_core::jose::{jwe, jws, jwt};
use carekey_core::key::{Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::link::{RequestLink, RequestUriMethod};
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::protocol::openid4vp::response::{FormResponse, UnverifiedResponse};
use carekey_core::protocol::openid4vp::signed_request::{self, RequestKeyName, VerifierAuthentication};
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::random::SystemRandom;
use carekey_core::status::token_status_list::{Status, UnverifiedStatusListToken};
use carekey_core::trust::federation::FederationAnchor;
use carekey_core::trust::{IssuerRule, IssuerTrust, VerifierTrust};
use carekey_core::verifier::{
    Evidence, NewRequest, Policy, PresentationRequest, Refusal, SourceEvidence, StatusEvidence,
    StepUpCarrier, StepUpDemand, UnverifiedPresentation, VerifiedPresentation, verify,
};
use carekey_core::{Clock, Error, Result};
use serde_json::{Value, json};
use url::Url;
use world::{Authority, NOW, ORIGIN, RP_ID, VCT, Wanted, Web, World, answer};

const HOST: &str = "portal.example";
/// The portal in a federation, and the federation's anchor.
const ENTITY: &str = "https://portal.example";
const ANCHOR: &str = "https://federation.example";
const PREFIXES: [ClientIdPrefix; 4] = [
    ClientIdPrefix::RedirectUri,
    ClientIdPrefix::X509SanDns,
    ClientIdPrefix::X509Hash,
    ClientIdPrefix::DecentralizedIdentifier,
];

fn query(claims: &[&str]) -> Value {
    let claims: Vec<Value> = claims.iter().map(|name| json!({"id": name, "path": [name]})).collect();
    json!({"credentials": [{"id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": claims}]})
}

fn step_up(min_level: AssuranceLevel, carrier: StepUpCarrier) -> Option<StepUpDemand> {
    Some(StepUpDemand { min_level, max_age: 120, carrier })
}

fn new_request(dcql: Value, step_up: Option<StepUpDemand>, response_mode: ResponseMode) -> NewRequest {
    NewRequest {
        query: DcqlQuery::parse(&dcql).unwrap(),
        purpose: "Release discharge letter 2026-11-20".into(),
        locale: Some("en".into()),
        step_up,
        transaction_data: Vec::new(),
        transaction_types: TransactionTypes::default(),
        expected_origins: Vec::new(),
        response_mode,
        lifetime: 300,
    }
}

/// The usual question: who are you, with a step-up.
fn usual() -> NewRequest {
    let dcql = query(&["given_name", "family_name", "webauthn_binding"]);
    new_request(dcql, step_up(AssuranceLevel::Uv, StepUpCarrier::TransactionData), ResponseMode::DirectPost)
}

/// A verifier in memory with every kind of client identifier.
struct Portal {
    key: SoftwareKey,
    x5c: Vec<String>,
    authority: Authority,
    did: Did,
}

impl Portal {
    fn new() -> Self {
        let authority = Authority::new("Portal CA");
        let (key, x5c) = authority.certify(HOST, "https://portal.example");
        let did = did_key::encode(key.public_key()).unwrap();
        Self { key, x5c, authority, did }
    }

    fn request(&self, prefix: ClientIdPrefix, new: NewRequest) -> PresentationRequest {
        let response_uri = Url::parse("https://portal.example/responses/1").unwrap();
        let original = match prefix {
            ClientIdPrefix::RedirectUri => response_uri.to_string(),
            ClientIdPrefix::X509SanDns => HOST.to_owned(),
            ClientIdPrefix::X509Hash => base64url::encode(&sha256(&base64::decode(&self.x5c[0]).unwrap())),
            ClientIdPrefix::DecentralizedIdentifier => self.did.as_str().to_owned(),
            ClientIdPrefix::OpenidFederation => ENTITY.to_owned(),
            ClientIdPrefix::VerifierAttestation | ClientIdPrefix::Origin => panic!("not in these tests"),
        };
        let client_id = ClientId::new(prefix, &original);
        PresentationRequest::new("1".into(), new, client_id, response_uri, NOW, &SystemRandom).unwrap()
    }

    fn key_name(&self, prefix: ClientIdPrefix) -> RequestKeyName {
        match prefix {
            ClientIdPrefix::DecentralizedIdentifier => {
                let fragment = self.did.method_specific_id().to_owned();
                RequestKeyName::Kid(self.did.with_fragment(&fragment).unwrap().to_string())
            }
            ClientIdPrefix::OpenidFederation => {
                RequestKeyName::TrustChain { chain: self.chain(ENTITY, &json!({})), kid: "request".into() }
            }
            _ => RequestKeyName::X5c(self.x5c.clone()),
        }
    }

    /// The trust chain of `entity`, in which the anchor's policy says what `metadata` of the verifier is.
    fn chain(&self, entity: &str, policy: &Value) -> Vec<String> {
        let jwks = |kid: &str, key: &SoftwareKey| {
            let mut jwk = Jwk::from_key(key.public_key());
            jwk.kid = Some(kid.to_owned());
            json!({"keys": [jwk.to_value()]})
        };
        let own_key = SoftwareKey::from_p256_scalar(&[7; 32]).unwrap();
        let times = json!({"sub": entity, "iat": NOW.as_secs(), "exp": NOW.as_secs() + 600});
        let state = |more: Value, key: &SoftwareKey| {
            let mut claims = times.as_object().unwrap().clone();
            claims.extend(more.as_object().unwrap().clone());
            let header = json!({"kid": "federation"}).as_object().unwrap().clone();
            jwt::sign("entity-statement+jwt", header, &claims, key).unwrap()
        };
        let metadata = json!({"openid_credential_verifier": {"jwks": jwks("request", &self.key)}});
        let own = json!({"iss": entity, "jwks": jwks("federation", &own_key), "authority_hints": [ANCHOR],
            "metadata": metadata});
        let superior =
            json!({"iss": ANCHOR, "jwks": jwks("federation", &own_key), "metadata_policy": policy});
        vec![state(own, &own_key), state(superior, &federation_key())]
    }

    fn trust(&self) -> VerifierTrust {
        VerifierTrust::new(vec![self.authority.anchor()], vec![self.did.clone()])
            .with_unsigned()
            .with_federations(vec![federation(&federation_key())])
    }
}

fn federation_key() -> SoftwareKey {
    SoftwareKey::from_p256_scalar(&[8; 32]).unwrap()
}

/// The anchor with that key.
fn federation(key: &SoftwareKey) -> FederationAnchor {
    let mut jwk = Jwk::from_key(key.public_key());
    jwk.kid = Some("federation".into());
    FederationAnchor { entity_id: ANCHOR.into(), keys: JwkSet { keys: vec![jwk] } }
}

fn link(request: &PresentationRequest, method: RequestUriMethod) -> String {
    let link = match request.client_id.prefix().is_signed() {
        true => RequestLink::ByReference {
            client_id: request.client_id.clone(),
            request_uri: Url::parse("https://portal.example/requests/1").unwrap(),
            method,
        },
        false => RequestLink::ByValue(Box::new(request.authorization_request(None).unwrap())),
    };
    link.to_link("openid4vp://")
}

fn form_value(request: &HttpRequest, name: &str) -> Option<String> {
    url::form_urlencoded::parse(&request.body)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

type Posted = Arc<Mutex<Vec<Vec<u8>>>>;

/// The portal on the web: hands out `object(wallet_nonce)` and keeps what is posted.
fn web(
    object: impl Fn(Option<&str>) -> String + Send + Sync,
    posted: Posted,
) -> Web<impl Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync> {
    Web(move |request: &HttpRequest| match request.url.path() {
        "/requests/1" => {
            let nonce = form_value(request, "wallet_nonce");
            assert_eq!(nonce.is_some(), request.method == Method::Post);
            Some(answer(200, "application/oauth-authz-req+jwt", object(nonce.as_deref())))
        }
        "/responses/1" => {
            posted.lock().unwrap().push(request.body.clone());
            Some(answer(
                200,
                "application/json",
                r#"{"redirect_uri":"https://portal.example/done?response_code=x"}"#,
            ))
        }
        _ => None,
    })
}

struct Presented {
    review: PresentationReview,
    delivery: Delivery,
    form: Vec<u8>,
    prompts: usize,
}

/// Review, default choice, one ceremony, answer.
async fn present(
    world: &World,
    portal: &Portal,
    request: &PresentationRequest,
    credentials: &[StoredCredential],
) -> Result<Presented> {
    present_chosen(world, portal, request, credentials, RequestUriMethod::Get, |review| {
        review.default_selection().unwrap()
    })
    .await
}

async fn present_chosen(
    world: &World,
    portal: &Portal,
    request: &PresentationRequest,
    credentials: &[StoredCredential],
    method: RequestUriMethod,
    choose: impl FnOnce(&PresentationReview) -> Selection,
) -> Result<Presented> {
    let posted = Posted::default();
    let object = |nonce: Option<&str>| {
        let request = request.authorization_request(nonce).unwrap();
        signed_request::sign(&request, &portal.key_name(request.client_id.prefix()), &portal.key).unwrap()
    };
    let (http, trust) = (web(object, Arc::clone(&posted)), portal.trust());
    let context = context(world, &http, &trust);
    let before = world.authenticator.prompts();
    let review = presentation::review(&link(request, method), credentials, &context).await?;
    // What a page keeps between the phases goes through JSON.
    let review: PresentationReview = serde_json::from_str(&serde_json::to_string(&review).unwrap()).unwrap();
    let prepared = presentation::prepare(review.clone(), &choose(&review), credentials, &context)?;
    let prepared = serde_json::from_str(&serde_json::to_string(&prepared).unwrap()).unwrap();
    let prepared: presentation::PreparedPresentation = prepared;
    let ceremony = world.authenticator.get(&prepared.request_options)?;
    let delivery = presentation::finish(prepared, &ceremony, credentials, &context).await?;
    let prompts = world.authenticator.prompts() - before;
    let form = posted.lock().unwrap().pop().unwrap();
    Ok(Presented { review, delivery, form, prompts })
}

fn context<'a>(
    world: &'a World,
    http: &'a dyn carekey_core::holder::HttpClient,
    trust: &'a VerifierTrust,
) -> PresentationContext<'a> {
    PresentationContext {
        http,
        dids: &Offline,
        keys: &world.keys,
        trust,
        rules: PresentationRules::none(),
        rp_id: RP_ID,
        origin: ORIGIN,
        clock: &*world.clock,
        random: &SystemRandom,
    }
}

fn vp_token(request: &PresentationRequest, form: &[u8]) -> BTreeMap<String, Vec<String>> {
    let response = match FormResponse::parse(form, &Limits::DEFAULT).unwrap() {
        FormResponse::Plain(response) => response,
        FormResponse::Encrypted(token) => {
            let key = request.encryption_key.as_ref().unwrap().decryption_key().unwrap();
            let (_, payload) = jwe::decrypt(&token, &key, &Limits::DEFAULT).unwrap();
            UnverifiedResponse::from_decrypted(&payload, &Limits::DEFAULT).unwrap()
        }
    };
    assert_eq!(response.state(), Some(request.state.as_str()));
    match response {
        UnverifiedResponse::VpToken { vp_token, .. } => vp_token,
        UnverifiedResponse::Error { error, .. } => panic!("{}", error.as_str()),
    }
}

fn trust(world: &World) -> IssuerTrust {
    IssuerTrust::new(vec![IssuerRule { anchors: vec![world.authority.anchor()], ..IssuerRule::default() }])
}

/// Everything in order; tests change one thing.
fn sources(world: &World, presentation: &UnverifiedPresentation) -> Vec<SourceEvidence> {
    let token =
        UnverifiedStatusListToken::parse(&world.status_token(Some(300), 3600), &Limits::DEFAULT).unwrap();
    let list = token.verify(world.issuer.public_key(), world::STATUS_URI, NOW, 60, &Limits::DEFAULT).unwrap();
    let list = StatusEvidence::List { list: Arc::new(list), fetched_at: NOW };
    let source = |(_, credential): (&str, &UnverifiedPresented)| SourceEvidence {
        issuer: trust(world)
            .by_certificate(credential.types()[0], credential.iss(), &world.issuer_x5c, NOW)
            .map(Arc::new),
        status: list.clone(),
    };
    presentation.iter().map(source).collect()
}

fn judge(
    world: &World,
    request: &PresentationRequest,
    vp_token: &BTreeMap<String, Vec<String>>,
) -> Result<VerifiedPresentation, Refusal> {
    judge_with(world, request, vp_token, &Policy::default(), |_| ())
}

fn judge_with(
    world: &World,
    request: &PresentationRequest,
    vp_token: &BTreeMap<String, Vec<String>>,
    policy: &Policy,
    change: impl FnOnce(&mut Evidence<'_>),
) -> Result<VerifiedPresentation, Refusal> {
    let parsed = UnverifiedPresentation::parse(vp_token, &request.query, &Limits::DEFAULT);
    let presentation = parsed.map_err(|error| Refusal {
        code: carekey_core::verifier::RefusalCode::of(&error),
        detail: error.detail().to_owned(),
        checks: Vec::new(),
    })?;
    let mut evidence = Evidence { request, now: world.clock.now(), sources: sources(world, &presentation) };
    change(&mut evidence);
    verify(presentation, &evidence, policy)
}

fn code(result: Result<VerifiedPresentation, Refusal>) -> &'static str {
    let refusal = result.expect_err("it was verified");
    if let Some((last, earlier)) = refusal.checks.split_last() {
        assert_eq!(last.code.as_deref(), Some(refusal.code.as_str()), "the last check is the failed one");
        assert!(earlier.iter().all(|check| check.passed));
    }
    refusal.code.as_str()
}

#[tokio::test]
async fn every_prefix_and_mode() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    for prefix in PREFIXES {
        for mode in [ResponseMode::DirectPost, ResponseMode::DirectPostJwt] {
            for method in [RequestUriMethod::Get, RequestUriMethod::Post] {
                let request = portal.request(prefix, NewRequest { response_mode: mode, ..usual() });
                let choose = |review: &PresentationReview| review.default_selection().unwrap();
                let presented =
                    present_chosen(&world, &portal, &request, &credentials, method, choose).await.unwrap();
                assert_eq!(presented.prompts, 1, "exactly one ceremony");
                assert!(presented.delivery.accepted && presented.delivery.redirect_uri.is_some());
                assert_eq!(form_is_jwt(&presented.form), mode == ResponseMode::DirectPostJwt);
                let verified = judge(&world, &request, &vp_token(&request, &presented.form)).unwrap();
                assert_eq!(verified.level, AssuranceLevel::Uv);
                assert!(verified.checks.iter().all(|check| check.passed && !check.detail.is_empty()));
                let claims = &verified.credentials[0].claims;
                assert_eq!((claims.len(), &claims["family_name"]), (2, &json!("Testová")));
                let review = &presented.review;
                let expected = match prefix {
                    ClientIdPrefix::RedirectUri => (VerifierAuthentication::None, HOST.to_owned(), false),
                    ClientIdPrefix::DecentralizedIdentifier => {
                        (VerifierAuthentication::Did, portal.did.as_str().to_owned(), true)
                    }
                    _ => (VerifierAuthentication::Certificate, HOST.to_owned(), true),
                };
                let verifier = &review.verifier;
                assert_eq!((verifier.authentication, verifier.name.clone(), verifier.trusted), expected);
                assert_eq!(review.purpose.as_deref(), Some("Release discharge letter 2026-11-20"));
                assert_eq!(review.encrypted, mode == ResponseMode::DirectPostJwt);
            }
        }
    }
}

/// OpenID4VP 1.0 section 5.9.3: the chain in the request gives key and metadata; the person sees on whose word.
#[tokio::test]
async fn a_member_of_a_federation() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let request = portal.request(ClientIdPrefix::OpenidFederation, usual());
    let presented = present(&world, &portal, &request, &credentials).await.unwrap();
    judge(&world, &request, &vp_token(&request, &presented.form)).unwrap();
    let verifier = &presented.review.verifier;
    assert_eq!((verifier.authentication, verifier.trusted), (VerifierAuthentication::Federation, true));
    assert_eq!((verifier.name.as_str(), verifier.anchor.as_deref()), (ENTITY, Some(ANCHOR)));
    // The request's own metadata does not count: its key for encrypted answers is not the federation's.
    let encrypted = NewRequest { response_mode: ResponseMode::DirectPostJwt, ..usual() };
    let request = portal.request(ClientIdPrefix::OpenidFederation, encrypted);
    let refused = present(&world, &portal, &request, &credentials).await;
    assert_eq!(refused.err().unwrap().code(), "request_object");
}

fn form_is_jwt(form: &[u8]) -> bool {
    form.starts_with(b"response=ey")
}

#[tokio::test]
async fn the_outcome_survives_the_store() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let request = portal.request(ClientIdPrefix::X509Hash, usual());
    let presented = present(&world, &portal, &request, &credentials).await.unwrap();
    let verified = judge(&world, &request, &vp_token(&request, &presented.form)).unwrap();
    assert!(!format!("{verified:?}").contains("Testov"), "no claim value in Debug");
    let record = serde_json::to_vec(&verified).unwrap();
    assert_eq!(VerifiedPresentation::from_own_record(&record).unwrap(), verified);
    assert_eq!(VerifiedPresentation::from_own_record(b"{}").unwrap_err().code(), "outcome_record");
    // A request goes through the (sealed) store too.
    let again: PresentationRequest = serde_json::from_slice(&serde_json::to_vec(&request).unwrap()).unwrap();
    assert!(judge(&world, &again, &vp_token(&again, &presented.form)).is_ok());
    assert!(!format!("{request:?}").contains("\"d\""));
}

#[tokio::test]
async fn several_credentials_share_one_ceremony() {
    let (world, portal) = (World::new(), Portal::new());
    let coverage = Wanted {
        vct: world::COVERAGE,
        claims: json!({"member_id": "M-1", "payer": {"name": "Test payer"}}),
        status: Some(8),
        ..Wanted::default()
    };
    let credentials = [world.credential(Wanted::default()).await, world.credential(coverage).await];
    let dcql = json!({"credentials": [
        {"id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
            "claims": [{"path": ["family_name"]}, {"path": ["webauthn_binding"]}]},
        {"id": "insurance", "format": "dc+sd-jwt", "meta": {"vct_values": [world::COVERAGE]},
            "claims": [{"path": ["member_id"]}]}
    ]});
    let demand = step_up(AssuranceLevel::Uv, StepUpCarrier::TransactionData);
    let request =
        portal.request(ClientIdPrefix::X509Hash, new_request(dcql, demand, ResponseMode::DirectPost));
    let presented = present(&world, &portal, &request, &credentials).await.unwrap();
    assert_eq!(presented.prompts, 1);
    let token = vp_token(&request, &presented.form);
    assert_eq!(token.len(), 2);
    let verified = judge(&world, &request, &token).unwrap();
    assert_eq!(verified.step_up.as_ref().unwrap().query_id, "patient");
    assert_eq!(verified.credentials.len(), 2);
    // One of the two alone is no answer.
    let mut half = token.clone();
    half.remove("insurance");
    assert_eq!(code(judge(&world, &request, &half)), "credentials_missing");
}

#[tokio::test]
async fn several_credentials_for_one_query() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await, world.credential(Wanted::default()).await];
    for multiple in [true, false] {
        let mut dcql = query(&["family_name"]);
        dcql["credentials"][0]["multiple"] = json!(multiple);
        let request =
            portal.request(ClientIdPrefix::X509Hash, new_request(dcql, None, ResponseMode::DirectPost));
        let both = |review: &PresentationReview| Selection {
            choices: review.queries[0]
                .candidates
                .iter()
                .map(|candidate| Choice {
                    query_id: "patient".into(),
                    credential_id: candidate.credential_id.clone(),
                    leave_out: Vec::new(),
                })
                .collect(),
        };
        let presented =
            present_chosen(&world, &portal, &request, &credentials, RequestUriMethod::Get, both).await;
        match presented {
            Ok(presented) => {
                assert!(multiple);
                assert_eq!(presented.prompts, 1);
                let token = vp_token(&request, &presented.form);
                assert_eq!(token["patient"].len(), 2);
                assert_eq!(judge(&world, &request, &token).unwrap().credentials.len(), 2);
            }
            Err(error) => assert_eq!((multiple, error.code()), (false, "selection_twice")),
        }
    }
}

/// What a person reads is what is there: nothing hides or turns the text around.
#[tokio::test]
async fn the_purpose_is_shown_in_full() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let purpose = "Pay \u{202e}001 to\u{200b} nobody";
    let request = portal.request(ClientIdPrefix::X509Hash, NewRequest { purpose: purpose.into(), ..usual() });
    let presented = present(&world, &portal, &request, &credentials).await.unwrap();
    assert_eq!(presented.review.purpose.as_deref(), Some("Pay ⟨U+202E⟩001 to⟨U+200B⟩ nobody"));
    assert!(judge(&world, &request, &vp_token(&request, &presented.form)).is_ok());
}

#[tokio::test]
async fn without_step_up_the_wallet_still_asks_once() {
    let (world, portal) = (World::new(), Portal::new());
    for second_key in [true, false] {
        let credentials = [world.credential(Wanted { second_key, ..Wanted::default() }).await];
        let request = new_request(query(&["family_name"]), None, ResponseMode::DirectPost);
        let request = portal.request(ClientIdPrefix::X509SanDns, request);
        let presented = present(&world, &portal, &request, &credentials).await.unwrap();
        assert_eq!(presented.prompts, 1);
        let token = vp_token(&request, &presented.form);
        let read = UnverifiedSdJwtVc::parse(&token["patient"][0], &Limits::DEFAULT).unwrap();
        let claims = read.key_binding().unwrap().claims();
        for name in ["webauthn_assertion", "authentication_factors", "jti", "transaction_data_hashes"] {
            assert!(!claims.contains_key(name), "{name} stays in the wallet");
        }
        let verified = judge(&world, &request, &token).unwrap();
        assert_eq!((verified.level, verified.step_up), (AssuranceLevel::None, None));
        // And without it nothing leaves.
        for behaviour in [
            Behaviour { user_verified: false, ..Behaviour::default() },
            Behaviour { declines: true, ..Behaviour::default() },
            Behaviour { origin: Some("https://evil.example".into()), ..Behaviour::default() },
            Behaviour { challenge: Some(vec![1; 32]), ..Behaviour::default() },
        ] {
            world.authenticator.behave(behaviour);
            assert!(present(&world, &portal, &request, &credentials).await.is_err());
        }
        world.authenticator.behave(Behaviour::default());
    }
}

#[tokio::test]
async fn step_up_asked_for_by_the_claim_alone() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let demand = step_up(AssuranceLevel::Uv, StepUpCarrier::Claim);
    let dcql = query(&["family_name", "webauthn_binding"]);
    let request =
        portal.request(ClientIdPrefix::X509Hash, new_request(dcql, demand, ResponseMode::DirectPost));
    assert!(request.transaction_data.is_empty());
    let presented = present(&world, &portal, &request, &credentials).await.unwrap();
    assert_eq!(presented.prompts, 1);
    let verified = judge(&world, &request, &vp_token(&request, &presented.form)).unwrap();
    assert_eq!(verified.step_up.unwrap().amr, ["pop", "user", "mfa"]);
}

#[tokio::test]
async fn nothing_prints_what_is_shown_to_the_person() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let dcql = json!({"credentials": [{
        "id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
        "claims": [{"path": ["family_name"]}, {"path": ["address", "locality"]}, {"path": ["webauthn_binding"]}]
    }]});
    let request = portal.request(ClientIdPrefix::X509Hash, new_request(dcql, None, ResponseMode::DirectPost));
    let shown = |review: &PresentationReview| {
        assert!(serde_json::to_string(review).unwrap().contains("Testov"));
        let printed = format!("{review:?} {review:#?} {credentials:?}");
        for value in ["Testov", "Praha", "\"kty\""] {
            assert!(!printed.contains(value), "{value} in {printed}");
        }
        review.default_selection().unwrap()
    };
    present_chosen(&world, &portal, &request, &credentials, RequestUriMethod::Get, shown).await.unwrap();
    let delivery = Delivery {
        accepted: true,
        code: None,
        redirect_uri: Some("https://portal.example/done?response_code=geheim".parse().unwrap()),
        platform: None,
    };
    let printed = format!("{delivery:?}");
    assert!(printed.contains("portal.example") && !printed.contains("geheim"), "{printed}");
}

#[tokio::test]
async fn the_person_sees_exactly_what_leaves_and_may_keep_what_is_optional() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await, world.credential(Wanted::default()).await];
    let dcql = json!({"credentials": [{
        "id": "patient", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]},
        "claims": [
            {"id": "f", "path": ["family_name"]},
            {"id": "i", "path": ["identifiers", null, "value"]},
            {"id": "l", "path": ["address", "locality"]}
        ],
        "claim_sets": [["f", "i", "l"], ["f", "i"], ["f"]]
    }]});
    let request = portal.request(ClientIdPrefix::X509Hash, new_request(dcql, None, ResponseMode::DirectPost));
    let locality = serde_json::from_value::<ClaimPath>(json!(["address", "locality"])).unwrap();
    let family = ClaimPath::member("family_name");
    let choice = |review: &PresentationReview, leave_out: Vec<ClaimPath>| {
        let candidates = &review.queries[0].candidates;
        assert_eq!(candidates.len(), 2, "several credentials to choose from");
        let chosen = &candidates[1];
        let shown: Vec<_> =
            chosen.claims.iter().map(|claim| (claim.path.to_string(), claim.optional)).collect();
        let expected = [("family_name", false), ("identifiers[].value", true), ("address.locality", true)];
        assert_eq!(shown, expected.map(|(path, optional)| (path.to_owned(), optional)));
        assert_eq!(chosen.claims[1].values, [json!("A-1"), json!("B-2")]);
        let credential_id = chosen.credential_id.clone();
        Selection { choices: vec![Choice { query_id: "patient".into(), credential_id, leave_out }] }
    };
    let presented =
        present_chosen(&world, &portal, &request, &credentials, RequestUriMethod::Get, |review| {
            choice(review, vec![locality.clone()])
        });
    let presented = presented.await.unwrap();
    let verified = judge(&world, &request, &vp_token(&request, &presented.form)).unwrap();
    let claims = Value::Object(verified.credentials[0].claims.clone());
    assert_eq!(claims["family_name"], "Testová");
    assert_eq!(claims["identifiers"][1]["value"], "B-2");
    assert!(claims.get("address").is_none() && claims.get("given_name").is_none());
    let mandatory =
        present_chosen(&world, &portal, &request, &credentials, RequestUriMethod::Get, |review| {
            choice(review, vec![family])
        });
    assert_eq!(mandatory.await.err().unwrap().code(), "claim_absent");
}

#[tokio::test]
async fn selections_that_do_not_fit() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let request = portal.request(ClientIdPrefix::X509Hash, usual());
    let choice = |query: &str, credential: &str| Choice {
        query_id: query.into(),
        credential_id: credential.into(),
        leave_out: Vec::new(),
    };
    let own = credentials[0].id.as_str();
    for (choices, expected) in [
        (vec![], "credentials_missing"),
        (vec![choice("other", own)], "credentials_missing"),
        (vec![choice("patient", "another")], "selection_candidate"),
        (vec![choice("patient", own), choice("other", own)], "selection_candidate"),
        (vec![choice("patient", own), choice("patient", own)], "selection_twice"),
    ] {
        let selection = Selection { choices };
        let chosen =
            present_chosen(&world, &portal, &request, &credentials, RequestUriMethod::Get, |_| selection);
        assert_eq!(chosen.await.err().unwrap().code(), expected);
    }
    // Without a second key a step-up by transaction data cannot be answered, and the wallet says so beforehand.
    let plain = [world.credential(Wanted { second_key: false, ..Wanted::default() }).await];
    let http = web(
        |nonce| {
            let request = request.authorization_request(nonce).unwrap();
            signed_request::sign(&request, &portal.key_name(request.client_id.prefix()), &portal.key).unwrap()
        },
        Posted::default(),
    );
    let trust = portal.trust();
    let (link, context) = (link(&request, RequestUriMethod::Get), context(&world, &http, &trust));
    let review = presentation::review(&link, &plain, &context).await.unwrap();
    assert!(!review.answerable && review.default_selection().is_none());
}

#[tokio::test]
async fn declining_says_access_denied() {
    let (world, portal) = (World::new(), Portal::new());
    let request = portal.request(
        ClientIdPrefix::X509Hash,
        NewRequest { response_mode: ResponseMode::DirectPostJwt, ..usual() },
    );
    let posted = Posted::default();
    let object = |nonce: Option<&str>| {
        let authorization = request.authorization_request(nonce).unwrap();
        signed_request::sign(&authorization, &portal.key_name(ClientIdPrefix::X509Hash), &portal.key).unwrap()
    };
    let (http, trust) = (web(object, Arc::clone(&posted)), portal.trust());
    let context = context(&world, &http, &trust);
    let review = presentation::review(&link(&request, RequestUriMethod::Get), &[], &context).await.unwrap();
    assert!(!review.answerable);
    assert!(presentation::decline(&review, &context).await.unwrap().accepted);
    let form = String::from_utf8(posted.lock().unwrap().pop().unwrap()).unwrap();
    assert_eq!(form, format!("error=access_denied&state={}", request.state));
    assert_eq!(world.authenticator.prompts(), 0);
}

/// Requests that an authenticated verifier should not have sent are answered with the code of section 8.5.
#[tokio::test]
async fn unusable_requests_are_answered_with_their_error() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let payment = json!({"type": "https://example.org/payment", "credential_ids": ["patient"]});
    let types = json!([{"type": "https://example.org/payment", "title": "Pay", "fields": []}]);
    let transaction_types = TransactionTypes::new(serde_json::from_value(types).unwrap()).unwrap();
    let unknown = NewRequest { transaction_data: vec![payment], transaction_types, ..usual() };
    for (new, change, fault, error) in [
        (unknown, None, "transaction_data_type", "invalid_transaction_data"),
        (
            usual(),
            Some(("dcql_query", json!({"credentials": [{"id": "x", "format": "mso_mdoc", "meta": {}}]}))),
            "dcql_format",
            "vp_formats_not_supported",
        ),
        (
            usual(),
            Some(("client_metadata", json!({"vp_formats_supported": {"mso_mdoc": {}}}))),
            "vp_formats",
            "vp_formats_not_supported",
        ),
        (
            usual(),
            Some((
                "client_metadata",
                json!({"vp_formats_supported": {"dc+sd-jwt": {"kb-jwt_alg_values": ["EdDSA"]}}}),
            )),
            "vp_formats",
            "vp_formats_not_supported",
        ),
        (
            usual(),
            Some(("transaction_data", json!(["bm8"]))),
            "invalid_transaction_data",
            "invalid_transaction_data",
        ),
    ] {
        let request = portal.request(ClientIdPrefix::X509Hash, new);
        let posted = Posted::default();
        let object = |nonce: Option<&str>| {
            let mut claims = request.authorization_request(nonce).unwrap().to_claims();
            if let Some((name, value)) = &change {
                claims.insert((*name).into(), value.clone());
                if *name == "dcql_query" {
                    claims.remove("transaction_data");
                }
            }
            let header = json!({"typ": "oauth-authz-req+jwt", "x5c": portal.x5c});
            let payload = Value::Object(claims).to_string();
            jws::sign(header.as_object().unwrap().clone(), payload.as_bytes(), &portal.key).unwrap()
        };
        let (http, trust) = (web(object, Arc::clone(&posted)), portal.trust());
        let link = link(&request, RequestUriMethod::Get);
        let review = presentation::review(&link, &credentials, &context(&world, &http, &trust)).await;
        assert_eq!(review.unwrap_err().code(), fault);
        let form = String::from_utf8(posted.lock().unwrap().pop().unwrap()).unwrap();
        assert!(form.starts_with(&format!("error={error}&state=")), "{form}");
    }
}

/// A request that is wrong in one way only is refused by the wallet, and nothing is sent to anybody.
#[tokio::test]
async fn requests_that_do_not_authenticate() {
    let (world, portal) = (World::new(), Portal::new());
    let other = Portal::new();
    let credentials = [world.credential(Wanted::default()).await];
    type Change<'a> = Box<
        dyn Fn(&mut serde_json::Map<String, Value>, &mut serde_json::Map<String, Value>) + Send + Sync + 'a,
    >;
    let claim = |name: &'static str, value: Value| -> Change<'_> {
        Box::new(move |_, claims| drop(claims.insert(name.into(), value.clone())))
    };
    let head = |name: &'static str, value: Value| -> Change<'_> {
        Box::new(move |header, _| drop(header.insert(name.into(), value.clone())))
    };
    let none: Change<'_> = Box::new(|_, _| ());
    let (san, hash, did) =
        (ClientIdPrefix::X509SanDns, ClientIdPrefix::X509Hash, ClientIdPrefix::DecentralizedIdentifier);
    let federated = ClientIdPrefix::OpenidFederation;
    let no_keys = json!({"openid_credential_verifier": {"jwks": {"one_of": [{"keys": []}]}}});
    let other_hash = base64url::encode(&[0; 32]);
    let cases: Vec<(ClientIdPrefix, Change<'_>, bool, &str)> = vec![
        (san, claim("client_id", json!("x509_san_dns:evil.example")), false, "client_id_mismatch"),
        (hash, claim("client_id", json!(format!("x509_hash:{other_hash}"))), false, "client_id_mismatch"),
        (
            san,
            claim("response_uri", json!("https://evil.example/responses/1")),
            false,
            "response_uri_foreign",
        ),
        (san, claim("exp", json!(NOW.as_secs() - 61)), false, "request_expired"),
        (san, claim("iat", json!(NOW.as_secs() + 61)), false, "request_from_future"),
        (san, claim("wallet_nonce", json!("another")), false, "wallet_nonce_mismatch"),
        (san, claim("aud", json!("https://other-wallet.example")), false, "request_audience"),
        (san, head("typ", json!("JWT")), false, "jws_typ"),
        (san, head("alg", json!("none")), false, "alg_none"),
        (san, head("x5c", json!(other.x5c)), false, "x509_untrusted"),
        (san, Box::new(|header, _| drop(header.remove("x5c"))), false, "request_key"),
        (hash, Box::new(|header, _| drop(header.remove("x5c"))), false, "request_key"),
        (san, none, true, "signature_invalid"),
        (hash, Box::new(|_, _| ()), true, "signature_invalid"),
        (did, Box::new(|_, _| ()), true, "signature_invalid"),
        (did, Box::new(|header, _| drop(header.remove("kid"))), false, "request_key"),
        (did, head("kid", json!(format!("{}#x", other.did))), false, "client_id_mismatch"),
        (did, head("kid", json!(format!("{}#unknown", portal.did))), false, "did_method_not_found"),
        (federated, Box::new(|_, _| ()), true, "signature_invalid"),
        (federated, Box::new(|header, _| drop(header.remove("trust_chain"))), false, "request_key"),
        (federated, head("trust_chain", json!("x")), false, "request_key"),
        (federated, head("trust_chain", json!([])), false, "federation_chain"),
        (federated, head("kid", json!("unknown")), false, "request_key"),
        (
            federated,
            head("trust_chain", json!(portal.chain("https://other.example", &json!({})))),
            false,
            "client_id_mismatch",
        ),
        (
            federated,
            head("trust_chain", json!(&portal.chain(ENTITY, &json!({}))[..1])),
            false,
            "federation_anchor",
        ),
        (federated, head("trust_chain", json!(portal.chain(ENTITY, &no_keys))), false, "federation_policy"),
        (federated, head("trust_chain", json!(other.chain(ENTITY, &json!({})))), false, "signature_invalid"),
        (
            federated,
            claim("response_uri", json!("https://evil.example/responses/1")),
            false,
            "response_uri_foreign",
        ),
    ];
    for (prefix, change, foreign_key, expected) in &cases {
        let request = portal.request(*prefix, usual());
        let posted = Posted::default();
        let object = |nonce: Option<&str>| {
            let mut claims = request.authorization_request(nonce).unwrap().to_claims();
            let mut header = serde_json::Map::new();
            header.insert("alg".into(), json!("ES256"));
            header.insert("typ".into(), json!("oauth-authz-req+jwt"));
            match portal.key_name(*prefix) {
                RequestKeyName::X5c(chain) => header.insert("x5c".into(), json!(chain)),
                RequestKeyName::Kid(kid) => header.insert("kid".into(), json!(kid)),
                RequestKeyName::Attestation(jwt) => header.insert("jwt".into(), json!(jwt)),
                RequestKeyName::TrustChain { chain, kid } => {
                    header.insert("trust_chain".into(), json!(chain));
                    header.insert("kid".into(), json!(kid))
                }
            };
            change(&mut header, &mut claims);
            let input = jws::signing_input(&header, Value::Object(claims).to_string().as_bytes()).unwrap();
            let key = if *foreign_key { &other.key } else { &portal.key };
            let signature = key.sign(input.as_bytes()).unwrap();
            jws::assemble(input, &signature)
        };
        let (http, trust) = (web(object, Arc::clone(&posted)), portal.trust());
        let link = link(&request, RequestUriMethod::Post);
        let review = presentation::review(&link, &credentials, &context(&world, &http, &trust)).await;
        assert_eq!(review.unwrap_err().code(), *expected);
        assert!(posted.lock().unwrap().is_empty(), "{expected}: nothing was sent");
    }
    // A wallet that knows nobody takes no unsigned request, no foreign certificate, no unknown DID.
    let nobody = VerifierTrust::default();
    for (prefix, expected) in [
        (ClientIdPrefix::RedirectUri, "request_unsigned"),
        (san, "x509_untrusted"),
        (did, "verifier_unknown"),
        (federated, "federation_anchor"),
    ] {
        let request = portal.request(prefix, usual());
        let object = |nonce: Option<&str>| {
            let request = request.authorization_request(nonce).unwrap();
            signed_request::sign(&request, &portal.key_name(prefix), &portal.key).unwrap()
        };
        let http = web(object, Posted::default());
        let link = link(&request, RequestUriMethod::Get);
        let review = presentation::review(&link, &credentials, &context(&world, &http, &nobody)).await;
        assert_eq!(review.unwrap_err().code(), expected);
    }
}

#[tokio::test]
async fn another_key_or_no_user_verification_ends_in_the_wallet() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let request = portal.request(ClientIdPrefix::X509Hash, usual());
    for (behaviour, expected) in [
        (Behaviour { user_verified: false, ..Behaviour::default() }, "user_not_verified"),
        (Behaviour { user_present: false, ..Behaviour::default() }, "user_not_present"),
        (Behaviour { declines: true, ..Behaviour::default() }, "user_declined"),
        (Behaviour { challenge: Some(vec![0; 32]), ..Behaviour::default() }, "challenge_mismatch"),
        (Behaviour { rp_id: Some("evil.example".into()), ..Behaviour::default() }, "rp_id_mismatch"),
    ] {
        world.authenticator.behave(behaviour);
        let result = present(&world, &portal, &request, &credentials).await;
        assert_eq!(result.err().unwrap().code(), expected);
    }
}

/// One refused presentation per check of the judge.
#[tokio::test]
async fn refusals() {
    let (world, portal) = (World::new(), Portal::new());
    let credentials = [world.credential(Wanted::default()).await];
    let request = portal.request(ClientIdPrefix::X509Hash, usual());
    let token = vp_token(&request, &present(&world, &portal, &request, &credentials).await.unwrap().form);
    judge(&world, &request, &token).unwrap();
    let policy = Policy::default();
    let with =
        |change: &dyn Fn(&mut Evidence<'_>)| code(judge_with(&world, &request, &token, &policy, change));

    // Issuer and status.
    let unavailable = || Error::unavailable("fetch_failed", "x");
    assert_eq!(
        with(&|e| e.sources[0].issuer = Err(Error::untrusted("issuer_untrusted", "x"))),
        "issuer_untrusted"
    );
    assert_eq!(
        with(&|e| e.sources[0].issuer = Err(Error::untrusted("x509_signature", "x"))),
        "issuer_certificate"
    );
    assert_eq!(
        with(&|e| e.sources[0].status = StatusEvidence::Unavailable(unavailable())),
        "status_unavailable"
    );
    assert_eq!(with(&|e| e.sources[0].status = StatusEvidence::NotNamed), "status_unavailable");
    let older = |e: &mut Evidence<'_>| {
        if let StatusEvidence::List { fetched_at, .. } = &mut e.sources[0].status {
            *fetched_at = NOW.plus(-300);
        }
    };
    assert_eq!(with(&older), "status_unavailable");
    let lenient = Policy { accept_unknown_status: true, ..Policy::default() };
    let accepted = judge_with(&world, &request, &token, &lenient, older).unwrap();
    assert!(!accepted.credentials[0].status_checked);
    for (status, expected) in [
        (Status::Revoked, "credential_revoked"),
        (Status::Suspended, "credential_suspended"),
        (Status::Other(3), "credential_status_other"),
    ] {
        world.set_status(7, status);
        assert_eq!(code(judge(&world, &request, &token)), expected);
        // A policy that does without a list does not overlook what a list says.
        assert_eq!(code(judge_with(&world, &request, &token, &lenient, |_| ())), expected);
    }
    world.set_status(7, Status::Valid);

    // Time.
    for (now, expected) in [
        (NOW.plus(86_460), "credential_expired"),
        (NOW.plus(-1061), "credential_issued_in_future"),
        (NOW.plus(361), "kb_jwt_stale"),
        (NOW.plus(-61), "kb_jwt_in_future"),
        (NOW.plus(181), "kb_jwt_expired"),
    ] {
        let fresh = |e: &mut Evidence<'_>| {
            e.now = now;
            if let StatusEvidence::List { fetched_at, .. } = &mut e.sources[0].status {
                *fetched_at = now;
            }
        };
        assert_eq!(with(&fresh), expected);
    }

    // Another request of the same verifier, and another verifier.
    let mut changed = request.clone();
    changed.nonce = "another".into();
    assert_eq!(code(judge(&world, &changed, &token)), "kb_jwt_nonce");
    changed = request.clone();
    changed.client_id = ClientId::new(ClientIdPrefix::X509SanDns, HOST);
    assert_eq!(code(judge(&world, &changed, &token)), "kb_jwt_audience");
    // Other transaction data than was sent; and transaction data that nobody approved.
    changed = request.clone();
    changed.transaction_data = vec![request.transaction_data[0].replace('A', "B")];
    assert!(judge(&world, &changed, &token).is_err());
    let plain = new_request(
        query(&["given_name", "family_name", "webauthn_binding"]),
        None,
        ResponseMode::DirectPost,
    );
    changed = portal.request(ClientIdPrefix::X509Hash, plain);
    changed.nonce.clone_from(&request.nonce);
    assert_eq!(code(judge(&world, &changed, &token)), "kb_jwt_transaction_data");

    // The query.
    changed = request.clone();
    changed.query = DcqlQuery::parse(&query(&["given_name", "birthdate", "webauthn_binding"])).unwrap();
    assert_eq!(code(judge(&world, &changed, &token)), "claim_absent");
    let mut other_type = query(&["given_name"]);
    other_type["credentials"][0]["meta"]["vct_values"] = json!(["https://other.example/vct"]);
    changed.query = DcqlQuery::parse(&other_type).unwrap();
    assert_eq!(code(judge(&world, &changed, &token)), "credential_type");
    let mut valued = query(&["given_name", "webauthn_binding"]);
    valued["credentials"][0]["claims"][0]["values"] = json!(["Somebody else"]);
    changed.query = DcqlQuery::parse(&valued).unwrap();
    assert_eq!(code(judge(&world, &changed, &token)), "claim_value");
    let one = token["patient"][0].clone();
    let map = |id: &str, list: Vec<String>| BTreeMap::from([(id.to_owned(), list)]);
    assert_eq!(code(judge(&world, &request, &map("unasked", vec![one.clone()]))), "presentation_not_asked");
    assert_eq!(
        code(judge(&world, &request, &map("patient", vec![one.clone(), one.clone()]))),
        "presentation_count"
    );
    assert_eq!(
        code(judge(&world, &request, &map("patient", vec!["rubbish".into()]))),
        "presentation_malformed"
    );

    // The presentation itself.
    let (sd_jwt, kb_jwt) = one.rsplit_once('~').unwrap();
    assert_eq!(code(judge(&world, &request, &map("patient", vec![format!("{sd_jwt}~")]))), "kb_jwt_missing");
    let dropped = {
        let mut parts: Vec<&str> = sd_jwt.split('~').collect();
        parts.remove(1);
        format!("{}~{kb_jwt}", parts.join("~"))
    };
    assert_eq!(code(judge(&world, &request, &map("patient", vec![dropped]))), "kb_jwt_sd_hash");
    let flipped = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let end = sd_jwt.split('~').next().unwrap().len() - 10;
    let forged = flipped(&one, end);
    assert_eq!(code(judge(&world, &request, &map("patient", vec![forged]))), "credential_signature_invalid");
    let forged = flipped(&one, one.len() - 10);
    assert_eq!(code(judge(&world, &request, &map("patient", vec![forged]))), "kb_jwt_signature_invalid");
    // A disclosure with another value: its digest is not the issuer's.
    let disclosure = base64url::encode(json!(["salt", "given_name", "Mallory"]).to_string().as_bytes());
    let mut parts: Vec<&str> = sd_jwt.split('~').collect();
    parts[1] = &disclosure;
    let tampered = format!("{}~{kb_jwt}", parts.join("~"));
    assert_eq!(code(judge(&world, &request, &map("patient", vec![tampered]))), "presentation_malformed");

    // The step-up.
    for (level, expected) in [(AssuranceLevel::BiometricCapable, "level_too_low"), (AssuranceLevel::Uv, "")] {
        let mut changed = request.clone();
        changed.step_up = step_up(level, StepUpCarrier::TransactionData);
        match judge(&world, &changed, &token) {
            Ok(verified) => assert_eq!((verified.level, expected), (AssuranceLevel::Uv, "")),
            refused => assert_eq!(code(refused), expected),
        }
    }
    changed = request.clone();
    changed.step_up = Some(StepUpDemand { max_age: 60, ..request.step_up.unwrap() });
    assert_eq!(code(judge(&world, &changed, &token)), "kb_lifetime");
    let stale = Policy { max_evaluation_age: Some(999), ..Policy::default() };
    assert_eq!(code(judge_with(&world, &request, &token, &stale, |_| ())), "binding_evaluation_stale");
    // Asked for a step-up, answered without: never "continue without".
    let dcql = query(&["given_name", "family_name"]);
    let mut asked =
        portal.request(ClientIdPrefix::X509Hash, new_request(dcql, None, ResponseMode::DirectPost));
    let token = vp_token(&asked, &present(&world, &portal, &asked, &credentials).await.unwrap().form);
    asked.query = DcqlQuery::parse(&query(&["given_name", "family_name", "webauthn_binding"])).unwrap();
    asked.step_up = step_up(AssuranceLevel::Uv, StepUpCarrier::Claim);
    assert_eq!(code(judge(&world, &asked, &token)), "claim_absent");
}

#[test]
fn bad_requests_are_not_made() {
    let portal = Portal::new();
    let fault = |new: NewRequest| {
        let uri = Url::parse("https://portal.example/r").unwrap();
        let client_id = ClientId::new(ClientIdPrefix::X509SanDns, HOST);
        PresentationRequest::new("1".into(), new, client_id, uri, NOW, &SystemRandom).unwrap_err().code()
    };
    let demand = step_up(AssuranceLevel::Uv, StepUpCarrier::TransactionData);
    assert_eq!(fault(NewRequest { purpose: " ".into(), ..usual() }), "request_purpose");
    assert_eq!(fault(NewRequest { purpose: "x".repeat(301), ..usual() }), "request_purpose");
    assert_eq!(
        fault(new_request(query(&["family_name"]), demand, ResponseMode::DirectPost)),
        "step_up_claim"
    );
    let nothing = step_up(AssuranceLevel::None, StepUpCarrier::Claim);
    assert_eq!(fault(NewRequest { step_up: nothing, ..usual() }), "invalid_transaction_data");
    assert_eq!(fault(NewRequest { transaction_data: vec![json!(1)], ..usual() }), "invalid_transaction_data");
    let mdoc = json!({"credentials": [{"id": "a", "format": "mso_mdoc", "meta": {}}]});
    assert_eq!(fault(new_request(mdoc, None, ResponseMode::DirectPost)), "dcql_format");
    let request = portal.request(
        ClientIdPrefix::X509SanDns,
        NewRequest { response_mode: ResponseMode::DirectPostJwt, ..usual() },
    );
    let sent = request.authorization_request(None).unwrap();
    let key = sent.client_metadata.encryption_key.unwrap();
    assert_eq!((key.alg.as_deref(), key.use_.as_deref()), (Some("ECDH-ES"), Some("enc")));
    assert!(key.kid.is_some() && request.nonce.len() >= 43);
    let again = portal.request(
        ClientIdPrefix::X509SanDns,
        NewRequest { response_mode: ResponseMode::DirectPostJwt, ..usual() },
    );
    let other = again.authorization_request(None).unwrap().client_metadata.encryption_key.unwrap();
    assert_ne!(other.x, key.x, "a key per request");
}
