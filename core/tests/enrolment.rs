//! Enrolment: attestation graded by FIDO metadata of our own making, and everything that must be refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use carekey_core::attestation::metadata::{MetadataBlob, MetadataExpectation, VerifiedMetadata};
use carekey_core::attestation::{
    AttestationKind, AttestationTrust, Grading, GradingPolicy, UnjudgedAttestation, WalletApps,
};
use carekey_core::authenticator::{AttestationSource, Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::ClientKind;
use carekey_core::binding::enrolment::{
    EnrolmentInput, EnrolmentPolicy, VerifiedEnrolment, WalletRegistration, verify_enrolment,
};
use carekey_core::binding::report::Report;
use carekey_core::binding::statement::EnrolmentStatement;
use carekey_core::clock::UnixTime;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::webauthn::Bytes;
use carekey_core::webauthn::options::{CreationOptions, RelyingParty, User};
use carekey_core::webauthn::registration::{
    self, RegistrationExpectation, RegistrationResponse, VerifiedRegistration,
};
use carekey_core::webauthn::{UserVerification, authenticator_data::AuthenticatorData};
use carekey_core::x509::TrustAnchor;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Map, Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_796_000_000); // 2026-11-30
const RP_ID: &str = "present.wallet.example";
const ORIGIN: &str = "https://present.wallet.example";
const ISSUER: &str = "https://hospital.example";
const CLIENT: &str = "wallet.example";
const C_NONCE: &str = "P2nNpi88lMSQh2WyZ9ZYFLP7a6nosylaCqsSSdLG3xY";

// Certificates and metadata of our own. ---------------------------------------------------------------------------

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

impl Ca {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_der(&self.der).unwrap()
    }

    /// A certificate of this CA, and its key.
    fn certify(&self, params: &CertificateParams) -> (Vec<u8>, SoftwareKey) {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        (der, SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap())
    }
}

fn params(name: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in name {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2034, 1, 1);
    params
}

const SUBJECT: [(DnType, &str); 4] = [
    (DnType::CountryName, "AA"),
    (DnType::OrganizationName, "Example Keys"),
    (DnType::OrganizationalUnitName, "Authenticator Attestation"),
    (DnType::CommonName, "Example key"),
];

fn aaguid_extension(aaguid: [u8; 16], critical: bool) -> CustomExtension {
    let content = [&[0x04, 0x10][..], &aaguid].concat();
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], content);
    extension.set_criticality(critical);
    extension
}

/// The parameters of a certificate as §8.2.1 wants it.
fn attestation_params(aaguid: [u8; 16]) -> CertificateParams {
    let mut params = params(&SUBJECT);
    params.is_ca = IsCa::ExplicitNoCa;
    params.custom_extensions = vec![aaguid_extension(aaguid, false)];
    params
}

const fn model(n: u8) -> [u8; 16] {
    let mut aaguid = [0xca; 16];
    aaguid[15] = n;
    aaguid
}

const BIOMETRIC_ONLY: [u8; 16] = model(1);
const BIOMETRIC_OR_PIN: [u8; 16] = model(2);
const PIN_ONLY: [u8; 16] = model(3);
const REVOKED: [u8; 16] = model(4);
const UV_BYPASS: [u8; 16] = model(5);
const SOFTWARE: [u8; 16] = model(6);
const UNKNOWN: [u8; 16] = model(99);

