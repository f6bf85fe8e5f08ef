//! Makers of phones whose attestations are made up here: an Android phone that describes a key in any way a test wants,
//! and an Apple device with an App Attest key. Both speak the real formats under roots of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use carekey_core::attestation::android_key::status::StatusList;
use carekey_core::attestation::android_key::{AndroidApp, AndroidTrust};
use carekey_core::authenticator::ceremony::{Evidence, NewRegistration, UnsignedAssertion};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::key::{PublicKey, Signer, SoftwareKey};
use carekey_core::random::{Random, SystemRandom};
use carekey_core::webauthn::Bytes;
use carekey_core::webauthn::assertion::AuthenticationResponse;
use carekey_core::webauthn::options::{CreationOptions, RequestOptions};
use carekey_core::webauthn::registration::{AppAttestEvidence, RegistrationResponse};
use carekey_core::x509::TrustAnchor;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};

/// A certification authority of a test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub der: Vec<u8>,
    /// The same in PEM.
    pub pem: String,
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2074, 1, 1);
    params
}

fn authority_params(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Authority {
    /// A root.
    pub fn root(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority_params(name, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// An authority below this one, its parameters changed by `change`.
    pub fn below(&self, name: &str, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = authority_params(name, serial);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    fn certify(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer).expect("a certificate").der().to_vec()
    }

    /// As trust anchor.
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::from_der(&self.der).expect("a certificate")
    }
}

fn key() -> (KeyPair, SoftwareKey) {
    let pair = KeyPair::generate().expect("a key");
    let key = SoftwareKey::from_pkcs8(&pair.serialize_der()).expect("P-256");
    (pair, key)
}

fn tlv(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..0x80 => vec![u8::try_from(length).expect("short")],
        0x80..0x100 => vec![0x81, u8::try_from(length).expect("short")],
        _ => [&[0x82][..], &u16::try_from(length).expect("short").to_be_bytes()].concat(),
    };
    [tag, &header, content].concat()
}

fn octets(content: &[u8]) -> Vec<u8> {
    tlv(&[0x04], content)
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(&[0x30], &parts.concat())
}

fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(&[0x31], &parts.concat())
}

fn number(tag: u8, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let zero = digits.first().is_none_or(|first| *first >= 0x80);
    tlv(&[tag], &[if zero { vec![0] } else { Vec::new() }, digits].concat())
}

fn integer(value: u64) -> Vec<u8> {
    number(0x02, value)
}

fn enumerated(value: u64) -> Vec<u8> {
    number(0x0a, value)
}

fn tagged(tag: u32, content: Vec<u8>) -> (u32, Vec<u8>) {
    let bytes = |value: u32| u8::try_from(value).expect("seven bits");
    let encoded = match tag {
        0..31 => vec![0xa0 | bytes(tag)],
        _ => vec![0xbf, 0x80 | bytes(tag >> 7), bytes(tag & 0x7f)],
    };
    (tag, tlv(&encoded, &content))
}

/// What a phone says about a key. The default is the key that [`AndroidMaker::registered_app`] makes as it should.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Where the attestation is made: 0 software, 1 TEE, 2 StrongBox.
    pub attestation_level: u64,
    /// Where the key lives.
    pub key_level: u64,
    /// `attestationChallenge`; the hash of the client data when `None`.
    pub challenge: Option<Vec<u8>>,
    /// 1.
    pub purposes: Vec<u64>,
    /// 503.
    pub no_auth_required: bool,
    /// 504.
    pub user_auth_type: Option<u64>,
    /// 504, 702 and 704 stand in the list that software enforces.
    pub enforced_by_software: bool,
    /// 505.
    pub auth_timeout: Option<u64>,
    /// 600.
    pub all_applications: bool,
    /// 702.
    pub origin: Option<u64>,
    /// 704: locked, boot state (0 verified).
    pub root_of_trust: Option<(bool, u64)>,
    /// 706.
    pub os_patch_level: Option<u64>,
    /// 709: packages.
    pub packages: Option<Vec<String>>,
    /// 709: digests.
    pub digests: Vec<[u8; 32]>,
    /// 718.
    pub vendor_patch_level: Option<u64>,
    /// 719.
    pub boot_patch_level: Option<u64>,
    /// The whole extension instead.
    pub extension: Option<Vec<u8>>,
    /// No extension at all.
    pub no_extension: bool,
}

/// SHA-256 of the certificate that signs the registered app.
pub const SIGNING_DIGEST: [u8; 32] = [0x5a; 32];
/// The registered app.
pub const PACKAGE: &str = "example.carekey.wallet";

