//! The key-binding JWT behind a signed credential: no input may pass, for nobody has the holder's key.
#![no_main]

use carekey_core::format::sd_jwt_vc::key_binding::KeyBindingCheck;
use carekey_core::format::sd_jwt_vc::verify::UnverifiedSdJwtVc;
use carekey_core::limits::Limits;
use carekey_fuzz::{TIMING, credential, issuer_key};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(parsed) = UnverifiedSdJwtVc::parse(&format!("{}{text}", credential()), &Limits::DEFAULT) else {
        return;
    };
    let check = KeyBindingCheck {
        audience: "x509_san_dns:portal.example",
        nonce: "nonce",
        max_age: 300,
        transaction_data: &[],
        transaction_data_algorithms: &[],
    };
    assert!(parsed.verify_presentation(issuer_key(), TIMING, &check).is_err());
});
