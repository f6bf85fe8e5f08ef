//! The upper levels of the ladder through both services: an operator configures a metadata BLOB and its root by files, a
//! key is enrolled with packed attestation, and the portal demands the level. Root, BLOB and models are made here.

use std::path::Path;
use std::sync::Arc;

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::authenticator::{AttestationSource, SoftwareAuthenticator};
use carekey_core::clock::SystemClock;
use carekey_core::encoding::base64;
use carekey_core::jose::jws;
use carekey_core::key::SoftwareKey;
use carekey_core::random::SystemRandom;
use carekey_core::store::MemoryStore;
use carekey_issuer::config::FidoMetadata;
use carekey_tests::world::{Records, WALLET, Wallet, World, level, text};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

const FINGER: [u8; 16] = [0xc1; 16];
const FINGER_OR_PIN: [u8; 16] = [0xc2; 16];

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

fn named(names: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in names {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2074, 1, 1);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    fn certify(&self, params: &CertificateParams) -> (Vec<u8>, SoftwareKey) {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        (der, SoftwareKey::from_pkcs8(&key.serialize_der()).unwrap())
    }
}

fn uuid(aaguid: [u8; 16]) -> String {
    let hex: String = aaguid.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn entry(aaguid: [u8; 16], vendor: &Authority, methods: Value) -> Value {
    json!({
        "aaguid": uuid(aaguid), "timeOfLastStatusChange": "2026-01-01",
        "statusReports": [{"status": "FIDO_CERTIFIED_L2", "effectiveDate": "2024-01-01"}],
        "metadataStatement": {
            "description": "made up", "aaguid": uuid(aaguid), "userVerificationDetails": methods,
            "keyProtection": ["hardware", "secure_element"],
            "attestationRootCertificates": [base64::encode(&vendor.der)],
        },
    })
}

/// A vendor of authenticators, and the service that publishes metadata about its models.
struct Fido {
    vendor: Authority,
    root: Authority,
}

impl Fido {
    fn new() -> Self {
        Self { vendor: Authority::new("Vendor root"), root: Authority::new("Metadata root") }
    }

    /// Writes BLOB and root as an operator would, and says where.
    fn publish(&self, folder: &Path, number: u64) -> FidoMetadata {
        let finger = json!({"userVerificationMethod": "fingerprint_internal"});
        let pin = json!({"userVerificationMethod": "passcode_external"});
        let payload = json!({"no": number, "nextUpdate": "2072-01-01", "entries": [
            entry(FINGER, &self.vendor, json!([[finger]])),
            entry(FINGER_OR_PIN, &self.vendor, json!([[finger], [pin]])),
        ]});
        let (der, key) = self.root.certify(&named(&[(DnType::CommonName, "Metadata signer")]));
        let header = json!({"x5c": [base64::encode(&der)]}).as_object().unwrap().clone();
        let blob = jws::sign(header, payload.to_string().as_bytes(), &key).unwrap();
        let (blob_file, root_file) = (folder.join("mds.jwt"), folder.join("mds-root.pem"));
        std::fs::write(&blob_file, blob + "\n").unwrap();
        std::fs::write(&root_file, &self.root.pem).unwrap();
        FidoMetadata { blob: blob_file, roots: vec![root_file], signer_dns_name: None, grace_days: 0 }
    }

    /// An authenticator of that model, with a certificate as WebAuthn section 8.2.1 wants it.
    fn authenticator(&self, aaguid: [u8; 16]) -> SoftwareAuthenticator {
        let mut params = named(&[
            (DnType::CountryName, "AA"),
            (DnType::OrganizationName, "Example Keys"),
            (DnType::OrganizationalUnitName, "Authenticator Attestation"),
            (DnType::CommonName, "Example key"),
        ]);
        params.is_ca = IsCa::ExplicitNoCa;
        let content = [&[0x04, 0x10][..], &aaguid].concat();
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], content)];
        let (der, key) = self.vendor.certify(&params);
        let packed = AttestationSource::Packed { key: Arc::new(key), chain: vec![der] };
        SoftwareAuthenticator::new(WALLET, Arc::new(SystemRandom)).with_attestation(aaguid, packed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_of_attested_keys_reach_the_portal() {
    let (fido, folder) = (Fido::new(), tempfile::tempdir().unwrap());
    let metadata = fido.publish(folder.path(), 7);
    let world = World::start_with(Records::Memory, |issuer, _| issuer.fido_metadata = Some(metadata)).await;
    for (model, reached, enough) in [
        (
            Some(FINGER),
            AssuranceLevel::BiometricAttested,
            ["biometric_attested", "biometric_capable", "uv"].as_slice(),
        ),
        (Some(FINGER_OR_PIN), AssuranceLevel::BiometricCapable, ["biometric_capable", "uv"].as_slice()),
        (None, AssuranceLevel::Uv, ["uv"].as_slice()),
    ] {
        let mut wallet = Wallet::new(&world);
        if let Some(model) = model {
            wallet.authenticator = fido.authenticator(model);
        }
        let offer = world.offer(&["patient_identity"], false).await;
        wallet.accept(text(&offer, "credential_offer_uri"), None).await.unwrap();
        for demanded in ["uv", "biometric_capable", "biometric_attested"] {
            let request = json!({"template": "patient_identity", "purpose": "Open your record",
                "min_level": demanded, "response_mode": "direct_post.jwt"});
            let request = world.ask(request).await;
            let answered = wallet.answer(text(&request, "request_uri")).await;
            let state = world.state(&request).await;
            if enough.contains(&demanded) {
                assert!(answered.unwrap().accepted, "{reached:?} for {demanded}");
                assert_eq!(level(&state), reached, "{state}");
            } else {
                // The holder's engine may see it coming; if not, the portal refuses.
                let refused = answered.map_or_else(|error| Some(error.code().to_owned()), |done| done.code);
                assert!(refused.is_some(), "{reached:?} for {demanded}: {state}");
                assert_ne!(text(&state, "state"), "verified", "{state}");
            }
        }
    }
}

#[tokio::test]
async fn a_kind_of_credential_may_want_a_level() {
    let (fido, folder) = (Fido::new(), tempfile::tempdir().unwrap());
    let metadata = fido.publish(folder.path(), 7);
    let world = World::start_with(Records::Memory, |issuer, _| {
        issuer.fido_metadata = Some(metadata);
        issuer.required_levels.insert("patient_identity".into(), AssuranceLevel::BiometricAttested);
    })
    .await;
    for (model, issued) in [(Some(FINGER_OR_PIN), false), (None, false), (Some(FINGER), true)] {
        let mut wallet = Wallet::new(&world);
        if let Some(model) = model {
            wallet.authenticator = fido.authenticator(model);
        }
        let offer = world.offer(&["patient_identity"], false).await;
        let accepted = wallet.accept(text(&offer, "credential_offer_uri"), None).await;
        assert_eq!(
            (accepted.is_ok(), wallet.credentials.len()),
            (issued, usize::from(issued)),
            "{accepted:?}"
        );
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_used_stops_the_start_and_never_goes_back() {
    let (fido, folder) = (Fido::new(), tempfile::tempdir().unwrap());
    let open = async |metadata: FidoMetadata| {
        let config = carekey_issuer::Config {
            data_dir: folder.path().join("issuer"),
            fido_metadata: Some(metadata),
            ..carekey_issuer::Config::default()
        };
        let url = "http://localhost:8801".parse().unwrap();
        let (store, clock, random) =
            (Arc::new(MemoryStore::default()), Arc::new(SystemClock), Arc::new(SystemRandom));
        carekey_issuer::App::open(&config, &url, store, clock, random)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let good = fido.publish(folder.path(), 7);
    let gone = FidoMetadata { blob: folder.path().join("gone.jwt"), ..good.clone() };
    assert!(open(gone).await.unwrap_err().contains("gone.jwt"));
    let strange = folder.path().join("strange.pem");
    std::fs::write(&strange, Authority::new("Somebody else").pem).unwrap();
    let strange = FidoMetadata { roots: vec![strange], ..good.clone() };
    assert!(open(strange).await.unwrap_err().contains("mds.jwt"));
    let other_signer = FidoMetadata { signer_dns_name: Some("mds.example".into()), ..good.clone() };
    assert!(open(other_signer).await.unwrap_err().contains("mds.jwt"));
    open(good).await.unwrap();

    // The number never decreases, not over a restart either.
    open(fido.publish(folder.path(), 8)).await.unwrap();
    let rollback = open(fido.publish(folder.path(), 7)).await.unwrap_err();
    assert!(rollback.contains("metadata_rollback") || rollback.contains("older"), "{rollback}");
    open(fido.publish(folder.path(), 8)).await.unwrap();
}