impl Default for KeyFacts {
    fn default() -> Self {
        Self {
            attestation_level: 1,
            key_level: 1,
            challenge: None,
            purposes: vec![2],
            no_auth_required: false,
            user_auth_type: Some(2),
            enforced_by_software: false,
            auth_timeout: None,
            all_applications: false,
            origin: Some(0),
            root_of_trust: Some((true, 0)),
            os_patch_level: Some(202_610),
            packages: Some(vec![PACKAGE.to_owned()]),
            digests: vec![SIGNING_DIGEST],
            vendor_patch_level: Some(20_261_005),
            boot_patch_level: Some(20_261_005),
            extension: None,
            no_extension: false,
        }
    }
}

impl KeyFacts {
    /// The value of the extension.
    pub fn encode(&self, challenge: &[u8]) -> Vec<u8> {
        if let Some(extension) = &self.extension {
            return extension.clone();
        }
        let integers = |values: &[u64]| values.iter().map(|value| integer(*value)).collect::<Vec<_>>();
        let flag = |tag| tagged(tag, vec![0x05, 0x00]);
        let mut hardware = vec![tagged(1, set(&integers(&self.purposes))), tagged(2, integer(3))];
        let mut software = vec![tagged(701, integer(1_771_894_563_060))];
        hardware.extend(self.no_auth_required.then(|| flag(503)));
        hardware.extend(self.auth_timeout.map(|seconds| tagged(505, integer(seconds))));
        hardware.extend(self.all_applications.then(|| flag(600)));
        let judged = if self.enforced_by_software { &mut software } else { &mut hardware };
        judged.extend(self.user_auth_type.map(|kinds| tagged(504, integer(kinds))));
        judged.extend(self.origin.map(|origin| tagged(702, integer(origin))));
        judged.extend(self.root_of_trust.map(|(locked, state)| {
            let locked = vec![0x01, 0x01, if locked { 0xff } else { 0 }];
            tagged(704, sequence(&[octets(&[7; 32]), locked, enumerated(state), octets(&[8; 32])]))
        }));
        hardware.extend(self.os_patch_level.map(|month| tagged(706, integer(month))));
        hardware.extend(self.vendor_patch_level.map(|day| tagged(718, integer(day))));
        hardware.extend(self.boot_patch_level.map(|day| tagged(719, integer(day))));
        software.extend(self.packages.as_ref().map(|packages| {
            let packages: Vec<_> =
                packages.iter().map(|name| sequence(&[octets(name.as_bytes()), integer(1)])).collect();
            let digests: Vec<_> = self.digests.iter().map(|digest| octets(digest)).collect();
            tagged(709, octets(&sequence(&[set(&packages), set(&digests)])))
        }));
        let list = |mut fields: Vec<(u32, Vec<u8>)>| {
            fields.sort_by_key(|(tag, _)| *tag);
            sequence(&fields.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>())
        };
        sequence(&[
            integer(400),
            enumerated(self.attestation_level),
            integer(400),
            enumerated(self.key_level),
            octets(self.challenge.as_deref().unwrap_or(challenge)),
            octets(&[]),
            list(software),
            list(hardware),
        ])
    }
}

fn description(facts: &KeyFacts, challenge: &[u8]) -> Option<CustomExtension> {
    const OID: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
    (!facts.no_extension).then(|| CustomExtension::from_oid_content(OID, facts.encode(challenge)))
}

/// Serial number of the batch certificate.
pub const BATCH_SERIAL: u64 = 0x2c8c_ddfd_5e03_bfc0;

/// A maker of Android phones: a root in place of Google's, and one batch of phones.
pub struct AndroidMaker {
    /// The root.
    pub root: Authority,
    /// The batch certificate.
    pub batch: Authority,
}

impl Default for AndroidMaker {
    fn default() -> Self {
        let root = Authority::root("Phone root");
        let batch = root.below("Batch", BATCH_SERIAL, |_| {});
        Self { root, batch }
    }
}

impl AndroidMaker {
    /// What an issuer loads: the root and a status list that names `revoked`.
    pub fn trust(&self, revoked: &[&str], usable_until: UnixTime) -> AndroidTrust {
        let list = status_list(revoked);
        let status = StatusList::parse(list.as_bytes(), usable_until).expect("a list");
        AndroidTrust { roots: vec![self.root.anchor()], status }
    }

    /// The app that the issuer has registered.
    pub fn registered_app() -> AndroidApp {
        AndroidApp {
            package: PACKAGE.to_owned(),
            signing_digests: vec![base64url::encode(&SIGNING_DIGEST), base64url::encode(&[0x5b; 32])],
        }
    }

