//! WebAuthn attestation objects (Level 3, section 6.5.4), behind client data that fits.
#![no_main]

use carekey_core::encoding::base64url;
use carekey_core::key::SignatureAlgorithm;
use carekey_core::limits::Limits;
use carekey_core::webauthn::UserVerification;
use carekey_core::webauthn::registration::{RegistrationExpectation, RegistrationResponse, verify};
use serde_json::json;

const CLIENT_DATA: &[u8] =
    br#"{"type":"webauthn.create","challenge":"c2Vl","origin":"https://wallet.example"}"#;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The credential id stands behind the header of 55 bytes of the authenticator data; the first byte says where.
    let Some((at, object)) = data.split_first() else { return };
    let id = object.get(usize::from(*at)..usize::from(*at) + 16).unwrap_or_default();
    let response = json!({
        "id": base64url::encode(id), "rawId": base64url::encode(id), "type": "public-key",
        "response": {
            "clientDataJSON": base64url::encode(CLIENT_DATA), "attestationObject": base64url::encode(object)
        },
    });
    let Ok(response) = serde_json::from_value::<RegistrationResponse>(response) else { return };
    let expected = RegistrationExpectation {
        challenge: b"see",
        origins: &["https://wallet.example".to_owned()],
        rp_id: "wallet.example",
        user_verification: UserVerification::Required,
        algorithms: &[SignatureAlgorithm::Es256],
    };
    if let Ok(verified) = verify(&response, &expected, &Limits::DEFAULT) {
        assert!(verified.user_verified);
    }
});
