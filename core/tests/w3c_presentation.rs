//! The biometric presentation of W3C credentials: one that is accepted for each security, and everything that must be
//! refused, each for its own reason, by the same verifier function as SD-JWT VC.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Arc;

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::{ClientKind, UvDemand, WebauthnBinding};
use carekey_core::binding::statement::PresentationStatement;
use carekey_core::binding::verify::WebauthnAssertion;
use carekey_core::clock::UnixTime;
use carekey_core::credential::claims::ClaimPath;
use carekey_core::did::resolver::resolve_offline;
use carekey_core::did::{self, Did, DidUrl};
use carekey_core::encoding::{base64url, sha256};
use carekey_core::format::any::{Statement, UnverifiedCredential};
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::key_binding::TransactionDataHashes;
use carekey_core::format::w3c::issue::{IssueInput, Security, issue};
use carekey_core::jose::jwk::Jwk;
use carekey_core::key::{SignatureAlgorithm, Signer, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::random::SystemRandom;
use carekey_core::status::bitstring_status_list::{
    Bitstring, ListCredentialInput, MIN_ENTRIES, StatusEntry, StatusList, StatusPurpose, StatusSize,
    list_credential,
};
use carekey_core::trust::{IssuerRule, IssuerTrust};
use carekey_core::verifier::{
    Evidence, NewRequest, Policy, PresentationRequest, Refusal, RefusalCode, SourceEvidence, StatusEvidence,
    StepUpCarrier, StepUpDemand, UnverifiedPresentation, VerifiedPresentation, verify,
};
use carekey_core::webauthn::options::RequestOptions;
use serde_json::{Map, Value, json};
use url::Url;

const RP_ID: &str = "present.wallet.example";
const ORIGIN: &str = "https://present.wallet.example";
const AUD: &str = "C7stNiT6YbZSiYzym1rAeOzLrRcYxZBUw8LH4MdV0yI";
const NONCE: &str = "WYVxNuwz3RBEhnJKM4LvVh2tOdXI9WRUPYqA_qa0klM";
const HK_JKT: &str = "-PS8zHZtFVATSjbdQpck2YRQZmUoPTdLfkWDU3MzcKI";
const AK_ID: &str = "coyDlIhBrRxfuIH4-XyYow";
const IAT: UnixTime = UnixTime::from_secs(1_796_000_100);
const TYPE: &str = "urn:carekey:health:1#PatientIdentity";
const LIST: &str = "https://hospital.example/status/0/revocation";

const ALL: [Security; 3] = [Security::DataIntegrity, Security::Selective, Security::Jwt];

/// `SHA-256(label) mod (n-1) + 1`, the keys of the design's worked example.
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

fn issuer() -> (SoftwareKey, Did, DidUrl) {
    let key = example_key("example issuer key");
    let did = did::key::encode(key.public_key()).unwrap();
    let method = resolve_offline(&did).unwrap().assertion_method[0].clone();
    (key, did, method)
}

type Change = Box<dyn Fn(&mut Value)>;

/// Everything that goes into one presentation, and everything that an attacker or a bad issuer may change.
struct World {
    security: Security,
    holder: SoftwareKey,
    /// Whose name the credential bears, if not the holder's.
    subject: Option<Did>,
    authenticator: SoftwareAuthenticator,
    level: AssuranceLevel,
    binding: bool,
    valid_until: UnixTime,
    asked: Vec<Vec<&'static str>>,
    audience: String,
    nonce: String,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    /// Transaction data that the holder approves, if not what was sent.
    approves: Option<Vec<String>>,
    approve: bool,
    assertion: bool,
    signer: Option<SoftwareKey>,
    /// A change to the signed presentation, on its way.
    tamper: Option<Change>,
    /// A change to the credential before the holder presents it.
    swap: Option<Change>,
    revoked: bool,
    step_up: bool,
    trusted: bool,
}

impl World {
    fn new(security: Security) -> Self {
        let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
        authenticator.insert_key(
            &base64url::decode(AK_ID).unwrap(),
            RP_ID,
            example_key("example authenticator key"),
        );
        Self {
            security,
            holder: example_key("example holder key"),
            subject: None,
            authenticator,
            level: AssuranceLevel::BiometricAttested,
            binding: true,
            valid_until: IAT.plus(86_400),
            asked: vec![
                vec!["credentialSubject", "given_name"],
                vec!["credentialSubject", "address", "country"],
                vec!["confidenceMethod"],
                vec!["evidence"],
            ],
            audience: format!("x509_hash:{AUD}"),
            nonce: NONCE.to_owned(),
            issued_at: IAT,
            expires_at: Some(IAT.plus(120)),
            approves: None,
            approve: true,
            assertion: true,
            signer: None,
            tamper: None,
            swap: None,
            revoked: false,
            step_up: true,
            trusted: true,
        }
    }

    fn credential(&self) -> String {
        let (key, _, method) = issuer();
        let binding = WebauthnBinding {
            jwk: Jwk::from_key(example_key("example authenticator key").public_key()),
            rp_id: RP_ID.to_owned(),
            origins: vec!["android:apk-key-hash:AAAA".to_owned(), ORIGIN.to_owned()],
            client: ClientKind::App,
            uv: UvDemand::Required,
            backup_eligible: false,
            level: self.level,
            key_protection: KeyProtection::Strongbox,
            modality: None,
            cert_level: Some(2),
            evaluated_at: UnixTime::from_secs(1_796_000_000),
            policy: "https://hospital.example/policy/binding/1".to_owned(),
        }
        .to_claim()
        .unwrap();
        let holder = did::jwk::encode(self.holder.public_key()).unwrap();
        let claims = json!({
            "given_name": "Žofie", "family_name": "Testová", "birthdate": "1987-04-23",
            "address": { "locality": "Praha", "country": "CZ" },
            "identifiers": [{ "system": "urn:oid:1", "value": "7", "type": "MR" }],
        });
        let input = IssueInput {
            kind: "PatientIdentity",
            verification_method: &method,
            holder: self.subject.as_ref().unwrap_or(&holder),
            claims: claims.as_object().unwrap().clone(),
            valid_from: UnixTime::from_secs(1_796_000_000),
            valid_until: self.valid_until,
            status: &[StatusEntry::new(StatusPurpose::Revocation, 7, LIST)],
            binding: self.binding.then_some(&binding),
        };
        issue(&input, self.security, &key, &SystemRandom).unwrap()
    }

    fn request(&self) -> PresentationRequest {
        let claims: Vec<Value> = self.asked.iter().map(|path| json!({ "path": path })).collect();
        let query = DcqlQuery::parse(&json!({ "credentials": [{
            "id": "patient", "format": self.security.format(), "meta": { "type_values": [[TYPE]] }, "claims": claims,
        }] }));
        let demand = StepUpDemand {
            min_level: AssuranceLevel::BiometricCapable,
            max_age: 120,
            carrier: StepUpCarrier::TransactionData,
        };
        let new = NewRequest {
            query: query.unwrap(),
            purpose: "Release discharge letter 2026-11-20 to Portal".into(),
            locale: Some("en".into()),
            step_up: self.step_up.then_some(demand),
            transaction_data: Vec::new(),
            transaction_types:
                carekey_core::protocol::openid4vp::transaction_types::TransactionTypes::default(),
            expected_origins: Vec::new(),
            response_mode: ResponseMode::DirectPost,
            lifetime: 600,
        };
        let client = ClientId::new(ClientIdPrefix::X509Hash, AUD);
        let uri = Url::parse("https://portal.example/r").unwrap();
        let mut request = PresentationRequest::new("r".into(), new, client, uri, IAT, &SystemRandom).unwrap();
        request.nonce = NONCE.into();
        request
    }

    fn present(&self, request: &PresentationRequest) -> carekey_core::Result<String> {
        let mut text = self.credential();
        if let Some(swap) = &self.swap {
            let mut document = serde_json::from_str(&text).unwrap();
            swap(&mut document);
            text = document.to_string();
        }
        let format = self.security.format();
        let held = UnverifiedCredential::parse(format, &text, &Limits::DEFAULT)?;
        let path =
            |names: &Vec<&str>| ClaimPath::new(names.iter().map(|name| (*name).into()).collect()).unwrap();
        let paths: Vec<ClaimPath> = self.asked.iter().map(path).collect();
        let leaves = held.present(&paths, &SystemRandom)?;
        let sent = self.approves.clone().unwrap_or_else(|| request.transaction_data.clone());
        let hashes = TransactionDataHashes::new(&sent, DigestAlgorithm::Sha256);
        let mut statement = Statement {
            audience: &self.audience,
            nonce: &self.nonce,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            transaction_data: Some(&hashes).filter(|hashes| self.approve && !hashes.hashes().is_empty()),
            jti: None,
            factors: Some(json!([{ "inherence": "fingerprint_device" }])),
            assertion: None,
        };
        if self.assertion {
            let challenge = PresentationStatement {
                aud: &self.audience,
                content_hash: &leaves.content_hash(&statement)?,
                exp: self.expires_at.unwrap_or(IAT),
                hk_jkt: &Jwk::from_key(self.holder.public_key()).thumbprint(),
                iat: self.issued_at,
                nonce: &self.nonce,
                txn: statement.transaction_data.map_or(&[], |data| data.hashes()),
            }
            .challenge()?;
            let id = base64url::decode(AK_ID).unwrap();
            let response = self.authenticator.get(&RequestOptions::step_up(RP_ID, &id, challenge))?;
            let assertion = WebauthnAssertion {
                id: response.id,
                authenticator_data: response.response.authenticator_data,
                client_data_json: response.response.client_data_json,
                signature: response.response.signature,
            };
            statement.assertion = Some(serde_json::to_value(assertion).unwrap());
        }
        let draft = leaves.draft(&statement)?;
        let signature = self.signer.as_ref().unwrap_or(&self.holder).sign(&draft.signing_input())?;
        let mut presentation = draft.assemble(&signature)?;
        if let Some(tamper) = &self.tamper {
            let mut document = serde_json::from_str(&presentation).unwrap();
            tamper(&mut document);
            presentation = document.to_string();
        }
        Ok(presentation)
    }

    fn judge(&self) -> Result<VerifiedPresentation, Refusal> {
        let request = self.request();
        let presentation = self.present(&request).unwrap();
        self.judge_text(&request, &presentation)
    }

    fn judge_text(&self, request: &PresentationRequest, text: &str) -> Result<VerifiedPresentation, Refusal> {
        let token = BTreeMap::from([("patient".to_owned(), vec![text.to_owned()])]);
        let refuse = |error: carekey_core::Error| Refusal {
            code: RefusalCode::of(&error),
            detail: error.detail().to_owned(),
            checks: Vec::new(),
        };
        let read = UnverifiedPresentation::parse(&token, &request.query, &Limits::DEFAULT).map_err(refuse)?;
        let (_, did, method) = issuer();
        let dids = if self.trusted { vec![did.clone()] } else { Vec::new() };
        let trust = IssuerTrust::new(vec![IssuerRule { dids, ..IssuerRule::default() }]);
        let document = resolve_offline(&did).unwrap();
        let source = SourceEvidence {
            issuer: trust.by_did(TYPE, Some(did.as_str()), &method, &document).map(Arc::new),
            status: self.status(),
        };
        verify(read, &Evidence { request, now: IAT.plus(20), sources: vec![source] }, &Policy::default())
    }

    fn status(&self) -> StatusEvidence {
        let mut bits = Bitstring::new(MIN_ENTRIES, StatusSize::ONE).unwrap();
        bits.set(7, StatusSize::ONE, u64::from(self.revoked)).unwrap();
        let input = ListCredentialInput {
            id: LIST,
            issuer: "did:example:x",
            purposes: &[StatusPurpose::Revocation],
            valid_from: IAT.plus(-10),
            valid_until: None,
            ttl_secs: None,
        };
        let list = list_credential(&input, &bits).unwrap();
        let list = StatusList::from_verified_credential(&list, &Limits::DEFAULT).unwrap();
        StatusEvidence::Bitstrings { lists: vec![Arc::new(list)], fetched_at: IAT }
    }
}

fn with(security: Security, change: impl FnOnce(&mut World)) -> &'static str {
    let mut world = World::new(security);
    change(&mut world);
    let refusal = world.judge().unwrap_err();
    if let Some((last, earlier)) = refusal.checks.split_last() {
        assert_eq!(last.code.as_deref(), Some(refusal.code.as_str()), "the last check is the failed one");
        assert!(earlier.iter().all(|check| check.passed));
    }
    refusal.code.as_str()
}

