//! W3C credentials that the verifier refuses over its socket: each case changes one thing, in each format, and ends in that
//! thing's code; what is right goes the same way and is accepted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::sync::Arc;

use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::authenticator::{Behaviour, SoftwareAuthenticator};
use carekey_core::binding::claim::{ClientKind, UvDemand, WebauthnBinding};
use carekey_core::binding::statement::PresentationStatement;
use carekey_core::binding::verify::WebauthnAssertion;
use carekey_core::clock::{Clock as _, UnixTime};
use carekey_core::credential::claims::ClaimPath;
use carekey_core::credential::format::to_message;
use carekey_core::did;
use carekey_core::encoding::base64url;
use carekey_core::format::any::{Statement, UnverifiedCredential};
use carekey_core::format::sd_jwt_vc::disclosure::DigestAlgorithm;
use carekey_core::format::sd_jwt_vc::key_binding::TransactionDataHashes;
use carekey_core::format::w3c::issue::{IssueInput, Security, issue};
use carekey_core::holder::HttpRequest;
use carekey_core::holder::http::HttpClient as _;
use carekey_core::jose::jwk::Jwk;
use carekey_core::jose::jws;
use carekey_core::key::{SignatureAlgorithm, Signer as _, SoftwareKey};
use carekey_core::limits::Limits;
use carekey_core::random::SystemRandom;
use carekey_core::status::bitstring_status_list::{StatusEntry, StatusPurpose};
use carekey_core::webauthn::options::RequestOptions;
use carekey_tests::story::copy;
use carekey_tests::world::{Records, World, body, text};
use serde_json::{Value, json};

const RP_ID: &str = "present.wallet.example";
const ORIGIN: &str = "https://present.wallet.example";
const AK_ID: [u8; 16] = [7; 16];
const TYPE: &str = "urn:carekey:health:1#PatientIdentity";
const FORMATS: [Security; 3] = [Security::DataIntegrity, Security::Selective, Security::Jwt];

fn es256() -> SoftwareKey {
    SoftwareKey::generate(SignatureAlgorithm::Es256).unwrap()
}

/// The portal, and an issuer whom it trusts.
struct Scene {
    world: World,
    issuer: SoftwareKey,
    now: UnixTime,
}

impl Scene {
    async fn start() -> Self {
        let issuer = es256();
        let did = did::key::encode(issuer.public_key()).unwrap();
        let world = World::start_with(Records::Memory, |_, verifier| {
            verifier.trust[0].dids.push(did.to_string());
        });
        let world = world.await;
        let now = world.clock.now();
        Self { world, issuer, now }
    }
}

type Change = fn(String) -> String;

/// One answer: everything right, until a case changes it.
struct Answer {
    security: Security,
    issuer: SoftwareKey,
    /// In whose name it issues, if not its own.
    claimed_issuer: Option<SoftwareKey>,
    holder: SoftwareKey,
    /// Who signs the presentation, if not the holder.
    signer: Option<SoftwareKey>,
    /// AK as the credential names it.
    ak: SoftwareKey,
    authenticator: SoftwareAuthenticator,
    kind: &'static str,
    level: AssuranceLevel,
    valid_from: UnixTime,
    valid_until: UnixTime,
    status: Vec<StatusEntry>,
    binding: bool,
    /// What the credential is shown for.
    shown: Vec<Vec<&'static str>>,
    /// What the portal asks beside it.
    asked: Value,
    min_level: &'static str,
    audience: Option<String>,
    nonce: Option<String>,
    issued_at: UnixTime,
    expires_at: Option<UnixTime>,
    approves: Option<Vec<String>>,
    assertion: bool,
    /// A change to the credential, or to the presentation, after it was signed.
    credential: Option<Change>,
    presentation: Option<Change>,
    /// A change to the claims of the JWT, which the holder signs anew.
    resign: Option<fn(&mut Value)>,
    /// Whether the portal asks for the second key by name.
    ask_binding: bool,
    /// Whether the base proof is shown in place of a derived one.
    whole: bool,
}

/// A document with something changed.
fn edit(text: String, change: impl FnOnce(&mut Value)) -> String {
    let mut document = serde_json::from_str(&text).unwrap();
    change(&mut document);
    document.to_string()
}

