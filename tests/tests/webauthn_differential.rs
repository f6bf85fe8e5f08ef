//! Our WebAuthn verifier against webauthn-rs-core 0.6.2: what ours accepts, theirs must accept too (`none` and `packed`
//! with ES256). Where theirs accepts more than ours, the case says so, and why ours is right to refuse.
#![cfg(feature = "oracles")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carekey_core::attestation::packed::{self, PackedAttestation};
use carekey_core::attestation::{
    AttestationTrust, Grading, GradingPolicy, UnjudgedAttestation, WalletApps, grade,
};
use carekey_core::authenticator::{AttestationSource, Behaviour, SoftwareAuthenticator};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::base64url;
use carekey_core::key::{SignatureAlgorithm, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::webauthn::assertion::{self, AssertionExpectation, AuthenticationResponse};
use carekey_core::webauthn::options::{CreationOptions, RelyingParty, RequestOptions, User};
use carekey_core::webauthn::registration::{
    self, RegistrationExpectation, RegistrationResponse, VerifiedRegistration,
};
use carekey_core::webauthn::{Bytes, UserVerification};
use carekey_core::x509::TrustAnchor;
use serde_json::json;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::proto::{AuthenticationState, Credential, RegistrationState};
use webauthn_rs_core::proto::{PublicKeyCredential, RegisterPublicKeyCredential};

const RP_ID: &str = "present.wallet.example";
const ORIGIN: &str = "https://present.wallet.example";
const CHALLENGE: [u8; 32] = [0x5a; 32];
const NOW: UnixTime = UnixTime::from_secs(1_796_000_000);
const AAGUID: [u8; 16] = [0xca; 16];

// Both verifiers, asked the same. ---------------------------------------------------------------------------------

fn ours_registers(response: &RegistrationResponse) -> carekey_core::Result<VerifiedRegistration> {
    let expected = RegistrationExpectation {
        challenge: &CHALLENGE,
        origins: &[ORIGIN.to_owned()],
        rp_id: RP_ID,
        user_verification: UserVerification::Required,
        algorithms: &[SignatureAlgorithm::Es256],
    };
    let registered = registration::verify(response, &expected, &Limits::DEFAULT)?;
    // Compared are the formats that both carry, and certificates that somebody vouches for: of others ours reads no more
    // than the key.
    let policy = GradingPolicy { unjudged: UnjudgedAttestation::Refuse, ..GradingPolicy::default() };
    let grading = Grading {
        trust: &AttestationTrust::default(),
        apps: &WalletApps::default(),
        app_attest: None,
        policy: &policy,
        now: NOW,
        limits: &Limits::DEFAULT,
    };
    grade(&registered, &grading)?;
    if registered.attestation.format == "packed"
        && let PackedAttestation::Certified(chain) = packed::verify(&registered, &Limits::DEFAULT)?
    {
        chain.verify(std::slice::from_ref(&vendor().1), NOW)?;
    }
    Ok(registered)
}

fn ours_authenticates(
    response: &AuthenticationResponse,
    registered: &VerifiedRegistration,
) -> carekey_core::Result<()> {
    let expected = AssertionExpectation {
        challenge: &CHALLENGE,
        origins: &[ORIGIN.to_owned()],
        rp_id: RP_ID,
        public_key: &registered.public_key,
        backup_eligible: registered.backup_eligible,
        user_verification: UserVerification::Required,
    };
    assertion::verify(response.assertion()?, &expected, &Limits::DEFAULT).map(drop)
}

fn theirs() -> WebauthnCore {
    let origin = ORIGIN.parse().unwrap();
    WebauthnCore::new_unsafe_experts_only("Wallet", RP_ID, vec![origin], Duration::from_secs(60), None, None)
}

fn theirs_registers(response: &RegistrationResponse) -> Result<Credential, String> {
    let json = serde_json::to_value(response).unwrap();
    let response: RegisterPublicKeyCredential = serde_json::from_value(json).map_err(|e| e.to_string())?;
    // Their state types have no public constructor with an own challenge: serde, with the field names of 0.6.2.
    let state: RegistrationState = serde_json::from_value(json!({
        "policy": "required", "exclude_credentials": [], "challenge": base64url::encode(&CHALLENGE),
        "credential_algorithms": ["ES256"], "require_resident_key": false, "authenticator_attachment": null,
        "extensions": {}, "allow_synchronised_authenticators": true
    }))
    .unwrap();
    theirs().register_credential(&response, &state, None).map_err(|e| format!("{e:?}"))
}

fn theirs_authenticates(response: &AuthenticationResponse, credential: &Credential) -> Result<(), String> {
    let json = serde_json::to_value(response).unwrap();
    let response: PublicKeyCredential = serde_json::from_value(json).map_err(|e| e.to_string())?;
    let state: AuthenticationState = serde_json::from_value(json!({
        "credentials": [], "policy": "required", "challenge": base64url::encode(&CHALLENGE), "appid": null,
        "allow_backup_eligible_upgrade": false
    }))
    .unwrap();
    theirs()
        .authenticate_single_credential(&response, &state, credential)
        .map(drop)
        .map_err(|e| format!("{e:?}"))
}

// Material. -------------------------------------------------------------------------------------------------------

type Ca = rcgen::Issuer<'static, rcgen::KeyPair>;

/// The root of a made-up vendor.
fn vendor() -> &'static (Ca, TrustAnchor) {
    static VENDOR: OnceLock<(Ca, TrustAnchor)> = OnceLock::new();
    VENDOR.get_or_init(|| {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        (rcgen::Issuer::new(params, key), TrustAnchor::from_der(&der).unwrap())
    })
}

