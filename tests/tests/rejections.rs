//! One refused presentation per check of the verifier: each case changes one thing and sees that one check fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carekey_core::Error;
use carekey_core::attestation::level::{AssuranceLevel, KeyProtection};
use carekey_core::authenticator::Behaviour;
use carekey_core::status::token_status_list::Status;
use carekey_core::verifier::{PresentationRequest, RefusalCode, StatusEvidence};
use carekey_tests::story::{
    Answer, Asking, ISS, Issuance, Judging, NOW, VCT, authenticator, binding, copy, key, status_list, trusted,
};
use serde_json::{Value, json};

/// A story that ends badly; every part starts as it should be.
struct Story {
    asking: Asking,
    issuance: Issuance,
    answer: Answer,
    judging: Judging,
    tamper: fn(String, &PresentationRequest) -> String,
}

impl Story {
    fn step_up() -> Self {
        Self {
            asking: Asking::step_up(),
            issuance: Issuance::default(),
            answer: Answer::default(),
            judging: Judging::default(),
            tamper: |presentation, _| presentation,
        }
    }

    fn plain() -> Self {
        Self { asking: Asking::plain(), ..Self::step_up() }
    }

    fn end(self) -> Result<AssuranceLevel, (String, Option<String>)> {
        let request = self.asking.request();
        let presentation = self.answer.present(&self.issuance.issue(), &request);
        let presentation = (self.tamper)(presentation, &request);
        self.judging.judge(&presentation, &request).map(|verified| verified.level).map_err(|refusal| {
            // The report ends with the check that failed.
            let failed = refusal.checks.iter().find(|check| !check.passed).map(|check| check.id.clone());
            let last = refusal.checks.last().map(|check| check.id.clone());
            assert!(failed == last, "{}: checks go on after a failure", refusal.code);
            (refusal.code.as_str().to_owned(), failed)
        })
    }
}

fn behaving(behaviour: Behaviour) -> Story {
    let mut story = Story::step_up();
    story.answer.authenticator = authenticator(3, behaviour);
    story
}

/// The parts of a presentation: issuer-signed JWT, disclosures, key-binding JWT.
fn parts(presentation: &str) -> Vec<String> {
    presentation.split('~').map(str::to_owned).collect()
}

fn edit_payload(jwt: &str, edit: impl Fn(&mut Value)) -> String {
    use carekey_core::encoding::base64url;
    let mut segments: Vec<String> = jwt.split('.').map(str::to_owned).collect();
    let mut payload: Value = serde_json::from_slice(&base64url::decode(&segments[1]).unwrap()).unwrap();
    edit(&mut payload);
    segments[1] = base64url::encode(payload.to_string().as_bytes());
    segments.join(".")
}

#[test]
fn the_story_as_it_should_be_ends_well() {
    assert_eq!(Story::plain().end(), Ok(AssuranceLevel::None));
    assert_eq!(Story::step_up().end(), Ok(AssuranceLevel::Uv));
}

/// One case: the code, the check of the report that fails (none when the response cannot even be read), the story.
type Case = (&'static str, Option<&'static str>, Story);

fn with(mut story: Story, change: impl FnOnce(&mut Story)) -> Story {
    change(&mut story);
    story
}

