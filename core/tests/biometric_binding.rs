//! The biometric binding's presentation: the worked example, one accepted presentation, and everything that must be
//! refused, each for its own reason.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection, Modality};
use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::{ClientKind, UvDemand, WebauthnBinding};
use carekey_core::binding::report::Report;
use carekey_core::binding::statement::PresentationStatement;
use carekey_core::binding::verify::{
    StepUpExpectation, StepUpInput, StepUpPolicy, StepUpWarning, VerifiedStepUp, WebauthnAssertion,
    verify_step_up,
};
use carekey_core::clock::UnixTime;
use carekey_core::encoding::{base64url, sha256};
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jwt::{self, UnverifiedJwt};
use carekey_core::key::{Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::webauthn::Bytes;
use carekey_core::webauthn::options::RequestOptions;
use serde_json::{Map, Value, json};

const RP_ID: &str = "present.wallet.example";
const ORIGIN: &str = "https://present.wallet.example";
const AUD: &str = "x509_hash:C7stNiT6YbZSiYzym1rAeOzLrRcYxZBUw8LH4MdV0yI";
const NONCE: &str = "WYVxNuwz3RBEhnJKM4LvVh2tOdXI9WRUPYqA_qa0klM";
const CONTENT: &str = "Omrm4ZVp041MOk-nCCG1PiEwaD_hwzJEbG0WCposZuo";
const TXN: &str = "mlLIPg8ozkYgd6AOuKpo8IhghP1zyTK0FnMUmIMpZ78";
const CREDENTIAL_ID: &str = "coyDlIhBrRxfuIH4-XyYow";
const IAT: i64 = 1_796_000_100;
const EXP: i64 = 1_796_000_220;

/// `SHA-256(label) mod (n-1) + 1`; for these labels the hash is below n-1.
fn example_key(label: &str) -> SoftwareKey {
    let mut scalar = sha256(label.as_bytes());
    for byte in scalar.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            break;
        }
    }
    SoftwareKey::from_p256_scalar(&scalar).unwrap()
}

fn holder_key() -> SoftwareKey {
    example_key("example holder key")
}

fn authenticator_key() -> SoftwareKey {
    example_key("example authenticator key")
}

fn binding() -> WebauthnBinding {
    WebauthnBinding {
        jwk: Jwk::from_key(authenticator_key().public_key()),
        rp_id: RP_ID.to_owned(),
        origins: vec!["android:apk-key-hash:AAAA".to_owned(), ORIGIN.to_owned()],
        client: ClientKind::App,
        uv: UvDemand::Required,
        backup_eligible: false,
        level: AssuranceLevel::BiometricAttested,
        key_protection: KeyProtection::Strongbox,
        modality: None,
        cert_level: None,
        evaluated_at: UnixTime::from_secs(1_796_000_000),
        policy: "https://hospital.example/policy/binding/1".to_owned(),
    }
}

/// Everything that a wallet puts into one answer, and everything that an attacker may change.
struct Answer {
    holder: SoftwareKey,
    authenticator: SoftwareAuthenticator,
    hk_jkt: String,
    aud: String,
    nonce: String,
    content: String,
    txn: Vec<String>,
    iat: i64,
    exp: i64,
}

impl Answer {
    fn new() -> Self {
        let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
        authenticator.insert_key(&base64url::decode(CREDENTIAL_ID).unwrap(), RP_ID, authenticator_key());
        Self {
            hk_jkt: Jwk::from_key(holder_key().public_key()).thumbprint(),
            holder: holder_key(),
            authenticator,
            aud: AUD.to_owned(),
            nonce: NONCE.to_owned(),
            content: CONTENT.to_owned(),
            txn: vec![TXN.to_owned()],
            iat: IAT,
            exp: EXP,
        }
    }

    fn behaving(behaviour: Behaviour) -> Self {
        let answer = Self::new();
        answer.authenticator.behave(behaviour);
        answer
    }

    fn claims(&self) -> Map<String, Value> {
        let claims = json!({
            "aud": self.aud, "nonce": self.nonce, "iat": self.iat, "exp": self.exp, "jti": "j",
            "sd_hash": self.content, "transaction_data_hashes": self.txn, "transaction_data_hashes_alg": "sha-256",
            "authentication_factors": [{"inherence": "fingerprint_device"}],
            "webauthn_assertion": self.assertion(),
        });
        claims.as_object().unwrap().clone()
    }