/// A JWT with something changed in its payload, the signature as it was.
fn edit_jwt(text: String, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let payload = String::from_utf8(base64url::decode(parts[1]).unwrap()).unwrap();
    format!("{}.{}.{}", parts[0], base64url::encode(edit(payload, change).as_bytes()), parts[2])
}

fn behave(answer: &mut Answer, change: impl FnOnce(&mut Behaviour)) {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    answer.authenticator.behave(behaviour);
}

impl Answer {
    fn new(security: Security, scene: &Scene) -> Self {
        let authenticator = SoftwareAuthenticator::new(ORIGIN, Arc::new(SystemRandom));
        let ak = es256();
        authenticator.insert_key(&AK_ID, RP_ID, copy(&ak));
        Self {
            security,
            issuer: copy(&scene.issuer),
            claimed_issuer: None,
            holder: es256(),
            signer: None,
            ak,
            authenticator,
            kind: "PatientIdentity",
            level: AssuranceLevel::BiometricAttested,
            valid_from: scene.now.plus(-3600),
            valid_until: scene.now.plus(86_400),
            status: Vec::new(),
            binding: true,
            shown: vec![
                vec!["credentialSubject", "given_name"],
                vec!["credentialSubject", "address", "country"],
                vec!["confidenceMethod"],
                vec!["evidence"],
            ],
            asked: json!([]),
            min_level: "biometric_capable",
            audience: None,
            nonce: None,
            issued_at: scene.now,
            expires_at: Some(scene.now.plus(60)),
            approves: None,
            assertion: true,
            credential: None,
            presentation: None,
            resign: None,
            ask_binding: true,
            whole: false,
        }
    }

    fn issue(&self) -> String {
        let named = self.claimed_issuer.as_ref().unwrap_or(&self.issuer);
        let did = did::key::encode(named.public_key()).unwrap();
        let method = did.with_fragment(did.method_specific_id()).unwrap();
        let binding = WebauthnBinding {
            jwk: Jwk::from_key(self.ak.public_key()),
            rp_id: RP_ID.to_owned(),
            origins: vec![ORIGIN.to_owned()],
            client: ClientKind::App,
            uv: UvDemand::Required,
            backup_eligible: false,
            level: self.level,
            key_protection: KeyProtection::Strongbox,
            modality: None,
            cert_level: None,
            evaluated_at: self.valid_from,
            policy: "https://hospital.example/policy/binding/1".to_owned(),
        };
        let binding = binding.to_claim().unwrap();
        let claims = json!({
            "given_name": "Žofie", "family_name": "Testová", "birthdate": "1987-04-23",
            "address": { "locality": "Praha", "country": "CZ" },
        });
        let input = IssueInput {
            kind: self.kind,
            verification_method: &method,
            holder: &did::jwk::encode(self.holder.public_key()).unwrap(),
            claims: claims.as_object().unwrap().clone(),
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            status: &self.status,
            binding: self.binding.then_some(&binding),
        };
        issue(&input, self.security, &self.issuer, &SystemRandom).unwrap()
    }

