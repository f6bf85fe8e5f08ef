//! Android Key Attestation and App Attest with phones of our own: one vector for every refusal, which fails for that
//! reason alone, beside one that passes.
#![allow(clippy::unwrap_used)]

use carekey_core::attestation::android_key::AndroidPolicy;
use carekey_core::attestation::app_attest::{AppAttestKey, ApplePolicy};
use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::attestation::{
    AppAttestInput, AttestationKind, AttestationTrust, Grade, Grading, GradingPolicy, UnjudgedAttestation,
    WalletApps, grade,
};
use carekey_core::authenticator::ceremony::{AAGUID, Evidence, NewRegistration};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::base64url;
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::webauthn::options::{CreationOptions, RelyingParty, User};
use carekey_core::webauthn::registration::{
    AppAttestEvidence, RegistrationExpectation, RegistrationResponse, VerifiedRegistration, verify,
};
use carekey_core::webauthn::{Bytes, UserVerification};
use carekey_core::{Error, Result};
use carekey_tests::phone::{
    APP_ID, AndroidMaker, AppKey, AppleFacts, AppleMaker, Authority, BATCH_SERIAL, KeyFacts, SIGNING_DIGEST,
};

const NOW: UnixTime = UnixTime::from_secs(1_796_000_000); // 2026-11-29
const UNTIL: UnixTime = UnixTime::from_secs(1_796_100_000);
const CHALLENGE: [u8; 32] = [9; 32];
const ORIGIN: &str = "https://present.wallet.example";
const RP_ID: &str = "present.wallet.example";

fn options() -> CreationOptions {
    let rp = RelyingParty { id: RP_ID.to_owned(), name: "Wallet".to_owned() };
    let user = User { id: Bytes(vec![1; 8]), name: "patient".to_owned(), display_name: "Patient".to_owned() };
    CreationOptions::enrolment(rp, user, CHALLENGE)
}

fn registered(response: &RegistrationResponse) -> VerifiedRegistration {
    let origin = response.response.client_data_json.0.clone();
    let origin: serde_json::Value = serde_json::from_slice(&origin).unwrap();
    let expected = RegistrationExpectation {
        challenge: &CHALLENGE,
        origins: &[origin["origin"].as_str().unwrap().to_owned()],
        rp_id: RP_ID,
        user_verification: UserVerification::Required,
        algorithms: &[SignatureAlgorithm::Es256],
    };
    verify(response, &expected, &Limits::DEFAULT).unwrap()
}

fn apps() -> WalletApps {
    WalletApps { android: vec![AndroidMaker::registered_app()], apple: vec![APP_ID.to_owned()] }
}

/// An issuer that trusts one maker of Android phones.
struct Issuer {
    trust: AttestationTrust,
    apps: WalletApps,
    policy: GradingPolicy,
    now: UnixTime,
}

impl Issuer {
    fn trusting(maker: &AndroidMaker) -> Self {
        let android = Some(maker.trust(&[], UNTIL));
        let trust = AttestationTrust { android, ..AttestationTrust::default() };
        Self { trust, apps: apps(), policy: GradingPolicy::default(), now: NOW }
    }

    fn grade(&self, registration: &VerifiedRegistration) -> Result<Grade> {
        self.grade_with(registration, None)
    }

    fn grade_with(
        &self,
        registration: &VerifiedRegistration,
        app: Option<AppAttestInput<'_>>,
    ) -> Result<Grade> {
        let grading = Grading {
            trust: &self.trust,
            apps: &self.apps,
            app_attest: app,
            policy: &self.policy,
            now: self.now,
            limits: &Limits::DEFAULT,
        };
        grade(registration, &grading)
    }

    fn code(&self, registration: &VerifiedRegistration) -> &'static str {
        self.grade(registration).map_or_else(|error| error.code(), |_| "accepted")
    }
}