    fn assertion(&self) -> WebauthnAssertion {
        let challenge = PresentationStatement {
            aud: &self.aud,
            content_hash: &self.content,
            exp: UnixTime::from_secs(self.exp),
            hk_jkt: &self.hk_jkt,
            iat: UnixTime::from_secs(self.iat),
            nonce: &self.nonce,
            txn: &self.txn,
        }
        .challenge()
        .unwrap();
        let id = base64url::decode(CREDENTIAL_ID).unwrap();
        let response = self.authenticator.get(&RequestOptions::step_up(RP_ID, &id, challenge)).unwrap();
        WebauthnAssertion {
            id: response.id,
            authenticator_data: response.response.authenticator_data,
            client_data_json: response.response.client_data_json,
            signature: response.response.signature,
        }
    }

    fn sign(&self, claims: &Map<String, Value>) -> String {
        jwt::sign("kb+jwt", Map::new(), claims, &self.holder).unwrap()
    }

    fn kb_jwt(&self) -> String {
        self.sign(&self.claims())
    }
}

/// What the verifier holds.
struct Verifier {
    binding: Option<Value>,
    txn: Vec<String>,
    content: String,
    now: i64,
    previous_sign_count: Option<u32>,
    policy: StepUpPolicy,
}

impl Verifier {
    fn new() -> Self {
        Self {
            binding: Some(binding().to_claim().unwrap()),
            txn: vec![TXN.to_owned()],
            content: CONTENT.to_owned(),
            now: IAT + 5,
            previous_sign_count: None,
            policy: StepUpPolicy::new(AssuranceLevel::BiometricAttested),
        }
    }

    fn with_binding(change: impl FnOnce(&mut WebauthnBinding)) -> Self {
        let mut claim = binding();
        change(&mut claim);
        Self { binding: Some(claim.to_claim().unwrap()), ..Self::new() }
    }

    fn reported(&self, kb_jwt: &str) -> (carekey_core::Result<VerifiedStepUp>, Report) {
        let mut report = Report::default();
        let cnf = Jwk::from_key(holder_key().public_key());
        let verified = UnverifiedJwt::parse(kb_jwt, &Limits::DEFAULT)
            .and_then(|jwt| jwt.verify(&cnf.public_key().unwrap()));
        let result = report.record("kb_signature", "The holder key signed.", verified).and_then(|jwt| {
            verify_step_up(
                &StepUpInput {
                    kb_claims: jwt.claims(),
                    binding: self.binding.as_ref(),
                    hk_jkt: &cnf.thumbprint(),
                    content_hash: &self.content,
                },
                &StepUpExpectation {
                    audience: AUD,
                    nonce: NONCE,
                    transaction_data_hashes: &self.txn,
                    now: UnixTime::from_secs(self.now),
                    previous_sign_count: self.previous_sign_count,
                },
                &self.policy,
                &Limits::DEFAULT,
                &mut report,
            )
        });
        (result, report)
    }

    fn verify(&self, kb_jwt: &str) -> carekey_core::Result<VerifiedStepUp> {
        let (result, report) = self.reported(kb_jwt);
        assert_eq!(result.is_ok(), report.passed());
        if let Err(error) = &result {
            let last = report.checks.last().unwrap();
            assert_eq!((last.passed, last.code), (false, Some(error.code())));
        }
        result
    }

    fn code(&self, kb_jwt: &str) -> &'static str {
        self.verify(kb_jwt).unwrap_err().code()
    }
}

fn refused(answer: &Answer) -> &'static str {
    Verifier::new().code(&answer.kb_jwt())
}

fn refused_claims(change: impl FnOnce(&mut Map<String, Value>)) -> &'static str {
    let answer = Answer::new();
    let mut claims = answer.claims();
    change(&mut claims);
    Verifier::new().code(&answer.sign(&claims))
}