/// The credential itself.
fn credential_cases() -> Vec<Case> {
    let plain = Story::plain;
    vec![
        ("presentation_malformed", None, with(plain(), |s| s.tamper = |_, _| "no sd-jwt".to_owned())),
        (
            "presentation_malformed",
            None,
            with(plain(), |s| {
                s.tamper = |p, _| {
                    // A disclosure twice.
                    let mut parts = parts(&p);
                    parts.insert(1, parts[1].clone());
                    parts.join("~")
                }
            }),
        ),
        (
            "presentation_malformed",
            None,
            with(plain(), |s| {
                s.tamper = |p, _| {
                    // A disclosure that the issuer never made.
                    let mut parts = parts(&p);
                    parts[1] = "WyJzYWx0c2FsdHNhbHQiLCJyb2xlIiwiYWRtaW4iXQ".to_owned();
                    parts.join("~")
                }
            }),
        ),
        (
            "credential_type",
            Some("credential_type"),
            with(plain(), |s| s.issuance.vct = "urn:other".to_owned()),
        ),
        (
            "issuer_untrusted",
            Some("issuer_trusted"),
            with(plain(), |s| {
                s.judging.issuer = trusted("https://stranger.example", VCT, &key(1));
            }),
        ),
        (
            "issuer_mismatch",
            Some("issuer_signature"),
            with(plain(), |s| {
                s.issuance.iss = "https://stranger.example".to_owned();
            }),
        ),
        (
            "credential_signature_invalid",
            Some("issuer_signature"),
            with(plain(), |s| s.issuance.issuer = key(9)),
        ),
        (
            "credential_signature_invalid",
            Some("issuer_signature"),
            with(plain(), |s| {
                s.tamper = |p, _| {
                    let mut parts = parts(&p);
                    parts[0] = edit_payload(&parts[0], |payload| payload["exp"] = json!(9_999_999_999u64));
                    parts.join("~")
                }
            }),
        ),
        (
            "credential_expired",
            Some("credential_time"),
            with(plain(), |s| {
                s.issuance.validity.expires_at = Some(NOW.plus(-61));
            }),
        ),
        (
            "credential_not_yet_valid",
            Some("credential_time"),
            with(plain(), |s| {
                s.issuance.validity.not_before = Some(NOW.plus(61));
            }),
        ),
        (
            "credential_issued_in_future",
            Some("credential_time"),
            with(plain(), |s| {
                s.issuance.validity.issued_at = Some(NOW.plus(61));
            }),
        ),
        ("credential_revoked", Some("status"), with(plain(), |s| s.judging.status = list(Status::Revoked))),
        (
            "credential_suspended",
            Some("status"),
            with(plain(), |s| s.judging.status = list(Status::Suspended)),
        ),
        (
            "credential_status_other",
            Some("status"),
            with(plain(), |s| s.judging.status = list(Status::Other(3))),
        ),
        (
            "status_index_out_of_range",
            Some("status"),
            with(plain(), |s| {
                s.issuance.status.as_mut().unwrap().idx = 1_000_000;
            }),
        ),
        (
            "status_unavailable",
            Some("status"),
            with(plain(), |s| {
                s.judging.status = StatusEvidence::Unavailable(Error::unavailable("fetch", "no answer"));
            }),
        ),
        (
            "status_unavailable",
            Some("status"),
            with(plain(), |s| {
                // A copy that is older than this verifier allows.
                let StatusEvidence::List { fetched_at, .. } = &mut s.judging.status else { unreachable!() };
                *fetched_at = NOW.plus(-301);
            }),
        ),
        (
            "status_unavailable",
            Some("status"),
            with(plain(), |s| {
                // A good list, but not the one that the credential names.
                s.issuance.status.as_mut().unwrap().uri = format!("{ISS}/status/2");
            }),
        ),
        (
            "status_missing",
            Some("status"),
            with(plain(), |s| {
                s.issuance.status = None;
                s.judging.policy.require_status = true;
            }),
        ),
    ]
}

fn list(status: Status) -> StatusEvidence {
    StatusEvidence::List { list: Arc::new(status_list(status)), fetched_at: NOW }
}