#[test]
fn a_key_as_it_should_be_is_biometric_attested() {
    let maker = AndroidMaker::default();
    let issuer = Issuer::trusting(&maker);
    for (level, protection) in [(1, KeyProtection::Tee), (2, KeyProtection::Strongbox)] {
        let facts = KeyFacts { attestation_level: level, key_level: level, ..KeyFacts::default() };
        let (_, response) = maker.register(&options(), ORIGIN, &facts);
        let registration = registered(&response);
        assert_eq!((registration.aaguid, registration.attestation.format.as_str()), (AAGUID, "android-key"));
        let grade = issuer.grade(&registration).unwrap();
        assert_eq!((grade.level, grade.key_protection), (AssuranceLevel::BiometricAttested, protection));
        assert_eq!((grade.attestation, grade.modality), (AttestationKind::AndroidKey, None));
    }
    // StrongBox claimed by a TEE is a TEE.
    let facts = KeyFacts { key_level: 2, ..KeyFacts::default() };
    let (_, response) = maker.register(&options(), ORIGIN, &facts);
    assert_eq!(issuer.grade(&registered(&response)).unwrap().key_protection, KeyProtection::Tee);
    // The origin of an app, with the digest of the certificate that signed it.
    let origin = format!("android:apk-key-hash:{}", base64url::encode(&SIGNING_DIGEST));
    let (_, response) = maker.register(&options(), &origin, &KeyFacts::default());
    issuer.grade(&registered(&response)).unwrap();
}

#[test]
fn what_the_key_says_of_itself() {
    let maker = AndroidMaker::default();
    let issuer = Issuer::trusting(&maker);
    let good = KeyFacts::default;
    let other = || Some(vec!["example.carekey.wallet".to_owned(), "example.other".to_owned()]);
    let mut trailing = good().encode(&[0; 32]);
    trailing.push(0);
    let vectors: Vec<(&str, KeyFacts)> = vec![
        ("android_key_extension_missing", KeyFacts { no_extension: true, ..good() }),
        ("android_key_description", KeyFacts { extension: Some(trailing), ..good() }),
        ("android_key_description", KeyFacts { extension: Some(vec![0x30, 0x00]), ..good() }),
        ("android_key_description", KeyFacts { key_level: 3, ..good() }),
        ("android_key_challenge", KeyFacts { challenge: Some(CHALLENGE.to_vec()), ..good() }),
        ("android_key_challenge", KeyFacts { challenge: Some(Vec::new()), ..good() }),
        ("android_key_security_level", KeyFacts { attestation_level: 0, ..good() }),
        ("android_key_security_level", KeyFacts { key_level: 0, ..good() }),
        ("android_key_purpose", KeyFacts { purposes: vec![2, 7], ..good() }), // ATTEST_KEY
        ("android_key_purpose", KeyFacts { purposes: vec![], ..good() }),
        ("android_key_all_applications", KeyFacts { all_applications: true, ..good() }),
        ("android_key_origin", KeyFacts { origin: Some(2), ..good() }), // imported
        ("android_key_origin", KeyFacts { origin: None, ..good() }),
        ("android_key_no_auth_required", KeyFacts { no_auth_required: true, ..good() }),
        ("android_key_auth_timeout", KeyFacts { auth_timeout: Some(30), ..good() }),
        ("android_key_auth_timeout", KeyFacts { auth_timeout: Some(0), ..good() }),
        ("android_key_user_auth_type", KeyFacts { user_auth_type: Some(3), ..good() }), // PIN allowed
        ("android_key_user_auth_type", KeyFacts { user_auth_type: Some(1), ..good() }), // PIN only
        ("android_key_user_auth_type", KeyFacts { user_auth_type: Some(0xffff_ffff), ..good() }),
        ("android_key_user_auth_type", KeyFacts { user_auth_type: None, ..good() }),
        ("android_key_origin", KeyFacts { enforced_by_software: true, ..good() }),
        ("android_key_root_of_trust", KeyFacts { root_of_trust: None, ..good() }),
        ("android_key_device_unlocked", KeyFacts { root_of_trust: Some((false, 0)), ..good() }),
        ("android_key_boot_state", KeyFacts { root_of_trust: Some((true, 1)), ..good() }), // own system
        ("android_key_boot_state", KeyFacts { root_of_trust: Some((true, 2)), ..good() }),
        ("android_key_application", KeyFacts { packages: None, ..good() }),
        ("android_key_package", KeyFacts { packages: Some(vec!["example.other".to_owned()]), ..good() }),
        ("android_key_package", KeyFacts { packages: other(), ..good() }), // shares the user id
        ("android_key_package", KeyFacts { packages: Some(vec![]), ..good() }),
        ("android_key_signing_digest", KeyFacts { digests: vec![[1; 32]], ..good() }),
        ("android_key_signing_digest", KeyFacts { digests: vec![SIGNING_DIGEST, [1; 32]], ..good() }),
        ("android_key_signing_digest", KeyFacts { digests: vec![], ..good() }),
        ("accepted", good()),
    ];
    for (code, facts) in vectors {
        let (_, response) = maker.register(&options(), ORIGIN, &facts);
        assert_eq!(issuer.code(&registered(&response)), code, "{facts:?}");
    }
}

