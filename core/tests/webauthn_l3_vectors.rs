//! The test vectors of W3C WebAuthn Level 3 (§16), from `../shared/vectors/webauthn-l3`.
//!
//! Every section is listed here with what must come of it, so that none can be passed over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::path::PathBuf;

use carekey_core::attestation::packed::{self, PackedAttestation};
use carekey_core::attestation::{
    AttestationKind, AttestationTrust, Grading, GradingPolicy, UnjudgedAttestation, WalletApps, grade,
};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::webauthn::assertion::{self, Assertion, AssertionExpectation};
use carekey_core::webauthn::authenticator_data::AuthenticatorData;
use carekey_core::webauthn::client_data::{Ceremony, ClientData};
use carekey_core::webauthn::registration::{
    self, AttestationResponse, RegistrationExpectation, RegistrationResponse, VerifiedRegistration,
};
use carekey_core::webauthn::{Bytes, CredentialType, StrippedExtensionResults, UserVerification};
use carekey_core::x509::TrustAnchor;
use serde_json::Value;

const NOW: UnixTime = UnixTime::from_secs(1_796_000_000);
const LIMITS: &Limits = &Limits::DEFAULT;
const ALGORITHMS: &[SignatureAlgorithm] = &[
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::Es384,
    SignatureAlgorithm::Es512,
    SignatureAlgorithm::EdDsa,
    SignatureAlgorithm::Rs256,
];

/// What must come of a section's two ceremonies.
enum Expected {
    /// No ceremony: data that other sections use.
    Data,
    /// Both are accepted.
    Accepted(SignatureAlgorithm),
    /// Both are refused with that code, and by nothing else: signature and flags are right.
    Refused(&'static str),
    /// The algorithm is not carried.
    Unsupported(&'static str),
}

fn expectation(anchor: &str) -> Expected {
    use SignatureAlgorithm::*;
    match anchor.trim_start_matches("sctn-test-vectors-") {
        "attestation-root-cert" => Expected::Data,
        // CTAP2 level of PRF: inside the authenticator, nothing that a relying party sees.
        "test-vectors-extensions-prf-ctap" => Expected::Data,
        "none-es256" | "packed-self-es256" | "none-es256-long-credential-id" | "packed-es256" => {
            Expected::Accepted(Es256)
        }
        // Attestation formats that are not carried: the ceremonies verify, grading says so (attestation tests).
        "tpm-es256" | "android-key-es256" | "apple-es256" | "fido-u2f-es256" => Expected::Accepted(Es256),
        "packed-es384" => Expected::Accepted(Es384),
        "packed-es512" => Expected::Accepted(Es512),
        "packed-eddsa" => Expected::Accepted(EdDsa),
        "packed-rs256" => Expected::Accepted(Rs256),
        // The wallet is never framed by another origin.
        "none-es256-crossOrigin" | "none-es256-topOrigin" => Expected::Refused("cross_origin"),
        // Ed448 (COSE -53) is in no library that this project uses.
        "packed-ed448" => Expected::Unsupported("cose_algorithm"),
        other => panic!("section {other} is new: say what must come of it"),
    }
}

#[allow(clippy::disallowed_methods)] // the folder of the vectors
fn vectors() -> Option<Vec<Value>> {
    let root = match std::env::var("CAREKEY_VECTORS") {
        Ok(path) => PathBuf::from(path),
        Err(_) => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
    };
    let path = root.join("webauthn-l3/vectors.json");
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            println!("skipped: {} absent", path.display());
            None
        }
    }
}