fn batch_certificate() -> AttestationSource {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (rcgen::DnType::CountryName, "AA"),
        (rcgen::DnType::OrganizationName, "Example Keys"),
        (rcgen::DnType::OrganizationalUnitName, "Authenticator Attestation"),
        (rcgen::DnType::CommonName, "Example key"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let content = [&[0x04, 0x10][..], &AAGUID].concat();
    params.custom_extensions =
        vec![rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], content)];
    let key = rcgen::KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &vendor().0).unwrap().der().to_vec();
    let key = SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap();
    AttestationSource::Packed { key: Arc::new(key), chain: vec![der] }
}

fn authenticator(source: AttestationSource) -> SoftwareAuthenticator {
    SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom)).with_attestation(AAGUID, source)
}

fn create(authenticator: &SoftwareAuthenticator) -> RegistrationResponse {
    let rp = RelyingParty { id: RP_ID.to_owned(), name: "Wallet".to_owned() };
    let user =
        User { id: Bytes(vec![1; 16]), name: "patient".to_owned(), display_name: "Patient".to_owned() };
    authenticator.create(&CreationOptions::enrolment(rp, user, CHALLENGE)).unwrap()
}

fn get(authenticator: &SoftwareAuthenticator, credential_id: &[u8]) -> AuthenticationResponse {
    authenticator.get(&RequestOptions::step_up(RP_ID, credential_id, CHALLENGE)).unwrap()
}

/// Behaviours that both must refuse in both ceremonies.
fn refused_by_both() -> Vec<(&'static str, Behaviour)> {
    let with = Behaviour::default;
    let text = |t: &str| Some(t.to_owned());
    vec![
        ("UV cleared", Behaviour { user_verified: false, ..with() }),
        ("UP cleared", Behaviour { user_present: false, ..with() }),
        ("BS without BE", Behaviour { backup_state: true, ..with() }),
        ("other RP ID", Behaviour { rp_id: text("wallet.example"), ..with() }),
        ("other origin", Behaviour { origin: text("https://evil.example"), ..with() }),
        ("origin below", Behaviour { origin: text("https://x.present.wallet.example"), ..with() }),
        ("other scheme", Behaviour { origin: text("http://present.wallet.example"), ..with() }),
        ("other port", Behaviour { origin: text("https://present.wallet.example:444"), ..with() }),
        ("wrong type", Behaviour { kind: text("payment.get"), ..with() }),
        ("other challenge", Behaviour { challenge: Some(vec![0x5b; 32]), ..with() }),
        ("short challenge", Behaviour { challenge: Some(vec![0x5a; 31]), ..with() }),
    ]
}

