use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::credential::CredentialFormat;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/openid4vp/1.0/examples");

fn example(name: &str) -> Option<DcqlQuery> {
    let path = Path::new(VECTORS).join(name);
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: {} absent", path.display());
        return None;
    };
    Some(DcqlQuery::parse(&serde_json::from_slice(&text).unwrap()).unwrap())
}

fn query(value: Value) -> Result<DcqlQuery> {
    DcqlQuery::parse(&value)
}

fn one(extra: Value) -> Value {
    let mut credential = json!({"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:t"]}});
    for (name, value) in extra.as_object().unwrap() {
        credential[name] = value.clone();
    }
    json!({"credentials": [credential]})
}

fn object(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().unwrap()
}

fn paths(claims: &[&ClaimsQuery]) -> Vec<String> {
    claims.iter().map(|claim| claim.path().to_string()).collect()
}

/// Every example query of the specification is read and written back without loss.
#[test]
fn specification_examples() {
    let folder = Path::new(VECTORS).join("query_lang");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return println!("skipped: {} absent", folder.display());
    };
    let mut count = 0;
    let others =
        ["dcql_jwt_vc.json", "dcql_ldp_vc.json"].map(|name| Path::new(VECTORS).join("request").join(name));
    for path in entries.map(|entry| entry.unwrap().path()).chain(others) {
        let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let query = DcqlQuery::parse(&value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(query.to_value(), value, "{}", path.display());
        let foreign = query.credentials().iter().any(|credential| credential.credential_format().is_none());
        let refused = query.check_supported().err().map(|error| error.code());
        assert_eq!(refused, foreign.then_some("dcql_format"), "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn example_claim_sets_take_the_first_that_can_be_satisfied() {
    let Some(query) = example("query_lang/claims_alternatives.json") else { return };
    let pid = query.credential("pid").unwrap();
    let all = json!({"family_name": "Doe", "postal_code": "1", "locality": "L", "region": "R", "date_of_birth": "D"});
    assert_eq!(
        paths(&pid.select(object(&all), &|_| false).unwrap()),
        ["family_name", "locality", "region", "date_of_birth"]
    );
    let no_region = json!({"family_name": "Doe", "postal_code": "1", "locality": "L", "date_of_birth": "D"});
    assert_eq!(
        paths(&pid.select(object(&no_region), &|_| false).unwrap()),
        ["family_name", "postal_code", "date_of_birth"]
    );
    let too_little = json!({"family_name": "Doe", "postal_code": "1"});
    assert_eq!(pid.select(object(&too_little), &|_| false).unwrap_err().code(), "claim_absent");
    // A person may leave out what another combination does without, and nothing else.
    let without = |path: &'static str| move |claim: &ClaimsQuery| claim.path().to_string() == path;
    assert_eq!(pid.select(object(&all), &without("locality")).unwrap().len(), 3);
    assert!(pid.select(object(&all), &without("family_name")).is_err());
    let mandatory: Vec<_> = pid.claims().iter().filter(|claim| pid.is_mandatory(claim)).collect();
    assert_eq!(paths(&mandatory), ["family_name", "date_of_birth"]);
}

#[test]
fn example_values_match_by_type_and_value() {
    let Some(query) = example("query_lang/value_matching_simple.json") else { return };
    let credential = query.credential("my_credential").unwrap();
    let with = |family: Value, code: Value| json!({"family_name": family, "given_name": "J", "address": {"street_address": "S"}, "postal_code": code});
    credential.check_satisfied(object(&with(json!("Doe"), json!("90211")))).unwrap();
    for (family, code) in
        [(json!("Roe"), json!("90210")), (json!("Doe"), json!(90210)), (json!("doe"), json!("90210"))]
    {
        assert_eq!(
            credential.check_satisfied(object(&with(family, code))).unwrap_err().code(),
            "claim_value"
        );
    }
}

#[test]
fn example_credential_sets() {
    let Some(query) = example("query_lang/credentials_alternatives.json") else { return };
    let answered = |ids: &[&'static str]| query.check_answered(ids.iter().copied());
    for ids in [
        vec!["pid"],
        vec!["other_pid"],
        vec!["pid_reduced_cred_1", "pid_reduced_cred_2"],
        vec!["pid", "nice_to_have"],
    ] {
        answered(&ids).unwrap();
    }
    for ids in [vec![], vec!["pid_reduced_cred_1"], vec!["nice_to_have"]] {
        assert_eq!(answered(&ids).unwrap_err().code(), "credentials_missing");
    }
    let Some(both) = example("query_lang/multi_credentials.json") else { return };
    assert!(both.check_answered(["pid"].into_iter()).is_err());
    both.check_answered(["mdl", "pid"].into_iter()).unwrap();
}

#[test]
fn malformed_queries() {
    let long = "x".repeat(MAX_STRING + 1);
    let many: Vec<Value> = (0..=MAX_ENTRIES).map(|n| json!({"path": [n.to_string()]})).collect();
    let credential = one(json!({}))["credentials"][0].clone();
    for bad in [
        json!(null),
        json!([]),
        json!({}),
        json!({"credentials": []}),
        json!({"credentials": {}}),
        json!({"credentials": [1]}),
        json!({"credentials": [{"id": "a", "meta": {}}]}),
        json!({"credentials": [{"id": "a", "format": "dc+sd-jwt"}]}),
        json!({"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {}}]}),
        json!({"credentials": [{"format": "dc+sd-jwt", "meta": {"vct_values": ["t"]}}]}),
        json!({"credentials": [credential, credential]}),
        json!({"credentials": vec![credential.clone(); MAX_CREDENTIALS + 1]}),
        one(json!({"id": "a b"})),
        one(json!({"id": ""})),
        one(json!({"format": 1})),
        one(json!({"meta": {"vct_values": []}})),
        one(json!({"meta": {"vct_values": [1]}})),
        one(json!({"meta": {"vct_values": [long]}})),
        one(json!({"format": "ldp_vc"})),
        one(json!({"format": "ldp_vc", "meta": {"type_values": []}})),
        one(json!({"format": "jwt_vc_json", "meta": {"type_values": ["t"]}})),
        one(json!({"format": "jwt_vc_json", "meta": {"type_values": [[]]}})),
        one(json!({"multiple": "yes"})),
        one(json!({"require_cryptographic_holder_binding": 0})),
        one(json!({"claims": []})),
        one(json!({"claims": many})),
        one(json!({"claims": [{"id": "x"}]})),
        one(json!({"claims": [{"path": []}]})),
        one(json!({"claims": [{"path": "a"}]})),
        one(json!({"claims": [{"path": [-1]}]})),
        one(json!({"claims": [{"path": [true]}]})),
        one(json!({"claims": [{"path": ["a"], "values": []}]})),
        one(json!({"claims": [{"path": ["a"], "values": [null]}]})),
        one(json!({"claims": [{"path": ["a"], "values": [1.5]}]})),
        one(json!({"claims": [{"path": ["a"], "id": "x"}, {"path": ["b"], "id": "x"}]})),
        one(json!({"claims": [{"path": ["a"]}], "claim_sets": [["x"]]})),
        one(json!({"claims": [{"path": ["a"], "id": "x"}], "claim_sets": [["y"]]})),
        one(json!({"claims": [{"path": ["a"], "id": "x"}], "claim_sets": [[]]})),
        one(json!({"claim_sets": [["x"]]})),
        json!({"credentials": [credential], "credential_sets": []}),
        json!({"credentials": [credential], "credential_sets": [{"options": []}]}),
        json!({"credentials": [credential], "credential_sets": [{"options": [["b"]]}]}),
        json!({"credentials": [credential], "credential_sets": [{"options": [["a"]], "required": 1}]}),
    ] {
        let error = query(bad.clone()).expect_err(&bad.to_string());
        assert_eq!(error.code(), "dcql", "{bad}");
    }
    query(one(json!({"unknown": {"members": "are ignored"}, "claims": [{"path": ["a"], "new": 1}]})))
        .unwrap();
}

/// Appendix B.1.1: one of the sets, all of its types, in the format that was asked for.
#[test]
fn types_of_w3c_credentials() {
    let Some(query) = example("request/dcql_ldp_vc.json") else { return };
    let [credential] = query.credentials() else { panic!() };
    let sets = credential.accepted_types();
    for set in sets {
        assert!(credential.accepts(CredentialFormat::LdpVc, set));
        assert!(!credential.accepts(CredentialFormat::JwtVcJson, set));
        assert!(!credential.accepts(CredentialFormat::LdpVc, &set[1..]));
    }
    assert!(!sets.is_empty());
}

#[test]
fn unsupported_queries_are_named() {
    let code = |value| query(value).unwrap().check_supported().unwrap_err().code();
    assert_eq!(code(one(json!({"format": "mso_mdoc", "meta": {"doctype_value": "x"}}))), "dcql_format");
    assert_eq!(
        code(one(json!({"trusted_authorities": [{"type": "own", "values": ["x"]}]}))),
        "dcql_trusted_authorities"
    );
    let carried = json!({"require_cryptographic_holder_binding": false, "trusted_authorities": [
        {"type": "aki", "values": ["x"]}, {"type": "etsi_tl", "values": ["https://lotl.example"]},
        {"type": "openid_federation", "values": ["https://anchor.example"]}]});
    query(one(carried)).unwrap().check_supported().unwrap();
    assert_eq!(code(one(json!({"claims": [{"path": ["a"]}, {"path": ["a"]}]}))), "dcql");
}
