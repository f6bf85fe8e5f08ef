//! Key attestations and wallet attestations, by a wallet provider with certificates and by one with a pinned key: what
//! passes, and one refusal for every check.
#![allow(clippy::unwrap_used)]

use carekey_core::Result;
use carekey_core::attestation::key_attestation::{
    self, KeyAttestation, KeyAttestationExpectation, KeyAttestationsRequired, VerifiedKeyAttestation,
};
use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::attestation::wallet_attestation::{
    self, PossessionProof, VerifiedWallet, WalletAttestation, WalletAttestationExpectation,
};
use carekey_core::attestation::wallet_provider::{
    WalletProvider, key_storage_level, key_storage_value, user_authentication_level,
    user_authentication_value,
};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::base64;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::{jws, jwt};
use carekey_core::key::{PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::x509::TrustAnchor;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Map, Value, json};

const NOW: UnixTime = UnixTime::from_secs(1_796_000_000);
const ALGORITHMS: &[SignatureAlgorithm] = &[SignatureAlgorithm::Es256];
const SERVER: &str = "https://hospital.example";
const CLIENT: &str = "wallet.example";

fn key() -> SoftwareKey {
    SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap()
}

fn code<T>(result: Result<T>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "accepted")
}

/// A provider that signs under a certificate, and one whose key is pinned.
struct Providers {
    certified: SoftwareKey,
    x5c: Vec<String>,
    pinned: SoftwareKey,
    trusted: Vec<WalletProvider>,
}

impl Providers {
    fn new() -> Self {
        let (root, leaf) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = TrustAnchor::from_der(params.self_signed(&root).unwrap().der()).unwrap();
        let signed =
            CertificateParams::default().signed_by(&leaf, &Issuer::from_params(&params, &root)).unwrap();
        let pinned = key();
        let mut jwk = Jwk::from_key(pinned.public_key());
        jwk.kid = Some("key-1".to_owned());
        Self {
            certified: SoftwareKey::from_pkcs8(&leaf.serialize_der()).unwrap(),
            x5c: vec![base64::encode(signed.der())],
            pinned,
            trusted: vec![
                WalletProvider { name: "certified".into(), anchors: vec![anchor], ..Default::default() },
                WalletProvider { name: "pinned".into(), keys: vec![jwk], ..Default::default() },
            ],
        }
    }

    fn x5c(&self) -> Map<String, Value> {
        json!({"x5c": self.x5c}).as_object().unwrap().clone()
    }
}

fn kid(kid: &str) -> Map<String, Value> {
    json!({"kid": kid}).as_object().unwrap().clone()
}

fn expected(providers: &Providers) -> KeyAttestationExpectation<'_> {
    KeyAttestationExpectation {
        providers: &providers.trusted,
        algorithms: ALGORITHMS,
        expiry_required: true,
        max_age: 300,
        skew: 60,
        now: NOW,
    }
}

fn verify(compact: &str, providers: &Providers) -> Result<VerifiedKeyAttestation> {
    key_attestation::verify(compact, &expected(providers), &Limits::DEFAULT)
}