    /// The text of the presentation for what the portal's request object says.
    fn present(&self, request: &Value) -> String {
        let credential = self.credential.unwrap_or(|text| text)(self.issue());
        let held =
            UnverifiedCredential::parse(self.security.format(), &credential, &Limits::DEFAULT).unwrap();
        let path = |names: &Vec<&str>| ClaimPath::new(names.iter().map(|name| (*name).into()).collect());
        let paths: Vec<ClaimPath> = self.shown.iter().map(|names| path(names).unwrap()).collect();
        let leaves = held.present(&paths, &SystemRandom).unwrap();
        let sent: Vec<String> = request["transaction_data"]
            .as_array()
            .map(|all| all.iter().map(|one| one.as_str().unwrap().to_owned()).collect())
            .unwrap_or_default();
        let sent = self.approves.clone().unwrap_or(sent);
        let hashes = TransactionDataHashes::new(&sent, DigestAlgorithm::Sha256);
        let audience = self.audience.as_deref().unwrap_or_else(|| text(request, "client_id"));
        let nonce = self.nonce.as_deref().unwrap_or_else(|| text(request, "nonce"));
        let mut statement = Statement {
            audience,
            nonce,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            transaction_data: Some(&hashes).filter(|hashes| !hashes.hashes().is_empty()),
            jti: None,
            factors: None,
            assertion: None,
        };
        if self.assertion {
            let challenge = PresentationStatement {
                aud: audience,
                content_hash: &leaves.content_hash(&statement).unwrap(),
                exp: self.expires_at.unwrap_or(self.issued_at),
                hk_jkt: &Jwk::from_key(self.holder.public_key()).thumbprint(),
                iat: self.issued_at,
                nonce,
                txn: statement.transaction_data.map_or(&[], |data| data.hashes()),
            };
            let options = RequestOptions::step_up(RP_ID, &AK_ID, challenge.challenge().unwrap());
            let made = self.authenticator.get(&options).unwrap();
            let assertion = WebauthnAssertion {
                id: made.id,
                authenticator_data: made.response.authenticator_data,
                client_data_json: made.response.client_data_json,
                signature: made.response.signature,
            };
            statement.assertion = Some(serde_json::to_value(assertion).unwrap());
        }
        let draft = leaves.draft(&statement).unwrap();
        let signature = self.signer.as_ref().unwrap_or(&self.holder).sign(&draft.signing_input()).unwrap();
        let presentation = draft.assemble(&signature).unwrap();
        if self.whole {
            let credential: Value = serde_json::from_str(&credential).unwrap();
            return edit(presentation, |vp| vp["verifiableCredential"] = json!([credential]));
        }
        if let Some(change) = self.resign {
            let parts: Vec<&str> = presentation.split('.').collect();
            let [mut header, mut payload] = [parts[0], parts[1]]
                .map(|part| serde_json::from_slice::<Value>(&base64url::decode(part).unwrap()).unwrap());
            change(&mut payload);
            let header = std::mem::take(header.as_object_mut().unwrap());
            return jws::sign(header, payload.to_string().as_bytes(), &self.holder).unwrap();
        }
        self.presentation.unwrap_or(|text| text)(presentation)
    }

    /// The portal asks, this answers: the code of the refusal, if it is one, and the state afterwards.
    async fn send(&self, scene: &Scene) -> (Option<String>, Value) {
        let world = &scene.world;
        let mut claims = vec![json!({ "path": ["credentialSubject", "given_name"] })];
        if self.ask_binding {
            claims.extend([json!({ "path": ["confidenceMethod"] }), json!({ "path": ["evidence"] })]);
        }
        claims.extend(self.asked.as_array().unwrap().clone());
        let mut asking = json!({
            "dcql_query": { "credentials": [{ "id": "patient", "format": self.security.format(),
                "meta": { "type_values": [[TYPE]] }, "claims": claims }] },
            "purpose": "Admission", "response_mode": "direct_post",
        });
        if !self.min_level.is_empty() {
            asking["min_level"] = self.min_level.into();
        }
        let created = world.ask(asking).await;
        let link = url::Url::parse(text(&created, "request_uri")).unwrap();
        let (_, uri) = link.query_pairs().find(|(name, _)| name == "request_uri").unwrap();
        let get = HttpRequest::get(uri.parse().unwrap(), "application/oauth-authz-req+jwt");
        let object = String::from_utf8(world.http.send(get).await.unwrap().body).unwrap();
        let payload = base64url::decode(object.split('.').nth(1).unwrap()).unwrap();
        let request: Value = serde_json::from_slice(&payload).unwrap();
        let token = json!({ "patient": [to_message(&self.present(&request))] }).to_string();
        let uri = text(&request, "response_uri").parse().unwrap();
        let form = [("vp_token", token.as_str()), ("state", text(&request, "state"))];
        let answer = world.http.send(HttpRequest::post_form(uri, &form)).await.unwrap();
        let code = (answer.status != 200).then(|| text(&body(&answer), "code").to_owned());
        (code, world.state(&created).await)
    }
}