#[test]
fn rules_that_the_operator_sets() {
    let maker = AndroidMaker::default();
    let mut issuer = Issuer::trusting(&maker);
    issuer.policy.android = AndroidPolicy { min_patch_level: Some(202_609), accept_pin: true };
    let good = KeyFacts::default;
    for (code, facts) in [
        ("accepted", KeyFacts { os_patch_level: Some(202_609), ..good() }),
        ("accepted", KeyFacts { vendor_patch_level: None, boot_patch_level: None, ..good() }),
        ("android_key_patch_level", KeyFacts { os_patch_level: Some(202_608), ..good() }),
        ("android_key_patch_level", KeyFacts { os_patch_level: None, ..good() }),
        ("android_key_patch_level", KeyFacts { vendor_patch_level: Some(20_260_805), ..good() }),
        ("android_key_patch_level", KeyFacts { boot_patch_level: Some(20_260_805), ..good() }),
        ("android_key_user_auth_type", KeyFacts { user_auth_type: Some(1), ..good() }),
    ] {
        let (_, response) = maker.register(&options(), ORIGIN, &facts);
        assert_eq!(issuer.code(&registered(&response)), code, "{facts:?}");
    }
    // A PIN beside the biometric is a lower level, where the operator takes it at all.
    let (_, response) = maker.register(&options(), ORIGIN, &KeyFacts { user_auth_type: Some(3), ..good() });
    assert_eq!(issuer.grade(&registered(&response)).unwrap().level, AssuranceLevel::BiometricCapable);
    // Without roots, or without a registered app, nothing is judged: the flag counts, or nothing by policy.
    let (_, response) = maker.register(&options(), ORIGIN, &good());
    let registration = registered(&response);
    for without in ["roots", "apps"] {
        let mut issuer = Issuer::trusting(&maker);
        if without == "roots" {
            issuer.trust.android = None;
        } else {
            issuer.apps = WalletApps::default();
        }
        let grade = issuer.grade(&registration).unwrap();
        assert_eq!((grade.level, grade.attestation), (AssuranceLevel::Uv, AttestationKind::Unjudged));
        issuer.policy.unjudged = UnjudgedAttestation::Refuse;
        assert_eq!(issuer.code(&registration), "attestation_format");
    }
}

#[test]
fn the_chain_and_who_stands_behind_it() {
    let maker = AndroidMaker::default();
    let issuer = Issuer::trusting(&maker);
    let (_, response) = maker.register(&options(), ORIGIN, &KeyFacts::default());
    let registration = registered(&response);
    assert_eq!(issuer.code(&registration), "accepted");

    let stranger = Issuer::trusting(&AndroidMaker::default());
    assert_eq!(stranger.code(&registration), "attestation_untrusted");
    // Same name, another key: a root that only looks like it.
    let mut issuer = Issuer::trusting(&maker);
    issuer.trust.android.as_mut().unwrap().roots = vec![Authority::root("Phone root").anchor()];
    assert_eq!(issuer.code(&registration), "attestation_untrusted");

    // Revoked: the batch; the leaf's serial number is 1 in every phone.
    for (serial, code) in [
        (format!("{BATCH_SERIAL:x}"), "android_key_revoked"),
        (format!("00{BATCH_SERIAL:X}"), "android_key_revoked"),
        ("1".to_owned(), "android_key_revoked"),
        ("2c8cddfd5e03bfc1".to_owned(), "accepted"),
    ] {
        let mut issuer = Issuer::trusting(&maker);
        issuer.trust.android = Some(maker.trust(&[&serial], UNTIL));
        assert_eq!(issuer.code(&registration), code, "{serial}");
    }
    // A status list that should have been renewed: the issuer's fault, and nobody passes.
    let mut issuer = Issuer::trusting(&maker);
    issuer.trust.android = Some(maker.trust(&[], NOW.plus(-1)));
    let stale = issuer.grade(&registration).unwrap_err();
    assert!(matches!(stale, Error::Unavailable { .. }) && stale.code() == "android_status_stale");

    // Times of certificates.
    let expired = AndroidMaker {
        batch: maker.root.below("Batch", 5, |params| params.not_after = rcgen::date_time_ymd(2026, 11, 1)),
        root: Authority::root("unused"),
    };
    let (_, response) = expired.register(&options(), ORIGIN, &KeyFacts::default());
    assert_eq!(Issuer::trusting(&maker).code(&registered(&response)), "x509_expired");
    let early = AndroidMaker {
        batch: maker.root.below("Batch", 5, |params| params.not_before = rcgen::date_time_ymd(2027, 1, 1)),
        root: Authority::root("unused"),
    };
    let (_, response) = early.register(&options(), ORIGIN, &KeyFacts::default());
    assert_eq!(Issuer::trusting(&maker).code(&registered(&response)), "x509_not_yet_valid");
}