#[test]
fn worked_example() {
    let hk = Jwk::from_key(holder_key().public_key());
    let ak = Jwk::from_key(authenticator_key().public_key());
    let value = hk.to_value();
    assert_eq!(value["x"], "UjUk8kFppXozEcuCaaOnpWHduE8XRtTTHrWupIO72Jo");
    assert_eq!(value["y"], "SsVkUwV-X4ABZz-CkBkTm45m_orjvfVNJbd4087rN6E");
    assert_eq!(hk.thumbprint(), "-PS8zHZtFVATSjbdQpck2YRQZmUoPTdLfkWDU3MzcKI");
    let value = ak.to_value();
    assert_eq!(value["x"], "SgKSD0UI2cyY8gAcvkRfpdSYskw-g3og1p8EgEa8IZY");
    assert_eq!(value["y"], "5_1q3x8bYkYa0q12BQ72QHtMJWR71YRiAWjDGuqvk-4");

    let client_data = r#"{"type":"webauthn.get","challenge":"4uQJ9uiCTdQCU8LXnkLPjXT5mKXLSUKnpgrXshxfSbo","origin":"https://present.wallet.example","crossOrigin":false}"#;
    let published = WebauthnAssertion {
        id: Bytes(base64url::decode(CREDENTIAL_ID).unwrap()),
        authenticator_data: Bytes(
            base64url::decode("ybzWFrHJSEEiWg1ffLTckHUs6_e7P8QRU8GIC9G8nPAFAAAAAA").unwrap(),
        ),
        client_data_json: Bytes(client_data.as_bytes().to_vec()),
        signature: Bytes(
            base64url::decode(
                "MEUCIQC2VuJnuh648xbNHQq8pRe49114ry-YseN_Z7wk-I6GXgIgfo3DBP7BltizJpid1vt85TujXjAvvItGvWtfsbhOt9o",
            )
            .unwrap(),
        ),
    };
    // Our authenticator builds the same bytes, signature aside (ours is not deterministic).
    let ours = Answer::new().assertion();
    assert_eq!(ours.client_data_json, published.client_data_json);
    assert_eq!(ours.authenticator_data, published.authenticator_data);
    assert_eq!(ours.id, published.id);
    // The published assertion verifies inside a key-binding JWT, in the shape of the document.
    let answer = Answer::new();
    let mut claims = answer.claims();
    claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(&published).unwrap());
    assert_eq!(claims["webauthn_assertion"]["id"], CREDENTIAL_ID);
    let members: Vec<&str> =
        claims["webauthn_assertion"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "authenticator_data", "client_data_json", "signature"]);
    Verifier::new().verify(&answer.sign(&claims)).unwrap();
}

#[test]
fn a_good_answer_is_accepted_with_one_prompt() {
    let answer = Answer::new();
    let (result, report) = Verifier::new().reported(&answer.kb_jwt());
    let verified = result.unwrap();
    assert_eq!(answer.authenticator.prompts(), 1);
    assert!(verified.holder_bound && verified.warnings.is_empty());
    assert_eq!(verified.step_up.level, AssuranceLevel::BiometricAttested);
    assert_eq!(verified.step_up.key_protection, KeyProtection::Strongbox);
    assert_eq!(verified.step_up.at.as_secs(), IAT);
    assert_eq!(verified.wallet_asserted_factors[0]["inherence"], "fingerprint_device");
    assert_eq!(verified.amr(), ["pop", "hwk", "user", "mfa"]);
    let ids: Vec<_> = report.checks.iter().map(|c| c.id).collect();
    assert_eq!(
        ids,
        ["kb_signature", "step_up_request", "step_up_transaction", "step_up_level", "step_up_assertion"]
    );
    let json = serde_json::to_value(&verified).unwrap();
    assert_eq!(json["step_up"]["level"], "biometric_attested");
}

// The sixteen attacks of the design, in its order. ---------------------------------------------------------------

#[test]
fn attack_01_other_nonce() {
    assert_eq!(refused(&Answer { nonce: "another".to_owned(), ..Answer::new() }), "kb_nonce_mismatch");
}

#[test]
fn attack_02_other_audience() {
    assert_eq!(
        refused(&Answer { aud: "x509_hash:other".to_owned(), ..Answer::new() }),
        "kb_audience_mismatch"
    );
}