    /// A key in a phone, with its chain: leaf, batch certificate.
    pub fn attest(&self, facts: &KeyFacts, challenge: &[u8]) -> (SoftwareKey, Vec<Vec<u8>>) {
        let (pair, key) = key();
        let mut leaf = params("Android Keystore Key", 1);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions.extend(description(facts, challenge));
        (key, vec![self.batch.certify(&leaf, &pair), self.batch.der.clone()])
    }

    /// A key that says anything of itself, certified by an app with a key of the phone that may sign certificates.
    pub fn attest_below_attested(
        &self,
        below: &KeyFacts,
        above: &KeyFacts,
        challenge: &[u8],
    ) -> (SoftwareKey, Vec<Vec<u8>>) {
        let middle = self.batch.below("Android Keystore Key", 1, |params| {
            params.custom_extensions.extend(description(above, challenge));
        });
        let (pair, key) = key();
        let mut leaf = params("Made up", 1);
        leaf.custom_extensions.extend(description(below, challenge));
        (key, vec![middle.certify(&leaf, &pair), middle.der, self.batch.der.clone()])
    }

    /// The whole registration for `options`.
    pub fn register(
        &self,
        options: &CreationOptions,
        origin: &str,
        facts: &KeyFacts,
    ) -> (EmbeddedKey, RegistrationResponse) {
        let (id, new) = begin(options, origin);
        let (key, chain) = self.attest(facts, &new.client_data_hash());
        let unsigned = new.with_key(key.public_key()).expect("P-256");
        let signature = key.sign_der(&unsigned.message()).expect("a signature");
        let response = unsigned.finish(Evidence::AndroidKey { signature, chain });
        (EmbeddedKey { id, key, origin: origin.to_owned() }, response)
    }
}

/// The status list as Google publishes it.
pub fn status_list(revoked: &[&str]) -> String {
    let entries: serde_json::Map<_, _> = revoked
        .iter()
        .map(|serial| {
            ((*serial).to_owned(), serde_json::json!({"status": "REVOKED", "reason": "KEY_COMPROMISE"}))
        })
        .collect();
    serde_json::json!({ "entries": entries }).to_string()
}

fn begin(options: &CreationOptions, origin: &str) -> (Vec<u8>, NewRegistration) {
    let random: &dyn Random = &SystemRandom;
    let id: [u8; 32] = random.array();
    (id.to_vec(), NewRegistration::begin(options, origin, &id).expect("ES256 is offered"))
}

/// AK of an embedded authenticator.
pub struct EmbeddedKey {
    id: Vec<u8>,
    key: SoftwareKey,
    origin: String,
}

impl EmbeddedKey {
    /// The assertion for `options`.
    pub fn assert(&self, options: &RequestOptions) -> AuthenticationResponse {
        let unsigned = UnsignedAssertion::begin(options, &self.origin, &self.id).expect("its own key");
        let signature = self.key.sign_der(&unsigned.message()).expect("a signature");
        unsigned.finish(signature)
    }
}

/// Apple, as far as App Attest needs it.
pub struct AppleMaker {
    /// The root.
    pub root: Authority,
    /// The authority of leaves.
    pub intermediate: Authority,
}

impl Default for AppleMaker {
    fn default() -> Self {
        let root = Authority::root("App Attest root");
        let intermediate = root.below("App Attest CA 1", 2, |_| {});
        Self { root, intermediate }
    }
}

/// The registered app.
pub const APP_ID: &str = "0123456789.example.carekey.wallet";

/// How an App Attest key is attested. The default is as it should be.
#[derive(Debug, Clone)]
pub struct AppleFacts {
    /// The app.
    pub app_id: String,
    /// `aaguid`.
    pub environment: [u8; 16],
    /// The counter.
    pub counter: u32,
    /// Nonce of the leaf, if another.
    pub nonce: Option<[u8; 32]>,
    /// The key in the authenticator data, if another.
    pub key: Option<PublicKey>,
    /// The credential id, if another than the key's name.
    pub credential_id: Option<Vec<u8>>,
    /// Last day of the leaf.
    pub expired: bool,
}

impl Default for AppleFacts {
    fn default() -> Self {
        Self {
            app_id: APP_ID.to_owned(),
            environment: *b"appattest\0\0\0\0\0\0\0",
            counter: 0,
            nonce: None,
            key: None,
            credential_id: None,
            expired: false,
        }
    }
}

/// An app's App Attest key.
pub struct AppKey {
    pair: KeyPair,
    key: SoftwareKey,
    /// Its name.
    pub id: Vec<u8>,
    counter: AtomicU32,
}

impl Default for AppKey {
    fn default() -> Self {
        let (pair, key) = key();
        let id = sha256(&key.public_key().to_sec1_uncompressed()).to_vec();
        Self { pair, key, id, counter: AtomicU32::new(0) }
    }
}