fn es256() -> SoftwareKey {
    SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap()
}

#[test]
fn accepted_with_the_report_of_every_format() {
    for security in ALL {
        let world = World::new(security);
        let verified = world.judge().unwrap_or_else(|refusal| panic!("{security:?}: {refusal:?}"));
        assert_eq!(verified.level, AssuranceLevel::BiometricAttested);
        let step_up = verified.step_up.as_ref().unwrap();
        assert_eq!((step_up.at, step_up.key_protection), (IAT, KeyProtection::Strongbox));
        assert_eq!(step_up.wallet_asserted_factors.len(), 1);
        assert_eq!(step_up.amr, ["pop", "hwk", "user", "mfa"]);
        let [credential] = verified.credentials.as_slice() else { panic!() };
        assert_eq!((credential.vct.as_str(), credential.format), (TYPE, security.format()));
        assert!(credential.status_checked && credential.expires_at.is_some());
        let keeps_back = security == Security::Selective;
        assert_eq!(credential.claims.contains_key("family_name"), !keeps_back);
        assert_eq!(credential.claims["address"].get("locality").is_some(), !keeps_back);
        let ids: Vec<&str> = verified.checks.iter().map(|check| check.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "credential_type",
                "issuer_trusted",
                "issuer_signature",
                "credential_time",
                "holder_signature",
                "answer_time",
                "answer_for_this_request",
                "transaction_data",
                "status",
                "claims",
                "complete",
                "transaction_approved",
                "step_up_request",
                "step_up_transaction",
                "step_up_level",
                "step_up_assertion",
            ]
        );
    }
}