#[test]
fn attack_03_stale() {
    let answer = Answer::new();
    let verifier = Verifier { now: EXP + 61, ..Verifier::new() };
    assert_eq!(verifier.code(&answer.kb_jwt()), "kb_expired");
    let verifier = Verifier { now: EXP + 60, ..Verifier::new() };
    verifier.verify(&answer.kb_jwt()).unwrap();
    let verifier = Verifier { now: IAT - 61, ..Verifier::new() };
    assert_eq!(verifier.code(&answer.kb_jwt()), "kb_not_yet_valid");
}

#[test]
fn attack_04_thief_of_the_holder_key_uses_an_old_assertion() {
    let old = Answer { nonce: "of an earlier request".to_owned(), ..Answer::new() };
    let code = refused_claims(|claims| {
        claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(old.assertion()).unwrap());
    });
    assert_eq!(code, "challenge_mismatch");
}

#[test]
fn attack_05_moved_times() {
    let moved = |iat: i64, exp: i64| {
        refused_claims(|claims| {
            claims.insert("iat".to_owned(), iat.into());
            claims.insert("exp".to_owned(), exp.into());
        })
    };
    assert_eq!(moved(IAT + 1, EXP + 1), "challenge_mismatch");
    assert_eq!(moved(IAT, EXP - 1), "challenge_mismatch");
    assert_eq!(moved(IAT, EXP + 3600), "kb_lifetime");
    assert_eq!(moved(EXP, IAT), "kb_lifetime");
}

#[test]
fn attack_06_dropped_transaction_data() {
    let code = refused_claims(|claims| drop(claims.remove("transaction_data_hashes")));
    assert_eq!(code, "kb_transaction_data_mismatch");
    // Dropped before the person approved: the whole answer is consistent, but for another request.
    assert_eq!(refused(&Answer { txn: Vec::new(), ..Answer::new() }), "kb_transaction_data_mismatch");
    let other = vec![base64url::encode(&sha256(b"another letter"))];
    assert_eq!(refused(&Answer { txn: other, ..Answer::new() }), "kb_transaction_data_mismatch");
}

/// Flips bits of the flags after the signature, as an attacker without AK can.
fn flipped_flags(mask: u8) -> &'static str {
    refused_claims(|claims| {
        let mut assertion: WebauthnAssertion =
            serde_json::from_value(claims["webauthn_assertion"].clone()).unwrap();
        assertion.authenticator_data.0[32] ^= mask;
        claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(assertion).unwrap());
    })
}

#[test]
fn attack_07_user_verification_cleared() {
    let behaviour = Behaviour { user_verified: false, ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "user_not_verified");
    assert_eq!(flipped_flags(0x04), "user_not_verified");
    // And the other way: a signature made without user verification does not hold with the flag set.
    let answer = Answer::behaving(Behaviour { user_verified: false, ..Behaviour::default() });
    let mut claims = answer.claims();
    let mut assertion: WebauthnAssertion =
        serde_json::from_value(claims["webauthn_assertion"].clone()).unwrap();
    assertion.authenticator_data.0[32] |= 0x04;
    claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(assertion).unwrap());
    assert_eq!(Verifier::new().code(&answer.sign(&claims)), "assertion_signature");
}

#[test]
fn attack_08_user_presence_cleared() {
    let behaviour = Behaviour { user_present: false, ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "user_not_present");
    assert_eq!(flipped_flags(0x01), "user_not_present");
}

#[test]
fn attack_09_backup_eligible_set() {
    let behaviour = Behaviour { backup_eligible: true, ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "backup_eligibility_changed");
    assert_eq!(flipped_flags(0x08), "backup_eligibility_changed");
    let behaviour = Behaviour { backup_state: true, ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "backup_flags");
}

#[test]
fn attack_10_other_rp_id() {
    let behaviour = Behaviour { rp_id: Some("wallet.example".to_owned()), ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "rp_id_mismatch");
}

#[test]
fn attack_11_other_origin() {
    for origin in [
        "https://evil.example",
        "https://present.wallet.example.evil.example",
        "https://x.present.wallet.example",
    ] {
        let behaviour = Behaviour { origin: Some(origin.to_owned()), ..Behaviour::default() };
        assert_eq!(refused(&Answer::behaving(behaviour)), "origin_not_allowed");
    }
}