#[test]
fn keys_that_a_provider_vouches_for() {
    let providers = Providers::new();
    let (first, second) = (key(), key());
    let keys = [first.public_key().clone(), second.public_key().clone()];
    let storage = ["iso_18045_high".to_owned(), key_storage_value(KeyProtection::Tee)];
    let authentication = [user_authentication_value(AssuranceLevel::BiometricAttested)];
    let status = json!({"status_list": {"idx": 3, "uri": "https://provider.example/1"}});
    let good = KeyAttestation {
        keys: &keys,
        key_storage: &storage,
        user_authentication: &authentication,
        certification: Some("https://provider.example/certificate"),
        nonce: Some("n-1"),
        issued_at: NOW,
        expires_at: Some(NOW.plus(600)),
        status: Some(&status),
    };
    for (signer, header, name) in
        [(&providers.certified, providers.x5c(), "certified"), (&providers.pinned, kid("key-1"), "pinned")]
    {
        let compact = key_attestation::sign(&good, header, signer).unwrap();
        let verified = verify(&compact, &providers).unwrap();
        assert_eq!((verified.provider.as_str(), verified.keys.as_slice()), (name, &keys[..]));
        assert_eq!(verified.nonce.as_deref(), Some("n-1"));
        assert_eq!(verified.certification.as_deref(), Some("https://provider.example/certificate"));
        assert_eq!((verified.status.as_ref(), verified.expires_at), (Some(&status), Some(NOW.plus(600))));
        // A provider's word is not the hardware's.
        assert_eq!(verified.level(), AssuranceLevel::BiometricAppAsserted);
        assert_eq!(verified.protection(), KeyProtection::Tee);
        verified.check_key(second.public_key()).unwrap();
        assert_eq!(code(verified.check_key(key().public_key())), "key_attestation_key");
        let required = |storage: &[&str], authentication: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            let required = KeyAttestationsRequired {
                key_storage: owned(storage),
                user_authentication: owned(authentication),
            };
            code(verified.check_required(&required))
        };
        assert_eq!(required(&[], &[]), "accepted");
        assert_eq!(required(&["iso_18045_moderate", "iso_18045_high"], &[&authentication[0]]), "accepted");
        assert_eq!(required(&["iso_18045_moderate"], &[]), "key_attestation_storage");
        assert_eq!(required(&[], &["iso_18045_high"]), "key_attestation_user_authentication");
    }
    let sign = |change: &dyn Fn(&mut KeyAttestation<'_>), header, signer: &SoftwareKey| {
        let mut changed = good;
        change(&mut changed);
        code(verify(&key_attestation::sign(&changed, header, signer).unwrap(), &providers))
    };
    let pinned = |change: &dyn Fn(&mut KeyAttestation<'_>)| sign(change, kid("key-1"), &providers.pinned);
    assert_eq!(pinned(&|_| {}), "accepted");
    assert_eq!(pinned(&|a| a.expires_at = None), "key_attestation");
    assert_eq!(pinned(&|a| a.expires_at = Some(NOW.plus(-61))), "token_expired");
    assert_eq!(pinned(&|a| a.issued_at = NOW.plus(-301)), "key_attestation_stale");
    assert_eq!(pinned(&|a| a.issued_at = NOW.plus(61)), "key_attestation_future");
    assert_eq!(sign(&|_| {}, kid("key-2"), &providers.pinned), "wallet_provider_unknown");
    assert_eq!(sign(&|_| {}, Map::new(), &providers.pinned), "wallet_provider_unknown");
    assert_eq!(sign(&|_| {}, kid("key-1"), &key()), "signature_invalid");
    assert_eq!(sign(&|_| {}, providers.x5c(), &providers.pinned), "signature_invalid");
    let stranger = Providers::new();
    assert_eq!(sign(&|_| {}, stranger.x5c(), &stranger.certified), "wallet_provider_unknown");
    assert_eq!(
        code(key_attestation::sign(&KeyAttestation { keys: &[], ..good }, Map::new(), &key())),
        "key_attestation_keys"
    );

    let raw = |typ: &str, claims: Value| {
        let claims = claims.as_object().unwrap();
        code(verify(&jwt::sign(typ, kid("key-1"), claims, &providers.pinned).unwrap(), &providers))
    };
    let (iat, exp, jwk) = (NOW.as_secs(), NOW.as_secs() + 60, Jwk::from_key(&keys[0]).to_value());
    let typ = key_attestation::TYP;
    assert_eq!(raw(typ, json!({"iat": iat, "exp": exp, "attested_keys": [jwk]})), "accepted");
    assert_eq!(raw("JWT", json!({"iat": iat, "exp": exp, "attested_keys": [jwk]})), "jws_typ");
    for bad in [
        json!({"iat": iat, "exp": exp}),
        json!({"iat": iat, "exp": exp, "attested_keys": []}),
        json!({"iat": iat, "exp": exp, "attested_keys": [{"kty": "oct", "k": "AA"}]}),
        json!({"iat": iat, "exp": exp, "attested_keys": vec![jwk.clone(); 65]}),
        json!({"iat": iat, "exp": exp, "attested_keys": [jwk], "key_storage": []}),
        json!({"iat": iat, "exp": exp, "attested_keys": [jwk], "user_authentication": "iso_18045_high"}),
    ] {
        assert_eq!(raw(typ, bad), "key_attestation");
    }
    assert_eq!(raw(typ, json!({"exp": exp, "attested_keys": [jwk]})), "jwt_claim_missing");
    let other = SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap();
    assert_eq!(sign(&|_| {}, kid("key-1"), &other), "key_attestation_algorithm");
}

#[test]
fn names_of_levels() {
    for level in AssuranceLevel::ALL {
        assert_eq!(user_authentication_level(&user_authentication_value(level)), level);
    }
    assert_eq!(user_authentication_level("iso_18045_high"), AssuranceLevel::Uv);
    assert_eq!(user_authentication_level("https://other.example/x"), AssuranceLevel::None);
    for protection in [KeyProtection::Strongbox, KeyProtection::SecureEnclave, KeyProtection::Software] {
        assert_eq!(key_storage_level(&key_storage_value(protection)), protection);
    }
    assert_eq!(key_storage_level("iso_18045_high"), KeyProtection::Unknown);
}

fn instance(key: &PublicKey) -> WalletAttestation<'_> {
    WalletAttestation {
        issuer: "https://provider.example",
        client_id: CLIENT,
        key,
        wallet_name: Some("Example wallet"),
        issued_at: NOW,
        expires_at: NOW.plus(3600),
        status: None,
    }
}

const PROOF: PossessionProof<'_> =
    PossessionProof { client_id: CLIENT, audience: SERVER, jti: "j-1", challenge: Some("c-1"), now: NOW };