fn uuid(aaguid: [u8; 16]) -> String {
    let hex: String = aaguid.iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn entry(aaguid: [u8; 16], root: &Ca, methods: Value, protection: Value, status: Value) -> Value {
    let mut certificate = carekey_core::encoding::base64::encode(&root.der);
    certificate.insert(64, '\n');
    json!({
        "aaguid": uuid(aaguid),
        "ofTomorrow": {"x": [1, 2, 3]},
        "statusReports": status,
        "timeOfLastStatusChange": "2026-01-01",
        "biometricStatusReports": [
            {"certLevel": 1, "modality": "fingerprint_internal", "effectiveDate": "2024-01-01"},
            {"certLevel": 2, "modality": "fingerprint_internal", "effectiveDate": "2025-01-01"},
            {"certLevel": 3, "modality": "of_tomorrow", "effectiveDate": "2026-01-01"}
        ],
        "metadataStatement": {
            "description": "made up", "protocolFamily": "fido2", "aaguid": uuid(aaguid), "schema": 99,
            "attestationTypes": ["basic_full", "of_tomorrow"],
            "userVerificationDetails": methods, "keyProtection": protection,
            "attestationRootCertificates": ["not a certificate", certificate],
        }
    })
}

fn method(name: &str) -> Value {
    json!({"userVerificationMethod": name, "baDesc": {"selfAttestedFAR": 0.0001}})
}

/// A vendor's root, and a BLOB that names it for six models.
struct World {
    vendor: Ca,
    blob_root: Ca,
    blob_chain: Vec<Vec<u8>>,
    blob_key: SoftwareKey,
}

impl World {
    fn new() -> Self {
        let blob_root = Ca::new("Metadata root");
        let mut params = params(&[(DnType::CommonName, "Metadata signer")]);
        params.subject_alt_names = vec![rcgen::SanType::DnsName("mds.example".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (der, blob_key) = blob_root.certify(&params);
        Self { vendor: Ca::new("Vendor root"), blob_chain: vec![der], blob_root, blob_key }
    }

    fn payload(&self) -> Value {
        let certified = json!([{"status": "FIDO_CERTIFIED_L2", "effectiveDate": "2024-01-01"}]);
        let finger = || method("fingerprint_internal");
        let pin = || method("passcode_external");
        let hardware = || json!(["hardware", "secure_element"]);
        let vendor = &self.vendor;
        json!({
            "legalHeader": "made up", "no": 42, "nextUpdate": "2026-12-01", "ofTomorrow": true,
            "entries": [
                entry(BIOMETRIC_ONLY, vendor, json!([[finger()], [finger(), pin()]]), hardware(), certified.clone()),
                entry(BIOMETRIC_OR_PIN, vendor, json!([[finger()], [pin()]]), hardware(), certified.clone()),
                entry(PIN_ONLY, vendor, json!([[pin()]]), hardware(), certified.clone()),
                entry(SOFTWARE, vendor, json!([[finger()]]), json!(["software"]), certified),
                entry(REVOKED, vendor, json!([[finger()]]), hardware(), json!([
                    {"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2024-01-01"},
                    {"status": "REVOKED", "effectiveDate": "2025-01-01"}])),
                entry(UV_BYPASS, vendor, json!([[finger()]]), hardware(), json!([
                    {"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2024-01-01"},
                    {"status": "USER_VERIFICATION_BYPASS", "effectiveDate": "2025-01-01"}])),
                {"attestationCertificateKeyIdentifiers": ["u2f"], "metadataStatement": {}},
                {"aaid": "1234#5678"},
                "not an entry"
            ]
        })
    }

    fn sign(&self, payload: &Value) -> String {
        let x5c: Vec<String> =
            self.blob_chain.iter().map(|der| carekey_core::encoding::base64::encode(der)).collect();
        let header = json!({"typ": "JWT", "x5c": x5c}).as_object().unwrap().clone();
        jws::sign(header, &serde_json::to_vec(payload).unwrap(), &self.blob_key).unwrap()
    }

    fn read(
        &self,
        blob: &str,
        change: impl FnOnce(&mut MetadataExpectation<'_>),
    ) -> carekey_core::Result<VerifiedMetadata> {
        let anchors = [self.blob_root.anchor()];
        let mut expected = MetadataExpectation {
            anchors: &anchors,
            signer_dns_name: None,
            now: NOW,
            grace: 0,
            previous_number: None,
        };
        change(&mut expected);
        MetadataBlob::verify(blob, &expected)
    }

    fn metadata(&self) -> VerifiedMetadata {
        self.read(&self.sign(&self.payload()), |_| ()).unwrap()
    }

    /// An authenticator of that model, with a batch certificate of the vendor.
    fn authenticator(&self, aaguid: [u8; 16]) -> SoftwareAuthenticator {
        self.authenticator_with(aaguid, &attestation_params(aaguid))
    }

    fn authenticator_with(&self, aaguid: [u8; 16], params: &CertificateParams) -> SoftwareAuthenticator {
        let (der, key) = self.vendor.certify(params);
        attested(aaguid, AttestationSource::Packed { key: Arc::new(key), chain: vec![der] })
    }
}

fn attested(aaguid: [u8; 16], source: AttestationSource) -> SoftwareAuthenticator {
    SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom)).with_attestation(aaguid, source)
}

// One enrolment. --------------------------------------------------------------------------------------------------

struct Enrolment {
    hk_jkt: String,
    registration: RegistrationResponse,
    c_nonce: String,
    client_id: String,
    ak_jkt: Option<String>,
    wallet: WalletRegistration,
    policy: EnrolmentPolicy,
}

fn options(challenge: [u8; 32]) -> CreationOptions {
    CreationOptions::enrolment(
        RelyingParty { id: RP_ID.to_owned(), name: "Wallet".to_owned() },
        User { id: Bytes(vec![7; 16]), name: "patient".to_owned(), display_name: "Patient".to_owned() },
        challenge,
    )
}

impl Enrolment {
    fn by(authenticator: &SoftwareAuthenticator) -> Self {
        let hk = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
        let hk_jkt = Jwk::from_key(hk.public_key()).thumbprint();
        let statement = EnrolmentStatement {
            c_nonce: C_NONCE,
            client_id: CLIENT,
            hk_jkt: &hk_jkt,
            iss: ISSUER,
            rp_id: RP_ID,
        };
        let registration = authenticator.create(&options(statement.challenge().unwrap())).unwrap();
        // As it travels: JSON, with what browsers add.
        let mut json = serde_json::to_value(&registration).unwrap();
        json["clientExtensionResults"] = json!({"prf": {"results": {"first": "c2VjcmV0"}}, "credProps": {}});
        json["response"]["publicKeyAlgorithm"] = json!(-7);
        let registration: RegistrationResponse = serde_json::from_value(json).unwrap();
        assert_eq!(serde_json::to_value(&registration).unwrap()["clientExtensionResults"], json!({}));
        Self {
            ak_jkt: ak_jkt(&registration),
            hk_jkt,
            registration,
            c_nonce: C_NONCE.to_owned(),
            client_id: CLIENT.to_owned(),
            wallet: WalletRegistration {
                client_id: CLIENT.to_owned(),
                rp_id: RP_ID.to_owned(),
                origins: vec![ORIGIN.to_owned()],
                client: ClientKind::App,
                apps: WalletApps::default(),
            },
            policy: EnrolmentPolicy {
                min_level: AssuranceLevel::Uv,
                uri: "https://hospital.example/policy/binding/1".to_owned(),
                grading: GradingPolicy::default(),
            },
        }
    }

    fn verify(&self, metadata: Option<&VerifiedMetadata>) -> carekey_core::Result<VerifiedEnrolment> {
        self.verify_at(metadata, NOW)
    }

    fn verify_at(
        &self,
        metadata: Option<&VerifiedMetadata>,
        now: UnixTime,
    ) -> carekey_core::Result<VerifiedEnrolment> {
        let mut report = Report::default();
        let input = EnrolmentInput {
            registration: &self.registration,
            hk_jkt: &self.hk_jkt,
            ak_jkt: self.ak_jkt.as_deref(),
            c_nonce: &self.c_nonce,
            client_id: &self.client_id,
            known_app: None,
        };
        let trust = AttestationTrust { metadata: metadata.cloned(), ..AttestationTrust::default() };
        let result = verify_enrolment(
            &input,
            ISSUER,
            &self.wallet,
            &self.policy,
            &trust,
            now,
            &Limits::DEFAULT,
            &mut report,
        );
        assert_eq!(report.passed(), result.is_ok());
        result
    }

    fn code(&self, metadata: Option<&VerifiedMetadata>) -> &'static str {
        self.verify(metadata).unwrap_err().code()
    }
}

/// The thumbprint of the key inside a registration, as the wallet computes it.
fn ak_jkt(response: &RegistrationResponse) -> Option<String> {
    let object = &response.response.attestation_object.0;
    let start = object.windows(8).position(|w| w == b"authData")?;
    let length = match object[start + 8] {
        0x58 => 2,
        _ => 3,
    };
    let data = AuthenticatorData::parse(&object[start + 8 + length..], &Limits::DEFAULT).ok()?;
    let key = carekey_core::webauthn::cose_key::parse(data.attested?.cose_key).ok()?;
    Some(Jwk::from_key(&key).thumbprint())
}

fn enrolled(world: &World, authenticator: &SoftwareAuthenticator) -> carekey_core::Result<VerifiedEnrolment> {
    Enrolment::by(authenticator).verify(Some(&world.metadata()))
}

fn code(world: &World, authenticator: &SoftwareAuthenticator) -> &'static str {
    enrolled(world, authenticator).unwrap_err().code()
}