#[test]
fn attack_12_wrong_type() {
    let behaviour = Behaviour { kind: Some("webauthn.create".to_owned()), ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "client_data_type");
    let behaviour = Behaviour { kind: Some("payment.get".to_owned()), ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "client_data_type");
}

#[test]
fn attack_13_cross_origin() {
    let behaviour = Behaviour { cross_origin: true, ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "cross_origin");
    let behaviour = Behaviour { top_origin: Some("https://top.example".to_owned()), ..Behaviour::default() };
    assert_eq!(refused(&Answer::behaving(behaviour)), "top_origin");
}

#[test]
fn attack_14_other_authenticator_key() {
    let answer = Answer::new();
    let id = base64url::decode(CREDENTIAL_ID).unwrap();
    answer.authenticator.insert_key(&id, RP_ID, example_key("another key"));
    assert_eq!(refused(&answer), "assertion_signature");
}

#[test]
fn attack_15_other_holder_key() {
    let other = example_key("another holder key");
    let hk_jkt = Jwk::from_key(other.public_key()).thumbprint();
    assert_eq!(refused(&Answer { holder: other, hk_jkt, ..Answer::new() }), "signature_invalid");
    // The assertion of somebody else's presentation under the right holder key.
    let hk_jkt = Jwk::from_key(example_key("another holder key").public_key()).thumbprint();
    assert_eq!(refused(&Answer { hk_jkt, ..Answer::new() }), "challenge_mismatch");
}

#[test]
fn attack_16_extra_disclosure() {
    let verifier = Verifier { content: base64url::encode(&sha256(b"with one more")), ..Verifier::new() };
    assert_eq!(verifier.code(&Answer::new().kb_jwt()), "kb_content_mismatch");
    // The thief of HK signs the new hash, but AK did not.
    let answer = Answer::new();
    let mut claims = answer.claims();
    claims.insert("sd_hash".to_owned(), verifier.content.clone().into());
    assert_eq!(verifier.code(&answer.sign(&claims)), "challenge_mismatch");
}

// The steps, one by one. -----------------------------------------------------------------------------------------

#[test]
fn downgrade_is_refused() {
    assert_eq!(refused_claims(|claims| drop(claims.remove("webauthn_assertion"))), "assertion_missing");
    let verifier = Verifier { binding: None, ..Verifier::new() };
    assert_eq!(verifier.code(&Answer::new().kb_jwt()), "binding_missing");
}

#[test]
fn step_3_level_protection_and_age() {
    let kb = Answer::new().kb_jwt();
    for level in [
        AssuranceLevel::None,
        AssuranceLevel::Uv,
        AssuranceLevel::BiometricCapable,
        AssuranceLevel::BiometricAppAsserted,
    ] {
        assert_eq!(Verifier::with_binding(|b| b.level = level).code(&kb), "level_too_low");
        let mut verifier = Verifier::with_binding(|b| b.level = level);
        verifier.policy.min_level = level;
        verifier.verify(&kb).unwrap();
    }
    let mut verifier = Verifier::with_binding(|b| b.key_protection = KeyProtection::Software);
    verifier.verify(&kb).unwrap();
    verifier.policy.min_key_protection = KeyProtection::Tee;
    assert_eq!(verifier.code(&kb), "key_protection_too_low");
    let mut verifier = Verifier::new();
    verifier.policy.max_evaluation_age = Some(104);
    assert_eq!(verifier.code(&kb), "binding_evaluation_stale");
    verifier.policy.max_evaluation_age = Some(105);
    verifier.verify(&kb).unwrap();
}