fn cbor_head(major: u8, length: usize) -> Vec<u8> {
    match length {
        0..24 => vec![major << 5 | u8::try_from(length).expect("short")],
        24..256 => vec![major << 5 | 24, u8::try_from(length).expect("short")],
        _ => [&[major << 5 | 25][..], &u16::try_from(length).expect("short").to_be_bytes()].concat(),
    }
}

fn cbor_text(text: &str) -> Vec<u8> {
    [cbor_head(3, text.len()), text.as_bytes().to_vec()].concat()
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [cbor_head(2, bytes.len()), bytes.to_vec()].concat()
}

impl AppleMaker {
    /// `attestKey`.
    pub fn attestation(&self, app: &AppKey, hash: &[u8; 32], facts: &AppleFacts) -> Vec<u8> {
        let public = facts.key.as_ref().unwrap_or(app.key.public_key());
        let id = facts.credential_id.as_deref().unwrap_or(&app.id);
        let point = public.to_sec1_uncompressed();
        let mut data = [&sha256(facts.app_id.as_bytes())[..], &[0x40]].concat();
        data.extend(facts.counter.to_be_bytes());
        data.extend(facts.environment);
        data.extend(u16::try_from(id.len()).expect("short").to_be_bytes());
        data.extend(id);
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21]);
        data.extend(cbor_bytes(&point[1..33]));
        data.push(0x22);
        data.extend(cbor_bytes(&point[33..]));
        let nonce = facts.nonce.unwrap_or_else(|| sha256(&[&data[..], hash].concat()));
        let mut leaf = params("App key", 3);
        if facts.expired {
            leaf.not_after = rcgen::date_time_ymd(2024, 4, 20);
        }
        leaf.custom_extensions.push(CustomExtension::from_oid_content(
            &[1, 2, 840, 113_635, 100, 8, 2],
            sequence(&[tagged(1, octets(&nonce)).1]),
        ));
        let leaf = self.intermediate.certify(&leaf, &app.pair);
        let mut object = cbor_head(5, 3);
        object.extend(cbor_text("fmt"));
        object.extend(cbor_text("apple-appattest"));
        object.extend(cbor_text("attStmt"));
        object.extend(cbor_head(5, 2));
        object.extend(cbor_text("x5c"));
        object.extend(cbor_head(4, 2));
        object.extend(cbor_bytes(&leaf));
        object.extend(cbor_bytes(&self.intermediate.der));
        object.extend(cbor_text("receipt"));
        object.extend(cbor_bytes(b"not looked at"));
        object.extend(cbor_text("authData"));
        object.extend(cbor_bytes(&data));
        object
    }

    /// The whole registration for `options`: a key that the app says needs a biometric, vouched for by `app`; attested
    /// at its first use.
    pub fn register(
        &self,
        options: &CreationOptions,
        origin: &str,
        app: &AppKey,
    ) -> (EmbeddedKey, RegistrationResponse) {
        let first = app.counter.load(Ordering::SeqCst) == 0;
        let (id, new) = begin(options, origin);
        let (_, key) = key();
        let unsigned = new.with_key(key.public_key()).expect("P-256");
        let hash = unsigned.app_attest_hash();
        let evidence = AppAttestEvidence {
            key_id: Bytes(app.id.clone()),
            attestation: first.then(|| Bytes(self.attestation(app, &hash, &AppleFacts::default()))),
            assertion: Bytes(app.assertion(&hash, APP_ID)),
        };
        let response = unsigned.finish(Evidence::AppAttest(evidence));
        (EmbeddedKey { id, key, origin: origin.to_owned() }, response)
    }
}

impl AppKey {
    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// `generateAssertion`.
    pub fn assertion(&self, hash: &[u8; 32], app_id: &str) -> Vec<u8> {
        let counter = self.counter.fetch_add(1, Ordering::SeqCst) + 1;
        // Apple's own flag for attested data, though there is none.
        let mut data = [&sha256(app_id.as_bytes())[..], &[0x40]].concat();
        data.extend(counter.to_be_bytes());
        let signature = self.key.sign_der(&sha256(&[&data[..], hash].concat())).expect("a signature");
        let mut assertion = cbor_head(5, 2);
        assertion.extend(cbor_text("signature"));
        assertion.extend(cbor_bytes(&signature));
        assertion.extend(cbor_text("authenticatorData"));
        assertion.extend(cbor_bytes(&data));
        assertion
    }

    /// Makes the next assertion repeat the counter of the last.
    pub fn rewind(&self) {
        self.counter.fetch_sub(1, Ordering::SeqCst);
    }
}
