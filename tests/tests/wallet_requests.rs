//! What the person is told about a request, and the ways in which one comes, over HTTP with the portal: registrations,
//! the Digital Credentials API, transactions, alternatives, and what needs no network.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use carekey_core::Error;
use carekey_core::clock::{Clock, SystemClock};
use carekey_core::encoding::base64;
use carekey_core::holder::http::{HttpClient, HttpRequest, HttpResponse};
use carekey_core::holder::presentation::{PresentationRules, Selection};
use carekey_core::holder::wallet::{PresentationSession, RequestWarning, Wallet, WalletError};
use carekey_core::jose::jwt;
use carekey_core::key::SoftwareKey;
use carekey_core::protocol::openid4vp::signed_request::VerifierAuthentication;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::trust::VerifierTrust;
use carekey_core::x509::TrustAnchor;
use carekey_tests::handset::{Phone, collect, prompt};
use carekey_tests::world::{Records, World, body, text};
use serde_json::{Value, json};

/// A registrar: key and certificate.
struct Registrar {
    key: SoftwareKey,
    der: Vec<u8>,
}

impl Registrar {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Registrar of portals");
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { key: SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap(), der }
    }

    fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_der(&self.der).unwrap()
    }

    /// Writes down what `subject` may ask for.
    fn register(&self, subject: &str, vct: &str, claims: &[&str]) -> String {
        let claims: Vec<Value> = claims.iter().map(|name| json!({ "path": [name] })).collect();
        let registration = json!({
            "sub": subject, "name": "Portal of the hospital", "exp": SystemClock.now().as_secs() + 3600,
            "purpose": [{"lang": "cs", "value": "Otevřít záznam"}, {"lang": "en", "value": "Opening records"}],
            "privacy_policy": "https://portal.example/privacy",
            "credentials": [{ "format": "dc+sd-jwt", "meta": { "vct_values": [vct] }, "claim": claims }],
        });
        let header = json!({ "x5c": [base64::encode(&self.der)] }).as_object().unwrap().clone();
        jwt::sign("rc-wrp+jwt", header, registration.as_object().unwrap(), &self.key).unwrap()
    }
}

const PORTAL: &str = "x509_san_dns:localhost";
const VCT: &str = "urn:test:identity";
const ASKED: [&str; 3] = ["given_name", "family_name", "birthdate"];

/// What a wallet that knows `registrar` says about a portal that shows `registration`.
async fn told(
    registrar: &Registrar,
    registration: Option<String>,
) -> (World, Arc<Wallet>, PresentationSession) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_with(Records::Memory, |_, verifier| {
        if let Some(registration) = registration {
            let file = folder.path().join("registration.jwt");
            std::fs::write(&file, registration).unwrap();
            verifier.registration_certificate = Some(file);
        }
    })
    .await;
    let known = world.trust().1.with_registrars(vec![registrar.anchor()]);
    let phone = Phone { verifiers: Some(known), ..Phone::new() };
    let (wallet, _) = phone.set_up(&world).await;
    let claims: Vec<Value> = ASKED.iter().map(|name| json!({ "path": [name] })).collect();
    let request = json!({ "client_id_prefix": "x509_san_dns", "purpose": "Open your record",
        "dcql_query": { "credentials": [{ "id": "who", "format": "dc+sd-jwt", "meta": { "vct_values": [VCT] },
            "claims": claims }] } });
    let request = world.ask(request).await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    (world, wallet, session)
}

#[tokio::test]
async fn a_registered_verifier_is_shown_with_its_registration() {
    let registrar = Registrar::new();
    let (_world, _wallet, session) = told(&registrar, Some(registrar.register(PORTAL, VCT, &ASKED))).await;
    let details = session.details();
    let shown = details.registration.as_ref().unwrap();
    assert_eq!(
        (shown.name.as_str(), shown.purpose.as_deref()),
        ("Portal of the hospital", Some("Opening records"))
    );
    assert_eq!(shown.registrar, "CN=Registrar of portals");
    assert_eq!(shown.privacy_policy.as_deref(), Some("https://portal.example/privacy"));
    assert!(
        details.trusted && details.warnings.is_empty() && details.beyond_registration.is_empty(),
        "{details:?}"
    );
}