// Grades. ---------------------------------------------------------------------------------------------------------

#[test]
fn levels_by_metadata() {
    let world = World::new();
    for (aaguid, level, protection, modality, cert_level) in [
        (
            BIOMETRIC_ONLY,
            AssuranceLevel::BiometricAttested,
            KeyProtection::FidoHardware,
            Some(Modality::Fingerprint),
            Some(2),
        ),
        (BIOMETRIC_OR_PIN, AssuranceLevel::BiometricCapable, KeyProtection::FidoHardware, None, Some(2)),
        (PIN_ONLY, AssuranceLevel::Uv, KeyProtection::FidoHardware, None, None),
        (
            SOFTWARE,
            AssuranceLevel::BiometricAttested,
            KeyProtection::Software,
            Some(Modality::Fingerprint),
            Some(2),
        ),
    ] {
        let enrolment = enrolled(&world, &world.authenticator(aaguid)).unwrap();
        let binding = &enrolment.binding;
        assert_eq!((binding.level, binding.key_protection), (level, protection));
        assert_eq!((binding.modality, binding.cert_level), (modality, cert_level));
        assert_eq!(enrolment.grade.attestation, AttestationKind::Metadata);
        assert_eq!(enrolment.aaguid, aaguid);
        assert_eq!(binding.evaluated_at, NOW);
        // The credential never names the model or its certificates.
        let claim = binding.to_claim().unwrap();
        let members: Vec<&str> = claim.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(
            !members.iter().any(|m| m.contains("aaguid") || m.contains("x5c") || m.contains("attestation"))
        );
        assert_eq!(carekey_core::binding::claim::WebauthnBinding::from_claim(&claim).unwrap(), *binding);
    }
    assert_eq!(code(&world, &world.authenticator(REVOKED)), "authenticator_status");
    assert_eq!(code(&world, &world.authenticator(UV_BYPASS)), "authenticator_status");
}