type Case = (&'static str, fn(&mut Answer, &Scene));

/// What can be wrong in every format.
const EVERYWHERE: [Case; 29] = [
    ("issuer_untrusted", |a, _| a.issuer = es256()),
    ("credential_type", |a, _| a.kind = "InsuranceCoverage"),
    ("credential_expired", |a, s| a.valid_until = s.now.plus(-61)),
    ("status_unavailable", |a, s| {
        let nowhere = s.world.hospital.join("/status/no-such-list").unwrap();
        a.status = vec![StatusEntry::new(StatusPurpose::Revocation, 7, nowhere.as_str())];
    }),
    ("vp_signature_invalid", |a, _| a.signer = Some(es256())),
    ("vp_nonce", |a, _| a.nonce = Some("the-nonce-of-another-request".into())),
    ("vp_audience", |a, _| a.audience = Some("x509_hash:another".into())),
    ("vp_stale", |a, s| a.issued_at = s.now.plus(-900)),
    ("vp_in_future", |a, s| (a.issued_at, a.expires_at) = (s.now.plus(90), Some(s.now.plus(150)))),
    ("vp_expired", |a, s| (a.issued_at, a.expires_at) = (s.now.plus(-200), Some(s.now.plus(-100)))),
    ("vp_transaction_data", |a, _| a.approves = Some(vec!["e30".into()])),
    ("transaction_data_missing", |a, _| a.approves = Some(Vec::new())),
    ("claim_value", |a, _| {
        a.asked = json!([{ "path": ["credentialSubject", "address", "country"], "values": ["DE"] }]);
    }),
    ("claim_absent", |a, _| a.asked = json!([{ "path": ["credentialSubject", "email"] }])),
    ("kb_times", |a, _| a.expires_at = None),
    ("kb_lifetime", |a, s| a.expires_at = Some(s.now.plus(86_000))),
    ("level_too_low", |a, _| a.level = AssuranceLevel::Uv),
    ("assertion_missing", |a, _| a.assertion = false),
    ("assertion_signature", |a, _| a.authenticator.insert_key(&AK_ID, RP_ID, es256())),
    ("user_not_verified", |a, _| behave(a, |b| b.user_verified = false)),
    ("user_not_present", |a, _| behave(a, |b| b.user_present = false)),
    ("backup_flags", |a, _| behave(a, |b| b.backup_state = true)),
    ("backup_eligibility_changed", |a, _| behave(a, |b| b.backup_eligible = true)),
    ("origin_not_allowed", |a, _| behave(a, |b| b.origin = Some("https://evil.example".into()))),
    ("rp_id_mismatch", |a, _| behave(a, |b| b.rp_id = Some("evil.example".into()))),
    ("client_data_type", |a, _| behave(a, |b| b.kind = Some("webauthn.create".into()))),
    ("cross_origin", |a, _| behave(a, |b| b.cross_origin = true)),
    ("challenge_mismatch", |a, _| behave(a, |b| b.challenge = Some(vec![0; 32]))),
    ("top_origin", |a, _| behave(a, |b| b.top_origin = Some("https://frame.example".into()))),
];

/// What can be wrong in a document with proofs; the holder's proof is over what was changed or not, as the case says.
const PROOFS: [Case; 19] = [
    ("credential_issued_in_future", |a, s| a.valid_from = s.now.plus(61)),
    ("vp_proof_missing", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| drop(vp.as_object_mut().unwrap().remove("proof"))));
    }),
    ("w3c_proofs", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["proof"] = json!([vp["proof"], vp["proof"]])));
    }),
    ("proof_purpose_mismatch", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["proof"]["proofPurpose"] = "assertionMethod".into()));
    }),
    ("presentation_malformed", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["proof"]["type"] = "Ed25519Signature2020".into()));
    }),
    ("proof_cryptosuite", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["proof"]["cryptosuite"] = "none".into()));
    }),
    ("vp_signature_invalid", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["proof"]["created"] = "2026-01-01T00:00:00Z".into()));
    }),
    ("vp_signature_invalid", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["webauthnAssertion"]["signature"] = "AAAA".into()));
    }),
    ("vp_holder", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["holder"] = "did:example:other".into()));
    }),
    ("vp_holder", |a, _| {
        a.presentation = Some(|vp| {
            edit(vp, |vp| {
                let thief = did::jwk::encode(es256().public_key()).unwrap();
                vp["holder"] = thief.as_str().into();
                vp["proof"]["verificationMethod"] = format!("{thief}#0").into();
            })
        });
    }),
    ("vp_credentials", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["verifiableCredential"] = json!([])));
    }),
    ("vp_credentials", |a, _| {
        a.presentation = Some(|vp| {
            edit(vp, |vp| {
                let one = vp["verifiableCredential"][0].clone();
                vp["verifiableCredential"] = json!([one, one]);
            })
        });
    }),
    ("w3c_context", |a, _| {
        a.presentation = Some(|vp| edit(vp, |vp| vp["@context"][1] = json!({ "x": "urn:x" })));
    }),
    ("jsonld_context_unknown", |a, _| {
        let change: Change = |vp| {
            edit(vp, |vp| vp["verifiableCredential"][0]["@context"][1] = "https://evil.example/v1".into())
        };
        a.presentation = Some(change);
    }),
    ("jsonld_undefined_term", |a, _| {
        let change: Change =
            |vp| edit(vp, |vp| vp["verifiableCredential"][0]["credentialSubject"]["nickname"] = "Z".into());
        a.presentation = Some(change);
    }),
    ("credential_signature_invalid", |a, _| {
        let change: Change = |vp| {
            edit(vp, |vp| vp["verifiableCredential"][0]["credentialSubject"]["given_name"] = "Eva".into())
        };
        a.presentation = Some(change);
    }),
    ("credential_signature_invalid", |a, _| {
        let change: Change = |vp| {
            edit(vp, |vp| vp["verifiableCredential"][0]["evidence"]["level"] = "biometric_capable".into())
        };
        a.presentation = Some(change);
    }),
    ("presentation_malformed", |a, _| {
        let change: Change = |vp| edit(vp, |vp| vp["verifiableCredential"][0]["type"] = json!(["Other"]));
        a.presentation = Some(change);
    }),
    ("presentation_malformed", |a, _| a.presentation = Some(|_| "no presentation".to_owned())),
];