/// Registers with a key and chain of the test's choice.
fn with_chain(
    make: impl FnOnce(&[u8; 32]) -> (SoftwareKey, Vec<Vec<u8>>),
    signer: Option<&SoftwareKey>,
) -> VerifiedRegistration {
    let new = NewRegistration::begin(&options(), ORIGIN, &[3; 16]).unwrap();
    let (key, chain) = make(&new.client_data_hash());
    let unsigned = new.with_key(key.public_key()).unwrap();
    let signature = signer.unwrap_or(&key).sign_der(&unsigned.message()).unwrap();
    registered(&unsigned.finish(Evidence::AndroidKey { signature, chain }))
}

#[test]
fn certificates_that_an_app_appends() {
    let maker = AndroidMaker::default();
    let issuer = Issuer::trusting(&maker);
    let (good, none) = (KeyFacts::default(), KeyFacts { no_extension: true, ..KeyFacts::default() });
    let attest_key = KeyFacts { purposes: vec![7], ..KeyFacts::default() };
    // A key of the phone that may sign certificates vouches for one that lives anywhere.
    let repeated = with_chain(|hash| maker.attest_below_attested(&good, &attest_key, hash), None);
    assert_eq!(issuer.code(&repeated), "android_key_extension_repeated");
    let misplaced = with_chain(|hash| maker.attest_below_attested(&none, &good, hash), None);
    assert_eq!(issuer.code(&misplaced), "android_key_extension_misplaced");
    // The same chain without descriptions above is a matter of the root alone.
    let plain = with_chain(|hash| maker.attest_below_attested(&good, &none, hash), None);
    assert_eq!(issuer.code(&plain), "accepted");
    // A description behind the root, where path building would never look.
    let behind = with_chain(
        |hash| {
            let (key, mut chain) = maker.attest(&good, hash);
            chain.push(maker.root.der.clone());
            chain.push(maker.attest(&good, hash).1[0].clone());
            (key, chain)
        },
        None,
    );
    assert_eq!(issuer.code(&behind), "android_key_extension_repeated");
}

#[test]
fn the_statement_fits_the_key() {
    let maker = AndroidMaker::default();
    let issuer = Issuer::trusting(&maker);
    let good = KeyFacts::default();
    let stranger = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let signed = with_chain(|hash| maker.attest(&good, hash), Some(&stranger));
    assert_eq!(issuer.code(&signed), "attestation_signature");
    // Another attested key of the same phone.
    let certified = with_chain(
        |hash| {
            let (key, _) = maker.attest(&good, hash);
            (key, maker.attest(&good, hash).1)
        },
        None,
    );
    assert_eq!(issuer.code(&certified), "android_key_public_key");
    let empty = with_chain(|hash| (maker.attest(&good, hash).0, Vec::new()), None);
    assert_eq!(issuer.code(&empty), "attestation_statement");
    let origin = format!("android:apk-key-hash:{}", base64url::encode(&[0x5b; 32]));
    let (_, response) = maker.register(&options(), &origin, &good);
    assert_eq!(issuer.code(&registered(&response)), "android_key_origin_digest");
    // Hardware keys are never backed up: the flag contradicts the evidence.
    let mut eligible = registered(&maker.register(&options(), ORIGIN, &good).1);
    eligible.backup_eligible = true;
    assert_eq!(issuer.code(&eligible), "attestation_backup_eligible");
}

/// Attestation, where there is one, and assertion.
type Shown = (Option<Vec<u8>>, Vec<u8>);