/// The holder's proof, and what was asked for.
fn holder_cases() -> Vec<Case> {
    let plain = Story::plain;
    vec![
        ("holder_key_missing", Some("holder_signature"), with(plain(), |s| s.issuance.holder = None)),
        (
            "kb_jwt_missing",
            Some("holder_signature"),
            with(plain(), |s| {
                s.tamper = |p, _| {
                    let mut parts = parts(&p);
                    *parts.last_mut().unwrap() = String::new();
                    parts.join("~")
                }
            }),
        ),
        ("kb_jwt_signature_invalid", Some("holder_signature"), with(plain(), |s| s.answer.holder = key(9))),
        (
            "kb_jwt_audience",
            Some("answer_for_this_request"),
            with(plain(), |s| {
                s.answer.audience = Some("x509_san_dns:other.example".to_owned());
            }),
        ),
        (
            "kb_jwt_nonce",
            Some("answer_for_this_request"),
            with(plain(), |s| {
                s.answer.nonce = Some("of another request".to_owned());
            }),
        ),
        (
            "kb_jwt_sd_hash",
            Some("answer_for_this_request"),
            with(plain(), |s| {
                s.tamper = |p, _| {
                    // One disclosure less than was signed.
                    let mut parts = parts(&p);
                    parts.remove(1);
                    parts.join("~")
                }
            }),
        ),
        (
            "kb_jwt_stale",
            Some("answer_time"),
            with(plain(), |s| {
                s.answer.issued_at = NOW.plus(-361);
                s.answer.expires_at = None;
            }),
        ),
        ("kb_jwt_in_future", Some("answer_time"), with(plain(), |s| s.answer.issued_at = NOW.plus(61))),
        (
            "kb_jwt_expired",
            Some("answer_time"),
            with(plain(), |s| {
                s.answer.issued_at = NOW.plus(-120);
                s.answer.expires_at = Some(NOW.plus(-61));
            }),
        ),
        (
            "claim_absent",
            Some("claims"),
            with(plain(), |s| {
                s.answer.disclose = Some(vec!["given_name".to_owned()]);
            }),
        ),
        (
            "claim_value",
            Some("claims"),
            with(plain(), |s| {
                s.asking.claims[0]["values"] = json!(["somebody else"]);
            }),
        ),
    ]
}

/// The step-up: what the request demands beside the credential.
fn step_up_cases() -> Vec<Case> {
    let step_up = Story::step_up;
    let client_data = |change: fn(&mut Behaviour)| {
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        behaving(behaviour)
    };
    vec![
        (
            "kb_jwt_transaction_data",
            Some("transaction_data"),
            with(step_up(), |s| {
                s.answer.transaction_data = Some(vec!["something else".to_owned()]);
            }),
        ),
        (
            "transaction_data_missing",
            Some("transaction_approved"),
            with(step_up(), |s| {
                s.answer.transaction_data = Some(Vec::new());
            }),
        ),
        (
            "kb_lifetime",
            Some("step_up_request"),
            with(step_up(), |s| s.answer.expires_at = Some(NOW.plus(121))),
        ),
        ("kb_times", Some("step_up_request"), with(step_up(), |s| s.answer.expires_at = None)),
        (
            "claim_absent",
            Some("claims"),
            with(step_up(), |s| {
                // The credential has no second key, and the query asks for it.
                s.issuance.binding = None;
                s.answer.disclose =
                    Some(carekey_tests::story::CLAIMS.iter().map(|name| (*name).to_owned()).collect());
            }),
        ),
        (
            "level_too_low",
            Some("step_up_level"),
            with(step_up(), |s| {
                s.asking.step_up.as_mut().unwrap().min_level = AssuranceLevel::BiometricAttested;
            }),
        ),
        (
            "key_protection_too_low",
            Some("step_up_level"),
            with(step_up(), |s| {
                s.judging.policy.min_key_protection = KeyProtection::Strongbox;
            }),
        ),
        (
            "binding_evaluation_stale",
            Some("step_up_level"),
            with(step_up(), |s| {
                s.judging.policy.max_evaluation_age = Some(3599);
            }),
        ),
        (
            "webauthn_binding",
            Some("step_up_level"),
            with(step_up(), |s| {
                let mut binding = binding();
                binding.origins.clear();
                s.issuance.binding = Some(binding);
            }),
        ),
        ("assertion_missing", Some("step_up_assertion"), with(step_up(), |s| s.answer.assertion = false)),
        (
            "webauthn_assertion",
            Some("step_up_assertion"),
            with(step_up(), |s| {
                s.answer.edit_assertion = |assertion| assertion["signature"] = json!(7);
            }),
        ),
        (
            "client_data",
            Some("step_up_assertion"),
            with(step_up(), |s| {
                s.answer.edit_assertion = |assertion| assertion["client_data_json"] = json!("e30");
            }),
        ),
        (
            "client_data_size",
            Some("step_up_assertion"),
            with(step_up(), |s| {
                s.answer.edit_assertion =
                    |assertion| assertion["client_data_json"] = json!("A".repeat(8_000));
            }),
        ),
        (
            "authenticator_data",
            Some("step_up_assertion"),
            with(step_up(), |s| {
                s.answer.edit_assertion = |assertion| assertion["authenticator_data"] = json!("AAAA");
            }),
        ),
        (
            "assertion_signature",
            Some("step_up_assertion"),
            with(step_up(), |s| {
                s.answer.authenticator = authenticator(9, Behaviour::default());
            }),
        ),
        (
            "client_data_type",
            Some("step_up_assertion"),
            client_data(|b| b.kind = Some("webauthn.create".to_owned())),
        ),
        ("challenge_mismatch", Some("step_up_assertion"), client_data(|b| b.challenge = Some(vec![1; 32]))),
        (
            "origin_not_allowed",
            Some("step_up_assertion"),
            client_data(|b| {
                b.origin = Some("https://wallet.example.attacker.example".to_owned());
            }),
        ),
        ("cross_origin", Some("step_up_assertion"), client_data(|b| b.cross_origin = true)),
        (
            "rp_id_mismatch",
            Some("step_up_assertion"),
            client_data(|b| b.rp_id = Some("other.example".to_owned())),
        ),
        ("user_not_present", Some("step_up_assertion"), client_data(|b| b.user_present = false)),
        ("user_not_verified", Some("step_up_assertion"), client_data(|b| b.user_verified = false)),
        ("backup_flags", Some("step_up_assertion"), client_data(|b| b.backup_state = true)),
        ("backup_eligibility_changed", Some("step_up_assertion"), client_data(|b| b.backup_eligible = true)),
        (
            "top_origin",
            Some("step_up_assertion"),
            client_data(|b| {
                b.top_origin = Some("https://frame.example".to_owned());
            }),
        ),
    ]
}