fn hex(block: &Value, name: &str) -> Vec<u8> {
    let text = block["values"][name].as_str().unwrap_or_else(|| panic!("{name} is missing"));
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn register(block: &Value) -> carekey_core::Result<VerifiedRegistration> {
    let id = Bytes(hex(block, "credential_id"));
    let response = RegistrationResponse {
        app_attest: None,
        id: id.clone(),
        raw_id: id,
        response: AttestationResponse {
            client_data_json: Bytes(hex(block, "clientDataJSON")),
            attestation_object: Bytes(hex(block, "attestationObject")),
            transports: Vec::new(),
        },
        authenticator_attachment: None,
        client_extension_results: StrippedExtensionResults {},
        kind: CredentialType::PublicKey,
    };
    let expected = RegistrationExpectation {
        challenge: &hex(block, "challenge"),
        origins: &["https://example.org".to_owned()],
        rp_id: "example.org",
        user_verification: UserVerification::Preferred,
        algorithms: ALGORITHMS,
    };
    registration::verify(&response, &expected, LIMITS)
}

fn authenticate(block: &Value, registered: &VerifiedRegistration) -> carekey_core::Result<()> {
    let parts = ["clientDataJSON", "authenticatorData", "signature"].map(|name| hex(block, name));
    let challenge = hex(block, "challenge");
    let expected = AssertionExpectation {
        challenge: &challenge,
        origins: &["https://example.org".to_owned()],
        rp_id: "example.org",
        public_key: &registered.public_key,
        backup_eligible: registered.backup_eligible,
        user_verification: UserVerification::Preferred,
    };
    let verify = |[client_data_json, authenticator_data, signature]: &[Vec<u8>; 3]| {
        assertion::verify(Assertion { client_data_json, authenticator_data, signature }, &expected, LIMITS)
    };
    verify(&parts)?;
    // Every byte counts: one flipped bit anywhere is refused.
    for part in 0..parts.len() {
        for at in 0..parts[part].len() {
            let mut flipped = parts.clone();
            flipped[part][at] ^= 1;
            assert!(verify(&flipped).is_err(), "part {part} byte {at}");
        }
    }
    Ok(())
}

/// The refused sections are refused for their client data alone: signature and authenticator data hold.
fn refused_for_that_alone(registration: &Value, authentication: &Value, code: &str) {
    let data = hex(authentication, "authenticatorData");
    let parsed = AuthenticatorData::parse(&data, LIMITS).unwrap();
    parsed.check(&sha256(b"example.org"), UserVerification::Preferred).unwrap();
    let client_data = hex(authentication, "clientDataJSON");
    let message = [&data[..], &sha256(&client_data)].concat();
    let key: [u8; 32] = hex(registration, "credential_private_key").try_into().unwrap();
    let key = SoftwareKey::from_p256_scalar(&key).unwrap();
    key.public_key().verify_der(&message, &hex(authentication, "signature")).unwrap();
    let parsed = ClientData::parse(&client_data, LIMITS).unwrap();
    let challenge = base64url::encode(&hex(authentication, "challenge"));
    let error = parsed.check(Ceremony::Assertion, &challenge, &["https://example.org"]).unwrap_err();
    assert_eq!(error.code(), code);
}

/// The attestation of an accepted section: `packed` up to the vectors' root, the others as their format allows.
fn judge_attestation(anchor: &str, registered: &VerifiedRegistration, root: &TrustAnchor) {
    let (trust, apps) = (AttestationTrust::default(), WalletApps::default());
    let graded = |unjudged| {
        let policy = GradingPolicy { unjudged, ..GradingPolicy::default() };
        let (app_attest, now, limits) = (None, NOW, LIMITS);
        let grading = Grading { trust: &trust, apps: &apps, app_attest, policy: &policy, now, limits };
        grade(registered, &grading)
    };
    let kind = graded(UnjudgedAttestation::AsNone).unwrap().attestation;
    match registered.attestation.format.as_str() {
        "none" => assert_eq!(kind, AttestationKind::None, "{anchor}"),
        "packed" => match packed::verify(registered, LIMITS).unwrap() {
            PackedAttestation::SelfSigned => {
                assert_eq!(
                    (anchor, kind),
                    ("sctn-test-vectors-packed-self-es256", AttestationKind::SelfSigned)
                );
            }
            PackedAttestation::Certified(chain) => {
                assert_eq!(kind, AttestationKind::UnknownModel, "{anchor}");
                chain.verify(std::slice::from_ref(root), NOW).unwrap();
            }
        },
        "tpm" | "android-key" | "apple" | "fido-u2f" => {
            assert_eq!(kind, AttestationKind::Unjudged, "{anchor}");
            let error = graded(UnjudgedAttestation::Refuse).unwrap_err();
            assert!(matches!(error, carekey_core::Error::Unsupported { .. }), "{anchor}");
            assert_eq!(error.code(), "attestation_format", "{anchor}");
        }
        other => panic!("{anchor}: format {other}"),
    }
}

#[test]
fn every_section() {
    let Some(sections) = vectors() else { return };
    let root = TrustAnchor::from_der(&hex(&sections[0]["blocks"][0], "attestation_ca_cert")).unwrap();
    let (mut accepted, mut refused, mut unsupported) = (0, 0, 0);
    for section in &sections {
        let anchor = section["anchor"].as_str().unwrap();
        let blocks = section["blocks"].as_array().unwrap();
        let expected = expectation(anchor);
        if matches!(expected, Expected::Data) {
            assert_eq!(blocks.len(), 1, "{anchor}");
            continue;
        }
        let [registration, authentication] = &blocks[..] else { panic!("{anchor}: not two ceremonies") };
        match (expected, register(registration)) {
            (Expected::Accepted(algorithm), Ok(registered)) => {
                assert_eq!(registered.public_key.algorithm(), algorithm, "{anchor}");
                assert_eq!(registered.aaguid.to_vec(), hex(registration, "aaguid"), "{anchor}");
                authenticate(authentication, &registered).unwrap_or_else(|e| panic!("{anchor}: {e}"));
                judge_attestation(anchor, &registered, &root);
                accepted += 1;
            }
            (Expected::Refused(code), Err(error)) => {
                assert_eq!(error.code(), code, "{anchor}");
                refused_for_that_alone(registration, authentication, code);
                refused += 1;
            }
            (Expected::Unsupported(code), Err(error)) => {
                assert!(matches!(error, carekey_core::Error::Unsupported { .. }), "{anchor}");
                assert_eq!(error.code(), code, "{anchor}");
                unsupported += 1;
            }
            (_, result) => panic!("{anchor}: {result:?}"),
        }
    }
    assert_eq!((sections.len(), accepted, refused, unsupported), (17, 12, 2, 1));
}