/// What can be wrong in a JWT.
const TOKENS: [Case; 7] = [
    ("credential_not_yet_valid", |a, s| a.valid_from = s.now.plus(61)),
    ("vp_signature_invalid", |a, _| {
        a.presentation = Some(|jwt| format!("{}.AAAA", jwt.rsplit_once('.').unwrap().0));
    }),
    ("vp_signature_invalid", |a, _| {
        a.presentation = Some(|jwt| edit_jwt(jwt, |vp| vp["exp"] = json!(9_999_999_999_u64)));
    }),
    ("vp_holder", |a, _| {
        a.presentation = Some(|jwt| edit_jwt(jwt, |vp| vp["holder"] = "did:example:other".into()));
    }),
    ("presentation_malformed", |a, _| {
        a.presentation = Some(|jwt| edit_jwt(jwt, |vp| vp["verifiableCredential"] = json!([])));
    }),
    ("credential_signature_invalid", |a, _| {
        a.credential = Some(|jwt| edit_jwt(jwt, |vc| vc["credentialSubject"]["given_name"] = "Eva".into()));
    }),
    ("presentation_malformed", |a, _| a.presentation = Some(|_| "no.j.wt".to_owned())),
];

/// What a holder can sign in a JWT and must not, and what stands in the assertion.
const CLAIMS: [Case; 12] = [
    ("vp_times", |a, _| a.resign = Some(|vp| drop(vp.as_object_mut().unwrap().remove("iat")))),
    ("vp_times", |a, _| a.resign = Some(|vp| vp["exp"] = "tomorrow".into())),
    ("vp_not_yet_valid", |a, _| a.resign = Some(|vp| vp["nbf"] = json!(9_999_999_999_u64))),
    ("vp_nonce", |a, _| a.resign = Some(|vp| vp["nonce"] = json!(null))),
    ("vp_audience", |a, _| a.resign = Some(|vp| vp["aud"] = json!([vp["aud"], "x509_hash:another"]))),
    ("vp_claims", |a, _| a.resign = Some(|vp| vp["transaction_data_hashes"] = "x".into())),
    ("vp_transaction_data", |a, _| {
        a.resign = Some(|vp| vp["transaction_data_hashes_alg"] = "sha-512".into())
    }),
    ("webauthn_assertion", |a, _| a.resign = Some(|vp| vp["webauthnAssertion"]["signature"] = json!(7))),
    ("client_data", |a, _| a.resign = Some(|vp| vp["webauthnAssertion"]["client_data_json"] = "e30".into())),
    ("client_data_size", |a, _| {
        a.resign = Some(|vp| vp["webauthnAssertion"]["client_data_json"] = "A".repeat(8_000).into());
    }),
    ("authenticator_data", |a, _| {
        a.resign = Some(|vp| vp["webauthnAssertion"]["authenticator_data"] = "AAAA".into());
    }),
    ("challenge_mismatch", |a, _| a.resign = Some(|vp| vp["authentication_factors"] = json!([{"x": "y"}]))),
];

