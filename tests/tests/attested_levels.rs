//! The upper levels of the ladder through both services: an operator configures a metadata BLOB and its root by files, a
//! key is enrolled with packed attestation, and the portal demands the level. Root, BLOB and models are made here.

use std::path::Path;
use std::sync::Arc;

use carekey_core::attestation::WalletApps;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::authenticator::{AttestationSource, SoftwareAuthenticator};
use carekey_core::clock::{Clock, SystemClock};
use carekey_core::encoding::base64;
use carekey_core::jose::jws;
use carekey_core::key::SoftwareKey;
use carekey_core::random::SystemRandom;
use carekey_core::store::MemoryStore;
use carekey_issuer::config::{AndroidAttestation, AppleAttestation, FidoMetadata};
use carekey_tests::phone::{
    APP_ID, AndroidMaker, AppKey, AppleMaker, BATCH_SERIAL, EmbeddedKey, KeyFacts, status_list,
};
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

/// The portal's view of a presentation by `key`: the level that it read, or `None` when it did not come to that.
async fn presented(
    world: &World,
    wallet: &Wallet,
    key: &EmbeddedKey,
    demanded: &str,
) -> Option<AssuranceLevel> {
    let request = json!({"template": "patient_identity", "purpose": "Open your record",
        "min_level": demanded, "response_mode": "direct_post.jwt"});
    let request = world.ask(request).await;
    let review = wallet.open(text(&request, "request_uri")).await.unwrap();
    let answered = wallet.answer_with(review, |_, options| Ok(key.assert(options))).await;
    let state = world.state(&request).await;
    answered.is_ok_and(|answer| answer.accepted).then(|| level(&state))
}