#[test]
fn without_proof_the_level_is_uv() {
    let world = World::new();
    let graded = |authenticator: &SoftwareAuthenticator| {
        let enrolment = enrolled(&world, authenticator).unwrap();
        assert_eq!(enrolment.binding.level, AssuranceLevel::Uv);
        assert_eq!(enrolment.binding.key_protection, KeyProtection::Unknown);
        assert!(enrolment.binding.modality.is_none() && enrolment.binding.cert_level.is_none());
        enrolment.grade.attestation
    };
    assert_eq!(graded(&attested([0; 16], AttestationSource::None)), AttestationKind::None);
    // A claimed model without evidence is not believed.
    assert_eq!(graded(&attested(BIOMETRIC_ONLY, AttestationSource::None)), AttestationKind::None);
    assert_eq!(graded(&attested(BIOMETRIC_ONLY, AttestationSource::SelfSigned)), AttestationKind::SelfSigned);
    assert_eq!(graded(&world.authenticator(UNKNOWN)), AttestationKind::UnknownModel);
    // … but a claimed broken model is.
    assert_eq!(code(&world, &attested(REVOKED, AttestationSource::None)), "authenticator_status");
    // Without metadata nothing is proven at all.
    let enrolment = Enrolment::by(&world.authenticator(BIOMETRIC_ONLY));
    assert_eq!(enrolment.verify(None).unwrap().binding.level, AssuranceLevel::Uv);
}

#[test]
fn metadata_ages_while_the_issuer_runs() {
    let world = World::new();
    let metadata = world.metadata();
    let until = metadata.usable_until();
    assert_eq!(until, metadata.next_update());
    let enrolment = Enrolment::by(&world.authenticator(BIOMETRIC_ONLY));
    let verified = enrolment.verify_at(Some(&metadata), until).unwrap();
    assert_eq!(verified.binding.level, AssuranceLevel::BiometricAttested);
    let verified = enrolment.verify_at(Some(&metadata), until.plus(1)).unwrap();
    assert_eq!(verified.binding.level, AssuranceLevel::Uv);
    assert_eq!(verified.grade.attestation, AttestationKind::StaleMetadata);
    assert_eq!(verified.binding.key_protection, KeyProtection::Unknown);
    // It still knows what was broken.
    let revoked = Enrolment::by(&world.authenticator(REVOKED)).verify_at(Some(&metadata), until.plus(1));
    assert_eq!(revoked.unwrap_err().code(), "authenticator_status");
}