#[tokio::test]
async fn over_asking_is_named_claim_by_claim() {
    let registrar = Registrar::new();
    let (_world, _wallet, session) =
        told(&registrar, Some(registrar.register(PORTAL, VCT, &["family_name"]))).await;
    let details = session.details();
    assert_eq!(details.warnings, [RequestWarning::AsksBeyondRegistration]);
    assert_eq!(details.beyond_registration, ["Given name", "Birthdate"]);
    assert!(details.registration.is_some() && details.trusted, "it is for the person to judge");
}

#[tokio::test]
async fn registrations_that_do_not_count_are_warned_of() {
    let (registrar, unknown) = (Registrar::new(), Registrar::new());
    for (registration, warning) in [
        (None, RequestWarning::NotRegistered),
        (Some(unknown.register(PORTAL, VCT, &ASKED)), RequestWarning::RegistrationInvalid),
        (
            Some(registrar.register("x509_san_dns:shop.example", VCT, &ASKED)),
            RequestWarning::RegistrationInvalid,
        ),
    ] {
        let (_world, _wallet, session) = told(&registrar, registration).await;
        assert_eq!(session.details().warnings, [warning]);
        assert!(session.details().registration.is_none());
    }
}

/// In the claims that would leave, and without a registrar nothing is said.
#[tokio::test]
async fn a_claim_beyond_the_registration_is_marked_where_it_would_leave() {
    let registrar = Registrar::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registration.jwt");
    let world = World::start_with(Records::Memory, |_, verifier| {
        let vct = &verifier.types.patient_identity[0];
        std::fs::write(&file, registrar.register(PORTAL, vct, &["family_name"])).unwrap();
        verifier.registration_certificate = Some(file.clone());
    })
    .await;
    let request = json!({ "client_id_prefix": "x509_san_dns", "purpose": "Open your record",
        "dcql_query": { "credentials": [{ "id": "who", "format": "dc+sd-jwt",
            "meta": { "vct_values": [format!("{}vct/patient-identity", world.hospital)] },
            "claims": [{ "path": ["family_name"] }, { "path": ["birthdate"] }] }] } });
    for known in [true, false] {
        let trust = world.trust().1;
        let trust = if known { trust.with_registrars(vec![registrar.anchor()]) } else { trust };
        let phone = Phone { verifiers: Some(trust), ..Phone::new() };
        let (wallet, _) = phone.set_up(&world).await;
        collect(&world, &wallet).await;
        let request = world.ask(request.clone()).await;
        let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
        let claims = &session.choices()[0].candidates[0].claims;
        let marked: Vec<_> =
            claims.iter().filter(|one| one.beyond_registration).map(|one| &one.label).collect();
        if known {
            assert_eq!(marked, ["Date of birth"]);
            assert_eq!(session.details().beyond_registration, ["Date of birth"]);
        } else {
            assert!(marked.is_empty() && session.details().warnings.is_empty());
        }
        let selection = session.default_selection().unwrap();
        assert!(
            session.approve(&selection, &prompt()).await.unwrap().accepted,
            "the person may agree all the same"
        );
    }
}