#[test]
fn step_3_claim_shapes() {
    let kb = Answer::new().kb_jwt();
    let good = binding().to_claim().unwrap();
    let mut with_more = good.clone();
    with_more["future"] = json!({"x": 1});
    Verifier { binding: Some(with_more), ..Verifier::new() }.verify(&kb).unwrap();
    let set = |name: &str, value: Value| {
        let mut claim = good.clone();
        claim[name] = value;
        Verifier { binding: Some(claim), ..Verifier::new() }.code(&kb)
    };
    for (name, value) in [
        ("origins", json!([])),
        ("origins", json!(vec!["o"; 9])),
        ("origins", json!("o")),
        ("uv", json!("preferred")),
        ("level", json!("gold")),
        ("client", json!("robot")),
        ("backup_eligible", json!(true)),
        ("jwk", json!({"kty": "EC"})),
        ("jwk", json!({"kty": "EC", "crv": "P-256", "x": CONTENT, "y": CONTENT})),
    ] {
        assert_eq!(set(name, value), "webauthn_binding", "{name}");
    }
    for missing in ["jwk", "rp_id", "origins", "uv", "backup_eligible", "level", "evaluated_at"] {
        let mut claim = good.clone();
        claim.as_object_mut().unwrap().remove(missing);
        assert_eq!(Verifier { binding: Some(claim), ..Verifier::new() }.code(&kb), "webauthn_binding");
    }
    assert_eq!(Verifier { binding: Some(json!([1])), ..Verifier::new() }.code(&kb), "webauthn_binding");
}

#[test]
fn steps_1_and_2_shapes() {
    for (name, value, code) in [
        ("aud", json!([AUD]), "kb_audience_mismatch"),
        ("nonce", json!(1), "kb_nonce_mismatch"),
        ("iat", json!(1.5), "kb_times"),
        ("iat", json!("1796000100"), "kb_times"),
        ("exp", json!(null), "kb_times"),
        ("sd_hash", json!([CONTENT]), "kb_content_mismatch"),
        ("transaction_data_hashes", json!(TXN), "kb_transaction_data_mismatch"),
        ("transaction_data_hashes", json!([TXN, TXN]), "kb_transaction_data_mismatch"),
        ("transaction_data_hashes_alg", json!("sha-512"), "kb_transaction_data_mismatch"),
        ("webauthn_assertion", json!("x"), "webauthn_assertion"),
        ("webauthn_assertion", json!({"id": "AA"}), "webauthn_assertion"),
        (
            "webauthn_assertion",
            json!({"id": "A=", "authenticator_data": "", "client_data_json": "", "signature": ""}),
            "webauthn_assertion",
        ),
        (
            "webauthn_assertion",
            json!({"id": "AA", "authenticator_data": "", "client_data_json": "", "signature": ""}),
            "client_data",
        ),
    ] {
        let found = refused_claims(|claims| drop(claims.insert(name.to_owned(), value.clone())));
        assert_eq!(found, code, "{name} {value}");
    }
}

#[test]
fn no_transaction_data_was_asked() {
    let answer = Answer { txn: Vec::new(), ..Answer::new() };
    let verifier = Verifier { txn: Vec::new(), ..Verifier::new() };
    verifier.verify(&answer.kb_jwt()).unwrap();
    let mut claims = answer.claims();
    claims.remove("transaction_data_hashes");
    claims.remove("transaction_data_hashes_alg");
    verifier.verify(&answer.sign(&claims)).unwrap();
    assert_eq!(verifier.code(&Answer::new().kb_jwt()), "kb_transaction_data_mismatch");
}

#[test]
fn step_6_and_7_malformed_assertions() {
    let tampered = |change: &dyn Fn(&mut WebauthnAssertion)| {
        refused_claims(|claims| {
            let mut assertion: WebauthnAssertion =
                serde_json::from_value(claims["webauthn_assertion"].clone()).unwrap();
            change(&mut assertion);
            claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(assertion).unwrap());
        })
    };
    assert_eq!(tampered(&|a| a.authenticator_data.0.truncate(36)), "authenticator_data");
    assert_eq!(tampered(&|a| a.authenticator_data.0.push(0)), "authenticator_data");
    assert_eq!(tampered(&|a| a.authenticator_data.0[32] |= 0x80), "cbor");
    assert_eq!(tampered(&|a| a.authenticator_data.0[33] = 1), "assertion_signature");
    assert_eq!(tampered(&|a| a.client_data_json.0.truncate(20)), "client_data");
    assert_eq!(tampered(&|a| a.client_data_json.0.resize(5000, b' ')), "client_data_size");
    assert_eq!(tampered(&|a| a.client_data_json.0.push(b' ')), "assertion_signature");
    assert_eq!(tampered(&|a| a.signature.0.push(0)), "assertion_signature");
    assert_eq!(tampered(&|a| a.signature.0.clear()), "assertion_signature");
    // r‖s instead of DER.
    assert_eq!(tampered(&|a| a.signature.0 = vec![1; 64]), "assertion_signature");
    let attested = |a: &mut WebauthnAssertion| {
        a.authenticator_data.0[32] |= 0x40;
        a.authenticator_data.0.extend([&[0; 16][..], &[0, 1, 9, 0xa0]].concat());
    };
    assert_eq!(tampered(&attested), "unexpected_attested_data");
}