/// What is wrong with who signed, and how.
const KEYS: [Case; 5] = [
    ("alg_none", |a, _| a.presentation = Some(|jwt| with_alg(&jwt, "none"))),
    ("alg_unsupported", |a, _| a.presentation = Some(|jwt| with_alg(&jwt, "HS256"))),
    ("vp_signature_invalid", |a, _| a.presentation = Some(|jwt| with_alg(&jwt, "ES384"))),
    ("credential_signature_invalid", |a, _| {
        // Another's credential under the trusted issuer's name.
        a.claimed_issuer = Some(copy(&a.issuer));
        a.issuer = es256();
    }),
    ("presentation_malformed", |a, _| a.presentation = Some(|jwt| format!("{jwt}~"))),
];

fn with_alg(jwt: &str, alg: &str) -> String {
    let (header, rest) = jwt.split_once('.').unwrap();
    let header = String::from_utf8(base64url::decode(header).unwrap()).unwrap();
    format!("{}.{rest}", base64url::encode(edit(header, |header| header["alg"] = alg.into()).as_bytes()))
}

async fn run(scene: &Scene, security: Security, cases: &[Case]) -> BTreeSet<&'static str> {
    let mut wrong = Vec::new();
    for (number, (code, change)) in cases.iter().enumerate() {
        let mut answer = Answer::new(security, scene);
        change(&mut answer, scene);
        let (found, state) = answer.send(scene).await;
        if found.as_deref() != Some(code) {
            wrong.push(format!("{security:?} {number}: {code} expected, but {found:?}"));
        }
        // A refusal that closes the request is what the portal shows.
        match text(&state, "state") {
            "refused" => assert_eq!(state["outcome"]["code"], found.unwrap_or_default(), "{state}"),
            other => assert_ne!(other, "verified", "{code}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases.iter().map(|(code, _)| *code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_in_every_format() {
    let scene = Scene::start().await;
    let mut codes = BTreeSet::new();
    let mut cases = 0;
    for security in FORMATS {
        let (code, state) = Answer::new(security, &scene).send(&scene).await;
        assert_eq!((code, text(&state, "state")), (None, "verified"), "{security:?}: {state}");
        let own: &[Case] = if security == Security::Jwt { &TOKENS } else { &PROOFS };
        let jwt: &[Case] = if security == Security::Jwt { &CLAIMS } else { &[] };
        let keys: &[Case] = if security == Security::Jwt { &KEYS } else { &KEYS[3..4] };
        for part in [&EVERYWHERE[..], own, jwt, keys] {
            codes.extend(run(&scene, security, part).await);
            cases += part.len();
        }
    }
    let base: [Case; 1] = [("proof_base", |a, _| a.whole = true)];
    codes.extend(run(&scene, Security::Selective, &base).await);
    println!("{} presentations refused with {} codes", cases + 1, codes.len());
}

/// Without a step-up the same credential needs no second key; asked for, it cannot be left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_without_second_key() {
    let scene = Scene::start().await;
    for security in FORMATS {
        let mut answer = Answer::new(security, &scene);
        (answer.binding, answer.assertion) = (false, false);
        answer.shown.truncate(2);
        let (code, _) = answer.send(&scene).await;
        assert_eq!(code.as_deref(), Some("claim_absent"), "{security:?}");
        (answer.ask_binding, answer.min_level) = (false, "");
        let (code, state) = answer.send(&scene).await;
        assert_eq!((code, text(&state, "state")), (None, "verified"), "{security:?}");
    }
}