/// The keys of the worked example; the digest of a fixed presentation, for other implementations to compare with.
#[test]
fn golden_values() {
    let holder = example_key("example holder key");
    assert_eq!(Jwk::from_key(holder.public_key()).thumbprint(), HK_JKT);
    let did = did::jwk::encode(holder.public_key()).unwrap();
    assert_eq!(
        Jwk::from_key(&resolve_offline(&did).unwrap().verification_methods[0].public_key().unwrap())
            .thumbprint(),
        HK_JKT
    );
    // Without signatures, which are random: JCS of context, type, holder and an envelope of fixed text.
    let presentation = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"],
        "holder": did.as_str(),
        "verifiableCredential": [{
            "@context": ["https://www.w3.org/ns/credentials/v2"], "type": "EnvelopedVerifiableCredential",
            "id": "data:application/vc+jwt,eyJhbGciOiJFUzI1NiJ9.e30.AA",
        }],
    });
    let jcs = carekey_core::encoding::canonical_json::to_vec(&presentation).unwrap();
    let content = base64url::encode(&sha256(&jcs));
    let challenge = PresentationStatement {
        aud: "x509_hash:C7stNiT6YbZSiYzym1rAeOzLrRcYxZBUw8LH4MdV0yI",
        content_hash: &content,
        exp: UnixTime::from_secs(1_796_000_220),
        hk_jkt: HK_JKT,
        iat: IAT,
        nonce: NONCE,
        txn: &["mlLIPg8ozkYgd6AOuKpo8IhghP1zyTK0FnMUmIMpZ78".to_owned()],
    };
    let challenge = base64url::encode(&challenge.challenge().unwrap());
    assert_eq!(content, GOLDEN_CONTENT);
    assert_eq!(challenge, GOLDEN_CHALLENGE);
}