#[tokio::test]
async fn a_verifier_that_is_on_no_list_is_refused_or_shown_as_unknown() {
    let world = World::start(Records::Memory).await;
    let ask = async |prefix: &str| {
        world
            .ask(json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
                "client_id_prefix": prefix }))
            .await
    };
    let nobody = VerifierTrust::new(Vec::new(), Vec::new());
    let phone = Phone { verifiers: Some(nobody.clone()), ..Phone::new() };
    let (wallet, _) = phone.set_up(&world).await;
    for (prefix, code) in [("x509_hash", "x509_untrusted"), ("decentralized_identifier", "verifier_unknown")]
    {
        let request = ask(prefix).await;
        let refused = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap_err();
        assert!(matches!(refused, WalletError::Untrusted { .. }), "{refused:?}");
        assert_eq!(refused.code(), code);
    }
    let phone = Phone { verifiers: Some(nobody.with_unknown_dids()), ..Phone::new() };
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let request = ask("decentralized_identifier").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let details = session.details();
    assert_eq!((details.trusted, details.authentication), (false, VerifierAuthentication::Did));
    assert!(details.warnings.contains(&RequestWarning::VerifierNotTrusted));
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
    assert!(!wallet.activity(1, 0).await.unwrap()[0].trusted, "the log remembers it");
}

#[tokio::test]
async fn a_page_asks_over_the_digital_credentials_api() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let origin = world.portal.origin().ascii_serialization();
    let ask = async |mode: &str| {
        world
            .ask(json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
                "response_mode": mode, "expected_origins": [origin] }))
            .await
    };
    for mode in ["dc_api.jwt", "dc_api"] {
        let request = ask(mode).await;
        // As browsers hand it over, beside a protocol that nobody knows here.
        let mut call = json!({ "digital": request["digital"] });
        let requests = call["digital"]["requests"].as_array_mut().unwrap();
        requests.insert(0, json!({ "protocol": "org-iso-mdoc", "data": { "x": 1 } }));
        let call = call.to_string();
        let elsewhere = wallet.begin_digital_presentation(&call, "https://evil.example").await.unwrap_err();
        assert_eq!(elsewhere.code(), "request_origin");
        let session = wallet.begin_digital_presentation(&call, &origin).await.unwrap();
        assert!(session.details().trusted && session.details().answerable);
        let prompts = phone.device.prompts();
        let selection = session.default_selection().unwrap();
        let outcome = session.approve(&selection, &prompt()).await.unwrap();
        assert_eq!((outcome.accepted, phone.device.prompts() - prompts), (true, 1));
        let answer: Value = serde_json::from_str(outcome.platform_response.as_deref().unwrap()).unwrap();
        assert_eq!((text(&answer, "protocol"), outcome.redirect_uri), ("openid4vp-v1-signed", None));
        let path = format!("/api/requests/{}/response", text(&request, "id"));
        let view = body(&world.manage(&world.portal, &path, &answer).await);
        assert_eq!(text(&view, "state"), "verified", "{view}");
        assert_eq!(session.approve(&selection, &prompt()).await.unwrap_err().code(), "session_over");
    }
    for (call, code) in [
        ("{", "json"),
        ("{}", "dc_api_request"),
        (r#"{"requests":[]}"#, "dc_api_request"),
        (r#"{"requests":[{"protocol":"org-iso-mdoc","data":{}}]}"#, "dc_api_protocol"),
        (r#"{"requests":[{"protocol":"openid4vp-v1-signed","data":{}}]}"#, "request_object"),
    ] {
        let refused = wallet.begin_digital_presentation(call, &origin).await.unwrap_err();
        assert!(refused.code().starts_with(code), "{call}: {refused:?}");
    }
    // A link gives nothing to the platform.
    let request = world.ask_identity("direct_post").await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().platform_response.is_none());
}

#[tokio::test]
async fn the_person_approves_what_the_app_can_show_and_nothing_else() {
    let types = json!([{ "type": "https://portal.example/consent", "title": "Consent",
        "fields": [{ "name": "text", "label": "What for", "kind": "text" }] }]);
    let types: Vec<_> = serde_json::from_value(types).unwrap();
    let world =
        World::start_with(Records::Memory, |_, verifier| verifier.transaction_types.clone_from(&types)).await;
    let rules = PresentationRules {
        transaction_types: TransactionTypes::new(types.clone()).unwrap(),
        ..PresentationRules::default()
    };
    let wanted = json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
        "transaction_data": [{ "type": "https://portal.example/consent", "credential_ids": ["patient"],
            "text": "Send my record\u{202e}" }] });
    let phone = Phone { rules, ..Phone::new() };
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let request = world.ask(wanted.clone()).await;
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    let [shown] = session.details().transactions.as_slice() else { panic!("one") };
    assert_eq!((shown.title.as_str(), shown.lines[0].label.as_str()), ("Consent", "What for"));
    assert!(shown.lines[0].value.starts_with("Send my record") && !shown.lines[0].value.contains('\u{202e}'));
    let selection = session.default_selection().unwrap();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);

    let plain = Phone::new();
    let (wallet, _) = plain.set_up(&world).await;
    collect(&world, &wallet).await;
    let request = world.ask(wanted).await;
    let refused = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap_err();
    assert_eq!(refused.code(), "transaction_data_type");
    let state = world.state(&request).await;
    assert_eq!(state["outcome"], json!({ "result": "declined", "error": "invalid_transaction_data" }));
}