/// An issuer that takes Android phones of one maker by a status list in a file, and Apple devices of another.
async fn hospital_for_phones(folder: &Path, android: &AndroidMaker, apple: &AppleMaker) -> World {
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (google, apple) = (file("google.pem", &android.root.pem), file("apple.pem", &apple.root.pem));
    let status_list = Some(file("status.json", &status_list(&["abc"])));
    World::start_with(Records::Memory, |issuer, _| {
        issuer.wallets[0].apps =
            WalletApps { android: vec![AndroidMaker::registered_app()], apple: vec![APP_ID.to_owned()] };
        issuer.android_attestation = Some(AndroidAttestation {
            roots: vec![google],
            status_list,
            min_patch_level: Some(202_601),
            ..AndroidAttestation::default()
        });
        issuer.apple_attestation =
            Some(AppleAttestation { roots: vec![apple], ..AppleAttestation::default() });
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_phones_reach_the_portal() {
    let (android, apple, folder) =
        (AndroidMaker::default(), AppleMaker::default(), tempfile::tempdir().unwrap());
    let world = hospital_for_phones(folder.path(), &android, &apple).await;

    // Android: the hardware says that every use needs a biometric.
    let mut wallet = Wallet::new(&world);
    let mut key = None;
    let offer = world.offer(&["patient_identity"], false).await;
    let facts = KeyFacts::default();
    let accepted = wallet.accept_with(text(&offer, "credential_offer_uri"), None, |_, options| {
        let (made, response) = android.register(options, WALLET, &facts);
        key = Some(made);
        Ok(response)
    });
    accepted.await.unwrap();
    let reached = presented(&world, &wallet, &key.unwrap(), "biometric_attested").await;
    assert_eq!(reached, Some(AssuranceLevel::BiometricAttested));

    // iOS: twice with one App Attest key, attested at the first time.
    let app = AppKey::default();
    for _ in 0..2 {
        let mut wallet = Wallet::new(&world);
        let mut key = None;
        let offer = world.offer(&["patient_identity"], false).await;
        let accepted = wallet.accept_with(text(&offer, "credential_offer_uri"), None, |_, options| {
            let (made, response) = apple.register(options, WALLET, &app);
            key = Some(made);
            Ok(response)
        });
        accepted.await.unwrap();
        let key = key.unwrap();
        let reached = presented(&world, &wallet, &key, "biometric_app_asserted").await;
        assert_eq!(reached, Some(AssuranceLevel::BiometricAppAsserted));
        assert_eq!(presented(&world, &wallet, &key, "biometric_attested").await, None);
    }
    // The counter of the app's key is kept: one that does not grow is refused, and nothing is issued.
    app.rewind();
    let offer = world.offer(&["patient_identity"], false).await;
    let mut wallet = Wallet::new(&world);
    let refused = wallet.accept_with(text(&offer, "credential_offer_uri"), None, |_, options| {
        Ok(apple.register(options, WALLET, &app).1)
    });
    let refused = refused.await.unwrap_err();
    assert!(refused.detail().contains("app_attest_counter"), "{refused}");
    assert!(wallet.credentials.is_empty());
}

#[tokio::test]
async fn phones_that_fall_short_get_nothing_over_http() {
    let (android, apple, folder) =
        (AndroidMaker::default(), AppleMaker::default(), tempfile::tempdir().unwrap());
    let world = hospital_for_phones(folder.path(), &android, &apple).await;
    let collect = async |facts: KeyFacts| {
        let offer = world.offer(&["patient_identity"], false).await;
        let mut wallet = Wallet::new(&world);
        let accepted = wallet.accept_with(text(&offer, "credential_offer_uri"), None, |_, options| {
            Ok(android.register(options, WALLET, &facts).1)
        });
        let accepted = accepted.await;
        assert_eq!(accepted.is_ok(), !wallet.credentials.is_empty());
        accepted.map_err(|error| error.detail().to_owned())
    };
    let refused = async |facts: KeyFacts, code: &str| {
        let detail = collect(facts).await.unwrap_err();
        assert!(detail.contains(code), "{code}: {detail}");
    };
    collect(KeyFacts::default()).await.unwrap();
    refused(KeyFacts { user_auth_type: Some(3), ..KeyFacts::default() }, "android_key_user_auth_type").await;
    refused(KeyFacts { os_patch_level: Some(202_512), ..KeyFacts::default() }, "android_key_patch_level")
        .await;

    // The operator renews the file: what is revoked from then on is refused.
    let list = folder.path().join("status.json");
    std::fs::write(&list, status_list(&[&format!("{BATCH_SERIAL:x}")])).unwrap();
    world.issuer.upkeep().await.unwrap();
    refused(KeyFacts::default(), "android_key_revoked").await;
    // A file that cannot be read leaves the list that was loaded; no list for too long stops Android keys.
    std::fs::write(&list, "{}").unwrap();
    world.issuer.upkeep().await.unwrap();
    refused(KeyFacts::default(), "android_key_revoked").await;
    std::fs::write(&list, status_list(&[])).unwrap();
    world.issuer.upkeep().await.unwrap();
    collect(KeyFacts::default()).await.unwrap();
    world.clock.set(world.clock.now().plus(73 * 3600));
    refused(KeyFacts::default(), "android_status_stale").await;
}

#[tokio::test]
async fn metadata_that_went_bad_holds_up_no_status_list() {
    let (fido, android, folder) = (Fido::new(), AndroidMaker::default(), tempfile::tempdir().unwrap());
    let metadata = fido.publish(folder.path(), 7);
    let blob = metadata.blob.clone();
    let (root, list) = (folder.path().join("google.pem"), folder.path().join("status.json"));
    std::fs::write(&root, &android.root.pem).unwrap();
    std::fs::write(&list, status_list(&[])).unwrap();
    let status_list_file = Some(list.clone());
    let world = World::start_with(Records::Memory, |issuer, _| {
        issuer.fido_metadata = Some(metadata);
        issuer.android_attestation = Some(AndroidAttestation {
            roots: vec![root],
            status_list: status_list_file,
            ..AndroidAttestation::default()
        });
    })
    .await;
    std::fs::write(&blob, "nothing").unwrap();
    std::fs::write(&list, status_list(&["abc"])).unwrap();
    world.issuer.upkeep().await.unwrap();
    let trust = world.issuer.issuer().attestation_trust();
    assert_eq!(trust.metadata.as_ref().unwrap().number(), 7);
    assert_eq!(trust.android.as_ref().unwrap().status.len(), 1);
}

#[tokio::test]
async fn the_status_list_is_fetched_and_kept() {
    let android = AndroidMaker::default();
    let folder = tempfile::tempdir().unwrap();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url =
        format!("http://{}/attestation/status", socket.local_addr().unwrap()).parse().unwrap();
    let list = status_list(&[&format!("{BATCH_SERIAL:x}")]);
    let router = axum::Router::new().route("/attestation/status", axum::routing::get(|| async { list }));
    let server = tokio::spawn(async { axum::serve(socket, router).await });
    let root = folder.path().join("google.pem");
    std::fs::write(&root, &android.root.pem).unwrap();
    let config = carekey_issuer::Config {
        data_dir: folder.path().join("issuer"),
        fetch: carekey_service::fetch::FetchConfig {
            loopback: true,
            ..carekey_service::fetch::FetchConfig::default()
        },
        android_attestation: Some(AndroidAttestation {
            roots: vec![root],
            status_url: Some(url),
            ..AndroidAttestation::default()
        }),
        ..carekey_issuer::Config::default()
    };
    let open = async |config: &carekey_issuer::Config| {
        let (store, clock, random) =
            (Arc::new(MemoryStore::default()), Arc::new(SystemClock), Arc::new(SystemRandom));
        let public = "http://localhost:8801".parse().unwrap();
        carekey_issuer::App::open(config, &public, store, clock, random)
            .await
            .map_err(|error| error.to_string())
    };
    let revoked = |app: Arc<carekey_issuer::App>| {
        app.issuer().attestation_trust().android.as_ref().map(|android| android.status.len())
    };
    assert_eq!(revoked(open(&config).await.unwrap()), Some(1));
    // A restart without that address uses the copy; a first start does not go without a list.
    server.abort();
    assert_eq!(revoked(open(&config).await.unwrap()), Some(1));
    let first = carekey_issuer::Config { data_dir: folder.path().join("other"), ..config.clone() };
    assert!(open(&first).await.unwrap_err().contains("android-status.json"));
    let neither = carekey_issuer::Config {
        android_attestation: Some(AndroidAttestation::default()),
        ..carekey_issuer::Config::default()
    };
    let neither = carekey_issuer::Config { data_dir: folder.path().join("third"), ..neither };
    assert!(open(&neither).await.unwrap_err().contains("status_url"));
}