const GOLDEN_CONTENT: &str = "fmULsN-6sbZuvV50jnrIBL4-vVMUYZ7HFt5zwT6Mc28";
const GOLDEN_CHALLENGE: &str = "onB-i9IiSMXh2ZkSB0U_Xft0YAYvO0Y_q4CUW4RwGUQ";

#[test]
fn refused_for_one_reason_each_in_every_format() {
    for security in ALL {
        let code = |change: fn(&mut World)| with(security, change);
        // The issuer and the credential.
        assert_eq!(code(|w| w.trusted = false), "issuer_untrusted");
        assert_eq!(code(|w| w.valid_until = IAT.plus(-100)), "credential_expired");
        assert_eq!(code(|w| w.revoked = true), "credential_revoked");
        // The holder's signature.
        assert_eq!(code(|w| w.signer = Some(es256())), "vp_signature_invalid");
        assert_eq!(code(|w| w.nonce = "other-nonce-of-another-request".into()), "vp_nonce");
        assert_eq!(code(|w| w.audience = "x509_hash:other".into()), "vp_audience");
        assert_eq!(code(|w| w.issued_at = IAT.plus(-900)), "vp_stale");
        assert_eq!(
            code(|w| (w.issued_at, w.expires_at) = (IAT.plus(90), Some(IAT.plus(200)))),
            "vp_in_future"
        );
        assert_eq!(
            code(|w| (w.issued_at, w.expires_at) = (IAT.plus(-200), Some(IAT.plus(-100)))),
            "vp_expired"
        );
        assert_eq!(code(|w| w.approves = Some(vec!["e30".into()])), "vp_transaction_data");
        // Not approved at all: no other credential approves it either.
        assert_eq!(code(|w| w.approve = false), "transaction_data_missing");
        // The step-up: asked for, so that whatever is missing refuses.
        assert_eq!(code(|w| w.assertion = false), "assertion_missing");
        assert_eq!(code(|w| w.expires_at = None), "kb_times");
        assert_eq!(code(|w| w.expires_at = Some(IAT.plus(121))), "kb_lifetime");
        assert_eq!(code(|w| w.level = AssuranceLevel::Uv), "level_too_low");
        // The assertion itself.
        let behaving = |behaviour: Behaviour| with(security, |w| w.authenticator.behave(behaviour));
        assert_eq!(behaving(Behaviour { user_verified: false, ..Behaviour::default() }), "user_not_verified");
        assert_eq!(behaving(Behaviour { user_present: false, ..Behaviour::default() }), "user_not_present");
        assert_eq!(
            with(security, |w| {
                w.authenticator.insert_key(&base64url::decode(AK_ID).unwrap(), RP_ID, es256());
            }),
            "assertion_signature"
        );
        let text = |text: &str| Some(text.to_owned());
        let ours = Behaviour::default;
        for (behaviour, expected) in [
            (Behaviour { origin: text("https://evil.example"), ..ours() }, "origin_not_allowed"),
            (Behaviour { kind: text("webauthn.create"), ..ours() }, "client_data_type"),
            (Behaviour { cross_origin: true, ..ours() }, "cross_origin"),
            (Behaviour { challenge: Some(vec![0; 32]), ..ours() }, "challenge_mismatch"),
            (Behaviour { rp_id: text("evil.example"), ..ours() }, "rp_id_mismatch"),
            (Behaviour { backup_eligible: true, ..ours() }, "backup_eligibility_changed"),
        ] {
            assert_eq!(behaving(behaviour), expected);
        }
    }
}