/// Alternatives of credentials, and of claims within one.
#[tokio::test]
async fn the_person_chooses_among_alternatives() {
    let world = World::start(Records::Memory).await;
    let phone = Phone::new();
    let (wallet, _) = phone.set_up(&world).await;
    collect(&world, &wallet).await;
    let vct = |name: &str| format!("{}vct/{name}", world.hospital);
    let query = |id: &str, kind: &str, claims: Value| json!({ "id": id, "format": "dc+sd-jwt", "meta": { "vct_values": [vct(kind)] }, "claims": claims });
    let mut who = query(
        "who",
        "patient-identity",
        json!([{ "id": "m", "path": ["middle_name"] },
        { "id": "f", "path": ["family_name"] }, { "id": "b", "path": ["birthdate"] }]),
    );
    // The favourite cannot be answered: there is no middle name. Then both, or the name alone.
    who["claim_sets"] = json!([["m", "f"], ["f", "b"], ["f"]]);
    let dcql = json!({
        "credentials": [who, query("payer", "insurance-coverage", json!([{ "path": ["member_id"] }])),
            query("pass", "passport", json!([{ "path": ["number"] }]))],
        "credential_sets": [{ "options": [["pass"], ["who"]] }, { "options": [["payer"]], "required": false }],
    });
    let ask = async || world.ask(json!({ "dcql_query": dcql, "purpose": "Register you" })).await;
    let open = async |request: &Value| wallet.begin_presentation(text(request, "request_uri")).await.unwrap();

    // The usual answer: the first option that the wallet has, and nothing that is not demanded.
    let request = ask().await;
    let session = open(&request).await;
    assert!(session.details().answerable);
    let choices = session.choices();
    assert_eq!(choices.iter().map(|one| one.candidates.len()).collect::<Vec<_>>(), [1, 1, 0]);
    let labels: Vec<_> =
        choices[0].candidates[0].claims.iter().map(|one| (&*one.label, one.optional)).collect();
    assert_eq!(labels, [("Family name", false), ("Date of birth", true)]);
    let usual = session.default_selection().unwrap();
    assert_eq!(usual.choices.iter().map(|one| &*one.query_id).collect::<Vec<_>>(), ["who"]);
    assert!(session.approve(&usual, &prompt()).await.unwrap().accepted);
    let presented = |state: &Value| {
        let outcome = &state["outcome"];
        let all = outcome["presentations"].as_array().cloned();
        all.unwrap_or_else(|| vec![outcome["presentation"].clone()])
    };
    assert_eq!(presented(&world.state(&request).await).len(), 1);

    // The person keeps the date of birth, and adds the insurance: one prompt.
    let request = ask().await;
    let session = open(&request).await;
    let who = &session.choices()[0].candidates[0];
    let birth = who.claims.iter().find(|one| one.optional).unwrap().path.clone();
    let payer = &session.choices()[1].candidates[0];
    let selection = Selection {
        choices: vec![
            session.choice("who", &who.credential_id, &[birth]).unwrap(),
            session.choice("payer", &payer.credential_id, &[]).unwrap(),
        ],
    };
    let prompts = phone.device.prompts();
    assert!(session.approve(&selection, &prompt()).await.unwrap().accepted);
    assert_eq!(phone.device.prompts() - prompts, 1);
    let state = world.state(&request).await.to_string();
    assert!(state.contains("member_id") && state.contains("family_name"), "{state}");
    assert!(!state.contains("birthdate"), "{state}");
    let log = &wallet.activity(1, 0).await.unwrap()[0];
    assert!(!log.claims.contains(&"Date of birth".to_owned()), "{log:?}");

    // What answers nothing is no answer.
    let request = ask().await;
    let session = open(&request).await;
    let payer_only = Selection { choices: vec![session.choice("payer", &payer.credential_id, &[]).unwrap()] };
    assert_eq!(session.approve(&payer_only, &prompt()).await.unwrap_err().code(), "credentials_missing");
    let who = &session.choices()[0].candidates[0];
    let family = who.claims.iter().find(|one| !one.optional).unwrap().path.clone();
    let without = Selection { choices: vec![session.choice("who", &who.credential_id, &[family]).unwrap()] };
    assert_eq!(session.approve(&without, &prompt()).await.unwrap_err().code(), "claim_absent");
    assert_eq!(text(&world.state(&request).await, "state"), "opened");
}