/// An Apple device before an issuer that trusts its maker.
struct Apple {
    maker: AppleMaker,
    app: AppKey,
    issuer: Issuer,
}

impl Apple {
    fn new() -> Self {
        let maker = AppleMaker::default();
        let trust = AttestationTrust { apple: vec![maker.root.anchor()], ..AttestationTrust::default() };
        let issuer = Issuer { trust, apps: apps(), policy: GradingPolicy::default(), now: NOW };
        Self { maker, app: AppKey::default(), issuer }
    }

    /// The code of an enrolment with evidence made by `make` over the hash that it should cover.
    fn code(
        &self,
        known: Option<&AppAttestKey>,
        make: impl FnOnce(&Self, &[u8; 32]) -> Shown,
    ) -> &'static str {
        let new = NewRegistration::begin(&options(), ORIGIN, &[3; 16]).unwrap();
        let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let unsigned = new.with_key(key.public_key()).unwrap();
        let (attestation, assertion) = make(self, &unsigned.app_attest_hash());
        let evidence = AppAttestEvidence {
            key_id: Bytes(self.app.id.clone()),
            attestation: attestation.map(Bytes),
            assertion: Bytes(assertion),
        };
        let registration = registered(&unsigned.finish(Evidence::None));
        let input = AppAttestInput { evidence: &evidence, known };
        let graded = self.issuer.grade_with(&registration, Some(input));
        graded.map_or_else(|error| error.code(), |_| "accepted")
    }

    /// The same with an attestation of these facts.
    fn facts(&self, facts: &AppleFacts) -> &'static str {
        self.code(None, |apple, hash| {
            (Some(apple.maker.attestation(&apple.app, hash, facts)), apple.app.assertion(hash, APP_ID))
        })
    }
}

#[test]
fn an_attested_app_vouches_for_its_key() {
    let apple = Apple::new();
    let mut known: Option<AppAttestKey> = None;
    for time in 1..=3 {
        let (_, response) = apple.maker.register(&options(), ORIGIN, &apple.app);
        // As it travels.
        let json = serde_json::to_string(&response).unwrap();
        let response: RegistrationResponse = serde_json::from_str(&json).unwrap();
        let evidence = response.app_attest.as_ref().unwrap();
        assert_eq!(evidence.attestation.is_some(), time == 1);
        let input = AppAttestInput { evidence, known: known.as_ref() };
        let grade = apple.issuer.grade_with(&registered(&response), Some(input)).unwrap();
        assert_eq!(grade.level, AssuranceLevel::BiometricAppAsserted);
        assert_eq!(grade.key_protection, KeyProtection::SecureEnclave);
        assert_eq!(grade.attestation, AttestationKind::AppAttest);
        known = grade.app_attest;
        assert_eq!(known.as_ref().unwrap().counter, time);
    }
    // Without evidence, roots or registered app: the flag.
    let (_, response) = apple.maker.register(&options(), ORIGIN, &AppKey::default());
    assert_eq!(apple.issuer.grade(&registered(&response)).unwrap().level, AssuranceLevel::Uv);
    let evidence = response.app_attest.as_ref().unwrap();
    let mut issuer = Apple::new().issuer;
    issuer.trust.apple.clear();
    let input = AppAttestInput { evidence, known: None };
    let grade = issuer.grade_with(&registered(&response), Some(input)).unwrap();
    assert_eq!((grade.level, grade.attestation), (AssuranceLevel::Uv, AttestationKind::None));
}