/// The assertion of another presentation: made for other content, nonce or holder.
#[test]
fn an_assertion_of_another_presentation_does_not_count() {
    let world = World::new(Security::DataIntegrity);
    let request = world.request();
    let assertion = |text: &str| serde_json::from_str::<Value>(text).unwrap()["webauthnAssertion"].clone();
    let mut other = World::new(Security::DataIntegrity);
    other.asked.push(vec!["credentialSubject", "birthdate"]);
    other.nonce = "another-nonce-of-another-request".into();
    let foreign = assertion(&other.present(&request).unwrap());
    // The thief holds HK: the proof is made anew over the foreign assertion.
    let held =
        UnverifiedCredential::parse(Security::DataIntegrity.format(), &world.credential(), &Limits::DEFAULT)
            .unwrap();
    let hashes = TransactionDataHashes::new(&request.transaction_data, DigestAlgorithm::Sha256);
    let statement = Statement {
        audience: &world.audience,
        nonce: NONCE,
        issued_at: IAT,
        expires_at: Some(IAT.plus(120)),
        transaction_data: Some(&hashes),
        jti: None,
        factors: None,
        assertion: Some(foreign),
    };
    let draft = held.present(&[], &SystemRandom).unwrap().draft(&statement).unwrap();
    let signature = world.holder.sign(&draft.signing_input()).unwrap();
    let refusal = world.judge_text(&request, &draft.assemble(&signature).unwrap()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "challenge_mismatch");
}