fn both_refuse<A: std::fmt::Debug, B: std::fmt::Debug>(
    case: &str,
    ours: carekey_core::Result<A>,
    theirs: Result<B, String>,
) {
    assert!(ours.is_err(), "{case}: ours accepts");
    assert!(theirs.is_err(), "{case}: theirs accepts");
}

// Registrations. --------------------------------------------------------------------------------------------------

#[test]
fn registrations() {
    let mut compared = 0;
    for source in [AttestationSource::None, AttestationSource::SelfSigned, batch_certificate()] {
        let name = format!("{source:?}");
        let authenticator = authenticator(source);
        for behaviour in [
            Behaviour::default(),
            Behaviour { backup_eligible: true, ..Behaviour::default() },
            Behaviour { backup_eligible: true, backup_state: true, ..Behaviour::default() },
        ] {
            authenticator.behave(behaviour);
            let response = create(&authenticator);
            let ours = ours_registers(&response).unwrap();
            let theirs = theirs_registers(&response).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(theirs.cred_id.as_ref() as &[u8], ours.credential_id);
            assert_eq!(theirs.backup_eligible, ours.backup_eligible);
            compared += 1;
        }
        for (case, behaviour) in refused_by_both() {
            authenticator.behave(behaviour);
            let response = create(&authenticator);
            both_refuse(&format!("{name}, {case}"), ours_registers(&response), theirs_registers(&response));
            compared += 1;
        }
        authenticator.behave(Behaviour { kind: Some("webauthn.get".to_owned()), ..Behaviour::default() });
        let response = create(&authenticator);
        both_refuse("type of the other ceremony", ours_registers(&response), theirs_registers(&response));
        authenticator.behave(Behaviour { cross_origin: true, ..Behaviour::default() });
        let response = create(&authenticator);
        both_refuse("cross-origin", ours_registers(&response), theirs_registers(&response));
        compared += 2;
    }
    assert_eq!(compared, 3 * (3 + 11 + 2));
}

/// Every byte of the attestation object and of the client data, changed in two ways.
#[test]
fn mutated_registrations() {
    let (mut tried, mut ours_took) = (0, 0);
    for source in [AttestationSource::None, AttestationSource::SelfSigned, batch_certificate()] {
        let name = format!("{source:?}");
        let good = create(&authenticator(source));
        let mut compare = |response: &RegistrationResponse, at: &str| {
            tried += 1;
            if ours_registers(response).is_ok() {
                ours_took += 1;
                let theirs = theirs_registers(response);
                assert!(theirs.is_ok(), "{name}: ours alone accepts {at}: {theirs:?}");
            }
        };
        for mask in [0x01, 0x80] {
            for at in 0..good.response.attestation_object.0.len() {
                let mut response = good.clone();
                response.response.attestation_object.0[at] ^= mask;
                compare(&response, &format!("object {at} {mask:#x}"));
            }
            for at in 0..good.response.client_data_json.0.len() {
                let mut response = good.clone();
                response.response.client_data_json.0[at] ^= mask;
                compare(&response, &format!("client data {at} {mask:#x}"));
            }
        }
        for cut in 0..good.response.attestation_object.0.len() {
            let mut response = good.clone();
            response.response.attestation_object.0.truncate(cut);
            compare(&response, &format!("cut at {cut}"));
        }
    }
    assert!(tried > 3000, "{tried}");
    // `none` signs nothing: other AAGUIDs are other registrations, and both take them.
    assert!(ours_took > 0);
}

// Assertions. -----------------------------------------------------------------------------------------------------

struct Enrolled {
    authenticator: SoftwareAuthenticator,
    ours: VerifiedRegistration,
    theirs: Credential,
}

fn enrolled(backup_eligible: bool) -> Enrolled {
    let authenticator = authenticator(AttestationSource::None);
    authenticator.behave(Behaviour { backup_eligible, ..Behaviour::default() });
    let response = create(&authenticator);
    let ours = ours_registers(&response).unwrap();
    let theirs = theirs_registers(&response).unwrap();
    Enrolled { authenticator, ours, theirs }
}

impl Enrolled {
    fn answer(&self, behaviour: Behaviour) -> AuthenticationResponse {
        self.authenticator.behave(behaviour);
        get(&self.authenticator, &self.ours.credential_id)
    }