#[test]
fn app_attestations_that_are_refused() {
    let good = AppleFacts::default;
    let stranger = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap().public_key().clone();
    for (code, facts) in [
        ("accepted", good()),
        ("app_attest_nonce", AppleFacts { nonce: Some([1; 32]), ..good() }),
        ("app_attest_key_id", AppleFacts { credential_id: Some(vec![1; 32]), ..good() }),
        ("app_attest_public_key", AppleFacts { key: Some(stranger), ..good() }),
        ("app_attest_app_id", AppleFacts { app_id: "0123456789.example.other".to_owned(), ..good() }),
        ("app_attest_counter", AppleFacts { counter: 1, ..good() }),
        ("app_attest_environment", AppleFacts { environment: *b"appattestdevelop", ..good() }),
        ("app_attest_environment", AppleFacts { environment: [0; 16], ..good() }),
        ("x509_expired", AppleFacts { expired: true, ..good() }),
    ] {
        assert_eq!(Apple::new().facts(&facts), code, "{facts:?}");
    }
    let mut development = Apple::new();
    development.issuer.policy.apple = ApplePolicy { allow_development: true };
    let facts = AppleFacts { environment: *b"appattestdevelop", ..good() };
    assert_eq!(development.facts(&facts), "accepted");
    assert_eq!(development.facts(&AppleFacts { environment: [0; 16], ..good() }), "app_attest_environment");
    let mut stranger = Apple::new();
    stranger.issuer.trust.apple = vec![Authority::root("App Attest root").anchor()];
    assert_eq!(stranger.facts(&good()), "attestation_untrusted");

    let refused =
        |make: &dyn Fn(&Apple, &[u8; 32]) -> Shown| Apple::new().code(None, |apple, hash| make(apple, hash));
    let attest = |apple: &Apple, hash: &[u8; 32]| apple.maker.attestation(&apple.app, hash, &good());
    // Made for another enrolment: another key, nonce, holder key or wallet.
    assert_eq!(
        refused(&|apple, hash| (Some(attest(apple, &[0; 32])), apple.app.assertion(hash, APP_ID))),
        "app_attest_nonce"
    );
    // Another app's key, although its attestation is good.
    assert_eq!(
        refused(&|apple, hash| {
            let other = AppKey::default();
            (Some(apple.maker.attestation(&other, hash, &good())), other.assertion(hash, APP_ID))
        }),
        "app_attest_key_id"
    );
    assert_eq!(refused(&|apple, hash| (None, apple.app.assertion(hash, APP_ID))), "app_attest_key_unknown");
    assert_eq!(
        refused(&|apple, hash| (Some(b"\xa0".to_vec()), apple.app.assertion(hash, APP_ID))),
        "attestation_object"
    );
}

#[test]
fn app_assertions_that_are_refused() {
    let apple = Apple::new();
    let known = |counter| {
        let public_key = Jwk::from_key(apple.app.public_key());
        Some(AppAttestKey { public_key, app_id: APP_ID.to_owned(), counter })
    };
    let first = known(0);
    assert_eq!(
        apple.code(first.as_ref(), |apple, hash| (None, apple.app.assertion(hash, APP_ID))),
        "accepted"
    );
    let code = |counter, make: &dyn Fn(&Apple, &[u8; 32]) -> Vec<u8>| {
        apple.code(known(counter).as_ref(), |apple, hash| (None, make(apple, hash)))
    };
    // The counter: equal, then smaller than before.
    apple.app.rewind();
    assert_eq!(code(1, &|apple, hash| apple.app.assertion(hash, APP_ID)), "app_attest_counter");
    apple.app.rewind();
    assert_eq!(code(9, &|apple, hash| apple.app.assertion(hash, APP_ID)), "app_attest_counter");
    assert_eq!(code(1, &|apple, hash| apple.app.assertion(hash, APP_ID)), "accepted");
    // For another enrolment; by another key; of another app.
    assert_eq!(code(1, &|apple, _| apple.app.assertion(&[0; 32], APP_ID)), "app_attest_signature");
    assert_eq!(code(0, &|_, hash| AppKey::default().assertion(hash, APP_ID)), "app_attest_signature");
    let other = "0123456789.example.other";
    assert_eq!(code(1, &|apple, hash| apple.app.assertion(hash, other)), "app_attest_app_id");
    // Two registered apps do not share a key.
    let mut both = Apple::new();
    both.issuer.apps.apple.push(other.to_owned());
    let public_key = Jwk::from_key(both.app.public_key());
    let known = AppAttestKey { public_key, app_id: APP_ID.to_owned(), counter: 0 };
    let crossed = both.code(Some(&known), |apple, hash| (None, apple.app.assertion(hash, other)));
    assert_eq!(crossed, "app_attest_app_id");
    // Form.
    for bytes in
        [&b""[..], b"\xa0", b"\xa1\x69signature\x41\x00", b"\xa2\x69signature\x41\x00\x69signature\x41\x00"]
    {
        assert_eq!(code(0, &|_, _| bytes.to_vec()), "app_attest", "{bytes:?}");
    }
    let short = b"\xa2\x69signature\x41\x00\x71authenticatorData\x41\x00";
    assert_eq!(code(0, &|_, _| short.to_vec()), "app_attest");
}