#[test]
fn keys_that_can_be_backed_up_stay_at_uv() {
    let world = World::new();
    let authenticator = world.authenticator(BIOMETRIC_ONLY);
    authenticator.behave(Behaviour { backup_eligible: true, ..Behaviour::default() });
    let enrolment = enrolled(&world, &authenticator).unwrap();
    assert_eq!(enrolment.binding.level, AssuranceLevel::Uv);
    assert!(enrolment.binding.backup_eligible && enrolment.binding.modality.is_none());
    authenticator.behave(Behaviour { backup_state: true, ..Behaviour::default() });
    assert_eq!(code(&world, &authenticator), "backup_flags");
}

#[test]
fn policy_of_the_issuer() {
    let world = World::new();
    let mut enrolment = Enrolment::by(&world.authenticator(BIOMETRIC_OR_PIN));
    enrolment.policy.min_level = AssuranceLevel::BiometricAttested;
    assert_eq!(enrolment.code(Some(&world.metadata())), "enrolment_level_too_low");
    enrolment.policy.min_level = AssuranceLevel::BiometricCapable;
    enrolment.verify(Some(&world.metadata())).unwrap();
}

// Attestation statements. -----------------------------------------------------------------------------------------

#[test]
fn certificate_constraints() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = attestation_params(BIOMETRIC_ONLY);
        change(&mut params);
        code(&world, &world.authenticator_with(BIOMETRIC_ONLY, &params))
    };
    for (n, kind) in
        [DnType::CountryName, DnType::OrganizationName, DnType::OrganizationalUnitName, DnType::CommonName]
            .into_iter()
            .enumerate()
    {
        let removed = refused(&|p| {
            p.distinguished_name.remove(kind.clone());
        });
        assert_eq!(removed, "attestation_certificate", "{n}");
        let replaced = refused(&|p| {
            p.distinguished_name.remove(kind.clone());
            p.distinguished_name.push(kind.clone(), "");
        });
        assert_eq!(replaced, "attestation_certificate", "{n}");
    }
    let unit = refused(&|p| {
        p.distinguished_name.remove(DnType::OrganizationalUnitName);
        p.distinguished_name.push(DnType::OrganizationalUnitName, "Something else");
    });
    assert_eq!(unit, "attestation_certificate");
    assert_eq!(refused(&|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "attestation_certificate");
    assert_eq!(refused(&|p| p.is_ca = IsCa::NoCa), "attestation_certificate");
    assert_eq!(
        refused(&|p| p.custom_extensions = vec![aaguid_extension(BIOMETRIC_ONLY, true)]),
        "attestation_certificate"
    );
    assert_eq!(
        refused(&|p| p.custom_extensions = vec![aaguid_extension(BIOMETRIC_OR_PIN, false)]),
        "attestation_aaguid"
    );
    // Expired: the form is right, the chain is not.
    assert_eq!(refused(&|p| p.not_after = rcgen::date_time_ymd(2025, 1, 1)), "attestation_untrusted");
    // Without the extension the AAGUID rests on the root of the model alone.
    let mut params = attestation_params(BIOMETRIC_ONLY);
    params.custom_extensions.clear();
    let enrolment = enrolled(&world, &world.authenticator_with(BIOMETRIC_ONLY, &params)).unwrap();
    assert_eq!(enrolment.binding.level, AssuranceLevel::BiometricAttested);
}

#[test]
fn certificates_that_nobody_vouches_for() {
    let world = World::new();
    let stranger = World::new();
    assert_eq!(code(&world, &stranger.authenticator(BIOMETRIC_ONLY)), "attestation_untrusted");
    // A certificate of the right root, a signature by another key.
    let (der, _) = world.vendor.certify(&attestation_params(BIOMETRIC_ONLY));
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let source = AttestationSource::Packed { key: Arc::new(key), chain: vec![der.clone()] };
    assert_eq!(code(&world, &attested(BIOMETRIC_ONLY, source)), "attestation_signature");
    let key = SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap();
    let source = AttestationSource::Packed { key: Arc::new(key), chain: vec![der] };
    assert_eq!(code(&world, &attested(BIOMETRIC_ONLY, source)), "attestation_algorithm");
    let key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap();
    let source = AttestationSource::Packed { key: Arc::new(key), chain: vec![vec![0x30, 0x00]] };
    assert_eq!(code(&world, &attested(BIOMETRIC_ONLY, source)), "x509");
}