fn wallet(attestation: &str, pop: &str, providers: &Providers) -> Result<VerifiedWallet> {
    let expected = WalletAttestationExpectation {
        providers: &providers.trusted,
        algorithms: ALGORITHMS,
        audience: SERVER,
        client_id: Some(CLIENT),
        max_age: 300,
        skew: 60,
        now: NOW,
    };
    wallet_attestation::verify(attestation, pop, &expected, &Limits::DEFAULT)
}

#[test]
fn a_wallet_that_its_provider_vouches_for() {
    let (providers, instance_key) = (Providers::new(), key());
    let public = instance_key.public_key().clone();
    let sign = |attestation: &WalletAttestation<'_>| {
        wallet_attestation::sign(attestation, providers.x5c(), &providers.certified).unwrap()
    };
    let pop = |proof: &PossessionProof<'_>| wallet_attestation::sign_pop(proof, &instance_key).unwrap();
    let good = sign(&instance(&public));
    let verified = wallet(&good, &pop(&PROOF), &providers).unwrap();
    assert_eq!((verified.client_id.as_str(), verified.provider.as_str()), (CLIENT, "certified"));
    assert_eq!((&verified.key, verified.jti.as_str()), (&public, "j-1"));
    assert_eq!(verified.challenge.as_deref(), Some("c-1"));
    assert_eq!((verified.wallet_name.as_deref(), verified.proved_at), (Some("Example wallet"), NOW));

    // The attestation.
    let attested = |changed: WalletAttestation<'_>| code(wallet(&sign(&changed), &pop(&PROOF), &providers));
    let base = instance(&public);
    assert_eq!(attested(WalletAttestation { expires_at: NOW.plus(-60), ..base }), "token_expired");
    assert_eq!(attested(WalletAttestation { client_id: "other", ..base }), "wallet_attestation_client");
    let other = key();
    assert_eq!(attested(WalletAttestation { key: other.public_key(), ..base }), "wallet_pop_signature");
    let stranger = Providers::new();
    let forged = wallet_attestation::sign(&base, stranger.x5c(), &stranger.certified).unwrap();
    assert_eq!(code(wallet(&forged, &pop(&PROOF), &providers)), "wallet_provider_unknown");
    // The proof.
    let proved = |changed: PossessionProof<'_>| code(wallet(&good, &pop(&changed), &providers));
    assert_eq!(proved(PossessionProof { challenge: None, ..PROOF }), "accepted");
    assert_eq!(proved(PossessionProof { audience: "https://other.example", ..PROOF }), "wallet_pop_audience");
    assert_eq!(proved(PossessionProof { client_id: "other", ..PROOF }), "wallet_attestation_client");
    assert_eq!(proved(PossessionProof { now: NOW.plus(-301), ..PROOF }), "wallet_pop_stale");
    assert_eq!(proved(PossessionProof { now: NOW.plus(61), ..PROOF }), "wallet_pop_future");
    assert_eq!(proved(PossessionProof { jti: "", ..PROOF }), "wallet_attestation");
    let by_other = wallet_attestation::sign_pop(&PROOF, &other).unwrap();
    assert_eq!(code(wallet(&good, &by_other, &providers)), "wallet_pop_signature");
    // One in place of the other.
    assert_eq!(code(wallet(&good, &good, &providers)), "jws_typ");
    assert_eq!(code(wallet(&pop(&PROOF), &pop(&PROOF), &providers)), "jws_typ");
    // Raw claims.
    let raw = |claims: Value| {
        let claims = claims.as_object().unwrap();
        let typ = wallet_attestation::ATTESTATION_TYP;
        let attestation = jwt::sign(typ, kid("key-1"), claims, &providers.pinned).unwrap();
        code(wallet(&attestation, &pop(&PROOF), &providers))
    };
    let (exp, jwk) = (NOW.as_secs() + 60, Jwk::from_key(&public).to_value());
    assert_eq!(raw(json!({"sub": CLIENT, "exp": exp, "cnf": {"jwk": jwk}})), "accepted");
    assert_eq!(raw(json!({"sub": CLIENT, "cnf": {"jwk": jwk}})), "jwt_claim_missing");
    assert_eq!(raw(json!({"exp": exp, "cnf": {"jwk": jwk}})), "jwt_claim_missing");
    assert_eq!(raw(json!({"sub": CLIENT, "exp": exp})), "wallet_attestation");
    let two =
        json!({"iss": CLIENT, "aud": [SERVER, "https://other.example"], "jti": "j", "iat": NOW.as_secs()});
    let two =
        jwt::sign(wallet_attestation::POP_TYP, Map::new(), two.as_object().unwrap(), &instance_key).unwrap();
    assert_eq!(code(wallet(&good, &two, &providers)), "wallet_pop_audience");
    let mut header = kid("key-1");
    header.insert("typ".into(), wallet_attestation::ATTESTATION_TYP.into());
    let strange =
        jws::sign(header, b"{}", &SoftwareKey::generate(SignatureAlgorithm::Es384).unwrap()).unwrap();
    assert_eq!(code(wallet(&strange, &pop(&PROOF), &providers)), "wallet_attestation_algorithm");
}
