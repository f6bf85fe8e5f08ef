//! Two credentials in one answer: the approval of one does not lend itself to the second key of the other.

use std::collections::BTreeMap;

use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::protocol::openid4vp::client_id::{ClientId, ClientIdPrefix};
use carekey_core::protocol::openid4vp::dcql::DcqlQuery;
use carekey_core::protocol::openid4vp::request::ResponseMode;
use carekey_core::protocol::openid4vp::transaction_types::TransactionTypes;
use carekey_core::random::SystemRandom;
use carekey_core::verifier::{NewRequest, PresentationRequest, StepUpCarrier, StepUpDemand};
use carekey_tests::story::{Answer, Issuance, Judging, NOW, VCT, VERIFIER};
use serde_json::json;

fn request() -> PresentationRequest {
    let query = |id: &str| {
        json!({ "id": id, "format": "dc+sd-jwt", "meta": { "vct_values": [VCT] },
                "claims": [{ "path": ["given_name"] }, { "path": ["webauthn_binding"] }] })
    };
    let query = json!({ "credentials": [query("first"), query("second")] });
    let carrier = StepUpCarrier::TransactionData;
    let new = NewRequest {
        query: DcqlQuery::parse(&query).unwrap(),
        purpose: "Open your record".to_owned(),
        locale: None,
        step_up: Some(StepUpDemand { min_level: AssuranceLevel::Uv, max_age: 120, carrier }),
        transaction_data: Vec::new(),
        transaction_types: TransactionTypes::default(),
        expected_origins: Vec::new(),
        response_mode: ResponseMode::DirectPost,
        lifetime: 300,
    };
    let client_id = ClientId::new(ClientIdPrefix::X509SanDns, VERIFIER);
    let response_uri = "https://portal.example/oid4vp/responses/1".parse().unwrap();
    PresentationRequest::new("1".to_owned(), new, client_id, response_uri, NOW, &SystemRandom).unwrap()
}

#[test]
fn the_second_key_must_sign_the_transaction() {
    let (issuance, judging, request) = (Issuance::default(), Judging::default(), request());
    let credential = issuance.issue();
    let disclose = || Some(vec!["given_name".to_owned(), "webauthn_binding".to_owned()]);
    let approving = |assertion| {
        let answer = Answer { disclose: disclose(), assertion, ..Answer::default() };
        answer.present(&credential, &request)
    };
    let silent = || {
        let answer = Answer { disclose: disclose(), transaction_data: Some(Vec::new()), ..Answer::default() };
        answer.present(&credential, &request)
    };
    let judge = |first: String, second: String| {
        let token = BTreeMap::from([("first".to_owned(), vec![first]), ("second".to_owned(), vec![second])]);
        judging.judge_token(&token, &request)
    };
    // The assertion stands in the answer that approves.
    judge(approving(true), approving(false)).unwrap();
    // One answer approves, the other has an assertion over nothing.
    let refusal = judge(approving(false), silent()).unwrap_err();
    assert_eq!(refusal.code.as_str(), "kb_transaction_data_mismatch", "{refusal:?}");
    assert!(refusal.checks.iter().any(|check| check.id == "step_up_transaction" && !check.passed));
}