#[test]
fn a_credential_without_binding_cannot_carry_a_step_up() {
    for security in ALL {
        let mut world = World::new(security);
        let request = world.request();
        world.binding = false;
        world.asked.truncate(2);
        let text = world.present(&request).unwrap();
        let refusal = world.judge_text(&request, &text).unwrap_err();
        // The claim that was asked for is missing: refused before the step-up is looked at.
        assert_eq!(refusal.code.as_str(), "claim_absent");
        // Without a step-up the same credential is good.
        world.step_up = false;
        assert_eq!(world.judge().unwrap().level, AssuranceLevel::None);
    }
}

#[test]
fn what_is_changed_on_its_way_is_refused() {
    let tampered =
        |change: fn(&mut Value)| with(Security::DataIntegrity, |w| w.tamper = Some(Box::new(change)));
    assert_eq!(
        tampered(|vp| vp["verifiableCredential"][0]["credentialSubject"]["given_name"] = "Eva".into()),
        "credential_signature_invalid"
    );
    assert_eq!(
        tampered(|vp| vp["verifiableCredential"][0]["evidence"]["level"] = "uv".into()),
        "credential_signature_invalid"
    );
    assert_eq!(
        tampered(|vp| vp["verifiableCredential"][0]["confidenceMethod"]["origins"][1] = "https://evil".into()),
        "credential_signature_invalid"
    );
    assert_eq!(tampered(|vp| vp["webauthnAssertion"]["signature"] = "AAAA".into()), "vp_signature_invalid");
    assert_eq!(
        tampered(|vp| drop(vp.as_object_mut().unwrap().remove("webauthnAssertion"))),
        "vp_signature_invalid"
    );
    assert_eq!(tampered(|vp| drop(vp.as_object_mut().unwrap().remove("proof"))), "vp_proof_missing");
    assert_eq!(tampered(|vp| vp["proof"]["created"] = "2026-11-29T19:55:01Z".into()), "vp_signature_invalid");
    assert_eq!(
        tampered(|vp| vp["proof"]["proofPurpose"] = "assertionMethod".into()),
        "proof_purpose_mismatch"
    );
    assert_eq!(
        tampered(|vp| {
            let proof = vp["proof"].clone();
            vp["proof"] = json!([proof, proof]);
        }),
        "w3c_proofs"
    );
    // Somebody else's presentation of this credential.
    let thief = did::jwk::encode(es256().public_key()).unwrap();
    assert_eq!(
        with(Security::DataIntegrity, |w| {
            let thief = thief.clone();
            w.tamper = Some(Box::new(move |vp| {
                vp["holder"] = thief.as_str().into();
                vp["proof"]["verificationMethod"] = format!("{thief}#0").into();
            }));
        }),
        "vp_holder"
    );
    assert_eq!(tampered(|vp| vp["holder"] = "did:example:other".into()), "vp_holder");
    // One presentation, one credential.
    assert_eq!(
        tampered(|vp| {
            let one = vp["verifiableCredential"][0].clone();
            vp["verifiableCredential"] = json!([one, one]);
        }),
        "vp_credentials"
    );
    assert_eq!(tampered(|vp| vp["verifiableCredential"] = json!([])), "vp_credentials");
    // Contexts that would let the same statements read as other JSON.
    assert_eq!(
        tampered(|vp| {
            vp["verifiableCredential"][0]["credentialSubject"]["@context"] =
                json!({ "family_name": "urn:carekey:health:1#given_name" });
        }),
        "w3c_context"
    );
    assert_eq!(tampered(|vp| vp["@context"][1] = json!({ "x": "urn:x" })), "w3c_context");
    assert_eq!(
        tampered(|vp| vp["verifiableCredential"][0]["@context"][1] = "https://evil.example/v1".into()),
        "jsonld_context_unknown"
    );
    assert_eq!(
        tampered(|vp| vp["verifiableCredential"][0]["credentialSubject"]["nickname"] = "Z".into()),
        "jsonld_undefined_term"
    );
}