/// An attestation object around the authenticator data of a good registration.
fn forged(format: &str, statement: &[u8]) -> (World, Enrolment) {
    let world = World::new();
    let mut enrolment = Enrolment::by(&attested([0; 16], AttestationSource::None));
    let object = enrolment.registration.response.attestation_object.0;
    let start = object.windows(8).position(|w| w == b"authData").unwrap() - 1;
    let text = |t: &str| [&[0x60 + u8::try_from(t.len()).unwrap()][..], t.as_bytes()].concat();
    let object =
        [&[0xa3][..], &text("fmt"), &text(format), &text("attStmt"), statement, &object[start..]].concat();
    enrolment.registration.response.attestation_object = Bytes(object);
    (world, enrolment)
}

#[test]
fn statements_and_formats() {
    for (format, statement, expected) in [
        ("none", &[0xa1, 0x61, b'x', 0x01][..], "attestation_statement"),
        ("packed", &[0xa0], "attestation_statement"),
        (
            "packed",
            &[0xa2, 0x63, b'a', b'l', b'g', 0x26, 0x63, b's', b'i', b'g', 0x40],
            "attestation_signature",
        ),
        (
            "packed",
            &[0xa2, 0x63, b'a', b'l', b'g', 0x38, 0x34, 0x63, b's', b'i', b'g', 0x40],
            "cose_algorithm",
        ),
        (
            "packed",
            &[0xa2, 0x63, b'a', b'l', b'g', 0x26, 0x63, b'a', b'l', b'g', 0x26],
            "attestation_statement",
        ),
        (
            "packed",
            &[0xa3, 0x63, b'a', b'l', b'g', 0x26, 0x63, b's', b'i', b'g', 0x40, 0x63, b'x', b'5', b'c', 0x80],
            "x509_chain_empty",
        ),
        ("none", &[0x80], "attestation_object"),
        ("none", &[0xbf, 0xff], "attestation_object"),
    ] {
        let (_, enrolment) = forged(format, statement);
        assert_eq!(enrolment.code(None), expected, "{format} {statement:02x?}");
    }
    // A format that is not carried proves nothing; a policy may refuse it.
    let (_, mut enrolment) = forged("tpm", &[0xa0]);
    let verified = enrolment.verify(None).unwrap();
    assert_eq!(
        (verified.binding.level, verified.grade.attestation),
        (AssuranceLevel::Uv, AttestationKind::Unjudged)
    );
    enrolment.policy.grading.unjudged = UnjudgedAttestation::Refuse;
    assert_eq!(enrolment.code(None), "attestation_format");
    let (_, mut enrolment) = forged("none", &[0xa0]);
    enrolment.registration.response.attestation_object.0.push(0);
    assert_eq!(enrolment.code(None), "attestation_object");
    enrolment.registration.response.attestation_object.0 = vec![0; 70_000];
    assert_eq!(enrolment.code(None), "attestation_object_size");
}

// The registration and its binding to the holder key. -------------------------------------------------------------

#[test]
fn registration_must_be_this_one() {
    let world = World::new();
    let refused = |behaviour: Behaviour| {
        let authenticator = world.authenticator(BIOMETRIC_ONLY);
        authenticator.behave(behaviour);
        code(&world, &authenticator)
    };
    let with = Behaviour::default;
    assert_eq!(refused(Behaviour { user_verified: false, ..with() }), "user_not_verified");
    assert_eq!(refused(Behaviour { user_present: false, ..with() }), "user_not_present");
    assert_eq!(refused(Behaviour { kind: Some("webauthn.get".to_owned()), ..with() }), "client_data_type");
    assert_eq!(
        refused(Behaviour { origin: Some("https://evil.example".to_owned()), ..with() }),
        "origin_not_allowed"
    );
    assert_eq!(refused(Behaviour { rp_id: Some("wallet.example".to_owned()), ..with() }), "rp_id_mismatch");
    assert_eq!(refused(Behaviour { cross_origin: true, ..with() }), "cross_origin");
    assert_eq!(refused(Behaviour { challenge: Some(vec![0; 32]), ..with() }), "challenge_mismatch");
}

