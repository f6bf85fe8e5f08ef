//! `carekey demo --headless` as a person would run it.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_whole_journey_goes_as_it_should() {
    let output = Command::new(env!("CARGO_BIN_EXE_carekey")).args(["demo", "--headless"]).output().unwrap();
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let steps: Vec<&str> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    assert_eq!(
        steps,
        [
            "servers_started",
            "offer_created",
            "credential_issued",
            "wallet_locked_and_unlocked",
            "presented_encrypted",
            "presented",
            "declined",
            "attack_replayed_response",
            "attack_other_key",
            "attack_tampered_disclosure",
            "suspended_refused",
            "reinstated_accepted",
            "revoked_refused",
            "w3c_offer_created",
            "w3c_credentials_issued",
            "presented_ldp_vc",
            "presented_jwt_vc_json",
            "attack_tampered_w3c_claim",
            "activity",
            "servers_stopped",
        ]
    );
    for line in &lines {
        assert_eq!(line["ok"], true, "{line}");
        assert!(line["millis"].is_u64(), "{line}");
    }
    assert!(output.status.success());
    // standard error is for faults: there were none
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