#[test]
fn every_check_refuses_for_its_own_reason() {
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    let cases = [credential_cases(), holder_cases(), step_up_cases()];
    for (number, (code, check, story)) in cases.into_iter().flatten().enumerate() {
        match story.end() {
            Err((found, failed)) if found == code && failed.as_deref() == check => {
                assert!(RefusalCode::named(&found).is_some(), "{code} is not on the closed list");
                seen.insert(found);
            }
            other => wrong.push(format!("case {number}: {code} at {check:?} expected, but {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 45, "{} different codes", seen.len());
}

#[test]
fn a_response_answers_what_was_asked() {
    let request = Asking::plain().request();
    let presentation = Answer::default().present(&Issuance::default().issue(), &request);
    let judge = |token: &[(&str, Vec<String>)]| {
        let token: BTreeMap<_, _> = token.iter().map(|(id, list)| ((*id).to_owned(), list.clone())).collect();
        Judging::default().judge_token(&token, &request).map(drop).map_err(|refusal| refusal.code.as_str())
    };
    assert_eq!(judge(&[("identity", vec![presentation.clone()])]), Ok(()));
    assert_eq!(judge(&[("other", vec![presentation.clone()])]), Err("presentation_not_asked"));
    assert_eq!(judge(&[("identity", vec![presentation.clone(), presentation])]), Err("presentation_count"));
    assert_eq!(judge(&[]), Err("credentials_missing"));
}

/// Whoever steals HK and an old assertion cannot answer a new request: the challenge commits to it.
#[test]
fn an_old_assertion_does_not_serve_a_new_request() {
    let credential = Issuance::default().issue();
    let old_request = Asking::step_up().request();
    let old = Answer::default().present(&credential, &old_request);
    let old_kb = parts(&old).pop().unwrap();
    let new_request = Asking::step_up().request();
    let thief = Answer { holder: copy(&key(2)), ..Answer::default() };
    let fresh = thief.present(&credential, &new_request);
    assert!(Judging::default().judge(&fresh, &new_request).is_ok(), "with the second key it is no theft");
    // The old response, word for word.
    let refusal = Judging::default().judge(&old, &new_request).unwrap_err();
    assert_eq!(refusal.code.as_str(), "kb_jwt_nonce");
    // The old key-binding JWT behind the new presentation.
    let mut mixed = parts(&fresh);
    *mixed.last_mut().unwrap() = old_kb;
    let refusal = Judging::default().judge(&mixed.join("~"), &new_request).unwrap_err();
    assert_eq!(refusal.code.as_str(), "kb_jwt_nonce");
}