#[test]
fn keys_must_name_each_other() {
    let world = World::new();
    let metadata = world.metadata();
    let authenticator = world.authenticator(BIOMETRIC_ONLY);
    let with = |change: &dyn Fn(&mut Enrolment)| {
        let mut enrolment = Enrolment::by(&authenticator);
        change(&mut enrolment);
        enrolment.code(Some(&metadata))
    };
    let other =
        Jwk::from_key(SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap().public_key()).thumbprint();
    assert_eq!(with(&|e| e.ak_jkt = None), "ak_jkt_missing");
    assert_eq!(with(&|e| e.ak_jkt = Some(other.clone())), "ak_jkt_mismatch");
    assert_eq!(with(&|e| e.hk_jkt = other.clone()), "challenge_mismatch");
    assert_eq!(with(&|e| e.c_nonce = "another".to_owned()), "challenge_mismatch");
    assert_eq!(with(&|e| e.client_id = "other.example".to_owned()), "wallet_unknown");
    assert_eq!(with(&|e| e.wallet.rp_id = "other.example".to_owned()), "challenge_mismatch");
    assert_eq!(with(&|e| e.wallet.origins.clear()), "wallet_origins");
    assert_eq!(with(&|e| e.registration.id = Bytes(vec![1])), "credential_id_mismatch");
    let both = with(&|e| {
        e.registration.id = Bytes(vec![1]);
        e.registration.raw_id = Bytes(vec![1]);
    });
    assert_eq!(both, "credential_id_mismatch");
    // Somebody else's registration for the same statement: the holder key did not name it.
    let stolen = with(&|e| {
        let key = ak_jkt(&Enrolment::by(&authenticator).registration);
        e.ak_jkt = key;
    });
    assert_eq!(stolen, "ak_jkt_mismatch");
}