#[test]
fn high_s_is_accepted() {
    // n - s turns one valid signature into the other; hardware makes both kinds.
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
        0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let integer = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        let pad = if bytes[0] >= 0x80 { vec![0] } else { vec![] };
        let body = [pad, bytes].concat();
        [vec![2, u8::try_from(body.len()).unwrap()], body].concat()
    };
    let answer = Answer::new();
    let mut claims = answer.claims();
    let mut assertion: WebauthnAssertion =
        serde_json::from_value(claims["webauthn_assertion"].clone()).unwrap();
    let der = &assertion.signature.0;
    let r_len = usize::from(der[3]);
    let (r, s) = (&der[4..4 + r_len], &der[6 + r_len..]);
    let s: Vec<u8> = [vec![0; 32], s.to_vec()].concat();
    let s = &s[s.len() - 32..];
    let mut negated = [0_u8; 32];
    let mut borrow = false;
    for i in (0..32).rev() {
        let (d, b1) = N[i].overflowing_sub(s[i]);
        let (d, b2) = d.overflowing_sub(u8::from(borrow));
        (negated[i], borrow) = (d, b1 || b2);
    }
    let body = [integer(r), integer(&negated)].concat();
    assertion.signature.0 = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    claims.insert("webauthn_assertion".to_owned(), serde_json::to_value(assertion).unwrap());
    Verifier::new().verify(&answer.sign(&claims)).unwrap();
}

#[test]
fn step_8_counter_is_a_signal() {
    let counted = |count: u32, previous: Option<u32>| {
        let answer = Answer::behaving(Behaviour { sign_count: count, ..Behaviour::default() });
        let verifier = Verifier { previous_sign_count: previous, ..Verifier::new() };
        verifier.verify(&answer.kb_jwt()).unwrap().warnings
    };
    assert!(counted(0, Some(0)).is_empty());
    assert!(counted(7, Some(6)).is_empty());
    assert!(counted(7, None).is_empty());
    assert_eq!(counted(7, Some(7)), [StepUpWarning::SignatureCounterNotIncreased]);
    assert_eq!(counted(0, Some(3)), [StepUpWarning::SignatureCounterNotIncreased]);
}

#[test]
fn step_9_synced_keys_and_amr() {
    let behaviour = Behaviour { backup_eligible: true, backup_state: true, ..Behaviour::default() };
    let mut verifier = Verifier::with_binding(|b| {
        b.backup_eligible = true;
        b.level = AssuranceLevel::Uv;
        b.key_protection = KeyProtection::Unknown;
    });
    verifier.policy.min_level = AssuranceLevel::Uv;
    let verified = verifier.verify(&Answer::behaving(behaviour).kb_jwt()).unwrap();
    assert_eq!(verified.warnings, [StepUpWarning::KeyIsBackedUp]);
    assert_eq!(verified.amr(), ["pop", "user", "mfa"]);
    let amr = |modality, level| {
        let mut verifier = Verifier::with_binding(|b| {
            b.level = level;
            b.modality = Some(modality);
        });
        verifier.policy.min_level = AssuranceLevel::Uv;
        verifier.verify(&Answer::new().kb_jwt()).unwrap().amr()
    };
    assert_eq!(amr(Modality::Face, AssuranceLevel::BiometricAttested), ["pop", "hwk", "user", "mfa", "face"]);
    assert_eq!(
        amr(Modality::Fingerprint, AssuranceLevel::BiometricAttested),
        ["pop", "hwk", "user", "mfa", "fpt"]
    );
    assert_eq!(amr(Modality::Face, AssuranceLevel::BiometricCapable), ["pop", "hwk", "user", "mfa"]);
}
