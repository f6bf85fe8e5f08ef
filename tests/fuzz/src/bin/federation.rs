//! Trust chains of OpenID Federation: each line is what an entity states, well signed by the key that all of them have.
#![no_main]

use carekey_core::encoding::json;
use carekey_core::jose::jws;
use carekey_core::limits::Limits;
use carekey_core::trust::federation::{FederationAnchor, UnverifiedTrustChain};
use carekey_fuzz::{NOW, key};
use serde_json::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let header = || json!({ "typ": "entity-statement+jwt", "kid": "1" }).as_object().cloned().unwrap_or_default();
    let lines = data.split(|byte| *byte == b'\n').take(10);
    let statements: Vec<String> = lines.filter_map(|line| jws::sign(header(), line, &key(1)).ok()).collect();
    let Ok(chain) = UnverifiedTrustChain::parse(&statements, &Limits::DEFAULT) else { return };
    // The anchor's keys are those that the last statement shows.
    let last = data.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(last) = json::parse(last, &Limits::DEFAULT) else { return };
    let Ok(keys) = serde_json::from_value(last["jwks"].clone()) else { return };
    let anchor = FederationAnchor { entity_id: "https://anchor.example".to_owned(), keys };
    if let Ok(verified) = chain.verify(&[anchor], NOW) {
        assert_eq!(verified.subject(), chain.subject());
        let _ = verified.keys("openid_credential_issuer");
    }
});