#[test]
fn json_forms() {
    let registration = Enrolment::by(&attested([0; 16], AttestationSource::None)).registration;
    let good = serde_json::to_value(&registration).unwrap();
    for (name, value) in [
        ("type", json!("password")),
        ("id", json!("a=")),
        ("rawId", json!(1)),
        ("response", json!({})),
        ("id", json!("a+")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(serde_json::from_value::<RegistrationResponse>(bad).is_err(), "{name}");
    }
    for missing in ["id", "rawId", "response", "type"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(missing);
        assert!(serde_json::from_value::<RegistrationResponse>(bad).is_err(), "{missing}");
    }
    let options = options([1; 32]);
    let json = serde_json::to_value(&options).unwrap();
    assert_eq!(json["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(json["pubKeyCredParams"], json!([{"type": "public-key", "alg": -7}]));
    assert_eq!(serde_json::from_value::<CreationOptions>(json).unwrap(), options);
}

// The BLOB. -------------------------------------------------------------------------------------------------------

#[test]
fn blob_is_read_with_tolerance() {
    let world = World::new();
    let metadata = world.metadata();
    assert_eq!((metadata.number(), metadata.len(), metadata.skipped()), (42, 6, 3));
    assert_eq!(metadata.next_update(), UnixTime::from_secs(1_796_083_200));
    assert_eq!(metadata.entry(&BIOMETRIC_ONLY).unwrap().roots.len(), 1);
    assert!(metadata.entry(&UNKNOWN).is_none() && !metadata.is_empty());
    // Two entries for one model: the lower grade.
    let mut payload = world.payload();
    let twin =
        entry(BIOMETRIC_ONLY, &world.vendor, json!([[method("passcode_external")]]), json!([]), json!([]));
    payload["entries"].as_array_mut().unwrap().push(twin);
    let metadata = world.read(&world.sign(&payload), |_| ()).unwrap();
    let enrolment = Enrolment::by(&world.authenticator(BIOMETRIC_ONLY)).verify(Some(&metadata)).unwrap();
    assert_eq!(enrolment.binding.level, AssuranceLevel::BiometricCapable);
}

#[test]
fn blob_of_the_right_signer_and_time() {
    let world = World::new();
    let blob = world.sign(&world.payload());
    let code = |blob: &str, change: &dyn Fn(&mut MetadataExpectation<'_>)| {
        world.read(blob, |expected| change(expected)).unwrap_err().code()
    };
    // Names.
    world.read(&blob, |e| e.signer_dns_name = Some("MDS.example")).unwrap();
    assert_eq!(code(&blob, &|e| e.signer_dns_name = Some("mds.fidoalliance.org")), "metadata_signer");
    // Numbers never fall.
    world.read(&blob, |e| e.previous_number = Some(42)).unwrap();
    assert_eq!(code(&blob, &|e| e.previous_number = Some(43)), "metadata_rollback");
    // Time and grace.
    let late = UnixTime::from_secs(1_796_083_201);
    assert_eq!(code(&blob, &|e| e.now = late), "metadata_stale");
    world.read(&blob, |e| (e.now, e.grace) = (late, 1)).unwrap();
    assert_eq!(code(&blob, &|e| e.now = UnixTime::from_secs(2_100_000_000)), "x509_expired");
    // Roots and signatures.
    let other = World::new();
    let anchors = [other.blob_root.anchor()];
    let expected = MetadataExpectation {
        anchors: &anchors,
        signer_dns_name: None,
        now: NOW,
        grace: 0,
        previous_number: None,
    };
    assert_eq!(MetadataBlob::verify(&blob, &expected).unwrap_err().code(), "x509_untrusted");
    let expected = MetadataExpectation { anchors: &[], ..expected };
    assert_eq!(MetadataBlob::verify(&blob, &expected).unwrap_err().code(), "x509_untrusted");
    let forged = World { blob_key: other.blob_key, ..World::new() };
    let forged_blob = forged.sign(&forged.payload());
    assert_eq!(forged.read(&forged_blob, |_| ()).unwrap_err().code(), "signature_invalid");
    let (head, signature) = blob.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let other_payload = format!("{header}.{}A.{signature}", &payload[..payload.len() - 1]);
    assert!(world.read(&other_payload, |_| ()).is_err());
    let bare = jws::sign(Map::new(), b"{}", &world.blob_key).unwrap();
    assert_eq!(code(&bare, &|_| ()), "metadata_x5c");
}

#[test]
fn blob_with_a_bad_payload() {
    let world = World::new();
    for (name, value) in [
        ("no", json!("42")),
        ("no", json!(-1)),
        ("nextUpdate", json!("soon")),
        ("nextUpdate", json!(20261201)),
        ("entries", json!({})),
    ] {
        let mut payload = world.payload();
        payload[name] = value;
        assert_eq!(world.read(&world.sign(&payload), |_| ()).unwrap_err().code(), "metadata", "{name}");
    }
    assert_eq!(world.read(&world.sign(&json!([])), |_| ()).unwrap_err().code(), "metadata");
}

/// The grading of a self attestation whose signature is not its key's.
#[test]
fn self_attestation_by_another_key() {
    let authenticator = attested([0; 16], AttestationSource::SelfSigned);
    let enrolment = Enrolment::by(&authenticator);
    let registered: VerifiedRegistration = {
        let statement = EnrolmentStatement {
            c_nonce: C_NONCE,
            client_id: CLIENT,
            hk_jkt: &enrolment.hk_jkt,
            iss: ISSUER,
            rp_id: RP_ID,
        };
        let expected = RegistrationExpectation {
            challenge: &statement.challenge().unwrap(),
            origins: &enrolment.wallet.origins,
            rp_id: RP_ID,
            user_verification: UserVerification::Required,
            algorithms: &[SignatureAlgorithm::Es256],
        };
        registration::verify(&enrolment.registration, &expected, &Limits::DEFAULT).unwrap()
    };
    let grade = |registered: &VerifiedRegistration| {
        let grading = Grading {
            trust: &AttestationTrust::default(),
            apps: &WalletApps::default(),
            app_attest: None,
            policy: &GradingPolicy::default(),
            now: NOW,
            limits: &Limits::DEFAULT,
        };
        carekey_core::attestation::grade(registered, &grading)
    };
    assert_eq!(grade(&registered).unwrap().attestation, AttestationKind::SelfSigned);
    let mut other = registered.clone();
    other.public_key = SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap().public_key().clone();
    assert_eq!(grade(&other).unwrap_err().code(), "attestation_signature");
    let mut other = registered.clone();
    other.public_key = SoftwareKey::generate(SignatureAlgorithm::EdDsa).unwrap().public_key().clone();
    assert_eq!(grade(&other).unwrap_err().code(), "attestation_algorithm");
    let mut other = registered;
    other.attestation.client_data_hash = [0; 32];
    assert_eq!(grade(&other).unwrap_err().code(), "attestation_signature");
}