/// The way to the network, which a test cuts.
struct Line {
    inner: Arc<dyn HttpClient>,
    cut: AtomicBool,
}

#[async_trait]
impl HttpClient for Line {
    async fn send(&self, request: HttpRequest) -> carekey_core::Result<HttpResponse> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(Error::unavailable("fetch_failed", "no network"));
        }
        self.inner.send(request).await
    }
}

/// A request in the link itself, and an answer in the address to which the browser goes: no byte over the network.
#[tokio::test]
async fn what_needs_no_network_works_without() {
    let world = World::start(Records::Memory).await;
    let phone = Phone { verifiers: Some(world.trust().1.with_unsigned()), ..Phone::new() };
    let line = Arc::new(Line { inner: world.http.clone(), cut: AtomicBool::new(false) });
    let (wallet, _) = phone.set_up_over(&world, line.clone()).await;
    collect(&world, &wallet).await;
    let request = world
        .ask(json!({ "template": "patient_identity", "purpose": "Open your record", "min_level": "uv",
            "client_id_prefix": "redirect_uri", "response_mode": "fragment", "session": "desk",
            "redirect_uri": "https://portal.example/back/{id}" }))
        .await;

    line.cut.store(true, Ordering::SeqCst);
    wallet.lock();
    wallet.unlock(None, &prompt()).await.unwrap();
    let all = wallet.credentials().await.unwrap();
    assert_eq!(wallet.credential(&all[0].id).await.unwrap().summary.id, all[0].id);
    assert!(!wallet.export_activity().await.unwrap().is_empty());
    let session = wallet.begin_presentation(text(&request, "request_uri")).await.unwrap();
    assert!(session.details().answerable);
    let warnings = &session.details().warnings;
    assert!(warnings.contains(&RequestWarning::VerifierNotAuthenticated), "{warnings:?}");
    let selection = session.default_selection().unwrap();
    let outcome = session.approve(&selection, &prompt()).await.unwrap();
    let url = outcome.redirect_uri.unwrap();
    // What needs it says so, and nothing is lost.
    let other = world.ask_identity("direct_post.jwt").await;
    let error = wallet.begin_presentation(text(&other, "request_uri")).await.unwrap_err();
    assert!(matches!(error, WalletError::Network { .. }), "{error:?}");

    line.cut.store(false, Ordering::SeqCst);
    let path = format!("/api/requests/{}/response", text(&request, "id"));
    let answer = json!({ "fragment": url.fragment().unwrap(), "session": "desk" });
    let view = body(&world.manage(&world.portal, &path, &answer).await);
    assert_eq!(text(&view, "state"), "verified", "{view}");
}