#[test]
fn a_base_proof_is_not_for_verifiers() {
    let world = World::new(Security::Selective);
    let request = world.request();
    let whole: Value = serde_json::from_str(&world.credential()).unwrap();
    let mut vp: Value = serde_json::from_str(&world.present(&request).unwrap()).unwrap();
    vp["verifiableCredential"][0] = whole;
    let refusal = world.judge_text(&request, &vp.to_string()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "proof_base");
}

#[test]
fn other_type_format_and_holder() {
    // A holder whose key the credential does not show.
    for (subject, code) in [("did:web:patient.example", "did_method"), ("urn:uuid:1", "holder_key_missing")] {
        let mut world = World::new(Security::DataIntegrity);
        if let Ok(did) = Did::parse(subject) {
            world.subject = Some(did);
            let error = world.present(&world.request()).unwrap_err();
            assert_eq!(error.code(), code);
        }
    }
    // Another format than was asked for.
    let world = World::new(Security::DataIntegrity);
    let request = world.request();
    let jwt = World::new(Security::Jwt);
    let text = jwt.present(&request).unwrap();
    let refusal = world.judge_text(&request, &text).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::MALFORMED);
    // A JWT of a presentation with its signature cut off or its payload changed.
    let request = jwt.request();
    let text = jwt.present(&request).unwrap();
    let (signed, _) = text.rsplit_once('.').unwrap();
    let refusal = jwt.judge_text(&request, &format!("{signed}.AAAA")).unwrap_err();
    assert_eq!(refusal.code.as_str(), "vp_signature_invalid");
    let parts: Vec<&str> = text.split('.').collect();
    let mut payload: Map<String, Value> =
        serde_json::from_slice(&base64url::decode(parts[1]).unwrap()).unwrap();
    payload.insert("nonce".into(), "other".into());
    let payload = base64url::encode(Value::Object(payload).to_string().as_bytes());
    let refusal = jwt.judge_text(&request, &format!("{}.{payload}.{}", parts[0], parts[2])).unwrap_err();
    assert_eq!(refusal.code.as_str(), "vp_signature_invalid");
}

/// A credential that the wallet received damaged does not become good by presenting it.
#[test]
fn a_damaged_credential_stays_refused() {
    let mut world = World::new(Security::DataIntegrity);
    world.swap = Some(Box::new(|vc| vc["validUntil"] = "2036-12-01T00:00:00Z".into()));
    assert_eq!(world.judge().unwrap_err().code.as_str(), "credential_signature_invalid");
}

/// A presentation with its credential, its assertion and its proof or JWT: nothing of it is unsigned. A bit of each byte, in
/// turn, where proofs make it slow (`data_integrity.rs` flips every bit for each suite); every bit of the JWT.
#[test]
fn flipped_bits_of_a_biometric_presentation_are_refused() {
    let flips: usize = std::thread::scope(|scope| {
        let runs = ALL.map(|security| {
            scope.spawn(move || {
                let world = World::new(security);
                let request = world.request();
                let mut text = world.present(&request).unwrap().into_bytes();
                let read = |text: &[u8]| world.judge_text(&request, std::str::from_utf8(text).ok()?).ok();
                assert!(read(&text).is_some());
                let step = if security == Security::Jwt { 1 } else { 9 };
                let bits = (0..text.len() * 8).step_by(step);
                let count = bits.len();
                for bit in bits {
                    text[bit / 8] ^= 1 << (bit % 8);
                    assert!(read(&text).is_none(), "{security:?}: {}", String::from_utf8_lossy(&text));
                    text[bit / 8] ^= 1 << (bit % 8);
                }
                count
            })
        });
        runs.map(|run| run.join().unwrap()).into_iter().sum()
    });
    println!("{flips} flips, all refused");
}