    fn both(&self, response: &AuthenticationResponse) -> (carekey_core::Result<()>, Result<(), String>) {
        (ours_authenticates(response, &self.ours), theirs_authenticates(response, &self.theirs))
    }
}

#[test]
fn assertions() {
    let bound = enrolled(false);
    for behaviour in [Behaviour::default(), Behaviour { sign_count: 7, ..Behaviour::default() }] {
        let (ours, theirs) = bound.both(&bound.answer(behaviour));
        ours.unwrap();
        theirs.unwrap();
    }
    for (case, behaviour) in refused_by_both() {
        let (ours, theirs) = bound.both(&bound.answer(behaviour));
        both_refuse(case, ours, theirs);
    }
    let kind = Some("webauthn.create".to_owned());
    let (ours, theirs) = bound.both(&bound.answer(Behaviour { kind, ..Behaviour::default() }));
    both_refuse("type of the other ceremony", ours, theirs);
    let (ours, theirs) =
        bound.both(&bound.answer(Behaviour { backup_eligible: true, ..Behaviour::default() }));
    both_refuse("BE set", ours, theirs);
    let synced = enrolled(true);
    let (ours, theirs) = synced.both(&synced.answer(Behaviour::default()));
    both_refuse("BE cleared", ours, theirs);
    for backup_state in [false, true] {
        let behaviour = Behaviour { backup_eligible: true, backup_state, ..Behaviour::default() };
        let (ours, theirs) = synced.both(&synced.answer(behaviour));
        ours.unwrap();
        theirs.unwrap();
    }
    // Another key under the same credential id.
    let other = enrolled(false);
    other.authenticator.insert_key(
        &bound.ours.credential_id,
        RP_ID,
        SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap(),
    );
    let response = get(&other.authenticator, &bound.ours.credential_id);
    let (ours, theirs) = bound.both(&response);
    both_refuse("other key", ours, theirs);
}

/// What theirs lets pass in an assertion and ours refuses.
#[test]
fn ours_is_stricter() {
    let bound = enrolled(false);
    let stricter = |response: &AuthenticationResponse, code: &str| {
        let (ours, theirs) = bound.both(response);
        assert_eq!(ours.unwrap_err().code(), code);
        theirs.unwrap_or_else(|e| panic!("{code}: theirs refuses now too ({e}): move the case"));
    };
    // They do not look at crossOrigin and topOrigin of an assertion.
    stricter(&bound.answer(Behaviour { cross_origin: true, ..Behaviour::default() }), "cross_origin");
    let top_origin = Some("https://top.example".to_owned());
    stricter(&bound.answer(Behaviour { top_origin, ..Behaviour::default() }), "top_origin");
    // They compare origins as URLs, we as strings.
    let origin = Some("https://present.wallet.example/".to_owned());
    stricter(&bound.answer(Behaviour { origin, ..Behaviour::default() }), "origin_not_allowed");
}

/// What is done to the bytes of one part.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Every byte of the three signed parts, changed and cut.
#[test]
fn mutated_assertions() {
    let bound = enrolled(false);
    let good = bound.answer(Behaviour::default());
    let mut tried = 0;
    let part = |response: &mut AuthenticationResponse, n: usize, change: Change<'_>| match n {
        0 => change(&mut response.response.client_data_json.0),
        1 => change(&mut response.response.authenticator_data.0),
        _ => change(&mut response.response.signature.0),
    };
    let lengths = [
        good.response.client_data_json.0.len(),
        good.response.authenticator_data.0.len(),
        good.response.signature.0.len(),
    ];
    for (n, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            let changes: [Change<'_>; 4] = [
                &|bytes| bytes[at] ^= 0x01,
                &|bytes| bytes[at] ^= 0x80,
                &|bytes| bytes.truncate(at),
                &|bytes| bytes.insert(at, 0),
            ];
            for change in changes {
                let mut response = good.clone();
                part(&mut response, n, change);
                tried += 1;
                assert!(ours_authenticates(&response, &bound.ours).is_err(), "part {n} byte {at}");
            }
        }
    }
    assert!(tried > 800, "{tried}");
}
